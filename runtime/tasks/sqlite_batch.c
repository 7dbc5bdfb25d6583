/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/sql.h"
#include "base/str.h"
#include "core/ion.h"
#include "core/plugin.h"
#include "runtime/tasks/rows.h"
#include "runtime/tasks/sqlite.h"
#include "runtime/worker/task.h"

struct props {
    struct sqlite_connection connection;
    const char *from;
    const char *sql;
    const char *table;
    const struct value *columns;
    int64_t chunk;
    int64_t max_retries;
    usec_t retry_backoff;
};

static const struct prop props[] = {
    SQLITE_CONNECTION_ROWS(struct props, connection),
    { "from", STR(struct props, from), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "URI of a file with one row per line: maps, or lists in the order of the `?`." },
    { "sql", STR(struct props, sql), .flags = PROP_EXPR,
      .doc = "Statement with a `?` for each value." },
    { "table", STR(struct props, table), .flags = PROP_EXPR,
      .doc = "Table to insert into, in place of `sql`." },
    { "columns", STRINGS(struct props, columns), .flags = PROP_EXPR,
      .doc = "Names of the values, in order; those of the table, or of each row, when absent." },
    { "chunk", INT(struct props, chunk), .flags = PROP_EXPR, .fallback = "1000", .min = 1,
      .max = 1000000, .doc = "Rows per commit." },
    { "maxRetries", INT(struct props, max_retries), .flags = PROP_EXPR, .fallback = "3", .min = 0,
      .max = 100, .doc = "How often a chunk is tried again while the database is locked." },
    { "retryBackoff", DURATION(struct props, retry_backoff), .flags = PROP_EXPR, .fallback = "PT1S",
      .doc = "Time between two tries." },
    { "resumeOnRetry", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { "retryScope", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { "inputHandling", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { "localBufferMaxBytes", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { 0 },
};

struct batch {
    struct task_ctx *ctx;
    const struct props *p;
    struct sql *sql;
    const struct value *columns; /* list of names, NULL: by the row */
    const char *text;
    int64_t rows;
    int64_t updated;
    int64_t statements;
};

static void put_identifier(struct buf *out, const char *name)
{
    buf_putc(out, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"')
            buf_putc(out, '"');
        buf_putc(out, *name);
    }
    buf_putc(out, '"');
}

/* Columns of the table, in its order. */
static const struct value *table_columns(struct batch *batch, struct error *err)
{
    struct value_builder names = value_build(batch->ctx->arena);
    AUTO(sql_donep)
    struct sql_stmt *stmt =
        sql_prepare(batch->sql, "select name from pragma_table_info(?) order by cid", err);
    if (stmt == NULL)
        return NULL;
    sql_bind_text(stmt, 1, batch->p->table);
    for (;;) {
        bool is_row = false;
        if (!sql_step(stmt, &is_row, err))
            return NULL;
        if (!is_row)
            break;
        value_add(&names, value_string(batch->ctx->arena, sql_column_text(stmt, 0, NULL)));
    }
    const struct value *list = value_build_list(&names);
    if (value_count(list) == 0) {
        error_set(err, ERR_NOT_FOUND, "table '%s' does not exist", batch->p->table);
        return NULL;
    }
    return list;
}

static bool make_text(struct batch *batch, struct error *err)
{
    const struct props *p = batch->p;
    batch->columns = value_count(p->columns) > 0 ? p->columns : NULL;
    if ((p->sql == NULL) == (p->table == NULL))
        return error_set(err, ERR_INVALID, "one of 'sql' and 'table' is needed");
    batch->text = p->sql;
    if (p->sql != NULL)
        return true;
    if (batch->columns == NULL)
        batch->columns = table_columns(batch, err);
    if (batch->columns == NULL)
        return false;
    struct buf text = { 0 };
    buf_puts(&text, "INSERT INTO ");
    put_identifier(&text, p->table);
    for (size_t i = 0; i < value_count(batch->columns); i++) {
        buf_puts(&text, i == 0 ? " (" : ", ");
        const char *name = value_cstr(value_item(batch->columns, i));
        put_identifier(&text, name == NULL ? "" : name);
    }
    buf_puts(&text, ") VALUES (");
    for (size_t i = 0; i < value_count(batch->columns); i++)
        buf_puts(&text, i == 0 ? "?" : ", ?");
    buf_putc(&text, ')');
    batch->text = buf_dup(&text, batch->ctx->arena);
    buf_free(&text);
    return true;
}

/* Value of the i-th mark. */
static const struct value *value_of(const struct batch *batch, const struct value *row, size_t i)
{
    if (value_is_list(row))
        return value_item(row, i);
    if (batch->columns == NULL)
        return i < row->map.count ? row->map.members[i].value : NULL;
    const char *name = value_cstr(value_item(batch->columns, i));
    return name == NULL ? NULL : value_get(row, name);
}

static bool put_row(
    struct batch *batch, struct sql_stmt *stmt, const char *bytes, size_t length, struct error *err)
{
    struct arena *scratch = arena_new();
    const struct value *row = ion_parse_first(scratch, bytes, length, NULL, err);
    bool ok = row != NULL;
    if (ok && !value_is_map(row) && !value_is_list(row))
        ok = error_set(err, ERR_INVALID, "%s is neither a map nor a list", value_kind_name(row));
    int count = ok ? sql_parameters(stmt) : 0;
    struct buf texts = { 0 };
    for (int i = 1; i <= count; i++) {
        const struct value *value = value_of(batch, row, (size_t)i - 1);
        if (value != NULL && value->kind > VALUE_STRING && value->kind != VALUE_BYTES) {
            buf_clear(&texts);
            value_write_print(&texts, value);
            value = value_string_n(scratch, buf_text(&texts), texts.length);
        }
        sqlite_bind_value(stmt, i, value);
    }
    ok = ok && sql_run(stmt, err);
    buf_free(&texts);
    arena_free(scratch);
    if (ok)
        batch->updated += sql_changes(batch->sql);
    return ok;
}

/* The rows of one chunk, as texts that end with '\n', in one transaction. */
static bool put_chunk(struct batch *batch,
                      const struct buf *chunk,
                      int64_t first,
                      struct error *err)
{
    int64_t updated = batch->updated;
    if (!sql_begin(batch->sql, true, err))
        return false;
    AUTO(sql_donep) struct sql_stmt *stmt = sql_prepare(batch->sql, batch->text, err);
    bool ok = stmt != NULL;
    const char *at = buf_text(chunk);
    for (int64_t row = first; ok && at < chunk->bytes + chunk->length; row++) {
        const char *stop = memchr(at, '\n', (size_t)(chunk->bytes + chunk->length - at));
        ok = put_row(batch, stmt, at, (size_t)(stop - at), err) ||
             error_wrap(err, "Row %lld", (long long)row);
        at = stop + 1;
    }
    sql_done(stmt);
    stmt = NULL;
    if (ok && sql_commit(batch->sql, err))
        return true;
    sql_rollback(batch->sql);
    batch->updated = updated;
    return false;
}

static bool try_chunk(struct batch *batch,
                      const struct buf *chunk,
                      int64_t first,
                      struct error *err)
{
    for (int64_t retry = 0;; retry++) {
        struct error failure = { 0 };
        if (put_chunk(batch, chunk, first, &failure)) {
            batch->statements++;
            return true;
        }
        if (failure.code != ERR_UNAVAILABLE || retry >= batch->p->max_retries) {
            if (err != NULL)
                *err = failure;
            return false;
        }
        task_log(batch->ctx, LOG_WARN, "The database is locked; trying again: %s", failure.text);
        if (!task_wait(batch->ctx, batch->p->retry_backoff, err))
            return false;
    }
}

static bool put_all(struct batch *batch, int fd, struct error *err)
{
    struct rows_reader reader;
    struct buf chunk = { 0 };
    rows_reader_init(&reader, fd, NULL);
    int64_t in_chunk = 0;
    bool ok;
    for (;;) {
        const char *row = NULL;
        size_t length = 0;
        ok = rows_next(&reader, &row, &length, err) && task_check(batch->ctx, err);
        if (!ok || row == NULL)
            break;
        if (length == 0 || length == strspn(row, " \t\r"))
            continue;
        buf_add(&chunk, row, length);
        buf_putc(&chunk, '\n');
        batch->rows++;
        if (++in_chunk < batch->p->chunk && chunk.length < ROW_BYTES_MAX)
            continue;
        ok = try_chunk(batch, &chunk, batch->rows - in_chunk + 1, err);
        if (!ok)
            break;
        in_chunk = 0;
        buf_clear(&chunk);
    }
    if (ok && in_chunk > 0)
        ok = try_chunk(batch, &chunk, batch->rows - in_chunk + 1, err);
    buf_free(&chunk);
    rows_reader_free(&reader);
    return ok;
}

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    struct batch batch = { .ctx = ctx, .p = p };

    AUTO_FD int fd = task_open_file(ctx, p->from, err);
    AUTO(sql_closep) struct sql *sql = fd < 0 ? NULL : sqlite_open(ctx, &p->connection, err);
    if (sql == NULL)
        return false;
    batch.sql = sql;
    if (!make_text(&batch, err) || !put_all(&batch, fd, err) ||
        !sqlite_store_database(ctx, sql, &p->connection, out, err))
        return false;
    task_metric(ctx, "counter", "records", (double)batch.rows, NULL);
    task_metric(ctx, "counter", "updated", (double)batch.updated, NULL);
    task_metric(ctx, "counter", "query", (double)batch.statements, NULL);
    value_put_int(out, "rowCount", batch.rows);
    value_put_int(out, "updatedCount", batch.updated);
    return true;
}

static const struct plugin_output outputs[] = {
    { "rowCount", "integer", "Rows of the file." },
    { "updatedCount", "integer", "Rows of the table that changed." },
    { "databaseUri", "uri", "The database, with `outputDbFile`." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Load a file into a table", "url: jdbc:sqlite:/data/warehouse.db\n"
                                  "from: \"{{ outputs.extract.uri }}\"\n"
                                  "table: orders\n" },
    { 0 },
};

const struct plugin task_sqlite_batch = {
    .id = "io.kestra.plugin.jdbc.sqlite.Batch",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Write the rows of a file into a SQLite database.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
