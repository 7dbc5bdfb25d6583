/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Amazon Ion text to values and back: rows of files, and the functions fromIon and toIon.
 *
 * JSON is read as well, being a subset here. Annotations are dropped, except those that say what a
 * text is: LocalDateTime, LocalDate, LocalTime, ZonedDateTime, OffsetDateTime, OffsetTime,
 * Duration. Source: the Ion 1.0 specification; connectors.md 0.7 for the spelling that is written.
 */
#ifndef CORE_ION_H
#define CORE_ION_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct buf;
struct error;
struct value;

/* Lists and structs inside one another. */
#define ION_DEPTH_MAX 512U

/*
 * First value of a text.
 *
 * used     may be NULL; bytes up to the end of the value
 * Returns  NULL with err filled; ERR_NOT_FOUND when only white space and comments are left
 * Errors   ERR_INVALID  not Ion; err->column counts bytes from 1
 *          ERR_LIMIT    nested deeper than ION_DEPTH_MAX
 */
const struct value *ion_parse_first(
    struct arena *arena, const char *text, size_t length, size_t *used, struct error *err);

/* All values of a text, as a list. */
const struct value *ion_parse_all(struct arena *arena,
                                  const char *text,
                                  size_t length,
                                  struct error *err);

/* Appends one line without its end; null members are kept. */
void ion_write(struct buf *out, const struct value *value);

#endif
