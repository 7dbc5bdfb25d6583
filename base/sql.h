/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQL databases, thin and typed: one connection, cached statements, transactions, mapped errors.
 *
 * A connection belongs to one thread at a time; only sql_interrupt() may come from another. Texts
 * of errors name what failed and what the database said, never bound values.
 *
 * Errors of all functions:
 *   ERR_CONFLICT     a constraint (unique, foreign key, check, not null) refused the row
 *   ERR_UNAVAILABLE  locked by another process or connection for longer than busy_timeout
 *   ERR_LIMIT        disk or database full: the text says what to do; value too big
 *   ERR_INVALID      wrong SQL, wrong number of parameters, not a database
 *   ERR_DENIED       read-only, not permitted by the file system or by the rules for user queries
 *   ERR_CANCELLED    sql_interrupt() or the cancel callback
 *   ERR_TIMEOUT      the deadline of sql_set_deadline()
 *   ERR_NOT_FOUND    database file does not exist (unless it may be created)
 *   ERR_INTERNAL     corruption, I/O errors
 */
#ifndef BASE_SQL_H
#define BASE_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct arena;
struct error;
struct sql;
struct sql_stmt;

enum sql_access {
    SQL_READ,   /* read only */
    SQL_WRITE,  /* read and write an existing database */
    SQL_CREATE, /* make it when absent */
};

/* Rules for queries of users, who must not reach beyond their database file. */
enum sql_trust {
    SQL_TRUSTED, /* our own SQL */
    SQL_USER,    /* no ATTACH, no extension loading, no pragma beyond harmless ones; limits */
};

/* Zero-initialised fields take the default in brackets. */
struct sql_options {
    const char *path; /* file, or ":memory:" */
    enum sql_access access;
    enum sql_trust trust;
    bool no_wal;             /* [false] keep the journal mode of the file */
    bool is_volatile;        /* [false] synchronous=OFF; else FULL */
    bool no_foreign_keys;    /* [false] */
    usec_t busy_timeout;     /* [5 s] */
    int64_t cache_bytes;     /* [2 MiB] */
    int64_t mmap_bytes;      /* [0: off] */
    int64_t page_bytes;      /* [4096] of a new database */
    bool no_auto_checkpoint; /* [false] the caller checkpoints, from a connection of its own */
    size_t statements_max;   /* [128] cached statements */
};

struct sql *sql_open(const struct sql_options *options, struct error *err);

/* Statements still in use are finished. NULL is fine. */
void sql_close(struct sql *sql);
void sql_closep(struct sql **sql);

/* Runs one or several statements without parameters or results. */
bool sql_exec(struct sql *sql, const char *text, struct error *err);

/*
 * Statement for a text, from the cache (compared by content), with all parameters NULL. Return it
 * with sql_done(); the same text may be in use more than once.
 */
struct sql_stmt *sql_prepare(struct sql *sql, const char *text, struct error *err);

/*
 * As sql_prepare() for the first statement of a user's text, not cached; *rest is set to what
 * follows it ("" at the end). NULL with err->code ERR_NONE when the text holds no statement.
 */
struct sql_stmt *sql_prepare_next(struct sql *sql,
                                  const char *text,
                                  const char **rest,
                                  struct error *err);

/* Gives the statement back, resetting it; bound values are dropped. NULL is fine. */
void sql_done(struct sql_stmt *stmt);
void sql_donep(struct sql_stmt **stmt);

/*
 * Parameters count from 1. Texts and blobs are borrowed until sql_done() or the next bind of the
 * same parameter. NULL bytes bind NULL. A number out of range of the statement is our mistake
 * (CHECK) for trusted connections and is reported by sql_step() otherwise.
 */
void sql_bind_null(struct sql_stmt *stmt, int parameter);
void sql_bind_int(struct sql_stmt *stmt, int parameter, int64_t number);
void sql_bind_double(struct sql_stmt *stmt, int parameter, double number);
void sql_bind_text(struct sql_stmt *stmt, int parameter, const char *text);
void sql_bind_text_n(struct sql_stmt *stmt, int parameter, const char *text, size_t length);
void sql_bind_blob(struct sql_stmt *stmt, int parameter, const void *bytes, size_t length);

/* Number of parameters; index of a named one (":name") or 0. */
int sql_parameters(struct sql_stmt *stmt);
int sql_parameter(struct sql_stmt *stmt, const char *name);

/* Next row: *is_row says whether there is one. After the last row the statement may be run again.
 */
bool sql_step(struct sql_stmt *stmt, bool *is_row, struct error *err);

/* Runs a statement to its end, ignoring rows, and resets it so that it can be bound and run again.
 */
bool sql_run(struct sql_stmt *stmt, struct error *err);

/* Starts over; bound values stay. */
void sql_reset(struct sql_stmt *stmt);

enum sql_kind {
    SQL_NULL,
    SQL_INT,
    SQL_DOUBLE,
    SQL_TEXT,
    SQL_BLOB,
};

/* Columns count from 0. Pointers are borrowed until the next step, reset or done. */
int sql_columns(struct sql_stmt *stmt);
const char *sql_column_name(struct sql_stmt *stmt, int column);
/* Declared type ("DECIMAL(10,2)"), NULL for expressions. */
const char *sql_column_declared(struct sql_stmt *stmt, int column);
enum sql_kind sql_column_kind(struct sql_stmt *stmt, int column);
int64_t sql_column_int(struct sql_stmt *stmt, int column);
double sql_column_double(struct sql_stmt *stmt, int column);
/* NULL for SQL NULL; length may be NULL. */
const char *sql_column_text(struct sql_stmt *stmt, int column, size_t *length);
const void *sql_column_blob(struct sql_stmt *stmt, int column, size_t *length);
/* Copies owned by the arena; NULL for SQL NULL. */
char *sql_column_dup(struct sql_stmt *stmt, int column, struct arena *arena);
void *sql_column_dup_blob(struct sql_stmt *stmt, int column, struct arena *arena, size_t *length);

/* Whether the statement cannot change the database. */
bool sql_is_readonly(struct sql_stmt *stmt);

/* Rows changed by the last statement; key of the last inserted row. */
int64_t sql_changes(struct sql *sql);
int64_t sql_last_key(struct sql *sql);

/* A read transaction, or one that may write (takes the write lock at once). */
bool sql_begin(struct sql *sql, bool is_write, struct error *err);
bool sql_commit(struct sql *sql, struct error *err);
/* Also fine when the database has rolled back by itself, or when there is no transaction. */
void sql_rollback(struct sql *sql);
bool sql_in_transaction(struct sql *sql);

/* Single values, for counts and settings: first column of the first row; `fallback` when no row. */
bool sql_get_int(
    struct sql *sql, const char *text, int64_t fallback, int64_t *out, struct error *err);

/* Ends what runs on this connection, from any thread. It fails with ERR_CANCELLED. */
void sql_interrupt(struct sql *sql);

/* Statements beyond this instant of the monotonic clock end with ERR_TIMEOUT; USEC_NEVER: none. */
void sql_set_deadline(struct sql *sql, usec_t deadline);

/* Asked now and then while a statement runs; true ends it with ERR_CANCELLED. NULL: none. */
typedef bool sql_cancel_fn(void *context);
void sql_set_cancel(struct sql *sql, sql_cancel_fn *cancel, void *context);

enum sql_checkpoint {
    SQL_CHECKPOINT_PASSIVE,  /* as much as is possible without waiting */
    SQL_CHECKPOINT_TRUNCATE, /* everything, and the WAL file becomes empty */
};

/*
 * Moves pages of the WAL into the database; best from a second connection. ERR_UNAVAILABLE when a
 * TRUNCATE had to give up because of readers or a writer.
 *
 * wal_pages   may be NULL: pages in the WAL afterwards
 * done_pages  may be NULL: of these, pages already moved
 */
bool sql_checkpoint(struct sql *sql,
                    enum sql_checkpoint mode,
                    int64_t *wal_pages,
                    int64_t *done_pages,
                    struct error *err);

/* Consistency of the whole file; ERR_INTERNAL with the first finding. */
bool sql_check_integrity(struct sql *sql, struct error *err);

/* Writes a consistent copy of the database to a new file, while it is in use. */
bool sql_backup(struct sql *sql, const char *path, struct error *err);

/* "SQLite 3.40.1". */
const char *sql_version(void);

#endif
