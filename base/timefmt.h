/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calendar arithmetic and ISO 8601 texts: instants, date-times, dates, times, durations.
 *
 * Pure. The proleptic Gregorian calendar without leap seconds, within the years that microseconds
 * since 1970 can express (about ±290,000).
 */
#ifndef BASE_TIMEFMT_H
#define BASE_TIMEFMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct arena;
struct buf;
struct error;

#define CIVIL_YEAR_MAX 290000

/* Fields of a date and a time of day; no zone. */
struct civil {
    int32_t year;    /* astronomical: 0 is 1 BC */
    int32_t month;   /* 1–12 */
    int32_t day;     /* 1–31 */
    int32_t hour;    /* 0–23 */
    int32_t minute;  /* 0–59 */
    int32_t second;  /* 0–59 */
    int32_t micros;  /* 0–999,999 */
    int32_t weekday; /* 1 Monday – 7 Sunday; filled by civil_of(), not read by others */
    int32_t yearday; /* 1–366; filled by civil_of(), not read by others */
};

bool civil_is_leap(int32_t year);

/* Days of a month, 28–31. */
int32_t civil_month_days(int32_t year, int32_t month);

/* Days since 1970-01-01 of a valid date. */
int64_t civil_days(int32_t year, int32_t month, int32_t day);

/* Fields of microseconds since 1970, read as UTC. */
struct civil civil_of(usec_t at);

/* Inverse of civil_of(); fields must be in range, the year within ±CIVIL_YEAR_MAX. */
usec_t civil_at(const struct civil *civil);

/* Are all fields in range, the day within its month? */
bool civil_valid(const struct civil *civil);

/*
 * The date so many months later (or earlier); a day beyond the month's end becomes its last day.
 * Returns false when the year leaves the range.
 */
bool civil_add_months(struct civil *civil, int64_t months);

/* ISO week: *year and *week (1–53) of a date. */
void civil_iso_week(const struct civil *civil, int32_t *year, int32_t *week);

/* ---- ISO 8601 texts ---- */

/* What a text holds; fields that are absent are zero. */
struct time_text {
    struct civil civil;
    bool has_date;
    bool has_time;
    bool has_offset;
    int32_t nanos;    /* 0–999 below the microsecond */
    int32_t offset;   /* seconds east of UTC */
    const char *zone; /* inside the text, NULL when absent */
    size_t zone_length;
};

/*
 * Reads one of
 *     date         2024-03-07
 *     date-time    2024-03-07T09:05[:03[.123456789]], then optionally Z or ±HH[:MM[:SS]], then
 *                  optionally [Zone/Id]
 *     time         09:05[:03[.123456789]], then optionally Z or an offset
 * strictly: two digits per field, four per year (more with a sign), existing dates only. `T` and
 * `Z` in any case.
 *
 * Errors   ERR_INVALID
 */
bool time_text_parse(const char *text, size_t length, struct time_text *out, struct error *err);

/*
 * Instant with `Z` or an offset. *nanos (may be NULL) gets what is below the microsecond.
 * Errors   ERR_INVALID
 */
bool time_parse_instant(const char *text, usec_t *out, int32_t *nanos, struct error *err);

/* 2024-05-06T07:08:09.123456Z, fraction of 0, 3, 6 or 9 digits as needed. */
void time_write_instant(struct buf *buf, usec_t at, int32_t nanos);
char *time_format_instant(struct arena *arena, usec_t at);

/* 2024-03-07, and beyond four digits +10000-01-01. */
void time_write_date(struct buf *buf, const struct civil *civil);

/* At least four digits; a sign before years outside 0–9999. */
void time_write_year(struct buf *buf, int32_t year);

/*
 * 09:05, 09:05:03, 09:05:03.5: seconds are left out when second and fraction are zero, unless
 * `seconds`; the fraction has 3, 6 or 9 digits.
 */
void time_write_time(struct buf *buf, const struct civil *civil, int32_t nanos, bool seconds);

/* Z, +01:00, -05:30:15. */
void time_write_offset(struct buf *buf, int32_t offset);

/*
 * Reads Z, ±H, ±HH, ±HH:MM, ±HHMM, ±HH:MM:SS or ±HHMMSS, at most ±18:00.
 * Errors   none: false when it is not one
 */
bool time_parse_offset(const char *text, size_t length, int32_t *offset);

/* ---- durations ---- */

/*
 * `[-+]P[nD][T[nH][nM][n[.f]S]]`, letters in any case, a sign allowed on each number, a day is 24
 * hours; or a decimal number of seconds. *nanos (may be NULL) gets what is below the microsecond,
 * 0–999, to be added.
 *
 * Errors   ERR_INVALID
 */
bool duration_parse(const char *text, usec_t *span, int32_t *nanos, struct error *err);
bool duration_parse_n(
    const char *text, size_t length, usec_t *span, int32_t *nanos, struct error *err);

/* PT1H30M, PT0S, PT-1.5S; hours, minutes, seconds only. */
void duration_write(struct buf *buf, usec_t span, int32_t nanos);
char *duration_format(struct arena *arena, usec_t span);

/* Decimal seconds with at least one digit after the point: 60.0, 0.25. */
void duration_write_seconds(struct buf *buf, usec_t span, int32_t nanos);

#endif
