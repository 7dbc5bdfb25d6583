/* SPDX-License-Identifier: Apache-2.0 */
#include "core/expr/date_pattern.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "base/vec.h"
#include "core/expr/date_names.h"
#include "core/tz.h"

#define NUMBER_DIGITS_MAX 18 /* fit 64 bits */
#define PAD_MAX           100

/* ---- moments and weeks ---- */

struct moment moment_at(usec_t at, int32_t nanos, const struct tz *tz)
{
    struct moment moment = { .at = at, .nanos = nanos, .tz = tz };
    moment.offset = tz_offset(tz, at);
    usec_t local = 0;
    if (__builtin_add_overflow(at, moment.offset * USEC_SEC, &local))
        local = at;
    moment.local = civil_of(local);
    return moment;
}

int64_t moment_nano(const struct moment *moment)
{
    return moment->local.micros * 1000LL + moment->nanos;
}

/* Number of a weekday when weeks start on `first_day`: 1–7. */
static int32_t local_weekday(int32_t weekday, int32_t first_day)
{
    return (weekday - first_day + 7) % 7 + 1;
}

/* Days by which the first week is shifted against the first day of its month or year. */
static int32_t week_offset(int32_t day, int32_t weekday, int32_t min_days)
{
    int32_t start = ((day - weekday) % 7 + 7) % 7;
    return start + 1 > min_days ? 7 - start : -start;
}

static int32_t week_number(int32_t offset, int32_t day)
{
    return (7 + offset + day - 1) / 7;
}

void date_week(
    const struct civil *date, int32_t first_day, int32_t min_days, int32_t *year, int32_t *week)
{
    int32_t weekday = local_weekday(date->weekday, first_day);
    int32_t offset = week_offset(date->yearday, weekday, min_days);
    *week = week_number(offset, date->yearday);
    *year = date->year;
    if (*week == 0) {
        struct civil last = { .year = date->year - 1, .month = 12, .day = 31 };
        last = civil_of(civil_at(&last));
        date_week(&last, first_day, min_days, year, week);
        return;
    }
    int32_t length = civil_is_leap(date->year) ? 366 : 365;
    int32_t next = week_number(offset, length + min_days);
    if (*week > 50 && *week >= next) {
        *week = *week - next + 1;
        *year = date->year + 1;
    }
}

/* ---- patterns ---- */

enum item_kind {
    ITEM_LITERAL,
    ITEM_FIELD,
    ITEM_OPEN, /* [ */
    ITEM_CLOSE,
};

struct item {
    enum item_kind kind;
    char letter;
    int32_t count;
    int32_t pad; /* width to fill with spaces before, 0: none */
    const char *text;
    size_t length;
};

struct items {
    VEC(struct item) all;
    struct buf literals; /* texts of quoted literals with '' undone */
};

/* Most letters of each kind in a row; letters that are not here are wrong. */
static const struct {
    char letter;
    int32_t most;
} limits[] = {
    { 'G', 5 }, { 'u', 19 }, { 'y', 19 }, { 'Y', 19 }, { 'D', 3 }, { 'M', 5 },
    { 'L', 5 }, { 'd', 2 },  { 'Q', 5 },  { 'q', 5 },  { 'w', 2 }, { 'W', 1 },
    { 'E', 5 }, { 'e', 5 },  { 'c', 5 },  { 'F', 1 },  { 'a', 1 }, { 'B', 5 },
    { 'h', 2 }, { 'H', 2 },  { 'K', 2 },  { 'k', 2 },  { 'm', 2 }, { 's', 2 },
    { 'S', 9 }, { 'A', 19 }, { 'n', 19 }, { 'N', 19 }, { 'V', 2 }, { 'v', 4 },
    { 'z', 4 }, { 'O', 4 },  { 'X', 5 },  { 'x', 5 },  { 'Z', 5 }, { 'g', 19 },
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool check_field(const struct item *item, struct error *err)
{
    int32_t count = item->count;
    bool is_known = false;
    for (size_t i = 0; i < COUNT_OF(limits); i++)
        is_known = is_known || (limits[i].letter == item->letter && count <= limits[i].most);
    // Some letters have gaps in their counts.
    if ((item->letter == 'V' && count != 2) || (item->letter == 'c' && count == 2) ||
        (strchr("vO", item->letter) != NULL && count != 1 && count != 4) ||
        (item->letter == 'B' && count != 1 && count != 4 && count != 5))
        is_known = false;
    if (is_known)
        return true;
    return error_set(err, ERR_INVALID, "'%c' %d times is no part of a date pattern", item->letter,
                     count);
}

/* `'text'` behind its first quote; `''` is one quote. */
static bool take_quoted(struct items *items, const char **at, struct error *err)
{
    size_t start = items->literals.length;
    if (**at == '\'') {
        buf_putc(&items->literals, '\'');
        (*at)++;
    } else {
        for (;; (*at)++) {
            if (**at == '\0')
                return error_set(err, ERR_INVALID, "a quote of the date pattern is never closed");
            if (**at == '\'' && (*at)[1] == '\'')
                (*at)++;
            else if (**at == '\'')
                break;
            buf_putc(&items->literals, **at);
        }
        (*at)++;
    }
    struct item *item = VEC_PUSH(&items->all);
    item->kind = ITEM_LITERAL;
    item->count = (int32_t)start; // becomes a pointer once all literals are known
    item->length = items->literals.length - start;
    return true;
}

static bool take_field(struct items *items, const char **at, struct error *err)
{
    struct item item = { .kind = ITEM_FIELD };
    while (**at == 'p') {
        item.pad++;
        (*at)++;
    }
    if (item.pad > PAD_MAX || (item.pad > 0 && !is_letter(**at)))
        return error_set(err, ERR_INVALID, "'p' of a date pattern must come before a field");
    item.letter = **at;
    for (; **at == item.letter; (*at)++)
        item.count++;
    *VEC_PUSH(&items->all) = item;
    return check_field(&item, err);
}

static bool split_pattern(const char *pattern, struct items *items, struct error *err)
{
    int depth = 0;
    if (strlen(pattern) > DATE_PATTERN_BYTES_MAX)
        return error_set(err, ERR_INVALID, "a date pattern has at most %u bytes",
                         DATE_PATTERN_BYTES_MAX);
    for (const char *at = pattern; *at != '\0';) {
        if (*at == '\'') {
            at++;
            if (!take_quoted(items, &at, err))
                return false;
        } else if (is_letter(*at)) {
            if (!take_field(items, &at, err))
                return false;
        } else if (*at == '{' || *at == '}' || *at == '#') {
            return error_set(err, ERR_INVALID, "'%c' in a date pattern must be quoted", *at);
        } else if (*at == '[' || *at == ']') {
            depth += *at == '[' ? 1 : -1;
            if (depth < 0)
                return error_set(err, ERR_INVALID, "']' in a date pattern closes nothing");
            VEC_PUSH(&items->all)->kind = *at++ == '[' ? ITEM_OPEN : ITEM_CLOSE;
        } else {
            struct item *item = VEC_PUSH(&items->all);
            item->kind = ITEM_LITERAL;
            item->text = at++;
            item->length = 1;
        }
    }
    struct item *item;
    for
        VEC_EACH(item, &items->all)
        {
            if (item->kind == ITEM_LITERAL && item->text == NULL)
                item->text = buf_text(&items->literals) + item->count;
        }
    return true;
}

static void items_release(struct items *items)
{
    VEC_FREE(&items->all);
    buf_free(&items->literals);
}

/* ---- formatting ---- */

static void put_number(struct buf *out, int64_t number, int32_t width)
{
    char digits[24];
    int32_t count = 0;
    uint64_t rest = number < 0 ? 0U - (uint64_t)number : (uint64_t)number;
    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        buf_putc(out, '-');
    for (int32_t i = count; i < width; i++)
        buf_putc(out, '0');
    while (count > 0)
        buf_putc(out, digits[--count]);
}

static void put_year(struct buf *out, int32_t year, int32_t count)
{
    static const int32_t powers[] = { 1, 10, 100, 1000, 10000, 100000 };
    if (count == 2) {
        put_number(out, (year % 100 + 100) % 100, 2);
        return;
    }
    if (count >= 4 && count <= 5 && year >= powers[count])
        buf_putc(out, '+');
    put_number(out, year, count);
}

/* One character of a text, however many bytes it has. */
static void put_letter(struct buf *out, const char *letters, int32_t index)
{
    buf_putc(out, letters[index]);
}

static void put_month(struct buf *out,
                      const struct civil *date,
                      const struct item *item,
                      const struct date_locale *locale)
{
    int32_t index = date->month - 1;
    if (item->count <= 2)
        put_number(out, date->month, item->count);
    else if (item->count == 3)
        buf_puts(out,
                 item->letter == 'L' ? locale->months_alone[index] : locale->months_short[index]);
    else if (item->count == 4)
        buf_puts(out, locale->months[index]);
    else
        put_letter(out, locale->months_narrow, index);
}

static void put_weekday(struct buf *out,
                        const struct civil *date,
                        const struct item *item,
                        const struct date_locale *locale)
{
    int32_t index = date->weekday - 1;
    if (item->letter != 'E' && item->count <= 2)
        put_number(out, local_weekday(date->weekday, locale->first_day), item->count);
    else if (item->count <= 3)
        buf_puts(out, locale->days_short[index]);
    else if (item->count == 4)
        buf_puts(out, locale->days[index]);
    else
        put_letter(out, locale->days_narrow, index);
}

static void put_quarter(struct buf *out,
                        const struct civil *date,
                        const struct item *item,
                        const struct date_locale *locale)
{
    int32_t quarter = (date->month - 1) / 3 + 1;
    if (item->count == 3)
        buf_putc(out, locale->quarter_letter);
    if (item->count == 4)
        buf_puts(out, locale->quarters[quarter - 1]);
    else
        put_number(out, quarter, item->count == 2 ? 2 : 1);
}

static void put_day_period(struct buf *out, int32_t hour, const struct date_locale *locale)
{
    if (!str_eq(locale->language, "en"))
        buf_puts(out, locale->am_pm[hour / 12]);
    else if (hour == 12)
        buf_puts(out, "noon");
    else if (hour < 6 || hour >= 21)
        buf_puts(out, "at night");
    else
        buf_puts(out, hour < 12   ? "in the morning"
                      : hour < 18 ? "in the afternoon"
                                  : "in the evening");
}

/*
 * ±HH, then minutes and seconds as the form says: `m` only when not zero, `M` always, `s` seconds
 * only when not zero.
 */
static void put_offset(struct buf *out, int32_t offset, bool minutes, bool colon, bool seconds)
{
    int32_t size = offset < 0 ? -offset : offset;
    buf_putc(out, offset < 0 ? '-' : '+');
    put_number(out, size / 3600, 2);
    if (minutes || size / 60 % 60 != 0) {
        buf_puts(out, colon ? ":" : "");
        put_number(out, size / 60 % 60, 2);
    }
    if (seconds && size % 60 != 0) {
        buf_puts(out, colon ? ":" : "");
        put_number(out, size % 60, 2);
    }
}

/* GMT, GMT+1, GMT+5:30; long: GMT+01:00. */
static void put_gmt(struct buf *out, int32_t offset, bool is_long)
{
    int32_t size = offset < 0 ? -offset : offset;
    buf_puts(out, "GMT");
    if (offset == 0)
        return;
    buf_putc(out, offset < 0 ? '-' : '+');
    put_number(out, size / 3600, is_long ? 2 : 1);
    if (is_long || size / 60 % 60 != 0) {
        buf_putc(out, ':');
        put_number(out, size / 60 % 60, 2);
    }
    if (size % 60 != 0) {
        buf_putc(out, ':');
        put_number(out, size % 60, 2);
    }
}

static void put_offset_field(struct buf *out, int32_t offset, const struct item *item)
{
    int32_t count = item->count;
    if (item->letter == 'Z' && count == 4) {
        put_gmt(out, offset, true);
        return;
    }
    if (offset == 0 && (item->letter == 'X' || (item->letter == 'Z' && count == 5))) {
        buf_putc(out, 'Z');
        return;
    }
    if (item->letter == 'Z' && count < 4)
        put_offset(out, offset, true, false, false);
    else
        put_offset(out, offset, count != 1, count == 3 || count == 5, count >= 4);
}

static void put_zone_name(struct buf *out, const struct moment *moment, const struct item *item)
{
    const char *zone = tz_name(moment->tz);
    struct tz_info info = tz_at(moment->tz, moment->at);
    const char *name = NULL;
    if (tz_is_offset(moment->tz) || item->letter == 'V') {
        buf_puts(out, zone);
        return;
    }
    if (item->letter == 'v')
        name = zone_generic_name(zone, info.abbreviation, item->count == 4);
    else if (item->count == 4)
        name = zone_long_name(zone, info.abbreviation, info.is_dst);
    bool has_letters = is_letter(info.abbreviation[0]);
    if (name == NULL && !has_letters)
        name = zone_short_name(zone, info.is_dst);
    if (name == NULL)
        name = has_letters ? info.abbreviation : zone;
    buf_puts(out, name);
}

static void put_era(struct buf *out,
                    const struct civil *date,
                    const struct item *item,
                    const struct date_locale *locale)
{
    int era = date->year > 0 ? 1 : 0;
    buf_puts(out, item->count == 4   ? locale->eras_long[era]
                  : item->count == 5 ? locale->eras_narrow[era]
                                     : locale->eras[era]);
}

static void put_fraction(struct buf *out, int64_t nano, int32_t count)
{
    for (int32_t i = count; i < 9; i++)
        nano /= 10;
    put_number(out, nano, count);
}

static int32_t week_of_month(const struct civil *date, const struct date_locale *locale)
{
    int32_t weekday = local_weekday(date->weekday, locale->first_day);
    return week_number(week_offset(date->day, weekday, locale->min_days), date->day);
}

static void put_field(struct buf *out,
                      const struct moment *moment,
                      const struct item *item,
                      const struct date_locale *locale)
{
    const struct civil *date = &moment->local;
    int32_t count = item->count;
    int32_t year = 0;
    int32_t week = 0;
    int64_t second_of_day = date->hour * 3600LL + date->minute * 60LL + date->second;
    switch (item->letter) {
    case 'G':
        put_era(out, date, item, locale);
        break;
    case 'u':
        put_year(out, date->year, count);
        break;
    case 'y':
        put_year(out, date->year > 0 ? date->year : 1 - date->year, count);
        break;
    case 'Y':
        date_week(date, locale->first_day, locale->min_days, &year, &week);
        put_year(out, year, count);
        break;
    case 'w':
        date_week(date, locale->first_day, locale->min_days, &year, &week);
        put_number(out, week, count);
        break;
    case 'W':
        put_number(out, week_of_month(date, locale), 1);
        break;
    case 'D':
        put_number(out, date->yearday, count);
        break;
    case 'M':
    case 'L':
        put_month(out, date, item, locale);
        break;
    case 'Q':
    case 'q':
        put_quarter(out, date, item, locale);
        break;
    case 'd':
        put_number(out, date->day, count);
        break;
    case 'E':
    case 'e':
    case 'c':
        put_weekday(out, date, item, locale);
        break;
    case 'F':
        put_number(out, (date->day - 1) / 7 + 1, 1);
        break;
    case 'a':
        buf_puts(out, locale->am_pm[date->hour / 12]);
        break;
    case 'B':
        put_day_period(out, date->hour, locale);
        break;
    case 'h':
        put_number(out, (date->hour + 11) % 12 + 1, count);
        break;
    case 'K':
        put_number(out, date->hour % 12, count);
        break;
    case 'H':
        put_number(out, date->hour, count);
        break;
    case 'k':
        put_number(out, date->hour == 0 ? 24 : date->hour, count);
        break;
    case 'm':
        put_number(out, date->minute, count);
        break;
    case 's':
        put_number(out, date->second, count);
        break;
    case 'S':
        put_fraction(out, moment_nano(moment), count);
        break;
    case 'A':
        put_number(out, second_of_day * 1000 + moment_nano(moment) / 1000000, count);
        break;
    case 'n':
        put_number(out, moment_nano(moment), count);
        break;
    case 'N':
        put_number(out, second_of_day * 1000000000 + moment_nano(moment), count);
        break;
    case 'g':
        put_number(out, civil_days(date->year, date->month, date->day) + 40587, count);
        break;
    case 'V':
    case 'v':
    case 'z':
        put_zone_name(out, moment, item);
        break;
    case 'O':
        put_gmt(out, moment->offset, count == 4);
        break;
    default: // X x Z; no other letter passes check_field()
        put_offset_field(out, moment->offset, item);
        break;
    }
}

bool date_format(struct buf *out,
                 const struct moment *moment,
                 const char *pattern,
                 const struct date_locale *locale,
                 struct error *err)
{
    struct items items = { .literals = { 0 } };
    bool done = split_pattern(pattern, &items, err);
    const struct item *item;
    for
        VEC_EACH(item, &items.all)
        {
            if (!done)
                break;
            if (item->kind == ITEM_LITERAL) {
                buf_add(out, item->text, item->length);
            } else if (item->kind == ITEM_FIELD) {
                struct buf field = { 0 };
                put_field(&field, moment, item, locale);
                for (size_t i = field.length; item->pad > 0 && i < (size_t)item->pad; i++)
                    buf_putc(out, ' ');
                buf_add(out, buf_text(&field), field.length);
                buf_free(&field);
            }
        }
    items_release(&items);
    return done;
}

/* ---- parsing ---- */

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
};

static struct width width_of(const struct item *item)
{
    int32_t count = item->count;
    if (item->kind != ITEM_FIELD || item->pad > 0)
        return (struct width){ .is_number = false };
    if (strchr("uyY", item->letter) != NULL)
        return (struct width){ true, count == 2, count == 2 ? 2 : count,
                               count == 2 ? 2 : NUMBER_DIGITS_MAX };
    if (item->letter == 'S')
        return (struct width){ true, true, count, count };
    if (item->letter == 'D')
        return (struct width){ true, count == 3, count, 3 };
    if (strchr("AnN", item->letter) != NULL)
        return (struct width){ true, false, count, NUMBER_DIGITS_MAX };
    if (strchr("MLQqe", item->letter) != NULL && count > 2)
        return (struct width){ .is_number = false };
    if (strchr("MLQqdhHKkmswecWF", item->letter) != NULL)
        return (struct width){ true, count == 2, count, count == 2 ? 2 : NUMBER_DIGITS_MAX };
    return (struct width){ .is_number = false };
}

/* Digits that the fixed fields directly behind item `i` need. */
static int32_t reserved_behind(const struct items *items, size_t i)
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
    const char *at = parse->at + (negative ? 1 : 0);
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

static bool set_number(struct parse *parse, const struct item *item, int64_t number)
{
    int64_t two_digits = 2000 + number;
    switch (item->letter) {
    case 'u':
        return set_part(parse, PART_YEAR, item->count == 2 ? two_digits : number);
    case 'y':
        return set_part(parse, PART_YEAR_OF_ERA, item->count == 2 ? two_digits : number);
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
        return number >= 1 && set_part(parse, PART_HOUR, number == 24 ? 0 : number);
    case 'K':
        return number <= 11 && set_part(parse, PART_HOUR_OF_HALF, number);
    case 'h':
        return number >= 1 && number <= 12 && set_part(parse, PART_HOUR_OF_HALF, number % 12);
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
    if (!take_number(parse, (struct width){ true, true, 2, 2 }, 0, &number))
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
    if (!take_number(parse, (struct width){ true, false, 1, 2 }, 0, &hour) || hour > 18)
        return false;
    if (take_char(parse, ':') && !take_two(parse, &minute))
        return false;
    int64_t total = hour * 3600 + minute * 60;
    return minute <= 59 && set_part(parse, PART_OFFSET, negative ? -total : total);
}

static bool take_offset_field(struct parse *parse, const struct item *item)
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

/* A zone by name or abbreviation. */
static bool take_zone(struct parse *parse)
{
    const char *start = parse->at;
    while (parse->at < parse->end &&
           (is_letter(*parse->at) || (*parse->at >= '0' && *parse->at <= '9') ||
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

static bool take_text_field(struct parse *parse, const struct item *item)
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

static bool take_item(struct parse *parse, const struct items *items, size_t i)
{
    const struct item *item = &items->all.items[i];
    if (item->kind == ITEM_LITERAL) {
        if ((size_t)(parse->end - parse->at) < item->length ||
            memcmp(parse->at, item->text, item->length) != 0)
            return false;
        parse->at += item->length;
        return true;
    }
    struct item plain = *item;
    plain.pad = 0;
    while (item->pad > 0 && take_char(parse, ' '))
        continue;
    struct width width = width_of(&plain);
    int64_t number = 0;
    if (!width.is_number)
        return take_text_field(parse, &plain);
    if (item->pad > 0)
        width = (struct width){ true, false, 1, item->pad };
    return take_number(parse, width, reserved_behind(items, i), &number) &&
           set_number(parse, &plain, number);
}

/* Index behind the `]` of the `[` at `i`. */
static size_t section_end(const struct items *items, size_t i)
{
    int depth = 0;
    for (; i < items->all.count; i++) {
        depth += items->all.items[i].kind == ITEM_OPEN    ? 1
                 : items->all.items[i].kind == ITEM_CLOSE ? -1
                                                          : 0;
        if (depth == 0)
            return i + 1;
    }
    return items->all.count;
}

/* Reads items from `i` up to `end`. Recursive for optional sections; the pattern bounds it. */
static bool take_items(struct parse *parse, const struct items *items, size_t i, size_t end)
{
    while (i < end) {
        enum item_kind kind = items->all.items[i].kind;
        if (kind == ITEM_OPEN) {
            size_t behind = section_end(items, i);
            struct parse before = *parse;
            if (!take_items(parse, items, i + 1, behind))
                *parse = before;
            i = behind;
            continue;
        }
        if (kind != ITEM_CLOSE && !take_item(parse, items, i))
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
                   (local_weekday(day.weekday, first) - 1) + (week - 1) * 7 +
                   local_weekday((int32_t)weekday, first) - 1;
    *date = civil_of(days * USEC_DAY);
    return true;
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

/* Nanoseconds since midnight. */
static bool resolve_time(const struct parse *parse, int64_t *nanos)
{
    const int64_t *parts = parse->parts;
    int64_t hour = parts[PART_HOUR];
    if (hour == ABSENT && parts[PART_HOUR_OF_HALF] != ABSENT && parts[PART_HALF] != ABSENT)
        hour = parts[PART_HOUR_OF_HALF] + 12 * parts[PART_HALF];
    if (!in_range(hour, 0, 23) || !in_range(parts[PART_MINUTE], 0, 59) ||
        !in_range(parts[PART_SECOND], 0, 59) || !in_range(parts[PART_NANO], 0, 999999999) ||
        !in_range(parts[PART_MILLI_OF_DAY], 0, 86399999) ||
        !in_range(parts[PART_NANO_OF_DAY], 0, 86399999999999))
        return false;
    if (parts[PART_NANO_OF_DAY] != ABSENT)
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
    if (!resolve_date(parse, &date) || !resolve_time(parse, &nanos))
        return false;
    usec_t local = civil_at(&date) + nanos / 1000;
    const struct tz *zone = parse->zone == NULL ? tz : parse->zone;
    if (parse->parts[PART_OFFSET] != ABSENT)
        at = local - parse->parts[PART_OFFSET] * USEC_SEC;
    else
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
    struct items items = { .literals = { 0 } };
    struct parse parse = { .at = text, .end = text + length, .locale = date_locale_find(NULL) };
    for (size_t i = 0; i < PART_COUNT; i++)
        parse.parts[i] = ABSENT;
    bool done = split_pattern(pattern, &items, err);
    if (done) {
        done = take_items(&parse, &items, 0, items.all.count) && parse.at == parse.end &&
               resolve(&parse, tz, out);
        if (!done)
            error_set(err, ERR_INVALID, "'%.*s' is not a date of the form '%.100s'",
                      length > 100 ? 100 : (int)length, text, pattern);
    }
    items_release(&items);
    return done;
}
