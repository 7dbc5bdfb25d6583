/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job behind any HTTP API: one request starts it, another asks how it is, until it is done. The
 * id is stored as soon as it is known, so a restart of the server goes on asking about the same
 * job.
 */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "core/expr/expr.h"
#include "core/json.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/worker/evaluate.h"
#include "runtime/worker/task.h"
#include "runtime/worker/web.h"

struct props {
    struct web_request web;
    const char *id;
    const char *poll_uri;
    const char *status;
    const struct value *success;
    const struct value *failure;
    usec_t frequency;
    usec_t max_duration;
    const char *cancel_uri;
    const char *cancel_method;
    bool cancel_on_kill;
};

static const struct prop props[] = {
    WEB_REQUEST_ROWS(struct props, web),
    { "jobId", STR(struct props, id), .flags = PROP_RAW, .fallback = "{{ body.id }}",
      .doc = "Expression that gives the id of the job from `code`, `headers` and `body` of the "
             "answer." },
    { "pollUri", STR(struct props, poll_uri), .flags = PROP_REQUIRED | PROP_RAW,
      .doc = "Address to ask about the job; an expression that knows `id`." },
    { "status", STR(struct props, status), .flags = PROP_RAW, .fallback = "{{ body.status }}",
      .doc = "Expression that gives the status from the answer to a poll." },
    { "successStatuses", STRINGS(struct props, success), .flags = PROP_EXPR,
      .doc = "Statuses that mean success, in any letter case; success, succeeded, completed, "
             "finished and done when absent." },
    { "failureStatuses", STRINGS(struct props, failure), .flags = PROP_EXPR,
      .doc = "Statuses that mean failure; failed, failure, error, cancelled, canceled, killed, "
             "aborted and timeout when absent. Any other status means that the job runs." },
    { "pollFrequency", DURATION(struct props, frequency), .flags = PROP_EXPR, .fallback = "PT5S",
      .min = 1, .max = USEC_DAY, .doc = "Time between two polls." },
    { "maxDuration", DURATION(struct props, max_duration), .flags = PROP_EXPR,
      .doc = "The task fails when the job takes longer." },
    { "cancelUri", STR(struct props, cancel_uri), .flags = PROP_RAW,
      .doc = "Address that cancels the job; an expression that knows `id`." },
    { "cancelMethod", STR(struct props, cancel_method), .flags = PROP_EXPR, .fallback = "POST",
      .doc = "Method of the request that cancels." },
    { "cancelOnKill", BOOL(struct props, cancel_on_kill), .flags = PROP_EXPR, .fallback = "true",
      .doc = "Whether the job is cancelled when the task is killed." },
    { 0 },
};

/* Renders an expression over an answer or an id. */
static const char *render(struct task_ctx *ctx,
                          const char *text,
                          const struct value *row,
                          struct error *err)
{
    struct evaluate_line line;
    evaluate_line_init(&line, ctx, NULL);
    evaluate_line_set(&line, row);
    const char *rendered = expr_render_text(&line.env, ctx->arena, text, NULL, err);
    return rendered == NULL ? NULL : str_trim(ctx->arena, rendered);
}

/* {code, headers, body}; a body that is JSON is data. */
static const struct value *answer_of(struct task_ctx *ctx,
                                     const struct props *p,
                                     const struct http_response *response)
{
    const struct value *text = web_text(ctx->arena, response, p->web.options.default_charset);
    const struct value *parsed =
        json_parse(ctx->arena, text->string.bytes, text->string.length, NULL);
    struct value_builder map = value_build(ctx->arena);
    value_put_int(&map, "code", response->status);
    value_put(&map, "headers", web_headers(ctx->arena, &response->headers));
    value_put(&map, "body", parsed != NULL ? parsed : text);
    return value_build_map(&map);
}

/* The request of the start turned into another one about the job. */
static bool call_about(struct task_ctx *ctx,
                       const struct props *p,
                       const char *method,
                       const char *uri,
                       const char *remote_id,
                       struct http_response *response,
                       struct error *err)
{
    const struct value *row =
        value_with(ctx->arena, NULL, "id", value_string(ctx->arena, remote_id));
    struct web_request request = p->web;
    request.uri = render(ctx, uri, row, err);
    request.method = method;
    request.params = NULL;
    request.body = NULL;
    request.form_data = NULL;
    request.content_type = NULL;
    return request.uri != NULL && web_call(ctx, ctx->arena, &request, NULL, response, err);
}

static bool start(struct task_ctx *ctx,
                  const void *bound,
                  const char **remote_id,
                  const struct value **memo,
                  struct error *err)
{
    const struct props *p = bound;
    struct http_response response;
    if (!web_call(ctx, ctx->arena, &p->web, NULL, &response, err))
        return false;
    const char *id = render(ctx, p->id, answer_of(ctx, p, &response), err);
    if (id == NULL)
        return error_wrap(err, "the id of the job");
    if (*id == '\0')
        return error_set(err, ERR_INVALID, "the answer holds no id of a job");
    task_log(ctx, LOG_INFO, "Job %s started", id);
    struct value_builder map = value_build(ctx->arena);
    value_put_int(&map, "startedAt", clock_now());
    *memo = value_build_map(&map);
    *remote_id = id;
    return true;
}

static bool is_one_of(const struct value *given, const char *const *known, const char *status)
{
    for (size_t i = 0; i < value_count(given); i++)
        if (str_eq_nocase(value_cstr(value_item(given, i)), status))
            return true;
    for (; value_count(given) == 0 && *known != NULL; known++)
        if (str_eq_nocase(*known, status))
            return true;
    return false;
}

static enum remote_status judge(const struct props *p, const char *status)
{
    static const char *const good[] = { "success",  "succeeded", "completed",
                                        "finished", "done",      NULL };
    static const char *const bad[] = { "failed", "failure", "error",   "cancelled", "canceled",
                                       "killed", "aborted", "timeout", NULL };
    if (is_one_of(p->success, good, status))
        return REMOTE_SUCCESS;
    return is_one_of(p->failure, bad, status) ? REMOTE_FAILED : REMOTE_RUNNING;
}

static bool poll(struct task_ctx *ctx,
                 const void *bound,
                 const char *remote_id,
                 const struct value *memo,
                 struct remote_poll *out,
                 struct value_builder *outputs,
                 struct error *err)
{
    const struct props *p = bound;
    struct http_response response;
    out->next_after = p->frequency;
    if (!call_about(ctx, p, "GET", p->poll_uri, remote_id, &response, err))
        return false;
    const struct value *answer = answer_of(ctx, p, &response);
    const char *status = render(ctx, p->status, answer, err);
    if (status == NULL)
        return error_wrap(err, "the status of job %s", remote_id);
    const char *before = value_get_text(memo, "status", "");
    if (!str_eq(status, before)) {
        task_log(ctx, LOG_INFO, "Job %s is %s", remote_id, status);
        out->memo = value_with(ctx->arena, memo, "status", value_string(ctx->arena, status));
    }
    out->status = judge(p, status);
    usec_t started = value_get_int(memo, "startedAt", clock_now());
    if (out->status == REMOTE_RUNNING && p->max_duration > 0 &&
        clock_now() - started >= p->max_duration) {
        out->status = REMOTE_FAILED;
        out->message = arena_printf(ctx->arena, "job %s takes longer than maxDuration; it is %s",
                                    remote_id, status);
        return true;
    }
    if (out->status == REMOTE_FAILED)
        out->message = arena_printf(ctx->arena, "job %s ended %s", remote_id, status);
    if (out->status != REMOTE_RUNNING) {
        value_put_text(outputs, "id", remote_id);
        value_put_text(outputs, "status", status);
        value_put_int(outputs, "code", response.status);
        value_put(outputs, "body", value_get(answer, "body"));
    }
    return true;
}

static bool cancel(struct task_ctx *ctx,
                   const void *bound,
                   const char *remote_id,
                   struct error *err)
{
    const struct props *p = bound;
    struct http_response response;
    if (p->cancel_uri == NULL || !p->cancel_on_kill)
        return true;
    return call_about(ctx, p, p->cancel_method, p->cancel_uri, remote_id, &response, err);
}

static const struct plugin_output outputs[] = {
    { "id", "string", "Id of the job." },
    { "status", "string", "Its last status." },
    { "code", "integer", "HTTP status of the last poll." },
    { "body", "any", "Answer to the last poll; data when it is JSON." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Start an export and wait for it",
      "uri: https://api.example.com/exports\n"
      "method: POST\n"
      "body: |\n"
      "  {\"table\": \"orders\"}\n"
      "pollUri: https://api.example.com/exports/{{ id }}\n"
      "cancelUri: https://api.example.com/exports/{{ id }}/cancel\n"
      "pollFrequency: PT30S\n" },
    { 0 },
};

const struct plugin task_http_job = {
    .id = "io.weir.http.Job",
    .role = PLUGIN_TASK,
    .task_kind = TASK_REMOTE,
    .title = "Start a job through an HTTP API and wait until it has ended.",
    .doc = "While the job runs, it costs a row and a timer. Killing the task cancels the job.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .remote_ops = &(const struct remote_ops){ .start = start, .poll = poll, .cancel = cancel },
};
