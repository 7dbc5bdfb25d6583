/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker/places.h"

#include <fcntl.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/url.h"
#include "runtime/storage/storage.h"
#include "runtime/worker/services.h"

#define FILE_SCHEME    "file://"
#define NSFILE_SCHEME  "nsfile://"
#define STORAGE_SCHEME "kestra://"
#define FILES_FOLDER   "/_files/"

static bool find_in_storage(struct arena *arena,
                            const char *uri,
                            struct place *out,
                            struct error *err)
{
    const char *path = storage_uri_path(arena, uri);
    if (path == NULL)
        return error_set(err, ERR_INVALID, "'%s' is not a URI of the internal storage", uri);
    const char *files = strstr(path, FILES_FOLDER);
    *out = (struct place){ .kind = PLACE_STORAGE, .is_storage_uri = true, .path = path };
    if (files == NULL)
        return true;
    char *namespace = arena_strndup(arena, path, (size_t)(files - path));
    for (char *at = namespace; *at != '\0'; at++)
        if (*at == '/')
            *at = '.';
    out->kind = PLACE_NAMESPACE;
    out->namespace = namespace;
    out->path = files + strlen(FILES_FOLDER);
    return true;
}

bool place_find(struct arena *arena,
                const char *namespace,
                const char *uri,
                struct place *out,
                struct error *err)
{
    if (str_starts(uri, STORAGE_SCHEME))
        return find_in_storage(arena, uri, out, err);
    bool is_nsfile = str_starts(uri, NSFILE_SCHEME);
    if (!is_nsfile && !str_starts(uri, FILE_SCHEME))
        return error_set(err, ERR_INVALID, "'%s' is not the URI of a file", uri);
    const char *rest = uri + strlen(is_nsfile ? NSFILE_SCHEME : FILE_SCHEME);
    size_t length = 0;
    const char *decoded = url_decode(arena, rest, strlen(rest), false, &length);
    const char *slash = strchr(decoded, '/');
    if (slash == NULL || strlen(decoded) != length || strstr(decoded, "../") != NULL ||
        (!is_nsfile && slash != decoded))
        return error_set(err, ERR_INVALID, "'%s' is not the URI of a file", uri);
    if (!is_nsfile) {
        *out = (struct place){ .kind = PLACE_LOCAL, .path = slash };
        return true;
    }
    *out = (struct place){
        .kind = PLACE_NAMESPACE,
        .namespace =
            slash == decoded ? namespace : arena_strndup(arena, decoded, (size_t)(slash - decoded)),
        .path = slash + 1,
    };
    return true;
}

static int open_namespace_file(const struct services *services,
                               struct arena *arena,
                               const struct place *place,
                               struct error *err)
{
    struct file_entry entry;
    if (!services->file_find(services->data, arena, place->namespace, place->path, place->revision,
                             &entry, err))
        return -1;
    if (!entry.is_folder)
        return services->storage->ops->open(services->storage, entry.content, err);
    error_set(err, ERR_NOT_FOUND, "'%s' in namespace '%s' is a folder", place->path,
              place->namespace);
    return -1;
}

static int open_local(const struct services *services, const char *path, struct error *err)
{
    const char *const *root = services->allow_local_files ? services->local_roots : NULL;
    for (; root != NULL && *root != NULL; root++) {
        size_t length = strlen(*root);
        while (length > 0 && (*root)[length - 1] == '/')
            length--;
        if (strncmp(path, *root, length) != 0 || path[length] != '/')
            continue;
        AUTO_FD int folder = fs_open_folder(*root, err);
        return folder < 0
                   ? -1
                   : fs_open_beneath(folder, path + length + 1, O_RDONLY, 0, FS_LINKS_BENEATH, err);
    }
    error_set(err, ERR_DENIED,
              "local file '%s' is not below an allowed folder: see the setting 'files.allowed'",
              path);
    return -1;
}

int place_open(const struct services *services,
               struct arena *arena,
               const struct place *place,
               struct error *err)
{
    switch (place->kind) {
    case PLACE_STORAGE:
        return services->storage->ops->open(services->storage, place->path, err);
    case PLACE_NAMESPACE:
        return open_namespace_file(services, arena, place, err);
    case PLACE_LOCAL:
        break;
    }
    return open_local(services, place->path, err);
}
