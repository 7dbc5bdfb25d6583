/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of Git objects: SHA-1, 20 bytes, 40 hexadecimal digits as text.
 */
#ifndef BASE_OID_H
#define BASE_OID_H

#include <stdbool.h>
#include <stddef.h>

#define OID_BYTES 20

/* Text of an oid with its NUL. */
#define OID_TEXT 41

/* Digits shown to people. */
#define OID_SHORT 7

struct oid {
    unsigned char bytes[OID_BYTES];
};

/* All zero: "no object". */
extern const struct oid oid_none;

/* Exactly 40 hexadecimal digits, any case; `length` bytes at `hex`. */
bool oid_parse(const char *hex, size_t length, struct oid *out);

/* Writes 40 lower-case digits and a NUL; returns `out`. */
char *oid_format(const struct oid *oid, char out[OID_TEXT]);

bool oid_equal(const struct oid *a, const struct oid *b);
bool oid_is_none(const struct oid *oid);

#endif
