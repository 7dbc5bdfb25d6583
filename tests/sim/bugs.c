/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Planted bugs: proof that each rule of the simulation catches something. build/sim_bugs is the
 * simulation linked with `-Wl,--wrap=F` for the functions below; BUG=N switches one on. Number 0 is
 * none. `make sim-bugs` demands that every one is found.
 *
 * To add one: a __wrap_ function, its name in SIM_WRAPS of the Makefile, a row.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "runtime/engine/engine_internal.h"

enum bug {
    BUG_NONE,
    BUG_FINALLY_BEFORE_ERRORS,
    BUG_ENDS_EARLY,
    BUG_HIDES_WARNINGS,
    BUG_IGNORES_LIMITS,
    BUG_TAKES_ANY_ANSWER,
    BUG_FORGETS_TO_STORE,
    BUG_KEEPS_ERRORS_OF_A_RETRY,
    BUG_KILLED_TOO_EARLY,
    BUG_LOSES_TIMERS_IN_A_CRASH,
    BUG_ANNOUNCES_TWICE,
    BUG_FORGETS_AN_ITEM,
    BUG_LEAVES_CHILDREN_OPEN,
    BUG_LOSES_A_QUESTION,
    BUG_RETRIES_FOR_EVER,
    BUG_LATE_NEWS_REVIVE,
    BUG_COUNT,
};

static enum bug active(void)
{
    static int cached = -1;
    if (cached < 0) {
        const char *text = getenv("BUG");
        cached = text == NULL ? 0 : (int)strtol(text, NULL, 10);
    }
    return (enum bug)cached;
}

/* The names that the linker gives; declared for -Wmissing-prototypes. */
#define WRAPPED(type, name, ...)                                                                   \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

WRAPPED(enum followed, scope_follow, const struct scope *scope)
{
    enum followed followed = __real_scope_follow(scope);
    if (active() == BUG_FINALLY_BEFORE_ERRORS && followed == FOLLOW_ERRORS &&
        scope->finally != NULL)
        return FOLLOW_FINALLY;
    return followed;
}

WRAPPED(bool, scope_resolve, const struct scope *scope, enum followed followed, enum state *state)
{
    const struct scope_count *main = &scope->lists[LIST_MAIN];
    if (active() == BUG_ENDS_EARLY && followed == FOLLOW_MAIN && main->runs == scope->entries &&
        main->ended + 1 == main->runs && main->runs > 1) {
        *state = STATE_SUCCESS;
        return true;
    }
    bool ended = __real_scope_resolve(scope, followed, state);
    if (active() == BUG_HIDES_WARNINGS && ended && *state == STATE_WARNING)
        *state = STATE_SUCCESS;
    return ended;
}

WRAPPED(size_t, scope_next_entry, struct scope *scope)
{
    uint32_t limit = scope->plan.limit;
    if (active() == BUG_IGNORES_LIMITS)
        scope->plan.limit = 0;
    size_t entry = __real_scope_next_entry(scope);
    scope->plan.limit = limit;
    return entry;
}

WRAPPED(void, event_apply, struct engine *engine, const struct event *event)
{
    struct event changed = *event;
    struct task_run *run = execution_find_run(engine->execution, event->run_id);
    bool is_answer = event->type == EVENT_RUN_ENDED && run != NULL;
    if (active() == BUG_TAKES_ANY_ANSWER && is_answer && !states[run->state.current].is_terminal)
        changed.attempt = engine_attempt(run);
    if (active() == BUG_LATE_NEWS_REVIVE && is_answer && run->state.current == STATE_FAILED &&
        run_flowable(run) == NULL) {
        state_log_append(engine->execution->arena, &run->state, event->state, engine->now);
        task_run_touch(engine->execution, run);
    }
    __real_event_apply(engine, &changed);
}

WRAPPED(void, task_run_touch, struct execution *execution, struct task_run *run)
{
    if (active() == BUG_FORGETS_TO_STORE && run->attempts.count > 1)
        return;
    __real_task_run_touch(execution, run);
}

WRAPPED(void, engine_remove_run, struct engine *engine, struct task_run *run)
{
    if (active() == BUG_KEEPS_ERRORS_OF_A_RETRY && scope_list_of(run) == LIST_ERRORS)
        return;
    __real_engine_remove_run(engine, run);
}

WRAPPED(bool, run_is_on_worker, const struct task_run *run)
{
    if (active() == BUG_KILLED_TOO_EARLY && run->state.current == STATE_RUNNING &&
        run->attempts.count > 1)
        return false;
    return __real_run_is_on_worker(run);
}

WRAPPED(
    void, command_timer_again, struct engine *engine, struct task_run *run, enum timer_kind kind)
{
    if (active() == BUG_LOSES_TIMERS_IN_A_CRASH && engine->event->type == EVENT_RECOVER)
        return;
    __real_command_timer_again(engine, run, kind);
}

WRAPPED(struct command *,
        command_add,
        struct engine *engine,
        enum command_type type,
        struct task_run *run)
{
    if (active() == BUG_ANNOUNCES_TWICE && type == COMMAND_ENDED &&
        engine->execution->runs.count > 5)
        (void)__real_command_add(engine, type, run);
    return __real_command_add(engine, type, run);
}

WRAPPED(void, scope_run_ended, struct scope *scope, struct arena *arena, const struct task_run *run)
{
    if (active() == BUG_FORGETS_AN_ITEM && run->iteration == 1)
        return;
    __real_scope_run_ended(scope, arena, run);
}

WRAPPED(void, memory_close_scope, struct engine *engine, struct task_run *run)
{
    if (active() == BUG_LEAVES_CHILDREN_OPEN && run->scope != NULL && run->first_child != NULL &&
        run->first_child->state.current == STATE_RUNNING) {
        // as if the force had not reached it
        struct task_run *child = run->first_child;
        state_log_append(engine->execution->arena, &child->state, STATE_SUBMITTED, engine->now);
    }
    __real_memory_close_scope(engine, run);
}

WRAPPED(void, finish_forced, struct engine *engine, struct task_run *run, enum state state)
{
    if (active() == BUG_LEAVES_CHILDREN_OPEN && run->parent != NULL &&
        run->state.current == STATE_RUNNING)
        return;
    __real_finish_forced(engine, run, state);
}

WRAPPED(void, effects_answer, struct engine *engine, const struct event *event)
{
    if (active() == BUG_LOSES_A_QUESTION && event->is_error)
        return;
    __real_effects_answer(engine, event);
}

WRAPPED(void, finish_retry_due, struct engine *engine, struct task_run *run)
{
    __real_finish_retry_due(engine, run);
    if (active() == BUG_RETRIES_FOR_EVER && run->attempts.count > 1)
        run->attempts.count = 1;
}
