/* SPDX-License-Identifier: Apache-2.0 */
/* What people and the driver do to an execution (flow-language.md 6.6, 6.10, 1.8). */
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "core/plugin.h"
#include "runtime/engine/engine_internal.h"

/* ---- beginning ---- */

static void arm_slas(struct engine *engine)
{
    const struct flow *flow = engine->execution->flow;
    for (size_t i = 0; i < flow->slas_count; i++) {
        if (flow->slas[i].type != SLA_MAX_DURATION)
            continue;
        struct command *command = command_add(engine, COMMAND_TIMER, NULL);
        command->timer = TIMER_SLA;
        command->generation = (uint32_t)i;
        command->at = state_started_at(&engine->execution->state) + flow->slas[i].duration;
    }
}

void operation_admit(struct engine *engine, enum admission admission, const char *message)
{
    struct execution *execution = engine->execution;
    switch (admission) {
    case ADMIT_RUN:
        // the iterations of a Loop run in the slot of the execution around them
        execution->holds_slot = execution->flow != NULL && execution->flow->concurrency_limit > 0 &&
                                execution->kind != KIND_LOOP;
        execution_touch(execution);
        engine_move_execution(engine, STATE_RUNNING);
        engine_changed(engine, &engine->memory->top);
        break;
    case ADMIT_QUEUE:
        engine_move_execution(engine, STATE_QUEUED);
        break;
    case ADMIT_CANCEL:
        settle_end_unbegun(engine, STATE_CANCELLED);
        break;
    case ADMIT_FAIL:
        command_log(engine, NULL, LOG_ERROR, "%s",
                    message != NULL ? message : "The concurrency limit of the flow is exceeded");
        settle_end_unbegun(engine, STATE_FAILED);
        break;
    }
}

void operation_start(struct engine *engine, const struct event *event)
{
    struct execution *execution = engine->execution;
    if (execution->flow == NULL) {
        command_log(engine, NULL, LOG_ERROR, "Cannot load revision %lld of flow '%s.%s'",
                    (long long)execution->flow_revision, execution->namespace, execution->flow_id);
        settle_end_unbegun(engine, STATE_FAILED);
        return;
    }
    arm_slas(engine);
    if (execution->state.current == STATE_CREATED && execution->schedule_at > engine->now &&
        event->admission != ADMIT_FAIL) {
        struct command *command = command_add(engine, COMMAND_TIMER, NULL);
        command->timer = TIMER_SCHEDULE;
        command->at = execution->schedule_at;
        return;
    }
    operation_admit(engine, event->admission, event->message);
}

/* ---- kill ---- */

static void kill_run(struct engine *engine, struct task_run *run)
{
    switch (run->state.current) {
    case STATE_SUBMITTED:
    case STATE_CREATED:
    case STATE_RESTARTED:
    case STATE_RETRYING:
    case STATE_BREAKPOINT:
        finish_forced(engine, run, STATE_KILLED);
        break;
    case STATE_RUNNING:
    case STATE_PAUSED:
        if (run_is_on_worker(run)) {
            command_add(engine, COMMAND_CANCEL, run)->attempt = run_attempt(run);
            engine_disarm(engine, run);
        }
        if (run->scope != NULL && run->state.current == STATE_RUNNING)
            engine_move(engine, run, STATE_KILLING);
        else if (!run_is_on_worker(run))
            finish_forced(engine, run, STATE_KILLED);
        engine_changed(engine, run->scope);
        break;
    case STATE_QUEUED:
    case STATE_KILLING:
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
}

/*
 * Running jobs are interrupted and say when they have ended; flowables wait for what is below them.
 * Backwards, so that children go before those who wait for them.
 */
void operation_kill(struct engine *engine, bool is_cascade)
{
    struct execution *execution = engine->execution;
    enum state state = execution->state.current;
    if (is_cascade)
        command_add(engine, COMMAND_KILL_CHILDREN, NULL);
    if (states[state].is_terminal || state == STATE_KILLING)
        return;
    if (state == STATE_CREATED || state == STATE_QUEUED)
        engine->memory->after.is_known = true; // it has never begun
    execution->paused_by_user = false;
    execution_touch(execution);
    engine_move_execution(engine, STATE_KILLING);
    for (size_t i = execution->runs.count; i-- > 0;) {
        if (!execution->runs.items[i]->force_execution)
            kill_run(engine, execution->runs.items[i]);
    }
}

/* ---- pause, resume ---- */

/* The first one that somebody can resume. */
static struct task_run *paused_run(struct engine *engine, const char *run_id)
{
    struct execution *execution = engine->execution;
    struct task_run *meant = execution_find_run(execution, run_id);
    for (size_t i = 0; i < execution->runs.count; i++) {
        struct task_run *run = execution->runs.items[i];
        const struct flowable_ops *ops = run_flowable(run);
        if (run->state.current == STATE_PAUSED && ops != NULL && ops->resume != NULL &&
            (meant == NULL || meant == run))
            return run;
    }
    return NULL;
}

void operation_resume(struct engine *engine, const struct event *event)
{
    struct execution *execution = engine->execution;
    if (execution->state.current != STATE_PAUSED)
        return;
    if (execution->paused_by_user) {
        execution->paused_by_user = false;
        execution->attempt_number++;
        execution_touch(execution);
        engine_move_execution(engine, STATE_RUNNING);
        engine_changed(engine, &engine->memory->top);
        return;
    }
    struct task_run *run = paused_run(engine, event->run_id);
    if (run == NULL)
        return;
    execution->attempt_number++;
    execution_touch(execution);
    engine_disarm(engine, run);
    run_flowable(run)->resume(engine, run, event);
}

void operation_resume_breakpoint(struct engine *engine, const struct event *event)
{
    struct execution *execution = engine->execution;
    bool any = value_is_list(event->values) && value_count(event->values) > 0;
    execution->breakpoints = any ? value_copy(execution->arena, event->values) : NULL;
    execution_touch(execution);
    for (size_t i = 0; i < execution->runs.count; i++) {
        struct task_run *run = execution->runs.items[i];
        if (run->state.current != STATE_BREAKPOINT)
            continue;
        run->is_released = true;
        engine_move(engine, run, STATE_CREATED);
        engine_queue(engine, run);
    }
    engine_move_execution(engine, STATE_RUNNING);
}

/* ---- queue ---- */

void operation_unqueue(struct engine *engine, enum state state)
{
    if (state == STATE_CANCELLED || state == STATE_FAILED)
        settle_end_unbegun(engine, state);
    else
        operation_admit(engine, ADMIT_RUN, NULL);
}

void operation_force_run(struct engine *engine, const struct event *event)
{
    enum state state = engine->execution->state.current;
    if (state == STATE_CREATED || state == STATE_QUEUED)
        operation_admit(engine, ADMIT_RUN, NULL);
    else if (state == STATE_PAUSED)
        operation_resume(engine, event);
    else if (!states[state].is_terminal)
        memory_forget(engine->execution); // looked at from scratch
}

/* ---- labels ---- */

static void drop_custom_labels(struct execution *execution)
{
    size_t kept = 0;
    for (size_t i = 0; i < execution->labels.count; i++) {
        if (str_starts(execution->labels.items[i].key, "system."))
            execution->labels.items[kept++] = execution->labels.items[i];
    }
    execution->labels.count = kept;
    execution_touch(execution);
}

void operation_set_labels(struct engine *engine, const struct event *event)
{
    struct execution *execution = engine->execution;
    if (event->is_replace)
        drop_custom_labels(execution);
    for (size_t i = 0; i < value_count(event->values) && value_is_map(event->values); i++) {
        const struct value_member *member = &event->values->map.members[i];
        const char *text = value_cstr(member->value);
        if (text != NULL)
            execution_set_label(execution, member->key, text);
    }
}
