/* SPDX-License-Identifier: Apache-2.0 */
#include "base/unicode.h"

#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>

#include "base/arena.h"
#include "base/check.h"

bool unicode_is_letter(uint32_t code_point)
{
    return uc_is_general_category_withtable(code_point, UC_CATEGORY_MASK_L);
}

bool unicode_is_digit(uint32_t code_point)
{
    return uc_is_general_category_withtable(code_point, UC_CATEGORY_MASK_Nd);
}

bool unicode_is_space(uint32_t code_point)
{
    if (code_point == 0xa0 || code_point == 0x2007 || code_point == 0x202f)
        return false;
    return (code_point >= 0x09 && code_point <= 0x0d) ||
           (code_point >= 0x1c && code_point <= 0x1f) ||
           uc_is_general_category_withtable(code_point, UC_CATEGORY_MASK_Z);
}

uint32_t unicode_title(uint32_t code_point)
{
    return uc_totitle(code_point);
}

static bool is_ascii(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] >= 0x80)
            return false;
    }
    return true;
}

static char *changed_ascii(struct arena *arena,
                           enum unicode_change change,
                           const char *text,
                           size_t length)
{
    char *copy = arena_strndup(arena, text, length);
    for (size_t i = 0; i < length; i++) {
        if (change == UNICODE_UPPER && copy[i] >= 'a' && copy[i] <= 'z')
            copy[i] = (char)(copy[i] - ('a' - 'A'));
        if (change == UNICODE_LOWER && copy[i] >= 'A' && copy[i] <= 'Z')
            copy[i] = (char)(copy[i] + ('a' - 'A'));
    }
    return copy;
}

char *unicode_changed(struct arena *arena,
                      enum unicode_change change,
                      const char *text,
                      size_t length,
                      size_t *changed_length)
{
    uint8_t *result = NULL;
    const uint8_t *bytes = (const uint8_t *)text;
    if (!is_ascii(text, length)) {
        if (change == UNICODE_UPPER)
            result = u8_toupper(bytes, length, NULL, NULL, NULL, changed_length);
        else if (change == UNICODE_LOWER)
            result = u8_tolower(bytes, length, NULL, NULL, NULL, changed_length);
        else
            result = u8_normalize(UNINORM_NFD, bytes, length, NULL, changed_length);
    }
    if (result == NULL) {
        *changed_length = length;
        return changed_ascii(arena, change, text, length);
    }
    char *copy = arena_strndup(arena, (const char *)result, *changed_length);
    free(result);
    return copy;
}
