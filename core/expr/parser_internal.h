/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parsers of expressions (parser.c) and of statements (parser_statements.c) share.
 * Functions return NULL or false once the error is set.
 */
#ifndef CORE_EXPR_PARSER_INTERNAL_H
#define CORE_EXPR_PARSER_INTERNAL_H

#include "base/vec.h"
#include "core/expr/ast.h"
#include "core/expr/lexer.h"
#include "core/expr/parser.h"

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

/* ---- tokens ---- */

bool parser_advance(struct parser *parser);

bool token_is(const struct token *token, char c);
bool token_is_word(const struct token *token, const char *word);

/* Fails at the current token: "unexpected X: EXPECTED". */
bool parser_unexpected(struct parser *parser, const char *expected);

/* Takes the character, or fails with "'C' is missing". */
bool parser_expect(struct parser *parser, char c);

/* One level deeper; fails beyond EXPR_NEST_MAX. The caller takes it back from parser->nest. */
bool parser_enter(struct parser *parser);

/* ---- expressions ---- */

struct node *parser_node(struct parser *parser, enum node_kind kind, const struct token *at);

/* Value of a name that is a literal, NULL for every other name. */
const struct value *parser_literal(const struct name *name);

const struct node *parse_expression(struct parser *parser);

/* The name of a filter or a test, with optional arguments. */
struct node *parse_named(struct parser *parser, enum node_kind kind, const struct node *input);

#endif
