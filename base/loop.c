/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/list.h"

/* Events taken per round; more wait for the next one. */
#define EVENTS_MAX 128

struct post {
    loop_fn *fn;
    void *context;
};

struct loop_watch {
    struct list link; /* in loop->watches, or loop->ended until the end of the round */
    int fd;
    uint32_t events; /* 0: not in the epoll set */
    loop_fd_fn *fn;  /* NULL: ended */
    void *context;
};

struct loop {
    int epoll;
    int wake; /* eventfd */
    struct wheel *wheel;
    usec_t now;
    struct list watches;
    struct list ended;

    /* loop.lock: posts, posts_first, posts_count, is_stopped, is_waking. Taken last. */
    pthread_mutex_t lock;
    struct post *posts; /* ring of posts_max */
    size_t posts_max;
    size_t posts_first;
    size_t posts_count;
    bool is_stopped;
    bool is_waking; /* the eventfd was written and not read since */
};

static _Thread_local const struct loop *current;

bool loop_is_here(const struct loop *loop)
{
    return current == loop;
}

struct loop *loop_new(size_t posts_max, struct error *err)
{
    struct loop *loop = check_calloc(1, sizeof(*loop));
    CHECK(pthread_mutex_init(&loop->lock, NULL) == 0);
    list_init(&loop->watches);
    list_init(&loop->ended);
    loop->posts_max = posts_max;
    loop->posts = check_calloc(posts_max, sizeof(struct post));
    loop->now = clock_monotonic();
    loop->wheel = wheel_new(loop->now);
    loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN, .data = { .ptr = NULL } };
    if (loop->wake < 0 || loop->epoll < 0 ||
        epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &event) != 0) {
        error_set(err, ERR_LIMIT, "start an event loop: %s", strerror(errno));
        loop_free(loop);
        return NULL;
    }
    return loop;
}

static void free_all(struct list *head)
{
    struct list *link;
    while ((link = list_pop(head)) != NULL)
        free(LIST_OWNER(link, struct loop_watch, link));
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    free_all(&loop->watches);
    free_all(&loop->ended);
    if (loop->wake >= 0)
        (void)close(loop->wake);
    if (loop->epoll >= 0)
        (void)close(loop->epoll);
    (void)pthread_mutex_destroy(&loop->lock);
    wheel_free(loop->wheel);
    free(loop->posts);
    free(loop);
}

usec_t loop_now(const struct loop *loop)
{
    return loop->now;
}

struct loop_watch *loop_watch(
    struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn, void *context, struct error *err)
{
    struct loop_watch *watch = check_calloc(1, sizeof(*watch));
    watch->fd = fd;
    watch->fn = fn;
    watch->context = context;
    watch->events = events;
    struct epoll_event event = { .events = events, .data = { .ptr = watch } };
    if (events != 0 && epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        error_set(err, ERR_INTERNAL, "watch descriptor %d: %s", fd, strerror(errno));
        free(watch);
        return NULL;
    }
    list_push(&loop->watches, &watch->link);
    return watch;
}

void loop_rewatch(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    if (events == watch->events)
        return;
    int action = watch->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    struct epoll_event event = { .events = events, .data = { .ptr = watch } };
    // The descriptor was watched before and is still open by contract.
    CHECK(epoll_ctl(loop->epoll, action, watch->fd, &event) == 0);
    watch->events = events;
}

void loop_unwatch(struct loop *loop, struct loop_watch *watch)
{
    if (watch == NULL)
        return;
    if (watch->events != 0)
        (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL); // fails when it was closed
    watch->fn = NULL;
    list_remove(&watch->link);
    list_push(&loop->ended, &watch->link);
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, usec_t due)
{
    wheel_set(loop->wheel, &timer->timer, due);
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
    wheel_cancel(loop->wheel, &timer->timer);
}

/* With loop->lock held. */
static void wake_locked(struct loop *loop)
{
    if (loop->is_waking)
        return;
    loop->is_waking = true;
    uint64_t one = 1;
    ssize_t wrote = write(loop->wake, &one, sizeof(one));
    CHECK(wrote == sizeof(one));
}

bool loop_post(struct loop *loop, loop_fn *fn, void *context)
{
    (void)pthread_mutex_lock(&loop->lock);
    bool fits = !loop->is_stopped && loop->posts_count < loop->posts_max;
    if (fits) {
        size_t at = (loop->posts_first + loop->posts_count++) % loop->posts_max;
        loop->posts[at] = (struct post){ .fn = fn, .context = context };
        wake_locked(loop);
    }
    (void)pthread_mutex_unlock(&loop->lock);
    return fits;
}

void loop_stop(struct loop *loop)
{
    (void)pthread_mutex_lock(&loop->lock);
    loop->is_stopped = true;
    wake_locked(loop);
    (void)pthread_mutex_unlock(&loop->lock);
}

/* Runs what was posted before this call; calls posted meanwhile wait for the next round. */
static void run_posts(struct loop *loop)
{
    (void)pthread_mutex_lock(&loop->lock);
    if (loop->is_waking) {
        uint64_t drained;
        (void)!read(loop->wake, &drained, sizeof(drained)); // was written: cannot fail
        loop->is_waking = false;
    }
    for (size_t left = loop->posts_count; left > 0; left--) {
        struct post post = loop->posts[loop->posts_first];
        loop->posts_first = (loop->posts_first + 1) % loop->posts_max;
        loop->posts_count--;
        (void)pthread_mutex_unlock(&loop->lock);
        post.fn(post.context);
        (void)pthread_mutex_lock(&loop->lock);
    }
    // What arrived while the calls ran must not wait for another event.
    if (loop->posts_count > 0)
        wake_locked(loop);
    (void)pthread_mutex_unlock(&loop->lock);
}

static int wait_for_events(struct loop *loop, usec_t deadline, struct epoll_event *events)
{
    usec_t next = wheel_next(loop->wheel);
    if (next < deadline)
        deadline = next;
    struct timespec span = { 0 };
    if (deadline != USEC_NEVER) {
        usec_t now = clock_monotonic();
        usec_t left = deadline > now ? deadline - now : 0;
        span.tv_sec = (time_t)(left / USEC_SEC);
        span.tv_nsec = (long)(left % USEC_SEC) * 1000;
    }
    int count =
        epoll_pwait2(loop->epoll, events, EVENTS_MAX, deadline == USEC_NEVER ? NULL : &span, NULL);
    if (count < 0 && errno == ENOSYS) {
        // A kernel before 5.11: milliseconds, rounded up so as not to spin before the time.
        int millis = deadline == USEC_NEVER
                         ? -1
                         : (int)((span.tv_sec > 86400 ? 86400 : span.tv_sec) * 1000 +
                                 (span.tv_nsec + 999999) / 1000000);
        count = epoll_wait(loop->epoll, events, EVENTS_MAX, millis);
    }
    CHECK(count >= 0 || errno == EINTR);
    return count;
}

void loop_turn(struct loop *loop, usec_t deadline)
{
    const struct loop *outer = current;
    CHECK(outer != loop); // events of the round under way may name watches that this one frees
    current = loop;
    struct epoll_event events[EVENTS_MAX];
    int count = wait_for_events(loop, deadline, events);
    loop->now = clock_monotonic();
    for (int i = 0; i < count; i++) {
        struct loop_watch *watch = events[i].data.ptr;
        if (watch == NULL)
            run_posts(loop);
        else if (watch->fn != NULL && watch->events != 0)
            watch->fn(watch->context, events[i].events);
    }

    // Not more than were set: a timer that sets itself again for now waits for the next round.
    for (size_t left = wheel_count(loop->wheel); left > 0; left--) {
        struct wheel_timer *due = wheel_turn(loop->wheel, loop->now);
        if (due == NULL)
            break;
        struct loop_timer *timer = LIST_OWNER(due, struct loop_timer, timer);
        timer->fn(timer->context);
    }
    free_all(&loop->ended);
    current = outer;
}

/* Whether the loop was stopped and everything posted before has run. */
static bool is_over(struct loop *loop)
{
    (void)pthread_mutex_lock(&loop->lock);
    bool over = loop->is_stopped && loop->posts_count == 0;
    (void)pthread_mutex_unlock(&loop->lock);
    return over;
}

void loop_run(struct loop *loop)
{
    while (!is_over(loop))
        loop_turn(loop, USEC_NEVER);
}
