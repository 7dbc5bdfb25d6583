/* SPDX-License-Identifier: Apache-2.0 */
/* The polling trigger over HTTP (flow-language.md 5.7). */
#include "base/arena.h"
#include "base/error.h"
#include "core/expr/expr.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/triggers/trigger.h"
#include "runtime/triggers/triggers.h"
#include "runtime/worker/evaluate.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"
#include "runtime/worker/web.h"

struct props {
    usec_t interval;
    const char *condition;
    bool encrypt_body;
    struct web_request web;
};

static const struct prop props[] = {
    { "interval", DURATION(struct props, interval), .fallback = "PT60S", .min = USEC_SEC,
      .max = 366 * USEC_DAY, .doc = "Time between two requests." },
    { "responseCondition", STR(struct props, condition), .flags = PROP_RAW,
      .fallback = "{{ response.statusCode < 400 }}",
      .doc = "The flow starts when this renders to something true; it sees `response.statusCode`, "
             "`response.body` and `response.headers`." },
    { "encryptBody", BOOL(struct props, encrypt_body), .flags = PROP_EXPR, .fallback = "false",
      .doc = "Keep the response body encrypted, as `encryptedBody`." },
    WEB_REQUEST_ROWS(struct props, web),
    { 0 },
};

/* *holds: does the condition say that the flow starts? */
static bool check_response(struct task_ctx *ctx,
                           const char *condition,
                           const struct http_response *response,
                           const struct value *body,
                           bool *holds,
                           struct error *err)
{
    struct value_builder fields = value_build(ctx->arena);
    value_put_int(&fields, "statusCode", response->status);
    value_put(&fields, "body", body);
    value_put(&fields, "headers", web_headers(ctx->arena, &response->headers));
    struct value_builder row = value_build(ctx->arena);
    value_put(&row, "response", value_build_map(&fields));

    struct evaluate_line line;
    evaluate_line_init(&line, ctx, NULL);
    evaluate_line_set(&line, value_build_map(&row));
    const char *text = expr_render_text(&line.env, ctx->arena, condition, NULL, err);
    if (text == NULL)
        return error_wrap(err, "responseCondition");
    *holds = expr_truthy_text(text);
    return true;
}

static bool poll(struct task_ctx *ctx,
                 const void *bound,
                 const struct value **out,
                 struct error *err)
{
    const struct props *p = bound;
    struct web_request request = p->web;
    struct http_response response;
    bool holds = false;

    request.options.allow_failed = true; // the condition decides what a failure is
    if (!web_call(ctx, ctx->arena, &request, NULL, &response, err))
        return false;
    const struct value *body = web_text(ctx->arena, &response, request.options.default_charset);
    if (!check_response(ctx, p->condition, &response, body, &holds, err))
        return false;
    if (!holds) {
        *out = NULL;
        return true;
    }

    struct value_builder variables = value_build(ctx->arena);
    value_put_text(&variables, "uri", response.url);
    value_put_int(&variables, "code", response.status);
    value_put(&variables, "headers", web_headers(ctx->arena, &response.headers));
    if (p->encrypt_body) {
        body = ctx->services->encrypt(ctx->services->data, ctx->arena, body, err);
        if (body == NULL)
            return false;
    }
    value_put(&variables, p->encrypt_body ? "encryptedBody" : "body", body);
    *out = value_build_map(&variables);
    return true;
}

static const struct plugin_output outputs[] = {
    { "uri", "string", "Address that answered, after redirects." },
    { "code", "integer", "Status." },
    { "headers", "map", "Response headers; each name has a list of values." },
    { "body", "string", "Response body as text; absent when it is encrypted." },
    { "encryptedBody", "map", "Response body, encrypted, with `encryptBody`." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.plugin.fs.http.Trigger", NULL };

static const struct plugin_example examples[] = {
    { "Start when a price has fallen",
      "uri: https://api.example.com/v1/price\n"
      "interval: PT5M\n"
      "responseCondition: \"{{ json(response.body).price <= 110 }}\"\n" },
    { "Start when a service is down", "uri: https://www.example.com/health\n"
                                      "interval: PT30S\n"
                                      "responseCondition: \"{{ response.statusCode >= 500 }}\"\n"
                                      "stopAfter:\n"
                                      "  - SUCCESS\n" },
    { 0 },
};

const struct plugin trigger_http = {
    .id = "io.kestra.plugin.core.http.Trigger",
    .role = PLUGIN_TRIGGER,
    .trigger_kind = TRIGGER_POLLING,
    .title = "Start a flow when an HTTP response meets a condition.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .trigger_ops = &(const struct trigger_ops){ .poll = poll },
};
