/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "runtime/engine/engine_internal.h"
#include "runtime/engine/flowables.h"

void put_limit(struct engine *engine, struct task_run *run, int64_t limit)
{
    if (limit > 0)
        engine_put_memo(engine, run, "limit", value_int(engine->scratch, limit));
}

uint32_t get_limit(const struct task_run *run)
{
    int64_t limit = value_get_int(run->memo, "limit", 0);
    return limit < 0 || limit > UINT32_MAX ? 0 : (uint32_t)limit;
}

struct props {
    int64_t concurrent;
};

static bool start(struct engine *engine, struct task_run *run, struct error *err)
{
    struct props bound = { 0 };
    if (!engine_bind(engine, run, &bound, err))
        return false;
    put_limit(engine, run, bound.concurrent);
    return true;
}

static bool plan(struct engine *engine,
                 const struct task_run *run,
                 struct plan *plan,
                 struct error *err)
{
    if (!plan_tasks(engine, run, plan, err))
        return false;
    plan->progression = PROGRESS_PARALLEL;
    plan->limit = get_limit(run);
    return true;
}

static const struct flowable_ops ops = { .start = start, .plan = plan };

static const struct prop props[] = {
    { "tasks", .kind = PROP_TASKS, .flags = PROP_REQUIRED | PROP_NOT_EMPTY,
      .doc = "Tasks, started in their order." },
    { "concurrent", INT(struct props, concurrent), .flags = PROP_EXPR, .fallback = "0",
      .max = 1000000, .doc = "How many run at the same time; 0 is all of them." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Two tasks at a time.", "concurrent: 2\n"
                              "tasks:\n"
                              "  - id: north\n"
                              "    type: io.kestra.plugin.core.debug.Return\n"
                              "    format: north\n"
                              "  - id: south\n"
                              "    type: io.kestra.plugin.core.debug.Return\n"
                              "    format: south\n"
                              "  - id: west\n"
                              "    type: io.kestra.plugin.core.debug.Return\n"
                              "    format: west\n" },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.flows.Parallel", NULL };

const struct plugin task_flow_parallel = {
    .id = FLOW_TYPE("Parallel"),
    .role = PLUGIN_TASK,
    .task_kind = TASK_FLOWABLE,
    .title = "Run tasks at the same time.",
    .doc = "Without `errors` and `finally` the group has failed as soon as one of its tasks has.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .flowable_ops = &ops,
};
