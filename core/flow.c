/* SPDX-License-Identifier: Apache-2.0 */
#include "core/flow.h"

#include "base/arena.h"
#include "base/str.h"

struct flow *flow_ref(struct flow *flow)
{
    atomic_fetch_add_explicit(&flow->refs, 1, memory_order_relaxed);
    return flow;
}

void flow_unref(struct flow *flow)
{
    if (flow == NULL || atomic_fetch_sub_explicit(&flow->refs, 1, memory_order_acq_rel) != 1)
        return;
    map_free(&flow->tasks_by_id);
    arena_free(flow->arena); // holds the flow itself
}

void flow_unrefp(struct flow **flow)
{
    flow_unref(*flow);
}

struct task *flow_find_task(const struct flow *flow, const char *id)
{
    return map_find(&flow->tasks_by_id, id);
}

const struct trigger *flow_find_trigger(const struct flow *flow, const char *id)
{
    for (size_t i = 0; i < flow->triggers_count; i++) {
        if (str_eq(flow->triggers[i].id, id))
            return &flow->triggers[i];
    }
    return NULL;
}

static struct task_list *find_list(struct task_list *lists, size_t count, enum task_slot slot)
{
    for (size_t i = 0; i < count; i++) {
        if (lists[i].slot == slot)
            return &lists[i];
    }
    return NULL;
}

struct task_list *flow_list(const struct flow *flow, enum task_slot slot)
{
    return find_list(flow->lists, flow->lists_count, slot);
}

struct task_list *task_list(const struct task *task, enum task_slot slot)
{
    return find_list(task->lists, task->lists_count, slot);
}
