/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graphs: of a flow's tasks (api.md 3.9), and between flows (3.10).
 */
#ifndef RUNTIME_API_GRAPH_H
#define RUNTIME_API_GRAPH_H

#include <stdbool.h>

#include "runtime/api/call.h"

struct execution;
struct flow;

/*
 * Graph of a flow as JSON.
 *
 * execution  NULL: the flow alone; else nodes carry task runs and iterations
 * reduced    tasks without their own properties
 */
const struct value *graph_of_flow(struct arena *arena,
                                  const struct flow *flow,
                                  const struct execution *execution);

/* Replies with the graph of a flow, subflows of the query expanded. */
void reply_graph(struct call *call, const struct flow *flow, const struct execution *execution);

struct flow_name {
    const char *namespace;
    const char *id;
};

/*
 * The flow itself, the flows it leads to and, unless the query says destinationOnly, those that
 * lead to it; expandAll: theirs too. On failure replies and returns false.
 */
bool dependency_flows(struct call *call,
                      const char *namespace,
                      const char *flow_id,
                      struct flow_name **out,
                      size_t *count);

/* Replies with the flows that lead to a flow and those it leads to. flow_id NULL: namespace. */
void reply_dependencies(struct call *call, const char *namespace, const char *flow_id);

#endif
