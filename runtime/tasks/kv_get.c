/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/tasks/kv.h"
#include "runtime/worker/kv.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

struct props {
    const char *key;
    const char *namespace;
    bool error_on_missing;
};

static const struct prop props[] = {
    KV_KEY_ROW(struct props, key),
    KV_NAMESPACE_ROW(struct props,
                     namespace,
                     "Namespace of the entry. In the flow's own namespace its ancestors are "
                     "searched as well."),
    KV_MISSING_ROW(struct props, error_on_missing),
    { 0 },
};

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    struct kv_entry entry;
    struct error failure = { 0 };

    if (kv_find(ctx->services, ctx->arena, ctx->namespace, p->namespace, p->key, &entry,
                &failure)) {
        value_put(out, "value", entry.value);
        return true;
    }
    if (failure.code != ERR_NOT_FOUND) {
        if (err != NULL)
            *err = failure;
        return false;
    }
    if (p->error_on_missing)
        return error_set(err, ERR_NOT_FOUND, KV_MISSING_TEXT, p->key, p->namespace);
    value_put(out, "value", &value_null);
    return true;
}

static const struct plugin_output outputs[] = {
    { "value", "any", "Value of the entry with its type; null when it is missing." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Read an entry", "key: last_rows\n" },
    { 0 },
};

const struct plugin task_kv_get = {
    .id = "io.kestra.plugin.core.kv.Get",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Get the value of an entry of the key-value store.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
