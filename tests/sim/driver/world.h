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

typedef VEC(struct deed) deed_vec;

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

/* A revision of a flow, as parsed from what is stored. */
struct revision {
    struct flow *flow;
    char id[16];
    int64_t number;
};

/* What a life is made of, besides the seed. */
struct life {
    enum plant plant;
    struct store_faults faults;
    bool in_database; /* SQLite in a file, opened again after each crash */
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
    VEC(struct revision) revisions;
    struct buf text; /* of all flows, for looking into a failure */
    char folder[64]; /* of the database, "" none */
    char path[96];
    int64_t limit;       /* greatest concurrency limit that `flow` has had; 0: it had none */
    bool limit_is_loose; /* somebody went round it */
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
    deed_vec begun; /* whatever anybody was told of it */
    deed_vec done;
    deed_vec answered;
    VEC(struct wish *) wishes;
    VEC(struct seen) seen;
    VEC(struct seen) acknowledged; /* only ids */

    bool has_failed;
    char wrong[512];
    struct buf tree; /* of the execution that is wrong */
};

void sim_open(struct sim *sim, uint64_t seed, const struct life *life);
void sim_close(struct sim *sim);

/* The driver turns until it has nothing to do now, dying and starting again as the store says. */
void sim_settle(struct sim *sim);
/* The process dies now; a new one starts. */
void sim_crash(struct sim *sim);
/* Moves the clock to the next timer, at most so far. */
void sim_pass(struct sim *sim, usec_t at_most);
/* Faults end; people resume what is paused; everything must come to its end. */
void sim_calm(struct sim *sim);
/* A number that differs when anything is stored otherwise: executions, task runs, their pasts. */
uint64_t sim_digest(struct sim *sim);
/* All that is stored, oldest first, with task runs; in the scratch arena. */
void sim_rows(struct sim *sim, struct execution_row **rows, size_t *count);
/* The revision that an execution is bound to; NULL: it is not stored any more. */
struct flow *sim_flow(struct sim *sim, const char *id, int64_t revision);
struct seen *sim_seen(struct sim *sim, const char *id);

/* ---- worker.c ---- */

struct worker_iface sim_worker(struct sim *sim);
/* The worker does something about one of its jobs; false: it has none. */
bool sim_work(struct sim *sim);
/* The same, about the first that is not silent. */
bool sim_work_first(struct sim *sim);
/* An answer comes once more. */
void sim_echo(struct sim *sim);
/* The process of the server is gone; those of its tasks may live. */
void sim_lose_jobs(struct sim *sim, bool all);
/* Was this attempt's work done, and done well? */
bool sim_was_done(const struct sim *sim, const char *run_id, uint32_t attempt);

/* ---- people.c ---- */

void sim_create(struct sim *sim);
/* Nothing but that: no date, no breakpoint. */
void sim_create_plain(struct sim *sim);
/* A person does something. */
void sim_operate(struct sim *sim);
/* Somebody resumes what waits for it. Returns  whether anything is open */
bool sim_nudge(struct sim *sim);
/* A flow is saved (types by their last part). NULL source: deleted. */
struct wish *sim_save(struct sim *sim, const char *id, const char *source);
/* The schedule of `watcher` fires no more. */
void sim_stop_clock(struct sim *sim);
/* Looks at the answers of requests that have come. */
void sim_take_answers(struct sim *sim);

void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_trace(const struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool sim_chance(struct sim *sim, unsigned percent);
size_t sim_pick(struct sim *sim, size_t count);
void sim_copy_id(char out[ID_LENGTH + 1], const char *id);

#endif
