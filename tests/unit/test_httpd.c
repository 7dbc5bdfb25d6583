/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server, mostly seen through a bare socket, where every byte is ours. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/http.h"
#include "base/httpd.h"
#include "base/pool.h"
#include "base/str.h"
#include "tests/support/test.h"

struct fixture {
    struct httpd *httpd;
    struct error err;

    /* What the handler does, and what it kept. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct httpd_request *kept;
    struct httpd_stream *stream;
    struct pool *pool;
    atomic_int gone;
    int file;
    unsigned port;
};

static void describe(struct httpd_request *request)
{
    struct buf text = { 0 };
    buf_printf(&text, "%s", request->method);
    for (size_t i = 0; i < request->segments_count; i++)
        buf_printf(&text, " <%s>", request->segments[i]);
    if (request->has_trailing_slash)
        buf_puts(&text, " slash");
    for (size_t i = 0; i < request->query.count; i++)
        buf_printf(&text, " %s=%s", request->query.items[i].name, request->query.items[i].value);
    for (size_t i = 0; i < request->headers.count; i++) {
        if (str_starts(request->headers.items[i].name, "x-") ||
            str_starts(request->headers.items[i].name, "X-"))
            buf_printf(&text, " %s:%s", request->headers.items[i].name,
                       request->headers.items[i].value);
    }
    for (size_t i = 0; i < request->form.count; i++)
        buf_printf(&text, " (%s=%s)", request->form.items[i].name, request->form.items[i].value);
    for (size_t i = 0; i < request->parts_count; i++)
        buf_printf(&text, " {%s %zu %s}", request->parts[i].name, request->parts[i].length,
                   request->parts[i].fd >= 0 ? "disk" : request->parts[i].bytes);
    if (request->body_length > 0)
        buf_printf(&text, " body:%s", request->body);
    httpd_reply_bytes(request, 200, "text/plain", buf_text(&text), text.length);
    buf_free(&text);
}

static void keep(struct fixture *f, struct httpd_request *request)
{
    (void)pthread_mutex_lock(&f->lock);
    f->kept = request;
    (void)pthread_cond_broadcast(&f->changed);
    (void)pthread_mutex_unlock(&f->lock);
}

static struct httpd_request *wait_kept(struct fixture *f)
{
    (void)pthread_mutex_lock(&f->lock);
    while (f->kept == NULL)
        (void)pthread_cond_wait(&f->changed, &f->lock);
    struct httpd_request *request = f->kept;
    f->kept = NULL;
    (void)pthread_mutex_unlock(&f->lock);
    return request;
}

static void note_gone(void *context)
{
    struct fixture *f = context;
    (void)pthread_mutex_lock(&f->lock);
    f->gone++;
    (void)pthread_cond_broadcast(&f->changed);
    (void)pthread_mutex_unlock(&f->lock);
}

static void wait_gone(struct fixture *f)
{
    (void)pthread_mutex_lock(&f->lock);
    while (f->gone == 0)
        (void)pthread_cond_wait(&f->changed, &f->lock);
    (void)pthread_mutex_unlock(&f->lock);
}

static void answer_late(void *context)
{
    struct httpd_request *request = context;
    httpd_reply_bytes(request, 200, "text/plain", request->target, strlen(request->target));
}

static void handle(void *context, struct httpd_request *request)
{
    struct fixture *f = context;
    const char *first = request->segments_count > 0 ? request->segments[0] : "";
    if (str_eq(first, "keep")) {
        httpd_on_gone(request, note_gone, f);
        keep(f, request);
    } else if (str_eq(first, "late")) {
        if (!pool_submit(f->pool, answer_late, request))
            httpd_reply_bytes(request, 503, "text/plain", "busy", 4);
    } else if (str_eq(first, "stream")) {
        struct httpd_reply head = { .status = 200, .type = "text/event-stream" };
        f->stream = httpd_stream_open(request, &head, 10000);
        httpd_stream_on_gone(f->stream, note_gone, f);
        keep(f, request); // only says that the stream is open
    } else if (str_eq(first, "file")) {
        struct httpd_reply reply = {
            .status = 200,
            .body = HTTPD_BODY_FILE,
            .fd = dup(f->file),
            .offset = 2,
            .length = 5,
        };
        httpd_reply(request, &reply);
    } else {
        describe(request);
    }
}

static int64_t begin(void *context, struct httpd_request *request)
{
    (void)context;
    if (http_header_find(&request->headers, "X-Stranger") != NULL) {
        httpd_reply_bytes(request, 401, "text/plain", "who?", 4);
        return -1;
    }
    return str_eq(request->path, "/large") ? 16 << 20 : 1000;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    CHECK(pthread_mutex_init(&f->lock, NULL) == 0);
    CHECK(pthread_cond_init(&f->changed, NULL) == 0);
    f->pool = pool_new("test", 3, 1000);
    struct httpd_options options = {
        .host = "127.0.0.1",
        .setting = "server.listen",
        .handler = handle,
        .begin = begin,
        .context = f,
    };
    f->httpd = httpd_start(&options, &f->err);
    *state = f;
    return f->httpd == NULL;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    httpd_stop(f->httpd);
    pool_free(f->pool);
    (void)pthread_mutex_destroy(&f->lock);
    (void)pthread_cond_destroy(&f->changed);
    free(f);
    return 0;
}

/* ---- a client without manners ---- */

static int dial(const struct fixture *f)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)httpd_port(f->httpd)),
        .sin_addr = { htonl(INADDR_LOOPBACK) },
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Reads until `end` has come, or the connection ends when it is NULL. */
static const char *hear(int fd, const char *end)
{
    static char text[65536];
    size_t used = 0;
    text[0] = '\0';
    while (end == NULL || strstr(text, end) == NULL) {
        ssize_t got = read(fd, text + used, sizeof(text) - 1 - used);
        if (got <= 0)
            break;
        used += (size_t)got;
        text[used] = '\0';
    }
    return text;
}

static const char *ask(const struct fixture *f, const char *text)
{
    int fd = dial(f);
    say(fd, text);
    (void)shutdown(fd, SHUT_WR);
    const char *answer = hear(fd, NULL);
    (void)close(fd);
    return answer;
}

static void assert_holds(const char *text, const char *piece)
{
    if (strstr(text, piece) == NULL)
        fail_msg("no '%s' in:\n%s", piece, text);
}

#define CLOSE "Host: x\r\nConnection: close\r\n"

static void httpd_decodes_segments_after_splitting(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *target;
        const char *expected;
    } rows[] = {
        { "/", "GET" },
        { "/a/b", "GET <a> <b>" },
        { "/a%2Fb/c", "GET <a/b> <c>" },
        { "/a//b/", "GET <a> <> <b> slash" },
        { "/na%C3%AFve+x", "GET <na\xc3\xafve+x>" },
        { "/a?x=1+2&y%5Bz%5D=%26&x=3&flag", "GET <a> x=1 2 y[z]=& x=3 flag=" },
        { "/a?x=1?y", "GET <a> x=1?y" },
        { "/100%", "GET <100%>" },
        { "http://host/a?b=c", "GET <a> b=c" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[256];
        (void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" CLOSE "\r\n", rows[i].target);
        const char *answer = ask(f, text);
        const char *body = strstr(answer, "\r\n\r\n");
        if (body == NULL || strcmp(body + 4, rows[i].expected) != 0)
            fail_msg("%s: %s", rows[i].target, answer);
    }
    assert_holds(ask(f, "GET /a%00b HTTP/1.1\r\n" CLOSE "\r\n"), "400 ");
}

static void httpd_keeps_headers_and_bodies_as_sent(void **state)
{
    struct fixture *f = *state;
    const char *answer = ask(f, "POST /a HTTP/1.1\r\n" CLOSE "x-lower: 1\r\nX-Mixed:  a b \r\n"
                                "Content-Length: 6\r\n\r\na\r\nb\r\n");
    assert_holds(answer, " x-lower:1 X-Mixed:a b body:a\r\nb\r\n");
    answer = ask(f, "POST /a HTTP/1.1\r\n" CLOSE "Transfer-Encoding: chunked\r\n\r\n"
                    "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    assert_holds(answer, " body:abcde");
    answer =
        ask(f, "POST /a HTTP/1.1\r\n" CLOSE "Content-Type: application/x-www-form-urlencoded\r\n"
               "Content-Length: 13\r\n\r\na=1+2&b=%26&a");
    assert_holds(answer, "(a=1 2) (b=&) (a=)");
    answer = ask(f, "HEAD /a HTTP/1.1\r\n" CLOSE "\r\n");
    assert_holds(answer, "Content-Length: 8");
    assert_true(str_ends(answer, "\r\n\r\n"));
}

static void httpd_asks_for_a_body_that_waits(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    say(fd, "POST /a HTTP/1.1\r\n" CLOSE "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_holds(hear(fd, "\r\n\r\n"), "HTTP/1.1 100 ");
    say(fd, "ok");
    assert_holds(hear(fd, NULL), " body:ok");
    (void)close(fd);

    // Refused by its headers: nothing is asked for.
    fd = dial(f);
    say(fd, "POST /a HTTP/1.1\r\n" CLOSE
            "X-Stranger: 1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_holds(hear(fd, NULL), "HTTP/1.1 401 ");
    (void)close(fd);
}

static void httpd_bounds_bodies(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    say(fd, "POST /a HTTP/1.1\r\n" CLOSE "Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n");
    assert_holds(hear(fd, NULL), "HTTP/1.1 413 ");
    (void)close(fd);

    struct buf text = { 0 };
    buf_puts(&text, "POST /a HTTP/1.1\r\n" CLOSE "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 20; i++)
        buf_printf(&text, "40\r\n%064d\r\n", i);
    buf_puts(&text, "0\r\n\r\n");
    assert_holds(ask(f, text.bytes), "HTTP/1.1 413 ");
    buf_free(&text);
    assert_holds(ask(f, "GET / HTTP/1.1\r\n" CLOSE "\r\n"), "HTTP/1.1 200 ");
}

static void httpd_spools_large_parts(void **state)
{
    struct fixture *f = *state;
    struct arena *arena = arena_new();
    size_t length = 2U << 20;
    char *bytes = calloc(1, length);
    struct http_part parts[] = {
        { .name = "small", .bytes = "tiny", .length = 4 },
        { .name = "large", .file_name = "l", .bytes = bytes, .length = length },
        { .name = "last", .file_name = "e", .bytes = "end", .length = 3 },
    };
    struct http_request request = {
        .url = arena_printf(arena, "http://127.0.0.1:%u/large", httpd_port(f->httpd)),
        .parts = parts,
        .parts_count = 3,
    };
    struct http_response response;
    if (!http_call(arena, &request, &response, NULL, &f->err))
        fail_msg("%s", f->err.text);
    assert_string_equal(
        response.body,
        "POST <large> (small=tiny) {small 4 tiny} {large 2097152 disk} {last 3 end}");
    assert_holds(ask(f, "POST /a HTTP/1.1\r\n" CLOSE
                        "Content-Type: multipart/form-data; boundary=b\r\n"
                        "Content-Length: 9\r\n\r\n--b\r\nzzzz"),
                 "HTTP/1.1 400 ");
    // a type without a body is no form that ends too early
    assert_holds(ask(f, "POST /a HTTP/1.1\r\n" CLOSE
                        "Content-Type: multipart/form-data; boundary=b\r\n"
                        "Content-Length: 0\r\n\r\n"),
                 "HTTP/1.1 200 ");
    free(bytes);
    arena_free(arena);
}

static void httpd_sends_a_piece_of_a_file(void **state)
{
    struct fixture *f = *state;
    f->file = fs_temp(NULL, &f->err);
    assert_true(fs_write_fd(f->file, "0123456789", 10, "file", &f->err));
    assert_true(str_ends(ask(f, "GET /file HTTP/1.1\r\n" CLOSE "\r\n"), "\r\n\r\n23456"));
    (void)close(f->file);
}

static void httpd_answers_later_from_another_thread(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    say(fd, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
    struct httpd_request *request = wait_kept(f);
    assert_string_equal(request->method, "GET");
    assert_true(str_starts(request->remote, "127.0.0.1:"));
    // Others are served meanwhile.
    assert_holds(ask(f, "GET /b HTTP/1.1\r\n" CLOSE "\r\n"), "GET <b>");
    httpd_reply_bytes(request, 202, "text/plain", "later", 5);
    assert_holds(hear(fd, "later"), "HTTP/1.1 202 ");
    say(fd, "GET /c HTTP/1.1\r\n" CLOSE "\r\n");
    assert_holds(hear(fd, NULL), "GET <c>");
    (void)close(fd);
    assert_int_equal(httpd_counts(f->httpd).waiting, 0);
}

enum { CALLERS = 8, CALLS = 200 };

static void *call_often(void *context)
{
    struct fixture *f = context;
    struct arena *arena = arena_new();
    for (int i = 0; i < CALLS; i++) {
        const char *target = arena_printf(arena, "/late/%d", i);
        struct http_request request = {
            .url = arena_printf(arena, "http://127.0.0.1:%u%s", httpd_port(f->httpd), target),
        };
        struct http_response response;
        struct error err = { 0 };
        if (!http_call(arena, &request, &response, NULL, &err) || !str_eq(response.body, target)) {
            arena_free(arena);
            return f; // anything but NULL
        }
    }
    arena_free(arena);
    http_thread_release();
    return NULL;
}

static void httpd_answers_many_late_requests(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[CALLERS];
    for (size_t i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, f), 0);
    for (size_t i = 0; i < CALLERS; i++) {
        void *failure = NULL;
        assert_int_equal(pthread_join(threads[i], &failure), 0);
        assert_null(failure);
    }
    assert_int_equal(httpd_counts(f->httpd).requests, CALLERS * CALLS);
}

static void httpd_says_when_a_waiting_client_leaves(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    say(fd, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
    struct httpd_request *request = wait_kept(f);
    (void)close(fd);
    wait_gone(f);
    httpd_reply_bytes(request, 200, "text/plain", "unheard", 7);
}

static void httpd_streams_what_others_write(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)wait_kept(f);
    // The head comes before anything was written.
    const char *head = hear(fd, "\r\n\r\n");
    assert_holds(head, "HTTP/1.1 200 ");
    assert_holds(head, "text/event-stream");
    assert_int_equal(httpd_stream_write(f->stream, "data: 1\n\n", 9), HTTPD_WRITTEN);
    assert_holds(hear(fd, "data: 1\n\n"), "data: 1\n\n");
    assert_int_equal(httpd_stream_write(f->stream, "data: 2\n\n", 9), HTTPD_WRITTEN);
    httpd_stream_close(f->stream);
    assert_holds(hear(fd, "0\r\n\r\n"), "data: 2\n\n");
    say(fd, "GET /c HTTP/1.1\r\n" CLOSE "\r\n");
    assert_holds(hear(fd, NULL), "GET <c>");
    (void)close(fd);
    assert_int_equal(f->gone, 0);
}

static void httpd_bounds_what_a_slow_client_makes_it_keep(void **state)
{
    struct fixture *f = *state;
    static const char bytes[5000];
    int fd = dial(f);
    say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)wait_kept(f);
    size_t written = 0;
    // Until the buffers of the system are full as well.
    enum httpd_write result = HTTPD_WRITTEN;
    while (result == HTTPD_WRITTEN) {
        result = httpd_stream_write_wait(f->stream, bytes, sizeof(bytes),
                                         clock_monotonic() + 200 * USEC_MSEC);
        written += result == HTTPD_WRITTEN ? sizeof(bytes) : 0;
    }
    assert_int_equal(result, HTTPD_FULL);
    // What was taken is sent once the client reads.
    httpd_stream_close(f->stream);
    size_t heard = 0;
    char text[65536];
    for (char tail[6] = ""; strcmp(tail, "0\r\n\r\n") != 0;) {
        ssize_t got = read(fd, text, sizeof(text));
        assert_true(got > 0);
        heard += (size_t)got;
        for (ssize_t i = got > 5 ? got - 5 : 0; i < got; i++) {
            memmove(tail, tail + 1, 4);
            tail[4] = text[i];
        }
    }
    assert_true(heard > written);
    (void)close(fd);
}

static void httpd_says_when_the_client_of_a_stream_leaves(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)wait_kept(f);
    (void)hear(fd, "\r\n\r\n");
    (void)close(fd);
    wait_gone(f);
    assert_true(httpd_stream_is_gone(f->stream));
    assert_int_equal(httpd_stream_write(f->stream, "x", 1), HTTPD_GONE);
    httpd_stream_close(f->stream);
    assert_int_equal(httpd_counts(f->httpd).streams, 0);
}

static void *write_until_gone(void *context)
{
    struct httpd_stream *stream = context;
    static const char bytes[5000];
    while (httpd_stream_write_wait(stream, bytes, sizeof(bytes), USEC_NEVER) == HTTPD_WRITTEN)
        ;
    httpd_stream_close(stream);
    return NULL;
}

static void httpd_stop_answers_what_waits_and_ends_streams(void **state)
{
    struct fixture *f = *state;
    int waiting = dial(f);
    say(waiting, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
    struct httpd_request *request = wait_kept(f);
    int streaming = dial(f);
    say(streaming, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)wait_kept(f);
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_until_gone, f->stream), 0);
    unsigned port = httpd_port(f->httpd);
    httpd_stop(f->httpd);
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_holds(hear(waiting, NULL), "HTTP/1.1 503 ");
    // An owner that comes too late finds its request as it was.
    assert_string_equal(request->target, "/keep");
    assert_string_equal(http_header_find(&request->headers, "host"), "x");
    httpd_reply_bytes(request, 200, "text/plain", "late", 4);
    (void)close(waiting);
    (void)close(streaming);

    // The port is free again.
    struct httpd_options options = { .host = "127.0.0.1", .port = port, .handler = handle };
    f->httpd = httpd_start(&options, &f->err);
    if (f->httpd == NULL)
        fail_msg("%s", f->err.text);
}

static void httpd_names_the_address_in_use(void **state)
{
    struct fixture *f = *state;
    struct httpd_options options = {
        .host = "127.0.0.1",
        .port = httpd_port(f->httpd),
        .setting = "server.listen",
        .handler = handle,
    };
    assert_null(httpd_start(&options, &f->err));
    assert_int_equal(f->err.code, ERR_CONFLICT);
    char address[64];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", options.port);
    assert_holds(f->err.text, address);
    assert_holds(f->err.text, "server.listen");
    options.host = "192.0.2.1"; // reserved for documentation: of no machine
    assert_null(httpd_start(&options, &f->err));
    assert_int_equal(f->err.code, ERR_INVALID);
}

static void httpd_listens_on_every_address(void **state)
{
    struct fixture *f = *state;
    httpd_stop(f->httpd);
    struct httpd_options options = { .handler = handle, .context = f, .threads = 2 };
    f->httpd = httpd_start(&options, &f->err);
    if (f->httpd == NULL)
        fail_msg("%s", f->err.text);
    assert_holds(ask(f, "GET /a HTTP/1.1\r\n" CLOSE "\r\n"), "GET <a>");
}

static void httpd_survives_clients_that_leave_early(void **state)
{
    struct fixture *f = *state;
    static const char *const beginnings[] = {
        "",
        "GET",
        "GET /a HTTP/1.1\r\nHo",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        "Content-Length: 100\r\n\r\n--b\r\n\r\nabc",
        "GET /late/x HTTP/1.1\r\nHost: x\r\n\r\n",
        "nonsense\r\n\r\n",
    };
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < COUNT_OF(beginnings); i++) {
            int fd = dial(f);
            say(fd, beginnings[i]);
            (void)close(fd);
        }
    }
    assert_holds(ask(f, "GET /b HTTP/1.1\r\n" CLOSE "\r\n"), "GET <b>");
}

static void httpd_takes_long_heads(void **state)
{
    struct fixture *f = *state;
    struct buf text = { 0 };
    buf_puts(&text, "GET /a?");
    for (int i = 0; i < 150; i++)
        buf_printf(&text, "filters%%5Bnamespace%%5D%%5BEQUALS%%5D=%0150d&", i);
    buf_puts(&text, " HTTP/1.1\r\n" CLOSE "X-Last: here\r\n");
    while (text.length < 32000)
        buf_printf(&text, "Y-%zu: %0100d\r\n", text.length, 0);
    buf_puts(&text, "\r\n");
    assert_true(text.length < HTTPD_HEAD_BYTES_MAX);
    const char *answer = ask(f, text.bytes);
    assert_holds(answer, "HTTP/1.1 200 ");
    assert_holds(answer, " X-Last:here");

    buf_clear(&text);
    buf_puts(&text, "GET /a HTTP/1.1\r\n" CLOSE);
    while (text.length < 4 * HTTPD_HEAD_BYTES_MAX)
        buf_printf(&text, "Y-%zu: %0100d\r\n", text.length, 0);
    int fd = dial(f);
    (void)!send(fd, text.bytes, text.length, MSG_NOSIGNAL); // may be cut off in the middle
    answer = hear(fd, "\r\n");
    assert_true(answer[0] == '\0' || strstr(answer, "HTTP/1.1 4") != NULL);
    (void)close(fd);
    buf_free(&text);
}

static void *call_until_refused(void *context)
{
    struct fixture *f = context;
    struct arena *arena = arena_new();
    bool goes_on = true;
    for (int i = 0; goes_on; i++) {
        const char *path = i % 2 == 0 ? "late/x" : "a";
        const char *url = arena_printf(arena, "http://127.0.0.1:%u/%s", f->port, path);
        struct http_request request = { .url = url, .body = "text", .body_length = 4 };
        struct http_response response;
        goes_on = http_call(arena, &request, &response, NULL, NULL) && response.status != 503;
        arena_reset(arena);
    }
    arena_free(arena);
    http_thread_release();
    return NULL;
}

static void httpd_stops_while_it_is_called(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 5; round++) {
        pthread_t threads[CALLERS];
        f->port = httpd_port(f->httpd);
        for (size_t i = 0; i < CALLERS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, call_until_refused, f), 0);
        while (httpd_counts(f->httpd).requests < 100)
            (void)sched_yield();
        httpd_stop(f->httpd);
        for (size_t i = 0; i < CALLERS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        struct httpd_options options = { .host = "127.0.0.1", .handler = handle, .context = f };
        f->httpd = httpd_start(&options, &f->err);
        assert_non_null(f->httpd);
    }
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    WITH(httpd_decodes_segments_after_splitting),
    WITH(httpd_keeps_headers_and_bodies_as_sent),
    WITH(httpd_asks_for_a_body_that_waits),
    WITH(httpd_bounds_bodies),
    WITH(httpd_spools_large_parts),
    WITH(httpd_sends_a_piece_of_a_file),
    WITH(httpd_answers_later_from_another_thread),
    WITH(httpd_answers_many_late_requests),
    WITH(httpd_says_when_a_waiting_client_leaves),
    WITH(httpd_streams_what_others_write),
    WITH(httpd_bounds_what_a_slow_client_makes_it_keep),
    WITH(httpd_says_when_the_client_of_a_stream_leaves),
    WITH(httpd_stop_answers_what_waits_and_ends_streams),
    WITH(httpd_names_the_address_in_use),
    WITH(httpd_listens_on_every_address),
    WITH(httpd_survives_clients_that_leave_early),
    WITH(httpd_takes_long_heads),
    WITH(httpd_stops_while_it_is_called),
};
TEST_GROUP(httpd, tests)
