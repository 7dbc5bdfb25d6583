/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From tokens to the tree of a jq program: recursive descent, operators by precedence.
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "base/vec.h"
#include "core/jq/jq_internal.h"
#include "core/jq/jq_lex.h"

static const struct jq_node *parse_pipe(struct jq_parser *parser);
static const struct jq_node *parse_postfix(struct jq_parser *parser);
static const struct jq_node *parse_steps(struct jq_parser *parser);

static bool is_symbol(const struct jq_parser *parser, const char *text)
{
    return parser->token.kind == TOKEN_SYMBOL && strcmp(parser->token.text, text) == 0;
}

static bool is_word(const struct jq_parser *parser, const char *text)
{
    return parser->token.kind == TOKEN_NAME && strcmp(parser->token.text, text) == 0;
}

static bool expect(struct jq_parser *parser, const char *text)
{
    char message[40];
    if (is_symbol(parser, text) || is_word(parser, text))
        return jq_advance(parser);
    (void)snprintf(message, sizeof(message), "'%s' is missing", text);
    return jq_unexpected(parser, message);
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

static struct jq_node *node_new(struct jq_parser *parser, enum jq_kind kind)
{
    struct jq_node *node = ARENA_NEW(parser->arena, struct jq_node);
    node->kind = kind;
    return node;
}

static struct jq_node *node_of(struct jq_parser *parser,
                               enum jq_kind kind,
                               const struct jq_node *left,
                               const struct jq_node *right)
{
    struct jq_node *node = node_new(parser, kind);
    node->left = left;
    node->right = right;
    return node;
}

static const struct jq_node *literal(struct jq_parser *parser, const struct value *value)
{
    struct jq_node *node = node_new(parser, JQ_LITERAL);
    node->literal = value;
    return node;
}

static const struct jq_node *text_literal(struct jq_parser *parser, const char *text)
{
    return literal(parser, value_string(parser->arena, text));
}

static bool enter(struct jq_parser *parser)
{
    if (++parser->nest <= JQ_NEST_MAX)
        return true;
    return jq_fail_at(parser, parser->token.start, "the jq program is nested deeper than %u",
                      JQ_NEST_MAX);
}

/* ---- strings ---- */

typedef const struct jq_node *node_pointer;

/* A string whose opening quote is the current token. */
static const struct jq_node *parse_string(struct jq_parser *parser, const char *format)
{
    VEC(node_pointer) parts = { 0 };
    struct jq_node *node = node_new(parser, JQ_STRING);
    node->name = format;
    for (bool more = true; more;) {
        struct buf text = { 0 };
        bool taken = jq_take_text(parser, &text, &more);
        if (taken && text.length > 0)
            *VEC_PUSH_ARENA(parser->arena, &parts) =
                literal(parser, value_string_n(parser->arena, text.bytes, text.length));
        buf_free(&text);
        if (!taken)
            return NULL;
        if (!more)
            break;
        if (!jq_advance(parser))
            return NULL;
        const struct jq_node *inner = parse_pipe(parser);
        if (inner == NULL)
            return NULL;
        if (!is_symbol(parser, ")")) {
            (void)jq_unexpected(parser, "')' of the interpolation is missing");
            return NULL;
        }
        // A literal part is text; what is interpolated stands below a node of its own.
        *VEC_PUSH_ARENA(parser->arena, &parts) = node_of(parser, JQ_PIPE, inner, NULL);
    }
    if (!jq_advance(parser))
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

static const struct jq_pattern *parse_pattern(struct jq_parser *parser);

static const struct jq_pattern *variable_pattern(struct jq_parser *parser)
{
    struct jq_pattern *pattern = ARENA_NEW(parser->arena, struct jq_pattern);
    pattern->variable = parser->token.text;
    return jq_advance(parser) ? pattern : NULL;
}

static const struct jq_pattern *parse_list_pattern(struct jq_parser *parser)
{
    VEC(pattern_pointer) items = { 0 };
    do {
        if (!jq_advance(parser))
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
static bool parse_map_entry(struct jq_parser *parser,
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
        if (!jq_advance(parser))
            return false;
    } else if (parser->token.kind == TOKEN_QUOTE) {
        *key = parse_string(parser, NULL);
    } else if (is_symbol(parser, "(")) {
        *key = jq_advance(parser) ? parse_pipe(parser) : NULL;
        if (*key == NULL || !expect(parser, ")"))
            return false;
    } else {
        return jq_unexpected(parser, "a key of a pattern is missing");
    }
    if (*key == NULL || !expect(parser, ":"))
        return false;
    *item = parse_pattern(parser);
    return *item != NULL;
}

static const struct jq_pattern *parse_map_pattern(struct jq_parser *parser)
{
    VEC(pattern_pointer) items = { 0 };
    VEC(node_pointer) keys = { 0 };
    do {
        const struct jq_node *key = NULL;
        const struct jq_pattern *item = NULL;
        const struct jq_pattern *variable = NULL;
        if (!jq_advance(parser) || !parse_map_entry(parser, &key, &item, &variable))
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

static const struct jq_pattern *parse_pattern(struct jq_parser *parser)
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
        (void)jq_unexpected(parser, "a variable or a pattern is missing");
    parser->nest--;
    return pattern;
}

/* ---- terms ---- */

/* A value inside of `{…}`: a pipe of terms, without commas. */
static const struct jq_node *parse_map_value(struct jq_parser *parser)
{
    const struct jq_node *node = NULL;
    if (is_symbol(parser, "-")) {
        if (!jq_advance(parser))
            return NULL;
        const struct jq_node *inner = parse_postfix(parser);
        node = inner == NULL ? NULL : node_of(parser, JQ_NEGATE, inner, NULL);
    } else {
        node = parse_postfix(parser);
    }
    if (node == NULL || !is_symbol(parser, "|"))
        return node;
    if (!enter(parser) || !jq_advance(parser))
        return NULL;
    const struct jq_node *rest = parse_map_value(parser);
    parser->nest--;
    return rest == NULL ? NULL : node_of(parser, JQ_PIPE, node, rest);
}

/* The key of an entry, and what stands for its value when none is given. */
static bool parse_map_key(struct jq_parser *parser,
                          const struct jq_node **key,
                          const struct jq_node **alone)
{
    struct jq_token token = parser->token;
    *alone = NULL;
    if (token.kind == TOKEN_VARIABLE) {
        struct jq_node *variable = node_new(parser, JQ_VARIABLE);
        variable->name = token.text;
        *key = text_literal(parser, token.text);
        *alone = variable;
        return jq_advance(parser);
    }
    if (token.kind == TOKEN_NAME || token.kind == TOKEN_NUMBER) {
        *key = text_literal(parser, token.text);
        if (token.kind == TOKEN_NAME)
            *alone = node_of(parser, JQ_INDEX, node_new(parser, JQ_IDENTITY), *key);
        return jq_advance(parser);
    }
    if (token.kind == TOKEN_QUOTE || token.kind == TOKEN_FORMAT) {
        const char *format = token.kind == TOKEN_FORMAT ? token.text : NULL;
        if (format != NULL && !jq_advance(parser))
            return false;
        if (parser->token.kind != TOKEN_QUOTE)
            return jq_unexpected(parser, "a string must follow the format");
        *key = parse_string(parser, format);
        if (*key != NULL)
            *alone = node_of(parser, JQ_INDEX, node_new(parser, JQ_IDENTITY), *key);
        return *key != NULL;
    }
    if (!is_symbol(parser, "("))
        return jq_unexpected(parser, "a key is missing");
    *key = jq_advance(parser) ? parse_pipe(parser) : NULL;
    return *key != NULL && expect(parser, ")");
}

static const struct jq_node *parse_map(struct jq_parser *parser)
{
    VEC(node_pointer) parts = { 0 };
    struct jq_node *node = node_new(parser, JQ_OBJECT);
    if (!jq_advance(parser))
        return NULL;
    while (!is_symbol(parser, "}")) {
        const struct jq_node *key = NULL;
        const struct jq_node *value = NULL;
        if (parts.count > 0 && !expect(parser, ","))
            return NULL;
        if (!parse_map_key(parser, &key, &value))
            return NULL;
        if (is_symbol(parser, ":")) {
            value = jq_advance(parser) ? parse_map_value(parser) : NULL;
            if (value == NULL)
                return NULL;
        }
        if (value == NULL) {
            (void)jq_unexpected(parser, "':' is missing");
            return NULL;
        }
        *VEC_PUSH_ARENA(parser->arena, &parts) = key;
        *VEC_PUSH_ARENA(parser->arena, &parts) = value;
    }
    node->parts = parts.items;
    node->count = parts.count;
    return jq_advance(parser) ? node : NULL;
}

static const struct jq_node *parse_list(struct jq_parser *parser)
{
    const struct jq_node *inner = NULL;
    if (!jq_advance(parser))
        return NULL;
    if (!is_symbol(parser, "]")) {
        inner = parse_pipe(parser);
        if (inner == NULL)
            return NULL;
    }
    return expect(parser, "]") ? node_of(parser, JQ_ARRAY, inner, NULL) : NULL;
}

static const struct jq_node *parse_call(struct jq_parser *parser)
{
    VEC(node_pointer) arguments = { 0 };
    struct jq_node *node = node_new(parser, JQ_CALL);
    node->name = parser->token.text;
    const char *start = parser->token.start;
    if (!jq_advance(parser))
        return NULL;
    if (is_symbol(parser, "(")) {
        do {
            const struct jq_node *argument = jq_advance(parser) ? parse_pipe(parser) : NULL;
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

static const struct jq_node *parse_if(struct jq_parser *parser)
{
    struct jq_node *node = node_new(parser, JQ_IF);
    if (!enter(parser) || !jq_advance(parser))
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
        node->third = jq_advance(parser) ? parse_pipe(parser) : NULL;
        if (node->third == NULL)
            return NULL;
    }
    parser->nest--;
    return expect(parser, "end") ? node : NULL;
}

static const struct jq_node *parse_try(struct jq_parser *parser)
{
    struct jq_node *node = node_new(parser, JQ_TRY);
    if (!jq_advance(parser))
        return NULL;
    node->left = parse_postfix(parser);
    if (node->left == NULL)
        return NULL;
    if (is_word(parser, "catch")) {
        node->right = jq_advance(parser) ? parse_postfix(parser) : NULL;
        if (node->right == NULL)
            return NULL;
    }
    return node;
}

/* reduce and foreach: `TERM as PATTERN (a; b[; c])` */
static const struct jq_node *parse_loop(struct jq_parser *parser, enum jq_kind kind)
{
    struct jq_node *node = node_new(parser, kind);
    if (!jq_advance(parser))
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
        node->fourth = jq_advance(parser) ? parse_pipe(parser) : NULL;
        if (node->fourth == NULL)
            return NULL;
    }
    return expect(parser, ")") ? node : NULL;
}

static const struct jq_node *parse_label(struct jq_parser *parser)
{
    struct jq_node *node = node_new(parser, JQ_LABEL);
    if (!jq_advance(parser))
        return NULL;
    if (parser->token.kind != TOKEN_VARIABLE) {
        (void)jq_unexpected(parser, "the name of the label is missing");
        return NULL;
    }
    node->name = parser->token.text;
    if (!jq_advance(parser) || !expect(parser, "|"))
        return NULL;
    node->left = parse_pipe(parser);
    return node->left == NULL ? NULL : node;
}

static const struct jq_node *parse_break(struct jq_parser *parser)
{
    struct jq_node *node = node_new(parser, JQ_BREAK);
    if (!jq_advance(parser))
        return NULL;
    if (parser->token.kind != TOKEN_VARIABLE) {
        (void)jq_unexpected(parser, "the name of the label is missing");
        return NULL;
    }
    node->name = parser->token.text;
    return jq_advance(parser) ? node : NULL;
}

static const struct jq_node *parse_word(struct jq_parser *parser)
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
        return jq_advance(parser) ? literal(parser, boolean) : NULL;
    }
    if (is_word(parser, "null"))
        return jq_advance(parser) ? literal(parser, &value_null) : NULL;
    if (is_keyword(parser->token.text)) {
        (void)jq_unexpected(parser, "an expression is missing");
        return NULL;
    }
    return parse_call(parser);
}

static const struct jq_node *parse_symbol(struct jq_parser *parser)
{
    if (is_symbol(parser, "(")) {
        const struct jq_node *inner = jq_advance(parser) ? parse_pipe(parser) : NULL;
        return inner != NULL && expect(parser, ")") ? inner : NULL;
    }
    if (is_symbol(parser, "["))
        return parse_list(parser);
    if (is_symbol(parser, "{"))
        return parse_map(parser);
    if (is_symbol(parser, ".."))
        return jq_advance(parser) ? node_new(parser, JQ_RECURSE) : NULL;
    if (is_symbol(parser, "-")) {
        const struct jq_node *inner = jq_advance(parser) ? parse_postfix(parser) : NULL;
        return inner == NULL ? NULL : node_of(parser, JQ_NEGATE, inner, NULL);
    }
    if (is_symbol(parser, ".")) {
        const struct jq_node *identity = node_new(parser, JQ_IDENTITY);
        if (!jq_advance(parser))
            return NULL;
        if (parser->token.kind != TOKEN_QUOTE)
            return identity;
        const struct jq_node *key = parse_string(parser, NULL); // ."name"
        return key == NULL ? NULL : node_of(parser, JQ_INDEX, identity, key);
    }
    (void)jq_unexpected(parser, "an expression is missing");
    return NULL;
}

static const struct jq_node *parse_term(struct jq_parser *parser)
{
    struct jq_token token = parser->token;
    struct jq_node *node = NULL;
    switch (token.kind) {
    case TOKEN_NAME:
        return parse_word(parser);
    case TOKEN_FIELD:
        node = node_of(parser, JQ_INDEX, node_new(parser, JQ_IDENTITY),
                       text_literal(parser, token.text));
        return jq_advance(parser) ? node : NULL;
    case TOKEN_VARIABLE:
        node = node_new(parser, JQ_VARIABLE);
        node->name = token.text;
        return jq_advance(parser) ? node : NULL;
    case TOKEN_FORMAT:
        if (!jq_advance(parser))
            return NULL;
        if (parser->token.kind == TOKEN_QUOTE)
            return parse_string(parser, token.text);
        node = node_new(parser, JQ_FORMAT);
        node->name = token.text;
        return node;
    case TOKEN_NUMBER:
        return jq_advance(parser) ? literal(parser, token.number) : NULL;
    case TOKEN_QUOTE:
        return parse_string(parser, NULL);
    case TOKEN_SYMBOL:
        return parse_symbol(parser);
    case TOKEN_END:
        break;
    }
    (void)jq_unexpected(parser, "an expression is missing");
    return NULL;
}

/* `[…]` behind a term: index, slice or iteration. */
static const struct jq_node *parse_bracket(struct jq_parser *parser, const struct jq_node *term)
{
    if (!jq_advance(parser))
        return NULL;
    if (is_symbol(parser, "]"))
        return jq_advance(parser) ? node_of(parser, JQ_ITERATE, term, NULL) : NULL;
    const struct jq_node *from = NULL;
    if (!is_symbol(parser, ":")) {
        from = parse_pipe(parser);
        if (from == NULL)
            return NULL;
    }
    if (!is_symbol(parser, ":"))
        return expect(parser, "]") ? node_of(parser, JQ_INDEX, term, from) : NULL;
    struct jq_node *slice = node_of(parser, JQ_SLICE, term, from);
    if (!jq_advance(parser))
        return NULL;
    if (!is_symbol(parser, "]")) {
        slice->third = parse_pipe(parser);
        if (slice->third == NULL)
            return NULL;
    }
    if (slice->right == NULL && slice->third == NULL) {
        (void)jq_unexpected(parser, "a bound of the slice is missing");
        return NULL;
    }
    return expect(parser, "]") ? slice : NULL;
}

/* `.name`, `."name"` or `.[…]` behind a term. */
static const struct jq_node *parse_point(struct jq_parser *parser, const struct jq_node *term)
{
    if (!jq_advance(parser))
        return NULL;
    if (is_symbol(parser, "["))
        return parse_bracket(parser, term);
    if (parser->token.kind != TOKEN_QUOTE) {
        (void)jq_unexpected(parser, "a name must follow '.'");
        return NULL;
    }
    const struct jq_node *key = parse_string(parser, NULL);
    return key == NULL ? NULL : node_of(parser, JQ_INDEX, term, key);
}

static const struct jq_node *parse_binding(struct jq_parser *parser, const struct jq_node *source)
{
    struct jq_node *node = node_of(parser, JQ_BIND, source, NULL);
    if (!jq_advance(parser))
        return NULL;
    node->pattern = parse_pattern(parser);
    if (node->pattern == NULL || !expect(parser, "|"))
        return NULL;
    node->right = parse_pipe(parser);
    return node->right == NULL ? NULL : node;
}

/* A term and what is behind it: fields, brackets, question marks. */
static const struct jq_node *parse_steps(struct jq_parser *parser)
{
    if (!enter(parser))
        return NULL;
    const struct jq_node *node = parse_term(parser);
    unsigned steps = 0;
    while (node != NULL) {
        if (++steps > JQ_NEST_MAX) {
            (void)jq_fail_at(parser, parser->token.start, "too many steps in a row");
            return NULL;
        }
        if (parser->token.kind == TOKEN_FIELD) {
            node = node_of(parser, JQ_INDEX, node, text_literal(parser, parser->token.text));
            node = jq_advance(parser) ? node : NULL;
        } else if (is_symbol(parser, ".")) {
            node = parse_point(parser, node);
        } else if (is_symbol(parser, "[")) {
            node = parse_bracket(parser, node);
        } else if (is_symbol(parser, "?")) {
            node = jq_advance(parser) ? node_of(parser, JQ_TRY, node, NULL) : NULL;
        } else {
            break;
        }
    }
    parser->nest--;
    return node;
}

/* The same, or `term as pattern | body`. */
static const struct jq_node *parse_postfix(struct jq_parser *parser)
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

static const struct operator_row *operator_of(const struct jq_parser *parser)
{
    if (parser->token.kind != TOKEN_SYMBOL && parser->token.kind != TOKEN_NAME)
        return NULL;
    for (size_t i = 0; i < COUNT_OF(operators); i++) {
        if (strcmp(operators[i].text, parser->token.text) == 0)
            return &operators[i];
    }
    return NULL;
}

static const struct jq_node *parse_binary(struct jq_parser *parser, int least)
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
            (void)jq_fail_at(parser, parser->token.start, "too many operators in a row");
            return NULL;
        }
        if (!jq_advance(parser))
            return NULL;
        const struct jq_node *right =
            parse_binary(parser, row->precedence + (row->associativity == RIGHT ? 0 : 1));
        if (right == NULL)
            return NULL;
        struct jq_node *node = node_of(parser, row->kind, left, right);
        node->operation = row->operation;
        const struct operator_row *next = operator_of(parser);
        if (row->associativity == NONE && next != NULL && next->precedence == row->precedence) {
            (void)jq_unexpected(parser, "this operator does not chain, use parentheses");
            return NULL;
        }
        left = node;
    }
    parser->nest--;
    return left;
}

static const struct jq_node *parse_comma(struct jq_parser *parser)
{
    const struct jq_node *left = parse_binary(parser, 2);
    unsigned chain = 0;
    while (left != NULL && is_symbol(parser, ",")) {
        if (++chain > JQ_NEST_MAX) {
            (void)jq_fail_at(parser, parser->token.start, "too many commas in a row");
            return NULL;
        }
        const struct jq_node *right = jq_advance(parser) ? parse_binary(parser, 2) : NULL;
        left = right == NULL ? NULL : node_of(parser, JQ_COMMA, left, right);
    }
    return left;
}

/* `def name(a; $b): body; rest` */
static const struct jq_node *parse_definition(struct jq_parser *parser, bool alone)
{
    VEC(const char *) params = { 0 };
    struct jq_node *node = node_new(parser, JQ_DEFINE);
    if (!jq_advance(parser))
        return NULL;
    if (parser->token.kind != TOKEN_NAME) {
        (void)jq_unexpected(parser, "the name of the function is missing");
        return NULL;
    }
    node->name = parser->token.text;
    if (!jq_advance(parser))
        return NULL;
    if (is_symbol(parser, "(")) {
        do {
            if (!jq_advance(parser))
                return NULL;
            const struct jq_token *token = &parser->token;
            if (token->kind != TOKEN_NAME && token->kind != TOKEN_VARIABLE) {
                (void)jq_unexpected(parser, "a parameter is missing");
                return NULL;
            }
            *VEC_PUSH_ARENA(parser->arena, &params) =
                token->kind == TOKEN_NAME ? token->text
                                          : arena_printf(parser->arena, "$%s", token->text);
            if (!jq_advance(parser))
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

static const struct jq_node *parse_pipe(struct jq_parser *parser)
{
    const struct jq_node *node = NULL;
    if (!enter(parser))
        return NULL;
    if (is_word(parser, "def")) {
        node = parse_definition(parser, false);
    } else {
        node = parse_comma(parser);
        if (node != NULL && is_symbol(parser, "|")) {
            const struct jq_node *rest = jq_advance(parser) ? parse_pipe(parser) : NULL;
            node = rest == NULL ? NULL : node_of(parser, JQ_PIPE, node, rest);
        }
    }
    parser->nest--;
    return node;
}

const struct jq_node *jq_parse(struct arena *arena,
                               const char *text,
                               size_t length,
                               struct error *err)
{
    struct jq_parser parser = {
        .arena = arena, .err = err, .text = text, .at = text, .end = text + length
    };
    if (length > JQ_PROGRAM_MAX) {
        (void)error_set(err, ERR_INVALID, "a jq program has at most %zu bytes", JQ_PROGRAM_MAX);
        return NULL;
    }
    if (!utf8_valid(text, length)) {
        (void)error_set(err, ERR_INVALID, "the jq program is not UTF-8");
        return NULL;
    }
    if (!jq_advance(&parser))
        return NULL;
    if (parser.token.kind == TOKEN_END)
        return node_new(&parser, JQ_IDENTITY); // an empty program
    const struct jq_node *node =
        is_word(&parser, "def") ? parse_definition(&parser, true) : parse_pipe(&parser);
    if (node != NULL && parser.token.kind != TOKEN_END) {
        (void)jq_unexpected(&parser, "an operator is missing");
        return NULL;
    }
    return node != NULL && jq_resolve(&parser, node) ? node : NULL;
}
