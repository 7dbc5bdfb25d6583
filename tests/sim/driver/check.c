/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/driver/check.h"

#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/str.h"
#include "core/plugin.h"
#include "core/value.h"

/* Written out here: the table of the engine is under test too. */
static bool is_over(enum state state)
{
    return state == STATE_SUCCESS || state == STATE_WARNING || state == STATE_FAILED ||
           state == STATE_KILLED || state == STATE_CANCELLED || state == STATE_SKIPPED ||
           state == STATE_RETRIED || state == STATE_RESUBMITTED;
}

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
        uint32_t legal = is_run ? states[before].run_next : states[before].next;
        if (!is_lenient && (legal & BIT(after)) == 0)
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
    if (is_over(state) && is_open)
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
        if (is_over(before->state) && before->state != state)
            return arena_printf(arena, "%s had ended %s and is %s", run->task_id,
                                states[before->state].name, states[state].name);
        bool starts_over = is_type(run->task, ".LoopUntil"); // each round clears its attempts
        if (run->state.history.count < before->changes ||
            (run->attempts.count < before->attempts && !starts_over))
            return arena_printf(arena, "%s has forgotten a part of its past", run->task_id);
    }
    if (!is_over(state) && run->parent != NULL && is_over(run->parent->state.current))
        return arena_printf(arena, "%s is open below %s, which has ended", run->task_id,
                            run->parent->task_id);
    if (!is_over(state) && execution->fully_ended)
        return arena_printf(arena, "%s is open after the end", run->task_id);
    for (size_t i = 0; i < execution->runs.count; i++) {
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
    if (execution->fully_ended && !is_over(state))
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
    if (!seen->is_lenient && is_over(seen->state) && state != seen->state)
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

/* ---- after the end ---- */

struct tally {
    size_t entries; /* enabled tasks of the list */
    size_t runs;
    bool killed;
    bool failed;
    bool warning;
};

static bool is_of(const struct task_run *run, const struct task_run *scope, enum task_slot slot)
{
    return run->parent == scope && run->task != NULL && run->task->list->slot == slot;
}

static struct tally tally_of(const struct execution *execution,
                             const struct task_run *scope,
                             enum task_slot slot)
{
    const struct task_list *list =
        scope == NULL ? flow_list(execution->flow, slot) : task_list(scope->task, slot);
    struct tally tally = { .entries = list == NULL ? 0 : list->count };
    for (size_t i = 0; i < execution->runs.count; i++) {
        const struct task_run *run = execution->runs.items[i];
        if (!is_of(run, scope, slot))
            continue;
        tally.runs++;
        tally.killed |= run->state.current == STATE_KILLED;
        tally.failed |= run->state.current == STATE_FAILED;
        tally.warning |= run->state.current == STATE_WARNING;
    }
    return tally;
}

/* One after the other (3.4): a prefix of the list, and nothing after a failure of the main one. */
static const char *check_sequence(struct arena *arena,
                                  const struct execution *execution,
                                  const struct task_run *scope,
                                  enum task_slot slot)
{
    const struct task_list *list =
        scope == NULL ? flow_list(execution->flow, slot) : task_list(scope->task, slot);
    bool has_ended = false;
    for (size_t k = 0; list != NULL && k < list->count; k++) {
        const struct task_run *found = NULL;
        for (size_t i = 0; i < execution->runs.count; i++) {
            const struct task_run *run = execution->runs.items[i];
            if (run->parent == scope && run->task == list->items[k])
                found = run;
        }
        if (found != NULL && has_ended)
            return arena_printf(arena, "%s has a task run, and it was not its turn",
                                found->task_id);
        has_ended = has_ended || found == NULL ||
                    (slot == SLOT_TASKS && found->state.current == STATE_FAILED);
    }
    return NULL;
}

static const char *check_lists(struct arena *arena,
                               const struct execution *execution,
                               const struct task_run *scope)
{
    const char *name = scope == NULL ? "the flow" : scope->task_id;
    struct tally main = tally_of(execution, scope, SLOT_TASKS);
    struct tally errors = tally_of(execution, scope, SLOT_ERRORS);
    struct tally finally = tally_of(execution, scope, SLOT_FINALLY);
    if (main.failed && errors.entries > 0 && errors.runs < errors.entries)
        return arena_printf(arena, "%s failed and %zu of %zu errors tasks ran", name, errors.runs,
                            errors.entries);
    if (!main.failed && errors.runs > 0)
        return arena_printf(arena, "errors of %s ran without a failure", name);
    if (main.entries > 0 && finally.runs < finally.entries)
        return arena_printf(arena, "%zu of %zu tasks of finally of %s ran", finally.runs,
                            finally.entries, name);
    const char *wrong = check_sequence(arena, execution, scope, SLOT_ERRORS);
    return wrong != NULL ? wrong : check_sequence(arena, execution, scope, SLOT_FINALLY);
}

/* 3.3: only the main list counts. */
static enum state state_of(const struct tally *main)
{
    return main->killed    ? STATE_KILLED
           : main->failed  ? STATE_FAILED
           : main->warning ? STATE_WARNING
                           : STATE_SUCCESS;
}

/* Ended by itself, along its lists; not skipped, not forced, not failed before it began. */
static bool follows_lists(const struct task_run *run)
{
    enum state state = run->state.current;
    if (run->task == NULL ||
        !(is_type(run->task, ".Sequential") || is_type(run->task, ".Parallel") ||
          is_type(run->task, ".Dag") || is_type(run->task, ".AllowFailure")))
        return false;
    if (state_last_at(&run->state, STATE_RUNNING) == 0)
        return false;
    // a parent that fails takes its open children along (3.3)
    for (const struct task_run *above = run->parent; above != NULL; above = above->parent) {
        if (above->state.current == STATE_FAILED || above->state.current == STATE_WARNING ||
            above->state.current == STATE_CANCELLED)
            return false;
    }
    return state == STATE_SUCCESS || state == STATE_WARNING || state == STATE_FAILED;
}

const char *check_result(const struct execution *execution, struct arena *arena)
{
    enum state state = execution->state.current;
    if (execution->flow == NULL ||
        (state != STATE_SUCCESS && state != STATE_WARNING && state != STATE_FAILED))
        return NULL;
    struct tally main = tally_of(execution, NULL, SLOT_TASKS);
    enum state expected = state_of(&main);
    if (execution->runs.count == 0)
        return NULL; // refused before its first task
    if (state != expected)
        return arena_printf(arena, "the execution ended %s, not %s", states[state].name,
                            states[expected].name);
    const char *wrong = check_sequence(arena, execution, NULL, SLOT_TASKS);
    if (wrong == NULL)
        wrong = check_lists(arena, execution, NULL);
    for (size_t i = 0; wrong == NULL && state != STATE_FAILED && i < execution->runs.count; i++) {
        const struct task_run *run = execution->runs.items[i];
        if (!follows_lists(run))
            continue;
        struct tally tally = tally_of(execution, run, SLOT_TASKS);
        enum state is = state_of(&tally);
        if (is == STATE_FAILED && (run->task->allow_failure || is_type(run->task, ".AllowFailure")))
            is = STATE_WARNING;
        if (is == STATE_WARNING && run->task->allow_warning)
            is = STATE_SUCCESS;
        if (is != run->state.current)
            return arena_printf(arena, "%s ended %s, not %s", run->task_id,
                                states[run->state.current].name, states[is].name);
        wrong = check_lists(arena, execution, run);
        if (wrong == NULL && is_type(run->task, ".Sequential"))
            wrong = check_sequence(arena, execution, run, SLOT_TASKS);
    }
    return wrong;
}
