/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON form of executions, as the API and expressions of other executions see them. */
#include <string.h>

#include "base/arena.h"
#include "base/timefmt.h"
#include "core/value.h"
#include "runtime/engine/execution.h"

static const char *const kind_names[] = {
    [KIND_NORMAL] = NULL,
    [KIND_TEST] = "TEST",
    [KIND_PLAYGROUND] = "PLAYGROUND",
    [KIND_LOOP] = "LOOP",
};

static void put_date(struct value_builder *map, const char *key, usec_t at)
{
    if (at == 0)
        return;
    const char *text = time_format_instant(map->arena, at);
    value_put(map, key, value_string_ref(map->arena, text, strlen(text)));
}

static void put_name(struct value_builder *map, const char *key, enum state state)
{
    const char *name = states[state].name;
    value_put(map, key, value_string_ref(map->arena, name, strlen(name)));
}

static const struct value *state_value(const struct state_log *log, struct arena *arena)
{
    struct value_builder map = value_build(arena);
    put_name(&map, "current", log->current);
    struct value_builder list = value_build(arena);
    for (size_t i = 0; i < log->history.count; i++) {
        struct value_builder change = value_build(arena);
        put_name(&change, "state", log->history.items[i].state);
        put_date(&change, "date", log->history.items[i].at);
        value_add(&list, value_build_map(&change));
    }
    value_put(&map, "histories", value_build_list(&list));
    usec_t start = state_started_at(log);
    usec_t end = state_ended_at(log);
    put_date(&map, "startDate", start);
    put_date(&map, "endDate", end);
    if (end != 0)
        value_put_text(&map, "duration", duration_format(arena, end - start));
    return value_build_map(&map);
}

/* An attempt keeps two dates; clients expect a history. */
static const struct value *attempt_value(const struct attempt *attempt, struct arena *arena)
{
    struct state_log log = { .current = attempt->state };
    state_log_append(arena, &log, STATE_CREATED, attempt->started_at);
    state_log_append(arena, &log, STATE_RUNNING, attempt->started_at);
    if (attempt->state != STATE_RUNNING) {
        usec_t at = attempt->ended_at == 0 ? attempt->started_at : attempt->ended_at;
        state_log_append(arena, &log, attempt->state, at);
    }
    struct value_builder map = value_build(arena);
    value_put(&map, "state", state_value(&log, arena));
    value_put_text(&map, "workerId", attempt->worker);
    value_put_text(&map, "logFile", attempt->log_file);
    return value_build_map(&map);
}

const struct value *task_run_to_value(const struct execution *execution,
                                      const struct task_run *run,
                                      struct arena *arena)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "tenantId", "main");
    value_put_text(&map, "id", run->id.text);
    value_put_text(&map, "executionId", execution->id.text);
    value_put_text(&map, "namespace", execution->namespace);
    value_put_text(&map, "flowId", execution->flow_id);
    value_put_text(&map, "taskId", run->task_id);
    if (run->parent != NULL)
        value_put_text(&map, "parentTaskRunId", run->parent->id.text);
    value_put_text(&map, "value", run->value);
    if (run->attempts.count > 0) {
        struct value_builder list = value_build(arena);
        for (size_t i = 0; i < run->attempts.count; i++)
            value_add(&list, attempt_value(&run->attempts.items[i], arena));
        value_put(&map, "attempts", value_build_list(&list));
    }
    value_put(&map, "outputs", run->outputs);
    value_put(&map, "state", state_value(&run->state, arena));
    if (run->iteration >= 0)
        value_put_int(&map, "iteration", run->iteration);
    value_put_text(&map, "items", run->items);
    if (run->is_dynamic)
        value_put_bool(&map, "dynamic", true);
    if (run->force_execution)
        value_put_bool(&map, "forceExecution", true);
    return value_build_map(&map);
}

static void put_trigger(struct value_builder *map, const struct execution *execution)
{
    if (execution->trigger_id == NULL)
        return;
    struct value_builder trigger = value_build(map->arena);
    value_put_text(&trigger, "id", execution->trigger_id);
    value_put_text(&trigger, "type", execution->trigger_type);
    if (execution->trigger_variables != NULL)
        value_put(&trigger, "variables", execution->trigger_variables);
    value_put(map, "trigger", value_build_map(&trigger));
}

static void put_labels(struct value_builder *map, const struct execution *execution)
{
    struct value_builder list = value_build(map->arena);
    for (size_t i = 0; i < execution->labels.count; i++) {
        struct value_builder label = value_build(map->arena);
        value_put_text(&label, "key", execution->labels.items[i].key);
        value_put_text(&label, "value", execution->labels.items[i].value);
        value_add(&list, value_build_map(&label));
    }
    value_put(map, "labels", value_build_list(&list));
}

static void put_filled(struct value_builder *map, const char *key, const struct value *value)
{
    if (value != NULL && value_count(value) > 0)
        value_put(map, key, value);
}

void execution_put(struct value_builder *map, const struct execution *execution)
{
    struct arena *arena = map->arena;
    value_put_text(map, "tenantId", "main");
    value_put_text(map, "id", execution->id.text);
    value_put_text(map, "namespace", execution->namespace);
    value_put_text(map, "flowId", execution->flow_id);
    value_put_int(map, "flowRevision", execution->flow_revision);
    if (execution->runs.count > 0) {
        struct value_builder list = value_build(arena);
        for (size_t i = 0; i < execution->runs.count; i++)
            value_add(&list, task_run_to_value(execution, execution->runs.items[i], arena));
        value_put(map, "taskRunList", value_build_list(&list));
    }
    put_filled(map, "inputs", execution->inputs);
    put_filled(map, "outputs", execution->outputs);
    put_labels(map, execution);
    put_filled(map, "variables", execution->variables);
    value_put(map, "state", state_value(&execution->state, arena));
    value_put_text(map, "parentId", execution->parent_id);
    value_put_text(map, "originalId", execution->original_id);
    put_trigger(map, execution);
    value_put_bool(map, "deleted", false);
    struct value_builder metadata = value_build(arena);
    value_put_int(&metadata, "attemptNumber", execution->attempt_number);
    put_date(&metadata, "originalCreatedDate", execution->original_created_at);
    value_put(map, "metadata", value_build_map(&metadata));
    put_date(map, "scheduleDate", execution->schedule_at);
    value_put_text(map, "traceParent", execution->trace_parent);
    value_put_text(map, "kind", kind_names[execution->kind]);
    if (execution->breakpoints != NULL)
        value_put(map, "breakpoints", execution->breakpoints);
}

const struct value *execution_to_value(const struct execution *execution, struct arena *arena)
{
    struct value_builder map = value_build(arena);
    execution_put(&map, execution);
    return value_build_map(&map);
}
