/* SPDX-License-Identifier: Apache-2.0 */
/* ForEach, and its older forms EachSequential and EachParallel. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "core/json.h"
#include "runtime/engine/engine_internal.h"
#include "runtime/engine/flowables.h"

/* Items of one loop. */
#define EACH_ITEMS_MAX 1000000U

bool value_is_dynamic(const struct value *value)
{
    if (value_is_string(value))
        return expr_is_dynamic(value->string.bytes);
    if (value_is_list(value)) {
        for (size_t i = 0; i < value->list.count; i++) {
            if (value_is_dynamic(value->list.items[i]))
                return true;
        }
    }
    if (value_is_map(value)) {
        for (uint32_t i = 0; i < value->map.count; i++) {
            if (expr_is_dynamic(value->map.members[i].key) ||
                value_is_dynamic(value->map.members[i].value))
                return true;
        }
    }
    return false;
}

/* ---- from what is written to texts ---- */

/* Strings and integers become text, maps are rendered through; nothing else is an item. */
static const struct value *render_item(struct expr_env *env,
                                       struct arena *arena,
                                       const struct value *item,
                                       struct error *err)
{
    if (value_is_null(item))
        return &value_null;
    if (value_is_map(item))
        return expr_render_tree(env, arena, item, err);
    if (item->kind == VALUE_INT)
        return value_string(arena, value_to_json(arena, item));
    if (!value_is_string(item)) {
        error_set(err, ERR_INVALID, "%s cannot be a value of a loop", value_kind_name(item));
        return NULL;
    }
    const char *text = expr_render_text(env, arena, item->string.bytes, NULL, err);
    return text == NULL ? NULL : value_string_ref(arena, text, strlen(text));
}

static const struct value *render_list(struct expr_env *env,
                                       struct arena *arena,
                                       const struct value *list,
                                       struct error *err)
{
    struct value_builder out = value_build(arena);
    for (size_t i = 0; i < list->list.count; i++) {
        const struct value *item = render_item(env, arena, list->list.items[i], err);
        if (item == NULL)
            return NULL;
        value_add(&out, item);
    }
    return value_build_list(&out);
}

/* A text that is a JSON array once it is rendered. */
static const struct value *parse_list(struct expr_env *env,
                                      struct arena *arena,
                                      const char *text,
                                      struct error *err)
{
    const char *rendered = expr_render_text(env, arena, text, NULL, err);
    if (rendered == NULL)
        return NULL;
    const struct value *list = json_parse(arena, rendered, strlen(rendered), err);
    if (list == NULL || value_is_list(list))
        return list;
    error_set(err, ERR_INVALID, "the values are no JSON array: '%.100s'", rendered);
    return NULL;
}

static bool refuse_nulls(const struct value *list, struct error *err)
{
    size_t nulls = 0;
    for (size_t i = 0; i < list->list.count; i++)
        nulls += value_is_null(list->list.items[i]) ? 1 : 0;
    if (nulls == 0)
        return true;
    struct buf shown = { 0 };
    value_write_display(&shown, list);
    error_set(err, ERR_INVALID, "Found '%zu' null values on Each, with values=%.500s", nulls,
              buf_text(&shown));
    buf_free(&shown);
    return false;
}

static const struct value *unique_texts(struct arena *arena, const struct value *list)
{
    static char present;
    struct map seen = { 0 };
    struct value_builder out = value_build(arena);
    for (size_t i = 0; i < list->list.count; i++) {
        const struct value *item = list->list.items[i];
        if (!value_is_string(item))
            item = value_string(arena, value_to_json(arena, item));
        if (map_put_bytes(&seen, item->string.bytes, item->string.length, &present) == NULL)
            value_add(&out, item);
    }
    map_free(&seen);
    return value_build_list(&out);
}

const struct value *each_values(struct engine *engine,
                                struct task_run *run,
                                const struct value *spec,
                                struct error *err)
{
    struct arena *arena = engine->scratch;
    struct expr_env env = engine_env(engine, run);
    const struct value *list = NULL;
    if (value_is_list(spec))
        list = render_list(&env, arena, spec, err);
    else if (value_is_string(spec))
        list = parse_list(&env, arena, spec->string.bytes, err);
    else
        error_set(err, ERR_INVALID, "the values of a loop are a list or a text");
    if (list == NULL || !refuse_nulls(list, err))
        return NULL;
    if (list->list.count > EACH_ITEMS_MAX) {
        error_set(err, ERR_LIMIT, "a loop over %zu values, %u at most", list->list.count,
                  EACH_ITEMS_MAX);
        return NULL;
    }
    return unique_texts(arena, list);
}

/* ---- the flowables ---- */

struct props {
    const struct value *values;
    int64_t limit;
};

/* What was written without expressions is not stored again. */
static bool start(struct engine *engine, struct task_run *run, struct error *err)
{
    struct props bound = { 0 };
    if (!engine_bind(engine, run, &bound, err))
        return false;
    const struct value *values = each_values(engine, run, bound.values, err);
    if (values == NULL)
        return false;
    put_limit(engine, run, bound.limit);
    if (value_is_dynamic(bound.values))
        engine_put_memo(engine, run, "values", values);
    return true;
}

/* Kept for the life of the scope, thus in the execution. */
static const struct value *planned_values(struct engine *engine,
                                          const struct task_run *run,
                                          const char *property,
                                          struct error *err)
{
    const struct value *values = value_get(run->memo, "values");
    if (values != NULL)
        return values;
    const struct value *spec = value_get(run->task->doc, property);
    struct execution *execution = engine->execution;
    struct task_run *found = execution_find_run(execution, run->id.text);
    values = each_values(engine, found, spec, err);
    return values == NULL ? NULL : value_copy(execution->arena, values);
}

static bool plan_each(struct engine *engine,
                      const struct task_run *run,
                      const char *property,
                      struct plan *plan,
                      struct error *err)
{
    if (!plan_tasks(engine, run, plan, err))
        return false;
    plan->values = planned_values(engine, run, property, err);
    plan->limit = get_limit(run);
    return plan->values != NULL;
}

static bool plan_for_each(struct engine *engine,
                          const struct task_run *run,
                          struct plan *plan,
                          struct error *err)
{
    if (!plan_each(engine, run, "values", plan, err))
        return false;
    plan->progression = plan->limit == 1 ? PROGRESS_SEQUENCE : PROGRESS_ITEMS;
    return true;
}

static bool plan_sequential(struct engine *engine,
                            const struct task_run *run,
                            struct plan *plan,
                            struct error *err)
{
    return plan_each(engine, run, "value", plan, err);
}

static bool plan_parallel(struct engine *engine,
                          const struct task_run *run,
                          struct plan *plan,
                          struct error *err)
{
    if (!plan_each(engine, run, "value", plan, err))
        return false;
    plan->progression = PROGRESS_PARALLEL;
    return true;
}

static const struct flowable_ops for_each_ops = { .start = start, .plan = plan_for_each };
static const struct flowable_ops sequential_ops = { .start = start, .plan = plan_sequential };
static const struct flowable_ops parallel_ops = { .start = start, .plan = plan_parallel };

#define VALUES_DOC                                                                                 \
    "A list, or a text that renders to a JSON array. Each item becomes a text: strings as they "   \
    "are, everything else as JSON. Duplicates are left out."

static const struct prop for_each_props[] = {
    { "values", ANY(struct props, values), .flags = PROP_REQUIRED | PROP_EXPR | PROP_RAW,
      .doc = VALUES_DOC },
    { "concurrencyLimit", INT(struct props, limit), .flags = PROP_EXPR, .fallback = "1",
      .max = 1000000,
      .doc = "How many items are worked on at the same time: 1 is one after the other, 0 all." },
    { "tasks", .kind = PROP_TASKS, .flags = PROP_REQUIRED,
      .doc = "Run for each item, one after the other; `taskrun.value` is the item." },
    { 0 },
};

static const struct prop sequential_props[] = {
    { "value", ANY(struct props, values), .flags = PROP_REQUIRED | PROP_EXPR | PROP_RAW,
      .doc = VALUES_DOC },
    { "tasks", .kind = PROP_TASKS, .flags = PROP_REQUIRED, .doc = "Run for each item." },
    { 0 },
};

static const struct prop parallel_props[] = {
    { "value", ANY(struct props, values), .flags = PROP_REQUIRED | PROP_EXPR | PROP_RAW,
      .doc = VALUES_DOC },
    { "concurrent", INT(struct props, limit), .flags = PROP_EXPR, .fallback = "0", .max = 1000000,
      .doc = "How many task runs at the same time; 0 is all." },
    { "tasks", .kind = PROP_TASKS, .flags = PROP_REQUIRED,
      .doc = "Every task for every item, all independent of each other." },
    { 0 },
};

static const struct plugin_example for_each_examples[] = {
    { "Two items at a time.", "values: [\"north\", \"south\", \"west\"]\n"
                              "concurrencyLimit: 2\n"
                              "tasks:\n"
                              "  - id: load\n"
                              "    type: io.kestra.plugin.core.debug.Return\n"
                              "    format: \"loading {{ taskrun.value }}\"\n" },
    { 0 },
};

static const struct plugin_example each_examples[] = {
    { "The same for each of two values.", "value: '[\"north\", \"south\"]'\n"
                                          "tasks:\n"
                                          "  - id: load\n"
                                          "    type: io.kestra.plugin.core.debug.Return\n"
                                          "    format: \"loading {{ taskrun.value }}\"\n" },
    { 0 },
};

static const char *const sequential_aliases[] = { "io.kestra.core.tasks.flows.EachSequential",
                                                  NULL };
static const char *const parallel_aliases[] = { "io.kestra.core.tasks.flows.EachParallel", NULL };

const struct plugin task_flow_for_each = {
    .id = FLOW_TYPE("ForEach"),
    .role = PLUGIN_TASK,
    .task_kind = TASK_FLOWABLE,
    .title = "Run tasks for each item of a list.",
    .doc = "Outputs of tasks inside are found by item: `outputs.load['north'].value`. The `errors` "
           "run once for the whole loop.",
    .props = for_each_props,
    .props_size = sizeof(struct props),
    .examples = for_each_examples,
    .flowable_ops = &for_each_ops,
};

const struct plugin task_flow_each_sequential = {
    .id = FLOW_TYPE("EachSequential"),
    .role = PLUGIN_TASK,
    .task_kind = TASK_FLOWABLE,
    .title = "Run tasks for each value, one after the other.",
    .doc = "Use ForEach in new flows.",
    .aliases = sequential_aliases,
    .props = sequential_props,
    .props_size = sizeof(struct props),
    .examples = each_examples,
    .flags = PLUGIN_DEPRECATED,
    .flowable_ops = &sequential_ops,
};

const struct plugin task_flow_each_parallel = {
    .id = FLOW_TYPE("EachParallel"),
    .role = PLUGIN_TASK,
    .task_kind = TASK_FLOWABLE,
    .title = "Run every task for every value at the same time.",
    .doc = "Use ForEach with `concurrencyLimit: 0` in new flows.",
    .aliases = parallel_aliases,
    .props = parallel_props,
    .props_size = sizeof(struct props),
    .examples = each_examples,
    .flags = PLUGIN_DEPRECATED,
    .flowable_ops = &parallel_ops,
};
