/* SPDX-License-Identifier: Apache-2.0 */
/* Random flows from the grammar of the flow language, for the simulation of the driver. */
#ifndef TESTS_SIM_DRIVER_FLOWS_H
#define TESTS_SIM_DRIVER_FLOWS_H

struct buf;
struct rng;

/*
 * A flow with id `flow` and everything but its namespace; types by their last part, as in
 * tests/support/engine_bed.h. Subflows call company.team/child.
 */
void flows_write(struct rng *rng, struct buf *out);

/* The flow `child`. */
void flows_write_child(struct rng *rng, struct buf *out);

#endif
