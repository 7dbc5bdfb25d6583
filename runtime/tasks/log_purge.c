/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/str.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/tasks/purge.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

struct props {
    const char *namespace;
    const char *flow_id;
    const char *execution_id;
    const struct value *levels;
    usec_t start;
    usec_t end;
};

static const struct prop props[] = {
    { "namespace", STR(struct props, namespace), .flags = PROP_EXPR,
      .doc = "Namespace, with those below it." },
    { "flowId", STR(struct props, flow_id), .flags = PROP_EXPR, .doc = "Flow; needs `namespace`." },
    { "executionId", STR(struct props, execution_id), .flags = PROP_EXPR, .doc = "Execution." },
    { "logLevels", STRINGS(struct props, levels), .flags = PROP_EXPR,
      .doc = "Levels to delete; all when absent." },
    { "startDate", INSTANT(struct props, start), .flags = PROP_EXPR, .doc = "Lines from this on." },
    { "endDate", INSTANT(struct props, end), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Lines before this." },
    { 0 },
};

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    const struct services *services = ctx->services;
    struct value_builder arguments = value_build(ctx->arena);

    if (p->flow_id != NULL && p->namespace == NULL)
        return error_set(err, ERR_INVALID, "'flowId' needs 'namespace'");
    value_put_text(&arguments, "namespace", p->namespace);
    value_put_text(&arguments, "flowId", p->flow_id);
    value_put_text(&arguments, "executionId", p->execution_id);
    purge_put_list(&arguments, "levels", p->levels);
    purge_put_date(&arguments, "startDate", p->start);
    purge_put_date(&arguments, "endDate", p->end);
    const struct value *answer = services->operate(services->data, ctx->arena, "log.purge",
                                                   value_build_map(&arguments), err);
    if (answer == NULL)
        return false;
    value_put_int(out, "count", value_get_int(answer, "count", 0));
    return true;
}

static const struct plugin_output outputs[] = {
    { "count", "integer", "Number of lines deleted." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Keep three months", "endDate: \"{{ now() | dateAdd(-3, 'MONTHS') }}\"\n" },
    { 0 },
};

const struct plugin task_log_purge = {
    .id = "io.kestra.plugin.core.log.PurgeLogs",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Delete old logs.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
