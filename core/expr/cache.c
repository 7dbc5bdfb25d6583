/* SPDX-License-Identifier: Apache-2.0 */
#include "core/expr/cache.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/map.h"
#include "base/regex.h"
#include "core/expr/ast.h"
#include "core/expr/expr.h"
#include "core/expr/parser.h"

struct cached {
    struct arena *arena;
    const struct expr *expr;
    unsigned users; /* renderings that run it now */
    bool is_recent; /* used since the last clearing */
};

struct expr_cache {
    struct map templates; /* text → struct cached */
    size_t bytes;         /* of the texts */
    size_t held;          /* by what was made of them */
    struct map regexes;   /* pattern → struct regex */
};

struct expr_cache *expr_cache_new(void)
{
    return check_calloc(1, sizeof(struct expr_cache));
}

static void cached_free(struct cached *cached)
{
    arena_free(cached->arena);
    free(cached);
}

static size_t cached_held(const struct cached *cached)
{
    return sizeof(*cached) + arena_held(cached->arena);
}

size_t expr_cache_held(const struct expr_cache *cache)
{
    return cache == NULL ? 0 : cache->bytes + cache->held;
}

static void clear_regexes(struct expr_cache *cache)
{
    size_t at = 0;
    struct map_slot *slot;
    while ((slot = map_next(&cache->regexes, &at)) != NULL)
        regex_free(slot->value);
    map_free(&cache->regexes);
    cache->regexes = (struct map){ 0 };
}

void expr_cache_free(struct expr_cache *cache)
{
    if (cache == NULL)
        return;
    size_t at = 0;
    struct map_slot *slot;
    while ((slot = map_next(&cache->templates, &at)) != NULL)
        cached_free(slot->value);
    map_free(&cache->templates);
    clear_regexes(cache);
    free(cache);
}

/*
 * Keeps what was used since the last time and what runs now. Templates are moved into a new map,
 * because one must not change while it is walked.
 */
static void make_room(struct expr_cache *cache)
{
    struct map kept = { 0 };
    size_t bytes = 0;
    size_t held = 0;
    size_t at = 0;
    struct map_slot *slot;
    while ((slot = map_next(&cache->templates, &at)) != NULL) {
        struct cached *cached = slot->value;
        bool is_kept = cached->users > 0 || (cached->is_recent && kept.count < EXPR_CACHE_MAX / 2 &&
                                             bytes + slot->key_length < EXPR_CACHE_BYTES_MAX / 2);
        cached->is_recent = false;
        if (!is_kept) {
            cached_free(cached);
            continue;
        }
        bytes += slot->key_length;
        held += cached_held(cached);
        (void)map_put_bytes(&kept, slot->key, slot->key_length, cached);
    }
    map_free(&cache->templates);
    cache->templates = kept;
    cache->bytes = bytes;
    cache->held = held;
}

struct cached *cache_template(struct expr_cache *cache,
                              const char *text,
                              size_t length,
                              struct error *err)
{
    struct cached *cached = map_find_bytes(&cache->templates, text, length);
    if (cached == NULL) {
        struct arena *arena = arena_new_sized(1024);
        const struct expr *expr = parse_template(arena, text, length, err);
        if (expr == NULL) {
            arena_free(arena);
            return NULL;
        }
        if (cache->templates.count >= EXPR_CACHE_MAX ||
            cache->bytes + length > EXPR_CACHE_BYTES_MAX)
            make_room(cache);
        cached = check_calloc(1, sizeof(*cached));
        cached->arena = arena;
        cached->expr = expr;
        (void)map_put_bytes(&cache->templates, text, length, cached);
        cache->bytes += length;
        cache->held += cached_held(cached);
    }
    cached->users++;
    cached->is_recent = true;
    return cached;
}

const struct expr *cached_expr(const struct cached *cached)
{
    return cached->expr;
}

void cached_release(struct cached *cached)
{
    if (cached != NULL)
        cached->users--;
}

struct regex *cache_regex(struct expr_cache *cache,
                          const char *pattern,
                          size_t length,
                          struct error *err)
{
    struct regex *regex = map_find_bytes(&cache->regexes, pattern, length);
    if (regex != NULL)
        return regex;
    regex = regex_new(pattern, length, err);
    if (regex == NULL)
        return NULL;
    if (cache->regexes.count >= EXPR_CACHE_REGEX_MAX)
        clear_regexes(cache);
    (void)map_put_bytes(&cache->regexes, pattern, length, regex);
    return regex;
}
