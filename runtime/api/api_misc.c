/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health, metrics, configuration, first user, usage (api.md 2.14), and areas that weir leaves out
 * (2.16).
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/str.h"
#include "core/expr/expr.h"
#include "core/flow.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/api/auth.h"
#include "runtime/api/call.h"
#include "runtime/api/shapes.h"

/* The wire generation that is spoken (api.md 1.13). */
#define WIRE_VERSION "1.3.25"

/* Of the worker, in attempts of tasks and in triggers. */
#define SERVICE_NAME "weir"

/* ---- operational ---- */

static void get_ping(struct call *call)
{
    reply_bytes(call, 200, "text/plain", "pong", 4);
}

static void get_health(struct call *call)
{
    struct driver_counts counts = driver_counts(call->api->config.driver);
    bool is_up = counts.store_failing_since == 0 && !atomic_load(&call->api->is_quiet);
    struct value_builder store = value_build(call->arena);
    value_put_text(&store, "status", counts.store_failing_since == 0 ? "UP" : "DOWN");
    put_time(&store, "failingSince", counts.store_failing_since);
    struct value_builder details = value_build(call->arena);
    value_put(&details, "store", value_build_map(&store));
    struct value_builder map = value_build(call->arena);
    value_put_text(&map, "status", is_up ? "UP" : "DOWN");
    value_put(&map, "details", value_build_map(&details));
    reply_value(call, is_up ? 200 : 503, value_build_map(&map));
}

static void get_liveness(struct call *call)
{
    struct value_builder map = value_build(call->arena);
    value_put_text(&map, "status", "UP");
    reply_value(call, 200, value_build_map(&map));
}

static void get_metrics(struct call *call)
{
    struct buf body = { 0 };
    metric_print(&body);
    reply_buf(call, 200, "text/plain; version=0.0.4; charset=utf-8", &body, NULL);
}

static void get_version(struct call *call)
{
    struct value_builder map = value_build(call->arena);
    value_put_text(&map, "version", WIRE_VERSION);
    value_put_text(&map, "weirVersion", call->api->config.version);
    value_put_text(&map, "type", "STANDALONE");
    reply_value(call, 200, value_build_map(&map));
}

/* ---- configuration ---- */

static void get_configs(struct call *call)
{
    const struct api_config *config = &call->api->config;
    struct value_builder preview = value_build(call->arena);
    value_put_int(&preview, "initial", 100);
    value_put_int(&preview, "max", 5000);
    const struct value *hidden = value_string(call->arena, "system.");
    size_t plugins = 0;
    (void)plugin_all(config->plugins, &plugins);

    struct value_builder map = value_build(call->arena);
    value_put_text(&map, "uuid", call->api->installation.text);
    value_put_text(&map, "version", WIRE_VERSION);
    value_put_text(&map, "weirVersion", config->version);
    value_put_text(&map, "edition", "OSS");
    value_put_text(&map, "chartDefaultDuration", "PT24H");
    value_put_bool(&map, "isCustomDashboardsEnabled", true);
    value_put_bool(&map, "isAnonymousUsageEnabled", false);
    value_put_bool(&map, "isUiAnonymousUsageEnabled", false);
    value_put_bool(&map, "isTemplateEnabled", false);
    value_put_text(&map, "url", config->public_url);
    value_put(&map, "preview", value_build_map(&preview));
    value_put_text(&map, "systemNamespace", config->system_namespace);
    value_put(&map, "hiddenLabelsPrefixes", value_list(call->arena, &hidden, 1));
    value_put_bool(&map, "isAiEnabled", false);
    value_put_bool(&map, "isAiApiKeyConfigured", false);
    value_put_bool(&map, "isBasicAuthInitialized", auth_has_user(call->api->auth));
    value_put_int(&map, "pluginsHash", (int64_t)plugins);
    value_put_bool(&map, "isConcurrencyViewEnabled", true);
    if (config->environment_name != NULL) {
        struct value_builder environment = value_build(call->arena);
        value_put_text(&environment, "name", config->environment_name);
        value_put_text(&environment, "color", config->environment_color);
        value_put(&map, "environment", value_build_map(&environment));
    }
    reply_value(call, 200, value_build_map(&map));
}

/* The one server there is, under the name that task runs and triggers give as their worker. */
static void get_service(struct call *call)
{
    const struct api *api = call->api;
    if (!str_eq(call->path[0], SERVICE_NAME) && !str_eq(call->path[0], api->installation.text)) {
        reply_error(call, 404, "Not Found", "there is no service '%s'", call->path[0]);
        return;
    }
    bool ends = atomic_load(&api->is_quiet);
    struct value_builder server = value_build(call->arena);
    value_put_text(&server, "id", api->installation.text);
    value_put_text(&server, "type", "STANDALONE");
    value_put_text(&server, "version", WIRE_VERSION);
    value_put(&server, "props", &value_empty_map);
    value_put(&server, "metrics", &value_empty_list);
    struct value_builder map = value_build(call->arena);
    value_put_text(&map, "id", call->path[0]);
    value_put_text(&map, "type", "WORKER");
    value_put_text(&map, "state", ends ? "TERMINATING" : "RUNNING");
    value_put(&map, "server", value_build_map(&server));
    put_time(&map, "createdAt", api->started_at);
    put_time(&map, "updatedAt", clock_now());
    value_put(&map, "events", &value_empty_list);
    value_put(&map, "config", &value_empty_map);
    value_put(&map, "props", &value_empty_map);
    value_put(&map, "metrics", &value_empty_list);
    value_put_int(&map, "seqId", 0);
    reply_value(call, 200, value_build_map(&map));
}

static void get_configs_login(struct call *call)
{
    struct value_builder map = value_build(call->arena);
    value_put_bool(&map, "isBasicAuthInitialized", auth_has_user(call->api->auth));
    reply_value(call, 200, value_build_map(&map));
}

/* ---- the first user ---- */

static void credentials_stored(struct call *call)
{
    if (call_driver_failed(call))
        return;
    auth_set(call->api->auth, call->data);
    reply_empty(call, 204);
}

static void post_basic_auth(struct call *call)
{
    struct arena *arena = call->arena;
    // the route is open while nobody can log in; who comes later must have logged in
    if (!auth_is_open(call->api->auth) && call->user == NULL) {
        reply_unauthorized(call);
        return;
    }
    const struct value *body = call_json(call);
    if (body == NULL)
        return;
    const char *name = value_get_text(body, "username", "");
    const char *password = value_get_text(body, "password", "");
    const struct value *problems = auth_problems(arena, name, password);
    if (value_count(problems) > 0) {
        struct buf text = { 0 };
        for (size_t i = 0; i < value_count(problems); i++)
            buf_printf(&text, "%s%s", i > 0 ? " " : "", value_cstr(value_item(problems, i)));
        const char *joined = buf_dup(&text, arena);
        buf_free(&text);
        reply_error(call, 400, "Bad Request", "%s", joined);
        return;
    }
    const struct value *stored = auth_hash(arena, name, password);
    const char *json = value_to_json(arena, stored);
    struct document_change *change = ARENA_NEW(arena, struct document_change);
    change->row = (struct document_row){
        .collection = "auth",
        .key = "user",
        .at = clock_now(),
        .body = { json, strlen(json) },
    };
    call->data = (void *)(uintptr_t)stored;
    call->driver.type = REQUEST_CHANGE;
    call->driver.change = (struct change_request){
        .origin = call_origin(call),
        .documents = change,
        .documents_count = 1,
    };
    call_drive(call, credentials_stored);
}

static void get_validation_errors(struct call *call)
{
    reply_value(call, 200, &value_empty_list);
}

/* ---- expressions ---- */

static void get_builtins(struct call *call)
{
    const char *kind = call->route->data;
    size_t count = 0;
    const struct expr_builtin *builtins = expr_builtins(&count);
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++) {
        if (str_eq(builtins[i].kind, kind))
            value_add(&list, value_string(call->arena, builtins[i].name));
    }
    reply_value(call, 200, value_build_list(&list));
}

/* ---- usage ---- */

/* Flows read at a time; their sources are in memory only so long. */
#define USAGE_PAGE 500U

/* How often each type is used: type -> struct used, both in the arena of the call. */
struct used {
    int64_t count;
};

struct usage {
    struct call *call;
    struct map tasks;
    struct map triggers;
    struct map runners;
    int64_t flows;
};

static void count_type(struct usage *usage, struct map *map, const char *type)
{
    struct used *used = map_find(map, type);
    if (used == NULL) {
        used = ARENA_NEW(usage->call->arena, struct used);
        (void)map_put(map, type, used);
    }
    used->count++;
}

static void count_flow(struct usage *usage, const struct flow *flow)
{
    for (size_t i = 0; i < flow->tasks_all_count; i++) {
        const struct task *task = flow->tasks_all[i];
        count_type(usage, &usage->tasks, task->type->id);
        const char *runner = value_get_text(value_get(task->doc, "taskRunner"), "type", NULL);
        if (runner != NULL)
            count_type(usage, &usage->runners, runner);
    }
    for (size_t i = 0; i < flow->triggers_count; i++)
        count_type(usage, &usage->triggers, flow->triggers[i].type->id);
}

/* One page of flows, so that the memory of all sources is never held; false at the end. */
static bool count_page(struct usage *usage, size_t offset, struct error *err)
{
    struct call *call = usage->call;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct query query = { .sort = FIELD_NAMESPACE, .offset = offset, .limit = USAGE_PAGE };
    struct flow_row *rows = NULL;
    size_t count = 0;
    if (!call->reader->ops->flow_search(call->reader, arena, &query, true, &rows, &count,
                                        offset == 0 ? &usage->flows : NULL, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct error ignored = { 0 };
        struct flow *flow = call_flow(call, &rows[i], &ignored);
        if (flow != NULL) // one that no longer parses uses nothing
            count_flow(usage, flow);
        flow_unref(flow);
    }
    return count == USAGE_PAGE;
}

static void put_counts(struct value_builder *out, const char *name, const struct map *map)
{
    struct value_builder counts = value_build(out->arena);
    size_t at = 0;
    const struct map_slot *slot;
    while ((slot = map_next(map, &at)) != NULL)
        value_put_int(&counts, arena_strdup(out->arena, slot->key),
                      ((const struct used *)slot->value)->count);
    value_put(out, name, value_build_map(&counts));
}

static void put_flow_usage(struct value_builder *out,
                           const struct usage *usage,
                           size_t namespaces_count)
{
    struct value_builder flow = value_build(out->arena);
    value_put_int(&flow, "count", usage->flows);
    value_put_int(&flow, "namespacesCount", (int64_t)namespaces_count);
    put_counts(&flow, "taskTypeCount", &usage->tasks);
    put_counts(&flow, "triggerTypeCount", &usage->triggers);
    put_counts(&flow, "taskRunnerTypeCount", &usage->runners);
    value_put(out, "flows", value_build_map(&flow));
}

static void get_usages(struct call *call)
{
    struct store_reader *reader = call_reader(call);
    if (reader == NULL)
        return;
    struct error err = { 0 };
    const char **namespaces = NULL;
    size_t namespaces_count = 0;
    usec_t now = clock_now();
    struct count_row *counts = NULL;
    size_t counts_count = 0;
    struct usage usage = { .call = call };
    for (size_t offset = 0; count_page(&usage, offset, &err); offset += USAGE_PAGE)
        ;
    struct value_builder map = value_build(call->arena);
    bool ok =
        err.code == ERR_NONE &&
        reader->ops->namespaces(reader, call->arena, NULL, &namespaces, &namespaces_count, &err) &&
        reader->ops->counts(reader, call->arena, now - 2 * USEC_DAY, now + USEC_DAY, &counts,
                            &counts_count, &err);
    if (ok)
        put_flow_usage(&map, &usage, namespaces_count);
    map_free(&usage.tasks);
    map_free(&usage.triggers);
    map_free(&usage.runners);
    if (!ok) {
        reply_failure(call, &err);
        return;
    }

    struct value_builder daily = value_build(call->arena);
    for (usec_t day = now - now % USEC_DAY - USEC_DAY; day <= now; day += USEC_DAY) {
        int64_t sum = 0;
        for (size_t i = 0; i < counts_count; i++)
            sum += counts[i].day == day ? counts[i].count : 0;
        struct value_builder item = value_build(call->arena);
        put_time(&item, "startDate", day);
        value_put_int(&item, "count", sum);
        value_add(&daily, value_build_map(&item));
    }
    struct value_builder executions = value_build(call->arena);
    value_put(&executions, "dailyExecutionsCount", value_build_list(&daily));
    value_put(&map, "executions", value_build_map(&executions));
    reply_value(call, 200, value_build_map(&map));
}

/* ---- the description ---- */

static void get_openapi(struct call *call)
{
    reply_value(call, 200, api_openapi(call->arena, call->api->config.version));
}

static void leave_out(struct call *call)
{
    reply_error(call, 501, "Not Implemented", "%s is not available in weir",
                (const char *)call->route->data);
}

static void list_nothing(struct call *call)
{
    reply_page(call, &value_empty_list, 0);
}

const struct route misc_routes[] = {
    { "GET", "/ping", get_ping, .flags = ROUTE_DIRECT | ROUTE_OPEN, .doc = "Answers pong." },
    { "GET", "/health", get_health, .flags = ROUTE_DIRECT | ROUTE_OPEN,
      .doc = "Whether weir works: 200 or 503." },
    { "GET", "/health/readiness", get_health, .flags = ROUTE_DIRECT | ROUTE_OPEN,
      .doc = "As /health." },
    { "GET", "/health/liveness", get_liveness, .flags = ROUTE_DIRECT | ROUTE_OPEN,
      .doc = "Whether the process answers." },
    { "GET", "/metrics", get_metrics, .flags = ROUTE_OPEN, .doc = "Metrics for Prometheus." },
    { "GET", "/prometheus", get_metrics, .flags = ROUTE_OPEN, .doc = "Metrics for Prometheus." },
    { "GET", "/version", get_version, .flags = ROUTE_DIRECT | ROUTE_OPEN,
      .doc = "Versions of wire generation and program." },
    { "GET", "/api/v1/openapi", get_openapi, .flags = ROUTE_OPEN,
      .doc = "This description as OpenAPI." },
    { "GET", "/api/v1/configs", get_configs, .flags = ROUTE_DIRECT | ROUTE_OPEN,
      .shape = "Configuration", .doc = "What a client must know about the server." },
    { "GET", "/api/v1/configs/login", get_configs_login, .flags = ROUTE_DIRECT | ROUTE_OPEN,
      .doc = "Whether there is a user with a password." },
    { "POST", "basicAuth", post_basic_auth, .flags = ROUTE_OPEN, .body = "application/json",
      .doc = "Sets the user and password that are asked for from now on." },
    { "GET", "/api/v1/basicAuthValidationErrors", get_validation_errors,
      .flags = ROUTE_DIRECT | ROUTE_OPEN, .doc = "Problems of configured credentials." },
    { "GET", "/api/v1/pebble/filters", get_builtins, .flags = ROUTE_DIRECT, .data = "filter",
      .doc = "Names of the filters of expressions." },
    { "GET", "/api/v1/pebble/functions", get_builtins, .flags = ROUTE_DIRECT, .data = "function",
      .doc = "Names of the functions of expressions." },
    { "GET", "cluster/services/{id}", get_service, .flags = ROUTE_DIRECT,
      .shape = "ServiceInstance", .doc = "The server, by its name or id." },
    { "GET", "usages/all", get_usages, .doc = "How much of what is used." },
    { 0 },
};

static const struct route_query no_query[] = { { 0 } };

#define LEFT_OUT(path_, area_)                                                                     \
    {                                                                                              \
        .method = "*", .path = (path_), .run = leave_out, .flags = ROUTE_DIRECT,                   \
        .query = no_query, .data = (area_), .doc = "Not available in weir: 501."                   \
    }

/* What clients may ask for that belongs to other products (2.16), and catalogues that are empty. */
const struct route elsewhere_routes[] = {
    LEFT_OUT("/api/v1/tenants/**", "tenants"),
    LEFT_OUT("/api/v1/users/**", "users"),
    LEFT_OUT("/api/v1/service-accounts/**", "service-accounts"),
    LEFT_OUT("/api/v1/instance/**", "instance"),
    LEFT_OUT("/api/v1/me/**", "me"),
    LEFT_OUT("/api/v1/auditlogs/**", "auditlogs"),
    LEFT_OUT("/api/v1/banners/**", "banners"),
    LEFT_OUT("/api/v1/kill-switches/**", "kill-switches"),
    LEFT_OUT("/api/v1/license-info/**", "license-info"),
    LEFT_OUT("/api/v1/invitation/**", "invitation"),
    LEFT_OUT("/api/v1/setup/**", "setup"),
    LEFT_OUT("/api/v1/auths/**", "auths"),
    LEFT_OUT("/api/v1/main-tenant-flows/**", "main-tenant-flows"),
    LEFT_OUT("apps/**", "apps"),
    LEFT_OUT("tests/**", "tests"),
    LEFT_OUT("assets/**", "assets"),
    LEFT_OUT("bindings/**", "bindings"),
    LEFT_OUT("groups/**", "groups"),
    LEFT_OUT("roles/**", "roles"),
    LEFT_OUT("users/**", "users"),
    LEFT_OUT("service-accounts/**", "service-accounts"),
    LEFT_OUT("tenant-access/**", "tenant-access"),
    LEFT_OUT("invitations/**", "invitations"),
    LEFT_OUT("security-integrations/**", "security-integrations"),
    LEFT_OUT("integrations/**", "integrations"),
    LEFT_OUT("auditlogs/**", "auditlogs"),
    LEFT_OUT("acls/**", "acls"),
    LEFT_OUT("blueprints/custom/**", "custom blueprints"),
    LEFT_OUT("blueprints/flow/**", "blueprints"),
    LEFT_OUT("blueprints/flows/**", "blueprints"),
    LEFT_OUT("dependencies/**", "dependencies"),
    LEFT_OUT("namespaces/{namespace}/secrets/{key}", "writing secrets"),
    LEFT_OUT("namespaces/{namespace}/inherited-variables/**", "namespace variables"),
    LEFT_OUT("namespaces/{namespace}/inherited-plugindefaults/**", "namespace plugin defaults"),
    LEFT_OUT("namespaces/{namespace}/plugindefaults/**", "namespace plugin defaults"),
    LEFT_OUT("namespaces/{namespace}/credentials/**", "credentials"),
    { "GET", "blueprints/community/{kind}", list_nothing, .flags = ROUTE_DIRECT,
      .doc = "Blueprints of a kind; weir brings none." },
    { 0 },
};
