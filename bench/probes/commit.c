/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable rows per second of SQLite (WAL, synchronous FULL) at 1, 10, 100 and 1,000 rows per
 * commit, in TMPDIR; the last figure goes through base/sql.h.
 */
#include <sqlite3.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/sql.h"
#include "bench/probes/probe.h"

#define ROW_BYTES 300
#define SPAN      (USEC_SEC / 2)

struct database {
    sqlite3 *bare; /* one of the two */
    struct sql *sql;
    int rows; /* per commit */
};

static const char row[ROW_BYTES];

static void must(struct database *db, int result)
{
    if (result != SQLITE_OK && result != SQLITE_DONE) {
        (void)fprintf(stderr, "%s\n", sqlite3_errmsg(db->bare));
        exit(EXIT_FAILURE);
    }
}

static double commit_bare(void *context)
{
    struct database *db = context;
    sqlite3_stmt *stmt = NULL;
    must(db, sqlite3_prepare_v2(db->bare, "INSERT INTO t (b) VALUES (?1)", -1, &stmt, NULL));
    usec_t started = clock_monotonic();
    double rows = 0;
    while (clock_monotonic() - started < SPAN) {
        must(db, sqlite3_exec(db->bare, "BEGIN IMMEDIATE", NULL, NULL, NULL));
        for (int i = 0; i < db->rows; i++) {
            must(db, sqlite3_bind_blob(stmt, 1, row, ROW_BYTES, SQLITE_STATIC));
            must(db, sqlite3_step(stmt));
            must(db, sqlite3_reset(stmt));
        }
        must(db, sqlite3_exec(db->bare, "COMMIT", NULL, NULL, NULL));
        rows += db->rows;
    }
    double rate = probe_rate(rows, started);
    (void)sqlite3_finalize(stmt);
    return rate;
}

static double commit_sql(void *context)
{
    struct database *db = context;
    struct error err = { 0 };
    usec_t started = clock_monotonic();
    double rows = 0;
    while (clock_monotonic() - started < SPAN) {
        CHECK(sql_begin(db->sql, true, &err));
        struct sql_stmt *stmt = sql_prepare(db->sql, "INSERT INTO t (b) VALUES (?1)", &err);
        for (int i = 0; i < db->rows; i++) {
            sql_bind_blob(stmt, 1, row, ROW_BYTES);
            CHECK(sql_run(stmt, &err));
        }
        sql_done(stmt);
        CHECK(sql_commit(db->sql, &err));
        rows += db->rows;
    }
    return probe_rate(rows, started);
}

int main(int argc, char **argv)
{
    static const int sizes[] = { 1, 10, 100, 1000 };
    int rounds = probe_rounds(argc, argv);
    struct error err = { 0 };
    AUTO(arena_freep) struct arena *arena = arena_new();
    const char *folder = fs_temp_folder(arena, NULL, "weir-probe-", &err);
    CHECK(folder != NULL);
    static const char table[] = "CREATE TABLE t (k INTEGER PRIMARY KEY, b BLOB)";
    struct database ours = { 0 };
    struct sql_options options = {
        .path = arena_printf(arena, "%s/ours.db", folder),
        .access = SQL_CREATE,
    };
    ours.sql = sql_open(&options, &err);
    CHECK(ours.sql != NULL);
    CHECK(sql_exec(ours.sql, table, &err));
    struct database bare = { 0 };
    CHECK(sqlite3_open(arena_printf(arena, "%s/bare.db", folder), &bare.bare) == SQLITE_OK);
    must(&bare, sqlite3_exec(bare.bare, "PRAGMA journal_mode=WAL", NULL, NULL, NULL));
    must(&bare, sqlite3_exec(bare.bare, "PRAGMA synchronous=FULL", NULL, NULL, NULL));
    must(&bare, sqlite3_exec(bare.bare, table, NULL, NULL, NULL));
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char name[64];
        bare.rows = ours.rows = sizes[i];
        (void)snprintf(name, sizeof(name), "commit-%d", sizes[i]);
        probe_run(name, "rows/s", rounds, commit_bare, &bare, commit_sql, &ours);
    }
    CHECK(sqlite3_close(bare.bare) == SQLITE_OK);
    sql_close(ours.sql);
    CHECK(fs_remove_tree(folder, &err));
    return EXIT_SUCCESS;
}
