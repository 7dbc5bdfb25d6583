/* SPDX-License-Identifier: Apache-2.0 */
#include "core/expr/scope.h"

#include <string.h>

#include "base/arena.h"

/* Values that are looked at when a variable may have grown too deep. */
#define MEASURE_MAX 1000000U

bool names_equal(const struct name *a, const struct name *b)
{
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

bool name_is(const struct name *name, const char *text)
{
    return name->length == strlen(text) && memcmp(name->text, text, name->length) == 0;
}

struct variable *scope_find(const struct scope *scope, const struct name *name)
{
    for (size_t i = 0; i < scope->count; i++) {
        if (names_equal(&scope->variables[i].name, name))
            return &scope->variables[i];
    }
    return NULL;
}

struct variable *scope_put(struct evaluator *ev,
                           struct scope *scope,
                           const struct name *name,
                           const struct value *value)
{
    struct variable *variable = scope_find(scope, name);
    if (variable == NULL) {
        if (scope->count == scope->capacity) {
            size_t capacity = scope->capacity == 0 ? 4 : scope->capacity * 2;
            struct variable *grown = ARENA_ARRAY(ev->arena, capacity, struct variable);
            if (scope->count > 0)
                memcpy(grown, scope->variables, scope->count * sizeof(*grown));
            scope->variables = grown;
            scope->capacity = capacity;
        }
        variable = &scope->variables[scope->count++];
        variable->name = *name;
    }
    variable->value = value;
    variable->grown = 0;
    return variable;
}

/* Depth of a value; `left` counts the values that may still be looked at. */
static size_t depth_of(const struct value *value, size_t *left)
{
    size_t deepest = 0;
    if (*left == 0)
        return 0;
    (*left)--;
    if (value->kind == VALUE_LIST) {
        for (size_t i = 0; i < value->list.count; i++) {
            size_t depth = depth_of(value->list.items[i], left);
            deepest = depth > deepest ? depth : deepest;
        }
        return deepest + 1;
    }
    if (value->kind == VALUE_MAP) {
        for (size_t i = 0; i < value->map.count; i++) {
            size_t depth = depth_of(value->map.members[i].value, left);
            deepest = depth > deepest ? depth : deepest;
        }
        return deepest + 1;
    }
    return value->kind == VALUE_ENTRY ? depth_of(value->entry.value, left) + 1 : 1;
}

bool scope_check_growth(struct evaluator *ev,
                        const struct node *node,
                        struct variable *variable,
                        size_t grown)
{
    if (grown > EXPR_VALUE_DEPTH_MAX) {
        size_t left = MEASURE_MAX;
        grown = depth_of(variable->value, &left);
        if (left == 0 || grown > EXPR_VALUE_DEPTH_MAX) {
            (void)fail(ev, node, "'%.*s' grows too large or too deep", (int)variable->name.length,
                       variable->name.text);
            return false;
        }
    }
    variable->grown = grown;
    return true;
}

const struct value *scope_track(struct evaluator *ev, const struct node *node, size_t *grown)
{
    size_t before = ev->run->grown;
    ev->run->grown = 0;
    const struct value *value = eval(ev, node);
    *grown = ev->run->grown;
    ev->run->grown = before;
    return value;
}

const struct value *loop_member(struct arena *arena,
                                const struct loop *loop,
                                const struct name *name)
{
    if (name_is(name, "index"))
        return value_int(arena, loop->index);
    if (name_is(name, "length"))
        return value_int(arena, loop->length);
    if (name_is(name, "first"))
        return value_bool(loop->index == 0);
    if (name_is(name, "last"))
        return value_bool(loop->index == loop->length - 1);
    if (name_is(name, "revindex"))
        return value_int(arena, loop->length - loop->index - 1);
    return NULL;
}

/* All members, for those who want `loop` as a whole. */
static const struct value *loop_value(struct evaluator *ev, const struct loop *loop)
{
    struct value_builder builder = value_build(ev->arena);
    value_put_int(&builder, "index", loop->index);
    value_put_int(&builder, "length", loop->length);
    value_put_bool(&builder, "first", loop->index == 0);
    value_put_bool(&builder, "last", loop->index == loop->length - 1);
    value_put_int(&builder, "revindex", loop->length - loop->index - 1);
    return value_build_map(&builder);
}

/* Copies a context map without what a scope hides, and with what scopes add. */
const struct value *eval_context(struct evaluator *ev, bool with_locals)
{
    const struct value *context = ev->run->env->context;
    if (!with_locals)
        return context == NULL ? &value_empty_map : value_force(ev->arena, context);
    struct value_builder builder = value_build(ev->arena);
    for (const struct scope *scope = ev->scope; scope != NULL; scope = scope->outer) {
        for (size_t i = 0; i < scope->count; i++) {
            const struct variable *variable = &scope->variables[i];
            if (!value_build_has(&builder, variable->name.text, variable->name.length))
                value_put_n(&builder, variable->name.text, variable->name.length, variable->value);
        }
        if (scope->is_macro)
            return value_build_map(&builder);
    }
    const struct value *root = value_force(ev->arena, context);
    for (size_t i = 0; root != NULL && i < root->map.count; i++) {
        const struct value_member *member = &root->map.members[i];
        if (!value_build_has(&builder, member->key, member->key_length))
            value_put_n(&builder, member->key, member->key_length, member->value);
    }
    return value_build_map(&builder);
}

const struct value *scope_lookup(struct evaluator *ev,
                                 const struct node *node,
                                 const struct name *name)
{
    for (const struct scope *scope = ev->scope; scope != NULL; scope = scope->outer) {
        const struct variable *variable = scope_find(scope, name);
        if (variable != NULL) {
            if (variable->grown > ev->run->grown)
                ev->run->grown = variable->grown;
            return variable->value;
        }
        if (scope->loop != NULL && name_is(name, "loop"))
            return loop_value(ev, scope->loop);
        if (scope->is_macro)
            return undefined(ev, node, *name);
    }
    const struct value *value =
        value_get_in(ev->arena, ev->run->env->context, name->text, name->length);
    if (value != NULL)
        return value;
    if (name_is(name, "_context"))
        return eval_context(ev, true);
    return undefined(ev, node, *name);
}
