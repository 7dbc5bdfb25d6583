/* SPDX-License-Identifier: Apache-2.0 */
/* Filters over texts. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/str.h"
#include "base/unicode.h"
#include "core/expr/eval.h"
#include "core/expr/format.h"

/* The input in display form; NULL with the failure noted. */
static const struct value *input_text(struct call *call)
{
    return display(call->ev, call->node, call->input);
}

static const struct value *run_string(struct call *call)
{
    return input_text(call);
}

static const struct value *changed(struct call *call, enum unicode_change change)
{
    const struct value *text = input_text(call);
    size_t length = 0;
    if (text == NULL || !charge(call->ev, call->node, text->string.length / 64))
        return NULL;
    const char *result =
        unicode_changed(call->ev->arena, change, text->string.bytes, text->string.length, &length);
    return value_string_ref(call->ev->arena, result, length);
}

static const struct value *run_upper(struct call *call)
{
    return changed(call, UNICODE_UPPER);
}

static const struct value *run_lower(struct call *call)
{
    return changed(call, UNICODE_LOWER);
}

/* Title case for the first character of the text, or of each word; the rest stays. */
static const struct value *titled(struct call *call, bool every_word)
{
    if (!call_needs_string(call))
        return NULL;
    struct buf buf = { 0 };
    const char *at = call->input->string.bytes;
    const char *end = at + call->input->string.length;
    bool is_due = true;
    while (at < end) {
        const char *start = at;
        uint32_t code = utf8_next(&at, end);
        bool is_space = unicode_is_space(code);
        if (is_due && !is_space)
            buf_put_utf8(&buf, unicode_title(code));
        else
            buf_add(&buf, start, (size_t)(at - start));
        is_due = is_space ? is_due || every_word : false;
    }
    return text_of(call->ev, call->node, &buf);
}

static const struct value *run_capitalize(struct call *call)
{
    return titled(call, false);
}

static const struct value *run_title(struct call *call)
{
    return titled(call, true);
}

static const struct value *run_trim(struct call *call)
{
    if (!call_needs_string(call))
        return NULL;
    const char *from = call->input->string.bytes;
    const char *end = from + call->input->string.length;
    while (from < end && (unsigned char)*from <= ' ')
        from++;
    while (end > from && (unsigned char)end[-1] <= ' ')
        end--;
    return value_string_n(call->ev->arena, from, (size_t)(end - from));
}

static const struct value *run_abbreviate(struct call *call)
{
    int64_t most = 0;
    if (!call_needs_string(call))
        return NULL;
    if (call_arg(call, 0) == NULL)
        return call_fail(call, "argument 'length' is missing");
    if (!call_int(call, 0, 0, &most))
        return NULL;
    if (most < 0)
        return call_fail(call, "argument 'length' must not be negative");
    const struct value *text = call->input;
    size_t length = utf16_length(text->string.bytes, text->string.length);
    if (length < (uint64_t)most || length <= 3)
        return text;
    if (most <= 3)
        return utf16_slice(call->ev->arena, text, 0, (size_t)most);
    const struct value *start = utf16_slice(call->ev->arena, text, 0, (size_t)most - 3);
    const struct value dots = { .kind = VALUE_STRING, .string = { "...", 3 } };
    return operate(call->ev, call->node, OP_CONCATENATE, start, &dots);
}

/* ---- beginnings and ends ---- */

static const struct value *run_starts_with(struct call *call)
{
    if (value_is_null(call->input))
        return call_fail(call, "needs a value, not null");
    const struct value *text = input_text(call);
    const struct value *part = text == NULL ? NULL : call_display(call, 0);
    if (part == NULL)
        return NULL;
    size_t length = part->string.length;
    return value_bool(length <= text->string.length &&
                      memcmp(text->string.bytes, part->string.bytes, length) == 0);
}

static const struct value *run_ends_with(struct call *call)
{
    if (value_is_null(call->input))
        return call_fail(call, "needs a value, not null");
    const struct value *text = input_text(call);
    const struct value *part = text == NULL ? NULL : call_display(call, 0);
    if (part == NULL)
        return NULL;
    size_t length = part->string.length;
    size_t all = text->string.length;
    return value_bool(length <= all &&
                      memcmp(text->string.bytes + all - length, part->string.bytes, length) == 0);
}

enum side {
    SIDE_BEFORE,
    SIDE_AFTER,
    SIDE_BEFORE_LAST,
    SIDE_AFTER_LAST,
};

/* The last place of a part in a text; NULL when there is none. */
static const char *find_last(const struct value *text, const struct value *part)
{
    const char *bytes = text->string.bytes;
    size_t length = part->string.length;
    if (length > text->string.length)
        return NULL;
    for (size_t i = text->string.length - length + 1; i-- > 0;) {
        if (memcmp(bytes + i, part->string.bytes, length) == 0)
            return bytes + i;
    }
    return NULL;
}

static const struct value *substring(struct call *call, enum side side)
{
    const struct value *text = input_text(call);
    const struct value *part = NULL;
    bool is_before = side == SIDE_BEFORE || side == SIDE_BEFORE_LAST;
    bool is_last = side == SIDE_BEFORE_LAST || side == SIDE_AFTER_LAST;
    if (text == NULL || !call_text(call, 0, &part))
        return NULL;
    if (call->args[0] == NULL)
        return call_fail(call, "argument 'separator' is missing");
    if (part == NULL)
        return is_before ? text : &value_empty_string;
    if (!charge(call->ev, call->node, text->string.length / 64))
        return NULL;
    if (part->string.length == 0)
        return side == SIDE_BEFORE || side == SIDE_AFTER_LAST ? &value_empty_string : text;
    const char *bytes = text->string.bytes;
    const char *end = bytes + text->string.length;
    const char *found =
        is_last ? find_last(text, part)
                : memmem(bytes, text->string.length, part->string.bytes, part->string.length);
    if (found == NULL)
        return is_before ? text : &value_empty_string;
    if (is_before)
        return value_string_n(call->ev->arena, bytes, (size_t)(found - bytes));
    found += part->string.length;
    return value_string_n(call->ev->arena, found, (size_t)(end - found));
}

static const struct value *run_substring_before(struct call *call)
{
    return substring(call, SIDE_BEFORE);
}

static const struct value *run_substring_after(struct call *call)
{
    return substring(call, SIDE_AFTER);
}

static const struct value *run_substring_before_last(struct call *call)
{
    return substring(call, SIDE_BEFORE_LAST);
}

static const struct value *run_substring_after_last(struct call *call)
{
    return substring(call, SIDE_AFTER_LAST);
}

/* ---- lines ---- */

/* The first line end of a text: "\r\n", "\n\r", "\n" or "\r"; NULL when it has none. */
static const char *line_end(const struct value *text)
{
    const char *bytes = text->string.bytes;
    size_t i = 0;
    while (i < text->string.length && bytes[i] != '\n' && bytes[i] != '\r')
        i++;
    if (i == text->string.length)
        return NULL;
    char next = i + 1 < text->string.length ? bytes[i + 1] : '\0';
    if (bytes[i] == '\n')
        return next == '\r' ? "\n\r" : "\n";
    return next == '\n' ? "\r\n" : "\r";
}

static const struct value *indented(struct call *call, bool first_too)
{
    int64_t amount = 0;
    const struct value *text = input_text(call);
    const struct value *prefix = NULL;
    if (text == NULL || text->string.length == 0)
        return text;
    if (call_arg(call, 0) == NULL)
        return call_fail(call, "argument 'amount' is missing");
    if (!call_int(call, 0, 0, &amount))
        return NULL;
    if (amount < 0)
        return call_fail(call, "argument 'amount' must not be negative");
    if (!call_text(call, 1, &prefix))
        return NULL;
    const char *unit = prefix == NULL ? " " : prefix->string.bytes;
    size_t unit_length = prefix == NULL ? 1 : prefix->string.length;
    if (unit_length > 0 && (uint64_t)amount > EXPR_OUTPUT_MAX / unit_length)
        return text_fits(call->ev, call->node, EXPR_OUTPUT_MAX, 1) ? text : NULL;
    struct buf margin = { 0 };
    for (int64_t i = 0; unit_length > 0 && i < amount; i++)
        buf_add(&margin, unit, unit_length);
    const char *end = line_end(text);
    const struct value line = { .kind = VALUE_STRING,
                                .string = { end == NULL ? "\n" : end,
                                            strlen(end == NULL ? "\n" : end) } };
    struct buf broken = { 0 };
    buf_add(&broken, line.string.bytes, line.string.length);
    buf_add(&broken, margin.bytes, margin.length);
    const struct value *new = text_of(call->ev, call->node, &broken);
    buf_free(&margin);
    const struct value *result = NULL;
    if (new != NULL)
        result = end == NULL ? text : text_replaced(call->ev, call->node, text, &line, new);
    if (result != NULL && first_too)
        result = operate(call->ev, call->node, OP_CONCATENATE, new, result);
    return result;
}

static const struct value *run_indent(struct call *call)
{
    return indented(call, false);
}

static const struct value *run_nindent(struct call *call)
{
    return indented(call, true);
}

static const struct value *run_nl2br(struct call *call)
{
    if (!call_needs_string(call))
        return NULL;
    struct buf buf = { 0 };
    const char *bytes = call->input->string.bytes;
    size_t length = call->input->string.length;
    for (size_t i = 0; i < length && buf.length <= EXPR_OUTPUT_MAX; i++) {
        bool is_pair = bytes[i] == '\r' && i + 1 < length && bytes[i + 1] == '\n';
        if (bytes[i] != '\n' && bytes[i] != '\r') {
            buf_putc(&buf, bytes[i]);
            continue;
        }
        buf_puts(&buf, "<br />");
        i += is_pair ? 1 : 0;
    }
    return text_of(call->ev, call->node, &buf);
}

/* ---- encodings ---- */

static const struct value *run_base64encode(struct call *call)
{
    struct buf buf = { 0 };
    const struct value *text = input_text(call);
    if (text == NULL)
        return NULL;
    base64_encode(&buf, BASE64_STD, text->string.bytes, text->string.length);
    return text_of(call->ev, call->node, &buf);
}

/* Text of decoded bytes; what is not UTF-8 becomes U+FFFD. */
static const struct value *text_of_bytes(struct call *call, struct buf *bytes)
{
    if (bytes->length == 0 || utf8_valid(bytes->bytes, bytes->length))
        return text_of(call->ev, call->node, bytes);
    struct buf text = { 0 };
    const char *at = bytes->bytes;
    const char *end = at + bytes->length;
    while (at < end)
        buf_put_utf8(&text, utf8_next(&at, end));
    buf_free(bytes);
    return text_of(call->ev, call->node, &text);
}

/* Only the standard alphabet, padding complete or absent. */
static bool is_base64(const struct value *text)
{
    size_t length = text->string.length;
    const char *bytes = text->string.bytes;
    size_t digits = length;
    while (digits > 0 && length - digits < 2 && bytes[digits - 1] == '=')
        digits--;
    if (digits % 4 == 1 || (digits < length && length % 4 != 0))
        return false;
    for (size_t i = 0; i < digits; i++) {
        char c = bytes[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '+' || c == '/'))
            return false;
    }
    return true;
}

static const struct value *run_base64decode(struct call *call)
{
    struct buf buf = { 0 };
    if (!call_needs_string(call))
        return NULL;
    if (!is_base64(call->input) ||
        !base64_decode(&buf, call->input->string.bytes, call->input->string.length)) {
        buf_free(&buf);
        return call_fail(call, "the text is not base64");
    }
    return text_of_bytes(call, &buf);
}

static const struct value *run_urlencode(struct call *call)
{
    static const char hex[] = "0123456789ABCDEF";
    struct buf buf = { 0 };
    if (!call_needs_string(call))
        return NULL;
    for (size_t i = 0; i < call->input->string.length && buf.length <= EXPR_OUTPUT_MAX; i++) {
        unsigned char c = (unsigned char)call->input->string.bytes[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || (c != 0 && strchr("*-_.", c) != NULL);
        if (is_plain || c == ' ') {
            buf_putc(&buf, c == ' ' ? '+' : (char)c);
            continue;
        }
        buf_putc(&buf, '%');
        buf_putc(&buf, hex[c >> 4]);
        buf_putc(&buf, hex[c & 15U]);
    }
    return text_of(call->ev, call->node, &buf);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static const struct value *run_urldecode(struct call *call)
{
    struct buf buf = { 0 };
    if (!call_needs_string(call))
        return NULL;
    const char *bytes = call->input->string.bytes;
    size_t length = call->input->string.length;
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != '%') {
            buf_putc(&buf, bytes[i] == '+' ? ' ' : bytes[i]);
            continue;
        }
        int high = i + 2 < length ? hex_digit(bytes[i + 1]) : -1;
        int low = i + 2 < length ? hex_digit(bytes[i + 2]) : -1;
        if (high < 0 || low < 0) {
            buf_free(&buf);
            return call_fail(call, "'%%' must be followed by two hexadecimal digits");
        }
        buf_putc(&buf, (char)(high * 16 + low));
        i += 2;
    }
    return text_of_bytes(call, &buf);
}

/* A digest, in hex, of a text's bytes. */
static const struct value *hashed(struct call *call, const char *name)
{
    unsigned char digest[DIGEST_BYTES_MAX];
    struct buf buf = { 0 };
    if (!call_needs_string(call) || !charge(call->ev, call->node, call->input->string.length / 64))
        return NULL;
    size_t length =
        digest_hash(name, call->input->string.bytes, call->input->string.length, digest);
    hex_encode(&buf, digest, length);
    return text_of(call->ev, call->node, &buf);
}

static const struct value *run_md5(struct call *call)
{
    return hashed(call, "md5");
}

static const struct value *run_sha1(struct call *call)
{
    return hashed(call, "sha1");
}

static const struct value *run_sha256(struct call *call)
{
    return hashed(call, "sha256");
}

static const struct value *run_sha512(struct call *call)
{
    return hashed(call, "sha512");
}

/* ---- slugify ---- */

static const struct value *run_slugify(struct call *call)
{
    struct buf spaced = { 0 };
    const struct value *text = input_text(call);
    if (text == NULL || !charge(call->ev, call->node, text->string.length / 16))
        return NULL;
    const char *at = text->string.bytes;
    const char *end = at + text->string.length;
    while (at < end) {
        const char *start = at;
        uint32_t code = utf8_next(&at, end);
        if (code < 0x80 && unicode_is_space(code))
            buf_putc(&spaced, '-');
        else
            buf_add(&spaced, start, (size_t)(at - start));
    }
    size_t length = 0;
    const char *plain =
        unicode_changed(call->ev->arena, UNICODE_NFD, buf_text(&spaced), spaced.length, &length);
    buf_clear(&spaced);
    for (size_t i = 0; i < length; i++) {
        char c = plain[i] == '_' ? '-' : plain[i];
        bool is_kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (c >= 'A' && c <= 'Z')
            buf_putc(&spaced, (char)(c + ('a' - 'A')));
        else if (is_kept ||
                 (c == '-' && (spaced.length == 0 || spaced.bytes[spaced.length - 1] != '-')))
            buf_putc(&spaced, c);
    }
    const char *from = buf_text(&spaced);
    const char *to = from + spaced.length;
    from += *from == '-' ? 1 : 0;
    to -= to > from && to[-1] == '-' ? 1 : 0;
    const struct value *slug = value_string_n(call->ev->arena, from, (size_t)(to - from));
    buf_free(&spaced);
    return slug;
}

/* ---- escapeChar ---- */

static const struct {
    const char *type;
    const char *character;
    const char *escaped;
} escapes[] = {
    { "single", "'", "\\'" },
    { "double", "\"", "\\\"" },
    { "shell", "'", "'\\''" },
};

static const struct value *escape(struct call *call,
                                  const struct value *value,
                                  const struct value *old,
                                  const struct value *new)
{
    struct evaluator *ev = call->ev;
    struct value_builder builder = value_build(ev->arena);
    if (!charge(ev, call->node, 1))
        return NULL;
    value = value_force(ev->arena, value);
    if (value->kind == VALUE_NULL)
        return value;
    if (value->kind == VALUE_LIST) {
        for (size_t i = 0; i < value->list.count; i++) {
            const struct value *item = escape(call, value->list.items[i], old, new);
            if (item == NULL)
                return NULL;
            value_add(&builder, item);
        }
        return value_build_list(&builder);
    }
    if (value->kind == VALUE_MAP) {
        for (size_t i = 0; i < value->map.count; i++) {
            const struct value_member *m = &value->map.members[i];
            const struct value *item = escape(call, m->value, old, new);
            if (item == NULL)
                return NULL;
            value_put_n(&builder, m->key, m->key_length, item);
        }
        return value_build_map(&builder);
    }
    const struct value *text = display(ev, call->node, value);
    return text == NULL ? NULL : text_replaced(ev, call->node, text, old, new);
}

static const struct value *run_escape_char(struct call *call)
{
    const struct value *type = NULL;
    if (!call_text(call, 0, &type))
        return NULL;
    if (type == NULL)
        return call_fail(call, "argument 'type' is missing");
    for (size_t i = 0; i < COUNT_OF(escapes); i++) {
        if (!str_eq_nocase(escapes[i].type, type->string.bytes))
            continue;
        struct arena *arena = call->ev->arena;
        return escape(call, call->input, value_string_ref(arena, escapes[i].character, 1),
                      value_string_ref(arena, escapes[i].escaped, strlen(escapes[i].escaped)));
    }
    return call_fail(call, "argument 'type' must be single, double or shell");
}

/* ---- format ---- */

static const struct value *run_format(struct call *call)
{
    const struct value *pattern = input_text(call);
    return pattern == NULL ? NULL : format_text(call, pattern);
}

static const struct builtin rows[] = {
    { "abbreviate", "length", run_abbreviate, 0,
      "Cuts the text to a length, the last three characters being dots." },
    { "base64decode", "", run_base64decode, 0, "Decodes base64 to text." },
    { "base64encode", "", run_base64encode, 0, "Encodes the text's UTF-8 bytes in base64." },
    { "capitalize", "", run_capitalize, 0, "Makes the first letter a capital." },
    { "endsWith", "value", run_ends_with, BUILTIN_TAKES_NULL, "Does the text end so?" },
    { "escapeChar", "type", run_escape_char, 0,
      "Escapes quotes: single, double, or shell; lists and maps element by element." },
    { "format", "args", run_format, BUILTIN_VARIADIC,
      "Formats arguments by the text as a printf pattern: '%s is %d' | format('x', 1)." },
    { "indent", "amount, prefix = ' '", run_indent, 0, "Indents every line but the first." },
    { "lower", "", run_lower, 0, "Lower case." },
    { "md5", "", run_md5, 0, "MD5 digest in hexadecimal." },
    { "nindent", "amount, prefix = ' '", run_nindent, 0, "A line end, then every line indented." },
    { "nl2br", "", run_nl2br, 0, "Puts <br /> in the place of line ends." },
    { "sha1", "", run_sha1, 0, "SHA-1 digest in hexadecimal." },
    { "sha256", "", run_sha256, 0, "SHA-256 digest in hexadecimal." },
    { "sha512", "", run_sha512, 0, "SHA-512 digest in hexadecimal." },
    { "slugify", "", run_slugify, 0, "Lower-case letters, digits and dashes, for names in URLs." },
    { "startsWith", "value", run_starts_with, BUILTIN_TAKES_NULL, "Does the text start so?" },
    { "string", "", run_string, 0, "The value as text; lists as [a, b], maps as {k=v}." },
    { "substringAfter", "separator", run_substring_after, 0, "What follows the first separator." },
    { "substringAfterLast", "separator", run_substring_after_last, 0,
      "What follows the last separator." },
    { "substringBefore", "separator", run_substring_before, 0,
      "What comes before the first separator." },
    { "substringBeforeLast", "separator", run_substring_before_last, 0,
      "What comes before the last separator." },
    { "title", "", run_title, 0, "Makes the first letter of each word a capital." },
    { "trim", "", run_trim, 0, "Removes white space at both ends." },
    { "upper", "", run_upper, 0, "Upper case." },
    { "urldecode", "", run_urldecode, 0, "Decodes a text of form encoding." },
    { "urlencode", "", run_urlencode, 0, "Encodes the text for a form or a query." },
};

const struct builtin_table filters_text = { NODE_FILTER, rows, COUNT_OF(rows) };
