/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/worker/files.h"
#include "runtime/worker/task.h"

struct props {
    const struct value *inputs;
    const struct value *outputs;
};

static const struct prop props[] = {
    { "inputs", MAP(struct props, inputs), .item = PROP_STRING, .flags = PROP_EXPR,
      .doc = "Files to write: relative path to text or file URI." },
    { "outputs", STRINGS(struct props, outputs), .flags = PROP_EXPR,
      .doc = "Globs of the files to store." },
    { 0 },
};

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    struct value_builder uris = value_build(ctx->arena);

    if (!files_write_inputs(ctx, p->inputs, err) ||
        !files_collect(ctx, p->outputs, NULL, &uris, err))
        return false;
    value_put(out, "uris", value_build_map(&uris));
    return true;
}

static const struct plugin_output outputs[] = {
    { "uris", "map", "Relative path of each stored file, and its URI." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.storages.LocalFiles", NULL };

static const struct plugin_example examples[] = {
    { "Files for the other tasks of a working directory",
      "inputs:\n"
      "  query.sql: select 1\n"
      "  data.csv: \"{{ outputs.extract.uri }}\"\n" },
    { 0 },
};

const struct plugin task_storage_local_files = {
    .id = "io.kestra.plugin.core.storage.LocalFiles",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Write files into the working directory, or store files of it.",
    .doc = "Use `inputFiles` and `outputFiles` of the tasks instead.",
    .flags = PLUGIN_DEPRECATED,
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
