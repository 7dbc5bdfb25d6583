/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/engine/scope.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/map.h"
#include "base/str.h"
#include "core/value.h"

/* ---- counting ---- */

enum scope_list scope_list_of(const struct task_run *run)
{
    if (run->task == NULL || run->task->list == NULL)
        return LIST_ASIDE;
    switch (run->task->list->slot) {
    case SLOT_ERRORS:
        return LIST_ERRORS;
    case SLOT_FINALLY:
        return LIST_FINALLY;
    case SLOT_AFTER_EXECUTION:
    case SLOT_LISTENER:
        return LIST_AFTER;
    case SLOT_ON_PAUSE:
    case SLOT_ON_WAIT:
        return LIST_ASIDE;
    case SLOT_TASKS:
    case SLOT_ELSE:
    case SLOT_CASE:
    case SLOT_DEFAULT:
    case SLOT_ON_APPROVE:
    case SLOT_ON_DENY:
        return LIST_MAIN;
    }
    return LIST_ASIDE;
}

/* Retried because a flowable above says so, not the task itself or the flow (2.3). */
static bool is_retried_for_ancestor(const struct task_run *run)
{
    if (run->task == NULL || run->task->retry.type != RETRY_NONE)
        return false;
    for (const struct task *task = run->task->parent; task != NULL; task = task->parent) {
        if (task->retry.type != RETRY_NONE)
            return true;
    }
    return false;
}

static void add(uint32_t *number, bool in)
{
    if (in)
        (*number)++;
    else
        (*number)--;
}

void scope_count_run(struct scope *scope, const struct task_run *run, bool in)
{
    struct scope_count *count = &scope->lists[scope_list_of(run)];
    add(&count->runs, in);
    if (states[run->state.current].is_terminal)
        add(&count->ended, in);
    switch (run->state.current) {
    case STATE_CREATED:
    case STATE_RESTARTED:
        add(&count->created, in);
        break;
    case STATE_SUBMITTED:
    case STATE_RUNNING:
    case STATE_KILLING:
        add(&count->busy, in);
        break;
    case STATE_PAUSED:
        add(&count->paused, in);
        break;
    case STATE_RETRYING:
        add(&count->retrying, in);
        if (is_retried_for_ancestor(run))
            add(&count->retrying_for, in);
        break;
    case STATE_FAILED:
        add(&count->failed, in);
        break;
    case STATE_KILLED:
        add(&count->killed, in);
        break;
    case STATE_WARNING:
        add(&count->warning, in);
        break;
    case STATE_QUEUED:
    case STATE_BREAKPOINT:
    case STATE_SUCCESS:
    case STATE_CANCELLED:
    case STATE_SKIPPED:
    case STATE_RETRIED:
    case STATE_RESUBMITTED:
    case STATE_COUNT:
        break;
    }
}

/* ---- entries of main ---- */

static uint32_t tasks_of(const struct scope *scope)
{
    return scope->plan.main == NULL ? 0 : (uint32_t)scope->plan.main->count;
}

static uint32_t items_of(const struct scope *scope)
{
    return scope->plan.values == NULL ? 1 : (uint32_t)value_count(scope->plan.values);
}

size_t scope_entry_of(const struct scope *scope, const struct task_run *run)
{
    if (scope->plan.main == NULL || run->task == NULL || run->task->list != scope->plan.main ||
        run->task->list_at == UINT32_MAX)
        return SIZE_MAX;
    if (scope->plan.values == NULL)
        return run->task->list_at;
    const struct value *item = value_item(scope->plan.values, (size_t)run->iteration);
    if (run->iteration < 0 || !str_eq(value_cstr(item), run->value))
        return SIZE_MAX;
    return (size_t)run->iteration * tasks_of(scope) + run->task->list_at;
}

static bool is_made(const struct scope *scope, size_t entry)
{
    return scope->made != NULL && (scope->made[entry / 8] & BIT(entry % 8)) != 0;
}

/* Moves `next` over entries that have a run already. */
static void skip_made(struct scope *scope)
{
    uint32_t *next = &scope->lists[LIST_MAIN].next;
    while (*next < scope->entries && is_made(scope, *next))
        (*next)++;
    if (*next == scope->entries && scope->plan.progression != PROGRESS_DAG)
        scope->made = NULL; // nothing is left to ask
}

static void push_ready(struct arena *arena, struct scope_ready *ready, uint32_t number)
{
    if (ready->count > 0 && ready->items[ready->count - 1] > number)
        ready->is_mixed = true;
    *VEC_PUSH_ARENA(arena, ready) = number;
}

static void open_items(struct scope *scope, struct arena *arena, struct task_run *first_run)
{
    uint32_t tasks = tasks_of(scope);
    uint32_t items = items_of(scope);
    scope->items = ARENA_NEW(arena, struct scope_items);
    scope->items->started = ARENA_ARRAY(arena, items + 1, uint32_t);
    for (const struct task_run *run = first_run; run != NULL; run = run->next_sibling) {
        size_t entry = scope_entry_of(scope, run);
        if (entry == SIZE_MAX)
            continue;
        uint32_t *started = &scope->items->started[entry / tasks];
        uint32_t at = (uint32_t)(entry % tasks) + 1;
        *started = *started < at ? at : *started;
    }
    while (scope->items->next < items && scope->items->started[scope->items->next] > 0)
        scope->items->next++;
    // An item goes on when none of its runs is open.
    unsigned char *open = arena_alloc(arena, (size_t)items / 8 + 1);
    for (const struct task_run *run = first_run; run != NULL; run = run->next_sibling) {
        size_t entry = scope_entry_of(scope, run);
        if (entry != SIZE_MAX && !states[run->state.current].is_terminal)
            open[entry / tasks / 8] |= (unsigned char)BIT(entry / tasks % 8);
    }
    for (uint32_t item = 0; item < items; item++) {
        uint32_t started = scope->items->started[item];
        if (started > 0 && started < tasks && (open[item / 8] & BIT(item % 8)) == 0)
            push_ready(arena, &scope->items->ready, item);
    }
}

/* Dependencies on tasks that are disabled or not there count as fulfilled. */
static void open_dag(struct scope *scope, struct arena *arena, struct task_run *first_run)
{
    const struct task_list *list = scope->plan.main;
    uint32_t count = tasks_of(scope);
    struct scope_dag *dag = ARENA_NEW(arena, struct scope_dag);
    scope->dag = dag;
    dag->waits = ARENA_ARRAY(arena, count + 1, uint32_t);
    dag->starts = ARENA_ARRAY(arena, count + 2, uint32_t);
    bool *ended = ARENA_ARRAY(arena, count + 1, bool);
    for (const struct task_run *run = first_run; run != NULL; run = run->next_sibling) {
        size_t entry = scope_entry_of(scope, run);
        if (entry != SIZE_MAX)
            ended[entry] = states[run->state.current].is_terminal;
    }
    struct map by_id = { 0 };
    for (uint32_t i = 0; i < count; i++)
        (void)map_put(&by_id, list->items[i]->id, list->items[i]);
    // Counted first, then filled: starts[i + 2] ends up as the beginning of i + 1.
    VEC(struct {
        uint32_t on;
        uint32_t entry;
    })
    pairs = { 0 };
    for (uint32_t i = 0; i < count; i++) {
        const struct value *ids = list->items[i]->depends_on;
        for (size_t k = 0; k < value_count(ids); k++) {
            const char *id = value_cstr(value_item(ids, k));
            const struct task *on = id == NULL ? NULL : map_find(&by_id, id);
            if (on == NULL || on->list_at == i)
                continue;
            dag->starts[on->list_at + 1]++;
            dag->waits[i] += ended[on->list_at] ? 0 : 1;
            VEC_PUSH_ARENA(arena, &pairs)->on = on->list_at;
            pairs.items[pairs.count - 1].entry = i;
        }
    }
    map_free(&by_id);
    for (uint32_t i = 0; i < count; i++)
        dag->starts[i + 1] += dag->starts[i];
    dag->dependents = ARENA_ARRAY(arena, pairs.count + 1, uint32_t);
    uint32_t *filled = ARENA_ARRAY(arena, count + 1, uint32_t);
    for (size_t k = 0; k < pairs.count; k++) {
        uint32_t on = pairs.items[k].on;
        dag->dependents[dag->starts[on] + filled[on]++] = pairs.items[k].entry;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (dag->waits[i] == 0 && !is_made(scope, i))
            push_ready(arena, &dag->ready, i);
    }
}

void scope_open(struct scope *scope, struct arena *arena, struct task_run *first_run)
{
    scope->entries = tasks_of(scope) * items_of(scope);
    for (const struct task_run *run = first_run; run != NULL; run = run->next_sibling) {
        size_t entry = scope_entry_of(scope, run);
        if (scope_list_of(run) != LIST_MAIN) {
            struct scope_count *count = &scope->lists[scope_list_of(run)];
            if (run->task != NULL && run->task->list_at != UINT32_MAX)
                count->next = run->task->list_at + 1;
        } else if (entry != SIZE_MAX) {
            if (scope->made == NULL)
                scope->made = arena_alloc(arena, scope->entries / 8 + 1);
            scope->made[entry / 8] |= (unsigned char)BIT(entry % 8);
        }
    }
    skip_made(scope);
    if (scope->entries > 0 && scope->plan.progression == PROGRESS_ITEMS)
        open_items(scope, arena, first_run);
    if (scope->entries > 0 && scope->plan.progression == PROGRESS_DAG)
        open_dag(scope, arena, first_run);
}

void scope_run_ended(struct scope *scope, struct arena *arena, const struct task_run *run)
{
    if (scope->items == NULL && scope->dag == NULL)
        return;
    size_t entry = scope_entry_of(scope, run);
    if (entry == SIZE_MAX)
        return;
    if (scope->items != NULL) {
        uint32_t item = (uint32_t)(entry / tasks_of(scope));
        if (scope->items->started[item] < tasks_of(scope))
            push_ready(arena, &scope->items->ready, item);
        return;
    }
    struct scope_dag *dag = scope->dag;
    for (uint32_t i = dag->starts[entry]; i < dag->starts[entry + 1]; i++) {
        uint32_t dependent = dag->dependents[i];
        if (--dag->waits[dependent] == 0 && !is_made(scope, dependent))
            push_ready(arena, &dag->ready, dependent);
    }
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

static uint32_t take_ready(struct scope_ready *ready)
{
    if (ready->is_mixed) {
        qsort(ready->items + ready->taken, ready->count - ready->taken, sizeof(uint32_t),
              compare_numbers);
        ready->is_mixed = false;
    }
    uint32_t first = ready->items[ready->taken++];
    if (ready->taken == ready->count) {
        ready->taken = 0;
        ready->count = 0;
    }
    return first;
}

static size_t next_of_items(struct scope *scope)
{
    const struct scope_count *main = &scope->lists[LIST_MAIN];
    struct scope_items *items = scope->items;
    uint32_t slots = scope->plan.limit;
    if (slots > 0 && main->runs - main->ended >= slots)
        return SIZE_MAX;
    uint32_t item = items->next;
    if (items->ready.count > 0)
        item = take_ready(&items->ready);
    else if (item < items_of(scope))
        items->next++;
    else
        return SIZE_MAX;
    return (size_t)item * tasks_of(scope) + items->started[item]++;
}

size_t scope_next_entry(struct scope *scope)
{
    struct scope_count *main = &scope->lists[LIST_MAIN];
    if (scope->entries == 0)
        return SIZE_MAX;
    switch (scope->plan.progression) {
    case PROGRESS_ITEMS:
        return next_of_items(scope);
    case PROGRESS_SEQUENCE:
        if (main->ended < main->runs)
            return SIZE_MAX;
        break;
    case PROGRESS_PARALLEL:
    case PROGRESS_DAG:
        if (scope->plan.limit > 0 && main->created + main->busy >= scope->plan.limit)
            return SIZE_MAX;
        break;
    }
    if (scope->dag != NULL) {
        if (scope->dag->ready.count == 0)
            return SIZE_MAX;
        return take_ready(&scope->dag->ready);
    }
    if (main->next >= scope->entries)
        return SIZE_MAX;
    size_t entry = main->next++;
    skip_made(scope);
    return entry;
}

/* ---- state ---- */

uint32_t scope_list_size(const struct scope *scope, enum scope_list list)
{
    switch (list) {
    case LIST_MAIN:
        return scope->entries;
    case LIST_ERRORS:
        return scope->errors == NULL ? 0 : (uint32_t)scope->errors->count;
    case LIST_FINALLY:
        return scope->finally == NULL ? 0 : (uint32_t)scope->finally->count;
    case LIST_AFTER:
    case LIST_ASIDE:
    case LIST_COUNT:
        break;
    }
    return 0;
}

bool scope_list_ended(const struct scope *scope, enum scope_list list)
{
    const struct scope_count *count = &scope->lists[list];
    return count->ended == count->runs && count->runs >= scope_list_size(scope, list);
}

uint32_t scope_open_runs(const struct scope *scope)
{
    uint32_t open = 0;
    for (int i = 0; i < LIST_COUNT; i++)
        open += scope->lists[i].runs - scope->lists[i].ended;
    return open;
}

/*
 * A run FAILED with a retry of its own to come is RETRYING in the same step, so that FAILED here
 * means for good ("failedFinal"). A retry that an ancestor flowable asks for lets the errors run
 * meanwhile (2.3).
 */
enum followed scope_follow(const struct scope *scope)
{
    const struct scope_count *main = &scope->lists[LIST_MAIN];
    const struct scope_count *errors = &scope->lists[LIST_ERRORS];
    bool failed_for_good = main->failed > 0;
    bool failed = failed_for_good || main->retrying_for > 0;

    if (scope->lists[LIST_FINALLY].runs > 0)
        return FOLLOW_FINALLY;
    if (scope->forced_fail && errors->runs == 0) {
        if (scope->errors != NULL)
            return FOLLOW_ERRORS;
        return scope->finally != NULL ? FOLLOW_FINALLY : FOLLOW_NOTHING;
    }
    // Errors without a failure: their cause is being retried, or was replayed and went well.
    bool is_cured = errors->runs > 0 && !failed && !scope->forced_fail;
    if (is_cured && (main->retrying > 0 || errors->ended < errors->runs))
        return FOLLOW_NOTHING;
    if (!is_cured && (errors->runs > 0 || failed)) {
        bool for_good = failed_for_good || scope->forced_fail;
        bool unfinished = scope->errors != NULL && !scope_list_ended(scope, LIST_ERRORS);
        if (scope->errors != NULL && (scope->finally == NULL || unfinished))
            return FOLLOW_ERRORS;
        if (!for_good)
            return scope->errors != NULL ? FOLLOW_NOTHING : FOLLOW_MAIN;
        if (scope->finally == NULL)
            return FOLLOW_NOTHING;
    }
    if (scope->finally != NULL &&
        (scope_list_ended(scope, LIST_MAIN) || failed_for_good || scope->forced_fail))
        return FOLLOW_FINALLY;
    return FOLLOW_MAIN;
}

enum state scope_final_state(const struct scope *scope)
{
    const struct scope_count *main = &scope->lists[LIST_MAIN];
    if (main->killed > 0)
        return STATE_KILLED;
    if (scope->forced_fail || main->failed > 0)
        return STATE_FAILED;
    if (main->warning > 0)
        return STATE_WARNING;
    return main->paused > 0 ? STATE_PAUSED : STATE_SUCCESS;
}

bool scope_resolve(const struct scope *scope, enum followed followed, enum state *state)
{
    static const enum scope_list lists[] = {
        [FOLLOW_NOTHING] = LIST_COUNT,
        [FOLLOW_MAIN] = LIST_MAIN,
        [FOLLOW_ERRORS] = LIST_ERRORS,
        [FOLLOW_FINALLY] = LIST_FINALLY,
    };
    const struct scope_count *main = &scope->lists[LIST_MAIN];
    bool failed = main->failed > 0 || scope->forced_fail;
    if (scope->entries == 0 && !scope->forced_fail) {
        *state = STATE_SUCCESS;
        return true;
    }
    bool ended = followed == FOLLOW_NOTHING ? failed : scope_list_ended(scope, lists[followed]);
    if (!ended || (main->retrying > 0 && !failed))
        return false;
    *state = scope_final_state(scope);
    return *state != STATE_PAUSED;
}
