/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/engine/inline.h"

struct props {
    const struct value *message;
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
    for (size_t i = 0; i < value_count(p->message); i++) {
        const char *text = value_cstr(value_item(p->message, i));
        inline_log(ctx, (enum log_level)p->level, "%s", text == NULL ? "" : text);
    }
    return true;
}

static const char *const levels[] = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR", NULL };

static const struct prop props[] = {
    { "message", STRINGS(struct props, message), .flags = PROP_REQUIRED | PROP_EXPR | PROP_VERBATIM,
      .doc = "Text to write, or a list of texts." },
    { "level", ENUM(struct props, level), .flags = PROP_EXPR, .words = levels, .fallback = "INFO",
      .doc = "Level of the lines." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Greet", "message: \"hello {{ inputs.name }}\"\n" },
    { "Several lines at another level", "message:\n  - first\n  - second\nlevel: WARN\n" },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.log.Log", NULL };

const struct plugin task_log_write = {
    .id = "io.kestra.plugin.core.log.Log",
    .role = PLUGIN_TASK,
    .task_kind = TASK_INLINE,
    .title = "Write to the log of the execution.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .inline_ops = &(const struct inline_ops){ .run = run },
};
