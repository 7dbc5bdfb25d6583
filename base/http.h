/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP client: one blocking call, or a response read piece by piece; the only user of libcurl.
 *
 * Any thread may call. Each thread keeps its connections for the next call to the same host.
 * Initialised at the first call.
 */
#ifndef BASE_HTTP_H
#define BASE_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/url.h"

struct arena;
struct error;

/* Responses to memory are limited to this when body_max is 0. */
#define HTTP_BODY_MAX ((size_t)64 * 1024 * 1024)

/* Bytes of all response headers together. */
#define HTTP_HEADERS_MAX ((size_t)256 * 1024)

#define HTTP_CONNECT_TIMEOUT (10 * USEC_SEC)
#define HTTP_IDLE_TIMEOUT    (5 * USEC_MIN)
#define HTTP_REDIRECTS_MAX   10

enum http_auth {
    HTTP_AUTH_NONE,
    HTTP_AUTH_BASIC,  /* user, password */
    HTTP_AUTH_DIGEST, /* user, password */
    HTTP_AUTH_BEARER, /* password is the token */
    HTTP_AUTH_SIGV4,  /* user is the access key, password the secret key; see sigv4 */
};

enum http_proxy {
    HTTP_PROXY_ENVIRONMENT, /* http_proxy, https_proxy, no_proxy */
    HTTP_PROXY_DIRECT,
    HTTP_PROXY_HTTP,
    HTTP_PROXY_SOCKS5,
};

/* One part of multipart/form-data: bytes, or a file by path, or an open descriptor. */
struct http_part {
    const char *name;
    const char *file_name; /* NULL: a plain field */
    const char *type;      /* NULL: text/plain for fields, application/octet-stream for files */
    const void *bytes;     /* NULL: path or fd */
    size_t length;
    const char *path;
    int fd; /* used when bytes and path are NULL; read from its start */
};

/* Receives the response body; false ends the call with the error it filled. */
typedef bool http_sink_fn(void *context, const void *bytes, size_t length, struct error *err);

/* Gives up to `max` bytes of the request body; 0 at its end, -1 with err filled to give up. */
typedef ptrdiff_t http_source_fn(void *context, void *bytes, size_t max, struct error *err);

/* Called when the headers of the final response are known, before its body; false ends the call. */
struct http_response;
typedef bool http_head_fn(void *context, const struct http_response *response, struct error *err);

/* Zero-initialised with a url is a plain GET. Everything is borrowed for the call. */
struct http_request {
    const char *method;              /* NULL: GET, or POST when there is a body */
    const char *url;                 /* http or https; credentials in it are used and never shown */
    const struct http_fields *query; /* appended to the query of the URL */
    const struct http_fields *headers; /* "Name" with value NULL removes a default header */

    /* Body: at most one of these. */
    const void *body;
    size_t body_length;
    const struct http_part *parts; /* parts_count of them */
    size_t parts_count;
    http_source_fn *source;
    void *source_context;
    int64_t source_length; /* -1: unknown, sent chunked */

    enum http_auth auth;
    const char *user;
    const char *password;
    const char *sigv4; /* "aws:amz:<region>:<service>" */

    enum http_proxy proxy;
    const char *proxy_host;
    unsigned proxy_port;
    const char *proxy_user;
    const char *proxy_password;

    const char *unix_socket; /* path; the URL still names a host */
    bool insecure;           /* certificates are not verified */
    const char *ca_pem;      /* certificates trusted instead of the system's, PEM text */
    const char *cert_pem;    /* client certificate and key, PEM texts */
    const char *key_pem;

    bool no_redirects;
    usec_t connect_timeout; /* 0: HTTP_CONNECT_TIMEOUT */
    usec_t idle_timeout;    /* nothing moves for so long; 0: HTTP_IDLE_TIMEOUT, USEC_NEVER: none */
    usec_t total_timeout;   /* 0: none */

    size_t body_max;    /* of the response in memory; 0: HTTP_BODY_MAX. Beyond: ERR_LIMIT */
    http_head_fn *head; /* may be NULL */
    http_sink_fn *sink; /* NULL: to memory. Gets the body of every status */
    int sink_fd;        /* with to_fd: the body is written there instead */
    bool to_fd;
    void *context;             /* of head and sink */
    bool keep_encoding;        /* do not ask for compression, do not undo it */
    const atomic_bool *cancel; /* looked at about every 0.1 s and when bytes move; NULL: none */
};

struct http_response {
    int status;
    struct http_fields headers; /* of the final response; owned by the arena */
    const char *body;           /* owned by the arena, NUL-terminated; "" with sink or to_fd */
    size_t length;              /* bytes of the body, wherever it went */
    const char *url;            /* after redirects, without credentials; owned by the arena */
    usec_t elapsed;
};

/* What a failed call may have done; see http_call(). */
enum http_reach {
    HTTP_NOT_SENT,  /* no name, refused, TLS failure: repeating is safe */
    HTTP_AMBIGUOUS, /* the server may have seen the request */
};

/*
 * One request with its response; every status is a success.
 *
 * reach    may be NULL; on failure says whether the request may have arrived
 * Errors   ERR_INVALID      URL, header or proxy is malformed, protocol is not http(s)
 *          ERR_UNAVAILABLE  name not found, refused, reset, TLS failure, malformed answer
 *          ERR_DENIED       the certificate of the server is not trusted
 *          ERR_TIMEOUT      naming which of the three
 *          ERR_LIMIT        body or headers too long, too many redirects
 *          ERR_CANCELLED    by `cancel`
 *          of sink, source and head as they filled it
 * Texts name method, scheme, host and port, never path, query or credentials.
 */
bool http_call(struct arena *arena,
               const struct http_request *request,
               struct http_response *response,
               enum http_reach *reach,
               struct error *err);

/*
 * A call whose response the caller pulls; for protocols that read and decide, such as Git's.
 * `sink`, `to_fd` and `body_max` of the request are not used. It belongs to the thread that opened
 * it; request, response and arena must outlive it.
 */
struct http_stream;

/* Sends the request and waits for the headers. NULL on failure, as http_call(). */
struct http_stream *http_stream_open(struct arena *arena,
                                     const struct http_request *request,
                                     struct http_response *response,
                                     struct error *err);

/* Up to `max` bytes of the body; 0 at its end, -1 on failure, as http_call(). */
ptrdiff_t http_stream_read(struct http_stream *stream, void *bytes, size_t max, struct error *err);

/* The connection is kept when the body was read to its end. NULL is fine. */
void http_stream_close(struct http_stream *stream);
void http_stream_closep(struct http_stream **stream);

/* Gives back the calling thread's connections; for threads that end. Pool threads need not. */
void http_thread_release(void);

#endif
