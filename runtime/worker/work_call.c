/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of work that are one call on a pool thread: call, EVALUATE, polling triggers. */
#include <stdio.h>

#include "base/arena.h"
#include "base/redact.h"
#include "core/plugin.h"
#include "runtime/triggers/trigger.h"
#include "runtime/worker/work.h"

void work_call(void *context)
{
    struct work *work = context;
    work_start(work);
    if (work_bind(work)) {
        struct error err = { 0 };
        work->ok =
            task_check(&work->job.ctx, &err) &&
            work->order->plugin->call_ops->run(&work->job.ctx, work->bound, &work->outputs, &err);
        if (!work->ok)
            work_fail(work, &err);
    }
    work_end(work);
}

void work_evaluate(void *context)
{
    struct work *work = context;
    const struct order *order = work->order;
    const struct worker_answers *answers = &work->worker->answers;
    struct evaluate evaluate = {
        .services = work->worker->options.services,
        .context = order->context,
        .redact = work->space == NULL ? NULL : work->space->redact,
        .cancel = &work->job.cancelled,
        .is_task = order->run_id != NULL,
    };
    struct error err = { 0 };
    const struct value *value =
        evaluate_call(&evaluate, order->arena, order->function, order->props, &err);
    if (value != NULL || atomic_load(&work->job.stop) != STOP_SHUTDOWN)
        answers->evaluated(answers->data, order->execution_id, order->run_id, order->attempt,
                           order->function, order->props, value, &err);
    work_release(work);
}

void work_trigger(void *context)
{
    struct work *work = context;
    struct order *order = work->order;
    const struct plugin *plugin = order->plugin;
    struct evaluate evaluate = {
        .services = work->worker->options.services,
        .context = order->context,
        .redact = work->job.ctx.redact,
        .cancel = &work->job.cancelled,
    };
    struct expr_host host = evaluate_host(&evaluate);
    struct expr_env env = { .context = order->context, .host = &host, .now = clock_now() };
    struct error err = { 0 };

    work_start(work);
    const struct value *rendered =
        prop_render(plugin->props, order->props, &env, order->arena, &err);
    if (rendered == NULL) {
        work_fail(work, &err);
    } else {
        order->props = rendered;
        if (work_bind(work) &&
            !plugin->trigger_ops->poll(&work->job.ctx, work->bound, &work->variables, &err)) {
            work->variables = NULL;
            work_fail(work, &err);
        }
    }
    work_end(work);
}
