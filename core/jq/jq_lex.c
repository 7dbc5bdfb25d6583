/* SPDX-License-Identifier: Apache-2.0 */
#include "core/jq/jq_lex.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "core/value.h"

bool jq_fail_at(struct jq_parser *parser, const char *at, const char *format, ...)
{
    char message[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    uint32_t line = 1;
    uint32_t column = 1;
    for (const char *c = parser->text; c < at && c < parser->end; c++) {
        line += *c == '\n' ? 1 : 0;
        column = *c == '\n' ? 1 : column + ((unsigned char)(*c & 0xc0) != 0x80U);
    }
    (void)error_set_at(parser->err, ERR_INVALID, line, column, "%s", message);
    return false;
}

bool jq_unexpected(struct jq_parser *parser, const char *expected)
{
    const struct jq_token *token = &parser->token;
    size_t length = (size_t)(parser->at - token->start);
    if (token->kind == TOKEN_END)
        return jq_fail_at(parser, token->start, "the jq program ends too early: %s", expected);
    return jq_fail_at(parser, token->start, "unexpected '%.*s' in the jq program: %s",
                      length > 40 ? 40 : (int)length, token->start, expected);
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name_char(char c)
{
    return is_name_start(c) || (c >= '0' && c <= '9');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(struct jq_parser *parser)
{
    while (parser->at < parser->end) {
        if (strchr(" \t\r\n", *parser->at) != NULL && *parser->at != '\0') {
            parser->at++;
        } else if (*parser->at == '#') {
            while (parser->at < parser->end && *parser->at != '\n')
                parser->at++;
        } else {
            break;
        }
    }
}

static bool take_number(struct jq_parser *parser)
{
    const char *start = parser->at;
    bool is_integer = true;
    while (parser->at < parser->end && is_digit(*parser->at))
        parser->at++;
    if (parser->at < parser->end && *parser->at == '.') {
        is_integer = false;
        do
            parser->at++;
        while (parser->at < parser->end && is_digit(*parser->at));
    }
    if (parser->at < parser->end && (*parser->at == 'e' || *parser->at == 'E')) {
        const char *digits = parser->at + 1;
        if (digits < parser->end && (*digits == '+' || *digits == '-'))
            digits++;
        if (digits < parser->end && is_digit(*digits)) {
            is_integer = false;
            parser->at = digits;
            while (parser->at < parser->end && is_digit(*parser->at))
                parser->at++;
        }
    }
    const char *text = arena_strndup(parser->arena, start, (size_t)(parser->at - start));
    int64_t integer = 0;
    double number = strtod(text, NULL);
    bool fits = is_integer && str_to_int(text, INT64_MIN, INT64_MAX, &integer);
    if (!fits && number < 1e15 && number == (double)(int64_t)number) {
        integer = (int64_t)number; // 1.0, 1e3
        fits = true;
    }
    parser->token.kind = TOKEN_NUMBER;
    parser->token.text = text;
    parser->token.number =
        fits ? value_int(parser->arena, integer) : value_double(parser->arena, number);
    return true;
}

/* A name behind `prefix` characters that are not part of it. */
static bool take_named(struct jq_parser *parser, enum token_kind kind, size_t prefix)
{
    const char *start = parser->at + prefix;
    parser->at = start;
    while (parser->at < parser->end && is_name_char(*parser->at))
        parser->at++;
    parser->token.kind = kind;
    parser->token.text = arena_strndup(parser->arena, start, (size_t)(parser->at - start));
    return true;
}

bool jq_advance(struct jq_parser *parser)
{
    static const char *const symbols[] = { "//=", "|=", "+=", "-=", "*=", "/=", "%=", "==", "!=",
                                           "<=",  ">=", "//", "..", "?",  "(",  ")",  "[",  "]",
                                           "{",   "}",  ":",  ";",  ",",  "|",  "=",  "<",  ">",
                                           "+",   "-",  "*",  "/",  "%",  "." };
    skip_space(parser);
    const char *at = parser->at;
    size_t left = (size_t)(parser->end - at);
    parser->token = (struct jq_token){ .kind = TOKEN_END, .text = "", .start = at };
    if (left == 0)
        return true;
    if (is_name_start(*at))
        return take_named(parser, TOKEN_NAME, 0);
    if (is_digit(*at) || (*at == '.' && left > 1 && is_digit(at[1])))
        return take_number(parser);
    if (left > 1 && is_name_start(at[1]) && (*at == '.' || *at == '$' || *at == '@'))
        return take_named(parser,
                          *at == '.'   ? TOKEN_FIELD
                          : *at == '$' ? TOKEN_VARIABLE
                                       : TOKEN_FORMAT,
                          1);
    if (*at == '"') {
        parser->token.kind = TOKEN_QUOTE;
        parser->at++;
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(symbols); i++) {
        size_t length = strlen(symbols[i]);
        if (length <= left && memcmp(at, symbols[i], length) == 0) {
            parser->token.kind = TOKEN_SYMBOL;
            parser->token.text = symbols[i];
            parser->at += length;
            return true;
        }
    }
    return jq_fail_at(parser, at, "unexpected character in the jq program");
}

/* ---- strings ---- */

static bool take_hex(struct jq_parser *parser, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, parser->at++) {
        char c = parser->at < parser->end ? *parser->at : '\0';
        uint32_t digit = is_digit(c)            ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                                : 16;
        if (digit == 16)
            return jq_fail_at(parser, parser->at,
                              "\\u must be followed by four hexadecimal digits");
        *out = *out * 16 + digit;
    }
    return true;
}

/* \uXXXX, with its second half when it is the first of a pair. */
static bool take_unicode(struct jq_parser *parser, struct buf *text)
{
    uint32_t code = 0;
    uint32_t second = 0;
    if (!take_hex(parser, &code))
        return false;
    if (code >= 0xd800 && code < 0xdc00 && parser->end - parser->at >= 2 && parser->at[0] == '\\' &&
        parser->at[1] == 'u') {
        parser->at += 2;
        if (!take_hex(parser, &second))
            return false;
        if (second >= 0xdc00 && second < 0xe000)
            code = 0x10000 + ((code - 0xd800) << 10) + (second - 0xdc00);
    }
    buf_put_utf8(text, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
    return true;
}

/* Text up to the closing quote or an interpolation; the place is behind it. */
bool jq_take_text(struct jq_parser *parser, struct buf *text, bool *interpolates)
{
    static const char plain[] = "\"\\/bfnrt";
    static const char meaning[] = "\"\\/\b\f\n\r\t";
    while (parser->at < parser->end) {
        char c = *parser->at++;
        *interpolates = false;
        if (c == '"')
            return true;
        if (c != '\\') {
            buf_putc(text, c);
            continue;
        }
        char escaped = parser->at < parser->end ? *parser->at++ : '\0';
        const char *found = escaped == '\0' ? NULL : strchr(plain, escaped);
        *interpolates = escaped == '(';
        if (*interpolates)
            return true;
        if (found != NULL)
            buf_putc(text, meaning[found - plain]);
        else if (escaped != 'u')
            return jq_fail_at(parser, parser->at - 1,
                              "unknown escape in a string of the jq program");
        else if (!take_unicode(parser, text))
            return false;
    }
    return jq_fail_at(parser, parser->token.start, "a string of the jq program is never closed");
}
