/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What functions, filters and tests are: rows of tables.
 *
 * To add one: write its function in the file of its family (functions_*.c, filters_*.c, tests.c),
 * add a row to the table that closes that file, add cases to tests/expressions. A new family also
 * needs a line in builtin.c.
 */
#ifndef CORE_EXPR_BUILTIN_H
#define CORE_EXPR_BUILTIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/expr/ast.h"

struct arena;
struct evaluator;
struct value;

/* Parameters that a callable may declare. */
#define BUILTIN_PARAMS_MAX 9U

enum builtin_flag {
    BUILTIN_TAKES_NULL = 1,       /* filters: runs for a null input instead of giving null */
    BUILTIN_VARIADIC = 2,         /* any number of arguments, by position */
    BUILTIN_NEEDS_FIRST = 4,      /* the first argument is mandatory */
    BUILTIN_EFFECT = 8,           /* answered by struct expr_host */
    BUILTIN_SECRET = 16,          /* the result must be masked in logs */
    BUILTIN_TAKES_UNDEFINED = 32, /* the input is NULL when it is undefined */
};

/* One evaluation of a callable. */
struct call {
    struct evaluator *ev;
    const struct node *node;
    const struct builtin *builtin;
    const struct value *input;       /* of filters and tests */
    const struct value *const *args; /* by parameter; NULL: not given */
    size_t count;                    /* of args */
};

/* Returns NULL once the evaluator's failure is set. */
typedef const struct value *builtin_fn(struct call *call);

struct builtin {
    const char *name;
    const char *params; /* "format = 'iso', timeZone": names, and defaults for people to read */
    builtin_fn *run;
    unsigned flags; /* enum builtin_flag */
    const char *doc;
};

struct builtin_table {
    enum node_kind kind; /* NODE_FUNCTION, NODE_FILTER, NODE_TEST */
    const struct builtin *rows;
    size_t count;
};

/* The tables, one per family. */
extern const struct builtin_table functions_general;
extern const struct builtin_table functions_data;
extern const struct builtin_table functions_calendar;
extern const struct builtin_table functions_crypto;
extern const struct builtin_table functions_effect;
extern const struct builtin_table filters_text;
extern const struct builtin_table filters_regex;
extern const struct builtin_table filters_list;
extern const struct builtin_table filters_number;
extern const struct builtin_table filters_data;
extern const struct builtin_table filters_date;
extern const struct builtin_table tests_all;

/* NULL when there is none. */
const struct builtin *builtin_find(enum node_kind kind, const struct name *name);

/* The name most like a wrong one, or NULL. */
const char *builtin_nearest(struct arena *arena, enum node_kind kind, const struct name *name);

/*
 * Looks the callable of a call up and gives each argument its parameter. What is wrong with them
 * becomes call->mistake, for it is an error only when the call is evaluated.
 */
void builtin_bind(struct arena *arena, enum node_kind kind, struct call_node *call);

#endif
