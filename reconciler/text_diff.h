/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines that differ between two texts.
 *
 * Pure. The shortest edit by Myers' greedy algorithm ("An O(ND) difference algorithm", 1986), up to
 * a bound of work; beyond it common lines are matched by their number of occurrences.
 */
#ifndef RECONCILER_TEXT_DIFF_H
#define RECONCILER_TEXT_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

struct text_stat {
    uint32_t added;
    uint32_t removed;
};

struct text_stat text_diff_stat(const char *before,
                                size_t before_length,
                                const char *after,
                                size_t after_length);

/* Is it bytes rather than text? A NUL or malformed UTF-8 within the first 8 KiB. */
bool text_is_binary(const char *bytes, size_t length);

/*
 * Appends the differences with `context` lines around them, in the form of `diff -u` without its
 * file names.
 */
void text_diff_write(struct buf *out,
                     const char *before,
                     size_t before_length,
                     const char *after,
                     size_t after_length,
                     size_t context);

#endif
