/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time windows in which several conditions must each be met once (flow-language.md 5.9, 5.10), and
 * the results collected so far. Pure.
 */
#ifndef RUNTIME_SCHEDULER_WINDOW_H
#define RUNTIME_SCHEDULER_WINDOW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

struct arena;
struct buf;
struct error;
struct tz;
struct value;

enum window_kind {
    WINDOW_FIXED,  /* one after the other, all of the same length */
    WINDOW_SLIDES, /* from the first match on */
    WINDOW_DAILY,  /* a span of each day */
};

struct window_rule {
    enum window_kind kind;
    usec_t length;  /* FIXED, SLIDING */
    usec_t advance; /* FIXED: by how much the start is shifted, may be negative */
    usec_t from;    /* DAILY: since midnight */
    usec_t to;      /* DAILY: since midnight; not after `from`: next day */
    const struct tz *tz;
};

/*
 * From `timeWindow` (with the older `window` and `windowAdvance` of a MultipleCondition), or from
 * the newer `window` of dependsOn. NULL: one day.
 *
 * zone    of the server, when the window names none
 * Errors  ERR_INVALID  a time, duration or zone is malformed
 */
bool window_rule_parse(const struct value *doc,
                       const char *zone,
                       struct window_rule *out,
                       struct error *err);

/*
 * The window that holds `now`. false: `now` is outside of the daily span, nothing is recorded.
 *
 * end   last microsecond that belongs to it
 */
bool window_at(const struct window_rule *rule, usec_t now, usec_t *start, usec_t *end);

/* When the next window begins; USEC_NEVER for those that begin with a match. */
usec_t window_next(const struct window_rule *rule, usec_t now);

/* ---- results ---- */

/* Conditions of one precondition; more would be a table, not a trigger. */
#define WINDOW_CONDITIONS_MAX 1000U

struct window_results {
    const char **met; /* names of the conditions that were met, each once */
    size_t count;
    const struct value *outputs; /* of all matching executions, merged; NULL none */
    const struct value *by_flow; /* the same by flow id */
    bool has_fired;              /* within this window, whatever was met since */
};

bool window_is_met(const struct window_results *results, const char *name);
/* Arena memory; a name that is there already changes nothing. */
void window_meet(struct window_results *results, struct arena *arena, const char *name);
void window_add_outputs(struct window_results *results,
                        struct arena *arena,
                        const char *flow_id,
                        const struct value *outputs);

void window_encode(struct buf *out, const struct window_results *results);
/* Errors: ERR_INTERNAL when damaged. */
bool window_decode(struct arena *arena,
                   const void *bytes,
                   size_t length,
                   struct window_results *out,
                   struct error *err);

#endif
