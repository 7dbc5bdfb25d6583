/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/tasks/state.h"

#include <string.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "core/value.h"
#include "runtime/storage/storage.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

/* Characters that a key may not have become '-'. */
static char *safe(struct task_ctx *ctx, const char *text)
{
    char *out = arena_strdup(ctx->arena, text);
    for (char *at = out; *at != '\0'; at++) {
        bool ok = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                  (*at >= '0' && *at <= '9') || *at == '.' || *at == '_' || *at == '-';
        if (!ok)
            *at = '-';
    }
    return out;
}

char *state_key(struct task_ctx *ctx, const struct state_ref *ref)
{
    const char *flow =
        ref->is_namespace ? ""
                          : arena_printf(ctx->arena, "%s_", storage_slug(ctx->arena, ctx->flow_id));
    const char *value = "";
    if (ref->by_value && ctx->value != NULL)
        value = arena_printf(ctx->arena, "_%.32s",
                             digest_sha256_hex(ctx->arena, ctx->value, strlen(ctx->value)));
    return arena_printf(ctx->arena, "%sstates_%s%s", flow, safe(ctx, ref->name), value);
}

bool state_get(struct task_ctx *ctx, const char *key, const struct value **data, struct error *err)
{
    const struct services *services = ctx->services;
    struct kv_entry entry;
    struct error failure = { 0 };
    if (services->kv_get(services->data, ctx->arena, ctx->namespace, key, &entry, &failure)) {
        *data = value_is_map(entry.value) ? entry.value : &value_empty_map;
        return true;
    }
    if (failure.code == ERR_NOT_FOUND) {
        *data = NULL;
        return true;
    }
    if (err != NULL)
        *err = failure;
    return false;
}
