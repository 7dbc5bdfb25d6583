/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cron expressions: parsing, and the next or previous matching instant in a time zone.
 *
 * Pure. Source of the syntax and of the daylight-saving rules: flow-language.md 5.4.
 */
#ifndef CORE_CRON_H
#define CORE_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct error;
struct tz;

/* A set of instants; plain data, copied freely. */
struct cron {
    uint64_t seconds; /* bit per allowed value */
    uint64_t minutes;
    uint32_t hours;
    uint32_t days;    /* of the month, bit 1 … 31 */
    uint16_t months;  /* bit 1 … 12 */
    uint8_t weekdays; /* bit 0 Sunday … 6 */
    bool any_day;     /* day of month is `*` */
    bool any_weekday;
};

/*
 * Parses five fields, minute hour day-of-month month day-of-week, or six with seconds first; or a
 * nickname such as "@daily".
 *
 * Errors  ERR_INVALID "invalid cron expression '<text>': <reason>"
 */
bool cron_parse(struct cron *out, const char *text, bool with_seconds, struct error *err);

/*
 * First match strictly after `after`, or USEC_NEVER when the following years hold none.
 *
 * A local time that a clock change skips matches the first instant behind the gap; one that occurs
 * twice matches the first time only. When day of month and day of week are both restricted, a day
 * that satisfies either matches.
 */
usec_t cron_next(const struct cron *cron, const struct tz *tz, usec_t after);

/* Last match strictly before `before`, or -USEC_NEVER when there is none. */
usec_t cron_previous(const struct cron *cron, const struct tz *tz, usec_t before);

#endif
