/* SPDX-License-Identifier: Apache-2.0 */
/* What each event means; late news change nothing. */
#include "base/arena.h"
#include "base/check.h"
#include "base/timefmt.h"
#include "core/plugin.h"
#include "core/value_codec.h"
#include "runtime/engine/engine_internal.h"

/* A task that takes its worker down with it is not tried for ever. */
#define LOST_MAX 20

/* The run an answer of a worker is about; NULL when the answer comes too late. */
static struct task_run *answered_run(struct engine *engine, const struct event *event)
{
    struct task_run *run = execution_find_run(engine->execution, event->run_id);
    if (run == NULL || event->attempt != run_attempt(run))
        return NULL;
    return run->state.current == STATE_SUBMITTED || run_is_on_worker(run) ? run : NULL;
}

/* The worker has begun, whether it said so or not. */
static void begun(struct engine *engine, struct task_run *run, const char *worker)
{
    if (run->state.current != STATE_SUBMITTED)
        return;
    engine_move(engine, run, STATE_RUNNING);
    struct attempt *attempt = task_run_add_attempt(engine->execution, run, engine->now);
    attempt->worker = arena_strdup(engine->execution->arena, worker);
}

static void run_started(struct engine *engine, const struct event *event)
{
    struct task_run *run = answered_run(engine, event);
    if (run != NULL)
        begun(engine, run, event->worker);
}

static enum state ended_state(const struct event *event)
{
    bool known = event->state == STATE_SUCCESS || event->state == STATE_WARNING ||
                 event->state == STATE_KILLED;
    return known ? event->state : STATE_FAILED;
}

static void run_ended(struct engine *engine, const struct event *event)
{
    struct task_run *run = answered_run(engine, event);
    if (run == NULL)
        return;
    const struct flowable_ops *ops = run_flowable(run);
    if (ops != NULL) {
        ops->answer(engine, run, event);
        return;
    }
    begun(engine, run, event->worker);
    struct attempt *attempt = task_run_last_attempt(run);
    if (event->log_file != NULL)
        attempt->log_file = arena_strdup(engine->execution->arena, event->log_file);
    enum state state = ended_state(event);
    if (event->message != NULL && *event->message != '\0')
        command_log(engine, run, state == STATE_FAILED ? LOG_ERROR : LOG_INFO, "%s",
                    event->message);
    if (value_is_map(event->outputs) && !value_can_encode(event->outputs)) {
        command_log(engine, run, LOG_ERROR, "The outputs are nested too deeply");
        state = STATE_FAILED;
    } else if (value_is_map(event->outputs)) {
        engine_set_outputs(engine, run, event->outputs);
    } else if (state != STATE_FAILED && value_count(run->outputs) > 0) {
        engine_set_outputs(engine, run, &value_empty_map); // what is there is of an attempt before
    }
    finish_attempt(engine, run, state);
}

static void run_remote(struct engine *engine, const struct event *event)
{
    struct task_run *run = answered_run(engine, event);
    if (run == NULL || run_flowable(run) != NULL)
        return;
    begun(engine, run, event->worker);
    struct arena *arena = engine->execution->arena;
    if (event->remote_id != NULL)
        run->remote_id = arena_strdup(arena, event->remote_id);
    if (event->values != NULL && value_can_encode(event->values))
        run->memo = value_copy(arena, event->values);
    if (run->state.current == STATE_RUNNING)
        command_timer(engine, run, TIMER_POLL, event->wake_at);
    task_run_touch(engine->execution, run);
}

static size_t lost_in_a_row(const struct task_run *run)
{
    size_t lost = 0;
    while (lost < run->attempts.count &&
           run->attempts.items[run->attempts.count - 1 - lost].state == STATE_RESUBMITTED)
        lost++;
    return lost;
}

static void run_lost(struct engine *engine, const struct event *event)
{
    struct task_run *run = answered_run(engine, event);
    if (run == NULL)
        return;
    const struct flowable_ops *ops = run_flowable(run);
    if (ops != NULL) {
        ops->answer(engine, run, event);
        return;
    }
    if (run->state.current == STATE_KILLING || engine->execution->state.current == STATE_KILLING) {
        begun(engine, run, event->worker);
        finish_attempt(engine, run, STATE_KILLED);
        return;
    }
    if (run->remote_id != NULL) { // the job runs elsewhere: only its watcher was lost
        engine_disarm(engine, run);
        dispatch_poll(engine, run);
        return;
    }
    begun(engine, run, event->worker);
    struct attempt *attempt = task_run_last_attempt(run);
    attempt->state = STATE_RESUBMITTED;
    attempt->ended_at = engine->now;
    if (lost_in_a_row(run) >= LOST_MAX) {
        command_log(engine, run, LOG_ERROR, "The task lost its worker %d times", LOST_MAX);
        attempt->ended_at = 0;
        finish_attempt(engine, run, STATE_FAILED);
        return;
    }
    run->orders++;
    run->is_handed = false;
    engine_move(engine, run, STATE_SUBMITTED);
    engine_queue(engine, run);
}

static void sleep_due(struct engine *engine, struct task_run *run)
{
    const struct value *timeout = value_get(run->memo, "timeout");
    if (timeout == NULL) {
        finish_attempt(engine, run, STATE_SUCCESS);
        return;
    }
    command_log(engine, run, LOG_ERROR, "Timeout after %s",
                duration_format(engine->scratch, timeout->time->at));
    finish_attempt(engine, run, STATE_FAILED);
}

static void timer_due(struct engine *engine, const struct event *event)
{
    struct execution *execution = engine->execution;
    struct task_run *run = execution_find_run(execution, event->run_id);
    bool is_valid = run != NULL && run->wake_at != 0 && run->wake_generation == event->generation;
    switch (event->timer) {
    case TIMER_RETRY:
        if (is_valid)
            finish_retry_due(engine, run);
        break;
    case TIMER_PAUSE:
    case TIMER_LOOP:
        if (is_valid && run->state.current == STATE_PAUSED && run_flowable(run) != NULL) {
            engine_disarm(engine, run);
            run_flowable(run)->timer(engine, run, event);
        }
        break;
    case TIMER_POLL:
        if (is_valid && run_is_on_worker(run)) {
            engine_disarm(engine, run);
            dispatch_poll(engine, run);
        }
        break;
    case TIMER_SLEEP:
        if (is_valid && run->state.current == STATE_RUNNING) {
            engine_disarm(engine, run);
            sleep_due(engine, run);
        }
        break;
    case TIMER_SLA:
        settle_sla_due(engine, event);
        break;
    case TIMER_SCHEDULE:
        if (execution->state.current == STATE_CREATED)
            operation_admit(engine, event->admission, event->message);
        break;
    case TIMER_RETRY_EXECUTION:
        if (execution->retry_at == 0)
            break;
        execution->retry_at = 0;
        execution_touch(execution);
        command_add(engine, COMMAND_NEW_EXECUTION, NULL);
        break;
    }
}

static void child_changed(struct engine *engine, const struct event *event)
{
    struct task_run *run = execution_find_run(engine->execution, event->run_id);
    const struct flowable_ops *ops = run == NULL ? NULL : run_flowable(run);
    bool is_open =
        run != NULL && (run->state.current == STATE_RUNNING || run->state.current == STATE_PAUSED);
    if (ops != NULL && ops->answer != NULL && is_open)
        ops->answer(engine, run, event);
}

static void decided(struct engine *engine, const struct event *event)
{
    struct execution *execution = engine->execution;
    for (size_t i = 0; i < execution->runs.count; i++) {
        struct task_run *run = execution->runs.items[i];
        const struct flowable_ops *ops = run_flowable(run);
        bool is_meant =
            event->run_id == NULL || run == execution_find_run(execution, event->run_id);
        if (is_meant && run->state.current == STATE_PAUSED && ops != NULL && ops->decide != NULL) {
            engine_disarm(engine, run);
            ops->decide(engine, run, event);
            return;
        }
    }
}

static void change_state(struct engine *engine, enum state state)
{
    enum state from = engine->execution->state.current;
    if (states[from].is_terminal && from != STATE_KILLED && states[state].is_terminal &&
        (states[from].next & BIT(state)) != 0)
        engine_move_execution(engine, state);
}

/* A new admission after RESTART or CHANGE_RUN; else only an invitation to go on. */
static void go_on(struct engine *engine, const struct event *event)
{
    if (engine->execution->state.current == STATE_RESTARTED)
        operation_start(engine, event);
}

void event_apply(struct engine *engine, const struct event *event)
{
    struct execution *execution = engine->execution;
    enum state state = execution->state.current;
    switch (event->type) {
    case EVENT_START:
        if (states[state].is_created)
            operation_start(engine, event);
        break;
    case EVENT_CONTINUE:
        go_on(engine, event);
        break;
    case EVENT_DEQUEUED:
        if (state == STATE_QUEUED)
            operation_admit(engine, ADMIT_RUN, NULL);
        break;
    case EVENT_RUN_STARTED:
        run_started(engine, event);
        break;
    case EVENT_RUN_ENDED:
        run_ended(engine, event);
        break;
    case EVENT_RUN_REMOTE:
        run_remote(engine, event);
        break;
    case EVENT_RUN_LOST:
        run_lost(engine, event);
        break;
    case EVENT_TIMER:
        timer_due(engine, event);
        break;
    case EVENT_EVALUATED:
        effects_answer(engine, event);
        break;
    case EVENT_CHILD_CREATED:
    case EVENT_CHILD_REFUSED:
    case EVENT_CHILD_CHANGED:
    case EVENT_CHILD_ENDED:
        child_changed(engine, event);
        break;
    case EVENT_KILL:
        operation_kill(engine, event->is_cascade);
        break;
    case EVENT_PAUSE:
        if (state == STATE_RUNNING) {
            execution->paused_by_user = true;
            engine_move_execution(engine, STATE_PAUSED);
        }
        break;
    case EVENT_RESUME:
        operation_resume(engine, event);
        break;
    case EVENT_DECIDE:
        decided(engine, event);
        break;
    case EVENT_RESTART:
        restart_execution(engine);
        break;
    case EVENT_CHANGE_RUN: {
        struct task_run *run = execution_find_run(execution, event->run_id);
        if (run != NULL)
            restart_from_change(engine, run, event->state);
        break;
    }
    case EVENT_CHANGE_STATE:
        change_state(engine, event->state);
        break;
    case EVENT_UNQUEUE:
        if (state == STATE_QUEUED)
            operation_unqueue(engine, event->state);
        break;
    case EVENT_FORCE_RUN:
        operation_force_run(engine, event);
        break;
    case EVENT_SET_LABELS:
        operation_set_labels(engine, event);
        break;
    case EVENT_BREAKPOINT_RESUME:
        if (state == STATE_BREAKPOINT)
            operation_resume_breakpoint(engine, event);
        break;
    case EVENT_RECOVER:
        operation_recover(engine);
        break;
    }
}
