/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports over flows: types that are kept for older flows, executions that hold slots
 * (api.md 2.1).
 */
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "core/flow.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/api/flows.h"

/* ---- deprecated types ---- */

static void add_deprecated(struct value_builder *list,
                           const char *id,
                           const char *type_name,
                           const struct plugin *type)
{
    bool is_renamed = !str_eq(type_name, type->id);
    if (!is_renamed && (type->flags & PLUGIN_DEPRECATED) == 0)
        return;
    struct value_builder map = value_build(list->arena);
    value_put_text(&map, "taskId", id);
    value_put_text(&map, "taskType", type_name);
    if (is_renamed)
        value_put_text(&map, "replacement", type->id);
    value_add(list, value_build_map(&map));
}

/* What a flow uses that has a newer name or is kept for older flows only. */
static const struct value *deprecated_of(struct arena *arena, const struct flow *flow)
{
    struct value_builder list = value_build(arena);
    for (size_t i = 0; i < flow->tasks_all_count; i++) {
        const struct task *task = flow->tasks_all[i];
        add_deprecated(&list, task->id, task->type_name, task->type);
    }
    for (size_t i = 0; i < flow->triggers_count; i++) {
        const struct trigger *trigger = &flow->triggers[i];
        add_deprecated(&list, trigger->id, trigger->type_name, trigger->type);
    }
    return value_build_list(&list);
}

static void get_deprecated(struct call *call)
{
    struct store_reader *reader = call_reader(call);
    if (reader == NULL)
        return;
    const char *namespace = call_query(call, "namespace");
    struct filter filter = {
        .field = FIELD_NAMESPACE, .match = MATCH_PREFIX, .values = &namespace, .values_count = 1
    };
    struct query query = {
        .filters = &filter,
        .filters_count = str_empty(namespace) ? 0 : 1,
        .sort = FIELD_NAMESPACE,
        .limit = SIZE_MAX,
    };
    struct flow_row *rows = NULL;
    size_t count = 0;
    struct error err = { 0 };
    if (!reader->ops->flow_search(reader, call->arena, &query, true, &rows, &count, NULL, &err)) {
        reply_failure(call, &err);
        return;
    }
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++) {
        struct error ignored = { 0 };
        struct flow *flow = call_flow(call, &rows[i], &ignored);
        if (flow == NULL)
            continue; // it says so itself, everywhere
        const struct value *found = deprecated_of(call->arena, flow);
        flow_unref(flow);
        if (value_count(found) == 0)
            continue;
        struct value_builder map = value_build(call->arena);
        value_put_text(&map, "namespace", rows[i].namespace);
        value_put_text(&map, "flowId", rows[i].id);
        value_put_int(&map, "revision", rows[i].revision);
        value_put(&map, "deprecatedTasks", found);
        value_add(&list, value_build_map(&map));
    }
    reply_value(call, 200, value_build_list(&list));
}

/* ---- slots ---- */

static const struct value *slots_value(struct call *call,
                                       const char *namespace,
                                       const char *flow_id,
                                       int64_t running)
{
    struct value_builder map = value_build(call->arena);
    value_put_text(&map, "tenantId", call->api->config.tenant);
    value_put_text(&map, "namespace", namespace);
    value_put_text(&map, "flowId", flow_id);
    value_put_int(&map, "running", running);
    return value_build_map(&map);
}

/* Slots in use, by flow; on failure replies and returns false. */
static bool read_slots(struct call *call, struct count_row **rows, size_t *count)
{
    struct store_reader *reader = call_reader(call);
    struct error err = { 0 };
    if (reader == NULL)
        return false;
    if (reader->ops->slots(reader, call->arena, rows, count, &err))
        return true;
    reply_failure(call, &err);
    return false;
}

static void get_concurrency(struct call *call)
{
    struct search search;
    struct count_row *rows = NULL;
    size_t count = 0;
    if (!call_search(call, &search) || !read_slots(call, &rows, &count))
        return;
    struct value_builder list = value_build(call->arena);
    for (size_t i = search.query.offset; i < count && i - search.query.offset < search.query.limit;
         i++)
        value_add(&list, slots_value(call, rows[i].namespace, rows[i].flow_id, rows[i].count));
    reply_page(call, value_build_list(&list), (int64_t)count);
}

/*
 * Elsewhere this repairs a counter that went wrong. Here the number is that of the executions that
 * hold a slot, so only what is true already can be set.
 */
static void put_concurrency(struct call *call)
{
    const struct value *body = call_json(call);
    struct flow_row row;
    struct count_row *rows = NULL;
    size_t count = 0;
    if (body == NULL || !call_flow_row(call, call->path[0], call->path[1], 0, false, &row) ||
        !read_slots(call, &rows, &count))
        return;
    int64_t running = 0;
    for (size_t i = 0; i < count; i++) {
        if (str_eq(rows[i].namespace, row.namespace) && str_eq(rows[i].flow_id, row.id))
            running = rows[i].count;
    }
    if (value_get_int(body, "running", -1) == running)
        reply_value(call, 200, slots_value(call, row.namespace, row.id, running));
    else
        reply_error(call, 422, "Illegal argument",
                    "running: %lld executions of the flow hold a slot; the number follows them and "
                    "cannot be set",
                    (long long)running);
}

static const struct route_query deprecated_query[] = {
    { "namespace", "string", "Only this namespace and those below.", false },
    { 0 },
};

const struct route flow_report_routes[] = {
    { "GET", "flows/deprecated", get_deprecated, .query = deprecated_query,
      .doc = "Flows that use types under former names, or types kept for older flows." },
    { "GET", "concurrency-limit/search", get_concurrency, .flags = ROUTE_PAGED,
      .doc = "Executions that hold a slot, by flow." },
    { "PUT", "concurrency-limit/{namespace}/{flowId}", put_concurrency, .body = "application/json",
      .doc = "Confirms the number of executions that hold a slot." },
    { 0 },
};
