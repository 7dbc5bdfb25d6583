/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many flows at once: whole namespaces, bulk calls, export, import (api.md 2.1.5 to 2.1.7).
 *
 * Each call is one change of the store: all flows of it, or none.
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "base/zip.h"
#include "core/flow.h"
#include "core/value.h"
#include "core/yaml.h"
#include "runtime/api/csv.h"
#include "runtime/api/executions.h"
#include "runtime/api/flows.h"
#include "runtime/api/form.h"
#include "runtime/api/shapes.h"

#define IMPORT_BYTES_MAX ((size_t)256 * 1024 * 1024)

static const struct zip_limits import_limits = {
    .entries_max = FLOW_DOCUMENTS_MAX,
    .entry_bytes_max = FLOW_BYTES_MAX,
    .total_bytes_max = IMPORT_BYTES_MAX,
};

/* ---- a change of many flows ---- */

struct bulk_change {
    struct document *documents;
    size_t count;
    struct flow_change *changes; /* deletions first, then one for each document */
    size_t changes_count;
    size_t deletions;
};

static const char *full_name(struct arena *arena, const char *namespace, const char *id)
{
    return arena_printf(arena, "%s\n%s", namespace, id);
}

/* Flows to delete: all of a namespace (NULL: of everywhere) that are not in the request. */
static bool add_deletions(struct call *call, struct bulk_change *bulk, const char *namespace)
{
    struct store_reader *reader = call_reader(call);
    if (reader == NULL)
        return false;
    struct filter filter = {
        .field = FIELD_NAMESPACE, .match = MATCH_EQUAL, .values = &namespace, .values_count = 1
    };
    struct query query = {
        .filters = &filter,
        .filters_count = namespace == NULL ? 0 : 1,
        .sort = FIELD_COUNT,
        .limit = SIZE_MAX,
    };
    struct flow_row *rows = NULL;
    size_t count = 0;
    struct error err = { 0 };
    if (!reader->ops->flow_search(reader, call->arena, &query, false, &rows, &count, NULL, &err)) {
        reply_failure(call, &err);
        return false;
    }
    struct map named = { 0 };
    for (size_t i = 0; i < bulk->count; i++) {
        const struct flow *flow = bulk->documents[i].flow;
        (void)map_put(&named, full_name(call->arena, flow->namespace, flow->id), bulk);
    }
    struct flow_change *changes = ARENA_ARRAY(call->arena, count + bulk->count, struct flow_change);
    for (size_t i = 0; i < count; i++) {
        if (!map_has(&named, full_name(call->arena, rows[i].namespace, rows[i].id)))
            changes[bulk->deletions++] = (struct flow_change){
                .is_delete = true,
                .namespace = rows[i].namespace,
                .id = rows[i].id,
            };
    }
    map_free(&named);
    bulk->changes = changes;
    return true;
}

static void refuse_document(struct call *call, const char *path, const char *message)
{
    const struct value *item = error_item(call->arena, message, path);
    reply_invalid(call, arena_printf(call->arena, "%s: %s", path, message),
                  value_list(call->arena, &item, 1));
}

/* Rules of a whole request; on failure replies and returns false. */
static bool check_documents(struct call *call,
                            struct bulk_change *bulk,
                            const char *namespace,
                            bool allow_children)
{
    struct map ids = { 0 };
    bool ok = true;
    for (size_t i = 0; i < bulk->count && ok; i++) {
        document_parse(call, &bulk->documents[i]);
        const struct flow *flow = bulk->documents[i].flow;
        ok = false;
        if (flow == NULL) {
            reply_invalid_flow(call, &bulk->documents[i]);
            continue;
        }
        bool is_child = allow_children && namespace != NULL &&
                        str_starts(flow->namespace, namespace) &&
                        flow->namespace[strlen(namespace)] == '.';
        if (namespace != NULL && !str_eq(flow->namespace, namespace) && !is_child)
            refuse_document(call, "flow.namespace",
                            arena_printf(call->arena, "flow '%s' is in namespace '%s'", flow->id,
                                         flow->namespace));
        else if (map_put(&ids, flow->id, bulk) != NULL)
            refuse_document(
                call, "flow.id",
                arena_printf(call->arena, "Duplicate flow id with name [%s]", flow->id));
        else
            ok = true;
    }
    map_free(&ids);
    return ok;
}

static void write_deleted(struct call *call, struct buf *out, const struct flow_change *change)
{
    struct value_builder map = value_build(call->arena);
    value_put_text(&map, "id", change->id);
    value_put_text(&map, "namespace", change->namespace);
    value_put_int(&map, "revision", change->result.revision);
    value_put_bool(&map, "deleted", true);
    value_put_bool(&map, "disabled", false);
    value_put_text(&map, "tenantId", call->api->config.tenant);
    value_put(&map, "tasks", &value_empty_list);
    value_write_json_full(out, value_build_map(&map));
}

static void changed(struct call *call)
{
    struct bulk_change *bulk = call->data;
    documents_release(bulk->documents, bulk->count);
    if (call_driver_failed(call))
        return;
    struct store_reader *reader = call_reader(call);
    if (reader == NULL)
        return;
    struct buf body = { 0 };
    buf_putc(&body, '[');
    for (size_t i = 0; i < bulk->changes_count; i++) {
        const struct flow_change *change = &bulk->changes[i];
        struct flow_row row;
        struct error err = { 0 };
        if (body.length > 1)
            buf_putc(&body, ',');
        if (change->is_delete) {
            write_deleted(call, &body, change);
        } else if (reader->ops->flow_get(reader, call->arena, change->namespace, change->id, 0,
                                         true, &row, &err)) {
            write_flow(call, &body, &row, true);
        } else {
            buf_free(&body);
            reply_failure(call, &err);
            return;
        }
    }
    buf_putc(&body, ']');
    reply_buf(call, 200, "application/json", &body, NULL);
}

/* Saves the documents and deletes the rest of a namespace (all: of everywhere) if asked to. */
static void change_all(struct call *call,
                       struct document *documents,
                       size_t count,
                       const char *namespace,
                       bool allow_children)
{
    struct bulk_change *bulk = ARENA_NEW(call->arena, struct bulk_change);
    bulk->documents = documents;
    bulk->count = count;
    bool deletes = call_query_bool(call, "delete", true);
    bool ok = check_documents(call, bulk, namespace, allow_children);
    if (ok && deletes)
        ok = add_deletions(call, bulk, namespace);
    else if (ok)
        bulk->changes = ARENA_ARRAY(call->arena, count, struct flow_change);
    if (!ok) {
        documents_release(documents, count);
        return;
    }
    bulk->changes_count = bulk->deletions + count;
    for (size_t i = 0; i < count; i++)
        flow_change_of(call, &documents[i], &bulk->changes[bulk->deletions + i]);
    call->data = bulk;
    call->driver.type = REQUEST_CHANGE;
    call->driver.change = (struct change_request){
        .origin = call_origin(call),
        .flows = bulk->changes,
        .flows_count = bulk->changes_count,
    };
    call_drive(call, changed);
}

/* The older form: a JSON list of flows. */
static bool read_json_list(struct call *call, struct document **out, size_t *count)
{
    const struct value *list = call_json_list(call);
    if (list == NULL)
        return false;
    *count = value_count(list);
    *out = ARENA_ARRAY(call->arena, *count, struct document);
    for (size_t i = 0; i < *count; i++) {
        (*out)[i].source = source_of_json(call->arena, value_item(list, i));
        (*out)[i].length = strlen((*out)[i].source);
    }
    return true;
}

static bool read_documents(struct call *call, struct document **out, size_t *count)
{
    const char *type = http_header_find(&call->http->headers, "Content-Type");
    if (type != NULL && str_starts(type, "application/json") && call->http->body_length > 0)
        return read_json_list(call, out, count);
    return documents_read(call, out, count);
}

static void post_namespace(struct call *call)
{
    struct document *documents = NULL;
    size_t count = 0;
    if (!read_documents(call, &documents, &count))
        return;
    for (size_t i = 0; i < count && call_query_bool(call, "override", false); i++) {
        documents[i].source = source_set_namespace(call->arena, documents[i].source,
                                                   documents[i].length, call->path[0]);
        documents[i].length = strlen(documents[i].source);
    }
    change_all(call, documents, count, call->path[0], false);
}

static void post_bulk(struct call *call)
{
    struct document *documents = NULL;
    size_t count = 0;
    const char *namespace = call_query(call, "namespace");
    if (read_documents(call, &documents, &count))
        change_all(call, documents, count, str_empty(namespace) ? NULL : namespace,
                   call_query_bool(call, "allowNamespaceChild", false));
}

/* ---- delete, enable, disable ---- */

static void delete_rows(struct call *call, const struct flow_row *rows, size_t count)
{
    struct flow_change *changes = ARENA_ARRAY(call->arena, count, struct flow_change);
    for (size_t i = 0; i < count; i++)
        changes[i] = (struct flow_change){ .is_delete = true,
                                           .namespace = rows[i].namespace,
                                           .id = rows[i].id };
    call->driver.type = REQUEST_CHANGE;
    call->driver.change = (struct change_request){
        .origin = call_origin(call),
        .flows = changes,
        .flows_count = count,
    };
    if (count == 0 || call_driver_wait(call))
        reply_count(call, count);
}

static void delete_by_ids(struct call *call)
{
    struct flow_row *rows = NULL;
    size_t count = 0;
    if (flows_by_ids(call, &rows, &count))
        delete_rows(call, rows, count);
}

static void delete_by_query(struct call *call)
{
    struct flow_row *rows = NULL;
    size_t count = 0;
    if (flows_by_query(call, &rows, &count))
        delete_rows(call, rows, count);
}

/* Saves those whose state differs with `disabled` set in their sources. */
static void switch_rows(struct call *call, const struct flow_row *rows, size_t count, bool disabled)
{
    struct document *documents = ARENA_ARRAY(call->arena, count, struct document);
    struct flow_change *changes = ARENA_ARRAY(call->arena, count, struct flow_change);
    size_t used = 0;
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        if (rows[i].disabled == disabled)
            continue;
        struct document *document = &documents[used++];
        document->source =
            source_set_disabled(call->arena, rows[i].source, rows[i].source_length, disabled);
        document->length = strlen(document->source);
        document_parse(call, document);
        ok = document->flow != NULL && document->flow->disabled == disabled;
        if (ok)
            flow_change_of(call, document, &changes[used - 1]);
        else if (document->flow == NULL)
            reply_invalid_flow(call, document);
        else
            reply_error(call, 422, "Illegal argument",
                        "flow %s/%s: 'disabled' cannot be set in its source", rows[i].namespace,
                        rows[i].id);
    }
    if (ok && used > 0) {
        call->driver.type = REQUEST_CHANGE;
        call->driver.change = (struct change_request){
            .origin = call_origin(call),
            .flows = changes,
            .flows_count = used,
        };
        ok = call_driver_wait(call);
    }
    documents_release(documents, used);
    if (ok)
        reply_count(call, used);
}

/* route->data tells enabling (NULL) from disabling. */
static void switch_by_ids(struct call *call)
{
    struct flow_row *rows = NULL;
    size_t count = 0;
    if (flows_by_ids(call, &rows, &count))
        switch_rows(call, rows, count, call->route->data != NULL);
}

static void switch_by_query(struct call *call)
{
    struct flow_row *rows = NULL;
    size_t count = 0;
    if (flows_by_query(call, &rows, &count))
        switch_rows(call, rows, count, call->route->data != NULL);
}

/* ---- export ---- */

/* format: of the entries' names, with namespace and id. */
static void export_rows(struct call *call,
                        const struct flow_row *rows,
                        size_t count,
                        const char *separator,
                        const char *extension)
{
    struct zip_writer *writer = zip_writer_new();
    struct error err = { 0 };
    struct buf body = { 0 };
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        const char *name = arena_printf(call->arena, "%s%s%s.%s", rows[i].namespace, separator,
                                        rows[i].id, extension);
        ok = zip_writer_add(writer, name, rows[i].source, rows[i].source_length, rows[i].updated_at,
                            &err);
    }
    if (ok)
        ok = zip_writer_finish(writer, &body, &err);
    else
        zip_writer_free(writer);
    if (!ok) {
        buf_free(&body);
        reply_failure(call, &err);
        return;
    }
    struct http_field headers[] = {
        { "Content-Disposition", "attachment; filename=\"flows.zip\"" },
        { 0 },
    };
    reply_buf(call, 200, "application/octet-stream", &body, headers);
}

static void export_by_query(struct call *call)
{
    struct flow_row *rows = NULL;
    size_t count = 0;
    if (flows_by_query(call, &rows, &count))
        export_rows(call, rows, count, "-", "yml");
}

static void export_by_ids(struct call *call)
{
    struct flow_row *rows = NULL;
    size_t count = 0;
    if (flows_by_ids(call, &rows, &count))
        export_rows(call, rows, count, ".", "yaml");
}

static void export_csv(struct call *call)
{
    struct flow_row *rows = NULL;
    size_t count = 0;
    if (!flows_by_query(call, &rows, &count))
        return;
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++) {
        struct value_builder map = value_build(call->arena);
        value_put_text(&map, "id", rows[i].id);
        value_put_text(&map, "namespace", rows[i].namespace);
        value_put_int(&map, "revision", rows[i].revision);
        value_put_bool(&map, "disabled", rows[i].disabled);
        value_put(&map, "description",
                  rows[i].description == NULL ? &value_empty_string
                                              : value_string(call->arena, rows[i].description));
        put_time(&map, "updated", rows[i].updated_at);
        value_add(&list, value_build_map(&map));
    }
    struct buf body = { 0 };
    csv_write(&body, value_build_list(&list));
    struct http_field headers[] = {
        { "Content-Disposition", "attachment; filename=flows.csv" },
        { 0 },
    };
    reply_buf(call, 200, "text/csv", &body, headers);
}

/* ---- import ---- */

/* One source of an import and the name it is reported under. */
struct import_item {
    const char *name;
    const char *source;
    size_t length;
};

struct import {
    struct call *call;
    VEC(struct import_item) items;
};

static bool visit_entry(
    void *data, const char *name, const char *bytes, size_t length, struct error *err)
{
    (void)err;
    struct import *import = data;
    struct arena *arena = import->call->arena;
    if (!str_ends(name, ".yml") && !str_ends(name, ".yaml"))
        return true;
    struct import_item *item = VEC_PUSH_ARENA(arena, &import->items);
    item->name = arena_strdup(arena, name);
    item->source = arena_strndup(arena, bytes, length);
    item->length = length;
    return true;
}

static bool read_import(struct import *import, const struct httpd_part *part, struct error *err)
{
    struct arena *arena = import->call->arena;
    size_t length = 0;
    const char *bytes = part_text(arena, part, IMPORT_BYTES_MAX, &length, err);
    if (bytes == NULL)
        return false;
    if (str_ends(part->file_name, ".zip"))
        return zip_read(bytes, length, &import_limits, visit_entry, import, err);
    if (!str_ends(part->file_name, ".yml") && !str_ends(part->file_name, ".yaml"))
        return error_set(err, ERR_INVALID,
                         "Cannot import file '%s': only .yml, .yaml and .zip files can be imported",
                         part->file_name);
    size_t count = 0;
    const struct yaml_part *parts = yaml_split(arena, bytes, length, &count);
    for (size_t i = 0; i < count; i++) {
        struct import_item *item = VEC_PUSH_ARENA(arena, &import->items);
        item->name = arena_printf(arena, "%s(flow number: %zu)", part->file_name, i);
        item->source = arena_strndup(arena, parts[i].text, parts[i].length);
        item->length = parts[i].length;
    }
    return true;
}

/* Saves one source; false with err set when it cannot be. */
static bool import_one(struct call *call, const struct import_item *item, struct error *err)
{
    struct document document = { .source = item->source, .length = item->length };
    document_parse(call, &document);
    if (document.flow == NULL)
        return error_set(err, ERR_INVALID, "%s", diag_constraints(&document.findings, false));
    struct flow_change change;
    flow_change_of(call, &document, &change);
    struct driver_request request = {
        .type = REQUEST_CHANGE,
        .arena = call->arena,
        .change = { .origin = call_origin(call), .flows = &change, .flows_count = 1 },
    };
    bool ok = driver_call(call->api->config.driver, &request, err);
    flow_unref(document.flow);
    return ok;
}

static void post_import(struct call *call)
{
    const struct httpd_part *part = NULL;
    for (size_t i = 0; i < call->http->parts_count && part == NULL; i++) {
        if (str_eq(call->http->parts[i].name, "fileUpload"))
            part = &call->http->parts[i];
    }
    struct import import = { .call = call };
    struct error err = { 0 };
    if (part == NULL || part->file_name == NULL) {
        reply_error(call, 422, "Illegal argument", "part 'fileUpload' with a file is missing");
        return;
    }
    if (!read_import(&import, part, &err)) {
        reply_error(call, 422, "Illegal argument", "%s", err.text);
        return;
    }
    bool must_not_fail = call_query_bool(call, "failOnError", false);
    struct value_builder failed = value_build(call->arena);
    for (size_t i = 0; i < import.items.count; i++) {
        const struct import_item *item = &import.items.items[i];
        err = (struct error){ 0 };
        if (import_one(call, item, &err))
            continue;
        if (must_not_fail) {
            reply_error(call, 422, "Illegal argument", "%s: %s", item->name, err.text);
            return;
        }
        value_add(&failed, value_string(call->arena, item->name));
    }
    reply_value(call, 200, value_build_list(&failed));
}

/* ---- one task ---- */

/* Deprecated: replaces a task of a flow, which is written anew. */
static const struct value *replace_task(struct arena *arena,
                                        const struct value *doc,
                                        const char *id,
                                        const struct value *task)
{
    if (value_is_list(doc)) {
        struct value_builder list = value_build(arena);
        for (size_t i = 0; i < value_count(doc); i++)
            value_add(&list, replace_task(arena, value_item(doc, i), id, task));
        return value_build_list(&list);
    }
    if (!value_is_map(doc) || doc->kind != VALUE_MAP)
        return doc;
    if (value_get(doc, "type") != NULL && str_eq(value_get_text(doc, "id", NULL), id))
        return task;
    struct value_builder map = value_build(arena);
    for (uint32_t i = 0; i < doc->map.count; i++)
        value_put_n(&map, doc->map.members[i].key, doc->map.members[i].key_length,
                    replace_task(arena, doc->map.members[i].value, id, task));
    return value_build_map(&map);
}

static void patch_task(struct call *call)
{
    struct flow_row row;
    const struct value *task = call_json(call);
    if (task == NULL || !call_flow_row(call, call->path[0], call->path[1], 0, false, &row))
        return;
    const char *id = call->path[2];
    if (!str_eq(value_get_text(task, "id", NULL), id)) {
        reply_error(call, 422, "Illegal argument", "Invalid taskId, previous '%s' & current '%s'",
                    id, value_get_text(task, "id", ""));
        return;
    }
    struct error err = { 0 };
    struct flow *flow = call_flow(call, &row, &err);
    bool exists = flow != NULL && flow_find_task(flow, id) != NULL;
    struct document document = { 0 };
    if (exists) {
        document.source =
            yaml_format(call->arena, replace_task(call->arena, flow->doc, id, task), YAML_EXACT);
        document.length = strlen(document.source);
    }
    flow_unref(flow);
    if (!exists) {
        reply_error(call, 404, "Not Found", "no task %s", id);
        return;
    }
    document_parse(call, &document);
    if (document.flow == NULL) {
        reply_invalid_flow(call, &document);
        return;
    }
    struct flow_change change;
    flow_change_of(call, &document, &change);
    change.mode = CHANGE_EXISTING;
    call->driver.type = REQUEST_CHANGE;
    call->driver.change =
        (struct change_request){ .origin = call_origin(call), .flows = &change, .flows_count = 1 };
    bool ok = call_driver_wait(call);
    flow_unref(document.flow);
    if (ok && call_flow_row(call, row.namespace, row.id, 0, false, &row))
        reply_flow(call, &row, false);
}

/* ---- table ---- */

static const struct route_query namespace_query[] = {
    { "delete", "boolean", "Flows that are not in the body are deleted; true by default.", false },
    { "override", "boolean", "The namespace of each file becomes this one.", false },
    { 0 },
};
static const struct route_query bulk_query[] = {
    { "delete", "boolean", "Flows that are not in the body are deleted; true by default.", false },
    { "namespace", "string", "Of all flows; deletions stay inside it.", false },
    { "allowNamespaceChild", "boolean", "Flows may be in namespaces below.", false },
    { 0 },
};
static const struct route_query import_query[] = {
    { "failOnError", "boolean", "Refuse the import at the first mistake.", false },
    { 0 },
};

#define YAML "application/x-yaml"
#define JSON "application/json"

const struct route flow_bulk_routes[] = {
    { "POST", "flows/{namespace}", post_namespace, .flags = ROUTE_UPLOAD, .query = namespace_query,
      .body = YAML, .doc = "Replaces all flows of a namespace." },
    { "PUT", "flows/{namespace}", post_namespace, .flags = ROUTE_UPLOAD | ROUTE_DEPRECATED,
      .query = namespace_query, .body = YAML, .doc = "Replaces all flows of a namespace." },
    { "POST", "flows/bulk", post_bulk, .flags = ROUTE_UPLOAD, .query = bulk_query, .body = YAML,
      .doc = "Creates, replaces and deletes flows of several namespaces." },
    { "PATCH", "flows/{namespace}/{id}/{taskId}", patch_task, .flags = ROUTE_DEPRECATED,
      .body = JSON, .shape = "Flow", .doc = "Replaces one task of a flow." },
    { "GET", "flows/export/by-query", export_by_query, .resource = RESOURCE_FLOW,
      .doc = "Sources as a zip archive." },
    { "POST", "flows/export/by-ids", export_by_ids, .body = JSON,
      .doc = "Sources as a zip archive." },
    { "GET", "flows/export/by-query/csv", export_csv, .resource = RESOURCE_FLOW,
      .doc = "Flows as CSV." },
    { "POST", "flows/import", post_import, .flags = ROUTE_UPLOAD, .query = import_query,
      .body = "multipart/form-data", .doc = "Saves flows of a YAML file or zip archive." },
    { "DELETE", "flows/delete/by-ids", delete_by_ids, .body = JSON, .shape = "Count",
      .doc = "Deletes flows." },
    { "DELETE", "flows/delete/by-query", delete_by_query, .resource = RESOURCE_FLOW,
      .shape = "Count", .doc = "Deletes flows that filters find." },
    { "POST", "flows/disable/by-ids", switch_by_ids, .body = JSON, .shape = "Count",
      .data = "disable", .doc = "Disables flows." },
    { "POST", "flows/disable/by-query", switch_by_query, .resource = RESOURCE_FLOW,
      .shape = "Count", .data = "disable", .doc = "Disables flows that filters find." },
    { "POST", "flows/enable/by-ids", switch_by_ids, .body = JSON, .shape = "Count",
      .doc = "Enables flows." },
    { "POST", "flows/enable/by-query", switch_by_query, .resource = RESOURCE_FLOW, .shape = "Count",
      .doc = "Enables flows that filters find." },
    { 0 },
};
