/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "base/vec.h"
#include "core/jq/jq_internal.h"

enum token_kind {
    TOKEN_END,
    TOKEN_NAME,     /* identifiers and keywords; `text` */
    TOKEN_FIELD,    /* .name; `text` without the point */
    TOKEN_VARIABLE, /* $name */
    TOKEN_FORMAT,   /* @name */
    TOKEN_NUMBER,
    TOKEN_QUOTE,  /* start of a string */
    TOKEN_SYMBOL, /* operators and punctuation; `text` */
};

struct token {
    enum token_kind kind;
    const char *text; /* NUL-terminated */
    const struct value *number;
    const char *start;
};

struct parser {
    struct arena *arena;
    struct error *err;
    const char *text;
    const char *at; /* behind the current token */
    const char *end;
    struct token token;
    unsigned nest;
};

static const struct jq_node *parse_pipe(struct parser *parser);
static const struct jq_node *parse_postfix(struct parser *parser);
static const struct jq_node *parse_steps(struct parser *parser);

/* ---- errors and tokens ---- */

static bool fail_at(struct parser *parser, const char *at, const char *format, ...)
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

static bool unexpected(struct parser *parser, const char *expected)
{
    const struct token *token = &parser->token;
    size_t length = (size_t)(parser->at - token->start);
    if (token->kind == TOKEN_END)
        return fail_at(parser, token->start, "the jq program ends too early: %s", expected);
    return fail_at(parser, token->start, "unexpected '%.*s' in the jq program: %s",
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

static void skip_space(struct parser *parser)
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

static bool take_number(struct parser *parser)
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
static bool take_named(struct parser *parser, enum token_kind kind, size_t prefix)
{
    const char *start = parser->at + prefix;
    parser->at = start;
    while (parser->at < parser->end && is_name_char(*parser->at))
        parser->at++;
    parser->token.kind = kind;
    parser->token.text = arena_strndup(parser->arena, start, (size_t)(parser->at - start));
    return true;
}

static bool advance(struct parser *parser)
{
    static const char *const symbols[] = { "?//", "//=", "|=", "+=", "-=", "*=", "/=", "%=", "==",
                                           "!=",  "<=",  ">=", "//", "..", "?",  "(",  ")",  "[",
                                           "]",   "{",   "}",  ":",  ";",  ",",  "|",  "=",  "<",
                                           ">",   "+",   "-",  "*",  "/",  "%",  "." };
    skip_space(parser);
    const char *at = parser->at;
    size_t left = (size_t)(parser->end - at);
    parser->token = (struct token){ .kind = TOKEN_END, .text = "", .start = at };
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
    return fail_at(parser, at, "unexpected character in the jq program");
}

static bool is_symbol(const struct parser *parser, const char *text)
{
    return parser->token.kind == TOKEN_SYMBOL && strcmp(parser->token.text, text) == 0;
}

static bool is_word(const struct parser *parser, const char *text)
{
    return parser->token.kind == TOKEN_NAME && strcmp(parser->token.text, text) == 0;
}

static bool expect(struct parser *parser, const char *text)
{
    char message[40];
    if (is_symbol(parser, text) || is_word(parser, text))
        return advance(parser);
    (void)snprintf(message, sizeof(message), "'%s' is missing", text);
    return unexpected(parser, message);
}

static bool is_keyword(const char *text)
{
    static const char *const keywords[] = { "def",   "if",     "then",   "elif",    "else",
                                            "end",   "as",     "reduce", "foreach", "try",
                                            "catch", "label",  "import", "include", "and",
                                            "or",    "__loc__" };
    for (size_t i = 0; i < COUNT_OF(keywords); i++) {
        if (strcmp(keywords[i], text) == 0)
            return true;
    }
    return false;
}

/* ---- nodes ---- */

static struct jq_node *node_new(struct parser *parser, enum jq_kind kind)
{
    struct jq_node *node = ARENA_NEW(parser->arena, struct jq_node);
    node->kind = kind;
    return node;
}

static struct jq_node *node_of(struct parser *parser,
                               enum jq_kind kind,
                               const struct jq_node *left,
                               const struct jq_node *right)
{
    struct jq_node *node = node_new(parser, kind);
    node->left = left;
    node->right = right;
    return node;
}

static const struct jq_node *literal(struct parser *parser, const struct value *value)
{
    struct jq_node *node = node_new(parser, JQ_LITERAL);
    node->literal = value;
    return node;
}

static const struct jq_node *text_literal(struct parser *parser, const char *text)
{
    return literal(parser, value_string(parser->arena, text));
}

static bool enter(struct parser *parser)
{
    if (++parser->nest <= JQ_NEST_MAX)
        return true;
    return fail_at(parser, parser->token.start, "the jq program is nested deeper than %u",
                   JQ_NEST_MAX);
}

/* ---- strings ---- */

static bool take_hex(struct parser *parser, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, parser->at++) {
        char c = parser->at < parser->end ? *parser->at : '\0';
        uint32_t digit = is_digit(c)            ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                                : 16;
        if (digit == 16)
            return fail_at(parser, parser->at, "\\u must be followed by four hexadecimal digits");
        *out = *out * 16 + digit;
    }
    return true;
}

/* \uXXXX, with its second half when it is the first of a pair. */
static bool take_unicode(struct parser *parser, struct buf *text)
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
static bool take_text(struct parser *parser, struct buf *text, bool *interpolates)
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
            return fail_at(parser, parser->at - 1, "unknown escape in a string of the jq program");
        else if (!take_unicode(parser, text))
            return false;
    }
    return fail_at(parser, parser->token.start, "a string of the jq program is never closed");
}

typedef const struct jq_node *node_pointer;

/* A string whose opening quote is the current token. */
static const struct jq_node *parse_string(struct parser *parser, const char *format)
{
    VEC(node_pointer) parts = { 0 };
    struct jq_node *node = node_new(parser, JQ_STRING);
    node->name = format;
    for (bool more = true; more;) {
        struct buf text = { 0 };
        bool taken = take_text(parser, &text, &more);
        if (taken && text.length > 0)
            *VEC_PUSH_ARENA(parser->arena, &parts) =
                literal(parser, value_string_n(parser->arena, text.bytes, text.length));
        buf_free(&text);
        if (!taken)
            return NULL;
        if (!more)
            break;
        if (!advance(parser))
            return NULL;
        const struct jq_node *inner = parse_pipe(parser);
        if (inner == NULL)
            return NULL;
        if (!is_symbol(parser, ")")) {
            (void)unexpected(parser, "')' of the interpolation is missing");
            return NULL;
        }
        // A literal part is text; what is interpolated stands below a node of its own.
        *VEC_PUSH_ARENA(parser->arena, &parts) = node_of(parser, JQ_PIPE, inner, NULL);
    }
    if (!advance(parser))
        return NULL;
    if (parts.count == 0)
        return text_literal(parser, "");
    if (parts.count == 1 && parts.items[0]->kind == JQ_LITERAL)
        return parts.items[0];
    node->parts = parts.items;
    node->count = parts.count;
    return node;
}

/* ---- patterns ---- */

typedef const struct jq_pattern *pattern_pointer;

static const struct jq_pattern *parse_pattern(struct parser *parser);

static const struct jq_pattern *variable_pattern(struct parser *parser)
{
    struct jq_pattern *pattern = ARENA_NEW(parser->arena, struct jq_pattern);
    pattern->variable = parser->token.text;
    return advance(parser) ? pattern : NULL;
}

static const struct jq_pattern *parse_list_pattern(struct parser *parser)
{
    VEC(pattern_pointer) items = { 0 };
    do {
        if (!advance(parser))
            return NULL;
        const struct jq_pattern *item = parse_pattern(parser);
        if (item == NULL)
            return NULL;
        *VEC_PUSH_ARENA(parser->arena, &items) = item;
    } while (is_symbol(parser, ","));
    struct jq_pattern *pattern = ARENA_NEW(parser->arena, struct jq_pattern);
    pattern->items = items.items;
    pattern->count = items.count;
    return expect(parser, "]") ? pattern : NULL;
}

/* `$name`, `$name: pattern`, `name: pattern`, `"text": pattern`, `(expression): pattern` */
static bool parse_map_entry(struct parser *parser,
                            const struct jq_node **key,
                            const struct jq_pattern **item,
                            const struct jq_pattern **variable)
{
    *variable = NULL;
    if (parser->token.kind == TOKEN_VARIABLE) {
        *key = text_literal(parser, parser->token.text);
        *variable = variable_pattern(parser);
        if (*variable == NULL)
            return false;
        *item = NULL;
        if (!is_symbol(parser, ":"))
            return true;
    } else if (parser->token.kind == TOKEN_NAME) {
        *key = text_literal(parser, parser->token.text);
        if (!advance(parser))
            return false;
    } else if (parser->token.kind == TOKEN_QUOTE) {
        *key = parse_string(parser, NULL);
    } else if (is_symbol(parser, "(")) {
        *key = advance(parser) ? parse_pipe(parser) : NULL;
        if (*key == NULL || !expect(parser, ")"))
            return false;
    } else {
        return unexpected(parser, "a key of a pattern is missing");
    }
    if (*key == NULL || !expect(parser, ":"))
        return false;
    *item = parse_pattern(parser);
    return *item != NULL;
}

static const struct jq_pattern *parse_map_pattern(struct parser *parser)
{
    VEC(pattern_pointer) items = { 0 };
    VEC(node_pointer) keys = { 0 };
    do {
        const struct jq_node *key = NULL;
        const struct jq_pattern *item = NULL;
        const struct jq_pattern *variable = NULL;
        if (!advance(parser) || !parse_map_entry(parser, &key, &item, &variable))
            return NULL;
        if (variable != NULL) {
            *VEC_PUSH_ARENA(parser->arena, &keys) = key;
            *VEC_PUSH_ARENA(parser->arena, &items) = variable;
        }
        if (item != NULL) {
            *VEC_PUSH_ARENA(parser->arena, &keys) = key;
            *VEC_PUSH_ARENA(parser->arena, &items) = item;
        }
    } while (is_symbol(parser, ","));
    struct jq_pattern *pattern = ARENA_NEW(parser->arena, struct jq_pattern);
    pattern->is_map = true;
    pattern->items = items.items;
    pattern->keys = keys.items;
    pattern->count = items.count;
    return expect(parser, "}") ? pattern : NULL;
}

static const struct jq_pattern *parse_pattern(struct parser *parser)
{
    const struct jq_pattern *pattern = NULL;
    if (!enter(parser))
        return NULL;
    if (parser->token.kind == TOKEN_VARIABLE)
        pattern = variable_pattern(parser);
    else if (is_symbol(parser, "["))
        pattern = parse_list_pattern(parser);
    else if (is_symbol(parser, "{"))
        pattern = parse_map_pattern(parser);
    else
        (void)unexpected(parser, "a variable or a pattern is missing");
    parser->nest--;
    return pattern;
}

/* ---- terms ---- */

/* A value inside of `{…}`: a pipe of terms, without commas. */
static const struct jq_node *parse_map_value(struct parser *parser)
{
    const struct jq_node *node = NULL;
    if (is_symbol(parser, "-")) {
        if (!advance(parser))
            return NULL;
        const struct jq_node *inner = parse_postfix(parser);
        node = inner == NULL ? NULL : node_of(parser, JQ_NEGATE, inner, NULL);
    } else {
        node = parse_postfix(parser);
    }
    if (node == NULL || !is_symbol(parser, "|"))
        return node;
    if (!enter(parser) || !advance(parser))
        return NULL;
    const struct jq_node *rest = parse_map_value(parser);
    parser->nest--;
    return rest == NULL ? NULL : node_of(parser, JQ_PIPE, node, rest);
}

/* The key of an entry, and what stands for its value when none is given. */
static bool parse_map_key(struct parser *parser,
                          const struct jq_node **key,
                          const struct jq_node **alone)
{
    struct token token = parser->token;
    *alone = NULL;
    if (token.kind == TOKEN_VARIABLE) {
        struct jq_node *variable = node_new(parser, JQ_VARIABLE);
        variable->name = token.text;
        *key = text_literal(parser, token.text);
        *alone = variable;
        return advance(parser);
    }
    if (token.kind == TOKEN_NAME || token.kind == TOKEN_NUMBER) {
        *key = text_literal(parser, token.text);
        if (token.kind == TOKEN_NAME)
            *alone = node_of(parser, JQ_INDEX, node_new(parser, JQ_IDENTITY), *key);
        return advance(parser);
    }
    if (token.kind == TOKEN_QUOTE || token.kind == TOKEN_FORMAT) {
        const char *format = token.kind == TOKEN_FORMAT ? token.text : NULL;
        if (format != NULL && !advance(parser))
            return false;
        if (parser->token.kind != TOKEN_QUOTE)
            return unexpected(parser, "a string must follow the format");
        *key = parse_string(parser, format);
        if (*key != NULL)
            *alone = node_of(parser, JQ_INDEX, node_new(parser, JQ_IDENTITY), *key);
        return *key != NULL;
    }
    if (!is_symbol(parser, "("))
        return unexpected(parser, "a key is missing");
    *key = advance(parser) ? parse_pipe(parser) : NULL;
    return *key != NULL && expect(parser, ")");
}

static const struct jq_node *parse_map(struct parser *parser)
{
    VEC(node_pointer) parts = { 0 };
    struct jq_node *node = node_new(parser, JQ_OBJECT);
    if (!advance(parser))
        return NULL;
    while (!is_symbol(parser, "}")) {
        const struct jq_node *key = NULL;
        const struct jq_node *value = NULL;
        if (parts.count > 0 && !expect(parser, ","))
            return NULL;
        if (!parse_map_key(parser, &key, &value))
            return NULL;
        if (is_symbol(parser, ":")) {
            value = advance(parser) ? parse_map_value(parser) : NULL;
            if (value == NULL)
                return NULL;
        }
        if (value == NULL) {
            (void)unexpected(parser, "':' is missing");
            return NULL;
        }
        *VEC_PUSH_ARENA(parser->arena, &parts) = key;
        *VEC_PUSH_ARENA(parser->arena, &parts) = value;
    }
    node->parts = parts.items;
    node->count = parts.count;
    return advance(parser) ? node : NULL;
}

static const struct jq_node *parse_list(struct parser *parser)
{
    const struct jq_node *inner = NULL;
    if (!advance(parser))
        return NULL;
    if (!is_symbol(parser, "]")) {
        inner = parse_pipe(parser);
        if (inner == NULL)
            return NULL;
    }
    return expect(parser, "]") ? node_of(parser, JQ_ARRAY, inner, NULL) : NULL;
}

static const struct jq_node *parse_call(struct parser *parser)
{
    VEC(node_pointer) arguments = { 0 };
    struct jq_node *node = node_new(parser, JQ_CALL);
    node->name = parser->token.text;
    const char *start = parser->token.start;
    if (!advance(parser))
        return NULL;
    if (is_symbol(parser, "(")) {
        do {
            const struct jq_node *argument = advance(parser) ? parse_pipe(parser) : NULL;
            if (argument == NULL)
                return NULL;
            *VEC_PUSH_ARENA(parser->arena, &arguments) = argument;
        } while (is_symbol(parser, ";"));
        if (!expect(parser, ")"))
            return NULL;
    }
    node->parts = arguments.items;
    node->count = arguments.count;
    for (const char *c = parser->text; c < start; c++) {
        node->line += *c == '\n' ? 1 : 0;
        node->column = *c == '\n' ? 0 : node->column + 1;
    }
    node->line++;
    node->column++;
    return node;
}

static const struct jq_node *parse_if(struct parser *parser)
{
    struct jq_node *node = node_new(parser, JQ_IF);
    if (!enter(parser) || !advance(parser))
        return NULL;
    node->left = parse_pipe(parser);
    if (node->left == NULL || !expect(parser, "then"))
        return NULL;
    node->right = parse_pipe(parser);
    if (node->right == NULL)
        return NULL;
    if (is_word(parser, "elif")) {
        node->third = parse_if(parser); // takes the `end`
        parser->nest--;
        return node->third == NULL ? NULL : node;
    }
    if (is_word(parser, "else")) {
        node->third = advance(parser) ? parse_pipe(parser) : NULL;
        if (node->third == NULL)
            return NULL;
    }
    parser->nest--;
    return expect(parser, "end") ? node : NULL;
}

static const struct jq_node *parse_try(struct parser *parser)
{
    struct jq_node *node = node_new(parser, JQ_TRY);
    if (!advance(parser))
        return NULL;
    node->left = parse_postfix(parser);
    if (node->left == NULL)
        return NULL;
    if (is_word(parser, "catch")) {
        node->right = advance(parser) ? parse_postfix(parser) : NULL;
        if (node->right == NULL)
            return NULL;
    }
    return node;
}

/* reduce and foreach: `TERM as PATTERN (a; b[; c])` */
static const struct jq_node *parse_loop(struct parser *parser, enum jq_kind kind)
{
    struct jq_node *node = node_new(parser, kind);
    if (!advance(parser))
        return NULL;
    node->left = parse_steps(parser);
    if (node->left == NULL || !expect(parser, "as"))
        return NULL;
    node->pattern = parse_pattern(parser);
    if (node->pattern == NULL || !expect(parser, "("))
        return NULL;
    node->right = parse_pipe(parser);
    if (node->right == NULL || !expect(parser, ";"))
        return NULL;
    node->third = parse_pipe(parser);
    if (node->third == NULL)
        return NULL;
    if (kind == JQ_FOREACH && is_symbol(parser, ";")) {
        node->fourth = advance(parser) ? parse_pipe(parser) : NULL;
        if (node->fourth == NULL)
            return NULL;
    }
    return expect(parser, ")") ? node : NULL;
}

static const struct jq_node *parse_label(struct parser *parser)
{
    struct jq_node *node = node_new(parser, JQ_LABEL);
    if (!advance(parser))
        return NULL;
    if (parser->token.kind != TOKEN_VARIABLE) {
        (void)unexpected(parser, "the name of the label is missing");
        return NULL;
    }
    node->name = parser->token.text;
    if (!advance(parser) || !expect(parser, "|"))
        return NULL;
    node->left = parse_pipe(parser);
    return node->left == NULL ? NULL : node;
}

static const struct jq_node *parse_break(struct parser *parser)
{
    struct jq_node *node = node_new(parser, JQ_BREAK);
    if (!advance(parser))
        return NULL;
    if (parser->token.kind != TOKEN_VARIABLE) {
        (void)unexpected(parser, "the name of the label is missing");
        return NULL;
    }
    node->name = parser->token.text;
    return advance(parser) ? node : NULL;
}

static const struct jq_node *parse_word(struct parser *parser)
{
    if (is_word(parser, "if"))
        return parse_if(parser);
    if (is_word(parser, "try"))
        return parse_try(parser);
    if (is_word(parser, "reduce"))
        return parse_loop(parser, JQ_REDUCE);
    if (is_word(parser, "foreach"))
        return parse_loop(parser, JQ_FOREACH);
    if (is_word(parser, "label"))
        return parse_label(parser);
    if (is_word(parser, "break"))
        return parse_break(parser);
    if (is_word(parser, "true") || is_word(parser, "false")) {
        const struct value *boolean = value_bool(is_word(parser, "true"));
        return advance(parser) ? literal(parser, boolean) : NULL;
    }
    if (is_word(parser, "null"))
        return advance(parser) ? literal(parser, &value_null) : NULL;
    if (is_keyword(parser->token.text)) {
        (void)unexpected(parser, "an expression is missing");
        return NULL;
    }
    return parse_call(parser);
}

static const struct jq_node *parse_symbol(struct parser *parser)
{
    if (is_symbol(parser, "(")) {
        const struct jq_node *inner = advance(parser) ? parse_pipe(parser) : NULL;
        return inner != NULL && expect(parser, ")") ? inner : NULL;
    }
    if (is_symbol(parser, "["))
        return parse_list(parser);
    if (is_symbol(parser, "{"))
        return parse_map(parser);
    if (is_symbol(parser, ".."))
        return advance(parser) ? node_new(parser, JQ_RECURSE) : NULL;
    if (is_symbol(parser, "-")) {
        const struct jq_node *inner = advance(parser) ? parse_postfix(parser) : NULL;
        return inner == NULL ? NULL : node_of(parser, JQ_NEGATE, inner, NULL);
    }
    if (is_symbol(parser, ".")) {
        const struct jq_node *identity = node_new(parser, JQ_IDENTITY);
        if (!advance(parser))
            return NULL;
        if (parser->token.kind != TOKEN_QUOTE)
            return identity;
        const struct jq_node *key = parse_string(parser, NULL); // ."name"
        return key == NULL ? NULL : node_of(parser, JQ_INDEX, identity, key);
    }
    (void)unexpected(parser, "an expression is missing");
    return NULL;
}

static const struct jq_node *parse_term(struct parser *parser)
{
    struct token token = parser->token;
    struct jq_node *node = NULL;
    switch (token.kind) {
    case TOKEN_NAME:
        return parse_word(parser);
    case TOKEN_FIELD:
        node = node_of(parser, JQ_INDEX, node_new(parser, JQ_IDENTITY),
                       text_literal(parser, token.text));
        return advance(parser) ? node : NULL;
    case TOKEN_VARIABLE:
        node = node_new(parser, JQ_VARIABLE);
        node->name = token.text;
        return advance(parser) ? node : NULL;
    case TOKEN_FORMAT:
        if (!advance(parser))
            return NULL;
        if (parser->token.kind == TOKEN_QUOTE)
            return parse_string(parser, token.text);
        node = node_new(parser, JQ_FORMAT);
        node->name = token.text;
        return node;
    case TOKEN_NUMBER:
        return advance(parser) ? literal(parser, token.number) : NULL;
    case TOKEN_QUOTE:
        return parse_string(parser, NULL);
    case TOKEN_SYMBOL:
        return parse_symbol(parser);
    case TOKEN_END:
        break;
    }
    (void)unexpected(parser, "an expression is missing");
    return NULL;
}

/* `[…]` behind a term: index, slice or iteration. */
static const struct jq_node *parse_bracket(struct parser *parser, const struct jq_node *term)
{
    if (!advance(parser))
        return NULL;
    if (is_symbol(parser, "]"))
        return advance(parser) ? node_of(parser, JQ_ITERATE, term, NULL) : NULL;
    const struct jq_node *from = NULL;
    if (!is_symbol(parser, ":")) {
        from = parse_pipe(parser);
        if (from == NULL)
            return NULL;
    }
    if (!is_symbol(parser, ":"))
        return expect(parser, "]") ? node_of(parser, JQ_INDEX, term, from) : NULL;
    struct jq_node *slice = node_of(parser, JQ_SLICE, term, from);
    if (!advance(parser))
        return NULL;
    if (!is_symbol(parser, "]")) {
        slice->third = parse_pipe(parser);
        if (slice->third == NULL)
            return NULL;
    }
    if (slice->right == NULL && slice->third == NULL) {
        (void)unexpected(parser, "a bound of the slice is missing");
        return NULL;
    }
    return expect(parser, "]") ? slice : NULL;
}

/* `.name`, `."name"` or `.[…]` behind a term. */
static const struct jq_node *parse_point(struct parser *parser, const struct jq_node *term)
{
    if (!advance(parser))
        return NULL;
    if (is_symbol(parser, "["))
        return parse_bracket(parser, term);
    if (parser->token.kind != TOKEN_QUOTE) {
        (void)unexpected(parser, "a name must follow '.'");
        return NULL;
    }
    const struct jq_node *key = parse_string(parser, NULL);
    return key == NULL ? NULL : node_of(parser, JQ_INDEX, term, key);
}

static const struct jq_node *parse_binding(struct parser *parser, const struct jq_node *source)
{
    struct jq_node *node = node_of(parser, JQ_BIND, source, NULL);
    if (!advance(parser))
        return NULL;
    node->pattern = parse_pattern(parser);
    if (node->pattern == NULL || !expect(parser, "|"))
        return NULL;
    node->right = parse_pipe(parser);
    return node->right == NULL ? NULL : node;
}

/* A term and what is behind it: fields, brackets, question marks. */
static const struct jq_node *parse_steps(struct parser *parser)
{
    if (!enter(parser))
        return NULL;
    const struct jq_node *node = parse_term(parser);
    unsigned steps = 0;
    while (node != NULL) {
        if (++steps > JQ_NEST_MAX) {
            (void)fail_at(parser, parser->token.start, "too many steps in a row");
            return NULL;
        }
        if (parser->token.kind == TOKEN_FIELD) {
            node = node_of(parser, JQ_INDEX, node, text_literal(parser, parser->token.text));
            node = advance(parser) ? node : NULL;
        } else if (is_symbol(parser, ".")) {
            node = parse_point(parser, node);
        } else if (is_symbol(parser, "[")) {
            node = parse_bracket(parser, node);
        } else if (is_symbol(parser, "?")) {
            node = advance(parser) ? node_of(parser, JQ_TRY, node, NULL) : NULL;
        } else {
            break;
        }
    }
    parser->nest--;
    return node;
}

/* The same, or `term as pattern | body`. */
static const struct jq_node *parse_postfix(struct parser *parser)
{
    const struct jq_node *node = parse_steps(parser);
    return node != NULL && is_word(parser, "as") ? parse_binding(parser, node) : node;
}

/* ---- operators ---- */

enum associativity {
    LEFT,
    RIGHT,
    NONE,
};

static const struct operator_row {
    const char *text;
    int precedence;
    enum associativity associativity;
    enum jq_kind kind;
    enum jq_operation operation;
} operators[] = {
    { "//", 2, RIGHT, JQ_ALTERNATIVE, JQ_ADD },
    { "=", 3, NONE, JQ_ASSIGN, JQ_ADD },
    { "|=", 3, NONE, JQ_UPDATE, JQ_ADD },
    { "+=", 3, NONE, JQ_UPDATE_WITH, JQ_ADD },
    { "-=", 3, NONE, JQ_UPDATE_WITH, JQ_SUBTRACT },
    { "*=", 3, NONE, JQ_UPDATE_WITH, JQ_MULTIPLY },
    { "/=", 3, NONE, JQ_UPDATE_WITH, JQ_DIVIDE },
    { "%=", 3, NONE, JQ_UPDATE_WITH, JQ_MODULO },
    { "//=", 3, NONE, JQ_UPDATE_WITH, JQ_DEFINED_OR },
    { "or", 4, LEFT, JQ_OR, JQ_ADD },
    { "and", 5, LEFT, JQ_AND, JQ_ADD },
    { "==", 6, NONE, JQ_COMPARE, JQ_EQUAL },
    { "!=", 6, NONE, JQ_COMPARE, JQ_NOT_EQUAL },
    { "<", 6, NONE, JQ_COMPARE, JQ_LESS },
    { "<=", 6, NONE, JQ_COMPARE, JQ_LESS_EQUAL },
    { ">", 6, NONE, JQ_COMPARE, JQ_GREATER },
    { ">=", 6, NONE, JQ_COMPARE, JQ_GREATER_EQUAL },
    { "+", 7, LEFT, JQ_CALCULATE, JQ_ADD },
    { "-", 7, LEFT, JQ_CALCULATE, JQ_SUBTRACT },
    { "*", 8, LEFT, JQ_CALCULATE, JQ_MULTIPLY },
    { "/", 8, LEFT, JQ_CALCULATE, JQ_DIVIDE },
    { "%", 8, LEFT, JQ_CALCULATE, JQ_MODULO },
};

static const struct operator_row *operator_of(const struct parser *parser)
{
    if (parser->token.kind != TOKEN_SYMBOL && parser->token.kind != TOKEN_NAME)
        return NULL;
    for (size_t i = 0; i < COUNT_OF(operators); i++) {
        if (strcmp(operators[i].text, parser->token.text) == 0)
            return &operators[i];
    }
    return NULL;
}

static const struct jq_node *parse_binary(struct parser *parser, int least)
{
    if (!enter(parser))
        return NULL;
    const struct jq_node *left = parse_postfix(parser);
    unsigned chain = 0;
    while (left != NULL) {
        const struct operator_row *row = operator_of(parser);
        if (row == NULL || row->precedence < least)
            break;
        if (++chain > JQ_NEST_MAX) {
            (void)fail_at(parser, parser->token.start, "too many operators in a row");
            return NULL;
        }
        if (!advance(parser))
            return NULL;
        const struct jq_node *right =
            parse_binary(parser, row->precedence + (row->associativity == RIGHT ? 0 : 1));
        if (right == NULL)
            return NULL;
        struct jq_node *node = node_of(parser, row->kind, left, right);
        node->operation = row->operation;
        const struct operator_row *next = operator_of(parser);
        if (row->associativity == NONE && next != NULL && next->precedence == row->precedence) {
            (void)unexpected(parser, "this operator does not chain, use parentheses");
            return NULL;
        }
        left = node;
    }
    parser->nest--;
    return left;
}

static const struct jq_node *parse_comma(struct parser *parser)
{
    const struct jq_node *left = parse_binary(parser, 2);
    unsigned chain = 0;
    while (left != NULL && is_symbol(parser, ",")) {
        if (++chain > JQ_NEST_MAX) {
            (void)fail_at(parser, parser->token.start, "too many commas in a row");
            return NULL;
        }
        const struct jq_node *right = advance(parser) ? parse_binary(parser, 2) : NULL;
        left = right == NULL ? NULL : node_of(parser, JQ_COMMA, left, right);
    }
    return left;
}

/* `def name(a; $b): body; rest` */
static const struct jq_node *parse_definition(struct parser *parser, bool alone)
{
    VEC(const char *) params = { 0 };
    struct jq_node *node = node_new(parser, JQ_DEFINE);
    if (!advance(parser))
        return NULL;
    if (parser->token.kind != TOKEN_NAME) {
        (void)unexpected(parser, "the name of the function is missing");
        return NULL;
    }
    node->name = parser->token.text;
    if (!advance(parser))
        return NULL;
    if (is_symbol(parser, "(")) {
        do {
            if (!advance(parser))
                return NULL;
            const struct token *token = &parser->token;
            if (token->kind != TOKEN_NAME && token->kind != TOKEN_VARIABLE) {
                (void)unexpected(parser, "a parameter is missing");
                return NULL;
            }
            *VEC_PUSH_ARENA(parser->arena, &params) =
                token->kind == TOKEN_NAME ? token->text
                                          : arena_printf(parser->arena, "$%s", token->text);
            if (!advance(parser))
                return NULL;
        } while (is_symbol(parser, ";"));
        if (!expect(parser, ")"))
            return NULL;
    }
    node->params = params.items;
    node->count = params.count;
    if (!expect(parser, ":"))
        return NULL;
    node->left = parse_pipe(parser);
    if (node->left == NULL || !expect(parser, ";"))
        return NULL;
    if (alone && parser->token.kind == TOKEN_END)
        return node;
    node->right = parse_pipe(parser);
    return node->right == NULL ? NULL : node;
}

static const struct jq_node *parse_pipe(struct parser *parser)
{
    const struct jq_node *node = NULL;
    if (!enter(parser))
        return NULL;
    if (is_word(parser, "def")) {
        node = parse_definition(parser, false);
    } else {
        node = parse_comma(parser);
        if (node != NULL && is_symbol(parser, "|")) {
            const struct jq_node *rest = advance(parser) ? parse_pipe(parser) : NULL;
            node = rest == NULL ? NULL : node_of(parser, JQ_PIPE, node, rest);
        }
    }
    parser->nest--;
    return node;
}

/* ---- names ---- */

/* Names in sight, innermost first. */
struct name {
    const struct name *outer;
    const char *text;
    char kind; /* '$' variable, 'l' label, 'f' function or closure */
    size_t count;
};

struct resolver {
    struct parser *parser;
    const struct name *names;
};

static bool resolve(struct resolver *r, const struct jq_node *node);

static bool is_known(const struct name *name, const char *text, char kind, size_t count)
{
    for (; name != NULL; name = name->outer) {
        if (name->kind == kind && name->count == count && strcmp(name->text, text) == 0)
            return true;
    }
    return false;
}

static bool undefined(struct resolver *r, const struct jq_node *node, const char *what)
{
    if (node->line == 0)
        return error_set_at(r->parser->err, ERR_INVALID, 1, 1, "jq: %s%.60s is not defined", what,
                            node->name);
    return error_set_at(r->parser->err, ERR_INVALID, node->line, node->column,
                        "jq: %s%.60s/%zu is not defined", what, node->name, node->count);
}

static bool resolve_all(struct resolver *r, const struct jq_node *const *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!resolve(r, nodes[i]))
            return false;
    }
    return true;
}

/* Adds the variables of a pattern; their names live in the arena. */
static bool resolve_pattern(struct resolver *r, const struct jq_pattern *pattern)
{
    if (pattern->variable != NULL) {
        struct name *name = ARENA_NEW(r->parser->arena, struct name);
        *name = (struct name){ r->names, pattern->variable, '$', 0 };
        r->names = name;
        return true;
    }
    for (size_t i = 0; i < pattern->count; i++) {
        if (pattern->is_map && !resolve(r, pattern->keys[i]))
            return false;
        if (!resolve_pattern(r, pattern->items[i]))
            return false;
    }
    return true;
}

/* Nodes that see the variables of a pattern. */
static bool resolve_bound(struct resolver *r, const struct jq_node *node)
{
    struct resolver inner = *r;
    if (!resolve(r, node->left) || !resolve_pattern(&inner, node->pattern))
        return false;
    if (node->kind == JQ_BIND)
        return resolve(&inner, node->right);
    return resolve(r, node->right) && resolve(&inner, node->third) &&
           (node->fourth == NULL || resolve(&inner, node->fourth));
}

static bool resolve_definition(struct resolver *r, const struct jq_node *node)
{
    struct name function = { r->names, node->name, 'f', node->count };
    struct resolver inner = { r->parser, &function };
    for (size_t i = 0; i < node->count; i++) {
        bool is_variable = *node->params[i] == '$';
        const char *text = node->params[i] + (is_variable ? 1 : 0);
        for (int as_function = is_variable ? 0 : 1; as_function < 2; as_function++) {
            struct name *name = ARENA_NEW(r->parser->arena, struct name);
            *name = (struct name){ inner.names, text, as_function ? 'f' : '$', 0 };
            inner.names = name;
        }
    }
    struct resolver rest = { r->parser, &function };
    return resolve(&inner, node->left) && (node->right == NULL || resolve(&rest, node->right));
}

/* Every name must be defined, even where it is never reached. */
static bool resolve(struct resolver *r, const struct jq_node *node)
{
    struct name label;
    switch (node->kind) {
    case JQ_BIND:
    case JQ_REDUCE:
    case JQ_FOREACH:
        return resolve_bound(r, node);
    case JQ_DEFINE:
        return resolve_definition(r, node);
    case JQ_LABEL:
        label = (struct name){ r->names, node->name, 'l', 0 };
        return resolve(&(struct resolver){ r->parser, &label }, node->left);
    case JQ_BREAK:
        return is_known(r->names, node->name, 'l', 0) || undefined(r, node, "label $");
    case JQ_VARIABLE:
        return is_known(r->names, node->name, '$', 0) || undefined(r, node, "$");
    case JQ_CALL:
        if (!is_known(r->names, node->name, 'f', node->count) &&
            jq_builtin_find(node->name, node->count) == NULL)
            return undefined(r, node, "");
        return resolve_all(r, node->parts, node->count);
    case JQ_IDENTITY:
    case JQ_RECURSE:
    case JQ_INDEX:
    case JQ_SLICE:
    case JQ_ITERATE:
    case JQ_LITERAL:
    case JQ_STRING:
    case JQ_FORMAT:
    case JQ_ARRAY:
    case JQ_OBJECT:
    case JQ_NEGATE:
    case JQ_PIPE:
    case JQ_COMMA:
    case JQ_ALTERNATIVE:
    case JQ_ASSIGN:
    case JQ_UPDATE:
    case JQ_UPDATE_WITH:
    case JQ_OR:
    case JQ_AND:
    case JQ_COMPARE:
    case JQ_CALCULATE:
    case JQ_IF:
    case JQ_TRY:
        break;
    }
    return (node->left == NULL || resolve(r, node->left)) &&
           (node->right == NULL || resolve(r, node->right)) &&
           (node->third == NULL || resolve(r, node->third)) &&
           resolve_all(r, node->parts, node->count);
}

const struct jq_node *jq_parse(struct arena *arena,
                               const char *text,
                               size_t length,
                               struct error *err)
{
    struct parser parser = {
        .arena = arena, .err = err, .text = text, .at = text, .end = text + length
    };
    if (length > JQ_PROGRAM_MAX) {
        (void)error_set(err, ERR_INVALID, "a jq program has at most %u bytes", JQ_PROGRAM_MAX);
        return NULL;
    }
    if (!utf8_valid(text, length)) {
        (void)error_set(err, ERR_INVALID, "the jq program is not UTF-8");
        return NULL;
    }
    if (!advance(&parser))
        return NULL;
    if (parser.token.kind == TOKEN_END)
        return node_new(&parser, JQ_IDENTITY); // an empty program
    const struct jq_node *node =
        is_word(&parser, "def") ? parse_definition(&parser, true) : parse_pipe(&parser);
    if (node != NULL && parser.token.kind != TOKEN_END) {
        (void)unexpected(&parser, "an operator is missing");
        return NULL;
    }
    struct resolver resolver = { &parser, NULL };
    return node != NULL && resolve(&resolver, node) ? node : NULL;
}
