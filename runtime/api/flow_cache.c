/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/api/flow_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/map.h"
#include "core/diag.h"
#include "core/flow.h"
#include "runtime/store/rows.h"

struct flow_cache {
    const struct plugin_set *plugins;
    const struct value *defaults;
    size_t flows_max;
    pthread_mutex_t lock;
    struct map flows; /* "ns/id/revision" -> struct flow, one reference each */
};

struct flow_cache *flow_cache_new(const struct plugin_set *plugins,
                                  const struct value *defaults,
                                  size_t flows_max)
{
    struct flow_cache *cache = check_calloc(1, sizeof(*cache));
    cache->plugins = plugins;
    cache->defaults = defaults;
    cache->flows_max = flows_max;
    CHECK(pthread_mutex_init(&cache->lock, NULL) == 0);
    return cache;
}

static void forget_all(struct flow_cache *cache)
{
    size_t at = 0;
    struct map_slot *slot;
    while ((slot = map_next(&cache->flows, &at)) != NULL)
        flow_unref(slot->value);
    map_free(&cache->flows);
    cache->flows = (struct map){ 0 };
}

void flow_cache_free(struct flow_cache *cache)
{
    if (cache == NULL)
        return;
    forget_all(cache);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static struct flow *parse(struct flow_cache *cache, const struct flow_row *row, struct error *err)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list findings = diag_list_new(arena, NULL);
    struct flow_options options = {
        .namespace = row->namespace,
        .defaults = cache->defaults,
        .lenient = true,
    };
    struct flow *flow =
        flow_parse(cache->plugins, row->source, row->source_length, &options, &findings);
    if (flow == NULL) {
        const char *problems = diag_constraints(&findings, false);
        error_set(err, ERR_INVALID, "Cannot execute an invalid flow: %s",
                  problems == NULL ? "" : problems);
        return NULL;
    }
    flow->revision = row->revision;
    return flow;
}

struct flow *flow_cache_get(struct flow_cache *cache, const struct flow_row *row, struct error *err)
{
    struct buf key = { 0 };
    buf_printf(&key, "%s/%s/%lld", row->namespace, row->id, (long long)row->revision);

    (void)pthread_mutex_lock(&cache->lock);
    struct flow *flow = map_find(&cache->flows, buf_text(&key));
    if (flow != NULL)
        (void)flow_ref(flow);
    (void)pthread_mutex_unlock(&cache->lock);

    if (flow == NULL && (flow = parse(cache, row, err)) != NULL) {
        (void)pthread_mutex_lock(&cache->lock);
        if (cache->flows.count >= cache->flows_max)
            forget_all(cache);
        flow_unref(map_put(&cache->flows, buf_text(&key), flow_ref(flow)));
        (void)pthread_mutex_unlock(&cache->lock);
    }
    buf_free(&key);
    return flow;
}
