/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Old revisions are forgotten first; then what no revision names any more goes from the storage,
 * and with it what an upload left that was never committed. Contents are named by their digest, so
 * that several revisions may share one.
 */
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/map.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/storage/storage.h"
#include "runtime/tasks/purge.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

struct props {
    const char *file_pattern;
    struct purge_scope scope;
    struct purge_behavior behavior;
};

static const struct prop props[] = {
    { "filePattern", STR(struct props, file_pattern), .flags = PROP_EXPR,
      .doc = "Glob of paths; all when absent." },
    PURGE_SCOPE_ROWS(struct props, scope),
    { "behavior", OBJECT(struct props, behavior, purge_behavior_props), .flags = PROP_EXPR,
      .doc = "Which old revisions are removed." },
    { 0 },
};

/* An upload stores the content before it commits the revision; it does not take that long. */
#define UNCOMMITTED_MAX USEC_HOUR

/* Fills `known` with the contents that revisions name; its keys live in the arena. */
static bool find_known(struct task_ctx *ctx,
                       struct arena *arena,
                       const char *namespace,
                       struct map *known,
                       struct error *err)
{
    const struct services *services = ctx->services;
    const struct value *arguments =
        value_with(arena, NULL, "namespace", value_string(arena, namespace));
    const struct value *answer =
        services->operate(services->data, arena, "file.contents", arguments, err);
    const struct value *contents = value_get(answer, "contents");
    for (size_t i = 0; i < value_count(contents); i++)
        if (value_cstr(value_item(contents, i)) != NULL)
            (void)map_put(known, value_cstr(value_item(contents, i)), ctx);
    return answer != NULL;
}

/* The folder is listed before the revisions are asked for: one that is committed later is younger.
 */
static bool sweep(struct task_ctx *ctx,
                  struct arena *arena,
                  const char *namespace,
                  struct error *err)
{
    struct storage *storage = ctx->services->storage;
    const char *folder = storage_content_path(arena, namespace, "");
    struct storage_stat *entries = NULL;
    size_t count = 0;
    struct error failure = { 0 };
    char *path = arena_strdup(arena, folder);
    path[strlen(path) - 1] = '\0'; // without the '/' that a digest would follow
    if (!storage->ops->list(storage, arena, path, &entries, &count, &failure)) {
        if (failure.code == ERR_NOT_FOUND)
            return true;
        if (err != NULL)
            *err = failure;
        return false;
    }
    struct map known = { 0 };
    bool ok = find_known(ctx, arena, namespace, &known, err);
    usec_t before = clock_now() - UNCOMMITTED_MAX;
    for (size_t i = 0; ok && i < count; i++) {
        const char *content = storage_content_path(arena, namespace, entries[i].name);
        struct storage_stat now;
        bool existed = false;
        // Asked once more: the same content may have been stored again in the meantime.
        if (!entries[i].is_folder && entries[i].modified_at < before && !map_has(&known, content) &&
            storage->ops->stat(storage, arena, content, &now, NULL) && now.modified_at < before)
            ok = storage->ops->remove(storage, content, &existed, err);
        ok = ok && task_check(ctx, err);
    }
    map_free(&known);
    return ok;
}

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    const struct services *services = ctx->services;
    struct value_builder arguments = value_build(ctx->arena);

    if (!purge_put_scope(&p->scope, &arguments, err))
        return false;
    value_put_text(&arguments, "filePattern", p->file_pattern);
    purge_put_date(&arguments, "before", p->behavior.before);
    if (p->behavior.keep > 0)
        value_put_int(&arguments, "keepAmount", p->behavior.keep);
    const struct value *answer = services->operate(services->data, ctx->arena, "file.purge",
                                                   value_build_map(&arguments), err);
    if (answer == NULL)
        return false;
    const struct value *namespaces = value_get(answer, "namespaces");
    for (size_t i = 0; i < value_count(namespaces); i++) {
        struct arena *scratch = arena_new();
        const char *namespace = value_cstr(value_item(namespaces, i));
        bool ok = namespace == NULL || sweep(ctx, scratch, namespace, err);
        arena_free(scratch);
        if (!ok)
            return false;
    }
    value_put_int(out, "size", value_get_int(answer, "count", 0));
    return true;
}

static const struct plugin_output outputs[] = {
    { "size", "integer", "Number of revisions removed." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Keep three revisions of each file", "namespaces:\n"
                                           "  - company.team\n"
                                           "behavior:\n"
                                           "  type: version\n"
                                           "  keepAmount: 3\n" },
    { 0 },
};

const struct plugin task_namespace_purge = {
    .id = "io.kestra.plugin.core.namespace.PurgeFiles",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Remove old revisions of namespace files.",
    .doc =
        "The latest revision of a file always stays. Contents that no revision needs any more are "
        "deleted from the internal storage, unless they are younger than an hour.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
