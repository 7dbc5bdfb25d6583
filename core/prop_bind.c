/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "core/json.h"
#include "core/prop_internal.h"

static bool bind_table(const struct prop *table,
                       const struct value *map,
                       bool absent,
                       char *bound,
                       struct arena *arena,
                       struct error *err);

#define BOUND(type) (*(type *)(void *)(bound + prop->offset))

/* What a member holds when its property is absent. */
static bool bind_absent(const struct prop *prop,
                        char *bound,
                        struct arena *arena,
                        struct error *err)
{
    switch (prop->kind) {
    case PROP_STRING:
        BOUND(const char *) = NULL;
        break;
    case PROP_INT:
        BOUND(int64_t) = 0;
        break;
    case PROP_DOUBLE:
        BOUND(double) = 0;
        break;
    case PROP_BOOL:
        BOUND(bool) = false;
        break;
    case PROP_DURATION:
    case PROP_BYTES:
        BOUND(int64_t) = -1;
        break;
    case PROP_INSTANT:
        BOUND(int64_t) = USEC_NEVER;
        break;
    case PROP_ENUM:
        BOUND(int) = -1;
        break;
    case PROP_ANY:
    case PROP_LIST:
    case PROP_MAP:
    case PROP_OBJECTS:
    case PROP_STRINGS:
    case PROP_LABELS:
    case PROP_PLUGIN:
        BOUND(const struct value *) = NULL;
        break;
    case PROP_OBJECT:
        return bind_table(prop->object, NULL, true, bound + prop->offset, arena, err);
    case PROP_TASK:
    case PROP_TASKS:
    case PROP_TASK_MAP:
    case PROP_DAG_TASKS:
    case PROP_TRIGGERS:
    case PROP_CONDITIONS:
    case PROP_CONDITION_MAP:
    case PROP_INPUTS:
    case PROP_OUTPUTS:
        break;
    }
    return true;
}

static bool out_of_bounds(const struct prop *prop, int64_t number)
{
    return (prop->min != 0 || prop->max != 0) && (number < prop->min || number > prop->max);
}

static bool bad_value(const struct prop *prop,
                      const struct value *value,
                      struct arena *arena,
                      struct error *err)
{
    const char *shown = prop_text(arena, value);
    if (prop->kind == PROP_ENUM)
        return error_set(err, ERR_INVALID, "property '%s' must be one of %s, not '%.200s'",
                         prop->name, prop_words_text(arena, prop->words), shown);
    return error_set(err, ERR_INVALID, "property '%s' must be %s, not '%.200s'", prop->name,
                     prop_kind_text(prop->kind), shown == NULL ? "null" : shown);
}

/* Some texts are JSON of the wanted kind: "\"PT5S\"", "[1]" for a list. */
static const struct value *from_json(const struct value *value, struct arena *arena)
{
    if (!value_is_string(value) || value->string.length == 0)
        return NULL;
    struct error ignored = { 0 };
    return json_parse(arena, value->string.bytes, value->string.length, &ignored);
}

static bool bind_scalar(const struct prop *prop, const struct value *value, char *bound)
{
    switch (prop->kind) {
    case PROP_INT:
        return prop_to_int(value, &BOUND(int64_t));
    case PROP_DOUBLE:
        return prop_to_double(value, &BOUND(double));
    case PROP_BOOL:
        return prop_to_bool(value, &BOUND(bool));
    case PROP_DURATION:
        return prop_to_duration(value, &BOUND(int64_t));
    case PROP_INSTANT:
        return prop_to_instant(value, &BOUND(int64_t));
    case PROP_BYTES:
        return prop_to_bytes(value, &BOUND(int64_t));
    case PROP_ENUM:
        BOUND(int) = prop_to_word(value, prop->words);
        return BOUND(int) >= 0;
    case PROP_STRING:
    case PROP_ANY:
    case PROP_LIST:
    case PROP_MAP:
    case PROP_OBJECT:
    case PROP_OBJECTS:
    case PROP_STRINGS:
    case PROP_LABELS:
    case PROP_PLUGIN:
    case PROP_TASK:
    case PROP_TASKS:
    case PROP_TASK_MAP:
    case PROP_DAG_TASKS:
    case PROP_TRIGGERS:
    case PROP_CONDITIONS:
    case PROP_CONDITION_MAP:
    case PROP_INPUTS:
    case PROP_OUTPUTS:
        break;
    }
    return false;
}

static bool is_bound_as(const struct prop *prop, const struct value *value)
{
    switch (prop->kind) {
    case PROP_LIST:
    case PROP_STRINGS:
    case PROP_OBJECTS:
        return value_is_list(value);
    case PROP_MAP:
    case PROP_PLUGIN:
    case PROP_OBJECT:
        return value_is_map(value);
    case PROP_LABELS:
        return value_is_map(value) || value_is_list(value);
    case PROP_ANY:
    case PROP_STRING:
    case PROP_INT:
    case PROP_DOUBLE:
    case PROP_BOOL:
    case PROP_DURATION:
    case PROP_INSTANT:
    case PROP_ENUM:
    case PROP_BYTES:
    case PROP_TASK:
    case PROP_TASKS:
    case PROP_TASK_MAP:
    case PROP_DAG_TASKS:
    case PROP_TRIGGERS:
    case PROP_CONDITIONS:
    case PROP_CONDITION_MAP:
    case PROP_INPUTS:
    case PROP_OUTPUTS:
        break;
    }
    return true;
}

static const struct value *list_of_one(const struct value *value, struct arena *arena)
{
    const char *text = prop_text(arena, value);
    const struct value *item = value_string_ref(arena, text, strlen(text));
    return value_list(arena, &item, 1);
}

/* A list of texts whose items are texts: numbers and such become theirs, null stays. */
static const struct value *texts_of(const struct value *list, struct arena *arena)
{
    bool is_needed = false;
    for (size_t i = 0; i < value_count(list); i++) {
        const struct value *item = value_item(list, i);
        is_needed = is_needed || !(value_is_string(item) || value_is_null(item));
    }
    if (!is_needed)
        return list;
    struct value_builder texts = value_build(arena);
    for (size_t i = 0; i < value_count(list); i++) {
        const struct value *item = value_item(list, i);
        if (!value_is_string(item) && !value_is_null(item)) {
            const char *text = prop_text(arena, item);
            item = value_string_ref(arena, text, strlen(text));
        }
        value_add(&texts, item);
    }
    return value_build_list(&texts);
}

/* Lists, maps and objects. */
static bool bind_container(const struct prop *prop,
                           const struct value *value,
                           char *bound,
                           struct arena *arena,
                           struct error *err)
{
    if (!is_bound_as(prop, value)) {
        bool is_text = (prop->flags & PROP_VERBATIM) != 0;
        const struct value *parsed = is_text ? NULL : from_json(value, arena);
        if (parsed != NULL && is_bound_as(prop, parsed))
            value = parsed;
        else if (prop->kind == PROP_STRINGS && !value_is_map(value))
            value = list_of_one(value, arena);
        else
            return bad_value(prop, value, arena, err);
    }
    if ((prop->flags & PROP_NOT_EMPTY) != 0 && prop->kind != PROP_ANY && value_count(value) == 0)
        return error_set(err, ERR_INVALID, "property '%s' must not be empty", prop->name);
    if (prop->kind == PROP_OBJECT)
        return bind_table(prop->object, value, false, bound + prop->offset, arena, err) ||
               error_wrap(err, "in '%s'", prop->name);
    if (prop->kind == PROP_STRINGS || (prop->kind == PROP_LIST && prop->item == PROP_STRING))
        value = texts_of(value, arena);
    BOUND(const struct value *) = value;
    return true;
}

static bool bind_prop(const struct prop *prop,
                      const struct value *value,
                      char *bound,
                      struct arena *arena,
                      struct error *err)
{
    const char *text;
    switch (prop->kind) {
    case PROP_STRING:
        text = prop_text(arena, value);
        if ((prop->flags & PROP_NOT_EMPTY) != 0 && text[0] == '\0')
            return error_set(err, ERR_INVALID, "property '%s' must not be empty", prop->name);
        BOUND(const char *) = text;
        return true;
    case PROP_INT:
    case PROP_DOUBLE:
    case PROP_BOOL:
    case PROP_DURATION:
    case PROP_INSTANT:
    case PROP_ENUM:
    case PROP_BYTES:
        if (!bind_scalar(prop, value, bound)) {
            const struct value *parsed = from_json(value, arena);
            if (value_is_null(parsed) || !bind_scalar(prop, parsed, bound))
                return bad_value(prop, value, arena, err);
        }
        if ((prop->kind == PROP_INT || prop->kind == PROP_DURATION || prop->kind == PROP_BYTES) &&
            out_of_bounds(prop, BOUND(int64_t)))
            return error_set(err, ERR_INVALID, "property '%s' is out of bounds: '%.100s'",
                             prop->name, prop_text(arena, value));
        return true;
    case PROP_ANY:
    case PROP_LIST:
    case PROP_MAP:
    case PROP_OBJECT:
    case PROP_OBJECTS:
    case PROP_STRINGS:
    case PROP_LABELS:
    case PROP_PLUGIN:
        return bind_container(prop, value, bound, arena, err);
    case PROP_TASK:
    case PROP_TASKS:
    case PROP_TASK_MAP:
    case PROP_DAG_TASKS:
    case PROP_TRIGGERS:
    case PROP_CONDITIONS:
    case PROP_CONDITION_MAP:
    case PROP_INPUTS:
    case PROP_OUTPUTS:
        return true;
    }
    return true;
}

/* An empty text stands for nothing where a text is not wanted. */
static bool is_nothing(const struct prop *prop, const struct value *value)
{
    return value == NULL ||
           (value_is_string(value) && value->string.length == 0 && prop->kind != PROP_STRING &&
            prop->kind != PROP_ANY && prop->kind != PROP_STRINGS);
}

/* absent: the whole mapping is not there, so nothing in it is required. */
static bool bind_table(const struct prop *table,
                       const struct value *map,
                       bool absent,
                       char *bound,
                       struct arena *arena,
                       struct error *err)
{
    for (const struct prop *prop = table; prop->name != NULL; prop++) {
        if (!prop->is_bound)
            continue;
        const struct value *value = prop_value(prop, map);
        if (is_nothing(prop, value))
            value = prop_fallback(prop, arena);
        if (value_is_null(value)) {
            if ((prop->flags & PROP_REQUIRED) != 0 && !absent && prop->kind < PROP_TASK)
                return error_set(err, ERR_INVALID, "property '%s' is required", prop->name);
            if (!bind_absent(prop, bound, arena, err))
                return false;
        } else if (!bind_prop(prop, value, bound, arena, err)) {
            return false;
        }
    }
    return true;
}

bool prop_bind(const struct prop *table,
               const struct value *map,
               void *bound,
               struct arena *arena,
               struct error *err)
{
    return bind_table(table, map, false, bound, arena, err);
}
