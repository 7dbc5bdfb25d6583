/* SPDX-License-Identifier: Apache-2.0 */
/* Restart, replay, changed states: which task runs stay, which begin again (flow-language.md 6.10).
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/str.h"
#include "core/plugin.h"
#include "runtime/engine/engine_internal.h"
#include "runtime/engine/iterations.h"

/* ---- what is run again ---- */

static bool is_aftermath(const struct task_run *run)
{
    enum scope_list list = scope_list_of(run);
    return list == LIST_ERRORS || list == LIST_FINALLY || list == LIST_AFTER;
}

/* It, or something above it, belongs to an errors, finally or afterExecution list. */
static bool is_below_aftermath(const struct task_run *run)
{
    while (run != NULL && !is_aftermath(run))
        run = run->parent;
    return run != NULL;
}

/*
 * Begins again by being dispatched; other flowables go on where they are, unless they have never
 * been anywhere: skipped, or failed before their first task.
 */
static bool begins_anew(const struct task_run *run)
{
    const struct flowable_ops *ops = run_flowable(run);
    bool is_flowable = ops != NULL && run->task->type->task_kind == TASK_FLOWABLE;
    bool has_begun = state_last_at(&run->state, STATE_RUNNING) != 0 &&
                     !value_get_bool(run->memo, "unbegun", false);
    return !is_flowable || !has_begun || ops->is_anew || run->is_dynamic;
}

static void end_open_attempt(struct execution *execution, struct task_run *run, usec_t at)
{
    struct attempt *last = task_run_last_attempt(run);
    if (last == NULL || last->ended_at != 0)
        return;
    last->state = STATE_RESUBMITTED;
    last->ended_at = at;
    task_run_touch(execution, run);
}

/* What a flowable had concluded from its children is open again. */
static void reopen_memo(struct execution *execution, struct task_run *run)
{
    static const char *const conclusions[] = { "mustFail", "over", "mapped" };
    for (size_t i = 0; i < sizeof(conclusions) / sizeof(conclusions[0]); i++) {
        if (value_get(run->memo, conclusions[i]) != NULL)
            run->memo = value_with(execution->arena, run->memo, conclusions[i], &value_false);
    }
}

/* Afterwards it is RESTARTED or, when it goes on where it was, RUNNING. */
static void run_again(struct execution *execution, struct task_run *run, usec_t at)
{
    end_open_attempt(execution, run, at);
    run->remote_id = NULL;
    run->wake_at = 0;
    run->wake_generation++;
    run->dynamic = NULL;
    run->props = NULL;
    run->cache_key = NULL;
    enum state state = begins_anew(run) ? STATE_RESTARTED : STATE_RUNNING;
    if (begins_anew(run) && run_flowable(run) == NULL)
        run->memo = NULL;
    if (run->state.current != state)
        state_log_append(execution->arena, &run->state, state, at);
    if (state == STATE_RUNNING)
        (void)task_run_add_attempt(execution, run, at);
    task_run_touch(execution, run);
}

/* Marks run and everything above it. */
static void mark_up(bool *again, const struct execution *execution, const struct task_run *run)
{
    for (; run != NULL; run = run->parent) {
        size_t at = execution_run_index(execution, run);
        if (again[at])
            return;
        again[at] = true;
    }
}

static bool is_restartable(const struct task_run *run)
{
    enum state state = run->state.current;
    return (state == STATE_FAILED || state == STATE_PAUSED) && !is_below_aftermath(run);
}

bool restart_finds_runs(const struct execution *execution)
{
    for (size_t i = 0; i < execution->runs.count; i++) {
        if (is_restartable(execution->runs.items[i]))
            return true;
    }
    return false;
}

/* A flowable that begins anew drops its children, unless one of them is what failed. */
static bool drops_children(const struct execution *execution,
                           const bool *again,
                           const struct task_run *run)
{
    const struct flowable_ops *ops = run_flowable(run);
    if (ops == NULL || !ops->is_anew)
        return false;
    if (ops->has_directory)
        return true;
    for (const struct task_run *child = run->first_child; child != NULL;
         child = child->next_sibling) {
        if (again[execution_run_index(execution, child)])
            return false;
    }
    return true;
}

static void mark_removed(struct task_run *run)
{
    run->is_removed = true;
    for (struct task_run *child = run->first_child; child != NULL; child = child->next_sibling)
        mark_removed(child);
}

/*
 * Applies a restart to task runs: `again` tells which (with their ancestors) run again, of those
 * that are not removed.
 */
static void apply(struct execution *execution, const bool *again, usec_t at)
{
    for (size_t i = 0; i < execution->runs.count; i++) {
        struct task_run *run = execution->runs.items[i];
        if (is_aftermath(run))
            mark_removed(run);
        if (!again[i] || !drops_children(execution, again, run))
            continue;
        for (struct task_run *child = run->first_child; child != NULL; child = child->next_sibling)
            mark_removed(child);
        run->memo = NULL;
        run->outputs = &value_empty_map;
    }
    for (size_t i = 0; i < execution->runs.count; i++) {
        struct task_run *run = execution->runs.items[i];
        bool has_stopped =
            states[run->state.current].is_terminal || run->state.current == STATE_PAUSED;
        if (!again[i] || run->is_removed || (!has_stopped && !begins_anew(run)))
            continue;
        reopen_memo(execution, run);
        run_again(execution, run, at);
    }
}

/* Number of the attempt that was left to a worker. */
static uint32_t abandoned_attempt(const struct task_run *run)
{
    return run_flowable(run) != NULL ? run_attempt(run) : run->orders;
}

static void cancel_removed(struct engine *engine)
{
    struct execution *execution = engine->execution;
    for (size_t i = 0; i < execution->runs.count; i++) {
        struct task_run *run = execution->runs.items[i];
        if (run->is_removed && run->is_abandoned)
            command_add(engine, COMMAND_CANCEL, run)->attempt = abandoned_attempt(run);
        else if (run->is_removed &&
                 (run->state.current == STATE_SUBMITTED || run_is_on_worker(run)))
            command_add(engine, COMMAND_CANCEL, run)->attempt = run_attempt(run);
    }
}

/*
 * Work that went on after its task run was forced to its end is stopped before the task runs again;
 * the next order waits until it has ended.
 */
static void cancel_abandoned(struct engine *engine, const bool *again)
{
    struct execution *execution = engine->execution;
    for (size_t i = 0; i < execution->runs.count; i++) {
        struct task_run *run = execution->runs.items[i];
        if (!again[i] || !run->is_abandoned)
            continue;
        struct command *command = command_add(engine, COMMAND_CANCEL, run);
        command->attempt = abandoned_attempt(run);
        command->remote_id = arena_strdup(engine->commands->arena, run->remote_id);
        run->is_abandoned = false;
        task_run_touch(execution, run);
    }
}

/* The execution lives again; its admission comes with EVENT_CONTINUE. */
static void reopen(struct engine *engine)
{
    struct execution *execution = engine->execution;
    execution->fully_ended = false;
    execution->paused_by_user = false;
    execution->retry_at = 0;
    execution->outputs = NULL;
    execution->attempt_number++;
    execution_set_label(execution, "system.restarted", "true");
    cancel_removed(engine);
    execution_sweep(execution);
    memory_forget(execution);
}

void restart_execution(struct engine *engine)
{
    struct execution *execution = engine->execution;
    enum state state = execution->state.current;
    if (state == STATE_KILLED || (!states[state].is_terminal && state != STATE_PAUSED))
        return;
    bool *again = ARENA_ARRAY(engine->scratch, execution->runs.count + 1, bool);
    bool any = false;
    for (size_t i = 0; i < execution->runs.count; i++) {
        if (is_restartable(execution->runs.items[i])) {
            mark_up(again, execution, execution->runs.items[i]);
            any = true;
        }
    }
    if (!any)
        return;
    cancel_abandoned(engine, again);
    apply(execution, again, engine->now);
    reopen(engine);
    engine_move_execution(engine, STATE_RESTARTED);
    command_add(engine, COMMAND_CONTINUE, NULL);
}

void restart_from_change(struct engine *engine, struct task_run *run, enum state state)
{
    struct execution *execution = engine->execution;
    enum state from = execution->state.current;
    if (!states[from].is_terminal || from == STATE_KILLED || !states[state].is_terminal ||
        (states[run->state.current].run_next & BIT(state)) == 0)
        return;
    struct attempt *last = task_run_last_attempt(run);
    if (last != NULL) {
        last->state = state;
        last->ended_at = engine->now;
        task_run_touch(execution, run);
    }
    task_run_move(execution, run, state, engine->now);
    for (struct task_run *above = run->parent; above != NULL; above = above->parent) {
        if (!states[above->state.current].is_terminal)
            continue;
        task_run_move(execution, above, state == STATE_CANCELLED ? state : STATE_RUNNING,
                      engine->now);
        if (state != STATE_CANCELLED)
            (void)task_run_add_attempt(execution, above, engine->now);
    }
    bool *nothing = ARENA_ARRAY(engine->scratch, execution->runs.count + 1, bool);
    apply(execution, nothing, engine->now);
    reopen(engine);
    if (state == STATE_CANCELLED) {
        engine_move_execution(engine, STATE_CANCELLED);
        return;
    }
    engine_move_execution(engine, STATE_RESTARTED);
    command_add(engine, COMMAND_CONTINUE, NULL);
}

/* ---- copies ---- */

static void copy_log(struct arena *arena, struct state_log *out, const struct state_log *log)
{
    for (size_t i = 0; i < log->history.count; i++)
        state_log_append(arena, out, log->history.items[i].state, log->history.items[i].at);
}

static const struct value *copy_value(struct arena *arena, const struct value *value)
{
    return value == NULL ? NULL : value_copy(arena, value);
}

static struct execution *copy_header(const struct execution *source,
                                     struct flow *flow,
                                     const struct id *id,
                                     usec_t at)
{
    struct execution *copy = execution_new(id, flow, at);
    struct arena *arena = copy->arena;
    copy->inputs = value_copy(arena, source->inputs);
    if (flow == NULL || flow->revision == source->flow_revision)
        copy->variables = value_copy(arena, source->variables);
    for (size_t i = 0; i < source->labels.count; i++)
        execution_set_label(copy, source->labels.items[i].key, source->labels.items[i].value);
    copy->namespace = arena_strdup(arena, source->namespace);
    copy->flow_id = arena_strdup(arena, source->flow_id);
    copy->flow_revision = flow == NULL ? source->flow_revision : flow->revision;
    copy->parent_id = arena_strdup(arena, source->id.text);
    copy->original_id = arena_strdup(arena, source->original_id);
    copy->trigger_id = arena_strdup(arena, source->trigger_id);
    copy->trigger_type = arena_strdup(arena, source->trigger_type);
    copy->trigger_variables = copy_value(arena, source->trigger_variables);
    copy->attempt_number = source->attempt_number + 1;
    copy->original_created_at = source->original_created_at;
    copy->kind = source->kind;
    copy->loop = copy_value(arena, source->loop);
    copy->trace_parent = arena_strdup(arena, source->trace_parent);
    return copy;
}

static void copy_attempts(struct execution *copy, struct task_run *out, const struct task_run *run)
{
    for (size_t i = 0; i < run->attempts.count; i++) {
        const struct attempt *attempt = &run->attempts.items[i];
        struct attempt *added = task_run_add_attempt(copy, out, attempt->started_at);
        *added = *attempt;
        added->worker = arena_strdup(copy->arena, attempt->worker);
        added->log_file = arena_strdup(copy->arena, attempt->log_file);
    }
}

/* Task runs with new ids, in the same order; children follow their parents. */
static void copy_runs(struct execution *copy, const struct execution *source)
{
    struct arena *arena = copy->arena;
    for (size_t i = 0; i < source->runs.count; i++) {
        const struct task_run *run = source->runs.items[i];
        struct task_run *parent = NULL;
        if (run->parent != NULL)
            parent = copy->runs.items[execution_run_index(source, run->parent)];
        const struct task *task = copy->flow == NULL ? NULL : execution_task(copy, run->task_id);
        const struct task named = { .id = arena_strdup(arena, run->task_id) };
        struct task_run *out = execution_add_run(copy, task == NULL ? &named : task, parent,
                                                 run->value, run->iteration, 0);
        out->task = task;
        out->state = (struct state_log){ 0 };
        copy_log(arena, &out->state, &run->state);
        copy_attempts(copy, out, run);
        out->items = arena_strdup(arena, run->items);
        out->outputs = value_copy(arena, run->outputs);
        out->has_encrypted = value_has_encrypted(out->outputs);
        out->memo = copy_value(arena, run->memo);
        out->iterations = iterations_copy(arena, run->iterations);
        out->orders = run->orders;
        out->is_dynamic = run->is_dynamic;
        out->force_execution = run->force_execution;
    }
}

/* As its source, RESTARTED. */
static void continue_history(struct execution *copy, const struct execution *source, usec_t at)
{
    copy->state = (struct state_log){ 0 };
    copy_log(copy->arena, &copy->state, &source->state);
    if (copy->state.current != STATE_RESTARTED)
        state_log_append(copy->arena, &copy->state, STATE_RESTARTED, at);
}

/* Marks of removal are no rows to delete in a store that never held them. */
static void sweep_copy(struct execution *copy)
{
    execution_sweep(copy);
    copy->removed.count = 0;
}

/* Kept task runs that had not ended begin again. */
static void restart_open(struct execution *copy, usec_t at)
{
    for (size_t i = 0; i < copy->runs.count; i++) {
        struct task_run *run = copy->runs.items[i];
        enum state state = run->state.current;
        if (run->is_removed || states[state].is_terminal || state == STATE_RESTARTED)
            continue;
        bool goes_on = !begins_anew(run) && state == STATE_RUNNING;
        if (goes_on)
            continue;
        end_open_attempt(copy, run, at);
        run->remote_id = NULL;
        run->wake_at = 0;
        state_log_append(copy->arena, &run->state, STATE_RESTARTED, at);
    }
}

/*
 * Task runs of tasks that another revision has elsewhere: nothing there looks after them. What the
 * revision does not have at all is reported when it would run.
 */
static void drop_misplaced(struct execution *copy)
{
    for (size_t i = 0; copy->kind != KIND_LOOP && i < copy->runs.count; i++) {
        struct task_run *run = copy->runs.items[i];
        const struct task *task = flow_find_task(copy->flow, run->task_id);
        const struct task *above = run->parent == NULL ? NULL : run->parent->task;
        bool is_aside = task != NULL && task->list->slot == SLOT_ON_PAUSE;
        if (task != NULL && run->task == task && !is_aside && task->parent != above)
            mark_removed(run);
    }
}

struct execution *engine_restart_as(const struct execution *source,
                                    struct flow *flow,
                                    const struct id *id,
                                    usec_t at,
                                    struct error *err)
{
    struct event event = { .type = EVENT_RESTART, .at = at };
    if (!engine_allows(source, EVENT_RESTART, &event, err))
        return NULL;
    struct execution *copy = copy_header(source, flow, id, at);
    copy_runs(copy, source);
    copy->variables = value_copy(copy->arena, source->variables);
    continue_history(copy, source, at);
    execution_set_label(copy, "system.restarted", "true");
    bool *again = ARENA_ARRAY(copy->arena, copy->runs.count + 1, bool);
    for (size_t i = 0; i < copy->runs.count; i++) {
        // what it was in its own revision: in this one the task may be elsewhere
        if (is_below_aftermath(source->runs.items[i]))
            mark_removed(copy->runs.items[i]);
        else if (is_restartable(source->runs.items[i]))
            mark_up(again, copy, copy->runs.items[i]);
    }
    apply(copy, again, at);
    if (flow != source->flow)
        drop_misplaced(copy);
    restart_open(copy, at);
    sweep_copy(copy);
    return copy;
}

struct execution *engine_retry_as(const struct execution *source, const struct id *id, usec_t at)
{
    struct execution *copy = copy_header(source, source->flow, id, at);
    execution_set_label(copy, "system.replay", "true");
    return copy;
}

/* ---- replay from a task run (6.10.2) ---- */

static bool depends_on(const struct task_list *list,
                       const struct task *task,
                       const char *id,
                       size_t depth)
{
    for (size_t i = 0; i < value_count(task->depends_on) && depth <= list->count; i++) {
        const char *on = value_cstr(value_item(task->depends_on, i));
        if (str_eq(on, id))
            return true;
        for (size_t k = 0; k < list->count; k++) {
            if (str_eq(list->items[k]->id, on) && depends_on(list, list->items[k], id, depth + 1))
                return true;
        }
    }
    return false;
}

static bool comes_later(const struct task_run *run, const struct task_run *than)
{
    if (run->task->list_at != than->task->list_at)
        return run->task->list_at > than->task->list_at;
    return run->iteration > than->iteration;
}

/* Does `run` follow `from` in the scope that both are in? */
static bool is_successor(const struct plan *plan,
                         const struct task_run *run,
                         const struct task_run *from)
{
    if (run->task == NULL || from->task == NULL || run->task->list != from->task->list)
        return false;
    if (scope_list_of(from) != LIST_MAIN)
        return comes_later(run, from);
    switch (plan->progression) {
    case PROGRESS_SEQUENCE:
        return comes_later(run, from);
    case PROGRESS_ITEMS:
        return str_eq(run->value, from->value) && comes_later(run, from);
    case PROGRESS_DAG:
        return depends_on(run->task->list, run->task, from->task->id, 0);
    case PROGRESS_PARALLEL:
        break;
    }
    return false;
}

/* Lists of a scope in the order in which they run. */
static int list_order(const struct task_run *run)
{
    return (int)scope_list_of(run);
}

static void remove_successors(struct execution *copy, struct task_run *from)
{
    struct arena *scratch = arena_new();
    struct event event = { .type = EVENT_RESTART };
    struct engine_world world = { 0 };
    struct engine engine = {
        .execution = copy, .event = &event, .world = &world, .scratch = scratch
    };
    struct plan plan = { .progression = PROGRESS_SEQUENCE };
    const struct flowable_ops *ops = from->parent == NULL ? NULL : run_flowable(from->parent);
    if (ops != NULL && ops->plan != NULL)
        (void)ops->plan(&engine, from->parent, &plan, NULL);
    for (size_t i = 0; i < copy->runs.count; i++) {
        struct task_run *run = copy->runs.items[i];
        if (run == from || run->parent != from->parent || scope_list_of(run) == LIST_ASIDE)
            continue;
        if (list_order(run) > list_order(from) || is_successor(&plan, run, from))
            mark_removed(run);
    }
    arena_free(scratch);
}

struct execution *engine_replay(const struct execution *source,
                                struct flow *flow,
                                const struct id *id,
                                const char *run_id,
                                const struct value *inputs,
                                usec_t at,
                                struct error *err)
{
    const struct task_run *start = execution_find_run(source, run_id);
    if (run_id != NULL && start == NULL) {
        error_set(err, ERR_NOT_FOUND, "no task run '%s' in the execution", run_id);
        return NULL;
    }
    struct execution *copy = copy_header(source, flow, id, at);
    execution_set_label(copy, "system.replay", "true");
    if (inputs != NULL)
        copy->inputs = value_copy(copy->arena, inputs);
    if (start == NULL)
        return copy;
    copy_runs(copy, source);
    continue_history(copy, source, at);
    struct task_run *from = copy->runs.items[execution_run_index(source, start)];
    for (struct task_run *child = from->first_child; child != NULL; child = child->next_sibling)
        mark_removed(child);
    for (struct task_run *run = from; run != NULL; run = run->parent) {
        remove_successors(copy, run);
        // Replayed from an errors or finally task, what is above has failed, or ended, still.
        if (run->parent != NULL && !is_aftermath(run))
            reopen_memo(copy, run->parent);
    }
    reopen_memo(copy, from);
    bool *again = ARENA_ARRAY(copy->arena, copy->runs.count + 1, bool);
    mark_up(again, copy, from);
    for (size_t i = 0; i < copy->runs.count; i++) {
        struct task_run *run = copy->runs.items[i];
        const struct flowable_ops *ops = run_flowable(run);
        if (!again[i])
            continue;
        if (ops != NULL && ops->is_anew && (run == from || ops->has_directory)) {
            for (struct task_run *child = run->first_child; child != NULL;
                 child = child->next_sibling)
                mark_removed(child);
            run->memo = NULL;
            run->outputs = &value_empty_map;
        }
        if (ops != NULL && run->task->type->task_kind == TASK_EXECUTABLE) {
            run->outputs = &value_empty_map; // a replay always has children of its own
            run->iterations = NULL;
            run->memo = NULL;
        }
        if (run->state.current != STATE_RUNNING || begins_anew(run))
            run_again(copy, run, at);
    }
    if (flow != source->flow)
        drop_misplaced(copy);
    restart_open(copy, at);
    sweep_copy(copy);
    return copy;
}
