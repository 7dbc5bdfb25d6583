/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files: whole reads and atomic writes, folders, and paths that cannot leave a root.
 *
 * Every function names the path in its error. Codes: ERR_NOT_FOUND, ERR_DENIED (permission),
 * ERR_LIMIT (a size bound, or no space left: the text says what to do), ERR_INVALID (a path that
 * leaves its root), ERR_CONFLICT (exists already), ERR_INTERNAL (anything else the system says).
 * All descriptors are close-on-exec.
 */
#ifndef BASE_FS_H
#define BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

struct arena;
struct error;

/* Depth at which fs_walk() and fs_remove_tree() stop with ERR_LIMIT. */
#define FS_DEPTH_MAX 128

/*
 * Whole file as bytes owned by the arena, with a NUL after them.
 *
 * length   may be NULL
 * Returns  NULL on failure; ERR_LIMIT when the file holds more than bytes_max.
 * A folder, socket or pipe is ERR_INVALID.
 */
char *fs_read(
    struct arena *arena, const char *path, size_t bytes_max, size_t *length, struct error *err);

/* As fs_read(), from where the open file stands; `name` is for messages. Works on pipes too. */
char *fs_read_fd(struct arena *arena,
                 int fd,
                 const char *name,
                 size_t bytes_max,
                 size_t *length,
                 struct error *err);

/* Writes all bytes in as many calls as it takes; `name` is for messages. */
bool fs_write_fd(int fd, const void *bytes, size_t length, const char *name, struct error *err);

/*
 * Replaces or creates a file so that a reader, also after a power cut, sees the old or the new
 * content: temporary file beside it, fsync, rename, fsync of the folder.
 */
bool fs_write_atomic(
    const char *path, const void *bytes, size_t length, mode_t mode, struct error *err);

/* fsync of a folder, after names in it changed. */
bool fs_sync_folder(const char *path, struct error *err);

/* Makes a folder and its parents; one that exists already is fine. */
bool fs_mkdirs(const char *path, mode_t mode, struct error *err);

/*
 * Removes a file, link, or folder with all it holds. Links are removed, never followed; other file
 * systems mounted below are entered. A path that does not exist is fine.
 */
bool fs_remove_tree(const char *path, struct error *err);

/* As fs_remove_tree() for `name` in an open folder. */
bool fs_remove_tree_at(int dirfd, const char *name, struct error *err);

/* What fs_walk() found; valid during the call. */
struct fs_entry {
    int dirfd;               /* folder that holds the entry, for openat() and friends */
    const char *name;        /* last segment of path */
    const char *path;        /* relative to the root, no leading "./" */
    const struct stat *info; /* as lstat() says */
};

/*
 * Called for each entry below the root, a folder before what it holds, names in order of bytes.
 * Returns false with err filled to stop the walk.
 */
typedef bool fs_walk_fn(void *context, const struct fs_entry *entry, struct error *err);

/* Links are reported, never followed. ERR_LIMIT deeper than FS_DEPTH_MAX. */
bool fs_walk(const char *root, fs_walk_fn *visit, void *context, struct error *err);

/*
 * Whether a path written by a user stays beneath a root as text: relative, not empty, no empty, "."
 * or ".." segment, no NUL. Links are a matter of fs_open_beneath().
 */
bool fs_path_is_beneath(const char *path);

/* Descriptor of a folder, to be the root of paths beneath it; -1 on failure. */
int fs_open_folder(const char *path, struct error *err);

/* What may happen on the way. */
enum fs_beneath {
    FS_LINKS_BENEATH = 0, /* links that stay beneath are followed */
    FS_NO_LINKS = 1,      /* any symbolic link on the way is ERR_INVALID */
    FS_MAKE_PARENTS = 2,  /* missing parent folders are made, mode 0700 */
};

/*
 * Opens a path beneath a folder with the kernel's own guarantee (openat2 RESOLVE_BENEATH,
 * RESOLVE_NO_MAGICLINKS): absolute paths, ".." and links that leave are ERR_INVALID.
 *
 * flags    as open(); O_CLOEXEC is added
 * mode     for O_CREAT and O_TMPFILE, otherwise 0
 * options  of enum fs_beneath
 * Returns  descriptor or -1
 */
int fs_open_beneath(
    int dirfd, const char *path, int flags, mode_t mode, unsigned options, struct error *err);

/* Makes a folder and its parents beneath a folder; the path may not contain links. */
bool fs_mkdirs_beneath(int dirfd, const char *path, mode_t mode, struct error *err);

/*
 * New empty file without a name in `folder` (NULL: TMPDIR or /tmp), mode 0600, for reading and
 * writing; it vanishes when closed. Returns descriptor or -1.
 */
int fs_temp(const char *folder, struct error *err);

/* New folder with an unused name "<folder>/<prefix>XXXXXX", mode 0700. NULL on failure. */
char *fs_temp_folder(struct arena *arena,
                     const char *folder,
                     const char *prefix,
                     struct error *err);

/* Copies everything from one open file to another, in the kernel where it can. Sets *bytes. */
bool fs_copy(
    int from, int to, const char *name, size_t bytes_max, size_t *bytes, struct error *err);

/*
 * Fills err for a failed system call and returns false: "<verb> '<path>': <reason>". ENOSPC and
 * EDQUOT are ERR_LIMIT and say what to do; the list of codes is at the top.
 */
bool fs_error(struct error *err, int number, const char *verb, const char *path);

#endif
