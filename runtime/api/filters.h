/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Query strings to searches: filters[field][OP]=value, the older parameters, page and sort
 * (api.md 1.8, 1.9). Pure.
 *
 * To add a field: one row in filters.c.
 */
#ifndef RUNTIME_API_FILTERS_H
#define RUNTIME_API_FILTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/url.h"
#include "core/flow.h"
#include "runtime/store/query.h"

struct arena;

enum resource {
    RESOURCE_NONE,
    RESOURCE_FLOW,
    RESOURCE_EXECUTION,
    RESOURCE_LOG,
    RESOURCE_TRIGGER,
    RESOURCE_KV,
    RESOURCE_SECRET,
    RESOURCE_NAMESPACE,
    RESOURCE_NAMESPACE_FILE,
    RESOURCE_METRIC,
};

/* Why a query string was refused, in the terms of api.md 1.7. */
struct refusal {
    int status;
    const char *reason; /* "Invalid query filters" … */
    const char *detail; /* owned by the arena, NULL none */
};

struct page {
    size_t page; /* from 1 */
    size_t size;
};

/* What a query string asks for. */
struct search {
    struct page page;
    struct query query; /* offset and limit set from the page */
    bool existing_only; /* namespaces: only those that hold flows */
    const char *text;   /* value of `q`, NULL none */
    bool is_paged;      /* page or size was given */
};

struct filter_context {
    usec_t now;
    const char *system_namespace;
    bool default_range; /* executions: the last eight days when no date is given */
};

/*
 * Reads page, size, sort and filters. Legacy parameters count only when there is no filters[…].
 *
 * Returns  false with *refusal filled
 */
bool search_parse(struct arena *arena,
                  enum resource resource,
                  const struct http_fields *fields,
                  const struct filter_context *context,
                  struct search *out,
                  struct refusal *refusal);

/* As above from a JSON list of {field, operation, value}; used where clients send a body. */
struct value;
bool search_parse_list(struct arena *arena,
                       enum resource resource,
                       const struct value *list,
                       const struct filter_context *context,
                       struct search *out,
                       struct refusal *refusal);

/*
 * Labels of "key:value" texts (query parameter `labels`, repeated).
 *
 * Returns  false with *refusal filled: missing colon, empty part, space in the key, a key twice
 */
bool labels_parse(struct arena *arena,
                  const struct http_fields *fields,
                  struct label **out,
                  size_t *count,
                  struct refusal *refusal);

/* yyyy-MM-ddTHH:mm, optionally :ss, .SSS and an offset or Z; without an offset it is UTC. */
bool filter_date_parse(const char *text, usec_t *out);

/* Names of the fields a resource can be filtered by, for the description of the API. */
struct filter_field {
    const char *name;
    const char *operators; /* "EQUALS, NOT_EQUALS" owned by the arena */
};
struct filter_field *filter_fields(struct arena *arena, enum resource resource, size_t *count);

#endif
