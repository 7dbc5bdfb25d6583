/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that decide what is evaluated, and how often.
 */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/vec.h"
#include "core/jq/jq_internal.h"

/* Hands on a computed value. */
static bool give(struct jq_call *call, const struct value *value)
{
    return jq_give(call->out, call->in, value);
}

/* ---- control ---- */

static bool run_empty(struct jq_call *call)
{
    (void)call;
    return true;
}

static bool run_error(struct jq_call *call)
{
    return jq_fail_value(call->jq, call->in.value);
}

static bool error_with(struct jq_call *call, const struct value *const *args, void *data)
{
    (void)data;
    return jq_fail_value(call->jq, args[0]);
}

static bool run_error_with(struct jq_call *call)
{
    return jq_each(call, error_with, NULL);
}

static bool run_same(struct jq_call *call)
{
    return call->out.emit(call->out.data, call->in);
}

static bool run_first(struct jq_call *call)
{
    struct jq_item first;
    if (!jq_first(call->jq, call->node->parts[0], call->scope, call->in, &first))
        return false;
    return first.value == NULL || call->out.emit(call->out.data, first);
}

static bool run_is_empty(struct jq_call *call)
{
    struct jq_item first;
    if (!jq_first(call->jq, call->node->parts[0], call->scope, jq_plain(call->in.value), &first))
        return false;
    return give(call, value_bool(first.value == NULL));
}

static bool keep_last(void *data, struct jq_item item)
{
    *(struct jq_item *)data = item;
    return true;
}

static bool run_last(struct jq_call *call)
{
    struct jq_item last = { &value_null, call->in.path == NULL ? NULL : &jq_no_path };
    return jq_eval(call->jq, call->node->parts[0], call->scope, call->in,
                   (struct jq_out){ keep_last, &last }) &&
           call->out.emit(call->out.data, last);
}

struct limiting {
    struct jq_call *call;
    double left;
};

static bool limit_emit(void *data, struct jq_item item)
{
    struct limiting *limiting = data;
    struct jq_call *call = limiting->call;
    limiting->left--;
    if (!call->out.emit(call->out.data, item))
        return false;
    if (limiting->left >= 1)
        return true;
    call->jq->stop = JQ_DONE;
    call->jq->target = limiting;
    return false;
}

static bool limit_to(void *data, struct jq_item item)
{
    struct jq_call *call = data;
    struct limiting limiting = { call, 0 };
    if (!value_to_double(item.value, &limiting.left))
        return jq_fail(call->jq, "limit needs a number");
    if (!(limiting.left >= 1))
        return true;
    if (jq_eval(call->jq, call->node->parts[1], call->scope, call->in,
                (struct jq_out){ limit_emit, &limiting }))
        return true;
    if (call->jq->stop != JQ_DONE || call->jq->target != &limiting)
        return false;
    call->jq->stop = JQ_RUNNING;
    return true;
}

static bool run_limit(struct jq_call *call)
{
    return jq_eval(call->jq, call->node->parts[0], call->scope, jq_plain(call->in.value),
                   (struct jq_out){ limit_to, call });
}

/* ---- loops: a stack of items instead of recursion, so that they may be long ---- */

struct work {
    struct jq_call *call;
    VEC(struct jq_item) items; /* the next one last */
};

static bool push(void *data, struct jq_item item)
{
    struct work *work = data;
    *VEC_PUSH_ARENA(work->call->jq->arena, &work->items) = item;
    return jq_charge(work->call->jq, 1);
}

/* Pushes all results of an expression, so that the first is on top. */
static bool push_results(struct work *work, const struct jq_node *node, struct jq_item item)
{
    size_t start = work->items.count;
    if (!jq_eval(work->call->jq, node, work->call->scope, item, (struct jq_out){ push, work }))
        return false;
    for (size_t a = start, b = work->items.count; a + 1 < b; a++, b--) {
        struct jq_item swapped = work->items.items[a];
        work->items.items[a] = work->items.items[b - 1];
        work->items.items[b - 1] = swapped;
    }
    return true;
}

/* Is the first result of a condition true? */
static bool holds(struct jq_call *call, struct jq_item item, bool *is_true)
{
    struct jq_item answer;
    if (!jq_first(call->jq, call->node->parts[0], call->scope, jq_plain(item.value), &answer))
        return false;
    *is_true = answer.value != NULL && jq_is_true(answer.value);
    return true;
}

/* recurse(f) and repeat(f): the item, then the same for each result of f */
static bool run_recurse(struct jq_call *call)
{
    struct work work = { .call = call };
    if (!push(&work, call->in))
        return false;
    while (work.items.count > 0) {
        struct jq_item item = work.items.items[--work.items.count];
        if (!call->out.emit(call->out.data, item) ||
            !push_results(&work, call->node->parts[0], item))
            return false;
    }
    return true;
}

/* while(cond; update) */
static bool run_while(struct jq_call *call)
{
    struct work work = { .call = call };
    if (!push(&work, call->in))
        return false;
    while (work.items.count > 0) {
        struct jq_item item = work.items.items[--work.items.count];
        bool goes_on = false;
        if (!holds(call, item, &goes_on))
            return false;
        if (goes_on && (!call->out.emit(call->out.data, item) ||
                        !push_results(&work, call->node->parts[1], item)))
            return false;
    }
    return true;
}

/* until(cond; update) */
static bool run_until(struct jq_call *call)
{
    struct work work = { .call = call };
    if (!push(&work, call->in))
        return false;
    while (work.items.count > 0) {
        struct jq_item item = work.items.items[--work.items.count];
        bool is_done = false;
        if (!holds(call, item, &is_done))
            return false;
        if (is_done ? !call->out.emit(call->out.data, item)
                    : !push_results(&work, call->node->parts[1], item))
            return false;
    }
    return true;
}

static bool range_over(struct jq_call *call, double from, double to, double by)
{
    if (by == 0)
        return from >= to || jq_fail(call->jq, "the step of a range must not be zero");
    for (double at = from; by > 0 ? at < to : at > to; at += by) {
        if (!jq_charge(call->jq, 1) || !give(call, jq_number(call->jq, at)))
            return false;
    }
    return true;
}

static bool range_each(struct jq_call *call, const struct value *const *args, void *data)
{
    double numbers[JQ_ARGS_MAX] = { 0 };
    size_t count = call->node->count;
    (void)data;
    for (size_t i = 0; i < count; i++) {
        if (!value_to_double(args[i], &numbers[i]))
            return jq_fail(call->jq, "Range bounds must be numeric");
    }
    if (count == 1)
        return range_over(call, 0, numbers[0], 1);
    return range_over(call, numbers[0], numbers[1], count == 3 ? numbers[2] : 1);
}

static bool run_range(struct jq_call *call)
{
    return jq_each(call, range_each, NULL);
}

#define SOURCE(name, count, text)                                                                  \
    {                                                                                              \
        name, count, NULL, text                                                                    \
    }

const struct jq_builtin jq_control_builtins[] = {
    { "debug", 0, run_same, NULL },
    { "empty", 0, run_empty, NULL },
    { "error", 0, run_error, NULL },
    { "error", 1, run_error_with, NULL },
    { "first", 1, run_first, NULL },
    { "isempty", 1, run_is_empty, NULL },
    { "last", 1, run_last, NULL },
    { "limit", 2, run_limit, NULL },
    { "range", 1, run_range, NULL },
    { "range", 2, run_range, NULL },
    { "range", 3, run_range, NULL },
    { "recurse", 1, run_recurse, NULL },
    { "repeat", 1, run_recurse, NULL },
    { "stderr", 0, run_same, NULL },
    { "until", 2, run_until, NULL },
    { "while", 2, run_while, NULL },
    SOURCE("all", 0, "def all: all(.[]; .);"),
    SOURCE("all", 1, "def all(f): all(.[]; f);"),
    SOURCE("all", 2, "def all(g; c): isempty(g | c | select(. | not));"),
    SOURCE("any", 0, "def any: any(.[]; .);"),
    SOURCE("any", 1, "def any(f): any(.[]; f);"),
    SOURCE("any", 2, "def any(g; c): isempty(g | c | select(.)) | not;"),
    SOURCE("recurse", 0, "def recurse: ..;"),
    SOURCE("recurse", 2, "def recurse(f; cond): recurse(f | select(cond));"),
    SOURCE("recurse_down", 0, "def recurse_down: ..;"),
    SOURCE("nth", 1, "def nth($n): .[$n];"),
    SOURCE("IN", 1, "def IN(s): any(s == .; .);"),
    SOURCE("IN", 2, "def IN(src; s): any(src == s; .);"),
};

const size_t jq_control_builtins_count = COUNT_OF(jq_control_builtins);
