/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of the driver about schedules and polling triggers.
 */
#ifndef RUNTIME_DRIVER_TRIGGERS_INTERNAL_H
#define RUNTIME_DRIVER_TRIGGERS_INTERNAL_H

#include "runtime/driver/driver_internal.h"
#include "runtime/scheduler/schedule.h"

/* What a test of dates needs of the flow; the last failure is kept to be shown. */
struct date_context {
    struct driver *driver;
    const struct flow *flow;
    const struct trigger *trigger;
    const struct spec *spec;
    struct error failure;
};

struct scheduled *scheduled_find(const struct driver *driver, int64_t key);
void scheduled_remove(struct driver *driver, int64_t key);
/* A state of this turn, or of the store; owned by the turn's arena. */
struct trigger_state *trigger_state_load(struct driver *driver, int64_t key, struct error *err);
struct trigger_state *trigger_state_find(struct driver *driver,
                                         const char *namespace,
                                         const char *flow_id,
                                         const char *trigger_id,
                                         struct error *err);
/* A state as this turn has left it, which may not be stored yet. */
struct trigger_state *trigger_state_newest(const struct driver *driver,
                                           struct trigger_state *stored);
/* The state, which lives as long as the turn, goes into this commit and into memory. */
void trigger_state_save(struct driver *driver, struct trigger_state *state, bool is_advance);
/* The trigger is no longer part of its flow. */
void trigger_state_drop(struct driver *driver, const struct trigger_state *state);
/* A copy that outlives the turn. */
struct trigger_state trigger_state_copy(struct arena *arena, const struct trigger_state *state);
/*
 * The test for dates of a trigger. Without its flow, or without conditions, every date will do.
 */
struct date_test trigger_date_test(struct driver *driver,
                                   struct date_context *context,
                                   const struct trigger_state *state,
                                   const struct spec *spec);
enum recover_missed trigger_fallback(const struct driver *driver);

#endif
