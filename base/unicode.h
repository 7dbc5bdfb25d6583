/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties and case of Unicode text in UTF-8. The only user of libunistring.
 *
 * Pure and independent of the locale.
 */
#ifndef BASE_UNICODE_H
#define BASE_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

bool unicode_is_letter(uint32_t code_point);
bool unicode_is_digit(uint32_t code_point); /* decimal digits of all scripts */
bool unicode_is_space(uint32_t code_point); /* White_Space without the no-break spaces */

/* Simple (one to one) title case: `ǆ` becomes `ǅ`. */
uint32_t unicode_title(uint32_t code_point);

enum unicode_change {
    UNICODE_UPPER, /* full mapping: `ß` becomes `SS` */
    UNICODE_LOWER,
    UNICODE_NFD, /* canonical decomposition */
};

/*
 * A changed copy, NUL-terminated, owned by the arena. Malformed UTF-8 is copied as it is, with
 * ASCII letters changed.
 */
char *unicode_changed(struct arena *arena,
                      enum unicode_change change,
                      const char *text,
                      size_t length,
                      size_t *changed_length);

#endif
