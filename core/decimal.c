/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schoolbook arithmetic on decimal digits: numbers are short and rare here, and decimal digits
 * make scale and rounding plain.
 */
#include "core/decimal.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"

#define TEXT_DIGITS_MAX 100U
#define EXPONENT_MAX    400

static void strip(struct decimal *number)
{
    uint32_t zeros = 0;
    while (zeros < number->count && number->digits[zeros] == 0)
        zeros++;
    if (zeros > 0)
        memmove(number->digits, number->digits + zeros, number->count - zeros);
    number->count -= zeros;
    if (number->count == 0)
        number->negative = false;
}

bool decimal_parse(const char *text, size_t length, struct decimal *out)
{
    const char *at = text;
    const char *end = text + length;
    struct decimal number = { .count = 0 };
    bool any = false;
    bool behind_point = false;
    if (at < end && (*at == '-' || *at == '+'))
        number.negative = *at++ == '-';
    for (; at < end && ((*at >= '0' && *at <= '9') || (*at == '.' && !behind_point)); at++) {
        if (*at == '.') {
            behind_point = true;
            continue;
        }
        if (number.count == TEXT_DIGITS_MAX)
            return false;
        any = true;
        number.digits[number.count++] = (uint8_t)(*at - '0');
        number.scale += behind_point ? 1 : 0;
    }
    if (!any)
        return false;
    if (at < end && (*at == 'e' || *at == 'E')) {
        int32_t exponent = 0;
        bool negative = false;
        at++;
        if (at < end && (*at == '-' || *at == '+'))
            negative = *at++ == '-';
        if (at == end)
            return false;
        for (; at < end && *at >= '0' && *at <= '9'; at++) {
            exponent = exponent * 10 + (*at - '0');
            if (exponent > EXPONENT_MAX)
                return false;
        }
        number.scale += negative ? exponent : -exponent;
    }
    strip(&number);
    *out = number;
    return at == end;
}

void decimal_write(struct buf *buf, const struct decimal *number)
{
    static const uint8_t zero = 0;
    const uint8_t *digits = number->count == 0 ? &zero : number->digits;
    int32_t count = number->count == 0 ? 1 : (int32_t)number->count;
    if (number->negative)
        buf_putc(buf, '-');
    if (number->scale < 0) {
        for (int32_t i = 0; i < count; i++) {
            if (i == 1)
                buf_putc(buf, '.');
            buf_putc(buf, (char)('0' + digits[i]));
        }
        buf_puts(buf, "E+");
        buf_put_int(buf, count - 1 - number->scale);
        return;
    }
    int32_t whole = count - number->scale; // digits before the point
    if (whole <= 0) {
        buf_puts(buf, "0.");
        for (int32_t i = whole; i < 0; i++)
            buf_putc(buf, '0');
    }
    for (int32_t i = 0; i < count; i++) {
        if (i > 0 && i == whole)
            buf_putc(buf, '.');
        buf_putc(buf, (char)('0' + digits[i]));
    }
}

/* Appends zeros, keeping the value. */
static void widen(struct decimal *number, int32_t scale)
{
    CHECK(scale >= number->scale);
    uint32_t zeros = number->count == 0 ? 0 : (uint32_t)(scale - number->scale);
    CHECK(number->count + zeros <= DECIMAL_DIGITS_MAX);
    memset(number->digits + number->count, 0, zeros);
    number->count += zeros;
    number->scale = scale;
}

/* Order of the digits of two numbers of one scale. */
static int compare_digits(const struct decimal *a, const struct decimal *b)
{
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    return memcmp(a->digits, b->digits, a->count);
}

/* |a| + |b| or |a| - |b| (with |a| at least |b|), of one scale. */
static void combine(const struct decimal *a,
                    const struct decimal *b,
                    bool subtract,
                    struct decimal *out)
{
    uint32_t count = (a->count > b->count ? a->count : b->count) + 1;
    CHECK(count <= DECIMAL_DIGITS_MAX);
    int carry = 0;
    for (uint32_t i = 0; i < count; i++) {
        int x = i < a->count ? a->digits[a->count - 1 - i] : 0;
        int y = i < b->count ? b->digits[b->count - 1 - i] : 0;
        int sum = subtract ? x - y + carry : x + y + carry;
        carry = subtract ? (sum < 0 ? -1 : 0) : sum / 10;
        out->digits[count - 1 - i] = (uint8_t)((sum + 10) % 10);
    }
    out->count = count;
    out->scale = a->scale;
}

void decimal_add(const struct decimal *a, const struct decimal *b, struct decimal *out)
{
    struct decimal x = *a;
    struct decimal y = *b;
    int32_t scale = x.scale > y.scale ? x.scale : y.scale;
    widen(&x, scale);
    widen(&y, scale);
    if (x.negative == y.negative) {
        combine(&x, &y, false, out);
        out->negative = x.negative;
    } else if (compare_digits(&x, &y) >= 0) {
        combine(&x, &y, true, out);
        out->negative = x.negative;
    } else {
        combine(&y, &x, true, out);
        out->negative = y.negative;
    }
    strip(out);
}

void decimal_subtract(const struct decimal *a, const struct decimal *b, struct decimal *out)
{
    struct decimal negated = *b;
    negated.negative = !b->negative && b->count > 0;
    decimal_add(a, &negated, out);
}

/* Adds one to the last digit. */
static void increment(struct decimal *number)
{
    uint32_t i = number->count;
    while (i > 0 && number->digits[i - 1] == 9)
        number->digits[--i] = 0;
    if (i > 0) {
        number->digits[i - 1]++;
        return;
    }
    number->digits[0] = 1; // 999 became 1000: the last zero goes
    number->scale--;
}

/* Half-even to 34 digits; `inexact` says that more digits, not all zero, would follow. */
static void round_to_precision(struct decimal *number, bool inexact)
{
    if (number->count <= DECIMAL_PRECISION)
        return;
    uint8_t next = number->digits[DECIMAL_PRECISION];
    for (uint32_t i = DECIMAL_PRECISION + 1; i < number->count; i++)
        inexact = inexact || number->digits[i] != 0;
    number->scale -= (int32_t)(number->count - DECIMAL_PRECISION);
    number->count = DECIMAL_PRECISION;
    bool is_odd = number->digits[DECIMAL_PRECISION - 1] % 2 == 1;
    if (next > 5 || (next == 5 && (inexact || is_odd)))
        increment(number);
}

void decimal_multiply(const struct decimal *a, const struct decimal *b, struct decimal *out)
{
    struct decimal product = { .negative = a->negative != b->negative,
                               .scale = a->scale + b->scale,
                               .count = a->count + b->count };
    CHECK(product.count <= DECIMAL_DIGITS_MAX);
    for (uint32_t i = a->count; i-- > 0;) {
        unsigned carry = 0;
        for (uint32_t j = b->count; j-- > 0;) {
            unsigned sum = product.digits[i + j + 1] + a->digits[i] * 1U * b->digits[j] + carry;
            product.digits[i + j + 1] = (uint8_t)(sum % 10);
            carry = sum / 10;
        }
        if (b->count > 0)
            product.digits[i] = (uint8_t)(product.digits[i] + carry);
    }
    strip(&product);
    round_to_precision(&product, false);
    *out = product;
}

/*
 * Long division of digits: `places` digits of a ÷ b, the first that of the leading digit of a; what
 * is left goes to *rest, which has a's scale when places is a's count.
 */
static void divide_digits(const struct decimal *a,
                          const struct decimal *b,
                          uint32_t places,
                          struct decimal *quotient,
                          struct decimal *rest)
{
    CHECK(places <= DECIMAL_DIGITS_MAX);
    *quotient = (struct decimal){ .count = places };
    *rest = (struct decimal){ .count = 0 };
    struct decimal divisor = *b;
    divisor.negative = false;
    divisor.scale = 0;
    for (uint32_t i = 0; i < places; i++) {
        CHECK(rest->count < DECIMAL_DIGITS_MAX);
        rest->digits[rest->count++] = i < a->count ? a->digits[i] : 0;
        strip(rest);
        while (compare_digits(rest, &divisor) >= 0) {
            struct decimal less;
            combine(rest, &divisor, true, &less);
            less.negative = false;
            strip(&less);
            *rest = less;
            quotient->digits[i]++;
        }
    }
}

bool decimal_divide(const struct decimal *a, const struct decimal *b, struct decimal *out)
{
    struct decimal quotient;
    struct decimal rest;
    int32_t preferred = a->scale - b->scale;
    if (b->count == 0)
        return false;
    if (a->count == 0) {
        *out = (struct decimal){ .scale = preferred };
        return true;
    }
    // One digit more than needed decides the rounding; the first digits may be zero.
    uint32_t places = a->count + b->count + DECIMAL_PRECISION + 1;
    divide_digits(a, b, places, &quotient, &rest);
    quotient.negative = a->negative != b->negative;
    quotient.scale = preferred + (int32_t)(places - a->count);
    strip(&quotient);
    round_to_precision(&quotient, rest.count > 0);
    while (quotient.scale > preferred && quotient.digits[quotient.count - 1] == 0) {
        quotient.count--;
        quotient.scale--;
    }
    *out = quotient;
    return true;
}

bool decimal_remainder(const struct decimal *a, const struct decimal *b, struct decimal *out)
{
    struct decimal x = *a;
    struct decimal y = *b;
    struct decimal quotient;
    int32_t scale = x.scale > y.scale ? x.scale : y.scale;
    if (y.count == 0)
        return false;
    widen(&x, scale);
    widen(&y, scale);
    divide_digits(&x, &y, x.count, &quotient, out);
    strip(&quotient);
    if (quotient.count > DECIMAL_PRECISION)
        return false;
    out->negative = x.negative && out->count > 0;
    out->scale = scale;
    return true;
}
