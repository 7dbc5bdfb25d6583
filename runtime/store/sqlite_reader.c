/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite store, reading everything but executions.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "runtime/store/sqlite_build.h"
#include "runtime/store/sqlite_internal.h"

/* ---- lists of rows ---- */

/* How rows of one kind are read and checked. */
struct row_kind {
    size_t size;
    void (*read)(struct sql_stmt *stmt, struct arena *arena, void *row);
    bool (*matches)(const struct query *query, const void *row); /* NULL: no query */
};

struct row_list {
    void *items;
    size_t count;
};

/*
 * Rows of the statement: all of them, or the page of a query. Rows before and after the page are
 * read only when the SQL did not say all of the query.
 */
static bool list_rows(struct builder *builder,
                      const struct row_kind *kind,
                      const struct query *query,
                      struct row_list *out,
                      int64_t *total,
                      struct error *err)
{
    struct arena *arena = builder->arena;
    struct sql_stmt *stmt = prepare(builder, err);
    if (stmt == NULL)
        return false;
    size_t limit = query != NULL ? query->limit : SIZE_MAX;
    size_t offset = query != NULL ? query->offset : 0;
    struct row_list list = { 0 };
    size_t capacity = 0;
    size_t matched = 0;
    bool ok = true;
    bool is_row = false;
    while ((total != NULL || list.count < limit) && (ok = sql_step(stmt, &is_row, err)) && is_row) {
        bool in_page = matched >= offset && list.count < limit;
        if (!in_page && !builder->needs_check) {
            matched++;
            continue;
        }
        list.items = vec_grow_arena(arena, list.items, &capacity, list.count, kind->size);
        void *row = (char *)list.items + list.count * kind->size;
        struct arena_mark mark = arena_mark(arena);
        kind->read(stmt, arena, row);
        if (builder->needs_check && !kind->matches(query, row)) {
            arena_rewind(arena, mark);
            continue;
        }
        matched++;
        if (in_page)
            list.count++;
        else
            arena_rewind(arena, mark);
    }
    sql_done(stmt);
    if (!ok)
        return false;
    *out = list;
    if (total != NULL)
        *total = (int64_t)matched;
    return true;
}

/* The only row of a statement; *found tells whether there is one. */
static bool one_row(
    struct builder *builder, const struct row_kind *kind, void *out, bool *found, struct error *err)
{
    struct sql_stmt *stmt = prepare(builder, err);
    if (stmt == NULL)
        return false;
    bool ok = sql_step(stmt, found, err);
    if (ok && *found)
        kind->read(stmt, builder->arena, out);
    sql_done(stmt);
    return ok;
}

/* Column of a resource that a field is filtered by. */
struct field_column {
    enum field field;
    bool is_time;
    const char *column;
};

static void add_filters(struct builder *builder,
                        const struct query *query,
                        const struct field_column *columns,
                        size_t count)
{
    for (size_t i = 0; i < query->filters_count; i++) {
        const struct filter *filter = &query->filters[i];
        size_t at = 0;
        while (at < count && columns[at].field != filter->field)
            at++;
        bool exact = at < count &&
                     (columns[at].is_time ? add_time_filter(builder, columns[at].column, filter)
                                          : add_text_filter(builder, columns[at].column, filter));
        builder->needs_check |= !exact;
    }
}

/* " ORDER BY …": the wanted column first, then `rest`, which makes the order total. */
static void add_order(struct builder *builder,
                      const struct query *query,
                      const struct field_column *columns,
                      size_t count,
                      const char *rest)
{
    add(builder, " ORDER BY ");
    for (size_t i = 0; i < count; i++)
        if (columns[i].field == query->sort) {
            buf_printf(builder->text, "%s %s, ", columns[i].column,
                       query->descending ? "DESC" : "ASC");
            break;
        }
    add(builder, rest);
}

/* ---- flows ---- */

static const struct field_column flow_columns[] = {
    { FIELD_NAMESPACE, false, "f.namespace" },
    { FIELD_FLOW, false, "f.id" },
    { FIELD_ID, false, "f.id" },
    { FIELD_UPDATED, true, "f.updated_at" },
};

#define FLOW_COLUMNS                                                                               \
    "f.namespace, f.id, r.revision, r.deleted, r.disabled, r.digest, r.labels, r.description,"     \
    " r.updated_at, r.actor, r.channel, r.source, r.commit_id"

static void read_flow_plain(struct sql_stmt *stmt, struct arena *arena, void *out)
{
    *(struct flow_row *)out = (struct flow_row){
        .namespace = column_text(stmt, 0, arena),
        .id = column_text(stmt, 1, arena),
        .revision = sql_column_int(stmt, 2),
        .deleted = sql_column_int(stmt, 3) != 0,
        .disabled = sql_column_int(stmt, 4) != 0,
        .digest = column_text(stmt, 5, arena),
        .labels = column_text(stmt, 6, arena),
        .description = column_text(stmt, 7, arena),
        .updated_at = sql_column_int(stmt, 8),
        .origin = column_origin(stmt, 9, arena),
    };
}

static void read_flow_full(struct sql_stmt *stmt, struct arena *arena, void *out)
{
    struct flow_row *row = out;
    read_flow_plain(stmt, arena, row);
    struct bytes source = column_bytes(stmt, 13, arena);
    row->source = arena_strndup(arena, source.at, source.length);
    row->source_length = source.length;
}

static bool matches_flow(const struct query *query, const void *row)
{
    return query_matches_flow(query, row);
}

static const struct row_kind flow_plain = { sizeof(struct flow_row), read_flow_plain,
                                            matches_flow };
static const struct row_kind flow_full = { sizeof(struct flow_row), read_flow_full, matches_flow };

static bool sqlite_flow_get(struct store_reader *base,
                            struct arena *arena,
                            const char *namespace,
                            const char *id,
                            int64_t revision,
                            bool allow_deleted,
                            struct flow_row *out,
                            struct error *err)
{
    struct builder builder =
        build(reader_of(base), arena,
              "SELECT " FLOW_COLUMNS ", b.text FROM flow f"
              " JOIN flow_revision r ON r.flow = f.key JOIN body b ON b.key = r.body"
              " WHERE f.namespace = ");
    add_text(&builder, namespace);
    add(&builder, " AND f.id = ");
    add_text(&builder, id);
    if (revision > 0) {
        add(&builder, " AND r.revision = ");
        add_int(&builder, revision);
    } else {
        add(&builder, " AND r.revision = f.revision");
    }
    bool found = false;
    struct flow_row row;
    if (!one_row(&builder, &flow_full, &row, &found, err))
        return false;
    if (!found || (revision == 0 && row.deleted && !allow_deleted))
        return error_set(err, ERR_NOT_FOUND, "flow '%s/%s' does not exist%s", namespace, id,
                         revision > 0 ? " in that revision" : "");
    *out = row;
    return true;
}

static bool sqlite_flow_search(struct store_reader *base,
                               struct arena *arena,
                               const struct query *query,
                               bool with_source,
                               struct flow_row **out,
                               size_t *count,
                               int64_t *total,
                               struct error *err)
{
    bool reads_source = with_source;
    for (size_t i = 0; i < query->filters_count; i++)
        reads_source |= query->filters[i].field == FIELD_TEXT;
    // The latest revision is kept in the flow's own row.
    struct builder builder =
        build(reader_of(base), arena,
              "SELECT f.namespace, f.id, f.revision, f.deleted, f.disabled, f.digest, f.labels,"
              " f.description, f.updated_at, f.actor, f.channel, f.source, f.commit_id");
    add(&builder,
        reads_source ? ", b.text FROM flow f JOIN body b ON b.key = f.body" : " FROM flow f");
    add(&builder, " WHERE f.revision > 0 AND f.deleted = 0");
    add_filters(&builder, query, flow_columns, COUNT_OF(flow_columns));
    add_order(&builder, query, flow_columns, COUNT_OF(flow_columns), "f.namespace, f.id");
    struct row_list list = { 0 };
    if (!list_rows(&builder, reads_source ? &flow_full : &flow_plain, query, &list, total, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
}

static bool sqlite_flow_revisions(struct store_reader *base,
                                  struct arena *arena,
                                  const char *namespace,
                                  const char *id,
                                  bool with_source,
                                  struct flow_row **out,
                                  size_t *count,
                                  struct error *err)
{
    struct builder builder =
        build(reader_of(base), arena,
              with_source ? "SELECT " FLOW_COLUMNS ", b.text FROM flow f"
                            " JOIN flow_revision r ON r.flow = f.key"
                            " JOIN body b ON b.key = r.body WHERE f.namespace = "
                          : "SELECT " FLOW_COLUMNS " FROM flow f"
                            " JOIN flow_revision r ON r.flow = f.key WHERE f.namespace = ");
    add_text(&builder, namespace);
    add(&builder, " AND f.id = ");
    add_text(&builder, id);
    add(&builder, " ORDER BY r.revision");
    struct row_list list = { 0 };
    if (!list_rows(&builder, with_source ? &flow_full : &flow_plain, NULL, &list, NULL, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
}

static void read_text(struct sql_stmt *stmt, struct arena *arena, void *out)
{
    *(const char **)out = column_text(stmt, 0, arena);
}

static const struct row_kind text_kind = { sizeof(const char *), read_text, NULL };

static bool sqlite_namespaces(struct store_reader *base,
                              struct arena *arena,
                              const char *text,
                              const char ***out,
                              size_t *count,
                              struct error *err)
{
    struct builder builder =
        build(reader_of(base), arena,
              "SELECT namespace FROM flow WHERE revision > 0 AND deleted = 0"
              " UNION SELECT namespace FROM kv UNION SELECT namespace FROM file ORDER BY 1");
    struct row_list list = { 0 };
    if (!list_rows(&builder, &text_kind, NULL, &list, NULL, err))
        return false;
    const char **names = list.items;
    size_t kept = 0;
    for (size_t i = 0; i < list.count; i++)
        if (text == NULL || text_contains(names[i], text))
            names[kept++] = names[i];
    *out = names;
    *count = kept;
    return true;
}

/* ---- triggers ---- */

static const struct field_column trigger_columns[] = {
    { FIELD_NAMESPACE, false, "f.namespace" },
    { FIELD_FLOW, false, "f.id" },
    { FIELD_TRIGGER, false, "t.trigger_id" },
    { FIELD_WORKER, false, "t.worker_id" },
    { FIELD_EXECUTION, false, "t.execution_id" },
    { FIELD_START, true, "t.next_at" },
    { FIELD_END, true, "t.next_at" },
    { FIELD_NEXT, true, "t.next_at" },
    { FIELD_UPDATED, true, "t.updated_at" },
};

#define TRIGGER_SELECT                                                                             \
    "SELECT t.key, f.namespace, f.id, t.trigger_id, t.kind, t.type, t.spec, t.revision, t.date,"   \
    " t.next_at, t.evaluating_at, t.worker_id, t.execution_id, t.stop_after, t.disabled,"          \
    " t.is_off, t.allow_concurrent, t.backfill_start, t.backfill_end, t.backfill_current,"         \
    " t.backfill_previous, t.backfill_paused, t.backfill_inputs, t.backfill_labels, t.updated_at," \
    " t.backfill_id"                                                                               \
    " FROM trigger t JOIN flow f ON f.key = t.flow"

static void read_trigger(struct sql_stmt *stmt, struct arena *arena, void *out)
{
    *(struct trigger_state *)out = (struct trigger_state){
        .key = sql_column_int(stmt, 0),
        .namespace = column_text(stmt, 1, arena),
        .flow_id = column_text(stmt, 2, arena),
        .trigger_id = column_text(stmt, 3, arena),
        .kind = (enum trigger_kind)sql_column_int(stmt, 4),
        .type = column_text(stmt, 5, arena),
        .spec = column_text(stmt, 6, arena),
        .revision = sql_column_int(stmt, 7),
        .date = sql_column_int(stmt, 8),
        .next_at = sql_column_int(stmt, 9),
        .evaluating_at = sql_column_int(stmt, 10),
        .worker_id = column_text(stmt, 11, arena),
        .execution_id = column_text(stmt, 12, arena),
        .stop_after = column_text(stmt, 13, arena),
        .disabled = sql_column_int(stmt, 14) != 0,
        .is_off = sql_column_int(stmt, 15) != 0,
        .allow_concurrent = sql_column_int(stmt, 16) != 0,
        .backfill = {
            .start = sql_column_int(stmt, 17),
            .id = sql_column_int(stmt, 25),
            .end = sql_column_int(stmt, 18),
            .current = sql_column_int(stmt, 19),
            .previous_next = sql_column_int(stmt, 20),
            .paused = sql_column_int(stmt, 21) != 0,
            .inputs = column_text(stmt, 22, arena),
            .labels = column_text(stmt, 23, arena),
        },
        .updated_at = sql_column_int(stmt, 24),
    };
}

static bool matches_trigger(const struct query *query, const void *row)
{
    return query_matches_trigger(query, row);
}

static const struct row_kind trigger_kind_rows = { sizeof(struct trigger_state), read_trigger,
                                                   matches_trigger };

static bool sqlite_trigger_get(struct store_reader *base,
                               struct arena *arena,
                               const char *namespace,
                               const char *flow_id,
                               const char *trigger_id,
                               struct trigger_state *out,
                               struct error *err)
{
    struct builder builder = build(reader_of(base), arena, TRIGGER_SELECT " WHERE f.namespace = ");
    add_text(&builder, namespace);
    add(&builder, " AND f.id = ");
    add_text(&builder, flow_id);
    add(&builder, " AND t.trigger_id = ");
    add_text(&builder, trigger_id);
    bool found = false;
    if (!one_row(&builder, &trigger_kind_rows, out, &found, err))
        return false;
    return found || error_set(err, ERR_NOT_FOUND, "trigger '%s' of flow '%s/%s' does not exist",
                              trigger_id, namespace, flow_id);
}

static bool sqlite_trigger_by_key(struct store_reader *base,
                                  struct arena *arena,
                                  int64_t key,
                                  struct trigger_state *out,
                                  struct error *err)
{
    struct builder builder = build(reader_of(base), arena, TRIGGER_SELECT " WHERE t.key = ");
    add_int(&builder, key);
    bool found = false;
    if (!one_row(&builder, &trigger_kind_rows, out, &found, err))
        return false;
    return found ||
           error_set(err, ERR_NOT_FOUND, "trigger number %lld does not exist", (long long)key);
}

static bool sqlite_trigger_search(struct store_reader *base,
                                  struct arena *arena,
                                  const struct query *query,
                                  struct trigger_state **out,
                                  size_t *count,
                                  int64_t *total,
                                  struct error *err)
{
    struct builder builder = build(reader_of(base), arena, TRIGGER_SELECT " WHERE 1");
    add_filters(&builder, query, trigger_columns, COUNT_OF(trigger_columns));
    add_order(&builder, query, trigger_columns, COUNT_OF(trigger_columns),
              "f.namespace, f.id, t.trigger_id");
    struct row_list list = { 0 };
    if (!list_rows(&builder, &trigger_kind_rows, query, &list, total, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
}

static bool sqlite_trigger_all(struct store_reader *base,
                               struct arena *arena,
                               int64_t after,
                               size_t limit,
                               struct trigger_state **out,
                               size_t *count,
                               struct error *err)
{
    struct builder builder = build(reader_of(base), arena, TRIGGER_SELECT " WHERE t.key > ");
    add_int(&builder, after);
    add(&builder, " ORDER BY t.key LIMIT ");
    add_int(&builder, (int64_t)limit);
    struct row_list list = { 0 };
    if (!list_rows(&builder, &trigger_kind_rows, NULL, &list, NULL, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
}

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
    if (!one_row(&builder, &kv_kind, out, &found, err))
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
    if (!list_rows(&builder, &kv_kind, query, &list, total, err))
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
    if (!list_rows(&builder, &kv_kind, &query, &list, NULL, err))
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
    if (!one_row(&builder, &file_kind, &row, &found, err))
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
    if (!list_rows(&builder, &file_kind, NULL, &list, NULL, err))
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
    if (!list_rows(&builder, &file_kind, NULL, &list, NULL, err))
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
    if (!one_row(&builder, &document_kind, out, &found, err))
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
    if (!list_rows(&builder, &document_kind, NULL, &list, NULL, err))
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
    if (!list_rows(&builder, &document_kind, NULL, &list, NULL, err))
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
    if (!list_rows(&builder, &outbox_kind, NULL, &list, NULL, err))
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
    if (!one_row(&builder, &window_kind, out, &found, err))
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
    if (!list_rows(&builder, &window_kind, NULL, &list, NULL, err))
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
    if (!one_row(&builder, &cache_kind, out, &found, err))
        return false;
    return found || not_found(err, "cache entry", key);
}

/* ---- logs and metrics ---- */

static void read_log(struct sql_stmt *stmt, struct arena *arena, void *out)
{
    struct log_row *row = out;
    *row = (struct log_row){
        .key = sql_column_int(stmt, 0),
        .execution = sql_column_int(stmt, 1),
        .namespace = column_text(stmt, 3, arena),
        .flow_id = column_text(stmt, 4, arena),
        .trigger_id = column_text(stmt, 5, arena),
        .first_at = sql_column_int(stmt, 6),
        .last_at = sql_column_int(stmt, 7),
        .levels = (uint32_t)sql_column_int(stmt, 8),
        .lines = (uint32_t)sql_column_int(stmt, 9),
        .file_at = sql_column_int(stmt, 10),
        .file_length = sql_column_int(stmt, 11),
        .body = column_bytes(stmt, 12, arena),
    };
    size_t length = 0;
    const char *id = sql_column_text(stmt, 2, &length);
    if (id != NULL && length <= ID_LENGTH)
        memcpy(row->execution_id.text, id, length);
}

static bool may_match_block(const struct query *query, const void *row)
{
    return query_may_match_block(query, row);
}

static const struct row_kind log_kind = { sizeof(struct log_row), read_log, may_match_block };

/* What of the filters leaves whole blocks out; all of them are looked at again. */
static void add_block_filters(struct builder *builder, const struct query *query)
{
    for (size_t i = 0; i < query->filters_count; i++) {
        const struct filter *filter = &query->filters[i];
        bool is_from = filter->match == MATCH_GREATER || filter->match == MATCH_GREATER_EQUAL;
        bool is_until = filter->match == MATCH_LESS || filter->match == MATCH_LESS_EQUAL;
        if (filter->field == FIELD_NAMESPACE)
            (void)add_text_filter(builder, "f.namespace", filter);
        else if (filter->field == FIELD_FLOW)
            (void)add_text_filter(builder, "f.id", filter);
        else if (filter->field == FIELD_EXECUTION && filter->match == MATCH_EQUAL)
            (void)add_text_filter(builder, "l.execution_id", filter);
        else if (filter->field == FIELD_START && (is_from || is_until))
            (void)add_time_filter(builder, is_from ? "l.last_at" : "l.first_at", filter);
    }
}

static bool sqlite_log_rows(struct store_reader *base,
                            struct arena *arena,
                            int64_t execution,
                            const struct query *query,
                            bool newest_first,
                            int64_t after_key,
                            size_t limit,
                            struct log_row **out,
                            size_t *count,
                            struct error *err)
{
    struct builder builder =
        build(reader_of(base), arena,
              "SELECT l.key, l.execution, l.execution_id, f.namespace, f.id, l.trigger_id,"
              " l.first_at, l.last_at, l.levels, l.lines, l.file_at, l.file_length, l.body"
              " FROM log l JOIN flow f ON f.key = l.flow WHERE ");
    if (execution != 0) {
        add(&builder, "l.execution = ");
        add_int(&builder, execution);
        add(&builder, " AND ");
    }
    if (newest_first)
        add(&builder, after_key > 0 ? "l.key < " : "l.key > ");
    else
        add(&builder, "l.key > ");
    add_int(&builder, after_key);
    add_block_filters(&builder, query);
    add(&builder, newest_first ? " ORDER BY l.key DESC" : " ORDER BY l.key");
    builder.needs_check = query->filters_count > 0;
    struct query page = { .filters = query->filters,
                          .filters_count = query->filters_count,
                          .limit = limit };
    struct row_list list = { 0 };
    if (!list_rows(&builder, &log_kind, &page, &list, NULL, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
}

static const struct field_column metric_columns[] = {
    { FIELD_NAMESPACE, false, "f.namespace" },
    { FIELD_FLOW, false, "f.id" },
    { FIELD_EXECUTION, false, "m.execution_id" },
    { FIELD_TASK, false, "m.task_id" },
    { FIELD_RUN, false, "m.run_id" },
    { FIELD_NAME, false, "m.name" },
    { FIELD_START, true, "m.at" },
    { FIELD_END, true, "m.at" },
};

static void read_metric(struct sql_stmt *stmt, struct arena *arena, void *out)
{
    struct metric_row *row = out;
    *row = (struct metric_row){
        .execution = sql_column_int(stmt, 0),
        .namespace = column_text(stmt, 2, arena),
        .flow_id = column_text(stmt, 3, arena),
        .task_id = column_text(stmt, 4, arena),
        .run_id = column_text(stmt, 5, arena),
        .type = column_text(stmt, 6, arena),
        .name = column_text(stmt, 7, arena),
        .value = sql_column_double(stmt, 8),
        .tags = column_text(stmt, 9, arena),
        .at = sql_column_int(stmt, 10),
    };
    size_t length = 0;
    const char *id = sql_column_text(stmt, 1, &length);
    CHECK(length <= ID_LENGTH);
    memcpy(row->execution_id.text, id, length);
}

static bool matches_metric(const struct query *query, const void *row)
{
    return query_matches_metric(query, row);
}

static const struct row_kind metric_kind = { sizeof(struct metric_row), read_metric,
                                             matches_metric };

static bool sqlite_metrics(struct store_reader *base,
                           struct arena *arena,
                           int64_t execution,
                           const struct query *query,
                           struct metric_row **out,
                           size_t *count,
                           int64_t *total,
                           struct error *err)
{
    struct builder builder =
        build(reader_of(base), arena,
              "SELECT m.execution, m.execution_id, f.namespace, f.id, m.task_id, m.run_id,"
              " m.type, m.name, m.value, m.tags, m.at"
              " FROM metric m JOIN flow f ON f.key = m.flow WHERE 1");
    if (execution != 0) {
        add(&builder, " AND m.execution = ");
        add_int(&builder, execution);
    }
    add_filters(&builder, query, metric_columns, COUNT_OF(metric_columns));
    add_order(&builder, query, metric_columns, COUNT_OF(metric_columns), "m.key");
    struct row_list list = { 0 };
    if (!list_rows(&builder, &metric_kind, query, &list, total, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
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
