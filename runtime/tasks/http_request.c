/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"
#include "runtime/worker/web.h"

struct props {
    struct web_request web;
    bool encrypt_body;
};

static const struct prop props[] = {
    WEB_REQUEST_ROWS(struct props, web),
    { "encryptBody", BOOL(struct props, encrypt_body), .flags = PROP_EXPR, .fallback = "false",
      .doc = "Keep the response body encrypted, as `encryptedBody`." },
    { 0 },
};

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    struct http_response response;

    if (!web_call(ctx, ctx->arena, &p->web, NULL, &response, err))
        return false;
    const struct value *body = web_text(ctx->arena, &response, p->web.options.default_charset);
    value_put_text(out, "uri", response.url);
    value_put_int(out, "code", response.status);
    value_put(out, "headers", web_headers(ctx->arena, &response.headers));
    if (!p->encrypt_body) {
        value_put(out, "body", body);
        return true;
    }
    const struct value *sealed = ctx->services->encrypt(ctx->services->data, ctx->arena, body, err);
    if (sealed == NULL)
        return false;
    value_put(out, "body", &value_null);
    value_put(out, "encryptedBody", sealed);
    return true;
}

static const struct plugin_output outputs[] = {
    { "uri", "string", "Address that answered, after redirects." },
    { "code", "integer", "Status." },
    { "headers", "map", "Response headers; each name has a list of values." },
    { "body", "string", "Response body as text; null when it is encrypted." },
    { "encryptedBody", "map", "Response body, encrypted, with `encryptBody`." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.plugin.fs.http.Request", NULL };

static const struct plugin_example examples[] = {
    { "Call an API with a token", "uri: https://api.example.com/v1/orders\n"
                                  "options:\n"
                                  "  auth:\n"
                                  "    type: BEARER\n"
                                  "    token: \"{{ secret('API_TOKEN') }}\"\n" },
    { "Send JSON", "uri: https://api.example.com/v1/orders\n"
                   "method: POST\n"
                   "body: |\n"
                   "  {\"id\": {{ inputs.id }}}\n" },
    { 0 },
};

const struct plugin task_http_request = {
    .id = "io.kestra.plugin.core.http.Request",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Make an HTTP request and keep the answer.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
