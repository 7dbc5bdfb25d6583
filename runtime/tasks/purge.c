/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/tasks/purge.h"

#include "base/error.h"
#include "core/value.h"

static const char *const behavior_words[] = { "key", "version", NULL };

const struct prop purge_behavior_props[] = {
    { "type", ENUM(struct purge_behavior, type), .words = behavior_words,
      .doc = "`key`: whole entries; `version`: old revisions only." },
    { "expiredOnly", BOOL(struct purge_behavior, expired_only), .flags = PROP_EXPR,
      .fallback = "true", .doc = "Of `key`: only entries whose time has passed." },
    { "before", INSTANT(struct purge_behavior, before), .flags = PROP_EXPR,
      .doc = "Of `version`: revisions older than this." },
    { "keepAmount", INT(struct purge_behavior, keep), .flags = PROP_EXPR,
      .doc = "Of `version`: number of newest revisions to keep." },
    { 0 },
};

bool purge_put_scope(const struct purge_scope *scope,
                     struct value_builder *arguments,
                     struct error *err)
{
    if (value_count(scope->namespaces) > 0 && scope->namespace_pattern != NULL)
        return error_set(err, ERR_INVALID,
                         "give either 'namespaces' or 'namespacePattern', not both");
    purge_put_list(arguments, "namespaces", scope->namespaces);
    value_put_text(arguments, "namespacePattern", scope->namespace_pattern);
    value_put_bool(arguments, "includeChildNamespaces", scope->include_children);
    return true;
}

void purge_put_date(struct value_builder *arguments, const char *key, usec_t at)
{
    if (at != USEC_NEVER)
        value_put(arguments, key, value_instant(arguments->arena, at));
}

void purge_put_list(struct value_builder *arguments, const char *key, const struct value *list)
{
    if (value_count(list) > 0)
        value_put(arguments, key, list);
}
