/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/engine/inline.h"

struct props {
    const struct value *variables;
    bool ignore_missing;
};

static const struct value *without_key(struct arena *arena,
                                       const struct value *map,
                                       const char *key)
{
    struct value_builder left = value_build(arena);
    for (uint32_t i = 0; i < map->map.count; i++) {
        const struct value_member *member = &map->map.members[i];
        if (strcmp(member->key, key) != 0)
            value_put_n(&left, member->key, member->key_length, member->value);
    }
    return value_build_map(&left);
}

/* The map without what a dotted name leads to; NULL when that is not there. */
static const struct value *without(struct arena *arena, const struct value *map, const char *name)
{
    if (!value_is_map(map))
        return NULL;
    const char *dot = strchr(name, '.');
    if (value_get(map, name) != NULL)
        return without_key(arena, map, name);
    if (dot == NULL)
        return NULL;
    const char *first = arena_strndup(arena, name, (size_t)(dot - name));
    const struct value *inner = without(arena, value_get(map, first), dot + 1);
    return inner == NULL ? NULL : value_with(arena, map, first, inner);
}

static bool run(struct inline_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    (void)out;
    const struct value *variables = ctx->execution->variables;
    for (size_t i = 0; i < value_count(p->variables); i++) {
        const char *name = value_cstr(value_item(p->variables, i));
        const struct value *left = name == NULL ? NULL : without(ctx->arena, variables, name);
        if (left == NULL && !p->ignore_missing)
            return error_set(err, ERR_NOT_FOUND, "variable '%s' does not exist",
                             name == NULL ? "" : name);
        variables = left == NULL ? variables : left;
    }
    inline_set_variables(ctx, variables);
    return true;
}

static const struct prop props[] = {
    { "variables", STRINGS(struct props, variables), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Names, dotted for nested ones." },
    { "ignoreMissing", BOOL(struct props, ignore_missing), .flags = PROP_EXPR, .fallback = "false",
      .doc = "Whether a name that does not exist is fine; else the task fails." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Forget a variable", "variables:\n  - batch\n" },
    { 0 },
};

const struct plugin task_execution_unset_variables = {
    .id = "io.kestra.plugin.core.execution.UnsetVariables",
    .role = PLUGIN_TASK,
    .task_kind = TASK_INLINE,
    .title = "Remove variables of the execution.",
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .inline_ops = &(const struct inline_ops){ .run = run, .updates_execution = true },
};
