/* SPDX-License-Identifier: Apache-2.0 */
/* Filters over lists and maps. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/map.h"
#include "core/expr/eval.h"

static const struct value *run_length(struct call *call)
{
    size_t length = 0;
    const struct value *input = value_force(call->ev->arena, call->input);
    if (input->kind == VALUE_STRING)
        length = utf16_length(input->string.bytes, input->string.length);
    else
        length = value_count(input);
    return value_int(call->ev->arena, (int64_t)length);
}

/* Are characters below U+0021 all there is? */
static bool is_blank(const struct value *text)
{
    for (size_t i = 0; i < text->string.length; i++) {
        if ((unsigned char)text->string.bytes[i] > ' ')
            return false;
    }
    return true;
}

static const struct value *run_default(struct call *call)
{
    const struct value *fallback = call->args[0] == NULL ? &value_null : call->args[0];
    if (value_is_null(call->input))
        return fallback;
    const struct value *input = value_force(call->ev->arena, call->input);
    if (input->kind == VALUE_STRING)
        return is_blank(input) ? fallback : input;
    bool is_collection = input->kind == VALUE_LIST || input->kind == VALUE_MAP;
    return is_collection && value_count(input) == 0 ? fallback : input;
}

/* ---- elements ---- */

static const struct value *end_of(struct call *call, bool last)
{
    const struct value *input = call->input;
    if (input->kind == VALUE_LIST) {
        size_t count = input->list.count;
        return count == 0 ? &value_null : input->list.items[last ? count - 1 : 0];
    }
    if (input->kind != VALUE_STRING)
        return call_fail(call, "needs a list or a string, not %s", value_kind_name(input));
    size_t length = utf16_length(input->string.bytes, input->string.length);
    if (length == 0)
        return call_fail(call, "the text is empty");
    // A character beyond the basic plane has two units: it is taken as a whole.
    size_t from = last ? length - 1 : 0;
    const struct value *part = utf16_slice(call->ev->arena, input, from, from + 1);
    bool is_half = part->string.length == 1 && part->string.bytes[0] == '?';
    if (is_half && input->string.bytes[last ? input->string.length - 1 : 0] != '?')
        part = utf16_slice(call->ev->arena, input, last ? length - 2 : 0, last ? length : 2);
    return part;
}

static const struct value *run_first(struct call *call)
{
    return end_of(call, false);
}

static const struct value *run_last(struct call *call)
{
    return end_of(call, true);
}

static const struct value *run_slice(struct call *call)
{
    const struct value *input = call->input;
    bool is_text = input->kind == VALUE_STRING;
    int64_t from = 0;
    int64_t to = 0;
    if (!is_text && input->kind != VALUE_LIST)
        return call_fail(call, "needs a list or a string, not %s", value_kind_name(input));
    int64_t length = (int64_t)(is_text ? utf16_length(input->string.bytes, input->string.length)
                                       : input->list.count);
    if (!call_count(call, 0, 0, &from) || !call_count(call, 1, length, &to))
        return NULL;
    bool has_end = call_arg(call, 1) != NULL;
    if (from < 0 || from > length || to > length || (has_end && to <= from))
        return call_fail(call, "there is no slice from %lld to %lld of %lld elements",
                         (long long)from, (long long)to, (long long)length);
    if (is_text)
        return utf16_slice(call->ev->arena, input, (size_t)from, (size_t)to);
    if (from == to)
        return &value_empty_list; // an empty list has no array to point into
    return value_list(call->ev->arena, input->list.items + from, (size_t)(to - from));
}

static const struct value *run_reverse(struct call *call)
{
    if (!call_needs_list(call))
        return NULL;
    struct value_builder builder = value_build(call->ev->arena);
    for (size_t i = call->input->list.count; i-- > 0;)
        value_add(&builder, call->input->list.items[i]);
    return charge(call->ev, call->node, builder.items_count / 8) ? value_build_list(&builder)
                                                                 : NULL;
}

static const struct value *run_chunk(struct call *call)
{
    int64_t size = 0;
    if (!call_needs_list(call))
        return NULL;
    if (call_arg(call, 0) == NULL)
        return call_fail(call, "argument 'size' is missing");
    if (!call_count(call, 0, 0, &size))
        return NULL;
    if (size <= 0)
        return call_fail(call, "argument 'size' must be positive");
    const struct value *input = call->input;
    struct value_builder builder = value_build(call->ev->arena);
    for (size_t i = 0; i < input->list.count;) {
        size_t left = input->list.count - i;
        size_t count = (uint64_t)size < left ? (size_t)size : left;
        if (!charge(call->ev, call->node, count / 8 + 1))
            return NULL;
        value_add(&builder, value_list(call->ev->arena, input->list.items + i, count));
        i += count;
    }
    call->ev->run->built = true;
    return value_build_list(&builder);
}

static const struct value *run_flatten(struct call *call)
{
    if (!call_needs_list(call))
        return NULL;
    struct value_builder builder = value_build(call->ev->arena);
    for (size_t i = 0; i < call->input->list.count; i++) {
        const struct value *item = call->input->list.items[i];
        if (item->kind != VALUE_LIST) {
            value_add(&builder, item);
            continue;
        }
        if (!charge(call->ev, call->node, item->list.count / 8 + 1))
            return NULL;
        for (size_t j = 0; j < item->list.count; j++)
            value_add(&builder, item->list.items[j]);
    }
    call->ev->run->built = true;
    return value_build_list(&builder);
}

/*
 * A text that is the same for values that `distinct` takes as equal: the kind, and the JSON form,
 * in which integers and doubles differ.
 */
static bool write_identity(struct call *call, const struct value *value, struct buf *out)
{
    buf_clear(out);
    buf_putc(out, value->kind == VALUE_STRING ? 's' : 'v');
    return value_write_limited(out, value, FORM_JSON_FULL, EXPR_OUTPUT_MAX) &&
           charge(call->ev, call->node, out->length / 64 + 1);
}

static const struct value *run_distinct(struct call *call)
{
    if (value_is_null(call->input))
        return value_string(call->ev->arena, "null");
    if (!call_needs_list(call))
        return NULL;
    struct value_builder builder = value_build(call->ev->arena);
    struct map seen = { 0 };
    struct buf identity = { 0 };
    bool done = true;
    size_t bytes = 0;
    for (size_t i = 0; i < call->input->list.count && done; i++) {
        const struct value *item = call->input->list.items[i];
        done = write_identity(call, item, &identity);
        if (!done || map_find_bytes(&seen, identity.bytes, identity.length) != NULL)
            continue;
        (void)map_put_bytes(&seen, identity.bytes, identity.length, (void *)(uintptr_t)item);
        value_add(&builder, item);
        bytes += identity.length;
        done = text_fits(call->ev, call->node, bytes / 8, 0);
    }
    map_free(&seen);
    buf_free(&identity);
    if (done)
        return value_build_list(&builder);
    return call->ev->run->failure == EXPR_OK ? call_fail(call, "an element is too large") : NULL;
}

static const struct value *run_join(struct call *call)
{
    const struct value *separator = NULL;
    if (!call_needs_list(call) || !call_text(call, 0, &separator))
        return NULL;
    if (separator == NULL)
        separator = &value_empty_string;
    struct buf buf = { 0 };
    for (size_t i = 0; i < call->input->list.count && buf.length <= EXPR_OUTPUT_MAX; i++) {
        if (i > 0)
            buf_add(&buf, separator->string.bytes, separator->string.length);
        (void)value_write_limited(&buf, call->input->list.items[i], FORM_DISPLAY, EXPR_OUTPUT_MAX);
    }
    return text_of(call->ev, call->node, &buf);
}

/* ---- maps ---- */

static const struct value *run_keys(struct call *call)
{
    struct arena *arena = call->ev->arena;
    struct value_builder builder = value_build(arena);
    const struct value *input = value_force(arena, call->input);
    if (!charge(call->ev, call->node, value_count(input) / 8))
        return NULL;
    if (input->kind == VALUE_MAP) {
        for (size_t i = 0; i < input->map.count; i++)
            value_add(&builder, value_string_ref(arena, input->map.members[i].key,
                                                 input->map.members[i].key_length));
        return value_build_list(&builder);
    }
    if (input->kind != VALUE_LIST)
        return call_fail(call, "needs a map or a list, not %s", value_kind_name(input));
    for (size_t i = 0; i < input->list.count; i++)
        value_add(&builder, value_int(arena, (int64_t)i));
    return value_build_list(&builder);
}

static const struct value *run_values(struct call *call)
{
    struct value_builder builder = value_build(call->ev->arena);
    const struct value *input = value_force(call->ev->arena, call->input);
    if (input->kind != VALUE_MAP)
        return call_fail(call, "needs a map, not %s", value_kind_name(input));
    for (size_t i = 0; i < input->map.count; i++)
        value_add(&builder, input->map.members[i].value);
    return value_build_list(&builder);
}

static void put_members(struct value_builder *builder, const struct value *map)
{
    for (size_t i = 0; i < map->map.count; i++)
        value_put_n(builder, map->map.members[i].key, map->map.members[i].key_length,
                    map->map.members[i].value);
}

/* Elements as members of a map, each under its own display form. */
static bool put_elements(struct call *call, struct value_builder *builder, const struct value *list)
{
    for (size_t i = 0; i < list->list.count; i++) {
        const struct value *key = display(call->ev, call->node, list->list.items[i]);
        if (key == NULL || !charge(call->ev, call->node, 1))
            return false;
        value_put_n(builder, key->string.bytes, key->string.length, list->list.items[i]);
    }
    return true;
}

static const struct value *merge_map(struct call *call,
                                     const struct value *map,
                                     const struct value *items)
{
    struct value_builder builder = value_build(call->ev->arena);
    put_members(&builder, map);
    if (items->kind == VALUE_MAP)
        put_members(&builder, items);
    else if (!put_elements(call, &builder, items))
        return NULL;
    return value_build_map(&builder);
}

static const struct value *merge_list(struct call *call,
                                      const struct value *list,
                                      const struct value *items)
{
    struct arena *arena = call->ev->arena;
    struct value_builder builder = value_build(arena);
    for (size_t i = 0; i < list->list.count; i++)
        value_add(&builder, list->list.items[i]);
    if (items->kind == VALUE_LIST) {
        for (size_t i = 0; i < items->list.count; i++)
            value_add(&builder, items->list.items[i]);
        return value_build_list(&builder);
    }
    for (size_t i = 0; i < items->map.count; i++) {
        struct value_builder one = value_build(arena);
        value_put_n(&one, items->map.members[i].key, items->map.members[i].key_length,
                    items->map.members[i].value);
        value_add(&builder, value_build_map(&one));
    }
    return value_build_list(&builder);
}

static const struct value *run_merge(struct call *call)
{
    const struct value *input = value_force(call->ev->arena, call->input);
    const struct value *items = call_arg(call, 0);
    items = value_force(call->ev->arena, items);
    if (value_is_null(input) && items == NULL)
        return call_fail(call, "needs a map or a list, not null");
    if (value_is_null(input) || items == NULL)
        return items == NULL ? input : items;
    call->ev->run->built = true;
    bool fits = items->kind == VALUE_MAP || items->kind == VALUE_LIST;
    if (!charge(call->ev, call->node, (value_count(input) + value_count(items)) / 4))
        return NULL;
    if (fits && input->kind == VALUE_MAP)
        return merge_map(call, input, items);
    if (fits && input->kind == VALUE_LIST)
        return merge_list(call, input, items);
    return call_fail(call, "cannot merge %s and %s", value_kind_name(input),
                     value_kind_name(items));
}

/* ---- order ---- */

static int compare_natural(const void *left, const void *right)
{
    const struct value *a = *(const struct value *const *)left;
    const struct value *b = *(const struct value *const *)right;
    if (a->kind == VALUE_STRING)
        return compare_text(a, b);
    if (a->kind == VALUE_BOOL)
        return (int)a->boolean - (int)b->boolean;
    return compare_numbers(a, b);
}

/* May the two be compared? */
static bool is_comparable(const struct value *a, const struct value *b)
{
    if (value_is_number(a))
        return value_is_number(b);
    return a->kind == b->kind && (a->kind == VALUE_STRING || a->kind == VALUE_BOOL);
}

static void merge_sorted(const struct value **items,
                         const struct value **scratch,
                         size_t middle,
                         size_t count)
{
    size_t left = 0;
    size_t right = middle;
    for (size_t i = 0; i < count; i++) {
        bool take_left =
            left < middle && (right == count || compare_natural(&items[left], &items[right]) <= 0);
        scratch[i] = take_left ? items[left++] : items[right++];
    }
    memcpy(items, scratch, count * sizeof(*items));
}

/* Stable: equal elements keep their order. */
static void merge_sort(const struct value **items, const struct value **scratch, size_t count)
{
    if (count < 2)
        return;
    merge_sort(items, scratch, count / 2);
    merge_sort(items + count / 2, scratch, count - count / 2);
    merge_sorted(items, scratch, count / 2, count);
}

static const struct value *sorted(struct call *call, bool descending)
{
    if (!call_needs_list(call))
        return NULL;
    size_t count = call->input->list.count;
    const struct value **items = ARENA_ARRAY(call->ev->arena, count, const struct value *);
    const struct value **scratch = ARENA_ARRAY(call->ev->arena, count, const struct value *);
    for (size_t i = 0; i < count; i++) {
        items[i] = call->input->list.items[i];
        if (count > 1 && !is_comparable(items[0], items[i]))
            return call_fail(call, "cannot order %s and %s", value_kind_name(items[0]),
                             value_kind_name(items[i]));
    }
    if (!charge(call->ev, call->node, count * 4))
        return NULL;
    merge_sort(items, scratch, count);
    for (size_t i = 0; descending && i < count / 2; i++) {
        const struct value *swapped = items[i];
        items[i] = items[count - 1 - i];
        items[count - 1 - i] = swapped;
    }
    return value_list(call->ev->arena, items, count);
}

static const struct value *run_sort(struct call *call)
{
    return sorted(call, false);
}

static const struct value *run_rsort(struct call *call)
{
    return sorted(call, true);
}

static const struct builtin rows[] = {
    { "chunk", "size", run_chunk, 0, "Cuts the list into lists of at most so many elements." },
    { "default", "default", run_default, BUILTIN_TAKES_NULL | BUILTIN_TAKES_UNDEFINED,
      "Another value for what is undefined, null or empty." },
    { "distinct", "", run_distinct, BUILTIN_TAKES_NULL, "Each element once." },
    { "first", "", run_first, 0, "The first element or character." },
    { "flatten", "", run_flatten, 0, "Puts the elements of inner lists in their place." },
    { "join", "separator = ''", run_join, 0, "The elements as one text." },
    { "keys", "", run_keys, 0, "The keys of a map, the indexes of a list." },
    { "last", "", run_last, 0, "The last element or character." },
    { "length", "", run_length, BUILTIN_TAKES_NULL,
      "How many characters, elements or members there are." },
    { "merge", "items", run_merge, BUILTIN_TAKES_NULL, "Adds another list or map." },
    { "reverse", "", run_reverse, 0, "The elements from the last to the first." },
    { "rsort", "", run_rsort, 0, "The elements in descending order." },
    { "slice", "fromIndex = 0, toIndex = length", run_slice, 0,
      "A part of a text or a list; the end is not included." },
    { "sort", "", run_sort, 0, "The elements in ascending order." },
    { "values", "", run_values, 0, "The values of a map." },
};

const struct builtin_table filters_list = { NODE_FILTER, rows, COUNT_OF(rows) };
