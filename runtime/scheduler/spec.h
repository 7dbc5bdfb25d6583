/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What scheduling needs of a trigger's definition, as a short text that is stored with its state,
 * so that a million triggers can be loaded and fired without parsing a flow:
 *
 *     "c|<flags>|<late>|<zone>|<cron>"   Schedule; late: lateMaximumDelay in microseconds, 0 none
 *     "d|<flags>|0|<zone>|<at>,<at>,…"   ScheduleOnDates; microseconds, sorted
 *     "p|<interval>"                     polling, microseconds
 *     "f|<states>|<ns>/<flow>,<ns>/,…"   Flow: mask of states, and the only flows it reacts to
 *                                        (none: any; without flow: all of the namespace); "|m"
 *                                        behind it: onMiss
 *     "w"                                webhook
 *
 * flags: s the cron has seconds, z the zone was named by the trigger, c there are conditions or a
 * `when`, i inputs or labels need the flow, A L N recoverMissedSchedules.
 */
#ifndef RUNTIME_SCHEDULER_SPEC_H
#define RUNTIME_SCHEDULER_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "core/cron.h"
#include "core/flow.h"

struct arena;
struct buf;
struct error;
struct expr_env;
struct tz;

enum recover_missed { RECOVER_DEFAULT, RECOVER_ALL, RECOVER_LAST, RECOVER_NONE };

enum spec_kind { SPEC_CRON, SPEC_DATES, SPEC_POLLING, SPEC_FLOW, SPEC_WEBHOOK };

struct spec {
    enum spec_kind kind;
    bool has_conditions;
    bool needs_flow;
    bool names_zone;
    enum recover_missed recover;
    usec_t late;
    struct cron cron;
    const struct tz *tz;
    usec_t *dates;
    size_t dates_count;
    usec_t interval;
    uint32_t states;
    const char **flows; /* "ns/flow" or "ns/" */
    size_t flows_count;
    bool misses; /* wants to know when nothing came in time */
};

/*
 * Appends the spec of a trigger.
 *
 * zone    the server's, for triggers that name none
 * env     for dates that are expressions; may be NULL
 * Errors  ERR_INVALID  the definition cannot be scheduled: the trigger is kept, but off
 */
bool spec_write(const struct trigger *trigger,
                const char *zone,
                struct expr_env *env,
                struct buf *out,
                struct error *err);

/* Errors: ERR_INTERNAL, not written by spec_write(). */
bool spec_parse(struct arena *arena, const char *text, struct spec *out, struct error *err);

/* Could a Flow trigger react to this state of an execution of this flow? */
bool spec_may_react(const struct spec *spec,
                    const char *namespace,
                    const char *flow_id,
                    uint32_t state);

#endif
