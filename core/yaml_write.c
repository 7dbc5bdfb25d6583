/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/str.h"
#include "core/value.h"
#include "core/yaml.h"

/* Values are never this deep; the bound keeps a mistake from using up the stack. */
#define WRITE_DEPTH_MAX 2000

/* A longer key cannot stand before its colon on one line (YAML allows 1,024 characters). */
#define SIMPLE_KEY_MAX 1000U

struct writer {
    struct buf *out;
    enum yaml_quoting quoting;
    struct arena *scratch;
    int depth;
};

static void put_spaces(struct writer *writer, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_putc(writer->out, ' ');
}

/* Words that the reader, or an older one, takes for something else than a string. */
static bool is_special_word(const char *text, size_t length)
{
    static const char *const words[] = {
        "true", "false", "yes", "no", "on", "off", "y", "n", "null", "~",
    };
    if (length == 0 || length > 5)
        return false;
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strlen(words[i]) != length || strncasecmp(text, words[i], length) != 0)
            continue;
        bool tail_upper = true;
        bool tail_lower = true;
        for (size_t k = 1; k < length; k++) {
            tail_upper = tail_upper && isupper((unsigned char)text[k]);
            tail_lower = tail_lower && islower((unsigned char)text[k]);
        }
        return length == 1 || tail_lower || (tail_upper && isupper((unsigned char)text[0]));
    }
    return false;
}

static bool has_control(const char *text, size_t length)
{
    // A blank at the end of a line would be hard to see, and is lost in folded texts.
    if (memmem(text, length, " \n", 2) != NULL)
        return true;
    for (const char *at = text; at < text + length;) {
        const char *before = at;
        uint32_t point = utf8_next(&at, text + length);
        if (point == '\n')
            continue;
        if (point < 0x20 || (point >= 0x7f && point <= 0x9f) || point == 0x2028 ||
            point == 0x2029 || point == 0xfeff || (point == 0xfffd && at - before == 1))
            return true;
    }
    return false;
}

static bool needs_double_quotes(const char *text, size_t length)
{
    if (length == 0 || is_special_word(text, length) || text[0] == '#' || text[0] == '~' ||
        text[length - 1] == ':')
        return true;
    for (size_t i = 0; i < length; i++) {
        if (strchr(",[]{}", text[i]) != NULL && text[i] != '\0')
            return true;
        if (i + 1 < length &&
            ((text[i] == ':' && text[i + 1] == ' ') || (text[i] == ' ' && text[i + 1] == '#')))
            return true;
    }
    return false;
}

static bool is_octal_like(const char *text, size_t length)
{
    if (length < 2 || text[0] != '0')
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
    }
    return true;
}

static bool needs_single_quotes(const char *text, size_t length)
{
    if (strchr("&*!|>%@'\"`", text[0]) != NULL)
        return true;
    if ((text[0] == '-' || text[0] == '?') && (length == 1 || text[1] == ' '))
        return true;
    if (text[0] == ' ' || text[length - 1] == ' ')
        return true;
    if (length >= 3 && (memcmp(text, "---", 3) == 0 || memcmp(text, "...", 3) == 0))
        return true;
    return is_octal_like(text, length);
}

static bool reads_as_string(struct writer *writer, const char *text, size_t length)
{
    const struct value *read = yaml_scalar(writer->scratch, text, length, true);
    return value_is_string(read);
}

static void put_double_quoted(struct buf *out, const char *text, size_t length)
{
    buf_putc(out, '"');
    for (const char *at = text; at < text + length;) {
        const char *before = at;
        uint32_t point = utf8_next(&at, text + length);
        if (point == '"' || point == '\\') {
            buf_putc(out, '\\');
            buf_putc(out, (char)point);
        } else if (point == '\n') {
            buf_puts(out, "\\n");
        } else if (point == '\r') {
            buf_puts(out, "\\r");
        } else if (point == '\t') {
            buf_puts(out, "\\t");
        } else if (point == 0) {
            buf_puts(out, "\\0");
        } else if (point == 0x1b) {
            buf_puts(out, "\\e");
        } else if (point >= 7 && point <= 12) {
            buf_putc(out, '\\');
            buf_putc(out, "abtnvf"[point - 7]);
        } else if (point < 0x20 || (point >= 0x7f && point <= 0x9f)) {
            buf_printf(out, "\\x%02x", (unsigned)point);
        } else if (point == 0x2028 || point == 0x2029 || point == 0xfeff) {
            buf_printf(out, "\\u%04x", (unsigned)point);
        } else if (point == 0xfffd && at - before == 1) {
            buf_puts(out, "\\ufffd"); // not UTF-8: YAML cannot hold the byte itself
        } else {
            buf_add(out, before, (size_t)(at - before));
        }
    }
    buf_putc(out, '"');
}

static void put_single_quoted(struct buf *out, const char *text, size_t length)
{
    buf_putc(out, '\'');
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\'')
            buf_putc(out, '\'');
        buf_putc(out, text[i]);
    }
    buf_putc(out, '\'');
}

/* Literal block: `|`, an indentation digit when the text starts with white space, a chomp sign. */
static void put_block(
    struct writer *writer, const char *text, size_t length, size_t indent, char digit)
{
    bool ends = text[length - 1] == '\n';
    bool ends_twice = ends && (length == 1 || text[length - 2] == '\n');
    buf_putc(writer->out, '|');
    if (text[0] == ' ' || text[0] == '\n')
        buf_putc(writer->out, digit);
    if (!ends)
        buf_putc(writer->out, '-');
    else if (ends_twice)
        buf_putc(writer->out, '+');
    buf_putc(writer->out, '\n');
    const char *end = ends ? text + length - 1 : text + length;
    for (const char *line = text; line <= end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        if (stop == NULL)
            stop = end;
        if (stop > line) {
            put_spaces(writer, indent);
            buf_add(writer->out, line, (size_t)(stop - line));
        }
        if (stop == end)
            break;
        buf_putc(writer->out, '\n');
        line = stop + 1;
    }
}

/* indent, digit: of the content of a literal block, and how much deeper than its parent that is. */
static void put_string(
    struct writer *writer, const char *text, size_t length, size_t indent, char digit)
{
    if (length > 0 && has_control(text, length))
        put_double_quoted(writer->out, text, length);
    else if (length > 0 && memchr(text, '\n', length) != NULL)
        put_block(writer, text, length, indent, digit);
    else if (needs_double_quotes(text, length))
        put_double_quoted(writer->out, text, length);
    else if (needs_single_quotes(text, length))
        put_single_quoted(writer->out, text, length);
    else if (writer->quoting == YAML_EXACT && !reads_as_string(writer, text, length))
        put_double_quoted(writer->out, text, length);
    else
        buf_add(writer->out, text, length);
}

static bool looks_like_integer(const char *text, size_t length)
{
    size_t i = length > 1 && text[0] == '-' ? 1 : 0;
    if (length == 0)
        return false;
    for (; i < length; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
    }
    return true;
}

static void put_key(struct writer *writer, const char *key, size_t length)
{
    bool has_line_end = length > 0 && memchr(key, '\n', length) != NULL;
    if (length > SIMPLE_KEY_MAX)
        buf_puts(writer->out, "? ");
    if (has_line_end || looks_like_integer(key, length) ||
        (writer->quoting == YAML_EXACT && length == 2 && memcmp(key, "<<", 2) == 0))
        put_double_quoted(writer->out, key, length);
    else
        put_string(writer, key, length, 0, '2');
}

static void put_number(struct writer *writer, const struct value *value)
{
    if (writer->quoting == YAML_FRIENDLY)
        value_write_print(writer->out, value); // NaN and Infinity are words of their own there
    else if (value->kind == VALUE_DOUBLE && isinf(value->number))
        buf_puts(writer->out, value->number > 0 ? ".inf" : "-.inf");
    else if (value->kind == VALUE_DOUBLE && isnan(value->number))
        buf_puts(writer->out, ".nan");
    else
        value_write_print(writer->out, value);
}

static void put_scalar(struct writer *writer, const struct value *value, size_t indent, char digit)
{
    switch ((enum value_kind)value->kind) {
    case VALUE_NULL:
        buf_puts(writer->out, "null");
        return;
    case VALUE_BOOL:
        buf_puts(writer->out, value->boolean ? "true" : "false");
        return;
    case VALUE_INT:
    case VALUE_FLOAT32:
    case VALUE_DOUBLE:
    case VALUE_DECIMAL:
    case VALUE_BIGINT:
        put_number(writer, value);
        return;
    case VALUE_STRING:
    case VALUE_URI:
        put_string(writer, value->string.bytes, value->string.length, indent, digit);
        return;
    case VALUE_INSTANT:
    case VALUE_ZONED:
    case VALUE_LOCAL_DATETIME:
    case VALUE_LOCAL_DATE:
    case VALUE_LOCAL_TIME:
    case VALUE_DURATION:
    case VALUE_BYTES:
    case VALUE_ENTRY:
    case VALUE_LIST:
    case VALUE_MAP:
    case VALUE_LAZY:
        break;
    }
    struct buf text = { 0 };
    value_write_print(&text, value);
    put_string(writer, buf_text(&text), text.length, indent, digit);
    buf_free(&text);
}

static void put_list(struct writer *writer, const struct value *list, size_t indent);

/* Every member on its own line, the last without a line end. */
static void put_map(struct writer *writer, const struct value *map, size_t indent)
{
    CHECK(++writer->depth < WRITE_DEPTH_MAX);
    for (size_t i = 0; i < map->map.count; i++) {
        const struct value_member *member = &map->map.members[i];
        const struct value *value = value_force(writer->scratch, member->value);
        if (i > 0)
            buf_putc(writer->out, '\n');
        put_spaces(writer, indent);
        put_key(writer, member->key, member->key_length);
        if (member->key_length > SIMPLE_KEY_MAX) {
            buf_putc(writer->out, '\n');
            put_spaces(writer, indent);
        }
        buf_putc(writer->out, ':');
        if (value_is_map(value) && value->map.count > 0) {
            buf_putc(writer->out, '\n');
            put_map(writer, value, indent + 2);
        } else if (value_is_list(value) && value->list.count > 0) {
            buf_putc(writer->out, '\n');
            put_list(writer, value, indent);
        } else if (value_is_map(value) || value_is_list(value)) {
            buf_puts(writer->out, value_is_map(value) ? " {}" : " []");
        } else {
            buf_putc(writer->out, ' ');
            put_scalar(writer, value, indent + 2, '2');
        }
    }
    writer->depth--;
}

static void put_list(struct writer *writer, const struct value *list, size_t indent)
{
    CHECK(++writer->depth < WRITE_DEPTH_MAX);
    for (size_t i = 0; i < list->list.count; i++) {
        const struct value *value = value_force(writer->scratch, list->list.items[i]);
        if (i > 0)
            buf_putc(writer->out, '\n');
        put_spaces(writer, indent + 1);
        buf_putc(writer->out, '-');
        if (value_is_map(value) && value->map.count > 0) {
            buf_putc(writer->out, '\n');
            put_map(writer, value, indent + 2);
        } else if (value_is_list(value) && value->list.count > 0) {
            buf_putc(writer->out, '\n');
            put_list(writer, value, indent + 2);
        } else if (value_is_map(value) || value_is_list(value)) {
            buf_puts(writer->out, value_is_map(value) ? " {}" : " []");
        } else {
            buf_putc(writer->out, ' ');
            put_scalar(writer, value, indent + 2, '1');
        }
    }
    writer->depth--;
}

void yaml_write(struct buf *out, const struct value *value, enum yaml_quoting quoting)
{
    struct arena *scratch = arena_new();
    struct writer writer = { .out = out, .quoting = quoting, .scratch = scratch };
    const struct value *forced = value == NULL ? &value_null : value_force(scratch, value);
    if (value_is_map(forced) && forced->map.count > 0)
        put_map(&writer, forced, 0);
    else if (value_is_list(forced) && forced->list.count > 0)
        put_list(&writer, forced, 0);
    else if (value_is_map(forced) || value_is_list(forced))
        buf_puts(out, value_is_map(forced) ? "{}" : "[]");
    else
        put_scalar(&writer, forced, 2, '2');
    buf_putc(out, '\n');
    arena_free(scratch);
}

char *yaml_format(struct arena *arena, const struct value *value, enum yaml_quoting quoting)
{
    struct buf out = { 0 };
    yaml_write(&out, value, quoting);
    char *text = buf_dup(&out, arena);
    buf_free(&out);
    return text;
}
