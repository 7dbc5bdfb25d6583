/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time as a number: microseconds since 1970-01-01 UTC, or a span of microseconds.
 *
 * Pure code receives times; only edges read a clock.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

typedef int64_t usec_t;

#define USEC_NEVER INT64_MAX
#define USEC_MSEC  ((usec_t)1000)
#define USEC_SEC   ((usec_t)1000000)
#define USEC_MIN   (60 * USEC_SEC)
#define USEC_HOUR  (60 * USEC_MIN)
#define USEC_DAY   (24 * USEC_HOUR)

/* Wall clock. */
usec_t clock_now(void);

/* Monotonic clock, for spans and deadlines. */
usec_t clock_monotonic(void);

#endif
