/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite store: reading flows and triggers. */

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "runtime/store/sqlite_build.h"

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

bool sqlite_flow_get(struct store_reader *base,
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
    if (!read_one(&builder, &flow_full, &row, &found, err))
        return false;
    if (!found || (revision == 0 && row.deleted && !allow_deleted))
        return error_set(err, ERR_NOT_FOUND, "flow '%s/%s' does not exist%s", namespace, id,
                         revision > 0 ? " in that revision" : "");
    *out = row;
    return true;
}

bool sqlite_flow_search(struct store_reader *base,
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
    if (!read_list(&builder, reads_source ? &flow_full : &flow_plain, query, &list, total, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
}

bool sqlite_flow_revisions(struct store_reader *base,
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
    if (!read_list(&builder, with_source ? &flow_full : &flow_plain, NULL, &list, NULL, err))
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

bool sqlite_namespaces(struct store_reader *base,
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
    if (!read_list(&builder, &text_kind, NULL, &list, NULL, err))
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

bool sqlite_trigger_get(struct store_reader *base,
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
    if (!read_one(&builder, &trigger_kind_rows, out, &found, err))
        return false;
    return found || error_set(err, ERR_NOT_FOUND, "trigger '%s' of flow '%s/%s' does not exist",
                              trigger_id, namespace, flow_id);
}

bool sqlite_trigger_by_key(struct store_reader *base,
                           struct arena *arena,
                           int64_t key,
                           struct trigger_state *out,
                           struct error *err)
{
    struct builder builder = build(reader_of(base), arena, TRIGGER_SELECT " WHERE t.key = ");
    add_int(&builder, key);
    bool found = false;
    if (!read_one(&builder, &trigger_kind_rows, out, &found, err))
        return false;
    return found ||
           error_set(err, ERR_NOT_FOUND, "trigger number %lld does not exist", (long long)key);
}

bool sqlite_trigger_search(struct store_reader *base,
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
    if (!read_list(&builder, &trigger_kind_rows, query, &list, total, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
}

bool sqlite_trigger_all(struct store_reader *base,
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
    if (!read_list(&builder, &trigger_kind_rows, NULL, &list, NULL, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
}
