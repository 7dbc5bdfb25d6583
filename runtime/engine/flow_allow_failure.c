/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/engine/engine_internal.h"
#include "runtime/engine/flowables.h"

static enum flowable_end done(struct engine *engine, struct task_run *run, enum state *state)
{
    (void)engine;
    (void)run;
    if (*state == STATE_FAILED)
        *state = STATE_WARNING;
    return FLOWABLE_ENDS;
}

static const struct flowable_ops ops = { .plan = plan_tasks, .done = done };

static const struct prop props[] = {
    { "tasks", .kind = PROP_TASKS, .flags = PROP_REQUIRED, .doc = "Tasks, in their order." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "The flow goes on with a warning when the upload fails.",
      "tasks:\n"
      "  - id: upload\n"
      "    type: io.kestra.plugin.core.execution.Fail\n" },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.flows.AllowFailure", NULL };

const struct plugin task_flow_allow_failure = {
    .id = FLOW_TYPE("AllowFailure"),
    .role = PLUGIN_TASK,
    .task_kind = TASK_FLOWABLE,
    .title = "Run tasks one after the other; their failure is a warning.",
    .aliases = aliases,
    .props = props,
    .examples = examples,
    .flowable_ops = &ops,
};
