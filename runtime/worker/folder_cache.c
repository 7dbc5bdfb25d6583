/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker/folder_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "core/value.h"
#include "runtime/storage/storage.h"
#include "runtime/worker/files.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

#define FORMAT          "weir-cache-1\n"
#define PATH_BYTES_MAX  4096U
#define HEAD_BYTES_MAX  64U
#define FILES_CACHE_MAX 1000000U

static const char *cache_path(struct task_ctx *ctx)
{
    const char *flow = storage_execution_path(ctx->arena, ctx->namespace, ctx->flow_id, "");
    // <ns>/<flow>/executions/ becomes <ns>/<flow>/_cache/<task>
    return arena_printf(ctx->arena, "%.*s_cache/%s", (int)(strlen(flow) - strlen("executions/")),
                        flow, storage_slug(ctx->arena, ctx->task_id));
}

/* ---- saving ---- */

struct saving {
    const struct value *patterns;
    FILE *out;
    size_t count;
};

static bool copy_stream(int fd, FILE *out, off_t size, struct error *err)
{
    char bytes[65536];
    while (size > 0) {
        size_t want = size < (off_t)sizeof(bytes) ? (size_t)size : sizeof(bytes);
        ssize_t got = read(fd, bytes, want);
        if (got <= 0)
            return error_set(err, ERR_INTERNAL, "a file changed while it was cached");
        if (fwrite(bytes, 1, (size_t)got, out) != (size_t)got)
            return fs_error(err, errno, "write", "cache");
        size -= got;
    }
    return true;
}

static bool save_entry(void *context, const struct fs_entry *entry, struct error *err)
{
    struct saving *saving = context;
    if (!S_ISREG(entry->info->st_mode) || !files_match(saving->patterns, entry->path, false))
        return true;
    if (saving->count++ == FILES_CACHE_MAX)
        return error_set(err, ERR_LIMIT, "more than %u cached files", FILES_CACHE_MAX);
    struct stat info;
    AUTO_FD int fd = openat(entry->dirfd, entry->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &info) != 0)
        return fs_error(err, errno, "read", entry->path);
    if (fprintf(saving->out, "%o %lld %zu\n%s", (unsigned)(info.st_mode & 0777),
                (long long)info.st_size, strlen(entry->path), entry->path) < 0)
        return fs_error(err, errno, "write", "cache");
    return copy_stream(fd, saving->out, info.st_size, err);
}

bool folder_cache_save(struct task_ctx *ctx, const struct value *patterns, struct error *err)
{
    struct storage *storage = ctx->services->storage;
    char *local = task_temp_path(ctx, NULL, err);
    if (local == NULL)
        return false;
    AUTO_FILE FILE *out = fopen(local, "wxe");
    if (out == NULL)
        return fs_error(err, errno, "create", local);
    struct saving saving = { .patterns = patterns, .out = out };
    if (fputs(FORMAT, out) < 0 || !fs_walk(ctx->working_dir, save_entry, &saving, err))
        return false;
    if (fflush(out) != 0)
        return fs_error(err, errno, "write", local);
    return storage->ops->put_file(storage, cache_path(ctx), local, STORAGE_CONSUME, err);
}

/* ---- restoring ---- */

static bool restore_entry(FILE *in, int root, bool *is_end, struct error *err)
{
    unsigned mode = 0;
    long long size = 0;
    size_t path_length = 0;
    char head[HEAD_BYTES_MAX];
    char path[PATH_BYTES_MAX + 1];
    *is_end = fgets(head, sizeof(head), in) == NULL;
    if (*is_end)
        return !ferror(in) || fs_error(err, errno, "read", "cache");
    if (sscanf(head, "%o %lld %zu", &mode, &size, &path_length) != 3 || size < 0 ||
        path_length > PATH_BYTES_MAX || fread(path, 1, path_length, in) != path_length)
        return error_set(err, ERR_INTERNAL, "the cache is damaged");
    path[path_length] = '\0';
    AUTO_FD int fd = fs_open_beneath(root, path, O_WRONLY | O_CREAT | O_TRUNC, mode & 0777,
                                     FS_NO_LINKS | FS_MAKE_PARENTS, err);
    if (fd < 0)
        return false;
    char bytes[65536];
    while (size > 0) {
        size_t want = size < (long long)sizeof(bytes) ? (size_t)size : sizeof(bytes);
        size_t got = fread(bytes, 1, want, in);
        if (got == 0)
            return error_set(err, ERR_INTERNAL, "the cache is damaged");
        if (!fs_write_fd(fd, bytes, got, path, err))
            return false;
        size -= (long long)got;
    }
    return true;
}

bool folder_cache_is_fresh(struct task_ctx *ctx, usec_t ttl, bool *is_fresh, struct error *err)
{
    struct storage *storage = ctx->services->storage;
    struct storage_stat info;
    struct error failure = { 0 };
    if (storage->ops->stat(storage, ctx->arena, cache_path(ctx), &info, &failure)) {
        *is_fresh = ttl <= 0 || info.modified_at + ttl >= clock_now();
        return true;
    }
    if (failure.code == ERR_NOT_FOUND) {
        *is_fresh = false;
        return true;
    }
    if (err != NULL)
        *err = failure;
    return false;
}

bool folder_cache_restore(struct task_ctx *ctx, usec_t ttl, bool *is_fresh, struct error *err)
{
    struct storage *storage = ctx->services->storage;
    if (!folder_cache_is_fresh(ctx, ttl, is_fresh, err))
        return false;
    if (!*is_fresh)
        return true;
    *is_fresh = false; // until it is restored
    AUTO_FD int fd = storage->ops->open(storage, cache_path(ctx), err);
    const char *folder = fd < 0 ? NULL : task_working_dir(ctx, err);
    AUTO_FD int root = folder == NULL ? -1 : fs_open_folder(folder, err);
    if (root < 0)
        return false;
    AUTO_FILE FILE *in = fdopen(fd, "re");
    if (in == NULL)
        return fs_error(err, errno, "open", "cache");
    (void)fd_steal(&fd); // now owned by in
    char format[sizeof(FORMAT)];
    if (fgets(format, sizeof(format), in) == NULL || strcmp(format, FORMAT) != 0)
        return error_set(err, ERR_INTERNAL, "the cache is damaged");
    for (bool is_end = false; !is_end;)
        if (!restore_entry(in, root, &is_end, err) || !task_check(ctx, err))
            return false;
    *is_fresh = true;
    return true;
}
