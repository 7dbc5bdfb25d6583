/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "core/value.h"
#include "core/yaml.h"
#include "tests/support/test.h"

static const struct value *parse(struct arena *arena, const char *text)
{
    struct error err = { 0 };
    const struct value *value = yaml_parse(arena, text, strlen(text), NULL, &err);
    if (value == NULL)
        fail_msg("%s\n%u:%u: %s", text, err.line, err.column, err.text);
    return value;
}

static void expect_error(
    const char *text, enum error_code code, uint32_t line, uint32_t column, const char *fragment)
{
    struct arena *arena = arena_new();
    struct error err = { 0 };
    const struct value *value = yaml_parse(arena, text, strlen(text), NULL, &err);
    if (value != NULL)
        fail_msg("accepted: %s", text);
    if (err.code != code || err.line != line || err.column != column ||
        strstr(err.text, fragment) == NULL)
        fail_msg("%.200s\ngives %s %u:%u: %s", text, error_code_name(err.code), err.line,
                 err.column, err.text);
    arena_free(arena);
}

static void yaml_resolves_plain_scalars_as_version_1_1(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum value_kind kind;
        int64_t integer;
        double number;
    } rows[] = {
        { "", VALUE_NULL, 0, 0 },
        { "~", VALUE_NULL, 0, 0 },
        { "null", VALUE_NULL, 0, 0 },
        { "Null", VALUE_NULL, 0, 0 },
        { "nUll", VALUE_STRING, 0, 0 },
        { "true", VALUE_BOOL, 1, 0 },
        { "True", VALUE_BOOL, 1, 0 },
        { "FALSE", VALUE_BOOL, 0, 0 },
        { "tRue", VALUE_STRING, 0, 0 },
        { "yes", VALUE_STRING, 0, 0 },
        { "off", VALUE_STRING, 0, 0 },
        { "0", VALUE_INT, 0, 0 },
        { "-17", VALUE_INT, -17, 0 },
        { "+5", VALUE_INT, 5, 0 },
        { "1_000", VALUE_INT, 1000, 0 },
        { "010", VALUE_INT, 8, 0 },
        { "0x1F", VALUE_INT, 31, 0 },
        { "0b101", VALUE_INT, 5, 0 },
        { "08", VALUE_STRING, 0, 0 },
        { "0x", VALUE_STRING, 0, 0 },
        { "-x", VALUE_STRING, 0, 0 },
        { "9223372036854775807", VALUE_INT, INT64_MAX, 0 },
        { "9223372036854775808", VALUE_BIGINT, 0, 0 },
        { "1.5", VALUE_DOUBLE, 0, 1.5 },
        { ".5", VALUE_DOUBLE, 0, 0.5 },
        { "5.", VALUE_DOUBLE, 0, 5 },
        { "1e3", VALUE_DOUBLE, 0, 1000 },
        { "1.5E-1", VALUE_DOUBLE, 0, 0.15 },
        { "0.25", VALUE_DOUBLE, 0, 0.25 },
        { "1e", VALUE_STRING, 0, 0 },
        { ".", VALUE_STRING, 0, 0 },
        { "1.2.3", VALUE_STRING, 0, 0 },
        { "12:30:45", VALUE_STRING, 0, 0 },
        { "2024-05-01", VALUE_STRING, 0, 0 },
        { "2024-05-01T10:00:00Z", VALUE_STRING, 0, 0 },
        { "\"12\"", VALUE_STRING, 0, 0 },
        { "'true'", VALUE_STRING, 0, 0 },
        { "!!str 12", VALUE_STRING, 0, 0 },
        { "!!int '12'", VALUE_INT, 12, 0 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        char text[100];
        (void)snprintf(text, sizeof(text), "k: %s", rows[i].text);
        const struct value *value = value_get(parse(arena, text), "k");
        assert_non_null(value);
        if (value->kind != rows[i].kind)
            fail_msg("'%s' became %s", rows[i].text, value_kind_name(value));
        if (rows[i].kind == VALUE_INT && value->integer != rows[i].integer)
            fail_msg("'%s' became %lld", rows[i].text, (long long)value->integer);
        if (rows[i].kind == VALUE_BOOL && value->boolean != (rows[i].integer == 1))
            fail_msg("'%s' became the other boolean", rows[i].text);
        if (rows[i].kind == VALUE_DOUBLE && fabs(value->number - rows[i].number) > 1e-12)
            fail_msg("'%s' became %g", rows[i].text, value->number);
    }
}

static void yaml_reads_more_boolean_words_when_asked(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct yaml_limits limits = yaml_limits_default;
    limits.boolean_words = true;
    struct error err = { 0 };
    const struct value *list = yaml_parse(arena, "[yes, No, ON, n, maybe]", 23, &limits, &err);
    assert_true(value_item(list, 0)->boolean);
    assert_int_equal(value_item(list, 1)->kind, VALUE_BOOL);
    assert_true(value_item(list, 2)->boolean);
    assert_int_equal(value_item(list, 3)->kind, VALUE_STRING); // a letter is no word
    assert_int_equal(value_item(list, 4)->kind, VALUE_STRING);
}

static void yaml_keeps_how_a_number_was_written(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    const struct value *map = parse(arena, "{a: 1.10, b: 0x10, c: 12, d: True, e: true}");
    assert_string_equal(value_get(map, "a")->literal, "1.10");
    assert_string_equal(value_get(map, "b")->literal, "0x10");
    assert_null(value_get(map, "c")->literal);
    assert_string_equal(value_get(map, "d")->literal, "True");
    assert_null(value_get(map, "e")->literal);
    assert_true(value_get(map, "c")->is_int32);
}

static void yaml_gives_positions_of_values_and_keys(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    const struct value *map = parse(arena, "id: x\ntasks:\n  - id: é\n    type: 5\n");
    const struct value *tasks = value_get(map, "tasks");
    const struct value *task = value_item(tasks, 0);
    assert_int_equal(value_member(map, "tasks")->line, 2);
    assert_int_equal(value_member(map, "tasks")->column, 1);
    assert_int_equal(tasks->line, 3);
    assert_int_equal(tasks->column, 3);
    assert_int_equal(task->line, 3);
    assert_int_equal(task->column, 5);
    assert_int_equal(value_get(task, "type")->line, 4);
    assert_int_equal(value_get(task, "type")->column, 11);
    assert_int_equal(value_member(task, "type")->column, 5);
}

static void yaml_keys_are_their_text(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    const struct value *map = parse(arena, "true: a\n1: b\n1.50: c\n? long\n: d\n");
    assert_string_equal(value_get_text(map, "true", ""), "a");
    assert_string_equal(value_get_text(map, "1", ""), "b");
    assert_string_equal(value_get_text(map, "1.50", ""), "c");
    assert_string_equal(value_get_text(map, "long", ""), "d");
}

static void yaml_shares_anchors_and_merges_maps(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    const struct value *map = parse(arena, "base: &b {x: 1, y: 2}\n"
                                           "other: &o {y: 3, z: 4}\n"
                                           "copy: *b\n"
                                           "merged: {<<: [*b, *o], x: 9}\n");
    assert_ptr_equal(value_get(map, "copy"), value_get(map, "base"));
    const struct value *merged = value_get(map, "merged");
    assert_int_equal(value_get_int(merged, "x", 0), 9);
    assert_int_equal(value_get_int(merged, "y", 0), 2);
    assert_int_equal(value_get_int(merged, "z", 0), 4);
    assert_int_equal(value_count(merged), 3);
}

static void yaml_mistakes_name_line_and_column(void **state)
{
    (void)state;
    expect_error("a: 1\nb: 2\na: 3\n", ERR_INVALID, 3, 1, "duplicate key 'a'");
    expect_error("a: [1, 2\nb: 3\n", ERR_INVALID, 2, 2, "expected ',' or ']'");
    expect_error("a: b: c\n", ERR_INVALID, 1, 5, "mapping values are not allowed");
    expect_error("a:\n\t- b\n", ERR_INVALID, 2, 1, "cannot start any token");
    expect_error("a: *x\n", ERR_INVALID, 1, 4, "unknown alias '*x'");
    expect_error("a: &x [*x]\n", ERR_INVALID, 1, 8, "inside its own anchor");
    expect_error("? [a]\n: b\n", ERR_INVALID, 1, 3, "a key must be a text");
    expect_error("a: !ruby x\n", ERR_INVALID, 1, 4, "unsupported tag");
    expect_error("a: 1\n---\nb: 2\n", ERR_INVALID, 2, 1, "second document");
    expect_error("<<: 5\n", ERR_INVALID, 1, 1, "'<<' merges a map");
}

static void yaml_refuses_bytes_that_are_not_text(void **state)
{
    (void)state;
    expect_error("a: b\nc: \x01\n", ERR_INVALID, 2, 4, "control characters are not allowed");
    expect_error("a: b\nc: \xff\xfe\n", ERR_INVALID, 2, 4, "invalid leading UTF-8 octet");
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct error err = { 0 };
    static const char binary[] = "\x7f"
                                 "ELF\x02\x01\x01\0\0\0";
    assert_null(yaml_parse(arena, binary, sizeof(binary), NULL, &err));
    assert_int_equal(err.code, ERR_INVALID);
}

static void yaml_refuses_a_depth_of_a_million_at_once(void **state)
{
    (void)state;
    enum { DEPTH = 1000000 };
    char *text = malloc(2 * DEPTH);
    static const char *const openings[] = { "[", "- ", "{a: " };
    for (size_t k = 0; k < 3; k++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        size_t width = strlen(openings[k]);
        size_t length = 0;
        while (length + width <= 2 * (size_t)DEPTH) {
            memcpy(text + length, openings[k], width);
            length += width;
        }
        struct error err = { 0 };
        assert_null(yaml_parse(arena, text, length, NULL, &err));
        assert_int_equal(err.code, ERR_LIMIT);
        assert_non_null(strstr(err.text, "nested more than"));
        assert_int_equal(err.line, 1);
        assert_in_range(arena_bytes(arena), 0, 1000000);
    }
    free(text);
}

static void yaml_refuses_an_alias_bomb(void **state)
{
    (void)state;
    struct buf text = { 0 };
    buf_puts(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 30; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 9; k++)
            buf_printf(&text, "%s*a%d", k == 0 ? "" : ", ", i - 1);
        buf_puts(&text, "]\n");
    }
    expect_error(buf_text(&text), ERR_LIMIT, 6, 20, "aliases expand the document");
    buf_clear(&text);
    buf_puts(&text, "big: &big '");
    for (int i = 0; i < 100000; i++)
        buf_putc(&text, 'x');
    buf_puts(&text, "'\nlist:\n");
    for (int i = 0; i < 1000; i++)
        buf_puts(&text, "- *big\n");
    expect_error(buf_text(&text), ERR_LIMIT, 44, 3, "aliases expand the document");
    buf_free(&text);
}

static void yaml_bounds_size_and_number_of_values(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct yaml_limits limits = yaml_limits_default;
    struct error err = { 0 };
    limits.bytes_max = 10;
    assert_null(yaml_parse(arena, "a: 123456789", 12, &limits, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    limits = yaml_limits_default;
    limits.values_max = 4;
    assert_non_null(yaml_parse(arena, "[1, 2, 3]", 9, &limits, &err));
    assert_null(yaml_parse(arena, "[1, 2, 3, 4]", 12, &limits, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(err.column, 11);
}

static void yaml_reads_several_documents(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct error err = { 0 };
    const char *text = "a: &x 1\n---\nb: 2\n---\n[3]\n";
    const struct value *all = yaml_parse_all(arena, text, strlen(text), NULL, &err);
    assert_int_equal(value_count(all), 3);
    assert_int_equal(value_get_int(value_item(all, 1), "b", 0), 2);
    assert_int_equal(value_item(all, 2)->line, 5);
    assert_int_equal(value_count(yaml_parse_all(arena, "", 0, NULL, &err)), 0);
    const struct value *first = yaml_parse_first(arena, text, strlen(text), NULL, &err);
    assert_int_equal(value_get_int(first, "a", 0), 1);
    // an anchor ends with its document
    text = "a: &x 1\n---\nb: *x\n";
    assert_null(yaml_parse_all(arena, text, strlen(text), NULL, &err));
    assert_int_equal(err.line, 3);
}

static void yaml_split_cuts_at_lines_of_three_hyphens(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    const char *text = "---\na: 1\n--- \n\n---\nb: |\n  ---x\n  x\n---\r\nc: 3";
    size_t count = 0;
    const struct yaml_part *parts = yaml_split(arena, text, strlen(text), &count);
    assert_int_equal(count, 3);
    assert_memory_equal(parts[0].text, "a: 1\n", 5);
    assert_int_equal(parts[0].length, 5);
    assert_int_equal(parts[0].line, 2);
    assert_int_equal(parts[1].line, 6);
    assert_memory_equal(parts[2].text, "c: 3", 4);
    assert_int_equal(parts[2].length, 4);
    (void)yaml_split(arena, " \n", 2, &count);
    assert_int_equal(count, 0);
}

static void yaml_writes_block_layout(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    const struct value *value =
        parse(arena, "{a: {l: [1, {k: [2, [3, 4]], z: {w: 1}}]}, e: {}, f: [], n: null, "
                     "t: \"multi\\nline\\n\", s: '1', b: 'yes', p: \"a: b\", q: '&x'}");
    assert_string_equal(yaml_format(arena, value, YAML_FRIENDLY), "a:\n"
                                                                  "  l:\n"
                                                                  "   - 1\n"
                                                                  "   -\n"
                                                                  "    k:\n"
                                                                  "     - 2\n"
                                                                  "     -\n"
                                                                  "       - 3\n"
                                                                  "       - 4\n"
                                                                  "    z:\n"
                                                                  "      w: 1\n"
                                                                  "e: {}\n"
                                                                  "f: []\n"
                                                                  "\"n\": null\n"
                                                                  "t: |\n"
                                                                  "  multi\n"
                                                                  "  line\n"
                                                                  "s: 1\n"
                                                                  "b: \"yes\"\n"
                                                                  "p: \"a: b\"\n"
                                                                  "q: '&x'\n");
}

static void yaml_exact_writing_reads_back_as_the_same_value(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",      "1",      "1.5",      "0x1f",   "~",     "null",  "true",   "yes",
        "- a",   "-",      "? x",      ": x",    "x:",    "a: b",  "a #b",   "#c",
        " lead", "trail ", "a\nb",     "a\nb\n", "a\n\n", "\n",    "\n\n x", " x\ny",
        "a\tb",  "a\r\nb", "'q'",      "\"q\"",  "[x",    "{}",    "a, b",   "&a",
        "*a",    "!a",     "|",        ">",      "%a",    "@a",    "`a",     "---",
        "...",   "017",    "é😀",       "<<",     "=",     "12:30", "1e3",    ".inf",
        "x\\y",  "a\n b",  "x\n\n\ny", "\x01",   "\x7f",  "a  b",  "-1",     "+1",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct value_builder map = value_build(arena);
        struct value_builder list = value_build(arena);
        const struct value *text = value_string(arena, texts[i]);
        value_put(&map, "k", text);
        value_put(&map, texts[i], value_int(arena, 5));
        value_add(&list, text);
        value_add(&list, text);
        value_put(&map, "list", value_build_list(&list));
        const struct value *value = value_build_map(&map);
        const char *written = yaml_format(arena, value, YAML_EXACT);
        if (!value_equal(value, parse(arena, written)))
            fail_msg("'%s' written as\n%s", texts[i], written);
        written = yaml_format(arena, text, YAML_EXACT);
        if (!value_equal(text, parse(arena, written)))
            fail_msg("'%s' alone written as\n%s", texts[i], written);
    }
}

static void yaml_writes_keys_longer_than_a_line_may_hold(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    char key[3001];
    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    struct value_builder map = value_build(arena);
    value_put(&map, key, value_int(arena, 1));
    value_put(&map, "b", value_int(arena, 2));
    const struct value *value = value_build_map(&map);
    assert_true(value_equal(value, parse(arena, yaml_format(arena, value, YAML_EXACT))));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(yaml_resolves_plain_scalars_as_version_1_1),
    cmocka_unit_test(yaml_reads_more_boolean_words_when_asked),
    cmocka_unit_test(yaml_keeps_how_a_number_was_written),
    cmocka_unit_test(yaml_gives_positions_of_values_and_keys),
    cmocka_unit_test(yaml_keys_are_their_text),
    cmocka_unit_test(yaml_shares_anchors_and_merges_maps),
    cmocka_unit_test(yaml_mistakes_name_line_and_column),
    cmocka_unit_test(yaml_refuses_bytes_that_are_not_text),
    cmocka_unit_test(yaml_refuses_a_depth_of_a_million_at_once),
    cmocka_unit_test(yaml_refuses_an_alias_bomb),
    cmocka_unit_test(yaml_bounds_size_and_number_of_values),
    cmocka_unit_test(yaml_reads_several_documents),
    cmocka_unit_test(yaml_split_cuts_at_lines_of_three_hyphens),
    cmocka_unit_test(yaml_writes_block_layout),
    cmocka_unit_test(yaml_exact_writing_reads_back_as_the_same_value),
    cmocka_unit_test(yaml_writes_keys_longer_than_a_line_may_hold),
};
TEST_GROUP(yaml, tests)
