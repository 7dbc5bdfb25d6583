/* SPDX-License-Identifier: Apache-2.0 */
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
    bool error_on_missing;
};

static const struct prop props[] = {
    KV_KEY_ROW(struct props, key),
    { "value", ANY(struct props, value), .flags = PROP_REQUIRED | PROP_EXPR | PROP_TYPED,
      .doc = "Map to merge into the entry; lists are appended." },
    KV_NAMESPACE_ROW(struct props, namespace, "Namespace of the entry."),
    KV_MISSING_ROW(struct props, error_on_missing),
    { 0 },
};

/* Maps merge at any depth, lists are appended, everything else is replaced. */
static const struct value *merge(struct arena *arena,
                                 const struct value *base,
                                 const struct value *over)
{
    if (value_is_list(base) && value_is_list(over)) {
        struct value_builder list = value_build(arena);
        for (size_t i = 0; i < base->list.count; i++)
            value_add(&list, base->list.items[i]);
        for (size_t i = 0; i < over->list.count; i++)
            value_add(&list, over->list.items[i]);
        return value_build_list(&list);
    }
    if (!value_is_map(base) || !value_is_map(over))
        return over;
    struct value_builder map = value_build(arena);
    for (uint32_t i = 0; i < base->map.count; i++) {
        const struct value_member *member = &base->map.members[i];
        value_put_n(&map, member->key, member->key_length, member->value);
    }
    for (uint32_t i = 0; i < over->map.count; i++) {
        const struct value_member *member = &over->map.members[i];
        const struct value *old = value_get_n(base, member->key, member->key_length);
        value_put_n(&map, member->key, member->key_length,
                    old == NULL ? member->value : merge(arena, old, member->value));
    }
    return value_build_map(&map);
}

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
    if (!value_is_map(p->value))
        return error_set(err, ERR_INVALID, "property 'value' must be a map, not %s",
                         value_kind_name(p->value));
    struct kv_entry entry = { 0 };
    struct error failure = { 0 };
    if (!services->kv_get(services->data, ctx->arena, p->namespace, p->key, &entry, &failure)) {
        if (failure.code != ERR_NOT_FOUND) {
            if (err != NULL)
                *err = failure;
            return false;
        }
        if (p->error_on_missing)
            return error_set(err, ERR_NOT_FOUND, KV_MISSING_TEXT, p->key, p->namespace);
        entry = (struct kv_entry){ .value = &value_empty_map, .expires_at = USEC_NEVER };
    }
    if (!value_is_map(entry.value))
        return error_set(err, ERR_INVALID, "the value of key '%s' is not a map", p->key);
    entry.key = p->key;
    entry.type = kv_kinds[KV_JSON];
    entry.value = merge(ctx->arena, entry.value, p->value);
    return services->kv_put(services->data, p->namespace, &entry, true, err);
}

static const struct plugin_example examples[] = {
    { "Note the last run of a source", "key: sources\n"
                                       "value:\n"
                                       "  orders:\n"
                                       "    last: \"{{ execution.startDate }}\"\n" },
    { 0 },
};

const struct plugin task_kv_put = {
    .id = "io.kestra.plugin.core.kv.Put",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Merge a map into an entry of the key-value store.",
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
