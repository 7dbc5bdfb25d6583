/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Webhooks (api.md 2.2.4, flow-language.md 5.6): the shortest way from the network to a started
 * execution.
 *
 * The handler runs in the server thread: one read for the latest revision, the parsed flow from the
 * cache, one request to the driver. The answer is written before the request goes out and sent by
 * the driver's thread after its commit. Calls with large bodies, and those whose conditions or
 * inputs may take longer, go through a pool thread.
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/str.h"
#include "core/flow.h"
#include "core/inputs.h"
#include "core/json.h"
#include "core/labels.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/api/call.h"
#include "runtime/api/executions.h"
#include "runtime/api/hook_cache.h"
#include "runtime/api/host.h"
#include "runtime/api/shapes.h"
#include "runtime/api/streams.h"
#include "runtime/triggers/condition.h"
#include "runtime/worker/services.h"

/* Bodies up to this size are parsed in the server thread: about a tenth of a millisecond. */
#define DIRECT_BODY_MAX ((size_t)32 * 1024)

/* A call of a webhook that is being answered. */
struct hook {
    struct call *call;
    struct flow_row row;
    struct flow *flow; /* one reference, until the driver has answered */
    const struct trigger *trigger;
    struct id id;
    const struct value *variables; /* {body, headers, parameters} */
    const struct value *context;   /* of expressions, with `trigger` */
    const struct value *inputs;
    struct label *labels; /* of the trigger, system.from included */
    size_t labels_count;
    struct buf answer; /* without waiting: the body, ready to send */
    bool wait;
};

/* ---- variables ---- */

/* Name to list of values, names as they came. */
static const struct value *field_lists(struct arena *arena, const struct http_fields *fields)
{
    struct value_builder map = value_build(arena);
    for (size_t i = 0; i < fields->count; i++) {
        const char *name = fields->items[i].name;
        if (value_build_has(&map, name, strlen(name)))
            continue;
        struct value_builder list = value_build(arena);
        for (size_t j = i; j < fields->count; j++) {
            if (str_eq(fields->items[j].name, name))
                value_add(&list, value_string(arena, fields->items[j].value));
        }
        value_put(&map, name, value_build_list(&list));
    }
    return value_build_map(&map);
}

/* An object or a list as such, anything else as text; NULL when there is no payload. */
static const struct value *payload(struct arena *arena, const struct httpd_request *http)
{
    if (http->body_length == 0)
        return NULL;
    const char *start = http->body + strspn(http->body, " \t\r\n");
    if (*start == '{' || *start == '[') {
        const struct value *parsed = json_parse(arena, http->body, http->body_length, NULL);
        if (parsed != NULL)
            return parsed;
    }
    return value_string_n(arena, http->body, http->body_length);
}

static void read_variables(struct hook *hook)
{
    struct arena *arena = hook->call->arena;
    const struct httpd_request *http = hook->call->http;
    struct value_builder map = value_build(arena);
    const struct value *body = payload(arena, http);
    if (body != NULL)
        value_put(&map, "body", body);
    value_put(&map, "headers", field_lists(arena, &http->headers));
    value_put(&map, "parameters", field_lists(arena, &http->query));
    hook->variables = value_build_map(&map);
    const struct value *seen = engine_webhook_variables(arena, hook->variables);
    hook->context =
        value_with(arena, host_flow_context(arena, hook->call->api, hook->flow), "trigger", seen);
}

/* ---- which trigger ---- */

/* Does the trigger's key, rendered and trimmed, equal the one of the path? */
static bool has_key(struct hook *hook, const struct trigger *trigger, struct expr_env *env)
{
    struct arena *arena = hook->call->arena;
    const char *key = value_get_text(trigger->doc, "key", NULL);
    struct error err = { 0 };
    if (key != NULL && expr_is_dynamic(key))
        key = expr_render_text(env, arena, key, NULL, &err);
    if (key == NULL)
        return false; // a key that cannot be rendered is skipped
    key = str_trim(arena, key);
    return key[0] != '\0' && digest_equal_text(hook->call->path[2], key);
}

/* Has somebody switched the trigger off? */
static bool is_switched_off(struct hook *hook)
{
    struct store_reader *reader = hook->call->reader;
    struct trigger_state state;
    struct error err = { 0 };
    return reader->ops->trigger_get(reader, hook->call->arena, hook->flow->namespace,
                                    hook->flow->id, hook->trigger->id, &state, &err) &&
           (state.disabled || state.is_off);
}

static bool find_trigger(struct hook *hook)
{
    struct api_host host;
    struct call *call = hook->call;
    const struct value *context = host_flow_context(call->arena, call->api, hook->flow);
    api_host_init(&host, call->api, context, 0, false);
    for (size_t i = 0; i < hook->flow->triggers_count && hook->trigger == NULL; i++) {
        const struct trigger *trigger = &hook->flow->triggers[i];
        if (trigger->type->trigger_kind == TRIGGER_WEBHOOK && !trigger->disabled &&
            has_key(hook, trigger, &host.env))
            hook->trigger = trigger;
    }
    api_host_release(&host);
    return hook->trigger != NULL && !is_switched_off(hook);
}

/* ---- conditions, inputs, labels ---- */

static bool holds(struct hook *hook, struct expr_env *env)
{
    const struct trigger *trigger = hook->trigger;
    struct condition_env condition = {
        .plugins = hook->call->api->config.plugins,
        .expr = env,
        .namespace = hook->flow->namespace,
        .flow_id = hook->flow->id,
        .scratch = hook->call->arena,
    };
    bool result = true;
    struct error err = { 0 };
    if (!conditions_hold(trigger->conditions, &condition, &result, &err)) {
        log_warn("a webhook's condition cannot be evaluated",
                 LOG_STR("namespace", hook->flow->namespace), LOG_STR("flow", hook->flow->id),
                 LOG_STR("trigger", trigger->id), LOG_STR("cause", err.text));
        return false;
    }
    if (!result || trigger->when == NULL)
        return result;
    bool ok = true;
    bool is_true = expr_render_truth(env, trigger->when, &ok, &err);
    return ok && is_true;
}

static bool resolve_inputs(struct hook *hook, struct expr_env *env)
{
    struct call *call = hook->call;
    const struct flow *flow = hook->flow;
    struct error err = { 0 };
    hook->inputs = &value_empty_map;
    const struct value *given = NULL;
    bool ok = true;
    if (hook->trigger->inputs != NULL) {
        given = expr_render_tree(env, call->arena, hook->trigger->inputs, &err);
        ok = given != NULL;
    }
    if (ok && flow->inputs_count > 0) {
        struct inputs_request request = {
            .inputs = flow->inputs,
            .count = flow->inputs_count,
            .supplied = given,
            .env = env,
            .owner = arena_printf(call->arena, "%s.%s", flow->namespace, flow->id),
            .encrypt = call->api->config.services->encrypt,
            .encrypt_data = call->api->config.services->data,
            .allow_missing = hook->trigger->inputs == NULL,
        };
        hook->inputs = inputs_resolve_map(&request, call->arena, &err);
        ok = hook->inputs != NULL;
    }
    if (!ok)
        log_warn("a webhook's inputs cannot be resolved", LOG_STR("namespace", flow->namespace),
                 LOG_STR("flow", flow->id), LOG_STR("trigger", hook->trigger->id),
                 LOG_STR("cause", err.text));
    return ok;
}

static void read_labels_of(struct hook *hook, struct expr_env *env)
{
    struct arena *arena = hook->call->arena;
    size_t count = 0;
    struct label *labels =
        hook->trigger->labels == NULL ? NULL : labels_of(arena, hook->trigger->labels, &count);
    hook->labels = ARENA_ARRAY(arena, count + 1, struct label);
    for (size_t i = 0; i < count; i++) {
        struct error ignored = { 0 };
        const char *value = labels[i].value;
        if (expr_is_dynamic(value))
            value = expr_render_text(env, arena, value, NULL, &ignored);
        if (!str_empty(value) && !label_is_reserved(labels[i].key))
            hook->labels[hook->labels_count++] = (struct label){ labels[i].key, value };
    }
    hook->labels[hook->labels_count++] = (struct label){ "system.from", "trigger" };
}

/* ---- the answer ---- */

static void add_label(struct value_builder *list, const char *key, const char *value)
{
    struct value_builder map = value_build(list->arena);
    value_put_text(&map, "key", key);
    value_put_text(&map, "value", value);
    value_add(list, value_build_map(&map));
}

/* Body of the answer that does not wait: the execution as it is when it was just created. */
static void write_answer(struct hook *hook)
{
    struct arena *arena = hook->call->arena;
    const struct api_config *config = &hook->call->api->config;
    const struct flow *flow = hook->flow;
    usec_t now = clock_now();
    struct value_builder trigger = value_build(arena);
    value_put_text(&trigger, "id", hook->trigger->id);
    value_put_text(&trigger, "type", hook->trigger->type->id);
    value_put(&trigger, "variables", hook->variables);

    struct value_builder labels = value_build(arena);
    for (size_t i = 0; i < flow->labels_count; i++)
        add_label(&labels, flow->labels[i].key, flow->labels[i].value);
    for (size_t i = 0; i < hook->labels_count; i++)
        add_label(&labels, hook->labels[i].key, hook->labels[i].value);
    add_label(&labels, "system.correlationId", hook->id.text);

    struct value_builder change = value_build(arena);
    value_put_text(&change, "state", "CREATED");
    put_time(&change, "date", now);
    const struct value *first = value_build_map(&change);
    struct value_builder state = value_build(arena);
    value_put_text(&state, "current", "CREATED");
    value_put(&state, "histories", value_list(arena, &first, 1));
    put_time(&state, "startDate", now);

    struct value_builder metadata = value_build(arena);
    value_put_int(&metadata, "attemptNumber", 1);
    put_time(&metadata, "originalCreatedDate", now);

    struct value_builder map = value_build(arena);
    value_put_text(&map, "tenantId", config->tenant);
    value_put_text(&map, "id", hook->id.text);
    value_put_text(&map, "namespace", flow->namespace);
    value_put_text(&map, "flowId", flow->id);
    value_put_int(&map, "flowRevision", hook->row.revision);
    value_put(&map, "trigger", value_build_map(&trigger));
    value_put(&map, "labels", value_build_list(&labels));
    value_put(&map, "state", value_build_map(&state));
    value_put_text(&map, "originalId", hook->id.text);
    value_put_bool(&map, "deleted", false);
    value_put(&map, "metadata", value_build_map(&metadata));
    value_put_text(&map, "url",
                   shape_execution_url(arena, config, flow->namespace, flow->id, hook->id.text));
    value_write_json_full(&hook->answer, value_build_map(&map));
}

/* On the driver's thread. */
static void started(struct driver_request *request)
{
    struct hook *hook = request->data;
    struct call *call = hook->call;
    flow_unref(hook->flow);
    if (call_driver_failed(call)) {
        buf_free(&hook->answer);
        return;
    }
    reply_buf(call, 200, "application/json", &hook->answer, NULL);
}

/* Status of an answer that waited: as the trigger says, or by the state. */
static int waited_status(struct hook *hook, const struct execution_row *row)
{
    struct call *call = hook->call;
    int64_t status = row->state == STATE_FAILED ? 500 : 200;
    const struct value *code = value_get(hook->trigger->doc, "responseCode");
    struct error err = { 0 };
    if (code == NULL || code->kind == VALUE_INT)
        return (int)(code == NULL ? status : code->integer);
    struct execution *execution = execution_row_decode(row, hook->flow, &err);
    if (execution == NULL)
        return (int)status;
    struct api_host host;
    api_host_init(&host, call->api,
                  engine_context(execution, NULL, call->api->config.world, call->arena), 0, false);
    const char *text = expr_render_text(
        &host.env, call->arena, value_get_text(hook->trigger->doc, "responseCode", ""), NULL, &err);
    int64_t given = 0;
    if (text != NULL && str_to_int(str_trim(call->arena, text), 100, 599, &given))
        status = given;
    api_host_release(&host);
    execution_free(execution);
    return (int)status;
}

/* The outputs of an execution as JSON text; false when it cannot be read. */
static bool write_outputs(struct call *call,
                          struct buf *out,
                          const struct execution_row *row,
                          struct error *err)
{
    struct execution *execution = execution_row_decode(row, NULL, err);
    if (execution == NULL)
        return false;
    value_write_json_full(out, shape_outputs(&call->api->config, call->arena, execution));
    execution_free(execution);
    return true;
}

/* On a pool thread, when an awaited execution has ended. */
static void waited(struct call *call)
{
    struct hook *hook = call->data;
    struct flow *flow = hook->flow; // outlives the call
    const struct value *doc = hook->trigger->doc;
    struct execution_row late;
    const struct execution_row *row = call->driver.execution.row;
    if (!call->driver.ok && call->driver.error.code == ERR_TIMEOUT)
        row = call_execution(call, hook->id.text, &late) ? &late : NULL;
    else if (call_driver_failed(call))
        row = NULL;
    if (row != NULL) {
        int status = waited_status(hook, row);
        if (!value_get_bool(doc, "returnOutputs", false)) {
            const char *url = shape_execution_url(call->arena, &call->api->config, row->namespace,
                                                  row->flow_id, row->id.text);
            reply_execution(call, status, row, url);
        } else {
            const char *type = value_get_text(doc, "responseContentType", "application/json");
            struct buf body = { 0 };
            struct error err = { 0 };
            if (write_outputs(call, &body, row, &err))
                reply_buf(call, status, type, &body, NULL);
            else
                reply_failure(call, &err);
        }
    }
    flow_unref(flow);
}

static void start(struct hook *hook)
{
    struct call *call = hook->call;
    call->driver.type = REQUEST_CREATE;
    call->driver.create = (struct create_request){
        .id = &hook->id,
        .namespace = hook->flow->namespace,
        .flow_id = hook->flow->id,
        .revision = hook->row.revision,
        .inputs = hook->inputs,
        .labels = hook->labels,
        .labels_count = hook->labels_count,
        .trigger_id = hook->trigger->id,
        .trigger_type = hook->trigger->type->id,
        .trigger_variables = hook->variables,
        .wait = hook->wait,
    };
    if (hook->wait) {
        call->driver.wants_row = true;
        call->data = hook;
        call_hold(call, waited);
        return;
    }
    write_answer(hook);
    call->driver.arena = call->arena;
    call->driver.done = started;
    call->driver.data = hook;
    if (driver_submit(call->api->config.driver, &call->driver))
        return;
    flow_unref(hook->flow);
    buf_free(&hook->answer);
    reply_failure(call, &call->driver.error);
}

/* ---- the handler ---- */

/* What the last call found, if it was for the same trigger and nothing was changed since. */
static bool recall(struct hook *hook, uint64_t catalog)
{
    struct call *call = hook->call;
    struct hook_found found;
    if (!hook_cache_find(call->api->hooks, call->path[0], call->path[1], catalog, &found))
        return false;
    const char *key = str_trim(call->arena, value_get_text(found.trigger->doc, "key", ""));
    if (!digest_equal_text(call->path[2], key)) {
        flow_unref(found.flow);
        return false;
    }
    hook->flow = found.flow;
    hook->trigger = found.trigger;
    hook->row.revision = found.revision;
    return true;
}

/* A key with expressions may be another one at the next call. */
static void remember(struct hook *hook, uint64_t catalog)
{
    if (expr_is_dynamic(value_get_text(hook->trigger->doc, "key", "")))
        return;
    struct hook_found found = {
        .catalog = catalog,
        .revision = hook->row.revision,
        .flow = hook->flow,
        .trigger = hook->trigger,
    };
    hook_cache_keep(hook->call->api->hooks, &found);
}

/* Finds flow and trigger; false when the call was answered. */
static bool find_hook(struct hook *hook)
{
    struct call *call = hook->call;
    uint64_t catalog = driver_catalog(call->api->config.driver);
    if (recall(hook, catalog))
        return true;
    struct store_reader *reader = call_reader(call);
    if (reader == NULL)
        return false;
    struct error err = { 0 };
    if (!reader->ops->flow_get(reader, call->arena, call->path[0], call->path[1], 0, false,
                               &hook->row, &err)) {
        if (err.code == ERR_NOT_FOUND)
            reply_error(call, 404, "Not Found", "Flow not found");
        else
            reply_failure(call, &err);
        return false;
    }
    if (hook->row.disabled) {
        reply_error(call, 409, "Illegal state", "Cannot execute a disabled flow");
        return false;
    }
    hook->flow = call_flow(call, &hook->row, &err);
    if (hook->flow == NULL) {
        reply_error(call, 409, "Illegal state", "%s", err.text);
        return false;
    }
    if (find_trigger(hook)) {
        remember(hook, catalog);
        return true;
    }
    flow_unref(hook->flow);
    reply_error(call, 404, "Not Found", "Webhook not found");
    return false;
}

/* Conditions, inputs, labels, and the request to the driver. */
static void begin(void *context)
{
    struct hook *hook = context;
    struct call *call = hook->call;
    read_variables(hook);
    struct api_host host;
    api_host_init(&host, call->api, hook->context, map_hash(hook->id.text, ID_LENGTH), false);
    bool starts = holds(hook, &host.env) && resolve_inputs(hook, &host.env);
    if (starts)
        read_labels_of(hook, &host.env);
    api_host_release(&host);
    if (!starts) {
        flow_unref(hook->flow);
        reply_empty(call, 409);
        return;
    }
    hook->wait = value_get_bool(hook->trigger->doc, "wait", false);
    start(hook);
}

/* Is there nothing to evaluate that could take long? */
static bool is_plain(const struct hook *hook)
{
    const struct trigger *trigger = hook->trigger;
    return trigger->conditions == NULL && trigger->when == NULL && trigger->inputs == NULL &&
           trigger->labels == NULL && hook->flow->inputs_count == 0 &&
           hook->call->http->body_length <= DIRECT_BODY_MAX;
}

static void call_webhook(struct call *call)
{
    struct hook *hook = ARENA_NEW(call->arena, struct hook);
    hook->call = call;
    if (!find_hook(hook))
        return;
    hook->id = call_new_id(call);
    if (is_plain(hook)) {
        begin(hook);
    } else if (!pool_submit(call->api->pool, begin, hook)) {
        flow_unref(hook->flow);
        reply_failure(call, &call->driver.error);
    }
}

#define WEBHOOK(method_)                                                                           \
    {                                                                                              \
        .method = (method_), .path = "executions/webhook/{namespace}/{id}/{key}",                  \
        .run = call_webhook, .flags = ROUTE_DIRECT | ROUTE_OPEN | ROUTE_NO_SLASH, .body = "*/*",   \
        .shape = "WebhookResponse", .doc = "Starts a flow by one of its webhook triggers."         \
    }

const struct route webhook_routes[] = {
    WEBHOOK("GET"),
    WEBHOOK("POST"),
    WEBHOOK("PUT"),
    { 0 },
};
