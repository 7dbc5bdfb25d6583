/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "core/diag.h"
#include "core/repo_config.h"
#include "tests/support/test.h"

static const struct repo_config *parse(struct arena *arena, const char *text)
{
    struct diag_list list = diag_list_new(arena, NULL);
    const struct repo_config *config =
        repo_config_parse(arena, text, strlen(text), "weir.yaml", &list);
    if (config == NULL)
        fail_msg("%s\n%s", text, list.all.items[0].message);
    return config;
}

static void expect_error(const char *text, const char *fragment, uint32_t line)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, NULL);
    if (repo_config_parse(arena, text, strlen(text), "weir.yaml", &list) != NULL)
        fail_msg("accepted: %s", text);
    const struct diag *diag = &list.all.items[0];
    if (strstr(diag->message, fragment) == NULL || diag->line != line)
        fail_msg("%s\ngives line %u: %s", text, diag->line, diag->message);
    assert_string_equal(diag->file, "weir.yaml");
}

static void repo_config_has_defaults_for_everything(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    const struct repo_config *config = repo_config_default(arena);
    assert_false(config->has_flows);
    assert_int_equal(config->deletions_per_commit, -1);
    assert_int_equal(config->deletions_percent, -1);
    assert_false(config->skips_invalid);
    assert_int_equal(config->drift_default, DRIFT_REPORT);
    assert_true(config->comments);
    assert_int_equal(config->rehearse, 20);
    assert_null(config->protected[0]);
}

static void repo_config_reads_every_key(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    const struct repo_config *config =
        parse(arena, "version: 1\n"
                     "flows: [{path: ./flows/, namespace: company}]\n"
                     "files: [{path: files/company.team, namespace: company.team}]\n"
                     "kv: [{path: kv/company.team.yaml}]\n"
                     "modules: [modules]\n"
                     "stacks:\n"
                     "  - {name: warehouse, path: terraform/w, engine: tofu, apply: manual,\n"
                     "     drift: PT6H, variables: {x: 1}}\n"
                     "policy:\n"
                     "  onInvalid: skip\n"
                     "  deletions: {perCommit: 5, percent: 10}\n"
                     "  protected: [company.billing]\n"
                     "  approvals: [{paths: ['flows/**'], by: [company/leads], count: 2}]\n"
                     "  windows: [{name: evenings, allow: 0 18 * * MON-THU, for: PT4H,\n"
                     "             zone: Europe/Paris}]\n"
                     "drift: {default: revert, operatorOwns: [disabled]}\n"
                     "pullRequests: {comment: false, rehearse: 0}\n");
    assert_true(config->has_flows);
    assert_string_equal(config->flows[0].path, "flows");
    assert_string_equal(config->flows[0].namespace, "company");
    assert_string_equal(config->files[0].path, "files/company.team");
    assert_null(config->kv[0].namespace);
    assert_string_equal(config->modules[0].path, "modules");
    assert_int_equal(config->stacks[0].engine, STACK_TOFU);
    assert_int_equal(config->stacks[0].apply, STACK_APPLY_MANUAL);
    assert_int_equal(config->stacks[0].drift, 6 * USEC_HOUR);
    assert_true(config->skips_invalid);
    assert_int_equal(config->deletions_per_commit, 5);
    assert_int_equal(config->deletions_percent, 10);
    assert_string_equal(config->protected[0], "company.billing");
    assert_string_equal(config->approvals[0].paths[0], "flows/**");
    assert_int_equal(config->approvals[0].count, 2);
    assert_string_equal(config->operator_owns[0], "disabled");
    assert_int_equal(config->drift_default, DRIFT_REVERT);
    assert_false(config->comments);

    usec_t changes = 0;
    // Monday 18:00 in Paris is 17:00 UTC in winter
    assert_false(
        repo_window_is_open(&config->windows[0], test_time("2026-11-23T16:59:59Z"), &changes));
    assert_int_equal(changes, test_time("2026-11-23T17:00:00Z"));
    assert_true(repo_window_is_open(&config->windows[0], changes, &changes));
    assert_int_equal(changes, test_time("2026-11-23T21:00:00Z"));
    assert_false(repo_window_is_open(&config->windows[0], changes, &changes));
    assert_int_equal(changes, test_time("2026-11-24T17:00:00Z"));
}

static void repo_config_mistakes_are_findings(void **state)
{
    (void)state;
    expect_error("flws: []\n", "unknown property 'flws' of weir.yaml", 1);
    expect_error("version: 2\n", "must be less than or equal to 1", 1);
    expect_error("- a\n", "weir.yaml is a map", 1);
    expect_error("a: [\n", "did not find expected", 2);
    expect_error("flows:\n- namespace: a\n", "needs 'path'", 2);
    expect_error("flows:\n- path: ../x\n", "must be a path inside the repository", 2);
    expect_error("flows:\n- path: /etc\n", "must be a path inside the repository", 2);
    expect_error("flows:\n- path: a/.git/b\n", "must be a path inside the repository", 2);
    expect_error("flows:\n- {path: a, namespace: A}\n", "must match", 2);
    expect_error("policy: {onInvalid: stop}\n", "must be one of hold, skip", 1);
    expect_error("policy:\n  deletions: {perCommit: many}\n", "must be an integer", 2);
    expect_error("policy:\n  windows: [{name: w, allow: x, for: PT1H}]\n",
                 "invalid cron expression 'x'", 2);
    expect_error("policy:\n  windows: [{name: w, allow: '* * * * *', for: PT1H, zone: Mars}]\n",
                 "Mars", 2);
    expect_error("policy:\n  approvals: [{count: 1}]\n", "needs 'by'", 2);
    expect_error("policy:\n  protected: [UPPER]\n", "is not a namespace", 2);
    expect_error("stacks: [{name: a, path: x}, {name: a, path: y}]\n", "two stacks are called 'a'",
                 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(repo_config_has_defaults_for_everything),
    cmocka_unit_test(repo_config_reads_every_key),
    cmocka_unit_test(repo_config_mistakes_are_findings),
};
TEST_GROUP(repo_config, tests)
