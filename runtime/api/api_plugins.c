/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is built in, made from the tables: list, documentation, JSON Schemas (api.md 2.9).
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/map.h"
#include "base/str.h"
#include "core/docgen.h"
#include "core/flow_internal.h"
#include "core/inputs.h"
#include "core/plugin.h"
#include "core/schema.h"
#include "core/value.h"
#include "runtime/api/call.h"

static const struct http_field cached[] = {
    { "Cache-Control", "public, max-age=3600" },
    { 0 },
};

static void reply_cached(struct call *call, const struct value *value)
{
    struct buf body = { 0 };
    value_write_json_full(&body, value);
    reply_buf(call, 200, "application/json", &body, cached);
}

/* ---- the list ---- */

/* "io.kestra.plugin.core" of "io.kestra.plugin.core.log.Log"; the rest names the subgroup. */
static const char *group_of(struct arena *arena, const char *id)
{
    const char *at = id;
    for (int dots = 0; *at != '\0'; at++) {
        if (*at == '.' && ++dots == 4)
            break;
    }
    return arena_strndup(arena, id, (size_t)(at - id));
}

static const char *subgroup_of(struct arena *arena, const char *id)
{
    const char *dot = strrchr(id, '.');
    return dot == NULL ? id : arena_strndup(arena, id, (size_t)(dot - id));
}

static const char *const role_members[] = {
    [PLUGIN_TASK] = "tasks",
    [PLUGIN_TRIGGER] = "triggers",
    [PLUGIN_CONDITION] = "conditions",
    [PLUGIN_RUNNER] = "taskRunners",
};

static const struct value *class_value(struct arena *arena, const struct plugin *plugin)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "cls", plugin->id);
    if ((plugin->flags & PLUGIN_DEPRECATED) != 0)
        value_put_bool(&map, "deprecated", true);
    value_put_text(&map, "title", plugin->title);
    return value_build_map(&map);
}

/* One entry of the list: all types of a group. by_subgroup: of a subgroup. */
static const struct value *group_value(struct call *call, const char *group, bool by_subgroup)
{
    struct arena *arena = call->arena;
    size_t count = 0;
    const struct plugin *const *all = plugin_all(call->api->config.plugins, &count);
    const char *dot = strrchr(group, '.');
    struct value_builder map = value_build(arena);
    value_put_text(&map, "name", dot == NULL ? group : dot + 1);
    value_put_text(&map, "title", dot == NULL ? group : dot + 1);
    value_put_text(&map, "group", by_subgroup ? group_of(arena, group) : group);
    if (by_subgroup)
        value_put_text(&map, "subGroup", group);
    value_put_text(&map, "version", call->api->config.version);
    for (size_t role = 0; role < sizeof(role_members) / sizeof(role_members[0]); role++) {
        struct value_builder list = value_build(arena);
        for (size_t i = 0; i < count; i++) {
            const char *own =
                by_subgroup ? subgroup_of(arena, all[i]->id) : group_of(arena, all[i]->id);
            if (all[i]->role == (enum plugin_role)role && str_eq(own, group))
                value_add(&list, class_value(arena, all[i]));
        }
        value_put(&map, role_members[role], value_build_list(&list));
    }
    static const char *const empty[] = {
        "controllers", "storages",    "secrets",        "apps",         "appBlocks",
        "charts",      "dataFilters", "dataFiltersKPI", "logExporters", "additionalPlugins",
        "aliases",     "categories"
    };
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
        value_put(&map, empty[i], &value_empty_list);
    return value_build_map(&map);
}

static const struct value *groups_value(struct call *call, bool by_subgroup)
{
    size_t count = 0;
    const struct plugin *const *all = plugin_all(call->api->config.plugins, &count);
    struct map seen = { 0 };
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++) {
        const char *group =
            by_subgroup ? subgroup_of(call->arena, all[i]->id) : group_of(call->arena, all[i]->id);
        if (map_has(&seen, group))
            continue;
        (void)map_put(&seen, group, &seen);
        value_add(&list, group_value(call, group, by_subgroup));
    }
    map_free(&seen);
    return value_build_list(&list);
}

static void get_plugins(struct call *call)
{
    struct search search;
    if (!call_search(call, &search))
        return;
    const struct value *list = groups_value(call, false);
    if (!search.is_paged) {
        reply_cached(call, list);
        return;
    }
    struct value_builder page = value_build(call->arena);
    for (size_t i = search.query.offset;
         i < value_count(list) && i - search.query.offset < search.query.limit; i++)
        value_add(&page, value_item(list, i));
    reply_page(call, value_build_list(&page), (int64_t)value_count(list));
}

static void get_subgroups(struct call *call)
{
    reply_cached(call, groups_value(call, true));
}

/* ---- icons ---- */

/* A square in a colour of its own, and the first letter of the name. */
static const char *icon_text(struct arena *arena, const char *name)
{
    const char *dot = strrchr(name, '.');
    char letter = dot == NULL ? name[0] : dot[1];
    unsigned hue = (unsigned)(map_hash(name, strlen(name)) % 360);
    const char *svg = arena_printf(
        arena,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 24 24\">"
        "<rect width=\"24\" height=\"24\" rx=\"5\" fill=\"hsl(%u,45%%,45%%)\"/>"
        "<text x=\"12\" y=\"17\" font-family=\"sans-serif\" font-size=\"14\" fill=\"#fff\" "
        "text-anchor=\"middle\">%c</text></svg>",
        hue, letter);
    struct buf out = { 0 };
    base64_encode(&out, BASE64_STD, svg, strlen(svg));
    const char *text = buf_dup(&out, arena);
    buf_free(&out);
    return text;
}

static const struct value *icon_value(struct arena *arena, const char *name, bool is_flowable)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "name", name);
    value_put_text(&map, "icon", icon_text(arena, name));
    value_put_bool(&map, "flowable", is_flowable);
    return value_build_map(&map);
}

/* route->data: of groups rather than of types. */
static void get_icons(struct call *call)
{
    size_t count = 0;
    const struct plugin *const *all = plugin_all(call->api->config.plugins, &count);
    struct value_builder map = value_build(call->arena);
    for (size_t i = 0; i < count; i++) {
        const char *name =
            call->route->data != NULL ? group_of(call->arena, all[i]->id) : all[i]->id;
        if (!value_build_has(&map, name, strlen(name)))
            value_put(&map, name,
                      icon_value(call->arena, name, all[i]->task_kind == TASK_FLOWABLE));
    }
    reply_cached(call, value_build_map(&map));
}

/* ---- documentation ---- */

/* Definition of a type in the schema of flows, with what it refers to. */
static const struct value *schema_of(struct call *call, const char *name)
{
    struct arena *arena = call->arena;
    const struct value *flow = schema_flow(arena, call->api->config.plugins);
    const struct value *definitions = value_get(flow, "definitions");
    const struct value *own = value_get(definitions, name);
    struct value_builder map = value_build(arena);
    value_put(&map, "properties", own == NULL ? &value_empty_map : own);
    value_put(&map, "definitions", definitions);
    return value_build_map(&map);
}

static const struct value *outputs_of(struct arena *arena, const struct plugin *plugin)
{
    struct value_builder properties = value_build(arena);
    const struct plugin_output *output = plugin->outputs;
    for (; output != NULL && output->name != NULL; output++) {
        struct value_builder item = value_build(arena);
        value_put_text(&item, "type", output->type);
        value_put_text(&item, "title", output->doc);
        value_put(&properties, output->name, value_build_map(&item));
    }
    struct value_builder map = value_build(arena);
    value_put(&map, "properties", value_build_map(&properties));
    return value_build_map(&map);
}

/* The type of the path; on failure replies 404 and returns NULL. */
static const struct plugin *find_plugin(struct call *call)
{
    const struct plugin *plugin = plugin_find(call->api->config.plugins, call->path[0]);
    if (plugin == NULL)
        reply_error(call, 404, "Not Found", "no plugin %s", call->path[0]);
    return plugin;
}

static void get_plugin(struct call *call)
{
    const struct plugin *plugin = find_plugin(call);
    if (plugin == NULL)
        return;
    struct buf page = { 0 };
    docgen_plugin(&page, plugin);
    const struct value *schema = value_with(call->arena, schema_of(call, plugin->id), "outputs",
                                            outputs_of(call->arena, plugin));
    struct value_builder map = value_build(call->arena);
    value_put(&map, "markdown", value_string_n(call->arena, buf_text(&page), page.length));
    value_put(&map, "schema", schema);
    buf_free(&page);
    reply_cached(call, value_build_map(&map));
}

static void get_versions(struct call *call)
{
    const struct plugin *plugin = find_plugin(call);
    if (plugin == NULL)
        return;
    const struct value *version = value_string(call->arena, call->api->config.version);
    struct value_builder map = value_build(call->arena);
    value_put_text(&map, "type", plugin->id);
    value_put(&map, "versions", value_list(call->arena, &version, 1));
    reply_value(call, 200, value_build_map(&map));
}

/* ---- schemas ---- */

static const struct value *schema_by_name(struct call *call, const char *name)
{
    static const struct {
        const char *name;
        const char *definition; /* NULL: the flow itself */
    } schemas[] = {
        { "FLOW", NULL },
        { "TASK", "task" },
        { "TRIGGER", "trigger" },
        { "CONDITION", "condition" },
        { "PLUGINDEFAULT", "task" },
    };
    for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++) {
        if (!str_eq_nocase(schemas[i].name, name))
            continue;
        const struct value *flow = schema_flow(call->arena, call->api->config.plugins);
        if (schemas[i].definition == NULL)
            return flow;
        struct value_builder map = value_build(call->arena);
        value_put_text(&map, "$schema", "http://json-schema.org/draft-07/schema#");
        value_put_text(&map, "$ref",
                       arena_printf(call->arena, "#/definitions/%s", schemas[i].definition));
        value_put(&map, "definitions", value_get(flow, "definitions"));
        return value_build_map(&map);
    }
    return NULL;
}

/* The items of a list are the schema that was asked for. */
/* What the schema refers to from its root stays at the root. */
static const struct value *array_of(struct arena *arena, const struct value *schema)
{
    struct value_builder items = value_build(arena);
    for (uint32_t i = 0; i < schema->map.count; i++) {
        const struct value_member *member = &schema->map.members[i];
        bool stays = str_eq(member->key, "definitions") || str_eq(member->key, "$schema") ||
                     str_eq(member->key, "$id");
        if (!stays)
            value_put_n(&items, member->key, member->key_length, member->value);
    }
    struct value_builder map = value_build(arena);
    value_put_text(&map, "$schema", "http://json-schema.org/draft-07/schema#");
    value_put_text(&map, "type", "array");
    value_put(&map, "items", value_build_map(&items));
    if (value_get(schema, "definitions") != NULL)
        value_put(&map, "definitions", value_get(schema, "definitions"));
    return value_build_map(&map);
}

static void get_schema(struct call *call)
{
    const struct value *schema = schema_by_name(call, call->path[0]);
    if (schema == NULL) {
        reply_error(call, 404, "Not Found", "no schema of type %s", call->path[0]);
        return;
    }
    if (call_query_bool(call, "arrayOf", false))
        schema = array_of(call->arena, schema);
    reply_cached(call, schema);
}

static void get_properties(struct call *call)
{
    const struct value *schema = schema_by_name(call, call->path[0]);
    const struct value *properties = value_get(schema, "properties");
    if (schema == NULL)
        reply_error(call, 404, "Not Found", "no schema of type %s", call->path[0]);
    else
        reply_cached(call, properties != NULL ? properties : schema);
}

/* ---- inputs ---- */

static void get_inputs(struct call *call)
{
    struct value_builder list = value_build(call->arena);
    for (int type = 0; type < INPUT_NONE; type++) {
        struct value_builder item = value_build(call->arena);
        value_put_text(&item, "type", input_type_name((enum input_type)type));
        value_put_text(&item, "cls", input_type_name((enum input_type)type));
        value_add(&list, value_build_map(&item));
    }
    reply_cached(call, value_build_list(&list));
}

static void get_input(struct call *call)
{
    enum input_type type;
    if (!input_type_parse(call->path[0], &type)) {
        reply_error(call, 404, "Not Found", "no input type %s", call->path[0]);
        return;
    }
    struct value_builder map = value_build(call->arena);
    value_put_text(&map, "markdown", arena_printf(call->arena, "# %s\n", input_type_name(type)));
    value_put(&map, "schema",
              schema_of(call, arena_printf(call->arena, "input.%s", input_type_name(type))));
    reply_cached(call, value_build_map(&map));
}

static const struct route_query schema_query[] = {
    { "arrayOf", "boolean", "A list of it.", false },
    { 0 },
};

const struct route plugin_routes[] = {
    { "GET", "/api/v1/plugins", get_plugins, .flags = ROUTE_PAGED,
      .doc = "Everything built in, by group." },
    { "GET", "/api/v1/plugins/icons", get_icons, .doc = "Pictures of types." },
    { "GET", "/api/v1/plugins/icons/groups", get_icons, .data = "groups",
      .doc = "Pictures of groups." },
    { "GET", "/api/v1/plugins/inputs", get_inputs, .doc = "Types of inputs." },
    { "GET", "/api/v1/plugins/inputs/{type}", get_input, .doc = "Documentation of an input." },
    { "GET", "/api/v1/plugins/schemas/{type}", get_schema, .query = schema_query,
      .doc = "JSON Schema of flows, tasks, triggers or plugin defaults." },
    { "GET", "/api/v1/plugins/properties/{type}", get_properties,
      .doc = "Properties of a JSON Schema." },
    { "GET", "/api/v1/plugins/{cls}", get_plugin, .doc = "Documentation of a type." },
    { "GET", "/api/v1/plugins/{cls}/versions", get_versions, .doc = "Versions of a type." },
    { "GET", "/api/v1/plugins/{cls}/versions/{version}", get_plugin,
      .doc = "Documentation of a type." },
    { "GET", "/api/v1/plugins/groups/subgroups", get_subgroups,
      .doc = "Everything built in, by subgroup." },
    { 0 },
};
