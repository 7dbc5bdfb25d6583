/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What expressions of an execution see: root variables, each made when it is asked for
 * (flow-language.md 6.13, expressions.md 9).
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/plugin.h"
#include "runtime/engine/engine_internal.h"

struct context;
typedef const struct value *make_fn(const struct context *context, struct arena *arena);

enum { VARIABLES_MAX = 24 };

struct context {
    struct execution *execution;
    struct task_run *run; /* NULL: of the execution */
    const struct engine_world *world;
    const struct value *extra; /* wins over the rest, may be NULL */
    struct arena *arena;       /* of what is made; lives as long as the context */
    const struct value **made; /* by row of the table below, NULL: not yet */
};

static const struct value *text(struct arena *arena, const char *bytes)
{
    return bytes == NULL ? NULL : value_string_ref(arena, bytes, strlen(bytes));
}

static void put(struct value_builder *map, const char *key, const struct value *value)
{
    if (value != NULL)
        value_put(map, key, value);
}

/* ---- flow, execution, task, taskrun ---- */

static const struct value *make_flow(const struct context *context, struct arena *arena)
{
    const struct execution *execution = context->execution;
    struct value_builder map = value_build(arena);
    put(&map, "id", text(arena, execution->flow_id));
    put(&map, "namespace", text(arena, execution->namespace));
    value_put_int(&map, "revision", execution->flow_revision);
    put(&map, "tenantId", text(arena, "main"));
    return value_build_map(&map);
}

static const struct value *make_execution(const struct context *context, struct arena *arena)
{
    const struct execution *execution = context->execution;
    struct value_builder map = value_build(arena);
    put(&map, "id", text(arena, execution->id.text));
    value_put(&map, "startDate", value_instant(arena, state_started_at(&execution->state)));
    put(&map, "state", text(arena, states[execution->state.current].name));
    put(&map, "originalId", text(arena, execution->original_id));
    put(&map, "outputs", execution->outputs);
    return value_build_map(&map);
}

static const struct value *make_task(const struct context *context, struct arena *arena)
{
    if (context->run == NULL)
        return NULL;
    const struct task *task = run_task(context->run);
    struct value_builder map = value_build(arena);
    put(&map, "id", text(arena, context->run->task_id));
    put(&map, "type", task == NULL ? NULL : text(arena, task->type_name));
    return value_build_map(&map);
}

static const struct value *run_value(const struct task_run *run, struct arena *arena)
{
    struct value_builder map = value_build(arena);
    put(&map, "id", text(arena, run->id.text));
    value_put(&map, "startDate", value_instant(arena, state_started_at(&run->state)));
    value_put_int(&map, "attemptsCount", (int64_t)run->attempts.count);
    if (run->parent != NULL)
        put(&map, "parentId", text(arena, run->parent->id.text));
    put(&map, "value", text(arena, run->value));
    if (run->iteration >= 0)
        value_put_int(&map, "iteration", run->iteration);
    put(&map, "items", text(arena, run->items));
    return value_build_map(&map);
}

static const struct value *make_taskrun(const struct context *context, struct arena *arena)
{
    return context->run == NULL ? NULL : run_value(context->run, arena);
}

/* ---- parents ---- */

/* The next ancestor that has a value or outputs. */
static struct task_run *telling_parent(const struct task_run *run)
{
    struct task_run *above = run->parent;
    while (above != NULL && above->value == NULL && value_count(above->outputs) == 0)
        above = above->parent;
    return above;
}

static const struct value *parent_value(const struct context *context,
                                        struct task_run *run,
                                        struct arena *arena)
{
    struct value_builder map = value_build(arena);
    if (run->value != NULL)
        value_put(&map, "taskrun", value_with(arena, NULL, "value", text(arena, run->value)));
    if (value_count(run->outputs) > 0)
        value_put(&map, "outputs", outputs_clear(context->execution, context->world, run));
    return value_build_map(&map);
}

static const struct value *make_parents(const struct context *context, struct arena *arena)
{
    if (context->run == NULL)
        return NULL;
    struct value_builder list = value_build(arena);
    for (struct task_run *above = telling_parent(context->run); above != NULL;
         above = telling_parent(above))
        value_add(&list, parent_value(context, above, arena));
    return value_build_list(&list);
}

static const struct value *make_parent(const struct context *context, struct arena *arena)
{
    struct task_run *above = context->run == NULL ? NULL : telling_parent(context->run);
    return above == NULL ? NULL : parent_value(context, above, arena);
}

/* ---- outputs and tasks ---- */

static const struct value *make_outputs(const struct context *context, struct arena *arena)
{
    return outputs_lazy(context->execution, context->world, arena);
}

static const struct value *make_tasks(const struct context *context, struct arena *arena)
{
    return tasks_lazy(context->execution, arena);
}

/* ---- inputs ---- */

static const struct value *time_value(struct arena *arena,
                                      enum value_kind kind,
                                      const struct value *stored)
{
    struct time_text parsed;
    const char *bytes = value_cstr(stored);
    struct error ignored;
    if (bytes == NULL || !time_text_parse(bytes, strlen(bytes), &parsed, &ignored))
        return stored;
    struct value_time time = { .at = civil_at(&parsed.civil), .nanos = parsed.nanos };
    if (kind == VALUE_INSTANT)
        time.at -= parsed.offset * USEC_SEC;
    if (kind == VALUE_LOCAL_TIME)
        time.at =
            ((parsed.civil.hour * 60 + parsed.civil.minute) * 60 + parsed.civil.second) * USEC_SEC +
            parsed.civil.micros;
    return value_time(arena, kind, time);
}

static const struct value *duration_value(struct arena *arena, const struct value *stored)
{
    double seconds = 0;
    if (value_to_double(stored, &seconds) && seconds < 1e12 && seconds > -1e12)
        return value_duration(arena, (usec_t)(seconds * 1e6 + (seconds < 0 ? -0.5 : 0.5)));
    struct value_time time = { 0 };
    const char *bytes = value_cstr(stored);
    if (bytes == NULL || !duration_parse(bytes, &time.at, &time.nanos, NULL))
        return stored;
    return value_time(arena, VALUE_DURATION, time);
}

/* A stored input as expressions see it. */
static const struct value *input_value(const struct context *context,
                                       enum input_type type,
                                       const struct value *stored,
                                       struct arena *arena)
{
    if (value_is_null(stored))
        return stored;
    double number = 0;
    switch (type) {
    case INPUT_FLOAT:
        return value_to_double(stored, &number) ? value_float32(arena, (float)number) : stored;
    case INPUT_DATETIME:
        return time_value(arena, VALUE_INSTANT, stored);
    case INPUT_DATE:
        return time_value(arena, VALUE_LOCAL_DATE, stored);
    case INPUT_TIME:
        return time_value(arena, VALUE_LOCAL_TIME, stored);
    case INPUT_DURATION:
        return duration_value(arena, stored);
    case INPUT_FILE:
        return value_is_string(stored)
                   ? value_text(arena, VALUE_URI, stored->string.bytes, stored->string.length)
                   : stored;
    case INPUT_SECRET: {
        const struct value *clear = value_decrypt(context->world, arena, stored);
        if (clear != stored && value_is_string(clear) && context->world->mask != NULL)
            context->world->mask(context->world->data, context->execution->id.text,
                                 clear->string.bytes, clear->string.length);
        return clear;
    }
    case INPUT_STRING:
    case INPUT_EMAIL:
    case INPUT_INT:
    case INPUT_BOOL:
    case INPUT_BOOLEAN:
    case INPUT_JSON:
    case INPUT_YAML:
    case INPUT_URI:
    case INPUT_ENUM:
    case INPUT_SELECT:
    case INPUT_MULTISELECT:
    case INPUT_ARRAY:
    case INPUT_FORM:
    case INPUT_NONE:
        break;
    }
    return stored;
}

static bool is_same_in_expressions(enum input_type type)
{
    return type != INPUT_FLOAT && type != INPUT_DATETIME && type != INPUT_DATE &&
           type != INPUT_TIME && type != INPUT_DURATION && type != INPUT_FILE &&
           type != INPUT_SECRET;
}

/* `map` with the value at a dotted path replaced; unchanged when there is nothing. */
static const struct value *replace_at(const struct context *context,
                                      const struct value *map,
                                      const char *path,
                                      enum input_type type,
                                      struct arena *arena)
{
    const char *dot = strchr(path, '.');
    size_t length = dot == NULL ? strlen(path) : (size_t)(dot - path);
    const char *key = arena_strndup(arena, path, length);
    const struct value *member = value_get(map, key);
    if (member == NULL && dot != NULL && value_get(map, path) != NULL)
        return value_with(arena, map, path,
                          input_value(context, type, value_get(map, path), arena));
    if (member == NULL)
        return map;
    const struct value *changed = dot == NULL ? input_value(context, type, member, arena)
                                              : replace_at(context, member, dot + 1, type, arena);
    return changed == member ? map : value_with(arena, map, key, changed);
}

/* The same for all task runs: made once. */
static const struct value *make_inputs(const struct context *context, struct arena *arena)
{
    const struct execution *execution = context->execution;
    (void)arena;
    if (execution->memory->inputs != NULL)
        return execution->memory->inputs;
    const struct value *inputs = execution->inputs;
    const struct flow *flow = execution->flow;
    for (size_t i = 0; flow != NULL && i < flow->inputs_count; i++) {
        if (!is_same_in_expressions(flow->inputs[i].type))
            inputs = replace_at(context, inputs, flow->inputs[i].id, flow->inputs[i].type,
                                execution->arena);
    }
    execution->memory->inputs = inputs;
    return inputs;
}

/* ---- labels ---- */

static int compare_labels(const void *a, const void *b)
{
    const struct label *const *left = a;
    const struct label *const *right = b;
    return strcmp((*left)->key, (*right)->key);
}

/* Sets `a.b.c`; a text in the way of a nested key gives way to it. */
static const struct value *put_nested(struct arena *arena,
                                      const struct value *map,
                                      const char *key,
                                      const struct value *value)
{
    const char *dot = strchr(key, '.');
    if (dot == NULL) {
        const struct value *there = value_get(map, key);
        return value_is_map(there) ? map : value_with(arena, map, key, value);
    }
    const char *first = arena_strndup(arena, key, (size_t)(dot - key));
    const struct value *inner = value_get(map, first);
    inner = put_nested(arena, value_is_map(inner) ? inner : NULL, dot + 1, value);
    return value_with(arena, map, first, inner);
}

static const struct value *make_labels(const struct context *context, struct arena *arena)
{
    const struct execution *execution = context->execution;
    size_t count = execution->labels.count;
    const struct label **sorted = ARENA_ARRAY(arena, count + 1, const struct label *);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &execution->labels.items[i];
    qsort(sorted, count, sizeof(*sorted), compare_labels);
    const struct value *map = &value_empty_map;
    for (size_t i = 0; i < count; i++) {
        if (!str_empty(sorted[i]->value))
            map = put_nested(arena, map, sorted[i]->key, text(arena, sorted[i]->value));
    }
    return map;
}

/* ---- trigger ---- */

const struct value *engine_webhook_variables(struct arena *arena, const struct value *variables)
{
    const struct value *headers = value_get(variables, "headers");
    if (value_get(variables, "body") == NULL)
        variables = value_with(arena, variables, "body", &value_null);
    return headers == NULL
               ? variables
               : value_with(arena, variables, "headers", value_any_case(arena, headers));
}

static bool is_triggered_by(const struct context *context, const char *end)
{
    const char *type = context->execution->trigger_type;
    return type != NULL && str_ends(type, end);
}

static const struct value *make_trigger(const struct context *context, struct arena *arena)
{
    const struct execution *execution = context->execution;
    if (execution->loop != NULL)
        return value_get(execution->loop, "trigger");
    if (execution->trigger_id == NULL)
        return NULL;
    if (execution->trigger_variables == NULL)
        return &value_empty_map;
    const struct value *variables =
        value_decrypt(context->world, arena, execution->trigger_variables);
    return is_triggered_by(context, ".Webhook") ? engine_webhook_variables(arena, variables)
                                                : variables;
}

static const struct value *make_schedule(const struct context *context, struct arena *arena)
{
    return is_triggered_by(context, ".Schedule") ? make_trigger(context, arena) : NULL;
}

/* ---- the rest ---- */

static const struct value *make_vars(const struct context *context, struct arena *arena)
{
    (void)arena;
    return context->execution->variables;
}

static const struct value *make_envs(const struct context *context, struct arena *arena)
{
    (void)arena;
    return context->world->envs;
}

static const struct value *make_globals(const struct context *context, struct arena *arena)
{
    (void)arena;
    return context->world->globals;
}

static const struct value *make_kestra(const struct context *context, struct arena *arena)
{
    (void)arena;
    return context->world->kestra;
}

static const struct value *make_item(const struct context *context, struct arena *arena)
{
    (void)arena;
    return value_get(context->execution->loop, "item");
}

/* The WorkingDirectory that owns the folder of a run, or the run itself. */
static const struct task_run *folder_owner(const struct task_run *run)
{
    const struct flowable_ops *ops = run->parent == NULL ? NULL : run_flowable(run->parent);
    return ops != NULL && ops->has_directory ? run->parent : run;
}

static bool has_folder(const struct context *context)
{
    const struct task *task = context->run == NULL ? NULL : run_task(context->run);
    return task != NULL && task->type != NULL && context->world->work_root != NULL &&
           (task->type->task_kind == TASK_PROCESS || folder_owner(context->run) != context->run);
}

static const char *folder(const struct context *context, struct arena *arena)
{
    return arena_printf(arena, "%s/%s/%s", context->world->work_root, context->execution->id.text,
                        folder_owner(context->run)->id.text);
}

static const struct value *make_working_dir(const struct context *context, struct arena *arena)
{
    return has_folder(context) ? text(arena, folder(context, arena)) : NULL;
}

static const struct value *make_output_dir(const struct context *context, struct arena *arena)
{
    if (!has_folder(context) ||
        !value_get_bool(run_task(context->run)->doc, "outputDirectory", false))
        return NULL;
    return text(
        arena, arena_printf(arena, "%s/outputs-%s", folder(context, arena), context->run->id.text));
}

static const struct value *output_file(const void *data,
                                       struct arena *arena,
                                       const char *key,
                                       size_t length)
{
    return text(arena, arena_printf(arena, "%s/%.*s", folder(data, arena), (int)length, key));
}

/* Names are those that are asked for; the ones declared are shown. */
static const struct value *output_files(const void *data, struct arena *arena)
{
    const struct context *context = data;
    const struct value *names = value_get(run_task(context->run)->doc, "outputFiles");
    struct value_builder map = value_build(arena);
    for (size_t i = 0; i < value_count(names); i++) {
        const struct value *name = value_item(names, i);
        if (value_is_string(name))
            value_put(&map, name->string.bytes,
                      output_file(context, arena, name->string.bytes, name->string.length));
    }
    return value_build_map(&map);
}

static const struct value_lazy_ops output_files_ops = { .get = output_file, .force = output_files };

static const struct value *make_output_files(const struct context *context, struct arena *arena)
{
    return has_folder(context) ? value_lazy(arena, &output_files_ops, context) : NULL;
}

/* Children of a WorkingDirectory see its task run. */
static const struct value *make_worker_taskrun(const struct context *context, struct arena *arena)
{
    if (context->run == NULL || folder_owner(context->run) == context->run)
        return NULL;
    return run_value(context->run->parent, arena);
}

/* ---- the table ---- */

static const struct {
    const char *name;
    make_fn *make;
} variables[] = {
    { "outputs", make_outputs },
    { "inputs", make_inputs },
    { "taskrun", make_taskrun },
    { "vars", make_vars },
    { "trigger", make_trigger },
    { "flow", make_flow },
    { "execution", make_execution },
    { "task", make_task },
    { "tasks", make_tasks },
    { "parent", make_parent },
    { "parents", make_parents },
    { "labels", make_labels },
    { "item", make_item },
    { "envs", make_envs },
    { "globals", make_globals },
    { "kestra", make_kestra },
    { "schedule", make_schedule },
    { "workingDir", make_working_dir },
    { "outputDir", make_output_dir },
    { "outputFiles", make_output_files },
    { "workerTaskrun", make_worker_taskrun },
};

#define VARIABLES (sizeof(variables) / sizeof(variables[0]))
_Static_assert(VARIABLES <= VARIABLES_MAX, "room for every variable");

static const struct value *variable(const struct context *context, size_t i)
{
    if (context->made[i] == NULL)
        context->made[i] = variables[i].make(context, context->arena);
    return context->made[i];
}

static const struct value *context_get(const void *data,
                                       struct arena *arena,
                                       const char *key,
                                       size_t length)
{
    const struct context *context = data;
    (void)arena;
    const struct value *extra = value_get_n(context->extra, key, length);
    if (extra != NULL)
        return extra;
    for (size_t i = 0; i < VARIABLES; i++) {
        if (strncmp(variables[i].name, key, length) == 0 && variables[i].name[length] == '\0')
            return variable(context, i);
    }
    return NULL;
}

static const struct value *context_force(const void *data, struct arena *arena)
{
    const struct context *context = data;
    struct value_builder map = value_build(arena);
    for (size_t i = 0; i < VARIABLES; i++) {
        if (variables[i].make != make_worker_taskrun)
            put(&map, variables[i].name, variable(context, i));
    }
    for (uint32_t i = 0; context->extra != NULL && i < context->extra->map.count; i++)
        value_put(&map, context->extra->map.members[i].key, context->extra->map.members[i].value);
    return value_build_map(&map);
}

static const struct value_lazy_ops context_ops = { .get = context_get, .force = context_force };

const struct value *context_make(struct execution *execution,
                                 struct task_run *run,
                                 const struct engine_world *world,
                                 const struct value *extra,
                                 struct arena *arena)
{
    struct context *context = ARENA_NEW(arena, struct context);
    context->execution = execution;
    context->run = run;
    context->world = world;
    context->extra = extra;
    context->arena = arena;
    context->made = ARENA_ARRAY(arena, VARIABLES, const struct value *);
    return value_lazy(arena, &context_ops, context);
}

const struct value *engine_context(struct execution *execution,
                                   struct task_run *run,
                                   const struct engine_world *world,
                                   struct arena *arena)
{
    (void)memory_of(execution);
    return context_make(execution, run, world, NULL, arena);
}
