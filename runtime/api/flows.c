/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/api/flows.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"
#include "core/flow.h"
#include "core/json.h"
#include "core/value.h"
#include "core/yaml.h"
#include "runtime/api/form.h"
#include "runtime/api/shapes.h"

/* ---- documents ---- */

void document_parse(struct call *call, struct document *document)
{
    const struct api_config *config = &call->api->config;
    struct flow_options options = { .defaults = config->plugin_defaults };
    document->findings = diag_list_new(call->arena, document->file_name);
    document->flow = flow_parse(config->plugins, document->source, document->length, &options,
                                &document->findings);
}

void documents_release(struct document *documents, size_t count)
{
    for (size_t i = 0; i < count; i++)
        flow_unref(documents[i].flow);
}

static bool read_parts(struct call *call, struct document **out, size_t *count)
{
    const struct httpd_request *http = call->http;
    struct document *found = ARENA_ARRAY(call->arena, http->parts_count, struct document);
    size_t used = 0;
    for (size_t i = 0; i < http->parts_count; i++) {
        const struct httpd_part *part = &http->parts[i];
        if (!str_eq(part->name, "flows"))
            continue;
        struct error err = { 0 };
        struct document *document = &found[used++];
        document->file_name = part->file_name != NULL ? part->file_name : "";
        document->source = part_text(call->arena, part, FLOW_BYTES_MAX, &document->length, &err);
        if (document->source == NULL) {
            reply_error(call, 422, "Illegal argument", "%s", err.text);
            return false;
        }
    }
    *out = found;
    *count = used;
    return true;
}

bool documents_read(struct call *call, struct document **out, size_t *count)
{
    const struct httpd_request *http = call->http;
    if (http->parts_count > 0)
        return read_parts(call, out, count);

    size_t parts = 0;
    const struct yaml_part *split = yaml_split(call->arena, http->body, http->body_length, &parts);
    if (parts > FLOW_DOCUMENTS_MAX) {
        reply_error(call, 422, "Illegal argument", "more than %u flows", FLOW_DOCUMENTS_MAX);
        return false;
    }
    struct document *found = ARENA_ARRAY(call->arena, parts, struct document);
    for (size_t i = 0; i < parts; i++) {
        found[i].source = arena_strndup(call->arena, split[i].text, split[i].length);
        found[i].length = split[i].length;
    }
    *out = found;
    *count = parts;
    return true;
}

void reply_invalid_flow(struct call *call, const struct document *document)
{
    struct value_builder errors = value_build(call->arena);
    for (size_t i = 0; i < document->findings.all.count; i++) {
        const struct diag *diag = &document->findings.all.items[i];
        if (diag->level == DIAG_ERROR)
            value_add(&errors,
                      error_item(call->arena, diag->api != NULL ? diag->api : diag->message,
                                 diag->path == NULL ? "" : diag->path));
    }
    reply_invalid(call, diag_constraints(&document->findings, false), value_build_list(&errors));
}

void reply_invalid_json_flow(struct call *call, const struct document *document)
{
    const struct diag *type = NULL;
    const struct diag *shape = NULL;
    for (size_t i = 0; i < document->findings.all.count; i++) {
        const struct diag *diag = &document->findings.all.items[i];
        if (diag->level != DIAG_ERROR)
            continue;
        if (type == NULL && str_eq(diag->code, "unknown-type"))
            type = diag;
        if (shape == NULL && (diag->stage == DIAG_SYNTAX || str_eq(diag->code, "unknown-property")))
            shape = diag;
    }
    const struct diag *first = type != NULL ? type : shape;
    if (first == NULL) {
        reply_invalid_flow(call, document);
        return;
    }
    const char *text = first->api != NULL ? first->api : first->message;
    const char *path = first->path == NULL ? "" : first->path;
    const char *reason = strstr(text, "Invalid type: ");
    const struct value *items[] = {
        error_item(call->arena, type != NULL && reason != NULL ? reason : text, path),
        error_item(call->arena, first->message, path),
    };
    if (type != NULL && reason != NULL)
        reply_errors(call, 422, reason, NULL, value_list(call->arena, items, 2));
    else
        reply_errors(call, 422, "Invalid json mapping", text, value_list(call->arena, items, 1));
}

void flow_change_of(struct call *call, const struct document *document, struct flow_change *out)
{
    *out = (struct flow_change){ 0 };
    flow_change_fill(call->arena, document->flow, call->api->config.zone, out);
    out->namespace = arena_strdup(call->arena, document->flow->namespace);
    out->id = arena_strdup(call->arena, document->flow->id);
    out->source = document->source;
    out->source_length = document->length;
}

/* ---- rows ---- */

bool call_flow_row(struct call *call,
                   const char *namespace,
                   const char *id,
                   int64_t revision,
                   bool allow_deleted,
                   struct flow_row *out)
{
    struct store_reader *reader = call_reader(call);
    if (reader == NULL)
        return false;
    struct error err = { 0 };
    if (reader->ops->flow_get(reader, call->arena, namespace, id, revision, allow_deleted, out,
                              &err))
        return true;
    if (err.code == ERR_NOT_FOUND)
        reply_error(call, 404, "Not Found", "no flow %s/%s", namespace, id);
    else
        reply_failure(call, &err);
    return false;
}

void write_flow(struct call *call, struct buf *out, const struct flow_row *row, bool with_source)
{
    struct error err = { 0 };
    struct flow *flow = call_flow(call, row, &err);
    value_write_json_full(
        out, shape_flow(call->arena, &call->api->config, row, flow, err.text, with_source));
    flow_unref(flow);
}

void reply_flow(struct call *call, const struct flow_row *row, bool with_source)
{
    struct buf body = { 0 };
    write_flow(call, &body, row, with_source);
    reply_buf(call, 200, "application/json", &body, NULL);
}

bool flows_by_ids(struct call *call, struct flow_row **out, size_t *count)
{
    const struct value *body = call_json_list(call);
    if (body == NULL)
        return false;
    struct flow_row *rows = ARENA_ARRAY(call->arena, value_count(body), struct flow_row);
    struct map seen = { 0 };
    size_t used = 0;
    bool ok = true;
    for (size_t i = 0; i < value_count(body) && ok; i++) {
        const struct value *item = value_item(body, i);
        const char *namespace = value_get_text(item, "namespace", NULL);
        const char *id = value_get_text(item, "id", NULL);
        if (namespace == NULL || id == NULL) {
            reply_error(call, 422, "Invalid json mapping",
                        "[%zu]: an object with namespace and id is expected", i);
            ok = false;
        } else if (map_put(&seen, arena_printf(call->arena, "%s\n%s", namespace, id), rows) ==
                   NULL) { // one that is named twice is meant once
            ok = call_flow_row(call, namespace, id, 0, false, &rows[used++]);
        }
    }
    map_free(&seen);
    *out = rows;
    *count = used;
    return ok;
}

bool flows_by_query(struct call *call, struct flow_row **out, size_t *count)
{
    struct search search;
    struct store_reader *reader = NULL;
    if (!call_search(call, &search) || (reader = call_reader(call)) == NULL)
        return false;
    search.query.offset = 0;
    search.query.limit = SIZE_MAX;
    struct error err = { 0 };
    if (reader->ops->flow_search(reader, call->arena, &search.query, true, out, count, NULL, &err))
        return true;
    reply_failure(call, &err);
    return false;
}

/* ---- sources ---- */

/* Where the value of a top-level key stands: from after the colon to the end of the line. */
struct line_value {
    size_t line;  /* offset of the key */
    size_t start; /* after the colon */
    size_t end;   /* before the end of the line and before a comment */
};

static bool find_key(const char *source, size_t length, const char *key, struct line_value *out)
{
    size_t key_length = strlen(key);
    for (size_t at = 0; at < length;) {
        const char *newline = memchr(source + at, '\n', length - at);
        size_t end = newline == NULL ? length : (size_t)(newline - source);
        bool is_key = end - at > key_length && memcmp(source + at, key, key_length) == 0 &&
                      source[at + key_length] == ':';
        if (is_key) {
            out->line = at;
            out->start = at + key_length + 1;
            out->end = end;
            for (size_t i = out->start; i + 1 < end; i++) {
                if ((source[i] == ' ' || source[i] == '\t') && source[i + 1] == '#') {
                    out->end = i;
                    break;
                }
            }
            while (out->end > out->start &&
                   (source[out->end - 1] == ' ' || source[out->end - 1] == '\r'))
                out->end--;
            return true;
        }
        at = end + 1;
    }
    return false;
}

/* Sets a top-level key to a plain text. */
static char *set_key(
    struct arena *arena, const char *source, size_t length, const char *key, const char *text)
{
    struct line_value value;
    struct buf out = { 0 };
    if (find_key(source, length, key, &value)) {
        buf_add(&out, source, value.start);
        buf_printf(&out, " %s", text);
        buf_add(&out, source + value.end, length - value.end);
    } else {
        buf_add(&out, source, length);
        bool has_end = length == 0 || source[length - 1] == '\n';
        buf_printf(&out, "%s%s: %s\n", has_end ? "" : "\n", key, text);
    }
    char *result = buf_dup(&out, arena);
    buf_free(&out);
    return result;
}

char *source_set_disabled(struct arena *arena, const char *source, size_t length, bool disabled)
{
    return set_key(arena, source, length, "disabled", disabled ? "true" : "false");
}

char *source_set_namespace(struct arena *arena,
                           const char *source,
                           size_t length,
                           const char *namespace)
{
    return set_key(arena, source, length, "namespace", namespace);
}

char *source_of_json(struct arena *arena, const struct value *flow)
{
    // members of answers that are not part of a source
    static const char *const left_out[] = { "revision", "deleted",   "updated", "source",
                                            "tenantId", "exception", "draft" };
    struct value_builder map = value_build(arena);
    for (uint32_t i = 0; flow->kind == VALUE_MAP && i < flow->map.count; i++) {
        const struct value_member *member = &flow->map.members[i];
        bool is_left_out = value_is_null(member->value) ||
                           (str_eq(member->key, "disabled") && member->value->kind == VALUE_BOOL &&
                            !member->value->boolean);
        for (size_t j = 0; j < sizeof(left_out) / sizeof(left_out[0]); j++)
            is_left_out = is_left_out || str_eq(member->key, left_out[j]);
        if (!is_left_out)
            value_put_n(&map, member->key, member->key_length, member->value);
    }
    return yaml_format(arena, value_build_map(&map), YAML_EXACT);
}
