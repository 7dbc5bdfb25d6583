/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions evaluated while a request is answered: input defaults, checks, webhook keys, eval.
 * Functions with effects are answered at once, on the calling thread.
 */
#ifndef RUNTIME_API_HOST_H
#define RUNTIME_API_HOST_H

#include "base/clock.h"
#include "core/expr/expr.h"
#include "runtime/api/call.h"

struct redact;

struct api_host {
    struct expr_env env;
    struct expr_host host;
    struct api *api;
    const char *namespace;
    const char *flow_id;
    const char *execution_id;
    struct redact *secrets; /* values of secret() that were used; freed by api_host_release() */
};

/*
 * Ready to render with host->env.
 *
 * context  map of the root variables; see host_flow_context()
 */
void api_host_init(struct api_host *host,
                   struct api *api,
                   const char *namespace,
                   const char *flow_id,
                   const struct value *context,
                   uint64_t seed);
void api_host_release(struct api_host *host);

/* Root variables before an execution exists: flow, namespace, vars, labels, envs, globals, kestra.
 */
const struct value *host_flow_context(struct arena *arena,
                                      const struct api *api,
                                      const struct flow *flow);

#endif
