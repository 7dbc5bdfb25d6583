/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remote jobs: start, poll, cancel. Between two polls nothing of them is here.
 *
 * The memo that the store keeps wraps the task's own: {since, memo}. `since` is when the attempt
 * began, for its timeout.
 */
#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "core/plugin.h"
#include "runtime/worker/work.h"

/* A poll that names no span. */
#define POLL_AFTER USEC_SEC

static const struct value *wrap_memo(struct arena *arena, usec_t since, const struct value *memo)
{
    struct value_builder map = value_build(arena);
    value_put_int(&map, "since", since);
    if (memo != NULL)
        value_put(&map, "memo", memo);
    return value_build_map(&map);
}

static void wait_for_poll(struct work *work, usec_t since, const struct value *memo, usec_t at)
{
    usec_t timeout = work->order->timeout;
    if (timeout > 0 && at > since + timeout)
        at = since + timeout;
    work->ok = true;
    work->is_remote = true;
    work->memo = wrap_memo(work->order->arena, since, memo);
    work->wake_at = at;
}

/* Best effort, once. */
static void cancel(struct work *work, const char *remote_id)
{
    const struct remote_ops *ops = work->order->plugin->remote_ops;
    // The call itself must not be stopped by what stops the task.
    atomic_store(&work->job.cancelled, false);
    struct error err = { 0 };
    if (ops->cancel != NULL && !ops->cancel(&work->job.ctx, work->bound, remote_id, &err))
        task_log(&work->job.ctx, LOG_WARN, "the remote job was not cancelled: %s", err.text);
}

static bool start(struct work *work)
{
    const struct remote_ops *ops = work->order->plugin->remote_ops;
    struct task_ctx *ctx = &work->job.ctx;
    const char *remote_id = NULL;
    const struct value *memo = NULL;
    struct error err = { 0 };
    if (!task_check(ctx, &err) ||
        (ops->find != NULL && !ops->find(ctx, work->bound, &remote_id, &err)) ||
        (remote_id == NULL && !ops->start(ctx, work->bound, &remote_id, &memo, &err))) {
        work_fail(work, &err);
        return false;
    }
    work->remote_id = remote_id;
    wait_for_poll(work, clock_now(), memo, clock_now());
    return true;
}

static void poll(struct work *work)
{
    const struct order *order = work->order;
    const struct remote_ops *ops = order->plugin->remote_ops;
    usec_t since = value_get_int(order->memo, "since", clock_now());
    const struct value *memo = value_get(order->memo, "memo");
    struct remote_poll answer = { .next_after = POLL_AFTER };
    struct error err = { 0 };

    work->remote_id = order->remote_id;
    if (order->timeout > 0 && clock_now() >= since + order->timeout) {
        job_stop(&work->job, STOP_TIMEOUT);
        cancel(work, order->remote_id);
        work->ok = false;
        return;
    }
    if (!ops->poll(&work->job.ctx, work->bound, order->remote_id, memo, &answer, &work->outputs,
                   &err)) {
        // Whatever a poll cannot reach now, the next one may; the rest is the author's to mend.
        if (err.code == ERR_UNAVAILABLE || err.code == ERR_TIMEOUT) {
            task_log(&work->job.ctx, LOG_WARN, "poll failed and is repeated: %s", err.text);
            wait_for_poll(work, since, memo, clock_now() + answer.next_after);
        } else {
            work_fail(work, &err);
        }
        return;
    }
    switch (answer.status) {
    case REMOTE_RUNNING:
        wait_for_poll(work, since, answer.memo != NULL ? answer.memo : memo,
                      clock_now() + (answer.next_after > 0 ? answer.next_after : POLL_AFTER));
        break;
    case REMOTE_SUCCESS:
        work->ok = true;
        break;
    case REMOTE_WARNING:
        work->ok = true;
        work->is_warning = true;
        break;
    case REMOTE_FAILED:
    case REMOTE_KILLED:
        error_set(&err, ERR_INVALID, "%s",
                  answer.message != NULL ? answer.message : "the remote job failed");
        work_fail(work, &err);
        break;
    }
}

void work_remote(void *context)
{
    struct work *work = context;
    work_start(work);
    if (work->order->is_raw && !work_render(work)) {
        job_stop(&work->job, STOP_KILL);
        task_log(&work->job.ctx, LOG_WARN, "the remote job was not cancelled: %s",
                 work->error.text);
    } else if (work_bind(work)) {
        if (work->order->type == ORDER_CANCEL) {
            job_stop(&work->job, STOP_KILL);
            cancel(work, work->order->remote_id);
            work->ok = false;
        } else if (work->order->remote_id != NULL) {
            poll(work);
        } else {
            (void)start(work);
        }
    }
    // Killed while the call was under way: what it began or still follows must not go on.
    if (work->ok && work->is_remote && atomic_load(&work->job.stop) == STOP_KILL) {
        cancel(work, work->remote_id);
        work->ok = false;
        work->is_remote = false;
    }
    work_end(work);
}
