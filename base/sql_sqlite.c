/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/list.h"
#include "base/map.h"
#include "base/sql.h"
#include "base/str.h"

#define BUSY_TIMEOUT   (5 * USEC_SEC)
#define CACHE_BYTES    ((int64_t)2 * 1024 * 1024)
#define PAGE_BYTES     4096
#define STATEMENTS_MAX 128

/* Virtual machine instructions between two looks at the deadline: some tens of microseconds. */
#define PROGRESS_STEPS 2000

/* Bounds of user queries: far above sensible SQL, far below what hurts. */
#define USER_VALUE_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define USER_SQL_BYTES_MAX   ((size_t)8 * 1024 * 1024)

struct sql_stmt {
    struct sql *sql;
    sqlite3_stmt *handle;
    char *text;       /* key in sql->cached, NULL: not cached */
    bool is_used;     /* between sql_prepare() and sql_done() */
    struct list link; /* in sql->idle while cached and not used, else in sql->used */
    int unbound;      /* parameter that an untrusted caller bound and that does not exist, or 0 */
};

struct sql {
    sqlite3 *handle;
    char *path;
    bool is_trusted;
    struct map cached; /* text -> struct sql_stmt, whether in use or not */
    struct list idle;  /* least recently used first */
    struct list used;
    size_t statements_max;
    usec_t deadline;
    sql_cancel_fn *cancel;
    void *cancel_context;
};

static void initialise(void)
{
    // One connection per thread at a time, so no mutex inside; statistics cost a lock per malloc.
    // Refused when another library has started SQLite before, which then is only slower.
    (void)sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    CHECK(sqlite3_initialize() == SQLITE_OK);
}

static enum error_code code_of(const struct sql *sql, int result)
{
    switch (result & 0xff) {
    case SQLITE_CONSTRAINT:
        return ERR_CONFLICT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_UNAVAILABLE;
    case SQLITE_FULL:
    case SQLITE_TOOBIG:
    case SQLITE_NOMEM:
        return ERR_LIMIT;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return ERR_DENIED;
    case SQLITE_INTERRUPT:
        return sql->deadline <= clock_monotonic() ? ERR_TIMEOUT : ERR_CANCELLED;
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
    case SQLITE_NOTADB:
        return ERR_INVALID;
    default:
        return ERR_INTERNAL;
    }
}

/* Fills err from the last failed call on the connection; returns false. */
static bool failed(struct sql *sql, int result, struct error *err)
{
    int number = sqlite3_system_errno(sql->handle);
    bool is_io = (result & 0xff) == SQLITE_IOERR || (result & 0xff) == SQLITE_CANTOPEN;
    if (is_io && (number == ENOSPC || number == EDQUOT || number == EMFILE || number == EACCES ||
                  number == ENOENT || number == EROFS))
        return fs_error(err, number, "database", sql->path);

    enum error_code code = code_of(sql, result);
    switch (code) {
    case ERR_UNAVAILABLE:
        return error_set(err, code, "database '%s' is locked by another process", sql->path);
    case ERR_TIMEOUT:
        return error_set(err, code, "the query took longer than allowed");
    case ERR_CANCELLED:
        return error_set(err, code, "the query was cancelled");
    case ERR_LIMIT:
        if ((result & 0xff) == SQLITE_FULL)
            return error_set(err, code,
                             "database '%s' is full; free some space there, or move it to a "
                             "larger disk",
                             sql->path);
        break;
    case ERR_INTERNAL:
        if ((result & 0xff) == SQLITE_CORRUPT)
            return error_set(err, code, "database '%s' is damaged: %s; restore it from a backup",
                             sql->path, sqlite3_errmsg(sql->handle));
        break;
    case ERR_INVALID:
        if ((result & 0xff) == SQLITE_NOTADB)
            return error_set(err, code, "'%s' is not an SQLite database", sql->path);
        return error_set(err, code, "%s", sqlite3_errmsg(sql->handle));
    case ERR_CONFLICT:
        return error_set(err, code, "%s", sqlite3_errmsg(sql->handle));
    case ERR_NONE:
    case ERR_DENIED:
    case ERR_NOT_FOUND:
        break;
    }
    return error_set(err, code, "database '%s': %s", sql->path, sqlite3_errmsg(sql->handle));
}

static int progress(void *context)
{
    const struct sql *sql = context;
    if (sql->deadline != USEC_NEVER && clock_monotonic() >= sql->deadline)
        return 1;
    return sql->cancel != NULL && sql->cancel(sql->cancel_context) ? 1 : 0;
}

static void watch_progress(struct sql *sql)
{
    bool is_needed = sql->deadline != USEC_NEVER || sql->cancel != NULL;
    sqlite3_progress_handler(sql->handle, PROGRESS_STEPS, is_needed ? progress : NULL, sql);
}

/* What users' queries may not do; see enum sql_trust. */
static int authorize(void *context,
                     int action,
                     const char *first,
                     const char *second,
                     const char *database,
                     const char *trigger)
{
    static const char *const pragmas[] = {
        "table_info",     "table_xinfo",   "table_list",         "index_list",
        "index_info",     "index_xinfo",   "foreign_key_list",   "foreign_keys",
        "user_version",   "database_list", "foreign_key_check",  "integrity_check",
        "quick_check",    "encoding",      "page_count",         "freelist_count",
        "application_id", "optimize",      "defer_foreign_keys",
    };
    (void)context;
    (void)database;
    (void)trigger;
    switch (action) {
    case SQLITE_ATTACH:
        // VACUUM attaches a temporary database without a name.
        return first != NULL && first[0] == '\0' ? SQLITE_OK : SQLITE_DENY;
    case SQLITE_FUNCTION:
        return second != NULL && strcmp(second, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_PRAGMA:
        for (size_t i = 0; i < COUNT_OF(pragmas); i++) {
            if (str_eq_nocase(first, pragmas[i]))
                return SQLITE_OK;
        }
        return SQLITE_DENY;
    default:
        return SQLITE_OK;
    }
}

static void restrict_user(sqlite3 *handle)
{
    static const struct {
        int limit;
        int value;
    } limits[] = {
        { SQLITE_LIMIT_LENGTH, USER_VALUE_BYTES_MAX },
        { SQLITE_LIMIT_SQL_LENGTH, USER_SQL_BYTES_MAX },
        { SQLITE_LIMIT_ATTACHED, 1 }, // the temporary one of VACUUM
        { SQLITE_LIMIT_WORKER_THREADS, 0 },
    };
    for (size_t i = 0; i < COUNT_OF(limits); i++)
        (void)sqlite3_limit(handle, limits[i].limit, limits[i].value);
    (void)sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, (int *)NULL);
    (void)sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    (void)sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
    (void)sqlite3_set_authorizer(handle, authorize, NULL);
}

static bool set_pragma(struct sql *sql, const char *name, int64_t value, struct error *err)
{
    char text[128];
    (void)snprintf(text, sizeof(text), "PRAGMA %s=%lld", name, (long long)value);
    return sql_exec(sql, text, err);
}

static bool use_wal(struct sql *sql, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    int result = sqlite3_prepare_v2(sql->handle, "PRAGMA journal_mode=WAL", -1, &stmt, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(stmt);
    bool is_wal =
        result == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(stmt, 0), "delete") != 0;
    (void)sqlite3_finalize(stmt);
    if (result != SQLITE_ROW)
        return failed(sql, result, err);
    if (!is_wal)
        return error_set(err, ERR_INVALID,
                         "database '%s' is on a file system without shared memory; move it to a "
                         "local disk",
                         sql->path);
    return true;
}

static bool configure(struct sql *sql, const struct sql_options *options, struct error *err)
{
    usec_t busy = options->busy_timeout > 0 ? options->busy_timeout : BUSY_TIMEOUT;
    (void)sqlite3_busy_timeout(sql->handle, (int)(busy / USEC_MSEC));
    int64_t page = options->page_bytes > 0 ? options->page_bytes : PAGE_BYTES;
    int64_t cache = options->cache_bytes > 0 ? options->cache_bytes : CACHE_BYTES;
    bool may_write = options->access != SQL_READ;
    if (!set_pragma(sql, "page_size", page, err) ||
        (may_write && !options->no_wal && !use_wal(sql, err)) ||
        !set_pragma(sql, "synchronous", options->is_volatile ? 0 : 2, err) ||
        !set_pragma(sql, "foreign_keys", options->no_foreign_keys ? 0 : 1, err) ||
        !set_pragma(sql, "cache_size", -(cache / 1024), err) ||
        !set_pragma(sql, "mmap_size", options->mmap_bytes, err) ||
        (options->no_auto_checkpoint && !set_pragma(sql, "wal_autocheckpoint", 0, err)))
        return false;
    if (options->trust == SQL_USER)
        restrict_user(sql->handle);
    return true;
}

/* Readable by its owner alone; SQLite gives the files beside it the mode of the database. */
static bool make_file(const char *path, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fs_error(err, errno, "open database", path);
    (void)close(fd);
    return true;
}

struct sql *sql_open(const struct sql_options *options, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, initialise);

    bool is_file = strcmp(options->path, ":memory:") != 0;
    if (is_file && options->access == SQL_CREATE && !make_file(options->path, err))
        return NULL;
    if (is_file && access(options->path, F_OK) != 0) {
        fs_error(err, errno, "open database", options->path);
        return NULL;
    }

    struct sql *sql = check_calloc(1, sizeof(*sql));
    sql->path = check_strdup(options->path);
    sql->is_trusted = options->trust == SQL_TRUSTED;
    sql->statements_max = options->statements_max > 0 ? options->statements_max : STATEMENTS_MAX;
    sql->deadline = USEC_NEVER;
    list_init(&sql->idle);
    list_init(&sql->used);
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE |
                (options->access == SQL_READ ? SQLITE_OPEN_READONLY
                                             : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    int result = sqlite3_open_v2(options->path, &sql->handle, flags, NULL);
    CHECK(sql->handle != NULL);
    if (result != SQLITE_OK) {
        failed(sql, result, err);
        sql_close(sql);
        return NULL;
    }
    if (!configure(sql, options, err)) {
        sql_close(sql);
        return NULL;
    }
    return sql;
}

static void stmt_free(struct sql_stmt *stmt)
{
    list_remove(&stmt->link);
    (void)sqlite3_finalize(stmt->handle); // repeats the error of the last step
    free(stmt->text);
    free(stmt);
}

void sql_close(struct sql *sql)
{
    if (sql == NULL)
        return;
    struct list *heads[] = { &sql->idle, &sql->used };
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        for (struct list *link; (link = list_pop(heads[i])) != NULL;)
            stmt_free(LIST_OWNER(link, struct sql_stmt, link));
    }
    map_free(&sql->cached);
    CHECK(sqlite3_close(sql->handle) == SQLITE_OK);
    free(sql->path);
    free(sql);
}

void sql_closep(struct sql **sql)
{
    sql_close(*sql);
}

bool sql_exec(struct sql *sql, const char *text, struct error *err)
{
    int result = sqlite3_exec(sql->handle, text, NULL, NULL, NULL);
    return result == SQLITE_OK || failed(sql, result, err);
}

static struct sql_stmt *prepare(
    struct sql *sql, const char *text, unsigned flags, const char **rest, struct error *err)
{
    sqlite3_stmt *handle = NULL;
    int result = sqlite3_prepare_v3(sql->handle, text, -1, flags, &handle, rest);
    if (result != SQLITE_OK) {
        failed(sql, result, err);
        return NULL;
    }
    if (handle == NULL)
        return NULL;
    struct sql_stmt *stmt = check_calloc(1, sizeof(*stmt));
    stmt->sql = sql;
    stmt->handle = handle;
    stmt->is_used = true;
    list_init(&stmt->link);
    list_push(&sql->used, &stmt->link);
    return stmt;
}

/* Room for one more cached statement; false when all of them are in use. */
static bool make_room(struct sql *sql)
{
    if (sql->cached.count < sql->statements_max)
        return true;
    if (list_is_empty(&sql->idle))
        return false;
    struct sql_stmt *oldest = LIST_OWNER(sql->idle.next, struct sql_stmt, link);
    (void)map_remove(&sql->cached, oldest->text);
    stmt_free(oldest);
    return true;
}

struct sql_stmt *sql_prepare(struct sql *sql, const char *text, struct error *err)
{
    struct sql_stmt *known = map_find(&sql->cached, text);
    if (known != NULL && !known->is_used) {
        list_remove(&known->link);
        list_push(&sql->used, &known->link);
        known->is_used = true;
        return known;
    }

    struct sql_stmt *stmt = prepare(sql, text, SQLITE_PREPARE_PERSISTENT, NULL, err);
    if (stmt != NULL && known == NULL && make_room(sql)) {
        stmt->text = check_strdup(text);
        (void)map_put(&sql->cached, text, stmt);
    }
    return stmt;
}

struct sql_stmt *sql_prepare_next(struct sql *sql,
                                  const char *text,
                                  const char **rest,
                                  struct error *err)
{
    // SQLite skips comments and blanks before a statement; what has only those gives no statement.
    return prepare(sql, text, 0, rest, err);
}

void sql_done(struct sql_stmt *stmt)
{
    if (stmt == NULL)
        return;
    struct sql *sql = stmt->sql;
    if (stmt->text == NULL) {
        stmt_free(stmt);
        return;
    }
    (void)sqlite3_reset(stmt->handle); // repeats the error of the last step
    (void)sqlite3_clear_bindings(stmt->handle);
    stmt->is_used = false;
    stmt->unbound = 0;
    list_remove(&stmt->link);
    list_push(&sql->idle, &stmt->link);
}

void sql_donep(struct sql_stmt **stmt)
{
    sql_done(*stmt);
}

static void bound(struct sql_stmt *stmt, int parameter, int result)
{
    if (result == SQLITE_OK)
        return;
    CHECK(!stmt->sql->is_trusted);
    stmt->unbound = parameter;
}

void sql_bind_null(struct sql_stmt *stmt, int parameter)
{
    bound(stmt, parameter, sqlite3_bind_null(stmt->handle, parameter));
}

void sql_bind_int(struct sql_stmt *stmt, int parameter, int64_t number)
{
    bound(stmt, parameter, sqlite3_bind_int64(stmt->handle, parameter, number));
}

void sql_bind_double(struct sql_stmt *stmt, int parameter, double number)
{
    bound(stmt, parameter, sqlite3_bind_double(stmt->handle, parameter, number));
}

void sql_bind_text(struct sql_stmt *stmt, int parameter, const char *text)
{
    sql_bind_text_n(stmt, parameter, text, text == NULL ? 0 : strlen(text));
}

void sql_bind_text_n(struct sql_stmt *stmt, int parameter, const char *text, size_t length)
{
    bound(stmt, parameter,
          sqlite3_bind_text64(stmt->handle, parameter, text, length, SQLITE_STATIC, SQLITE_UTF8));
}

void sql_bind_blob(struct sql_stmt *stmt, int parameter, const void *bytes, size_t length)
{
    bound(stmt, parameter,
          sqlite3_bind_blob64(stmt->handle, parameter, bytes, length, SQLITE_STATIC));
}

int sql_parameters(struct sql_stmt *stmt)
{
    return sqlite3_bind_parameter_count(stmt->handle);
}

int sql_parameter(struct sql_stmt *stmt, const char *name)
{
    return sqlite3_bind_parameter_index(stmt->handle, name);
}

bool sql_step(struct sql_stmt *stmt, bool *is_row, struct error *err)
{
    if (stmt->unbound != 0)
        return error_set(err, ERR_INVALID, "the statement has no parameter %d", stmt->unbound);
    int result = sqlite3_step(stmt->handle);
    if (result != SQLITE_ROW && result != SQLITE_DONE) {
        failed(stmt->sql, result, err);
        (void)sqlite3_reset(stmt->handle); // lets go of the locks; repeats the error
        return false;
    }
    *is_row = result == SQLITE_ROW;
    return true;
}

bool sql_run(struct sql_stmt *stmt, struct error *err)
{
    bool is_row = true;
    while (is_row) {
        if (!sql_step(stmt, &is_row, err))
            return false;
    }
    // In WAL mode a commit by itself (no transaction open) happens in the last step.
    sql_reset(stmt);
    return true;
}

void sql_reset(struct sql_stmt *stmt)
{
    (void)sqlite3_reset(stmt->handle); // repeats the error of the last step
}

int sql_columns(struct sql_stmt *stmt)
{
    return sqlite3_column_count(stmt->handle);
}

const char *sql_column_name(struct sql_stmt *stmt, int column)
{
    return sqlite3_column_name(stmt->handle, column);
}

const char *sql_column_declared(struct sql_stmt *stmt, int column)
{
    return sqlite3_column_decltype(stmt->handle, column);
}

enum sql_kind sql_column_kind(struct sql_stmt *stmt, int column)
{
    switch (sqlite3_column_type(stmt->handle, column)) {
    case SQLITE_INTEGER:
        return SQL_INT;
    case SQLITE_FLOAT:
        return SQL_DOUBLE;
    case SQLITE_TEXT:
        return SQL_TEXT;
    case SQLITE_BLOB:
        return SQL_BLOB;
    default:
        return SQL_NULL;
    }
}

int64_t sql_column_int(struct sql_stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt->handle, column);
}

double sql_column_double(struct sql_stmt *stmt, int column)
{
    return sqlite3_column_double(stmt->handle, column);
}

const char *sql_column_text(struct sql_stmt *stmt, int column, size_t *length)
{
    const char *text = (const char *)sqlite3_column_text(stmt->handle, column);
    if (length != NULL)
        *length = text == NULL ? 0 : (size_t)sqlite3_column_bytes(stmt->handle, column);
    return text;
}

const void *sql_column_blob(struct sql_stmt *stmt, int column, size_t *length)
{
    const void *bytes = sqlite3_column_blob(stmt->handle, column);
    size_t count = (size_t)sqlite3_column_bytes(stmt->handle, column);
    if (length != NULL)
        *length = count;
    // SQLite says NULL for an empty blob too.
    if (bytes == NULL && sqlite3_column_type(stmt->handle, column) != SQLITE_NULL)
        return "";
    return bytes;
}

char *sql_column_dup(struct sql_stmt *stmt, int column, struct arena *arena)
{
    size_t length = 0;
    const char *text = sql_column_text(stmt, column, &length);
    return text == NULL ? NULL : arena_strndup(arena, text, length);
}

void *sql_column_dup_blob(struct sql_stmt *stmt, int column, struct arena *arena, size_t *length)
{
    size_t count = 0;
    const void *bytes = sql_column_blob(stmt, column, &count);
    if (length != NULL)
        *length = count;
    return bytes == NULL ? NULL : arena_memdup(arena, bytes, count);
}

bool sql_is_readonly(struct sql_stmt *stmt)
{
    return sqlite3_stmt_readonly(stmt->handle) != 0;
}

int64_t sql_changes(struct sql *sql)
{
    return sqlite3_changes64(sql->handle);
}

int64_t sql_last_key(struct sql *sql)
{
    return sqlite3_last_insert_rowid(sql->handle);
}

/* A statement without parameters, from the cache. */
static bool run_text(struct sql *sql, const char *text, struct error *err)
{
    struct sql_stmt *stmt = sql_prepare(sql, text, err);
    if (stmt == NULL)
        return false;
    bool is_fine = sql_run(stmt, err);
    sql_done(stmt);
    return is_fine;
}

bool sql_begin(struct sql *sql, bool is_write, struct error *err)
{
    return run_text(sql, is_write ? "BEGIN IMMEDIATE" : "BEGIN", err);
}

bool sql_commit(struct sql *sql, struct error *err)
{
    return run_text(sql, "COMMIT", err);
}

void sql_rollback(struct sql *sql)
{
    // Whatever it says, afterwards there is no transaction: SQLite rolls back by itself after
    // errors of the disk, and a rollback in memory cannot fail.
    if (sql_in_transaction(sql))
        (void)run_text(sql, "ROLLBACK", NULL);
}

bool sql_in_transaction(struct sql *sql)
{
    return sqlite3_get_autocommit(sql->handle) == 0;
}

bool sql_get_int(
    struct sql *sql, const char *text, int64_t fallback, int64_t *out, struct error *err)
{
    struct sql_stmt *stmt = sql_prepare(sql, text, err);
    if (stmt == NULL)
        return false;
    bool is_row = false;
    bool is_fine = sql_step(stmt, &is_row, err);
    if (is_fine)
        *out = is_row ? sql_column_int(stmt, 0) : fallback;
    sql_done(stmt);
    return is_fine;
}

void sql_interrupt(struct sql *sql)
{
    sqlite3_interrupt(sql->handle);
}

void sql_set_deadline(struct sql *sql, usec_t deadline)
{
    sql->deadline = deadline;
    watch_progress(sql);
}

void sql_set_cancel(struct sql *sql, sql_cancel_fn *cancel, void *context)
{
    sql->cancel = cancel;
    sql->cancel_context = context;
    watch_progress(sql);
}

bool sql_checkpoint(struct sql *sql,
                    enum sql_checkpoint mode,
                    int64_t *wal_pages,
                    int64_t *done_pages,
                    struct error *err)
{
    int pages = 0;
    int done = 0;
    int how =
        mode == SQL_CHECKPOINT_PASSIVE ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_TRUNCATE;
    int result = sqlite3_wal_checkpoint_v2(sql->handle, NULL, how, &pages, &done);
    // A passive one that finds another checkpoint under way has nothing to do.
    bool is_busy = (result & 0xff) == SQLITE_BUSY && mode == SQL_CHECKPOINT_PASSIVE;
    if (result != SQLITE_OK && !is_busy)
        return failed(sql, result, err);
    if (wal_pages != NULL)
        *wal_pages = pages < 0 ? 0 : pages; // -1: the database is not in WAL mode
    if (done_pages != NULL)
        *done_pages = done < 0 ? 0 : done;
    return true;
}

bool sql_check_integrity(struct sql *sql, struct error *err)
{
    static const char *const checks[] = { "PRAGMA integrity_check(1)", "PRAGMA foreign_key_check" };
    for (size_t i = 0; i < COUNT_OF(checks); i++) {
        struct sql_stmt *stmt = sql_prepare(sql, checks[i], err);
        if (stmt == NULL)
            return false;
        bool is_row = false;
        bool is_fine = sql_step(stmt, &is_row, err);
        const char *finding = is_fine && is_row ? sql_column_text(stmt, 0, NULL) : NULL;
        if (finding != NULL && strcmp(finding, "ok") != 0) {
            is_fine = error_set(err, ERR_INTERNAL,
                                i == 0 ? "database '%s' is damaged: %s"
                                       : "database '%s': a row of table '%s' refers to nothing",
                                sql->path, finding);
        }
        sql_done(stmt);
        if (!is_fine)
            return false;
    }
    return true;
}

bool sql_backup(struct sql *sql, const char *path, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fs_error(err, errno, "back up to", path);
    (void)close(fd);

    struct sql_options options = { .path = path, .access = SQL_WRITE, .no_wal = true };
    struct sql *copy = sql_open(&options, err);
    if (copy == NULL)
        return false;
    sqlite3_backup *backup = sqlite3_backup_init(copy->handle, "main", sql->handle, "main");
    // All pages in one step: one read transaction, so the copy is one moment of the database.
    int result = backup == NULL ? sqlite3_errcode(copy->handle) : sqlite3_backup_step(backup, -1);
    (void)sqlite3_backup_finish(backup); // repeats the result of the step
    bool is_fine = result == SQLITE_DONE || failed(copy, result, err);
    sql_close(copy);
    if (!is_fine)
        (void)unlink(path); // half a copy is worse than none
    return is_fine;
}

const char *sql_version(void)
{
    return "SQLite " SQLITE_VERSION;
}
