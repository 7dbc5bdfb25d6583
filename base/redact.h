/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Masks secret values in texts: every occurrence becomes "******", also base64 (any alignment, both
 * alphabets), percent-encoded and JSON-escaped ones. Of a secret with several lines each line is
 * masked by itself too, since logs are lines.
 *
 * Thread safe: secrets may be added while others mask. Values shorter than REDACT_LENGTH_MIN are
 * not masked, they would eat ordinary text.
 *
 * A set has an optional parent whose secrets are masked as well. The process log masks with
 * redact_process(); a run has a set of its own below it.
 */
#ifndef BASE_REDACT_H
#define BASE_REDACT_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct buf;
struct redact;

#define REDACT_LENGTH_MIN 4
#define REDACT_MASK       "******"

/* How a text says that it was cut: what stands before may be the start of a secret. */
#define REDACT_CUT "…"

/* Values longer than this are masked by their first so many bytes. */
#define REDACT_LENGTH_MAX 65536

/* Secrets of one set; adding more is refused. */
#define REDACT_COUNT_MAX 10000

/* The set of the whole process; never freed. */
struct redact *redact_process(void);

/* A new set; `parent` may be NULL and must live longer. */
struct redact *redact_new(struct redact *parent);
void redact_free(struct redact *redact);
void redact_freep(struct redact **redact);

/* Adds a value; copies it. Known, short and NULL values are fine. False when the set is full. */
bool redact_add(struct redact *redact, const char *secret);
bool redact_add_bytes(struct redact *redact, const char *secret, size_t length);

/* Whether there is anything to mask, parents included. */
bool redact_is_empty(struct redact *redact);

/*
 * Appends the masked text to `out` and returns true, or returns false and appends nothing when the
 * text holds no secret (the usual case, without a copy). NULL redact masks nothing.
 */
bool redact_apply(struct redact *redact, const char *text, size_t length, struct buf *out);

/*
 * As redact_apply(), for a text whose end was cut off: an end that some secret begins with is
 * masked too. redact_apply() does so by itself when the text ends in REDACT_CUT.
 */
bool redact_apply_cut(struct redact *redact, const char *text, size_t length, struct buf *out);

/* The text itself when it holds no secret, else a masked copy owned by the arena. NULL gives NULL.
 */
const char *redact_text(struct redact *redact, struct arena *arena, const char *text);

/* Masks a NUL-terminated text in place, cutting it at `capacity` bytes if the masks lengthen it. */
void redact_in_place(struct redact *redact, char *text, size_t capacity);

#endif
