/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "core/expr/expr.h"
#include "core/json.h"
#include "core/prop_internal.h"
#include "core/yaml.h"

struct render {
    struct expr_env *env;
    struct arena *arena;
    bool done; /* texts were produced by an expression: they are not rendered again */
    struct error *err;
};

static const struct value *render_table(const struct render *render,
                                        const struct prop *table,
                                        const struct value *map);

/* The text without white space around it is an expression from its start to its end. */
static bool is_one_expression(const struct value *text)
{
    const char *at = text->string.bytes;
    const char *end = at + text->string.length;
    while (at < end && isspace((unsigned char)at[0]))
        at++;
    while (end > at && isspace((unsigned char)end[-1]))
        end--;
    return end - at >= 4 && at[0] == '{' && (at[1] == '{' || at[1] == '%') &&
           (end[-2] == '}' || end[-2] == '%') && end[-1] == '}';
}

static const struct value *render_text(const struct render *render, const struct value *text)
{
    if (render->done || !prop_is_dynamic(text->string.bytes))
        return text;
    const char *rendered =
        expr_render_text(render->env, render->arena, text->string.bytes, NULL, render->err);
    return rendered == NULL ? NULL : value_string_ref(render->arena, rendered, strlen(rendered));
}

static const struct value *render_tree(const struct render *render, const struct value *value)
{
    if (render->done)
        return value;
    return expr_render_tree(render->env, render->arena, value, render->err);
}

/* A text that must hold a list or map: JSON, or YAML in flow form. Empty is absent. */
static const struct value *parse_text(const struct render *render,
                                      const struct value *text,
                                      enum value_kind kind)
{
    const char *bytes = text->string.bytes;
    size_t length = text->string.length;
    while (length > 0 && isspace((unsigned char)bytes[0])) {
        bytes++;
        length--;
    }
    if (length == 0)
        return &value_null;
    struct error ignored = { 0 };
    const struct value *value = json_parse(render->arena, bytes, length, &ignored);
    if (value == NULL)
        value = yaml_parse(render->arena, bytes, length, NULL, &ignored);
    if (value == NULL || value->kind != (uint8_t)kind) {
        (void)error_set(render->err, ERR_INVALID, "'%.200s' is not a JSON %s", bytes,
                        kind == VALUE_LIST ? "list" : "map");
        return NULL;
    }
    return value;
}

static const struct value *render_items(const struct render *render,
                                        const struct prop *prop,
                                        const struct value *list)
{
    struct value_builder out = value_build(render->arena);
    for (size_t i = 0; i < list->list.count; i++) {
        const struct value *item = list->list.items[i];
        if (prop->kind == PROP_OBJECTS && value_is_map(item))
            item = render_table(render, prop->object, item);
        else if ((prop->flags & PROP_EXPR) == 0)
            ; // taken literally
        else if (value_is_string(item))
            item = render_text(render, item);
        else if (value_is_map(item) || value_is_list(item))
            item = render_tree(render, item);
        if (item == NULL)
            return NULL;
        value_add(&out, item);
    }
    return value_build_list(&out);
}

/* A list, or a text that is or renders to one. */
static const struct value *render_list(const struct render *render,
                                       const struct prop *prop,
                                       const struct value *value)
{
    if (!value_is_string(value))
        return value_is_list(value) ? render_items(render, prop, value) : value;
    if ((prop->flags & PROP_EXPR) == 0)
        return value;
    struct render inner = *render;
    bool rendered_first = is_one_expression(value);
    const struct value *text = rendered_first ? render_text(render, value) : value;
    if (text == NULL)
        return NULL;
    const struct value *list = parse_text(render, text, VALUE_LIST);
    if (list == NULL || value_is_null(list))
        return list;
    inner.done = render->done || rendered_first;
    return render_items(&inner, prop, list);
}

/* One text, or a list; a text that is no JSON list is a list of one. */
static const struct value *render_strings(const struct render *render,
                                          const struct prop *prop,
                                          const struct value *value)
{
    if (!value_is_string(value) || (prop->flags & PROP_EXPR) == 0)
        return value_is_list(value) ? render_items(render, prop, value) : value;
    const struct value *text = render_text(render, value);
    if (text == NULL || (prop->flags & PROP_VERBATIM) != 0 ||
        text->string.bytes[strspn(text->string.bytes, " \t\r\n")] != '[')
        return text;
    struct error ignored = { 0 };
    const struct value *list =
        json_parse(render->arena, text->string.bytes, text->string.length, &ignored);
    return value_is_list(list) ? list : text;
}

static const struct value *render_map(const struct render *render,
                                      const struct prop *prop,
                                      const struct value *value)
{
    bool is_object = prop->kind == PROP_OBJECT;
    bool dynamic = (prop->flags & PROP_EXPR) != 0;
    struct render inner = *render;
    if (value_is_string(value) && dynamic) {
        bool rendered_first = is_one_expression(value);
        const struct value *text = rendered_first ? render_text(render, value) : value;
        if (text == NULL)
            return NULL;
        value = parse_text(render, text, VALUE_MAP);
        if (value == NULL || value_is_null(value))
            return value;
        inner.done = render->done || rendered_first;
    }
    if (!value_is_map(value))
        return value; // binding says what is wrong
    if (is_object)
        return render_table(&inner, prop->object, value);
    return dynamic ? render_tree(&inner, value) : value;
}

/* A text, or the text of any other value. */
static const struct value *render_string(const struct render *render,
                                         const struct prop *prop,
                                         const struct value *value)
{
    if (!value_is_string(value)) {
        if ((prop->flags & PROP_EXPR) == 0)
            return value;
        const char *text = prop_text(render->arena, value);
        value = value_string_ref(render->arena, text, strlen(text));
    }
    if ((prop->flags & PROP_EXPR) == 0)
        return value;
    if ((prop->flags & PROP_TYPED) != 0 && !render->done && prop_is_dynamic(value->string.bytes))
        return expr_render_typed(render->env, render->arena, value->string.bytes, render->err);
    return render_text(render, value);
}

static const struct value *render_any(const struct render *render,
                                      const struct prop *prop,
                                      const struct value *value)
{
    if ((prop->flags & PROP_EXPR) == 0)
        return value;
    if (!value_is_string(value))
        return value_is_list(value) || value_is_map(value) ? render_tree(render, value) : value;
    if ((prop->flags & PROP_TYPED) != 0 && !render->done && prop_is_dynamic(value->string.bytes))
        return expr_render_typed(render->env, render->arena, value->string.bytes, render->err);
    return render_text(render, value);
}

/* NULL on failure; a null value is as good as an absent one. */
static const struct value *render_value(const struct render *render,
                                        const struct prop *prop,
                                        const struct value *value)
{
    if ((prop->flags & PROP_RAW) != 0)
        return value;
    switch (prop->kind) {
    case PROP_STRING:
        return render_string(render, prop, value);
    case PROP_INT:
    case PROP_DOUBLE:
    case PROP_BOOL:
    case PROP_DURATION:
    case PROP_INSTANT:
    case PROP_ENUM:
    case PROP_BYTES:
        if (!value_is_string(value) || (prop->flags & PROP_EXPR) == 0)
            return value;
        value = render_text(render, value);
        return value != NULL && value->string.length == 0 ? &value_null : value;
    case PROP_ANY:
        return render_any(render, prop, value);
    case PROP_LIST:
    case PROP_OBJECTS:
        return render_list(render, prop, value);
    case PROP_STRINGS:
        return render_strings(render, prop, value);
    case PROP_MAP:
    case PROP_OBJECT:
    case PROP_PLUGIN:
        return render_map(render, prop, value);
    case PROP_LABELS:
        if (value_is_list(value))
            return (prop->flags & PROP_EXPR) != 0 ? render_tree(render, value) : value;
        if (value_is_string(value) && (prop->flags & PROP_EXPR) != 0) {
            value = render_text(render, value);
            bool list =
                value != NULL && value->string.bytes[strspn(value->string.bytes, " \t\r\n")] == '[';
            return value == NULL ? NULL : parse_text(render, value, list ? VALUE_LIST : VALUE_MAP);
        }
        return render_map(render, prop, value);
    case PROP_TASK:
    case PROP_TASKS:
    case PROP_TASK_MAP:
    case PROP_DAG_TASKS:
    case PROP_TRIGGERS:
    case PROP_CONDITIONS:
    case PROP_CONDITION_MAP:
    case PROP_INPUTS:
    case PROP_OUTPUTS:
        return value; // the flow parser's business
    }
    return value;
}

static bool render_prop(const struct render *render,
                        const struct prop *prop,
                        const struct value *map,
                        struct value_builder *out)
{
    const struct value *value = prop_value(prop, map);
    if (value == NULL)
        value = prop_fallback(prop, render->arena);
    else if ((value = render_value(render, prop, value)) == NULL)
        return error_wrap(render->err, "property '%s'", prop->name);
    else if (value_is_null(value))
        value = prop_fallback(prop, render->arena);
    else {
        value_put(out, prop->name, value);
        return true;
    }
    // the fallback may be an expression too
    if (value == NULL)
        return true;
    value = render_value(render, prop, value);
    if (value == NULL)
        return error_wrap(render->err, "default of property '%s'", prop->name);
    if (!value_is_null(value))
        value_put(out, prop->name, value);
    return true;
}

static const struct value *render_table(const struct render *render,
                                        const struct prop *table,
                                        const struct value *map)
{
    struct value_builder out = value_build(render->arena);
    for (const struct prop *prop = table; prop->name != NULL; prop++) {
        if (!render_prop(render, prop, map, &out))
            return NULL;
    }
    for (size_t i = 0; value_is_map(map) && i < map->map.count; i++) {
        const struct value_member *member = &map->map.members[i];
        if (prop_find(table, member->key) == NULL)
            value_put_n(&out, member->key, member->key_length, member->value);
    }
    return value_build_map(&out);
}

const struct value *prop_render(const struct prop *table,
                                const struct value *map,
                                struct expr_env *env,
                                struct arena *arena,
                                struct error *err)
{
    struct render render = { .env = env, .arena = arena, .err = err };
    return render_table(&render, table, map);
}
