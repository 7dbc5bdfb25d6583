/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands' side of the HTTP API: one server, JSON in and out.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct command_line;
struct error;
struct http_client;
struct value;

struct client {
    const char *base; /* "http://127.0.0.1:8080/api/v1/main/" */
    const char *user; /* from the URL or WEIR_USER, NULL none */
    const char *password;
    const char *token; /* WEIR_TOKEN, NULL none */
    struct http_client *http;
};

/* From --server, $WEIR_SERVER, or the default; credentials from the URL or the environment. */
struct client client_open(const struct command_line *line);
void client_close(struct client *client);

/*
 * One call below the API root; the JSON answer, or NULL with err (ERR_NOT_FOUND for 404,
 * ERR_INVALID for other 4xx with the server's message, ERR_UNAVAILABLE when nobody answers).
 * An empty answer gives value_null.
 */
const struct value *client_get(struct client *client,
                               struct arena *arena,
                               const char *path,
                               struct error *err);
const struct value *client_send(struct client *client,
                                struct arena *arena,
                                const char *method,
                                const char *path,
                                const char *content_type,
                                const void *body,
                                size_t length,
                                struct error *err);

/*
 * Server-sent events of a path: `on_event(data, event id, text)` until it returns false or the
 * server ends the stream.
 */
typedef bool client_event_fn(void *data, const char *id, const char *text);
bool client_follow(struct client *client,
                   struct arena *arena,
                   const char *path,
                   client_event_fn *on_event,
                   void *data,
                   struct error *err);

/* Percent-encoded for one path segment or query value. */
char *client_escape(struct arena *arena, const char *text);

#endif
