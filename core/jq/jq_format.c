/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of values: tojson, tostring, and the formats @csv, @sh and so on. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/str.h"
#include "base/url.h"
#include "core/jq/jq_internal.h"

const struct value *jq_text_of(struct jq *jq, struct buf *buf)
{
    const struct value *text = NULL;
    if (buf->length > JQ_TEXT_MAX)
        (void)jq_fail(jq, "a text is too long");
    else if (jq_charge(jq, buf->length / 256))
        text = value_string_n(jq->arena, buf_text(buf), buf->length);
    buf_free(buf);
    return text;
}

const struct value *jq_to_json(struct jq *jq, const struct value *value)
{
    struct buf buf = { 0 };
    if (value->kind == VALUE_DOUBLE && isnan(value->number))
        return value_string(jq->arena, "null");
    if (value->kind == VALUE_DOUBLE && isinf(value->number))
        return value_string(jq->arena, value->number > 0 ? "1.7976931348623157e+308"
                                                         : "-1.7976931348623157e+308");
    if (!jq_measure(jq, value))
        return NULL;
    (void)value_write_limited(&buf, value, FORM_JSON_FULL, JQ_TEXT_MAX);
    return jq_text_of(jq, &buf);
}

const struct value *jq_to_text(struct jq *jq, const struct value *value)
{
    return value->kind == VALUE_STRING ? value : jq_to_json(jq, value);
}

/* Replaces characters by the text of the same index. */
static const struct value *escaped(struct jq *jq,
                                   const struct value *value,
                                   const char *characters,
                                   const char *const *texts)
{
    struct buf buf = { 0 };
    const struct value *text = jq_to_text(jq, value);
    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < text->string.length && buf.length <= JQ_TEXT_MAX; i++) {
        char c = text->string.bytes[i];
        const char *found = c == '\0' ? NULL : strchr(characters, c);
        if (found == NULL)
            buf_putc(&buf, c);
        else
            buf_puts(&buf, texts[found - characters]);
    }
    return jq_text_of(jq, &buf);
}

/* One row of @csv and @tsv. */
static const struct value *row(struct jq *jq, const struct value *value, bool csv)
{
    static const char *const quotes[] = { "\"\"" };
    static const char *const tabs[] = { "\\t", "\\n", "\\r", "\\\\" };
    struct buf buf = { 0 };
    if (value->kind != VALUE_LIST) {
        (void)jq_fail(jq, "%s cannot be %s-formatted, only an array can be", jq_type(value),
                      csv ? "csv" : "tsv");
        return NULL;
    }
    for (size_t i = 0; i < value->list.count && buf.length <= JQ_TEXT_MAX; i++) {
        const struct value *item = value->list.items[i];
        bool is_text = item->kind == VALUE_STRING;
        const struct value *text = &value_empty_string;
        if (item->kind == VALUE_LIST || item->kind == VALUE_MAP) {
            buf_free(&buf);
            (void)jq_fail(jq, "%s is not valid in a %s row", jq_type(item), csv ? "csv" : "tsv");
            return NULL;
        }
        if (is_text)
            text = csv ? escaped(jq, item, "\"", quotes) : escaped(jq, item, "\t\n\r\\", tabs);
        else if (item->kind != VALUE_NULL)
            text = jq_to_json(jq, item);
        if (text == NULL) {
            buf_free(&buf);
            return NULL;
        }
        buf_puts(&buf, i == 0 ? "" : csv ? "," : "\t");
        buf_puts(&buf, csv && is_text ? "\"" : "");
        buf_add(&buf, text->string.bytes, text->string.length);
        buf_puts(&buf, csv && is_text ? "\"" : "");
    }
    return jq_text_of(jq, &buf);
}

/* Shell words: strings quoted, a list as several words. */
static const struct value *shell(struct jq *jq, const struct value *value)
{
    static const char *const quotes[] = { "'\\''" };
    struct buf buf = { 0 };
    const struct value *list = value->kind == VALUE_LIST ? value : value_list(jq->arena, &value, 1);
    for (size_t i = 0; i < list->list.count && buf.length <= JQ_TEXT_MAX; i++) {
        const struct value *item = list->list.items[i];
        bool is_text = item->kind == VALUE_STRING;
        const struct value *text = NULL;
        if (item->kind == VALUE_LIST || item->kind == VALUE_MAP)
            (void)jq_fail(jq, "%s can not be escaped for shell", jq_type(item));
        else
            text = is_text ? escaped(jq, item, "'", quotes) : jq_to_json(jq, item);
        if (text == NULL) {
            buf_free(&buf);
            return NULL;
        }
        buf_puts(&buf, i == 0 ? "" : " ");
        buf_puts(&buf, is_text ? "'" : "");
        buf_add(&buf, text->string.bytes, text->string.length);
        buf_puts(&buf, is_text ? "'" : "");
    }
    return jq_text_of(jq, &buf);
}

static const struct value *uri(struct jq *jq, const struct value *value)
{
    struct buf buf = { 0 };
    const struct value *text = jq_to_text(jq, value);
    if (text == NULL)
        return NULL;
    url_encode(&buf, text->string.bytes, text->string.length, "");
    return jq_text_of(jq, &buf);
}

static const struct value *base64(struct jq *jq, const struct value *value)
{
    struct buf buf = { 0 };
    const struct value *text = jq_to_text(jq, value);
    if (text == NULL)
        return NULL;
    base64_encode(&buf, BASE64_STD, text->string.bytes, text->string.length);
    return jq_text_of(jq, &buf);
}

static const struct value *base64_decoded(struct jq *jq, const struct value *value)
{
    struct buf bytes = { 0 };
    struct buf buf = { 0 };
    const struct value *text = jq_to_text(jq, value);
    if (text == NULL)
        return NULL;
    if (!base64_decode(&bytes, text->string.bytes, text->string.length)) {
        buf_free(&bytes);
        (void)jq_fail(jq, "string (%.60s) is not valid base64 data", text->string.bytes);
        return NULL;
    }
    const char *at = buf_text(&bytes);
    const char *end = at + bytes.length;
    while (at < end)
        buf_put_utf8(&buf, utf8_next(&at, end));
    buf_free(&bytes);
    return jq_text_of(jq, &buf);
}

const struct value *jq_format(struct jq *jq, const char *name, const struct value *value)
{
    static const char *const html[] = { "&lt;", "&gt;", "&amp;", "&#39;", "&quot;" };
    if (strcmp(name, "text") == 0)
        return jq_to_text(jq, value);
    if (strcmp(name, "json") == 0)
        return jq_to_json(jq, value);
    if (strcmp(name, "csv") == 0 || strcmp(name, "tsv") == 0)
        return row(jq, value, strcmp(name, "csv") == 0);
    if (strcmp(name, "html") == 0)
        return escaped(jq, value, "<>&'\"", html);
    if (strcmp(name, "uri") == 0)
        return uri(jq, value);
    if (strcmp(name, "sh") == 0)
        return shell(jq, value);
    if (strcmp(name, "base64") == 0)
        return base64(jq, value);
    if (strcmp(name, "base64d") == 0)
        return base64_decoded(jq, value);
    (void)jq_fail(jq, "%s is not a valid format", name);
    return NULL;
}
