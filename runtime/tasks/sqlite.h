/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the SQLite tasks have in common: the connection, named parameters, results
 * (connectors.md 0.7, 15).
 */
#ifndef RUNTIME_TASKS_SQLITE_H
#define RUNTIME_TASKS_SQLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/prop.h"
#include "core/value.h"

struct error;
struct sql;
struct sql_stmt;
struct task_ctx;

/* Memory that rows of one task may take as outputs. */
#define SQLITE_FETCH_MAX ((size_t)64 * 1024 * 1024)

struct sqlite_connection {
    const char *url;
    const char *username; /* accepted, of no use here */
    const char *password;
    const char *time_zone;
    const char *sqlite_file; /* URI */
    bool output_db_file;
};

#define SQLITE_CONNECTION_ROWS(s, m)                                                               \
    { "url", STR(s, m.url), .flags = PROP_EXPR, .fallback = "jdbc:sqlite:",                        \
      .doc = "`jdbc:sqlite:<file>`; a relative file is one of the working directory. Without a "   \
             "file the database is in memory." },                                                  \
        { "username", STR(s, m.username), .flags = PROP_EXPR, .doc = "Accepted and not used." },   \
        { "password", STR(s, m.password), .flags = PROP_EXPR | PROP_SECRET,                        \
          .doc = "Accepted and not used." },                                                       \
        { "timeZoneId", STR(s, m.time_zone), .flags = PROP_EXPR,                                   \
          .doc = "Accepted and not used." },                                                       \
        { "connectionPooling", .kind = PROP_ANY, .flags = PROP_INTERNAL },                         \
        { "connectionPoolSize", .kind = PROP_ANY, .flags = PROP_INTERNAL },                        \
        { "sqliteFile", STR(s, m.sqlite_file), .flags = PROP_EXPR,                                 \
          .doc = "URI of a file to use as the database, in place of that of the URL." },           \
    {                                                                                              \
        "outputDbFile", BOOL(s, m.output_db_file),                                                 \
            .flags = PROP_EXPR, .fallback = "false",                                               \
            .doc = "Store the database afterwards, as `databaseUri`."                              \
    }

enum fetch_type { FETCH_STORE, FETCH_ALL, FETCH_ONE, FETCH_NONE };
extern const char *const fetch_words[];

struct sqlite_fetch {
    int type; /* enum fetch_type */
    int64_t size;
    bool store; /* deprecated spellings */
    bool fetch;
    bool fetch_one;
};

#define SQLITE_FETCH_ROWS(s, m)                                                                    \
    { "fetchType",                                                                                 \
      ENUM(s, m.type),                                                                             \
      .words = fetch_words,                                                                        \
      .flags = PROP_EXPR,                                                                          \
      .fallback = "NONE",                                                                          \
      .doc = "What becomes of the rows: `FETCH` all as an output, `FETCH_ONE` the first, `STORE` " \
             "all in a file, `NONE` nothing." },                                                   \
        { "fetchSize", INT(s, m.size), .flags = PROP_EXPR, .fallback = "10000",                    \
          .doc = "Accepted; rows are read one by one." },                                          \
        { "store", BOOL(s, m.store), .flags = PROP_DEPRECATED, .doc = "Use `fetchType: STORE`." }, \
        { "fetch", BOOL(s, m.fetch), .flags = PROP_DEPRECATED, .doc = "Use `fetchType: FETCH`." }, \
    {                                                                                              \
        "fetchOne", BOOL(s, m.fetch_one), .flags = PROP_DEPRECATED,                                \
                                          .doc = "Use `fetchType: FETCH_ONE`."                     \
    }

/* The type that the new and the old spellings amount to. */
enum fetch_type sqlite_fetch_type(const struct sqlite_fetch *fetch);

/* Opens the database; the task's deadline and cancellation end what runs on it. */
struct sql *sqlite_open(struct task_ctx *ctx, const struct sqlite_connection *c, struct error *err);

/* Stores the database when that is asked for. */
bool sqlite_store_database(struct task_ctx *ctx,
                           struct sql *sql,
                           const struct sqlite_connection *c,
                           struct value_builder *out,
                           struct error *err);

/* A text whose named parameters became `?`, and their values in order. */
struct sqlite_text {
    const char *sql;
    const struct value *values; /* list */
};

/*
 * Names inside literals, quoted identifiers and comments are not parameters. A list expands to its
 * members, in parentheses unless it stands in them.
 *
 * Errors   ERR_INVALID  a name without a value
 */
bool sqlite_parameters(struct task_ctx *ctx,
                       const char *sql,
                       const struct value *parameters,
                       struct sqlite_text *out,
                       struct error *err);

/* Binds values from *at on, as many as the statement has parameters. */
bool sqlite_bind(struct sql_stmt *stmt, const struct value *values, size_t *at, struct error *err);
void sqlite_bind_value(struct sql_stmt *stmt, int parameter, const struct value *value);

/*
 * Runs a statement to its end and adds `row`, `rows` or `uri`, and `size`.
 *
 * name     of the stored file
 * *count   receives the rows it gave; -1 when it is none that gives rows
 */
bool sqlite_run(struct task_ctx *ctx,
                struct sql_stmt *stmt,
                enum fetch_type type,
                const char *name,
                struct value_builder *out,
                int64_t *count,
                struct error *err);

/* The counter fetch.size. */
void sqlite_metric(struct task_ctx *ctx, enum fetch_type type, int64_t rows);

/* Does a text hold more than white space, comments and empty statements? */
bool sqlite_has_more(const char *rest);

/* One statement, to be run for its effect; more than one is an error. NULL text does nothing. */
bool sqlite_run_after(struct task_ctx *ctx,
                      struct sql *sql,
                      const char *text,
                      const struct value *parameters,
                      struct error *err);

#endif
