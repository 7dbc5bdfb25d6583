/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/worker/files.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

struct props {
    const char *namespace;
    const struct value *files;
    bool delete_parent;
};

static const struct prop props[] = {
    { "namespace", STR(struct props, namespace), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Namespace of the files." },
    { "files", STRINGS(struct props, files), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Globs of the files." },
    { "deleteParentFolder", BOOL(struct props, delete_parent), .flags = PROP_EXPR,
      .fallback = "false", .doc = "Whether folders that become empty are deleted too." },
    { 0 },
};

static bool has_children(const struct file_entry *entries, size_t count, const char *folder)
{
    size_t length = strlen(folder);
    for (size_t i = 0; i < count; i++)
        if (entries[i].path != NULL && strncmp(entries[i].path, folder, length) == 0 &&
            entries[i].path[length] == '/')
            return true;
    return false;
}

/* Deletes the folders of a deleted file, innermost first, as long as they are empty. */
static bool delete_parents(struct task_ctx *ctx,
                           const struct props *p,
                           struct file_entry *entries,
                           size_t count,
                           const char *path,
                           struct error *err)
{
    const struct services *services = ctx->services;
    char *folder = arena_strdup(ctx->arena, path);
    char *slash;
    while ((slash = strrchr(folder, '/')) != NULL) {
        *slash = '\0';
        if (has_children(entries, count, folder))
            break;
        bool existed = false;
        if (!services->file_delete(services->data, p->namespace, folder, &existed, err))
            return false;
        for (size_t i = 0; i < count; i++)
            if (str_eq(entries[i].path, folder))
                entries[i].path = NULL;
    }
    return true;
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
    int64_t deleted = 0;

    if (!services->file_list(services->data, ctx->arena, p->namespace, &entries, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *path = entries[i].path;
        bool existed = false;
        if (path == NULL || entries[i].is_folder || !files_match(p->files, path, true))
            continue;
        if (!services->file_delete(services->data, p->namespace, path, &existed, err) ||
            !task_check(ctx, err))
            return error_wrap(err, "namespace file '%s'", path);
        entries[i].path = NULL;
        deleted += existed;
        if (p->delete_parent && !delete_parents(ctx, p, entries, count, path, err))
            return false;
    }
    task_metric(ctx, "counter", "deleted", (double)deleted, NULL);
    value_put_int(out, "deleted", deleted);
    return true;
}

static const struct plugin_output outputs[] = {
    { "deleted", "integer", "Number of files deleted." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Delete old reports", "namespace: company.team\n"
                            "files:\n"
                            "  - \"reports/**\"\n"
                            "deleteParentFolder: true\n" },
    { 0 },
};

const struct plugin task_namespace_delete = {
    .id = "io.kestra.plugin.core.namespace.DeleteFiles",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Delete files of a namespace.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
