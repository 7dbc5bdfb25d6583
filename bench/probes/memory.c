/* SPDX-License-Identifier: Apache-2.0 */
/* Work in memory that budgets count on: a timer wheel of a million timers, and masking of logs. */
#include <string.h>

#include "base/buf.h"
#include "base/redact.h"
#include "base/rng.h"
#include "base/wheel.h"
#include "bench/probes/probe.h"

enum { TIMERS = 1000000, TICKS = 100000 };

static double wheel_insert(void *context)
{
    struct wheel_timer *timers = context;
    struct rng rng = { 1 };
    struct wheel *wheel = wheel_new(0);
    memset(timers, 0, TIMERS * sizeof(*timers));
    for (size_t i = 0; i < TIMERS; i++)
        timers[i].due = (usec_t)rng_below(&rng, (uint64_t)USEC_HOUR);
    usec_t started = clock_monotonic();
    for (size_t i = 0; i < TIMERS; i++)
        wheel_set(wheel, &timers[i], timers[i].due);
    double nanos = (double)(clock_monotonic() - started) * 1000 / TIMERS;
    wheel_free(wheel);
    return nanos;
}

/* A millisecond per tick, in the hour into which the timers fall; those that fire are set again. */
static double wheel_tick(void *context)
{
    struct wheel_timer *timers = context;
    struct rng rng = { 1 };
    struct wheel *wheel = wheel_new(0);
    memset(timers, 0, TIMERS * sizeof(*timers));
    for (size_t i = 0; i < TIMERS; i++)
        wheel_set(wheel, &timers[i], (usec_t)rng_below(&rng, (uint64_t)USEC_HOUR));
    size_t fired = 0;
    usec_t started = clock_monotonic();
    for (usec_t now = 0; now < TICKS * USEC_MSEC; now += USEC_MSEC) {
        struct wheel_timer *due;
        while ((due = wheel_turn(wheel, now)) != NULL) {
            wheel_set(wheel, due, due->due + USEC_HOUR);
            fired++;
        }
    }
    double nanos = (double)(clock_monotonic() - started) * 1000 / TICKS;
    CHECK(fired > 0);
    wheel_free(wheel);
    return nanos;
}

static double redact_lines(void *context)
{
    enum { LINES = 1000000, LINE_BYTES = 100 };
    char line[LINE_BYTES];
    struct buf out = { 0 };
    for (size_t i = 0; i < LINE_BYTES; i++)
        line[i] = "2026-07-01 INFO some words of a log line, "[i % 42];
    usec_t started = clock_monotonic();
    for (size_t i = 0; i < LINES; i++)
        CHECK(!redact_apply(context, line, LINE_BYTES, &out));
    return probe_rate((double)LINES * LINE_BYTES / 1e6, started);
}

int main(int argc, char **argv)
{
    int rounds = probe_rounds(argc, argv);
    struct wheel_timer *timers = check_calloc(TIMERS, sizeof(*timers));
    probe_run("wheel-insert", "ns", rounds, NULL, NULL, wheel_insert, timers);
    probe_run("wheel-tick", "ns", rounds, NULL, NULL, wheel_tick, timers);
    free(timers);

    struct redact *redact = redact_new(NULL);
    for (int i = 0; i < 20; i++) {
        char secret[32];
        (void)snprintf(secret, sizeof(secret), "secret-value-%d!", i * 7919);
        CHECK(redact_add(redact, secret));
    }
    probe_run("redact-20-secrets", "MB/s", rounds, NULL, NULL, redact_lines, redact);
    redact_free(redact);
    return EXIT_SUCCESS;
}
