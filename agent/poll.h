/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a repository is asked next. Pure: time and randomness are given.
 *
 * Success: after the interval, a tenth more or less, so that a thousand repositories do not ask at
 * once. Failure: after twice as long each time, up to a limit, or what the remote asked for. A
 * wake-up, for example by a webhook, makes it due at once; one that comes while the repository is
 * being asked makes it due again right after.
 */
#ifndef AGENT_POLL_H
#define AGENT_POLL_H

#include <stdbool.h>

#include "base/clock.h"

struct rng;

#define POLL_INTERVAL_DEFAULT (30 * USEC_SEC)
#define POLL_INTERVAL_MIN     USEC_SEC
#define POLL_BACKOFF_MAX      (10 * USEC_MIN)

/* Part of the interval by which a success is spread, in both directions. */
#define POLL_JITTER 0.1

struct poll {
    usec_t interval;   /* 0: POLL_INTERVAL_DEFAULT */
    usec_t due;        /* 0: at once, as at the start */
    unsigned failures; /* in a row */
    bool is_running;
    bool is_woken; /* while running */
};

/* Is it to be asked now? */
bool poll_is_due(const struct poll *poll, usec_t now);

void poll_start(struct poll *poll);

/*
 * The asking has ended.
 *
 * retry_after  span that the remote asked to wait, 0 none
 */
void poll_end(struct poll *poll, bool ok, usec_t retry_after, usec_t now, struct rng *rng);

/* Somebody knows that there is something new. */
void poll_wake(struct poll *poll, usec_t now);

#endif
