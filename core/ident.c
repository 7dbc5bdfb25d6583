/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ident.h"

#include <string.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/regex.h"
#include "base/str.h"

/* Sets of ASCII characters as two words of bits. */
enum {
    SET_LOWER = 1 << 0,
    SET_UPPER = 1 << 1,
    SET_DIGIT = 1 << 2,
    SET_UNDERSCORE = 1 << 3,
    SET_HYPHEN = 1 << 4,
    SET_DOT = 1 << 5,
};

static unsigned set_of(char c)
{
    if (c >= 'a' && c <= 'z')
        return SET_LOWER;
    if (c >= 'A' && c <= 'Z')
        return SET_UPPER;
    if (c >= '0' && c <= '9')
        return SET_DIGIT;
    return c == '_' ? SET_UNDERSCORE : c == '-' ? SET_HYPHEN : c == '.' ? SET_DOT : 0;
}

#define SET_ALNUM (SET_LOWER | SET_UPPER | SET_DIGIT)

static const struct {
    const char *pattern;
    unsigned first;
    unsigned rest;
} rows[] = {
    { IDENT_TASK, SET_ALNUM, SET_ALNUM | SET_UNDERSCORE | SET_HYPHEN },
    { IDENT_FLOW, SET_ALNUM, SET_ALNUM | SET_UNDERSCORE | SET_HYPHEN | SET_DOT },
    { IDENT_INPUT, SET_ALNUM, SET_ALNUM | SET_UNDERSCORE | SET_HYPHEN | SET_DOT },
    { IDENT_NAMESPACE, SET_LOWER | SET_DIGIT,
      SET_LOWER | SET_DIGIT | SET_UNDERSCORE | SET_HYPHEN | SET_DOT },
};

static bool walk(const char *text, size_t length, unsigned first, unsigned rest)
{
    if (length == 0 || (set_of(text[0]) & first) == 0)
        return false;
    for (size_t i = 1; i < length; i++) {
        if ((set_of(text[i]) & rest) == 0)
            return false;
    }
    return true;
}

static bool is_ascii(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] >= 0x80)
            return false;
    }
    return true;
}

bool ident_matches(const char *pattern, const char *text, size_t length)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (strcmp(rows[i].pattern, pattern) == 0)
            return walk(text, length, rows[i].first, rows[i].rest);
    }
    if (strcmp(pattern, IDENT_LABEL) == 0 && is_ascii(text, length))
        return walk(text, length, SET_LOWER, SET_ALNUM | SET_UNDERSCORE | SET_HYPHEN | SET_DOT);
    AUTO(regex_freep) struct regex *regex = regex_new(pattern, strlen(pattern), NULL);
    CHECK(regex != NULL); // patterns come from our own tables
    return regex_match(regex, text, length) == REGEX_MATCH;
}

const char ident_reserved_words[] = "pause, resume, force-run, change-status, kill, executions, "
                                    "search, source, disable, enable";

bool ident_is_reserved(const char *flow_id)
{
    const char *at = ident_reserved_words;
    size_t length = strlen(flow_id);
    while (*at != '\0') {
        size_t word = strcspn(at, ",");
        if (word == length && memcmp(at, flow_id, length) == 0)
            return true;
        at += word;
        at += strspn(at, ", ");
    }
    return false;
}
