/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <time.h>

#include "base/clock.h"
#include "base/httpd_internal.h"

/* How often the clients of waiting requests are looked after. */
#define LOOK_INTERVAL USEC_SEC

void waiter_add(struct httpd *httpd, struct waiter *waiter)
{
    (void)pthread_mutex_lock(&httpd->lock);
    waiter->serial = ++httpd->serial;
    bool was_empty = list_is_empty(&httpd->waiters);
    list_push(&httpd->waiters, &waiter->link);
    if (was_empty)
        (void)pthread_cond_broadcast(&httpd->changed);
    (void)pthread_mutex_unlock(&httpd->lock);
}

void waiter_remove(struct httpd *httpd, struct waiter *waiter)
{
    (void)pthread_mutex_lock(&httpd->lock);
    while (httpd->notified == waiter && !pthread_equal(httpd->watcher, pthread_self()))
        (void)pthread_cond_wait(&httpd->changed, &httpd->lock);
    list_remove(&waiter->link);
    (void)pthread_mutex_unlock(&httpd->lock);
}

/* With the lock held: the client of this waiter has left. */
static void notify(struct httpd *httpd, struct waiter *waiter)
{
    waiter->is_gone = true;
    struct httpd_stream *stream = waiter->stream;
    httpd_gone_fn *gone = waiter->gone;
    void *context = waiter->gone_context;
    if (stream == NULL && gone == NULL)
        return;
    if (stream != NULL)
        httpd_stream_ref(stream);
    else
        httpd->notified = waiter;
    (void)pthread_mutex_unlock(&httpd->lock);
    if (stream != NULL) {
        stream_lose(stream);
        httpd_stream_unref(stream);
    } else {
        gone(context);
    }
    // The waiter itself may be gone by now: the call may have answered.
    (void)pthread_mutex_lock(&httpd->lock);
    httpd->notified = NULL;
    (void)pthread_cond_broadcast(&httpd->changed);
}

static struct waiter *find_waiter(struct httpd *httpd, uint64_t serial)
{
    struct list *at;
    LIST_EACH(at, &httpd->waiters) {
        struct waiter *waiter = LIST_OWNER(at, struct waiter, link);
        if (waiter->serial == serial)
            return waiter;
    }
    return NULL;
}

/* With the lock held, which is let go while the kernel is asked. */
static void look_after_all(struct httpd *httpd)
{
    VEC(struct pollfd) polls = { 0 };
    VEC(uint64_t) serials = { 0 };
    struct list *at;
    LIST_EACH(at, &httpd->waiters) {
        const struct waiter *waiter = LIST_OWNER(at, struct waiter, link);
        if (waiter->is_gone)
            continue;
        *VEC_PUSH(&polls) = (struct pollfd){ .fd = waiter->fd, .events = POLLRDHUP };
        *VEC_PUSH(&serials) = waiter->serial;
    }
    (void)pthread_mutex_unlock(&httpd->lock);
    int count = polls.count == 0 ? 0 : poll(polls.items, polls.count, 0);
    (void)pthread_mutex_lock(&httpd->lock);
    for (size_t i = 0; i < polls.count && count > 0; i++) {
        if (polls.items[i].revents == 0)
            continue;
        count--;
        // Still in the list: then its descriptor was not closed, and the kernel spoke of it.
        struct waiter *waiter = find_waiter(httpd, serials.items[i]);
        if (waiter != NULL)
            notify(httpd, waiter);
    }
    VEC_FREE(&polls);
    VEC_FREE(&serials);
}

void *watch_clients(void *context)
{
    struct httpd *httpd = context;
    (void)pthread_mutex_lock(&httpd->lock);
    while (!httpd->is_over) {
        if (list_is_empty(&httpd->waiters)) {
            (void)pthread_cond_wait(&httpd->changed, &httpd->lock);
            continue;
        }
        usec_t due = clock_monotonic() + LOOK_INTERVAL;
        struct timespec until = {
            .tv_sec = (time_t)(due / USEC_SEC),
            .tv_nsec = (long)(due % USEC_SEC) * 1000,
        };
        int waited = 0;
        while (!httpd->is_over && waited == 0)
            waited = pthread_cond_timedwait(&httpd->changed, &httpd->lock, &until);
        if (!httpd->is_over)
            look_after_all(httpd);
    }
    (void)pthread_mutex_unlock(&httpd->lock);
    return NULL;
}
