/* SPDX-License-Identifier: Apache-2.0 */
/* Specs of triggers, when they fire, windows of preconditions. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"
#include "core/json.h"
#include "core/tz.h"
#include "core/value.h"
#include "runtime/scheduler/schedule.h"
#include "runtime/scheduler/window.h"
#include "tests/support/engine_bed.h"
#include "tests/support/test.h"

static struct spec spec_of(struct arena *arena, const char *text)
{
    struct spec spec;
    struct error err = { 0 };
    if (!spec_parse(arena, text, &spec, &err))
        fail_msg("%s", err.text);
    return spec;
}

/* The spec of the only trigger of a flow. */
static const char *written(struct arena *arena, const char *trigger)
{
    struct buf yaml = { 0 };
    buf_printf(&yaml, "tasks: [{id: a, type: Log, message: x}]\ntriggers:\n%s", trigger);
    struct flow *flow = bed_flow(buf_text(&yaml));
    struct buf spec = { 0 };
    struct error err = { 0 };
    if (!spec_write(&flow->triggers[0], "Europe/Paris", NULL, &spec, &err))
        fail_msg("%s", err.text);
    const char *text = buf_dup(&spec, arena);
    buf_free(&spec);
    buf_free(&yaml);
    flow_unref(flow);
    return text;
}

static void spec_says_what_scheduling_needs(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    static const struct {
        const char *trigger;
        const char *spec;
    } rows[] = {
        { "  - {id: t, type: Schedule, cron: \"0 9 * * MON-FRI\"}\n",
          "c||0|Europe/Paris|0 9 * * MON-FRI" },
        { "  - {id: t, type: Schedule, cron: \"*/5 0 9 * * *\", withSeconds: true, "
          "timezone: UTC, recoverMissedSchedules: LAST, lateMaximumDelay: PT10M, "
          "when: \"{{ true }}\", inputs: {a: 1}}\n",
          "c|szciL|600000000|UTC|*/5 0 9 * * *" },
        { "  - {id: t, type: ScheduleOnDates, dates: [2026-02-01T00:00:00Z, "
          "2026-01-01T00:00:00+01:00]}\n",
          "d||0|Europe/Paris|1767222000000000,1769904000000000" },
        { "  - {id: t, type: Webhook, key: k}\n", "w" },
        { "  - {id: t, type: io.kestra.plugin.core.http.Trigger, uri: \"http://x\", "
          "interval: PT5M}\n",
          "p|300000000" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_string_equal(written(arena, rows[i].trigger), rows[i].spec);
}

static void spec_of_a_flow_trigger_names_the_flows_it_can_react_to(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    const char *text = written(arena, "  - id: t\n"
                                      "    type: io.kestra.plugin.core.trigger.Flow\n"
                                      "    states: [SUCCESS]\n"
                                      "    preconditions:\n"
                                      "      id: p\n"
                                      "      flows:\n"
                                      "        - {namespace: a.b, flowId: one}\n"
                                      "        - {namespace: c}\n");
    struct spec spec = spec_of(arena, text);
    assert_int_equal(spec.flows_count, 2);
    assert_true(spec_may_react(&spec, "a.b", "one", STATE_SUCCESS));
    assert_false(spec_may_react(&spec, "a.b", "two", STATE_SUCCESS));
    assert_true(spec_may_react(&spec, "c", "any", STATE_SUCCESS));
    assert_false(spec_may_react(&spec, "c.d", "any", STATE_SUCCESS));
    assert_false(spec_may_react(&spec, "c", "any", STATE_FAILED));

    text = written(arena, "  - id: t\n"
                          "    type: io.kestra.plugin.core.trigger.Flow\n"
                          "    conditions:\n"
                          "      - {type: io.kestra.plugin.core.condition.ExecutionFlow, "
                          "namespace: a, flowId: one}\n");
    spec = spec_of(arena, text);
    assert_true(spec_may_react(&spec, "a", "one", STATE_FAILED));
    assert_true(spec_may_react(&spec, "a", "one", STATE_PAUSED));
    assert_false(spec_may_react(&spec, "a", "one", STATE_RUNNING));
    assert_false(spec_may_react(&spec, "a", "two", STATE_FAILED));
}

static void spec_refuses_what_it_did_not_write(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    static const char *const rows[] = {
        "",
        "c",
        "c|",
        "c||0|UTC",
        "c||x|UTC|* * * * *",
        "d|",
        "x|1",
        "p|",
        "p|-5",
        "f|",
        "f|9",
        "d||0|UTC|1,x",
        "c||0|Nowhere/Else|* * * * *",
        "c||0|UTC|* * *",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct spec spec;
        struct error err = { 0 };
        if (spec_parse(arena, rows[i], &spec, &err))
            fail_msg("'%s' was taken", rows[i]);
    }
}

/* ---- firing ---- */

static enum date_answer only_mondays(void *data, usec_t date, struct date_span *same)
{
    (void)same;
    ++*(unsigned *)data;
    return (date / USEC_DAY + 3) % 7 == 0 ? DATE_YES : DATE_NO; // 1970-01-01 was a Thursday
}

static enum date_answer never(void *data, usec_t date, struct date_span *same)
{
    (void)same;
    (void)date;
    ++*(unsigned *)data;
    return DATE_NO;
}

static struct trigger_state schedule_state(void)
{
    return (struct trigger_state){
        .key = 1, .namespace = "n", .flow_id = "f", .trigger_id = "t", .kind = TRIGGER_SCHEDULE
    };
}

static void schedule_registers_the_next_date_on_which_its_conditions_hold(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct spec spec = spec_of(arena, "c|c|0|UTC|0 6 * * *");
    unsigned asked = 0;
    struct date_test test = { .holds = only_mondays, .data = &asked };
    struct trigger_state trigger = schedule_state();
    trigger_register(&trigger, &spec, &test, test_time("2026-01-01T12:00:00Z"));
    assert_int_equal(trigger.next_at, test_time("2026-01-05T06:00:00Z"));
    assert_int_equal(trigger.date, test_time("2026-01-01T12:00:00Z"));

    usec_t next = 0;
    usec_t previous = 0;
    schedule_neighbours(&spec, &test, trigger.next_at, &next, &previous);
    assert_int_equal(next, test_time("2026-01-12T06:00:00Z"));
    assert_int_equal(previous, test_time("2025-12-29T06:00:00Z"));
}

static void schedule_whose_condition_never_holds_looks_at_a_slice_at_a_time(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct spec spec = spec_of(arena, "c|c|0|UTC|* * * * *");
    unsigned asked = 0;
    struct date_test test = { .holds = never, .data = &asked };
    struct trigger_state trigger = schedule_state();
    usec_t now = test_time("2026-01-01T12:00:00Z");
    trigger_register(&trigger, &spec, &test, now);
    assert_int_equal(asked, SCHEDULE_SLICE);
    assert_int_equal(trigger.next_at, now + SCHEDULE_SLICE * USEC_MIN);
    struct fire fire = trigger_fire(&trigger, &spec, &test, RECOVER_ALL, trigger.next_at);
    assert_int_equal(fire.kind, FIRE_NOTHING);
    assert_int_equal(trigger.next_at, now + 2 * SCHEDULE_SLICE * USEC_MIN);
}

static void schedule_fires_and_advances(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct spec spec = spec_of(arena, "c||0|Europe/Paris|0 9 * * *");
    struct trigger_state trigger = schedule_state();
    trigger_register(&trigger, &spec, NULL, test_time("2026-03-28T12:00:00Z"));
    // The clocks go forward in the night: nine o'clock comes an hour earlier.
    assert_int_equal(trigger_wake_at(&trigger), test_time("2026-03-29T07:00:00Z"));
    struct fire fire =
        trigger_fire(&trigger, &spec, NULL, RECOVER_ALL, test_time("2026-03-29T07:00:01Z"));
    assert_int_equal(fire.kind, FIRE_EXECUTION);
    assert_int_equal(fire.date, test_time("2026-03-29T07:00:00Z"));
    assert_int_equal(trigger.next_at, test_time("2026-03-30T07:00:00Z"));
    trigger.execution_id = "x";
    assert_int_equal(trigger_wake_at(&trigger), USEC_NEVER);
    trigger.allow_concurrent = true;
    assert_int_equal(trigger_wake_at(&trigger), trigger.next_at);
}

static void schedule_follows_its_policy_about_missed_dates(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    static const struct {
        const char *spec;
        const char *next;
    } rows[] = {
        { "c|A|0|UTC|0 * * * *", "2026-01-01T13:00:00Z" },
        { "c|L|0|UTC|0 * * * *", "2026-01-02T08:00:00Z" },
        { "c|N|0|UTC|0 * * * *", "2026-01-02T09:00:00Z" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct spec spec = spec_of(arena, rows[i].spec);
        struct trigger_state trigger = schedule_state();
        trigger_register(&trigger, &spec, NULL, test_time("2026-01-01T12:30:00Z"));
        trigger_recover(&trigger, &spec, NULL, RECOVER_ALL, test_time("2026-01-02T08:30:00Z"));
        assert_int_equal(trigger.next_at, test_time(rows[i].next));

        // The same when an execution has blocked the trigger for long.
        trigger_register(&trigger, &spec, NULL, test_time("2026-01-01T12:30:00Z"));
        trigger.execution_id = "x";
        trigger_release(&trigger, &spec, NULL, RECOVER_ALL, false,
                        test_time("2026-01-02T08:30:00Z"));
        assert_null(trigger.execution_id);
        assert_int_equal(trigger.next_at, test_time(rows[i].next));
    }
}

static void schedule_skips_dates_that_are_too_late(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct spec spec = spec_of(arena, "c||600000000|UTC|*/5 * * * *");
    struct trigger_state trigger = schedule_state();
    trigger_register(&trigger, &spec, NULL, test_time("2026-01-01T12:01:00Z"));
    struct fire fire =
        trigger_fire(&trigger, &spec, NULL, RECOVER_ALL, test_time("2026-01-01T14:02:00Z"));
    assert_int_equal(fire.kind, FIRE_EXECUTION);
    assert_int_equal(fire.date, test_time("2026-01-01T13:55:00Z"));
    assert_int_equal(trigger.next_at, test_time("2026-01-01T14:00:00Z"));
}

static void schedule_stops_after_the_states_it_was_told(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct spec spec = spec_of(arena, "c||0|UTC|* * * * *");
    struct trigger_state trigger = schedule_state();
    usec_t now = test_time("2026-01-01T12:00:00Z");
    trigger_register(&trigger, &spec, NULL, now);
    trigger_release(&trigger, &spec, NULL, RECOVER_ALL, true, now);
    assert_true(trigger.disabled);
    assert_int_equal(trigger_wake_at(&trigger), USEC_NEVER);
    trigger_set_disabled(&trigger, &spec, NULL, false, now + USEC_DAY);
    assert_int_equal(trigger.next_at, now + USEC_DAY + USEC_MIN); // nothing is caught up
}

static void backfill_executes_past_dates_and_gives_way(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct error err = { 0 };
    struct spec spec = spec_of(arena, "c||0|UTC|0 * * * *");
    struct trigger_state trigger = schedule_state();
    usec_t now = test_time("2026-01-01T12:30:00Z");
    trigger_register(&trigger, &spec, NULL, now);
    struct backfill wanted = { .start = test_time("2026-01-01T01:00:00Z"),
                               .end = test_time("2026-01-01T03:30:00Z") };
    struct backfill backwards = { .start = wanted.end, .end = wanted.start };
    assert_false(trigger_backfill(&trigger, &spec, NULL, &backwards, now, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_true(trigger_backfill(&trigger, &spec, NULL, &wanted, now, &err));
    assert_false(trigger_backfill(&trigger, &spec, NULL, &wanted, now, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    for (int hour = 1; hour <= 3; hour++) {
        assert_true(trigger_wake_at(&trigger) <= now);
        struct fire fire = trigger_fire(&trigger, &spec, NULL, RECOVER_ALL, now);
        assert_int_equal(fire.kind, FIRE_EXECUTION);
        assert_true(fire.is_backfill);
        assert_int_equal(fire.date, test_time("2026-01-01T00:00:00Z") + hour * USEC_HOUR);
    }
    assert_int_equal(trigger.backfill.start, 0);
    assert_int_equal(trigger.next_at, test_time("2026-01-01T13:00:00Z"));
    assert_true(trigger_backfill(&trigger, &spec, NULL, &wanted, now, &err));
    trigger.backfill.paused = true;
    assert_int_equal(trigger_wake_at(&trigger), USEC_NEVER);
}

static void a_listed_date_comes_however_far_it_is(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    usec_t far = test_time("2098-01-01T00:00:00Z");
    struct spec spec = spec_of(arena, arena_printf(arena, "d||0|UTC|%lld", (long long)far));
    struct trigger_state trigger = schedule_state();
    trigger_register(&trigger, &spec, NULL, test_time("2026-01-01T00:00:00Z"));
    assert_int_equal(trigger.next_at, far);
}

static void a_clock_set_back_brings_no_date_again(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct spec spec = spec_of(arena, "c||0|UTC|0 * * * *");
    struct trigger_state trigger = schedule_state();
    usec_t one = test_time("2026-01-01T01:00:00Z");
    trigger_register(&trigger, &spec, NULL, one - USEC_MIN);
    assert_int_equal(trigger_fire(&trigger, &spec, NULL, RECOVER_ALL, one).date, one);
    trigger_register(&trigger, &spec, NULL, one - USEC_MIN);
    assert_int_equal(trigger.next_at, one + USEC_HOUR);
    trigger_set_disabled(&trigger, &spec, NULL, true, one - USEC_MIN);
    trigger_set_disabled(&trigger, &spec, NULL, false, one - USEC_MIN);
    assert_int_equal(trigger.next_at, one + USEC_HOUR);
    // A clock that was wrong by years does not stop the schedule for years.
    trigger.date = one + 400 * USEC_DAY;
    trigger_register(&trigger, &spec, NULL, one + USEC_MIN);
    assert_int_equal(trigger.next_at, one + USEC_HOUR);
}

static void polling_waits_for_its_answer_and_its_interval(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct spec spec = spec_of(arena, "p|60000000");
    struct trigger_state trigger = schedule_state();
    trigger.kind = TRIGGER_POLLING;
    usec_t now = test_time("2026-01-01T12:00:00Z");
    trigger_register(&trigger, &spec, NULL, now);
    assert_int_equal(trigger_wake_at(&trigger), now + 1);
    assert_int_equal(trigger_fire(&trigger, &spec, NULL, RECOVER_ALL, now).kind, FIRE_POLL);
    assert_int_equal(trigger_wake_at(&trigger), USEC_NEVER);
    trigger_polled(&trigger, &spec, now + USEC_SEC);
    assert_int_equal(trigger_wake_at(&trigger), now + USEC_MIN);
    (void)trigger_fire(&trigger, &spec, NULL, RECOVER_ALL, now + USEC_MIN);
    trigger_recover(&trigger, &spec, NULL, RECOVER_ALL, now + USEC_HOUR);
    assert_int_equal(trigger_wake_at(&trigger), now + 2 * USEC_MIN);
}

/* ---- windows ---- */

static void windows_stand_where_their_rule_puts_them(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    static const struct {
        const char *rule;
        const char *now;
        const char *start; /* NULL: outside */
        const char *end;
    } rows[] = {
        { "null", "2026-01-02T15:30:00Z", "2026-01-02T00:00:00Z", "2026-01-02T23:59:59.999999Z" },
        { "{\"window\":\"PT2H\"}", "2026-01-02T15:30:00Z", "2026-01-02T15:00:00Z",
          "2026-01-02T16:59:59.999999Z" },
        { "{\"window\":\"PT15M\"}", "2026-01-02T15:38:00Z", "2026-01-02T15:30:00Z",
          "2026-01-02T15:44:59.999999Z" },
        { "{\"window\":\"P1D\",\"windowAdvance\":\"PT6H\"}", "2026-01-02T05:00:00Z",
          "2026-01-01T06:00:00Z", "2026-01-02T05:59:59.999999Z" },
        { "{\"window\":\"P1D\",\"windowAdvance\":\"PT-4H\"}", "2026-01-02T21:00:00Z",
          "2026-01-02T20:00:00Z", "2026-01-03T19:59:59.999999Z" },
        { "{\"type\":\"SLIDING_WINDOW\",\"window\":\"PT1H\"}", "2026-01-02T15:30:00Z",
          "2026-01-02T15:30:00Z", "2026-01-02T16:29:59.999999Z" },
        { "{\"type\":\"DAILY_TIME_DEADLINE\",\"deadline\":\"09:00:00\"}", "2026-01-02T08:59:59Z",
          "2026-01-02T00:00:00Z", "2026-01-02T08:59:59.999999Z" },
        { "{\"type\":\"DAILY_TIME_DEADLINE\",\"deadline\":\"09:00:00\"}", "2026-01-02T09:00:00Z",
          NULL, NULL },
        { "{\"type\":\"DAILY_TIME_WINDOW\",\"startTime\":\"22:00:00\",\"endTime\":\"02:00:00\"}",
          "2026-01-02T01:00:00Z", "2026-01-01T22:00:00Z", "2026-01-02T01:59:59.999999Z" },
        { "{\"type\":\"DAILY_TIME_WINDOW\",\"startTime\":\"22:00:00\",\"endTime\":\"02:00:00\"}",
          "2026-01-02T12:00:00Z", NULL, NULL },
        { "{\"deadline\":\"09:00\",\"timezone\":\"Europe/Paris\"}", "2026-01-02T07:30:00Z",
          "2026-01-01T23:00:00Z", "2026-01-02T07:59:59.999999Z" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct error err = { 0 };
        struct window_rule rule;
        const struct value *doc = json_parse(arena, rows[i].rule, strlen(rows[i].rule), &err);
        if (!window_rule_parse(value_is_null(doc) ? NULL : doc, "UTC", &rule, &err))
            fail_msg("%s: %s", rows[i].rule, err.text);
        usec_t start = 0;
        usec_t end = 0;
        bool inside = window_at(&rule, test_time(rows[i].now), &start, &end);
        if (inside != (rows[i].start != NULL))
            fail_msg("%s at %s", rows[i].rule, rows[i].now);
        if (inside && (start != test_time(rows[i].start) || end != test_time(rows[i].end)))
            fail_msg("%s at %s: %lld to %lld", rows[i].rule, rows[i].now,
                     (long long)(start - test_time(rows[i].now)),
                     (long long)(end - test_time(rows[i].now)));
    }
}

static void a_window_holds_the_instant_it_was_asked_for(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    static const char *const rules[] = {
        "{\"window\":\"P1D\"}",
        "{\"window\":\"PT1H\"}",
        "{\"window\":\"PT25M\",\"windowAdvance\":\"PT-10M\"}",
        "{\"every\":\"P1D\",\"offset\":\"PT2H30M\"}",
        "{\"deadline\":\"02:30\"}",
        "{\"from\":\"02:15\",\"to\":\"02:45\"}",
        "{\"from\":\"22:00\",\"to\":\"02:30\"}",
        "{\"from\":\"02:30\",\"to\":\"05:00\"}",
    };
    static const char *const days[] = { "2026-03-28T12:00:00Z", "2026-10-24T12:00:00Z" };
    for (size_t i = 0; i < COUNT_OF(rules) * COUNT_OF(days); i++) {
        const char *text = rules[i / COUNT_OF(days)];
        struct window_rule rule;
        struct error err = { 0 };
        const struct value *doc = json_parse(arena, text, strlen(text), &err);
        assert_true(window_rule_parse(doc, "Europe/Paris", &rule, &err));
        usec_t begin = test_time(days[i % COUNT_OF(days)]); // the clocks change that night
        for (usec_t now = begin; now < begin + 36 * USEC_HOUR; now += 7 * USEC_MIN) {
            usec_t start = 0;
            usec_t end = 0;
            bool inside = window_at(&rule, now, &start, &end);
            if ((inside && (start > now || end < now)) || window_next(&rule, now) <= now)
                fail_msg("%s at %lld: %lld to %lld", text, (long long)now, (long long)start,
                         (long long)end);
        }
    }
}

static void window_results_survive_their_encoding(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct error err = { 0 };
    struct window_results results = { 0 };
    window_meet(&results, arena, "0");
    window_meet(&results, arena, "late");
    window_meet(&results, arena, "0");
    struct value_builder outputs = value_build(arena);
    value_put_int(&outputs, "rows", 5);
    window_add_outputs(&results, arena, "load", value_build_map(&outputs));
    results.has_fired = true;
    struct buf bytes = { 0 };
    window_encode(&bytes, &results);
    struct window_results copy;
    assert_true(window_decode(arena, bytes.bytes, bytes.length, &copy, &err));
    assert_int_equal(copy.count, 2);
    assert_true(copy.has_fired);
    assert_true(window_is_met(&copy, "late"));
    assert_false(window_is_met(&copy, "1"));
    assert_int_equal(value_get_int(copy.outputs, "rows", 0), 5);
    assert_int_equal(value_get_int(value_get(copy.by_flow, "load"), "rows", 0), 5);
    for (size_t length = 0; length < bytes.length; length++)
        assert_false(window_decode(arena, bytes.bytes, length, &copy, &err));
    buf_free(&bytes);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(spec_says_what_scheduling_needs),
    cmocka_unit_test(spec_of_a_flow_trigger_names_the_flows_it_can_react_to),
    cmocka_unit_test(spec_refuses_what_it_did_not_write),
    cmocka_unit_test(schedule_registers_the_next_date_on_which_its_conditions_hold),
    cmocka_unit_test(schedule_whose_condition_never_holds_looks_at_a_slice_at_a_time),
    cmocka_unit_test(schedule_fires_and_advances),
    cmocka_unit_test(schedule_follows_its_policy_about_missed_dates),
    cmocka_unit_test(schedule_skips_dates_that_are_too_late),
    cmocka_unit_test(schedule_stops_after_the_states_it_was_told),
    cmocka_unit_test(backfill_executes_past_dates_and_gives_way),
    cmocka_unit_test(a_listed_date_comes_however_far_it_is),
    cmocka_unit_test(a_clock_set_back_brings_no_date_again),
    cmocka_unit_test(polling_waits_for_its_answer_and_its_interval),
    cmocka_unit_test(windows_stand_where_their_rule_puts_them),
    cmocka_unit_test(a_window_holds_the_instant_it_was_asked_for),
    cmocka_unit_test(window_results_survive_their_encoding),
};
TEST_GROUP(schedule, tests)
