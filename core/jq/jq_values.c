/* SPDX-License-Identifier: Apache-2.0 */
/* What jq does with values: order, arithmetic, access, paths, texts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/str.h"
#include "base/url.h"
#include "core/jq/jq_internal.h"

/* Doubles up to here hold every integer. */
#define EXACT_MAX 9007199254740992.0
#define DEPTH_MAX 1000U

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

const struct value *jq_number(struct jq *jq, double number)
{
    if (number == floor(number) && fabs(number) <= EXACT_MAX)
        return value_int(jq->arena, (int64_t)number);
    return value_double(jq->arena, number);
}

static double real(const struct value *number)
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
    double x = real(a);
    double y = real(b);
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
    if (depth > DEPTH_MAX)
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
    if (depth > DEPTH_MAX) {
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
        if (value_is_map(old) && value_is_map(new))
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
        return jq_number(jq, real(a) + real(b));
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
        return jq_number(jq, real(a) - real(b));
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
        return jq_number(jq, real(a) * real(b));
    if (a->kind == VALUE_STRING && value_is_number(b))
        return repeat(jq, a, real(b));
    if (value_is_number(a) && b->kind == VALUE_STRING)
        return repeat(jq, b, real(a));
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
    if (real(b) == 0)
        return no_operation(jq, a, b, "divided because the divisor is zero");
    if (a->kind == VALUE_INT && b->kind == VALUE_INT && b->integer != -1 &&
        a->integer % b->integer == 0)
        return value_int(jq->arena, a->integer / b->integer);
    return jq_number(jq, real(a) / real(b));
}

/* The whole part of a number, as far as 64 bits go. */
static int64_t whole(const struct value *number)
{
    double value = real(number);
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

static const struct value *cannot_index(struct jq *jq,
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
static bool index_in(const struct value *key, size_t count, size_t *index)
{
    double number = floor(real(key));
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
        return index_in(key, object->list.count, &index) ? object->list.items[index] : &value_null;
    if (object->kind == VALUE_LIST && key->kind == VALUE_LIST)
        return list_indexes(jq, object, key);
    if ((object->kind == VALUE_NULL || object->kind == VALUE_LIST) && key->kind == VALUE_MAP)
        return jq_slice(jq, object, jq_index(jq, key, value_string(jq->arena, "start")),
                        jq_index(jq, key, value_string(jq->arena, "end")));
    if (object->kind == VALUE_NULL &&
        (key->kind == VALUE_STRING || value_is_number(key) || key->kind == VALUE_NULL))
        return &value_null;
    return cannot_index(jq, object, key);
}

/* A bound of a slice within 0 … count. */
static bool slice_bound(
    struct jq *jq, const struct value *bound, size_t count, bool up, size_t *out)
{
    if (bound->kind == VALUE_NULL) {
        *out = up ? count : 0;
        return true;
    }
    if (!value_is_number(bound))
        return jq_fail(jq, "Start and end indices of an array slice must be numbers");
    double number = up ? ceil(real(bound)) : floor(real(bound));
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
    if (!slice_bound(jq, from, count, false, &start) || !slice_bound(jq, to, count, true, &end))
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

/* ---- paths ---- */

const struct value *jq_get_path(struct jq *jq, const struct value *value, const struct value *path)
{
    for (size_t i = 0; i < path->list.count && value != NULL; i++) {
        if (value->kind == VALUE_NULL)
            return &value_null;
        value = jq_index(jq, value, path->list.items[i]);
    }
    return value;
}

static const struct value *set_member(struct jq *jq,
                                      const struct value *map,
                                      const struct value *key,
                                      const struct value *new)
{
    struct value_builder builder = value_build(jq->arena);
    if (!jq_charge(jq, value_count(map) / 4 + 1))
        return NULL;
    for (size_t i = 0; map->kind == VALUE_MAP && i < map->map.count; i++)
        value_put_n(&builder, map->map.members[i].key, map->map.members[i].key_length,
                    map->map.members[i].value);
    value_put_n(&builder, key->string.bytes, key->string.length, new);
    return value_build_map(&builder);
}

static const struct value *set_element(struct jq *jq,
                                       const struct value *list,
                                       const struct value *key,
                                       const struct value *new)
{
    size_t count = value_count(list);
    double number = floor(real(key));
    if (number < 0)
        number += (double)count;
    if (!(number >= 0) || number > JQ_INDEX_MAX) {
        (void)jq_fail(jq, number < 0 ? "Out of bounds negative array index"
                                     : "Array index is too large");
        return NULL;
    }
    size_t index = (size_t)number;
    size_t size = index >= count ? index + 1 : count;
    if (!jq_charge(jq, size / 4 + 1))
        return NULL;
    const struct value **items = ARENA_ARRAY(jq->arena, size, const struct value *);
    for (size_t i = 0; i < size; i++)
        items[i] = i < count ? list->list.items[i] : &value_null;
    items[index] = new;
    return value_list(jq->arena, items, size);
}

/* Replaces a slice, given by {start, end}, by the elements of a list. */
static const struct value *set_slice(struct jq *jq,
                                     const struct value *list,
                                     const struct value *key,
                                     const struct value *new)
{
    size_t count = value_count(list);
    size_t start = 0;
    size_t end = 0;
    const struct value *from = jq_index(jq, key, value_string(jq->arena, "start"));
    const struct value *to = jq_index(jq, key, value_string(jq->arena, "end"));
    if (new->kind != VALUE_LIST) {
        (void)jq_fail(jq, "A slice of an array can only be assigned another array");
        return NULL;
    }
    if (!slice_bound(jq, from, count, false, &start) || !slice_bound(jq, to, count, true, &end))
        return NULL;
    end = end < start ? start : end;
    struct value_builder builder = value_build(jq->arena);
    for (size_t i = 0; i < start; i++)
        value_add(&builder, list->list.items[i]);
    for (size_t i = 0; i < new->list.count; i++)
        value_add(&builder, new->list.items[i]);
    for (size_t i = end; i < count; i++)
        value_add(&builder, list->list.items[i]);
    return jq_charge(jq, builder.items_count / 4) ? value_build_list(&builder) : NULL;
}

static const struct value *set_at(struct jq *jq,
                                  const struct value *value,
                                  const struct value *path,
                                  size_t step,
                                  const struct value *new)
{
    if (step == path->list.count)
        return new;
    if (step > DEPTH_MAX) {
        (void)jq_fail(jq, "the path is too long");
        return NULL;
    }
    const struct value *key = path->list.items[step];
    const struct value *old = jq_index(jq, value, key);
    const struct value *inner = old == NULL ? NULL : set_at(jq, old, path, step + 1, new);
    if (inner == NULL)
        return NULL;
    bool is_null = value->kind == VALUE_NULL;
    if (key->kind == VALUE_STRING && (is_null || value->kind == VALUE_MAP))
        return set_member(jq, value, key, inner);
    if (value_is_number(key) && (is_null || value->kind == VALUE_LIST))
        return set_element(jq, value, key, inner);
    if (key->kind == VALUE_MAP && (is_null || value->kind == VALUE_LIST))
        return set_slice(jq, value, key, inner);
    return cannot_index(jq, value, key);
}

const struct value *jq_set_path(struct jq *jq,
                                const struct value *value,
                                const struct value *path,
                                const struct value *new)
{
    return set_at(jq, value, path, 0, new);
}

static const struct value *delete_member(struct jq *jq,
                                         const struct value *map,
                                         const struct value *key)
{
    struct value_builder builder = value_build(jq->arena);
    for (size_t i = 0; i < map->map.count; i++) {
        const struct value_member *m = &map->map.members[i];
        if (m->key_length != key->string.length ||
            memcmp(m->key, key->string.bytes, m->key_length) != 0)
            value_put_n(&builder, m->key, m->key_length, m->value);
    }
    return jq_charge(jq, map->map.count / 4 + 1) ? value_build_map(&builder) : NULL;
}

static const struct value *delete_elements(struct jq *jq,
                                           const struct value *list,
                                           size_t start,
                                           size_t end)
{
    struct value_builder builder = value_build(jq->arena);
    for (size_t i = 0; i < list->list.count; i++) {
        if (i < start || i >= end)
            value_add(&builder, list->list.items[i]);
    }
    return jq_charge(jq, list->list.count / 4 + 1) ? value_build_list(&builder) : NULL;
}

static const struct value *delete_key(struct jq *jq,
                                      const struct value *value,
                                      const struct value *key)
{
    size_t start = 0;
    size_t end = 0;
    if (value->kind == VALUE_NULL)
        return value;
    if (value->kind == VALUE_MAP && key->kind == VALUE_STRING)
        return delete_member(jq, value, key);
    if (value->kind == VALUE_LIST && value_is_number(key)) {
        if (!index_in(key, value->list.count, &start))
            return value;
        return delete_elements(jq, value, start, start + 1);
    }
    if (value->kind == VALUE_LIST && key->kind == VALUE_MAP) {
        const struct value *from = jq_index(jq, key, value_string(jq->arena, "start"));
        const struct value *to = jq_index(jq, key, value_string(jq->arena, "end"));
        if (!slice_bound(jq, from, value->list.count, false, &start) ||
            !slice_bound(jq, to, value->list.count, true, &end))
            return NULL;
        return delete_elements(jq, value, start, end);
    }
    (void)jq_fail(jq, "Cannot delete field at %s index of %s",
                  value_is_number(key) ? "array" : "object", jq_type(value));
    return NULL;
}

static const struct value *delete_at(struct jq *jq,
                                     const struct value *value,
                                     const struct value *path,
                                     size_t step)
{
    if (value->kind == VALUE_NULL || path->list.count == 0)
        return &value_null;
    if (step > DEPTH_MAX) {
        (void)jq_fail(jq, "the path is too long");
        return NULL;
    }
    const struct value *key = path->list.items[step];
    if (step + 1 == path->list.count)
        return delete_key(jq, value, key);
    const struct value *old = jq_index(jq, value, key);
    if (old == NULL || old->kind == VALUE_NULL)
        return old == NULL ? NULL : value;
    const struct value *inner = delete_at(jq, old, path, step + 1);
    if (inner == NULL)
        return NULL;
    const struct value *one = value_list(jq->arena, &key, 1);
    return jq_set_path(jq, value, one, inner);
}

const struct value *jq_delete_paths(struct jq *jq,
                                    const struct value *value,
                                    const struct value *paths)
{
    const struct value *sorted = jq_sorted(jq, paths, paths, NULL);
    // The last ones first, so that the others keep their indexes.
    for (size_t i = sorted == NULL ? 0 : sorted->list.count; i-- > 0 && value != NULL;) {
        if (sorted->list.items[i]->kind != VALUE_LIST) {
            (void)jq_fail(jq, "Path must be specified as an array");
            return NULL;
        }
        value = delete_at(jq, value, sorted->list.items[i], 0);
    }
    return sorted == NULL ? NULL : value;
}

/* ---- texts ---- */

const struct value *jq_text_of(struct jq *jq, struct buf *buf)
{
    const struct value *text = NULL;
    if (buf->length > JQ_TEXT_MAX)
        (void)jq_fail(jq, "a text is too long");
    else if (jq_charge(jq, buf->length / 256))
        text = value_string_n(jq->arena, buf_text(buf), buf->length);
    buf_free(buf);
    return text;
}

const struct value *jq_to_json(struct jq *jq, const struct value *value)
{
    struct buf buf = { 0 };
    if (value->kind == VALUE_DOUBLE && isnan(value->number))
        return value_string(jq->arena, "null");
    if (value->kind == VALUE_DOUBLE && isinf(value->number))
        return value_string(jq->arena, value->number > 0 ? "1.7976931348623157e+308"
                                                         : "-1.7976931348623157e+308");
    if (!jq_measure(jq, value))
        return NULL;
    (void)value_write_limited(&buf, value, FORM_JSON_FULL, JQ_TEXT_MAX);
    return jq_text_of(jq, &buf);
}

const struct value *jq_to_text(struct jq *jq, const struct value *value)
{
    return value->kind == VALUE_STRING ? value : jq_to_json(jq, value);
}

/* Replaces characters by the text of the same index. */
static const struct value *escaped(struct jq *jq,
                                   const struct value *value,
                                   const char *characters,
                                   const char *const *texts)
{
    struct buf buf = { 0 };
    const struct value *text = jq_to_text(jq, value);
    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < text->string.length && buf.length <= JQ_TEXT_MAX; i++) {
        char c = text->string.bytes[i];
        const char *found = c == '\0' ? NULL : strchr(characters, c);
        if (found == NULL)
            buf_putc(&buf, c);
        else
            buf_puts(&buf, texts[found - characters]);
    }
    return jq_text_of(jq, &buf);
}

/* One row of @csv and @tsv. */
static const struct value *row(struct jq *jq, const struct value *value, bool csv)
{
    static const char *const quotes[] = { "\"\"" };
    static const char *const tabs[] = { "\\t", "\\n", "\\r", "\\\\" };
    struct buf buf = { 0 };
    if (value->kind != VALUE_LIST) {
        (void)jq_fail(jq, "%s cannot be %s-formatted, only an array can be", jq_type(value),
                      csv ? "csv" : "tsv");
        return NULL;
    }
    for (size_t i = 0; i < value->list.count && buf.length <= JQ_TEXT_MAX; i++) {
        const struct value *item = value->list.items[i];
        bool is_text = item->kind == VALUE_STRING;
        const struct value *text = &value_empty_string;
        if (item->kind == VALUE_LIST || item->kind == VALUE_MAP) {
            buf_free(&buf);
            (void)jq_fail(jq, "%s is not valid in a %s row", jq_type(item), csv ? "csv" : "tsv");
            return NULL;
        }
        if (is_text)
            text = csv ? escaped(jq, item, "\"", quotes) : escaped(jq, item, "\t\n\r\\", tabs);
        else if (item->kind != VALUE_NULL)
            text = jq_to_json(jq, item);
        if (text == NULL) {
            buf_free(&buf);
            return NULL;
        }
        buf_puts(&buf, i == 0 ? "" : csv ? "," : "\t");
        buf_puts(&buf, csv && is_text ? "\"" : "");
        buf_add(&buf, text->string.bytes, text->string.length);
        buf_puts(&buf, csv && is_text ? "\"" : "");
    }
    return jq_text_of(jq, &buf);
}

/* Shell words: strings quoted, a list as several words. */
static const struct value *shell(struct jq *jq, const struct value *value)
{
    static const char *const quotes[] = { "'\\''" };
    struct buf buf = { 0 };
    const struct value *list = value->kind == VALUE_LIST ? value : value_list(jq->arena, &value, 1);
    for (size_t i = 0; i < list->list.count && buf.length <= JQ_TEXT_MAX; i++) {
        const struct value *item = list->list.items[i];
        bool is_text = item->kind == VALUE_STRING;
        const struct value *text = NULL;
        if (item->kind == VALUE_LIST || item->kind == VALUE_MAP)
            (void)jq_fail(jq, "%s can not be escaped for shell", jq_type(item));
        else
            text = is_text ? escaped(jq, item, "'", quotes) : jq_to_json(jq, item);
        if (text == NULL) {
            buf_free(&buf);
            return NULL;
        }
        buf_puts(&buf, i == 0 ? "" : " ");
        buf_puts(&buf, is_text ? "'" : "");
        buf_add(&buf, text->string.bytes, text->string.length);
        buf_puts(&buf, is_text ? "'" : "");
    }
    return jq_text_of(jq, &buf);
}

static const struct value *uri(struct jq *jq, const struct value *value)
{
    struct buf buf = { 0 };
    const struct value *text = jq_to_text(jq, value);
    if (text == NULL)
        return NULL;
    url_encode(&buf, text->string.bytes, text->string.length, "");
    return jq_text_of(jq, &buf);
}

static const struct value *base64(struct jq *jq, const struct value *value)
{
    struct buf buf = { 0 };
    const struct value *text = jq_to_text(jq, value);
    if (text == NULL)
        return NULL;
    base64_encode(&buf, BASE64_STD, text->string.bytes, text->string.length);
    return jq_text_of(jq, &buf);
}

static const struct value *base64_decoded(struct jq *jq, const struct value *value)
{
    struct buf bytes = { 0 };
    struct buf buf = { 0 };
    const struct value *text = jq_to_text(jq, value);
    if (text == NULL)
        return NULL;
    if (!base64_decode(&bytes, text->string.bytes, text->string.length)) {
        (void)jq_fail(jq, "string (%.60s) is not valid base64 data", text->string.bytes);
        return NULL;
    }
    const char *at = buf_text(&bytes);
    const char *end = at + bytes.length;
    while (at < end)
        buf_put_utf8(&buf, utf8_next(&at, end));
    buf_free(&bytes);
    return jq_text_of(jq, &buf);
}

const struct value *jq_format(struct jq *jq, const char *name, const struct value *value)
{
    static const char *const html[] = { "&lt;", "&gt;", "&amp;", "&#39;", "&quot;" };
    if (strcmp(name, "text") == 0)
        return jq_to_text(jq, value);
    if (strcmp(name, "json") == 0)
        return jq_to_json(jq, value);
    if (strcmp(name, "csv") == 0 || strcmp(name, "tsv") == 0)
        return row(jq, value, strcmp(name, "csv") == 0);
    if (strcmp(name, "html") == 0)
        return escaped(jq, value, "<>&'\"", html);
    if (strcmp(name, "uri") == 0)
        return uri(jq, value);
    if (strcmp(name, "sh") == 0)
        return shell(jq, value);
    if (strcmp(name, "base64") == 0)
        return base64(jq, value);
    if (strcmp(name, "base64d") == 0)
        return base64_decoded(jq, value);
    (void)jq_fail(jq, "%s is not a valid format", name);
    return NULL;
}
