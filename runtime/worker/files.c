/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/regex.h"
#include "base/str.h"
#include "core/value.h"
#include "runtime/storage/storage.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

/* Local copies of URIs that stand in commands. */
#define LOCAL_FOLDER ".weir-files"

/* ---- writing ---- */

static const char *without_slash(const char *path)
{
    while (*path == '/')
        path++;
    return path;
}

/* Creates a file beneath the working directory, parents included. */
static int create_beneath(struct task_ctx *ctx, const char *path, int flags, struct error *err)
{
    const char *folder = task_working_dir(ctx, err);
    if (folder == NULL)
        return -1;
    if (!fs_path_is_beneath(path)) {
        error_set(err, ERR_INVALID, "file '%s' is not inside the working directory", path);
        return -1;
    }
    AUTO_FD int root = fs_open_folder(folder, err);
    if (root < 0)
        return -1;
    return fs_open_beneath(root, path, O_WRONLY | O_CREAT | flags, 0644,
                           FS_NO_LINKS | FS_MAKE_PARENTS, err);
}

static bool write_text(
    struct task_ctx *ctx, const char *path, const void *bytes, size_t length, struct error *err)
{
    AUTO_FD int fd = create_beneath(ctx, path, O_TRUNC, err);
    return fd >= 0 && fs_write_fd(fd, bytes, length, path, err);
}

static bool write_copy(struct task_ctx *ctx, const char *path, int from, struct error *err)
{
    AUTO_FD int fd = create_beneath(ctx, path, O_TRUNC, err);
    size_t bytes = 0;
    return fd >= 0 && fs_copy(from, fd, path, SIZE_MAX, &bytes, err);
}

bool files_write_inputs(struct task_ctx *ctx, const struct value *files, struct error *err)
{
    if (files == NULL)
        return true;
    for (uint32_t i = 0; value_is_map(files) && i < files->map.count; i++) {
        const struct value_member *member = &files->map.members[i];
        const char *path = without_slash(member->key);
        const char *text = value_cstr(member->value);
        bool ok;
        if (task_is_file_uri(text)) {
            AUTO_FD int from = task_open_file(ctx, text, err);
            ok = from >= 0 && write_copy(ctx, path, from, err);
        } else if (value_is_string(member->value)) {
            ok = write_text(ctx, path, text, member->value->string.length, err);
        } else {
            struct buf printed = { 0 };
            value_write_print(&printed, member->value);
            ok = write_text(ctx, path, buf_text(&printed), printed.length, err);
            buf_free(&printed);
        }
        if (!ok)
            return error_wrap(err, "input file '%s'", member->key);
    }
    return true;
}

/* ---- matching ---- */

/* The two syntaxes of patterns can be named before them, as in Java; a glob is meant otherwise. */
static const char glob_prefix[] = "glob:";
static const char regex_prefix[] = "regex:";

static bool matches_regex(const char *text, const char *path)
{
    struct regex *regex = regex_new(text, strlen(text), NULL);
    bool matches = regex != NULL && regex_match(regex, path, strlen(path)) == REGEX_MATCH;
    regex_free(regex);
    return matches;
}

bool files_match(const struct value *patterns, const char *path, bool any_depth)
{
    path = without_slash(path);
    const char *slash = strrchr(path, '/');
    for (size_t i = 0; i < value_count(patterns); i++) {
        const char *written = value_cstr(value_item(patterns, i));
        if (written == NULL)
            continue;
        if (str_starts(written, regex_prefix)) {
            if (matches_regex(written + strlen(regex_prefix), path))
                return true;
            continue;
        }
        if (str_starts(written, glob_prefix))
            written += strlen(glob_prefix);
        const char *pattern = without_slash(written);
        if (str_glob(pattern, path))
            return true;
        bool is_bare = written == pattern && strchr(pattern, '/') == NULL;
        if (any_depth && is_bare && slash != NULL && str_glob(pattern, slash + 1))
            return true;
    }
    return false;
}

/* ---- namespace files ---- */

static const char *const exists_words[] = { "OVERWRITE", "FAIL", "WARN", "IGNORE", NULL };

const struct prop files_namespace_props[] = {
    { "enabled", BOOL(struct files_namespace, enabled), .fallback = "true", .flags = PROP_EXPR,
      .doc = "Whether the namespace files are written into the working directory." },
    { "include", STRINGS(struct files_namespace, include), .flags = PROP_EXPR,
      .doc = "Globs of the files to take; all when absent." },
    { "exclude", STRINGS(struct files_namespace, exclude), .flags = PROP_EXPR,
      .doc = "Globs of files to leave out." },
    { "namespaces", STRINGS(struct files_namespace, namespaces), .flags = PROP_EXPR,
      .doc = "Namespaces to take files from; later ones override earlier ones. The flow's own "
             "when absent." },
    { "ifExists", ENUM(struct files_namespace, if_exists), .words = exists_words,
      .fallback = "OVERWRITE", .flags = PROP_EXPR,
      .doc = "What to do with a file that is there already." },
    { "folderPerNamespace", BOOL(struct files_namespace, folder_per_namespace), .fallback = "false",
      .flags = PROP_EXPR,
      .doc = "Write the files of each namespace below a folder with its name." },
    { 0 },
};

/* *skip: the file is there and stays. */
static bool check_existing(struct task_ctx *ctx,
                           const struct files_namespace *options,
                           const char *path,
                           bool *skip,
                           struct error *err)
{
    *skip = false;
    if (options->if_exists == FILES_OVERWRITE)
        return true;
    const char *local = arena_printf(ctx->arena, "%s/%s", ctx->working_dir, path);
    if (faccessat(AT_FDCWD, local, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    if (options->if_exists == FILES_FAIL)
        return error_set(err, ERR_CONFLICT, "namespace file '%s' exists in the working directory",
                         path);
    if (options->if_exists == FILES_WARN)
        task_log(ctx, LOG_WARN, "Namespace file '%s' exists already and is left as it is", path);
    *skip = true;
    return true;
}

static bool load_from(struct task_ctx *ctx,
                      const struct files_namespace *options,
                      const char *namespace,
                      size_t *loaded,
                      struct error *err)
{
    const struct services *services = ctx->services;
    struct file_entry *entries = NULL;
    size_t count = 0;
    if (!services->file_list(services->data, ctx->arena, namespace, &entries, &count, err))
        return error_wrap(err, "files of namespace '%s'", namespace);
    size_t written = 0;
    for (size_t i = 0; i < count; i++) {
        const struct file_entry *entry = &entries[i];
        if (entry->is_folder ||
            (value_count(options->include) > 0 &&
             !files_match(options->include, entry->path, true)) ||
            files_match(options->exclude, entry->path, true))
            continue;
        if (written == FILES_MAX)
            return error_set(err, ERR_LIMIT, "more than %u namespace files", FILES_MAX);
        const char *path = options->folder_per_namespace
                               ? arena_printf(ctx->arena, "%s/%s", namespace, entry->path)
                               : entry->path;
        bool skip = false;
        if (!check_existing(ctx, options, path, &skip, err))
            return false;
        if (skip)
            continue;
        AUTO_FD int from = services->storage->ops->open(services->storage, entry->content, err);
        if (from < 0 || !write_copy(ctx, path, from, err) || !task_check(ctx, err))
            return error_wrap(err, "namespace file '%s'", entry->path);
        written++;
    }
    task_log(ctx, LOG_INFO, "Loaded %zu namespace files from '%s'", written, namespace);
    *loaded += written;
    return true;
}

bool files_load_namespace(struct task_ctx *ctx,
                          const struct files_namespace *options,
                          struct error *err)
{
    // Present they are on unless switched off; absent they are off.
    if (!options->enabled || value_get(ctx->props, "namespaceFiles") == NULL)
        return true;
    if (task_working_dir(ctx, err) == NULL)
        return false;
    usec_t start = clock_monotonic();
    size_t loaded = 0;
    if (value_count(options->namespaces) == 0) {
        if (!load_from(ctx, options, ctx->namespace, &loaded, err))
            return false;
    }
    for (size_t i = 0; i < value_count(options->namespaces); i++) {
        const char *namespace = value_cstr(value_item(options->namespaces, i));
        if (!str_empty(namespace) && !load_from(ctx, options, namespace, &loaded, err))
            return false;
    }
    usec_t span = clock_monotonic() - start;
    task_metric(ctx, "counter", "namespacefiles.count", (double)loaded, NULL);
    task_metric(ctx, "timer", "namespacefiles.duration", (double)span / (double)USEC_SEC, NULL);
    return true;
}

/* ---- collecting ---- */

struct collection {
    struct task_ctx *ctx;
    const struct value *globs;
    const char *const *except;
    struct value_builder *out;
    const char *prefix; /* folder of the working directory that is walked, "" itself */
    int root;
    size_t count;
};

/* Stores one file of the walked folder under its relative path. */
static bool store_one(struct collection *collection,
                      const char *path,
                      bool is_link,
                      struct error *err)
{
    struct task_ctx *ctx = collection->ctx;
    const char *local = NULL;
    if (is_link) {
        // Only what it names inside the directory; taken as a file of its own.
        struct stat info;
        AUTO_FD int fd = fs_open_beneath(collection->root, path, O_RDONLY | O_NONBLOCK, 0,
                                         FS_LINKS_BENEATH, NULL);
        if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
            return true;
        local = task_temp_path(ctx, NULL, err);
        if (local == NULL)
            return false;
        AUTO_FD int to = open(local, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        size_t bytes = 0;
        if (to < 0)
            return fs_error(err, errno, "create", local);
        if (!fs_copy(fd, to, path, SIZE_MAX, &bytes, err))
            return false;
    } else {
        local = arena_printf(ctx->arena, "%s/%s%s%s", ctx->working_dir, collection->prefix,
                             *collection->prefix == '\0' ? "" : "/", path);
    }
    if (collection->count++ == FILES_MAX)
        return error_set(err, ERR_LIMIT, "more than %u output files", FILES_MAX);
    const char *uri = task_store_file(ctx, local, path, err);
    if (uri == NULL)
        return error_wrap(err, "output file '%s'", path);
    value_put_text(collection->out, arena_strdup(ctx->arena, path), uri);
    return true;
}

static bool is_excepted(const char *const *except, const char *path)
{
    for (; except != NULL && *except != NULL; except++)
        if (strcmp(*except, path) == 0)
            return true;
    return false;
}

static bool visit(void *context, const struct fs_entry *entry, struct error *err)
{
    struct collection *collection = context;
    bool is_link = S_ISLNK(entry->info->st_mode);
    if ((!S_ISREG(entry->info->st_mode) && !is_link) ||
        is_excepted(collection->except, entry->path) || str_starts(entry->path, LOCAL_FOLDER "/") ||
        (collection->globs != NULL && !files_match(collection->globs, entry->path, false)))
        return true;
    return store_one(collection, entry->path, is_link, err);
}

static bool has_wildcard(const char *pattern)
{
    return strpbrk(pattern, "*?[{\\") != NULL || str_starts(pattern, glob_prefix) ||
           str_starts(pattern, regex_prefix);
}

/* Literal names need no walk over what may be a big tree. */
static bool collect_literals(struct collection *collection, struct error *err)
{
    for (size_t i = 0; i < value_count(collection->globs); i++) {
        const char *written = value_cstr(value_item(collection->globs, i));
        const char *path = written == NULL ? "" : without_slash(written);
        if (str_ends(path, "/"))
            continue; // a folder is no file
        if (!fs_path_is_beneath(path))
            return error_set(err, ERR_INVALID,
                             "output file '%s' is not inside the working directory", path);
        struct stat info;
        AUTO_FD int fd =
            fs_open_beneath(collection->root, path, O_RDONLY | O_NONBLOCK, 0, FS_NO_LINKS, NULL);
        bool is_file = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
        if (value_build_has(collection->out, path, strlen(path)))
            continue;
        if (!store_one(collection, path, !is_file, err))
            return false;
    }
    return true;
}

bool files_collect(struct task_ctx *ctx,
                   const struct value *globs,
                   const char *const *except,
                   struct value_builder *out,
                   struct error *err)
{
    if (value_count(globs) == 0)
        return true;
    const char *folder = task_working_dir(ctx, err);
    AUTO_FD int root = folder == NULL ? -1 : fs_open_folder(folder, err);
    if (root < 0)
        return false;
    struct collection collection = {
        .ctx = ctx, .globs = globs, .except = except, .out = out, .prefix = "", .root = root
    };
    for (size_t i = 0; i < value_count(globs); i++) {
        const char *pattern = value_cstr(value_item(globs, i));
        if (pattern != NULL && has_wildcard(pattern))
            return fs_walk(folder, visit, &collection, err);
    }
    return collect_literals(&collection, err);
}

bool files_collect_folder(struct task_ctx *ctx,
                          const char *name,
                          struct value_builder *out,
                          struct error *err)
{
    const char *folder = arena_printf(ctx->arena, "%s/%s", ctx->working_dir, name);
    struct error failure = { 0 };
    AUTO_FD int root = fs_open_folder(folder, &failure);
    if (root < 0) {
        if (failure.code == ERR_NOT_FOUND)
            return true;
        if (err != NULL)
            *err = failure;
        return false;
    }
    struct collection collection = { .ctx = ctx, .out = out, .prefix = name, .root = root };
    return fs_walk(folder, visit, &collection, err);
}

/* ---- URIs inside texts ---- */

/* Of the URI that begins there; what may follow one in a command is no part of it. */
static size_t uri_length(const char *text, const char *scheme)
{
    static const char part[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "-._+~#=/%";
    return strlen(scheme) + strspn(text + strlen(scheme), part);
}

const char *files_localize(struct task_ctx *ctx, const char *text, struct error *err)
{
    static const char *const schemes[] = { "kestra:///", "nsfile://", "file:///" };
    const char *first = strstr(text, "://");
    if (first == NULL)
        return text;

    struct buf out = { 0 };
    bool found = false;
    const char *at = text;
    while (*at != '\0') {
        const char *scheme = NULL;
        for (size_t i = 0; i < COUNT_OF(schemes) && scheme == NULL; i++)
            if (str_starts(at, schemes[i]))
                scheme = schemes[i];
        // A local file stays a local file unless it may be read here.
        if (scheme == NULL || (str_eq(scheme, "file:///") && !ctx->services->allow_local_files)) {
            buf_putc(&out, *at++);
            continue;
        }
        size_t length = uri_length(at, scheme);
        const char *uri = arena_strndup(ctx->arena, at, length);
        const char *slash = strrchr(uri, '/');
        const char *name = slash == NULL || slash[1] == '\0' ? "file" : slash + 1;
        char *path = task_temp_path(ctx, NULL, err); // a number unique in this attempt
        AUTO_FD int from = path == NULL ? -1 : task_open_file(ctx, uri, err);
        const char *relative = path == NULL ? NULL
                                            : arena_printf(ctx->arena, LOCAL_FOLDER "/%s/%s",
                                                           strrchr(path, '/') + 1, name);
        if (from < 0 || !write_copy(ctx, relative, from, err)) {
            buf_free(&out);
            (void)error_wrap(err, "file '%s'", uri);
            return NULL;
        }
        buf_printf(&out, "%s/%s", ctx->working_dir, relative);
        at += length;
        found = true;
    }
    const char *result = found ? buf_dup(&out, ctx->arena) : text;
    buf_free(&out);
    return result;
}
