/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular expressions over UTF-8 text; the only user of PCRE2.
 *
 * Patterns are written for the Java flavour; PCRE2 in UTF mode covers what flows use, and `\d \w
 * \s` stay ASCII. No pattern can hang or exhaust the process: matching has step and depth limits.
 */
#ifndef BASE_REGEX_H
#define BASE_REGEX_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct regex;

/* Longest pattern; a flow's validator is a line, not a page. */
#define REGEX_BYTES_MAX (64U * 1024U)

/* Groups of a match that can be asked for, the whole match included. */
#define REGEX_GROUPS_MAX 100

/* Byte offsets of a group; start is SIZE_MAX when the group took no part in the match. */
struct regex_span {
    size_t start;
    size_t end;
};

/*
 * Compiles a pattern; the result is used by any number of threads and freed by regex_free().
 *
 * Errors   ERR_INVALID  column is the position of the mistake, 1-based
 *          ERR_LIMIT    longer than REGEX_BYTES_MAX
 */
struct regex *regex_new(const char *pattern, size_t length, struct error *err);
void regex_free(struct regex *regex);
void regex_freep(struct regex **regex);

enum regex_result {
    REGEX_NO_MATCH,
    REGEX_MATCH,
    REGEX_GAVE_UP, /* limits were reached, or the text is not UTF-8 */
};

/* Does the whole text match? */
enum regex_result regex_match(const struct regex *regex, const char *text, size_t length);

/*
 * First match at or after byte `from`.
 *
 * spans    receives the whole match and the groups, `spans_max` of them at most; may be NULL with 0
 */
enum regex_result regex_find(const struct regex *regex,
                             const char *text,
                             size_t length,
                             size_t from,
                             struct regex_span *spans,
                             size_t spans_max);

/* Number of capturing groups, the whole match not counted. */
size_t regex_groups(const struct regex *regex);

/* Number of a named group, 0 when there is none. */
size_t regex_group_named(const struct regex *regex, const char *name, size_t length);

#endif
