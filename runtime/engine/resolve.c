/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at a scope below which something changed: has it ended, or what comes next? */
#include "base/arena.h"
#include "runtime/engine/engine_internal.h"

bool resolve_sequence(struct engine *engine,
                      struct scope *scope,
                      enum scope_list list,
                      const struct task_list *tasks)
{
    struct scope_count *count = &scope->lists[list];
    if (tasks == NULL || count->ended < count->runs || count->next >= tasks->count)
        return false;
    (void)engine_add_run(engine, scope, tasks->items[count->next++], NULL, -1);
    return true;
}

static void create_main(struct engine *engine, struct scope *scope)
{
    size_t tasks = scope->plan.main == NULL ? 0 : scope->plan.main->count;
    while (engine->budget > 0) {
        size_t entry = scope_next_entry(scope);
        if (entry == SIZE_MAX)
            return;
        size_t item = entry / tasks;
        const char *value = NULL;
        int64_t iteration = -1;
        if (scope->plan.values != NULL) {
            value = value_cstr(value_item(scope->plan.values, item));
            iteration = (int64_t)item;
        } else if (scope->owner != NULL) {
            iteration = value_get_int(scope->owner->memo, "round", -1);
        }
        (void)engine_add_run(engine, scope, scope->plan.main->items[entry % tasks], value,
                             iteration);
    }
    engine_changed(engine, scope); // goes on in the next step
}

static void create_next(struct engine *engine, struct scope *scope, enum followed followed)
{
    switch (followed) {
    case FOLLOW_NOTHING:
        break;
    case FOLLOW_MAIN:
        create_main(engine, scope);
        break;
    case FOLLOW_ERRORS:
        (void)resolve_sequence(engine, scope, LIST_ERRORS, scope->errors);
        break;
    case FOLLOW_FINALLY:
        (void)resolve_sequence(engine, scope, LIST_FINALLY, scope->finally);
        break;
    }
}

static void resolve_top(struct engine *engine, struct scope *top)
{
    const struct execution *execution = engine->execution;
    if (states[execution->state.current].is_terminal || execution->state.current == STATE_KILLING)
        return;
    enum followed followed = scope_follow(top);
    enum state state = STATE_SUCCESS;
    const struct scope_count *aside = &top->lists[LIST_ASIDE];
    if (scope_resolve(top, followed, &state)) {
        if (aside->ended == aside->runs)
            settle_finished(engine, state);
        return;
    }
    create_next(engine, top, followed);
}

static bool may_go_on(const struct engine *engine, const struct task_run *owner)
{
    enum state state = engine->execution->state.current;
    bool is_over = states[state].is_terminal || state == STATE_KILLING;
    return owner->state.current == STATE_RUNNING && (!is_over || owner->force_execution);
}

void resolve_scope(struct engine *engine, struct scope *scope)
{
    struct task_run *owner = scope->owner;
    if (owner == NULL) {
        resolve_top(engine, scope);
        return;
    }
    if (owner->state.current == STATE_KILLING && scope_open_runs(scope) == 0) {
        finish_flowable(engine, owner, STATE_KILLED);
        return;
    }
    if (!may_go_on(engine, owner))
        return;
    const struct flowable_ops *ops = run_flowable(owner);
    if (ops->gate != NULL && ops->gate(engine, owner, scope))
        return;
    enum followed followed = scope_follow(scope);
    enum state state = STATE_SUCCESS;
    if (!scope_resolve(scope, followed, &state)) {
        create_next(engine, scope, followed);
        return;
    }
    if (ops->done == NULL || ops->done(engine, owner, &state) == FLOWABLE_ENDS)
        finish_flowable(engine, owner, state);
}
