/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of a template, one after another.
 *
 * Outside of delimiters the lexer gives text, already trimmed where a neighbouring delimiter asks
 * for it. Inside it gives names, operators, literals and punctuation. `raw` constructs are text
 * wherever they stand.
 */
#ifndef CORE_EXPR_LEXER_H
#define CORE_EXPR_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/expr/ast.h"

struct arena;
struct error;

/* Brackets inside one another. */
#define EXPR_BRACKETS_MAX 1000U

enum token_kind {
    TOKEN_END,         /* of the template */
    TOKEN_TEXT,        /* between delimiters; `text` */
    TOKEN_PRINT_OPEN,  /* {{ */
    TOKEN_PRINT_CLOSE, /* }} */
    TOKEN_TAG_OPEN,    /* {% */
    TOKEN_TAG_CLOSE,   /* %} */
    TOKEN_NAME,        /* `text` */
    TOKEN_OPERATOR,    /* `operation` */
    TOKEN_INTEGER,     /* `integer` */
    TOKEN_DOUBLE,      /* `number` */
    TOKEN_STRING,      /* `text`, escapes undone */
    TOKEN_PARTS,       /* opening quote of a string with interpolations, see lexer_part() */
    TOKEN_PUNCTUATION, /* `character`: ( ) [ ] { } ? : . , = */
};

struct token {
    enum token_kind kind;
    uint32_t line;
    uint32_t column; /* in code points */
    char character;
    enum operation operation;
    int64_t integer;
    double number;
    struct name text;
};

struct lexer {
    struct arena *arena;
    struct error *err;
    const char *start;
    const char *at;
    const char *end;
    uint32_t line;
    uint32_t column; /* of `at`, in code points */
    char inside;     /* 0 in text, '{' in a print, '%' in a tag */
    bool trim_next;  /* the delimiter before ended in a minus */
    bool has_raw;    /* the template holds at least one `raw` construct */
    size_t depth;
    char brackets[EXPR_BRACKETS_MAX];
};

void lexer_init(
    struct lexer *lexer, struct arena *arena, const char *text, size_t length, struct error *err);

/* Next token. Errors: ERR_INVALID with line and column. */
bool lexer_next(struct lexer *lexer, struct token *token);

/*
 * After TOKEN_PARTS: the text up to the next interpolation or the closing quote, which is
 * consumed. After an interpolation the parser calls again, when its `}` was the last token.
 */
bool lexer_part(struct lexer *lexer, struct name *text, bool *is_interpolation);

/*
 * After the close of `{% verbatim %}`: the text up to the end tag, which is consumed.
 */
bool lexer_verbatim(struct lexer *lexer, struct name *text);

/* Fills the lexer's error and returns false. */
bool lexer_fail(struct lexer *lexer, uint32_t line, uint32_t column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * Length of a `raw` construct that starts at `at`, 0 when there is none. With `content` and
 * `content_length` it tells what stands between the delimiters.
 */
size_t raw_construct(const char *at, const char *end, const char **content, size_t *content_length);

/* How an operator is written, for messages. */
const char *operation_text(enum operation operation);

/* Its precedence as a binary operator. */
int operation_precedence(enum operation operation);

#endif
