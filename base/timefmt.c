/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timefmt.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

#define NANOS_PER_SEC 1000000000LL
#define DAY_SECONDS   86400LL
#define OFFSET_MAX    (18 * 3600)
#define FRACTION_MAX  9

/* ---- calendar ---- */

bool civil_is_leap(int32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int32_t civil_month_days(int32_t year, int32_t month)
{
    static const int8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return month == 2 && civil_is_leap(year) ? 29 : days[month - 1];
}

/*
 * Years begin in March here, so that the leap day is the last day of a year; 400 years (an era)
 * have 146,097 days.
 */
int64_t civil_days(int32_t year, int32_t month, int32_t day)
{
    int64_t y = (int64_t)year - (month <= 2 ? 1 : 0);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_of_days(int64_t days, struct civil *civil)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    civil->day = (int32_t)(day_of_year - (153 * month + 2) / 5 + 1);
    civil->month = (int32_t)(month < 10 ? month + 3 : month - 9);
    civil->year = (int32_t)(year_of_era + era * 400 + (civil->month <= 2 ? 1 : 0));
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

struct civil civil_of(usec_t at)
{
    struct civil civil = { 0 };
    int64_t days = floor_div(at, USEC_DAY);
    int64_t rest = at - days * USEC_DAY;
    date_of_days(days, &civil);
    civil.hour = (int32_t)(rest / USEC_HOUR);
    civil.minute = (int32_t)(rest / USEC_MIN % 60);
    civil.second = (int32_t)(rest / USEC_SEC % 60);
    civil.micros = (int32_t)(rest % USEC_SEC);
    civil.weekday = (int32_t)(days + 3 - floor_div(days + 3, 7) * 7) + 1; // day 0 was a Thursday
    civil.yearday = (int32_t)(days - civil_days(civil.year, 1, 1)) + 1;
    return civil;
}

usec_t civil_at(const struct civil *civil)
{
    int64_t days = civil_days(civil->year, civil->month, civil->day);
    int64_t seconds =
        days * DAY_SECONDS + civil->hour * 3600LL + civil->minute * 60LL + civil->second;
    return seconds * USEC_SEC + civil->micros;
}

bool civil_valid(const struct civil *civil)
{
    return civil->year >= -CIVIL_YEAR_MAX && civil->year <= CIVIL_YEAR_MAX && civil->month >= 1 &&
           civil->month <= 12 && civil->day >= 1 &&
           civil->day <= civil_month_days(civil->year, civil->month) && civil->hour >= 0 &&
           civil->hour <= 23 && civil->minute >= 0 && civil->minute <= 59 && civil->second >= 0 &&
           civil->second <= 59 && civil->micros >= 0 && civil->micros < 1000000;
}

bool civil_add_months(struct civil *civil, int64_t months)
{
    if (months < -12LL * 2 * CIVIL_YEAR_MAX || months > 12LL * 2 * CIVIL_YEAR_MAX)
        return false;
    int64_t total = civil->year * 12LL + civil->month - 1 + months;
    int64_t year = floor_div(total, 12);
    if (year < -CIVIL_YEAR_MAX || year > CIVIL_YEAR_MAX)
        return false;
    civil->year = (int32_t)year;
    civil->month = (int32_t)(total - year * 12) + 1;
    int32_t last = civil_month_days(civil->year, civil->month);
    if (civil->day > last)
        civil->day = last;
    return true;
}

void civil_iso_week(const struct civil *civil, int32_t *year, int32_t *week)
{
    // The week belongs to the year that holds its Thursday.
    int64_t days = civil_days(civil->year, civil->month, civil->day);
    int64_t weekday = days + 3 - floor_div(days + 3, 7) * 7; // 0 Monday
    struct civil thursday = { 0 };
    date_of_days(days - weekday + 3, &thursday);
    *year = thursday.year;
    *week = (int32_t)((days - weekday + 3 - civil_days(thursday.year, 1, 1)) / 7) + 1;
}

/* ---- reading ---- */

/* A place inside a text of known end. */
struct scan {
    const char *at;
    const char *end;
};

static bool scan_char(struct scan *scan, char c)
{
    if (scan->at < scan->end && *scan->at == c) {
        scan->at++;
        return true;
    }
    return false;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool scan_letter(struct scan *scan, char small)
{
    if (scan->at < scan->end && lower(*scan->at) == small) {
        scan->at++;
        return true;
    }
    return false;
}

static size_t digits_ahead(const struct scan *scan)
{
    size_t count = 0;
    while (scan->at + count < scan->end && scan->at[count] >= '0' && scan->at[count] <= '9')
        count++;
    return count;
}

/* Exactly `count` digits (at most 9). */
static bool scan_digits(struct scan *scan, size_t count, int32_t *out)
{
    if (digits_ahead(scan) < count)
        return false;
    int32_t number = 0;
    for (size_t i = 0; i < count; i++)
        number = number * 10 + (*scan->at++ - '0');
    *out = number;
    return true;
}

static bool scan_year(struct scan *scan, int32_t *year)
{
    bool negative = scan->at < scan->end && *scan->at == '-';
    bool is_signed = negative || (scan->at < scan->end && *scan->at == '+');
    if (is_signed)
        scan->at++;
    size_t count = digits_ahead(scan);
    bool has_plus = is_signed && !negative;
    if (count < 4 || count > 6 || (count > 4 && !is_signed) || (count == 4 && has_plus))
        return false;
    if (!scan_digits(scan, count, year))
        return false;
    if (negative)
        *year = -*year;
    return true;
}

static bool scan_date(struct scan *scan, struct civil *civil)
{
    return scan_year(scan, &civil->year) && scan_char(scan, '-') &&
           scan_digits(scan, 2, &civil->month) && scan_char(scan, '-') &&
           scan_digits(scan, 2, &civil->day);
}

/* One to nine digits as nanoseconds. */
static bool scan_fraction(struct scan *scan, int32_t *nanos)
{
    size_t count = digits_ahead(scan);
    if (count == 0 || count > FRACTION_MAX || !scan_digits(scan, count, nanos))
        return false;
    for (; count < FRACTION_MAX; count++)
        *nanos *= 10;
    return true;
}

static bool scan_time(struct scan *scan, struct time_text *out)
{
    struct civil *civil = &out->civil;
    if (!scan_digits(scan, 2, &civil->hour) || !scan_char(scan, ':') ||
        !scan_digits(scan, 2, &civil->minute))
        return false;
    out->has_time = true;
    if (!scan_char(scan, ':'))
        return true;
    if (!scan_digits(scan, 2, &civil->second))
        return false;
    if (!scan_char(scan, '.'))
        return true;
    int32_t nanos = 0;
    if (!scan_fraction(scan, &nanos))
        return false;
    civil->micros = nanos / 1000;
    out->nanos = nanos % 1000;
    return true;
}

/* Z or ±HH[:MM[:SS]]; nothing there is fine. */
static bool scan_offset(struct scan *scan, struct time_text *out)
{
    if (scan_letter(scan, 'z')) {
        out->has_offset = true;
        return true;
    }
    bool negative = scan->at < scan->end && *scan->at == '-';
    if (!negative && !(scan->at < scan->end && *scan->at == '+'))
        return true;
    scan->at++;
    int32_t hours = 0;
    int32_t minutes = 0;
    int32_t seconds = 0;
    if (!scan_digits(scan, 2, &hours))
        return false;
    if (scan_char(scan, ':') && !scan_digits(scan, 2, &minutes))
        return false;
    if (scan_char(scan, ':') && !scan_digits(scan, 2, &seconds))
        return false;
    int32_t offset = hours * 3600 + minutes * 60 + seconds;
    if (minutes > 59 || seconds > 59 || offset > OFFSET_MAX)
        return false;
    out->has_offset = true;
    out->offset = negative ? -offset : offset;
    return true;
}

static bool scan_zone(struct scan *scan, struct time_text *out)
{
    if (!out->has_offset || !scan_char(scan, '['))
        return true;
    out->zone = scan->at;
    while (scan->at < scan->end && *scan->at != ']')
        scan->at++;
    out->zone_length = (size_t)(scan->at - out->zone);
    return out->zone_length > 0 && scan_char(scan, ']');
}

static bool scan_time_text(struct scan *scan, struct time_text *out)
{
    struct scan start = *scan;
    int32_t unused = 0;
    bool is_time = scan_digits(&start, 2, &unused) && start.at < start.end && *start.at == ':';
    if (!is_time) {
        if (!scan_date(scan, &out->civil))
            return false;
        out->has_date = true;
        if (scan->at == scan->end)
            return true;
        if (!scan_letter(scan, 't'))
            return false;
    }
    if (!scan_time(scan, out) || !scan_offset(scan, out))
        return false;
    return !out->has_date || scan_zone(scan, out);
}

bool time_text_parse(const char *text, size_t length, struct time_text *out, struct error *err)
{
    struct time_text found = { 0 };
    struct scan scan = { text, text + length };
    int shown = length > 64 ? 64 : (int)length;
    if (!scan_time_text(&scan, &found) || scan.at != scan.end)
        return error_set(err, ERR_INVALID, "'%.*s' is not an ISO 8601 date or time", shown, text);
    if (!found.has_date)
        found.civil.year = 1970, found.civil.month = 1, found.civil.day = 1;
    if (!civil_valid(&found.civil))
        return error_set(err, ERR_INVALID, "'%.*s' is not a date of the calendar", shown, text);
    *out = found;
    return true;
}

bool time_parse_instant(const char *text, usec_t *out, int32_t *nanos, struct error *err)
{
    struct time_text found = { 0 };
    if (!time_text_parse(text, strlen(text), &found, err))
        return false;
    if (!found.has_date || !found.has_offset)
        return error_set(err, ERR_INVALID, "'%.64s' is not an instant: it has no offset", text);
    *out = civil_at(&found.civil) - found.offset * USEC_SEC;
    if (nanos != NULL)
        *nanos = found.nanos;
    return true;
}

bool time_parse_offset(const char *text, size_t length, int32_t *offset)
{
    struct scan scan = { text, text + length };
    if (length == 1 && (*text == 'Z' || *text == 'z')) {
        *offset = 0;
        return true;
    }
    bool negative = length > 0 && *text == '-';
    if (!negative && !(length > 0 && *text == '+'))
        return false;
    scan.at++;
    size_t ahead = digits_ahead(&scan);
    int32_t hours = 0;
    int32_t minutes = 0;
    int32_t seconds = 0;
    if (ahead == 0 || ahead == 3 || ahead == 5 || ahead > 6 ||
        !scan_digits(&scan, ahead < 2 ? ahead : 2, &hours))
        return false;
    bool colons = ahead == 2 && scan_char(&scan, ':');
    if ((ahead >= 4 || colons) && !scan_digits(&scan, 2, &minutes))
        return false;
    if ((ahead == 6 || (colons && scan_char(&scan, ':'))) && !scan_digits(&scan, 2, &seconds))
        return false;
    int32_t total = hours * 3600 + minutes * 60 + seconds;
    if (scan.at != scan.end || minutes > 59 || seconds > 59 || total > OFFSET_MAX)
        return false;
    *offset = negative ? -total : total;
    return true;
}

/* ---- writing ---- */

/* Room for a date, a time or an offset, whatever 32 bits say: three numbers and what is between. */
#define PART_BYTES 64

/* Each puts a part at `at` and returns its end. */
static char *put_padded(char *at, int64_t number, int width)
{
    char digits[24];
    int count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (int i = count; i < width; i++)
        *at++ = '0';
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

static char *put_two(char *at, int32_t number)
{
    if (number < 0 || number > 99)
        return put_padded(at, number, 2);
    *at++ = (char)('0' + number / 10);
    *at++ = (char)('0' + number % 10);
    return at;
}

static char *put_year(char *at, int32_t year)
{
    if (year < 0)
        *at++ = '-';
    else if (year > 9999)
        *at++ = '+';
    return put_padded(at, year < 0 ? -(int64_t)year : year, 4);
}

static char *put_date(char *at, const struct civil *civil)
{
    at = put_year(at, civil->year);
    *at++ = '-';
    at = put_two(at, civil->month);
    *at++ = '-';
    return put_two(at, civil->day);
}

static char *put_time(char *at, const struct civil *civil, int32_t nanos, bool seconds)
{
    int64_t fraction = civil->micros * 1000LL + nanos;
    at = put_two(at, civil->hour);
    *at++ = ':';
    at = put_two(at, civil->minute);
    if (!seconds && civil->second == 0 && fraction == 0)
        return at;
    *at++ = ':';
    at = put_two(at, civil->second);
    if (fraction == 0)
        return at;
    *at++ = '.';
    if (fraction % 1000000 == 0)
        return put_padded(at, fraction / 1000000, 3);
    if (fraction % 1000 == 0)
        return put_padded(at, fraction / 1000, 6);
    return put_padded(at, fraction, 9);
}

static char *put_offset(char *at, int32_t offset)
{
    if (offset == 0) {
        *at++ = 'Z';
        return at;
    }
    int32_t size = offset < 0 ? -offset : offset;
    *at++ = offset < 0 ? '-' : '+';
    at = put_two(at, size / 3600);
    *at++ = ':';
    at = put_two(at, size / 60 % 60);
    if (size % 60 == 0)
        return at;
    *at++ = ':';
    return put_two(at, size % 60);
}

static char *put_instant(char *at, usec_t when, int32_t nanos)
{
    struct civil civil = civil_of(when);
    at = put_date(at, &civil);
    *at++ = 'T';
    at = put_time(at, &civil, nanos, true);
    *at++ = 'Z';
    return at;
}

void time_write_year(struct buf *buf, int32_t year)
{
    char text[PART_BYTES];
    buf_add(buf, text, (size_t)(put_year(text, year) - text));
}

void time_write_date(struct buf *buf, const struct civil *civil)
{
    char text[PART_BYTES];
    buf_add(buf, text, (size_t)(put_date(text, civil) - text));
}

void time_write_time(struct buf *buf, const struct civil *civil, int32_t nanos, bool seconds)
{
    char text[PART_BYTES];
    buf_add(buf, text, (size_t)(put_time(text, civil, nanos, seconds) - text));
}

void time_write_offset(struct buf *buf, int32_t offset)
{
    char text[PART_BYTES];
    buf_add(buf, text, (size_t)(put_offset(text, offset) - text));
}

void time_write_instant(struct buf *buf, usec_t at, int32_t nanos)
{
    char text[2 * PART_BYTES];
    buf_add(buf, text, (size_t)(put_instant(text, at, nanos) - text));
}

char *time_format_instant(struct arena *arena, usec_t at)
{
    char text[2 * PART_BYTES];
    return arena_strndup(arena, text, (size_t)(put_instant(text, at, 0) - text));
}

/* ---- durations ---- */

/* Seconds and nanoseconds of one sign or the other; the total is checked at the end. */
struct span {
    int64_t seconds;
    int64_t nanos;
};

/* Adds ±number × unit seconds. */
static bool span_add(
    struct span *span, bool negative, const char *digits, size_t count, int64_t unit)
{
    int64_t number = 0;
    for (size_t i = 0; i < count; i++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, digits[i] - '0', &number))
            return false;
    }
    if (__builtin_mul_overflow(number, negative ? -unit : unit, &number))
        return false;
    return !__builtin_add_overflow(span->seconds, number, &span->seconds);
}

/* `[-+]digits`; an absent number is not one. */
static bool scan_number(struct scan *scan, bool *negative, const char **digits, size_t *count)
{
    *negative = false;
    if (scan->at < scan->end && (*scan->at == '-' || *scan->at == '+'))
        *negative = *scan->at++ == '-';
    *digits = scan->at;
    *count = digits_ahead(scan);
    scan->at += *count;
    return *count > 0;
}

/* Digits after the point, already behind it; none is zero. */
static bool scan_span_fraction(struct scan *scan, bool negative, struct span *span)
{
    size_t count = digits_ahead(scan);
    int32_t nanos = 0;
    if (count == 0)
        return true;
    if (count > FRACTION_MAX || !scan_fraction(scan, &nanos))
        return false;
    span->nanos += negative ? -nanos : nanos;
    return true;
}

/* The part after `T`: hours, minutes, seconds in this order, at least one of them. */
static bool scan_span_time(struct scan *scan, struct span *span)
{
    static const struct {
        char letter;
        int64_t unit;
    } units[] = { { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };
    size_t next = 0;
    bool any = false;
    while (scan->at < scan->end) {
        bool negative = false;
        const char *digits = NULL;
        size_t count = 0;
        if (!scan_number(scan, &negative, &digits, &count))
            return false;
        bool has_point = scan_char(scan, '.') || scan_char(scan, ',');
        if (has_point && !scan_span_fraction(scan, negative, span))
            return false;
        while (next < 3 && !scan_letter(scan, units[next].letter))
            next++;
        if (next == 3 || (has_point && units[next].letter != 's') ||
            !span_add(span, negative, digits, count, units[next].unit))
            return false;
        next++;
        any = true;
    }
    return any;
}

/* What follows `P`; there is at least one more character. */
static bool scan_iso_span(struct scan *scan, struct span *span)
{
    if (lower(*scan->at) != 't') {
        bool negative = false;
        const char *digits = NULL;
        size_t count = 0;
        if (!scan_number(scan, &negative, &digits, &count) || !scan_letter(scan, 'd') ||
            !span_add(span, negative, digits, count, DAY_SECONDS))
            return false;
        if (scan->at == scan->end)
            return true;
    }
    return scan_letter(scan, 't') && scan_span_time(scan, span);
}

static bool scan_plain_span(struct scan *scan, struct span *span)
{
    bool negative = false;
    const char *digits = NULL;
    size_t count = 0;
    if (!scan_number(scan, &negative, &digits, &count) ||
        !span_add(span, negative, digits, count, 1))
        return false;
    return !scan_char(scan, '.') ||
           (digits_ahead(scan) > 0 && scan_span_fraction(scan, negative, span));
}

/* `[-+]P…` */
static bool scan_span(struct scan *scan, struct span *span)
{
    struct scan at = *scan;
    bool negative = false;
    if (at.at < at.end && (*at.at == '-' || *at.at == '+'))
        negative = *at.at++ == '-';
    if (!scan_letter(&at, 'p'))
        return scan_plain_span(scan, span) && scan->at == scan->end;
    if (at.at == at.end || !scan_iso_span(&at, span) || at.at != at.end)
        return false;
    if (negative && span->seconds == INT64_MIN)
        return false;
    if (negative)
        *span = (struct span){ -span->seconds, -span->nanos };
    return true;
}

bool duration_parse_n(
    const char *text, size_t length, usec_t *span, int32_t *nanos, struct error *err)
{
    struct scan scan = { text, text + length };
    struct span found = { 0 };
    int shown = length > 64 ? 64 : (int)length;
    if (!scan_span(&scan, &found))
        return error_set(err, ERR_INVALID,
                         "'%.*s' is not a duration: write PT1H30M, P1D or a number of seconds",
                         shown, text);
    int64_t micros = floor_div(found.nanos, 1000);
    usec_t total = 0;
    if (__builtin_mul_overflow(found.seconds, USEC_SEC, &total) ||
        __builtin_add_overflow(total, micros, &total))
        return error_set(err, ERR_INVALID, "duration '%.*s' is too long", shown, text);
    *span = total;
    if (nanos != NULL)
        *nanos = (int32_t)(found.nanos - micros * 1000);
    return true;
}

bool duration_parse(const char *text, usec_t *span, int32_t *nanos, struct error *err)
{
    return duration_parse_n(text, strlen(text), span, nanos, err);
}

/* Truncated toward zero, so that both parts have the sign of the whole. */
static struct span span_of(usec_t span, int32_t nanos)
{
    int64_t seconds = floor_div(span, USEC_SEC);
    int64_t rest = (span - seconds * USEC_SEC) * 1000 + nanos;
    if (seconds < 0 && rest > 0) {
        seconds++;
        rest -= NANOS_PER_SEC;
    }
    return (struct span){ seconds, rest };
}

/* `.25`, without trailing zeros, at least `least` digits. */
static void write_fraction(struct buf *buf, int64_t nanos, int least)
{
    char digits[FRACTION_MAX];
    int64_t rest = nanos < 0 ? -nanos : nanos;
    for (int i = FRACTION_MAX - 1; i >= 0; i--, rest /= 10)
        digits[i] = (char)('0' + rest % 10);
    int count = FRACTION_MAX;
    while (count > least && digits[count - 1] == '0')
        count--;
    if (count == 0)
        return;
    buf_putc(buf, '.');
    buf_add(buf, digits, (size_t)count);
}

void duration_write(struct buf *buf, usec_t span, int32_t nanos)
{
    struct span parts = span_of(span, nanos);
    int64_t hours = parts.seconds / 3600;
    int64_t minutes = parts.seconds / 60 % 60;
    int64_t seconds = parts.seconds % 60;
    buf_puts(buf, "PT");
    if (hours != 0) {
        buf_put_int(buf, hours);
        buf_putc(buf, 'H');
    }
    if (minutes != 0) {
        buf_put_int(buf, minutes);
        buf_putc(buf, 'M');
    }
    if (seconds == 0 && parts.nanos == 0 && (hours != 0 || minutes != 0))
        return;
    if (seconds == 0 && parts.nanos < 0)
        buf_putc(buf, '-');
    buf_put_int(buf, seconds);
    write_fraction(buf, parts.nanos, 0);
    buf_putc(buf, 'S');
}

char *duration_format(struct arena *arena, usec_t span)
{
    struct buf buf = { 0 };
    duration_write(&buf, span, 0);
    char *text = buf_dup(&buf, arena);
    buf_free(&buf);
    return text;
}

void duration_write_seconds(struct buf *buf, usec_t span, int32_t nanos)
{
    struct span parts = span_of(span, nanos);
    if (parts.seconds == 0 && parts.nanos < 0)
        buf_putc(buf, '-');
    buf_put_int(buf, parts.seconds);
    write_fraction(buf, parts.nanos, 1);
}
