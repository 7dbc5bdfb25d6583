/* SPDX-License-Identifier: Apache-2.0 */
/* Values along paths: reading, setting, deleting. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "core/jq/jq_internal.h"

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
    double number = floor(jq_real(key));
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
    if (!jq_slice_bound(jq, from, count, false, &start) ||
        !jq_slice_bound(jq, to, count, true, &end))
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
    if (step > JQ_DEPTH_MAX) {
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
    return jq_cannot_index(jq, value, key);
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
        if (!jq_index_in(key, value->list.count, &start))
            return value;
        return delete_elements(jq, value, start, start + 1);
    }
    if (value->kind == VALUE_LIST && key->kind == VALUE_MAP) {
        const struct value *from = jq_index(jq, key, value_string(jq->arena, "start"));
        const struct value *to = jq_index(jq, key, value_string(jq->arena, "end"));
        if (!jq_slice_bound(jq, from, value->list.count, false, &start) ||
            !jq_slice_bound(jq, to, value->list.count, true, &end))
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
    if (step > JQ_DEPTH_MAX) {
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
