/* SPDX-License-Identifier: Apache-2.0 */
/* Functions about days of the calendar; dates are taken as they are written. */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/expr/eval.h"
#include "core/holiday.h"

static const char *const weekdays[] = { "MONDAY", "TUESDAY",  "WEDNESDAY", "THURSDAY",
                                        "FRIDAY", "SATURDAY", "SUNDAY" };

/* An argument as ISO date or date-time. */
static bool date_argument(struct call *call, size_t index, struct time_text *out)
{
    struct error why = { 0 };
    struct name name = call_param(call, index);
    const struct value *text = call_arg(call, index);
    if (text == NULL) {
        (void)call_fail(call, "argument '%.*s' is missing", (int)name.length, name.text);
        return false;
    }
    text = display(call->ev, call->node, text);
    if (text == NULL)
        return false;
    if (!time_text_parse(text->string.bytes, text->string.length, out, &why) || !out->has_date) {
        (void)call_fail(call, "argument '%.*s' must be an ISO date, not '%.40s'", (int)name.length,
                        name.text, text->string.bytes);
        return false;
    }
    out->civil = civil_of(civil_at(&out->civil));
    return true;
}

static const struct value *run_day_of_week(struct call *call)
{
    struct time_text date;
    if (!date_argument(call, 0, &date))
        return NULL;
    return value_string(call->ev->arena, weekdays[date.civil.weekday - 1]);
}

static const struct value *run_day_of_month(struct call *call)
{
    struct time_text date;
    return date_argument(call, 0, &date) ? value_int(call->ev->arena, date.civil.day) : NULL;
}

static const struct value *run_month_of_year(struct call *call)
{
    struct time_text date;
    return date_argument(call, 0, &date) ? value_int(call->ev->arena, date.civil.month) : NULL;
}

static const struct value *run_hour_of_day(struct call *call)
{
    struct time_text date;
    if (!date_argument(call, 0, &date))
        return NULL;
    if (!date.has_time)
        return call_fail(call, "argument 'date' must have a time of day");
    return value_int(call->ev->arena, date.civil.hour);
}

static const struct value *run_is_weekend(struct call *call)
{
    struct time_text date;
    return date_argument(call, 0, &date) ? value_bool(date.civil.weekday >= 6) : NULL;
}

static const struct value *run_is_public_holiday(struct call *call)
{
    struct time_text date;
    struct error why = { 0 };
    const struct value *country = NULL;
    const struct value *subdivision = NULL;
    bool answer = false;
    if (!date_argument(call, 0, &date) || !call_text(call, 1, &country) ||
        !call_text(call, 2, &subdivision))
        return NULL;
    if (country == NULL)
        return call_fail(call, "argument 'countryCode' is missing");
    if (!holiday_is(&date.civil, country->string.bytes,
                    subdivision == NULL ? NULL : subdivision->string.bytes, &answer, &why))
        return call_fail(call, "%s", why.text);
    return value_bool(answer);
}

/* 1 Monday – 7 Sunday; 0 when it is no weekday. */
static int32_t weekday_of(const char *name, size_t length)
{
    for (size_t i = 0; i < COUNT_OF(weekdays); i++) {
        char copy[16] = { 0 };
        if (length != strlen(weekdays[i]) || length >= sizeof(copy))
            continue;
        memcpy(copy, name, length);
        if (str_eq_nocase(copy, weekdays[i]))
            return (int32_t)i + 1;
    }
    return 0;
}

static const struct value *run_is_day_week_in_month(struct call *call)
{
    static const char *const positions[] = { "FIRST", "SECOND", "THIRD", "FOURTH", "LAST" };
    struct time_text date;
    if (!date_argument(call, 0, &date))
        return NULL;
    const struct value *name = call_display(call, 1);
    const struct value *position = name == NULL ? NULL : call_display(call, 2);
    if (position == NULL)
        return NULL;
    int32_t weekday = weekday_of(name->string.bytes, name->string.length);
    if (weekday == 0)
        return call_fail(call, "'%.40s' is not a day of the week", name->string.bytes);
    size_t index = 0;
    while (index < COUNT_OF(positions) && !str_eq_nocase(positions[index], position->string.bytes))
        index++;
    if (index == COUNT_OF(positions))
        return call_fail(call, "argument 'position' must be FIRST, SECOND, THIRD, FOURTH or LAST");
    int32_t last = civil_month_days(date.civil.year, date.civil.month);
    bool fits = index == 4 ? date.civil.day + 7 > last : (date.civil.day - 1) / 7 == (int)index;
    return value_bool(fits && date.civil.weekday == weekday);
}

/* Bits of the days in a text such as "MONDAY, friday"; 0 with the failure noted. */
static unsigned working_days(struct call *call, const struct value *text)
{
    unsigned bits = 0;
    const char *at = text->string.bytes;
    while (*(at += strspn(at, ", ")) != '\0') {
        size_t length = strcspn(at, ", ");
        int32_t weekday = weekday_of(at, length);
        if (weekday == 0) {
            (void)call_fail(call, "'%.*s' is not a day of the week", length > 40 ? 40 : (int)length,
                            at);
            return 0;
        }
        bits |= BIT((unsigned)weekday);
        at += length;
    }
    if (bits == 0)
        (void)call_fail(call, "argument 'workingDays' names no day");
    return bits;
}

static const struct value *run_is_last_working_day(struct call *call)
{
    struct time_text date;
    const struct value *days = NULL;
    if (!date_argument(call, 0, &date) || !call_text(call, 1, &days))
        return NULL;
    unsigned bits = BIT(1U) | BIT(2U) | BIT(3U) | BIT(4U) | BIT(5U);
    if (days != NULL && (bits = working_days(call, days)) == 0)
        return NULL;
    struct civil last = date.civil;
    last.day = civil_month_days(last.year, last.month);
    last = civil_of(civil_at(&last));
    int32_t weekday = last.weekday;
    while ((bits & BIT((unsigned)weekday)) == 0) {
        weekday = weekday == 1 ? 7 : weekday - 1;
        last.day--;
    }
    return value_bool(date.civil.day == last.day);
}

/* The instant a text stands for; UTC where it has no offset. */
static bool instant_argument(struct call *call, size_t index, bool needs_offset, usec_t *out)
{
    struct time_text date;
    struct name name = call_param(call, index);
    if (!date_argument(call, index, &date))
        return false;
    if (needs_offset && !date.has_offset) {
        (void)call_fail(call, "argument '%.*s' must have an offset", (int)name.length, name.text);
        return false;
    }
    *out = civil_at(&date.civil) - date.offset * USEC_SEC;
    return true;
}

static const struct value *run_is_date_before(struct call *call)
{
    usec_t date = 0;
    usec_t reference = 0;
    if (!instant_argument(call, 0, false, &date) || !instant_argument(call, 1, false, &reference))
        return NULL;
    return value_bool(date < reference);
}

static const struct value *run_is_date_after(struct call *call)
{
    usec_t date = 0;
    usec_t reference = 0;
    if (!instant_argument(call, 0, false, &date) || !instant_argument(call, 1, false, &reference))
        return NULL;
    return value_bool(date > reference);
}

static const struct value *run_is_date_between(struct call *call)
{
    usec_t date = 0;
    usec_t after = 0;
    usec_t before = 0;
    if (!instant_argument(call, 0, true, &date) || !instant_argument(call, 1, true, &after) ||
        !instant_argument(call, 2, true, &before))
        return NULL;
    return value_bool(date > after && date < before);
}

static const struct builtin rows[] = {
    { "dayOfMonth", "date", run_day_of_month, 0, "1 to 31." },
    { "dayOfWeek", "date", run_day_of_week, 0, "MONDAY to SUNDAY." },
    { "hourOfDay", "date", run_hour_of_day, 0, "0 to 23." },
    { "isDateAfter", "date, reference", run_is_date_after, 0, "Is it later?" },
    { "isDateBefore", "date, reference", run_is_date_before, 0, "Is it earlier?" },
    { "isDateBetween", "date, after, before", run_is_date_between, 0, "Is it between the two?" },
    { "isDayWeekInMonth", "date, dayOfWeek, position", run_is_day_week_in_month, 0,
      "Is it the FIRST, SECOND, THIRD, FOURTH or LAST such day of its month?" },
    { "isLastWorkingDay", "date, workingDays", run_is_last_working_day, 0,
      "Is it the last working day of its month?" },
    { "isPublicHoliday", "date, countryCode, subDivision", run_is_public_holiday, 0,
      "Is it a public holiday of the country?" },
    { "isWeekend", "date", run_is_weekend, 0, "Is it a Saturday or a Sunday?" },
    { "monthOfYear", "date", run_month_of_year, 0, "1 to 12." },
};

const struct builtin_table functions_calendar = { NODE_FUNCTION, rows, COUNT_OF(rows) };
