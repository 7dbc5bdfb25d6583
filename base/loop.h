/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event loop of one thread: descriptors (also pidfds), timers, and calls posted by other threads.
 *
 * Only loop_post(), loop_wake() and loop_stop() may be called from other threads. Callbacks run in
 * the loop's thread and may watch, unwatch, set and cancel anything, themselves included.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/wheel.h"

struct error;
struct loop;
struct loop_watch;

/* events: EPOLLIN, EPOLLOUT, EPOLLHUP … */
typedef void loop_fd_fn(void *context, uint32_t events);
typedef void loop_fn(void *context);

/* Set with loop_timer_set(). Zero-initialise, then fill fn and context. */
struct loop_timer {
    struct wheel_timer timer;
    loop_fn *fn;
    void *context;
};

/* posts_max: bound of calls waiting to run, see loop_post(). NULL on failure (descriptors). */
struct loop *loop_new(size_t posts_max, struct error *err);

/* After loop_run() returned. Posted calls that did not run are dropped. */
void loop_free(struct loop *loop);

/* Runs until loop_stop(); all calls posted before that have then run. */
void loop_run(struct loop *loop);

/* One round: waits at most until `deadline` on the monotonic clock, runs what is ready. */
void loop_turn(struct loop *loop, usec_t deadline);

/* Any thread, also before loop_run(). */
void loop_stop(struct loop *loop);

/* Monotonic time read once per round. */
usec_t loop_now(const struct loop *loop);

/*
 * Calls fn(context, events) whenever one of `events` holds (level triggered; EPOLLERR and EPOLLHUP
 * are always reported). The descriptor stays the caller's and must outlive the watch.
 *
 * Returns  NULL and ERR_INTERNAL, when the system refuses (files cannot be watched)
 */
struct loop_watch *loop_watch(
    struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn, void *context, struct error *err);

/* Changes the events; 0 pauses (errors and hang-ups are then not reported either). */
void loop_rewatch(struct loop *loop, struct loop_watch *watch, uint32_t events);

/* Ends a watch; its callback is not called any more, even if an event was already read. NULL: fine.
 */
void loop_unwatch(struct loop *loop, struct loop_watch *watch);

/* `due` on the monotonic clock; USEC_NEVER cancels. The timer must stay in place while set. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, usec_t due);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);

/*
 * Has fn(context) called in the loop's thread, in the order of posting. Any thread.
 *
 * Returns  false when posts_max calls wait already or the loop was stopped: nothing is called
 */
bool loop_post(struct loop *loop, loop_fn *fn, void *context);

/* Whether the calling thread is the one inside loop_run() or loop_turn(). */
bool loop_is_here(const struct loop *loop);

#endif
