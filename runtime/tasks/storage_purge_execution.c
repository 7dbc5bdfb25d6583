/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/error.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/storage/storage.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

/* Files that are listed in the outputs; all are deleted. */
#define LISTED_MAX 10000U
#define DEPTH_MAX  64U

struct props {
    bool unused;
};

static const struct prop props[] = {
    { 0 },
};

static bool list_below(struct task_ctx *ctx,
                       const char *folder,
                       unsigned depth,
                       struct value_builder *uris,
                       struct error *err)
{
    struct storage *storage = ctx->services->storage;
    struct storage_stat *entries = NULL;
    size_t count = 0;
    struct error failure = { 0 };
    if (!storage->ops->list(storage, ctx->arena, folder, &entries, &count, &failure)) {
        if (failure.code == ERR_NOT_FOUND)
            return true;
        if (err != NULL)
            *err = failure;
        return false;
    }
    for (size_t i = 0; i < count && uris->items_count < LISTED_MAX; i++) {
        const char *path = arena_printf(ctx->arena, "%s/%s", folder, entries[i].name);
        if (!entries[i].is_folder)
            value_add(uris, value_string(ctx->arena, storage_path_uri(ctx->arena, path)));
        else if (depth < DEPTH_MAX && !list_below(ctx, path, depth + 1, uris, err))
            return false;
    }
    return true;
}

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    struct storage *storage = ctx->services->storage;
    struct value_builder uris = value_build(ctx->arena);
    bool existed = false;
    (void)bound; // this type has no properties

    const char *folder =
        storage_execution_path(ctx->arena, ctx->namespace, ctx->flow_id, ctx->execution_id);
    if (!list_below(ctx, folder, 0, &uris, err) ||
        !storage->ops->remove(storage, folder, &existed, err))
        return false;
    value_put(out, "uris", value_build_list(&uris));
    return true;
}

static const struct plugin_output outputs[] = {
    { "uris", "list", "The files that were deleted, at most 10,000 of them." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.storages.PurgeExecution",
                                       "io.kestra.plugin.core.storage.PurgeExecution", NULL };

static const struct plugin_example examples[] = {
    { "Leave no files behind", "{}\n" },
    { 0 },
};

const struct plugin task_storage_purge_execution = {
    .id = "io.kestra.plugin.core.storage.PurgeCurrentExecutionFiles",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Delete the files of this execution.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
