/* SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/rng.h"
#include "core/value.h"
#include "tests/support/test.h"

static const char *text_of(struct buf *buf, const struct value *value, enum value_form form)
{
    buf_clear(buf);
    assert_true(value_write_limited(buf, value, form, SIZE_MAX));
    return buf_text(buf);
}

static void value_writes_the_shortest_digits_of_a_double(void **state)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {
        { 0.0, "0.0" },
        { -0.0, "-0.0" },
        { 1.0, "1.0" },
        { 100.0, "100.0" },
        { 0.001, "0.001" },
        { 0.00099, "9.9E-4" },
        { 1234.5678, "1234.5678" },
        { 12345678.9, "1.23456789E7" },
        { 9999999.0, "9999999.0" },
        { 1e7, "1.0E7" },
        { 1e21, "1.0E21" },
        { 1e23, "1.0E23" },
        { 0.1 + 0.2, "0.30000000000000004" },
        { 5e-324, "4.9E-324" },
        { 2.2250738585072014e-308, "2.2250738585072014E-308" },
        { DBL_MAX, "1.7976931348623157E308" },
        { 5.684341886080802e-14, "5.684341886080802E-14" }, // 2^-44: the gap below is smaller
        { 9007199254740993.0, "9.007199254740992E15" },
        { -0.5, "-0.5" },
        { INFINITY, "Infinity" },
        { -INFINITY, "-Infinity" },
        { NAN, "NaN" },
    };
    struct buf buf = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buf_clear(&buf);
        value_write_double(&buf, cases[i].number);
        assert_string_equal(buf_text(&buf), cases[i].text);
    }
    buf_free(&buf);
}

static void value_writes_the_shortest_digits_of_a_float(void **state)
{
    struct buf buf = { 0 };
    (void)state;
    value_write_float32(&buf, 0.1F);
    buf_putc(&buf, ' ');
    value_write_float32(&buf, 16777216.0F);
    buf_putc(&buf, ' ');
    value_write_float32(&buf, 3.4028235e38F);
    buf_putc(&buf, ' ');
    value_write_float32(&buf, 1e-45F);
    assert_string_equal(buf_text(&buf), "0.1 1.6777216E7 3.4028235E38 1.4E-45");
    buf_free(&buf);
}

static void value_doubles_read_back_to_themselves(void **state)
{
    struct rng rng = { 20260101 };
    struct buf buf = { 0 };
    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = rng_next(&rng);
        double number = 0;
        memcpy(&number, &bits, sizeof(number));
        if (!isfinite(number))
            continue;
        buf_clear(&buf);
        value_write_double(&buf, number);
        if (strtod(buf_text(&buf), NULL) != number)
            fail_msg("%a was written as %s", number, buf_text(&buf));
    }
    buf_free(&buf);
}

static void value_doubles_of_few_decimals_are_written_as_they_were_meant(void **state)
{
    struct rng rng = { 42 };
    struct buf buf = { 0 };
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[32];
        int decimals = (int)rng_below(&rng, 8) + 1;
        uint64_t below = 1;
        for (int k = 0; k < decimals; k++)
            below *= 10;
        uint64_t rest = rng_below(&rng, below);
        (void)snprintf(text, sizeof(text), "%u.%0*llu", (unsigned)rng_below(&rng, 1000000),
                       decimals, (unsigned long long)rest);
        double number = strtod(text, NULL);
        size_t length = strlen(text);
        while (text[length - 1] == '0' && text[length - 2] != '.')
            text[--length] = '\0';
        if (number < 1e-3)
            continue;
        buf_clear(&buf);
        value_write_double(&buf, number);
        assert_string_equal(buf_text(&buf), text);
    }
    buf_free(&buf);
}

static void value_json_omits_null_members_and_keeps_null_items(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct buf buf = { 0 };
    (void)state;
    struct value_builder inner = value_build(arena);
    value_put(&inner, "c", NULL);
    struct value_builder list = value_build(arena);
    value_add(&list, NULL);
    value_add(&list, value_build_map(&inner));
    struct value_builder map = value_build(arena);
    value_put(&map, "a", NULL);
    value_put(&map, "b", value_build_list(&list));
    const struct value *value = value_build_map(&map);

    assert_string_equal(text_of(&buf, value, FORM_JSON), "{\"b\":[null,{}]}");
    assert_string_equal(text_of(&buf, value, FORM_JSON_FULL),
                        "{\"a\":null,\"b\":[null,{\"c\":null}]}");
    assert_string_equal(text_of(&buf, value, FORM_PRINT), "{\"b\":[null,{}]}");
    assert_string_equal(text_of(&buf, value, FORM_DISPLAY), "{a=null, b=[null, {c=null}]}");
    assert_string_equal(value_to_json(arena, value), "{\"b\":[null,{}]}");
    buf_free(&buf);
}

static void value_json_is_utf8_whatever_the_text_holds(void **state)
{
    struct buf buf = { 0 };
    static const char text[] = "a\xff"
                               "b\xc3\xa9\xe2\x82";
    (void)state;
    value_write_json_string(&buf, text, sizeof(text) - 1);
    assert_string_equal("\"a\xef\xbf\xbd"
                        "b\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\"",
                        buf_text(&buf));
    buf_free(&buf);
}

static void value_json_escapes_what_must_be_escaped_only(void **state)
{
    struct buf buf = { 0 };
    static const char text[] = "a\"b\\c/d\b\f\n\r\t\x01\x1f\x7f\xc3\xa9\0z";
    (void)state;
    value_write_json_string(&buf, text, sizeof(text) - 1);
    assert_string_equal(buf_text(&buf),
                        "\"a\\\"b\\\\c/d\\b\\f\\n\\r\\t\\u0001\\u001F\x7f\xc3\xa9\\u0000z\"");
    buf_free(&buf);
}

static void value_prints_null_as_nothing_and_displays_it_as_null(void **state)
{
    struct buf buf = { 0 };
    (void)state;
    assert_string_equal(text_of(&buf, &value_null, FORM_PRINT), "");
    assert_string_equal(text_of(&buf, &value_null, FORM_DISPLAY), "null");
    assert_string_equal(text_of(&buf, NULL, FORM_JSON), "null");
    buf_free(&buf);
}

static void value_times_have_iso_forms(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct buf buf = { 0 };
    (void)state;
    usec_t at = test_time("2024-05-06T07:08:09.123456Z");
    const struct value *instant = value_instant(arena, at);
    assert_string_equal(text_of(&buf, instant, FORM_PRINT), "2024-05-06T07:08:09.123456Z");
    assert_string_equal(text_of(&buf, instant, FORM_JSON), "\"2024-05-06T07:08:09.123456Z\"");

    const struct value *zoned = value_time(arena, VALUE_ZONED,
                                           (struct value_time){
                                               .at = test_time("2013-09-08T14:19:00Z"),
                                               .offset = 7200,
                                               .zone = "Europe/Paris",
                                           });
    assert_string_equal(text_of(&buf, zoned, FORM_PRINT), "2013-09-08T16:19+02:00[Europe/Paris]");

    usec_t midnight = test_time("2024-03-07T00:00:00Z");
    const struct value *date =
        value_time(arena, VALUE_LOCAL_DATE, (struct value_time){ .at = midnight });
    assert_string_equal(text_of(&buf, date, FORM_PRINT), "2024-03-07");
    const struct value *time = value_time(
        arena, VALUE_LOCAL_TIME, (struct value_time){ .at = 9 * USEC_HOUR + 5 * USEC_MIN });
    assert_string_equal(text_of(&buf, time, FORM_PRINT), "09:05");
    const struct value *local =
        value_time(arena, VALUE_LOCAL_DATETIME, (struct value_time){ .at = midnight + USEC_SEC });
    assert_string_equal(text_of(&buf, local, FORM_PRINT), "2024-03-07T00:00:01");

    const struct value *span = value_duration(arena, 90 * USEC_MIN);
    assert_string_equal(text_of(&buf, span, FORM_PRINT), "PT1H30M");
    assert_string_equal(text_of(&buf, span, FORM_JSON), "5400.0");
    buf_free(&buf);
}

static void value_decimals_keep_their_scale(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct buf buf = { 0 };
    (void)state;
    const struct value *price = value_text(arena, VALUE_DECIMAL, "5.10", 4);
    assert_string_equal(text_of(&buf, price, FORM_PRINT), "5.10");
    const struct value *large = value_text(arena, VALUE_DECIMAL, "-1.2E+5", 7);
    assert_string_equal(text_of(&buf, large, FORM_PRINT), "-120000");
    assert_string_equal(text_of(&buf, large, FORM_JSON), "-1.2E+5");
    buf_free(&buf);
}

static void value_bytes_and_not_a_number_are_strings_in_json(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct buf buf = { 0 };
    (void)state;
    struct value_builder list = value_build(arena);
    value_add(&list, value_text(arena, VALUE_BYTES, "\xff\x00\x10\x80", 4));
    value_add(&list, value_double(arena, NAN));
    value_add(&list, value_double(arena, 1e300));
    assert_string_equal(text_of(&buf, value_build_list(&list), FORM_JSON),
                        "[\"/wAQgA==\",\"NaN\",1.0E300]");
    buf_free(&buf);
}

static const struct value *lazy_get(const void *data,
                                    struct arena *arena,
                                    const char *key,
                                    size_t length)
{
    (void)data;
    (void)arena;
    return length == 1 && key[0] == 'k' ? &value_true : NULL;
}

static const struct value *lazy_force(const void *data, struct arena *arena)
{
    (void)data;
    struct value_builder map = value_build(arena);
    value_put(&map, "k", &value_true);
    return value_build_map(&map);
}

static void value_members_are_found_in_any_case(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct value_builder builder = value_build(arena);
    value_put_int(&builder, "X-Token", 1);
    value_put_int(&builder, "x-token", 2);
    value_put_int(&builder, "Accept", 3);
    const struct value *map = value_any_case(arena, value_build_map(&builder));
    assert_int_equal(value_get_in(arena, map, "X-Token", 7)->integer, 1);
    assert_int_equal(value_get_in(arena, map, "x-token", 7)->integer, 2);
    assert_int_equal(value_get_in(arena, map, "ACCEPT", 6)->integer, 3);
    assert_null(value_get_in(arena, map, "Accep", 5));
    assert_int_equal(value_count(value_force(arena, map)), 3);
}

static void value_lazy_maps_write_as_maps(void **state)
{
    static const struct value_lazy_ops ops = { lazy_get, lazy_force };
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct buf buf = { 0 };
    (void)state;
    const struct value *lazy = value_lazy(arena, &ops, NULL);
    assert_string_equal(text_of(&buf, lazy, FORM_PRINT), "{\"k\":true}");
    assert_string_equal(text_of(&buf, lazy, FORM_DISPLAY), "{k=true}");
    buf_free(&buf);
}

static void value_writing_stops_at_its_limit_however_much_is_shared(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct buf buf = { 0 };
    const struct value *value = &value_true;
    (void)state;
    for (int i = 0; i < 60; i++) { // 2^60 leaves as text
        const struct value *items[] = { value, value };
        value = value_list(arena, items, 2);
    }
    assert_false(value_write_limited(&buf, value, FORM_JSON, 10000));
    assert_true(buf.length < 20000);
    buf_free(&buf);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(value_writes_the_shortest_digits_of_a_double),
    cmocka_unit_test(value_writes_the_shortest_digits_of_a_float),
    cmocka_unit_test(value_doubles_read_back_to_themselves),
    cmocka_unit_test(value_doubles_of_few_decimals_are_written_as_they_were_meant),
    cmocka_unit_test(value_json_omits_null_members_and_keeps_null_items),
    cmocka_unit_test(value_json_escapes_what_must_be_escaped_only),
    cmocka_unit_test(value_json_is_utf8_whatever_the_text_holds),
    cmocka_unit_test(value_prints_null_as_nothing_and_displays_it_as_null),
    cmocka_unit_test(value_times_have_iso_forms),
    cmocka_unit_test(value_decimals_keep_their_scale),
    cmocka_unit_test(value_bytes_and_not_a_number_are_strings_in_json),
    cmocka_unit_test(value_members_are_found_in_any_case),
    cmocka_unit_test(value_lazy_maps_write_as_maps),
    cmocka_unit_test(value_writing_stops_at_its_limit_however_much_is_shared),
};
TEST_GROUP(value, tests)
