/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `timeWindow` of preconditions and of MultipleCondition (flow-language.md 5.9): its
 * properties and their rules. When a window is open is decided in runtime/scheduler.
 */
#ifndef RUNTIME_TRIGGERS_TIME_WINDOW_H
#define RUNTIME_TRIGGERS_TIME_WINDOW_H

#include "core/prop.h"

struct diag_list;
struct value;

enum time_window_type {
    WINDOW_DURATION,
    WINDOW_SLIDING,
    WINDOW_DAILY_DEADLINE,
    WINDOW_DAILY_TIME,
};

/* Bound from time_window_props. */
struct time_window {
    int type;       /* enum time_window_type */
    usec_t window;  /* -1 absent: one day */
    usec_t advance; /* -1 absent: none; may be negative */
    const char *deadline;
    const char *start_time;
    const char *end_time;
};

extern const struct prop time_window_props[];

/* Findings about properties that the type needs or cannot have. window may be NULL. */
void time_window_check(const struct value *window, const char *path, struct diag_list *findings);

/* The newer `window`, of dependsOn; path is its own. */
void depends_window_check(const struct value *window, const char *path, struct diag_list *findings);

#endif
