/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small operations on NUL-terminated text and on UTF-8.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/* Equality; NULL equals only NULL. */
bool str_eq(const char *a, const char *b);
bool str_eq_nocase(const char *a, const char *b);
bool str_starts(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);

/* NULL or "". */
bool str_empty(const char *text);

/* Copy without leading and trailing ASCII whitespace. */
char *str_trim(struct arena *arena, const char *text);

/* Whole text as a decimal number within [min, max]; no sign, space or suffix beyond '-'. */
bool str_to_int(const char *text, int64_t min, int64_t max, int64_t *out);

/* Whole text as a finite or IEEE number in the C locale. */
bool str_to_double(const char *text, double *out);

/*
 * Next code point of UTF-8 text; advances *at. Malformed bytes give U+FFFD and advance by one.
 * Must not be called with *at == end.
 */
uint32_t utf8_next(const char **at, const char *end);

bool utf8_valid(const char *text, size_t length);

/* Levenshtein distance of byte strings, at most `limit` (then limit + 1). */
size_t str_distance(const char *a, const char *b, size_t limit);

/*
 * For "did you mean": the candidate closest to `word`, or NULL when none is near enough
 * (distance above a third of the word's length).
 */
const char *str_nearest(const char *word, const char *const *candidates, size_t count);

/* Glob over a path with '/': `*` and `?` within a segment, `**` across, `[…]` sets, `{a,b}`. */
bool str_glob(const char *pattern, const char *path);

#endif
