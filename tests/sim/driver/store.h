/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store, in memory or SQLite, whose commits fail, whose replies are lost, and that dies with its
 * server.
 */
#ifndef TESTS_SIM_DRIVER_STORE_H
#define TESTS_SIM_DRIVER_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "runtime/store/store.h"

/* What goes wrong with a commit, in percent of all. */
struct store_faults {
    unsigned fails;       /* nothing is stored, ERR_UNAVAILABLE */
    unsigned loses_reply; /* stored, ERR_UNAVAILABLE */
    unsigned dies_before; /* the server dies, nothing is stored */
    unsigned dies_after;  /* the server dies, all is stored */
    uint64_t fails_at;    /* exactly the n-th call fails so; 0 none */
    uint64_t loses_at;    /* exactly the n-th reply is lost; 0 none */
    uint64_t dies_at;     /* dies before the n-th; 0 none */
    uint64_t dies_past;   /* dies after the n-th; 0 none */
};

/* A bug of a store or a driver, to prove that the simulation sees it. */
enum store_plant {
    STORE_SOUND,
    STORE_LIES,       /* says "stored" and has stored nothing, now and then */
    STORE_LOSES_RUNS, /* forgets the change of one task run, now and then */
    STORE_SLEEPS,     /* forgets when a parked execution is to be woken */
    STORE_FLIPS,      /* writes another state into the column than into the body */
};

struct sim_store {
    struct store store;
    struct store *inner;
    struct rng rng;
    struct store_faults faults;
    enum store_plant plant;
    uint64_t calls;
    uint64_t stored;
    bool is_dead;     /* until sim_store_revive(): the server has to be started again */
    const char *path; /* of the database; NULL: in memory */
};

/* path: of a database that does not exist yet, borrowed; NULL: in memory */
struct sim_store *sim_store_new(uint64_t seed, const char *path);
void sim_store_free(struct sim_store *store);
/* Readers of before are gone: a database is closed and opened again, as by a new process. */
void sim_store_revive(struct sim_store *store);

#endif
