/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/rng.h"
#include "reconciler/text_diff.h"
#include "tests/support/test.h"

static void text_diff_counts_added_and_removed_lines(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        const char *after;
        uint32_t added;
        uint32_t removed;
    } rows[] = {
        { "", "", 0, 0 },
        { "a\nb\nc\n", "a\nb\nc\n", 0, 0 },
        { "", "a\nb\n", 2, 0 },
        { "a\nb\n", "", 0, 2 },
        { "a\nb\nc\n", "a\nx\nc\n", 1, 1 },
        { "a\nb\nc\n", "b\nc\nd\n", 1, 1 },
        { "a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n", 2, 3 },
        { "a", "a\n", 1, 1 },
        { "a\n\n\nb\n", "a\n\nb\n", 0, 1 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct text_stat stat = text_diff_stat(rows[i].before, strlen(rows[i].before),
                                               rows[i].after, strlen(rows[i].after));
        assert_int_equal(stat.added, rows[i].added);
        assert_int_equal(stat.removed, rows[i].removed);
    }
}

static void text_diff_writes_what_diff_u_writes(void **state)
{
    (void)state;
    static const char before[] = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n";
    static const char after[] = "1\n2\nthree\n4\n5\n6\n7\n8\n9\n10\n12";
    struct buf out = { 0 };
    text_diff_write(&out, before, strlen(before), after, strlen(after), 1);
    assert_string_equal(buf_text(&out),
                        "@@ -2,3 +2,3 @@\n 2\n-3\n+three\n 4\n"
                        "@@ -10,3 +10,2 @@\n 10\n-11\n-12\n+12\n\\ No newline at end of file\n");
    buf_clear(&out);
    text_diff_write(&out, "", 0, "a\n", 2, 3);
    assert_string_equal(buf_text(&out), "@@ -0,0 +1 @@\n+a\n");
    buf_free(&out);
}

/* Applies a diff without context; the result must be `after`. */
static void check_round_trip(const char *before, const char *after)
{
    struct buf diff = { 0 };
    struct buf made = { 0 };
    text_diff_write(&diff, before, strlen(before), after, strlen(after), SIZE_MAX / 4);
    const char *rest = before;
    if (diff.length == 0) {
        buf_puts(&made, before);
    } else {
        for (const char *at = strchr(diff.bytes, '\n') + 1; *at != '\0';) {
            size_t span = strcspn(at, "\n") + 1;
            if (at[0] != '+') {
                assert_memory_equal(rest, at + 1, span - 1);
                rest += span - 1;
            }
            if (at[0] != '-')
                buf_add(&made, at + 1, span - 1);
            at += span;
        }
        assert_string_equal(rest, "");
    }
    assert_string_equal(buf_text(&made), after);
    struct text_stat stat = text_diff_stat(before, strlen(before), after, strlen(after));
    uint32_t added = 0;
    uint32_t removed = 0;
    for (const char *at = buf_text(&diff); *at != '\0'; at += strcspn(at, "\n") + 1) {
        added += at[0] == '+';
        removed += at[0] == '-';
    }
    assert_int_equal(stat.added, added);
    assert_int_equal(stat.removed, removed);
    buf_free(&diff);
    buf_free(&made);
}

static void text_diff_turns_any_text_into_any_other(void **state)
{
    (void)state;
    struct rng rng = { .state = 7 };
    for (int round = 0; round < 2000; round++) {
        char texts[2][128];
        for (int t = 0; t < 2; t++) {
            size_t lines = rng_below(&rng, 20);
            for (size_t i = 0; i < lines; i++) {
                texts[t][2 * i] = (char)('a' + rng_below(&rng, 4));
                texts[t][2 * i + 1] = '\n';
            }
            texts[t][2 * lines] = '\0';
        }
        check_round_trip(texts[0], texts[1]);
    }
}

static void text_diff_is_bounded_for_texts_without_anything_in_common(void **state)
{
    (void)state;
    struct buf before = { 0 };
    struct buf after = { 0 };
    for (int i = 0; i < 100000; i++) {
        buf_printf(&before, "a%d\n", i);
        buf_printf(&after, "b%d\n", i);
    }
    struct text_stat stat = text_diff_stat(before.bytes, before.length, after.bytes, after.length);
    assert_int_equal(stat.added, 100000);
    assert_int_equal(stat.removed, 100000);
    buf_free(&before);
    buf_free(&after);
}

static void text_diff_tells_bytes_from_text(void **state)
{
    (void)state;
    assert_false(text_is_binary("select 1;\n", 10));
    assert_false(text_is_binary("h\xc3\xa9llo", 6));
    assert_true(text_is_binary("\x89PNG\0", 5));
    assert_true(text_is_binary("\xff\xfe", 2));
    char *cut = check_malloc(9000);
    memset(cut, 'a', 9000);
    memcpy(cut + 8191, "\xc3\xa9", 2);
    assert_false(text_is_binary(cut, 9000));
    free(cut);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(text_diff_counts_added_and_removed_lines),
    cmocka_unit_test(text_diff_writes_what_diff_u_writes),
    cmocka_unit_test(text_diff_turns_any_text_into_any_other),
    cmocka_unit_test(text_diff_is_bounded_for_texts_without_anything_in_common),
    cmocka_unit_test(text_diff_tells_bytes_from_text),
};
TEST_GROUP(text_diff, tests)
