/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <time.h>

static usec_t read_clock(clockid_t id)
{
    struct timespec now;
    (void)clock_gettime(id, &now); // cannot fail for the two clocks used here
    return (usec_t)now.tv_sec * USEC_SEC + now.tv_nsec / 1000;
}

usec_t clock_now(void)
{
    return read_clock(CLOCK_REALTIME);
}

usec_t clock_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC);
}
