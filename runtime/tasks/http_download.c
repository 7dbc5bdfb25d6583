/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/worker/task.h"
#include "runtime/worker/web.h"

struct props {
    struct web_request web;
    bool fail_on_empty;
    const char *save_as;
};

static const struct prop props[] = {
    WEB_REQUEST_ROWS(struct props, web),
    { "failOnEmptyResponse", BOOL(struct props, fail_on_empty), .flags = PROP_EXPR,
      .fallback = "true", .doc = "Whether an empty body fails the task." },
    { "saveAs", STR(struct props, save_as), .flags = PROP_EXPR,
      .doc = "Name of the stored file; by default that of the response or of the address." },
    { 0 },
};

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
    AUTO_FD int fd = open(local, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fs_error(err, errno, "create", local);
    struct web_sink sink = { .fd = fd, .to_fd = true };
    if (!web_call(ctx, ctx->arena, &p->web, &sink, &response, err))
        return false;
    if (response.length == 0 && p->fail_on_empty)
        return error_set(err, ERR_INVALID, "No response from server");
    if (response.length == 0)
        task_log(ctx, LOG_WARN, "No response from server");

    const char *name = p->save_as;
    if (str_empty(name))
        name = web_file_name(ctx->arena, &response, response.url);
    if (name == NULL)
        name = "download.tmp";
    const char *uri = task_store_file(ctx, local, name, err);
    if (uri == NULL)
        return false;
    task_metric(ctx, "counter", "response.length", (double)response.length, NULL);
    value_put_text(out, "uri", uri);
    value_put_int(out, "code", response.status);
    value_put_int(out, "length", (int64_t)response.length);
    value_put(out, "headers", web_headers(ctx->arena, &response.headers));
    return true;
}

static const struct plugin_output outputs[] = {
    { "uri", "uri", "Stored file." },
    { "code", "integer", "Status." },
    { "length", "integer", "Bytes of the file." },
    { "headers", "map", "Response headers; each name has a list of values." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.plugin.fs.http.Download", NULL };

static const struct plugin_example examples[] = {
    { "Download a file", "uri: https://data.example.com/orders.csv\n" },
    { 0 },
};

const struct plugin task_http_download = {
    .id = "io.kestra.plugin.core.http.Download",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Download a file into the internal storage.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
