/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/triggers/time_window.h"

#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "core/diag.h"
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

void time_window_check(const struct value *window, const char *path, struct diag_list *findings)
{
    if (!value_is_map(window))
        return;
    const char *name = value_get_text(window, "type", "DURATION_WINDOW");
    int type = words_find(type_words, name);
    if (type < 0)
        return; // the property table says so
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        bool is_given = !value_is_null(value_get(window, rows[i].property));
        bool is_missing = !is_given && (rows[i].needs & BIT(type)) != 0;
        bool is_misplaced = is_given && (rows[i].has & BIT(type)) == 0;
        if (is_missing || is_misplaced)
            (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "time-window", window,
                           arena_printf(findings->arena, "%s.timeWindow", path),
                           "Time window of type `%s` %s have a %s.", name,
                           is_missing ? "must" : "cannot", rows[i].words);
    }
}
