/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "core/jq/jq.h"
#include "core/json.h"
#include "core/value.h"
#include "tests/support/test.h"
#include "tests/unit/jq_cases.h"

static const struct value *run(struct arena *arena,
                               const char *program,
                               const char *input,
                               struct error *err)
{
    struct jq_budget budget = { .steps = 5000000,
                                .memory_max = arena_bytes(arena) + 256U * 1024 * 1024 };
    const struct value *value = json_parse(arena, input, strlen(input), err);
    assert_non_null(value);
    return jq_run(arena, program, strlen(program), value, &budget, err);
}

/* Results separated by blanks, as in the table. */
static void write_results(struct buf *out, const struct value *results)
{
    for (size_t i = 0; i < value_count(results); i++) {
        if (i > 0)
            buf_putc(out, ' ');
        value_write_json_full(out, value_item(results, i));
    }
}

static void jq_agrees_with_version_1_6(void **state)
{
    struct buf got = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena *arena = arena_new();
        struct error err = { 0 };
        const struct value *results = run(arena, cases[i].program, cases[i].input, &err);
        buf_clear(&got);
        if (results == NULL)
            buf_puts(&got, err.line > 0 ? "COMPILE" : "ERROR");
        else
            write_results(&got, results);
        if (strcmp(buf_text(&got), cases[i].results) != 0)
            fail_msg("%s | %s\n  expected %s\n  got      %s %s", cases[i].input, cases[i].program,
                     cases[i].results, buf_text(&got), err.text);
        arena_free(arena);
    }
    buf_free(&got);
}

static void jq_says_where_a_program_is_wrong(void **state)
{
    static const struct {
        const char *program;
        uint32_t line;
        uint32_t column;
    } wrong[] = {
        { ".a |\n  | .b", 2, 3 },    { "1 +", 1, 4 },     { "{a", 1, 3 },
        { "\"abc", 1, 1 },           { ".a & .b", 1, 4 }, { "1 < 2 < 3", 1, 7 },
        { "[.[] | nope(1)]", 1, 8 }, { "\"\\x\"", 1, 3 }, { "reduce 1 as 2", 1, 13 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct error err = { 0 };
        assert_null(run(arena, wrong[i].program, "null", &err));
        assert_int_equal(err.code, ERR_INVALID);
        if (err.line != wrong[i].line || err.column != wrong[i].column)
            fail_msg("%s: %u:%u: %s", wrong[i].program, err.line, err.column, err.text);
    }
}

static void jq_programs_cannot_take_forever_or_everything(void **state)
{
    static const char *const programs[] = {
        "def f: f; f",
        "def f: .+1 | f; 0 | f",
        "[range(infinite)]",
        "last(range(1e12))",
        "[repeat(1)]",
        "0 | until(false; .+1)",
        "[recurse(.)] | length",
        "\"x\" * 1e9",
        "reduce range(100) as $i (\"x\"; . + .) | length",
        "reduce range(100) as $i ([1]; . + .) | length",
        "reduce range(1e6) as $i (null; [.])",
        "reduce range(60) as $i (1; [., .]) | tojson | length",
        "(reduce range(60) as $i (1; [., .])) == (reduce range(60) as $i (1; [., .]))",
        "reduce range(60) as $i (1; [., .])",
        "[limit(1e9; repeat(\"a long text that takes memory\" | explode))] | length",
        ".[1e9] = 1",
        "[range(1e9)] | sort",
        "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\" | test(\"^(a+)+$\")",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct error err = { 0 };
        if (run(arena, programs[i], "null", &err) != NULL)
            fail_msg("ended well: %s", programs[i]);
        assert_true(err.code == ERR_LIMIT || err.code == ERR_INVALID);
    }
}

static void jq_limits_cannot_be_caught(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct error err = { 0 };
    (void)state;
    assert_null(run(arena, "try (def f: f; f) catch 1", "null", &err));
    assert_int_equal(err.code, ERR_LIMIT);
}

static void jq_refuses_programs_that_nest_too_deeply(void **state)
{
    struct buf program = { 0 };
    static const char *const parts[] = {
        "(", "[", "-", "{a:", "if 1 then ", "try ", ".[", "def f: "
    };
    (void)state;
    for (size_t p = 0; p < sizeof(parts) / sizeof(parts[0]); p++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct error err = { 0 };
        buf_clear(&program);
        while (program.length < 60000)
            buf_puts(&program, parts[p]);
        assert_null(run(arena, buf_text(&program), "null", &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
    buf_free(&program);
}

static void jq_long_loops_do_not_recurse(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct error err = { 0 };
    struct buf got = { 0 };
    (void)state;
    const struct value *results = run(
        arena, "[0 | until(. >= 100000; .+1)], [limit(1; [0 | while(. < 50000; .+1)] | length)]",
        "null", &err);
    assert_non_null(results);
    write_results(&got, results);
    assert_string_equal(buf_text(&got), "[100000] [50000]");
    buf_free(&got);
}

static void jq_slices_of_empty_lists_are_empty(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct error err = { 0 };
    (void)state;
    const struct value *results = run(arena, "[] | .[0:], .[:5], .[1:2]", "null", &err);
    assert_non_null(results);
    assert_string_equal(value_to_json(arena, results), "[[],[],[]]");
}

static void jq_repeats_an_empty_text_as_often_as_one_likes(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct error err = { 0 };
    (void)state;
    const struct value *results = run(arena, "\"\" * 1e300, \"\" * nan", "null", &err);
    assert_non_null(results);
    assert_string_equal(value_to_json(arena, results), "[\"\",null]");
}

static void jq_input_has_no_null_members_and_no_times(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct jq_budget budget = { .steps = 1000, .memory_max = 1000000 };
    struct error err = { 0 };
    (void)state;
    struct value_builder map = value_build(arena);
    value_put(&map, "gone", NULL);
    value_put(&map, "at", value_instant(arena, test_time("2024-05-06T07:08:09Z")));
    value_put(&map, "for", value_duration(arena, 90 * USEC_SEC));
    value_put(&map, "f", value_float32(arena, 0.1F));
    const struct value *input = jq_input(arena, value_build_map(&map), &budget, &err);
    assert_non_null(input);
    assert_string_equal(value_to_json(arena, input),
                        "{\"at\":\"2024-05-06T07:08:09Z\",\"for\":90,\"f\":0.1}");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(jq_agrees_with_version_1_6),
    cmocka_unit_test(jq_says_where_a_program_is_wrong),
    cmocka_unit_test(jq_programs_cannot_take_forever_or_everything),
    cmocka_unit_test(jq_limits_cannot_be_caught),
    cmocka_unit_test(jq_refuses_programs_that_nest_too_deeply),
    cmocka_unit_test(jq_long_loops_do_not_recurse),
    cmocka_unit_test(jq_slices_of_empty_lists_are_empty),
    cmocka_unit_test(jq_repeats_an_empty_text_as_often_as_one_likes),
    cmocka_unit_test(jq_input_has_no_null_members_and_no_times),
};
TEST_GROUP(jq, tests)
