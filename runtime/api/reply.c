/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers: JSON, errors, pages (api.md 1.5, 1.7, 1.8, 1.10).
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/metric.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/value.h"
#include "runtime/api/call.h"
#include "runtime/api/readers.h"

enum { REQUESTS, REQUEST_SECONDS };
static struct metric metrics[] = {
    [REQUESTS] = { METRIC_COUNTER, "weir_api_requests_total",
                   "Requests answered, by class of status.", .label = "status" },
    [REQUEST_SECONDS] = { METRIC_HISTOGRAM, "weir_api_request_seconds",
                          "From the whole request to the answer given to the network." },
};

#define JSON_TYPE "application/json"

void reply_metrics_register(void)
{
    metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
}

/* Everything that must happen before the call's memory may go. */
static void finish(struct call *call, int status)
{
    static const char *const classes[] = { "1xx", "2xx", "3xx", "4xx", "5xx" };
    readers_put(call->api->readers, call->reader);
    call->reader = NULL;
    size_t class = status >= 100 && status < 600 ? (size_t)(status / 100 - 1) : 4;
    metric_add(metric_with(&metrics[REQUESTS], classes[class]), 1);
    metric_observe(&metrics[REQUEST_SECONDS], clock_monotonic() - call->started);
}

static void send(struct call *call, struct httpd_reply *reply, const struct http_field *headers)
{
    struct http_fields all = { 0 };
    for (; headers != NULL && headers->name != NULL; headers++)
        http_fields_add(call->arena, &all, headers->name, headers->value);
    const char *origin = call_cors_origin(call);
    if (origin != NULL) {
        http_fields_add(call->arena, &all, "Access-Control-Allow-Origin", origin);
        http_fields_add(call->arena, &all, "Vary", "Origin");
    }
    reply->headers = all.items;
    reply->headers_count = all.count;
    finish(call, reply->status);
    httpd_reply(call->http, reply);
}

void reply_empty(struct call *call, int status)
{
    struct httpd_reply reply = { .status = status };
    send(call, &reply, NULL);
}

void reply_bytes(struct call *call, int status, const char *type, const void *bytes, size_t length)
{
    struct httpd_reply reply = {
        .status = status,
        .type = type,
        .body = HTTPD_BODY_COPY,
        .bytes = bytes,
        .length = length,
    };
    send(call, &reply, NULL);
}

void reply_buf(struct call *call,
               int status,
               const char *type,
               struct buf *body,
               const struct http_field *headers)
{
    struct httpd_reply reply = {
        .status = status,
        .type = type,
        .body = HTTPD_BODY_MALLOC,
        .bytes = body->bytes,
        .length = body->length,
    };
    if (body->bytes == NULL)
        reply.body = HTTPD_BODY_STATIC;
    *body = (struct buf){ 0 };
    send(call, &reply, headers);
}

void reply_file(
    struct call *call, const char *type, int fd, uint64_t length, const struct http_field *headers)
{
    struct httpd_reply reply = {
        .status = 200,
        .type = type,
        .body = HTTPD_BODY_FILE,
        .length = (size_t)length,
        .fd = fd,
    };
    send(call, &reply, headers);
}

void reply_value(struct call *call, int status, const struct value *value)
{
    struct buf body = { 0 };
    value_write_json_full(&body, value);
    reply_buf(call, status, JSON_TYPE, &body, NULL);
}

void reply_page(struct call *call, const struct value *results, int64_t total)
{
    struct value_builder page = value_build(call->arena);
    value_put(&page, "results", results);
    value_put_int(&page, "total", total);
    reply_value(call, 200, value_build_map(&page));
}

void reply_count(struct call *call, size_t count)
{
    struct value_builder map = value_build(call->arena);
    value_put_int(&map, "count", (int64_t)count);
    value_put_int(&map, "totalItems", (int64_t)count);
    reply_value(call, 200, value_build_map(&map));
}

/* ---- errors ---- */

const struct value *error_item(struct arena *arena, const char *message, const char *path)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "message", message);
    value_put_text(&map, "path", path);
    return value_build_map(&map);
}

static const struct value *error_value(struct call *call,
                                       const char *message,
                                       const struct value *errors)
{
    struct value_builder href = value_build(call->arena);
    value_put_text(&href, "href", call_self(call));
    value_put_bool(&href, "templated", false);
    struct value_builder links = value_build(call->arena);
    value_put(&links, "self", value_build_map(&href));
    struct value_builder map = value_build(call->arena);
    value_put_text(&map, "message", message);
    value_put(&map, "_links", value_build_map(&links));
    if (value_count(errors) > 0) {
        struct value_builder embedded = value_build(call->arena);
        value_put(&embedded, "errors", errors);
        value_put(&map, "_embedded", value_build_map(&embedded));
    }
    return value_build_map(&map);
}

void reply_error(struct call *call, int status, const char *reason, const char *format, ...)
{
    const char *message = reason;
    if (format != NULL) {
        va_list args;
        va_start(args, format);
        message =
            arena_printf(call->arena, "%s: %s", reason, arena_vprintf(call->arena, format, args));
        va_end(args);
    }
    reply_value(call, status, error_value(call, message, NULL));
}

void reply_errors(struct call *call,
                  int status,
                  const char *reason,
                  const char *detail,
                  const struct value *errors)
{
    const char *message =
        detail == NULL ? reason : arena_printf(call->arena, "%s: %s", reason, detail);
    reply_value(call, status, error_value(call, message, errors));
}

void reply_invalid(struct call *call, const char *detail, const struct value *errors)
{
    reply_errors(call, 422, "Invalid entity", detail, errors);
}

void reply_refusal(struct call *call, const struct refusal *refusal)
{
    if (refusal->detail == NULL)
        reply_error(call, refusal->status, refusal->reason, NULL);
    else
        reply_error(call, refusal->status, refusal->reason, "%s", refusal->detail);
}

void reply_failure(struct call *call, const struct error *err)
{
    static const struct {
        enum error_code code;
        int status;
        const char *reason;
    } rows[] = {
        { ERR_INVALID, 422, "Illegal argument" },  { ERR_DENIED, 403, "Forbidden" },
        { ERR_NOT_FOUND, 404, "Not Found" },       { ERR_CONFLICT, 409, "Illegal state" },
        { ERR_LIMIT, 503, "Service Unavailable" }, { ERR_UNAVAILABLE, 503, "Service Unavailable" },
        { ERR_TIMEOUT, 504, "Gateway Timeout" },   { ERR_CANCELLED, 503, "Service Unavailable" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].code == err->code) {
            reply_error(call, rows[i].status, rows[i].reason, "%s", err->text);
            return;
        }
    }
    reply_error(call, 500, "Internal server error", "%s", err->text);
}

void reply_bulk_problems(struct call *call,
                         const char *operation,
                         const struct bulk_problem *problems,
                         size_t count)
{
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++) {
        struct value_builder item = value_build(call->arena);
        value_put_text(&item, "message", problems[i].message);
        value_put_text(&item, "invalidValue", problems[i].value);
        value_put_text(&item, "propertyPath", problems[i].path);
        value_add(&list, value_build_map(&item));
    }
    struct value_builder map = value_build(call->arena);
    value_put_text(&map, "message", arena_printf(call->arena, "invalid bulk %s", operation));
    value_put(&map, "invalids", value_build_list(&list));
    reply_value(call, 400, value_build_map(&map));
}
