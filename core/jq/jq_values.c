/* SPDX-License-Identifier: Apache-2.0 */
/* What jq does with values: order, arithmetic, access. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/str.h"
#include "core/jq/jq_internal.h"

/* Doubles up to here hold every integer. */
#define EXACT_MAX 9007199254740992.0

bool jq_is_true(const struct value *value)
{
    return value->kind != VALUE_NULL && (value->kind != VALUE_BOOL || value->boolean);
}

const char *jq_type(const struct value *value)
{
    if (value_is_number(value))
        return "number";
    switch ((enum value_kind)value->kind) {
    case VALUE_NULL:
        return "null";
    case VALUE_BOOL:
        return "boolean";
    case VALUE_LIST:
        return "array";
    case VALUE_MAP:
    case VALUE_LAZY:
    case VALUE_ENTRY:
        return "object";
    case VALUE_INT:
    case VALUE_FLOAT32:
    case VALUE_DOUBLE:
    case VALUE_DECIMAL:
    case VALUE_BIGINT:
    case VALUE_STRING:
    case VALUE_INSTANT:
    case VALUE_ZONED:
    case VALUE_LOCAL_DATETIME:
    case VALUE_LOCAL_DATE:
    case VALUE_LOCAL_TIME:
    case VALUE_DURATION:
    case VALUE_URI:
    case VALUE_BYTES:
        break;
    }
    return "string";
}

const struct value *jq_members(struct jq *jq, const struct value *value)
{
    if (value->kind != VALUE_MAP)
        return value;
    struct value_builder builder = value_build(jq->arena);
    for (size_t i = 0; i < value->map.count; i++)
        value_add(&builder, value->map.members[i].value);
    return value_build_list(&builder);
}

const struct value *jq_number(struct jq *jq, double number)
{
    if (number == floor(number) && fabs(number) <= EXACT_MAX)
        return value_int(jq->arena, (int64_t)number);
    return value_double(jq->arena, number);
}

double jq_real(const struct value *number)
{
    double out = 0;
    (void)value_to_double(number, &out);
    return out;
}

/* ---- order ---- */

static int rank(const struct value *value)
{
    switch ((enum value_kind)value->kind) {
    case VALUE_NULL:
        return 0;
    case VALUE_BOOL:
        return value->boolean ? 2 : 1;
    case VALUE_INT:
    case VALUE_FLOAT32:
    case VALUE_DOUBLE:
    case VALUE_DECIMAL:
    case VALUE_BIGINT:
        return 3;
    case VALUE_LIST:
        return 5;
    case VALUE_MAP:
        return 6;
    case VALUE_STRING:
    case VALUE_INSTANT:
    case VALUE_ZONED:
    case VALUE_LOCAL_DATETIME:
    case VALUE_LOCAL_DATE:
    case VALUE_LOCAL_TIME:
    case VALUE_DURATION:
    case VALUE_URI:
    case VALUE_ENTRY:
    case VALUE_BYTES:
    case VALUE_LAZY:
        break;
    }
    return 4;
}

static int compare_numbers(const struct value *a, const struct value *b)
{
    if (a->kind == VALUE_INT && b->kind == VALUE_INT)
        return a->integer < b->integer ? -1 : a->integer > b->integer;
    double x = jq_real(a);
    double y = jq_real(b);
    if (isnan(x))
        return -1; // less than every number, itself too
    return isnan(y) ? 1 : x < y ? -1 : x > y;
}

static int compare_texts(const struct value *a, const struct value *b)
{
    size_t shorter = a->string.length < b->string.length ? a->string.length : b->string.length;
    int order = shorter == 0 ? 0 : memcmp(a->string.bytes, b->string.bytes, shorter);
    if (order != 0)
        return order;
    return a->string.length < b->string.length ? -1 : a->string.length > b->string.length;
}

static bool compare(
    struct jq *jq, const struct value *a, const struct value *b, unsigned depth, int *order);

static bool compare_lists(
    struct jq *jq, const struct value *a, const struct value *b, unsigned depth, int *order)
{
    for (size_t i = 0; i < a->list.count && i < b->list.count; i++) {
        if (!compare(jq, a->list.items[i], b->list.items[i], depth + 1, order))
            return false;
        if (*order != 0)
            return true;
    }
    *order = a->list.count < b->list.count ? -1 : a->list.count > b->list.count;
    return true;
}

/* First the sorted keys, then the values in the order of the keys. */
static bool compare_maps(
    struct jq *jq, const struct value *a, const struct value *b, unsigned depth, int *order)
{
    const struct value *keys = jq_keys(jq, a, true);
    const struct value *others = keys == NULL ? NULL : jq_keys(jq, b, true);
    if (others == NULL || !compare_lists(jq, keys, others, depth, order))
        return false;
    for (size_t i = 0; *order == 0 && i < keys->list.count; i++) {
        const struct value *key = keys->list.items[i];
        if (!compare(jq, value_get_n(a, key->string.bytes, key->string.length),
                     value_get_n(b, key->string.bytes, key->string.length), depth + 1, order))
            return false;
    }
    return true;
}

static bool compare(
    struct jq *jq, const struct value *a, const struct value *b, unsigned depth, int *order)
{
    *order = 0;
    if (a == b && !value_is_number(a))
        return true;
    if (depth > JQ_DEPTH_MAX)
        return jq_fail(jq, "values are nested too deeply to be compared");
    if (!jq_charge(jq, 1))
        return false;
    *order = rank(a) - rank(b);
    if (*order != 0)
        return true;
    if (value_is_number(a))
        *order = compare_numbers(a, b);
    else if (a->kind == VALUE_STRING)
        *order = compare_texts(a, b);
    else if (a->kind == VALUE_LIST)
        return compare_lists(jq, a, b, depth, order);
    else if (a->kind == VALUE_MAP)
        return compare_maps(jq, a, b, depth, order);
    return true;
}

bool jq_compare(struct jq *jq, const struct value *a, const struct value *b, int *order)
{
    return compare(jq, a, b, 0, order);
}

/* An element to sort, with its key. */
struct element {
    const struct value *item;
    const struct value *key;
};

/* Merges two sorted halves; false when it stopped. */
static bool merge(
    struct jq *jq, struct element *all, struct element *scratch, size_t middle, size_t count)
{
    size_t left = 0;
    size_t right = middle;
    for (size_t i = 0; i < count; i++) {
        int order = 0;
        if (left < middle && right < count &&
            !jq_compare(jq, all[left].key, all[right].key, &order))
            return false;
        bool take_left = left < middle && (right == count || order <= 0);
        scratch[i] = take_left ? all[left++] : all[right++];
    }
    memcpy(all, scratch, count * sizeof(*all));
    return true;
}

static bool merge_sort(struct jq *jq, struct element *all, struct element *scratch, size_t count)
{
    if (count < 2)
        return true;
    size_t half = count / 2;
    return merge_sort(jq, all, scratch, half) &&
           merge_sort(jq, all + half, scratch, count - half) &&
           merge(jq, all, scratch, half, count);
}

const struct value *jq_sorted(struct jq *jq,
                              const struct value *items,
                              const struct value *keys,
                              const struct value **sorted_keys)
{
    size_t count = items->list.count;
    struct element *all = ARENA_ARRAY(jq->arena, count, struct element);
    struct element *scratch = ARENA_ARRAY(jq->arena, count, struct element);
    for (size_t i = 0; i < count; i++)
        all[i] = (struct element){ items->list.items[i], keys->list.items[i] };
    if (!jq_charge(jq, count) || !merge_sort(jq, all, scratch, count))
        return NULL;
    struct value_builder sorted = value_build(jq->arena);
    struct value_builder by = value_build(jq->arena);
    for (size_t i = 0; i < count; i++) {
        value_add(&sorted, all[i].item);
        value_add(&by, all[i].key);
    }
    if (sorted_keys != NULL)
        *sorted_keys = value_build_list(&by);
    return value_build_list(&sorted);
}

/* ---- arithmetic ---- */

static const struct value *no_operation(struct jq *jq,
                                        const struct value *a,
                                        const struct value *b,
                                        const char *what)
{
    const struct value *x = jq_to_json(jq, a);
    const struct value *y = x == NULL ? NULL : jq_to_json(jq, b);
    if (y != NULL)
        (void)jq_fail(jq, "%s (%.60s) and %s (%.60s) cannot be %s", jq_type(a), x->string.bytes,
                      jq_type(b), y->string.bytes, what);
    return NULL;
}

static const struct value *join(struct jq *jq, const struct value *a, const struct value *b)
{
    size_t length = a->string.length + b->string.length;
    if (length > JQ_TEXT_MAX) {
        (void)jq_fail(jq, "a text is too long");
        return NULL;
    }
    if (!jq_charge(jq, length / 256))
        return NULL;
    char *bytes = arena_bytes_alloc(jq->arena, length + 1);
    memcpy(bytes, a->string.bytes, a->string.length);
    memcpy(bytes + a->string.length, b->string.bytes, b->string.length);
    bytes[length] = '\0';
    return value_string_ref(jq->arena, bytes, length);
}

static const struct value *append(struct jq *jq, const struct value *a, const struct value *b)
{
    size_t count = a->list.count + b->list.count;
    if (!jq_charge(jq, count / 8))
        return NULL;
    const struct value **items = ARENA_ARRAY(jq->arena, count, const struct value *);
    for (size_t i = 0; i < a->list.count; i++)
        items[i] = a->list.items[i];
    for (size_t i = 0; i < b->list.count; i++)
        items[a->list.count + i] = b->list.items[i];
    return value_list(jq->arena, items, count);
}

/* Members of b win; with `deep`, maps on both sides are merged. */
static const struct value *merge_maps(
    struct jq *jq, const struct value *a, const struct value *b, bool deep, unsigned depth)
{
    struct value_builder builder = value_build(jq->arena);
    if (depth > JQ_DEPTH_MAX) {
        (void)jq_fail(jq, "values are nested too deeply to be merged");
        return NULL;
    }
    if (!jq_charge(jq, (a->map.count + b->map.count) / 2 + 1))
        return NULL;
    for (size_t i = 0; i < a->map.count; i++)
        value_put_n(&builder, a->map.members[i].key, a->map.members[i].key_length,
                    a->map.members[i].value);
    for (size_t i = 0; i < b->map.count; i++) {
        const struct value_member *m = &b->map.members[i];
        const struct value *old = deep ? value_get_n(a, m->key, m->key_length) : NULL;
        const struct value *new = m->value;
        if (old != NULL && old->kind == VALUE_MAP && new->kind == VALUE_MAP)
            new = merge_maps(jq, old, new, true, depth + 1);
        if (new == NULL)
            return NULL;
        value_put_n(&builder, m->key, m->key_length, new);
    }
    return value_build_map(&builder);
}

static const struct value *add(struct jq *jq, const struct value *a, const struct value *b)
{
    int64_t sum = 0;
    if (a->kind == VALUE_NULL)
        return b;
    if (b->kind == VALUE_NULL)
        return a;
    if (a->kind == VALUE_INT && b->kind == VALUE_INT &&
        !__builtin_add_overflow(a->integer, b->integer, &sum))
        return value_int(jq->arena, sum);
    if (value_is_number(a) && value_is_number(b))
        return jq_number(jq, jq_real(a) + jq_real(b));
    if (a->kind == VALUE_STRING && b->kind == VALUE_STRING)
        return join(jq, a, b);
    if (a->kind == VALUE_LIST && b->kind == VALUE_LIST)
        return append(jq, a, b);
    if (a->kind == VALUE_MAP && b->kind == VALUE_MAP)
        return merge_maps(jq, a, b, false, 0);
    return no_operation(jq, a, b, "added");
}

static const struct value *without(struct jq *jq, const struct value *a, const struct value *b)
{
    struct value_builder builder = value_build(jq->arena);
    for (size_t i = 0; i < a->list.count; i++) {
        int order = 1;
        for (size_t j = 0; j < b->list.count && order != 0; j++) {
            if (!jq_compare(jq, a->list.items[i], b->list.items[j], &order))
                return NULL;
        }
        if (order != 0)
            value_add(&builder, a->list.items[i]);
    }
    return value_build_list(&builder);
}

static const struct value *subtract(struct jq *jq, const struct value *a, const struct value *b)
{
    int64_t difference = 0;
    if (a->kind == VALUE_INT && b->kind == VALUE_INT &&
        !__builtin_sub_overflow(a->integer, b->integer, &difference))
        return value_int(jq->arena, difference);
    if (value_is_number(a) && value_is_number(b))
        return jq_number(jq, jq_real(a) - jq_real(b));
    if (a->kind == VALUE_LIST && b->kind == VALUE_LIST)
        return without(jq, a, b);
    return no_operation(jq, a, b, "subtracted");
}

static const struct value *repeat(struct jq *jq, const struct value *text, double times)
{
    if (!(times >= 1))
        return &value_null;
    if (text->string.length == 0)
        return text; // however often
    if (times * (double)text->string.length > JQ_TEXT_MAX) {
        (void)jq_fail(jq, "a text is too long");
        return NULL;
    }
    size_t count = (size_t)times;
    struct buf buf = { 0 };
    for (size_t i = 0; i < count; i++)
        buf_add(&buf, text->string.bytes, text->string.length);
    return jq_text_of(jq, &buf);
}

static const struct value *multiply(struct jq *jq, const struct value *a, const struct value *b)
{
    int64_t product = 0;
    if (a->kind == VALUE_INT && b->kind == VALUE_INT &&
        !__builtin_mul_overflow(a->integer, b->integer, &product))
        return value_int(jq->arena, product);
    if (value_is_number(a) && value_is_number(b))
        return jq_number(jq, jq_real(a) * jq_real(b));
    if (a->kind == VALUE_STRING && value_is_number(b))
        return repeat(jq, a, jq_real(b));
    if (value_is_number(a) && b->kind == VALUE_STRING)
        return repeat(jq, b, jq_real(a));
    if (a->kind == VALUE_MAP && b->kind == VALUE_MAP)
        return merge_maps(jq, a, b, true, 0);
    return no_operation(jq, a, b, "multiplied");
}

/* Parts of a text between separators; without one, its characters. */
static const struct value *split(struct jq *jq,
                                 const struct value *text,
                                 const struct value *separator)
{
    struct value_builder builder = value_build(jq->arena);
    const char *at = text->string.bytes;
    const char *end = at + text->string.length;
    size_t length = separator->string.length;
    while (at < end && length == 0) {
        const char *start = at;
        (void)utf8_next(&at, end);
        value_add(&builder, value_string_n(jq->arena, start, (size_t)(at - start)));
    }
    while (length > 0 && text->string.length > 0) {
        const char *found = memmem(at, (size_t)(end - at), separator->string.bytes, length);
        const char *to = found == NULL ? end : found;
        value_add(&builder, value_string_n(jq->arena, at, (size_t)(to - at)));
        if (found == NULL)
            break;
        at = found + length;
    }
    return jq_charge(jq, builder.items_count) ? value_build_list(&builder) : NULL;
}

static const struct value *divide(struct jq *jq, const struct value *a, const struct value *b)
{
    if (a->kind == VALUE_STRING && b->kind == VALUE_STRING)
        return split(jq, a, b);
    if (!value_is_number(a) || !value_is_number(b))
        return no_operation(jq, a, b, "divided");
    if (jq_real(b) == 0)
        return no_operation(jq, a, b, "divided because the divisor is zero");
    if (a->kind == VALUE_INT && b->kind == VALUE_INT && b->integer != -1 &&
        a->integer % b->integer == 0)
        return value_int(jq->arena, a->integer / b->integer);
    return jq_number(jq, jq_real(a) / jq_real(b));
}

/* The whole part of a number, as far as 64 bits go. */
static int64_t whole(const struct value *number)
{
    double value = jq_real(number);
    if (number->kind == VALUE_INT)
        return number->integer;
    if (isnan(value))
        return 0;
    return value >= 9.2e18 ? INT64_MAX : value <= -9.2e18 ? INT64_MIN + 1 : (int64_t)value;
}

static const struct value *modulo(struct jq *jq, const struct value *a, const struct value *b)
{
    if (!value_is_number(a) || !value_is_number(b))
        return no_operation(jq, a, b, "divided");
    int64_t divisor = whole(b);
    if (divisor == 0)
        return no_operation(jq, a, b, "divided because the divisor is zero");
    return value_int(jq->arena, divisor == -1 ? 0 : whole(a) % divisor);
}

const struct value *jq_calculate(struct jq *jq,
                                 enum jq_operation operation,
                                 const struct value *a,
                                 const struct value *b)
{
    switch (operation) {
    case JQ_ADD:
        return add(jq, a, b);
    case JQ_SUBTRACT:
        return subtract(jq, a, b);
    case JQ_MULTIPLY:
        return multiply(jq, a, b);
    case JQ_DIVIDE:
        return divide(jq, a, b);
    case JQ_MODULO:
        return modulo(jq, a, b);
    case JQ_DEFINED_OR:
    case JQ_EQUAL:
    case JQ_NOT_EQUAL:
    case JQ_LESS:
    case JQ_LESS_EQUAL:
    case JQ_GREATER:
    case JQ_GREATER_EQUAL:
        break;
    }
    return a;
}

/* ---- access ---- */

const struct value *jq_cannot_index(struct jq *jq,
                                    const struct value *object,
                                    const struct value *key)
{
    if (key->kind == VALUE_STRING)
        (void)jq_fail(jq, "Cannot index %s with \"%.60s\"", jq_type(object), key->string.bytes);
    else
        (void)jq_fail(jq, "Cannot index %s with %s", jq_type(object), jq_type(key));
    return NULL;
}

/* Index of a number; negative ones count from the end. False when it is out of range. */
bool jq_index_in(const struct value *key, size_t count, size_t *index)
{
    double number = floor(jq_real(key));
    if (number < 0)
        number += (double)count;
    if (!(number >= 0) || number >= (double)count)
        return false;
    *index = (size_t)number;
    return true;
}

/* Places where one list stands inside of another. */
static const struct value *list_indexes(struct jq *jq,
                                        const struct value *list,
                                        const struct value *part)
{
    struct value_builder builder = value_build(jq->arena);
    size_t length = part->list.count;
    for (size_t i = 0; length > 0 && i + length <= list->list.count; i++) {
        int order = 0;
        for (size_t j = 0; j < length && order == 0; j++) {
            if (!jq_compare(jq, list->list.items[i + j], part->list.items[j], &order))
                return NULL;
        }
        if (order == 0)
            value_add(&builder, value_int(jq->arena, (int64_t)i));
    }
    return value_build_list(&builder);
}

const struct value *jq_index(struct jq *jq, const struct value *object, const struct value *key)
{
    size_t index = 0;
    if (object->kind == VALUE_MAP && key->kind == VALUE_STRING) {
        const struct value *found = value_get_n(object, key->string.bytes, key->string.length);
        return found == NULL ? &value_null : found;
    }
    if (object->kind == VALUE_LIST && value_is_number(key))
        return jq_index_in(key, object->list.count, &index) ? object->list.items[index]
                                                            : &value_null;
    if (object->kind == VALUE_LIST && key->kind == VALUE_LIST)
        return list_indexes(jq, object, key);
    if ((object->kind == VALUE_NULL || object->kind == VALUE_LIST) && key->kind == VALUE_MAP)
        return jq_slice(jq, object, jq_index(jq, key, value_string(jq->arena, "start")),
                        jq_index(jq, key, value_string(jq->arena, "end")));
    if (object->kind == VALUE_NULL &&
        (key->kind == VALUE_STRING || value_is_number(key) || key->kind == VALUE_NULL))
        return &value_null;
    return jq_cannot_index(jq, object, key);
}

/* A bound of a slice within 0 … count. */
bool jq_slice_bound(struct jq *jq, const struct value *bound, size_t count, bool up, size_t *out)
{
    if (bound->kind == VALUE_NULL) {
        *out = up ? count : 0;
        return true;
    }
    if (!value_is_number(bound))
        return jq_fail(jq, "Start and end indices of an array slice must be numbers");
    double number = up ? ceil(jq_real(bound)) : floor(jq_real(bound));
    if (number < 0)
        number += (double)count;
    *out = !(number > 0) ? 0 : number >= (double)count ? count : (size_t)number;
    return true;
}

/* Byte offset of the n-th character. */
static size_t text_offset(const struct value *text, size_t characters)
{
    size_t at = 0;
    for (; at < text->string.length; at++) {
        bool starts = ((unsigned char)text->string.bytes[at] & 0xc0U) != 0x80U;
        if (starts && characters-- == 0)
            break;
    }
    return at;
}

static size_t text_length(const struct value *text)
{
    size_t count = 0;
    for (size_t i = 0; i < text->string.length; i++)
        count += ((unsigned char)text->string.bytes[i] & 0xc0U) != 0x80U;
    return count;
}

const struct value *jq_slice(struct jq *jq,
                             const struct value *object,
                             const struct value *from,
                             const struct value *to)
{
    size_t start = 0;
    size_t end = 0;
    if (object->kind == VALUE_NULL)
        return &value_null;
    if (object->kind != VALUE_LIST && object->kind != VALUE_STRING) {
        (void)jq_fail(jq, "Cannot index %s with object", jq_type(object));
        return NULL;
    }
    bool is_text = object->kind == VALUE_STRING;
    size_t count = is_text ? text_length(object) : object->list.count;
    if (!jq_slice_bound(jq, from, count, false, &start) ||
        !jq_slice_bound(jq, to, count, true, &end))
        return NULL;
    end = end < start ? start : end;
    if (!is_text && start == end)
        return &value_empty_list; // an empty list has no array to point into
    if (!is_text)
        return value_list(jq->arena, object->list.items + start, end - start);
    if (!jq_charge(jq, object->string.length / 64))
        return NULL;
    size_t a = text_offset(object, start);
    size_t b = text_offset(object, end);
    return value_string_n(jq->arena, object->string.bytes + a, b - a);
}

const struct value *jq_keys(struct jq *jq, const struct value *map, bool sorted)
{
    struct value_builder builder = value_build(jq->arena);
    for (size_t i = 0; i < map->map.count; i++)
        value_add(&builder, value_string_ref(jq->arena, map->map.members[i].key,
                                             map->map.members[i].key_length));
    const struct value *keys = value_build_list(&builder);
    return sorted ? jq_sorted(jq, keys, keys, NULL) : keys;
}
