/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/error.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/engine/inline.h"

struct props {
    const struct value *variables;
    bool overwrite;
};

static bool refuse_existing(const struct value *there, const struct value *given, struct error *err)
{
    struct buf names = { 0 };
    for (uint32_t i = 0; i < given->map.count; i++) {
        if (value_get(there, given->map.members[i].key) != NULL)
            buf_printf(&names, "%s%s", names.length == 0 ? "" : ", ", given->map.members[i].key);
    }
    bool any = names.length > 0;
    if (any)
        error_set(err, ERR_CONFLICT,
                  "`overwrite` is set to false and the following variables already exist: %s",
                  buf_text(&names));
    buf_free(&names);
    return !any;
}

static bool run(struct inline_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    (void)out;
    const struct value *there = ctx->execution->variables;
    if (!value_is_map(p->variables))
        return true;
    if (!p->overwrite && !refuse_existing(there, p->variables, err))
        return false;
    inline_set_variables(ctx, value_merge(ctx->arena, there, p->variables, false));
    return true;
}

static const struct prop props[] = {
    { "variables", MAP(struct props, variables), .item = PROP_ANY,
      .flags = PROP_REQUIRED | PROP_EXPR, .doc = "Merged into `vars` of this execution." },
    { "overwrite", BOOL(struct props, overwrite), .flags = PROP_EXPR, .fallback = "true",
      .doc = "Whether a variable that exists may be replaced; else the task fails." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Remember a batch", "variables:\n  batch: \"{{ inputs.batch }}\"\n" },
    { 0 },
};

const struct plugin task_execution_set_variables = {
    .id = "io.kestra.plugin.core.execution.SetVariables",
    .role = PLUGIN_TASK,
    .task_kind = TASK_INLINE,
    .title = "Set variables of the execution.",
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .inline_ops = &(const struct inline_ops){ .run = run, .updates_execution = true },
};
