/* SPDX-License-Identifier: Apache-2.0 */
/* Triggers of a flow (flow-language.md 5). */
#include "base/arena.h"
#include "core/flow_internal.h"

/* `conditions`, and what the older `scheduleConditions` adds to them; NULL none. */
static const struct value *conditions_of(struct arena *arena, const struct value *doc)
{
    const struct value *conditions = value_get(doc, "conditions");
    const struct value *more = value_get(doc, "scheduleConditions");
    if (!value_is_list(more))
        return value_is_list(conditions) ? conditions : NULL;
    if (!value_is_list(conditions))
        return more;
    struct value_builder both = value_build(arena);
    for (size_t i = 0; i < conditions->list.count; i++)
        value_add(&both, conditions->list.items[i]);
    for (size_t i = 0; i < more->list.count; i++)
        value_add(&both, more->list.items[i]);
    return value_build_list(&both);
}

static const struct value *if_kind(const struct value *value, bool fits)
{
    return fits ? value : NULL;
}

static void parse_trigger(struct flow_parser *parser,
                          struct trigger *trigger,
                          const struct value *map,
                          const struct doc_path *path)
{
    const char *id = prop_text(parser->arena, value_get(map, "id"));
    const char *type = prop_text(parser->arena, value_get(map, "type"));
    const struct value *inputs = value_get(map, "inputs");
    const struct value *labels = value_get(map, "labels");
    const struct value *stop_after = value_get(map, "stopAfter");
    *trigger = (struct trigger){
        .id = id == NULL ? "" : id,
        .type_name = type == NULL ? "" : type,
        .doc = map,
        .path = doc_path_text(parser->arena, path),
        .line = map->line,
        .disabled = value_get_bool(map, "disabled", false),
        .allow_concurrent = value_get_bool(map, "allowConcurrent", false),
        .fail_on_trigger_error = value_get_bool(map, "failOnTriggerError", false),
        .when = prop_text(parser->arena, value_get(map, "when")),
        .conditions = conditions_of(parser->arena, map),
        .inputs = if_kind(inputs, value_is_map(inputs)),
        .labels = if_kind(labels, !value_is_null(labels)),
        .stop_after = if_kind(stop_after, value_is_list(stop_after)),
    };
    trigger->type = check_type(&parser->scope, PLUGIN_TRIGGER, map, path);
    if (trigger->type != NULL)
        check_properties(&parser->scope, trigger->type, map, path);
}

void flow_parse_triggers(struct flow_parser *parser)
{
    const struct value *list = value_get(parser->doc, "triggers");
    if (!value_is_list(list))
        return;
    struct flow *flow = parser->flow;
    struct doc_path path = { .key = "triggers" };
    size_t count = list->list.count;
    if (count > FLOW_TRIGGERS_MAX) {
        flow_too_many(parser, list, &path, "triggers", FLOW_TRIGGERS_MAX);
        count = FLOW_TRIGGERS_MAX;
    }
    flow->triggers = ARENA_ARRAY(parser->arena, count, struct trigger);
    for (size_t i = 0; i < count; i++) {
        struct doc_path at = { .parent = &path, .index = i };
        if (value_is_map(list->list.items[i]))
            parse_trigger(parser, &flow->triggers[flow->triggers_count++], list->list.items[i],
                          &at);
    }
}
