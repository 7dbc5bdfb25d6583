/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands' side of the HTTP API: one server, JSON in and out.
 *
 * Failures: ERR_NOT_FOUND for 404, ERR_DENIED for 401 and 403, ERR_CONFLICT for 409, ERR_INVALID
 * for other 4xx with the server's words, ERR_UNAVAILABLE when nobody answers or for 5xx.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct command_line;
struct error;
struct http_part;
struct value;

struct client {
    const char *server;   /* "http://127.0.0.1:8080" */
    const char *user;     /* WEIR_USER, NULL none */
    const char *password; /* WEIR_PASSWORD */
    const char *token;    /* WEIR_TOKEN, NULL none */
};

/* Server from --server, $WEIR_SERVER, or the default; credentials from the environment. */
struct client client_open(const struct command_line *line);

/* One call below the API root ("flows/search?size=10"); an empty answer gives value_null. */
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
const struct value *client_send_parts(struct client *client,
                                      struct arena *arena,
                                      const char *method,
                                      const char *path,
                                      const struct http_part *parts,
                                      size_t count,
                                      struct error *err);
/* Body as it is, for answers that are no JSON. */
const char *client_get_text(struct client *client,
                            struct arena *arena,
                            const char *path,
                            struct error *err);

/*
 * Server-sent events of a path: on_event(data, event id, text) until it returns false or the
 * server ends the stream.
 */
typedef bool client_event_fn(void *data, const char *id, const char *text);
bool client_follow(struct client *client,
                   struct arena *arena,
                   const char *path,
                   client_event_fn *on_event,
                   void *data,
                   struct error *err);

#endif
