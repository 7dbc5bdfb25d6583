/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/driver/check.h"

#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/str.h"
#include "core/plugin.h"
#include "core/value.h"
#include "tests/sim/judge.h"

static bool is_type(const struct task *task, const char *name)
{
    return task != NULL && task->type != NULL && str_ends(task->type->id, name);
}

/* ---- after every commit ---- */

/* A state that was reached stays reached: histories only grow, in time, along the table. */
static const char *check_log(struct arena *arena,
                             const struct state_log *log,
                             const char *name,
                             bool is_run,
                             bool is_lenient)
{
    size_t count = log->history.count;
    if (count == 0 || log->history.items[count - 1].state != log->current)
        return arena_printf(arena, "the history of %s does not end in its state", name);
    for (size_t i = 1; i < count; i++) {
        enum state before = log->history.items[i - 1].state;
        enum state after = log->history.items[i].state;
        if (log->history.items[i].at < log->history.items[i - 1].at)
            return arena_printf(arena, "dates of %s decrease", name);
        if (before == after)
            return arena_printf(arena, "%s is twice in a row in one state", name);
        if (!is_lenient && !judge_may_move(is_run, before, after))
            return arena_printf(arena, "%s went from %s to %s", name, states[before].name,
                                states[after].name);
    }
    return NULL;
}

static const char *check_attempts(struct arena *arena,
                                  const struct task_run *run,
                                  const struct seen *seen)
{
    size_t counted = 0;
    bool is_open = false;
    for (size_t i = 0; i < run->attempts.count; i++) {
        const struct attempt *attempt = &run->attempts.items[i];
        if (is_open)
            return arena_printf(arena, "%s has two attempts under way", run->task_id);
        is_open = attempt->ended_at == 0;
        counted += attempt->state == STATE_RESUBMITTED ? 0 : 1;
        if (!is_open && attempt->ended_at < attempt->started_at)
            return arena_printf(arena, "an attempt of %s ended before it began", run->task_id);
    }
    enum state state = run->state.current;
    if (judge_is_over(state) && is_open)
        return arena_printf(arena, "%s has ended and its attempt has not", run->task_id);
    if (state == STATE_RUNNING && !is_open)
        return arena_printf(arena, "%s is RUNNING without an attempt", run->task_id);
    const struct retry *retry = run->task == NULL ? NULL : &run->task->retry;
    bool is_bounded = retry != NULL && retry->type != RETRY_NONE && retry->max_attempts > 0 &&
                      retry->behavior == RETRY_FAILED_TASK && !seen->was_changed;
    if (is_bounded && (int64_t)counted > retry->max_attempts)
        return arena_printf(arena, "%s had %zu attempts, %lld at most", run->task_id, counted,
                            (long long)retry->max_attempts);
    return NULL;
}

static const struct seen_run *seen_run(const struct seen *seen, uint32_t seq)
{
    for (size_t i = 0; i < seen->runs.count; i++) {
        if (seen->runs.items[i].seq == seq)
            return &seen->runs.items[i];
    }
    return NULL;
}

static const char *check_run(struct arena *arena,
                             const struct execution *execution,
                             const struct task_run *run,
                             const struct seen *seen)
{
    const char *wrong = check_attempts(arena, run, seen);
    if (wrong == NULL)
        wrong = check_log(arena, &run->state, run->task_id, true, seen->was_changed);
    if (wrong != NULL)
        return wrong;
    enum state state = run->state.current;
    const struct seen_run *before = seen_run(seen, run->seq);
    if (before != NULL && !seen->is_lenient) {
        if (judge_is_over(before->state) && before->state != state)
            return arena_printf(arena, "%s had ended %s and is %s", run->task_id,
                                states[before->state].name, states[state].name);
        bool starts_over = is_type(run->task, ".LoopUntil"); // each round clears its attempts
        if (run->state.history.count < before->changes ||
            (run->attempts.count < before->attempts && !starts_over))
            return arena_printf(arena, "%s has forgotten a part of its past", run->task_id);
    }
    const struct task_list *list = run->task == NULL ? NULL : run->task->list;
    bool is_after = list != NULL && run->parent == NULL &&
                    (list->slot == SLOT_AFTER_EXECUTION || list->slot == SLOT_LISTENER);
    if (is_after && !judge_is_over(execution->state.current) && !seen->was_changed)
        return arena_printf(arena, "%s runs before the end", run->task_id);
    if (!judge_is_over(state) && run->parent != NULL && judge_is_over(run->parent->state.current))
        return arena_printf(arena, "%s is open below %s, which has ended", run->task_id,
                            run->parent->task_id);
    if (!judge_is_over(state) && execution->fully_ended)
        return arena_printf(arena, "%s is open after the end", run->task_id);
    bool is_aside = list != NULL && list->slot == SLOT_ON_PAUSE; // once per pause, no parent
    for (size_t i = 0; !is_aside && i < execution->runs.count; i++) {
        const struct task_run *other = execution->runs.items[i];
        if (other != run && other->parent == run->parent && str_eq(other->task_id, run->task_id) &&
            str_eq(other->value, run->value))
            return arena_printf(arena, "%s has two task runs", run->task_id);
    }
    return NULL;
}

static const char *check_header(struct arena *arena,
                                const struct seen *seen,
                                const struct execution_row *row,
                                const struct execution *execution)
{
    enum state state = execution->state.current;
    if (row->state != state)
        return arena_printf(arena, "the row says %s, the execution is %s", states[row->state].name,
                            states[state].name);
    if (execution->fully_ended && !judge_is_over(state))
        return "the execution has fully ended without having ended";
    if (execution->fully_ended && execution->retry_at == 0 && row->live != LIVE_ENDED)
        return "the execution has fully ended and its row is live";
    if (row->live == LIVE_ENDED && !execution->fully_ended)
        return "the row has ended before the execution";
    const char *wrong =
        check_log(arena, &execution->state, "the execution", false, seen->was_changed);
    if (wrong != NULL || seen->changes == 0)
        return wrong;
    if (execution->state.history.count < seen->changes)
        return "the execution has forgotten a part of its past";
    const struct state_change *last = &execution->state.history.items[seen->changes - 1];
    if (last->state != seen->state || last->at != seen->changed_at)
        return "the past of the execution has changed";
    if (!seen->is_lenient && judge_is_over(seen->state) && state != seen->state)
        return arena_printf(arena, "the execution had ended %s and is %s", states[seen->state].name,
                            states[state].name);
    if (!seen->is_lenient && seen->fully_ended && !execution->fully_ended)
        return "the execution had fully ended and has not any more";
    return NULL;
}

static void remember(struct seen *seen, const struct execution *execution)
{
    size_t count = execution->state.history.count;
    seen->state = execution->state.current;
    seen->changes = count;
    seen->changed_at = count == 0 ? 0 : execution->state.history.items[count - 1].at;
    seen->ends += execution->fully_ended && !seen->fully_ended ? 1 : 0;
    seen->fully_ended = execution->fully_ended;
    seen->runs.count = 0;
    for (size_t i = 0; i < execution->runs.count; i++) {
        const struct task_run *run = execution->runs.items[i];
        *VEC_PUSH(&seen->runs) = (struct seen_run){
            .seq = run->seq,
            .state = run->state.current,
            .attempts = run->attempts.count,
            .changes = run->state.history.count,
        };
    }
}

const char *check_progress(struct seen *seen,
                           const struct execution_row *row,
                           const struct execution *execution,
                           struct arena *arena)
{
    const char *wrong = check_header(arena, seen, row, execution);
    for (size_t i = 0; wrong == NULL && i < execution->runs.count; i++)
        wrong = check_run(arena, execution, execution->runs.items[i], seen);
    remember(seen, execution);
    if (wrong == NULL && seen->ends > 1 + seen->reopened + seen->may_reopen)
        wrong = arena_printf(arena, "the execution has ended %u times", seen->ends);
    return wrong;
}
