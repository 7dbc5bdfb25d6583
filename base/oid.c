/* SPDX-License-Identifier: Apache-2.0 */
#include "base/oid.h"

#include <string.h>

const struct oid oid_none;

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool oid_parse(const char *hex, size_t length, struct oid *out)
{
    if (length != 2 * (size_t)OID_BYTES)
        return false;
    struct oid parsed;
    for (size_t i = 0; i < OID_BYTES; i++) {
        int high = digit(hex[2 * i]);
        int low = digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        parsed.bytes[i] = (unsigned char)(high * 16 + low);
    }
    *out = parsed;
    return true;
}

char *oid_format(const struct oid *oid, char out[OID_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < OID_BYTES; i++) {
        out[2 * i] = digits[oid->bytes[i] >> 4];
        out[2 * i + 1] = digits[oid->bytes[i] & 15];
    }
    out[(size_t)2 * OID_BYTES] = '\0';
    return out;
}

bool oid_equal(const struct oid *a, const struct oid *b)
{
    return memcmp(a->bytes, b->bytes, OID_BYTES) == 0;
}

bool oid_is_none(const struct oid *oid)
{
    return oid_equal(oid, &oid_none);
}
