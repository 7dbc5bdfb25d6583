/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loop: every item is an execution of its own, of kind LOOP and of the same flow, that holds the
 * loop's task run and what is below it. In the main execution the Loop counts; in an iteration it
 * is a sequence.
 */
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "core/inputs.h"
#include "core/json.h"
#include "core/plugin.h"
#include "runtime/engine/child.h"
#include "runtime/engine/engine_internal.h"
#include "runtime/engine/flowables.h"
#include "runtime/engine/iterations.h"

/* Iterations at the same time when the flow sets no limit. */
#define LOOP_OPEN_MAX 1000U

struct props {
    const struct value *values;
    int64_t limit;
    bool transmit_failed;
    const char *break_when;
    const struct value *outputs;
    int fetch;
};
enum { FETCH_AUTO, FETCH_FETCH, FETCH_STORE };

static bool is_iteration_of(const struct execution *execution, const struct task_run *run)
{
    return execution->kind == KIND_LOOP && run->parent == NULL &&
           str_eq(value_get_text(execution->loop, "taskId", NULL), run->task_id);
}

/* ---- inside an iteration ---- */

/* A copy of the task in a list of its own, so that it alone is the top level. */
const struct task *loop_root_task(struct execution *execution)
{
    const char *id = value_get_text(execution->loop, "taskId", "");
    const struct task *known = memory_generated(execution, id);
    const struct task *task = execution->flow == NULL ? NULL : flow_find_task(execution->flow, id);
    if (known != NULL || task == NULL)
        return known;
    struct arena *arena = execution->arena;
    struct task *root = ARENA_NEW(arena, struct task);
    struct task_list *list = ARENA_NEW(arena, struct task_list);
    *root = *task;
    root->list = list;
    root->list_at = 0;
    root->parent = NULL;
    root->run_if = NULL; // decided in the main execution
    *list = (struct task_list){ .slot = SLOT_TASKS, .count = 1, .all_count = 1 };
    list->items = ARENA_ARRAY(arena, 1, struct task *);
    list->items[0] = root;
    list->all = list->items;
    memory_add_generated(execution, root);
    return root;
}

const struct value *loop_iteration_outputs(struct engine *engine,
                                           struct expr_env *env,
                                           struct error *err)
{
    const struct task *task = loop_root_task(engine->execution);
    const struct value *declared = task == NULL ? NULL : value_get(task->doc, "outputs");
    struct value_builder outputs = value_build(engine->scratch);
    for (size_t i = 0; i < value_count(declared); i++) {
        const struct value *output = value_item(declared, i);
        const char *id = value_get_text(output, "id", NULL);
        const struct value *value = value_get(output, "value");
        if (id == NULL || value == NULL)
            continue;
        value = value_is_string(value)
                    ? expr_render_typed(env, engine->scratch, value->string.bytes, err)
                    : expr_render_tree(env, engine->scratch, value, err);
        if (value == NULL) {
            error_wrap(err, "output '%s'", id);
            return NULL;
        }
        value_put(&outputs, id, value);
    }
    return value_build_map(&outputs);
}

/* ---- the items ---- */

static const struct value *entry_of(struct arena *arena, const char *key, const struct value *value)
{
    if (!value_is_string(value))
        value = value_string(arena, value_to_json(arena, value));
    struct value_builder entry = value_build(arena);
    value_put(&entry, "value", value);
    value_put_text(&entry, "key", key);
    return value_build_map(&entry);
}

/* List of {value, key?}. */
static const struct value *entries_of(struct arena *arena,
                                      const struct value *values,
                                      struct error *err)
{
    struct value_builder list = value_build(arena);
    if (value_is_list(values)) {
        for (size_t i = 0; i < values->list.count; i++)
            value_add(&list, entry_of(arena, NULL, values->list.items[i]));
    } else if (value_is_map(values)) {
        for (uint32_t i = 0; i < values->map.count; i++)
            value_add(&list,
                      entry_of(arena, values->map.members[i].key, values->map.members[i].value));
    } else {
        error_set(err, ERR_INVALID, "the values of a loop are no list, map or file");
        return NULL;
    }
    return value_build_list(&list);
}

static const struct value *lines_of(struct arena *arena, const char *text)
{
    struct value_builder list = value_build(arena);
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        if (length > 0)
            value_add(&list, value_string_n(arena, text, length));
        text += length + (text[length] == '\n' ? 1 : 0);
    }
    return value_build_list(&list);
}

/* Rendered values: a tree, JSON in a text, or the lines of a stored file. */
static const struct value *read_values(struct engine *engine,
                                       struct task_run *run,
                                       const struct value *spec,
                                       bool *is_file,
                                       struct error *err)
{
    struct arena *arena = engine->scratch;
    struct expr_env env = engine_env(engine, run);
    *is_file = false;
    if (!value_is_string(spec))
        return expr_render_tree(&env, arena, spec, err);
    const char *text = expr_render_text(&env, arena, spec->string.bytes, NULL, err);
    if (text == NULL)
        return NULL;
    if (!str_starts(text, "kestra://") && !str_starts(text, "file://") &&
        !str_starts(text, "nsfile://"))
        return json_parse(arena, text, strlen(text), err);
    *is_file = true;
    const struct value *arguments = value_with(arena, NULL, "path", value_string(arena, text));
    const struct value *content = effects_ask(engine, run, "read", arguments, err);
    return content == NULL ? NULL
                           : lines_of(arena, value_is_string(content) ? value_cstr(content) : "");
}

/*
 * memo: items, limit, transmit, stores (write a file at the end), stopped (no new iterations),
 * outputs (of ended iterations, by position), attempt, over, state.
 */
static bool start(struct engine *engine, struct task_run *run, struct error *err)
{
    if (is_iteration_of(engine->execution, run))
        return true;
    struct arena *arena = engine->scratch;
    struct props bound = { 0 };
    bool is_file = false;
    if (!engine_bind(engine, run, &bound, err))
        return false;
    const struct value *values = read_values(engine, run, bound.values, &is_file, err);
    const struct value *items = values == NULL ? NULL : entries_of(arena, values, err);
    if (items == NULL)
        return false;
    if (value_count(items) > ITERATIONS_MAX)
        return error_set(err, ERR_LIMIT, "a loop over %zu values, %u at most", value_count(items),
                         ITERATIONS_MAX);
    run->memo = NULL;
    engine_put_memo(engine, run, "items", items);
    engine_put_memo(engine, run, "limit", value_int(arena, bound.limit));
    engine_put_memo(engine, run, "transmit", value_bool(bound.transmit_failed));
    engine_put_memo(
        engine, run, "stores",
        value_bool(bound.fetch == FETCH_STORE || (bound.fetch == FETCH_AUTO && is_file)));
    engine_put_memo(engine, run, "attempt", value_int(arena, run_attempt(run)));
    run->iterations = iterations_new(engine->execution->arena, value_count(items));
    return true;
}

static bool plan(struct engine *engine,
                 const struct task_run *run,
                 struct plan *plan,
                 struct error *err)
{
    bool is_inside = is_iteration_of(engine->execution, run);
    plan->without_finally = is_inside;
    plan->without_errors = !is_inside;
    return !is_inside || plan_tasks(engine, run, plan, err);
}

/* ---- iterations ---- */

static const struct value *item_of(struct engine *engine, const struct task_run *run, size_t index)
{
    struct arena *arena = engine->commands->arena;
    const struct value *entry = value_item(value_get(run->memo, "items"), index);
    const struct value *outer = value_get(engine->execution->loop, "item");
    struct value_builder item = value_build(arena);
    value_put_int(&item, "index", (int64_t)index);
    value_put(&item, "value", value_get(entry, "value"));
    if (value_get(entry, "key") != NULL)
        value_put(&item, "key", value_get(entry, "key"));
    struct value_builder parents = value_build(arena);
    if (outer != NULL) {
        value_put(&item, "parent", outer);
        value_add(&parents, outer);
    }
    const struct value *above = value_get(outer, "parents");
    for (size_t i = 0; i < value_count(above); i++)
        value_add(&parents, value_item(above, i));
    value_put(&item, "parents", value_build_list(&parents));
    return value_build_map(&item);
}

static const struct value *trigger_of(const struct execution *execution, struct arena *arena)
{
    if (execution->loop != NULL)
        return value_get(execution->loop, "trigger");
    return execution->trigger_variables == NULL ? NULL
                                                : value_copy(arena, execution->trigger_variables);
}

/* What the iteration sees of the execution around it. */
static const struct value *loop_of(struct engine *engine, const struct task_run *run, size_t index)
{
    struct arena *arena = engine->commands->arena;
    struct execution *execution = engine->execution;
    struct value_builder loop = value_build(arena);
    value_put_text(&loop, "taskId", run->task_id);
    value_put(&loop, "item", item_of(engine, run, index));
    value_put(&loop, "outputs", value_copy(arena, outputs_lazy(execution, engine->world, arena)));
    value_put(&loop, "tasks", value_copy(arena, tasks_lazy(execution, arena)));
    const struct value *trigger = trigger_of(execution, arena);
    if (trigger != NULL)
        value_put(&loop, "trigger", trigger);
    return value_build_map(&loop);
}

static const char *id_of(struct engine *engine, const struct task_run *run, size_t index)
{
    uint32_t attempt = (uint32_t)value_get_int(run->memo, "attempt", 1);
    return child_id(engine, run, (int64_t)index, attempt);
}

static void create_one(struct engine *engine, struct task_run *run, size_t index)
{
    const struct execution *execution = engine->execution;
    struct command *command = command_add(engine, COMMAND_CHILD, run);
    command->attempt = run_attempt(run);
    command->namespace = execution->namespace;
    command->flow_id = execution->flow_id;
    command->revision = execution->flow_revision;
    command->props = execution->inputs;
    command->labels = &value_empty_map;
    command->inherit_labels = true;
    command->trigger_variables = child_trigger(engine, run, (int64_t)index);
    command->iteration = (int64_t)index;
    command->child_id = id_of(engine, run, index);
    command->loop = loop_of(engine, run, index);
    (void)iterations_move(run->iterations, index, STATE_CREATED);
    task_run_touch(engine->execution, run);
}

static bool has_stopped(const struct task_run *run)
{
    const struct iterations *iterations = run->iterations;
    bool transmit = value_get_bool(run->memo, "transmit", true);
    bool failed = iterations->in_state[STATE_FAILED] > 0 || iterations->in_state[STATE_KILLED] > 0;
    return value_get_bool(run->memo, "stopped", false) || (transmit && failed);
}

static void put_counts(struct engine *engine, struct task_run *run)
{
    const struct iterations *iterations = run->iterations;
    struct value_builder ended = value_build(engine->scratch);
    for (int state = 0; state < STATE_COUNT; state++) {
        if (states[state].is_terminal && iterations->in_state[state] > 0)
            value_put_int(&ended, states[state].name, (int64_t)iterations->in_state[state]);
    }
    struct arena *arena = engine->scratch;
    engine_put_output(engine, run, "iterationCount",
                      value_int(arena, (int64_t)iterations->started));
    engine_put_output(engine, run, "runningIterations",
                      value_int(arena, (int64_t)iterations->open));
    engine_put_output(engine, run, "terminatedIterations", value_build_map(&ended));
}

/* Starts what may start now. */
static void create_more(struct engine *engine, struct task_run *run)
{
    struct iterations *iterations = run->iterations;
    size_t limit = (size_t)value_get_int(run->memo, "limit", 0);
    limit = limit == 0 || limit > LOOP_OPEN_MAX ? LOOP_OPEN_MAX : limit;
    while (iterations->next < iterations->total && iterations->open < limit && !has_stopped(run)) {
        if (engine->budget == 0) {
            engine_changed(engine, run->scope);
            break;
        }
        engine->budget--;
        create_one(engine, run, iterations->next);
    }
    put_counts(engine, run);
}

/* ---- the end ---- */

static enum state overall(const struct task_run *run)
{
    static const enum state worst[] = { STATE_FAILED, STATE_KILLED, STATE_WARNING };
    const struct iterations *iterations = run->iterations;
    if (!value_get_bool(run->memo, "transmit", true))
        return STATE_SUCCESS;
    for (size_t i = 0; i < sizeof(worst) / sizeof(worst[0]); i++) {
        if (iterations->in_state[worst[i]] > 0)
            return worst[i];
    }
    return STATE_SUCCESS;
}

/* {item: {value, iteration, key?}, outputs} of each iteration that has ended, in order. */
static const struct value *results_of(struct engine *engine, const struct task_run *run)
{
    struct arena *arena = engine->scratch;
    const struct value *items = value_get(run->memo, "items");
    struct value_builder list = value_build(arena);
    for (size_t i = 0; i < run->iterations->total; i++) {
        const char *key = arena_printf(arena, "%zu", i);
        const struct value *outputs = value_get(value_get(run->memo, "outputs"), key);
        if (iterations_state(run->iterations, i) == STATE_COUNT)
            continue;
        struct value_builder item = value_build(arena);
        const struct value *entry = value_item(items, i);
        value_put(&item, "value", value_get(entry, "value"));
        value_put_int(&item, "iteration", (int64_t)i);
        if (value_get(entry, "key") != NULL)
            value_put(&item, "key", value_get(entry, "key"));
        struct value_builder result = value_build(arena);
        value_put(&result, "item", value_build_map(&item));
        value_put(&result, "outputs", outputs == NULL ? &value_empty_map : outputs);
        value_add(&list, value_build_map(&result));
    }
    return value_build_list(&list);
}

/* false: the file is not written yet. */
static bool put_results(struct engine *engine, struct task_run *run, struct error *err)
{
    const struct value *results = results_of(engine, run);
    if (!value_get_bool(run->memo, "stores", false)) {
        engine_put_output(engine, run, "outputs", results);
        return true;
    }
    struct value_builder arguments = value_build(engine->scratch);
    value_put_text(&arguments, "name", "outputs.ion");
    value_put(&arguments, "records", results);
    const struct value *uri =
        effects_ask(engine, run, "storeRecords", value_build_map(&arguments), err);
    if (uri == NULL)
        return false;
    engine_put_output(engine, run, "uri", uri);
    return true;
}

static void end_loop(struct engine *engine, struct task_run *run)
{
    struct error err = { 0 };
    enum state state = overall(run);
    if (!put_results(engine, run, &err)) {
        if (err.code == ERR_UNAVAILABLE)
            return;
        command_log(engine, run, LOG_ERROR, "%s", err.text);
        state = STATE_FAILED;
    }
    effects_forget(engine, run);
    engine_put_memo(engine, run, "items", &value_null);
    engine_put_memo(engine, run, "outputs", &value_null);
    finish_flowable(engine, run, state);
}

/* Asked when something changed: more iterations, then `finally`, then the end. */
static bool gate(struct engine *engine, struct task_run *run, struct scope *scope)
{
    const struct iterations *iterations = run->iterations;
    if (is_iteration_of(engine->execution, run))
        return false;
    if (iterations == NULL) {
        finish_flowable(engine, run, STATE_FAILED);
        return true;
    }
    create_more(engine, run);
    bool is_over =
        iterations->open == 0 && (iterations->next == iterations->total || has_stopped(run));
    if (!is_over)
        return true;
    const struct scope_count *finally = &scope->lists[LIST_FINALLY];
    if (finally->ended < finally->runs ||
        resolve_sequence(engine, scope, LIST_FINALLY, scope->finally))
        return true;
    end_loop(engine, run);
    return true;
}

/* ---- news of iterations ---- */

static const struct value *iteration_context(struct engine *engine,
                                             const struct task_run *run,
                                             const struct event *event)
{
    struct arena *arena = engine->scratch;
    struct value_builder iteration = value_build(arena);
    value_put_text(&iteration, "executionId", event->child_id);
    value_put_text(&iteration, "state", states[event->state].name);
    if (event->outputs != NULL)
        value_put(&iteration, "outputs", event->outputs);
    struct value_builder extra = value_build(arena);
    value_put(&extra, "item", item_of(engine, run, (size_t)event->iteration));
    value_put(&extra, "iteration", value_build_map(&iteration));
    return value_build_map(&extra);
}

static void ask_whether_to_stop(struct engine *engine,
                                struct task_run *run,
                                const struct event *event)
{
    const char *condition = value_get_text(run->task->doc, "breakWhen", NULL);
    if (condition == NULL)
        return;
    struct expr_env env = engine_env_with(engine, run, iteration_context(engine, run, event));
    env.host = NULL; // decided now or never
    struct error err = { 0 };
    bool ok = true;
    bool stops = expr_render_truth(&env, condition, &ok, &err);
    if (!ok)
        command_log(engine, run, LOG_WARN, "breakWhen cannot be evaluated: %s", err.text);
    if (ok && stops)
        engine_put_memo(engine, run, "stopped", &value_true);
}

static void ended(struct engine *engine, struct task_run *run, const struct event *event)
{
    if (value_count(event->outputs) > 0) {
        struct arena *arena = engine->scratch;
        const char *key = arena_printf(arena, "%lld", (long long)event->iteration);
        const struct value *outputs = value_get(run->memo, "outputs");
        engine_put_memo(engine, run, "outputs", value_with(arena, outputs, key, event->outputs));
    }
    ask_whether_to_stop(engine, run, event);
}

/* A paused iteration pauses the execution around it, until none is. */
static void follow_pauses(struct engine *engine, struct task_run *run)
{
    bool is_paused = run->iterations->in_state[STATE_PAUSED] > 0;
    if (is_paused && run->state.current == STATE_RUNNING)
        engine_move(engine, run, STATE_PAUSED);
    if (!is_paused && run->state.current == STATE_PAUSED)
        engine_move(engine, run, STATE_RUNNING);
}

static void answer(struct engine *engine, struct task_run *run, const struct event *event)
{
    struct iterations *iterations = run->iterations;
    if (iterations == NULL || event->iteration < 0 ||
        !child_is_awaited(run, event, id_of(engine, run, (size_t)event->iteration)))
        return;
    enum state state = event->type == EVENT_CHILD_CREATED   ? STATE_CREATED
                       : event->type == EVENT_CHILD_REFUSED ? STATE_FAILED
                                                            : event->state;
    if (event->type == EVENT_CHILD_CREATED &&
        iterations_state(iterations, (size_t)event->iteration) != STATE_COUNT)
        return; // asked for again: where it is now is told next
    bool is_early = event->type == EVENT_CHILD_CHANGED && states[state].is_terminal;
    if (state == STATE_RETRIED && event->type == EVENT_CHILD_ENDED)
        engine_put_memo(engine, run, "replaced", &value_true);
    if (is_early || state == STATE_RETRIED ||
        !iterations_move(iterations, (size_t)event->iteration, state))
        return;
    if (event->type == EVENT_CHILD_REFUSED)
        command_log(engine, run, LOG_ERROR, "%s",
                    event->message == NULL ? "An iteration cannot be created" : event->message);
    if (event->type == EVENT_CHILD_ENDED)
        ended(engine, run, event);
    task_run_touch(engine->execution, run);
    follow_pauses(engine, run);
    put_counts(engine, run);
    engine_changed(engine, run->scope);
}

static void recover(struct engine *engine, struct task_run *run)
{
    const struct iterations *iterations = run->iterations;
    for (size_t i = 0; iterations != NULL && i < iterations->total; i++) {
        enum state state = iterations_state(iterations, i);
        if (state != STATE_COUNT && !states[state].is_terminal)
            child_ask_again(engine, run, id_of(engine, run, i), (int64_t)i);
    }
}

static const struct flowable_ops ops = {
    .start = start,
    .plan = plan,
    .gate = gate,
    .answer = answer,
    .recover = recover,
    .is_anew = true,
};

static const char *const fetches[] = { "AUTO", "FETCH", "STORE", NULL };

static const struct prop props[] = {
    { "values", ANY(struct props, values), .flags = PROP_REQUIRED | PROP_EXPR | PROP_RAW,
      .doc =
          "A list, a map, a text that renders to one of them, or the URI of a file with one item "
          "per line." },
    { "concurrencyLimit", INT(struct props, limit), .flags = PROP_EXPR, .fallback = "0",
      .max = 1000000, .doc = "How many items are worked on at the same time; 0 is all." },
    { "tasks", .kind = PROP_TASKS, .flags = PROP_REQUIRED,
      .doc = "Run for each item; `item.value` and `item.index` are the item." },
    { "transmitFailed", BOOL(struct props, transmit_failed), .fallback = "true",
      .doc = "Whether a failed iteration fails the loop, and stops it." },
    { "outputs", .kind = PROP_OUTPUTS, .doc = "Outputs of each iteration." },
    { "fetchType", ENUM(struct props, fetch), .words = fetches, .fallback = "AUTO",
      .doc = "Whether the outputs of all iterations become a list (FETCH) or a file (STORE)." },
    { "breakWhen", STR(struct props, break_when), .flags = PROP_EXPR | PROP_RAW,
      .doc = "Evaluated after each iteration, with `item` and `iteration`; when it holds no more "
             "iterations are started." },
    { 0 },
};

static const struct plugin_output outputs[] = {
    { "iterationCount", "integer", "Iterations that were started." },
    { "runningIterations", "integer", "Iterations that have not ended." },
    { "terminatedIterations", "map", "Numbers of ended iterations by state." },
    { "outputs", "list", "`item` and `outputs` of each iteration." },
    { "uri", "uri", "File with the same, one per line." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Square three numbers.", "values: [1, 2, 3]\n"
                               "tasks:\n"
                               "  - id: square\n"
                               "    type: io.kestra.plugin.core.debug.Return\n"
                               "    format: \"{{ item.value }}\"\n"
                               "outputs:\n"
                               "  - id: square\n"
                               "    type: STRING\n"
                               "    value: \"{{ outputs.square.value }}\"\n" },
    { 0 },
};

const struct plugin task_flow_loop = {
    .id = FLOW_TYPE("Loop"),
    .role = PLUGIN_TASK,
    .task_kind = TASK_FLOWABLE,
    .title = "Run tasks for each item, each in an execution of its own.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .flowable_ops = &ops,
};
