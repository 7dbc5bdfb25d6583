/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/engine/engine.h"

#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "core/plugin.h"
#include "runtime/engine/engine_internal.h"

/* ---- moves ---- */

struct scope *engine_scope_of(struct engine *engine, const struct task_run *run)
{
    return run->parent == NULL ? &engine->memory->top : run->parent->scope;
}

void engine_changed(struct engine *engine, struct scope *scope)
{
    if (scope == NULL || scope->is_queued || scope->is_closed)
        return;
    scope->is_queued = true;
    *VEC_PUSH_ARENA(engine->execution->arena, &engine->memory->changed) = scope;
}

void engine_queue(struct engine *engine, struct task_run *run)
{
    if (run->is_queued)
        return;
    run->is_queued = true;
    *VEC_PUSH_ARENA(engine->execution->arena, &engine->memory->ready) = run;
}

static void spend(struct engine *engine)
{
    if (engine->budget > 0)
        engine->budget--;
}

void engine_move(struct engine *engine, struct task_run *run, enum state state)
{
    enum state from = run->state.current;
    if (from == state)
        return;
    spend(engine);
    struct scope *scope = engine_scope_of(engine, run);
    if (scope != NULL)
        scope_count_run(scope, run, false);
    task_run_move(engine->execution, run, state, engine->now);
    if (scope != NULL)
        scope_count_run(scope, run, true);
    engine->memory->in_state[from]--;
    engine->memory->in_state[state]++;
    engine_changed(engine, scope);
}

void engine_move_execution(struct engine *engine, enum state state)
{
    enum state from = engine->execution->state.current;
    if (from == state)
        return;
    bool is_direct = (states[from].next & BIT(state)) != 0;
    if (!is_direct && (states[from].next & BIT(STATE_RUNNING)) != 0) {
        engine_move_execution(engine, STATE_RUNNING);
        from = STATE_RUNNING;
    }
    execution_move(engine->execution, state, engine->now);
    struct command *command = command_add(engine, COMMAND_STATE, NULL);
    command->state = state;
    command->from = from;
}

struct task_run *engine_add_run(struct engine *engine,
                                struct scope *scope,
                                const struct task *task,
                                const char *value,
                                int64_t iteration)
{
    struct execution *execution = engine->execution;
    spend(engine);
    if (run_shares_value(scope->owner, task))
        value = scope->owner->value;
    struct task_run *run =
        execution_add_run(execution, task, scope->owner, value, iteration, engine->now);
    run->force_execution =
        scope_list_of(run) == LIST_AFTER || (run->parent != NULL && run->parent->force_execution);
    memory_add_run(execution, run);
    scope_count_run(scope, run, true);
    engine_queue(engine, run);
    engine_changed(engine, scope);
    return run;
}

void engine_remove_run(struct engine *engine, struct task_run *run)
{
    for (struct task_run *child = run->first_child; child != NULL; child = child->next_sibling) {
        if (!child->is_removed)
            engine_remove_run(engine, child);
    }
    if (run->state.current == STATE_SUBMITTED || run_is_on_worker(run))
        command_add(engine, COMMAND_CANCEL, run)->attempt = run_attempt(run);
    struct scope *scope = engine_scope_of(engine, run);
    if (scope != NULL)
        scope_count_run(scope, run, false);
    memory_close_scope(engine, run);
    engine->memory->in_state[run->state.current]--;
    run->is_removed = true;
}

static void sweep_runs(struct task_runs *runs)
{
    size_t kept = 0;
    for (size_t i = 0; i < runs->runs.count; i++) {
        if (!runs->runs.items[i]->is_removed)
            runs->runs.items[kept++] = runs->runs.items[i];
    }
    if (kept == runs->runs.count)
        return;
    runs->runs.count = kept;
    runs->by_path = (struct output_tree){ 0 };
    runs->by_value = (struct output_tree){ 0 };
}

void engine_sweep(struct engine *engine)
{
    struct engine_memory *memory = engine->memory;
    for (size_t i = 0; i < memory->by_task_count; i++)
        sweep_runs(&memory->by_task[i]);
    for (struct task_runs *runs = memory->others; runs != NULL; runs = runs->next)
        sweep_runs(runs);
    execution_sweep(engine->execution);
}

void engine_set_outputs(struct engine *engine, struct task_run *run, const struct value *outputs)
{
    struct execution *execution = engine->execution;
    run->outputs = outputs == NULL ? &value_empty_map : value_copy(execution->arena, outputs);
    run->has_encrypted = value_has_encrypted(run->outputs);
    run->clear = NULL;
    task_run_touch(execution, run);
}

/* What is there already is shared, not copied again. */
void engine_put_output(struct engine *engine,
                       struct task_run *run,
                       const char *key,
                       const struct value *value)
{
    struct arena *arena = engine->execution->arena;
    run->outputs = value_with(arena, run->outputs, key, value_copy(arena, value));
    run->has_encrypted = run->has_encrypted || value_has_encrypted(value);
    run->clear = NULL;
    task_run_touch(engine->execution, run);
}

void engine_put_memo(struct engine *engine,
                     struct task_run *run,
                     const char *key,
                     const struct value *value)
{
    struct arena *arena = engine->execution->arena;
    run->memo = value_with(arena, run->memo, key, value_copy(arena, value));
    task_run_touch(engine->execution, run);
}

/* ---- driving ---- */

/* Nothing is started or resolved: it waits for somebody outside. */
static bool is_halted(const struct execution *execution)
{
    switch (execution->state.current) {
    case STATE_CREATED:
    case STATE_QUEUED:
    case STATE_RESTARTED:
    case STATE_BREAKPOINT:
        return true;
    case STATE_PAUSED:
        return execution->paused_by_user;
    case STATE_SUBMITTED:
    case STATE_RUNNING:
    case STATE_RETRYING:
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
    return execution->fully_ended;
}

static bool dispatch_next(struct engine *engine)
{
    struct engine_memory *memory = engine->memory;
    if (memory->ready.taken == memory->ready.count) {
        memory->ready.taken = 0;
        memory->ready.count = 0;
        return false;
    }
    struct task_run *run = memory->ready.items[memory->ready.taken++];
    run->is_queued = false;
    if (!run->is_removed) {
        spend(engine);
        dispatch_run(engine, run);
    }
    return true;
}

static bool resolve_next(struct engine *engine)
{
    struct engine_memory *memory = engine->memory;
    if (memory->changed.taken == memory->changed.count) {
        memory->changed.taken = 0;
        memory->changed.count = 0;
        return false;
    }
    struct scope *scope = memory->changed.items[memory->changed.taken++];
    scope->is_queued = false;
    if (scope->is_closed) {
        scope->next_free = memory->free_scopes;
        memory->free_scopes = scope;
        return true;
    }
    spend(engine);
    resolve_scope(engine, scope);
    return true;
}

/*
 * Ready task runs first, then what changed: task runs that were created together all get their turn
 * before anything is decided about the scope they are in.
 */
static void drive(struct engine *engine)
{
    while (!is_halted(engine->execution)) {
        // an assertion is looked at on every change, also of what is done in one step
        if (settle_slas(engine))
            continue;
        if (engine->budget == 0) {
            if (!engine->continues)
                command_add(engine, COMMAND_CONTINUE, NULL);
            engine->continues = true;
            return;
        }
        if (dispatch_next(engine))
            continue;
        if (resolve_next(engine))
            continue;
        if (!settle_execution(engine))
            return;
    }
}

/* After a restart of the server, or of the execution: everything open is looked at once. */
static void revive(struct engine *engine)
{
    struct execution *execution = engine->execution;
    for (size_t i = 0; i < execution->runs.count; i++) {
        struct task_run *run = execution->runs.items[i];
        const struct flowable_ops *ops = run_flowable(run);
        enum state state = run->state.current;
        bool was_queued = run->is_queued;
        run->is_queued = false;
        if (states[state].is_created || was_queued)
            engine_queue(engine, run);
        if (ops == NULL || ops->plan == NULL || run->scope != NULL ||
            (state != STATE_RUNNING && state != STATE_PAUSED && state != STATE_KILLING))
            continue;
        struct error err = { 0 };
        if (memory_open_scope(engine, run, &err)) {
            engine_changed(engine, run->scope);
            continue;
        }
        command_log(engine, run, LOG_ERROR, "Unable to resolve state from the Flowable task: %s",
                    err.text);
        finish_flowable(engine, run, STATE_FAILED);
    }
    engine_changed(engine, &engine->memory->top);
}

void engine_begin(struct engine *engine)
{
    bool is_fresh = engine->execution->memory == NULL;
    engine->memory = memory_of(engine->execution);
    if (is_fresh)
        revive(engine);
}

void engine_step(struct execution *execution,
                 const struct event *event,
                 const struct engine_world *world,
                 struct arena *scratch,
                 struct command_list *commands)
{
    struct engine engine = {
        .execution = execution,
        .event = event,
        .world = world,
        .scratch = scratch,
        .commands = commands,
        .now = event->at,
        .budget = ENGINE_TRANSITIONS_MAX,
    };
    size_t before = commands->all.count;
    engine_begin(&engine);
    event_apply(&engine, event);
    if (execution->memory == NULL)
        engine_begin(&engine);
    drive(&engine);
    bool changed = execution->is_dirty || execution->dirty.count > 0;
    if ((changed || commands->all.count > before) && settle_slas(&engine))
        drive(&engine);
}
