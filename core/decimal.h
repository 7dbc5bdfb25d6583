/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decimal arithmetic with a scale, as VALUE_DECIMAL needs it: sums are exact, products and
 * quotients are rounded half-even to 34 significant digits.
 *
 * Pure. Operands come from doubles (at most 17 digits, exponents within ±330), which bounds every
 * result; longer texts are refused by decimal_parse().
 */
#ifndef CORE_DECIMAL_H
#define CORE_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

#define DECIMAL_DIGITS_MAX 800U
#define DECIMAL_PRECISION  34U

/* (-1)^negative × digits × 10^-scale; no leading zeros, zero has count 0. */
struct decimal {
    bool negative;
    int32_t scale;
    uint32_t count;
    uint8_t digits[DECIMAL_DIGITS_MAX]; /* most significant first, 0–9 */
};

/*
 * `[-+]digits[.digits][E[-+]digits]`. Returns false when the text is something else, or has more
 * than 100 digits or an exponent beyond ±400.
 */
bool decimal_parse(const char *text, size_t length, struct decimal *out);

/* Plain digits with the scale; with a negative scale `1.2E+5`. */
void decimal_write(struct buf *buf, const struct decimal *number);

void decimal_add(const struct decimal *a, const struct decimal *b, struct decimal *out);
void decimal_subtract(const struct decimal *a, const struct decimal *b, struct decimal *out);
void decimal_multiply(const struct decimal *a, const struct decimal *b, struct decimal *out);

/* False when b is zero. The scale is that of a less that of b, or as large as the digits need. */
bool decimal_divide(const struct decimal *a, const struct decimal *b, struct decimal *out);

/* With the sign of a. False when b is zero or the whole quotient has more than 34 digits. */
bool decimal_remainder(const struct decimal *a, const struct decimal *b, struct decimal *out);

#endif
