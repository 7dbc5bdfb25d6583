/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/tasks/purge.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

struct props {
    const char *file_pattern;
    struct purge_scope scope;
    struct purge_behavior behavior;
};

static const struct prop props[] = {
    { "filePattern", STR(struct props, file_pattern), .flags = PROP_EXPR,
      .doc = "Glob of paths; all when absent." },
    PURGE_SCOPE_ROWS(struct props, scope),
    { "behavior", OBJECT(struct props, behavior, purge_behavior_props), .flags = PROP_EXPR,
      .doc = "Which old revisions are removed." },
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

    if (!purge_put_scope(&p->scope, &arguments, err))
        return false;
    value_put_text(&arguments, "filePattern", p->file_pattern);
    purge_put_date(&arguments, "before", p->behavior.before);
    if (p->behavior.keep > 0)
        value_put_int(&arguments, "keepAmount", p->behavior.keep);
    const struct value *answer = services->operate(services->data, ctx->arena, "file.purge",
                                                   value_build_map(&arguments), err);
    if (answer == NULL)
        return false;
    value_put_int(out, "size", value_get_int(answer, "count", 0));
    return true;
}

static const struct plugin_output outputs[] = {
    { "size", "integer", "Number of revisions removed." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Keep three revisions of each file", "namespaces:\n"
                                           "  - company.team\n"
                                           "behavior:\n"
                                           "  type: version\n"
                                           "  keepAmount: 3\n" },
    { 0 },
};

const struct plugin task_namespace_purge = {
    .id = "io.kestra.plugin.core.namespace.PurgeFiles",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Remove old revisions of namespace files.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
