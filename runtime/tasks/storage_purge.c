/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/map.h"
#include "base/str.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/storage/storage.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

#define ASK_AT_ONCE 500U
#define LISTED_MAX  10000U
#define DEPTH_MAX   64U
#define EXECUTIONS  "executions"

struct props {
    const char *namespace;
    const char *flow_id;
    usec_t start;
    usec_t end;
    bool dry_run;
};

static const struct prop props[] = {
    { "namespace", STR(struct props, namespace), .flags = PROP_EXPR,
      .doc = "Namespace, with those below it; all when absent." },
    { "flowId", STR(struct props, flow_id), .flags = PROP_EXPR, .doc = "Flow; needs `namespace`." },
    { "startDate", INSTANT(struct props, start), .flags = PROP_EXPR,
      .doc = "Files changed at or after this." },
    { "endDate", INSTANT(struct props, end), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Files changed before this." },
    { "dryRun", BOOL(struct props, dry_run), .flags = PROP_EXPR, .fallback = "true",
      .doc = "Only tell what would be deleted." },
    { 0 },
};

struct purge {
    struct task_ctx *ctx;
    const struct props *p;
    struct value_builder uris;
    int64_t count;
};

/*
 * When the youngest file below was changed: folders of an object store have no time, and those of a
 * disk do not change with what lies deeper.
 */
static bool newest_below(struct purge *purge,
                         struct arena *arena,
                         const char *path,
                         unsigned depth,
                         usec_t *newest,
                         struct error *err)
{
    struct storage *storage = purge->ctx->services->storage;
    struct storage_stat *entries = NULL;
    size_t count = 0;
    struct error failure = { 0 };
    if (!storage->ops->list(storage, arena, path, &entries, &count, &failure)) {
        if (failure.code == ERR_NOT_FOUND)
            return true; // gone meanwhile
        if (err != NULL)
            *err = failure;
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!entries[i].is_folder || depth == DEPTH_MAX) {
            if (entries[i].modified_at > *newest)
                *newest = entries[i].modified_at;
        } else if (!newest_below(purge, arena, arena_printf(arena, "%s/%s", path, entries[i].name),
                                 depth + 1, newest, err)) {
            return false;
        }
    }
    return true;
}

static bool is_in_time(struct purge *purge,
                       const char *path,
                       const struct storage_stat *entry,
                       bool *is_in,
                       struct error *err)
{
    const struct props *p = purge->p;
    struct arena *scratch = arena_new();
    usec_t at = entry->modified_at;
    bool ok = newest_below(purge, scratch, path, 0, &at, err);
    arena_free(scratch);
    *is_in = ok && at < p->end && (p->start == USEC_NEVER || at >= p->start);
    return ok;
}

static bool remove_one(struct purge *purge, const char *path, struct error *err)
{
    struct task_ctx *ctx = purge->ctx;
    struct storage *storage = ctx->services->storage;
    bool existed = false;
    if (purge->count++ < LISTED_MAX)
        value_add(&purge->uris, value_string(ctx->arena, storage_path_uri(ctx->arena, path)));
    return purge->p->dry_run || storage->ops->remove(storage, path, &existed, err);
}

/* Folders of executions that the store does not know. */
static bool purge_batch(struct purge *purge,
                        const char *folder,
                        const struct storage_stat *entries,
                        size_t count,
                        struct error *err)
{
    struct task_ctx *ctx = purge->ctx;
    const struct services *services = ctx->services;
    struct value_builder ids = value_build(ctx->arena);
    for (size_t i = 0; i < count; i++)
        value_add(&ids, value_string(ctx->arena, entries[i].name));
    struct value_builder arguments = value_build(ctx->arena);
    value_put(&arguments, "ids", value_build_list(&ids));
    const struct value *answer = services->operate(services->data, ctx->arena, "execution.exists",
                                                   value_build_map(&arguments), err);
    if (answer == NULL)
        return false;
    struct map known = { 0 };
    const struct value *existing = value_get(answer, "existing");
    for (size_t i = 0; i < value_count(existing); i++)
        if (value_cstr(value_item(existing, i)) != NULL)
            (void)map_put(&known, value_cstr(value_item(existing, i)), purge);
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        if (!entries[i].is_folder || map_has(&known, entries[i].name))
            continue;
        const char *path = arena_printf(ctx->arena, "%s/%s", folder, entries[i].name);
        bool is_in = false;
        ok = is_in_time(purge, path, &entries[i], &is_in, err) &&
             (!is_in || remove_one(purge, path, err));
    }
    map_free(&known);
    return ok && task_check(ctx, err);
}

/* `path` is a namespace, or a flow when it has a folder `executions`. */
static bool purge_below(struct purge *purge, const char *path, unsigned depth, struct error *err)
{
    struct task_ctx *ctx = purge->ctx;
    struct storage *storage = ctx->services->storage;
    struct storage_stat *entries = NULL;
    size_t count = 0;
    struct error failure = { 0 };
    if (depth > DEPTH_MAX)
        return true;
    if (!storage->ops->list(storage, ctx->arena, path, &entries, &count, &failure)) {
        if (failure.code == ERR_NOT_FOUND)
            return true;
        if (err != NULL)
            *err = failure;
        return false;
    }
    const char *slash = strrchr(path, '/');
    if (str_eq(slash == NULL ? path : slash + 1, EXECUTIONS)) {
        for (size_t at = 0; at < count; at += ASK_AT_ONCE) {
            size_t batch = count - at < ASK_AT_ONCE ? count - at : ASK_AT_ONCE;
            if (!purge_batch(purge, path, entries + at, batch, err))
                return false;
        }
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        const char *child = *path == '\0'
                                ? entries[i].name
                                : arena_printf(ctx->arena, "%s/%s", path, entries[i].name);
        // Namespace files and caches have names that no namespace or flow has.
        if (entries[i].is_folder && entries[i].name[0] != '_' &&
            !purge_below(purge, child, depth + 1, err))
            return false;
    }
    return true;
}

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    struct purge purge = { .ctx = ctx, .p = p, .uris = value_build(ctx->arena) };

    if (p->flow_id != NULL && p->namespace == NULL)
        return error_set(err, ERR_INVALID, "'flowId' needs 'namespace'");
    char *path = arena_strdup(ctx->arena, p->namespace == NULL ? "" : p->namespace);
    for (char *at = path; *at != '\0'; at++)
        if (*at == '.')
            *at = '/';
    if (p->flow_id != NULL)
        path = arena_printf(ctx->arena, "%s/%s/" EXECUTIONS, path,
                            storage_slug(ctx->arena, p->flow_id));
    if (!purge_below(&purge, path, 0, err))
        return false;
    task_log(ctx, LOG_INFO, "Files of %lld executions that are gone %s", (long long)purge.count,
             p->dry_run ? "would be deleted" : "were deleted");
    value_put_int(out, "count", purge.count);
    value_put(out, "uris", value_build_list(&purge.uris));
    return true;
}

static const struct plugin_output outputs[] = {
    { "count", "integer", "Number of executions whose files are orphans." },
    { "uris", "list", "Their folders, at most 10,000 of them." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "See what would go", "endDate: \"{{ now() | dateAdd(-1, 'MONTHS') }}\"\n" },
    { 0 },
};

const struct plugin task_storage_purge = {
    .id = "io.kestra.plugin.core.storage.PurgeStorage",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Delete files of executions that are gone.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
