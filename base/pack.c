/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pack.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"

/* Seven bits per byte. */
#define UINT_BYTES_MAX 10

void pack_uint(struct buf *out, uint64_t number)
{
    unsigned char *at = (unsigned char *)buf_reserve(out, UINT_BYTES_MAX);
    size_t count = 0;
    while (number >= 0x80) {
        at[count++] = (unsigned char)(number | 0x80);
        number >>= 7;
    }
    at[count++] = (unsigned char)number;
    buf_added(out, count);
}

void pack_int(struct buf *out, int64_t number)
{
    pack_uint(out, (uint64_t)number << 1 ^ (number < 0 ? UINT64_MAX : 0));
}

void pack_double(struct buf *out, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof(bits));
    unsigned char *at = (unsigned char *)buf_reserve(out, sizeof(bits));
    for (size_t i = 0; i < sizeof(bits); i++)
        at[i] = (unsigned char)(bits >> (8 * i));
    buf_added(out, sizeof(bits));
}

void pack_bytes(struct buf *out, const void *bytes, size_t length)
{
    pack_uint(out, length);
    buf_add(out, bytes, length);
}

void pack_text(struct buf *out, const char *text)
{
    if (text == NULL) {
        pack_uint(out, 0);
        return;
    }
    size_t length = strlen(text);
    pack_uint(out, length + 1);
    buf_add(out, text, length);
}

struct unpack unpack_start(const void *bytes, size_t length)
{
    const unsigned char *start = bytes;
    return (struct unpack){ .at = start, .end = start == NULL ? NULL : start + length };
}

size_t unpack_left(const struct unpack *in)
{
    return (size_t)(in->end - in->at);
}

bool unpack_fail(struct unpack *in)
{
    in->bad = true;
    in->at = in->end;
    return false;
}

uint64_t unpack_uint(struct unpack *in)
{
    uint64_t number = 0;
    for (unsigned shift = 0; in->at < in->end; shift += 7) {
        unsigned char byte = *in->at++;
        if (shift == 63 && byte > 1)
            break;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return number;
        if (shift == 63)
            break;
    }
    unpack_fail(in);
    return 0;
}

uint64_t unpack_max(struct unpack *in, uint64_t max)
{
    uint64_t number = unpack_uint(in);
    if (number <= max)
        return number;
    unpack_fail(in);
    return 0;
}

size_t unpack_count(struct unpack *in)
{
    uint64_t number = unpack_uint(in);
    if (number <= unpack_left(in))
        return (size_t)number;
    unpack_fail(in);
    return 0;
}

int64_t unpack_int(struct unpack *in)
{
    uint64_t number = unpack_uint(in);
    return (int64_t)(number >> 1 ^ ((number & 1) != 0 ? UINT64_MAX : 0));
}

double unpack_double(struct unpack *in)
{
    uint64_t bits = 0;
    if (unpack_left(in) < sizeof(bits)) {
        unpack_fail(in);
        return 0;
    }
    for (size_t i = 0; i < sizeof(bits); i++)
        bits |= (uint64_t)in->at[i] << (8 * i);
    in->at += sizeof(bits);
    double number;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

const void *unpack_bytes(struct unpack *in, size_t *length)
{
    size_t count = unpack_count(in);
    if (in->bad)
        return NULL;
    const void *bytes = in->at;
    in->at += count;
    *length = count;
    return bytes;
}

char *unpack_text(struct unpack *in, struct arena *arena)
{
    uint64_t number = unpack_uint(in);
    if (number == 0)
        return NULL;
    if (number - 1 > unpack_left(in) || memchr(in->at, '\0', (size_t)number - 1) != NULL) {
        unpack_fail(in);
        return NULL;
    }
    char *text = arena_strndup(arena, (const char *)in->at, (size_t)number - 1);
    in->at += number - 1;
    return text;
}
