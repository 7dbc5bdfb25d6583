/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From tokens to the tree of core/expr/ast.h.
 */
#ifndef CORE_EXPR_PARSER_H
#define CORE_EXPR_PARSER_H

#include <stddef.h>

struct arena;
struct error;
struct expr;

/* Brackets, operators and tags inside one another. */
#define EXPR_NEST_MAX 1000U

/*
 * Parses a template; copies the text.
 * Errors   ERR_INVALID with line and column
 */
const struct expr *parse_template(struct arena *arena,
                                  const char *text,
                                  size_t length,
                                  struct error *err);

#endif
