/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"

/* Words longer than this are never compared for suggestions. */
#define DISTANCE_BYTES_MAX 128

bool str_eq(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool str_eq_nocase(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcasecmp(a, b) == 0);
}

bool str_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *text, const char *suffix)
{
    size_t length = strlen(text);
    size_t tail = strlen(suffix);
    return length >= tail && memcmp(text + length - tail, suffix, tail) == 0;
}

bool str_empty(const char *text)
{
    return text == NULL || text[0] == '\0';
}

char *str_trim(struct arena *arena, const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    return arena_strndup(arena, text, length);
}

bool str_to_int(const char *text, int64_t min, int64_t max, int64_t *out)
{
    if (text == NULL ||
        (!isdigit((unsigned char)text[0]) && !(text[0] == '-' && isdigit((unsigned char)text[1]))))
        return false;
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || number < min || number > max)
        return false;
    *out = number;
    return true;
}

bool str_to_double(const char *text, double *out)
{
    if (str_empty(text) || isspace((unsigned char)text[0]))
        return false;
    char *end = NULL;
    double number = strtod(text, &end);
    if (*end != '\0')
        return false;
    *out = number;
    return true;
}

uint32_t utf8_next(const char **at, const char *end)
{
    const unsigned char *p = (const unsigned char *)*at;
    size_t left = (size_t)(end - *at);
    uint32_t point;
    size_t more;
    uint32_t lowest;

    if (p[0] < 0x80) {
        (*at)++;
        return p[0];
    }
    if (p[0] >= 0xc2 && p[0] < 0xe0) {
        point = p[0] & 0x1fU;
        more = 1;
        lowest = 0x80;
    } else if ((p[0] & 0xf0) == 0xe0) {
        point = p[0] & 0x0fU;
        more = 2;
        lowest = 0x800;
    } else if (p[0] >= 0xf0 && p[0] < 0xf5) {
        point = p[0] & 0x07U;
        more = 3;
        lowest = 0x10000;
    } else {
        (*at)++;
        return 0xfffd;
    }
    if (left <= more) {
        (*at)++;
        return 0xfffd;
    }
    for (size_t i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            (*at)++;
            return 0xfffd;
        }
        point = point << 6 | (p[i] & 0x3fU);
    }
    if (point < lowest || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
        (*at)++;
        return 0xfffd;
    }
    *at += more + 1;
    return point;
}

bool utf8_valid(const char *text, size_t length)
{
    const char *end = text + length;
    while (text < end) {
        const char *before = text;
        if (utf8_next(&text, end) == 0xfffd && text - before == 1)
            return false;
    }
    return true;
}

size_t str_distance(const char *a, const char *b, size_t limit)
{
    size_t rows = strlen(a);
    size_t columns = strlen(b);
    if (rows > DISTANCE_BYTES_MAX || columns > DISTANCE_BYTES_MAX)
        return limit + 1;
    size_t line[DISTANCE_BYTES_MAX + 1];
    for (size_t j = 0; j <= columns; j++)
        line[j] = j;
    for (size_t i = 1; i <= rows; i++) {
        size_t diagonal = line[0];
        line[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            size_t best = line[j - 1] + 1;
            if (line[j] + 1 < best)
                best = line[j] + 1;
            if (replace < best)
                best = replace;
            diagonal = line[j];
            line[j] = best;
        }
    }
    return line[columns] <= limit ? line[columns] : limit + 1;
}

const char *str_nearest(const char *word, const char *const *candidates, size_t count)
{
    size_t limit = (strlen(word) + 2) / 3;
    const char *nearest = NULL;
    size_t nearest_distance = limit + 1;
    for (size_t i = 0; i < count; i++) {
        size_t distance = str_eq_nocase(word, candidates[i])
                              ? 0
                              : str_distance(word, candidates[i], nearest_distance);
        if (distance < nearest_distance) {
            nearest = candidates[i];
            nearest_distance = distance;
        }
    }
    return nearest;
}

/* Matches a set like [a-z] or [!x]; *pattern stands after '['. Unclosed sets match nothing. */
static bool match_set(const char **pattern, char c)
{
    const char *p = *pattern;
    bool negated = *p == '!' || *p == '^';
    bool found = false;
    if (negated)
        p++;
    do {
        if (*p == '\0')
            return false;
        if (p[1] == '-' && p[2] != ']' && p[2] != '\0') {
            found = found || (c >= p[0] && c <= p[2]);
            p += 3;
        } else {
            found = found || c == *p;
            p++;
        }
    } while (*p != ']');
    *pattern = p + 1;
    return found != negated && c != '/';
}

/* Bound on backtracking: patterns come from users. */
#define GLOB_STEPS_MAX 100000

static bool glob(const char *pattern, const char *path, int *steps);

static const char *brace_end(const char *open)
{
    int depth = 0;
    for (const char *p = open; *p != '\0'; p++) {
        if (*p == '{')
            depth++;
        else if (*p == '}' && --depth == 0)
            return p;
    }
    return NULL;
}

static bool match_braces(const char *pattern, const char *close, const char *path, int *steps)
{
    const char *from = pattern + 1;
    int depth = 0;
    for (const char *p = from; p <= close; p++) {
        if (*p == '{')
            depth++;
        else if (*p == '}' && p != close)
            depth--;
        if (p != close && (*p != ',' || depth != 0))
            continue;
        char joined[1024];
        size_t head = (size_t)(p - from);
        size_t tail = strlen(close + 1);
        if (head + tail + 1 <= sizeof(joined)) {
            memcpy(joined, from, head);
            memcpy(joined + head, close + 1, tail + 1);
            if (glob(joined, path, steps))
                return true;
        }
        from = p + 1;
    }
    return false;
}

static bool glob(const char *pattern, const char *path, int *steps)
{
    for (;;) {
        if (++*steps > GLOB_STEPS_MAX)
            return false;
        if (*pattern == '\0')
            return *path == '\0';
        if (pattern[0] == '*' && pattern[1] == '*') {
            pattern += 2;
            if (*pattern == '/') {
                // "**/" also stands for no folder at all
                if (glob(pattern + 1, path, steps))
                    return true;
            }
            for (; *path != '\0'; path++) {
                if (glob(pattern, path, steps))
                    return true;
            }
            return glob(pattern, path, steps);
        }
        if (*pattern == '*') {
            pattern++;
            for (;; path++) {
                if (glob(pattern, path, steps))
                    return true;
                if (*path == '\0' || *path == '/')
                    return false;
            }
        }
        if (*pattern == '{') {
            const char *close = brace_end(pattern);
            if (close != NULL)
                return match_braces(pattern, close, path, steps);
        }
        if (*path == '\0')
            return false;
        if (*pattern == '[') {
            pattern++;
            if (!match_set(&pattern, *path))
                return false;
            path++;
            continue;
        }
        if (*pattern == '?') {
            if (*path == '/')
                return false;
        } else {
            if (*pattern == '\\' && pattern[1] != '\0')
                pattern++;
            if (*pattern != *path)
                return false;
        }
        pattern++;
        path++;
    }
}

bool str_glob(const char *pattern, const char *path)
{
    int steps = 0;
    return glob(pattern, path, &steps);
}
