/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Immutable values: what YAML, JSON, inputs, outputs and expressions are made of.
 *
 * Values are owned by an arena and never change once visible to a second function; sharing inside
 * one arena, or with a longer-lived one, is free. Strings carry a length and are NUL-terminated;
 * they are UTF-8 and may hold NUL bytes. Maps keep insertion order and have unique string keys.
 *
 * Values parsed from a text carry the line and column where they start (1-based, 0 = unknown).
 */
#ifndef CORE_VALUE_H
#define CORE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct arena;
struct buf;
struct value;

enum value_kind {
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_INT,     /* 64-bit signed */
    VALUE_FLOAT32, /* a double that was rounded to float; prints as float */
    VALUE_DOUBLE,
    VALUE_DECIMAL, /* arbitrary precision: plain digits, or with a negative scale `12E+5` */
    VALUE_BIGINT,  /* integer beyond 64 bits, kept as decimal text */
    VALUE_STRING,
    VALUE_LIST,
    VALUE_MAP,
    VALUE_INSTANT,        /* time.at, nanos below the microsecond in time.nanos */
    VALUE_ZONED,          /* instant with offset and optional zone name */
    VALUE_LOCAL_DATETIME, /* as if UTC */
    VALUE_LOCAL_DATE,     /* midnight UTC of that date */
    VALUE_LOCAL_TIME,     /* span since midnight */
    VALUE_DURATION,       /* span */
    VALUE_URI,            /* string fields */
    VALUE_ENTRY,          /* loop variable over a map: string key, one item */
    VALUE_BYTES,          /* string fields; base64 in JSON */
    VALUE_LAZY,           /* a map computed on demand, see struct value_lazy_ops */
};

struct value_member {
    const char *key;
    uint32_t key_length;
    uint32_t line; /* of the key */
    uint32_t column;
    const struct value *value;
};

/*
 * A map whose members are looked up when asked for; how `outputs` of a big execution is offered to
 * expressions at a cost that does not grow with the execution.
 */
struct value_lazy_ops {
    /* NULL when there is no such member. */
    const struct value *(*get)(const void *data,
                               struct arena *arena,
                               const char *key,
                               size_t length);
    /* The whole map (VALUE_MAP), for printing, iteration, comparison. */
    const struct value *(*force)(const void *data, struct arena *arena);
};

struct value_time {
    usec_t at;        /* see the kinds */
    int32_t nanos;    /* 0–999 below the microsecond */
    int32_t offset;   /* seconds east of UTC, VALUE_ZONED only */
    const char *zone; /* IANA name or NULL, VALUE_ZONED only */
};

struct value {
    uint8_t kind; /* enum value_kind */
    /* An int that came from JSON, YAML or a context and fits 32 bits; only `className` looks. */
    uint8_t is_int32;
    uint16_t column;
    uint32_t line;
    union {
        struct {
            union {
                bool boolean;
                int64_t integer;
                double number;
            };
            /* As it was written in YAML, when that differs from the printed form ("1.10"): what a
             * text property receives. NULL otherwise. */
            const char *literal;
        };
        struct {
            const char *bytes;
            size_t length;
        } string;
        struct {
            const struct value *const *items;
            size_t count;
        } list;
        struct {
            const struct value_member *members;
            const uint32_t *index; /* open-addressing hash of members, NULL for small maps */
            uint32_t count;
            uint32_t index_mask;
        } map;
        struct {
            const char *key;
            const struct value *value;
        } entry;
        const struct value_time *time;
        struct {
            const struct value_lazy_ops *ops;
            const void *data;
        } lazy;
    };
};

/* Shared constants. */
extern const struct value value_null;
extern const struct value value_true;
extern const struct value value_false;
extern const struct value value_empty_string;
extern const struct value value_empty_list;
extern const struct value value_empty_map;

const struct value *value_bool(bool boolean);
const struct value *value_int(struct arena *arena, int64_t integer);
const struct value *value_double(struct arena *arena, double number);
const struct value *value_float32(struct arena *arena, float number);
/* Copies the text. NULL gives value_null. */
const struct value *value_string(struct arena *arena, const char *text);
const struct value *value_string_n(struct arena *arena, const char *bytes, size_t length);
/* Borrows the text, which must live as long as the arena. */
const struct value *value_string_ref(struct arena *arena, const char *text, size_t length);
/* kind is VALUE_DECIMAL, VALUE_BIGINT, VALUE_URI or VALUE_BYTES; copies. */
const struct value *value_text(struct arena *arena,
                               enum value_kind kind,
                               const char *bytes,
                               size_t length);
/* kind is one of the time kinds; zone is copied. */
const struct value *value_time(struct arena *arena, enum value_kind kind, struct value_time time);
const struct value *value_duration(struct arena *arena, usec_t span);
const struct value *value_instant(struct arena *arena, usec_t at);
/* Copies the array of pointers. */
const struct value *value_list(struct arena *arena, const struct value *const *items, size_t count);
const struct value *value_entry(struct arena *arena, const char *key, const struct value *value);
const struct value *value_lazy(struct arena *arena,
                               const struct value_lazy_ops *ops,
                               const void *data);

/* A map whose members are found in any letter case, as names of HTTP headers; borrows it. */
const struct value *value_any_case(struct arena *arena, const struct value *map);

/* ---- building ---- */

/*
 * Collects members or items, then gives a value; may be used once. Everything is arena memory.
 * A key given twice keeps its first position and takes the last value.
 */
struct value_builder {
    struct arena *arena;
    struct value_member *members;
    const struct value **items;
    uint32_t *index;
    size_t count;
    size_t capacity;
    size_t index_size;
    size_t items_count;
    size_t items_capacity;
};

struct value_builder value_build(struct arena *arena);
void value_put(struct value_builder *builder, const char *key, const struct value *value);
void value_put_n(struct value_builder *builder,
                 const char *key,
                 size_t length,
                 const struct value *value);
/* With the position of the key. */
void value_put_at(struct value_builder *builder,
                  const char *key,
                  size_t length,
                  uint32_t line,
                  uint32_t column,
                  const struct value *value);
/* Shorthands; put_text with NULL adds nothing. */
void value_put_text(struct value_builder *builder, const char *key, const char *text);
void value_put_int(struct value_builder *builder, const char *key, int64_t integer);
void value_put_bool(struct value_builder *builder, const char *key, bool boolean);
bool value_build_has(const struct value_builder *builder, const char *key, size_t length);
const struct value *value_build_map(struct value_builder *builder);

void value_add(struct value_builder *builder, const struct value *item);
const struct value *value_build_list(struct value_builder *builder);

/* Copy with another position. */
const struct value *value_at(struct arena *arena,
                             const struct value *value,
                             uint32_t line,
                             uint32_t column);

/* ---- reading ---- */

bool value_is_null(const struct value *value); /* NULL pointer or VALUE_NULL */
bool value_is_string(const struct value *value);
bool value_is_map(const struct value *value);
bool value_is_list(const struct value *value);
bool value_is_number(const struct value *value); /* int, float32, double, decimal, bigint */

/* Member of a map or lazy map, NULL when absent or when `map` is no map (or NULL). */
const struct value *value_get(const struct value *map, const char *key);
const struct value *value_get_n(const struct value *map, const char *key, size_t length);
/* As above for lazy maps, whose members need an arena; value_get() ignores lazy maps. */
const struct value *value_get_in(struct arena *arena,
                                 const struct value *map,
                                 const char *key,
                                 size_t length);
/* The member with its key position, NULL when absent. */
const struct value_member *value_member(const struct value *map, const char *key);
/* Nested lookup, "a.b.c"; NULL when any step is absent. */
const struct value *value_path(const struct value *map, const char *dotted);

/* Text of a string, uri, decimal or bigint value; NULL for everything else and for NULL. */
const char *value_cstr(const struct value *value);
/* Member's text or `fallback`. */
const char *value_get_text(const struct value *map, const char *key, const char *fallback);
/* Member's integer (a double without fraction counts) or `fallback`. */
int64_t value_get_int(const struct value *map, const char *key, int64_t fallback);
/* Member's boolean or `fallback`; the texts "true" and "false" count. */
bool value_get_bool(const struct value *map, const char *key, bool fallback);
/* Number as double; false when no number. */
bool value_to_double(const struct value *value, double *out);

size_t value_count(const struct value *value); /* items or members; 0 otherwise */
const struct value *value_item(const struct value *list, size_t i); /* NULL out of range */

/* A lazy map becomes a map; everything else is returned as it is. Not recursive. */
const struct value *value_force(struct arena *arena, const struct value *value);

/* ---- whole values ---- */

/*
 * Equality as `==` of the expression language: numbers by value, otherwise same kind and equal;
 * maps regardless of order.
 */
bool value_equal(const struct value *a, const struct value *b);

/* Deep copy into another arena; lazy maps are forced. */
const struct value *value_copy(struct arena *arena, const struct value *value);

/*
 * Deep merge: members of `over` win, maps merge recursively. Lists: `over` replaces, or, with
 * `union_lists`, base ∪ over without duplicates (plugin defaults).
 */
const struct value *value_merge(struct arena *arena,
                                const struct value *base,
                                const struct value *over,
                                bool union_lists);

/* `map` with `key` set; `map` may be NULL. */
const struct value *value_with(struct arena *arena,
                               const struct value *map,
                               const char *key,
                               const struct value *value);

/* Name of a kind for messages: "a string", "a list" … */
const char *value_kind_name(const struct value *value);

/* ---- text forms (expressions.md 3.2, 3.3) ---- */

/* Compact JSON as §3.2.2: null members omitted, durations as seconds. */
void value_write_json(struct buf *buf, const struct value *value);
char *value_to_json(struct arena *arena, const struct value *value);

/* As above, keeping null members; for documents that must round-trip. */
void value_write_json_full(struct buf *buf, const struct value *value);

/* Print form, §3.2: null writes nothing, lists and maps are JSON. */
void value_write_print(struct buf *buf, const struct value *value);

/* Display form, §3.3: `[a, b]`, `{k=v}`, `null`. */
void value_write_display(struct buf *buf, const struct value *value);

enum value_form {
    FORM_PRINT,
    FORM_DISPLAY,
    FORM_JSON,
    FORM_JSON_FULL,
};

/*
 * Writes one of the forms above unless the buffer would grow beyond `length_max` bytes: then the
 * answer is false and the buffer holds a part. For values that a user's expression has built.
 */
bool value_write_limited(struct buf *buf,
                         const struct value *value,
                         enum value_form form,
                         size_t length_max);

/* Shortest decimal digits, §3.2.1. */
void value_write_double(struct buf *buf, double number);
void value_write_float32(struct buf *buf, float number);

/* JSON string literal with quotes. */
void value_write_json_string(struct buf *buf, const char *bytes, size_t length);

#endif
