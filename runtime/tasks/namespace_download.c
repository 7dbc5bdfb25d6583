/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/storage/storage.h"
#include "runtime/worker/files.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

struct props {
    const char *namespace;
    const struct value *files;
    const char *destination;
};

static const struct prop props[] = {
    { "namespace", STR(struct props, namespace), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Namespace of the files." },
    { "files", STRINGS(struct props, files), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Globs of the files." },
    { "destination", STR(struct props, destination), .flags = PROP_EXPR,
      .doc = "Folder to store the files under." },
    { 0 },
};

/* Stores a copy of a namespace file below this task run. */
static const char *store(struct task_ctx *ctx,
                         const struct props *p,
                         const struct file_entry *entry,
                         struct error *err)
{
    const struct services *services = ctx->services;
    const char *local = task_temp_path(ctx, NULL, err);
    if (local == NULL ||
        !services->storage->ops->get_file(services->storage, entry->content, local, err))
        return NULL;
    const char *folder = p->destination == NULL ? "" : p->destination;
    while (*folder == '/')
        folder++;
    const char *slash = *folder == '\0' || str_ends(folder, "/") ? "" : "/";
    return task_store_file(ctx, local,
                           arena_printf(ctx->arena, "%s%s%s", folder, slash, entry->path), err);
}

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    const struct services *services = ctx->services;
    struct file_entry *entries = NULL;
    size_t count = 0;
    size_t stored = 0;

    if (!services->file_list(services->data, ctx->arena, p->namespace, &entries, &count, err))
        return false;
    struct value_builder files = value_build(ctx->arena);
    for (size_t i = 0; i < count; i++) {
        if (entries[i].is_folder || !files_match(p->files, entries[i].path, true))
            continue;
        if (stored++ == FILES_MAX)
            return error_set(err, ERR_LIMIT, "more than %u files", FILES_MAX);
        const char *uri = store(ctx, p, &entries[i], err);
        if (uri == NULL || !task_check(ctx, err))
            return error_wrap(err, "namespace file '%s'", entries[i].path);
        value_put_text(&files, arena_printf(ctx->arena, "/%s", entries[i].path), uri);
    }
    task_metric(ctx, "counter", "downloaded", (double)stored, NULL);
    value_put(out, "files", value_build_map(&files));
    return true;
}

static const struct plugin_output outputs[] = {
    { "files", "map", "Path of each file in the namespace, and the URI of its copy." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Take all queries", "namespace: company.team\n"
                          "files:\n"
                          "  - \"queries/**.sql\"\n" },
    { 0 },
};

const struct plugin task_namespace_download = {
    .id = "io.kestra.plugin.core.namespace.DownloadFiles",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Copy files of a namespace into the execution.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
