/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of cells with sequence numbers (Vyukov's bounded queue, here with one consumer). A cell
 * whose sequence equals a position may be filled for it; position + 1 says that it was filled.
 *
 * Sleeping: the consumer announces that it will (sleeping = 1), looks once more, then waits. A
 * producer publishes, then looks at `sleeping`. All four are sequentially consistent, so one of the
 * two sees the other.
 */
#include "base/queue.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

#define CAPACITY_MAX ((size_t)1 << 26)

/* The bit of `tail` that refuses producers. */
#define CLOSED ((uint64_t)1 << 63)

/* Producers and the consumer write to lines of their own. */
#define CACHE_LINE 64

struct cell {
    _Atomic uint64_t sequence;
    void *item;
};

struct queue {
    struct cell *cells;
    uint64_t mask;
    int fd; /* -1: futex */
    _Alignas(CACHE_LINE) _Atomic uint64_t tail;
    _Alignas(CACHE_LINE) _Atomic uint64_t head; /* written by the consumer alone */
    _Alignas(CACHE_LINE) _Atomic uint32_t sleeping;
    _Atomic bool is_woken;
};

struct queue *queue_new(size_t capacity)
{
    CHECK(capacity <= CAPACITY_MAX);
    size_t places = 2;
    while (places < capacity)
        places *= 2;
    struct queue *queue = aligned_alloc(CACHE_LINE, sizeof(*queue));
    CHECK(queue != NULL);
    *queue = (struct queue){
        .cells = check_calloc(places, sizeof(struct cell)),
        .mask = places - 1,
        .fd = -1,
    };
    for (size_t i = 0; i < places; i++)
        atomic_init(&queue->cells[i].sequence, i);
    return queue;
}

void queue_free(struct queue *queue)
{
    if (queue == NULL)
        return;
    if (queue->fd >= 0)
        (void)close(queue->fd);
    free(queue->cells);
    free(queue);
}

int queue_fd(struct queue *queue)
{
    if (queue->fd < 0) {
        queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        atomic_store(&queue->sleeping, queue->fd < 0 ? 0 : 1);
    }
    return queue->fd;
}

static void wake(struct queue *queue)
{
    if (atomic_load(&queue->sleeping) == 0 || atomic_exchange(&queue->sleeping, 0) == 0)
        return;
    if (queue->fd >= 0) {
        uint64_t one = 1;
        ssize_t wrote = write(queue->fd, &one, sizeof(one));
        CHECK(wrote == sizeof(one));
    } else {
        (void)syscall(SYS_futex, &queue->sleeping, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    }
}

bool queue_push(struct queue *queue, void *item)
{
    CHECK(item != NULL);
    uint64_t at = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    struct cell *cell;
    for (;;) {
        if ((at & CLOSED) != 0)
            return false;
        cell = &queue->cells[at & queue->mask];
        uint64_t sequence = atomic_load_explicit(&cell->sequence, memory_order_acquire);
        if (sequence == at) {
            if (atomic_compare_exchange_weak(&queue->tail, &at, at + 1))
                break;
        } else if (sequence < at) {
            return false; // the consumer has not emptied it since the last round: full
        } else {
            at = atomic_load_explicit(&queue->tail, memory_order_relaxed);
        }
    }
    cell->item = item;
    atomic_store(&cell->sequence, at + 1);
    wake(queue);
    return true;
}

void queue_close(struct queue *queue)
{
    (void)atomic_fetch_or(&queue->tail, CLOSED);
    queue_wake(queue);
}

bool queue_is_closed(const struct queue *queue)
{
    return (atomic_load(&queue->tail) & CLOSED) != 0;
}

static size_t take(struct queue *queue, void **items, size_t max)
{
    uint64_t at = atomic_load_explicit(&queue->head, memory_order_relaxed);
    size_t count = 0;
    while (count < max) {
        struct cell *cell = &queue->cells[at & queue->mask];
        if (atomic_load(&cell->sequence) != at + 1)
            break;
        items[count++] = cell->item;
        atomic_store_explicit(&cell->sequence, at + queue->mask + 1, memory_order_release);
        at++;
    }
    if (count > 0)
        atomic_store_explicit(&queue->head, at, memory_order_release);
    return count;
}

size_t queue_pop(struct queue *queue, void **items, size_t max)
{
    size_t count = take(queue, items, max);
    if (count > 0 || queue->fd < 0)
        return count;
    uint64_t drained;
    (void)!read(queue->fd, &drained, sizeof(drained)); // fails when nothing was written: fine
    atomic_store(&queue->sleeping, 1);
    return take(queue, items, max);
}

/* Whether the last item has been taken and no more can come. */
static bool is_over(const struct queue *queue)
{
    uint64_t tail = atomic_load(&queue->tail);
    return (tail & CLOSED) != 0 && (tail & ~CLOSED) == atomic_load(&queue->head);
}

size_t queue_wait(struct queue *queue, void **items, size_t max, usec_t deadline)
{
    CHECK(queue->fd < 0);
    for (;;) {
        size_t count = take(queue, items, max);
        if (count > 0 || is_over(queue) || atomic_exchange(&queue->is_woken, false))
            return count;
        atomic_store(&queue->sleeping, 1);
        count = take(queue, items, max);
        if (count > 0 || is_over(queue) || atomic_load(&queue->is_woken) ||
            (deadline != USEC_NEVER && clock_monotonic() >= deadline)) {
            atomic_store(&queue->sleeping, 0);
            (void)atomic_exchange(&queue->is_woken, false);
            return count;
        }
        struct timespec until = {
            .tv_sec = (time_t)(deadline / USEC_SEC),
            .tv_nsec = (long)(deadline % USEC_SEC) * 1000,
        };
        // The bitset form takes an absolute time of the monotonic clock.
        (void)syscall(SYS_futex, &queue->sleeping, FUTEX_WAIT_BITSET_PRIVATE, 1,
                      deadline == USEC_NEVER ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);
        atomic_store(&queue->sleeping, 0);
    }
}

void queue_wake(struct queue *queue)
{
    atomic_store(&queue->is_woken, true);
    wake(queue);
}

size_t queue_count(const struct queue *queue)
{
    uint64_t head = atomic_load(&queue->head);
    uint64_t tail = atomic_load(&queue->tail) & ~CLOSED;
    return tail > head ? (size_t)(tail - head) : 0;
}
