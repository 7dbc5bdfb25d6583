/* SPDX-License-Identifier: Apache-2.0 */
/* Dates from texts by pattern. */
#include <string.h>

#include "base/error.h"
#include "core/expr/date_items.h"
#include "core/expr/date_names.h"
#include "core/expr/date_pattern.h"
#include "core/tz.h"

#define NUMBER_DIGITS_MAX 18 /* fit 64 bits */

/* What a text told; ABSENT where it told nothing. */
#define ABSENT INT64_MIN

enum part {
    PART_ERA, /* 0 BC, 1 AD */
    PART_YEAR,
    PART_YEAR_OF_ERA,
    PART_WEEK_YEAR,
    PART_WEEK,
    PART_MONTH,
    PART_DAY,
    PART_YEARDAY,
    PART_WEEKDAY, /* 1 Monday */
    PART_HOUR,
    PART_HOUR_OF_HALF, /* 0–11 */
    PART_HALF,         /* 0 AM, 1 PM */
    PART_MINUTE,
    PART_SECOND,
    PART_NANO,
    PART_MILLI_OF_DAY,
    PART_NANO_OF_DAY,
    PART_OFFSET,
    PART_COUNT,
};

struct parse {
    const char *at;
    const char *end;
    const struct date_locale *locale;
    int64_t parts[PART_COUNT];
    const struct tz *zone;
};

/* Digits that a numeric field takes: exactly, or at least. */
struct width {
    bool is_number;
    bool is_fixed;
    int32_t least;
    int32_t most;
    bool is_padded; /* digits beyond `least` need a sign before them */
};

static struct width width_of(const struct date_item *item)
{
    int32_t count = item->count;
    if (item->kind != DATE_FIELD || item->pad > 0)
        return (struct width){ .is_number = false };
    if (strchr("uyY", item->letter) != NULL)
        return (struct width){ true, count == 2, count == 2 ? 2 : count,
                               count == 2 ? 2 : NUMBER_DIGITS_MAX, count >= 4 };
    if (item->letter == 'S')
        return (struct width){ true, true, count, count, false };
    if (item->letter == 'D')
        return (struct width){ true, count == 3, count, 3, false };
    if (strchr("AnN", item->letter) != NULL)
        return (struct width){ true, false, count, NUMBER_DIGITS_MAX, false };
    if (strchr("MLQqe", item->letter) != NULL && count > 2)
        return (struct width){ .is_number = false };
    if (strchr("MLQqdhHKkmswecWF", item->letter) != NULL)
        return (struct width){ true, count == 2, count, count == 2 ? 2 : NUMBER_DIGITS_MAX, false };
    return (struct width){ .is_number = false };
}

/* Digits that the fixed fields directly behind item `i` need. */
static int32_t reserved_behind(const struct date_items *items, size_t i)
{
    int32_t sum = 0;
    for (i++; i < items->all.count; i++) {
        struct width width = width_of(&items->all.items[i]);
        if (!width.is_number || !width.is_fixed)
            break;
        sum += width.most;
    }
    return sum;
}

static bool take_number(struct parse *parse, struct width width, int32_t reserve, int64_t *out)
{
    bool negative = !width.is_fixed && parse->at < parse->end && *parse->at == '-';
    bool has_plus = width.is_padded && parse->at < parse->end && *parse->at == '+';
    const char *at = parse->at + (negative || has_plus ? 1 : 0);
    int32_t ahead = 0;
    while (at + ahead < parse->end && ahead < width.most + reserve && at[ahead] >= '0' &&
           at[ahead] <= '9')
        ahead++;
    int32_t count = ahead;
    if (!width.is_fixed && reserve > 0)
        count = ahead - reserve > width.least ? ahead - reserve : width.least;
    count = count > width.most ? width.most : count;
    if (count < width.least || count > ahead || count == 0)
        return false;
    if (width.is_padded && !negative && has_plus != (count > width.least))
        return false; // more digits than letters need a sign
    int64_t number = 0;
    for (int32_t i = 0; i < count; i++)
        number = number * 10 + (at[i] - '0');
    *out = negative ? -number : number;
    parse->at = at + count;
    return true;
}

/* Index of the longest name the text goes on with; -1 when there is none. */
static int take_name(struct parse *parse, const char *const *names, int count)
{
    int found = -1;
    size_t longest = 0;
    size_t left = (size_t)(parse->end - parse->at);
    for (int i = 0; i < count; i++) {
        size_t length = strlen(names[i]);
        if (length > longest && length <= left && memcmp(parse->at, names[i], length) == 0) {
            longest = length;
            found = i;
        }
    }
    parse->at += longest;
    return found;
}

static bool set_part(struct parse *parse, enum part part, int64_t value)
{
    if (parse->parts[part] != ABSENT && parse->parts[part] != value)
        return false; // told twice, differently
    parse->parts[part] = value;
    return true;
}

static bool set_number(struct parse *parse, const struct date_item *item, int64_t number)
{
    int64_t two_digits = 2000 + number;
    switch (item->letter) {
    case 'u':
        return set_part(parse, PART_YEAR, item->count == 2 ? two_digits : number);
    case 'y':
        return number >= 1 &&
               set_part(parse, PART_YEAR_OF_ERA, item->count == 2 ? two_digits : number);
    case 'Y':
        return set_part(parse, PART_WEEK_YEAR, item->count == 2 ? two_digits : number);
    case 'w':
        return set_part(parse, PART_WEEK, number);
    case 'M':
    case 'L':
        return set_part(parse, PART_MONTH, number);
    case 'd':
        return set_part(parse, PART_DAY, number);
    case 'D':
        return set_part(parse, PART_YEARDAY, number);
    case 'e':
    case 'c':
        if (number < 1 || number > 7)
            return false;
        return set_part(parse, PART_WEEKDAY, (parse->locale->first_day + number - 2) % 7 + 1);
    case 'H':
        return set_part(parse, PART_HOUR, number);
    case 'k':
        return set_part(parse, PART_HOUR, number == 24 ? 0 : number);
    case 'K':
        return number <= 11 && set_part(parse, PART_HOUR_OF_HALF, number);
    case 'h':
        return number >= 0 && number <= 12 && set_part(parse, PART_HOUR_OF_HALF, number % 12);
    case 'm':
        return set_part(parse, PART_MINUTE, number);
    case 's':
        return set_part(parse, PART_SECOND, number);
    case 'S':
        for (int32_t i = item->count; i < 9; i++)
            number *= 10;
        return set_part(parse, PART_NANO, number);
    case 'n':
        return set_part(parse, PART_NANO, number);
    case 'A':
        return set_part(parse, PART_MILLI_OF_DAY, number);
    case 'N':
        return set_part(parse, PART_NANO_OF_DAY, number);
    default:
        return true; // W, F, Q say nothing that is needed
    }
}

static bool take_two(struct parse *parse, int32_t *out)
{
    int64_t number = 0;
    if (!take_number(parse, (struct width){ true, true, 2, 2, false }, 0, &number))
        return false;
    *out = (int32_t)number;
    return true;
}

static bool take_char(struct parse *parse, char c)
{
    if (parse->at == parse->end || *parse->at != c)
        return false;
    parse->at++;
    return true;
}

/* ±HH with minutes as the form says: 0 none or two digits, 1 two digits. */
static bool take_offset(struct parse *parse, bool minutes, bool colon)
{
    int32_t hour = 0;
    int32_t minute = 0;
    bool negative = parse->at < parse->end && *parse->at == '-';
    if (!negative && !(parse->at < parse->end && *parse->at == '+'))
        return false;
    parse->at++;
    if (!take_two(parse, &hour))
        return false;
    if (colon && !take_char(parse, ':'))
        return false;
    struct parse before = *parse;
    if (!take_two(parse, &minute)) {
        if (minutes)
            return false;
        *parse = before;
    }
    int32_t total = hour * 3600 + minute * 60;
    if (minute > 59 || total > 18 * 3600)
        return false;
    return set_part(parse, PART_OFFSET, negative ? -total : total);
}

/* GMT, GMT+1, GMT+01:00 */
static bool take_gmt(struct parse *parse)
{
    static const char *const gmt[] = { "GMT" };
    int64_t hour = 0;
    int32_t minute = 0;
    if (take_name(parse, gmt, 1) < 0)
        return false;
    bool negative = parse->at < parse->end && *parse->at == '-';
    if (!negative && !(parse->at < parse->end && *parse->at == '+'))
        return set_part(parse, PART_OFFSET, 0);
    parse->at++;
    if (!take_number(parse, (struct width){ true, false, 1, 2, false }, 0, &hour) || hour > 18)
        return false;
    if (take_char(parse, ':') && !take_two(parse, &minute))
        return false;
    int64_t total = hour * 3600 + minute * 60LL;
    return minute <= 59 && set_part(parse, PART_OFFSET, negative ? -total : total);
}

static bool take_offset_field(struct parse *parse, const struct date_item *item)
{
    int32_t count = item->count;
    if (item->letter == 'O' || (item->letter == 'Z' && count == 4))
        return take_gmt(parse);
    bool zulu = item->letter == 'X' || (item->letter == 'Z' && count == 5);
    if (zulu && take_char(parse, 'Z'))
        return set_part(parse, PART_OFFSET, 0);
    if (item->letter == 'Z')
        return take_offset(parse, true, count == 5);
    return take_offset(parse, count != 1, count == 3 || count == 5);
}

/* A zone by name, abbreviation or long name ("Central European Time"). */
static bool take_zone(struct parse *parse)
{
    const char *start = parse->at;
    const char *known = zone_of_long_name(&parse->at, parse->end);
    if (known != NULL)
        return (parse->zone = tz_get(known, NULL)) != NULL;
    while (parse->at < parse->end &&
           (date_is_letter(*parse->at) || (*parse->at >= '0' && *parse->at <= '9') ||
            strchr("/_+-:", *parse->at) != NULL))
        parse->at++;
    size_t length = (size_t)(parse->at - start);
    char name[64];
    if (length == 0 || length >= sizeof(name))
        return false;
    memcpy(name, start, length);
    name[length] = '\0';
    parse->zone = tz_get(name, NULL);
    if (parse->zone == NULL) {
        const char *meant = zone_of_abbreviation(name, length);
        parse->zone = meant == NULL ? NULL : tz_get(meant, NULL);
    }
    return parse->zone != NULL;
}

static bool take_text_field(struct parse *parse, const struct date_item *item)
{
    const struct date_locale *locale = parse->locale;
    int index = 0;
    switch (item->letter) {
    case 'M':
    case 'L':
        index = take_name(parse, item->count == 4 ? locale->months : locale->months_short, 12);
        return index >= 0 && set_part(parse, PART_MONTH, index + 1);
    case 'E':
    case 'e':
    case 'c':
        index = take_name(parse, item->count == 4 ? locale->days : locale->days_short, 7);
        return index >= 0 && set_part(parse, PART_WEEKDAY, index + 1);
    case 'a':
        index = take_name(parse, locale->am_pm, 2);
        return index >= 0 && set_part(parse, PART_HALF, index);
    case 'G':
        index = take_name(parse, item->count == 4 ? locale->eras_long : locale->eras, 2);
        return index >= 0 && set_part(parse, PART_ERA, index);
    case 'V':
    case 'v':
    case 'z':
        return take_zone(parse);
    case 'O':
    case 'X':
    case 'x':
    case 'Z':
        return take_offset_field(parse, item);
    default:
        return false; // quarters and day periods in words cannot be read
    }
}

static bool take_item(struct parse *parse, const struct date_items *items, size_t i)
{
    const struct date_item *item = &items->all.items[i];
    if (item->kind == DATE_LITERAL) {
        if ((size_t)(parse->end - parse->at) < item->length ||
            memcmp(parse->at, item->text, item->length) != 0)
            return false;
        parse->at += item->length;
        return true;
    }
    struct date_item plain = *item;
    plain.pad = 0;
    while (item->pad > 0 && take_char(parse, ' '))
        continue;
    struct width width = width_of(&plain);
    int64_t number = 0;
    if (!width.is_number)
        return take_text_field(parse, &plain);
    if (item->pad > 0)
        width = (struct width){ true, false, 1, item->pad, false };
    return take_number(parse, width, reserved_behind(items, i), &number) &&
           set_number(parse, &plain, number);
}

/* Index behind the `]` of the `[` at `i`. */
static size_t section_end(const struct date_items *items, size_t i)
{
    int depth = 0;
    for (; i < items->all.count; i++) {
        depth += items->all.items[i].kind == DATE_OPEN    ? 1
                 : items->all.items[i].kind == DATE_CLOSE ? -1
                                                          : 0;
        if (depth == 0)
            return i + 1;
    }
    return items->all.count;
}

/* Reads items from `i` up to `end`. Recursive for optional sections; the pattern bounds it. */
static bool take_items(struct parse *parse, const struct date_items *items, size_t i, size_t end)
{
    while (i < end) {
        enum date_item_kind kind = items->all.items[i].kind;
        if (kind == DATE_OPEN) {
            size_t behind = section_end(items, i);
            struct parse before = *parse;
            if (!take_items(parse, items, i + 1, behind))
                *parse = before;
            i = behind;
            continue;
        }
        if (kind != DATE_CLOSE && !take_item(parse, items, i))
            return false;
        i++;
    }
    return true;
}

static bool in_range(int64_t value, int64_t least, int64_t most)
{
    return value == ABSENT || (value >= least && value <= most);
}

static int64_t or_zero(int64_t value)
{
    return value == ABSENT ? 0 : value;
}

static bool resolve_year(const struct parse *parse, int64_t *year)
{
    *year = parse->parts[PART_YEAR];
    int64_t of_era = parse->parts[PART_YEAR_OF_ERA];
    if (*year == ABSENT && of_era != ABSENT)
        *year = parse->parts[PART_ERA] == 0 ? 1 - of_era : of_era;
    return *year != ABSENT && *year >= -CIVIL_YEAR_MAX && *year <= CIVIL_YEAR_MAX;
}

/* The date of a week-based year, a week and a weekday. */
static bool resolve_week_date(const struct parse *parse, struct civil *date)
{
    int64_t year = parse->parts[PART_WEEK_YEAR];
    int64_t week = parse->parts[PART_WEEK];
    int64_t weekday = parse->parts[PART_WEEKDAY];
    if (year == ABSENT || week == ABSENT || weekday == ABSENT ||
        !in_range(year, -CIVIL_YEAR_MAX + 1, CIVIL_YEAR_MAX - 1) || !in_range(week, 1, 53))
        return false;
    // The first week holds the min_days-th of January.
    struct civil day = { .year = (int32_t)year, .month = 1, .day = parse->locale->min_days };
    day = civil_of(civil_at(&day));
    int32_t first = parse->locale->first_day;
    int64_t days = civil_days(day.year, day.month, day.day) -
                   (date_local_weekday(day.weekday, first) - 1) + (week - 1) * 7 +
                   date_local_weekday((int32_t)weekday, first) - 1;
    *date = civil_of(days * USEC_DAY);
    int32_t year_there = 0;
    int32_t week_there = 0;
    date_week(date, first, parse->locale->min_days, &year_there, &week_there);
    return year_there == year && week_there == week; // not every year has a 53rd week
}

static bool resolve_date(const struct parse *parse, struct civil *date)
{
    int64_t year = 0;
    int64_t month = parse->parts[PART_MONTH];
    int64_t day = parse->parts[PART_DAY];
    int64_t yearday = parse->parts[PART_YEARDAY];
    if (!resolve_year(parse, &year))
        return resolve_week_date(parse, date);
    date->year = (int32_t)year;
    if (month != ABSENT && day != ABSENT) {
        if (!in_range(month, 1, 12) || !in_range(day, 1, 31))
            return false;
        date->month = (int32_t)month;
        int32_t last = civil_month_days(date->year, date->month);
        date->day = day > last ? last : (int32_t)day;
    } else if (yearday != ABSENT) {
        if (!in_range(yearday, 1, civil_is_leap(date->year) ? 366 : 365))
            return false;
        *date = civil_of((civil_days(date->year, 1, 1) + yearday - 1) * USEC_DAY);
    } else {
        return false;
    }
    struct civil whole = civil_of(civil_at(date));
    return parse->parts[PART_WEEKDAY] == ABSENT || parse->parts[PART_WEEKDAY] == whole.weekday;
}

/*
 * Nanoseconds since midnight, a whole day for 24:00. Without an hour the text tells no time, even
 * when it has minutes.
 */
static bool resolve_time(const struct parse *parse, bool *has_time, int64_t *nanos)
{
    const int64_t *parts = parse->parts;
    int64_t hour = parts[PART_HOUR];
    if (hour == ABSENT && parts[PART_HOUR_OF_HALF] != ABSENT && parts[PART_HALF] != ABSENT)
        hour = parts[PART_HOUR_OF_HALF] + 12 * parts[PART_HALF];
    bool is_midnight = hour == 24 && or_zero(parts[PART_MINUTE]) == 0 &&
                       or_zero(parts[PART_SECOND]) == 0 && or_zero(parts[PART_NANO]) == 0;
    if (!in_range(hour, 0, is_midnight ? 24 : 23) || !in_range(parts[PART_MINUTE], 0, 59) ||
        !in_range(parts[PART_SECOND], 0, 59) || !in_range(parts[PART_NANO], 0, 999999999) ||
        !in_range(parts[PART_MILLI_OF_DAY], 0, 86399999) ||
        !in_range(parts[PART_NANO_OF_DAY], 0, 86399999999999))
        return false;
    *has_time =
        hour != ABSENT || parts[PART_NANO_OF_DAY] != ABSENT || parts[PART_MILLI_OF_DAY] != ABSENT;
    if (!*has_time)
        *nanos = 0;
    else if (parts[PART_NANO_OF_DAY] != ABSENT)
        *nanos = parts[PART_NANO_OF_DAY];
    else if (parts[PART_MILLI_OF_DAY] != ABSENT)
        *nanos = parts[PART_MILLI_OF_DAY] * 1000000;
    else
        *nanos = (or_zero(hour) * 3600 + or_zero(parts[PART_MINUTE]) * 60 +
                  or_zero(parts[PART_SECOND])) *
                     1000000000 +
                 or_zero(parts[PART_NANO]);
    return true;
}

static bool resolve(const struct parse *parse, const struct tz *tz, struct moment *out)
{
    struct civil date = { .month = 1, .day = 1 };
    int64_t nanos = 0;
    usec_t at = 0;
    bool has_time = false;
    if (!resolve_date(parse, &date) || !resolve_time(parse, &has_time, &nanos))
        return false;
    // A date alone begins in the wanted zone, whatever offset stands behind it.
    usec_t local = civil_at(&date) + nanos / 1000;
    const struct tz *zone = tz;
    if (has_time && parse->parts[PART_OFFSET] != ABSENT)
        zone = tz_of_offset((int32_t)parse->parts[PART_OFFSET]);
    else if (has_time && parse->zone != NULL)
        zone = parse->zone;
    (void)tz_resolve(zone, local, &at);
    *out = moment_at(at, (int32_t)(nanos % 1000), zone);
    return true;
}

bool date_parse(const char *text,
                size_t length,
                const char *pattern,
                const struct tz *tz,
                struct moment *out,
                struct error *err)
{
    struct date_items items = { .literals = { 0 } };
    struct parse parse = { .at = text, .end = text + length, .locale = date_locale_find(NULL) };
    for (size_t i = 0; i < PART_COUNT; i++)
        parse.parts[i] = ABSENT;
    bool done = date_items_split(pattern, &items, err);
    if (done) {
        done = take_items(&parse, &items, 0, items.all.count) && parse.at == parse.end &&
               resolve(&parse, tz, out);
        if (!done)
            error_set(err, ERR_INVALID, "'%.*s' is not a date of the form '%.100s'",
                      length > 100 ? 100 : (int)length, text, pattern);
    }
    date_items_release(&items);
    return done;
}
