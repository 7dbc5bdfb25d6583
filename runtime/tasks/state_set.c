/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/tasks/state.h"
#include "runtime/worker/kv.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

struct props {
    struct state_ref state;
    const struct value *data;
};

static const struct prop props[] = {
    STATE_ROWS(struct props, state),
    { "data", MAP(struct props, data), .item = PROP_ANY, .flags = PROP_EXPR,
      .doc = "Map to merge into the state." },
    { 0 },
};

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    const struct services *services = ctx->services;
    const struct value *old = NULL;

    char *key = state_key(ctx, &p->state);
    if (!state_get(ctx, key, &old, err))
        return false;
    const struct value *given = p->data == NULL ? &value_empty_map : p->data;
    const struct value *data = old == NULL ? given : value_merge(ctx->arena, old, given, false);
    struct kv_entry entry = {
        .key = key,
        .value = data,
        .type = kv_kinds[KV_JSON],
        .expires_at = USEC_NEVER,
    };
    if (!services->kv_put(services->data, ctx->namespace, &entry, true, err))
        return false;
    value_put_int(out, "count", (int64_t)value_count(data));
    value_put_text(out, "key", key);
    return true;
}

static const struct plugin_output outputs[] = {
    { "count", "integer", "Number of members of the state." },
    { "key", "string", "Key of the entry that holds it." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.states.Set", NULL };

static const struct plugin_example examples[] = {
    { "Note a watermark", "name: watermark\n"
                          "data:\n"
                          "  last: \"{{ outputs.query.row.last }}\"\n" },
    { 0 },
};

const struct plugin task_state_set = {
    .id = "io.kestra.plugin.core.state.Set",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Merge a map into a state of the flow.",
    .doc = "Use the tasks of the key-value store instead.",
    .flags = PLUGIN_DEPRECATED,
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
