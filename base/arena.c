/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define CHUNK_BYTES_MIN 4096U
/* Chunks double up to this size: large enough to make malloc rare, small enough to return. */
#define CHUNK_BYTES_MAX ((size_t)256 * 1024)

struct chunk {
    struct chunk *previous;
    size_t size;
    size_t used;
    alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct chunk *current;
    size_t next_size;
    size_t asked;
};

static struct chunk *chunk_new(size_t size, struct chunk *previous)
{
    struct chunk *chunk = check_malloc(sizeof(struct chunk) + size);
    chunk->previous = previous;
    chunk->size = size;
    chunk->used = 0;
    return chunk;
}

static void *take(struct arena *arena, size_t size, size_t alignment)
{
    struct chunk *chunk = arena->current;
    size_t start = (chunk->used + alignment - 1) & ~(alignment - 1);
    arena->asked += size;
    if (start <= chunk->size && size <= chunk->size - start) {
        chunk->used = start + size;
        return chunk->bytes + start;
    }

    size_t wanted = arena->next_size;
    if (wanted < size)
        wanted = size;
    if (arena->next_size < CHUNK_BYTES_MAX)
        arena->next_size *= 2;
    chunk = chunk_new(wanted, chunk);
    chunk->used = size;
    arena->current = chunk;
    return chunk->bytes;
}

struct arena *arena_new_sized(size_t bytes)
{
    struct arena *arena = check_malloc(sizeof(struct arena));
    arena->current = chunk_new(bytes, NULL);
    arena->next_size = bytes < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : bytes;
    arena->asked = 0;
    return arena;
}

struct arena *arena_new(void)
{
    return arena_new_sized(CHUNK_BYTES_MIN - sizeof(struct chunk));
}

static void free_until(struct arena *arena, const struct chunk *keep)
{
    while (arena->current != keep) {
        struct chunk *previous = arena->current->previous;
        free(arena->current);
        arena->current = previous;
    }
}

void arena_free(struct arena *arena)
{
    if (arena == NULL)
        return;
    free_until(arena, NULL);
    free(arena);
}

void arena_freep(struct arena **arena)
{
    arena_free(*arena);
}

void arena_reset(struct arena *arena)
{
    struct chunk *first = arena->current;
    while (first->previous != NULL)
        first = first->previous;
    free_until(arena, first);
    first->used = 0;
    arena->asked = 0;
}

struct arena_mark arena_mark(struct arena *arena)
{
    return (struct arena_mark){ .chunk = arena->current, .used = arena->current->used };
}

void arena_rewind(struct arena *arena, struct arena_mark mark)
{
    free_until(arena, mark.chunk);
    arena->current->used = mark.used;
}

size_t arena_bytes(const struct arena *arena)
{
    return arena->asked;
}

size_t arena_held(const struct arena *arena)
{
    size_t bytes = sizeof(*arena);
    for (const struct chunk *chunk = arena->current; chunk != NULL; chunk = chunk->previous)
        bytes += sizeof(*chunk) + chunk->size;
    return bytes;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    return memset(take(arena, size, alignof(max_align_t)), 0, size);
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
    CHECK(size == 0 || count <= SIZE_MAX / 2 / size);
    return arena_alloc(arena, count * size);
}

char *arena_bytes_alloc(struct arena *arena, size_t size)
{
    return take(arena, size, 1);
}

void *arena_memdup(struct arena *arena, const void *bytes, size_t size)
{
    void *copy = take(arena, size, alignof(max_align_t));
    return size == 0 ? copy : memcpy(copy, bytes, size);
}

char *arena_strndup(struct arena *arena, const char *text, size_t length)
{
    char *copy = take(arena, length + 1, 1);
    if (length > 0)
        memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return text == NULL ? NULL : arena_strndup(arena, text, strlen(text));
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    CHECK(length >= 0);
    char *text = take(arena, (size_t)length + 1, 1);
    (void)vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}
