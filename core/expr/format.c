/* SPDX-License-Identifier: Apache-2.0 */
/* printf-style patterns, with the conversions and the rounding of Java's Formatter. */
#include "core/expr/format.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/unicode.h"
#include "core/decimal.h"
#include "core/expr/eval.h"

/* Width and precision of one conversion. */
#define FORMAT_WIDTH_MAX 100000

struct spec {
    bool left;
    bool zeros;
    bool plus;
    bool space;
    bool group;
    bool parentheses;
    bool alternate;
    int width;
    int precision; /* -1: not given */
    char conversion;
    int index;     /* `%2$s`; 0: the next argument */
    bool is_again; /* `%<s`: the argument of the conversion before */
};

struct formatter {
    struct call *call;
    struct buf out;
    size_t next; /* argument */
    size_t last; /* argument that was used, SIZE_MAX: none yet */
};

static bool flag_of(struct spec *spec, char c)
{
    switch (c) {
    case '-':
        spec->left = true;
        return true;
    case '0':
        spec->zeros = true;
        return true;
    case '+':
        spec->plus = true;
        return true;
    case ' ':
        spec->space = true;
        return true;
    case ',':
        spec->group = true;
        return true;
    case '(':
        spec->parentheses = true;
        return true;
    case '#':
        spec->alternate = true;
        return true;
    default:
        return false;
    }
}

/* Decimal digits; -1 when the number is too large, 0 when there is none. */
static int number_at(const char **at, const char *end)
{
    int number = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        number = number * 10 + (**at - '0');
        if (number > FORMAT_WIDTH_MAX)
            return -1;
    }
    return number;
}

/* What follows `%`. */
static bool parse_spec(const char **at, const char *end, struct spec *spec)
{
    *spec = (struct spec){ .precision = -1 };
    const char *behind = *at;
    int index = number_at(&behind, end);
    if (index > 0 && behind < end && *behind == '$') {
        spec->index = index;
        *at = behind + 1;
    } else if (*at < end && **at == '<') {
        spec->is_again = true;
        (*at)++;
    }
    while (*at < end && flag_of(spec, **at))
        (*at)++;
    spec->width = number_at(at, end);
    if (*at < end && **at == '.') {
        (*at)++;
        if (*at == end || **at < '0' || **at > '9')
            return false;
        spec->precision = number_at(at, end);
        if (spec->precision < 0)
            return false;
    }
    if (*at == end || spec->width < 0)
        return false;
    spec->conversion = *(*at)++;
    return true;
}

static void pad(struct buf *out, char c, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_putc(out, c);
}

/* A text in its field. */
static void put_text(struct buf *out, const struct spec *spec, const char *text, size_t length)
{
    size_t shown = utf16_length(text, length);
    size_t fill = shown < (size_t)spec->width ? (size_t)spec->width - shown : 0;
    if (!spec->left)
        pad(out, ' ', fill);
    buf_add(out, text, length);
    if (spec->left)
        pad(out, ' ', fill);
}

/* Digits of a whole part with commas. */
static void put_grouped(struct buf *out, const char *digits, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            buf_putc(out, ',');
        buf_putc(out, digits[i]);
    }
}

/* A number given by its digits without a sign, such as `1234.50` or `1.5e+10`. */
static void put_number(struct buf *out, const struct spec *spec, const char *digits, bool negative)
{
    struct buf body = { 0 };
    const char *sign = "";
    if (negative)
        sign = spec->parentheses ? "(" : "-";
    else if (spec->plus || spec->space)
        sign = spec->plus ? "+" : " ";
    size_t whole = strspn(digits, "0123456789");
    if (spec->group)
        put_grouped(&body, digits, whole);
    else
        buf_add(&body, digits, whole);
    buf_puts(&body, digits + whole);
    if (negative && spec->parentheses)
        buf_putc(&body, ')');
    size_t length = strlen(sign) + body.length;
    size_t fill = length < (size_t)spec->width ? (size_t)spec->width - length : 0;
    bool zeros = spec->zeros && whole > 0;
    if (!spec->left && !zeros)
        pad(out, ' ', fill);
    buf_puts(out, sign);
    if (!spec->left && zeros)
        pad(out, '0', fill);
    buf_add(out, body.bytes, body.length);
    if (spec->left)
        pad(out, ' ', fill);
    buf_free(&body);
}

/* ---- conversions ---- */

static bool mismatch(struct formatter *f, const struct spec *spec, const struct value *value)
{
    (void)call_fail(f->call, "%%%c does not take %s", spec->conversion, value_kind_name(value));
    return false;
}

static bool put_string(struct formatter *f, const struct spec *spec, const struct value *value)
{
    const struct value *text = display(f->call->ev, f->call->node, value);
    if (text == NULL)
        return false;
    if (spec->precision >= 0)
        text = utf16_slice(f->call->ev->arena, text, 0, (size_t)spec->precision);
    size_t length = text->string.length;
    const char *bytes = text->string.bytes;
    if (spec->conversion == 'S')
        bytes = unicode_changed(f->call->ev->arena, UNICODE_UPPER, bytes, length, &length);
    put_text(&f->out, spec, bytes, length);
    return true;
}

static bool put_decimal(struct formatter *f, const struct spec *spec, const struct value *value)
{
    if (value->kind != VALUE_INT && value->kind != VALUE_BIGINT)
        return mismatch(f, spec, value);
    const struct value *text = display(f->call->ev, f->call->node, value);
    if (text == NULL)
        return false;
    bool negative = text->string.bytes[0] == '-';
    put_number(&f->out, spec, text->string.bytes + (negative ? 1 : 0), negative);
    return true;
}

/* %x %X %o: two's complement of 64 bits. */
static bool put_radix(struct formatter *f, const struct spec *spec, const struct value *value)
{
    char digits[32];
    if (value->kind != VALUE_INT)
        return mismatch(f, spec, value);
    const char *prefix = !spec->alternate          ? ""
                         : spec->conversion == 'o' ? "0"
                         : spec->conversion == 'x' ? "0x"
                                                   : "0X";
    struct buf body = { 0 };
    unsigned long bits = (unsigned long)value->integer;
    if (spec->conversion == 'o')
        (void)snprintf(digits, sizeof(digits), "%lo", bits);
    else if (spec->conversion == 'x')
        (void)snprintf(digits, sizeof(digits), "%lx", bits);
    else
        (void)snprintf(digits, sizeof(digits), "%lX", bits);
    buf_puts(&body, prefix);
    size_t length = strlen(prefix) + strlen(digits);
    if (spec->zeros && length < (size_t)spec->width)
        pad(&body, '0', (size_t)spec->width - length);
    buf_puts(&body, digits);
    put_text(&f->out, spec, body.bytes, body.length);
    buf_free(&body);
    return true;
}

static bool put_character(struct formatter *f, const struct spec *spec, const struct value *value)
{
    struct buf text = { 0 };
    if (value->kind != VALUE_INT)
        return mismatch(f, spec, value);
    if (value->integer < 0 || value->integer > 0x10ffff ||
        (value->integer >= 0xd800 && value->integer <= 0xdfff)) {
        (void)call_fail(f->call, "%%c takes a code point, not %lld", (long long)value->integer);
        return false;
    }
    buf_put_utf8(&text, (uint32_t)value->integer);
    put_text(&f->out, spec, text.bytes, text.length);
    buf_free(&text);
    return true;
}

/*
 * Half-up rounding to `scale` digits behind the point; digits that are missing there are not
 * added. A negative scale rounds before the point.
 */
static void round_half_up(struct decimal *number, int scale)
{
    int drop = number->scale - scale;
    if (drop <= 0)
        return;
    if ((uint32_t)drop > number->count) {
        *number = (struct decimal){ .negative = number->negative, .scale = scale };
        return;
    }
    bool up = number->digits[number->count - (uint32_t)drop] >= 5;
    number->count -= (uint32_t)drop;
    number->scale = scale;
    if (!up)
        return;
    struct decimal one = { .scale = scale, .count = 1, .digits = { 1 } };
    bool negative = number->negative;
    number->negative = false;
    struct decimal sum;
    decimal_add(number, &one, &sum);
    *number = sum;
    number->negative = negative;
}

/* `1234.50` with exactly `precision` digits behind the point. */
static void write_fixed(struct buf *out, const struct decimal *number, int precision)
{
    int whole = (int)number->count - number->scale;
    if (whole <= 0)
        buf_putc(out, '0');
    for (int i = 0; i < whole; i++)
        buf_putc(out, i < (int)number->count ? (char)('0' + number->digits[i]) : '0');
    if (precision == 0)
        return;
    buf_putc(out, '.');
    for (int i = whole; i < whole + precision; i++)
        buf_putc(out, i >= 0 && i < (int)number->count ? (char)('0' + number->digits[i]) : '0');
}

/* `1.234500e+03` */
static void write_exponent(struct buf *out, struct decimal *number, int precision)
{
    int exponent = (int)number->count - number->scale - 1;
    if (number->count == 0)
        exponent = 0;
    else
        round_half_up(number, precision - exponent);
    if (number->count > 0)
        exponent = (int)number->count - number->scale - 1; // 9.99 may have become 10.0
    for (int i = 0; i <= precision; i++) {
        if (i == 1)
            buf_putc(out, '.');
        buf_putc(out, i < (int)number->count ? (char)('0' + number->digits[i]) : '0');
    }
    buf_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', exponent < 0 ? -exponent : exponent);
}

/* %g: fixed between 10^-4 and 10^precision, else with an exponent. */
static void write_general(struct buf *out, struct decimal *number, int precision)
{
    precision = precision == 0 ? 1 : precision;
    int exponent = (int)number->count - number->scale - 1;
    if (number->count > 0)
        round_half_up(number, precision - 1 - exponent);
    exponent = number->count == 0 ? 0 : (int)number->count - number->scale - 1;
    if (exponent >= -4 && exponent < precision)
        write_fixed(out, number, precision - 1 - exponent);
    else
        write_exponent(out, number, precision - 1);
}

static bool put_real(struct formatter *f, const struct spec *spec, const struct value *value)
{
    struct buf body = { 0 };
    struct decimal number;
    bool is_real = value->kind == VALUE_DOUBLE || value->kind == VALUE_FLOAT32;
    if (!is_real && value->kind != VALUE_DECIMAL)
        return mismatch(f, spec, value);
    if (is_real && !isfinite(value->number)) {
        bool negative = value->number < 0;
        put_number(&f->out, spec, isnan(value->number) ? "NaN" : "Infinity", negative);
        return true;
    }
    if (is_real)
        value_write_double(&body, value->number);
    else
        buf_add(&body, value->string.bytes, value->string.length);
    bool negative = *buf_text(&body) == '-';
    bool known = decimal_parse(buf_text(&body), body.length, &number);
    buf_free(&body);
    if (!known) {
        (void)call_fail(f->call, "the number has too many digits");
        return false;
    }
    int precision = spec->precision < 0 ? 6 : spec->precision;
    if (spec->conversion == 'f') {
        round_half_up(&number, precision);
        write_fixed(&body, &number, precision);
    } else if (spec->conversion == 'e') {
        write_exponent(&body, &number, precision);
    } else {
        write_general(&body, &number, precision);
    }
    put_number(&f->out, spec, buf_text(&body), negative);
    buf_free(&body);
    return true;
}

static bool put_boolean(struct formatter *f, const struct spec *spec, const struct value *value)
{
    bool is_true = value->kind == VALUE_BOOL ? value->boolean : value->kind != VALUE_NULL;
    const char *text = is_true ? "true" : "false";
    size_t length = strlen(text);
    if (spec->precision >= 0 && (size_t)spec->precision < length)
        length = (size_t)spec->precision;
    put_text(&f->out, spec, text, length);
    return true;
}

static bool put_lower(struct formatter *f, const struct spec *spec, const struct value *value)
{
    if (spec->conversion == 'b')
        return put_boolean(f, spec, value);
    if (spec->conversion == 's' || spec->conversion == 'S' ||
        (value->kind == VALUE_NULL && strchr("dxXocefgEG", spec->conversion) != NULL))
        return put_string(f, spec, value);
    switch (spec->conversion) {
    case 'd':
        return put_decimal(f, spec, value);
    case 'x':
    case 'X':
    case 'o':
        return put_radix(f, spec, value);
    case 'c':
        return put_character(f, spec, value);
    case 'e':
    case 'f':
    case 'g':
        return put_real(f, spec, value);
    default:
        (void)call_fail(f->call, "there is no conversion '%%%c'", spec->conversion);
        return false;
    }
}

/* One argument; `%E` and its like are the small letter's text in capitals. */
static bool put_argument(struct formatter *f, const struct spec *spec, const struct value *value)
{
    if (strchr("BCEG", spec->conversion) == NULL)
        return put_lower(f, spec, value);
    struct spec small = *spec;
    small.conversion = (char)(spec->conversion - 'A' + 'a');
    size_t from = f->out.length;
    if (!put_lower(f, &small, value))
        return false;
    size_t length = 0;
    const char *text = unicode_changed(f->call->ev->arena, UNICODE_UPPER, buf_text(&f->out) + from,
                                       f->out.length - from, &length);
    f->out.length = from;
    buf_add(&f->out, text, length);
    return true;
}

/* Do flags, width and precision go together, and with the conversion? */
static bool is_sound(const struct spec *spec)
{
    bool is_real = strchr("efgEG", spec->conversion) != NULL;
    bool is_number = is_real || strchr("dxXo", spec->conversion) != NULL;
    bool is_radix = strchr("xXo", spec->conversion) != NULL;
    if (spec->conversion == 'n')
        return spec->width == 0 && spec->precision < 0 && !spec->left;
    if ((spec->left || spec->zeros) && spec->width == 0)
        return false;
    if ((spec->left && spec->zeros) || (spec->plus && spec->space))
        return false;
    if (spec->precision >= 0 && (is_number || strchr("cC%", spec->conversion) != NULL) && !is_real)
        return false;
    if (spec->alternate && (spec->conversion == 'd' || !is_number))
        return false;
    if (spec->group && (is_radix || strchr("eE", spec->conversion) != NULL))
        return false;
    return is_number ||
           !(spec->zeros || spec->plus || spec->space || spec->group || spec->parentheses);
}

static bool put_conversion(struct formatter *f, const char **at, const char *end)
{
    struct spec spec;
    if (!parse_spec(at, end, &spec)) {
        (void)call_fail(f->call, "a conversion behind '%%' is not complete or too wide");
        return false;
    }
    if (!is_sound(&spec)) {
        (void)call_fail(f->call, "flags, width and precision of '%%%c' do not go together",
                        spec.conversion);
        return false;
    }
    if (spec.conversion == '%') {
        put_text(&f->out, &spec, "%", 1);
        return true;
    }
    if (spec.conversion == 'n') {
        buf_putc(&f->out, '\n');
        return true;
    }
    size_t index = spec.is_again ? f->last : spec.index > 0 ? (size_t)spec.index - 1 : f->next++;
    f->last = index;
    if (index >= f->call->count) {
        (void)call_fail(f->call, "there is no argument for '%%%c'", spec.conversion);
        return false;
    }
    if (!charge(f->call->ev, f->call->node, (size_t)spec.width / 64 + 1))
        return false;
    return put_argument(f, &spec, f->call->args[index]);
}

const struct value *format_text(struct call *call, const struct value *pattern)
{
    struct formatter f = { .call = call, .last = SIZE_MAX };
    const char *at = pattern->string.bytes;
    const char *end = at + pattern->string.length;
    bool done = true;
    while (at < end && done) {
        const char *percent = memchr(at, '%', (size_t)(end - at));
        const char *to = percent == NULL ? end : percent;
        buf_add(&f.out, at, (size_t)(to - at));
        at = to;
        if (percent != NULL) {
            at++;
            done = put_conversion(&f, &at, end) && text_fits(call->ev, call->node, f.out.length, 0);
        }
    }
    if (done)
        return text_of(call->ev, call->node, &f.out);
    buf_free(&f.out);
    return NULL;
}
