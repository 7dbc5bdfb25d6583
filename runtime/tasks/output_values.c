/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/engine/inline.h"

struct props {
    const struct value *values;
};

static bool run(struct inline_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    (void)ctx;
    (void)err;
    value_put(out, "values", p->values == NULL ? &value_empty_map : p->values);
    return true;
}

static const struct prop props[] = {
    { "values", MAP(struct props, values), .item = PROP_ANY, .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Names and values; texts are rendered to text." },
    { 0 },
};

static const struct plugin_output outputs[] = {
    { "values", "map", "The rendered map." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Keep two values for later tasks", "values:\n"
                                         "  day: \"{{ trigger.date ?? execution.startDate }}\"\n"
                                         "  limit: 100\n" },
    { 0 },
};

const struct plugin task_output_values = {
    .id = "io.kestra.plugin.core.output.OutputValues",
    .role = PLUGIN_TASK,
    .task_kind = TASK_INLINE,
    .title = "Return a map of values.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .inline_ops = &(const struct inline_ops){ .run = run },
};
