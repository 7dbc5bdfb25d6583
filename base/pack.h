/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compact bytes: variable-length numbers and length-prefixed texts, written to a buf and read back
 * with every bound checked.
 *
 * A reader that meets damage sets `bad` and gives zeros from then on; callers look once at the end.
 */
#ifndef BASE_PACK_H
#define BASE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;

void pack_uint(struct buf *out, uint64_t number);
void pack_int(struct buf *out, int64_t number); /* zigzag */
void pack_double(struct buf *out, double number);
void pack_bytes(struct buf *out, const void *bytes, size_t length);
/* NULL and "" are told apart. */
void pack_text(struct buf *out, const char *text);

struct unpack {
    const unsigned char *at;
    const unsigned char *end;
    bool bad;
};

struct unpack unpack_start(const void *bytes, size_t length);
size_t unpack_left(const struct unpack *in);
/* Marks the input as damaged. Returns false. */
bool unpack_fail(struct unpack *in);

uint64_t unpack_uint(struct unpack *in);
/* At most `max`, else damaged. */
uint64_t unpack_max(struct unpack *in, uint64_t max);
/* A number of things of which each takes at least one more byte: never more than what is left. */
size_t unpack_count(struct unpack *in);
int64_t unpack_int(struct unpack *in);
double unpack_double(struct unpack *in);
/* Borrowed from the input; NULL when damaged. */
const void *unpack_bytes(struct unpack *in, size_t *length);
/* NUL-terminated copy owned by the arena; NULL when NULL was packed or the input is damaged. */
char *unpack_text(struct unpack *in, struct arena *arena);

#endif
