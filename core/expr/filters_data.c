/* SPDX-License-Identifier: Apache-2.0 */
/* Filters that write or query structured data. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "core/expr/eval.h"
#include "core/ion.h"
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

static const struct builtin rows[] = {
    { "json", "", run_to_json, BUILTIN_TAKES_NULL, "Older name of toJson." },
    { "toIon", "", run_to_ion, BUILTIN_TAKES_NULL, "The value as Amazon Ion text." },
    { "toJson", "", run_to_json, BUILTIN_TAKES_NULL, "The value as JSON." },
    { "yaml", "", run_yaml, BUILTIN_TAKES_NULL, "The value as YAML." },
};

const struct builtin_table filters_data = { NODE_FILTER, rows, COUNT_OF(rows) };
