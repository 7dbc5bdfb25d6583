/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life of streams, and held requests.
 *
 * Locks, in this order: streams.lock, stream.lock. The latter is taken by the driver's and the
 * log's threads, so nothing that waits happens under it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/list.h"
#include "base/pool.h"
#include "core/value.h"
#include "runtime/api/readers.h"
#include "runtime/api/shapes.h"
#include "runtime/api/streams_internal.h"
#include "runtime/store/logstore.h"

/* Written but not yet sent; beyond, a client is too slow. */
#define STREAM_QUEUE_MAX ((size_t)8 * 1024 * 1024)

/* How long an event that must arrive may wait for room. */
#define EVENT_WAIT (10 * USEC_SEC)

/* A stream without events, and a request that waits for an execution. */
#define QUIET_MAX USEC_HOUR
#define HOLD_MAX  USEC_HOUR

/* Clients that left are noticed within this span. */
#define TICK USEC_SEC

/* A request that waits for its execution. */
struct hold {
    struct list link; /* streams.held, under streams.lock */
    struct streams *streams;
    struct arena *arena;
    struct driver_request request;
    struct call *call; /* NULL: was answered */
    usec_t deadline;
};

struct streams {
    struct api *api;
    size_t streams_max;
    usec_t heartbeat;
    pthread_mutex_t lock; /* everything below */
    pthread_cond_t wake;
    pthread_t ticker;
    struct list open;
    struct list held;
    size_t count;
    bool is_ended;
    bool is_stopping;
    bool is_over; /* only the holds that the driver still knows keep it */
    bool is_idle; /* the ticker has nothing to look after and waits to be woken */
};

/* Under streams.lock: there is something to look after. A ticker that ticks needs no call. */
static void wake_ticker(struct streams *streams)
{
    if (streams->is_idle)
        (void)pthread_cond_signal(&streams->wake);
    streams->is_idle = false;
}

/* ---- events ---- */

static const struct http_field event_headers[] = {
    { "Cache-Control", "no-cache" },
    { "X-Accel-Buffering", "no" },
};

void stream_event(struct buf *out, const char *id, const struct value *data)
{
    buf_printf(out, "id: %s\ndata: ", id);
    value_write_json_full(out, data);
    buf_puts(out, "\n\n");
}

enum httpd_write stream_send(struct stream *stream, const struct buf *event, bool waits)
{
    enum httpd_write result =
        waits ? httpd_stream_write_wait(stream->http, event->bytes, event->length,
                                        clock_monotonic() + EVENT_WAIT)
              : httpd_stream_write(stream->http, event->bytes, event->length);
    if (result == HTTPD_WRITTEN)
        atomic_store(&stream->event_at, clock_monotonic());
    return result;
}

/* ---- life ---- */

void stream_unref(struct stream *stream)
{
    (void)pthread_mutex_lock(&stream->lock);
    bool is_last = --stream->refs == 0;
    (void)pthread_mutex_unlock(&stream->lock);
    if (!is_last)
        return;
    (void)pthread_mutex_destroy(&stream->lock);
    if (stream->own_free != NULL)
        stream->own_free(stream->own);
    arena_free(stream->arena);
    free(stream);
}

void stream_ref(struct stream *stream)
{
    (void)pthread_mutex_lock(&stream->lock);
    stream->refs++;
    (void)pthread_mutex_unlock(&stream->lock);
}

/* Closes a stream once, or has its owner do so; the caller holds a reference. */
static void stream_finish(struct stream *stream)
{
    (void)pthread_mutex_lock(&stream->lock);
    bool is_mine = !stream->is_finished && !stream->is_busy;
    stream->is_broken = true;
    if (is_mine)
        stream->is_finished = true;
    (void)pthread_mutex_unlock(&stream->lock);
    if (!is_mine)
        return;

    driver_unwatch(stream->api->config.driver, stream->watch);
    logstore_unfollow(stream->api->config.logs, stream->follower);
    httpd_stream_close(stream->http);

    struct streams *streams = stream->streams;
    (void)pthread_mutex_lock(&streams->lock);
    list_remove(&stream->link);
    streams->count--;
    (void)pthread_mutex_unlock(&streams->lock);
    stream_unref(stream); // that of the list
}

void stream_release(struct stream *stream, bool is_over)
{
    (void)pthread_mutex_lock(&stream->lock);
    stream->is_busy = false;
    is_over = is_over || stream->is_broken;
    (void)pthread_mutex_unlock(&stream->lock);
    if (is_over)
        stream_finish(stream);
}

struct stream *stream_open(struct call *call, const struct execution_row *row)
{
    struct streams *streams = call->api->streams;
    (void)pthread_mutex_lock(&streams->lock);
    bool has_room = !streams->is_ended && streams->count < streams->streams_max;
    if (has_room)
        streams->count++;
    (void)pthread_mutex_unlock(&streams->lock);
    if (!has_room) {
        reply_error(call, 503, "Service Unavailable", "too many streams are open");
        return NULL;
    }

    struct stream *stream = check_calloc(1, sizeof(*stream));
    CHECK(pthread_mutex_init(&stream->lock, NULL) == 0);
    list_init(&stream->link);
    stream->refs = 2;
    stream->is_busy = true;
    stream->api = call->api;
    stream->streams = streams;
    stream->arena = arena_new_sized(512);
    stream->execution = row->key;
    memcpy(stream->execution_id, row->id.text, sizeof(stream->execution_id));
    stream->beat_at = clock_monotonic();
    atomic_store(&stream->event_at, stream->beat_at);

    readers_put(call->api->readers, call->reader);
    call->reader = NULL;
    struct httpd_reply head = {
        .status = 200,
        .type = "text/event-stream",
        .headers = event_headers,
        .headers_count = COUNT_OF(event_headers),
    };
    stream->http = httpd_stream_open(call->http, &head, STREAM_QUEUE_MAX);

    (void)pthread_mutex_lock(&streams->lock);
    list_push(&streams->open, &stream->link);
    stream->is_broken = streams->is_ended; // it was not in the list when all were ended
    wake_ticker(streams);
    (void)pthread_mutex_unlock(&streams->lock);
    return stream;
}

/* ---- steps ---- */

/* On a pool thread, which owns the connection; holds a reference. */
static void run_steps(void *context)
{
    struct stream *stream = context;
    bool is_over = false;
    bool again = true;
    while (again) {
        (void)pthread_mutex_lock(&stream->lock);
        stream->is_dirty = false;
        (void)pthread_mutex_unlock(&stream->lock);

        is_over = stream->step(stream);

        (void)pthread_mutex_lock(&stream->lock);
        again = stream->is_dirty && !is_over && !stream->is_broken;
        stream->is_busy = again;
        (void)pthread_mutex_unlock(&stream->lock);
    }
    stream_release(stream, is_over);
    stream_unref(stream);
}

void stream_start(struct stream *stream)
{
    if (pool_submit(stream->api->answers, run_steps, stream))
        return;
    stream_release(stream, true);
    stream_unref(stream);
}

void stream_changed(struct stream *stream)
{
    (void)pthread_mutex_lock(&stream->lock);
    stream->is_dirty = true;
    bool starts = !stream->is_busy && !stream->is_broken;
    if (starts) {
        stream->is_busy = true;
        stream->refs++;
    }
    (void)pthread_mutex_unlock(&stream->lock);
    if (starts && !pool_submit(stream->api->answers, run_steps, stream)) {
        // the pool ends; stream_finish() would wait for this thread, so the tick does it
        (void)pthread_mutex_lock(&stream->lock);
        stream->is_busy = false;
        stream->is_broken = true;
        (void)pthread_mutex_unlock(&stream->lock);
        stream_unref(stream); // not the last: the list holds one while this watch exists
    }
}

/* ---- holding ---- */

static void streams_destroy(struct streams *streams)
{
    (void)pthread_cond_destroy(&streams->wake);
    (void)pthread_mutex_destroy(&streams->lock);
    free(streams);
}

static void run_hold(void *context)
{
    struct hold *hold = context;
    struct streams *streams = hold->streams;
    (void)pthread_mutex_lock(&streams->lock);
    struct call *call = hold->call;
    hold->call = NULL;
    list_remove(&hold->link);
    bool is_last = streams->is_over && list_is_empty(&streams->held);
    (void)pthread_mutex_unlock(&streams->lock);
    if (is_last)
        streams_destroy(streams);
    if (call != NULL) {
        call->driver = hold->request;
        call_run(call, call->next);
    }
    arena_free(hold->arena);
    free(hold);
}

static void on_held_answer(struct driver_request *request)
{
    struct hold *hold = request->data;
    (void)pthread_mutex_lock(&hold->streams->lock);
    bool is_over = hold->streams->is_over; // then there is neither a pool nor a call left
    (void)pthread_mutex_unlock(&hold->streams->lock);
    if (is_over || !pool_submit(hold->streams->api->answers, run_hold, hold))
        run_hold(hold); // the pool ends: answer on this thread
}

static void run_late(void *context)
{
    struct call *call = context;
    call_run(call, call->next);
}

void call_hold(struct call *call, void (*next)(struct call *call))
{
    struct streams *streams = call->api->streams;
    struct hold *hold = check_calloc(1, sizeof(*hold));
    readers_put(call->api->readers, call->reader);
    call->reader = NULL;
    call->next = next;
    hold->streams = streams;
    hold->arena = arena_new();
    hold->call = call;
    hold->deadline = clock_monotonic() + HOLD_MAX;
    hold->request = call->driver;
    hold->request.arena = hold->arena;
    hold->request.done = on_held_answer;
    hold->request.data = hold;

    (void)pthread_mutex_lock(&streams->lock);
    list_push(&streams->held, &hold->link);
    wake_ticker(streams);
    (void)pthread_mutex_unlock(&streams->lock);
    if (driver_submit(call->api->config.driver, &hold->request))
        return;
    run_hold(hold);
}

/* Under streams.lock: takes out one call whose hour is over. */
static struct call *take_late(struct streams *streams, usec_t now)
{
    struct list *at;
    LIST_EACH(at, &streams->held) {
        struct hold *hold = LIST_OWNER(at, struct hold, link);
        if (hold->call == NULL || hold->deadline > now)
            continue;
        struct call *call = hold->call;
        hold->call = NULL; // the hold goes when the driver is done with it
        return call;
    }
    return NULL;
}

/* ---- the ticker ---- */

/* Heartbeat, steps that are due, the end of streams that nobody reads. Holds a reference. */
static void tick_stream(struct stream *stream, usec_t now)
{
    (void)pthread_mutex_lock(&stream->lock);
    bool is_over = stream->is_broken;
    if (!stream->is_busy && !is_over) {
        is_over =
            now - atomic_load(&stream->event_at) > QUIET_MAX || httpd_stream_is_gone(stream->http);
        if (!is_over && now - stream->beat_at > stream->streams->heartbeat) {
            is_over = httpd_stream_write(stream->http, ":\n\n", 3) == HTTPD_GONE;
            stream->beat_at = now;
        }
    }
    (void)pthread_mutex_unlock(&stream->lock);
    usec_t look_at = atomic_load(&stream->look_at);
    if (is_over)
        stream_finish(stream);
    else if (look_at != 0 && now >= look_at)
        stream_changed(stream);
}

/* References to all open streams; free the array, give the references back. */
static struct stream **take_streams(struct streams *streams, size_t *count)
{
    struct stream **taken = check_calloc(streams->count + 1, sizeof(struct stream *));
    size_t used = 0;
    struct list *at;
    LIST_EACH(at, &streams->open) {
        if (used > streams->count)
            break;
        taken[used] = LIST_OWNER(at, struct stream, link);
        stream_ref(taken[used++]);
    }
    *count = used;
    return taken;
}

static void *ticker_main(void *context)
{
    struct streams *streams = context;
    (void)pthread_mutex_lock(&streams->lock);
    while (!streams->is_stopping) {
        if (list_is_empty(&streams->open) && list_is_empty(&streams->held)) {
            streams->is_idle = true;
            (void)pthread_cond_wait(&streams->wake, &streams->lock);
            continue;
        }
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += (time_t)(TICK / USEC_SEC);
        (void)pthread_cond_timedwait(&streams->wake, &streams->lock, &until);

        usec_t now = clock_monotonic();
        struct call *late = streams->is_stopping ? NULL : take_late(streams, now);
        size_t count = 0;
        struct stream **open = take_streams(streams, &count);
        (void)pthread_mutex_unlock(&streams->lock);
        if (late != NULL) {
            late->driver.ok = false;
            (void)error_set(&late->driver.error, ERR_TIMEOUT, "it takes longer than an hour");
            if (!pool_submit(streams->api->answers, run_late, late))
                run_late(late);
        }
        for (size_t i = 0; i < count; i++) {
            tick_stream(open[i], now);
            stream_unref(open[i]);
        }
        free(open);
        (void)pthread_mutex_lock(&streams->lock);
    }
    (void)pthread_mutex_unlock(&streams->lock);
    return NULL;
}

struct streams *streams_new(struct api *api, size_t streams_max, usec_t heartbeat)
{
    struct streams *streams = check_calloc(1, sizeof(*streams));
    streams->api = api;
    streams->streams_max = streams_max;
    streams->heartbeat = heartbeat;
    list_init(&streams->open);
    list_init(&streams->held);
    CHECK(pthread_mutex_init(&streams->lock, NULL) == 0);
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&streams->wake, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    CHECK(pthread_create(&streams->ticker, NULL, ticker_main, streams) == 0);
    return streams;
}

void streams_end(struct streams *streams)
{
    size_t count = 0;
    (void)pthread_mutex_lock(&streams->lock);
    streams->is_ended = true;
    struct stream **open = take_streams(streams, &count);
    (void)pthread_mutex_unlock(&streams->lock);
    for (size_t i = 0; i < count; i++) {
        stream_finish(open[i]);
        stream_unref(open[i]);
    }
    free(open);
}

void streams_free(struct streams *streams)
{
    if (streams == NULL)
        return;
    (void)pthread_mutex_lock(&streams->lock);
    streams->is_stopping = true;
    (void)pthread_cond_signal(&streams->wake);
    (void)pthread_mutex_unlock(&streams->lock);
    (void)pthread_join(streams->ticker, NULL);
    for (;;) {
        (void)pthread_mutex_lock(&streams->lock);
        struct call *call = take_late(streams, USEC_NEVER);
        (void)pthread_mutex_unlock(&streams->lock);
        if (call == NULL)
            break;
        call->driver.ok = false;
        (void)error_set(&call->driver.error, ERR_UNAVAILABLE, "the server is stopping");
        call_run(call, call->next);
    }
    (void)pthread_mutex_lock(&streams->lock);
    streams->is_over = true;
    bool is_free = list_is_empty(&streams->held);
    (void)pthread_mutex_unlock(&streams->lock);
    if (is_free)
        streams_destroy(streams);
}
