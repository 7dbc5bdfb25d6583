/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pseudo-random numbers from a seed (splitmix64): reproducible, not for secrets.
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state;
};

uint64_t rng_next(struct rng *rng);

/* Uniform in [0, bound); bound 0 gives 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);

/* Uniform in [0, 1). */
double rng_unit(struct rng *rng);

/* A seed from the operating system. */
uint64_t rng_seed(void);

#endif
