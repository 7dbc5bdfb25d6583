/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time zones: offsets at instants, and instants of local times.
 *
 * A zone is read once from the system's zoneinfo files (folder of the environment variable TZDIR,
 * else /usr/share/zoneinfo), kept for the life of the process, and never changes. Any thread may
 * ask. Names are those of IANA, in exact spelling, and fixed offsets:
 *
 *     Europe/Paris UTC GMT CET    but not EST MST HST, which people mean in three ways
 *     Z +2 +02 +02:00 +0200 +02:00:00
 *     UTC+2 GMT-03:30 UT+1
 */
#ifndef CORE_TZ_H
#define CORE_TZ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct error;
struct tz;

/* What holds in a zone during a span of time. */
struct tz_info {
    int32_t offset; /* seconds east of UTC */
    bool is_dst;
    const char *abbreviation; /* "CET", for zones without letters "+03" */
    usec_t from;              /* first instant of the span; INT64_MIN when it has none */
    usec_t until;             /* first instant behind it; USEC_NEVER when it has none */
};

/* How a local time relates to instants. */
enum tz_local {
    TZ_UNIQUE,
    TZ_GAP,     /* skipped when clocks went forward: the instant is moved forward by the gap */
    TZ_OVERLAP, /* happens twice when clocks go back: the instant is the first one */
};

/*
 * Borrowed for the life of the process.
 *
 * name     NULL or "" is UTC
 * Returns  NULL with err filled
 * Errors   ERR_INVALID   no such zone
 *          ERR_INTERNAL  its file cannot be read or is damaged
 */
const struct tz *tz_get(const char *name, struct error *err);

const struct tz *tz_utc(void);

/* The zone of a fixed offset, seconds east of UTC, at most 18 hours either way. */
const struct tz *tz_of_offset(int32_t offset);

/* "Europe/Paris", "UTC", "+02:00", "UTC+02:00", "Z". */
const char *tz_name(const struct tz *tz);

/* Was it named by an offset alone ("+02:00", "Z")? */
bool tz_is_offset(const struct tz *tz);

struct tz_info tz_at(const struct tz *tz, usec_t at);

/* Seconds east of UTC. */
int32_t tz_offset(const struct tz *tz, usec_t at);

/* The local time of an instant, as microseconds read as if UTC: civil_of(tz_local(…)). */
usec_t tz_local(const struct tz *tz, usec_t at);

/* The instant of a local time (microseconds read as if UTC). */
enum tz_local tz_resolve(const struct tz *tz, usec_t local, usec_t *at);

#endif
