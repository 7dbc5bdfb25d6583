/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life of a request: HANDLING while the handler runs in a server thread, WAITING when it returned
 * without an answer (the connection is suspended), REPLIED when there is one. Whoever moves the
 * state to REPLIED looks at what it was before: from WAITING it resumes the connection, from
 * HANDLING the server thread finds the answer by itself.
 *
 * Two answers may compete: the owner's, and the 503 of httpd_stop(). The one that claims the
 * request first is sent; the other is dropped. So a request has two references: libmicrohttpd's,
 * which ends when the connection is done with it (never while suspended), and the owner's, which
 * ends with httpd_reply() however late it comes. Until the handler is called, the owner is this
 * file.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/httpd_internal.h"
#include "base/log.h"
#include "base/str.h"

#define CONNECTIONS_MAX 4096U
#define IDLE_TIMEOUT    USEC_HOUR
#define BODY_MAX        ((int64_t)10 * 1024 * 1024)

/*
 * Per connection: the head of the request, 72 bytes for each header and query parameter, the head
 * of the answer. Not more than needed: libmicrohttpd clears all of it after each request (192 KiB
 * cost half of the answers per second).
 */
#define CONNECTION_MEMORY    (HTTPD_HEAD_BYTES_MAX + (size_t)16 * 1024)
#define CONNECTION_INCREMENT ((size_t)16 * 1024)

/* How long answers under way are waited for when the server ends. */
#define STOP_TIME (2 * USEC_SEC)

enum request_state {
    REQUEST_HANDLING,
    REQUEST_WAITING,
    REQUEST_REPLIED,
};

struct request {
    struct httpd_request public; // first: one is cast to the other
    struct httpd *httpd;
    struct MHD_Connection *connection;
    _Atomic int state; /* enum request_state */
    atomic_int references;
    atomic_bool is_claimed; /* somebody answers, or has answered */
    int status;
    struct MHD_Response *response;
    struct waiter waiter;
    struct body body;
    bool is_begun;
    bool is_handled;
    bool is_sent; /* the answer was given to libmicrohttpd */
};

/* What is known of a connection. */
struct peer {
    char address[INET6_ADDRSTRLEN + 8];
};

/* ---- answers ---- */

static struct MHD_Response *response_of(const struct httpd_reply *reply)
{
    // libmicrohttpd takes a pointer to what it will not change.
    union {
        const void *constant;
        void *plain;
    } bytes = { .constant = reply->length == 0 ? "" : reply->bytes };
    enum MHD_ResponseMemoryMode mode = MHD_RESPMEM_PERSISTENT;
    switch (reply->body) {
    case HTTPD_BODY_FILE:
        return MHD_create_response_from_fd_at_offset64(reply->length, reply->fd, reply->offset);
    case HTTPD_BODY_COPY:
        mode = reply->length == 0 ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_COPY;
        break;
    case HTTPD_BODY_MALLOC:
        if (reply->length == 0)
            free(bytes.constant == reply->bytes ? bytes.plain : NULL);
        else
            mode = MHD_RESPMEM_MUST_FREE;
        break;
    case HTTPD_BODY_STATIC:
    case HTTPD_BODY_ARENA:
        break;
    }
    return MHD_create_response_from_buffer(reply->length, bytes.plain, mode);
}

static void add_headers(struct MHD_Response *response, const struct httpd_reply *reply)
{
    // Refused are names and values with control characters: they are left out.
    if (reply->type != NULL)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->type);
    for (size_t i = 0; i < reply->headers_count; i++)
        (void)MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
    if (reply->must_close)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
}

static void request_unref(struct request *request)
{
    if (atomic_fetch_sub(&request->references, 1) > 1)
        return;
    body_release(&request->body);
    arena_free(request->public.arena); // holds the request itself
}

void httpd_hold(struct httpd_request *public)
{
    struct request *request = (struct request *)public;
    (void)atomic_fetch_add(&request->references, 1);
}

void httpd_let_go(struct httpd_request *public)
{
    request_unref((struct request *)public);
}

/* Whether the caller is the one who answers; everybody else drops what they have. */
static bool claim(struct request *request)
{
    return !atomic_exchange(&request->is_claimed, true);
}

/* Something happened that httpd_stop() may wait for. */
static void signal_stop(struct httpd *httpd)
{
    if (!atomic_load(&httpd->is_stopping))
        return;
    (void)pthread_mutex_lock(&httpd->lock);
    (void)pthread_cond_broadcast(&httpd->changed);
    (void)pthread_mutex_unlock(&httpd->lock);
}

/* A suspended connection goes on; the last use of the server by a thread that is not its own. */
static void resume(struct httpd *httpd, struct MHD_Connection *connection)
{
    MHD_resume_connection(connection);
    // Under the lock to its end: httpd_stop() waits for this count, then frees the server.
    (void)pthread_mutex_lock(&httpd->lock);
    (void)atomic_fetch_sub(&httpd->waiting, 1);
    (void)pthread_cond_broadcast(&httpd->changed);
    (void)pthread_mutex_unlock(&httpd->lock);
}

/* The answer of the one who claimed the request. */
static void answer(struct request *request, int status, struct MHD_Response *response)
{
    struct MHD_Connection *connection = request->connection;
    struct httpd *httpd = request->httpd;
    request->status = status;
    request->response = response;
    if (atomic_exchange(&request->state, REQUEST_REPLIED) != REQUEST_WAITING)
        return;
    waiter_remove(httpd, &request->waiter);
    resume(httpd, connection);
}

void httpd_reply(struct httpd_request *public, const struct httpd_reply *reply)
{
    struct request *request = (struct request *)public;
    struct MHD_Response *response = response_of(reply);
    CHECK(response != NULL);
    if (claim(request)) {
        add_headers(response, reply);
        answer(request, reply->status, response);
    } else {
        MHD_destroy_response(response);
    }
    request_unref(request);
}

void httpd_reply_bytes(
    struct httpd_request *public, int status, const char *type, const void *bytes, size_t length)
{
    struct httpd_reply reply = {
        .status = status,
        .type = type,
        .bytes = bytes,
        .length = length,
    };
    httpd_reply(public, &reply);
}

struct httpd_stream *httpd_stream_open(struct httpd_request *public,
                                       const struct httpd_reply *head,
                                       size_t queue_max)
{
    struct request *request = (struct request *)public;
    struct httpd_stream *stream;
    if (claim(request)) {
        struct MHD_Response *response = NULL;
        stream = stream_new(request->httpd, request->connection, request->waiter.fd, queue_max,
                            &response);
        add_headers(response, head);
        answer(request, head->status, response);
    } else {
        stream = stream_new_gone(queue_max);
    }
    request_unref(request);
    return stream;
}

void httpd_on_gone(struct httpd_request *public, httpd_gone_fn *fn, void *context)
{
    struct request *request = (struct request *)public;
    request->waiter.gone = fn;
    request->waiter.gone_context = context;
}

/* An answer of ours, in the words of whoever runs the server. */
static struct httpd_reply refusal(struct httpd *httpd,
                                  struct httpd_request *public,
                                  int status,
                                  const char *message)
{
    struct httpd_reply reply = {
        .status = status,
        .type = "text/plain; charset=utf-8",
        .bytes = message,
        .length = strlen(message),
        .must_close = status == 413 || status == 503,
    };
    if (httpd->options.refuse != NULL)
        httpd->options.refuse(httpd->options.context, public, message, &reply);
    return reply;
}

/* As the owner, before the handler was called. */
static void refuse(struct request *request, int status, const char *message)
{
    struct httpd_reply reply = refusal(request->httpd, &request->public, status, message);
    httpd_reply(&request->public, &reply);
}

/* Instead of the owner, who may be using the request and its arena. */
static void refuse_waiting(struct request *request)
{
    struct arena *arena = arena_new();
    struct httpd_request shown = {
        .arena = arena,
        .method = request->public.method,
        .target = request->public.target,
        .path = request->public.path,
        .body = "",
    };
    struct httpd_reply reply = refusal(request->httpd, &shown, 503, "the server is stopping");
    struct MHD_Response *response = response_of(&reply);
    CHECK(response != NULL);
    add_headers(response, &reply);
    answer(request, reply.status, response);
    arena_free(arena);
}

/* ---- requests ---- */

/* First thing of a request: its target as sent. The result is *req_cls of all that follows. */
static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    struct httpd *httpd = context;
    struct arena *arena = arena_new();
    struct request *request = ARENA_NEW(arena, struct request);
    request->public.arena = arena;
    request->public.target = arena_strdup(arena, target);
    request->httpd = httpd;
    request->connection = connection;
    atomic_init(&request->references, 2);
    (void)atomic_fetch_add(&httpd->requests, 1);
    (void)atomic_fetch_add(&httpd->active, 1);
    return request;
}

static enum MHD_Result add_header(void *context,
                                  enum MHD_ValueKind kind,
                                  const char *name,
                                  const char *value)
{
    struct httpd_request *public = context;
    (void)kind;
    if (value == NULL)
        value = "";
    size_t length = strlen(value);
    while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\t'))
        length--; // blanks at the end are not part of a value
    struct http_field *field = VEC_PUSH_ARENA(public->arena, &public->headers);
    field->name = arena_strdup(public->arena, name);
    field->value = arena_strndup(public->arena, value, length);
    return MHD_YES;
}

/* "http://host/path" as clients of proxies send it: the path alone. */
static const char *local_part(const char *target)
{
    const char *scheme = strstr(target, "://");
    if (target[0] == '/' || scheme == NULL)
        return target;
    const char *path = strchr(scheme + 3, '/');
    return path == NULL ? "/" : path;
}

/* Splits the path, then decodes each segment. False when a segment holds NUL, or there are many. */
static bool split_path(struct httpd_request *public, const char *path, size_t length)
{
    public->path = arena_strndup(public->arena, path, length);
    public->has_trailing_slash = length > 1 && path[length - 1] == '/';
    const char **segments = ARENA_ARRAY(public->arena, HTTPD_SEGMENTS_MAX, const char *);
    const char *end = path + length - (public->has_trailing_slash ? 1 : 0);
    const char *at = path[0] == '/' ? path + 1 : path;
    while (at < end) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *stop = slash == NULL ? end : slash;
        if (public->segments_count == HTTPD_SEGMENTS_MAX)
            return false;
        size_t decoded = 0;
        const char *segment = url_decode(public->arena, at, (size_t)(stop - at), false, &decoded);
        if (strlen(segment) != decoded)
            return false;
        segments[public->segments_count++] = segment;
        at = stop + 1;
    }
    public->segments = segments;
    return true;
}

static int64_t content_length(const struct httpd_request *public)
{
    int64_t length = -1;
    const char *text = http_header_find(&public->headers, "Content-Length");
    return text != NULL && str_to_int(text, 0, INT64_MAX, &length) ? length : -1;
}

static int descriptor_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info == NULL ? -1 : info->connect_fd;
}

static const char *address_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    const struct peer *peer = info == NULL ? NULL : info->socket_context;
    return peer == NULL ? "" : peer->address;
}

/* The headers are there. */
static void begin(struct request *request, const char *method)
{
    struct httpd *httpd = request->httpd;
    struct httpd_request *public = &request->public;
    request->waiter.fd = descriptor_of(request->connection);
    list_init(&request->waiter.link);
    public->method = arena_strdup(public->arena, method);
    public->remote = arena_strdup(public->arena, address_of(request->connection));
    public->body = "";
    (void)MHD_get_connection_values(request->connection, MHD_HEADER_KIND, add_header, public);
    if (atomic_load(&httpd->is_stopping)) {
        refuse(request, 503, "the server is stopping");
        return;
    }

    const char *path = local_part(public->target);
    size_t length = strcspn(path, "?#");
    if (!split_path(public, path, length)) {
        refuse(request, 400, "malformed path");
        return;
    }
    const char *query = path[length] == '?' ? path + length + 1 : "";
    if (!url_parse_query(public->arena, query, strcspn(query, "#"), HTTPD_QUERY_MAX,
                         &public->query)) {
        refuse(request, 400, "too many query parameters");
        return;
    }

    int64_t max = httpd->options.body_max;
    if (httpd->options.begin != NULL)
        max = httpd->options.begin(httpd->options.context, public);
    if (atomic_load(&request->state) == REQUEST_REPLIED)
        return;
    CHECK(max >= 0);
    body_begin(&request->body, public->arena, http_header_find(&public->headers, "Content-Type"),
               content_length(public), (uint64_t)max, httpd->options.spool_folder);
    if (request->body.refused != 0)
        refuse(request, request->body.refused, request->body.message);
}

/* The body is there. */
static void handle(struct request *request)
{
    struct httpd *httpd = request->httpd;
    if (atomic_load(&httpd->is_stopping)) {
        refuse(request, 503, "the server is stopping");
        return;
    }
    if (!body_end(&request->body, &request->public)) {
        refuse(request, request->body.refused, request->body.message);
        return;
    }
    httpd->options.handler(httpd->options.context, &request->public);
}

static enum MHD_Result send_answer(struct request *request)
{
    struct MHD_Response *response = request->response;
    request->response = NULL;
    request->is_sent = true;
    enum MHD_Result result =
        MHD_queue_response(request->connection, (unsigned)request->status, response);
    MHD_destroy_response(response); // the connection has its own reference
    return result;
}

static enum MHD_Result go_on(struct request *request,
                             const char *method,
                             const char *upload,
                             size_t *upload_length)
{
    struct httpd *httpd = request->httpd;
    struct MHD_Connection *connection = request->connection;
    if (request->is_sent)
        return MHD_NO; // the library is stopping: it has dropped the answer and asks again
    if (!request->is_begun) {
        request->is_begun = true;
        begin(request, method);
        return atomic_load(&request->state) == REQUEST_REPLIED ? send_answer(request) : MHD_YES;
    }
    if (*upload_length > 0) {
        bool goes_on = body_feed(&request->body, upload, *upload_length);
        *upload_length = 0;
        return goes_on ? MHD_YES : MHD_NO;
    }
    if (!request->is_handled) {
        request->is_handled = true;
        handle(request);
        if (atomic_load(&request->state) == REQUEST_REPLIED)
            return send_answer(request);
        MHD_suspend_connection(connection);
        (void)atomic_fetch_add(&httpd->waiting, 1);
        waiter_add(httpd, &request->waiter);
        int expected = REQUEST_HANDLING;
        if (!atomic_compare_exchange_strong(&request->state, &expected, REQUEST_WAITING)) {
            // Answered in this very moment by a thread that saw HANDLING.
            waiter_remove(httpd, &request->waiter);
            resume(httpd, connection);
        }
        return MHD_YES;
    }
    CHECK(atomic_load(&request->state) == REQUEST_REPLIED);
    return send_answer(request);
}

/* Called for the headers, for each piece of the body, for its end, and after a resume. */
static enum MHD_Result on_request(void *context,
                                  struct MHD_Connection *connection,
                                  const char *url,
                                  const char *method,
                                  const char *version,
                                  const char *upload,
                                  size_t *upload_length,
                                  void **request_context)
{
    struct httpd *httpd = context;
    (void)connection;
    (void)url; // libmicrohttpd's idea of it; ours is the target
    (void)version;
    (void)atomic_fetch_add(&httpd->calls, 1);
    enum MHD_Result result = go_on(*request_context, method, upload, upload_length);
    if (atomic_fetch_sub(&httpd->calls, 1) == 1)
        signal_stop(httpd);
    return result;
}

static void on_completed(void *context,
                         struct MHD_Connection *connection,
                         void **request_context,
                         enum MHD_RequestTerminationCode code)
{
    struct httpd *httpd = context;
    struct request *request = *request_context;
    (void)connection;
    (void)code;
    if (request == NULL)
        return;
    *request_context = NULL;
    if (request->response != NULL)
        MHD_destroy_response(request->response); // the client left before it could be queued
    if (!atomic_load(&request->is_claimed))
        request_unref(request); // never came to its handler: ours
    request_unref(request);
    if (atomic_fetch_sub(&httpd->active, 1) == 1)
        signal_stop(httpd);
}

static void on_connection(void *context,
                          struct MHD_Connection *connection,
                          void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct httpd *httpd = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        (void)atomic_fetch_sub(&httpd->connections, 1);
        free(*socket_context);
        *socket_context = NULL;
        return;
    }
    (void)atomic_fetch_add(&httpd->connections, 1);
    struct peer *peer = check_calloc(1, sizeof(*peer));
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char host[INET6_ADDRSTRLEN] = "";
    char port[8] = "";
    const struct sockaddr *address = info == NULL ? NULL : info->client_addr;
    socklen_t length = address != NULL && address->sa_family == AF_INET6
                           ? (socklen_t)sizeof(struct sockaddr_in6)
                           : (socklen_t)sizeof(struct sockaddr_in);
    if (address != NULL && getnameinfo(address, length, host, sizeof(host), port, sizeof(port),
                                       NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        static const char mapped[] = "::ffff:"; // an IPv4 client of a socket for both
        const char *bare = str_starts(host, mapped) ? host + strlen(mapped) : host;
        (void)snprintf(peer->address, sizeof(peer->address), "%s:%s", bare, port);
    }
    *socket_context = peer;
}

/* Paths and queries are decoded by us. */
static size_t keep_escaped(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

/* ---- start and stop ---- */

static void log_of_library(void *context, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void log_of_library(void *context, const char *format, va_list args)
{
    char text[256];
    (void)context;
    if (!log_enabled(LOG_DEBUG))
        return;
    (void)vsnprintf(text, sizeof(text), format, args);
    text[strcspn(text, "\r\n")] = '\0';
    log_debug("http server", LOG_STR("text", text));
}

static void httpd_release(struct httpd *httpd)
{
    fd_closep(&httpd->listener);
    (void)pthread_mutex_destroy(&httpd->lock);
    (void)pthread_cond_destroy(&httpd->changed);
    union {
        const char *constant;
        char *plain;
    } folder = { .constant = httpd->options.spool_folder };
    free(folder.plain);
    free(httpd);
}

static bool start_daemon(struct httpd *httpd, struct error *err)
{
    const struct httpd_options *options = &httpd->options;
    unsigned threads = options->threads > 1 ? options->threads : 0; // 0: one, without a pool
    httpd->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
        on_request, httpd, MHD_OPTION_EXTERNAL_LOGGER, log_of_library, NULL,
        MHD_OPTION_LISTEN_SOCKET, httpd->listener, MHD_OPTION_CONNECTION_LIMIT,
        options->connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)(options->idle_timeout / USEC_SEC), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        CONNECTION_MEMORY, MHD_OPTION_CONNECTION_MEMORY_INCREMENT, CONNECTION_INCREMENT,
        MHD_OPTION_THREAD_POOL_SIZE, threads, MHD_OPTION_URI_LOG_CALLBACK, on_target, httpd,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        httpd, MHD_OPTION_NOTIFY_CONNECTION, on_connection, httpd, MHD_OPTION_END);
    return httpd->daemon != NULL ||
           error_set(err, ERR_INTERNAL, "start the HTTP server: %s", strerror(errno));
}

struct httpd *httpd_start(const struct httpd_options *options, struct error *err)
{
    CHECK(options->handler != NULL);
    int listener = listener_open(options, err);
    if (listener < 0)
        return NULL;

    struct httpd *httpd = check_calloc(1, sizeof(*httpd));
    httpd->options = *options;
    if (options->spool_folder != NULL)
        httpd->options.spool_folder = check_strdup(options->spool_folder);
    if (options->connections_max == 0)
        httpd->options.connections_max = CONNECTIONS_MAX;
    if (options->idle_timeout == 0)
        httpd->options.idle_timeout = IDLE_TIMEOUT;
    if (options->body_max == 0)
        httpd->options.body_max = BODY_MAX;
    httpd->listener = listener;
    httpd->port = listener_port(listener);
    list_init(&httpd->waiters);
    CHECK(pthread_mutex_init(&httpd->lock, NULL) == 0);
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&httpd->changed, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);

    // Signals are for the main thread; threads inherit the mask.
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    bool is_watching = pthread_create(&httpd->watcher, NULL, watch_clients, httpd) == 0;
    bool is_started = is_watching && start_daemon(httpd, err);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!is_watching)
        error_set(err, ERR_LIMIT, "start the HTTP server: no more threads");
    if (!is_started) {
        if (is_watching) {
            (void)pthread_mutex_lock(&httpd->lock);
            httpd->is_over = true;
            (void)pthread_cond_broadcast(&httpd->changed);
            (void)pthread_mutex_unlock(&httpd->lock);
            (void)pthread_join(httpd->watcher, NULL);
        }
        httpd_release(httpd);
        return NULL;
    }
    return httpd;
}

unsigned httpd_port(const struct httpd *httpd)
{
    return httpd->port;
}

void httpd_quiesce(struct httpd *httpd)
{
    // Closed later: a server thread may be about to accept from it.
    if (MHD_quiesce_daemon(httpd->daemon) != MHD_INVALID_SOCKET)
        (void)shutdown(httpd->listener, SHUT_RDWR);
}

/* Answers requests that wait, and lets streams end. */
static void end_waiters(struct httpd *httpd)
{
    (void)pthread_mutex_lock(&httpd->lock);
    // A handler that began before is_stopping was set may still leave a request waiting.
    while (atomic_load(&httpd->calls) > 0)
        (void)pthread_cond_wait(&httpd->changed, &httpd->lock);
    while (!list_is_empty(&httpd->waiters)) {
        struct waiter *waiter = LIST_OWNER(httpd->waiters.next, struct waiter, link);
        struct httpd_stream *stream = waiter->stream;
        if (stream != NULL)
            httpd_stream_ref(stream);
        list_remove(&waiter->link);
        // The owner may answer at this moment, which ends its reference: the claim comes first.
        struct request *request =
            stream == NULL ? LIST_OWNER(waiter, struct request, waiter) : NULL;
        bool is_ours = request != NULL && claim(request);
        (void)pthread_mutex_unlock(&httpd->lock);
        if (stream != NULL) {
            stream_lose(stream);
            httpd_stream_unref(stream);
        } else if (is_ours) {
            refuse_waiting(request);
        }
        (void)pthread_mutex_lock(&httpd->lock);
    }
    while (atomic_load(&httpd->waiting) > 0)
        (void)pthread_cond_wait(&httpd->changed, &httpd->lock);
    // What is still being sent gets a moment.
    usec_t due = clock_monotonic() + STOP_TIME;
    struct timespec until = { .tv_sec = (time_t)(due / USEC_SEC) };
    int waited = 0;
    while (atomic_load(&httpd->active) > 0 && waited == 0)
        waited = pthread_cond_timedwait(&httpd->changed, &httpd->lock, &until);
    httpd->is_over = true;
    (void)pthread_cond_broadcast(&httpd->changed);
    (void)pthread_mutex_unlock(&httpd->lock);
}

void httpd_stop(struct httpd *httpd)
{
    if (httpd == NULL)
        return;
    atomic_store(&httpd->is_stopping, true);
    httpd_quiesce(httpd);
    end_waiters(httpd);
    (void)pthread_join(httpd->watcher, NULL);
    MHD_stop_daemon(httpd->daemon);
    httpd_release(httpd);
}

struct httpd_counts httpd_counts(struct httpd *httpd)
{
    return (struct httpd_counts){
        .requests = atomic_load(&httpd->requests),
        .waiting = (uint64_t)atomic_load(&httpd->waiting),
        .streams = (uint64_t)atomic_load(&httpd->streams),
        .connections = (uint64_t)atomic_load(&httpd->connections),
    };
}
