/* SPDX-License-Identifier: Apache-2.0 */
/* Filters over dates. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/str.h"
#include "core/expr/date.h"
#include "core/expr/eval.h"
#include "core/tz.h"

static const struct value *run_date(struct call *call)
{
    struct date_options options;
    struct moment moment;
    if (!date_options(call, 0, 1, 2, 3, &options) ||
        !date_moment(call, call->input, &options, &moment))
        return NULL;
    return date_text(call, &moment, &options);
}

/* Units of dateAdd: spans that move the instant, and steps of the calendar. */
static const struct unit {
    const char *name;
    int64_t nanos; /* 0: a calendar unit */
    int64_t days;
    int64_t months;
} units[] = {
    { "NANOS", 1, 0, 0 },
    { "MICROS", 1000, 0, 0 },
    { "MILLIS", 1000000, 0, 0 },
    { "SECONDS", 1000000000, 0, 0 },
    { "MINUTES", 60000000000, 0, 0 },
    { "HOURS", 3600000000000, 0, 0 },
    { "HALF_DAYS", 43200000000000, 0, 0 },
    { "DAYS", 0, 1, 0 },
    { "WEEKS", 0, 7, 0 },
    { "MONTHS", 0, 0, 1 },
    { "YEARS", 0, 0, 12 },
    { "DECADES", 0, 0, 120 },
    { "CENTURIES", 0, 0, 1200 },
    { "MILLENNIA", 0, 0, 12000 },
};

/* 1 when the text is `+` and digits. */
static size_t has_plus(const char *text)
{
    return text[0] == '+' && text[1] >= '0' && text[1] <= '9' ? 1 : 0;
}

/* A number, of which the whole part counts, or the text of an integer. */
static bool amount_of(struct call *call, int64_t *out)
{
    const struct value *value = call_arg(call, 0);
    if (value == NULL)
        (void)call_fail(call, "argument 'amount' is missing");
    else if (value->kind != VALUE_STRING)
        return call_count(call, 0, 0, out);
    else if (str_to_int(value->string.bytes + has_plus(value->string.bytes), INT64_MIN, INT64_MAX,
                        out))
        return true;
    else
        (void)call_fail(call, "argument 'amount' must be an integer, not '%.40s'",
                        value->string.bytes);
    return false;
}

static const struct unit *unit_of(struct call *call)
{
    const struct value *name = NULL;
    if (!call_text(call, 1, &name))
        return NULL;
    for (size_t i = 0; name != NULL && i < COUNT_OF(units); i++) {
        if (str_eq(units[i].name, name->string.bytes))
            return &units[i];
    }
    (void)call_fail(call, "argument 'unit' must be one of NANOS, MICROS, MILLIS, SECONDS, MINUTES, "
                          "HOURS, HALF_DAYS, DAYS, WEEKS, MONTHS, YEARS, DECADES, CENTURIES, "
                          "MILLENNIA");
    return NULL;
}

/* Moves the instant; false when it leaves the range of time. */
static bool add_span(struct moment *moment, int64_t amount, int64_t nanos)
{
    int64_t whole = 0;
    int64_t below = 0;
    if (nanos >= 1000) {
        if (__builtin_mul_overflow(amount, nanos / 1000, &whole))
            return false;
    } else {
        whole = amount / 1000;
        below = amount % 1000;
    }
    below += moment->nanos;
    whole += below / 1000 - (below % 1000 < 0 ? 1 : 0);
    below = (below % 1000 + 1000) % 1000;
    usec_t at = 0;
    if (__builtin_add_overflow(moment->at, whole, &at))
        return false;
    *moment = moment_at(at, (int32_t)below, moment->tz);
    return true;
}

/* Moves the local date and keeps the time of day. */
static bool add_dates(struct moment *moment, int64_t amount, const struct unit *unit)
{
    struct civil local = moment->local;
    int64_t months = 0;
    int64_t days = 0;
    usec_t span = 0;
    usec_t at = 0;
    if (__builtin_mul_overflow(amount, unit->months, &months) ||
        __builtin_mul_overflow(amount, unit->days, &days) ||
        __builtin_mul_overflow(days, USEC_DAY, &span) || !civil_add_months(&local, months))
        return false;
    usec_t moved = 0;
    if (__builtin_add_overflow(civil_at(&local), span, &moved))
        return false;
    // In an overlap the offset that held before is kept when it is still right.
    usec_t same = moved - moment->offset * USEC_SEC;
    if (tz_offset(moment->tz, same) == moment->offset)
        at = same;
    else
        (void)tz_resolve(moment->tz, moved, &at);
    *moment = moment_at(at, moment->nanos, moment->tz);
    return true;
}

static const struct value *run_date_add(struct call *call)
{
    struct date_options options;
    struct moment moment;
    int64_t amount = 0;
    if (!amount_of(call, &amount))
        return NULL;
    const struct unit *unit = unit_of(call);
    if (unit == NULL || !date_options(call, 2, 3, 4, 5, &options) ||
        !date_moment(call, call->input, &options, &moment))
        return NULL;
    bool fits =
        unit->nanos > 0 ? add_span(&moment, amount, unit->nanos) : add_dates(&moment, amount, unit);
    if (!fits || moment.local.year < -CIVIL_YEAR_MAX || moment.local.year > CIVIL_YEAR_MAX)
        return call_fail(call, "the result is too far away");
    return date_text(call, &moment, &options);
}

/* ---- timestamps ---- */

static bool moment_of_input(struct call *call, struct moment *moment)
{
    struct date_options options;
    return date_options(call, -1, 0, 1, -1, &options) &&
           date_moment(call, call->input, &options, moment);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

static const struct value *run_timestamp(struct call *call)
{
    struct moment moment;
    if (!moment_of_input(call, &moment))
        return NULL;
    return value_int(call->ev->arena, floor_div(moment.at, USEC_SEC));
}

static const struct value *run_timestamp_milli(struct call *call)
{
    struct moment moment;
    if (!moment_of_input(call, &moment))
        return NULL;
    return value_int(call->ev->arena, floor_div(moment.at, USEC_MSEC));
}

static const struct value *run_timestamp_micro(struct call *call)
{
    struct moment moment;
    if (!moment_of_input(call, &moment))
        return NULL;
    return value_string(call->ev->arena,
                        arena_printf(call->ev->arena, "%lld", (long long)moment.at));
}

static const struct value *run_timestamp_nano(struct call *call)
{
    struct moment moment;
    int64_t nanos = 0;
    if (!moment_of_input(call, &moment))
        return NULL;
    if (__builtin_mul_overflow(moment.at, 1000, &nanos))
        return call_fail(call, "the date is too far away for nanoseconds");
    nanos += moment.nanos;
    return value_string(call->ev->arena, arena_printf(call->ev->arena, "%lld", (long long)nanos));
}

static const struct builtin rows[] = {
    { "date", "format = 'iso', timeZone, existingFormat, locale", run_date, 0,
      "Formats a date: a named format (iso, sql_sec …) or a pattern such as 'dd/MM/yyyy'." },
    { "dateAdd", "amount, unit, format = 'iso', timeZone, existingFormat, locale", run_date_add, 0,
      "Adds to a date: dateAdd(-1, 'DAYS'). DAYS and longer keep the time of day." },
    { "timestamp", "timeZone, existingFormat", run_timestamp, 0, "Seconds since 1970." },
    { "timestampMicro", "timeZone, existingFormat", run_timestamp_micro, 0,
      "Microseconds since 1970, as text." },
    { "timestampMilli", "timeZone, existingFormat", run_timestamp_milli, 0,
      "Milliseconds since 1970." },
    { "timestampNano", "timeZone, existingFormat", run_timestamp_nano, 0,
      "Nanoseconds since 1970, as text." },
};

const struct builtin_table filters_date = { NODE_FILTER, rows, COUNT_OF(rows) };
