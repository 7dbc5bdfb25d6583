/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/tasks/kv.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

struct props {
    const char *prefix;
    const char *namespace;
};

static const struct prop props[] = {
    { "prefix", STR(struct props, prefix), .flags = PROP_EXPR,
      .doc = "Start of the names to list; all when absent." },
    KV_NAMESPACE_ROW(struct props, namespace, "Namespace to list."),
    { 0 },
};

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    const struct services *services = ctx->services;
    struct kv_entry *entries = NULL;
    size_t count = 0;

    if (!services->kv_list(services->data, ctx->arena, p->namespace, p->prefix, &entries, &count,
                           err))
        return false;
    struct value_builder keys = value_build(ctx->arena);
    for (size_t i = 0; i < count; i++)
        value_add(&keys, value_string(ctx->arena, entries[i].key));
    value_put(out, "keys", value_build_list(&keys));
    return true;
}

static const struct plugin_output outputs[] = {
    { "keys", "list", "Names of the entries." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "List what starts alike", "prefix: last_\n" },
    { 0 },
};

const struct plugin task_kv_get_keys = {
    .id = "io.kestra.plugin.core.kv.GetKeys",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "List the keys of the key-value store.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
