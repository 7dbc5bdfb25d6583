/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "core/json.h"
#include "core/value.h"
#include "tests/support/test.h"

static const struct value *parse(struct arena *arena, const char *text)
{
    struct error err = { 0 };
    const struct value *value = json_parse(arena, text, strlen(text), &err);
    if (value == NULL)
        fail_msg("%s: %u:%u: %s", text, err.line, err.column, err.text);
    return value;
}

static void json_reads_every_kind_of_value(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct buf buf = { 0 };
    (void)state;
    value_write_json_full(
        &buf, parse(arena, " {\"z\":[1,-2.5,true,false,null,\"\\u00fc\\ud83d\\ude00\\n\"],"
                           "\"a\":{},\"b\":[]}\n"));
    assert_string_equal(buf_text(&buf), "{\"z\":[1,-2.5,true,false,null,\"\xc3\xbc\xf0\x9f\x98\x80"
                                        "\\n\"],\"a\":{},\"b\":[]}");
    buf_free(&buf);
    assert_int_equal(parse(arena, "7")->kind, VALUE_INT);
    assert_int_equal(parse(arena, "\"s\"")->kind, VALUE_STRING);
    assert_int_equal(parse(arena, "null")->kind, VALUE_NULL);
}

static void json_marks_integers_that_fit_32_bits(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    (void)state;
    assert_true(parse(arena, "2147483647")->is_int32);
    assert_true(parse(arena, "-2147483648")->is_int32);
    assert_false(parse(arena, "2147483648")->is_int32);
}

static void json_keeps_integers_beyond_64_bits(void **state)
{
    static const char *const big[] = {
        "9223372036854775808",
        "-9223372036854775809",
        "98765432109876543210",
        "123456789012345678901234567890123456789012345678901234567890",
    };
    AUTO(arena_freep) struct arena *arena = arena_new();
    (void)state;
    for (size_t i = 0; i < sizeof(big) / sizeof(big[0]); i++) {
        const struct value *value = parse(arena, big[i]);
        assert_int_equal(value->kind, VALUE_BIGINT);
        assert_string_equal(value_cstr(value), big[i]);
    }
    const struct value *least = parse(arena, "-9223372036854775808");
    assert_int_equal(least->kind, VALUE_INT);
    assert_int_equal(least->integer, INT64_MIN);
    assert_int_equal(parse(arena, "9223372036854775807")->integer, INT64_MAX);
}

static void json_never_takes_a_string_for_a_big_integer(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    (void)state;
    // U+E000 is what a stand-in would begin with if the text did not hold it, plain or escaped.
    const struct value *list = parse(arena, "[98765432109876543210,\"\xee\x80\x80"
                                            "12345678901234567890\",\"\\ue001"
                                            "99\","
                                            "\"\\uE002x\"]");
    assert_int_equal(value_item(list, 0)->kind, VALUE_BIGINT);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(value_item(list, i)->kind, VALUE_STRING);
    assert_string_equal(value_cstr(value_item(list, 1)), "\xee\x80\x80"
                                                         "12345678901234567890");
}

static void json_numbers_beyond_a_double_are_infinite(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    (void)state;
    const struct value *list = parse(arena, "[1e999,-1E+400,1e-999,1e2]");
    assert_true(isinf(value_item(list, 0)->number));
    assert_true(value_item(list, 1)->number < 0 && isinf(value_item(list, 1)->number));
    assert_true(value_item(list, 2)->number == 0);
    assert_true(value_item(list, 3)->number == 100);
}

static void json_last_of_two_equal_members_counts(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    (void)state;
    const struct value *map = parse(arena, "{\"a\":1,\"b\":2,\"a\":3}");
    assert_int_equal(map->map.count, 2);
    assert_int_equal(value_get_int(map, "a", 0), 3);
}

static void json_says_where_a_mistake_is(void **state)
{
    static const struct {
        const char *text;
        uint32_t line;
        uint32_t column;
    } cases[] = {
        { "{\n  \"a\": 1,\n  \"b\" 2\n}", 3, 8 },
        { "{\"n\": 98765432109876543210, \"b\" 2}", 1, 34 },
        { "[1, 2", 1, 6 },
        { "\"\xc3\xa9\xc3\xa9\" x", 1, 7 },
    };
    AUTO(arena_freep) struct arena *arena = arena_new();
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = { 0 };
        assert_null(json_parse(arena, cases[i].text, strlen(cases[i].text), &err));
        assert_int_equal(err.code, ERR_INVALID);
        if (err.line != cases[i].line || err.column != cases[i].column)
            fail_msg("%s: %u:%u: %s", cases[i].text, err.line, err.column, err.text);
    }
}

static void json_refuses_what_is_not_json(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "{bad",
        "[1,]",
        "{\"a\":1,}",
        "01",
        "1.",
        ".5",
        "+1",
        "- 1",
        "nul",
        "'a'",
        "\"\t\"",
        "\"\\x\"",
        "[1 2]",
        "1 2",
        "\"\xff\"",
        "{1:2}",
        "[99999999999999999999",
        "-",
        "1e",
        "NaN",
        "\"\\ud800\"",
    };
    AUTO(arena_freep) struct arena *arena = arena_new();
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct error err = { 0 };
        if (json_parse(arena, texts[i], strlen(texts[i]), &err) != NULL)
            fail_msg("accepted %s", texts[i]);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void json_bounds_its_depth(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct buf buf = { 0 };
    struct error err = { 0 };
    (void)state;
    for (unsigned i = 0; i < JSON_DEPTH_MAX; i++)
        buf_putc(&buf, '[');
    for (unsigned i = 0; i < JSON_DEPTH_MAX; i++)
        buf_putc(&buf, ']');
    assert_non_null(json_parse(arena, buf_text(&buf), buf.length, &err));
    buf_clear(&buf);
    for (int i = 0; i < 1000000; i++)
        buf_putc(&buf, '[');
    assert_null(json_parse(arena, buf_text(&buf), buf.length, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(err.column, JSON_DEPTH_MAX + 1);
    buf_free(&buf);
}

static void json_reads_the_first_value_of_a_text(void **state)
{
    static const struct {
        const char *text;
        const char *json;
        size_t used;
    } cases[] = {
        { "{\"a\":1} tail", "{\"a\":1}", 7 },
        { " 12 [", "12", 3 },
        { "\"a}\"]", "\"a}\"", 4 },
        { "[98765432109876543210]]", "[98765432109876543210]", 22 },
        { "true,", "true", 4 },
    };
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct error err = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t used = 0;
        const char *text = cases[i].text;
        const struct value *value = json_parse_first(arena, text, strlen(text), &used, &err);
        assert_non_null(value);
        assert_string_equal(value_to_json(arena, value), cases[i].json);
        assert_int_equal(used, cases[i].used);
    }
    assert_null(json_parse_first(arena, "{bad} {}", 8, NULL, &err));
    assert_null(json_parse_first(arena, "", 0, NULL, &err));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(json_reads_every_kind_of_value),
    cmocka_unit_test(json_marks_integers_that_fit_32_bits),
    cmocka_unit_test(json_keeps_integers_beyond_64_bits),
    cmocka_unit_test(json_never_takes_a_string_for_a_big_integer),
    cmocka_unit_test(json_numbers_beyond_a_double_are_infinite),
    cmocka_unit_test(json_last_of_two_equal_members_counts),
    cmocka_unit_test(json_says_where_a_mistake_is),
    cmocka_unit_test(json_refuses_what_is_not_json),
    cmocka_unit_test(json_bounds_its_depth),
    cmocka_unit_test(json_reads_the_first_value_of_a_text),
};
TEST_GROUP(json, tests)
