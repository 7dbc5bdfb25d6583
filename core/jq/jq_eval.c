/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "core/jq/jq_internal.h"

const struct jq_path jq_root_path;
const struct jq_path jq_no_path;

/* ---- items and outputs ---- */

struct jq_item jq_plain(const struct value *value)
{
    return (struct jq_item){ value, NULL };
}

bool jq_give(struct jq_out out, struct jq_item in, const struct value *value)
{
    if (value == NULL)
        return false; // it stopped
    return out.emit(out.data, (struct jq_item){ value, in.path == NULL ? NULL : &jq_no_path });
}

const struct jq_path *jq_step(struct jq *jq, struct jq_item from, const struct value *key)
{
    if (from.path == &jq_no_path) {
        const struct value *shown = jq_to_json(jq, from.value);
        if (shown != NULL)
            (void)jq_fail(jq, "Invalid path expression with result %.*s",
                          shown->string.length > 100 ? 100 : (int)shown->string.length,
                          shown->string.bytes);
        return NULL;
    }
    struct jq_path *path = ARENA_NEW(jq->arena, struct jq_path);
    path->parent = from.path;
    path->key = key;
    return path;
}

/* Hands on what lies one step further. */
static bool give_step(struct jq *jq,
                      struct jq_out out,
                      struct jq_item from,
                      const struct value *key,
                      const struct value *value)
{
    struct jq_item item = jq_plain(value);
    if (value == NULL)
        return false;
    if (from.path != NULL && (item.path = jq_step(jq, from, key)) == NULL)
        return false;
    return out.emit(out.data, item);
}

struct collection {
    struct jq *jq;
    struct value_builder builder;
};

static bool collect_value(void *data, struct jq_item item)
{
    struct collection *collection = data;
    value_add(&collection->builder, item.value);
    return jq_charge(collection->jq, 1);
}

const struct value *jq_collect(struct jq *jq,
                               const struct jq_node *node,
                               const struct jq_scope *scope,
                               const struct value *input)
{
    struct collection collection = { jq, value_build(jq->arena) };
    struct jq_out out = { collect_value, &collection };
    if (!jq_eval(jq, node, scope, jq_plain(input), out))
        return NULL;
    return value_build_list(&collection.builder);
}

const struct value *jq_path_list(struct jq *jq, const struct jq_path *path)
{
    size_t count = 0;
    for (const struct jq_path *at = path; at->parent != NULL; at = at->parent)
        count++;
    const struct value **keys = ARENA_ARRAY(jq->arena, count, const struct value *);
    for (const struct jq_path *at = path; at->parent != NULL; at = at->parent)
        keys[--count] = at->key;
    for (const struct jq_path *at = path; at->parent != NULL; at = at->parent)
        count++;
    return value_list(jq->arena, keys, count);
}

static bool collect_path(void *data, struct jq_item item)
{
    struct collection *collection = data;
    if (item.path == &jq_no_path && jq_step(collection->jq, item, &value_null) == NULL)
        return false;
    value_add(&collection->builder, jq_path_list(collection->jq, item.path));
    return jq_charge(collection->jq, 1);
}

const struct value *jq_collect_paths(struct jq *jq,
                                     const struct jq_node *node,
                                     const struct jq_scope *scope,
                                     const struct value *input)
{
    struct collection collection = { jq, value_build(jq->arena) };
    struct jq_out out = { collect_path, &collection };
    if (!jq_eval(jq, node, scope, (struct jq_item){ input, &jq_root_path }, out))
        return NULL;
    return value_build_list(&collection.builder);
}

struct taking {
    struct jq *jq;
    struct jq_item *item;
};

static bool take_first(void *data, struct jq_item item)
{
    struct taking *taking = data;
    *taking->item = item;
    taking->jq->stop = JQ_DONE;
    taking->jq->target = taking;
    return false;
}

bool jq_first(struct jq *jq,
              const struct jq_node *node,
              const struct jq_scope *scope,
              struct jq_item in,
              struct jq_item *out)
{
    struct taking taking = { jq, out };
    out->value = NULL;
    if (jq_eval(jq, node, scope, in, (struct jq_out){ take_first, &taking }))
        return true;
    if (jq->stop != JQ_DONE || jq->target != &taking)
        return false;
    jq->stop = JQ_RUNNING;
    return true;
}

/* ---- expressions of two and three parts ---- */

static bool pipe_emit(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    return jq_eval(f->jq, f->node->right, f->scope, item, f->out);
}

/* term[key]: for each key, each term */
static bool index_term(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    return give_step(f->jq, f->out, item, f->first, jq_index(f->jq, item.value, f->first));
}

static bool index_key(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    f->first = item.value;
    return jq_eval(f->jq, f->node->left, f->scope, f->in, (struct jq_out){ index_term, f });
}

static bool slice_term(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    struct value_builder key = value_build(f->jq->arena);
    const struct value *part = jq_slice(f->jq, item.value, f->first, f->second);
    if (part == NULL)
        return false;
    value_put(&key, "start", f->first);
    value_put(&key, "end", f->second);
    return give_step(f->jq, f->out, item, value_build_map(&key), part);
}

static bool slice_to(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    f->second = item.value;
    return jq_eval(f->jq, f->node->left, f->scope, f->in, (struct jq_out){ slice_term, f });
}

static bool slice_from(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    f->first = item.value;
    if (f->node->third == NULL)
        return slice_to(f, jq_plain(&value_null));
    return jq_eval(f->jq, f->node->third, f->scope, jq_plain(f->in.value),
                   (struct jq_out){ slice_to, f });
}

static bool eval_slice(struct jq_frame *f)
{
    if (f->node->right == NULL)
        return slice_from(f, jq_plain(&value_null));
    return jq_eval(f->jq, f->node->right, f->scope, jq_plain(f->in.value),
                   (struct jq_out){ slice_from, f });
}

/* Each element of a list, each value of a map. */
static bool give_children(struct jq *jq, struct jq_item item, struct jq_out out)
{
    const struct value *value = item.value;
    if (value->kind == VALUE_LIST) {
        for (size_t i = 0; i < value->list.count; i++) {
            const struct value *key = item.path == NULL ? NULL : value_int(jq->arena, (int64_t)i);
            if (!jq_charge(jq, 1) || !give_step(jq, out, item, key, value->list.items[i]))
                return false;
        }
        return true;
    }
    if (value->kind == VALUE_MAP) {
        for (size_t i = 0; i < value->map.count; i++) {
            const struct value_member *m = &value->map.members[i];
            const struct value *key =
                item.path == NULL ? NULL : value_string_ref(jq->arena, m->key, m->key_length);
            if (!jq_charge(jq, 1) || !give_step(jq, out, item, key, m->value))
                return false;
        }
        return true;
    }
    return jq_fail(jq, "Cannot iterate over %s", jq_type(value));
}

static bool iterate_term(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    return give_children(f->jq, item, f->out);
}

/* Has the C stack room for more? */
static bool has_stack(struct jq *jq)
{
    const char *here = __builtin_frame_address(0);
    size_t used = here < jq->stack ? (size_t)(jq->stack - here) : (size_t)(here - jq->stack);
    return used <= JQ_STACK_MAX || jq_stop_at_limit(jq, "the jq program recurses too deeply");
}

static bool recurse_emit(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    bool is_open = item.value->kind == VALUE_LIST || item.value->kind == VALUE_MAP;
    if (!has_stack(f->jq) || !f->out.emit(f->out.data, item))
        return false;
    return !is_open || give_children(f->jq, item, (struct jq_out){ recurse_emit, f });
}

/* ---- making values ---- */

static bool eval_array(struct jq_frame *f)
{
    if (f->node->left == NULL)
        return jq_give(f->out, f->in, &value_empty_list);
    return jq_give(f->out, f->in, jq_collect(f->jq, f->node->left, f->scope, f->in.value));
}

/*
 * Values of the parts of a map or a string, one after another. Of maps the last part varies
 * fastest, of strings the first one does: there the last is evaluated first.
 */
struct parts {
    struct jq_frame *frame;
    size_t done; /* parts evaluated */
    const struct value **values;
};

static bool give_map(struct parts *parts)
{
    struct jq_frame *f = parts->frame;
    struct value_builder builder = value_build(f->jq->arena);
    for (size_t i = 0; i < f->node->count; i += 2) {
        const struct value *key = parts->values[i];
        if (key->kind != VALUE_STRING)
            return jq_fail(f->jq, "Object keys must be strings");
        value_put_n(&builder, key->string.bytes, key->string.length, parts->values[i + 1]);
    }
    return jq_charge(f->jq, f->node->count) && jq_give(f->out, f->in, value_build_map(&builder));
}

static bool give_text(struct parts *parts)
{
    struct jq_frame *f = parts->frame;
    struct buf buf = { 0 };
    for (size_t i = 0; i < f->node->count && buf.length <= JQ_TEXT_MAX; i++) {
        const struct value *text = parts->values[i];
        if (f->node->parts[i]->kind != JQ_LITERAL)
            text = f->node->name == NULL ? jq_to_text(f->jq, text)
                                         : jq_format(f->jq, f->node->name, text);
        if (text == NULL) {
            buf_free(&buf);
            return false;
        }
        buf_add(&buf, text->string.bytes, text->string.length);
    }
    return jq_give(f->out, f->in, jq_text_of(f->jq, &buf));
}

static bool eval_parts(struct parts *parts);

/* Index of the part that is evaluated next. */
static size_t next_part(const struct parts *parts)
{
    const struct jq_node *node = parts->frame->node;
    return node->kind == JQ_OBJECT ? parts->done : node->count - 1 - parts->done;
}

static bool part_emit(void *data, struct jq_item item)
{
    struct parts *parts = data;
    parts->values[next_part(parts)] = item.value;
    parts->done++;
    bool done = eval_parts(parts);
    parts->done--;
    return done;
}

static bool eval_parts(struct parts *parts)
{
    struct jq_frame *f = parts->frame;
    if (parts->done == f->node->count)
        return f->node->kind == JQ_OBJECT ? give_map(parts) : give_text(parts);
    const struct jq_node *part = f->node->parts[next_part(parts)];
    if (f->node->kind == JQ_STRING && part->kind == JQ_PIPE)
        part = part->left; // an interpolation
    return jq_eval(f->jq, part, f->scope, jq_plain(f->in.value),
                   (struct jq_out){ part_emit, parts });
}

static bool eval_composed(struct jq_frame *f)
{
    struct parts parts = { f, 0, NULL };
    parts.values = ARENA_ARRAY(f->jq->arena, f->node->count, const struct value *);
    return eval_parts(&parts);
}

/* ---- operators ---- */

/* a op b: for each b, each a */
static bool operand_left(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    const struct value *a = item.value;
    const struct value *b = f->second;
    int order = 0;
    if (f->node->kind == JQ_CALCULATE)
        return jq_give(f->out, f->in, jq_calculate(f->jq, f->node->operation, a, b));
    if (!jq_compare(f->jq, a, b, &order))
        return false;
    bool is_true = false;
    switch (f->node->operation) {
    case JQ_EQUAL:
        is_true = order == 0;
        break;
    case JQ_NOT_EQUAL:
        is_true = order != 0;
        break;
    case JQ_LESS:
        is_true = order < 0;
        break;
    case JQ_LESS_EQUAL:
        is_true = order <= 0;
        break;
    case JQ_GREATER:
        is_true = order > 0;
        break;
    case JQ_GREATER_EQUAL:
        is_true = order >= 0;
        break;
    case JQ_ADD:
    case JQ_SUBTRACT:
    case JQ_MULTIPLY:
    case JQ_DIVIDE:
    case JQ_MODULO:
    case JQ_DEFINED_OR:
        break; // handled above
    }
    return jq_give(f->out, f->in, value_bool(is_true));
}

static bool operand_right(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    f->second = item.value;
    return jq_eval(f->jq, f->node->left, f->scope, jq_plain(f->in.value),
                   (struct jq_out){ operand_left, f });
}

static bool logic_right(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    return jq_give(f->out, f->in, value_bool(jq_is_true(item.value)));
}

static bool logic_left(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    bool decides = f->node->kind == JQ_OR;
    if (jq_is_true(item.value) == decides)
        return jq_give(f->out, f->in, value_bool(decides));
    return jq_eval(f->jq, f->node->right, f->scope, jq_plain(f->in.value),
                   (struct jq_out){ logic_right, f });
}

static bool negate_emit(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    const struct value zero = { .kind = VALUE_INT };
    if (!value_is_number(item.value))
        return jq_fail(f->jq, "%s cannot be negated", jq_type(item.value));
    return jq_give(f->out, f->in, jq_calculate(f->jq, JQ_SUBTRACT, &zero, item.value));
}

/* Hands on, and notes when the receiver is who stops. */
static bool pass_on(struct jq_frame *f, struct jq_item item)
{
    if (f->out.emit(f->out.data, item))
        return true;
    f->downstream = true;
    return false;
}

/* Did the expression itself end with an error? Then it is forgotten. */
static bool caught(struct jq_frame *f)
{
    if (f->downstream || f->jq->stop != JQ_ERROR)
        return false;
    f->jq->stop = JQ_RUNNING;
    return true;
}

static bool alternative_emit(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    if (!jq_is_true(item.value))
        return true;
    f->found = true;
    return f->out.emit(f->out.data, item);
}

static bool eval_alternative(struct jq_frame *f)
{
    if (!jq_eval(f->jq, f->node->left, f->scope, f->in, (struct jq_out){ alternative_emit, f }))
        return false;
    return f->found || jq_eval(f->jq, f->node->right, f->scope, f->in, f->out);
}

static bool try_emit(void *data, struct jq_item item)
{
    return pass_on(data, item);
}

static bool eval_try(struct jq_frame *f)
{
    if (jq_eval(f->jq, f->node->left, f->scope, f->in, (struct jq_out){ try_emit, f }))
        return true;
    if (!caught(f))
        return false;
    if (f->node->right == NULL)
        return true;
    struct jq_item in = { f->jq->error, f->in.path == NULL ? NULL : &jq_no_path };
    return jq_eval(f->jq, f->node->right, f->scope, in, f->out);
}

static bool if_emit(void *data, struct jq_item item)
{
    struct jq_frame *f = data;
    if (jq_is_true(item.value))
        return jq_eval(f->jq, f->node->right, f->scope, f->in, f->out);
    if (f->node->third == NULL)
        return f->out.emit(f->out.data, f->in);
    return jq_eval(f->jq, f->node->third, f->scope, f->in, f->out);
}

/* ---- calls ---- */

static const struct jq_scope *scope_find(const struct jq_scope *scope,
                                         const char *name,
                                         size_t count,
                                         bool is_call)
{
    for (; scope != NULL; scope = scope->outer) {
        if (strcmp(scope->name, name) != 0)
            continue;
        if (!is_call && scope->kind == JQ_SCOPE_VARIABLE)
            return scope;
        if (is_call && scope->kind == JQ_SCOPE_FUNCTION && scope->count == count)
            return scope;
        if (is_call && count == 0 &&
            (scope->kind == JQ_SCOPE_CLOSURE ||
             (scope->kind == JQ_SCOPE_VARIABLE && scope->is_param)))
            return scope;
    }
    return NULL;
}

/* A call of a function written in jq, its parameters being bound one after another. */
struct calling {
    struct jq_frame *frame;
    const struct jq_node *definition;
    size_t next; /* parameter */
    const struct jq_scope *scope;
};

static bool bind_parameters(struct calling *calling);

static bool parameter_emit(void *data, struct jq_item item)
{
    struct calling calling = *(struct calling *)data;
    struct jq_scope variable = { .outer = calling.scope,
                                 .name = calling.definition->params[calling.next] + 1,
                                 .value = item.value,
                                 .kind = JQ_SCOPE_VARIABLE,
                                 .is_param = true };
    calling.scope = &variable;
    calling.next++;
    return bind_parameters(&calling);
}

static bool bind_parameters(struct calling *calling)
{
    struct jq_frame *f = calling->frame;
    if (calling->next == calling->definition->count)
        return jq_eval(f->jq, calling->definition->left, calling->scope, f->in, f->out);
    const char *name = calling->definition->params[calling->next];
    const struct jq_node *argument = f->node->parts[calling->next];
    if (*name == '$')
        return jq_eval(f->jq, argument, f->scope, jq_plain(f->in.value),
                       (struct jq_out){ parameter_emit, calling });
    struct calling rest = *calling;
    struct jq_scope closure = { .outer = calling->scope,
                                .name = name,
                                .node = argument,
                                .home = f->scope,
                                .kind = JQ_SCOPE_CLOSURE };
    rest.scope = &closure;
    rest.next++;
    return bind_parameters(&rest);
}

/* The definition of a builtin that is written in jq; parsed once. NULL when it stopped. */
static const struct jq_node *builtin_source(struct jq *jq, const struct jq_builtin *builtin)
{
    for (const struct jq_source *source = jq->sources; source != NULL; source = source->next) {
        if (source->builtin == builtin)
            return source->node;
    }
    struct error why = { 0 };
    const struct jq_node *node =
        jq_parse(jq->arena, builtin->source, strlen(builtin->source), &why);
    if (node == NULL) {
        (void)jq_fail(jq, "%s: %s", builtin->name, why.text);
        return NULL;
    }
    struct jq_source *source = ARENA_NEW(jq->arena, struct jq_source);
    source->next = jq->sources;
    source->builtin = builtin;
    source->node = node;
    jq->sources = source;
    return node;
}

static bool eval_call(struct jq_frame *f)
{
    struct jq *jq = f->jq;
    const struct jq_node *node = f->node;
    const struct jq_scope *found = scope_find(f->scope, node->name, node->count, true);
    if (found != NULL && found->kind == JQ_SCOPE_CLOSURE)
        return jq_eval(jq, found->node, found->home, f->in, f->out);
    if (found != NULL && found->kind == JQ_SCOPE_VARIABLE)
        return jq_give(f->out, f->in, found->value);
    if (found != NULL) {
        struct calling calling = { f, found->node, 0, found };
        return bind_parameters(&calling);
    }
    const struct jq_builtin *builtin = jq_builtin_find(node->name, node->count);
    if (builtin == NULL)
        return jq_fail(jq, "%s/%zu is not defined", node->name, node->count);
    if (builtin->run != NULL) {
        struct jq_call call = { jq, node, f->scope, f->in, f->out };
        return builtin->run(&call);
    }
    const struct jq_node *definition = builtin_source(jq, builtin);
    if (definition == NULL)
        return false;
    struct jq_scope function = { .name = definition->name,
                                 .node = definition,
                                 .kind = JQ_SCOPE_FUNCTION,
                                 .count = definition->count };
    struct calling calling = { f, definition, 0, &function };
    return bind_parameters(&calling);
}

static bool eval_define(struct jq_frame *f)
{
    struct jq_scope function = { .outer = f->scope,
                                 .name = f->node->name,
                                 .node = f->node,
                                 .kind = JQ_SCOPE_FUNCTION,
                                 .count = f->node->count };
    if (f->node->right == NULL)
        return f->out.emit(f->out.data, f->in);
    return jq_eval(f->jq, f->node->right, &function, f->in, f->out);
}

static bool eval_label(struct jq_frame *f)
{
    struct jq_scope label = { .outer = f->scope, .name = f->node->name, .kind = JQ_SCOPE_LABEL };
    if (jq_eval(f->jq, f->node->left, &label, f->in, f->out))
        return true;
    if (f->jq->stop != JQ_BROKEN || f->jq->target != &label)
        return false;
    f->jq->stop = JQ_RUNNING;
    return true;
}

static bool eval_break(struct jq_frame *f)
{
    const struct jq_scope *scope = f->scope;
    while (scope != NULL &&
           (scope->kind != JQ_SCOPE_LABEL || strcmp(scope->name, f->node->name) != 0))
        scope = scope->outer;
    if (scope == NULL)
        return jq_fail(f->jq, "$*label-%s is not defined", f->node->name);
    f->jq->stop = JQ_BROKEN;
    f->jq->target = scope;
    return false;
}

static bool eval_variable(struct jq_frame *f)
{
    const struct jq_scope *found = scope_find(f->scope, f->node->name, 0, false);
    if (found == NULL)
        return jq_fail(f->jq, "$%s is not defined", f->node->name);
    return jq_give(f->out, f->in, found->value);
}

bool jq_eval(struct jq *jq,
             const struct jq_node *node,
             const struct jq_scope *scope,
             struct jq_item in,
             struct jq_out out)
{
    struct jq_frame f = { .jq = jq, .node = node, .scope = scope, .in = in, .out = out };
    struct jq_item plain = jq_plain(in.value);
    if (!jq_charge(jq, 1) || !has_stack(jq))
        return false;
    switch (node->kind) {
    case JQ_IDENTITY:
        return out.emit(out.data, in);
    case JQ_RECURSE:
        return recurse_emit(&f, in);
    case JQ_INDEX:
        if (node->right->kind == JQ_LITERAL)
            return index_key(&f, jq_plain(node->right->literal));
        return jq_eval(jq, node->right, scope, plain, (struct jq_out){ index_key, &f });
    case JQ_SLICE:
        return eval_slice(&f);
    case JQ_ITERATE:
        return jq_eval(jq, node->left, scope, in, (struct jq_out){ iterate_term, &f });
    case JQ_LITERAL:
        return jq_give(out, in, node->literal);
    case JQ_STRING:
    case JQ_OBJECT:
        return eval_composed(&f);
    case JQ_FORMAT:
        return jq_give(out, in, jq_format(jq, node->name, in.value));
    case JQ_ARRAY:
        return eval_array(&f);
    case JQ_NEGATE:
        return jq_eval(jq, node->left, scope, plain, (struct jq_out){ negate_emit, &f });
    case JQ_PIPE:
        return jq_eval(jq, node->left, scope, in, (struct jq_out){ pipe_emit, &f });
    case JQ_COMMA:
        return jq_eval(jq, node->left, scope, in, out) && jq_eval(jq, node->right, scope, in, out);
    case JQ_ALTERNATIVE:
        return eval_alternative(&f);
    case JQ_ASSIGN:
        return jq_eval(jq, node->right, scope, plain, (struct jq_out){ jq_assign_value, &f });
    case JQ_UPDATE:
        return jq_eval_update(&f);
    case JQ_UPDATE_WITH:
        return jq_eval(jq, node->right, scope, plain, (struct jq_out){ jq_update_with, &f });
    case JQ_OR:
    case JQ_AND:
        return jq_eval(jq, node->left, scope, plain, (struct jq_out){ logic_left, &f });
    case JQ_COMPARE:
    case JQ_CALCULATE:
        return jq_eval(jq, node->right, scope, plain, (struct jq_out){ operand_right, &f });
    case JQ_IF:
        return jq_eval(jq, node->left, scope, plain, (struct jq_out){ if_emit, &f });
    case JQ_TRY:
        return eval_try(&f);
    case JQ_REDUCE:
        return jq_eval(jq, node->right, scope, in, (struct jq_out){ jq_reduce_init, &f });
    case JQ_FOREACH:
        return jq_eval(jq, node->right, scope, in, (struct jq_out){ jq_foreach_init, &f });
    case JQ_BIND:
        return jq_eval(jq, node->left, scope, plain, (struct jq_out){ jq_source_emit, &f });
    case JQ_LABEL:
        return eval_label(&f);
    case JQ_BREAK:
        return eval_break(&f);
    case JQ_VARIABLE:
        return eval_variable(&f);
    case JQ_CALL:
        return eval_call(&f);
    case JQ_DEFINE:
        return eval_define(&f);
    }
    return false;
}
