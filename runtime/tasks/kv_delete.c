/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/tasks/kv.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

struct props {
    const char *key;
    const char *namespace;
    bool error_on_missing;
};

static const struct prop props[] = {
    KV_KEY_ROW(struct props, key),
    KV_NAMESPACE_ROW(struct props, namespace, "Namespace of the entry."),
    KV_MISSING_ROW(struct props, error_on_missing),
    { 0 },
};

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    const struct services *services = ctx->services;
    bool existed = false;

    if (!services->kv_delete(services->data, p->namespace, p->key, &existed, err))
        return false;
    if (!existed && p->error_on_missing)
        return error_set(err, ERR_NOT_FOUND, KV_MISSING_TEXT, p->key, p->namespace);
    value_put_bool(out, "deleted", existed);
    return true;
}

static const struct plugin_output outputs[] = {
    { "deleted", "boolean", "Whether there was such an entry." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Forget an entry", "key: last_rows\n" },
    { 0 },
};

const struct plugin task_kv_delete = {
    .id = "io.kestra.plugin.core.kv.Delete",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Delete an entry of the key-value store.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
