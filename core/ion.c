/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ion.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/value.h"

/* ---- reading ---- */

struct reader {
    struct arena *arena;
    const char *start;
    const char *at;
    const char *end;
    unsigned depth;
    struct error *err;
};

static const struct value *read_value(struct reader *reader);

static const struct value *wrong(struct reader *reader, const char *what)
{
    error_set_at(reader->err, ERR_INVALID, 1, (uint32_t)(reader->at - reader->start + 1),
                 "not Ion: %s", what);
    return NULL;
}

static bool has(const struct reader *reader, const char *text)
{
    size_t length = strlen(text);
    return (size_t)(reader->end - reader->at) >= length && memcmp(reader->at, text, length) == 0;
}

static char peek(const struct reader *reader)
{
    return reader->at < reader->end ? *reader->at : '\0';
}

/* White space and comments. */
static void skip_space(struct reader *reader)
{
    for (;;) {
        while (reader->at < reader->end && strchr(" \t\r\n\f\v", *reader->at) != NULL &&
               *reader->at != '\0')
            reader->at++;
        if (has(reader, "//")) {
            const char *line = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
            reader->at = line == NULL ? reader->end : line;
        } else if (has(reader, "/*")) {
            const char *stop = memmem(reader->at, (size_t)(reader->end - reader->at), "*/", 2);
            reader->at = stop == NULL ? reader->end : stop + 2;
        } else {
            return;
        }
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_symbol_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* After the backslash; appends what it stands for. */
static bool read_escape(struct reader *reader, struct buf *out)
{
    static const char names[] = "abtnfrv0\"'?/\\";
    static const char chars[] = "\a\b\t\n\f\r\v\0\"'?/\\";
    char c = peek(reader);
    if (c == '\0')
        return false;
    reader->at++;
    const char *known = strchr(names, c);
    if (known != NULL) {
        buf_putc(out, chars[known - names]);
        return true;
    }
    if (c == '\n')
        return true; // a line that goes on
    int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t code = 0;
    for (int i = 0; i < digits; i++) {
        int digit = hex_digit(peek(reader));
        if (digit < 0)
            return false;
        code = code * 16 + (uint32_t)digit;
        reader->at++;
    }
    // A pair of surrogates, as JSON writes characters beyond the basic plane.
    if (c == 'u' && code >= 0xd800 && code < 0xdc00 && has(reader, "\\u")) {
        uint32_t low = 0;
        for (int i = 2; i < 6; i++) {
            int digit = reader->end - reader->at > i ? hex_digit(reader->at[i]) : -1;
            low = digit < 0 ? 0 : low * 16 + (uint32_t)digit;
        }
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            reader->at += 6;
        }
    }
    if (digits == 0 || code > 0x10ffff)
        return false;
    buf_put_utf8(out, code);
    return true;
}

/* A text between two marks: '"', '\'' or "'''". The mark is at reader->at. */
static bool read_quoted(struct reader *reader, const char *mark, struct buf *out)
{
    reader->at += strlen(mark);
    while (reader->at < reader->end) {
        if (has(reader, mark)) {
            reader->at += strlen(mark);
            return true;
        }
        char c = *reader->at++;
        if (c == '\\') {
            if (!read_escape(reader, out))
                return false;
        } else {
            buf_putc(out, c);
        }
    }
    return false;
}

/* "text" or several '''texts''' that are one. */
static const struct value *read_string(struct reader *reader)
{
    struct buf text = { 0 };
    bool ok;
    if (peek(reader) == '"') {
        ok = read_quoted(reader, "\"", &text);
    } else {
        do {
            ok = read_quoted(reader, "'''", &text);
            skip_space(reader);
        } while (ok && has(reader, "'''"));
    }
    const struct value *value = NULL;
    if (!ok)
        (void)wrong(reader, "a text does not end");
    else if (!utf8_valid(buf_text(&text), text.length))
        (void)wrong(reader, "a text is not UTF-8");
    else
        value = value_string_n(reader->arena, buf_text(&text), text.length);
    buf_free(&text);
    return value;
}

/* A bare or quoted symbol; NULL when none is here. */
static char *read_symbol(struct reader *reader)
{
    if (peek(reader) == '\'') {
        struct buf text = { 0 };
        char *symbol = NULL;
        if (read_quoted(reader, "'", &text))
            symbol = buf_dup(&text, reader->arena);
        buf_free(&text);
        return symbol;
    }
    const char *from = reader->at;
    if (!is_symbol_start(peek(reader)))
        return NULL;
    while (is_symbol_start(peek(reader)) || is_digit(peek(reader)))
        reader->at++;
    return arena_strndup(reader->arena, from, (size_t)(reader->at - from));
}

/* ---- numbers and times ---- */

static const struct value *read_radix(struct reader *reader, bool is_negative)
{
    unsigned radix = reader->at[1] == 'x' || reader->at[1] == 'X' ? 16 : 2;
    reader->at += 2;
    uint64_t number = 0;
    const char *from = reader->at;
    for (; reader->at < reader->end; reader->at++) {
        if (*reader->at == '_')
            continue;
        int digit = hex_digit(*reader->at);
        if (digit < 0 || (unsigned)digit >= radix)
            break;
        if (number > (uint64_t)INT64_MAX / radix)
            return wrong(reader, "a number is too large");
        number = number * radix + (unsigned)digit;
    }
    if (reader->at == from || number > (uint64_t)INT64_MAX)
        return wrong(reader, "a number is malformed");
    return value_int(reader->arena, is_negative ? -(int64_t)number : (int64_t)number);
}

static const struct value *make_integer(struct reader *reader, const char *text, size_t length)
{
    int64_t number = 0;
    if (!str_to_int(text, INT64_MIN, INT64_MAX, &number))
        return value_text(reader->arena, VALUE_BIGINT, text, length);
    const struct value *value = value_int(reader->arena, number);
    if (number >= INT32_MIN && number <= INT32_MAX) {
        struct value *small = arena_memdup(reader->arena, value, sizeof(*value));
        small->is_int32 = 1;
        return small;
    }
    return value;
}

/* "12d3" and "1.5d-2" as plain decimal text. */
static const struct value *make_decimal(struct reader *reader,
                                        const char *text,
                                        const char *exponent)
{
    CHECK(text != NULL);
    size_t length = exponent == NULL ? strlen(text) : (size_t)(exponent - text);
    int64_t shift = 0;
    if (exponent != NULL &&
        !str_to_int(exponent[1] == '+' ? exponent + 2 : exponent + 1, -1000, 1000, &shift))
        return wrong(reader, "an exponent is out of range");
    struct buf digits = { 0 };
    int64_t point = -1;
    bool is_negative = text[0] == '-';
    for (size_t i = is_negative ? 1 : 0; i < length; i++) {
        if (text[i] == '.')
            point = (int64_t)digits.length;
        else
            buf_putc(&digits, text[i]);
    }
    point = (point < 0 ? (int64_t)digits.length : point) + shift;
    struct buf out = { 0 };
    if (is_negative)
        buf_putc(&out, '-');
    int64_t count = (int64_t)digits.length;
    if (point <= 0) {
        buf_puts(&out, "0.");
        for (int64_t i = point; i < 0; i++)
            buf_putc(&out, '0');
        buf_add(&out, digits.bytes, digits.length);
    } else {
        for (int64_t i = 0; i < point; i++)
            buf_putc(&out, i < count ? digits.bytes[i] : '0');
        if (count > point) {
            buf_putc(&out, '.');
            buf_add(&out, digits.bytes + point, (size_t)(count - point));
        }
    }
    const struct value *value = value_text(reader->arena, VALUE_DECIMAL, out.bytes, out.length);
    buf_free(&digits);
    buf_free(&out);
    return value;
}

static bool looks_like_time(const struct reader *reader)
{
    const char *at = reader->at;
    return reader->end - at >= 5 && is_digit(at[0]) && is_digit(at[1]) && is_digit(at[2]) &&
           is_digit(at[3]) && (at[4] == '-' || at[4] == 'T');
}

/* 2024T, 2024-05T, 2024-05-01, 2024-05-01T10:20Z … */
static const struct value *read_time(struct reader *reader)
{
    const char *from = reader->at;
    while (reader->at < reader->end && (is_digit(*reader->at) || strchr("-:.+TZtz", *reader->at)))
        reader->at++;
    size_t length = (size_t)(reader->at - from);
    const char *text = arena_strndup(reader->arena, from, length);
    if (length == 5)
        text = arena_printf(reader->arena, "%.4s-01-01", text);
    else if (length == 8 && text[7] == 'T')
        text = arena_printf(reader->arena, "%.7s-01", text);
    else if (length == 11 && text[10] == 'T')
        text = arena_strndup(reader->arena, text, 10);

    struct time_text parts;
    if (!time_text_parse(text, strlen(text), &parts, NULL) || !parts.has_date)
        return wrong(reader, "a timestamp is malformed");
    struct value_time time = { .at = civil_at(&parts.civil), .nanos = parts.nanos };
    if (!parts.has_time)
        return value_time(reader->arena, VALUE_LOCAL_DATE, time);
    if (!parts.has_offset)
        return wrong(reader, "a timestamp has no offset");
    time.at -= parts.offset * USEC_SEC;
    return value_time(reader->arena, VALUE_INSTANT, time);
}

static const struct value *read_number(struct reader *reader)
{
    if (looks_like_time(reader))
        return read_time(reader);
    bool is_negative = peek(reader) == '-';
    if (is_negative || peek(reader) == '+')
        reader->at++;
    if (has(reader, "inf")) {
        reader->at += 3;
        return value_double(reader->arena, is_negative ? -__builtin_inf() : __builtin_inf());
    }
    if (has(reader, "0x") || has(reader, "0X") || has(reader, "0b") || has(reader, "0B"))
        return read_radix(reader, is_negative);

    struct buf text = { 0 };
    bool has_point = false;
    bool is_float = false;
    size_t exponent = 0;
    if (is_negative)
        buf_putc(&text, '-');
    if (!is_digit(peek(reader))) {
        buf_free(&text);
        return wrong(reader, "a number is malformed");
    }
    for (; reader->at < reader->end; reader->at++) {
        char c = *reader->at;
        if (c == '_')
            continue;
        bool is_mark = c == 'e' || c == 'E' || c == 'd' || c == 'D';
        bool is_sign = (c == '-' || c == '+') && exponent > 0 && text.length == exponent;
        if (is_mark && exponent == 0) {
            is_float = c == 'e' || c == 'E';
            buf_putc(&text, is_float ? 'e' : 'd');
            exponent = text.length;
        } else if (c == '.' && !has_point && exponent == 0) {
            has_point = true;
            buf_putc(&text, c);
        } else if (is_digit(c) || is_sign) {
            buf_putc(&text, c);
        } else {
            break;
        }
    }
    const char *written = buf_dup(&text, reader->arena);
    size_t length = text.length;
    buf_free(&text);
    if (is_float) {
        double number = 0;
        if (!str_to_double(written, &number))
            return wrong(reader, "a number is malformed");
        return value_double(reader->arena, number);
    }
    if (exponent > 0)
        return make_decimal(reader, written, written + exponent - 1);
    if (has_point)
        return make_decimal(reader, written, NULL);
    return make_integer(reader, written, length);
}

/* ---- containers ---- */

static const struct value *read_list(struct reader *reader, char close)
{
    struct value_builder list = value_build(reader->arena);
    reader->at++;
    for (;;) {
        skip_space(reader);
        if (peek(reader) == close) {
            reader->at++;
            return value_build_list(&list);
        }
        const struct value *item = read_value(reader);
        if (item == NULL)
            return NULL;
        value_add(&list, item);
        skip_space(reader);
        if (peek(reader) == ',' && close == ']')
            reader->at++;
        else if (peek(reader) != close && close == ']')
            return wrong(reader, "',' or ']' expected");
    }
}

static const struct value *read_struct(struct reader *reader)
{
    struct value_builder map = value_build(reader->arena);
    reader->at++;
    for (;;) {
        skip_space(reader);
        if (peek(reader) == '}') {
            reader->at++;
            return value_build_map(&map);
        }
        const char *key = NULL;
        if (peek(reader) == '"' || has(reader, "'''")) {
            const struct value *text = read_string(reader);
            if (text == NULL)
                return NULL;
            key = value_cstr(text);
        } else {
            key = read_symbol(reader);
        }
        if (key == NULL)
            return wrong(reader, "the name of a field expected");
        skip_space(reader);
        if (peek(reader) != ':')
            return wrong(reader, "':' expected");
        reader->at++;
        const struct value *value = read_value(reader);
        if (value == NULL)
            return NULL;
        value_put(&map, key, value);
        skip_space(reader);
        if (peek(reader) == ',')
            reader->at++;
        else if (peek(reader) != '}')
            return wrong(reader, "',' or '}' expected");
    }
}

/* {{base64}}, or a clob {{"text"}}. */
static const struct value *read_blob(struct reader *reader)
{
    reader->at += 2;
    skip_space(reader);
    if (peek(reader) == '"' || has(reader, "'''")) {
        const struct value *text = read_string(reader);
        skip_space(reader);
        if (text == NULL || !has(reader, "}}"))
            return text == NULL ? NULL : wrong(reader, "'}}' expected");
        reader->at += 2;
        return text;
    }
    const char *stop = memmem(reader->at, (size_t)(reader->end - reader->at), "}}", 2);
    if (stop == NULL)
        return wrong(reader, "'}}' expected");
    struct buf bytes = { 0 };
    const struct value *value = NULL;
    if (base64_decode(&bytes, reader->at, (size_t)(stop - reader->at)))
        value = value_text(reader->arena, VALUE_BYTES, buf_text(&bytes), bytes.length);
    buf_free(&bytes);
    if (value == NULL)
        return wrong(reader, "a blob is not base64");
    reader->at = stop + 2;
    return value;
}

/* A text that its annotation calls a time; the text itself when it is none after all. */
static const struct value *annotated(struct reader *reader,
                                     const char *annotation,
                                     const struct value *value)
{
    static const struct {
        const char *name;
        enum value_kind kind;
    } kinds[] = {
        { "LocalDateTime", VALUE_LOCAL_DATETIME }, { "LocalDate", VALUE_LOCAL_DATE },
        { "LocalTime", VALUE_LOCAL_TIME },         { "ZonedDateTime", VALUE_ZONED },
        { "OffsetDateTime", VALUE_ZONED },         { "Duration", VALUE_DURATION },
    };
    size_t i = 0;
    while (i < COUNT_OF(kinds) && !str_eq(kinds[i].name, annotation))
        i++;
    if (i == COUNT_OF(kinds) || !value_is_string(value))
        return value;
    const char *text = value_cstr(value);
    struct value_time time = { 0 };
    if (kinds[i].kind == VALUE_DURATION) {
        int32_t nanos = 0;
        if (!duration_parse(text, &time.at, &nanos, NULL))
            return value;
        time.nanos = nanos;
        return value_time(reader->arena, VALUE_DURATION, time);
    }
    struct time_text parts;
    if (!time_text_parse(text, strlen(text), &parts, NULL))
        return value;
    bool is_zoned = kinds[i].kind == VALUE_ZONED;
    if ((kinds[i].kind != VALUE_LOCAL_TIME && !parts.has_date) || (is_zoned && !parts.has_offset))
        return value;
    if (kinds[i].kind == VALUE_LOCAL_TIME) {
        time.at = parts.civil.hour * USEC_HOUR + parts.civil.minute * USEC_MIN +
                  parts.civil.second * USEC_SEC + parts.civil.micros;
    } else {
        time.at = civil_at(&parts.civil);
    }
    time.nanos = parts.nanos;
    if (is_zoned) {
        time.at -= parts.offset * USEC_SEC;
        time.offset = parts.offset;
        if (parts.zone != NULL)
            time.zone = arena_strndup(reader->arena, parts.zone, parts.zone_length);
    }
    return value_time(reader->arena, kinds[i].kind, time);
}

/* A word: a keyword, a symbol (a text), or an annotation of what follows. */
static const struct value *read_word(struct reader *reader)
{
    bool is_quoted = peek(reader) == '\'';
    const char *symbol = read_symbol(reader);
    if (symbol == NULL)
        return wrong(reader, "a symbol does not end");
    const char *after = reader->at;
    skip_space(reader);
    if (has(reader, "::")) {
        reader->at += 2;
        const struct value *value = read_value(reader);
        return value == NULL ? NULL : annotated(reader, symbol, value);
    }
    reader->at = after;
    if (is_quoted)
        return value_string(reader->arena, symbol);
    if (str_eq(symbol, "null")) {
        if (peek(reader) == '.') { // null.int
            reader->at++;
            (void)read_symbol(reader);
        }
        return &value_null;
    }
    if (str_eq(symbol, "true"))
        return &value_true;
    if (str_eq(symbol, "false"))
        return &value_false;
    if (str_eq(symbol, "nan"))
        return value_double(reader->arena, __builtin_nan(""));
    return value_string(reader->arena, symbol);
}

static const struct value *read_value(struct reader *reader)
{
    skip_space(reader);
    char c = peek(reader);
    if (c == '{' || c == '[' || c == '(' || c == '\'' || is_symbol_start(c)) {
        if (++reader->depth > ION_DEPTH_MAX) {
            error_set(reader->err, ERR_LIMIT, "Ion nested deeper than %u", ION_DEPTH_MAX);
            return NULL;
        }
        const struct value *value = has(reader, "{{")    ? read_blob(reader)
                                    : c == '{'           ? read_struct(reader)
                                    : c == '['           ? read_list(reader, ']')
                                    : c == '('           ? read_list(reader, ')')
                                    : has(reader, "'''") ? read_string(reader)
                                                         : read_word(reader);
        reader->depth--;
        return value;
    }
    if (c == '"')
        return read_string(reader);
    if (is_digit(c) || c == '-' || c == '+')
        return read_number(reader);
    return wrong(reader, reader->at == reader->end ? "a value expected" : "unexpected character");
}

const struct value *ion_parse_first(
    struct arena *arena, const char *text, size_t length, size_t *used, struct error *err)
{
    struct reader reader = {
        .arena = arena, .start = text, .at = text, .end = text + length, .err = err
    };
    skip_space(&reader);
    if (reader.at == reader.end) {
        error_set(err, ERR_NOT_FOUND, "no value in the Ion text");
        return NULL;
    }
    const struct value *value = read_value(&reader);
    if (value != NULL && used != NULL)
        *used = (size_t)(reader.at - text);
    return value;
}

const struct value *ion_parse_all(struct arena *arena,
                                  const char *text,
                                  size_t length,
                                  struct error *err)
{
    struct value_builder list = value_build(arena);
    for (;;) {
        struct error failure = { 0 };
        size_t used = 0;
        const struct value *value = ion_parse_first(arena, text, length, &used, &failure);
        if (value == NULL && failure.code == ERR_NOT_FOUND)
            return value_build_list(&list);
        if (value == NULL) {
            if (err != NULL)
                *err = failure;
            return NULL;
        }
        // The version marker of a file is no value.
        if (!(value_is_string(value) && str_eq(value_cstr(value), "$ion_1_0")))
            value_add(&list, value);
        text += used;
        length -= used;
    }
}

/* ---- writing ---- */

static void write_text(struct buf *out, const char *bytes, size_t length, char quote)
{
    buf_putc(out, quote);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == (unsigned char)quote || c == '\\') {
            buf_putc(out, '\\');
            buf_putc(out, (char)c);
        } else if (c == '\n') {
            buf_puts(out, "\\n");
        } else if (c == '\r') {
            buf_puts(out, "\\r");
        } else if (c == '\t') {
            buf_puts(out, "\\t");
        } else if (c == 0) {
            buf_puts(out, "\\0");
        } else if (c >= 7 && c <= 12) {
            buf_putc(out, '\\');
            buf_putc(out, "abtnvf"[c - 7]);
        } else if (c < 0x20 || c == 0x7f) {
            buf_printf(out, "\\x%02x", c);
        } else {
            buf_putc(out, (char)c);
        }
    }
    buf_putc(out, quote);
}

static void write_key(struct buf *out, const char *key, size_t length)
{
    static const char *const reserved[] = { "null", "true", "false", "nan" };
    bool is_bare = length > 0 && is_symbol_start(key[0]);
    for (size_t i = 1; is_bare && i < length; i++)
        is_bare = is_symbol_start(key[i]) || is_digit(key[i]);
    for (size_t i = 0; is_bare && i < COUNT_OF(reserved); i++)
        is_bare = strlen(reserved[i]) != length || memcmp(reserved[i], key, length) != 0;
    if (is_bare)
        buf_add(out, key, length);
    else
        write_text(out, key, length, '\'');
}

static void write_double(struct buf *out, const struct value *value)
{
    double number = value->number;
    if (__builtin_isnan(number)) {
        buf_puts(out, "nan");
    } else if (__builtin_isinf(number)) {
        buf_puts(out, number > 0 ? "+inf" : "-inf");
    } else {
        size_t from = out->length;
        if (value->kind == VALUE_FLOAT32)
            value_write_float32(out, (float)number);
        else
            value_write_double(out, number);
        if (strpbrk(out->bytes + from, "eE") == NULL)
            buf_puts(out, "e0");
    }
}

/* Instants have milliseconds, more digits only when they are there. */
static void write_instant(struct buf *out, const struct value_time *time)
{
    size_t from = out->length;
    time_write_instant(out, time->at, time->nanos);
    if (strchr(out->bytes + from, '.') == NULL) {
        out->length--; // the Z
        buf_puts(out, ".000Z");
    }
}

static void write_annotated(struct buf *out, const char *annotation, const struct value *value)
{
    struct buf text = { 0 };
    value_write_print(&text, value);
    buf_printf(out, "%s::", annotation);
    write_text(out, buf_text(&text), text.length, '"');
    buf_free(&text);
}

void ion_write(struct buf *out, const struct value *value)
{
    if (value_is_null(value)) {
        buf_puts(out, "null");
        return;
    }
    switch ((enum value_kind)value->kind) {
    case VALUE_NULL:
        buf_puts(out, "null");
        break;
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_BIGINT:
    case VALUE_LOCAL_DATE:
        value_write_print(out, value);
        break;
    case VALUE_DECIMAL:
        buf_add(out, value->string.bytes, value->string.length);
        if (memchr(value->string.bytes, '.', value->string.length) == NULL)
            buf_putc(out, '.');
        break;
    case VALUE_FLOAT32:
    case VALUE_DOUBLE:
        write_double(out, value);
        break;
    case VALUE_STRING:
    case VALUE_URI:
        write_text(out, value->string.bytes, value->string.length, '"');
        break;
    case VALUE_BYTES:
        buf_puts(out, "{{");
        base64_encode(out, BASE64_STD, value->string.bytes, value->string.length);
        buf_puts(out, "}}");
        break;
    case VALUE_INSTANT:
        write_instant(out, value->time);
        break;
    case VALUE_ZONED:
        write_annotated(out, value->time->zone != NULL ? "ZonedDateTime" : "OffsetDateTime", value);
        break;
    case VALUE_LOCAL_DATETIME:
        write_annotated(out, "LocalDateTime", value);
        break;
    case VALUE_LOCAL_TIME:
        write_annotated(out, "LocalTime", value);
        break;
    case VALUE_DURATION:
        write_annotated(out, "Duration", value);
        break;
    case VALUE_LIST:
        buf_putc(out, '[');
        for (size_t i = 0; i < value->list.count; i++) {
            if (i > 0)
                buf_putc(out, ',');
            ion_write(out, value->list.items[i]);
        }
        buf_putc(out, ']');
        break;
    case VALUE_MAP:
        buf_putc(out, '{');
        for (uint32_t i = 0; i < value->map.count; i++) {
            if (i > 0)
                buf_putc(out, ',');
            write_key(out, value->map.members[i].key, value->map.members[i].key_length);
            buf_putc(out, ':');
            ion_write(out, value->map.members[i].value);
        }
        buf_putc(out, '}');
        break;
    case VALUE_ENTRY:
        buf_putc(out, '{');
        write_key(out, value->entry.key, strlen(value->entry.key));
        buf_putc(out, ':');
        ion_write(out, value->entry.value);
        buf_putc(out, '}');
        break;
    case VALUE_LAZY: {
        struct arena *scratch = arena_new();
        ion_write(out, value_force(scratch, value));
        arena_free(scratch);
        break;
    }
    }
}
