/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The evaluator: what built-in callables and operators share.
 *
 * A function that returns a value returns NULL once the failure is noted (fail(), undefined()).
 * Values live in the evaluator's arena or longer.
 */
#ifndef CORE_EXPR_EVAL_H
#define CORE_EXPR_EVAL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/rng.h"
#include "core/expr/ast.h"
#include "core/expr/builtin.h"
#include "core/expr/expr.h"
#include "core/value.h"

struct arena;
struct buf;
struct regex;

/* Memory that one rendering may take from its arena. */
#define EXPR_MEMORY_MAX ((size_t)256 * 1024 * 1024)
/* C stack of one rendering; threads that render need twice as much. */
#define EXPR_STACK_MAX ((size_t)4 * 1024 * 1024)
/* Lists and maps inside one another that expressions may build; context data may add its own. */
#define EXPR_VALUE_DEPTH_MAX 1000U
/* Rounds of render() until nothing changes. */
#define EXPR_RENDER_ROUNDS 100U
/* Bytes, roughly, of a typed result that an expression has built. */
#define EXPR_RESULT_MAX ((size_t)64 * 1024 * 1024)
/* Items of range(). */
#define EXPR_RANGE_MAX 1000000

/* One rendering, however many templates it runs through. */
struct run {
    struct expr_env *env;
    struct arena *arena;
    struct error *err; /* filled by the first failure; never NULL */
    struct rng rng;
    enum expr_failure failure;
    const struct node *failed_at; /* undefined only: its name is formatted when nobody catches it */
    struct name undefined;
    uint64_t steps_left;
    size_t memory_max;        /* value of arena_bytes() that must not be passed */
    const char *stack;        /* where the rendering began */
    unsigned nest;            /* render() inside of rendered texts */
    unsigned macros;          /* calls of macros inside one another */
    size_t grown;             /* see scope_set() */
    bool built;               /* has an expression made a list or a map? */
    struct expr_cache *cache; /* that of env, or one of its own made when needed */
};

struct variable {
    struct name name;
    const struct value *value;
    size_t grown;
};

struct loop {
    int64_t index;
    int64_t length;
};

struct scope {
    struct scope *outer;
    struct variable *variables;
    size_t count;
    size_t capacity;
    const struct loop *loop; /* of a `for` body */
    bool is_macro;           /* nothing further out is visible */
    bool is_root;            /* of a template; assignments do not reach further */
};

enum sink_form {
    SINK_PRINT,   /* text; lists and maps as JSON */
    SINK_DISPLAY, /* text; lists and maps in display form */
    SINK_PIECES,  /* values, for typed rendering */
};

/* Where a template writes to. */
struct sink {
    enum sink_form form;
    struct buf *buf;
    const struct value **pieces;
    size_t count;
    size_t capacity;
    bool wrote;
};

/* One template at work. */
struct evaluator {
    struct run *run;
    struct arena *arena;
    const struct expr *expr;
    struct scope *scope;   /* innermost */
    struct scope *globals; /* of the template; render() sees it */
    struct sink *sink;
    const struct value *filtered; /* value of NODE_FILTERED */
};

/* ---- failures ---- */

/* Notes an evaluation failure; the first one stays. Returns NULL. */
const struct value *fail(struct evaluator *ev, const struct node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const struct value *fail_v(struct evaluator *ev,
                           const struct node *node,
                           const char *format,
                           va_list args) __attribute__((format(printf, 3, 0)));

/* Notes that a name is undefined. Returns NULL. */
const struct value *undefined(struct evaluator *ev, const struct node *node, struct name name);

/* Turns an undefined operand into an evaluation failure. */
void undefined_is_fatal(struct evaluator *ev);

/* Forgets an undefined operand; false when the failure is of another kind. */
bool undefined_forget(struct evaluator *ev);

/* Pays for work beyond one node; false (with the failure noted) when the rendering is too costly.
 */
bool charge(struct evaluator *ev, const struct node *node, size_t steps);

/* ---- evaluation ---- */

const struct value *eval(struct evaluator *ev, const struct node *node);

/* Notes a failure when the C stack is nearly used up. */
bool eval_has_stack(struct evaluator *ev, const struct node *node);

/* ---- statements.c ---- */

/* Runs the statements of a body. */
bool eval_body(struct evaluator *ev, const struct body *body);

/* Runs a body and gives what it wrote in display form. */
const struct value *eval_captured(struct evaluator *ev, const struct body *body);

/* Runs a template into a sink, with the scopes of `outer` (may be NULL) visible. */
bool eval_template(struct run *run,
                   const struct expr *expr,
                   struct scope *outer,
                   struct sink *sink);

bool sink_value(struct evaluator *ev, const struct node *node, const struct value *value);

/*
 * Is the value, written out as a tree, about within so many bytes? Notes the failure otherwise.
 * For writers without a limit of their own: values may share parts.
 */
bool tree_fits(struct evaluator *ev,
               const struct node *node,
               const struct value *value,
               size_t bytes_max);

/* The root variables as a map, with those of the scopes around if `with_locals`; in scope.c. */
const struct value *eval_context(struct evaluator *ev, bool with_locals);

/* ---- operators.c ---- */

const struct value *operate(struct evaluator *ev,
                            const struct node *node,
                            enum operation operation,
                            const struct value *left,
                            const struct value *right);

/* -x, +x, not x */
const struct value *operate_unary(struct evaluator *ev,
                                  const struct node *node,
                                  enum operation operation,
                                  const struct value *operand);

/*
 * Truth of an operand of `and`, `or`, `not`, `if`; null fails unless `null_is_false`.
 * Returns false with the failure noted.
 */
bool truth(struct evaluator *ev,
           const struct node *node,
           const struct value *value,
           bool null_is_false,
           bool *out);

/* `==`, paying for each value compared; *equal is the answer. */
bool equals(struct evaluator *ev,
            const struct node *node,
            const struct value *a,
            const struct value *b,
            bool *equal);

/* Order of strings by UTF-16 code unit: negative, 0, positive. */
int compare_text(const struct value *a, const struct value *b);

/* Order of two numbers by value. */
int compare_numbers(const struct value *a, const struct value *b);

/* start..end by steps */
const struct value *range(struct evaluator *ev,
                          const struct node *node,
                          const struct value *start,
                          const struct value *end,
                          int64_t increment);

/* ---- access.c ---- */

const struct value *member(struct evaluator *ev,
                           const struct node *node,
                           const struct value *object,
                           struct name name);

const struct value *element(struct evaluator *ev,
                            const struct node *node,
                            const struct value *object,
                            const struct value *key);

const struct value *method(struct evaluator *ev,
                           const struct node *node,
                           const struct value *object,
                           const struct value *const *args,
                           size_t count);

/* ---- render.c ---- */

/* render() and renderOnce() */
const struct value *render_value(struct evaluator *ev,
                                 const struct node *node,
                                 const struct value *value,
                                 bool recursive);

/* The compiled pattern, from the cache when there is one. NULL with the failure noted. */
struct regex *eval_regex(struct evaluator *ev,
                         const struct node *node,
                         const struct value *pattern);

/*
 * Puts the failure into words, with the template it happened in: in expr.c.
 */
void run_describe(struct run *run, const char *text, size_t length);

/* ---- texts ---- */

/* The display form as a string value; a string is returned as it is. */
const struct value *display(struct evaluator *ev,
                            const struct node *node,
                            const struct value *value);

/* A string value of what a buffer holds, if that is not too long; frees the buffer. */
const struct value *text_of(struct evaluator *ev, const struct node *node, struct buf *buf);

/* Is there room for `more` bytes in a text of `length`? Notes the failure otherwise. */
bool text_fits(struct evaluator *ev, const struct node *node, size_t length, size_t more);

/* Every occurrence of `old` replaced; an empty `old` stands between all characters. */
const struct value *text_replaced(struct evaluator *ev,
                                  const struct node *node,
                                  const struct value *text,
                                  const struct value *old,
                                  const struct value *new);

/* The `split` filter: parts between matches of a pattern; limit as there. */
const struct value *text_split(struct evaluator *ev,
                               const struct node *node,
                               const struct value *text,
                               const struct value *pattern,
                               int64_t limit);

/* UTF-16 code units of UTF-8 text. */
size_t utf16_length(const char *bytes, size_t length);

/* Part of a text by UTF-16 code units; half of a surrogate pair becomes `?`. */
const struct value *utf16_slice(struct arena *arena,
                                const struct value *text,
                                size_t from,
                                size_t to);

/* ---- arguments of built-in callables ---- */

/* Fails in the name of the callable: "'date': …". Returns NULL. */
const struct value *call_fail(struct call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* NULL when the argument is absent or null. */
const struct value *call_arg(const struct call *call, size_t index);

/* A string argument; *out is NULL when it is absent or null. False when it is of another kind. */
bool call_text(struct call *call, size_t index, const struct value **out);

/* A mandatory argument in display form. */
const struct value *call_display(struct call *call, size_t index);

/* An integer argument (integral doubles count); `fallback` when absent or null. */
bool call_int(struct call *call, size_t index, int64_t fallback, int64_t *out);

/* The same for arguments of which the part behind the point is dropped. */
bool call_count(struct call *call, size_t index, int64_t fallback, int64_t *out);

/* A mandatory string argument; NULL with the failure noted. */
const struct value *call_string(struct call *call, size_t index);

/* Name of a parameter, for messages. */
struct name call_param(const struct call *call, size_t index);

/* Must the input be a string? Fails otherwise. */
bool call_needs_string(struct call *call);
bool call_needs_list(struct call *call);

#endif
