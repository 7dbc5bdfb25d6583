/* SPDX-License-Identifier: Apache-2.0 */
/* After a start, or when a parked execution is loaded: everything pending is pending again. */
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/driver/driver_internal.h"

/* Executions read at once at the start. */
#define ACTIVE_PAGE 1000U

/* Expired executions deleted per step of retention; the next step follows at once. */
#define EXPIRED_PAGE    200U
#define RETENTION_EVERY USEC_MIN

/*
 * Attempts that a worker had, and has no more. One that was handed over and of whose begin nothing
 * is stored may have begun all the same: the news of it waited for a commit (may_linger()). It is
 * lost like one that ran, so that no work is done twice under one number.
 */
static void lose_attempts(struct driver *driver, struct live *live)
{
    const struct worker_iface *worker = &driver->config.worker;
    struct execution *execution = live->execution;
    for (size_t i = 0; i < execution->runs.count; i++) {
        const struct task_run *run = execution->runs.items[i];
        uint32_t attempt = engine_attempt(run);
        // What was not handed over is ordered by the engine; a timer polls a remote job.
        bool is_here = run->state.current == STATE_SUBMITTED && !run->is_handed;
        if (attempt == 0 || is_here || run->wake_at != 0 ||
            (run->seq < live->on_worker_count && live->on_worker[run->seq] != 0))
            continue;
        if (worker->has != NULL &&
            worker->has(worker->data, execution->id.text, run->id.text, attempt)) {
            orders_hold(driver, live, run, attempt);
            continue;
        }
        struct event event = {
            .type = EVENT_RUN_LOST, .run_id = run->id.text, .attempt = attempt, .iteration = -1
        };
        driver_push(driver, live, &event);
    }
}

void recover_step(struct driver *driver, struct live *live)
{
    const struct execution *execution = live->execution;
    live->needs_recovery = false;
    struct event event = { .type = EVENT_RECOVER, .iteration = -1 };
    if (execution->state.current == STATE_CREATED) { // its first step was still to come
        event.type = EVENT_START;
        event.admission = create_admission(driver, execution);
    } else if (execution->state.current == STATE_RESTARTED) {
        event.type = EVENT_CONTINUE;
        event.admission = create_admission(driver, execution);
    }
    driver_step(driver, live, &event);
    lose_attempts(driver, live);
}

bool recover_active(struct driver *driver, struct error *err)
{
    int64_t after = 0;
    size_t count = ACTIVE_PAGE;
    while (count == ACTIVE_PAGE) {
        struct execution_row *rows = NULL;
        struct arena *arena = arena_new();
        bool ok = driver->reader->ops->execution_active(driver->reader, arena, after, ACTIVE_PAGE,
                                                        &rows, &count, err);
        for (size_t i = 0; i < count && ok; i++) {
            after = rows[i].key;
            struct error mistake = { 0 };
            struct live *live = live_adopt(driver, &rows[i], &mistake);
            if (live != NULL) {
                struct event event = { .type = EVENT_RECOVER, .iteration = -1 };
                driver_push(driver, live, &event); // the first step recovers
                continue;
            }
            // One damaged execution must not keep all others from running.
            log_error("an execution cannot be loaded", LOG_STR("execution", rows[i].id.text),
                      LOG_ERR(&mistake));
        }
        arena_free(arena);
        if (!ok)
            return false;
    }
    return true;
}

void recover_retention(struct driver *driver)
{
    struct arena *arena = arena_new();
    struct execution_row *rows = NULL;
    size_t count = 0;
    struct error err = { 0 };
    if (!driver->reader->ops->execution_expired(driver->reader, arena,
                                                driver->now - driver->config.retention,
                                                EXPIRED_PAGE, &rows, &count, &err))
        log_error("expired executions cannot be read", LOG_ERR(&err));
    for (size_t i = 0; i < count; i++)
        requests_remove(driver, &rows[i], false, false);
    arena_free(arena);
    wheel_set(driver->wheel, &driver->retention,
              count == EXPIRED_PAGE ? driver->now + 1 : driver->now + RETENTION_EVERY);
}
