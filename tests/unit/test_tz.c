/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/timefmt.h"
#include "core/tz.h"
#include "tests/support/test.h"

static const struct tz *zone(const char *name)
{
    struct error err = { 0 };
    const struct tz *tz = tz_get(name, &err);
    if (tz == NULL)
        fail_msg("%s: %s", name, err.text);
    return tz;
}

static void tz_knows_the_offset_at_an_instant(void **state)
{
    static const struct {
        const char *zone;
        const char *at;
        int32_t offset;
        bool is_dst;
        const char *abbreviation;
    } cases[] = {
        { "Europe/Paris", "2024-01-15T12:00:00Z", 3600, false, "CET" },
        { "Europe/Paris", "2024-07-15T12:00:00Z", 7200, true, "CEST" },
        { "Europe/Paris", "2024-03-31T00:59:59Z", 3600, false, "CET" },
        { "Europe/Paris", "2024-03-31T01:00:00Z", 7200, true, "CEST" },
        { "Europe/Paris", "2024-10-27T00:59:59Z", 7200, true, "CEST" },
        { "Europe/Paris", "2024-10-27T01:00:00Z", 3600, false, "CET" },
        { "Europe/Paris", "1880-01-01T00:00:00Z", 561, false, "LMT" },
        { "America/New_York", "2024-07-01T00:00:00Z", -14400, true, "EDT" },
        { "Asia/Kolkata", "2024-07-01T00:00:00Z", 19800, false, "IST" },
        { "Australia/Lord_Howe", "2024-01-01T00:00:00Z", 39600, true, "+11" },
        // beyond the table: the rule
        { "Europe/Paris", "2090-07-15T12:00:00Z", 7200, true, "CEST" },
        { "Europe/Paris", "2090-03-26T00:59:59Z", 3600, false, "CET" },
        { "Europe/Paris", "2090-03-26T01:00:00Z", 7200, true, "CEST" },
        { "America/Santiago", "2090-12-25T12:00:00Z", -10800, true, "-03" },
        { "America/Santiago", "2090-06-25T12:00:00Z", -14400, false, "-04" },
        { "Asia/Tokyo", "2090-06-25T12:00:00Z", 32400, false, "JST" },
        { "UTC", "2024-01-01T00:00:00Z", 0, false, "UTC" },
        { "+05:30", "2024-01-01T00:00:00Z", 19800, false, "+05:30" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        usec_t at = test_time(cases[i].at);
        struct tz_info info = tz_at(zone(cases[i].zone), at);
        if (info.offset != cases[i].offset || info.is_dst != cases[i].is_dst ||
            strcmp(info.abbreviation, cases[i].abbreviation) != 0)
            fail_msg("%s at %s: %d %d %s", cases[i].zone, cases[i].at, info.offset, info.is_dst,
                     info.abbreviation);
        assert_true(info.from <= at && at < info.until);
    }
}

static void tz_spans_end_where_the_next_begins(void **state)
{
    static const char *const names[] = { "Europe/Paris", "America/Santiago",    "Africa/Casablanca",
                                         "Asia/Tokyo",   "Australia/Lord_Howe", "Europe/Dublin" };
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct tz *tz = zone(names[i]);
        usec_t at = test_time("1970-01-01T00:00:00Z");
        usec_t end = test_time("2100-01-01T00:00:00Z");
        for (int steps = 0; at < end; steps++) {
            assert_true(steps < 1000);
            struct tz_info info = tz_at(tz, at);
            if (info.until == USEC_NEVER)
                break;
            struct tz_info next = tz_at(tz, info.until);
            assert_int_equal(next.from, info.until);
            assert_int_equal(tz_at(tz, info.until - 1).offset, info.offset);
            at = info.until;
        }
    }
}

static void tz_resolves_local_times_around_switches(void **state)
{
    static const struct {
        const char *zone;
        const char *local;
        const char *at;
        enum tz_local kind;
    } cases[] = {
        { "Europe/Paris", "2024-03-31T01:59:59Z", "2024-03-31T00:59:59Z", TZ_UNIQUE },
        { "Europe/Paris", "2024-03-31T02:00:00Z", "2024-03-31T01:00:00Z", TZ_GAP },
        { "Europe/Paris", "2024-03-31T02:30:00Z", "2024-03-31T01:30:00Z", TZ_GAP },
        { "Europe/Paris", "2024-03-31T03:00:00Z", "2024-03-31T01:00:00Z", TZ_UNIQUE },
        { "Europe/Paris", "2024-10-27T01:59:59Z", "2024-10-26T23:59:59Z", TZ_UNIQUE },
        { "Europe/Paris", "2024-10-27T02:30:00Z", "2024-10-27T00:30:00Z", TZ_OVERLAP },
        { "Europe/Paris", "2024-10-27T03:00:00Z", "2024-10-27T02:00:00Z", TZ_UNIQUE },
        { "America/New_York", "2024-03-10T02:30:00Z", "2024-03-10T07:30:00Z", TZ_GAP },
        { "Australia/Lord_Howe", "2024-10-06T02:15:00Z", "2024-10-05T15:45:00Z", TZ_GAP },
        { "Pacific/Apia", "2011-12-30T12:00:00Z", "2011-12-30T22:00:00Z", TZ_GAP }, // a whole day
        { "Europe/Paris", "2090-03-26T02:30:00Z", "2090-03-26T01:30:00Z", TZ_GAP },
        { "UTC", "2024-03-31T02:30:00Z", "2024-03-31T02:30:00Z", TZ_UNIQUE },
        { "+14", "2024-03-31T02:30:00Z", "2024-03-30T12:30:00Z", TZ_UNIQUE },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        usec_t at = 0;
        enum tz_local kind = tz_resolve(zone(cases[i].zone), test_time(cases[i].local), &at);
        if (at != test_time(cases[i].at) || kind != cases[i].kind)
            fail_msg("%s %s: %lld, kind %d", cases[i].zone, cases[i].local, (long long)at, kind);
    }
}

static void tz_local_times_come_back(void **state)
{
    const struct tz *tz = zone("Europe/Paris");
    usec_t start = test_time("2024-01-01T00:00:00Z");
    (void)state;
    for (int i = 0; i < 366 * 48; i++) {
        usec_t at = start + i * 30 * USEC_MIN;
        usec_t back = 0;
        enum tz_local kind = tz_resolve(tz, tz_local(tz, at), &back);
        assert_true(kind != TZ_GAP);
        assert_true(back == at || (kind == TZ_OVERLAP && at - back == USEC_HOUR));
    }
}

static void tz_accepts_the_spellings_of_offsets(void **state)
{
    static const struct {
        const char *text;
        const char *name;
        int32_t offset;
        bool is_offset;
    } cases[] = {
        { "Z", "Z", 0, true },
        { "+2", "+02:00", 7200, true },
        { "-0330", "-03:30", -12600, true },
        { "+02:00:00", "+02:00", 7200, true },
        { "UTC+2", "UTC+02:00", 7200, false },
        { "GMT-03:30", "GMT-03:30", -12600, false },
        { "UT+1", "UT+01:00", 3600, false },
        { "UTC", "UTC", 0, false },
        { "GMT", "GMT", 0, false },
        { "GMT0", "GMT0", 0, false },
        { "CET", "CET", 3600, false },
        { "Etc/GMT+5", "Etc/GMT+5", -18000, false },
        { "", "UTC", 0, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct tz *tz = zone(cases[i].text);
        assert_string_equal(tz_name(tz), cases[i].name);
        assert_int_equal(tz_offset(tz, 0), cases[i].offset);
        assert_int_equal(tz_is_offset(tz), cases[i].is_offset);
    }
    assert_ptr_equal(zone("+02"), zone("+0200"));
    assert_ptr_equal(zone(NULL), tz_utc());
}

static void tz_refuses_what_is_no_zone(void **state)
{
    static const char *const names[] = {
        "Mars/Base",
        "utc",
        "EST",
        "MST",
        "HST",
        "PST",
        "IST",
        "z",
        "UTCZ",
        "europe/paris",
        "Europe",
        "Europe/",
        "/etc/passwd",
        "../../etc/passwd",
        "Europe/../UTC",
        "posixrules",
        "posix/UTC",
        "tzdata.zi",
        "zone.tab",
        "+19:00",
        "+2:00",
        "2",
        "UTC+25",
        "Europe/Paris ",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct error err = { 0 };
        if (tz_get(names[i], &err) != NULL)
            fail_msg("accepted %s", names[i]);
        assert_true(err.code == ERR_INVALID || err.code == ERR_INTERNAL);
    }
}

/* Returns NULL, or `data` when an answer was wrong. */
static void *ask_for_zones(void *data)
{
    for (int i = 0; i < 200; i++) {
        if (tz_get("Asia/Tokyo", NULL) != tz_get("Asia/Tokyo", NULL) ||
            tz_get("Europe/Rome", NULL) == NULL || tz_get("+07:15", NULL) == NULL)
            return data;
    }
    return NULL;
}

static void tz_serves_several_threads(void **state)
{
    pthread_t threads[4];
    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_for_zones, &threads), 0);
    for (size_t i = 0; i < 4; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(tz_knows_the_offset_at_an_instant),
    cmocka_unit_test(tz_spans_end_where_the_next_begins),
    cmocka_unit_test(tz_resolves_local_times_around_switches),
    cmocka_unit_test(tz_local_times_come_back),
    cmocka_unit_test(tz_accepts_the_spellings_of_offsets),
    cmocka_unit_test(tz_refuses_what_is_no_zone),
    cmocka_unit_test(tz_serves_several_threads),
};
TEST_GROUP(tz, tests)
