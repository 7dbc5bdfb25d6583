/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting, reading, finding and deleting executions (api.md 2.2.1, 2.2.2).
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "core/value.h"
#include "runtime/api/call.h"
#include "runtime/api/csv.h"
#include "runtime/api/executions.h"
#include "runtime/api/graph.h"
#include "runtime/api/shapes.h"
#include "runtime/api/start.h"
#include "runtime/api/streams.h"
#include "runtime/storage/storage.h"

/* Rows of one CSV file. */
#define CSV_ROWS_MAX 1000000U

/* ---- answers ---- */

void reply_execution(struct call *call,
                     int status,
                     const struct execution_row *row,
                     const char *url)
{
    struct buf body = { 0 };
    struct error err = { 0 };
    if (!shape_execution(&body, call->arena, &call->api->config, row, url, &err)) {
        buf_free(&body);
        reply_failure(call, &err);
        return;
    }
    reply_buf(call, status, "application/json", &body, NULL);
}

/* ---- create ---- */

/* Kept until the driver has answered: its request borrows from the flow. */
struct creation {
    const char *url;
    struct flow *flow;
};

static void created(struct call *call)
{
    struct creation *creation = call->data;
    const struct create_request *create = &call->driver.create;
    flow_unref(creation->flow);
    creation->flow = NULL;
    if (!call->driver.ok && call->driver.error.code == ERR_TIMEOUT) {
        // it waits longer than it may: the execution as it is now
        struct execution_row row;
        if (call_execution(call, create->id->text, &row))
            reply_execution(call, 200, &row, creation->url);
        return;
    }
    if (!call_driver_failed(call))
        reply_execution(call, 200, call->driver.execution.row, creation->url);
}

static bool parse_kind(struct call *call, enum execution_kind *out)
{
    static const struct {
        const char *name;
        enum execution_kind kind;
    } kinds[] = { { "NORMAL", KIND_NORMAL },
                  { "TEST", KIND_TEST },
                  { "PLAYGROUND", KIND_PLAYGROUND } };
    const char *text = call_query(call, "kind");
    if (str_empty(text))
        return true;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (str_eq_nocase(kinds[i].name, text)) {
            *out = kinds[i].kind;
            return true;
        }
    }
    reply_error(call, 422, "Bad Request", "Failed to convert argument [kind] for value [%s]", text);
    return false;
}

const struct value *parse_breakpoints(struct arena *arena, const char *text)
{
    if (str_empty(text))
        return NULL;
    struct value_builder list = value_build(arena);
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        const char *item = str_trim(arena, arena_strndup(arena, text, length));
        const char *dot = strchr(item, '.');
        struct value_builder map = value_build(arena);
        value_put_text(&map, "id",
                       dot == NULL ? item : arena_strndup(arena, item, (size_t)(dot - item)));
        value_put_text(&map, "value", dot == NULL ? NULL : dot + 1);
        if (item[0] != '\0')
            value_add(&list, value_build_map(&map));
        text += length;
        text += *text == ',' ? 1 : 0;
    }
    return value_build_list(&list);
}

/* Query parameters of a start into the request; on failure replies and returns false. */
static bool read_options(struct call *call, struct create_request *create)
{
    const char *schedule = call_query(call, "scheduleDate");
    if (!str_empty(schedule) && !filter_date_parse(schedule, &create->schedule_at)) {
        reply_error(call, 422, "Bad Request",
                    "Failed to convert argument [scheduleDate] for value [%s]", schedule);
        return false;
    }
    create->breakpoints = parse_breakpoints(call->arena, call_query(call, "breakpoints"));
    create->wait = call_query_bool(call, "wait", false);
    return parse_kind(call, &create->kind);
}

static void post_execution(struct call *call)
{
    const char *namespace = call->path[0];
    const char *flow_id = call->path[1];
    int64_t revision = 0;
    struct create_request create = { .namespace = namespace, .flow_id = flow_id };
    struct start start;
    struct error err = { 0 };
    if (!call_query_int(call, "revision", 1, 0, &revision) || !read_options(call, &create) ||
        !start_flow(&start, call, namespace, flow_id, revision))
        return;
    bool ok = start_inputs(&start) && start_labels(&start) && start_accept(&start);
    if (ok && !form_store(call, &start.form, &err)) {
        reply_failure(call, &err);
        ok = false;
    }
    if (!ok) {
        start_release(&start);
        return;
    }

    struct id *id = arena_memdup(call->arena, &start.id, sizeof(start.id));
    create.id = id;
    create.revision = start.row.revision;
    create.inputs = start.inputs.stored;
    create.labels = start.labels;
    create.labels_count = start.labels_count;
    create.is_failed = start.checks.is_failed;
    if (create.is_failed)
        create.message = start.checks.failed[0].message;
    create.user = call->user;
    struct creation *creation = ARENA_NEW(call->arena, struct creation);
    creation->flow = start.flow;
    creation->url =
        shape_execution_url(call->arena, &call->api->config, namespace, flow_id, id->text);
    call->data = creation;
    call->driver.type = REQUEST_CREATE;
    call->driver.wants_row = true;
    call->driver.create = create;
    if (create.wait)
        call_hold(call, created);
    else
        call_drive(call, created);
}

static void post_validate(struct call *call)
{
    int64_t revision = 0;
    struct start start;
    if (!call_query_int(call, "revision", 1, 0, &revision) ||
        !start_flow(&start, call, call->path[0], call->path[1], revision))
        return;
    if (start_inputs(&start) && start_labels(&start))
        reply_value(call, 200,
                    shape_input_validation(call->arena, start.row.id, start.row.namespace,
                                           &start.inputs, &start.checks));
    start_release(&start);
}

/* ---- read ---- */

static void get_execution(struct call *call)
{
    struct execution_row row;
    if (call_execution(call, call->path[0], &row))
        reply_execution(call, 200, &row, NULL);
}

/* Executions read at a time, with their runs: what is in memory besides the answer. */
#define SEARCH_PIECE 50U

/* Of the answer; a page of ordinary executions is far below. */
#define SEARCH_BYTES_MAX ((size_t)256 * 1024 * 1024)

/* Appends executions found from the offset on; *count tells how many. */
static bool write_piece(struct call *call,
                        struct buf *out,
                        const struct query *query,
                        bool with_runs,
                        size_t *count,
                        int64_t *total,
                        struct error *err)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct store_reader *reader = call->reader;
    struct execution_row *rows = NULL;
    if (!reader->ops->execution_search(reader, arena, query, with_runs, &rows, count, total, err))
        return false;
    for (size_t i = 0; i < *count; i++) {
        struct arena_mark mark = arena_mark(arena);
        if (out->bytes[out->length - 1] != '[')
            buf_putc(out, ',');
        if (!shape_execution(out, arena, &call->api->config, &rows[i], NULL, err))
            return false;
        arena_rewind(arena, mark);
    }
    return true;
}

static void search(struct call *call, const struct query *query)
{
    struct store_reader *reader = call_reader(call);
    if (reader == NULL)
        return;
    bool with_runs = call_query_bool(call, "taskRuns", true);
    struct error err = { 0 };
    if (!reader->ops->begin(reader, &err)) { // all pieces are of one state
        reply_failure(call, &err);
        return;
    }
    struct buf body = { 0 };
    buf_puts(&body, "{\"results\":[");
    int64_t total = 0;
    bool ok = true;
    bool is_last = false;
    for (size_t done = 0; ok && !is_last;) {
        struct query piece = *query;
        size_t left = query->limit - done;
        piece.offset = query->offset + done;
        piece.limit = left < SEARCH_PIECE ? left : SEARCH_PIECE;
        size_t count = 0;
        ok = write_piece(call, &body, &piece, with_runs, &count, done == 0 ? &total : NULL, &err);
        done += count;
        is_last = count < SEARCH_PIECE || done >= query->limit;
        if (ok && body.length > SEARCH_BYTES_MAX)
            ok = error_set(&err, ERR_LIMIT,
                           "the page is longer than %zu MiB; ask for fewer, or with taskRuns=false",
                           SEARCH_BYTES_MAX >> 20);
    }
    reader->ops->end(reader);
    if (!ok) {
        buf_free(&body);
        if (err.code == ERR_LIMIT)
            reply_error(call, 422, "Illegal argument", "%s", err.text);
        else
            reply_failure(call, &err);
        return;
    }
    buf_printf(&body, "],\"total\":%lld}", (long long)total);
    reply_buf(call, 200, "application/json", &body, NULL);
}

static void get_search(struct call *call)
{
    struct filter_context context = {
        .now = clock_now(),
        .system_namespace = call->api->config.system_namespace,
        .default_range = true,
    };
    struct refusal refusal = { 0 };
    struct search found;
    if (!search_parse(call->arena, RESOURCE_EXECUTION, &call->http->query, &context, &found,
                      &refusal)) {
        reply_refusal(call, &refusal);
        return;
    }
    if (found.query.sort == FIELD_COUNT) {
        found.query.sort = FIELD_START;
        found.query.descending = true;
    }
    search(call, &found.query);
}

static void get_of_flow(struct call *call)
{
    const char *namespace = call_required(call, "namespace");
    const char *flow_id = namespace == NULL ? NULL : call_required(call, "flowId");
    struct filter_context context = { .now = clock_now() };
    struct refusal refusal = { 0 };
    struct search found;
    if (flow_id == NULL)
        return;
    if (!search_parse(call->arena, RESOURCE_NONE, &call->http->query, &context, &found, &refusal)) {
        reply_refusal(call, &refusal);
        return;
    }
    struct filter filters[] = {
        { .field = FIELD_NAMESPACE, .match = MATCH_EQUAL, .values = &namespace, .values_count = 1 },
        { .field = FIELD_FLOW, .match = MATCH_EQUAL, .values = &flow_id, .values_count = 1 },
    };
    found.query.filters = filters;
    found.query.filters_count = COUNT_OF(filters);
    found.query.sort = FIELD_START;
    found.query.descending = true;
    search(call, &found.query);
}

static bool add_latest(struct call *call,
                       struct store_reader *reader,
                       const struct value *about,
                       struct value_builder *list,
                       struct error *err)
{
    const char *namespace = value_get_text(about, "namespace", "");
    const char *flow_id = value_get_text(about, "id", value_get_text(about, "flowId", ""));
    struct filter filters[] = {
        { .field = FIELD_NAMESPACE, .match = MATCH_EQUAL, .values = &namespace, .values_count = 1 },
        { .field = FIELD_FLOW, .match = MATCH_EQUAL, .values = &flow_id, .values_count = 1 },
    };
    struct query query = {
        .filters = filters,
        .filters_count = COUNT_OF(filters),
        .sort = FIELD_START,
        .descending = true,
        .limit = 1,
    };
    struct execution_row *rows = NULL;
    size_t count = 0;
    if (!reader->ops->execution_search(reader, call->arena, &query, false, &rows, &count, NULL,
                                       err))
        return false;
    if (count == 0)
        return true;
    struct value_builder map = value_build(call->arena);
    value_put_text(&map, "id", rows[0].id.text);
    value_put_text(&map, "flowId", rows[0].flow_id);
    value_put_text(&map, "namespace", rows[0].namespace);
    put_time(&map, "startDate", rows[0].created_at);
    value_put_text(&map, "status", states[rows[0].state].name);
    value_add(list, value_build_map(&map));
    return true;
}

static void post_latest(struct call *call)
{
    const struct value *body = call_json_list(call);
    struct store_reader *reader = body == NULL ? NULL : call_reader(call);
    if (reader == NULL)
        return;
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < value_count(body); i++) {
        struct error err = { 0 };
        if (!add_latest(call, reader, value_item(body, i), &list, &err)) {
            reply_failure(call, &err);
            return;
        }
    }
    reply_value(call, 200, value_build_list(&list));
}

static void get_follow(struct call *call)
{
    struct execution_row row;
    if (call_execution(call, call->path[0], &row))
        stream_execution(call, &row);
}

static void get_follow_dependencies(struct call *call)
{
    struct execution_row row;
    struct error err = { 0 };
    if (!call_execution(call, call->path[0], &row))
        return;
    struct execution *execution = execution_row_decode(&row, NULL, &err);
    if (execution == NULL) {
        reply_failure(call, &err);
        return;
    }
    const char *label = execution_label(execution, "system.correlationId");
    const char *correlation = arena_strdup(call->arena, label == NULL ? row.id.text : label);
    execution_free(execution);
    struct flow_name *flows = NULL;
    size_t count = 0;
    if (dependency_flows(call, row.namespace, row.flow_id, &flows, &count))
        stream_dependencies(call, &row, correlation, flows, count);
}

static void get_graph(struct call *call)
{
    struct execution_row row;
    struct flow_row flow_row;
    struct error err = { 0 };
    if (!call_execution(call, call->path[0], &row))
        return;
    if (!call->reader->ops->flow_get(call->reader, call->arena, row.namespace, row.flow_id,
                                     row.revision, true, &flow_row, &err)) {
        reply_failure(call, &err);
        return;
    }
    struct flow *flow = call_flow(call, &flow_row, &err);
    struct execution *execution = flow == NULL ? NULL : execution_row_decode(&row, flow, &err);
    if (execution == NULL)
        reply_failure(call, &err);
    else
        reply_graph(call, flow, execution);
    execution_free(execution);
    flow_unref(flow);
}

static void get_csv(struct call *call)
{
    struct search found;
    struct store_reader *reader = NULL;
    struct execution_row *rows = NULL;
    size_t count = 0;
    struct error err = { 0 };
    if (!call_search(call, &found) || (reader = call_reader(call)) == NULL)
        return;
    found.query.offset = 0;
    found.query.limit = CSV_ROWS_MAX;
    if (!reader->ops->execution_search(reader, call->arena, &found.query, false, &rows, &count,
                                       NULL, &err)) {
        reply_failure(call, &err);
        return;
    }
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++) {
        struct value_builder map = value_build(call->arena);
        value_put_text(&map, "id", rows[i].id.text);
        value_put_text(&map, "namespace", rows[i].namespace);
        value_put_text(&map, "flowId", rows[i].flow_id);
        value_put_int(&map, "flowRevision", rows[i].revision);
        value_put_text(&map, "state", states[rows[i].state].name);
        put_time(&map, "startDate", rows[i].created_at);
        put_time(&map, "endDate", rows[i].ended_at);
        value_add(&list, value_build_map(&map));
    }
    struct buf body = { 0 };
    csv_write(&body, value_build_list(&list));
    struct http_field headers[] = {
        { "Content-Disposition", "attachment; filename=executions.csv" },
        { 0 },
    };
    reply_buf(call, 200, "text/csv", &body, headers);
}

/* ---- delete ---- */

static void deleted(struct call *call)
{
    if (call_driver_failed(call))
        return;
    if (call->data != NULL)
        execution_files_remove(call, call->data);
    reply_empty(call, 204);
}

static void delete_execution(struct call *call)
{
    struct execution_row row;
    if (!call_execution(call, call->path[0], &row))
        return;
    const char **ids = ARENA_NEW(call->arena, const char *);
    ids[0] = arena_strdup(call->arena, row.id.text);
    call->driver.type = REQUEST_DELETE;
    call->driver.delete = (struct delete_request){
        .ids = ids,
        .count = 1,
        .keep_logs = !call_query_bool(call, "deleteLogs", true),
        .keep_metrics = !call_query_bool(call, "deleteMetrics", true),
        .non_terminated_too = true,
    };
    if (call_query_bool(call, "deleteStorage", true))
        call->data = storage_execution_path(call->arena, row.namespace, row.flow_id, row.id.text);
    call_drive(call, deleted);
}

/* ---- flows as executions see them ---- */

static void reply_reduced_flow(struct call *call,
                               const char *namespace,
                               const char *flow_id,
                               int64_t revision)
{
    struct store_reader *reader = call_reader(call);
    if (reader == NULL)
        return;
    struct flow_row row;
    struct error err = { 0 };
    if (!reader->ops->flow_get(reader, call->arena, namespace, flow_id, revision, revision != 0,
                               &row, &err)) {
        if (err.code == ERR_NOT_FOUND)
            reply_error(call, 404, "Not Found", "no flow %s/%s", namespace, flow_id);
        else
            reply_failure(call, &err);
        return;
    }
    struct flow *flow = call_flow(call, &row, &err);
    const struct value *shape = shape_flow_reduced(call->arena, &call->api->config, &row, flow);
    struct buf body = { 0 };
    value_write_json_full(&body, shape);
    flow_unref(flow);
    reply_buf(call, 200, "application/json", &body, NULL);
}

static void get_flow_of_execution(struct call *call)
{
    struct execution_row row;
    if (call_execution(call, call->path[0], &row))
        reply_reduced_flow(call, row.namespace, row.flow_id, row.revision);
}

static void get_flow(struct call *call)
{
    int64_t revision = 0;
    if (call_query_int(call, "revision", 1, 0, &revision))
        reply_reduced_flow(call, call->path[0], call->path[1], revision);
}

static void get_flows_of_namespace(struct call *call)
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
    buf_putc(&body, '[');
    for (size_t i = 0; i < count; i++) {
        struct flow *flow = call_flow(call, &rows[i], &err);
        if (i > 0)
            buf_putc(&body, ',');
        value_write_json_full(&body,
                              shape_flow_reduced(call->arena, &call->api->config, &rows[i], flow));
        flow_unref(flow);
    }
    buf_putc(&body, ']');
    reply_buf(call, 200, "application/json", &body, NULL);
}

static void get_namespaces(struct call *call)
{
    const char **names = NULL;
    size_t count = 0;
    if (!flow_namespaces(call, NULL, &names, &count))
        return;
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++)
        value_add(&list, value_string(call->arena, names[i]));
    reply_value(call, 200, value_build_list(&list));
}

/* ---- table ---- */

static const struct route_query start_query[] = {
    { "labels", "array", "key:value; may be repeated.", false },
    { "wait", "boolean", "Answer when the execution has ended, at most one hour later.", false },
    { "revision", "integer", "Of the flow; the latest otherwise.", false },
    { "scheduleDate", "string", "Start at this instant.", false },
    { "breakpoints", "string", "Task ids separated by commas, taskId or taskId.value.", false },
    { "kind", "string", "NORMAL, TEST or PLAYGROUND.", false },
    { 0 },
};

static const struct route_query revision_query[] = {
    { "labels", "array", "key:value; may be repeated.", false },
    { "revision", "integer", "Of the flow; the latest otherwise.", false },
    { 0 },
};

static const struct route_query of_flow_query[] = {
    { "namespace", "string", "Of the flow.", true },
    { "flowId", "string", "Of the flow.", true },
    { 0 },
};

static const struct route_query delete_query[] = {
    { "deleteLogs", "boolean", "Its log lines too; true by default.", false },
    { "deleteMetrics", "boolean", "Its metrics too; true by default.", false },
    { "deleteStorage", "boolean", "Its files too; true by default.", false },
    { 0 },
};

static const struct route_query graph_query[] = {
    { "subflows", "array", "Uids of subflow tasks to expand.", false },
    { 0 },
};

static const struct route_query search_query[] = {
    { "dateFilter", "string", "START_DATE or END_DATE: what date bounds apply to.", false },
    { "taskRuns", "boolean", "With task runs; true by default.", false },
    { 0 },
};

static const struct route_query follow_query[] = {
    { "destinationOnly", "boolean", "Only flows that this one leads to.", false },
    { "expandAll", "boolean", "Dependencies of dependencies too.", false },
    { 0 },
};

const struct route execution_routes[] = {
    { "POST", "executions/{namespace}/{id}", post_execution, .flags = ROUTE_UPLOAD,
      .query = start_query, .body = "multipart/form-data", .shape = "Execution",
      .doc = "Starts an execution; parts are inputs." },
    { "POST", "executions/trigger/{namespace}/{id}", post_execution,
      .flags = ROUTE_UPLOAD | ROUTE_DEPRECATED, .query = start_query, .body = "multipart/form-data",
      .shape = "Execution", .doc = "Starts an execution." },
    { "POST", "executions/{namespace}/{id}/validate", post_validate, .flags = ROUTE_UPLOAD,
      .query = revision_query, .body = "multipart/form-data", .shape = "InputValidation",
      .doc = "Resolves inputs and checks without starting." },
    { "GET", "executions/{executionId}", get_execution, .shape = "Execution",
      .doc = "One execution, by id or unique prefix." },
    { "GET", "executions", get_of_flow, .flags = ROUTE_PAGED, .query = of_flow_query,
      .shape = "PagedExecution", .doc = "Executions of one flow." },
    { "GET", "executions/search", get_search, .flags = ROUTE_PAGED, .resource = RESOURCE_EXECUTION,
      .query = search_query, .shape = "PagedExecution", .doc = "Executions by filters." },
    { "POST", "executions/latest", post_latest, .body = "application/json",
      .doc = "The latest execution of each flow of a list." },
    { "GET", "executions/{executionId}/follow-dependencies", get_follow_dependencies,
      .query = follow_query, .doc = "Server-sent events: executions that belong together." },
    { "GET", "executions/{executionId}/follow", get_follow, .shape = "Execution",
      .doc = "Server-sent events with every change of an execution." },
    { "GET", "executions/{executionId}/graph", get_graph, .query = graph_query,
      .shape = "FlowGraph", .doc = "The graph of the flow with the task runs." },
    { "GET", "executions/export/by-query/csv", get_csv, .resource = RESOURCE_EXECUTION,
      .query = search_query, .doc = "Executions as CSV." },
    { "DELETE", "executions/{executionId}", delete_execution, .query = delete_query,
      .doc = "Removes an execution." },
    { "GET", "executions/{executionId}/flow", get_flow_of_execution, .shape = "FlowForExecution",
      .doc = "The flow in the revision that was executed." },
    { "GET", "executions/flows/{namespace}/{flowId}", get_flow, .query = revision_query,
      .shape = "FlowForExecution", .doc = "A flow as needed to start it." },
    { "GET", "executions/namespaces", get_namespaces, .doc = "Namespaces that have flows." },
    { "GET", "executions/namespaces/{namespace}/flows", get_flows_of_namespace,
      .doc = "Flows of a namespace as needed to start them." },
    { 0 },
};
