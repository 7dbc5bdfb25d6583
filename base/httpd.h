/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP server: requests as values, answers from any thread; the only user of libmicrohttpd.
 *
 * The handler runs in a server thread and must not block. It answers at once, or keeps the request
 * and has another thread answer later: a waiting request occupies a connection, no thread. Each
 * request is answered exactly once, by httpd_reply() or httpd_stream_open(); after that the request
 * must not be touched.
 */
#ifndef BASE_HTTPD_H
#define BASE_HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/url.h"

struct arena;
struct error;
struct httpd;
struct httpd_stream;

/* Request line and headers together; with at most some 200 headers and query parameters. */
#define HTTPD_HEAD_BYTES_MAX ((size_t)32 * 1024)
#define HTTPD_SEGMENTS_MAX   64
#define HTTPD_QUERY_MAX      200
#define HTTPD_PARTS_MAX      1000

/*
 * Parts of a form larger than this, and those beyond the memory of all parts together, are on disk,
 * in files without a name; at most so many of them per request.
 */
#define HTTPD_SPOOL_BYTES  ((size_t)1024 * 1024)
#define HTTPD_MEMORY_BYTES ((size_t)8 * 1024 * 1024)
#define HTTPD_SPOOLS_MAX   64

/* A part of multipart/form-data. */
struct httpd_part {
    const char *name;      /* "" when not given */
    const char *file_name; /* NULL: a plain field */
    const char *type;      /* content type as sent, NULL when not given */
    const char *bytes;     /* NUL-terminated after length; NULL when spooled */
    size_t length;
    int fd; /* -1, or where the content is (from offset 0); owned by the request */
};

struct httpd_request {
    struct arena *arena; /* of this request; for the thread that works on it */
    const char *method;  /* upper case as sent */
    const char *target;  /* path and query as sent */
    const char *path;    /* as sent, not decoded */
    /* Path split at '/', then each segment decoded; "/a//b/" gives a, "", b. */
    const char *const *segments;
    size_t segments_count;
    bool has_trailing_slash;
    struct http_fields query;   /* decoded; '+' is a space */
    struct http_fields headers; /* names as sent */
    const char *remote;         /* address of the client, "127.0.0.1:5312" */

    const char *body; /* NUL-terminated after length; "" when absent or parsed into parts */
    size_t body_length;
    struct http_fields form;  /* x-www-form-urlencoded, and the plain fields of multipart */
    struct httpd_part *parts; /* multipart/form-data, fields too, in order */
    size_t parts_count;

    void *user; /* the handler's own; NULL at first */
};

/* What the body of an answer is. */
enum httpd_body {
    HTTPD_BODY_COPY,   /* `bytes` are copied by httpd_reply() */
    HTTPD_BODY_STATIC, /* `bytes` live as long as the program */
    HTTPD_BODY_MALLOC, /* `bytes` are given to httpd_reply(), which frees them */
    HTTPD_BODY_ARENA,  /* `bytes` are owned by the arena of the request */
    HTTPD_BODY_FILE,   /* `length` bytes of `fd` from `offset`; fd is given to httpd_reply() */
};

/* Zero-initialised with a status is an empty answer. */
struct httpd_reply {
    int status;
    const char *type;                 /* Content-Type, NULL: none */
    const struct http_field *headers; /* more headers, copied */
    size_t headers_count;
    enum httpd_body body;
    const void *bytes;
    size_t length;
    int fd;
    uint64_t offset;
    bool must_close; /* close the connection afterwards */
};

/* In a server thread, once the whole body is there. */
typedef void httpd_handler_fn(void *context, struct httpd_request *request);

/*
 * In a server thread when the headers are known; path, query and headers are filled.
 *
 * Returns  bytes the body may have, or -1 after it called httpd_reply() itself (401 before an
 *          upload of a gigabyte). A longer body is answered 413 by the server.
 */
typedef int64_t httpd_begin_fn(void *context, struct httpd_request *request);

/*
 * Writes the answer of a request that never reached the handler (400, 413, 431, 503 …): fills
 * `type` and `bytes` of the reply, whose status is set. `message` is one line of text.
 */
typedef void httpd_refuse_fn(void *context,
                             struct httpd_request *request,
                             const char *message,
                             struct httpd_reply *reply);

struct httpd_options {
    const char *host;         /* address or name to listen on; NULL: every address */
    unsigned port;            /* 0: any free one */
    const char *setting;      /* named when the address is in use, for example "server.listen" */
    unsigned threads;         /* 0: one */
    unsigned connections_max; /* 0: 4096 */
    usec_t idle_timeout;      /* of connections without a request; 0: 60 min */
    int64_t body_max;         /* when begin is NULL; 0: 10 MiB */
    const char *spool_folder; /* NULL: TMPDIR or /tmp */
    httpd_handler_fn *handler;
    httpd_begin_fn *begin;   /* may be NULL */
    httpd_refuse_fn *refuse; /* may be NULL: plain text */
    void *context;
};

/*
 * Starts listening.
 *
 * Errors   ERR_CONFLICT     address in use, naming address and setting
 *          ERR_DENIED       port needs rights
 *          ERR_INVALID      not an address of this machine
 */
struct httpd *httpd_start(const struct httpd_options *options, struct error *err);

/* The port it listens on. */
unsigned httpd_port(const struct httpd *httpd);

/* Takes no new connections; requests under way go on. */
void httpd_quiesce(struct httpd *httpd);

/*
 * Ends the server: requests not yet answered get 503, streams are closed, threads joined. Owners of
 * such requests may go on using them and must still answer, which then only gives them back. NULL
 * is fine.
 */
void httpd_stop(struct httpd *httpd);

struct httpd_counts {
    uint64_t requests; /* begun since the start */
    uint64_t waiting;  /* kept for a later answer */
    uint64_t streams;  /* open now */
    uint64_t connections;
};
struct httpd_counts httpd_counts(struct httpd *httpd);

/*
 * Keeps a request and its arena valid beyond its answer, until it is let go: so that who answers
 * can clean up afterwards. Each hold before the answer; any thread.
 */
void httpd_hold(struct httpd_request *request);
void httpd_let_go(struct httpd_request *request);

/* Any thread, once. The request may be gone on return. */
void httpd_reply(struct httpd_request *request, const struct httpd_reply *reply);

/* Shorthand: bytes copied. */
void httpd_reply_bytes(
    struct httpd_request *request, int status, const char *type, const void *bytes, size_t length);

/*
 * Has fn(context) called, in a server thread, when the client of an unanswered request goes away
 * (noticed within about a second). The request stays valid and must still be answered. Not called
 * once the request was answered: httpd_reply() waits for a call under way to return, so fn must not
 * take a lock that is held around httpd_reply(). In the handler only.
 */
typedef void httpd_gone_fn(void *context);
void httpd_on_gone(struct httpd_request *request, httpd_gone_fn *fn, void *context);

/*
 * Answers with a body that is written piece by piece (server-sent events, exports). The status line
 * and headers go out at once. Any thread; instead of httpd_reply().
 *
 * queue_max  bytes written but not yet sent; beyond, httpd_stream_write() refuses
 */
struct httpd_stream *httpd_stream_open(struct httpd_request *request,
                                       const struct httpd_reply *head,
                                       size_t queue_max);

enum httpd_write {
    HTTPD_WRITTEN,
    HTTPD_FULL, /* the client is too slow: nothing was taken */
    HTTPD_GONE, /* the client has left or the server stops: close */
};

/* All or nothing; `length` at most queue_max. Never blocks. One thread at a time per stream. */
enum httpd_write httpd_stream_write(struct httpd_stream *stream, const void *bytes, size_t length);

/* As httpd_stream_write(), waiting for room until `deadline` (monotonic); for pool threads. */
enum httpd_write httpd_stream_write_wait(struct httpd_stream *stream,
                                         const void *bytes,
                                         size_t length,
                                         usec_t deadline);

bool httpd_stream_is_gone(struct httpd_stream *stream);

/* Has fn(context) called in a server thread when the client leaves; not after the close. */
void httpd_stream_on_gone(struct httpd_stream *stream, httpd_gone_fn *fn, void *context);

/* What was written is still sent. Once, required. NULL is fine. */
void httpd_stream_close(struct httpd_stream *stream);

#endif
