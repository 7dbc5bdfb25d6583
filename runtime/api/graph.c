/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The graph of a flow (api.md 3.9).
 *
 * A sequence is start → task → … → end. A flowable with children is a cluster of its own: start →
 * the flowable's node → children → end. Edges into it go to its start, edges out leave its end.
 */
#include "runtime/api/graph.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/id.h"
#include "base/str.h"
#include "base/vec.h"
#include "core/flow.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/api/flows.h"

#define HIERARCHY "io.kestra.core.models.hierarchies."

/* Nodes of one graph: of an execution of a wide loop the first iterations are shown. */
#define NODES_MAX 10000U

/* Subflows inside subflows. */
#define EXPANSION_MAX 8U

enum relation {
    RELATION_NONE,
    RELATION_SEQUENTIAL,
    RELATION_PARALLEL,
    RELATION_CHOICE,
    RELATION_DYNAMIC,
    RELATION_ERROR,
};

static const char *const relation_names[] = {
    [RELATION_NONE] = NULL,           [RELATION_SEQUENTIAL] = "SEQUENTIAL",
    [RELATION_PARALLEL] = "PARALLEL", [RELATION_CHOICE] = "CHOICE",
    [RELATION_DYNAMIC] = "DYNAMIC",   [RELATION_ERROR] = "ERROR",
};

struct cluster {
    const struct cluster *parent; /* NULL: outermost, which is not listed */
    const char *uid;              /* "root", "root.par" */
    const char *start;
    const char *end;
    VEC(const char *) members;
};

struct graph {
    struct arena *arena;
    const struct execution *execution; /* NULL none */
    struct value_builder nodes;
    struct value_builder edges;
    struct value_builder clusters;
    size_t nodes_count;
    const char *branch; /* branchType of what is being drawn, NULL none */
    /* Expansion of subflows: uids of their tasks, where their flows come from, flows in use. */
    struct call *call; /* NULL: none is expanded */
    VEC(const char *) expanded;
    VEC(struct flow *) flows;
    size_t depth;
};

/* An edge that is still to be drawn: where it comes from and what it means. */
struct tail {
    const char *from;
    enum relation relation;
    const char *value; /* of RELATION_CHOICE */
};

/* Where edges enter and leave what was drawn. */
struct ends {
    const char *in;
    const char *out;
};

/* ---- points and edges ---- */

static struct value_builder begin_node(struct graph *graph, const char *uid, const char *type)
{
    struct value_builder node = value_build(graph->arena);
    value_put_text(&node, "uid", uid);
    value_put_text(&node, "type", arena_printf(graph->arena, HIERARCHY "%s", type));
    value_put_text(&node, "branchType", graph->branch);
    return node;
}

static const struct value *end_node(struct graph *graph,
                                    struct cluster *cluster,
                                    const char *uid,
                                    struct value_builder *node)
{
    const struct value *value = value_build_map(node);
    value_add(&graph->nodes, value);
    graph->nodes_count++;
    *VEC_PUSH_ARENA(graph->arena, &cluster->members) = uid;
    return value;
}

static const char *add_point(struct graph *graph,
                             struct cluster *cluster,
                             const char *name,
                             const char *type)
{
    const char *path = arena_printf(graph->arena, "%s.%s", cluster->uid, name);
    struct id id = id_derive("graph", path, strlen(path));
    const char *uid = arena_printf(graph->arena, "%s-%s", path, id.text);
    struct value_builder node = begin_node(graph, uid, type);
    (void)end_node(graph, cluster, uid, &node);
    return uid;
}

static void add_edge(struct graph *graph, struct tail tail, const char *to)
{
    struct value_builder about = value_build(graph->arena);
    value_put_text(&about, "relationType", relation_names[tail.relation]);
    value_put_text(&about, "value", tail.value);
    struct value_builder edge = value_build(graph->arena);
    value_put_text(&edge, "source", tail.from);
    value_put_text(&edge, "target", to);
    value_put(&edge, "relation", value_build_map(&about));
    value_add(&graph->edges, value_build_map(&edge));
}

static struct tail after(const char *from, enum relation relation)
{
    return (struct tail){ .from = from, .relation = relation };
}

static struct cluster begin_cluster(struct graph *graph,
                                    const struct cluster *parent,
                                    const char *uid)
{
    struct cluster cluster = { .parent = parent, .uid = uid };
    cluster.start = add_point(graph, &cluster, "root", "GraphClusterRoot");
    cluster.end = add_point(graph, &cluster, "end", "GraphClusterEnd");
    return cluster;
}

static void put_parents(struct graph *graph,
                        struct value_builder *list,
                        const struct cluster *cluster)
{
    if (cluster == NULL || cluster->parent == NULL)
        return;
    put_parents(graph, list, cluster->parent);
    const char *uid = arena_printf(graph->arena, "cluster_%s", cluster->uid);
    value_add(list, value_string(graph->arena, uid));
}

/* Lists a cluster. task_node: of the flowable, NULL none. */
static void end_cluster(struct graph *graph,
                        const struct cluster *cluster,
                        const char *type,
                        const struct value *task_node)
{
    const char *uid = arena_printf(graph->arena, "cluster_%s", cluster->uid);
    struct value_builder about = begin_node(graph, uid, type);
    if (task_node != NULL)
        value_put(&about, "taskNode", task_node);
    struct value_builder members = value_build(graph->arena);
    for (size_t i = 0; i < cluster->members.count; i++)
        value_add(&members, value_string(graph->arena, cluster->members.items[i]));
    struct value_builder parents = value_build(graph->arena);
    put_parents(graph, &parents, cluster->parent);

    struct value_builder map = value_build(graph->arena);
    value_put(&map, "cluster", value_build_map(&about));
    value_put(&map, "nodes", value_build_list(&members));
    value_put(&map, "parents", value_build_list(&parents));
    value_put_text(&map, "start", cluster->start);
    value_put_text(&map, "end", cluster->end);
    value_add(&graph->clusters, value_build_map(&map));
}

/* ---- tasks ---- */

static enum relation children_relation(const struct task *task)
{
    static const struct {
        const char *suffix;
        enum relation relation;
    } rows[] = {
        { ".Parallel", RELATION_PARALLEL },
        { ".EachParallel", RELATION_DYNAMIC },
        { ".Dag", RELATION_PARALLEL },
        { ".ForEach", RELATION_DYNAMIC },
        { ".EachSequential", RELATION_DYNAMIC },
        { ".Loop", RELATION_DYNAMIC },
        { ".LoopUntil", RELATION_DYNAMIC },
        { ".Switch", RELATION_CHOICE },
        { ".If", RELATION_CHOICE },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (str_ends(task->type->id, rows[i].suffix))
            return rows[i].relation;
    }
    return RELATION_SEQUENTIAL;
}

static bool has_children(const struct task *task)
{
    for (size_t i = 0; i < task->lists_count; i++) {
        if (task->lists[i].all_count > 0)
            return true;
    }
    return false;
}

static const struct value *draw_node(struct graph *graph,
                                     struct cluster *cluster,
                                     const struct task *task,
                                     const struct task_run *run,
                                     const char *uid,
                                     enum relation relation)
{
    bool is_subflow = task->type->task_kind == TASK_EXECUTABLE;
    struct value_builder node =
        begin_node(graph, uid, is_subflow ? "SubflowGraphTask" : "GraphTask");
    value_put(&node, "task", task->doc);
    value_put_text(&node, "relationType", relation_names[relation]);
    if (run != NULL)
        value_put(&node, "taskRun", task_run_to_value(graph->execution, run, graph->arena));
    if (run != NULL && run->value != NULL) {
        const struct value *value = value_string(graph->arena, run->value);
        value_put(&node, "values", value_list(graph->arena, &value, 1));
    }
    return end_node(graph, cluster, uid, &node);
}

static struct ends draw_task(struct graph *graph,
                             struct cluster *cluster,
                             const struct task *task,
                             const struct task_run *run,
                             enum relation relation);

/*
 * The tasks of a list, one after the other or all after the same.
 *
 * tail  the edge into the first (or into each)
 * to    where the last (or each) leads to, NULL: the caller draws that edge
 * Returns the end of the last task; tail.from when there is none
 */
static const char *draw_list(struct graph *graph,
                             struct cluster *cluster,
                             const struct task_list *list,
                             const struct task_run *parent,
                             struct tail tail,
                             bool is_parallel,
                             const char *to);

/* Task runs of a task below a parent run; at least one entry, NULL when there is no run. */
static size_t find_runs(struct graph *graph,
                        const struct task *task,
                        const struct task_run *parent,
                        const struct task_run ***out)
{
    static const struct task_run *none[1];
    *out = none;
    if (graph->execution == NULL)
        return 1;
    VEC(const struct task_run *) runs = { 0 };
    for (size_t i = 0; i < graph->execution->runs.count; i++) {
        const struct task_run *run = graph->execution->runs.items[i];
        if (str_eq(run->task_id, task->id) && run->parent == parent)
            *VEC_PUSH_ARENA(graph->arena, &runs) = run;
    }
    if (runs.count == 0)
        return 1;
    *out = runs.items;
    return runs.count;
}

static const char *draw_list(struct graph *graph,
                             struct cluster *cluster,
                             const struct task_list *list,
                             const struct task_run *parent,
                             struct tail tail,
                             bool is_parallel,
                             const char *to)
{
    const char *last = tail.from;
    for (size_t i = 0; list != NULL && i < list->all_count; i++) {
        const struct task_run **runs = NULL;
        size_t count = find_runs(graph, list->all[i], parent, &runs);
        for (size_t j = 0; j < count && graph->nodes_count < NODES_MAX; j++) {
            struct ends ends = draw_task(graph, cluster, list->all[i], runs[j], tail.relation);
            add_edge(graph, tail, ends.in);
            last = ends.out;
            if (is_parallel && to != NULL)
                add_edge(graph, after(ends.out, RELATION_NONE), to);
            else if (!is_parallel)
                tail = after(ends.out, RELATION_SEQUENTIAL);
        }
    }
    if (!is_parallel && to != NULL)
        add_edge(graph, after(last, RELATION_NONE), to);
    return last;
}

/* Dag: edges follow dependsOn; tasks that nobody waits for lead to the end. */
static void draw_dag(struct graph *graph,
                     struct cluster *cluster,
                     const struct task_list *list,
                     const struct task_run *run,
                     const char *from)
{
    struct ends *ends = ARENA_ARRAY(graph->arena, list->all_count, struct ends);
    bool *is_awaited = ARENA_ARRAY(graph->arena, list->all_count, bool);
    for (size_t i = 0; i < list->all_count; i++) {
        const struct task_run **runs = NULL;
        (void)find_runs(graph, list->all[i], run, &runs);
        ends[i] = draw_task(graph, cluster, list->all[i], runs[0], RELATION_SEQUENTIAL);
    }
    for (size_t i = 0; i < list->all_count; i++) {
        const struct value *depends = list->all[i]->depends_on;
        for (size_t j = 0; j < value_count(depends); j++) {
            for (size_t k = 0; k < list->all_count; k++) {
                if (!str_eq(list->all[k]->id, value_cstr(value_item(depends, j))))
                    continue;
                is_awaited[k] = true;
                add_edge(graph, after(ends[k].out, RELATION_SEQUENTIAL), ends[i].in);
            }
        }
        if (value_count(depends) == 0)
            add_edge(graph, after(from, RELATION_PARALLEL), ends[i].in);
    }
    for (size_t i = 0; i < list->all_count; i++) {
        if (!is_awaited[i])
            add_edge(graph, after(ends[i].out, RELATION_NONE), cluster->end);
    }
}

/* Name of a choice: the case, or what the property says. */
static const char *choice_name(const struct task_list *list)
{
    switch ((int)list->slot) {
    case SLOT_CASE:
        return list->name;
    case SLOT_ELSE:
        return "else";
    case SLOT_DEFAULT:
        return "defaults";
    default:
        return "then";
    }
}

/* The lists that an error, or the end, of a flow or flowable starts, on the way to its end. */
static void draw_branches(struct graph *graph,
                          struct cluster *cluster,
                          const struct task_list *lists,
                          size_t count,
                          const struct task_run *parent,
                          const char *end)
{
    for (size_t i = 0; i < count; i++) {
        if (lists[i].slot != SLOT_ERRORS || lists[i].all_count == 0)
            continue;
        const char *outer = graph->branch;
        graph->branch = "ERROR";
        (void)draw_list(graph, cluster, &lists[i], parent, after(cluster->start, RELATION_ERROR),
                        false, end);
        graph->branch = outer;
    }
}

/*
 * One point, then a list, before the end (finally, afterExecution).
 *
 * Returns  where what comes before leads to
 */
static const char *draw_last(struct graph *graph,
                             struct cluster *cluster,
                             const struct task_list *list,
                             const struct task_run *parent,
                             const char *branch,
                             const char *name,
                             const char *type,
                             const char *end)
{
    if (list == NULL || list->all_count == 0)
        return end;
    const char *outer = graph->branch;
    graph->branch = branch;
    const char *point = add_point(graph, cluster, name, type);
    (void)draw_list(graph, cluster, list, parent, after(point, RELATION_SEQUENTIAL), false, end);
    graph->branch = outer;
    return point;
}

static const struct task_list *find_list(const struct task_list *lists,
                                         size_t count,
                                         enum task_slot slot)
{
    for (size_t i = 0; i < count; i++) {
        if (lists[i].slot == slot)
            return &lists[i];
    }
    return NULL;
}

static struct ends draw_flowable(struct graph *graph,
                                 struct cluster *parent,
                                 const struct task *task,
                                 const struct task_run *run,
                                 const char *uid,
                                 enum relation relation)
{
    struct cluster cluster = begin_cluster(graph, parent, uid);
    const struct value *node = draw_node(graph, &cluster, task, run, uid, relation);
    add_edge(graph, after(cluster.start, RELATION_NONE), uid);
    const char *end =
        draw_last(graph, &cluster, find_list(task->lists, task->lists_count, SLOT_FINALLY), run,
                  "FINALLY", "finally", "GraphClusterFinally", cluster.end);
    enum relation inner = children_relation(task);
    bool is_drawn = false;
    for (size_t i = 0; i < task->lists_count; i++) {
        const struct task_list *list = &task->lists[i];
        if (list->slot == SLOT_ERRORS || list->slot == SLOT_FINALLY || list->all_count == 0)
            continue;
        if (str_ends(task->type->id, ".Dag")) {
            draw_dag(graph, &cluster, list, run, uid);
        } else {
            struct tail tail = after(uid, inner);
            if (inner == RELATION_CHOICE)
                tail.value = choice_name(list);
            bool is_parallel = inner == RELATION_PARALLEL;
            (void)draw_list(graph, &cluster, list, run, tail, is_parallel, end);
        }
        is_drawn = true;
    }
    if (!is_drawn)
        add_edge(graph, after(uid, RELATION_NONE), end);
    draw_branches(graph, &cluster, task->lists, task->lists_count, run, end);
    end_cluster(graph, &cluster, "GraphCluster", node);
    return (struct ends){ cluster.start, cluster.end };
}

/* The flow that a subflow task names; NULL when it is not known. */
static struct flow *find_subflow(struct graph *graph, const struct task *task)
{
    const char *namespace = value_get_text(task->doc, "namespace", NULL);
    const char *flow_id = value_get_text(task->doc, "flowId", NULL);
    struct flow_row row;
    struct error err = { 0 };
    struct store_reader *reader = graph->call->reader;
    if (namespace == NULL || flow_id == NULL || reader == NULL || graph->depth >= EXPANSION_MAX ||
        !reader->ops->flow_get(reader, graph->arena, namespace, flow_id,
                               value_get_int(task->doc, "revision", 0), false, &row, &err))
        return NULL;
    struct flow *flow = call_flow(graph->call, &row, &err);
    if (flow != NULL) // nodes borrow from it until the answer is written
        *VEC_PUSH_ARENA(graph->arena, &graph->flows) = flow;
    return flow;
}

static struct ends draw_subflow(struct graph *graph,
                                struct cluster *parent,
                                const struct task *task,
                                const struct flow *flow,
                                const char *uid,
                                enum relation relation)
{
    const struct execution *execution = graph->execution;
    graph->execution = NULL;
    graph->depth++;
    struct cluster cluster = begin_cluster(graph, parent, uid);
    const struct value *node = draw_node(graph, &cluster, task, NULL, uid, relation);
    add_edge(graph, after(cluster.start, RELATION_NONE), uid);
    (void)draw_list(graph, &cluster, find_list(flow->lists, flow->lists_count, SLOT_TASKS), NULL,
                    after(uid, RELATION_SEQUENTIAL), false, cluster.end);
    draw_branches(graph, &cluster, flow->lists, flow->lists_count, NULL, cluster.end);
    end_cluster(graph, &cluster, "SubflowGraphCluster", node);
    graph->depth--;
    graph->execution = execution;
    return (struct ends){ cluster.start, cluster.end };
}

static bool is_expanded(const struct graph *graph, const char *uid)
{
    for (size_t i = 0; i < graph->expanded.count; i++) {
        if (str_eq(graph->expanded.items[i], uid))
            return true;
    }
    return false;
}

static struct ends draw_task(struct graph *graph,
                             struct cluster *cluster,
                             const struct task *task,
                             const struct task_run *run,
                             enum relation relation)
{
    const char *uid = arena_printf(graph->arena, "%s.%s", cluster->uid, task->id);
    if (run != NULL && run->value != NULL)
        uid = arena_printf(graph->arena, "%s_%s", uid, run->value);
    if (task->type->task_kind == TASK_FLOWABLE && has_children(task))
        return draw_flowable(graph, cluster, task, run, uid, relation);
    if (task->type->task_kind == TASK_EXECUTABLE && is_expanded(graph, uid)) {
        const struct flow *flow = find_subflow(graph, task);
        if (flow != NULL)
            return draw_subflow(graph, cluster, task, flow, uid, relation);
    }
    (void)draw_node(graph, cluster, task, run, uid, relation);
    return (struct ends){ uid, uid };
}

/* ---- triggers, and the whole ---- */

static void draw_triggers(struct graph *graph, struct cluster *root, const struct flow *flow)
{
    if (flow->triggers_count == 0)
        return;
    struct cluster cluster = begin_cluster(graph, root, "root.Triggers");
    for (size_t i = 0; i < flow->triggers_count; i++) {
        const char *uid = arena_printf(graph->arena, "%s.%s", cluster.uid, flow->triggers[i].id);
        struct value_builder node = begin_node(graph, uid, "GraphTrigger");
        value_put(&node, "triggerDeclaration", flow->triggers[i].doc);
        (void)end_node(graph, &cluster, uid, &node);
        add_edge(graph, after(cluster.start, RELATION_NONE), uid);
        add_edge(graph, after(uid, RELATION_NONE), cluster.end);
    }
    add_edge(graph, after(cluster.end, RELATION_NONE), root->start);
    end_cluster(graph, &cluster, "GraphCluster", NULL);
}

static const struct value *draw(struct graph *graph, const struct flow *flow)
{
    graph->nodes = value_build(graph->arena);
    graph->edges = value_build(graph->arena);
    graph->clusters = value_build(graph->arena);
    struct cluster root = begin_cluster(graph, NULL, "root");
    draw_triggers(graph, &root, flow);
    const struct task_list *lists = flow->lists;
    size_t count = flow->lists_count;
    const char *end = draw_last(graph, &root, find_list(lists, count, SLOT_AFTER_EXECUTION), NULL,
                                "AFTER_EXECUTION", "after", "GraphClusterAfterExecution", root.end);
    end = draw_last(graph, &root, find_list(lists, count, SLOT_FINALLY), NULL, "FINALLY", "finally",
                    "GraphClusterFinally", end);
    (void)draw_list(graph, &root, find_list(lists, count, SLOT_TASKS), NULL,
                    after(root.start, RELATION_NONE), false, end);
    draw_branches(graph, &root, lists, count, NULL, end);

    struct value_builder map = value_build(graph->arena);
    value_put(&map, "nodes", value_build_list(&graph->nodes));
    value_put(&map, "edges", value_build_list(&graph->edges));
    value_put(&map, "clusters", value_build_list(&graph->clusters));
    return value_build_map(&map);
}

const struct value *graph_of_flow(struct arena *arena,
                                  const struct flow *flow,
                                  const struct execution *execution)
{
    struct graph graph = { .arena = arena, .execution = execution };
    return draw(&graph, flow);
}

/* A subflow whose name is an expression is known inside an execution only. */
static const struct task *find_unknowable(const struct graph *graph, const struct flow *flow)
{
    for (size_t i = 0; i < flow->tasks_all_count && graph->expanded.count > 0; i++) {
        const struct task *task = flow->tasks_all[i];
        const char *namespace = value_get_text(task->doc, "namespace", "");
        const char *flow_id = value_get_text(task->doc, "flowId", "");
        if (task->type->task_kind != TASK_EXECUTABLE ||
            (strstr(namespace, "{{") == NULL && strstr(flow_id, "{{") == NULL))
            continue;
        for (size_t j = 0; j < graph->expanded.count; j++) {
            const char *uid = graph->expanded.items[j];
            const char *dot = strrchr(uid, '.');
            if (str_eq(dot == NULL ? uid : dot + 1, task->id))
                return task;
        }
    }
    return NULL;
}

void reply_graph(struct call *call, const struct flow *flow, const struct execution *execution)
{
    struct graph graph = { .arena = call->arena, .execution = execution, .call = call };
    for (size_t i = 0; i < call->http->query.count; i++) {
        if (str_eq(call->http->query.items[i].name, "subflows"))
            *VEC_PUSH_ARENA(call->arena, &graph.expanded) = call->http->query.items[i].value;
    }
    const struct task *unknowable = find_unknowable(&graph, flow);
    if (unknowable != NULL) {
        reply_error(
            call, 422, "Illegal argument",
            "subflow of task '%s' cannot be shown: its namespace or flowId is an expression",
            unknowable->id);
        return;
    }
    struct buf body = { 0 };
    value_write_json_full(&body, draw(&graph, flow));
    for (size_t i = 0; i < graph.flows.count; i++)
        flow_unref(graph.flows.items[i]);
    reply_buf(call, 200, "application/json", &body, NULL);
}
