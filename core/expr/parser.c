/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recursive descent; binary operators by precedence climbing. Functions return NULL or false once
 * the error is set.
 */
#include "core/expr/parser.h"

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
#include "core/value.h"

#define PRECEDENCE_UNARY 500

struct parser {
    struct arena *arena;
    struct error *err;
    struct token token; /* not consumed yet */
    struct token ahead; /* the one behind it, if has_ahead */
    bool has_ahead;
    size_t nest;
    size_t nodes;
    VEC(struct macro) macros;
    VEC(struct block) blocks;
    struct lexer lexer;
};

static const struct node *parse_expression(struct parser *parser);
static const struct node *parse_binary(struct parser *parser, int least);
static bool parse_body(struct parser *parser, struct body *body);

/* ---- tokens ---- */

static bool advance(struct parser *parser)
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

static bool is_character(const struct token *token, char c)
{
    return token->kind == TOKEN_PUNCTUATION && token->character == c;
}

static bool is_word(const struct token *token, const char *word)
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

/* Fails at the current token: "unexpected X: EXPECTED". */
static bool unexpected(struct parser *parser, const char *expected)
{
    const struct token *token = &parser->token;
    return lexer_fail(&parser->lexer, token->line, token->column, "unexpected %s: %s",
                      describe(parser, token), expected);
}

static bool expect_character(struct parser *parser, char c)
{
    char text[32];
    if (is_character(&parser->token, c))
        return advance(parser);
    (void)snprintf(text, sizeof(text), "'%c' is missing", c);
    return unexpected(parser, text);
}

static bool enter(struct parser *parser)
{
    if (++parser->nest <= EXPR_NEST_MAX)
        return true;
    return lexer_fail(&parser->lexer, parser->token.line, parser->token.column,
                      "nested deeper than %u", EXPR_NEST_MAX);
}

/* ---- nodes ---- */

static struct node *node_new(struct parser *parser, enum node_kind kind, const struct token *at)
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
    struct node *node = node_new(parser, NODE_LITERAL, &parser->token);
    if (node == NULL || !advance(parser))
        return NULL;
    node->literal = value;
    return node;
}

/* Value of a name that is a literal, NULL for every other name. */
static const struct value *named_literal(const struct name *name)
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
    struct node *node = node_new(parser, NODE_NAME, token);
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
        if (is_character(&parser->ahead, '=')) {
            argument->name = parser->token.text;
            *named = true;
            if (!advance(parser)) // the name
                return false;
            if (!advance(parser)) // the sign
                return false;
        }
    }
    if (*named && argument->name.length == 0)
        return unexpected(parser, "arguments by position come before those by name");
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
    if (optional && !is_character(&parser->token, '('))
        return true;
    if (!expect_character(parser, '('))
        return false;
    bool named = false;
    while (!is_character(&parser->token, ')')) {
        if (arguments.count > 0 && !expect_character(parser, ','))
            return false;
        struct argument *argument = VEC_PUSH_ARENA(parser->arena, &arguments);
        if (!parse_argument(parser, argument, &named) || !adopt(parser, node, argument->value))
            return false;
    }
    call->arguments = arguments.items;
    call->count = (uint32_t)arguments.count;
    return advance(parser);
}

/* A call of the name that is the current token. */
static struct node *parse_call(struct parser *parser,
                               enum node_kind kind,
                               const struct node *input,
                               bool optional_arguments)
{
    struct node *node = node_new(parser, kind, &parser->token);
    if (node == NULL)
        return NULL;
    struct call_node *call = ARENA_NEW(parser->arena, struct call_node);
    node->call = call;
    call->input = input;
    call->name = parser->token.text;
    if (!adopt(parser, node, input) || !advance(parser) ||
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
    struct node *node = node_new(parser, NODE_LIST, &parser->token);
    if (node == NULL || !advance(parser))
        return NULL;
    while (!is_character(&parser->token, ']')) {
        if (items.count > 0 && !expect_character(parser, ','))
            return NULL;
        const struct node *item = parse_expression(parser);
        if (item == NULL || !adopt(parser, node, item))
            return NULL;
        *VEC_PUSH_ARENA(parser->arena, &items) = item;
    }
    node->list.items = items.items;
    node->list.count = (uint32_t)items.count;
    return advance(parser) ? node : NULL;
}

static const struct node *parse_map(struct parser *parser)
{
    VEC(const struct node *) items = { 0 };
    struct node *node = node_new(parser, NODE_MAP, &parser->token);
    if (node == NULL || !advance(parser))
        return NULL;
    while (!is_character(&parser->token, '}')) {
        if (items.count > 0 && !expect_character(parser, ','))
            return NULL;
        const struct node *key = parse_expression(parser);
        if (key == NULL || !adopt(parser, node, key) || !expect_character(parser, ':'))
            return NULL;
        const struct node *item = parse_expression(parser);
        if (item == NULL || !adopt(parser, node, item))
            return NULL;
        *VEC_PUSH_ARENA(parser->arena, &items) = key;
        *VEC_PUSH_ARENA(parser->arena, &items) = item;
    }
    node->list.items = items.items;
    node->list.count = (uint32_t)items.count;
    return advance(parser) ? node : NULL;
}

static const struct node *text_node(struct parser *parser, struct name text)
{
    struct node *node = node_new(parser, NODE_LITERAL, &parser->token);
    if (node != NULL)
        node->literal = value_string_n(parser->arena, text.text, text.length);
    return node;
}

/* The interpolations of a double-quoted string; the current token is its opening quote. */
static const struct node *parse_parts(struct parser *parser)
{
    VEC(const struct node *) parts = { 0 };
    struct node *node = node_new(parser, NODE_INTERPOLATION, &parser->token);
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
        const struct node *part = advance(parser) ? parse_expression(parser) : NULL;
        if (part == NULL || !adopt(parser, node, part))
            return NULL;
        if (!is_character(&parser->token, '}')) {
            (void)unexpected(parser, "'}' of the interpolation is missing");
            return NULL;
        }
        *VEC_PUSH_ARENA(parser->arena, &parts) = part;
    }
    if (!advance(parser))
        return NULL;
    if (parts.count == 1)
        return parts.items[0]; // keeps its type
    node->list.items = parts.items;
    node->list.count = (uint32_t)parts.count;
    return node;
}

static const struct node *parse_name(struct parser *parser)
{
    const struct value *value = named_literal(&parser->token.text);
    if (value != NULL)
        return literal(parser, value);
    if (!look_ahead(parser))
        return NULL;
    if (is_character(&parser->ahead, '('))
        return parse_call(parser, NODE_FUNCTION, NULL, false);
    struct token token = parser->token;
    return advance(parser) ? name_node(parser, &token) : NULL;
}

static const struct node *parse_group(struct parser *parser)
{
    if (!advance(parser))
        return NULL;
    const struct node *inner = parse_expression(parser);
    return inner != NULL && expect_character(parser, ')') ? inner : NULL;
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
    (void)unexpected(parser, "an expression is missing");
    return NULL;
}

static const struct node *parse_member(struct parser *parser, const struct node *object)
{
    if (!advance(parser))
        return NULL;
    const struct token *token = &parser->token;
    if (token->kind == TOKEN_OPERATOR) {
        (void)unexpected(parser, "an operator cannot be a name behind '.', write x['name']");
        return NULL;
    }
    if (token->kind != TOKEN_NAME) {
        (void)unexpected(parser, "a name must follow '.'");
        return NULL;
    }
    if (!look_ahead(parser))
        return NULL;
    if (is_character(&parser->ahead, '('))
        return parse_call(parser, NODE_METHOD, object, false);
    struct node *node = node_new(parser, NODE_MEMBER, token);
    if (node == NULL || !adopt(parser, node, object))
        return NULL;
    node->member.object = object;
    node->member.name = token->text;
    return advance(parser) ? node : NULL;
}

static const struct node *parse_index(struct parser *parser, const struct node *object)
{
    struct node *node = node_new(parser, NODE_INDEX, &parser->token);
    if (node == NULL || !advance(parser))
        return NULL;
    node->index.object = object;
    node->index.key = parse_expression(parser);
    if (node->index.key == NULL || !adopt(parser, node, object) ||
        !adopt(parser, node, node->index.key) || !expect_character(parser, ']'))
        return NULL;
    return node;
}

static const struct node *parse_primary(struct parser *parser)
{
    if (is_character(&parser->token, '['))
        return parse_list(parser);
    if (is_character(&parser->token, '{'))
        return parse_map(parser);
    const struct node *node = parse_atom(parser);
    while (node != NULL) {
        if (is_character(&parser->token, '.'))
            node = parse_member(parser, node);
        else if (is_character(&parser->token, '['))
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
    struct node *node = node_new(parser, NODE_UNARY, token);
    if (node == NULL)
        return NULL;
    node->operation = (uint8_t)token->operation;
    if (!advance(parser))
        return NULL;
    node->operands.right = parse_binary(parser, PRECEDENCE_UNARY);
    return node->operands.right != NULL && adopt(parser, node, node->operands.right) ? node : NULL;
}

/* The name of a filter or a test, with optional arguments. */
static struct node *parse_named(struct parser *parser,
                                enum node_kind kind,
                                const struct node *input)
{
    if (parser->token.kind == TOKEN_NAME)
        return parse_call(parser, kind, input, true);
    (void)unexpected(parser, kind == NODE_FILTER ? "the name of a filter is missing"
                                                 : "the name of a test is missing");
    return NULL;
}

static const struct node *parse_operation(struct parser *parser, const struct node *left)
{
    struct token token = parser->token;
    enum operation operation = token.operation;
    if (!advance(parser))
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
    struct node *node = node_new(parser, NODE_BINARY, &token);
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
    if (!enter(parser))
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
    struct node *node = node_new(parser, NODE_TERNARY, &parser->token);
    if (node == NULL || !enter(parser) || !advance(parser))
        return NULL;
    node->ternary.condition = condition;
    node->ternary.yes = parse_expression(parser);
    if (node->ternary.yes == NULL || !expect_character(parser, ':'))
        return NULL;
    node->ternary.no = parse_expression(parser);
    if (node->ternary.no == NULL || !adopt(parser, node, condition) ||
        !adopt(parser, node, node->ternary.yes) || !adopt(parser, node, node->ternary.no))
        return NULL;
    parser->nest--;
    return node;
}

static const struct node *parse_expression(struct parser *parser)
{
    const struct node *node = parse_binary(parser, 0);
    if (node != NULL && is_character(&parser->token, '?'))
        node = parse_ternary(parser, node);
    return node;
}

/* ---- statements ---- */

static bool close_tag(struct parser *parser)
{
    return parser->token.kind == TOKEN_TAG_CLOSE ? advance(parser)
                                                 : unexpected(parser, "'%}' is missing");
}

/* A name that a variable may have. */
static bool parse_variable(struct parser *parser, struct name *name)
{
    if (parser->token.kind != TOKEN_NAME)
        return unexpected(parser, "a name is missing");
    if (named_literal(&parser->token.text) != NULL)
        return unexpected(parser, "this name is reserved");
    *name = parser->token.text;
    return advance(parser);
}

/* The body of a tag and then the word that ends it, which must be `end`. */
static bool parse_until(struct parser *parser, const char *end, struct body *body)
{
    char text[64];
    if (!parse_body(parser, body))
        return false;
    if (is_word(&parser->token, end))
        return advance(parser);
    (void)snprintf(text, sizeof(text), "'%s' is missing", end);
    return unexpected(parser, text);
}

static bool parse_if(struct parser *parser, struct statement *statement)
{
    VEC(struct branch) branches = { 0 };
    statement->kind = STATEMENT_IF;
    bool has_else = false;
    do {
        struct branch *branch = VEC_PUSH_ARENA(parser->arena, &branches);
        if (is_word(&parser->token, "else")) {
            has_else = true;
        } else if (branches.count > 1 && !is_word(&parser->token, "elseif")) {
            return unexpected(parser, "'endif' is missing");
        }
        if (!advance(parser))
            return false;
        if (!has_else && (branch->condition = parse_expression(parser)) == NULL)
            return false;
        if (!close_tag(parser) || !parse_body(parser, &branch->body))
            return false;
    } while (!has_else && !is_word(&parser->token, "endif"));
    statement->choice.branches = branches.items;
    statement->choice.count = branches.count;
    if (!is_word(&parser->token, "endif"))
        return unexpected(parser, "'endif' is missing");
    return advance(parser) && close_tag(parser);
}

static bool parse_for(struct parser *parser, struct statement *statement)
{
    statement->kind = STATEMENT_FOR;
    if (!advance(parser) || !parse_variable(parser, &statement->loop.variable))
        return false;
    if (!is_word(&parser->token, "in"))
        return unexpected(parser, "'in' is missing");
    if (!advance(parser))
        return false;
    statement->loop.over = parse_expression(parser);
    if (statement->loop.over == NULL || !close_tag(parser) ||
        !parse_body(parser, &statement->loop.body))
        return false;
    if (is_word(&parser->token, "else")) {
        statement->loop.has_otherwise = true;
        if (!advance(parser) || !close_tag(parser) ||
            !parse_body(parser, &statement->loop.otherwise))
            return false;
    }
    if (!is_word(&parser->token, "endfor"))
        return unexpected(parser, "'endfor' is missing");
    return advance(parser) && close_tag(parser);
}

static bool parse_set(struct parser *parser, struct statement *statement)
{
    statement->kind = STATEMENT_SET;
    if (!advance(parser) || !parse_variable(parser, &statement->set.variable) ||
        !expect_character(parser, '='))
        return false;
    statement->set.value = parse_expression(parser);
    return statement->set.value != NULL && close_tag(parser);
}

static bool same_name(const struct name *a, const struct name *b)
{
    if (a->length != b->length)
        return false;
    return a->length == 0 || memcmp(a->text, b->text, a->length) == 0;
}

static bool parse_parameters(struct parser *parser, struct macro *macro)
{
    VEC(struct parameter) parameters = { 0 };
    if (!expect_character(parser, '('))
        return false;
    while (!is_character(&parser->token, ')')) {
        if (parameters.count > 0 && !expect_character(parser, ','))
            return false;
        struct parameter *parameter = VEC_PUSH_ARENA(parser->arena, &parameters);
        if (!parse_variable(parser, &parameter->name))
            return false;
        if (is_character(&parser->token, '=') &&
            (!advance(parser) || (parameter->fallback = parse_expression(parser)) == NULL))
            return false;
    }
    macro->parameters = parameters.items;
    macro->count = parameters.count;
    return advance(parser);
}

static bool parse_macro(struct parser *parser)
{
    struct macro macro = { 0 };
    if (!advance(parser))
        return false;
    struct token name = parser->token;
    if (!parse_variable(parser, &macro.name) || !parse_parameters(parser, &macro) ||
        !close_tag(parser) || !parse_until(parser, "endmacro", &macro.body) || !close_tag(parser))
        return false;
    const struct macro *other;
    for
        VEC_EACH(other, &parser->macros)
        {
            if (same_name(&other->name, &macro.name))
                return lexer_fail(&parser->lexer, name.line, name.column,
                                  "there are two macros '%.*s'", (int)macro.name.length,
                                  macro.name.text);
        }
    *VEC_PUSH_ARENA(parser->arena, &parser->macros) = macro;
    return true;
}

/* `endblock` may repeat the name. */
static bool close_block(struct parser *parser, const struct name *name)
{
    if (parser->token.kind == TOKEN_NAME || parser->token.kind == TOKEN_STRING) {
        if (!same_name(&parser->token.text, name))
            return unexpected(parser, "this is not the name of the block");
        if (!advance(parser))
            return false;
    }
    return close_tag(parser);
}

static bool parse_block(struct parser *parser, struct statement *statement)
{
    statement->kind = STATEMENT_BLOCK;
    if (!advance(parser))
        return false;
    if (parser->token.kind != TOKEN_NAME && parser->token.kind != TOKEN_STRING)
        return unexpected(parser, "the name of the block is missing");
    struct block block = { .name = parser->token.text };
    statement->block = block.name;
    if (!advance(parser) || !close_tag(parser) || !parse_until(parser, "endblock", &block.body) ||
        !close_block(parser, &block.name))
        return false;
    struct block *other;
    for
        VEC_EACH(other, &parser->blocks)
        {
            if (same_name(&other->name, &block.name)) {
                other->body = block.body;
                return true;
            }
        }
    *VEC_PUSH_ARENA(parser->arena, &parser->blocks) = block;
    return true;
}

static bool parse_filter_tag(struct parser *parser, struct statement *statement)
{
    statement->kind = STATEMENT_FILTER;
    const struct node *chain = node_new(parser, NODE_FILTERED, &parser->token);
    bool more = true;
    while (more) {
        if (chain == NULL || !advance(parser))
            return false;
        chain = parse_named(parser, NODE_FILTER, chain);
        more = parser->token.kind == TOKEN_OPERATOR && parser->token.operation == OP_FILTER;
    }
    statement->filter.chain = chain;
    return chain != NULL && close_tag(parser) &&
           parse_until(parser, "endfilter", &statement->filter.body) && close_tag(parser);
}

static bool parse_verbatim(struct parser *parser, struct statement *statement)
{
    struct name text = { 0 };
    if (!advance(parser))
        return false;
    if (parser->token.kind != TOKEN_TAG_CLOSE)
        return unexpected(parser, "'%}' is missing");
    if (!lexer_verbatim(&parser->lexer, &text))
        return false;
    statement->kind = STATEMENT_TEXT;
    statement->text = value_string_n(parser->arena, text.text, text.length);
    return advance(parser);
}

/* Fails at a tag that is none of the above. */
static bool unknown_tag(struct parser *parser)
{
    static const char *const tags[] = { "if",     "elseif",   "else",     "endif",
                                        "for",    "endfor",   "set",      "macro",
                                        "block",  "filter",   "raw",      "verbatim",
                                        "endraw", "endmacro", "endblock", "endfilter" };
    const struct token *token = &parser->token;
    if (token->kind != TOKEN_NAME)
        return unexpected(parser, "the name of a tag is missing");
    char *name = arena_strndup(parser->arena, token->text.text, token->text.length);
    if (str_starts(name, "end") || str_starts(name, "else"))
        return lexer_fail(&parser->lexer, token->line, token->column,
                          "'%.40s' without the tag that it belongs to", name);
    if (str_eq(name, "raw"))
        return lexer_fail(&parser->lexer, token->line, token->column,
                          "'raw' is never closed: 'endraw' is missing");
    const char *near = str_nearest(name, tags, COUNT_OF(tags));
    return lexer_fail(&parser->lexer, token->line, token->column,
                      near == NULL ? "there is no tag '%.40s'"
                                   : "there is no tag '%.40s', did you mean '%s'?",
                      name, near);
}

/* Does the current tag end the body it stands in? */
static bool ends_body(const struct token *token)
{
    static const char *const words[] = { "else",     "elseif",   "endif",    "endfor",
                                         "endmacro", "endblock", "endfilter" };
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (is_word(token, words[i]))
            return true;
    }
    return false;
}

/* A tag whose name is the current token. */
static bool parse_tag(struct parser *parser, struct statement *statement)
{
    static const struct {
        const char *name;
        bool (*parse)(struct parser *parser, struct statement *statement);
    } tags[] = {
        { "if", parse_if },       { "for", parse_for },           { "set", parse_set },
        { "block", parse_block }, { "filter", parse_filter_tag }, { "verbatim", parse_verbatim },
    };
    for (size_t i = 0; i < COUNT_OF(tags); i++) {
        if (is_word(&parser->token, tags[i].name))
            return tags[i].parse(parser, statement);
    }
    return unknown_tag(parser);
}

static bool parse_print(struct parser *parser, struct statement *statement)
{
    statement->kind = STATEMENT_PRINT;
    if (!advance(parser))
        return false;
    statement->expression = parse_expression(parser);
    if (statement->expression == NULL)
        return false;
    if (parser->token.kind != TOKEN_PRINT_CLOSE)
        return unexpected(parser, "'}}' or an operator is missing");
    return advance(parser);
}

/*
 * Statements up to the end of the template, or to a tag that ends the body: then its name is the
 * current token.
 */
static bool parse_body(struct parser *parser, struct body *body)
{
    VEC(struct statement) statements = { 0 };
    if (!enter(parser))
        return false;
    while (parser->token.kind != TOKEN_END) {
        struct statement statement = { .line = parser->token.line, .column = parser->token.column };
        if (parser->token.kind == TOKEN_TEXT) {
            statement.kind = STATEMENT_TEXT;
            statement.text =
                value_string_ref(parser->arena, parser->token.text.text, parser->token.text.length);
            if (!advance(parser))
                return false;
        } else if (parser->token.kind == TOKEN_PRINT_OPEN) {
            if (!parse_print(parser, &statement))
                return false;
        } else {
            if (!advance(parser))
                return false;
            if (ends_body(&parser->token))
                break;
            if (is_word(&parser->token, "macro")) {
                if (!parse_macro(parser))
                    return false;
                continue;
            }
            if (!parse_tag(parser, &statement))
                return false;
        }
        if (statement.kind != STATEMENT_TEXT || statement.text->string.length > 0)
            *VEC_PUSH_ARENA(parser->arena, &statements) = statement;
    }
    body->items = statements.items;
    body->count = statements.count;
    parser->nest--;
    return true;
}

const struct expr *parse_template(struct arena *arena,
                                  const char *text,
                                  size_t length,
                                  struct error *err)
{
    if (length > EXPR_SOURCE_MAX) {
        (void)error_set_at(err, ERR_INVALID, 1, 1, "the template is longer than %zu bytes",
                           EXPR_SOURCE_MAX);
        return NULL;
    }
    struct expr *expr = ARENA_NEW(arena, struct expr);
    expr->text = arena_strndup(arena, text, length);
    expr->length = length;

    struct parser parser = { .arena = arena, .err = err };
    lexer_init(&parser.lexer, arena, expr->text, length, err);
    if (!advance(&parser) || !parse_body(&parser, &expr->body))
        return NULL;
    if (parser.token.kind != TOKEN_END) {
        (void)unknown_tag(&parser);
        return NULL;
    }
    expr->macros = parser.macros.items;
    expr->macro_count = parser.macros.count;
    expr->blocks = parser.blocks.items;
    expr->block_count = parser.blocks.count;
    return expr;
}
