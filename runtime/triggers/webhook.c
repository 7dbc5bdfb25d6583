/* SPDX-License-Identifier: Apache-2.0 */
/* Webhook: properties and their rules (flow-language.md 5.6); the API answers the calls. */
#include <string.h>

#include "base/arena.h"
#include "core/diag.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/triggers/triggers.h"

static const char *const content_types[] = { "application/json", "text/plain", NULL };

static const struct prop props[] = {
    { "key", .kind = PROP_STRING, .flags = PROP_REQUIRED | PROP_EXPR | PROP_SECRET, .max = 256,
      .doc = "Last part of the URL; whoever knows it may call. Usually `{{ secret('NAME') }}`." },
    { "wait", .kind = PROP_BOOL, .fallback = "false",
      .doc = "Answer when the execution has ended." },
    { "returnOutputs", .kind = PROP_BOOL, .fallback = "false",
      .doc = "With `wait`: the answer is the outputs of the flow." },
    { "responseContentType", .kind = PROP_ENUM, .words = content_types,
      .fallback = "application/json", .doc = "With `returnOutputs`: form of the answer." },
    { "responseCode", .kind = PROP_INT, .flags = PROP_EXPR,
      .doc = "With `wait`: status of the answer; 200, or 500 when the execution failed." },
    { 0 },
};

static void check(const struct flow *flow,
                  const struct value *map,
                  const char *path,
                  struct diag_list *findings)
{
    (void)flow;
    const struct value *conditions = value_get(map, "conditions");
    for (size_t i = 0; i < value_count(conditions); i++) {
        const struct value *condition = value_item(conditions, i);
        const char *type = value_get_text(condition, "type", "");
        const char *last = strrchr(type, '.');
        if (last == NULL || strcmp(last, ".MultipleCondition") != 0)
            continue;
        (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "webhook-condition", condition,
                       arena_printf(findings->arena, "%s.conditions[%zu]", path, i),
                       "invalid webhook: conditions of type MultipleCondition are not supported");
    }
}

static const struct plugin_output outputs[] = {
    { "body", "any", "Parsed JSON object or list, otherwise the text; absent when empty." },
    { "headers", "map", "Header name to list of values." },
    { "parameters", "map", "Query parameter to list of values." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.models.triggers.types.Webhook", NULL };

static const struct plugin_example examples[] = {
    { "A call starts the flow and its body becomes an input", "key: \"{{ secret('SHOP_KEY') }}\"\n"
                                                              "inputs:\n"
                                                              "  order: \"{{ trigger.body }}\"\n" },
    { 0 },
};

const struct plugin trigger_webhook = {
    .id = "io.kestra.plugin.core.trigger.Webhook",
    .role = PLUGIN_TRIGGER,
    .trigger_kind = TRIGGER_WEBHOOK,
    .title = "Start a flow when a URL is called.",
    .doc = "`GET`, `POST` or `PUT` of `/api/v1/main/executions/webhook/{namespace}/{flow}/{key}`.",
    .aliases = aliases,
    .props = props,
    .outputs = outputs,
    .examples = examples,
    .check = check,
};
