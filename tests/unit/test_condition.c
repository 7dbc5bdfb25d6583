/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "core/expr/expr.h"
#include "core/value.h"
#include "core/yaml.h"
#include "runtime/plugins.h"
#include "runtime/triggers/condition.h"
#include "tests/support/test.h"

static const struct value *yaml(struct arena *arena, const char *text)
{
    struct error err = { 0 };
    const struct value *value = yaml_parse(arena, text, strlen(text), NULL, &err);
    if (value == NULL)
        fail_msg("%s: %s", text, err.text);
    return value;
}

static const struct label labels[] = { { "team", "data" }, { "tier", "gold" } };
static const char *const retries[] = { "FAILED" };

/* An execution that ended: company.team/nightly, SUCCESS, with one output. */
static struct condition_subject subject_of(struct arena *arena)
{
    return (struct condition_subject){
        .namespace = "company.team",
        .flow_id = "nightly",
        .state = "SUCCESS",
        .labels = labels,
        .labels_count = 2,
        .outputs = yaml(arena, "{rows: 3}"),
        .retry_states = retries,
        .retry_states_count = 1,
    };
}

static bool evaluate(
    struct arena *arena, const char *type, const char *props, const char *date, bool *ok)
{
    struct condition_subject subject = subject_of(arena);
    struct value_builder trigger = value_build(arena);
    value_put_text(&trigger, "date", date);
    value_put(&trigger, "outputs", subject.outputs);
    struct value_builder context = value_build(arena);
    value_put(&context, "trigger", value_build_map(&trigger));
    struct expr_env expr = { .context = value_build_map(&context) };
    struct condition_env env = {
        .plugins = plugins(),
        .expr = &expr,
        .subject = &subject,
        .namespace = "company.listener",
        .flow_id = "publish",
        .scratch = arena,
    };
    char text[1024];
    (void)snprintf(text, sizeof(text), "{type: %s, %s}", type, props);
    struct error err = { 0 };
    bool holds = false;
    *ok = condition_holds(yaml(arena, text), &env, &holds, &err);
    return holds;
}

#define P "io.kestra.plugin.core.condition."

static void conditions_hold_as_their_table_says(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        const char *props;
        const char *date;
        bool expected;
    } rows[] = {
        { P "DayWeek", "dayOfWeek: TUESDAY", "2026-11-24T09:00:00+01:00", true },
        { P "DayWeek", "dayOfWeek: MONDAY", "2026-11-24T09:00:00+01:00", false },
        // the day is that of the date's own offset
        { P "DayWeek", "dayOfWeek: WEDNESDAY", "2026-11-25T00:30:00+02:00", true },
        { P "DayWeekInMonth", "dayOfWeek: MONDAY, dayInMonth: FIRST", "2026-11-02T09:00:00Z",
          true },
        { P "DayWeekInMonth", "dayOfWeek: MONDAY, dayInMonth: SECOND", "2026-11-02T09:00:00Z",
          false },
        { P "DayWeekInMonth", "dayOfWeek: MONDAY, dayInMonth: LAST", "2026-11-30T09:00:00Z", true },
        { P "Weekend", "date: '2026-11-28T10:00:00Z'", "2026-11-24T09:00:00Z", true },
        { P "WeekendCondition", "id: x", "2026-11-24T09:00:00Z", false },
        { P "DateTimeBetween", "after: '2026-01-01T00:00:00Z'", "2026-11-24T09:00:00Z", true },
        { P "DateTimeBetween", "after: '2026-01-01T00:00:00Z', before: '2026-11-24T09:00:00Z'",
          "2026-11-24T09:00:00Z", false },
        { P "TimeBetween", "after: '08:00:00Z', before: '10:00:00Z'", "2026-11-24T09:00:00Z",
          true },
        // crosses midnight
        { P "TimeBetween", "after: '22:00:00Z', before: '06:00:00Z'", "2026-11-24T23:00:00Z",
          true },
        { P "TimeBetween", "after: '22:00:00Z', before: '06:00:00Z'", "2026-11-24T12:00:00Z",
          false },
        { P "PublicHoliday", "country: FR", "2026-07-14T09:00:00+02:00", true },
        { P "PublicHoliday", "country: FR", "2026-07-15T09:00:00+02:00", false },
        { P "Expression", "expression: '{{ trigger.date }}'", "2026-11-24T09:00:00Z", true },
        { P "Expression", "expression: '{{ 1 == 2 }}'", "2026-11-24T09:00:00Z", false },
        { P "Expression", "expression: '0'", "2026-11-24T09:00:00Z", true },
        { P "ExecutionFlow", "namespace: company.team, flowId: nightly", "", true },
        { P "ExecutionFlow", "namespace: company.team, flowId: other", "", false },
        { P "ExecutionNamespace", "namespace: company.team", "", true },
        { P "ExecutionNamespace", "namespace: company", "", false },
        { P "ExecutionNamespace", "namespace: company, prefix: true", "", true },
        { P "ExecutionNamespace", "namespace: team, comparison: SUFFIX", "", true },
        { P "ExecutionStatus", "in: [SUCCESS, WARNING]", "", true },
        { P "ExecutionStatus", "notIn: [SUCCESS]", "", false },
        { P "ExecutionLabels", "labels: {team: data}", "", true },
        { P "ExecutionLabels", "labels: [{key: team, value: data}, {key: tier, value: tin}]", "",
          false },
        { P "ExecutionOutputs", "expression: '{{ trigger.outputs.rows == 3 }}'", "", true },
        { P "ExecutionOutputs", "expression: '{{ trigger.outputs.rows == 4 }}'", "", false },
        { P "HasRetryAttempt", "in: [FAILED]", "", true },
        { P "HasRetryAttempt", "in: [KILLED]", "", false },
        { P "FlowCondition", "namespace: company.listener, flowId: publish", "", true },
        { P "FlowNamespaceCondition", "namespace: company, prefix: true", "", true },
        { P "Not",
          "conditions: [{type: " P "Weekend}, {type: " P "ExecutionFlow, namespace: a, flowId: b}]",
          "2026-11-24T09:00:00Z", true },
        { P "Not",
          "conditions: [{type: " P "Weekend}, {type: " P "ExecutionStatus, in: [SUCCESS]}]",
          "2026-11-24T09:00:00Z", false },
        { P "Or", "conditions: [{type: " P "Weekend}, {type: " P "ExecutionStatus, in: [SUCCESS]}]",
          "2026-11-24T09:00:00Z", true },
        { "io.kestra.core.models.conditions.types.VariableCondition", "expression: 'yes'", "",
          true },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena *arena = arena_new();
        bool ok = false;
        bool holds = evaluate(arena, rows[i].type, rows[i].props, rows[i].date, &ok);
        if (!ok || holds != rows[i].expected)
            fail_msg("row %zu: %s {%s} at %s: %s", i, rows[i].type, rows[i].props, rows[i].date,
                     ok ? "the other way" : "failed");
        arena_free(arena);
    }
}

static void a_condition_that_cannot_be_evaluated_is_an_error(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        { P "Weekend", "id: x", "yesterday" },
        { P "PublicHoliday", "country: XX", "2026-11-24T09:00:00Z" },
        { P "Expression", "expression: '{{ nothing.there }}'", "" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena *arena = arena_new();
        bool ok = true;
        (void)evaluate(arena, rows[i][0], rows[i][1], rows[i][2], &ok);
        if (ok)
            fail_msg("%s {%s}", rows[i][0], rows[i][1]);
        arena_free(arena);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(conditions_hold_as_their_table_says),
    cmocka_unit_test(a_condition_that_cannot_be_evaluated_is_an_error),
};
TEST_GROUP(condition, tests)
