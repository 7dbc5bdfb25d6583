/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growable bytes on the heap. `bytes` is always NUL-terminated once something was added.
 *
 * Zero-initialised is a valid empty buffer. Out of memory ends the process; callers bound what a
 * user can make grow.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

struct buf {
    char *bytes; /* NULL while nothing was added */
    size_t length;
    size_t capacity;
};

void buf_free(struct buf *buf);

/* Empties, keeps the memory. */
void buf_clear(struct buf *buf);

/* Room for `more` bytes and a NUL; returns where they go. buf_added() then counts them. */
char *buf_reserve(struct buf *buf, size_t more);
void buf_added(struct buf *buf, size_t count);

void buf_add(struct buf *buf, const void *bytes, size_t length);
void buf_puts(struct buf *buf, const char *text);
void buf_putc(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Decimal digits without the cost of printf. */
void buf_put_int(struct buf *buf, int64_t number);

/* Encodes a code point as UTF-8. */
void buf_put_utf8(struct buf *buf, uint32_t code_point);

/* Never NULL: "" while nothing was added. */
const char *buf_text(const struct buf *buf);

/* Copy owned by the arena; never NULL. */
char *buf_dup(const struct buf *buf, struct arena *arena) __attribute__((returns_nonnull));

#endif
