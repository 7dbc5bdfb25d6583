/* SPDX-License-Identifier: Apache-2.0 */
/* What binds names or changes values: `as`, reduce, foreach, assignments. */
#include <string.h>

#include "base/arena.h"
#include "core/jq/jq_internal.h"

/* ---- binding names ---- */

typedef bool bound_fn(void *data, const struct jq_scope *scope);

struct binding {
    struct jq *jq;
    const struct jq_pattern *pattern;
    const struct value *value;
    size_t next; /* item of the pattern */
    bound_fn *then;
    void *data;
    const struct jq_scope *scope;
};

static bool bind_pattern(struct jq *jq,
                         const struct jq_pattern *pattern,
                         const struct value *value,
                         const struct jq_scope *scope,
                         bound_fn *then,
                         void *data);

static bool bind_next(void *data, const struct jq_scope *scope);

/* The part of the value that a key names goes to the next item of the pattern. */
static bool bind_part(struct binding *b, const struct value *key)
{
    struct binding rest = *b;
    rest.next++;
    const struct value *part = jq_index(b->jq, b->value, key);
    if (part == NULL)
        return false;
    return bind_pattern(b->jq, b->pattern->items[b->next], part, b->scope, bind_next, &rest);
}

static bool bind_key(void *data, struct jq_item item)
{
    struct binding *b = data;
    if (item.value->kind != VALUE_STRING)
        return jq_fail(b->jq, "Cannot index %s with %s", jq_type(b->value), jq_type(item.value));
    return bind_part(b, item.value);
}

static bool bind_next(void *data, const struct jq_scope *scope)
{
    struct binding b = *(struct binding *)data;
    b.scope = scope;
    if (b.next == b.pattern->count)
        return b.then(b.data, scope);
    if (!b.pattern->is_map)
        return bind_part(&b, value_int(b.jq->arena, (int64_t)b.next));
    return jq_eval(b.jq, b.pattern->keys[b.next], scope, jq_plain(b.value),
                   (struct jq_out){ bind_key, &b });
}

static bool bind_pattern(struct jq *jq,
                         const struct jq_pattern *pattern,
                         const struct value *value,
                         const struct jq_scope *scope,
                         bound_fn *then,
                         void *data)
{
    if (pattern->variable != NULL) {
        struct jq_scope variable = {
            .outer = scope, .name = pattern->variable, .value = value, .kind = JQ_SCOPE_VARIABLE
        };
        return then(data, &variable);
    }
    if (!pattern->is_map && value->kind != VALUE_LIST && value->kind != VALUE_NULL)
        return jq_fail(jq, "Cannot index %s with number", jq_type(value));
    struct binding b = { jq, pattern, value, 0, then, data, scope };
    return bind_next(&b, scope);
}

static bool body_bound(void *data, const struct jq_scope *scope)
{
    struct jq_frame *f = data;
    return jq_eval(f->jq, f->node->right, scope, f->in, f->out);
}

bool jq_source_emit(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    return bind_pattern(f->jq, f->node->pattern, item.value, f->scope, body_bound, f);
}

/* ---- loops ---- */

/* reduce and foreach for one initial state. */
struct looping {
    struct jq_frame *frame;
    struct jq_item state;
    bool any; /* the update gave something this time */
};

static bool reduce_update(void *data, struct jq_item item)
{
    struct looping *loop = data;
    loop->state = item;
    loop->any = true;
    return true;
}

static bool reduce_bound(void *data, const struct jq_scope *scope)
{
    struct looping *loop = data;
    struct jq_frame *f = loop->frame;
    loop->any = false;
    if (!jq_eval(f->jq, f->node->third, scope, loop->state, (struct jq_out){ reduce_update, loop }))
        return false;
    if (!loop->any)
        loop->state = (struct jq_item){ &value_null, f->in.path == NULL ? NULL : &jq_no_path };
    return true;
}

static bool reduce_source(void *data, struct jq_item item)
{
    struct looping *loop = data;
    return bind_pattern(loop->frame->jq, loop->frame->node->pattern, item.value, loop->frame->scope,
                        reduce_bound, loop);
}

bool jq_reduce_init(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    struct looping loop = { .frame = f, .state = item };
    if (!jq_eval(f->jq, f->node->left, f->scope, jq_plain(f->in.value),
                 (struct jq_out){ reduce_source, &loop }))
        return false;
    return f->out.emit(f->out.data, loop.state);
}

/* The extraction of one state is evaluated where the update was: names are in `scope`. */
struct extracting {
    struct looping *loop;
    const struct jq_scope *scope;
};

static bool foreach_update(void *data, struct jq_item item)
{
    struct extracting *extracting = data;
    struct jq_frame *f = extracting->loop->frame;
    extracting->loop->state = item;
    if (f->node->fourth == NULL)
        return f->out.emit(f->out.data, item);
    return jq_eval(f->jq, f->node->fourth, extracting->scope, item, f->out);
}

static bool foreach_bound(void *data, const struct jq_scope *scope)
{
    struct looping *loop = data;
    struct jq_frame *f = loop->frame;
    struct extracting extracting = { loop, scope };
    return jq_eval(f->jq, f->node->third, scope, loop->state,
                   (struct jq_out){ foreach_update, &extracting });
}

static bool foreach_source(void *data, struct jq_item item)
{
    struct looping *loop = data;
    return bind_pattern(loop->frame->jq, loop->frame->node->pattern, item.value, loop->frame->scope,
                        foreach_bound, loop);
}

bool jq_foreach_init(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    struct looping loop = { .frame = f, .state = item };
    return jq_eval(f->jq, f->node->left, f->scope, jq_plain(f->in.value),
                   (struct jq_out){ foreach_source, &loop });
}

/* ---- assignments ---- */

/* Sets each of the paths to one value. */
bool jq_assign_value(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    const struct value *paths = jq_collect_paths(f->jq, f->node->left, f->scope, f->in.value);
    const struct value *result = f->in.value;
    for (size_t i = 0; paths != NULL && result != NULL && i < paths->list.count; i++)
        result = jq_set_path(f->jq, result, paths->list.items[i], item.value);
    return paths != NULL && jq_give(f->out, f->in, result);
}

bool jq_eval_update(struct jq_frame *f)
{
    struct jq *jq = f->jq;
    const struct value *paths = jq_collect_paths(jq, f->node->left, f->scope, f->in.value);
    const struct value *result = f->in.value;
    struct value_builder gone = value_build(jq->arena);
    if (paths == NULL)
        return false;
    for (size_t i = 0; i < paths->list.count; i++) {
        const struct value *path = paths->list.items[i];
        const struct value *old = jq_get_path(jq, result, path);
        struct jq_item new;
        if (old == NULL || !jq_first(jq, f->node->right, f->scope, jq_plain(old), &new))
            return false;
        if (new.value == NULL)
            value_add(&gone, path);
        else
            result = jq_set_path(jq, result, path, new.value);
        if (result == NULL)
            return false;
    }
    if (gone.items_count > 0)
        result = jq_delete_paths(jq, result, value_build_list(&gone));
    return jq_give(f->out, f->in, result);
}

/* += and the like, for one value of the right side. */
bool jq_update_with(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    struct jq *jq = f->jq;
    const struct value *paths = jq_collect_paths(jq, f->node->left, f->scope, f->in.value);
    const struct value *result = f->in.value;
    if (paths == NULL)
        return false;
    for (size_t i = 0; i < paths->list.count; i++) {
        const struct value *path = paths->list.items[i];
        const struct value *old = jq_get_path(jq, result, path);
        const struct value *new = NULL;
        if (old != NULL && f->node->operation == JQ_DEFINED_OR)
            new = jq_is_true(old) ? old : item.value;
        else if (old != NULL)
            new = jq_calculate(jq, f->node->operation, old, item.value);
        result = new == NULL ? NULL : jq_set_path(jq, result, path, new);
        if (result == NULL)
            return false;
    }
    return jq_give(f->out, f->in, result);
}
