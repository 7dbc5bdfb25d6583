/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"

/* A thread without work ends after so long; its stack is worth more than its start costs. */
#define IDLE_TIME USEC_MIN

struct job {
    pool_fn *fn;
    void *context;
};

enum slot_state {
    SLOT_FREE,
    SLOT_RUNNING,
    SLOT_ENDED, /* to be joined */
};

struct slot {
    struct pool *pool;
    enum slot_state state;
    pthread_t thread;
};

struct pool {
    /* pool.lock: everything below. Taken last; no job runs while it is held. */
    pthread_mutex_t lock;
    pthread_cond_t has_work; /* or the pool is being freed */
    char name[12];
    struct slot *slots;
    size_t threads_max;
    size_t threads;
    size_t idle;
    struct job *jobs; /* ring of jobs_max */
    size_t jobs_max;
    size_t jobs_first;
    size_t jobs_count;
    bool is_ending;
};

struct pool *pool_new(const char *name, size_t threads_max, size_t queue_max)
{
    CHECK(threads_max > 0);
    CHECK(queue_max > 0);
    struct pool *pool = check_calloc(1, sizeof(*pool));
    CHECK(pthread_mutex_init(&pool->lock, NULL) == 0);
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&pool->has_work, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    (void)snprintf(pool->name, sizeof(pool->name), "%s", name);
    pool->threads_max = threads_max;
    pool->slots = check_calloc(threads_max, sizeof(struct slot));
    pool->jobs_max = queue_max;
    pool->jobs = check_calloc(queue_max, sizeof(struct job));
    return pool;
}

/* Next job, with pool.lock held; false when this thread should end. */
static bool next_job(struct pool *pool, struct job *job)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(IDLE_TIME / USEC_SEC);
    int waited = 0;
    while (pool->jobs_count == 0) {
        if (pool->is_ending || waited == ETIMEDOUT)
            return false;
        pool->idle++;
        waited = pthread_cond_timedwait(&pool->has_work, &pool->lock, &until);
        pool->idle--;
    }
    *job = pool->jobs[pool->jobs_first];
    pool->jobs_first = (pool->jobs_first + 1) % pool->jobs_max;
    pool->jobs_count--;
    return true;
}

static void *work(void *context)
{
    struct slot *slot = context;
    struct pool *pool = slot->pool;
    struct job job;
    (void)pthread_mutex_lock(&pool->lock);
    while (next_job(pool, &job)) {
        (void)pthread_mutex_unlock(&pool->lock);
        job.fn(job.context);
        (void)pthread_mutex_lock(&pool->lock);
    }
    slot->state = SLOT_ENDED;
    pool->threads--;
    (void)pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* With pool.lock held. False when the system gives no more threads. */
static bool start_thread(struct pool *pool)
{
    struct slot *slot = pool->slots;
    while (slot->state == SLOT_RUNNING)
        slot++;
    if (slot->state == SLOT_ENDED)
        (void)pthread_join(slot->thread, NULL); // past its last use of the lock
    slot->pool = pool;
    slot->state = SLOT_FREE;

    // Signals are for the main thread.
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    int failure = pthread_create(&slot->thread, NULL, work, slot);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure != 0)
        return false;
    char name[16];
    (void)snprintf(name, sizeof(name), "%s/%zu", pool->name, (size_t)(slot - pool->slots) % 1000);
    (void)pthread_setname_np(slot->thread, name); // for people only
    slot->state = SLOT_RUNNING;
    pool->threads++;
    return true;
}

bool pool_submit(struct pool *pool, pool_fn *fn, void *context)
{
    (void)pthread_mutex_lock(&pool->lock);
    bool fits = !pool->is_ending && pool->jobs_count < pool->jobs_max;
    // Idle threads that were signalled but have not woken are still counted; one job more each.
    if (fits && pool->jobs_count >= pool->idle && pool->threads < pool->threads_max)
        fits = start_thread(pool) || pool->threads > 0;
    if (fits) {
        pool->jobs[(pool->jobs_first + pool->jobs_count++) % pool->jobs_max] =
            (struct job){ .fn = fn, .context = context };
        (void)pthread_cond_signal(&pool->has_work);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return fits;
}

void pool_free(struct pool *pool)
{
    if (pool == NULL)
        return;
    (void)pthread_mutex_lock(&pool->lock);
    pool->is_ending = true;
    (void)pthread_cond_broadcast(&pool->has_work);
    (void)pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->threads_max; i++) {
        // No thread starts any more, so a slot that is free stays so; others end by themselves.
        (void)pthread_mutex_lock(&pool->lock);
        bool was_started = pool->slots[i].state != SLOT_FREE;
        (void)pthread_mutex_unlock(&pool->lock);
        if (was_started)
            (void)pthread_join(pool->slots[i].thread, NULL);
    }
    (void)pthread_cond_destroy(&pool->has_work);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool->slots);
    free(pool->jobs);
    free(pool);
}

struct pool_counts pool_counts(struct pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    struct pool_counts counts = {
        .threads = pool->threads,
        .busy = pool->threads - pool->idle,
        .waiting = pool->jobs_count,
    };
    (void)pthread_mutex_unlock(&pool->lock);
    return counts;
}
