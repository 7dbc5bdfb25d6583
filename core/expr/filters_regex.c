/* SPDX-License-Identifier: Apache-2.0 */
/* Filters that use regular expressions. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/regex.h"
#include "core/expr/eval.h"

/* A regex at work on one text. */
struct scan {
    struct evaluator *ev;
    const struct node *node;
    struct regex *regex;
    struct regex_search search;
    struct regex_span spans[REGEX_GROUPS_MAX];
    uint64_t paid;
};

static bool scan_begin(struct scan *scan,
                       struct evaluator *ev,
                       const struct node *node,
                       const struct value *text,
                       const struct value *pattern)
{
    scan->ev = ev;
    scan->node = node;
    scan->paid = 0;
    scan->regex = eval_regex(ev, node, pattern);
    if (scan->regex == NULL || !charge(ev, node, text->string.length / 32 + 1))
        return false;
    if (regex_search_begin(&scan->search, scan->regex, text->string.bytes, text->string.length))
        return true;
    regex_search_end(&scan->search);
    (void)fail(ev, node, "the text is not UTF-8");
    return false;
}

/* *found tells whether there is another match; false with the failure noted. */
static bool scan_next(struct scan *scan, bool *found)
{
    size_t groups = regex_groups(scan->regex) + 1;
    size_t spans = groups > REGEX_GROUPS_MAX ? REGEX_GROUPS_MAX : groups;
    enum regex_result result = regex_search_next(&scan->search, scan->spans, spans);
    uint64_t cost = scan->search.cost - scan->paid;
    scan->paid = scan->search.cost;
    *found = result == REGEX_MATCH;
    if (result == REGEX_GAVE_UP) {
        (void)fail(scan->ev, scan->node, "the regular expression takes too many steps");
        return false;
    }
    return charge(scan->ev, scan->node, cost);
}

/* ---- replacement ---- */

/* Appends what a group matched, nothing when it took no part. */
static bool add_group(struct scan *scan, struct buf *out, size_t group)
{
    if (group > regex_groups(scan->regex) || group >= REGEX_GROUPS_MAX) {
        (void)fail(scan->ev, scan->node, "the pattern has no group %zu", group);
        return false;
    }
    const struct regex_span *span = &scan->spans[group];
    if (span->start != SIZE_MAX && span->start <= span->end)
        buf_add(out, scan->search.text + span->start, span->end - span->start);
    return true;
}

/* `${name}`; `at` is behind the dollar. */
static bool add_named(struct scan *scan, struct buf *out, const char **at, const char *end)
{
    const char *name = *at + 1;
    const char *close = memchr(name, '}', (size_t)(end - name));
    size_t group = close == NULL ? 0 : regex_group_named(scan->regex, name, (size_t)(close - name));
    if (group == 0) {
        (void)fail(scan->ev, scan->node, "the replacement names a group that does not exist");
        return false;
    }
    *at = close + 1;
    return add_group(scan, out, group);
}

/* `$1`: as many digits as still name a group. */
static bool add_numbered(struct scan *scan, struct buf *out, const char **at, const char *end)
{
    size_t group = (size_t)(**at - '0');
    for ((*at)++; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        size_t longer = group * 10 + (size_t)(**at - '0');
        if (longer > regex_groups(scan->regex))
            break;
        group = longer;
    }
    return add_group(scan, out, group);
}

/* Appends the replacement of the match just found. */
static bool add_replacement(struct scan *scan, struct buf *out, const struct value *replacement)
{
    const char *at = replacement->string.bytes;
    const char *end = at + replacement->string.length;
    while (at < end) {
        char c = *at++;
        if (c == '\\' && at < end) {
            buf_putc(out, *at++);
        } else if (c == '$' && at < end && *at == '{') {
            if (!add_named(scan, out, &at, end))
                return false;
        } else if (c == '$' && at < end && *at >= '0' && *at <= '9') {
            if (!add_numbered(scan, out, &at, end))
                return false;
        } else if (c == '$' || c == '\\') {
            (void)fail(scan->ev, scan->node,
                       "'%c' in a replacement must be followed by a group, or escaped", c);
            return false;
        } else {
            buf_putc(out, c);
        }
    }
    return text_fits(scan->ev, scan->node, out->length, 0);
}

/* Fills `out`; false with the failure noted. */
static bool replace_all(struct scan *scan,
                        const struct value *text,
                        const struct value *replacement,
                        struct buf *out)
{
    size_t copied = 0;
    for (;;) {
        bool found = false;
        if (!scan_next(scan, &found))
            return false;
        if (!found)
            break;
        buf_add(out, text->string.bytes + copied, scan->spans[0].start - copied);
        copied = scan->spans[0].end;
        if (!add_replacement(scan, out, replacement))
            return false;
    }
    buf_add(out, text->string.bytes + copied, text->string.length - copied);
    return true;
}

static const struct value *regex_replaced(struct evaluator *ev,
                                          const struct node *node,
                                          const struct value *text,
                                          const struct value *pattern,
                                          const struct value *replacement)
{
    struct scan scan;
    struct buf out = { 0 };
    if (!scan_begin(&scan, ev, node, text, pattern))
        return NULL;
    bool done = replace_all(&scan, text, replacement, &out);
    regex_search_end(&scan.search);
    if (done)
        return text_of(ev, node, &out);
    buf_free(&out);
    return NULL;
}

static const struct value *run_regex_replace(struct call *call)
{
    const struct value *text = display(call->ev, call->node, call->input);
    const struct value *pattern = text == NULL ? NULL : call_display(call, 0);
    const struct value *replacement = pattern == NULL ? NULL : call_display(call, 1);
    if (replacement == NULL)
        return NULL;
    return regex_replaced(call->ev, call->node, text, pattern, replacement);
}

/* ---- match and extract ---- */

static const struct value *run_regex_match(struct call *call)
{
    struct scan scan;
    bool found = false;
    if (value_is_null(call->input))
        return &value_false;
    const struct value *text = display(call->ev, call->node, call->input);
    const struct value *pattern = text == NULL ? NULL : call_display(call, 0);
    if (pattern == NULL || !scan_begin(&scan, call->ev, call->node, text, pattern))
        return NULL;
    bool done = scan_next(&scan, &found);
    regex_search_end(&scan.search);
    return done ? value_bool(found) : NULL;
}

static const struct value *run_regex_extract(struct call *call)
{
    struct scan scan;
    bool found = false;
    int64_t group = 0;
    const struct value *text = display(call->ev, call->node, call->input);
    const struct value *pattern = text == NULL ? NULL : call_display(call, 0);
    if (pattern == NULL || !call_int(call, 1, 0, &group) ||
        !scan_begin(&scan, call->ev, call->node, text, pattern))
        return NULL;
    bool done = scan_next(&scan, &found);
    regex_search_end(&scan.search);
    if (!done)
        return NULL;
    if (group < 0 || (uint64_t)group > regex_groups(scan.regex) || group >= REGEX_GROUPS_MAX)
        return call_fail(call, "the pattern has no group %lld", (long long)group);
    const struct regex_span *span = &scan.spans[group];
    if (!found || span->start == SIZE_MAX || span->start > span->end)
        return &value_null;
    return value_string_n(call->ev->arena, text->string.bytes + span->start,
                          span->end - span->start);
}

/* ---- split ---- */

/* Collects the parts between matches; false with the failure noted. */
static bool collect_parts(struct scan *scan,
                          const struct value *text,
                          int64_t limit,
                          struct value_builder *parts,
                          size_t *copied)
{
    struct arena *arena = scan->ev->arena;
    bool found = true;
    while (limit <= 0 || (int64_t)parts->items_count < limit - 1) {
        if (!scan_next(scan, &found))
            return false;
        if (!found)
            return true;
        size_t start = scan->spans[0].start;
        size_t end = scan->spans[0].end;
        if (end == 0)
            continue; // an empty match at the start makes no empty part
        value_add(parts, value_string_n(arena, text->string.bytes + *copied, start - *copied));
        *copied = end;
    }
    return true;
}

const struct value *text_split(struct evaluator *ev,
                               const struct node *node,
                               const struct value *text,
                               const struct value *pattern,
                               int64_t limit)
{
    struct scan scan;
    struct value_builder parts = value_build(ev->arena);
    size_t copied = 0;
    if (!scan_begin(&scan, ev, node, text, pattern))
        return NULL;
    bool done = collect_parts(&scan, text, limit, &parts, &copied);
    regex_search_end(&scan.search);
    if (!done)
        return NULL;
    value_add(&parts,
              value_string_n(ev->arena, text->string.bytes + copied, text->string.length - copied));
    if (limit == 0 && copied > 0) {
        while (parts.items_count > 0 && parts.items[parts.items_count - 1]->string.length == 0)
            parts.items_count--;
    }
    return value_build_list(&parts);
}

static const struct value *run_split(struct call *call)
{
    int64_t limit = 0;
    if (!call_needs_string(call))
        return NULL;
    const struct value *pattern = call_string(call, 0);
    if (pattern == NULL || !call_int(call, 1, 0, &limit))
        return NULL;
    return text_split(call->ev, call->node, call->input, pattern, limit);
}

/* ---- replace ---- */

/* What `replace` was asked to do. */
struct replacing {
    struct call *call;
    const struct value *pairs;
    bool regexp;
};

static const struct value *replaced_text(struct replacing *r, const struct value *text)
{
    struct evaluator *ev = r->call->ev;
    const struct node *node = r->call->node;
    for (size_t i = 0; i < r->pairs->map.count && text != NULL; i++) {
        const struct value_member *pair = &r->pairs->map.members[i];
        if (value_is_null(pair->value))
            return call_fail(r->call, "the replacement of '%.100s' is null", pair->key);
        const struct value *old = value_string_ref(ev->arena, pair->key, pair->key_length);
        const struct value *new = display(ev, node, pair->value);
        if (new == NULL)
            return NULL;
        text = r->regexp ? regex_replaced(ev, node, text, old, new)
                         : text_replaced(ev, node, text, old, new);
    }
    return text;
}

static const struct value *replaced(struct replacing *r, const struct value *value)
{
    struct evaluator *ev = r->call->ev;
    struct value_builder builder = value_build(ev->arena);
    if (!charge(ev, r->call->node, 1))
        return NULL;
    value = value_force(ev->arena, value);
    if (value->kind == VALUE_NULL)
        return value;
    if (value->kind == VALUE_LIST) {
        for (size_t i = 0; i < value->list.count; i++) {
            const struct value *item = replaced(r, value->list.items[i]);
            if (item == NULL)
                return NULL;
            value_add(&builder, item);
        }
        return value_build_list(&builder);
    }
    if (value->kind == VALUE_MAP) {
        for (size_t i = 0; i < value->map.count; i++) {
            const struct value_member *m = &value->map.members[i];
            const struct value *item = replaced(r, m->value);
            if (item == NULL)
                return NULL;
            value_put_n(&builder, m->key, m->key_length, item);
        }
        return value_build_map(&builder);
    }
    const struct value *text = display(ev, r->call->node, value);
    return text == NULL ? NULL : replaced_text(r, text);
}

static const struct value *run_replace(struct call *call)
{
    const struct value *pairs = call_arg(call, 0);
    const struct value *regexp = call_arg(call, 1);
    if (pairs == NULL)
        return call_fail(call, "argument 'replace_pairs' is missing");
    pairs = value_force(call->ev->arena, pairs);
    if (pairs->kind != VALUE_MAP)
        return call_fail(call, "argument 'replace_pairs' must be a map, not %s",
                         value_kind_name(pairs));
    if (regexp != NULL && regexp->kind != VALUE_BOOL)
        return call_fail(call, "argument 'regexp' must be true or false");
    struct replacing r = { call, pairs, regexp != NULL && regexp->boolean };
    return replaced(&r, call->input);
}

static const struct builtin rows[] = {
    { "regexExtract", "regex, group = 0", run_regex_extract, 0,
      "The first match, or one of its groups; null when nothing matches." },
    { "regexMatch", "regex", run_regex_match, BUILTIN_TAKES_NULL,
      "Does the pattern match somewhere in the text?" },
    { "regexReplace", "regex, replacement", run_regex_replace, 0,
      "Replaces every match; $1 and ${name} stand for groups." },
    { "replace", "replace_pairs, regexp = false", run_replace, 0,
      "Replaces each key of a map by its value, in lists and maps too." },
    { "split", "delimiter, limit", run_split, 0,
      "Cuts the text at the matches of a regular expression." },
};

const struct builtin_table filters_regex = { NODE_FILTER, rows, COUNT_OF(rows) };
