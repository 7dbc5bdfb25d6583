/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key-value entries (api.md 2.7).
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/json.h"
#include "core/value.h"
#include "runtime/api/call.h"
#include "runtime/api/kv_value.h"
#include "runtime/api/shapes.h"
#include "runtime/worker/kv.h"

/* ---- what a body means ---- */

static struct kv_value typed(const char *type, const char *json)
{
    return (struct kv_value){ .type = type, .json = json };
}

static const char *json_string(struct arena *arena, const char *text, size_t length)
{
    struct buf buf = { 0 };
    value_write_json_string(&buf, text, length);
    const char *json = buf_dup(&buf, arena);
    buf_free(&buf);
    return json;
}

/* A duration in its normal form; NULL when the text is none. A bare number is none. */
static const char *duration_text(struct arena *arena, const char *text)
{
    usec_t span = 0;
    int32_t nanos = 0;
    const char *start = text + (text[0] == '-' || text[0] == '+' ? 1 : 0);
    if ((start[0] != 'P' && start[0] != 'p') || !duration_parse(text, &span, &nanos, NULL))
        return NULL;
    struct buf buf = { 0 };
    duration_write(&buf, span, nanos);
    const char *normal = buf_dup(&buf, arena);
    buf_free(&buf);
    return normal;
}

/* Is the text a number as JSON writes them? */
static bool is_number(const char *text)
{
    const char *at = text + (text[0] == '-' ? 1 : 0);
    return *at >= '0' && *at <= '9';
}

/*
 * Text between double quotes in which nothing is escaped but double quotes, as one client sends
 * it: it may hold line ends and backslashes that JSON does not allow. NULL: it is none of that.
 */
static const char *loosely_quoted(struct arena *arena, const char *text)
{
    size_t length = strlen(text);
    if (length < 2 || text[0] != '"' || text[length - 1] != '"')
        return NULL;
    struct buf out = { 0 };
    bool ok = true;
    for (size_t i = 1; i < length - 1 && ok; i++) {
        if (text[i] == '\\' && text[i + 1] == '"' && i + 1 < length - 1)
            i++;
        else
            ok = text[i] != '"';
        buf_putc(&out, text[i]);
    }
    const char *inner = ok ? buf_dup(&out, arena) : NULL;
    buf_free(&out);
    return inner;
}

struct kv_value kv_value_of(struct arena *arena, const char *body, size_t length)
{
    const char *text = str_trim(arena, arena_strndup(arena, body, length));
    const struct value *json = json_parse(arena, text, strlen(text), NULL);
    if (json != NULL) {
        const char *string = json->kind == VALUE_STRING ? value_cstr(json) : NULL;
        const char *duration = string == NULL ? NULL : duration_text(arena, string);
        if (value_is_map(json) || value_is_list(json))
            return typed("JSON", text);
        if (json->kind == VALUE_BOOL)
            return typed("BOOLEAN", text);
        if (duration != NULL)
            return typed("DURATION", json_string(arena, duration, strlen(duration)));
        if (string != NULL)
            return typed("STRING", text);
        if (is_number(text))
            return typed("NUMBER", text);
    }
    const char *quoted = json == NULL ? loosely_quoted(arena, text) : NULL;
    if (quoted != NULL)
        return typed("STRING", json_string(arena, quoted, strlen(quoted)));
    struct time_text parts;
    if (time_text_parse(text, strlen(text), &parts, NULL) && parts.has_date) {
        if (!parts.has_time)
            return typed("DATE", json_string(arena, text, strlen(text)));
        usec_t at = 0;
        if (filter_date_parse(text, &at)) {
            const char *instant = time_format_instant(arena, at);
            return typed("DATETIME", json_string(arena, instant, strlen(instant)));
        }
    }
    const char *duration = duration_text(arena, text);
    if (duration != NULL)
        return typed("DURATION", json_string(arena, duration, strlen(duration)));
    return typed("STRING", json_string(arena, body, length));
}

/* ---- reading ---- */

/* On failure replies 422 and returns false. */
static bool check_key(struct call *call, const char *key)
{
    struct error err = { 0 };
    if (kv_key_check(key, &err))
        return true;
    reply_error(call, 422, "Illegal argument", "%s", err.text);
    return false;
}

static void get_entry(struct call *call)
{
    const char *namespace = call->path[0];
    const char *key = call->path[1];
    struct store_reader *reader = NULL;
    struct kv_row row;
    struct error err = { 0 };
    if (!check_key(call, key) || (reader = call_reader(call)) == NULL)
        return;
    if (!reader->ops->kv_get(reader, call->arena, namespace, key, &row, &err)) {
        if (err.code == ERR_NOT_FOUND)
            reply_error(call, 404, "Not Found", "No value found for key '%s' in namespace '%s'",
                        key, namespace);
        else
            reply_failure(call, &err);
        return;
    }
    if (row.expires_at <= clock_now()) {
        reply_error(call, 410, "Resource has expired",
                    "The requested value for key '%s' in namespace '%s' has expired", key,
                    namespace);
        return;
    }
    const struct value *value = json_parse(call->arena, row.value, strlen(row.value), &err);
    if (value == NULL) {
        reply_failure(call, &err);
        return;
    }
    struct value_builder map = value_build(call->arena);
    value_put_text(&map, "type", row.type);
    value_put(&map, "value", value);
    value_put_int(&map, "revision", row.revision);
    put_time(&map, "updated", row.updated_at);
    reply_value(call, 200, value_build_map(&map));
}

/* Entries of one namespace that have not expired; on failure replies and returns false. */
static bool find_entries(struct call *call,
                         const char *namespace,
                         struct kv_row **rows,
                         size_t *count)
{
    struct store_reader *reader = call_reader(call);
    struct error err = { 0 };
    if (reader == NULL)
        return false;
    struct filter filter = {
        .field = FIELD_NAMESPACE, .match = MATCH_EQUAL, .values = &namespace, .values_count = 1
    };
    struct query query = {
        .filters = &filter, .filters_count = 1, .sort = FIELD_KEY, .limit = SIZE_MAX
    };
    size_t found = 0;
    if (!reader->ops->kv_search(reader, call->arena, &query, rows, &found, NULL, &err)) {
        reply_failure(call, &err);
        return false;
    }
    usec_t now = clock_now();
    *count = 0;
    for (size_t i = 0; i < found; i++) {
        if ((*rows)[i].expires_at > now)
            (*rows)[(*count)++] = (*rows)[i];
    }
    return true;
}

static void get_of_namespace(struct call *call)
{
    struct kv_row *rows = NULL;
    size_t count = 0;
    if (!find_entries(call, call->path[0], &rows, &count))
        return;
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++)
        value_add(&list, shape_kv(call->arena, &rows[i]));
    reply_value(call, 200, value_build_list(&list));
}

/* Of the parents, nearest first; a key counts once. */
static void get_inherited(struct call *call)
{
    struct map seen = { 0 };
    struct value_builder list = value_build(call->arena);
    char *namespace = arena_strdup(call->arena, call->path[0]);
    bool ok = true;
    for (char *dot = strrchr(namespace, '.'); dot != NULL && ok; dot = strrchr(namespace, '.')) {
        *dot = '\0';
        struct kv_row *rows = NULL;
        size_t count = 0;
        ok = find_entries(call, arena_strdup(call->arena, namespace), &rows, &count);
        for (size_t i = 0; i < count && ok; i++) {
            if (map_has(&seen, rows[i].key))
                continue;
            (void)map_put(&seen, rows[i].key, &seen);
            value_add(&list, shape_kv(call->arena, &rows[i]));
        }
    }
    map_free(&seen);
    if (ok)
        reply_value(call, 200, value_build_list(&list));
}

static void get_all(struct call *call)
{
    struct search search;
    struct store_reader *reader = NULL;
    struct kv_row *rows = NULL;
    size_t count = 0;
    int64_t total = 0;
    struct error err = { 0 };
    if (!call_search(call, &search) || (reader = call_reader(call)) == NULL)
        return;
    // expired entries are not listed
    struct filter *filters =
        ARENA_ARRAY(call->arena, search.query.filters_count + 1, struct filter);
    if (search.query.filters_count > 0)
        memcpy(filters, search.query.filters, search.query.filters_count * sizeof(*filters));
    filters[search.query.filters_count++] =
        (struct filter){ .field = FIELD_EXPIRES, .match = MATCH_GREATER, .at = clock_now() };
    search.query.filters = filters;
    if (!reader->ops->kv_search(reader, call->arena, &search.query, &rows, &count, &total, &err)) {
        reply_failure(call, &err);
        return;
    }
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++)
        value_add(&list, shape_kv(call->arena, &rows[i]));
    reply_page(call, value_build_list(&list), total);
}

/* ---- changing ---- */

static void change(struct call *call,
                   struct kv_change *changes,
                   size_t count,
                   void (*next)(struct call *call))
{
    call->driver.type = REQUEST_CHANGE;
    call->driver.change = (struct change_request){
        .origin = call_origin(call),
        .kv = changes,
        .kv_count = count,
    };
    call->data = changes;
    call_drive(call, next);
}

static void stored(struct call *call)
{
    if (!call_driver_failed(call))
        reply_empty(call, 200);
}

/* From a header or a query parameter; NULL none. */
static const char *option(const struct call *call, const char *name)
{
    const char *text = http_header_find(&call->http->headers, name);
    return str_empty(text) ? call_query(call, name) : text;
}

static void put_entry(struct call *call)
{
    if (!check_key(call, call->path[1]))
        return;
    usec_t ttl = 0;
    const char *ttl_text = option(call, "ttl");
    if (!str_empty(ttl_text) && (!duration_parse(ttl_text, &ttl, NULL, NULL) || ttl < 0)) {
        reply_error(call, 422, "Illegal argument", "ttl '%s' is not a duration", ttl_text);
        return;
    }
    struct kv_value value = kv_value_of(call->arena, call->http->body, call->http->body_length);
    struct kv_change *item = ARENA_NEW(call->arena, struct kv_change);
    item->row = (struct kv_row){
        .namespace = call->path[0],
        .key = call->path[1],
        .type = value.type,
        .value = value.json,
        .description = option(call, "description"),
        .expires_at = str_empty(ttl_text) ? USEC_NEVER : clock_now() + ttl,
    };
    change(call, item, 1, stored);
}

static void deleted_one(struct call *call)
{
    const struct kv_change *item = call->data;
    if (!call_driver_failed(call))
        reply_value(call, 200, value_bool(item->result.changed));
}

static void delete_entry(struct call *call)
{
    if (!check_key(call, call->path[1]))
        return;
    struct kv_change *item = ARENA_NEW(call->arena, struct kv_change);
    item->is_delete = true;
    item->row = (struct kv_row){ .namespace = call->path[0], .key = call->path[1] };
    change(call, item, 1, deleted_one);
}

static void deleted_many(struct call *call)
{
    const struct kv_change *items = call->data;
    if (call_driver_failed(call))
        return;
    struct value_builder keys = value_build(call->arena);
    for (size_t i = 0; i < call->driver.change.kv_count; i++) {
        if (items[i].result.changed)
            value_add(&keys, value_string(call->arena, items[i].row.key));
    }
    struct value_builder map = value_build(call->arena);
    value_put(&map, "keys", value_build_list(&keys));
    reply_value(call, 200, value_build_map(&map));
}

static void delete_entries(struct call *call)
{
    const struct value *body = call_json(call);
    if (body == NULL)
        return;
    const struct value *keys = value_get(body, "keys");
    if (!value_is_list(keys)) {
        reply_error(call, 422, "Invalid json mapping", "keys must be a list");
        return;
    }
    struct kv_change *items = ARENA_ARRAY(call->arena, value_count(keys), struct kv_change);
    size_t count = 0;
    struct map seen = { 0 };
    bool ok = true;
    for (size_t i = 0; i < value_count(keys) && ok; i++) {
        const char *key = value_cstr(value_item(keys, i));
        ok = key != NULL && check_key(call, key);
        if (key == NULL)
            reply_error(call, 422, "Invalid json mapping", "keys must be texts");
        if (!ok || map_put(&seen, key, items) != NULL)
            continue;
        items[count].is_delete = true;
        items[count++].row = (struct kv_row){ .namespace = call->path[0], .key = key };
    }
    map_free(&seen);
    if (ok)
        change(call, items, count, deleted_many);
}

static const struct route_query put_query[] = {
    { "ttl", "string", "ISO 8601 duration after which the entry is gone; also a header.", false },
    { "description", "string", "What it is for; also a header.", false },
    { 0 },
};

const struct route kv_routes[] = {
    { "GET", "kv", get_all, .flags = ROUTE_PAGED, .resource = RESOURCE_KV, .shape = "PagedKVEntry",
      .doc = "Entries of all namespaces." },
    { "GET", "namespaces/{namespace}/kv", get_of_namespace, .doc = "Entries of a namespace." },
    { "GET", "namespaces/{namespace}/kv/inheritance", get_inherited,
      .doc = "Entries of the parent namespaces." },
    { "GET", "namespaces/{namespace}/kv/{key}", get_entry, .shape = "KvDetail",
      .doc = "Value of an entry." },
    { "PUT", "namespaces/{namespace}/kv/{key}", put_entry, .query = put_query, .body = "text/plain",
      .doc = "Sets an entry." },
    { "DELETE", "namespaces/{namespace}/kv/{key}", delete_entry,
      .doc = "Removes an entry; tells whether it was there." },
    { "DELETE", "namespaces/{namespace}/kv", delete_entries, .body = "application/json",
      .doc = "Removes entries; tells which were there." },
    { 0 },
};
