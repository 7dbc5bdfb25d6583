/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* FNV-1a with a final mix: short keys, and tables are bounded by what a user may store. */
uint64_t map_hash(const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * 0x100000001b3U;
    hash ^= hash >> 32;
    hash *= 0x9e3779b97f4a7c15U;
    return hash ^ hash >> 29;
}

void map_free(struct map *map)
{
    for (size_t i = 0; i < map->capacity; i++)
        free(map->slots[i].key);
    free(map->slots);
    *map = (struct map){ 0 };
}

static struct map_slot *locate(const struct map *map, const void *key, size_t length, uint64_t hash)
{
    size_t mask = map->capacity - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct map_slot *slot = &map->slots[i];
        if (slot->key == NULL || (slot->hash == hash && slot->key_length == length &&
                                  memcmp(slot->key, key, length) == 0))
            return slot;
    }
}

static void grow(struct map *map)
{
    struct map bigger = { .capacity = map->capacity == 0 ? 16 : map->capacity * 2 };
    bigger.slots = check_calloc(bigger.capacity, sizeof(struct map_slot));
    bigger.count = map->count;
    for (size_t i = 0; i < map->capacity; i++) {
        const struct map_slot *old = &map->slots[i];
        if (old->key != NULL)
            *locate(&bigger, old->key, old->key_length, old->hash) = *old;
    }
    free(map->slots);
    *map = bigger;
}

void *map_find_bytes(const struct map *map, const void *key, size_t length)
{
    if (map->count == 0)
        return NULL;
    return locate(map, key, length, map_hash(key, length))->value;
}

void *map_find(const struct map *map, const char *key)
{
    return map_find_bytes(map, key, strlen(key));
}

bool map_has(const struct map *map, const char *key)
{
    return map_find(map, key) != NULL;
}

void *map_put_bytes(struct map *map, const void *key, size_t length, void *value)
{
    CHECK(value != NULL);
    if (map->count * 4 >= map->capacity * 3)
        grow(map);
    uint64_t hash = map_hash(key, length);
    struct map_slot *slot = locate(map, key, length, hash);
    if (slot->key == NULL) {
        slot->key = check_malloc(length + 1);
        memcpy(slot->key, key, length);
        slot->key[length] = '\0';
        slot->key_length = length;
        slot->hash = hash;
        map->count++;
    }
    void *before = slot->value;
    slot->value = value;
    return before;
}

void *map_put(struct map *map, const char *key, void *value)
{
    return map_put_bytes(map, key, strlen(key), value);
}

/* Linear probing: closes the gap so that no tombstones are needed. */
static void close_gap(struct map *map, size_t gap)
{
    size_t mask = map->capacity - 1;
    for (size_t i = (gap + 1) & mask; map->slots[i].key != NULL; i = (i + 1) & mask) {
        size_t home = map->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            map->slots[gap] = map->slots[i];
            map->slots[i] = (struct map_slot){ 0 };
            gap = i;
        }
    }
}

void *map_remove_bytes(struct map *map, const void *key, size_t length)
{
    if (map->count == 0)
        return NULL;
    struct map_slot *slot = locate(map, key, length, map_hash(key, length));
    if (slot->key == NULL)
        return NULL;
    void *value = slot->value;
    free(slot->key);
    *slot = (struct map_slot){ 0 };
    map->count--;
    close_gap(map, (size_t)(slot - map->slots));
    return value;
}

void *map_remove(struct map *map, const char *key)
{
    return map_remove_bytes(map, key, strlen(key));
}

struct map_slot *map_next(const struct map *map, size_t *at)
{
    while (*at < map->capacity) {
        struct map_slot *slot = &map->slots[(*at)++];
        if (slot->key != NULL)
            return slot;
    }
    return NULL;
}
