/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/str.h"
#include "core/labels.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/engine/inline.h"

struct props {
    const struct value *labels;
};

static bool run(struct inline_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    (void)out;
    size_t count = 0;
    const struct label *labels = labels_of(ctx->arena, p->labels, &count);
    for (size_t i = 0; i < count; i++) {
        if (label_is_reserved(labels[i].key))
            return error_set(err, ERR_INVALID,
                             "System labels can only be set by Kestra itself, offending label: "
                             "%s=%s",
                             labels[i].key, labels[i].value);
        if (str_empty(labels[i].key) || str_empty(labels[i].value))
            return error_set(err, ERR_INVALID, "label '%s' is empty", labels[i].key);
    }
    for (size_t i = 0; i < count; i++)
        inline_set_label(ctx, labels[i].key, labels[i].value);
    return true;
}

static const struct prop props[] = {
    { "labels", LABELS(struct props, labels), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "A map, a list of `key` and `value`, or a text that renders to one of them." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Mark the execution", "labels:\n  customer: \"{{ inputs.customer }}\"\n" },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.executions.Labels", NULL };

const struct plugin task_execution_labels = {
    .id = "io.kestra.plugin.core.execution.Labels",
    .role = PLUGIN_TASK,
    .task_kind = TASK_INLINE,
    .title = "Add labels to the execution.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .inline_ops = &(const struct inline_ops){ .run = run, .updates_execution = true },
};
