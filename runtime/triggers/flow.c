/* SPDX-License-Identifier: Apache-2.0 */
/* Flow: properties and their rules (flow-language.md 5.9, 5.10); the driver observes. */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "core/diag.h"
#include "core/plugin.h"
#include "core/value.h"
#include "core/words.h"
#include "runtime/triggers/time_window.h"
#include "runtime/triggers/triggers.h"

static const char *const operand_words[] = { "AND", "OR", NULL };
static const char *const field_words[] = { "FLOW_ID", "NAMESPACE", "STATE", "EXPRESSION", NULL };
static const char *const mode_words[] = { "ALL", "ANY", "AT_LEAST", NULL };
static const char *const miss_words[] = { "FAIL", NULL };

enum filter_type {
    FILTER_EQUAL_TO,
    FILTER_NOT_EQUAL_TO,
    FILTER_IN,
    FILTER_NOT_IN,
    FILTER_IS_TRUE,
    FILTER_IS_FALSE,
    FILTER_IS_NULL,
    FILTER_IS_NOT_NULL,
    FILTER_STARTS_WITH,
    FILTER_ENDS_WITH,
    FILTER_REGEX,
    FILTER_CONTAINS,
};

static const char *const filter_words[] = {
    [FILTER_EQUAL_TO] = "EQUAL_TO",
    [FILTER_NOT_EQUAL_TO] = "NOT_EQUAL_TO",
    [FILTER_IN] = "IN",
    [FILTER_NOT_IN] = "NOT_IN",
    [FILTER_IS_TRUE] = "IS_TRUE",
    [FILTER_IS_FALSE] = "IS_FALSE",
    [FILTER_IS_NULL] = "IS_NULL",
    [FILTER_IS_NOT_NULL] = "IS_NOT_NULL",
    [FILTER_STARTS_WITH] = "STARTS_WITH",
    [FILTER_ENDS_WITH] = "ENDS_WITH",
    [FILTER_REGEX] = "REGEX",
    [FILTER_CONTAINS] = "CONTAINS",
    NULL,
};

#define WANTS_VALUE                                                                                \
    (BIT(FILTER_EQUAL_TO) | BIT(FILTER_NOT_EQUAL_TO) | BIT(FILTER_STARTS_WITH) |                   \
     BIT(FILTER_ENDS_WITH) | BIT(FILTER_REGEX) | BIT(FILTER_CONTAINS))
#define WANTS_VALUES (BIT(FILTER_IN) | BIT(FILTER_NOT_IN))

static const struct prop filter_props[] = {
    { "field", .kind = PROP_ENUM, .words = field_words, .flags = PROP_REQUIRED,
      .doc = "What is compared." },
    { "type", .kind = PROP_ENUM, .words = filter_words, .flags = PROP_REQUIRED, .doc = "How." },
    { "value", .kind = PROP_ANY, .flags = PROP_RAW,
      .doc = "With what; the expression of EXPRESSION." },
    { "values", .kind = PROP_LIST, .item = PROP_ANY, .doc = "With which, for IN and NOT_IN." },
    { 0 },
};

static const struct prop where_props[] = {
    { "id", .kind = PROP_STRING, .flags = PROP_REQUIRED, .doc = "Name of the condition." },
    { "operand", .kind = PROP_ENUM, .words = operand_words, .fallback = "AND",
      .doc = "All filters or any of them." },
    { "filters", .kind = PROP_OBJECTS, .object = filter_props,
      .flags = PROP_REQUIRED | PROP_NOT_EMPTY, .doc = "Filters on one execution." },
    { 0 },
};

static const struct prop upstream_props[] = {
    { "namespace", .kind = PROP_STRING, .flags = PROP_REQUIRED, .doc = "Namespace of the flow." },
    { "flowId", .kind = PROP_STRING, .doc = "Its id; any flow of the namespace by default." },
    { "states", .kind = PROP_LIST, .item = PROP_ENUM, .words = words_state,
      .doc = "States that count." },
    { "labels", .kind = PROP_LABELS, .doc = "Labels that the execution must have." },
    { 0 },
};

static const struct prop precondition_props[] = {
    { "id", .kind = PROP_STRING, .flags = PROP_REQUIRED, .doc = "Name, unique in the flow." },
    { "timeWindow", .kind = PROP_OBJECT, .object = time_window_props,
      .doc = "Within which time all must have been met; one day by default." },
    { "resetOnSuccess", .kind = PROP_BOOL, .fallback = "true",
      .doc = "Whether all must be met again after it fired." },
    { "flows", .kind = PROP_OBJECTS, .object = upstream_props,
      .doc = "Executions to wait for, one condition each." },
    { "where", .kind = PROP_OBJECTS, .object = where_props, .doc = "Conditions made of filters." },
    { 0 },
};

static const struct prop depends_props[] = {
    { "namespace", .kind = PROP_STRING, .doc = "Namespace of the flow; any by default." },
    { "flowId", .kind = PROP_STRING, .doc = "Its id; any by default." },
    { "states", .kind = PROP_LIST, .item = PROP_ENUM, .words = words_state,
      .doc = "States that count." },
    { "labels", .kind = PROP_LABELS, .doc = "Labels that the execution must have." },
    { "when", .kind = PROP_STRING, .flags = PROP_RAW, .fallback = "true",
      .doc = "Expression over the observed execution." },
    { 0 },
};

static const struct prop window_props[] = {
    { "deadline", .kind = PROP_STRING, .doc = "Time of day by which all must have been met." },
    { "from", .kind = PROP_STRING, .doc = "Begin of a span of each day." },
    { "to", .kind = PROP_STRING, .doc = "Its end." },
    { "every", .kind = PROP_DURATION, .min = USEC_SEC, .max = 366 * USEC_DAY,
      .doc = "Length of fixed windows." },
    { "offset", .kind = PROP_DURATION, .doc = "By how much they are shifted." },
    { "lookback", .kind = PROP_DURATION, .min = USEC_SEC, .max = 366 * USEC_DAY,
      .doc = "A window that slides, from the first match on." },
    { "timezone", .kind = PROP_STRING, .doc = "Zone of the times of day." },
    { "fireOnce", .kind = PROP_BOOL, .fallback = "false", .doc = "Begin again after it fired." },
    { 0 },
};

static const struct prop miss_props[] = {
    { "behavior", .kind = PROP_ENUM, .words = miss_words,
      .doc = "FAIL creates a FAILED execution." },
    { "labels", .kind = PROP_LABELS, .doc = "Its labels." },
    { 0 },
};

static const struct prop props[] = {
    { "states", .kind = PROP_LIST, .item = PROP_ENUM, .words = words_state,
      .doc =
          "States of the observed execution that count; by default every final one and PAUSED." },
    { "preconditions", .kind = PROP_OBJECT, .object = precondition_props,
      .doc = "Several executions that must each have happened within a time." },
    { "dependsOn", .kind = PROP_OBJECTS, .object = depends_props,
      .doc = "Executions to wait for; newer form of `preconditions`." },
    { "window", .kind = PROP_OBJECT, .object = window_props,
      .doc = "Time within which `dependsOn` must be met." },
    { "mode", .kind = PROP_ENUM, .words = mode_words, .fallback = "ALL",
      .doc = "How many of `dependsOn`." },
    { "minSatisfied", .kind = PROP_INT, .min = 1, .max = 1000000,
      .doc = "How many, with AT_LEAST." },
    { "onMiss", .kind = PROP_OBJECT, .object = miss_props,
      .doc = "What happens when a deadline passes." },
    { 0 },
};

static void check_filter(const struct value *filter, const char *path, struct diag_list *findings)
{
    const char *type = value_get_text(filter, "type", "");
    int at = words_find(filter_words, type);
    if (at < 0)
        return;
    const char *missing = NULL;
    if ((WANTS_VALUE & BIT(at)) != 0 && value_is_null(value_get(filter, "value")))
        missing = "value";
    if ((WANTS_VALUES & BIT(at)) != 0 && value_is_null(value_get(filter, "values")))
        missing = "values";
    if (missing != NULL)
        (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "filter-value", filter, path,
                       "`%s` cannot be null for type %s", missing, type);
    const char *extra = NULL;
    if ((WANTS_VALUES & BIT(at)) == 0 && !value_is_null(value_get(filter, "values")))
        extra = "values";
    if ((WANTS_VALUES & BIT(at)) != 0 && !value_is_null(value_get(filter, "value")))
        extra = "value";
    if (extra != NULL)
        (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "filter-value", filter, path,
                       "`%s` must be null for type %s", extra, type);
}

static void check_depends(const struct value *map, const char *path, struct diag_list *findings)
{
    size_t count = value_count(value_get(map, "dependsOn"));
    const char *mode = value_get_text(map, "mode", "ALL");
    int64_t wanted = value_get_int(map, "minSatisfied", 0);
    depends_window_check(value_get(map, "window"), arena_printf(findings->arena, "%s.window", path),
                         findings);
    if (strcmp(mode, "AT_LEAST") == 0 && (wanted < 1 || wanted > (int64_t)count))
        (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "min-satisfied", map,
                       arena_printf(findings->arena, "%s.minSatisfied", path),
                       "mode AT_LEAST needs a number from 1 to that of `dependsOn`, %zu", count);
}

static void check(const struct flow *flow,
                  const struct value *map,
                  const char *path,
                  struct diag_list *findings)
{
    (void)flow;
    const struct value *preconditions = value_get(map, "preconditions");
    const char *below = arena_printf(findings->arena, "%s.preconditions", path);
    time_window_check(value_get(preconditions, "timeWindow"), below, findings);
    const struct value *where = value_get(preconditions, "where");
    for (size_t i = 0; i < value_count(where); i++) {
        const struct value *filters = value_get(value_item(where, i), "filters");
        for (size_t k = 0; k < value_count(filters); k++)
            check_filter(value_item(filters, k),
                         arena_printf(findings->arena, "%s.where[%zu].filters[%zu]", below, i, k),
                         findings);
    }
    check_depends(map, path, findings);
    bool is_open = value_count(value_get(map, "conditions")) == 0 && preconditions == NULL &&
                   value_get(map, "dependsOn") == NULL;
    if (is_open)
        (void)diag_add(findings, DIAG_WARNING, DIAG_RULE, "flow-trigger-open", map, path,
                       "this Flow trigger has no conditions: it fires for every execution of every "
                       "other flow");
}

static const struct plugin_output outputs[] = {
    { "executionId", "string", "Id of the observed execution." },
    { "executionLabels", "map", "Its labels." },
    { "namespace", "string", "Its namespace." },
    { "flowId", "string", "Its flow." },
    { "flowRevision", "integer", "Its revision." },
    { "state", "string", "Its state." },
    { "outputs", "map", "Outputs of its flow." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.models.triggers.types.Flow", NULL };

static const struct plugin_example examples[] = {
    { "After another flow has succeeded", "preconditions:\n"
                                          "  id: loaded\n"
                                          "  flows:\n"
                                          "    - namespace: company.team\n"
                                          "      flowId: nightly\n"
                                          "      states: [SUCCESS]\n" },
    { 0 },
};

const struct plugin trigger_flow = {
    .id = "io.kestra.plugin.core.trigger.Flow",
    .role = PLUGIN_TRIGGER,
    .trigger_kind = TRIGGER_FLOW,
    .title = "Start a flow when executions of other flows change state.",
    .aliases = aliases,
    .props = props,
    .outputs = outputs,
    .examples = examples,
    .check = check,
};
