/* SPDX-License-Identifier: Apache-2.0 */
/* A flow as JSON, its digest, and what it refers to. */
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "core/diag.h"
#include "core/flow.h"
#include "core/value.h"
#include "tests/support/test.h"
#include "tests/support/test_plugins.h"

#define LOG  "io.kestra.plugin.core.log.Log"
#define FLOW "io.kestra.plugin.core.flow."
#define HEAD "id: a\nnamespace: n.s\n"
#define TASK "tasks:\n  - {id: t, type: " LOG ", message: hi}\n"

static struct flow *parse(const char *source)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, "f.yml");
    struct flow *flow = flow_parse(test_plugins(), source, strlen(source), NULL, &list);
    if (flow == NULL)
        fail_msg("refused: %s\n%s", diag_constraints(&list, false), source);
    return flow;
}

static void flow_as_json_keeps_what_was_written(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    AUTO(flow_unrefp)
    struct flow *flow = parse(
        "# comment\n" HEAD "labels: {b: 1, a: x}\n"
        "description: null\n"
        "pluginDefaults: [{type: " LOG ", values: {level: WARN}}]\n"
        "inputs: [{name: i, type: INT, defaults: null}]\n"
        "tasks:\n"
        "- id: c\n"
        "  type: " FLOW "If\n"
        "  condition: '{{ x }}'\n"
        "  disabled: false\n"
        "  then: [{id: t, type: " LOG ", message: hi, runIf: 'true', timeout: PT1M, level: null}]\n"
        "triggers: [{id: h, type: io.kestra.plugin.core.trigger.Webhook, key: k, "
        "allowConcurrent: false}]\n");
    assert_string_equal(
        value_to_json(arena, flow_to_value(flow, arena)),
        "{\"id\":\"a\",\"namespace\":\"n.s\",\"disabled\":false,\"deleted\":false,"
        "\"labels\":[{\"key\":\"b\",\"value\":\"1\"},{\"key\":\"a\",\"value\":\"x\"}],"
        "\"inputs\":[{\"name\":\"i\",\"type\":\"INT\",\"id\":\"i\"}],"
        "\"tasks\":[{\"id\":\"c\",\"type\":\"" FLOW "If\",\"condition\":\"{{ x }}\","
        "\"then\":[{\"id\":\"t\",\"type\":\"" LOG "\",\"message\":\"hi\",\"timeout\":\"PT1M\"}]}],"
        "\"triggers\":[{\"id\":\"h\",\"type\":\"io.kestra.plugin.core.trigger.Webhook\","
        "\"key\":\"k\"}],"
        "\"pluginDefaults\":[{\"type\":\"" LOG "\",\"values\":{\"level\":\"WARN\"}}]}");
    flow->revision = 7;
    assert_int_equal(value_get_int(flow_to_value(flow, arena), "revision", 0), 7);
}

static void expect_same(const char *a, const char *b, bool same)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    AUTO(flow_unrefp) struct flow *first = parse(a);
    AUTO(flow_unrefp) struct flow *second = parse(b);
    bool equal = strcmp(flow_digest(first, arena), flow_digest(second, arena)) == 0;
    if (equal != same)
        fail_msg("%s digest of\n%s\nand\n%s", equal ? "same" : "different", a, b);
}

static void flow_digest_is_equal_for_sources_that_mean_the_same(void **state)
{
    (void)state;
    expect_same(HEAD TASK, "# text\nnamespace: n.s\nrevision: 5\n" TASK "id: 'a'\n", true);
    expect_same(HEAD TASK, HEAD "tasks:\n- type: " LOG "\n  message: \"hi\"\n  id: t\n", true);
    expect_same(HEAD TASK,
                HEAD "tasks:\n- {id: t, type: io.kestra.core.tasks.log.Log, message: hi}\n", true);
    expect_same(HEAD TASK, HEAD "disabled: false\nlabels: null\n" TASK, true);
    expect_same(HEAD "labels: {a: 1, b: 2}\n" TASK,
                HEAD "labels: [{key: b, value: '2'}, {key: a, value: '1'}]\n" TASK, true);
    expect_same(HEAD "tasks: [{id: p, type: " FLOW "Pause, delay: PT1S}]\n",
                HEAD "tasks: [{id: p, type: " FLOW "Pause, pauseDuration: PT1S}]\n", true);
    expect_same(HEAD TASK, HEAD "disabled: true\n" TASK, false);
    expect_same(HEAD TASK, HEAD "tasks:\n- {id: t, type: " LOG ", message: ho}\n", false);
    expect_same(HEAD "tasks:\n- {id: t, type: " LOG ", message: 1.10}\n",
                HEAD "tasks:\n- {id: t, type: " LOG ", message: 1.1}\n", false);
}

static void flow_digest_does_not_change_between_versions(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    AUTO(flow_unrefp) struct flow *flow = parse(HEAD TASK);
    // stored next to deployed flows: another value would redeploy every one of them
    assert_string_equal(flow_digest(flow, arena),
                        "b44fb3a83a18a19e5c74f5aa6adfc13f371a14d6fbbd309ccc3651157c3e35c3");
}

static const char *kinds[] = { "subflow", "flow", "file", "kv", "secret" };

static void flow_references_are_found_where_they_are_literal(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    AUTO(flow_unrefp)
    struct flow *flow = parse(
        HEAD "inputs: [{id: i, type: STRING, defaults: \"{{ kv('D') }}\"}]\n"
             "tasks:\n"
             "- {id: s1, type: " FLOW "Subflow, namespace: other.ns, flowId: child}\n"
             "- {id: s2, type: " FLOW "Subflow, namespace: '{{ flow.namespace }}', flowId: own}\n"
             "- {id: s3, type: " FLOW "Subflow, namespace: '{{ inputs.x }}', flowId: unknown}\n"
             "- id: seq\n"
             "  type: " FLOW "Sequential\n"
             "  tasks:\n"
             "  - id: log\n"
             "    type: " LOG "\n"
             "    message: >-\n"
             "      {{ secret('TOKEN') }} {{ kv(key = \"K\", namespace='kv.ns') | upper }}\n"
             "      {{ read('q.sql') }} secret('no') {{ \"secret('no')\" }} {{ x.secret('no') }}\n"
             "      {{ secret('A' ~ 'B') }} {{ mysecret('no') }}\n"
             "- {id: kv, type: io.kestra.plugin.core.kv.Get, key: KEY}\n"
             "- id: sh\n"
             "  type: io.kestra.plugin.scripts.shell.Commands\n"
             "  commands: [ls]\n"
             "  inputFiles: {a.txt: 'nsfile:///dir/a.txt', b.txt: 'nsfile://file.ns/b.txt'}\n"
             "triggers:\n"
             "- id: f\n"
             "  type: io.kestra.plugin.core.trigger.Flow\n"
             "  preconditions: {id: p, flows: [{namespace: up.ns, flowId: upstream}]}\n");
    size_t count = 0;
    const struct flow_reference *refs = flow_references(flow, arena, &count);
    static const char *const expected[] = {
        "subflow other.ns/child tasks[0]:5",   "subflow -/own tasks[1]:6",
        "secret -/TOKEN tasks[3].tasks[0]:13", "kv kv.ns/K tasks[3].tasks[0]:13",
        "file -/q.sql tasks[3].tasks[0]:13",   "kv -/KEY tasks[4]:17",
        "file -/dir/a.txt tasks[5]:21",        "file file.ns/b.txt tasks[5]:21",
        "flow up.ns/upstream triggers[0]:25",  "kv -/D inputs:3",
    };
    for (size_t i = 0; i < count && i < 10; i++) {
        const char *text = arena_printf(arena, "%s %s/%s %s:%u", kinds[refs[i].kind],
                                        refs[i].namespace == NULL ? "-" : refs[i].namespace,
                                        refs[i].name, refs[i].path, refs[i].line);
        assert_string_equal(text, expected[i]);
    }
    assert_int_equal(count, 10);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(flow_as_json_keeps_what_was_written),
    cmocka_unit_test(flow_digest_is_equal_for_sources_that_mean_the_same),
    cmocka_unit_test(flow_digest_does_not_change_between_versions),
    cmocka_unit_test(flow_references_are_found_where_they_are_literal),
};
TEST_GROUP(flow_forms, tests)
