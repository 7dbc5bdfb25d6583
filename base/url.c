/* SPDX-License-Identifier: Apache-2.0 */
#include "base/url.h"

#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"

static const char hex_digits[] = "0123456789ABCDEF";

static bool is_letter_or_digit(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static char *lower(struct arena *arena, const char *text, size_t length)
{
    char *copy = arena_strndup(arena, text, length);
    for (char *at = copy; *at != '\0'; at++) {
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at + ('a' - 'A'));
    }
    return copy;
}

void http_fields_add(struct arena *arena,
                     struct http_fields *fields,
                     const char *name,
                     const char *value)
{
    struct http_field *field = VEC_PUSH_ARENA(arena, fields);
    field->name = arena_strdup(arena, name);
    field->value = arena_strdup(arena, value);
}

const char *http_fields_find(const struct http_fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (str_eq(fields->items[i].name, name))
            return fields->items[i].value;
    }
    return NULL;
}

const char *http_header_find(const struct http_fields *headers, const char *name)
{
    for (size_t i = 0; i < headers->count; i++) {
        if (str_eq_nocase(headers->items[i].name, name))
            return headers->items[i].value;
    }
    return NULL;
}

void url_encode(struct buf *out, const char *text, size_t length, const char *keep)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (is_letter_or_digit(c) || (c != '\0' && strchr("-._~", c) != NULL) ||
            (c != '\0' && strchr(keep, c) != NULL)) {
            buf_putc(out, text[i]);
        } else {
            char sequence[3] = { '%', hex_digits[c >> 4], hex_digits[c & 15U] };
            buf_add(out, sequence, sizeof(sequence));
        }
    }
}

char *url_encode_text(struct arena *arena, const char *text)
{
    struct buf buf = { 0 };
    url_encode(&buf, text, strlen(text), "");
    char *encoded = buf_dup(&buf, arena);
    buf_free(&buf);
    return encoded;
}

char *url_decode(
    struct arena *arena, const char *text, size_t text_length, bool is_form, size_t *length)
{
    char *out = arena_bytes_alloc(arena, text_length + 1);
    size_t used = 0;
    for (size_t i = 0; i < text_length; i++) {
        char c = text[i];
        if (c == '%' && i + 2 < text_length && hex_value(text[i + 1]) >= 0 &&
            hex_value(text[i + 2]) >= 0) {
            c = (char)(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        } else if (c == '+' && is_form) {
            c = ' ';
        }
        out[used++] = c;
    }
    out[used] = '\0';
    if (length != NULL)
        *length = used;
    return out;
}

bool url_parse_query(
    struct arena *arena, const char *text, size_t length, size_t max, struct http_fields *out)
{
    const char *end = text + length;
    for (const char *at = text; at < end;) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        if (stop > at) {
            if (out->count >= max)
                return false;
            const char *equals = memchr(at, '=', (size_t)(stop - at));
            size_t name_length = (size_t)((equals == NULL ? stop : equals) - at);
            const char *value = equals == NULL ? stop : equals + 1;
            struct http_field *field = VEC_PUSH_ARENA(arena, out);
            field->name = url_decode(arena, at, name_length, true, NULL);
            field->value = url_decode(arena, value, (size_t)(stop - value), true, NULL);
        }
        at = stop + 1;
    }
    return true;
}

void url_format_query(struct buf *out, const struct http_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (i > 0)
            buf_putc(out, '&');
        url_encode(out, fields->items[i].name, strlen(fields->items[i].name), "");
        buf_putc(out, '=');
        url_encode(out, fields->items[i].value, strlen(fields->items[i].value), "");
    }
}

static bool is_scheme(const char *text, size_t length)
{
    if (length == 0 || !is_letter_or_digit((unsigned char)text[0]))
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!is_letter_or_digit((unsigned char)text[i]) && strchr("+-.", text[i]) == NULL)
            return false;
    }
    return true;
}

/* "user:password@host:port", length bytes. */
static bool parse_authority(struct arena *arena, const char *text, size_t length, struct url *out)
{
    const char *host = text;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '@')
            host = text + i + 1; // the last '@': a password may hold unescaped ones
    }
    if (host > text) {
        size_t user_length = (size_t)(host - text) - 1;
        const char *colon = memchr(text, ':', user_length);
        size_t name_length = colon == NULL ? user_length : (size_t)(colon - text);
        out->user = url_decode(arena, text, name_length, false, NULL);
        if (colon != NULL)
            out->password =
                url_decode(arena, colon + 1, user_length - name_length - 1, false, NULL);
    }

    size_t left = length - (size_t)(host - text);
    size_t host_length = 0;
    if (left > 0 && host[0] == '[') {
        const char *bracket = memchr(host, ']', left);
        if (bracket == NULL)
            return false;
        out->host = lower(arena, host + 1, (size_t)(bracket - host) - 1);
        host_length = (size_t)(bracket - host) + 1;
    } else {
        const char *colon = memchr(host, ':', left);
        host_length = colon == NULL ? left : (size_t)(colon - host);
        out->host = lower(arena, host, host_length);
    }
    for (const char *at = out->host; *at != '\0'; at++) {
        if ((unsigned char)*at <= ' ' || *at == '\\')
            return false;
    }
    if (host_length == left)
        return true;
    if (host[host_length] != ':')
        return false;
    const char *digits = arena_strndup(arena, host + host_length + 1, left - host_length - 1);
    int64_t port = 0;
    if (digits[0] != '\0' && !str_to_int(digits, 0, 65535, &port))
        return false;
    out->port = (unsigned)port;
    return true;
}

bool url_parse(struct arena *arena, const char *text, struct url *out)
{
    struct url url = { 0 };
    const char *colon = strchr(text, ':');
    if (colon == NULL || !is_scheme(text, (size_t)(colon - text)) || colon[1] != '/' ||
        colon[2] != '/')
        return false;
    url.scheme = lower(arena, text, (size_t)(colon - text));

    const char *authority = colon + 3;
    size_t length = strcspn(authority, "/?#");
    if (!parse_authority(arena, authority, length, &url))
        return false;
    if (url.host[0] == '\0' && !str_eq(url.scheme, "file"))
        return false;

    const char *path = authority + length;
    size_t path_length = strcspn(path, "?#");
    url.path = arena_strndup(arena, path, path_length);
    if (path[path_length] == '?') {
        const char *query = path + path_length + 1;
        url.query = arena_strndup(arena, query, strcspn(query, "#"));
    }
    *out = url;
    return true;
}

/* Appends "scheme://host:port". */
static void put_origin(struct buf *out, const struct url *url)
{
    bool has_colon = strchr(url->host, ':') != NULL;
    buf_printf(out, has_colon ? "%s://[%s]" : "%s://%s", url->scheme, url->host);
    if (url->port != 0)
        buf_printf(out, ":%u", url->port);
}

const char *url_origin(struct arena *arena, const char *text)
{
    struct url url;
    if (text == NULL || !url_parse(arena, text, &url))
        return "(invalid URL)";
    struct buf buf = { 0 };
    put_origin(&buf, &url);
    const char *origin = buf_dup(&buf, arena);
    buf_free(&buf);
    return origin;
}

const char *url_shown(struct arena *arena, const char *text)
{
    struct url url;
    if (text == NULL || !url_parse(arena, text, &url))
        return "(invalid URL)";
    struct buf buf = { 0 };
    put_origin(&buf, &url);
    buf_puts(&buf, url.path);
    struct http_fields query = { 0 };
    if (url.query != NULL &&
        url_parse_query(arena, url.query, strlen(url.query), SIZE_MAX, &query)) {
        for (size_t i = 0; i < query.count; i++) {
            buf_putc(&buf, i == 0 ? '?' : '&');
            url_encode(&buf, query.items[i].name, strlen(query.items[i].name), "[]");
            buf_puts(&buf, "=…");
        }
    }
    const char *shown = buf_dup(&buf, arena);
    buf_free(&buf);
    return shown;
}
