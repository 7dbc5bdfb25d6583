/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growable arrays: VEC(type) is a struct { items, count, capacity }.
 *
 * VEC_PUSH keeps items on the heap (VEC_FREE gives them back); VEC_PUSH_ARENA keeps them in an
 * arena. One vector uses one of the two. Both give a pointer to the new, zeroed element, valid
 * until the next push.
 */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stddef.h>

struct arena;

#define VEC(type)                                                                                  \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count;                                                                              \
        size_t capacity;                                                                           \
    }

#define VEC_PUSH(vec)                                                                              \
    ((vec)->items = vec_grow((vec)->items, &(vec)->capacity, (vec)->count, sizeof(*(vec)->items)), \
     &(vec)->items[(vec)->count++])

#define VEC_PUSH_ARENA(arena, vec)                                                                 \
    ((vec)->items = vec_grow_arena((arena), (vec)->items, &(vec)->capacity, (vec)->count,          \
                                   sizeof(*(vec)->items)),                                         \
     &(vec)->items[(vec)->count++])

#define VEC_FREE(vec)                                                                              \
    (vec_release((vec)->items), (vec)->items = NULL, (vec)->count = 0, (vec)->capacity = 0)

/* Walks a vector or any struct with `items` and `count`. */
#define VEC_EACH(pointer, vec)                                                                     \
    for ((pointer) = (vec)->items; (pointer) != NULL && (pointer) < (vec)->items + (vec)->count;   \
         (pointer)++)

/* Helpers of the macros: make room for one more element and zero it. */
void *vec_grow(void *items, size_t *capacity, size_t count, size_t size);
void *vec_grow_arena(struct arena *arena, void *items, size_t *capacity, size_t count, size_t size);
void vec_release(void *items);

#endif
