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

/* What functions look at of the context, when the order brings none. */
static const struct value *small_context(const struct order *order)
{
    struct value_builder flow = value_build(order->arena);
    value_put_text(&flow, "id", order->flow_id);
    value_put_text(&flow, "namespace", order->namespace);
    value_put_int(&flow, "revision", order->flow_revision);
    struct value_builder execution = value_build(order->arena);
    value_put_text(&execution, "id", order->execution_id);
    struct value_builder context = value_build(order->arena);
    value_put(&context, "flow", value_build_map(&flow));
    value_put(&context, "execution", value_build_map(&execution));
    return value_build_map(&context);
}

void work_evaluate(void *context)
{
    struct work *work = context;
    const struct order *order = work->order;
    const struct worker_answers *answers = &work->worker->answers;
    struct evaluate evaluate = {
        .services = work->worker->options.services,
        .context = order->context != NULL ? order->context : small_context(order),
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

bool work_render(struct work *work)
{
    struct order *order = work->order;
    struct evaluate evaluate = {
        .services = work->worker->options.services,
        .context = order->context,
        .redact = work->job.ctx.redact,
        .cancel = &work->job.cancelled,
    };
    struct expr_host host = evaluate_host(&evaluate);
    struct expr_env env = { .context = order->context, .host = &host, .now = clock_now() };
    struct error err = { 0 };
    const struct value *rendered =
        prop_render(order->plugin->props, order->props, &env, order->arena, &err);
    if (rendered == NULL) {
        work_fail(work, &err);
        return false;
    }
    order->props = rendered;
    return true;
}

void work_trigger(void *context)
{
    struct work *work = context;
    struct error err = { 0 };
    work_start(work);
    if (work_render(work) && work_bind(work) &&
        !work->order->plugin->trigger_ops->poll(&work->job.ctx, work->bound, &work->variables,
                                                &err)) {
        work->variables = NULL;
        work_fail(work, &err);
    }
    work_end(work);
}
