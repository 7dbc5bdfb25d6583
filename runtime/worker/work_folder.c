/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a WorkingDirectory does on the worker, before and after its tasks (flow-language.md 3.6).
 *
 *     open     restore the cache, write namespace files, write input files
 *     close    store output files, save the cache, remove the folder
 *
 * Both are orders of phase "open" and "close" for the task run of the WorkingDirectory itself.
 */
#include "base/arena.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/plugin.h"
#include "runtime/worker/files.h"
#include "runtime/worker/folder_cache.h"
#include "runtime/worker/work.h"

struct cache {
    const struct value *patterns;
    usec_t ttl;
};

struct props {
    const struct value *input_files;
    const struct value *output_files;
    struct files_namespace namespace_files;
    struct cache cache;
};

static const struct prop cache_props[] = {
    { "patterns", STRINGS(struct cache, patterns) },
    { "ttl", DURATION(struct cache, ttl) },
    { 0 },
};

/* The part of the properties that is of use here; documented where the type is. */
static const struct prop props[] = {
    { "inputFiles", MAP(struct props, input_files) },
    { "outputFiles", STRINGS(struct props, output_files) },
    { "namespaceFiles", OBJECT(struct props, namespace_files, files_namespace_props) },
    { "cache", OBJECT(struct props, cache, cache_props) },
    { 0 },
};

static bool open_folder(struct task_ctx *ctx, const struct props *p, struct error *err)
{
    // What an earlier try left behind; the tasks of this one start over.
    if (!fs_remove_tree(ctx->working_dir, err) || task_working_dir(ctx, err) == NULL)
        return false;
    bool is_fresh = false;
    if (value_count(p->cache.patterns) > 0) {
        struct error failure = { 0 };
        if (folder_cache_restore(ctx, p->cache.ttl, &is_fresh, &failure))
            task_log(ctx, LOG_DEBUG, is_fresh ? "Cache restored" : "No cache to restore");
        else
            task_log(ctx, LOG_WARN, "The cache was not restored: %s", failure.text);
    }
    return files_load_namespace(ctx, &p->namespace_files, err) &&
           files_write_inputs(ctx, p->input_files, err);
}

static void save_cache(struct task_ctx *ctx, const struct props *p)
{
    bool is_fresh = false;
    struct error failure = { 0 };
    if (!folder_cache_is_fresh(ctx, p->cache.ttl, &is_fresh, &failure) ||
        (!is_fresh && !folder_cache_save(ctx, p->cache.patterns, &failure)))
        task_log(ctx, LOG_WARN, "The cache was not saved: %s", failure.text);
}

static bool close_folder(struct task_ctx *ctx,
                         const struct props *p,
                         struct value_builder *outputs,
                         struct error *err)
{
    struct value_builder files = value_build(ctx->arena);
    bool ok = files_collect(ctx, p->output_files, NULL, &files, err);
    if (ok && value_count(p->output_files) > 0)
        value_put(outputs, "outputFiles", value_build_map(&files));
    if (ok && value_count(p->cache.patterns) > 0)
        save_cache(ctx, p);
    return ok;
}

void work_folder(void *context)
{
    struct work *work = context;
    struct task_ctx *ctx = &work->job.ctx;
    struct props bound = { 0 };
    struct error err = { 0 };
    const struct value *map = work->order->props == NULL ? &value_empty_map : work->order->props;

    work_start(work);
    work->ok = prop_bind(props, map, &bound, ctx->arena, &err);
    ctx->props = map;
    if (work->ok && str_eq(work->order->phase, "open")) {
        work->ok = open_folder(ctx, &bound, &err);
    } else if (work->ok) {
        work->ok = close_folder(ctx, &bound, &work->outputs, &err);
        work->job.owns_working_dir = true; // it goes now
        work->job.has_working_dir = true;
    }
    if (!work->ok)
        work_fail(work, &err);
    work_end(work);
}
