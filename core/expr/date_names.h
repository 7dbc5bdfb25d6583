/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of dates in some languages, and names of time zones in English.
 *
 * Source: the Unicode Common Locale Data Repository, version 42.
 */
#ifndef CORE_EXPR_DATE_NAMES_H
#define CORE_EXPR_DATE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct date_locale {
    const char *language; /* "fr" */
    const char *months[12];
    const char *months_short[12];
    const char *months_alone[12]; /* short, standing alone */
    const char *days[7];          /* Monday first */
    const char *days_short[7];
    const char *months_narrow; /* one letter each */
    const char *days_narrow;
    const char *quarters[4];
    char quarter_letter;
    const char *am_pm[2];
    const char *eras[2]; /* before, after */
    const char *eras_long[2];
    const char *eras_narrow[2];
    int32_t first_day;     /* of the week, 1 Monday – 7 Sunday */
    int32_t min_days;      /* days of January that the first week of a year must have */
    const char *styles[4]; /* patterns: full, long, medium, short */
};

/* "fr", "fr_FR", "fr-FR"; NULL or "" is English. NULL when the language is not known. */
const struct date_locale *date_locale_find(const char *tag);

/*
 * Sets first_day and min_days by the region of a tag ("de_DE", "en-GB"); without one weeks start on
 * Sunday.
 */
void date_locale_weeks(struct date_locale *locale, const char *tag);

/*
 * Long name of a zone, "Central European Summer Time". NULL when it has none.
 *
 * zone          IANA name
 * abbreviation  of tzdata, "CEST"
 */
const char *zone_long_name(const char *zone, const char *abbreviation, bool is_dst);

/* Short name where tzdata has only digits: "BRT" for America/Sao_Paulo. NULL when it has none. */
const char *zone_short_name(const char *zone, bool is_dst);

/* "Central European Time", or for short "PT"; NULL when it has none. */
const char *zone_generic_name(const char *zone, const char *abbreviation, bool is_long);

/* A zone that people mean by an abbreviation, "Europe/Paris" for "CET"; NULL for others. */
const char *zone_of_abbreviation(const char *abbreviation, size_t length);

/* The zone whose long name a text goes on with; *at moves behind it. NULL when it is none. */
const char *zone_of_long_name(const char **at, const char *end);

#endif
