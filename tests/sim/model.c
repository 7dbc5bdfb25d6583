/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/model.h"

#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/str.h"
#include "core/json.h"
#include "core/plugin.h"
#include "core/value.h"

/* ---- reading the execution ---- */

static bool is_type(const struct task *task, const char *name)
{
    return task != NULL && task->type != NULL && str_ends(task->type->id, name);
}

static bool is_terminal(enum state state)
{
    return state == STATE_SUCCESS || state == STATE_WARNING || state == STATE_FAILED ||
           state == STATE_KILLED || state == STATE_CANCELLED || state == STATE_SKIPPED ||
           state == STATE_RETRIED || state == STATE_RESUBMITTED;
}

static bool is_flowable(const struct task_run *run)
{
    return run->task != NULL && run->task->type != NULL &&
           run->task->type->task_kind == TASK_FLOWABLE;
}

/* Flowables that decide for themselves when they are over. */
static bool has_own_rules(const struct task *task)
{
    return is_type(task, ".Pause") || is_type(task, ".LoopUntil") || is_type(task, ".Approval") ||
           is_type(task, ".WorkingDirectory") || is_type(task, ".Loop") ||
           is_type(task, ".ForEachItem");
}

/* One position of a list: a task, once per value. */
struct entry {
    const struct task *task;
    const char *value;
};

struct entries {
    struct entry items[512];
    size_t count;
    bool is_present;
};

static const struct task_list *slot_of(const struct execution *execution,
                                       const struct task_run *scope,
                                       enum task_slot slot)
{
    return scope == NULL ? flow_list(execution->flow, slot) : task_list(scope->task, slot);
}

static void add_list(struct entries *entries, const struct task_list *list, const char *value)
{
    if (list == NULL)
        return;
    entries->is_present = entries->is_present || list->count > 0;
    CHECK(entries->count + list->count <= COUNT_OF(entries->items));
    for (size_t i = 0; i < list->count; i++)
        entries->items[entries->count++] = (struct entry){ list->items[i], value };
}

/* The values a loop of the generator goes through. */
static const struct value *loop_values(struct arena *arena, const struct task *task)
{
    const struct value *spec = value_get(task->doc, "values");
    if (spec == NULL)
        spec = value_get(task->doc, "value");
    const char *text = value_cstr(spec);
    if (str_eq(text, "{{ range(1, 4) }}"))
        text = "[1,2,3,4]";
    const struct value *list = text == NULL ? spec : json_parse(arena, text, strlen(text), NULL);
    struct value_builder out = value_build(arena);
    for (size_t i = 0; i < value_count(list); i++) {
        const struct value *item = value_item(list, i);
        const char *as_text = value_cstr(item);
        if (as_text == NULL)
            as_text = value_to_json(arena, item);
        bool seen = false;
        for (size_t k = 0; k < out.items_count; k++)
            seen = seen || str_eq(value_cstr(out.items[k]), as_text);
        if (!seen)
            value_add(&out, value_string(arena, as_text));
    }
    return value_build_list(&out);
}

static bool iterates(const struct task *task)
{
    return is_type(task, ".ForEach") || is_type(task, ".EachSequential") ||
           is_type(task, ".EachParallel");
}

static const struct task_list *chosen_case(const struct task_run *scope)
{
    const char *value = value_get_text(scope->outputs, "value", "");
    for (size_t i = 0; i < scope->task->lists_count; i++) {
        const struct task_list *list = &scope->task->lists[i];
        if (list->slot == SLOT_CASE && str_eq(list->name, value))
            return list;
    }
    return task_list(scope->task, SLOT_DEFAULT);
}

static struct entries *main_of(struct model *model,
                               const struct execution *execution,
                               const struct task_run *scope)
{
    struct entries *entries = ARENA_NEW(model->arena, struct entries);
    if (scope != NULL && is_type(scope->task, ".If")) {
        bool holds = value_get_bool(scope->outputs, "evaluationResult", false);
        add_list(entries, task_list(scope->task, holds ? SLOT_TASKS : SLOT_ELSE), NULL);
    } else if (scope != NULL && is_type(scope->task, ".Switch")) {
        add_list(entries, chosen_case(scope), NULL);
    } else if (scope != NULL && iterates(scope->task)) {
        const struct value *values = loop_values(model->arena, scope->task);
        for (size_t i = 0; i < value_count(values); i++)
            add_list(entries, task_list(scope->task, SLOT_TASKS),
                     value_cstr(value_item(values, i)));
    } else {
        add_list(entries, slot_of(execution, scope, SLOT_TASKS), NULL);
    }
    return entries;
}

static struct entries *branch_of(struct model *model,
                                 const struct execution *execution,
                                 const struct task_run *scope,
                                 enum task_slot slot)
{
    struct entries *entries = ARENA_NEW(model->arena, struct entries);
    add_list(entries, slot_of(execution, scope, slot), NULL);
    return entries;
}

/* "The task run of entry E in scope S" (6.5). */
static const struct task_run *run_of(const struct execution *execution,
                                     const struct task_run *scope,
                                     const struct entry *entry)
{
    for (size_t i = 0; i < execution->runs.count; i++) {
        const struct task_run *run = execution->runs.items[i];
        if (run->parent == scope && str_eq(run->task_id, entry->task->id) &&
            (entry->value == NULL || str_eq(run->value, entry->value)))
            return run;
    }
    return NULL;
}

struct tally {
    size_t runs;
    size_t terminated;
    size_t failed;
    size_t killed;
    size_t warning;
    size_t paused;
    size_t created;
    size_t busy;
    size_t retrying;
    size_t retrying_for_ancestor;
};

static bool is_retried_for_ancestor(const struct task_run *run)
{
    if (run->task->retry.type != RETRY_NONE)
        return false;
    for (const struct task_run *above = run->parent; above != NULL; above = above->parent) {
        if (above->task->retry.type != RETRY_NONE)
            return true;
    }
    return false;
}

static struct tally tally_of(const struct execution *execution,
                             const struct task_run *scope,
                             const struct entries *entries)
{
    struct tally tally = { 0 };
    for (size_t i = 0; i < entries->count; i++) {
        const struct task_run *run = run_of(execution, scope, &entries->items[i]);
        if (run == NULL)
            continue;
        enum state state = run->state.current;
        tally.runs++;
        tally.terminated += is_terminal(state) ? 1 : 0;
        tally.failed += state == STATE_FAILED ? 1 : 0;
        tally.killed += state == STATE_KILLED ? 1 : 0;
        tally.warning += state == STATE_WARNING ? 1 : 0;
        tally.paused += state == STATE_PAUSED ? 1 : 0;
        tally.created += state == STATE_CREATED || state == STATE_RESTARTED ? 1 : 0;
        tally.busy +=
            state == STATE_SUBMITTED || state == STATE_RUNNING || state == STATE_KILLING ? 1 : 0;
        if (state == STATE_RETRYING) {
            tally.retrying++;
            tally.retrying_for_ancestor += is_retried_for_ancestor(run) ? 1 : 0;
        }
    }
    return tally;
}

static bool is_complete(const struct execution *execution,
                        const struct task_run *scope,
                        const struct entries *entries)
{
    return tally_of(execution, scope, entries).terminated == entries->count;
}

/* ---- 3.2 and 3.3 ---- */

struct lists {
    struct entries *main;
    struct entries *errors;
    struct entries *finally;
    struct entries *nothing;
};

static struct lists lists_of(struct model *model,
                             const struct execution *execution,
                             const struct task_run *scope)
{
    return (struct lists){
        .main = main_of(model, execution, scope),
        .errors = branch_of(model, execution, scope, SLOT_ERRORS),
        .finally = branch_of(model, execution, scope, SLOT_FINALLY),
        .nothing = ARENA_NEW(model->arena, struct entries),
    };
}

static bool must_fail(const struct task_run *scope)
{
    return scope != NULL && value_get_bool(scope->memo, "mustFail", false);
}

static const struct entries *follow(const struct execution *execution,
                                    const struct task_run *scope,
                                    const struct lists *lists)
{
    struct tally main = tally_of(execution, scope, lists->main);
    struct tally errors = tally_of(execution, scope, lists->errors);
    struct tally finally = tally_of(execution, scope, lists->finally);
    bool forced = must_fail(scope);
    bool failed_final = main.failed > 0;
    if (finally.runs > 0) // 1
        return lists->finally;
    if (forced && errors.runs == 0) // 2
        return lists->errors->is_present    ? lists->errors
               : lists->finally->is_present ? lists->finally
                                            : lists->nothing;
    if (main.retrying_for_ancestor > 0 && !failed_final && !forced) {
        // 2.3: errors run while a retry that an ancestor asks for is waited for
        if (lists->errors->is_present && errors.terminated < lists->errors->count)
            return lists->errors;
        return lists->errors->is_present ? lists->nothing : lists->main;
    }
    if (errors.runs > 0 || main.failed > 0) { // 3
        bool is_pending = main.retrying > 0 || errors.terminated < errors.runs;
        if (!failed_final && !forced && is_pending)
            return lists->nothing;
        if (!failed_final && !forced) // the cause of the errors went well when it was replayed
            return lists->finally->is_present && main.terminated == lists->main->count
                       ? lists->finally
                       : lists->main;
        if (lists->finally->is_present && lists->errors->is_present &&
            errors.terminated < lists->errors->count)
            return lists->errors;
        if (!lists->finally->is_present)
            return lists->errors->is_present ? lists->errors : lists->nothing;
    }
    bool all_done = main.terminated == lists->main->count;
    if (lists->finally->is_present && (all_done || failed_final || forced)) // 4
        return lists->finally;
    return lists->main; // 5
}

static enum state final_state(const struct execution *execution,
                              const struct task_run *scope,
                              const struct lists *lists)
{
    struct tally main = tally_of(execution, scope, lists->main);
    if (main.killed > 0)
        return STATE_KILLED;
    if (main.failed > 0 || must_fail(scope))
        return STATE_FAILED;
    if (main.warning > 0)
        return STATE_WARNING;
    return main.paused > 0 ? STATE_PAUSED : STATE_SUCCESS;
}

/* STATE_COUNT: it has not ended. */
static enum state resolve(const struct execution *execution,
                          const struct task_run *scope,
                          const struct lists *lists)
{
    struct tally main = tally_of(execution, scope, lists->main);
    const struct entries *followed = follow(execution, scope, lists);
    if (lists->main->count == 0 && !must_fail(scope))
        return STATE_SUCCESS;
    if (followed->count > 0) {
        bool pending = main.retrying > 0 && main.failed == 0 && !must_fail(scope);
        return is_complete(execution, scope, followed) && !pending
                   ? final_state(execution, scope, lists)
                   : STATE_COUNT;
    }
    return main.failed > 0 || must_fail(scope) ? final_state(execution, scope, lists) : STATE_COUNT;
}

/* 2.5, for a flowable; AllowFailure of 3.6. */
static enum state mapped(const struct task *task, enum state state)
{
    if (is_type(task, ".AllowFailure") && state == STATE_FAILED)
        state = STATE_WARNING;
    if (task->allow_failure && state == STATE_FAILED)
        state = STATE_WARNING;
    return task->allow_warning && state == STATE_WARNING ? STATE_SUCCESS : state;
}

/* ---- 3.4 and 3.5: what may, and what must, exist ---- */

static int64_t limit_of(const struct task *task)
{
    if (is_type(task, ".ForEach"))
        return value_get_int(task->doc, "concurrencyLimit", 1);
    return value_get_int(task->doc, "concurrent", 0);
}

static bool is_parallel(const struct task_run *scope)
{
    return scope != NULL && (is_type(scope->task, ".Parallel") || is_type(scope->task, ".Dag") ||
                             is_type(scope->task, ".EachParallel") ||
                             (is_type(scope->task, ".ForEach") && limit_of(scope->task) != 1));
}

static const char *name_of(struct model *model, const struct task_run *run)
{
    if (run == NULL)
        return "the flow";
    return run->value == NULL ? run->task_id
                              : arena_printf(model->arena, "%s[%s]", run->task_id, run->value);
}

/* One after the other: at most one is open, later ones only after earlier ones. */
static const char *check_sequence(struct model *model,
                                  const struct execution *execution,
                                  const struct task_run *scope,
                                  const struct entries *entries,
                                  bool is_main)
{
    bool gap = false;
    for (size_t i = 0; i < entries->count && !model->was_changed; i++) {
        const struct task_run *run = run_of(execution, scope, &entries->items[i]);
        if (run == NULL) {
            gap = true;
            continue;
        }
        if (gap)
            return arena_printf(model->arena, "%s has a run before its turn in %s",
                                name_of(model, run), name_of(model, scope));
        bool blocks =
            !is_terminal(run->state.current) || (is_main && run->state.current == STATE_FAILED);
        gap = gap || blocks;
    }
    return NULL;
}

static bool may_start(const struct execution *execution,
                      const struct task_run *scope,
                      const struct entry *entry)
{
    const struct value *ids = entry->task->depends_on;
    for (size_t i = 0; i < value_count(ids); i++) {
        const char *id = value_cstr(value_item(ids, i));
        const struct task *task = flow_find_task(execution->flow, id);
        struct entry on = { task, NULL };
        const struct task_run *run =
            task == NULL || task->disabled ? NULL : run_of(execution, scope, &on);
        if (task != NULL && !task->disabled && (run == NULL || !is_terminal(run->state.current)))
            return false;
    }
    return true;
}

/* A run that gave its slot up while it was PAUSED or RETRYING takes it back whatever the limit. */
static bool was_away(const struct execution *execution, const struct task_run *scope)
{
    for (size_t i = 0; i < execution->runs.count; i++) {
        const struct task_run *run = execution->runs.items[i];
        for (size_t k = 0; run->parent == scope && k < run->state.history.count; k++) {
            enum state state = run->state.history.items[k].state;
            if (state == STATE_PAUSED || state == STATE_RETRYING)
                return true;
        }
    }
    return false;
}

/* The next task of the same item, or the first of a new one: what 3.6 would create. */
static bool is_next_of_item(const struct execution *execution,
                            const struct task_run *scope,
                            const struct entries *entries,
                            size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (!str_eq(entries->items[i].value, entries->items[at].value))
            continue;
        const struct task_run *run = run_of(execution, scope, &entries->items[i]);
        if (run == NULL || !is_terminal(run->state.current))
            return false;
    }
    return true;
}

static const char *check_parallel(struct model *model,
                                  const struct execution *execution,
                                  const struct task_run *scope,
                                  const struct entries *entries,
                                  bool is_settled)
{
    struct tally tally = tally_of(execution, scope, entries);
    size_t limit = (size_t)limit_of(scope->task);
    bool by_item = is_type(scope->task, ".ForEach");
    size_t occupied = by_item ? tally.runs - tally.terminated : tally.created + tally.busy;
    if (limit > 0 && occupied > limit && !model->was_changed && !was_away(execution, scope))
        return arena_printf(model->arena, "%s has %zu open, %zu at most", name_of(model, scope),
                            occupied, limit);
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *entry = &entries->items[i];
        const struct task_run *run = run_of(execution, scope, entry);
        bool may = may_start(execution, scope, entry) &&
                   (!by_item || is_next_of_item(execution, scope, entries, i));
        if (run != NULL && !may && !model->was_changed)
            return arena_printf(model->arena, "%s has a run before its turn in %s",
                                name_of(model, run), name_of(model, scope));
        bool has_room = limit == 0 || occupied < limit;
        if (run == NULL && may && has_room && is_settled)
            return arena_printf(model->arena, "%s should have been created in %s", entry->task->id,
                                name_of(model, scope));
    }
    return NULL;
}

/* What is followed goes on. */
static const char *check_progress(struct model *model,
                                  const struct execution *execution,
                                  const struct task_run *scope,
                                  const struct entries *followed,
                                  const struct lists *lists)
{
    struct tally tally = tally_of(execution, scope, followed);
    if (followed == lists->main && is_parallel(scope))
        return NULL; // check_parallel() has seen to it
    if (tally.runs < followed->count && tally.terminated == tally.runs && !model->was_changed)
        return arena_printf(model->arena, "%s does not go on", name_of(model, scope));
    return NULL;
}

/* The task of an onPause still runs: the end waits for it, though it decides nothing. */
static bool is_waiting_aside(const struct execution *execution, const struct task_run *scope)
{
    for (size_t i = 0; scope == NULL && i < execution->runs.count; i++) {
        const struct task_run *run = execution->runs.items[i];
        if (run->parent == NULL && run->task != NULL && run->task->list->slot == SLOT_ON_PAUSE &&
            !is_terminal(run->state.current))
            return true;
    }
    return false;
}

static const char *check_scope(struct model *model,
                               const struct execution *execution,
                               const struct task_run *scope,
                               bool is_settled)
{
    struct lists lists = lists_of(model, execution, scope);
    const struct entries *followed = follow(execution, scope, &lists);
    const char *wrong = NULL;
    bool own = scope != NULL && has_own_rules(scope->task);
    if (!own && !is_parallel(scope))
        wrong = check_sequence(model, execution, scope, lists.main, true);
    if (wrong == NULL && is_parallel(scope))
        wrong = check_parallel(model, execution, scope, lists.main,
                               is_settled && followed == lists.main);
    if (wrong == NULL)
        wrong = check_sequence(model, execution, scope, lists.errors, false);
    if (wrong == NULL)
        wrong = check_sequence(model, execution, scope, lists.finally, false);
    if (wrong != NULL || own || !is_settled)
        return wrong;
    if (resolve(execution, scope, &lists) != STATE_COUNT)
        return is_waiting_aside(execution, scope)
                   ? NULL
                   : arena_printf(model->arena, "%s should have ended", name_of(model, scope));
    return check_progress(model, execution, scope, followed, &lists);
}

/* Branches run only for a reason. */
static const char *check_causes(struct model *model,
                                const struct execution *execution,
                                const struct task_run *scope)
{
    enum state state = scope == NULL ? execution->state.current : scope->state.current;
    if (is_terminal(state) || execution->state.current == STATE_KILLING)
        return NULL; // forced states hide the reason; it was looked at before
    struct lists lists = lists_of(model, execution, scope);
    struct tally main = tally_of(execution, scope, lists.main);
    struct tally errors = tally_of(execution, scope, lists.errors);
    struct tally finally = tally_of(execution, scope, lists.finally);
    bool own = scope != NULL && has_own_rules(scope->task);
    bool has_failed = main.failed > 0 || main.retrying_for_ancestor > 0 || must_fail(scope);
    if (errors.runs > 0 && !has_failed && !model->was_changed && !own)
        return arena_printf(model->arena, "errors of %s ran without a failure",
                            name_of(model, scope));
    bool errors_first = main.failed > 0 && errors.terminated < lists.errors->count;
    if (finally.runs > 0 && errors_first && !model->was_changed && !own)
        return arena_printf(model->arena, "finally of %s ran before its errors",
                            name_of(model, scope));
    bool is_over = main.terminated == lists.main->count || has_failed;
    if (finally.runs > 0 && !is_over && !model->was_changed && !own)
        return arena_printf(model->arena, "finally of %s ran before its end",
                            name_of(model, scope));
    return NULL;
}

/* ---- task runs and the execution ---- */

static enum state past_state(const struct model *model, const struct task_run *run)
{
    for (size_t i = 0; model->past != NULL && i < model->past->count; i++) {
        if (model->past->runs[i].seq == run->seq)
            return model->past->runs[i].state;
    }
    return STATE_COUNT;
}

static const char *check_attempts(struct model *model, const struct task_run *run)
{
    bool is_open = false;
    for (size_t i = 0; i < run->attempts.count; i++) {
        const struct attempt *attempt = &run->attempts.items[i];
        bool last = i + 1 == run->attempts.count;
        if (attempt->ended_at == 0 && !last)
            return arena_printf(model->arena, "%s has an open attempt before its last",
                                name_of(model, run));
        if (attempt->ended_at != 0 && attempt->ended_at < attempt->started_at)
            return arena_printf(model->arena, "an attempt of %s ended before it began",
                                name_of(model, run));
        is_open = attempt->ended_at == 0;
    }
    enum state state = run->state.current;
    if (is_terminal(state) && is_open)
        return arena_printf(model->arena, "%s has ended and its attempt has not",
                            name_of(model, run));
    if (state == STATE_RUNNING && !is_open)
        return arena_printf(model->arena, "%s is RUNNING without an attempt", name_of(model, run));
    if ((state == STATE_SUBMITTED || state == STATE_CREATED) && is_open)
        return arena_printf(model->arena, "%s waits with an open attempt", name_of(model, run));
    size_t retries = 0;
    for (size_t i = 0; i < run->state.history.count; i++) {
        if (run->state.history.items[i].state == STATE_RETRYING)
            retries++;
    }
    if (run->task != NULL && run->task->retry.type != RETRY_NONE &&
        run->task->retry.max_attempts > 0 && (int64_t)retries >= run->task->retry.max_attempts)
        return arena_printf(model->arena, "%s was retried %zu times", name_of(model, run), retries);
    return NULL;
}

static const char *check_history(struct model *model, const struct state_log *log, const char *name)
{
    for (size_t i = 1; i < log->history.count; i++) {
        if (log->history.items[i].at < log->history.items[i - 1].at)
            return arena_printf(model->arena, "dates of %s decrease", name);
        if (log->history.items[i].state == log->history.items[i - 1].state)
            return arena_printf(model->arena, "%s is twice in a row in one state", name);
    }
    if (log->history.items[log->history.count - 1].state != log->current)
        return arena_printf(model->arena, "the history of %s does not end in its state", name);
    return NULL;
}

static const char *check_run(struct model *model,
                             const struct execution *execution,
                             const struct task_run *run,
                             bool is_operation)
{
    const char *wrong = check_attempts(model, run);
    if (wrong == NULL)
        wrong = check_history(model, &run->state, name_of(model, run));
    if (wrong != NULL)
        return wrong;
    enum state before = past_state(model, run);
    if (before != STATE_COUNT && is_terminal(before) && before != run->state.current &&
        !is_operation)
        return arena_printf(model->arena, "%s had ended %s and is %s", name_of(model, run),
                            states[before].name, states[run->state.current].name);
    if (run->task != NULL && run->task->disabled)
        return arena_printf(model->arena, "%s is disabled and has a run", name_of(model, run));
    bool is_open = !is_terminal(run->state.current);
    if (run->parent != NULL && is_open && is_terminal(run->parent->state.current))
        return arena_printf(model->arena, "%s is open below %s, which has ended",
                            name_of(model, run), name_of(model, run->parent));
    if (is_open && is_terminal(execution->state.current) && !run->force_execution)
        return arena_printf(model->arena, "%s is open after the end", name_of(model, run));
    bool once = run->task == NULL || run->task->list->slot != SLOT_ON_PAUSE;
    for (size_t i = 0; once && i < execution->runs.count; i++) {
        const struct task_run *other = execution->runs.items[i];
        if (other != run && other->parent == run->parent && str_eq(other->task_id, run->task_id) &&
            str_eq(other->value, run->value))
            return arena_printf(model->arena, "%s has two runs", name_of(model, run));
    }
    return NULL;
}

/* A flowable that ended in this step ended as its children say, or was told to. */
static const char *check_end(struct model *model,
                             const struct execution *execution,
                             const struct task_run *run)
{
    enum state before = past_state(model, run);
    enum state state = run->state.current;
    if (before == STATE_COUNT || is_terminal(before) || !is_terminal(state) || !is_flowable(run) ||
        model->was_changed)
        return NULL;
    struct lists lists = lists_of(model, execution, run);
    struct tally main = tally_of(execution, run, lists.main);
    bool is_told = (run->parent != NULL && run->parent->state.current == state) ||
                   execution->state.current == state || state == STATE_RETRIED ||
                   (execution->state.current == STATE_KILLING && state == STATE_KILLED) ||
                   before == STATE_CREATED || before == STATE_RESTARTED;
    if (has_own_rules(run->task) || is_type(run->task, ".AllowFailure")) {
        bool hides = state == STATE_SUCCESS && main.failed > 0 && !run->task->allow_failure &&
                     !is_type(run->task, ".AllowFailure") && !is_told;
        return hides ? arena_printf(model->arena, "%s hides a failure", name_of(model, run)) : NULL;
    }
    enum state expected = resolve(execution, run, &lists);
    if (expected != STATE_COUNT)
        expected = mapped(run->task, expected);
    if (state == expected || is_told)
        return NULL;
    return arena_printf(model->arena, "%s ended %s, not %s", name_of(model, run),
                        states[state].name,
                        expected == STATE_COUNT ? "at all" : states[expected].name);
}

static size_t count_in(const struct execution *execution, enum state state)
{
    size_t count = 0;
    for (size_t i = 0; i < execution->runs.count; i++)
        count += execution->runs.items[i]->state.current == state ? 1 : 0;
    return count;
}

static const char *check_execution(struct model *model,
                                   const struct execution *execution,
                                   bool is_operation,
                                   bool is_settled)
{
    enum state state = execution->state.current;
    const char *wrong = check_history(model, &execution->state, "the execution");
    if (wrong != NULL)
        return wrong;
    if (model->past != NULL && is_terminal(model->past->execution) &&
        model->past->execution != state && !is_operation)
        return arena_printf(model->arena, "the execution had ended %s and is %s",
                            states[model->past->execution].name, states[state].name);
    if (execution->fully_ended && !is_terminal(state))
        return "the execution has fully ended without having ended";
    if (!is_settled)
        return NULL;
    if (state == STATE_PAUSED && !execution->paused_by_user &&
        count_in(execution, STATE_PAUSED) == 0)
        return "the execution is PAUSED without a reason";
    if (state == STATE_RUNNING && count_in(execution, STATE_PAUSED) > 0)
        return "a task run is PAUSED and the execution is not";
    if (state == STATE_RETRYING && count_in(execution, STATE_RETRYING) == 0)
        return "the execution is RETRYING without a reason";
    return NULL;
}

static bool goes_on(const struct execution *execution)
{
    enum state state = execution->state.current;
    return state == STATE_RUNNING || state == STATE_RETRYING ||
           (state == STATE_PAUSED && !execution->paused_by_user);
}

const char *model_check(struct model *model,
                        const struct execution *execution,
                        bool is_operation,
                        bool is_settled)
{
    const char *wrong = check_execution(model, execution, is_operation, is_settled);
    bool is_main = execution->flow != NULL && execution->kind != KIND_LOOP;
    for (size_t i = 0; wrong == NULL && i < execution->runs.count; i++) {
        const struct task_run *run = execution->runs.items[i];
        wrong = check_run(model, execution, run, is_operation);
        if (wrong == NULL && !is_operation)
            wrong = check_end(model, execution, run);
        if (wrong == NULL && is_flowable(run) && run->state.current != STATE_RETRIED)
            wrong = check_causes(model, execution, run);
        bool is_open = run->state.current == STATE_RUNNING && is_flowable(run);
        bool is_after = run->force_execution && is_terminal(execution->state.current);
        bool settled = is_settled && (goes_on(execution) || is_after);
        if (wrong == NULL && is_open)
            wrong = check_scope(model, execution, run, settled);
    }
    if (wrong == NULL && is_main && goes_on(execution))
        wrong = check_scope(model, execution, NULL, is_settled && !model->was_changed);
    if (wrong == NULL && is_main)
        wrong = check_causes(model, execution, NULL);
    return wrong;
}

void model_remember(struct model *model, const struct execution *execution)
{
    arena_reset(model->memory);
    struct model_past *past = ARENA_NEW(model->memory, struct model_past);
    past->execution = execution->state.current;
    past->fully_ended = execution->fully_ended;
    past->count = execution->runs.count;
    past->runs = arena_calloc(model->memory, past->count + 1, sizeof(*past->runs));
    for (size_t i = 0; i < past->count; i++) {
        past->runs[i].seq = execution->runs.items[i]->seq;
        past->runs[i].state = execution->runs.items[i]->state.current;
        past->runs[i].attempts = execution->runs.items[i]->attempts.count;
    }
    model->past = past;
}
