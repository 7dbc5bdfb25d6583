/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the statements of a template, and writes what they give. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "core/expr/scope.h"

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
    const struct value *over = scope_track(ev, node, &grown);
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
    const struct value *value = scope_track(ev, node, &grown);
    if (value == NULL)
        return false;
    struct scope *scope = ev->scope;
    while (!scope->is_root && scope_find(scope, &statement->set.variable) == NULL)
        scope = scope->outer;
    if (scope_find(scope, &statement->set.variable) == NULL)
        scope = ev->scope;
    struct variable *variable = scope_put(ev, scope, &statement->set.variable, value);
    return scope_check_growth(ev, node, variable, grown);
}

static bool run_block(struct evaluator *ev, const struct statement *statement)
{
    for (size_t i = 0; i < ev->expr->block_count; i++) {
        if (names_equal(&ev->expr->blocks[i].name, &statement->block))
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
    if (!eval_has_stack(ev, NULL))
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
