/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams and held requests.
 *
 * A stream of an execution is drawn by its changes: the driver's notice schedules a step on the
 * pool, which reads the store and writes one event. Notices that come during a step are answered by
 * one more step, so a fast execution costs as many events as the client can take. A stream of log
 * lines is written by the threads that write the lines; a client too slow for them is closed.
 *
 * Locks, in this order: streams.lock, stream.lock. The latter is taken by the driver's and the
 * log's threads, so nothing that waits happens under it. A pool thread that has set is_busy owns
 * the connection: it writes, and may wait for the client, without the lock; whoever wants to close
 * the stream meanwhile leaves that to it.
 */
#include "runtime/api/streams.h"

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
#include "runtime/store/logstore.h"

/* Written but not yet sent; beyond, a client is too slow. */
#define STREAM_QUEUE_MAX (8U * 1024U * 1024U)

/* How long the last event of a stream may wait for room. */
#define LAST_EVENT_WAIT (10 * USEC_SEC)

/* A stream without events, and a request that waits for an execution. */
#define QUIET_MAX USEC_HOUR
#define HOLD_MAX  USEC_HOUR

/* Clients that left are noticed within this span. */
#define TICK USEC_SEC

/* Lines that arrive while the stored ones are sent. */
#define PENDING_MAX (4U * 1024U * 1024U)

/* Stored lines per read. */
#define LOG_PAGE 1000U

struct stream {
    struct list link; /* streams.open, under streams.lock */
    struct api *api;
    struct streams *streams;
    char execution_id[ID_LENGTH + 1];
    int64_t execution;
    struct driver_watch *watch;
    struct log_follower *follower;
    const struct query *query; /* of log lines */
    _Atomic usec_t event_at;   /* last event */
    struct arena *arena;       /* owns the query */

    pthread_mutex_t lock; /* everything below */
    unsigned refs;
    struct httpd_stream *http; /* NULL: closed */
    struct buf pending;        /* events of lines that came while stored ones are sent */
    usec_t beat_at;            /* last heartbeat */
    bool is_busy;              /* a pool thread owns the connection */
    bool is_dirty;             /* changed since the last step began */
    bool is_broken;            /* to be closed by the owner or the next tick */
    bool is_finished;
};

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

static void write_event(struct buf *out, const char *id, const struct value *data)
{
    buf_printf(out, "id: %s\ndata: ", id);
    value_write_json_full(out, data);
    buf_puts(out, "\n\n");
}

/* By the owner of the connection, or under stream.lock while nobody owns it. */
static enum httpd_write stream_send(struct stream *stream, const struct buf *event, bool waits)
{
    enum httpd_write result =
        waits ? httpd_stream_write_wait(stream->http, event->bytes, event->length,
                                        clock_monotonic() + LAST_EVENT_WAIT)
              : httpd_stream_write(stream->http, event->bytes, event->length);
    if (result == HTTPD_WRITTEN)
        atomic_store(&stream->event_at, clock_monotonic());
    return result;
}

/* ---- life ---- */

static void stream_unref(struct stream *stream)
{
    (void)pthread_mutex_lock(&stream->lock);
    bool is_last = --stream->refs == 0;
    (void)pthread_mutex_unlock(&stream->lock);
    if (!is_last)
        return;
    (void)pthread_mutex_destroy(&stream->lock);
    buf_free(&stream->pending);
    arena_free(stream->arena);
    free(stream);
}

static void stream_ref(struct stream *stream)
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

/* The owner gives the connection back. */
static void stream_release(struct stream *stream, bool is_over)
{
    (void)pthread_mutex_lock(&stream->lock);
    stream->is_busy = false;
    is_over = is_over || stream->is_broken;
    (void)pthread_mutex_unlock(&stream->lock);
    if (is_over)
        stream_finish(stream);
}

/*
 * Opens a stream on the connection of a call, owned by the caller, with one reference for the list
 * and one for the caller. NULL: the call was answered 503. After this the call is gone.
 */
static struct stream *stream_open(struct call *call, const struct execution_row *row)
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

/* ---- executions ---- */

/* Reads the execution and writes one event; true when it was the last. */
static bool execution_event(struct stream *stream)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct error err = { 0 };
    struct store_reader *reader = readers_take(stream->api->readers, &err);
    if (reader == NULL)
        return false; // a later change or tick tries again
    struct execution_row row;
    bool found = reader->ops->execution_get(reader, arena, stream->execution_id, &row, &err);
    readers_put(stream->api->readers, reader);
    if (!found)
        return err.code == ERR_NOT_FOUND; // deleted meanwhile

    struct buf event = { 0 };
    bool is_ended = states[row.state].is_terminal && row.live == LIVE_ENDED;
    buf_printf(&event, "id: %s\ndata: ", is_ended ? "end" : "progress");
    if (!shape_execution(&event, arena, &stream->api->config, &row, NULL, &err)) {
        buf_free(&event);
        return true; // cannot be shown: nothing better comes later
    }
    buf_puts(&event, "\n\n");

    // an event that finds no room is dropped: the next change brings a newer one
    enum httpd_write result = stream_send(stream, &event, is_ended);
    buf_free(&event);
    return is_ended || result == HTTPD_GONE;
}

/* On a pool thread, which owns the connection; holds a reference. */
static void execution_step(void *context)
{
    struct stream *stream = context;
    bool is_over = false;
    bool again = true;
    while (again) {
        (void)pthread_mutex_lock(&stream->lock);
        stream->is_dirty = false;
        (void)pthread_mutex_unlock(&stream->lock);

        is_over = execution_event(stream);

        (void)pthread_mutex_lock(&stream->lock);
        again = stream->is_dirty && !is_over && !stream->is_broken;
        stream->is_busy = again;
        (void)pthread_mutex_unlock(&stream->lock);
    }
    stream_release(stream, is_over);
    stream_unref(stream);
}

static void start_step(struct stream *stream)
{
    if (pool_submit(stream->api->answers, execution_step, stream))
        return;
    stream_release(stream, true);
    stream_unref(stream);
}

/* On the driver's thread. */
static void on_notice(void *data, const struct execution_notice *notice)
{
    (void)notice;
    struct stream *stream = data;
    (void)pthread_mutex_lock(&stream->lock);
    stream->is_dirty = true;
    bool starts = !stream->is_busy && !stream->is_broken;
    if (starts) {
        stream->is_busy = true;
        stream->refs++;
    }
    (void)pthread_mutex_unlock(&stream->lock);
    if (starts && !pool_submit(stream->api->answers, execution_step, stream)) {
        // the pool ends; stream_finish() would wait for this thread, so the tick does it
        (void)pthread_mutex_lock(&stream->lock);
        stream->is_busy = false;
        stream->is_broken = true;
        (void)pthread_mutex_unlock(&stream->lock);
        stream_unref(stream); // not the last: the list holds one while this watch exists
    }
}

void stream_execution(struct call *call, const struct execution_row *row)
{
    struct stream *stream = stream_open(call, row);
    if (stream == NULL)
        return;
    AUTO(arena_freep) struct arena *arena = arena_new_sized(512);
    struct value_builder map = value_build(arena);
    value_put_text(&map, "id", stream->execution_id);
    struct buf event = { 0 };
    write_event(&event, "start", value_build_map(&map));
    (void)stream_send(stream, &event, false);
    buf_free(&event);

    // watched first, read then: no change is missed
    stream->watch =
        driver_watch(stream->api->config.driver, stream->execution_id, on_notice, stream);
    start_step(stream);
}

/* ---- log lines ---- */

static void line_event(struct buf *out, const struct log_line *line)
{
    AUTO(arena_freep) struct arena *arena = arena_new_sized(1024);
    write_event(out, "progress", shape_log_line(arena, line));
}

/* On the thread that writes the line. */
static void on_line(void *data, const struct log_line *line)
{
    struct stream *stream = data;
    if (!query_matches_line(stream->query, line))
        return;
    struct buf event = { 0 };
    line_event(&event, line);
    (void)pthread_mutex_lock(&stream->lock);
    if (stream->is_broken)
        ;
    else if (!stream->is_busy)
        stream->is_broken = stream_send(stream, &event, false) != HTTPD_WRITTEN;
    else if (stream->pending.length + event.length <= PENDING_MAX)
        buf_add(&stream->pending, event.bytes, event.length);
    else
        stream->is_broken = true;
    (void)pthread_mutex_unlock(&stream->lock);
    buf_free(&event);
}

/* The stored lines, on a pool thread, which owns the connection. */
struct replay {
    struct stream *stream;
    struct buf tail; /* events of the last lines sent */
    bool is_gone;
};

static bool replay_line(void *data, const struct log_line *line)
{
    struct replay *replay = data;
    struct buf event = { 0 };
    line_event(&event, line);
    replay->is_gone = stream_send(replay->stream, &event, true) != HTTPD_WRITTEN;
    if (replay->tail.length + event.length > PENDING_MAX)
        buf_clear(&replay->tail);
    buf_add(&replay->tail, event.bytes, event.length);
    buf_free(&event);

    (void)pthread_mutex_lock(&replay->stream->lock);
    replay->is_gone = replay->is_gone || replay->stream->is_broken;
    (void)pthread_mutex_unlock(&replay->stream->lock);
    return !replay->is_gone;
}

/* Sends the lines that came during the replay and were not part of it. */
static bool send_pending(struct stream *stream, const struct buf *pending, const struct buf *sent)
{
    bool ok = true;
    const char *end = buf_text(pending) + pending->length;
    for (const char *at = buf_text(pending); at < end && ok;) {
        const char *next = strstr(at, "\n\n");
        next = next == NULL ? end : next + 2;
        struct buf event = { 0 };
        buf_add(&event, at, (size_t)(next - at));
        if (strstr(buf_text(sent), buf_text(&event)) == NULL)
            ok = stream_send(stream, &event, true) == HTTPD_WRITTEN;
        buf_free(&event);
        at = next;
    }
    return ok;
}

/* Holds a reference. */
static void replay_step(void *context)
{
    struct stream *stream = context;
    struct error err = { 0 };
    struct replay replay = { .stream = stream };
    struct store_reader *reader = readers_take(stream->api->readers, &err);
    bool ok = reader != NULL && logstore_walk(stream->api->config.logs, reader, stream->execution,
                                              stream->query, replay_line, &replay, &err);
    readers_put(stream->api->readers, reader);
    ok = ok && !replay.is_gone;

    bool again = true;
    while (again) {
        (void)pthread_mutex_lock(&stream->lock);
        struct buf pending = stream->pending;
        stream->pending = (struct buf){ 0 };
        again = ok && pending.length > 0 && !stream->is_broken;
        if (!again)
            stream->is_busy = false; // from here on lines are sent as they come
        (void)pthread_mutex_unlock(&stream->lock);
        if (again)
            ok = send_pending(stream, &pending, &replay.tail);
        buf_free(&pending);
    }
    buf_free(&replay.tail);
    stream_release(stream, !ok);
    stream_unref(stream);
}

/* A copy that lives as long as the stream. */
static const struct query *copy_query(struct arena *arena, const struct query *query)
{
    struct query *copy = arena_memdup(arena, query, sizeof(*query));
    struct filter *filters = ARENA_ARRAY(arena, query->filters_count, struct filter);
    for (size_t i = 0; i < query->filters_count; i++) {
        filters[i] = query->filters[i];
        filters[i].key = arena_strdup(arena, filters[i].key);
        const char **values = ARENA_ARRAY(arena, filters[i].values_count, const char *);
        for (size_t j = 0; j < filters[i].values_count; j++)
            values[j] = arena_strdup(arena, query->filters[i].values[j]);
        filters[i].values = values;
    }
    copy->filters = filters;
    return copy;
}

void stream_logs(struct call *call, const struct execution_row *row, const struct query *query)
{
    struct arena *arena = arena_new_sized(1024);
    const struct query *kept = copy_query(arena, query);
    struct stream *stream = stream_open(call, row);
    if (stream == NULL) {
        arena_free(arena);
        return;
    }
    arena_free(stream->arena);
    stream->arena = arena;
    stream->query = kept;

    struct buf event = { 0 };
    write_event(&event, "start", &value_empty_map);
    (void)stream_send(stream, &event, false);
    buf_free(&event);

    stream->follower =
        logstore_follow(stream->api->config.logs, stream->execution_id, on_line, stream);
    if (!pool_submit(stream->api->answers, replay_step, stream)) {
        stream_release(stream, true);
        stream_unref(stream);
    }
}

/* ---- holding ---- */

static void run_hold(void *context)
{
    struct hold *hold = context;
    (void)pthread_mutex_lock(&hold->streams->lock);
    struct call *call = hold->call;
    hold->call = NULL;
    list_remove(&hold->link);
    (void)pthread_mutex_unlock(&hold->streams->lock);
    if (call != NULL) {
        call->driver = hold->request;
        call->next(call);
    }
    arena_free(hold->arena);
    free(hold);
}

static void on_held_answer(struct driver_request *request)
{
    struct hold *hold = request->data;
    if (!pool_submit(hold->streams->api->answers, run_hold, hold))
        run_hold(hold); // the pool ends: answer on this thread
}

static void run_late(void *context)
{
    struct call *call = context;
    call->next(call);
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
    for
        LIST_EACH(at, &streams->held)
        {
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

/* Heartbeat, and the end of streams that nobody reads. Holds a reference. */
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
    if (is_over)
        stream_finish(stream);
}

/* References to all open streams; free the array, give the references back. */
static struct stream **take_streams(struct streams *streams, size_t *count)
{
    struct stream **taken = check_calloc(streams->count + 1, sizeof(struct stream *));
    size_t used = 0;
    struct list *at;
    for
        LIST_EACH(at, &streams->open)
        {
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
    (void)pthread_cond_destroy(&streams->wake);
    (void)pthread_mutex_destroy(&streams->lock);
    free(streams);
}
