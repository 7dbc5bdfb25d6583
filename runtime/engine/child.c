/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/engine/child.h"

#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "core/labels.h"
#include "core/plugin.h"
#include "runtime/engine/engine_internal.h"

const char *const child_restart_words[] = { "RETRY_FAILED", "NEW_EXECUTION", NULL };

const char *child_id(struct engine *engine,
                     const struct task_run *run,
                     int64_t iteration,
                     uint32_t attempt)
{
    struct arena *arena = engine->commands->arena;
    const char *path = arena_printf(arena, "child %lld %u", (long long)iteration, attempt);
    struct id id = id_derive(run->id.text, path, strlen(path));
    return arena_strdup(arena, id.text);
}

const struct value *child_trigger(struct engine *engine,
                                  const struct task_run *run,
                                  int64_t iteration)
{
    const struct execution *execution = engine->execution;
    struct value_builder map = value_build(engine->commands->arena);
    value_put_text(&map, "executionId", execution->id.text);
    value_put_text(&map, "namespace", execution->namespace);
    value_put_text(&map, "flowId", execution->flow_id);
    value_put_int(&map, "flowRevision", execution->flow_revision);
    value_put_text(&map, "taskRunId", run->id.text);
    value_put_text(&map, "taskId", run->task_id);
    if (value_count(run->outputs) > 0)
        value_put(&map, "taskRunOutputs", run->outputs);
    value_put_text(&map, "taskRunValue", run->value);
    if (iteration < 0)
        iteration = run->iteration;
    if (iteration >= 0)
        value_put_int(&map, "taskRunIteration", iteration);
    return value_build_map(&map);
}

const char *child_create(struct engine *engine,
                         struct task_run *run,
                         const struct child_spec *spec,
                         int64_t iteration)
{
    struct arena *arena = engine->commands->arena;
    struct command *command = command_add(engine, COMMAND_CHILD, run);
    size_t count = 0;
    const struct label *labels = labels_of(arena, spec->labels, &count);
    struct value_builder map = value_build(arena);
    for (size_t i = 0; i < count; i++)
        value_put_text(&map, labels[i].key, labels[i].value);
    command->attempt = run_attempt(run);
    command->namespace = arena_strdup(arena, spec->namespace);
    command->flow_id = arena_strdup(arena, spec->flow_id);
    command->revision = spec->revision;
    command->props = spec->inputs == NULL ? &value_empty_map : value_copy(arena, spec->inputs);
    command->labels = value_build_map(&map);
    command->trigger_variables = child_trigger(engine, run, iteration);
    command->inherit_labels = spec->inherit_labels;
    command->schedule_at = spec->schedule_at == USEC_NEVER ? 0 : spec->schedule_at;
    command->iteration = iteration;
    command->child_id = child_id(engine, run, iteration, run_attempt(run));
    return command->child_id;
}

void child_ask_again(struct engine *engine,
                     struct task_run *run,
                     const char *child_id,
                     int64_t iteration)
{
    struct command *command = command_add(engine, COMMAND_CHILD, run);
    command->attempt = run_attempt(run);
    command->iteration = iteration;
    command->child_id = arena_strdup(engine->commands->arena, child_id);
    command->trigger_variables = child_trigger(engine, run, iteration);
}

enum state child_state(enum state ended, bool transmit_failed)
{
    bool is_transmitted = ended == STATE_WARNING || ended == STATE_FAILED || ended == STATE_KILLED;
    return transmit_failed && is_transmitted ? ended : STATE_SUCCESS;
}

/* The run itself was restarted, not retried in an execution that had been restarted before. */
static bool was_restarted(const struct task_run *run)
{
    for (size_t i = run->state.history.count; i-- > 0;) {
        if (states[run->state.history.items[i].state].is_created)
            return run->state.history.items[i].state == STATE_RESTARTED;
    }
    return false;
}

bool child_is_restart(const struct engine *engine, const struct task_run *run, int behavior)
{
    return behavior == RESTART_FAILED && was_restarted(run) &&
           str_eq(execution_label(engine->execution, "system.restarted"), "true");
}

bool child_is_awaited(const struct task_run *run, const struct event *event, const char *awaited)
{
    return event->child_id == NULL || str_eq(event->child_id, awaited) ||
           value_get_bool(run->memo, "replaced", false);
}
