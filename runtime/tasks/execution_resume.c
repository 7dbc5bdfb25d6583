/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/str.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

struct props {
    const char *execution_id;
    const char *namespace;
    const char *flow_id;
    const struct value *inputs;
};

static const struct prop props[] = {
    { "executionId", STR(struct props, execution_id), .flags = PROP_EXPR,
      .fallback = "{{ execution.id }}", .doc = "Execution to resume." },
    { "namespace", STR(struct props, namespace), .flags = PROP_EXPR,
      .doc = "Namespace that the execution must be of." },
    { "flowId", STR(struct props, flow_id), .flags = PROP_EXPR,
      .doc = "Flow that the execution must be of." },
    { "inputs", MAP(struct props, inputs), .flags = PROP_EXPR, .item = PROP_ANY,
      .doc = "Values for `onResume` of the Pause task." },
    { 0 },
};

/* With a flow named, the execution must be one of its own. */
static bool check_flow(struct task_ctx *ctx, const struct props *p, struct error *err)
{
    const struct services *services = ctx->services;
    if ((p->namespace == NULL) != (p->flow_id == NULL))
        return error_set(err, ERR_INVALID, "'namespace' and 'flowId' go together");
    if (p->namespace == NULL)
        return true;
    struct value_builder arguments = value_build(ctx->arena);
    value_put_text(&arguments, "executionId", p->execution_id);
    const struct value *found = services->operate(services->data, ctx->arena, "execution.get",
                                                  value_build_map(&arguments), err);
    if (found == NULL)
        return false;
    return (str_eq(value_get_text(found, "namespace", NULL), p->namespace) &&
            str_eq(value_get_text(found, "flowId", NULL), p->flow_id)) ||
           error_set(err, ERR_NOT_FOUND, "execution '%s' is not one of '%s.%s'", p->execution_id,
                     p->namespace, p->flow_id);
}

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    const struct services *services = ctx->services;
    struct value_builder arguments = value_build(ctx->arena);
    (void)out; // this type has no outputs

    if (!check_flow(ctx, p, err))
        return false;
    value_put_text(&arguments, "executionId", p->execution_id);
    if (p->inputs != NULL)
        value_put(&arguments, "inputs", p->inputs);
    return services->operate(services->data, ctx->arena, "execution.resume",
                             value_build_map(&arguments), err) != NULL;
}

static const struct plugin_example examples[] = {
    { "Resume what another flow paused", "executionId: \"{{ trigger.executionId }}\"\n" },
    { 0 },
};

const struct plugin task_execution_resume = {
    .id = "io.kestra.plugin.core.execution.Resume",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Resume a paused execution.",
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
