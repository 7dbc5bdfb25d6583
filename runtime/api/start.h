/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What starts, validations and replays share: the flow, its inputs from a request, its checks.
 */
#ifndef RUNTIME_API_START_H
#define RUNTIME_API_START_H

#include <stdbool.h>

#include "core/inputs.h"
#include "runtime/api/call.h"
#include "runtime/api/form.h"

/* A start that is being prepared; release with start_release(). */
struct start {
    struct call *call;
    struct flow_row row;
    struct flow *flow; /* one reference */
    struct id id;      /* of the execution to be */
    struct form form;
    struct inputs_result inputs;
    struct checks_result checks;
    struct label *labels; /* of the request, system.from included */
    size_t labels_count;
};

/*
 * The flow of a revision (0: latest), ready to be executed. On failure replies 404 or 409 and
 * returns false; then there is nothing to release.
 */
bool start_flow(struct start *start,
                struct call *call,
                const char *namespace,
                const char *flow_id,
                int64_t revision);

/* Labels of query and form. On failure replies 422 and returns false. */
bool start_labels(struct start *start);

/*
 * Reads and resolves the inputs of the request and evaluates the checks; mistakes are in
 * start->inputs. On failure replies and returns false.
 */
bool start_inputs(struct start *start);

/* Refuses invalid inputs and failed blocking checks: replies 422 and returns false. */
bool start_accept(struct start *start);

void start_release(struct start *start);

/* Shape of api.md 3.6.4. */
const struct value *shape_input_validation(struct arena *arena,
                                           const char *flow_id,
                                           const char *namespace,
                                           const struct inputs_result *inputs,
                                           const struct checks_result *checks);

/* Replies 422 with one embedded error per input. */
void reply_input_errors(struct call *call, const struct inputs_result *inputs);

#endif
