/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-sent events. Source: WHATWG HTML, 9.2.6 "Interpreting an event stream".
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/expr/expr.h"
#include "core/json.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/worker/task.h"
#include "runtime/worker/web.h"

/* Events that become an output; the file holds all. */
#define EVENTS_MAX      1000U
#define EVENT_BYTES_MAX ((size_t)4 * 1024 * 1024)
#define RESULT_MAX      ((size_t)16 * 1024 * 1024)

struct props {
    struct web_request web;
    const char *jq;
    bool fail_on_missing;
};

static const struct prop props[] = {
    WEB_REQUEST_ROWS(struct props, web),
    { "concatJqExpression", STR(struct props, jq), .flags = PROP_EXPR,
      .doc = "jq expression over the data of each event; its results are joined as `result`." },
    { "failedOnMissingJq", BOOL(struct props, fail_on_missing), .flags = PROP_EXPR,
      .fallback = "true",
      .doc = "Whether an event for which the expression fails or gives nothing fails the task." },
    { 0 },
};

struct stream {
    struct task_ctx *ctx;
    const struct props *p;
    int fd;
    struct buf line; /* not ended yet */
    bool after_cr;   /* a '\n' that follows belongs to the line before */
    struct buf data; /* of the event under way */
    bool has_data;
    char *id;
    char *name;
    struct buf result;
    struct value_builder events;
    int64_t count;
};

/* Adds the results of the jq expression over the data. */
static bool concat(struct stream *stream, const struct value *data, struct error *err)
{
    struct arena *scratch = arena_new();
    struct value_builder context = value_build(scratch);
    // Inside a list, because the filter takes a text for JSON.
    value_put(&context, "events", value_list(scratch, &data, 1));
    value_put_text(&context, "expression", arena_printf(scratch, ".[0] | (%s)", stream->p->jq));
    struct expr_env env = { .context = value_build_map(&context), .now = clock_now() };
    struct error failure = { 0 };
    const struct value *found =
        expr_render_typed(&env, scratch, "{{ events | jq(expression) }}", &failure);
    if (!value_is_list(found) && !value_is_null(found))
        found = value_list(scratch, &found, 1);
    size_t before = stream->result.length;
    for (size_t i = 0; i < value_count(found); i++)
        value_write_print(&stream->result, value_item(found, i));
    bool is_missing = found == NULL || stream->result.length == before;
    bool ok = true;
    if (is_missing && stream->p->fail_on_missing)
        ok = error_set(err, ERR_INVALID, "the jq expression '%s' gives nothing for event %lld%s%s",
                       stream->p->jq, (long long)stream->count,
                       failure.code == ERR_NONE ? "" : ": ", failure.text);
    else if (stream->result.length > RESULT_MAX)
        ok = error_set(err, ERR_LIMIT, "the result is longer than %zu bytes", RESULT_MAX);
    arena_free(scratch);
    return ok;
}

static bool end_event(struct stream *stream, struct error *err)
{
    if (!stream->has_data) {
        stream->name = NULL;
        return true;
    }
    struct arena *arena = stream->count < EVENTS_MAX ? stream->ctx->arena : arena_new();
    const struct value *data =
        json_parse(arena, buf_text(&stream->data), stream->data.length, NULL);
    if (data == NULL)
        data = value_string_n(arena, buf_text(&stream->data), stream->data.length);
    struct value_builder event = value_build(arena);
    value_put(&event, "data", data);
    value_put_text(&event, "id", stream->id);
    value_put_text(&event, "name", stream->name);
    const struct value *value = value_build_map(&event);
    if (stream->count < EVENTS_MAX)
        value_add(&stream->events, value);

    struct buf text = { 0 };
    value_write_json_full(&text, value);
    buf_putc(&text, '\n');
    bool ok = fs_write_fd(stream->fd, text.bytes, text.length, "events", err) &&
              (stream->p->jq == NULL || concat(stream, data, err));
    buf_free(&text);
    if (arena != stream->ctx->arena)
        arena_free(arena);
    stream->count++;
    buf_clear(&stream->data);
    stream->has_data = false;
    stream->name = NULL;
    return ok;
}

static bool take_line(struct stream *stream, struct error *err)
{
    const char *line = buf_text(&stream->line);
    if (stream->line.length == 0)
        return end_event(stream, err);
    const char *colon = strchr(line, ':');
    size_t length = colon == NULL ? strlen(line) : (size_t)(colon - line);
    const char *value = colon == NULL ? "" : colon[1] == ' ' ? colon + 2 : colon + 1;
    if (length == 4 && memcmp(line, "data", 4) == 0) {
        if (stream->has_data)
            buf_putc(&stream->data, '\n');
        buf_puts(&stream->data, value);
        stream->has_data = true;
    } else if (length == 5 && memcmp(line, "event", 5) == 0) {
        stream->name = arena_strdup(stream->ctx->arena, value);
    } else if (length == 2 && memcmp(line, "id", 2) == 0) {
        stream->id = arena_strdup(stream->ctx->arena, value);
    }
    buf_clear(&stream->line);
    return stream->data.length <= EVENT_BYTES_MAX ||
           error_set(err, ERR_LIMIT, "an event is longer than %zu bytes", EVENT_BYTES_MAX);
}

static bool feed(void *context, const void *bytes, size_t length, struct error *err)
{
    struct stream *stream = context;
    const char *at = bytes;
    const char *end = at + length;
    if (at < end && stream->after_cr && *at == '\n')
        at++;
    stream->after_cr = false;
    while (at < end) {
        const char *stop = at;
        while (stop < end && *stop != '\n' && *stop != '\r')
            stop++;
        buf_add(&stream->line, at, (size_t)(stop - at));
        if (stream->line.length > EVENT_BYTES_MAX)
            return error_set(err, ERR_LIMIT, "a line is longer than %zu bytes", EVENT_BYTES_MAX);
        if (stop == end)
            break;
        if (!take_line(stream, err))
            return false;
        at = stop + 1;
        if (*stop == '\r' && at < end && *at == '\n')
            at++;
        else if (*stop == '\r' && at == end)
            stream->after_cr = true;
    }
    return true;
}

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    struct http_response response;

    const char *local = task_temp_path(ctx, NULL, err);
    if (local == NULL)
        return false;
    AUTO_FD int fd = open(local, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fs_error(err, errno, "create", local);
    struct stream stream = { .ctx = ctx, .p = p, .fd = fd, .events = value_build(ctx->arena) };
    struct web_request request = p->web;
    struct value_builder headers = value_build(ctx->arena);
    value_put_text(&headers, "Accept", "text/event-stream");
    for (uint32_t i = 0; value_is_map(p->web.headers) && i < p->web.headers->map.count; i++)
        value_put(&headers, p->web.headers->map.members[i].key,
                  p->web.headers->map.members[i].value);
    request.headers = value_build_map(&headers);
    struct web_sink sink = { .fn = feed, .context = &stream };
    bool ok = web_call(ctx, ctx->arena, &request, &sink, &response, err);
    // An event that its blank line does not end is dropped: it may be half of one.
    const char *uri = ok ? task_store_file(ctx, local, "events.ion", err) : NULL;
    if (uri != NULL) {
        value_put_text(out, "uri", uri);
        value_put(out, "events", value_build_list(&stream.events));
        value_put_int(out, "size", stream.count);
        if (p->jq != NULL)
            value_put(out, "result",
                      value_string_n(ctx->arena, buf_text(&stream.result), stream.result.length));
    }
    buf_free(&stream.line);
    buf_free(&stream.data);
    buf_free(&stream.result);
    return uri != NULL;
}

static const struct plugin_output outputs[] = {
    { "uri", "uri", "File with one event per line: `data`, `id`, `name`." },
    { "events", "list", "The first 1,000 events." },
    { "size", "integer", "Number of events." },
    { "result", "string", "Joined results of `concatJqExpression`." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Read the answer of a language model as it comes",
      "uri: https://llm.example.com/v1/completions\n"
      "method: POST\n"
      "body: |\n"
      "  {\"prompt\": \"hello\", \"stream\": true}\n"
      "concatJqExpression: \".choices[0].text\"\n" },
    { 0 },
};

const struct plugin task_http_sse = {
    .id = "io.kestra.plugin.core.http.SseRequest",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Consume server-sent events.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
