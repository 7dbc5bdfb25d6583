/* SPDX-License-Identifier: Apache-2.0 */
/* The execution as a whole: its end, what runs after it, pauses, SLAs. */
#include "base/arena.h"
#include "base/str.h"
#include "core/inputs.h"
#include "core/labels.h"
#include "core/plugin.h"
#include "runtime/engine/engine_internal.h"
#include "runtime/triggers/condition.h"

uint32_t settle_open_runs(const struct engine *engine)
{
    uint32_t open = 0;
    for (int i = 0; i < STATE_COUNT; i++)
        open += states[i].is_terminal ? 0 : engine->memory->in_state[i];
    return open;
}

/* ---- the end ---- */

void settle_end(struct engine *engine, enum state state)
{
    struct execution *execution = engine->execution;
    if (settle_open_runs(engine) > 0) {
        for (size_t i = 0; i < execution->runs.count; i++) {
            struct task_run *run = execution->runs.items[i];
            if (run->parent == NULL && !run->force_execution)
                finish_forced(engine, run, state);
        }
    }
    execution->paused_by_user = false;
    engine_move_execution(engine, state);
}

void settle_end_unbegun(struct engine *engine, enum state state)
{
    engine->memory->after.is_known = true;
    settle_end(engine, state);
}

/* Expressions of the execution ask the world: looked at again when the answer is there. */
static bool waits(struct engine *engine, const struct error *err)
{
    engine->memory->waits_for_answers = err->code == ERR_UNAVAILABLE;
    return engine->memory->waits_for_answers;
}

static const struct value *encrypt(void *data,
                                   struct arena *arena,
                                   const struct value *clear,
                                   struct error *err)
{
    const struct engine_world *world = ((struct engine *)data)->world;
    const struct value *stored = world->encrypt(world->data, arena, clear);
    if (stored == NULL)
        error_set(err, ERR_INTERNAL, "cannot encrypt an output");
    return stored;
}

/* false: they wait for an answer. */
static bool make_outputs(struct engine *engine, enum state *state)
{
    struct execution *execution = engine->execution;
    const struct flow *flow = execution->flow;
    bool is_iteration = execution->kind == KIND_LOOP;
    if (*state == STATE_KILLED || *state == STATE_CANCELLED ||
        (!is_iteration && flow->outputs_count == 0))
        return true;
    struct expr_env env = engine_env(engine, NULL);
    struct error err = { 0 };
    const struct value *outputs = NULL;
    if (is_iteration) {
        outputs = loop_iteration_outputs(engine, &env, &err);
    } else {
        struct inputs_request request = {
            .inputs = flow->outputs,
            .count = flow->outputs_count,
            .env = &env,
            .encrypt = engine->world->encrypt == NULL ? NULL : encrypt,
            .encrypt_data = engine,
        };
        outputs = outputs_resolve(&request, engine->scratch, &err);
    }
    if (outputs == NULL && waits(engine, &err))
        return false;
    effects_forget(engine, NULL);
    if (outputs == NULL) {
        command_log(engine, NULL, LOG_ERROR, "Failed to render output values: %s", err.text);
        *state = STATE_FAILED;
        return true;
    }
    execution->outputs = value_copy(execution->arena, outputs);
    execution_touch(execution);
    return true;
}

void settle_finished(struct engine *engine, enum state state)
{
    if (make_outputs(engine, &state))
        settle_end(engine, state);
}

void settle_exit(struct engine *engine, struct task_run *run, enum state state)
{
    struct execution *execution = engine->execution;
    if (states[execution->state.current].is_terminal) { // after the end: only the task ends
        finish_forced(engine, run, state);
        return;
    }
    for (size_t i = 0; state == STATE_KILLED && i < execution->runs.count; i++) {
        struct task_run *other = execution->runs.items[i];
        if (run_is_on_worker(other)) // what is only submitted is told by finish_forced()
            command_add(engine, COMMAND_CANCEL, other)->attempt = run_attempt(other);
    }
    finish_forced(engine, run, state);
    for (struct task_run *above = run->parent; above != NULL; above = above->parent)
        finish_forced(engine, above, state);
    settle_end(engine, state);
}

/* ---- after the end (6.8, 1.13) ---- */

static void add_after(struct engine *engine, const struct task_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        *VEC_PUSH_ARENA(engine->execution->arena, &engine->memory->after.tasks) = list->items[i];
}

/* States of attempts beyond the first. */
static const char *const *retry_states(struct engine *engine, size_t *count)
{
    const struct execution *execution = engine->execution;
    size_t total = 0;
    for (size_t i = 0; i < execution->runs.count; i++)
        total += execution->runs.items[i]->attempts.count;
    const char **names = ARENA_ARRAY(engine->scratch, total + 1, const char *);
    *count = 0;
    for (size_t i = 0; i < execution->runs.count; i++) {
        const struct task_run *run = execution->runs.items[i];
        for (size_t k = 1; k < run->attempts.count; k++)
            names[(*count)++] = states[run->attempts.items[k].state].name;
    }
    return names;
}

/* A listener that has a task run was chosen before a restart of the server. */
static bool has_begun(const struct engine *engine, const struct task_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (memory_runs_of(engine->execution, list->items[i]->id) != NULL)
            return true;
    }
    return false;
}

static bool listener_holds(struct engine *engine,
                           const struct task_list *list,
                           bool *holds,
                           struct error *err)
{
    const struct execution *execution = engine->execution;
    *holds = has_begun(engine, list);
    if (*holds)
        return true;
    struct expr_env env = engine_env(engine, NULL);
    struct condition_subject subject = {
        .namespace = execution->namespace,
        .flow_id = execution->flow_id,
        .state = states[execution->state.current].name,
        .labels = execution->labels.items,
        .labels_count = execution->labels.count,
        .outputs = execution->outputs,
    };
    subject.retry_states = retry_states(engine, &subject.retry_states_count);
    struct condition_env condition = {
        .plugins = engine->world->plugins,
        .expr = &env,
        .subject = &subject,
        .namespace = execution->namespace,
        .flow_id = execution->flow_id,
        .scratch = engine->scratch,
    };
    return conditions_hold(list->conditions, &condition, holds, err);
}

/* Position behind the last task that has a run. */
static uint32_t after_next(const struct engine *engine)
{
    const struct after_list *after = &engine->memory->after;
    size_t next = after->tasks.count;
    while (next > 0 && memory_runs_of(engine->execution, after->tasks.items[next - 1]->id) == NULL)
        next--;
    return (uint32_t)next;
}

/* Which tasks run after the end is decided once it has come. false: waits for an answer. */
static bool choose_after(struct engine *engine)
{
    struct after_list *after = &engine->memory->after;
    const struct flow *flow = engine->execution->flow;
    if (after->is_known)
        return true;
    after->tasks.count = 0;
    for (size_t i = 0; flow != NULL && i < flow->lists_count; i++) {
        const struct task_list *list = &flow->lists[i];
        if (list->slot != SLOT_LISTENER || engine->execution->kind == KIND_LOOP)
            continue;
        bool holds = false;
        struct error err = { 0 };
        if (!listener_holds(engine, list, &holds, &err)) {
            if (waits(engine, &err))
                return false;
            command_log(engine, NULL, LOG_WARN,
                        "Unable to evaluate the conditions of a listener: %s", err.text);
            holds = false;
        }
        if (holds)
            add_after(engine, list);
    }
    const struct task_list *list = flow == NULL ? NULL : flow_list(flow, SLOT_AFTER_EXECUTION);
    if (list != NULL && engine->execution->kind != KIND_LOOP)
        add_after(engine, list);
    effects_forget(engine, NULL);
    after->is_known = true;
    engine->memory->top.lists[LIST_AFTER].next = after_next(engine);
    return true;
}

static void announce_end(struct engine *engine)
{
    struct execution *execution = engine->execution;
    struct command *command = command_add(engine, COMMAND_ENDED, NULL);
    command->state = execution->state.current;
    command->releases_slot = execution->holds_slot;
    execution->holds_slot = false;
    execution->fully_ended = true;
    execution_touch(execution);
}

static bool go_on_after_end(struct engine *engine)
{
    const struct after_list *after = &engine->memory->after;
    struct scope *top = &engine->memory->top;
    struct scope_count *count = &top->lists[LIST_AFTER];
    if (engine->execution->fully_ended || count->ended < count->runs || !choose_after(engine))
        return false;
    if (count->next < after->tasks.count) {
        (void)engine_add_run(engine, top, after->tasks.items[count->next++], NULL, -1);
        return true;
    }
    const struct scope_count *aside = &top->lists[LIST_ASIDE];
    if (aside->ended < aside->runs)
        return false; // the onPause of a Pause that ran after the end
    announce_end(engine);
    return true;
}

/* ---- between beginning and end ---- */

void settle_resumed(struct engine *engine)
{
    if (engine->execution->state.current != STATE_PAUSED || engine->execution->paused_by_user ||
        engine->memory->in_state[STATE_PAUSED] > 0)
        return;
    engine_move_execution(engine, STATE_RESTARTED);
    engine_move_execution(engine, STATE_RUNNING);
}

void settle_unpaused(struct engine *engine)
{
    if (engine->execution->state.current == STATE_PAUSED && !engine->execution->paused_by_user &&
        engine->memory->in_state[STATE_PAUSED] == 0)
        engine_move_execution(engine, STATE_RUNNING);
}

/* Nothing is open, nothing is queued, and nothing will come: a cycle in a stored Dag. */
static bool fail_when_stuck(struct engine *engine)
{
    if (settle_open_runs(engine) > 0 || engine->memory->waits_for_answers)
        return false;
    command_log(engine, NULL, LOG_ERROR, "Nothing is left to run, and the flow has not ended");
    settle_end(engine, STATE_FAILED);
    return true;
}

static bool settle_running(struct engine *engine)
{
    const uint32_t *in_state = engine->memory->in_state;
    enum state state = engine->execution->state.current;
    if (state == STATE_RETRYING && in_state[STATE_RETRYING] == 0) {
        engine_move_execution(engine, STATE_RUNNING);
        return true;
    }
    if (state == STATE_RUNNING && in_state[STATE_PAUSED] > 0) {
        engine_move_execution(engine, STATE_PAUSED);
        return true;
    }
    if (state == STATE_PAUSED && in_state[STATE_PAUSED] == 0) {
        settle_unpaused(engine);
        return true;
    }
    return fail_when_stuck(engine);
}

bool settle_execution(struct engine *engine)
{
    enum state state = engine->execution->state.current;
    if (states[state].is_terminal)
        return go_on_after_end(engine);
    if (state != STATE_KILLING)
        return settle_running(engine);
    if (settle_open_runs(engine) > 0)
        return false;
    engine_move_execution(engine, STATE_KILLED);
    return true;
}

/* ---- SLA (1.10) ---- */

static const char *const sla_behaviors[] = {
    [SLA_FAIL] = "FAIL", [SLA_CANCEL] = "CANCEL", [SLA_NONE] = "NONE"
};

static bool add_labels(struct engine *engine, const struct sla *sla)
{
    struct execution *execution = engine->execution;
    size_t count = 0;
    const struct label *labels = labels_of(engine->scratch, sla->labels, &count);
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        if (str_eq(execution_label(execution, labels[i].key), labels[i].value))
            continue;
        execution_set_label(execution, labels[i].key, labels[i].value);
        any = true;
    }
    return any;
}

static void stop_workers(struct engine *engine)
{
    struct execution *execution = engine->execution;
    for (size_t i = 0; i < execution->runs.count; i++) {
        struct task_run *run = execution->runs.items[i];
        if (run_is_on_worker(run)) // what is only submitted is told by finish_forced()
            command_add(engine, COMMAND_CANCEL, run)->attempt = run_attempt(run);
    }
}

/* true: it has an effect. */
static bool violate(struct engine *engine, const struct sla *sla)
{
    struct execution *execution = engine->execution;
    bool is_new = add_labels(engine, sla) || !execution->sla_violated;
    if (is_new || sla->behavior != SLA_NONE)
        command_log(engine, NULL, LOG_WARN, "SLA '%s' is violated, behavior %s", sla->id,
                    sla_behaviors[sla->behavior]);
    execution->sla_violated = true;
    execution_touch(execution);
    if (sla->behavior == SLA_NONE)
        return is_new;
    stop_workers(engine);
    settle_end(engine, sla->behavior == SLA_FAIL ? STATE_FAILED : STATE_CANCELLED);
    return true;
}

bool settle_slas(struct engine *engine)
{
    const struct execution *execution = engine->execution;
    const struct flow *flow = execution->flow;
    if (flow == NULL || flow->slas_count == 0)
        return false;
    for (size_t i = 0; i < flow->slas_count; i++) {
        const struct sla *sla = &flow->slas[i];
        enum state state = execution->state.current;
        if (states[state].is_terminal || state == STATE_KILLING)
            return false;
        if (sla->type != SLA_ASSERTION)
            continue;
        struct expr_env env = engine_env(engine, NULL);
        struct error err = { 0 };
        bool ok = true;
        bool holds = expr_render_truth(&env, sla->assertion, &ok, &err);
        if (!ok && err.code != ERR_UNAVAILABLE)
            command_log(engine, NULL, LOG_WARN, "SLA '%s' cannot be evaluated: %s", sla->id,
                        err.text);
        if (ok && !holds && violate(engine, sla))
            return states[execution->state.current].is_terminal;
    }
    return false;
}

void settle_sla_due(struct engine *engine, const struct event *event)
{
    const struct flow *flow = engine->execution->flow;
    enum state state = engine->execution->state.current;
    if (flow == NULL || event->generation >= flow->slas_count || states[state].is_terminal ||
        state == STATE_KILLING)
        return;
    const struct sla *sla = &flow->slas[event->generation];
    usec_t due = state_started_at(&engine->execution->state) + sla->duration;
    if (sla->type == SLA_MAX_DURATION && event->at >= due)
        (void)violate(engine, sla);
}
