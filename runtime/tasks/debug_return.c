/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/plugin.h"
#include "core/value.h"
#include "runtime/engine/inline.h"

struct props {
    const char *format;
};

static bool run(struct inline_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    (void)err;
    size_t length = p->format == NULL ? 0 : strlen(p->format);
    value_put(out, "value",
              p->format == NULL ? &value_null : value_string_n(ctx->arena, p->format, length));
    inline_metric(ctx, "counter", "length", (double)length, NULL);
    inline_metric(ctx, "timer", "duration", 0, NULL);
    return true;
}

static const struct prop props[] = {
    { "format", STR(struct props, format), .flags = PROP_EXPR, .doc = "Text to return." },
    { 0 },
};

static const struct plugin_output outputs[] = {
    { "value", "string", "The rendered text; null without `format`." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Say who runs", "format: \"{{ task.id }} of {{ flow.id }}\"\n" },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.debugs.Return", NULL };

const struct plugin task_debug_return = {
    .id = "io.kestra.plugin.core.debug.Return",
    .role = PLUGIN_TASK,
    .task_kind = TASK_INLINE,
    .title = "Render a text and return it.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .inline_ops = &(const struct inline_ops){ .run = run },
};
