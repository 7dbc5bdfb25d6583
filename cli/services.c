/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/services.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/str.h"
#include "cli/output.h"
#include "core/json.h"
#include "core/value.h"
#include "runtime/secrets/crypt.h"
#include "runtime/secrets/secrets.h"
#include "runtime/storage/storage.h"
#include "runtime/store/store.h"

/* ---- readers ---- */

#define READERS_KEPT 32U

struct reader_pool {
    pthread_mutex_t lock;
    struct store *store;
    struct store_reader *kept[READERS_KEPT];
    size_t count;
};

struct reader_pool *reader_pool_new(struct store *store)
{
    struct reader_pool *pool = check_calloc(1, sizeof(*pool));
    pool->store = store;
    CHECK(pthread_mutex_init(&pool->lock, NULL) == 0);
    return pool;
}

void reader_pool_free(struct reader_pool *pool)
{
    if (pool == NULL)
        return;
    for (size_t i = 0; i < pool->count; i++)
        store_reader_free(pool->kept[i]);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}

struct store_reader *reader_pool_take(struct reader_pool *pool, struct error *err)
{
    struct store_reader *reader = NULL;
    (void)pthread_mutex_lock(&pool->lock);
    if (pool->count > 0)
        reader = pool->kept[--pool->count];
    (void)pthread_mutex_unlock(&pool->lock);
    return reader != NULL ? reader : store_reader_open(pool->store, err);
}

void reader_pool_give(struct reader_pool *pool, struct store_reader *reader)
{
    if (reader == NULL)
        return;
    (void)pthread_mutex_lock(&pool->lock);
    if (pool->count < READERS_KEPT) {
        pool->kept[pool->count++] = reader;
        reader = NULL;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    store_reader_free(reader);
}

/* ---- key-value entries ---- */

static bool entry_of(struct arena *arena,
                     const struct kv_row *row,
                     struct kv_entry *out,
                     struct error *err)
{
    const struct value *value = json_parse(arena, row->value, strlen(row->value), err);
    if (value == NULL)
        return error_wrap(err, "stored value of key '%s'", row->key);
    *out = (struct kv_entry){
        .key = row->key,
        .value = value,
        .type = row->type,
        .description = row->description,
        .revision = row->revision,
        .created_at = row->created_at,
        .updated_at = row->updated_at,
        .expires_at = row->expires_at,
    };
    return true;
}

static bool kv_get(void *data,
                   struct arena *arena,
                   const char *namespace,
                   const char *key,
                   struct kv_entry *out,
                   struct error *err)
{
    struct server_services *services = data;
    struct store_reader *reader = reader_pool_take(services->readers, err);
    if (reader == NULL)
        return false;
    struct kv_row row;
    bool ok = reader->ops->kv_get(reader, arena, namespace, key, &row, err);
    reader_pool_give(services->readers, reader);
    if (ok && row.expires_at <= clock_now())
        ok =
            error_set(err, ERR_NOT_FOUND, "key '%s' in namespace '%s' has expired", key, namespace);
    return ok && entry_of(arena, &row, out, err);
}

static bool change(struct server_services *services,
                   struct driver_request *request,
                   struct error *err)
{
    request->type = REQUEST_CHANGE;
    request->change.origin = (struct origin){ .actor = "weir", .channel = "task" };
    return driver_call(services->driver, request, err);
}

static bool kv_put(void *data,
                   const char *namespace,
                   const struct kv_entry *entry,
                   bool overwrite,
                   struct error *err)
{
    AUTO_ARENA struct arena *arena = arena_new();
    struct kv_change item = {
        .mode = overwrite ? CHANGE_ANY : CHANGE_NEW,
        .row = {
            .namespace = namespace,
            .key = entry->key,
            .type = entry->type,
            .value = value_to_json(arena, entry->value),
            .description = entry->description,
            .expires_at = entry->expires_at == 0 ? USEC_NEVER : entry->expires_at,
        },
    };
    struct driver_request request = { .arena = arena };
    request.change.kv = &item;
    request.change.kv_count = 1;
    return change(data, &request, err);
}

static bool kv_delete(
    void *data, const char *namespace, const char *key, bool *existed, struct error *err)
{
    AUTO_ARENA struct arena *arena = arena_new();
    struct kv_change item = {
        .is_delete = true,
        .row = { .namespace = namespace, .key = key },
    };
    struct driver_request request = { .arena = arena };
    request.change.kv = &item;
    request.change.kv_count = 1;
    if (!change(data, &request, err))
        return false;
    *existed = item.result.changed;
    return true;
}

static bool kv_list(void *data,
                    struct arena *arena,
                    const char *namespace,
                    const char *prefix,
                    struct kv_entry **out,
                    size_t *count,
                    struct error *err)
{
    struct server_services *services = data;
    struct store_reader *reader = reader_pool_take(services->readers, err);
    if (reader == NULL)
        return false;
    struct filter filters[] = {
        { .field = FIELD_NAMESPACE, .match = MATCH_EQUAL, .values = &namespace, .values_count = 1 },
        { .field = FIELD_KEY, .match = MATCH_STARTS, .values = &prefix, .values_count = 1 },
    };
    struct query query = {
        .filters = filters,
        .filters_count = str_empty(prefix) ? 1 : 2,
        .sort = FIELD_KEY,
        .limit = SIZE_MAX / 2,
    };
    struct kv_row *rows = NULL;
    size_t rows_count = 0;
    bool ok = reader->ops->kv_search(reader, arena, &query, &rows, &rows_count, NULL, err);
    reader_pool_give(services->readers, reader);
    if (!ok)
        return false;
    struct kv_entry *entries = ARENA_ARRAY(arena, rows_count, struct kv_entry);
    size_t kept = 0;
    usec_t now = clock_now();
    for (size_t i = 0; i < rows_count; i++) {
        if (rows[i].expires_at > now && !entry_of(arena, &rows[i], &entries[kept++], err))
            return false;
    }
    *out = entries;
    *count = kept;
    return true;
}

/* ---- namespace files ---- */

static const char *without_slash(const char *path)
{
    return path[0] == '/' ? path + 1 : path;
}

static const char *with_slash(struct arena *arena, const char *path)
{
    return path[0] == '/' ? path : arena_printf(arena, "/%s", path);
}

static struct file_entry file_of(const struct file_row *row)
{
    return (struct file_entry){
        .path = without_slash(row->path),
        .content = row->is_folder ? NULL : row->content,
        .bytes = row->size,
        .revision = row->revision,
        .created_at = row->created_at,
        .updated_at = row->updated_at,
        .is_folder = row->is_folder,
    };
}

static bool file_find(void *data,
                      struct arena *arena,
                      const char *namespace,
                      const char *path,
                      int64_t revision,
                      struct file_entry *out,
                      struct error *err)
{
    struct server_services *services = data;
    struct store_reader *reader = reader_pool_take(services->readers, err);
    if (reader == NULL)
        return false;
    struct file_row row;
    bool ok = reader->ops->file_get(reader, arena, namespace, with_slash(arena, path), revision,
                                    &row, err);
    reader_pool_give(services->readers, reader);
    if (ok)
        *out = file_of(&row);
    return ok;
}

static bool file_list(void *data,
                      struct arena *arena,
                      const char *namespace,
                      struct file_entry **out,
                      size_t *count,
                      struct error *err)
{
    struct server_services *services = data;
    struct store_reader *reader = reader_pool_take(services->readers, err);
    if (reader == NULL)
        return false;
    struct file_row *rows = NULL;
    bool ok = reader->ops->file_list(reader, arena, namespace, "/", &rows, count, err);
    reader_pool_give(services->readers, reader);
    if (!ok)
        return false;
    struct file_entry *entries = ARENA_ARRAY(arena, *count, struct file_entry);
    for (size_t i = 0; i < *count; i++)
        entries[i] = file_of(&rows[i]);
    *out = entries;
    return true;
}

/* Adds the folders above a path that do not exist yet; the files of a batch. */
static size_t add_folders(struct server_services *services,
                          struct arena *arena,
                          const char *namespace,
                          const char *path,
                          struct file_change *changes)
{
    size_t count = 0;
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        const char *folder = arena_strndup(arena, path, (size_t)(slash - path));
        struct file_entry found;
        if (file_find(services, arena, namespace, folder, 0, &found, NULL))
            continue;
        changes[count++].row =
            (struct file_row){ .namespace = namespace, .path = folder, .is_folder = true };
    }
    return count;
}

static size_t count_slashes(const char *path)
{
    size_t count = 0;
    for (; *path != '\0'; path++)
        count += *path == '/';
    return count;
}

/* SHA-256 of a local file as hex, and its size. */
static const char *file_digest(struct arena *arena,
                               const char *path,
                               int64_t *bytes,
                               struct error *err)
{
    AUTO_FILE FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        (void)error_set(err, ERR_NOT_FOUND, "file '%s': %s", path, strerror(errno));
        return NULL;
    }
    struct digest *digest = digest_new("sha256");
    char chunk[65536];
    size_t length;
    *bytes = 0;
    while ((length = fread(chunk, 1, sizeof(chunk), file)) > 0) {
        digest_add(digest, chunk, length);
        *bytes += (int64_t)length;
    }
    unsigned char raw[64];
    size_t raw_length = digest_end(digest, raw);
    digest_free(digest);
    if (ferror(file)) {
        (void)error_set(err, ERR_UNAVAILABLE, "file '%s': %s", path, strerror(errno));
        return NULL;
    }
    struct buf hex = { 0 };
    hex_encode(&hex, raw, raw_length);
    char *text = buf_dup(&hex, arena);
    buf_free(&hex);
    return text;
}

static bool file_put(void *data,
                     const char *namespace,
                     const char *path,
                     const char *local,
                     bool overwrite,
                     struct error *err)
{
    struct server_services *services = data;
    AUTO_ARENA struct arena *arena = arena_new();
    path = with_slash(arena, path);
    struct file_entry found = { 0 };
    bool exists = file_find(services, arena, namespace, path, 0, &found, NULL);
    if (exists && (found.is_folder || !overwrite))
        return error_set(err, ERR_CONFLICT, "'%s' exists in namespace '%s'%s", path, namespace,
                         found.is_folder ? " and is a folder" : "");
    int64_t bytes = 0;
    const char *digest = file_digest(arena, local, &bytes, err);
    if (digest == NULL)
        return false;
    const char *content = storage_content_path(arena, namespace, digest);
    if (!services->base.storage->ops->put_file(services->base.storage, content, local, 0, err))
        return false;

    struct file_change *changes = ARENA_ARRAY(arena, count_slashes(path) + 1, struct file_change);
    size_t count = add_folders(services, arena, namespace, path, changes);
    changes[count++].row = (struct file_row){
        .namespace = namespace,
        .path = path,
        .size = bytes,
        .digest = digest,
        .content = content,
    };
    struct driver_request request = { .arena = arena };
    request.change.files = changes;
    request.change.files_count = count;
    return change(services, &request, err);
}

static bool file_delete(
    void *data, const char *namespace, const char *path, bool *existed, struct error *err)
{
    struct server_services *services = data;
    AUTO_ARENA struct arena *arena = arena_new();
    path = with_slash(arena, path);
    struct store_reader *reader = reader_pool_take(services->readers, err);
    if (reader == NULL)
        return false;
    struct file_row *rows = NULL;
    size_t count = 0;
    struct file_row self;
    bool exists = reader->ops->file_get(reader, arena, namespace, path, 0, &self, NULL);
    bool ok = !exists || !self.is_folder ||
              reader->ops->file_list(reader, arena, namespace, path, &rows, &count, err);
    reader_pool_give(services->readers, reader);
    *existed = exists;
    if (!ok || !exists)
        return ok;
    struct file_change *changes = ARENA_ARRAY(arena, count + 1, struct file_change);
    for (size_t i = 0; i < count; i++)
        changes[i] = (struct file_change){ .is_delete = true, .row = rows[i] };
    changes[count] = (struct file_change){ .is_delete = true, .row = self };
    struct driver_request request = { .arena = arena };
    request.change.files = changes;
    request.change.files_count = count + 1;
    return change(services, &request, err);
}

/* ---- the rest ---- */

static const char *secret(
    void *data, struct arena *arena, const char *namespace, const char *key, struct error *err)
{
    struct server_services *services = data;
    return secrets_get(services->secrets, arena, namespace, key, err);
}

static const struct value *operate(void *data,
                                   struct arena *arena,
                                   const char *operation,
                                   const struct value *arguments,
                                   struct error *err)
{
    struct server_services *services = data;
    return driver_operate(&services->operations, arena, operation, arguments, err);
}

static const struct value *encrypt(void *data,
                                   struct arena *arena,
                                   const struct value *clear,
                                   struct error *err)
{
    struct server_services *services = data;
    return crypt_encrypt(services->crypt, arena, clear, err);
}

void server_services_init(struct server_services *services)
{
    struct services *base = &services->base;
    base->data = services;
    base->kv_get = kv_get;
    base->kv_put = kv_put;
    base->kv_delete = kv_delete;
    base->kv_list = kv_list;
    base->file_find = file_find;
    base->file_list = file_list;
    base->file_put = file_put;
    base->file_delete = file_delete;
    base->secret = secret;
    base->operate = operate;
    base->encrypt = encrypt;
}
