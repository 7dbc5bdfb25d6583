/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arena: memory that lives as long as one request, reconcile, engine step or task run.
 *
 * Not thread safe; one arena belongs to one thread at a time. Out of memory ends the process.
 * Parameter names say the role: `arena` keeps the result, `scratch` is dead on return.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena;

/* Position inside an arena, see arena_mark(). */
struct arena_mark {
    void *chunk;
    size_t used;
};

struct arena *arena_new(void);

/* As arena_new(), with the first chunk big enough for `bytes`; for arenas of known small size. */
struct arena *arena_new_sized(size_t bytes);

/* NULL is fine. */
void arena_free(struct arena *arena);
void arena_freep(struct arena **arena);

/* Forgets everything, keeps one chunk for reuse. */
void arena_reset(struct arena *arena);

/* arena_rewind(a, arena_mark(a)) frees what was allocated between the two calls. */
struct arena_mark arena_mark(struct arena *arena);
void arena_rewind(struct arena *arena, struct arena_mark mark);

/* Bytes asked for so far (not counting chunk overhead); for limits and metrics. */
size_t arena_bytes(const struct arena *arena);
/* Bytes it holds, used or not, with the overhead of its chunks; for caches that have a budget. */
size_t arena_held(const struct arena *arena);

/* Zeroed memory aligned for any type; size 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size);

/* Zeroed array; aborts when count * size overflows. */
void *arena_calloc(struct arena *arena, size_t count, size_t size);

/* As arena_alloc() without the zeroing and with alignment 1, for bytes. */
char *arena_bytes_alloc(struct arena *arena, size_t size);

void *arena_memdup(struct arena *arena, const void *bytes, size_t size);

/* NULL gives NULL. */
char *arena_strdup(struct arena *arena, const char *text);

/* Copies `length` bytes and adds a NUL. */
char *arena_strndup(struct arena *arena, const char *text, size_t length);

char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *arena, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Typed shorthands: ARENA_NEW(arena, struct flow), ARENA_ARRAY(arena, count, struct task). */
#define ARENA_NEW(arena, type)          ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, count, type) ((type *)arena_calloc((arena), (count), sizeof(type)))

#endif
