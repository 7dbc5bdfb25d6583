/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules, polling triggers and flow triggers in the driver, over each store. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "core/value.h"
#include "tests/support/driver_bed.h"
#include "tests/support/test.h"

static const char hourly[] = "id: hourly\n"
                             "labels: {team: data}\n"
                             "tasks:\n"
                             "  - {id: a, type: Log, message: \"{{ trigger.date }}\"}\n"
                             "triggers:\n"
                             "  - {id: t, type: Schedule, cron: \"0 * * * *\"}\n";

static const char slow_hourly[] = "id: hourly\n"
                                  "tasks: [{id: a, type: io.weir.test.Work}]\n"
                                  "triggers:\n"
                                  "  - {id: t, type: Schedule, cron: \"0 * * * *\"}\n";

static bool trigger_ask(struct driver_bed *bed,
                        const char *flow,
                        enum trigger_operation operation,
                        struct trigger_request more,
                        enum error_code *code)
{
    struct driver_request request = { .type = REQUEST_TRIGGER };
    request.trigger = more;
    request.trigger.namespace = "company.team";
    request.trigger.flow_id = flow;
    request.trigger.trigger_id = "t";
    request.trigger.operation = operation;
    bool ok = driver_bed_ask(bed, &request);
    if (code != NULL)
        *code = request.error.code;
    return ok;
}

static const char *variable(struct driver_bed *bed,
                            const struct execution_row *row,
                            const char *name)
{
    const struct execution *execution = driver_bed_execution(bed, row->id.text);
    return value_get_text(execution->trigger_variables, name, "");
}

/* ---- schedules ---- */

EACH_STORE(driver_fires_a_schedule_once_per_date)
{
    driver_bed_deploy(bed, hourly);
    assert_int_equal(driver_bed_trigger(bed, "hourly", "t")->next_at, bed_noon + USEC_HOUR);
    driver_bed_advance(bed, bed_noon + 3 * USEC_HOUR);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 3);
    assert_string_equal(variable(bed, &rows[0], "date"), "2026-01-01T13:00:00Z");
    assert_string_equal(variable(bed, &rows[0], "next"), "2026-01-01T14:00:00Z");
    assert_string_equal(variable(bed, &rows[0], "previous"), "2026-01-01T12:00:00Z");
    assert_int_equal(rows[2].state, STATE_SUCCESS);
    assert_int_equal(rows[2].created_at, bed_noon + 3 * USEC_HOUR);
    const struct execution *execution = driver_bed_execution(bed, rows[2].id.text);
    assert_string_equal(execution_label(execution, "system.from"), "trigger");
    assert_string_equal(execution_label(execution, "team"), "data");
    assert_string_equal(execution_label(execution, "system.correlationId"), rows[2].id.text);
    const struct trigger_state *trigger = driver_bed_trigger(bed, "hourly", "t");
    assert_null(trigger->execution_id);
    assert_int_equal(trigger->date, bed_noon + 3 * USEC_HOUR);
    assert_int_equal(trigger->next_at, bed_noon + 4 * USEC_HOUR);
}

static const char hourly_work[] = "id: work\n"
                                  "tasks: [{id: a, type: io.weir.test.Work}]\n"
                                  "triggers: [{id: t, type: Schedule, cron: \"0 * * * *\"}]\n";
static const char hourly_work_again[] =
    "id: work\n"
    "description: changed\n"
    "tasks: [{id: a, type: io.weir.test.Work}]\n"
    "triggers: [{id: t, type: Schedule, cron: \"0 * * * *\"}]\n";

/* An update in the very turn in which a date is due comes before the turn looks at dates. */
/* For builds with sanitizers: timers of both kinds lie in one list of the wheel. */
EACH_STORE(driver_stops_while_a_pause_and_a_schedule_are_due_at_the_same_time)
{
    driver_bed_deploy(bed, hourly);
    driver_bed_deploy(bed, "id: wait\ntasks: [{id: p, type: Pause, pauseDuration: PT1H}]\n");
    const char *id = driver_bed_create(bed, "wait");
    driver_bed_crash(bed);
    assert_string_equal(driver_bed_state(bed, id), "PAUSED");
    driver_bed_crash(bed);
    driver_bed_advance(bed, bed_noon + USEC_HOUR);
    assert_string_equal(driver_bed_state(bed, id), "SUCCESS");
}

EACH_STORE(driver_loses_no_date_to_an_update_of_its_flow)
{
    driver_bed_deploy(bed, hourly_work);
    bed->now = bed_noon + USEC_HOUR;
    driver_bed_deploy(bed, hourly_work_again);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "work", &rows), 1);
    assert_string_equal(variable(bed, &rows[0], "date"), "2026-01-01T13:00:00Z");
    assert_int_equal(rows[0].revision, 2);
    const struct trigger_state *trigger = driver_bed_trigger(bed, "work", "t");
    assert_int_equal(trigger->date, bed_noon + USEC_HOUR);
    assert_int_equal(trigger->next_at, bed_noon + 2 * USEC_HOUR);
}

/* Dates that an execution held up are not caught up on after an update (5.2). */
EACH_STORE(driver_forgets_dates_that_waited_for_a_lock_with_an_update)
{
    driver_bed_deploy(bed, hourly_work);
    driver_bed_advance(bed, bed_noon + 3 * USEC_HOUR + USEC_MIN);
    driver_bed_deploy(bed, hourly_work_again);
    assert_int_equal(driver_bed_trigger(bed, "work", "t")->next_at, bed_noon + 4 * USEC_HOUR);
}

EACH_STORE(driver_unlocks_a_trigger_whose_flow_is_saved_as_its_execution_ends)
{
    driver_bed_deploy(bed, hourly_work);
    driver_bed_advance(bed, bed_noon + USEC_HOUR);
    const struct order *order = driver_bed_order(bed, "a");
    assert_non_null(driver_bed_trigger(bed, "work", "t")->execution_id);
    struct worker_answers answers = driver_worker_answers(bed->driver);
    answers.ended(answers.data, order->execution_id, order->run_id, order->attempt, STATE_SUCCESS,
                  NULL, NULL, NULL, NULL, 0, NULL);
    driver_bed_deploy(bed, hourly_work_again); // in the same turn
    assert_null(driver_bed_trigger(bed, "work", "t")->execution_id);
}

EACH_STORE(driver_catches_up_on_dates_that_passed_while_it_was_down)
{
    driver_bed_deploy(bed, hourly);
    driver_bed_advance(bed, bed_noon + USEC_HOUR);
    driver_bed_kill(bed);
    bed->now = bed_noon + 5 * USEC_HOUR + USEC_MIN;
    driver_bed_start(bed);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(rows[i].fire_at, bed_noon + (i + 1) * USEC_HOUR);

    driver_bed_kill(bed);
    bed->recover_missed = RECOVER_LAST;
    bed->now = bed_noon + 9 * USEC_HOUR + USEC_MIN;
    driver_bed_start(bed);
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 6);
    assert_int_equal(rows[5].fire_at, bed_noon + 9 * USEC_HOUR);

    driver_bed_kill(bed);
    bed->recover_missed = RECOVER_NONE;
    bed->now = bed_noon + 12 * USEC_HOUR + USEC_MIN;
    driver_bed_start(bed);
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 6);
    driver_bed_advance(bed, bed_noon + 13 * USEC_HOUR);
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 7);
}

EACH_STORE(driver_waits_with_a_schedule_until_its_execution_has_ended)
{
    driver_bed_deploy(bed, slow_hourly);
    driver_bed_advance(bed, bed_noon + 3 * USEC_HOUR + USEC_MIN);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 1);
    assert_string_equal(driver_bed_trigger(bed, "hourly", "t")->execution_id, rows[0].id.text);
    driver_bed_crash(bed);
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 1);
    driver_bed_ended(bed, driver_bed_order(bed, "a"), STATE_SUCCESS);
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 2); // the next missed one
    assert_int_equal(rows[1].fire_at, bed_noon + 2 * USEC_HOUR);
    driver_bed_ended(bed, driver_bed_order(bed, "a"), STATE_SUCCESS);
    driver_bed_ended(bed, driver_bed_order(bed, "a"), STATE_SUCCESS);
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 3);
    assert_null(driver_bed_trigger(bed, "hourly", "t")->execution_id);
}

EACH_STORE(driver_lets_a_schedule_overlap_when_it_may)
{
    driver_bed_deploy(bed, "id: hourly\n"
                           "tasks: [{id: a, type: io.weir.test.Work}]\n"
                           "triggers:\n"
                           "  - {id: t, type: Schedule, cron: \"0 * * * *\", "
                           "allowConcurrent: true}\n");
    driver_bed_advance(bed, bed_noon + 3 * USEC_HOUR);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 3);
    assert_int_equal(rows[0].state, STATE_RUNNING);
}

EACH_STORE(driver_disables_a_trigger_after_the_states_it_names)
{
    driver_bed_deploy(bed, "id: hourly\n"
                           "tasks: [{id: a, type: Fail}]\n"
                           "triggers:\n"
                           "  - {id: t, type: Schedule, cron: \"0 * * * *\", "
                           "stopAfter: [FAILED]}\n");
    driver_bed_advance(bed, bed_noon + 3 * USEC_HOUR);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 1);
    assert_true(driver_bed_trigger(bed, "hourly", "t")->disabled);
    // The flag survives an update of the flow.
    driver_bed_deploy(bed, hourly);
    driver_bed_advance(bed, bed_noon + 5 * USEC_HOUR);
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 1);
    assert_true(
        trigger_ask(bed, "hourly", TRIGGER_SET_DISABLED, (struct trigger_request){ 0 }, NULL));
    driver_bed_advance(bed, bed_noon + 6 * USEC_HOUR);
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 2);
}

EACH_STORE(driver_drops_the_state_of_a_trigger_with_its_definition)
{
    driver_bed_deploy(bed, hourly);
    driver_bed_deploy(bed, "id: hourly\ntasks: [{id: a, type: Log, message: x}]\n");
    assert_null(driver_bed_trigger(bed, "hourly", "t"));
    struct execution_row *rows = NULL;
    driver_bed_advance(bed, bed_noon + 3 * USEC_HOUR);
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 0);

    driver_bed_deploy(bed, hourly);
    assert_true(driver_bed_delete_flow(bed, "hourly"));
    assert_null(driver_bed_trigger(bed, "hourly", "t"));
    driver_bed_advance(bed, bed_noon + 6 * USEC_HOUR);
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 0);
}

EACH_STORE(driver_chooses_dates_by_conditions)
{
    driver_bed_deploy(bed, "id: hourly\n"
                           "tasks: [{id: a, type: Log, message: x}]\n"
                           "triggers:\n"
                           "  - id: t\n"
                           "    type: Schedule\n"
                           "    cron: \"0 6 * * *\"\n"
                           "    conditions:\n"
                           "      - {type: DayWeek, dayOfWeek: MONDAY}\n");
    // 2026-01-01 is a Thursday.
    assert_int_equal(driver_bed_trigger(bed, "hourly", "t")->next_at,
                     test_time("2026-01-05T06:00:00Z"));
    driver_bed_advance(bed, test_time("2026-01-13T00:00:00Z"));
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 2);
    assert_string_equal(variable(bed, &rows[0], "next"), "2026-01-12T06:00:00Z");
}

EACH_STORE(driver_shows_a_condition_that_cannot_be_evaluated_as_a_failed_execution)
{
    driver_bed_deploy(bed, "id: hourly\n"
                           "tasks: [{id: a, type: Log, message: x}]\n"
                           "triggers:\n"
                           "  - id: t\n"
                           "    type: Schedule\n"
                           "    cron: \"0 * * * *\"\n"
                           "    conditions:\n"
                           "      - {type: Expression, expression: \"{{ nothing.here }}\"}\n");
    driver_bed_advance(bed, bed_noon + USEC_HOUR);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 1);
    assert_int_equal(rows[0].state, STATE_FAILED);
    assert_int_equal(rows[0].runs_count, 0);
}

EACH_STORE(driver_gives_trigger_inputs_and_labels_to_the_execution)
{
    driver_bed_deploy(bed, "id: hourly\n"
                           "inputs: [{id: day, type: STRING}, {id: n, type: INT}]\n"
                           "tasks: [{id: a, type: Log, message: \"{{ inputs.day }}\"}]\n"
                           "triggers:\n"
                           "  - id: t\n"
                           "    type: Schedule\n"
                           "    cron: \"0 * * * *\"\n"
                           "    inputs: {day: \"{{ trigger.date }}\", n: 3}\n"
                           "    labels: {at: \"{{ trigger.date }}\"}\n");
    driver_bed_advance(bed, bed_noon + USEC_HOUR);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 1);
    const struct execution *execution = driver_bed_execution(bed, rows[0].id.text);
    assert_string_equal(value_get_text(execution->inputs, "day", ""), "2026-01-01T13:00:00Z");
    assert_int_equal(value_get_int(execution->inputs, "n", 0), 3);
    assert_string_equal(execution_label(execution, "at"), "2026-01-01T13:00:00Z");
    assert_int_equal(rows[0].state, STATE_SUCCESS);

    // What is wrong with them is seen.
    driver_bed_deploy(bed, "id: hourly\n"
                           "inputs: [{id: n, type: INT}]\n"
                           "tasks: [{id: a, type: Log, message: x}]\n"
                           "triggers:\n"
                           "  - {id: t, type: Schedule, cron: \"0 * * * *\", inputs: {n: many}}\n");
    driver_bed_advance(bed, bed_noon + 2 * USEC_HOUR);
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 2);
    assert_int_equal(rows[1].state, STATE_FAILED);
}

EACH_STORE(driver_backfills_and_goes_on)
{
    driver_bed_deploy(bed, slow_hourly);
    struct trigger_request wanted = {
        .backfill = { .start = bed_noon - 3 * USEC_HOUR,
                      .end = bed_noon - USEC_HOUR,
                      .labels = "[{\"key\":\"again\",\"value\":\"yes\"}]" },
    };
    enum error_code code = ERR_NONE;
    assert_true(trigger_ask(bed, "hourly", TRIGGER_BACKFILL, wanted, &code));
    assert_false(trigger_ask(bed, "hourly", TRIGGER_BACKFILL, wanted, &code));
    assert_int_equal(code, ERR_CONFLICT);
    struct execution_row *rows = NULL;
    for (size_t i = 1; i <= 3; i++) {
        driver_bed_crash(bed);
        assert_int_equal(driver_bed_executions(bed, "hourly", &rows), i);
        driver_bed_ended(bed, driver_bed_order(bed, "a"), STATE_SUCCESS);
    }
    assert_string_equal(variable(bed, &rows[0], "date"), "2026-01-01T09:00:00Z");
    assert_string_equal(execution_label(driver_bed_execution(bed, rows[0].id.text), "again"),
                        "yes");
    const struct trigger_state *trigger = driver_bed_trigger(bed, "hourly", "t");
    assert_int_equal(trigger->backfill.start, 0);
    assert_int_equal(trigger->next_at, bed_noon + USEC_HOUR);
    driver_bed_advance(bed, bed_noon + USEC_HOUR);
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 4);
}

EACH_STORE(driver_finds_the_next_date_on_which_conditions_hold)
{
    driver_bed_deploy(bed, "id: rare\n"
                           "tasks: [{id: a, type: Log, message: x}]\n"
                           "triggers:\n"
                           "  - id: t\n"
                           "    type: Schedule\n"
                           "    cron: \"* * * * *\"\n"
                           "    timezone: Europe/Paris\n"
                           "    conditions:\n"
                           "      - type: io.kestra.plugin.core.condition.DayWeekInMonth\n"
                           "        dayOfWeek: MONDAY\n"
                           "        dayInMonth: LAST\n"
                           "      - type: io.kestra.plugin.core.condition.Not\n"
                           "        conditions:\n"
                           "          - type: io.kestra.plugin.core.condition.TimeBetween\n"
                           "            before: \"09:59:00+01:00\"\n");
    driver_bed_advance(bed, bed_noon + USEC_SEC);
    usec_t first = test_time("2026-01-26T08:59:00Z");
    assert_int_equal(driver_bed_trigger(bed, "rare", "t")->next_at, first);
    driver_bed_advance(bed, first);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "rare", &rows), 1);
    assert_string_equal(variable(bed, &rows[0], "date"), "2026-01-26T09:59:00+01:00");
    assert_string_equal(variable(bed, &rows[0], "next"), "2026-01-26T10:00:00+01:00");
    assert_string_equal(variable(bed, &rows[0], "previous"), "2025-12-29T23:59:00+01:00");
}

EACH_STORE(driver_backfills_the_same_dates_again)
{
    driver_bed_deploy(bed, hourly);
    struct trigger_request wanted = {
        .backfill = { .start = bed_noon - 3 * USEC_HOUR, .end = bed_noon - USEC_HOUR },
    };
    enum error_code code = ERR_NONE;
    struct execution_row *rows = NULL;
    for (size_t round = 1; round <= 2; round++) {
        driver_bed_advance(bed, bed_noon + (usec_t)round * USEC_MIN);
        assert_true(trigger_ask(bed, "hourly", TRIGGER_BACKFILL, wanted, &code));
        driver_bed_advance(bed, bed_noon + (usec_t)round * USEC_MIN + USEC_SEC);
        assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 3 * round);
    }
}

EACH_STORE(driver_unlocks_a_trigger)
{
    enum error_code code = ERR_NONE;
    driver_bed_deploy(bed, slow_hourly);
    assert_false(trigger_ask(bed, "hourly", TRIGGER_UNLOCK, (struct trigger_request){ 0 }, &code));
    assert_int_equal(code, ERR_CONFLICT);
    driver_bed_advance(bed, bed_noon + USEC_HOUR);
    assert_true(trigger_ask(bed, "hourly", TRIGGER_UNLOCK, (struct trigger_request){ 0 }, &code));
    driver_bed_advance(bed, bed_noon + 2 * USEC_HOUR);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 2);
    assert_false(trigger_ask(bed, "nothing", TRIGGER_UNLOCK, (struct trigger_request){ 0 }, &code));
    assert_int_equal(code, ERR_NOT_FOUND);
}

EACH_STORE(driver_releases_the_lock_of_an_execution_that_was_deleted)
{
    driver_bed_deploy(bed, slow_hourly);
    driver_bed_advance(bed, bed_noon + USEC_HOUR);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 1);
    const char *id = rows[0].id.text;
    struct driver_request request = { .type = REQUEST_DELETE };
    request.delete = (struct delete_request){ .ids = &id, .count = 1, .non_terminated_too = true };
    assert_true(driver_bed_ask(bed, &request));
    assert_null(driver_bed_trigger(bed, "hourly", "t")->execution_id);
    driver_bed_advance(bed, bed_noon + 2 * USEC_HOUR);
    assert_int_equal(driver_bed_executions(bed, "hourly", &rows), 1);
}

EACH_STORE(driver_fires_many_schedules_due_at_once)
{
    struct buf yaml = { 0 };
    buf_puts(&yaml, "id: many\ntasks: [{id: a, type: Log, message: x}]\ntriggers:\n");
    for (int i = 0; i < 300; i++)
        buf_printf(&yaml, "  - {id: t%d, type: Schedule, cron: \"0 * * * *\"}\n", i);
    driver_bed_deploy(bed, buf_text(&yaml));
    buf_free(&yaml);
    driver_bed_advance(bed, bed_noon + 2 * USEC_HOUR);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "many", &rows), 600);
    for (size_t i = 0; i < 600; i++)
        assert_int_equal(rows[i].state, STATE_SUCCESS);
    assert_int_equal(driver_counts(bed->driver).active, 0);
}

EACH_STORE(driver_says_when_the_next_schedule_of_all_fires)
{
    static const char daily[] = "id: daily\n"
                                "tasks: [{id: a, type: Log, message: x}]\n"
                                "triggers: [{id: t, type: Schedule, cron: \"0 0 * * *\"}]\n";
    assert_true(driver_counts(bed->driver).next_fire == USEC_NEVER);
    driver_bed_deploy(bed, daily);
    assert_int_equal(driver_counts(bed->driver).next_fire, bed_noon + 12 * USEC_HOUR);
    driver_bed_deploy(bed, hourly);
    assert_int_equal(driver_counts(bed->driver).next_fire, bed_noon + USEC_HOUR);
    assert_true(driver_bed_delete_flow(bed, "hourly"));
    assert_int_equal(driver_counts(bed->driver).next_fire, bed_noon + 12 * USEC_HOUR);
    assert_true(driver_bed_delete_flow(bed, "daily"));
    assert_true(driver_counts(bed->driver).next_fire == USEC_NEVER);
}

/* ---- polling ---- */

static const char polled[] = "id: polled\n"
                             "tasks: [{id: a, type: Log, message: \"{{ trigger.code }}\"}]\n"
                             "triggers:\n"
                             "  - {id: t, type: io.kestra.plugin.core.http.Trigger, "
                             "uri: \"http://127.0.0.1:9/x\", interval: PT1M}\n";

static struct order *polling_order(struct driver_bed *bed)
{
    for (size_t i = 0; i < bed->orders.count; i++)
        if (bed->orders.items[i]->type == ORDER_TRIGGER)
            return bed->orders.items[i];
    return NULL;
}

static void answer_poll(struct driver_bed *bed,
                        const struct value *variables,
                        const struct error *err)
{
    struct order *order = polling_order(bed);
    if (order == NULL)
        fail_msg("no evaluation was ordered");
    CHECK(order != NULL);
    struct worker_answers answers = driver_worker_answers(bed->driver);
    answers.triggered(answers.data, order->trigger, order->evaluating_since, variables, err, NULL);
    bed->orders.count = 0; // nothing else waits in these tests
    order_free(order);
    driver_bed_settle(bed);
}

EACH_STORE(driver_has_a_worker_evaluate_polling_triggers)
{
    driver_bed_deploy(bed, polled);
    struct execution_row *rows = NULL;
    driver_bed_advance(bed, bed->now + 1);
    assert_non_null(polling_order(bed));
    assert_int_equal(driver_bed_trigger(bed, "polled", "t")->evaluating_at, bed->now);
    answer_poll(bed, NULL, NULL);
    assert_int_equal(driver_bed_executions(bed, "polled", &rows), 0);
    assert_null(polling_order(bed));
    driver_bed_advance(bed, bed_noon + USEC_MIN + 1);

    struct value_builder variables = value_build(bed->arena);
    value_put_int(&variables, "code", 200);
    answer_poll(bed, value_build_map(&variables), NULL);
    assert_int_equal(driver_bed_executions(bed, "polled", &rows), 1);
    assert_int_equal(rows[0].state, STATE_SUCCESS);
    assert_int_equal(
        value_get_int(driver_bed_execution(bed, rows[0].id.text)->trigger_variables, "code", 0),
        200);

    // A failing evaluation is logged; the trigger stays active.
    driver_bed_advance(bed, bed_noon + 2 * USEC_MIN + 1);
    struct error err;
    error_set(&err, ERR_UNAVAILABLE, "connection refused");
    answer_poll(bed, NULL, &err);
    assert_int_equal(driver_bed_executions(bed, "polled", &rows), 1);
    const char *id[] = { "t" };
    struct filter filter = {
        .field = FIELD_TRIGGER, .match = MATCH_EQUAL, .values = id, .values_count = 1
    };
    struct query query = {
        .filters = &filter, .filters_count = 1, .sort = FIELD_COUNT, .limit = 5
    };
    struct log_line *lines = NULL;
    size_t count = 0;
    assert_true(
        logstore_search(bed->logs, bed->reader, bed->arena, 0, &query, &lines, &count, NULL, NULL));
    assert_int_equal(count, 1);
    assert_string_equal(lines[0].message, "connection refused");

    // An evaluation that was under way is repeated after a crash.
    driver_bed_advance(bed, bed_noon + 3 * USEC_MIN + 1);
    assert_non_null(polling_order(bed));
    driver_bed_crash(bed);
    driver_bed_advance(bed, bed_noon + 4 * USEC_MIN + 1);
    assert_non_null(polling_order(bed));
}

EACH_STORE(driver_disables_a_polling_trigger_whose_execution_ends_at_once)
{
    driver_bed_deploy(bed,
                      "id: polled\n"
                      "tasks: [{id: a, type: Log, message: x}]\n"
                      "triggers:\n"
                      "  - {id: t, type: io.kestra.plugin.core.http.Trigger, "
                      "uri: \"http://127.0.0.1:9/x\", interval: PT1M, stopAfter: [SUCCESS]}\n");
    driver_bed_advance(bed, bed->now + 1);
    answer_poll(bed, &value_empty_map, NULL);
    assert_true(driver_bed_trigger(bed, "polled", "t")->disabled);
    driver_bed_advance(bed, bed_noon + 5 * USEC_MIN);
    assert_null(polling_order(bed));
}

/* ---- flow triggers ---- */

static const char upstream[] = "id: up\n"
                               "inputs: [{id: bad, type: BOOL, defaults: false}]\n"
                               "tasks:\n"
                               "  - {id: a, type: OutputValues, values: {rows: 7}}\n"
                               "  - {id: b, type: Fail, runIf: \"{{ inputs.bad }}\"}\n"
                               "outputs: [{id: rows, type: INT, "
                               "value: \"{{ outputs.a.values.rows }}\"}]\n";

static const char *create_up(struct driver_bed *bed, const char *flow, bool bad)
{
    struct driver_request request = { .type = REQUEST_CREATE };
    struct value_builder given = value_build(bed->arena);
    value_put_bool(&given, "bad", bad);
    request.create = (struct create_request){ .namespace = "company.team",
                                              .flow_id = flow,
                                              .given = value_build_map(&given) };
    if (!driver_bed_ask(bed, &request))
        fail_msg("%s", request.error.text);
    return arena_strdup(bed->arena, request.execution.id.text);
}

EACH_STORE(driver_starts_a_flow_after_another)
{
    driver_bed_deploy(bed, upstream);
    driver_bed_deploy(bed,
                      "id: down\n"
                      "inputs: [{id: n, type: INT}]\n"
                      "tasks: [{id: a, type: Log, message: \"{{ inputs.n }}\"}]\n"
                      "triggers:\n"
                      "  - id: t\n"
                      "    type: io.kestra.plugin.core.trigger.Flow\n"
                      "    states: [SUCCESS]\n"
                      "    inputs: {n: \"{{ outputs.a.values.rows + trigger.outputs.rows }}\"}\n"
                      "    conditions:\n"
                      "      - {type: ExecutionFlow, namespace: company.team, flowId: up}\n");
    const char *id = create_up(bed, "up", false);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "down", &rows), 1);
    const struct execution *execution = driver_bed_execution(bed, rows[0].id.text);
    assert_string_equal(rows[0].cause_id, id);
    assert_int_equal(value_get_int(execution->inputs, "n", 0), 14);
    assert_string_equal(execution_label(execution, "system.correlationId"), id);
    assert_int_equal(rows[0].state, STATE_SUCCESS);
    (void)create_up(bed, "up", true); // FAILED does not count
    assert_int_equal(driver_bed_executions(bed, "down", &rows), 1);
    driver_bed_crash(bed);
    (void)create_up(bed, "up", false);
    assert_int_equal(driver_bed_executions(bed, "down", &rows), 2);
    driver_bed_deploy(bed, "id: down\ntasks: [{id: a, type: Log, message: x}]\n");
    (void)create_up(bed, "up", false);
    assert_int_equal(driver_bed_executions(bed, "down", &rows), 2);
}

EACH_STORE(driver_does_not_start_a_flow_after_itself)
{
    driver_bed_deploy(bed, "id: loop\n"
                           "tasks: [{id: a, type: Log, message: x}]\n"
                           "triggers:\n"
                           "  - {id: t, type: io.kestra.plugin.core.trigger.Flow}\n");
    (void)driver_bed_create(bed, "loop");
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "loop", &rows), 1);
}

EACH_STORE(driver_gathers_preconditions_across_crashes)
{
    driver_bed_deploy(bed, upstream);
    driver_bed_deploy(bed, "id: other\n"
                           "inputs: [{id: bad, type: BOOL, defaults: false}]\n"
                           "tasks: [{id: a, type: OutputValues, values: {x: 1}}]\n"
                           "outputs: [{id: files, type: INT, value: \"3\"}]\n");
    driver_bed_deploy(bed, "id: down\n"
                           "tasks: [{id: a, type: Log, message: \"{{ trigger.outputs.rows }} "
                           "{{ trigger.outputs.other.files }}\"}]\n"
                           "triggers:\n"
                           "  - id: t\n"
                           "    type: io.kestra.plugin.core.trigger.Flow\n"
                           "    preconditions:\n"
                           "      id: both\n"
                           "      timeWindow: {type: DURATION_WINDOW, window: PT1H}\n"
                           "      flows:\n"
                           "        - {namespace: company.team, flowId: up, states: [SUCCESS]}\n"
                           "      where:\n"
                           "        - id: o\n"
                           "          filters:\n"
                           "            - {field: FLOW_ID, type: EQUAL_TO, value: other}\n"
                           "            - {field: STATE, type: IN, values: [SUCCESS, WARNING]}\n");
    struct execution_row *rows = NULL;
    (void)create_up(bed, "up", true); // FAILED: not met
    (void)create_up(bed, "up", false);
    assert_int_equal(driver_bed_executions(bed, "down", &rows), 0);
    driver_bed_crash(bed);
    (void)create_up(bed, "other", false);
    assert_int_equal(driver_bed_executions(bed, "down", &rows), 1);
    assert_int_equal(rows[0].state, STATE_SUCCESS);
    // All must be met again, and within one window.
    (void)create_up(bed, "up", false);
    driver_bed_advance(bed, bed_noon + USEC_HOUR + USEC_MIN);
    (void)create_up(bed, "other", false);
    assert_int_equal(driver_bed_executions(bed, "down", &rows), 1);
    (void)create_up(bed, "up", false);
    assert_int_equal(driver_bed_executions(bed, "down", &rows), 2);
}

EACH_STORE(driver_forgets_windows_that_are_over)
{
    driver_bed_deploy(bed, upstream);
    driver_bed_deploy(bed, "id: down\n"
                           "tasks: [{id: a, type: Log, message: x}]\n"
                           "triggers:\n"
                           "  - id: t\n"
                           "    type: io.kestra.plugin.core.trigger.Flow\n"
                           "    dependsOn:\n"
                           "      - {namespace: company.team, flowId: up}\n"
                           "      - {namespace: company.team, flowId: missing}\n"
                           "    window: {every: PT1H}\n"
                           "    onMiss: {behavior: FAIL, labels: {late: \"yes\"}}\n");
    (void)create_up(bed, "up", false);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "down", &rows), 0);
    driver_bed_advance(bed, bed_noon + USEC_HOUR + 3 * USEC_MIN);
    assert_int_equal(driver_bed_executions(bed, "down", &rows), 1);
    assert_int_equal(rows[0].state, STATE_FAILED);
    assert_string_equal(execution_label(driver_bed_execution(bed, rows[0].id.text), "late"), "yes");
    struct window_row *windows = NULL;
    size_t count = 0;
    usec_t now = bed_noon + USEC_HOUR + 3 * USEC_MIN;
    assert_true(
        bed->reader->ops->window_expired(bed->reader, bed->arena, now, 10, &windows, &count, NULL));
    assert_int_equal(count, 0);
}

/* A flow that waits for up and for missing until one o'clock each day. */
static const char with_deadline[] = "id: down\n"
                                    "tasks: [{id: a, type: Log, message: x}]\n"
                                    "triggers:\n"
                                    "  - id: t\n"
                                    "    type: io.kestra.plugin.core.trigger.Flow\n"
                                    "    labels: {by: \"{{ trigger.flowId }}\"}\n"
                                    "    dependsOn:\n"
                                    "      - {namespace: company.team, flowId: up}\n"
                                    "      - {namespace: company.team, flowId: missing}\n"
                                    "    mode: ANY\n"
                                    "    window: {deadline: \"13:00\", fireOnce: true}\n"
                                    "    onMiss: {behavior: FAIL, labels: {late: \"yes\"}}\n";

EACH_STORE(driver_tells_of_a_deadline_before_which_nothing_happened)
{
    driver_bed_deploy(bed, upstream);
    driver_bed_deploy(bed, with_deadline);
    usec_t deadline = bed_noon + USEC_HOUR;
    struct execution_row *rows = NULL;
    driver_bed_advance(bed, deadline - USEC_SEC);
    assert_int_equal(driver_bed_executions(bed, "down", &rows), 0);
    driver_bed_crash(bed);
    driver_bed_advance(bed, deadline + USEC_SEC);
    assert_int_equal(driver_bed_executions(bed, "down", &rows), 1);
    assert_int_equal(rows[0].state, STATE_FAILED);
    assert_string_equal(execution_label(driver_bed_execution(bed, rows[0].id.text), "late"), "yes");

    // What comes after the deadline does not count, and nothing is missed until the next one.
    (void)create_up(bed, "up", false);
    driver_bed_advance(bed, deadline + 23 * USEC_HOUR);
    assert_int_equal(driver_bed_executions(bed, "down", &rows), 1);

    // In time: it fires once, and the deadline passes in silence.
    (void)create_up(bed, "up", false);
    assert_int_equal(driver_bed_executions(bed, "down", &rows), 2);
    assert_int_equal(rows[1].state, STATE_SUCCESS);
    driver_bed_advance(bed, deadline + USEC_DAY + USEC_HOUR);
    assert_int_equal(driver_bed_executions(bed, "down", &rows), 2);

    // The day after is a new one.
    driver_bed_advance(bed, deadline + 2 * USEC_DAY + USEC_HOUR);
    assert_int_equal(driver_bed_executions(bed, "down", &rows), 3);
    assert_int_equal(rows[2].state, STATE_FAILED);
}

EACH_STORE(driver_misses_no_deadline_of_a_trigger_that_is_switched_off)
{
    driver_bed_deploy(bed, upstream);
    driver_bed_deploy(bed, with_deadline);
    driver_bed_advance(bed, bed_noon + USEC_MIN);
    enum error_code code = ERR_NONE;
    struct trigger_request off = { .disabled = true };
    assert_true(trigger_ask(bed, "down", TRIGGER_SET_DISABLED, off, &code));
    driver_bed_advance(bed, bed_noon + 2 * USEC_HOUR);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "down", &rows), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(driver_says_when_the_next_schedule_of_all_fires),
    cmocka_unit_test(driver_fires_a_schedule_once_per_date),
    cmocka_unit_test(driver_stops_while_a_pause_and_a_schedule_are_due_at_the_same_time),
    cmocka_unit_test(driver_loses_no_date_to_an_update_of_its_flow),
    cmocka_unit_test(driver_forgets_dates_that_waited_for_a_lock_with_an_update),
    cmocka_unit_test(driver_unlocks_a_trigger_whose_flow_is_saved_as_its_execution_ends),
    cmocka_unit_test(driver_catches_up_on_dates_that_passed_while_it_was_down),
    cmocka_unit_test(driver_waits_with_a_schedule_until_its_execution_has_ended),
    cmocka_unit_test(driver_lets_a_schedule_overlap_when_it_may),
    cmocka_unit_test(driver_disables_a_trigger_after_the_states_it_names),
    cmocka_unit_test(driver_drops_the_state_of_a_trigger_with_its_definition),
    cmocka_unit_test(driver_chooses_dates_by_conditions),
    cmocka_unit_test(driver_shows_a_condition_that_cannot_be_evaluated_as_a_failed_execution),
    cmocka_unit_test(driver_gives_trigger_inputs_and_labels_to_the_execution),
    cmocka_unit_test(driver_backfills_and_goes_on),
    cmocka_unit_test(driver_finds_the_next_date_on_which_conditions_hold),
    cmocka_unit_test(driver_backfills_the_same_dates_again),
    cmocka_unit_test(driver_unlocks_a_trigger),
    cmocka_unit_test(driver_releases_the_lock_of_an_execution_that_was_deleted),
    cmocka_unit_test(driver_fires_many_schedules_due_at_once),
    cmocka_unit_test(driver_has_a_worker_evaluate_polling_triggers),
    cmocka_unit_test(driver_disables_a_polling_trigger_whose_execution_ends_at_once),
    cmocka_unit_test(driver_starts_a_flow_after_another),
    cmocka_unit_test(driver_does_not_start_a_flow_after_itself),
    cmocka_unit_test(driver_gathers_preconditions_across_crashes),
    cmocka_unit_test(driver_forgets_windows_that_are_over),
    cmocka_unit_test(driver_tells_of_a_deadline_before_which_nothing_happened),
    cmocka_unit_test(driver_misses_no_deadline_of_a_trigger_that_is_switched_off),
};
TEST_GROUP(driver_triggers, tests)
