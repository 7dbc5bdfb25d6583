/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/sql.h"
#include "core/plugin.h"
#include "runtime/tasks/sqlite.h"
#include "runtime/worker/files.h"
#include "runtime/worker/task.h"

#define STATEMENTS_MAX 10000

struct props {
    struct sqlite_connection connection;
    const char *sql;
    const char *after_sql;
    bool transaction;
    struct sqlite_fetch fetch;
    const struct value *parameters;
    const struct value *input_files;
    const struct value *output_files;
};

static const struct prop props[] = {
    SQLITE_CONNECTION_ROWS(struct props, connection),
    { "sql", STR(struct props, sql), .flags = PROP_REQUIRED | PROP_EXPR | PROP_NOT_EMPTY,
      .doc = "Statements, separated by `;`." },
    { "afterSQL", STR(struct props, after_sql), .flags = PROP_EXPR,
      .doc = "One statement to run at the end, in the same transaction." },
    { "transaction", BOOL(struct props, transaction), .flags = PROP_EXPR, .fallback = "true",
      .doc = "All or nothing; else each statement commits by itself." },
    SQLITE_FETCH_ROWS(struct props, fetch),
    { "parameters", MAP(struct props, parameters), .item = PROP_ANY, .flags = PROP_EXPR,
      .doc = "Values of the `:name` parameters; a list expands to its members." },
    { "inputFiles", MAP(struct props, input_files), .item = PROP_STRING, .flags = PROP_EXPR,
      .doc = "Files to write into the working directory before." },
    { "outputFiles", STRINGS(struct props, output_files), .flags = PROP_EXPR,
      .doc = "Globs of files of the working directory to store afterwards." },
    { 0 },
};

/* First line of a statement, for messages. */
static const char *first_line(struct arena *arena, const char *text)
{
    text += strspn(text, " \t\r\n;");
    return arena_strndup(arena, text, strcspn(text, "\r\n"));
}

/* One statement; *is_end when the text held none any more. */
static bool run_next(struct task_ctx *ctx,
                     const struct props *p,
                     struct sql *sql,
                     const struct sqlite_text *text,
                     const char **rest,
                     size_t *value_at,
                     int number,
                     struct value_builder *results,
                     bool *is_end,
                     int64_t *rows,
                     struct error *err)
{
    struct error failure = { 0 };
    const char *from = *rest;
    AUTO(sql_donep) struct sql_stmt *stmt = sql_prepare_next(sql, from, rest, &failure);
    *is_end = stmt == NULL && failure.code == ERR_NONE;
    if (*is_end)
        return true;
    struct value_builder result = value_build(ctx->arena);
    int64_t count = -1;
    const char *name = arena_printf(ctx->arena, "rows-%d.ion", number);
    if (stmt == NULL || !sqlite_bind(stmt, text->values, value_at, &failure) ||
        !sqlite_run(ctx, stmt, sqlite_fetch_type(&p->fetch), name, &result, &count, &failure)) {
        if (err != NULL)
            *err = failure;
        return error_wrap(err, "statement %d, '%s'", number, first_line(ctx->arena, from));
    }
    if (count >= 0) {
        value_add(results, value_build_map(&result));
        *rows += count;
    }
    return true;
}

static bool queries(struct task_ctx *ctx,
                    const struct props *p,
                    struct sql *sql,
                    struct value_builder *out,
                    struct error *err)
{
    struct sqlite_text text;
    if (!sqlite_parameters(ctx, p->sql, p->parameters, &text, err))
        return false;
    struct value_builder results = value_build(ctx->arena);
    const char *rest = text.sql;
    size_t value_at = 0;
    int64_t rows = 0;
    bool is_end = false;
    for (int number = 1; !is_end; number++) {
        if (number > STATEMENTS_MAX)
            return error_set(err, ERR_LIMIT, "more than %d statements", STATEMENTS_MAX);
        if (!run_next(ctx, p, sql, &text, &rest, &value_at, number, &results, &is_end, &rows,
                      err) ||
            !task_check(ctx, err))
            return false;
    }
    sqlite_metric(ctx, sqlite_fetch_type(&p->fetch), rows);
    value_put(out, "outputs", value_build_list(&results));
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
    if ((p->transaction && !sql_begin(sql, true, err)) || !queries(ctx, p, sql, out, err) ||
        (p->transaction && !sql_commit(sql, err))) {
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
    { "outputs", "list", "`row`, `rows` or `uri`, and `size`, of each statement that gives rows." },
    { "databaseUri", "uri", "The database, with `outputDbFile`." },
    { "outputFiles", "map", "Relative path of each stored file, and its URI." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Rebuild a table",
      "url: jdbc:sqlite:/data/warehouse.db\n"
      "sql: |\n"
      "  delete from daily where day = :day;\n"
      "  insert into daily select day, sum(amount) from orders where day = :day;\n"
      "  select count(*) as days from daily;\n"
      "parameters:\n"
      "  day: \"{{ inputs.day }}\"\n"
      "fetchType: FETCH_ONE\n" },
    { 0 },
};

const struct plugin task_sqlite_queries = {
    .id = "io.kestra.plugin.jdbc.sqlite.Queries",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Run several statements on a SQLite database.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
