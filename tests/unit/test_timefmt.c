/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/timefmt.h"
#include "tests/support/test.h"

static void timefmt_dates_and_days_are_inverse(void **state)
{
    struct rng rng = { 7 };
    (void)state;
    for (int i = 0; i < 20000; i++) {
        usec_t at = (usec_t)(rng_next(&rng) % 9000000000000000000ULL) * (i % 2 == 0 ? 1 : -1);
        struct civil civil = civil_of(at);
        if (!civil_valid(&civil) || civil_at(&civil) != at)
            fail_msg("%lld does not come back", (long long)at);
    }
}

static void timefmt_weeks_follow_iso(void **state)
{
    static const struct {
        int32_t date[3];
        int32_t year;
        int32_t week;
        int32_t weekday;
    } cases[] = {
        { { 2024, 3, 7 }, 2024, 10, 4 },   { { 2023, 1, 1 }, 2022, 52, 7 },
        { { 2020, 12, 31 }, 2020, 53, 4 }, { { 2021, 1, 3 }, 2020, 53, 7 },
        { { 2018, 12, 31 }, 2019, 1, 1 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct civil civil = { .year = cases[i].date[0],
                               .month = cases[i].date[1],
                               .day = cases[i].date[2] };
        int32_t year = 0;
        int32_t week = 0;
        civil_iso_week(&civil, &year, &week);
        assert_int_equal(year, cases[i].year);
        assert_int_equal(week, cases[i].week);
        assert_int_equal(civil_of(civil_at(&civil)).weekday, cases[i].weekday);
    }
}

static void timefmt_adding_months_clamps_the_day(void **state)
{
    struct civil civil = { .year = 2024, .month = 1, .day = 31 };
    (void)state;
    assert_true(civil_add_months(&civil, 1));
    assert_int_equal(civil.month, 2);
    assert_int_equal(civil.day, 29);
    assert_true(civil_add_months(&civil, -24));
    assert_int_equal(civil.year, 2022);
    assert_int_equal(civil.day, 28);
    assert_false(civil_add_months(&civil, INT64_MAX));
    assert_false(civil_add_months(&civil, 12LL * 290000));
}

static void timefmt_reads_instants(void **state)
{
    static const struct {
        const char *text;
        const char *utc;
    } cases[] = {
        { "2024-03-07T09:05:03Z", "2024-03-07T09:05:03Z" },
        { "2024-03-07t09:05z", "2024-03-07T09:05:00Z" },
        { "2024-03-07T09:05:03.5+02:00", "2024-03-07T07:05:03.500Z" },
        { "2024-03-07T09:05:03-05", "2024-03-07T14:05:03Z" },
        { "2024-03-07T09:05:03.123456789+01:00[Europe/Paris]", "2024-03-07T08:05:03.123456789Z" },
        { "1969-12-31T23:59:59.000001Z", "1969-12-31T23:59:59.000001Z" },
        { "+10000-01-01T00:00:00Z", "+10000-01-01T00:00:00Z" },
        { "-0001-01-01T00:00:00Z", "-0001-01-01T00:00:00Z" },
    };
    struct buf buf = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = { 0 };
        usec_t at = 0;
        int32_t nanos = 0;
        if (!time_parse_instant(cases[i].text, &at, &nanos, &err))
            fail_msg("%s: %s", cases[i].text, err.text);
        buf_clear(&buf);
        time_write_instant(&buf, at, nanos);
        assert_string_equal(buf_text(&buf), cases[i].utc);
    }
    buf_free(&buf);
}

static void timefmt_refuses_what_is_no_date_or_time(void **state)
{
    static const char *const texts[] = {
        "",
        "soon",
        "2024-3-7",
        "20240307",
        "2024-02-30",
        "2023-02-29",
        "2024-13-01",
        "2024-00-01",
        "2024-03-07 09:05:03",
        "2024-03-07T24:00:00Z",
        "2024-03-07T09:05:60Z",
        "2024-03-07T09:60Z",
        "2024-03-07T09Z",
        "2024-03-07T09:05:03.Z",
        "2024-03-07T09:05:03.1234567890Z",
        "2024-03-07T09:05:03+0200",
        "2024-03-07T09:05:03+19:00",
        "2024-03-07T09:05:03Z[",
        "2024-03-07T09:05:03Z[]",
        "2024-03-07T09:05:03Zx",
        "12024-03-07",
        "+9999999-01-01",
        "+300000-01-01",
        "9:05",
        "25:00",
        "09:05:03Z[Europe/Paris]",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct error err = { 0 };
        struct time_text out = { 0 };
        if (time_text_parse(texts[i], strlen(texts[i]), &out, &err))
            fail_msg("accepted '%s'", texts[i]);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void timefmt_reads_local_dates_and_times(void **state)
{
    struct error err = { 0 };
    struct time_text out = { 0 };
    (void)state;
    assert_true(time_text_parse("2024-03-07", 10, &out, &err));
    assert_true(out.has_date && !out.has_time && !out.has_offset);
    assert_true(time_text_parse("09:05:03.5", 10, &out, &err));
    assert_true(!out.has_date && out.has_time && !out.has_offset);
    assert_int_equal(out.civil.micros, 500000);
    assert_true(time_text_parse("09:05-03:30", 11, &out, &err));
    assert_int_equal(out.offset, -(3 * 3600 + 1800));
    usec_t at = 0;
    assert_false(time_parse_instant("2024-03-07T09:05", &at, NULL, &err));
}

static void timefmt_reads_offsets_in_all_spellings(void **state)
{
    static const struct {
        const char *text;
        int32_t offset;
    } cases[] = {
        { "Z", 0 },         { "+2", 7200 },        { "+02", 7200 },      { "-02:30", -9000 },
        { "+0530", 19800 }, { "+02:00:15", 7215 }, { "-020015", -7215 }, { "+18:00", 64800 },
    };
    int32_t offset = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(time_parse_offset(cases[i].text, strlen(cases[i].text), &offset));
        assert_int_equal(offset, cases[i].offset);
    }
    static const char *const wrong[] = {
        "", "2", "+", "+123", "+2:00", "+19:00", "+02:60", "+02:"
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(time_parse_offset(wrong[i], strlen(wrong[i]), &offset));
}

static void timefmt_reads_durations(void **state)
{
    static const struct {
        const char *text;
        usec_t span;
        const char *iso;
    } cases[] = {
        { "PT1H30M", 90 * USEC_MIN, "PT1H30M" },
        { "pt1h30m", 90 * USEC_MIN, "PT1H30M" },
        { "P1DT1H", 25 * USEC_HOUR, "PT25H" },
        { "P2D", 48 * USEC_HOUR, "PT48H" },
        { "PT0S", 0, "PT0S" },
        { "PT0.25S", USEC_SEC / 4, "PT0.25S" },
        { "PT0,25S", USEC_SEC / 4, "PT0.25S" },
        { "PT90S", 90 * USEC_SEC, "PT1M30S" },
        { "-PT1.5S", -USEC_SEC * 3 / 2, "PT-1.5S" },
        { "PT-0.5S", -USEC_SEC / 2, "PT-0.5S" },
        { "PT-1H+30M", -30 * USEC_MIN, "PT-30M" },
        { "-P1D", -USEC_DAY, "PT-24H" },
        { "60", USEC_MIN, "PT1M" },
        { "0.25", USEC_SEC / 4, "PT0.25S" },
        { "-2", -2 * USEC_SEC, "PT-2S" },
    };
    AUTO(arena_freep) struct arena *arena = arena_new();
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = { 0 };
        usec_t span = 0;
        if (!duration_parse(cases[i].text, &span, NULL, &err))
            fail_msg("%s: %s", cases[i].text, err.text);
        assert_int_equal(span, cases[i].span);
        assert_string_equal(duration_format(arena, span), cases[i].iso);
    }
}

static void timefmt_refuses_what_is_no_duration(void **state)
{
    static const char *const texts[] = {
        "",
        "P",
        "PT",
        "P1W",
        "P1M",
        "P1Y",
        "P1DT",
        "PT1M1H",
        "PT1",
        "1H",
        "PT1.5H",
        "PT.5S",
        "1.",
        ".5",
        "1e3",
        "PT1S ",
        "P-",
        "PT1H1H",
        "--1",
        "+-1",
        "-",
        "99999999999999999999",
        "P999999999999999D",
        "PT0.1234567890S",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct error err = { 0 };
        usec_t span = 0;
        if (duration_parse(texts[i], &span, NULL, &err))
            fail_msg("accepted '%s'", texts[i]);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void timefmt_keeps_nanoseconds_of_durations(void **state)
{
    struct error err = { 0 };
    struct buf buf = { 0 };
    usec_t span = 0;
    int32_t nanos = 0;
    (void)state;
    assert_true(duration_parse("PT-0.123456789S", &span, &nanos, &err));
    assert_int_equal(span, -123457);
    assert_int_equal(nanos, 211);
    duration_write(&buf, span, nanos);
    buf_putc(&buf, ' ');
    duration_write_seconds(&buf, span, nanos);
    assert_string_equal(buf_text(&buf), "PT-0.123456789S -0.123456789");
    buf_free(&buf);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(timefmt_dates_and_days_are_inverse),
    cmocka_unit_test(timefmt_weeks_follow_iso),
    cmocka_unit_test(timefmt_adding_months_clamps_the_day),
    cmocka_unit_test(timefmt_reads_instants),
    cmocka_unit_test(timefmt_refuses_what_is_no_date_or_time),
    cmocka_unit_test(timefmt_reads_local_dates_and_times),
    cmocka_unit_test(timefmt_reads_offsets_in_all_spellings),
    cmocka_unit_test(timefmt_reads_durations),
    cmocka_unit_test(timefmt_refuses_what_is_no_duration),
    cmocka_unit_test(timefmt_keeps_nanoseconds_of_durations),
};
TEST_GROUP(timefmt, tests)
