/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of workers: from any thread into the inbox. */
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/queue.h"
#include "core/value.h"
#include "runtime/driver/driver_internal.h"

void message_free(struct message *message)
{
    if (message->logs != NULL)
        log_result_free(message->logs);
    arena_free(message->arena);
}

static struct message *message_new(enum message_type type, size_t bytes)
{
    struct arena *arena = arena_new_sized(bytes);
    struct message *message = ARENA_NEW(arena, struct message);
    message->type = type;
    message->arena = arena;
    return message;
}

/* Answers are never dropped: a full inbox makes the worker wait. */
static void post(struct driver *driver, struct message *message)
{
    while (!queue_push(driver->inbox, message)) {
        if (queue_is_closed(driver->inbox)) {
            message_free(message);
            return;
        }
        (void)usleep(1000);
    }
}

static struct message *event_message(enum event_type type,
                                     const char *execution_id,
                                     const char *run_id,
                                     uint32_t attempt)
{
    struct message *message = message_new(MESSAGE_EVENT, 1024);
    message->execution_id = arena_strdup(message->arena, execution_id);
    message->event = (struct event){
        .type = type,
        .run_id = arena_strdup(message->arena, run_id),
        .attempt = attempt,
        .iteration = -1,
    };
    message->is_answer = true;
    return message;
}

static const struct value *copy_value(struct arena *arena, const struct value *value)
{
    return value == NULL ? NULL : value_copy(arena, value);
}

static void answer_started(
    void *data, const char *execution_id, const char *run_id, uint32_t attempt, const char *worker)
{
    struct message *message = event_message(EVENT_RUN_STARTED, execution_id, run_id, attempt);
    message->event.worker = arena_strdup(message->arena, worker);
    post(data, message);
}

static void answer_ended(void *data,
                         const char *execution_id,
                         const char *run_id,
                         uint32_t attempt,
                         enum state state,
                         const struct value *outputs,
                         const char *text,
                         const char *log_file,
                         const struct metric_row *rows,
                         size_t rows_count,
                         struct log_result *logs)
{
    struct message *message = event_message(EVENT_RUN_ENDED, execution_id, run_id, attempt);
    struct arena *arena = message->arena;
    message->event.state = state;
    message->event.outputs = copy_value(arena, outputs);
    message->event.message = arena_strdup(arena, text);
    message->event.log_file = arena_strdup(arena, log_file);
    message->logs = logs;
    message->metrics = ARENA_ARRAY(arena, rows_count, struct metric_row);
    message->metrics_count = rows_count;
    for (size_t i = 0; i < rows_count; i++) {
        message->metrics[i] = rows[i];
        message->metrics[i].task_id = arena_strdup(arena, rows[i].task_id);
        message->metrics[i].run_id = arena_strdup(arena, rows[i].run_id);
        message->metrics[i].type = arena_strdup(arena, rows[i].type);
        message->metrics[i].name = arena_strdup(arena, rows[i].name);
        message->metrics[i].tags = arena_strdup(arena, rows[i].tags);
    }
    post(data, message);
}

static void answer_remote(void *data,
                          const char *execution_id,
                          const char *run_id,
                          uint32_t attempt,
                          const char *remote_id,
                          const struct value *memo,
                          usec_t wake_at,
                          struct log_result *logs)
{
    struct message *message = event_message(EVENT_RUN_REMOTE, execution_id, run_id, attempt);
    message->event.remote_id = arena_strdup(message->arena, remote_id);
    message->event.values = copy_value(message->arena, memo);
    message->event.wake_at = wake_at;
    message->logs = logs;
    post(data, message);
}

static void answer_evaluated(void *data,
                             const char *execution_id,
                             const char *run_id,
                             uint32_t attempt,
                             const char *function,
                             const struct value *arguments,
                             const struct value *value,
                             const struct error *err)
{
    struct message *message = event_message(EVENT_EVALUATED, execution_id, run_id, attempt);
    message->event.key = engine_answer_key(message->arena, function, arguments);
    message->event.values = copy_value(message->arena, value);
    message->event.is_error = value == NULL;
    if (value == NULL)
        message->event.message = arena_strdup(message->arena, err != NULL ? err->text : "failed");
    post(data, message);
}

static void answer_triggered(void *data,
                             int64_t trigger,
                             usec_t evaluating_since,
                             const struct value *variables,
                             const struct error *err,
                             struct log_result *logs)
{
    struct message *message = message_new(MESSAGE_TRIGGERED, 1024);
    message->trigger = trigger;
    message->evaluating_since = evaluating_since;
    message->variables = copy_value(message->arena, variables);
    if (err != NULL)
        message->error = arena_memdup(message->arena, err, sizeof(*err));
    message->logs = logs;
    post(data, message);
}

struct worker_answers driver_worker_answers(struct driver *driver)
{
    return (struct worker_answers){
        .data = driver,
        .started = answer_started,
        .ended = answer_ended,
        .remote = answer_remote,
        .evaluated = answer_evaluated,
        .triggered = answer_triggered,
    };
}

void driver_log_written(void *data, const struct log_row *row)
{
    struct message *message = message_new(MESSAGE_LOG, 1024);
    message->row = *row;
    message->row.namespace = arena_strdup(message->arena, row->namespace);
    message->row.flow_id = arena_strdup(message->arena, row->flow_id);
    message->row.trigger_id = arena_strdup(message->arena, row->trigger_id);
    message->row.body = (struct bytes){ 0 };
    post(data, message);
}
