/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/tasks/state.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

struct props {
    struct state_ref state;
    bool error_on_missing;
};

static const struct prop props[] = {
    STATE_ROWS(struct props, state),
    { "errorOnMissing", BOOL(struct props, error_on_missing), .flags = PROP_EXPR,
      .fallback = "false", .doc = "Whether a missing state fails the task." },
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

    if (!services->kv_delete(services->data, ctx->namespace, state_key(ctx, &p->state), &existed,
                             err))
        return false;
    if (!existed && p->error_on_missing)
        return error_set(err, ERR_NOT_FOUND, "Unable to find state '%s'", p->state.name);
    value_put_bool(out, "deleted", existed);
    return true;
}

static const struct plugin_output outputs[] = {
    { "deleted", "boolean", "Whether there was such a state." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.states.Delete", NULL };

static const struct plugin_example examples[] = {
    { "Forget a state", "name: watermark\n" },
    { 0 },
};

const struct plugin task_state_delete = {
    .id = "io.kestra.plugin.core.state.Delete",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Delete a state of the flow.",
    .doc = "Use the tasks of the key-value store instead.",
    .flags = PLUGIN_DEPRECATED,
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
