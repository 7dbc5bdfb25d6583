/* SPDX-License-Identifier: Apache-2.0 */
#include "core/flow.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "core/expr/expr.h"

struct flow *flow_ref(struct flow *flow)
{
    (void)atomic_fetch_add_explicit(&flow->refs, 1, memory_order_relaxed);
    return flow;
}

void flow_unref(struct flow *flow)
{
    if (flow == NULL || atomic_fetch_sub_explicit(&flow->refs, 1, memory_order_acq_rel) != 1)
        return;
    map_free(&flow->tasks_by_id);
    expr_cache_free(flow->cache);
    arena_free(flow->arena);
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
        if (strcmp(flow->triggers[i].id, id) == 0)
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

/* The next line that says something, without its end; NULL at the end of the text. */
static const char *next_line(const char **at, size_t *length)
{
    while (**at != '\0') {
        const char *line = *at;
        *length = strcspn(line, "\n");
        *at = line + *length + (line[*length] == '\n' ? 1 : 0);
        if (!str_starts(line, "revision:"))
            return line;
    }
    return NULL;
}

bool flow_source_equal(const char *a, const char *b)
{
    for (;;) {
        size_t a_length = 0;
        size_t b_length = 0;
        const char *a_line = next_line(&a, &a_length);
        const char *b_line = next_line(&b, &b_length);
        if (a_line == NULL || b_line == NULL)
            return a_line == b_line;
        if (a_length != b_length || memcmp(a_line, b_line, a_length) != 0)
            return false;
    }
}
