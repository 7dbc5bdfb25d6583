/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/engine/inline.h"

struct props {
    int state;
};

static const char *const words[] = { "SUCCESS",   "WARNING",  "KILLED", "FAILED",
                                     "CANCELLED", "CANCELED", NULL };

static bool run(struct inline_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    (void)out;
    (void)err;
    (void)state_parse(words[p->state], &ctx->exits);
    return true;
}

static const struct prop props[] = {
    { "state", ENUM(struct props, state), .flags = PROP_EXPR, .words = words, .fallback = "SUCCESS",
      .doc = "In which the execution ends." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "End with a warning", "state: WARNING\n" },
    { 0 },
};

const struct plugin task_execution_exit = {
    .id = "io.kestra.plugin.core.execution.Exit",
    .role = PLUGIN_TASK,
    .task_kind = TASK_INLINE,
    .title = "End the execution now, in a given state.",
    .doc = "Neither `errors` nor `finally` run; `afterExecution` does.",
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .inline_ops = &(const struct inline_ops){ .run = run, .updates_execution = true },
};
