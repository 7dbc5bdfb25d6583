/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the worker keeps of an execution: its secrets, its folder, and empty working directories for
 * its next runs.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/redact.h"
#include "base/str.h"
#include "runtime/worker/work.h"

/* ---- references ---- */

static void remove_gone(void *context)
{
    char *folder = context;
    struct error err = { 0 };
    if (!fs_remove_tree(folder, &err))
        log_warn("working directories cannot be removed", LOG_ERR(&err));
    free(folder);
}

/* Moves the folder of an execution away at once, since its name may be used again, by a restart. */
static void remove_folder_later(struct worker *worker, const char *execution_id)
{
    const char *root = worker->options.services->work_root;
    char *folder = NULL;
    char *gone = NULL;
    CHECK(asprintf(&folder, "%s/%s", root, execution_id) > 0);
    CHECK(asprintf(&gone, "%s/.gone-%llu", root, (unsigned long long)worker->gone++) > 0);
    bool is_moved = rename(folder, gone) == 0;
    free(folder);
    // A pool that takes no more leaves it to the next start.
    if (!is_moved || !pool_submit(worker->sweeps, remove_gone, gone))
        free(gone);
}

void space_free(struct space *space)
{
    while (space->free_count > 0)
        free(space->free_folders[--space->free_count]);
    redact_free(space->redact);
    free(space);
}

void space_unref(struct worker *worker, const char *execution_id, struct space *space)
{
    CHECK(space->refs > 0);
    space->refs--;
    if (space->refs > 0 || !space->is_forgotten)
        return;
    // While it stops, folders are left to the next start.
    if (space->has_folder && !worker->options.keep_folders && !worker->is_stopping)
        remove_folder_later(worker, execution_id);
    (void)map_remove(&worker->spaces, execution_id);
    space_free(space);
}

struct space *space_ref(struct worker *worker, const char *execution_id)
{
    struct space *space = map_find(&worker->spaces, execution_id);
    if (space == NULL) {
        space = check_calloc(1, sizeof(*space));
        space->redact = redact_new(redact_process());
        (void)map_put(&worker->spaces, execution_id, space);
    }
    space->refs++;
    return space;
}

void worker_mask(void *data, const char *execution_id, const char *text, size_t length)
{
    struct worker *worker = data;
    (void)pthread_mutex_lock(&worker->lock);
    struct space *space = space_ref(worker, execution_id);
    space->refs--;                                       // stays until it is forgotten
    (void)redact_add_bytes(space->redact, text, length); // a full set masks what it can
    (void)pthread_mutex_unlock(&worker->lock);
}

bool worker_redact(struct worker *worker,
                   const char *execution_id,
                   const char *text,
                   size_t length,
                   struct buf *out)
{
    (void)pthread_mutex_lock(&worker->lock);
    struct space *space = map_find(&worker->spaces, execution_id);
    if (space != NULL)
        space->refs++;
    (void)pthread_mutex_unlock(&worker->lock);
    if (space == NULL)
        return redact_apply(redact_process(), text, length, out);
    bool is_masked = redact_apply(space->redact, text, length, out);
    (void)pthread_mutex_lock(&worker->lock);
    space_unref(worker, execution_id, space);
    (void)pthread_mutex_unlock(&worker->lock);
    return is_masked;
}

/* ---- folders ---- */

/* As it was made: empty, and nobody changed who may enter it. */
static bool is_untouched(const char *path)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0 || info.st_uid != geteuid() ||
        (info.st_mode & 07777) != 0700)
        return false;
    DIR *folder = fdopendir(fd);
    if (folder == NULL)
        return false;
    (void)fd_steal(&fd); // now owned by folder
    const struct dirent *entry;
    bool is_empty = true;
    while (is_empty && (entry = readdir(folder)) != NULL)
        is_empty = str_eq(entry->d_name, ".") || str_eq(entry->d_name, "..");
    (void)closedir(folder);
    return is_empty;
}

/* Leaves an empty working directory to the next run of the execution. */
bool space_keep_folder(struct work *work)
{
    struct space *space = work->space;
    if (space == NULL || !is_untouched(work->job.ctx.working_dir))
        return false;
    (void)pthread_mutex_lock(&work->worker->lock);
    bool has_room = space->free_count < FREE_FOLDERS_MAX && !space->is_forgotten;
    if (has_room)
        space->free_folders[space->free_count++] = check_strdup(work->job.ctx.working_dir);
    (void)pthread_mutex_unlock(&work->worker->lock);
    return has_room;
}

bool space_reuse_folder(struct job *job)
{
    struct work *work = (struct work *)job;
    struct space *space = work->space;
    AUTO_FREE char *folder = NULL;
    if (space == NULL)
        return false;
    (void)pthread_mutex_lock(&work->worker->lock);
    if (space->free_count > 0)
        folder = space->free_folders[--space->free_count];
    (void)pthread_mutex_unlock(&work->worker->lock);
    return folder != NULL && rename(folder, job->ctx.working_dir) == 0;
}
