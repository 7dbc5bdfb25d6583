/* SPDX-License-Identifier: Apache-2.0 */
#include "core/expr/date_pattern.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "core/expr/date_items.h"
#include "core/expr/date_names.h"
#include "core/tz.h"

#define PAD_MAX 100

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

int32_t date_local_weekday(int32_t weekday, int32_t first_day)
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
    int32_t weekday = date_local_weekday(date->weekday, first_day);
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

bool date_is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool check_field(const struct date_item *item, struct error *err)
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
static bool take_quoted(struct date_items *items, const char **at, struct error *err)
{
    size_t start = items->literals.length;
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
    if (items->literals.length == start)
        buf_putc(&items->literals, '\'');
    struct date_item *item = VEC_PUSH(&items->all);
    item->kind = DATE_LITERAL;
    item->count = (int32_t)start; // becomes a pointer once all literals are known
    item->length = items->literals.length - start;
    return true;
}

static bool take_field(struct date_items *items, const char **at, struct error *err)
{
    struct date_item item = { .kind = DATE_FIELD };
    while (**at == 'p') {
        item.pad++;
        (*at)++;
    }
    if (item.pad > PAD_MAX || (item.pad > 0 && !date_is_letter(**at)))
        return error_set(err, ERR_INVALID, "'p' of a date pattern must come before a field");
    item.letter = **at;
    for (; **at == item.letter; (*at)++)
        item.count++;
    *VEC_PUSH(&items->all) = item;
    return check_field(&item, err);
}

bool date_items_split(const char *pattern, struct date_items *items, struct error *err)
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
        } else if (date_is_letter(*at)) {
            if (!take_field(items, &at, err))
                return false;
        } else if (*at == '{' || *at == '}' || *at == '#') {
            return error_set(err, ERR_INVALID, "'%c' in a date pattern must be quoted", *at);
        } else if (*at == '[' || *at == ']') {
            depth += *at == '[' ? 1 : -1;
            if (depth < 0)
                return error_set(err, ERR_INVALID, "']' in a date pattern closes nothing");
            VEC_PUSH(&items->all)->kind = *at++ == '[' ? DATE_OPEN : DATE_CLOSE;
        } else {
            struct date_item *item = VEC_PUSH(&items->all);
            item->kind = DATE_LITERAL;
            item->text = at++;
            item->length = 1;
        }
    }
    struct date_item *item;
    VEC_EACH(item, &items->all) {
        if (item->kind == DATE_LITERAL && item->text == NULL)
            item->text = buf_text(&items->literals) + item->count;
    }
    return true;
}

void date_items_release(struct date_items *items)
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
        put_number(out, (year < 0 ? -year : year) % 100, 2);
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
                      const struct date_item *item,
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
                        const struct date_item *item,
                        const struct date_locale *locale)
{
    int32_t index = date->weekday - 1;
    if (item->letter != 'E' && item->count <= 2)
        put_number(out, date_local_weekday(date->weekday, locale->first_day), item->count);
    else if (item->count <= 3)
        buf_puts(out, locale->days_short[index]);
    else if (item->count == 4)
        buf_puts(out, locale->days[index]);
    else
        put_letter(out, locale->days_narrow, index);
}

static void put_quarter(struct buf *out,
                        const struct civil *date,
                        const struct date_item *item,
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

static void put_day_period(struct buf *out,
                           const struct civil *date,
                           const struct date_item *item,
                           const struct date_locale *locale)
{
    int32_t hour = date->hour;
    bool is_sharp = date->minute == 0 && hour % 12 == 0;
    if (!str_eq(locale->language, "en"))
        buf_puts(out, locale->am_pm[hour / 12]);
    else if (is_sharp && item->count == 5)
        buf_puts(out, hour == 0 ? "mi" : "n");
    else if (is_sharp)
        buf_puts(out, hour == 0 ? "midnight" : "noon");
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

static void put_offset_field(struct buf *out, int32_t offset, const struct date_item *item)
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

/*
 * The abbreviation by which people know the time of a zone: today's, for tzdata has others for long
 * ago (LMT, and those of rules that no longer hold).
 */
static const char *zone_letters(const struct tz *tz, const struct tz_info *info)
{
    static const usec_t winter = 1705276800 * USEC_SEC; // 2024-01-15
    static const usec_t summer = 1721001600 * USEC_SEC; // 2024-07-15
    struct tz_info first = tz_at(tz, winter);
    struct tz_info second = tz_at(tz, summer);
    if (first.is_dst == info->is_dst)
        return first.abbreviation;
    return second.is_dst == info->is_dst ? second.abbreviation : info->abbreviation;
}

static void put_zone_name(struct buf *out,
                          const struct moment *moment,
                          const struct date_item *item)
{
    const char *zone = tz_name(moment->tz);
    struct tz_info info = tz_at(moment->tz, moment->at);
    const char *letters = zone_letters(moment->tz, &info);
    bool has_letters = date_is_letter(letters[0]);
    const char *name = NULL;
    if (tz_is_offset(moment->tz) || item->letter == 'V') {
        buf_puts(out, zone);
        return;
    }
    if (item->letter == 'v')
        name = zone_generic_name(zone, letters, item->count == 4);
    else if (item->count == 4)
        name = zone_long_name(zone, letters, info.is_dst);
    if (name == NULL && !has_letters)
        name = zone_short_name(zone, info.is_dst);
    if (name == NULL && has_letters)
        name = letters;
    if (name == NULL)
        put_gmt(out, info.offset, true);
    else
        buf_puts(out, name);
}

static void put_era(struct buf *out,
                    const struct civil *date,
                    const struct date_item *item,
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
    int32_t weekday = date_local_weekday(date->weekday, locale->first_day);
    return week_number(week_offset(date->day, weekday, locale->min_days), date->day);
}

static void put_field(struct buf *out,
                      const struct moment *moment,
                      const struct date_item *item,
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
        put_day_period(out, date, item, locale);
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
    struct date_items items = { .literals = { 0 } };
    bool done = date_items_split(pattern, &items, err);
    const struct date_item *item;
    VEC_EACH(item, &items.all) {
        if (!done)
            break;
        if (item->kind == DATE_LITERAL) {
            buf_add(out, item->text, item->length);
        } else if (item->kind == DATE_FIELD) {
            struct buf field = { 0 };
            put_field(&field, moment, item, locale);
            if (item->pad > 0 && field.length > (size_t)item->pad)
                done = error_set(err, ERR_INVALID, "'%c' is wider than the %d of its padding",
                                 item->letter, item->pad);
            for (size_t i = field.length; item->pad > 0 && i < (size_t)item->pad; i++)
                buf_putc(out, ' ');
            buf_add(out, buf_text(&field), field.length);
            buf_free(&field);
        }
    }
    date_items_release(&items);
    return done;
}
