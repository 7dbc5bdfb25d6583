/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/tasks/split.h"
#include "runtime/worker/task.h"

struct props {
    const char *from;
    struct split_options split;
};

static const struct prop props[] = {
    { "from", STR(struct props, from), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "URI of a file with one row per line." },
    SPLIT_ROWS(struct props, split, NULL),
    { 0 },
};

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    const struct value *uris = split_file(ctx, p->from, &p->split, err);
    if (uris == NULL)
        return false;
    task_metric(ctx, "counter", "count", (double)value_count(uris), NULL);
    value_put(out, "uris", uris);
    return true;
}

static const struct plugin_output outputs[] = {
    { "uris", "list", "URIs of the parts, in order." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.storages.Split", NULL };

static const struct plugin_example examples[] = {
    { "Files of a thousand rows", "from: \"{{ outputs.extract.uri }}\"\nrows: 1000\n" },
    { "Files of about ten megabytes", "from: \"{{ outputs.extract.uri }}\"\nbytes: 10MB\n" },
    { 0 },
};

const struct plugin task_storage_split = {
    .id = "io.kestra.plugin.core.storage.Split",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Split a file into several.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
