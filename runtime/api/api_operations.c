/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be done with one execution (api.md 2.2.3).
 *
 * Each also stands under executions/{id}/actions/ for 2.0 clients, where kill, pause and resume
 * answer with the execution (6.2).
 */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/str.h"
#include "core/inputs.h"
#include "core/labels.h"
#include "core/value.h"
#include "runtime/api/call.h"
#include "runtime/api/executions.h"
#include "runtime/api/host.h"
#include "runtime/api/shapes.h"
#include "runtime/api/start.h"
#include "runtime/storage/storage.h"
#include "runtime/worker/services.h"

/* route->data of the paths with actions/ */
static const char action_path[] = "actions";

static bool is_action(const struct call *call)
{
    return call->route->data == action_path;
}

/* ---- answers ---- */

static void operated(struct call *call)
{
    if (!call_driver_failed(call))
        reply_execution(call, 200, call->driver.execution.row, NULL);
}

/* As operated(), for operations whose 1.x answer is empty: its status is in call->data. */
static void operated_silently(struct call *call)
{
    if (call_driver_failed(call))
        return;
    if (is_action(call))
        reply_execution(call, 200, call->driver.execution.row, NULL);
    else
        reply_empty(call, (int)(intptr_t)call->data);
}

/* What is not there besides the execution is a mistake in the request: 422. */
static void operated_strictly(struct call *call)
{
    if (!call->driver.ok && call->driver.error.code == ERR_NOT_FOUND)
        call->driver.error.code = ERR_INVALID;
    operated(call);
}

static void operate(struct call *call,
                    const struct execution_row *row,
                    struct operate_request request,
                    void (*next)(struct call *call))
{
    request.execution_id = arena_strdup(call->arena, row->id.text);
    request.event.user = call->user;
    call->driver.type = REQUEST_OPERATE;
    call->driver.wants_row = true;
    call->driver.operate = request;
    call_drive(call, next);
}

static void operate_event(struct call *call, struct event event, void (*next)(struct call *call))
{
    struct execution_row row;
    if (!call_execution(call, call->path[0], &row))
        return;
    operate(call, &row, (struct operate_request){ .operation = OPERATE_EVENT, .event = event },
            next);
}

/* ---- restart, replay ---- */

static void post_restart(struct call *call)
{
    struct execution_row row;
    int64_t revision = 0;
    if (!call_query_int(call, "revision", 1, 0, &revision) ||
        !call_execution(call, call->path[0], &row))
        return;
    operate(call, &row,
            (struct operate_request){ .operation = OPERATE_RESTART, .revision = revision },
            operated_strictly);
}

/* Query parameters of a replay; on failure replies and returns false. */
static bool read_replay(struct call *call, struct operate_request *request)
{
    *request = (struct operate_request){
        .operation = OPERATE_REPLAY,
        .run_id = call_query(call, "taskRunId"),
        .breakpoints = parse_breakpoints(call->arena, call_query(call, "breakpoints")),
    };
    if (str_empty(request->run_id))
        request->run_id = NULL;
    return call_query_int(call, "revision", 1, 0, &request->revision);
}

static void post_replay(struct call *call)
{
    struct execution_row row;
    struct operate_request request;
    if (read_replay(call, &request) && call_execution(call, call->path[0], &row))
        operate(call, &row, request, operated_strictly);
}

static void replayed(struct call *call)
{
    flow_unref(call->data);
    operated_strictly(call);
}

static void post_replay_with_inputs(struct call *call)
{
    struct execution_row row;
    struct operate_request request;
    struct start start;
    struct error err = { 0 };
    if (!read_replay(call, &request) || !call_execution(call, call->path[0], &row) ||
        !start_flow(&start, call, row.namespace, row.flow_id,
                    request.revision != 0 ? request.revision : row.revision))
        return;
    // files lie below the execution that is repeated: it exists, and keeps them
    start.id = row.id;
    bool ok = start_inputs(&start);
    if (ok && start.inputs.errors > 0) {
        reply_input_errors(call, &start.inputs);
        ok = false;
    }
    if (ok && !form_store(call, &start.form, &err)) {
        reply_failure(call, &err);
        ok = false;
    }
    if (!ok) {
        start_release(&start);
        return;
    }
    request.inputs = start.inputs.stored;
    call->data = start.flow; // the inputs borrow from it
    operate(call, &row, request, replayed);
}

/* ---- states ---- */

/* A state by name; on failure replies 422 and returns false. */
static bool parse_state(struct call *call, const char *name, const char *text, enum state *out)
{
    char *upper = arena_strdup(call->arena, text == NULL ? "" : text);
    for (char *at = upper; *at != '\0'; at++)
        *at = *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
    if (state_parse(upper, out))
        return true;
    reply_error(call, 422, "Bad Request", "Failed to convert argument [%s] for value [%s]", name,
                text == NULL ? "" : text);
    return false;
}

static void post_state(struct call *call)
{
    const struct value *body = call_json(call);
    enum state state = STATE_COUNT;
    if (body == NULL || !parse_state(call, "state", value_get_text(body, "state", NULL), &state))
        return;
    const char *run_id = value_get_text(body, "taskRunId", NULL);
    if (run_id == NULL) {
        reply_invalid(call, "taskRunId: must not be null", NULL);
        return;
    }
    struct execution_row row;
    if (!call_execution(call, call->path[0], &row))
        return;
    struct operate_request request = {
        .operation = OPERATE_EVENT,
        .event = { .type = EVENT_CHANGE_RUN, .run_id = run_id, .state = state },
    };
    operate(call, &row, request, operated_strictly);
}

static void post_change_status(struct call *call)
{
    const char *text = call_required(call, "status");
    enum state state = STATE_COUNT;
    if (text != NULL && parse_state(call, "status", text, &state))
        operate_event(call, (struct event){ .type = EVENT_CHANGE_STATE, .state = state }, operated);
}

static void delete_kill(struct call *call)
{
    struct execution_row row;
    if (!call_execution(call, call->path[0], &row))
        return;
    bool is_cascade = call_query_bool(call, "isOnKillCascade", true);
    call->data = (void *)(intptr_t)202;
    operate(call, &row,
            (struct operate_request){ .operation = OPERATE_KILL, .is_cascade = is_cascade },
            operated_silently);
}

static void post_pause(struct call *call)
{
    call->data = (void *)(intptr_t)200;
    operate_event(call, (struct event){ .type = EVENT_PAUSE }, operated_silently);
}

static void post_unqueue(struct call *call)
{
    const char *text = call_query(call, "state");
    enum state state = STATE_RUNNING;
    struct execution_row row;
    if ((!str_empty(text) && !parse_state(call, "state", text, &state)) ||
        !call_execution(call, call->path[0], &row))
        return;
    operate(call, &row, (struct operate_request){ .operation = OPERATE_UNQUEUE, .state = state },
            operated);
}

static void post_force_run(struct call *call)
{
    struct execution_row row;
    if (call_execution(call, call->path[0], &row))
        operate(call, &row, (struct operate_request){ .operation = OPERATE_FORCE_RUN }, operated);
}

static void post_resume_from_breakpoint(struct call *call)
{
    const struct value *breakpoints =
        parse_breakpoints(call->arena, call_query(call, "breakpoints"));
    call->data = (void *)(intptr_t)204;
    operate_event(call,
                  (struct event){
                      .type = EVENT_BREAKPOINT_RESUME,
                      .values = breakpoints != NULL ? breakpoints : &value_empty_list,
                  },
                  operated_silently);
}

/* ---- resume ---- */

/* The pause that a resume is about: the first paused task run. */
struct pause {
    struct flow *flow;           /* one reference */
    struct execution *execution; /* own */
    struct task_run *run;        /* NULL: paused by hand */
    struct flow_input *inputs;
    size_t inputs_count;
    struct form form;
    struct inputs_result result;
};

static void pause_release(struct pause *pause)
{
    execution_free(pause->execution);
    flow_unref(pause->flow);
}

/* On failure replies and returns false, with nothing to release. */
static bool pause_find(struct call *call, const struct execution_row *row, struct pause *pause)
{
    *pause = (struct pause){ 0 };
    if (row->state != STATE_PAUSED) {
        reply_error(call, 409, "Illegal state", "The execution is not paused");
        return false;
    }
    struct error err = { 0 };
    struct flow_row flow_row;
    struct store_reader *reader = call_reader(call);
    if (reader == NULL)
        return false;
    if (reader->ops->flow_get(reader, call->arena, row->namespace, row->flow_id, row->revision,
                              true, &flow_row, &err))
        pause->flow = call_flow(call, &flow_row, &err);
    if (pause->flow != NULL)
        pause->execution = execution_row_decode(row, pause->flow, &err);
    if (pause->execution == NULL) {
        flow_unref(pause->flow);
        reply_failure(call, &err);
        return false;
    }
    for (size_t i = 0; i < pause->execution->runs.count && pause->run == NULL; i++) {
        if (pause->execution->runs.items[i]->state.current == STATE_PAUSED)
            pause->run = pause->execution->runs.items[i];
    }
    const struct task *task =
        pause->run == NULL ? NULL : flow_find_task(pause->flow, pause->run->task_id);
    if (task != NULL && task->inputs != NULL)
        pause->inputs = inputs_of(call->arena, task->inputs, &pause->inputs_count);
    return true;
}

/* Resolves what came with the request; on failure replies and returns false. */
static bool pause_inputs(struct call *call, const struct execution_row *row, struct pause *pause)
{
    struct api *api = call->api;
    struct error err = { 0 };
    const char *folder = arena_printf(
        call->arena, "%s/inputs",
        storage_execution_path(call->arena, row->namespace, row->flow_id, row->id.text));
    struct api_host host;
    api_host_init(&host, api,
                  engine_context(pause->execution, pause->run, api->config.world, call->arena),
                  map_hash(row->id.text, ID_LENGTH), false);
    bool ok = form_read(call, pause->inputs, pause->inputs_count, folder, &pause->form, &err);
    struct inputs_request request = {
        .inputs = pause->inputs,
        .count = pause->inputs_count,
        .supplied = pause->form.given,
        .env = &host.env,
        .owner = arena_printf(call->arena, "%s.%s", row->namespace, row->flow_id),
        .encrypt = api->config.services->encrypt,
        .encrypt_data = api->config.services->data,
    };
    ok = ok && inputs_resolve(&request, call->arena, &pause->result, &err);
    api_host_release(&host);
    if (!ok)
        reply_failure(call, &err);
    return ok;
}

/* Kept until the driver has answered: the values borrow from it. */
static void resumed(struct call *call)
{
    struct pause *pause = call->data;
    pause_release(pause);
    call->data = (void *)(intptr_t)204;
    operated_silently(call);
}

static void post_resume(struct call *call)
{
    struct execution_row row;
    struct pause *pause = ARENA_NEW(call->arena, struct pause);
    struct error err = { 0 };
    if (!call_execution(call, call->path[0], &row) || !pause_find(call, &row, pause))
        return;
    bool ok = pause_inputs(call, &row, pause);
    if (ok && pause->result.errors > 0) {
        reply_input_errors(call, &pause->result);
        ok = false;
    }
    if (ok && !form_store(call, &pause->form, &err)) {
        reply_failure(call, &err);
        ok = false;
    }
    if (!ok) {
        pause_release(pause);
        return;
    }
    call->data = pause;
    operate(call, &row,
            (struct operate_request){
                .operation = OPERATE_EVENT,
                .event = { .type = EVENT_RESUME, .values = pause->result.stored },
            },
            resumed);
}

static void post_resume_validate(struct call *call)
{
    struct execution_row row;
    struct pause pause;
    if (!call_execution(call, call->path[0], &row) || !pause_find(call, &row, &pause))
        return;
    if (pause_inputs(call, &row, &pause))
        reply_value(
            call, 200,
            shape_input_validation(call->arena, row.flow_id, row.namespace, &pause.result, NULL));
    pause_release(&pause);
}

/* ---- labels ---- */

const struct value *read_labels(struct call *call, const struct value *list)
{
    struct value_builder map = value_build(call->arena);
    for (size_t i = 0; i < value_count(list); i++) {
        const struct value *item = value_item(list, i);
        const char *key = value_get_text(item, "key", NULL);
        const char *value = value_get_text(item, "value", NULL);
        if (str_empty(key) || str_empty(value)) {
            reply_invalid(call, "labels: key and value must not be empty", NULL);
            return NULL;
        }
        if (label_is_reserved(key)) {
            reply_error(call, 422, "Illegal argument",
                        "System labels can only be set by Kestra itself, offending label: %s=%s",
                        key, value);
            return NULL;
        }
        value_put_text(&map, key, value);
    }
    return value_build_map(&map);
}

static void post_labels(struct call *call)
{
    const struct value *body = call_json_list(call);
    struct execution_row row;
    if (body == NULL || !call_execution(call, call->path[0], &row))
        return;
    struct execution *execution = NULL;
    struct error err = { 0 };
    if ((execution = execution_row_decode(&row, NULL, &err)) == NULL) {
        reply_failure(call, &err);
        return;
    }
    // system labels that the execution has already may come back unchanged
    struct value_builder custom = value_build(call->arena);
    for (size_t i = 0; i < value_count(body); i++) {
        const struct value *item = value_item(body, i);
        const char *key = value_get_text(item, "key", NULL);
        const char *own = key == NULL ? NULL : execution_label(execution, key);
        if (key == NULL || !label_is_reserved(key) ||
            !str_eq(own, value_get_text(item, "value", NULL)))
            value_add(&custom, item);
    }
    execution_free(execution);
    const struct value *labels = read_labels(call, value_build_list(&custom));
    if (labels == NULL)
        return;
    if (!states[row.state].is_terminal) {
        reply_error(call, 400, "Bad Request", "The execution is not terminated");
        return;
    }
    operate(call, &row,
            (struct operate_request){
                .operation = OPERATE_EVENT,
                .event = { .type = EVENT_SET_LABELS, .values = labels, .is_replace = true },
            },
            operated);
}

/* ---- table ---- */

static const struct route_query restart_query[] = {
    { "revision", "integer", "Go on with this revision of the flow, as a new execution.", false },
    { 0 },
};
static const struct route_query replay_query[] = {
    { "taskRunId", "string", "From this task run; from the beginning otherwise.", false },
    { "revision", "integer", "Of the flow; that of the execution otherwise.", false },
    { "breakpoints", "string", "Task ids separated by commas.", false },
    { 0 },
};
static const struct route_query status_query[] = {
    { "status", "string", "A final state.", true },
    { 0 },
};
static const struct route_query kill_query[] = {
    { "isOnKillCascade", "boolean", "Its subflows too; true by default.", false },
    { 0 },
};
static const struct route_query state_query[] = {
    { "state", "string", "RUNNING, CANCELLED or FAILED; RUNNING by default.", false },
    { 0 },
};
static const struct route_query breakpoints_query[] = {
    { "breakpoints", "string", "Task ids separated by commas.", false },
    { 0 },
};

#define JSON "application/json"
#define FORM "multipart/form-data"

/* An operation and its alias for 2.0 clients. */
#define OPERATION(method_, name_, run_, flags_, query_, body_, doc_)                               \
    { method_,                                                                                     \
      "executions/{executionId}/" name_,                                                           \
      run_,                                                                                        \
      .flags = (flags_),                                                                           \
      .query = (query_),                                                                           \
      .body = (body_),                                                                             \
      .shape = "Execution",                                                                        \
      .doc = (doc_) },                                                                             \
    {                                                                                              \
        method_, "executions/{executionId}/actions/" name_, run_,                                  \
            .flags = (flags_) | ROUTE_DEPRECATED, .query = (query_), .body = (body_),              \
            .shape = "Execution", .doc = (doc_), .data = action_path                               \
    }

const struct route execution_operation_routes[] = {
    OPERATION(
        "POST", "restart", post_restart, 0, restart_query, NULL, "Runs failed task runs again."),
    OPERATION(
        "POST", "replay", post_replay, 0, replay_query, NULL, "Repeats an execution as a new one."),
    OPERATION("POST",
              "replay-with-inputs",
              post_replay_with_inputs,
              ROUTE_UPLOAD,
              replay_query,
              FORM,
              "Repeats an execution with other inputs."),
    OPERATION("POST",
              "state",
              post_state,
              0,
              NULL,
              JSON,
              "Changes the state of a task run and goes on from there."),
    OPERATION("POST",
              "change-status",
              post_change_status,
              0,
              status_query,
              NULL,
              "Changes the state of an ended execution."),
    OPERATION("DELETE", "kill", delete_kill, 0, kill_query, NULL, "Kills an execution."),
    OPERATION("POST", "pause", post_pause, 0, NULL, NULL, "Pauses a running execution."),
    OPERATION("POST",
              "resume",
              post_resume,
              ROUTE_UPLOAD,
              NULL,
              FORM,
              "Resumes a paused execution; parts are inputs of the pause."),
    OPERATION("POST",
              "resume/validate",
              post_resume_validate,
              ROUTE_UPLOAD,
              NULL,
              FORM,
              "Resolves the inputs of a pause without resuming."),
    OPERATION("POST",
              "resume-from-breakpoint",
              post_resume_from_breakpoint,
              0,
              breakpoints_query,
              NULL,
              "Goes on from a breakpoint, with other breakpoints."),
    OPERATION("POST",
              "unqueue",
              post_unqueue,
              0,
              state_query,
              NULL,
              "Takes an execution out of the queue."),
    OPERATION("POST",
              "force-run",
              post_force_run,
              0,
              NULL,
              NULL,
              "Runs an execution whatever it waits for."),
    OPERATION(
        "POST", "labels", post_labels, 0, NULL, JSON, "Replaces the labels of an ended execution."),
    { 0 },
};
