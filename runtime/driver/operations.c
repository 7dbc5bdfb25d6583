/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tasks and expression functions may ask by name; the contract of each is in
 * runtime/worker/services.h.
 *
 * Runs on the caller's thread with a reader of its own; changes go through the driver like anybody
 * else's.
 *
 * To add one: a function, its row in the table at the end, its lines in services.h, a test.
 */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/expr/expr.h"
#include "core/inputs.h"
#include "core/labels.h"
#include "core/value.h"
#include "runtime/driver/driver_internal.h"
#include "runtime/worker/evaluate.h"
#include "runtime/worker/services.h"

/* Rows of one answer; callers ask in pages. */
#define ANSWER_MAX 10000

/* How long a subflow() may take when its caller names nothing. */
#define SUBFLOW_TIMEOUT USEC_MIN

struct call {
    struct driver_operations *operations;
    struct store_reader *reader;
    struct arena *arena;
    const struct value *arguments;
    struct error *err;
};

typedef const struct value *operation_fn(const struct call *call);

/* ---- arguments ---- */

static const char *text_of(const struct call *call, const char *name)
{
    return value_get_text(call->arguments, name, NULL);
}

/* A date: instant, zoned date-time or their text; 0 when absent or malformed. */
static usec_t date_of(const struct call *call, const char *name)
{
    const struct value *value = value_get(call->arguments, name);
    usec_t at = 0;
    if (value == NULL)
        return 0;
    if (value->kind == VALUE_INSTANT || value->kind == VALUE_ZONED)
        return value->time->at;
    const char *text = value_cstr(value);
    if (text != NULL && !time_parse_instant(text, &at, NULL, NULL))
        return 0;
    return at;
}

static const char **texts_of(const struct call *call, const struct value *list, size_t *count)
{
    *count = 0;
    const char **texts = ARENA_ARRAY(call->arena, value_count(list) + 1, const char *);
    for (size_t i = 0; i < value_count(list); i++) {
        const char *text = value_cstr(value_item(list, i));
        if (text != NULL)
            texts[(*count)++] = text;
    }
    return texts;
}

static const struct value *missing(const struct call *call, const char *name)
{
    error_set(call->err, ERR_INVALID, "'%s' is needed", name);
    return NULL;
}

/* Filters under construction. */
struct filters {
    struct filter items[8];
    size_t count;
};

static void add_text(const struct call *call,
                     struct filters *filters,
                     enum field field,
                     enum match match,
                     const char *text)
{
    if (text == NULL)
        return;
    const char **value = ARENA_ARRAY(call->arena, 1, const char *);
    value[0] = text;
    filters->items[filters->count++] =
        (struct filter){ .field = field, .match = match, .values = value, .values_count = 1 };
}

static void add_list(const struct call *call,
                     struct filters *filters,
                     enum field field,
                     const char *name)
{
    const struct value *list = value_get(call->arguments, name);
    if (!value_is_list(list) || value_count(list) == 0)
        return;
    size_t count = 0;
    const char **texts = texts_of(call, list, &count);
    filters->items[filters->count++] = (struct filter){
        .field = field, .match = MATCH_IN, .values = texts, .values_count = count
    };
}

static void add_dates(const struct call *call, struct filters *filters)
{
    usec_t start = date_of(call, "startDate");
    usec_t end = date_of(call, "endDate");
    if (start != 0)
        filters->items[filters->count++] =
            (struct filter){ .field = FIELD_START, .match = MATCH_GREATER_EQUAL, .at = start };
    if (end != 0)
        filters->items[filters->count++] =
            (struct filter){ .field = FIELD_START, .match = MATCH_LESS, .at = end };
}

/* ---- executions: reading ---- */

static const struct value *execution_get(const struct call *call)
{
    struct execution_row row;
    const char *id = text_of(call, "executionId");
    if (id == NULL)
        return missing(call, "executionId");
    if (!call->reader->ops->execution_get(call->reader, call->arena, id, &row, call->err))
        return NULL;
    struct value_builder builder = value_build(call->arena);
    value_put_text(&builder, "id", row.id.text);
    value_put_text(&builder, "namespace", row.namespace);
    value_put_text(&builder, "flowId", row.flow_id);
    value_put_text(&builder, "state", states[row.state].name);
    return value_build_map(&builder);
}

static const struct value *execution_exists(const struct call *call)
{
    const struct value *ids = value_get(call->arguments, "ids");
    struct value_builder existing = value_build(call->arena);
    for (size_t i = 0; i < value_count(ids); i++) {
        struct execution_row row;
        struct error err = { 0 };
        const char *id = value_cstr(value_item(ids, i));
        if (id == NULL)
            continue;
        if (call->reader->ops->execution_get(call->reader, call->arena, id, &row, &err)) {
            value_add(&existing, value_item(ids, i));
        } else if (err.code != ERR_NOT_FOUND) {
            *call->err = err;
            return NULL;
        }
    }
    struct value_builder builder = value_build(call->arena);
    value_put(&builder, "existing", value_build_list(&existing));
    return value_build_map(&builder);
}

/* Adds {namespace, flowId, count} of one flow. */
static bool count_flow(const struct call *call,
                       const char *namespace,
                       const char *flow_id,
                       struct value_builder *results,
                       int64_t *total)
{
    struct filters filters = { 0 };
    add_text(call, &filters, FIELD_NAMESPACE, MATCH_EQUAL, namespace);
    add_text(call, &filters, FIELD_FLOW, MATCH_EQUAL, flow_id);
    add_list(call, &filters, FIELD_STATE, "states");
    add_dates(call, &filters);
    struct query query = { .filters = filters.items,
                           .filters_count = filters.count,
                           .sort = FIELD_COUNT };
    struct execution_row *rows = NULL;
    size_t count = 0;
    int64_t found = 0;
    if (!call->reader->ops->execution_search(call->reader, call->arena, &query, false, &rows,
                                             &count, &found, call->err))
        return false;
    struct value_builder result = value_build(call->arena);
    value_put_text(&result, "namespace", namespace);
    value_put_text(&result, "flowId", flow_id);
    value_put_int(&result, "count", found);
    value_add(results, value_build_map(&result));
    *total += found;
    return true;
}

static bool count_namespace(const struct call *call,
                            const char *namespace,
                            struct value_builder *results,
                            int64_t *total)
{
    struct filters filters = { 0 };
    add_text(call, &filters, FIELD_NAMESPACE, MATCH_PREFIX, namespace);
    struct query query = { .filters = filters.items,
                           .filters_count = filters.count,
                           .sort = FIELD_COUNT,
                           .limit = ANSWER_MAX };
    struct flow_row *rows = NULL;
    size_t count = 0;
    if (!call->reader->ops->flow_search(call->reader, call->arena, &query, false, &rows, &count,
                                        NULL, call->err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!count_flow(call, rows[i].namespace, rows[i].id, results, total))
            return false;
    return true;
}

static const struct value *execution_count(const struct call *call)
{
    const struct value *flows = value_get(call->arguments, "flows");
    const struct value *namespaces = value_get(call->arguments, "namespaces");
    struct value_builder results = value_build(call->arena);
    int64_t total = 0;
    for (size_t i = 0; i < value_count(flows); i++) {
        const struct value *flow = value_item(flows, i);
        if (!count_flow(call, value_get_text(flow, "namespace", ""),
                        value_get_text(flow, "flowId", ""), &results, &total))
            return NULL;
    }
    for (size_t i = 0; i < value_count(namespaces); i++) {
        const char *namespace = value_cstr(value_item(namespaces, i));
        if (namespace != NULL && !count_namespace(call, namespace, &results, &total))
            return NULL;
    }
    struct value_builder builder = value_build(call->arena);
    value_put(&builder, "results", value_build_list(&results));
    value_put_int(&builder, "total", total);
    return value_build_map(&builder);
}

static const struct value *execution_find(const struct call *call)
{
    struct filters filters = { 0 };
    add_text(call, &filters, FIELD_NAMESPACE, MATCH_PREFIX, text_of(call, "namespace"));
    add_text(call, &filters, FIELD_FLOW, MATCH_EQUAL, text_of(call, "flowId"));
    add_list(call, &filters, FIELD_STATE, "states");
    add_dates(call, &filters);
    int64_t limit = value_get_int(call->arguments, "limit", 100);
    struct query query = {
        .filters = filters.items,
        .filters_count = filters.count,
        .sort = FIELD_START,
        .limit = limit < 1 || limit > ANSWER_MAX ? ANSWER_MAX : (size_t)limit,
    };
    struct value_builder found = value_build(call->arena);
    // Those that have not ended are passed over: pages are read until enough have.
    for (bool more = true; more;) {
        struct execution_row *rows = NULL;
        size_t count = 0;
        if (!call->reader->ops->execution_search(call->reader, call->arena, &query, false, &rows,
                                                 &count, NULL, call->err))
            return NULL;
        for (size_t i = 0; i < count && found.items_count < query.limit; i++) {
            if (rows[i].live != LIVE_ENDED || !states[rows[i].state].is_terminal)
                continue;
            struct value_builder row = value_build(call->arena);
            value_put_text(&row, "id", rows[i].id.text);
            value_put_text(&row, "namespace", rows[i].namespace);
            value_put_text(&row, "flowId", rows[i].flow_id);
            value_add(&found, value_build_map(&row));
        }
        more = count == query.limit && found.items_count < query.limit;
        query.offset += count;
    }
    struct value_builder builder = value_build(call->arena);
    value_put(&builder, "executions", value_build_list(&found));
    return value_build_map(&builder);
}

/* Executions that one task run created, in the order of their creation. */
static const struct value *execution_children(const struct call *call)
{
    const char *id = text_of(call, "executionId");
    const char *run_id = text_of(call, "taskRunId");
    if (id == NULL || run_id == NULL)
        return missing(call, id == NULL ? "executionId" : "taskRunId");
    int64_t limit = value_get_int(call->arguments, "limit", 100);
    if (limit < 1 || limit > ANSWER_MAX)
        limit = ANSWER_MAX;
    struct execution_row *rows = NULL;
    size_t count = 0;
    if (!call->reader->ops->execution_children(call->reader, call->arena, id, false,
                                               value_get_int(call->arguments, "after", 0),
                                               (size_t)limit, &rows, &count, call->err))
        return NULL;
    struct value_builder children = value_build(call->arena);
    for (size_t i = 0; i < count; i++) {
        struct execution *child = execution_row_decode(&rows[i], NULL, call->err);
        if (child == NULL)
            return NULL;
        const struct value *trigger = child->trigger_variables;
        if (str_eq(value_get_text(trigger, "taskRunId", NULL), run_id)) {
            struct value_builder map = value_build(call->arena);
            value_put_text(&map, "id", child->id.text);
            value_put_text(&map, "state", states[child->state.current].name);
            value_put_int(&map, "iteration", value_get_int(trigger, "taskRunIteration", -1));
            if (child->outputs != NULL)
                value_put(&map, "outputs", value_copy(call->arena, child->outputs));
            value_add(&children, value_build_map(&map));
        }
        execution_free(child);
    }
    struct value_builder builder = value_build(call->arena);
    value_put(&builder, "children", value_build_list(&children));
    if (count == (size_t)limit)
        value_put_int(&builder, "next", rows[count - 1].key);
    return value_build_map(&builder);
}

/* ---- executions: changing ---- */

static bool ask(const struct call *call, struct driver_request *request)
{
    request->arena = call->arena;
    return driver_call(call->operations->driver, request, call->err);
}

/* Host of expressions in the defaults of onResume inputs. */
static const struct value *host_call(void *data,
                                     struct arena *arena,
                                     const char *function,
                                     const struct value *arguments,
                                     struct error *err)
{
    return evaluate_call(data, arena, function, arguments, err);
}

/* What a paused task run wants to be told, resolved; NULL with err. */
static const struct value *resume_inputs(const struct call *call, const struct execution_row *row)
{
    const struct driver_config *config = driver_config_of(call->operations->driver);
    struct flow *flow =
        flow_load(config, call->reader, row->namespace, row->flow_id, row->revision, call->err);
    if (flow == NULL)
        return NULL;
    struct execution *execution = execution_row_decode(row, flow, call->err);
    const struct value *stored = NULL;
    struct task_run *run = NULL;
    for (size_t i = 0; execution != NULL && i < execution->runs.count && run == NULL; i++)
        if (execution->runs.items[i]->state.current == STATE_PAUSED)
            run = execution->runs.items[i];
    if (execution != NULL) {
        size_t count = 0;
        const struct task *task = run == NULL ? NULL : flow_find_task(flow, run->task_id);
        struct flow_input *inputs = task == NULL || task->inputs == NULL
                                        ? NULL
                                        : inputs_of(call->arena, task->inputs, &count);
        struct evaluate evaluate = {
            .services = config->services,
            .context = engine_context(execution, run, config->world, call->arena),
        };
        struct expr_host host = { .call = host_call, .data = &evaluate };
        struct expr_env env = {
            .context = evaluate.context,
            .host = config->services != NULL ? &host : NULL,
            .now = clock_now(),
            .zone = config->zone,
        };
        struct inputs_request request = {
            .inputs = inputs,
            .count = count,
            .supplied = value_get(call->arguments, "inputs"),
            .env = &env,
            .owner = arena_printf(call->arena, "%s.%s", row->namespace, row->flow_id),
            .encrypt = config->services != NULL ? config->services->encrypt : NULL,
            .encrypt_data = config->services != NULL ? config->services->data : NULL,
        };
        const struct value *resolved = inputs_resolve_map(&request, call->arena, call->err);
        stored = resolved == NULL ? NULL : value_copy(call->arena, resolved);
    }
    execution_free(execution);
    flow_unref(flow);
    return stored;
}

static const struct value *execution_resume(const struct call *call)
{
    struct execution_row row;
    const char *id = text_of(call, "executionId");
    if (id == NULL)
        return missing(call, "executionId");
    if (!call->reader->ops->execution_get(call->reader, call->arena, id, &row, call->err))
        return NULL;
    if (row.state != STATE_PAUSED) {
        error_set(call->err, ERR_CONFLICT, "The execution is not paused");
        return NULL;
    }
    const struct value *inputs = resume_inputs(call, &row);
    if (inputs == NULL)
        return NULL;
    struct driver_request request = { .type = REQUEST_OPERATE };
    request.operate = (struct operate_request){
        .execution_id = row.id.text,
        .operation = OPERATE_EVENT,
        .event = { .type = EVENT_RESUME, .values = inputs },
    };
    return ask(call, &request) ? &value_empty_map : NULL;
}

static bool count_line(void *data, const struct log_line *line)
{
    (void)line;
    ++*(int64_t *)data;
    return true;
}

/* Lines and metrics of an execution. */
static bool count_rows(const struct call *call,
                       const struct execution_row *row,
                       int64_t *lines,
                       int64_t *metrics)
{
    struct query query = { .sort = FIELD_COUNT };
    struct metric_row *rows = NULL;
    size_t count = 0;
    int64_t found = 0;
    if (!logstore_walk(call->operations->logs, call->reader, row->key, &query, count_line, lines,
                       call->err) ||
        !call->reader->ops->metrics(call->reader, call->arena, row->key, &query, &rows, &count,
                                    &found, call->err))
        return false;
    *metrics += found;
    return true;
}

static const struct value *execution_purge(const struct call *call)
{
    bool executions = value_get_bool(call->arguments, "purgeExecution", true);
    bool logs = value_get_bool(call->arguments, "purgeLog", true);
    bool metrics = value_get_bool(call->arguments, "purgeMetric", true);
    const struct value *list = value_get(call->arguments, "ids");
    size_t count = 0;
    const char **ids = texts_of(call, list, &count);
    int64_t lines_count = 0;
    int64_t metrics_count = 0;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct execution_row row;
        struct error err = { 0 };
        if (!call->reader->ops->execution_get(call->reader, call->arena, ids[i], &row, &err)) {
            if (err.code == ERR_NOT_FOUND)
                continue; // somebody was faster
            *call->err = err;
            return NULL;
        }
        if (!count_rows(call, &row, &lines_count, &metrics_count))
            return NULL;
        ids[kept++] = ids[i];
    }
    for (size_t i = 0; i < kept && !executions && (logs || metrics); i++) {
        struct driver_request request = { .type = REQUEST_LOGS };
        request.logs = (struct logs_request){ .execution_id = ids[i],
                                              .metrics_too = metrics,
                                              .keeps_lines = !logs };
        if (!ask(call, &request))
            return NULL;
    }
    if (executions && kept > 0) {
        struct driver_request request = { .type = REQUEST_DELETE };
        request.delete = (struct delete_request){
            .ids = ids, .count = kept, .keep_logs = !logs, .keep_metrics = !metrics
        };
        if (!ask(call, &request))
            return NULL;
    }
    struct value_builder builder = value_build(call->arena);
    value_put_int(&builder, "executions", executions ? (int64_t)kept : 0);
    value_put_int(&builder, "logs", logs ? lines_count : 0);
    value_put_int(&builder, "metrics", metrics ? metrics_count : 0);
    return value_build_map(&builder);
}

/* ---- triggers ---- */

static const struct value *trigger_toggle(const struct call *call)
{
    struct driver_request request = { .type = REQUEST_TRIGGER };
    request.trigger = (struct trigger_request){
        .namespace = value_get_text(call->arguments, "namespace", ""),
        .flow_id = value_get_text(call->arguments, "flowId", ""),
        .trigger_id = value_get_text(call->arguments, "triggerId", ""),
        .operation = TRIGGER_SET_DISABLED,
        .disabled = value_get_bool(call->arguments, "disabled", true),
    };
    return ask(call, &request) ? &value_empty_map : NULL;
}

/* ---- logs ---- */

/* Key of the execution that is named; 0 when none is; -1 with err when there is no such one. */
static int64_t execution_key(const struct call *call)
{
    struct execution_row row;
    const char *id = text_of(call, "executionId");
    if (id == NULL)
        return 0;
    return call->reader->ops->execution_get(call->reader, call->arena, id, &row, call->err)
               ? row.key
               : -1;
}

static const struct value *log_fetch(const struct call *call)
{
    struct filters filters = { 0 };
    int64_t key = execution_key(call);
    if (key < 0)
        return NULL;
    add_text(call, &filters, FIELD_NAMESPACE, MATCH_EQUAL, text_of(call, "namespace"));
    add_text(call, &filters, FIELD_FLOW, MATCH_EQUAL, text_of(call, "flowId"));
    add_text(call, &filters, FIELD_LEVEL, MATCH_EQUAL, text_of(call, "level"));
    add_list(call, &filters, FIELD_TASK, "taskIds");
    int64_t limit = value_get_int(call->arguments, "limit", 1000);
    int64_t offset = value_get_int(call->arguments, "offset", 0);
    struct query query = {
        .filters = filters.items,
        .filters_count = filters.count,
        .sort = FIELD_COUNT,
        .offset = offset > 0 ? (size_t)offset : 0,
        .limit = limit < 1 || limit > ANSWER_MAX ? ANSWER_MAX : (size_t)limit,
    };
    struct log_line *lines = NULL;
    size_t count = 0;
    if (!logstore_search(call->operations->logs, call->reader, call->arena, key, &query, &lines,
                         &count, NULL, call->err))
        return NULL;
    struct value_builder entries = value_build(call->arena);
    for (size_t i = 0; i < count; i++) {
        const struct log_source *source = &lines[i].source;
        struct value_builder entry = value_build(call->arena);
        value_put_text(&entry, "namespace", source->namespace);
        value_put_text(&entry, "flowId", source->flow_id);
        value_put_text(&entry, "executionId", source->execution_id);
        value_put_text(&entry, "taskId", source->task_id);
        value_put_text(&entry, "taskRunId", source->run_id);
        if (source->attempt > 0)
            value_put_int(&entry, "attemptNumber", source->attempt - 1);
        value_put_text(&entry, "triggerId", source->trigger_id);
        value_put(&entry, "timestamp", value_instant(call->arena, lines[i].at));
        value_put_text(&entry, "level", log_level_name(lines[i].level));
        value_put(&entry, "message",
                  value_string_n(call->arena, lines[i].message, lines[i].length));
        value_add(&entries, value_build_map(&entry));
    }
    struct value_builder builder = value_build(call->arena);
    value_put(&builder, "entries", value_build_list(&entries));
    return value_build_map(&builder);
}

struct level_count {
    uint32_t levels;
    int64_t count;
};

static bool count_level(void *data, const struct log_line *line)
{
    struct level_count *counted = data;
    counted->count += (counted->levels & BIT(line->level)) != 0;
    return true;
}

static const struct value *log_purge(const struct call *call)
{
    int64_t key = execution_key(call);
    if (key < 0)
        return NULL;
    size_t names_count = 0;
    const char **names = texts_of(call, value_get(call->arguments, "levels"), &names_count);
    uint32_t levels = 0;
    for (size_t i = 0; i < names_count; i++) {
        enum log_level level = LOG_INFO;
        if (!log_level_parse(names[i], &level)) {
            error_set(call->err, ERR_INVALID, "'%s' is not a log level", names[i]);
            return NULL;
        }
        levels |= BIT(level);
    }
    struct filters filters = { 0 };
    add_text(call, &filters, FIELD_NAMESPACE, MATCH_PREFIX, text_of(call, "namespace"));
    add_text(call, &filters, FIELD_FLOW, MATCH_EQUAL, text_of(call, "flowId"));
    add_dates(call, &filters);
    struct query query = { .filters = filters.items,
                           .filters_count = filters.count,
                           .sort = FIELD_COUNT };
    struct level_count counted = { .levels = levels == 0 ? UINT32_MAX : levels };
    if (!logstore_walk(call->operations->logs, call->reader, key, &query, count_level, &counted,
                       call->err))
        return NULL;
    struct driver_request request = { .type = REQUEST_LOGS };
    request.logs = (struct logs_request){
        .execution_id = text_of(call, "executionId"),
        .namespace = text_of(call, "namespace"),
        .with_children = true,
        .flow_id = text_of(call, "flowId"),
        .after = date_of(call, "startDate"),
        .before = date_of(call, "endDate"),
        .levels = levels,
    };
    if (!ask(call, &request))
        return NULL;
    struct value_builder builder = value_build(call->arena);
    value_put_int(&builder, "count", counted.count);
    return value_build_map(&builder);
}

/* ---- keys and files ---- */

/* Is a namespace one of those that a purge names? */
static bool covers_namespace(const struct call *call, const char *namespace)
{
    const char *pattern = text_of(call, "namespacePattern");
    if (pattern != NULL)
        return str_glob(pattern, namespace);
    const struct value *list = value_get(call->arguments, "namespaces");
    bool children = value_get_bool(call->arguments, "includeChildNamespaces", true);
    for (size_t i = 0; i < value_count(list); i++) {
        const char *named[] = { value_cstr(value_item(list, i)) };
        struct filter filter = { .match = children ? MATCH_PREFIX : MATCH_EQUAL,
                                 .values = named,
                                 .values_count = 1 };
        if (named[0] != NULL && filter_matches_text(&filter, namespace))
            return true;
    }
    return value_count(list) == 0;
}

static const struct value *answer_count(const struct call *call, size_t count)
{
    struct value_builder builder = value_build(call->arena);
    value_put_int(&builder, "count", (int64_t)count);
    return value_build_map(&builder);
}

/* Only the latest value of a key is kept, so a purge of old versions has nothing to do. */
static const struct value *kv_purge(const struct call *call)
{
    bool by_version = value_get(call->arguments, "before") != NULL ||
                      value_get(call->arguments, "keepAmount") != NULL;
    if (by_version)
        return answer_count(call, 0);
    bool expired_only = value_get_bool(call->arguments, "expiredOnly", true);
    const char *pattern = text_of(call, "keyPattern");
    struct query query = { .sort = FIELD_COUNT, .limit = SIZE_MAX / 2 };
    struct kv_row *rows = NULL;
    size_t count = 0;
    if (!call->reader->ops->kv_search(call->reader, call->arena, &query, &rows, &count, NULL,
                                      call->err))
        return NULL;
    struct kv_change *changes = ARENA_ARRAY(call->arena, count + 1, struct kv_change);
    size_t gone = 0;
    usec_t now = clock_now();
    for (size_t i = 0; i < count; i++)
        if ((!expired_only || rows[i].expires_at <= now) &&
            (pattern == NULL || str_glob(pattern, rows[i].key)) &&
            covers_namespace(call, rows[i].namespace))
            changes[gone++] = (struct kv_change){ .is_delete = true, .row = rows[i] };
    struct driver_request request = { .type = REQUEST_CHANGE };
    request.change.origin = (struct origin){ .actor = "weir", .channel = "task" };
    request.change.kv = changes;
    request.change.kv_count = gone;
    return gone == 0 || ask(call, &request) ? answer_count(call, gone) : NULL;
}

/* Old revisions of the files of a namespace that go: older than `before`, beyond `keep`. */
static size_t old_revisions(const struct call *call,
                            struct file_row *rows,
                            size_t count,
                            struct file_change *changes)
{
    usec_t before = date_of(call, "before");
    int64_t keep = value_get_int(call->arguments, "keepAmount", 0);
    const char *pattern = text_of(call, "filePattern");
    size_t gone = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t newer = 0; // revisions of the same path that follow
        while (i + 1 + (size_t)newer < count &&
               str_eq(rows[i + 1 + (size_t)newer].path, rows[i].path))
            newer++;
        const char *path = rows[i].path[0] == '/' ? rows[i].path + 1 : rows[i].path;
        bool is_old = newer > 0 || rows[i].deleted;
        bool goes = (before != 0 && rows[i].updated_at < before) || (keep > 0 && newer >= keep);
        if (is_old && goes && (pattern == NULL || str_glob(pattern, path)))
            changes[gone++] = (struct file_change){ .forgets = true, .row = rows[i] };
    }
    return gone;
}

static const struct value *file_purge(const struct call *call)
{
    const char **namespaces = NULL;
    size_t namespaces_count = 0;
    if (!call->reader->ops->namespaces(call->reader, call->arena, NULL, &namespaces,
                                       &namespaces_count, call->err))
        return NULL;
    size_t total = 0;
    for (size_t i = 0; i < namespaces_count; i++) {
        struct file_row *rows = NULL;
        size_t count = 0;
        if (!covers_namespace(call, namespaces[i]))
            continue;
        if (!call->reader->ops->file_revisions(call->reader, call->arena, namespaces[i], NULL,
                                               &rows, &count, call->err))
            return NULL;
        struct file_change *changes = ARENA_ARRAY(call->arena, count + 1, struct file_change);
        size_t gone = old_revisions(call, rows, count, changes);
        struct driver_request request = { .type = REQUEST_CHANGE };
        request.change.origin = (struct origin){ .actor = "weir", .channel = "task" };
        request.change.files = changes;
        request.change.files_count = gone;
        if (gone > 0 && !ask(call, &request))
            return NULL;
        total += gone;
    }
    return answer_count(call, total);
}

/* ---- subflows of expressions ---- */

/* Waits for the end without holding the driver: with a deadline of the caller. */
struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_done;
    bool is_given_up; /* the caller has left: whoever comes second frees */
    struct arena *arena;
    struct driver_request request;
};

static void waiting_free(struct waiting *waiting)
{
    pthread_cond_destroy(&waiting->ended);
    pthread_mutex_destroy(&waiting->lock);
    arena_free(waiting->arena); // holds the struct itself
}

static void waiting_done(struct driver_request *request)
{
    struct waiting *waiting = request->data;
    pthread_mutex_lock(&waiting->lock);
    waiting->is_done = true;
    bool frees = waiting->is_given_up;
    pthread_cond_signal(&waiting->ended);
    pthread_mutex_unlock(&waiting->lock);
    if (frees)
        waiting_free(waiting);
}

/* false: the time is over, and the request goes on without its caller. */
static bool wait_until(struct waiting *waiting, usec_t deadline)
{
    struct timespec until = { .tv_sec = deadline / USEC_SEC,
                              .tv_nsec = deadline % USEC_SEC * 1000 };
    pthread_mutex_lock(&waiting->lock);
    int result = 0;
    while (!waiting->is_done && result == 0)
        result = pthread_cond_timedwait(&waiting->ended, &waiting->lock, &until);
    bool done = waiting->is_done;
    waiting->is_given_up = !done;
    pthread_mutex_unlock(&waiting->lock);
    return done;
}

static const struct value *subflow_answer(const struct call *call, const struct waiting *waiting)
{
    const struct execution_answer *answer = &waiting->request.execution;
    struct value_builder builder = value_build(call->arena);
    value_put_text(&builder, "id", answer->id.text);
    value_put_text(&builder, "state", states[answer->state].name);
    if (answer->row != NULL) {
        struct execution *execution = execution_row_decode(answer->row, NULL, call->err);
        if (execution == NULL)
            return NULL;
        value_put(&builder, "outputs",
                  execution->outputs != NULL ? value_copy(call->arena, execution->outputs)
                                             : &value_empty_map);
        struct value_builder labels = value_build(call->arena);
        for (size_t i = 0; i < execution->labels.count; i++)
            value_put_text(&labels, execution->labels.items[i].key,
                           execution->labels.items[i].value);
        value_put(&builder, "labels", value_build_map(&labels));
        execution_free(execution);
    }
    return value_build_map(&builder);
}

static const struct value *subflow_run(const struct call *call)
{
    double seconds = (double)SUBFLOW_TIMEOUT / (double)USEC_SEC;
    (void)value_to_double(value_get(call->arguments, "timeout"), &seconds);
    struct arena *arena = arena_new();
    struct waiting *waiting = ARENA_NEW(arena, struct waiting);
    pthread_mutex_init(&waiting->lock, NULL);
    pthread_cond_init(&waiting->ended, NULL);
    waiting->arena = arena;
    const struct value *inputs = value_get(call->arguments, "inputs");
    size_t labels_count = 0;
    struct driver_request *request = &waiting->request;
    request->type = REQUEST_CREATE;
    request->arena = arena;
    request->done = waiting_done;
    request->data = waiting;
    request->wants_row = true;
    request->create = (struct create_request){
        .namespace = arena_strdup(arena, value_get_text(call->arguments, "namespace", "")),
        .flow_id = arena_strdup(arena, value_get_text(call->arguments, "flowId", "")),
        .revision = value_get_int(call->arguments, "revision", 0),
        .given = inputs != NULL ? value_copy(arena, inputs) : &value_empty_map,
        .wait = true,
    };
    const struct value *given_labels = value_get(call->arguments, "labels");
    request->create.labels = labels_of(
        arena, given_labels == NULL ? NULL : value_copy(arena, given_labels), &labels_count);
    request->create.labels_count = labels_count;
    if (!driver_submit(call->operations->driver, request)) {
        waiting_free(waiting);
        error_set(call->err, ERR_LIMIT, "too many requests are waiting; try again later");
        return NULL;
    }
    if (!wait_until(waiting, clock_now() + (usec_t)(seconds * (double)USEC_SEC))) {
        error_set(call->err, ERR_TIMEOUT, "flow '%s.%s' did not end within %.0f s",
                  value_get_text(call->arguments, "namespace", ""),
                  value_get_text(call->arguments, "flowId", ""), seconds);
        return NULL;
    }
    const struct value *answer = NULL;
    if (request->ok)
        answer = subflow_answer(call, waiting);
    else
        *call->err = request->error;
    waiting_free(waiting);
    return answer;
}

/* ---- the table ---- */

static const struct {
    const char *name;
    operation_fn *run;
} table[] = {
    { "execution.resume", execution_resume },
    { "execution.get", execution_get },
    { "execution.exists", execution_exists },
    { "execution.count", execution_count },
    { "execution.find", execution_find },
    { "execution.children", execution_children },
    { "execution.purge", execution_purge },
    { "trigger.toggle", trigger_toggle },
    { "log.fetch", log_fetch },
    { "log.purge", log_purge },
    { "kv.purge", kv_purge },
    { "file.purge", file_purge },
    { "subflow.run", subflow_run },
};

const struct value *driver_operate(void *data,
                                   struct arena *arena,
                                   const char *operation,
                                   const struct value *arguments,
                                   struct error *err)
{
    struct driver_operations *operations = data;
    struct error own = { 0 };
    struct call call = {
        .operations = operations, .arena = arena, .arguments = arguments, .err = &own
    };
    const struct value *answer = NULL;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (strcmp(table[i].name, operation) != 0)
            continue;
        call.reader = store_reader_open(operations->store, &own);
        if (call.reader != NULL)
            answer = table[i].run(&call);
        store_reader_free(call.reader);
        if (answer == NULL && err != NULL)
            *err = own;
        return answer;
    }
    error_set(err, ERR_INVALID, "there is no operation '%s'", operation);
    return NULL;
}
