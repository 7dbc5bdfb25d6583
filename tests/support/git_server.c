/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/git_server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/httpd.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/url.h"
#include "tests/support/test.h"

struct git_server {
    struct git_server_options options;
    struct httpd *httpd;
    atomic_size_t requests;
    char url[512];
    char authorization[128];
    pthread_mutex_t lock;
    struct httpd_request *kept[16]; /* of a silent server */
    size_t kept_count;
    bool is_stopping;
};

bool git_server_is_possible(void)
{
    static const char *const argv[] = { "git", "http-backend", NULL };
    struct proc_spec spec = { .argv = argv, .timeout = 5 * USEC_SEC, .discard_output = true };
    struct proc_result result;
    struct error err = { 0 };
    struct arena *arena = arena_new();
    bool ok = proc_run(arena, &spec, 0, &result, &err) && result.exit.status != 127;
    arena_free(arena);
    return ok;
}

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

/* Runs http-backend and answers with what it printed. */
static void serve(const struct git_server *server, struct httpd_request *request)
{
    struct arena *arena = request->arena;
    const char *query = strchr(request->target, '?');
    const char *protocol =
        server->options.is_old ? "" : or_empty(http_header_find(&request->headers, "Git-Protocol"));
    const char *env[] = {
        arena_printf(arena, "PATH=%s", or_empty(getenv("PATH"))),
        arena_printf(arena, "GIT_PROJECT_ROOT=%s", server->options.root),
        "GIT_HTTP_EXPORT_ALL=1",
        "GIT_CONFIG_COUNT=1",
        "GIT_CONFIG_KEY_0=safe.directory",
        "GIT_CONFIG_VALUE_0=*",
        arena_printf(arena, "PATH_INFO=%s", request->path),
        arena_printf(arena, "QUERY_STRING=%s", query == NULL ? "" : query + 1),
        arena_printf(arena, "REQUEST_METHOD=%s", request->method),
        arena_printf(arena, "CONTENT_TYPE=%s",
                     or_empty(http_header_find(&request->headers, "Content-Type"))),
        arena_printf(arena, "CONTENT_LENGTH=%zu", request->body_length),
        arena_printf(arena, "GIT_PROTOCOL=%s", protocol),
        NULL,
    };
    static const char *const argv[] = { "git", "http-backend", NULL };
    struct proc_spec spec = {
        .argv = argv,
        .env = env,
        .input = request->body,
        .input_length = request->body_length,
        .timeout = 30 * USEC_SEC,
    };
    struct proc_result result;
    struct error err = { 0 };
    if (!proc_run(arena, &spec, 256U * 1024U * 1024U, &result, &err)) {
        httpd_reply_bytes(request, 500, "text/plain", err.text, strlen(err.text));
        return;
    }
    struct httpd_reply reply = { .status = 200, .body = HTTPD_BODY_ARENA };
    const char *end = result.output + result.output_length;
    const char *at = result.output;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        size_t length = (size_t)(stop - at);
        if (length > 0 && at[length - 1] == '\r')
            length--;
        const char *line = arena_strndup(arena, at, length);
        at = stop < end ? stop + 1 : end;
        if (length == 0)
            break;
        int64_t status = 0;
        if (str_starts(line, "Content-Type: "))
            reply.type = line + strlen("Content-Type: ");
        if (str_starts(line, "Status: ") &&
            str_to_int(arena_strndup(arena, line + 8, 3), 100, 599, &status))
            reply.status = (int)status;
    }
    reply.bytes = at;
    reply.length = (size_t)(end - at);
    httpd_reply(request, &reply);
}

/* Leaves a request unanswered until the server stops. */
static void keep(struct git_server *server, struct httpd_request *request)
{
    (void)pthread_mutex_lock(&server->lock);
    bool is_stopping = server->is_stopping;
    if (!is_stopping) {
        CHECK(server->kept_count < COUNT_OF(server->kept));
        server->kept[server->kept_count++] = request;
    }
    (void)pthread_mutex_unlock(&server->lock);
    if (is_stopping)
        httpd_reply_bytes(request, 503, NULL, NULL, 0);
}

static void handle(void *context, struct httpd_request *request)
{
    struct git_server *server = context;
    const struct git_server_options *options = &server->options;
    atomic_fetch_add(&server->requests, 1);
    const char *given = http_header_find(&request->headers, "Authorization");
    if (options->is_silent) {
        keep(server, request);
    } else if (options->password != NULL && !str_eq(given, server->authorization)) {
        httpd_reply_bytes(request, 401, "text/plain", "who are you?\n", 13);
    } else if (options->status != 0) {
        static const struct http_field later = { .name = "Retry-After", .value = "120" };
        struct httpd_reply reply = {
            .status = options->status,
            .type = "text/plain",
            .headers = &later,
            .headers_count = 1,
            .bytes = "come back later\n",
            .length = 16,
        };
        httpd_reply(request, &reply);
    } else if (options->page != NULL) {
        httpd_reply_bytes(request, 200, "text/html", options->page, strlen(options->page));
    } else if (options->moved_to != NULL) {
        struct http_field location = {
            .name = "Location",
            .value = arena_printf(request->arena, "%s%s", options->moved_to, request->target),
        };
        struct httpd_reply reply = { .status = 302, .headers = &location, .headers_count = 1 };
        httpd_reply(request, &reply);
    } else {
        serve(server, request);
    }
}

struct git_server *git_server_start(const struct git_server_options *options)
{
    struct git_server *server = check_calloc(1, sizeof(*server));
    server->options = *options;
    (void)pthread_mutex_init(&server->lock, NULL);
    if (options->password != NULL) {
        struct buf pair = { 0 };
        struct buf encoded = { 0 };
        buf_printf(&pair, "ana:%s", options->password);
        base64_encode(&encoded, BASE64_STD, pair.bytes, pair.length);
        (void)snprintf(server->authorization, sizeof(server->authorization), "Basic %s",
                       buf_text(&encoded));
        buf_free(&pair);
        buf_free(&encoded);
    }
    struct httpd_options http = {
        .host = "127.0.0.1",
        .threads = 2,
        .body_max = 64 * 1024 * 1024,
        .handler = handle,
        .context = server,
    };
    struct error err = { 0 };
    server->httpd = httpd_start(&http, &err);
    if (server->httpd == NULL)
        fail_msg("%s", err.text);
    return server;
}

void git_server_stop(struct git_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    server->is_stopping = true;
    (void)pthread_mutex_unlock(&server->lock);
    for (size_t i = 0; i < server->kept_count; i++)
        httpd_reply_bytes(server->kept[i], 503, NULL, NULL, 0);
    httpd_stop(server->httpd);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *git_server_url(struct git_server *server, const char *name)
{
    (void)snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u/%s",
                   httpd_port(server->httpd), name);
    return server->url;
}

size_t git_server_requests(struct git_server *server)
{
    return atomic_load(&server->requests);
}
