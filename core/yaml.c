/* SPDX-License-Identifier: Apache-2.0 */
#include "core/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "core/value.h"

/* What one value costs besides its text when aliases are counted. */
#define VALUE_COST 16U

/* Longest plain scalar that can be a number. */
#define NUMBER_BYTES_MAX 512U

const struct yaml_limits yaml_limits_default = {
    .bytes_max = (size_t)4 * 1024 * 1024,
    .depth_max = YAML_DEPTH_MAX,
    .values_max = 1000000,
    .expansion_max = (size_t)4 * 1024 * 1024,
    .boolean_words = false,
};

/* ---- scalars ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(text, word, length) == 0;
}

/* A word in lower, UPPER or Capitalised form. */
static bool is_word_any_form(const char *text, size_t length, const char *word)
{
    if (strlen(word) != length)
        return false;
    bool lower = true;
    bool upper = true;
    bool capital = true;
    for (size_t i = 0; i < length; i++) {
        char up = (char)(word[i] - 'a' + 'A');
        lower = lower && text[i] == word[i];
        upper = upper && text[i] == up;
        capital = capital && text[i] == (i == 0 ? up : word[i]);
    }
    return lower || upper || capital;
}

static bool is_null_text(const char *text, size_t length)
{
    return length == 0 || is_word(text, length, "~") || is_word_any_form(text, length, "null");
}

static bool find_boolean(const char *text, size_t length, bool words, bool *boolean)
{
    static const struct {
        const char *word;
        bool boolean;
        bool is_extra;
    } rows[] = {
        { "true", true, false }, { "false", false, false }, { "yes", true, true },
        { "no", false, true },   { "on", true, true },      { "off", false, true },
    };
    if (length > 5)
        return false;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if ((!rows[i].is_extra || words) && is_word_any_form(text, length, rows[i].word)) {
            *boolean = rows[i].boolean;
            return true;
        }
    }
    return false;
}

struct number {
    struct arena *arena;
    char digits[NUMBER_BYTES_MAX + 2]; /* sign and digits, underscores left out */
    size_t count;
    const char *text;
    size_t length;
};

static struct value *new_value(struct arena *arena, enum value_kind kind)
{
    struct value *value = ARENA_NEW(arena, struct value);
    value->kind = (uint8_t)kind;
    return value;
}

static struct value *integer_of(struct number *number, int base)
{
    errno = 0;
    long long integer = strtoll(number->digits, NULL, base);
    if (errno != 0) {
        if (base != 10)
            return NULL; // beyond 64 bits only decimals have a meaning here
        const char *digits = number->digits;
        size_t skip = digits[0] == '-' ? 1 : 0;
        struct value *big = new_value(number->arena, VALUE_BIGINT);
        big->string.bytes = arena_strndup(number->arena, digits, number->count);
        big->string.length = number->count;
        CHECK(number->count > skip);
        return big;
    }
    struct value *value = new_value(number->arena, VALUE_INT);
    value->integer = integer;
    value->is_int32 = integer >= INT32_MIN && integer <= INT32_MAX;
    if (base != 10 || number->count != number->length ||
        memcmp(number->digits, number->text, number->count) != 0 ||
        is_word(number->text, number->length, "-0"))
        value->literal = arena_strndup(number->arena, number->text, number->length);
    return value;
}

static struct value *double_of(struct number *number)
{
    struct value *value = new_value(number->arena, VALUE_DOUBLE);
    value->number = strtod(number->digits, NULL);
    value->literal = arena_strndup(number->arena, number->text, number->length);
    return value;
}

static void put_digit(struct number *number, char c)
{
    number->digits[number->count++] = c;
    number->digits[number->count] = '\0';
}

/* Digits of a base with underscores between; false when anything else is there. */
static bool take_digits(struct number *number, const char *at, const char *end, int base)
{
    size_t before = number->count;
    for (; at < end; at++) {
        if (*at == '_')
            continue;
        int digit = is_digit(*at)              ? *at - '0'
                    : *at >= 'a' && *at <= 'f' ? *at - 'a' + 10
                    : *at >= 'A' && *at <= 'F' ? *at - 'A' + 10
                                               : 99;
        if (digit >= base)
            return false;
        put_digit(number, *at);
    }
    return number->count > before;
}

/* digits [. digits] [e [sign] digits], with a point or an exponent, and a digit before either. */
static bool take_decimal(struct number *number, const char *at, const char *end)
{
    bool has_digit = false;
    bool has_point = false;
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '_' && (has_digit || has_point))
            continue;
        if (*at == '.' && !has_point)
            has_point = true;
        else if (is_digit(*at))
            has_digit = true;
        else
            return false;
        put_digit(number, *at);
    }
    if (!has_digit)
        return false;
    if (at == end)
        return has_point;
    put_digit(number, *at++);
    if (at < end && (*at == '-' || *at == '+'))
        put_digit(number, *at++);
    if (at == end)
        return false;
    for (; at < end; at++) {
        if (!is_digit(*at))
            return false;
        put_digit(number, *at);
    }
    return true;
}

static struct value *number_of(struct arena *arena, const char *text, size_t length)
{
    if (length == 0 || length > NUMBER_BYTES_MAX ||
        !(is_digit(text[0]) || text[0] == '-' || text[0] == '+' || text[0] == '.'))
        return NULL;
    struct number number;
    number.arena = arena;
    number.count = 0;
    number.text = text;
    number.length = length;
    const char *end = text + length;
    const char *at = text;
    if (*at == '-' || *at == '+') {
        if (*at == '-')
            put_digit(&number, '-');
        at++;
    }
    if (at == end || !(is_digit(*at) || *at == '.'))
        return NULL;
    size_t sign = number.count;

    if (*at == '0' && end - at > 1) {
        int base = at[1] == 'x' ? 16 : at[1] == 'b' ? 2 : 8;
        if (take_digits(&number, base == 8 ? at + 1 : at + 2, end, base))
            return integer_of(&number, base);
    } else if (take_digits(&number, at, end, 10)) {
        return integer_of(&number, 10);
    }
    number.count = sign;
    return take_decimal(&number, at, end) ? double_of(&number) : NULL;
}

static struct value *string_of(struct arena *arena, const char *text, size_t length)
{
    struct value *value = new_value(arena, VALUE_STRING);
    value->string.bytes = arena_strndup(arena, text, length);
    value->string.length = length;
    return value;
}

static struct value *boolean_of(struct arena *arena, bool boolean, const char *text, size_t length)
{
    struct value *value = new_value(arena, VALUE_BOOL);
    value->boolean = boolean;
    if (!is_word(text, length, boolean ? "true" : "false"))
        value->literal = arena_strndup(arena, text, length);
    return value;
}

static struct value *plain_scalar(struct arena *arena, const char *text, size_t length, bool words)
{
    if (is_null_text(text, length))
        return new_value(arena, VALUE_NULL);
    bool boolean = false;
    if (find_boolean(text, length, words, &boolean))
        return boolean_of(arena, boolean, text, length);
    struct value *number = number_of(arena, text, length);
    return number != NULL ? number : string_of(arena, text, length);
}

const struct value *yaml_scalar(struct arena *arena,
                                const char *text,
                                size_t length,
                                bool boolean_words)
{
    return plain_scalar(arena, text, length, boolean_words);
}

/* ---- reader ---- */

/* A list or map that is not closed yet. */
struct frame {
    struct value_builder builder;
    bool is_map;
    bool has_key;
    bool key_merges; /* the pending key is `<<` */
    uint32_t line;
    uint32_t column;
    uint32_t key_line;
    uint32_t key_column;
    const char *key;
    size_t key_length;
    const char *anchor; /* NULL none */
    size_t cost_before;
    VEC(const struct value *) merges; /* arena */
};

struct anchor {
    const struct value *value; /* NULL while it is being read */
    size_t cost;
};

struct reader {
    struct arena *arena;
    struct yaml_limits limits;
    const char *text;
    size_t length;
    yaml_parser_t parser;
    VEC(struct frame) stack; /* heap */
    struct map anchors;      /* name -> struct anchor in the arena */
    size_t values;
    size_t cost;      /* of everything so far, aliases expanded */
    size_t expansion; /* of aliases alone */
    const struct value *root;
    struct error *err;
};

static void reader_release(struct reader *reader)
{
    yaml_parser_delete(&reader->parser);
    VEC_FREE(&reader->stack);
    map_free(&reader->anchors);
}

static bool fail_at(struct reader *reader, yaml_mark_t mark, enum error_code code, const char *text)
{
    return error_set_at(reader->err, code, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1, "%s",
                        text);
}

/* Position of a byte, for errors of the character reader, which knows only offsets. */
static bool fail_at_offset(struct reader *reader, size_t offset, const char *problem, int value)
{
    uint32_t line = 1;
    uint32_t column = 1;
    for (size_t i = 0; i < offset && i < reader->length; i++) {
        if (reader->text[i] == '\n') {
            line++;
            column = 1;
        } else if ((reader->text[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    if (value >= 0)
        return error_set_at(reader->err, ERR_INVALID, line, column, "%s (0x%02x)", problem,
                            (unsigned)value);
    return error_set_at(reader->err, ERR_INVALID, line, column, "%s", problem);
}

static bool fail_of_parser(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    if (parser->error == YAML_READER_ERROR)
        return fail_at_offset(reader, parser->problem_offset,
                              parser->problem == NULL ? "unreadable text" : parser->problem,
                              parser->problem_value);
    if (parser->error == YAML_MEMORY_ERROR)
        return error_set(reader->err, ERR_LIMIT, "not enough memory for the document");
    const char *problem = parser->problem == NULL ? "not a YAML text" : parser->problem;
    if (parser->context == NULL)
        return fail_at(reader, parser->problem_mark, ERR_INVALID, problem);
    return error_set_at(reader->err, ERR_INVALID, (uint32_t)parser->problem_mark.line + 1,
                        (uint32_t)parser->problem_mark.column + 1, "%s: %s", parser->context,
                        problem);
}

static uint32_t line_of(yaml_mark_t mark)
{
    return (uint32_t)mark.line + 1;
}

static uint32_t column_of(yaml_mark_t mark)
{
    return (uint32_t)mark.column + 1;
}

static void place(struct value *value, yaml_mark_t mark)
{
    value->line = line_of(mark);
    value->column = mark.column >= UINT16_MAX ? UINT16_MAX : (uint16_t)(mark.column + 1);
}

static struct frame *top(struct reader *reader)
{
    return reader->stack.count == 0 ? NULL : &reader->stack.items[reader->stack.count - 1];
}

static const char *describe_key(struct reader *reader, const char *key, size_t length)
{
    return arena_printf(reader->arena, "'%.*s'%s", (int)(length > 80 ? 80 : length), key,
                        length > 80 ? "…" : "");
}

static bool merge_from(struct reader *reader, struct frame *frame, const struct value *source)
{
    if (!value_is_map(source) && !value_is_list(source))
        return error_set_at(reader->err, ERR_INVALID, frame->key_line, frame->key_column,
                            "'<<' merges a map or a list of maps, not %s", value_kind_name(source));
    for (size_t i = 0; value_is_list(source) && i < source->list.count; i++) {
        if (!value_is_map(source->list.items[i]))
            return error_set_at(reader->err, ERR_INVALID, frame->key_line, frame->key_column,
                                "'<<' merges maps, its list holds %s",
                                value_kind_name(source->list.items[i]));
    }
    *VEC_PUSH_ARENA(reader->arena, &frame->merges) = source;
    return true;
}

static bool put_key(struct reader *reader,
                    struct frame *frame,
                    const char *key,
                    size_t length,
                    bool merges,
                    yaml_mark_t mark)
{
    if (!merges && !reader->limits.last_wins && value_build_has(&frame->builder, key, length))
        return error_set_at(reader->err, ERR_INVALID, line_of(mark), column_of(mark),
                            "duplicate key %s", describe_key(reader, key, length));
    frame->has_key = true;
    frame->key_merges = merges;
    frame->key = key;
    frame->key_length = length;
    frame->key_line = line_of(mark);
    frame->key_column = column_of(mark);
    return true;
}

/* A finished value goes to the open list or map, or becomes the document. */
static bool deliver(struct reader *reader, const struct value *value, yaml_mark_t mark)
{
    struct frame *frame = top(reader);
    if (frame == NULL) {
        reader->root = value;
        return true;
    }
    if (!frame->is_map) {
        value_add(&frame->builder, value);
        return true;
    }
    if (!frame->has_key) {
        if (!value_is_string(value))
            return fail_at(reader, mark, ERR_INVALID, "a key must be a text");
        return put_key(reader, frame, value->string.bytes, value->string.length, false, mark);
    }
    frame->has_key = false;
    if (frame->key_merges)
        return merge_from(reader, frame, value);
    value_put_at(&frame->builder, frame->key, frame->key_length, frame->key_line, frame->key_column,
                 value);
    return true;
}

static bool count_value(struct reader *reader, size_t text_length, yaml_mark_t mark)
{
    reader->cost += VALUE_COST + text_length;
    if (++reader->values > reader->limits.values_max)
        return error_set_at(reader->err, ERR_LIMIT, line_of(mark), column_of(mark),
                            "the document holds more than %zu values", reader->limits.values_max);
    return true;
}

static void anchor_put(struct reader *reader,
                       const char *name,
                       const struct value *value,
                       size_t cost)
{
    struct anchor *anchor = ARENA_NEW(reader->arena, struct anchor);
    anchor->value = value;
    anchor->cost = cost;
    (void)map_put(&reader->anchors, name, anchor);
}

static bool on_alias(struct reader *reader, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    const struct anchor *anchor = map_find(&reader->anchors, name);
    yaml_mark_t mark = event->start_mark;
    if (anchor == NULL)
        return error_set_at(reader->err, ERR_INVALID, line_of(mark), column_of(mark),
                            "unknown alias '*%.80s'", name);
    if (anchor->value == NULL)
        return error_set_at(reader->err, ERR_INVALID, line_of(mark), column_of(mark),
                            "alias '*%.80s' stands inside its own anchor", name);
    reader->cost += anchor->cost;
    reader->expansion += anchor->cost;
    if (reader->expansion > reader->limits.expansion_max)
        return error_set_at(reader->err, ERR_LIMIT, line_of(mark), column_of(mark),
                            "aliases expand the document by more than %zu bytes",
                            reader->limits.expansion_max);
    return count_value(reader, 0, mark) && deliver(reader, anchor->value, mark);
}

#define TAG_PREFIX "tag:yaml.org,2002:"

/* The value of a tagged or untagged scalar; NULL for an unknown tag or a text against its tag. */
static struct value *scalar_value(struct reader *reader, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    const char *tag = (const char *)event->data.scalar.tag;
    if (tag == NULL)
        return event->data.scalar.plain_implicit
                   ? plain_scalar(reader->arena, text, length, reader->limits.boolean_words)
                   : string_of(reader->arena, text, length);
    if (strcmp(tag, "!") == 0)
        return string_of(reader->arena, text, length);
    if (!str_starts(tag, TAG_PREFIX))
        return NULL;
    const char *type = tag + strlen(TAG_PREFIX);
    if (str_eq(type, "str") || str_eq(type, "binary") || str_eq(type, "timestamp"))
        return string_of(reader->arena, text, length);
    struct value *value = plain_scalar(reader->arena, text, length, true);
    if (str_eq(type, "null"))
        return value->kind == VALUE_NULL ? value : NULL;
    if (str_eq(type, "bool"))
        return value->kind == VALUE_BOOL ? value : NULL;
    if (str_eq(type, "int"))
        return value->kind == VALUE_INT || value->kind == VALUE_BIGINT ? value : NULL;
    if (str_eq(type, "float") && value_is_number(value))
        return value;
    return NULL;
}

static bool on_scalar(struct reader *reader, const yaml_event_t *event)
{
    yaml_mark_t mark = event->start_mark;
    const char *anchor = (const char *)event->data.scalar.anchor;
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    if (!count_value(reader, length, mark))
        return false;

    struct frame *frame = top(reader);
    if (frame != NULL && frame->is_map && !frame->has_key && anchor == NULL) {
        bool merges = event->data.scalar.plain_implicit && is_word(text, length, "<<");
        return put_key(reader, frame, arena_strndup(reader->arena, text, length), length, merges,
                       mark);
    }
    struct value *value = scalar_value(reader, event);
    if (value == NULL)
        return error_set_at(reader->err, ERR_INVALID, line_of(mark), column_of(mark),
                            "unsupported tag or value '%.80s'",
                            (const char *)event->data.scalar.tag);
    place(value, mark);
    if (anchor != NULL)
        anchor_put(reader, anchor, value, VALUE_COST + length);
    return deliver(reader, value, mark);
}

static bool on_start(
    struct reader *reader, bool is_map, const char *anchor, const char *tag, yaml_mark_t mark)
{
    if (tag != NULL && strcmp(tag, "!") != 0 &&
        strcmp(tag, is_map ? TAG_PREFIX "map" : TAG_PREFIX "seq") != 0)
        return error_set_at(reader->err, ERR_INVALID, line_of(mark), column_of(mark),
                            "unsupported tag '%.80s'", tag);
    struct frame *parent = top(reader);
    if (parent != NULL && parent->is_map && !parent->has_key)
        return fail_at(reader, mark, ERR_INVALID, "a key must be a text, not a list or map");
    if (reader->stack.count >= reader->limits.depth_max)
        return error_set_at(reader->err, ERR_LIMIT, line_of(mark), column_of(mark),
                            "lists and maps are nested more than %u deep",
                            (unsigned)reader->limits.depth_max);
    if (!count_value(reader, 0, mark))
        return false;
    struct frame *frame = VEC_PUSH(&reader->stack);
    frame->builder = value_build(reader->arena);
    frame->is_map = is_map;
    frame->line = line_of(mark);
    frame->column = column_of(mark);
    frame->cost_before = reader->cost - VALUE_COST;
    if (anchor != NULL) {
        frame->anchor = arena_strdup(reader->arena, anchor);
        anchor_put(reader, anchor, NULL, 0);
    }
    return true;
}

static void add_missing(struct value_builder *builder, const struct value *map)
{
    for (size_t i = 0; i < map->map.count; i++) {
        const struct value_member *m = &map->map.members[i];
        if (!value_build_has(builder, m->key, m->key_length))
            value_put_at(builder, m->key, m->key_length, m->line, m->column, m->value);
    }
}

/* Members written out win over merged ones, earlier merges over later ones. */
static void apply_merges(struct frame *frame)
{
    for (size_t i = 0; i < frame->merges.count; i++) {
        const struct value *source = frame->merges.items[i];
        if (value_is_map(source))
            add_missing(&frame->builder, source);
        for (size_t k = 0; value_is_list(source) && k < source->list.count; k++)
            add_missing(&frame->builder, source->list.items[k]);
    }
}

static bool on_end(struct reader *reader, yaml_mark_t mark)
{
    const struct frame *open = top(reader);
    CHECK(open != NULL); // libyaml balances starts and ends
    struct frame frame = *open;
    reader->stack.count--;
    apply_merges(&frame);
    const struct value *built =
        frame.is_map ? value_build_map(&frame.builder) : value_build_list(&frame.builder);
    struct value *value = (struct value *)(uintptr_t)built;
    value->line = frame.line;
    value->column = frame.column > UINT16_MAX ? UINT16_MAX : (uint16_t)frame.column;
    if (frame.anchor != NULL)
        anchor_put(reader, frame.anchor, value, reader->cost - frame.cost_before);
    return deliver(reader, value, mark);
}

static bool on_event(struct reader *reader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return on_alias(reader, event);
    case YAML_SCALAR_EVENT:
        return on_scalar(reader, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(reader, false, (const char *)event->data.sequence_start.anchor,
                        (const char *)event->data.sequence_start.tag, event->start_mark);
    case YAML_MAPPING_START_EVENT:
        return on_start(reader, true, (const char *)event->data.mapping_start.anchor,
                        (const char *)event->data.mapping_start.tag, event->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_end(reader, event->start_mark);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
    return true;
}

enum progress { PROGRESS_FAILED, PROGRESS_DOCUMENT, PROGRESS_END };

/* Reads up to the end of a document or of the text. *start: where the document starts. */
static enum progress read_document(struct reader *reader, yaml_mark_t *start)
{
    for (;;) {
        yaml_event_t event;
        if (yaml_parser_parse(&reader->parser, &event) == 0) {
            (void)fail_of_parser(reader);
            return PROGRESS_FAILED;
        }
        yaml_event_type_t type = event.type;
        if (type == YAML_DOCUMENT_START_EVENT) {
            *start = event.start_mark;
            reader->root = &value_null;
            map_free(&reader->anchors);
        }
        bool ok = on_event(reader, &event);
        yaml_event_delete(&event);
        if (!ok)
            return PROGRESS_FAILED;
        if (type == YAML_DOCUMENT_END_EVENT)
            return PROGRESS_DOCUMENT;
        if (type == YAML_STREAM_END_EVENT)
            return PROGRESS_END;
    }
}

static bool reader_init(struct reader *reader,
                        struct arena *arena,
                        const char *text,
                        size_t length,
                        const struct yaml_limits *limits,
                        struct error *err)
{
    *reader = (struct reader){
        .arena = arena,
        .limits = limits == NULL ? yaml_limits_default : *limits,
        .text = text,
        .length = length,
        .root = &value_null,
        .err = err,
    };
    if (length > reader->limits.bytes_max)
        return error_set(err, ERR_LIMIT, "the text has %zu bytes, more than %zu", length,
                         reader->limits.bytes_max);
    CHECK(yaml_parser_initialize(&reader->parser) == 1);
    yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, length);
    return true;
}

static const struct value *parse_one(struct arena *arena,
                                     const char *text,
                                     size_t length,
                                     const struct yaml_limits *limits,
                                     bool only,
                                     struct error *err)
{
    AUTO(reader_release) struct reader reader;
    if (!reader_init(&reader, arena, text, length, limits, err))
        return NULL;
    yaml_mark_t start = { 0 };
    enum progress progress = read_document(&reader, &start);
    if (progress == PROGRESS_FAILED)
        return NULL;
    const struct value *root = reader.root;
    if (progress == PROGRESS_END && reader.limits.needs_document) {
        (void)fail_at(&reader, start, ERR_INVALID, "there is nothing in the text");
        return NULL;
    }
    if (progress == PROGRESS_END || !only)
        return root;
    progress = read_document(&reader, &start);
    if (progress == PROGRESS_FAILED)
        return NULL;
    if (progress == PROGRESS_DOCUMENT) {
        (void)fail_at(&reader, start, ERR_INVALID,
                      "a second document starts here, one is expected");
        return NULL;
    }
    return root;
}

const struct value *yaml_parse(struct arena *arena,
                               const char *text,
                               size_t length,
                               const struct yaml_limits *limits,
                               struct error *err)
{
    return parse_one(arena, text, length, limits, true, err);
}

const struct value *yaml_parse_first(struct arena *arena,
                                     const char *text,
                                     size_t length,
                                     const struct yaml_limits *limits,
                                     struct error *err)
{
    return parse_one(arena, text, length, limits, false, err);
}

const struct value *yaml_parse_all(struct arena *arena,
                                   const char *text,
                                   size_t length,
                                   const struct yaml_limits *limits,
                                   struct error *err)
{
    AUTO(reader_release) struct reader reader;
    if (!reader_init(&reader, arena, text, length, limits, err))
        return NULL;
    struct value_builder all = value_build(arena);
    for (;;) {
        yaml_mark_t start = { 0 };
        enum progress progress = read_document(&reader, &start);
        if (progress == PROGRESS_FAILED)
            return NULL;
        if (progress == PROGRESS_END)
            return value_build_list(&all);
        value_add(&all, reader.root);
    }
}

/* ---- cutting ---- */

static bool is_cut(const char *line, size_t length)
{
    while (length > 3 &&
           (line[length - 1] == ' ' || line[length - 1] == '\t' || line[length - 1] == '\r'))
        length--;
    return length == 3 && memcmp(line, "---", 3) == 0;
}

static bool is_blank(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (strchr(" \t\r\n", text[i]) == NULL || text[i] == '\0')
            return false;
    }
    return true;
}

const struct yaml_part *yaml_split(struct arena *arena,
                                   const char *text,
                                   size_t length,
                                   size_t *count)
{
    VEC(struct yaml_part) parts = { 0 };
    const char *end = text + length;
    const char *from = text;
    uint32_t from_line = 1;
    uint32_t line = 1;
    for (const char *at = text; at <= end;) {
        const char *stop = at == end ? NULL : memchr(at, '\n', (size_t)(end - at));
        const char *line_end = stop == NULL ? end : stop;
        bool cut = is_cut(at, (size_t)(line_end - at));
        const char *part_end = cut ? at : line_end;
        if (cut || stop == NULL) {
            if (!is_blank(from, (size_t)(part_end - from)))
                *VEC_PUSH_ARENA(arena, &parts) = (struct yaml_part){
                    .text = from,
                    .length = (size_t)(part_end - from),
                    .line = from_line,
                };
            from = stop == NULL ? end : stop + 1;
            from_line = line + 1;
        }
        if (stop == NULL)
            break;
        at = stop + 1;
        line++;
    }
    *count = parts.count;
    return parts.items;
}
