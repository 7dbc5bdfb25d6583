/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tasks that remove things by namespace and age have in common: they hand their properties to
 * an operation of the runtime (runtime/worker/services.h).
 */
#ifndef RUNTIME_TASKS_PURGE_H
#define RUNTIME_TASKS_PURGE_H

#include <stdbool.h>

#include "base/clock.h"
#include "core/prop.h"

struct error;
struct value;
struct value_builder;

/* `behavior` of PurgeKV and PurgeFiles. */
struct purge_behavior {
    int type; /* PURGE_KEY, PURGE_VERSION, -1 none */
    bool expired_only;
    usec_t before; /* USEC_NEVER none */
    int64_t keep;  /* 0 none */
};
enum { PURGE_KEY, PURGE_VERSION };
extern const struct prop purge_behavior_props[];

struct purge_scope {
    const struct value *namespaces;
    const char *namespace_pattern;
    bool include_children;
};

#define PURGE_SCOPE_ROWS(s, m)                                                                     \
    { "namespaces", STRINGS(s, m.namespaces), .flags = PROP_EXPR,                                  \
      .doc = "Namespaces to look at; all when absent." },                                          \
        { "namespacePattern", STR(s, m.namespace_pattern), .flags = PROP_EXPR,                     \
          .doc = "Glob of namespaces to look at; not together with `namespaces`." },               \
    {                                                                                              \
        "includeChildNamespaces", BOOL(s, m.include_children),                                     \
            .flags = PROP_EXPR, .fallback = "true", .doc = "Also look below the namespaces."       \
    }

/* Adds the arguments of a scope; ERR_INVALID when namespaces are named in both ways. */
bool purge_put_scope(const struct purge_scope *scope,
                     struct value_builder *arguments,
                     struct error *err);

/* Adds an instant; USEC_NEVER adds nothing. */
void purge_put_date(struct value_builder *arguments, const char *key, usec_t at);

/* Adds a list unless it is NULL or empty. */
void purge_put_list(struct value_builder *arguments, const char *key, const struct value *list);

#endif
