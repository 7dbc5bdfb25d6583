/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/api/hook_cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/map.h"
#include "core/flow.h"

/* Flows whose webhooks are remembered; beyond, it begins anew. */
#define HOOKS_MAX 1024U

struct hook_cache {
    pthread_mutex_t lock; /* everything below */
    struct map kept;      /* "namespace/id" -> struct hook_found */
    struct buf name;
};

/* Under the lock. No namespace has a slash. */
static const struct buf *name_of(struct hook_cache *cache, const char *namespace, const char *id)
{
    buf_clear(&cache->name);
    buf_puts(&cache->name, namespace);
    buf_putc(&cache->name, '/');
    buf_puts(&cache->name, id);
    return &cache->name;
}

static void forget_all(struct hook_cache *cache)
{
    size_t at = 0;
    const struct map_slot *slot;
    while ((slot = map_next(&cache->kept, &at)) != NULL) {
        struct hook_found *found = slot->value;
        flow_unref(found->flow);
        free(found);
    }
    map_free(&cache->kept);
}

struct hook_cache *hook_cache_new(void)
{
    struct hook_cache *cache = check_calloc(1, sizeof(*cache));
    CHECK(pthread_mutex_init(&cache->lock, NULL) == 0);
    return cache;
}

void hook_cache_free(struct hook_cache *cache)
{
    if (cache == NULL)
        return;
    forget_all(cache);
    buf_free(&cache->name);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
}

bool hook_cache_find(struct hook_cache *cache,
                     const char *namespace,
                     const char *flow_id,
                     uint64_t catalog,
                     struct hook_found *out)
{
    (void)pthread_mutex_lock(&cache->lock);
    const struct buf *name = name_of(cache, namespace, flow_id);
    const struct hook_found *found = map_find_bytes(&cache->kept, name->bytes, name->length);
    bool holds = found != NULL && found->catalog == catalog;
    if (holds) {
        *out = *found;
        (void)flow_ref(out->flow);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return holds;
}

void hook_cache_keep(struct hook_cache *cache, const struct hook_found *found)
{
    (void)pthread_mutex_lock(&cache->lock);
    if (cache->kept.count >= HOOKS_MAX)
        forget_all(cache);
    const struct buf *name = name_of(cache, found->flow->namespace, found->flow->id);
    struct hook_found *kept = map_find_bytes(&cache->kept, name->bytes, name->length);
    if (kept == NULL) {
        kept = check_calloc(1, sizeof(*kept));
        map_put_bytes(&cache->kept, name->bytes, name->length, kept);
    }
    struct flow *before = kept->flow;
    *kept = *found;
    (void)flow_ref(kept->flow);
    (void)pthread_mutex_unlock(&cache->lock);
    flow_unref(before);
}
