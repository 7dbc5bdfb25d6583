/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "core/plugin.h"
#include "runtime/engine/engine_internal.h"

struct generated_task {
    const struct task *task;
    struct generated_task *next;
};

/* ---- tasks by id ---- */

const struct task *memory_generated(const struct execution *execution, const char *task_id)
{
    for (const struct generated_task *at = execution->generated; at != NULL; at = at->next) {
        if (strcmp(at->task->id, task_id) == 0)
            return at->task;
    }
    return NULL;
}

void memory_add_generated(struct execution *execution, const struct task *task)
{
    struct generated_task *generated = ARENA_NEW(execution->arena, struct generated_task);
    generated->task = task;
    generated->next = execution->generated;
    execution->generated = generated;
}

const struct task *execution_task(struct execution *execution, const char *task_id)
{
    const struct task *task = memory_generated(execution, task_id);
    if (task != NULL || execution->flow == NULL)
        return task;
    if (execution->kind == KIND_LOOP &&
        str_eq(value_get_text(execution->loop, "taskId", ""), task_id))
        return loop_root_task(execution);
    task = flow_find_task(execution->flow, task_id);
    if (task != NULL)
        return task;
    for (size_t i = 0; i < execution->flow->tasks_all_count; i++) {
        const struct task *maker = execution->flow->tasks_all[i];
        const struct flowable_ops *ops = maker->type == NULL ? NULL : maker->type->flowable_ops;
        size_t length = strlen(maker->id);
        if (ops == NULL || ops->generated == NULL || strncmp(task_id, maker->id, length) != 0)
            continue;
        task = ops->generated(execution, maker, task_id);
        if (task != NULL)
            return task;
    }
    return NULL;
}

/* ---- task runs by task ---- */

static struct task_runs *find_other(const struct engine_memory *memory, const char *task_id)
{
    for (struct task_runs *at = memory->others; at != NULL; at = at->next) {
        if (strcmp(at->task_id, task_id) == 0)
            return at;
    }
    return NULL;
}

struct task_runs *memory_runs_of(const struct execution *execution, const char *task_id)
{
    const struct engine_memory *memory = execution->memory;
    const struct task *task =
        execution->flow == NULL ? NULL : flow_find_task(execution->flow, task_id);
    if (task == NULL || task->index >= memory->by_task_count)
        return find_other(memory, task_id);
    struct task_runs *runs = &memory->by_task[task->index];
    return runs->runs.count == 0 ? NULL : runs;
}

void memory_add_run(struct execution *execution, struct task_run *run)
{
    struct engine_memory *memory = execution->memory;
    const struct task *task = run->task;
    struct task_runs *runs = NULL;
    if (task != NULL && task->index < memory->by_task_count &&
        strcmp(execution->flow->tasks_all[task->index]->id, run->task_id) == 0) {
        runs = &memory->by_task[task->index];
    } else {
        runs = find_other(memory, run->task_id);
        if (runs == NULL) {
            runs = ARENA_NEW(execution->arena, struct task_runs);
            runs->next = memory->others;
            memory->others = runs;
        }
    }
    runs->task_id = run->task_id;
    *VEC_PUSH_ARENA(execution->arena, &runs->runs) = run;
    memory->in_state[run->state.current]++;
}

/* ---- the memory ---- */

static const struct task_list *filled(const struct task_list *list)
{
    return list != NULL && list->count > 0 ? list : NULL;
}

static void open_top(struct execution *execution)
{
    struct scope *top = &execution->memory->top;
    struct flow *flow = execution->flow;
    if (flow != NULL && execution->kind == KIND_LOOP) {
        const struct task *root =
            execution_task(execution, value_get_text(execution->loop, "taskId", ""));
        top->plan.main = root == NULL ? NULL : root->list;
    } else if (flow != NULL) {
        top->plan.main = flow_list(flow, SLOT_TASKS);
        top->errors = filled(flow_list(flow, SLOT_ERRORS));
        top->finally = filled(flow_list(flow, SLOT_FINALLY));
    }
    // The top level has no list of its runs: they are told from all by having no parent.
    struct task_run *first = NULL;
    struct task_run *last = NULL;
    for (size_t i = 0; i < execution->runs.count; i++) {
        struct task_run *run = execution->runs.items[i];
        if (run->parent != NULL)
            continue;
        scope_count_run(top, run, true);
        run->next_sibling = NULL;
        if (last == NULL)
            first = run;
        else
            last->next_sibling = run;
        last = run;
    }
    scope_open(top, execution->arena, first);
}

struct engine_memory *memory_of(struct execution *execution)
{
    if (execution->memory != NULL)
        return execution->memory;
    struct engine_memory *memory = ARENA_NEW(execution->arena, struct engine_memory);
    execution->memory = memory;
    if (execution->flow != NULL) {
        memory->by_task_count = execution->flow->tasks_all_count;
        memory->by_task = ARENA_ARRAY(execution->arena, memory->by_task_count, struct task_runs);
    }
    for (size_t i = 0; i < execution->runs.count; i++)
        memory_add_run(execution, execution->runs.items[i]);
    open_top(execution);
    return memory;
}

void memory_forget(struct execution *execution)
{
    execution->memory = NULL;
    for (size_t i = 0; i < execution->runs.count; i++) {
        struct task_run *run = execution->runs.items[i];
        run->scope = NULL;
        run->is_queued = run->is_queued || run->is_waiting; // its turn is still to come
        run->is_waiting = false;
        run->answers = NULL;
    }
}

bool memory_open_scope(struct engine *engine, struct task_run *run, struct error *err)
{
    const struct flowable_ops *ops = run_flowable(run);
    struct arena *arena = engine->execution->arena;
    struct plan plan = { 0 };
    if (ops->plan != NULL && !ops->plan(engine, run, &plan, err))
        return false;
    uint64_t entries = plan.main == NULL ? 0 : plan.main->count;
    entries *= plan.values == NULL ? 1 : value_count(plan.values);
    if (entries > SCOPE_ENTRIES_MAX)
        return error_set(err, ERR_LIMIT, "more than %u task runs below one task",
                         SCOPE_ENTRIES_MAX);
    struct scope *scope = engine->memory->free_scopes;
    if (scope != NULL)
        engine->memory->free_scopes = scope->next_free;
    else
        scope = ARENA_NEW(arena, struct scope);
    *scope = (struct scope){
        .owner = run,
        .plan = plan,
        .errors = plan.without_errors ? NULL : filled(task_list(run->task, SLOT_ERRORS)),
        .finally = plan.without_finally ? NULL : filled(task_list(run->task, SLOT_FINALLY)),
        .forced_fail = value_get_bool(run->memo, "mustFail", false),
    };
    for (const struct task_run *child = run->first_child; child != NULL;
         child = child->next_sibling)
        scope_count_run(scope, child, true);
    scope_open(scope, arena, run->first_child);
    run->scope = scope;
    return true;
}

void memory_close_scope(struct engine *engine, struct task_run *run)
{
    struct scope *scope = run->scope;
    if (scope == NULL)
        return;
    run->scope = NULL;
    scope->is_closed = true;
    if (scope->is_queued)
        return; // given back when it is met in the queue
    scope->next_free = engine->memory->free_scopes;
    engine->memory->free_scopes = scope;
}
