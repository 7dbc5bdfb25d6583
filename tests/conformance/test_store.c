/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every store does, run over each back end; and a comparison of the two on random commits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/sql.h"
#include "base/str.h"
#include "core/value.h"
#include "runtime/store/logstore.h"
#include "runtime/store/store.h"
#include "tests/support/test.h"

/* ---- a store with its reader ---- */

struct fixture {
    struct arena *arena;
    const char *path; /* NULL: memory */
    struct store *store;
    struct store_reader *reader;
    struct commit commit;
    int64_t number;
};

static void fixture_open(struct fixture *fixture, const char *path)
{
    struct error err = { 0 };
    *fixture = (struct fixture){ .arena = arena_new(), .path = path };
    if (path == NULL) {
        fixture->store = store_memory_new();
    } else {
        struct store_sqlite_options options = { .path = path, .is_volatile = true };
        fixture->store = store_sqlite_open(&options, &err);
    }
    if (fixture->store == NULL)
        fail_msg("%s", err.text);
    fixture->reader = store_reader_open(fixture->store, &err);
    if (fixture->reader == NULL)
        fail_msg("%s", err.text);
    struct store_numbers numbers;
    assert_true(fixture->store->ops->numbers(fixture->store, &numbers, &err));
    fixture->number = numbers.commit;
}

static void fixture_close(struct fixture *fixture)
{
    commit_free(&fixture->commit);
    store_reader_free(fixture->reader);
    store_free(fixture->store);
    arena_free(fixture->arena);
}

static const char *database(void)
{
    static char path[4096];
    (void)snprintf(path, sizeof(path), "%s/weir.db", test_folder());
    return path;
}

/* Commits what was collected and starts anew. */
static void commit(struct fixture *fixture)
{
    struct error err = { 0 };
    fixture->commit.number = ++fixture->number;
    if (!store_commit(fixture->store, &fixture->commit, &err))
        fail_msg("commit %lld: %s", (long long)fixture->number, err.text);
    commit_clear(&fixture->commit);
}

/* Runs a test over each back end. */
#define EACH_STORE(name)                                                                           \
    static void name##_in(struct fixture *fixture);                                                \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        const char *paths[] = { NULL, database() };                                                \
        for (size_t i = 0; i < COUNT_OF(paths); i++) {                                             \
            struct fixture fixture;                                                                \
            fixture_open(&fixture, paths[i]);                                                      \
            name##_in(&fixture);                                                                   \
            fixture_close(&fixture);                                                               \
        }                                                                                          \
    }                                                                                              \
    static void name##_in(struct fixture *fixture)

/* ---- makers ---- */

static const usec_t noon = (usec_t)1767268800 * USEC_SEC; /* 2026-01-01T12:00:00Z */

/* Adds a run of a task that no flow knows. */
static struct task_run *add_run(struct execution *execution, const char *task_id, usec_t at)
{
    struct task *task = ARENA_NEW(execution->arena, struct task);
    task->id = arena_strdup(execution->arena, task_id);
    return execution_add_run(execution, task, NULL, NULL, -1, at);
}

/* An execution of flow `company.team/<flow>` number n, with `runs` runs. */
static struct execution *make(int64_t n, const char *flow, unsigned runs)
{
    struct id id;
    (void)snprintf(id.text, sizeof(id.text), "%08lldabcdefghijklmn", (long long)n);
    struct execution *execution = execution_new(&id, NULL, noon + n * USEC_SEC);
    execution->namespace = "company.team";
    execution->flow_id = arena_strdup(execution->arena, flow);
    execution->flow_revision = 1;
    execution_set_label(execution, "system.correlationId", id.text);
    for (unsigned i = 0; i < runs; i++) {
        char task[16];
        (void)snprintf(task, sizeof(task), "task%u", i);
        (void)add_run(execution, task, noon + n * USEC_SEC);
    }
    return execution;
}

static void end(struct execution *execution, enum state state, usec_t at)
{
    execution_move(execution, STATE_RUNNING, at);
    execution_move(execution, state, at);
    execution->fully_ended = true;
}

static struct commit_execution *add(struct fixture *fixture,
                                    struct execution *execution,
                                    int64_t key,
                                    enum liveness live)
{
    struct commit_execution *added =
        commit_add_execution(&fixture->commit, execution, key, live, 0, STATE_COUNT);
    added->row.namespace = arena_strdup(fixture->arena, execution->namespace);
    return added;
}

static void store_ended(struct fixture *fixture, int64_t key, const char *flow, enum state state)
{
    struct execution *execution = make(key, flow, 2);
    end(execution, state, noon + key * USEC_SEC + USEC_MIN);
    add(fixture, execution, key, LIVE_ENDED);
    commit(fixture);
    execution_free(execution);
}

static struct filter equal(enum field field, const char *const *value)
{
    return (
        struct filter){ .field = field, .match = MATCH_EQUAL, .values = value, .values_count = 1 };
}

static size_t search(struct fixture *fixture,
                     const struct query *query,
                     struct execution_row **rows,
                     int64_t *total)
{
    struct error err = { 0 };
    size_t count = 0;
    if (!fixture->reader->ops->execution_search(fixture->reader, fixture->arena, query, false, rows,
                                                &count, total, &err))
        fail_msg("%s", err.text);
    return count;
}

/* ---- executions ---- */

EACH_STORE(store_gives_back_an_execution_with_its_runs)
{
    struct error err = { 0 };
    struct execution *execution = make(1, "orders", 3);
    add(fixture, execution, 1, LIVE_ACTIVE);
    commit(fixture);

    struct execution_row row;
    assert_true(fixture->reader->ops->execution_get(fixture->reader, fixture->arena,
                                                    execution->id.text, &row, &err));
    assert_int_equal(row.key, 1);
    assert_string_equal(row.namespace, "company.team");
    assert_string_equal(row.flow_id, "orders");
    assert_int_equal(row.state, STATE_CREATED);
    assert_int_equal(row.live, LIVE_ACTIVE);
    assert_int_equal(row.created_at, noon + USEC_SEC);
    assert_int_equal(row.runs_count, 3);

    struct execution *copy = execution_row_decode(&row, NULL, &err);
    assert_non_null(copy);
    assert_string_equal(copy->id.text, execution->id.text);
    assert_int_equal(copy->runs.count, 3);
    assert_string_equal(copy->runs.items[2]->task_id, "task2");
    execution_free(copy);
    execution_free(execution);
}

EACH_STORE(store_keeps_what_changes_in_an_execution_that_stays_where_it_is)
{
    struct error err = { 0 };
    struct execution *execution = make(1, "orders", 1);
    add(fixture, execution, 1, LIVE_ACTIVE);
    commit(fixture);
    execution->flow_revision = 2;
    execution->parent_id = "parent";
    execution_set_label(execution, "team", "green");
    (void)add_run(execution, "later", noon + USEC_MIN);
    add(fixture, execution, 1, LIVE_ACTIVE)->stays = true;
    commit(fixture);

    struct execution_row row;
    assert_true(fixture->reader->ops->execution_get(fixture->reader, fixture->arena,
                                                    execution->id.text, &row, &err));
    assert_int_equal(row.revision, 2);
    assert_string_equal(row.parent_id, "parent");
    assert_int_equal(row.state, STATE_CREATED);
    assert_int_equal(row.live, LIVE_ACTIVE);
    assert_int_equal(row.created_at, noon + USEC_SEC);
    assert_int_equal(row.runs_count, 2);
    struct execution *copy = execution_row_decode(&row, NULL, &err);
    assert_non_null(copy);
    assert_int_equal(copy->labels.count, 2);
    execution_free(copy);

    // and goes where it belongs once it moves
    end(execution, STATE_SUCCESS, noon + USEC_MIN);
    add(fixture, execution, 1, LIVE_ENDED);
    commit(fixture);
    struct execution_row *rows = NULL;
    size_t count = 9;
    assert_true(fixture->reader->ops->execution_active(fixture->reader, fixture->arena, 0, 10,
                                                       &rows, &count, &err));
    assert_int_equal(count, 0);
    execution_free(execution);
}

EACH_STORE(store_keeps_changed_added_and_removed_runs_apart)
{
    struct error err = { 0 };
    struct execution *execution = make(1, "orders", 3);
    add(fixture, execution, 1, LIVE_ACTIVE);
    commit(fixture);

    execution->runs.items[0]->value = "changed";
    task_run_touch(execution, execution->runs.items[0]);
    execution->runs.items[1]->is_removed = true;
    execution_sweep(execution);
    (void)add_run(execution, "late", noon + USEC_HOUR);
    add(fixture, execution, 1, LIVE_ACTIVE);
    commit(fixture);

    struct execution_row row;
    assert_true(
        fixture->reader->ops->execution_by_key(fixture->reader, fixture->arena, 1, &row, &err));
    struct execution *copy = execution_row_decode(&row, NULL, &err);
    assert_non_null(copy);
    assert_int_equal(copy->runs.count, 3);
    assert_string_equal(copy->runs.items[0]->value, "changed");
    assert_string_equal(copy->runs.items[1]->task_id, "task2");
    assert_string_equal(copy->runs.items[2]->task_id, "late");
    execution_free(copy);
    execution_free(execution);
}

EACH_STORE(store_changes_runs_of_an_execution_that_ended_in_its_first_commit)
{
    struct error err = { 0 };
    struct execution *execution = make(1, "orders", 3);
    end(execution, STATE_FAILED, noon + USEC_MIN);
    add(fixture, execution, 1, LIVE_ENDED);
    commit(fixture);

    execution->runs.items[2]->is_removed = true;
    execution_sweep(execution);
    execution->runs.items[1]->value = "again";
    task_run_touch(execution, execution->runs.items[1]);
    add(fixture, execution, 1, LIVE_ACTIVE);
    commit(fixture);

    struct execution_row row;
    assert_true(
        fixture->reader->ops->execution_by_key(fixture->reader, fixture->arena, 1, &row, &err));
    assert_int_equal(row.runs_count, 2);
    struct execution *copy = execution_row_decode(&row, NULL, &err);
    assert_non_null(copy);
    assert_string_equal(copy->runs.items[1]->value, "again");
    execution_free(copy);
    execution_free(execution);
}

EACH_STORE(store_finds_executions_by_any_unique_prefix)
{
    struct error err = { 0 };
    store_ended(fixture, 1, "orders", STATE_SUCCESS);
    store_ended(fixture, 2, "orders", STATE_SUCCESS);
    struct store_reader *reader = fixture->reader;
    struct execution_row row;
    assert_true(reader->ops->execution_get(reader, fixture->arena, "00000002", &row, &err));
    assert_int_equal(row.key, 2);
    assert_false(reader->ops->execution_get(reader, fixture->arena, "0000000", &row, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_false(reader->ops->execution_get(reader, fixture->arena, "9999", &row, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

EACH_STORE(store_accepts_a_commit_twice_without_effect)
{
    struct error err = { 0 };
    struct execution *execution = make(1, "orders", 1);
    end(execution, STATE_SUCCESS, noon + USEC_MIN);
    add(fixture, execution, 1, LIVE_ENDED);
    fixture->commit.number = ++fixture->number;
    assert_true(store_commit(fixture->store, &fixture->commit, &err));
    assert_true(store_commit(fixture->store, &fixture->commit, &err));

    struct query query = { .sort = FIELD_COUNT, .limit = 10 };
    struct execution_row *rows = NULL;
    int64_t total = 0;
    assert_int_equal(search(fixture, &query, &rows, &total), 1);
    assert_int_equal(total, 1);
    execution_free(execution);
}

EACH_STORE(store_refuses_a_commit_out_of_order)
{
    struct error err = { 0 };
    fixture->commit.number = fixture->number + 2;
    assert_false(store_commit(fixture->store, &fixture->commit, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
}

EACH_STORE(store_lets_a_trigger_fire_once_per_date)
{
    struct error err = { 0 };
    for (int64_t key = 1; key <= 2; key++) {
        struct execution *execution = make(key, "orders", 0);
        struct commit_execution *added = add(fixture, execution, key, LIVE_ACTIVE);
        added->row.fire_trigger = 7;
        added->row.fire_at = noon;
        fixture->commit.number = fixture->number + 1;
        bool ok = store_commit(fixture->store, &fixture->commit, &err);
        assert_int_equal(ok, key == 1);
        if (ok)
            fixture->number++;
        commit_clear(&fixture->commit);
        execution_free(execution);
    }
    assert_int_equal(err.code, ERR_CONFLICT);

    // A backfill may execute the same date again.
    struct execution *execution = make(3, "orders", 0);
    struct commit_execution *added = add(fixture, execution, 3, LIVE_ACTIVE);
    added->row.fire_trigger = 7;
    added->row.fire_at = noon;
    added->row.fire_backfill = noon - USEC_DAY;
    commit(fixture);
    execution_free(execution);
}

EACH_STORE(store_stores_nothing_of_a_refused_commit)
{
    struct error err = { 0 };
    store_ended(fixture, 1, "orders", STATE_SUCCESS);
    struct execution *fresh = make(2, "fresh", 1);
    struct execution *again = make(1, "orders", 1);
    add(fixture, fresh, 2, LIVE_ACTIVE);
    add(fixture, again, 1, LIVE_ACTIVE);
    *VEC_PUSH(&fixture->commit.kv) = (struct commit_kv){
        .row = { .namespace = "a", .key = "k", .type = "STRING", .value = "\"v\"", .revision = 1 },
    };
    fixture->commit.number = fixture->number + 1;
    assert_false(store_commit(fixture->store, &fixture->commit, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    commit_clear(&fixture->commit);

    struct execution_row row;
    assert_false(fixture->reader->ops->execution_get(fixture->reader, fixture->arena,
                                                     fresh->id.text, &row, &err));
    struct kv_row kv;
    assert_false(
        fixture->reader->ops->kv_get(fixture->reader, fixture->arena, "a", "k", &kv, &err));
    // The flow that appeared in the refused commit can be used afterwards.
    execution_free(fresh);
    fresh = make(2, "fresh", 1);
    add(fixture, fresh, 2, LIVE_ACTIVE);
    commit(fixture);
    assert_true(fixture->reader->ops->execution_get(fixture->reader, fixture->arena, fresh->id.text,
                                                    &row, &err));
    assert_string_equal(row.flow_id, "fresh");
    execution_free(fresh);
    execution_free(again);
}

EACH_STORE(store_lists_active_waking_and_queued_executions)
{
    struct error err = { 0 };
    struct store_reader *reader = fixture->reader;
    for (int64_t key = 1; key <= 6; key++) {
        struct execution *execution = make(key, "orders", 1);
        enum liveness live = key % 2 == 0 ? LIVE_ACTIVE : LIVE_PARKED;
        struct commit_execution *added = add(fixture, execution, key, live);
        added->row.holds_slot = key <= 3;
        if (live == LIVE_PARKED)
            added->row.wake_at = noon + (10 - key) * USEC_MIN;
        execution_free(execution);
        // The row borrows from the execution: keep what the commit needs.
        added->row.flow_id = "orders";
        added->row.labels_count = 0;
    }
    *VEC_PUSH(&fixture->commit.queued) = (struct commit_queued){
        .row = { .execution = 5,
                 .namespace = "company.team",
                 .flow_id = "orders",
                 .queued_at = noon + 2 },
    };
    *VEC_PUSH(&fixture->commit.queued) = (struct commit_queued){
        .row = { .execution = 6,
                 .namespace = "company.team",
                 .flow_id = "orders",
                 .queued_at = noon + 1 },
    };
    commit(fixture);

    struct execution_row *rows = NULL;
    size_t count = 0;
    assert_true(reader->ops->execution_active(reader, fixture->arena, 2, 10, &rows, &count, &err));
    assert_int_equal(count, 2);
    assert_int_equal(rows[0].key, 4);
    assert_int_equal(rows[0].runs_count, 1);

    assert_true(reader->ops->execution_waking(reader, fixture->arena, 0, 0, noon + 8 * USEC_MIN, 10,
                                              &rows, &count, &err));
    assert_int_equal(count, 2);
    assert_int_equal(rows[0].key, 5);
    assert_int_equal(rows[1].key, 3);
    assert_true(reader->ops->execution_waking(reader, fixture->arena, rows[0].wake_at, rows[0].key,
                                              noon + USEC_HOUR, 10, &rows, &count, &err));
    assert_int_equal(count, 2);
    assert_int_equal(rows[1].key, 1);

    struct count_row *slots = NULL;
    assert_true(reader->ops->slots(reader, fixture->arena, &slots, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(slots[0].count, 3);

    struct queued_row *queued = NULL;
    assert_true(reader->ops->queued(reader, fixture->arena, "company.team", "orders", 10, &queued,
                                    &count, &err));
    assert_int_equal(count, 2);
    assert_int_equal(queued[0].execution, 6);
}

EACH_STORE(store_searches_by_state_date_label_and_cause)
{
    struct error err = { 0 };
    for (int64_t key = 1; key <= 20; key++) {
        struct execution *execution = make(key, key % 3 == 0 ? "orders" : "refunds", 1);
        if (key % 4 == 0)
            execution_set_label(execution, "team", "data");
        if (key == 7) {
            struct value_builder builder = value_build(execution->arena);
            value_put_text(&builder, "executionId", "00000001abcdefghijklmn");
            execution->trigger_variables = value_build_map(&builder);
        }
        end(execution, key % 5 == 0 ? STATE_FAILED : STATE_SUCCESS,
            noon + key * USEC_SEC + USEC_MIN);
        add(fixture, execution, key, LIVE_ENDED);
        commit(fixture);
        execution_free(execution);
    }
    struct execution_row *rows = NULL;
    int64_t total = 0;

    const char *failed[] = { "FAILED" };
    struct filter filter = equal(FIELD_STATE, failed);
    struct query query = {
        .filters = &filter, .filters_count = 1, .sort = FIELD_COUNT, .limit = 3
    };
    assert_int_equal(search(fixture, &query, &rows, &total), 3);
    assert_int_equal(total, 4);
    assert_int_equal(rows[0].key, 20);

    const char *team[] = { "data" };
    filter = equal(FIELD_LABEL, team);
    filter.key = "team";
    assert_int_equal(search(fixture, &query, &rows, &total), 3);
    assert_int_equal(total, 5);

    const char *correlation[] = { "00000009abcdefghijklmn" };
    filter = equal(FIELD_LABEL, correlation);
    filter.key = "system.correlationId";
    assert_int_equal(search(fixture, &query, &rows, &total), 1);
    assert_int_equal(rows[0].key, 9);

    filter = (struct filter){ .field = FIELD_CAUSE, .match = MATCH_NOT_EQUAL };
    assert_int_equal(search(fixture, &query, &rows, &total), 1);
    assert_int_equal(rows[0].key, 7);
    size_t count = 0;
    assert_true(fixture->reader->ops->execution_children(fixture->reader, fixture->arena,
                                                         "00000001abcdefghijklmn", false, 0, 10,
                                                         &rows, &count, &err));
    assert_int_equal(count, 1);

    filter = (struct filter){ .field = FIELD_START,
                              .match = MATCH_GREATER_EQUAL,
                              .at = noon + 19 * USEC_SEC };
    assert_int_equal(search(fixture, &query, &rows, &total), 2);
    assert_int_equal(total, 2);

    const char *text[] = { "REFUND" };
    filter = equal(FIELD_TEXT, text);
    query.offset = 13;
    assert_int_equal(search(fixture, &query, &rows, &total), 1);
    assert_int_equal(total, 14);
}

EACH_STORE(store_counts_what_ended_across_days_and_states)
{
    struct error err = { 0 };
    for (int64_t key = 1; key <= 30; key++) {
        struct id id;
        (void)snprintf(id.text, sizeof(id.text), "%08lldabcdefghijklmn", (long long)key);
        struct execution *execution = execution_new(&id, NULL, noon + key * 4 * USEC_HOUR);
        execution->namespace = "company.team";
        execution->flow_id = "orders";
        end(execution, key % 10 == 0 ? STATE_FAILED : STATE_SUCCESS,
            noon + key * 4 * USEC_HOUR + USEC_MIN);
        add(fixture, execution, key, LIVE_ENDED);
        commit(fixture);
        // Some are taken up again and end otherwise.
        if (key == 10) {
            execution_move(execution, STATE_RESTARTED, noon + key * 5 * USEC_HOUR);
            execution_move(execution, STATE_RUNNING, noon + key * 5 * USEC_HOUR);
            struct commit_execution *added = add(fixture, execution, key, LIVE_ACTIVE);
            added->counted = STATE_FAILED;
            commit(fixture);
            execution_move(execution, STATE_SUCCESS, noon + key * 5 * USEC_HOUR);
            add(fixture, execution, key, LIVE_ENDED);
            commit(fixture);
        }
        execution_free(execution);
    }
    struct execution_row *rows = NULL;
    int64_t total = 0;
    struct filter filter = { .field = FIELD_START,
                             .match = MATCH_GREATER,
                             .at = noon + 9 * 4 * USEC_HOUR };
    struct query query = { .filters = &filter, .filters_count = 1, .sort = FIELD_COUNT };
    (void)search(fixture, &query, &rows, &total);
    assert_int_equal(total, 21);
    struct filter filters[2] = {
        filter, { .field = FIELD_START, .match = MATCH_LESS_EQUAL, .at = noon + 11 * 4 * USEC_HOUR }
    };
    query = (struct query){ .filters = filters, .filters_count = 2, .sort = FIELD_COUNT };
    (void)search(fixture, &query, &rows, &total);
    assert_int_equal(total, 2);
    const char *failed[] = { "FAILED" };
    filters[1] = equal(FIELD_STATE, failed);
    (void)search(fixture, &query, &rows, &total);
    assert_int_equal(total, 2);

    struct count_row *counts = NULL;
    size_t count = 0;
    assert_true(fixture->reader->ops->counts(fixture->reader, fixture->arena, 0, USEC_NEVER,
                                             &counts, &count, &err));
    int64_t failures = 0;
    for (size_t i = 0; i < count; i++)
        failures += counts[i].state == STATE_FAILED ? counts[i].count : 0;
    assert_int_equal(failures, 2);
}

EACH_STORE(store_deletes_an_execution_with_everything_of_it)
{
    struct error err = { 0 };
    store_ended(fixture, 1, "orders", STATE_SUCCESS);
    struct log_block block = { 0 };
    struct log_line line = { .at = noon, .level = LOG_INFO, .message = "hello", .length = 5 };
    log_block_add(&block, &line);
    struct buf body = { 0 };
    struct log_row log = {
        .execution = 1, .namespace = "company.team", .flow_id = "orders", .file_at = -1
    };
    log_block_finish(&block, &body, &log);
    log.body = (struct bytes){ .at = body.bytes, .length = body.length };
    *VEC_PUSH(&fixture->commit.logs) = log;
    *VEC_PUSH(&fixture->commit.metrics) = (struct metric_row){
        .execution = 1,
        .namespace = "company.team",
        .flow_id = "orders",
        .type = "counter",
        .name = "rows",
        .value = 3,
        .at = noon,
    };
    commit(fixture);
    buf_free(&body);
    log_block_free(&block);

    struct execution_row row;
    assert_true(
        fixture->reader->ops->execution_by_key(fixture->reader, fixture->arena, 1, &row, &err));
    struct commit_execution *gone = VEC_PUSH(&fixture->commit.executions);
    gone->row = row;
    gone->is_removed = true;
    gone->removes_logs = true;
    gone->removes_metrics = true;
    gone->counted = STATE_SUCCESS;
    commit(fixture);

    assert_false(
        fixture->reader->ops->execution_by_key(fixture->reader, fixture->arena, 1, &row, &err));
    struct query query = { .sort = FIELD_COUNT, .limit = 10 };
    struct log_row *logs = NULL;
    struct metric_row *metrics = NULL;
    size_t count = 0;
    int64_t total = 0;
    assert_true(fixture->reader->ops->log_rows(fixture->reader, fixture->arena, 1, &query, false, 0,
                                               10, &logs, &count, &err));
    assert_int_equal(count, 0);
    assert_true(fixture->reader->ops->metrics(fixture->reader, fixture->arena, 0, &query, &metrics,
                                              &count, &total, &err));
    assert_int_equal(count, 0);
    struct execution_row *rows = NULL;
    (void)search(fixture, &query, &rows, &total);
    assert_int_equal(total, 0);
    struct store_numbers numbers;
    assert_true(fixture->store->ops->numbers(fixture->store, &numbers, &err));
    assert_int_equal(numbers.execution, 1); // its key is never used again
}

EACH_STORE(store_purges_lines_by_level)
{
    struct error err = { 0 };
    struct log_block block = { 0 };
    static const enum log_level levels[] = { LOG_DEBUG, LOG_INFO, LOG_ERROR };
    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        struct log_line line = {
            .at = noon + (usec_t)i, .level = levels[i], .message = "text", .length = 4
        };
        log_block_add(&block, &line);
    }
    struct buf body = { 0 };
    struct log_row log = {
        .execution = 1, .namespace = "company.team", .flow_id = "orders", .file_at = -1
    };
    log_block_finish(&block, &body, &log);
    log.body = (struct bytes){ .at = body.bytes, .length = body.length };
    *VEC_PUSH(&fixture->commit.logs) = log;
    commit(fixture);
    *VEC_PUSH(&fixture->commit.log_purges) =
        (struct commit_log_purge){ .execution = 1, .levels = BIT(LOG_DEBUG) | BIT(LOG_INFO) };
    commit(fixture);

    struct query query = { .sort = FIELD_COUNT };
    struct log_row *rows = NULL;
    size_t count = 0;
    assert_true(fixture->reader->ops->log_rows(fixture->reader, fixture->arena, 1, &query, false, 0,
                                               10, &rows, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].lines, 1);
    assert_int_equal(rows[0].levels, BIT(LOG_ERROR));
    *VEC_PUSH(&fixture->commit.log_purges) =
        (struct commit_log_purge){ .namespace = "company.team", .levels = BIT(LOG_ERROR) };
    commit(fixture);
    assert_true(fixture->reader->ops->log_rows(fixture->reader, fixture->arena, 1, &query, false, 0,
                                               10, &rows, &count, &err));
    assert_int_equal(count, 0);
    buf_free(&body);
    log_block_free(&block);
}

/* ---- flows and the rest ---- */

EACH_STORE(store_refuses_a_page_whose_task_runs_are_too_many)
{
    for (int64_t key = 1; key <= 10; key++)
        store_ended(fixture, key, "orders", STATE_SUCCESS);
    struct execution_row *rows = NULL;
    struct error err = { 0 };
    size_t count = 0;
    struct query query = { .sort = FIELD_COUNT, .limit = 10 };
    const struct store_reader_ops *ops = fixture->reader->ops;
    assert_true(ops->execution_search(fixture->reader, fixture->arena, &query, true, &rows, &count,
                                      NULL, &err));
    assert_int_equal(count, 10);
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < rows[i].runs_count; k++)
            bytes += rows[i].runs[k].body.length;
    assert_true(bytes > 0);
    query.bytes_max = bytes;
    assert_true(ops->execution_search(fixture->reader, fixture->arena, &query, true, &rows, &count,
                                      NULL, &err));
    query.bytes_max = bytes - 1;
    assert_false(ops->execution_search(fixture->reader, fixture->arena, &query, true, &rows, &count,
                                       NULL, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_true(ops->execution_search(fixture->reader, fixture->arena, &query, false, &rows, &count,
                                      NULL, &err)); // without them there is no limit
    query.limit = 9;
    assert_true(ops->execution_search(fixture->reader, fixture->arena, &query, true, &rows, &count,
                                      NULL, &err));
    assert_int_equal(count, 9);
}

/* ---- search in the logs of all executions ---- */

#define SEARCHED_ROWS  4500
#define SEARCHED_LINES 3

struct searched {
    usec_t at;
    enum log_level level;
    int row;
    int line;
};

/* Blocks of tasks that ended in another order than they printed in, far beyond a page of rows. */
static void write_searched(struct fixture *fixture, struct searched *all)
{
    struct rng rng = { .state = 7 };
    struct log_block block = { 0 };
    struct arena *arena = arena_new();
    store_ended(fixture, 1, "orders", STATE_SUCCESS);
    for (int row = 0; row < SEARCHED_ROWS; row++) {
        // Now and then one that took most of the whole time.
        usec_t took = (usec_t)rng_below(&rng, row % 100 == 0 ? SEARCHED_ROWS : 50) * USEC_SEC;
        usec_t at = noon + row * USEC_SEC - took;
        for (int i = 0; i < SEARCHED_LINES; i++) {
            struct searched *seen = &all[row * SEARCHED_LINES + i];
            *seen = (struct searched){ .at = at,
                                       .level = rng_below(&rng, 40) == 0 ? LOG_ERROR : LOG_INFO,
                                       .row = row,
                                       .line = i };
            const char *text = arena_printf(arena, "%d.%d", row, i);
            struct log_line line = {
                .at = at, .level = seen->level, .message = text, .length = strlen(text)
            };
            log_block_add(&block, &line);
            at += (usec_t)rng_below(&rng, (uint64_t)took / 3 + 2);
        }
        struct log_row log = {
            .execution = 1, .namespace = "company.team", .flow_id = "orders", .file_at = -1
        };
        struct buf body = { 0 };
        log_block_finish(&block, &body, &log);
        log.body = (struct bytes){ .at = arena_memdup(arena, body.bytes, body.length),
                                   .length = body.length };
        buf_free(&body);
        *VEC_PUSH(&fixture->commit.logs) = log;
        if (row % 500 == 499)
            commit(fixture);
    }
    log_block_free(&block);
    arena_free(arena);
}

static int by_time(const void *a, const void *b)
{
    const struct searched *x = a;
    const struct searched *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->row != y->row ? x->row - y->row : x->line - y->line;
}

static void expect_page(struct fixture *fixture,
                        struct logstore *logs,
                        const struct searched *all,
                        size_t count,
                        const struct query *query)
{
    struct error err = { 0 };
    struct log_line *lines = NULL;
    size_t found = 0;
    int64_t total = 0;
    struct arena *arena = arena_new();
    if (!logstore_search(logs, fixture->reader, arena, 0, query, &lines, &found, &total, &err))
        fail_msg("%s", err.text);
    assert_int_equal(total, (int64_t)count);
    size_t rest = query->offset < count ? count - query->offset : 0;
    assert_int_equal(found, rest < query->limit ? rest : query->limit);
    for (size_t i = 0; i < found; i++) {
        size_t at = query->offset + i;
        const struct searched *wanted = &all[query->descending ? count - 1 - at : at];
        char text[32];
        (void)snprintf(text, sizeof(text), "%d.%d", wanted->row, wanted->line);
        assert_string_equal(lines[i].message, text);
        assert_int_equal(lines[i].at, wanted->at);
    }
    // Without the total it is the same page.
    struct log_line *again = NULL;
    size_t found_again = 0;
    assert_true(
        logstore_search(logs, fixture->reader, arena, 0, query, &again, &found_again, NULL, &err));
    assert_int_equal(found_again, found);
    for (size_t i = 0; i < found; i++)
        assert_string_equal(again[i].message, lines[i].message);
    arena_free(arena);
}

EACH_STORE(store_searches_all_logs_in_order_of_time_whatever_the_order_of_commits)
{
    struct error err = { 0 };
    size_t count = (size_t)SEARCHED_ROWS * SEARCHED_LINES;
    struct searched *all = check_calloc(count, sizeof(*all));
    write_searched(fixture, all);
    qsort(all, count, sizeof(*all), by_time);
    struct logstore *logs = logstore_new(&(struct logstore_options){ 0 }, &err);
    static const struct {
        size_t offset;
        size_t limit;
    } pages[] = { { 0, 50 }, { 6000, 100 }, { 13400, 200 }, { 20000, 10 }, { 0, 0 } };
    for (size_t i = 0; i < 2 * COUNT_OF(pages); i++) {
        struct query query = { .sort = FIELD_START,
                               .descending = i % 2 == 1,
                               .offset = pages[i / 2].offset,
                               .limit = pages[i / 2].limit };
        expect_page(fixture, logs, all, count, &query);
    }

    size_t errors = 0;
    for (size_t i = 0; i < count; i++)
        if (all[i].level == LOG_ERROR)
            all[errors++] = all[i];
    static const char *const level[] = { "ERROR" };
    struct filter filter = {
        .field = FIELD_LEVEL, .match = MATCH_GREATER_EQUAL, .values = level, .values_count = 1
    };
    for (int i = 0; i < 2; i++) {
        struct query query = { .filters = &filter,
                               .filters_count = 1,
                               .sort = FIELD_START,
                               .descending = i == 1,
                               .offset = 100,
                               .limit = 100 };
        expect_page(fixture, logs, all, errors, &query);
    }
    struct query deep = { .sort = FIELD_START, .offset = 900000, .limit = 200000 };
    struct log_line *lines = NULL;
    assert_false(logstore_search(logs, fixture->reader, fixture->arena, 0, &deep, &lines, &count,
                                 NULL, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    logstore_free(logs);
    free(all);
}

static void put_flow(struct fixture *fixture, const char *id, int64_t revision, const char *source)
{
    *VEC_PUSH(&fixture->commit.flows) = (struct flow_row){
        .namespace = "company.team",
        .id = id,
        .revision = revision,
        .source = source,
        .source_length = strlen(source),
        .digest = source,
        .labels = "{\"team\":\"data\"}",
        .deleted = revision == 3,
        .updated_at = noon + revision,
        .origin = { .actor = "ana", .channel = "git", .commit = "9f3c1ab" },
    };
}

EACH_STORE(store_keeps_every_revision_of_a_flow)
{
    struct error err = { 0 };
    struct store_reader *reader = fixture->reader;
    put_flow(fixture, "orders", 1, "first");
    commit(fixture);
    put_flow(fixture, "orders", 2, "second");
    put_flow(fixture, "refunds", 1, "first");
    commit(fixture);

    struct flow_row flow;
    assert_true(reader->ops->flow_get(reader, fixture->arena, "company.team", "orders", 0, false,
                                      &flow, &err));
    assert_int_equal(flow.revision, 2);
    assert_string_equal(flow.source, "second");
    assert_string_equal(flow.origin.commit, "9f3c1ab");
    assert_true(reader->ops->flow_get(reader, fixture->arena, "company.team", "orders", 1, false,
                                      &flow, &err));
    assert_string_equal(flow.source, "first");

    put_flow(fixture, "orders", 3, "second");
    commit(fixture);
    assert_false(reader->ops->flow_get(reader, fixture->arena, "company.team", "orders", 0, false,
                                       &flow, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_true(reader->ops->flow_get(reader, fixture->arena, "company.team", "orders", 0, true,
                                      &flow, &err));
    assert_true(flow.deleted);
    assert_true(reader->ops->flow_get(reader, fixture->arena, "company.team", "orders", 2, false,
                                      &flow, &err));

    struct flow_row *flows = NULL;
    size_t count = 0;
    int64_t total = 0;
    struct query query = { .sort = FIELD_COUNT, .limit = 10 };
    assert_true(reader->ops->flow_search(reader, fixture->arena, &query, true, &flows, &count,
                                         &total, &err));
    assert_int_equal(total, 1);
    assert_string_equal(flows[0].source, "first");
    const char *label[] = { "data" };
    struct filter filter = equal(FIELD_LABEL, label);
    filter.key = "team";
    query.filters = &filter;
    query.filters_count = 1;
    assert_true(reader->ops->flow_search(reader, fixture->arena, &query, false, &flows, &count,
                                         &total, &err));
    assert_int_equal(total, 1);
    assert_null(flows[0].source);

    assert_true(reader->ops->flow_revisions(reader, fixture->arena, "company.team", "orders", false,
                                            &flows, &count, &err));
    assert_int_equal(count, 3);
    *VEC_PUSH(&fixture->commit.flow_purges) =
        (struct commit_flow_purge){ .namespace = "company.team", .id = "orders", .revision = 3 };
    commit(fixture);
    assert_true(reader->ops->flow_get(reader, fixture->arena, "company.team", "orders", 0, false,
                                      &flow, &err));
    assert_int_equal(flow.revision, 2);
}

EACH_STORE(store_keeps_files_documents_and_the_outbox)
{
    struct error err = { 0 };
    struct store_reader *reader = fixture->reader;
    static const char *const paths[] = { "/a.sql", "/queries/b.sql", "/queries/c.sql",
                                         "/queries.txt" };
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        for (int64_t revision = 1; revision <= 2; revision++)
            *VEC_PUSH(&fixture->commit.files) = (struct commit_file){
                .row = { .namespace = "company.team",
                         .path = paths[i],
                         .revision = revision,
                         .deleted = revision == 2 && i == 2,
                         .size = revision,
                         .digest = "d",
                         .content = "c",
                         .created_at = noon,
                         .updated_at = noon },
            };
    for (int i = 0; i < 5; i++) {
        *VEC_PUSH(&fixture->commit.documents) = (struct commit_document){
            .row = { .collection = "applied",
                     .key = arena_printf(fixture->arena, "c%d", i),
                     .at = noon + (i * 7) % 5,
                     .body = { "body", 4 } },
        };
        *VEC_PUSH(&fixture->commit.outbox) = (struct commit_outbox){
            .row = { .key = i + 1,
                     .topic = "status",
                     .order_key = i < 2 ? "repo" : NULL,
                     .due_at = i == 0 ? noon + USEC_HOUR : noon,
                     .body = { "x", 1 } },
        };
    }
    commit(fixture);

    struct file_row *files = NULL;
    size_t count = 0;
    assert_true(reader->ops->file_list(reader, fixture->arena, "company.team", "/queries", &files,
                                       &count, &err));
    assert_int_equal(count, 1);
    assert_string_equal(files[0].path, "/queries/b.sql");
    assert_int_equal(files[0].revision, 2);
    assert_true(
        reader->ops->file_list(reader, fixture->arena, "company.team", "/", &files, &count, &err));
    assert_int_equal(count, 3);
    struct file_row file;
    assert_false(reader->ops->file_get(reader, fixture->arena, "company.team", "/queries/c.sql", 0,
                                       &file, &err));
    assert_true(reader->ops->file_get(reader, fixture->arena, "company.team", "/queries/c.sql", 1,
                                      &file, &err));
    assert_true(reader->ops->file_revisions(reader, fixture->arena, "company.team", "/a.sql",
                                            &files, &count, &err));
    assert_int_equal(count, 2);

    struct document_row *documents = NULL;
    assert_true(reader->ops->document_recent(reader, fixture->arena, "applied", USEC_NEVER, 2,
                                             &documents, &count, &err));
    assert_int_equal(count, 2);
    assert_string_equal(documents[0].key, "c2");
    assert_true(reader->ops->document_list(reader, fixture->arena, "applied", "c", "c1", 10,
                                           &documents, &count, &err));
    assert_int_equal(count, 3);

    struct outbox_row *outbox = NULL;
    assert_true(
        reader->ops->outbox_due(reader, fixture->arena, "status", noon, 10, &outbox, &count, &err));
    assert_int_equal(count, 3); // the second waits for the first, which is due later
    assert_int_equal(outbox[0].key, 3);

    const char **names = NULL;
    assert_true(reader->ops->namespaces(reader, fixture->arena, "TEAM", &names, &count, &err));
    assert_int_equal(count, 1);
    assert_string_equal(names[0], "company.team");
}

EACH_STORE(store_keeps_triggers_windows_cache_and_keys)
{
    struct error err = { 0 };
    struct store_reader *reader = fixture->reader;
    struct trigger_state trigger = {
        .key = 4,
        .namespace = "company.team",
        .flow_id = "orders",
        .trigger_id = "hourly",
        .kind = TRIGGER_SCHEDULE,
        .type = "Schedule",
        .spec = "c1||0 * * * *|UTC",
        .revision = 2,
        .next_at = noon,
        .execution_id = "x",
        .updated_at = noon,
        .backfill = { .start = noon - 5,
                      .id = 77,
                      .end = noon,
                      .current = noon - 3,
                      .inputs = "{}" },
    };
    *VEC_PUSH(&fixture->commit.triggers) = (struct commit_trigger){ .row = trigger };
    *VEC_PUSH(&fixture->commit.windows) = (struct commit_window){
        .row = { .namespace = "company.team",
                 .flow_id = "orders",
                 .window_id = "w",
                 .start_at = 1,
                 .end_at = 5,
                 .body = { "b", 1 } },
    };
    *VEC_PUSH(&fixture->commit.cache) = (struct commit_cache){
        .row = { .namespace = "company.team",
                 .flow_id = "orders",
                 .key = "sha",
                 .created_at = noon,
                 .expires_at = USEC_NEVER,
                 .body = { "out", 3 } },
    };
    *VEC_PUSH(&fixture->commit.kv) = (struct commit_kv){
        .row = { .namespace = "company",
                 .key = "since",
                 .type = "DATE",
                 .value = "\"2026-01-01\"",
                 .revision = 3,
                 .created_at = 1,
                 .updated_at = 2,
                 .expires_at = USEC_NEVER },
    };
    commit(fixture);

    struct trigger_state found;
    assert_true(reader->ops->trigger_get(reader, fixture->arena, "company.team", "orders", "hourly",
                                         &found, &err));
    assert_int_equal(found.key, 4);
    assert_int_equal(found.backfill.current, noon - 3);
    assert_int_equal(found.backfill.id, 77);
    assert_string_equal(found.execution_id, "x");
    trigger.backfill = (struct backfill){ 0 };
    trigger.execution_id = NULL;
    trigger.disabled = true;
    *VEC_PUSH(&fixture->commit.triggers) = (struct commit_trigger){ .row = trigger };
    commit(fixture);
    assert_true(reader->ops->trigger_by_key(reader, fixture->arena, 4, &found, &err));
    assert_int_equal(found.backfill.start, 0);
    assert_null(found.execution_id);
    *VEC_PUSH(&fixture->commit.triggers) = (struct commit_trigger){
        .row = { .key = 4, .date = 8, .next_at = 9, .execution_id = "y", .updated_at = 7 },
        .is_advance = true,
    };
    commit(fixture);
    assert_true(reader->ops->trigger_by_key(reader, fixture->arena, 4, &found, &err));
    assert_int_equal(found.next_at, 9);
    assert_string_equal(found.execution_id, "y");
    assert_string_equal(found.spec, "c1||0 * * * *|UTC");

    const char *off[] = { "DISABLED" };
    struct filter filter = equal(FIELD_TRIGGER_STATE, off);
    struct query query = {
        .filters = &filter, .filters_count = 1, .sort = FIELD_COUNT, .limit = 5
    };
    struct trigger_state *triggers = NULL;
    size_t count = 0;
    int64_t total = 0;
    assert_true(reader->ops->trigger_search(reader, fixture->arena, &query, &triggers, &count,
                                            &total, &err));
    assert_int_equal(total, 1);

    struct window_row window;
    assert_true(reader->ops->window_get(reader, fixture->arena, "company.team", "orders", "w",
                                        &window, &err));
    struct window_row *windows = NULL;
    assert_true(reader->ops->window_expired(reader, fixture->arena, 6, 10, &windows, &count, &err));
    assert_int_equal(count, 1);
    struct cache_row cache;
    assert_true(reader->ops->cache_get(reader, fixture->arena, "company.team", "orders", "sha",
                                       &cache, &err));
    assert_int_equal(cache.body.length, 3);
    struct kv_row kv;
    assert_true(reader->ops->kv_get(reader, fixture->arena, "company", "since", &kv, &err));
    assert_string_equal(kv.type, "DATE");
    assert_int_equal(kv.revision, 3);
    fixture->commit.kv.count = 0;
    *VEC_PUSH(&fixture->commit.kv) =
        (struct commit_kv){ .row = { .namespace = "company", .key = "since" }, .is_removed = true };
    *VEC_PUSH(&fixture->commit.triggers) =
        (struct commit_trigger){ .row = trigger, .is_removed = true };
    commit(fixture);
    assert_false(reader->ops->kv_get(reader, fixture->arena, "company", "since", &kv, &err));
    assert_false(reader->ops->trigger_by_key(reader, fixture->arena, 4, &found, &err));
}

/* The revisions of the old versions after a row, as "key:revision …". */
static const char *versions_after(struct fixture *fixture, const struct kv_row *after, size_t limit)
{
    struct error err = { 0 };
    struct kv_row *rows = NULL;
    size_t count = 0;
    if (!fixture->reader->ops->kv_versions(fixture->reader, fixture->arena, after, limit, &rows,
                                           &count, &err))
        fail_msg("%s", err.text);
    const char *text = "";
    for (size_t i = 0; i < count; i++)
        text = arena_printf(fixture->arena, "%s%s%s/%s:%lld=%s", text, i == 0 ? "" : " ",
                            rows[i].namespace, rows[i].key, (long long)rows[i].revision,
                            rows[i].value);
    return text;
}

static void put_version(struct fixture *fixture, const char *key, int64_t revision)
{
    *VEC_PUSH(&fixture->commit.kv) = (struct commit_kv){
        .row = { .namespace = "company",
                 .key = key,
                 .type = "NUMBER",
                 .value = arena_printf(fixture->arena, "%lld", (long long)revision),
                 .revision = revision,
                 .updated_at = revision,
                 .expires_at = USEC_NEVER },
    };
}

EACH_STORE(store_keeps_old_versions_of_keys_apart_from_the_latest)
{
    struct error err = { 0 };
    struct kv_row kv;
    put_version(fixture, "a", 1);
    put_version(fixture, "b", 1);
    commit(fixture);
    assert_string_equal(versions_after(fixture, NULL, 10), "");
    put_version(fixture, "a", 2);
    put_version(fixture, "a", 3); // two in one commit
    put_version(fixture, "b", 2);
    put_version(fixture, "b", 2); // the same again is no new version
    commit(fixture);
    assert_true(
        fixture->reader->ops->kv_get(fixture->reader, fixture->arena, "company", "a", &kv, &err));
    assert_int_equal(kv.revision, 3);
    assert_string_equal(versions_after(fixture, NULL, 10),
                        "company/a:2=2 company/a:1=1 company/b:1=1");
    assert_string_equal(versions_after(fixture, NULL, 1), "company/a:2=2");
    struct kv_row after = { .namespace = "company", .key = "a", .revision = 2 };
    assert_string_equal(versions_after(fixture, &after, 10), "company/a:1=1 company/b:1=1");
    after.revision = 1;
    assert_string_equal(versions_after(fixture, &after, 10), "company/b:1=1");

    *VEC_PUSH(&fixture->commit.kv) = (struct commit_kv){
        .row = { .namespace = "company", .key = "a", .revision = 1 },
        .is_removed = true,
        .is_version = true,
    };
    commit(fixture);
    assert_string_equal(versions_after(fixture, NULL, 10), "company/a:2=2 company/b:1=1");
    assert_true(
        fixture->reader->ops->kv_get(fixture->reader, fixture->arena, "company", "a", &kv, &err));

    // A key that is removed keeps nothing.
    *VEC_PUSH(&fixture->commit.kv) =
        (struct commit_kv){ .row = { .namespace = "company", .key = "a" }, .is_removed = true };
    commit(fixture);
    assert_string_equal(versions_after(fixture, NULL, 10), "company/b:1=1");
}

EACH_STORE(store_keeps_a_bounded_number_of_old_versions_of_a_key)
{
    for (int64_t revision = 1; revision <= KV_VERSIONS_MAX + 6; revision++)
        put_version(fixture, "often", revision);
    put_version(fixture, "seldom", 1);
    put_version(fixture, "seldom", 2);
    commit(fixture);
    struct error err = { 0 };
    struct kv_row *rows = NULL;
    size_t count = 0;
    assert_true(fixture->reader->ops->kv_versions(fixture->reader, fixture->arena, NULL, SIZE_MAX,
                                                  &rows, &count, &err));
    assert_int_equal(count, KV_VERSIONS_MAX + 1);
    assert_int_equal(rows[0].revision, KV_VERSIONS_MAX + 5);
    assert_int_equal(rows[KV_VERSIONS_MAX - 1].revision, 6);
    assert_string_equal(rows[KV_VERSIONS_MAX].key, "seldom");
}

EACH_STORE(store_reads_one_state_between_begin_and_end)
{
    struct error err = { 0 };
    if (fixture->path == NULL)
        return; // the memory store makes the writer wait instead
    store_ended(fixture, 1, "orders", STATE_SUCCESS);
    struct query query = { .sort = FIELD_COUNT, .limit = 10 };
    struct execution_row *rows = NULL;
    int64_t total = 0;
    assert_true(fixture->reader->ops->begin(fixture->reader, &err));
    (void)search(fixture, &query, &rows, &total);
    assert_int_equal(total, 1);
    store_ended(fixture, 2, "orders", STATE_SUCCESS);
    assert_int_equal(search(fixture, &query, &rows, &total), 1);
    assert_int_equal(total, 1);
    fixture->reader->ops->end(fixture->reader);
    assert_int_equal(search(fixture, &query, &rows, &total), 2);
    assert_int_equal(total, 2);
}

/* ---- SQLite alone ---- */

static void sqlite_store_refuses_a_second_weir(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct fixture fixture;
    fixture_open(&fixture, database());
    struct store_sqlite_options options = { .path = fixture.path };
    assert_null(store_sqlite_open(&options, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    char process[32];
    (void)snprintf(process, sizeof(process), "process %ld", (long)getpid());
    assert_non_null(strstr(err.text, process));
    fixture_close(&fixture);
}

static void sqlite_store_refuses_what_is_newer_or_not_its_own(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct fixture fixture;
    const char *path = database();
    fixture_open(&fixture, path);
    fixture_close(&fixture);
    struct store_sqlite_options options = { .path = path };

    struct sql_options raw = { .path = path, .access = SQL_WRITE };
    struct sql *sql = sql_open(&raw, &err);
    assert_non_null(sql);
    assert_true(sql_exec(sql, "PRAGMA user_version = 9999", &err));
    sql_close(sql);
    assert_null(store_sqlite_open(&options, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.text, "newer weir"));

    sql = sql_open(&raw, &err);
    assert_non_null(sql);
    assert_true(sql_exec(sql, "PRAGMA application_id = 1", &err));
    sql_close(sql);
    assert_null(store_sqlite_open(&options, &err));
    assert_non_null(strstr(err.text, "another program"));
}

static void sqlite_store_keeps_everything_across_a_restart(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct fixture fixture;
    const char *path = database();
    fixture_open(&fixture, path);
    store_ended(&fixture, 1, "orders", STATE_SUCCESS);
    put_flow(&fixture, "orders", 1, "first");
    commit(&fixture);
    fixture_close(&fixture);

    fixture_open(&fixture, path);
    assert_int_equal(fixture.number, 2);
    struct execution_row row;
    assert_true(
        fixture.reader->ops->execution_by_key(fixture.reader, fixture.arena, 1, &row, &err));
    assert_int_equal(row.runs_count, 2);
    assert_true(fixture.store->ops->check(fixture.store, &err));
    fixture_close(&fixture);
}

/* ---- both, compared ---- */

struct pair {
    struct fixture stores[2];
    struct rng rng;
    struct execution *executions[64];
    enum state counted[64];
    int64_t next;
};

static void compare_search(struct pair *pair, const struct query *query, uint64_t seed)
{
    struct execution_row *rows[2] = { NULL, NULL };
    int64_t totals[2] = { 0, 0 };
    size_t counts[2];
    for (size_t i = 0; i < 2; i++)
        counts[i] = search(&pair->stores[i], query, &rows[i], &totals[i]);
    if (counts[0] != counts[1] || totals[0] != totals[1])
        fail_msg("seed %llu: %zu of %lld and %zu of %lld rows", (unsigned long long)seed, counts[0],
                 (long long)totals[0], counts[1], (long long)totals[1]);
    for (size_t i = 0; i < counts[0]; i++)
        if (rows[0][i].key != rows[1][i].key || rows[0][i].state != rows[1][i].state ||
            rows[0][i].header.length != rows[1][i].header.length)
            fail_msg("seed %llu: row %zu is %lld and %lld", (unsigned long long)seed, i,
                     (long long)rows[0][i].key, (long long)rows[1][i].key);
}

static void random_filter(struct pair *pair, struct filter *filter, const char **value)
{
    static const char *const values[][3] = {
        { "company.team", "company", "comp" },
        { "flow0", "flow", "w1" },
        { "SUCCESS", "RUNNING", "FAILED" },
        { "even", "odd", "v" },
    };
    static const enum field fields[] = { FIELD_NAMESPACE, FIELD_FLOW, FIELD_STATE, FIELD_LABEL,
                                         FIELD_START,     FIELD_END,  FIELD_TEXT };
    size_t which = (size_t)rng_below(&pair->rng, COUNT_OF(fields));
    *value = values[which < 4 ? which : 0][rng_below(&pair->rng, 3)];
    *filter = (struct filter){
        .field = fields[which],
        .match = (enum match)rng_below(&pair->rng, MATCH_PREFIX + 1),
        .key = "parity",
        .values = value,
        .values_count = 1,
        .at = noon + (usec_t)rng_below(&pair->rng, 80) * USEC_HOUR,
    };
}

static void random_search(struct pair *pair, uint64_t seed)
{
    struct filter filters[3];
    const char *values[3];
    size_t count = (size_t)rng_below(&pair->rng, 4);
    for (size_t i = 0; i < count; i++)
        random_filter(pair, &filters[i], &values[i]);
    static const enum field sorts[] = { FIELD_COUNT, FIELD_ID,    FIELD_FLOW,
                                        FIELD_STATE, FIELD_START, FIELD_DURATION };
    struct query query = {
        .filters = filters,
        .filters_count = count,
        .sort = sorts[rng_below(&pair->rng, COUNT_OF(sorts))],
        .descending = rng_below(&pair->rng, 2) == 1,
        .offset = (size_t)rng_below(&pair->rng, 5),
        .limit = (size_t)rng_below(&pair->rng, 20),
    };
    compare_search(pair, &query, seed);
}

/* Creates, changes or deletes one execution in both stores. */
static void random_change(struct pair *pair)
{
    size_t slot = (size_t)rng_below(&pair->rng, COUNT_OF(pair->executions));
    struct execution *execution = pair->executions[slot];
    bool removes = false;
    if (execution == NULL) {
        int64_t n = ++pair->next;
        char flow[16];
        (void)snprintf(flow, sizeof(flow), "flow%u", (unsigned)rng_below(&pair->rng, 4));
        struct id id;
        (void)snprintf(id.text, sizeof(id.text), "%04lldabcd%014zu", (long long)n, slot);
        execution = execution_new(&id, NULL, noon + n * USEC_HOUR / 3);
        execution->namespace = rng_below(&pair->rng, 2) == 0 ? "company.team" : "company.other";
        execution->flow_id = arena_strdup(execution->arena, flow);
        execution_set_label(execution, "parity", n % 2 == 0 ? "even" : "odd");
        for (uint64_t i = rng_below(&pair->rng, 3); i > 0; i--)
            (void)add_run(execution, "task", noon);
        pair->executions[slot] = execution;
        pair->counted[slot] = STATE_COUNT;
        if (rng_below(&pair->rng, 2) == 0)
            end(execution, STATE_SUCCESS, noon + n * USEC_HOUR);
    } else if (execution->state.current == STATE_CREATED) {
        execution_move(execution, STATE_RUNNING, noon + 100 * USEC_HOUR);
    } else if (execution->state.current == STATE_RUNNING) {
        execution_move(execution, STATE_FAILED, noon + 101 * USEC_HOUR);
        execution->fully_ended = true;
    } else if (rng_below(&pair->rng, 2) == 0) {
        execution_move(execution, STATE_RESTARTED, noon + 102 * USEC_HOUR);
        execution_move(execution, STATE_RUNNING, noon + 102 * USEC_HOUR);
        execution->fully_ended = false;
    } else {
        removes = true;
    }

    bool is_new = execution->is_new;
    int64_t key = strtoll(arena_strndup(pair->stores[0].arena, execution->id.text, 4), NULL, 10);
    VEC(struct task_run *) dirty = { 0 };
    for (size_t i = 0; i < execution->runs.count; i++)
        *VEC_PUSH(&dirty) = execution->runs.items[i];
    for (size_t i = 0; i < 2; i++) {
        struct fixture *fixture = &pair->stores[i];
        for (size_t k = 0; k < dirty.count; k++)
            task_run_touch(execution, dirty.items[k]);
        execution->is_new = is_new;
        enum liveness live = execution->fully_ended ? LIVE_ENDED : LIVE_ACTIVE;
        struct commit_execution *added =
            commit_add_execution(&fixture->commit, execution, key, live, 0, pair->counted[slot]);
        added->is_removed = removes;
        added->removes_logs = removes;
        if (removes)
            fixture->commit.runs.count = 0;
        commit(fixture);
    }
    VEC_FREE(&dirty);
    pair->counted[slot] = execution->state.current;
    if (removes) {
        execution_free(execution);
        pair->executions[slot] = NULL;
    }
}

static void stores_agree_on_random_commits_and_searches(void **state)
{
    (void)state;
    uint64_t seed = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 10) : rng_seed();
    struct pair pair = { .rng = { .state = seed } };
    fixture_open(&pair.stores[0], NULL);
    fixture_open(&pair.stores[1], database());
    for (int round = 0; round < 400; round++) {
        random_change(&pair);
        random_search(&pair, seed);
    }
    for (size_t i = 0; i < COUNT_OF(pair.executions); i++)
        execution_free(pair.executions[i]);
    fixture_close(&pair.stores[0]);
    fixture_close(&pair.stores[1]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(store_gives_back_an_execution_with_its_runs),
    cmocka_unit_test(store_keeps_what_changes_in_an_execution_that_stays_where_it_is),
    cmocka_unit_test(store_keeps_changed_added_and_removed_runs_apart),
    cmocka_unit_test(store_changes_runs_of_an_execution_that_ended_in_its_first_commit),
    cmocka_unit_test(store_finds_executions_by_any_unique_prefix),
    cmocka_unit_test(store_accepts_a_commit_twice_without_effect),
    cmocka_unit_test(store_refuses_a_commit_out_of_order),
    cmocka_unit_test(store_lets_a_trigger_fire_once_per_date),
    cmocka_unit_test(store_stores_nothing_of_a_refused_commit),
    cmocka_unit_test(store_lists_active_waking_and_queued_executions),
    cmocka_unit_test(store_searches_by_state_date_label_and_cause),
    cmocka_unit_test(store_counts_what_ended_across_days_and_states),
    cmocka_unit_test(store_deletes_an_execution_with_everything_of_it),
    cmocka_unit_test(store_refuses_a_page_whose_task_runs_are_too_many),
    cmocka_unit_test(store_searches_all_logs_in_order_of_time_whatever_the_order_of_commits),
    cmocka_unit_test(store_purges_lines_by_level),
    cmocka_unit_test(store_keeps_every_revision_of_a_flow),
    cmocka_unit_test(store_keeps_files_documents_and_the_outbox),
    cmocka_unit_test(store_keeps_triggers_windows_cache_and_keys),
    cmocka_unit_test(store_keeps_old_versions_of_keys_apart_from_the_latest),
    cmocka_unit_test(store_keeps_a_bounded_number_of_old_versions_of_a_key),
    cmocka_unit_test(store_reads_one_state_between_begin_and_end),
    cmocka_unit_test(sqlite_store_refuses_a_second_weir),
    cmocka_unit_test(sqlite_store_refuses_what_is_newer_or_not_its_own),
    cmocka_unit_test(sqlite_store_keeps_everything_across_a_restart),
    cmocka_unit_test(stores_agree_on_random_commits_and_searches),
};
TEST_GROUP(store, tests)
