/* SPDX-License-Identifier: Apache-2.0 */
/* Statements: text, prints and tags, up to whole templates. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "core/expr/expr.h"
#include "core/expr/parser_internal.h"
#include "core/value.h"

static bool parse_body(struct parser *parser, struct body *body);

static bool close_tag(struct parser *parser)
{
    return parser->token.kind == TOKEN_TAG_CLOSE ? parser_advance(parser)
                                                 : parser_unexpected(parser, "'%}' is missing");
}

/* A name that a variable may have. */
static bool parse_variable(struct parser *parser, struct name *name)
{
    if (parser->token.kind != TOKEN_NAME)
        return parser_unexpected(parser, "a name is missing");
    if (parser_literal(&parser->token.text) != NULL)
        return parser_unexpected(parser, "this name is reserved");
    *name = parser->token.text;
    return parser_advance(parser);
}

/* The body of a tag and then the word that ends it, which must be `end`. */
static bool parse_until(struct parser *parser, const char *end, struct body *body)
{
    char text[64];
    if (!parse_body(parser, body))
        return false;
    if (token_is_word(&parser->token, end))
        return parser_advance(parser);
    (void)snprintf(text, sizeof(text), "'%s' is missing", end);
    return parser_unexpected(parser, text);
}

static bool parse_if(struct parser *parser, struct statement *statement)
{
    VEC(struct branch) branches = { 0 };
    statement->kind = STATEMENT_IF;
    bool has_else = false;
    do {
        struct branch *branch = VEC_PUSH_ARENA(parser->arena, &branches);
        if (token_is_word(&parser->token, "else")) {
            has_else = true;
        } else if (branches.count > 1 && !token_is_word(&parser->token, "elseif")) {
            return parser_unexpected(parser, "'endif' is missing");
        }
        if (!parser_advance(parser))
            return false;
        if (!has_else && (branch->condition = parse_expression(parser)) == NULL)
            return false;
        if (!close_tag(parser) || !parse_body(parser, &branch->body))
            return false;
    } while (!has_else && !token_is_word(&parser->token, "endif"));
    statement->choice.branches = branches.items;
    statement->choice.count = branches.count;
    if (!token_is_word(&parser->token, "endif"))
        return parser_unexpected(parser, "'endif' is missing");
    return parser_advance(parser) && close_tag(parser);
}

static bool parse_for(struct parser *parser, struct statement *statement)
{
    statement->kind = STATEMENT_FOR;
    if (!parser_advance(parser) || !parse_variable(parser, &statement->loop.variable))
        return false;
    if (!token_is_word(&parser->token, "in"))
        return parser_unexpected(parser, "'in' is missing");
    if (!parser_advance(parser))
        return false;
    statement->loop.over = parse_expression(parser);
    if (statement->loop.over == NULL || !close_tag(parser) ||
        !parse_body(parser, &statement->loop.body))
        return false;
    if (token_is_word(&parser->token, "else")) {
        statement->loop.has_otherwise = true;
        if (!parser_advance(parser) || !close_tag(parser) ||
            !parse_body(parser, &statement->loop.otherwise))
            return false;
    }
    if (!token_is_word(&parser->token, "endfor"))
        return parser_unexpected(parser, "'endfor' is missing");
    return parser_advance(parser) && close_tag(parser);
}

static bool parse_set(struct parser *parser, struct statement *statement)
{
    statement->kind = STATEMENT_SET;
    if (!parser_advance(parser) || !parse_variable(parser, &statement->set.variable) ||
        !parser_expect(parser, '='))
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
    if (!parser_expect(parser, '('))
        return false;
    while (!token_is(&parser->token, ')')) {
        if (parameters.count > 0 && !parser_expect(parser, ','))
            return false;
        struct parameter *parameter = VEC_PUSH_ARENA(parser->arena, &parameters);
        if (!parse_variable(parser, &parameter->name))
            return false;
        if (token_is(&parser->token, '=') &&
            (!parser_advance(parser) || (parameter->fallback = parse_expression(parser)) == NULL))
            return false;
    }
    macro->parameters = parameters.items;
    macro->count = parameters.count;
    return parser_advance(parser);
}

static bool parse_macro(struct parser *parser)
{
    struct macro macro = { 0 };
    if (!parser_advance(parser))
        return false;
    struct token name = parser->token;
    if (!parse_variable(parser, &macro.name) || !parse_parameters(parser, &macro) ||
        !close_tag(parser) || !parse_until(parser, "endmacro", &macro.body) || !close_tag(parser))
        return false;
    const struct macro *other;
    VEC_EACH(other, &parser->macros) {
        if (same_name(&other->name, &macro.name))
            return lexer_fail(&parser->lexer, name.line, name.column, "there are two macros '%.*s'",
                              (int)macro.name.length, macro.name.text);
    }
    *VEC_PUSH_ARENA(parser->arena, &parser->macros) = macro;
    return true;
}

/* `endblock` may repeat the name. */
static bool close_block(struct parser *parser, const struct name *name)
{
    if (parser->token.kind == TOKEN_NAME || parser->token.kind == TOKEN_STRING) {
        if (!same_name(&parser->token.text, name))
            return parser_unexpected(parser, "this is not the name of the block");
        if (!parser_advance(parser))
            return false;
    }
    return close_tag(parser);
}

static bool parse_block(struct parser *parser, struct statement *statement)
{
    statement->kind = STATEMENT_BLOCK;
    if (!parser_advance(parser))
        return false;
    if (parser->token.kind != TOKEN_NAME && parser->token.kind != TOKEN_STRING)
        return parser_unexpected(parser, "the name of the block is missing");
    struct block block = { .name = parser->token.text };
    statement->block = block.name;
    if (!parser_advance(parser) || !close_tag(parser) ||
        !parse_until(parser, "endblock", &block.body) || !close_block(parser, &block.name))
        return false;
    struct block *other;
    VEC_EACH(other, &parser->blocks) {
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
    const struct node *chain = parser_node(parser, NODE_FILTERED, &parser->token);
    bool more = true;
    while (more) {
        if (chain == NULL || !parser_advance(parser))
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
    if (!parser_advance(parser))
        return false;
    if (parser->token.kind != TOKEN_TAG_CLOSE)
        return parser_unexpected(parser, "'%}' is missing");
    if (!lexer_verbatim(&parser->lexer, &text))
        return false;
    statement->kind = STATEMENT_TEXT;
    statement->text = value_string_n(parser->arena, text.text, text.length);
    return parser_advance(parser);
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
        return parser_unexpected(parser, "the name of a tag is missing");
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
        if (token_is_word(token, words[i]))
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
        if (token_is_word(&parser->token, tags[i].name))
            return tags[i].parse(parser, statement);
    }
    return unknown_tag(parser);
}

static bool parse_print(struct parser *parser, struct statement *statement)
{
    statement->kind = STATEMENT_PRINT;
    if (!parser_advance(parser))
        return false;
    statement->expression = parse_expression(parser);
    if (statement->expression == NULL)
        return false;
    if (parser->token.kind != TOKEN_PRINT_CLOSE)
        return parser_unexpected(parser, "'}}' or an operator is missing");
    return parser_advance(parser);
}

/*
 * Statements up to the end of the template, or to a tag that ends the body: then its name is the
 * current token.
 */
static bool parse_body(struct parser *parser, struct body *body)
{
    VEC(struct statement) statements = { 0 };
    if (!parser_enter(parser))
        return false;
    while (parser->token.kind != TOKEN_END) {
        struct statement statement = { .line = parser->token.line, .column = parser->token.column };
        if (parser->token.kind == TOKEN_TEXT) {
            statement.kind = STATEMENT_TEXT;
            statement.text =
                value_string_ref(parser->arena, parser->token.text.text, parser->token.text.length);
            if (!parser_advance(parser))
                return false;
        } else if (parser->token.kind == TOKEN_PRINT_OPEN) {
            if (!parse_print(parser, &statement))
                return false;
        } else {
            if (!parser_advance(parser))
                return false;
            if (ends_body(&parser->token))
                break;
            if (token_is_word(&parser->token, "macro")) {
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
    if (!parser_advance(&parser) || !parse_body(&parser, &expr->body))
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
