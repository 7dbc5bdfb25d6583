/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life of a request: route, credentials, a thread, the driver and back.
 */
#include "runtime/api/call.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/str.h"
#include "core/flow.h"
#include "core/json.h"
#include "core/value.h"
#include "runtime/api/auth.h"
#include "runtime/api/flow_cache.h"
#include "runtime/api/hook_cache.h"
#include "runtime/api/readers.h"
#include "runtime/api/streams.h"

#define THREADS_DEFAULT   16U
#define QUEUE_DEFAULT     1024U
#define BODY_DEFAULT      (64LL * 1024 * 1024)
#define UPLOAD_DEFAULT    (10LL * 1024 * 1024 * 1024)
#define FOLLOWERS_DEFAULT 1000U
#define HEARTBEAT_DEFAULT (20 * USEC_SEC)

/* Continuations: as many as the driver may have answers for. */
#define ANSWER_THREADS 4U
#define ANSWERS_MAX    131072U

/* Parsed flows kept between requests. */
#define FLOWS_KEPT 2000U

/* ---- what is asked for ---- */

const char *call_query(const struct call *call, const char *name)
{
    return http_fields_find(&call->http->query, name);
}

bool call_query_bool(const struct call *call, const char *name, bool fallback)
{
    const char *text = call_query(call, name);
    return str_empty(text) ? fallback : str_eq_nocase(text, "true");
}

const char *call_required(struct call *call, const char *name)
{
    const char *text = call_query(call, name);
    if (text == NULL)
        reply_error(call, 400, "Bad Request", "Required QueryValue [%s] not specified", name);
    return text;
}

bool call_query_int(
    struct call *call, const char *name, int64_t min, int64_t fallback, int64_t *out)
{
    const char *text = call_query(call, name);
    *out = fallback;
    if (str_empty(text))
        return true;
    if (str_to_int(text, min, INT64_MAX, out))
        return true;
    reply_error(call, 422, "Bad Request", "Failed to convert argument [%s] for value [%s]", name,
                text);
    return false;
}

const struct value *call_json(struct call *call)
{
    if (call->http->body_length == 0) {
        reply_error(call, 422, "Invalid route params", "Required Body [body] not specified");
        return NULL;
    }
    struct error err = { 0 };
    const struct value *value =
        json_parse(call->arena, call->http->body, call->http->body_length, &err);
    if (value == NULL)
        reply_error(call, 422, "Invalid json", "%s at line %u, column %u", err.text, err.line,
                    err.column);
    return value;
}

const struct value *call_json_list(struct call *call)
{
    const struct value *value = call_json(call);
    if (value == NULL || value_is_list(value))
        return value;
    reply_error(call, 422, "Invalid json mapping", "the body must be a list");
    return NULL;
}

bool call_search(struct call *call, struct search *out)
{
    struct filter_context context = {
        .now = clock_now(),
        .system_namespace = call->api->config.system_namespace,
    };
    struct refusal refusal = { 0 };
    if (search_parse(call->arena, call->route->resource, &call->http->query, &context, out,
                     &refusal))
        return true;
    reply_refusal(call, &refusal);
    return false;
}

struct origin call_origin(const struct call *call)
{
    return (struct origin){
        .actor = call->user != NULL ? call->user : "anonymous",
        .channel = "api",
    };
}

const char *call_self(const struct call *call)
{
    static const char root[] = "/api/v1/";
    const char *target = call->http->target;
    if (!call->is_tenantless || !str_starts(target, root))
        return target;
    return arena_printf(call->arena, "%s%s/%s", root, call->api->config.tenant,
                        target + strlen(root));
}

const char *call_cors_origin(const struct call *call)
{
    const char *const *known = call->api->config.cors_origins;
    const char *origin = known == NULL ? NULL : http_header_find(&call->http->headers, "Origin");
    for (; origin != NULL && *known != NULL; known++) {
        if (str_eq(*known, "*") || str_eq(*known, origin))
            return origin;
    }
    return NULL;
}

/* ---- the store ---- */

struct store_reader *call_reader(struct call *call)
{
    struct error err = { 0 };
    if (call->reader == NULL)
        call->reader = readers_take(call->api->readers, &err);
    if (call->reader == NULL)
        reply_failure(call, &err);
    return call->reader;
}

struct flow *call_flow(struct call *call, const struct flow_row *row, struct error *err)
{
    return flow_cache_get(call->api->flows, row, err);
}

bool call_execution(struct call *call, const char *id, struct execution_row *out)
{
    struct store_reader *reader = call_reader(call);
    if (reader == NULL)
        return false;
    struct error err = { 0 };
    if (reader->ops->execution_get(reader, call->arena, id, out, &err))
        return true;
    if (err.code == ERR_NOT_FOUND || err.code == ERR_CONFLICT)
        reply_error(call, 404, "Not Found", "no execution %s", id);
    else
        reply_failure(call, &err);
    return false;
}

/* ---- the driver ---- */

void call_run(struct call *call, void (*run)(struct call *call))
{
    struct httpd_request *http = call->http;
    httpd_hold(http);
    run(call);
    httpd_let_go(http);
}

static void run_next(void *context)
{
    struct call *call = context;
    call_run(call, call->next);
}

static void on_answer(struct driver_request *request)
{
    struct call *call = request->data;
    if (!pool_submit(call->api->answers, run_next, call))
        run_next(call); // the pool ends
}

void call_drive(struct call *call, void (*next)(struct call *call))
{
    // a reader would be held, unused, until the answer comes
    readers_put(call->api->readers, call->reader);
    call->reader = NULL;
    call->next = next;
    call->driver.arena = call->arena;
    call->driver.done = on_answer;
    call->driver.data = call;
    if (driver_submit(call->api->config.driver, &call->driver))
        return;
    next(call);
}

bool call_driver_failed(struct call *call)
{
    if (call->driver.ok)
        return false;
    reply_failure(call, &call->driver.error);
    return true;
}

bool call_driver_wait(struct call *call)
{
    struct error err = { 0 };
    call->driver.arena = call->arena;
    call->driver.done = NULL;
    if (driver_call(call->api->config.driver, &call->driver, &err))
        return true;
    reply_failure(call, &err);
    return false;
}

/* Requests of one call that are waited for together. */
struct batch {
    pthread_mutex_t lock;
    pthread_cond_t all_done;
    size_t left;
};

static void batch_done(struct driver_request *request)
{
    struct batch *batch = request->data;
    (void)pthread_mutex_lock(&batch->lock);
    if (--batch->left == 0)
        (void)pthread_cond_signal(&batch->all_done);
    (void)pthread_mutex_unlock(&batch->lock);
}

void call_driver_all(struct call *call, struct driver_request *requests, size_t count)
{
    struct batch batch = { .left = count };
    CHECK(pthread_mutex_init(&batch.lock, NULL) == 0);
    CHECK(pthread_cond_init(&batch.all_done, NULL) == 0);
    for (size_t i = 0; i < count; i++) {
        // answers are made on the driver's thread while this one goes on: an arena each
        requests[i].arena = arena_new_sized(512);
        requests[i].done = batch_done;
        requests[i].data = &batch;
        if (!driver_submit(call->api->config.driver, &requests[i])) {
            batch_done(&requests[i]);
        }
    }
    (void)pthread_mutex_lock(&batch.lock);
    while (batch.left > 0)
        (void)pthread_cond_wait(&batch.all_done, &batch.lock);
    (void)pthread_mutex_unlock(&batch.lock);
    (void)pthread_cond_destroy(&batch.all_done);
    (void)pthread_mutex_destroy(&batch.lock);
    for (size_t i = 0; i < count; i++) {
        arena_free(requests[i].arena);
        requests[i].arena = NULL;
    }
}

struct id call_new_id(struct call *call)
{
    (void)pthread_mutex_lock(&call->api->rng_lock);
    struct id id = id_new(clock_now(), &call->api->rng);
    (void)pthread_mutex_unlock(&call->api->rng_lock);
    return id;
}

/* ---- dispatch ---- */

static void preflight(struct call *call)
{
    struct httpd_reply reply = { .status = 200 };
    struct http_field headers[] = {
        { "Access-Control-Allow-Origin", call_cors_origin(call) },
        { "Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE" },
        { "Access-Control-Allow-Headers", "Authorization, Content-Type, ttl, description" },
        { "Access-Control-Max-Age", "1800" },
        { "Vary", "Origin" },
    };
    reply.headers = headers;
    reply.headers_count = COUNT_OF(headers);
    httpd_reply(call->http, &reply);
}

static bool is_open_path(const struct api *api, const char *path)
{
    const char *const *open = api->config.open_paths;
    for (; open != NULL && *open != NULL; open++) {
        if (str_starts(path, *open))
            return true;
    }
    return false;
}

void reply_unauthorized(struct call *call)
{
    struct httpd_reply reply = { .status = 401 };
    struct http_field challenge = { "WWW-Authenticate", "Basic" };
    const char *referer = http_header_find(&call->http->headers, "Referer");
    if (referer == NULL || !str_ends(referer, "/login")) {
        reply.headers = &challenge;
        reply.headers_count = 1;
    }
    httpd_reply(call->http, &reply);
}

/* Finds the route and looks at credentials; false when the request was answered. */
static bool admit(struct call *call)
{
    struct api *api = call->api;
    struct httpd_request *http = call->http;
    if (strcmp(http->method, "OPTIONS") == 0 && call_cors_origin(call) != NULL) {
        preflight(call);
        return false;
    }

    struct route_match match;
    enum route_result result = router_find(api->router, http->method, http->segments,
                                           http->segments_count, http->has_trailing_slash, &match);
    call->is_tenantless = match.is_tenantless;
    if (result == ROUTE_ELSEWHERE && api->config.pages != NULL)
        return true; // route stays NULL

    bool is_open = result == ROUTE_ELSEWHERE ||
                   (result == ROUTE_FOUND && (match.route->flags & ROUTE_OPEN) != 0) ||
                   is_open_path(api, http->path);
    if (!auth_check(api->auth, call->arena, &http->headers, &call->user) && !is_open) {
        reply_unauthorized(call);
        return false;
    }
    switch (result) {
    case ROUTE_FOUND:
        call->route = match.route;
        memcpy(call->path, match.parameters, sizeof(call->path));
        return true;
    case ROUTE_WRONG_METHOD:
        reply_error(call, 405, "Method Not Allowed", "%s is not possible here", http->method);
        return false;
    case ROUTE_WRONG_TENANT:
        reply_error(call, 400, "Bad Request", "there is no tenant '%s'; the tenant is '%s'",
                    match.tenant, api->config.tenant);
        return false;
    case ROUTE_UNKNOWN:
    case ROUTE_ELSEWHERE:
        reply_error(call, 404, "Not Found", NULL);
        return false;
    }
    return false;
}

static struct call *call_new(struct api *api, struct httpd_request *http)
{
    struct call *call = ARENA_NEW(http->arena, struct call);
    call->api = api;
    call->http = http;
    call->arena = http->arena;
    call->started = clock_monotonic();
    http->user = call;
    return call;
}

int64_t api_begin(void *context, struct httpd_request *request)
{
    struct api *api = context;
    struct call *call = call_new(api, request);
    if (!admit(call))
        return -1;
    if (call->route != NULL && (call->route->flags & ROUTE_UPLOAD) != 0)
        return api->config.upload_max;
    return api->config.body_max;
}

static void run_handler(void *context)
{
    struct call *call = context;
    call_run(call, call->route->run);
}

void api_handle(void *context, struct httpd_request *request)
{
    struct api *api = context;
    struct call *call = request->user;
    if (call == NULL) {
        call = call_new(api, request);
        if (!admit(call))
            return;
    }
    call->started = clock_monotonic();
    if (call->route == NULL) {
        request->user = NULL;
        api->config.pages(api->config.pages_data, request);
        return;
    }
    if ((call->route->flags & ROUTE_DIRECT) != 0)
        run_handler(call);
    else if (!pool_submit(api->pool, run_handler, call))
        reply_error(call, 503, "Service Unavailable", "too many requests are waiting");
}

void api_refuse(void *context,
                struct httpd_request *request,
                const char *message,
                struct httpd_reply *reply)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        { 400, "Bad Request" },
        { 413, "Content Too Large" },
        { 422, "Illegal argument" },
        { 503, "Service Unavailable" },
    };
    (void)context;
    const char *reason = "Internal server error";
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == reply->status)
            reason = reasons[i].reason;
    }
    struct arena *arena = request->arena;
    struct value_builder href = value_build(arena);
    value_put_text(&href, "href", request->target);
    value_put_bool(&href, "templated", false);
    struct value_builder links = value_build(arena);
    value_put(&links, "self", value_build_map(&href));
    struct value_builder map = value_build(arena);
    value_put_text(&map, "message", arena_printf(arena, "%s: %s", reason, message));
    value_put(&map, "_links", value_build_map(&links));
    const char *text = value_to_json(arena, value_build_map(&map));
    reply->type = "application/json";
    reply->body = HTTPD_BODY_ARENA;
    reply->bytes = text;
    reply->length = strlen(text);
}

/* ---- the whole ---- */

static void apply_defaults(struct api_config *config)
{
    if (config->tenant == NULL)
        config->tenant = "main";
    if (config->system_namespace == NULL)
        config->system_namespace = "system";
    if (config->zone == NULL)
        config->zone = "UTC";
    if (config->version == NULL)
        config->version = "0";
    if (config->threads == 0)
        config->threads = THREADS_DEFAULT;
    if (config->queue_max == 0)
        config->queue_max = QUEUE_DEFAULT;
    if (config->body_max == 0)
        config->body_max = BODY_DEFAULT;
    if (config->upload_max == 0)
        config->upload_max = UPLOAD_DEFAULT;
    if (config->followers_max == 0)
        config->followers_max = FOLLOWERS_DEFAULT;
    if (config->heartbeat == 0)
        config->heartbeat = HEARTBEAT_DEFAULT;
}

/* A document of the API; *out is NULL when there is none. */
static bool load_document(struct api *api,
                          struct arena *arena,
                          const char *collection,
                          const char *key,
                          const struct value **out,
                          struct error *err)
{
    struct store_reader *reader = readers_take(api->readers, err);
    if (reader == NULL)
        return false;
    struct document_row row;
    struct error cause = { 0 };
    bool found = reader->ops->document_get(reader, arena, collection, key, &row, &cause);
    readers_put(api->readers, reader);
    *out = found ? json_parse(arena, row.body.at, row.body.length, &cause) : NULL;
    if (*out != NULL || cause.code == ERR_NOT_FOUND)
        return true;
    if (err != NULL)
        *err = cause;
    return false;
}

/* What tells this installation from others: made at the first start. */
static bool load_installation(struct api *api, struct arena *arena, struct error *err)
{
    const struct value *stored = NULL;
    if (!load_document(api, arena, "server", "installation", &stored, err))
        return false;
    const char *text = value_cstr(stored);
    if (text != NULL && strlen(text) == ID_LENGTH) {
        memcpy(api->installation.text, text, ID_LENGTH + 1);
        return true;
    }
    api->installation = id_new(clock_now(), &api->rng);
    const char *json = value_to_json(arena, value_string(arena, api->installation.text));
    struct document_change change = {
        .row = {
            .collection = "server",
            .key = "installation",
            .at = clock_now(),
            .body = { json, strlen(json) },
        },
    };
    struct driver_request request = { .arena = arena, .type = REQUEST_CHANGE };
    request.change = (struct change_request){
        .origin = { .actor = "weir", .channel = "api" },
        .documents = &change,
        .documents_count = 1,
    };
    return driver_call(api->config.driver, &request, err);
}

struct api *api_new(const struct api_config *config, struct error *err)
{
    struct api *api = check_calloc(1, sizeof(*api));
    api->config = *config;
    apply_defaults(&api->config);
    api->started_at = clock_now();
    api->rng = (struct rng){ rng_seed() };
    CHECK(pthread_mutex_init(&api->rng_lock, NULL) == 0);
    api->router = router_new(route_tables, api->config.tenant, api->config.tenant_aliases);
    api->readers = readers_new(config->store, api->config.threads + ANSWER_THREADS + 2);
    api->flows = flow_cache_new(config->plugins, config->plugin_defaults, FLOWS_KEPT);
    api->hooks = hook_cache_new();
    api->pool = pool_new("api", api->config.threads, api->config.queue_max);
    api->answers = pool_new("api-answer", ANSWER_THREADS, ANSWERS_MAX);
    api->streams = streams_new(api, api->config.followers_max, api->config.heartbeat);
    static atomic_flag registered = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&registered))
        reply_metrics_register();

    struct arena *arena = arena_new();
    const struct value *stored = NULL;
    // credentials that were set through the API
    bool ok = load_document(api, arena, "auth", "user", &stored, err) &&
              load_installation(api, arena, err);
    api->auth = auth_new(config->users, config->users_count, config->tokens, stored);
    arena_free(arena);
    if (!ok) {
        api_free(api);
        return NULL;
    }
    return api;
}

void api_quiesce(struct api *api)
{
    atomic_store(&api->is_quiet, true);
    streams_end(api->streams);
}

void api_free(struct api *api)
{
    if (api == NULL)
        return;
    streams_end(api->streams);
    pool_free(api->pool);
    pool_free(api->answers);
    streams_free(api->streams);
    hook_cache_free(api->hooks);
    flow_cache_free(api->flows);
    readers_free(api->readers);
    router_free(api->router);
    auth_free(api->auth);
    (void)pthread_mutex_destroy(&api->rng_lock);
    free(api);
}
