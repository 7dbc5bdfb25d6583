/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/tasks/state.h"
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
    const struct value *data = NULL;

    if (!state_get(ctx, state_key(ctx, &p->state), &data, err))
        return false;
    if (data == NULL && p->error_on_missing)
        return error_set(err, ERR_NOT_FOUND, "Unable to find state '%s'", p->state.name);
    data = data == NULL ? &value_empty_map : data;
    value_put_int(out, "count", (int64_t)value_count(data));
    value_put(out, "data", data);
    return true;
}

static const struct plugin_output outputs[] = {
    { "count", "integer", "Number of members of the state." },
    { "data", "map", "The state; empty when it is missing." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.states.Get", NULL };

static const struct plugin_example examples[] = {
    { "Read the state of the flow", "name: watermark\n" },
    { 0 },
};

const struct plugin task_state_get = {
    .id = "io.kestra.plugin.core.state.Get",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Read a state of the flow.",
    .doc = "Use the tasks of the key-value store instead.",
    .flags = PLUGIN_DEPRECATED,
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
