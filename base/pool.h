/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worker threads over a bounded queue, for calls that block.
 *
 * Threads start when there is work for them and end after a minute without any.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>

struct pool;

typedef void pool_fn(void *context);

struct pool_counts {
    size_t threads; /* running or idle */
    size_t busy;    /* inside a call */
    size_t waiting; /* calls in the queue */
};

/* name: at most 11 bytes are shown in thread lists. queue_max: calls waiting for a thread. */
struct pool *pool_new(const char *name, size_t threads_max, size_t queue_max);

/* Takes no more calls, runs those in the queue, waits for all. NULL is fine. */
void pool_free(struct pool *pool);

/* False when the queue is full or the pool is being freed: the caller answers 503 or tries later.
 */
bool pool_submit(struct pool *pool, pool_fn *fn, void *context);

struct pool_counts pool_counts(struct pool *pool);

#endif
