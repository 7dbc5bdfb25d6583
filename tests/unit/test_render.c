/* SPDX-License-Identifier: Apache-2.0 */
/* Plans and drift as people and programs see them. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "core/diag.h"
#include "core/value.h"
#include "reconciler/documents.h"
#include "reconciler/drift.h"
#include "reconciler/render_json.h"
#include "reconciler/render_text.h"
#include "tests/support/test.h"
#include "tests/support/test_plugins.h"
#include "tests/support/world.h"

#define SCHEDULE(cron)                                                                             \
    "triggers:\n  - id: hourly\n    type: io.kestra.plugin.core.trigger.Schedule\n    cron: "      \
    "\"" cron "\"\n"

/* Every member that a document has is in its table. */
static void assert_described(const struct prop *table, const struct value *document)
{
    struct arena *arena = arena_new();
    struct diag_list findings = diag_list_new(arena, NULL);
    const struct prop *const tables[] = { table, NULL };
    prop_check(tables, test_plugins(), document, "", "the document", &findings);
    if (findings.errors > 0)
        fail_msg("%s: %s", findings.all.items[0].path, findings.all.items[0].message);
    arena_free(arena);
}

/* The text of a plan behind its first line, which holds ids of commits and a digest. */
static const char *render(struct world *world, const struct plan *plan)
{
    assert_described(plan_document_props, plan_to_value(world->arena, plan));
    struct render_options options = { .now = world->options.now };
    struct buf out = { 0 };
    plan_render_text(&out, plan_to_value(world->arena, plan), &options);
    assert_memory_equal(buf_text(&out), "Plan for data/flows.git   ", 26);
    const char *rest = strchr(buf_text(&out), '\n') + 1;
    const char *text = arena_strdup(world->arena, rest);
    buf_free(&out);
    return text;
}

static void render_shows_a_plan_as_people_read_it(void **state)
{
    (void)state;
    struct world world = world_new();
    fixture_put(world.fixture, "weir.yaml", "files: [{path: files, namespace: company.team}]\n");
    fixture_put(world.fixture, "files/orders.sql", "a\nb\nc\n");
    world_put_flow(&world, "load_orders.yml", "load_orders",
                   "    level: INFO\n" SCHEDULE("0 * * * *"));
    world_put_flow(&world, "legacy_dump.yml", "legacy_dump", "");
    world_put_caller(&world, "nightly.yml", "nightly", "legacy_dump");
    world_commit(&world);
    world_apply(&world);
    struct object_key legacy = { OBJECT_FLOW, "company.team", "legacy_dump" };
    target_memory_run(world.target, &legacy, 2);

    fixture_put(world.fixture, "files/orders.sql", "a\nx\ny\nz\nc\n");
    world_put_flow(&world, "load_orders.yml", "load_orders",
                   "    level: WARN\n" SCHEDULE("*/30 * * * *"));
    world_put_flow(&world, "load_refunds.yml", "load_refunds", "");
    fixture_put(world.fixture, "legacy_dump.yml", NULL);
    world_commit(&world);
    world.options.now = test_time("2026-06-01T12:10:00Z");
    struct plan *plan = world_plan(&world);
    assert_string_equal(
        render(&world, plan),
        "“a change”  Ana Lima, 3 d ago\n"
        "\n"
        "  - flow company.team/legacy_dump   2 executions running: they finish on revision 1\n"
        "  ~ flow company.team/load_orders   revision 1 → 2\n"
        "      tasks.hello.level             INFO  →  WARN\n"
        "      triggers.hourly.cron          0 * * * *  →  */30 * * * *\n"
        "        next runs of hourly         14:30 15:00 15:30 … Europe/Paris  "
        "(was 15:00 16:00 17:00 …)\n"
        "  + flow company.team/load_refunds\n"
        "  ~ file company.team/orders.sql    +3 −1\n"
        "\n"
        "Impact\n"
        "  ! company.team/nightly calls company.team/legacy_dump, which this plan deletes "
        "(nightly.yml:7)\n"
        "\n"
        "Plan: 1 to create, 2 to change, 1 to delete, 1 unchanged\n");
    plan_free(plan);
    world_free(&world);
}

static void render_shows_findings_with_their_lines_and_what_holds(void **state)
{
    (void)state;
    struct world world = world_new();
    fixture_put(world.fixture, "a.yml",
                "id: a\nnamespace: company.team\ntasks:\n  - id: t\n    type: " LOG_TASK
                "\n    mesage: hi\n");
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    const char *text = render(&world, plan);
    assert_non_null(strstr(text, "--> a.yml:6:5\n"));
    assert_non_null(strstr(text, "6 |     mesage: hi\n"));
    assert_non_null(strstr(text, "^^^^^^"));
    assert_non_null(strstr(text, "did you mean 'message'?"));
    assert_non_null(strstr(text, "Not applied as it is:\n  ! "));
    assert_non_null(
        strstr(text, "Plan: 0 to create, 0 to change, 0 to delete, 0 unchanged; 2 errors"));
    plan_free(plan);
    world_free(&world);
}

static void render_uses_colours_only_when_asked(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    const struct value *document = plan_to_value(world.arena, plan);
    for (int colour = 0; colour < 2; colour++) {
        struct render_options options = { .now = world.options.now,
                                          .colour = colour == 1,
                                          .command = "weir apply" };
        struct buf out = { 0 };
        plan_render_text(&out, document, &options);
        assert_true((strchr(buf_text(&out), '\x1b') != NULL) == (colour == 1));
        assert_non_null(strstr(buf_text(&out), "Apply it with: weir apply\n"));
        buf_free(&out);
    }
    plan_free(plan);
    world_free(&world);
}

static void render_keeps_control_characters_of_a_commit_away(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "labels: {x: \"a\\x1b[31mred\"}\n");
    (void)fixture_commit(world.fixture, "main", "evil \x1b]0;title\x07 subject");
    struct oid tip;
    struct error err = { 0 };
    assert_true(git_repo_ref(world.repo, "refs/heads/main", &tip));
    assert_true(git_repo_commit(world.repo, world.arena, &tip, &world.snapshot.commit, &err));
    struct plan *plan = world_plan(&world);
    const char *text = render(&world, plan);
    assert_null(strchr(text, '\x1b'));
    assert_null(strchr(text, '\x07'));
    plan_free(plan);
    world_free(&world);
}

static void render_gives_programs_a_stable_document(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "    level: INFO\n");
    world_commit(&world);
    world_apply(&world);
    world_put_flow(&world, "a.yml", "a", "    level: WARN\n");
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    const struct value *document = plan_to_value(world.arena, plan);
    assert_described(plan_document_props, document);
    assert_int_equal(value_get_int(document, "version", 0), 1);
    assert_string_equal(value_get_text(document, "digest", ""), plan->digest);
    assert_string_equal(
        value_to_json(world.arena, value_get(document, "summary")),
        "{\"create\":0,\"change\":1,\"delete\":0,\"other\":0,\"unchanged\":0,\"errors\":0,"
        "\"warnings\":0}");
    assert_string_equal(
        value_to_json(world.arena, value_get(document, "changes")),
        "[{\"action\":\"update\",\"kind\":\"flow\",\"namespace\":\"company.team\",\"name\":\"a\","
        "\"path\":\"a.yml\",\"revisionBefore\":1,\"revisionAfter\":2,\"linesAdded\":1,"
        "\"linesRemoved\":1,\"fields\":[{\"path\":\"tasks.hello.level\",\"before\":\"INFO\","
        "\"after\":\"WARN\"}]}]");
    plan_free(plan);
    world_free(&world);
}

/* ---- drift ---- */

static struct drift_report drift(struct world *world)
{
    struct drift_report report;
    struct error err = { 0 };
    if (!drift_find(world->target, world->arena, "main", world->repo, "", &report, &err))
        fail_msg("%s", err.text);
    return report;
}

static void touch(struct world *world, const char *key_text, const char *text)
{
    struct object_key key;
    assert_true(object_key_parse(world->arena, key_text, &key));
    target_memory_touch(world->target, &key, text, "ana", test_time("2026-06-01T10:00:00Z"));
}

static void drift_names_field_actor_and_time_of_each_change(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    world_put_flow(&world, "b.yml", "b", "");
    world_put_flow(&world, "c.yml", "c", "");
    world_commit(&world);
    assert_int_equal(drift(&world).objects, 0); // nothing was applied yet
    world_apply(&world);
    assert_int_equal(drift(&world).items.count, 0);
    touch(&world, "flow/company.team/a",
          "id: a\nnamespace: company.team\ntasks:\n  - id: hello\n    type: " LOG_TASK
          "\n    message: changed\n");
    touch(&world, "flow/company.team/b", NULL);
    struct drift_report report = drift(&world);
    assert_int_equal(report.objects, 3);
    assert_int_equal(report.items.count, 2);

    assert_described(drift_document_props, drift_to_value(world.arena, &report));
    struct render_options options = { .now = test_time("2026-06-01T12:00:00Z") };
    struct buf out = { 0 };
    drift_render_text(&out, drift_to_value(world.arena, &report), &options);
    const char *rest = strchr(buf_text(&out), '\n') + 1;
    assert_string_equal(rest, "\n  ~ flow company.team/a    changed by ana 2 h ago through ui\n"
                              "      tasks.hello.message  hi  →  changed\n"
                              "  - flow company.team/b    deleted\n\n"
                              "2 of 3 objects differ from what was applied\n");
    buf_free(&out);
    world_free(&world);
}

static void drift_tolerates_what_operators_own(void **state)
{
    (void)state;
    struct world world = world_new();
    fixture_put(world.fixture, "weir.yaml",
                "drift: {operatorOwns: [disabled, triggers.*.disabled, concurrency.limit]}\n");
    world_put_flow(&world, "a.yml", "a", SCHEDULE("0 * * * *"));
    world_commit(&world);
    world_apply(&world);
    static const char owned[] =
        "id: a\nnamespace: company.team\ndisabled: true\nconcurrency: {limit: 3}\ntasks:\n"
        "  - id: hello\n    type: " LOG_TASK "\n    message: hi\n"
        "triggers:\n  - id: hourly\n    type: io.kestra.plugin.core.trigger.Schedule\n"
        "    cron: \"0 * * * *\"\n    disabled: true\n";
    touch(&world, "flow/company.team/a", owned);
    struct drift_report report = drift(&world);
    assert_int_equal(report.items.count, 0);
    assert_int_equal(report.tolerated, 1);
    touch(&world, "flow/company.team/a", arena_printf(world.arena, "%slabels: {x: y}\n", owned));
    report = drift(&world);
    assert_int_equal(report.items.count, 1);
    assert_int_equal(report.items.items[0].fields_count, 1);
    assert_string_equal(report.items.items[0].fields[0].path, "labels");
    assert_int_equal(report.items.items[0].fields_tolerated, 3);
    world_free(&world);
}

static void drift_compares_entries_and_files(void **state)
{
    (void)state;
    struct world world = world_new();
    fixture_put(world.fixture, "weir.yaml",
                "files: [{path: files, namespace: company.team}]\n"
                "kv: [{path: kv.yaml, namespace: company.team}]\n");
    fixture_put(world.fixture, "files/x.sql", "a\n");
    fixture_put(world.fixture, "kv.yaml", "days: 30\ngone: {value: 1, ttl: PT1H}\n");
    world_commit(&world);
    world_apply(&world);
    touch(&world, "kv/company.team/days", "31");
    touch(&world, "kv/company.team/gone", NULL); // its time was over
    touch(&world, "file/company.team/x.sql", "b\n");
    struct drift_report report = drift(&world);
    assert_int_equal(report.items.count, 2);
    assert_string_equal(report.items.items[0].key.name, "x.sql");
    assert_string_equal(report.items.items[1].key.name, "days");
    assert_string_equal(value_to_json(world.arena, report.items.items[1].fields[0].before), "30");
    assert_string_equal(value_to_json(world.arena, report.items.items[1].fields[0].after), "31");
    world_free(&world);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(render_shows_a_plan_as_people_read_it),
    cmocka_unit_test(render_shows_findings_with_their_lines_and_what_holds),
    cmocka_unit_test(render_uses_colours_only_when_asked),
    cmocka_unit_test(render_keeps_control_characters_of_a_commit_away),
    cmocka_unit_test(render_gives_programs_a_stable_document),
    cmocka_unit_test(drift_names_field_actor_and_time_of_each_change),
    cmocka_unit_test(drift_tolerates_what_operators_own),
    cmocka_unit_test(drift_compares_entries_and_files),
};
TEST_GROUP(render, tests)
