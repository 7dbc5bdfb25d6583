/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on executions; see operations.c. */
#include "base/check.h"
#include "base/str.h"
#include "core/expr/expr.h"
#include "core/inputs.h"
#include "core/value.h"
#include "runtime/driver/driver_internal.h"
#include "runtime/driver/operations.h"
#include "runtime/worker/evaluate.h"
#include "runtime/worker/services.h"

/* ---- executions: reading ---- */

const struct value *execution_get(const struct asked *op)
{
    struct execution_row row;
    const char *id = asked_text(op, "executionId");
    if (id == NULL)
        return asked_misses(op, "executionId");
    if (!op->reader->ops->execution_get(op->reader, op->arena, id, &row, op->err))
        return NULL;
    struct value_builder builder = value_build(op->arena);
    value_put_text(&builder, "id", row.id.text);
    value_put_text(&builder, "namespace", row.namespace);
    value_put_text(&builder, "flowId", row.flow_id);
    value_put_text(&builder, "state", states[row.state].name);
    return value_build_map(&builder);
}

const struct value *execution_exists(const struct asked *op)
{
    const struct value *ids = value_get(op->arguments, "ids");
    struct value_builder existing = value_build(op->arena);
    for (size_t i = 0; i < value_count(ids); i++) {
        struct execution_row row;
        struct error err = { 0 };
        const char *id = value_cstr(value_item(ids, i));
        if (id == NULL)
            continue;
        if (op->reader->ops->execution_get(op->reader, op->arena, id, &row, &err)) {
            value_add(&existing, value_item(ids, i));
        } else if (err.code != ERR_NOT_FOUND) {
            *op->err = err;
            return NULL;
        }
    }
    struct value_builder builder = value_build(op->arena);
    value_put(&builder, "existing", value_build_list(&existing));
    return value_build_map(&builder);
}

/* Executions that one task run created, in the order of their creation. */
const struct value *execution_children(const struct asked *op)
{
    const char *id = asked_text(op, "executionId");
    const char *run_id = asked_text(op, "taskRunId");
    if (id == NULL || run_id == NULL)
        return asked_misses(op, id == NULL ? "executionId" : "taskRunId");
    int64_t limit = value_get_int(op->arguments, "limit", 100);
    if (limit < 1 || limit > ANSWER_MAX)
        limit = ANSWER_MAX;
    struct execution_row *rows = NULL;
    size_t count = 0;
    if (!op->reader->ops->execution_children(op->reader, op->arena, id, false,
                                             value_get_int(op->arguments, "after", 0),
                                             (size_t)limit, &rows, &count, op->err))
        return NULL;
    struct value_builder children = value_build(op->arena);
    for (size_t i = 0; i < count; i++) {
        struct execution *child = execution_row_decode(&rows[i], NULL, op->err);
        if (child == NULL)
            return NULL;
        const struct value *trigger = child->trigger_variables;
        if (str_eq(value_get_text(trigger, "taskRunId", NULL), run_id)) {
            struct value_builder map = value_build(op->arena);
            value_put_text(&map, "id", child->id.text);
            value_put_text(&map, "state", states[child->state.current].name);
            value_put_int(&map, "iteration", value_get_int(trigger, "taskRunIteration", -1));
            if (child->outputs != NULL)
                value_put(&map, "outputs", value_copy(op->arena, child->outputs));
            value_add(&children, value_build_map(&map));
        }
        execution_free(child);
    }
    struct value_builder builder = value_build(op->arena);
    value_put(&builder, "children", value_build_list(&children));
    if (count == (size_t)limit)
        value_put_int(&builder, "next", rows[count - 1].key);
    return value_build_map(&builder);
}

/* Adds {namespace, flowId, count} of one flow. */
static bool count_flow(const struct asked *op,
                       const char *namespace,
                       const char *flow_id,
                       struct value_builder *results,
                       int64_t *total)
{
    struct search filters = { 0 };
    search_add_text(op, &filters, FIELD_NAMESPACE, MATCH_EQUAL, namespace);
    search_add_text(op, &filters, FIELD_FLOW, MATCH_EQUAL, flow_id);
    search_add_list(op, &filters, FIELD_STATE, "states");
    search_add_dates(op, &filters);
    struct query query = { .filters = filters.items,
                           .filters_count = filters.count,
                           .sort = FIELD_COUNT };
    struct execution_row *rows = NULL;
    size_t count = 0;
    int64_t found = 0;
    if (!op->reader->ops->execution_search(op->reader, op->arena, &query, false, &rows, &count,
                                           &found, op->err))
        return false;
    struct value_builder result = value_build(op->arena);
    value_put_text(&result, "namespace", namespace);
    value_put_text(&result, "flowId", flow_id);
    value_put_int(&result, "count", found);
    value_add(results, value_build_map(&result));
    *total += found;
    return true;
}

static bool count_namespace(const struct asked *op,
                            const char *namespace,
                            struct value_builder *results,
                            int64_t *total)
{
    struct search filters = { 0 };
    search_add_text(op, &filters, FIELD_NAMESPACE, MATCH_PREFIX, namespace);
    struct query query = { .filters = filters.items,
                           .filters_count = filters.count,
                           .sort = FIELD_COUNT,
                           .limit = ANSWER_MAX };
    struct flow_row *rows = NULL;
    size_t count = 0;
    if (!op->reader->ops->flow_search(op->reader, op->arena, &query, false, &rows, &count, NULL,
                                      op->err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!count_flow(op, rows[i].namespace, rows[i].id, results, total))
            return false;
    return true;
}

const struct value *execution_count(const struct asked *op)
{
    const struct value *flows = value_get(op->arguments, "flows");
    const struct value *namespaces = value_get(op->arguments, "namespaces");
    struct value_builder results = value_build(op->arena);
    int64_t total = 0;
    for (size_t i = 0; i < value_count(flows); i++) {
        const struct value *flow = value_item(flows, i);
        if (!count_flow(op, value_get_text(flow, "namespace", ""),
                        value_get_text(flow, "flowId", ""), &results, &total))
            return NULL;
    }
    for (size_t i = 0; i < value_count(namespaces); i++) {
        const char *namespace = value_cstr(value_item(namespaces, i));
        if (namespace != NULL && !count_namespace(op, namespace, &results, &total))
            return NULL;
    }
    struct value_builder builder = value_build(op->arena);
    value_put(&builder, "results", value_build_list(&results));
    value_put_int(&builder, "total", total);
    return value_build_map(&builder);
}

const struct value *execution_find(const struct asked *op)
{
    struct search filters = { 0 };
    search_add_text(op, &filters, FIELD_NAMESPACE, MATCH_PREFIX, asked_text(op, "namespace"));
    search_add_text(op, &filters, FIELD_FLOW, MATCH_EQUAL, asked_text(op, "flowId"));
    search_add_list(op, &filters, FIELD_STATE, "states");
    search_add_dates(op, &filters);
    int64_t limit = value_get_int(op->arguments, "limit", 100);
    struct query query = {
        .filters = filters.items,
        .filters_count = filters.count,
        .sort = FIELD_START,
        .limit = limit < 1 || limit > ANSWER_MAX ? ANSWER_MAX : (size_t)limit,
    };
    int64_t skip = value_get_int(op->arguments, "offset", 0);
    struct value_builder found = value_build(op->arena);
    // Those that have not ended are passed over: pages are read until enough have.
    for (bool more = true; more;) {
        struct execution_row *rows = NULL;
        size_t count = 0;
        if (!op->reader->ops->execution_search(op->reader, op->arena, &query, false, &rows, &count,
                                               NULL, op->err))
            return NULL;
        for (size_t i = 0; i < count && found.items_count < query.limit; i++) {
            if (rows[i].live != LIVE_ENDED || !states[rows[i].state].is_terminal || skip-- > 0)
                continue;
            struct value_builder row = value_build(op->arena);
            value_put_text(&row, "id", rows[i].id.text);
            value_put_text(&row, "namespace", rows[i].namespace);
            value_put_text(&row, "flowId", rows[i].flow_id);
            value_add(&found, value_build_map(&row));
        }
        more = count == query.limit && found.items_count < query.limit;
        query.offset += count;
    }
    struct value_builder builder = value_build(op->arena);
    value_put(&builder, "executions", value_build_list(&found));
    return value_build_map(&builder);
}

/* ---- executions: changing ---- */

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
static const struct value *resume_inputs(const struct asked *op, const struct execution_row *row)
{
    const struct driver_config *config = driver_config_of(op->operations->driver);
    struct flow *flow =
        flow_load(config, op->reader, row->namespace, row->flow_id, row->revision, op->err);
    if (flow == NULL)
        return NULL;
    struct execution *execution = execution_row_decode(row, flow, op->err);
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
                                        : inputs_of(op->arena, task->inputs, &count);
        struct evaluate evaluate = {
            .services = config->services,
            .context = engine_context(execution, run, config->world, op->arena),
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
            .supplied = value_get(op->arguments, "inputs"),
            .env = &env,
            .owner = arena_printf(op->arena, "%s.%s", row->namespace, row->flow_id),
            .encrypt = config->services != NULL ? config->services->encrypt : NULL,
            .encrypt_data = config->services != NULL ? config->services->data : NULL,
        };
        const struct value *resolved = inputs_resolve_map(&request, op->arena, op->err);
        stored = resolved == NULL ? NULL : value_copy(op->arena, resolved);
    }
    execution_free(execution);
    flow_unref(flow);
    return stored;
}

const struct value *execution_resume(const struct asked *op)
{
    struct execution_row row;
    const char *id = asked_text(op, "executionId");
    if (id == NULL)
        return asked_misses(op, "executionId");
    if (!op->reader->ops->execution_get(op->reader, op->arena, id, &row, op->err))
        return NULL;
    if (row.state != STATE_PAUSED) {
        error_set(op->err, ERR_CONFLICT, "The execution is not paused");
        return NULL;
    }
    const struct value *inputs = resume_inputs(op, &row);
    if (inputs == NULL)
        return NULL;
    struct driver_request request = { .type = REQUEST_OPERATE };
    request.operate = (struct operate_request){
        .execution_id = row.id.text,
        .operation = OPERATE_EVENT,
        .event = { .type = EVENT_RESUME, .values = inputs },
    };
    return asked_send(op, &request) ? &value_empty_map : NULL;
}

static bool count_line(void *data, const struct log_line *line)
{
    (void)line;
    ++*(int64_t *)data;
    return true;
}

/* Lines and metrics of an execution. */
static bool count_rows(const struct asked *op,
                       const struct execution_row *row,
                       int64_t *lines,
                       int64_t *metrics)
{
    struct query query = { .sort = FIELD_COUNT };
    struct metric_row *rows = NULL;
    size_t count = 0;
    int64_t found = 0;
    if (!logstore_walk(op->operations->logs, op->reader, row->key, &query, count_line, lines,
                       op->err) ||
        !op->reader->ops->metrics(op->reader, op->arena, row->key, &query, &rows, &count, &found,
                                  op->err))
        return false;
    *metrics += found;
    return true;
}

const struct value *execution_purge(const struct asked *op)
{
    bool executions = value_get_bool(op->arguments, "purgeExecution", true);
    bool logs = value_get_bool(op->arguments, "purgeLog", true);
    bool metrics = value_get_bool(op->arguments, "purgeMetric", true);
    const struct value *list = value_get(op->arguments, "ids");
    size_t count = 0;
    const char **ids = asked_texts(op, list, &count);
    int64_t lines_count = 0;
    int64_t metrics_count = 0;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct execution_row row;
        struct error err = { 0 };
        if (!op->reader->ops->execution_get(op->reader, op->arena, ids[i], &row, &err)) {
            if (err.code == ERR_NOT_FOUND)
                continue; // somebody was faster
            *op->err = err;
            return NULL;
        }
        if (!count_rows(op, &row, &lines_count, &metrics_count))
            return NULL;
        ids[kept++] = ids[i];
    }
    for (size_t i = 0; i < kept && !executions && (logs || metrics); i++) {
        struct driver_request request = { .type = REQUEST_LOGS };
        request.logs = (struct logs_request){ .execution_id = ids[i],
                                              .metrics_too = metrics,
                                              .keeps_lines = !logs };
        if (!asked_send(op, &request))
            return NULL;
    }
    if (executions && kept > 0) {
        struct driver_request request = { .type = REQUEST_DELETE };
        request.delete = (struct delete_request){
            .ids = ids, .count = kept, .keep_logs = !logs, .keep_metrics = !metrics
        };
        if (!asked_send(op, &request))
            return NULL;
    }
    struct value_builder builder = value_build(op->arena);
    value_put_int(&builder, "executions", executions ? (int64_t)kept : 0);
    value_put_int(&builder, "logs", logs ? lines_count : 0);
    value_put_int(&builder, "metrics", metrics ? metrics_count : 0);
    return value_build_map(&builder);
}
