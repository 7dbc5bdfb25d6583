/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only user of jansson.
 *
 * Jansson refuses integers beyond 64 bits and numbers beyond a double. A pass over the text, which
 * also checks the depth and finds where the value ends, puts a marked string in the place of such a
 * number; the mark is a private-use character that the text does not contain, neither plain nor
 * escaped, so no string of the user can be taken for one.
 */
#include "core/json.h"

#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/vec.h"
#include "core/value.h"

#define MARK_FIRST 0xe000U
#define MARK_COUNT 6400U /* U+E000 … U+F8FF */

/* Fewer digits always fit 64 bits. */
#define SAFE_DIGITS 18U
/* Fewer exponent digits always fit a double. */
#define SAFE_EXPONENT 2U

/* A number that jansson would refuse: where it is, and by how much its stand-in is longer. */
struct stand_in {
    size_t start;
    size_t length;
};

struct scan {
    const char *text;
    size_t length;
    size_t end; /* behind the first value, or `length` when that is not complete */
    bool too_deep;
    size_t deep_at;
    VEC(struct stand_in) numbers; /* in order */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Index behind the string that starts at `at`. */
static size_t skip_string(const struct scan *scan, size_t at)
{
    for (at++; at < scan->length; at++) {
        if (scan->text[at] == '\\')
            at++;
        else if (scan->text[at] == '"')
            return at + 1;
    }
    return scan->length;
}

static size_t skip_digits(const struct scan *scan, size_t at)
{
    while (at < scan->length && is_digit(scan->text[at]))
        at++;
    return at;
}

/* Does the plain integer need more than 64 bits? */
static bool is_large(const char *text, size_t length)
{
    char copy[24];
    if (length <= SAFE_DIGITS)
        return false;
    if (length >= sizeof(copy))
        return true;
    memcpy(copy, text, length);
    copy[length] = '\0';
    errno = 0;
    (void)strtoll(copy, NULL, 10);
    return errno == ERANGE;
}

/* Index behind the number that starts at `at`; notes it when it needs a stand-in. */
static size_t scan_number(struct scan *scan, size_t at)
{
    const char *text = scan->text;
    size_t start = at;
    if (text[at] == '-')
        at++;
    size_t digits = at;
    at = skip_digits(scan, at);
    // Jansson says best what is wrong with -, 01 and the like.
    bool is_sound = at > digits && (text[digits] != '0' || at == digits + 1);
    bool is_plain = true;
    bool is_extreme = false;
    if (at < scan->length && text[at] == '.') {
        size_t fraction = at + 1;
        at = skip_digits(scan, fraction);
        is_sound = is_sound && at > fraction;
        is_plain = false;
        is_extreme = at - start > 300; // digits alone can exceed a double
    }
    if (at < scan->length && (text[at] == 'e' || text[at] == 'E')) {
        at++;
        if (at < scan->length && (text[at] == '+' || text[at] == '-'))
            at++;
        size_t exponent = at;
        at = skip_digits(scan, exponent);
        is_sound = is_sound && at > exponent;
        is_plain = false;
        is_extreme = is_extreme || at - start > 200 || at - exponent > SAFE_EXPONENT;
    }
    if (is_sound && (is_plain ? is_large(text + start, at - start) : is_extreme)) {
        struct stand_in *number = VEC_PUSH(&scan->numbers);
        number->start = start;
        number->length = at - start;
    }
    return at;
}

/* Walks the first value. Mistakes are left for jansson to find. */
static void scan_value(struct scan *scan)
{
    size_t depth = 0;
    size_t at = 0;
    while (at < scan->length && is_space(scan->text[at]))
        at++;
    while (at < scan->length) {
        char c = scan->text[at];
        if (c == '"') {
            at = skip_string(scan, at);
        } else if (c == '-' || is_digit(c)) {
            at = scan_number(scan, at);
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX) {
                scan->too_deep = true;
                scan->deep_at = at;
                return;
            }
            at++;
            continue;
        } else if (c == '}' || c == ']') {
            depth = depth == 0 ? 0 : depth - 1;
            at++;
        } else if (c >= 'a' && c <= 'z') {
            while (at < scan->length && scan->text[at] >= 'a' && scan->text[at] <= 'z')
                at++;
        } else if (depth > 0) {
            at++; // separators and space
            continue;
        } else {
            break;
        }
        if (depth == 0) {
            scan->end = at;
            return;
        }
    }
    scan->end = scan->length;
}

/* A code point that the text holds neither plain nor escaped, or 0 when there is none. */
static uint32_t choose_mark(const char *text, size_t length)
{
    unsigned char taken[MARK_COUNT] = { 0 };
    for (size_t i = 0; i + 2 < length; i++) {
        const unsigned char *at = (const unsigned char *)text + i;
        uint32_t code = 0;
        if (at[0] == 0xee || at[0] == 0xef) {
            code = (at[0] & 15U) << 12 | (at[1] & 63U) << 6 | (at[2] & 63U);
        } else if (at[0] == '\\' && at[1] == 'u' && i + 6 <= length) {
            char hex[5] = { 0 };
            memcpy(hex, at + 2, 4);
            code = (uint32_t)strtoul(hex, NULL, 16);
        }
        if (code >= MARK_FIRST && code < MARK_FIRST + MARK_COUNT)
            taken[code - MARK_FIRST] = 1;
    }
    for (uint32_t i = 0; i < MARK_COUNT; i++) {
        if (!taken[i])
            return MARK_FIRST + i;
    }
    return 0;
}

/* Bytes that a stand-in adds: two quotes and the mark. */
#define STAND_IN_EXTRA 5U

static void write_stand_ins(struct buf *out, const struct scan *scan, uint32_t mark)
{
    size_t from = 0;
    const struct stand_in *number;
    VEC_EACH(number, &scan->numbers) {
        buf_add(out, scan->text + from, number->start - from);
        buf_putc(out, '"');
        buf_put_utf8(out, mark);
        buf_add(out, scan->text + number->start, number->length);
        buf_putc(out, '"');
        from = number->start + number->length;
    }
    buf_add(out, scan->text + from, scan->end - from);
}

/* Position in the user's text of a position in the text with stand-ins. */
static size_t original_position(const struct scan *scan, size_t position)
{
    const struct stand_in *number;
    VEC_EACH(number, &scan->numbers) {
        if (position <= number->start)
            break;
        size_t inside = number->start + number->length + STAND_IN_EXTRA;
        position = position < inside ? number->start : position - STAND_IN_EXTRA;
    }
    return position;
}

static void set_position(struct error *err, const char *text, size_t position)
{
    if (err == NULL)
        return;
    err->line = 1;
    err->column = 1;
    for (size_t i = 0; i < position; i++) {
        if (text[i] == '\n') {
            err->line++;
            err->column = 1;
        } else if (((unsigned char)text[i] & 0xc0U) != 0x80U) {
            err->column++;
        }
    }
}

/* ---- conversion ---- */

static const struct value *convert(struct arena *arena, const json_t *json, const char *mark);

static const struct value *convert_string(struct arena *arena, const json_t *json, const char *mark)
{
    const char *bytes = json_string_value(json);
    size_t length = json_string_length(json);
    size_t skip = mark == NULL ? 0 : strlen(mark);
    if (skip == 0 || length <= skip || memcmp(bytes, mark, skip) != 0)
        return value_string_n(arena, bytes, length);
    bytes += skip;
    if (strpbrk(bytes, ".eE") != NULL)
        return value_double(arena, strtod(bytes, NULL));
    return value_text(arena, VALUE_BIGINT, bytes, length - skip);
}

static const struct value *convert_integer(struct arena *arena, int64_t integer)
{
    struct value *value = ARENA_NEW(arena, struct value);
    value->kind = VALUE_INT;
    value->integer = integer;
    value->is_int32 = integer >= INT32_MIN && integer <= INT32_MAX;
    return value;
}

static const struct value *convert_object(struct arena *arena, const json_t *json, const char *mark)
{
    struct value_builder builder = value_build(arena);
    // The iterator of jansson takes a pointer that is not const, and changes nothing.
    json_t *object = (json_t *)(uintptr_t)json;
    void *at = json_object_iter(object);
    for (; at != NULL; at = json_object_iter_next(object, at)) {
        value_put_n(&builder, json_object_iter_key(at), json_object_iter_key_len(at),
                    convert(arena, json_object_iter_value(at), mark));
    }
    return value_build_map(&builder);
}

static const struct value *convert_array(struct arena *arena, const json_t *json, const char *mark)
{
    struct value_builder builder = value_build(arena);
    size_t count = json_array_size(json);
    for (size_t i = 0; i < count; i++)
        value_add(&builder, convert(arena, json_array_get(json, i), mark));
    return value_build_list(&builder);
}

/* Recursive; the depth was checked before. */
static const struct value *convert(struct arena *arena, const json_t *json, const char *mark)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return convert_object(arena, json, mark);
    case JSON_ARRAY:
        return convert_array(arena, json, mark);
    case JSON_STRING:
        return convert_string(arena, json, mark);
    case JSON_INTEGER:
        return convert_integer(arena, json_integer_value(json));
    case JSON_REAL:
        return value_double(arena, json_real_value(json));
    case JSON_TRUE:
        return &value_true;
    case JSON_FALSE:
        return &value_false;
    case JSON_NULL:
        break;
    }
    return &value_null;
}

/* Parses the part of the text that was scanned. */
static const struct value *parse_scanned(struct arena *arena,
                                         const struct scan *scan,
                                         struct error *err)
{
    struct buf changed = { 0 };
    struct buf mark = { 0 };
    const char *text = scan->text;
    size_t length = scan->end;
    if (scan->numbers.count > 0) {
        uint32_t code = choose_mark(scan->text, scan->length);
        if (code == 0) {
            (void)error_set(err, ERR_LIMIT, "JSON text uses every private-use character");
            return NULL;
        }
        buf_put_utf8(&mark, code);
        write_stand_ins(&changed, scan, code);
        text = buf_text(&changed);
        length = changed.length;
    }

    json_error_t why = { .position = 0 };
    json_t *json = json_loadb(text, length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    const struct value *value = NULL;
    if (json != NULL) {
        value = convert(arena, json, scan->numbers.count > 0 ? buf_text(&mark) : NULL);
    } else {
        size_t at = why.position > 0 ? (size_t)why.position : 0;
        at = original_position(scan, at);
        (void)error_set(err, ERR_INVALID, "not JSON: %s", why.text);
        set_position(err, scan->text, at < scan->length ? at : scan->length);
    }
    json_decref(json);
    buf_free(&changed);
    buf_free(&mark);
    return value;
}

/*
 * Does the first value end in the middle of something else? A number ends at white space only, a
 * word before what cannot be a part of it: `2024-03-07` is no number, `true,` is a word.
 */
static bool is_glued(const struct scan *scan)
{
    if (scan->end == 0 || scan->end >= scan->length)
        return false;
    char last = scan->text[scan->end - 1];
    unsigned char next = (unsigned char)scan->text[scan->end];
    bool is_letter = (next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z') || next >= 0x80;
    if (is_digit(last))
        return !is_space((char)next);
    bool is_word = last >= 'a' && last <= 'z';
    return is_word && (is_letter || is_digit((char)next) || next == '_' || next == '$');
}

static const struct value *parse(struct arena *arena,
                                 const char *text,
                                 size_t length,
                                 bool whole,
                                 size_t *used,
                                 struct error *err)
{
    if (length > JSON_LENGTH_MAX) {
        (void)error_set(err, ERR_LIMIT, "JSON text of %zu bytes: at most %zu", length,
                        JSON_LENGTH_MAX);
        return NULL;
    }
    struct scan scan = { .text = text, .length = length };
    scan_value(&scan);
    const struct value *value = NULL;
    if (scan.too_deep) {
        (void)error_set(err, ERR_LIMIT, "JSON is nested deeper than %u", JSON_DEPTH_MAX);
        set_position(err, text, scan.deep_at);
    } else if (!whole && is_glued(&scan)) {
        (void)error_set(err, ERR_INVALID, "not JSON: something sticks to the value");
        set_position(err, text, scan.end);
    } else {
        size_t end = scan.end;
        if (whole)
            scan.end = length;
        value = parse_scanned(arena, &scan, err);
        if (value != NULL && used != NULL)
            *used = end;
    }
    VEC_FREE(&scan.numbers);
    return value;
}

const struct value *json_parse(struct arena *arena,
                               const char *text,
                               size_t length,
                               struct error *err)
{
    return parse(arena, text, length, true, NULL, err);
}

const struct value *json_parse_first(
    struct arena *arena, const char *text, size_t length, size_t *used, struct error *err)
{
    return parse(arena, text, length, false, used, err);
}
