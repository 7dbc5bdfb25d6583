/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash map from byte strings to pointers, on the heap. Keys are copied.
 *
 * Not thread safe. Iteration order is unspecified; whatever people see is sorted by its maker.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
    char *key; /* NULL: free */
    size_t key_length;
    uint64_t hash;
    void *value;
};

/* Zero-initialised is a valid empty map. */
struct map {
    struct map_slot *slots;
    size_t count;
    size_t capacity; /* a power of two, or 0 */
};

/* Frees the map, not the values. */
void map_free(struct map *map);

/* NULL when absent. */
void *map_find(const struct map *map, const char *key);
void *map_find_bytes(const struct map *map, const void *key, size_t length);

bool map_has(const struct map *map, const char *key);

/* Returns the value that was there before, or NULL. `value` must not be NULL. */
void *map_put(struct map *map, const char *key, void *value);
void *map_put_bytes(struct map *map, const void *key, size_t length, void *value);

/* Returns the removed value, or NULL. */
void *map_remove(struct map *map, const char *key);
void *map_remove_bytes(struct map *map, const void *key, size_t length);

/*
 * Walks all entries: `size_t at = 0; struct map_slot *slot; while ((slot = map_next(map, &at)))`.
 * The map must not change meanwhile.
 */
struct map_slot *map_next(const struct map *map, size_t *at);

/* The hash used by the map; for other tables over the same keys. */
uint64_t map_hash(const void *bytes, size_t length);

#endif
