/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/engine/engine_internal.h"
#include "runtime/engine/flowables.h"

struct props {
    const char *condition;
};

/* Decided once; the decision is an output and stays. */
static bool start(struct engine *engine, struct task_run *run, struct error *err)
{
    struct props bound = { 0 };
    if (!engine_bind(engine, run, &bound, err))
        return false;
    bool holds = bound.condition != NULL && expr_truthy_text(bound.condition);
    engine_put_output(engine, run, "evaluationResult", value_bool(holds));
    return true;
}

static bool plan(struct engine *engine,
                 const struct task_run *run,
                 struct plan *plan,
                 struct error *err)
{
    (void)engine;
    (void)err;
    bool holds = value_get_bool(run->outputs, "evaluationResult", false);
    plan->main = task_list(run->task, holds ? SLOT_TASKS : SLOT_ELSE);
    return true;
}

static const struct flowable_ops ops = { .start = start, .plan = plan };

static const struct prop props[] = {
    { "condition", STR(struct props, condition), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "False when it renders to nothing, `false`, `0` or `-0`; true otherwise." },
    { "then", .kind = PROP_TASKS, .flags = PROP_REQUIRED | PROP_NOT_EMPTY,
      .doc = "Tasks when the condition holds." },
    { "else", .kind = PROP_TASKS, .doc = "Tasks when it does not." },
    { 0 },
};

static const struct plugin_output outputs[] = {
    { "evaluationResult", "boolean", "Whether the condition held." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "A branch for large batches.", "condition: \"{{ inputs.rows > 1000 }}\"\n"
                                     "then:\n"
                                     "  - id: large\n"
                                     "    type: io.kestra.plugin.core.log.Log\n"
                                     "    message: many rows\n"
                                     "else:\n"
                                     "  - id: small\n"
                                     "    type: io.kestra.plugin.core.log.Log\n"
                                     "    message: few rows\n" },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.flows.If", NULL };

const struct plugin task_flow_if = {
    .id = FLOW_TYPE("If"),
    .role = PLUGIN_TASK,
    .task_kind = TASK_FLOWABLE,
    .title = "Run tasks depending on a condition.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .flowable_ops = &ops,
};
