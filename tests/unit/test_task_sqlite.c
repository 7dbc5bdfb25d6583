/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "core/plugin.h"
#include "tests/support/fake_task.h"
#include "tests/support/test.h"

extern const struct plugin task_sqlite_batch;
extern const struct plugin task_sqlite_queries;
extern const struct plugin task_sqlite_query;

static int set_up(void **state)
{
    *state = fake_task_new();
    return 0;
}

static int tear_down(void **state)
{
    fake_task_free(*state);
    return 0;
}

/* YAML with the URL of a database file of this test. */
static const char *on_file(struct fake_task *fake, const char *more)
{
    return arena_printf(fake->arena, "url: jdbc:sqlite:%s/test.db\n%s", fake->folder, more);
}

static void make_table(struct fake_task *fake)
{
    ASSERT_RUNS(
        fake, &task_sqlite_queries,
        on_file(fake,
                "sql: |\n"
                "  create table t (id integer primary key, name text, ratio real, raw blob);\n"
                "  insert into t values (1, 'Ada', 1.5, x'68656c6c6f');\n"
                "  insert into t values (2, 'it''s; \"x\"', null, null); -- done\n"));
}

static void query_gives_rows_as_asked(void **state)
{
    struct fake_task *fake = *state;
    make_table(fake);
    const char *sql = "sql: select id, name, ratio, raw as bytes from t order by id\n";
    ASSERT_RUNS(fake, &task_sqlite_query,
                on_file(fake, arena_printf(fake->arena, "%sfetchType: FETCH", sql)));
    struct buf rows = { 0 };
    value_write_json_full(&rows, value_get(fake->outputs, "rows"));
    assert_string_equal(rows.bytes,
                        "[{\"id\":1,\"name\":\"Ada\",\"ratio\":1.5,\"bytes\":\"aGVsbG8=\"},"
                        "{\"id\":2,\"name\":\"it's; \\\"x\\\"\",\"ratio\":null,\"bytes\":null}]");
    buf_free(&rows);
    assert_string_equal(fake_output(fake, "size"), "2");
    ASSERT_RUNS(fake, &task_sqlite_query,
                on_file(fake, arena_printf(fake->arena, "%sfetchType: FETCH_ONE", sql)));
    assert_string_equal(fake_output(fake, "row.name"), "Ada");
    assert_string_equal(fake_output(fake, "size"), "1");
    ASSERT_RUNS(fake, &task_sqlite_query,
                on_file(fake, arena_printf(fake->arena, "%sstore: true", sql)));
    assert_string_equal(fake_read(fake, fake_output(fake, "uri")),
                        "{id:1,name:\"Ada\",ratio:1.5e0,bytes:{{aGVsbG8=}}}\n"
                        "{id:2,name:\"it's; \\\"x\\\"\",ratio:null,bytes:null}\n");
    assert_string_equal(fake_output(fake, "size"), "2");
    ASSERT_RUNS(fake, &task_sqlite_query, on_file(fake, sql));
    assert_int_equal(value_count(fake->outputs), 0);
    ASSERT_RUNS(fake, &task_sqlite_query,
                on_file(fake, "sql: select * from t where id = 99\nfetchType: FETCH_ONE"));
    assert_true(value_is_null(value_get(fake->outputs, "row")));
    assert_string_equal(fake_output(fake, "size"), "0");
    ASSERT_RUNS(fake, &task_sqlite_query,
                on_file(fake, "sql: delete from t where id = 2\nfetchType: FETCH"));
    assert_int_equal(value_count(fake->outputs), 0);
}

static void query_counts_rows_as_a_metric(void **state)
{
    struct fake_task *fake = *state;
    ASSERT_RUNS(fake, &task_sqlite_query, "sql: select 1 union all select 2\nfetchType: FETCH");
    assert_int_equal(fake->job.metrics.count, 1);
    const struct metric_row *metric = &fake->job.metrics.items[0];
    assert_string_equal(metric->name, "fetch.size");
    assert_true(metric->value == 2);
    assert_string_equal(metric->tags, "{\"fetch\":\"true\",\"store\":\"false\"}");
}

static void parameters_are_bound_outside_of_literals(void **state)
{
    struct fake_task *fake = *state;
    make_table(fake);
    ASSERT_RUNS(
        fake, &task_sqlite_query,
        on_file(
            fake,
            "sql: |\n"
            "  select ':no' as a, \":id\" as b, :name as c, id -- :neither\n"
            "  /* :nor */ from (select id as \":id\", id from t) where id in (:ids) and id > :low\n"
            "fetchType: FETCH_ONE\n"
            "parameters: {name: \"{{ flow.id }}\", ids: [2, 3], low: \"0\"}"));
    assert_string_equal(fake_output(fake, "row"),
                        "{\"a\":\":no\",\"b\":2,\"c\":\"my_flow\",\"id\":2}");
    ASSERT_RUNS(fake, &task_sqlite_query,
                on_file(fake, "sql: select count(*) as n from t where id in :ids\n"
                              "fetchType: FETCH_ONE\nparameters: {ids: [1, 2]}"));
    assert_string_equal(fake_output(fake, "row.n"), "2");
    ASSERT_FAILS(fake, &task_sqlite_query, "sql: \"select :missing\"\nparameters: {other: 1}",
                 "':missing' has no value");
    ASSERT_FAILS(fake, &task_sqlite_query, "sql: \"select :missing\"", "':missing' has no value");
    ASSERT_RUNS(fake, &task_sqlite_query,
                "sql: \"select :j as j\"\nparameters: {j: {a: 1}}\nfetchType: FETCH_ONE");
    assert_string_equal(fake_output(fake, "row.j"), "{\"a\":1}");
}

static void query_takes_one_statement(void **state)
{
    struct fake_task *fake = *state;
    ASSERT_FAILS(fake, &task_sqlite_query, "sql: select 1; select 2", "more than one statement");
    ASSERT_RUNS(fake, &task_sqlite_query, "sql: \"select 1; -- end\\n ; /* x */\"");
    ASSERT_FAILS(fake, &task_sqlite_query, "sql: \"-- nothing\"", "no statement");
    ASSERT_FAILS(fake, &task_sqlite_query, "sql: selec 1", "selec");
    ASSERT_FAILS(fake, &task_sqlite_query, "sql: select 1\nurl: jdbc:mysql:x", "must start with");
    ASSERT_FAILS(fake, &task_sqlite_query, "sql: \"attach '/tmp/x' as y\"", "");
}

static void after_sql_commits_with_the_query(void **state)
{
    struct fake_task *fake = *state;
    make_table(fake);
    ASSERT_FAILS(fake, &task_sqlite_query,
                 on_file(fake, "sql: delete from t\nafterSQL: insert into nothing values (1)"),
                 "afterSQL");
    ASSERT_RUNS(
        fake, &task_sqlite_query,
        on_file(fake,
                "sql: select count(*) as n from t\nafterSQL: delete from t\nfetchType: FETCH_ONE"));
    assert_string_equal(fake_output(fake, "row.n"), "2");
    ASSERT_RUNS(fake, &task_sqlite_query,
                on_file(fake, "sql: select count(*) as n from t\nfetchType: FETCH_ONE"));
    assert_string_equal(fake_output(fake, "row.n"), "0");
}

static void queries_are_all_or_nothing(void **state)
{
    struct fake_task *fake = *state;
    make_table(fake);
    const char *sql = "sql: |\n  delete from t where id = 1;\n\n  insert into none values (1);\n";
    ASSERT_FAILS(fake, &task_sqlite_queries, on_file(fake, sql), "statement 2, 'insert into none");
    const char *count = "sql: select count(*) as n from t\nfetchType: FETCH_ONE";
    ASSERT_RUNS(fake, &task_sqlite_query, on_file(fake, count));
    assert_string_equal(fake_output(fake, "row.n"), "2");
    ASSERT_FAILS(fake, &task_sqlite_queries,
                 on_file(fake, arena_printf(fake->arena, "%stransaction: false", sql)),
                 "statement 2");
    ASSERT_RUNS(fake, &task_sqlite_query, on_file(fake, count));
    assert_string_equal(fake_output(fake, "row.n"), "1");
}

static void queries_give_one_output_per_result(void **state)
{
    struct fake_task *fake = *state;
    ASSERT_RUNS(fake, &task_sqlite_queries,
                "sql: |\n"
                "  create table x (a);\n"
                "  insert into x values (:v);\n"
                "  select a from x;\n"
                "  select a + 1 as b from x where a = :v\n"
                "parameters: {v: \"{{ flow.revision }}\"}\n"
                "fetchType: FETCH");
    assert_string_equal(
        fake_output(fake, "outputs"),
        "[{\"rows\":[{\"a\":\"1\"}],\"size\":1},{\"rows\":[{\"b\":2}],\"size\":1}]");
}

static void a_database_travels_as_a_file(void **state)
{
    struct fake_task *fake = *state;
    ASSERT_RUNS(fake, &task_sqlite_queries,
                "sql: create table x (a); insert into x values (7)\noutputDbFile: true");
    const char *uri = fake_output(fake, "databaseUri");
    assert_non_null(uri);
    ASSERT_RUNS(fake, &task_sqlite_query,
                arena_printf(fake->arena,
                             "sqliteFile: \"%s\"\nsql: select a from x\nfetchType: FETCH_ONE",
                             uri));
    assert_string_equal(fake_output(fake, "row.a"), "7");
}

static void a_duplicate_column_is_warned_of(void **state)
{
    struct fake_task *fake = *state;
    ASSERT_RUNS(fake, &task_sqlite_query, "sql: select 1 as a, 2 as a\nfetchType: FETCH_ONE");
    assert_string_equal(fake_output(fake, "row"), "{\"a\":2}");
    assert_non_null(strstr(fake->log.bytes, "WARN Column 'a' occurs more than once"));
}

static void batch_writes_rows_in_chunks(void **state)
{
    struct fake_task *fake = *state;
    ASSERT_RUNS(fake, &task_sqlite_query,
                on_file(fake, "sql: create table b (id integer not null, name text, at text)"));
    struct buf rows = { 0 };
    for (int i = 0; i < 2500; i++)
        buf_printf(&rows, "{name:\"n%d\",id:%d,at:2024-05-01,more:1}\n", i, i);
    const char *uri = fake_store(fake, "rows.ion", rows.bytes);
    ASSERT_RUNS(fake, &task_sqlite_batch,
                on_file(fake, arena_printf(fake->arena, "from: \"%s\"\ntable: b", uri)));
    assert_string_equal(fake_output(fake, "rowCount"), "2500");
    assert_string_equal(fake_output(fake, "updatedCount"), "2500");
    const char *check = "sql: select count(*) as n, max(name) as m, min(at) as d from b\n"
                        "fetchType: FETCH_ONE";
    ASSERT_RUNS(fake, &task_sqlite_query, on_file(fake, check));
    assert_string_equal(fake_output(fake, "row"),
                        "{\"n\":2500,\"m\":\"n999\",\"d\":\"2024-05-01\"}");
    const char *lists = fake_store(fake, "lists.ion", "[9001, \"x\"]\n\n[9002, null]\n");
    ASSERT_RUNS(
        fake, &task_sqlite_batch,
        on_file(fake,
                arena_printf(fake->arena,
                             "from: \"%s\"\nsql: insert into b (id, name) values (?, ?)", lists)));
    assert_string_equal(fake_output(fake, "rowCount"), "2");
    buf_free(&rows);

    const char *bad = fake_store(fake, "bad.ion", "{id:1}\n{id:null}\n");
    ASSERT_FAILS(fake, &task_sqlite_batch,
                 on_file(fake, arena_printf(fake->arena, "from: \"%s\"\ntable: b", bad)), "Row 2:");
    ASSERT_RUNS(fake, &task_sqlite_query, on_file(fake, check));
    assert_non_null(strstr(fake_output(fake, "row"), "\"n\":2502"));
    ASSERT_FAILS(fake, &task_sqlite_batch,
                 on_file(fake, arena_printf(fake->arena, "from: \"%s\"\ntable: none", bad)),
                 "does not exist");
    ASSERT_FAILS(fake, &task_sqlite_batch,
                 on_file(fake, arena_printf(fake->arena, "from: \"%s\"", bad)), "is needed");
}

static void a_query_ends_when_the_task_is_stopped(void **state)
{
    struct fake_task *fake = *state;
    job_stop(&fake->job, STOP_KILL);
    ASSERT_FAILS(fake, &task_sqlite_query,
                 "sql: with recursive c(x) as (select 1 union all select x + 1 from c) "
                 "select count(*) from c",
                 "");
    assert_int_equal(fake->error.code, ERR_CANCELLED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    TEST(query_gives_rows_as_asked),
    TEST(query_counts_rows_as_a_metric),
    TEST(parameters_are_bound_outside_of_literals),
    TEST(query_takes_one_statement),
    TEST(after_sql_commits_with_the_query),
    TEST(queries_are_all_or_nothing),
    TEST(queries_give_one_output_per_result),
    TEST(a_database_travels_as_a_file),
    TEST(a_duplicate_column_is_warned_of),
    TEST(batch_writes_rows_in_chunks),
    TEST(a_query_ends_when_the_task_is_stopped),
};
TEST_GROUP(task_sqlite, tests)
