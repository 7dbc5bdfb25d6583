/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON text to values. Writing is in core/value.h.
 *
 * Strict RFC 8259 in UTF-8. Any kind of value may stand at the top. Members keep their order; of a
 * key given twice the last value counts. Integers beyond 64 bits become VALUE_BIGINT, numbers with
 * a fraction or an exponent VALUE_DOUBLE (infinite when too large). Integers that fit 32 bits have
 * is_int32 set.
 *
 * Lost: the spelling of numbers (1.10 is 1.1) and the positions of values. Refused: a NUL
 * character inside a member's name.
 */
#ifndef CORE_JSON_H
#define CORE_JSON_H

#include <stddef.h>

struct arena;
struct error;
struct value;

/* Lists and maps inside one another. */
#define JSON_DEPTH_MAX 512U

/* Bytes of one text; callers with a smaller bound check it themselves. */
#define JSON_LENGTH_MAX ((size_t)256 * 1024 * 1024)

/*
 * Parses a whole text; whitespace around the value is fine.
 *
 * arena    owns the result; nothing of `text` is kept
 * Returns  NULL with err filled
 * Errors   ERR_INVALID  not JSON; line and column say where
 *          ERR_LIMIT    nested deeper than JSON_DEPTH_MAX or longer than JSON_LENGTH_MAX
 */
const struct value *json_parse(struct arena *arena,
                               const char *text,
                               size_t length,
                               struct error *err);

/*
 * As json_parse(), for the first value of a text; whatever follows it is ignored. *used (may be
 * NULL) gets the number of bytes up to the value's end.
 */
const struct value *json_parse_first(
    struct arena *arena, const char *text, size_t length, size_t *used, struct error *err);

#endif
