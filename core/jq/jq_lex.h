/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of jq programs, shared by lexer, parser and resolver.
 */
#ifndef CORE_JQ_JQ_LEX_H
#define CORE_JQ_JQ_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;
struct error;
struct jq_node;
struct value;

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

struct jq_token {
    enum token_kind kind;
    const char *text; /* NUL-terminated */
    const struct value *number;
    const char *start;
};

struct jq_parser {
    struct arena *arena;
    struct error *err;
    const char *text;
    const char *at; /* behind the current token */
    const char *end;
    struct jq_token token;
    unsigned nest;
};

/* Fills the parser's error with the place; always false. */
bool jq_fail_at(struct jq_parser *parser, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Fails at the current token: "unexpected X in the jq program: EXPECTED". */
bool jq_unexpected(struct jq_parser *parser, const char *expected);

/* Makes the next token the current one. */
bool jq_advance(struct jq_parser *parser);

/*
 * Appends the text of a string up to its closing quote or an interpolation; the place is behind
 * it. Called when the opening quote, or the end of an interpolation, was the last token.
 */
bool jq_take_text(struct jq_parser *parser, struct buf *text, bool *interpolates);

/*
 * Checks that every name of a program is defined, even where it is never reached.
 * Errors   ERR_INVALID with the place of a call
 */
bool jq_resolve(struct jq_parser *parser, const struct jq_node *node);

#endif
