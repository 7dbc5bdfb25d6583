/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The expression language of `{{ … }}` and `{% … %}`: compile once, render often.
 *
 * Pure: variables come from a context value (which may be lazy), effects through struct expr_host.
 * Source of the rules: the expression specification.
 */
#ifndef CORE_EXPR_H
#define CORE_EXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct arena;
struct buf;
struct error;
struct expr;
struct expr_cache;
struct value;

/*
 * Why an evaluation failed; err->code is ERR_INVALID except for EXPR_NEEDS (ERR_UNAVAILABLE).
 *
 * Texts: "Unable to find `NAME` used in the expression `TEMPLATE` at line N" for what is undefined,
 * "… (TEMPLATE:N)" for the others; err->line and err->column say where in the template.
 */
enum expr_failure {
    EXPR_OK,
    EXPR_SYNTAX,
    EXPR_UNDEFINED,
    EXPR_EVALUATION,
    EXPR_NEEDS, /* a function with effects is not answered yet, see struct expr_host */
};

/* Limits of one rendering; no template can hang or exhaust the process. */
#define EXPR_STEPS_MAX   5000000U
#define EXPR_DEPTH_MAX   1000U
#define EXPR_OUTPUT_MAX  ((size_t)16 * 1024 * 1024)
#define EXPR_SOURCE_MAX  ((size_t)8 * 1024 * 1024)
#define EXPR_RENDER_NEST 16U
/* Bytes of a template that a message quotes, so that the line number still fits behind it. */
#define EXPR_QUOTE_MAX 600

/*
 * Answers functions with effects (secret, kv, read, http …): name, and arguments by parameter name
 * (absent ones are not in the map).
 *
 * Returns a value, or NULL with err set: ERR_UNAVAILABLE means "not yet": the whole rendering
 * stops with EXPR_NEEDS, the host remembers what was asked, and the caller renders again once it is
 * answered. Any other code is an evaluation failure. A host may be NULL: then such functions fail.
 */
struct expr_host {
    const struct value *(*call)(void *data,
                                struct arena *arena,
                                const char *function,
                                const struct value *arguments,
                                struct error *err);
    /* Called with each text that must be masked in logs (values of secret()); may be NULL. */
    void (*secret)(void *data, const char *text, size_t length);
    void *data;
};

/*
 * Everything one rendering sees. Filled by the caller; reused for many renderings.
 */
struct expr_env {
    const struct value *context;  /* map, or lazy map, of the root variables */
    const struct expr_host *host; /* may be NULL */
    struct expr_cache *cache;     /* compiled templates; may be NULL (compiles each time) */
    usec_t now;                   /* for now() and friends */
    const char *zone;             /* default time zone, IANA name; NULL is UTC */
    /*
     * For randomInt(), uuid() …: same seed, same result. Moves on when a rendering has drawn from
     * it, so that the next one draws other numbers. encrypt() and randomPort() do not use it.
     */
    uint64_t seed;
    enum expr_failure failure; /* out: why the last call failed */
};

/* Does the text hold anything to evaluate? A text without '{' never does. */
bool expr_is_dynamic(const char *text);

/*
 * Parses a template. Errors: ERR_INVALID with line and column of the mistake inside the text.
 */
const struct expr *expr_compile(struct arena *arena,
                                const char *text,
                                size_t length,
                                struct error *err);

/* A cache of compiled templates keyed by their text; one thread at a time. */
struct expr_cache *expr_cache_new(void);
void expr_cache_free(struct expr_cache *cache);
/* Bytes that its templates take; NULL takes none. */
size_t expr_cache_held(const struct expr_cache *cache);

/*
 * Renders a text (expressions.md 3.1): the result is a string owned by the arena, "" when nothing
 * was written. *wrote (may be NULL) tells whether anything was written at all.
 */
const char *expr_render_text(
    struct expr_env *env, struct arena *arena, const char *text, bool *wrote, struct error *err);

/* As above, appending to a buffer. */
bool expr_render_into(struct expr_env *env, struct buf *out, const char *text, struct error *err);

/* Renders every key and every string leaf of a value tree (3.1). */
const struct value *expr_render_tree(struct expr_env *env,
                                     struct arena *arena,
                                     const struct value *tree,
                                     struct error *err);

/* Typed rendering of a text (3.5): keeps the value's type. */
const struct value *expr_render_typed(struct expr_env *env,
                                      struct arena *arena,
                                      const char *text,
                                      struct error *err);

/*
 * Truth of a rendered text (3.7): trims; "", "false", "0", "-0" are false.
 */
bool expr_truthy_text(const char *text);

/* Renders and takes the truth; false on failure with err set and *ok = false. */
bool expr_render_truth(struct expr_env *env, const char *text, bool *ok, struct error *err);

/*
 * Calls visit for every reference a template makes by a root name and constant steps, such as
 * outputs.load.rows (path = "outputs.load.rows"); with the position inside the template. For
 * checks and impact analysis.
 */
typedef void expr_visit_fn(void *data, const char *path, uint32_t line, uint32_t column);
void expr_references(const struct expr *expr, expr_visit_fn *visit, void *data);

/* Names of all functions, filters and tests, for completion and reference pages. */
struct expr_builtin {
    const char *name;
    const char *kind; /* "function", "filter", "test" */
    const char *signature;
    const char *doc;
};
const struct expr_builtin *expr_builtins(size_t *count);

#endif
