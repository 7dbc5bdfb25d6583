/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URLs and forms as text: percent-encoding, query strings, and lists of named values.
 *
 * Pure. Used by the HTTP client and the HTTP server.
 */
#ifndef BASE_URL_H
#define BASE_URL_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct buf;

/* A header, a query parameter, a form field. */
struct http_field {
    const char *name;
    const char *value;
};

/* In the order they were sent; names may repeat. Zero-initialised is empty. */
struct http_fields {
    struct http_field *items;
    size_t count;
    size_t capacity;
};

/* Adds a field, copying both texts into the arena. */
void http_fields_add(struct arena *arena,
                     struct http_fields *fields,
                     const char *name,
                     const char *value);

/* First value of a name; NULL when there is none. Header names ignore case, others do not. */
const char *http_fields_find(const struct http_fields *fields, const char *name);
const char *http_header_find(const struct http_fields *headers, const char *name);

/* Appends percent-encoded text: all but letters, digits and "-._~"; `keep` lists more to leave. */
void url_encode(struct buf *out, const char *text, size_t length, const char *keep);
char *url_encode_text(struct arena *arena, const char *text);

/*
 * Decodes percent sequences, and '+' as space when is_form. A '%' that starts no sequence stays.
 *
 * length   may be NULL: bytes of the result, which may hold NUL
 */
char *url_decode(
    struct arena *arena, const char *text, size_t text_length, bool is_form, size_t *length);

/* Parses "a=1&b=2&a=3" (also a body of x-www-form-urlencoded); at most `max` fields, false beyond.
 */
bool url_parse_query(
    struct arena *arena, const char *text, size_t length, size_t max, struct http_fields *out);

/* Appends "a=1&b=2"; spaces as %20, which every server understands. */
void url_format_query(struct buf *out, const struct http_fields *fields);

/* Pieces of an absolute URL, owned by the arena; absent pieces are NULL, port 0. */
struct url {
    const char *scheme; /* lower case */
    const char *user;   /* decoded */
    const char *password;
    const char *host;  /* lower case, without brackets */
    unsigned port;     /* 0: not written */
    const char *path;  /* with its '/', not decoded; "" when absent */
    const char *query; /* without '?' */
};

/* False when the text is not an absolute URL (scheme ':' '//' host …, or file:///path). */
bool url_parse(struct arena *arena, const char *text, struct url *out);

/* "https://host:8443", for messages: neither credentials nor path nor query. "(invalid URL)" else.
 */
const char *url_origin(struct arena *arena, const char *text);

/* The URL without user, password, and query values: "https://host/path?token=…". For messages. */
const char *url_shown(struct arena *arena, const char *text);

#endif
