/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/storage/storage.h"
#include "runtime/tasks/purge.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

#define BATCH_MAX 10000

struct props {
    const char *namespace;
    const char *flow_id;
    usec_t start;
    usec_t end;
    const struct value *states;
    bool executions;
    bool logs;
    bool metrics;
    bool storage;
    int64_t batch;
};

static const struct prop props[] = {
    { "namespace", STR(struct props, namespace), .flags = PROP_EXPR,
      .doc = "Namespace, with those below it." },
    { "flowId", STR(struct props, flow_id), .flags = PROP_EXPR, .doc = "Flow; needs `namespace`." },
    { "startDate", INSTANT(struct props, start), .flags = PROP_EXPR,
      .doc = "Executions that began at or after this." },
    { "endDate", INSTANT(struct props, end), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Executions that began before this." },
    { "states", STRINGS(struct props, states), .flags = PROP_EXPR,
      .doc = "States to purge; all that are final when absent." },
    { "purgeExecution", BOOL(struct props, executions), .flags = PROP_EXPR, .fallback = "true",
      .doc = "Delete the executions." },
    { "purgeLog", BOOL(struct props, logs), .flags = PROP_EXPR, .fallback = "true",
      .doc = "Delete their logs." },
    { "purgeMetric", BOOL(struct props, metrics), .flags = PROP_EXPR, .fallback = "true",
      .doc = "Delete their metrics." },
    { "purgeStorage", BOOL(struct props, storage), .flags = PROP_EXPR, .fallback = "true",
      .doc = "Delete their files." },
    { "batchSize", INT(struct props, batch), .flags = PROP_EXPR, .fallback = "100", .min = 1,
      .max = BATCH_MAX, .doc = "Executions at a time." },
    { 0 },
};

struct totals {
    int64_t executions;
    int64_t logs;
    int64_t metrics;
    int64_t files;
};

/* Files first: an execution that is still listed is found again when we are stopped here. */
static bool purge_files(struct task_ctx *ctx,
                        const struct value *found,
                        struct totals *totals,
                        struct error *err)
{
    struct storage *storage = ctx->services->storage;
    for (size_t i = 0; i < value_count(found); i++) {
        const struct value *row = value_item(found, i);
        bool existed = false;
        const char *path = storage_execution_path(ctx->arena, value_get_text(row, "namespace", ""),
                                                  value_get_text(row, "flowId", ""),
                                                  value_get_text(row, "id", ""));
        if (!storage->ops->remove(storage, path, &existed, err) || !task_check(ctx, err))
            return false;
        totals->files += existed;
    }
    return true;
}

static bool purge_rows(struct task_ctx *ctx,
                       const struct props *p,
                       const struct value *found,
                       struct totals *totals,
                       struct error *err)
{
    const struct services *services = ctx->services;
    struct value_builder ids = value_build(ctx->arena);
    for (size_t i = 0; i < value_count(found); i++)
        value_add(&ids, value_get(value_item(found, i), "id"));
    struct value_builder arguments = value_build(ctx->arena);
    value_put(&arguments, "ids", value_build_list(&ids));
    value_put_bool(&arguments, "purgeExecution", p->executions);
    value_put_bool(&arguments, "purgeLog", p->logs);
    value_put_bool(&arguments, "purgeMetric", p->metrics);
    const struct value *answer = services->operate(services->data, ctx->arena, "execution.purge",
                                                   value_build_map(&arguments), err);
    if (answer == NULL)
        return false;
    totals->executions += value_get_int(answer, "executions", 0);
    totals->logs += value_get_int(answer, "logs", 0);
    totals->metrics += value_get_int(answer, "metrics", 0);
    return true;
}

/* One batch; *count: how many were found. `offset` skips those that stay. */
static bool purge_batch(struct task_ctx *ctx,
                        const struct props *p,
                        int64_t offset,
                        size_t *count,
                        struct totals *totals,
                        struct error *err)
{
    const struct services *services = ctx->services;
    struct value_builder arguments = value_build(ctx->arena);
    value_put_text(&arguments, "namespace", p->namespace);
    value_put_text(&arguments, "flowId", p->flow_id);
    purge_put_list(&arguments, "states", p->states);
    purge_put_date(&arguments, "startDate", p->start);
    purge_put_date(&arguments, "endDate", p->end);
    value_put_int(&arguments, "offset", offset);
    value_put_int(&arguments, "limit", p->batch);
    const struct value *answer = services->operate(services->data, ctx->arena, "execution.find",
                                                   value_build_map(&arguments), err);
    if (answer == NULL)
        return false;
    const struct value *found = value_get(answer, "executions");
    *count = value_count(found);
    return *count == 0 || ((!p->storage || purge_files(ctx, found, totals, err)) &&
                           purge_rows(ctx, p, found, totals, err));
}

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    struct totals totals = { 0 };

    if (p->flow_id != NULL && p->namespace == NULL)
        return error_set(err, ERR_INVALID, "'flowId' needs 'namespace'");
    for (int64_t offset = 0;;) {
        size_t count = 0;
        if (!purge_batch(ctx, p, offset, &count, &totals, err))
            return false;
        if (count < (size_t)p->batch)
            break;
        if (!p->executions)
            offset += (int64_t)count;
    }
    value_put_int(out, "executionsCount", totals.executions);
    value_put_int(out, "logsCount", totals.logs);
    value_put_int(out, "storagesCount", totals.files);
    value_put_int(out, "metricsCount", totals.metrics);
    return true;
}

static const struct plugin_output outputs[] = {
    { "executionsCount", "integer", "Executions deleted." },
    { "logsCount", "integer", "Log lines deleted." },
    { "storagesCount", "integer", "Executions whose files were deleted." },
    { "metricsCount", "integer", "Metrics deleted." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.storages.Purge",
                                       "io.kestra.plugin.core.storage.Purge", NULL };

static const struct plugin_example examples[] = {
    { "Keep a month", "endDate: \"{{ now() | dateAdd(-1, 'MONTHS') }}\"\n"
                      "states:\n"
                      "  - SUCCESS\n" },
    { 0 },
};

const struct plugin task_execution_purge = {
    .id = "io.kestra.plugin.core.execution.PurgeExecutions",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Delete old executions with their logs, metrics and files.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
