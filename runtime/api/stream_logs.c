/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines of an execution as they are written.
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/pool.h"
#include "core/value.h"
#include "runtime/api/readers.h"
#include "runtime/api/shapes.h"
#include "runtime/api/streams_internal.h"
#include "runtime/store/logstore.h"

/* Lines that arrive while the stored ones are sent. */
#define PENDING_MAX ((size_t)4 * 1024 * 1024)

struct log_stream {
    const struct query *query; /* which lines */
    struct buf pending;        /* events of lines that came meanwhile; under stream.lock */
};

static void log_stream_free(void *own)
{
    struct log_stream *log = own;
    buf_free(&log->pending);
}

static void line_event(struct buf *out, const struct log_line *line)
{
    AUTO(arena_freep) struct arena *arena = arena_new_sized(1024);
    stream_event(out, "progress", shape_log_line(arena, line));
}

/* On the thread that writes the line. */
static void on_line(void *data, const struct log_line *line)
{
    struct stream *stream = data;
    struct log_stream *log = stream->own;
    if (!query_matches_line(log->query, line))
        return;
    struct buf event = { 0 };
    line_event(&event, line);
    (void)pthread_mutex_lock(&stream->lock);
    if (stream->is_broken)
        ;
    else if (!stream->is_busy)
        stream->is_broken = stream_send(stream, &event, false) != HTTPD_WRITTEN;
    else if (log->pending.length + event.length <= PENDING_MAX)
        buf_add(&log->pending, event.bytes, event.length);
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
    struct log_stream *log = stream->own;
    struct error err = { 0 };
    struct replay replay = { .stream = stream };
    struct store_reader *reader = readers_take(stream->api->readers, &err);
    bool ok = reader != NULL && logstore_walk(stream->api->config.logs, reader, stream->execution,
                                              log->query, replay_line, &replay, &err);
    readers_put(stream->api->readers, reader);
    ok = ok && !replay.is_gone;

    bool again = true;
    while (again) {
        (void)pthread_mutex_lock(&stream->lock);
        struct buf pending = log->pending;
        log->pending = (struct buf){ 0 };
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
    struct log_stream *log = ARENA_NEW(arena, struct log_stream);
    log->query = copy_query(arena, query);
    struct stream *stream = stream_open(call, row);
    if (stream == NULL) {
        arena_free(arena);
        return;
    }
    arena_free(stream->arena);
    stream->arena = arena;
    stream->own = log;
    stream->own_free = log_stream_free;

    struct buf event = { 0 };
    stream_event(&event, "start", &value_empty_map);
    (void)stream_send(stream, &event, false);
    buf_free(&event);

    stream->follower =
        logstore_follow(stream->api->config.logs, stream->execution_id, on_line, stream);
    if (!pool_submit(stream->api->answers, replay_step, stream)) {
        stream_release(stream, true);
        stream_unref(stream);
    }
}
