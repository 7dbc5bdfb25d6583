/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each thread has a multi handle, which keeps its connections, and a spare easy handle. A call adds
 * an easy handle, turns the multi handle until that transfer has ended, and takes it out again. Two
 * streams of one thread are driven together; a stream that nobody reads pauses.
 */
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/http_internal.h"
#include "base/str.h"
#include "base/vec.h"

/* Connections kept per thread: a task talks to one or two servers. */
#define CONNECTIONS_MAX 8L

/* How often a wait looks at `cancel` and at the clock. */
#define WAIT_MSEC        1000
#define WAIT_CANCEL_MSEC 100

/* Bytes of a stream received ahead of its reader. */
#define AHEAD_BYTES ((size_t)256 * 1024)

/* ---- threads ---- */

static pthread_key_t client_key;

static void client_free(void *context)
{
    struct client *client = context;
    if (client->spare != NULL)
        curl_easy_cleanup(client->spare);
    (void)curl_multi_cleanup(client->multi);
    free(client);
}

static void initialise(void)
{
    CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    CHECK(pthread_key_create(&client_key, client_free) == 0);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct client *client_of_thread(void)
{
    (void)pthread_once(&once, initialise);
    struct client *client = pthread_getspecific(client_key);
    if (client != NULL)
        return client;
    client = check_calloc(1, sizeof(*client));
    client->multi = curl_multi_init();
    CHECK(client->multi != NULL);
    (void)curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_MAX);
    CHECK(pthread_setspecific(client_key, client) == 0);
    return client;
}

void http_thread_release(void)
{
    (void)pthread_once(&once, initialise);
    struct client *client = pthread_getspecific(client_key);
    if (client == NULL)
        return;
    (void)pthread_setspecific(client_key, NULL);
    client_free(client);
}

/* ---- one transfer ---- */

static void moved(struct transfer *transfer)
{
    transfer->moved = clock_monotonic();
}

/* Whether the response whose headers ended is not the final one. */
static bool is_interim(const struct transfer *transfer)
{
    int status = transfer->response->status;
    const struct http_request *request = transfer->request;
    if (status < 200)
        return true;
    if (status >= 300 && status < 400 && !request->no_redirects &&
        http_header_find(&transfer->response->headers, "Location") != NULL)
        return true;
    return request->auth == HTTP_AUTH_DIGEST && (status == 401 || status == 407);
}

/* The final headers are there: tells the caller, once. */
static bool deliver_head(struct transfer *transfer)
{
    if (transfer->has_head)
        return true;
    transfer->has_head = true;
    const struct http_request *request = transfer->request;
    return request->head == NULL ||
           request->head(request->context, transfer->response, &transfer->failure);
}

size_t transfer_on_header(char *bytes, size_t one, size_t length, void *context)
{
    struct transfer *transfer = context;
    struct http_response *response = transfer->response;
    (void)one; // always 1
    moved(transfer);
    transfer->header_bytes += length;
    if (transfer->header_bytes > HTTP_HEADERS_MAX) {
        error_set(&transfer->failure, ERR_LIMIT, "headers are longer than %zu bytes",
                  HTTP_HEADERS_MAX);
        return 0;
    }
    if (length > 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        // Another response: the one before was a redirect, a challenge, or an interim one.
        response->headers = (struct http_fields){ 0 };
        long status = 0;
        (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
        const char *space = memchr(bytes, ' ', length);
        response->status = space == NULL ? (int)status : (int)strtol(space, NULL, 10);
        return length;
    }
    if (bytes[0] == '\r' || bytes[0] == '\n') {
        if (!is_interim(transfer) && !deliver_head(transfer))
            return 0;
        return length;
    }
    const char *colon = memchr(bytes, ':', length);
    if (colon == NULL)
        return length; // a stray line is the server's problem
    char *name = arena_strndup(transfer->arena, bytes, (size_t)(colon - bytes));
    char *value = arena_strndup(transfer->arena, colon + 1, length - (size_t)(colon - bytes) - 1);
    struct http_field *field = VEC_PUSH_ARENA(transfer->arena, &response->headers);
    field->name = name;
    field->value = str_trim(transfer->arena, value);
    return length;
}

size_t transfer_on_body(char *bytes, size_t one, size_t length, void *context)
{
    struct transfer *transfer = context;
    const struct http_request *request = transfer->request;
    (void)one; // always 1
    if (transfer->is_stream && transfer->body.length - transfer->body_read >= AHEAD_BYTES) {
        transfer->is_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    moved(transfer);
    if (!deliver_head(transfer))
        return 0;
    bool is_fine = true;
    if (transfer->is_stream) {
        buf_add(&transfer->body, bytes, length);
    } else if (request->sink != NULL) {
        is_fine = request->sink(request->context, bytes, length, &transfer->failure);
    } else if (request->to_fd) {
        is_fine = fs_write_fd(request->sink_fd, bytes, length, "download", &transfer->failure);
    } else if (length > transfer->body_max - transfer->body.length) {
        is_fine = error_set(&transfer->failure, ERR_LIMIT, "the body is longer than %zu bytes",
                            transfer->body_max);
    } else {
        buf_add(&transfer->body, bytes, length);
    }
    transfer->response->length += length;
    return is_fine ? length : 0;
}

size_t transfer_on_source(char *bytes, size_t one, size_t max, void *context)
{
    struct transfer *transfer = context;
    const struct http_request *request = transfer->request;
    (void)one; // always 1
    moved(transfer);
    ptrdiff_t got = request->source(request->source_context, bytes, max, &transfer->failure);
    return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

/* Connected; the request goes out next. */
int transfer_on_ready(void *context, char *remote, char *local, int remote_port, int local_port)
{
    struct transfer *transfer = context;
    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    transfer->is_sent = true;
    moved(transfer);
    return CURL_PREREQFUNC_OK;
}

/* ---- driving ---- */

static void transfer_init(struct transfer *transfer,
                          struct arena *arena,
                          const struct http_request *request,
                          struct http_response *response)
{
    *response = (struct http_response){ .body = "" };
    struct client *client = client_of_thread();
    CURL *easy = client->spare == NULL ? curl_easy_init() : client->spare;
    CHECK(easy != NULL);
    client->spare = NULL;
    *transfer = (struct transfer){
        .client = client,
        .easy = easy,
        .request = request,
        .response = response,
        .arena = arena,
        .method = request->method != NULL     ? request->method
                  : request_has_body(request) ? "POST"
                                              : "GET",
        .body_max = request->body_max > 0 ? request->body_max : HTTP_BODY_MAX,
        .started = clock_monotonic(),
    };
    transfer->moved = transfer->started;
}

static void transfer_release(struct transfer *transfer)
{
    struct client *client = transfer->client;
    (void)curl_multi_remove_handle(client->multi, transfer->easy); // fine when it was never added
    curl_slist_free_all(transfer->headers);
    curl_mime_free(transfer->mime);
    for (size_t i = 0; i < transfer->files.count; i++)
        (void)close(transfer->files.items[i]);
    if (client->spare == NULL) {
        curl_easy_reset(transfer->easy); // keeps caches, forgets options
        client->spare = transfer->easy;
    } else {
        curl_easy_cleanup(transfer->easy);
    }
    buf_free(&transfer->body);
}

static bool transfer_start(struct transfer *transfer, struct error *err)
{
    if (!transfer_set_options(transfer, err))
        return false;
    CHECK(curl_multi_add_handle(transfer->client->multi, transfer->easy) == CURLM_OK);
    return true;
}

/* Marks transfers of the client that have ended, also others than the one that is waited for. */
static void take_results(struct client *client)
{
    int left = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        char *context = NULL;
        CURLcode result = message->data.result;
        CHECK(curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &context) == CURLE_OK);
        struct transfer *ended = (struct transfer *)(void *)context;
        ended->is_done = true;
        ended->result = result;
    }
}

/* Ends a transfer from our side. */
static void give_up(struct transfer *transfer, enum error_code code, const char *text)
{
    if (transfer->failure.code == ERR_NONE)
        error_set(&transfer->failure, code, "%s", text);
    transfer->is_done = true;
    transfer->result = CURLE_ABORTED_BY_CALLBACK;
}

/* One round: moves what can be moved, and waits when there was nothing. */
static void transfer_turn(struct transfer *transfer)
{
    const struct http_request *request = transfer->request;
    if (request->cancel != NULL && atomic_load(request->cancel)) {
        give_up(transfer, ERR_CANCELLED, "cancelled");
        return;
    }
    int running = 0;
    CHECK(curl_multi_perform(transfer->client->multi, &running) == CURLM_OK);
    take_results(transfer->client);
    if (transfer->is_done || (transfer->is_stream && transfer->body_read < transfer->body.length))
        return;

    usec_t idle = request->idle_timeout > 0 ? request->idle_timeout : HTTP_IDLE_TIMEOUT;
    usec_t left = idle == USEC_NEVER ? USEC_NEVER : transfer->moved + idle - clock_monotonic();
    // While connecting, the connect timeout counts.
    if (transfer->is_sent && left <= 0) {
        char text[96];
        (void)snprintf(text, sizeof(text), "no byte moved for %.1f s (idle timeout)",
                       (double)idle / (double)USEC_SEC);
        give_up(transfer, ERR_TIMEOUT, text);
        return;
    }
    int wait = request->cancel == NULL ? WAIT_MSEC : WAIT_CANCEL_MSEC;
    if (transfer->is_sent && left / USEC_MSEC + 1 < wait)
        wait = (int)(left / USEC_MSEC) + 1;
    CHECK(curl_multi_poll(transfer->client->multi, NULL, 0, wait, NULL) == CURLM_OK);
}

/* Fills err, of the form "<method> <origin>: <what>", and returns false. */
static bool report(struct transfer *transfer, struct error *err)
{
    const struct http_request *request = transfer->request;
    const char *origin = url_origin(transfer->arena, request->url);
    const char *method = transfer->method;
    if (transfer->failure.code != ERR_NONE)
        return error_set(err, transfer->failure.code, "%s %s: %s", method, origin,
                         transfer->failure.text);

    long number = 0;
    usec_t elapsed = clock_monotonic() - transfer->started;
    enum error_code code = ERR_UNAVAILABLE;
    const char *reason = curl_easy_strerror(transfer->result);
    switch ((int)transfer->result) { // of some hundred codes
    case CURLE_UNSUPPORTED_PROTOCOL:
        if (transfer->is_sent && transfer->response->status == 0) {
            reason = "the answer is not HTTP";
            break;
        }
        code = ERR_INVALID;
        reason = "a redirect to something else than http or https";
        break;
    case CURLE_URL_MALFORMAT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        code = ERR_INVALID;
        reason = "the URL, or that of a redirect, is malformed";
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
        reason = "host not found";
        break;
    case CURLE_COULDNT_RESOLVE_PROXY:
        reason = "host of the proxy not found";
        break;
    case CURLE_COULDNT_CONNECT:
        (void)curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &number);
        reason = arena_printf(transfer->arena, "cannot connect: %s",
                              number == 0 ? "unreachable" : strerror((int)number));
        break;
    case CURLE_OPERATION_TIMEDOUT:
        code = ERR_TIMEOUT;
        reason = arena_printf(transfer->arena,
                              request->total_timeout > 0 &&
                                      elapsed >= request->total_timeout - 2 * USEC_MSEC
                                  ? "no complete answer within %.1f s (total timeout)"
                                  : "not connected within %.1f s (connect timeout)",
                              (double)elapsed / (double)USEC_SEC);
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        code = ERR_DENIED;
        reason =
            arena_printf(transfer->arena, "the certificate is not trusted (%s)", transfer->detail);
        break;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        code = ERR_INVALID;
        reason = arena_printf(transfer->arena, "a configured certificate is unusable (%s)",
                              transfer->detail);
        break;
    case CURLE_SSL_CONNECT_ERROR:
        reason = arena_printf(transfer->arena, "TLS failed (%s)", transfer->detail);
        break;
    case CURLE_TOO_MANY_REDIRECTS:
        code = ERR_LIMIT;
        reason = arena_printf(transfer->arena, "more than %d redirects", HTTP_REDIRECTS_MAX);
        break;
    case CURLE_GOT_NOTHING:
        reason = "the server closed the connection without an answer";
        break;
    case CURLE_PARTIAL_FILE:
        reason = "the connection was closed in the middle of the answer";
        break;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        reason = "the connection was reset";
        break;
    case CURLE_SEND_FAIL_REWIND:
        code = ERR_INVALID;
        reason = "the server wants the body again, which came from a stream";
        break;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
        code = ERR_INTERNAL;
        break;
    default:
        break;
    }
    return error_set(err, code, "%s %s: %s", method, origin, reason);
}

/* Where the answer came from, after redirects. */
static void note_url(struct transfer *transfer)
{
    struct http_response *response = transfer->response;
    char *url = NULL;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_EFFECTIVE_URL, &url);
    struct url parsed;
    response->url = "";
    if (url != NULL && url_parse(transfer->arena, url, &parsed)) {
        struct buf text = { 0 };
        buf_puts(&text, url_origin(transfer->arena, url));
        buf_puts(&text, parsed.path);
        if (parsed.query != NULL)
            buf_printf(&text, "?%s", parsed.query);
        response->url = buf_dup(&text, transfer->arena);
        buf_free(&text);
    }
}

static bool transfer_finish(struct transfer *transfer, struct error *err)
{
    transfer->response->elapsed = clock_monotonic() - transfer->started;
    note_url(transfer);
    bool is_fine = transfer->result == CURLE_OK && transfer->failure.code == ERR_NONE &&
                   deliver_head(transfer);
    return is_fine || report(transfer, err);
}

bool http_call(struct arena *arena,
               const struct http_request *request,
               struct http_response *response,
               enum http_reach *reach,
               struct error *err)
{
    struct transfer transfer;
    transfer_init(&transfer, arena, request, response);
    bool is_fine = transfer_start(&transfer, err);
    if (is_fine) {
        while (!transfer.is_done)
            transfer_turn(&transfer);
        is_fine = transfer_finish(&transfer, err);
    }
    if (is_fine && request->sink == NULL && !request->to_fd)
        response->body = buf_dup(&transfer.body, arena);
    if (!is_fine && reach != NULL)
        *reach = transfer.is_sent ? HTTP_AMBIGUOUS : HTTP_NOT_SENT;
    transfer_release(&transfer);
    return is_fine;
}

/* ---- streams ---- */

struct http_stream {
    struct transfer transfer;
};

struct http_stream *http_stream_open(struct arena *arena,
                                     const struct http_request *request,
                                     struct http_response *response,
                                     struct error *err)
{
    struct http_stream *stream = check_calloc(1, sizeof(*stream));
    struct transfer *transfer = &stream->transfer;
    transfer_init(transfer, arena, request, response);
    transfer->is_stream = true;
    bool is_fine = transfer_start(transfer, err);
    if (is_fine) {
        while (!transfer->is_done && !transfer->has_head)
            transfer_turn(transfer);
        // A transfer that has begun to answer is reported by the reads.
        if (!transfer->has_head || transfer->failure.code != ERR_NONE)
            is_fine = transfer_finish(transfer, err);
    }
    if (!is_fine) {
        http_stream_close(stream);
        return NULL;
    }
    response->elapsed = clock_monotonic() - transfer->started;
    note_url(transfer);
    return stream;
}

ptrdiff_t http_stream_read(struct http_stream *stream, void *bytes, size_t max, struct error *err)
{
    struct transfer *transfer = &stream->transfer;
    moved(transfer); // time without a reader is not the server's
    while (transfer->body_read == transfer->body.length && !transfer->is_done) {
        transfer->body_read = 0;
        buf_clear(&transfer->body);
        if (transfer->is_paused) {
            transfer->is_paused = false;
            // Delivers what was held back, and may find that there is too much again.
            (void)curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
            if (transfer->body.length > 0)
                break;
        }
        transfer_turn(transfer);
    }
    size_t count = transfer->body.length - transfer->body_read;
    if (count == 0) {
        bool is_fine = transfer->result == CURLE_OK && transfer->failure.code == ERR_NONE;
        return is_fine || report(transfer, err) ? 0 : -1;
    }
    if (count > max)
        count = max;
    memcpy(bytes, transfer->body.bytes + transfer->body_read, count);
    transfer->body_read += count;
    return (ptrdiff_t)count;
}

void http_stream_close(struct http_stream *stream)
{
    if (stream == NULL)
        return;
    transfer_release(&stream->transfer);
    free(stream);
}

void http_stream_closep(struct http_stream **stream)
{
    http_stream_close(*stream);
}
