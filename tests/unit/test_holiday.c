/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/error.h"
#include "base/timefmt.h"
#include "core/holiday.h"
#include "tests/support/test.h"

static void holidays_follow_the_rules_of_their_country(void **state)
{
    (void)state;
    static const struct {
        int year, month, day;
        const char *country, *subdivision;
        bool expected;
    } rows[] = {
        { 2026, 4, 6, "DE", NULL, true },    { 2026, 10, 31, "DE", NULL, false },
        { 2026, 10, 31, "DE", "SN", true },  { 2026, 11, 18, "DE", "SN", true },
        { 2026, 6, 4, "DE", "BY", true },    { 2026, 7, 14, "fr", NULL, true },
        { 2026, 4, 3, "FR", NULL, false },   { 2026, 4, 3, "FR", "67", true },
        { 2025, 5, 29, "FR", NULL, true },   { 2021, 12, 27, "GB", NULL, true },
        { 2021, 12, 28, "GB", NULL, true },  { 2022, 1, 3, "GB", NULL, true },
        { 2022, 12, 26, "GB", NULL, true },  { 2022, 12, 27, "GB", NULL, true },
        { 2026, 8, 31, "GB", "ENG", true },  { 2026, 8, 3, "GB", "ENG", false },
        { 2026, 8, 3, "GB", "SCT", true },   { 2026, 7, 3, "US", NULL, true },
        { 2021, 12, 31, "US", NULL, true },  { 2026, 11, 26, "US", NULL, true },
        { 2026, 11, 24, "US", NULL, false }, { 2026, 6, 20, "SE", NULL, true },
        { 2026, 10, 31, "SE", NULL, true },  { 2026, 5, 18, "CA", NULL, true },
        { 2024, 12, 24, "PL", NULL, false }, { 2025, 12, 24, "PL", NULL, true },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct civil date = { .year = rows[i].year, .month = rows[i].month, .day = rows[i].day };
        bool found = false;
        assert_true(holiday_is(&date, rows[i].country, rows[i].subdivision, &found, NULL));
        if (found != rows[i].expected)
            fail_msg("%s %d-%02d-%02d", rows[i].country, rows[i].year, rows[i].month, rows[i].day);
    }
}

static void an_unknown_country_is_an_error_that_lists_the_known(void **state)
{
    (void)state;
    struct civil date = { .year = 2026, .month = 1, .day = 1 };
    struct error err = { 0 };
    bool found = false;
    assert_false(holiday_is(&date, "XX", NULL, &found, &err));
    assert_non_null(strstr(err.text, "GB"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(holidays_follow_the_rules_of_their_country),
    cmocka_unit_test(an_unknown_country_is_an_error_that_lists_the_known),
};
TEST_GROUP(holiday, tests)
