/* SPDX-License-Identifier: Apache-2.0 */
#include "core/cron.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/error.h"
#include "base/timefmt.h"
#include "core/tz.h"

/* "29 February on a Monday at the earliest after 1900-like gaps": every rule matches within this.
 */
#define SEARCH_DAYS (366 * 41)
/* Longer texts are no cron expressions. */
#define TEXT_BYTES_MAX 512U

struct field {
    const char *name;
    int min;
    int max;
    const char *const *words; /* names of the values from `min` on */
    size_t words_count;
};

static const char *const month_names[] = {
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
};
static const char *const weekday_names[] = { "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT" };

enum { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

static const struct field fields[FIELDS] = {
    [SECOND] = { "second", 0, 59, NULL, 0 },
    [MINUTE] = { "minute", 0, 59, NULL, 0 },
    [HOUR] = { "hour", 0, 23, NULL, 0 },
    [DAY] = { "day of month", 1, 31, NULL, 0 },
    [MONTH] = { "month", 1, 12, month_names, COUNT_OF(month_names) },
    [WEEKDAY] = { "day of week", 0, 7, weekday_names, COUNT_OF(weekday_names) },
};

static const struct {
    const char *name;
    const char *text;
} nicknames[] = {
    { "@yearly", "0 0 1 1 *" }, { "@annually", "0 0 1 1 *" }, { "@monthly", "0 0 1 * *" },
    { "@weekly", "0 0 * * 0" }, { "@daily", "0 0 * * *" },    { "@midnight", "0 0 * * *" },
    { "@hourly", "0 * * * *" },
};

/* ---- parsing ---- */

struct reader {
    const char *text; /* whole expression, for messages */
    const char *at;
    struct error *err;
};

static bool invalid(struct reader *reader, const char *what, const struct field *field)
{
    return error_set(reader->err, ERR_INVALID,
                     "invalid cron expression '%s': %s in the field %s (%d to %d)", reader->text,
                     what, field->name, field->min, field->max);
}

static bool read_number(struct reader *reader, int *out)
{
    if (!isdigit((unsigned char)*reader->at))
        return false;
    int number = 0;
    for (int digits = 0; isdigit((unsigned char)*reader->at); reader->at++, digits++) {
        if (digits == 4)
            return false;
        number = number * 10 + (*reader->at - '0');
    }
    *out = number;
    return true;
}

/* A number or a name. `is_end`: of a range, where Sunday is 7. */
static bool read_value(struct reader *reader, const struct field *field, bool is_end, int *out)
{
    for (size_t i = 0; i < field->words_count; i++) {
        size_t length = strlen(field->words[i]);
        if (strncasecmp(reader->at, field->words[i], length) == 0 &&
            !isalnum((unsigned char)reader->at[length])) {
            reader->at += length;
            *out = field->min + (int)i;
            if (is_end && field == &fields[WEEKDAY] && i == 0)
                *out = 7;
            return true;
        }
    }
    if (!read_number(reader, out))
        return invalid(reader, "a value is missing or unknown", field);
    if (*out < field->min || *out > field->max)
        return invalid(reader, "a value is out of range", field);
    return true;
}

/* One item of a list: *, a, a-b, each with an optional /step. */
static bool read_item(struct reader *reader, const struct field *field, uint64_t *bits)
{
    int from = field->min;
    int to = field == &fields[WEEKDAY] ? 6 : field->max;
    bool is_single = false;
    if (*reader->at == '*') {
        reader->at++;
    } else {
        int end = to;
        if (!read_value(reader, field, false, &from))
            return false;
        is_single = *reader->at != '-';
        if (!is_single) {
            reader->at++;
            if (!read_value(reader, field, true, &end))
                return false;
            if (from >= end)
                return invalid(reader, "a range must go upwards", field);
            to = end;
        }
    }
    CHECK(from >= 0 && to < 64);
    int step = 1;
    if (*reader->at == '/') {
        reader->at++;
        if (!read_number(reader, &step) || step < 1 || step > field->max)
            return invalid(reader, "a step must be a number above 0 and within the field", field);
        is_single = false;
    }
    if (is_single)
        to = from;
    for (int value = from; value <= to; value += step)
        *bits |= (uint64_t)1 << (field == &fields[WEEKDAY] ? value % 7 : value);
    return true;
}

static bool read_field(struct reader *reader, const struct field *field, uint64_t *bits, bool *any)
{
    const char *start = reader->at;
    *bits = 0;
    for (;;) {
        if (!read_item(reader, field, bits))
            return false;
        if (*reader->at != ',')
            break;
        reader->at++;
    }
    if (*reader->at != '\0' && !isspace((unsigned char)*reader->at))
        return invalid(reader, "unexpected characters", field);
    *any = reader->at - start == 1 && *start == '*';
    while (isspace((unsigned char)*reader->at))
        reader->at++;
    return true;
}

static size_t count_fields(const char *text)
{
    size_t count = 0;
    bool inside = false;
    for (; *text != '\0'; text++) {
        bool is_space = isspace((unsigned char)*text) != 0;
        if (!is_space && !inside)
            count++;
        inside = !is_space;
    }
    return count;
}

bool cron_parse(struct cron *out, const char *text, bool with_seconds, struct error *err)
{
    struct reader reader = { .text = text, .at = text, .err = err };
    if (strlen(text) > TEXT_BYTES_MAX)
        return error_set(err, ERR_INVALID,
                         "invalid cron expression '%.20s…': longer than %u characters", text,
                         TEXT_BYTES_MAX);
    while (isspace((unsigned char)*reader.at))
        reader.at++;
    bool is_nickname = *reader.at == '@';
    for (size_t i = 0; is_nickname && i < COUNT_OF(nicknames); i++) {
        if (strcasecmp(reader.at, nicknames[i].name) == 0)
            reader.at = nicknames[i].text;
    }
    if (*reader.at == '@')
        return error_set(
            err, ERR_INVALID,
            "invalid cron expression '%s': there are @yearly, @monthly, @weekly, @daily "
            "and @hourly",
            text);

    bool has_seconds = with_seconds && !is_nickname;
    size_t wanted = has_seconds ? 6 : 5;
    size_t found = count_fields(reader.at);
    if (found != wanted)
        return error_set(err, ERR_INVALID,
                         "invalid cron expression '%s': it has %zu fields instead of %zu%s", text,
                         found, wanted, found == 6 ? "; seconds need withSeconds: true" : "");

    uint64_t bits[FIELDS] = { [SECOND] = 1 };
    bool any[FIELDS] = { false };
    for (int i = has_seconds ? SECOND : MINUTE; i < FIELDS; i++) {
        if (!read_field(&reader, &fields[i], &bits[i], &any[i]))
            return false;
    }
    *out = (struct cron){
        .seconds = bits[SECOND],
        .minutes = bits[MINUTE],
        .hours = (uint32_t)bits[HOUR],
        .days = (uint32_t)bits[DAY],
        .months = (uint16_t)bits[MONTH],
        .weekdays = (uint8_t)bits[WEEKDAY],
        .any_day = any[DAY],
        .any_weekday = any[WEEKDAY],
    };
    return true;
}

/* ---- matching ---- */

/* Lowest allowed value at or above `from`, -1 none. */
static int next_bit(uint64_t bits, int from)
{
    if (from > 63)
        return -1;
    uint64_t rest = bits >> from;
    return rest == 0 ? -1 : from + __builtin_ctzll(rest);
}

/* Highest allowed value at or below `from`, -1 none. */
static int previous_bit(uint64_t bits, int from)
{
    if (from < 0)
        return -1;
    uint64_t rest = bits << (63 - from);
    return rest == 0 ? -1 : from - __builtin_clzll(rest);
}

static bool day_matches(const struct cron *cron, const struct civil *civil)
{
    if ((cron->months >> civil->month & 1U) == 0)
        return false;
    bool by_day = (cron->days >> civil->day & 1U) != 0;
    bool by_weekday = (cron->weekdays >> (civil->weekday % 7) & 1U) != 0;
    if (cron->any_day || cron->any_weekday)
        return by_day && by_weekday;
    return by_day || by_weekday;
}

/*
 * First local time at or after second `from` of the day (0 … 86399), as seconds of the day; -1 when
 * the rest of the day holds none.
 */
static int first_in_day(const struct cron *cron, int from)
{
    int hour = from / 3600;
    int minute = from / 60 % 60;
    int second = from % 60;
    for (;;) {
        int match = next_bit(cron->hours, hour);
        if (match < 0)
            return -1;
        if (match > hour)
            minute = second = 0;
        hour = match;
        match = next_bit(cron->minutes, minute);
        if (match >= 0 && match > minute)
            second = 0;
        if (match >= 0) {
            minute = match;
            match = next_bit(cron->seconds, second);
            if (match >= 0)
                return hour * 3600 + minute * 60 + match;
            minute++;
            second = 0;
            if (minute < 60)
                continue;
        }
        hour++;
        minute = second = 0;
    }
}

/* Mirror of first_in_day(): last local time at or before second `from` of the day. */
static int last_in_day(const struct cron *cron, int from)
{
    int hour = from / 3600;
    int minute = from / 60 % 60;
    int second = from % 60;
    for (;;) {
        int match = previous_bit(cron->hours, hour);
        if (match < 0)
            return -1;
        if (match < hour)
            minute = second = 59;
        hour = match;
        match = previous_bit(cron->minutes, minute);
        if (match >= 0 && match < minute)
            second = 59;
        if (match >= 0) {
            minute = match;
            match = previous_bit(cron->seconds, second);
            if (match >= 0)
                return hour * 3600 + minute * 60 + match;
            minute--;
            second = 59;
            if (minute >= 0)
                continue;
        }
        hour--;
        minute = second = 59;
    }
}

/* The instant of a matching local time: behind the gap when it was skipped, the first of two. */
static usec_t instant_of(const struct tz *tz, usec_t local)
{
    usec_t at = 0;
    if (tz_resolve(tz, local, &at) == TZ_GAP)
        at = tz_at(tz, at).from;
    return at;
}

static usec_t floor_to(usec_t at, usec_t unit)
{
    usec_t rest = at % unit;
    return rest < 0 ? at - rest - unit : at - rest;
}

usec_t cron_next(const struct cron *cron, const struct tz *tz, usec_t after)
{
    usec_t local = floor_to(tz_local(tz, after), USEC_SEC) + USEC_SEC;
    usec_t day = floor_to(local, USEC_DAY);
    int second = (int)((local - day) / USEC_SEC);
    for (int days = 0; days < SEARCH_DAYS; days++, day += USEC_DAY, second = 0) {
        struct civil civil = civil_of(day);
        if (!day_matches(cron, &civil))
            continue;
        while ((second = first_in_day(cron, second)) >= 0) {
            usec_t at = instant_of(tz, day + second * USEC_SEC);
            if (at > after)
                return at;
            if (++second >= 86400)
                break; // the second pass of a repeated hour ran to midnight
        }
    }
    return USEC_NEVER;
}

usec_t cron_previous(const struct cron *cron, const struct tz *tz, usec_t before)
{
    // a skipped local time lies behind the local time of the instant it is moved to
    usec_t local = tz_local(tz, before) + USEC_DAY / 4;
    usec_t day = floor_to(local, USEC_DAY);
    int second = (int)((local - day) / USEC_SEC);
    usec_t best = -USEC_NEVER;
    for (int days = 0; days < SEARCH_DAYS; days++, day -= USEC_DAY, second = 86399) {
        struct civil civil = civil_of(day);
        if (!day_matches(cron, &civil))
            continue;
        while (second >= 0 && (second = last_in_day(cron, second)) >= 0) {
            usec_t at = instant_of(tz, day + second * USEC_SEC);
            if (at < before && at > best)
                best = at;
            // local times before a gap or overlap cannot map to later instants than this
            if (at < before - USEC_DAY / 4)
                return best;
            second--;
        }
        if (best != -USEC_NEVER && day < floor_to(tz_local(tz, best), USEC_DAY))
            return best;
    }
    return best;
}
