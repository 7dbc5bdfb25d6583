/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the limit probes share: rounds, and one JSON line per figure.
 *
 * A probe is one program of bare system calls or bare libraries: what the machine can do at best.
 * A figure whose name ends in "-weir" goes through base/ instead, so that the two can be compared.
 *
 *     PROBE [ROUNDS]     default 5
 */
#ifndef BENCH_PROBES_PROBE_H
#define BENCH_PROBES_PROBE_H

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/clock.h"

#define PROBE_ROUNDS_MAX 100

/* One round; returns the figure. */
typedef double probe_fn(void *context);

static inline int probe_rounds(int argc, char **argv)
{
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 5;
    return rounds < 1 ? 1 : rounds > PROBE_ROUNDS_MAX ? PROBE_ROUNDS_MAX : (int)rounds;
}

static inline int probe_compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static inline void probe_print(
    const char *name, const char *suffix, const char *unit, int rounds, double *figures)
{
    double load[1] = { 0 };
    (void)getloadavg(load, 1);
    qsort(figures, (size_t)rounds, sizeof(figures[0]), probe_compare);
    (void)printf("{\"name\":\"%s%s\",\"unit\":\"%s\",\"min\":%.1f,\"median\":%.1f,\"max\":%.1f,"
                 "\"n\":%d,\"load\":%.2f}\n",
                 name, suffix, unit, figures[0], figures[rounds / 2], figures[rounds - 1], rounds,
                 load[0]);
    (void)fflush(stdout);
}

/*
 * Rounds of the bare thing and of ours by turns, after one of each to warm up, so that both see the
 * same machine. Prints a line for each; either may be NULL.
 */
static inline void probe_run(const char *name,
                             const char *unit,
                             int rounds,
                             probe_fn *bare,
                             void *bare_context,
                             probe_fn *ours,
                             void *ours_context)
{
    double bare_figures[PROBE_ROUNDS_MAX];
    double our_figures[PROBE_ROUNDS_MAX];
    for (int i = -1; i < rounds; i++) {
        double figure = bare == NULL ? 0 : bare(bare_context);
        if (i >= 0)
            bare_figures[i] = figure;
        figure = ours == NULL ? 0 : ours(ours_context);
        if (i >= 0)
            our_figures[i] = figure;
    }
    if (bare != NULL)
        probe_print(name, "", unit, rounds, bare_figures);
    if (ours != NULL)
        probe_print(name, "-weir", unit, rounds, our_figures);
}

/* Things per second. */
static inline double probe_rate(double count, usec_t started)
{
    return count * (double)USEC_SEC / (double)(clock_monotonic() - started);
}

#endif
