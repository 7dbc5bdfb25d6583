/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/engine/engine_internal.h"
#include "runtime/engine/flowables.h"

bool plan_tasks(struct engine *engine,
                const struct task_run *run,
                struct plan *plan,
                struct error *err)
{
    (void)engine;
    (void)err;
    plan->main = task_list(run->task, SLOT_TASKS);
    plan->progression = PROGRESS_SEQUENCE;
    return true;
}

static const struct flowable_ops ops = { .plan = plan_tasks };

static const struct prop props[] = {
    { "tasks", .kind = PROP_TASKS, .flags = PROP_REQUIRED, .doc = "Tasks, in their order." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "A group of tasks with an error branch of its own.",
      "tasks:\n"
      "  - id: load\n"
      "    type: io.kestra.plugin.core.debug.Return\n"
      "    format: \"{{ task.id }}\"\n"
      "errors:\n"
      "  - id: report\n"
      "    type: io.kestra.plugin.core.log.Log\n"
      "    message: the load failed\n" },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.flows.Sequential", NULL };

const struct plugin task_flow_sequential = {
    .id = FLOW_TYPE("Sequential"),
    .role = PLUGIN_TASK,
    .task_kind = TASK_FLOWABLE,
    .title = "Run tasks one after the other.",
    .doc = "A failed task ends the group unless it allows failure; later tasks are not started.",
    .aliases = aliases,
    .props = props,
    .examples = examples,
    .flowable_ops = &ops,
};
