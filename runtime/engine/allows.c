/* SPDX-License-Identifier: Apache-2.0 */
/* Which operation is allowed when (flow-language.md 6.10, api.md 2.2.3). */
#include "base/check.h"
#include "base/error.h"
#include "runtime/engine/engine_internal.h"

static bool is_ended(const struct execution *execution)
{
    return states[execution->state.current].is_terminal;
}

static bool allows_restart(const struct execution *execution, struct error *err)
{
    enum state state = execution->state.current;
    if (state == STATE_KILLED || (!is_ended(execution) && state != STATE_PAUSED))
        return error_set(err, ERR_CONFLICT,
                         "An execution must be terminated or paused, and not killed, to be "
                         "restarted, current state is '%s'",
                         states[state].name);
    if (restart_finds_runs(execution))
        return true;
    return error_set(err, ERR_INVALID, "No task found to restart execution from!");
}

static bool allows_change_run(const struct execution *execution,
                              const struct event *event,
                              struct error *err)
{
    if (!is_ended(execution) || execution->state.current == STATE_KILLED)
        return error_set(err, ERR_INVALID,
                         "You can only change the state of a task run for a terminated non killed "
                         "execution.");
    const struct task_run *run = execution_find_run(execution, event->run_id);
    if (run == NULL)
        return error_set(err, ERR_NOT_FOUND, "no task run '%s' in the execution",
                         event->run_id == NULL ? "" : event->run_id);
    if (!states[event->state].is_terminal ||
        (states[run->state.current].run_next & BIT(event->state)) == 0)
        return error_set(err, ERR_INVALID,
                         "You can only change the state of a task run to a terminal state.");
    return true;
}

static bool allows_change_state(const struct execution *execution,
                                const struct event *event,
                                struct error *err)
{
    if (!states[event->state].is_terminal || event->state == STATE_RESUBMITTED)
        return error_set(err, ERR_INVALID,
                         "You can only change the state of an execution to a terminal state.");
    if (!is_ended(execution) || execution->state.current == STATE_KILLED)
        return error_set(err, ERR_INVALID,
                         "You can only change the state of a terminated non killed execution.");
    return true;
}

static bool allows_unqueue(const struct execution *execution,
                           const struct event *event,
                           struct error *err)
{
    if (execution->state.current != STATE_QUEUED)
        return error_set(err, ERR_INVALID, "Only a queued execution can be unqueued");
    if (event->state != STATE_RUNNING && event->state != STATE_CANCELLED &&
        event->state != STATE_FAILED)
        return error_set(err, ERR_INVALID,
                         "An execution is unqueued to RUNNING, CANCELLED or FAILED, not to %s",
                         states[event->state].name);
    return true;
}

static bool allows_decide(const struct execution *execution,
                          const struct event *event,
                          struct error *err)
{
    for (size_t i = 0; i < execution->runs.count; i++) {
        const struct task_run *run = execution->runs.items[i];
        const struct flowable_ops *ops = run_flowable(run);
        bool is_meant =
            event->run_id == NULL || run == execution_find_run(execution, event->run_id);
        if (is_meant && run->state.current == STATE_PAUSED && ops != NULL && ops->decide != NULL)
            return approval_allows(run, event, err);
    }
    return error_set(err, ERR_CONFLICT, "No approval is waiting for a decision");
}

static bool need(bool holds, struct error *err, enum error_code code, const char *text)
{
    return holds || error_set(err, code, "%s", text);
}

bool engine_allows(const struct execution *execution,
                   enum event_type operation,
                   const struct event *event,
                   struct error *err)
{
    enum state state = execution->state.current;
    switch (operation) {
    case EVENT_KILL:
        return need(!is_ended(execution) || event->is_cascade, err, ERR_CONFLICT,
                    "The execution is already finished");
    case EVENT_PAUSE:
        return need(state == STATE_RUNNING, err, ERR_INVALID, "The execution is not running");
    case EVENT_RESUME:
        return need(state == STATE_PAUSED, err, ERR_CONFLICT, "The execution is not paused");
    case EVENT_DECIDE:
        return allows_decide(execution, event, err);
    case EVENT_RESTART:
        return allows_restart(execution, err);
    case EVENT_CHANGE_RUN:
        return allows_change_run(execution, event, err);
    case EVENT_CHANGE_STATE:
        return allows_change_state(execution, event, err);
    case EVENT_UNQUEUE:
        return allows_unqueue(execution, event, err);
    case EVENT_FORCE_RUN:
        return need(!is_ended(execution), err, ERR_INVALID, "The execution is already finished");
    case EVENT_SET_LABELS:
        return need(is_ended(execution), err, ERR_INVALID, "The execution is not terminated");
    case EVENT_BREAKPOINT_RESUME:
        return need(state == STATE_BREAKPOINT, err, ERR_CONFLICT,
                    "The execution is not at a breakpoint");
    case EVENT_START:
    case EVENT_CONTINUE:
    case EVENT_DEQUEUED:
    case EVENT_RUN_STARTED:
    case EVENT_RUN_ENDED:
    case EVENT_RUN_REMOTE:
    case EVENT_RUN_LOST:
    case EVENT_TIMER:
    case EVENT_EVALUATED:
    case EVENT_CHILD_CREATED:
    case EVENT_CHILD_REFUSED:
    case EVENT_CHILD_CHANGED:
    case EVENT_CHILD_ENDED:
    case EVENT_RECOVER:
        break;
    }
    return true;
}
