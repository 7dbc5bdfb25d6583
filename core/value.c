/* SPDX-License-Identifier: Apache-2.0 */
#include "core/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/map.h"

/* Maps with more members than this get a hash index. */
#define SMALL_MAP 8U

const struct value value_null = { .kind = VALUE_NULL };
const struct value value_true = { .kind = VALUE_BOOL, .boolean = true };
const struct value value_false = { .kind = VALUE_BOOL, .boolean = false };
const struct value value_empty_string = { .kind = VALUE_STRING, .string = { "", 0 } };
const struct value value_empty_list = { .kind = VALUE_LIST };
const struct value value_empty_map = { .kind = VALUE_MAP };

static struct value *make(struct arena *arena, enum value_kind kind)
{
    struct value *value = ARENA_NEW(arena, struct value);
    value->kind = (uint8_t)kind;
    return value;
}

const struct value *value_bool(bool boolean)
{
    return boolean ? &value_true : &value_false;
}

const struct value *value_int(struct arena *arena, int64_t integer)
{
    struct value *value = make(arena, VALUE_INT);
    value->integer = integer;
    return value;
}

const struct value *value_double(struct arena *arena, double number)
{
    struct value *value = make(arena, VALUE_DOUBLE);
    value->number = number;
    return value;
}

const struct value *value_float32(struct arena *arena, float number)
{
    struct value *value = make(arena, VALUE_FLOAT32);
    value->number = (double)number;
    return value;
}

const struct value *value_string_ref(struct arena *arena, const char *text, size_t length)
{
    struct value *value = make(arena, VALUE_STRING);
    value->string.bytes = text;
    value->string.length = length;
    return value;
}

const struct value *value_string_n(struct arena *arena, const char *bytes, size_t length)
{
    return value_string_ref(arena, arena_strndup(arena, bytes, length), length);
}

const struct value *value_string(struct arena *arena, const char *text)
{
    return text == NULL ? &value_null : value_string_n(arena, text, strlen(text));
}

const struct value *value_text(struct arena *arena,
                               enum value_kind kind,
                               const char *bytes,
                               size_t length)
{
    struct value *value = make(arena, kind);
    value->string.bytes = arena_strndup(arena, bytes, length);
    value->string.length = length;
    return value;
}

const struct value *value_time(struct arena *arena, enum value_kind kind, struct value_time time)
{
    struct value *value = make(arena, kind);
    struct value_time *copy = ARENA_NEW(arena, struct value_time);
    *copy = time;
    copy->zone = arena_strdup(arena, time.zone);
    value->time = copy;
    return value;
}

const struct value *value_duration(struct arena *arena, usec_t span)
{
    return value_time(arena, VALUE_DURATION, (struct value_time){ .at = span });
}

const struct value *value_instant(struct arena *arena, usec_t at)
{
    return value_time(arena, VALUE_INSTANT, (struct value_time){ .at = at });
}

const struct value *value_list(struct arena *arena, const struct value *const *items, size_t count)
{
    struct value *value = make(arena, VALUE_LIST);
    value->list.items =
        count == 0 ? NULL : arena_memdup(arena, items, count * sizeof(struct value *));
    value->list.count = count;
    return value;
}

const struct value *value_entry(struct arena *arena, const char *key, const struct value *item)
{
    struct value *value = make(arena, VALUE_ENTRY);
    value->entry.key = key;
    value->entry.value = item;
    return value;
}

const struct value *value_lazy(struct arena *arena,
                               const struct value_lazy_ops *ops,
                               const void *data)
{
    struct value *value = make(arena, VALUE_LAZY);
    value->lazy.ops = ops;
    value->lazy.data = data;
    return value;
}

static const struct value *any_case_get(const void *data,
                                        struct arena *arena,
                                        const char *key,
                                        size_t length)
{
    const struct value *map = data;
    (void)arena;
    const struct value *exact = value_get_n(map, key, length);
    for (uint32_t i = 0; exact == NULL && i < map->map.count; i++) {
        const struct value_member *member = &map->map.members[i];
        if (member->key_length == length && strncasecmp(member->key, key, length) == 0)
            return member->value;
    }
    return exact;
}

static const struct value *any_case_force(const void *data, struct arena *arena)
{
    (void)arena;
    return data;
}

const struct value *value_any_case(struct arena *arena, const struct value *map)
{
    static const struct value_lazy_ops ops = { .get = any_case_get, .force = any_case_force };
    return value_is_map(map) ? value_lazy(arena, &ops, map) : map;
}

/* ---- building ---- */

struct value_builder value_build(struct arena *arena)
{
    return (struct value_builder){ .arena = arena };
}

/* Slot of the index where `key` is (index value - 1 = member) or could go. */
static uint32_t *index_slot(uint32_t *index,
                            size_t size,
                            const struct value_member *members,
                            const char *key,
                            size_t length)
{
    size_t mask = size - 1;
    for (size_t i = map_hash(key, length) & mask;; i = (i + 1) & mask) {
        if (index[i] == 0)
            return &index[i];
        const struct value_member *member = &members[index[i] - 1];
        if (member->key_length == length && memcmp(member->key, key, length) == 0)
            return &index[i];
    }
}

static struct value_member *find_linear(struct value_member *members,
                                        size_t count,
                                        const char *key,
                                        size_t length)
{
    for (size_t i = 0; i < count; i++) {
        if (members[i].key_length == length && memcmp(members[i].key, key, length) == 0)
            return &members[i];
    }
    return NULL;
}

static struct value_member *builder_find(const struct value_builder *builder,
                                         const char *key,
                                         size_t length)
{
    if (builder->index == NULL)
        return find_linear(builder->members, builder->count, key, length);
    uint32_t at = *index_slot(builder->index, builder->index_size, builder->members, key, length);
    return at == 0 ? NULL : &builder->members[at - 1];
}

static void builder_reindex(struct value_builder *builder)
{
    size_t size = 32;
    while (size < builder->capacity * 2)
        size *= 2;
    builder->index = ARENA_ARRAY(builder->arena, size, uint32_t);
    builder->index_size = size;
    for (size_t i = 0; i < builder->count; i++) {
        const struct value_member *member = &builder->members[i];
        *index_slot(builder->index, size, builder->members, member->key, member->key_length) =
            (uint32_t)(i + 1);
    }
}

static struct value_member *builder_grow(struct value_builder *builder)
{
    if (builder->count == builder->capacity) {
        size_t capacity = builder->capacity == 0 ? 4 : builder->capacity * 2;
        CHECK(capacity < UINT32_MAX);
        struct value_member *grown = ARENA_ARRAY(builder->arena, capacity, struct value_member);
        if (builder->count > 0)
            memcpy(grown, builder->members, builder->count * sizeof(struct value_member));
        builder->members = grown;
        builder->capacity = capacity;
        if (capacity > SMALL_MAP)
            builder_reindex(builder);
    }
    return &builder->members[builder->count++];
}

void value_put_at(struct value_builder *builder,
                  const char *key,
                  size_t length,
                  uint32_t line,
                  uint32_t column,
                  const struct value *value)
{
    CHECK(length < UINT32_MAX);
    struct value_member *member = builder_find(builder, key, length);
    if (member == NULL) {
        member = builder_grow(builder);
        member->key = arena_strndup(builder->arena, key, length);
        member->key_length = (uint32_t)length;
        if (builder->index != NULL)
            *index_slot(builder->index, builder->index_size, builder->members, key, length) =
                (uint32_t)builder->count;
    }
    member->line = line;
    member->column = column;
    member->value = value == NULL ? &value_null : value;
}

void value_put_n(struct value_builder *builder,
                 const char *key,
                 size_t length,
                 const struct value *value)
{
    value_put_at(builder, key, length, 0, 0, value);
}

void value_put(struct value_builder *builder, const char *key, const struct value *value)
{
    value_put_n(builder, key, strlen(key), value);
}

void value_put_text(struct value_builder *builder, const char *key, const char *text)
{
    if (text != NULL)
        value_put(builder, key, value_string(builder->arena, text));
}

void value_put_int(struct value_builder *builder, const char *key, int64_t integer)
{
    value_put(builder, key, value_int(builder->arena, integer));
}

void value_put_bool(struct value_builder *builder, const char *key, bool boolean)
{
    value_put(builder, key, value_bool(boolean));
}

bool value_build_has(const struct value_builder *builder, const char *key, size_t length)
{
    return builder_find(builder, key, length) != NULL;
}

const struct value *value_build_map(struct value_builder *builder)
{
    struct value *value = make(builder->arena, VALUE_MAP);
    value->map.members = builder->members;
    value->map.count = (uint32_t)builder->count;
    value->map.index = builder->index;
    value->map.index_mask = builder->index == NULL ? 0 : (uint32_t)(builder->index_size - 1);
    return value;
}

void value_add(struct value_builder *builder, const struct value *item)
{
    if (builder->items_count == builder->items_capacity) {
        size_t capacity = builder->items_capacity == 0 ? 4 : builder->items_capacity * 2;
        const struct value **grown = ARENA_ARRAY(builder->arena, capacity, const struct value *);
        if (builder->items_count > 0)
            memcpy(grown, builder->items, builder->items_count * sizeof(struct value *));
        builder->items = grown;
        builder->items_capacity = capacity;
    }
    builder->items[builder->items_count++] = item == NULL ? &value_null : item;
}

const struct value *value_build_list(struct value_builder *builder)
{
    struct value *value = make(builder->arena, VALUE_LIST);
    value->list.items = builder->items;
    value->list.count = builder->items_count;
    return value;
}

const struct value *value_at(struct arena *arena,
                             const struct value *value,
                             uint32_t line,
                             uint32_t column)
{
    struct value *copy = ARENA_NEW(arena, struct value);
    *copy = *value;
    copy->line = line;
    copy->column = column > UINT16_MAX ? UINT16_MAX : (uint16_t)column;
    return copy;
}

/* ---- reading ---- */

bool value_is_null(const struct value *value)
{
    return value == NULL || value->kind == VALUE_NULL;
}

bool value_is_string(const struct value *value)
{
    return value != NULL && value->kind == VALUE_STRING;
}

bool value_is_map(const struct value *value)
{
    return value != NULL && value->kind == VALUE_MAP;
}

bool value_is_list(const struct value *value)
{
    return value != NULL && value->kind == VALUE_LIST;
}

bool value_is_number(const struct value *value)
{
    return value != NULL && value->kind >= VALUE_INT && value->kind <= VALUE_BIGINT;
}

static const struct value_member *member_find(const struct value *map,
                                              const char *key,
                                              size_t length)
{
    if (map == NULL || map->kind != VALUE_MAP)
        return NULL;
    if (map->map.index == NULL)
        return find_linear((struct value_member *)(uintptr_t)map->map.members, map->map.count, key,
                           length);
    uint32_t at = *index_slot((uint32_t *)(uintptr_t)map->map.index,
                              (size_t)map->map.index_mask + 1, map->map.members, key, length);
    return at == 0 ? NULL : &map->map.members[at - 1];
}

const struct value *value_get_n(const struct value *map, const char *key, size_t length)
{
    const struct value_member *member = member_find(map, key, length);
    return member == NULL ? NULL : member->value;
}

const struct value *value_get(const struct value *map, const char *key)
{
    return value_get_n(map, key, strlen(key));
}

const struct value *value_get_in(struct arena *arena,
                                 const struct value *map,
                                 const char *key,
                                 size_t length)
{
    if (map != NULL && map->kind == VALUE_LAZY)
        return map->lazy.ops->get(map->lazy.data, arena, key, length);
    return value_get_n(map, key, length);
}

const struct value_member *value_member(const struct value *map, const char *key)
{
    return member_find(map, key, strlen(key));
}

const struct value *value_path(const struct value *map, const char *dotted)
{
    while (map != NULL) {
        const char *dot = strchr(dotted, '.');
        if (dot == NULL)
            return value_get(map, dotted);
        map = value_get_n(map, dotted, (size_t)(dot - dotted));
        dotted = dot + 1;
    }
    return NULL;
}

const char *value_cstr(const struct value *value)
{
    if (value == NULL)
        return NULL;
    switch ((enum value_kind)value->kind) {
    case VALUE_STRING:
    case VALUE_URI:
    case VALUE_DECIMAL:
    case VALUE_BIGINT:
        return value->string.bytes;
    case VALUE_NULL:
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_FLOAT32:
    case VALUE_DOUBLE:
    case VALUE_LIST:
    case VALUE_MAP:
    case VALUE_INSTANT:
    case VALUE_ZONED:
    case VALUE_LOCAL_DATETIME:
    case VALUE_LOCAL_DATE:
    case VALUE_LOCAL_TIME:
    case VALUE_DURATION:
    case VALUE_ENTRY:
    case VALUE_BYTES:
    case VALUE_LAZY:
        break;
    }
    return NULL;
}

const char *value_get_text(const struct value *map, const char *key, const char *fallback)
{
    const char *text = value_cstr(value_get(map, key));
    return text == NULL ? fallback : text;
}

int64_t value_get_int(const struct value *map, const char *key, int64_t fallback)
{
    const struct value *value = value_get(map, key);
    if (value == NULL)
        return fallback;
    if (value->kind == VALUE_INT)
        return value->integer;
    if (value->kind == VALUE_DOUBLE && value->number == floor(value->number) &&
        fabs(value->number) < 9e18)
        return (int64_t)value->number;
    return fallback;
}

bool value_get_bool(const struct value *map, const char *key, bool fallback)
{
    const struct value *value = value_get(map, key);
    if (value == NULL)
        return fallback;
    if (value->kind == VALUE_BOOL)
        return value->boolean;
    if (value->kind == VALUE_STRING && strcmp(value->string.bytes, "true") == 0)
        return true;
    if (value->kind == VALUE_STRING && strcmp(value->string.bytes, "false") == 0)
        return false;
    return fallback;
}

bool value_to_double(const struct value *value, double *out)
{
    if (!value_is_number(value))
        return false;
    if (value->kind == VALUE_INT)
        *out = (double)value->integer;
    else if (value->kind == VALUE_DECIMAL || value->kind == VALUE_BIGINT)
        *out = strtod(value->string.bytes, NULL);
    else
        *out = value->number;
    return true;
}

size_t value_count(const struct value *value)
{
    if (value_is_list(value))
        return value->list.count;
    return value_is_map(value) ? value->map.count : 0;
}

const struct value *value_item(const struct value *list, size_t i)
{
    return value_is_list(list) && i < list->list.count ? list->list.items[i] : NULL;
}

const struct value *value_force(struct arena *arena, const struct value *value)
{
    if (value != NULL && value->kind == VALUE_LAZY)
        return value->lazy.ops->force(value->lazy.data, arena);
    return value;
}

/* ---- whole values ---- */

static bool equal_lists(const struct value *a, const struct value *b)
{
    if (a->list.count != b->list.count)
        return false;
    for (size_t i = 0; i < a->list.count; i++) {
        if (!value_equal(a->list.items[i], b->list.items[i]))
            return false;
    }
    return true;
}

static bool equal_maps(const struct value *a, const struct value *b)
{
    if (a->map.count != b->map.count)
        return false;
    for (size_t i = 0; i < a->map.count; i++) {
        const struct value_member *member = &a->map.members[i];
        const struct value *other = value_get_n(b, member->key, member->key_length);
        if (other == NULL || !value_equal(member->value, other))
            return false;
    }
    return true;
}

static bool equal_numbers(const struct value *a, const struct value *b)
{
    if (a->kind == VALUE_INT && b->kind == VALUE_INT)
        return a->integer == b->integer;
    double x = 0;
    double y = 0;
    return value_to_double(a, &x) && value_to_double(b, &y) && x == y;
}

bool value_equal(const struct value *a, const struct value *b)
{
    if (a == b)
        return true;
    if (value_is_null(a) || value_is_null(b))
        return value_is_null(a) && value_is_null(b);
    if (value_is_number(a) && value_is_number(b))
        return equal_numbers(a, b);
    if (a->kind == VALUE_LAZY || b->kind == VALUE_LAZY) {
        struct arena *scratch = arena_new();
        bool equal = value_equal(value_force(scratch, a), value_force(scratch, b));
        arena_free(scratch);
        return equal;
    }
    if (a->kind != b->kind)
        return false;
    switch ((enum value_kind)a->kind) {
    case VALUE_BOOL:
        return a->boolean == b->boolean;
    case VALUE_STRING:
    case VALUE_URI:
    case VALUE_BYTES:
        return a->string.length == b->string.length &&
               memcmp(a->string.bytes, b->string.bytes, a->string.length) == 0;
    case VALUE_LIST:
        return equal_lists(a, b);
    case VALUE_MAP:
        return equal_maps(a, b);
    case VALUE_INSTANT:
    case VALUE_LOCAL_DATETIME:
    case VALUE_LOCAL_DATE:
    case VALUE_LOCAL_TIME:
    case VALUE_DURATION:
    case VALUE_ZONED:
        return a->time->at == b->time->at && a->time->nanos == b->time->nanos &&
               a->time->offset == b->time->offset;
    case VALUE_ENTRY:
        return strcmp(a->entry.key, b->entry.key) == 0 &&
               value_equal(a->entry.value, b->entry.value);
    case VALUE_NULL:
    case VALUE_INT:
    case VALUE_FLOAT32:
    case VALUE_DOUBLE:
    case VALUE_DECIMAL:
    case VALUE_BIGINT:
    case VALUE_LAZY:
        break; // handled above
    }
    return false;
}

static const struct value *copy_map(struct arena *arena, const struct value *value)
{
    struct value_builder builder = value_build(arena);
    for (size_t i = 0; i < value->map.count; i++) {
        const struct value_member *member = &value->map.members[i];
        value_put_at(&builder, member->key, member->key_length, member->line, member->column,
                     value_copy(arena, member->value));
    }
    return value_build_map(&builder);
}

static const struct value *copy_list(struct arena *arena, const struct value *value)
{
    struct value *copy = make(arena, VALUE_LIST);
    const struct value **items = ARENA_ARRAY(arena, value->list.count, const struct value *);
    for (size_t i = 0; i < value->list.count; i++)
        items[i] = value_copy(arena, value->list.items[i]);
    copy->list.items = items;
    copy->list.count = value->list.count;
    return copy;
}

static const struct value *copy_unplaced(struct arena *arena, const struct value *value)
{
    struct value *copy;
    switch ((enum value_kind)value->kind) {
    case VALUE_NULL:
        return &value_null;
    case VALUE_BOOL:
        return value_bool(value->boolean);
    case VALUE_INT:
    case VALUE_FLOAT32:
    case VALUE_DOUBLE:
        copy = ARENA_NEW(arena, struct value);
        *copy = *value;
        copy->literal = arena_strdup(arena, value->literal);
        return copy;
    case VALUE_STRING:
    case VALUE_URI:
    case VALUE_BYTES:
    case VALUE_DECIMAL:
    case VALUE_BIGINT:
        return value_text(arena, (enum value_kind)value->kind, value->string.bytes,
                          value->string.length);
    case VALUE_LIST:
        return copy_list(arena, value);
    case VALUE_MAP:
        return copy_map(arena, value);
    case VALUE_INSTANT:
    case VALUE_ZONED:
    case VALUE_LOCAL_DATETIME:
    case VALUE_LOCAL_DATE:
    case VALUE_LOCAL_TIME:
    case VALUE_DURATION:
        return value_time(arena, (enum value_kind)value->kind, *value->time);
    case VALUE_ENTRY:
        return value_entry(arena, arena_strdup(arena, value->entry.key),
                           value_copy(arena, value->entry.value));
    case VALUE_LAZY:
        return value_copy(arena, value_force(arena, value));
    }
    return &value_null;
}

const struct value *value_copy(struct arena *arena, const struct value *value)
{
    if (value == NULL)
        return NULL;
    const struct value *copy = copy_unplaced(arena, value);
    return value->line == 0 ? copy : value_at(arena, copy, value->line, value->column);
}

static bool list_has(const struct value_builder *builder, const struct value *item)
{
    for (size_t i = 0; i < builder->items_count; i++) {
        if (value_equal(builder->items[i], item))
            return true;
    }
    return false;
}

/* Up to here comparing each with each is faster than making keys. */
#define FEW_ITEMS 32U

static const struct value *union_of(struct arena *arena,
                                    const struct value *base,
                                    const struct value *over)
{
    struct value_builder builder = value_build(arena);
    struct map seen = { 0 };
    struct buf key = { 0 };
    bool is_few = base->list.count + over->list.count <= FEW_ITEMS;
    const struct value *const both[] = { base, over };
    for (size_t k = 0; k < COUNT_OF(both); k++) {
        for (size_t i = 0; i < both[k]->list.count; i++) {
            const struct value *item = both[k]->list.items[i];
            if (!is_few) {
                buf_clear(&key);
                value_write_json_full(&key, item);
            }
            bool is_known = is_few ? list_has(&builder, item)
                                   : map_put_bytes(&seen, key.bytes, key.length, arena) != NULL;
            if (!is_known)
                value_add(&builder, item);
        }
    }
    buf_free(&key);
    map_free(&seen);
    return value_build_list(&builder);
}

const struct value *value_merge(struct arena *arena,
                                const struct value *base,
                                const struct value *over,
                                bool union_lists)
{
    if (over == NULL)
        return base;
    if (union_lists && value_is_list(base) && value_is_list(over))
        return union_of(arena, base, over);
    if (!value_is_map(base) || !value_is_map(over))
        return over;
    struct value_builder builder = value_build(arena);
    for (size_t i = 0; i < base->map.count; i++) {
        const struct value_member *m = &base->map.members[i];
        value_put_at(&builder, m->key, m->key_length, m->line, m->column, m->value);
    }
    for (size_t i = 0; i < over->map.count; i++) {
        const struct value_member *m = &over->map.members[i];
        const struct value *old = value_get_n(base, m->key, m->key_length);
        value_put_at(&builder, m->key, m->key_length, m->line, m->column,
                     value_merge(arena, old, m->value, union_lists));
    }
    return value_at(arena, value_build_map(&builder), over->line, over->column);
}

const struct value *value_with(struct arena *arena,
                               const struct value *map,
                               const char *key,
                               const struct value *value)
{
    struct value_builder builder = value_build(arena);
    for (size_t i = 0; value_is_map(map) && i < map->map.count; i++) {
        const struct value_member *m = &map->map.members[i];
        value_put_at(&builder, m->key, m->key_length, m->line, m->column, m->value);
    }
    value_put(&builder, key, value);
    return value_build_map(&builder);
}

const char *value_kind_name(const struct value *value)
{
    static const char *const kind_names[] = {
        [VALUE_NULL] = "null",
        [VALUE_BOOL] = "a boolean",
        [VALUE_INT] = "an integer",
        [VALUE_FLOAT32] = "a number",
        [VALUE_DOUBLE] = "a number",
        [VALUE_DECIMAL] = "a number",
        [VALUE_BIGINT] = "an integer",
        [VALUE_STRING] = "a string",
        [VALUE_LIST] = "a list",
        [VALUE_MAP] = "a map",
        [VALUE_INSTANT] = "an instant",
        [VALUE_ZONED] = "a date-time",
        [VALUE_LOCAL_DATETIME] = "a local date-time",
        [VALUE_LOCAL_DATE] = "a date",
        [VALUE_LOCAL_TIME] = "a time",
        [VALUE_DURATION] = "a duration",
        [VALUE_URI] = "a URI",
        [VALUE_ENTRY] = "a map entry",
        [VALUE_BYTES] = "bytes",
        [VALUE_LAZY] = "a map",
    };
    return value == NULL ? "nothing" : kind_names[value->kind];
}
