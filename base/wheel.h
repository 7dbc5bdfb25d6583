/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hierarchical timer wheel: constant cost to add and cancel, whatever the number of timers.
 *
 * Timers are links inside the caller's structs, so adding one allocates nothing. The wheel knows no
 * clock: any usec_t scale will do, and times are exact to the microsecond.
 *
 * Not thread safe.
 */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/list.h"

/* Zero-initialised is a timer that is not set. The owner is LIST_OWNER(timer, type, member). */
struct wheel_timer {
    struct list link; /* NULLs while not set */
    usec_t due;
};

struct wheel;

/* `now` is the start of its time; timers due earlier are due at once. */
struct wheel *wheel_new(usec_t now);

/* Timers still set are forgotten, not touched. */
void wheel_free(struct wheel *wheel);

/* Sets a timer, or moves it when it was set. USEC_NEVER only cancels. */
void wheel_set(struct wheel *wheel, struct wheel_timer *timer, usec_t due);

/* A timer that is not set is fine. */
void wheel_cancel(struct wheel *wheel, struct wheel_timer *timer);

bool wheel_is_set(const struct wheel_timer *timer);

/* Number of timers set. */
size_t wheel_count(const struct wheel *wheel);

/*
 * A time not later than the earliest timer and later than the last wheel_turn(), exact once it is
 * within a millisecond: sleep until then, turn, ask again. USEC_NEVER when no timer is set.
 */
usec_t wheel_next(const struct wheel *wheel);

/*
 * Moves to `now` and takes out one timer with due <= now: the earliest; among equals an order that
 * depends only on the calls made. NULL when there is none. Call until NULL; timers may be set and
 * cancelled between the calls. A `now` before an earlier one counts as that one.
 */
struct wheel_timer *wheel_turn(struct wheel *wheel, usec_t now);

#endif
