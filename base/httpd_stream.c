/* SPDX-License-Identifier: Apache-2.0 */
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/httpd_internal.h"

/* First size of a queue; it grows up to queue_max as a slow client makes it. */
#define QUEUE_BYTES_MIN 4096U

/* libmicrohttpd asks for pieces of up to this size. */
#define PIECE_BYTES ((size_t)32 * 1024)

struct httpd_stream {
    struct httpd *httpd; /* not used once is_ended */
    struct MHD_Connection *connection;
    struct waiter waiter;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* room in the queue, or the client is gone, or a call has returned */
    atomic_int references;
    char *queue; /* ring */
    size_t capacity;
    size_t first;
    size_t count;
    size_t queue_max;
    bool is_suspended; /* libmicrohttpd waits for MHD_resume_connection() */
    bool is_closed;    /* by its owner: ends after what is in the queue */
    bool is_gone;
    bool is_ended; /* libmicrohttpd has let go of it */
    httpd_gone_fn *gone;
    void *gone_context;
    bool is_notifying; /* gone is being called, by the thread `notifier` */
    pthread_t notifier;
};

void httpd_stream_ref(struct httpd_stream *stream)
{
    (void)atomic_fetch_add(&stream->references, 1);
}

void httpd_stream_unref(struct httpd_stream *stream)
{
    if (atomic_fetch_sub(&stream->references, 1) > 1)
        return;
    (void)pthread_mutex_destroy(&stream->lock);
    (void)pthread_cond_destroy(&stream->changed);
    free(stream->queue);
    free(stream);
}

/* With the lock held. */
static void resume(struct httpd_stream *stream)
{
    if (!stream->is_suspended)
        return;
    stream->is_suspended = false;
    MHD_resume_connection(stream->connection);
}

/* libmicrohttpd asks for the next piece; in its thread. */
static ssize_t read_piece(void *context, uint64_t position, char *bytes, size_t max)
{
    struct httpd_stream *stream = context;
    (void)position;
    (void)pthread_mutex_lock(&stream->lock);
    ssize_t result;
    if (stream->is_gone) {
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (stream->count > 0) {
        size_t piece = stream->count < max ? stream->count : max;
        size_t until_end = stream->capacity - stream->first;
        size_t head = piece < until_end ? piece : until_end;
        memcpy(bytes, stream->queue + stream->first, head);
        memcpy(bytes + head, stream->queue, piece - head);
        stream->first = (stream->first + piece) % stream->capacity;
        stream->count -= piece;
        (void)pthread_cond_broadcast(&stream->changed);
        result = (ssize_t)piece;
    } else if (stream->is_closed) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        stream->is_suspended = true;
        MHD_suspend_connection(stream->connection);
        result = 0;
    }
    (void)pthread_mutex_unlock(&stream->lock);
    return result;
}

/* libmicrohttpd has sent everything, or lost the client; in its thread. */
static void response_freed(void *context)
{
    struct httpd_stream *stream = context;
    waiter_remove(stream->httpd, &stream->waiter);
    (void)atomic_fetch_sub(&stream->httpd->streams, 1);
    (void)pthread_mutex_lock(&stream->lock);
    stream->is_ended = true;
    stream->is_gone = true;
    (void)pthread_cond_broadcast(&stream->changed);
    if (!stream->is_closed && stream->gone != NULL) {
        httpd_gone_fn *gone = stream->gone;
        void *gone_context = stream->gone_context;
        stream->gone = NULL;
        stream->is_notifying = true;
        stream->notifier = pthread_self();
        (void)pthread_mutex_unlock(&stream->lock);
        gone(gone_context);
        (void)pthread_mutex_lock(&stream->lock);
        stream->is_notifying = false;
        (void)pthread_cond_broadcast(&stream->changed);
    }
    (void)pthread_mutex_unlock(&stream->lock);
    httpd_stream_unref(stream);
}

static struct httpd_stream *stream_make(size_t queue_max, int references)
{
    CHECK(queue_max > 0);
    struct httpd_stream *stream = check_calloc(1, sizeof(*stream));
    stream->queue_max = queue_max;
    atomic_init(&stream->references, references);
    CHECK(pthread_mutex_init(&stream->lock, NULL) == 0);
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&stream->changed, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    return stream;
}

struct httpd_stream *stream_new(struct httpd *httpd,
                                struct MHD_Connection *connection,
                                int fd,
                                size_t queue_max,
                                struct MHD_Response **response)
{
    struct httpd_stream *stream = stream_make(queue_max, 2);
    stream->httpd = httpd;
    stream->connection = connection;
    stream->waiter = (struct waiter){ .fd = fd, .stream = stream };
    *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, read_piece, stream,
                                                  response_freed);
    CHECK(*response != NULL);
    (void)atomic_fetch_add(&httpd->streams, 1);
    waiter_add(httpd, &stream->waiter);
    return stream;
}

struct httpd_stream *stream_new_gone(size_t queue_max)
{
    struct httpd_stream *stream = stream_make(queue_max, 1);
    stream->is_gone = true;
    stream->is_ended = true;
    return stream;
}

void stream_lose(struct httpd_stream *stream)
{
    (void)pthread_mutex_lock(&stream->lock);
    stream->is_gone = true;
    resume(stream);
    (void)pthread_cond_broadcast(&stream->changed);
    (void)pthread_mutex_unlock(&stream->lock);
}

/* With the lock held; there is room. */
static void put(struct httpd_stream *stream, const char *bytes, size_t length)
{
    size_t needed = stream->count + length;
    if (needed > stream->capacity) {
        size_t capacity = stream->capacity < QUEUE_BYTES_MIN ? QUEUE_BYTES_MIN : stream->capacity;
        while (capacity < needed)
            capacity *= 2;
        char *queue = check_malloc(capacity);
        size_t until_end = stream->capacity - stream->first;
        size_t head = stream->count < until_end ? stream->count : until_end;
        if (stream->count > 0) {
            memcpy(queue, stream->queue + stream->first, head);
            memcpy(queue + head, stream->queue, stream->count - head);
        }
        free(stream->queue);
        stream->queue = queue;
        stream->capacity = capacity;
        stream->first = 0;
    }
    if (length == 0)
        return;
    size_t at = (stream->first + stream->count) % stream->capacity;
    size_t until_end = stream->capacity - at;
    size_t head = length < until_end ? length : until_end;
    memcpy(stream->queue + at, bytes, head);
    memcpy(stream->queue, bytes + head, length - head);
    stream->count += length;
    resume(stream);
}

/* With the lock held. */
static enum httpd_write try_write(struct httpd_stream *stream, const void *bytes, size_t length)
{
    CHECK(length <= stream->queue_max);
    CHECK(!stream->is_closed);
    if (stream->is_gone)
        return HTTPD_GONE;
    if (length > stream->queue_max - stream->count)
        return HTTPD_FULL;
    put(stream, bytes, length);
    return HTTPD_WRITTEN;
}

enum httpd_write httpd_stream_write(struct httpd_stream *stream, const void *bytes, size_t length)
{
    (void)pthread_mutex_lock(&stream->lock);
    enum httpd_write result = try_write(stream, bytes, length);
    (void)pthread_mutex_unlock(&stream->lock);
    return result;
}

enum httpd_write httpd_stream_write_wait(struct httpd_stream *stream,
                                         const void *bytes,
                                         size_t length,
                                         usec_t deadline)
{
    struct timespec until = {
        .tv_sec = (time_t)(deadline / USEC_SEC),
        .tv_nsec = (long)(deadline % USEC_SEC) * 1000,
    };
    (void)pthread_mutex_lock(&stream->lock);
    enum httpd_write result = try_write(stream, bytes, length);
    for (int waited = 0; result == HTTPD_FULL && waited == 0;) {
        waited = deadline == USEC_NEVER
                     ? pthread_cond_wait(&stream->changed, &stream->lock)
                     : pthread_cond_timedwait(&stream->changed, &stream->lock, &until);
        result = try_write(stream, bytes, length);
    }
    (void)pthread_mutex_unlock(&stream->lock);
    return result;
}

bool httpd_stream_is_gone(struct httpd_stream *stream)
{
    (void)pthread_mutex_lock(&stream->lock);
    bool is_gone = stream->is_gone;
    (void)pthread_mutex_unlock(&stream->lock);
    return is_gone;
}

void httpd_stream_on_gone(struct httpd_stream *stream, httpd_gone_fn *fn, void *context)
{
    (void)pthread_mutex_lock(&stream->lock);
    bool is_late = stream->is_ended;
    if (!is_late) {
        stream->gone = fn;
        stream->gone_context = context;
    }
    (void)pthread_mutex_unlock(&stream->lock);
    if (is_late)
        fn(context); // it left between the opening and now
}

void httpd_stream_close(struct httpd_stream *stream)
{
    if (stream == NULL)
        return;
    (void)pthread_mutex_lock(&stream->lock);
    CHECK(!stream->is_closed);
    stream->is_closed = true;
    stream->gone = NULL;
    while (stream->is_notifying && !pthread_equal(stream->notifier, pthread_self()))
        (void)pthread_cond_wait(&stream->changed, &stream->lock);
    resume(stream);
    (void)pthread_mutex_unlock(&stream->lock);
    httpd_stream_unref(stream);
}
