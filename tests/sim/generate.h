/* SPDX-License-Identifier: Apache-2.0 */
/* Random flows from the grammar of the flow language. */
#ifndef TESTS_SIM_GENERATE_H
#define TESTS_SIM_GENERATE_H

struct buf;
struct rng;

/* Everything but id and namespace; types by their last part, as tests/support/engine_bed.h. */
void generate_flow(struct rng *rng, struct buf *out);

#endif
