/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"
#include "base/wheel.h"
#include "tests/support/test.h"

static void wheel_gives_timers_at_their_time_and_not_before(void **state)
{
    (void)state;
    struct wheel *wheel = wheel_new(1000);
    struct wheel_timer timer = { 0 };
    assert_true(wheel_next(wheel) == USEC_NEVER);
    wheel_set(wheel, &timer, 5 * USEC_HOUR + 7);
    assert_true(wheel_next(wheel) <= 5 * USEC_HOUR + 7);
    assert_null(wheel_turn(wheel, 5 * USEC_HOUR + 6));
    assert_true(wheel_next(wheel) == 5 * USEC_HOUR + 7);
    assert_ptr_equal(wheel_turn(wheel, 5 * USEC_HOUR + 7), &timer);
    assert_false(wheel_is_set(&timer));
    assert_null(wheel_turn(wheel, 6 * USEC_HOUR));
    wheel_free(wheel);
}

static void wheel_takes_times_of_any_distance(void **state)
{
    (void)state;
    static const usec_t times[] = {
        1, 1024, 65536, USEC_DAY, USEC_DAY * 365 * 1000, INT64_MAX - 1
    };
    struct wheel *wheel = wheel_new(INT64_MIN / 2);
    struct wheel_timer timers[COUNT_OF(times)] = { 0 };
    for (size_t i = COUNT_OF(times); i-- > 0;)
        wheel_set(wheel, &timers[i], times[i]);
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        assert_null(wheel_turn(wheel, times[i] - 1));
        assert_ptr_equal(wheel_turn(wheel, times[i]), &timers[i]);
    }
    assert_int_equal(wheel_count(wheel), 0);
    wheel_free(wheel);
}

static void wheel_forgets_a_cancelled_timer(void **state)
{
    (void)state;
    struct wheel *wheel = wheel_new(0);
    struct wheel_timer timer = { 0 };
    wheel_set(wheel, &timer, 500000);
    wheel_cancel(wheel, &timer);
    wheel_cancel(wheel, &timer);
    assert_true(wheel_next(wheel) == USEC_NEVER);
    wheel_set(wheel, &timer, 500000);
    wheel_set(wheel, &timer, USEC_NEVER);
    assert_int_equal(wheel_count(wheel), 0);
    assert_null(wheel_turn(wheel, USEC_DAY));
    wheel_free(wheel);
}

static void wheel_agrees_with_a_plain_search(void **state)
{
    (void)state;
    enum { TIMERS = 300, STEPS = 60000 };
    uint64_t seed = rng_seed();
    struct rng rng = { seed };
    struct wheel_timer timers[TIMERS] = { 0 };
    usec_t now = 123456789;
    struct wheel *wheel = wheel_new(now);
    for (int step = 0; step < STEPS; step++) {
        struct wheel_timer *timer = &timers[rng_below(&rng, TIMERS)];
        uint64_t choice = rng_below(&rng, 8);
        if (choice < 4) {
            usec_t span = (usec_t)rng_below(&rng, (uint64_t)1 << rng_below(&rng, 40));
            wheel_set(wheel, timer, now + span - 100);
        } else if (choice < 5) {
            wheel_cancel(wheel, timer);
        } else {
            now += (usec_t)rng_below(&rng, (uint64_t)1 << rng_below(&rng, 34));
            usec_t earliest = USEC_NEVER;
            for (size_t i = 0; i < TIMERS; i++) {
                if (wheel_is_set(&timers[i]) && timers[i].due < earliest)
                    earliest = timers[i].due;
            }
            if (wheel_next(wheel) > earliest)
                fail_msg("next is too late: seed %llu step %d", (unsigned long long)seed, step);
            usec_t last = INT64_MIN;
            for (;;) {
                struct wheel_timer *due = wheel_turn(wheel, now);
                if (due == NULL)
                    break;
                if (due->due > now || due->due < last ||
                    (last == INT64_MIN && due->due != earliest))
                    fail_msg("order: seed %llu step %d", (unsigned long long)seed, step);
                last = due->due;
            }
            for (size_t i = 0; i < TIMERS; i++) {
                if (wheel_is_set(&timers[i]) && timers[i].due <= now)
                    fail_msg("lost: seed %llu step %d", (unsigned long long)seed, step);
            }
        }
    }
    wheel_free(wheel);
}

static void wheel_sorts_a_storm(void **state)
{
    (void)state;
    enum { TIMERS = 20000 };
    struct wheel_timer *timers = calloc(TIMERS, sizeof(*timers));
    struct rng rng = { 7 };
    struct wheel *wheel = wheel_new(0);
    for (size_t i = 0; i < TIMERS; i++)
        wheel_set(wheel, &timers[i], USEC_HOUR + (usec_t)rng_below(&rng, 1000));
    usec_t last = 0;
    size_t count = 0;
    for (struct wheel_timer *due; (due = wheel_turn(wheel, 2 * USEC_HOUR)) != NULL; count++) {
        assert_true(due->due >= last);
        last = due->due;
    }
    assert_int_equal(count, TIMERS);
    wheel_free(wheel);
    free(timers);
}

static void wheel_takes_timers_set_while_it_turns(void **state)
{
    (void)state;
    struct wheel *wheel = wheel_new(0);
    struct wheel_timer first = { 0 };
    struct wheel_timer second = { 0 };
    struct wheel_timer third = { 0 };
    wheel_set(wheel, &first, 100);
    wheel_set(wheel, &third, 300);
    assert_ptr_equal(wheel_turn(wheel, 1000), &first);
    wheel_set(wheel, &second, 200);
    wheel_cancel(wheel, &third);
    assert_ptr_equal(wheel_turn(wheel, 1000), &second);
    assert_null(wheel_turn(wheel, 1000));
    wheel_free(wheel);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(wheel_gives_timers_at_their_time_and_not_before),
    cmocka_unit_test(wheel_takes_times_of_any_distance),
    cmocka_unit_test(wheel_forgets_a_cancelled_timer),
    cmocka_unit_test(wheel_agrees_with_a_plain_search),
    cmocka_unit_test(wheel_sorts_a_storm),
    cmocka_unit_test(wheel_takes_timers_set_while_it_turns),
};
TEST_GROUP(wheel, tests)
