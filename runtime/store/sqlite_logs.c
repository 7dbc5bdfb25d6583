/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite store: reading index rows of logs, and metrics. */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "runtime/store/sqlite_build.h"

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

bool sqlite_log_rows(struct store_reader *base,
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
    if (!read_list(&builder, &log_kind, &page, &list, NULL, err))
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

bool sqlite_metrics(struct store_reader *base,
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
    if (!read_list(&builder, &metric_kind, query, &list, total, err))
        return false;
    *out = list.items;
    *count = list.count;
    return true;
}
