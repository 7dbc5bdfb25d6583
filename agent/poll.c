/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/poll.h"

#include "base/rng.h"

static usec_t interval_of(const struct poll *poll)
{
    usec_t interval = poll->interval == 0 ? POLL_INTERVAL_DEFAULT : poll->interval;
    return interval < POLL_INTERVAL_MIN ? POLL_INTERVAL_MIN : interval;
}

bool poll_is_due(const struct poll *poll, usec_t now)
{
    return !poll->is_running && poll->due <= now;
}

void poll_start(struct poll *poll)
{
    poll->is_running = true;
    poll->is_woken = false;
}

/* Twice the interval per failure, within the limit, unless the interval itself is longer. */
static usec_t backoff(const struct poll *poll)
{
    usec_t span = interval_of(poll);
    usec_t limit = span > POLL_BACKOFF_MAX ? span : POLL_BACKOFF_MAX;
    for (unsigned i = 0; i < poll->failures && span < limit; i++)
        span *= 2;
    return span < limit ? span : limit;
}

void poll_end(struct poll *poll, bool ok, usec_t retry_after, usec_t now, struct rng *rng)
{
    poll->is_running = false;
    poll->failures = ok ? 0 : poll->failures + 1;
    if (poll->is_woken) {
        poll->is_woken = false;
        poll->due = now;
        return;
    }
    usec_t span = ok ? interval_of(poll) : backoff(poll);
    double shift = (2 * rng_unit(rng) - 1) * POLL_JITTER;
    span += (usec_t)((double)span * shift);
    if (!ok && retry_after > span)
        span = retry_after;
    poll->due = now + span;
}

void poll_wake(struct poll *poll, usec_t now)
{
    if (poll->is_running)
        poll->is_woken = true;
    else
        poll->due = now;
}
