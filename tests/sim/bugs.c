/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Planted bugs: proof that each rule of the simulations catches something. build/sim_bugs and
 * build/sim_driver_bugs are the simulations of the engine and of the driver linked with
 * `-Wl,--wrap=F` for the functions below; BUG=N switches one on. Number 0 is none. `make sim-bugs`
 * demands that every one is found by those it is listed for, within a number of seeds.
 *
 * To add one: a __wrap_ function, its name in SIM_WRAPS of the Makefile, a row.
 */
#include "tests/sim/bugs.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "runtime/engine/child.h"
#include "runtime/engine/engine_internal.h"

enum bug bug_active(void)
{
    static int cached = -1;
    if (cached < 0) {
        const char *text = getenv("BUG");
        cached = text == NULL ? 0 : (int)strtol(text, NULL, 10);
    }
    return (enum bug)cached;
}

WRAPPED(enum followed, scope_follow, const struct scope *scope)
{
    enum followed followed = __real_scope_follow(scope);
    if (bug_active() == BUG_FINALLY_BEFORE_ERRORS && followed == FOLLOW_ERRORS &&
        scope->finally != NULL)
        return FOLLOW_FINALLY;
    bool failed = scope->lists[LIST_MAIN].failed > 0 || scope->forced_fail;
    if (bug_active() == BUG_SKIPS_ERRORS && followed == FOLLOW_ERRORS)
        return scope->finally != NULL ? FOLLOW_FINALLY : FOLLOW_NOTHING;
    if (bug_active() == BUG_SKIPS_FINALLY && followed == FOLLOW_FINALLY)
        return failed ? FOLLOW_NOTHING : FOLLOW_MAIN;
    return followed;
}

WRAPPED(bool, scope_resolve, const struct scope *scope, enum followed followed, enum state *state)
{
    const struct scope_count *main = &scope->lists[LIST_MAIN];
    if (bug_active() == BUG_ENDS_EARLY && followed == FOLLOW_MAIN && main->runs == scope->entries &&
        main->ended + 1 == main->runs && main->runs > 1) {
        *state = STATE_SUCCESS;
        return true;
    }
    bool ended = __real_scope_resolve(scope, followed, state);
    if (bug_active() == BUG_HIDES_WARNINGS && ended && *state == STATE_WARNING)
        *state = STATE_SUCCESS;
    return ended;
}

WRAPPED(size_t, scope_next_entry, struct scope *scope)
{
    uint32_t limit = scope->plan.limit;
    if (bug_active() == BUG_IGNORES_LIMITS)
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
    if (bug_active() == BUG_TAKES_ANY_ANSWER && is_answer &&
        !states[run->state.current].is_terminal)
        changed.attempt = engine_attempt(run);
    if (bug_active() == BUG_LATE_NEWS_REVIVE && is_answer && run->state.current == STATE_FAILED &&
        run_flowable(run) == NULL) {
        state_log_append(engine->execution->arena, &run->state, event->state, engine->now);
        task_run_touch(engine->execution, run);
    }
    __real_event_apply(engine, &changed);
}

WRAPPED(void, task_run_touch, struct execution *execution, struct task_run *run)
{
    if (bug_active() == BUG_FORGETS_TO_STORE && run->attempts.count > 1)
        return;
    __real_task_run_touch(execution, run);
}

WRAPPED(void, engine_remove_run, struct engine *engine, struct task_run *run)
{
    if (bug_active() == BUG_KEEPS_ERRORS_OF_A_RETRY && scope_list_of(run) == LIST_ERRORS)
        return;
    __real_engine_remove_run(engine, run);
}

WRAPPED(bool, run_is_on_worker, const struct task_run *run)
{
    if (bug_active() == BUG_KILLED_TOO_EARLY && run->state.current == STATE_RUNNING &&
        run->attempts.count > 1)
        return false;
    return __real_run_is_on_worker(run);
}

WRAPPED(
    void, command_timer_again, struct engine *engine, struct task_run *run, enum timer_kind kind)
{
    if (bug_active() == BUG_LOSES_TIMERS_IN_A_CRASH && engine->event->type == EVENT_RECOVER)
        return;
    __real_command_timer_again(engine, run, kind);
}

WRAPPED(struct command *,
        command_add,
        struct engine *engine,
        enum command_type type,
        struct task_run *run)
{
    if (bug_active() == BUG_ANNOUNCES_TWICE && type == COMMAND_ENDED &&
        engine->execution->runs.count > 5)
        (void)__real_command_add(engine, type, run);
    return __real_command_add(engine, type, run);
}

WRAPPED(void, scope_run_ended, struct scope *scope, struct arena *arena, const struct task_run *run)
{
    if (bug_active() == BUG_FORGETS_AN_ITEM && run->iteration == 1)
        return;
    __real_scope_run_ended(scope, arena, run);
}

WRAPPED(void, memory_close_scope, struct engine *engine, struct task_run *run)
{
    if (bug_active() == BUG_LEAVES_CHILDREN_OPEN && run->scope != NULL &&
        run->first_child != NULL && run->first_child->state.current == STATE_RUNNING) {
        // as if the force had not reached it
        struct task_run *child = run->first_child;
        state_log_append(engine->execution->arena, &child->state, STATE_SUBMITTED, engine->now);
    }
    __real_memory_close_scope(engine, run);
}

WRAPPED(void, finish_forced, struct engine *engine, struct task_run *run, enum state state)
{
    if (bug_active() == BUG_LEAVES_CHILDREN_OPEN && run->parent != NULL &&
        run->state.current == STATE_RUNNING)
        return;
    __real_finish_forced(engine, run, state);
}

WRAPPED(void, effects_answer, struct engine *engine, const struct event *event)
{
    if (bug_active() == BUG_LOSES_A_QUESTION && event->is_error)
        return;
    __real_effects_answer(engine, event);
}

WRAPPED(void, finish_retry_due, struct engine *engine, struct task_run *run)
{
    __real_finish_retry_due(engine, run);
    if (bug_active() == BUG_RETRIES_FOR_EVER && run->attempts.count > 1)
        run->attempts.count = 1;
}

/* The task as if it had been written otherwise, for the time of a call. */
struct changed {
    struct task *task;
    struct task before;
};

static struct changed change_task(const struct task_run *run)
{
    struct changed changed = { .task = (struct task *)(uintptr_t)run->task };
    if (changed.task == NULL)
        return changed;
    changed.before = *changed.task;
    if (bug_active() == BUG_KNOWS_NO_ALLOW_FAILURE)
        changed.task->allow_failure = false;
    if (bug_active() == BUG_KNOWS_NO_ALLOW_WARNING)
        changed.task->allow_warning = false;
    if (changed.task->retry.max_attempts > 0 && bug_active() == BUG_RETRIES_ONCE_MORE)
        changed.task->retry.max_attempts++;
    if (changed.task->retry.max_attempts > 0 && bug_active() == BUG_RETRIES_ONCE_LESS)
        changed.task->retry.max_attempts--;
    return changed;
}

static void change_back(const struct changed *changed)
{
    if (changed->task != NULL)
        *changed->task = changed->before;
}

WRAPPED(void, finish_attempt, struct engine *engine, struct task_run *run, enum state state)
{
    struct changed changed = change_task(run);
    __real_finish_attempt(engine, run, state);
    change_back(&changed);
}

WRAPPED(void, finish_flowable, struct engine *engine, struct task_run *run, enum state state)
{
    struct changed changed = change_task(run);
    __real_finish_flowable(engine, run, state);
    change_back(&changed);
}

WRAPPED(void, settle_finished, struct engine *engine, enum state state)
{
    const struct task_list *after = flow_list(engine->execution->flow, SLOT_AFTER_EXECUTION);
    struct scope *top = &engine->memory->top;
    if (bug_active() == BUG_AFTER_BEFORE_THE_END && after != NULL && after->count > 0 &&
        top->lists[LIST_AFTER].runs == 0) {
        (void)engine_add_run(engine, top, after->items[0], NULL, -1);
        return; // and the end when that is over
    }
    __real_settle_finished(engine, state);
}

WRAPPED(enum state, child_state, enum state ended, bool transmit_failed)
{
    bool hides = bug_active() == BUG_HIDES_FAILED_CHILDREN && ended == STATE_FAILED;
    return __real_child_state(hides ? STATE_SUCCESS : ended, transmit_failed);
}
