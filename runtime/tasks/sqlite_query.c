/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/sql.h"
#include "core/plugin.h"
#include "runtime/tasks/sqlite.h"
#include "runtime/worker/files.h"
#include "runtime/worker/task.h"

struct props {
    struct sqlite_connection connection;
    const char *sql;
    const char *after_sql;
    struct sqlite_fetch fetch;
    const struct value *parameters;
    const struct value *input_files;
    const struct value *output_files;
};

static const struct prop props[] = {
    SQLITE_CONNECTION_ROWS(struct props, connection),
    { "sql", STR(struct props, sql), .flags = PROP_REQUIRED | PROP_EXPR | PROP_NOT_EMPTY,
      .doc = "One statement." },
    { "afterSQL", STR(struct props, after_sql), .flags = PROP_EXPR,
      .doc = "One statement to run when the rows were read, in the same transaction." },
    SQLITE_FETCH_ROWS(struct props, fetch),
    { "parameters", MAP(struct props, parameters), .item = PROP_ANY, .flags = PROP_EXPR,
      .doc = "Values of the `:name` parameters; a list expands to its members." },
    { "inputFiles", MAP(struct props, input_files), .item = PROP_STRING, .flags = PROP_EXPR,
      .doc = "Files to write into the working directory before." },
    { "outputFiles", STRINGS(struct props, output_files), .flags = PROP_EXPR,
      .doc = "Globs of files of the working directory to store afterwards." },
    { 0 },
};

static bool query(struct task_ctx *ctx,
                  const struct props *p,
                  struct sql *sql,
                  struct value_builder *out,
                  struct error *err)
{
    struct sqlite_text text;
    enum fetch_type type = sqlite_fetch_type(&p->fetch);
    const char *rest = NULL;
    size_t at = 0;
    int64_t count = -1;
    if (!sqlite_parameters(ctx, p->sql, p->parameters, &text, err))
        return false;
    struct error failure = { 0 };
    AUTO(sql_donep) struct sql_stmt *stmt = sql_prepare_next(sql, text.sql, &rest, &failure);
    if (stmt == NULL) {
        if (failure.code == ERR_NONE)
            return error_set(err, ERR_INVALID, "'sql' holds no statement");
        if (err != NULL)
            *err = failure;
        return false;
    }
    if (sqlite_has_more(rest))
        return error_set(err, ERR_INVALID,
                         "'sql' holds more than one statement: use "
                         "io.kestra.plugin.jdbc.sqlite.Queries");
    if (!sqlite_bind(stmt, text.values, &at, err) ||
        !sqlite_run(ctx, stmt, type, "rows.ion", out, &count, err))
        return false;
    sqlite_metric(ctx, type, count);
    sql_done(stmt);
    stmt = NULL; // its read must be over before the transaction ends
    return sqlite_run_after(ctx, sql, p->after_sql, p->parameters, err);
}

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    struct value_builder files = value_build(ctx->arena);

    if (!files_write_inputs(ctx, p->input_files, err))
        return false;
    AUTO(sql_closep) struct sql *sql = sqlite_open(ctx, &p->connection, err);
    if (sql == NULL)
        return false;
    bool is_atomic = p->after_sql != NULL;
    if ((is_atomic && !sql_begin(sql, true, err)) || !query(ctx, p, sql, out, err) ||
        (is_atomic && !sql_commit(sql, err))) {
        sql_rollback(sql);
        return false;
    }
    if (!sqlite_store_database(ctx, sql, &p->connection, out, err) ||
        !files_collect(ctx, p->output_files, NULL, &files, err))
        return false;
    if (value_count(p->output_files) > 0)
        value_put(out, "outputFiles", value_build_map(&files));
    return true;
}

static const struct plugin_output outputs[] = {
    { "row", "map", "First row, with `FETCH_ONE`; null when there is none." },
    { "rows", "list", "All rows, with `FETCH`." },
    { "uri", "uri", "File with one row per line, with `STORE`." },
    { "size", "integer", "Number of rows; absent for statements without rows." },
    { "databaseUri", "uri", "The database, with `outputDbFile`." },
    { "outputFiles", "map", "Relative path of each stored file, and its URI." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Read rows of a warehouse", "url: jdbc:sqlite:/data/warehouse.db\n"
                                  "sql: select id, amount from orders where day = :day\n"
                                  "parameters:\n"
                                  "  day: \"{{ trigger.date }}\"\n"
                                  "fetchType: FETCH\n" },
    { 0 },
};

const struct plugin task_sqlite_query = {
    .id = "io.kestra.plugin.jdbc.sqlite.Query",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Run one statement on a SQLite database.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
