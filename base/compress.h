/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fast compression of blocks that are written once and read now and then; the only user of zstd.
 *
 * Thread safe: each thread has contexts of its own, given back when it ends.
 */
#ifndef BASE_COMPRESS_H
#define BASE_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Appends the compressed bytes; returns how many were appended. */
size_t compress_add(struct buf *out, const void *bytes, size_t length);

/*
 * Appends what `bytes` was made from. False, and nothing appended, when it is damaged or larger
 * than `length_max`.
 */
bool decompress_add(struct buf *out, const void *bytes, size_t length, size_t length_max);

#endif
