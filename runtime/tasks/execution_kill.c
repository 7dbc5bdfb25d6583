/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/engine/inline.h"

struct props {
    bool propagates;
};

static bool run(struct inline_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    (void)out;
    (void)err;
    ctx->kills = true;
    ctx->is_cascade = p->propagates;
    return true;
}

static const struct prop props[] = {
    { "propagateKill", BOOL(struct props, propagates), .flags = PROP_EXPR, .fallback = "false",
      .doc = "Whether executions that this one started are killed too." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Stop everything", "propagateKill: true\n" },
    { 0 },
};

const struct plugin task_execution_kill = {
    .id = "io.kestra.plugin.core.execution.Kill",
    .role = PLUGIN_TASK,
    .task_kind = TASK_INLINE,
    .title = "Kill the execution.",
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .inline_ops = &(const struct inline_ops){ .run = run, .updates_execution = true },
};
