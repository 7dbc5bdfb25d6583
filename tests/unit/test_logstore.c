/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks, sinks, files and pages of execution logs. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"
#include "runtime/store/logstore.h"
#include "runtime/store/store.h"
#include "tests/support/test.h"

static const usec_t noon = (usec_t)1767268800 * USEC_SEC;
static const char execution_id[] = "00000001abcdefghijklmn";

/* A log store whose index rows go into a memory store. */
struct fixture {
    struct arena *arena;
    struct store *store;
    struct store_reader *reader;
    struct logstore *logs;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct commit commit;
    int64_t number;
    unsigned ended;
    struct log_result *results[8];
};

static void written(void *data, const struct log_row *row)
{
    struct fixture *fixture = data;
    pthread_mutex_lock(&fixture->lock);
    struct log_row *kept = VEC_PUSH(&fixture->commit.logs);
    *kept = *row;
    kept->namespace = "company.team";
    kept->flow_id = "orders";
    pthread_mutex_unlock(&fixture->lock);
}

static void ended(void *data, struct log_result *result)
{
    struct fixture *fixture = data;
    pthread_mutex_lock(&fixture->lock);
    fixture->results[fixture->ended++] = result;
    pthread_cond_signal(&fixture->changed);
    pthread_mutex_unlock(&fixture->lock);
}

static void open_logs(struct fixture *fixture, const char *folder)
{
    struct error err = { 0 };
    *fixture = (struct fixture){ .arena = arena_new() };
    pthread_mutex_init(&fixture->lock, NULL);
    pthread_cond_init(&fixture->changed, NULL);
    fixture->store = store_memory_new();
    fixture->reader = store_reader_open(fixture->store, &err);
    struct logstore_options options = { .folder = folder, .written = written, .data = fixture };
    fixture->logs = logstore_new(&options, &err);
    if (fixture->logs == NULL)
        fail_msg("%s", err.text);
}

static void close_logs(struct fixture *fixture)
{
    logstore_free(fixture->logs);
    for (unsigned i = 0; i < fixture->ended; i++)
        log_result_free(fixture->results[i]);
    commit_free(&fixture->commit);
    store_reader_free(fixture->reader);
    store_free(fixture->store);
    pthread_mutex_destroy(&fixture->lock);
    pthread_cond_destroy(&fixture->changed);
    arena_free(fixture->arena);
}

/* Waits for the ends of sinks, then commits all rows. */
static void store_rows(struct fixture *fixture, unsigned sinks)
{
    struct error err = { 0 };
    pthread_mutex_lock(&fixture->lock);
    while (fixture->ended < sinks)
        pthread_cond_wait(&fixture->changed, &fixture->lock);
    for (unsigned i = 0; i < fixture->ended; i++)
        for (size_t k = 0; k < fixture->results[i]->count; k++)
            *VEC_PUSH(&fixture->commit.logs) = fixture->results[i]->rows[k];
    fixture->commit.number = ++fixture->number;
    bool ok = store_commit(fixture->store, &fixture->commit, &err);
    pthread_mutex_unlock(&fixture->lock);
    if (!ok)
        fail_msg("%s", err.text);
}

static struct log_sink *sink_of(struct fixture *fixture, const char *run)
{
    struct log_source source = {
        .execution = 1,
        .execution_id = execution_id,
        .namespace = "company.team",
        .flow_id = "orders",
        .task_id = "load",
        .run_id = run,
        .attempt = 1,
    };
    return log_sink_open(fixture->logs, &source);
}

static void write_line(struct log_sink *sink, usec_t at, enum log_level level, const char *text)
{
    while (!log_sink_write(sink, at, level, text, strlen(text)))
        log_sink_wait(sink);
}

static size_t search(struct fixture *fixture,
                     const struct query *query,
                     struct log_line **lines,
                     int64_t *total)
{
    struct error err = { 0 };
    size_t count = 0;
    if (!logstore_search(fixture->logs, fixture->reader, fixture->arena, 1, query, lines, &count,
                         total, &err))
        fail_msg("%s", err.text);
    return count;
}

static void log_block_gives_back_its_lines(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct log_block block = { 0 };
    for (unsigned i = 0; i < 200; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "line %u", i);
        struct log_line line = {
            .source = { .task_id = i < 100 ? "a" : "b", .run_id = NULL, .attempt = 1 + i / 150 },
            .at = noon + i,
            .level = i % 2 == 0 ? LOG_INFO : LOG_ERROR,
            .message = text,
            .length = strlen(text),
        };
        log_block_add(&block, &line);
    }
    struct buf body = { 0 };
    struct log_row row = { .execution = 1, .namespace = "n", .flow_id = "f" };
    log_block_finish(&block, &body, &row);
    assert_int_equal(row.lines, 200);
    assert_int_equal(row.first_at, noon);
    assert_int_equal(row.last_at, noon + 199);
    assert_int_equal(row.levels, BIT(LOG_INFO) | BIT(LOG_ERROR));

    struct log_line *lines = NULL;
    size_t count = 0;
    struct error err = { 0 };
    assert_true(log_block_decode(arena, &row, body.bytes, body.length, &lines, &count, &err));
    assert_int_equal(count, 200);
    assert_string_equal(lines[150].message, "line 150");
    assert_string_equal(lines[150].source.task_id, "b");
    assert_int_equal(lines[150].source.attempt, 2);
    assert_int_equal(lines[151].level, LOG_ERROR);
    assert_int_equal(lines[151].at, noon + 151);

    for (size_t length = 0; length < body.length; length++)
        assert_false(log_block_decode(arena, &row, body.bytes, length, &lines, &count, &err));
    body.bytes[body.length / 2] ^= 0x10;
    assert_false(log_block_decode(arena, &row, body.bytes, body.length, &lines, &count, &err));
    assert_int_equal(err.code, ERR_INTERNAL);
    buf_free(&body);
    log_block_free(&block);
}

static void log_sink_keeps_little_inline(void **state)
{
    (void)state;
    struct fixture fixture;
    open_logs(&fixture, test_folder());
    struct log_sink *sink = sink_of(&fixture, "r1");
    write_line(sink, noon, LOG_INFO, "hello");
    write_line(sink, noon + 1, LOG_WARN, "world");
    log_sink_close(sink, ended, &fixture);
    assert_int_equal(fixture.ended, 1); // at once: nothing to wait for
    assert_int_equal(fixture.results[0]->count, 1);
    store_rows(&fixture, 1);

    struct log_line *lines = NULL;
    int64_t total = 0;
    struct query query = { .sort = FIELD_COUNT, .limit = 10 };
    assert_int_equal(search(&fixture, &query, &lines, &total), 2);
    assert_string_equal(lines[1].message, "world");
    assert_string_equal(lines[1].source.run_id, "r1");
    assert_string_equal(lines[1].source.execution_id, execution_id);
    close_logs(&fixture);
}

/* Two tasks print at the same time, more than fits a block. */
static void write_two(struct fixture *fixture, unsigned lines)
{
    struct log_sink *sinks[2] = { sink_of(fixture, "r1"), sink_of(fixture, "r2") };
    char text[120];
    for (unsigned i = 0; i < lines; i++) {
        (void)snprintf(text, sizeof(text), "line %06u of a task that prints a lot of text %u", i,
                       i * 7919U);
        write_line(sinks[i % 2], noon + i, i % 1000 == 999 ? LOG_ERROR : LOG_INFO, text);
    }
    for (int i = 0; i < 2; i++)
        log_sink_close(sinks[i], ended, fixture);
    store_rows(fixture, 2);
}

static void check_pages(struct fixture *fixture, unsigned all)
{
    struct log_line *lines = NULL;
    int64_t total = 0;
    struct query query = { .sort = FIELD_COUNT, .limit = 50, .offset = all - 25 };
    assert_int_equal(search(fixture, &query, &lines, &total), 25);
    assert_int_equal(total, all);
    assert_int_equal(lines[0].at, noon + all - 25);
    assert_int_equal(lines[24].at, noon + all - 1);

    query = (struct query){ .sort = FIELD_COUNT, .limit = 3, .descending = true, .offset = 1 };
    assert_int_equal(search(fixture, &query, &lines, NULL), 3);
    assert_int_equal(lines[0].at, noon + all - 2);

    const char *level[] = { "ERROR" };
    struct filter filter = {
        .field = FIELD_LEVEL, .match = MATCH_EQUAL, .values = level, .values_count = 1
    };
    query =
        (struct query){ .filters = &filter, .filters_count = 1, .sort = FIELD_COUNT, .limit = 2 };
    assert_int_equal(search(fixture, &query, &lines, &total), 2);
    assert_int_equal(total, all / 1000);
    assert_int_equal(lines[1].at, noon + 1999);

    const char *run[] = { "r2" };
    filter = (struct filter){
        .field = FIELD_RUN, .match = MATCH_EQUAL, .values = run, .values_count = 1
    };
    assert_int_equal(search(fixture, &query, &lines, &total), 2);
    assert_int_equal(total, all / 2);
}

static void log_sinks_share_a_file_and_merge_by_time(void **state)
{
    (void)state;
    struct fixture fixture;
    open_logs(&fixture, test_folder());
    write_two(&fixture, 40000);
    assert_int_equal(fixture.results[0]->count, 0); // all in the file
    check_pages(&fixture, 40000);
    close_logs(&fixture);
}

static void log_store_without_a_folder_keeps_lines_in_memory(void **state)
{
    (void)state;
    struct fixture fixture;
    open_logs(&fixture, NULL);
    write_two(&fixture, 40000);
    check_pages(&fixture, 40000);
    close_logs(&fixture);
}

static bool count_line(void *data, const struct log_line *line)
{
    (void)line;
    return ++*(unsigned *)data < 20000;
}

static void log_block_that_was_cut_off_is_left_out(void **state)
{
    (void)state;
    struct error err = { 0 };
    const char *folder = test_folder();
    struct fixture fixture;
    open_logs(&fixture, folder);
    write_two(&fixture, 40000);
    char path[4200];
    (void)snprintf(path, sizeof(path), "%s/mn/%s.log", folder, execution_id);
    const struct log_row *last = &fixture.commit.logs.items[fixture.commit.logs.count - 1];
    assert_int_equal(truncate(path, last->file_at + last->file_length / 2), 0);

    struct log_line *lines = NULL;
    int64_t total = 0;
    const char *text[] = { "of a task" };
    struct filter filter = {
        .field = FIELD_TEXT, .match = MATCH_EQUAL, .values = text, .values_count = 1
    };
    struct query query = {
        .filters = &filter, .filters_count = 1, .sort = FIELD_COUNT, .limit = 1
    };
    assert_int_equal(search(&fixture, &query, &lines, &total), 1);
    assert_true(total < 40000);
    assert_true(total >= 40000 - (int64_t)last->lines);
    unsigned walked = 0;
    struct query all = { .sort = FIELD_COUNT };
    assert_true(logstore_walk(fixture.logs, fixture.reader, 1, &all, count_line, &walked, &err));
    assert_int_equal(walked, 20000);
    assert_true(logstore_remove(fixture.logs, execution_id, &err));
    assert_int_equal(access(path, F_OK), -1);
    close_logs(&fixture);
}

static void follow_line(void *data, const struct log_line *line)
{
    unsigned *counts = data;
    counts[0]++;
    counts[1] += line->level == LOG_ERROR;
}

static void log_followers_see_lines_before_they_are_stored(void **state)
{
    (void)state;
    struct fixture fixture;
    unsigned one[2] = { 0 };
    unsigned all[2] = { 0 };
    open_logs(&fixture, test_folder());
    struct log_follower *first = logstore_follow(fixture.logs, execution_id, follow_line, one);
    struct log_follower *second = logstore_follow(fixture.logs, NULL, follow_line, all);
    struct log_sink *sink = sink_of(&fixture, "r1");
    write_line(sink, noon, LOG_ERROR, "hello");
    assert_int_equal(one[0], 1);
    assert_int_equal(one[1], 1);
    assert_int_equal(all[0], 1);
    struct log_line other = { .source = { .execution_id = "other" }, .message = "x", .length = 1 };
    logstore_publish(fixture.logs, &other);
    assert_int_equal(one[0], 1);
    assert_int_equal(all[0], 2);
    logstore_unfollow(fixture.logs, first);
    write_line(sink, noon, LOG_INFO, "again");
    assert_int_equal(one[0], 1);
    assert_int_equal(all[0], 3);
    logstore_unfollow(fixture.logs, second);
    log_sink_close(sink, ended, &fixture);
    close_logs(&fixture);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(log_block_gives_back_its_lines),
    cmocka_unit_test(log_sink_keeps_little_inline),
    cmocka_unit_test(log_sinks_share_a_file_and_merge_by_time),
    cmocka_unit_test(log_store_without_a_folder_keeps_lines_in_memory),
    cmocka_unit_test(log_block_that_was_cut_off_is_left_out),
    cmocka_unit_test(log_followers_see_lines_before_they_are_stored),
};
TEST_GROUP(logstore, tests)
