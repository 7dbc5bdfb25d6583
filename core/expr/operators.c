/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/str.h"
#include "core/decimal.h"
#include "core/expr/eval.h"
#include "core/expr/lexer.h"

/* Numbers of an operation, in the order in which one wins over the other. */
enum number_kind {
    NUMBER_INTEGER,
    NUMBER_FLOAT,
    NUMBER_DOUBLE,
    NUMBER_DECIMAL,
};

struct number {
    enum number_kind kind;
    int64_t integer;
    double real;
};

static const struct value *type_mistake(struct evaluator *ev,
                                        const struct node *node,
                                        enum operation operation,
                                        const struct value *left,
                                        const struct value *right)
{
    return fail(ev, node, "operator '%s' does not work on %s and %s", operation_text(operation),
                value_kind_name(left), value_kind_name(right));
}

/* ---- truth and equality ---- */

bool truth(struct evaluator *ev,
           const struct node *node,
           const struct value *value,
           bool null_is_false,
           bool *out)
{
    double number = 0;
    if (value->kind == VALUE_BOOL) {
        *out = value->boolean;
        return true;
    }
    if (value->kind == VALUE_STRING) {
        *out = value->string.length > 0;
        return true;
    }
    if (value_to_double(value, &number)) {
        *out = number != 0 && !isnan(number);
        return true;
    }
    if (value->kind == VALUE_NULL && null_is_false) {
        *out = false;
        return true;
    }
    (void)fail(ev, node, "%s is neither true nor false", value_kind_name(value));
    return false;
}

static bool equal_lists(struct evaluator *ev,
                        const struct node *node,
                        const struct value *a,
                        const struct value *b,
                        bool *equal)
{
    *equal = a->list.count == b->list.count;
    for (size_t i = 0; *equal && i < a->list.count; i++) {
        if (!equals(ev, node, a->list.items[i], b->list.items[i], equal))
            return false;
    }
    return true;
}

static bool equal_maps(struct evaluator *ev,
                       const struct node *node,
                       const struct value *a,
                       const struct value *b,
                       bool *equal)
{
    *equal = a->map.count == b->map.count;
    for (size_t i = 0; *equal && i < a->map.count; i++) {
        const struct value_member *member = &a->map.members[i];
        const struct value *other = value_get_n(b, member->key, member->key_length);
        if (other == NULL)
            *equal = false;
        else if (!equals(ev, node, member->value, other, equal))
            return false;
    }
    return true;
}

bool equals(struct evaluator *ev,
            const struct node *node,
            const struct value *a,
            const struct value *b,
            bool *equal)
{
    *equal = a == b;
    if (*equal)
        return a->kind != VALUE_DOUBLE || !isnan(a->number) || (*equal = false, true);
    if (!charge(ev, node, 1))
        return false;
    a = value_force(ev->arena, a);
    b = value_force(ev->arena, b);
    if (a->kind == VALUE_LIST && b->kind == VALUE_LIST)
        return equal_lists(ev, node, a, b, equal);
    if (a->kind == VALUE_MAP && b->kind == VALUE_MAP)
        return equal_maps(ev, node, a, b, equal);
    if (a->kind == VALUE_ENTRY && b->kind == VALUE_ENTRY) {
        *equal = strcmp(a->entry.key, b->entry.key) == 0;
        return !*equal || equals(ev, node, a->entry.value, b->entry.value, equal);
    }
    *equal = value_equal(a, b);
    return true;
}

int compare_text(const struct value *a, const struct value *b)
{
    const unsigned char *x = (const unsigned char *)a->string.bytes;
    const unsigned char *y = (const unsigned char *)b->string.bytes;
    size_t shorter = a->string.length < b->string.length ? a->string.length : b->string.length;
    for (size_t i = 0; i < shorter; i++) {
        if (x[i] == y[i])
            continue;
        // In UTF-16 the characters beyond U+FFFF come before U+E000 … U+FFFF.
        bool x_astral = x[i] >= 0xf0;
        bool y_astral = y[i] >= 0xf0;
        if (x_astral != y_astral && x[i] >= 0xee && y[i] >= 0xee)
            return x_astral ? -1 : 1;
        return x[i] < y[i] ? -1 : 1;
    }
    if (a->string.length == b->string.length)
        return 0;
    return a->string.length < b->string.length ? -1 : 1;
}

int compare_numbers(const struct value *a, const struct value *b)
{
    double x = 0;
    double y = 0;
    if (a->kind == VALUE_INT && b->kind == VALUE_INT)
        return a->integer < b->integer ? -1 : a->integer > b->integer;
    (void)value_to_double(a, &x);
    (void)value_to_double(b, &y);
    return x < y ? -1 : x > y;
}

/* > < >= <= */
static const struct value *compare(struct evaluator *ev,
                                   const struct node *node,
                                   enum operation operation,
                                   const struct value *left,
                                   const struct value *right)
{
    int order = 0;
    if (left->kind == VALUE_NULL || right->kind == VALUE_NULL)
        return &value_false;
    if (value_is_number(left) && value_is_number(right)) {
        double x = 0;
        double y = 0;
        (void)value_to_double(left, &x);
        (void)value_to_double(right, &y);
        if (isnan(x) || isnan(y))
            return &value_false;
        order = compare_numbers(left, right);
    } else if (left->kind == VALUE_STRING && right->kind == VALUE_STRING) {
        order = compare_text(left, right);
    } else {
        return type_mistake(ev, node, operation, left, right);
    }
    bool is_true = operation == OP_GREATER         ? order > 0
                   : operation == OP_LESS          ? order < 0
                   : operation == OP_GREATER_EQUAL ? order >= 0
                                                   : order <= 0;
    return value_bool(is_true);
}

/* ---- arithmetic ---- */

/* The low 64 bits of an integer text. */
static int64_t wrapped_integer(const struct value *value)
{
    uint64_t bits = 0;
    const char *at = value->string.bytes;
    bool negative = *at == '-';
    for (at += negative ? 1 : 0; *at >= '0' && *at <= '9'; at++)
        bits = bits * 10 + (uint64_t)(*at - '0');
    return (int64_t)(negative ? 0U - bits : bits);
}

static bool number_of_text(const struct value *value, struct number *out)
{
    const char *text = value->string.bytes;
    if (strlen(text) != value->string.length)
        return false; // holds a NUL
    if (strpbrk(text, ".eE") != NULL) {
        out->kind = NUMBER_DOUBLE;
        char copy[64];
        size_t length = value->string.length;
        bool has_suffix = length > 1 && length < sizeof(copy) &&
                          strchr("fFdD", text[length - 1]) != NULL &&
                          !isalpha((unsigned char)text[length - 2]);
        if (!has_suffix)
            return str_to_double(text, &out->real);
        memcpy(copy, text, length - 1); // 1.5f is 1.5
        copy[length - 1] = '\0';
        return str_to_double(copy, &out->real);
    }
    out->kind = NUMBER_INTEGER;
    if (*text == '+' && text[1] != '-')
        text++;
    return str_to_int(text, INT64_MIN, INT64_MAX, &out->integer);
}

static bool number_of(const struct value *value, struct number *out)
{
    *out = (struct number){ .kind = NUMBER_INTEGER };
    switch ((enum value_kind)value->kind) {
    case VALUE_INT:
        out->integer = value->integer;
        break;
    case VALUE_BIGINT:
        out->integer = wrapped_integer(value);
        (void)value_to_double(value, &out->real);
        return true;
    case VALUE_FLOAT32:
        out->kind = NUMBER_FLOAT;
        out->real = value->number;
        return true;
    case VALUE_DOUBLE:
        out->kind = NUMBER_DOUBLE;
        out->real = value->number;
        return true;
    case VALUE_DECIMAL:
        out->kind = NUMBER_DECIMAL;
        return value_to_double(value, &out->real);
    case VALUE_STRING:
        if (!number_of_text(value, out))
            return false;
        if (out->kind == NUMBER_DOUBLE)
            return true;
        break;
    case VALUE_NULL:
    case VALUE_BOOL:
    case VALUE_LIST:
    case VALUE_MAP:
    case VALUE_INSTANT:
    case VALUE_ZONED:
    case VALUE_LOCAL_DATETIME:
    case VALUE_LOCAL_DATE:
    case VALUE_LOCAL_TIME:
    case VALUE_DURATION:
    case VALUE_URI:
    case VALUE_ENTRY:
    case VALUE_BYTES:
    case VALUE_LAZY:
        return false;
    }
    out->real = (double)out->integer;
    return true;
}

static const struct value *operate_integers(
    struct evaluator *ev, const struct node *node, enum operation operation, int64_t a, int64_t b)
{
    uint64_t x = (uint64_t)a;
    uint64_t y = (uint64_t)b;
    bool divides = operation == OP_DIVIDE || operation == OP_REMAINDER;
    if (divides && b == 0)
        return fail(ev, node, "division by zero");
    if (operation == OP_ADD)
        return value_int(ev->arena, (int64_t)(x + y));
    if (operation == OP_SUBTRACT)
        return value_int(ev->arena, (int64_t)(x - y));
    if (operation == OP_MULTIPLY)
        return value_int(ev->arena, (int64_t)(x * y));
    if (b == -1) // the one quotient that overflows
        return value_int(ev->arena, operation == OP_DIVIDE ? (int64_t)(0U - x) : 0);
    return value_int(ev->arena, operation == OP_DIVIDE ? a / b : a % b);
}

static double operate_reals(enum operation operation, double a, double b)
{
    if (operation == OP_ADD)
        return a + b;
    if (operation == OP_SUBTRACT)
        return a - b;
    if (operation == OP_MULTIPLY)
        return a * b;
    return operation == OP_DIVIDE ? a / b : fmod(a, b);
}

/* By way of the shortest text of the double. */
static bool decimal_of(double real, struct decimal *out)
{
    struct buf buf = { 0 };
    value_write_double(&buf, real);
    bool done = decimal_parse(buf_text(&buf), buf.length, out);
    buf_free(&buf);
    return done;
}

static const struct value *operate_decimals(
    struct evaluator *ev, const struct node *node, enum operation operation, double a, double b)
{
    struct decimal x;
    struct decimal y;
    struct decimal result = { .count = 0 };
    bool done = true;
    if (!decimal_of(a, &x) || !decimal_of(b, &y))
        return fail(ev, node, "a decimal number must be finite");
    if (operation == OP_ADD)
        decimal_add(&x, &y, &result);
    else if (operation == OP_SUBTRACT)
        decimal_subtract(&x, &y, &result);
    else if (operation == OP_MULTIPLY)
        decimal_multiply(&x, &y, &result);
    else if (operation == OP_DIVIDE)
        done = decimal_divide(&x, &y, &result);
    else
        done = decimal_remainder(&x, &y, &result);
    if (!done)
        return fail(ev, node, "division by zero, or by a number that is too small");
    struct buf buf = { 0 };
    decimal_write(&buf, &result);
    const struct value *value = value_text(ev->arena, VALUE_DECIMAL, buf_text(&buf), buf.length);
    buf_free(&buf);
    return value;
}

static const struct value *calculate(struct evaluator *ev,
                                     const struct node *node,
                                     enum operation operation,
                                     const struct value *left,
                                     const struct value *right)
{
    struct number a;
    struct number b;
    if (!number_of(left, &a) || !number_of(right, &b))
        return type_mistake(ev, node, operation, left, right);
    enum number_kind kind = a.kind > b.kind ? a.kind : b.kind;
    if (kind == NUMBER_INTEGER)
        return operate_integers(ev, node, operation, a.integer, b.integer);
    if (kind == NUMBER_DECIMAL)
        return operate_decimals(ev, node, operation, a.real, b.real);
    double result = operate_reals(operation, a.real, b.real);
    if (kind == NUMBER_FLOAT)
        return value_float32(ev->arena, (float)result);
    return value_double(ev->arena, result);
}

/* ---- lists ---- */

static const struct value *append(struct evaluator *ev,
                                  const struct node *node,
                                  const struct value *list,
                                  const struct value *more)
{
    bool is_list = more->kind == VALUE_LIST;
    size_t count = list->list.count;
    size_t added = is_list ? more->list.count : 1;
    if (!charge(ev, node, (count + added) / 8 + 1))
        return NULL;
    const struct value **items = ARENA_ARRAY(ev->arena, count + added, const struct value *);
    if (count > 0)
        memcpy(items, list->list.items, count * sizeof(*items));
    if (!is_list)
        items[count] = more;
    else if (added > 0)
        memcpy(items + count, more->list.items, added * sizeof(*items));
    struct value *sum = ARENA_NEW(ev->arena, struct value);
    sum->kind = VALUE_LIST;
    sum->list.items = items;
    sum->list.count = count + added;
    ev->run->built = true;
    ev->run->grown++;
    return sum;
}

/* Is the value one of the items? False with *found unset when the rendering fails. */
static bool list_holds(struct evaluator *ev,
                       const struct node *node,
                       const struct value *list,
                       const struct value *value,
                       bool *found)
{
    *found = false;
    for (size_t i = 0; i < list->list.count && !*found; i++) {
        if (!equals(ev, node, list->list.items[i], value, found))
            return false;
    }
    return true;
}

static const struct value *list_without(struct evaluator *ev,
                                        const struct node *node,
                                        const struct value *list,
                                        const struct value *less)
{
    struct value_builder builder = value_build(ev->arena);
    bool removed = false;
    for (size_t i = 0; i < list->list.count; i++) {
        bool drop = false;
        const struct value *item = list->list.items[i];
        if (less->kind == VALUE_LIST) {
            if (!list_holds(ev, node, less, item, &drop))
                return NULL;
        } else if (!removed) {
            if (!equals(ev, node, item, less, &drop))
                return NULL;
            removed = drop;
        }
        if (!drop)
            value_add(&builder, item);
    }
    return value_build_list(&builder);
}

/* ---- texts ---- */

static const struct value *join_texts(struct evaluator *ev,
                                      const struct node *node,
                                      const struct value *left,
                                      const struct value *right,
                                      bool null_shows)
{
    if (left->kind == VALUE_NULL && !null_shows)
        left = &value_empty_string;
    if (right->kind == VALUE_NULL && !null_shows)
        right = &value_empty_string;
    left = display(ev, node, left);
    right = left == NULL ? NULL : display(ev, node, right);
    if (right == NULL)
        return NULL;
    size_t a = left->string.length;
    size_t b = right->string.length;
    if (!charge(ev, node, (a + b) / 256) || !text_fits(ev, node, a, b))
        return NULL;
    char *bytes = arena_bytes_alloc(ev->arena, a + b + 1);
    memcpy(bytes, left->string.bytes, a);
    memcpy(bytes + a, right->string.bytes, b);
    bytes[a + b] = '\0';
    return value_string_ref(ev->arena, bytes, a + b);
}

static const struct value *add(struct evaluator *ev,
                               const struct node *node,
                               const struct value *left,
                               const struct value *right)
{
    if (left->kind == VALUE_STRING || right->kind == VALUE_STRING)
        return join_texts(ev, node, left, right, true);
    if (left->kind == VALUE_LIST)
        return append(ev, node, left, right);
    return calculate(ev, node, OP_ADD, left, right);
}

static const struct value *contains(struct evaluator *ev,
                                    const struct node *node,
                                    const struct value *left,
                                    const struct value *right)
{
    bool found = true;
    left = value_force(ev->arena, left);
    if (left->kind == VALUE_NULL)
        return &value_false;
    if (left->kind == VALUE_LIST && right->kind == VALUE_LIST) {
        for (size_t i = 0; i < right->list.count && found; i++) {
            if (!list_holds(ev, node, left, right->list.items[i], &found))
                return NULL;
        }
        return value_bool(found);
    }
    if (left->kind == VALUE_LIST)
        return list_holds(ev, node, left, right, &found) ? value_bool(found) : NULL;
    if (left->kind != VALUE_STRING && left->kind != VALUE_MAP)
        return type_mistake(ev, node, OP_CONTAINS, left, right);
    const struct value *part = display(ev, node, right);
    if (part == NULL)
        return NULL;
    if (left->kind == VALUE_MAP)
        return value_bool(value_get_n(left, part->string.bytes, part->string.length) != NULL);
    if (!charge(ev, node, left->string.length / 256))
        return NULL;
    return value_bool(memmem(left->string.bytes, left->string.length, part->string.bytes,
                             part->string.length) != NULL);
}

/* Has the value the same display form as `text`? */
static bool shows_as(struct evaluator *ev,
                     const struct node *node,
                     const struct value *value,
                     const struct value *text,
                     bool *same)
{
    const struct value *shown = charge(ev, node, 1) ? display(ev, node, value) : NULL;
    if (shown == NULL)
        return false;
    *same = shown->string.length == text->string.length &&
            memcmp(shown->string.bytes, text->string.bytes, text->string.length) == 0;
    return true;
}

static const struct value *is_in(struct evaluator *ev,
                                 const struct node *node,
                                 const struct value *left,
                                 const struct value *right)
{
    bool found = false;
    right = value_force(ev->arena, right);
    if (left->kind == VALUE_NULL || (right->kind != VALUE_LIST && right->kind != VALUE_MAP))
        return &value_false;
    const struct value *text = display(ev, node, left);
    if (text == NULL)
        return NULL;
    for (size_t i = 0; right->kind == VALUE_LIST && i < right->list.count && !found; i++) {
        if (!shows_as(ev, node, right->list.items[i], text, &found))
            return NULL;
    }
    if (right->kind == VALUE_LIST)
        return value_bool(found);
    found = value_get_n(right, text->string.bytes, text->string.length) != NULL;
    for (size_t i = 0; i < right->map.count && !found; i++) {
        if (!shows_as(ev, node, right->map.members[i].value, text, &found))
            return NULL;
    }
    return value_bool(found);
}

/* ---- ranges ---- */

/* The integer of a bound, or the code point of a text of one character. */
static bool range_bound(const struct value *value, bool *is_text, int64_t *out)
{
    double number = 0;
    *is_text = value->kind == VALUE_STRING;
    if (*is_text) {
        const char *at = value->string.bytes;
        const char *end = at + value->string.length;
        if (at == end)
            return false;
        *out = utf8_next(&at, end);
        return at == end;
    }
    if (value->kind == VALUE_INT) {
        *out = value->integer;
        return true;
    }
    if (!value_to_double(value, &number) || !(fabs(number) < 9e18))
        return false;
    *out = (int64_t)number;
    return true;
}

static const struct value *range_item(struct evaluator *ev, bool is_text, int64_t at)
{
    if (!is_text)
        return value_int(ev->arena, at);
    struct buf buf = { 0 };
    bool is_surrogate = at >= 0xd800 && at <= 0xdfff;
    buf_put_utf8(&buf, is_surrogate ? '?' : (uint32_t)at);
    const struct value *text = value_string_n(ev->arena, buf_text(&buf), buf.length);
    buf_free(&buf);
    return text;
}

const struct value *range(struct evaluator *ev,
                          const struct node *node,
                          const struct value *start,
                          const struct value *end,
                          int64_t increment)
{
    bool start_is_text = false;
    bool end_is_text = false;
    int64_t from = 0;
    int64_t to = 0;
    if (!range_bound(start, &start_is_text, &from) || !range_bound(end, &end_is_text, &to) ||
        start_is_text != end_is_text)
        return fail(ev, node, "a range is between two integers or two characters, not %s and %s",
                    value_kind_name(start), value_kind_name(end));
    if (increment == 0)
        return fail(ev, node, "the increment of a range must not be zero");
    if (increment > 0 ? from > to : from < to)
        return &value_empty_list;
    uint64_t span = increment > 0 ? (uint64_t)to - (uint64_t)from : (uint64_t)from - (uint64_t)to;
    uint64_t step = increment > 0 ? (uint64_t)increment : 0U - (uint64_t)increment;
    uint64_t count = span / step;
    if (count >= EXPR_RANGE_MAX)
        return fail(ev, node, "a range has at most %d elements", EXPR_RANGE_MAX);
    if (!charge(ev, node, count / 4 + 1))
        return NULL;
    struct value_builder builder = value_build(ev->arena);
    for (uint64_t i = 0; i <= count; i++)
        value_add(&builder, range_item(ev, start_is_text,
                                       (int64_t)((uint64_t)from + i * (uint64_t)increment)));
    return value_build_list(&builder);
}

/* ---- all of them ---- */

const struct value *operate(struct evaluator *ev,
                            const struct node *node,
                            enum operation operation,
                            const struct value *left,
                            const struct value *right)
{
    bool equal = false;
    switch (operation) {
    case OP_ADD:
        return add(ev, node, left, right);
    case OP_SUBTRACT:
        if (left->kind == VALUE_LIST)
            return list_without(ev, node, left, right);
        return calculate(ev, node, operation, left, right);
    case OP_MULTIPLY:
    case OP_DIVIDE:
    case OP_REMAINDER:
        return calculate(ev, node, operation, left, right);
    case OP_EQUAL:
    case OP_NOT_EQUAL:
        if (!equals(ev, node, left, right, &equal))
            return NULL;
        return value_bool(equal == (operation == OP_EQUAL));
    case OP_GREATER:
    case OP_LESS:
    case OP_GREATER_EQUAL:
    case OP_LESS_EQUAL:
        return compare(ev, node, operation, left, right);
    case OP_CONTAINS:
        return contains(ev, node, left, right);
    case OP_IS_IN:
        return is_in(ev, node, left, right);
    case OP_CONCATENATE:
        return join_texts(ev, node, left, right, false);
    case OP_RANGE:
        return range(ev, node, left, right, 1);
    case OP_OR:
    case OP_AND:
    case OP_IS:
    case OP_IS_NOT:
    case OP_FILTER:
    case OP_NULL_OR:
    case OP_UNDEFINED_OR:
    case OP_NOT:
        break; // not operators of two values
    }
    return fail(ev, node, "operator '%s' cannot be used here", operation_text(operation));
}

const struct value *operate_unary(struct evaluator *ev,
                                  const struct node *node,
                                  enum operation operation,
                                  const struct value *operand)
{
    bool is_true = false;
    if (operation == OP_NOT)
        return truth(ev, node, operand, false, &is_true) ? value_bool(!is_true) : NULL;
    const struct value factor = { .kind = VALUE_INT, .integer = operation == OP_SUBTRACT ? -1 : 1 };
    struct number number;
    if (!number_of(operand, &number))
        return fail(ev, node, "'%s' needs a number, not %s", operation_text(operation),
                    value_kind_name(operand));
    return calculate(ev, node, OP_MULTIPLY, &factor, operand);
}
