/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "base/regex.h"

#include <pcre2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"

/*
 * Limits of one match: about a tenth of a second of work, and a few megabytes. Ordinary validators
 * take some hundred steps.
 */
#define MATCH_STEPS_MAX 10000000U
/*
 * In a search for many matches each is first tried with few steps; one that needs more is tried
 * again and costs the caller's budget dearly.
 */
#define MATCH_STEPS_FEW  20000U
#define MATCH_COST_HARD  200000U
#define MATCH_DEPTH_MAX  20000U
#define MATCH_MEMORY_KIB 20480U

/* Names of groups are at most 32 characters in PCRE2 10.42 and 128 later. */
#define GROUP_NAME_BYTES 160

struct regex {
    pcre2_code *code;
    pcre2_match_context *limits;
    uint32_t groups;
};

struct regex *regex_new(const char *pattern, size_t length, struct error *err)
{
    if (length > REGEX_BYTES_MAX) {
        error_set(err, ERR_LIMIT, "pattern is longer than %zu bytes", REGEX_BYTES_MAX);
        return NULL;
    }

    struct buf translated = { 0 };
    bool unicode = false;
    int code = 0;
    PCRE2_SIZE at = 0;
    if (!regex_translate(&translated, pattern, length, &unicode, err)) {
        buf_free(&translated);
        return NULL;
    }
    uint32_t options = PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | (unicode ? PCRE2_UCP : 0);
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    CHECK(context != NULL);
    (void)pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF);
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)buf_text(&translated), translated.length,
                                         options, &code, &at, context);
    pcre2_compile_context_free(context);
    buf_free(&translated);
    if (compiled == NULL) {
        PCRE2_UCHAR text[256];
        (void)pcre2_get_error_message(code, text, sizeof(text));
        error_set_at(err, ERR_INVALID, 1, (uint32_t)(at < length ? at : length) + 1, "%s",
                     (const char *)text);
        return NULL;
    }

    struct regex *regex = check_calloc(1, sizeof(*regex));
    regex->code = compiled;
    regex->limits = pcre2_match_context_create(NULL);
    CHECK(regex->limits != NULL);
    (void)pcre2_set_match_limit(regex->limits, MATCH_STEPS_MAX);
    (void)pcre2_set_depth_limit(regex->limits, MATCH_DEPTH_MAX);
    (void)pcre2_set_heap_limit(regex->limits, MATCH_MEMORY_KIB);
    (void)pcre2_pattern_info(compiled, PCRE2_INFO_CAPTURECOUNT, &regex->groups);
    return regex;
}

void regex_free(struct regex *regex)
{
    if (regex == NULL)
        return;
    pcre2_match_context_free(regex->limits);
    pcre2_code_free(regex->code);
    free(regex);
}

void regex_freep(struct regex **regex)
{
    regex_free(*regex);
}

/* Result of pcre2_match() in our words; fills the spans. */
static enum regex_result result_of(int count,
                                   pcre2_match_data *data,
                                   struct regex_span *spans,
                                   size_t spans_max)
{
    if (count == PCRE2_ERROR_NOMATCH)
        return REGEX_NO_MATCH;
    if (count < 0)
        return REGEX_GAVE_UP;
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(data);
    for (size_t i = 0; i < spans_max; i++) {
        bool is_set = i < (size_t)count && offsets[2 * i] != PCRE2_UNSET;
        spans[i].start = is_set ? offsets[2 * i] : SIZE_MAX;
        spans[i].end = is_set ? offsets[2 * i + 1] : SIZE_MAX;
    }
    return REGEX_MATCH;
}

static enum regex_result regex_run(const struct regex *regex,
                                   const char *text,
                                   size_t length,
                                   size_t from,
                                   uint32_t options,
                                   struct regex_span *spans,
                                   size_t spans_max)
{
    if (from > length)
        return REGEX_NO_MATCH;
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(regex->code, NULL);
    CHECK(data != NULL);
    int count =
        pcre2_match(regex->code, (PCRE2_SPTR)text, length, from, options, data, regex->limits);
    enum regex_result result = result_of(count, data, spans, spans_max);
    pcre2_match_data_free(data);
    return result;
}

enum regex_result regex_match(const struct regex *regex, const char *text, size_t length)
{
    return regex_run(regex, text, length, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED, NULL, 0);
}

enum regex_result regex_find(const struct regex *regex,
                             const char *text,
                             size_t length,
                             size_t from,
                             struct regex_span *spans,
                             size_t spans_max)
{
    return regex_run(regex, text, length, from, 0, spans, spans_max);
}

size_t regex_groups(const struct regex *regex)
{
    return regex->groups;
}

size_t regex_group_named(const struct regex *regex, const char *name, size_t length)
{
    char text[GROUP_NAME_BYTES];
    if (length == 0 || length >= sizeof(text))
        return 0;
    memcpy(text, name, length);
    text[length] = '\0';
    int number = pcre2_substring_number_from_name(regex->code, (PCRE2_SPTR)text);
    return number > 0 ? (size_t)number : 0;
}

const char *regex_group_name(const struct regex *regex, size_t group)
{
    uint32_t count = 0;
    uint32_t size = 0;
    PCRE2_SPTR table = NULL;
    (void)pcre2_pattern_info(regex->code, PCRE2_INFO_NAMECOUNT, &count);
    (void)pcre2_pattern_info(regex->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    (void)pcre2_pattern_info(regex->code, PCRE2_INFO_NAMETABLE, &table);
    for (uint32_t i = 0; i < count; i++) {
        const unsigned char *entry = table + (size_t)i * size;
        if (((size_t)entry[0] << 8 | entry[1]) == group)
            return (const char *)entry + 2;
    }
    return NULL;
}

bool regex_search_begin(struct regex_search *search,
                        const struct regex *regex,
                        const char *text,
                        size_t length)
{
    *search = (struct regex_search){ .regex = regex, .text = text, .length = length };
    if (!utf8_valid(text, length))
        return false;
    search->match = pcre2_match_data_create_from_pattern(regex->code, NULL);
    search->limits = pcre2_match_context_copy(regex->limits);
    CHECK(search->match != NULL);
    CHECK(search->limits != NULL);
    return true;
}

enum regex_result regex_search_next(struct regex_search *search,
                                    struct regex_span *spans,
                                    size_t spans_max)
{
    static const uint32_t steps[] = { MATCH_STEPS_FEW, MATCH_STEPS_MAX };
    if (search->is_done)
        return REGEX_NO_MATCH;
    int count = PCRE2_ERROR_MATCHLIMIT;
    for (size_t i = 0; i < COUNT_OF(steps) && count == PCRE2_ERROR_MATCHLIMIT; i++) {
        (void)pcre2_set_match_limit(search->limits, steps[i]);
        count = pcre2_match(search->regex->code, (PCRE2_SPTR)search->text, search->length,
                            search->from, PCRE2_NO_UTF_CHECK, search->match, search->limits);
        search->cost += i == 0 ? 1 : MATCH_COST_HARD;
    }
    enum regex_result result = result_of(count, search->match, spans, spans_max);
    search->is_done = result != REGEX_MATCH;
    if (search->is_done)
        return result;

    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(search->match);
    search->from = offsets[1];
    if (offsets[0] < offsets[1])
        return result;
    search->is_done = search->from >= search->length;
    if (!search->is_done) {
        const char *at = search->text + search->from;
        (void)utf8_next(&at, search->text + search->length);
        search->from = (size_t)(at - search->text);
    }
    return result;
}

void regex_search_end(struct regex_search *search)
{
    pcre2_match_context_free(search->limits);
    pcre2_match_data_free(search->match);
    search->match = NULL;
    search->limits = NULL;
}
