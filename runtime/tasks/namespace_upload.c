/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/storage/storage.h"
#include "runtime/worker/files.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

enum conflict { CONFLICT_OVERWRITE, CONFLICT_ERROR, CONFLICT_SKIP };

struct props {
    const char *namespace;
    const struct value *files;
    const struct value *files_map;
    const char *destination;
    int conflict; /* enum conflict */
};

static const char *const conflict_words[] = { "OVERWRITE", "ERROR", "SKIP", NULL };

static const struct prop props[] = {
    { "namespace", STR(struct props, namespace), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Namespace of the files." },
    { "files", STRINGS(struct props, files), .flags = PROP_EXPR,
      .doc = "Globs of files of the working directory, or file URIs." },
    { "filesMap", MAP(struct props, files_map), .flags = PROP_EXPR, .item = PROP_STRING,
      .doc = "Target path to file URI." },
    { "destination", STR(struct props, destination), .flags = PROP_EXPR, .fallback = "/",
      .doc = "Folder of the namespace to put the files into." },
    { "conflict", ENUM(struct props, conflict), .flags = PROP_EXPR, .words = conflict_words,
      .fallback = "OVERWRITE", .doc = "What to do with a file that exists." },
    { 0 },
};

/* "/a//b" and "c" as "a/b/c"; NULL when the result leaves the namespace. */
static const char *join(struct task_ctx *ctx,
                        const char *folder,
                        const char *path,
                        struct error *err)
{
    char *joined = arena_printf(ctx->arena, "%s/%s", folder, path);
    char *to = joined;
    for (const char *at = joined; *at != '\0'; at++)
        if (*at != '/' || (to != joined && to[-1] != '/'))
            *to++ = *at;
    *to = '\0';
    if (fs_path_is_beneath(joined))
        return joined;
    error_set(err, ERR_INVALID, "'%s' is not a path of a namespace file", joined);
    return NULL;
}

static bool put(struct task_ctx *ctx,
                const struct props *p,
                const char *target,
                const char *local,
                struct value_builder *files,
                struct error *err)
{
    const struct services *services = ctx->services;
    const char *path = join(ctx, p->destination, target, err);
    if (path == NULL)
        return false;
    struct error failure = { 0 };
    bool overwrite = p->conflict == CONFLICT_OVERWRITE;
    if (!services->file_put(services->data, p->namespace, path, local, overwrite, &failure)) {
        if (failure.code == ERR_CONFLICT && p->conflict == CONFLICT_SKIP) {
            task_log(ctx, LOG_DEBUG, "File '%s' exists and is left as it is", path);
            return true;
        }
        if (failure.code == ERR_CONFLICT && p->conflict == CONFLICT_ERROR)
            return error_set(err, ERR_CONFLICT,
                             "File '%s' exists in namespace '%s' and `conflict` is ERROR", path,
                             p->namespace);
        if (err != NULL)
            *err = failure;
        return false;
    }
    value_put_text(
        files, arena_printf(ctx->arena, "/%s", path),
        storage_path_uri(ctx->arena, storage_namespace_path(ctx->arena, p->namespace, path)));
    return true;
}

static bool put_uri(struct task_ctx *ctx,
                    const struct props *p,
                    const char *target,
                    const char *uri,
                    struct value_builder *files,
                    struct error *err)
{
    const char *local = task_fetch_file(ctx, uri, err);
    return local != NULL && put(ctx, p, target, local, files, err);
}

struct upload {
    struct task_ctx *ctx;
    const struct props *p;
    struct value_builder *files;
};

static bool visit(void *context, const struct fs_entry *entry, struct error *err)
{
    const struct upload *upload = context;
    struct task_ctx *ctx = upload->ctx;
    if (!S_ISREG(entry->info->st_mode) || !files_match(upload->p->files, entry->path, false))
        return true;
    return put(ctx, upload->p, entry->path,
               arena_printf(ctx->arena, "%s/%s", ctx->working_dir, entry->path), upload->files,
               err) &&
           task_check(ctx, err);
}

static bool put_all(struct task_ctx *ctx,
                    const struct props *p,
                    struct value_builder *files,
                    struct error *err)
{
    for (uint32_t i = 0; value_is_map(p->files_map) && i < p->files_map->map.count; i++) {
        const struct value_member *member = &p->files_map->map.members[i];
        const char *uri = value_cstr(member->value);
        if (!task_is_file_uri(uri))
            return error_set(err, ERR_INVALID, "'%s' of 'filesMap' is not a file URI", member->key);
        if (!put_uri(ctx, p, member->key, uri, files, err))
            return false;
    }
    bool has_globs = false;
    for (size_t i = 0; i < value_count(p->files); i++) {
        const char *item = value_cstr(value_item(p->files, i));
        if (!task_is_file_uri(item)) {
            has_globs = true;
            continue;
        }
        const char *slash = strrchr(item, '/');
        if (!put_uri(ctx, p, slash + 1, item, files, err))
            return false;
    }
    struct upload upload = { .ctx = ctx, .p = p, .files = files };
    return !has_globs ||
           (task_working_dir(ctx, err) != NULL && fs_walk(ctx->working_dir, visit, &upload, err));
}

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    struct value_builder files = value_build(ctx->arena);

    if (value_count(p->files) == 0 && value_count(p->files_map) == 0)
        return error_set(err, ERR_INVALID, "one of 'files' and 'filesMap' is needed");
    if (!put_all(ctx, p, &files, err))
        return false;
    value_put(out, "files", value_build_map(&files));
    return true;
}

static const struct plugin_output outputs[] = {
    { "files", "map", "Path of each file in the namespace, and its URI." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Publish a report of this flow", "namespace: \"{{ flow.namespace }}\"\n"
                                       "filesMap:\n"
                                       "  reports/latest.csv: \"{{ outputs.report.uri }}\"\n" },
    { 0 },
};

const struct plugin task_namespace_upload = {
    .id = "io.kestra.plugin.core.namespace.UploadFiles",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Put files into a namespace.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
