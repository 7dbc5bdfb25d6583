/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/loop.h"
#include "base/pool.h"
#include "base/queue.h"
#include "tests/support/test.h"

static struct loop *started(void)
{
    struct error err = { 0 };
    struct loop *loop = loop_new(1000, &err);
    assert_non_null(loop);
    return loop;
}

struct order {
    struct loop *loop;
    char text[32];
};

struct step {
    struct order *order;
    char letter;
    bool is_last;
};

static void note(void *context)
{
    const struct step *step = context;
    size_t length = strlen(step->order->text);
    step->order->text[length] = step->letter;
    if (step->is_last)
        loop_stop(step->order->loop);
}

static void loop_runs_timers_in_order_of_time(void **state)
{
    (void)state;
    struct order order = { .loop = started() };
    struct step steps[] = { { &order, 'a', false }, { &order, 'b', false }, { &order, 'c', true } };
    struct loop_timer timers[3] = { 0 };
    for (size_t i = 3; i-- > 0;) {
        timers[i].fn = note;
        timers[i].context = &steps[i];
        loop_timer_set(order.loop, &timers[i], loop_now(order.loop) + (usec_t)(i + 1) * USEC_MSEC);
    }
    loop_run(order.loop);
    assert_string_equal(order.text, "abc");
    loop_free(order.loop);
}

static void loop_ends_after_what_was_posted_before(void **state)
{
    (void)state;
    struct order order = { .loop = started() };
    struct step steps[] = { { &order, 'a', true }, { &order, 'b', false } };
    assert_true(loop_post(order.loop, note, &steps[0]));
    assert_true(loop_post(order.loop, note, &steps[1]));
    loop_run(order.loop);
    assert_string_equal(order.text, "ab");
    assert_false(loop_post(order.loop, note, &steps[1]));
    loop_free(order.loop);
}

static void loop_bounds_what_is_posted(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct order order = { .loop = loop_new(2, &err) };
    struct step step = { &order, 'a', false };
    assert_true(loop_post(order.loop, note, &step));
    assert_true(loop_post(order.loop, note, &step));
    assert_false(loop_post(order.loop, note, &step));
    loop_turn(order.loop, USEC_NEVER);
    assert_true(loop_post(order.loop, note, &step));
    loop_free(order.loop);
}

struct pair {
    struct loop *loop;
    int pipes[2][2];
    struct loop_watch *watches[2];
    int calls;
};

/* The first of the two that is called ends both. */
static void end_both(void *context, uint32_t events)
{
    struct pair *pair = context;
    assert_true((events & EPOLLIN) != 0);
    pair->calls++;
    loop_unwatch(pair->loop, pair->watches[0]);
    loop_unwatch(pair->loop, pair->watches[1]);
    loop_stop(pair->loop);
}

static void loop_does_not_call_a_watch_that_ended_in_the_same_round(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct pair pair = { .loop = started() };
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pipe2(pair.pipes[i], O_CLOEXEC), 0);
        pair.watches[i] = loop_watch(pair.loop, pair.pipes[i][0], EPOLLIN, end_both, &pair, &err);
        assert_non_null(pair.watches[i]);
        assert_int_equal(write(pair.pipes[i][1], "x", 1), 1);
    }
    loop_run(pair.loop);
    assert_int_equal(pair.calls, 1);
    for (size_t i = 0; i < 2; i++) {
        (void)close(pair.pipes[i][0]);
        (void)close(pair.pipes[i][1]);
    }
    loop_free(pair.loop);
}

static void count_event(void *context, uint32_t events)
{
    (void)events;
    ++*(int *)context;
}

static void loop_pauses_a_watch(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct loop *loop = started();
    int ends[2];
    int calls = 0;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    (void)close(ends[1]); // a hang-up as well
    struct loop_watch *watch = loop_watch(loop, ends[0], EPOLLIN, count_event, &calls, &err);
    loop_turn(loop, 0);
    assert_int_equal(calls, 1);
    loop_rewatch(loop, watch, 0);
    loop_turn(loop, 0);
    assert_int_equal(calls, 1);
    loop_rewatch(loop, watch, EPOLLIN);
    loop_turn(loop, 0);
    assert_int_equal(calls, 2);
    loop_unwatch(loop, watch);
    (void)close(ends[0]);
    loop_free(loop);
}

static void loop_refuses_what_cannot_be_watched(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct loop *loop = started();
    assert_null(loop_watch(loop, -1, EPOLLIN, count_event, NULL, &err));
    assert_int_equal(err.code, ERR_INTERNAL);
    loop_free(loop);
}

enum { POSTERS = 4, POSTS = 20000 };

struct poster {
    struct loop *loop;
    int ran; /* by the loop's thread alone */
};

static void count_post(void *context)
{
    struct poster *poster = context;
    assert_true(loop_is_here(poster->loop));
    if (++poster->ran == POSTERS * POSTS)
        loop_stop(poster->loop);
}

static void *post_many(void *context)
{
    struct poster *poster = context;
    for (int i = 0; i < POSTS;) {
        if (loop_post(poster->loop, count_post, poster))
            i++;
        else
            (void)sched_yield();
    }
    return NULL;
}

static void loop_takes_posts_from_many_threads(void **state)
{
    (void)state;
    struct poster poster = { .loop = started() };
    pthread_t threads[POSTERS];
    for (size_t i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &poster), 0);
    loop_run(poster.loop);
    for (size_t i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(poster.ran, POSTERS * POSTS);
    loop_free(poster.loop);
}

static const struct CMUnitTest loop_tests[] = {
    cmocka_unit_test(loop_runs_timers_in_order_of_time),
    cmocka_unit_test(loop_ends_after_what_was_posted_before),
    cmocka_unit_test(loop_bounds_what_is_posted),
    cmocka_unit_test(loop_does_not_call_a_watch_that_ended_in_the_same_round),
    cmocka_unit_test(loop_pauses_a_watch),
    cmocka_unit_test(loop_refuses_what_cannot_be_watched),
    cmocka_unit_test(loop_takes_posts_from_many_threads),
};
TEST_GROUP(loop, loop_tests)

/* ---- pool ---- */

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int entered;
    bool is_open;
    atomic_int ran;
};

static void pass_gate(void *context)
{
    struct gate *gate = context;
    (void)pthread_mutex_lock(&gate->lock);
    gate->entered++;
    (void)pthread_cond_broadcast(&gate->changed);
    while (!gate->is_open)
        (void)pthread_cond_wait(&gate->changed, &gate->lock);
    (void)pthread_mutex_unlock(&gate->lock);
    gate->ran++;
}

static void wait_entered(struct gate *gate, int count)
{
    (void)pthread_mutex_lock(&gate->lock);
    while (gate->entered < count)
        (void)pthread_cond_wait(&gate->changed, &gate->lock);
    (void)pthread_mutex_unlock(&gate->lock);
}

static void open_gate(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->is_open = true;
    (void)pthread_cond_broadcast(&gate->changed);
    (void)pthread_mutex_unlock(&gate->lock);
}

static void pool_refuses_when_its_queue_is_full_and_runs_the_rest(void **state)
{
    (void)state;
    struct gate gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    struct pool *pool = pool_new("test", 2, 3);
    assert_int_equal(pool_counts(pool).threads, 0);
    for (int i = 0; i < 2; i++)
        assert_true(pool_submit(pool, pass_gate, &gate));
    wait_entered(&gate, 2);
    for (int i = 0; i < 3; i++)
        assert_true(pool_submit(pool, pass_gate, &gate));
    assert_false(pool_submit(pool, pass_gate, &gate));
    struct pool_counts counts = pool_counts(pool);
    assert_int_equal(counts.threads, 2);
    assert_int_equal(counts.busy, 2);
    assert_int_equal(counts.waiting, 3);
    open_gate(&gate);
    pool_free(pool);
    assert_int_equal(gate.ran, 5);
}

static const struct CMUnitTest pool_tests[] = {
    cmocka_unit_test(pool_refuses_when_its_queue_is_full_and_runs_the_rest),
};
TEST_GROUP(pool, pool_tests)

/* ---- queue ---- */

enum { PUSHERS = 4, PUSHES = 50000 };

struct pusher {
    struct queue *queue;
    uintptr_t first;
};

static void *push_many(void *context)
{
    const struct pusher *pusher = context;
    for (uintptr_t i = 0; i < PUSHES;) {
        // Any pointer will do: it is not followed.
        if (queue_push(pusher->queue, (void *)(pusher->first + i)))
            i++;
        else
            (void)sched_yield();
    }
    return NULL;
}

/* Starts the pushers, calls `take` until everything came, checks the order of each. */
static void push_and_take(struct queue *queue,
                          size_t (*take)(struct queue *queue, void **items, size_t max))
{
    struct pusher pushers[PUSHERS];
    pthread_t threads[PUSHERS];
    uintptr_t expected[PUSHERS];
    for (size_t i = 0; i < PUSHERS; i++) {
        pushers[i] = (struct pusher){ .queue = queue, .first = i * PUSHES + 1 };
        expected[i] = pushers[i].first;
        assert_int_equal(pthread_create(&threads[i], NULL, push_many, &pushers[i]), 0);
    }
    void *items[100];
    for (size_t total = 0; total < PUSHERS * PUSHES;) {
        size_t count = take(queue, items, COUNT_OF(items));
        for (size_t i = 0; i < count; i++) {
            uintptr_t value = (uintptr_t)items[i];
            assert_int_equal(value, expected[(value - 1) / PUSHES]);
            expected[(value - 1) / PUSHES]++;
        }
        total += count;
    }
    for (size_t i = 0; i < PUSHERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(queue_count(queue), 0);
}

static size_t take_waiting(struct queue *queue, void **items, size_t max)
{
    return queue_wait(queue, items, max, USEC_NEVER);
}

static void queue_keeps_the_order_of_each_thread(void **state)
{
    (void)state;
    struct queue *queue = queue_new(64);
    push_and_take(queue, take_waiting);
    queue_free(queue);
}

static size_t take_polling(struct queue *queue, void **items, size_t max)
{
    size_t count = queue_pop(queue, items, max);
    if (count > 0)
        return count;
    struct epoll_event event = { .events = EPOLLIN };
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, queue_fd(queue), &event), 0);
    assert_int_equal(epoll_wait(epoll, &event, 1, -1), 1);
    (void)close(epoll);
    return 0;
}

static void queue_wakes_a_loop_through_its_descriptor(void **state)
{
    (void)state;
    struct queue *queue = queue_new(64);
    assert_true(queue_fd(queue) >= 0);
    push_and_take(queue, take_polling);
    queue_free(queue);
}

static void queue_refuses_when_full_or_closed(void **state)
{
    (void)state;
    struct queue *queue = queue_new(4);
    void *items[8];
    int item = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++)
            assert_true(queue_push(queue, &item));
        assert_false(queue_push(queue, &item));
        assert_int_equal(queue_count(queue), 4);
        assert_int_equal(queue_pop(queue, items, 8), 4);
    }
    assert_true(queue_push(queue, &item));
    queue_close(queue);
    assert_true(queue_is_closed(queue));
    assert_false(queue_push(queue, &item));
    assert_int_equal(queue_wait(queue, items, 8, USEC_NEVER), 1);
    assert_int_equal(queue_wait(queue, items, 8, USEC_NEVER), 0);
    queue_free(queue);
}

static void queue_wait_ends_at_its_deadline_and_when_woken(void **state)
{
    (void)state;
    struct queue *queue = queue_new(4);
    void *items[1];
    usec_t deadline = clock_monotonic() + 2 * USEC_MSEC;
    assert_int_equal(queue_wait(queue, items, 1, deadline), 0);
    assert_true(clock_monotonic() >= deadline);
    queue_wake(queue);
    assert_int_equal(queue_wait(queue, items, 1, USEC_NEVER), 0);
    queue_free(queue);
}

static const struct CMUnitTest queue_tests[] = {
    cmocka_unit_test(queue_keeps_the_order_of_each_thread),
    cmocka_unit_test(queue_wakes_a_loop_through_its_descriptor),
    cmocka_unit_test(queue_refuses_when_full_or_closed),
    cmocka_unit_test(queue_wait_ends_at_its_deadline_and_when_woken),
};
TEST_GROUP(queue, queue_tests)
