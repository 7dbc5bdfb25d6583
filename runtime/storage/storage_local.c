/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storage in a folder of the local disk.
 *
 * All names are resolved beneath an open root descriptor, links on the way are refused, so neither
 * a path nor a planted link reaches outside. A file becomes visible whole: it is written under a
 * name in `.incoming` and renamed. What a crash leaves there is removed at the next start.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/vec.h"
#include "runtime/storage/storage.h"

#define INCOMING ".incoming"
/* One file system sync is cheaper than this many syncs of files. */
#define SYNC_FILES_MAX 16U
/* Entries of one folder listing. */
#define LIST_MAX 1000000U

struct storage_local {
    struct storage storage;
    int root;
    int incoming;
    atomic_uint_fast64_t sequence;
};

static struct storage_local *local_of(struct storage *storage)
{
    return (struct storage_local *)storage;
}

/* Opens the folder that holds `path`; *name is its last segment, inside path. */
static int open_parent(struct storage_local *local,
                       const char *path,
                       const char **name,
                       struct error *err)
{
    if (!storage_path_check(path, err))
        return -1;
    const char *slash = strrchr(path, '/');
    *name = slash == NULL ? path : slash + 1;
    if (slash == NULL) {
        if (strcmp(path, INCOMING) == 0) {
            error_set(err, ERR_INVALID, "'%s' is reserved", path);
            return -1;
        }
        int fd = fcntl(local->root, F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
            (void)fs_error(err, errno, "open", path);
        return fd;
    }
    AUTO(arena_freep) struct arena *scratch = arena_new();
    const char *folder = arena_strndup(scratch, path, (size_t)(slash - path));
    struct error failure = { 0 };
    int fd = fs_open_beneath(local->root, folder, O_RDONLY | O_DIRECTORY, 0, FS_NO_LINKS, &failure);
    // A file or a link on the way holds nothing of ours.
    if (fd < 0 && (failure.code == ERR_INVALID || failure.code == ERR_NOT_FOUND))
        error_set(err, ERR_NOT_FOUND, "'%s' does not exist", path);
    else if (fd < 0 && err != NULL)
        *err = failure;
    return fd;
}

/* As open_parent(), making the folders. */
static int make_parent(struct storage_local *local,
                       const char *path,
                       const char **name,
                       struct error *err)
{
    if (!storage_path_check(path, err))
        return -1;
    const char *slash = strrchr(path, '/');
    if (slash != NULL) {
        AUTO(arena_freep) struct arena *scratch = arena_new();
        const char *folder = arena_strndup(scratch, path, (size_t)(slash - path));
        // The usual case, a folder that exists, costs one call.
        int fd = fs_open_beneath(local->root, folder, O_RDONLY | O_DIRECTORY, 0, FS_NO_LINKS, NULL);
        if (fd >= 0) {
            *name = slash + 1;
            return fd;
        }
        *name = slash + 1;
        return fs_mkdirs_beneath(local->root, folder, 0700, err)
                   ? fs_open_beneath(local->root, folder, O_RDONLY | O_DIRECTORY, 0, FS_NO_LINKS,
                                     err)
                   : -1;
    }
    return open_parent(local, path, name, err);
}

static void incoming_name(struct storage_local *local, char *name, size_t size)
{
    (void)snprintf(name, size, "%llu", (unsigned long long)atomic_fetch_add(&local->sequence, 1));
}

/* Gives a written file its name. Consumes nothing of fd; removes the temporary name on failure. */
static bool publish(struct storage_local *local,
                    int fd,
                    const char *temporary,
                    const char *path,
                    unsigned flags,
                    struct error *err)
{
    const char *name = NULL;
    AUTO_FD int parent = -1;
    if ((flags & STORAGE_LATER) == 0 && fsync(fd) != 0) {
        (void)fs_error(err, errno, "write", path);
        goto failed;
    }
    parent = make_parent(local, path, &name, err);
    if (parent < 0)
        goto failed;
    if (renameat(local->incoming, temporary, parent, name) != 0) {
        if (errno == EISDIR)
            error_set(err, ERR_CONFLICT, "'%s' is a folder", path);
        else
            (void)fs_error(err, errno, "write", path);
        goto failed;
    }
    if ((flags & STORAGE_LATER) == 0 && fsync(parent) != 0)
        return fs_error(err, errno, "write", path);
    return true;

failed:
    (void)unlinkat(local->incoming, temporary, 0); // left-overs also go at the next start
    return false;
}

static int create_incoming(struct storage_local *local, char *name, size_t size, struct error *err)
{
    incoming_name(local, name, size);
    int fd = openat(local->incoming, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        (void)fs_error(err, errno, "create", name);
    return fd;
}

static bool local_put_bytes(struct storage *storage,
                            const char *path,
                            const void *bytes,
                            size_t length,
                            unsigned flags,
                            struct error *err)
{
    struct storage_local *local = local_of(storage);
    char name[32];
    if (!storage_path_check(path, err))
        return false;
    AUTO_FD int fd = create_incoming(local, name, sizeof(name), err);
    if (fd < 0)
        return false;
    if (!fs_write_fd(fd, bytes, length, path, err)) {
        (void)unlinkat(local->incoming, name, 0);
        return false;
    }
    return publish(local, fd, name, path, flags, err);
}

/* Copies an open file, from where it stands, into the storage. */
static bool copy_in(
    struct storage_local *local, const char *path, int from, unsigned flags, struct error *err)
{
    char name[32];
    AUTO_FD int to = create_incoming(local, name, sizeof(name), err);
    if (to < 0)
        return false;
    size_t bytes = 0;
    if (!fs_copy(from, to, path, SIZE_MAX, &bytes, err)) {
        (void)unlinkat(local->incoming, name, 0);
        return false;
    }
    return publish(local, to, name, path, flags, err);
}

static bool local_put_file(struct storage *storage,
                           const char *path,
                           const char *source,
                           unsigned flags,
                           struct error *err)
{
    struct storage_local *local = local_of(storage);
    char name[32];
    if (!storage_path_check(path, err))
        return false;
    AUTO_FD int from = open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (from < 0)
        return fs_error(err, errno, "open", source);
    struct stat info;
    if (fstat(from, &info) != 0)
        return fs_error(err, errno, "read", source);
    if (!S_ISREG(info.st_mode))
        return error_set(err, ERR_INVALID, "'%s' is not a file", source);

    // A file with a second name would change under the storage when that name is written.
    if ((flags & STORAGE_CONSUME) != 0 && info.st_nlink == 1) {
        incoming_name(local, name, sizeof(name));
        if (renameat(AT_FDCWD, source, local->incoming, name) == 0) {
            (void)fchmod(from, 0600);
            return publish(local, from, name, path, flags, err);
        }
    }
    if (!copy_in(local, path, from, flags, err))
        return false;
    if ((flags & STORAGE_CONSUME) != 0)
        (void)unlink(source);
    return true;
}

static bool local_put_open(
    struct storage *storage, const char *path, int fd, unsigned flags, struct error *err)
{
    if (!storage_path_check(path, err))
        return false;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return fs_error(err, errno, "read", path);
    return copy_in(local_of(storage), path, fd, flags, err);
}

static bool local_sync(struct storage *storage,
                       const char *const *paths,
                       size_t count,
                       struct error *err)
{
    struct storage_local *local = local_of(storage);
    if (count > SYNC_FILES_MAX)
        return syncfs(local->root) == 0 || fs_error(err, errno, "sync", "storage");
    for (size_t i = 0; i < count; i++) {
        const char *name = NULL;
        AUTO_FD int parent = open_parent(local, paths[i], &name, NULL);
        AUTO_FD int fd = parent < 0 ? -1 : openat(parent, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            continue; // removed meanwhile: nothing to keep
        if (fsync(fd) != 0 || fsync(parent) != 0)
            return fs_error(err, errno, "sync", paths[i]);
    }
    return true;
}

static int local_open(struct storage *storage, const char *path, struct error *err)
{
    struct storage_local *local = local_of(storage);
    const char *name = NULL;
    AUTO_FD int parent = open_parent(local, path, &name, err);
    if (parent < 0)
        return -1;
    // Not blocking: a pipe would wait for its other end before it can be refused.
    AUTO_FD int fd = openat(parent, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        if (errno == ELOOP)
            error_set(err, ERR_NOT_FOUND, "'%s' is not a file", path);
        else
            (void)fs_error(err, errno, "open", path);
        return -1;
    }
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        error_set(err, ERR_NOT_FOUND, "'%s' is not a file", path);
        return -1;
    }
    return fd_steal(&fd);
}

static bool local_get_file(struct storage *storage,
                           const char *path,
                           const char *target,
                           struct error *err)
{
    AUTO_FD int from = local_open(storage, path, err);
    if (from < 0)
        return false;
    AUTO_FD int to = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0)
        return fs_error(err, errno, "create", target);
    size_t bytes = 0;
    return fs_copy(from, to, target, SIZE_MAX, &bytes, err);
}

static bool local_get_bytes(struct storage *storage,
                            struct arena *arena,
                            const char *path,
                            size_t max_bytes,
                            const char **bytes,
                            size_t *length,
                            struct error *err)
{
    AUTO_FD int fd = local_open(storage, path, err);
    if (fd < 0)
        return false;
    const char *content = fs_read_fd(arena, fd, path, max_bytes, length, err);
    if (content == NULL)
        return false;
    *bytes = content;
    return true;
}

static void fill_stat(struct storage_stat *out, const char *name, const struct stat *info)
{
    out->name = name;
    out->is_folder = S_ISDIR(info->st_mode);
    out->bytes = out->is_folder ? 0 : info->st_size;
    out->modified_at =
        (usec_t)info->st_mtim.tv_sec * USEC_SEC + (usec_t)(info->st_mtim.tv_nsec / 1000);
}

static bool local_stat(struct storage *storage,
                       struct arena *arena,
                       const char *path,
                       struct storage_stat *out,
                       struct error *err)
{
    struct storage_local *local = local_of(storage);
    struct stat info;
    const char *name = "";
    if (*path == '\0') {
        if (fstat(local->root, &info) != 0)
            return fs_error(err, errno, "read", "storage");
    } else {
        AUTO_FD int parent = open_parent(local, path, &name, err);
        if (parent < 0)
            return false;
        if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            return fs_error(err, errno, "read", path);
        if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
            return error_set(err, ERR_NOT_FOUND, "'%s' is neither a file nor a folder", path);
    }
    fill_stat(out, arena_strdup(arena, name), &info);
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct storage_stat *)a)->name, ((const struct storage_stat *)b)->name);
}

static void closedirp(DIR **folder)
{
    if (*folder != NULL)
        (void)closedir(*folder);
}

static bool local_list(struct storage *storage,
                       struct arena *arena,
                       const char *path,
                       struct storage_stat **out,
                       size_t *count,
                       struct error *err)
{
    struct storage_local *local = local_of(storage);
    bool is_root = *path == '\0';
    if (!is_root && !storage_path_check(path, err))
        return false;
    AUTO_FD int fd =
        is_root ? openat(local->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                : fs_open_beneath(local->root, path, O_RDONLY | O_DIRECTORY, 0, FS_NO_LINKS, err);
    if (fd < 0)
        return is_root ? fs_error(err, errno, "open", "storage") : false;
    AUTO(closedirp) DIR *folder = fdopendir(fd);
    if (folder == NULL)
        return fs_error(err, errno, "read", path);
    (void)fd_steal(&fd); // now owned by folder

    VEC(struct storage_stat) all = { 0 };
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL)
            break;
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            (is_root && strcmp(entry->d_name, INCOMING) == 0))
            continue;
        if (fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            continue; // removed meanwhile
        if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
            continue;
        if (all.count == LIST_MAX)
            return error_set(err, ERR_LIMIT, "'%s' holds more than %u entries", path, LIST_MAX);
        fill_stat(VEC_PUSH_ARENA(arena, &all), arena_strdup(arena, entry->d_name), &info);
    }
    if (errno != 0)
        return fs_error(err, errno, "read", path);
    if (all.count > 0)
        qsort(all.items, all.count, sizeof(all.items[0]), compare_names);
    *out = all.items;
    *count = all.count;
    return true;
}

static bool local_make_folder(struct storage *storage, const char *path, struct error *err)
{
    return storage_path_check(path, err) &&
           fs_mkdirs_beneath(local_of(storage)->root, path, 0700, err);
}

static bool local_move(struct storage *storage, const char *from, const char *to, struct error *err)
{
    struct storage_local *local = local_of(storage);
    const char *from_name = NULL;
    const char *to_name = NULL;
    AUTO_FD int source = open_parent(local, from, &from_name, err);
    if (source < 0)
        return false;
    struct stat info;
    if (fstatat(source, from_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return fs_error(err, errno, "move", from);
    AUTO_FD int target = make_parent(local, to, &to_name, err);
    if (target < 0)
        return false;
    if (renameat(source, from_name, target, to_name) != 0) {
        if (errno == EINVAL)
            return error_set(err, ERR_INVALID, "'%s' cannot be moved into itself", from);
        if (errno == EISDIR || errno == ENOTDIR || errno == ENOTEMPTY || errno == EEXIST)
            return error_set(err, ERR_CONFLICT, "'%s' exists already", to);
        return fs_error(err, errno, "move", from);
    }
    if (fsync(target) != 0 || fsync(source) != 0)
        return fs_error(err, errno, "move", from);
    return true;
}

static bool local_remove(struct storage *storage,
                         const char *path,
                         bool *existed,
                         struct error *err)
{
    struct storage_local *local = local_of(storage);
    const char *name = NULL;
    struct error failure = { 0 };
    AUTO_FD int parent = open_parent(local, path, &name, &failure);
    struct stat info;
    bool found = parent >= 0 && fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
    if (!found) {
        if (parent < 0 && failure.code != ERR_NOT_FOUND) {
            if (err != NULL)
                *err = failure;
            return false;
        }
        *existed = false;
        return true;
    }
    if (!fs_remove_tree_at(parent, name, err))
        return false;
    *existed = true;
    return true;
}

static void local_free(struct storage *storage)
{
    struct storage_local *local = local_of(storage);
    if (local->incoming >= 0)
        (void)close(local->incoming);
    if (local->root >= 0)
        (void)close(local->root);
    free(local);
}

static const struct storage_ops local_ops = {
    .name = "local",
    .put_file = local_put_file,
    .put_open = local_put_open,
    .put_bytes = local_put_bytes,
    .sync = local_sync,
    .open = local_open,
    .get_file = local_get_file,
    .get_bytes = local_get_bytes,
    .stat = local_stat,
    .list = local_list,
    .make_folder = local_make_folder,
    .move = local_move,
    .remove = local_remove,
    .free = local_free,
};

struct storage *storage_local_new(const char *root, struct error *err)
{
    if (!fs_mkdirs(root, 0700, err))
        return NULL;
    struct storage_local *local = check_calloc(1, sizeof(*local));
    local->storage.ops = &local_ops;
    local->incoming = -1;
    local->root = fs_open_folder(root, err);
    if (local->root < 0 || !fs_remove_tree_at(local->root, INCOMING, err) ||
        !fs_mkdirs_beneath(local->root, INCOMING, 0700, err)) {
        local_free(&local->storage);
        return NULL;
    }
    local->incoming =
        fs_open_beneath(local->root, INCOMING, O_RDONLY | O_DIRECTORY, 0, FS_NO_LINKS, err);
    if (local->incoming < 0) {
        local_free(&local->storage);
        return NULL;
    }
    return &local->storage;
}
