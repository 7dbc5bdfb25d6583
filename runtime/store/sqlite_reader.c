/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite store: the reader; KV, files, documents, outbox, windows, cache.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "runtime/store/sqlite_build.h"
#include "runtime/store/sqlite_internal.h"

/* ---- KV ---- */

static const struct field_column kv_columns[] = {
    { FIELD_NAMESPACE, false, "namespace" }, { FIELD_KEY, false, "name" },
    { FIELD_UPDATED, true, "updated_at" },   { FIELD_CREATED, true, "created_at" },
    { FIELD_EXPIRES, true, "expires_at" },
};

#define KV_COLUMNS                                                                                 \
    "SELECT namespace, name, type, value, description, revision, created_at, updated_at,"          \
    " expires_at, actor, channel, source, commit_id FROM "
#define KV_SELECT KV_COLUMNS "kv"

static void read_kv(struct sql_stmt *stmt, struct arena *arena, void *out)
{
    *(struct kv_row *)out = (struct kv_row){
        .namespace = column_text(stmt, 0, arena),
        .key = column_text(stmt, 1, arena),
        .type = column_text(stmt, 2, arena),
        .value = column_text(stmt, 3, arena),
        .description = column_text(stmt, 4, arena),
        .revision = sql_column_int(stmt, 5),
        .created_at = sql_column_int(stmt, 6),
        .updated_at = sql_column_int(stmt, 7),
        .expires_at = sql_column_int(stmt, 8),
        .origin = column_origin(stmt, 9, arena),
    };
}

static bool matches_kv(const struct query *query, const void *row)
{
    return query_matches_kv(query, row);
}

static const struct row_kind kv_kind = { sizeof(struct kv_row), read_kv, matches_kv };

static bool sqlite_kv_get(struct store_reader *base,
                          struct arena *arena,
                          const char *namespace,
                          const char *key,
                          struct kv_row *out,
                          struct error *err)
{
    struct builder builder = build(reader_of(base), arena, KV_SELECT " WHERE namespace = ");
    add_text(&builder, namespace);
    add(&builder, " AND name = ");
    add_text(&builder, key);
    bool found = false;
    if (!read_one(&builder, &kv_kind, out, &found, err))
        return false;
    return found || error_set(err, ERR_NOT_FOUND, "no value found for key '%s' in namespace '%s'",
                              key, namespace);
}

static bool sqlite_kv_search(struct store_reader *base,
                             struct arena *arena,
                             const struct query *query,
                             struct kv_row **out,
                             size_t *count,
                             int64_t *total,
                             struct error *err)
{
    struct builder builder = build(reader_of(base), arena, KV_SELECT " WHERE 1");
    add_filters(&builder, query, kv_columns, COUNT_OF(kv_columns));
    add_order(&builder, query, kv_columns, COUNT_OF(kv_columns), "namespace, name");
    struct row_list list = { 0 };
    if (!read_list(&builder, &kv_kind, query, &list, total, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
}

static bool sqlite_kv_versions(struct store_reader *base,
                               struct arena *arena,
                               const struct kv_row *after,
                               size_t limit,
                               struct kv_row **out,
                               size_t *count,
                               struct error *err)
{
    struct builder builder = build(reader_of(base), arena, KV_COLUMNS "kv_version WHERE 1");
    if (after != NULL) {
        add(&builder, " AND (namespace, name, -revision) > (");
        add_text(&builder, after->namespace);
        add(&builder, ", ");
        add_text(&builder, after->key);
        add(&builder, ", ");
        add_int(&builder, -after->revision);
        add(&builder, ") AND (namespace, name) >= (");
        add_text(&builder, after->namespace);
        add(&builder, ", ");
        add_text(&builder, after->key);
        add(&builder, ")");
    }
    add(&builder, " ORDER BY namespace, name, revision DESC");
    struct query query = { .sort = FIELD_COUNT, .limit = limit };
    struct row_list list = { 0 };
    if (!read_list(&builder, &kv_kind, &query, &list, NULL, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
}

/* ---- namespace files ---- */

#define FILE_SELECT                                                                                \
    "SELECT namespace, path, revision, is_folder, deleted, size, digest, content, created_at,"     \
    " updated_at, actor, channel, source, commit_id FROM file"

static void read_file(struct sql_stmt *stmt, struct arena *arena, void *out)
{
    *(struct file_row *)out = (struct file_row){
        .namespace = column_text(stmt, 0, arena),
        .path = column_text(stmt, 1, arena),
        .revision = sql_column_int(stmt, 2),
        .is_folder = sql_column_int(stmt, 3) != 0,
        .deleted = sql_column_int(stmt, 4) != 0,
        .size = sql_column_int(stmt, 5),
        .digest = column_text(stmt, 6, arena),
        .content = column_text(stmt, 7, arena),
        .created_at = sql_column_int(stmt, 8),
        .updated_at = sql_column_int(stmt, 9),
        .origin = column_origin(stmt, 10, arena),
    };
}

static const struct row_kind file_kind = { sizeof(struct file_row), read_file, NULL };

static bool sqlite_file_get(struct store_reader *base,
                            struct arena *arena,
                            const char *namespace,
                            const char *path,
                            int64_t revision,
                            struct file_row *out,
                            struct error *err)
{
    struct builder builder = build(reader_of(base), arena, FILE_SELECT " WHERE namespace = ");
    add_text(&builder, namespace);
    add(&builder, " AND path = ");
    add_text(&builder, path);
    if (revision > 0) {
        add(&builder, " AND revision = ");
        add_int(&builder, revision);
    }
    add(&builder, " ORDER BY revision DESC LIMIT 1");
    bool found = false;
    struct file_row row;
    if (!read_one(&builder, &file_kind, &row, &found, err))
        return false;
    if (!found || (revision == 0 && row.deleted))
        return error_set(err, ERR_NOT_FOUND, "file '%s' does not exist in namespace '%s'", path,
                         namespace);
    *out = row;
    return true;
}

static bool sqlite_file_list(struct store_reader *base,
                             struct arena *arena,
                             const char *namespace,
                             const char *folder,
                             struct file_row **out,
                             size_t *count,
                             struct error *err)
{
    struct builder builder =
        build(reader_of(base), arena,
              FILE_SELECT " AS f WHERE deleted = 0 AND revision = (SELECT max(revision) FROM file g"
                          " WHERE g.namespace = f.namespace AND g.path = f.path)"
                          " AND namespace = ");
    add_text(&builder, namespace);
    if (!str_eq(folder, "/")) {
        add(&builder, " AND path > ");
        add_text(&builder, arena_printf(arena, "%s/", folder));
        add(&builder, " AND path < ");
        add_text(&builder, arena_printf(arena, "%s0", folder)); // '0' follows '/'
    }
    add(&builder, " ORDER BY path");
    struct row_list list = { 0 };
    if (!read_list(&builder, &file_kind, NULL, &list, NULL, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
}

static bool sqlite_file_revisions(struct store_reader *base,
                                  struct arena *arena,
                                  const char *namespace,
                                  const char *path,
                                  struct file_row **out,
                                  size_t *count,
                                  struct error *err)
{
    struct builder builder = build(reader_of(base), arena, FILE_SELECT " WHERE namespace = ");
    add_text(&builder, namespace);
    if (path != NULL) {
        add(&builder, " AND path = ");
        add_text(&builder, path);
    }
    add(&builder, " ORDER BY path, revision");
    struct row_list list = { 0 };
    if (!read_list(&builder, &file_kind, NULL, &list, NULL, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
}

/* ---- documents and outbox ---- */

#define DOCUMENT_SELECT "SELECT collection, name, at, body FROM document WHERE collection = "

static void read_document(struct sql_stmt *stmt, struct arena *arena, void *out)
{
    *(struct document_row *)out = (struct document_row){
        .collection = column_text(stmt, 0, arena),
        .key = column_text(stmt, 1, arena),
        .at = sql_column_int(stmt, 2),
        .body = column_bytes(stmt, 3, arena),
    };
}

static const struct row_kind document_kind = { sizeof(struct document_row), read_document, NULL };

static bool sqlite_document_get(struct store_reader *base,
                                struct arena *arena,
                                const char *collection,
                                const char *key,
                                struct document_row *out,
                                struct error *err)
{
    struct builder builder = build(reader_of(base), arena, DOCUMENT_SELECT);
    add_text(&builder, collection);
    add(&builder, " AND name = ");
    add_text(&builder, key);
    bool found = false;
    if (!read_one(&builder, &document_kind, out, &found, err))
        return false;
    return found || error_set(err, ERR_NOT_FOUND, "'%s' does not exist in '%s'", key, collection);
}

static bool sqlite_document_list(struct store_reader *base,
                                 struct arena *arena,
                                 const char *collection,
                                 const char *prefix,
                                 const char *after,
                                 size_t limit,
                                 struct document_row **out,
                                 size_t *count,
                                 struct error *err)
{
    struct builder builder = build(reader_of(base), arena, DOCUMENT_SELECT);
    add_text(&builder, collection);
    if (prefix != NULL && prefix[0] != '\0') {
        add(&builder, " AND name >= ");
        add_text(&builder, prefix);
        add(&builder, " AND name < ");
        add_text(&builder, after_prefix(arena, prefix));
    }
    if (after != NULL) {
        add(&builder, " AND name > ");
        add_text(&builder, after);
    }
    add(&builder, " ORDER BY name LIMIT ");
    add_int(&builder, (int64_t)limit);
    struct row_list list = { 0 };
    if (!read_list(&builder, &document_kind, NULL, &list, NULL, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
}

static bool sqlite_document_recent(struct store_reader *base,
                                   struct arena *arena,
                                   const char *collection,
                                   usec_t before,
                                   size_t limit,
                                   struct document_row **out,
                                   size_t *count,
                                   struct error *err)
{
    struct builder builder = build(reader_of(base), arena, DOCUMENT_SELECT);
    add_text(&builder, collection);
    add(&builder, " AND at < ");
    add_int(&builder, before);
    add(&builder, " ORDER BY at DESC, name LIMIT ");
    add_int(&builder, (int64_t)limit);
    struct row_list list = { 0 };
    if (!read_list(&builder, &document_kind, NULL, &list, NULL, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
}

static void read_outbox(struct sql_stmt *stmt, struct arena *arena, void *out)
{
    *(struct outbox_row *)out = (struct outbox_row){
        .key = sql_column_int(stmt, 0),
        .topic = column_text(stmt, 1, arena),
        .order_key = column_text(stmt, 2, arena),
        .due_at = sql_column_int(stmt, 3),
        .attempts = (uint32_t)sql_column_int(stmt, 4),
        .body = column_bytes(stmt, 5, arena),
    };
}

static const struct row_kind outbox_kind = { sizeof(struct outbox_row), read_outbox, NULL };

static bool sqlite_outbox_due(struct store_reader *base,
                              struct arena *arena,
                              const char *topic,
                              usec_t now,
                              size_t limit,
                              struct outbox_row **out,
                              size_t *count,
                              struct error *err)
{
    struct builder builder =
        build(reader_of(base), arena,
              "SELECT key, topic, order_key, due_at, attempts, body FROM outbox o"
              " WHERE topic = ");
    add_text(&builder, topic);
    add(&builder, " AND due_at <= ");
    add_int(&builder, now);
    // An earlier row with the same order key goes first, even if it is due later.
    add(&builder, " AND (order_key IS NULL OR NOT EXISTS (SELECT 1 FROM outbox p"
                  " WHERE p.topic = o.topic AND p.order_key = o.order_key AND p.key < o.key))"
                  " ORDER BY key LIMIT ");
    add_int(&builder, (int64_t)limit);
    struct row_list list = { 0 };
    if (!read_list(&builder, &outbox_kind, NULL, &list, NULL, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
}

/* ---- windows and cache ---- */

#define WINDOW_SELECT                                                                              \
    "SELECT f.namespace, f.id, w.window_id, w.start_at, w.end_at, w.body FROM \"window\" w"        \
    " JOIN flow f ON f.key = w.flow WHERE "

static void read_window(struct sql_stmt *stmt, struct arena *arena, void *out)
{
    *(struct window_row *)out = (struct window_row){
        .namespace = column_text(stmt, 0, arena),
        .flow_id = column_text(stmt, 1, arena),
        .window_id = column_text(stmt, 2, arena),
        .start_at = sql_column_int(stmt, 3),
        .end_at = sql_column_int(stmt, 4),
        .body = column_bytes(stmt, 5, arena),
    };
}

static const struct row_kind window_kind = { sizeof(struct window_row), read_window, NULL };

static bool sqlite_window_get(struct store_reader *base,
                              struct arena *arena,
                              const char *namespace,
                              const char *flow_id,
                              const char *window_id,
                              struct window_row *out,
                              struct error *err)
{
    struct builder builder = build(reader_of(base), arena, WINDOW_SELECT "f.namespace = ");
    add_text(&builder, namespace);
    add(&builder, " AND f.id = ");
    add_text(&builder, flow_id);
    add(&builder, " AND w.window_id = ");
    add_text(&builder, window_id);
    bool found = false;
    if (!read_one(&builder, &window_kind, out, &found, err))
        return false;
    return found || not_found(err, "window", window_id);
}

static bool sqlite_window_expired(struct store_reader *base,
                                  struct arena *arena,
                                  usec_t now,
                                  size_t limit,
                                  struct window_row **out,
                                  size_t *count,
                                  struct error *err)
{
    struct builder builder = build(reader_of(base), arena, WINDOW_SELECT "w.end_at < ");
    add_int(&builder, now);
    add(&builder, " ORDER BY f.namespace, f.id, w.window_id LIMIT ");
    add_int(&builder, (int64_t)limit);
    struct row_list list = { 0 };
    if (!read_list(&builder, &window_kind, NULL, &list, NULL, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
}

static void read_cache(struct sql_stmt *stmt, struct arena *arena, void *out)
{
    *(struct cache_row *)out = (struct cache_row){
        .namespace = column_text(stmt, 0, arena),
        .flow_id = column_text(stmt, 1, arena),
        .key = column_text(stmt, 2, arena),
        .created_at = sql_column_int(stmt, 3),
        .expires_at = sql_column_int(stmt, 4),
        .body = column_bytes(stmt, 5, arena),
    };
}

static const struct row_kind cache_kind = { sizeof(struct cache_row), read_cache, NULL };

static bool sqlite_cache_get(struct store_reader *base,
                             struct arena *arena,
                             const char *namespace,
                             const char *flow_id,
                             const char *key,
                             struct cache_row *out,
                             struct error *err)
{
    struct builder builder =
        build(reader_of(base), arena,
              "SELECT f.namespace, f.id, c.name, c.created_at, c.expires_at, c.body"
              " FROM flow f JOIN cache c ON c.flow = f.key WHERE f.namespace = ");
    add_text(&builder, namespace);
    add(&builder, " AND f.id = ");
    add_text(&builder, flow_id);
    add(&builder, " AND c.name = ");
    add_text(&builder, key);
    bool found = false;
    if (!read_one(&builder, &cache_kind, out, &found, err))
        return false;
    return found || not_found(err, "cache entry", key);
}

/* ---- the reader ---- */

static bool sqlite_begin(struct store_reader *base, struct error *err)
{
    return sql_begin(reader_of(base)->sql, false, err);
}

static void sqlite_end(struct store_reader *base)
{
    sql_rollback(reader_of(base)->sql);
}

static void sqlite_reader_free(struct store_reader *base)
{
    struct sqlite_reader *reader = reader_of(base);
    sql_close(reader->sql);
    buf_free(&reader->text);
    free(reader);
}

static const struct store_reader_ops sqlite_reader_ops = {
    .begin = sqlite_begin,
    .end = sqlite_end,
    .execution_get = sqlite_execution_get,
    .execution_by_key = sqlite_execution_by_key,
    .execution_search = sqlite_execution_search,
    .execution_children = sqlite_execution_children,
    .execution_active = sqlite_execution_active,
    .execution_waking = sqlite_execution_waking,
    .execution_expired = sqlite_execution_expired,
    .slots = sqlite_slots,
    .queued = sqlite_queued,
    .counts = sqlite_counts,
    .flow_get = sqlite_flow_get,
    .flow_search = sqlite_flow_search,
    .flow_revisions = sqlite_flow_revisions,
    .namespaces = sqlite_namespaces,
    .trigger_get = sqlite_trigger_get,
    .trigger_by_key = sqlite_trigger_by_key,
    .trigger_search = sqlite_trigger_search,
    .trigger_all = sqlite_trigger_all,
    .kv_get = sqlite_kv_get,
    .kv_search = sqlite_kv_search,
    .kv_versions = sqlite_kv_versions,
    .file_get = sqlite_file_get,
    .file_list = sqlite_file_list,
    .file_revisions = sqlite_file_revisions,
    .document_get = sqlite_document_get,
    .document_list = sqlite_document_list,
    .document_recent = sqlite_document_recent,
    .outbox_due = sqlite_outbox_due,
    .window_get = sqlite_window_get,
    .window_expired = sqlite_window_expired,
    .cache_get = sqlite_cache_get,
    .log_rows = sqlite_log_rows,
    .metrics = sqlite_metrics,
    .free = sqlite_reader_free,
};

struct store_reader *sqlite_reader_new(const char *path, struct error *err)
{
    struct sqlite_reader *reader = check_calloc(1, sizeof(*reader));
    reader->base.ops = &sqlite_reader_ops;
    struct sql_options options = {
        .path = path,
        .access = SQL_READ,
        .no_foreign_keys = true,
        .no_auto_checkpoint = true,
        .cache_bytes = READER_CACHE_BYTES,
    };
    reader->sql = sql_open(&options, err);
    if (reader->sql == NULL) {
        sqlite_reader_free(&reader->base);
        return NULL;
    }
    return &reader->base;
}
