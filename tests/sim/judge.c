/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/judge.h"

#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/str.h"
#include "core/json.h"
#include "core/plugin.h"
#include "core/value.h"

#define WRONG(judge, ...) arena_printf((judge)->arena, __VA_ARGS__)

/* ---- 6.1 and 6.3 ---- */

#define S(name) (1U << STATE_##name)
#define ENDS                                                                                       \
    (S(SUCCESS) | S(WARNING) | S(FAILED) | S(KILLED) | S(CANCELLED) | S(SKIPPED) | S(RETRIED) |    \
     S(RESUBMITTED))

bool judge_is_over(enum state state)
{
    return (ENDS >> state & 1U) != 0;
}

static unsigned execution_next(enum state from)
{
    switch (from) {
    case STATE_CREATED:
        return S(RUNNING) | S(QUEUED) | S(CANCELLED) | S(FAILED) | S(KILLING);
    case STATE_QUEUED:
        return S(RUNNING) | S(CANCELLED) | S(FAILED) | S(KILLING);
    case STATE_RUNNING:
        return S(PAUSED) | S(RETRYING) | S(BREAKPOINT) | S(KILLING) | ENDS;
    case STATE_PAUSED:
        return S(RESTARTED) | S(RUNNING) | S(KILLING) | ENDS;
    case STATE_RETRYING:
    case STATE_BREAKPOINT:
        return S(RUNNING) | S(KILLING) | ENDS; // SLA, Exit in a parallel branch
    case STATE_RESTARTED:
        return S(RUNNING) | S(QUEUED) | S(KILLING) | ENDS;
    case STATE_KILLING:
        return S(KILLED) | S(CANCELLED) | S(FAILED);
    case STATE_SUCCESS:
    case STATE_WARNING:
    case STATE_FAILED:
    case STATE_CANCELLED:
    case STATE_SKIPPED:
    case STATE_RETRIED:
    case STATE_RESUBMITTED:
        return S(RESTARTED) | ENDS; // by a person
    case STATE_SUBMITTED:
    case STATE_KILLED:
    case STATE_COUNT:
        break;
    }
    return 0;
}

static unsigned run_next(enum state from)
{
    switch (from) {
    case STATE_CREATED:
    case STATE_RESTARTED:
        return S(SUBMITTED) | S(RUNNING) | S(BREAKPOINT) | ENDS;
    case STATE_SUBMITTED:
        return S(RUNNING) | ENDS;
    case STATE_RUNNING:
        return S(PAUSED) | S(KILLING) | S(SUBMITTED) | ENDS;
    case STATE_PAUSED:
        return S(RUNNING) | S(CREATED) | S(RESTARTED) | S(KILLING) | ENDS;
    case STATE_RETRYING:
        return S(CREATED) | ENDS;
    case STATE_BREAKPOINT:
        return S(CREATED) | ENDS;
    case STATE_KILLING:
        return ENDS;
    case STATE_FAILED:
        return S(RETRYING) | S(RETRIED) | S(RESTARTED) | S(RUNNING) | ENDS;
    case STATE_SUCCESS:
    case STATE_WARNING:
    case STATE_CANCELLED:
    case STATE_SKIPPED:
    case STATE_RETRIED:
    case STATE_RESUBMITTED:
        return S(RESTARTED) | S(RUNNING) | ENDS; // by a person
    case STATE_KILLED:
    case STATE_QUEUED:
    case STATE_COUNT:
        break;
    }
    return 0;
}

bool judge_may_move(bool is_run, enum state from, enum state to)
{
    return ((is_run ? run_next(from) : execution_next(from)) >> to & 1U) != 0;
}

/* ---- reading ---- */

static bool is_type(const struct task *task, const char *name)
{
    return task != NULL && task->type != NULL && str_ends(task->type->id, name);
}

static bool is_flowable(const struct task_run *run)
{
    return run->task != NULL && run->task->type != NULL &&
           run->task->type->task_kind == TASK_FLOWABLE;
}

static enum state state_of(const struct task_run *run)
{
    return run->state.current;
}

static usec_t created_at(const struct task_run *run)
{
    return run->state.history.items[0].at;
}

static usec_t ended_at(const struct state_log *log)
{
    return log->history.items[log->history.count - 1].at;
}

static bool was_ever(const struct state_log *log, enum state state)
{
    for (size_t i = 0; i < log->history.count; i++) {
        if (log->history.items[i].state == state)
            return true;
    }
    return false;
}

static const char *name_of(const struct judge *judge, const struct task_run *run)
{
    if (run == NULL)
        return "the flow";
    return run->value == NULL ? run->task_id : WRONG(judge, "%s[%s]", run->task_id, run->value);
}

static bool is_iteration(const struct execution *execution)
{
    return execution->kind == KIND_LOOP;
}

/* An onPause task stands beside the top level and decides nothing. */
static bool is_aside(const struct task_run *run)
{
    return run->task != NULL && run->task->list != NULL && run->task->list->slot == SLOT_ON_PAUSE;
}

/* ---- lists of a scope ---- */

/* One position of a list: a task, once per value. */
struct entry {
    const char *id;
    const struct task *task; /* NULL: one that ForEachItem makes */
    const char *value;
};

struct entries {
    struct entry items[512];
    size_t count;
};

static const struct task_list *slot_of(const struct judge *judge,
                                       const struct task_run *scope,
                                       enum task_slot slot)
{
    return scope == NULL ? flow_list(judge->execution->flow, slot) : task_list(scope->task, slot);
}

static void add_list(struct entries *entries, const struct task_list *list, const char *value)
{
    CHECK(list == NULL || entries->count + list->count <= COUNT_OF(entries->items));
    for (size_t i = 0; list != NULL && i < list->count; i++)
        entries->items[entries->count++] =
            (struct entry){ list->items[i]->id, list->items[i], value };
}

/* 3.6 ForEach: the items as texts, without duplicates. Only what generate.c writes. */
static const struct value *items_of(struct arena *arena, const struct task *task)
{
    const struct value *spec = value_get(task->doc, "values");
    if (spec == NULL)
        spec = value_get(task->doc, "value");
    const char *text = value_cstr(spec);
    if (str_eq(text, "{{ range(1, 4) }}"))
        text = "[1,2,3,4]";
    const struct value *all = text == NULL ? spec : json_parse(arena, text, strlen(text), NULL);
    struct value_builder out = value_build(arena);
    for (size_t i = 0; i < value_count(all); i++) {
        const struct value *item = value_item(all, i);
        const char *as_text = value_cstr(item);
        bool is_known = false;
        if (as_text == NULL)
            as_text = value_to_json(arena, item);
        for (size_t k = 0; k < out.items_count; k++)
            is_known = is_known || str_eq(value_cstr(out.items[k]), as_text);
        if (!is_known)
            value_add(&out, value_string(arena, as_text));
    }
    return value_build_list(&out);
}

static bool iterates(const struct task *task)
{
    return is_type(task, ".ForEach") || is_type(task, ".EachSequential") ||
           is_type(task, ".EachParallel");
}

static void add_case(struct entries *entries, const struct task_run *scope)
{
    const char *value = value_get_text(scope->outputs, "value", "");
    for (size_t i = 0; i < scope->task->lists_count; i++) {
        const struct task_list *list = &scope->task->lists[i];
        if (list->slot == SLOT_CASE && str_eq(list->name, value)) {
            add_list(entries, list, NULL);
            return;
        }
    }
    add_list(entries, task_list(scope->task, SLOT_DEFAULT), NULL);
}

static struct entries *main_of(const struct judge *judge, const struct task_run *scope)
{
    struct entries *entries = ARENA_NEW(judge->arena, struct entries);
    const struct task *task = scope == NULL ? NULL : scope->task;
    if (is_type(task, ".If")) {
        bool holds = value_get_bool(scope->outputs, "evaluationResult", false);
        add_list(entries, task_list(task, holds ? SLOT_TASKS : SLOT_ELSE), NULL);
    } else if (is_type(task, ".Switch")) {
        add_case(entries, scope);
    } else if (is_type(task, ".Approval")) {
        const char *decision = value_get_text(scope->outputs, "decision", "");
        if (str_eq(decision, "APPROVED"))
            add_list(entries, task_list(task, SLOT_ON_APPROVE), NULL);
        if (str_eq(decision, "DENIED"))
            add_list(entries, task_list(task, SLOT_ON_DENY), NULL);
    } else if (is_type(task, ".ForEachItem")) {
        static const char *const parts[] = { "split", "items", "merge" };
        for (size_t i = 0; i < COUNT_OF(parts); i++)
            entries->items[entries->count++].id = WRONG(judge, "%s_%s", task->id, parts[i]);
    } else if (task != NULL && iterates(task)) {
        const struct value *values = items_of(judge->arena, task);
        for (size_t i = 0; i < value_count(values); i++)
            add_list(entries, task_list(task, SLOT_TASKS), value_cstr(value_item(values, i)));
    } else {
        add_list(entries, slot_of(judge, scope, SLOT_TASKS), NULL);
    }
    return entries;
}

static struct entries *branch_of(const struct judge *judge,
                                 const struct task_run *scope,
                                 enum task_slot slot)
{
    struct entries *entries = ARENA_NEW(judge->arena, struct entries);
    add_list(entries, slot_of(judge, scope, slot), NULL);
    return entries;
}

/* "The task run of entry E in scope S" (6.5). */
static const struct task_run *run_of(const struct judge *judge,
                                     const struct task_run *scope,
                                     const struct entry *entry)
{
    const struct execution *execution = judge->execution;
    for (size_t i = 0; i < execution->runs.count; i++) {
        const struct task_run *run = execution->runs.items[i];
        if (run->parent == scope && str_eq(run->task_id, entry->id) &&
            (entry->value == NULL || str_eq(run->value, entry->value)))
            return run;
    }
    return NULL;
}

static size_t count_in(const struct judge *judge,
                       const struct task_run *scope,
                       const struct entries *in,
                       unsigned of)
{
    size_t count = 0;
    for (size_t i = 0; i < in->count; i++) {
        const struct task_run *run = run_of(judge, scope, &in->items[i]);
        count += run != NULL && (of >> state_of(run) & 1U) != 0 ? 1 : 0;
    }
    return count;
}

/* ---- 3.3 ---- */

static enum state final_of(const struct judge *judge,
                           const struct task_run *scope,
                           const struct entries *main)
{
    if (count_in(judge, scope, main, S(KILLED)) > 0)
        return STATE_KILLED;
    if (count_in(judge, scope, main, S(FAILED)) > 0)
        return STATE_FAILED;
    return count_in(judge, scope, main, S(WARNING)) > 0 ? STATE_WARNING : STATE_SUCCESS;
}

/* 2.5 */
static enum state mapped(const struct task *task, enum state state)
{
    if (task->allow_failure && state == STATE_FAILED)
        state = STATE_WARNING;
    return task->allow_warning && state == STATE_WARNING ? STATE_SUCCESS : state;
}

/*
 * 3.3: open children of a flowable that has ended take its state. That needs a sibling that failed
 * it, or a parent that was taken along itself.
 */
static bool was_taken_along(const struct judge *judge, const struct task_run *run)
{
    const struct task_run *parent = run->parent;
    if (parent == NULL || state_of(run) != state_of(parent) ||
        ended_at(&run->state) != ended_at(&parent->state))
        return false;
    for (size_t i = 0; i < judge->execution->runs.count; i++) {
        const struct task_run *other = judge->execution->runs.items[i];
        if (other != run && other->parent == parent && state_of(other) == STATE_FAILED)
            return true;
    }
    return was_taken_along(judge, parent);
}

/* ---- task runs that are no flowables (2.2, 2.3, 2.5) ---- */

/* The first one found counts. */
static const struct retry *retry_of(const struct judge *judge, const struct task *task)
{
    for (const struct task *at = task; at != NULL; at = at->parent) {
        if (at->retry.type != RETRY_NONE)
            return &at->retry;
    }
    const struct retry *retry = &judge->execution->flow->retry;
    return retry->type == RETRY_NONE ? NULL : retry;
}

/* Least wait after `made` attempts; what is random waits its minimum at least. */
static usec_t delay_after(const struct retry *retry, size_t made)
{
    if (retry->type == RETRY_CONSTANT)
        return retry->interval;
    if (retry->type == RETRY_RANDOM)
        return retry->min_interval;
    double delay = (double)retry->interval;
    for (size_t i = 1; i < made; i++)
        delay *= retry->delay_factor;
    return delay > (double)retry->max_interval ? retry->max_interval : (usec_t)delay;
}

/* No further attempt after `made`. */
static bool is_exhausted(const struct retry *retry, const struct task_run *run, size_t made)
{
    if (made == 0 || (retry->max_attempts > 0 && (int64_t)made >= retry->max_attempts))
        return true;
    usec_t next = run->attempts.items[made - 1].ended_at + delay_after(retry, made);
    return retry->max_duration > 0 &&
           next > run->attempts.items[0].started_at + retry->max_duration;
}

static const char *judge_retries(struct judge *judge, const struct task_run *run)
{
    const struct retry *retry = retry_of(judge, run->task);
    size_t made = 0;
    for (size_t i = 1; i < run->state.history.count; i++) {
        const struct state_change *change = &run->state.history.items[i];
        if (change->state != STATE_CREATED ||
            run->state.history.items[i - 1].state != STATE_RETRYING)
            continue;
        // attempts that had ended by then: lost ones count as well
        for (made = 0; made < run->attempts.count; made++) {
            const struct attempt *attempt = &run->attempts.items[made];
            if (attempt->ended_at > change->at || attempt->started_at >= change->at)
                break;
        }
        if (retry == NULL)
            return WRONG(judge, "%s was retried, and nothing says so", name_of(judge, run));
        if (made == 0)
            return WRONG(judge, "%s was retried before it was tried", name_of(judge, run));
        if (is_exhausted(retry, run, made))
            return WRONG(judge, "%s was retried after %zu attempts", name_of(judge, run), made);
        if (change->at < run->attempts.items[made - 1].ended_at + delay_after(retry, made))
            return WRONG(judge, "attempt %zu of %s came too early", made + 1, name_of(judge, run));
    }
    return NULL;
}

static const char *judge_attempts(struct judge *judge, const struct task_run *run)
{
    for (size_t i = 0; i < run->attempts.count; i++) {
        enum state state = run->attempts.items[i].state;
        bool is_last = i + 1 == run->attempts.count;
        if (!judge_is_over(state))
            return WRONG(judge, "attempt %zu of %s is %s", i + 1, name_of(judge, run),
                         states[state].name);
        if (!is_last && state != STATE_FAILED && state != STATE_RESUBMITTED && !judge->was_changed)
            return WRONG(judge, "attempt %zu of %s was %s, and there is another", i + 1,
                         name_of(judge, run), states[state].name);
    }
    if (!judge->was_changed && state_of(run) == STATE_SKIPPED &&
        (run->attempts.count == 0 ||
         run->attempts.items[run->attempts.count - 1].state != STATE_SKIPPED))
        return WRONG(judge, "%s is SKIPPED, and its last attempt is not", name_of(judge, run));
    return NULL;
}

static bool ends_all(const struct task_run *run)
{
    return is_type(run->task, ".Exit") || is_type(run->task, ".Kill");
}

/* It failed when it was to begin (again): its runIf, or a property, cannot be evaluated. */
static bool was_unattempted(const struct task_run *run)
{
    size_t count = run->state.history.count;
    enum state before = count < 2 ? STATE_COUNT : run->state.history.items[count - 2].state;
    return before == STATE_CREATED || before == STATE_RESTARTED;
}

/* What the last attempt makes of the task run. */
static const char *judge_runnable(struct judge *judge, const struct task_run *run)
{
    enum state state = state_of(run);
    if (state == STATE_SKIPPED || ends_all(run) || was_taken_along(judge, run))
        return NULL;
    enum state expected = STATE_FAILED; // without an attempt: it could not be begun
    size_t made = run->attempts.count;
    if (made > 0)
        expected = run->attempts.items[made - 1].state;
    const struct retry *retry = retry_of(judge, run->task);
    const struct retry *own = run->task->retry.type == RETRY_NONE ? NULL : &run->task->retry;
    if (was_unattempted(run)) {
        expected = STATE_FAILED;
        retry = NULL;
    }
    bool is_calmed =
        own == NULL && run->task->allow_failure; // allowFailure before what is inherited
    if (expected == STATE_FAILED && retry != NULL && !is_calmed &&
        !is_exhausted(retry, run, made)) {
        bool is_last_chance = retry->type == RETRY_RANDOM && retry->max_duration > 0;
        if (retry->behavior == RETRY_NEW_EXECUTION || is_last_chance)
            return NULL; // counted by executions
        return WRONG(judge, "%s failed for good after %zu attempts", name_of(judge, run), made);
    }
    if (expected == STATE_SUCCESS && own != NULL && own->warning_on_retry && made > 1)
        expected = STATE_WARNING;
    expected = mapped(run->task, expected);
    if (state != expected)
        return WRONG(judge, "%s ended %s, not %s", name_of(judge, run), states[state].name,
                     states[expected].name);
    return NULL;
}

/* ---- executions that were called (3.6 Subflow, Loop, ForEachItem) ---- */

#define CHILDREN_MAX 64

static enum state worst_of(const enum state *found, size_t count)
{
    static const enum state order[] = { STATE_FAILED, STATE_KILLED, STATE_WARNING };
    for (size_t k = 0; k < COUNT_OF(order); k++) {
        for (size_t i = 0; i < count; i++) {
            if (found[i] == order[k])
                return order[k];
        }
    }
    return STATE_SUCCESS;
}

static const char *judge_caller(struct judge *judge, const struct task_run *run)
{
    bool is_items = str_ends(run->task_id, "_items");
    const struct task *task = is_items && run->parent != NULL ? run->parent->task : run->task;
    enum state found[CHILDREN_MAX];
    if (judge->children == NULL || state_of(run) == STATE_SKIPPED || run->attempts.count == 0 ||
        was_taken_along(judge, run) || state_of(run) == STATE_RETRIED)
        return NULL;
    size_t count = judge->children(judge->data, run, found, COUNT_OF(found));
    if (count == 0)
        return NULL; // refused, or nothing to do
    bool waits = value_get_bool(task->doc, "wait", true);
    bool transmits = value_get_bool(task->doc, "transmitFailed", true);
    for (size_t i = 0; waits && i < count; i++) {
        if (!judge_is_over(found[i]))
            return WRONG(judge, "%s has ended and what it called is %s", name_of(judge, run),
                         states[found[i]].name);
    }
    enum state expected = waits && transmits ? worst_of(found, count) : STATE_SUCCESS;
    bool is_loop = is_type(run->task, ".Loop");
    enum state state = is_loop ? state_of(run) : run->attempts.items[run->attempts.count - 1].state;
    if (is_loop)
        expected = mapped(run->task, expected);
    if (state != expected)
        return WRONG(judge, "%s ended %s, and %s makes it %s", name_of(judge, run),
                     states[state].name, is_loop ? "its iterations" : "what it called",
                     states[expected].name);
    return NULL;
}

/* ---- lists ---- */

/* One after the other: no gap, each after the end of the one before. */
static const char *judge_sequence(struct judge *judge,
                                  const struct task_run *scope,
                                  const struct entries *entries,
                                  bool stops_at_failure)
{
    const struct task_run *before = NULL;
    bool is_over = false;
    for (size_t i = 0; i < entries->count; i++) {
        const struct task_run *run = run_of(judge, scope, &entries->items[i]);
        if (run == NULL) {
            is_over = true;
            continue;
        }
        if (is_over)
            return WRONG(judge, "%s has a task run, and it was not its turn", name_of(judge, run));
        if (before != NULL &&
            (before->seq > run->seq || ended_at(&before->state) > created_at(run)))
            return WRONG(judge, "%s began before %s had ended", name_of(judge, run),
                         name_of(judge, before));
        before = run;
        is_over = stops_at_failure && state_of(run) == STATE_FAILED;
    }
    return NULL;
}

static bool is_sequence(const struct task_run *scope)
{
    if (scope == NULL)
        return true;
    const struct task *task = scope->task;
    int64_t limit = value_get_int(task->doc, "concurrencyLimit", 1);
    return !(is_type(task, ".Parallel") || is_type(task, ".Dag") ||
             is_type(task, ".EachParallel") || (is_type(task, ".ForEach") && limit != 1));
}

/* 3.6 Dag, and items of a ForEach: what has to have ended before. */
static const char *judge_turns(struct judge *judge,
                               const struct task_run *scope,
                               const struct entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        const struct task_run *run = run_of(judge, scope, &entries->items[i]);
        for (size_t k = 0; run != NULL && k < entries->count; k++) {
            const struct task_run *other = run_of(judge, scope, &entries->items[k]);
            const struct task *task = entries->items[i].task;
            const struct value *ids = task == NULL ? NULL : task->depends_on;
            bool is_before = is_type(scope->task, ".ForEach") && k < i &&
                             str_eq(entries->items[k].value, entries->items[i].value);
            for (size_t n = 0; n < value_count(ids); n++)
                is_before =
                    is_before || str_eq(value_cstr(value_item(ids, n)), entries->items[k].id);
            if (is_before && (other == NULL || ended_at(&other->state) > created_at(run)))
                return WRONG(judge, "%s began before %s had ended", name_of(judge, run),
                             entries->items[k].id);
        }
    }
    return NULL;
}

static const char *judge_branches(struct judge *judge,
                                  const struct task_run *scope,
                                  const struct entries *main,
                                  bool has_failed)
{
    const char *name = name_of(judge, scope);
    struct entries *errors = branch_of(judge, scope, SLOT_ERRORS);
    struct entries *finally = branch_of(judge, scope, SLOT_FINALLY);
    size_t errors_count = count_in(judge, scope, errors, ~0U);
    size_t finally_count = count_in(judge, scope, finally, ~0U);
    if (has_failed && errors_count < errors->count)
        return WRONG(judge, "%s failed, and %zu of its %zu errors tasks ran", name, errors_count,
                     errors->count);
    if (!has_failed && errors_count > 0)
        return WRONG(judge, "errors of %s ran without a failure", name);
    bool is_without = scope != NULL && is_iteration(judge->execution) && scope->parent == NULL;
    if (!is_without && finally_count < finally->count && (main->count > 0 || has_failed))
        return WRONG(judge, "%zu of %zu tasks of finally of %s ran", finally_count, finally->count,
                     name);
    const char *wrong = judge_sequence(judge, scope, errors, false);
    if (wrong == NULL)
        wrong = judge_sequence(judge, scope, finally, false);
    const struct task_run *first =
        finally_count > 0 ? run_of(judge, scope, &finally->items[0]) : NULL;
    for (size_t i = 0; wrong == NULL && first != NULL && i < main->count + errors->count; i++) {
        bool is_main = i < main->count;
        const struct task_run *run =
            run_of(judge, scope, is_main ? &main->items[i] : &errors->items[i - main->count]);
        if (run != NULL && (!is_main || !has_failed) &&
            (run->seq > first->seq || ended_at(&run->state) > created_at(first)))
            wrong =
                WRONG(judge, "finally of %s began before %s had ended", name, name_of(judge, run));
    }
    return wrong;
}

/* ---- flowables ---- */

/* Could not even begin: an expression that cannot be evaluated. */
static bool failed_to_begin(const struct judge *judge, const struct task_run *run)
{
    for (size_t i = 0; i < judge->execution->runs.count; i++) {
        if (judge->execution->runs.items[i]->parent == run)
            return false;
    }
    bool may =
        is_type(run->task, ".If") || is_type(run->task, ".Switch") || run->task->run_if != NULL;
    return may && state_of(run) == mapped(run->task, STATE_FAILED);
}

/* What the flowable's children make of it, before flags. */
static enum state natural(const struct judge *judge,
                          const struct task_run *run,
                          const struct entries *main)
{
    enum state state = final_of(judge, run, main);
    if (is_type(run->task, ".AllowFailure") && state == STATE_FAILED)
        return STATE_WARNING;
    return state;
}

/* The other ends that a flowable of this kind may come to, and whether that is a failure. */
static bool may_end(const struct task_run *run, enum state from_children, enum state state)
{
    const struct task *task = run->task;
    if (is_type(task, ".WorkingDirectory"))
        return state == STATE_FAILED; // its files could not be brought, or fetched
    if (is_type(task, ".LoopUntil")) {
        const char *condition = value_get_text(task->doc, "condition", "");
        bool may_exceed =
            value_get_bool(task->doc, "failOnMaxReached", false) && !str_eq(condition, "true");
        return state == STATE_FAILED && (may_exceed || str_eq(condition, "{{ kv('go') }}"));
    }
    if (is_type(task, ".Pause")) {
        const char *behavior = value_get_text(task->doc, "behavior", "RESUME");
        bool has_duration = value_get(task->doc, "pauseDuration") != NULL;
        if (!has_duration)
            return task->timeout != NULL && state == STATE_FAILED;
        return (str_eq(behavior, "WARN") && state == STATE_WARNING) ||
               (str_eq(behavior, "FAIL") && state == STATE_FAILED) ||
               (str_eq(behavior, "CANCEL") && state == STATE_CANCELLED);
    }
    if (is_type(task, ".Approval")) {
        const char *decision = value_get_text(run->outputs, "decision", NULL);
        const char *key = str_eq(decision, "APPROVED") ? "approveBehavior"
                          : str_eq(decision, "DENIED") ? "denyBehavior"
                                                       : "expireBehavior";
        const char *behavior = value_get_text(task->doc, key, "CONTINUE");
        if (decision == NULL)
            return state == STATE_FAILED; // onWait failed
        if (from_children == STATE_FAILED || from_children == STATE_KILLED)
            return false;
        return (str_eq(behavior, "WARN") && state == STATE_WARNING) ||
               (str_eq(behavior, "FAIL") && state == STATE_FAILED) ||
               (str_eq(behavior, "SUCCEED") && state == STATE_SUCCESS) ||
               (str_eq(behavior, "CANCEL") && state == STATE_CANCELLED) ||
               (str_eq(behavior, "KILL") && state == STATE_KILLED);
    }
    return false;
}

static bool calls_iterations(const struct judge *judge, const struct task_run *run)
{
    return is_type(run->task, ".Loop") && !(is_iteration(judge->execution) && run->parent == NULL);
}

static const char *judge_flowable(struct judge *judge, const struct task_run *run)
{
    enum state state = state_of(run);
    if (state == STATE_SKIPPED || was_taken_along(judge, run) || failed_to_begin(judge, run))
        return NULL;
    if (calls_iterations(judge, run))
        return judge_caller(judge, run);
    struct entries *main = main_of(judge, run);
    enum state expected = natural(judge, run, main);
    bool by_children = mapped(run->task, expected) == state;
    enum state other = STATE_COUNT; // the end it came to by itself
    static const enum state ends[] = { STATE_FAILED, STATE_WARNING, STATE_SUCCESS, STATE_CANCELLED,
                                       STATE_KILLED };
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        if (may_end(run, expected, ends[i]) && mapped(run->task, ends[i]) == state)
            other = ends[i];
    }
    if (!by_children && other == STATE_COUNT)
        return WRONG(judge, "%s ended %s, not %s", name_of(judge, run), states[state].name,
                     states[mapped(run->task, expected)].name);
    bool has_failed = count_in(judge, run, main, S(FAILED)) > 0;
    const char *wrong = NULL;
    if (is_sequence(run))
        wrong = judge_sequence(judge, run, main, true);
    else
        wrong = judge_turns(judge, run, main);
    if (wrong == NULL && !has_failed && other == STATE_COUNT &&
        count_in(judge, run, main, ~0U) < main->count)
        wrong = WRONG(judge, "%s ended before all of its tasks", name_of(judge, run));
    bool is_own_way = is_type(run->task, ".Pause") || is_type(run->task, ".LoopUntil") ||
                      is_type(run->task, ".Approval") || is_type(run->task, ".WorkingDirectory");
    if (wrong == NULL && (!is_own_way || has_failed))
        wrong = judge_branches(judge, run, main, has_failed);
    return wrong;
}

/* ---- the execution ---- */

/* Something ended the execution from outside of the lists: then they prove nothing. */
static bool was_cut_short(const struct execution *execution)
{
    enum state state = execution->state.current;
    if (state == STATE_CANCELLED || state == STATE_RETRIED || execution->sla_violated ||
        was_ever(&execution->state, STATE_KILLING))
        return true;
    for (size_t i = 0; i < execution->runs.count; i++) {
        const struct task_run *run = execution->runs.items[i];
        bool decides = is_type(run->task, ".Approval") &&
                       value_get_text(run->outputs, "decision", NULL) != NULL &&
                       state_of(run) != STATE_FAILED && state_of(run) != STATE_WARNING &&
                       ended_at(&run->state) == ended_at(&execution->state);
        if (!run->force_execution && (ends_all(run) || decides) && judge_is_over(state_of(run)))
            return true;
    }
    return false;
}

/* 6.8: whatever the end was, unless it never began. */
static const char *judge_after(struct judge *judge)
{
    const struct execution *execution = judge->execution;
    struct entries *after = branch_of(judge, NULL, SLOT_AFTER_EXECUTION);
    size_t count = execution->state.history.count;
    enum state before = count < 2 ? STATE_COUNT : execution->state.history.items[count - 2].state;
    bool was_refused = before == STATE_CREATED || before == STATE_RESTARTED ||
                       before == STATE_QUEUED; // by the limit (1.8): nothing of it runs
    if (is_iteration(execution) || execution->runs.count == 0 || was_refused)
        return NULL;
    if (count_in(judge, NULL, after, ~0U) < after->count)
        return WRONG(judge, "%zu of %zu tasks of afterExecution ran",
                     count_in(judge, NULL, after, ~0U), after->count);
    for (size_t i = 0; i < after->count; i++) {
        const struct task_run *run = run_of(judge, NULL, &after->items[i]);
        if (!run->force_execution)
            return WRONG(judge, "%s runs after the end without being told", name_of(judge, run));
        if (created_at(run) < ended_at(&execution->state) && !judge->was_changed)
            return WRONG(judge, "%s ran before the end", name_of(judge, run));
    }
    return judge_sequence(judge, NULL, after, false);
}

/* 6.10 Kill, 3.3: after the end nothing of the flow begins. */
static const char *judge_silence(struct judge *judge)
{
    const struct state_log *log = &judge->execution->state;
    usec_t end = ended_at(log);
    for (size_t i = 0; i < log->history.count; i++) {
        if (log->history.items[i].state == STATE_KILLING)
            end = log->history.items[i].at;
    }
    for (size_t i = 0; i < judge->execution->runs.count; i++) {
        const struct task_run *run = judge->execution->runs.items[i];
        const struct task_run *root = run;
        while (root->parent != NULL)
            root = root->parent;
        if (!root->force_execution && created_at(run) > end)
            return WRONG(judge, "%s began after the end", name_of(judge, run));
    }
    return NULL;
}

/* 1.10: a deadline that passed was noticed. */
static const char *judge_deadline(struct judge *judge)
{
    const struct execution *execution = judge->execution;
    const struct flow *flow = execution->flow;
    usec_t first = execution->state.history.items[0].at;
    usec_t took = ended_at(&execution->state) - first;
    for (size_t i = 0; i < flow->slas_count; i++) {
        const struct sla *sla = &flow->slas[i];
        if (sla->type == SLA_MAX_DURATION && took > sla->duration + 60 * USEC_SEC &&
            !execution->sla_violated && !was_ever(&execution->state, STATE_KILLING))
            return WRONG(judge, "the execution took %lld s, and SLA '%s' did not see it",
                         (long long)(took / USEC_SEC), sla->id);
    }
    return NULL;
}

static const char *judge_top(struct judge *judge)
{
    const struct execution *execution = judge->execution;
    struct entries *main = ARENA_NEW(judge->arena, struct entries);
    if (is_iteration(execution)) { // the loop's task run alone
        const char *id = value_get_text(execution->loop, "taskId", "");
        struct entry entry = { id, flow_find_task(execution->flow, id), NULL };
        const struct task_run *root = run_of(judge, NULL, &entry);
        enum state state = root == NULL ? STATE_FAILED : state_of(root);
        bool fits = state == execution->state.current ||
                    (state == STATE_SKIPPED && execution->state.current == STATE_SUCCESS);
        bool may_fail = value_get(entry.task->doc, "outputs") != NULL;
        return fits || may_fail ? NULL
                                : WRONG(judge, "the iteration ended %s, its loop %s",
                                        states[execution->state.current].name, states[state].name);
    }
    add_list(main, flow_list(execution->flow, SLOT_TASKS), NULL);
    enum state expected = final_of(judge, NULL, main);
    bool has_failed = count_in(judge, NULL, main, S(FAILED)) > 0;
    bool lost_outputs = execution->flow->outputs_count > 0 &&
                        execution->state.current == STATE_FAILED && expected != STATE_KILLED;
    if (execution->state.current != expected && !lost_outputs)
        return WRONG(judge, "the execution ended %s, not %s", states[execution->state.current].name,
                     states[expected].name);
    if (!has_failed && count_in(judge, NULL, main, ~0U) < main->count)
        return WRONG(judge, "the execution ended before all of its tasks");
    const char *wrong = judge_sequence(judge, NULL, main, true);
    return wrong != NULL ? wrong : judge_branches(judge, NULL, main, has_failed);
}

const char *judge_ended(struct judge *judge)
{
    const struct execution *execution = judge->execution;
    if (execution->flow == NULL || execution->runs.count == 0)
        return NULL; // refused before its first task
    const char *wrong = judge_after(judge);
    for (size_t i = 0; wrong == NULL && i < execution->runs.count; i++)
        wrong = judge_attempts(judge, execution->runs.items[i]);
    if (wrong == NULL && !judge->was_changed)
        wrong = judge_silence(judge);
    if (wrong == NULL && !judge->was_changed)
        wrong = judge_deadline(judge);
    if (wrong != NULL || judge->was_changed || was_cut_short(execution))
        return wrong;
    for (size_t i = 0; wrong == NULL && i < execution->runs.count; i++) {
        const struct task_run *run = execution->runs.items[i];
        if (run->task == NULL || is_aside(run))
            continue;
        if (is_flowable(run)) {
            wrong = judge_flowable(judge, run);
        } else if (is_type(run->task, ".Subflow") || str_ends(run->task_id, "_items")) {
            wrong = judge_caller(judge, run);
        }
        if (wrong == NULL && !is_flowable(run))
            wrong = judge_retries(judge, run);
        if (wrong == NULL && !is_flowable(run))
            wrong = judge_runnable(judge, run);
    }
    return wrong != NULL ? wrong : judge_top(judge);
}
