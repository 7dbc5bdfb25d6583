/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "core/expr/expr.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/tasks/purge.h"
#include "runtime/worker/evaluate.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

struct props {
    const struct value *flows;
    const struct value *namespaces;
    const struct value *states;
    usec_t start;
    usec_t end;
    const char *expression;
};

struct flow_ref {
    const char *namespace;
    const char *flow_id;
};

static const struct prop flow_props[] = {
    { "namespace", STR(struct flow_ref, namespace), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Namespace of the flow." },
    { "flowId", STR(struct flow_ref, flow_id), .flags = PROP_REQUIRED | PROP_EXPR, .alias = "id",
      .doc = "The flow." },
    { 0 },
};

static const struct prop props[] = {
    { "flows", OBJECTS(struct props, flows), .flags = PROP_EXPR, .object = flow_props,
      .doc = "Flows to count." },
    { "namespaces", STRINGS(struct props, namespaces), .flags = PROP_EXPR,
      .doc = "Namespaces whose flows are counted." },
    { "states", STRINGS(struct props, states), .flags = PROP_EXPR,
      .doc = "States to count; all when absent." },
    { "startDate", INSTANT(struct props, start), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Executions that began at or after this." },
    { "endDate", INSTANT(struct props, end), .flags = PROP_EXPR,
      .doc = "Executions that began before this; now when absent." },
    { "expression", STR(struct props, expression), .flags = PROP_REQUIRED | PROP_RAW,
      .doc = "Expression over `count`; a flow is kept when it gives `true`." },
    { 0 },
};

/* Does the expression hold for this count? */
static bool keeps(struct evaluate_line *line,
                  struct task_ctx *ctx,
                  const struct props *p,
                  const struct value *result,
                  bool *keep,
                  struct error *err)
{
    evaluate_line_set(line, result);
    const char *text = expr_render_text(&line->env, ctx->arena, p->expression, NULL, err);
    if (text == NULL)
        return false;
    *keep = str_eq(str_trim(ctx->arena, text), "true");
    return true;
}

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    const struct services *services = ctx->services;
    struct value_builder arguments = value_build(ctx->arena);
    struct evaluate_line line;

    if (value_count(p->flows) == 0 && value_count(p->namespaces) == 0)
        return error_set(err, ERR_INVALID, "one of 'flows' and 'namespaces' is needed");
    purge_put_list(&arguments, "flows", p->flows);
    purge_put_list(&arguments, "namespaces", p->namespaces);
    purge_put_list(&arguments, "states", p->states);
    purge_put_date(&arguments, "startDate", p->start);
    purge_put_date(&arguments, "endDate", p->end);
    const struct value *answer = services->operate(services->data, ctx->arena, "execution.count",
                                                   value_build_map(&arguments), err);
    if (answer == NULL)
        return false;

    const struct value *results = value_get(answer, "results");
    struct value_builder kept = value_build(ctx->arena);
    int64_t total = 0;
    evaluate_line_init(&line, ctx, NULL);
    for (size_t i = 0; i < value_count(results); i++) {
        const struct value *result = value_item(results, i);
        bool keep = false;
        if (!keeps(&line, ctx, p, result, &keep, err))
            return false;
        if (!keep)
            continue;
        value_add(&kept, result);
        total += value_get_int(result, "count", 0);
    }
    task_log(ctx, LOG_INFO, "%lld executions counted", (long long)total);
    value_put(out, "results", value_build_list(&kept));
    value_put_int(out, "total", total);
    return true;
}

static const struct plugin_output outputs[] = {
    { "results", "list", "`namespace`, `flowId` and `count` of each flow that was kept." },
    { "total", "integer", "Sum of the counts." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.executions.Counts", NULL };

static const struct plugin_example examples[] = {
    { "Flows that did not run today", "namespaces:\n"
                                      "  - company.team\n"
                                      "startDate: \"{{ now() | dateAdd(-1, 'DAYS') }}\"\n"
                                      "expression: \"{{ count == 0 }}\"\n" },
    { 0 },
};

const struct plugin task_execution_count = {
    .id = "io.kestra.plugin.core.execution.Count",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Count executions of flows.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
