/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many child executions of one task run (ForEachItem, Loop): which state each is in, and how many
 * are in which. A byte per child in the row of the task run.
 */
#ifndef RUNTIME_ENGINE_ITERATIONS_H
#define RUNTIME_ENGINE_ITERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/engine/execution.h"

struct arena;
struct buf;
struct unpack;

#define ITERATIONS_MAX 1000000U

struct iterations {
    unsigned char *states; /* 0 not started, else 1 + state */
    size_t total;
    size_t started;
    size_t next; /* the first that has not been started */
    size_t open; /* started and not terminal */
    size_t in_state[STATE_COUNT];
    uint32_t seen; /* BIT(state): some iteration is or was in it */
};

struct iterations *iterations_new(struct arena *arena, size_t total);
/* STATE_COUNT: not started. */
enum state iterations_state(const struct iterations *iterations, size_t index);
/* false when nothing changed: the same state, an ended iteration, an index out of range. */
bool iterations_move(struct iterations *iterations, size_t index, enum state state);
/* An ended iteration begins again, as if it had been created. */
void iterations_reopen(struct iterations *iterations, size_t index);

/* NULL is fine. */
void iterations_pack(struct buf *out, const struct iterations *iterations);
struct iterations *iterations_unpack(struct unpack *in, struct arena *arena);
struct iterations *iterations_copy(struct arena *arena, const struct iterations *iterations);

#endif
