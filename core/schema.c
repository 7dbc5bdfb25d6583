/* SPDX-License-Identifier: Apache-2.0 */
#include "core/schema.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "core/config.h"
#include "core/flow_internal.h"

/* ---- small pieces ---- */

static const struct value *text(struct arena *arena, const char *bytes)
{
    return value_string(arena, bytes);
}

static struct value_builder typed(struct arena *arena, const char *type)
{
    struct value_builder out = value_build(arena);
    value_put_text(&out, "type", type);
    return out;
}

/* {"type": ["a", "b"]} of a NULL-terminated list. */
static struct value_builder typed_any(struct arena *arena, const char *const *types)
{
    if (types[1] == NULL)
        return typed(arena, types[0]);
    struct value_builder list = value_build(arena);
    for (size_t i = 0; types[i] != NULL; i++)
        value_add(&list, text(arena, types[i]));
    struct value_builder out = value_build(arena);
    value_put(&out, "type", value_build_list(&list));
    return out;
}

static const struct value *reference(struct arena *arena, const char *name)
{
    struct value_builder out = value_build(arena);
    value_put(&out, "$ref", text(arena, arena_printf(arena, "#/definitions/%s", name)));
    return value_build_map(&out);
}

static const struct value *list_of(struct arena *arena, const struct value *items)
{
    struct value_builder out = typed(arena, "array");
    value_put(&out, "items", items);
    return value_build_map(&out);
}

static const struct value *map_of(struct arena *arena, const struct value *values)
{
    struct value_builder out = typed(arena, "object");
    value_put(&out, "additionalProperties", values);
    return value_build_map(&out);
}

static const struct value *any_of(struct arena *arena, const struct value *a, const struct value *b)
{
    struct value_builder list = value_build(arena);
    value_add(&list, a);
    value_add(&list, b);
    struct value_builder out = value_build(arena);
    value_put(&out, "anyOf", value_build_list(&list));
    return value_build_map(&out);
}

static const struct value *plain(struct arena *arena, const char *type)
{
    struct value_builder out = typed(arena, type);
    return value_build_map(&out);
}

static const struct value *words_of(struct arena *arena, const char *const *words)
{
    struct value_builder list = value_build(arena);
    for (size_t i = 0; words[i] != NULL; i++)
        value_add(&list, text(arena, words[i]));
    return value_build_list(&list);
}

/* ---- properties ---- */

static const struct value *table_schema(struct arena *arena,
                                        const struct prop *const *tables,
                                        bool is_open);

static const struct value *nested(struct arena *arena, const struct prop *table)
{
    const struct prop *const tables[] = { table, NULL };
    return table_schema(arena, tables, false);
}

static struct value_builder string_schema(struct arena *arena, const struct prop *prop)
{
    static const char *const scalars[] = { "string", "number", "boolean", NULL };
    static const char *const anything[] = {
        "string", "number", "boolean", "array", "object", NULL
    };
    struct value_builder out =
        typed_any(arena, (prop->flags & PROP_EXPR) != 0 ? anything : scalars);
    if (prop->pattern != NULL)
        value_put_text(&out, "pattern", arena_printf(arena, "^%s$", prop->pattern));
    if (prop->min > 0)
        value_put_int(&out, "minLength", prop->min);
    if (prop->max > 0)
        value_put_int(&out, "maxLength", prop->max);
    return out;
}

static struct value_builder number_schema(struct arena *arena,
                                          const struct prop *prop,
                                          const char *type)
{
    const char *const types[] = { type, (prop->flags & PROP_EXPR) != 0 ? "string" : NULL, NULL };
    struct value_builder out = typed_any(arena, types);
    if (prop->kind == PROP_INT && (prop->min != 0 || prop->max != 0)) {
        value_put_int(&out, "minimum", prop->min);
        value_put_int(&out, "maximum", prop->max);
    }
    return out;
}

static struct value_builder copy_of(const struct value *map, struct arena *arena)
{
    struct value_builder out = value_build(arena);
    for (size_t i = 0; i < map->map.count; i++)
        value_put(&out, map->map.members[i].key, map->map.members[i].value);
    return out;
}

static struct value_builder enum_schema(struct arena *arena, const struct prop *prop)
{
    struct value_builder out = value_build(arena);
    value_put(&out, "enum", words_of(arena, prop->words));
    if ((prop->flags & PROP_EXPR) == 0)
        return out;
    struct value_builder expression = typed(arena, "string");
    value_put_text(&expression, "pattern", "\\{[{%]");
    return copy_of(any_of(arena, value_build_map(&out), value_build_map(&expression)), arena);
}

static const struct value *labels_schema(struct arena *arena)
{
    static const char *const scalars[] = { "string", "number", "boolean", NULL };
    struct value_builder scalar = typed_any(arena, scalars);
    const struct value *value = value_build_map(&scalar);
    struct value_builder members = value_build(arena);
    value_put(&members, "key", plain(arena, "string"));
    value_put(&members, "value", value);
    struct value_builder item = typed(arena, "object");
    static const char *const required[] = { "key", "value", NULL };
    value_put(&item, "properties", value_build_map(&members));
    value_put(&item, "required", words_of(arena, required));
    return any_of(arena, map_of(arena, value), list_of(arena, value_build_map(&item)));
}

static struct value_builder kind_schema(struct arena *arena,
                                        const struct prop *prop,
                                        enum prop_kind kind);

/* A list or map that an expression may give as a whole. */
static struct value_builder or_text(struct arena *arena,
                                    const struct prop *prop,
                                    const struct value *schema)
{
    if ((prop->flags & PROP_EXPR) == 0)
        return copy_of(schema, arena);
    return copy_of(any_of(arena, schema, plain(arena, "string")), arena);
}

static const struct value *item_schema(struct arena *arena, const struct prop *prop)
{
    struct value_builder item = kind_schema(arena, prop, prop->item);
    return value_build_map(&item);
}

static const struct value *dag_schema(struct arena *arena)
{
    struct value_builder members = value_build(arena);
    value_put(&members, "task", reference(arena, "task"));
    value_put(&members, "dependsOn", list_of(arena, plain(arena, "string")));
    struct value_builder item = typed(arena, "object");
    static const char *const required[] = { "task", NULL };
    value_put(&item, "properties", value_build_map(&members));
    value_put(&item, "required", words_of(arena, required));
    value_put_bool(&item, "additionalProperties", false);
    return list_of(arena, value_build_map(&item));
}

static struct value_builder kind_schema(struct arena *arena,
                                        const struct prop *prop,
                                        enum prop_kind kind)
{
    static const char *const durations[] = { "string", "number", NULL };
    static const char *const sizes[] = { "string", "integer", NULL };
    switch (kind) {
    case PROP_STRING:
        return string_schema(arena, prop);
    case PROP_INT:
        return number_schema(arena, prop, "integer");
    case PROP_DOUBLE:
        return number_schema(arena, prop, "number");
    case PROP_BOOL:
        return number_schema(arena, prop, "boolean");
    case PROP_DURATION:
        return typed_any(arena, durations);
    case PROP_INSTANT:
        return typed(arena, "string");
    case PROP_BYTES:
        return typed_any(arena, sizes);
    case PROP_ENUM:
        return enum_schema(arena, prop);
    case PROP_ANY:
        return value_build(arena);
    case PROP_LIST:
        return or_text(arena, prop, list_of(arena, item_schema(arena, prop)));
    case PROP_STRINGS:
        return copy_of(
            any_of(arena, plain(arena, "string"), list_of(arena, item_schema(arena, prop))), arena);
    case PROP_MAP:
        return or_text(arena, prop, map_of(arena, item_schema(arena, prop)));
    case PROP_OBJECT:
        return or_text(arena, prop, nested(arena, prop->object));
    case PROP_OBJECTS:
        return or_text(arena, prop, list_of(arena, nested(arena, prop->object)));
    case PROP_LABELS:
        return or_text(arena, prop, labels_schema(arena));
    case PROP_PLUGIN:
        return or_text(arena, prop, reference(arena, "taskRunner"));
    case PROP_TASK:
        return copy_of(reference(arena, "task"), arena);
    case PROP_TASKS:
        return copy_of(list_of(arena, reference(arena, "task")), arena);
    case PROP_TASK_MAP:
        return copy_of(map_of(arena, list_of(arena, reference(arena, "task"))), arena);
    case PROP_DAG_TASKS:
        return copy_of(dag_schema(arena), arena);
    case PROP_TRIGGERS:
        return copy_of(list_of(arena, reference(arena, "trigger")), arena);
    case PROP_CONDITIONS:
        return copy_of(list_of(arena, reference(arena, "condition")), arena);
    case PROP_CONDITION_MAP:
        return copy_of(map_of(arena, reference(arena, "condition")), arena);
    case PROP_INPUTS:
        return copy_of(list_of(arena, reference(arena, "input")), arena);
    case PROP_OUTPUTS:
        return copy_of(list_of(arena, nested(arena, output_props)), arena);
    }
    return value_build(arena);
}

static const struct value *prop_schema(struct arena *arena, const struct prop *prop)
{
    struct value_builder out = kind_schema(arena, prop, prop->kind);
    const struct value *fallback = prop_fallback(prop, arena);
    value_put_text(&out, "description", prop->doc);
    if (fallback != NULL && prop->kind != PROP_OBJECT)
        value_put(&out, "default", fallback);
    if ((prop->flags & PROP_DEPRECATED) != 0)
        value_put_bool(&out, "deprecated", true);
    return value_build_map(&out);
}

static void put_alias(struct arena *arena, struct value_builder *out, const struct prop *prop)
{
    struct value_builder alias = kind_schema(arena, prop, prop->kind);
    value_put_text(&alias, "description", arena_printf(arena, "Older name of `%s`.", prop->name));
    value_put_bool(&alias, "deprecated", true);
    value_put(out, prop->alias, value_build_map(&alias));
}

static const struct value *table_schema(struct arena *arena,
                                        const struct prop *const *tables,
                                        bool is_open)
{
    struct value_builder properties = value_build(arena);
    struct value_builder required = value_build(arena);
    for (size_t t = 0; tables[t] != NULL; t++) {
        for (const struct prop *prop = tables[t]; prop->name != NULL; prop++) {
            if ((prop->flags & PROP_INTERNAL) != 0) {
                value_put(&properties, prop->name, &value_true);
                continue;
            }
            value_put(&properties, prop->name, prop_schema(arena, prop));
            if (prop->alias != NULL)
                put_alias(arena, &properties, prop);
            // an older name would do as well, which a list of names cannot say
            if ((prop->flags & PROP_REQUIRED) != 0 && prop->alias == NULL)
                value_add(&required, text(arena, prop->name));
        }
    }
    struct value_builder out = typed(arena, "object");
    value_put(&out, "properties", value_build_map(&properties));
    if (required.items_count > 0)
        value_put(&out, "required", value_build_list(&required));
    if (!is_open)
        value_put_bool(&out, "additionalProperties", false);
    return value_build_map(&out);
}

/* ---- types ---- */

static const struct value *plugin_schema(struct arena *arena, const struct plugin *plugin)
{
    struct prop_tables tables = plugin_tables(plugin);
    struct value_builder out =
        copy_of(table_schema(arena, tables.items, (plugin->flags & PLUGIN_OPEN) != 0), arena);
    value_put_text(&out, "title", plugin->title);
    value_put_text(&out, "description", plugin->doc);
    if ((plugin->flags & PLUGIN_DEPRECATED) != 0)
        value_put_bool(&out, "deprecated", true);
    return value_build_map(&out);
}

/* if type is one of these names, then the schema with that name. */
static const struct value *choice(struct arena *arena,
                                  const struct value *names,
                                  const char *definition)
{
    struct value_builder one_of = value_build(arena);
    value_put(&one_of, "enum", names);
    struct value_builder members = value_build(arena);
    value_put(&members, "type", value_build_map(&one_of));
    struct value_builder condition = value_build(arena);
    value_put(&condition, "properties", value_build_map(&members));
    struct value_builder out = value_build(arena);
    value_put(&out, "if", value_build_map(&condition));
    value_put(&out, "then", reference(arena, definition));
    return value_build_map(&out);
}

/* A mapping whose `type` decides what else it holds. */
static const struct value *by_type(struct arena *arena,
                                   const struct value *names,
                                   const struct value *choices)
{
    struct value_builder type = value_build(arena);
    value_put(&type, "enum", names);
    struct value_builder properties = value_build(arena);
    value_put(&properties, "type", value_build_map(&type));
    static const char *const required[] = { "type", NULL };
    struct value_builder out = typed(arena, "object");
    value_put(&out, "required", words_of(arena, required));
    value_put(&out, "properties", value_build_map(&properties));
    value_put(&out, "allOf", choices);
    return value_build_map(&out);
}

static const struct value *role_schema(struct arena *arena,
                                       const struct plugin_set *plugins,
                                       enum plugin_role role)
{
    size_t count = 0;
    const struct plugin *const *all = plugin_all(plugins, &count);
    struct value_builder every = value_build(arena);
    struct value_builder choices = value_build(arena);
    for (size_t i = 0; i < count; i++) {
        if (all[i]->role != role)
            continue;
        struct value_builder names = value_build(arena);
        value_add(&names, text(arena, all[i]->id));
        for (size_t k = 0; all[i]->aliases != NULL && all[i]->aliases[k] != NULL; k++)
            value_add(&names, text(arena, all[i]->aliases[k]));
        for (size_t k = 0; k < names.items_count; k++)
            value_add(&every, names.items[k]);
        value_add(&choices, choice(arena, value_build_list(&names), all[i]->id));
    }
    return by_type(arena, value_build_list(&every), value_build_list(&choices));
}

static void put_inputs(struct arena *arena, struct value_builder *definitions)
{
    struct value_builder every = value_build(arena);
    struct value_builder choices = value_build(arena);
    for (int type = 0; input_type_words[type] != NULL; type++) {
        const struct prop *const tables[] = { input_common_props,
                                              input_type_props((enum input_type)type), NULL };
        const char *name = arena_printf(arena, "input.%s", input_type_words[type]);
        struct value_builder names = value_build(arena);
        value_add(&names, text(arena, input_type_words[type]));
        value_add(&every, text(arena, input_type_words[type]));
        value_put(definitions, name, table_schema(arena, tables, false));
        value_add(&choices, choice(arena, value_build_list(&names), name));
    }
    value_put(definitions, "input",
              by_type(arena, value_build_list(&every), value_build_list(&choices)));
}

static const struct value *document(struct arena *arena,
                                    const char *id,
                                    const char *title,
                                    const struct value *schema,
                                    const struct value *definitions)
{
    struct value_builder out = value_build(arena);
    value_put_text(&out, "$schema", "http://json-schema.org/draft-07/schema#");
    value_put_text(&out, "$id", id);
    value_put_text(&out, "title", title);
    for (size_t i = 0; i < schema->map.count; i++)
        value_put(&out, schema->map.members[i].key, schema->map.members[i].value);
    if (definitions != NULL)
        value_put(&out, "definitions", definitions);
    return value_build_map(&out);
}

const struct value *schema_flow(struct arena *arena, const struct plugin_set *plugins)
{
    static const struct {
        const char *name;
        enum plugin_role role;
    } roles[] = {
        { "task", PLUGIN_TASK },
        { "trigger", PLUGIN_TRIGGER },
        { "condition", PLUGIN_CONDITION },
        { "taskRunner", PLUGIN_RUNNER },
    };
    struct value_builder definitions = value_build(arena);
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
        value_put(&definitions, roles[i].name, role_schema(arena, plugins, roles[i].role));
    put_inputs(arena, &definitions);
    size_t count = 0;
    const struct plugin *const *all = plugin_all(plugins, &count);
    for (size_t i = 0; i < count; i++)
        value_put(&definitions, all[i]->id, plugin_schema(arena, all[i]));
    return document(arena, "weir/flow.json", "A weir flow", nested(arena, flow_props),
                    value_build_map(&definitions));
}

const struct value *schema_table(struct arena *arena,
                                 const char *id,
                                 const char *title,
                                 const struct prop *table)
{
    return document(arena, id, title, nested(arena, table), NULL);
}

/* ---- settings ---- */

static const struct value *setting_schema(struct arena *arena, const struct setting *setting)
{
    static const char *const durations[] = { "string", "number", NULL };
    static const char *const sizes[] = { "string", "integer", NULL };
    struct value_builder out = value_build(arena);
    switch (setting->kind) {
    case SETTING_TEXT:
        out = typed(arena, "string");
        break;
    case SETTING_INT:
        out = typed(arena, "integer");
        if (setting->min != 0 || setting->max != 0) {
            value_put_int(&out, "minimum", setting->min);
            value_put_int(&out, "maximum", setting->max);
        }
        break;
    case SETTING_BOOL:
        out = typed(arena, "boolean");
        break;
    case SETTING_DURATION:
        out = typed_any(arena, durations);
        break;
    case SETTING_BYTES:
        out = typed_any(arena, sizes);
        break;
    case SETTING_WORD:
        value_put(&out, "enum", words_of(arena, setting->words));
        break;
    case SETTING_LIST:
        out = typed(arena, "array");
        break;
    case SETTING_MAP:
        out = typed(arena, "object");
        break;
    }
    value_put_text(&out, "description", setting->doc);
    return value_build_map(&out);
}

/* Settings whose dotted name begins with `prefix`, as nested objects. */
static const struct value *settings_below(struct arena *arena,
                                          const struct setting *table,
                                          const char *prefix)
{
    struct value_builder properties = value_build(arena);
    size_t skip = strlen(prefix);
    for (const struct setting *setting = table; setting->name != NULL; setting++) {
        if (!str_starts(setting->name, prefix))
            continue;
        const char *rest = setting->name + skip;
        size_t length = strcspn(rest, ".");
        const char *key = arena_strndup(arena, rest, length);
        if (rest[length] == '\0')
            value_put(&properties, key, setting_schema(arena, setting));
        else if (!value_build_has(&properties, key, length))
            value_put(&properties, key,
                      settings_below(arena, table, arena_printf(arena, "%s%s.", prefix, key)));
    }
    struct value_builder out = typed(arena, "object");
    value_put(&out, "properties", value_build_map(&properties));
    value_put_bool(&out, "additionalProperties", false);
    return value_build_map(&out);
}

const struct value *schema_settings(struct arena *arena, const struct setting *table)
{
    return document(arena, "weir/config.json", "Settings of a weir server",
                    settings_below(arena, table, ""), NULL);
}

/* ---- text ---- */

static void put_line(struct buf *out, size_t indent)
{
    buf_putc(out, '\n');
    for (size_t i = 0; i < indent; i++)
        buf_puts(out, "  ");
}

/* Lists of scalars stay on one line. */
static bool is_flat(const struct value *list)
{
    for (size_t i = 0; i < list->list.count; i++) {
        if (value_is_map(list->list.items[i]) || value_is_list(list->list.items[i]))
            return false;
    }
    return true;
}

static void put_pretty(struct buf *out, const struct value *value, size_t indent)
{
    bool is_map = value_is_map(value);
    size_t count = value_count(value);
    if ((!is_map && (!value_is_list(value) || is_flat(value))) || count == 0) {
        value_write_json_full(out, value);
        return;
    }
    buf_putc(out, is_map ? '{' : '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_putc(out, ',');
        put_line(out, indent + 1);
        if (is_map) {
            const struct value_member *m = &value->map.members[i];
            value_write_json_string(out, m->key, m->key_length);
            buf_puts(out, ": ");
            put_pretty(out, m->value, indent + 1);
        } else {
            put_pretty(out, value->list.items[i], indent + 1);
        }
    }
    put_line(out, indent);
    buf_putc(out, is_map ? '}' : ']');
}

void schema_write(struct buf *out, const struct value *schema)
{
    put_pretty(out, schema, 0);
    buf_putc(out, '\n');
}
