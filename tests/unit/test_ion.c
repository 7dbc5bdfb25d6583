/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "core/ion.h"
#include "core/value.h"
#include "tests/support/test.h"

static void ion_text_comes_back_as_it_was_written(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "null",
        "true",
        "42",
        "-7",
        "123456789012345678901234567890",
        "1.5e0",
        "12.50",
        "-0.001",
        "nan",
        "+inf",
        "-inf",
        "\"\"",
        "\"a \\\"b\\\" \\\\ \\n\\t é\"",
        "{{aGVsbG8=}}",
        "2024-05-01T10:20:30.123Z",
        "2024-05-01",
        "LocalDateTime::\"2024-05-01T10:20:30\"",
        "ZonedDateTime::\"2024-05-01T10:20:30+02:00[Europe/Paris]\"",
        "OffsetDateTime::\"2024-05-01T10:20:30+02:00\"",
        "LocalTime::\"10:20:30\"",
        "[1,2,[\"x\"]]",
        "{id:1,'odd name':2,'true':3,$x:{a:null}}",
        "{id:1,name:\"Ada\",amount:12.50,ratio:1.5e0,created:2024-05-01T10:20:30.123Z,"
        "day:2024-05-01,local:LocalDateTime::\"2024-05-01T10:20:30\",tags:[\"a\",\"b\"],"
        "note:null}",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct arena *arena = arena_new();
        struct error err = { 0 };
        struct buf out = { 0 };
        size_t used = 0;
        const struct value *value = ion_parse_first(arena, texts[i], strlen(texts[i]), &used, &err);
        if (value == NULL)
            fail_msg("%s: %s", texts[i], err.text);
        assert_int_equal(used, strlen(texts[i]));
        ion_write(&out, value);
        assert_string_equal(buf_text(&out), texts[i]);
        buf_free(&out);
        arena_free(arena);
    }
}

static void ion_accepts_other_spellings(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *json;
    } cases[] = {
        { " { \"a\" : 1 , b : [ x , 'y z' , ] } ", "{\"a\":1,\"b\":[\"x\",\"y z\"]}" },
        { "// note\n/* more */ some::thing::{a:1}", "{\"a\":1}" },
        { "0x1F", "31" },
        { "-0b101", "-5" },
        { "1_000", "1000" },
        { "null.string", "null" },
        { "(1 2 +3)", "[1,2,3]" },
        { "'''long ''' '''text'''", "\"long text\"" },
        { "\"\\u00e9\\x41\\U0001F600\"", "\"éA😀\"" },
        { "\"\\ud83d\\ude00\"", "\"😀\"" },
        { "2024-05-01T", "\"2024-05-01\"" },
        { "2024T", "\"2024-01-01\"" },
        { "2024-05-01T12:00+02:00", "\"2024-05-01T10:00:00Z\"" },
        { "1d3", "1000" },
        { "125d-2", "1.25" },
        { "5d-3", "0.005" },
        { "{{\"clob\"}}", "\"clob\"" },
        { "{a:1,a:2}", "{\"a\":2}" },
        { "nullable", "\"nullable\"" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_new();
        struct error err = { 0 };
        const struct value *value =
            ion_parse_first(arena, cases[i].text, strlen(cases[i].text), NULL, &err);
        if (value == NULL)
            fail_msg("%s: %s", cases[i].text, err.text);
        assert_string_equal(value_to_json(arena, value), cases[i].json);
        arena_free(arena);
    }
}

static void ion_refuses_what_is_malformed(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{bad", "[1",      "\"x",  "{a 1}",  "{:1}", "]",       "2024-13-01", "2024-05-01T10:20",
        "'x",   "{{a%b}}", "0x",   "1e",     "-",    "\"\\q\"", "{a:}",       "[1 2]",
        "@",    "1d99999", "{{aa", "some::",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct arena *arena = arena_new();
        struct error err = { 0 };
        if (ion_parse_first(arena, texts[i], strlen(texts[i]), NULL, &err) != NULL)
            fail_msg("'%s' was taken", texts[i]);
        assert_int_equal(err.code, ERR_INVALID);
        arena_free(arena);
    }
}

static void ion_reads_all_values_of_a_text(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct error err = { 0 };
    const char *text = "$ion_1_0 {a:1}\n{a:2}\n\n";
    const struct value *all = ion_parse_all(arena, text, strlen(text), &err);
    assert_non_null(all);
    assert_string_equal(value_to_json(arena, all), "[{\"a\":1},{\"a\":2}]");
    assert_null(ion_parse_first(arena, " \n", 2, NULL, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    arena_free(arena);
}

static void ion_depth_is_bounded(void **state)
{
    (void)state;
    static const char *const opens[] = { "[", "{a:", "(", "a::" };
    for (size_t i = 0; i < COUNT_OF(opens); i++) {
        struct arena *arena = arena_new();
        struct error err = { 0 };
        struct buf text = { 0 };
        for (int k = 0; k < 100000; k++)
            buf_puts(&text, opens[i]);
        assert_null(ion_parse_first(arena, text.bytes, text.length, NULL, &err));
        assert_int_equal(err.code, ERR_LIMIT);
        buf_free(&text);
        arena_free(arena);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(ion_text_comes_back_as_it_was_written),
    cmocka_unit_test(ion_accepts_other_spellings),
    cmocka_unit_test(ion_refuses_what_is_malformed),
    cmocka_unit_test(ion_reads_all_values_of_a_text),
    cmocka_unit_test(ion_depth_is_bounded),
};
TEST_GROUP(ion, tests)
