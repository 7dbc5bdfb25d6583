/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: what may follow `is` and `is not`. */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "core/expr/eval.h"
#include "core/json.h"

static const struct value *run_defined(struct call *call)
{
    return value_bool(!value_is_null(call->input));
}

static const struct value *run_null(struct call *call)
{
    return value_bool(value_is_null(call->input));
}

static const struct value *run_empty(struct call *call)
{
    const struct value *input = value_force(call->ev->arena, call->input);
    if (input->kind == VALUE_LIST || input->kind == VALUE_MAP)
        return value_bool(value_count(input) == 0);
    if (input->kind != VALUE_STRING)
        return value_bool(input->kind == VALUE_NULL);
    for (size_t i = 0; i < input->string.length; i++) {
        if ((unsigned char)input->string.bytes[i] > ' ')
            return &value_false;
    }
    return &value_true;
}

static const struct value *parity(struct call *call, bool odd)
{
    if (call->input->kind == VALUE_INT)
        return value_bool((call->input->integer % 2 != 0) == odd);
    if (call->input->kind == VALUE_BIGINT) {
        char last = call->input->string.bytes[call->input->string.length - 1];
        return value_bool(((last - '0') % 2 != 0) == odd);
    }
    return call_fail(call, "needs an integer, not %s", value_kind_name(call->input));
}

static const struct value *run_even(struct call *call)
{
    return parity(call, false);
}

static const struct value *run_odd(struct call *call)
{
    return parity(call, true);
}

static const struct value *run_iterable(struct call *call)
{
    return value_bool(call->input->kind == VALUE_LIST);
}

static const struct value *run_map(struct call *call)
{
    return value_bool(call->input->kind == VALUE_MAP || call->input->kind == VALUE_LAZY);
}

static const struct value *run_json(struct call *call)
{
    if (!call_needs_string(call))
        return NULL;
    const struct value *text = call->input;
    if (text->string.length == strspn(text->string.bytes, " \t\r\n"))
        return &value_true;
    if (!charge(call->ev, call->node, text->string.length / 16 + 1))
        return NULL;
    return value_bool(json_parse_first(call->ev->arena, text->string.bytes, text->string.length,
                                       NULL, NULL) != NULL);
}

static const struct builtin rows[] = {
    { "defined", "", run_defined, BUILTIN_TAKES_NULL | BUILTIN_TAKES_UNDEFINED,
      "Does it exist, and is it not null?" },
    { "empty", "", run_empty, BUILTIN_TAKES_NULL,
      "Null, a blank text, an empty list or an empty map." },
    { "even", "", run_even, BUILTIN_TAKES_NULL, "An even integer." },
    { "iterable", "", run_iterable, BUILTIN_TAKES_NULL, "A list." },
    { "json", "", run_json, BUILTIN_TAKES_NULL, "A text that begins with a JSON value." },
    { "map", "", run_map, BUILTIN_TAKES_NULL, "A map." },
    { "null", "", run_null, BUILTIN_TAKES_NULL, "Null." },
    { "odd", "", run_odd, BUILTIN_TAKES_NULL, "An odd integer." },
};

const struct builtin_table tests_all = { NODE_TEST, rows, COUNT_OF(rows) };
