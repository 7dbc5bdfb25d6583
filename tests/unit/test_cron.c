/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/timefmt.h"
#include "core/cron.h"
#include "core/tz.h"
#include "tests/support/test.h"

static const struct tz *zone(const char *name)
{
    struct error err = { 0 };
    const struct tz *tz = tz_get(name, &err);
    if (tz == NULL)
        fail_msg("%s", err.text);
    return tz;
}

static struct cron parsed(const char *text)
{
    struct cron cron;
    struct error err = { 0 };
    if (!cron_parse(&cron, text, false, &err) && !cron_parse(&cron, text, true, &err))
        fail_msg("%s", err.text);
    return cron;
}

static void cron_finds_the_next_and_previous_instant(void **state)
{
    (void)state;
    static const struct {
        const char *cron;
        const char *zone;
        const char *at;
        const char *next;
        const char *previous;
    } rows[] = {
        { "* * * * *", "UTC", "2026-01-01T00:00:30Z", "2026-01-01T00:01:00Z",
          "2026-01-01T00:00:00Z" },
        { "0 9 * * MON-FRI", "Europe/Paris", "2026-01-02T08:00:00Z", "2026-01-05T08:00:00Z",
          "2026-01-01T08:00:00Z" },
        { "*/15 * * * *", "UTC", "2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z",
          "2026-01-01T00:00:00Z" },
        { "0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z",
          "2024-02-29T00:00:00Z" },
        { "0 0 13 * 5", "UTC", "2026-02-01T00:00:00Z", "2026-02-06T00:00:00Z",
          "2026-01-30T00:00:00Z" },
        { "@monthly", "UTC", "2026-01-31T12:00:00Z", "2026-02-01T00:00:00Z",
          "2026-01-01T00:00:00Z" },
        { "10 30 4 1 JAN *", "UTC", "2026-06-01T00:00:00Z", "2027-01-01T04:30:10Z",
          "2026-01-01T04:30:10Z" },
        { "0 0 * * 7", "UTC", "2026-11-24T00:00:00Z", "2026-11-29T00:00:00Z",
          "2026-11-22T00:00:00Z" },
        { "5/20 * * * *", "UTC", "2026-01-01T00:06:00Z", "2026-01-01T00:25:00Z",
          "2026-01-01T00:05:00Z" },
        // clocks go forward at 02:00: 02:30 fires at 03:00
        { "30 2 * * *", "Europe/Paris", "2025-03-29T12:00:00Z", "2025-03-30T01:00:00Z",
          "2025-03-29T01:30:00Z" },
        // clocks go back at 03:00: 02:30 fires the first time only
        { "30 2 * * *", "Europe/Paris", "2025-10-25T12:00:00Z", "2025-10-26T00:30:00Z",
          "2025-10-25T00:30:00Z" },
        { "30 2 * * *", "Europe/Paris", "2025-10-26T00:30:00Z", "2025-10-27T01:30:00Z",
          "2025-10-25T00:30:00Z" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cron cron = parsed(rows[i].cron);
        const struct tz *tz = zone(rows[i].zone);
        usec_t at = test_time(rows[i].at);
        struct arena *arena = arena_new();
        assert_string_equal(time_format_instant(arena, cron_next(&cron, tz, at)),
                            time_format_instant(arena, test_time(rows[i].next)));
        assert_string_equal(time_format_instant(arena, cron_previous(&cron, tz, at)),
                            time_format_instant(arena, test_time(rows[i].previous)));
        arena_free(arena);
    }
}

static void cron_refuses_what_is_no_expression(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 8",
        "* * * * FRI-MON",
        "5-5 * * * *",
        "9-5 * * * *",
        "*/0 * * * *",
        "*/61 * * * *",
        "1,,2 * * * *",
        "? * * * *",
        "* * L * *",
        "* * * * 5#2",
        "* * 1W * *",
        "@reboot",
        "a * * * *",
        "1-2-3 * * * *",
        "99999 * * * *",
        "* * * FOO *",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct cron cron;
        struct error err = { 0 };
        if (cron_parse(&cron, texts[i], false, &err))
            fail_msg("'%s' was accepted", texts[i]);
        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.text, "invalid cron expression '"));
    }
}

static void a_date_that_never_comes_is_never(void **state)
{
    (void)state;
    struct cron cron = parsed("0 0 30 2 *");
    assert_true(cron_next(&cron, zone("UTC"), test_time("2026-01-01T00:00:00Z")) == USEC_NEVER);
    assert_true(cron_previous(&cron, zone("UTC"), test_time("2026-01-01T00:00:00Z")) ==
                -USEC_NEVER);
}

/* Walking forward and backward visits the same instants, also across clock changes. */
static void next_and_previous_agree(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "*/7 * * * *", "0 */5 * * *", "30 2 * * *", "15,45 1-3 * * *", "0 0 1,15 * MON", "@hourly",
    };
    static const char *const zones[] = { "UTC", "Europe/Paris", "America/New_York",
                                         "Australia/Lord_Howe" };
    struct rng rng = { 7 };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct cron cron = parsed(texts[i]);
        for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++) {
            const struct tz *tz = zone(zones[z]);
            usec_t at =
                test_time("2025-01-01T00:00:00Z") + (usec_t)rng_below(&rng, (uint64_t)USEC_DAY);
            usec_t last = -USEC_NEVER;
            for (int step = 0; step < 3000; step++) {
                usec_t next = cron_next(&cron, tz, at);
                assert_true(next > at);
                if (last != -USEC_NEVER && cron_previous(&cron, tz, next) != last)
                    fail_msg("%s in %s at %lld", texts[i], zones[z], (long long)next);
                last = next;
                at = next;
            }
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(cron_finds_the_next_and_previous_instant),
    cmocka_unit_test(cron_refuses_what_is_no_expression),
    cmocka_unit_test(a_date_that_never_comes_is_never),
    cmocka_unit_test(next_and_previous_agree),
};
TEST_GROUP(cron, tests)
