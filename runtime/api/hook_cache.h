/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the last call of a flow's webhook found: its latest revision, parsed, and that the trigger
 * is switched on. It holds as long as no flow and no trigger was changed since (driver_catalog()).
 */
#ifndef RUNTIME_API_HOOK_CACHE_H
#define RUNTIME_API_HOOK_CACHE_H

#include <stdbool.h>
#include <stdint.h>

struct flow;
struct hook_cache;
struct trigger;

struct hook_found {
    uint64_t catalog; /* of driver_catalog(), asked before the store was read */
    int64_t revision;
    struct flow *flow;             /* one reference: the caller's */
    const struct trigger *trigger; /* of the flow; neither disabled nor switched off */
};

struct hook_cache *hook_cache_new(void);
void hook_cache_free(struct hook_cache *cache);

/* What was kept of the flow under this state of the catalog. */
bool hook_cache_find(struct hook_cache *cache,
                     const char *namespace,
                     const char *flow_id,
                     uint64_t catalog,
                     struct hook_found *out);

/* Keeps what was found, with a reference of its own. */
void hook_cache_keep(struct hook_cache *cache, const struct hook_found *found);

#endif
