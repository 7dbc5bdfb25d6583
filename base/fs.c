/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/vec.h"

#define COPY_BYTES ((size_t)128 * 1024)

/* The kernel asks to try again while names change under an openat2; it never takes many. */
#define OPEN_TRIES_MAX 64

/* fs_remove_tree() reads a folder again when others add to it meanwhile. */
#define REMOVE_TRIES_MAX 16

bool fs_error(struct error *err, int number, const char *verb, const char *path)
{
    enum error_code code = ERR_INTERNAL;
    const char *advice = "";
    switch (number) {
    case ENOENT:
        code = ERR_NOT_FOUND;
        break;
    case EACCES:
    case EPERM:
    case EROFS:
        code = ERR_DENIED;
        break;
    case EEXIST:
    case ENOTEMPTY:
        code = ERR_CONFLICT;
        break;
    case ENOSPC:
        code = ERR_LIMIT;
        advice = "; free some space there, or move the folder to a larger disk";
        break;
    case EDQUOT:
        code = ERR_LIMIT;
        advice = "; raise the quota of this user, or remove files it owns";
        break;
    case EMFILE:
    case ENFILE:
        code = ERR_LIMIT;
        advice = "; raise the limit of open files (ulimit -n, LimitNOFILE)";
        break;
    case EFBIG:
    case ENAMETOOLONG:
        code = ERR_LIMIT;
        break;
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case EXDEV:
    case EINVAL:
        code = ERR_INVALID;
        break;
    default:
        break;
    }
    return error_set(err, code, "%s '%s': %s%s", verb, path, strerror(number), advice);
}

char *fs_read_fd(struct arena *arena,
                 int fd,
                 const char *name,
                 size_t bytes_max,
                 size_t *length,
                 struct error *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        fs_error(err, errno, "read", name);
        return NULL;
    }
    if (S_ISREG(info.st_mode) && (uint64_t)info.st_size > bytes_max) {
        error_set(err, ERR_LIMIT, "'%s' is larger than %zu bytes", name, bytes_max);
        return NULL;
    }

    // One byte more than expected, so that a file of the size it had ends in the first round.
    size_t capacity = S_ISREG(info.st_mode) ? (size_t)info.st_size + 1 : 4096;
    char *bytes = arena_bytes_alloc(arena, capacity + 1);
    size_t used = 0;
    for (;;) {
        ssize_t got = read(fd, bytes + used, capacity - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            fs_error(err, errno, "read", name);
            return NULL;
        }
        if (got == 0)
            break;
        used += (size_t)got;
        if (used > bytes_max) {
            error_set(err, ERR_LIMIT, "'%s' is larger than %zu bytes", name, bytes_max);
            return NULL;
        }
        if (used == capacity) {
            char *more = arena_bytes_alloc(arena, capacity * 2 + 1);
            memcpy(more, bytes, used);
            bytes = more;
            capacity *= 2;
        }
    }
    bytes[used] = '\0';
    if (length != NULL)
        *length = used;
    return bytes;
}

char *fs_read(
    struct arena *arena, const char *path, size_t bytes_max, size_t *length, struct error *err)
{
    // O_NONBLOCK: opening a pipe that nobody writes must not wait. It means nothing for files.
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0) {
        fs_error(err, errno, "open", path);
        return NULL;
    }
    // Character devices stay readable for /dev/null and /dev/stdin.
    if (!S_ISREG(info.st_mode) && !S_ISCHR(info.st_mode)) {
        error_set(err, ERR_INVALID, "'%s' is a %s, not a file", path,
                  S_ISDIR(info.st_mode) ? "folder" : "pipe, socket or device");
        return NULL;
    }
    return fs_read_fd(arena, fd, path, bytes_max, length, err);
}

bool fs_write_fd(int fd, const void *bytes, size_t length, const char *name, struct error *err)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t wrote = write(fd, at, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return fs_error(err, errno, "write", name);
        at += wrote;
        length -= (size_t)wrote;
    }
    return true;
}

/* "/a" gives "/", "a" gives "." */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return check_strdup(".");
    size_t length = slash == path ? 1 : (size_t)(slash - path);
    char *folder = check_malloc(length + 1);
    memcpy(folder, path, length);
    folder[length] = '\0';
    return folder;
}

bool fs_sync_folder(const char *path, struct error *err)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fs_error(err, errno, "open", path);
    if (fsync(fd) != 0 && errno != EINVAL) // EINVAL: the file system has no such notion
        return fs_error(err, errno, "sync", path);
    return true;
}

static bool write_and_rename(int fd,
                             const char *temporary,
                             const char *path,
                             const void *bytes,
                             size_t length,
                             mode_t mode,
                             struct error *err)
{
    if (!fs_write_fd(fd, bytes, length, path, err))
        return false;
    if (fchmod(fd, mode) != 0)
        return fs_error(err, errno, "change mode of", path);
    if (fsync(fd) != 0)
        return fs_error(err, errno, "sync", path);
    if (rename(temporary, path) != 0)
        return fs_error(err, errno, "replace", path);
    return true;
}

bool fs_write_atomic(
    const char *path, const void *bytes, size_t length, mode_t mode, struct error *err)
{
    struct buf temporary = { 0 };
    buf_printf(&temporary, "%s.XXXXXX", path);
    AUTO_FREE char *name = temporary.bytes;
    AUTO_FREE char *folder = folder_of(path);

    AUTO_FD int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return fs_error(err, errno, "write", path);
    if (!write_and_rename(fd, name, path, bytes, length, mode, err)) {
        (void)unlink(name); // best effort: the failure to report is the first one
        return false;
    }
    return fs_sync_folder(folder, err);
}

bool fs_mkdirs(const char *path, mode_t mode, struct error *err)
{
    if (path[0] == '\0')
        return error_set(err, ERR_INVALID, "empty path of a folder");
    AUTO_FREE char *copy = check_strdup(path);
    for (char *at = copy + 1; at[-1] != '\0'; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char kept = *at;
        *at = '\0';
        struct stat info;
        // stat() after a failure: mkdir of an existing folder on a read-only system says EROFS.
        if (mkdir(copy, mode) != 0) {
            int number = errno;
            if (stat(copy, &info) != 0)
                return fs_error(err, number, "make folder", copy);
            if (!S_ISDIR(info.st_mode))
                return fs_error(err, ENOTDIR, "make folder", copy);
        }
        *at = kept;
        if (kept == '\0')
            break;
    }
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in an open folder, sorted, without "." and "..". Takes the descriptor. */
struct names {
    char **items;
    size_t count;
    size_t capacity;
};

static void names_release(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    VEC_FREE(names);
}

static bool names_load(int dirfd, const char *path, struct names *out, struct error *err)
{
    // A descriptor of its own: fdopendir takes it, and the offset must not be shared.
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        int number = errno;
        if (fd >= 0)
            (void)close(fd);
        return fs_error(err, number, "read folder", path);
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL)
            break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            *VEC_PUSH(out) = check_strdup(entry->d_name);
    }
    int number = errno;
    (void)closedir(dir);
    if (number != 0)
        return fs_error(err, number, "read folder", path);
    if (out->count > 1)
        qsort(out->items, out->count, sizeof(out->items[0]), compare_names);
    return true;
}

static int open_folder_at(int dirfd, const char *name)
{
    return openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool remove_at(
    int dirfd, const char *name, const char *shown, unsigned depth, struct error *err);

static bool remove_content(int fd, const char *shown, unsigned depth, struct error *err)
{
    AUTO(names_release) struct names names = { 0 };
    if (!names_load(fd, shown, &names, err))
        return false;
    for (size_t i = 0; i < names.count; i++) {
        if (!remove_at(fd, names.items[i], shown, depth + 1, err))
            return false;
    }
    return true;
}

static bool remove_at(
    int dirfd, const char *name, const char *shown, unsigned depth, struct error *err)
{
    if (depth > FS_DEPTH_MAX)
        return error_set(err, ERR_LIMIT, "'%s' is nested deeper than %d", shown, FS_DEPTH_MAX);
    for (unsigned tries = 0; tries < REMOVE_TRIES_MAX; tries++) {
        if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
            return true;
        // EPERM: what other systems say of a folder. Linux says EISDIR.
        if (errno != EISDIR && errno != EPERM)
            return fs_error(err, errno, "remove", shown);
        if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            return true;
        if (errno != ENOTEMPTY && errno != EEXIST)
            return fs_error(err, errno, "remove", shown);

        AUTO_FD int fd = open_folder_at(dirfd, name);
        if (fd < 0 && errno == EACCES && fchmodat(dirfd, name, 0700, 0) == 0)
            fd = open_folder_at(dirfd, name);
        if (fd < 0 && errno != ENOENT)
            return fs_error(err, errno, "remove", shown);
        if (fd >= 0 && !remove_content(fd, shown, depth, err)) {
            // A folder that its owner may not write: one of a task's tricks, or a read-only cache.
            if (tries > 0 || err == NULL || err->code != ERR_DENIED || fchmod(fd, 0700) != 0)
                return false;
        }
    }
    return error_set(err, ERR_CONFLICT, "remove '%s': others keep adding to it", shown);
}

bool fs_remove_tree_at(int dirfd, const char *name, struct error *err)
{
    // A caller without an error still needs the code for the decision in remove_at().
    struct error local = { 0 };
    return remove_at(dirfd, name, name, 0, err == NULL ? &local : err);
}

bool fs_remove_tree(const char *path, struct error *err)
{
    return fs_remove_tree_at(AT_FDCWD, path, err);
}

static bool walk_folder(int fd,
                        struct buf *path,
                        unsigned depth,
                        fs_walk_fn *visit,
                        void *context,
                        const char *root,
                        struct error *err)
{
    if (depth > FS_DEPTH_MAX)
        return error_set(err, ERR_LIMIT, "'%s' is nested deeper than %d", root, FS_DEPTH_MAX);
    AUTO(names_release) struct names names = { 0 };
    if (!names_load(fd, path->length == 0 ? root : buf_text(path), &names, err))
        return false;

    size_t kept = path->length;
    for (size_t i = 0; i < names.count; i++) {
        path->length = kept;
        if (kept > 0)
            buf_putc(path, '/');
        buf_puts(path, names.items[i]);

        struct stat info;
        if (fstatat(fd, names.items[i], &info, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT)
                continue; // gone since the folder was read
            return fs_error(err, errno, "look at", path->bytes);
        }
        struct fs_entry entry = {
            .dirfd = fd,
            .name = names.items[i],
            .path = path->bytes,
            .info = &info,
        };
        if (!visit(context, &entry, err))
            return false;
        if (!S_ISDIR(info.st_mode))
            continue;
        AUTO_FD int child = open_folder_at(fd, names.items[i]);
        if (child < 0) {
            if (errno == ENOENT || errno == ENOTDIR)
                continue;
            return fs_error(err, errno, "open", path->bytes);
        }
        if (!walk_folder(child, path, depth + 1, visit, context, root, err))
            return false;
    }
    path->length = kept;
    return true;
}

bool fs_walk(const char *root, fs_walk_fn *visit, void *context, struct error *err)
{
    AUTO_FD int fd = fs_open_folder(root, err);
    if (fd < 0)
        return false;
    AUTO(buf_free) struct buf path = { 0 };
    return walk_folder(fd, &path, 0, visit, context, root, err);
}

bool fs_path_is_beneath(const char *path)
{
    if (path == NULL || path[0] == '\0' || path[0] == '/')
        return false;
    for (const char *at = path;;) {
        size_t length = strcspn(at, "/");
        if (length == 0 || (length == 1 && at[0] == '.') ||
            (length == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        if (at[length] == '\0')
            return true;
        at += length + 1;
    }
}

int fs_open_folder(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        fs_error(err, errno, "open folder", path);
    return fd;
}

static int open_beneath(int dirfd, const char *path, int flags, mode_t mode, unsigned options)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
        .mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    if ((options & FS_NO_LINKS) != 0)
        how.resolve |= RESOLVE_NO_SYMLINKS;
    for (unsigned tries = 0;; tries++) {
        long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
        if (fd >= 0)
            return (int)fd;
        if ((errno != EAGAIN && errno != EINTR) || tries >= OPEN_TRIES_MAX)
            return -1;
    }
}

int fs_open_beneath(
    int dirfd, const char *path, int flags, mode_t mode, unsigned options, struct error *err)
{
    if (!fs_path_is_beneath(path)) {
        error_set(err, ERR_INVALID, "path '%s' is not below its folder", path == NULL ? "" : path);
        return -1;
    }
    int fd = open_beneath(dirfd, path, flags, mode, options);
    if (fd < 0 && errno == ENOENT && (options & FS_MAKE_PARENTS) != 0) {
        const char *slash = strrchr(path, '/');
        if (slash != NULL) {
            AUTO_FREE char *folder = folder_of(path);
            if (!fs_mkdirs_beneath(dirfd, folder, 0700, err))
                return -1;
        }
        fd = open_beneath(dirfd, path, flags, mode, options);
    }
    if (fd >= 0)
        return fd;
    if (errno == EXDEV)
        error_set(err, ERR_INVALID, "path '%s' leaves its folder through a link", path);
    else if (errno == ELOOP)
        error_set(err, ERR_INVALID, "path '%s' has a symbolic link on its way", path);
    else
        fs_error(err, errno, "open", path);
    return -1;
}

bool fs_mkdirs_beneath(int dirfd, const char *path, mode_t mode, struct error *err)
{
    if (!fs_path_is_beneath(path))
        return error_set(err, ERR_INVALID, "path '%s' is not below its folder", path);
    AUTO_FREE char *copy = check_strdup(path);
    AUTO_FD int at = open_folder_at(dirfd, ".");
    if (at < 0)
        return fs_error(err, errno, "make folder", path);
    for (char *name = copy, *next = NULL; name != NULL; name = next) {
        char *slash = strchr(name, '/');
        next = slash == NULL ? NULL : slash + 1;
        if (slash != NULL)
            *slash = '\0';
        // One segment at a time: O_NOFOLLOW then covers every segment of the path.
        if (mkdirat(at, name, mode) != 0 && errno != EEXIST)
            return fs_error(err, errno, "make folder", path);
        int below = open_folder_at(at, name);
        if (below < 0)
            return fs_error(err, errno, "make folder", path);
        (void)close(at);
        at = below;
    }
    return true;
}

static const char *temporary_folder(const char *folder)
{
    if (folder != NULL)
        return folder;
    const char *named = getenv("TMPDIR");
    return named == NULL || named[0] == '\0' ? "/tmp" : named;
}

int fs_temp(const char *folder, struct error *err)
{
    const char *where = temporary_folder(folder);
    int fd = open(where, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT) {
        fs_error(err, errno, "make a temporary file in", where);
        return -1;
    }

    // A file system without O_TMPFILE (overlay of old kernels, some network ones).
    struct buf name = { 0 };
    buf_printf(&name, "%s/weir-XXXXXX", where);
    AUTO_FREE char *path = name.bytes;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        fs_error(err, errno, "make a temporary file in", where);
        return -1;
    }
    (void)unlink(path); // only the name goes
    return fd;
}

char *fs_temp_folder(struct arena *arena, const char *folder, const char *prefix, struct error *err)
{
    const char *where = temporary_folder(folder);
    char *path = arena_printf(arena, "%s/%sXXXXXX", where, prefix);
    if (mkdtemp(path) != NULL)
        return path;
    fs_error(err, errno, "make a temporary folder in", where);
    return NULL;
}

bool fs_copy(int from, int to, const char *name, size_t bytes_max, size_t *bytes, struct error *err)
{
    AUTO_FREE char *buffer = NULL;
    size_t total = 0;
    for (;;) {
        ssize_t moved = -1;
        if (buffer == NULL) {
            moved = copy_file_range(from, NULL, to, NULL, COPY_BYTES * 64, 0);
            // What the kernel cannot copy between these two (pipes, other file systems) goes by
            // hand.
            if (moved < 0 && errno != EINTR && errno != ENOSPC && errno != EDQUOT && errno != EIO)
                buffer = check_malloc(COPY_BYTES);
            // Files of /proc claim to be empty.
            if (moved == 0 && total == 0)
                buffer = check_malloc(COPY_BYTES);
        }
        if (buffer != NULL) {
            moved = read(from, buffer, COPY_BYTES);
            if (moved > 0 && !fs_write_fd(to, buffer, (size_t)moved, name, err))
                return false;
        }
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved < 0)
            return fs_error(err, errno, "copy", name);
        total += (size_t)moved;
        if (total > bytes_max)
            return error_set(err, ERR_LIMIT, "'%s' is larger than %zu bytes", name, bytes_max);
        if (moved == 0)
            break;
    }
    if (bytes != NULL)
        *bytes = total;
    return true;
}
