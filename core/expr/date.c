/* SPDX-License-Identifier: Apache-2.0 */
#include "core/expr/date.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/str.h"
#include "core/expr/date_names.h"
#include "core/expr/eval.h"
#include "core/tz.h"

/* ---- named formats ---- */

typedef void write_fn(struct buf *out, const struct moment *moment);

/* Time with as many decimals as needed. */
static void write_iso_time(struct buf *out, const struct moment *moment)
{
    int64_t nano = moment_nano(moment);
    buf_printf(out, "%02d:%02d:%02d", moment->local.hour, moment->local.minute,
               moment->local.second);
    if (nano == 0)
        return;
    char digits[16];
    (void)snprintf(digits, sizeof(digits), "%09lld", (long long)nano);
    size_t count = 9;
    while (digits[count - 1] == '0')
        count--;
    buf_putc(out, '.');
    buf_add(out, digits, count);
}

static void write_iso_local_date(struct buf *out, const struct moment *moment)
{
    time_write_date(out, &moment->local);
}

static void write_iso_date(struct buf *out, const struct moment *moment)
{
    time_write_date(out, &moment->local);
    time_write_offset(out, moment->offset);
}

static void write_iso_offset_time(struct buf *out, const struct moment *moment)
{
    write_iso_time(out, moment);
    time_write_offset(out, moment->offset);
}

static void write_iso_local_date_time(struct buf *out, const struct moment *moment)
{
    time_write_date(out, &moment->local);
    buf_putc(out, 'T');
    write_iso_time(out, moment);
}

static void write_iso_offset_date_time(struct buf *out, const struct moment *moment)
{
    write_iso_local_date_time(out, moment);
    time_write_offset(out, moment->offset);
}

static void write_iso_date_time(struct buf *out, const struct moment *moment)
{
    write_iso_offset_date_time(out, moment);
    if (!tz_is_offset(moment->tz))
        buf_printf(out, "[%s]", tz_name(moment->tz));
}

static void write_iso_instant(struct buf *out, const struct moment *moment)
{
    time_write_instant(out, moment->at, moment->nanos);
}

static void write_iso_ordinal_date(struct buf *out, const struct moment *moment)
{
    time_write_year(out, moment->local.year);
    buf_printf(out, "-%03d", moment->local.yearday);
    time_write_offset(out, moment->offset);
}

static void write_iso_week_date(struct buf *out, const struct moment *moment)
{
    int32_t year = 0;
    int32_t week = 0;
    civil_iso_week(&moment->local, &year, &week);
    time_write_year(out, year);
    buf_printf(out, "-W%02d-%d", week, moment->local.weekday);
    time_write_offset(out, moment->offset);
}

static void write_rfc_1123(struct buf *out, const struct moment *moment)
{
    const char *pattern =
        moment->offset == 0 ? "EEE, d MMM yyyy HH:mm:ss 'GMT'" : "EEE, d MMM yyyy HH:mm:ss Z";
    (void)date_format(out, moment, pattern, date_locale_find(NULL), NULL);
}

/*
 * One row per name: the pattern, or the function that writes and the pattern that reads. Texts of
 * the rows with `iso` are read by the ISO reader.
 */
static const struct named_format {
    const char *name;
    const char *pattern;
    write_fn *write;
    bool iso;
} named_formats[] = {
    { "iso", "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", NULL, false },
    { "iso_milli", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX", NULL, false },
    { "iso_sec", "yyyy-MM-dd'T'HH:mm:ssXXX", NULL, false },
    { "sql", "yyyy-MM-dd HH:mm:ss.SSSSSS", NULL, false },
    { "sql_milli", "yyyy-MM-dd HH:mm:ss.SSS", NULL, false },
    { "sql_sec", "yyyy-MM-dd HH:mm:ss", NULL, false },
    { "sql_seq", "yyyy-MM-dd HH:mm:ss", NULL, false },
    { "iso_date_time", NULL, write_iso_date_time, true },
    { "iso_zoned_date_time", NULL, write_iso_date_time, true },
    { "iso_local_date_time", NULL, write_iso_local_date_time, true },
    { "iso_local_date", "yyyy-MM-dd", write_iso_local_date, false },
    { "iso_date", "yyyy-MM-dd[XXX]", write_iso_date, false },
    { "iso_local_time", "HH:mm[:ss]", write_iso_time, false },
    { "iso_time", "HH:mm[:ss][XXX]", write_iso_offset_time, false },
    { "iso_offset_time", "HH:mm[:ss]XXX", write_iso_offset_time, false },
    { "iso_instant", NULL, write_iso_instant, true },
    { "iso_ordinal_date", "yyyy-DDD[XXX]", write_iso_ordinal_date, false },
    { "iso_week_date", NULL, write_iso_week_date, false },
    { "rfc_1123_date_time", "[EEE, ]d MMM yyyy HH:mm[:ss] [z][Z]", write_rfc_1123, false },
};

static const struct named_format *named_format(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(named_formats); i++) {
        if (strcmp(named_formats[i].name, name) == 0)
            return &named_formats[i];
    }
    return NULL;
}

/* The pattern of a localised style, NULL when the name is none. */
static const char *style_pattern(const char *name, const struct date_locale *locale)
{
    static const char *const styles[] = { "full", "long", "medium", "short" };
    for (size_t i = 0; i < COUNT_OF(styles); i++) {
        if (strcmp(styles[i], name) == 0)
            return locale->styles[i];
    }
    return NULL;
}

/* ---- options ---- */

static const struct tz *zone_of(struct call *call, const char *name)
{
    struct error why = { 0 };
    const struct tz *tz = tz_get(name, &why);
    if (tz == NULL)
        (void)call_fail(call, "%s", why.text);
    return tz;
}

/* A string argument; absent when the callable has no such parameter. */
static bool option(struct call *call, int index, const struct value **out)
{
    *out = NULL;
    return index < 0 || call_text(call, (size_t)index, out);
}

/* An argument that may be left out, but not be null. */
static bool is_absent_or_set(struct call *call, int index)
{
    if (index < 0 || call->args[index] == NULL || !value_is_null(call->args[index]))
        return true;
    struct name name = call_param(call, (size_t)index);
    (void)call_fail(call, "argument '%.*s' must not be null", (int)name.length, name.text);
    return false;
}

bool date_options(
    struct call *call, int format, int zone, int existing, int locale, struct date_options *out)
{
    const struct value *zone_name = NULL;
    const struct value *language = NULL;
    if (!option(call, format, &out->format) || !option(call, zone, &zone_name) ||
        !option(call, existing, &out->existing) || !option(call, locale, &language) ||
        !is_absent_or_set(call, format) || !is_absent_or_set(call, locale))
        return false;
    if (zone_name != NULL && zone_name->string.length == 0) {
        (void)call_fail(call, "the time zone is empty");
        return false;
    }
    out->tz = zone_of(call, zone_name == NULL ? call->ev->run->env->zone : zone_name->string.bytes);
    out->locale = date_locale_find(language == NULL ? NULL : language->string.bytes);
    if (out->locale != NULL && language != NULL && language->string.length > 0) {
        out->regional = *out->locale;
        date_locale_weeks(&out->regional, language->string.bytes);
        out->locale = &out->regional;
    }
    if (out->locale == NULL && language != NULL)
        (void)call_fail(call, "the language '%.40s' is not known", language->string.bytes);
    return out->tz != NULL && out->locale != NULL;
}

/* ---- reading ---- */

static bool not_a_date(struct call *call, const char *why)
{
    (void)call_fail(call, "%s", why);
    return false;
}

/* ISO text: with offset or zone, or local in the wanted zone. */
static bool read_iso(struct call *call,
                     const struct value *text,
                     const struct tz *tz,
                     struct moment *out)
{
    struct error why = { 0 };
    struct time_text parts = { 0 };
    if (!time_text_parse(text->string.bytes, text->string.length, &parts, &why))
        return not_a_date(call, why.text);
    if (!parts.has_date)
        return not_a_date(call, "a time of day is not a date");
    usec_t local = civil_at(&parts.civil);
    usec_t at = local - parts.offset * USEC_SEC;
    const struct tz *own = parts.has_offset ? tz_of_offset(parts.offset) : tz;
    if (parts.zone != NULL)
        own = zone_of(call, arena_strndup(call->ev->arena, parts.zone, parts.zone_length));
    if (own == NULL)
        return false;
    if (!parts.has_offset)
        (void)tz_resolve(tz, local, &at);
    *out = moment_at(at, parts.nanos, own);
    return true;
}

/* 2024-W10-4 with an optional offset. */
static bool read_iso_week(struct call *call,
                          const struct value *text,
                          const struct tz *tz,
                          struct moment *out)
{
    int year = 0;
    int week = 0;
    int day = 0;
    int used = 0;
    const char *bytes = text->string.bytes;
    if (sscanf(bytes, "%4d-W%2d-%1d%n", &year, &week, &day, &used) != 3 || week < 1 || week > 53 ||
        day < 1 || day > 7 || year < 1)
        return not_a_date(call, "the text is not a week date such as 2024-W10-4");
    struct civil fourth = { .year = year, .month = 1, .day = 4 };
    fourth = civil_of(civil_at(&fourth));
    int64_t days = civil_days(year, 1, 4) - (fourth.weekday - 1) + (week - 1) * 7LL + day - 1;
    int32_t offset = 0;
    usec_t at = 0;
    (void)tz_resolve(tz, days * USEC_DAY, &at); // a date alone begins in the wanted zone
    if (bytes[used] != '\0' && !time_parse_offset(bytes + used, strlen(bytes + used), &offset))
        return not_a_date(call, "the text is not a week date such as 2024-W10-4");
    *out = moment_at(at, 0, tz);
    return true;
}

static bool read_text(struct call *call,
                      const struct value *text,
                      const struct date_options *options,
                      struct moment *out)
{
    struct error why = { 0 };
    if (!charge(call->ev, call->node, text->string.length / 16 + 1))
        return false;
    if (options->existing == NULL)
        return read_iso(call, text, options->tz, out);
    const char *pattern = options->existing->string.bytes;
    const struct named_format *named = named_format(pattern);
    if (named != NULL && named->iso)
        return read_iso(call, text, options->tz, out);
    if (named != NULL && named->pattern == NULL)
        return read_iso_week(call, text, options->tz, out);
    if (named != NULL)
        pattern = named->pattern;
    else if (style_pattern(pattern, date_locale_find(NULL)) != NULL)
        pattern = style_pattern(pattern, date_locale_find(NULL));
    if (date_parse(text->string.bytes, text->string.length, pattern, options->tz, out, &why))
        return true;
    return not_a_date(call, why.text);
}

/* Seconds, milliseconds, microseconds or nanoseconds since 1970, by magnitude. */
static bool read_number(struct call *call, int64_t number, const struct tz *tz, struct moment *out)
{
    uint64_t size = number < 0 ? 0U - (uint64_t)number : (uint64_t)number;
    usec_t at = number;
    int32_t nanos = 0;
    if (size < 100000000000U) {
        at = number * USEC_SEC;
    } else if (size < 100000000000000U) {
        at = number * USEC_MSEC;
    } else if (size >= 100000000000000000U) {
        nanos = (int32_t)((number % 1000 + 1000) % 1000);
        at = (number - nanos) / 1000;
    }
    struct civil civil = civil_of(at);
    if (civil.year < -CIVIL_YEAR_MAX || civil.year > CIVIL_YEAR_MAX)
        return not_a_date(call, "the number is no time");
    *out = moment_at(at, nanos, tz);
    return true;
}

bool date_moment(struct call *call,
                 const struct value *value,
                 const struct date_options *options,
                 struct moment *out)
{
    usec_t at = 0;
    switch ((enum value_kind)value->kind) {
    case VALUE_STRING:
        return read_text(call, value, options, out);
    case VALUE_INT:
        return read_number(call, value->integer, options->tz, out);
    case VALUE_INSTANT:
    case VALUE_ZONED:
        *out = moment_at(value->time->at, value->time->nanos, options->tz);
        return true;
    case VALUE_LOCAL_DATETIME:
        (void)tz_resolve(options->tz, value->time->at, &at);
        *out = moment_at(at, value->time->nanos, options->tz);
        return true;
    case VALUE_LOCAL_DATE:
        (void)tz_resolve(options->tz, value->time->at + USEC_DAY / 2, &at);
        *out = moment_at(at, 0, options->tz);
        return true;
    case VALUE_NULL:
    case VALUE_BOOL:
    case VALUE_FLOAT32:
    case VALUE_DOUBLE:
    case VALUE_DECIMAL:
    case VALUE_BIGINT:
    case VALUE_LIST:
    case VALUE_MAP:
    case VALUE_LOCAL_TIME:
    case VALUE_DURATION:
    case VALUE_URI:
    case VALUE_ENTRY:
    case VALUE_BYTES:
    case VALUE_LAZY:
        break;
    }
    (void)call_fail(call, "%s is not a date", value_kind_name(value));
    return false;
}

/* ---- writing ---- */

const struct value *date_text(struct call *call,
                              const struct moment *moment,
                              const struct date_options *options)
{
    struct buf out = { 0 };
    struct error why = { 0 };
    const char *format = options->format == NULL ? "iso" : options->format->string.bytes;
    const struct named_format *named = named_format(format);
    bool done = true;
    struct moment there = moment_at(moment->at, moment->nanos, options->tz);
    bool fits_rfc = there.local.year >= 0 && there.local.year <= 9999;
    if (named != NULL && named->write == write_rfc_1123 && !fits_rfc) {
        done =
            error_set(&why, ERR_INVALID, "the year %d does not have four digits", there.local.year);
    } else if (named != NULL && named->write != NULL) {
        named->write(&out, &there);
    } else {
        const char *pattern =
            named != NULL ? named->pattern : style_pattern(format, options->locale);
        done = date_format(&out, &there, pattern == NULL ? format : pattern, options->locale, &why);
    }
    if (done)
        return text_of(call->ev, call->node, &out);
    buf_free(&out);
    return call_fail(call, "%s", why.text);
}
