/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "core/ion.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/tasks/purge.h"
#include "runtime/tasks/rows.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

#define PAGE 10000

struct props {
    const char *namespace;
    const char *flow_id;
    const char *execution_id;
    const struct value *tasks;
    const char *level;
};

static const struct prop props[] = {
    { "namespace", STR(struct props, namespace), .flags = PROP_EXPR,
      .doc = "Namespace of the flow." },
    { "flowId", STR(struct props, flow_id), .flags = PROP_EXPR,
      .doc = "Flow whose logs are fetched; needs `namespace`." },
    { "executionId", STR(struct props, execution_id), .flags = PROP_EXPR,
      .doc = "Execution whose logs are fetched; this one when neither it nor a flow is given." },
    { "tasksId", STRINGS(struct props, tasks), .flags = PROP_EXPR, .alias = "tasksIds",
      .doc = "Tasks to fetch the logs of; all when absent." },
    { "level", STR(struct props, level), .flags = PROP_EXPR, .fallback = "INFO",
      .doc = "Least level." },
    { 0 },
};

/* One page; *count: lines in it. Its memory is freed with it. */
static bool fetch_page(struct task_ctx *ctx,
                       const struct props *p,
                       int64_t offset,
                       struct rows_writer *writer,
                       size_t *count,
                       struct error *err)
{
    const struct services *services = ctx->services;
    struct arena *arena = arena_new();
    struct value_builder arguments = value_build(arena);
    if (p->flow_id != NULL) {
        value_put_text(&arguments, "namespace", p->namespace);
        value_put_text(&arguments, "flowId", p->flow_id);
    }
    if (p->execution_id != NULL || p->flow_id == NULL)
        value_put_text(&arguments, "executionId",
                       p->execution_id != NULL ? p->execution_id : ctx->execution_id);
    purge_put_list(&arguments, "taskIds", p->tasks);
    value_put_text(&arguments, "level", p->level);
    value_put_int(&arguments, "offset", offset);
    value_put_int(&arguments, "limit", PAGE);
    const struct value *answer =
        services->operate(services->data, arena, "log.fetch", value_build_map(&arguments), err);
    bool ok = answer != NULL;
    const struct value *entries = value_get(answer, "entries");
    *count = value_count(entries);
    for (size_t i = 0; ok && i < *count; i++) {
        struct buf line = { 0 };
        ion_write(&line, value_item(entries, i));
        buf_putc(&line, '\n');
        ok = rows_write(writer, line.bytes, line.length, err);
        buf_free(&line);
    }
    arena_free(arena);
    return ok;
}

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    struct rows_writer writer;

    if (p->flow_id != NULL && p->namespace == NULL)
        return error_set(err, ERR_INVALID, "'flowId' needs 'namespace'");
    if (!rows_writer_open(&writer, ctx, ".ion", err))
        return false;
    int64_t size = 0;
    bool ok;
    for (;;) {
        size_t count = 0;
        ok = fetch_page(ctx, p, size, &writer, &count, err) && task_check(ctx, err);
        size += (int64_t)count;
        if (!ok || count < PAGE)
            break;
    }
    const char *uri = ok ? rows_writer_store(&writer, "logs.ion", err) : NULL;
    rows_writer_free(&writer);
    value_put_int(out, "size", size);
    value_put_text(out, "uri", uri);
    return uri != NULL;
}

static const struct plugin_output outputs[] = {
    { "size", "integer", "Number of lines." },
    { "uri", "uri", "File with one line each." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.log.Fetch", NULL };

static const struct plugin_example examples[] = {
    { "Keep the errors of this execution", "level: ERROR\n" },
    { 0 },
};

const struct plugin task_log_fetch = {
    .id = "io.kestra.plugin.core.log.Fetch",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Write logs into a file.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
