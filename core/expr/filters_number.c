/* SPDX-License-Identifier: Apache-2.0 */
/* Filters over numbers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/str.h"
#include "core/decimal.h"
#include "core/expr/eval.h"
#include "core/expr/format.h"

/* Digits of a number in a text, and its exponent: beyond, reading one would cost too much. */
#define NUMBER_BYTES_MAX    10000U
#define NUMBER_EXPONENT_MAX 10000

static const struct value *run_abs(struct call *call)
{
    struct arena *arena = call->ev->arena;
    const struct value *input = call->input;
    if (!value_is_number(input))
        return call_fail(call, "needs a number, not %s", value_kind_name(input));
    if (input->kind == VALUE_INT) {
        uint64_t bits = (uint64_t)input->integer;
        return value_int(arena, input->integer < 0 ? (int64_t)(0U - bits) : input->integer);
    }
    if (input->kind == VALUE_DOUBLE)
        return value_double(arena, fabs(input->number));
    if (input->kind == VALUE_FLOAT32)
        return value_float32(arena, (float)fabs(input->number));
    bool negative = input->string.bytes[0] == '-';
    return value_text(arena, (enum value_kind)input->kind, input->string.bytes + (negative ? 1 : 0),
                      input->string.length - (negative ? 1 : 0));
}

static const struct value *run_number_format(struct call *call)
{
    const struct value *pattern = NULL;
    if (!value_is_number(call->input))
        return call_fail(call, "needs a number, not %s", value_kind_name(call->input));
    return call_text(call, 0, &pattern) ? format_number(call, pattern) : NULL;
}

static const struct value *run_class_name(struct call *call)
{
    static const char *const names[] = {
        [VALUE_NULL] = "",
        [VALUE_BOOL] = "java.lang.Boolean",
        [VALUE_INT] = "java.lang.Long",
        [VALUE_FLOAT32] = "java.lang.Float",
        [VALUE_DOUBLE] = "java.lang.Double",
        [VALUE_DECIMAL] = "java.math.BigDecimal",
        [VALUE_BIGINT] = "java.math.BigInteger",
        [VALUE_STRING] = "java.lang.String",
        [VALUE_LIST] = "java.util.ArrayList",
        [VALUE_MAP] = "java.util.LinkedHashMap",
        [VALUE_INSTANT] = "java.time.Instant",
        [VALUE_ZONED] = "java.time.ZonedDateTime",
        [VALUE_LOCAL_DATETIME] = "java.time.LocalDateTime",
        [VALUE_LOCAL_DATE] = "java.time.LocalDate",
        [VALUE_LOCAL_TIME] = "java.time.LocalTime",
        [VALUE_DURATION] = "java.time.Duration",
        [VALUE_URI] = "java.net.URI",
        [VALUE_ENTRY] = "java.util.Map$Entry",
        [VALUE_BYTES] = "byte[]",
        [VALUE_LAZY] = "java.util.LinkedHashMap",
    };
    bool is_int32 = call->input->kind == VALUE_INT && call->input->is_int32;
    return value_string(call->ev->arena, is_int32 ? "java.lang.Integer" : names[call->input->kind]);
}

/* ---- number ---- */

static const struct value *integer_value(struct call *call, int64_t integer, bool is_int32)
{
    struct value *value = ARENA_NEW(call->ev->arena, struct value);
    value->kind = VALUE_INT;
    value->integer = integer;
    value->is_int32 = is_int32;
    return value;
}

static const struct value *not_a_number(struct call *call)
{
    const struct value *text = call->input;
    return call_fail(call, "'%.*s' is not a number of that kind",
                     text->string.length > 80 ? 80 : (int)text->string.length, text->string.bytes);
}

/* A sign, which is skipped. */
static bool skip_sign(const char **at)
{
    bool negative = **at == '-';
    if (**at == '-' || **at == '+')
        (*at)++;
    return negative;
}

static bool all_digits(const char *at, unsigned radix)
{
    if (*at == '\0')
        return false;
    for (; *at != '\0'; at++) {
        bool is_digit = radix == 8 ? *at >= '0' && *at <= '7' : *at >= '0' && *at <= '9';
        bool is_letter = (*at >= 'a' && *at <= 'f') || (*at >= 'A' && *at <= 'F');
        if (!is_digit && !(radix == 16 && is_letter))
            return false;
    }
    return true;
}

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return (unsigned)(c >= 'a' ? c - 'a' : c - 'A') + 10;
}

/* Decimal text of digits in another radix. */
static char *to_decimal(struct arena *arena, const char *digits, unsigned radix)
{
    size_t size = strlen(digits) * 5 / 4 + 2; // a hexadecimal digit has 1.204 decimal ones
    char *out = arena_bytes_alloc(arena, size + 1);
    memset(out, '0', size);
    out[size] = '\0';
    for (; *digits != '\0'; digits++) {
        unsigned carry = digit_value(*digits);
        for (size_t i = size; i-- > 0;) {
            unsigned sum = (unsigned)(out[i] - '0') * radix + carry;
            out[i] = (char)('0' + sum % 10);
            carry = sum / 10;
        }
    }
    return out;
}

/* The smallest integer that holds sign and decimal digits. */
static const struct value *smallest_integer(struct call *call, bool negative, const char *digits)
{
    while (*digits == '0' && digits[1] != '\0')
        digits++;
    bool is_zero = *digits == '0';
    char *text = arena_printf(call->ev->arena, "%s%s", negative && !is_zero ? "-" : "", digits);
    int64_t integer = 0;
    if (str_to_int(text, INT64_MIN, INT64_MAX, &integer))
        return integer_value(call, integer, integer >= INT32_MIN && integer <= INT32_MAX);
    return value_text(call->ev->arena, VALUE_BIGINT, text, strlen(text));
}

/*
 * A decimal of a text `digits[.digits][e±n]` whose form was checked; NULL when its exponent is out
 * of bounds.
 */
static const struct value *decimal_value(struct call *call, const char *text)
{
    struct buf digits = { 0 };
    struct buf out = { 0 };
    const char *at = text;
    bool negative = skip_sign(&at);
    long scale = 0;
    bool behind_point = false;
    for (; *at != '\0' && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            behind_point = true;
            continue;
        }
        if (digits.length > 0 || *at != '0')
            buf_putc(&digits, *at);
        scale += behind_point ? 1 : 0;
    }
    long exponent = *at == '\0' ? 0 : strtol(at + 1, NULL, 10);
    scale -= exponent;
    if (labs(exponent) > NUMBER_EXPONENT_MAX) {
        buf_free(&digits);
        return call_fail(call, "the exponent is beyond %d", NUMBER_EXPONENT_MAX);
    }
    if (digits.length == 0) {
        buf_putc(&digits, '0');
        negative = false;
    }
    long whole = (long)digits.length - scale;
    buf_puts(&out, negative ? "-" : "");
    if (scale < 0) {
        buf_putc(&out, digits.bytes[0]);
        if (digits.length > 1)
            buf_printf(&out, ".%s", digits.bytes + 1);
        buf_printf(&out, "E+%ld", whole - 1);
    } else if (whole > 0) {
        buf_add(&out, digits.bytes, (size_t)whole);
        if (scale > 0)
            buf_printf(&out, ".%s", digits.bytes + whole);
    } else {
        buf_puts(&out, "0.");
        for (long i = whole; i < 0; i++)
            buf_putc(&out, '0');
        buf_puts(&out, digits.bytes);
    }
    const struct value *value = value_text(call->ev->arena, VALUE_DECIMAL, out.bytes, out.length);
    buf_free(&digits);
    buf_free(&out);
    return value;
}

/* `[-+]digits[.digits][e[-+]digits]`, at least one digit before the exponent. */
static bool is_decimal_text(const char *at)
{
    (void)skip_sign(&at);
    size_t whole = strspn(at, "0123456789");
    at += whole;
    size_t fraction = 0;
    if (*at == '.') {
        fraction = strspn(at + 1, "0123456789");
        at += fraction + 1;
    }
    if (whole + fraction == 0)
        return false;
    if (*at == 'e' || *at == 'E') {
        at++;
        (void)skip_sign(&at);
        size_t exponent = strspn(at, "0123456789");
        if (exponent == 0)
            return false;
        at += exponent;
    }
    return *at == '\0';
}

static bool same_value(const char *a, const char *b)
{
    struct decimal x;
    struct decimal y;
    struct decimal difference;
    if (!decimal_parse(a, strlen(a), &x) || !decimal_parse(b, strlen(b), &y))
        return false;
    if (labs((long)x.scale - y.scale) > 400)
        return false;
    decimal_subtract(&x, &y, &difference);
    return difference.count == 0;
}

/* The smallest of float32, double and decimal that holds the text exactly enough. */
static const struct value *smallest_real(struct call *call, const char *text)
{
    struct buf as_float = { 0 };
    struct buf as_double = { 0 };
    float narrow = strtof(text, NULL);
    double wide = strtod(text, NULL);
    value_write_float32(&as_float, narrow);
    value_write_double(&as_double, wide);
    const struct value *value = NULL;
    // What is not zero must not become it.
    bool is_zero = strcspn(text, "123456789") >= strcspn(text, "eE");
    if (isfinite(narrow) && (is_zero || narrow != 0) &&
        strcmp(buf_text(&as_float), buf_text(&as_double)) == 0)
        value = value_float32(call->ev->arena, narrow);
    else if (isfinite(wide) && (is_zero || wide != 0) && same_value(buf_text(&as_double), text))
        value = value_double(call->ev->arena, wide);
    buf_free(&as_float);
    buf_free(&as_double);
    return value != NULL ? value : decimal_value(call, text);
}

/* `5L`, `1.5f`, `2d`; NULL without a failure when there is no such suffix. */
static const struct value *suffixed(struct call *call, const char *text)
{
    size_t length = strlen(text);
    char *number = arena_strndup(call->ev->arena, text, length - 1);
    char suffix = text[length - 1];
    const char *digits = number;
    bool negative = skip_sign(&digits);
    if (suffix == 'L' || suffix == 'l') {
        if (!all_digits(digits, 10))
            return not_a_number(call);
        const struct value *value = smallest_integer(call, negative, digits);
        return value->kind == VALUE_INT ? integer_value(call, value->integer, false) : value;
    }
    if (strchr("fFdD", suffix) == NULL)
        return NULL;
    if (!is_decimal_text(number))
        return not_a_number(call);
    if (suffix == 'f' || suffix == 'F')
        return value_float32(call->ev->arena, strtof(number, NULL));
    return value_double(call->ev->arena, strtod(number, NULL));
}

/* Sign, `0x` or `#` and hexadecimal digits, `0` and octal digits, or decimal digits. */
static const struct value *any_integer(struct call *call, const char *text)
{
    const char *at = text;
    bool negative = skip_sign(&at);
    unsigned radix = 10;
    if (*at == '#' || (*at == '0' && (at[1] == 'x' || at[1] == 'X'))) {
        radix = 16;
        at += *at == '#' ? 1 : 2;
    } else if (*at == '0' && at[1] != '\0') {
        radix = 8;
    }
    if (!all_digits(at, radix))
        return not_a_number(call);
    return smallest_integer(call, negative,
                            radix == 10 ? at : to_decimal(call->ev->arena, at, radix));
}

static const struct value *untyped(struct call *call, const char *text)
{
    const char *at = text;
    (void)skip_sign(&at);
    bool is_hex = *at == '#' || (*at == '0' && (at[1] == 'x' || at[1] == 'X'));
    if (is_hex)
        return any_integer(call, text);
    if (*at == '\0')
        return not_a_number(call);
    const struct value *value = suffixed(call, text);
    if (value != NULL || call->ev->run->failure != EXPR_OK)
        return value;
    if (strpbrk(text, ".eE") != NULL)
        return is_decimal_text(text) ? smallest_real(call, text) : not_a_number(call);
    return any_integer(call, text);
}

static const struct value *typed_integer(struct call *call, const char *text, bool is_int)
{
    const struct value *value = any_integer(call, text);
    if (value == NULL)
        return NULL;
    bool fits = value->kind == VALUE_INT &&
                (!is_int || (value->integer >= INT32_MIN && value->integer <= INT32_MAX));
    return fits ? integer_value(call, value->integer, is_int) : not_a_number(call);
}

/* Blanks around are fine here. */
static const struct value *typed_real(struct call *call, const char *text, bool is_float)
{
    double number = 0;
    while (*text != '\0' && (unsigned char)*text <= ' ')
        text++;
    char *copy = arena_strdup(call->ev->arena, text);
    size_t length = strlen(copy);
    while (length > 0 && (unsigned char)copy[length - 1] <= ' ')
        copy[--length] = '\0';
    if (length > 1 && strchr("fFdD", copy[length - 1]) != NULL)
        copy[length - 1] = '\0';
    const char *word = copy + (*copy == '-' || *copy == '+' ? 1 : 0);
    bool is_word = strcmp(word, "NaN") == 0 || strcmp(word, "Infinity") == 0;
    const char *plain = is_word && *copy == '+' ? copy + 1 : copy;
    if ((!is_word && !is_decimal_text(copy)) || !str_to_double(plain, &number))
        return not_a_number(call);
    if (is_float)
        return value_float32(call->ev->arena, is_word ? (float)number : strtof(copy, NULL));
    return value_double(call->ev->arena, number);
}

static const struct value *typed_big(struct call *call, const char *text)
{
    const struct value *value = any_integer(call, text);
    if (value == NULL || value->kind == VALUE_BIGINT)
        return value;
    const struct value *digits = display(call->ev, call->node, value);
    return digits == NULL ? NULL
                          : value_text(call->ev->arena, VALUE_BIGINT, digits->string.bytes,
                                       digits->string.length);
}

static const struct value *run_number(struct call *call)
{
    const struct value *type = NULL;
    if (!call_needs_string(call) || !call_text(call, 0, &type))
        return NULL;
    if (type == NULL && call->args[0] != NULL)
        return call_fail(call, "argument 'type' must not be null");
    const struct value *input = call->input;
    const char *text = input->string.bytes;
    if (input->string.length > NUMBER_BYTES_MAX || strlen(text) != input->string.length)
        return not_a_number(call);
    if (!charge(call->ev, call->node, input->string.length * input->string.length / 64))
        return NULL;
    const char *kind = type == NULL ? "" : type->string.bytes;
    if (str_eq(kind, "INT") || str_eq(kind, "LONG"))
        return typed_integer(call, text, str_eq(kind, "INT"));
    if (str_eq(kind, "FLOAT") || str_eq(kind, "DOUBLE"))
        return typed_real(call, text, str_eq(kind, "FLOAT"));
    if (str_eq(kind, "BIGINTEGER"))
        return typed_big(call, text);
    if (str_eq(kind, "BIGDECIMAL"))
        return is_decimal_text(text) ? decimal_value(call, text) : not_a_number(call);
    return untyped(call, text);
}

static const struct builtin rows[] = {
    { "abs", "", run_abs, BUILTIN_TAKES_NULL, "The number without its sign." },
    { "className", "", run_class_name, 0, "The type of a value, for debugging." },
    { "number", "type", run_number, 0,
      "Reads a number: INT, LONG, FLOAT, DOUBLE, BIGINTEGER, BIGDECIMAL, or what fits." },
    { "numberFormat", "format", run_number_format, 0,
      "Formats a number by a pattern such as '#,##0.00'." },
};

const struct builtin_table filters_number = { NODE_FILTER, rows, COUNT_OF(rows) };
