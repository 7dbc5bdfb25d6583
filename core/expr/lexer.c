/* SPDX-License-Identifier: Apache-2.0 */
#include "core/expr/lexer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "base/unicode.h"

/* One row per operator; of two that fit, the longer one stands first. */
static const struct operator_row {
    const char *text;
    enum operation operation;
    int precedence;
} operators[] = {
    { "contains", OP_CONTAINS, 20 },
    { "is not", OP_IS_NOT, 20 },
    { "equals", OP_EQUAL, 30 },
    { "isIn", OP_IS_IN, 120 },
    { "???", OP_UNDEFINED_OR, 120 },
    { "and", OP_AND, 15 },
    { "not", OP_NOT, 0 },
    { "??", OP_NULL_OR, 120 },
    { "..", OP_RANGE, 120 },
    { "==", OP_EQUAL, 30 },
    { "!=", OP_NOT_EQUAL, 30 },
    { ">=", OP_GREATER_EQUAL, 30 },
    { "<=", OP_LESS_EQUAL, 30 },
    { "or", OP_OR, 10 },
    { "is", OP_IS, 20 },
    { ">", OP_GREATER, 30 },
    { "<", OP_LESS, 30 },
    { "+", OP_ADD, 40 },
    { "-", OP_SUBTRACT, 40 },
    { "*", OP_MULTIPLY, 60 },
    { "/", OP_DIVIDE, 60 },
    { "%", OP_REMAINDER, 60 },
    { "|", OP_FILTER, 100 },
    { "~", OP_CONCATENATE, 110 },
};

const char *operation_text(enum operation operation)
{
    for (size_t i = 0; i < COUNT_OF(operators); i++) {
        if (operators[i].operation == operation && strcmp(operators[i].text, "equals") != 0)
            return operators[i].text;
    }
    return "?";
}

int operation_precedence(enum operation operation)
{
    for (size_t i = 0; i < COUNT_OF(operators); i++) {
        if (operators[i].operation == operation)
            return operators[i].precedence;
    }
    return 0;
}

/* ---- places ---- */

bool lexer_fail(struct lexer *lexer, uint32_t line, uint32_t column, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return error_set_at(lexer->err, ERR_INVALID, line, column, "%s", text);
}

static bool fail_here(struct lexer *lexer, const char *message)
{
    return lexer_fail(lexer, lexer->line, lexer->column, "%s", message);
}

/* Moves to `to`, counting lines and columns on the way. */
static void advance(struct lexer *lexer, const char *to)
{
    for (; lexer->at < to; lexer->at++) {
        bool is_cr = *lexer->at == '\r';
        bool is_pair = is_cr && lexer->at + 1 < lexer->end && lexer->at[1] == '\n';
        if (*lexer->at == '\n' || (is_cr && !is_pair)) {
            lexer->line++;
            lexer->column = 1;
        } else if (((unsigned char)*lexer->at & 0xc0U) != 0x80U) {
            lexer->column++;
        }
    }
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool starts(const char *at, const char *end, const char *text)
{
    size_t length = strlen(text);
    return (size_t)(end - at) >= length && memcmp(at, text, length) == 0;
}

void lexer_init(
    struct lexer *lexer, struct arena *arena, const char *text, size_t length, struct error *err)
{
    lexer->arena = arena;
    lexer->err = err;
    lexer->start = text;
    lexer->at = text;
    lexer->end = text + length;
    lexer->line = 1;
    lexer->column = 1;
    lexer->inside = 0;
    lexer->trim_next = false;
    lexer->depth = 0;
    // Cheap test first: few templates hold one.
    lexer->has_raw = length > 0 && memmem(text, length, "endraw", 6) != NULL;
}

/* ---- raw ---- */

static const char *skip_minus_and_space(const char *at, const char *end, bool minus_first)
{
    while (minus_first && at < end && *at == '-')
        at++;
    while (at < end && is_space(*at))
        at++;
    while (!minus_first && at < end && *at == '-')
        at++;
    return at;
}

/* Index behind `{%- word -%}`, NULL when `at` is something else. */
static const char *raw_tag(const char *at, const char *end, const char *word)
{
    if (!starts(at, end, "{%"))
        return NULL;
    at = skip_minus_and_space(at + 2, end, true);
    if (!starts(at, end, word))
        return NULL;
    at = skip_minus_and_space(at + strlen(word), end, false);
    return starts(at, end, "%}") ? at + 2 : NULL;
}

size_t raw_construct(const char *at, const char *end, const char **content, size_t *content_length)
{
    const char *body = raw_tag(at, end, "raw");
    if (body == NULL)
        return 0;
    for (const char *close = body; close + 2 < end; close++) {
        close = memchr(close, '{', (size_t)(end - close));
        if (close == NULL)
            return 0;
        const char *behind = raw_tag(close, end, "endraw");
        if (behind != NULL) {
            *content = body;
            *content_length = (size_t)(close - body);
            return (size_t)(behind - at);
        }
    }
    return 0;
}

/* Length of the `raw` construct at a place of the template, 0 when there is none. */
static size_t raw_here(struct lexer *lexer, const char *at)
{
    const char *content = NULL;
    size_t length = 0;
    if (!lexer->has_raw)
        return 0;
    size_t found = raw_construct(at, lexer->end, &content, &length);
    if (found == 0 && raw_tag(at, lexer->end, "raw") != NULL)
        lexer->has_raw = false; // none of the later ones has an end either
    return found;
}

/* ---- text and delimiters ---- */

/* Does a delimiter of `kind` ('{', '%' or '#') start here? */
static bool is_open(const char *at, const char *end)
{
    return end - at >= 2 && at[0] == '{' && (at[1] == '{' || at[1] == '%' || at[1] == '#');
}

/* The place where the next delimiter opens, or the end. */
static const char *find_open(struct lexer *lexer, const char *at)
{
    while (at < lexer->end) {
        at = memchr(at, '{', (size_t)(lexer->end - at));
        if (at == NULL)
            return lexer->end;
        size_t raw = raw_here(lexer, at);
        if (raw == 0 && is_open(at, lexer->end))
            return at;
        at += raw == 0 ? 1 : raw;
    }
    return lexer->end;
}

/* A minus followed by space after an opening delimiter. */
static bool has_leading_minus(const char *open, const char *end)
{
    return end - open > 3 && open[2] == '-' && is_space(open[3]);
}

/* Text from here to the next delimiter, trimmed as its neighbours ask; may be empty. */
static struct name take_text(struct lexer *lexer)
{
    const char *open = find_open(lexer, lexer->at);
    const char *from = lexer->at;
    const char *to = open;
    while (lexer->trim_next && from < to && is_space(*from))
        from++;
    if (has_leading_minus(open, lexer->end)) {
        while (to > from && is_space(to[-1]))
            to--;
    }
    lexer->trim_next = false;
    advance(lexer, open);
    return (struct name){ from, (uint32_t)(to - from) };
}

static bool skip_comment(struct lexer *lexer)
{
    const char *at = lexer->at + 2;
    const char *close = NULL;
    while (close == NULL && at < lexer->end) {
        at = memchr(at, '#', (size_t)(lexer->end - at));
        if (at == NULL)
            break;
        if (starts(at, lexer->end, "#}"))
            close = at;
        at++;
    }
    if (close == NULL)
        return fail_here(lexer, "this comment is never closed: '#}' is missing");
    // Here the minus counts only behind white space.
    lexer->trim_next = close > lexer->at + 3 && close[-1] == '-' && is_space(close[-2]);
    advance(lexer, close + 2);
    return true;
}

static bool next_outside(struct lexer *lexer, struct token *token)
{
    for (;;) {
        token->line = lexer->line;
        token->column = lexer->column;
        struct name text = take_text(lexer);
        if (text.length > 0) {
            token->kind = TOKEN_TEXT;
            token->text = text;
            return true;
        }
        if (lexer->at == lexer->end) {
            token->kind = TOKEN_END;
            return true;
        }
        if (lexer->at[1] != '#')
            break;
        if (!skip_comment(lexer))
            return false;
    }
    token->line = lexer->line;
    token->column = lexer->column;
    lexer->inside = lexer->at[1];
    token->kind = lexer->inside == '{' ? TOKEN_PRINT_OPEN : TOKEN_TAG_OPEN;
    advance(lexer, lexer->at + (has_leading_minus(lexer->at, lexer->end) ? 3 : 2));
    return true;
}

bool lexer_verbatim(struct lexer *lexer, struct name *text)
{
    const char *from = lexer->at;
    while (from < lexer->end && is_space(*from))
        from++;
    for (const char *at = from; at < lexer->end; at++) {
        at = memchr(at, '{', (size_t)(lexer->end - at));
        if (at == NULL)
            break;
        if (!starts(at, lexer->end, "{%"))
            continue;
        bool trims = at + 2 < lexer->end && at[2] == '-'; // white space need not follow here
        const char *word = at + (trims ? 3 : 2);
        while (word < lexer->end && is_space(*word))
            word++;
        if (!starts(word, lexer->end, "endverbatim"))
            continue;
        word += strlen("endverbatim");
        while (word < lexer->end && is_space(*word))
            word++;
        bool trims_next = word < lexer->end && *word == '-';
        if (!starts(word + (trims_next ? 1 : 0), lexer->end, "%}"))
            continue;
        const char *to = at;
        while (trims && to > from && is_space(to[-1]))
            to--;
        *text = (struct name){ from, (uint32_t)(to - from) };
        advance(lexer, word + (trims_next ? 3 : 2));
        lexer->trim_next = trims_next;
        return true;
    }
    return fail_here(lexer, "'verbatim' is never closed: 'endverbatim' is missing");
}

/* ---- inside of delimiters ---- */

static bool is_word(char c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_letter(char c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static const struct operator_row *operator_at(const struct lexer *lexer)
{
    for (size_t i = 0; i < COUNT_OF(operators); i++) {
        const char *text = operators[i].text;
        if (*text != *lexer->at || !starts(lexer->at, lexer->end, text))
            continue;
        const char *behind = lexer->at + strlen(text);
        if (is_letter(*text) && behind < lexer->end && is_word(*behind))
            continue;
        return &operators[i];
    }
    return NULL;
}

/* Behind the name that starts at `at`; `at` itself when none does. */
static const char *name_end(const char *at, const char *end)
{
    const char *start = at;
    while (at < end) {
        const char *next = at;
        if (is_letter(*at) || (at > start && *at >= '0' && *at <= '9')) {
            at++;
            continue;
        }
        if ((unsigned char)*at < 0x80)
            break;
        uint32_t code = utf8_next(&next, end);
        if (!(unicode_is_letter(code) || (at > start && unicode_is_digit(code))))
            break;
        at = next;
    }
    return at;
}

static bool take_number(struct lexer *lexer, struct token *token)
{
    const char *at = lexer->at;
    int64_t integer = 0;
    bool overflow = false;
    for (; at < lexer->end && *at >= '0' && *at <= '9'; at++)
        overflow = overflow || __builtin_mul_overflow(integer, 10, &integer) ||
                   __builtin_add_overflow(integer, *at - '0', &integer);
    if (at + 1 < lexer->end && *at == '.' && at[1] >= '0' && at[1] <= '9') {
        at++;
        while (at < lexer->end && *at >= '0' && *at <= '9')
            at++;
        char *copy = arena_strndup(lexer->arena, lexer->at, (size_t)(at - lexer->at));
        token->kind = TOKEN_DOUBLE;
        token->number = strtod(copy, NULL);
        advance(lexer, at);
        return true;
    }
    if (overflow)
        return fail_here(lexer, "this integer does not fit 64 bits");
    token->kind = TOKEN_INTEGER;
    token->integer = integer;
    advance(lexer, at < lexer->end && *at == 'L' ? at + 1 : at);
    return true;
}

/* Text between quotes without the backslashes before that quote. */
static struct name unescaped(struct lexer *lexer, const char *from, const char *to, char quote)
{
    if (memchr(from, '\\', (size_t)(to - from)) == NULL)
        return (struct name){ from, (uint32_t)(to - from) };
    char *text = arena_bytes_alloc(lexer->arena, (size_t)(to - from) + 1);
    uint32_t length = 0;
    for (const char *at = from; at < to; at++) {
        if (*at == '\\' && at + 1 < to && at[1] == quote)
            at++;
        text[length++] = *at;
    }
    text[length] = '\0';
    return (struct name){ text, length };
}

static bool take_string(struct lexer *lexer, struct token *token)
{
    char quote = *lexer->at;
    const char *from = lexer->at + 1;
    for (const char *at = from; at < lexer->end;) {
        size_t raw = *at == '{' ? raw_here(lexer, at) : 0;
        if (raw > 0) {
            at += raw;
        } else if (*at == '\\') {
            at += 2;
        } else if (*at == '#' && quote == '"') {
            token->kind = TOKEN_PARTS;
            advance(lexer, from);
            return true;
        } else if (*at == quote) {
            token->kind = TOKEN_STRING;
            token->text = unescaped(lexer, from, at, quote);
            advance(lexer, at + 1);
            return true;
        } else {
            at++;
        }
    }
    return fail_here(lexer, "this string is never closed");
}

static bool open_bracket(struct lexer *lexer, char bracket)
{
    if (lexer->depth == EXPR_BRACKETS_MAX)
        return fail_here(lexer, "too many brackets inside one another");
    lexer->brackets[lexer->depth++] = bracket;
    return true;
}

static bool close_bracket(struct lexer *lexer, char close)
{
    char open = close == ')' ? '(' : close == ']' ? '[' : '{';
    char last = lexer->depth == 0 ? 0 : lexer->brackets[lexer->depth - 1];
    if (last == '#' && close == '}')
        last = '{'; // the end of an interpolation
    if (last != open)
        return lexer_fail(
            lexer, lexer->line, lexer->column,
            last == 0 ? "'%c' closes nothing" : "'%c' closes a bracket of another kind", close);
    lexer->depth--;
    return true;
}

bool lexer_part(struct lexer *lexer, struct name *text, bool *is_interpolation)
{
    const char *from = lexer->at;
    for (const char *at = from; at < lexer->end;) {
        size_t raw = *at == '{' ? raw_here(lexer, at) : 0;
        if (raw > 0) {
            at += raw;
            continue;
        }
        *is_interpolation = starts(at, lexer->end, "#{");
        if (*at == '"' || *is_interpolation) {
            *text = (struct name){ from, (uint32_t)(at - from) };
            advance(lexer, at + (*is_interpolation ? 2 : 1));
            return !*is_interpolation || open_bracket(lexer, '#');
        }
        at += *at == '\\' ? 2 : 1;
    }
    return fail_here(lexer, "this string is never closed");
}

/* The closing delimiter, with or without a minus, of the print or tag we are in. */
static bool take_close(struct lexer *lexer, struct token *token)
{
    const char *close = lexer->inside == '{' ? "}}" : "%}";
    bool has_minus = *lexer->at == '-';
    if (lexer->depth > 0 || !starts(lexer->at + (has_minus ? 1 : 0), lexer->end, close))
        return false;
    token->kind = lexer->inside == '{' ? TOKEN_PRINT_CLOSE : TOKEN_TAG_CLOSE;
    lexer->inside = 0;
    lexer->trim_next = has_minus;
    advance(lexer, lexer->at + (has_minus ? 3 : 2));
    return true;
}

static bool take_punctuation(struct lexer *lexer, struct token *token)
{
    char c = *lexer->at;
    if (c == '\0' || strchr("()[]{}?:.,=", c) == NULL) {
        const char *next = lexer->at;
        (void)utf8_next(&next, lexer->end);
        return lexer_fail(lexer, lexer->line, lexer->column, "unexpected character '%.*s'",
                          (int)(next - lexer->at), lexer->at);
    }
    if (strchr("([{", c) != NULL && !open_bracket(lexer, c))
        return false;
    if (strchr(")]}", c) != NULL && !close_bracket(lexer, c))
        return false;
    token->kind = TOKEN_PUNCTUATION;
    token->character = c;
    advance(lexer, lexer->at + 1);
    return true;
}

static bool next_inside(struct lexer *lexer, struct token *token)
{
    const char *at = lexer->at;
    while (at < lexer->end && is_space(*at))
        at++;
    advance(lexer, at);
    token->line = lexer->line;
    token->column = lexer->column;
    if (at == lexer->end)
        return fail_here(lexer, lexer->inside == '{' ? "'}}' is missing" : "'%}' is missing");
    if (take_close(lexer, token))
        return true;
    const struct operator_row *row = operator_at(lexer);
    if (row != NULL) {
        token->kind = TOKEN_OPERATOR;
        token->operation = row->operation;
        token->text = (struct name){ at, (uint32_t)strlen(row->text) };
        advance(lexer, at + token->text.length);
        return true;
    }
    const char *behind = name_end(at, lexer->end);
    if (behind > at) {
        token->kind = TOKEN_NAME;
        token->text = (struct name){ at, (uint32_t)(behind - at) };
        advance(lexer, behind);
        return true;
    }
    if (*at >= '0' && *at <= '9')
        return take_number(lexer, token);
    if (*at == '\'' || *at == '"')
        return take_string(lexer, token);
    return take_punctuation(lexer, token);
}

bool lexer_next(struct lexer *lexer, struct token *token)
{
    return lexer->inside == 0 ? next_outside(lexer, token) : next_inside(lexer, token);
}
