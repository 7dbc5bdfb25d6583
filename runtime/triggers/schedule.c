/* SPDX-License-Identifier: Apache-2.0 */
/* Schedule and ScheduleOnDates: properties and their rules (flow-language.md 5.4, 5.5). */
#include "base/arena.h"
#include "base/error.h"
#include "base/timefmt.h"
#include "core/cron.h"
#include "core/diag.h"
#include "core/expr/expr.h"
#include "core/plugin.h"
#include "core/tz.h"
#include "core/value.h"
#include "runtime/triggers/triggers.h"

static const char *const recover_words[] = { "ALL", "LAST", "NONE", NULL };

#define ZONE_ROW                                                                                   \
    {                                                                                              \
        "timezone",                                                                                \
            .kind = PROP_STRING,                                                                   \
            .doc = "IANA time zone or offset in which dates are meant; the server's by default."   \
    }
#define RECOVER_ROW                                                                                \
    {                                                                                              \
        "recoverMissedSchedules", .kind = PROP_ENUM, .words = recover_words,                       \
                                  .doc = "What happens to dates that passed while the server was " \
                                         "down: ALL are executed, the "                            \
                                         "LAST one, or NONE. The server's setting by default."     \
    }

static const struct prop schedule_props[] = {
    { "cron", .kind = PROP_STRING, .flags = PROP_REQUIRED,
      .doc = "Five fields: minute, hour, day of month, month, day of week; or @hourly, @daily, "
             "@weekly, @monthly, @yearly." },
    { "withSeconds", .kind = PROP_BOOL, .fallback = "false",
      .doc = "The expression has a sixth field in front, seconds." },
    ZONE_ROW,
    { "lateMaximumDelay", .kind = PROP_DURATION,
      .doc = "Dates that are later than this are skipped." },
    RECOVER_ROW,
    { "scheduleConditions", .kind = PROP_CONDITIONS, .flags = PROP_DEPRECATED,
      .doc = "Older spelling of `conditions`." },
    { "backfill", .kind = PROP_ANY, .flags = PROP_DEPRECATED,
      .doc = "Ignored; backfills are asked for through the API." },
    { 0 },
};

static const struct prop dates_props[] = {
    { "dates", .kind = PROP_STRINGS, .flags = PROP_REQUIRED | PROP_EXPR | PROP_NOT_EMPTY,
      .doc = "Dates with offset, such as 2026-07-01T09:30:00+02:00." },
    ZONE_ROW,
    RECOVER_ROW,
    { 0 },
};

static const struct value *or_map(const struct value *member, const struct value *map)
{
    return member == NULL ? map : member;
}

static void check_zone(const struct value *map, const char *path, struct diag_list *findings)
{
    const struct value *zone = value_get(map, "timezone");
    const char *name = value_cstr(zone);
    if (name == NULL || expr_is_dynamic(name) || tz_get(name, NULL) != NULL)
        return;
    (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "time-zone", zone,
                   arena_printf(findings->arena, "%s.timezone", path),
                   "timezone '%s' is not a valid time-zone ID", name);
}

static void check_schedule(const struct flow *flow,
                           const struct value *map,
                           const char *path,
                           struct diag_list *findings)
{
    (void)flow;
    const struct value *text = value_get(map, "cron");
    struct cron cron;
    struct error err = { 0 };
    if (value_is_string(text) &&
        !cron_parse(&cron, value_cstr(text), value_get_bool(map, "withSeconds", false), &err))
        (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "cron", or_map(text, map),
                       arena_printf(findings->arena, "%s.cron", path), "%s", err.text);
    check_zone(map, path, findings);
}

static void check_dates(const struct flow *flow,
                        const struct value *map,
                        const char *path,
                        struct diag_list *findings)
{
    (void)flow;
    check_zone(map, path, findings);
    const struct value *dates = value_get(map, "dates");
    bool is_list = value_is_list(dates);
    for (size_t i = 0; dates != NULL && i < (is_list ? value_count(dates) : 1); i++) {
        const struct value *date = is_list ? value_item(dates, i) : dates;
        const char *text = value_cstr(date);
        usec_t at = 0;
        if (text != NULL && !expr_is_dynamic(text) && !time_parse_instant(text, &at, NULL, NULL))
            (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "date", date,
                           arena_printf(findings->arena, "%s.dates[%zu]", path, i),
                           "'%s' is not a date with an offset, such as 2026-07-01T09:30:00+02:00",
                           text);
    }
}

static const struct plugin_output date_outputs[] = {
    { "date", "datetime", "The date that is executed, in the trigger's time zone." },
    { "next", "datetime", "The next date." },
    { "previous", "datetime", "The date before." },
    { 0 },
};

static const char *const schedule_aliases[] = {
    "io.kestra.core.models.triggers.types.Schedule",
    NULL,
};

static const struct plugin_example schedule_examples[] = {
    { "Every working day at nine in Paris", "cron: \"0 9 * * MON-FRI\"\n"
                                            "timezone: Europe/Paris\n" },
    { "The first Monday of the month", "cron: \"0 6 * * 1\"\n"
                                       "conditions:\n"
                                       "  - type: io.kestra.plugin.core.condition.DayWeekInMonth\n"
                                       "    dayOfWeek: MONDAY\n"
                                       "    dayInMonth: FIRST\n" },
    { 0 },
};

const struct plugin trigger_schedule = {
    .id = "io.kestra.plugin.core.trigger.Schedule",
    .role = PLUGIN_TRIGGER,
    .trigger_kind = TRIGGER_SCHEDULE,
    .title = "Start a flow at dates given by a cron expression.",
    .aliases = schedule_aliases,
    .props = schedule_props,
    .outputs = date_outputs,
    .examples = schedule_examples,
    .check = check_schedule,
};

static const struct plugin_example dates_examples[] = {
    { "Twice", "dates:\n"
               "  - 2027-01-01T00:00:00Z\n"
               "  - 2027-07-01T09:30:00+02:00\n" },
    { 0 },
};

const struct plugin trigger_schedule_on_dates = {
    .id = "io.kestra.plugin.core.trigger.ScheduleOnDates",
    .role = PLUGIN_TRIGGER,
    .trigger_kind = TRIGGER_SCHEDULE,
    .title = "Start a flow at listed dates.",
    .props = dates_props,
    .outputs = date_outputs,
    .examples = dates_examples,
    .check = check_dates,
};
