/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "core/expr/eval.h"

bool text_fits(struct evaluator *ev, const struct node *node, size_t length, size_t more)
{
    if (more <= EXPR_OUTPUT_MAX && length <= EXPR_OUTPUT_MAX - more)
        return true;
    (void)fail(ev, node, "a text has at most %zu MiB", EXPR_OUTPUT_MAX / 1024 / 1024);
    return false;
}

const struct value *text_of(struct evaluator *ev, const struct node *node, struct buf *buf)
{
    const struct value *value = NULL;
    if (charge(ev, node, buf->length / 256) && text_fits(ev, node, buf->length, 0))
        value = buf->length == 0 ? &value_empty_string
                                 : value_string_n(ev->arena, buf->bytes, buf->length);
    buf_free(buf);
    return value;
}

const struct value *display(struct evaluator *ev,
                            const struct node *node,
                            const struct value *value)
{
    struct buf buf = { 0 };
    if (value->kind == VALUE_STRING)
        return value;
    if (value_write_limited(&buf, value, FORM_DISPLAY, EXPR_OUTPUT_MAX))
        return text_of(ev, node, &buf);
    buf_free(&buf);
    (void)text_fits(ev, node, EXPR_OUTPUT_MAX, 1);
    return NULL;
}

/* UTF-16 code units of the character that starts with a byte; 0 inside a character. */
static size_t units(char byte)
{
    unsigned char c = (unsigned char)byte;
    if ((c & 0xc0U) == 0x80U)
        return 0;
    return c >= 0xf0 ? 2 : 1;
}

size_t utf16_length(const char *bytes, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += units(bytes[i]);
    return count;
}

const struct value *utf16_slice(struct arena *arena,
                                const struct value *text,
                                size_t from,
                                size_t to)
{
    const char *bytes = text->string.bytes;
    size_t length = text->string.length;
    size_t at = 0; // units before byte i
    char *out = arena_bytes_alloc(arena, length + 1);
    size_t count = 0;
    for (size_t i = 0; i < length && at < to;) {
        size_t next = i + 1;
        while (next < length && units(bytes[next]) == 0)
            next++;
        size_t width = units(bytes[i]) == 0 ? 1 : units(bytes[i]);
        if (at >= from && at + width <= to) {
            memcpy(out + count, bytes + i, next - i);
            count += next - i;
        } else if (at + width > from) {
            out[count++] = '?'; // half of a pair
        }
        at += width;
        i = next;
    }
    out[count] = '\0';
    return value_string_ref(arena, out, count);
}

const struct value *text_replaced(struct evaluator *ev,
                                  const struct node *node,
                                  const struct value *text,
                                  const struct value *old,
                                  const struct value *new)
{
    struct buf buf = { 0 };
    const char *at = text->string.bytes;
    const char *end = at + text->string.length;
    size_t skip = old->string.length;
    while (at <= end && text_fits(ev, node, buf.length, new->string.length)) {
        const char *found = memmem(at, (size_t)(end - at), old->string.bytes, skip);
        if (found == NULL) {
            buf_add(&buf, at, (size_t)(end - at));
            return text_of(ev, node, &buf);
        }
        buf_add(&buf, at, (size_t)(found - at));
        buf_add(&buf, new->string.bytes, new->string.length);
        at = found + skip;
        if (skip > 0)
            continue;
        if (at == end)
            return text_of(ev, node, &buf);
        do { // an empty text stands before every character
            buf_putc(&buf, *at++);
        } while (at < end && units(*at) == 0);
    }
    buf_free(&buf);
    return NULL;
}

/* Bytes of a value as a tree; stops beyond the limit, so that shared parts do no harm. */
static size_t tree_bytes(const struct value *value, size_t limit)
{
    size_t bytes = 16;
    if (value->kind == VALUE_STRING)
        return bytes + value->string.length;
    if (value->kind == VALUE_LIST) {
        for (size_t i = 0; i < value->list.count && bytes <= limit; i++)
            bytes += tree_bytes(value->list.items[i], limit - bytes);
    } else if (value->kind == VALUE_MAP) {
        for (size_t i = 0; i < value->map.count && bytes <= limit; i++)
            bytes += value->map.members[i].key_length +
                     tree_bytes(value->map.members[i].value, limit - bytes);
    }
    return bytes;
}

bool tree_fits(struct evaluator *ev,
               const struct node *node,
               const struct value *value,
               size_t bytes_max)
{
    if (tree_bytes(value, bytes_max) <= bytes_max)
        return true;
    (void)fail(ev, node, "the value is larger than %zu MiB", bytes_max / 1024 / 1024);
    return false;
}
