/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/expr/eval.h"

const struct value *call_fail(struct call *call, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return fail(call->ev, call->node, "%s '%s': %s",
                call->node->kind == NODE_FUNCTION ? "function"
                : call->node->kind == NODE_FILTER ? "filter"
                                                  : "test",
                call->builtin->name, text);
}

struct name call_param(const struct call *call, size_t index)
{
    const char *at = call->builtin->params;
    for (size_t i = 0; i < index && *at != '\0'; i++) {
        at += strcspn(at, ",");
        at += strspn(at, ", ");
    }
    return (struct name){ at, (uint32_t)strcspn(at, " ,=") };
}

const struct value *call_arg(const struct call *call, size_t index)
{
    const struct value *value = index < call->count ? call->args[index] : NULL;
    return value_is_null(value) ? NULL : value;
}

/* "argument 'x' must be a string, not a list" */
static bool wrong_argument(struct call *call, size_t index, const char *expected)
{
    struct name name = call_param(call, index);
    (void)call_fail(call, "argument '%.*s' must be %s, not %s", (int)name.length, name.text,
                    expected, value_kind_name(call->args[index]));
    return false;
}

bool call_text(struct call *call, size_t index, const struct value **out)
{
    *out = call_arg(call, index);
    if (*out == NULL || (*out)->kind == VALUE_STRING)
        return true;
    if ((*out)->kind == VALUE_URI) {
        *out = display(call->ev, call->node, *out);
        return *out != NULL;
    }
    return wrong_argument(call, index, "a string");
}

const struct value *call_display(struct call *call, size_t index)
{
    const struct value *value = call_arg(call, index);
    if (value == NULL) {
        struct name name = call_param(call, index);
        return call_fail(call, "argument '%.*s' is missing", (int)name.length, name.text);
    }
    return display(call->ev, call->node, value);
}

bool call_int(struct call *call, size_t index, int64_t fallback, int64_t *out)
{
    const struct value *value = call_arg(call, index);
    double number = 0;
    *out = fallback;
    if (value == NULL)
        return true;
    if (value->kind == VALUE_INT) {
        *out = value->integer;
        return true;
    }
    if (!value_to_double(value, &number) || number != floor(number) || fabs(number) > 9e18)
        return wrong_argument(call, index, "an integer");
    *out = (int64_t)number;
    return true;
}

bool call_count(struct call *call, size_t index, int64_t fallback, int64_t *out)
{
    const struct value *value = call_arg(call, index);
    double number = 0;
    if (value == NULL || !value_to_double(value, &number))
        return call_int(call, index, fallback, out);
    if (value->kind == VALUE_INT)
        *out = value->integer;
    else if (fabs(number) < 9e18)
        *out = (int64_t)number;
    else
        return wrong_argument(call, index, "an integer");
    return true;
}

const struct value *call_string(struct call *call, size_t index)
{
    const struct value *text = NULL;
    if (!call_text(call, index, &text))
        return NULL;
    if (text != NULL)
        return text;
    struct name name = call_param(call, index);
    return call_fail(call, "argument '%.*s' is missing", (int)name.length, name.text);
}

bool call_needs_string(struct call *call)
{
    if (call->input->kind == VALUE_STRING)
        return true;
    if (call->input->kind == VALUE_URI) {
        call->input = display(call->ev, call->node, call->input);
        return call->input != NULL;
    }
    (void)call_fail(call, "needs a string, not %s", value_kind_name(call->input));
    return false;
}

bool call_needs_list(struct call *call)
{
    if (call->input->kind == VALUE_LIST)
        return true;
    (void)call_fail(call, "needs a list, not %s", value_kind_name(call->input));
    return false;
}
