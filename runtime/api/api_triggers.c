/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Triggers: their state, switching, unlocking, backfills (api.md 2.5).
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "core/flow.h"
#include "core/value.h"
#include "runtime/api/call.h"
#include "runtime/api/csv.h"
#include "runtime/api/shapes.h"

/* Triggers of one bulk call. */
#define BULK_MAX 100000U

/* ---- reading ---- */

/* Definition of a trigger in its flow, as written; NULL when it is not known. */
static const struct value *definition(struct call *call, const struct trigger_state *state)
{
    struct flow_row row;
    struct error err = { 0 };
    if (!call->reader->ops->flow_get(call->reader, call->arena, state->namespace, state->flow_id, 0,
                                     false, &row, &err))
        return NULL;
    struct flow *flow = call_flow(call, &row, &err);
    const struct trigger *trigger =
        flow == NULL ? NULL : flow_find_trigger(flow, state->trigger_id);
    const struct value *doc = trigger == NULL ? NULL : value_copy(call->arena, trigger->doc);
    flow_unref(flow);
    return doc;
}

/* Triggers that filters find; on failure replies and returns false. */
static bool find_triggers(struct call *call,
                          const struct query *query,
                          struct trigger_state **states_out,
                          size_t *count,
                          int64_t *total)
{
    struct store_reader *reader = call_reader(call);
    struct error err = { 0 };
    if (reader == NULL)
        return false;
    if (reader->ops->trigger_search(reader, call->arena, query, states_out, count, total, &err))
        return true;
    reply_failure(call, &err);
    return false;
}

static void get_search(struct call *call)
{
    struct search search;
    struct trigger_state *found = NULL;
    size_t count = 0;
    int64_t total = 0;
    if (!call_search(call, &search) || !find_triggers(call, &search.query, &found, &count, &total))
        return;
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++) {
        struct value_builder item = value_build(call->arena);
        const struct value *doc = definition(call, &found[i]);
        if (doc != NULL)
            value_put(&item, "abstractTrigger", doc);
        value_put(&item, "triggerContext", shape_trigger(call->arena, &found[i], false));
        value_add(&list, value_build_map(&item));
    }
    reply_page(call, value_build_list(&list), total);
}

static void get_of_flow(struct call *call)
{
    struct search search;
    struct trigger_state *found = NULL;
    size_t count = 0;
    int64_t total = 0;
    if (!call_search(call, &search))
        return;
    struct filter *filters =
        ARENA_ARRAY(call->arena, search.query.filters_count + 2, struct filter);
    if (search.query.filters_count > 0)
        memcpy(filters, search.query.filters, search.query.filters_count * sizeof(*filters));
    filters[search.query.filters_count++] =
        (struct filter){ FIELD_NAMESPACE, MATCH_EQUAL, NULL, &call->path[0], 1, 0 };
    filters[search.query.filters_count++] =
        (struct filter){ FIELD_FLOW, MATCH_EQUAL, NULL, &call->path[1], 1, 0 };
    search.query.filters = filters;
    if (!find_triggers(call, &search.query, &found, &count, &total))
        return;
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++)
        value_add(&list, shape_trigger(call->arena, &found[i], false));
    reply_page(call, value_build_list(&list), total);
}

static void get_csv(struct call *call)
{
    struct search search;
    struct trigger_state *found = NULL;
    size_t count = 0;
    if (!call_search(call, &search))
        return;
    search.query.offset = 0;
    search.query.limit = BULK_MAX;
    if (!find_triggers(call, &search.query, &found, &count, NULL))
        return;
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++)
        value_add(&list, shape_trigger(call->arena, &found[i], false));
    struct buf body = { 0 };
    csv_write(&body, value_build_list(&list));
    struct http_field headers[] = {
        { "Content-Disposition", "attachment; filename=triggers.csv" },
        { 0 },
    };
    reply_buf(call, 200, "text/csv", &body, headers);
}

/* ---- one operation ---- */

struct trigger_name {
    const char *namespace;
    const char *flow_id;
    const char *trigger_id;
};

static struct trigger_name name_of(const struct value *body)
{
    return (struct trigger_name){
        .namespace = value_get_text(body, "namespace", ""),
        .flow_id = value_get_text(body, "flowId", ""),
        .trigger_id = value_get_text(body, "triggerId", ""),
    };
}

static struct trigger_request request_of(struct trigger_name name, enum trigger_operation operation)
{
    return (struct trigger_request){
        .namespace = name.namespace,
        .flow_id = name.flow_id,
        .trigger_id = name.trigger_id,
        .operation = operation,
    };
}

static void changed(struct call *call)
{
    if (!call->driver.ok && call->driver.error.code == ERR_CONFLICT &&
        call->driver.trigger.operation == TRIGGER_UNLOCK) {
        reply_error(call, 409, "Illegal state", "Trigger is not locked"); // what clients look for
        return;
    }
    if (call_driver_failed(call))
        return;
    bool is_restart = call->driver.trigger.operation == TRIGGER_RESTART;
    reply_value(call, 200, shape_trigger(call->arena, &call->driver.trigger.state, is_restart));
}

/* Without a backfill there is nothing to change: 400, in words of its own. */
static void backfill_changed(struct call *call)
{
    if (!call->driver.ok &&
        (call->driver.error.code == ERR_CONFLICT || call->driver.error.code == ERR_INVALID)) {
        reply_error(call, 400, "Bad Request", "%s", call->driver.error.text);
        return;
    }
    changed(call);
}

static void removed(struct call *call)
{
    if (!call_driver_failed(call))
        reply_empty(call, 204);
}

static void operate(struct call *call,
                    struct trigger_request request,
                    void (*next)(struct call *call))
{
    call->driver.type = REQUEST_TRIGGER;
    call->driver.trigger = request;
    call_drive(call, next);
}

static struct trigger_name path_name(const struct call *call)
{
    return (struct trigger_name){ call->path[0], call->path[1], call->path[2] };
}

static void post_unlock(struct call *call)
{
    operate(call, request_of(path_name(call), TRIGGER_UNLOCK), changed);
}

static void post_restart(struct call *call)
{
    operate(call, request_of(path_name(call), TRIGGER_RESTART), changed);
}

static void delete_trigger(struct call *call)
{
    operate(call, request_of(path_name(call), TRIGGER_REMOVE), removed);
}

/* The trigger of a flow, so that what is wrong can be named; on failure replies, returns false. */
static bool check_defined(struct call *call, struct trigger_name name)
{
    if (str_empty(name.namespace) || str_empty(name.flow_id) || str_empty(name.trigger_id)) {
        reply_error(call, 422, "Invalid json mapping",
                    "namespace, flowId and triggerId must be given");
        return false;
    }
    struct store_reader *reader = call_reader(call);
    struct flow_row row;
    struct error err = { 0 };
    if (reader == NULL)
        return false;
    if (!reader->ops->flow_get(reader, call->arena, name.namespace, name.flow_id, 0, false, &row,
                               &err)) {
        if (err.code == ERR_NOT_FOUND)
            reply_error(call, 404, "Not Found", "no flow %s/%s", name.namespace, name.flow_id);
        else
            reply_failure(call, &err);
        return false;
    }
    struct flow *flow = call_flow(call, &row, &err);
    bool is_defined = flow != NULL && flow_find_trigger(flow, name.trigger_id) != NULL;
    flow_unref(flow);
    if (!is_defined)
        reply_error(call, 404, "Not Found", "no trigger %s in flow %s/%s", name.trigger_id,
                    name.namespace, name.flow_id);
    return is_defined;
}

/* A date of a backfill; absent stays. False when it is no date. */
static bool read_date(const struct value *map, const char *key, usec_t *out)
{
    const char *text = value_get_text(map, key, NULL);
    return text == NULL || filter_date_parse(text, out);
}

/* On failure replies 400 and returns false. */
static bool read_backfill(struct call *call, const struct value *body, struct backfill *out)
{
    const struct value *inputs = value_get(body, "inputs");
    const struct value *labels = value_get(body, "labels");
    *out = (struct backfill){ .end = clock_now() };
    if (!read_date(body, "start", &out->start) || !read_date(body, "end", &out->end)) {
        reply_error(call, 400, "Bad Request", "start and end of a backfill must be dates");
        return false;
    }
    if (out->start == 0) {
        reply_error(call, 400, "Bad Request", "start of a backfill must not be null");
        return false;
    }
    if (out->start >= out->end) {
        reply_error(call, 400, "Bad Request", "start of a backfill must be before its end");
        return false;
    }
    if (!value_is_null(inputs))
        out->inputs = value_to_json(call->arena, inputs);
    if (!value_is_null(labels))
        out->labels = value_to_json(call->arena, labels);
    return true;
}

static void put_trigger(struct call *call)
{
    const struct value *body = call_json(call);
    if (body == NULL)
        return;
    struct trigger_name name = name_of(body);
    const struct value *backfill = value_get(body, "backfill");
    const struct value *disabled = value_get(body, "disabled");
    if (!check_defined(call, name))
        return;
    struct trigger_request request = request_of(name, TRIGGER_SET_DISABLED);
    if (value_is_map(backfill)) {
        request.operation = TRIGGER_BACKFILL;
        if (!read_backfill(call, backfill, &request.backfill))
            return;
    } else if (value_is_null(disabled)) {
        reply_error(call, 400, "Bad Request", "either disabled or backfill must be given");
        return;
    } else if (disabled->kind != VALUE_BOOL) {
        reply_error(call, 422, "Invalid json mapping", "disabled must be a boolean");
        return;
    }
    request.disabled = value_get_bool(body, "disabled", false);
    operate(call, request, request.operation == TRIGGER_BACKFILL ? backfill_changed : changed);
}

/* route->data: the operation. */
static enum trigger_operation operation_of(const struct call *call)
{
    return *(const enum trigger_operation *)call->route->data;
}

static void change_backfill(struct call *call)
{
    const struct value *body = call_json(call);
    if (body != NULL && check_defined(call, name_of(body)))
        operate(call, request_of(name_of(body), operation_of(call)), backfill_changed);
}

/* ---- many ---- */

/* Operates on all and replies with the number that took it. */
static void operate_all(struct call *call,
                        const struct trigger_name *names,
                        size_t count,
                        struct trigger_request model)
{
    struct driver_request *requests = ARENA_ARRAY(call->arena, count, struct driver_request);
    for (size_t i = 0; i < count; i++) {
        requests[i].type = REQUEST_TRIGGER;
        requests[i].trigger = model;
        requests[i].trigger.namespace = names[i].namespace;
        requests[i].trigger.flow_id = names[i].flow_id;
        requests[i].trigger.trigger_id = names[i].trigger_id;
    }
    call_driver_all(call, requests, count);
    size_t done = 0;
    for (size_t i = 0; i < count; i++)
        done += requests[i].ok ? 1U : 0U;
    // entries that do not exist are counted as given, as clients know it
    reply_count(call, model.operation == TRIGGER_SET_DISABLED ? count : done);
}

static void by_triggers(struct call *call)
{
    const struct value *list = call_json_list(call);
    if (list == NULL)
        return;
    size_t count = value_count(list);
    struct trigger_name *names = ARENA_ARRAY(call->arena, count, struct trigger_name);
    for (size_t i = 0; i < count; i++)
        names[i] = name_of(value_item(list, i));
    operate_all(call, names, count, (struct trigger_request){ .operation = operation_of(call) });
}

/* Filters of the query string, or of a JSON body {filters: […]}. */
static bool read_search(struct call *call, struct search *search)
{
    if (call->http->body_length == 0)
        return call_search(call, search);
    const struct value *body = call_json(call);
    if (body == NULL)
        return false;
    struct filter_context context = {
        .now = clock_now(),
        .system_namespace = call->api->config.system_namespace,
    };
    struct refusal refusal = { 0 };
    if (search_parse_list(call->arena, RESOURCE_TRIGGER, value_get(body, "filters"), &context,
                          search, &refusal))
        return true;
    reply_refusal(call, &refusal);
    return false;
}

static void by_query_with(struct call *call, struct trigger_request model)
{
    struct search search;
    struct trigger_state *found = NULL;
    size_t count = 0;
    if (!read_search(call, &search))
        return;
    search.query.offset = 0;
    search.query.limit = BULK_MAX;
    if (!find_triggers(call, &search.query, &found, &count, NULL))
        return;
    struct trigger_name *names = ARENA_ARRAY(call->arena, count, struct trigger_name);
    for (size_t i = 0; i < count; i++)
        names[i] =
            (struct trigger_name){ found[i].namespace, found[i].flow_id, found[i].trigger_id };
    operate_all(call, names, count, model);
}

static void by_query(struct call *call)
{
    by_query_with(call, (struct trigger_request){ .operation = operation_of(call) });
}

static void set_disabled_by_triggers(struct call *call)
{
    const struct value *body = call_json(call);
    if (body == NULL)
        return;
    const struct value *list = value_get(body, "triggers");
    if (value_count(list) == 0 || value_is_null(value_get(body, "disabled"))) {
        reply_invalid(call, "triggers and disabled must not be empty", NULL);
        return;
    }
    size_t count = value_count(list);
    struct trigger_name *names = ARENA_ARRAY(call->arena, count, struct trigger_name);
    for (size_t i = 0; i < count; i++)
        names[i] = name_of(value_item(list, i));
    operate_all(call, names, count,
                (struct trigger_request){
                    .operation = TRIGGER_SET_DISABLED,
                    .disabled = value_get_bool(body, "disabled", true),
                });
}

static void set_disabled_by_query(struct call *call)
{
    by_query_with(call, (struct trigger_request){
                            .operation = TRIGGER_SET_DISABLED,
                            .disabled = call_query_bool(call, "disabled", true),
                        });
}

/* ---- table ---- */

static const enum trigger_operation op_unlock = TRIGGER_UNLOCK;
static const enum trigger_operation op_remove = TRIGGER_REMOVE;
static const enum trigger_operation op_pause = TRIGGER_BACKFILL_PAUSE;
static const enum trigger_operation op_unpause = TRIGGER_BACKFILL_UNPAUSE;
static const enum trigger_operation op_backfill_remove = TRIGGER_BACKFILL_REMOVE;

static const struct route_query disabled_query[] = {
    { "disabled", "boolean", "true by default.", false },
    { 0 },
};

#define JSON "application/json"

#define BULK(method_, base_, operation_, doc_)                                                     \
    { method_,                                                                                     \
      base_ "/by-triggers",                                                                        \
      by_triggers,                                                                                 \
      .body = JSON,                                                                                \
      .shape = "Count",                                                                            \
      .doc = doc_ " Those of a list.",                                                             \
      .data = &(operation_) },                                                                     \
    {                                                                                              \
        method_, base_ "/by-query", by_query, .resource = RESOURCE_TRIGGER, .shape = "Count",      \
                                              .doc = doc_ " Those that filters find.",             \
                                              .data = &(operation_)                                \
    }

const struct route trigger_routes[] = {
    { "GET", "triggers/search", get_search, .flags = ROUTE_PAGED, .resource = RESOURCE_TRIGGER,
      .doc = "Triggers with their definitions." },
    { "GET", "triggers/{namespace}/{flowId}", get_of_flow, .flags = ROUTE_PAGED,
      .resource = RESOURCE_TRIGGER, .shape = "PagedTrigger", .doc = "Triggers of a flow." },
    { "PUT", "triggers", put_trigger, .body = JSON, .shape = "Trigger",
      .doc = "Switches a trigger, or starts a backfill." },
    { "PUT", "triggers/set-disabled", put_trigger, .body = JSON, .shape = "Trigger",
      .doc = "Switches a trigger." },
    { "PUT", "triggers/backfill/create", put_trigger, .body = JSON, .shape = "Trigger",
      .doc = "Starts a backfill." },
    { "POST", "triggers/{namespace}/{flowId}/{triggerId}/unlock", post_unlock, .shape = "Trigger",
      .doc = "Frees a trigger from the execution that holds it." },
    { "POST", "triggers/{namespace}/{flowId}/{triggerId}/restart", post_restart, .shape = "Trigger",
      .doc = "Starts evaluating a trigger again." },
    { "DELETE", "triggers/{namespace}/{flowId}/{triggerId}", delete_trigger,
      .doc = "Forgets the state of a trigger." },
    BULK("POST", "triggers/unlock", op_unlock, "Unlocks triggers."),
    { "PUT", "triggers/backfill/pause", change_backfill, .body = JSON, .shape = "Trigger",
      .data = &op_pause, .doc = "Pauses a backfill." },
    { "PUT", "triggers/backfill/unpause", change_backfill, .body = JSON, .shape = "Trigger",
      .data = &op_unpause, .doc = "Goes on with a backfill." },
    { "POST", "triggers/backfill/delete", change_backfill, .body = JSON, .shape = "Trigger",
      .data = &op_backfill_remove, .doc = "Ends a backfill." },
    BULK("POST", "triggers/backfill/pause", op_pause, "Pauses backfills."),
    BULK("POST", "triggers/backfill/unpause", op_unpause, "Goes on with backfills."),
    BULK("POST", "triggers/backfill/delete", op_backfill_remove, "Ends backfills."),
    BULK("DELETE", "triggers/delete", op_remove, "Forgets triggers."),
    { "POST", "triggers/set-disabled/by-triggers", set_disabled_by_triggers, .body = JSON,
      .shape = "Count", .doc = "Switches triggers of a list." },
    { "POST", "triggers/set-disabled/by-query", set_disabled_by_query, .resource = RESOURCE_TRIGGER,
      .query = disabled_query, .shape = "Count", .doc = "Switches triggers that filters find." },
    { "GET", "triggers/export/by-query/csv", get_csv, .resource = RESOURCE_TRIGGER,
      .doc = "Triggers as CSV." },
    { 0 },
};
