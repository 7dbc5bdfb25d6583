/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text forms of values. One recursive writer serves all of them; a limit makes the values that
 * expressions build, which may share parts and so be far larger as text than in memory, harmless.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/value.h"

struct writer {
    struct buf *buf;
    enum value_form form;
    size_t length_max;
};

/* ---- numbers ---- */

/* Longest: sign, 17 digits, point, E, exponent sign and three digits. */
#define DOUBLE_BYTES 40

/* A decimal text `d.ddd…e±xx` taken apart. */
struct digits {
    char text[DOUBLE_BYTES];
    int count;
    int exponent; /* of the first digit */
};

/* Digits of a positive number to `precision` places, trailing zeros dropped. */
static struct digits digits_of(double number, int precision)
{
    char text[DOUBLE_BYTES];
    struct digits digits = { .count = 0 };
    (void)snprintf(text, sizeof(text), "%.*e", precision - 1, number);
    const char *at = text;
    for (; *at != 'e'; at++) {
        if (*at != '.')
            digits.text[digits.count++] = *at;
    }
    digits.exponent = (int)strtol(at + 1, NULL, 10);
    while (digits.count > 1 && digits.text[digits.count - 1] == '0')
        digits.count--;
    return digits;
}

static double digits_value(const struct digits *digits, bool is_float)
{
    char text[DOUBLE_BYTES + 16];
    (void)snprintf(text, sizeof(text), "%.*se%d", digits->count, digits->text,
                   digits->exponent - digits->count + 1);
    return is_float ? (double)strtof(text, NULL) : strtod(text, NULL);
}

/* The next larger decimal of so many places. */
static struct digits digits_above(const struct digits *digits, int precision)
{
    struct digits next = *digits;
    while (next.count < precision)
        next.text[next.count++] = '0';
    int at = precision - 1;
    while (at >= 0 && next.text[at] == '9')
        next.text[at--] = '0';
    if (at >= 0) {
        next.text[at]++;
    } else {
        next.text[0] = '1';
        next.exponent++;
    }
    while (next.count > 1 && next.text[next.count - 1] == '0')
        next.count--;
    return next;
}

/*
 * Fewest digits that read back to the same number. The nearest decimal of a given length is tried,
 * and the one above it: at powers of two the gap below is half the gap above, so the nearest one
 * may miss where its upper neighbour does not.
 */
static struct digits shortest(double number, bool is_float)
{
    bool is_subnormal = number < (is_float ? 1.17549435e-38 : 2.2250738585072014e-308);
    int precision_max = is_float ? 9 : 17;
    int precision = is_subnormal ? 2 : precision_max - 2;
    for (; precision < precision_max; precision++) {
        struct digits digits = digits_of(number, precision);
        if (digits_value(&digits, is_float) == number)
            return digits;
        digits = digits_above(&digits, precision);
        if (digits_value(&digits, is_float) == number)
            return digits;
    }
    return digits_of(number, precision_max);
}

static void write_zeros(struct buf *buf, int count)
{
    for (int i = 0; i < count; i++)
        buf_putc(buf, '0');
}

static void write_plain(struct buf *buf, const struct digits *digits)
{
    int whole = digits->exponent + 1; // digits before the point
    if (whole <= 0) {
        buf_puts(buf, "0.");
        write_zeros(buf, -whole);
        buf_add(buf, digits->text, (size_t)digits->count);
        return;
    }
    int shown = digits->count < whole ? digits->count : whole;
    buf_add(buf, digits->text, (size_t)shown);
    write_zeros(buf, whole - shown);
    buf_putc(buf, '.');
    if (digits->count > whole)
        buf_add(buf, digits->text + whole, (size_t)(digits->count - whole));
    else
        buf_putc(buf, '0');
}

static void write_scientific(struct buf *buf, const struct digits *digits)
{
    buf_putc(buf, digits->text[0]);
    buf_putc(buf, '.');
    if (digits->count > 1)
        buf_add(buf, digits->text + 1, (size_t)(digits->count - 1));
    else
        buf_putc(buf, '0');
    buf_putc(buf, 'E');
    buf_put_int(buf, digits->exponent);
}

/*
 * Doubles below 1e7 with few decimals, which most are: found without a search. When number × 10^k
 * is an integer of at most 15 digits whose quotient by 10^k is the number again, its digits are the
 * shortest, for no two decimals of so few digits are the same double.
 */
static bool write_short(struct buf *buf, double number)
{
    static const double powers[] = { 1, 10, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8 };
    for (int k = 1; k <= 8; k++) {
        double scaled = number * powers[k];
        if (scaled != floor(scaled) || scaled / powers[k] != number)
            continue;
        int64_t whole = (int64_t)scaled / (int64_t)powers[k];
        int64_t rest = (int64_t)scaled % (int64_t)powers[k];
        char digits[16];
        buf_put_int(buf, whole);
        buf_putc(buf, '.');
        for (int i = k - 1; i >= 0; i--, rest /= 10)
            digits[i] = (char)('0' + rest % 10);
        while (k > 1 && digits[k - 1] == '0')
            k--;
        buf_add(buf, digits, (size_t)k);
        return true;
    }
    return false;
}

static void write_number(struct buf *buf, double number, bool is_float)
{
    if (isnan(number)) {
        buf_puts(buf, "NaN");
        return;
    }
    if (signbit(number))
        buf_putc(buf, '-');
    number = fabs(number);
    if (isinf(number)) {
        buf_puts(buf, "Infinity");
    } else if (number < 1e7 && number == floor(number)) {
        buf_put_int(buf, (int64_t)number); // common, and needs no search
        buf_puts(buf, ".0");
    } else if (is_float || number >= 1e7 || number < 1e-3 || !write_short(buf, number)) {
        struct digits digits = shortest(number, is_float);
        if (number >= 1e-3 && number < 1e7)
            write_plain(buf, &digits);
        else
            write_scientific(buf, &digits);
    }
}

void value_write_double(struct buf *buf, double number)
{
    write_number(buf, number, false);
}

void value_write_float32(struct buf *buf, float number)
{
    write_number(buf, (double)number, true);
}

/* Plain digits of a decimal that may carry a positive exponent, `-12E+3` as `-12000`. */
static void write_decimal(struct writer *writer, const struct value *value)
{
    const char *exponent = memchr(value->string.bytes, 'E', value->string.length);
    if (exponent == NULL || writer->form == FORM_JSON || writer->form == FORM_JSON_FULL) {
        buf_add(writer->buf, value->string.bytes, value->string.length);
        return;
    }
    const char *bytes = value->string.bytes;
    size_t digits = (size_t)(exponent - bytes);
    const char *point = memchr(bytes, '.', digits);
    bool is_zero = strspn(bytes, "-0.") == digits;
    long zeros = is_zero ? 0 : strtol(exponent + 1, NULL, 10);
    if (point == NULL) {
        buf_add(writer->buf, bytes, digits);
    } else {
        size_t whole = (size_t)(point - bytes);
        buf_add(writer->buf, bytes, whole);
        buf_add(writer->buf, point + 1, digits - whole - 1);
        zeros -= (long)(digits - whole - 1);
    }
    for (; zeros > 0 && writer->buf->length <= writer->length_max; zeros--)
        buf_putc(writer->buf, '0');
}

/* ---- strings ---- */

/* Length of what starts here and needs no escape: ASCII, as most of what is written is. */
static size_t plain_length(const char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length && (unsigned char)(bytes[at] - 0x20) < 0x60 && bytes[at] != '"' &&
           bytes[at] != '\\')
        at++;
    return at;
}

/* Writes the escape of a byte below 0x20, a quote or a backslash. */
static void write_escape(struct buf *buf, unsigned char c)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char short_names[] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
                                        ['\t'] = 't', ['"'] = '"',  ['\\'] = '\\' };
    char text[] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15U] };
    if (short_names[c] == '\0') {
        buf_add(buf, text, sizeof(text));
    } else {
        text[1] = short_names[c];
        buf_add(buf, text, 2);
    }
}

/* Length of the UTF-8 character at the start, 0 when it is none. */
static size_t character_length(const char *bytes, const char *end)
{
    const char *next = bytes;
    bool is_malformed = utf8_next(&next, end) == 0xfffd && next - bytes == 1;
    return is_malformed ? 0 : (size_t)(next - bytes);
}

void value_write_json_string(struct buf *buf, const char *bytes, size_t length)
{
    const char *end = bytes + length;
    char *place = buf_reserve(buf, length + 2);
    *place++ = '"';
    size_t plain = plain_length(bytes, length);
    if (plain > 0)
        memcpy(place, bytes, plain);
    if (plain == length) { // nearly always
        place[plain] = '"';
        buf_added(buf, length + 2);
        return;
    }
    buf_added(buf, plain + 1);
    for (const char *at = bytes + plain; at < end;) {
        plain = plain_length(at, (size_t)(end - at));
        buf_add(buf, at, plain);
        at += plain;
        if (at == end)
            break;
        unsigned char c = (unsigned char)*at;
        size_t taken = c < 0x80 ? 1 : character_length(at, end);
        if (c < 0x80)
            write_escape(buf, c);
        else if (taken > 0)
            buf_add(buf, at, taken);
        else // JSON is UTF-8, whatever came in from outside
            buf_puts(buf, "\xef\xbf\xbd");
        at += taken > 0 ? taken : 1;
    }
    buf_putc(buf, '"');
}

static void write_base64(struct buf *buf, const char *bytes, size_t length)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = (const unsigned char *)bytes;
    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t group = (uint32_t)at[i] << 16;
        group |= left > 1 ? (uint32_t)at[i + 1] << 8 : 0;
        group |= left > 2 ? at[i + 2] : 0;
        buf_putc(buf, alphabet[group >> 18]);
        buf_putc(buf, alphabet[group >> 12 & 63U]);
        buf_putc(buf, left > 1 ? alphabet[group >> 6 & 63U] : '=');
        buf_putc(buf, left > 2 ? alphabet[group & 63U] : '=');
    }
}

/* ---- times ---- */

static void write_time(struct buf *buf, const struct value *value)
{
    const struct value_time *time = value->time;
    enum value_kind kind = (enum value_kind)value->kind;
    if (kind == VALUE_INSTANT) {
        time_write_instant(buf, time->at, time->nanos);
        return;
    }
    bool is_zoned = kind == VALUE_ZONED;
    usec_t local = time->at;
    if (is_zoned && __builtin_add_overflow(local, time->offset * USEC_SEC, &local))
        local = time->at;
    struct civil civil = civil_of(local);
    if (kind != VALUE_LOCAL_TIME)
        time_write_date(buf, &civil);
    if (kind == VALUE_LOCAL_DATE)
        return;
    if (kind != VALUE_LOCAL_TIME)
        buf_putc(buf, 'T');
    time_write_time(buf, &civil, time->nanos, false);
    if (!is_zoned)
        return;
    time_write_offset(buf, time->offset);
    if (time->zone != NULL)
        buf_printf(buf, "[%s]", time->zone);
}

/* ---- the writer ---- */

static bool write_value(struct writer *writer, const struct value *value);

static bool has_room(const struct writer *writer)
{
    return writer->buf->length <= writer->length_max;
}

static bool is_json(const struct writer *writer)
{
    return writer->form == FORM_JSON || writer->form == FORM_JSON_FULL;
}

static bool write_list(struct writer *writer, const struct value *value)
{
    buf_putc(writer->buf, '[');
    for (size_t i = 0; i < value->list.count; i++) {
        if (i > 0)
            buf_puts(writer->buf, is_json(writer) ? "," : ", ");
        if (!write_value(writer, value->list.items[i]))
            return false;
    }
    buf_putc(writer->buf, ']');
    return true;
}

static void write_text(struct writer *writer, const char *bytes, size_t length)
{
    if (is_json(writer))
        value_write_json_string(writer->buf, bytes, length);
    else
        buf_add(writer->buf, bytes, length);
}

static bool write_map(struct writer *writer, const struct value *value)
{
    bool any = false;
    buf_putc(writer->buf, '{');
    for (size_t i = 0; i < value->map.count; i++) {
        const struct value_member *member = &value->map.members[i];
        if (writer->form == FORM_JSON && value_is_null(member->value))
            continue;
        if (any)
            buf_puts(writer->buf, is_json(writer) ? "," : ", ");
        any = true;
        write_text(writer, member->key, member->key_length);
        buf_putc(writer->buf, is_json(writer) ? ':' : '=');
        if (!write_value(writer, member->value))
            return false;
    }
    buf_putc(writer->buf, '}');
    return true;
}

static bool write_entry(struct writer *writer, const struct value *value)
{
    if (!is_json(writer)) {
        buf_puts(writer->buf, value->entry.key);
        buf_putc(writer->buf, '=');
        return write_value(writer, value->entry.value);
    }
    buf_putc(writer->buf, '{');
    value_write_json_string(writer->buf, value->entry.key, strlen(value->entry.key));
    buf_putc(writer->buf, ':');
    if (!write_value(writer, value->entry.value))
        return false;
    buf_putc(writer->buf, '}');
    return true;
}

static bool write_lazy(struct writer *writer, const struct value *value)
{
    struct arena *scratch = arena_new();
    bool done = write_value(writer, value_force(scratch, value));
    arena_free(scratch);
    return done;
}

/* JSON knows no NaN and no infinity: they are strings there. */
static void write_real(struct writer *writer, const struct value *value)
{
    bool quoted = is_json(writer) && !isfinite(value->number);
    if (quoted)
        buf_putc(writer->buf, '"');
    write_number(writer->buf, value->number, value->kind == VALUE_FLOAT32);
    if (quoted)
        buf_putc(writer->buf, '"');
}

static void write_duration(struct writer *writer, const struct value *value)
{
    if (is_json(writer))
        duration_write_seconds(writer->buf, value->time->at, value->time->nanos);
    else
        duration_write(writer->buf, value->time->at, value->time->nanos);
}

static void write_moment(struct writer *writer, const struct value *value)
{
    if (is_json(writer))
        buf_putc(writer->buf, '"');
    write_time(writer->buf, value);
    if (is_json(writer))
        buf_putc(writer->buf, '"');
}

/* A bytes value is base64 everywhere, in quotes in JSON. */
static void write_bytes(struct writer *writer, const struct value *value)
{
    if (is_json(writer))
        buf_putc(writer->buf, '"');
    write_base64(writer->buf, value->string.bytes, value->string.length);
    if (is_json(writer))
        buf_putc(writer->buf, '"');
}

static bool write_value(struct writer *writer, const struct value *value)
{
    if (!has_room(writer))
        return false;
    if (value_is_null(value)) {
        buf_puts(writer->buf, "null");
        return true;
    }
    switch ((enum value_kind)value->kind) {
    case VALUE_NULL:
        break; // handled above
    case VALUE_BOOL:
        buf_puts(writer->buf, value->boolean ? "true" : "false");
        break;
    case VALUE_INT:
        buf_put_int(writer->buf, value->integer);
        break;
    case VALUE_FLOAT32:
    case VALUE_DOUBLE:
        write_real(writer, value);
        break;
    case VALUE_DECIMAL:
        write_decimal(writer, value);
        break;
    case VALUE_BIGINT:
        buf_add(writer->buf, value->string.bytes, value->string.length);
        break;
    case VALUE_STRING:
    case VALUE_URI:
        write_text(writer, value->string.bytes, value->string.length);
        break;
    case VALUE_BYTES:
        write_bytes(writer, value);
        break;
    case VALUE_LIST:
        return write_list(writer, value);
    case VALUE_MAP:
        return write_map(writer, value);
    case VALUE_INSTANT:
    case VALUE_ZONED:
    case VALUE_LOCAL_DATETIME:
    case VALUE_LOCAL_DATE:
    case VALUE_LOCAL_TIME:
        write_moment(writer, value);
        break;
    case VALUE_DURATION:
        write_duration(writer, value);
        break;
    case VALUE_ENTRY:
        return write_entry(writer, value);
    case VALUE_LAZY:
        return write_lazy(writer, value);
    }
    return has_room(writer);
}

bool value_write_limited(struct buf *buf,
                         const struct value *value,
                         enum value_form form,
                         size_t length_max)
{
    struct writer writer = { buf, form, length_max };
    if (form == FORM_PRINT) {
        if (value_is_null(value))
            return true;
        bool is_collection =
            value->kind == VALUE_LIST || value->kind == VALUE_MAP || value->kind == VALUE_LAZY;
        writer.form = is_collection ? FORM_JSON : FORM_DISPLAY;
    }
    return write_value(&writer, value);
}

void value_write_json(struct buf *buf, const struct value *value)
{
    (void)value_write_limited(buf, value, FORM_JSON, SIZE_MAX);
}

char *value_to_json(struct arena *arena, const struct value *value)
{
    struct buf buf = { 0 };
    value_write_json(&buf, value);
    char *text = buf_dup(&buf, arena);
    buf_free(&buf);
    return text;
}

void value_write_json_full(struct buf *buf, const struct value *value)
{
    (void)value_write_limited(buf, value, FORM_JSON_FULL, SIZE_MAX);
}

void value_write_print(struct buf *buf, const struct value *value)
{
    (void)value_write_limited(buf, value, FORM_PRINT, SIZE_MAX);
}

void value_write_display(struct buf *buf, const struct value *value)
{
    (void)value_write_limited(buf, value, FORM_DISPLAY, SIZE_MAX);
}
