/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every commit of a story fails once, in every way: busy, disk full, reply lost, and by a crash
 * before and after it. The story must end as it ends without a fault.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "core/value.h"
#include "tests/support/driver_bed.h"
#include "tests/support/test.h"

static const char *database(void)
{
    static char path[4096];
    (void)snprintf(path, sizeof(path), "%s/weir.db", test_folder());
    return path;
}

/* ---- the story ---- */

static const char *const flows[] = {
    "id: child\n"
    "concurrency: {limit: 1}\n"
    "tasks: [{id: w, type: io.weir.test.Work}]\n"
    "outputs: [{id: o, type: STRING, value: \"{{ execution.id }}\"}]\n",

    "id: parent\n"
    "tasks:\n"
    "  - id: both\n"
    "    type: Parallel\n"
    "    tasks:\n"
    "      - {id: one, type: Subflow, namespace: company.team, flowId: child, wait: true}\n"
    "      - {id: two, type: Subflow, namespace: company.team, flowId: child, wait: true}\n"
    "  - {id: pause, type: Pause, pauseDuration: PT10M}\n"
    "  - id: tried\n"
    "    type: io.weir.test.Work\n"
    "    retry: {type: constant, interval: PT5M, maxAttempts: 3}\n",

    "id: after\n"
    "tasks: [{id: l, type: Log, message: \"{{ trigger.executionId }}\"}]\n"
    "triggers:\n"
    "  - id: t\n"
    "    type: io.kestra.plugin.core.trigger.Flow\n"
    "    states: [SUCCESS]\n"
    "    conditions:\n"
    "      - {type: ExecutionFlow, namespace: company.team, flowId: parent}\n",

    "id: hourly\n"
    "tasks: [{id: a, type: io.weir.test.Work}]\n"
    "triggers: [{id: t, type: Schedule, cron: \"0 * * * *\"}]\n",
};

/* Answers all orders until none is left: the first attempt of `tried` fails, all else succeeds. */
static void work(struct driver_bed *bed)
{
    for (int i = 0; i < 1000 && bed->orders.count > 0; i++) {
        struct order *order = bed->orders.items[0];
        bool fails = str_eq(order->task_id, "tried") && order->attempt == 1;
        driver_bed_began(bed, order);
        driver_bed_ended(bed, order, fails ? STATE_FAILED : STATE_SUCCESS);
    }
}

static void pass_time(struct driver_bed *bed, usec_t until)
{
    for (usec_t at = bed->now; at < until; at += USEC_MIN) {
        driver_bed_advance(bed, at);
        work(bed);
    }
}

/*
 * Creates an execution of the parent unless the one asked for exists: what a client does that got
 * no answer.
 */
static void create_parent(struct driver_bed *bed)
{
    struct execution_row *rows = NULL;
    if (driver_bed_executions(bed, "parent", &rows) > 0)
        return;
    struct driver_request *request = ARENA_NEW(bed->arena, struct driver_request);
    bool *is_done = ARENA_NEW(bed->arena, bool);
    request->type = REQUEST_CREATE;
    request->create = (struct create_request){ .namespace = "company.team", .flow_id = "parent" };
    driver_bed_submit(bed, request, is_done);
    driver_bed_settle(bed);
}

static void tell(struct driver_bed *bed)
{
    create_parent(bed);
    work(bed);
    pass_time(bed, bed_noon + 3 * USEC_HOUR - USEC_MIN);
}

/* ---- what must hold at the end ---- */

static void expect(struct driver_bed *bed, const char *flow, size_t count, const char *story)
{
    struct execution_row *rows = NULL;
    size_t found = driver_bed_executions(bed, flow, &rows);
    if (found != count)
        fail_msg("%s: %zu executions of '%s', not %zu", story, found, flow, count);
    for (size_t i = 0; i < found; i++) {
        if (rows[i].state != STATE_SUCCESS || rows[i].live != LIVE_ENDED || rows[i].holds_slot)
            fail_msg("%s: execution %zu of '%s' is %s", story, i, flow, states[rows[i].state].name);
        const struct execution *execution = driver_bed_execution(bed, rows[i].id.text);
        for (size_t k = 0; k < execution->runs.count; k++)
            if (!states[execution->runs.items[k]->state.current].is_terminal)
                fail_msg("%s: run '%s' of '%s' is open", story, execution->runs.items[k]->task_id,
                         flow);
    }
}

static void check(struct driver_bed *bed, const char *story)
{
    struct error err = { 0 };
    expect(bed, "parent", 1, story);
    expect(bed, "child", 2, story);
    expect(bed, "after", 1, story);
    expect(bed, "hourly", 2, story);
    struct execution_row *rows = NULL;
    (void)driver_bed_executions(bed, "hourly", &rows);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rows[i].fire_at, bed_noon + (i + 1) * USEC_HOUR);
    struct queued_row *queued = NULL;
    size_t count = 0;
    assert_true(
        bed->reader->ops->queued(bed->reader, bed->arena, NULL, NULL, 10, &queued, &count, &err));
    assert_int_equal(count, 0);
    assert_null(driver_bed_trigger(bed, "hourly", "t")->execution_id);
    if (!bed->store->ops->check(bed->store, &err))
        fail_msg("%s: %s", story, err.text);
}

static void open_story(struct driver_bed *bed, const char *path)
{
    driver_bed_open(bed, path);
    for (size_t i = 0; i < COUNT_OF(flows); i++)
        driver_bed_deploy(bed, flows[i]);
    bed->faults.commits = 0;
}

/* Number of commits that the story takes when nothing fails. */
static int64_t story_length(void)
{
    struct driver_bed bed;
    open_story(&bed, NULL);
    tell(&bed);
    check(&bed, "no fault");
    int64_t commits = bed.faults.commits;
    driver_bed_close(&bed);
    assert_true(commits > 10);
    return commits;
}

/* ---- faults ---- */

static void with_fault(const char *path, int64_t at, enum fault fault, int64_t times)
{
    struct driver_bed bed;
    char story[128];
    (void)snprintf(story, sizeof(story), "commit %lld %s, %lld times, %s", (long long)at,
                   fault_name(fault), (long long)times, path == NULL ? "memory" : "sqlite");
    open_story(&bed, path);
    bed.faults.at = at;
    bed.faults.times = times;
    bed.faults.fault = fault;
    tell(&bed);
    assert_false(bed.is_broken);
    check(&bed, story);
    driver_bed_close(&bed);
}

/* The driver says what it cannot store; here that is expected. */
static int be_quiet(void **state)
{
    (void)state;
    log_open(&(struct log_options){ .level = LOG_NONE, .fd = 2 });
    return 0;
}

static void every_commit_may_fail_once_or_for_a_while(void **state)
{
    (void)state;
    int64_t length = story_length();
    static const enum fault kinds[] = { FAULT_BUSY, FAULT_FULL, FAULT_LOST_REPLY };
    for (int64_t at = 1; at <= length; at++)
        for (size_t i = 0; i < COUNT_OF(kinds); i++) {
            with_fault(NULL, at, kinds[i], 1);
            with_fault(NULL, at, kinds[i], 4);
            if (at % 5 == 1)
                with_fault(database(), at, kinds[i], 2);
        }
}

/* The process dies at a commit: before it, or after it and before anybody was told. */
static void with_crash(const char *path, int64_t at, bool is_after)
{
    struct driver_bed bed;
    char story[128];
    (void)snprintf(story, sizeof(story), "crash %s commit %lld, %s", is_after ? "after" : "before",
                   (long long)at, path == NULL ? "memory" : "sqlite");
    open_story(&bed, path);
    bed.faults.at = at;
    bed.faults.times = INT64_MAX / 2;
    bed.faults.fault = is_after ? FAULT_LOST_REPLY : FAULT_BUSY;
    // Up to the failing commit; then nothing moves any more.
    create_parent(&bed);
    for (int i = 0; i < 400 && bed.faults.commits < at; i++) {
        work(&bed);
        driver_bed_advance(&bed, bed.now + USEC_MIN);
    }
    driver_bed_kill(&bed);
    bed.faults.at = 0;
    driver_bed_start(&bed);
    tell(&bed);
    check(&bed, story);
    driver_bed_close(&bed);
}

static void every_commit_may_be_the_last_before_a_crash(void **state)
{
    (void)state;
    int64_t length = story_length();
    for (int64_t at = 1; at <= length; at++) {
        with_crash(NULL, at, false);
        with_crash(NULL, at, true);
        with_crash(database(), at, at % 2 == 0);
    }
}

static void a_store_that_was_taken_over_stops_the_driver(void **state)
{
    (void)state;
    struct driver_bed bed;
    open_story(&bed, NULL);
    bed.faults.at = 1;
    bed.faults.fault = FAULT_BROKEN;
    struct driver_request request = { .type = REQUEST_CREATE };
    request.create = (struct create_request){ .namespace = "company.team", .flow_id = "parent" };
    bool is_done = false;
    driver_bed_submit(&bed, &request, &is_done);
    assert_true(driver_turn(bed.driver));
    assert_true(bed.is_broken);
    assert_false(driver_turn(bed.driver));
    assert_int_equal(bed.orders.count, 0); // nothing is done that is not stored
    driver_bed_kill(&bed);
    assert_true(is_done);
    assert_false(request.ok);
    driver_bed_start(&bed);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(&bed, "parent", &rows), 0);
    driver_bed_close(&bed);
}

/* ---- a real disk that fills up ---- */

static void a_full_disk_loses_nothing_that_was_acknowledged(void **state)
{
    (void)state;
    struct driver_bed bed;
    driver_bed_open(&bed, database());
    driver_bed_deploy(&bed, "id: pure\ntasks: [{id: a, type: Log, message: hello}]\n");
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit small = before;
    small.rlim_cur = (rlim_t)1 << 20;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);

    size_t acknowledged = 0;
    bool is_done = true;
    struct driver_request request = { .type = REQUEST_CREATE };
    while (is_done && acknowledged < 100000) {
        request = (struct driver_request){ .type = REQUEST_CREATE };
        request.create = (struct create_request){ .namespace = "company.team", .flow_id = "pure" };
        driver_bed_submit(&bed, &request, &is_done);
        for (int i = 0; i < 20 && !is_done; i++)
            (void)driver_turn(bed.driver);
        acknowledged += is_done && request.ok;
    }
    bool is_full = !is_done;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_true(is_full);
    assert_int_not_equal(driver_counts(bed.driver).store_failing_since, 0);

    driver_bed_advance(&bed, bed.now + 3 * USEC_SEC); // there is room again
    assert_true(is_done);
    assert_true(request.ok);
    assert_int_equal(driver_counts(bed.driver).store_failing_since, 0);
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(&bed, "pure", &rows), acknowledged + 1);
    driver_bed_crash(&bed);
    assert_int_equal(driver_bed_executions(&bed, "pure", &rows), acknowledged + 1);
    struct error err = { 0 };
    assert_true(bed.store->ops->check(bed.store, &err));
    driver_bed_close(&bed);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(every_commit_may_fail_once_or_for_a_while, be_quiet),
    cmocka_unit_test_setup(every_commit_may_be_the_last_before_a_crash, be_quiet),
    cmocka_unit_test_setup(a_store_that_was_taken_over_stops_the_driver, be_quiet),
    cmocka_unit_test_setup(a_full_disk_loses_nothing_that_was_acknowledged, be_quiet),
};
TEST_GROUP(driver_faults, tests)
