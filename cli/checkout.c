/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/checkout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/git_peer.h"
#include "base/git_walk.h"
#include "base/str.h"
#include "cli/output.h"
#include "core/flow.h"
#include "reconciler/reconcile.h"

/* ---- opening ---- */

static bool make_scratch(struct checkout *checkout, struct error *err)
{
    const char *base = getenv("TMPDIR");
    struct buf path = { 0 };
    buf_printf(&path, "%s/weir-XXXXXX", base == NULL ? "/tmp" : base);
    if (mkdtemp(path.bytes) == NULL) {
        (void)error_set(err, ERR_INTERNAL, "make a folder like '%s': %s", path.bytes,
                        strerror(errno));
        buf_free(&path);
        return false;
    }
    checkout->scratch = path.bytes;
    return true;
}

static bool open_folder(struct checkout *checkout,
                        struct arena *arena,
                        const char *path,
                        struct error *err)
{
    struct error absent = { 0 };
    checkout->origin = git_repo_open(path, &absent);
    if (checkout->origin == NULL && absent.code != ERR_NOT_FOUND) {
        *err = absent;
        return false;
    }
    char real[PATH_MAX];
    if (realpath(path, real) == NULL)
        return error_set(err, ERR_NOT_FOUND, "'%s': %s", path, strerror(errno));
    checkout->shown = arena_strdup(arena, path);
    bool is_bare = checkout->origin != NULL && git_repo_is_bare(checkout->origin);
    checkout->folder = is_bare ? NULL : arena_strdup(arena, real);
    if (checkout->origin != NULL)
        checkout->branch = git_repo_head(checkout->origin, arena);
    checkout->repo = git_repo_open_mirror(arena_printf(arena, "%s/copy.git", checkout->scratch),
                                          checkout->origin, err);
    return checkout->repo != NULL;
}

static void on_progress(void *context, const struct git_pack_progress *progress)
{
    progress_update(context, progress->received, progress->objects, "objects");
}

static bool fetch_address(struct checkout *checkout,
                          struct arena *arena,
                          const char *address,
                          const struct git_access *access,
                          struct error *err)
{
    static const char *const prefixes[] = { "refs/heads/", "refs/tags/", NULL };
    AUTO(git_peer_freep) struct git_peer *peer = git_peer_new(address, access, err);
    if (peer == NULL)
        return false;
    checkout->shown = arena_strdup(arena, git_peer_shown(peer));
    struct progress progress = { .label = "fetching" };
    struct git_call call = { .progress = on_progress, .context = &progress };
    struct git_refs refs;
    if (!git_peer_list(peer, arena, &call, prefixes, &refs, err))
        return false;
    checkout->branch = refs.head;
    checkout->repo =
        git_peer_open_mirror(peer, arena_printf(arena, "%s/copy.git", checkout->scratch), err);
    if (checkout->repo == NULL)
        return false;
    struct oid *wants = ARENA_ARRAY(arena, refs.count, struct oid);
    size_t count = 0;
    for (size_t i = 0; i < refs.count; i++) {
        bool is_known = false;
        for (size_t j = 0; j < count && !is_known; j++)
            is_known = oid_equal(&wants[j], &refs.items[i].id);
        if (!is_known && count < GIT_WANTS_MAX)
            wants[count++] = refs.items[i].id;
    }
    if (count == 0)
        return error_set(err, ERR_NOT_FOUND, "remote '%s' has no commits yet", checkout->shown);
    bool ok = git_peer_fetch(peer, checkout->repo, &call, wants, count, NULL, 0, NULL, err);
    progress_end(&progress);
    for (size_t i = 0; ok && i < refs.count; i++)
        if (git_repo_has(checkout->repo, &refs.items[i].id))
            ok = git_repo_set_ref(checkout->repo, refs.items[i].name, &refs.items[i].id, err);
    return ok;
}

bool checkout_open(struct checkout *checkout,
                   struct arena *arena,
                   const char *address,
                   const struct git_access *access,
                   struct error *err)
{
    *checkout = (struct checkout){ 0 };
    struct git_address parsed;
    bool ok = git_address_parse(arena, address, &parsed, err) && make_scratch(checkout, err);
    if (ok && parsed.scheme == GIT_LOCAL)
        ok = open_folder(checkout, arena, parsed.path, err);
    else if (ok)
        ok = fetch_address(checkout, arena, address, access, err);
    if (ok && checkout->branch != NULL && str_starts(checkout->branch, "refs/heads/"))
        checkout->branch += strlen("refs/heads/");
    if (!ok)
        checkout_close(checkout);
    return ok;
}

void checkout_close(struct checkout *checkout)
{
    git_repo_free(checkout->repo);
    git_repo_free(checkout->origin);
    struct error ignored = { 0 }; // what cannot be removed lies in the temporary folder
    if (checkout->scratch != NULL)
        (void)fs_remove_tree(checkout->scratch, &ignored);
    free(checkout->scratch);
    *checkout = (struct checkout){ 0 };
}

bool checkout_resolve(struct checkout *checkout,
                      struct arena *arena,
                      const char *name,
                      struct git_commit_info *out,
                      struct error *err)
{
    // names are those of the folder's own repository; its objects can be read in the copy
    struct git_repo *names = checkout->origin != NULL ? checkout->origin : checkout->repo;
    if (checkout->folder != NULL && checkout->origin == NULL)
        return error_set(err, ERR_NOT_FOUND, "'%s' is not a Git repository", checkout->shown);
    struct oid id;
    if (str_eq(name, "HEAD") && checkout->origin == NULL && checkout->branch != NULL)
        name = checkout->branch;
    return git_repo_resolve(names, name, &id, err) &&
           git_repo_commit(checkout->repo, arena, &id, out, err);
}

/* ---- files ---- */

struct reader {
    struct checkout *checkout;
    struct git_draft *draft;
    struct buf path; /* relative, "" or with a final slash */
    size_t files;
    unsigned depth;
};

/* What is never part of a repository: Git's own, and the data folder of `weir up`. */
static bool is_left_out(const struct reader *reader, const char *name, const char *path)
{
    if (str_eq(name, ".git") || str_eq(name, ".weir"))
        return true;
    return reader->checkout->origin != NULL && git_repo_is_ignored(reader->checkout->origin, path);
}

static bool is_yaml(const char *path)
{
    return str_ends(path, ".yml") || str_ends(path, ".yaml");
}

static bool put_file(
    struct reader *reader, int folder, const char *name, const struct stat *info, struct error *err)
{
    const char *path = buf_text(&reader->path);
    if (info->st_size > (off_t)NAMESPACE_FILE_BYTES_MAX) {
        if (!is_yaml(path))
            return true; // nothing that can be deployed
        return error_set(err, ERR_LIMIT, "'%s' has %lld bytes, more than the %zu allowed", path,
                         (long long)info->st_size, FLOW_BYTES_MAX);
    }
    AUTO_FD int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return error_set(err, ERR_DENIED, "'%s': %s", path, strerror(errno));
    AUTO_ARENA struct arena *scratch = arena_new();
    size_t length = 0;
    const char *bytes = fs_read_fd(scratch, fd, path, NAMESPACE_FILE_BYTES_MAX, &length, err);
    reader->files++;
    return bytes != NULL && git_draft_put(reader->draft, path, GIT_MODE_FILE, bytes, length, err);
}

static bool put_link(struct reader *reader, int folder, const char *name, struct error *err)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(folder, name, target, sizeof(target));
    if (length < 0)
        return error_set(err, ERR_INTERNAL, "'%s': %s", buf_text(&reader->path), strerror(errno));
    return git_draft_put(reader->draft, buf_text(&reader->path), GIT_MODE_LINK, target,
                         (size_t)length, err);
}

static bool put_folder(struct reader *reader, int fd, struct error *err);

static bool put_entry(struct reader *reader, int folder, const char *name, struct error *err)
{
    size_t length = reader->path.length;
    buf_puts(&reader->path, name);
    struct stat info;
    bool ok = true;
    if (is_left_out(reader, name, reader->path.bytes)) {
        // nothing to do
    } else if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        ok = errno == ENOENT ||
             error_set(err, ERR_INTERNAL, "'%s': %s", reader->path.bytes, strerror(errno));
    } else if (reader->files >= WALK_ENTRIES_MAX) {
        ok = error_set(err, ERR_LIMIT, "there are more than %u files", WALK_ENTRIES_MAX);
    } else if (S_ISDIR(info.st_mode)) {
        AUTO_FD int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            ok = error_set(err, ERR_DENIED, "'%s': %s", reader->path.bytes, strerror(errno));
        buf_putc(&reader->path, '/');
        ok = ok && put_folder(reader, fd, err);
    } else if (S_ISREG(info.st_mode)) {
        ok = put_file(reader, folder, name, &info, err);
    } else if (S_ISLNK(info.st_mode)) {
        ok = put_link(reader, folder, name, err);
    }
    reader->path.length = length;
    reader->path.bytes[length] = '\0';
    return ok;
}

static bool put_folder(struct reader *reader, int fd, struct error *err)
{
    if (reader->depth >= WALK_DEPTH_MAX)
        return error_set(err, ERR_LIMIT, "'%s' lies too deep", buf_text(&reader->path));
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    if (list == NULL) {
        if (copy >= 0)
            (void)close(copy);
        return error_set(err, ERR_LIMIT, "'%s': %s", buf_text(&reader->path), strerror(errno));
    }
    reader->depth++;
    bool ok = true;
    struct dirent *entry;
    while (ok && (entry = readdir(list)) != NULL)
        if (!str_eq(entry->d_name, ".") && !str_eq(entry->d_name, ".."))
            ok = put_entry(reader, fd, entry->d_name, err);
    reader->depth--;
    (void)closedir(list);
    return ok;
}

bool checkout_files(struct checkout *checkout,
                    struct arena *arena,
                    struct git_commit_info *out,
                    size_t *files,
                    struct error *err)
{
    if (checkout->folder == NULL)
        return error_set(err, ERR_INVALID, "'%s' has no work tree", checkout->shown);
    AUTO_FD int fd = fs_open_folder(checkout->folder, err);
    if (fd < 0)
        return false;
    AUTO(git_draft_freep) struct git_draft *draft = git_draft_new(checkout->repo);
    struct reader reader = { .checkout = checkout, .draft = draft };
    buf_puts(&reader.path, "");
    struct oid parent = oid_none;
    struct oid id;
    struct error ignored = { 0 }; // without a commit yet it is a first one
    bool has_parent =
        checkout->origin != NULL && git_repo_resolve(checkout->origin, "HEAD", &parent, &ignored);
    bool ok = put_folder(&reader, fd, err) &&
              git_draft_commit(draft, has_parent ? &parent : NULL, "you", "you@localhost",
                               clock_now(), "files as they are now", &id, err);
    buf_free(&reader.path);
    if (ok && files != NULL)
        *files = reader.files;
    return ok && git_repo_commit(checkout->repo, arena, &id, out, err);
}
