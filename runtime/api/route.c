/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/api/route.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"

/* Literal segments and parameters of the longest route: "/api/v1" and what follows. */
#define SEGMENTS_MAX 12

/* Never tenants: the resources of paths without one (api.md 1.1, step 2). */
static const char *const resource_words[] = {
    "flows",   "executions", "triggers",   "logs",      "metrics", "namespaces",        "kv",
    "secrets", "dashboards", "blueprints", "templates", "cluster", "concurrency-limit", "usages",
    "stats",   "taskruns",   "basicAuth",  "ai",
};

/*
 * A start of an execution looks like an operation on one when the flow has the operation's name:
 * POST executions/company.team/restart. What is no whole execution id is a namespace then.
 */
#define EXECUTION_ID_LENGTH_MIN 16U

struct entry {
    const struct route *route;
    const char *segments[SEGMENTS_MAX]; /* "{" for a parameter */
    size_t count;
    size_t id_at; /* segment that must be an execution id, SIZE_MAX none */
};

/* Routes with the same number of segments and the same first one. */
struct bucket {
    VEC(struct entry) entries;
};

struct router {
    struct arena *arena;
    struct map tenants;  /* ids that are accepted */
    struct map words;    /* resource words */
    struct map absolute; /* "<count> <first>" -> bucket; paths below / */
    struct map relative; /* the same below /api/v1/{tenant} */
    struct bucket absolute_prefixes;
    struct bucket relative_prefixes;
};

static const char PARAMETER[] = "{";

/* ---- building ---- */

static struct entry entry_of(struct arena *arena, const struct route *route)
{
    struct entry entry = { .route = route, .id_at = SIZE_MAX };
    const char *at = route->path;
    if (*at == '/')
        at++;
    while (*at != '\0') {
        size_t length = strcspn(at, "/");
        CHECK(entry.count < SEGMENTS_MAX);
        if (str_starts(at, "{executionId}") && str_eq(route->method, "POST"))
            entry.id_at = entry.count;
        entry.segments[entry.count++] = at[0] == '{' ? PARAMETER : arena_strndup(arena, at, length);
        at += length;
        if (*at == '/')
            at++;
    }
    return entry;
}

/* Buckets of parameters stand under the name "{". */
static size_t bucket_key(char *key, size_t size, size_t count, const char *first)
{
    size_t length = strlen(first);
    if (length + 4 > size)
        return 0; // longer than any literal of a route
    key[0] = (char)('0' + (int)count);
    key[1] = ' ';
    memcpy(key + 2, first, length);
    return length + 2;
}

static struct bucket *find_bucket(const struct map *buckets, size_t count, const char *first)
{
    char key[64];
    size_t length = bucket_key(key, sizeof(key), count, first);
    return length == 0 ? NULL : map_find_bytes(buckets, key, length);
}

static void add_route(struct router *router, const struct route *route)
{
    struct entry entry = entry_of(router->arena, route);
    bool is_absolute = route->path[0] == '/';
    if (entry.count > 0 && strcmp(entry.segments[entry.count - 1], "**") == 0) {
        entry.count--;
        struct bucket *prefixes =
            is_absolute ? &router->absolute_prefixes : &router->relative_prefixes;
        *VEC_PUSH_ARENA(router->arena, &prefixes->entries) = entry;
        return;
    }
    struct map *buckets = is_absolute ? &router->absolute : &router->relative;
    const char *first = entry.count == 0 ? "" : entry.segments[0];
    struct bucket *bucket = find_bucket(buckets, entry.count, first);
    if (bucket == NULL) {
        bucket = ARENA_NEW(router->arena, struct bucket);
        char key[64];
        size_t length = bucket_key(key, sizeof(key), entry.count, first);
        CHECK(length > 0);
        (void)map_put_bytes(buckets, key, length, bucket);
    }
    *VEC_PUSH_ARENA(router->arena, &bucket->entries) = entry;
}

struct router *router_new(const struct route *const *tables,
                          const char *tenant,
                          const char *const *tenant_aliases)
{
    struct router *router = check_calloc(1, sizeof(*router));
    router->arena = arena_new();
    static char present;
    (void)map_put(&router->tenants, tenant, &present);
    for (; tenant_aliases != NULL && *tenant_aliases != NULL; tenant_aliases++)
        (void)map_put(&router->tenants, *tenant_aliases, &present);
    for (size_t i = 0; i < COUNT_OF(resource_words); i++)
        (void)map_put(&router->words, resource_words[i], &present);
    for (; *tables != NULL; tables++) {
        for (const struct route *route = *tables; route->method != NULL; route++)
            add_route(router, route);
    }
    return router;
}

void router_free(struct router *router)
{
    if (router == NULL)
        return;
    map_free(&router->tenants);
    map_free(&router->words);
    map_free(&router->absolute);
    map_free(&router->relative);
    arena_free(router->arena);
    free(router);
}

/* ---- finding ---- */

static bool is_execution_id(const char *text)
{
    size_t length = 0;
    for (; *text != '\0'; text++, length++) {
        bool fits = (*text >= '0' && *text <= '9') || (*text >= 'A' && *text <= 'Z') ||
                    (*text >= 'a' && *text <= 'z');
        if (!fits)
            return false;
    }
    return length >= EXECUTION_ID_LENGTH_MIN;
}

static bool fits(const struct entry *entry, const char *const *segments)
{
    if (entry->id_at != SIZE_MAX && !is_execution_id(segments[entry->id_at]))
        return false;
    for (size_t i = 0; i < entry->count; i++) {
        bool is_parameter = entry->segments[i] == PARAMETER;
        if (is_parameter ? segments[i][0] == '\0' : strcmp(entry->segments[i], segments[i]) != 0)
            return false;
    }
    return true;
}

/* Is a better than b: a literal where the other has a parameter, from left to right? */
static bool is_better(const struct entry *a, const struct entry *b)
{
    for (size_t i = 0; i < a->count; i++) {
        bool a_literal = a->segments[i] != PARAMETER;
        bool b_literal = b->segments[i] != PARAMETER;
        if (a_literal != b_literal)
            return a_literal;
    }
    return false;
}

struct search_state {
    const char *method;
    const char *const *segments;
    const struct entry *best;
    bool is_known; /* the path exists, with another method */
};

static void search_bucket(struct search_state *state, const struct bucket *bucket)
{
    for (size_t i = 0; bucket != NULL && i < bucket->entries.count; i++) {
        const struct entry *entry = &bucket->entries.items[i];
        if (!fits(entry, state->segments))
            continue;
        const char *method = entry->route->method;
        if (method[0] != '*' && strcmp(method, state->method) != 0) {
            state->is_known = true;
            continue;
        }
        if (state->best == NULL || is_better(entry, state->best))
            state->best = entry;
    }
}

static enum route_result find_below(const struct map *buckets,
                                    const char *method,
                                    const char *const *segments,
                                    size_t count,
                                    struct route_match *out)
{
    if (count > SEGMENTS_MAX)
        return ROUTE_UNKNOWN;
    struct search_state state = { .method = method, .segments = segments };
    search_bucket(&state, find_bucket(buckets, count, count == 0 ? "" : segments[0]));
    search_bucket(&state, find_bucket(buckets, count, PARAMETER));
    if (state.best == NULL)
        return state.is_known ? ROUTE_WRONG_METHOD : ROUTE_UNKNOWN;

    size_t parameters = 0;
    out->route = state.best->route;
    for (size_t i = 0; i < count; i++) {
        if (state.best->segments[i] != PARAMETER)
            continue;
        CHECK(parameters < ROUTE_PARAMETERS_MAX);
        out->parameters[parameters++] = segments[i];
    }
    return ROUTE_FOUND;
}

static const struct route *find_prefix(const struct bucket *prefixes,
                                       const char *method,
                                       const char *const *segments,
                                       size_t count)
{
    for (size_t i = 0; i < prefixes->entries.count; i++) {
        const struct entry *entry = &prefixes->entries.items[i];
        bool has_method = entry->route->method[0] == '*' || str_eq(entry->route->method, method);
        if (has_method && count >= entry->count && fits(entry, segments))
            return entry->route;
    }
    return NULL;
}

enum route_result router_find(const struct router *router,
                              const char *method,
                              const char *const *segments,
                              size_t count,
                              bool slash,
                              struct route_match *out)
{
    *out = (struct route_match){ 0 };
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    // clients that join "http://host/" and "/api" send a path that begins "//"
    for (; count > 1 && segments[0][0] == '\0'; count--)
        segments++;
    enum route_result absolute = find_below(&router->absolute, method, segments, count, out);
    if (absolute == ROUTE_FOUND)
        return absolute;
    out->route = find_prefix(&router->absolute_prefixes, method, segments, count);
    if (out->route != NULL)
        return ROUTE_FOUND;
    if (count < 2 || strcmp(segments[0], "api") != 0 || strcmp(segments[1], "v1") != 0) {
        bool is_api = count > 0 && strcmp(segments[0], "api") == 0;
        return absolute == ROUTE_UNKNOWN && !is_api ? ROUTE_ELSEWHERE : absolute;
    }

    segments += 2;
    count -= 2;
    if (count == 0)
        return ROUTE_UNKNOWN;
    out->is_tenantless = map_has(&router->words, segments[0]);
    if (!out->is_tenantless) {
        if (!map_has(&router->tenants, segments[0])) {
            out->tenant = segments[0];
            return absolute == ROUTE_WRONG_METHOD ? absolute : ROUTE_WRONG_TENANT;
        }
        segments++;
        count--;
    }
    enum route_result result = find_below(&router->relative, method, segments, count, out);
    if (result == ROUTE_FOUND)
        return slash && (out->route->flags & ROUTE_NO_SLASH) != 0 ? ROUTE_UNKNOWN : result;
    out->route = find_prefix(&router->relative_prefixes, method, segments, count);
    if (out->route != NULL)
        return ROUTE_FOUND;
    return result == ROUTE_UNKNOWN ? absolute : result;
}
