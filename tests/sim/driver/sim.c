/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deterministic simulation of the driver: random flows, the real turns, a store in memory whose
 * commits fail, a worker of the simulation, people, and a server that dies.
 *
 *     build/sim_driver SEED RUNS     from a seed, so many runs; SEED 0: from the operating system
 *     build/sim_driver plants        every planted bug is found
 *     build/sim_driver sweep         one flow; each commit fails, is lost, kills the server once
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

/* Whether something was found. */
static bool simulate(uint64_t seed, enum plant plant, bool shows)
{
    struct sim sim;
    sim_open(&sim, seed, plant, usual_faults);
    if (!sim.has_failed)
        live(&sim);
    bool found = sim.has_failed;
    if (found && shows)
        show(&sim);
    sim_close(&sim);
    return found;
}

static unsigned run_seeds(uint64_t seed, unsigned long runs, unsigned long *passed)
{
    unsigned failed = 0;
    for (unsigned long i = 0; i < runs && failed < 5; i++) {
        if (simulate(seed + i, PLANT_NONE, true))
            failed++;
        else
            ++*passed;
    }
    return failed;
}

static unsigned run_plants(unsigned long *passed)
{
    unsigned failed = 0;
    for (enum plant plant = PLANT_NONE + 1; plant < PLANT_COUNT; plant++) {
        uint64_t seed = 1;
        while (seed <= PLANT_SEEDS &&
               (!simulate(seed, plant, false) || simulate(seed, PLANT_NONE, false)))
            seed++;
        if (seed > PLANT_SEEDS) {
            (void)fprintf(stderr, "%s was not found with %d seeds\n", plant_names[plant],
                          PLANT_SEEDS);
            failed++;
            continue;
        }
        (void)printf("%s: found with seed %llu\n", plant_names[plant], (unsigned long long)seed);
        ++*passed;
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
    } else {
        uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
        unsigned long runs = argc > 2 ? strtoul(argv[2], NULL, 10) : 500;
        if (seed == 0)
            seed = rng_seed() % 1000000000;
        failed = run_seeds(seed, runs, &passed);
    }
    (void)printf("%lu passed, %u failed\n", passed, failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
