/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks the tree. An undefined name is a failure like any other on its way up, except that some
 * nodes forget it.
 */
#include "core/expr/eval.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"

/* Values that are looked at when a variable may have grown too deep. */
#define MEASURE_MAX 1000000U

/* ---- failures ---- */

const struct value *fail_v(struct evaluator *ev,
                           const struct node *node,
                           const char *format,
                           va_list args)
{
    char text[ERROR_TEXT_BYTES];
    struct run *run = ev->run;
    (void)vsnprintf(text, sizeof(text), format, args);
    run->failure = EXPR_EVALUATION;
    run->failed_at = node;
    (void)error_set_at(run->err, ERR_INVALID, node == NULL ? 1 : node->line,
                       node == NULL ? 1 : node->column, "%s", text);
    return NULL;
}

const struct value *fail(struct evaluator *ev, const struct node *node, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fail_v(ev, node, format, args);
    va_end(args);
    return NULL;
}

const struct value *undefined(struct evaluator *ev, const struct node *node, struct name name)
{
    ev->run->failure = EXPR_UNDEFINED;
    ev->run->failed_at = node;
    ev->run->undefined = name;
    return NULL;
}

void undefined_is_fatal(struct evaluator *ev)
{
    struct run *run = ev->run;
    if (run->failure == EXPR_UNDEFINED)
        (void)fail(ev, run->failed_at, "'%.*s' does not exist",
                   run->undefined.length > 200 ? 200 : (int)run->undefined.length,
                   run->undefined.text);
}

bool undefined_forget(struct evaluator *ev)
{
    if (ev->run->failure != EXPR_UNDEFINED)
        return false;
    ev->run->failure = EXPR_OK;
    return true;
}

bool charge(struct evaluator *ev, const struct node *node, size_t steps)
{
    struct run *run = ev->run;
    if (steps > run->steps_left) {
        run->steps_left = 0;
        (void)fail(ev, node, "the expression takes more than %u steps", EXPR_STEPS_MAX);
        return false;
    }
    run->steps_left -= steps;
    if (arena_bytes(run->arena) > run->memory_max) {
        (void)fail(ev, node, "the expression takes more than %u MiB of memory",
                   EXPR_MEMORY_MAX / 1024 / 1024);
        return false;
    }
    return true;
}

/* ---- scopes ---- */

static bool same_name(const struct name *a, const struct name *b)
{
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

static bool is_name(const struct name *name, const char *text)
{
    return name->length == strlen(text) && memcmp(name->text, text, name->length) == 0;
}

static struct variable *scope_find(const struct scope *scope, const struct name *name)
{
    for (size_t i = 0; i < scope->count; i++) {
        if (same_name(&scope->variables[i].name, name))
            return &scope->variables[i];
    }
    return NULL;
}

static struct variable *scope_put(struct evaluator *ev,
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

/*
 * Values are walked recursively in many places, so their depth must stay bounded. What an
 * expression adds in depth is at most the number of lists, maps and calls it evaluates; that sum
 * travels with variables, and only when it becomes large the value is measured.
 */
static bool check_growth(struct evaluator *ev,
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

/* Evaluates what a variable will hold, and tells by how much it may have grown. */
static const struct value *eval_tracked(struct evaluator *ev,
                                        const struct node *node,
                                        size_t *grown)
{
    size_t before = ev->run->grown;
    ev->run->grown = 0;
    const struct value *value = eval(ev, node);
    *grown = ev->run->grown;
    ev->run->grown = before;
    return value;
}

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

static const struct value *lookup(struct evaluator *ev,
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
        if (scope->loop != NULL && is_name(name, "loop"))
            return loop_value(ev, scope->loop);
        if (scope->is_macro)
            return undefined(ev, node, *name);
    }
    const struct value *value =
        value_get_in(ev->arena, ev->run->env->context, name->text, name->length);
    if (value != NULL)
        return value;
    if (is_name(name, "_context"))
        return eval_context(ev, true);
    return undefined(ev, node, *name);
}

/* ---- expressions ---- */

static const struct value *eval_list(struct evaluator *ev, const struct node *node)
{
    uint32_t count = node->list.count;
    const struct value **items = ARENA_ARRAY(ev->arena, count, const struct value *);
    for (uint32_t i = 0; i < count; i++) {
        items[i] = eval(ev, node->list.items[i]);
        if (items[i] == NULL)
            return NULL;
    }
    struct value *list = ARENA_NEW(ev->arena, struct value);
    list->kind = VALUE_LIST;
    list->list.items = items;
    list->list.count = count;
    ev->run->grown++;
    ev->run->built = true;
    return list;
}

static const struct value *eval_map(struct evaluator *ev, const struct node *node)
{
    struct value_builder builder = value_build(ev->arena);
    for (uint32_t i = 0; i < node->list.count; i += 2) {
        const struct value *key = eval(ev, node->list.items[i]);
        key = key == NULL ? NULL : display(ev, node->list.items[i], key);
        const struct value *value = key == NULL ? NULL : eval(ev, node->list.items[i + 1]);
        if (value == NULL)
            return NULL;
        value_put_n(&builder, key->string.bytes, key->string.length, value);
    }
    ev->run->grown++;
    ev->run->built = true;
    return value_build_map(&builder);
}

static const struct value *eval_interpolation(struct evaluator *ev, const struct node *node)
{
    struct buf buf = { 0 };
    for (uint32_t i = 0; i < node->list.count; i++) {
        const struct value *part = eval(ev, node->list.items[i]);
        if (part == NULL) {
            buf_free(&buf);
            return NULL;
        }
        if (part->kind != VALUE_NULL)
            (void)value_write_limited(&buf, part, FORM_DISPLAY, EXPR_OUTPUT_MAX);
        if (!text_fits(ev, node, buf.length, 0)) {
            buf_free(&buf);
            return NULL;
        }
    }
    return text_of(ev, node, &buf);
}

static const struct value *eval_member(struct evaluator *ev, const struct node *node)
{
    const struct node *object = node->member.object;
    if (object->kind == NODE_NAME && ev->scope->loop != NULL && is_name(&object->name, "loop") &&
        is_name(&node->member.name, "index") && scope_find(ev->scope, &object->name) == NULL)
        return value_int(ev->arena, ev->scope->loop->index);
    const struct value *value = eval(ev, object);
    return value == NULL ? NULL : member(ev, node, value, node->member.name);
}

static const struct value *eval_index(struct evaluator *ev, const struct node *node)
{
    const struct value *object = eval(ev, node->index.object);
    const struct value *key = object == NULL ? NULL : eval(ev, node->index.key);
    return key == NULL ? NULL : element(ev, node, object, key);
}

/* Evaluates arguments in order of appearance. */
static bool eval_arguments(struct evaluator *ev,
                           const struct call_node *call,
                           const struct value **values)
{
    for (uint32_t i = 0; i < call->count; i++) {
        values[i] = eval(ev, call->arguments[i].value);
        if (values[i] == NULL)
            return false;
    }
    return true;
}

static const struct value *eval_method(struct evaluator *ev, const struct node *node)
{
    const struct call_node *call = node->call;
    const struct value *object = eval(ev, call->input);
    if (object == NULL)
        return NULL;
    const struct value **args = ARENA_ARRAY(ev->arena, call->count, const struct value *);
    if (!eval_arguments(ev, call, args))
        return NULL;
    return method(ev, node, object, args, call->count);
}

/* Binds the arguments of a macro to its parameters. */
static bool bind_macro(struct evaluator *ev,
                       const struct node *node,
                       const struct macro *macro,
                       const struct value **values,
                       struct scope *scope)
{
    const struct call_node *call = node->call;
    for (size_t i = 0; i < macro->count; i++)
        (void)scope_put(ev, scope, &macro->parameters[i].name, NULL);
    for (uint32_t i = 0; i < call->count; i++) {
        const struct name *name = &call->arguments[i].name;
        struct variable *variable = NULL;
        if (name->length > 0)
            variable = scope_find(scope, name);
        else if (i < macro->count)
            variable = scope_find(scope, &macro->parameters[i].name);
        if (variable == NULL) {
            (void)fail(ev, node, "macro '%.*s' does not take so many or such arguments",
                       (int)call->name.length, call->name.text);
            return false;
        }
        variable->value = values[i];
    }
    return true;
}

/* Values of parameters that were not given. */
static bool complete_macro(struct evaluator *ev,
                           const struct macro *macro,
                           struct scope *scope,
                           struct scope *empty)
{
    for (size_t i = 0; i < macro->count; i++) {
        struct variable *variable = scope_find(scope, &macro->parameters[i].name);
        if (variable->value != NULL)
            continue;
        const struct node *fallback = macro->parameters[i].fallback;
        ev->scope = empty;
        variable->value = fallback == NULL ? &value_null : eval(ev, fallback);
        if (variable->value == NULL)
            return false;
    }
    return true;
}

static const struct value *call_macro(struct evaluator *ev,
                                      const struct node *node,
                                      const struct macro *macro)
{
    const struct call_node *call = node->call;
    const struct value **values = ARENA_ARRAY(ev->arena, call->count, const struct value *);
    struct scope scope = { .is_macro = true, .is_root = true };
    struct scope empty = { .is_macro = true, .is_root = true };
    struct scope *caller = ev->scope;
    if (!eval_arguments(ev, call, values) || !bind_macro(ev, node, macro, values, &scope))
        return NULL;
    if (ev->run->macros >= EXPR_DEPTH_MAX)
        return fail(ev, node, "macros call one another more than %u deep", EXPR_DEPTH_MAX);
    ev->run->macros++;
    const struct value *result = NULL;
    if (complete_macro(ev, macro, &scope, &empty)) {
        ev->scope = &scope;
        result = eval_captured(ev, &macro->body);
    }
    ev->scope = caller;
    ev->run->macros--;
    return result;
}

static const struct value *unknown_callable(struct evaluator *ev, const struct node *node)
{
    const struct call_node *call = node->call;
    enum node_kind kind = (enum node_kind)node->kind;
    const char *what = kind == NODE_FUNCTION ? "function" : kind == NODE_FILTER ? "filter" : "test";
    int length = call->name.length > 60 ? 60 : (int)call->name.length;
    const char *near = builtin_nearest(ev->arena, kind, &call->name);
    if (near == NULL)
        return fail(ev, node, "there is no %s '%.*s'", what, length, call->name.text);
    return fail(ev, node, "there is no %s '%.*s', did you mean '%s'?", what, length,
                call->name.text, near);
}

/* Evaluates the arguments of a built-in callable into their parameters' places. */
static bool eval_slots(struct evaluator *ev,
                       const struct call_node *call,
                       const struct value **slots)
{
    for (uint32_t i = 0; i < call->count; i++) {
        int32_t slot = call->arguments[i].slot;
        if (slot < 0)
            continue;
        const struct value *value = eval(ev, call->arguments[i].value);
        if (value == NULL)
            return false;
        slots[slot] = value;
    }
    return true;
}

static const struct value *call_builtin(struct evaluator *ev,
                                        const struct node *node,
                                        const struct value *input)
{
    const struct call_node *node_call = node->call;
    const struct builtin *builtin = node_call->builtin;
    const struct value *few[BUILTIN_PARAMS_MAX] = { NULL };
    struct call call = { .ev = ev, .node = node, .builtin = builtin, .input = input };
    const struct value **slots = few;
    call.count = BUILTIN_PARAMS_MAX;
    if ((builtin->flags & BUILTIN_VARIADIC) != 0) {
        slots = ARENA_ARRAY(ev->arena, node_call->count, const struct value *);
        call.count = node_call->count;
    }
    call.args = slots;
    if (node_call->mistake != NULL)
        return fail(ev, node, "%s", node_call->mistake);
    if (!eval_slots(ev, node_call, slots))
        return NULL;
    ev->run->grown++;
    bool is_filter = node->kind == NODE_FILTER;
    if (is_filter && value_is_null(input) && (builtin->flags & BUILTIN_TAKES_NULL) == 0)
        return &value_null;
    if ((builtin->flags & BUILTIN_NEEDS_FIRST) != 0 && slots[0] == NULL) {
        struct name first = call_param(&call, 0);
        return call_fail(&call, "argument '%.*s' is missing", (int)first.length, first.text);
    }
    return charge(ev, node, 1) ? builtin->run(&call) : NULL;
}

static const struct value *eval_function(struct evaluator *ev, const struct node *node)
{
    if (node->call->builtin != NULL)
        return call_builtin(ev, node, NULL);
    for (size_t i = 0; i < ev->expr->macro_count; i++) {
        if (same_name(&ev->expr->macros[i].name, &node->call->name))
            return call_macro(ev, node, &ev->expr->macros[i]);
    }
    return unknown_callable(ev, node);
}

/* A filter or a test. */
static const struct value *eval_applied(struct evaluator *ev, const struct node *node)
{
    const struct builtin *builtin = node->call->builtin;
    const struct value *input = eval(ev, node->call->input);
    if (input == NULL) {
        bool takes = builtin != NULL && (builtin->flags & BUILTIN_TAKES_UNDEFINED) != 0;
        if (!takes || !undefined_forget(ev))
            return NULL;
    }
    return builtin == NULL ? unknown_callable(ev, node) : call_builtin(ev, node, input);
}

static const struct value *eval_test(struct evaluator *ev, const struct node *node)
{
    const struct value *answer = eval_applied(ev, node);
    if (answer == NULL || !node->call->negated)
        return answer;
    return value_bool(!answer->boolean);
}

static const struct value *eval_logic(struct evaluator *ev, const struct node *node)
{
    bool decides = node->operation == OP_OR;
    const struct node *sides[] = { node->operands.left, node->operands.right };
    for (size_t i = 0; i < COUNT_OF(sides); i++) {
        bool is_true = false;
        const struct value *side = eval(ev, sides[i]);
        if (side == NULL || !truth(ev, sides[i], side, false, &is_true))
            return NULL;
        if (is_true == decides)
            return value_bool(decides);
    }
    return value_bool(!decides);
}

/* Does an undefined operand of this operator become an evaluation failure? */
static bool is_strict(enum operation operation)
{
    switch (operation) {
    case OP_ADD:
    case OP_SUBTRACT:
    case OP_MULTIPLY:
    case OP_DIVIDE:
    case OP_REMAINDER:
    case OP_EQUAL:
    case OP_NOT_EQUAL:
    case OP_GREATER:
    case OP_LESS:
    case OP_GREATER_EQUAL:
    case OP_LESS_EQUAL:
        return true;
    case OP_OR:
    case OP_AND:
    case OP_IS:
    case OP_IS_NOT:
    case OP_CONTAINS:
    case OP_FILTER:
    case OP_CONCATENATE:
    case OP_RANGE:
    case OP_NULL_OR:
    case OP_UNDEFINED_OR:
    case OP_IS_IN:
    case OP_NOT:
        break;
    }
    return false;
}

static const struct value *eval_binary(struct evaluator *ev, const struct node *node)
{
    enum operation operation = (enum operation)node->operation;
    if (operation == OP_AND || operation == OP_OR)
        return eval_logic(ev, node);
    const struct value *left = eval(ev, node->operands.left);
    if (operation == OP_NULL_OR || operation == OP_UNDEFINED_OR) {
        bool keeps_null = operation == OP_UNDEFINED_OR;
        if (left != NULL && (keeps_null || left->kind != VALUE_NULL))
            return left;
        if (left == NULL && !undefined_forget(ev))
            return NULL;
        return eval(ev, node->operands.right);
    }
    const struct value *right = left == NULL ? NULL : eval(ev, node->operands.right);
    if (right == NULL) {
        if (is_strict(operation))
            undefined_is_fatal(ev);
        return NULL;
    }
    return operate(ev, node, operation, left, right);
}

static const struct value *eval_unary(struct evaluator *ev, const struct node *node)
{
    const struct value *operand = eval(ev, node->operands.right);
    if (operand == NULL)
        return NULL;
    return operate_unary(ev, node, (enum operation)node->operation, operand);
}

static const struct value *eval_ternary(struct evaluator *ev, const struct node *node)
{
    bool is_true = false;
    const struct value *condition = eval(ev, node->ternary.condition);
    if (condition == NULL || !truth(ev, node->ternary.condition, condition, true, &is_true))
        return NULL;
    return eval(ev, is_true ? node->ternary.yes : node->ternary.no);
}

/* Notes a failure when the C stack is nearly used up. */
static bool has_stack(struct evaluator *ev, const struct node *node)
{
    const char *here = __builtin_frame_address(0);
    size_t used =
        here < ev->run->stack ? (size_t)(ev->run->stack - here) : (size_t)(here - ev->run->stack);
    if (__builtin_expect(used <= EXPR_STACK_MAX, 1))
        return true;
    (void)fail(ev, node, "the expression is nested too deeply");
    return false;
}

const struct value *eval(struct evaluator *ev, const struct node *node)
{
    if (node->kind == NODE_LITERAL)
        return node->literal;
    if (ev->run->steps_left-- == 0) {
        ev->run->steps_left = 0;
        return fail(ev, node, "the expression takes more than %u steps", EXPR_STEPS_MAX);
    }
    if (!has_stack(ev, node))
        return NULL;
    switch ((enum node_kind)node->kind) {
    case NODE_LITERAL:
        break; // handled above
    case NODE_NAME:
        return lookup(ev, node, &node->name);
    case NODE_MEMBER:
        return eval_member(ev, node);
    case NODE_INDEX:
        return eval_index(ev, node);
    case NODE_METHOD:
        return eval_method(ev, node);
    case NODE_LIST:
        return charge(ev, node, node->list.count) ? eval_list(ev, node) : NULL;
    case NODE_MAP:
        return charge(ev, node, node->list.count) ? eval_map(ev, node) : NULL;
    case NODE_INTERPOLATION:
        return charge(ev, node, 1) ? eval_interpolation(ev, node) : NULL;
    case NODE_FUNCTION:
        return eval_function(ev, node);
    case NODE_FILTER:
        return eval_applied(ev, node);
    case NODE_TEST:
        return eval_test(ev, node);
    case NODE_UNARY:
        return eval_unary(ev, node);
    case NODE_BINARY:
        return eval_binary(ev, node);
    case NODE_TERNARY:
        return eval_ternary(ev, node);
    case NODE_FILTERED:
        return ev->filtered;
    }
    return node->literal;
}

/* ---- statements ---- */

bool sink_value(struct evaluator *ev, const struct node *node, const struct value *value)
{
    struct sink *sink = ev->sink;
    if (value->kind == VALUE_NULL)
        return true;
    sink->wrote = true;
    if (sink->form == SINK_PIECES) {
        if (sink->count == sink->capacity) {
            sink->capacity = sink->capacity == 0 ? 4 : sink->capacity * 2;
            const struct value **grown =
                ARENA_ARRAY(ev->arena, sink->capacity, const struct value *);
            if (sink->count > 0)
                memcpy(grown, sink->pieces, sink->count * sizeof(*grown));
            sink->pieces = grown;
        }
        sink->pieces[sink->count++] = value;
        return charge(ev, node, 1);
    }
    if (value->kind == VALUE_STRING) {
        if (!text_fits(ev, node, sink->buf->length, value->string.length))
            return false;
        buf_add(sink->buf, value->string.bytes, value->string.length);
        return true;
    }
    enum value_form form = sink->form == SINK_PRINT ? FORM_PRINT : FORM_DISPLAY;
    return value_write_limited(sink->buf, value, form, EXPR_OUTPUT_MAX) ||
           text_fits(ev, node, EXPR_OUTPUT_MAX, 1);
}

const struct value *eval_captured(struct evaluator *ev, const struct body *body)
{
    struct buf buf = { 0 };
    struct sink *outer = ev->sink;
    struct sink sink = { .form = SINK_DISPLAY, .buf = &buf };
    ev->sink = &sink;
    bool done = eval_body(ev, body);
    ev->sink = outer;
    if (done)
        return text_of(ev, NULL, &buf);
    buf_free(&buf);
    return NULL;
}

static bool run_if(struct evaluator *ev, const struct statement *statement)
{
    for (size_t i = 0; i < statement->choice.count; i++) {
        const struct branch *branch = &statement->choice.branches[i];
        bool is_true = branch->condition == NULL;
        if (!is_true) {
            const struct value *condition = eval(ev, branch->condition);
            if (condition == NULL) {
                undefined_is_fatal(ev);
                return false;
            }
            if (!truth(ev, branch->condition, condition, false, &is_true))
                return false;
        }
        if (is_true)
            return eval_body(ev, &branch->body);
    }
    return true;
}

static const struct value *loop_item(struct evaluator *ev, const struct value *over, size_t i)
{
    if (over->kind == VALUE_LIST)
        return over->list.items[i];
    const struct value_member *member = &over->map.members[i];
    return value_entry(ev->arena, member->key, member->value);
}

static bool run_for(struct evaluator *ev, const struct statement *statement)
{
    size_t grown = 0;
    const struct node *node = statement->loop.over;
    const struct value *over = eval_tracked(ev, node, &grown);
    if (over == NULL)
        return false;
    over = value_force(ev->arena, over);
    if (over->kind == VALUE_NULL)
        return true;
    if (over->kind != VALUE_LIST && over->kind != VALUE_MAP) {
        (void)fail(ev, node, "cannot loop over %s", value_kind_name(over));
        return false;
    }
    size_t count = value_count(over);
    if (count == 0)
        return eval_body(ev, &statement->loop.otherwise);

    struct loop loop = { .length = (int64_t)count };
    struct scope scope = { .outer = ev->scope, .loop = &loop };
    ev->scope = &scope;
    bool done = true;
    for (size_t i = 0; i < count && done; i++) {
        loop.index = (int64_t)i;
        struct variable *variable =
            scope_put(ev, &scope, &statement->loop.variable, loop_item(ev, over, i));
        variable->grown = grown;
        done = charge(ev, node, 1) && eval_body(ev, &statement->loop.body);
    }
    ev->scope = scope.outer;
    return done;
}

static bool run_set(struct evaluator *ev, const struct statement *statement)
{
    size_t grown = 0;
    const struct node *node = statement->set.value;
    const struct value *value = eval_tracked(ev, node, &grown);
    if (value == NULL)
        return false;
    struct scope *scope = ev->scope;
    while (!scope->is_root && scope_find(scope, &statement->set.variable) == NULL)
        scope = scope->outer;
    if (scope_find(scope, &statement->set.variable) == NULL)
        scope = ev->scope;
    struct variable *variable = scope_put(ev, scope, &statement->set.variable, value);
    return check_growth(ev, node, variable, grown);
}

static bool run_block(struct evaluator *ev, const struct statement *statement)
{
    for (size_t i = 0; i < ev->expr->block_count; i++) {
        if (same_name(&ev->expr->blocks[i].name, &statement->block))
            return eval_body(ev, &ev->expr->blocks[i].body);
    }
    return true;
}

static bool run_filter(struct evaluator *ev, const struct statement *statement)
{
    const struct value *outer = ev->filtered;
    ev->filtered = eval_captured(ev, &statement->filter.body);
    const struct value *value = ev->filtered == NULL ? NULL : eval(ev, statement->filter.chain);
    ev->filtered = outer;
    return value != NULL && sink_value(ev, statement->filter.chain, value);
}

static bool run_statement(struct evaluator *ev, const struct statement *statement)
{
    const struct value *value = NULL;
    switch ((enum statement_kind)statement->kind) {
    case STATEMENT_TEXT:
        return sink_value(ev, NULL, statement->text);
    case STATEMENT_PRINT:
        value = eval(ev, statement->expression);
        return value != NULL && sink_value(ev, statement->expression, value);
    case STATEMENT_IF:
        return run_if(ev, statement);
    case STATEMENT_FOR:
        return run_for(ev, statement);
    case STATEMENT_SET:
        return run_set(ev, statement);
    case STATEMENT_BLOCK:
        return run_block(ev, statement);
    case STATEMENT_FILTER:
        return run_filter(ev, statement);
    }
    return false;
}

bool eval_body(struct evaluator *ev, const struct body *body)
{
    if (!has_stack(ev, NULL))
        return false;
    for (size_t i = 0; i < body->count; i++) {
        if (!charge(ev, NULL, 1) || !run_statement(ev, &body->items[i]))
            return false;
    }
    return true;
}

bool eval_template(struct run *run, const struct expr *expr, struct scope *outer, struct sink *sink)
{
    struct scope globals = { .outer = outer, .is_root = true };
    struct evaluator ev = {
        .run = run,
        .arena = run->arena,
        .expr = expr,
        .scope = &globals,
        .globals = &globals,
        .sink = sink,
    };
    return eval_body(&ev, &expr->body);
}
