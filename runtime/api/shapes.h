/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON shapes of stored things (api.md 3). Pure.
 */
#ifndef RUNTIME_API_SHAPES_H
#define RUNTIME_API_SHAPES_H

#include <stdbool.h>

#include "base/clock.h"
#include "runtime/api/api.h"

struct arena;
struct buf;
struct error;
struct execution;
struct execution_row;
struct flow;
struct flow_row;
struct kv_row;
struct label;
struct log_line;
struct metric_row;
struct trigger;
struct trigger_state;
struct value;
struct value_builder;

/*
 * Appends the JSON of an execution with its runs (api.md 3.2).
 *
 * url      member of the answer to a start, NULL: left out
 * scratch  dead on return
 * Errors   ERR_INTERNAL  the row is damaged
 */
bool shape_execution(struct buf *out,
                     struct arena *scratch,
                     const struct api_config *config,
                     const struct execution_row *row,
                     const char *url,
                     struct error *err);

/* The outputs of an execution as they may be shown; borrows from it. */
const struct value *shape_outputs(const struct api_config *config,
                                  struct arena *arena,
                                  const struct execution *execution);

/* Address of an execution's page. */
const char *shape_execution_url(struct arena *arena,
                                const struct api_config *config,
                                const char *namespace,
                                const char *flow_id,
                                const char *execution_id);

const struct value *shape_log_line(struct arena *arena, const struct log_line *line);
const struct value *shape_metric(struct arena *arena, const struct metric_row *row);
/* is_restart: the reply that has no `date`. */
const struct value *shape_trigger(struct arena *arena,
                                  const struct trigger_state *state,
                                  bool is_restart);
const struct value *shape_kv(struct arena *arena, const struct kv_row *row);

/*
 * A flow (api.md 3.1).
 *
 * flow    NULL: the source does not parse any more; problem says why
 */
const struct value *shape_flow(struct arena *arena,
                               const struct api_config *config,
                               const struct flow_row *row,
                               const struct flow *flow,
                               const char *problem,
                               bool with_source);
/* The reduced form, FlowForExecution. */
const struct value *shape_flow_reduced(struct arena *arena,
                                       const struct api_config *config,
                                       const struct flow_row *row,
                                       const struct flow *flow);

/* Instant as text; puts nothing for 0 and USEC_NEVER. */
void put_time(struct value_builder *map, const char *key, usec_t at);

/* List of {key, value}. */
const struct value *shape_labels(struct arena *arena, const struct label *labels, size_t count);

#endif
