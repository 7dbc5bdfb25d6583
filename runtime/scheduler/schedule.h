/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When does a trigger fire? Decisions on its stored state (flow-language.md 5.3, 5.4), pure.
 *
 * A date condition is a callback, because it may need the flow. Searches for a date that satisfies
 * one leap over dates of which a condition says that they are alike (a weekend, a month), and are
 * cut into slices where it cannot tell: a date at which the search stopped is stored as the next
 * date, and when it comes it is checked like any other. A condition that never holds delays
 * nothing.
 */
#ifndef RUNTIME_SCHEDULER_SCHEDULE_H
#define RUNTIME_SCHEDULER_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "runtime/scheduler/spec.h"
#include "runtime/scheduler/trigger_state.h"

struct error;

/* Dates looked at in one search; a condition costs a few microseconds. */
#define SCHEDULE_SLICE 400U

/* Searches of dates on which conditions hold end this far from where they began. */
#define SCHEDULE_REACH (10 * 366 * USEC_DAY)

enum date_answer { DATE_NO, DATE_YES, DATE_FAILS };

/* The answer is the same for every date from `since` up to before `until`. */
struct date_span {
    usec_t since;
    usec_t until;
};

/*
 * Conditions and `when` on an occurrence; NULL callbacks hold always. `same` comes as the date
 * alone; a callback that knows for how long its answer is good widens it.
 */
struct date_test {
    enum date_answer (*holds)(void *data, usec_t date, struct date_span *same);
    void *data;
};

/* First occurrence strictly after `after`; USEC_NEVER none. No conditions. */
usec_t schedule_after(const struct spec *spec, usec_t after);
/* Last occurrence strictly before `before`; -USEC_NEVER none. */
usec_t schedule_before(const struct spec *spec, usec_t before);

/*
 * First occurrence after `after` on which the conditions hold (or fail), within reach; when a slice
 * holds none, the occurrence at which the slice ended. USEC_NEVER: none.
 */
usec_t schedule_find(const struct spec *spec, const struct date_test *test, usec_t after);

/* What is to be done for a trigger that is due. */
enum fire_kind {
    FIRE_NOTHING,   /* only the state has advanced */
    FIRE_EXECUTION, /* create an execution for `date` */
    FIRE_FAILED,    /* create a FAILED one: a condition cannot be evaluated */
    FIRE_POLL,      /* have a worker evaluate it */
};

struct fire {
    enum fire_kind kind;
    usec_t date;
    usec_t next;     /* USEC_NEVER none; on which the conditions hold too */
    usec_t previous; /* -USEC_NEVER none */
    bool is_backfill;
    int64_t backfill_id;
};

/* May it be evaluated now or at a date to come? Locked ones wait for their execution's end. */
bool trigger_is_active(const struct trigger_state *state);
bool trigger_is_locked(const struct trigger_state *state);

/*
 * When the driver has to look at it next; USEC_NEVER: only after an event (release of the lock,
 * an operation).
 */
usec_t trigger_wake_at(const struct trigger_state *state);

/*
 * A definition was saved: first registration, or an update, which refreshes `date` and drops a
 * backfill (5.2). key, names, kind, type, spec, flags are filled already.
 */
void trigger_register(struct trigger_state *state,
                      const struct spec *spec,
                      const struct date_test *test,
                      usec_t now);

/* After the server was down, or was started with a date in the past (5.4 Missed schedules). */
void trigger_recover(struct trigger_state *state,
                     const struct spec *spec,
                     const struct date_test *test,
                     enum recover_missed fallback,
                     usec_t now);

/*
 * Takes the date that is due; advances the state to the next one. The caller creates the execution
 * and stores its id as lock unless allow_concurrent.
 */
struct fire trigger_fire(struct trigger_state *state,
                         const struct spec *spec,
                         const struct date_test *test,
                         enum recover_missed fallback,
                         usec_t now);

/* trigger.next and trigger.previous of a date, honouring conditions. */
void schedule_neighbours(const struct spec *spec,
                         const struct date_test *test,
                         usec_t date,
                         usec_t *next,
                         usec_t *previous);

/* The execution that held the lock has fully ended; `stops`: its state is in stopAfter. */
void trigger_release(struct trigger_state *state,
                     const struct spec *spec,
                     const struct date_test *test,
                     enum recover_missed fallback,
                     bool stops,
                     usec_t now);

/* A worker answered that nothing happened, or failed. */
void trigger_polled(struct trigger_state *state, const struct spec *spec, usec_t now);

void trigger_set_disabled(struct trigger_state *state,
                          const struct spec *spec,
                          const struct date_test *test,
                          bool disabled,
                          usec_t now);

/*
 * Errors  ERR_INVALID   no start, start not before end, not a schedule
 *         ERR_CONFLICT  a backfill is under way
 */
bool trigger_backfill(struct trigger_state *state,
                      const struct spec *spec,
                      const struct date_test *test,
                      const struct backfill *wanted,
                      usec_t now,
                      struct error *err);
/* The interrupted next date comes back, following the missed-schedule policy when it is past. */
void trigger_backfill_end(struct trigger_state *state,
                          const struct spec *spec,
                          const struct date_test *test,
                          enum recover_missed fallback,
                          usec_t now);

#endif
