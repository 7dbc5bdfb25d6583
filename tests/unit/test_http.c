/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client against our own server, and against a scripted peer for what a server must not
 * do. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/http.h"
#include "base/httpd.h"
#include "base/str.h"
#include "tests/support/test.h"

/* ---- a server that says what it got ---- */

static void echo(void *context, struct httpd_request *request)
{
    (void)context;
    struct buf text = { 0 };
    const char *first = request->segments_count > 0 ? request->segments[0] : "";
    if (str_eq(first, "redirect")) {
        struct http_field location = { "Location", "/arrived" };
        struct httpd_reply reply = { .status = 302, .headers = &location, .headers_count = 1 };
        httpd_reply(request, &reply);
        return;
    }
    if (str_eq(first, "loop")) {
        struct http_field location = { "Location", "/loop" };
        struct httpd_reply reply = { .status = 302, .headers = &location, .headers_count = 1 };
        httpd_reply(request, &reply);
        return;
    }
    if (str_eq(first, "big")) {
        size_t length = 10U << 20;
        char *bytes = malloc(length);
        memset(bytes, 'x', length);
        struct httpd_reply reply = {
            .status = 200,
            .body = HTTPD_BODY_MALLOC,
            .bytes = bytes,
            .length = length,
        };
        httpd_reply(request, &reply);
        return;
    }
    if (str_eq(first, "digest") && http_header_find(&request->headers, "Authorization") == NULL) {
        struct http_field challenge = { "WWW-Authenticate",
                                        "Digest realm=\"r\", nonce=\"n\", qop=\"auth\"" };
        struct httpd_reply reply = { .status = 401, .headers = &challenge, .headers_count = 1 };
        httpd_reply(request, &reply);
        return;
    }
    buf_printf(&text, "%s %s\n", request->method, request->target);
    for (size_t i = 0; i < request->headers.count; i++) {
        const struct http_field *header = &request->headers.items[i];
        if (!str_eq_nocase(header->name, "Host"))
            buf_printf(&text, "%s: %s\n", header->name, header->value);
    }
    buf_printf(&text, "\n%s", request->body);
    for (size_t i = 0; i < request->parts_count; i++)
        buf_printf(&text, "[%s|%s|%s|%zu]", request->parts[i].name,
                   request->parts[i].file_name == NULL ? "-" : request->parts[i].file_name,
                   request->parts[i].type == NULL ? "-" : request->parts[i].type,
                   request->parts[i].length);
    struct http_field headers[] = { { "X-Twice", "1" }, { "X-Twice", "2" } };
    struct httpd_reply reply = {
        .status = str_eq(first, "teapot") ? 418 : 200,
        .type = "text/plain",
        .headers = headers,
        .headers_count = 2,
        .bytes = text.bytes,
        .length = text.length,
    };
    httpd_reply(request, &reply);
    buf_free(&text);
}

struct fixture {
    struct arena *arena;
    struct httpd *httpd;
    struct http_response response;
    struct error err;
    enum http_reach reach;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->arena = arena_new();
    struct httpd_options options = {
        .host = "127.0.0.1",
        .handler = echo,
        .body_max = 64 << 20,
    };
    f->httpd = httpd_start(&options, &f->err);
    *state = f;
    return f->httpd == NULL;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    httpd_stop(f->httpd);
    arena_free(f->arena);
    free(f);
    return 0;
}

static const char *url(struct fixture *f, const char *path)
{
    return arena_printf(f->arena, "http://127.0.0.1:%u%s", httpd_port(f->httpd), path);
}

static const struct http_response *call(struct fixture *f, const struct http_request *request)
{
    if (!http_call(f->arena, request, &f->response, &f->reach, &f->err))
        fail_msg("%s", f->err.text);
    return &f->response;
}

static void assert_holds(const char *text, const char *piece)
{
    if (strstr(text, piece) == NULL)
        fail_msg("no '%s' in:\n%s", piece, text);
}

static void assert_lacks(const char *text, const char *piece)
{
    if (strstr(text, piece) != NULL)
        fail_msg("'%s' in:\n%s", piece, text);
}

static void http_gets_with_query_and_headers(void **state)
{
    struct fixture *f = *state;
    struct http_field pairs[] = { { "a b", "ü&=" }, { "a b", "2" } };
    struct http_fields query = { pairs, 2, 2 };
    struct http_field lines[] = { { "X-One", "1" }, { "X-Empty", "" }, { "Accept", NULL } };
    struct http_fields headers = { lines, 3, 3 };
    struct http_request request = {
        .url = url(f, "/x?first=0#fragment"),
        .query = &query,
        .headers = &headers,
    };
    const struct http_response *response = call(f, &request);
    assert_int_equal(response->status, 200);
    assert_holds(response->body, "GET /x?first=0&a%20b=%C3%BC%26%3D&a%20b=2\n");
    assert_holds(response->body, "X-One: 1\n");
    assert_holds(response->body, "X-Empty: \n");
    assert_lacks(response->body, "Accept:");
    assert_lacks(response->body, "Content-Type:");
    assert_string_equal(http_header_find(&response->headers, "content-type"), "text/plain");
    size_t twice = 0;
    for (size_t i = 0; i < response->headers.count; i++)
        twice += str_eq(response->headers.items[i].name, "X-Twice");
    assert_int_equal(twice, 2);
    assert_int_equal(strlen(response->body), response->length);
}

static ptrdiff_t three_pieces(void *context, void *bytes, size_t max, struct error *err)
{
    int *left = context;
    (void)err;
    assert_true(max >= 5);
    if ((*left)-- <= 0)
        return 0;
    memcpy(bytes, "piece", 5);
    return 5;
}

static void http_sends_bodies_of_every_kind(void **state)
{
    struct fixture *f = *state;
    struct http_request request = { .url = url(f, "/"), .body = "a=1", .body_length = 3 };
    const char *body = call(f, &request)->body;
    assert_holds(body, "POST /\n");
    assert_holds(body, "Content-Length: 3\n");
    assert_lacks(body, "Content-Type");
    assert_lacks(body, "Expect");
    assert_holds(body, "\n\na=1");

    request.method = "PUT";
    assert_holds(call(f, &request)->body, "PUT /\n");
    struct http_request empty = { .url = url(f, "/"), .method = "POST" };
    assert_holds(call(f, &empty)->body, "Content-Length: 0\n");
    struct http_request removal = { .url = url(f, "/"), .method = "DELETE" };
    assert_holds(call(f, &removal)->body, "DELETE /\n");
    struct http_request head = { .url = url(f, "/"), .method = "HEAD" };
    assert_string_equal(call(f, &head)->body, "");

    int left = 3;
    struct http_request streamed = {
        .url = url(f, "/"),
        .method = "POST",
        .source = three_pieces,
        .source_context = &left,
        .source_length = -1,
    };
    body = call(f, &streamed)->body;
    assert_holds(body, "POST /\n");
    assert_holds(body, "Transfer-Encoding: chunked\n");
    assert_holds(body, "\n\npiecepiecepiece");
}

static void http_sends_forms_with_files(void **state)
{
    struct fixture *f = *state;
    const char *path = arena_printf(f->arena, "%s/file", test_folder());
    size_t length = 3U << 20;
    char *bytes = calloc(1, length);
    assert_true(fs_write_atomic(path, bytes, length, 0600, &f->err));
    struct http_part parts[] = {
        { .name = "field", .bytes = "v\r\nw", .length = 4 },
        { .name = "file", .file_name = "a \"b\".bin", .path = path },
        { .name = "typed", .type = "application/json", .bytes = "{}", .length = 2 },
    };
    struct http_request request = { .url = url(f, "/"), .parts = parts, .parts_count = 3 };
    assert_holds(call(f, &request)->body,
                 "[field|-|-|4][file|a %22b%22.bin|application/octet-stream|3145728]"
                 "[typed|-|application/json|2]");
    free(bytes);

    parts[1].path = "/no/such/file";
    assert_false(http_call(f->arena, &request, &f->response, &f->reach, &f->err));
    assert_int_equal(f->err.code, ERR_NOT_FOUND);
    assert_int_equal(f->reach, HTTP_NOT_SENT);
}

static void http_authenticates(void **state)
{
    struct fixture *f = *state;
    struct http_request request = {
        .url = url(f, "/"),
        .auth = HTTP_AUTH_BASIC,
        .user = "me",
        .password = "p:w",
    };
    assert_holds(call(f, &request)->body, "Authorization: Basic bWU6cDp3\n");
    request.auth = HTTP_AUTH_BEARER;
    request.password = "token";
    assert_holds(call(f, &request)->body, "Authorization: Bearer token\n");
    request.auth = HTTP_AUTH_DIGEST;
    request.url = url(f, "/digest");
    assert_holds(call(f, &request)->body, "Authorization: Digest username=\"me\"");
    assert_int_equal(f->response.status, 200);
    request.auth = HTTP_AUTH_SIGV4;
    request.sigv4 = "aws:amz:eu-west-3:s3";
    assert_holds(call(f, &request)->body, "Authorization: AWS4-HMAC-SHA256 Credential=me/");
}

static void http_follows_redirects_within_bounds(void **state)
{
    struct fixture *f = *state;
    struct http_request request = { .url = url(f, "/redirect"), .body = "x", .body_length = 1 };
    const struct http_response *response = call(f, &request);
    assert_holds(response->body, "GET /arrived\n");
    assert_true(str_ends(response->url, "/arrived"));
    request.no_redirects = true;
    assert_int_equal(call(f, &request)->status, 302);
    assert_string_equal(http_header_find(&f->response.headers, "Location"), "/arrived");

    struct http_request loop = { .url = url(f, "/loop") };
    assert_false(http_call(f->arena, &loop, &f->response, &f->reach, &f->err));
    assert_int_equal(f->err.code, ERR_LIMIT);
}

static bool count_bytes(void *context, const void *bytes, size_t length, struct error *err)
{
    (void)bytes;
    (void)err;
    *(size_t *)context += length;
    return true;
}

static bool refuse_bytes(void *context, const void *bytes, size_t length, struct error *err)
{
    (void)context;
    (void)bytes;
    (void)length;
    return error_set(err, ERR_LIMIT, "enough");
}

static void http_bounds_and_streams_responses(void **state)
{
    struct fixture *f = *state;
    struct http_request request = { .url = url(f, "/big"), .body_max = 1000 };
    assert_false(http_call(f->arena, &request, &f->response, &f->reach, &f->err));
    assert_int_equal(f->err.code, ERR_LIMIT);
    assert_holds(f->err.text, "longer than 1000 bytes");

    size_t count = 0;
    request.sink = count_bytes;
    request.context = &count;
    assert_int_equal(call(f, &request)->length, 10U << 20);
    assert_int_equal(count, 10U << 20);
    request.sink = refuse_bytes;
    assert_false(http_call(f->arena, &request, &f->response, &f->reach, &f->err));
    assert_holds(f->err.text, "enough");

    int fd = fs_temp(NULL, &f->err);
    struct http_request to_file = { .url = url(f, "/big"), .to_fd = true, .sink_fd = fd };
    assert_int_equal(call(f, &to_file)->status, 200);
    assert_int_equal(lseek(fd, 0, SEEK_END), 10 << 20);
    (void)close(fd);
}

static void http_streams_are_pulled(void **state)
{
    struct fixture *f = *state;
    struct http_request request = { .url = url(f, "/big") };
    struct http_request small = { .url = url(f, "/small") };
    struct http_stream *stream = http_stream_open(f->arena, &request, &f->response, &f->err);
    assert_non_null(stream);
    assert_int_equal(f->response.status, 200);
    size_t total = 0;
    char bytes[10000];
    for (int reads = 0;; reads++) {
        ptrdiff_t got = http_stream_read(stream, bytes, sizeof(bytes), &f->err);
        assert_true(got >= 0);
        if (got == 0)
            break;
        total += (size_t)got;
        // Another call of the thread does not disturb the stream.
        if (reads == 3) {
            struct http_response other;
            assert_true(http_call(f->arena, &small, &other, NULL, &f->err));
            assert_holds(other.body, "GET /small");
        }
    }
    assert_int_equal(total, 10U << 20);
    assert_int_equal(http_stream_read(stream, bytes, sizeof(bytes), &f->err), 0);
    http_stream_close(stream);

    stream = http_stream_open(f->arena, &request, &f->response, &f->err);
    http_stream_close(stream); // in the middle
}

static void http_keeps_its_connections(void **state)
{
    struct fixture *f = *state;
    http_thread_release();
    struct http_request request = { .url = url(f, "/") };
    for (int i = 0; i < 20; i++)
        (void)call(f, &request);
    assert_int_equal(httpd_counts(f->httpd).connections, 1);
    assert_int_equal(httpd_counts(f->httpd).requests, 20);
    http_thread_release();
}

static void http_says_what_is_malformed(void **state)
{
    struct fixture *f = *state;
    static const char *const urls[] = { "", "nothing", "ftp://host/", "http://",
                                        "http://h:99999/" };
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct http_request request = { .url = urls[i] };
        assert_false(http_call(f->arena, &request, &f->response, &f->reach, &f->err));
        assert_int_equal(f->err.code, ERR_INVALID);
    }
    struct http_field line = { "X", "a\r\nInjected: 1" };
    struct http_fields headers = { &line, 1, 1 };
    struct http_request request = { .url = url(f, "/"), .headers = &headers };
    assert_false(http_call(f->arena, &request, &f->response, &f->reach, &f->err));
    assert_int_equal(f->err.code, ERR_INVALID);
    line = (struct http_field){ "bad name", "x" };
    assert_false(http_call(f->arena, &request, &f->response, &f->reach, &f->err));
    assert_int_equal(f->err.code, ERR_INVALID);
}

/* ---- a peer with a script ---- */

struct peer {
    int listener;
    unsigned port;
    const char *answer; /* NULL: stays silent until the other side closes */
    pthread_t thread;
};

static void *play(void *context)
{
    const struct peer *peer = context;
    int fd = accept(peer->listener, NULL, NULL);
    char bytes[4096];
    if (fd < 0)
        return NULL;
    (void)!read(fd, bytes, sizeof(bytes));
    if (peer->answer != NULL)
        (void)!write(fd, peer->answer, strlen(peer->answer));
    else
        while (read(fd, bytes, sizeof(bytes)) > 0)
            ;
    (void)close(fd);
    return NULL;
}

static void peer_open(struct peer *peer)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr = { htonl(INADDR_LOOPBACK) },
    };
    socklen_t length = sizeof(address);
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &length), 0);
    peer->port = ntohs(address.sin_port);
}

static void peer_play(struct peer *peer, const char *answer)
{
    peer_open(peer);
    peer->answer = answer;
    assert_int_equal(listen(peer->listener, 5), 0);
    assert_int_equal(pthread_create(&peer->thread, NULL, play, peer), 0);
}

static void peer_close(struct peer *peer)
{
    assert_int_equal(pthread_join(peer->thread, NULL), 0);
    (void)close(peer->listener);
}

/* The error of a call to a peer that plays `answer`. */
static void fails(struct fixture *f, const char *answer, enum error_code code, const char *word)
{
    struct peer peer;
    peer_play(&peer, answer);
    struct http_request request = {
        .url = arena_printf(f->arena, "http://me:secret@127.0.0.1:%u/path?key=hidden", peer.port),
    };
    if (http_call(f->arena, &request, &f->response, &f->reach, &f->err))
        fail_msg("no failure with: %s", answer);
    peer_close(&peer);
    assert_int_equal(f->err.code, code);
    assert_int_equal(f->reach, HTTP_AMBIGUOUS);
    assert_holds(f->err.text, word);
    assert_holds(f->err.text, arena_printf(f->arena, "GET http://127.0.0.1:%u: ", peer.port));
    assert_lacks(f->err.text, "secret");
    assert_lacks(f->err.text, "hidden");
}

static void http_names_host_and_reason_but_no_secrets(void **state)
{
    struct fixture *f = *state;
    fails(f, "", ERR_UNAVAILABLE, "without an answer");
    fails(f, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", ERR_UNAVAILABLE, "in the middle");
    fails(f, "no protocol of mine\r\n\r\n", ERR_UNAVAILABLE, "not HTTP");
    fails(f, "HTTP/1.1 302 F\r\nLocation: ftp://x/\r\n\r\n", ERR_INVALID, "a redirect to");
    struct buf huge = { 0 };
    buf_puts(&huge, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 4000; i++)
        buf_printf(&huge, "X-%d: %080d\r\n", i, i);
    fails(f, buf_text(&huge), ERR_LIMIT, "headers are longer");
    buf_free(&huge);

    struct peer peer;
    peer_open(&peer); // bound, not listening
    struct http_request request = {
        .url = arena_printf(f->arena, "http://127.0.0.1:%u/", peer.port),
    };
    assert_false(http_call(f->arena, &request, &f->response, &f->reach, &f->err));
    (void)close(peer.listener);
    assert_int_equal(f->err.code, ERR_UNAVAILABLE);
    assert_int_equal(f->reach, HTTP_NOT_SENT);
    assert_holds(f->err.text, "Connection refused");

    struct http_request unknown = { .url = "http://name.invalid/" };
    assert_false(http_call(f->arena, &unknown, &f->response, &f->reach, &f->err));
    assert_int_equal(f->err.code, ERR_UNAVAILABLE);
    assert_holds(f->err.text, "host not found");
}

static void http_ends_at_each_of_its_timeouts(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_play(&peer, NULL);
    struct http_request idle = {
        .url = arena_printf(f->arena, "http://127.0.0.1:%u/", peer.port),
        .idle_timeout = 20 * USEC_MSEC,
    };
    assert_false(http_call(f->arena, &idle, &f->response, &f->reach, &f->err));
    peer_close(&peer);
    assert_int_equal(f->err.code, ERR_TIMEOUT);
    assert_holds(f->err.text, "idle timeout");

    peer_play(&peer, NULL);
    struct http_request total = {
        .url = arena_printf(f->arena, "http://127.0.0.1:%u/", peer.port),
        .total_timeout = 20 * USEC_MSEC,
    };
    assert_false(http_call(f->arena, &total, &f->response, &f->reach, &f->err));
    peer_close(&peer);
    assert_int_equal(f->err.code, ERR_TIMEOUT);
    assert_holds(f->err.text, "total timeout");
}

static void *set_flag(void *context)
{
    atomic_store((atomic_bool *)context, true);
    return NULL;
}

static void http_ends_when_cancelled(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    atomic_bool cancel = false;
    pthread_t thread;
    peer_play(&peer, NULL);
    struct http_request request = {
        .url = arena_printf(f->arena, "http://127.0.0.1:%u/", peer.port),
        .cancel = &cancel,
    };
    assert_int_equal(pthread_create(&thread, NULL, set_flag, &cancel), 0);
    assert_false(http_call(f->arena, &request, &f->response, &f->reach, &f->err));
    assert_int_equal(f->err.code, ERR_CANCELLED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)shutdown(peer.listener, SHUT_RDWR); // in case nobody ever connected
    peer_close(&peer);
}

static void url_takes_apart_and_shows(void **state)
{
    struct fixture *f = *state;
    struct url parsed;
    assert_true(url_parse(f->arena, "HTTPS://me:p%40w@Host.Example:8443/a%2Fb?x=1#y", &parsed));
    assert_string_equal(parsed.scheme, "https");
    assert_string_equal(parsed.user, "me");
    assert_string_equal(parsed.password, "p@w");
    assert_string_equal(parsed.host, "host.example");
    assert_int_equal(parsed.port, 8443);
    assert_string_equal(parsed.path, "/a%2Fb");
    assert_string_equal(parsed.query, "x=1");
    assert_true(url_parse(f->arena, "http://[::1]:80", &parsed));
    assert_string_equal(parsed.host, "::1");
    assert_string_equal(parsed.path, "");
    assert_false(url_parse(f->arena, "mailto:me@host", &parsed));
    assert_true(url_parse(f->arena, "file:///etc/hosts", &parsed));
    const char *secret = "https://me:pw@h.example/p?token=t&x";
    assert_string_equal(url_origin(f->arena, secret), "https://h.example");
    assert_string_equal(url_shown(f->arena, secret), "https://h.example/p?token=…&x=…");
    assert_string_equal(url_origin(f->arena, "http://[::1]:80/x"), "http://[::1]:80");
    size_t length = 0;
    assert_memory_equal(url_decode(f->arena, "a+%00%zz%2", 10, true, &length), "a \0%zz%2", 9);
    assert_int_equal(length, 8);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    WITH(http_gets_with_query_and_headers),
    WITH(http_sends_bodies_of_every_kind),
    WITH(http_sends_forms_with_files),
    WITH(http_authenticates),
    WITH(http_follows_redirects_within_bounds),
    WITH(http_bounds_and_streams_responses),
    WITH(http_streams_are_pulled),
    WITH(http_keeps_its_connections),
    WITH(http_says_what_is_malformed),
    WITH(http_names_host_and_reason_but_no_secrets),
    WITH(http_ends_at_each_of_its_timeouts),
    WITH(http_ends_when_cancelled),
    WITH(url_takes_apart_and_shows),
};
TEST_GROUP(http, tests)
