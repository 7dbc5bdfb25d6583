/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/tasks/purge.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

struct props {
    const char *key_pattern;
    struct purge_scope scope;
    struct purge_behavior behavior;
    const char *expired_only; /* NULL when absent: it overrides the behaviour */
};

static const struct prop props[] = {
    { "keyPattern", STR(struct props, key_pattern), .flags = PROP_EXPR,
      .doc = "Glob of keys; all when absent." },
    PURGE_SCOPE_ROWS(struct props, scope),
    { "behavior", OBJECT(struct props, behavior, purge_behavior_props), .flags = PROP_EXPR,
      .doc = "What is removed; expired entries when absent." },
    { "expiredOnly", STR(struct props, expired_only), .flags = PROP_EXPR | PROP_DEPRECATED,
      .doc = "Use `behavior`." },
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
    value_put_text(&arguments, "keyPattern", p->key_pattern);
    if (p->expired_only == NULL && p->behavior.type == PURGE_VERSION) {
        purge_put_date(&arguments, "before", p->behavior.before);
        // Always given, also as 0: it says that versions are meant, not keys.
        value_put_int(&arguments, "keepAmount", p->behavior.keep);
    } else {
        value_put_bool(&arguments, "expiredOnly",
                       p->expired_only == NULL ? p->behavior.expired_only
                                               : str_eq_nocase(p->expired_only, "true"));
    }
    const struct value *answer =
        services->operate(services->data, ctx->arena, "kv.purge", value_build_map(&arguments), err);
    if (answer == NULL)
        return false;
    value_put_int(out, "size", value_get_int(answer, "count", 0));
    return true;
}

static const struct plugin_output outputs[] = {
    { "size", "integer", "Number of entries or revisions removed." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Remove what has expired below a namespace", "namespaces:\n  - company.team\n" },
    { 0 },
};

const struct plugin task_kv_purge = {
    .id = "io.kestra.plugin.core.kv.PurgeKV",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Remove entries of the key-value store.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
