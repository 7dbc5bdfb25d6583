/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions: recursive descent; binary operators by precedence climbing.
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "base/vec.h"
#include "core/expr/ast.h"
#include "core/expr/builtin.h"
#include "core/expr/expr.h"
#include "core/expr/lexer.h"
#include "core/expr/parser_internal.h"
#include "core/value.h"

#define PRECEDENCE_UNARY 500

static const struct node *parse_binary(struct parser *parser, int least);

/* ---- tokens ---- */

bool parser_advance(struct parser *parser)
{
    if (parser->has_ahead) {
        parser->token = parser->ahead;
        parser->has_ahead = false;
        return true;
    }
    return lexer_next(&parser->lexer, &parser->token);
}

static bool look_ahead(struct parser *parser)
{
    if (!parser->has_ahead && !lexer_next(&parser->lexer, &parser->ahead))
        return false;
    parser->has_ahead = true;
    return true;
}

bool token_is(const struct token *token, char c)
{
    return token->kind == TOKEN_PUNCTUATION && token->character == c;
}

bool token_is_word(const struct token *token, const char *word)
{
    return token->kind == TOKEN_NAME && token->text.length == strlen(word) &&
           memcmp(token->text.text, word, token->text.length) == 0;
}

/* The token as people would quote it. */
static const char *describe(struct parser *parser, const struct token *token)
{
    switch (token->kind) {
    case TOKEN_END:
        return "the end of the template";
    case TOKEN_TEXT:
        return "text";
    case TOKEN_PRINT_OPEN:
        return "'{{'";
    case TOKEN_PRINT_CLOSE:
        return "'}}'";
    case TOKEN_TAG_OPEN:
        return "'{%'";
    case TOKEN_TAG_CLOSE:
        return "'%}'";
    case TOKEN_NAME:
    case TOKEN_OPERATOR:
        return arena_printf(parser->arena, "'%.*s'",
                            token->text.length > 40 ? 40 : (int)token->text.length,
                            token->text.text);
    case TOKEN_INTEGER:
    case TOKEN_DOUBLE:
        return "a number";
    case TOKEN_STRING:
    case TOKEN_PARTS:
        return "a string";
    case TOKEN_PUNCTUATION:
        return arena_printf(parser->arena, "'%c'", token->character);
    }
    return "something";
}

bool parser_unexpected(struct parser *parser, const char *expected)
{
    const struct token *token = &parser->token;
    return lexer_fail(&parser->lexer, token->line, token->column, "unexpected %s: %s",
                      describe(parser, token), expected);
}

bool parser_expect(struct parser *parser, char c)
{
    char text[32];
    if (token_is(&parser->token, c))
        return parser_advance(parser);
    (void)snprintf(text, sizeof(text), "'%c' is missing", c);
    return parser_unexpected(parser, text);
}

bool parser_enter(struct parser *parser)
{
    if (++parser->nest <= EXPR_NEST_MAX)
        return true;
    return lexer_fail(&parser->lexer, parser->token.line, parser->token.column,
                      "nested deeper than %u", EXPR_NEST_MAX);
}

/* ---- nodes ---- */

struct node *parser_node(struct parser *parser, enum node_kind kind, const struct token *at)
{
    if (++parser->nodes > EXPR_NODES_MAX) {
        (void)lexer_fail(&parser->lexer, at->line, at->column,
                         "the template has more than %u operations", EXPR_NODES_MAX);
        return NULL;
    }
    struct node *node = ARENA_NEW(parser->arena, struct node);
    node->kind = (uint8_t)kind;
    node->line = at->line;
    node->column = at->column;
    node->depth = 1;
    return node;
}

/* Notes that `child` (may be NULL) stands below; false when that makes the tree too deep. */
static bool adopt(struct parser *parser, struct node *node, const struct node *child)
{
    if (child == NULL || child->depth < node->depth)
        return true;
    if (child->depth >= EXPR_NODE_DEPTH_MAX)
        return lexer_fail(&parser->lexer, node->line, node->column,
                          "the expression has more than %u operations in a row",
                          EXPR_NODE_DEPTH_MAX);
    node->depth = (uint16_t)(child->depth + 1);
    return true;
}

static const struct node *literal(struct parser *parser, const struct value *value)
{
    struct node *node = parser_node(parser, NODE_LITERAL, &parser->token);
    if (node == NULL || !parser_advance(parser))
        return NULL;
    node->literal = value;
    return node;
}

const struct value *parser_literal(const struct name *name)
{
    static const struct {
        const char *name;
        const struct value *value;
    } literals[] = {
        { "true", &value_true },   { "TRUE", &value_true }, { "false", &value_false },
        { "FALSE", &value_false }, { "null", &value_null }, { "NULL", &value_null },
        { "none", &value_null },   { "NONE", &value_null },
    };
    for (size_t i = 0; i < COUNT_OF(literals); i++) {
        if (strlen(literals[i].name) == name->length &&
            memcmp(literals[i].name, name->text, name->length) == 0)
            return literals[i].value;
    }
    return NULL;
}

static const struct node *name_node(struct parser *parser, const struct token *token)
{
    struct node *node = parser_node(parser, NODE_NAME, token);
    if (node != NULL)
        node->name = token->text;
    return node;
}

/* ---- calls ---- */

static bool parse_argument(struct parser *parser, struct argument *argument, bool *named)
{
    if (parser->token.kind == TOKEN_NAME) {
        if (!look_ahead(parser))
            return false;
        if (token_is(&parser->ahead, '=')) {
            argument->name = parser->token.text;
            *named = true;
            if (!parser_advance(parser)) // the name
                return false;
            if (!parser_advance(parser)) // the sign
                return false;
        }
    }
    if (*named && argument->name.length == 0)
        return parser_unexpected(parser, "arguments by position come before those by name");
    argument->value = parse_expression(parser);
    return argument->value != NULL;
}

/* `(a, b, c = d)`; nothing there is fine when `optional`. */
static bool parse_arguments(struct parser *parser,
                            struct node *node,
                            struct call_node *call,
                            bool optional)
{
    VEC(struct argument) arguments = { 0 };
    if (optional && !token_is(&parser->token, '('))
        return true;
    if (!parser_expect(parser, '('))
        return false;
    bool named = false;
    while (!token_is(&parser->token, ')')) {
        if (arguments.count > 0 && !parser_expect(parser, ','))
            return false;
        struct argument *argument = VEC_PUSH_ARENA(parser->arena, &arguments);
        if (!parse_argument(parser, argument, &named) || !adopt(parser, node, argument->value))
            return false;
    }
    call->arguments = arguments.items;
    call->count = (uint32_t)arguments.count;
    return parser_advance(parser);
}

/* A call of the name that is the current token. */
static struct node *parse_call(struct parser *parser,
                               enum node_kind kind,
                               const struct node *input,
                               bool optional_arguments)
{
    struct node *node = parser_node(parser, kind, &parser->token);
    if (node == NULL)
        return NULL;
    struct call_node *call = ARENA_NEW(parser->arena, struct call_node);
    node->call = call;
    call->input = input;
    call->name = parser->token.text;
    if (!adopt(parser, node, input) || !parser_advance(parser) ||
        !parse_arguments(parser, node, call, optional_arguments))
        return NULL;
    if (kind != NODE_METHOD)
        builtin_bind(parser->arena, kind, call);
    return node;
}

/* ---- primary expressions ---- */

static const struct node *parse_list(struct parser *parser)
{
    VEC(const struct node *) items = { 0 };
    struct node *node = parser_node(parser, NODE_LIST, &parser->token);
    if (node == NULL || !parser_advance(parser))
        return NULL;
    while (!token_is(&parser->token, ']')) {
        if (items.count > 0 && !parser_expect(parser, ','))
            return NULL;
        const struct node *item = parse_expression(parser);
        if (item == NULL || !adopt(parser, node, item))
            return NULL;
        *VEC_PUSH_ARENA(parser->arena, &items) = item;
    }
    node->list.items = items.items;
    node->list.count = (uint32_t)items.count;
    return parser_advance(parser) ? node : NULL;
}

static const struct node *parse_map(struct parser *parser)
{
    VEC(const struct node *) items = { 0 };
    struct node *node = parser_node(parser, NODE_MAP, &parser->token);
    if (node == NULL || !parser_advance(parser))
        return NULL;
    while (!token_is(&parser->token, '}')) {
        if (items.count > 0 && !parser_expect(parser, ','))
            return NULL;
        const struct node *key = parse_expression(parser);
        if (key == NULL || !adopt(parser, node, key) || !parser_expect(parser, ':'))
            return NULL;
        const struct node *item = parse_expression(parser);
        if (item == NULL || !adopt(parser, node, item))
            return NULL;
        *VEC_PUSH_ARENA(parser->arena, &items) = key;
        *VEC_PUSH_ARENA(parser->arena, &items) = item;
    }
    node->list.items = items.items;
    node->list.count = (uint32_t)items.count;
    return parser_advance(parser) ? node : NULL;
}

static const struct node *text_node(struct parser *parser, struct name text)
{
    struct node *node = parser_node(parser, NODE_LITERAL, &parser->token);
    if (node != NULL)
        node->literal = value_string_n(parser->arena, text.text, text.length);
    return node;
}

/* The interpolations of a double-quoted string; the current token is its opening quote. */
static const struct node *parse_parts(struct parser *parser)
{
    VEC(const struct node *) parts = { 0 };
    struct node *node = parser_node(parser, NODE_INTERPOLATION, &parser->token);
    if (node == NULL)
        return NULL;
    for (;;) {
        struct name text = { 0 };
        bool more = false;
        if (!lexer_part(&parser->lexer, &text, &more))
            return NULL;
        if (text.length > 0 || (!more && parts.count == 0))
            *VEC_PUSH_ARENA(parser->arena, &parts) = text_node(parser, text);
        if (!more)
            break;
        const struct node *part = parser_advance(parser) ? parse_expression(parser) : NULL;
        if (part == NULL || !adopt(parser, node, part))
            return NULL;
        if (!token_is(&parser->token, '}')) {
            (void)parser_unexpected(parser, "'}' of the interpolation is missing");
            return NULL;
        }
        *VEC_PUSH_ARENA(parser->arena, &parts) = part;
    }
    if (!parser_advance(parser))
        return NULL;
    if (parts.count == 1)
        return parts.items[0]; // keeps its type
    node->list.items = parts.items;
    node->list.count = (uint32_t)parts.count;
    return node;
}

static const struct node *parse_name(struct parser *parser)
{
    const struct value *value = parser_literal(&parser->token.text);
    if (value != NULL)
        return literal(parser, value);
    if (!look_ahead(parser))
        return NULL;
    if (token_is(&parser->ahead, '('))
        return parse_call(parser, NODE_FUNCTION, NULL, false);
    struct token token = parser->token;
    return parser_advance(parser) ? name_node(parser, &token) : NULL;
}

static const struct node *parse_group(struct parser *parser)
{
    if (!parser_advance(parser))
        return NULL;
    const struct node *inner = parse_expression(parser);
    return inner != NULL && parser_expect(parser, ')') ? inner : NULL;
}

static const struct node *parse_atom(struct parser *parser)
{
    const struct token *token = &parser->token;
    switch (token->kind) {
    case TOKEN_NAME:
        return parse_name(parser);
    case TOKEN_INTEGER:
        return literal(parser, value_int(parser->arena, token->integer));
    case TOKEN_DOUBLE:
        return literal(parser, value_double(parser->arena, token->number));
    case TOKEN_STRING:
        return literal(parser, value_string_n(parser->arena, token->text.text, token->text.length));
    case TOKEN_PARTS:
        return parse_parts(parser);
    case TOKEN_PUNCTUATION:
        if (token->character == '(')
            return parse_group(parser);
        break;
    case TOKEN_END:
    case TOKEN_TEXT:
    case TOKEN_PRINT_OPEN:
    case TOKEN_PRINT_CLOSE:
    case TOKEN_TAG_OPEN:
    case TOKEN_TAG_CLOSE:
    case TOKEN_OPERATOR:
        break;
    }
    (void)parser_unexpected(parser, "an expression is missing");
    return NULL;
}

static const struct node *parse_member(struct parser *parser, const struct node *object)
{
    if (!parser_advance(parser))
        return NULL;
    const struct token *token = &parser->token;
    if (token->kind == TOKEN_OPERATOR) {
        (void)parser_unexpected(parser, "an operator cannot be a name behind '.', write x['name']");
        return NULL;
    }
    if (token->kind != TOKEN_NAME) {
        (void)parser_unexpected(parser, "a name must follow '.'");
        return NULL;
    }
    if (!look_ahead(parser))
        return NULL;
    if (token_is(&parser->ahead, '('))
        return parse_call(parser, NODE_METHOD, object, false);
    struct node *node = parser_node(parser, NODE_MEMBER, token);
    if (node == NULL || !adopt(parser, node, object))
        return NULL;
    node->member.object = object;
    node->member.name = token->text;
    return parser_advance(parser) ? node : NULL;
}

static const struct node *parse_index(struct parser *parser, const struct node *object)
{
    struct node *node = parser_node(parser, NODE_INDEX, &parser->token);
    if (node == NULL || !parser_advance(parser))
        return NULL;
    node->index.object = object;
    node->index.key = parse_expression(parser);
    if (node->index.key == NULL || !adopt(parser, node, object) ||
        !adopt(parser, node, node->index.key) || !parser_expect(parser, ']'))
        return NULL;
    return node;
}

static const struct node *parse_primary(struct parser *parser)
{
    if (token_is(&parser->token, '['))
        return parse_list(parser);
    if (token_is(&parser->token, '{'))
        return parse_map(parser);
    const struct node *node = parse_atom(parser);
    while (node != NULL) {
        if (token_is(&parser->token, '.'))
            node = parse_member(parser, node);
        else if (token_is(&parser->token, '['))
            node = parse_index(parser, node);
        else
            break;
    }
    return node;
}

/* ---- operators ---- */

static const struct node *parse_prefix(struct parser *parser)
{
    const struct token *token = &parser->token;
    bool is_unary = token->kind == TOKEN_OPERATOR &&
                    (token->operation == OP_NOT || token->operation == OP_ADD ||
                     token->operation == OP_SUBTRACT);
    if (!is_unary)
        return parse_primary(parser);
    struct node *node = parser_node(parser, NODE_UNARY, token);
    if (node == NULL)
        return NULL;
    node->operation = (uint8_t)token->operation;
    if (!parser_advance(parser))
        return NULL;
    node->operands.right = parse_binary(parser, PRECEDENCE_UNARY);
    return node->operands.right != NULL && adopt(parser, node, node->operands.right) ? node : NULL;
}

struct node *parse_named(struct parser *parser, enum node_kind kind, const struct node *input)
{
    if (parser->token.kind == TOKEN_NAME)
        return parse_call(parser, kind, input, true);
    (void)parser_unexpected(parser, kind == NODE_FILTER ? "the name of a filter is missing"
                                                        : "the name of a test is missing");
    return NULL;
}

static const struct node *parse_operation(struct parser *parser, const struct node *left)
{
    struct token token = parser->token;
    enum operation operation = token.operation;
    if (!parser_advance(parser))
        return NULL;
    if (operation == OP_FILTER)
        return parse_named(parser, NODE_FILTER, left);
    if (operation == OP_IS || operation == OP_IS_NOT) {
        struct node *test = parse_named(parser, NODE_TEST, left);
        if (test == NULL)
            return NULL;
        struct call_node *call = arena_memdup(parser->arena, test->call, sizeof(*test->call));
        call->negated = operation == OP_IS_NOT;
        test->call = call;
        return test;
    }
    struct node *node = parser_node(parser, NODE_BINARY, &token);
    if (node == NULL)
        return NULL;
    node->operation = (uint8_t)operation;
    node->operands.left = left;
    node->operands.right = parse_binary(parser, operation_precedence(operation) + 1);
    if (node->operands.right == NULL || !adopt(parser, node, left) ||
        !adopt(parser, node, node->operands.right))
        return NULL;
    return node;
}

static const struct node *parse_binary(struct parser *parser, int least)
{
    if (!parser_enter(parser))
        return NULL;
    const struct node *node = parse_prefix(parser);
    while (node != NULL && parser->token.kind == TOKEN_OPERATOR &&
           parser->token.operation != OP_NOT &&
           operation_precedence(parser->token.operation) >= least)
        node = parse_operation(parser, node);
    parser->nest--;
    return node;
}

static const struct node *parse_ternary(struct parser *parser, const struct node *condition)
{
    struct node *node = parser_node(parser, NODE_TERNARY, &parser->token);
    if (node == NULL || !parser_enter(parser) || !parser_advance(parser))
        return NULL;
    node->ternary.condition = condition;
    node->ternary.yes = parse_expression(parser);
    if (node->ternary.yes == NULL || !parser_expect(parser, ':'))
        return NULL;
    node->ternary.no = parse_expression(parser);
    if (node->ternary.no == NULL || !adopt(parser, node, condition) ||
        !adopt(parser, node, node->ternary.yes) || !adopt(parser, node, node->ternary.no))
        return NULL;
    parser->nest--;
    return node;
}

const struct node *parse_expression(struct parser *parser)
{
    const struct node *node = parse_binary(parser, 0);
    if (node != NULL && token_is(&parser->token, '?'))
        node = parse_ternary(parser, node);
    return node;
}
