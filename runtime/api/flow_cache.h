/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parsed flows by namespace, id and revision, for handlers and their input resolution. A revision
 * never changes, so an entry is never wrong; the cache forgets when it is full. Thread safe.
 */
#ifndef RUNTIME_API_FLOW_CACHE_H
#define RUNTIME_API_FLOW_CACHE_H

#include <stddef.h>

struct error;
struct flow;
struct flow_cache;
struct flow_row;
struct plugin_set;
struct value;

struct flow_cache *flow_cache_new(const struct plugin_set *plugins,
                                  const struct value *defaults,
                                  size_t flows_max);
void flow_cache_free(struct flow_cache *cache);

/*
 * The flow of a row whose source is filled; parsed when it is not known. The caller gives the
 * reference back with flow_unref().
 *
 * Errors   ERR_INVALID  the stored source does not parse any more
 */
struct flow *flow_cache_get(struct flow_cache *cache,
                            const struct flow_row *row,
                            struct error *err);

#endif
