/* SPDX-License-Identifier: Apache-2.0 */
/* The end of task runs: flags, retries, and what an end means for those around it. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/rng.h"
#include "core/plugin.h"
#include "runtime/engine/engine_internal.h"

/* ---- retry (flow-language.md 2.3) ---- */

enum retry_owner { OWNER_TASK, OWNER_ANCESTOR, OWNER_FLOW };

/* The first one found counts, even when it is exhausted. NULL: none. */
static const struct retry *find_retry(const struct engine *engine,
                                      const struct task_run *run,
                                      enum retry_owner *owner)
{
    *owner = OWNER_TASK;
    if (run->task == NULL)
        return NULL;
    if (run->task->retry.type != RETRY_NONE)
        return &run->task->retry;
    *owner = OWNER_ANCESTOR;
    for (const struct task *above = run->task->parent; above != NULL; above = above->parent) {
        if (above->retry.type != RETRY_NONE)
            return &above->retry;
    }
    *owner = OWNER_FLOW;
    const struct retry *retry = &engine->execution->flow->retry;
    return retry->type != RETRY_NONE ? retry : NULL;
}

/* Saturates: a delay beyond any clock means never. */
static usec_t exponential(const struct retry *retry, int64_t made)
{
    double factor = retry->delay_factor <= 0 ? 2.0 : retry->delay_factor;
    double msec = (double)retry->interval / (double)USEC_MSEC * pow(factor, (double)(made - 1));
    double max = (double)retry->max_interval / (double)USEC_MSEC;
    if (retry->max_interval > 0 && !(msec < max))
        return retry->max_interval;
    return msec < 9e12 ? (usec_t)llround(msec) * USEC_MSEC : (usec_t)9e15;
}

/* Whole milliseconds in [min, max), the same whenever it is asked for. */
static usec_t random_delay(const struct retry *retry, const struct task_run *run, int64_t made)
{
    struct rng rng = { .state = map_hash(run->id.text, strlen(run->id.text)) + (uint64_t)made };
    usec_t span = (retry->max_interval - retry->min_interval) / USEC_MSEC;
    usec_t chosen = span <= 0 ? 0 : (usec_t)rng_below(&rng, (uint64_t)span);
    return retry->min_interval + chosen * USEC_MSEC;
}

static usec_t delay_of(const struct retry *retry, const struct task_run *run, int64_t made)
{
    switch (retry->type) {
    case RETRY_EXPONENTIAL:
        return exponential(retry, made);
    case RETRY_RANDOM:
        return random_delay(retry, run, made);
    case RETRY_CONSTANT:
    case RETRY_NONE:
        break;
    }
    return retry->interval;
}

/* When the next attempt is due; false: there is none. */
static bool next_attempt(const struct engine *engine,
                         const struct task_run *run,
                         const struct retry *retry,
                         enum retry_owner owner,
                         usec_t *at)
{
    const struct execution *execution = engine->execution;
    if (run->attempts.count == 0)
        return false;
    const struct attempt *last = &run->attempts.items[run->attempts.count - 1];
    int64_t made = (int64_t)run->attempts.count;
    usec_t base = last->ended_at == 0 ? engine->now : last->ended_at;
    usec_t first = run->attempts.items[0].started_at;
    if (retry->behavior == RETRY_NEW_EXECUTION) {
        made = execution->attempt_number;
        first = execution->original_created_at;
        if (owner == OWNER_FLOW)
            base = execution->state.history.items[execution->state.history.count - 1].at;
    }
    if (retry->max_attempts > 0 && made >= retry->max_attempts)
        return false;
    *at = base + delay_of(retry, run, made);
    return retry->max_duration <= 0 || *at <= first + retry->max_duration;
}

/* May a failure of this run be retried now? */
static bool is_retriable(const struct engine *engine,
                         const struct task_run *run,
                         const struct retry *retry)
{
    const struct execution *execution = engine->execution;
    if (run->task->type == NULL || run->task->type->task_kind == TASK_FLOWABLE ||
        execution->state.current == STATE_KILLING)
        return false;
    // After the end only the tasks that run then are retried, and in place.
    bool is_over = states[execution->state.current].is_terminal;
    return !is_over || (run->force_execution && retry->behavior == RETRY_FAILED_TASK);
}

static bool find_next_attempt(const struct engine *engine,
                              const struct task_run *run,
                              const struct retry **retry,
                              enum retry_owner *owner,
                              usec_t *at)
{
    *retry = find_retry(engine, run, owner);
    return *retry != NULL && is_retriable(engine, run, *retry) &&
           next_attempt(engine, run, *retry, *owner, at);
}

static void retry_in_place(struct engine *engine, struct task_run *run, usec_t at)
{
    engine_move(engine, run, STATE_FAILED);
    engine_move(engine, run, STATE_RETRYING);
    command_timer(engine, run, TIMER_RETRY, at);
    if (engine->execution->state.current == STATE_RUNNING)
        engine_move_execution(engine, STATE_RETRYING);
}

/* The run and all above it, then the execution; the successor is made when it is due. */
static void retry_as_new_execution(struct engine *engine, struct task_run *run, usec_t at)
{
    struct execution *execution = engine->execution;
    engine_move(engine, run, STATE_FAILED);
    engine_move(engine, run, STATE_RETRIED);
    for (struct task_run *above = run->parent; above != NULL; above = above->parent)
        finish_forced(engine, above, STATE_RETRIED);
    settle_end(engine, STATE_RETRIED);
    execution->retry_at = at;
    execution_touch(execution);
    struct command *command = command_add(engine, COMMAND_TIMER, NULL);
    command->timer = TIMER_RETRY_EXECUTION;
    command->at = at;
}

/* ---- ends ---- */

/* 2.5, points 2 and 3. */
static enum state mapped(const struct task_run *run, enum state state)
{
    if (run->task == NULL)
        return state;
    if (run->task->allow_failure && state == STATE_FAILED)
        state = STATE_WARNING;
    if (run->task->allow_warning && state == STATE_WARNING)
        state = STATE_SUCCESS;
    return state;
}

/* A run of some list has ended for good. */
static void ended(struct engine *engine, struct task_run *run)
{
    struct scope *scope = engine_scope_of(engine, run);
    effects_forget(engine, run);
    run->props = NULL;
    if (scope == NULL)
        return;
    if (scope_list_of(run) == LIST_MAIN)
        scope_run_ended(scope, engine->execution->arena, run);
    engine_changed(engine, scope);
}

static void close_attempt(struct engine *engine, struct task_run *run, enum state state)
{
    struct attempt *attempt = task_run_last_attempt(run);
    if (attempt == NULL || attempt->ended_at != 0)
        return;
    attempt->state = state == STATE_RETRIED ? STATE_FAILED : state;
    attempt->ended_at = engine->now < attempt->started_at ? attempt->started_at : engine->now;
    task_run_touch(engine->execution, run);
}

static void remember_outputs(struct engine *engine, struct task_run *run)
{
    if (run->task == NULL || !run->task->cache_enabled || run->cache_key == NULL)
        return;
    struct command *command = command_add(engine, COMMAND_CACHE, run);
    command->key = run->cache_key;
    command->props = run->outputs;
    command->at = run->task->cache_ttl > 0 ? engine->now + run->task->cache_ttl : USEC_NEVER;
}

void finish_attempt(struct engine *engine, struct task_run *run, enum state state)
{
    close_attempt(engine, run, state);
    engine_disarm(engine, run);
    enum retry_owner owner = OWNER_TASK;
    const struct retry *retry = NULL;
    usec_t at = 0;
    bool fires = state == STATE_FAILED && find_next_attempt(engine, run, &retry, &owner, &at);
    bool allowed = run->task != NULL && run->task->allow_failure;
    if (fires && (owner == OWNER_TASK || !allowed)) {
        if (retry->behavior == RETRY_NEW_EXECUTION)
            retry_as_new_execution(engine, run, at);
        else
            retry_in_place(engine, run, at);
        return;
    }
    bool had_retries = run->task != NULL && run->task->retry.type != RETRY_NONE &&
                       run->task->retry.warning_on_retry && run->attempts.count > 1;
    if (had_retries && state == STATE_SUCCESS)
        state = STATE_WARNING;
    engine_move(engine, run, mapped(run, state));
    if (run->state.current == STATE_SUCCESS || run->state.current == STATE_WARNING)
        remember_outputs(engine, run);
    ended(engine, run);
}

static void force_children(struct engine *engine, struct task_run *run, enum state state)
{
    for (struct task_run *child = run->first_child; child != NULL; child = child->next_sibling) {
        if (!states[child->state.current].is_terminal)
            finish_forced(engine, child, state);
    }
}

void finish_unattempted(struct engine *engine, struct task_run *run, const char *message)
{
    if (message != NULL)
        command_log(engine, run, LOG_ERROR, "%s", message);
    enum state state = mapped(run, STATE_FAILED);
    force_children(engine, run, state); // of a flowable that was restarted with them
    engine_move(engine, run, state);
    ended(engine, run);
}

/* What a worker has not begun, as far as is known, it need not begin; what runs goes on (3.3). */
static void abandon(struct engine *engine, struct task_run *run)
{
    if (run->state.current == STATE_SUBMITTED)
        command_add(engine, COMMAND_CANCEL, run)->attempt = run_attempt(run);
    run->is_abandoned = run->state.current == STATE_SUBMITTED || run_is_on_worker(run);
}

void finish_forced(struct engine *engine, struct task_run *run, enum state state)
{
    force_children(engine, run, state);
    if (states[run->state.current].is_terminal)
        return;
    abandon(engine, run);
    close_attempt(engine, run, state);
    engine_disarm(engine, run);
    memory_close_scope(engine, run);
    engine_move(engine, run, state);
    ended(engine, run);
}

void finish_flowable(struct engine *engine, struct task_run *run, enum state state)
{
    state = mapped(run, state);
    bool has_open = run->scope == NULL || scope_open_runs(run->scope) > 0;
    if (has_open)
        force_children(engine, run, state);
    close_attempt(engine, run, state);
    engine_disarm(engine, run);
    memory_close_scope(engine, run);
    engine_move(engine, run, state);
    ended(engine, run);
}

/* ---- the retry is due ---- */

/* What the failure started beside the run: errors and finally of its parent start afresh. */
static void remove_aftermath(struct engine *engine, struct task_run *parent)
{
    bool any = false;
    for (struct task_run *child = parent->first_child; child != NULL; child = child->next_sibling) {
        enum scope_list list = scope_list_of(child);
        if (list != LIST_ERRORS && list != LIST_FINALLY)
            continue;
        engine_remove_run(engine, child);
        any = true;
    }
    if (!any)
        return;
    engine_sweep(engine);
    if (parent->scope != NULL) {
        parent->scope->lists[LIST_ERRORS].next = 0;
        parent->scope->lists[LIST_FINALLY].next = 0;
    }
}

void finish_retry_due(struct engine *engine, struct task_run *run)
{
    struct execution *execution = engine->execution;
    if (run->state.current != STATE_RETRYING)
        return;
    engine_disarm(engine, run);
    if (run->parent != NULL && scope_list_of(run) == LIST_MAIN)
        remove_aftermath(engine, run->parent);
    run->dynamic = NULL;
    run->remote_id = NULL;
    engine_move(engine, run, STATE_CREATED);
    if (execution->state.current == STATE_RETRYING)
        engine_move_execution(engine, STATE_RUNNING);
    engine_queue(engine, run);
}
