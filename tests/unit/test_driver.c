/* SPDX-License-Identifier: Apache-2.0 */
/* The driver with a clock and a worker of the test, over each store. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "core/value.h"
#include "tests/support/driver_bed.h"
#include "tests/support/test.h"

static const char pure[] = "id: pure\n"
                           "tasks:\n"
                           "  - {id: a, type: OutputValues, values: {x: \"{{ 1 + 1 }}\"}}\n"
                           "  - {id: b, type: Log, message: \"hello {{ outputs.a.values.x }}\"}\n";

static const char one_call[] = "id: call\n"
                               "tasks:\n"
                               "  - {id: a, type: io.weir.test.Work}\n"
                               "  - {id: b, type: Log, message: done}\n";

/* ---- executions ---- */

EACH_STORE(driver_creates_and_ends_a_pure_execution_in_one_commit)
{
    driver_bed_deploy(bed, pure);
    struct store_numbers before;
    struct store_numbers after;
    assert_true(bed->store->ops->numbers(bed->store, &before, NULL));
    const char *id = driver_bed_create(bed, "pure");
    assert_true(bed->store->ops->numbers(bed->store, &after, NULL));
    assert_int_equal(after.commit, before.commit + 1);
    assert_string_equal(driver_bed_history(bed, id), "CREATED, RUNNING, SUCCESS");

    const struct execution *execution = driver_bed_execution(bed, id);
    assert_int_equal(execution->runs.count, 2);
    struct log_line *lines = NULL;
    size_t count = 0;
    struct query query = { .sort = FIELD_COUNT, .limit = 10 };
    struct error err = { 0 };
    struct execution_row row;
    assert_true(bed->reader->ops->execution_get(bed->reader, bed->arena, id, &row, &err));
    assert_int_equal(row.live, LIVE_ENDED);
    assert_true(logstore_search(bed->logs, bed->reader, bed->arena, row.key, &query, &lines, &count,
                                NULL, &err));
    assert_int_equal(count, 1);
    assert_string_equal(lines[0].message, "hello 2");
    assert_string_equal(lines[0].source.task_id, "b");
}

EACH_STORE(driver_orders_after_the_commit_and_takes_the_answer)
{
    driver_bed_deploy(bed, one_call);
    const char *id = driver_bed_create(bed, "call");
    struct order *order = driver_bed_order(bed, "a");
    assert_non_null(order);
    assert_int_equal(order->attempt, 1);
    assert_string_equal(driver_bed_state(bed, id), "RUNNING");
    driver_bed_began(bed, order);
    driver_bed_ended(bed, order, STATE_SUCCESS);
    assert_string_equal(driver_bed_history(bed, id), "CREATED, RUNNING, SUCCESS");
    assert_int_equal(bed->orders_seen, 1);
}

EACH_STORE(driver_never_orders_twice_under_one_number_whatever_it_heard_of_the_first)
{
    driver_bed_deploy(bed, one_call);
    const char *id = driver_bed_create(bed, "call");
    // The worker has the order, and may have begun; the news of that has not come.
    assert_int_equal(driver_bed_order(bed, "a")->attempt, 1);
    driver_bed_crash(bed);
    struct order *order = driver_bed_order(bed, "a");
    assert_non_null(order);
    assert_int_equal(order->attempt, 2);
    driver_bed_ended(bed, order, STATE_SUCCESS);
    const struct execution *execution = driver_bed_execution(bed, id);
    assert_int_equal(execution->runs.items[0]->attempts.count, 2);
    assert_int_equal(execution->runs.items[0]->attempts.items[0].state, STATE_RESUBMITTED);
    assert_string_equal(driver_bed_state(bed, id), "SUCCESS");
}

EACH_STORE(driver_never_orders_twice_when_it_dies_with_the_news_of_the_begin_unstored)
{
    bed->linger = USEC_SEC;
    driver_bed_crash(bed); // with the new setting
    driver_bed_deploy(bed, one_call);
    const char *id = driver_bed_create(bed, "call");
    int64_t commits = bed->faults.commits;
    driver_bed_began(bed, driver_bed_order(bed, "a"));
    assert_int_equal(bed->faults.commits, commits); // it lingers
    driver_bed_crash(bed);
    assert_int_equal(driver_bed_order(bed, "a")->attempt, 2);
    assert_string_equal(driver_bed_state(bed, id), "RUNNING");
}

EACH_STORE(driver_stores_the_news_of_a_begin_when_it_has_lingered)
{
    bed->linger = USEC_SEC;
    driver_bed_crash(bed);
    driver_bed_deploy(bed, one_call);
    const char *id = driver_bed_create(bed, "call");
    driver_bed_began(bed, driver_bed_order(bed, "a"));
    assert_int_equal(driver_bed_execution(bed, id)->runs.items[0]->state.current, STATE_SUBMITTED);
    driver_bed_advance(bed, bed->now + USEC_SEC - 1);
    assert_int_equal(driver_bed_execution(bed, id)->runs.items[0]->state.current, STATE_SUBMITTED);
    driver_bed_advance(bed, bed->now + 1);
    assert_int_equal(driver_bed_execution(bed, id)->runs.items[0]->state.current, STATE_RUNNING);
}

EACH_STORE(driver_stores_what_lingers_with_the_next_commit)
{
    bed->linger = USEC_HOUR;
    driver_bed_crash(bed);
    driver_bed_deploy(bed, one_call);
    const char *id = driver_bed_create(bed, "call");
    driver_bed_began(bed, driver_bed_order(bed, "a"));
    driver_bed_create(bed, "call"); // is answered after its commit, which takes the news along
    assert_int_equal(driver_bed_execution(bed, id)->runs.items[0]->state.current, STATE_RUNNING);
}

EACH_STORE(driver_calls_an_attempt_lost_that_ran_when_it_crashed)
{
    driver_bed_deploy(bed, one_call);
    const char *id = driver_bed_create(bed, "call");
    driver_bed_began(bed, driver_bed_order(bed, "a"));
    driver_bed_crash(bed);
    struct order *order = driver_bed_order(bed, "a");
    assert_non_null(order);
    assert_int_equal(order->attempt, 2);
    driver_bed_ended(bed, order, STATE_SUCCESS);
    const struct execution *execution = driver_bed_execution(bed, id);
    assert_int_equal(execution->runs.items[0]->attempts.count, 2);
    assert_int_equal(execution->runs.items[0]->attempts.items[0].state, STATE_RESUBMITTED);
    assert_string_equal(driver_bed_state(bed, id), "SUCCESS");
}

EACH_STORE(driver_ignores_answers_about_what_is_gone)
{
    driver_bed_deploy(bed, one_call);
    const char *id = driver_bed_create(bed, "call");
    struct worker_answers answers = driver_worker_answers(bed->driver);
    const struct order *order = driver_bed_order(bed, "a");
    answers.ended(answers.data, id, order->run_id, 7, STATE_SUCCESS, NULL, NULL, NULL, NULL, 0,
                  NULL);
    answers.ended(answers.data, id, "nobody", 1, STATE_SUCCESS, NULL, NULL, NULL, NULL, 0, NULL);
    answers.ended(answers.data, "nowhere", order->run_id, 1, STATE_SUCCESS, NULL, NULL, NULL, NULL,
                  0, NULL);
    driver_bed_settle(bed);
    assert_string_equal(driver_bed_state(bed, id), "RUNNING");
}

EACH_STORE(driver_finds_a_worker_that_forgot_an_attempt)
{
    driver_bed_deploy(bed, one_call);
    const char *id = driver_bed_create(bed, "call");
    driver_bed_began(bed, driver_bed_order(bed, "a"));
    bed->knows_nothing = true;
    driver_bed_advance(bed, bed->now + 2 * USEC_MIN);
    bed->knows_nothing = false;
    const struct execution *execution = driver_bed_execution(bed, id);
    assert_int_equal(execution->runs.items[0]->attempts.items[0].state, STATE_RESUBMITTED);
}

EACH_STORE(driver_offers_orders_again_to_a_worker_without_room)
{
    driver_bed_deploy(bed, one_call);
    bed->refuses = true;
    const char *id = driver_bed_create(bed, "call");
    assert_null(driver_bed_order(bed, "a"));
    bed->refuses = false;
    driver_bed_settle(bed);
    driver_bed_ended(bed, driver_bed_order(bed, "a"), STATE_SUCCESS);
    assert_string_equal(driver_bed_state(bed, id), "SUCCESS");
}

/* ---- orders that wait ---- */

static const char five_calls[] = "id: five\n"
                                 "tasks:\n"
                                 "  - id: p\n"
                                 "    type: Parallel\n"
                                 "    tasks:\n"
                                 "      - {id: a, type: io.weir.test.Work}\n"
                                 "      - {id: b, type: io.weir.test.Work}\n"
                                 "      - {id: c, type: io.weir.test.Work}\n"
                                 "      - {id: d, type: io.weir.test.Work}\n"
                                 "      - {id: e, type: io.weir.test.Work}\n";

/* Attempts of a task so far, those that were lost included. */
static size_t attempts_of(struct driver_bed *bed, const char *id, const char *task_id)
{
    const struct execution *execution = driver_bed_execution(bed, id);
    for (size_t i = 0; i < execution->runs.count; i++)
        if (strcmp(execution->runs.items[i]->task_id, task_id) == 0)
            return execution->runs.items[i]->attempts.count;
    fail_msg("no task run of '%s'", task_id);
    return 0;
}

EACH_STORE(driver_gives_no_more_than_its_worker_needs)
{
    bed->calls_max = 2;
    driver_bed_crash(bed); // with the new setting
    driver_bed_deploy(bed, five_calls);
    const char *id = driver_bed_create(bed, "five");
    assert_int_equal(bed->orders.count, 2);
    driver_bed_ended(bed, driver_bed_order(bed, "b"), STATE_SUCCESS);
    assert_int_equal(bed->orders.count, 2); // first come, first served
    assert_non_null(driver_bed_order(bed, "a"));
    assert_non_null(driver_bed_order(bed, "c"));
    while (bed->orders.count > 0)
        driver_bed_ended(bed, bed->orders.items[0], STATE_SUCCESS);
    assert_int_equal(bed->orders_seen, 5);
    assert_string_equal(driver_bed_state(bed, id), "SUCCESS");
}

EACH_STORE(driver_loses_no_attempt_that_was_not_given_when_it_crashed)
{
    bed->calls_max = 2;
    driver_bed_crash(bed);
    driver_bed_deploy(bed, five_calls);
    const char *id = driver_bed_create(bed, "five");
    bed->orders_seen = 0;
    driver_bed_crash(bed);
    while (bed->orders.count > 0)
        driver_bed_ended(bed, bed->orders.items[0], STATE_SUCCESS);
    assert_int_equal(bed->orders_seen, 5);
    assert_int_equal(attempts_of(bed, id, "a"), 2);
    assert_int_equal(attempts_of(bed, id, "b"), 2);
    for (const char *task = "cde"; *task != '\0'; task++)
        assert_int_equal(attempts_of(bed, id, (char[]){ *task, '\0' }), 1);
    assert_string_equal(driver_bed_state(bed, id), "SUCCESS");
}

EACH_STORE(driver_never_gives_what_was_killed_while_it_waited)
{
    bed->calls_max = 2;
    driver_bed_crash(bed);
    driver_bed_deploy(bed, five_calls);
    const char *id = driver_bed_create(bed, "five");
    const char *other = driver_bed_create(bed, "five");
    assert_true(driver_bed_operate(bed, id, (struct operate_request){ .operation = OPERATE_KILL }));
    assert_string_equal(driver_bed_state(bed, id), "KILLED");
    assert_int_equal(bed->cancels.count, 2); // of the rest no worker has heard
    driver_bed_ended(bed, driver_bed_order(bed, "a"), STATE_KILLED);
    driver_bed_ended(bed, driver_bed_order(bed, "b"), STATE_KILLED);
    while (bed->orders.count > 0) {
        assert_string_equal(bed->orders.items[0]->execution_id, other);
        driver_bed_ended(bed, bed->orders.items[0], STATE_SUCCESS);
    }
    assert_string_equal(driver_bed_state(bed, other), "SUCCESS");
}

EACH_STORE(driver_gives_on_when_an_execution_with_given_orders_is_deleted)
{
    bed->calls_max = 2;
    driver_bed_crash(bed);
    driver_bed_deploy(bed, five_calls);
    const char *id = driver_bed_create(bed, "five");
    const char *other = driver_bed_create(bed, "five");
    assert_int_equal(bed->orders.count, 2);
    struct driver_request request = { .type = REQUEST_DELETE };
    request.delete.ids = &id;
    request.delete.count = 1;
    request.delete.non_terminated_too = true;
    assert_true(driver_bed_ask(bed, &request));
    assert_int_equal(bed->orders.count, 4); // two of a dead one, and two more
    assert_string_equal(bed->orders.items[2]->execution_id, other);
}

EACH_STORE(driver_takes_back_what_had_not_begun_when_it_stops)
{
    driver_bed_deploy(bed, five_calls);
    const char *id = driver_bed_create(bed, "five");
    driver_bed_began(bed, driver_bed_order(bed, "b"));
    assert_int_equal(bed->orders.count, 5);
    driver_bed_restart(bed);
    assert_int_equal(bed->orders.count, 5);
    assert_int_equal(driver_bed_order(bed, "a")->attempt, 1);
    assert_int_equal(driver_bed_order(bed, "b")->attempt, 2);
    while (bed->orders.count > 0)
        driver_bed_ended(bed, bed->orders.items[0], STATE_SUCCESS);
    assert_int_equal(attempts_of(bed, id, "a"), 1);
    assert_int_equal(attempts_of(bed, id, "b"), 2);
    assert_string_equal(driver_bed_state(bed, id), "SUCCESS");
}

EACH_STORE(driver_stores_what_it_was_told_before_it_stops)
{
    driver_bed_deploy(bed, five_calls);
    const char *id = driver_bed_create(bed, "five");
    struct worker_answers answers = driver_worker_answers(bed->driver);
    for (size_t i = 0; i < bed->orders.count; i++)
        answers.ended(answers.data, id, bed->orders.items[i]->run_id, 1, STATE_SUCCESS, NULL, NULL,
                      NULL, NULL, 0, NULL);
    bed->orders_seen = 0;
    driver_bed_restart(bed);
    assert_string_equal(driver_bed_state(bed, id), "SUCCESS");
    assert_int_equal(bed->orders_seen, 0);
}

EACH_STORE(driver_takes_nothing_back_from_a_worker_that_goes_on)
{
    driver_bed_deploy(bed, one_call);
    (void)driver_bed_create(bed, "call");
    driver_bed_crash(bed);
    struct error err = { 0 };
    assert_true(driver_start(bed->driver, &err));
    driver_stop(bed->driver);
    driver_bed_crash(bed);
    assert_int_equal(driver_bed_order(bed, "a")->attempt, 3); // the second may have begun
}

static const char two_calls[] = "id: two\n"
                                "tasks:\n"
                                "  - id: p\n"
                                "    type: Parallel\n"
                                "    tasks:\n"
                                "      - {id: slow, type: io.weir.test.Work}\n"
                                "      - {id: ko, type: io.weir.test.Work}\n";

static void restart(struct driver_bed *bed, const char *id)
{
    assert_true(
        driver_bed_operate(bed, id, (struct operate_request){ .operation = OPERATE_RESTART }));
}

/* What goes on after its end was forced is stopped before a restart runs the task again. */
EACH_STORE(driver_puts_no_second_attempt_beside_a_running_one)
{
    driver_bed_deploy(bed, two_calls);
    const char *id = driver_bed_create(bed, "two");
    struct order *slow = driver_bed_order(bed, "slow");
    driver_bed_began(bed, slow);
    driver_bed_ended(bed, driver_bed_order(bed, "ko"), STATE_FAILED);
    assert_string_equal(driver_bed_state(bed, id), "FAILED");
    assert_int_equal(bed->cancels.count, 0); // running jobs are not interrupted (3.3)
    restart(bed, id);
    assert_int_equal(bed->cancels.count, 1);
    assert_string_equal(bed->cancels.items[0].run_id, slow->run_id);
    assert_int_equal(bed->cancels.items[0].attempt, 1);
    driver_bed_ended(bed, driver_bed_order(bed, "ko"), STATE_SUCCESS);
    assert_int_equal(bed->orders.count, 1); // the second attempt waits for the first
    assert_ptr_equal(bed->orders.items[0], slow);
    driver_bed_ended(bed, slow, STATE_KILLED);
    assert_int_equal(bed->orders.count, 1);
    assert_int_equal(bed->orders.items[0]->attempt, 2);
    driver_bed_ended(bed, bed->orders.items[0], STATE_SUCCESS);
    assert_string_equal(driver_bed_state(bed, id), "SUCCESS");
}

EACH_STORE(driver_does_not_wait_for_an_attempt_that_its_worker_lost)
{
    driver_bed_deploy(bed, two_calls);
    const char *id = driver_bed_create(bed, "two");
    driver_bed_began(bed, driver_bed_order(bed, "slow"));
    driver_bed_ended(bed, driver_bed_order(bed, "ko"), STATE_FAILED);
    restart(bed, id);
    driver_bed_ended(bed, driver_bed_order(bed, "ko"), STATE_SUCCESS);
    bed->knows_nothing = true;
    driver_bed_advance(bed, bed->now + 90 * USEC_SEC);
    bed->knows_nothing = false;
    assert_int_equal(bed->orders.items[bed->orders.count - 1]->attempt, 2);
}

EACH_STORE(driver_waits_for_nothing_of_the_time_before_a_crash)
{
    driver_bed_deploy(bed, two_calls);
    const char *id = driver_bed_create(bed, "two");
    driver_bed_began(bed, driver_bed_order(bed, "slow"));
    driver_bed_ended(bed, driver_bed_order(bed, "ko"), STATE_FAILED);
    restart(bed, id);
    assert_int_equal(driver_bed_order(bed, "slow")->attempt, 1);
    driver_bed_crash(bed); // and its processes with it
    assert_int_equal(driver_bed_order(bed, "slow")->attempt, 2);
    assert_int_equal(attempts_of(bed, id, "slow"), 1); // the second was not given before
}

EACH_STORE(driver_cancels_what_need_not_begin_any_more)
{
    driver_bed_deploy(bed, two_calls);
    const char *id = driver_bed_create(bed, "two");
    const struct order *slow = driver_bed_order(bed, "slow");
    driver_bed_ended(bed, driver_bed_order(bed, "ko"), STATE_FAILED);
    assert_string_equal(driver_bed_state(bed, id), "FAILED");
    assert_int_equal(bed->cancels.count, 1);
    assert_string_equal(bed->cancels.items[0].run_id, slow->run_id);
}

EACH_STORE(driver_cancels_a_remote_job_before_its_task_runs_again)
{
    driver_bed_deploy(bed, "id: jobs\n"
                           "tasks:\n"
                           "  - id: p\n"
                           "    type: Parallel\n"
                           "    tasks:\n"
                           "      - {id: job, type: io.weir.test.Remote}\n"
                           "      - {id: ko, type: io.weir.test.Work}\n");
    const char *id = driver_bed_create(bed, "jobs");
    struct order *job = driver_bed_order(bed, "job");
    driver_bed_remote(bed, job, "job-7", bed->now + USEC_HOUR);
    driver_bed_ended(bed, driver_bed_order(bed, "ko"), STATE_FAILED);
    restart(bed, id);
    driver_bed_ended(bed, driver_bed_order(bed, "ko"), STATE_SUCCESS);
    assert_int_equal(bed->orders.count, 1);
    struct order *order = bed->orders.items[0];
    assert_int_equal(order->type, ORDER_CANCEL);
    assert_int_equal(order->attempt, 1);
    assert_string_equal(order->remote_id, "job-7");
    driver_bed_ended(bed, order, STATE_KILLED);
    assert_int_equal(bed->orders.count, 1);
    assert_int_equal(bed->orders.items[0]->type, ORDER_RUN);
    assert_int_equal(bed->orders.items[0]->attempt, 2);
    assert_null(bed->orders.items[0]->remote_id);
}

/* ---- waiting ---- */

EACH_STORE(driver_parks_a_pause_and_wakes_it_after_a_crash)
{
    driver_bed_deploy(bed, "id: paused\n"
                           "tasks:\n"
                           "  - {id: wait, type: Pause, pauseDuration: PT2H}\n"
                           "  - {id: b, type: Log, message: done}\n");
    const char *ids[5];
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        ids[i] = driver_bed_create(bed, "paused");
    struct execution_row row;
    assert_true(bed->reader->ops->execution_get(bed->reader, bed->arena, ids[0], &row, NULL));
    assert_int_equal(row.live, LIVE_PARKED);
    assert_int_equal(row.wake_at, bed_noon + 2 * USEC_HOUR);
    assert_true(driver_counts(bed->driver).active <= 3); // the others are rows only

    driver_bed_crash(bed);
    assert_int_equal(driver_counts(bed->driver).active, 0);
    driver_bed_advance(bed, bed_noon + 2 * USEC_HOUR - 1);
    assert_string_equal(driver_bed_state(bed, ids[0]), "PAUSED");
    driver_bed_advance(bed, bed_noon + 2 * USEC_HOUR);
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        assert_string_equal(driver_bed_state(bed, ids[i]), "SUCCESS");
}

EACH_STORE(driver_retries_at_the_date_of_the_retry)
{
    driver_bed_deploy(bed, "id: retried\n"
                           "tasks:\n"
                           "  - id: a\n"
                           "    type: io.weir.test.Work\n"
                           "    retry: {type: constant, interval: PT10M, maxAttempts: 2}\n");
    const char *id = driver_bed_create(bed, "retried");
    driver_bed_ended(bed, driver_bed_order(bed, "a"), STATE_FAILED);
    assert_string_equal(driver_bed_state(bed, id), "RETRYING");
    assert_null(driver_bed_order(bed, "a"));
    driver_bed_crash(bed);
    driver_bed_advance(bed, bed_noon + 10 * USEC_MIN);
    driver_bed_ended(bed, driver_bed_order(bed, "a"), STATE_SUCCESS);
    assert_string_equal(driver_bed_history(bed, id),
                        "CREATED, RUNNING, RETRYING, RUNNING, SUCCESS");
}

EACH_STORE(driver_makes_a_new_execution_for_a_retry_of_that_kind)
{
    driver_bed_deploy(bed, "id: anew\n"
                           "tasks:\n"
                           "  - id: a\n"
                           "    type: io.weir.test.Work\n"
                           "    retry: {type: constant, interval: PT1H, maxAttempts: 2, "
                           "behavior: CREATE_NEW_EXECUTION}\n");
    const char *id = driver_bed_create(bed, "anew");
    driver_bed_ended(bed, driver_bed_order(bed, "a"), STATE_FAILED);
    assert_string_equal(driver_bed_state(bed, id), "RETRIED");
    driver_bed_crash(bed);
    driver_bed_advance(bed, bed_noon + USEC_HOUR);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "anew", &rows), 2);
    assert_string_equal(rows[1].parent_id, id);
    driver_bed_ended(bed, driver_bed_order(bed, "a"), STATE_SUCCESS);
    assert_string_equal(driver_bed_state(bed, rows[1].id.text), "SUCCESS");
    driver_bed_crash(bed);
    driver_bed_advance(bed, bed_noon + 3 * USEC_HOUR);
    assert_int_equal(driver_bed_executions(bed, "anew", &rows), 2); // made once
}

EACH_STORE(driver_starts_a_scheduled_execution_at_its_date)
{
    driver_bed_deploy(bed, pure);
    struct driver_request request = { .type = REQUEST_CREATE };
    request.create = (struct create_request){ .namespace = "company.team",
                                              .flow_id = "pure",
                                              .schedule_at = bed_noon + USEC_DAY };
    assert_true(driver_bed_ask(bed, &request));
    const char *id = arena_strdup(bed->arena, request.execution.id.text);
    assert_string_equal(driver_bed_state(bed, id), "CREATED");
    driver_bed_crash(bed);
    driver_bed_advance(bed, bed_noon + USEC_DAY);
    assert_string_equal(driver_bed_state(bed, id), "SUCCESS");
}

static void ended(struct driver_request *request)
{
    *(bool *)request->data = true;
}

EACH_STORE(driver_answers_a_wait_when_the_execution_has_ended)
{
    driver_bed_deploy(bed, one_call);
    const char *id = driver_bed_create(bed, "call");
    bool is_done = false;
    struct driver_request request = { .type = REQUEST_WAIT,
                                      .arena = bed->arena,
                                      .done = ended,
                                      .data = &is_done,
                                      .wants_row = true,
                                      .wait_for = id };
    assert_true(driver_submit(bed->driver, &request));
    driver_bed_settle(bed);
    assert_false(is_done);
    driver_bed_ended(bed, driver_bed_order(bed, "a"), STATE_SUCCESS);
    assert_true(is_done);
    assert_true(request.ok);
    assert_int_equal(request.execution.state, STATE_SUCCESS);
    assert_int_equal(request.execution.row->runs_count, 2);

    // One that has ended already is answered from the store.
    is_done = false;
    assert_true(driver_submit(bed->driver, &request));
    driver_bed_settle(bed);
    assert_true(is_done);
    assert_int_equal(request.execution.state, STATE_SUCCESS);
}

/* ---- subflows ---- */

static const char child_flow[] = "id: child\n"
                                 "inputs: [{id: n, type: INT, defaults: 1}]\n"
                                 "tasks:\n"
                                 "  - {id: w, type: io.weir.test.Work}\n"
                                 "outputs:\n"
                                 "  - {id: n, type: INT, value: \"{{ inputs.n }}\"}\n";

static const char parent_flow[] = "id: parent\n"
                                  "tasks:\n"
                                  "  - id: sub\n"
                                  "    type: Subflow\n"
                                  "    namespace: company.team\n"
                                  "    flowId: child\n"
                                  "    inputs: {n: 5}\n"
                                  "    wait: true\n"
                                  "    transmitFailed: true\n"
                                  "  - {id: after, type: Log, message: "
                                  "\"{{ outputs.sub.outputs.n }}\"}\n";

static const char *only_child(struct driver_bed *bed)
{
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "child", &rows), 1);
    return rows[0].id.text;
}

EACH_STORE(driver_runs_a_subflow_and_tells_its_parent)
{
    driver_bed_deploy(bed, child_flow);
    driver_bed_deploy(bed, parent_flow);
    const char *id = driver_bed_create(bed, "parent");
    const char *child = only_child(bed);
    const struct execution *execution = driver_bed_execution(bed, child);
    assert_string_equal(execution_label(execution, "system.correlationId"), id);
    assert_string_equal(value_get_text(execution->trigger_variables, "executionId", ""), id);
    assert_string_equal(driver_bed_state(bed, id), "RUNNING");
    driver_bed_crash(bed);
    driver_bed_ended(bed, driver_bed_order(bed, "w"), STATE_SUCCESS);
    assert_string_equal(driver_bed_state(bed, child), "SUCCESS");
    assert_string_equal(driver_bed_state(bed, id), "SUCCESS");
    (void)only_child(bed);
}

EACH_STORE(driver_refuses_a_subflow_that_does_not_exist)
{
    driver_bed_deploy(bed, parent_flow);
    const char *id = driver_bed_create(bed, "parent");
    assert_string_equal(driver_bed_state(bed, id), "FAILED");
}

EACH_STORE(driver_kills_children_with_their_parent)
{
    driver_bed_deploy(bed, child_flow);
    driver_bed_deploy(bed, parent_flow);
    const char *id = driver_bed_create(bed, "parent");
    const char *child = only_child(bed);
    struct order *order = driver_bed_order(bed, "w");
    driver_bed_began(bed, order);
    assert_true(driver_bed_operate(
        bed, id, (struct operate_request){ .operation = OPERATE_KILL, .is_cascade = true }));
    assert_int_equal(bed->cancels.count, 1);
    assert_string_equal(bed->cancels.items[0].run_id, order->run_id);
    driver_bed_ended(bed, order, STATE_KILLED);
    assert_string_equal(driver_bed_state(bed, child), "KILLED");
    assert_string_equal(driver_bed_state(bed, id), "KILLED");
}

EACH_STORE(driver_restarts_a_failed_child_with_its_parent)
{
    driver_bed_deploy(bed, child_flow);
    driver_bed_deploy(bed, parent_flow);
    const char *id = driver_bed_create(bed, "parent");
    const char *child = only_child(bed);
    driver_bed_ended(bed, driver_bed_order(bed, "w"), STATE_FAILED);
    assert_string_equal(driver_bed_state(bed, id), "FAILED");
    assert_true(
        driver_bed_operate(bed, id, (struct operate_request){ .operation = OPERATE_RESTART }));
    assert_string_equal(driver_bed_state(bed, child), "RUNNING");
    driver_bed_ended(bed, driver_bed_order(bed, "w"), STATE_SUCCESS);
    assert_string_equal(driver_bed_state(bed, id), "SUCCESS");
    (void)only_child(bed);
}

EACH_STORE(driver_pauses_a_parked_loop_with_its_iteration)
{
    driver_bed_deploy(bed, "id: loop\n"
                           "tasks:\n"
                           "  - id: each\n"
                           "    type: Loop\n"
                           "    values: [1]\n"
                           "    tasks:\n"
                           "      - {id: w, type: Work}\n"
                           "      - {id: stop, type: Pause}\n");
    driver_bed_deploy(bed, "id: waits\ntasks:\n  - {id: p, type: Pause}\n");
    const char *id = driver_bed_create(bed, "loop");
    for (int i = 0; i < 3; i++) // more than stay in memory
        (void)driver_bed_create(bed, "waits");
    assert_string_equal(driver_bed_state(bed, id), "RUNNING");
    driver_bed_ended(bed, driver_bed_order(bed, "w"), STATE_SUCCESS);
    assert_string_equal(driver_bed_state(bed, id), "PAUSED");
    driver_bed_crash(bed);
    assert_string_equal(driver_bed_state(bed, id), "PAUSED");
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "loop", &rows), 2);
    assert_true(driver_bed_operate(bed, rows[1].id.text,
                                   (struct operate_request){ .event = { .type = EVENT_RESUME } }));
    assert_string_equal(driver_bed_state(bed, id), "SUCCESS");
}

EACH_STORE(driver_ends_a_loop_whose_iterations_end_at_once)
{
    driver_bed_deploy(bed, "id: loop\n"
                           "tasks:\n"
                           "  - id: each\n"
                           "    type: Loop\n"
                           "    values: [1, 2, 3]\n"
                           "    tasks:\n"
                           "      - {id: r, type: Return, format: \"{{ item.value }}\"}\n");
    const char *id = driver_bed_create(bed, "loop");
    assert_string_equal(driver_bed_state(bed, id), "SUCCESS");
}

EACH_STORE(driver_gives_iterations_the_slot_of_their_loop)
{
    driver_bed_deploy(bed, "id: loop\n"
                           "concurrency: {limit: 1}\n"
                           "tasks:\n"
                           "  - id: each\n"
                           "    type: Loop\n"
                           "    values: [1, 2]\n"
                           "    tasks:\n"
                           "      - {id: w, type: Work}\n");
    const char *id = driver_bed_create(bed, "loop");
    const char *next = driver_bed_create(bed, "loop");
    driver_bed_ended(bed, driver_bed_order(bed, "w"), STATE_SUCCESS);
    driver_bed_crash(bed);
    assert_string_equal(driver_bed_state(bed, next), "QUEUED");
    driver_bed_ended(bed, driver_bed_order(bed, "w"), STATE_SUCCESS);
    assert_string_equal(driver_bed_state(bed, id), "SUCCESS");
    assert_string_equal(driver_bed_state(bed, next), "RUNNING");
}

/* ---- operations ---- */

EACH_STORE(driver_replays_an_execution_as_another)
{
    driver_bed_deploy(bed, pure);
    const char *id = driver_bed_create(bed, "pure");
    struct driver_request request = { .type = REQUEST_OPERATE };
    request.operate = (struct operate_request){ .execution_id = id, .operation = OPERATE_REPLAY };
    assert_true(driver_bed_ask(bed, &request));
    const char *replay = arena_strdup(bed->arena, request.execution.id.text);
    assert_string_not_equal(replay, id);
    const struct execution *execution = driver_bed_execution(bed, replay);
    assert_string_equal(execution->parent_id, id);
    assert_string_equal(execution->original_id, id);
    assert_string_equal(driver_bed_state(bed, replay), "SUCCESS");
    assert_string_equal(execution_label(driver_bed_execution(bed, id), "system.replayed"), "true");

    const char *value[] = { "true" };
    struct filter filter = { .field = FIELD_LABEL,
                             .match = MATCH_EQUAL,
                             .key = "system.replayed",
                             .values = value,
                             .values_count = 1 };
    struct query query = {
        .filters = &filter, .filters_count = 1, .sort = FIELD_COUNT, .limit = 5
    };
    struct execution_row *rows = NULL;
    size_t count = 0;
    assert_true(bed->reader->ops->execution_search(bed->reader, bed->arena, &query, false, &rows,
                                                   &count, NULL, NULL));
    assert_int_equal(count, 1);
}

EACH_STORE(driver_says_what_an_operation_is_refused_for)
{
    driver_bed_deploy(bed, pure);
    const char *id = driver_bed_create(bed, "pure");
    struct driver_request request = { .type = REQUEST_OPERATE };
    request.operate = (struct operate_request){ .execution_id = id,
                                                .operation = OPERATE_EVENT,
                                                .event = { .type = EVENT_RESUME } };
    assert_false(driver_bed_ask(bed, &request));
    assert_int_equal(request.error.code, ERR_CONFLICT);
    request.operate.execution_id = "0000000000000000000000";
    assert_false(driver_bed_ask(bed, &request));
    assert_int_equal(request.error.code, ERR_NOT_FOUND);
}

EACH_STORE(driver_deletes_executions_and_gives_back_what_they_held)
{
    driver_bed_deploy(bed, "id: call\n"
                           "concurrency: {limit: 1}\n"
                           "tasks: [{id: a, type: io.weir.test.Work}]\n");
    const char *first = driver_bed_create(bed, "call");
    const char *second = driver_bed_create(bed, "call");
    assert_string_equal(driver_bed_state(bed, second), "QUEUED");
    struct driver_request request = { .type = REQUEST_DELETE };
    request.delete = (struct delete_request){ .ids = &first, .count = 1 };
    assert_false(driver_bed_ask(bed, &request));
    request.delete.non_terminated_too = true;
    assert_true(driver_bed_ask(bed, &request));
    assert_null(driver_bed_state(bed, first));
    assert_string_equal(driver_bed_state(bed, second), "RUNNING");
    struct order *late = driver_bed_order(bed, "a");
    driver_bed_ended(bed, late, STATE_SUCCESS); // of the deleted one
    driver_bed_ended(bed, driver_bed_order(bed, "a"), STATE_SUCCESS);
    assert_string_equal(driver_bed_state(bed, second), "SUCCESS");
}

EACH_STORE(driver_does_not_bring_back_what_the_same_turn_deletes)
{
    driver_bed_deploy(bed, "id: call\ntasks: [{id: a, type: Fail}]\n");
    const char *id = driver_bed_create(bed, "call");
    struct driver_request gone = { .type = REQUEST_DELETE };
    struct driver_request again = { .type = REQUEST_OPERATE };
    bool is_gone = false;
    bool is_answered = false;
    gone.delete = (struct delete_request){ .ids = &id, .count = 1 };
    again.operate = (struct operate_request){ .execution_id = id, .operation = OPERATE_RESTART };
    driver_bed_submit(bed, &gone, &is_gone);
    driver_bed_submit(bed, &again, &is_answered);
    driver_bed_settle(bed);
    assert_true(is_gone && gone.ok);
    assert_true(is_answered && !again.ok);
    assert_int_equal(again.error.code, ERR_NOT_FOUND);
    assert_null(driver_bed_state(bed, id));
}

EACH_STORE(driver_tells_a_parent_that_its_child_was_deleted)
{
    driver_bed_deploy(bed, child_flow);
    driver_bed_deploy(bed, parent_flow);
    const char *id = driver_bed_create(bed, "parent");
    const char *child = only_child(bed);
    struct driver_request request = { .type = REQUEST_DELETE };
    request.delete =
        (struct delete_request){ .ids = &child, .count = 1, .non_terminated_too = true };
    assert_true(driver_bed_ask(bed, &request));
    assert_string_equal(driver_bed_state(bed, id), "FAILED");
}

/* ---- concurrency ---- */

EACH_STORE(driver_queues_what_exceeds_the_limit_in_order)
{
    driver_bed_deploy(bed, "id: call\n"
                           "concurrency: {limit: 1}\n"
                           "tasks: [{id: a, type: io.weir.test.Work}]\n");
    const char *ids[4];
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        ids[i] = driver_bed_create(bed, "call");
        bed->now += USEC_SEC;
    }
    assert_string_equal(driver_bed_history(bed, ids[1]), "CREATED, QUEUED");
    driver_bed_crash(bed);
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        assert_string_equal(driver_bed_state(bed, ids[i]), "RUNNING");
        if (i + 1 < COUNT_OF(ids))
            assert_string_equal(driver_bed_state(bed, ids[i + 1]), "QUEUED");
        driver_bed_ended(bed, driver_bed_order(bed, "a"), STATE_SUCCESS);
    }
    assert_string_equal(driver_bed_history(bed, ids[3]), "CREATED, QUEUED, RUNNING, SUCCESS");
}

EACH_STORE(driver_cancels_or_fails_what_exceeds_the_limit_if_told_so)
{
    driver_bed_deploy(bed, "id: cancel\n"
                           "concurrency: {limit: 1, behavior: CANCEL}\n"
                           "tasks: [{id: a, type: io.weir.test.Work}]\n");
    driver_bed_deploy(bed, "id: fail\n"
                           "concurrency: {limit: 1, behavior: FAIL}\n"
                           "tasks: [{id: a, type: io.weir.test.Work}]\n");
    (void)driver_bed_create(bed, "cancel");
    (void)driver_bed_create(bed, "fail");
    assert_string_equal(driver_bed_history(bed, driver_bed_create(bed, "cancel")),
                        "CREATED, CANCELLED");
    assert_string_equal(driver_bed_history(bed, driver_bed_create(bed, "fail")), "CREATED, FAILED");
}

EACH_STORE(driver_lets_the_queue_go_when_the_limit_is_lifted)
{
    driver_bed_deploy(bed, "id: call\n"
                           "concurrency: {limit: 1}\n"
                           "tasks: [{id: a, type: io.weir.test.Work}]\n");
    const char *ids[3];
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        ids[i] = driver_bed_create(bed, "call");
    assert_string_equal(driver_bed_state(bed, ids[2]), "QUEUED");
    driver_bed_deploy(bed, "id: call\ntasks: [{id: a, type: io.weir.test.Work}]\n");
    assert_string_equal(driver_bed_state(bed, ids[1]), "RUNNING");
    assert_string_equal(driver_bed_state(bed, ids[2]), "RUNNING");
}

EACH_STORE(driver_takes_a_killed_execution_out_of_the_queue)
{
    driver_bed_deploy(bed, "id: call\n"
                           "concurrency: {limit: 1}\n"
                           "tasks: [{id: a, type: io.weir.test.Work}]\n");
    const char *first = driver_bed_create(bed, "call");
    const char *second = driver_bed_create(bed, "call");
    assert_true(
        driver_bed_operate(bed, second, (struct operate_request){ .operation = OPERATE_KILL }));
    assert_string_equal(driver_bed_history(bed, second), "CREATED, QUEUED, KILLING, KILLED");
    const char *third = driver_bed_create(bed, "call");
    assert_true(driver_bed_operate(
        bed, third,
        (struct operate_request){ .operation = OPERATE_UNQUEUE, .state = STATE_RUNNING }));
    assert_string_equal(driver_bed_state(bed, third), "RUNNING");
    driver_bed_ended(bed, driver_bed_order(bed, "a"), STATE_SUCCESS);
    assert_string_equal(driver_bed_state(bed, first), "SUCCESS");
    // Two slots were taken; one is free again, and still none is left for a fourth.
    const char *fourth = driver_bed_create(bed, "call");
    assert_string_equal(driver_bed_state(bed, fourth), "QUEUED");
    driver_bed_ended(bed, driver_bed_order(bed, "a"), STATE_SUCCESS);
    assert_string_equal(driver_bed_state(bed, fourth), "RUNNING");
}

/* ---- flows ---- */

EACH_STORE(driver_numbers_revisions_and_leaves_equal_flows_alone)
{
    assert_int_equal(driver_bed_deploy(bed, pure), 1);
    assert_int_equal(driver_bed_deploy(bed, pure), 1);
    assert_int_equal(driver_bed_deploy(bed, "id: pure\n"
                                            "tasks: [{id: a, type: Log, message: x}]\n"),
                     2);
    const char *id = driver_bed_create(bed, "pure");
    assert_int_equal(driver_bed_execution(bed, id)->flow_revision, 2);
    assert_true(driver_bed_delete_flow(bed, "pure"));
    struct driver_request request = { .type = REQUEST_CREATE };
    request.create = (struct create_request){ .namespace = "company.team", .flow_id = "pure" };
    assert_false(driver_bed_ask(bed, &request));
    assert_int_equal(request.error.code, ERR_NOT_FOUND);
    assert_int_equal(driver_bed_deploy(bed, pure), 4);
}

EACH_STORE(driver_applies_a_batch_as_a_whole_or_not_at_all)
{
    driver_bed_deploy(bed, pure);
    struct flow_change flows[] = {
        { .namespace = "company.team",
          .id = "one",
          .source = "id: one",
          .source_length = 7,
          .digest = "d1" },
        { .namespace = "company.team",
          .id = "pure",
          .source = "id: pure",
          .source_length = 8,
          .digest = "d2",
          .mode = CHANGE_NEW },
    };
    struct kv_change kv = {
        .row = { .namespace = "company.team", .key = "k", .type = "STRING", .value = "\"v\"" }
    };
    struct driver_request request = { .type = REQUEST_CHANGE };
    request.change.flows = flows;
    request.change.flows_count = 2;
    request.change.kv = &kv;
    request.change.kv_count = 1;
    assert_false(driver_bed_ask(bed, &request));
    assert_int_equal(request.error.code, ERR_CONFLICT);
    assert_int_equal(request.change.failed, 1);
    struct flow_row row;
    struct kv_row kv_row;
    assert_false(bed->reader->ops->flow_get(bed->reader, bed->arena, "company.team", "one", 0,
                                            false, &row, NULL));
    assert_false(
        bed->reader->ops->kv_get(bed->reader, bed->arena, "company.team", "k", &kv_row, NULL));

    flows[1].mode = CHANGE_EXISTING;
    assert_true(driver_bed_ask(bed, &request));
    assert_int_equal(flows[1].result.revision, 2);
    assert_true(
        bed->reader->ops->kv_get(bed->reader, bed->arena, "company.team", "k", &kv_row, NULL));
    assert_int_equal(kv_row.revision, 1);
    assert_int_equal(kv_row.expires_at, USEC_NEVER);
}

EACH_STORE(driver_refuses_a_change_that_names_one_thing_twice)
{
    struct flow_change flows[] = {
        { .namespace = "a", .id = "f", .source = "id: f", .source_length = 5, .digest = "d" },
        { .namespace = "a", .id = "f", .source = "id: f", .source_length = 5, .digest = "d" },
    };
    struct kv_change kv[] = {
        { .row = { .namespace = "a", .key = "k", .type = "STRING", .value = "\"v\"" } },
        { .row = { .namespace = "a", .key = "k", .type = "STRING", .value = "\"w\"" } },
    };
    struct file_change files[] = {
        { .row = { .namespace = "a", .path = "/f", .is_folder = true } },
        { .row = { .namespace = "a", .path = "/f", .is_folder = true } },
    };
    const struct change_request changes[] = {
        { .flows = flows, .flows_count = 2 },
        { .kv = kv, .kv_count = 2 },
        { .files = files, .files_count = 2 },
    };
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        struct driver_request request = { .type = REQUEST_CHANGE, .change = changes[i] };
        assert_false(driver_bed_ask(bed, &request));
        assert_int_equal(request.error.code, ERR_INVALID);
        assert_non_null(strstr(request.error.text, "occurs twice"));
    }
}

EACH_STORE(driver_counts_revisions_of_a_key_within_one_turn)
{
    struct kv_change items[3];
    struct driver_request requests[3];
    bool done[3] = { false };
    for (size_t i = 0; i < 3; i++) {
        items[i] = (struct kv_change){
            .mode = i == 2 ? CHANGE_NEW : CHANGE_ANY,
            .row = { .namespace = "n", .key = "k", .type = "NUMBER", .value = "1" }
        };
        requests[i] = (struct driver_request){
            .type = REQUEST_CHANGE, .arena = bed->arena, .done = ended, .data = &done[i]
        };
        requests[i].change.kv = &items[i];
        requests[i].change.kv_count = 1;
        assert_true(driver_submit(bed->driver, &requests[i]));
    }
    driver_bed_settle(bed);
    assert_true(done[0] && done[1] && done[2]);
    assert_int_equal(items[0].result.revision, 1);
    assert_int_equal(items[1].result.revision, 2);
    assert_false(requests[2].ok);
    assert_int_equal(requests[2].error.code, ERR_CONFLICT);
}

/* ---- retention ---- */

static void driver_forgets_executions_after_their_time(void **state)
{
    (void)state;
    struct driver_bed bed;
    driver_bed_open(&bed, driver_bed_database());
    driver_bed_deploy(&bed, pure);
    driver_bed_deploy(&bed, one_call);
    const char *old = driver_bed_create(&bed, "pure");
    const char *running = driver_bed_create(&bed, "call");
    driver_bed_kill(&bed);
    bed.retention = USEC_DAY;
    driver_bed_start(&bed);
    driver_bed_advance(&bed, bed_noon + USEC_DAY - USEC_HOUR);
    assert_non_null(driver_bed_state(&bed, old));
    driver_bed_advance(&bed, bed_noon + USEC_DAY + 3 * USEC_MIN);
    assert_null(driver_bed_state(&bed, old));
    assert_string_equal(driver_bed_state(&bed, running), "RUNNING");
    driver_bed_close(&bed);
}

/* ---- noticing ---- */

static void notice(void *data, const struct execution_notice *seen)
{
    struct buf *text = data;
    buf_printf(text, "%s%s ", states[seen->state].name, seen->fully_ended ? "." : "");
}

EACH_STORE(driver_tells_watches_once_per_commit)
{
    struct buf all = { 0 };
    struct buf one = { 0 };
    driver_bed_deploy(bed, one_call);
    driver_bed_deploy(bed, pure);
    struct driver_watch *watch = driver_watch(bed->driver, NULL, notice, &all);
    const char *id = driver_bed_create(bed, "call");
    struct driver_watch *own = driver_watch(bed->driver, id, notice, &one);
    (void)driver_bed_create(bed, "pure");
    driver_bed_ended(bed, driver_bed_order(bed, "a"), STATE_SUCCESS);
    assert_string_equal(buf_text(&all), "RUNNING SUCCESS. SUCCESS. ");
    assert_string_equal(buf_text(&one), "SUCCESS. ");
    driver_unwatch(bed->driver, watch);
    driver_unwatch(bed->driver, own);
    (void)driver_bed_create(bed, "pure");
    assert_string_equal(buf_text(&one), "SUCCESS. ");
    buf_free(&all);
    buf_free(&one);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(driver_creates_and_ends_a_pure_execution_in_one_commit),
    cmocka_unit_test(driver_orders_after_the_commit_and_takes_the_answer),
    cmocka_unit_test(driver_never_orders_twice_under_one_number_whatever_it_heard_of_the_first),
    cmocka_unit_test(driver_never_orders_twice_when_it_dies_with_the_news_of_the_begin_unstored),
    cmocka_unit_test(driver_stores_the_news_of_a_begin_when_it_has_lingered),
    cmocka_unit_test(driver_stores_what_lingers_with_the_next_commit),
    cmocka_unit_test(driver_calls_an_attempt_lost_that_ran_when_it_crashed),
    cmocka_unit_test(driver_ignores_answers_about_what_is_gone),
    cmocka_unit_test(driver_finds_a_worker_that_forgot_an_attempt),
    cmocka_unit_test(driver_offers_orders_again_to_a_worker_without_room),
    cmocka_unit_test(driver_gives_no_more_than_its_worker_needs),
    cmocka_unit_test(driver_loses_no_attempt_that_was_not_given_when_it_crashed),
    cmocka_unit_test(driver_never_gives_what_was_killed_while_it_waited),
    cmocka_unit_test(driver_gives_on_when_an_execution_with_given_orders_is_deleted),
    cmocka_unit_test(driver_takes_back_what_had_not_begun_when_it_stops),
    cmocka_unit_test(driver_stores_what_it_was_told_before_it_stops),
    cmocka_unit_test(driver_takes_nothing_back_from_a_worker_that_goes_on),
    cmocka_unit_test(driver_puts_no_second_attempt_beside_a_running_one),
    cmocka_unit_test(driver_does_not_wait_for_an_attempt_that_its_worker_lost),
    cmocka_unit_test(driver_waits_for_nothing_of_the_time_before_a_crash),
    cmocka_unit_test(driver_cancels_what_need_not_begin_any_more),
    cmocka_unit_test(driver_cancels_a_remote_job_before_its_task_runs_again),
    cmocka_unit_test(driver_parks_a_pause_and_wakes_it_after_a_crash),
    cmocka_unit_test(driver_retries_at_the_date_of_the_retry),
    cmocka_unit_test(driver_makes_a_new_execution_for_a_retry_of_that_kind),
    cmocka_unit_test(driver_starts_a_scheduled_execution_at_its_date),
    cmocka_unit_test(driver_answers_a_wait_when_the_execution_has_ended),
    cmocka_unit_test(driver_runs_a_subflow_and_tells_its_parent),
    cmocka_unit_test(driver_refuses_a_subflow_that_does_not_exist),
    cmocka_unit_test(driver_kills_children_with_their_parent),
    cmocka_unit_test(driver_restarts_a_failed_child_with_its_parent),
    cmocka_unit_test(driver_pauses_a_parked_loop_with_its_iteration),
    cmocka_unit_test(driver_gives_iterations_the_slot_of_their_loop),
    cmocka_unit_test(driver_ends_a_loop_whose_iterations_end_at_once),
    cmocka_unit_test(driver_replays_an_execution_as_another),
    cmocka_unit_test(driver_says_what_an_operation_is_refused_for),
    cmocka_unit_test(driver_deletes_executions_and_gives_back_what_they_held),
    cmocka_unit_test(driver_does_not_bring_back_what_the_same_turn_deletes),
    cmocka_unit_test(driver_tells_a_parent_that_its_child_was_deleted),
    cmocka_unit_test(driver_queues_what_exceeds_the_limit_in_order),
    cmocka_unit_test(driver_cancels_or_fails_what_exceeds_the_limit_if_told_so),
    cmocka_unit_test(driver_lets_the_queue_go_when_the_limit_is_lifted),
    cmocka_unit_test(driver_takes_a_killed_execution_out_of_the_queue),
    cmocka_unit_test(driver_numbers_revisions_and_leaves_equal_flows_alone),
    cmocka_unit_test(driver_applies_a_batch_as_a_whole_or_not_at_all),
    cmocka_unit_test(driver_refuses_a_change_that_names_one_thing_twice),
    cmocka_unit_test(driver_counts_revisions_of_a_key_within_one_turn),
    cmocka_unit_test(driver_forgets_executions_after_their_time),
    cmocka_unit_test(driver_tells_watches_once_per_commit),
};
TEST_GROUP(driver, tests)
