/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of the flow document besides tasks and triggers (flow-language.md 1). */
#include "core/flow_internal.h"
#include "core/ident.h"
#include "core/words.h"

static const char *const concurrency_words[] = { "QUEUE", "CANCEL", "FAIL", NULL };
static const char *const sla_type_words[] = { "MAX_DURATION", "EXECUTION_ASSERTION", NULL };
static const char *const sla_behavior_words[] = { "FAIL", "CANCEL", "NONE", NULL };
static const char *const check_style_words[] = { "ERROR", "SUCCESS", "WARNING", "INFO", NULL };
static const char *const check_behavior_words[] = { "BLOCK_EXECUTION", "FAIL_EXECUTION",
                                                    "CREATE_EXECUTION", NULL };

static const struct prop concurrency_props[] = {
    { "limit", .kind = PROP_INT, .flags = PROP_REQUIRED, .min = 1, .max = INT32_MAX,
      .doc = "Executions of the flow that may run at the same time." },
    { "behavior", .kind = PROP_ENUM, .words = concurrency_words, .fallback = "QUEUE",
      .doc = "What happens to an execution beyond the limit." },
    { 0 },
};

static const struct prop sla_props[] = {
    { "id", .kind = PROP_STRING, .flags = PROP_REQUIRED | PROP_NOT_EMPTY, .doc = "Its name." },
    { "type", .kind = PROP_ENUM, .flags = PROP_REQUIRED, .words = sla_type_words,
      .doc = "A longest duration, or a condition that must stay true." },
    { "duration", .kind = PROP_DURATION,
      .doc = "Of `MAX_DURATION`: how long an execution may take." },
    { "assert", .kind = PROP_STRING, .flags = PROP_EXPR,
      .doc = "Of `EXECUTION_ASSERTION`: what must render to something true." },
    { "behavior", .kind = PROP_ENUM, .flags = PROP_REQUIRED, .words = sla_behavior_words,
      .doc = "What happens to an execution that breaks it." },
    { "labels", .kind = PROP_LABELS, .flags = PROP_EXPR,
      .doc = "Labels that an execution gets when it breaks it." },
    { 0 },
};

static const struct prop check_props[] = {
    { "condition", .kind = PROP_STRING, .flags = PROP_EXPR,
      .doc = "Passes when it renders to the boolean true." },
    { "when", .kind = PROP_STRING, .flags = PROP_EXPR, .doc = "Newer spelling of `condition`." },
    { "message", .kind = PROP_STRING, .flags = PROP_REQUIRED,
      .doc = "What the requester reads when it does not pass." },
    { "style", .kind = PROP_ENUM, .words = check_style_words, .fallback = "INFO",
      .doc = "How the message is shown." },
    { "behavior", .kind = PROP_ENUM, .words = check_behavior_words, .fallback = "BLOCK_EXECUTION",
      .doc = "What happens when it does not pass." },
    { 0 },
};

const struct prop plugin_default_props[] = {
    { "type", .kind = PROP_STRING, .flags = PROP_REQUIRED | PROP_NOT_EMPTY,
      .doc = "Type, or the beginning of type names." },
    { "values", .kind = PROP_MAP, .item = PROP_ANY, .flags = PROP_REQUIRED,
      .doc = "Properties to fill in." },
    { "forced", .kind = PROP_BOOL, .fallback = "false",
      .doc = "The values here win over those of the task." },
    { "ref", .kind = PROP_STRING, .doc = "Name for `pluginDefaultsRef`." },
    { 0 },
};

const struct prop listener_props[] = {
    { "description", .kind = PROP_STRING, .doc = "Markdown for people." },
    { "conditions", .kind = PROP_CONDITIONS,
      .doc = "What must hold, all of it, when an execution ends." },
    { "tasks", .kind = PROP_TASKS, .flags = PROP_REQUIRED | PROP_NOT_EMPTY,
      .doc = "Tasks to run then." },
    { 0 },
};

const struct prop flow_props[] = {
    { "id", .kind = PROP_STRING, .flags = PROP_REQUIRED, .min = 1, .max = IDENT_FLOW_MAX,
      .pattern = IDENT_FLOW, .doc = "Name of the flow, unique in its namespace." },
    { "namespace", .kind = PROP_STRING, .flags = PROP_REQUIRED, .min = 1,
      .max = IDENT_NAMESPACE_MAX, .pattern = IDENT_NAMESPACE,
      .doc = "Dotted path that groups flows, files and keys." },
    { "tenantId", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { "revision", .kind = PROP_INT, .min = 1, .max = INT32_MAX,
      .doc = "Only a hint; weir counts revisions itself." },
    { "description", .kind = PROP_STRING, .doc = "Markdown for people." },
    { "labels", .kind = PROP_LABELS, .doc = "Labels that every execution gets." },
    { "inputs", .kind = PROP_INPUTS, .doc = "What an execution is started with." },
    { "variables", .kind = PROP_MAP, .item = PROP_ANY,
      .doc = "Values for expressions: `{{ vars.name }}`. Not rendered themselves." },
    { "tasks", .kind = PROP_TASKS, .flags = PROP_REQUIRED | PROP_NOT_EMPTY,
      .doc = "What the flow does, one after the other." },
    { "errors", .kind = PROP_TASKS, .doc = "Tasks that run when a task failed." },
    { "finally", .kind = PROP_TASKS,
      .doc = "Tasks that run at the end, whether a task failed or not." },
    { "afterExecution", .kind = PROP_TASKS, .doc = "Tasks that run after the final state." },
    { "listeners", .kind = PROP_OBJECTS, .object = listener_props, .flags = PROP_DEPRECATED,
      .doc = "Tasks that run after the end under conditions; use `afterExecution`." },
    { "triggers", .kind = PROP_TRIGGERS, .doc = "What starts the flow." },
    { "outputs", .kind = PROP_OUTPUTS, .doc = "What an execution gives to whoever started it." },
    { "concurrency", .kind = PROP_OBJECT, .object = concurrency_props,
      .doc = "How many executions may run at the same time." },
    { "retry", .kind = PROP_OBJECT, .object = retry_props,
      .doc = "Repeat failed tasks that have no retry of their own." },
    { "sla", .kind = PROP_OBJECTS, .object = sla_props, .doc = "What every execution must keep." },
    { "checks", .kind = PROP_OBJECTS, .object = check_props,
      .doc = "What must hold for somebody to start the flow." },
    { "pluginDefaults", .kind = PROP_OBJECTS, .object = plugin_default_props,
      .alias = "taskDefaults",
      .doc = "Properties filled in wherever a type is used in this flow." },
    { "disabled", .kind = PROP_BOOL, .fallback = "false",
      .doc = "Nothing starts the flow, its triggers do not fire." },
    { "deleted", .kind = PROP_BOOL, .flags = PROP_INTERNAL },
    { "updated", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { "workerGroup", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { "workerSelector", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { "policyRefs", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { 0 },
};

/* ---- inputs and outputs ---- */

const char *const input_type_words[] = {
    [INPUT_STRING] = "STRING",     [INPUT_EMAIL] = "EMAIL",   [INPUT_INT] = "INT",
    [INPUT_FLOAT] = "FLOAT",       [INPUT_BOOL] = "BOOL",     [INPUT_BOOLEAN] = "BOOLEAN",
    [INPUT_DATETIME] = "DATETIME", [INPUT_DATE] = "DATE",     [INPUT_TIME] = "TIME",
    [INPUT_DURATION] = "DURATION", [INPUT_FILE] = "FILE",     [INPUT_JSON] = "JSON",
    [INPUT_YAML] = "YAML",         [INPUT_URI] = "URI",       [INPUT_SECRET] = "SECRET",
    [INPUT_ENUM] = "ENUM",         [INPUT_SELECT] = "SELECT", [INPUT_MULTISELECT] = "MULTISELECT",
    [INPUT_ARRAY] = "ARRAY",       [INPUT_FORM] = "FORM",     [INPUT_NONE] = NULL,
};

static const struct prop depends_on_props[] = {
    { "inputs", .kind = PROP_LIST, .item = PROP_STRING, .flags = PROP_REQUIRED | PROP_NOT_EMPTY,
      .doc = "Inputs that must have a value." },
    { "condition", .kind = PROP_STRING, .flags = PROP_EXPR,
      .doc = "What must render to the boolean true." },
    { 0 },
};

const struct prop input_common_props[] = {
    { "id", .kind = PROP_STRING, .alias = "name", .flags = PROP_REQUIRED, .pattern = IDENT_INPUT,
      .doc = "Name; `db.host` is read as `{{ inputs.db.host }}`." },
    { "type", .kind = PROP_ENUM, .flags = PROP_REQUIRED, .words = input_type_words,
      .doc = "Kind of value." },
    { "description", .kind = PROP_STRING, .doc = "Markdown for people." },
    { "displayName", .kind = PROP_STRING, .doc = "Label of the field in a form." },
    { "required", .kind = PROP_BOOL, .fallback = "true",
      .doc = "Refuse to start without a value." },
    { "defaults", .kind = PROP_ANY, .flags = PROP_EXPR, .doc = "Value when none is given." },
    { "prefill", .kind = PROP_ANY, .flags = PROP_EXPR,
      .doc = "What a form shows at first; never used by itself." },
    { "dependsOn", .kind = PROP_OBJECT, .object = depends_on_props,
      .doc = "Inputs and a condition without which this input is not asked for." },
    { 0 },
};

static const struct prop text_props[] = {
    { "validator", .kind = PROP_STRING, .doc = "Regular expression that the whole text matches." },
    { 0 },
};

static const struct prop int_props[] = {
    { "min", .kind = PROP_INT, .doc = "Least value." },
    { "max", .kind = PROP_INT, .doc = "Greatest value." },
    { 0 },
};

static const struct prop float_props[] = {
    { "min", .kind = PROP_DOUBLE, .doc = "Least value." },
    { "max", .kind = PROP_DOUBLE, .doc = "Greatest value." },
    { 0 },
};

static const struct prop datetime_props[] = {
    { "after", .kind = PROP_INSTANT, .doc = "Earliest instant." },
    { "before", .kind = PROP_INSTANT, .doc = "Latest instant." },
    { 0 },
};

static const struct prop date_props[] = {
    { "after", .kind = PROP_STRING, .doc = "Earliest value." },
    { "before", .kind = PROP_STRING, .doc = "Latest value." },
    { 0 },
};

static const struct prop duration_props[] = {
    { "min", .kind = PROP_DURATION, .doc = "Shortest." },
    { "max", .kind = PROP_DURATION, .doc = "Longest." },
    { 0 },
};

static const struct prop file_props[] = {
    { "extension", .kind = PROP_STRING, .flags = PROP_DEPRECATED, .fallback = ".upl",
      .doc = "Extension of the stored file; use `allowedFileExtensions`." },
    { "allowedFileExtensions", .kind = PROP_LIST, .item = PROP_STRING,
      .doc = "Extensions that are taken, each with its point: `.csv`." },
    { "accept", .kind = PROP_LIST, .item = PROP_STRING, .flags = PROP_INTERNAL },
    { 0 },
};

static const struct prop json_props[] = {
    { "jsonSchema", .kind = PROP_ANY, .doc = "JSON Schema, for forms." },
    { 0 },
};

static const struct prop enum_props[] = {
    { "values", .kind = PROP_LIST, .item = PROP_STRING, .flags = PROP_REQUIRED | PROP_NOT_EMPTY,
      .doc = "What can be chosen." },
    { 0 },
};

static const struct prop select_props[] = {
    { "values", .kind = PROP_LIST, .item = PROP_STRING, .doc = "What can be chosen." },
    { "expression", .kind = PROP_STRING, .flags = PROP_EXPR,
      .doc = "Renders to a JSON list of what can be chosen." },
    { "allowCustomValue", .kind = PROP_BOOL, .fallback = "false", .doc = "Take other values too." },
    { "isRadio", .kind = PROP_BOOL, .fallback = "false", .doc = "Show radio buttons." },
    { "autoSelectFirst", .kind = PROP_BOOL, .fallback = "false",
      .doc = "Without a default, take the first value." },
    { 0 },
};

static const struct prop multiselect_props[] = {
    { "values", .kind = PROP_LIST, .item = PROP_STRING, .alias = "options",
      .doc = "What can be chosen." },
    { "expression", .kind = PROP_STRING, .flags = PROP_EXPR,
      .doc = "Renders to a JSON list of what can be chosen." },
    { "itemType", .kind = PROP_ENUM, .words = input_type_words, .fallback = "STRING",
      .doc = "Kind of each value." },
    { "allowCustomValue", .kind = PROP_BOOL, .fallback = "false", .doc = "Take other values too." },
    { "autoSelectFirst", .kind = PROP_BOOL, .fallback = "false",
      .doc = "Without a default, take the first value." },
    { 0 },
};

static const struct prop array_props[] = {
    { "itemType", .kind = PROP_ENUM, .flags = PROP_REQUIRED, .words = input_type_words,
      .doc = "Kind of each element." },
    { 0 },
};

static const struct prop form_props[] = {
    { "inputs", .kind = PROP_INPUTS, .flags = PROP_REQUIRED | PROP_NOT_EMPTY,
      .doc = "Inputs of the group, read as `{{ inputs.form.member }}`." },
    { 0 },
};

static const struct prop no_props[] = { { 0 } };

const struct prop *input_type_props(enum input_type type)
{
    switch (type) {
    case INPUT_STRING:
    case INPUT_SECRET:
        return text_props;
    case INPUT_INT:
        return int_props;
    case INPUT_FLOAT:
        return float_props;
    case INPUT_DATETIME:
        return datetime_props;
    case INPUT_DATE:
    case INPUT_TIME:
        return date_props;
    case INPUT_DURATION:
        return duration_props;
    case INPUT_FILE:
        return file_props;
    case INPUT_JSON:
        return json_props;
    case INPUT_ENUM:
        return enum_props;
    case INPUT_SELECT:
        return select_props;
    case INPUT_MULTISELECT:
        return multiselect_props;
    case INPUT_ARRAY:
        return array_props;
    case INPUT_FORM:
        return form_props;
    case INPUT_EMAIL:
    case INPUT_BOOL:
    case INPUT_BOOLEAN:
    case INPUT_YAML:
    case INPUT_URI:
    case INPUT_NONE:
        break;
    }
    return no_props;
}

const struct prop output_props[] = {
    { "id", .kind = PROP_STRING, .flags = PROP_REQUIRED, .pattern = IDENT_INPUT,
      .doc = "Name of the output." },
    { "type", .kind = PROP_ENUM, .words = input_type_words,
      .doc = "Kind of value; kept as it is when absent." },
    { "value", .kind = PROP_ANY, .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Rendered when the execution ends." },
    { "itemType", .kind = PROP_ENUM, .words = input_type_words, .doc = "Of `ARRAY`." },
    { "description", .kind = PROP_STRING, .doc = "Markdown for people." },
    { "displayName", .kind = PROP_STRING, .doc = "Label for people." },
    { "required", .kind = PROP_BOOL, .doc = "Fail when there is no value; true when absent." },
    { 0 },
};
