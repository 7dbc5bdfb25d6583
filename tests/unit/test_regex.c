/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/error.h"
#include "base/regex.h"
#include "tests/support/test.h"

static struct regex *regex_of(const char *pattern)
{
    struct error err = { 0 };
    struct regex *regex = regex_new(pattern, strlen(pattern), &err);
    if (regex == NULL)
        fail_msg("%s: %s", pattern, err.text);
    return regex;
}

static void regex_matches_whole_texts_only(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *text;
        bool matches;
    } rows[] = {
        { "A\\d+", "A123", true }, { "A\\d+", "xA123", false },  { "A\\d+", "A123\n", false },
        { "a|ab", "ab", true },    { "\\d", "\xd9\xa3", false }, { "(?i)abc", "ABC", true },
        { ".", "\xc3\xa9", true }, { "a*", "", true },           { "\\p{L}+", "\xc3\xa9t", true },
        { "a++b", "aab", true },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct regex *regex = regex_of(rows[i].pattern);
        enum regex_result result = regex_match(regex, rows[i].text, strlen(rows[i].text));
        if (result != (rows[i].matches ? REGEX_MATCH : REGEX_NO_MATCH))
            fail_msg("%s against '%s'", rows[i].pattern, rows[i].text);
        regex_free(regex);
    }
}

static void regex_finds_groups_by_number_and_name(void **state)
{
    (void)state;
    struct regex *regex = regex_of("(?<key>\\w+)=(\\d+)(x)?");
    struct regex_span spans[4];
    const char *text = "; a=1, bc=22";
    assert_int_equal(regex_find(regex, text, strlen(text), 4, spans, 4), REGEX_MATCH);
    assert_int_equal(spans[0].start, 7);
    assert_int_equal(spans[1].end, 9);
    assert_int_equal(spans[2].start, 10);
    assert_int_equal(spans[3].start, SIZE_MAX);
    assert_int_equal(regex_groups(regex), 3);
    assert_int_equal(regex_group_named(regex, "key", 3), 1);
    assert_int_equal(regex_group_named(regex, "nokey", 5), 0);
    assert_int_equal(regex_find(regex, text, strlen(text), 12, spans, 4), REGEX_NO_MATCH);
    regex_free(regex);
}

static void regex_reports_where_a_pattern_is_wrong(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_null(regex_new("ab(", 3, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_int_equal(err.column, 4);
}

static void regex_gives_up_instead_of_hanging(void **state)
{
    (void)state;
    struct regex *regex = regex_of("(x+x+)+[yz]");
    char text[65];
    memset(text, 'x', sizeof(text));
    assert_int_equal(regex_match(regex, text, sizeof(text)), REGEX_GAVE_UP);
    assert_int_equal(regex_match(regex, "\xff", 1), REGEX_GAVE_UP);
    regex_free(regex);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(regex_matches_whole_texts_only),
    cmocka_unit_test(regex_finds_groups_by_number_and_name),
    cmocka_unit_test(regex_reports_where_a_pattern_is_wrong),
    cmocka_unit_test(regex_gives_up_instead_of_hanging),
};
TEST_GROUP(regex, tests)
