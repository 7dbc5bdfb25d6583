/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/engine/inline.h"

struct props {
    const char *format;
    int level;
};

static bool run(struct inline_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    (void)out;
    (void)err;
    inline_log(ctx, (enum log_level)p->level, "%s", p->format == NULL ? "" : p->format);
    return true;
}

static const char *const levels[] = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR", NULL };

static const struct prop props[] = {
    { "format", STR(struct props, format), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Text to write." },
    { "level", ENUM(struct props, level), .flags = PROP_EXPR, .words = levels, .fallback = "INFO",
      .doc = "Level of the line." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Write a line", "format: \"{{ task.id }}\"\n" },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.debugs.Echo", NULL };

const struct plugin task_debug_echo = {
    .id = "io.kestra.plugin.core.debug.Echo",
    .role = PLUGIN_TASK,
    .task_kind = TASK_INLINE,
    .title = "Write a line to the log of the execution.",
    .doc = "Use `io.kestra.plugin.core.log.Log` in new flows.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .flags = PLUGIN_DEPRECATED,
    .inline_ops = &(const struct inline_ops){ .run = run },
};
