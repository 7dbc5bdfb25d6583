/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled templates and regular expressions, kept by their text. One thread at a time.
 */
#ifndef CORE_EXPR_CACHE_H
#define CORE_EXPR_CACHE_H

#include <stddef.h>

struct error;
struct expr;
struct expr_cache;
struct regex;

/* Templates kept, and the bytes of their texts. */
#define EXPR_CACHE_MAX       1000U
#define EXPR_CACHE_BYTES_MAX ((size_t)32 * 1024 * 1024)
#define EXPR_CACHE_REGEX_MAX 200U

struct cached;

/*
 * The compiled template, compiling it when it is new. It stays valid until cached_release().
 * Errors   ERR_INVALID as expr_compile()
 */
struct cached *cache_template(struct expr_cache *cache,
                              const char *text,
                              size_t length,
                              struct error *err);
const struct expr *cached_expr(const struct cached *cached);

/* NULL is fine. */
void cached_release(struct cached *cached);

/*
 * The compiled pattern; valid until the next call.
 * Errors   ERR_INVALID as regex_new()
 */
struct regex *cache_regex(struct expr_cache *cache,
                          const char *pattern,
                          size_t length,
                          struct error *err);

#endif
