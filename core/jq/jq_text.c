/* SPDX-License-Identifier: Apache-2.0 */
/* Functions over texts. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/regex.h"
#include "base/str.h"
#include "core/jq/jq_internal.h"
#include "core/json.h"

static bool give(struct jq_call *call, const struct value *value)
{
    return jq_give(call->out, call->in, value);
}

static bool run_to_string(struct jq_call *call)
{
    return give(call, jq_to_text(call->jq, call->in.value));
}

static bool run_to_json(struct jq_call *call)
{
    return give(call, jq_to_json(call->jq, call->in.value));
}

static bool run_from_json(struct jq_call *call)
{
    struct error why = { 0 };
    const struct value *text = call->in.value;
    if (text->kind != VALUE_STRING)
        return jq_fail(call->jq, "%s cannot be parsed as JSON", jq_type(text));
    if (!jq_charge(call->jq, text->string.length / 16))
        return false;
    const struct value *value =
        json_parse(call->jq->arena, text->string.bytes, text->string.length, &why);
    if (value == NULL)
        return jq_fail(call->jq, "%.200s (while parsing '%.60s')", why.text, text->string.bytes);
    return give(call, value);
}

static bool run_to_number(struct jq_call *call)
{
    const struct value *text = call->in.value;
    if (value_is_number(text))
        return give(call, text);
    if (text->kind == VALUE_STRING && strlen(text->string.bytes) == text->string.length &&
        text->string.length > 0 &&
        strspn(text->string.bytes, "0123456789+-.eE") == text->string.length) {
        int64_t integer = 0;
        double number = 0;
        if (str_to_int(text->string.bytes, INT64_MIN, INT64_MAX, &integer))
            return give(call, value_int(call->jq->arena, integer));
        if (str_to_double(text->string.bytes, &number))
            return give(call, value_double(call->jq->arena, number));
    }
    return jq_fail(call->jq, "%s cannot be parsed as a number", jq_type(text));
}

static bool run_byte_length(struct jq_call *call)
{
    if (call->in.value->kind != VALUE_STRING)
        return jq_fail(call->jq, "%s only strings have UTF-8 byte length", jq_type(call->in.value));
    return give(call, value_int(call->jq->arena, (int64_t)call->in.value->string.length));
}

/* ---- case and ends ---- */

static bool cased(struct jq_call *call, char first, char last, int shift)
{
    const struct value *text = call->in.value;
    struct buf buf = { 0 };
    if (text->kind != VALUE_STRING)
        return jq_fail(call->jq, "%s input must be a string", call->node->name);
    for (size_t i = 0; i < text->string.length; i++) {
        char c = text->string.bytes[i];
        buf_putc(&buf, c >= first && c <= last ? (char)(c + shift) : c);
    }
    return give(call, jq_text_of(call->jq, &buf));
}

static bool run_downcase(struct jq_call *call)
{
    return cased(call, 'A', 'Z', 'a' - 'A');
}

static bool run_upcase(struct jq_call *call)
{
    return cased(call, 'a', 'z', 'A' - 'a');
}

/* Does the text start (or end) with a part? */
static bool has_part(const struct value *text, const struct value *part, bool at_end)
{
    size_t length = text->string.length;
    size_t size = part->string.length;
    if (text->kind != VALUE_STRING || part->kind != VALUE_STRING || size > length)
        return false;
    return memcmp(text->string.bytes + (at_end ? length - size : 0), part->string.bytes, size) == 0;
}

/* startswith and endswith */
static bool ends_each(struct jq_call *call, const struct value *const *args, void *data)
{
    const struct value *text = call->in.value;
    (void)data;
    if (text->kind != VALUE_STRING || args[0]->kind != VALUE_STRING)
        return jq_fail(call->jq, "%s() requires string inputs", call->node->name);
    return give(call, value_bool(has_part(text, args[0], *call->node->name == 'e')));
}

static bool run_ends(struct jq_call *call)
{
    return jq_each(call, ends_each, NULL);
}

/* ltrimstr and rtrimstr */
static bool trim_each(struct jq_call *call, const struct value *const *args, void *data)
{
    const struct value *text = call->in.value;
    bool at_end = *call->node->name == 'r';
    (void)data;
    if (text->kind != VALUE_STRING || args[0]->kind != VALUE_STRING ||
        !has_part(text, args[0], at_end))
        return give(call, text);
    size_t size = args[0]->string.length;
    return give(call, value_string_n(call->jq->arena, text->string.bytes + (at_end ? 0 : size),
                                     text->string.length - size));
}

static bool run_trim_part(struct jq_call *call)
{
    return jq_each(call, trim_each, NULL);
}

/* trim, ltrim and rtrim */
static bool run_trim(struct jq_call *call)
{
    const struct value *text = call->in.value;
    char side = *call->node->name;
    if (text->kind != VALUE_STRING)
        return jq_fail(call->jq, "%s input must be a string", call->node->name);
    const char *from = text->string.bytes;
    const char *to = from + text->string.length;
    while (side != 'r' && from < to && (*from == ' ' || (*from >= '\t' && *from <= '\r')))
        from++;
    while (side != 'l' && to > from && (to[-1] == ' ' || (to[-1] >= '\t' && to[-1] <= '\r')))
        to--;
    return give(call, value_string_n(call->jq->arena, from, (size_t)(to - from)));
}

/* ---- characters ---- */

static bool run_explode(struct jq_call *call)
{
    struct value_builder builder = value_build(call->jq->arena);
    const struct value *text = call->in.value;
    if (text->kind != VALUE_STRING)
        return jq_fail(call->jq, "%s cannot be exploded", jq_type(text));
    const char *at = text->string.bytes;
    const char *end = at + text->string.length;
    if (!jq_charge(call->jq, text->string.length / 4))
        return false;
    while (at < end)
        value_add(&builder, value_int(call->jq->arena, utf8_next(&at, end)));
    return give(call, value_build_list(&builder));
}

static bool run_implode(struct jq_call *call)
{
    struct buf buf = { 0 };
    const struct value *list = call->in.value;
    if (list->kind != VALUE_LIST)
        return jq_fail(call->jq, "%s cannot be imploded", jq_type(list));
    for (size_t i = 0; i < list->list.count && buf.length <= JQ_TEXT_MAX; i++) {
        double number = 0;
        bool is_point = value_to_double(list->list.items[i], &number) && number >= 0 &&
                        number <= 0x10ffff && !(number >= 0xd800 && number < 0xe000);
        if (!is_point) {
            buf_free(&buf);
            return jq_fail(call->jq, "Unicode codepoints must be numeric and valid");
        }
        buf_put_utf8(&buf, (uint32_t)number);
    }
    return give(call, jq_text_of(call->jq, &buf));
}

/* ---- splitting and joining ---- */

static bool split_each(struct jq_call *call, const struct value *const *args, void *data)
{
    (void)data;
    if (call->in.value->kind != VALUE_STRING || args[0]->kind != VALUE_STRING)
        return jq_fail(call->jq, "split input and separator must be strings");
    return give(call, jq_calculate(call->jq, JQ_DIVIDE, call->in.value, args[0]));
}

static bool run_split(struct jq_call *call)
{
    return jq_each(call, split_each, NULL);
}

static bool join_each(struct jq_call *call, const struct value *const *args, void *data)
{
    struct buf buf = { 0 };
    const struct value *list = jq_members(call->jq, call->in.value);
    (void)data;
    if (list->kind != VALUE_LIST)
        return jq_fail(call->jq, "Cannot iterate over %s", jq_type(list));
    if (args[0]->kind != VALUE_STRING)
        return list->list.count == 0 ? give(call, &value_empty_string)
                                     : jq_fail(call->jq, "join needs a string");
    for (size_t i = 0; i < list->list.count && buf.length <= JQ_TEXT_MAX; i++) {
        const struct value *item = list->list.items[i];
        const struct value *text = &value_empty_string;
        if (item->kind == VALUE_LIST || item->kind == VALUE_MAP) {
            buf_free(&buf);
            return jq_fail(call->jq, "%s cannot be joined", jq_type(item));
        }
        if (item->kind != VALUE_NULL)
            text = jq_to_text(call->jq, item);
        if (text == NULL) {
            buf_free(&buf);
            return false;
        }
        if (i > 0)
            buf_add(&buf, args[0]->string.bytes, args[0]->string.length);
        buf_add(&buf, text->string.bytes, text->string.length);
    }
    return give(call, jq_text_of(call->jq, &buf));
}

static bool run_join(struct jq_call *call)
{
    return jq_each(call, join_each, NULL);
}

/* Offsets, in characters, of a text inside another. */
static const struct value *text_indexes(struct jq *jq,
                                        const struct value *text,
                                        const struct value *part)
{
    struct value_builder builder = value_build(jq->arena);
    const char *bytes = text->string.bytes;
    int64_t characters = 0;
    if (part->string.length == 0)
        return &value_null;
    if (!jq_charge(jq, text->string.length / 8))
        return NULL;
    for (size_t i = 0; i + part->string.length <= text->string.length; i++) {
        if (((unsigned char)bytes[i] & 0xc0U) == 0x80U)
            continue;
        if (memcmp(bytes + i, part->string.bytes, part->string.length) == 0)
            value_add(&builder, value_int(jq->arena, characters));
        characters++;
    }
    return value_build_list(&builder);
}

static const struct value *indexes(struct jq *jq,
                                   const struct value *value,
                                   const struct value *part)
{
    if (value->kind == VALUE_NULL)
        return value;
    if (value->kind == VALUE_STRING && part->kind == VALUE_STRING)
        return text_indexes(jq, value, part);
    if (value->kind == VALUE_LIST && part->kind != VALUE_LIST)
        part = value_list(jq->arena, &part, 1);
    return jq_index(jq, value, part);
}

/* index, rindex, indices */
static bool indexes_each(struct jq_call *call, const struct value *const *args, void *data)
{
    const struct value *all = indexes(call->jq, call->in.value, args[0]);
    (void)data;
    if (all == NULL)
        return false;
    if (strcmp(call->node->name, "indices") == 0 || all->kind != VALUE_LIST)
        return give(call, all);
    size_t count = all->list.count;
    size_t at = *call->node->name == 'r' ? count - 1 : 0;
    return give(call, count == 0 ? &value_null : all->list.items[at]);
}

static bool run_indexes(struct jq_call *call)
{
    return jq_each(call, indexes_each, NULL);
}

/* ---- regular expressions ---- */

struct matching {
    struct jq_call *call;
    const struct value *text;
    struct regex *regex;
    struct regex_search search;
    struct regex_span spans[REGEX_GROUPS_MAX];
    bool all;        /* flag g */
    bool skip_empty; /* flag n */
    bool test_only;
    size_t counted; /* bytes whose characters are counted in `characters` */
    int64_t characters;
};

/* The pattern with its flags put before it. */
static bool compile(struct matching *m, const struct value *pattern, const struct value *flags)
{
    struct jq *jq = m->call->jq;
    struct buf source = { 0 };
    struct error why = { 0 };
    if (pattern->kind != VALUE_STRING || (flags->kind != VALUE_STRING && flags->kind != VALUE_NULL))
        return jq_fail(jq, "a regular expression and its flags must be strings");
    for (size_t i = 0; flags->kind == VALUE_STRING && i < flags->string.length; i++) {
        char flag = flags->string.bytes[i];
        if (flag == 'g')
            m->all = true;
        else if (flag == 'n')
            m->skip_empty = true;
        else if (flag == 'i' || flag == 'x' || flag == 's')
            buf_printf(&source, "(?%c)", flag);
        else if (flag != 'l' && flag != 'p') {
            buf_free(&source);
            return jq_fail(jq, "%s is not a valid modifier string", flags->string.bytes);
        }
    }
    buf_add(&source, pattern->string.bytes, pattern->string.length);
    m->regex = regex_new(buf_text(&source), source.length, &why);
    bool paid = jq_charge(jq, source.length + 1);
    buf_free(&source);
    if (m->regex == NULL)
        return jq_fail(jq, "%.60s (at offset 0) is not a valid regex: %s", pattern->string.bytes,
                       why.text);
    return paid;
}

/* Characters before a byte; matches come in order. */
static int64_t characters_before(struct matching *m, size_t byte)
{
    if (byte < m->counted) {
        m->counted = 0;
        m->characters = 0;
    }
    for (; m->counted < byte; m->counted++)
        m->characters += ((unsigned char)m->text->string.bytes[m->counted] & 0xc0U) != 0x80U;
    return m->characters;
}

/* {offset, length, string} of a group. */
static struct value_builder describe_span(struct matching *m, const struct regex_span *span)
{
    struct arena *arena = m->call->jq->arena;
    struct value_builder builder = value_build(arena);
    bool is_set = span->start != SIZE_MAX && span->start <= span->end;
    int64_t offset = is_set ? characters_before(m, span->start) : -1;
    int64_t length = is_set ? characters_before(m, span->end) - offset : 0;
    value_put_int(&builder, "offset", offset);
    value_put_int(&builder, "length", length);
    value_put(
        &builder, "string",
        is_set ? value_string_n(arena, m->text->string.bytes + span->start, span->end - span->start)
               : &value_null);
    return builder;
}

static const struct value *describe_match(struct matching *m, size_t groups)
{
    struct arena *arena = m->call->jq->arena;
    struct value_builder captures = value_build(arena);
    for (size_t i = 1; i < groups; i++) {
        struct value_builder capture = describe_span(m, &m->spans[i]);
        const char *name = regex_group_name(m->regex, i);
        value_put(&capture, "name", value_string(arena, name));
        value_add(&captures, value_build_map(&capture));
    }
    struct value_builder match = describe_span(m, &m->spans[0]);
    value_put(&match, "captures", value_build_list(&captures));
    return value_build_map(&match);
}

static bool give_matches(struct matching *m)
{
    struct jq_call *call = m->call;
    size_t groups = regex_groups(m->regex) + 1;
    groups = groups > REGEX_GROUPS_MAX ? REGEX_GROUPS_MAX : groups;
    uint64_t paid = 0;
    for (;;) {
        enum regex_result result = regex_search_next(&m->search, m->spans, groups);
        uint64_t cost = m->search.cost - paid;
        paid = m->search.cost;
        if (result == REGEX_GAVE_UP)
            return jq_fail(call->jq, "the regular expression takes too many steps");
        if (!jq_charge(call->jq, cost + groups))
            return false;
        if (m->test_only)
            return give(call, value_bool(result == REGEX_MATCH));
        if (result == REGEX_NO_MATCH)
            return true;
        bool is_empty = m->spans[0].start == m->spans[0].end;
        if (!(m->skip_empty && is_empty) && !give(call, describe_match(m, groups)))
            return false;
        if (!m->all)
            return true;
    }
}

/* match and test; the pattern may be [pattern, flags] */
static bool match_each(struct jq_call *call, const struct value *const *args, void *data)
{
    struct matching *m = ARENA_NEW(call->jq->arena, struct matching);
    const struct value *pattern = args[0];
    const struct value *flags = call->node->count == 2 ? args[1] : &value_null;
    (void)data;
    m->call = call;
    m->text = call->in.value;
    m->test_only = strcmp(call->node->name, "test") == 0;
    if (pattern->kind == VALUE_LIST && call->node->count == 1) {
        flags = pattern->list.count > 1 ? pattern->list.items[1] : &value_null;
        pattern = pattern->list.count > 0 ? pattern->list.items[0] : &value_null;
    }
    if (m->text->kind != VALUE_STRING)
        return jq_fail(call->jq, "%s cannot be matched, as it is not a string", jq_type(m->text));
    bool done =
        compile(m, pattern, flags) &&
        regex_search_begin(&m->search, m->regex, m->text->string.bytes, m->text->string.length) &&
        jq_charge(call->jq, m->text->string.length / 32) && give_matches(m);
    regex_search_end(&m->search);
    regex_free(m->regex);
    if (!done && call->jq->stop == JQ_RUNNING)
        return jq_fail(call->jq, "the text is not UTF-8");
    return done;
}

static bool run_match(struct jq_call *call)
{
    return jq_each(call, match_each, NULL);
}

#define SOURCE(name, count, text)                                                                  \
    {                                                                                              \
        name, count, NULL, text                                                                    \
    }
#define CAPTURES                                                                                   \
    "[.captures[] | select(.name != null) | {key: .name, value: .string}] | from_entries"

const struct jq_builtin jq_text_builtins[] = {
    { "ascii_downcase", 0, run_downcase, NULL },
    { "ascii_upcase", 0, run_upcase, NULL },
    { "endswith", 1, run_ends, NULL },
    { "explode", 0, run_explode, NULL },
    { "fromjson", 0, run_from_json, NULL },
    { "implode", 0, run_implode, NULL },
    { "index", 1, run_indexes, NULL },
    { "indices", 1, run_indexes, NULL },
    { "join", 1, run_join, NULL },
    { "ltrim", 0, run_trim, NULL },
    { "ltrimstr", 1, run_trim_part, NULL },
    { "match", 1, run_match, NULL },
    { "match", 2, run_match, NULL },
    { "rindex", 1, run_indexes, NULL },
    { "rtrim", 0, run_trim, NULL },
    { "rtrimstr", 1, run_trim_part, NULL },
    { "split", 1, run_split, NULL },
    { "startswith", 1, run_ends, NULL },
    { "test", 1, run_match, NULL },
    { "test", 2, run_match, NULL },
    { "tojson", 0, run_to_json, NULL },
    { "tonumber", 0, run_to_number, NULL },
    { "tostring", 0, run_to_string, NULL },
    { "trim", 0, run_trim, NULL },
    { "utf8bytelength", 0, run_byte_length, NULL },
    SOURCE("ascii", 0, "def ascii: [.] | implode;"),
    SOURCE("capture", 1, "def capture(re): match(re) | " CAPTURES ";"),
    SOURCE("capture", 2, "def capture(re; flags): match(re; flags) | " CAPTURES ";"),
    SOURCE("gsub", 2, "def gsub($re; str): sub($re; str; \"g\");"),
    SOURCE("gsub", 3, "def gsub($re; str; $flags): sub($re; str; $flags + \"g\");"),
    SOURCE("scan", 1, "def scan($re): scan($re; null);"),
    SOURCE("scan",
           2,
           "def scan($re; $flags): match($re; \"g\" + $flags)"
           " | if (.captures | length) > 0 then [.captures[].string] else .string end;"),
    SOURCE("split",
           2,
           "def split($re; $flags): . as $s"
           " | [foreach ((match($re; $flags + \"g\") | [.offset, .length]), null) as $m"
           " ([0, null]; if $m == null then [0, $s[.[0]:]]"
           " else [$m[0] + $m[1], $s[.[0]:$m[0]]] end; .[1])];"),
    SOURCE("splits", 1, "def splits($re): split($re; null) | .[];"),
    SOURCE("splits", 2, "def splits($re; $flags): split($re; $flags) | .[];"),
    SOURCE("sub", 2, "def sub($re; str): sub($re; str; \"\");"),
    SOURCE("sub",
           3,
           // A text with several results gives as many texts, the first match in the outer place.
           "def sub($re; str; $flags): . as $in"
           " | (reduce match($re; $flags) as $m ([{at: 0, out: \"\"}];"
           " [.[] as $o | ($m | " CAPTURES " | str) as $s"
           " | {at: ($m.offset + $m.length), out: ($o.out + $in[$o.at:$m.offset] + $s)}]))[]"
           " | .out + $in[.at:];"),
};

const size_t jq_text_builtins_count = COUNT_OF(jq_text_builtins);
