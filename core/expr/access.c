/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of values: x.name, x['name'], x[0], and the few methods that flows use.
 */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/str.h"
#include "base/unicode.h"
#include "core/expr/eval.h"

static bool is_name(const struct name *name, const char *text)
{
    return name->length == strlen(text) && memcmp(name->text, text, name->length) == 0;
}

/* Index that a text of digits stands for; false for other texts. */
static bool index_of_text(const struct name *name, uint64_t *index)
{
    *index = 0;
    if (name->length == 0 || name->length > 18)
        return false;
    for (uint32_t i = 0; i < name->length; i++) {
        if (name->text[i] < '0' || name->text[i] > '9')
            return false;
        *index = *index * 10 + (uint64_t)(name->text[i] - '0');
    }
    return true;
}

/* Properties that work without parentheses, when no such key exists. NULL when it is none. */
static const struct value *property(struct evaluator *ev,
                                    const struct value *object,
                                    const struct name *name)
{
    if (object->kind == VALUE_STRING && is_name(name, "length"))
        return value_int(ev->arena,
                         (int64_t)utf16_length(object->string.bytes, object->string.length));
    if (object->kind == VALUE_LIST && is_name(name, "empty"))
        return value_bool(object->list.count == 0);
    if (object->kind == VALUE_LIST && is_name(name, "size"))
        return value_int(ev->arena, (int64_t)value_count(object));
    return NULL;
}

const struct value *member(struct evaluator *ev,
                           const struct node *node,
                           const struct value *object,
                           struct name name)
{
    const struct value *found = NULL;
    uint64_t index = 0;
    if (object->kind == VALUE_MAP || object->kind == VALUE_LAZY)
        found = value_get_in(ev->arena, object, name.text, name.length);
    else if (object->kind == VALUE_LIST && index_of_text(&name, &index))
        found = value_item(object, index);
    else if (object->kind == VALUE_ENTRY && is_name(&name, "key"))
        found = value_string(ev->arena, object->entry.key);
    else if (object->kind == VALUE_ENTRY && is_name(&name, "value"))
        found = object->entry.value;
    if (found == NULL)
        found = property(ev, object, &name);
    return found == NULL ? undefined(ev, node, name) : found;
}

const struct value *element(struct evaluator *ev,
                            const struct node *node,
                            const struct value *object,
                            const struct value *key)
{
    bool is_map = object->kind == VALUE_MAP || object->kind == VALUE_LAZY;
    if (key->kind == VALUE_STRING)
        return member(ev, node, object,
                      (struct name){ key->string.bytes, (uint32_t)key->string.length });
    if (is_map && key->kind == VALUE_NULL)
        return fail(ev, node, "a map has no member null");
    if (object->kind == VALUE_LIST && key->kind == VALUE_INT && key->integer >= 0) {
        const struct value *item = value_item(object, (size_t)key->integer);
        if (item != NULL)
            return item;
    }
    const struct value *text = display(ev, node, key);
    if (text == NULL)
        return NULL;
    struct name name = { text->string.bytes, (uint32_t)text->string.length };
    return is_map ? member(ev, node, object, name) : undefined(ev, node, name);
}

/* ---- methods ---- */

struct method_call {
    struct evaluator *ev;
    const struct node *node;
    const struct value *object;
    const struct value *const *args; /* as many as the method takes */
};

typedef const struct value *method_fn(struct method_call *call);

/* The argument as text. */
static const struct value *text_arg(struct method_call *call, size_t i)
{
    return display(call->ev, call->node, call->args[i]);
}

static const struct value *size_method(struct method_call *call)
{
    const struct value *object = call->object;
    size_t size = object->kind == VALUE_STRING
                      ? utf16_length(object->string.bytes, object->string.length)
                      : value_count(object);
    return value_int(call->ev->arena, (int64_t)size);
}

static const struct value *is_empty_method(struct method_call *call)
{
    const struct value *object = call->object;
    return value_bool(object->kind == VALUE_STRING ? object->string.length == 0
                                                   : value_count(object) == 0);
}

/* The part of a text without white space at its ends: all of Unicode's, or up to U+0020. */
static const struct value *stripped(struct method_call *call, bool unicode)
{
    const char *from = call->object->string.bytes;
    const char *end = from + call->object->string.length;
    while (from < end) {
        const char *next = from;
        uint32_t code = utf8_next(&next, end);
        if (unicode ? !unicode_is_space(code) : code > 0x20)
            break;
        from = next;
    }
    while (end > from) {
        const char *last = end - 1;
        while (last > from && ((unsigned char)*last & 0xc0U) == 0x80U)
            last--;
        const char *next = last;
        uint32_t code = utf8_next(&next, end);
        if (unicode ? !unicode_is_space(code) : code > 0x20)
            break;
        end = last;
    }
    return value_string_n(call->ev->arena, from, (size_t)(end - from));
}

static const struct value *strip_method(struct method_call *call)
{
    return stripped(call, true);
}

static const struct value *trim_method(struct method_call *call)
{
    return stripped(call, false);
}

static const struct value *is_blank_method(struct method_call *call)
{
    return value_bool(stripped(call, true)->string.length == 0);
}

static const struct value *cased(struct method_call *call, enum unicode_change change)
{
    size_t length = 0;
    const char *text = unicode_changed(call->ev->arena, change, call->object->string.bytes,
                                       call->object->string.length, &length);
    return value_string_ref(call->ev->arena, text, length);
}

static const struct value *upper_method(struct method_call *call)
{
    return cased(call, UNICODE_UPPER);
}

static const struct value *lower_method(struct method_call *call)
{
    return cased(call, UNICODE_LOWER);
}

static const struct value *starts_with_method(struct method_call *call)
{
    const struct value *part = text_arg(call, 0);
    if (part == NULL)
        return NULL;
    return value_bool(part->string.length <= call->object->string.length &&
                      memcmp(call->object->string.bytes, part->string.bytes, part->string.length) ==
                          0);
}

static const struct value *ends_with_method(struct method_call *call)
{
    const struct value *part = text_arg(call, 0);
    if (part == NULL)
        return NULL;
    size_t length = call->object->string.length;
    size_t end = part->string.length;
    return value_bool(end <= length && memcmp(call->object->string.bytes + length - end,
                                              part->string.bytes, end) == 0);
}

static const struct value *text_index_method(struct method_call *call)
{
    const struct value *part = text_arg(call, 0);
    if (part == NULL)
        return NULL;
    const char *text = call->object->string.bytes;
    const char *found =
        memmem(text, call->object->string.length, part->string.bytes, part->string.length);
    int64_t index = found == NULL ? -1 : (int64_t)utf16_length(text, (size_t)(found - text));
    return value_int(call->ev->arena, index);
}

static const struct value *concat_method(struct method_call *call)
{
    return operate(call->ev, call->node, OP_CONCATENATE, call->object, call->args[0]);
}

static const struct value *replace_method(struct method_call *call)
{
    const struct value *old = text_arg(call, 0);
    const struct value *new = old == NULL ? NULL : text_arg(call, 1);
    if (new == NULL)
        return NULL;
    return text_replaced(call->ev, call->node, call->object, old, new);
}

static const struct value *split_method(struct method_call *call)
{
    const struct value *pattern = text_arg(call, 0);
    return pattern == NULL ? NULL : text_split(call->ev, call->node, call->object, pattern, 0);
}

static const struct value *to_string_method(struct method_call *call)
{
    return display(call->ev, call->node, call->object);
}

static const struct value *list_index_method(struct method_call *call)
{
    const struct value *list = call->object;
    for (size_t i = 0; i < list->list.count; i++) {
        bool equal = false;
        if (!equals(call->ev, call->node, list->list.items[i], call->args[0], &equal))
            return NULL;
        if (equal)
            return value_int(call->ev->arena, (int64_t)i);
    }
    return value_int(call->ev->arena, -1);
}

static const struct value *map_find(struct method_call *call)
{
    const struct value *key = text_arg(call, 0);
    if (key == NULL)
        return NULL;
    const struct value *found = value_get_n(call->object, key->string.bytes, key->string.length);
    return found == NULL ? &value_null : found;
}

static const struct value *contains_key_method(struct method_call *call)
{
    const struct value *key = text_arg(call, 0);
    if (key == NULL)
        return NULL;
    return value_bool(value_get_n(call->object, key->string.bytes, key->string.length) != NULL);
}

enum map_part {
    PART_KEYS,
    PART_VALUES,
    PART_ENTRIES,
};

static const struct value *map_parts(struct method_call *call, enum map_part part)
{
    struct arena *arena = call->ev->arena;
    struct value_builder builder = value_build(arena);
    for (size_t i = 0; i < call->object->map.count; i++) {
        const struct value_member *entry = &call->object->map.members[i];
        if (part == PART_KEYS)
            value_add(&builder, value_string_ref(arena, entry->key, entry->key_length));
        else if (part == PART_VALUES)
            value_add(&builder, entry->value);
        else
            value_add(&builder, value_entry(arena, entry->key, entry->value));
    }
    return value_build_list(&builder);
}

static const struct value *key_set_method(struct method_call *call)
{
    return map_parts(call, PART_KEYS);
}

static const struct value *values_method(struct method_call *call)
{
    return map_parts(call, PART_VALUES);
}

static const struct value *entry_set_method(struct method_call *call)
{
    return map_parts(call, PART_ENTRIES);
}

static int64_t clamped(double number, int64_t least, int64_t most)
{
    if (isnan(number))
        return 0;
    if (number <= (double)least)
        return least;
    return number >= (double)most ? most : (int64_t)number;
}

static const struct value *int_value_method(struct method_call *call)
{
    double number = 0;
    if (call->object->kind == VALUE_INT)
        return value_int(call->ev->arena, (int32_t)(uint32_t)(uint64_t)call->object->integer);
    (void)value_to_double(call->object, &number);
    return value_int(call->ev->arena, clamped(number, INT32_MIN, INT32_MAX));
}

static const struct value *long_value_method(struct method_call *call)
{
    double number = 0;
    if (call->object->kind == VALUE_INT)
        return call->object;
    (void)value_to_double(call->object, &number);
    return value_int(call->ev->arena, clamped(number, INT64_MIN, INT64_MAX));
}

static const struct value *double_value_method(struct method_call *call)
{
    double number = 0;
    (void)value_to_double(call->object, &number);
    return value_double(call->ev->arena, number);
}

/* What a method may be called on. */
enum target {
    ON_STRING,
    ON_LIST,
    ON_MAP,
    ON_NUMBER,
};

static const struct method_row {
    enum target target;
    const char *name;
    size_t args;
    method_fn *run;
} methods[] = {
    { ON_STRING, "length", 0, size_method },
    { ON_STRING, "isEmpty", 0, is_empty_method },
    { ON_STRING, "isBlank", 0, is_blank_method },
    { ON_STRING, "toUpperCase", 0, upper_method },
    { ON_STRING, "toLowerCase", 0, lower_method },
    { ON_STRING, "trim", 0, trim_method },
    { ON_STRING, "strip", 0, strip_method },
    { ON_STRING, "startsWith", 1, starts_with_method },
    { ON_STRING, "endsWith", 1, ends_with_method },
    { ON_STRING, "indexOf", 1, text_index_method },
    { ON_STRING, "concat", 1, concat_method },
    { ON_STRING, "replace", 2, replace_method },
    { ON_STRING, "split", 1, split_method },
    { ON_STRING, "toString", 0, to_string_method },
    { ON_LIST, "size", 0, size_method },
    { ON_LIST, "isEmpty", 0, is_empty_method },
    { ON_LIST, "indexOf", 1, list_index_method },
    { ON_MAP, "size", 0, size_method },
    { ON_MAP, "isEmpty", 0, is_empty_method },
    { ON_MAP, "containsKey", 1, contains_key_method },
    { ON_MAP, "get", 1, map_find },
    { ON_MAP, "keySet", 0, key_set_method },
    { ON_MAP, "values", 0, values_method },
    { ON_MAP, "entrySet", 0, entry_set_method },
    { ON_NUMBER, "intValue", 0, int_value_method },
    { ON_NUMBER, "longValue", 0, long_value_method },
    { ON_NUMBER, "doubleValue", 0, double_value_method },
    { ON_NUMBER, "toString", 0, to_string_method },
};

static bool is_target(const struct value *object, enum target target)
{
    switch (target) {
    case ON_STRING:
        return object->kind == VALUE_STRING;
    case ON_LIST:
        return object->kind == VALUE_LIST;
    case ON_MAP:
        return object->kind == VALUE_MAP;
    case ON_NUMBER:
        return value_is_number(object);
    }
    return false;
}

const struct value *method(struct evaluator *ev,
                           const struct node *node,
                           const struct value *object,
                           const struct value *const *args,
                           size_t count)
{
    const struct name *name = &node->call->name;
    struct method_call call = { ev, node, value_force(ev->arena, object), args };
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        const struct method_row *row = &methods[i];
        if (!is_target(call.object, row->target) || !is_name(name, row->name))
            continue;
        if (row->args != count)
            return fail(ev, node, "method '%s' takes %zu arguments, not %zu", row->name, row->args,
                        count);
        return charge(ev, node, 1) ? row->run(&call) : NULL;
    }
    return undefined(ev, node, *name);
}
