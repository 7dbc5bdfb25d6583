/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver on a bench: turns by hand, a clock of its own, a worker that only remembers its orders,
 * and a store that outlives the driver, so that a test can crash and start it again.
 */
#ifndef TESTS_SUPPORT_DRIVER_BED_H
#define TESTS_SUPPORT_DRIVER_BED_H

#include <stdbool.h>

#include "base/check.h"
#include "base/vec.h"
#include "runtime/driver/driver.h"
#include "runtime/store/logstore.h"
#include "runtime/store/store.h"
#include "tests/support/fault_store.h"

struct bed_cancel {
    char execution_id[ID_LENGTH + 1];
    char run_id[ID_LENGTH + 1];
    uint32_t attempt;
};

struct driver_bed {
    struct arena *arena;
    const char *path; /* of the database, NULL: in memory */
    struct store *store;
    struct fault_store faults; /* what the driver writes through */
    bool is_broken;            /* the driver gave the store up */
    struct store_reader *reader;
    struct logstore *logs;
    struct driver *driver;
    struct engine_world world;
    usec_t now;
    VEC(struct order *) orders; /* not answered yet */
    VEC(struct bed_cancel) cancels;
    size_t orders_seen;
    uint64_t starts;
    bool refuses;       /* the worker has no room */
    bool has_stopped;   /* the worker will begin nothing any more */
    bool knows_nothing; /* the worker has lost all attempts */
    usec_t retention;
    usec_t linger;
    size_t calls_max;
    enum recover_missed recover_missed;
};

/* A database in the folder of the test. */
const char *driver_bed_database(void);

/* Runs a test with a bed over each back end of the store. */
#define EACH_STORE(name)                                                                           \
    static void name##_in(struct driver_bed *bed);                                                 \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        const char *paths[] = { NULL, driver_bed_database() };                                     \
        for (size_t i = 0; i < COUNT_OF(paths); i++) {                                             \
            struct driver_bed bed;                                                                 \
            driver_bed_open(&bed, paths[i]);                                                       \
            name##_in(&bed);                                                                       \
            driver_bed_close(&bed);                                                                \
        }                                                                                          \
    }                                                                                              \
    static void name##_in(struct driver_bed *bed)

/* 2026-01-01T12:00:00Z */
extern const usec_t bed_noon;

void driver_bed_open(struct driver_bed *bed, const char *path);
void driver_bed_close(struct driver_bed *bed);
/* The process dies: orders are forgotten, nothing is said to anybody; then it starts again. */
void driver_bed_crash(struct driver_bed *bed);
/* Stops in order, the worker before the driver; then it starts again. */
void driver_bed_restart(struct driver_bed *bed);
/* Only dies; driver_bed_start() follows. */
void driver_bed_kill(struct driver_bed *bed);
void driver_bed_start(struct driver_bed *bed);

/* Turns until nothing is left to be done now. */
void driver_bed_settle(struct driver_bed *bed);
/* Moves the clock; every timer on the way gets its turn. */
void driver_bed_advance(struct driver_bed *bed, usec_t at);

/* Answers a request without waiting for it. */
void driver_bed_submit(struct driver_bed *bed, struct driver_request *request, bool *is_done);
/* Submits and settles; whether it was answered with ok. */
bool driver_bed_ask(struct driver_bed *bed, struct driver_request *request);

/*
 * Saves a flow of namespace company.team; types may be written by their last part, see bed_flow().
 * Gives its revision.
 */
int64_t driver_bed_deploy(struct driver_bed *bed, const char *yaml);
bool driver_bed_delete_flow(struct driver_bed *bed, const char *id);

/* Creates an execution of company.team/<flow>; fails the test when it cannot. Gives its id. */
const char *driver_bed_create(struct driver_bed *bed, const char *flow);
bool driver_bed_operate(struct driver_bed *bed, const char *id, struct operate_request operate);

/* The execution as stored, owned by the bed's arena; runs decoded. Fails the test when absent. */
const struct execution *driver_bed_execution(struct driver_bed *bed, const char *id);
/* Its state, "SUCCESS" …; NULL when there is no such execution. */
const char *driver_bed_state(struct driver_bed *bed, const char *id);
/* "CREATED, RUNNING, …" */
const char *driver_bed_history(struct driver_bed *bed, const char *id);
/* For looking into a failure. */
void driver_bed_print_log(struct driver_bed *bed, const char *id);
/* Executions of a flow, oldest first. */
size_t driver_bed_executions(struct driver_bed *bed, const char *flow, struct execution_row **rows);
const struct trigger_state *driver_bed_trigger(struct driver_bed *bed,
                                               const char *flow,
                                               const char *trigger);

/* The order for a task that waits longest; NULL none. */
struct order *driver_bed_order(struct driver_bed *bed, const char *task_id);
/* Says that an attempt began, or how it ended; the order is gone afterwards. Settles. */
void driver_bed_began(struct driver_bed *bed, const struct order *order);
void driver_bed_ended(struct driver_bed *bed, struct order *order, enum state state);
/* Says that a remote job runs; the order is gone afterwards. */
void driver_bed_remote(struct driver_bed *bed,
                       struct order *order,
                       const char *remote_id,
                       usec_t wake_at);
void driver_bed_ended_with(struct driver_bed *bed,
                           struct order *order,
                           enum state state,
                           const struct value *outputs);

#endif
