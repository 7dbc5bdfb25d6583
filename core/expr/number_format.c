/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decimal patterns: `#,##0.00`, `0.0%`, `0.###E0`, `0;(0)`. Symbols are those of en-US; doubles are
 * rounded half-even on their exact binary value.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "core/decimal.h"
#include "core/expr/eval.h"
#include "core/expr/format.h"

#define PATTERN_BYTES_MAX 500U
#define FRACTION_MAX      340 /* digits behind the point where the pattern sets no limit */
#define PERMILLE          "\xe2\x80\xb0"
#define CURRENCY          "\xc2\xa4"

/* Prefix or suffix, quotes undone. */
struct affix {
    char text[PATTERN_BYTES_MAX + 1];
    size_t length;
};

struct pattern {
    struct affix prefix;
    struct affix suffix;
    struct affix negative_prefix;
    struct affix negative_suffix;
    bool has_negative;
    int multiplier; /* 1, 100 or 1000 */
    int integer_min;
    int integer_max; /* with an exponent */
    int fraction_min;
    int fraction_max;
    int group; /* digits, 0: none */
    bool point_always;
    bool has_exponent;
    int exponent_min;
};

/* Counts of the number part, in the order left to right: # 0 #. */
struct counts {
    int left;
    int zeros;
    int right;
    int group; /* digits since the last comma, -1: no comma */
    int point; /* digits before the point, -1: no point */
};

/* The currency of en-US: `¤` its sign, `¤¤` its code. Leaves *at on the last byte. */
static void put_currency(const char **at, struct affix *affix)
{
    bool is_code = strncmp(*at + 2, CURRENCY, 2) == 0;
    const char *text = is_code ? "USD" : "$";
    memcpy(affix->text + affix->length, text, strlen(text));
    affix->length += strlen(text);
    *at += is_code ? 3 : 1;
}

/* An affix up to a digit, the separator or the end; it goes on where it left off. */
static bool parse_affix(const char **at, struct affix *affix, int *multiplier)
{
    bool quoted = false;
    for (; **at != '\0'; (*at)++) {
        char c = **at;
        if (c == '\'') {
            if ((*at)[1] == '\'')
                affix->text[affix->length++] = *++(*at);
            else
                quoted = !quoted;
            continue;
        }
        if (!quoted && strchr("#0,.;", c) != NULL)
            break;
        bool is_permille = !quoted && strncmp(*at, PERMILLE, 3) == 0;
        if (is_permille || (!quoted && c == '%')) {
            if (*multiplier != 1)
                return false; // one is enough
            *multiplier = is_permille ? 1000 : 100;
        }
        if (!quoted && strncmp(*at, CURRENCY, 2) == 0) {
            put_currency(at, affix);
            continue;
        }
        affix->text[affix->length++] = c;
    }
    return !quoted;
}

static bool parse_exponent(const char **at, struct pattern *pattern, const struct counts *counts)
{
    pattern->has_exponent = true;
    for ((*at)++; **at == '0'; (*at)++)
        pattern->exponent_min++;
    return pattern->exponent_min > 0 && counts->left + counts->zeros > 0;
}

static bool parse_digits(const char **at, struct pattern *pattern, struct counts *counts)
{
    for (;; (*at)++) {
        bool before_point = counts->point < 0;
        if (**at == '#') {
            if (counts->zeros > 0)
                counts->right++;
            else
                counts->left++;
        } else if (**at == '0') {
            if (counts->right > 0)
                return false;
            counts->zeros++;
        } else if (**at == ',') {
            counts->group = 0;
            continue;
        } else if (**at == '.') {
            if (!before_point)
                return false;
            counts->point = counts->left + counts->zeros + counts->right;
            continue;
        } else if (**at == 'E') {
            return parse_exponent(at, pattern, counts);
        } else {
            return true;
        }
        if (counts->group >= 0 && before_point)
            counts->group++;
    }
}

static bool apply_counts(struct pattern *pattern, struct counts *counts)
{
    if (counts->zeros == 0 && counts->left > 0 && counts->point >= 0) {
        int n = counts->point == 0 ? 1 : counts->point; // "#.##" has one digit before the point
        counts->right = counts->left - n;
        counts->left = n - 1;
        counts->zeros = 1;
    }
    int total = counts->left + counts->zeros + counts->right;
    int point = counts->point;
    if (total == 0 && point < 0 && counts->group < 0 && !pattern->has_exponent)
        return true; // text alone stands before the digits
    if ((point < 0 && counts->right > 0) || counts->group == 0 ||
        (point >= 0 && (point < counts->left || point > counts->left + counts->zeros)))
        return false;
    pattern->integer_min = (point >= 0 ? point : total) - counts->left;
    pattern->integer_max = counts->left + pattern->integer_min;
    pattern->fraction_max = point >= 0 ? total - point : 0;
    pattern->fraction_min = point >= 0 ? counts->left + counts->zeros - point : 0;
    pattern->group = counts->group > 0 ? counts->group : 0;
    pattern->point_always = point == 0 || point == total;
    return total > 0;
}

/* Digits and what stands behind them; digits that follow after that count like the first. */
static bool parse_number_part(const char **at,
                              struct pattern *pattern,
                              struct counts *counts,
                              struct affix *suffix,
                              int *multiplier)
{
    *counts = (struct counts){ .group = -1, .point = -1 };
    do {
        if (!parse_digits(at, pattern, counts) || !parse_affix(at, suffix, multiplier))
            return false;
    } while (**at != '\0' && **at != ';');
    return true;
}

static bool same_affix(const struct affix *a, const struct affix *b)
{
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

static bool parse_pattern(const char *text, struct pattern *pattern)
{
    struct counts counts;
    struct counts ignored;
    struct pattern other = { 0 };
    *pattern = (struct pattern){ .multiplier = 1 };
    if (*text == '\0') {
        pattern->group = 3;
        pattern->fraction_max = FRACTION_MAX;
        return true;
    }
    if (!parse_affix(&text, &pattern->prefix, &pattern->multiplier) ||
        !parse_number_part(&text, pattern, &counts, &pattern->suffix, &pattern->multiplier) ||
        !apply_counts(pattern, &counts))
        return false;
    if (*text == '\0')
        return true;
    text++;
    int multiplier = 1;
    if (!parse_affix(&text, &pattern->negative_prefix, &multiplier) ||
        !parse_number_part(&text, &other, &ignored, &pattern->negative_suffix, &multiplier) ||
        *text != '\0')
        return false;
    // Nothing would tell the two apart: then the minus does.
    pattern->has_negative = !same_affix(&pattern->prefix, &pattern->negative_prefix) ||
                            !same_affix(&pattern->suffix, &pattern->negative_suffix);
    return true;
}

/* ---- digits of numbers ---- */

/* Without leading and trailing zeros: 0.d1d2d3… × 10^point. */
struct digit_list {
    char digits[1600];
    int count;
    int point;
};

static void trim_digits(struct digit_list *list)
{
    int zeros = 0;
    while (zeros < list->count && list->digits[zeros] == '0')
        zeros++;
    memmove(list->digits, list->digits + zeros, (size_t)(list->count - zeros));
    list->count -= zeros;
    list->point -= zeros;
    while (list->count > 0 && list->digits[list->count - 1] == '0')
        list->count--;
    if (list->count == 0)
        list->point = 0;
}

/* From `123.45` or `1.2345e+02`. */
static void digits_of_text(struct digit_list *list, const char *text)
{
    bool behind_point = false;
    *list = (struct digit_list){ .count = 0 };
    for (; *text != '\0' && *text != 'e' && *text != 'E'; text++) {
        if (*text == '.') {
            behind_point = true;
        } else if (list->count < (int)sizeof(list->digits)) {
            list->digits[list->count++] = *text;
            list->point += behind_point ? 0 : 1;
        }
    }
    if (*text != '\0')
        list->point += (int)strtol(text + 1, NULL, 10);
    trim_digits(list);
}

/* Half-even to so many digits of the list (which has all digits of the number). */
static void round_digits(struct digit_list *list, int keep)
{
    if (keep >= list->count)
        return;
    if (keep < 0) {
        list->count = 0;
        list->point = 0;
        return;
    }
    bool exact_half = list->digits[keep] == '5' && list->count == keep + 1;
    bool is_odd = keep > 0 && (list->digits[keep - 1] - '0') % 2 == 1;
    bool up = list->digits[keep] > '5' || (list->digits[keep] == '5' && (!exact_half || is_odd));
    list->count = keep;
    int i = keep;
    while (up && i > 0 && list->digits[i - 1] == '9')
        list->digits[--i] = '0';
    if (up && i > 0) {
        list->digits[i - 1]++;
    } else if (up) {
        memmove(list->digits + 1, list->digits, (size_t)list->count);
        list->digits[0] = '1';
        list->count++;
        list->point++;
    }
    trim_digits(list);
}

/* Does the pattern round a number of these digits? */
static bool is_rounding(const struct pattern *pattern, const struct digit_list *list)
{
    if (pattern->has_exponent)
        return pattern->integer_max + pattern->fraction_max < list->count;
    return list->point + pattern->fraction_max < list->count;
}

/* The digits of its shortest text or, where they must be rounded, all that it has. */
static void digits_of_double(struct digit_list *list, const struct pattern *pattern, double number)
{
    char text[1600];
    struct buf shortest = { 0 };
    value_write_double(&shortest, fabs(number));
    digits_of_text(list, buf_text(&shortest));
    buf_free(&shortest);
    if (!is_rounding(pattern, list))
        return;
    // 1,074 decimals hold every double exactly.
    (void)snprintf(text, sizeof(text), "%.1074f", fabs(number));
    digits_of_text(list, text);
}

/* All digits of the number times the multiplier; false when there are too many. */
static bool digits_of_value(struct digit_list *list,
                            const struct pattern *pattern,
                            const struct value *value)
{
    char text[32];
    int zeros = pattern->multiplier == 1 ? 0 : pattern->multiplier == 100 ? 2 : 3;
    if (value->kind == VALUE_DOUBLE || value->kind == VALUE_FLOAT32) {
        digits_of_double(list, pattern, value->number * pattern->multiplier);
        return true;
    }
    if (value->kind == VALUE_INT) {
        (void)snprintf(text, sizeof(text), "%lld", (long long)value->integer);
        digits_of_text(list, text + (text[0] == '-' ? 1 : 0));
    } else {
        struct decimal number;
        if (!decimal_parse(value->string.bytes, value->string.length, &number))
            return false;
        for (uint32_t i = 0; i < number.count; i++)
            list->digits[i] = (char)('0' + number.digits[i]);
        list->count = (int)number.count;
        list->point = (int)number.count - number.scale;
        trim_digits(list);
    }
    list->point += list->count == 0 ? 0 : zeros;
    return true;
}

static char digit_at(const struct digit_list *list, int i)
{
    return i >= 0 && i < list->count ? list->digits[i] : '0';
}

static void write_plain(struct buf *out, const struct pattern *pattern, struct digit_list *list)
{
    round_digits(list, list->point + pattern->fraction_max);
    int whole = list->point > pattern->integer_min ? list->point : pattern->integer_min;
    int fraction = list->count - list->point;
    fraction = fraction > pattern->fraction_min ? fraction : pattern->fraction_min;
    if (list->count == 0)
        fraction = pattern->fraction_min;
    if (whole <= 0 && fraction <= 0)
        whole = 1; // something must be seen
    for (int i = whole; i > 0; i--) {
        buf_putc(out, digit_at(list, list->point - i));
        if (pattern->group > 0 && i > 1 && (i - 1) % pattern->group == 0)
            buf_putc(out, ',');
    }
    if (fraction > 0 || pattern->point_always)
        buf_putc(out, '.');
    for (int i = 0; i < fraction; i++)
        buf_putc(out, digit_at(list, list->point + i));
}

/* Quotient rounded toward minus infinity, times the divisor. */
static int floor_multiple(int number, int divisor)
{
    int quotient = number / divisor - (number % divisor < 0 ? 1 : 0);
    return quotient * divisor;
}

static void write_exponent(struct buf *out, const struct pattern *pattern, struct digit_list *list)
{
    round_digits(list, pattern->integer_max + pattern->fraction_max);
    int least = pattern->integer_min;
    int exponent = list->point - least;
    if (pattern->integer_max > 1 && pattern->integer_max > pattern->integer_min) {
        exponent = floor_multiple(list->point - 1, pattern->integer_max);
        least = 1;
    }
    int whole = list->count == 0 ? least : list->point - exponent;
    int digits = pattern->integer_min + pattern->fraction_min;
    digits = digits > whole ? digits : whole;
    digits = digits > list->count ? digits : list->count;
    for (int i = 0; i < digits; i++) {
        if (i == whole)
            buf_putc(out, '.');
        buf_putc(out, digit_at(list, i));
    }
    if (pattern->point_always && digits == whole)
        buf_putc(out, '.');
    exponent = list->count == 0 ? 0 : exponent;
    buf_printf(out, "E%s%0*d", exponent < 0 ? "-" : "", pattern->exponent_min,
               exponent < 0 ? -exponent : exponent);
}

static bool is_negative(const struct value *value)
{
    if (value->kind == VALUE_INT)
        return value->integer < 0;
    if (value->kind == VALUE_DOUBLE || value->kind == VALUE_FLOAT32)
        return signbit(value->number) != 0 && !isnan(value->number);
    return value->string.bytes[0] == '-';
}

const struct value *format_number(struct call *call, const struct value *text)
{
    const struct value *value = call->input;
    struct buf out = { 0 };
    struct pattern *pattern = ARENA_NEW(call->ev->arena, struct pattern);
    struct digit_list *list = ARENA_NEW(call->ev->arena, struct digit_list);
    const char *source = text == NULL ? "#,##0.###" : text->string.bytes;
    if (text != NULL && text->string.length > PATTERN_BYTES_MAX)
        return call_fail(call, "the pattern is longer than %u bytes", PATTERN_BYTES_MAX);
    if (!parse_pattern(source, pattern))
        return call_fail(call, "'%s' is not a pattern for numbers", source);
    bool is_real = value->kind == VALUE_DOUBLE || value->kind == VALUE_FLOAT32;
    if (is_real && isnan(value->number))
        return value_string(call->ev->arena, "NaN");

    bool negative = is_negative(value);
    bool own_affixes = negative && pattern->has_negative;
    if (negative && !own_affixes)
        buf_putc(&out, '-');
    const struct affix *prefix = own_affixes ? &pattern->negative_prefix : &pattern->prefix;
    const struct affix *suffix = own_affixes ? &pattern->negative_suffix : &pattern->suffix;
    buf_add(&out, prefix->text, prefix->length);
    if (is_real && isinf(value->number)) {
        buf_puts(&out, "\xe2\x88\x9e");
    } else if (!digits_of_value(list, pattern, value)) {
        buf_free(&out);
        return call_fail(call, "the number has too many digits");
    } else if (pattern->has_exponent) {
        write_exponent(&out, pattern, list);
    } else {
        write_plain(&out, pattern, list);
    }
    buf_add(&out, suffix->text, suffix->length);
    return text_of(call->ev, call->node, &out);
}
