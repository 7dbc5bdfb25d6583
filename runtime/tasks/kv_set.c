/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/error.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/tasks/kv.h"
#include "runtime/worker/kv.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

struct props {
    const char *key;
    const struct value *value;
    const char *namespace;
    bool overwrite;
    usec_t ttl;
    int type; /* enum kv_kind, -1: by the value */
    const char *description;
};

static const struct prop props[] = {
    KV_KEY_ROW(struct props, key),
    { "value", ANY(struct props, value), .flags = PROP_REQUIRED | PROP_EXPR | PROP_TYPED,
      .doc = "Value to keep; an expression keeps its type." },
    KV_NAMESPACE_ROW(struct props, namespace, "Namespace of the entry."),
    { "overwrite", BOOL(struct props, overwrite), .flags = PROP_EXPR, .fallback = "true",
      .doc = "Whether an entry that exists is replaced; else the task fails." },
    { "ttl", DURATION(struct props, ttl), .flags = PROP_EXPR,
      .doc = "Time after which the entry is gone; never when absent." },
    { "kvType", ENUM(struct props, type), .flags = PROP_EXPR, .words = kv_kinds,
      .doc = "Kind to convert the value to; by default that of the value." },
    { "kvDescription", STR(struct props, description), .flags = PROP_EXPR,
      .doc = "Text for people." },
    { 0 },
};

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    const struct services *services = ctx->services;
    (void)out; // this type has no outputs

    if (!kv_key_check(p->key, err))
        return false;
    enum kv_kind kind = p->type >= 0 ? (enum kv_kind)p->type : kv_kind_of(p->value);
    const struct value *value =
        p->type >= 0 ? kv_convert(ctx->arena, kind, p->value, err) : p->value;
    if (value == NULL)
        return false;
    struct kv_entry entry = {
        .key = p->key,
        .value = value,
        .type = kv_kinds[kind],
        .description = p->description,
        .expires_at = p->ttl > 0 ? clock_now() + p->ttl : USEC_NEVER,
    };
    struct error failure = { 0 };
    if (services->kv_put(services->data, p->namespace, &entry, p->overwrite, &failure))
        return true;
    if (failure.code == ERR_CONFLICT && !p->overwrite)
        return error_set(err, ERR_CONFLICT,
                         "Cannot set value for key '%s'. Key already exists and `overwrite` is "
                         "set to `false`.",
                         p->key);
    if (err != NULL)
        *err = failure;
    return false;
}

static const struct plugin_example examples[] = {
    { "Remember the rows of a query for a day", "key: last_rows\n"
                                                "value: \"{{ outputs.query.rows }}\"\n"
                                                "ttl: P1D\n" },
    { 0 },
};

const struct plugin task_kv_set = {
    .id = "io.kestra.plugin.core.kv.Set",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Set an entry of the key-value store.",
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
