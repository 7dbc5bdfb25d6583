/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/diag.h"
#include "runtime/engine/engine_internal.h"
#include "runtime/engine/flowables.h"

struct props {
    const char *value;
};

/* The key, as written, of the case that a value takes; NULL none. Keys may hold expressions. */
static bool find_case(struct engine *engine,
                      struct task_run *run,
                      const char *value,
                      const char **found,
                      struct error *err)
{
    struct expr_env env = engine_env(engine, run);
    *found = NULL;
    for (size_t i = 0; i < run->task->lists_count && *found == NULL; i++) {
        const struct task_list *list = &run->task->lists[i];
        if (list->slot != SLOT_CASE)
            continue;
        const char *key = expr_render_text(&env, engine->scratch, list->name, NULL, err);
        if (key == NULL)
            return false;
        if (strcmp(key, value) == 0)
            *found = list->name;
    }
    return true;
}

static bool start(struct engine *engine, struct task_run *run, struct error *err)
{
    struct props bound = { 0 };
    const char *found = NULL;
    if (!engine_bind(engine, run, &bound, err))
        return false;
    const char *value = bound.value == NULL ? "" : bound.value;
    if (!find_case(engine, run, value, &found, err))
        return false;
    bool is_default = found == NULL && task_list(run->task, SLOT_DEFAULT) != NULL;
    // observed on the reference server, where the specification says SUCCESS
    if (found == NULL && !is_default)
        return error_set(err, ERR_INVALID,
                         "no case fits the value '%s', and there are no 'defaults'", value);
    if (found != NULL)
        engine_put_memo(engine, run, "case", value_string(engine->scratch, found));
    engine_put_output(engine, run, "value", value_string(engine->scratch, value));
    engine_put_output(engine, run, "defaults", value_bool(is_default));
    return true;
}

static bool plan(struct engine *engine,
                 const struct task_run *run,
                 struct plan *plan,
                 struct error *err)
{
    (void)engine;
    (void)err;
    const char *name = value_get_text(run->memo, "case", NULL);
    if (name == NULL)
        plan->main = task_list(run->task, SLOT_DEFAULT);
    for (size_t i = 0; name != NULL && i < run->task->lists_count; i++) {
        const struct task_list *list = &run->task->lists[i];
        if (list->slot == SLOT_CASE && str_eq(list->name, name))
            plan->main = list;
    }
    return true;
}

static void check(const struct flow *flow,
                  const struct value *map,
                  const char *path,
                  struct diag_list *findings)
{
    (void)flow;
    if (value_count(value_get(map, "cases")) == 0 && value_count(value_get(map, "defaults")) == 0)
        (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "switch-without-tasks", map, path,
                       "No task defined, neither cases or default have any tasks");
}

static const struct flowable_ops ops = { .start = start, .plan = plan };

static const struct prop props[] = {
    { "value", STR(struct props, value), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "What decides." },
    { "cases", .kind = PROP_TASK_MAP, .doc = "Tasks by value; keys may hold expressions." },
    { "defaults", .kind = PROP_TASKS, .doc = "Tasks when no case fits." },
    { 0 },
};

static const struct plugin_output outputs[] = {
    { "value", "string", "The rendered value." },
    { "defaults", "boolean", "Whether `defaults` were followed." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Different tasks by country.", "value: \"{{ inputs.country }}\"\n"
                                     "cases:\n"
                                     "  FR:\n"
                                     "    - id: paris\n"
                                     "      type: io.kestra.plugin.core.log.Log\n"
                                     "      message: Paris\n"
                                     "  DE:\n"
                                     "    - id: berlin\n"
                                     "      type: io.kestra.plugin.core.log.Log\n"
                                     "      message: Berlin\n"
                                     "defaults:\n"
                                     "  - id: elsewhere\n"
                                     "    type: io.kestra.plugin.core.log.Log\n"
                                     "    message: elsewhere\n" },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.flows.Switch", NULL };

const struct plugin task_flow_switch = {
    .id = FLOW_TYPE("Switch"),
    .role = PLUGIN_TASK,
    .task_kind = TASK_FLOWABLE,
    .title = "Run the tasks that belong to a value.",
    .doc = "Without a fitting case and without `defaults` the task fails.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .check = check,
    .flowable_ops = &ops,
};
