/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inputs of flows: from what a caller supplied to what an execution stores (flow-language.md 1.5);
 * the same conversions for flow outputs (1.6); pre-flight checks (1.11).
 *
 * Used for executions, Pause.onResume, Approval, trigger and subflow inputs. Pure: effects of
 * expressions go through the environment's host, encryption through a callback.
 *
 * To add a type: a member of enum input_type, one row of the table in inputs_convert.c, one row in
 * tests/unit/test_inputs.c.
 *
 * Stored form: JSON kinds only. Dates and times are ISO texts, durations decimal seconds, files
 * and URIs texts, secrets what the encrypt callback gives.
 */
#ifndef CORE_INPUTS_H
#define CORE_INPUTS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/flow.h"

struct arena;
struct error;
struct expr_env;
struct value;

/* Inputs of one flow; more would make resolution, which may look at all for each, too slow. */
#define INPUTS_MAX 2000U

/*
 * Stored form of a clear text (a string value); NULL with err set on failure.
 */
typedef const struct value *inputs_encrypt_fn(void *data,
                                              struct arena *arena,
                                              const struct value *clear,
                                              struct error *err);

struct inputs_request {
    const struct flow_input *inputs;
    size_t count;
    /*
     * Map of what was given: by dotted id, or nested maps. Values of any kind; texts are parsed by
     * the type of the input. A file is the URI it was stored under. NULL: nothing was given.
     */
    const struct value *supplied;
    /*
     * For defaults, conditions and value lists. Its context has everything but `inputs`, which is
     * put in here; the context is restored before the call returns.
     */
    struct expr_env *env;
    const char *owner;          /* "namespace.flow", for warnings */
    inputs_encrypt_fn *encrypt; /* NULL: no key is configured, SECRET fails */
    void *encrypt_data;
    bool allow_local_files; /* FILE takes a local path (internal callers) */
    bool allow_missing;     /* a missing required input is left out (webhooks without inputs) */
};

/* One input, resolved. */
struct input_result {
    const struct flow_input *input;
    const struct value *value;  /* stored form, NULL when there is none */
    const struct value *shown;  /* as `value`, with secrets in clear: what expressions see */
    const char *error;          /* whole sentence, NULL when fine */
    const struct value *values; /* choices of SELECT and MULTISELECT, once known; NULL else */
    bool is_render_error;       /* an expression failed, not the caller */
    bool is_enabled;
    bool is_default;
};

struct inputs_result {
    struct input_result *items; /* as many and in the order of the request; FORM left out */
    size_t count;
    size_t errors;
    const struct value *stored; /* nested map of the enabled ones */
    const struct value *shown;  /* the same with secrets in clear, for expressions */
    const char **warnings;      /* one for each unknown name given */
    size_t warnings_count;
};

/*
 * Resolves all inputs, mistakes included: those are in the result.
 *
 * Returns  false only when nothing could be decided
 * Errors   ERR_UNAVAILABLE  an expression needs an answer from its host: call again later
 *          ERR_LIMIT        more than INPUTS_MAX inputs
 */
bool inputs_resolve(const struct inputs_request *request,
                    struct arena *arena,
                    struct inputs_result *out,
                    struct error *err);

/*
 * All errors of a result as one text, one per line; NULL when there is none.
 */
const char *inputs_errors(const struct inputs_result *result, struct arena *arena);

/* Tells the operator about names that no input has: they are ignored. */
void inputs_log_warnings(const struct inputs_result *result);

/* Short form, with the warnings logged, for callers that want the map or an error: ERR_INVALID with
 * inputs_errors(). */
const struct value *inputs_resolve_map(const struct inputs_request *request,
                                       struct arena *arena,
                                       struct error *err);

/*
 * Converts and validates one value that is there; gives its stored form.
 *
 * shown    may be NULL; receives the form for expressions
 * Errors   ERR_INVALID  texts of 1.5.3, without the name of the input
 */
const struct value *input_convert(const struct flow_input *input,
                                  const struct value *choices,
                                  const struct value *value,
                                  const struct inputs_request *request,
                                  struct arena *arena,
                                  const struct value **shown,
                                  struct error *err);

/*
 * Renders and converts the outputs of a flow.
 *
 * request  `inputs` are the flow's outputs; `supplied` is not used
 * Errors   ERR_INVALID      an output does not render or convert; names it
 *          ERR_UNAVAILABLE  as inputs_resolve()
 */
const struct value *outputs_resolve(const struct inputs_request *request,
                                    struct arena *arena,
                                    struct error *err);

/* Name as in a flow, "STRING"; "" for INPUT_NONE. */
const char *input_type_name(enum input_type type);
/* Is "" a value of this type, rather than none? */
bool input_type_keeps_empty(enum input_type type);
/* False when unknown; upper case only. */
bool input_type_parse(const char *name, enum input_type *out);
/* May be an element of ARRAY and MULTISELECT? */
bool input_type_is_item(enum input_type type);

/*
 * Inputs as they stand in a document (Pause.onResume, Approval.inputs), read without checks: what
 * has no known type is left out. FORM members are flattened. *count receives their number.
 */
struct flow_input *inputs_of(struct arena *arena, const struct value *list, size_t *count);

/* ---- checks ---- */

struct check_result {
    const struct flow_check *check; /* failed, or could not be evaluated */
    const char *message;
    const char *style;
    enum check_behavior behavior;
};

struct checks_result {
    struct check_result *failed;
    size_t count;
    bool is_blocked; /* the request is refused */
    bool is_failed;  /* the execution is created FAILED; false when blocked */
};

/*
 * Evaluates the checks of a flow; the context of env holds the resolved `inputs`.
 *
 * Errors   ERR_UNAVAILABLE  as inputs_resolve()
 */
bool checks_evaluate(const struct flow *flow,
                     struct expr_env *env,
                     struct arena *arena,
                     struct checks_result *out,
                     struct error *err);

/* Text of the refusal (1.11), with the messages of the failed blocking checks. */
const char *checks_refusal(const struct checks_result *result, struct arena *arena);

#endif
