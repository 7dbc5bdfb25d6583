/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/storage/storage.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/url.h"

#define SCHEME "kestra://"
/* Not what may follow a URI in a command or a text: ",:;@" and the like. */
#define URI_KEEP "/+="
/* Longer paths are refused; every back end takes this much. */
#define PATH_BYTES_MAX 1024U

void storage_free(struct storage *storage)
{
    if (storage != NULL)
        storage->ops->free(storage);
}

bool storage_path_check(const char *path, struct error *err)
{
    if (!fs_path_is_beneath(path))
        return error_set(err, ERR_INVALID, "'%s' is not a path inside the storage", path);
    if (strlen(path) > PATH_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "storage path longer than %u bytes", PATH_BYTES_MAX);
    return true;
}

const char *storage_uri_path(struct arena *arena, const char *uri)
{
    if (uri == NULL || !str_starts(uri, SCHEME "/"))
        return NULL;
    const char *rest = uri + strlen(SCHEME "/");
    size_t length = 0;
    const char *path = url_decode(arena, rest, strlen(rest), false, &length);
    if (path == NULL || strlen(path) != length || !storage_path_check(path, NULL))
        return NULL;
    return path;
}

char *storage_path_uri(struct arena *arena, const char *path)
{
    struct buf out = { 0 };
    buf_puts(&out, SCHEME "/");
    url_encode(&out, path, strlen(path), URI_KEEP);
    char *uri = buf_dup(&out, arena);
    buf_free(&out);
    return uri;
}

char *storage_slug(struct arena *arena, const char *id)
{
    char *slug = arena_bytes_alloc(arena, strlen(id) + 1);
    size_t length = 0;
    for (const char *at = id; *at != '\0'; at++) {
        char c = *at;
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c == '_' || c == ' ' || c == '\t')
            c = '-';
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            slug[length++] = c;
        else if (c == '-' && length > 0 && slug[length - 1] != '-')
            slug[length++] = c;
    }
    if (length > 0 && slug[length - 1] == '-')
        length--;
    slug[length] = '\0';
    return length > 0 ? slug : arena_strdup(arena, id);
}

/* "a.b.c" -> "a/b/c" */
static char *namespace_folder(struct arena *arena, const char *namespace)
{
    char *folder = arena_strdup(arena, namespace);
    for (char *at = folder; *at != '\0'; at++)
        if (*at == '.')
            *at = '/';
    return folder;
}

char *storage_execution_path(struct arena *arena,
                             const char *namespace,
                             const char *flow_id,
                             const char *execution_id)
{
    return arena_printf(arena, "%s/%s/executions/%s", namespace_folder(arena, namespace),
                        storage_slug(arena, flow_id), execution_id);
}

char *storage_run_path(struct arena *arena,
                       const char *namespace,
                       const char *flow_id,
                       const char *execution_id,
                       const char *task_id,
                       const char *run_id,
                       const char *name)
{
    return arena_printf(arena, "%s/tasks/%s/%s%s%s",
                        storage_execution_path(arena, namespace, flow_id, execution_id),
                        storage_slug(arena, task_id), run_id, str_empty(name) ? "" : "/",
                        name == NULL ? "" : name);
}

char *storage_namespace_path(struct arena *arena, const char *namespace, const char *path)
{
    while (path != NULL && *path == '/')
        path++;
    return arena_printf(arena, "%s/_files%s%s", namespace_folder(arena, namespace),
                        str_empty(path) ? "" : "/", path == NULL ? "" : path);
}

char *storage_content_path(struct arena *arena, const char *namespace, const char *digest)
{
    return arena_printf(arena, "%s/_content/%s", namespace_folder(arena, namespace), digest);
}
