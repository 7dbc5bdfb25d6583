/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/id.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/str.h"
#include "tests/support/test.h"

static void arena_gives_zeroed_memory_after_a_reset(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    for (int round = 0; round < 3; round++) {
        for (size_t size = 1; size < 20000; size = size * 2 + 1) {
            unsigned char *memory = arena_alloc(arena, size);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(memory[i], 0);
            memset(memory, 0xff, size);
        }
        arena_reset(arena);
    }
    arena_free(arena);
}

static void arena_tells_what_it_holds(void **state)
{
    (void)state;
    struct arena *arena = arena_new_sized(1000);
    size_t empty = arena_held(arena);
    assert_in_range(empty, 1000, 1200);
    (void)arena_alloc(arena, 900);
    assert_int_equal(arena_held(arena), empty);
    (void)arena_alloc(arena, 100000);
    assert_in_range(arena_held(arena), empty + 100000, empty + 101000);
    arena_reset(arena);
    assert_int_equal(arena_held(arena), empty);
    arena_free(arena);
}

static void arena_rewind_returns_to_the_mark(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    char *kept = arena_strdup(arena, "kept");
    struct arena_mark mark = arena_mark(arena);
    char *first = arena_strdup(arena, "first");
    (void)arena_alloc(arena, 100000);
    arena_rewind(arena, mark);
    assert_ptr_equal(arena_strdup(arena, "second"), first);
    assert_string_equal(kept, "kept");
    arena_free(arena);
}

static void map_keeps_every_key_through_growth_and_removal(void **state)
{
    (void)state;
    struct map map = { 0 };
    static int values[5000];
    char key[16];
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        assert_null(map_put(&map, key, &values[i]));
    }
    for (int i = 0; i < 5000; i += 2) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        assert_ptr_equal(map_remove(&map, key), &values[i]);
    }
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        assert_ptr_equal(map_find(&map, key), i % 2 == 0 ? NULL : (void *)&values[i]);
    }
    assert_int_equal(map.count, 2500);
    map_free(&map);
}

static void glob_matches_as_documented(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *path;
        bool matches;
    } rows[] = {
        { "*.csv", "a.csv", true },
        { "*.csv", "x/a.csv", false },
        { "**/*.csv", "a.csv", true },
        { "**/*.csv", "x/y/a.csv", true },
        { "out/**", "out/a/b", true },
        { "out/?.json", "out/a.json", true },
        { "out/?.json", "out/ab.json", false },
        { "[a-c]*.txt", "b1.txt", true },
        { "[!a-c]*.txt", "b1.txt", false },
        { "*.{csv,json}", "a.json", true },
        { "*.{csv,json}", "a.xml", false },
        { "data.txt", "data.txt", true },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (str_glob(rows[i].pattern, rows[i].path) != rows[i].matches)
            fail_msg("%s against %s", rows[i].pattern, rows[i].path);
    }
}

static void glob_with_many_stars_ends(void **state)
{
    (void)state;
    char path[300];
    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_false(str_glob("**a**a**a**a**a**a**a**a**b", path));
}

static void nearest_word_is_found_within_a_third(void **state)
{
    (void)state;
    static const char *const words[] = { "commands", "env", "runner" };
    assert_string_equal(str_nearest("comands", words, 3), "commands");
    assert_null(str_nearest("zzzzzz", words, 3));
}

static void utf8_reader_replaces_malformed_bytes(void **state)
{
    (void)state;
    const char text[] = "\xc3\xa9\xf0\x9f\x98\x80\xff\xed\xa0\x80";
    const char *at = text;
    const char *end = text + sizeof(text) - 1;
    assert_int_equal(utf8_next(&at, end), 0xe9);
    assert_int_equal(utf8_next(&at, end), 0x1f600);
    assert_int_equal(utf8_next(&at, end), 0xfffd);
    assert_false(utf8_valid(text, sizeof(text) - 1));
}

static void ids_sort_by_time_and_derive_stably(void **state)
{
    (void)state;
    struct rng rng = { 1 };
    struct id early = id_new(1000 * USEC_SEC, &rng);
    struct id late = id_new(2000 * USEC_SEC, &rng);
    assert_true(strcmp(early.text, late.text) < 0);
    assert_string_equal(id_derive("e", "p", 1).text, id_derive("e", "p", 1).text);
    assert_string_not_equal(id_derive("e", "p", 1).text, id_derive("e", "q", 1).text);
}

static void buf_writes_numbers_and_code_points(void **state)
{
    (void)state;
    struct buf buf = { 0 };
    buf_put_int(&buf, INT64_MIN);
    buf_putc(&buf, ' ');
    buf_put_utf8(&buf, 0x1f600);
    assert_string_equal(buf_text(&buf), "-9223372036854775808 \xf0\x9f\x98\x80");
    buf_free(&buf);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(arena_gives_zeroed_memory_after_a_reset),
    cmocka_unit_test(arena_tells_what_it_holds),
    cmocka_unit_test(arena_rewind_returns_to_the_mark),
    cmocka_unit_test(map_keeps_every_key_through_growth_and_removal),
    cmocka_unit_test(glob_matches_as_documented),
    cmocka_unit_test(glob_with_many_stars_ends),
    cmocka_unit_test(nearest_word_is_found_within_a_third),
    cmocka_unit_test(utf8_reader_replaces_malformed_bytes),
    cmocka_unit_test(ids_sort_by_time_and_derive_stably),
    cmocka_unit_test(buf_writes_numbers_and_code_points),
};
TEST_GROUP(base, tests)
