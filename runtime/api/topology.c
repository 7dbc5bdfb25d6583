/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What leads to a flow and what it leads to: subflow calls and flow triggers (api.md 3.10).
 *
 * Where a flow leads is in its own document. Who leads to it is found by a search for its id in all
 * sources, then by parsing only what the search leaves.
 */
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "core/flow.h"
#include "core/value.h"
#include "runtime/api/call.h"
#include "runtime/api/graph.h"

/* Flows of one answer. */
#define TOPOLOGY_FLOWS_MAX 1000U

/* Sources that may mention a flow. */
#define CANDIDATES_MAX 10000U

struct topology {
    struct call *call;
    struct map seen; /* uid -> flow_name */
    VEC(struct flow_name) queue;
    struct map edges;
    struct value_builder nodes_list;
    struct value_builder edges_list;
    bool wants_sources; /* who leads to a flow */
    bool expands;       /* dependencies of dependencies */
};

static const char *uid_of(struct topology *topology, const char *namespace, const char *id)
{
    struct call *call = topology->call;
    return arena_printf(call->arena, "%s_%s_%s", call->api->config.tenant, namespace, id);
}

/* Adds a flow once; it is looked at later. */
static const char *add_flow(struct topology *topology, const char *namespace, const char *id)
{
    struct arena *arena = topology->call->arena;
    const char *uid = uid_of(topology, namespace, id);
    if (map_has(&topology->seen, uid) || topology->seen.count >= TOPOLOGY_FLOWS_MAX)
        return uid;
    (void)map_put(&topology->seen, uid, topology);
    struct flow_name *name = VEC_PUSH_ARENA(arena, &topology->queue);
    name->namespace = arena_strdup(arena, namespace);
    name->id = arena_strdup(arena, id);
    struct value_builder node = value_build(arena);
    value_put_text(&node, "uid", uid);
    value_put_text(&node, "tenantId", topology->call->api->config.tenant);
    value_put_text(&node, "namespace", namespace);
    value_put_text(&node, "id", id);
    value_add(&topology->nodes_list, value_build_map(&node));
    return uid;
}

static void add_edge(struct topology *topology,
                     const char *from,
                     const char *to,
                     const char *relation)
{
    struct arena *arena = topology->call->arena;
    const char *key = arena_printf(arena, "%s\n%s\n%s", from, to, relation);
    if (map_has(&topology->edges, key))
        return;
    (void)map_put(&topology->edges, key, topology);
    struct value_builder edge = value_build(arena);
    value_put_text(&edge, "source", from);
    value_put_text(&edge, "target", to);
    value_put_text(&edge, "relation", relation);
    value_add(&topology->edges_list, value_build_map(&edge));
}

/*
 * Edges that the references of one flow make; only those that touch `only` when it is not NULL.
 */
static void add_references(struct topology *topology, const struct flow *flow, const char *only)
{
    struct arena *arena = topology->call->arena;
    size_t count = 0;
    const struct flow_reference *references = flow_references(flow, arena, &count);
    for (size_t i = 0; i < count; i++) {
        const struct flow_reference *reference = &references[i];
        bool is_call = reference->kind == REF_SUBFLOW;
        if ((!is_call && reference->kind != REF_FLOW_TRIGGER) || reference->name == NULL)
            continue;
        const char *namespace =
            reference->namespace != NULL ? reference->namespace : flow->namespace;
        if (only != NULL && !str_eq(uid_of(topology, namespace, reference->name), only))
            continue;
        const char *own = add_flow(topology, flow->namespace, flow->id);
        const char *other = add_flow(topology, namespace, reference->name);
        // a flow trigger is drawn from the flow that is listened to
        if (is_call)
            add_edge(topology, own, other, "FLOW_TASK");
        else
            add_edge(topology, other, own, "FLOW_TRIGGER");
    }
}

static bool add_destinations(struct topology *topology,
                             const struct flow_name *name,
                             struct error *err)
{
    struct call *call = topology->call;
    struct flow_row row;
    struct error cause = { 0 };
    if (!call->reader->ops->flow_get(call->reader, call->arena, name->namespace, name->id, 0, false,
                                     &row, &cause)) {
        if (cause.code == ERR_NOT_FOUND)
            return true;
        *err = cause;
        return false;
    }
    struct flow *flow = call_flow(call, &row, &cause);
    if (flow != NULL)
        add_references(topology, flow, NULL);
    flow_unref(flow);
    return true;
}

static bool add_sources(struct topology *topology, const struct flow_name *name, struct error *err)
{
    struct call *call = topology->call;
    struct filter filter = {
        .field = FIELD_TEXT, .match = MATCH_EQUAL, .values = &name->id, .values_count = 1
    };
    struct query query = {
        .filters = &filter, .filters_count = 1, .sort = FIELD_COUNT, .limit = CANDIDATES_MAX
    };
    struct flow_row *rows = NULL;
    size_t count = 0;
    if (!call->reader->ops->flow_search(call->reader, call->arena, &query, true, &rows, &count,
                                        NULL, err))
        return false;
    const char *uid = uid_of(topology, name->namespace, name->id);
    for (size_t i = 0; i < count; i++) {
        struct error ignored = { 0 };
        struct flow *flow = call_flow(call, &rows[i], &ignored);
        if (flow != NULL)
            add_references(topology, flow, uid);
        flow_unref(flow);
    }
    return true;
}

static bool walk(struct topology *topology, size_t first_count, struct error *err)
{
    for (size_t i = 0; i < topology->queue.count; i++) {
        if (i >= first_count && !topology->expands)
            break;
        struct flow_name name = topology->queue.items[i];
        if (!add_destinations(topology, &name, err) ||
            (topology->wants_sources && !add_sources(topology, &name, err)))
            return false;
    }
    return true;
}

/* Flows of a namespace as the first of the queue. */
static bool add_namespace(struct topology *topology, const char *namespace, struct error *err)
{
    struct call *call = topology->call;
    struct filter filter = {
        .field = FIELD_NAMESPACE, .match = MATCH_PREFIX, .values = &namespace, .values_count = 1
    };
    struct query query = {
        .filters = &filter, .filters_count = 1, .sort = FIELD_COUNT, .limit = TOPOLOGY_FLOWS_MAX
    };
    struct flow_row *rows = NULL;
    size_t count = 0;
    if (!call->reader->ops->flow_search(call->reader, call->arena, &query, false, &rows, &count,
                                        NULL, err))
        return false;
    for (size_t i = 0; i < count; i++)
        (void)add_flow(topology, rows[i].namespace, rows[i].id);
    return true;
}

/* Looks at all flows; on failure replies and returns false. */
static bool topology_build(struct topology *topology,
                           struct call *call,
                           const char *namespace,
                           const char *flow_id)
{
    if (call_reader(call) == NULL)
        return false;
    *topology = (struct topology){
        .call = call,
        .nodes_list = value_build(call->arena),
        .edges_list = value_build(call->arena),
        .wants_sources = flow_id != NULL && !call_query_bool(call, "destinationOnly", false),
        .expands = call_query_bool(call, "expandAll", false),
    };
    struct error err = { 0 };
    bool ok = true;
    if (flow_id != NULL)
        (void)add_flow(topology, namespace, flow_id);
    else
        ok = add_namespace(topology, namespace, &err);
    ok = ok && walk(topology, topology->queue.count, &err);
    map_free(&topology->seen);
    map_free(&topology->edges);
    if (!ok)
        reply_failure(call, &err);
    return ok;
}

bool dependency_flows(struct call *call,
                      const char *namespace,
                      const char *flow_id,
                      struct flow_name **out,
                      size_t *count)
{
    struct topology topology;
    if (!topology_build(&topology, call, namespace, flow_id))
        return false;
    *out = topology.queue.items;
    *count = topology.queue.count;
    return true;
}

void reply_dependencies(struct call *call, const char *namespace, const char *flow_id)
{
    struct topology topology;
    if (!topology_build(&topology, call, namespace, flow_id))
        return;
    struct value_builder map = value_build(call->arena);
    value_put(&map, "nodes", value_build_list(&topology.nodes_list));
    value_put(&map, "edges", value_build_list(&topology.edges_list));
    reply_value(call, 200, value_build_map(&map));
}
