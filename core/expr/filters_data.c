/* SPDX-License-Identifier: Apache-2.0 */
/* Filters that write or query structured data. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "core/expr/eval.h"
#include "core/ion.h"
#include "core/jq/jq.h"
#include "core/json.h"
#include "core/yaml.h"

static const struct value *run_to_json(struct call *call)
{
    struct buf buf = { 0 };
    const struct value *input = call->input;
    // Only members of maps vanish; a null on its own is written.
    if (value_write_limited(&buf, input, FORM_JSON, EXPR_OUTPUT_MAX))
        return text_of(call->ev, call->node, &buf);
    buf_free(&buf);
    (void)text_fits(call->ev, call->node, EXPR_OUTPUT_MAX, 1);
    return NULL;
}

static const struct value *run_yaml(struct call *call)
{
    struct buf buf = { 0 };
    if (value_is_null(call->input))
        return value_string(call->ev->arena, "null");
    if (!tree_fits(call->ev, call->node, call->input, EXPR_OUTPUT_MAX))
        return NULL;
    yaml_write(&buf, call->input, YAML_FRIENDLY);
    return text_of(call->ev, call->node, &buf);
}

static const struct value *run_to_ion(struct call *call)
{
    struct buf buf = { 0 };
    if (!tree_fits(call->ev, call->node, call->input, EXPR_OUTPUT_MAX))
        return NULL;
    ion_write(&buf, call->input);
    return text_of(call->ev, call->node, &buf);
}

static const struct value *run_jq(struct call *call)
{
    struct run *run = call->ev->run;
    struct error why = { 0 };
    const struct value *program = NULL;
    if (!call_text(call, 0, &program))
        return NULL;
    if (program == NULL)
        return call_fail(call, "argument 'expression' is missing");
    struct jq_budget budget = {
        .steps = run->steps_left,
        .memory_max = run->memory_max,
        .now = run->env->now,
    };
    const struct value *input = call->input;
    if (input->kind == VALUE_STRING)
        input = json_parse_first(call->ev->arena, input->string.bytes, input->string.length, NULL,
                                 &why);
    else
        input = jq_input(call->ev->arena, input, &budget, &why);
    const struct value *results = NULL;
    if (input != NULL)
        results = jq_run(call->ev->arena, program->string.bytes, program->string.length, input,
                         &budget, &why);
    run->steps_left = budget.steps;
    run->built = true;
    return results == NULL ? call_fail(call, "%s", why.text) : results;
}

static const struct builtin rows[] = {
    { "jq", "expression", run_jq, 0, "The results of a jq program, always a list." },
    { "json", "", run_to_json, BUILTIN_TAKES_NULL, "Older name of toJson." },
    { "toIon", "", run_to_ion, BUILTIN_TAKES_NULL, "The value as Amazon Ion text." },
    { "toJson", "", run_to_json, BUILTIN_TAKES_NULL, "The value as JSON." },
    { "yaml", "", run_yaml, BUILTIN_TAKES_NULL, "The value as YAML." },
};

const struct builtin_table filters_data = { NODE_FILTER, rows, COUNT_OF(rows) };
