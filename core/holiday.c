/* SPDX-License-Identifier: Apache-2.0 */
#include "core/holiday.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/timefmt.h"

enum rule_kind {
    FIXED,    /* month, day */
    EASTER,   /* day: offset from Easter Sunday */
    NTH,      /* day: which (1 first … 5, -1 last) weekday `weekday` of the month */
    ON_AFTER, /* first `weekday` on or after month, day */
    BEFORE,   /* last `weekday` before month, day */
};

enum moves {
    STAYS,
    TO_MONDAY,       /* on Saturday or Sunday: the next Monday (or free day) is a holiday instead */
    NEAREST_WEEKDAY, /* Saturday to Friday, Sunday to Monday, besides the day itself (US) */
    SUNDAY_TO_MONDAY, /* on Sunday: Monday besides */
};

struct rule {
    const char *country;
    const char *subdivisions; /* space separated; NULL nationwide */
    const char *name;
    enum rule_kind kind;
    int month;
    int day;
    int weekday; /* 1 Monday … 7 Sunday */
    enum moves moves;
    int since; /* first year, 0 always */
};

#define NEW_YEAR(c)                                                                                \
    {                                                                                              \
        c, NULL, "New Year's Day", FIXED, 1, 1, 0, STAYS, 0                                        \
    }
#define GOOD_FRIDAY(c)                                                                             \
    {                                                                                              \
        c, NULL, "Good Friday", EASTER, 0, -2, 0, STAYS, 0                                         \
    }
#define EASTER_DAY(c)                                                                              \
    {                                                                                              \
        c, NULL, "Easter Sunday", EASTER, 0, 0, 0, STAYS, 0                                        \
    }
#define EASTER_MONDAY(c)                                                                           \
    {                                                                                              \
        c, NULL, "Easter Monday", EASTER, 0, 1, 0, STAYS, 0                                        \
    }
#define ASCENSION(c)                                                                               \
    {                                                                                              \
        c, NULL, "Ascension Day", EASTER, 0, 39, 0, STAYS, 0                                       \
    }
#define WHIT_SUNDAY(c)                                                                             \
    {                                                                                              \
        c, NULL, "Whit Sunday", EASTER, 0, 49, 0, STAYS, 0                                         \
    }
#define WHIT_MONDAY(c)                                                                             \
    {                                                                                              \
        c, NULL, "Whit Monday", EASTER, 0, 50, 0, STAYS, 0                                         \
    }
#define LABOUR_DAY(c)                                                                              \
    {                                                                                              \
        c, NULL, "Labour Day", FIXED, 5, 1, 0, STAYS, 0                                            \
    }
#define EPIPHANY(c)                                                                                \
    {                                                                                              \
        c, NULL, "Epiphany", FIXED, 1, 6, 0, STAYS, 0                                              \
    }
#define ASSUMPTION(c)                                                                              \
    {                                                                                              \
        c, NULL, "Assumption Day", FIXED, 8, 15, 0, STAYS, 0                                       \
    }
#define ALL_SAINTS(c)                                                                              \
    {                                                                                              \
        c, NULL, "All Saints' Day", FIXED, 11, 1, 0, STAYS, 0                                      \
    }
#define IMMACULATE(c)                                                                              \
    {                                                                                              \
        c, NULL, "Immaculate Conception", FIXED, 12, 8, 0, STAYS, 0                                \
    }
#define CHRISTMAS(c)                                                                               \
    {                                                                                              \
        c, NULL, "Christmas Day", FIXED, 12, 25, 0, STAYS, 0                                       \
    }
#define SECOND_CHRISTMAS(c)                                                                        \
    {                                                                                              \
        c, NULL, "Second Day of Christmas", FIXED, 12, 26, 0, STAYS, 0                             \
    }
#define CORPUS_CHRISTI(c, s)                                                                       \
    {                                                                                              \
        c, s, "Corpus Christi", EASTER, 0, 60, 0, STAYS, 0                                         \
    }

static const struct rule rules[] = {
    NEW_YEAR("DE"),
    GOOD_FRIDAY("DE"),
    EASTER_MONDAY("DE"),
    LABOUR_DAY("DE"),
    ASCENSION("DE"),
    WHIT_MONDAY("DE"),
    CHRISTMAS("DE"),
    SECOND_CHRISTMAS("DE"),
    { "DE", NULL, "German Unity Day", FIXED, 10, 3, 0, STAYS, 1990 },
    { "DE", "BW BY ST", "Epiphany", FIXED, 1, 6, 0, STAYS, 0 },
    { "DE", "BE MV", "International Women's Day", FIXED, 3, 8, 0, STAYS, 2019 },
    CORPUS_CHRISTI("DE", "BW BY HE NW RP SL"),
    { "DE", "SL BY", "Assumption Day", FIXED, 8, 15, 0, STAYS, 0 },
    { "DE", "TH", "World Children's Day", FIXED, 9, 20, 0, STAYS, 2019 },
    { "DE", "BB HB HH MV NI SH SN ST TH", "Reformation Day", FIXED, 10, 31, 0, STAYS, 0 },
    { "DE", "BW BY NW RP SL", "All Saints' Day", FIXED, 11, 1, 0, STAYS, 0 },
    { "DE", "SN", "Repentance and Prayer Day", BEFORE, 11, 23, 3, STAYS, 0 },

    NEW_YEAR("FR"),
    EASTER_MONDAY("FR"),
    LABOUR_DAY("FR"),
    ASCENSION("FR"),
    WHIT_MONDAY("FR"),
    { "FR", NULL, "Victory Day", FIXED, 5, 8, 0, STAYS, 0 },
    { "FR", NULL, "Bastille Day", FIXED, 7, 14, 0, STAYS, 0 },
    ASSUMPTION("FR"),
    ALL_SAINTS("FR"),
    { "FR", NULL, "Armistice Day", FIXED, 11, 11, 0, STAYS, 0 },
    CHRISTMAS("FR"),
    { "FR", "57 67 68", "Good Friday", EASTER, 0, -2, 0, STAYS, 0 },
    { "FR", "57 67 68", "Second Day of Christmas", FIXED, 12, 26, 0, STAYS, 0 },

    { "GB", NULL, "New Year's Day", FIXED, 1, 1, 0, TO_MONDAY, 0 },
    { "GB", "SCT", "2 January", FIXED, 1, 2, 0, TO_MONDAY, 0 },
    { "GB", "NIR", "Saint Patrick's Day", FIXED, 3, 17, 0, TO_MONDAY, 0 },
    GOOD_FRIDAY("GB"),
    { "GB", "ENG WLS NIR", "Easter Monday", EASTER, 0, 1, 0, STAYS, 0 },
    { "GB", NULL, "Early May Bank Holiday", NTH, 5, 1, 1, STAYS, 0 },
    { "GB", NULL, "Spring Bank Holiday", NTH, 5, -1, 1, STAYS, 0 },
    { "GB", "NIR", "Battle of the Boyne", FIXED, 7, 12, 0, TO_MONDAY, 0 },
    { "GB", "SCT", "Summer Bank Holiday", NTH, 8, 1, 1, STAYS, 0 },
    { "GB", "ENG WLS NIR", "Summer Bank Holiday", NTH, 8, -1, 1, STAYS, 0 },
    { "GB", "SCT", "Saint Andrew's Day", FIXED, 11, 30, 0, TO_MONDAY, 0 },
    { "GB", NULL, "Christmas Day", FIXED, 12, 25, 0, TO_MONDAY, 0 },
    { "GB", NULL, "Boxing Day", FIXED, 12, 26, 0, TO_MONDAY, 0 },

    { "US", NULL, "New Year's Day", FIXED, 1, 1, 0, NEAREST_WEEKDAY, 0 },
    { "US", NULL, "Martin Luther King Jr. Day", NTH, 1, 3, 1, STAYS, 1986 },
    { "US", NULL, "Presidents' Day", NTH, 2, 3, 1, STAYS, 0 },
    { "US", NULL, "Memorial Day", NTH, 5, -1, 1, STAYS, 0 },
    { "US", NULL, "Juneteenth", FIXED, 6, 19, 0, NEAREST_WEEKDAY, 2021 },
    { "US", NULL, "Independence Day", FIXED, 7, 4, 0, NEAREST_WEEKDAY, 0 },
    { "US", NULL, "Labor Day", NTH, 9, 1, 1, STAYS, 0 },
    { "US", NULL, "Columbus Day", NTH, 10, 2, 1, STAYS, 0 },
    { "US", NULL, "Veterans Day", FIXED, 11, 11, 0, NEAREST_WEEKDAY, 0 },
    { "US", NULL, "Thanksgiving Day", NTH, 11, 4, 4, STAYS, 0 },
    { "US", NULL, "Christmas Day", FIXED, 12, 25, 0, NEAREST_WEEKDAY, 0 },

    NEW_YEAR("ES"),
    EPIPHANY("ES"),
    GOOD_FRIDAY("ES"),
    LABOUR_DAY("ES"),
    ASSUMPTION("ES"),
    { "ES", NULL, "National Day", FIXED, 10, 12, 0, STAYS, 0 },
    ALL_SAINTS("ES"),
    { "ES", NULL, "Constitution Day", FIXED, 12, 6, 0, STAYS, 1983 },
    IMMACULATE("ES"),
    CHRISTMAS("ES"),
    { "ES", "CT", "Saint John's Day", FIXED, 6, 24, 0, STAYS, 0 },
    { "ES", "CT", "National Day of Catalonia", FIXED, 9, 11, 0, STAYS, 0 },
    { "ES", "CT IB", "Second Day of Christmas", FIXED, 12, 26, 0, STAYS, 0 },

    NEW_YEAR("IT"),
    EPIPHANY("IT"),
    EASTER_DAY("IT"),
    EASTER_MONDAY("IT"),
    LABOUR_DAY("IT"),
    { "IT", NULL, "Liberation Day", FIXED, 4, 25, 0, STAYS, 0 },
    { "IT", NULL, "Republic Day", FIXED, 6, 2, 0, STAYS, 0 },
    ASSUMPTION("IT"),
    ALL_SAINTS("IT"),
    IMMACULATE("IT"),
    CHRISTMAS("IT"),
    SECOND_CHRISTMAS("IT"),

    NEW_YEAR("NL"),
    EASTER_DAY("NL"),
    EASTER_MONDAY("NL"),
    ASCENSION("NL"),
    WHIT_SUNDAY("NL"),
    WHIT_MONDAY("NL"),
    { "NL", NULL, "King's Day", FIXED, 4, 27, 0, STAYS, 2014 },
    CHRISTMAS("NL"),
    SECOND_CHRISTMAS("NL"),

    NEW_YEAR("BE"),
    EASTER_MONDAY("BE"),
    LABOUR_DAY("BE"),
    ASCENSION("BE"),
    WHIT_MONDAY("BE"),
    { "BE", NULL, "National Day", FIXED, 7, 21, 0, STAYS, 0 },
    ASSUMPTION("BE"),
    ALL_SAINTS("BE"),
    { "BE", NULL, "Armistice Day", FIXED, 11, 11, 0, STAYS, 0 },
    CHRISTMAS("BE"),

    NEW_YEAR("AT"),
    EPIPHANY("AT"),
    EASTER_MONDAY("AT"),
    LABOUR_DAY("AT"),
    ASCENSION("AT"),
    WHIT_MONDAY("AT"),
    CORPUS_CHRISTI("AT", NULL),
    ASSUMPTION("AT"),
    { "AT", NULL, "National Day", FIXED, 10, 26, 0, STAYS, 0 },
    ALL_SAINTS("AT"),
    IMMACULATE("AT"),
    CHRISTMAS("AT"),
    SECOND_CHRISTMAS("AT"),

    NEW_YEAR("CH"),
    ASCENSION("CH"),
    { "CH", NULL, "National Day", FIXED, 8, 1, 0, STAYS, 0 },
    CHRISTMAS("CH"),
    { "CH", "ZH BE BS BL GE", "Good Friday", EASTER, 0, -2, 0, STAYS, 0 },
    { "CH", "ZH BE BS BL GE", "Easter Monday", EASTER, 0, 1, 0, STAYS, 0 },
    { "CH", "ZH BE BS BL GE", "Whit Monday", EASTER, 0, 50, 0, STAYS, 0 },
    { "CH", "ZH BS BL", "Labour Day", FIXED, 5, 1, 0, STAYS, 0 },

    NEW_YEAR("PL"),
    EPIPHANY("PL"),
    EASTER_DAY("PL"),
    EASTER_MONDAY("PL"),
    LABOUR_DAY("PL"),
    { "PL", NULL, "Constitution Day", FIXED, 5, 3, 0, STAYS, 0 },
    WHIT_SUNDAY("PL"),
    CORPUS_CHRISTI("PL", NULL),
    ASSUMPTION("PL"),
    ALL_SAINTS("PL"),
    { "PL", NULL, "Independence Day", FIXED, 11, 11, 0, STAYS, 0 },
    { "PL", NULL, "Christmas Eve", FIXED, 12, 24, 0, STAYS, 2025 },
    CHRISTMAS("PL"),
    SECOND_CHRISTMAS("PL"),

    NEW_YEAR("SE"),
    EPIPHANY("SE"),
    GOOD_FRIDAY("SE"),
    EASTER_DAY("SE"),
    EASTER_MONDAY("SE"),
    LABOUR_DAY("SE"),
    ASCENSION("SE"),
    WHIT_SUNDAY("SE"),
    { "SE", NULL, "National Day", FIXED, 6, 6, 0, STAYS, 2005 },
    { "SE", NULL, "Midsummer Day", ON_AFTER, 6, 20, 6, STAYS, 0 },
    { "SE", NULL, "All Saints' Day", ON_AFTER, 10, 31, 6, STAYS, 0 },
    CHRISTMAS("SE"),
    SECOND_CHRISTMAS("SE"),

    NEW_YEAR("DK"),
    GOOD_FRIDAY("DK"),
    EASTER_DAY("DK"),
    EASTER_MONDAY("DK"),
    ASCENSION("DK"),
    { "DK", NULL, "Maundy Thursday", EASTER, 0, -3, 0, STAYS, 0 },
    WHIT_SUNDAY("DK"),
    WHIT_MONDAY("DK"),
    CHRISTMAS("DK"),
    SECOND_CHRISTMAS("DK"),

    NEW_YEAR("NO"),
    GOOD_FRIDAY("NO"),
    EASTER_DAY("NO"),
    EASTER_MONDAY("NO"),
    LABOUR_DAY("NO"),
    { "NO", NULL, "Maundy Thursday", EASTER, 0, -3, 0, STAYS, 0 },
    { "NO", NULL, "Constitution Day", FIXED, 5, 17, 0, STAYS, 0 },
    ASCENSION("NO"),
    WHIT_SUNDAY("NO"),
    WHIT_MONDAY("NO"),
    CHRISTMAS("NO"),
    SECOND_CHRISTMAS("NO"),

    NEW_YEAR("PT"),
    GOOD_FRIDAY("PT"),
    EASTER_DAY("PT"),
    LABOUR_DAY("PT"),
    { "PT", NULL, "Freedom Day", FIXED, 4, 25, 0, STAYS, 0 },
    CORPUS_CHRISTI("PT", NULL),
    { "PT", NULL, "Portugal Day", FIXED, 6, 10, 0, STAYS, 0 },
    ASSUMPTION("PT"),
    { "PT", NULL, "Republic Day", FIXED, 10, 5, 0, STAYS, 0 },
    ALL_SAINTS("PT"),
    { "PT", NULL, "Restoration of Independence", FIXED, 12, 1, 0, STAYS, 0 },
    IMMACULATE("PT"),
    CHRISTMAS("PT"),

    NEW_YEAR("IE"),
    { "IE", NULL, "Saint Brigid's Day", NTH, 2, 1, 1, STAYS, 2023 },
    { "IE", NULL, "Saint Patrick's Day", FIXED, 3, 17, 0, STAYS, 0 },
    EASTER_MONDAY("IE"),
    { "IE", NULL, "May Day", NTH, 5, 1, 1, STAYS, 0 },
    { "IE", NULL, "June Holiday", NTH, 6, 1, 1, STAYS, 0 },
    { "IE", NULL, "August Holiday", NTH, 8, 1, 1, STAYS, 0 },
    { "IE", NULL, "October Holiday", NTH, 10, -1, 1, STAYS, 0 },
    CHRISTMAS("IE"),
    { "IE", NULL, "Saint Stephen's Day", FIXED, 12, 26, 0, STAYS, 0 },

    { "CA", NULL, "New Year's Day", FIXED, 1, 1, 0, STAYS, 0 },
    GOOD_FRIDAY("CA"),
    { "CA", NULL, "Victoria Day", BEFORE, 5, 25, 1, STAYS, 0 },
    { "CA", NULL, "Canada Day", FIXED, 7, 1, 0, SUNDAY_TO_MONDAY, 0 },
    { "CA", NULL, "Labour Day", NTH, 9, 1, 1, STAYS, 0 },
    { "CA", NULL, "Truth and Reconciliation", FIXED, 9, 30, 0, STAYS, 2021 },
    { "CA", NULL, "Thanksgiving", NTH, 10, 2, 1, STAYS, 0 },
    { "CA", NULL, "Remembrance Day", FIXED, 11, 11, 0, STAYS, 0 },
    CHRISTMAS("CA"),
};

static const struct rule *const rules_end = rules + COUNT_OF(rules);

/* Day number (civil_days) of Easter Sunday, Gregorian: Meeus, Jones, Butcher. */
static int64_t easter(int32_t year)
{
    int a = year % 19;
    int b = year / 100;
    int c = year % 100;
    int d = b / 4;
    int e = b % 4;
    int f = (b + 8) / 25;
    int g = (b - f + 1) / 3;
    int h = (19 * a + b - d - g + 15) % 30;
    int i = c / 4;
    int k = c % 4;
    int l = (32 + 2 * e + 2 * i - h - k) % 7;
    int m = (a + 11 * h + 22 * l) / 451;
    int month = (h + l - 7 * m + 114) / 31;
    int day = (h + l - 7 * m + 114) % 31 + 1;
    return civil_days(year, month, day);
}

/* 1 Monday … 7 Sunday; day 0 (1 January 1970) was a Thursday. */
static int weekday_of(int64_t days)
{
    int64_t rest = (days + 3) % 7;
    return (int)(rest < 0 ? rest + 7 : rest) + 1;
}

static int64_t on_or_after(int64_t days, int weekday)
{
    return days + (weekday - weekday_of(days) + 7) % 7;
}

/* Day number of a rule in a year. */
static int64_t rule_day(const struct rule *rule, int32_t year)
{
    switch (rule->kind) {
    case FIXED:
        break;
    case EASTER:
        return easter(year) + rule->day;
    case NTH:
        if (rule->day > 0)
            return on_or_after(civil_days(year, rule->month, 1), rule->weekday) +
                   (int64_t)7 * (rule->day - 1);
        return on_or_after(civil_days(year, rule->month, civil_month_days(year, rule->month)) - 6,
                           rule->weekday);
    case ON_AFTER:
        return on_or_after(civil_days(year, rule->month, rule->day), rule->weekday);
    case BEFORE:
        return on_or_after(civil_days(year, rule->month, rule->day) - 7, rule->weekday);
    }
    return civil_days(year, rule->month, rule->day);
}

static bool applies(const struct rule *rule, const char *country, const char *subdivision, int year)
{
    if (strcasecmp(rule->country, country) != 0 || year < rule->since)
        return false;
    if (rule->subdivisions == NULL)
        return true;
    if (subdivision == NULL)
        return false;
    size_t length = strlen(subdivision);
    for (const char *at = rule->subdivisions; *at != '\0';) {
        size_t word = strcspn(at, " ");
        if (word == length && strncasecmp(at, subdivision, length) == 0)
            return true;
        at += word + strspn(at + word, " ");
    }
    return false;
}

/* Is `days` one of this rule's unmoved days? For TO_MONDAY, whose substitutes must not collide. */
static bool is_taken(int64_t days, int32_t year, const char *country, const char *subdivision)
{
    for (const struct rule *rule = rules; rule < rules_end; rule++) {
        if (applies(rule, country, subdivision, year) && rule_day(rule, year) == days)
            return true;
    }
    return false;
}

/*
 * The substitute of a holiday on a weekend: the next weekday that is no holiday itself and no
 * substitute of an earlier one (Christmas on Saturday: Monday and Tuesday).
 */
static int64_t substitute(const struct rule *rule,
                          int32_t year,
                          const char *country,
                          const char *subdivision)
{
    int64_t days = rule_day(rule, year);
    int64_t at = days;
    while (weekday_of(at) >= 6 || (at != days && is_taken(at, year, country, subdivision)))
        at++;
    if (at == days)
        return days;
    for (const struct rule *other = rules; other < rule; other++) {
        if (other->moves == TO_MONDAY && applies(other, country, subdivision, year) &&
            weekday_of(rule_day(other, year)) >= 6 &&
            substitute(other, year, country, subdivision) == at)
            at++;
    }
    return at;
}

static bool rule_matches(const struct rule *rule,
                         int64_t days,
                         int32_t year,
                         const char *country,
                         const char *subdivision)
{
    int64_t holiday = rule_day(rule, year);
    int weekday = weekday_of(holiday);
    switch (rule->moves) {
    case STAYS:
        return days == holiday;
    case TO_MONDAY:
        return days == substitute(rule, year, country, subdivision);
    case NEAREST_WEEKDAY:
        return days == holiday || (weekday == 6 && days == holiday - 1) ||
               (weekday == 7 && days == holiday + 1);
    case SUNDAY_TO_MONDAY:
        return days == holiday || (weekday == 7 && days == holiday + 1);
    }
    return false;
}

const char *holiday_name(const struct civil *date, const char *country, const char *subdivision)
{
    int64_t days = civil_days(date->year, date->month, date->day);
    for (const struct rule *rule = rules; rule < rules_end; rule++) {
        // 31 December may stand in for the next New Year's Day
        for (int32_t year = date->year; year <= date->year + 1; year++) {
            if (applies(rule, country, subdivision, year) &&
                rule_matches(rule, days, year, country, subdivision))
                return rule->name;
        }
    }
    return NULL;
}

bool holiday_is(const struct civil *date,
                const char *country,
                const char *subdivision,
                bool *out,
                struct error *err)
{
    bool is_known = false;
    for (const struct rule *rule = rules; rule < rules_end && !is_known; rule++)
        is_known = country != NULL && strcasecmp(rule->country, country) == 0;
    if (!is_known)
        return error_set(err, ERR_INVALID,
                         "public holidays of country '%s' are not known; known are AT, BE, CA, CH, "
                         "DE, DK, ES, FR, GB, IE, IT, NL, NO, PL, PT, SE and US",
                         country == NULL ? "" : country);
    *out = holiday_name(date, country, subdivision) != NULL;
    return true;
}
