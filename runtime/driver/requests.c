/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about executions. */
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "core/value.h"
#include "runtime/driver/driver_internal.h"

static void answer(struct driver *driver, struct driver_request *request, const struct error *err)
{
    driver_answer(driver, request, err->code == ERR_NONE ? NULL : err);
}

/* Answers when the execution has fully ended. */
static void wait_for(struct driver *driver, struct driver_request *request, const char *id)
{
    request->next = map_remove(&driver->waits, id);
    map_put(&driver->waits, id, request);
}

/* ---- create ---- */

static void create(struct driver *driver, struct driver_request *request)
{
    const struct create_request *wanted = &request->create;
    struct creation creation = {
        .id = wanted->id,
        .asker = wanted->wait ? NULL : request,
        .namespace = wanted->namespace,
        .flow_id = wanted->flow_id,
        .revision = wanted->revision,
        .inputs = wanted->inputs,
        .given = wanted->given,
        .lenient = wanted->lenient_inputs,
        .labels = wanted->labels,
        .labels_count = wanted->labels_count,
        .trigger_id = wanted->trigger_id,
        .trigger_type = wanted->trigger_type,
        .trigger_variables = wanted->trigger_variables,
        .schedule_at = wanted->schedule_at,
        .kind = wanted->kind,
        .breakpoints = wanted->breakpoints,
        .trace_parent = wanted->trace_parent,
        .is_failed = wanted->is_failed,
        .message = wanted->message,
    };
    struct error err = { 0 };
    struct live *live = create_execution(driver, &creation, &err);
    if (live == NULL) {
        driver_answer(driver, request, &err);
        return;
    }
    request->execution.id = live->execution->id;
    if (wanted->wait && !live->execution->fully_ended)
        wait_for(driver, request, live->execution->id.text);
    else
        driver_answer(driver, request, NULL);
}

/* ---- operate ---- */

static void set_label(struct driver *driver, struct live *live, const char *key, const char *value)
{
    struct value_builder builder = value_build(driver->arena);
    value_put_text(&builder, key, value);
    struct event event = { .type = EVENT_SET_LABELS,
                           .values = value_build_map(&builder),
                           .iteration = -1 };
    live->labels_changed = true;
    driver_step(driver, live, &event);
}

/* Sends an event when the engine allows it. */
static void send_event(struct driver *driver,
                       struct driver_request *request,
                       struct live *live,
                       struct event *event)
{
    struct error err = { 0 };
    event->iteration = -1;
    event->at = driver->now;
    if (!engine_allows(live->execution, event->type, event, &err)) {
        driver_answer(driver, request, &err);
        return;
    }
    if (event->type == EVENT_SET_LABELS || event->type == EVENT_CHANGE_RUN ||
        event->type == EVENT_RESTART)
        live->labels_changed = true;
    request->execution.id = live->execution->id;
    driver_step(driver, live, event);
    driver_answer(driver, request, NULL);
}

static int64_t wanted_revision(struct driver *driver,
                               const struct execution *execution,
                               int64_t revision,
                               struct error *err)
{
    if (revision == 0)
        return execution->flow_revision;
    if (revision > 0)
        return revision;
    const struct flow *flow = flows_get(driver, execution->namespace, execution->flow_id, 0, err);
    return flow == NULL ? 0 : flow->revision;
}

/* Makes another execution out of one: restart with a revision, replay. */
static void make_another(struct driver *driver, struct driver_request *request, struct live *source)
{
    const struct operate_request *wanted = &request->operate;
    const struct execution *execution = source->execution;
    struct error err = { 0 };
    int64_t revision = wanted_revision(driver, execution, wanted->revision, &err);
    struct flow *flow =
        revision == 0 ? NULL
                      : flows_get(driver, execution->namespace, execution->flow_id, revision, &err);
    if (flow == NULL) {
        driver_answer(driver, request, &err);
        return;
    }
    struct id id = driver_new_id(driver);
    bool is_replay = wanted->operation == OPERATE_REPLAY;
    struct execution *made = is_replay ? engine_replay(execution, flow, &id, wanted->run_id,
                                                       wanted->inputs, driver->now, &err)
                                       : engine_restart_as(execution, flow, &id, driver->now, &err);
    if (made == NULL) {
        driver_answer(driver, request, &err);
        return;
    }
    if (is_replay && wanted->breakpoints != NULL)
        made->breakpoints = value_copy(made->arena, wanted->breakpoints);
    struct live *live = create_from(driver, made);
    if (is_replay)
        set_label(driver, source, "system.replayed", "true");
    request->execution.id = live->execution->id;
    driver_answer(driver, request, NULL);
}

static void restart(struct driver *driver, struct driver_request *request, struct live *live)
{
    struct event event = { .type = EVENT_RESTART, .user = request->operate.event.user };
    struct error err = { 0 };
    int64_t revision = request->operate.revision;
    if (revision != 0)
        revision = wanted_revision(driver, live->execution, revision, &err);
    if (err.code == ERR_NONE && (revision == 0 || revision == live->execution->flow_revision)) {
        send_event(driver, request, live, &event);
        return;
    }
    event.at = driver->now;
    if (err.code != ERR_NONE || !engine_allows(live->execution, EVENT_RESTART, &event, &err)) {
        driver_answer(driver, request, &err);
        return;
    }
    request->operate.revision = revision;
    make_another(driver, request, live);
}

static void operate(struct driver *driver, struct driver_request *request)
{
    struct operate_request *wanted = &request->operate;
    struct error err = { 0 };
    struct live *live = live_get(driver, wanted->execution_id, &err);
    if (live == NULL) {
        driver_answer(driver, request, &err);
        return;
    }
    if (live->needs_recovery)
        recover_step(driver, live);
    struct event event = wanted->event;
    switch (wanted->operation) {
    case OPERATE_EVENT:
        send_event(driver, request, live, &event);
        break;
    case OPERATE_RESTART:
        restart(driver, request, live);
        break;
    case OPERATE_REPLAY:
        make_another(driver, request, live);
        break;
    case OPERATE_KILL:
        event.type = EVENT_KILL;
        event.is_cascade = wanted->is_cascade;
        send_event(driver, request, live, &event);
        break;
    case OPERATE_FORCE_RUN:
        event.type = EVENT_FORCE_RUN;
        send_event(driver, request, live, &event);
        break;
    case OPERATE_UNQUEUE:
        event.type = EVENT_UNQUEUE;
        event.state = wanted->state;
        send_event(driver, request, live, &event);
        break;
    }
}

/* ---- delete ---- */

void requests_remove(struct driver *driver,
                     const struct execution_row *row,
                     bool keep_logs,
                     bool keep_metrics)
{
    struct arena *arena = driver->arena;
    if (map_put(&driver->removed, row->id.text, driver) != NULL)
        return;
    struct live *live = live_find(driver, row->id.text);
    if (live != NULL) { // what it holds is given back, what waits for it is told
        live->is_deleted = true;
        slots_follow(driver, live);
        driver_touch(driver, live);
    }
    struct commit_execution *gone = VEC_PUSH(&driver->commit.executions);
    gone->row = *row;
    gone->row.namespace = arena_strdup(arena, row->namespace);
    gone->row.flow_id = arena_strdup(arena, row->flow_id);
    gone->row.labels = NULL;
    gone->row.labels_count = 0;
    gone->is_removed = true;
    gone->removes_logs = !keep_logs;
    gone->removes_metrics = !keep_metrics;
    gone->counted = states[row->state].is_terminal ? row->state : STATE_COUNT;
    if (!keep_logs && driver->config.logs != NULL)
        *VEC_PUSH(&driver->effects) =
            (struct effect){ .execution_id = check_strdup(row->id.text), .removes_logs = true };
    struct driver_request *waiting = map_remove(&driver->waits, row->id.text);
    while (waiting != NULL) {
        struct driver_request *next = waiting->next;
        struct error err;
        error_set(&err, ERR_NOT_FOUND, "execution '%s' was deleted", row->id.text);
        driver_answer(driver, waiting, &err);
        waiting = next;
    }
    *VEC_PUSH(&driver->notices) = (struct execution_notice){
        .key = row->key,
        .execution_id = arena_strdup(arena, row->id.text),
        .namespace = gone->row.namespace,
        .flow_id = gone->row.flow_id,
        .state = row->state,
        .is_deleted = true,
    };
}

static void delete_executions(struct driver *driver, struct driver_request *request)
{
    struct delete_request *wanted = &request->delete;
    struct store_reader *reader = driver->reader;
    struct arena *arena = driver->arena;
    struct execution_row *rows = ARENA_ARRAY(arena, wanted->count, struct execution_row);
    for (size_t i = 0; i < wanted->count; i++) {
        struct error err = { 0 };
        const struct live *live = live_find(driver, wanted->ids[i]);
        bool is_new = live != NULL && live->execution->is_new;
        if (map_has(&driver->removed, wanted->ids[i]))
            error_set(&err, ERR_NOT_FOUND, "execution '%s' does not exist", wanted->ids[i]);
        else if (is_new || (live != NULL && live->is_deleted))
            error_set(&err, ERR_CONFLICT, "execution '%s' is being changed", wanted->ids[i]);
        else if (reader->ops->execution_get(reader, arena, wanted->ids[i], &rows[i], &err) &&
                 rows[i].live != LIVE_ENDED && !wanted->non_terminated_too)
            error_set(&err, ERR_CONFLICT, "execution '%s' has not ended", wanted->ids[i]);
        if (err.code != ERR_NONE) {
            driver_answer(driver, request, &err);
            return;
        }
    }
    for (size_t i = 0; i < wanted->count; i++) {
        struct live *live = live_find(driver, rows[i].id.text);
        if (live == NULL && rows[i].live != LIVE_ENDED)
            live = live_adopt(driver, &rows[i], NULL); // slots and locks are given back
        if (live != NULL && !live->execution->fully_ended) {
            live->needs_recovery = false;
            orders_cancel_all(driver, live);
            triggers_execution_ended(driver, live);
            commands_deleted(driver, live);
        }
        requests_remove(driver, &rows[i], wanted->keep_logs, wanted->keep_metrics);
    }
    wanted->deleted = wanted->count;
    driver_answer(driver, request, NULL);
}

/* ---- logs, wait ---- */

static void purge_logs(struct driver *driver, struct driver_request *request)
{
    const struct logs_request *wanted = &request->logs;
    struct arena *arena = driver->arena;
    struct commit_log_purge purge = {
        .namespace = arena_strdup(arena, wanted->namespace),
        .flow_id = arena_strdup(arena, wanted->flow_id),
        .trigger_id = arena_strdup(arena, wanted->trigger_id),
        .before = wanted->before,
        .after = wanted->after,
        .levels = wanted->levels,
        .task_id = arena_strdup(arena, wanted->task_id),
        .run_id = arena_strdup(arena, wanted->run_id),
        .attempt = wanted->attempt,
        .with_children = wanted->with_children,
        .metrics_too = wanted->metrics_too,
        .keeps_lines = wanted->keeps_lines,
    };
    struct error err = { 0 };
    if (wanted->execution_id != NULL) {
        struct execution_row row;
        const struct live *live = live_find(driver, wanted->execution_id);
        if (live != NULL)
            purge.execution = live->key;
        else if (driver->reader->ops->execution_get(driver->reader, arena, wanted->execution_id,
                                                    &row, &err))
            purge.execution = row.key;
        else if (err.code == ERR_NOT_FOUND) // its lines may have stayed
            purge.execution_id = arena_strdup(arena, wanted->execution_id);
    }
    if (purge.execution_id != NULL)
        err = (struct error){ 0 };
    if (err.code == ERR_NONE)
        *VEC_PUSH(&driver->commit.log_purges) = purge;
    answer(driver, request, &err);
}

static void wait(struct driver *driver, struct driver_request *request)
{
    struct error err = { 0 };
    const struct live *live = live_find(driver, request->wait_for);
    if (live != NULL && !live->is_deleted) {
        request->execution.id = live->execution->id;
        if (live->execution->fully_ended)
            driver_answer(driver, request, NULL);
        else
            wait_for(driver, request, live->execution->id.text);
        return;
    }
    struct execution_row *row = ARENA_NEW(request->arena, struct execution_row);
    if (!driver->reader->ops->execution_get(driver->reader, request->arena, request->wait_for, row,
                                            &err)) {
        driver_answer(driver, request, &err);
        return;
    }
    request->execution.id = row->id;
    // A final state is not yet the end: tasks that run after the execution may be parked.
    struct execution *execution =
        row->live == LIVE_ENDED ? NULL : execution_row_decode(row, NULL, &err);
    bool has_ended = row->live == LIVE_ENDED || (execution != NULL && execution->fully_ended);
    execution_free(execution);
    if (!has_ended) {
        wait_for(driver, request, row->id.text);
        return;
    }
    request->execution.key = row->key;
    request->execution.state = row->state;
    request->execution.revision = row->revision;
    request->execution.row = row;
    driver_answer(driver, request, NULL);
}

void requests_handle(struct driver *driver, struct driver_request *request)
{
    switch (request->type) {
    case REQUEST_CREATE:
        create(driver, request);
        break;
    case REQUEST_OPERATE:
        operate(driver, request);
        break;
    case REQUEST_CHANGE:
        changes_handle(driver, request);
        break;
    case REQUEST_TRIGGER:
        triggers_request(driver, request);
        break;
    case REQUEST_DELETE:
        delete_executions(driver, request);
        break;
    case REQUEST_LOGS:
        purge_logs(driver, request);
        break;
    case REQUEST_WAIT:
        wait(driver, request);
        break;
    }
}
