/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker/task.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/redact.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "base/url.h"
#include "core/value.h"
#include "runtime/storage/storage.h"
#include "runtime/store/logstore.h"
#include "runtime/worker/job.h"
#include "runtime/worker/places.h"
#include "runtime/worker/services.h"

#define WAIT_STEP (50 * USEC_MSEC)

static struct job *job_of(const struct task_ctx *ctx)
{
    return ctx->private_data;
}

void job_init(struct job *job)
{
    job->ctx.private_data = job;
    atomic_init(&job->stop, STOP_NONE);
    atomic_init(&job->cancelled, false);
}

void job_stop(struct job *job, enum stop_reason reason)
{
    int none = STOP_NONE;
    if (atomic_compare_exchange_strong(&job->stop, &none, (int)reason))
        atomic_store(&job->cancelled, true);
}

bool job_sync(struct job *job, struct error *err)
{
    if (job->stored.count == 0)
        return true;
    struct storage *storage = job->ctx.services->storage;
    return storage->ops->sync(storage, job->stored.items, job->stored.count, err);
}

/* ---- logs and metrics ---- */

void task_log_text(struct task_ctx *ctx, enum log_level level, const char *text, size_t length)
{
    struct job *job = job_of(ctx);
    if (job->is_quiet)
        return;
    if (ctx->redact == NULL || redact_is_empty(ctx->redact)) {
        job->log(job, level, text, length);
        return;
    }
    struct buf masked = { 0 };
    bool is_masked;
    if (length > LOG_MESSAGE_MAX) { // the log would cut it, perhaps inside a secret
        is_masked = redact_apply_cut(ctx->redact, text, LOG_MESSAGE_MAX, &masked);
        if (is_masked)
            buf_puts(&masked, LOG_CUT_NOTE);
    } else {
        is_masked = redact_apply(ctx->redact, text, length, &masked);
    }
    if (is_masked)
        job->log(job, level, buf_text(&masked), masked.length);
    else
        job->log(job, level, text, length);
    buf_free(&masked);
}

void task_log(struct task_ctx *ctx, enum log_level level, const char *format, ...)
{
    struct buf text = { 0 };
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    task_log_text(ctx, level, buf_text(&text), text.length);
    buf_free(&text);
}

void task_metric(struct task_ctx *ctx,
                 const char *type,
                 const char *name,
                 double number,
                 const struct value *tags)
{
    struct job *job = job_of(ctx);
    if (job->metrics.count >= JOB_METRICS_MAX)
        return;
    struct metric_row *row = VEC_PUSH_ARENA(ctx->arena, &job->metrics);
    *row = (struct metric_row){
        .namespace = ctx->namespace,
        .flow_id = ctx->flow_id,
        .task_id = ctx->task_id,
        .run_id = ctx->run_id,
        .type = arena_strdup(ctx->arena, type),
        .name = arena_strdup(ctx->arena, name),
        .value = number,
        .tags = value_count(tags) > 0 ? value_to_json(ctx->arena, tags) : NULL,
        .at = clock_now(),
    };
}

void task_mask(struct task_ctx *ctx, const char *secret)
{
    if (ctx->redact != NULL)
        (void)redact_add(ctx->redact, secret); // a full set masks what it can
}

/* ---- stopping ---- */

bool task_is_cancelled(const struct task_ctx *ctx)
{
    return atomic_load(&job_of(ctx)->cancelled);
}

const atomic_bool *task_cancel_flag(const struct task_ctx *ctx)
{
    return &job_of(ctx)->cancelled;
}

bool task_check(const struct task_ctx *ctx, struct error *err)
{
    int reason = atomic_load(&job_of(ctx)->stop);
    if (reason == STOP_NONE)
        return true;
    return reason == STOP_TIMEOUT ? error_set(err, ERR_TIMEOUT, "the task ran out of time")
                                  : error_set(err, ERR_CANCELLED, "the task was stopped");
}

bool task_wait(const struct task_ctx *ctx, usec_t span, struct error *err)
{
    usec_t end = clock_monotonic() + span;
    for (;;) {
        if (!task_check(ctx, err))
            return false;
        usec_t left = end - clock_monotonic();
        if (left <= 0)
            return true;
        if (left > WAIT_STEP)
            left = WAIT_STEP;
        struct timespec pause = { .tv_sec = 0, .tv_nsec = (long)(left * 1000) };
        (void)nanosleep(&pause, NULL);
    }
}

/* ---- local folders ---- */

const char *task_working_dir(struct task_ctx *ctx, struct error *err)
{
    struct job *job = job_of(ctx);
    if (!job->has_working_dir) {
        bool is_there = (job->reuse_folder != NULL && job->reuse_folder(job)) ||
                        mkdir(ctx->working_dir, 0700) == 0 || errno == EEXIST;
        if (!is_there && !fs_mkdirs(ctx->working_dir, 0700, err))
            return NULL;
        job->has_working_dir = true;
    }
    return ctx->working_dir;
}

char *task_temp_path(struct task_ctx *ctx, const char *suffix, struct error *err)
{
    struct job *job = job_of(ctx);
    if (!job->has_scratch) {
        if (!fs_mkdirs(job->scratch, 0700, err))
            return NULL;
        job->has_scratch = true;
    }
    return arena_printf(ctx->arena, "%s/%u%s", job->scratch, job->temp_count++,
                        suffix == NULL ? "" : suffix);
}

/* ---- files by URI ---- */

bool task_is_file_uri(const char *text)
{
    return text != NULL && (str_starts(text, "kestra://") || str_starts(text, "nsfile://") ||
                            str_starts(text, "file://"));
}

static bool remember_stored(struct task_ctx *ctx, const char *path)
{
    *VEC_PUSH_ARENA(ctx->arena, &job_of(ctx)->stored) = path;
    return true;
}

static const char *store_path(struct task_ctx *ctx, const char *name, struct error *err)
{
    if (!fs_path_is_beneath(name)) {
        error_set(err, ERR_INVALID, "'%s' is not a name for a stored file", name);
        return NULL;
    }
    const char *path = storage_run_path(ctx->arena, ctx->namespace, ctx->flow_id, ctx->execution_id,
                                        ctx->task_id, ctx->run_id, name);
    return storage_path_check(path, err) ? path : NULL;
}

static bool is_below(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && path[length] == '/';
}

const char *task_store_file(struct task_ctx *ctx,
                            const char *local_path,
                            const char *name,
                            struct error *err)
{
    const struct job *job = job_of(ctx);
    struct storage *storage = ctx->services->storage;
    const char *path = store_path(ctx, name, err);
    if (path == NULL)
        return NULL;
    unsigned flags = STORAGE_LATER;
    if ((job->has_scratch && is_below(local_path, job->scratch)) ||
        (job->owns_working_dir && is_below(local_path, ctx->working_dir)))
        flags |= STORAGE_CONSUME;
    if (!storage->ops->put_file(storage, path, local_path, flags, err))
        return NULL;
    (void)remember_stored(ctx, path);
    return storage_path_uri(ctx->arena, path);
}

const char *task_store_bytes(
    struct task_ctx *ctx, const void *bytes, size_t length, const char *name, struct error *err)
{
    struct storage *storage = ctx->services->storage;
    const char *path = store_path(ctx, name, err);
    if (path == NULL || !storage->ops->put_bytes(storage, path, bytes, length, STORAGE_LATER, err))
        return NULL;
    (void)remember_stored(ctx, path);
    return storage_path_uri(ctx->arena, path);
}

int task_open_file(struct task_ctx *ctx, const char *uri, struct error *err)
{
    struct place place;
    return place_find(ctx->arena, ctx->namespace, uri, &place, err)
               ? place_open(ctx->services, ctx->arena, &place, err)
               : -1;
}

bool task_delete_file(struct task_ctx *ctx, const char *uri, bool *existed, struct error *err)
{
    const struct services *services = ctx->services;
    struct place place;
    if (!place_find(ctx->arena, ctx->namespace, uri, &place, err))
        return false;
    switch (place.kind) {
    case PLACE_STORAGE:
        return services->storage->ops->remove(services->storage, place.path, existed, err);
    case PLACE_NAMESPACE:
        return services->file_delete(services->data, place.namespace, place.path, existed, err);
    case PLACE_LOCAL:
        break;
    }
    return error_set(err, ERR_DENIED, "local files are not deleted");
}

const char *task_read_file(
    struct task_ctx *ctx, const char *uri, size_t max_bytes, size_t *length, struct error *err)
{
    AUTO_FD int fd = task_open_file(ctx, uri, err);
    return fd < 0 ? NULL : fs_read_fd(ctx->arena, fd, uri, max_bytes, length, err);
}

bool task_fetch_to(struct task_ctx *ctx, const char *uri, const char *local, struct error *err)
{
    AUTO_FD int from = task_open_file(ctx, uri, err);
    if (from < 0)
        return false;
    AUTO_FD int to = open(local, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0)
        return fs_error(err, errno, "create", local);
    size_t bytes = 0;
    return fs_copy(from, to, local, SIZE_MAX, &bytes, err);
}

const char *task_fetch_file(struct task_ctx *ctx, const char *uri, struct error *err)
{
    const char *slash = strrchr(uri, '/');
    const char *dot = slash == NULL ? NULL : strrchr(slash, '.');
    // The extension is kept: programs go by it.
    if (dot != NULL && (strlen(dot) > 16 || !fs_path_is_beneath(dot + 1)))
        dot = NULL;
    char *local = task_temp_path(ctx, dot, err);
    if (local == NULL || !task_fetch_to(ctx, uri, local, err))
        return NULL;
    return local;
}
