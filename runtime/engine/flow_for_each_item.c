/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ForEachItem: a sequence of three generated tasks, <id>_split, <id>_items and <id>_merge. The
 * first and the last are run by a worker; the second creates an execution for each batch.
 * Descriptor: runtime/tasks/for_each_item.c.
 */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/str.h"
#include "core/plugin.h"
#include "runtime/engine/child.h"
#include "runtime/engine/engine_internal.h"
#include "runtime/engine/flowables.h"
#include "runtime/engine/iterations.h"

/* ---- generated tasks ---- */

static const char *const suffixes[] = { "_split", "_items", "_merge" };
enum { PART_SPLIT, PART_ITEMS, PART_MERGE, PARTS };

static const struct value *part_doc(struct arena *arena, const struct task *task, int part)
{
    if (part == PART_ITEMS)
        return task->doc;
    struct value_builder map = value_build(arena);
    if (part == PART_MERGE) {
        const char *from =
            arena_printf(arena, "{{ outputs['%s_items'].subflowOutputsBaseUri ?? '' }}", task->id);
        const char *batches =
            arena_printf(arena, "{{ outputs['%s_items'].numberOfBatches ?? '' }}", task->id);
        value_put(&map, "from", value_string(arena, from));
        value_put(&map, "batches", value_string(arena, batches));
        return value_build_map(&map);
    }
    const struct value *batch = value_get(task->doc, "batch");
    for (uint32_t i = 0; value_is_map(batch) && i < batch->map.count; i++)
        value_put(&map, batch->map.members[i].key, batch->map.members[i].value);
    value_put(&map, "items", value_get(task->doc, "items"));
    return value_build_map(&map);
}

/* All three are made at once: they share a list, which the flow does not know. */
static const struct task *generated(struct execution *execution,
                                    const struct task *task,
                                    const char *id)
{
    const struct for_each_item_parts *types = task->type->ops;
    const struct plugin *const type_of[] = { types->split, types->items, types->merge };
    struct arena *arena = execution->arena;
    struct task_list *list = ARENA_NEW(arena, struct task_list);
    *list = (struct task_list){ .slot = SLOT_TASKS, .count = PARTS, .all_count = PARTS };
    list->items = ARENA_ARRAY(arena, PARTS, struct task *);
    list->all = list->items;
    const struct task *found = NULL;
    for (int part = 0; part < PARTS; part++) {
        struct task *made = ARENA_NEW(arena, struct task);
        made->id = arena_printf(arena, "%s%s", task->id, suffixes[part]);
        made->type = type_of[part];
        made->type_name = made->type->id;
        made->index = UINT32_MAX;
        made->parent = flow_find_task(execution->flow, task->id);
        made->list = list;
        made->list_at = (uint32_t)part;
        made->doc = part_doc(arena, task, part);
        made->path = task->path;
        made->line = task->line;
        list->items[part] = made;
        if (strcmp(made->id, id) == 0)
            found = made;
    }
    for (int part = 0; found != NULL && part < PARTS; part++)
        memory_add_generated(execution, list->items[part]);
    return found;
}

static bool plan(struct engine *engine,
                 const struct task_run *run,
                 struct plan *plan,
                 struct error *err)
{
    (void)err;
    const char *id = arena_printf(engine->scratch, "%s_split", run->task->id);
    const struct task *split = memory_generated(engine->execution, id);
    if (split == NULL)
        split = generated(engine->execution, run->task, id);
    plan->main = split->list;
    return true;
}

const struct flowable_ops for_each_item_ops = { .plan = plan, .generated = generated };

/* ---- <id>_items ---- */

static const struct value *split_uri(struct engine *engine, const struct task_run *run)
{
    const char *id = run->task->id;
    size_t base = strlen(id) - strlen(suffixes[PART_ITEMS]);
    const char *split =
        arena_printf(engine->scratch, "%.*s%s", (int)base, id, suffixes[PART_SPLIT]);
    for (const struct task_run *other = run->parent == NULL ? NULL : run->parent->first_child;
         other != NULL; other = other->next_sibling) {
        if (strcmp(other->task_id, split) == 0)
            return value_get(other->outputs, "splits");
    }
    return NULL;
}

/* The URIs of the batches, one per line of the file that the split wrote. */
static bool read_batches(struct engine *engine,
                         struct task_run *run,
                         const struct value **batches,
                         struct error *err)
{
    struct arena *arena = engine->scratch;
    const struct value *uri = split_uri(engine, run);
    *batches = &value_empty_list;
    if (!value_is_string(uri))
        return true;
    const struct value *arguments = value_with(arena, NULL, "path", uri);
    const struct value *text = effects_ask(engine, run, "read", arguments, err);
    if (text == NULL)
        return false;
    struct value_builder list = value_build(arena);
    const char *line = value_cstr(text) == NULL ? "" : value_cstr(text);
    while (*line != '\0') {
        size_t length = strcspn(line, "\n");
        if (length > 0)
            value_add(&list, value_string_n(arena, line, length));
        line += length + (line[length] == '\n' ? 1 : 0);
    }
    *batches = value_build_list(&list);
    if (value_count(*batches) <= ITERATIONS_MAX)
        return true;
    return error_set(err, ERR_LIMIT, "more than %u batches", ITERATIONS_MAX);
}

/*
 * memo: batches (while some are to be created), attempt (in which the children were created: their
 * ids derive from it), restarts (failed ones go on instead), wait, transmit. What holds expressions
 * is rendered for each batch.
 */
static bool start(struct engine *engine, struct task_run *run, struct error *err)
{
    const struct value *doc = run->task->doc;
    const struct value *batches = NULL;
    if (!read_batches(engine, run, &batches, err))
        return false;
    bool is_new = str_eq(value_get_text(doc, "restartBehavior", NULL), "NEW_EXECUTION");
    bool restarts = run->iterations != NULL && run->iterations->total == value_count(batches) &&
                    child_is_restart(engine, run, is_new ? RESTART_NEW : RESTART_FAILED);
    int64_t attempt = restarts ? value_get_int(run->memo, "attempt", 1) : run_attempt(run);
    run->memo = NULL;
    engine_put_memo(engine, run, "attempt", value_int(engine->scratch, attempt));
    engine_put_memo(engine, run, "restarts", value_bool(restarts));
    engine_put_memo(engine, run, "wait", value_bool(value_get_bool(doc, "wait", true)));
    engine_put_memo(engine, run, "transmit",
                    value_bool(value_get_bool(doc, "transmitFailed", true)));
    if (!restarts || run->iterations->next < run->iterations->total)
        engine_put_memo(engine, run, "batches", batches);
    if (!restarts)
        run->iterations = iterations_new(engine->execution->arena, value_count(batches));
    return true;
}

/* Who reads below it takes the last segment. */
static const char *base_uri(struct engine *engine, const struct task_run *run)
{
    const struct execution *execution = engine->execution;
    char *folder = arena_strdup(engine->scratch, execution->namespace);
    for (char *at = folder; *at != '\0'; at++)
        *at = *at == '.' ? '/' : *at;
    return arena_printf(engine->scratch, "kestra:///%s/%s/executions/%s/tasks/%s/%s", folder,
                        execution->flow_id, execution->id.text, run->task_id, run->id.text);
}

static void put_outputs(struct engine *engine, struct task_run *run, bool waits)
{
    const struct iterations *iterations = run->iterations;
    struct value_builder map = value_build(engine->scratch);
    for (int state = 0; state < STATE_COUNT && waits; state++) {
        bool always = state == STATE_CREATED || state == STATE_RUNNING || state == STATE_SUCCESS;
        if (always || (iterations->seen & BIT(state)) != 0)
            value_put_int(&map, states[state].name, (int64_t)iterations->in_state[state]);
    }
    if (!waits) {
        value_put_int(&map, states[STATE_RUNNING].name, 0);
        value_put_int(&map, states[STATE_SUCCESS].name, (int64_t)iterations->started);
    }
    struct value_builder outputs = value_build(engine->scratch);
    value_put(&outputs, "iterations", value_build_map(&map));
    value_put_int(&outputs, "numberOfBatches", (int64_t)iterations->total);
    if (waits && iterations->total > 0)
        value_put_text(&outputs, "subflowOutputsBaseUri", base_uri(engine, run));
    engine_set_outputs(engine, run, value_build_map(&outputs));
}

/* What the table of 3.6 says, of all batches together. */
static enum state overall(const struct iterations *iterations, bool transmit_failed)
{
    static const enum state worst[] = { STATE_FAILED, STATE_KILLED, STATE_WARNING };
    for (size_t i = 0; transmit_failed && i < sizeof(worst) / sizeof(worst[0]); i++) {
        if (iterations->in_state[worst[i]] > 0)
            return worst[i];
    }
    return STATE_SUCCESS;
}

static void end_when_over(struct engine *engine, struct task_run *run)
{
    const struct iterations *iterations = run->iterations;
    bool waits = value_get_bool(run->memo, "wait", true);
    bool transmit = value_get_bool(run->memo, "transmit", true);
    if (iterations->started < iterations->total || (waits && iterations->open > 0))
        return;
    finish_attempt(engine, run, waits ? overall(iterations, transmit) : STATE_SUCCESS);
}

static void fail_now(struct engine *engine, struct task_run *run, const char *message)
{
    command_log(engine, run, LOG_ERROR, "%s",
                message == NULL ? "The execution of a batch cannot be created" : message);
    finish_attempt(engine, run, STATE_FAILED);
}

/* One batch; its URI and number are seen by the expressions of inputs and labels. */
static bool create_one(struct engine *engine, struct task_run *run, size_t index, struct error *err)
{
    struct child_only *bound = ARENA_NEW(engine->scratch, struct child_only);
    run->items = value_cstr(value_item(value_get(run->memo, "batches"), index));
    run->iteration = (int64_t)index;
    bool ok = engine_bind(engine, run, bound, err) &&
              child_labels_allowed(engine->scratch, bound->child.labels, err);
    if (ok)
        (void)child_create(engine, run, &bound->child, (int64_t)index);
    run->items = NULL;
    run->iteration = -1;
    return ok;
}

/* All batches at once, as far as one step goes. */
static void create_all(struct engine *engine, struct task_run *run)
{
    struct iterations *iterations = run->iterations;
    struct error err = { 0 };
    while (iterations->next < iterations->total) {
        if (engine->budget == 0) {
            engine_queue(engine, run); // goes on in the next step
            break;
        }
        engine->budget--;
        if (!create_one(engine, run, iterations->next, &err)) {
            run->is_waiting = err.code == ERR_UNAVAILABLE;
            if (!run->is_waiting)
                fail_now(engine, run, err.text);
            return;
        }
        effects_forget(engine, run);
        (void)iterations_move(iterations, iterations->next, STATE_CREATED);
    }
    put_outputs(engine, run, value_get_bool(run->memo, "wait", true));
    if (iterations->next == iterations->total)
        engine_put_memo(engine, run, "batches", &value_null);
    end_when_over(engine, run);
}

static const char *id_of(struct engine *engine, const struct task_run *run, size_t index)
{
    uint32_t attempt = (uint32_t)value_get_int(run->memo, "attempt", 1);
    return child_id(engine, run, (int64_t)index, attempt);
}

/* Those that went on meanwhile are asked about. */
static void restart_failed(struct engine *engine, struct task_run *run)
{
    struct iterations *iterations = run->iterations;
    for (size_t i = 0; i < iterations->total; i++) {
        enum state state = iterations_state(iterations, i);
        if (state != STATE_COUNT && !states[state].is_terminal)
            child_ask_again(engine, run, id_of(engine, run, i), (int64_t)i);
        if (state != STATE_FAILED)
            continue;
        iterations_reopen(iterations, i);
        struct command *command = command_add(engine, COMMAND_CHILD_RESTART, run);
        command->iteration = (int64_t)i;
        command->child_id = id_of(engine, run, i);
    }
    if (iterations->next < iterations->total) {
        create_all(engine, run);
        return;
    }
    put_outputs(engine, run, value_get_bool(run->memo, "wait", true));
    end_when_over(engine, run);
}

static void began(struct engine *engine, struct task_run *run)
{
    if (value_get_bool(run->memo, "restarts", false))
        restart_failed(engine, run);
    else
        create_all(engine, run);
}

static void answer(struct engine *engine, struct task_run *run, const struct event *event)
{
    if (run->iterations == NULL || event->iteration < 0 ||
        !child_is_awaited(run, event, id_of(engine, run, (size_t)event->iteration)))
        return;
    if (event->type == EVENT_CHILD_REFUSED) {
        (void)iterations_move(run->iterations, (size_t)event->iteration, STATE_FAILED);
        fail_now(engine, run, event->message);
        return;
    }
    if (event->type == EVENT_CHILD_CREATED &&
        iterations_state(run->iterations, (size_t)event->iteration) != STATE_COUNT)
        return; // asked for again: where it is now is told next
    enum state state = event->type == EVENT_CHILD_CREATED ? STATE_CREATED : event->state;
    bool is_early = event->type == EVENT_CHILD_CHANGED && states[state].is_terminal;
    if (state == STATE_RETRIED && event->type == EVENT_CHILD_ENDED)
        engine_put_memo(engine, run, "replaced", &value_true);
    if (is_early || state == STATE_RETRIED || // its afterExecution runs, or another takes over
        !iterations_move(run->iterations, (size_t)event->iteration, state))
        return;
    put_outputs(engine, run, value_get_bool(run->memo, "wait", true));
    end_when_over(engine, run);
}

/* Also when its turn comes again, because one step was not enough. */
static void recover(struct engine *engine, struct task_run *run)
{
    struct iterations *iterations = run->iterations;
    if (iterations == NULL)
        return;
    for (size_t i = 0; engine->event->type == EVENT_RECOVER && i < iterations->total; i++) {
        enum state state = iterations_state(iterations, i);
        if (state != STATE_COUNT && !states[state].is_terminal)
            child_ask_again(engine, run, id_of(engine, run, i), (int64_t)i);
    }
    if (iterations->next < iterations->total)
        create_all(engine, run);
}

const struct flowable_ops for_each_item_run_ops = {
    .start = start,
    .began = began,
    .answer = answer,
    .recover = recover,
};

const struct prop for_each_item_run_props[] = {
    CHILD_PROPS(struct child_only, child),
    { 0 },
};

static const struct prop batch_props[] = {
    { "rows", .kind = PROP_STRING, .flags = PROP_EXPR, .doc = "Rows per batch, 1 by default." },
    { "bytes", .kind = PROP_STRING, .flags = PROP_EXPR,
      .doc = "A batch ends once it holds that much." },
    { "partitions", .kind = PROP_STRING, .flags = PROP_EXPR,
      .doc = "Number of batches that take the rows in turn." },
    { "separator", .kind = PROP_STRING, .flags = PROP_EXPR, .doc = "What ends a row." },
    { "regexPattern", .kind = PROP_STRING, .flags = PROP_EXPR,
      .doc = "Rows are grouped by the first capture group." },
    { 0 },
};

const struct prop for_each_item_props[] = {
    { "items", .kind = PROP_STRING, .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "URI of a file with one row per line." },
    { "batch", .kind = PROP_OBJECT, .object = batch_props, .doc = "How the file is cut." },
    CHILD_PROPS(struct child_only, child),
    { 0 },
};
