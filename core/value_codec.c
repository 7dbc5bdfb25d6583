/* SPDX-License-Identifier: Apache-2.0 */
#include "core/value_codec.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/pack.h"
#include "core/value.h"

/*
 * A value is a tag and what follows it. Tags are written to disk: never renumber, only add.
 *
 * Small integers, short strings and small maps are most of what there is: they cost one byte of
 * overhead.
 */
enum tag {
    TAG_NULL = 0,
    TAG_FALSE = 1,
    TAG_TRUE = 2,
    TAG_INT = 3,   /* zigzag */
    TAG_INT32 = 4, /* zigzag, is_int32 */
    TAG_FLOAT32 = 5,
    TAG_DOUBLE = 6,
    TAG_DECIMAL = 7,
    TAG_BIGINT = 8,
    TAG_STRING = 9,
    TAG_LIST = 10, /* count, items */
    TAG_MAP = 11,  /* count, (key, value)… */
    TAG_INSTANT = 12,
    TAG_ZONED = 13,
    TAG_LOCAL_DATETIME = 14,
    TAG_LOCAL_DATE = 15,
    TAG_LOCAL_TIME = 16,
    TAG_DURATION = 17,
    TAG_URI = 18,
    TAG_ENTRY = 19, /* key, value */
    TAG_BYTES = 20,
};

static const struct {
    enum value_kind kind;
    enum tag tag;
} plain_tags[] = {
    { VALUE_FLOAT32, TAG_FLOAT32 },       { VALUE_DOUBLE, TAG_DOUBLE },
    { VALUE_DECIMAL, TAG_DECIMAL },       { VALUE_BIGINT, TAG_BIGINT },
    { VALUE_STRING, TAG_STRING },         { VALUE_INSTANT, TAG_INSTANT },
    { VALUE_ZONED, TAG_ZONED },           { VALUE_LOCAL_DATETIME, TAG_LOCAL_DATETIME },
    { VALUE_LOCAL_DATE, TAG_LOCAL_DATE }, { VALUE_LOCAL_TIME, TAG_LOCAL_TIME },
    { VALUE_DURATION, TAG_DURATION },     { VALUE_URI, TAG_URI },
    { VALUE_BYTES, TAG_BYTES },
};

static enum tag tag_of(enum value_kind kind)
{
    for (size_t i = 0; i < COUNT_OF(plain_tags); i++) {
        if (plain_tags[i].kind == kind)
            return plain_tags[i].tag;
    }
    check_failed(__FILE__, __LINE__, "a kind without tag");
}

static bool can_encode(const struct value *value, struct arena *scratch, unsigned depth)
{
    if (value == NULL)
        return true;
    if (value->kind == VALUE_LAZY)
        value = value_force(scratch, value);
    if (value->kind != VALUE_LIST && value->kind != VALUE_MAP && value->kind != VALUE_ENTRY)
        return true;
    if (depth >= VALUE_CODEC_DEPTH_MAX)
        return false;
    if (value->kind == VALUE_ENTRY)
        return can_encode(value->entry.value, scratch, depth + 1);
    if (value->kind == VALUE_LIST) {
        for (size_t i = 0; i < value->list.count; i++) {
            if (!can_encode(value->list.items[i], scratch, depth + 1))
                return false;
        }
        return true;
    }
    for (uint32_t i = 0; i < value->map.count; i++) {
        if (!can_encode(value->map.members[i].value, scratch, depth + 1))
            return false;
    }
    return true;
}

bool value_can_encode(const struct value *value)
{
    struct arena *scratch = arena_new_sized(256);
    bool ok = can_encode(value, scratch, 0);
    arena_free(scratch);
    return ok;
}

static void encode(struct buf *out,
                   const struct value *value,
                   struct arena **scratch,
                   unsigned depth)
{
    CHECK(depth <= VALUE_CODEC_DEPTH_MAX);
    if (value != NULL && value->kind == VALUE_LAZY) {
        if (*scratch == NULL)
            *scratch = arena_new();
        value = value_force(*scratch, value);
    }
    if (value == NULL) {
        buf_putc(out, TAG_NULL);
        return;
    }
    switch ((enum value_kind)value->kind) {
    case VALUE_NULL:
    case VALUE_LAZY:
        buf_putc(out, TAG_NULL);
        return;
    case VALUE_BOOL:
        buf_putc(out, value->boolean ? TAG_TRUE : TAG_FALSE);
        return;
    case VALUE_INT:
        buf_putc(out, value->is_int32 != 0 ? TAG_INT32 : TAG_INT);
        pack_int(out, value->integer);
        return;
    case VALUE_FLOAT32:
    case VALUE_DOUBLE:
        buf_putc(out, (char)tag_of((enum value_kind)value->kind));
        pack_double(out, value->number);
        return;
    case VALUE_DECIMAL:
    case VALUE_BIGINT:
    case VALUE_STRING:
    case VALUE_URI:
    case VALUE_BYTES:
        buf_putc(out, (char)tag_of((enum value_kind)value->kind));
        pack_bytes(out, value->string.bytes, value->string.length);
        return;
    case VALUE_LIST:
        buf_putc(out, TAG_LIST);
        pack_uint(out, value->list.count);
        for (size_t i = 0; i < value->list.count; i++)
            encode(out, value->list.items[i], scratch, depth + 1);
        return;
    case VALUE_MAP:
        buf_putc(out, TAG_MAP);
        pack_uint(out, value->map.count);
        for (uint32_t i = 0; i < value->map.count; i++) {
            const struct value_member *member = &value->map.members[i];
            pack_bytes(out, member->key, member->key_length);
            encode(out, member->value, scratch, depth + 1);
        }
        return;
    case VALUE_ENTRY:
        buf_putc(out, TAG_ENTRY);
        pack_bytes(out, value->entry.key, strlen(value->entry.key));
        encode(out, value->entry.value, scratch, depth + 1);
        return;
    case VALUE_INSTANT:
    case VALUE_ZONED:
    case VALUE_LOCAL_DATETIME:
    case VALUE_LOCAL_DATE:
    case VALUE_LOCAL_TIME:
    case VALUE_DURATION:
        buf_putc(out, (char)tag_of((enum value_kind)value->kind));
        pack_int(out, value->time->at);
        pack_int(out, value->time->nanos);
        if (value->kind == VALUE_ZONED) {
            pack_int(out, value->time->offset);
            pack_text(out, value->time->zone);
        }
        return;
    }
    check_failed(__FILE__, __LINE__, "a kind without encoding");
}

void value_encode(struct buf *out, const struct value *value)
{
    struct arena *scratch = NULL;
    encode(out, value, &scratch, 0);
    arena_free(scratch);
}

static const struct value *unpack_at(struct unpack *in, struct arena *arena, unsigned depth);

static const struct value *unpack_list(struct unpack *in, struct arena *arena, unsigned depth)
{
    size_t count = unpack_count(in);
    struct value_builder list = value_build(arena);
    for (size_t i = 0; i < count && !in->bad; i++) {
        const struct value *item = unpack_at(in, arena, depth + 1);
        if (item != NULL)
            value_add(&list, item);
    }
    return value_build_list(&list);
}

static const struct value *unpack_map(struct unpack *in, struct arena *arena, unsigned depth)
{
    size_t count = unpack_count(in);
    struct value_builder map = value_build(arena);
    for (size_t i = 0; i < count && !in->bad; i++) {
        size_t length = 0;
        const char *key = unpack_bytes(in, &length);
        const struct value *item = key == NULL ? NULL : unpack_at(in, arena, depth + 1);
        if (item != NULL)
            value_put_n(&map, key, length, item);
    }
    return value_build_map(&map);
}

static const struct value *unpack_time(struct unpack *in, struct arena *arena, enum value_kind kind)
{
    struct value_time time = { .at = unpack_int(in) };
    int64_t nanos = unpack_int(in);
    int64_t offset = kind == VALUE_ZONED ? unpack_int(in) : 0;
    if (kind == VALUE_ZONED)
        time.zone = unpack_text(in, arena);
    if (nanos < 0 || nanos > 999 || offset < -86400 || offset > 86400) {
        unpack_fail(in);
        return NULL;
    }
    time.nanos = (int32_t)nanos;
    time.offset = (int32_t)offset;
    return value_time(arena, kind, time);
}

static const struct value *unpack_string(struct unpack *in,
                                         struct arena *arena,
                                         enum value_kind kind)
{
    size_t length = 0;
    const char *bytes = unpack_bytes(in, &length);
    if (bytes == NULL)
        return NULL;
    return kind == VALUE_STRING ? value_string_n(arena, bytes, length)
                                : value_text(arena, kind, bytes, length);
}

static const struct value *unpack_entry(struct unpack *in, struct arena *arena, unsigned depth)
{
    size_t length = 0;
    const char *key = unpack_bytes(in, &length);
    const struct value *item = key == NULL ? NULL : unpack_at(in, arena, depth + 1);
    return item == NULL ? NULL : value_entry(arena, arena_strndup(arena, key, length), item);
}

static const struct value *unpack_int_value(struct unpack *in, struct arena *arena, bool is_int32)
{
    int64_t integer = unpack_int(in);
    struct value *value = ARENA_NEW(arena, struct value);
    value->kind = VALUE_INT;
    value->is_int32 = is_int32 ? 1 : 0;
    value->integer = integer;
    return value;
}

static const struct value *unpack_float32(struct unpack *in, struct arena *arena)
{
    double number = unpack_double(in);
    struct value *value = ARENA_NEW(arena, struct value);
    value->kind = VALUE_FLOAT32;
    value->number = number;
    return value;
}

static const struct value *unpack_tagged(struct unpack *in, struct arena *arena, unsigned depth)
{
    switch (unpack_uint(in)) {
    case TAG_NULL:
        return &value_null;
    case TAG_FALSE:
        return &value_false;
    case TAG_TRUE:
        return &value_true;
    case TAG_INT:
        return unpack_int_value(in, arena, false);
    case TAG_INT32:
        return unpack_int_value(in, arena, true);
    case TAG_FLOAT32:
        return unpack_float32(in, arena);
    case TAG_DOUBLE:
        return value_double(arena, unpack_double(in));
    case TAG_DECIMAL:
        return unpack_string(in, arena, VALUE_DECIMAL);
    case TAG_BIGINT:
        return unpack_string(in, arena, VALUE_BIGINT);
    case TAG_STRING:
        return unpack_string(in, arena, VALUE_STRING);
    case TAG_LIST:
        return unpack_list(in, arena, depth);
    case TAG_MAP:
        return unpack_map(in, arena, depth);
    case TAG_INSTANT:
        return unpack_time(in, arena, VALUE_INSTANT);
    case TAG_ZONED:
        return unpack_time(in, arena, VALUE_ZONED);
    case TAG_LOCAL_DATETIME:
        return unpack_time(in, arena, VALUE_LOCAL_DATETIME);
    case TAG_LOCAL_DATE:
        return unpack_time(in, arena, VALUE_LOCAL_DATE);
    case TAG_LOCAL_TIME:
        return unpack_time(in, arena, VALUE_LOCAL_TIME);
    case TAG_DURATION:
        return unpack_time(in, arena, VALUE_DURATION);
    case TAG_URI:
        return unpack_string(in, arena, VALUE_URI);
    case TAG_ENTRY:
        return unpack_entry(in, arena, depth);
    case TAG_BYTES:
        return unpack_string(in, arena, VALUE_BYTES);
    default:
        unpack_fail(in);
        return NULL;
    }
}

static const struct value *unpack_at(struct unpack *in, struct arena *arena, unsigned depth)
{
    if (depth > VALUE_CODEC_DEPTH_MAX)
        unpack_fail(in);
    const struct value *value = in->bad ? NULL : unpack_tagged(in, arena, depth);
    return in->bad ? NULL : value;
}

const struct value *value_unpack(struct unpack *in, struct arena *arena)
{
    return unpack_at(in, arena, 0);
}

const struct value *value_decode(struct arena *arena,
                                 const void *bytes,
                                 size_t length,
                                 struct error *err)
{
    struct unpack in = unpack_start(bytes, length);
    const struct value *value = value_unpack(&in, arena);
    if (value == NULL || unpack_left(&in) != 0) {
        error_set(err, ERR_INTERNAL, "a stored value is damaged");
        return NULL;
    }
    return value;
}
