/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One flow at a time, lists, searches and validation (api.md 2.1).
 */
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "core/flow.h"
#include "core/json.h"
#include "core/value.h"
#include "core/yaml.h"
#include "runtime/api/executions.h"
#include "runtime/api/flows.h"
#include "runtime/api/graph.h"
#include "runtime/api/shapes.h"

/* ---- saving ---- */

/* What a flow is saved from, kept until the driver has answered. */
struct saving {
    struct document document;
    struct flow_change change;
    bool is_json;
};

static bool is_json(const struct call *call)
{
    const char *type = http_header_find(&call->http->headers, "Content-Type");
    return type != NULL && str_starts(type, "application/json") && call->http->body_length > 0 &&
           call->http->body[strspn(call->http->body, " \t\r\n")] == '{';
}

/* Reads and checks the body; on failure replies and returns NULL. */
static struct saving *read_saving(struct call *call)
{
    struct saving *saving = ARENA_NEW(call->arena, struct saving);
    saving->is_json = is_json(call);
    saving->document.source = call->http->body;
    saving->document.length = call->http->body_length;
    if (saving->is_json) {
        const struct value *body = call_json(call);
        if (body == NULL)
            return NULL;
        saving->document.source = source_of_json(call->arena, body);
        saving->document.length = strlen(saving->document.source);
    }
    document_parse(call, &saving->document);
    if (saving->document.flow == NULL) {
        if (saving->is_json)
            reply_invalid_json_flow(call, &saving->document);
        else
            reply_invalid_flow(call, &saving->document);
        return NULL;
    }
    flow_change_of(call, &saving->document, &saving->change);
    return saving;
}

static void saved(struct call *call)
{
    struct saving *saving = call->data;
    flow_unref(saving->document.flow);
    if (!call->driver.ok) {
        const struct error *err = &call->driver.error;
        if (err->code == ERR_CONFLICT && saving->change.mode == CHANGE_NEW) {
            const struct value *item = error_item(call->arena, "Flow id already exists", "flow.id");
            reply_invalid(call, "flow.id: Flow id already exists",
                          value_list(call->arena, &item, 1));
        } else if (err->code == ERR_NOT_FOUND) {
            reply_error(call, 404, "Not Found", "no flow %s/%s", saving->change.namespace,
                        saving->change.id);
        } else {
            reply_failure(call, err);
        }
        return;
    }
    struct flow_row row;
    if (call_flow_row(call, saving->change.namespace, saving->change.id,
                      saving->change.result.revision, true, &row))
        reply_flow(call, &row, !saving->is_json);
}

static void save(struct call *call, struct saving *saving, enum change_mode mode)
{
    saving->change.mode = mode;
    call->data = saving;
    call->driver.type = REQUEST_CHANGE;
    call->driver.change = (struct change_request){
        .origin = call_origin(call),
        .flows = &saving->change,
        .flows_count = 1,
    };
    call_drive(call, saved);
}

static void post_flow(struct call *call)
{
    struct saving *saving = read_saving(call);
    if (saving != NULL)
        save(call, saving, CHANGE_NEW);
}

/* Neither id nor namespace of a flow can change. */
static bool refuse_other_identity(struct call *call, struct saving *saving)
{
    const struct flow *flow = saving->document.flow;
    struct value_builder errors = value_build(call->arena);
    struct buf detail = { 0 };
    if (!str_eq(flow->id, call->path[1])) {
        buf_puts(&detail, "flow.id: Illegal flow id update");
        value_add(&errors, error_item(call->arena, "Illegal flow id update", "flow.id"));
    }
    if (!str_eq(flow->namespace, call->path[0])) {
        buf_printf(&detail, "%sflow.namespace: Illegal namespace update",
                   detail.length > 0 ? ", " : "");
        value_add(&errors, error_item(call->arena, "Illegal namespace update", "flow.namespace"));
    }
    bool differs = detail.length > 0;
    const char *text = buf_dup(&detail, call->arena);
    buf_free(&detail);
    if (differs) {
        flow_unref(saving->document.flow);
        reply_invalid(call, text, value_build_list(&errors));
    }
    return differs;
}

static void put_flow(struct call *call)
{
    struct flow_row existing;
    if (!call_flow_row(call, call->path[0], call->path[1], 0, false, &existing))
        return;
    struct saving *saving = read_saving(call);
    if (saving != NULL && !refuse_other_identity(call, saving))
        save(call, saving, CHANGE_EXISTING);
}

static void removed(struct call *call)
{
    if (!call_driver_failed(call))
        reply_empty(call, 204);
}

static void delete_flow(struct call *call)
{
    struct flow_row row;
    if (!call_flow_row(call, call->path[0], call->path[1], 0, false, &row))
        return;
    struct flow_change *change = ARENA_NEW(call->arena, struct flow_change);
    *change = (struct flow_change){
        .is_delete = true,
        .mode = CHANGE_EXISTING,
        .namespace = row.namespace,
        .id = row.id,
    };
    call->driver.type = REQUEST_CHANGE;
    call->driver.change = (struct change_request){
        .origin = call_origin(call),
        .flows = change,
        .flows_count = 1,
    };
    call_drive(call, removed);
}

/* ---- reading ---- */

static void get_flow(struct call *call)
{
    int64_t revision = 0;
    struct flow_row row;
    bool allow_deleted = call_query_bool(call, "allowDeleted", false);
    if (!call_query_int(call, "revision", 1, 0, &revision) ||
        !call_flow_row(call, call->path[0], call->path[1], revision, allow_deleted, &row))
        return;
    reply_flow(call, &row, call_query_bool(call, "source", false));
}

static void put_flows(
    struct call *call, struct buf *out, const struct flow_row *rows, size_t count, bool with_source)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_putc(out, ',');
        write_flow(call, out, &rows[i], with_source);
    }
    buf_putc(out, ']');
}

static void get_of_namespace(struct call *call)
{
    struct store_reader *reader = call_reader(call);
    if (reader == NULL)
        return;
    struct filter filter = {
        .field = FIELD_NAMESPACE, .match = MATCH_EQUAL, .values = &call->path[0], .values_count = 1
    };
    struct query query = {
        .filters = &filter, .filters_count = 1, .sort = FIELD_COUNT, .limit = SIZE_MAX
    };
    struct flow_row *rows = NULL;
    size_t count = 0;
    struct error err = { 0 };
    if (!reader->ops->flow_search(reader, call->arena, &query, true, &rows, &count, NULL, &err)) {
        reply_failure(call, &err);
        return;
    }
    struct buf body = { 0 };
    put_flows(call, &body, rows, count, false);
    reply_buf(call, 200, "application/json", &body, NULL);
}

static void get_search(struct call *call)
{
    struct search search;
    struct store_reader *reader = NULL;
    if (!call_search(call, &search) || (reader = call_reader(call)) == NULL)
        return;
    struct flow_row *rows = NULL;
    size_t count = 0;
    int64_t total = 0;
    struct error err = { 0 };
    if (!reader->ops->flow_search(reader, call->arena, &search.query, true, &rows, &count, &total,
                                  &err)) {
        reply_failure(call, &err);
        return;
    }
    struct buf body = { 0 };
    buf_puts(&body, "{\"results\":");
    put_flows(call, &body, rows, count, false);
    buf_printf(&body, ",\"total\":%lld}", (long long)total);
    reply_buf(call, 200, "application/json", &body, NULL);
}

/* Lines of a source that hold a text, at most so many. */
#define FRAGMENTS_MAX 5U

/* The line with [mark]…[/mark] around what was looked for, in any case. */
static const char *marked(struct arena *arena, const char *line, const char *text)
{
    size_t length = strlen(text);
    struct buf out = { 0 };
    for (const char *at = line; *at != '\0';) {
        if (strncasecmp(at, text, length) == 0) {
            buf_puts(&out, "[mark]");
            buf_add(&out, at, length);
            buf_puts(&out, "[/mark]");
            at += length;
        } else {
            buf_putc(&out, *at++);
        }
    }
    const char *result = buf_dup(&out, arena);
    buf_free(&out);
    return result;
}

static const struct value *fragments(struct arena *arena,
                                     const struct flow_row *row,
                                     const char *text)
{
    struct value_builder list = value_build(arena);
    size_t found = 0;
    for (const char *at = row->source; *at != '\0' && found < FRAGMENTS_MAX;) {
        size_t length = strcspn(at, "\n");
        const char *line = arena_strndup(arena, at, length);
        bool is_all = str_empty(text);
        if (is_all || text_contains(line, text)) {
            value_add(&list, value_string(arena, is_all ? line : marked(arena, line, text)));
            found++;
        }
        at += length;
        at += *at == '\n' ? 1 : 0;
    }
    return value_build_list(&list);
}

static void get_source_search(struct call *call)
{
    struct search search;
    struct store_reader *reader = NULL;
    if (!call_search(call, &search) || (reader = call_reader(call)) == NULL)
        return;
    struct flow_row *rows = NULL;
    size_t count = 0;
    int64_t total = 0;
    struct error err = { 0 };
    if (!reader->ops->flow_search(reader, call->arena, &search.query, true, &rows, &count, &total,
                                  &err)) {
        reply_failure(call, &err);
        return;
    }
    struct buf body = { 0 };
    buf_puts(&body, "{\"results\":[");
    for (size_t i = 0; i < count; i++) {
        buf_puts(&body, i > 0 ? ",{\"model\":" : "{\"model\":");
        write_flow(call, &body, &rows[i], false);
        buf_puts(&body, ",\"fragments\":");
        value_write_json_full(&body, fragments(call->arena, &rows[i], search.text));
        buf_putc(&body, '}');
    }
    buf_printf(&body, "],\"total\":%lld}", (long long)total);
    reply_buf(call, 200, "application/json", &body, NULL);
}

static void get_distinct_namespaces(struct call *call)
{
    const char **names = NULL;
    size_t count = 0;
    if (!flow_namespaces(call, call_query(call, "q"), &names, &count))
        return;
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++)
        value_add(&list, value_string(call->arena, names[i]));
    reply_value(call, 200, value_build_list(&list));
}

/* ---- revisions ---- */

static void get_revisions(struct call *call)
{
    struct store_reader *reader = call_reader(call);
    if (reader == NULL)
        return;
    struct flow_row *rows = NULL;
    size_t count = 0;
    struct error err = { 0 };
    if (!reader->ops->flow_revisions(reader, call->arena, call->path[0], call->path[1], true, &rows,
                                     &count, &err)) {
        reply_failure(call, &err);
        return;
    }
    bool allow_deleted = call_query_bool(call, "allowDelete", false);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (allow_deleted || !rows[i].deleted)
            rows[kept++] = rows[i];
    }
    struct buf body = { 0 };
    put_flows(call, &body, rows, kept, true);
    reply_buf(call, 200, "application/json", &body, NULL);
}

static void delete_revisions(struct call *call)
{
    const char *text = call_required(call, "revisions");
    const struct http_fields *fields = &call->http->query;
    for (size_t i = 0, seen = 0; text != NULL && i < fields->count; i++) { // the name may repeat
        if (str_eq(fields->items[i].name, "revisions") && seen++ > 0)
            text = arena_printf(call->arena, "%s,%s", text, fields->items[i].value);
    }
    struct flow_row row;
    if (text == NULL || !call_flow_row(call, call->path[0], call->path[1], 0, true, &row))
        return;
    size_t commas = 0;
    for (const char *at = text; *at != '\0'; at++)
        commas += *at == ',' ? 1U : 0U;
    struct flow_change *changes = ARENA_ARRAY(call->arena, commas + 1, struct flow_change);
    size_t count = 0;
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        const char *number = str_trim(call->arena, arena_strndup(call->arena, text, length));
        int64_t revision = 0;
        if (!str_to_int(number, 1, INT64_MAX, &revision)) {
            reply_error(call, 422, "Illegal argument", "revision '%s' must be at least 1", number);
            return;
        }
        changes[count] = (struct flow_change){ .namespace = row.namespace, .id = row.id };
        changes[count++].result.revision = revision;
        text += length;
        text += *text == ',' ? 1 : 0;
    }
    call->driver.type = REQUEST_CHANGE;
    call->driver.change = (struct change_request){
        .origin = call_origin(call),
        .flows = changes,
        .flows_count = count,
        .purges_revisions = true,
    };
    call_drive(call, removed);
}

/* ---- parts of a flow ---- */

/* The parsed flow of the path; on failure replies and returns NULL. */
static struct flow *parsed_flow(struct call *call, struct flow_row *row)
{
    int64_t revision = 0;
    struct error err = { 0 };
    if (!call_query_int(call, "revision", 1, 0, &revision) ||
        !call_flow_row(call, call->path[0], call->path[1], revision, false, row))
        return NULL;
    struct flow *flow = call_flow(call, row, &err);
    if (flow == NULL)
        reply_error(call, 422, "Illegal argument", "%s", err.text);
    return flow;
}

static void get_task(struct call *call)
{
    struct flow_row row;
    struct flow *flow = parsed_flow(call, &row);
    if (flow == NULL)
        return;
    const struct task *task = flow_find_task(flow, call->path[2]);
    if (task == NULL)
        reply_error(call, 404, "Not Found", "no task %s", call->path[2]);
    else
        reply_value(call, 200, task->doc);
    flow_unref(flow);
}

static void get_graph(struct call *call)
{
    struct flow_row row;
    struct flow *flow = parsed_flow(call, &row);
    if (flow == NULL)
        return;
    reply_graph(call, flow, NULL);
    flow_unref(flow);
}

static void post_graph(struct call *call)
{
    struct document document = { .source = call->http->body, .length = call->http->body_length };
    document_parse(call, &document);
    if (document.flow == NULL)
        reply_invalid_flow(call, &document);
    else
        reply_graph(call, document.flow, NULL);
    flow_unref(document.flow);
}

static void get_dependencies(struct call *call)
{
    reply_dependencies(call, call->path[0], call->path[1]);
}

/* ---- validation ---- */

static const struct value *finding_texts(struct arena *arena,
                                         const struct document *document,
                                         enum diag_level level)
{
    struct value_builder list = value_build(arena);
    for (size_t i = 0; i < document->findings.all.count; i++) {
        const struct diag *diag = &document->findings.all.items[i];
        if (diag->level != level)
            continue;
        const char *text = diag->api != NULL ? diag->api : diag->message;
        value_add(&list, value_string(arena, level == DIAG_DEPRECATION ? diag->path : text));
    }
    return value_build_list(&list);
}

/* Subflows that do not exist or are disabled, in addition to the findings. */
static const struct value *subflow_warnings(struct call *call, const struct flow *flow)
{
    struct value_builder list = value_build(call->arena);
    size_t count = 0;
    const struct flow_reference *references = flow_references(flow, call->arena, &count);
    for (size_t i = 0; i < count && call->reader != NULL; i++) {
        if (references[i].kind != REF_SUBFLOW)
            continue;
        const char *namespace =
            references[i].namespace != NULL ? references[i].namespace : flow->namespace;
        struct flow_row row;
        struct error err = { 0 };
        bool found = call->reader->ops->flow_get(call->reader, call->arena, namespace,
                                                 references[i].name, 0, false, &row, &err);
        if (found ? row.disabled : err.code == ERR_NOT_FOUND)
            value_add(&list, value_string(call->arena,
                                          arena_printf(call->arena, "Subflow '%s.%s' %s", namespace,
                                                       references[i].name,
                                                       found ? "is disabled" : "does not exist")));
    }
    return value_build_list(&list);
}

/* Id or namespace as the text says, also of a flow that is not valid; NULL when unknown. */
static const char *peek(struct call *call, const struct document *document, const char *key)
{
    const struct value *doc =
        yaml_parse(call->arena, document->source, document->length, NULL, NULL);
    return value_get_text(doc, key, NULL);
}

/* The flow exists, and the source does not say that it is the revision after it. */
static bool is_outdated(struct call *call, const char *namespace, const char *id, int64_t revision)
{
    struct flow_row row;
    struct error err = { 0 };
    return namespace != NULL && id != NULL && call->reader != NULL &&
           call->reader->ops->flow_get(call->reader, call->arena, namespace, id, 0, false, &row,
                                       &err) &&
           revision != row.revision + 1;
}

static const struct value *concat(struct arena *arena, const struct value *a, const struct value *b)
{
    struct value_builder list = value_build(arena);
    for (size_t i = 0; i < value_count(a); i++)
        value_add(&list, value_item(a, i));
    for (size_t i = 0; i < value_count(b); i++)
        value_add(&list, value_item(b, i));
    return value_build_list(&list);
}

static const struct value *violation(struct call *call,
                                     const struct document *document,
                                     size_t index)
{
    struct arena *arena = call->arena;
    const struct flow *flow = document->flow;
    const char *id = flow != NULL ? flow->id : peek(call, document, "id");
    const char *namespace = flow != NULL ? flow->namespace : peek(call, document, "namespace");
    struct value_builder map = value_build(arena);
    value_put_int(&map, "index", (int64_t)index);
    value_put_text(&map, "filename", document->file_name);
    value_put_text(&map, "namespace", namespace);
    value_put_text(&map, "flow", id);
    if (flow == NULL) {
        value_put_text(&map, "constraints", diag_constraints(&document->findings, true));
        value_put_bool(&map, "outdated", false);
        return value_build_map(&map);
    }
    int64_t revision = value_get_int(flow->doc, "revision", 0);
    value_put_bool(&map, "outdated", is_outdated(call, namespace, id, revision));
    value_put(&map, "deprecationPaths", finding_texts(arena, document, DIAG_DEPRECATION));
    value_put(
        &map, "warnings",
        concat(arena, finding_texts(arena, document, DIAG_WARNING), subflow_warnings(call, flow)));
    value_put(&map, "infos", finding_texts(arena, document, DIAG_INFO));
    return value_build_map(&map);
}

static void post_validate(struct call *call)
{
    struct document *documents = NULL;
    size_t count = 0;
    if (!documents_read(call, &documents, &count) || call_reader(call) == NULL)
        return;
    struct document empty = { .source = "" };
    if (count == 0) {
        documents = &empty;
        count = 1;
    }
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++) {
        document_parse(call, &documents[i]);
        value_add(&list, violation(call, &documents[i], i));
    }
    struct buf body = { 0 };
    value_write_json_full(&body, value_build_list(&list));
    documents_release(documents, count);
    reply_buf(call, 200, "application/json", &body, NULL);
}

/* A flow around one task or trigger. */
static const char *flow_around(struct arena *arena, const struct value *part, bool is_trigger)
{
    static const char some_task[] =
        "[{\"id\": \"weir_some_task\", \"type\": \"io.kestra.plugin.core.log.Log\", "
        "\"message\": \"\"}]";
    struct value_builder map = value_build(arena);
    value_put_text(&map, "id", "validation");
    value_put_text(&map, "namespace", "system");
    value_put(&map, "tasks",
              is_trigger ? json_parse(arena, some_task, strlen(some_task), NULL)
                         : value_list(arena, &part, 1));
    if (is_trigger)
        value_put(&map, "triggers", value_list(arena, &part, 1));
    return yaml_format(arena, value_build_map(&map), YAML_EXACT);
}

static void reply_part(struct call *call, bool is_trigger)
{
    struct error err = { 0 };
    struct document document = { 0 };
    struct value_builder map = value_build(call->arena);
    value_put_int(&map, "index", 0);
    value_put_bool(&map, "outdated", false);
    const struct value *part =
        yaml_parse(call->arena, call->http->body, call->http->body_length, NULL, &err);
    if (part == NULL) {
        value_put_text(
            &map, "constraints",
            arena_printf(call->arena, "Illegal flow source: %s (at line %u)", err.text, err.line));
        reply_value(call, 200, value_build_map(&map));
        return;
    }
    document.source = flow_around(call->arena, part, is_trigger);
    document.length = strlen(document.source);
    document_parse(call, &document);
    if (document.flow == NULL) {
        value_put_text(&map, "constraints", diag_constraints(&document.findings, true));
    } else {
        value_put(&map, "deprecationPaths",
                  finding_texts(call->arena, &document, DIAG_DEPRECATION));
        value_put(&map, "warnings", finding_texts(call->arena, &document, DIAG_WARNING));
        value_put(&map, "infos", finding_texts(call->arena, &document, DIAG_INFO));
    }
    flow_unref(document.flow);
    reply_value(call, 200, value_build_map(&map));
}

static void post_validate_task(struct call *call)
{
    const char *section = call_query(call, "section");
    if (section == NULL && !is_json(call)) {
        section = call_required(call, "section");
        if (section == NULL)
            return;
    }
    if (section != NULL && !str_eq_nocase(section, "TASKS") &&
        !str_eq_nocase(section, "TRIGGERS")) {
        reply_error(call, 422, "Bad Request", "Failed to convert argument [section] for value [%s]",
                    section);
        return;
    }
    reply_part(call, str_eq_nocase(section, "TRIGGERS"));
}

static void post_validate_trigger(struct call *call)
{
    reply_part(call, true);
}

/* ---- table ---- */

static const struct route_query get_query[] = {
    { "source", "boolean", "The source text too.", false },
    { "revision", "integer", "The latest otherwise.", false },
    { "allowDeleted", "boolean", "Also when the flow is deleted.", false },
    { 0 },
};
static const struct route_query revision_query[] = {
    { "revision", "integer", "The latest otherwise.", false },
    { 0 },
};
static const struct route_query revisions_query[] = {
    { "allowDelete", "boolean", "Deleted revisions too.", false },
    { 0 },
};
static const struct route_query delete_revisions_query[] = {
    { "revisions", "string", "Numbers separated by commas.", true },
    { 0 },
};
static const struct route_query section_query[] = {
    { "section", "string", "TASKS or TRIGGERS.", true },
    { 0 },
};
static const struct route_query graph_query[] = {
    { "revision", "integer", "The latest otherwise.", false },
    { "subflows", "array", "Uids of subflow tasks to expand.", false },
    { 0 },
};
static const struct route_query dependencies_query[] = {
    { "destinationOnly", "boolean", "Only what the flow leads to.", false },
    { "expandAll", "boolean", "Dependencies of dependencies too.", false },
    { 0 },
};
static const struct route_query text_query[] = {
    { "q", "string", "Part of the name.", false },
    { 0 },
};

#define YAML "application/x-yaml"

const struct route flow_routes[] = {
    { "POST", "flows", post_flow, .body = YAML, .shape = "FlowWithSource",
      .doc = "Creates a flow." },
    { "GET", "flows/{namespace}/{id}", get_flow, .query = get_query, .shape = "Flow",
      .doc = "One flow." },
    { "PUT", "flows/{namespace}/{id}", put_flow, .body = YAML, .shape = "FlowWithSource",
      .doc = "Replaces a flow by a new revision." },
    { "DELETE", "flows/{namespace}/{id}", delete_flow, .doc = "Deletes a flow." },
    { "GET", "flows/{namespace}", get_of_namespace, .doc = "Flows of exactly this namespace." },
    { "GET", "flows/search", get_search, .flags = ROUTE_PAGED, .resource = RESOURCE_FLOW,
      .shape = "PagedFlow", .doc = "Flows by filters." },
    { "GET", "flows/source", get_source_search, .flags = ROUTE_PAGED, .resource = RESOURCE_FLOW,
      .doc = "Flows by their source, with the lines that match." },
    { "GET", "flows/distinct-namespaces", get_distinct_namespaces, .query = text_query,
      .doc = "Namespaces that have flows." },
    { "GET", "flows/{namespace}/{id}/revisions", get_revisions, .query = revisions_query,
      .doc = "All revisions of a flow, oldest first." },
    { "DELETE", "flows/{namespace}/{id}/revisions", delete_revisions,
      .query = delete_revisions_query, .doc = "Forgets revisions of a flow." },
    { "GET", "flows/{namespace}/{id}/tasks/{taskId}", get_task, .query = revision_query,
      .doc = "One task of a flow." },
    { "GET", "flows/{namespace}/{id}/graph", get_graph, .query = graph_query, .shape = "FlowGraph",
      .doc = "The graph of a flow." },
    { "POST", "flows/graph", post_graph, .query = graph_query, .body = YAML, .shape = "FlowGraph",
      .doc = "The graph of a source." },
    { "GET", "flows/{namespace}/{id}/dependencies", get_dependencies, .query = dependencies_query,
      .shape = "FlowTopologyGraph", .doc = "What leads to a flow and what it leads to." },
    { "POST", "flows/validate", post_validate, .flags = ROUTE_UPLOAD, .body = YAML,
      .shape = "Violations", .doc = "Checks one or many flows without saving." },
    { "POST", "flows/validate/task", post_validate_task, .query = section_query, .body = YAML,
      .shape = "Violation", .doc = "Checks a task." },
    { "POST", "flows/validate/trigger", post_validate_trigger, .body = "application/json",
      .shape = "Violation", .doc = "Checks a trigger." },
    { 0 },
};
