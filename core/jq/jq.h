/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jq language (version 1.6): programs over values.
 *
 * Our own, because libjq needs 20 ms to compile the smallest program, cannot be interrupted, and
 * ends the process when a program asks for too much memory; expressions run inside the engine's
 * step. See docs/decisions/0002-jq.md.
 *
 * Pure. Left out: input, inputs, env, $ENV, $__loc__, modules, dates beyond `now`, `?//`. Integers
 * stay integers as long as results are exact. An error raised by whoever uses a result is not
 * caught by the `try` that gave it, as in later versions.
 */
#ifndef CORE_JQ_JQ_H
#define CORE_JQ_JQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct arena;
struct error;
struct value;

#define JQ_PROGRAM_MAX ((size_t)64 * 1024)

/* What a run may cost. */
struct jq_budget {
    uint64_t steps;    /* in and out: how many are left */
    size_t memory_max; /* value of arena_bytes() that must not be passed */
    usec_t now;        /* for `now` */
};

/*
 * Runs a program on one input and collects its results.
 *
 * arena    owns the results, which may share parts with the input
 * input    JSON-like: times, durations and the like must have been converted, see jq_input()
 * Returns  a list, NULL with err filled
 * Errors   ERR_INVALID  the program is wrong (line, column), or it ended with an error
 *          ERR_LIMIT    the budget is used up, or it nests too deeply
 */
const struct value *jq_run(struct arena *arena,
                           const char *program,
                           size_t length,
                           const struct value *input,
                           struct jq_budget *budget,
                           struct error *err);

/*
 * A value as jq sees it: times as texts, durations as seconds, decimals as doubles, lazy maps
 * forced, null members of maps left out. Unchanged parts are shared.
 *
 * Returns  NULL with err filled; ERR_LIMIT when the budget is used up
 */
const struct value *jq_input(struct arena *arena,
                             const struct value *value,
                             struct jq_budget *budget,
                             struct error *err);

#endif
