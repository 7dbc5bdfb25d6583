/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forms and URLs of strangers: the same parts come out whatever the pieces a body arrives in, and
 * what is decoded is no longer than what was sent.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/multipart.h"
#include "base/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static bool note_begin(void *context, const struct multipart_head *head, struct error *err)
{
    (void)err;
    buf_printf(context, "\nbegin %s", head->name);
    buf_printf(context, " %s", head->file_name == NULL ? "-" : head->file_name);
    buf_printf(context, " %s:", head->type == NULL ? "-" : head->type);
    return true;
}

static bool note_data(void *context, const char *bytes, size_t length, struct error *err)
{
    (void)err;
    buf_add(context, bytes, length);
    return true;
}

static bool note_end(void *context, struct error *err)
{
    (void)err;
    buf_puts(context, "\nend");
    return true;
}

static const struct multipart_ops ops = { note_begin, note_data, note_end };

/* In pieces of `step` bytes; what was noted before a refusal may differ, so it is forgotten. */
static void parse(
    struct arena *arena, const char *body, size_t length, size_t step, struct buf *out)
{
    struct error err = { 0 };
    struct multipart *multipart = multipart_new(arena, "b", &ops, out);
    bool is_fine = true;
    for (size_t at = 0; at < length && is_fine; at += step)
        is_fine =
            multipart_feed(multipart, body + at, length - at < step ? length - at : step, &err);
    if (!is_fine || !multipart_end(multipart, &err)) {
        CHECK(err.code == ERR_INVALID || err.code == ERR_LIMIT);
        buf_clear(out);
    }
    multipart_free(multipart);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (length == 0)
        return 0;
    struct arena *arena = arena_new();
    const char *text = (const char *)bytes + 1;
    length--;

    struct buf whole = { 0 };
    struct buf pieces = { 0 };
    parse(arena, text, length, length == 0 ? 1 : length, &whole);
    parse(arena, text, length, 1 + bytes[0] % 37U, &pieces);
    CHECK(whole.length == pieces.length);
    CHECK(memcmp(buf_text(&whole), buf_text(&pieces), whole.length) == 0);
    buf_free(&whole);
    buf_free(&pieces);

    const char *copy = arena_strndup(arena, text, length);
    (void)multipart_boundary(arena, copy);
    size_t decoded = 0;
    (void)url_decode(arena, text, length, bytes[0] % 2 == 1, &decoded);
    CHECK(decoded <= length);
    struct http_fields fields = { 0 };
    CHECK(url_parse_query(arena, text, length, 20, &fields) || fields.count == 20);
    struct url url;
    if (url_parse(arena, copy, &url)) {
        CHECK(url.scheme != NULL && url.host != NULL && url.path != NULL);
        struct url again;
        CHECK(url_parse(arena, url_origin(arena, copy), &again));
        CHECK(strcmp(url.host, again.host) == 0);
        CHECK(url.port == again.port);
    }
    (void)url_shown(arena, copy);
    arena_free(arena);
    return 0;
}
