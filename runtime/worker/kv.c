/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker/kv.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/json.h"
#include "core/value.h"
#include "runtime/worker/services.h"

#define KEY_BYTES_MAX 256U

const char *const kv_kinds[] = { "STRING", "NUMBER",   "BOOLEAN", "DATETIME",
                                 "DATE",   "DURATION", "JSON",    NULL };

bool kv_find(const struct services *services,
             struct arena *arena,
             const char *flow_namespace,
             const char *namespace,
             const char *key,
             struct kv_entry *out,
             struct error *err)
{
    bool with_ancestors = str_empty(namespace) || str_eq(namespace, flow_namespace);
    char *at = arena_strdup(arena, with_ancestors ? flow_namespace : namespace);
    for (;;) {
        struct error failure = { 0 };
        if (services->kv_get(services->data, arena, at, key, out, &failure))
            return true;
        char *dot = strrchr(at, '.');
        if (failure.code != ERR_NOT_FOUND || !with_ancestors || dot == NULL) {
            if (err != NULL)
                *err = failure;
            return false;
        }
        *dot = '\0';
    }
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool kv_key_check(const char *key, struct error *err)
{
    size_t length = strlen(key);
    bool ok = length > 0 && length <= KEY_BYTES_MAX && is_alnum(key[0]);
    for (size_t i = 1; ok && i < length; i++)
        ok = is_alnum(key[i]) || key[i] == '.' || key[i] == '_' || key[i] == '-';
    return ok || error_set(err, ERR_INVALID,
                           "'%.100s' is not a key: it must start with a letter or digit and hold "
                           "letters, digits, '.', '_' and '-' only",
                           key);
}

enum kv_kind kv_kind_of(const struct value *value)
{
    if (value_is_number(value))
        return KV_NUMBER;
    switch ((enum value_kind)value->kind) {
    case VALUE_BOOL:
        return KV_BOOLEAN;
    case VALUE_STRING:
    case VALUE_URI:
    case VALUE_BYTES:
    case VALUE_LOCAL_TIME:
        return KV_STRING;
    case VALUE_INSTANT:
    case VALUE_ZONED:
    case VALUE_LOCAL_DATETIME:
        return KV_DATETIME;
    case VALUE_LOCAL_DATE:
        return KV_DATE;
    case VALUE_DURATION:
        return KV_DURATION;
    case VALUE_NULL:
    case VALUE_INT:
    case VALUE_FLOAT32:
    case VALUE_DOUBLE:
    case VALUE_DECIMAL:
    case VALUE_BIGINT:
    case VALUE_LIST:
    case VALUE_MAP:
    case VALUE_ENTRY:
    case VALUE_LAZY:
        break;
    }
    return KV_JSON;
}

static const struct value *bad(struct error *err, enum kv_kind kind, const char *text)
{
    error_set(err, ERR_INVALID, "'%.100s' is not a %s", text, kv_kinds[kind]);
    return NULL;
}

/* A date alone, or an instant. */
static const struct value *convert_date(struct arena *arena,
                                        enum kv_kind kind,
                                        const char *text,
                                        struct error *err)
{
    struct time_text parts;
    if (kind == KV_DATE && time_text_parse(text, strlen(text), &parts, NULL) && parts.has_date &&
        !parts.has_time)
        return value_time(arena, VALUE_LOCAL_DATE,
                          (struct value_time){ .at = civil_at(&parts.civil) });
    usec_t at = 0;
    int32_t nanos = 0;
    if (!time_parse_instant(text, &at, &nanos, NULL))
        return bad(err, kind, text);
    return value_time(arena, VALUE_INSTANT, (struct value_time){ .at = at, .nanos = nanos });
}

const struct value *kv_convert(struct arena *arena,
                               enum kv_kind kind,
                               const struct value *value,
                               struct error *err)
{
    if (!value_is_string(value)) {
        if (kind != KV_STRING)
            return value;
        struct buf text = { 0 };
        value_write_print(&text, value);
        value = value_string_n(arena, buf_text(&text), text.length);
        buf_free(&text);
        return value;
    }
    const char *text = str_trim(arena, value_cstr(value));
    switch (kind) {
    case KV_STRING:
        return value;
    case KV_NUMBER: {
        int64_t integer = 0;
        double number = 0;
        if (str_to_int(text, INT64_MIN, INT64_MAX, &integer))
            return value_int(arena, integer);
        return str_to_double(text, &number) ? value_double(arena, number) : bad(err, kind, text);
    }
    case KV_BOOLEAN:
        if (str_eq_nocase(text, "true"))
            return &value_true;
        return str_eq_nocase(text, "false") ? &value_false : bad(err, kind, text);
    case KV_DATETIME:
    case KV_DATE:
        return convert_date(arena, kind, text, err);
    case KV_DURATION: {
        usec_t span = 0;
        if (!duration_parse(text, &span, NULL, NULL))
            return bad(err, kind, text);
        return value_string(arena, text);
    }
    case KV_JSON: {
        const struct value *parsed = json_parse(arena, text, strlen(text), err);
        return parsed;
    }
    }
    return value;
}
