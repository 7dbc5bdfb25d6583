/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stored state of one trigger (flow-language.md 5.2), and its backfill.
 */
#ifndef RUNTIME_SCHEDULER_TRIGGER_STATE_H
#define RUNTIME_SCHEDULER_TRIGGER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "core/plugin.h"

struct backfill {
    usec_t start; /* 0: none */
    int64_t id;   /* tells it from earlier ones of its trigger, over the same dates perhaps */
    usec_t end;
    usec_t current;       /* next occurrence to execute */
    usec_t previous_next; /* next date that was interrupted */
    bool paused;
    const char *inputs; /* JSON map or NULL */
    const char *labels; /* JSON list of {key, value} or NULL */
};

struct trigger_state {
    int64_t key; /* store key, given by the driver */
    const char *namespace;
    const char *flow_id;
    const char *trigger_id;
    enum trigger_kind kind;
    const char *type;         /* canonical plugin id */
    const char *spec;         /* trigger_ops.spec(): what scheduling needs of the definition */
    int64_t revision;         /* of the flow that defines it */
    usec_t date;              /* last evaluated or scheduled date, 0 none */
    usec_t next_at;           /* 0 none */
    usec_t evaluating_at;     /* a worker evaluates since, 0 no */
    const char *worker_id;    /* which */
    const char *execution_id; /* lock, NULL free */
    const char *stop_after;   /* JSON list of states or NULL */
    bool disabled;            /* stored flag: API, Toggle, stopAfter */
    bool is_off;              /* by definition: trigger or flow disabled, flow invalid */
    bool allow_concurrent;
    struct backfill backfill;
    usec_t updated_at;
};

#endif
