/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public holidays by rule: fixed days, days counted from Easter, weekdays of a month, and what
 * moves when a holiday falls on a weekend.
 *
 * Pure. Covers nationwide holidays in force today, and those of some subdivisions (ISO 3166-2
 * without the country: "BY", "ENG"). To add a country: its rows in holiday.c and a test.
 */
#ifndef CORE_HOLIDAY_H
#define CORE_HOLIDAY_H

#include <stdbool.h>

struct civil;
struct error;

/*
 * Is the date a public holiday?
 *
 * country      ISO 3166 code of two letters, any case
 * subdivision  NULL: nationwide holidays only
 * Errors       ERR_INVALID  rules for the country are not known; the text lists the known ones
 */
bool holiday_is(const struct civil *date,
                const char *country,
                const char *subdivision,
                bool *out,
                struct error *err);

/* Names the holiday ("Easter Monday"), NULL when it is none or the country is unknown. */
const char *holiday_name(const struct civil *date, const char *country, const char *subdivision);

#endif
