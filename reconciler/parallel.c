/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/parallel.h"

#include <sched.h>
#include <stdatomic.h>

#include "base/check.h"
#include "base/pool.h"

/* Items taken at once: starting a thread costs about as much as reading one or two files. */
#define ITEMS_PER_TURN 16U

struct work {
    size_t items;
    parallel_fn *fn;
    void *context;
    atomic_size_t next;
    atomic_uint workers;
};

static void run(void *context)
{
    struct work *work = context;
    unsigned worker = atomic_fetch_add(&work->workers, 1);
    for (;;) {
        size_t from = atomic_fetch_add(&work->next, ITEMS_PER_TURN);
        if (from >= work->items)
            return;
        size_t until = from + ITEMS_PER_TURN;
        for (size_t i = from; i < until && i < work->items; i++)
            work->fn(work->context, i, worker);
    }
}

void parallel_each(size_t items, unsigned threads, parallel_fn *fn, void *context)
{
    struct work work = { .items = items, .fn = fn, .context = context };
    if (threads > PARALLEL_THREADS_MAX)
        threads = PARALLEL_THREADS_MAX;
    if (threads > items / ITEMS_PER_TURN)
        threads = (unsigned)(items / ITEMS_PER_TURN);
    if (threads > 1) {
        struct pool *pool = pool_new("reconcile", threads - 1, threads);
        for (unsigned i = 1; i < threads; i++)
            (void)pool_submit(pool, run, &work); // one that cannot start leaves more to the others
        run(&work);
        pool_free(pool);
    } else {
        run(&work);
    }
}

unsigned parallel_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    unsigned count = (unsigned)CPU_COUNT(&set);
    return count < 1 ? 1 : count > PARALLEL_THREADS_MAX ? PARALLEL_THREADS_MAX : count;
}
