/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/tasks/sqlite.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/sql.h"
#include "base/str.h"
#include "core/ion.h"
#include "runtime/tasks/rows.h"
#include "runtime/worker/task.h"

#define URL_PREFIX "jdbc:sqlite:"

const char *const fetch_words[] = { "STORE", "FETCH", "FETCH_ONE", "NONE", NULL };

enum fetch_type sqlite_fetch_type(const struct sqlite_fetch *fetch)
{
    if (fetch->fetch_one)
        return FETCH_ONE;
    if (fetch->fetch)
        return FETCH_ALL;
    if (fetch->store)
        return FETCH_STORE;
    return (enum fetch_type)fetch->type;
}

/* ---- connection ---- */

static const char *path_of(struct task_ctx *ctx,
                           const struct sqlite_connection *c,
                           struct error *err)
{
    if (c->sqlite_file != NULL)
        return task_fetch_file(ctx, c->sqlite_file, err);
    const char *url = str_trim(ctx->arena, c->url);
    if (*url == '\0') {
        error_set(err, ERR_INVALID, "url is empty after rendering");
        return NULL;
    }
    if (!str_starts(url, URL_PREFIX)) {
        error_set(err, ERR_INVALID, "url must start with '" URL_PREFIX "'");
        return NULL;
    }
    const char *rest = url + strlen(URL_PREFIX);
    if (str_starts(rest, "file:"))
        rest += strlen("file:");
    const char *path = arena_strndup(ctx->arena, rest, strcspn(rest, "?"));
    if (*path == '\0' || str_eq(path, ":memory:"))
        return ":memory:";
    if (*path == '/')
        return path;
    const char *folder = task_working_dir(ctx, err);
    return folder == NULL ? NULL : arena_printf(ctx->arena, "%s/%s", folder, path);
}

static bool is_cancelled(void *context)
{
    return task_is_cancelled(context);
}

struct sql *sqlite_open(struct task_ctx *ctx, const struct sqlite_connection *c, struct error *err)
{
    const char *path = path_of(ctx, c, err);
    if (path == NULL)
        return NULL;
    struct sql_options options = {
        .path = path,
        .access = SQL_CREATE,
        .trust = SQL_USER,
        .no_wal = true, // the file is the user's, and so is its journal mode
        .no_foreign_keys = true,
    };
    struct sql *sql = sql_open(&options, err);
    if (sql == NULL) {
        (void)error_wrap(err, "cannot open the database");
        return NULL;
    }
    sql_set_deadline(sql, ctx->deadline);
    sql_set_cancel(sql, is_cancelled, ctx);
    return sql;
}

bool sqlite_store_database(struct task_ctx *ctx,
                           struct sql *sql,
                           const struct sqlite_connection *c,
                           struct value_builder *out,
                           struct error *err)
{
    if (!c->output_db_file)
        return true;
    const char *local = task_temp_path(ctx, ".db", err);
    if (local == NULL || !sql_backup(sql, local, err))
        return false;
    const char *uri = task_store_file(ctx, local, "database.db", err);
    value_put_text(out, "databaseUri", uri);
    return uri != NULL;
}

/* ---- parameters ---- */

struct rewrite {
    struct task_ctx *ctx;
    const struct value *parameters;
    struct buf out;
    struct value_builder values;
};

/* End of what starts here and is no place for parameters; `at` itself when nothing does. */
static const char *skip_opaque(const char *at)
{
    char close = *at == '\'' || *at == '"' || *at == '`' ? *at : *at == '[' ? ']' : '\0';
    if (close != '\0') {
        for (at++; *at != '\0'; at++) {
            if (*at != close)
                continue;
            if (at[1] != close || close == ']')
                return at + 1;
            at++; // doubled: part of the text
        }
        return at;
    }
    if (at[0] == '-' && at[1] == '-')
        return at + strcspn(at, "\n");
    if (at[0] == '/' && at[1] == '*') {
        const char *stop = strstr(at + 2, "*/");
        return stop == NULL ? at + strlen(at) : stop + 2;
    }
    return at;
}

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static bool in_parentheses(const struct buf *out)
{
    size_t at = out->length;
    while (at > 0 && isspace((unsigned char)out->bytes[at - 1]))
        at--;
    return at > 0 && out->bytes[at - 1] == '(';
}

/* What SQLite has no kind for becomes text. */
static const struct value *bindable(struct arena *arena, const struct value *value)
{
    if (value_is_null(value) || value->kind <= VALUE_STRING || value->kind == VALUE_BYTES)
        return value;
    struct buf text = { 0 };
    value_write_print(&text, value);
    value = value_string_n(arena, buf_text(&text), text.length);
    buf_free(&text);
    return value;
}

static void put_list(struct rewrite *rewrite, const struct value *list)
{
    bool bare = in_parentheses(&rewrite->out);
    if (!bare)
        buf_putc(&rewrite->out, '(');
    for (size_t i = 0; i < value_count(list); i++) {
        buf_puts(&rewrite->out, i == 0 ? "?" : ", ?");
        value_add(&rewrite->values, bindable(rewrite->ctx->arena, value_item(list, i)));
    }
    if (!bare)
        buf_putc(&rewrite->out, ')');
}

static bool put_parameter(struct rewrite *rewrite, const char *name, struct error *err)
{
    const struct value_member *member = value_member(rewrite->parameters, name);
    if (member == NULL)
        return error_set(err, ERR_INVALID, "parameter ':%s' has no value", name);
    if (value_is_list(member->value)) {
        put_list(rewrite, member->value);
    } else {
        buf_putc(&rewrite->out, '?');
        value_add(&rewrite->values, bindable(rewrite->ctx->arena, member->value));
    }
    return true;
}

bool sqlite_parameters(struct task_ctx *ctx,
                       const char *sql,
                       const struct value *parameters,
                       struct sqlite_text *out,
                       struct error *err)
{
    struct rewrite rewrite = { .ctx = ctx,
                               .parameters = parameters,
                               .values = value_build(ctx->arena) };
    bool ok = true;
    for (const char *at = sql; ok && *at != '\0';) {
        const char *stop = skip_opaque(at);
        if (stop != at) {
            buf_add(&rewrite.out, at, (size_t)(stop - at));
            at = stop;
        } else if (at[0] == ':' && is_name(at[1]) && !isdigit((unsigned char)at[1]) &&
                   (at == sql || (at[-1] != ':' && !is_name(at[-1])))) {
            size_t length = 0;
            while (is_name(at[1 + length]))
                length++;
            ok = put_parameter(&rewrite, arena_strndup(ctx->arena, at + 1, length), err);
            at += 1 + length;
        } else {
            buf_putc(&rewrite.out, *at++);
        }
    }
    if (ok) {
        out->sql = buf_dup(&rewrite.out, ctx->arena);
        out->values = value_build_list(&rewrite.values);
    }
    buf_free(&rewrite.out);
    return ok;
}

void sqlite_bind_value(struct sql_stmt *stmt, int parameter, const struct value *value)
{
    double number = 0;
    if (value_is_null(value)) {
        sql_bind_null(stmt, parameter);
    } else if (value->kind == VALUE_INT) {
        sql_bind_int(stmt, parameter, value->integer);
    } else if (value->kind == VALUE_BOOL) {
        sql_bind_int(stmt, parameter, value->boolean);
    } else if (value->kind == VALUE_DOUBLE || value->kind == VALUE_FLOAT32) {
        (void)value_to_double(value, &number);
        sql_bind_double(stmt, parameter, number);
    } else if (value->kind == VALUE_STRING) {
        sql_bind_text_n(stmt, parameter, value->string.bytes, value->string.length);
    } else if (value->kind == VALUE_BYTES) {
        sql_bind_blob(stmt, parameter, value->string.bytes, value->string.length);
    } else {
        // Texts of bound values must outlive the call; those of plain kinds do.
        sql_bind_text(stmt, parameter, value_cstr(value) == NULL ? "" : value_cstr(value));
    }
}

bool sqlite_bind(struct sql_stmt *stmt, const struct value *values, size_t *at, struct error *err)
{
    int count = sql_parameters(stmt);
    for (int i = 1; i <= count; i++) {
        if (*at >= value_count(values))
            return error_set(err, ERR_INVALID, "a '?' of the SQL text has no value");
        sqlite_bind_value(stmt, i, value_item(values, (*at)++));
    }
    return true;
}

/* ---- results ---- */

static const struct value *cell(struct arena *arena, struct sql_stmt *stmt, int column)
{
    size_t length = 0;
    switch (sql_column_kind(stmt, column)) {
    case SQL_NULL:
        return &value_null;
    case SQL_INT:
        return value_int(arena, sql_column_int(stmt, column));
    case SQL_DOUBLE:
        return value_double(arena, sql_column_double(stmt, column));
    case SQL_TEXT: {
        const char *text = sql_column_text(stmt, column, &length);
        return value_string_n(arena, text, length);
    }
    case SQL_BLOB: {
        const void *bytes = sql_column_blob(stmt, column, &length);
        return value_text(arena, VALUE_BYTES, bytes, length);
    }
    }
    return &value_null;
}

static const struct value *row_of(struct arena *arena, struct sql_stmt *stmt)
{
    struct value_builder row = value_build(arena);
    int columns = sql_columns(stmt);
    for (int i = 0; i < columns; i++)
        value_put(&row, sql_column_name(stmt, i), cell(arena, stmt, i));
    return value_build_map(&row);
}

static void warn_of_duplicates(struct task_ctx *ctx, struct sql_stmt *stmt)
{
    int columns = sql_columns(stmt);
    for (int i = 0; i < columns; i++)
        for (int k = 0; k < i; k++)
            if (str_eq(sql_column_name(stmt, i), sql_column_name(stmt, k)))
                task_log(ctx, LOG_WARN, "Column '%s' occurs more than once: the last one counts",
                         sql_column_name(stmt, i));
}

static bool store_row(struct sql_stmt *stmt, struct rows_writer *writer, struct error *err)
{
    struct arena *scratch = arena_new();
    struct buf line = { 0 };
    ion_write(&line, row_of(scratch, stmt));
    buf_putc(&line, '\n');
    bool ok = rows_write(writer, line.bytes, line.length, err);
    buf_free(&line);
    arena_free(scratch);
    return ok;
}

/* What is collected of the rows of one statement. */
struct result {
    struct rows_writer writer; /* STORE */
    struct value_builder rows; /* FETCH */
    const struct value *first; /* FETCH_ONE */
    size_t bytes_before;
};

static bool take_row(struct task_ctx *ctx,
                     struct sql_stmt *stmt,
                     enum fetch_type type,
                     struct result *result,
                     struct error *err)
{
    switch (type) {
    case FETCH_STORE:
        return store_row(stmt, &result->writer, err);
    case FETCH_ALL:
        value_add(&result->rows, row_of(ctx->arena, stmt));
        return arena_bytes(ctx->arena) - result->bytes_before <= SQLITE_FETCH_MAX ||
               error_set(err, ERR_LIMIT,
                         "the rows take more than %zu bytes: use `fetchType: STORE`",
                         SQLITE_FETCH_MAX);
    case FETCH_ONE:
        if (result->first == NULL)
            result->first = row_of(ctx->arena, stmt);
        return true;
    case FETCH_NONE:
        break;
    }
    return true;
}

static bool put_result(enum fetch_type type,
                       struct result *result,
                       const char *name,
                       int64_t count,
                       struct value_builder *out,
                       struct error *err)
{
    switch (type) {
    case FETCH_STORE: {
        const char *uri = rows_writer_store(&result->writer, name, err);
        value_put_text(out, "uri", uri);
        if (uri == NULL)
            return false;
        break;
    }
    case FETCH_ALL:
        value_put(out, "rows", value_build_list(&result->rows));
        break;
    case FETCH_ONE:
        value_put(out, "row", result->first == NULL ? &value_null : result->first);
        value_put_int(out, "size", result->first != NULL);
        return true;
    case FETCH_NONE:
        return true;
    }
    value_put_int(out, "size", count);
    return true;
}

bool sqlite_run(struct task_ctx *ctx,
                struct sql_stmt *stmt,
                enum fetch_type type,
                const char *name,
                struct value_builder *out,
                int64_t *count,
                struct error *err)
{
    struct result result = { .rows = value_build(ctx->arena),
                             .bytes_before = arena_bytes(ctx->arena) };
    result.writer.fd = -1;
    bool gives_rows = sql_columns(stmt) > 0;
    if (!gives_rows) {
        *count = -1;
        return sql_run(stmt, err);
    }
    warn_of_duplicates(ctx, stmt);
    if (type == FETCH_STORE && !rows_writer_open(&result.writer, ctx, ".ion", err))
        return false;
    int64_t rows = 0;
    bool ok;
    for (;;) {
        bool is_row = false;
        ok = sql_step(stmt, &is_row, err);
        if (!ok || !is_row)
            break;
        rows++;
        if (!take_row(ctx, stmt, type, &result, err)) {
            ok = false;
            break;
        }
    }
    ok = ok && put_result(type, &result, name, rows, out, err);
    rows_writer_free(&result.writer);
    *count = rows;
    return ok;
}

void sqlite_metric(struct task_ctx *ctx, enum fetch_type type, int64_t rows)
{
    struct value_builder tags = value_build(ctx->arena);
    value_put_text(&tags, "fetch", type == FETCH_ALL || type == FETCH_ONE ? "true" : "false");
    value_put_text(&tags, "store", type == FETCH_STORE ? "true" : "false");
    task_metric(ctx, "counter", "fetch.size", (double)(rows > 0 ? rows : 0),
                value_build_map(&tags));
}

bool sqlite_has_more(const char *rest)
{
    // White space, comments and empty statements are nothing.
    for (const char *at = rest; *at != '\0';) {
        const char *stop = at[0] == '-' || at[0] == '/' ? skip_opaque(at) : at;
        if (stop != at)
            at = stop;
        else if (isspace((unsigned char)*at) || *at == ';')
            at++;
        else
            return true;
    }
    return false;
}

bool sqlite_run_after(struct task_ctx *ctx,
                      struct sql *sql,
                      const char *text,
                      const struct value *parameters,
                      struct error *err)
{
    struct sqlite_text rewritten;
    const char *rest = NULL;
    size_t at = 0;
    if (str_empty(text))
        return true;
    if (!sqlite_parameters(ctx, text, parameters, &rewritten, err))
        return error_wrap(err, "afterSQL");
    struct error failure = { 0 };
    struct sql_stmt *stmt = sql_prepare_next(sql, rewritten.sql, &rest, &failure);
    if (stmt == NULL && failure.code == ERR_NONE)
        return true; // comments only
    bool ok = stmt != NULL;
    if (ok && sqlite_has_more(rest))
        ok = error_set(&failure, ERR_INVALID, "only one statement is allowed");
    ok = ok && sqlite_bind(stmt, rewritten.values, &at, &failure) && sql_run(stmt, &failure);
    sql_done(stmt);
    if (!ok) {
        if (err != NULL)
            *err = failure;
        return error_wrap(err, "afterSQL");
    }
    return true;
}
