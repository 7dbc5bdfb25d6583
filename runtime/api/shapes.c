/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/api/shapes.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/redact.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/flow.h"
#include "core/json.h"
#include "core/value.h"
#include "runtime/store/logstore.h"
#include "runtime/store/store.h"

void put_time(struct value_builder *map, const char *key, usec_t at)
{
    if (at != 0 && at != USEC_NEVER)
        value_put_text(map, key, time_format_instant(map->arena, at));
}

const struct value *shape_labels(struct arena *arena, const struct label *labels, size_t count)
{
    struct value_builder list = value_build(arena);
    for (size_t i = 0; i < count; i++) {
        struct value_builder item = value_build(arena);
        value_put_text(&item, "key", labels[i].key);
        value_put_text(&item, "value", labels[i].value);
        value_add(&list, value_build_map(&item));
    }
    return value_build_list(&list);
}

/* Members of a JSON text that was stored; NULL when absent. */
static void put_json(struct value_builder *map, const char *key, const char *text)
{
    if (text == NULL)
        return;
    const struct value *value = json_parse(map->arena, text, strlen(text), NULL);
    if (value != NULL)
        value_put(map, key, value);
}

/* All members of a map. */
static void put_all(struct value_builder *map, const struct value *from)
{
    for (uint32_t i = 0; from->kind == VALUE_MAP && i < from->map.count; i++)
        value_put_n(map, from->map.members[i].key, from->map.members[i].key_length,
                    from->map.members[i].value);
}

/* ---- executions ---- */

const char *shape_execution_url(struct arena *arena,
                                const struct api_config *config,
                                const char *namespace,
                                const char *flow_id,
                                const char *execution_id)
{
    const char *base = config->public_url == NULL ? "" : config->public_url;
    size_t length = strlen(base);
    while (length > 0 && base[length - 1] == '/')
        length--;
    return arena_printf(arena, "%.*s/ui/%s/executions/%s/%s/%s", (int)length, base, config->tenant,
                        namespace, flow_id, execution_id);
}

/* The value itself where no text in it holds a secret, else a masked copy. */
static const struct value *masked(struct redact *masks,
                                  struct arena *arena,
                                  const struct value *value)
{
    if (value_is_string(value)) {
        struct buf text = { 0 };
        if (redact_apply(masks, value->string.bytes, value->string.length, &text))
            value = value_string_n(arena, text.bytes, text.length);
        buf_free(&text);
        return value;
    }
    if (!value_is_list(value) && !value_is_map(value))
        return value;
    bool is_map = value_is_map(value);
    struct value_builder copy = value_build(arena);
    bool changed = false;
    for (size_t i = 0; i < value_count(value); i++) {
        const struct value *old = is_map ? value->map.members[i].value : value->list.items[i];
        const struct value *item = masked(masks, arena, old);
        changed = changed || item != old;
        if (is_map)
            value_put_n(&copy, value->map.members[i].key, value->map.members[i].key_length, item);
        else
            value_add(&copy, item);
    }
    if (!changed)
        return value;
    return is_map ? value_build_map(&copy) : value_build_list(&copy);
}

/* Masks the named members of a map. */
static const struct value *mask_named(struct redact *masks,
                                      struct arena *arena,
                                      const struct value *map,
                                      const char *const *names)
{
    for (; *names != NULL; names++) {
        const struct value *old = value_get(map, *names);
        const struct value *shown = old == NULL ? NULL : masked(masks, arena, old);
        if (shown != old)
            map = value_with(arena, map, *names, shown);
    }
    return map;
}

/* Masks what flows put into an execution and its runs; ids, states and dates are weir's. */
static const struct value *mask_execution(struct redact *masks,
                                          struct arena *arena,
                                          const struct value *shape)
{
    static const char *const of_execution[] = { "inputs", "outputs", "variables", "trigger", NULL };
    static const char *const of_run[] = { "outputs", "value", "items", NULL };
    const struct value *runs = value_get(shape, "taskRunList");
    struct value_builder shown = value_build(arena);
    for (size_t i = 0; i < value_count(runs); i++)
        value_add(&shown, mask_named(masks, arena, value_item(runs, i), of_run));
    if (value_count(runs) > 0)
        shape = value_with(arena, shape, "taskRunList", value_build_list(&shown));
    return mask_named(masks, arena, shape, of_execution);
}

const struct value *shape_outputs(const struct api_config *config,
                                  struct arena *arena,
                                  const struct execution *execution)
{
    const struct value *outputs =
        execution->outputs != NULL ? execution->outputs : &value_empty_map;
    bool masks = config->masks != NULL && !redact_is_empty(config->masks);
    return masks ? masked(config->masks, arena, outputs) : outputs;
}

bool shape_execution(struct buf *out,
                     struct arena *scratch,
                     const struct api_config *config,
                     const struct execution_row *row,
                     const char *url,
                     struct error *err)
{
    struct execution *execution = execution_row_decode(row, NULL, err);
    if (execution == NULL)
        return false;
    struct value_builder map = value_build(scratch);
    execution_put(&map, execution);
    value_put_text(&map, "url", url);
    const struct value *shape = value_build_map(&map);
    if (config->masks != NULL && !redact_is_empty(config->masks))
        shape = mask_execution(config->masks, scratch, shape);
    value_write_json_full(out, shape);
    execution_free(execution);
    return true;
}

/* ---- logs and metrics ---- */

const struct value *shape_log_line(struct arena *arena, const struct log_line *line)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "tenantId", "main");
    value_put_text(&map, "namespace", line->source.namespace);
    value_put_text(&map, "flowId", line->source.flow_id);
    value_put_text(&map, "taskId", line->source.task_id);
    value_put_text(&map, "executionId", line->source.execution_id);
    value_put_text(&map, "taskRunId", line->source.run_id);
    // counted from 0, and the one member that is written when there is none
    if (line->source.attempt > 0)
        value_put_int(&map, "attemptNumber", (int64_t)line->source.attempt - 1);
    else
        value_put(&map, "attemptNumber", &value_null);
    value_put_text(&map, "triggerId", line->source.trigger_id);
    put_time(&map, "timestamp", line->at);
    value_put_text(&map, "level", log_level_name(line->level));
    value_put(&map, "message", value_string_n(arena, line->message, line->length));
    return value_build_map(&map);
}

const struct value *shape_metric(struct arena *arena, const struct metric_row *row)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "tenantId", "main");
    value_put_text(&map, "namespace", row->namespace);
    value_put_text(&map, "flowId", row->flow_id);
    value_put_text(&map, "taskId", row->task_id);
    value_put_text(&map, "executionId", row->execution_id.text);
    value_put_text(&map, "taskRunId", row->run_id);
    value_put_text(&map, "type", row->type);
    value_put_text(&map, "name", row->name);
    value_put(&map, "value", value_double(arena, row->value));
    put_time(&map, "timestamp", row->at);
    put_json(&map, "tags", row->tags);
    return value_build_map(&map);
}

/* ---- triggers ---- */

static const struct value *backfill_value(struct arena *arena, const struct backfill *backfill)
{
    struct value_builder map = value_build(arena);
    put_time(&map, "start", backfill->start);
    put_time(&map, "end", backfill->end);
    put_time(&map, "currentDate", backfill->current);
    value_put_bool(&map, "paused", backfill->paused);
    put_json(&map, "inputs", backfill->inputs);
    put_json(&map, "labels", backfill->labels);
    put_time(&map, "previousNextExecutionDate", backfill->previous_next);
    return value_build_map(&map);
}

const struct value *shape_trigger(struct arena *arena,
                                  const struct trigger_state *state,
                                  bool is_restart)
{
    usec_t date = state->date != 0 ? state->date : state->updated_at;
    struct value_builder map = value_build(arena);
    value_put_text(&map, "tenantId", "main");
    value_put_text(&map, "namespace", state->namespace);
    value_put_text(&map, "flowId", state->flow_id);
    value_put_text(&map, "triggerId", state->trigger_id);
    if (!is_restart)
        put_time(&map, "date", date);
    put_time(&map, "nextExecutionDate", state->next_at);
    if (state->backfill.start != 0)
        value_put(&map, "backfill", backfill_value(arena, &state->backfill));
    put_json(&map, "stopAfter", state->stop_after);
    value_put_bool(&map, "disabled", state->disabled || state->is_off);
    value_put_text(&map, "executionId", state->execution_id);
    put_time(&map, "updatedDate", state->updated_at);
    put_time(&map, "updatedAt", state->updated_at != 0 ? state->updated_at : date);
    put_time(&map, "evaluateRunningDate", state->evaluating_at);
    value_put_text(&map, "workerId", state->worker_id);
    value_put_bool(&map, "locked", state->execution_id != NULL || state->evaluating_at != 0);
    return value_build_map(&map);
}

/* ---- key-value entries ---- */

const struct value *shape_kv(struct arena *arena, const struct kv_row *row)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "namespace", row->namespace);
    value_put_text(&map, "key", row->key);
    value_put_int(&map, "version", row->revision);
    value_put_int(&map, "revision", row->revision);
    value_put_text(&map, "description", row->description);
    put_time(&map, "creationDate", row->created_at);
    put_time(&map, "updateDate", row->updated_at);
    put_time(&map, "expirationDate", row->expires_at);
    return value_build_map(&map);
}

/* ---- flows ---- */

/* What comes from the store rather than from the source. */
static void put_stored(struct value_builder *map,
                       const struct api_config *config,
                       const struct flow_row *row)
{
    value_put_int(map, "revision", row->revision);
    value_put_text(map, "tenantId", config->tenant);
    value_put_bool(map, "disabled", row->disabled);
    value_put_bool(map, "deleted", row->deleted);
    put_time(map, "updated", row->updated_at);
}

const struct value *shape_flow(struct arena *arena,
                               const struct api_config *config,
                               const struct flow_row *row,
                               const struct flow *flow,
                               const char *problem,
                               bool with_source)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "id", row->id);
    value_put_text(&map, "namespace", row->namespace);
    if (flow != NULL)
        put_all(&map, flow_to_value(flow, arena));
    else
        value_put_text(&map, "exception", problem == NULL ? "" : problem);
    put_stored(&map, config, row);
    if (with_source)
        value_put(&map, "source", value_string_n(arena, row->source, row->source_length));
    return value_build_map(&map);
}

/* Members of a task that a reader of executions sees; nested tasks too. */
static const struct value *reduced_task(struct arena *arena, const struct value *task)
{
    static const char *const kept[] = { "id", "type", "version", "inputs" };
    struct value_builder map = value_build(arena);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        const struct value *member = value_get(task, kept[i]);
        if (member != NULL)
            value_put(&map, kept[i], member);
    }
    const char *flow_id = value_get_text(task, "flowId", NULL);
    if (flow_id != NULL) {
        struct value_builder subflow = value_build(arena);
        value_put_text(&subflow, "namespace", value_get_text(task, "namespace", NULL));
        value_put_text(&subflow, "flowId", flow_id);
        const struct value *revision = value_get(task, "revision");
        if (revision != NULL)
            value_put(&subflow, "revision", revision);
        value_put(&map, "subflowId", value_build_map(&subflow));
    }
    static const char *const lists[] = { "tasks", "errors", "finally", "then", "else", "defaults" };
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        const struct value *tasks = value_get(task, lists[i]);
        if (!value_is_list(tasks))
            continue;
        struct value_builder list = value_build(arena);
        for (size_t j = 0; j < value_count(tasks); j++) {
            const struct value *item = value_item(tasks, j);
            const struct value *inner = value_get(item, "task"); // entries of a Dag
            value_add(&list, reduced_task(arena, inner != NULL ? inner : item));
        }
        value_put(&map, lists[i], value_build_list(&list));
    }
    return value_build_map(&map);
}

static const struct value *reduced_tasks(struct arena *arena, const struct value *tasks)
{
    struct value_builder list = value_build(arena);
    for (size_t i = 0; i < value_count(tasks); i++)
        value_add(&list, reduced_task(arena, value_item(tasks, i)));
    return value_build_list(&list);
}

static const struct value *reduced_triggers(struct arena *arena, const struct value *triggers)
{
    struct value_builder list = value_build(arena);
    for (size_t i = 0; i < value_count(triggers); i++) {
        const struct value *trigger = value_item(triggers, i);
        struct value_builder map = value_build(arena);
        value_put_text(&map, "id", value_get_text(trigger, "id", NULL));
        value_put_text(&map, "type", value_get_text(trigger, "type", NULL));
        value_put_text(&map, "version", value_get_text(trigger, "version", NULL));
        value_add(&list, value_build_map(&map));
    }
    return value_build_list(&list);
}

const struct value *shape_flow_reduced(struct arena *arena,
                                       const struct api_config *config,
                                       const struct flow_row *row,
                                       const struct flow *flow)
{
    static const char *const task_lists[] = { "tasks", "errors", "finally", "afterExecution" };
    struct value_builder map = value_build(arena);
    value_put_text(&map, "id", row->id);
    value_put_text(&map, "namespace", row->namespace);
    const struct value *whole = flow == NULL ? &value_empty_map : flow_to_value(flow, arena);
    for (uint32_t i = 0; i < whole->map.count; i++) {
        const char *key = whole->map.members[i].key;
        const struct value *value = whole->map.members[i].value;
        for (size_t j = 0; j < sizeof(task_lists) / sizeof(task_lists[0]); j++) {
            if (str_eq(key, task_lists[j]))
                value = reduced_tasks(arena, value);
        }
        if (str_eq(key, "triggers"))
            value = reduced_triggers(arena, value);
        value_put(&map, key, value);
    }
    put_stored(&map, config, row);
    return value_build_map(&map);
}
