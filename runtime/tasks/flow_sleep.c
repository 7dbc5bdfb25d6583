/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/timefmt.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/engine/inline.h"

struct props {
    usec_t duration;
};

static bool run(struct inline_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    (void)out;
    (void)err;
    ctx->wait = p->duration < 0 ? 0 : p->duration;
    inline_log(ctx, LOG_INFO, "Waiting for %s", duration_format(ctx->arena, ctx->wait));
    return true;
}

static const struct prop props[] = {
    { "duration", DURATION(struct props, duration), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "How long." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Wait half a minute", "duration: PT30S\n" },
    { 0 },
};

const struct plugin task_flow_sleep = {
    .id = "io.kestra.plugin.core.flow.Sleep",
    .role = PLUGIN_TASK,
    .task_kind = TASK_INLINE,
    .title = "Wait.",
    .doc = "A timer, which survives a restart of the server; nothing is occupied meanwhile.",
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .inline_ops = &(const struct inline_ops){ .run = run },
};
