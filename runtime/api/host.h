/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions evaluated while a request is answered: input defaults, checks, webhook keys, eval.
 * Functions with effects are answered at once, on the calling thread.
 */
#ifndef RUNTIME_API_HOST_H
#define RUNTIME_API_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/expr/expr.h"
#include "runtime/api/call.h"
#include "runtime/worker/evaluate.h"

struct redact;

/* Stays in place while it is used. */
struct api_host {
    struct expr_env env;
    struct expr_host host;
    struct evaluate evaluate;
    struct redact *secrets; /* values of secret() that were used; freed by api_host_release() */
};

/*
 * Ready to render with host->env.
 *
 * context     map of the root variables; see host_flow_context()
 * is_preview  for a person who looks: secrets stay hidden, nothing is done elsewhere
 */
void api_host_init(struct api_host *host,
                   struct api *api,
                   const struct value *context,
                   uint64_t seed,
                   bool is_preview);
void api_host_release(struct api_host *host);

/* Root variables before an execution exists: flow, namespace, vars, labels, envs, globals, kestra.
 */
const struct value *host_flow_context(struct arena *arena,
                                      const struct api *api,
                                      const struct flow *flow);

#endif
