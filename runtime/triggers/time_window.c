/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/triggers/time_window.h"

#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/timefmt.h"
#include "core/diag.h"
#include "core/expr/expr.h"
#include "core/tz.h"
#include "core/value.h"
#include "core/words.h"

static const char *const type_words[] = {
    [WINDOW_DURATION] = "DURATION_WINDOW",
    [WINDOW_SLIDING] = "SLIDING_WINDOW",
    [WINDOW_DAILY_DEADLINE] = "DAILY_TIME_DEADLINE",
    [WINDOW_DAILY_TIME] = "DAILY_TIME_WINDOW",
    NULL,
};

const struct prop time_window_props[] = {
    { "type", ENUM(struct time_window, type), .words = type_words, .fallback = "DURATION_WINDOW",
      .doc = "How the window is placed in time." },
    { "window", DURATION(struct time_window, window),
      .doc = "Length; one day by default. Of DURATION_WINDOW and SLIDING_WINDOW." },
    { "windowAdvance", DURATION(struct time_window, advance),
      .doc = "By how much the fixed windows are shifted. Of DURATION_WINDOW." },
    { "deadline", STR(struct time_window, deadline),
      .doc = "Time of day by which all must have held. Of DAILY_TIME_DEADLINE." },
    { "startTime", STR(struct time_window, start_time),
      .doc = "Begin of the window each day. Of DAILY_TIME_WINDOW." },
    { "endTime", STR(struct time_window, end_time),
      .doc = "End of the window each day. Of DAILY_TIME_WINDOW." },
    { 0 },
};

/* Which type has which property; `needs` is part of `has`. */
static const struct {
    const char *property;
    const char *words; /* as messages call it */
    unsigned has;
    unsigned needs;
} rows[] = {
    { "window", "window", BIT(WINDOW_DURATION) | BIT(WINDOW_SLIDING), 0 },
    { "windowAdvance", "window advance", BIT(WINDOW_DURATION), 0 },
    { "deadline", "deadline", BIT(WINDOW_DAILY_DEADLINE), BIT(WINDOW_DAILY_DEADLINE) },
    { "startTime", "start time", BIT(WINDOW_DAILY_TIME), BIT(WINDOW_DAILY_TIME) },
    { "endTime", "end time", BIT(WINDOW_DAILY_TIME), BIT(WINDOW_DAILY_TIME) },
};

/* ---- times of day ---- */

static void check_times(const struct value *window,
                        const char *const *names,
                        const char *path,
                        struct diag_list *findings)
{
    for (; *names != NULL; names++) {
        const struct value *member = value_get(window, *names);
        const char *text = value_cstr(member);
        struct time_text time;
        if (text == NULL || expr_is_dynamic(text) ||
            (time_text_parse(text, strlen(text), &time, NULL) && time.has_time && !time.has_date))
            continue;
        (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "time-of-day", member,
                       arena_printf(findings->arena, "%s.%s", path, *names),
                       "'%s' is not a time of day, such as 09:30:00+02:00", text);
    }
}

void time_window_check(const struct value *window, const char *path, struct diag_list *findings)
{
    static const char *const times[] = { "deadline", "startTime", "endTime", NULL };
    if (!value_is_map(window))
        return;
    const char *below = arena_printf(findings->arena, "%s.timeWindow", path);
    check_times(window, times, below, findings);
    const char *name = value_get_text(window, "type", "DURATION_WINDOW");
    int type = words_find(type_words, name);
    if (type < 0)
        return; // the property table says so
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        bool is_given = !value_is_null(value_get(window, rows[i].property));
        bool is_missing = !is_given && (rows[i].needs & BIT(type)) != 0;
        bool is_misplaced = is_given && (rows[i].has & BIT(type)) == 0;
        if (is_missing || is_misplaced)
            (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "time-window", window, below,
                           "Time window of type `%s` %s have a %s.", name,
                           is_missing ? "must" : "cannot", rows[i].words);
    }
}

/* ---- the window of dependsOn ---- */

/* Members that say the same thing together; a window is told by one group. */
static const struct {
    const char *members[2];
    bool needs_both;
} groups[] = {
    { { "deadline", "deadline" }, true },
    { { "from", "to" }, true },
    { { "every", "offset" }, false },
    { { "lookback", "lookback" }, true },
};

static void wrong(const struct value *window,
                  const char *path,
                  struct diag_list *findings,
                  const char *text)
{
    (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "depends-window", window, path, "%s",
                   text);
}

void depends_window_check(const struct value *window, const char *path, struct diag_list *findings)
{
    static const char *const times[] = { "deadline", "from", "to", NULL };
    if (!value_is_map(window))
        return;
    check_times(window, times, path, findings);
    size_t given = 0;
    for (size_t i = 0; i < COUNT_OF(groups); i++) {
        bool first = !value_is_null(value_get(window, groups[i].members[0]));
        bool second = !value_is_null(value_get(window, groups[i].members[1]));
        given += first || second;
        if (groups[i].needs_both && first != second)
            wrong(window, path, findings, "`from` and `to` must be given together");
    }
    if (given > 1)
        wrong(window, path, findings,
              "a window has either `deadline`, or `from` and `to`, or `every` and `offset`, or "
              "`lookback`");
    const char *zone = value_get_text(window, "timezone", NULL);
    if (zone != NULL && !expr_is_dynamic(zone) && tz_get(zone, NULL) == NULL)
        (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "time-zone", window,
                       arena_printf(findings->arena, "%s.timezone", path),
                       "timezone '%s' is not a valid time-zone ID", zone);
}
