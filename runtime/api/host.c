/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/api/host.h"

#include "base/arena.h"
#include "base/redact.h"
#include "core/flow.h"
#include "core/value.h"
#include "runtime/engine/engine.h"

void api_host_init(struct api_host *host,
                   struct api *api,
                   const struct value *context,
                   uint64_t seed,
                   bool is_preview)
{
    *host = (struct api_host){
        .secrets = redact_new(NULL),
        .env = {
            .context = context,
            .now = clock_now(),
            .zone = api->config.zone,
            .seed = seed,
        },
    };
    host->evaluate = (struct evaluate){
        .services = api->config.services,
        .context = context,
        .redact = host->secrets,
        .is_preview = is_preview,
    };
    host->host = evaluate_host(&host->evaluate);
    host->env.host = &host->host;
}

void api_host_release(struct api_host *host)
{
    redact_free(host->secrets);
    host->secrets = NULL;
}

const struct value *host_flow_context(struct arena *arena,
                                      const struct api *api,
                                      const struct flow *flow)
{
    const struct engine_world *world = api->config.world;
    struct value_builder about = value_build(arena);
    value_put_text(&about, "id", flow->id);
    value_put_text(&about, "namespace", flow->namespace);
    value_put_int(&about, "revision", flow->revision);
    value_put_text(&about, "tenantId", api->config.tenant);
    struct value_builder labels = value_build(arena);
    for (size_t i = 0; i < flow->labels_count; i++)
        value_put_text(&labels, flow->labels[i].key, flow->labels[i].value);

    struct value_builder context = value_build(arena);
    value_put(&context, "flow", value_build_map(&about));
    value_put_text(&context, "namespace", flow->namespace);
    value_put(&context, "vars", flow->variables != NULL ? flow->variables : &value_empty_map);
    value_put(&context, "labels", value_build_map(&labels));
    if (world->envs != NULL)
        value_put(&context, "envs", world->envs);
    if (world->globals != NULL)
        value_put(&context, "globals", world->globals);
    if (world->kestra != NULL)
        value_put(&context, "kestra", world->kestra);
    return value_build_map(&context);
}
