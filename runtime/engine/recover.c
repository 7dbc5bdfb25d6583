/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a restart of the server: everything that the rows say is awaited is asked for again. What a
 * worker was doing is the driver's to find out (EVENT_RUN_LOST).
 */
#include "core/plugin.h"
#include "runtime/engine/engine_internal.h"

static void recover_run(struct engine *engine, struct task_run *run)
{
    const struct flowable_ops *ops = run_flowable(run);
    switch (run->state.current) {
    case STATE_SUBMITTED:
        if (!run->is_handed) // else it may have begun: told as lost, or a worker has it still
            engine_queue(engine, run);
        break;
    case STATE_RUNNING:
        if (ops != NULL && ops->recover != NULL)
            ops->recover(engine, run);
        else if (run->wake_at == 0 && run->remote_id != NULL)
            engine_queue(engine, run); // its poll was under way
        else if (run->wake_at != 0)
            command_timer_again(engine, run, run_is_on_worker(run) ? TIMER_POLL : TIMER_SLEEP);
        break;
    case STATE_KILLING:
        break;
    case STATE_PAUSED:
        if (ops != NULL && ops->recover != NULL)
            ops->recover(engine, run); // a Loop is paused with its iterations
        else if (run->wake_at != 0)
            command_timer_again(engine, run,
                                ops != NULL && ops->resume == NULL && ops->decide == NULL
                                    ? TIMER_LOOP
                                    : TIMER_PAUSE);
        break;
    case STATE_RETRYING:
        command_timer_again(engine, run, TIMER_RETRY);
        break;
    case STATE_CREATED:
    case STATE_RESTARTED:
    case STATE_BREAKPOINT:
    case STATE_QUEUED:
    case STATE_SUCCESS:
    case STATE_WARNING:
    case STATE_FAILED:
    case STATE_KILLED:
    case STATE_CANCELLED:
    case STATE_SKIPPED:
    case STATE_RETRIED:
    case STATE_RESUBMITTED:
    case STATE_COUNT:
        break;
    }
    if (engine->execution->state.current == STATE_KILLING && run_is_on_worker(run))
        command_add(engine, COMMAND_CANCEL, run)->attempt = run_attempt(run);
}

static void recover_timers(struct engine *engine)
{
    const struct execution *execution = engine->execution;
    const struct flow *flow = execution->flow;
    if (execution->retry_at != 0) {
        struct command *command = command_add(engine, COMMAND_TIMER, NULL);
        command->timer = TIMER_RETRY_EXECUTION;
        command->at = execution->retry_at;
    }
    bool is_over = states[execution->state.current].is_terminal;
    for (size_t i = 0; flow != NULL && !is_over && i < flow->slas_count; i++) {
        if (flow->slas[i].type != SLA_MAX_DURATION)
            continue;
        struct command *command = command_add(engine, COMMAND_TIMER, NULL);
        command->timer = TIMER_SLA;
        command->generation = (uint32_t)i;
        command->at = state_started_at(&execution->state) + flow->slas[i].duration;
    }
    if (execution->state.current == STATE_CREATED && execution->schedule_at > 0) {
        struct command *command = command_add(engine, COMMAND_TIMER, NULL);
        command->timer = TIMER_SCHEDULE;
        command->at = execution->schedule_at;
    }
}

/* Nothing can be resolved without the flow: what runs is forgotten. */
static bool fail_without_flow(struct engine *engine)
{
    struct execution *execution = engine->execution;
    if (execution->flow != NULL)
        return false;
    if (!states[execution->state.current].is_terminal) {
        command_log(engine, NULL, LOG_ERROR, "Cannot load revision %lld of flow '%s.%s'",
                    (long long)execution->flow_revision, execution->namespace, execution->flow_id);
        settle_end_unbegun(engine, STATE_FAILED);
    }
    return true;
}

void operation_recover(struct engine *engine)
{
    struct execution *execution = engine->execution;
    if (fail_without_flow(engine))
        return;
    recover_timers(engine);
    for (size_t i = 0; i < execution->runs.count; i++)
        recover_run(engine, execution->runs.items[i]);
}
