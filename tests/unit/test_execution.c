/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/pack.h"
#include "base/rng.h"
#include "core/value.h"
#include "core/value_codec.h"
#include "runtime/engine/execution.h"
#include "tests/support/test.h"

static void pack_reads_back_every_number(void **state)
{
    (void)state;
    static const int64_t numbers[] = { 0, 1, -1, 63, 64, -64, -65, 8191, INT64_MAX, INT64_MIN };
    struct buf buf = { 0 };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        pack_int(&buf, numbers[i]);
        pack_uint(&buf, (uint64_t)numbers[i]);
    }
    struct unpack in = unpack_start(buf.bytes, buf.length);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_true(unpack_int(&in) == numbers[i]);
        assert_true(unpack_uint(&in) == (uint64_t)numbers[i]);
    }
    assert_false(in.bad);
    assert_int_equal(unpack_left(&in), 0);
    buf_free(&buf);
}

static const struct value *every_kind(struct arena *arena)
{
    struct value_builder list = value_build(arena);
    value_add(&list, &value_null);
    value_add(&list, &value_true);
    value_add(&list, &value_false);
    value_add(&list, value_int(arena, -5));
    value_add(&list, value_int(arena, INT64_MIN));
    value_add(&list, value_double(arena, 0.1));
    value_add(&list, value_float32(arena, 0.1F));
    value_add(&list, value_text(arena, VALUE_DECIMAL, "5.10", 4));
    value_add(&list, value_text(arena, VALUE_BIGINT, "123456789012345678901", 21));
    value_add(&list, value_text(arena, VALUE_URI, "kestra:///a", 11));
    value_add(&list, value_text(arena, VALUE_BYTES, "a\0b", 3));
    value_add(&list, value_string_n(arena, "a\0b", 3));
    value_add(&list, value_string(arena, ""));
    value_add(&list, value_instant(arena, test_time("2024-05-06T07:08:09.5Z")));
    value_add(&list, value_duration(arena, -1500000));
    struct value_time zoned = { .at = 5, .nanos = 7, .offset = -3600, .zone = "Europe/Paris" };
    value_add(&list, value_time(arena, VALUE_ZONED, zoned));
    value_add(&list, value_time(arena, VALUE_LOCAL_DATETIME, (struct value_time){ .at = -1 }));
    value_add(&list, value_time(arena, VALUE_LOCAL_DATE, (struct value_time){ .at = 0 }));
    value_add(&list, value_time(arena, VALUE_LOCAL_TIME, (struct value_time){ .nanos = 999 }));
    value_add(&list, value_entry(arena, "k", value_string(arena, "v")));
    struct value_builder map = value_build(arena);
    char key[16];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(key, sizeof(key), "key%d", i);
        value_put_int(&map, key, i);
    }
    value_put(&map, "none", &value_null);
    value_add(&list, value_build_map(&map));
    value_add(&list, &value_empty_list);
    value_add(&list, &value_empty_map);
    return value_build_list(&list);
}

static void value_codec_keeps_every_kind(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct error err = { 0 };
    struct buf first = { 0 };
    struct buf second = { 0 };
    const struct value *value = every_kind(arena);
    value_encode(&first, value);
    const struct value *again = value_decode(arena, first.bytes, first.length, &err);
    assert_non_null(again);
    assert_int_equal(value_count(again), value_count(value));
    for (size_t i = 0; i < value_count(value); i++)
        assert_int_equal(value_item(again, i)->kind, value_item(value, i)->kind);
    value_encode(&second, again);
    assert_int_equal(first.length, second.length);
    assert_memory_equal(first.bytes, second.bytes, first.length);
    assert_string_equal(value_to_json(arena, value), value_to_json(arena, again));
    buf_free(&first);
    buf_free(&second);
    arena_free(arena);
}

static void value_codec_refuses_damaged_bytes(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct buf buf = { 0 };
    value_encode(&buf, every_kind(arena));
    for (size_t cut = 0; cut < buf.length; cut++) {
        struct error err = { 0 };
        assert_null(value_decode(arena, buf.bytes, cut, &err));
        assert_int_equal(err.code, ERR_INTERNAL);
    }
    struct rng rng = { .state = 7 };
    for (int i = 0; i < 2000; i++) { // whatever comes back: no crash, no endless allocation
        struct buf noisy = { 0 };
        buf_add(&noisy, buf.bytes, buf.length);
        noisy.bytes[rng_below(&rng, noisy.length)] ^= (char)(1 + rng_below(&rng, 255));
        (void)value_decode(arena, noisy.bytes, noisy.length, NULL);
        buf_free(&noisy);
        arena_reset(arena);
    }
    buf_free(&buf);
    arena_free(arena);
}

static void value_codec_bounds_the_nesting(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct buf buf = { 0 };
    for (unsigned i = 0; i < VALUE_CODEC_DEPTH_MAX + 10; i++)
        buf_add(&buf, "\x0a\x01", 2); // a list of one
    buf_putc(&buf, 0);
    assert_null(value_decode(arena, buf.bytes, buf.length, NULL));
    const struct value *deep = &value_empty_list;
    for (unsigned i = 0; i + 1 < VALUE_CODEC_DEPTH_MAX; i++)
        deep = value_list(arena, &deep, 1);
    assert_true(value_can_encode(deep));
    deep = value_list(arena, &deep, 1);
    assert_false(value_can_encode(deep));
    buf_free(&buf);
    arena_free(arena);
}

/* ---- executions ---- */

static struct task task_a = { .id = "a" };
static struct task task_b = { .id = "b" };

static struct execution *sample(void)
{
    struct id id = { "00000000000000000000x1" };
    usec_t at = test_time("2024-01-02T03:04:05Z");
    struct execution *execution = execution_new(&id, NULL, at);
    struct arena *arena = execution->arena;
    execution->namespace = "company.team";
    execution->flow_id = "hello";
    execution->flow_revision = 3;
    execution_set_label(execution, "team", "data");
    execution_set_label(execution, "team", "ops");
    execution_set_label(execution, "system.correlationId", id.text);
    execution->inputs = value_with(arena, NULL, "n", value_int(arena, 5));
    execution->trigger_id = "hook";
    execution->trigger_type = "webhook";
    execution->breakpoints = value_with(arena, NULL, "x", &value_true);
    execution->retry_at = at + USEC_HOUR;
    execution_move(execution, STATE_RUNNING, at + USEC_SEC);
    struct task_run *parent = execution_add_run(execution, &task_a, NULL, NULL, -1, at);
    task_run_move(execution, parent, STATE_RUNNING, at + 2 * USEC_SEC);
    (void)task_run_add_attempt(execution, parent, at + 2 * USEC_SEC);
    for (int i = 0; i < 3; i++) {
        char value[8];
        (void)snprintf(value, sizeof(value), "v%d", i);
        struct task_run *child = execution_add_run(execution, &task_b, parent, value, i, at);
        child->outputs = value_with(arena, NULL, "n", value_int(arena, i));
        child->memo = value_string(arena, "memo");
        child->wake_at = at + (i + 1) * USEC_MIN;
        child->remote_id = i == 1 ? "job-1" : NULL;
        child->is_released = i == 2;
        task_run_move(execution, child, STATE_SUBMITTED, at + 3 * USEC_SEC);
        task_run_move(execution, child, STATE_RUNNING, at + 3 * USEC_SEC);
        struct attempt *attempt = task_run_add_attempt(execution, child, at + 3 * USEC_SEC);
        attempt->worker = "w1";
        attempt->state = STATE_SUCCESS;
        attempt->ended_at = at + 4 * USEC_SEC;
        task_run_move(execution, child, STATE_SUCCESS, at + 4 * USEC_SEC);
    }
    return execution;
}

static struct execution *copy_of(const struct execution *execution)
{
    struct buf buf = { 0 };
    struct error err = { 0 };
    execution_encode(&buf, execution);
    struct execution *copy = execution_decode(buf.bytes, buf.length, NULL, &err);
    assert_non_null(copy);
    for (size_t i = 0; i < execution->runs.count; i++) {
        buf_clear(&buf);
        task_run_encode(&buf, execution->runs.items[i]);
        assert_true(task_run_decode(copy, buf.bytes, buf.length, &err));
    }
    execution_link(copy);
    buf_free(&buf);
    return copy;
}

static void execution_survives_its_rows(void **state)
{
    (void)state;
    struct execution *execution = sample();
    struct execution *copy = copy_of(execution);
    struct arena *arena = arena_new();
    assert_string_equal(value_to_json(arena, execution_to_value(execution, arena)),
                        value_to_json(arena, execution_to_value(copy, arena)));
    assert_int_equal(copy->runs.count, 4);
    assert_int_equal(copy->dirty.count, 0);
    assert_int_equal(copy->next_seq, execution->next_seq);
    assert_int_equal(copy->retry_at, execution->retry_at);
    const struct task_run *child = execution_find_run(copy, execution->runs.items[3]->id.text);
    assert_non_null(child);
    assert_ptr_equal(child->parent, copy->runs.items[0]);
    assert_ptr_equal(copy->runs.items[0]->last_child, child);
    assert_true(child->is_released);
    assert_string_equal(value_cstr(child->memo), "memo");
    assert_true(child->wake_at == execution->runs.items[3]->wake_at);
    assert_string_equal(copy->runs.items[2]->remote_id, "job-1");
    execution_free(execution);
    execution_free(copy);
    arena_free(arena);
}

static void execution_rows_that_are_damaged_are_refused(void **state)
{
    (void)state;
    struct execution *execution = sample();
    struct buf buf = { 0 };
    execution_encode(&buf, execution);
    for (size_t cut = 0; cut < buf.length; cut++)
        assert_null(execution_decode(buf.bytes, cut, NULL, NULL));
    struct error err = { 0 };
    buf.bytes[0] = 100;
    assert_null(execution_decode(buf.bytes, buf.length, NULL, &err));
    assert_string_equal(err.text, "a stored execution was written by a newer version");
    buf_clear(&buf);
    task_run_encode(&buf, execution->runs.items[1]);
    for (size_t cut = 0; cut < buf.length; cut++)
        assert_false(task_run_decode(execution, buf.bytes, cut, NULL));
    buf_free(&buf);
    execution_free(execution);
}

static void execution_sweep_forgets_removed_runs_for_good(void **state)
{
    (void)state;
    struct execution *execution = sample();
    execution_committed(execution);
    struct task_run *gone = execution->runs.items[2];
    uint32_t next = execution->next_seq;
    task_run_touch(execution, gone);
    gone->is_removed = true;
    execution_sweep(execution);
    assert_int_equal(execution->runs.count, 3);
    assert_int_equal(execution->dirty.count, 0);
    assert_int_equal(execution->removed.count, 1);
    assert_int_equal(execution->removed.items[0], gone->seq);
    assert_null(execution_find_run(execution, gone->id.text));
    assert_true(execution->is_dirty);
    assert_int_equal(execution->next_seq, next);
    const struct task_run *child = execution->runs.items[0]->first_child;
    assert_ptr_equal(child->next_sibling, execution->runs.items[2]);
    assert_null(child->next_sibling->next_sibling);
    execution_free(execution);
}

static void execution_dates_never_decrease(void **state)
{
    (void)state;
    struct id id = { "x" };
    struct execution *execution = execution_new(&id, NULL, 1000);
    execution_move(execution, STATE_RUNNING, 500);
    execution_move(execution, STATE_RUNNING, 2000);
    assert_int_equal(execution->state.history.count, 2);
    assert_true(execution->state.history.items[1].at == 1000);
    execution_free(execution);
}

static void execution_json_has_the_shape_of_the_api(void **state)
{
    (void)state;
    struct execution *execution = sample();
    struct arena *arena = arena_new();
    const struct value *json = execution_to_value(execution, arena);
    assert_string_equal(value_get_text(json, "id", ""), execution->id.text);
    assert_int_equal(value_get_int(json, "flowRevision", 0), 3);
    assert_string_equal(value_cstr(value_path(json, "state.current")), "RUNNING");
    assert_null(value_path(json, "state.endDate"));
    assert_string_equal(value_cstr(value_path(json, "metadata.originalCreatedDate")),
                        "2024-01-02T03:04:05Z");
    assert_string_equal(value_to_json(arena, value_item(value_get(json, "labels"), 0)),
                        "{\"key\":\"team\",\"value\":\"ops\"}");
    const struct value *run = value_item(value_get(json, "taskRunList"), 1);
    assert_string_equal(
        value_to_json(arena, value_get(run, "state")),
        "{\"current\":\"SUCCESS\",\"histories\":[{\"state\":\"CREATED\",\"date\":"
        "\"2024-01-02T03:04:05Z\"},{\"state\":\"SUBMITTED\",\"date\":\"2024-01-02T03:04:08Z\"},"
        "{\"state\":\"RUNNING\",\"date\":\"2024-01-02T03:04:08Z\"},{\"state\":\"SUCCESS\","
        "\"date\":\"2024-01-02T03:04:09Z\"}],\"startDate\":\"2024-01-02T03:04:05Z\","
        "\"endDate\":\"2024-01-02T03:04:09Z\",\"duration\":\"PT4S\"}");
    assert_string_equal(value_get_text(run, "parentTaskRunId", ""),
                        execution->runs.items[0]->id.text);
    assert_null(value_get(json, "outputs"));
    arena_free(arena);
    execution_free(execution);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(pack_reads_back_every_number),
    cmocka_unit_test(value_codec_keeps_every_kind),
    cmocka_unit_test(value_codec_refuses_damaged_bytes),
    cmocka_unit_test(value_codec_bounds_the_nesting),
    cmocka_unit_test(execution_survives_its_rows),
    cmocka_unit_test(execution_rows_that_are_damaged_are_refused),
    cmocka_unit_test(execution_sweep_forgets_removed_runs_for_good),
    cmocka_unit_test(execution_dates_never_decrease),
    cmocka_unit_test(execution_json_has_the_shape_of_the_api),
};
TEST_GROUP(execution, tests)
