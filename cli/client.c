/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/http.h"
#include "base/str.h"
#include "cli/command.h"
#include "core/json.h"
#include "core/value.h"

#define DEFAULT_SERVER "http://127.0.0.1:8080"

/* A line of an event stream; executions with many task runs are long. */
#define EVENT_BYTES_MAX ((size_t)256 * 1024 * 1024)

struct client client_open(const struct command_line *line)
{
    const char *url = line_option(line, "server");
    if (str_empty(url))
        url = getenv("WEIR_SERVER");
    if (str_empty(url))
        url = DEFAULT_SERVER;
    size_t length = strlen(url);
    while (length > 0 && url[length - 1] == '/')
        length--;
    return (struct client){
        .server = arena_strndup(line->arena, url, length),
        .user = getenv("WEIR_USER"),
        .password = getenv("WEIR_PASSWORD"),
        .token = getenv("WEIR_TOKEN"),
    };
}

static struct http_request request_for(const struct client *client,
                                       struct arena *arena,
                                       const char *method,
                                       const char *path)
{
    struct http_request request = {
        .method = method,
        .url = arena_printf(arena, "%s/api/v1/main/%s", client->server, path),
        .idle_timeout = USEC_HOUR + USEC_MIN, // a call with wait=true is silent for an hour
        .proxy = HTTP_PROXY_ENVIRONMENT,
    };
    if (!str_empty(client->token)) {
        request.auth = HTTP_AUTH_BEARER;
        request.password = client->token;
    } else if (!str_empty(client->user)) {
        request.auth = HTTP_AUTH_BASIC;
        request.user = client->user;
        request.password = client->password;
    }
    return request;
}

static void unreachable(const struct client *client, struct error *err)
{
    struct error inner = *err;
    (void)error_set(err, ERR_UNAVAILABLE,
                    "no answer from %s (%s); start a server with 'weir up', or name another with "
                    "--server",
                    client->server, inner.text);
}

/* The server's own words, from its JSON error. */
static void refused(const struct value *answer, int status, struct error *err)
{
    enum error_code code = ERR_INVALID;
    if (status == 404)
        code = ERR_NOT_FOUND;
    else if (status == 401 || status == 403)
        code = ERR_DENIED;
    else if (status == 409)
        code = ERR_CONFLICT;
    else if (status >= 500)
        code = ERR_UNAVAILABLE;
    const char *message = value_get_text(answer, "message", NULL);
    if (message == NULL && status == 401)
        message = "the server wants credentials; set WEIR_TOKEN, or WEIR_USER and WEIR_PASSWORD";
    if (message == NULL)
        (void)error_set(err, code, "the server answered %d", status);
    else
        (void)error_set(err, code, "%s", message);
}

static const struct value *finish(struct arena *arena,
                                  const struct http_response *response,
                                  struct error *err)
{
    const struct value *answer = &value_null;
    struct error parse_error = { 0 };
    if (response->length > 0)
        answer = json_parse(arena, response->body, response->length, &parse_error);
    if (response->status >= 400) {
        refused(answer, response->status, err);
        return NULL;
    }
    if (answer == NULL)
        (void)error_set(err, ERR_INTERNAL, "the server's answer is not JSON: %s", parse_error.text);
    return answer;
}

const struct value *client_send(struct client *client,
                                struct arena *arena,
                                const char *method,
                                const char *path,
                                const char *content_type,
                                const void *body,
                                size_t length,
                                struct error *err)
{
    struct http_request request = request_for(client, arena, method, path);
    struct http_fields headers = { 0 };
    http_fields_add(arena, &headers, "Accept", "application/json");
    if (content_type != NULL)
        http_fields_add(arena, &headers, "Content-Type", content_type);
    request.headers = &headers;
    if (body != NULL) {
        request.body = body;
        request.body_length = length;
    }
    struct http_response response = { 0 };
    if (!http_call(arena, &request, &response, NULL, err)) {
        unreachable(client, err);
        return NULL;
    }
    return finish(arena, &response, err);
}

const struct value *client_send_parts(struct client *client,
                                      struct arena *arena,
                                      const char *method,
                                      const char *path,
                                      const struct http_part *parts,
                                      size_t count,
                                      struct error *err)
{
    struct http_request request = request_for(client, arena, method, path);
    request.parts = parts;
    request.parts_count = count;
    struct http_response response = { 0 };
    if (!http_call(arena, &request, &response, NULL, err)) {
        unreachable(client, err);
        return NULL;
    }
    return finish(arena, &response, err);
}

const struct value *client_get(struct client *client,
                               struct arena *arena,
                               const char *path,
                               struct error *err)
{
    return client_send(client, arena, "GET", path, NULL, NULL, 0, err);
}

const char *client_get_text(struct client *client,
                            struct arena *arena,
                            const char *path,
                            struct error *err)
{
    struct http_request request = request_for(client, arena, "GET", path);
    struct http_response response = { 0 };
    if (!http_call(arena, &request, &response, NULL, err)) {
        unreachable(client, err);
        return NULL;
    }
    if (response.status >= 400) {
        (void)finish(arena, &response, err);
        return NULL;
    }
    return response.body;
}

/* ---- events ---- */

struct follower {
    client_event_fn *on_event;
    void *data;
    struct buf line;
    struct buf id;
    struct buf text;
    bool is_done;
};

/* One line of the event stream; an empty one ends an event. */
static void take_line(struct follower *follower)
{
    const char *line = buf_text(&follower->line);
    if (line[0] == '\0') {
        if (follower->text.length > 0 &&
            !follower->on_event(follower->data, buf_text(&follower->id), buf_text(&follower->text)))
            follower->is_done = true;
        buf_clear(&follower->text);
        buf_clear(&follower->id);
        return;
    }
    const char *colon = strchr(line, ':');
    if (colon == NULL)
        return;
    const char *value = colon[1] == ' ' ? colon + 2 : colon + 1;
    size_t name = (size_t)(colon - line);
    if (name == 2 && memcmp(line, "id", 2) == 0) {
        buf_clear(&follower->id);
        buf_puts(&follower->id, value);
    } else if (name == 4 && memcmp(line, "data", 4) == 0) {
        if (follower->text.length > 0)
            buf_putc(&follower->text, '\n');
        buf_puts(&follower->text, value);
    }
}

static bool take_bytes(void *context, const void *bytes, size_t length, struct error *err)
{
    struct follower *follower = context;
    const char *at = bytes;
    const char *end = at + length;
    while (at < end && !follower->is_done) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline == NULL ? end : newline;
        buf_add(&follower->line, at, (size_t)(stop - at));
        if (follower->line.length > EVENT_BYTES_MAX)
            return error_set(err, ERR_LIMIT, "an event is longer than %zu bytes", EVENT_BYTES_MAX);
        at = stop + 1;
        if (newline == NULL)
            break;
        if (follower->line.length > 0 && follower->line.bytes[follower->line.length - 1] == '\r')
            follower->line.bytes[--follower->line.length] = '\0';
        take_line(follower);
        buf_clear(&follower->line);
    }
    return follower->is_done ? error_set(err, ERR_CANCELLED, "seen enough") : true;
}

bool client_follow(struct client *client,
                   struct arena *arena,
                   const char *path,
                   client_event_fn *on_event,
                   void *data,
                   struct error *err)
{
    struct follower follower = { .on_event = on_event, .data = data };
    struct http_request request = request_for(client, arena, "GET", path);
    request.sink = take_bytes;
    request.context = &follower;
    request.idle_timeout = USEC_NEVER;
    struct http_response response = { 0 };
    struct error call_error = { 0 };
    bool ended = http_call(arena, &request, &response, NULL, &call_error);
    bool is_done = follower.is_done;
    buf_free(&follower.line);
    buf_free(&follower.id);
    buf_free(&follower.text);
    if (is_done)
        return true;
    if (!ended) {
        *err = call_error;
        unreachable(client, err);
        return false;
    }
    if (response.status >= 400) {
        refused(NULL, response.status, err);
        return false;
    }
    return true;
}
