/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and what they mean while a template runs.
 */
#ifndef CORE_EXPR_SCOPE_H
#define CORE_EXPR_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/expr/eval.h"

bool names_equal(const struct name *a, const struct name *b);
bool name_is(const struct name *name, const char *text);

/* The variable of one scope; NULL when it has none of that name. */
struct variable *scope_find(const struct scope *scope, const struct name *name);

/* Sets a variable of one scope. */
struct variable *scope_put(struct evaluator *ev,
                           struct scope *scope,
                           const struct name *name,
                           const struct value *value);

/* What a name means here; NULL with the failure noted when it means nothing. */
const struct value *scope_lookup(struct evaluator *ev,
                                 const struct node *node,
                                 const struct name *name);

/* Evaluates what a variable will hold, and tells by how much it may have grown. */
const struct value *scope_track(struct evaluator *ev, const struct node *node, size_t *grown);

/*
 * Values are walked recursively in many places, so their depth must stay bounded. What an
 * expression adds in depth is at most the number of lists, maps and calls it evaluates; that sum
 * travels with variables, and only when it becomes large the value is measured. False with the
 * failure noted when it is too deep.
 */
bool scope_check_growth(struct evaluator *ev,
                        const struct node *node,
                        struct variable *variable,
                        size_t grown);

/* A member of `loop` without making the whole of it; NULL when there is none of that name. */
const struct value *loop_member(struct arena *arena,
                                const struct loop *loop,
                                const struct name *name);

#endif
