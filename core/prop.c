/* SPDX-License-Identifier: Apache-2.0 */
#include "core/prop.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/prop_internal.h"
#include "core/words.h"
#include "core/yaml.h"

/* Most names differ in their first character. */
static bool is_same(const char *a, const char *b)
{
    return a[0] == b[0] && strcmp(a, b) == 0;
}

const struct prop *prop_find(const struct prop *table, const char *name)
{
    for (const struct prop *prop = table; prop->name != NULL; prop++) {
        if (is_same(prop->name, name))
            return prop;
    }
    for (const struct prop *prop = table; prop->name != NULL; prop++) {
        if (prop->alias != NULL && is_same(prop->alias, name))
            return prop;
    }
    return NULL;
}

const struct value *prop_value(const struct prop *prop, const struct value *map)
{
    const struct value *value = value_get(map, prop->name);
    if (value == NULL && prop->alias != NULL)
        value = value_get(map, prop->alias);
    return value_is_null(value) ? NULL : value;
}

/* ---- places ---- */

static void put_path(struct buf *out, const struct doc_path *path)
{
    if (path == NULL)
        return;
    put_path(out, path->parent);
    if (path->key == NULL) {
        buf_putc(out, '[');
        buf_put_int(out, (int64_t)path->index);
        buf_putc(out, ']');
        return;
    }
    if (out->length > 0 && path->key[0] != '\0')
        buf_putc(out, '.');
    buf_puts(out, path->key);
}

char *doc_path_text(struct arena *arena, const struct doc_path *path)
{
    struct buf out = { 0 };
    put_path(&out, path);
    char *text = buf_dup(&out, arena);
    buf_free(&out);
    return text;
}

char *doc_path_key(struct arena *arena, const struct doc_path *path, const char *key)
{
    struct doc_path longer = { .parent = path, .key = key };
    return doc_path_text(arena, &longer);
}

/* ---- conversions ---- */

bool prop_is_dynamic(const char *text)
{
    const char *at = strchr(text, '{');
    for (; at != NULL; at = strchr(at + 1, '{')) {
        if (at[1] == '{' || at[1] == '%' || at[1] == '#')
            return true;
    }
    return false;
}

const char *prop_text(struct arena *arena, const struct value *value)
{
    if (value_is_null(value))
        return NULL;
    if (value->kind == VALUE_STRING || value->kind == VALUE_URI)
        return value->string.bytes;
    if ((value->kind == VALUE_BOOL || value->kind == VALUE_INT || value->kind == VALUE_DOUBLE) &&
        value->literal != NULL)
        return value->literal;
    struct buf out = { 0 };
    value_write_print(&out, value);
    char *text = buf_dup(&out, arena);
    buf_free(&out);
    return text;
}

/* The text without white space around it; false when it is longer than any scalar. */
static bool trimmed(const struct value *value, char out[128])
{
    if (!value_is_string(value))
        return false;
    const char *text = value->string.bytes;
    size_t length = value->string.length;
    while (length > 0 && isspace((unsigned char)text[0])) {
        text++;
        length--;
    }
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    if (length == 0 || length >= 128 || memchr(text, '\0', length) != NULL)
        return false;
    memcpy(out, text, length);
    out[length] = '\0';
    return true;
}

bool prop_to_int(const struct value *value, int64_t *out)
{
    if (value->kind == VALUE_INT) {
        *out = value->integer;
        return true;
    }
    double number = 0;
    char text[128];
    if (trimmed(value, text)) {
        if (str_to_int(text[0] == '+' ? text + 1 : text, INT64_MIN, INT64_MAX, out))
            return true;
        if (!str_to_double(text, &number))
            return false;
    } else if (!value_is_number(value) || !value_to_double(value, &number)) {
        return false;
    }
    if (floor(number) != number || number < -9e18 || number > 9e18) // NaN fails the first
        return false;
    *out = (int64_t)number;
    return true;
}

bool prop_to_double(const struct value *value, double *out)
{
    char text[128];
    if (trimmed(value, text))
        return str_to_double(text, out);
    return value_is_number(value) && value_to_double(value, out);
}

bool prop_to_bool(const struct value *value, bool *out)
{
    if (value->kind == VALUE_BOOL) {
        *out = value->boolean;
        return true;
    }
    char text[128];
    if (!trimmed(value, text))
        return false;
    bool yes = strcmp(text, "true") == 0 || strcmp(text, "True") == 0 || strcmp(text, "TRUE") == 0;
    if (!yes && strcmp(text, "false") != 0 && strcmp(text, "False") != 0 &&
        strcmp(text, "FALSE") != 0)
        return false;
    *out = yes;
    return true;
}

bool prop_to_duration(const struct value *value, usec_t *out)
{
    if (value->kind == VALUE_DURATION) {
        *out = value->time->at;
        return true;
    }
    char text[128];
    if (trimmed(value, text))
        return duration_parse(text, out, NULL, NULL);
    double seconds = 0;
    if (!value_is_number(value) || !value_to_double(value, &seconds))
        return false;
    if (!(seconds > -9e12 && seconds < 9e12)) // microseconds fit 64 bits
        return false;
    *out = (usec_t)llround(seconds * (double)USEC_SEC);
    return true;
}

bool prop_to_instant(const struct value *value, usec_t *out)
{
    if (value->kind == VALUE_INSTANT || value->kind == VALUE_ZONED) {
        *out = value->time->at;
        return true;
    }
    char text[128];
    return trimmed(value, text) && time_parse_instant(text, out, NULL, NULL);
}

/* Bytes of one unit; 0 when there is no such unit. Units are 1024-based however they are spelt. */
static int64_t unit_bytes(const char *unit)
{
    static const char letters[] = "KMGTP";
    if (unit[0] == '\0' || strcasecmp(unit, "B") == 0)
        return 1;
    const char *letter = strchr(letters, toupper((unsigned char)unit[0]));
    if (letter == NULL || *letter == '\0')
        return 0;
    const char *rest = unit + 1;
    if (rest[0] != '\0' && strcasecmp(rest, "B") != 0 && strcasecmp(rest, "iB") != 0)
        return 0;
    return (int64_t)1 << (10 * (letter - letters + 1));
}

bool prop_to_bytes(const struct value *value, int64_t *out)
{
    if (value->kind == VALUE_INT) {
        *out = value->integer;
        return value->integer >= 0;
    }
    char text[128];
    if (!trimmed(value, text))
        return false;
    size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits + strspn(text + digits, " ");
    int64_t scale = unit_bytes(unit);
    text[digits] = '\0';
    int64_t number = 0;
    // the unit was read before its first character was overwritten
    if (scale == 0 || !str_to_int(text, 0, INT64_MAX / scale, &number))
        return false;
    *out = number * scale;
    return true;
}

int prop_to_word(const struct value *value, const char *const *words)
{
    return value_is_string(value) ? words_find(words, value->string.bytes) : -1;
}

const char *prop_kind_text(enum prop_kind kind)
{
    switch (kind) {
    case PROP_STRING:
        return "a text";
    case PROP_INT:
        return "an integer";
    case PROP_DOUBLE:
        return "a number";
    case PROP_BOOL:
        return "true or false";
    case PROP_DURATION:
        return "a duration such as PT1M30S, or seconds";
    case PROP_INSTANT:
        return "a date-time such as 2026-05-01T10:00:00Z";
    case PROP_ENUM:
        return "one of its words";
    case PROP_BYTES:
        return "a size such as 10MB";
    case PROP_ANY:
        return "a value";
    case PROP_LIST:
        return "a list";
    case PROP_STRINGS:
        return "a text or a list of texts";
    case PROP_MAP:
    case PROP_OBJECT:
    case PROP_TASK_MAP:
    case PROP_CONDITION_MAP:
        return "a map";
    case PROP_PLUGIN:
        return "a map with a type";
    case PROP_OBJECTS:
        return "a list of maps";
    case PROP_LABELS:
        return "a map of labels, or a list of {key, value}";
    case PROP_TASK:
        return "a task";
    case PROP_TASKS:
        return "a list of tasks";
    case PROP_DAG_TASKS:
        return "a list of {task, dependsOn}";
    case PROP_TRIGGERS:
        return "a list of triggers";
    case PROP_CONDITIONS:
        return "a list of conditions";
    case PROP_INPUTS:
        return "a list of inputs";
    case PROP_OUTPUTS:
        return "a list of outputs";
    }
    return "a value";
}

char *prop_words_text(struct arena *arena, const char *const *words)
{
    struct buf out = { 0 };
    for (size_t i = 0; words[i] != NULL; i++)
        buf_printf(&out, "%s%s", i == 0 ? "" : ", ", words[i]);
    char *text = buf_dup(&out, arena);
    buf_free(&out);
    return text;
}

const struct value *prop_fallback(const struct prop *prop, struct arena *arena)
{
    const char *text = prop->fallback;
    if (text == NULL)
        return NULL;
    size_t length = strlen(text);
    switch (prop->kind) {
    case PROP_STRING:
    case PROP_ENUM:
    case PROP_DURATION:
    case PROP_INSTANT:
    case PROP_BYTES:
        return value_string_ref(arena, text, length);
    case PROP_INT:
    case PROP_DOUBLE:
    case PROP_BOOL:
        // an expression stays a text
        return yaml_scalar(arena, text, length, false);
    case PROP_ANY:
    case PROP_LIST:
    case PROP_MAP:
    case PROP_OBJECT:
    case PROP_OBJECTS:
    case PROP_STRINGS:
    case PROP_LABELS:
    case PROP_PLUGIN:
    case PROP_TASK:
    case PROP_TASKS:
    case PROP_TASK_MAP:
    case PROP_DAG_TASKS:
    case PROP_TRIGGERS:
    case PROP_CONDITIONS:
    case PROP_CONDITION_MAP:
    case PROP_INPUTS:
    case PROP_OUTPUTS:
        break;
    }
    if (strcmp(text, "[]") == 0)
        return &value_empty_list;
    if (strcmp(text, "{}") == 0)
        return &value_empty_map;
    if (strpbrk(text, "[]{}:\"'\n") == NULL)
        return yaml_scalar(arena, text, length, false);
    if ((prop->flags & PROP_EXPR) != 0 && (str_starts(text, "{{") || str_starts(text, "{%")))
        return value_string_ref(arena, text, length);
    struct error err = { 0 };
    const struct value *value = yaml_parse(arena, text, length, NULL, &err);
    CHECK(value != NULL); // our own table
    return value;
}
