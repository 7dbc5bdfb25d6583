/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "core/diag.h"
#include "core/flow.h"
#include "core/plugin.h"
#include "core/value.h"
#include "core/yaml.h"
#include "tests/support/test.h"
#include "tests/support/test_plugins.h"

#define LOG    "io.kestra.plugin.core.log.Log"
#define RETURN "io.kestra.plugin.core.debug.Return"
#define FLOW   "io.kestra.plugin.core.flow."

#define HEAD "id: a\nnamespace: n.s\n"
#define TASK "tasks:\n  - {id: t, type: " LOG ", message: hi}\n"

static struct flow *parse_with(const char *source,
                               const struct flow_options *options,
                               struct diag_list *list)
{
    return flow_parse(test_plugins(), source, strlen(source), options, list);
}

static struct flow *parse(const char *source)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, "f.yml");
    struct flow *flow = parse_with(source, NULL, &list);
    if (flow == NULL) {
        struct buf out = { 0 };
        for (size_t i = 0; i < list.all.count; i++)
            diag_render(&out, &list.all.items[i], source, false);
        print_message("%s", buf_text(&out));
        buf_free(&out);
        fail_msg("not accepted");
    }
    return flow;
}

/* The flow is refused, with this text among the constraints, and an error at this line. */
static void expect_refused(const char *source, const char *fragment, uint32_t line)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, "f.yml");
    struct flow *flow = parse_with(source, NULL, &list);
    if (flow != NULL)
        fail_msg("accepted:\n%s", source);
    const char *text = diag_constraints(&list, true);
    if (strstr(text, fragment) == NULL)
        fail_msg("%.100s\nsays: %.300s\nnot: %s", source, text, fragment);
    for (size_t i = 0; i < list.all.count; i++) {
        if (list.all.items[i].level == DIAG_ERROR && list.all.items[i].line == line)
            return;
    }
    fail_msg("%.100s\nno error at line %u but at %u: %.300s", source, line, list.all.items[0].line,
             text);
}

static void expect_note(const char *source,
                        enum diag_level level,
                        const char *fragment,
                        const char *path)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, "f.yml");
    struct flow *flow = parse_with(source, NULL, &list);
    if (flow == NULL)
        fail_msg("refused: %s", diag_constraints(&list, false));
    flow_unref(flow);
    for (size_t i = 0; i < list.all.count; i++) {
        const struct diag *diag = &list.all.items[i];
        if (diag->level == level && strstr(diag->message, fragment) != NULL &&
            strcmp(diag->path, path) == 0)
            return;
    }
    fail_msg("%s\nno %s '%s' at '%s' but %zu findings: %s", source, diag_level_name(level),
             fragment, path, list.all.count, list.all.count == 0 ? "" : list.all.items[0].message);
}

static void flow_reads_the_whole_document(void **state)
{
    (void)state;
    AUTO(flow_unrefp)
    struct flow *flow = parse(
        "id: orders\n"
        "namespace: company.team\n"
        "description: text\n"
        "labels: {team: data, tier: 3, share: 1.10}\n"
        "inputs:\n"
        "  - {id: since, type: DATE, defaults: 2026-01-01}\n"
        "  - {id: db, type: FORM, inputs: [{id: host, type: STRING}, {id: port, type: INT}]}\n"
        "variables: {x: 1}\n"
        "concurrency: {limit: 2, behavior: CANCEL}\n"
        "retry: {type: exponential, interval: PT1S, maxInterval: PT1M, maxAttempts: 5}\n"
        "sla: [{id: s, type: MAX_DURATION, duration: PT1H, behavior: FAIL}]\n"
        "checks: [{when: '{{ true }}', message: no, behavior: FAIL_EXECUTION}]\n"
        "outputs: [{id: total, type: INT, value: '{{ 1 }}'}]\n"
        "tasks:\n"
        "  - id: choose\n"
        "    type: " FLOW "If\n"
        "    condition: '{{ inputs.since }}'\n"
        "    then:\n"
        "      - {id: yes1, type: " LOG ", message: a}\n"
        "      - {id: yes2, type: " LOG ", message: b, disabled: true}\n"
        "    else: [{id: no1, type: " LOG ", message: [c, d]}]\n"
        "    errors: [{id: err, type: " LOG ", message: e}]\n"
        "  - id: dag\n"
        "    type: " FLOW "Dag\n"
        "    tasks:\n"
        "      - {task: {id: d1, type: " LOG ", message: x}, dependsOn: [d2]}\n"
        "      - {task: {id: d2, type: " LOG ", message: x}}\n"
        "  - id: sw\n"
        "    type: " FLOW "Switch\n"
        "    value: a\n"
        "    cases: {true: [{id: c1, type: " LOG ", message: x}], 2: [{id: c2, type: " LOG
        ", message: x}]}\n"
        "  - id: wait\n"
        "    type: " FLOW "Pause\n"
        "    timeout: PT1H\n"
        "    runIf: '{{ false }}'\n"
        "    onPause: {id: paused, type: " LOG ", message: x}\n"
        "    onResume: [{id: reason, type: STRING}]\n"
        "finally: [{id: fin, type: " LOG ", message: x}]\n"
        "afterExecution: [{id: after, type: " LOG ", message: x}]\n"
        "triggers:\n"
        "  - {id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: k, disabled: true,\n"
        "     inputs: {since: 2026-02-02}, stopAfter: [FAILED]}\n");

    assert_string_equal(flow->id, "orders");
    assert_string_equal(flow->namespace, "company.team");
    assert_int_equal(flow->labels_count, 3);
    assert_string_equal(flow->labels[1].value, "3");
    assert_string_equal(flow->labels[2].value, "1.1");
    assert_int_equal(flow->inputs_count, 3);
    assert_string_equal(flow->inputs[1].id, "db.host");
    assert_int_equal(flow->inputs[2].type, INPUT_INT);
    assert_int_equal(flow->concurrency_limit, 2);
    assert_int_equal(flow->concurrency_behavior, CONCURRENCY_CANCEL);
    assert_int_equal(flow->retry.type, RETRY_EXPONENTIAL);
    assert_int_equal(flow->retry.max_interval, USEC_MIN);
    assert_int_equal(flow->retry.max_attempts, 5);
    assert_int_equal(flow->slas[0].duration, USEC_HOUR);
    assert_string_equal(flow->checks[0].condition, "{{ true }}");
    assert_int_equal(flow->checks[0].behavior, CHECK_FAIL);
    assert_int_equal(flow->outputs[0].type, INPUT_INT);

    assert_int_equal(flow->tasks_all_count, 15);
    for (size_t i = 0; i < flow->tasks_all_count; i++)
        assert_int_equal(flow->tasks_all[i]->index, i);
    const struct task *choose = flow_find_task(flow, "choose");
    assert_int_equal(task_list(choose, SLOT_TASKS)->count, 1);
    assert_int_equal(task_list(choose, SLOT_TASKS)->all_count, 2);
    assert_int_equal(task_list(choose, SLOT_ERRORS)->count, 1);
    assert_null(task_list(choose, SLOT_FINALLY));
    const struct task *no1 = flow_find_task(flow, "no1");
    assert_ptr_equal(no1->parent, choose);
    assert_ptr_equal(no1->list, task_list(choose, SLOT_ELSE));
    assert_string_equal(no1->path, "tasks[0].else[0]");
    assert_int_equal(no1->line, 21);
    assert_int_equal(flow_find_task(flow, "yes2")->list_at, UINT32_MAX);
    const struct task *d1 = flow_find_task(flow, "d1");
    assert_string_equal(d1->path, "tasks[1].tasks[0].task");
    assert_string_equal(value_cstr(value_item(d1->depends_on, 0)), "d2");
    const struct task *sw = flow_find_task(flow, "sw");
    assert_int_equal(sw->lists_count, 2);
    assert_string_equal(sw->lists[0].name, "true");
    assert_string_equal(sw->lists[1].name, "2");
    const struct task *wait = flow_find_task(flow, "wait");
    assert_string_equal(wait->timeout, "PT1H");
    assert_string_equal(wait->run_if, "{{ false }}");
    assert_int_equal(value_count(wait->inputs), 1);
    assert_string_equal(flow_find_task(flow, "paused")->path, "tasks[3].onPause");
    assert_int_equal(task_list(wait, SLOT_ON_PAUSE)->count, 1);
    assert_int_equal(flow_list(flow, SLOT_AFTER_EXECUTION)->count, 1);
    assert_null(flow_list(flow, SLOT_ERRORS));
    assert_true(flow_find_trigger(flow, "hook")->disabled);
    assert_non_null(flow_find_trigger(flow, "hook")->inputs);
    assert_null(flow_find_trigger(flow, "other"));
}

static void flow_takes_the_namespace_of_its_folder(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, NULL);
    struct flow_options options = { .namespace = "company.folder", .file = "x/y.yml" };
    AUTO(flow_unrefp) struct flow *flow = parse_with("id: a\n" TASK, &options, &list);
    assert_string_equal(flow->namespace, "company.folder");
    AUTO(flow_unrefp) struct flow *own = parse_with(HEAD TASK, &options, &list);
    assert_string_equal(own->namespace, "n.s");
    assert_null(parse_with("id: a\n", &options, &list));
    assert_string_equal(list.all.items[0].file, "x/y.yml");
    assert_null(list.file);
}

static void flow_refuses_what_is_not_a_flow(void **state)
{
    (void)state;
    expect_refused("", "Illegal flow source: YAML parsing error", 0);
    expect_refused("- a\n", "Illegal flow source: YAML parsing error: a flow is a map", 1);
    expect_refused("id: a\nid: b\n",
                   "Illegal flow source: YAML syntax error: duplicate key 'id' (at line 2)", 2);
    expect_refused("id: [a\n", "Illegal flow source: YAML syntax error", 2);
    expect_refused(HEAD, "tasks: must not be empty", 1);
    expect_refused(HEAD "tasks: []\n", "tasks: must not be empty", 3);
    expect_refused(HEAD "tasks: {a: b}\n", "Illegal flow source: YAML parsing error", 3);
    expect_refused("namespace: n\n" TASK, "id: must not be null", 1);
    expect_refused("id: my#flow\nnamespace: n\n" TASK,
                   "id: must match \"^[a-zA-Z0-9][a-zA-Z0-9._-]*\"", 1);
    expect_refused("id: a\nnamespace: MY$SPACE\n" TASK, "namespace: must match", 2);
    expect_refused("id: pause\nnamespace: n\n" TASK, "Flow id is a reserved keyword: pause", 1);
    expect_refused(HEAD TASK "tsaks: []\n", "Unrecognized field \"tsaks\"", 5);
    expect_refused(HEAD TASK "concurrency: {limit: 0}\n",
                   "concurrency.limit: must be greater than or equal to 1", 5);
    expect_refused(HEAD TASK "concurrency: {limit: 1, behavior: WRONG}\n", "\"WRONG\"", 5);
}

static void flow_refuses_tasks_that_are_wrong(void **state)
{
    (void)state;
    expect_refused(HEAD "tasks:\n- {id: t, type: io.kestra.invalid}\n",
                   "Invalid type: io.kestra.invalid", 4);
    expect_refused(HEAD "tasks:\n- {id: t}\n", "Invalid type: null", 4);
    expect_refused(HEAD "tasks:\n- {type: " LOG ", message: x}\n", "tasks[0].id: must not be null",
                   4);
    expect_refused(HEAD "tasks:\n- {id: a b, type: " LOG ", message: x}\n",
                   "tasks[0].id: must match", 4);
    expect_refused(HEAD "tasks:\n- {id: t, type: " LOG "}\n", "tasks[0].message: must not be null",
                   4);
    expect_refused(HEAD "tasks:\n- {id: t, type: " LOG ", message: x, invalid: 1}\n",
                   "Unrecognized field \"invalid\"", 4);
    expect_refused(HEAD "tasks:\n- {id: t, type: " LOG ", message: x, timeout: 5 min}\n",
                   "tasks[0].timeout: Invalid duration '5 min'", 4);
    expect_refused(HEAD "tasks:\n- a\n", "expected a map, found a string", 4);
    expect_refused(HEAD "tasks:\n- {id: t, type: " FLOW "Switch, value: x, cases: {}}\n",
                   "No task defined, neither cases or default have any tasks", 4);
    expect_refused(HEAD "tasks:\n- id: t\n  type: " FLOW "Sequential\n  tasks:\n"
                        "  - {id: u, type: a.B}\n",
                   "tasks[0].tasks[0]: Invalid type: a.B", 7);
    expect_refused(HEAD "listeners:\n- tasks: []\n" TASK, "listeners[0].tasks: must not be empty",
                   4);
    expect_refused(HEAD TASK "triggers:\n- {id: x, type: " LOG "}\n", "Invalid type: " LOG, 6);
}

static void flow_refuses_retries_that_cannot_be(void **state)
{
    (void)state;
#define RETRY(text) HEAD "tasks:\n- id: t\n  type: " LOG "\n  message: x\n  retry: " text "\n"
    expect_refused(RETRY("{type: constant, interval: PT10S, maxDuration: PT1S}"),
                   "'interval' must be less than 'maxDuration'", 7);
    expect_refused(RETRY("{type: constant}"), "tasks[0].retry.interval: must not be null", 7);
    expect_refused(RETRY("{type: exponential, interval: PT10S, maxInterval: PT1S}"),
                   "'interval' must be less than 'maxInterval'", 7);
    expect_refused(RETRY("{type: constant, interval: PT1S, maxInterval: PT9S}"),
                   "Unrecognized field \"maxInterval\" of retry 'constant'", 7);
    expect_refused(RETRY("{type: random, minInterval: PT2S, maxInterval: PT1S}"),
                   "'minInterval' must be less than 'maxInterval'", 7);
    expect_refused(RETRY("{type: never}"), "\"never\"", 7);
    expect_refused(RETRY("{type: constant, interval: PT1S, maxAttempts: 0}"),
                   "must be greater than or equal to 1", 7);
}

static void flow_refuses_duplicate_ids(void **state)
{
    (void)state;
    expect_refused(HEAD "listeners: [{tasks: [{id: b, type: " LOG ", message: x}]}]\n"
                        "tasks:\n"
                        "- {id: a, type: " LOG ", message: x}\n"
                        "- {id: b, type: " LOG ", message: x}\n"
                        "- id: s\n"
                        "  type: " FLOW "Sequential\n"
                        "  tasks: [{id: a, type: " LOG ", message: x}]\n"
                        "errors: [{id: a, type: " LOG ", message: x}]\n",
                   "Invalid Flow: Duplicate task id with name [a, b]", 9);
    expect_refused(HEAD TASK "triggers:\n"
                             "- {id: x, type: io.kestra.plugin.core.trigger.Webhook, key: k}\n"
                             "- {id: x, type: io.kestra.plugin.core.trigger.Webhook, key: k}\n",
                   "Duplicate trigger id with name [x]", 7);
    expect_refused(HEAD TASK "outputs: [{id: o, value: 1}, {id: o, value: 2}]\n",
                   "Duplicate output with name [o]", 5);
    expect_refused(HEAD TASK
                   "triggers:\n"
                   "- {id: x, type: io.kestra.plugin.core.trigger.Flow, preconditions: {id: p}}\n"
                   "- {id: y, type: io.kestra.plugin.core.trigger.Flow, preconditions: {id: p}}\n",
                   "Duplicate preconditions with id [p]", 7);
    AUTO(flow_unrefp)
    struct flow *flow = parse(
        HEAD TASK "triggers:\n- {id: t, type: io.kestra.plugin.core.trigger.Webhook, key: k}\n"
                  "inputs: [{id: t, type: INT}]\n");
    assert_non_null(flow);
}

static void flow_refuses_inputs_that_are_wrong(void **state)
{
    (void)state;
#define INPUT(text) HEAD TASK "inputs: [" text "]\n"
    expect_refused(INPUT("{id: a}"), "Invalid type: null", 5);
    expect_refused(INPUT("{id: a, type: STRNG}"), "Invalid type: STRNG", 5);
    expect_refused(INPUT("{type: INT}"), "inputs[0].id: must not be null", 5);
    expect_refused(INPUT("{id: wrong one, type: INT}"), "inputs[0].id: must match", 5);
    expect_refused(INPUT("{id: a, type: INT, values: [1]}"), "Unrecognized field \"values\"", 5);
    expect_refused(INPUT("{id: a, type: INT, required: false, defaults: 5}"),
                   "Inputs with a default value must be required", 5);
    expect_refused(INPUT("{id: a, type: INT, defaults: 5, prefill: 6}"), "prefill", 5);
    expect_refused(INPUT("{id: a, type: STRING, validator: '['}"), "invalid regex", 5);
    expect_refused(INPUT("{id: a, type: ARRAY}"), "inputs[0].itemType: must not be null", 5);
    expect_refused(INPUT("{id: a, type: ARRAY, itemType: SECRET}"), "`itemType` cannot be SECRET",
                   5);
    expect_refused(INPUT("{id: a, type: SELECT}"), "either `values` or `expression`", 5);
    expect_refused(INPUT("{id: a, type: SELECT, values: [x], expression: '{{ y }}'}"),
                   "both `values` and `expression`", 5);
    expect_refused(INPUT("{id: a, type: SELECT, values: [x, y], defaults: z}"),
                   "it must match the values `[x, y]`", 5);
    expect_refused(INPUT("{id: a, type: ENUM}"), "inputs[0].values: must not be empty", 5);
    expect_refused(INPUT("{id: a, type: FILE, defaults: abc}"), "file:// or nsfile://", 5);
    expect_refused(INPUT("{id: a, type: DATE, after: yesterday}"), "'after' must be a date", 5);
    expect_refused(INPUT("{id: a, type: FORM, inputs: [{id: b, type: FORM, inputs: []}]}"),
                   "cannot stand inside a FORM", 5);
    expect_refused(INPUT("{id: a, type: INT}, {id: a, type: INT}"), "Duplicate input with name [a]",
                   5);
    expect_refused(INPUT("{id: a, type: INT}, {id: a.b, type: INT}"),
                   "Input path 'a' conflicts with 'a.b'", 5);
    expect_refused(INPUT("{id: a.b, type: INT}, {id: a, type: FORM, inputs: [{id: b, type: INT}]}"),
                   "Duplicate input path [a.b]", 5);
    expect_refused(INPUT("{id: a, type: INT, dependsOn: {inputs: [b]}}"),
                   "Input with id 'a' depends on a non-existent input 'b'.", 5);
    expect_refused(INPUT("{id: a, type: INT, dependsOn: {inputs: [b]}}, "
                         "{id: b, type: INT, dependsOn: {inputs: [a]}}"),
                   "Cycle dependency detected for input with id 'a'", 5);
    expect_refused(INPUT("{id: a, type: INT, defaults: five}"),
                   "inputs[0].defaults: default 'five' is not a value of type INT", 5);
    expect_refused(INPUT("{id: a, type: DATETIME, defaults: 2024-01-01}"),
                   "is not a value of type DATETIME", 5);
    expect_refused(INPUT("{id: a, type: FORM, inputs: [{id: b, type: INT}]}, {id: a.b, type: INT}"),
                   "Duplicate input path [a.b]", 5);
    expect_note(INPUT("{id: a, type: BOOLEAN}"), DIAG_DEPRECATION, "use BOOL", "inputs[0].type");
    expect_note(INPUT("{id: a, type: ENUM, values: [x]}"), DIAG_DEPRECATION, "use SELECT",
                "inputs[0].type");
    expect_note(INPUT("{name: a, type: INT}"), DIAG_DEPRECATION, "now called 'id'",
                "inputs[0].name");
}

static void flow_refuses_labels_that_are_wrong(void **state)
{
    (void)state;
    expect_refused(HEAD "labels: {system.label: x, system.id: y}\n" TASK,
                   "System labels can only be set by Kestra itself, offending label: "
                   "system.label=x, System labels can only be set by Kestra itself, offending "
                   "label: system.id=y",
                   3);
    expect_refused(HEAD "labels: {Team: x}\n" TASK, "must match \"^[\\p{Ll}]", 3);
    expect_refused(HEAD "labels: {team: [x]}\n" TASK, "Unsupported type for key 'team'", 3);
    expect_refused(HEAD "labels: [{key: team, value: ''}]\n" TASK, "must not be empty", 3);
    expect_refused(HEAD "labels: text\n" TASK, "expected a map of labels", 3);
    AUTO(flow_unrefp)
    struct flow *flow =
        parse(HEAD "labels: [{key: a, value: 1}, {key: éa, value: true}, {key: a, value: 2},\n"
                   "         {key: system.readOnly, value: true}]\n" TASK);
    assert_int_equal(flow->labels_count, 3);
    assert_string_equal(flow->labels[0].value, "2");
    assert_string_equal(flow->labels[1].value, "true");
}

static void flow_refuses_references_with_a_dash(void **state)
{
    (void)state;
    expect_refused(HEAD "inputs: [{id: my-in, type: INT}]\n"
                        "tasks:\n- {id: t, type: " LOG ", message: 'x {{ inputs.my-in + 1 }}'}\n",
                   "Invalid input reference: use inputs[key-name] instead of inputs.key-name in "
                   "keys [t]",
                   5);
    expect_refused(HEAD "tasks:\n"
                        "- {id: a-b, type: " RETURN ", format: x}\n"
                        "- id: s\n"
                        "  type: " FLOW "Sequential\n"
                        "  tasks: [{id: c, type: " RETURN ", format: '{{outputs.a-b.value}}'}]\n",
                   "Invalid output reference: use outputs[key-name] instead of outputs.key-name in "
                   "keys [c]",
                   7);
    expect_refused(HEAD "inputs: [{id: my-in, type: INT}]\n"
                        "variables: {v: '{{ inputs.my-in }}'}\n" TASK,
                   "inputs.key-name in keys [variables]", 4);
    static const char *const fine[] = {
        "{{ inputs['my-in'] }}", "{{ inputs.my - in }}", "inputs.my-in",
        "{{ x.inputs.my-in }}",  "{{ 'inputs.my-in' }}", "{{ inputs.my-inner }}",
    };
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
        char source[400];
        (void)snprintf(source, sizeof(source),
                       HEAD "inputs: [{id: my-in, type: INT}]\ntasks:\n- {id: t, type: " LOG
                            ", message: \"%s\"}\n",
                       fine[i]);
        flow_unref(parse(source));
    }
}

static void flow_warns_of_expressions_with_mistakes_where_they_stand(void **state)
{
    (void)state;
    static const struct {
        const char *task;
        uint32_t line;
        uint32_t column;
    } rows[] = {
        { "- {id: t, type: " LOG ", message: '{{ a + }}'}", 4, 65 },
        { "- id: t\n  type: " LOG "\n  message: \"é {{ a + }}\"", 6, 22 },
        { "- id: t\n  type: " LOG "\n  message: {{ a + }} x", 0, 0 },
        { "- id: t\n  type: " LOG "\n  message: |\n    one\n    two {{ a + }}", 8, 16 },
        { "- id: t\n  type: " LOG "\n  message: x\n  runIf: \"{{ a + }}\"", 7, 18 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct diag_list list = diag_list_new(arena, "f.yml");
        const char *source = arena_printf(arena, HEAD "tasks:\n%s\n", rows[i].task);
        struct flow *flow = parse_with(source, NULL, &list);
        if (rows[i].line == 0) {
            assert_null(flow); // not YAML
            continue;
        }
        assert_non_null(flow);
        flow_unref(flow);
        const struct diag *diag = &list.all.items[0];
        assert_string_equal(diag->code, "expression-syntax");
        assert_int_equal(diag->level, DIAG_WARNING);
        if (diag->line != rows[i].line || diag->column != rows[i].column)
            fail_msg("%s\n%u:%u: %s", source, diag->line, diag->column, diag->message);
    }
}

static void flow_identity_is_known_of_a_flow_with_mistakes(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    const char *id = NULL;
    const char *namespace = NULL;
    const char *source = "id: a\nnamespace: n\ntasks: 5\n";
    assert_true(flow_identity(arena, source, strlen(source), &namespace, &id));
    assert_string_equal(id, "a");
    assert_string_equal(namespace, "n");
    source = "id: 007\ntasks: [\n";
    assert_false(flow_identity(arena, source, strlen(source), &namespace, &id));
    source = "id: 007\n";
    assert_true(flow_identity(arena, source, strlen(source), &namespace, &id));
    assert_string_equal(id, "007");
    assert_null(namespace);
    assert_false(flow_identity(arena, "x: y", 4, &namespace, &id));
}

static void flow_refuses_a_call_of_itself(void **state)
{
    (void)state;
    expect_refused(HEAD "tasks:\n- {id: t, type: " FLOW "Subflow, namespace: n.s, flowId: a}\n",
                   "Recursive call to flow [n.s.a]", 4);
}

static void flow_notes_what_is_old_and_what_has_no_effect(void **state)
{
    (void)state;
    expect_note(HEAD "tasks:\n- {id: t, type: io.kestra.core.tasks.log.Log, message: x}\n",
                DIAG_INFO, "io.kestra.core.tasks.log.Log is replaced by " LOG, "tasks[0]");
    expect_note(HEAD "tasks:\n- {id: t, type: io.kestra.plugin.core.debug.Echo, format: x}\n",
                DIAG_DEPRECATION, "is deprecated", "tasks[0]");
    expect_note(HEAD "tasks:\n- {id: t, type: " FLOW "Pause, delay: PT1S}\n", DIAG_DEPRECATION,
                "now called 'pauseDuration'", "tasks[0].delay");
    expect_note(HEAD TASK "listeners: [{tasks: [{id: l, type: " LOG ", message: x}]}]\n",
                DIAG_DEPRECATION, "deprecated", "listeners");
    expect_note(HEAD "tasks:\n- {id: t, type: " FLOW "Sequential, timeout: PT1S, tasks: []}\n",
                DIAG_WARNING, "has no effect", "tasks[0].timeout");
    expect_note(HEAD "inputs: [{id: x, type: INT}]\n" TASK
                     "triggers: [{id: s, type: io.kestra.plugin.core.trigger.Schedule, cron: x}]\n",
                DIAG_WARNING, "Missing inputs for Schedule Trigger 's': x", "triggers[0]");
}

static void flow_lenient_reads_a_stored_flow_with_unknown_properties(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, NULL);
    struct flow_options options = { .lenient = true };
    AUTO(flow_unrefp)
    struct flow *flow =
        parse_with(HEAD "new: 1\nlabels: {Old: x}\n"
                        "inputs: [{id: i, type: INT, required: false, defaults: 5, more: 1}]\n"
                        "tasks: [{id: t, type: " LOG ", message: x, later: y}]\n",
                   &options, &list);
    assert_non_null(flow);
    assert_int_equal(list.errors, 0);
}

static void flow_suggests_types_and_points_at_them(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, "f.yml");
    assert_null(
        parse_with(HEAD "tasks:\n- {id: t, type: io.kestra.plugin.core.log.Lag}\n", NULL, &list));
    assert_string_equal(list.all.items[0].advice, "did you mean '" LOG "'?");
    assert_int_equal(list.all.items[0].column, 17);
    assert_int_equal(list.all.items[0].width, strlen("io.kestra.plugin.core.log.Lag"));
}

/* ---- plugin defaults ---- */

static const char *property(const struct flow *flow, const char *task, const char *path)
{
    const char *text = value_cstr(value_path(flow_find_task(flow, task)->doc, path));
    return text == NULL ? "" : text;
}

static void defaults_fill_in_by_type_alias_and_prefix(void **state)
{
    (void)state;
    AUTO(flow_unrefp)
    struct flow *flow =
        parse(HEAD "pluginDefaults:\n"
                   "- {type: " LOG ", values: {level: WARN, message: given}}\n"
                   "- {type: io.kestra.plugin.core, values: {description: wide, level: INFO}}\n"
                   "- {type: io.kestra.plugin.core.log, forced: true, values: {logLevel: DEBUG}}\n"
                   "tasks:\n"
                   "- {id: a, type: " LOG "}\n"
                   "- {id: b, type: io.kestra.core.tasks.log.Log, message: own, level: ERROR, "
                   "logLevel: INFO}\n"
                   "- id: c\n"
                   "  type: " FLOW "Sequential\n"
                   "  tasks: [{id: d, type: " LOG "}]\n");
    assert_string_equal(property(flow, "a", "message"), "given");
    assert_string_equal(property(flow, "a", "level"), "WARN");
    assert_string_equal(property(flow, "a", "description"), "wide");
    assert_string_equal(property(flow, "a", "logLevel"), "DEBUG");
    assert_int_equal(flow_find_task(flow, "a")->log_level, LOG_DEBUG);
    assert_string_equal(property(flow, "b", "message"), "own");
    assert_string_equal(property(flow, "b", "level"), "ERROR");
    assert_string_equal(property(flow, "b", "logLevel"), "DEBUG");
    assert_string_equal(property(flow, "d", "message"), "given");
    assert_null(value_get(value_item(value_get(flow->doc, "tasks"), 0), "message"));
    assert_int_equal(flow_find_task(flow, "a")->line, 8);
}

static void defaults_merge_maps_unite_lists_and_reach_what_they_add(void **state)
{
    (void)state;
    AUTO(flow_unrefp)
    struct flow *flow =
        parse(HEAD "taskDefaults:\n"
                   "- type: io.kestra.plugin.scripts\n"
                   "  values:\n"
                   "    taskRunner: {type: io.kestra.plugin.core.runner.Process}\n"
                   "    env: {A: 1, B: 2}\n"
                   "    commands: [first]\n"
                   "- {type: io.kestra.plugin.core.runner, values: {version: '5'}}\n"
                   "tasks:\n"
                   "- id: s\n"
                   "  type: io.kestra.plugin.scripts.shell.Commands\n"
                   "  env: {B: 3}\n"
                   "  commands: [second, first]\n");
    const struct value *doc = flow_find_task(flow, "s")->doc;
    assert_int_equal(value_get_int(value_get(doc, "env"), "A", 0), 1);
    assert_int_equal(value_get_int(value_get(doc, "env"), "B", 0), 3);
    assert_int_equal(value_count(value_get(doc, "commands")), 2);
    assert_string_equal(value_cstr(value_item(value_get(doc, "commands"), 0)), "first");
    assert_string_equal(property(flow, "s", "taskRunner.version"), "5");
}

static void defaults_of_the_server_give_way_unless_forced(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, NULL);
    const char *text = "- {type: " LOG ", values: {level: ERROR, description: server}}\n"
                       "- {type: " LOG ", forced: true, values: {logLevel: ERROR}}\n";
    struct flow_options options = {
        .defaults = yaml_parse(arena, text, strlen(text), NULL, NULL),
    };
    AUTO(flow_unrefp)
    struct flow *flow =
        parse_with(HEAD "pluginDefaults:\n"
                        "- {type: " LOG ", values: {level: WARN}}\n"
                        "- {type: " LOG ", forced: true, values: {logLevel: INFO}}\n" TASK,
                   &options, &list);
    assert_string_equal(property(flow, "t", "level"), "WARN");
    assert_string_equal(property(flow, "t", "description"), "server");
    assert_string_equal(property(flow, "t", "logLevel"), "ERROR");
}

static void defaults_by_ref_replace_those_by_type(void **state)
{
    (void)state;
    AUTO(flow_unrefp)
    struct flow *flow = parse(HEAD "pluginDefaults:\n"
                                   "- {type: " LOG ", values: {level: WARN}}\n"
                                   "- {type: other, ref: mine, values: {message: by ref}}\n"
                                   "tasks:\n- {id: t, type: " LOG ", pluginDefaultsRef: mine}\n");
    assert_string_equal(property(flow, "t", "message"), "by ref");
    assert_string_equal(property(flow, "t", "level"), "");
    expect_refused(HEAD "tasks:\n- {id: t, type: " LOG ", message: x, pluginDefaultsRef: no}\n",
                   "No plugin-defaults exists for pluginDefaultsRef: 'no'", 4);
}

static void defaults_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    expect_refused(HEAD "pluginDefaults:\n- {type: " LOG ", values: {not: existing}}\n" TASK,
                   "Invalid Plugin Default: No property 'not' exists in plugin '" LOG "'", 4);
    expect_refused(HEAD "pluginDefaults:\n- {type: " LOG ", values: {level: null}}\n" TASK,
                   "Invalid Plugin Default: property 'level' has no value", 4);
    expect_refused(HEAD "pluginDefaults:\n- {values: {level: INFO}}\n" TASK,
                   "pluginDefaults[0].type: must not be empty", 4);
    expect_refused(HEAD
                   "pluginDefaults:\n"
                   "- {type: io.k, values: {assets: {a: {type: io.k}, b: {type: io.k}}}}\n" TASK,
                   "without end", 4);
    expect_note(HEAD "pluginDefaults:\n- {type: io.kestra.plugin, values: {zz: 1}}\n" TASK,
                DIAG_WARNING, "No property 'zz' exists", "pluginDefaults[0].values.zz");
}

/* ---- bounds ---- */

static void flow_bounds_depth_and_number_of_tasks(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct buf text = { 0 };
    buf_puts(&text, HEAD "tasks: ");
    for (int i = 0; i < 70; i++)
        buf_printf(&text, "[{id: t%d, type: " FLOW "Sequential, tasks: ", i);
    buf_puts(&text, "[]");
    for (int i = 0; i < 70; i++)
        buf_puts(&text, "}]");
    struct diag_list list = diag_list_new(arena, NULL);
    assert_null(parse_with(buf_text(&text), NULL, &list));
    assert_non_null(strstr(diag_constraints(&list, false), "tasks are nested more than 64 deep"));

    buf_clear(&text);
    buf_puts(&text, HEAD "tasks:\n");
    for (int i = 0; i < 20001; i++)
        buf_printf(&text, "- {id: t%d, type: " RETURN "}\n", i);
    list = diag_list_new(arena, NULL);
    assert_null(parse_with(buf_text(&text), NULL, &list));
    assert_non_null(strstr(diag_constraints(&list, false), "a flow holds at most 20000 tasks"));

    buf_clear(&text);
    for (size_t i = 0; i < FLOW_BYTES_MAX; i++)
        buf_putc(&text, '#');
    buf_puts(&text, "\n");
    list = diag_list_new(arena, NULL);
    assert_null(parse_with(buf_text(&text), NULL, &list));
    assert_string_equal(list.all.items[0].code, "too-large");
    buf_free(&text);
}

static void flow_refuses_hostile_documents_with_a_place(void **state)
{
    (void)state;
    struct buf text = { 0 };
    buf_puts(&text, HEAD "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 20; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 9; k++)
            buf_printf(&text, "%s*a%d", k == 0 ? "" : ", ", i - 1);
        buf_puts(&text, "]\n");
    }
    expect_refused(buf_text(&text), "aliases expand the document", 8);
    buf_clear(&text);
    buf_puts(&text, HEAD "tasks: ");
    for (int i = 0; i < 1000000; i++)
        buf_putc(&text, '[');
    expect_refused(buf_text(&text), "nested more than 320 deep", 3);
    buf_free(&text);
    expect_refused(HEAD "tasks: \x01\x02\n", "control characters are not allowed", 3);
    expect_refused(HEAD "tasks: \xff\xfe\n", "invalid leading UTF-8 octet", 3);
}

/* Each of these would take hours if its cost grew with the square of the size. */
static void flow_cost_grows_with_its_size(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct buf text = { 0 };
    buf_puts(&text, HEAD "labels:\n");
    for (int i = 0; i < MANY; i++)
        buf_printf(&text, "  k%d: v\n", i);
    buf_puts(&text, TASK);
    flow_unref(parse(buf_text(&text)));

    buf_clear(&text);
    buf_puts(&text, HEAD TASK);
    for (int i = 0; i < MANY; i++)
        buf_printf(&text, "unknown%d: v\n", i);
    struct diag_list list = diag_list_new(arena, NULL);
    assert_null(parse_with(buf_text(&text), NULL, &list));
    assert_int_equal(list.errors, MANY);

    buf_clear(&text);
    buf_puts(&text, HEAD TASK "inputs:\n- {id: m, type: MULTISELECT, values: [");
    for (int i = 0; i < MANY / 2; i++)
        buf_printf(&text, "v%d, ", i);
    buf_puts(&text, "x], defaults: [");
    for (int i = 0; i < MANY / 2; i++)
        buf_printf(&text, "w%d, ", i);
    buf_puts(&text, "x]}\n");
    list = diag_list_new(arena, NULL);
    assert_null(parse_with(buf_text(&text), NULL, &list));
    assert_int_equal(list.errors, MANY / 2);

    buf_clear(&text);
    buf_puts(&text, HEAD "pluginDefaults:\n- {type: " LOG ", values: {message: [");
    for (int i = 0; i < MANY / 2; i++)
        buf_printf(&text, "v%d, ", i);
    buf_puts(&text, "x]}}\ntasks:\n- {id: t, type: " LOG ", message: [");
    for (int i = 0; i < MANY / 2; i++)
        buf_printf(&text, "w%d, ", i);
    buf_puts(&text, "x]}\n");
    struct flow *flow = parse(buf_text(&text));
    assert_int_equal(value_count(value_get(flow_find_task(flow, "t")->doc, "message")), MANY + 1);
    flow_unref(flow);
    buf_free(&text);
}

static void flow_bounds_what_plugin_defaults_copy(void **state)
{
    (void)state;
    struct buf text = { 0 };
    buf_puts(&text, HEAD "pluginDefaults:\n- {type: io.kestra, values: {assets: {");
    for (int i = 0; i < 1000; i++)
        buf_printf(&text, "k%d: v, ", i);
    buf_puts(&text, "x: y}}}\ntasks:\n");
    for (int i = 0; i < 10000; i++)
        buf_printf(&text, "- {id: t%d, type: " RETURN "}\n", i);
    expect_refused(buf_text(&text), "apply to too much", 1996);
    buf_free(&text);
}

static void flow_source_comparison_ignores_the_revision_line(void **state)
{
    (void)state;
    assert_true(flow_source_equal("a\nrevision: 1\nb\n", "a\nb\n"));
    assert_true(flow_source_equal("a\nrevision: 1\nb", "a\nrevision: 2\nb"));
    assert_false(flow_source_equal("a\n revision: 1\nb", "a\nb"));
    assert_false(flow_source_equal("a\nb", "a\nb\nc"));
    assert_true(flow_source_equal("", "revision: 5"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(flow_reads_the_whole_document),
    cmocka_unit_test(flow_takes_the_namespace_of_its_folder),
    cmocka_unit_test(flow_refuses_what_is_not_a_flow),
    cmocka_unit_test(flow_refuses_tasks_that_are_wrong),
    cmocka_unit_test(flow_refuses_retries_that_cannot_be),
    cmocka_unit_test(flow_refuses_duplicate_ids),
    cmocka_unit_test(flow_refuses_inputs_that_are_wrong),
    cmocka_unit_test(flow_refuses_labels_that_are_wrong),
    cmocka_unit_test(flow_refuses_references_with_a_dash),
    cmocka_unit_test(flow_warns_of_expressions_with_mistakes_where_they_stand),
    cmocka_unit_test(flow_identity_is_known_of_a_flow_with_mistakes),
    cmocka_unit_test(flow_refuses_a_call_of_itself),
    cmocka_unit_test(flow_notes_what_is_old_and_what_has_no_effect),
    cmocka_unit_test(flow_lenient_reads_a_stored_flow_with_unknown_properties),
    cmocka_unit_test(flow_suggests_types_and_points_at_them),
    cmocka_unit_test(defaults_fill_in_by_type_alias_and_prefix),
    cmocka_unit_test(defaults_merge_maps_unite_lists_and_reach_what_they_add),
    cmocka_unit_test(defaults_of_the_server_give_way_unless_forced),
    cmocka_unit_test(defaults_by_ref_replace_those_by_type),
    cmocka_unit_test(defaults_that_make_no_sense_are_refused),
    cmocka_unit_test(flow_bounds_depth_and_number_of_tasks),
    cmocka_unit_test(flow_refuses_hostile_documents_with_a_place),
    cmocka_unit_test(flow_cost_grows_with_its_size),
    cmocka_unit_test(flow_bounds_what_plugin_defaults_copy),
    cmocka_unit_test(flow_source_comparison_ignores_the_revision_line),
};
TEST_GROUP(flow, tests)
