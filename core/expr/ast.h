/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a template is after parsing: a body of statements over expression nodes. Immutable once
 * compiled; owned by the arena given to expr_compile().
 */
#ifndef CORE_EXPR_AST_H
#define CORE_EXPR_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct builtin;
struct value;

/* Nodes of one template; 64 bytes each. */
#define EXPR_NODES_MAX 1000000U
/* Nodes inside one another, also on the left side of `a ~ b ~ c …`. */
#define EXPR_NODE_DEPTH_MAX 4000U

enum node_kind {
    NODE_LITERAL,
    NODE_LIST,
    NODE_MAP,
    NODE_INTERPOLATION, /* "a #{b}" */
    NODE_NAME,
    NODE_MEMBER, /* a.b */
    NODE_INDEX,  /* a[b] */
    NODE_METHOD, /* a.b(c) */
    NODE_FUNCTION,
    NODE_FILTER,
    NODE_TEST,
    NODE_UNARY,
    NODE_BINARY,
    NODE_TERNARY,
    NODE_FILTERED, /* the text of the body of {% filter %} */
};

enum operation {
    OP_OR,
    OP_AND,
    OP_IS,
    OP_IS_NOT,
    OP_CONTAINS,
    OP_EQUAL,
    OP_NOT_EQUAL,
    OP_GREATER,
    OP_LESS,
    OP_GREATER_EQUAL,
    OP_LESS_EQUAL,
    OP_ADD,
    OP_SUBTRACT,
    OP_MULTIPLY,
    OP_DIVIDE,
    OP_REMAINDER,
    OP_FILTER,
    OP_CONCATENATE,
    OP_RANGE,
    OP_NULL_OR,      /* ?? */
    OP_UNDEFINED_OR, /* ??? */
    OP_IS_IN,
    OP_NOT, /* unary only */
};

/* A name with its length; not NUL-terminated when it points into the template. */
struct name {
    const char *text;
    uint32_t length;
};

struct argument {
    struct name name; /* length 0: by position */
    const struct node *value;
    int32_t slot; /* index of the parameter, for built-in callables */
};

/* Function, filter, test or method call. */
struct call_node {
    const struct node *input; /* what is filtered, tested, or whose method is called */
    struct name name;
    const struct builtin *builtin; /* NULL when there is none of that name */
    const char *mistake;           /* why the arguments do not fit, NULL when they do */
    struct argument *arguments;
    uint32_t count;
    bool negated; /* `is not` */
};

struct node {
    uint8_t kind;      /* enum node_kind */
    uint8_t operation; /* enum operation, unary and binary nodes */
    uint16_t depth;    /* of nodes below, plus one */
    uint32_t line;
    uint32_t column;
    union {
        const struct value *literal;
        struct {
            const struct node *const *items; /* of a map: key, value, key, value … */
            uint32_t count;
        } list;
        struct name name;
        struct {
            const struct node *object;
            struct name name;
        } member;
        struct {
            const struct node *object;
            const struct node *key;
        } index;
        const struct call_node *call;
        struct {
            const struct node *left; /* NULL for unary operators */
            const struct node *right;
        } operands;
        struct {
            const struct node *condition;
            const struct node *yes;
            const struct node *no;
        } ternary;
    };
};

enum statement_kind {
    STATEMENT_TEXT,
    STATEMENT_PRINT,
    STATEMENT_IF,
    STATEMENT_FOR,
    STATEMENT_SET,
    STATEMENT_BLOCK,
    STATEMENT_FILTER,
};

struct body {
    const struct statement *items;
    size_t count;
};

struct branch {
    const struct node *condition; /* NULL: else */
    struct body body;
};

struct block {
    struct name name;
    struct body body;
};

struct statement {
    uint8_t kind; /* enum statement_kind */
    uint32_t line;
    uint32_t column;
    union {
        const struct value *text;
        const struct node *expression; /* print */
        struct {
            const struct branch *branches;
            size_t count;
        } choice;
        struct {
            struct name variable;
            const struct node *over;
            struct body body;
            struct body otherwise;
            bool has_otherwise;
        } loop;
        struct {
            struct name variable;
            const struct node *value;
        } set;
        struct name block; /* the body printed is the last one of that name */
        struct {
            const struct node *chain; /* filters, the innermost over NODE_FILTERED */
            struct body body;
        } filter;
    };
};

struct parameter {
    struct name name;
    const struct node *fallback; /* NULL: null */
};

struct macro {
    struct name name;
    const struct parameter *parameters;
    size_t count;
    struct body body;
};

struct expr {
    const char *text;
    size_t length;
    struct body body;
    const struct macro *macros;
    size_t macro_count;
    const struct block *blocks; /* names are unique, the last body of each */
    size_t block_count;
};

#endif
