/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces, which exist through what is in them, and names of secrets (api.md 2.8).
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "core/value.h"
#include "runtime/api/call.h"
#include "runtime/api/executions.h"
#include "runtime/api/graph.h"

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Distinct namespaces of flows; a page at a time, so that sources are not read. */
bool flow_namespaces(struct call *call, const char *text, const char ***names, size_t *count)
{
    struct store_reader *reader = call_reader(call);
    if (reader == NULL)
        return false;
    struct query query = { .sort = FIELD_NAMESPACE, .limit = SIZE_MAX };
    struct flow_row *rows = NULL;
    size_t rows_count = 0;
    struct error err = { 0 };
    if (!reader->ops->flow_search(reader, call->arena, &query, false, &rows, &rows_count, NULL,
                                  &err)) {
        reply_failure(call, &err);
        return false;
    }
    struct map seen = { 0 };
    const char **found = ARENA_ARRAY(call->arena, rows_count, const char *);
    size_t used = 0;
    for (size_t i = 0; i < rows_count; i++) {
        const char *name = rows[i].namespace;
        if (map_has(&seen, name) || (!str_empty(text) && !text_contains(name, text)))
            continue;
        (void)map_put(&seen, name, &seen);
        found[used++] = name;
    }
    map_free(&seen);
    if (used > 1)
        qsort(found, used, sizeof(*found), compare_names);
    *names = found;
    *count = used;
    return true;
}

/* Namespaces of flows, with their parents unless `existing`, sorted. */
static bool all_namespaces(
    struct call *call, const char *text, bool existing, const char ***out, size_t *count)
{
    const char **held = NULL;
    size_t held_count = 0;
    if (!flow_namespaces(call, NULL, &held, &held_count))
        return false;
    struct map seen = { 0 };
    VEC(const char *) names = { 0 };
    for (size_t i = 0; i <= held_count; i++) {
        if (i == held_count && existing)
            break;
        char *name = arena_strdup(call->arena,
                                  i < held_count ? held[i] : call->api->config.system_namespace);
        for (bool first = true; name != NULL && (first || !existing); first = false) {
            bool fits = str_empty(text) || text_contains(name, text);
            if (fits && !map_has(&seen, name)) {
                (void)map_put(&seen, name, &seen);
                *VEC_PUSH_ARENA(call->arena, &names) = arena_strdup(call->arena, name);
            }
            char *dot = strrchr(name, '.');
            if (dot == NULL)
                break;
            *dot = '\0';
        }
    }
    map_free(&seen);
    if (names.count > 1)
        qsort(names.items, names.count, sizeof(*names.items), compare_names);
    *out = names.items;
    *count = names.count;
    return true;
}

static const struct value *namespace_value(struct arena *arena, const char *id)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "id", id);
    value_put_bool(&map, "deleted", false);
    return value_build_map(&map);
}

static void get_search(struct call *call)
{
    struct search search;
    const char **names = NULL;
    size_t count = 0;
    if (!call_search(call, &search))
        return;
    bool existing = search.existing_only || call_query_bool(call, "existing", false);
    if (!all_namespaces(call, search.text, existing, &names, &count))
        return;
    struct value_builder list = value_build(call->arena);
    for (size_t i = search.query.offset; i < count && i - search.query.offset < search.query.limit;
         i++)
        value_add(&list,
                  namespace_value(call->arena, names[search.query.descending ? count - 1 - i : i]));
    // a page beyond the end knows of nothing
    reply_page(call, value_build_list(&list), search.query.offset >= count ? 0 : (int64_t)count);
}

static void get_namespace(struct call *call)
{
    reply_value(call, 200, namespace_value(call->arena, call->path[0]));
}

static void post_autocomplete(struct call *call)
{
    const struct value *body = call_json(call);
    if (body == NULL)
        return;
    const char **names = NULL;
    size_t count = 0;
    if (!all_namespaces(call, value_get_text(body, "q", NULL),
                        value_get_bool(body, "existingOnly", false), &names, &count))
        return;
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++)
        value_add(&list, value_string(call->arena, names[i]));
    reply_value(call, 200, value_build_list(&list));
}

static void get_dependencies(struct call *call)
{
    reply_dependencies(call, call->path[0], NULL);
}

/* ---- secrets ---- */

static void get_secrets(struct call *call)
{
    struct search search;
    if (!call_search(call, &search))
        return;
    const char *const *keys = call->api->config.secret_keys;
    struct value_builder list = value_build(call->arena);
    size_t total = 0;
    for (; keys != NULL && *keys != NULL; keys++) {
        if (search.text != NULL && !text_contains(*keys, search.text))
            continue;
        size_t at = total++;
        if (at < search.query.offset || at - search.query.offset >= search.query.limit)
            continue;
        struct value_builder item = value_build(call->arena);
        value_put_text(&item, "key", *keys);
        value_add(&list, value_build_map(&item));
    }
    struct value_builder map = value_build(call->arena);
    value_put_bool(&map, "readOnly", true);
    value_put(&map, "results", value_build_list(&list));
    value_put_int(&map, "total", (int64_t)total);
    reply_value(call, 200, value_build_map(&map));
}

static void get_inherited_secrets(struct call *call)
{
    struct value_builder list = value_build(call->arena);
    const char *const *keys = call->api->config.secret_keys;
    for (; keys != NULL && *keys != NULL; keys++)
        value_add(&list, value_string(call->arena, *keys));
    struct value_builder map = value_build(call->arena);
    value_put(&map, call->path[0], value_build_list(&list));
    reply_value(call, 200, value_build_map(&map));
}

static void refuse_change(struct call *call)
{
    reply_error(call, 501, "Not Implemented", "changing namespaces is not available in weir");
}

static const struct route_query search_query[] = {
    { "existing", "boolean", "Only those that hold something themselves.", false },
    { 0 },
};
static const struct route_query dependencies_query[] = {
    { "destinationOnly", "boolean", "Only what the flows lead to.", false },
    { 0 },
};

const struct route namespace_routes[] = {
    { "GET", "namespaces/search", get_search, .flags = ROUTE_PAGED, .resource = RESOURCE_NAMESPACE,
      .query = search_query, .doc = "Namespaces by name." },
    { "GET", "namespaces/{namespace}", get_namespace, .doc = "One namespace; always there." },
    { "POST", "namespaces", refuse_change, .doc = "Not available in weir: 501." },
    { "PUT", "namespaces/{namespace}", refuse_change, .doc = "Not available in weir: 501." },
    { "DELETE", "namespaces/{namespace}", refuse_change, .doc = "Not available in weir: 501." },
    { "POST", "namespaces/autocomplete", post_autocomplete, .body = "application/json",
      .doc = "Names of namespaces." },
    { "GET", "namespaces/{namespace}/dependencies", get_dependencies, .query = dependencies_query,
      .shape = "FlowTopologyGraph", .doc = "How the flows of a namespace lead to one another." },
    { "GET", "namespaces/{namespace}/secrets", get_secrets, .flags = ROUTE_PAGED,
      .resource = RESOURCE_SECRET, .doc = "Names of secrets." },
    { "GET", "secrets", get_secrets, .flags = ROUTE_PAGED, .resource = RESOURCE_SECRET,
      .doc = "Names of secrets." },
    { "GET", "namespaces/{namespace}/inherited-secrets", get_inherited_secrets,
      .doc = "Names of secrets by namespace." },
    { 0 },
};
