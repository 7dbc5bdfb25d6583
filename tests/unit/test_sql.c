/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/sql.h"
#include "tests/support/test.h"

static const char *database(void)
{
    static char path[600];
    (void)snprintf(path, sizeof(path), "%s/test.db", test_folder());
    return path;
}

static struct sql *opened(const char *path, enum sql_trust trust)
{
    struct error err = { 0 };
    struct sql_options options = { .path = path, .access = SQL_CREATE, .trust = trust };
    struct sql *sql = sql_open(&options, &err);
    if (sql == NULL)
        fail_msg("%s", err.text);
    return sql;
}

static void exec(struct sql *sql, const char *text)
{
    struct error err = { 0 };
    if (!sql_exec(sql, text, &err))
        fail_msg("%s: %s", text, err.text);
}

static int64_t number(struct sql *sql, const char *text)
{
    struct error err = { 0 };
    int64_t value = 0;
    if (!sql_get_int(sql, text, -1, &value, &err))
        fail_msg("%s: %s", text, err.text);
    return value;
}

static void sql_opens_with_wal_full_and_foreign_keys(void **state)
{
    (void)state;
    const char *path = database();
    struct sql *sql = opened(path, SQL_TRUSTED);
    assert_int_equal(number(sql, "PRAGMA synchronous"), 2);
    assert_int_equal(number(sql, "PRAGMA foreign_keys"), 1);
    assert_int_equal(number(sql, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    sql_close(sql);
}

static void sql_keeps_values_of_every_type(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct error err = { 0 };
    struct sql *sql = opened(":memory:", SQL_TRUSTED);
    exec(sql, "CREATE TABLE t (i INTEGER, d REAL, s VARCHAR(9), b BLOB, n)");
    struct sql_stmt *stmt = sql_prepare(sql, "INSERT INTO t VALUES (?1, ?2, ?3, ?4, ?5)", &err);
    assert_non_null(stmt);
    sql_bind_int(stmt, 1, INT64_MIN);
    sql_bind_double(stmt, 2, 0.5);
    sql_bind_text_n(stmt, 3, "a\0b", 3);
    sql_bind_blob(stmt, 4, "", 0);
    assert_true(sql_run(stmt, &err));
    assert_int_equal(sql_changes(sql), 1);
    assert_int_equal(sql_last_key(sql), 1);
    sql_done(stmt);

    stmt = sql_prepare(sql, "SELECT i, d, s, b, n FROM t", &err);
    assert_non_null(stmt);
    bool is_row = false;
    assert_true(sql_step(stmt, &is_row, &err));
    assert_true(is_row);
    assert_int_equal(sql_columns(stmt), 5);
    assert_string_equal(sql_column_name(stmt, 2), "s");
    assert_string_equal(sql_column_declared(stmt, 2), "VARCHAR(9)");
    assert_true(sql_column_int(stmt, 0) == INT64_MIN);
    assert_true(sql_column_double(stmt, 1) == 0.5);
    size_t length = 0;
    assert_memory_equal(sql_column_text(stmt, 2, &length), "a\0b", 4);
    assert_int_equal(length, 3);
    assert_int_equal(sql_column_kind(stmt, 3), SQL_BLOB);
    assert_non_null(sql_column_dup_blob(stmt, 3, arena, &length));
    assert_int_equal(length, 0);
    assert_int_equal(sql_column_kind(stmt, 4), SQL_NULL);
    assert_null(sql_column_dup(stmt, 4, arena));
    assert_true(sql_step(stmt, &is_row, &err));
    assert_false(is_row);
    sql_done(stmt);
    sql_close(sql);
    arena_free(arena);
}

static void sql_reuses_a_statement_with_its_parameters_cleared(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct sql *sql = opened(":memory:", SQL_TRUSTED);
    struct sql_stmt *first = sql_prepare(sql, "SELECT ?1 IS NULL", &err);
    sql_bind_int(first, 1, 7);
    bool is_row = false;
    assert_true(sql_step(first, &is_row, &err));
    assert_int_equal(sql_column_int(first, 0), 0);

    // In use: a second one of the same text is another statement.
    struct sql_stmt *second = sql_prepare(sql, "SELECT ?1 IS NULL", &err);
    assert_ptr_not_equal(first, second);
    sql_done(second);
    sql_done(first);
    assert_ptr_equal(sql_prepare(sql, "SELECT ?1 IS NULL", &err), first);
    assert_true(sql_step(first, &is_row, &err));
    assert_int_equal(sql_column_int(first, 0), 1);
    sql_done(first);
    sql_close(sql);
}

static void sql_bounds_the_cached_statements(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct sql_options options = { .path = ":memory:", .access = SQL_CREATE, .statements_max = 3 };
    struct sql *sql = sql_open(&options, &err);
    assert_non_null(sql);
    struct sql_stmt *held = sql_prepare(sql, "SELECT 0", &err);
    for (int i = 1; i < 20; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "SELECT %d", i);
        struct sql_stmt *stmt = sql_prepare(sql, text, &err);
        assert_non_null(stmt);
        sql_done(stmt);
    }
    bool is_row = false;
    assert_true(sql_step(held, &is_row, &err));
    sql_done(held);
    sql_close(sql);
}

static void sql_names_what_a_constraint_refused(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct sql *sql = opened(":memory:", SQL_TRUSTED);
    exec(sql, "CREATE TABLE t (k TEXT PRIMARY KEY); INSERT INTO t VALUES ('a')");
    assert_false(sql_exec(sql, "INSERT INTO t VALUES ('a')", &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "t.k"));
    assert_false(sql_exec(sql, "SELEC 1", &err));
    assert_int_equal(err.code, ERR_INVALID);
    sql_close(sql);
}

static void sql_says_who_holds_the_lock(void **state)
{
    (void)state;
    struct error err = { 0 };
    const char *path = database();
    struct sql *first = opened(path, SQL_TRUSTED);
    exec(first, "CREATE TABLE t (i)");
    struct sql_options options = { .path = path, .access = SQL_WRITE, .busy_timeout = USEC_MSEC };
    struct sql *second = sql_open(&options, &err);
    assert_non_null(second);
    assert_true(sql_begin(first, true, &err));
    assert_false(sql_begin(second, true, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    sql_rollback(first);
    assert_true(sql_begin(second, true, &err));
    assert_true(sql_in_transaction(second));
    assert_true(sql_commit(second, &err));
    sql_close(second);
    sql_close(first);
}

static void sql_reports_a_full_database_with_advice(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct sql *sql = opened(database(), SQL_TRUSTED);
    exec(sql, "CREATE TABLE t (b); PRAGMA max_page_count=20");
    assert_true(sql_begin(sql, true, &err));
    assert_false(sql_exec(sql, "INSERT INTO t VALUES (zeroblob(1000000))", &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.text, "free some space"));
    sql_rollback(sql);
    assert_false(sql_in_transaction(sql));
    assert_int_equal(number(sql, "SELECT count(*) FROM t"), 0);
    sql_close(sql);
}

static void sql_tells_missing_foreign_and_damaged_files_apart(void **state)
{
    (void)state;
    struct error err = { 0 };
    const char *path = database();
    struct sql_options options = { .path = path, .access = SQL_WRITE };
    assert_null(sql_open(&options, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, path));

    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char text[4096];
    memset(text, 'x', sizeof(text));
    assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
    assert_null(sql_open(&options, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_int_equal(ftruncate(fd, 0), 0);

    struct sql *sql = opened(path, SQL_TRUSTED);
    exec(sql, "CREATE TABLE t (i, s); CREATE INDEX ti ON t (s);"
              "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000)"
              "INSERT INTO t SELECT i, hex(randomblob(20)) FROM n");
    assert_true(sql_check_integrity(sql, &err));
    assert_true(sql_checkpoint(sql, SQL_CHECKPOINT_TRUNCATE, NULL, NULL, &err));
    sql_close(sql);
    assert_int_equal(pwrite(fd, text, sizeof(text), 8 * 4096), sizeof(text));
    (void)close(fd);
    sql = opened(path, SQL_TRUSTED);
    assert_false(sql_check_integrity(sql, &err));
    assert_int_equal(err.code, ERR_INTERNAL);
    sql_close(sql);
}

#define ENDLESS                                                                                    \
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n"

static void sql_ends_a_query_at_its_deadline(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct sql *sql = opened(":memory:", SQL_TRUSTED);
    sql_set_deadline(sql, clock_monotonic() + 5 * USEC_MSEC);
    assert_false(sql_exec(sql, ENDLESS, &err));
    assert_int_equal(err.code, ERR_TIMEOUT);
    sql_set_deadline(sql, USEC_NEVER);
    assert_int_equal(number(sql, "SELECT 1"), 1);
    sql_close(sql);
}

static bool after_some_questions(void *context)
{
    int *questions = context;
    return ++*questions > 3;
}

static void *interrupt_until_told(void *context)
{
    struct {
        struct sql *sql;
        atomic_bool is_over;
    } *shared = context;
    while (!shared->is_over)
        sql_interrupt(shared->sql);
    return NULL;
}

static void sql_ends_a_query_when_asked(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct sql *sql = opened(":memory:", SQL_TRUSTED);
    int questions = 0;
    sql_set_cancel(sql, after_some_questions, &questions);
    assert_false(sql_exec(sql, ENDLESS, &err));
    assert_int_equal(err.code, ERR_CANCELLED);
    assert_int_equal(questions, 4);
    sql_set_cancel(sql, NULL, NULL);

    struct {
        struct sql *sql;
        atomic_bool is_over;
    } shared = { .sql = sql };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, interrupt_until_told, &shared), 0);
    err = (struct error){ 0 };
    assert_false(sql_exec(sql, ENDLESS, &err));
    assert_int_equal(err.code, ERR_CANCELLED);
    shared.is_over = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
    sql_close(sql);
}

static void sql_keeps_user_queries_inside_their_file(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "ATTACH '/tmp/other.db' AS other", "SELECT load_extension('x')",
        "PRAGMA journal_mode=DELETE",      "PRAGMA temp_store_directory='/'",
        "VACUUM INTO '/tmp/weir-copy.db'", "PRAGMA writable_schema=1",
    };
    struct error err = { 0 };
    struct sql *sql = opened(database(), SQL_USER);
    exec(sql, "CREATE TABLE t (i); INSERT INTO t VALUES (1); VACUUM");
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (sql_exec(sql, refused[i], &err))
            fail_msg("allowed: %s", refused[i]);
        if (err.code != ERR_DENIED && err.code != ERR_INVALID)
            fail_msg("%s: %s", refused[i], err.text);
    }
    assert_int_equal(access("/tmp/weir-copy.db", F_OK), -1);

    struct sql_stmt *stmt = sql_prepare(sql, "SELECT ?1", &err);
    assert_non_null(stmt);
    sql_bind_int(stmt, 2, 1);
    bool is_row = false;
    assert_false(sql_step(stmt, &is_row, &err));
    assert_int_equal(err.code, ERR_INVALID);
    sql_done(stmt);
    sql_close(sql);
}

static void sql_takes_a_script_apart(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct sql *sql = opened(":memory:", SQL_USER);
    const char *rest = "SELECT 1; -- one; two\n SELECT ';' ; \n -- end\n";
    int statements = 0;
    while (*rest != '\0') {
        struct sql_stmt *stmt = sql_prepare_next(sql, rest, &rest, &err);
        if (stmt == NULL)
            break;
        assert_true(sql_is_readonly(stmt));
        sql_done(stmt);
        statements++;
    }
    assert_int_equal(err.code, ERR_NONE);
    assert_string_equal(rest, "");
    assert_int_equal(statements, 2);
    sql_close(sql);
}

static void sql_checkpoints_from_a_second_connection(void **state)
{
    (void)state;
    struct error err = { 0 };
    const char *path = database();
    struct sql_options options = { .path = path, .access = SQL_CREATE, .no_auto_checkpoint = true };
    struct sql *writer = sql_open(&options, &err);
    struct sql *other = sql_open(&options, &err);
    assert_non_null(writer);
    assert_non_null(other);
    exec(writer, "CREATE TABLE t (i); INSERT INTO t VALUES (1)");
    int64_t pages = 0;
    int64_t done = 0;
    assert_true(sql_checkpoint(other, SQL_CHECKPOINT_PASSIVE, &pages, &done, &err));
    assert_true(pages > 0);
    assert_int_equal(pages, done);
    assert_true(sql_checkpoint(other, SQL_CHECKPOINT_TRUNCATE, &pages, &done, &err));
    assert_int_equal(pages, 0);
    sql_close(other);
    sql_close(writer);
}

static void sql_backs_up_while_in_use(void **state)
{
    (void)state;
    struct error err = { 0 };
    const char *path = database();
    struct sql *sql = opened(path, SQL_TRUSTED);
    exec(sql, "CREATE TABLE t (i); INSERT INTO t VALUES (41)");
    char target[700];
    (void)snprintf(target, sizeof(target), "%s.copy", path);
    assert_true(sql_backup(sql, target, &err));
    assert_false(sql_backup(sql, target, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    exec(sql, "UPDATE t SET i = 42");
    sql_close(sql);

    struct sql *copy = opened(target, SQL_TRUSTED);
    assert_int_equal(number(copy, "SELECT i FROM t"), 41);
    sql_close(copy);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(sql_opens_with_wal_full_and_foreign_keys),
    cmocka_unit_test(sql_keeps_values_of_every_type),
    cmocka_unit_test(sql_reuses_a_statement_with_its_parameters_cleared),
    cmocka_unit_test(sql_bounds_the_cached_statements),
    cmocka_unit_test(sql_names_what_a_constraint_refused),
    cmocka_unit_test(sql_says_who_holds_the_lock),
    cmocka_unit_test(sql_reports_a_full_database_with_advice),
    cmocka_unit_test(sql_tells_missing_foreign_and_damaged_files_apart),
    cmocka_unit_test(sql_ends_a_query_at_its_deadline),
    cmocka_unit_test(sql_ends_a_query_when_asked),
    cmocka_unit_test(sql_keeps_user_queries_inside_their_file),
    cmocka_unit_test(sql_takes_a_script_apart),
    cmocka_unit_test(sql_checkpoints_from_a_second_connection),
    cmocka_unit_test(sql_backs_up_while_in_use),
};
TEST_GROUP(sql, tests)
