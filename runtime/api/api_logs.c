/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines (api.md 2.3).
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/value.h"
#include "runtime/api/call.h"
#include "runtime/api/shapes.h"
#include "runtime/api/streams.h"
#include "runtime/store/logstore.h"

/* Text of one download; more is cut, and says so. */
#define DOWNLOAD_BYTES_MAX ((size_t)512 * 1024 * 1024)

/* Lines of a plain list, which has no pages. */
#define LIST_LINES_MAX 100000U

/* ---- selectors ---- */

static bool add_selector(
    struct call *call, struct filter *filters, size_t *count, const char *name, enum field field)
{
    const char *text = call_query(call, name);
    if (str_empty(text))
        return true;
    const char **values = ARENA_NEW(call->arena, const char *);
    values[0] = text;
    if (field == FIELD_ATTEMPT) {
        int64_t attempt = 0;
        if (!call_query_int(call, name, 0, 0, &attempt))
            return false;
        values[0] = arena_printf(call->arena, "%lld", (long long)attempt + 1); // stored from 1
    }
    filters[(*count)++] = (struct filter){
        .field = field, .match = MATCH_EQUAL, .values = values, .values_count = 1
    };
    return true;
}

/*
 * Filters of the query string, and the selectors of one execution's log. On failure replies and
 * returns false.
 */
static bool read_query(struct call *call, struct query *out)
{
    static const struct {
        const char *name;
        enum field field;
    } selectors[] = {
        { "taskRunId", FIELD_RUN },
        { "taskId", FIELD_TASK },
        { "attempt", FIELD_ATTEMPT },
    };
    struct search search;
    if (!call_search(call, &search))
        return false;
    size_t count = search.query.filters_count;
    struct filter *filters = ARENA_ARRAY(call->arena, count + 3, struct filter);
    if (count > 0)
        memcpy(filters, search.query.filters, count * sizeof(*filters));
    for (size_t i = 0; i < count; i++) {
        // the attemptNumber of clients counts from 0
        int64_t attempt = 0;
        if (filters[i].field == FIELD_ATTEMPT &&
            str_to_int(filters[i].values[0], 0, 1000000, &attempt)) {
            const char **values = ARENA_NEW(call->arena, const char *);
            values[0] = arena_printf(call->arena, "%lld", (long long)attempt + 1);
            filters[i].values = values;
        }
    }
    for (size_t i = 0; i < 3; i++) {
        if (!add_selector(call, filters, &count, selectors[i].name, selectors[i].field))
            return false;
    }
    *out = search.query;
    out->filters = filters;
    out->filters_count = count;
    out->sort = FIELD_START;
    return true;
}

/* The execution, or key 0 when it is not known (any more). False when the call was answered. */
static bool find_execution(struct call *call, struct execution_row *row)
{
    struct store_reader *reader = call_reader(call);
    struct error err = { 0 };
    if (reader == NULL)
        return false;
    if (reader->ops->execution_get(reader, call->arena, call->path[0], row, &err))
        return true;
    if (err.code == ERR_NOT_FOUND || err.code == ERR_CONFLICT) {
        *row = (struct execution_row){ .key = 0 };
        return true;
    }
    reply_failure(call, &err);
    return false;
}

/* Lines that stayed after their execution was deleted are found by its id. */
static void add_execution_filter(struct call *call, struct query *query)
{
    struct filter *filters = ARENA_ARRAY(call->arena, query->filters_count + 1, struct filter);
    if (query->filters_count > 0)
        memcpy(filters, query->filters, query->filters_count * sizeof(*filters));
    filters[query->filters_count++] = (struct filter){
        .field = FIELD_EXECUTION,
        .match = MATCH_EQUAL,
        .values = &call->path[0],
        .values_count = 1,
    };
    query->filters = filters;
}

/* ---- lists ---- */

static void put_lines(struct buf *out,
                      struct arena *arena,
                      const struct log_line *lines,
                      size_t count)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        struct arena_mark mark = arena_mark(arena);
        if (i > 0)
            buf_putc(out, ',');
        value_write_json_full(out, shape_log_line(arena, &lines[i]));
        arena_rewind(arena, mark);
    }
    buf_putc(out, ']');
}

static void get_logs(struct call *call)
{
    struct execution_row row;
    struct query query;
    struct log_line *lines = NULL;
    size_t count = 0;
    struct error err = { 0 };
    if (!read_query(call, &query) || !find_execution(call, &row))
        return;
    if (row.key == 0)
        add_execution_filter(call, &query);
    query.offset = 0;
    query.limit = LIST_LINES_MAX;
    if (!logstore_search(call->api->config.logs, call->reader, call->arena, row.key, &query, &lines,
                         &count, NULL, &err)) {
        reply_failure(call, &err);
        return;
    }
    struct buf body = { 0 };
    put_lines(&body, call->arena, lines, count);
    reply_buf(call, 200, "application/json", &body, NULL);
}

static void get_search(struct call *call)
{
    struct search search;
    struct store_reader *reader = NULL;
    struct log_line *lines = NULL;
    size_t count = 0;
    int64_t total = 0;
    struct error err = { 0 };
    if (!call_search(call, &search) || (reader = call_reader(call)) == NULL)
        return;
    search.query.sort = FIELD_START;
    if (!logstore_search(call->api->config.logs, reader, call->arena, 0, &search.query, &lines,
                         &count, &total, &err)) {
        reply_failure(call, &err);
        return;
    }
    struct buf body = { 0 };
    buf_puts(&body, "{\"results\":");
    put_lines(&body, call->arena, lines, count);
    buf_printf(&body, ",\"total\":%lld,\"type\":\"OFFSET\"}", (long long)total);
    reply_buf(call, 200, "application/json", &body, NULL);
}

/* ---- download and follow ---- */

static bool download_line(void *data, const struct log_line *line)
{
    struct buf *out = data;
    time_write_instant(out, line->at, 0);
    buf_printf(out, " %s ", log_level_name(line->level));
    buf_add(out, line->message, line->length);
    buf_putc(out, '\n');
    if (out->length <= DOWNLOAD_BYTES_MAX)
        return true;
    buf_puts(out, "… the log is longer than a download may be; use a filter\n");
    return false;
}

static void get_download(struct call *call)
{
    struct execution_row row;
    struct query query;
    struct error err = { 0 };
    if (!read_query(call, &query) || !call_execution(call, call->path[0], &row))
        return;
    query.offset = 0;
    query.limit = SIZE_MAX;
    struct buf body = { 0 };
    if (!logstore_walk(call->api->config.logs, call->reader, row.key, &query, download_line, &body,
                       &err)) {
        buf_free(&body);
        reply_failure(call, &err);
        return;
    }
    struct http_field headers[] = {
        { "Content-Disposition",
          arena_printf(call->arena, "attachment; filename=\"%s.log\"", row.id.text) },
        { states[row.state].is_terminal ? NULL : "Cache-Control", "no-cache" },
        { 0 },
    };
    reply_buf(call, 200, "text/plain; charset=utf-8", &body, headers);
}

static void get_follow(struct call *call)
{
    struct execution_row row;
    struct query query;
    if (!read_query(call, &query) || !call_execution(call, call->path[0], &row))
        return;
    query.offset = 0;
    query.limit = SIZE_MAX;
    stream_logs(call, &row, &query);
}

/* ---- delete ---- */

static void deleted(struct call *call)
{
    if (!call_driver_failed(call))
        reply_empty(call, 200);
}

/* What a purge can be told of a filter; false: it knows no such filter. */
static bool add_to_purge(struct logs_request *purge, const struct filter *filter)
{
    const char *value = filter->values_count == 1 ? filter->values[0] : NULL;
    int64_t number = 0;
    if (filter->match != MATCH_EQUAL || value == NULL)
        return false;
    enum log_level level = LOG_TRACE;
    if (filter->field == FIELD_LEVEL && log_level_parse(value, &level)) {
        for (unsigned each = level; each <= LOG_ERROR; each++)
            purge->levels |= BIT(each);
    } else if (filter->field == FIELD_TASK) {
        purge->task_id = value;
    } else if (filter->field == FIELD_RUN) {
        purge->run_id = value;
    } else if (filter->field == FIELD_ATTEMPT && str_to_int(value, 1, INT32_MAX, &number)) {
        purge->attempt = (uint32_t)number;
    } else {
        return false;
    }
    return true;
}

static void delete_of_execution(struct call *call)
{
    struct query query;
    if (!read_query(call, &query))
        return;
    struct logs_request purge = { .execution_id = call->path[0] };
    for (size_t i = 0; i < query.filters_count; i++) {
        if (!add_to_purge(&purge, &query.filters[i])) { // rather nothing than too much
            reply_error(call, 422, "Illegal argument",
                        "lines to delete are selected by minLevel, taskId, taskRunId and attempt");
            return;
        }
    }
    call->driver.type = REQUEST_LOGS;
    call->driver.logs = purge;
    call_drive(call, deleted);
}

static void delete_of_flow(struct call *call)
{
    call->driver.type = REQUEST_LOGS;
    call->driver.logs = (struct logs_request){
        .namespace = call->path[0],
        .flow_id = call->path[1],
        .trigger_id = call_query(call, "triggerId"),
        .before = USEC_NEVER,
    };
    call_drive(call, deleted);
}

static const struct route_query selector_query[] = {
    { "minLevel", "string", "This level and above: TRACE, DEBUG, INFO, WARN, ERROR.", false },
    { "taskRunId", "string", "Of this task run.", false },
    { "taskId", "string", "Of this task.", false },
    { "attempt", "integer", "Of this attempt, counted from 0.", false },
    { 0 },
};
static const struct route_query trigger_query[] = {
    { "triggerId", "string", "Of this trigger.", false },
    { 0 },
};

const struct route log_routes[] = {
    { "GET", "logs/search", get_search, .flags = ROUTE_PAGED, .resource = RESOURCE_LOG,
      .shape = "PagedLogEntry", .doc = "Log lines by filters." },
    { "GET", "logs/{executionId}", get_logs, .resource = RESOURCE_LOG, .query = selector_query,
      .doc = "Log lines of an execution, by time." },
    { "GET", "logs/{executionId}/download", get_download, .resource = RESOURCE_LOG,
      .query = selector_query, .doc = "The log of an execution as text." },
    { "GET", "logs/{executionId}/follow", get_follow, .resource = RESOURCE_LOG,
      .query = selector_query, .shape = "LogEntry",
      .doc = "Server-sent events with the lines of an execution." },
    { "DELETE", "logs/{executionId}", delete_of_execution, .resource = RESOURCE_LOG,
      .query = selector_query, .doc = "Removes the log of an execution." },
    { "DELETE", "logs/{namespace}/{flowId}", delete_of_flow, .query = trigger_query,
      .doc = "Removes the logs of a flow." },
    { 0 },
};
