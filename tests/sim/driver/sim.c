/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deterministic simulation of the driver: random flows, the real turns, a store whose commits fail,
 * a worker of the simulation, people, triggers, and a server that dies.
 *
 *     build/sim_driver SEED RUNS     from a seed, so many runs; SEED 0: from the operating system
 *     build/sim_driver first RUNS    from seed 1, until something is wrong
 *     build/sim_driver plants        every planted bug is found
 *     build/sim_driver stores RUNS   a database and memory live the same lives from the same seeds
 *     build/sim_driver sweep FLOWS   each commit of a flow's life fails, loses its reply, is the
 *                                    last before and after a crash, once
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/log.h"
#include "base/str.h"
#include "tests/sim/driver/world.h"

#define HECTIC_MAX 90

/* Seeds in which each planted bug has to be found. */
#define PLANT_SEEDS 60

static const struct store_faults usual_faults = {
    .fails = 3, .loses_reply = 3, .dies_before = 2, .dies_after = 2
};

static void live(struct sim *sim)
{
    size_t hectic = 10 + (size_t)rng_below(&sim->rng, HECTIC_MAX);
    sim_create(sim);
    for (size_t i = 0; i < hectic && !sim->has_failed; i++) {
        sim->steps++;
        if (sim_chance(sim, 70))
            sim_settle(sim); // else several things happen in one turn
        unsigned dice = (unsigned)rng_below(&sim->rng, 100);
        if (dice < 55) {
            if (!sim_work(sim))
                sim_pass(sim, 60 * USEC_SEC);
        } else if (dice < 75) {
            sim_pass(sim, sim_chance(sim, 90) ? 5 * USEC_SEC : 3600 * USEC_SEC);
        } else if (dice < 80) {
            sim_echo(sim);
        } else if (dice < 84) {
            sim_create(sim);
        } else if (dice < 96) {
            sim_operate(sim);
        } else {
            sim_crash(sim);
        }
    }
    sim_calm(sim);
}

static void show(const struct sim *sim)
{
    (void)fprintf(stderr, "%s\nrepeat with: make sim-driver SEED=%llu RUNS=1\n%s\n%s\n", sim->wrong,
                  (unsigned long long)sim->seed, buf_text(&sim->tree), buf_text(&sim->text));
}

/* Whether something was found; what, is printed when `found_in` is NULL, else given there. */
static bool simulate(uint64_t seed, enum plant plant, struct buf *found_in)
{
    struct sim sim;
    sim_open(&sim, seed, &(struct life){ .plant = plant, .faults = usual_faults });
    if (!sim.has_failed)
        live(&sim);
    bool found = sim.has_failed;
    if (found && found_in == NULL)
        show(&sim);
    if (found && found_in != NULL)
        buf_puts(found_in, sim.wrong);
    sim_close(&sim);
    return found;
}

static unsigned run_seeds(uint64_t seed,
                          unsigned long runs,
                          unsigned failures_max,
                          unsigned long *passed)
{
    unsigned failed = 0;
    for (unsigned long i = 0; i < runs && failed < failures_max; i++) {
        if (simulate(seed + i, PLANT_NONE, NULL))
            failed++;
        else
            ++*passed;
    }
    return failed;
}

/* A seed that finds the bug, and finds nothing without it; 0 none. */
static uint64_t seed_of_plant(enum plant plant, struct buf *wrong)
{
    struct buf ignored = { 0 };
    uint64_t found = 0;
    for (uint64_t seed = 1; seed <= PLANT_SEEDS && found == 0; seed++) {
        buf_clear(wrong);
        if (simulate(seed, plant, wrong) && !simulate(seed, PLANT_NONE, &ignored))
            found = seed;
    }
    buf_free(&ignored);
    return found;
}

static unsigned run_plants(unsigned long *passed)
{
    unsigned failed = 0;
    struct buf wrong = { 0 };
    for (enum plant plant = PLANT_NONE + 1; plant < PLANT_COUNT; plant++) {
        uint64_t seed = seed_of_plant(plant, &wrong);
        if (seed == 0)
            (void)fprintf(stderr, "%s was not found with %d seeds\n", plant_names[plant],
                          PLANT_SEEDS);
        else
            (void)printf("%s is found: %s\n", plant_names[plant], buf_text(&wrong));
        *passed += seed == 0 ? 0 : 1;
        failed += seed == 0 ? 1 : 0;
    }
    buf_free(&wrong);
    return failed;
}

/* ---- stores ---- */

/* One life in one kind of store; what is stored in the end. */
static bool live_in(uint64_t seed, bool in_database, uint64_t *digest)
{
    struct sim sim;
    sim_open(&sim, seed, &(struct life){ .faults = usual_faults, .in_database = in_database });
    if (!sim.has_failed)
        live(&sim);
    if (!sim.has_failed)
        *digest = sim_digest(&sim);
    bool ok = !sim.has_failed;
    if (!ok)
        show(&sim);
    sim_close(&sim);
    return ok;
}

/* A database, closed and opened again after each crash, holds what memory holds. */
static unsigned run_stores(uint64_t seeds, unsigned long *passed)
{
    unsigned failed = 0;
    for (uint64_t seed = 1; seed <= seeds && failed == 0; seed++) {
        uint64_t in_memory = 0;
        uint64_t in_database = 0;
        bool ok = live_in(seed, false, &in_memory) && live_in(seed, true, &in_database);
        if (ok && in_memory != in_database) {
            (void)fprintf(stderr, "seed %llu: a database holds something else than memory\n",
                          (unsigned long long)seed);
            ok = false;
        }
        *passed += ok ? 1 : 0;
        failed += ok ? 0 : 1;
    }
    return failed;
}

/* ---- sweep ---- */

/* One execution in a quiet world, but for these faults. Returns calls of the store's commit. */
static uint64_t live_quietly(uint64_t seed, struct store_faults faults, bool *found)
{
    struct sim sim;
    sim_open(&sim, seed, &(struct life){ .faults = faults });
    sim.keeps_faults = true;
    if (!sim.has_failed) {
        sim_create(&sim);
        sim_calm(&sim);
    }
    *found = sim.has_failed;
    if (sim.has_failed) {
        (void)fprintf(stderr,
                      "commit %llu fails, %llu has no reply, %llu dies before or %llu after\n",
                      (unsigned long long)faults.fails_at, (unsigned long long)faults.loses_at,
                      (unsigned long long)faults.dies_at, (unsigned long long)faults.dies_past);
        show(&sim);
    }
    uint64_t calls = sim.store->calls;
    sim_close(&sim);
    return calls;
}

/* Each commit of each flow fails once in every way. */
static unsigned run_sweep(uint64_t seeds, unsigned long *passed)
{
    unsigned failed = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        bool found = false;
        uint64_t calls = live_quietly(seed, (struct store_faults){ 0 }, &found);
        for (uint64_t n = 1; n <= calls * 4 && !found; n++) {
            uint64_t at = (n + 3) / 4;
            struct store_faults faults = { 0 };
            *(n % 4 == 0   ? &faults.fails_at
              : n % 4 == 1 ? &faults.loses_at
              : n % 4 == 2 ? &faults.dies_at
                           : &faults.dies_past) = at;
            (void)live_quietly(seed, faults, &found);
            *passed += found ? 0 : 1;
        }
        failed += found ? 1 : 0;
    }
    return failed;
}

int main(int argc, char **argv)
{
    unsigned long passed = 0;
    unsigned failed = 0;
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    log_open(&(struct log_options){ .level = LOG_ERROR, .fd = nowhere });
    if (argc > 1 && str_eq(argv[1], "plants")) {
        failed = run_plants(&passed);
    } else if (argc > 1 && str_eq(argv[1], "first")) {
        failed = run_seeds(1, argc > 2 ? strtoul(argv[2], NULL, 10) : 200, 1, &passed);
    } else if (argc > 1 && str_eq(argv[1], "stores")) {
        failed = run_stores(argc > 2 ? strtoull(argv[2], NULL, 10) : 40, &passed);
    } else if (argc > 1 && str_eq(argv[1], "sweep")) {
        failed = run_sweep(argc > 2 ? strtoull(argv[2], NULL, 10) : 40, &passed);
    } else {
        uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
        unsigned long runs = argc > 2 ? strtoul(argv[2], NULL, 10) : 500;
        if (seed == 0)
            seed = rng_seed() % 1000000000;
        failed = run_seeds(seed, runs, 5, &passed);
    }
    (void)printf("%lu passed, %u failed\n", passed, failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
