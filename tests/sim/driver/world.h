/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's surroundings in a simulation: a clock, a worker that remembers what it did, a store
 * with faults, people, and crashes. Everything follows from the seed.
 */
#ifndef TESTS_SIM_DRIVER_WORLD_H
#define TESTS_SIM_DRIVER_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/vec.h"
#include "runtime/driver/driver.h"
#include "runtime/store/logstore.h"
#include "tests/sim/driver/check.h"
#include "tests/sim/driver/store.h"

/* Bugs to prove that the simulation sees them. */
enum plant {
    PLANT_NONE,
    PLANT_STORE_LIES,
    PLANT_STORE_LOSES_RUNS,
    PLANT_STORE_FLIPS,
    PLANT_STORE_SLEEPS,
    PLANT_WORKER_SILENT,  /* an answer never comes, and the worker says it is at it */
    PLANT_WORKER_LIES,    /* says that work was done which was not */
    PLANT_DRIVER_DOUBLES, /* an order is given again as the next attempt, too early */
    PLANT_DRIVER_REPEATS, /* an order is given again under the number of one that began */
    PLANT_COUNT,
};
extern const char *const plant_names[PLANT_COUNT];

/* An attempt that the worker has, or had. */
struct job {
    struct order *order; /* NULL: cancelled before it was known */
    char execution_id[ID_LENGTH + 1];
    char run_id[ID_LENGTH + 1];
    uint32_t attempt;
    enum order_type type;
    bool is_started;
    bool is_cancelled;
    bool is_silent;
    unsigned polls;
};

/* Work that was really done, or an answer that was given: the world's own record. */
struct deed {
    char execution_id[ID_LENGTH + 1];
    char run_id[ID_LENGTH + 1];
    uint32_t attempt;
    enum state state;
};

/* A request of a person, and whether it was answered. */
struct wish {
    struct driver_request request;
    struct arena *arena;
    char execution_id[ID_LENGTH + 1];
    bool is_done;
    bool is_seen; /* its answer was looked at */
    bool reopens;
    unsigned driver; /* which start of the driver it was given to */
};

struct sim {
    uint64_t seed;
    struct rng rng;
    enum plant plant;
    bool traces; /* TRACE=1: everything that happens, on standard error */
    struct arena *arena;
    struct arena *scratch;
    struct sim_store *store;
    struct store_reader *reader;
    struct logstore *logs;
    struct driver *driver;
    struct engine_world world;
    struct flow *flow;
    struct flow *child;
    struct buf text; /* of the flow */
    usec_t now;
    unsigned starts;
    unsigned steps;
    uint64_t checked; /* commits that were looked at */
    uint64_t ids;
    bool is_calm;
    bool keeps_faults; /* those of the store last, also when all is calm */
    bool was_broken;
    const char *doing;

    VEC(struct job) jobs;
    VEC(struct deed) begun; /* whatever anybody was told of it */
    VEC(struct deed) done;
    VEC(struct deed) answered;
    VEC(struct wish *) wishes;
    VEC(struct seen) seen;
    VEC(struct seen) acknowledged; /* only ids */

    bool has_failed;
    char wrong[512];
    struct buf tree; /* of the execution that is wrong */
};

void sim_open(struct sim *sim, uint64_t seed, enum plant plant, struct store_faults faults);
void sim_close(struct sim *sim);

/* The driver turns until it has nothing to do now, dying and starting again as the store says. */
void sim_settle(struct sim *sim);
/* The process dies now; a new one starts. */
void sim_crash(struct sim *sim);
/* Moves the clock to the next timer, at most so far. */
void sim_pass(struct sim *sim, usec_t at_most);
/* The worker does something about one of its jobs; false: it has none. */
bool sim_work(struct sim *sim);
void sim_echo(struct sim *sim);
void sim_create(struct sim *sim);
/* A person does something. */
void sim_operate(struct sim *sim);
/* Faults end; people resume what is paused; everything must come to its end. */
void sim_calm(struct sim *sim);

void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_trace(const struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool sim_chance(struct sim *sim, unsigned percent);

#endif
