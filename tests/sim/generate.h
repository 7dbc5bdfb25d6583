/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random flows from the grammar of the flow language.
 *
 * To add a construct: a function that writes its properties and a row in one of the tables of
 * generate.c. Its rules go into model.c (what may happen next) and judge.c (how it may have ended).
 */
#ifndef TESTS_SIM_GENERATE_H
#define TESTS_SIM_GENERATE_H

#include <stdbool.h>

struct buf;
struct rng;

struct grammar {
    const char *namespace; /* of the flow `child` that others call */
    bool has_slow;         /* waits of minutes and hours: who drives it parks executions */
    bool has_triggers;
};

/*
 * Everything but id and namespace; types by their last part, as tests/support/engine_bed.h. The
 * tasks are t0, t1 … in the order of the text.
 */
void generate_flow(struct rng *rng, const struct grammar *grammar, struct buf *out);

/* The flow `child`: short, ends by itself, calls nobody. */
void generate_child(struct rng *rng, const struct grammar *grammar, struct buf *out);

#endif
