/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded queue of pointers from any number of threads to one consumer.
 *
 * Pushing never blocks: a full queue says so, and the caller answers 503 or waits by its own rule.
 * The consumer takes batches, and waits either in queue_wait() or on a descriptor in its loop.
 */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

struct queue;

/* capacity is rounded up to a power of two. Uses 16 bytes per place. */
struct queue *queue_new(size_t capacity);

/* What is still inside is forgotten; nobody may use the queue any more. */
void queue_free(struct queue *queue);

/*
 * Adds an item (not NULL) and wakes the consumer if it waits. Any thread.
 *
 * Returns  false when the queue is full or closed; the item stays the caller's.
 */
bool queue_push(struct queue *queue, void *item);

/* Refuses further pushes and wakes the consumer. Any thread. */
void queue_close(struct queue *queue);
bool queue_is_closed(const struct queue *queue);

/* Takes up to `max` items in order, without waiting. Consumer only. Returns how many. */
size_t queue_pop(struct queue *queue, void **items, size_t max);

/*
 * As queue_pop(), waiting until there is something, the queue is closed, queue_wake() was called,
 * or the monotonic clock reaches `deadline` (USEC_NEVER: no limit). 0 then. Consumer only.
 */
size_t queue_wait(struct queue *queue, void **items, size_t max, usec_t deadline);

/* Ends a queue_wait() that is under way, or the next one. Any thread. */
void queue_wake(struct queue *queue);

/*
 * eventfd that becomes readable when there is something to take, for consumers with a loop; owned
 * by the queue. After it fired: queue_pop() until it returns 0, which also makes it unreadable.
 * Call before the first push; from then on queue_wait() must not be used. -1 when descriptors ran
 * out.
 */
int queue_fd(struct queue *queue);

/* Items inside, as an estimate; for metrics. Any thread. */
size_t queue_count(const struct queue *queue);

#endif
