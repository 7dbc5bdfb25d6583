/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"

#define CAPACITY_MIN 64U

void buf_free(struct buf *buf)
{
    free(buf->bytes);
    *buf = (struct buf){ 0 };
}

void buf_clear(struct buf *buf)
{
    buf->length = 0;
    if (buf->bytes != NULL)
        buf->bytes[0] = '\0';
}

char *buf_reserve(struct buf *buf, size_t more)
{
    CHECK(more < SIZE_MAX / 4 && buf->length < SIZE_MAX / 4);
    size_t needed = buf->length + more + 1;
    if (needed > buf->capacity) {
        size_t capacity = buf->capacity < CAPACITY_MIN ? CAPACITY_MIN : buf->capacity;
        while (capacity < needed)
            capacity *= 2;
        buf->bytes = check_realloc(buf->bytes, capacity);
        buf->capacity = capacity;
    }
    return buf->bytes + buf->length;
}

void buf_added(struct buf *buf, size_t count)
{
    CHECK(buf->length + count < buf->capacity);
    buf->length += count;
    buf->bytes[buf->length] = '\0';
}

void buf_add(struct buf *buf, const void *bytes, size_t length)
{
    char *place = buf_reserve(buf, length);
    if (length > 0)
        memcpy(place, bytes, length);
    buf_added(buf, length);
}

void buf_puts(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_putc(struct buf *buf, char c)
{
    *buf_reserve(buf, 1) = c;
    buf_added(buf, 1);
}

void buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    CHECK(length >= 0);
    char *place = buf_reserve(buf, (size_t)length);
    (void)vsnprintf(place, (size_t)length + 1, format, again);
    va_end(again);
    buf_added(buf, (size_t)length);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(buf, format, args);
    va_end(args);
}

void buf_put_int(struct buf *buf, int64_t number)
{
    char digits[24];
    size_t at = sizeof(digits);
    uint64_t rest = number < 0 ? 0U - (uint64_t)number : (uint64_t)number;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        digits[--at] = '-';
    buf_add(buf, digits + at, sizeof(digits) - at);
}

void buf_put_utf8(struct buf *buf, uint32_t code_point)
{
    char *place = buf_reserve(buf, 4);
    if (code_point < 0x80) {
        place[0] = (char)code_point;
        buf_added(buf, 1);
    } else if (code_point < 0x800) {
        place[0] = (char)(0xc0U | code_point >> 6);
        place[1] = (char)(0x80U | (code_point & 0x3fU));
        buf_added(buf, 2);
    } else if (code_point < 0x10000) {
        place[0] = (char)(0xe0U | code_point >> 12);
        place[1] = (char)(0x80U | (code_point >> 6 & 0x3fU));
        place[2] = (char)(0x80U | (code_point & 0x3fU));
        buf_added(buf, 3);
    } else {
        place[0] = (char)(0xf0U | code_point >> 18);
        place[1] = (char)(0x80U | (code_point >> 12 & 0x3fU));
        place[2] = (char)(0x80U | (code_point >> 6 & 0x3fU));
        place[3] = (char)(0x80U | (code_point & 0x3fU));
        buf_added(buf, 4);
    }
}

const char *buf_text(const struct buf *buf)
{
    return buf->bytes == NULL ? "" : buf->bytes;
}

char *buf_dup(const struct buf *buf, struct arena *arena)
{
    return arena_strndup(arena, buf_text(buf), buf->length);
}
