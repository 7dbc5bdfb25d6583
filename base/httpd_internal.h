/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the HTTP server: httpd.c (requests and answers), httpd_listen.c (the address),
 * httpd_wait.c (clients that wait), httpd_body.c (bodies of requests), httpd_stream.c (answers
 * written piece by piece).
 *
 * Locks, in the order they may be taken; never take an earlier one while holding a later one:
 *   stream.lock   one per stream; libmicrohttpd's own locks come after it
 *   httpd.lock    the list of waiters
 */
#ifndef BASE_HTTPD_INTERNAL_H
#define BASE_HTTPD_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/httpd.h"
#include "base/list.h"
#include "base/vec.h"

struct MHD_Connection;
struct MHD_Daemon;
struct MHD_Response;
struct multipart;

/*
 * A client whose connection libmicrohttpd does not look at, because it waits for us: a thread asks
 * the kernel once a second whether it is still there.
 */
struct waiter {
    struct list link; /* in httpd->waiters, ordered by serial */
    uint64_t serial;
    int fd;
    bool is_gone;
    httpd_gone_fn *gone; /* of a request */
    void *gone_context;
    struct httpd_stream *stream; /* NULL: a request */
};

struct httpd {
    struct httpd_options options; /* texts owned */
    struct MHD_Daemon *daemon;
    int listener;
    unsigned port;
    pthread_t watcher;

    _Atomic uint64_t requests; /* begun */
    _Atomic int64_t active;    /* begun and not completed */
    _Atomic int64_t calls;     /* of the library into us, under way */
    _Atomic int64_t waiting;
    _Atomic int64_t streams;
    _Atomic int64_t connections;
    atomic_bool is_stopping;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct list waiters;
    uint64_t serial;
    const struct waiter *notified; /* its `gone` is being called */
    bool is_over;                  /* the watcher is to end */
};

/* Body of a request while it arrives. */
struct body {
    struct arena *arena;
    const char *spool_folder;
    uint64_t max;
    uint64_t received;
    struct buf bytes;            /* of a body that is no multipart */
    bool is_form;                /* x-www-form-urlencoded */
    struct multipart *multipart; /* NULL: another type */

    VEC(struct httpd_part) parts;
    struct buf part; /* of the part under way, while in memory */
    size_t memory;   /* bytes of finished parts in memory */
    size_t spools;

    int refused; /* status of the answer, 0: fine so far */
    char message[256];
};

/* content_length: -1 when the client did not say. */
void body_begin(struct body *body,
                struct arena *arena,
                const char *content_type,
                int64_t content_length,
                uint64_t max,
                const char *spool_folder);

/* False when so much came after a refusal that the connection should be cut. */
bool body_feed(struct body *body, const char *bytes, size_t length);

/* Fills body, form and parts of the request; false when body->refused. */
bool body_end(struct body *body, struct httpd_request *request);

/* Also closes the files of the parts. */
void body_release(struct body *body);

/* Socket that listens as the options say, or -1; errors as httpd_start(). */
int listener_open(const struct httpd_options *options, struct error *err);
unsigned listener_port(int fd);

/* Thread that looks after the waiters until httpd->is_over; the context is the httpd. */
void *watch_clients(void *context);

/* Adds a waiter to the list, and removes it: waits for a call of `gone` under way to return. */
void waiter_add(struct httpd *httpd, struct waiter *waiter);
void waiter_remove(struct httpd *httpd, struct waiter *waiter);

/* A response for a stream; the stream has two references: the caller's and the response's. */
struct httpd_stream *stream_new(struct httpd *httpd,
                                struct MHD_Connection *connection,
                                int fd,
                                size_t queue_max,
                                struct MHD_Response **response);

/* A stream that never was open: the server has stopped. */
struct httpd_stream *stream_new_gone(size_t queue_max);

/* The client has left: wakes whoever writes, and has libmicrohttpd close the connection. */
void stream_lose(struct httpd_stream *stream);

void httpd_stream_ref(struct httpd_stream *stream);
void httpd_stream_unref(struct httpd_stream *stream);

#endif
