/* SPDX-License-Identifier: Apache-2.0 */
#include "base/vec.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"

static size_t next_capacity(size_t capacity, size_t size)
{
    CHECK(capacity < SIZE_MAX / 4 / size);
    return capacity == 0 ? 8 : capacity * 2;
}

void *vec_grow(void *items, size_t *capacity, size_t count, size_t size)
{
    if (count == *capacity) {
        *capacity = next_capacity(*capacity, size);
        items = check_realloc(items, *capacity * size);
    }
    memset((char *)items + count * size, 0, size);
    return items;
}

void *vec_grow_arena(struct arena *arena, void *items, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity) {
        memset((char *)items + count * size, 0, size);
        return items;
    }
    *capacity = next_capacity(*capacity, size);
    void *grown = arena_calloc(arena, *capacity, size);
    if (count > 0)
        memcpy(grown, items, count * size);
    return grown;
}

void vec_release(void *items)
{
    free(items);
}
