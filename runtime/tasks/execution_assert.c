/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "core/expr/expr.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/engine/inline.h"

struct props {
    const struct value *conditions;
    const char *message;
};

/* Every condition is looked at; one that does not render counts as failed. */
static bool run(struct inline_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    (void)out;
    size_t count = value_count(p->conditions);
    size_t failed = 0;
    for (size_t i = 0; i < count; i++) {
        const char *condition = value_cstr(value_item(p->conditions, i));
        struct error why = { 0 };
        bool ok = true;
        bool holds = condition != NULL && expr_render_truth(ctx->env, condition, &ok, &why);
        if (!ok && why.code == ERR_UNAVAILABLE) {
            if (err != NULL)
                *err = why;
            return false;
        }
        if (!ok)
            inline_log(ctx, LOG_ERROR, "%s", why.text);
        if (holds && ok)
            continue;
        inline_log(ctx, LOG_ERROR, "Assertion `%s` failed!", condition == NULL ? "" : condition);
        failed++;
    }
    inline_metric(ctx, "counter", "success", (double)(count - failed), NULL);
    inline_metric(ctx, "counter", "failed", (double)failed, NULL);
    if (failed == 0)
        return true;
    bool has_message = p->message != NULL && *p->message != '\0';
    return error_set(err, ERR_INVALID, "%zu assertion(s) failed!%s%s", failed,
                     has_message ? "\n" : "", has_message ? p->message : "");
}

static const struct prop props[] = {
    { "conditions", STRINGS(struct props, conditions),
      .flags = PROP_REQUIRED | PROP_NOT_EMPTY | PROP_EXPR | PROP_RAW,
      .doc = "All of them must hold." },
    { "errorMessage", STR(struct props, message), .flags = PROP_EXPR,
      .doc = "What to say when one does not." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Check what was loaded", "conditions:\n"
                               "  - \"{{ inputs.rows > 0 }}\"\n"
                               "  - \"{{ inputs.name != '' }}\"\n"
                               "errorMessage: the batch is empty\n" },
    { 0 },
};

const struct plugin task_execution_assert = {
    .id = "io.kestra.plugin.core.execution.Assert",
    .role = PLUGIN_TASK,
    .task_kind = TASK_INLINE,
    .title = "Fail unless all conditions hold.",
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .inline_ops = &(const struct inline_ops){ .run = run },
};
