/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that read structured data, and those that walk what an execution has done. */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/str.h"
#include "core/expr/eval.h"
#include "core/ion.h"
#include "core/json.h"
#include "core/yaml.h"

/* The text to parse; NULL with the failure noted, or without one for null when that is fine. */
static const struct value *source(struct call *call, bool null_is_fine)
{
    const struct value *text = NULL;
    if (call->args[0]->kind == VALUE_NULL && null_is_fine)
        return NULL;
    if (!call_text(call, 0, &text))
        return NULL;
    if (text == NULL)
        return call_fail(call, "the text is null");
    return charge(call->ev, call->node, text->string.length / 16 + 1) ? text : NULL;
}

static const struct value *result_of(struct call *call,
                                     const struct value *value,
                                     const struct error *why)
{
    call->ev->run->grown++;
    return value != NULL ? value : call_fail(call, "%s", why->text);
}

/* A failure, or null for a null argument. */
static const struct value *no_source(struct call *call)
{
    return call->ev->run->failure == EXPR_OK ? &value_null : NULL;
}

static const struct value *run_from_json(struct call *call)
{
    struct error why = { 0 };
    const struct value *text = source(call, true);
    if (text == NULL)
        return no_source(call);
    return result_of(
        call,
        json_parse_first(call->ev->arena, text->string.bytes, text->string.length, NULL, &why),
        &why);
}

static const struct value *run_from_ion(struct call *call)
{
    struct error why = { 0 };
    const struct value *all = call_arg(call, 1);
    const struct value *text = source(call, true);
    if (text == NULL)
        return no_source(call);
    if (all != NULL && all->kind != VALUE_BOOL)
        return call_fail(call, "argument 'allRows' must be true or false");
    const char *bytes = text->string.bytes;
    size_t length = text->string.length;
    bool is_all = all != NULL && all->boolean;
    if (!is_all && length == strspn(bytes, " \t\r\n"))
        return &value_null; // no first value
    const struct value *value = is_all
                                    ? ion_parse_all(call->ev->arena, bytes, length, &why)
                                    : ion_parse_first(call->ev->arena, bytes, length, NULL, &why);
    return result_of(call, value, &why);
}

static const struct value *run_from_yaml(struct call *call)
{
    struct error why = { 0 };
    struct yaml_limits limits = yaml_limits_default;
    const struct value *text = source(call, false);
    if (text == NULL)
        return NULL;
    limits.boolean_words = true;
    limits.last_wins = true;
    limits.needs_document = true;
    limits.bytes_max = EXPR_OUTPUT_MAX;
    return result_of(
        call,
        yaml_parse_first(call->ev->arena, text->string.bytes, text->string.length, &limits, &why),
        &why);
}

/* ---- executions ---- */

/* The `value` of a task run, NULL when it has none. */
static const struct value *run_value(struct evaluator *ev, const struct value *holder)
{
    const struct value *run = value_get_in(ev->arena, holder, "taskrun", 7);
    const struct value *value = value_get_in(ev->arena, run, "value", 5);
    return value_is_null(value) ? NULL : value;
}

/* One level down; value_null when there is no such member. */
static const struct value *descend(struct call *call,
                                   const struct value *map,
                                   const struct value *key)
{
    const struct value *text = display(call->ev, call->node, key);
    if (text == NULL)
        return NULL;
    const struct value *found =
        value_get_in(call->ev->arena, map, text->string.bytes, text->string.length);
    return found == NULL ? &value_null : found;
}

static const struct value *run_current_each_output(struct call *call)
{
    const struct value *at = call->args[0];
    const struct value *context = call->ev->run->env->context;
    if (at->kind != VALUE_MAP && at->kind != VALUE_LAZY)
        return call_fail(call, "argument 'outputs' must be a map, not %s", value_kind_name(at));
    const struct value *parents = value_get_in(call->ev->arena, context, "parents", 7);
    size_t count = value_is_list(parents) ? parents->list.count : 0;
    for (size_t i = count; i-- > 0 && at != NULL;) { // the list has the nearest first
        const struct value *value = run_value(call->ev, parents->list.items[i]);
        if (value != NULL)
            at = descend(call, at, value);
    }
    const struct value *own = run_value(call->ev, context);
    return at == NULL || own == NULL ? at : descend(call, at, own);
}

/* Adds {taskId, value, state} when the state is the wanted one. */
static void add_if_state(struct call *call,
                         struct value_builder *out,
                         const struct value_member *task,
                         const struct value_member *run,
                         const struct value *holder,
                         const char *wanted)
{
    const char *state = value_get_text(holder, "state", NULL);
    if (state == NULL || !str_eq_nocase(state, wanted))
        return;
    struct value_builder entry = value_build(call->ev->arena);
    value_put_text(&entry, "taskId", task->key);
    if (run != NULL)
        value_put_text(&entry, "value", run->key);
    value_put_text(&entry, "state", state);
    value_add(out, value_build_map(&entry));
}

static const struct value *run_tasks_with_state(struct call *call)
{
    struct evaluator *ev = call->ev;
    struct value_builder out = value_build(ev->arena);
    const struct value *state = NULL;
    if (!call_text(call, 0, &state))
        return NULL;
    if (state == NULL)
        return call_fail(call, "argument 'state' is missing");
    const struct value *tasks = value_get_in(ev->arena, ev->run->env->context, "tasks", 5);
    tasks = value_force(ev->arena, tasks);
    for (size_t i = 0; value_is_map(tasks) && i < tasks->map.count; i++) {
        const struct value_member *task = &tasks->map.members[i];
        const struct value *runs = value_force(ev->arena, task->value);
        if (!value_is_map(runs) || !charge(ev, call->node, runs->map.count + 1))
            continue;
        if (value_is_string(value_get(runs, "state"))) {
            add_if_state(call, &out, task, NULL, runs, state->string.bytes);
            continue;
        }
        for (size_t j = 0; j < runs->map.count; j++) {
            const struct value_member *run = &runs->map.members[j];
            add_if_state(call, &out, task, run, run->value, state->string.bytes);
        }
    }
    return ev->run->failure == EXPR_OK ? value_build_list(&out) : NULL;
}

static const struct value *run_env(struct call *call)
{
    struct evaluator *ev = call->ev;
    const struct value *name = call_display(call, 0);
    if (name == NULL)
        return NULL;
    const struct value *envs = value_get_in(ev->arena, ev->run->env->context, "envs", 4);
    const struct value *value =
        value_get_in(ev->arena, envs, name->string.bytes, name->string.length);
    bool is_empty =
        value_is_null(value) || (value->kind == VALUE_STRING && value->string.length == 0);
    if (!is_empty)
        return value;
    return call->args[1] == NULL ? &value_null : call->args[1];
}

static const struct builtin rows[] = {
    { "currentEachOutput", "outputs", run_current_each_output, BUILTIN_NEEDS_FIRST,
      "Of a task's outputs inside loops, those of the current iteration." },
    { "env", "name, default", run_env, BUILTIN_NEEDS_FIRST,
      "An environment variable, or the default when it is absent or empty." },
    { "fromIon", "ion, allRows = false", run_from_ion, BUILTIN_NEEDS_FIRST,
      "The first value of an Ion text, or a list of all." },
    { "fromJson", "json", run_from_json, BUILTIN_NEEDS_FIRST, "The value of a JSON text." },
    { "json", "json", run_from_json, BUILTIN_NEEDS_FIRST, "Older name of fromJson." },
    { "tasksWithState", "state", run_tasks_with_state, BUILTIN_NEEDS_FIRST,
      "Task runs of this execution that are in a state." },
    { "yaml", "yaml", run_from_yaml, BUILTIN_NEEDS_FIRST, "The value of a YAML text." },
};

const struct builtin_table functions_data = { NODE_FUNCTION, rows, COUNT_OF(rows) };
