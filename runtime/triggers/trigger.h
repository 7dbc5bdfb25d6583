/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trigger types: what scheduling needs of their definition, and how they are evaluated.
 *
 * The driver owns the state of triggers; a trigger type is pure, except for polling, which runs on
 * a worker. To add one: a file in runtime/triggers, one line in runtime/plugins.c, one test.
 *
 * Schedules compile to a small text (`spec`) that is stored with the trigger's state, so that a
 * million schedules can be registered, loaded and fired without parsing a flow:
 *
 *     "c1|<flags>|<cron>|<zone>"      flags: s seconds, c has conditions, i has inputs or dynamic
 *                                     labels, A/L/N recoverMissedSchedules, m<usec> late delay
 *     "d1|<flags>|<at>,<at>,…"        dates of ScheduleOnDates, microseconds
 *     "p1|<interval>"                 polling, microseconds
 *     "f1|<states mask>|<ns>/<flow>,…" Flow: states, and the only flows it can react to (none: any)
 *
 * runtime/scheduler/spec.h reads and writes it.
 */
#ifndef RUNTIME_TRIGGERS_TRIGGER_H
#define RUNTIME_TRIGGERS_TRIGGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "core/flow.h"

struct arena;
struct buf;
struct error;
struct expr_env;
struct task_ctx;
struct value;

struct trigger_ops {
    /*
     * Appends the spec of a trigger. zone: the server's, for triggers that name none.
     * Errors: ERR_INVALID, the definition cannot be scheduled (the trigger is kept, but off).
     */
    bool (*spec)(const struct trigger *trigger,
                 const char *zone,
                 struct buf *out,
                 struct error *err);

    /*
     * Polling, on a pool thread: variables of the execution to create, or *out = NULL when there
     * is none. NULL for other kinds.
     */
    bool (*poll)(struct task_ctx *ctx,
                 const void *bound,
                 const struct value **out,
                 struct error *err);
};

#endif
