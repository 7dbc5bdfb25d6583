/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on many executions, by ids or by filters (api.md 1.10).
 *
 * By ids it is all or nothing: members that do not exist or cannot take it stand in the way, and
 * nothing is done. By query it is the same with what the filters find, except for kinds that skip
 * what does not fit. To add one: a row of `operations`, its routes in the table.
 */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "core/value.h"
#include "runtime/api/call.h"
#include "runtime/api/executions.h"
#include "runtime/storage/storage.h"

/* Executions of one call; more are refused with 422. */
#define BULK_MAX 100000U

struct bulk;

struct bulk_operation {
    const char *name; /* in messages: "invalid bulk restart" */
    /* What stands in the way of a member, NULL nothing. */
    const char *(*problem)(const struct bulk *bulk, const struct execution_row *row);
    /* Reads parameters and body; on failure replies and returns false. May be NULL. */
    bool (*read)(struct bulk *bulk);
    /* The request for one member. */
    void (*fill)(const struct bulk *bulk,
                 const struct execution_row *row,
                 struct operate_request *request);
    bool skips; /* by query: members that do not fit are left out */
};

/* A bulk operation under way. */
struct bulk {
    struct call *call;
    const struct bulk_operation *operation;
    const struct value *ids; /* list, NULL: by query */
    enum state state;
    const struct value *labels;
    bool latest_revision;
    bool non_terminated_too;
    struct execution_row *rows;
    size_t count;
    VEC(struct bulk_problem) problems;
};

/* ---- what each operation needs ---- */

static const char *needs_terminated(const struct bulk *bulk, const struct execution_row *row)
{
    (void)bulk;
    return states[row->state].is_terminal ? NULL : "execution not in a terminated state";
}

static const char *needs_restartable(const struct bulk *bulk, const struct execution_row *row)
{
    (void)bulk;
    if (row->state == STATE_KILLED)
        return "execution killed";
    bool fits = states[row->state].is_terminal || row->state == STATE_PAUSED;
    return fits ? NULL : "execution not in state FAILED or PAUSED";
}

static const char *needs_live(const struct bulk *bulk, const struct execution_row *row)
{
    (void)bulk;
    return states[row->state].is_terminal ? "execution already finished" : NULL;
}

static const char *needs_paused(const struct bulk *bulk, const struct execution_row *row)
{
    (void)bulk;
    return row->state == STATE_PAUSED ? NULL : "execution not in state PAUSED";
}

static const char *needs_running(const struct bulk *bulk, const struct execution_row *row)
{
    (void)bulk;
    return row->state == STATE_RUNNING ? NULL : "execution not in state RUNNING";
}

static const char *needs_queued(const struct bulk *bulk, const struct execution_row *row)
{
    (void)bulk;
    return row->state == STATE_QUEUED ? NULL : "execution not in state QUEUED";
}

static const char *needs_deletable(const struct bulk *bulk, const struct execution_row *row)
{
    return bulk->non_terminated_too ? NULL : needs_terminated(bulk, row);
}

static const char *needs_nothing(const struct bulk *bulk, const struct execution_row *row)
{
    (void)bulk;
    (void)row;
    return NULL;
}

/* ---- requests ---- */

static void fill_restart(const struct bulk *bulk,
                         const struct execution_row *row,
                         struct operate_request *request)
{
    (void)bulk;
    (void)row;
    request->operation = OPERATE_RESTART;
}

static void fill_replay(const struct bulk *bulk,
                        const struct execution_row *row,
                        struct operate_request *request)
{
    (void)row;
    request->operation = OPERATE_REPLAY;
    request->revision = bulk->latest_revision ? -1 : 0;
}

static void fill_kill(const struct bulk *bulk,
                      const struct execution_row *row,
                      struct operate_request *request)
{
    (void)bulk;
    (void)row;
    request->operation = OPERATE_KILL;
    request->is_cascade = true;
}

static void fill_pause(const struct bulk *bulk,
                       const struct execution_row *row,
                       struct operate_request *request)
{
    (void)bulk;
    (void)row;
    request->operation = OPERATE_EVENT;
    request->event.type = EVENT_PAUSE;
}

static void fill_resume(const struct bulk *bulk,
                        const struct execution_row *row,
                        struct operate_request *request)
{
    (void)bulk;
    (void)row;
    request->operation = OPERATE_EVENT;
    request->event.type = EVENT_RESUME;
    request->event.values = &value_empty_map;
}

static void fill_status(const struct bulk *bulk,
                        const struct execution_row *row,
                        struct operate_request *request)
{
    (void)row;
    request->operation = OPERATE_EVENT;
    request->event.type = EVENT_CHANGE_STATE;
    request->event.state = bulk->state;
}

static void fill_labels(const struct bulk *bulk,
                        const struct execution_row *row,
                        struct operate_request *request)
{
    (void)row;
    request->operation = OPERATE_EVENT;
    request->event.type = EVENT_SET_LABELS;
    request->event.values = bulk->labels;
}

static void fill_unqueue(const struct bulk *bulk,
                         const struct execution_row *row,
                         struct operate_request *request)
{
    (void)row;
    request->operation = OPERATE_UNQUEUE;
    request->state = bulk->state;
}

static void fill_force_run(const struct bulk *bulk,
                           const struct execution_row *row,
                           struct operate_request *request)
{
    (void)bulk;
    (void)row;
    request->operation = OPERATE_FORCE_RUN;
}

/* ---- parameters ---- */

static bool read_state(struct bulk *bulk, const char *name, bool is_required)
{
    const char *text = is_required ? call_required(bulk->call, name) : call_query(bulk->call, name);
    if (text == NULL)
        return !is_required;
    if (state_parse(text, &bulk->state))
        return true;
    reply_error(bulk->call, 422, "Bad Request", "Failed to convert argument [%s] for value [%s]",
                name, text);
    return false;
}

static bool read_status(struct bulk *bulk)
{
    if (!read_state(bulk, "newStatus", true))
        return false;
    if (states[bulk->state].is_terminal)
        return true;
    reply_error(bulk->call, 422, "Illegal argument",
                "You can only change the state of an execution to a terminal state.");
    return false;
}

static bool read_unqueue(struct bulk *bulk)
{
    bulk->state = STATE_RUNNING;
    return read_state(bulk, bulk->ids != NULL ? "state" : "newState", false);
}

static bool read_replay(struct bulk *bulk)
{
    bulk->latest_revision = call_query_bool(bulk->call, "latestRevision", false);
    return true;
}

static bool read_delete(struct bulk *bulk)
{
    bulk->non_terminated_too = call_query_bool(bulk->call, "includeNonTerminated", false);
    return true;
}

/* By ids both are in one object; by query the body is the list of labels. */
static bool read_bulk_labels(struct bulk *bulk)
{
    const struct value *labels = bulk->ids != NULL ? bulk->labels : call_json_list(bulk->call);
    if (labels == NULL) {
        if (bulk->ids != NULL)
            reply_error(bulk->call, 422, "Invalid json mapping",
                        "an object with executionsId and executionLabels is expected");
        return false;
    }
    bulk->labels = read_labels(bulk->call, labels);
    return bulk->labels != NULL;
}

/* ---- members ---- */

static void add_problem(struct bulk *bulk, const char *message, const char *id)
{
    *VEC_PUSH_ARENA(bulk->call->arena, &bulk->problems) =
        (struct bulk_problem){ .message = message, .value = id, .path = "execution" };
}

static bool find_by_ids(struct bulk *bulk, struct store_reader *reader)
{
    struct call *call = bulk->call;
    size_t count = value_count(bulk->ids);
    if (count > BULK_MAX) {
        reply_error(call, 422, "Illegal argument", "more than %u executions", BULK_MAX);
        return false;
    }
    bulk->rows = ARENA_ARRAY(call->arena, count, struct execution_row);
    struct map seen = { 0 };
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        const char *id = value_cstr(value_item(bulk->ids, i));
        if (id != NULL && map_put(&seen, id, bulk) != NULL)
            continue; // one that is named twice is meant once
        struct execution_row *row = &bulk->rows[bulk->count];
        struct error err = { 0 };
        if (id != NULL && reader->ops->execution_get(reader, call->arena, id, row, &err) &&
            str_eq(row->id.text, id)) {
            bulk->count++;
        } else if (id == NULL || err.code == ERR_NONE || err.code == ERR_NOT_FOUND ||
                   err.code == ERR_CONFLICT) {
            add_problem(bulk, "execution not found", id == NULL ? "null" : id);
        } else {
            reply_failure(call, &err);
            ok = false;
        }
    }
    map_free(&seen);
    return ok;
}

static bool find_by_query(struct bulk *bulk, struct store_reader *reader)
{
    struct call *call = bulk->call;
    struct search search;
    if (!call_search(call, &search))
        return false;
    search.query.offset = 0;
    search.query.limit = BULK_MAX;
    struct error err = { 0 };
    if (!reader->ops->execution_search(reader, call->arena, &search.query, false, &bulk->rows,
                                       &bulk->count, NULL, &err)) {
        reply_failure(call, &err);
        return false;
    }
    return true;
}

/* Takes out members that do not fit, or notes them. */
static void check_members(struct bulk *bulk)
{
    size_t kept = 0;
    bool skips = bulk->ids == NULL && bulk->operation->skips;
    for (size_t i = 0; i < bulk->count; i++) {
        const char *problem = bulk->operation->problem(bulk, &bulk->rows[i]);
        if (problem == NULL)
            bulk->rows[kept++] = bulk->rows[i];
        else if (!skips)
            add_problem(bulk, problem, bulk->rows[i].id.text);
    }
    bulk->count = kept;
}

/* Finds all members; on failure replies and returns false. */
static bool find_members(struct bulk *bulk)
{
    struct call *call = bulk->call;
    struct store_reader *reader = call_reader(call);
    if (reader == NULL)
        return false;
    if (bulk->ids != NULL ? !find_by_ids(bulk, reader) : !find_by_query(bulk, reader))
        return false;
    check_members(bulk);
    if (bulk->problems.count > 0) {
        reply_bulk_problems(call, bulk->operation->name, bulk->problems.items,
                            bulk->problems.count);
        return false;
    }
    return true;
}

/* ---- doing ---- */

static void operate_all(struct bulk *bulk)
{
    struct call *call = bulk->call;
    struct driver_request *requests = ARENA_ARRAY(call->arena, bulk->count, struct driver_request);
    for (size_t i = 0; i < bulk->count; i++) {
        requests[i].type = REQUEST_OPERATE;
        requests[i].operate.execution_id = bulk->rows[i].id.text;
        requests[i].operate.event.user = call->user;
        bulk->operation->fill(bulk, &bulk->rows[i], &requests[i].operate);
    }
    call_driver_all(call, requests, bulk->count);

    size_t done = 0;
    for (size_t i = 0; i < bulk->count; i++) {
        // what moved on meanwhile is no member any more
        bool moved_on = requests[i].error.code == ERR_CONFLICT ||
                        requests[i].error.code == ERR_INVALID ||
                        requests[i].error.code == ERR_NOT_FOUND;
        if (requests[i].ok)
            done++;
        else if (!moved_on || !bulk->operation->skips)
            add_problem(bulk, requests[i].error.text, bulk->rows[i].id.text);
    }
    if (bulk->problems.count > 0)
        reply_bulk_problems(call, bulk->operation->name, bulk->problems.items,
                            bulk->problems.count);
    else
        reply_count(call, done);
}

static void delete_all(struct bulk *bulk)
{
    struct call *call = bulk->call;
    const char **ids = ARENA_ARRAY(call->arena, bulk->count, const char *);
    for (size_t i = 0; i < bulk->count; i++)
        ids[i] = bulk->rows[i].id.text;
    call->driver.type = REQUEST_DELETE;
    call->driver.delete = (struct delete_request){
        .ids = ids,
        .count = bulk->count,
        .keep_logs = !call_query_bool(call, "deleteLogs", true),
        .keep_metrics = !call_query_bool(call, "deleteMetrics", true),
        .non_terminated_too = bulk->non_terminated_too,
    };
    if (bulk->count > 0 && !call_driver_wait(call))
        return;
    bool with_files = call_query_bool(call, "deleteStorage", true);
    for (size_t i = 0; i < bulk->count && with_files; i++)
        execution_files_remove(call, storage_execution_path(call->arena, bulk->rows[i].namespace,
                                                            bulk->rows[i].flow_id, ids[i]));
    reply_count(call, bulk->count);
}

static void run_bulk(struct call *call, bool by_ids)
{
    struct bulk bulk = { .call = call, .operation = call->route->data };
    if (by_ids) {
        const struct value *body = call_json(call);
        if (body == NULL)
            return;
        bulk.ids = body;
        if (value_is_map(body)) {
            bulk.ids = value_get(body, "executionsId");
            bulk.labels = value_get(body, "executionLabels");
        }
        if (!value_is_list(bulk.ids)) {
            reply_error(call, 422, "Invalid json mapping", "the body must be a list of ids");
            return;
        }
    }
    if (bulk.operation->read != NULL && !bulk.operation->read(&bulk))
        return;
    if (!find_members(&bulk))
        return;
    if (bulk.operation->fill != NULL)
        operate_all(&bulk);
    else
        delete_all(&bulk);
}

static void by_ids(struct call *call)
{
    run_bulk(call, true);
}

static void by_query(struct call *call)
{
    run_bulk(call, false);
}

/* ---- tables ---- */

static const struct bulk_operation bulk_delete = { "delete", needs_deletable, read_delete, NULL,
                                                   .skips = true };
static const struct bulk_operation bulk_restart = { "restart", needs_restartable, NULL,
                                                    fill_restart, .skips = false };
static const struct bulk_operation bulk_replay = { "replay", needs_nothing, read_replay,
                                                   fill_replay, .skips = false };
static const struct bulk_operation bulk_status = { "change executions state", needs_terminated,
                                                   read_status, fill_status, .skips = false };
static const struct bulk_operation bulk_kill = { "kill", needs_live, NULL, fill_kill,
                                                 .skips = true };
static const struct bulk_operation bulk_pause = { "pause", needs_running, NULL, fill_pause,
                                                  .skips = false };
static const struct bulk_operation bulk_resume = { "resume", needs_paused, NULL, fill_resume,
                                                   .skips = false };
static const struct bulk_operation bulk_labels = { "set labels", needs_terminated, read_bulk_labels,
                                                   fill_labels, .skips = false };
static const struct bulk_operation bulk_unqueue = { "unqueue", needs_queued, read_unqueue,
                                                    fill_unqueue, .skips = false };
static const struct bulk_operation bulk_force_run = { "force run", needs_live, NULL, fill_force_run,
                                                      .skips = false };

static const struct route_query delete_query[] = {
    { "deleteLogs", "boolean", "Their log lines too; true by default.", false },
    { "deleteMetrics", "boolean", "Their metrics too; true by default.", false },
    { "deleteStorage", "boolean", "Their files too; true by default.", false },
    { "includeNonTerminated", "boolean", "Also those that have not ended.", false },
    { 0 },
};
static const struct route_query status_query[] = {
    { "newStatus", "string", "A final state.", true },
    { 0 },
};
static const struct route_query latest_query[] = {
    { "latestRevision", "boolean", "Of the flow instead of that of each execution.", false },
    { 0 },
};
static const struct route_query state_query[] = {
    { "state", "string", "RUNNING, CANCELLED or FAILED; RUNNING by default.", false },
    { 0 },
};
static const struct route_query new_state_query[] = {
    { "newState", "string", "RUNNING, CANCELLED or FAILED; RUNNING by default.", false },
    { 0 },
};

#define BULK(method_, base_, operation_, ids_query_, query_query_, doc_)                           \
    { method_,                                                                                     \
      base_ "/by-ids",                                                                             \
      by_ids,                                                                                      \
      .query = (ids_query_),                                                                       \
      .body = "application/json",                                                                  \
      .shape = "Count",                                                                            \
      .doc = doc_ " Those of a list of ids.",                                                      \
      .data = &(operation_) },                                                                     \
    {                                                                                              \
        method_, base_ "/by-query", by_query,                                                      \
            .resource = RESOURCE_EXECUTION, .query = (query_query_), .shape = "Count",             \
            .doc = doc_ " Those that filters find.", .data = &(operation_)                         \
    }

const struct route execution_bulk_routes[] = {
    BULK("DELETE", "executions", bulk_delete, delete_query, delete_query, "Removes executions."),
    BULK("POST", "executions/restart", bulk_restart, NULL, NULL, "Restarts executions."),
    BULK("POST",
         "executions/replay",
         bulk_replay,
         latest_query,
         latest_query,
         "Repeats executions."),
    BULK("POST",
         "executions/change-status",
         bulk_status,
         status_query,
         status_query,
         "Changes the state of ended executions."),
    BULK("DELETE", "executions/kill", bulk_kill, NULL, NULL, "Kills executions."),
    BULK("POST", "executions/pause", bulk_pause, NULL, NULL, "Pauses executions."),
    BULK("POST", "executions/resume", bulk_resume, NULL, NULL, "Resumes executions."),
    BULK("POST", "executions/labels", bulk_labels, NULL, NULL, "Adds labels to executions."),
    BULK("POST",
         "executions/unqueue",
         bulk_unqueue,
         state_query,
         new_state_query,
         "Takes executions out of the queue."),
    BULK("POST",
         "executions/force-run",
         bulk_force_run,
         NULL,
         NULL,
         "Runs executions whatever they wait for."),
    { 0 },
};
