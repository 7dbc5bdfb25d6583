/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dates by pattern: `dd/MM/yyyy HH:mm`, letters of expressions.md 7.3. Formatting and parsing walk
 * the same fields.
 */
#ifndef CORE_EXPR_DATE_PATTERN_H
#define CORE_EXPR_DATE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/timefmt.h"

struct buf;
struct date_locale;
struct error;
struct tz;

#define DATE_PATTERN_BYTES_MAX 1000U

/* An instant seen in a zone. */
struct moment {
    usec_t at;
    int32_t nanos; /* 0–999 below the microsecond */
    const struct tz *tz;
    int32_t offset;     /* of the zone at that instant */
    struct civil local; /* fields in that zone */
};

struct moment moment_at(usec_t at, int32_t nanos, const struct tz *tz);

/* Nanoseconds of the second. */
int64_t moment_nano(const struct moment *moment);

/*
 * Appends the moment. Errors: ERR_INVALID, the pattern is wrong.
 */
bool date_format(struct buf *out,
                 const struct moment *moment,
                 const char *pattern,
                 const struct date_locale *locale,
                 struct error *err);

/*
 * Reads a text by a pattern; names are English.
 *
 * tz       zone of a text that holds neither offset nor zone
 * Errors   ERR_INVALID  the pattern is wrong, the text does not fit it, or it tells no date
 */
bool date_parse(const char *text,
                size_t length,
                const char *pattern,
                const struct tz *tz,
                struct moment *out,
                struct error *err);

/* Week and week-based year of a locale's calendar; iso: weeks start on Monday. */
void date_week(
    const struct civil *date, int32_t first_day, int32_t min_days, int32_t *year, int32_t *week);

#endif
