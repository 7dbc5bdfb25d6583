/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/api/host.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/redact.h"
#include "base/str.h"
#include "core/flow.h"
#include "core/value.h"
#include "runtime/engine/engine.h"
#include "runtime/worker/services.h"

static const struct value *answer_secret(struct api_host *host,
                                         struct arena *arena,
                                         const struct value *arguments,
                                         struct error *err)
{
    const struct services *services = host->api->config.services;
    const char *key = value_get_text(arguments, "key", "");
    const char *namespace = value_get_text(arguments, "namespace", host->namespace);
    const char *secret = services->secret(services->data, arena, namespace, key, err);
    if (secret == NULL)
        return NULL;
    (void)redact_add(host->secrets, secret);
    return value_string(arena, secret);
}

static const struct value *answer_kv(struct api_host *host,
                                     struct arena *arena,
                                     const struct value *arguments,
                                     struct error *err)
{
    const struct services *services = host->api->config.services;
    const char *key = value_get_text(arguments, "key", "");
    const char *namespace = value_get_text(arguments, "namespace", NULL);
    bool is_exact = namespace != NULL;
    char *at = arena_strdup(arena, is_exact ? namespace : host->namespace);
    for (;;) {
        struct kv_entry entry;
        struct error cause = { 0 };
        if (services->kv_get(services->data, arena, at, key, &entry, &cause))
            return entry.value;
        char *dot = strrchr(at, '.');
        if (cause.code != ERR_NOT_FOUND) {
            *err = cause;
            return NULL;
        }
        if (is_exact || dot == NULL)
            break;
        *dot = '\0'; // a parent namespace may have it
    }
    if (!value_get_bool(arguments, "errorOnMissing", true))
        return &value_null;
    error_set(err, ERR_NOT_FOUND, "The key '%s' does not exist in the namespace '%s'.", key,
              is_exact ? namespace : host->namespace);
    return NULL;
}

static const struct value *answer(void *data,
                                  struct arena *arena,
                                  const char *function,
                                  const struct value *arguments,
                                  struct error *err)
{
    struct api_host *host = data;
    if (str_eq(function, "secret"))
        return answer_secret(host, arena, arguments, err);
    if (str_eq(function, "kv"))
        return answer_kv(host, arena, arguments, err);
    error_set(err, ERR_INVALID, "function '%s' cannot be used before an execution exists",
              function);
    return NULL;
}

static void note_secret(void *data, const char *text, size_t length)
{
    struct api_host *host = data;
    (void)redact_add_bytes(host->secrets, text, length);
}

void api_host_init(struct api_host *host,
                   struct api *api,
                   const char *namespace,
                   const char *flow_id,
                   const struct value *context,
                   uint64_t seed)
{
    *host = (struct api_host){
        .api = api,
        .namespace = namespace,
        .flow_id = flow_id,
        .secrets = redact_new(NULL),
        .host = { .call = answer, .secret = note_secret, .data = host },
        .env = {
            .context = context,
            .now = clock_now(),
            .zone = api->config.zone,
            .seed = seed,
        },
    };
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
