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
#include "core/expr/scope.h"

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
        (void)fail(ev, node, "the expression takes more than %zu MiB of memory",
                   EXPR_MEMORY_MAX / 1024 / 1024);
        return false;
    }
    return true;
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
        if (key != NULL && key->kind == VALUE_NULL)
            return fail(ev, node->list.items[i], "the key of a map is null");
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
    if (object->kind == NODE_NAME && ev->scope->loop != NULL && name_is(&object->name, "loop") &&
        scope_find(ev->scope, &object->name) == NULL) {
        const struct value *own = loop_member(ev->arena, ev->scope->loop, &node->member.name);
        if (own != NULL)
            return own;
    }
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
        if (macro->count == 0)
            continue; // takes none and ignores what it is given
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

/*
 * Evaluates the arguments of a built-in callable into their parameters' places. Those that it
 * takes no notice of are evaluated all the same: a mistake in them shows.
 */
static bool eval_slots(struct evaluator *ev,
                       const struct call_node *call,
                       const struct value **slots)
{
    for (uint32_t i = 0; i < call->count; i++) {
        int32_t slot = call->arguments[i].slot;
        const struct value *value = eval(ev, call->arguments[i].value);
        if (value == NULL)
            return false;
        if (slot >= 0)
            slots[slot] = value;
    }
    return true;
}

/*
 * The input of a filter or a test. An undefined one becomes null for those that take it;
 * NULL with the failure noted.
 */
static const struct value *eval_input(struct evaluator *ev, const struct node *node)
{
    const struct value *input = eval(ev, node->call->input);
    if (input != NULL)
        return input;
    bool takes = (node->call->builtin->flags & BUILTIN_TAKES_UNDEFINED) != 0;
    return takes && undefined_forget(ev) ? &value_null : NULL;
}

/* A function, filter or test that the table knows; arguments come before the input. */
static const struct value *call_builtin(struct evaluator *ev, const struct node *node)
{
    const struct call_node *node_call = node->call;
    const struct builtin *builtin = node_call->builtin;
    const struct value *few[BUILTIN_PARAMS_MAX] = { NULL };
    struct call call = { .ev = ev, .node = node, .builtin = builtin };
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
    if (node->kind != NODE_FUNCTION) {
        call.input = eval_input(ev, node);
        if (call.input == NULL)
            return NULL;
    }
    ev->run->grown++;
    bool is_filter = node->kind == NODE_FILTER;
    if (is_filter && value_is_null(call.input) && (builtin->flags & BUILTIN_TAKES_NULL) == 0)
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
        return call_builtin(ev, node);
    for (size_t i = 0; i < ev->expr->macro_count; i++) {
        if (names_equal(&ev->expr->macros[i].name, &node->call->name))
            return call_macro(ev, node, &ev->expr->macros[i]);
    }
    return unknown_callable(ev, node);
}

/* A filter or a test; one that does not exist fails before its input is looked at. */
static const struct value *eval_applied(struct evaluator *ev, const struct node *node)
{
    return node->call->builtin == NULL ? unknown_callable(ev, node) : call_builtin(ev, node);
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
    if (operation == OP_CONTAINS && left != NULL && left->kind == VALUE_NULL)
        return &value_false; // whatever the right side is
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

bool eval_has_stack(struct evaluator *ev, const struct node *node)
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
    if (!eval_has_stack(ev, node))
        return NULL;
    switch ((enum node_kind)node->kind) {
    case NODE_LITERAL:
        break; // handled above
    case NODE_NAME:
        return scope_lookup(ev, node, &node->name);
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
