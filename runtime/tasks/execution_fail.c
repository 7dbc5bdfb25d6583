/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "core/expr/expr.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/engine/inline.h"

struct props {
    const char *condition;
    const char *message;
};

static bool run(struct inline_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    (void)out;
    const char *message = p->message == NULL ? "Task failure" : p->message;
    if (p->condition == NULL)
        return error_set(err, ERR_INVALID, "%s", message);
    if (!expr_truthy_text(p->condition))
        return true;
    inline_log(ctx, LOG_ERROR, "%s", message);
    return error_set(err, ERR_INVALID, "Fail on a condition");
}

static const struct prop props[] = {
    { "condition", STR(struct props, condition), .flags = PROP_EXPR,
      .doc = "Fail only when it holds; always when absent." },
    { "errorMessage", STR(struct props, message), .flags = PROP_EXPR, .fallback = "Task failure",
      .doc = "What to say." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Fail when nothing was loaded",
      "condition: \"{{ outputs.load.values.rows == '0' }}\"\nerrorMessage: nothing was loaded\n" },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.executions.Fail", NULL };

const struct plugin task_execution_fail = {
    .id = "io.kestra.plugin.core.execution.Fail",
    .role = PLUGIN_TASK,
    .task_kind = TASK_INLINE,
    .title = "Fail, always or on a condition.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .inline_ops = &(const struct inline_ops){ .run = run },
};
