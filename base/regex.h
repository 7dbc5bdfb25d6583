/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular expressions over UTF-8 text; the only user of PCRE2.
 *
 * Patterns are written for the Java flavour: \p{Alpha}, \uXXXX, (?u) and the like are translated,
 * and `\d \w \s \b` stay ASCII unless the pattern asks for (?U). Not supported: intersections of
 * character classes ([a-z&&[^b]]) and Unicode blocks (\p{InGreek}). No pattern can hang or exhaust
 * the process: matching has step and depth limits.
 */
#ifndef BASE_REGEX_H
#define BASE_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct error;
struct regex;

/* Longest pattern; a flow's validator is a line, not a page. */
#define REGEX_BYTES_MAX ((size_t)64 * 1024)

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

/* Name of a group, NULL when it has none; lives as long as the regex. */
const char *regex_group_name(const struct regex *regex, size_t group);

/*
 * Walks the matches of one text, in order: regex_search_begin(), regex_search_next() until it does
 * not match, regex_search_end(). Cheaper than regex_find() in a loop, which looks at the whole text
 * each time. The text is borrowed until the end.
 */
struct regex_search {
    const struct regex *regex;
    const char *text;
    size_t length;
    size_t from;   /* where the next match is searched */
    uint64_t cost; /* grows with the work done, for budgets: 1 per match, far more for hard ones */
    bool is_done;
    void *match; /* working memory of PCRE2 */
    void *limits;
};

/* Only regex_search_end() may follow when the answer is false: the text is not UTF-8. */
bool regex_search_begin(struct regex_search *search,
                        const struct regex *regex,
                        const char *text,
                        size_t length);

/* The next match; behind an empty one the search goes on one character later. */
enum regex_result regex_search_next(struct regex_search *search,
                                    struct regex_span *spans,
                                    size_t spans_max);

void regex_search_end(struct regex_search *search);

/*
 * Appends a pattern of the Java flavour in that of PCRE2. *unicode tells whether the pattern asks
 * for \d \w \s \b of all scripts.
 * Errors   ERR_INVALID
 */
bool regex_translate(
    struct buf *out, const char *pattern, size_t length, bool *unicode, struct error *err);

#endif
