/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same work for many items, on several threads.
 */
#ifndef RECONCILER_PARALLEL_H
#define RECONCILER_PARALLEL_H

#include <stddef.h>

/* More threads than this read no faster. */
#define PARALLEL_THREADS_MAX 16U

/* worker: 0 … threads - 1, for what each thread has of its own. */
typedef void parallel_fn(void *context, size_t item, unsigned worker);

/*
 * Calls fn for each item, in any order, and returns when all are done. With one thread or few
 * items everything happens in the calling thread, as worker 0.
 */
void parallel_each(size_t items, unsigned threads, parallel_fn *fn, void *context);

/* Processors this process may use, at most PARALLEL_THREADS_MAX. */
unsigned parallel_processors(void);

#endif
