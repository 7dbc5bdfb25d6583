/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/str.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/worker/task.h"

struct props {
    const char *uri;
    bool error_on_missing;
};

static const struct prop props[] = {
    { "uri", STR(struct props, uri), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "URI of the file." },
    { "errorOnMissing", BOOL(struct props, error_on_missing), .flags = PROP_EXPR,
      .fallback = "false", .doc = "Whether a missing file fails the task." },
    { 0 },
};

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    bool existed = false;

    if (!task_delete_file(ctx, p->uri, &existed, err))
        return false;
    if (!existed && p->error_on_missing)
        return error_set(err, ERR_NOT_FOUND, "Unable to find file '%s'", p->uri);
    value_put_text(out, "uri", p->uri);
    value_put_bool(out, "deleted", existed);
    return true;
}

static const struct plugin_output outputs[] = {
    { "uri", "uri", "The file that was asked for." },
    { "deleted", "boolean", "Whether there was such a file." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.storages.Delete", NULL };

static const struct plugin_example examples[] = {
    { "Delete an output", "uri: \"{{ outputs.extract.uri }}\"\n" },
    { 0 },
};

const struct plugin task_storage_delete = {
    .id = "io.kestra.plugin.core.storage.Delete",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Delete a file of the internal storage.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
