/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kinds of streams share. Internal to runtime/api/stream*.c.
 *
 * A stream is written by steps on a pool thread: a notice schedules one, which reads the store and
 * writes what is new. Notices that come during a step are answered by one more step, so fast
 * changes cost as many events as the client can take. (Log lines are written by the threads that
 * write the lines; a client too slow for them is closed.)
 *
 * A thread that has set is_busy owns the connection: it writes, and may wait for the client,
 * without the lock; whoever wants to close the stream meanwhile leaves that to it.
 *
 * To add a kind: stream_open(), fill `step` and `own`, write the first event, watch what changes,
 * stream_start().
 */
#ifndef RUNTIME_API_STREAMS_INTERNAL_H
#define RUNTIME_API_STREAMS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/list.h"
#include "runtime/api/streams.h"

struct buf;
struct log_follower;

struct stream {
    struct list link; /* streams.open, under streams.lock */
    struct api *api;
    struct streams *streams;
    char execution_id[ID_LENGTH + 1];
    int64_t execution;
    struct arena *arena; /* lives as long as the stream; for the owner of the connection */
    struct driver_watch *watch;
    struct log_follower *follower;
    bool (*step)(struct stream *stream); /* writes what is new; true when that was the last */
    void *own;                           /* the kind's own */
    void (*own_free)(void *own);         /* may be NULL */
    _Atomic usec_t event_at;             /* last event, monotonic */
    _Atomic usec_t look_at;              /* a step is due then without a notice; 0: none */

    pthread_mutex_t lock; /* everything below */
    unsigned refs;
    struct httpd_stream *http; /* NULL: closed */
    usec_t beat_at;            /* last heartbeat */
    bool is_busy;              /* a thread owns the connection */
    bool is_dirty;             /* changed since the last step began */
    bool is_broken;            /* to be closed by the owner or the next tick */
    bool is_finished;
};

/*
 * Opens a stream on the connection of a call, owned by the caller, with one reference for the list
 * and one for the caller. NULL: the call was answered 503. After this the call is gone.
 */
struct stream *stream_open(struct call *call, const struct execution_row *row);

/* Starts steps: gives connection and reference of the caller of stream_open() to the pool. */
void stream_start(struct stream *stream);

/* There is something new; any thread that may not wait. */
void stream_changed(struct stream *stream);

/* Appends an event. */
void stream_event(struct buf *out, const char *id, const struct value *data);

/*
 * Writes events. By the owner of the connection, or under stream.lock while nobody owns it (waits
 * must be false then).
 */
enum httpd_write stream_send(struct stream *stream, const struct buf *event, bool waits);

/* The owner gives the connection back; is_over: and closes the stream. */
void stream_release(struct stream *stream, bool is_over);

void stream_ref(struct stream *stream);
void stream_unref(struct stream *stream);

#endif
