/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All routes of the API, and their description as OpenAPI.
 *
 * To add a resource: its file api_*.c closing with a table, its declaration in call.h, one line
 * here.
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "core/value.h"
#include "runtime/api/call.h"

const struct route *const route_tables[] = {
    flow_routes,
    flow_bulk_routes,
    flow_report_routes,
    execution_routes,
    execution_operation_routes,
    execution_bulk_routes,
    execution_file_routes,
    eval_routes,
    webhook_routes,
    log_routes,
    metric_routes,
    trigger_routes,
    namespace_routes,
    namespace_file_routes,
    kv_routes,
    plugin_routes,
    status_routes,
    git_routes,
    misc_routes,
    elsewhere_routes,
    NULL,
};

/* ---- OpenAPI ---- */

static const struct value *text_value(struct arena *arena, const char *text)
{
    return value_string(arena, text);
}

static const struct value *type_of(struct arena *arena, const char *type)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "type", type);
    if (str_eq(type, "array")) {
        struct value_builder items = value_build(arena);
        value_put_text(&items, "type", "string");
        value_put(&map, "items", value_build_map(&items));
    }
    return value_build_map(&map);
}

static void add_parameter(struct value_builder *list,
                          const char *name,
                          const char *in,
                          const char *type,
                          const char *doc,
                          bool is_required)
{
    struct value_builder map = value_build(list->arena);
    value_put_text(&map, "name", name);
    value_put_text(&map, "in", in);
    value_put_text(&map, "description", doc);
    value_put_bool(&map, "required", is_required);
    value_put(&map, "schema", type_of(list->arena, type));
    value_add(list, value_build_map(&map));
}

static void add_path_parameters(struct value_builder *list, const char *path)
{
    for (const char *at = strchr(path, '{'); at != NULL; at = strchr(at + 1, '{')) {
        size_t length = strcspn(at + 1, "}");
        add_parameter(list, arena_strndup(list->arena, at + 1, length), "path", "string", NULL,
                      true);
    }
}

static const struct value *parameters_of(struct arena *arena, const struct route *route)
{
    struct value_builder list = value_build(arena);
    if (route->path[0] != '/')
        add_parameter(&list, "tenant", "path", "string", "main", true);
    add_path_parameters(&list, route->path);
    const struct route_query *query = route->query;
    for (; query != NULL && query->name != NULL; query++)
        add_parameter(&list, query->name, "query", query->type, query->doc, query->is_required);
    if ((route->flags & ROUTE_PAGED) != 0) {
        add_parameter(&list, "page", "query", "integer", "From 1.", false);
        add_parameter(&list, "size", "query", "integer", "Rows of a page, 10 by default.", false);
        add_parameter(&list, "sort", "query", "array", "field:asc or field:desc.", false);
    }
    if (route->resource != RESOURCE_NONE) {
        size_t count = 0;
        struct filter_field *fields = filter_fields(arena, route->resource, &count);
        for (size_t i = 0; i < count; i++)
            add_parameter(&list, arena_printf(arena, "filters[%s][OPERATOR]", fields[i].name),
                          "query", "string", fields[i].operators, false);
    }
    return value_build_list(&list);
}

static const struct value *body_of(struct arena *arena, const char *type)
{
    struct value_builder content = value_build(arena);
    value_put(&content, type, &value_empty_map);
    struct value_builder map = value_build(arena);
    value_put(&map, "content", value_build_map(&content));
    return value_build_map(&map);
}

static const struct value *reference_to(struct arena *arena, const char *what)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "$ref", what);
    return value_build_map(&map);
}

static const struct value *responses_of(struct arena *arena, const struct route *route)
{
    struct value_builder answer = value_build(arena);
    value_put_text(&answer, "description", route->shape != NULL ? route->shape : "Done.");
    struct value_builder map = value_build(arena);
    value_put(&map, "2XX", value_build_map(&answer));
    value_put(&map, "default", reference_to(arena, "#/components/responses/Error"));
    return value_build_map(&map);
}

/* "get_flows_namespace_id" of GET flows/{namespace}/{id}. */
static const char *operation_id(struct arena *arena, const struct route *route)
{
    const char *path = route->path;
    path += str_starts(path, "/api/v1/") ? strlen("/api/v1/") : 0;
    struct buf out = { 0 };
    for (const char *at = route->method; *at != '\0'; at++)
        buf_putc(&out, (char)(*at - 'A' + 'a'));
    bool is_apart = true; // what follows begins a word
    for (; *path != '\0'; path++) {
        bool is_word = (*path >= 'a' && *path <= 'z') || (*path >= 'A' && *path <= 'Z');
        if (is_word && is_apart)
            buf_putc(&out, '_');
        if (is_word)
            buf_putc(&out, *path);
        is_apart = !is_word;
    }
    const char *id = buf_dup(&out, arena);
    buf_free(&out);
    return id;
}

/* The resource: "flows". */
static const struct value *tags_of(struct arena *arena, const struct route *route)
{
    const char *path = route->path;
    path += str_starts(path, "/api/v1/") ? strlen("/api/v1/") : 0;
    bool is_operational = path[0] == '/';
    const struct value *tag = is_operational ? value_string(arena, "operational")
                                             : value_string_n(arena, path, strcspn(path, "/"));
    return value_list(arena, &tag, 1);
}

static const struct value *operation_of(struct arena *arena, const struct route *route)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "operationId", operation_id(arena, route));
    value_put(&map, "tags", tags_of(arena, route));
    value_put_text(&map, "summary", route->doc);
    if ((route->flags & ROUTE_DEPRECATED) != 0)
        value_put_bool(&map, "deprecated", true);
    value_put(&map, "parameters", parameters_of(arena, route));
    if (route->body != NULL)
        value_put(&map, "requestBody", body_of(arena, route->body));
    if ((route->flags & ROUTE_OPEN) != 0)
        value_put(&map, "security", &value_empty_list);
    value_put(&map, "responses", responses_of(arena, route));
    return value_build_map(&map);
}

static const char *lower(struct arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);
    for (char *at = copy; *at != '\0'; at++)
        *at = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
    return copy;
}

static const char *path_of(struct arena *arena, const struct route *route)
{
    return route->path[0] == '/' ? route->path
                                 : arena_printf(arena, "/api/v1/{tenant}/%s", route->path);
}

/* Operations of all routes with this path. */
static const struct value *path_item(struct arena *arena, const char *path)
{
    struct value_builder map = value_build(arena);
    for (const struct route *const *table = route_tables; *table != NULL; table++) {
        for (const struct route *route = *table; route->method != NULL; route++) {
            if (route->method[0] != '*' && str_eq(path_of(arena, route), path))
                value_put(&map, lower(arena, route->method), operation_of(arena, route));
        }
    }
    return value_build_map(&map);
}

/* The error of api.md 1.7. */
static const struct value *error_schema(struct arena *arena)
{
    struct value_builder properties = value_build(arena);
    value_put(&properties, "message", type_of(arena, "string"));
    value_put(&properties, "_links", type_of(arena, "object"));
    value_put(&properties, "_embedded", type_of(arena, "object"));
    const struct value *required = value_string(arena, "message");
    struct value_builder map = value_build(arena);
    value_put_text(&map, "type", "object");
    value_put(&map, "properties", value_build_map(&properties));
    value_put(&map, "required", value_list(arena, &required, 1));
    return value_build_map(&map);
}

static const struct value *error_response(struct arena *arena)
{
    struct value_builder media = value_build(arena);
    value_put(&media, "schema", reference_to(arena, "#/components/schemas/Error"));
    struct value_builder content = value_build(arena);
    value_put(&content, "application/json", value_build_map(&media));
    struct value_builder map = value_build(arena);
    value_put_text(&map, "description", "Why not.");
    value_put(&map, "content", value_build_map(&content));
    return value_build_map(&map);
}

static void put_one(struct value_builder *map,
                    const char *key,
                    const char *name,
                    const struct value *value)
{
    struct value_builder inner = value_build(map->arena);
    value_put(&inner, name, value);
    value_put(map, key, value_build_map(&inner));
}

/* Either kind of credentials, or none where none are asked for. */
static const struct value *security(struct arena *arena)
{
    static const char *const schemes[] = { "basic", "bearer" };
    struct value_builder list = value_build(arena);
    for (size_t i = 0; i < 2; i++) {
        struct value_builder map = value_build(arena);
        value_put(&map, schemes[i], &value_empty_list);
        value_add(&list, value_build_map(&map));
    }
    value_add(&list, &value_empty_map);
    return value_build_list(&list);
}

static const struct value *components_of(struct arena *arena)
{
    static const char *const schemes[] = { "basic", "bearer" };
    struct value_builder map = value_build(arena);
    for (size_t i = 0; i < 2; i++) {
        struct value_builder scheme = value_build(arena);
        value_put_text(&scheme, "type", "http");
        value_put_text(&scheme, "scheme", schemes[i]);
        value_put(&map, schemes[i], value_build_map(&scheme));
    }
    struct value_builder components = value_build(arena);
    value_put(&components, "securitySchemes", value_build_map(&map));
    put_one(&components, "schemas", "Error", error_schema(arena));
    put_one(&components, "responses", "Error", error_response(arena));
    return value_build_map(&components);
}

const struct value *api_openapi(struct arena *arena, const char *version)
{
    struct value_builder paths = value_build(arena);
    for (const struct route *const *table = route_tables; *table != NULL; table++) {
        for (const struct route *route = *table; route->method != NULL; route++) {
            const char *path = path_of(arena, route);
            if (route->method[0] != '*' && !value_build_has(&paths, path, strlen(path)))
                value_put(&paths, path, path_item(arena, path));
        }
    }
    struct value_builder info = value_build(arena);
    value_put_text(&info, "title", "weir");
    value_put_text(&info, "version", version);
    struct value_builder map = value_build(arena);
    value_put(&map, "openapi", text_value(arena, "3.0.3"));
    value_put(&map, "info", value_build_map(&info));
    value_put(&map, "paths", value_build_map(&paths));
    value_put(&map, "components", components_of(arena));
    value_put(&map, "security", security(arena));
    return value_build_map(&map);
}
