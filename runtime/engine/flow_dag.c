/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"
#include "core/diag.h"
#include "runtime/engine/engine_internal.h"
#include "runtime/engine/flowables.h"

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
    plan->progression = PROGRESS_DAG;
    plan->limit = get_limit(run);
    return true;
}

/* ---- rules ---- */

static const char *entry_id(const struct value *entry)
{
    const char *id = value_get_text(value_get(entry, "task"), "id", NULL);
    return id == NULL ? "" : id;
}

enum visit { VISIT_NEW, VISIT_OPEN, VISIT_DONE };

struct walk {
    const struct value *tasks;
    const struct map *by_id; /* id -> its position, a uint32_t */
    enum visit *visits;
    uint32_t *path; /* entries under way, outermost first */
    size_t depth;
};

static size_t position_of(const struct walk *walk, const char *id)
{
    const uint32_t *position = id == NULL ? NULL : map_find(walk->by_id, id);
    return position == NULL ? SIZE_MAX : *position;
}

/*
 * Follows dependencies from one entry without recursion; false when it comes back to an entry that
 * is under way: walk->path then ends with the cycle.
 */
static bool is_acyclic_from(struct walk *walk, size_t from, uint32_t *next_of)
{
    walk->depth = 0;
    walk->path[walk->depth++] = (uint32_t)from;
    walk->visits[from] = VISIT_OPEN;
    while (walk->depth > 0) {
        size_t at = walk->path[walk->depth - 1];
        const struct value *ids = value_get(value_item(walk->tasks, at), "dependsOn");
        if (next_of[at] >= value_count(ids)) {
            walk->visits[at] = VISIT_DONE;
            walk->depth--;
            continue;
        }
        size_t on = position_of(walk, value_cstr(value_item(ids, next_of[at]++)));
        if (on == SIZE_MAX || walk->visits[on] == VISIT_DONE)
            continue;
        if (walk->visits[on] == VISIT_OPEN)
            return false;
        walk->visits[on] = VISIT_OPEN;
        walk->path[walk->depth++] = (uint32_t)on;
    }
    return true;
}

static void check_unknown(const struct value *tasks,
                          const struct map *by_id,
                          const char *path,
                          struct diag_list *findings)
{
    struct buf names = { 0 };
    const struct value *first = NULL;
    for (size_t i = 0; i < value_count(tasks); i++) {
        const struct value *ids = value_get(value_item(tasks, i), "dependsOn");
        for (size_t k = 0; k < value_count(ids); k++) {
            const char *id = value_cstr(value_item(ids, k));
            if (id == NULL || map_has(by_id, id))
                continue;
            buf_printf(&names, "%s%s", names.length == 0 ? "" : ", ", id);
            first = first == NULL ? value_item(ids, k) : first;
        }
    }
    if (names.length > 0)
        (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "unknown-dependency", first, path,
                       "Not existing task id in dependency: %s", buf_text(&names));
    buf_free(&names);
}

static void check_cycles(struct arena *arena,
                         const struct value *tasks,
                         const struct map *by_id,
                         const char *path,
                         struct diag_list *findings)
{
    size_t count = value_count(tasks);
    struct walk walk = {
        .tasks = tasks,
        .by_id = by_id,
        .visits = ARENA_ARRAY(arena, count + 1, enum visit),
        .path = ARENA_ARRAY(arena, count + 1, uint32_t),
    };
    uint32_t *next_of = ARENA_ARRAY(arena, count + 1, uint32_t);
    for (size_t i = 0; i < count; i++) {
        if (walk.visits[i] != VISIT_NEW || is_acyclic_from(&walk, i, next_of))
            continue;
        struct buf names = { 0 };
        for (size_t k = 0; k < walk.depth; k++)
            buf_printf(&names, "%s%s", k == 0 ? "" : ", ",
                       entry_id(value_item(tasks, walk.path[k])));
        (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "cyclic-dependency",
                       value_item(tasks, walk.path[0]), path, "Cyclic dependency detected: %s",
                       buf_text(&names));
        buf_free(&names);
        return;
    }
}

static void check(const struct flow *flow,
                  const struct value *map,
                  const char *path,
                  struct diag_list *findings)
{
    (void)flow;
    const struct value *tasks = value_get(map, "tasks");
    if (!value_is_list(tasks))
        return;
    struct arena *arena = arena_new();
    struct map by_id = { 0 };
    uint32_t *positions = ARENA_ARRAY(arena, value_count(tasks) + 1, uint32_t);
    for (size_t i = 0; i < value_count(tasks); i++) {
        positions[i] = (uint32_t)i;
        (void)map_put(&by_id, entry_id(value_item(tasks, i)), &positions[i]);
    }
    const char *where = arena_printf(findings->arena, "%s.tasks", path);
    check_unknown(tasks, &by_id, where, findings);
    check_cycles(arena, tasks, &by_id, where, findings);
    map_free(&by_id);
    arena_free(arena);
}

static const struct flowable_ops ops = { .start = start, .plan = plan };

static const struct prop props[] = {
    { "tasks", .kind = PROP_DAG_TASKS, .flags = PROP_REQUIRED | PROP_NOT_EMPTY,
      .doc =
          "List of `task` and `dependsOn`, the ids of tasks of the same Dag that must have ended "
          "before." },
    { "concurrent", INT(struct props, concurrent), .flags = PROP_EXPR, .fallback = "0",
      .max = 1000000, .doc = "How many run at the same time; 0 is as many as can." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "The second task waits for the first.", "tasks:\n"
                                              "  - task:\n"
                                              "      id: extract\n"
                                              "      type: io.kestra.plugin.core.debug.Return\n"
                                              "      format: extract\n"
                                              "  - task:\n"
                                              "      id: load\n"
                                              "      type: io.kestra.plugin.core.debug.Return\n"
                                              "      format: load\n"
                                              "    dependsOn: [extract]\n" },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.flows.Dag", NULL };

const struct plugin task_flow_dag = {
    .id = FLOW_TYPE("Dag"),
    .role = PLUGIN_TASK,
    .task_kind = TASK_FLOWABLE,
    .title = "Run tasks in the order of their dependencies.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .check = check,
    .flowable_ops = &ops,
};
