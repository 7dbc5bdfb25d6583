/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

struct props {
    const char *trigger;
    const char *flow_id;
    const char *namespace;
    bool enabled;
};

static const struct prop props[] = {
    { "trigger", STR(struct props, trigger), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Id of the trigger." },
    { "flowId", STR(struct props, flow_id), .flags = PROP_EXPR, .fallback = "{{ flow.id }}",
      .doc = "Flow of the trigger." },
    { "namespace", STR(struct props, namespace), .flags = PROP_EXPR,
      .fallback = "{{ flow.namespace }}", .doc = "Namespace of the flow." },
    { "enabled", BOOL(struct props, enabled), .flags = 0, .fallback = "false",
      .doc = "Whether the trigger fires from now on." },
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
    (void)out; // this type has no outputs

    value_put_text(&arguments, "namespace", p->namespace);
    value_put_text(&arguments, "flowId", p->flow_id);
    value_put_text(&arguments, "triggerId", p->trigger);
    value_put_bool(&arguments, "disabled", !p->enabled);
    return services->operate(services->data, ctx->arena, "trigger.toggle",
                             value_build_map(&arguments), err) != NULL;
}

static const char *const aliases[] = { "io.kestra.core.tasks.trigger.Toggle", NULL };

static const struct plugin_example examples[] = {
    { "Switch a schedule of this flow off", "trigger: nightly\n"
                                            "enabled: false\n" },
    { 0 },
};

const struct plugin task_trigger_toggle = {
    .id = "io.kestra.plugin.core.trigger.Toggle",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Switch a trigger on or off.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
