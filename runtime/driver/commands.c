/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine step asked for. */
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "core/labels.h"
#include "core/plugin.h"
#include "core/value.h"
#include "core/value_codec.h"
#include "runtime/driver/driver_internal.h"

/* Children of an execution that are killed are read in pages. */
#define CHILDREN_PAGE 500U

/* ---- log and metrics ---- */

void live_log(struct driver *driver,
              struct live *live,
              const struct task_run *run,
              enum log_level level,
              const char *message)
{
    const struct execution *execution = live->execution;
    if (run != NULL && run->task != NULL && level < run->task->log_level)
        return;
    struct buf masked = { 0 };
    const char *text = message;
    if (driver->config.redact != NULL &&
        driver->config.redact(driver->config.redact_data, execution->id.text, message,
                              strlen(message), &masked))
        text = buf_text(&masked);
    size_t length = strlen(text);
    struct log_line line = {
        .source = {
            .execution = live->key,
            .execution_id = execution->id.text,
            .namespace = execution->namespace,
            .flow_id = execution->flow_id,
            .task_id = run == NULL ? NULL : run->task_id,
            .run_id = run == NULL ? NULL : run->id.text,
            .attempt = run == NULL ? 0 : (uint32_t)run->attempts.count,
        },
        .at = driver->now,
        .level = level,
        .message = text,
        .length = length < LOG_MESSAGE_MAX ? length : LOG_MESSAGE_MAX,
    };
    if (driver->config.logs != NULL)
        logstore_publish(driver->config.logs, &line);
    log_block_add(&live->log, &line);
    buf_free(&masked);
    driver_touch(driver, live);
}

static void add_metric(struct driver *driver, struct live *live, const struct command *command)
{
    struct arena *arena = driver->arena;
    const struct execution *execution = live->execution;
    const struct task_run *run = command->run;
    *VEC_PUSH(&driver->commit.metrics) = (struct metric_row){
        .execution = live->key,
        .execution_id = execution->id,
        .namespace = arena_strdup(arena, execution->namespace),
        .flow_id = arena_strdup(arena, execution->flow_id),
        .task_id = run == NULL ? NULL : arena_strdup(arena, run->task_id),
        .run_id = run == NULL ? NULL : arena_strdup(arena, run->id.text),
        .type = command->metric_type,
        .name = command->key,
        .value = command->number,
        .tags = command->tags == NULL ? NULL : value_to_json(arena, command->tags),
        .at = driver->now,
    };
}

static void add_cache(struct driver *driver, struct live *live, const struct command *command)
{
    struct buf body = { 0 };
    value_encode(&body, command->props);
    *VEC_PUSH(&driver->commit.cache) = (struct commit_cache){
        .row = {
            .namespace = arena_strdup(driver->arena, live->execution->namespace),
            .flow_id = arena_strdup(driver->arena, live->execution->flow_id),
            .key = command->key,
            .created_at = driver->now,
            .expires_at = command->at == 0 ? USEC_NEVER : command->at,
            .body = { arena_memdup(driver->arena, body.bytes, body.length), body.length },
        },
    };
    buf_free(&body);
}

/* ---- children ---- */

/* The execution whose task created this one, for its answers; NULL: no parent. */
static const char *parent_of(struct driver *driver,
                             const struct execution *execution,
                             const char **run_id)
{
    if (execution->trigger_type == NULL || execution->trigger_variables == NULL)
        return NULL;
    // parts of a task, such as those of ForEachItem, are not in the set
    const struct plugin *plugin = plugin_find(driver->config.plugins, execution->trigger_type);
    if (plugin != NULL && plugin->role != PLUGIN_TASK)
        return NULL;
    *run_id = value_get_text(execution->trigger_variables, "taskRunId", NULL);
    return value_get_text(execution->trigger_variables, "executionId", NULL);
}

/* What the task that waits for the child takes out of it; NULL when it takes nothing. */
static const struct value *child_context(struct driver *driver,
                                         const struct live *parent,
                                         const char *run_id,
                                         struct live *child)
{
    const struct task_run *run = execution_find_run(parent->execution, run_id);
    const struct flow *flow = child->execution->flow;
    bool takes = run != NULL && run->task != NULL && run->task->type != NULL &&
                 run->task->type->task_kind == TASK_EXECUTABLE &&
                 value_is_map(value_get(run->task->doc, "outputs"));
    if (!takes || flow == NULL || flow->outputs_count > 0)
        return NULL;
    return orders_context(driver, child, driver->arena);
}

/* Tells the parent about a child; `type` is one of EVENT_CHILD_*. */
static void tell_parent(struct driver *driver,
                        struct live *child,
                        enum event_type type,
                        const char *message)
{
    const struct execution *execution = child->execution;
    const char *run_id = NULL;
    const char *parent_id = parent_of(driver, execution, &run_id);
    if (parent_id == NULL || run_id == NULL)
        return;
    struct error err = { 0 };
    struct live *parent = live_get(driver, parent_id, &err);
    if (parent == NULL) {
        if (err.code != ERR_NOT_FOUND) // deleted: nobody waits any more
            log_error("the parent of an execution cannot be told",
                      LOG_STR("execution", execution->id.text), LOG_STR("parent", parent_id),
                      LOG_ERR(&err));
        return;
    }
    struct event event = {
        .type = type,
        .run_id = arena_strdup(driver->arena, run_id),
        .child_id = arena_strdup(driver->arena, execution->id.text),
        .iteration = value_get_int(execution->trigger_variables, "taskRunIteration", -1),
        .state = execution->state.current,
        .message = message,
        .outputs =
            execution->outputs == NULL ? NULL : value_copy(driver->arena, execution->outputs),
        .context = type == EVENT_CHILD_ENDED ? child_context(driver, parent, run_id, child) : NULL,
    };
    driver_push(driver, parent, &event);
}

void commands_deleted(struct driver *driver, struct live *live)
{
    tell_parent(driver, live, EVENT_CHILD_REFUSED,
                "The execution that was waited for has been deleted");
}

/* Answers a task that asked for a child. */
static void answer_child(struct driver *driver,
                         struct live *parent,
                         const struct command *command,
                         struct live *child,
                         enum event_type type,
                         const char *message)
{
    struct event event = {
        .type = type,
        .run_id = arena_strdup(driver->arena, command->run->id.text),
        .child_id = command->child_id,
        .iteration = command->iteration,
        .message = message,
    };
    if (child != NULL) {
        const struct execution *execution = child->execution;
        event.state = execution->state.current;
        event.outputs =
            execution->outputs == NULL ? NULL : value_copy(driver->arena, execution->outputs);
        if (type == EVENT_CHILD_ENDED)
            event.context = child_context(driver, parent, event.run_id, child);
    }
    driver_push(driver, parent, &event);
}

/* Labels of a child: its own, what it inherits, those of the task (3.6 Subflow). */
static struct label *child_labels(struct driver *driver,
                                  const struct execution *parent,
                                  const struct flow *flow,
                                  const struct command *command,
                                  size_t *count)
{
    struct arena *arena = driver->arena;
    size_t given = 0;
    const struct label *own = labels_of(arena, command->labels, &given);
    struct label *labels = ARENA_ARRAY(arena, parent->labels.count + given + 1, struct label);
    size_t found = 0;
    for (size_t i = 0; i < parent->labels.count; i++) {
        const struct label *label = &parent->labels.items[i];
        bool is_system = str_starts(label->key, "system.");
        bool is_passed =
            is_system ? strcmp(label->key, "system.correlationId") == 0 : command->inherit_labels;
        for (size_t k = 0; flow != NULL && k < flow->labels_count && !is_system; k++)
            is_passed = is_passed && strcmp(flow->labels[k].key, label->key) != 0;
        if (is_passed)
            labels[found++] = *label;
    }
    for (size_t i = 0; i < given; i++)
        labels[found++] = own[i];
    *count = found;
    return labels;
}

static void create_child(struct driver *driver, struct live *parent, const struct command *command)
{
    struct execution *execution = parent->execution;
    const struct task_run *run = command->run;
    struct error err = { 0 };
    struct live *existing = live_find(driver, command->child_id);
    bool is_awaited = command->flow_id == NULL && command->loop == NULL; // it was there once
    if (existing == NULL && (parent->is_loaded || is_awaited)) // asked again after a restart
        existing = live_get(driver, command->child_id, &err);
    if (existing != NULL) {
        bool ended = existing->execution->fully_ended;
        answer_child(driver, parent, command, existing, EVENT_CHILD_CREATED, NULL);
        answer_child(driver, parent, command, existing,
                     ended ? EVENT_CHILD_ENDED : EVENT_CHILD_CHANGED, NULL);
        return;
    }

    bool is_iteration = command->loop != NULL;
    if (is_awaited) {
        answer_child(driver, parent, command, NULL, EVENT_CHILD_REFUSED,
                     "The execution that was waited for does not exist any more");
        return;
    }
    const char *namespace = is_iteration ? execution->namespace : command->namespace;
    const char *flow_id = is_iteration ? execution->flow_id : command->flow_id;
    int64_t revision = is_iteration ? execution->flow_revision : command->revision;
    struct error ignored;
    const struct flow *flow = flows_get(driver, namespace, flow_id, revision, &ignored);
    struct id id = { 0 };
    CHECK(strlen(command->child_id) == ID_LENGTH);
    memcpy(id.text, command->child_id, ID_LENGTH + 1);
    struct creation creation = {
        .namespace = namespace,
        .flow_id = flow_id,
        .revision = revision,
        .id = &id,
        .trigger_id = run->task_id,
        .trigger_type = run->task != NULL ? run->task->type->id : NULL,
        .trigger_variables = command->trigger_variables,
        .schedule_at = command->schedule_at,
        .kind = is_iteration ? KIND_LOOP : execution->kind,
        .loop = command->loop,
        .trace_parent = execution->trace_parent,
        .steps_later = true,
    };
    if (is_iteration) {
        creation.inputs = execution->inputs;
        creation.labels = execution->labels.items;
        creation.labels_count = execution->labels.count;
        creation.without_flow_labels = true;
    } else {
        creation.given = command->props;
        creation.labels = child_labels(driver, execution, flow, command, &creation.labels_count);
    }
    struct live *child = create_execution(driver, &creation, &err);
    if (child != NULL) {
        answer_child(driver, parent, command, child, EVENT_CHILD_CREATED, NULL);
        return;
    }
    const char *message =
        err.code == ERR_NOT_FOUND
            ? arena_printf(driver->arena, "Unable to find flow '%s'.'%s' with revision '%s'",
                           namespace, flow_id,
                           revision == 0 ? "latest"
                                         : arena_printf(driver->arena, "%lld", (long long)revision))
            : arena_strdup(driver->arena, err.text);
    answer_child(driver, parent, command, NULL, EVENT_CHILD_REFUSED, message);
}

/* A failed child is restarted; of one that is in another state nothing more is to be done. */
static void restart_child(struct driver *driver, struct live *parent, const struct command *command)
{
    struct error err = { 0 };
    struct live *child = live_get(driver, command->child_id, &err);
    if (child == NULL) {
        answer_child(driver, parent, command, NULL, EVENT_CHILD_REFUSED,
                     arena_strdup(driver->arena, err.text));
        return;
    }
    struct event event = { .type = EVENT_RESTART, .iteration = -1 };
    if (child->execution->state.current == STATE_FAILED &&
        engine_allows(child->execution, EVENT_RESTART, &event, &err)) {
        answer_child(driver, parent, command, child, EVENT_CHILD_CREATED, NULL);
        driver_push(driver, child, &event);
        return;
    }
    struct event ended = {
        .type = EVENT_CHILD_ENDED,
        .run_id = arena_strdup(driver->arena, command->run->id.text),
        .child_id = command->child_id,
        .iteration = command->iteration,
        .state = STATE_SUCCESS,
        .outputs = child->execution->outputs == NULL
                       ? NULL
                       : value_copy(driver->arena, child->execution->outputs),
        .context = child_context(driver, parent, command->run->id.text, child),
    };
    driver_push(driver, parent, &ended);
}

static void push_kill(struct driver *driver, struct live *live)
{
    struct event event = { .type = EVENT_KILL, .is_cascade = true, .iteration = -1 };
    driver_push(driver, live, &event);
}

static bool is_child_of(struct driver *driver, const struct live *live, const char *id)
{
    const char *run_id = NULL;
    return str_eq(parent_of(driver, live->execution, &run_id), id);
}

/*
 * Children of a killed execution: those that are stored, and those that were created in this very
 * turn. What a Flow trigger started is no child.
 */
static void kill_children(struct driver *driver, const struct live *parent)
{
    const char *id = parent->execution->id.text;
    struct list *at;
    LIST_EACH(at, &driver->touched) {
        struct live *live = LIST_OWNER(at, struct live, touched);
        if (live->stored == LIVE_ENDED && live != parent && !live->execution->fully_ended &&
            is_child_of(driver, live, id))
            push_kill(driver, live); // not stored yet: stored is ENDED until the first commit
    }
    int64_t after = 0;
    size_t count = CHILDREN_PAGE;
    while (count == CHILDREN_PAGE) {
        struct execution_row *rows = NULL;
        struct error err = { 0 };
        struct arena *arena = arena_new();
        if (!driver->reader->ops->execution_children(driver->reader, arena, id, true, after,
                                                     CHILDREN_PAGE, &rows, &count, &err)) {
            log_error("children of a killed execution cannot be read", LOG_STR("execution", id),
                      LOG_ERR(&err));
            count = 0;
        }
        for (size_t i = 0; i < count; i++) {
            after = rows[i].key;
            struct live *child = live_get(driver, rows[i].id.text, NULL);
            if (child != NULL && is_child_of(driver, child, id))
                push_kill(driver, child);
        }
        arena_free(arena);
    }
}

/* ---- the end ---- */

static void answer_waits(struct driver *driver, struct live *live)
{
    struct driver_request *request = map_remove(&driver->waits, live->execution->id.text);
    while (request != NULL) {
        struct driver_request *next = request->next;
        request->execution.id = live->execution->id;
        driver_answer(driver, request, NULL);
        request = next;
    }
}

static void ended(struct driver *driver, struct live *live)
{
    live->has_ended = true;
    answer_waits(driver, live);
    triggers_execution_ended(driver, live);
    tell_parent(driver, live, EVENT_CHILD_ENDED, NULL);
    *VEC_PUSH(&driver->effects) = (struct effect){
        .execution_id = check_strdup(live->execution->id.text),
        .is_forget = true,
    };
}

static void retry_as_new(struct driver *driver, struct live *live)
{
    struct id id = driver_new_id(driver);
    struct execution *successor = engine_retry_as(live->execution, &id, driver->now);
    if (successor != NULL)
        (void)create_from(driver, successor);
}

/*
 * ForEachItem counts the states of its children. Only a parent in memory is told: one that is
 * parked counts again when the children end. A Loop is paused with its iterations: always told.
 */
static void tell_of_change(struct driver *driver, struct live *child, const struct command *command)
{
    const char *run_id = NULL;
    const char *type = child->execution->trigger_type;
    const char *parent_id = parent_of(driver, child->execution, &run_id);
    bool pauses = child->execution->kind == KIND_LOOP &&
                  (command->state == STATE_PAUSED || command->from == STATE_PAUSED);
    if (parent_id != NULL && !str_ends(type, ".Subflow") &&
        (pauses || live_find(driver, parent_id) != NULL))
        tell_parent(driver, child, EVENT_CHILD_CHANGED, NULL);
}

static void state_changed(struct driver *driver, struct live *live, const struct command *command)
{
    observers_notice(driver, live, command->state);
    if (!states[command->state].is_terminal)
        tell_of_change(driver, live, command);
}

void commands_apply(struct driver *driver, struct live *live)
{
    size_t count = driver->commands.all.count;
    struct command *all = driver->commands.all.items;
    // What follows from a command may step others, whose commands go into a list of their own.
    driver->commands.all.items = NULL;
    driver->commands.all.count = driver->commands.all.capacity = 0;
    slots_follow(driver, live);
    for (size_t i = 0; i < count; i++) {
        const struct command *command = &all[i];
        switch (command->type) {
        case COMMAND_RUN:
            orders_run(driver, live, command);
            break;
        case COMMAND_CANCEL:
            orders_cancel(driver, live, command);
            break;
        case COMMAND_TIMER:
            live_set_timer(driver, live, command);
            break;
        case COMMAND_EVALUATE:
            orders_evaluate(driver, live, command);
            break;
        case COMMAND_CHILD:
            create_child(driver, live, command);
            break;
        case COMMAND_CHILD_RESTART:
            restart_child(driver, live, command);
            break;
        case COMMAND_KILL_CHILDREN:
            kill_children(driver, live);
            break;
        case COMMAND_LOG:
            live_log(driver, live, command->run, command->level, command->message);
            break;
        case COMMAND_METRIC:
            add_metric(driver, live, command);
            break;
        case COMMAND_STATE:
            state_changed(driver, live, command);
            break;
        case COMMAND_ENDED:
            ended(driver, live);
            break;
        case COMMAND_NEW_EXECUTION:
            retry_as_new(driver, live);
            break;
        case COMMAND_CONTINUE: {
            struct event event = { .type = EVENT_CONTINUE, .iteration = -1 };
            driver_push_later(driver, live, &event);
            break;
        }
        case COMMAND_CACHE:
            add_cache(driver, live, command);
            break;
        }
    }
}
