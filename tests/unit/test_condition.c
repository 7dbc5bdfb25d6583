/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/timefmt.h"
#include "core/expr/expr.h"
#include "core/tz.h"
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

static bool evaluate_in(struct arena *arena,
                        const char *type,
                        const char *props,
                        const char *date,
                        const struct tz *tz,
                        struct condition_span *span,
                        bool *ok)
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
        .tz = tz,
        .span = condition_span_all(),
    };
    char text[1024];
    (void)snprintf(text, sizeof(text), "{type: %s, %s}", type, props);
    struct error err = { 0 };
    bool holds = false;
    *ok = condition_holds(yaml(arena, text), &env, &holds, &err);
    *span = env.span;
    return holds;
}

static bool evaluate(
    struct arena *arena, const char *type, const char *props, const char *date, bool *ok)
{
    struct condition_span span;
    return evaluate_in(arena, type, props, date, NULL, &span, ok);
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
        { P "PublicHoliday", "id: x", "2026-07-15T09:00:00+02:00", false },
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

static bool holds_at(const char *type,
                     const char *props,
                     const struct tz *tz,
                     usec_t at,
                     struct condition_span *span)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct civil civil = civil_of(tz_local(tz, at));
    struct buf text = { 0 };
    time_write_date(&text, &civil);
    buf_putc(&text, 'T');
    time_write_time(&text, &civil, 6, true);
    time_write_offset(&text, tz_offset(tz, at));
    bool ok = false;
    bool holds = evaluate_in(arena, type, props, buf_text(&text), tz, span, &ok);
    buf_free(&text);
    assert_true(ok);
    return holds;
}

static void an_answer_is_the_same_for_all_of_its_span(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        { P "Weekend", "id: x" },
        { P "DayWeekInMonth", "dayOfWeek: MONDAY, dayInMonth: FIRST" },
        { P "PublicHoliday", "country: FR, date: '{{trigger.date}}'" },
        { P "TimeBetween", "after: '09:00:00+01:00', before: '17:30:00+01:00'" },
        { P "TimeBetween", "after: '22:00:00Z', before: '06:00:00Z'" },
        { P "TimeBetween", "before: '01:30:00+02:00'" },
        { P "DateTimeBetween", "after: '2026-03-29T02:30:00+01:00'" },
        { P "DateTimeBetween", "after: '2026-03-20T00:00:00Z', before: '2026-10-25T01:00:00Z'" },
        { P "Not", "conditions: [{type: " P "Weekend}, {type: " P "PublicHoliday, country: FR}]" },
        { P "Or", "conditions: [{type: " P "Weekend}, {type: " P
                  "TimeBetween, after: '12:00:00Z', before: '13:00:00Z'}]" },
        { P "Weekend", "date: '2026-11-28T10:00:00Z'" },
    };
    const struct tz *tz = tz_get("Europe/Paris", NULL);
    usec_t begin = test_time("2026-01-01T00:00:00Z");
    struct rng rng = { .state = 7 };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t round = 0; round < 200; round++) {
            usec_t at = begin + (usec_t)rng_below(&rng, 366ULL * 24 * 3600) * USEC_SEC;
            struct condition_span span;
            struct condition_span other;
            bool holds = holds_at(rows[i][0], rows[i][1], tz, at, &span);
            if (span.varies || span.since > at || span.until <= at)
                fail_msg("%s {%s}: no span at %lld", rows[i][0], rows[i][1], (long long)at);
            usec_t first = span.since < begin ? begin : span.since;
            usec_t last = span.until > begin + 366 * USEC_DAY ? begin + 366 * USEC_DAY : span.until;
            usec_t between = first + (usec_t)rng_below(&rng, (uint64_t)(last - first));
            if (holds_at(rows[i][0], rows[i][1], tz, first, &other) != holds ||
                holds_at(rows[i][0], rows[i][1], tz, last - 1, &other) != holds ||
                holds_at(rows[i][0], rows[i][1], tz, between, &other) != holds)
                fail_msg("%s {%s}: another answer near %lld", rows[i][0], rows[i][1],
                         (long long)at);
        }
    }
    struct condition_span span;
    (void)holds_at(P "Expression", "expression: '{{ trigger.date }}'", tz, begin, &span);
    assert_true(span.varies);
    (void)holds_at(P "Weekend", "date: '{{ trigger.date | dateAdd(1, \"DAYS\") }}'", tz, begin,
                   &span);
    assert_true(span.varies);
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
    cmocka_unit_test(an_answer_is_the_same_for_all_of_its_span),
    cmocka_unit_test(a_condition_that_cannot_be_evaluated_is_an_error),
};
TEST_GROUP(condition, tests)
