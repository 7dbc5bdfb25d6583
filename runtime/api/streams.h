/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that take long: server-sent events (api.md 1.12), and requests that wait for the end of
 * an execution. None of them holds a thread. Thread safe.
 */
#ifndef RUNTIME_API_STREAMS_H
#define RUNTIME_API_STREAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "runtime/api/call.h"

struct flow_name;
struct streams;

struct streams *streams_new(struct api *api, size_t streams_max, usec_t heartbeat);
/* Closes all streams, refuses new ones. Again is fine. */
void streams_end(struct streams *streams);
/* After streams_end() and after the pools are gone. NULL is fine. */
void streams_free(struct streams *streams);

/*
 * Ends the call by following an execution: `start`, `progress` on every change, `end`.
 *
 * row  its present state
 */
void stream_execution(struct call *call, const struct execution_row *row);

/*
 * Ends the call by following the executions of some flows that share a correlation: `start`,
 * `progress` on every change of state and `end` for each, `end-all` when all have ended.
 *
 * row          the execution that was asked about
 * flows        copied
 */
void stream_dependencies(struct call *call,
                         const struct execution_row *row,
                         const char *correlation,
                         const struct flow_name *flows,
                         size_t count);

/*
 * Ends the call by following the log lines of an execution: `start`, then `progress` for each line,
 * the stored ones first.
 *
 * query  which lines; borrowed from the arena of the call
 */
void stream_logs(struct call *call, const struct execution_row *row, const struct query *query);

/*
 * Gives call->driver to the driver without holding a thread. `next` runs on a pool thread when it
 * is answered, as with call_drive(), or, with call->driver.ok false and code ERR_TIMEOUT, after an
 * hour.
 */
void call_hold(struct call *call, void (*next)(struct call *call));

#endif
