/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/driver_bed.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"
#include "core/diag.h"
#include "core/value.h"
#include "tests/support/engine_bed.h"
#include "tests/support/test.h"

const usec_t bed_noon = (usec_t)1767268800 * USEC_SEC;

/* Turns in which a test has to come to rest; more is an endless loop. */
#define TURNS_MAX 100000

/* Timers that a test may pass by. */
#define STEPS_MAX 5000000

const char *driver_bed_database(void)
{
    static char path[4096];
    (void)snprintf(path, sizeof(path), "%s/weir.db", test_folder());
    return path;
}

/* ---- the worker ---- */

static bool submit(void *data, struct order *order)
{
    struct driver_bed *bed = data;
    if (bed->refuses)
        return false;
    for (size_t i = 0; i < bed->orders.count; i++) {
        const struct order *other = bed->orders.items[i];
        bool is_same = order->run_id != NULL && str_eq(other->run_id, order->run_id) &&
                       other->attempt == order->attempt && other->type == order->type &&
                       order->type != ORDER_EVALUATE;
        if (!is_same)
            continue;
        order_free(order); // it has this attempt already
        return true;
    }
    bed->orders_seen++;
    *VEC_PUSH(&bed->orders) = order;
    return true;
}

static void cancel(void *data, const char *execution_id, const char *run_id, uint32_t attempt)
{
    struct driver_bed *bed = data;
    struct bed_cancel *entry = VEC_PUSH(&bed->cancels);
    entry->attempt = attempt;
    memcpy(entry->execution_id, execution_id, strlen(execution_id) + 1);
    memcpy(entry->run_id, run_id, strlen(run_id) + 1);
}

static bool has(void *data, const char *execution_id, const char *run_id, uint32_t attempt)
{
    const struct driver_bed *bed = data;
    (void)execution_id; // run ids are unique
    for (size_t i = 0; i < bed->orders.count && !bed->knows_nothing; i++)
        if (str_eq(bed->orders.items[i]->run_id, run_id) &&
            bed->orders.items[i]->attempt == attempt)
            return true;
    return false;
}

static bool has_stopped(void *data)
{
    return ((struct driver_bed *)data)->has_stopped;
}

static void forget_orders(struct driver_bed *bed)
{
    for (size_t i = 0; i < bed->orders.count; i++)
        order_free(bed->orders.items[i]);
    bed->orders.count = 0;
}

/* ---- life ---- */

static usec_t bed_now(void *data)
{
    return ((struct driver_bed *)data)->now;
}

static void open_store(struct driver_bed *bed)
{
    struct error err = { 0 };
    struct store_sqlite_options options = { .path = bed->path, .is_volatile = true };
    bed->store = bed->path == NULL ? store_memory_new() : store_sqlite_open(&options, &err);
    if (bed->store == NULL)
        fail_msg("%s", err.text);
}

static void broken(void *data, const struct error *err)
{
    (void)err;
    ((struct driver_bed *)data)->is_broken = true;
}

void driver_bed_start(struct driver_bed *bed)
{
    struct error err = { 0 };
    if (bed->store == NULL)
        open_store(bed);
    struct fault_store before = bed->faults;
    fault_store_init(&bed->faults, bed->store);
    bed->faults.commits = before.commits;
    bed->faults.at = before.at;
    bed->faults.times = before.times;
    bed->faults.fault = before.fault;
    bed->is_broken = false;
    struct driver_config config = {
        .broken = broken,
        .broken_data = bed,
        .store = &bed->faults.base,
        .logs = bed->logs,
        .world = &bed->world,
        .plugins = bed_plugins(),
        .worker = { .data = bed,
                    .submit = submit,
                    .cancel = cancel,
                    .has = has,
                    .has_stopped = has_stopped },
        .zone = "UTC",
        .now = bed_now,
        .now_data = bed,
        .retention = bed->retention,
        .linger = bed->linger,
        .calls_max = bed->calls_max,
        .recover_missed = bed->recover_missed,
        .seed = 42 + bed->starts++, // else the same ids would be made again
        .parked_after = 2,
    };
    bed->driver = driver_new(&config, &err);
    if (bed->driver == NULL)
        fail_msg("%s", err.text);
    bed->reader = store_reader_open(bed->store, &err);
    if (bed->reader == NULL)
        fail_msg("%s", err.text);
    driver_bed_settle(bed);
}

void driver_bed_open(struct driver_bed *bed, const char *path)
{
    struct error err = { 0 };
    *bed = (struct driver_bed){ .arena = arena_new(), .path = path, .now = bed_noon };
    bed->world = (struct engine_world){
        .plugins = bed_plugins(),
        .envs = &value_empty_map,
        .globals = &value_empty_map,
        .kestra = &value_empty_map,
        .zone = "UTC",
        .work_root = "/work-root",
    };
    bed->logs = logstore_new(&(struct logstore_options){ 0 }, &err);
    driver_bed_start(bed);
}

void driver_bed_kill(struct driver_bed *bed)
{
    driver_free(bed->driver);
    bed->driver = NULL;
    store_reader_free(bed->reader);
    bed->reader = NULL;
    forget_orders(bed);
    if (bed->path != NULL) { // what is in memory survives as a disk would
        store_free(bed->store);
        bed->store = NULL;
    }
}

void driver_bed_crash(struct driver_bed *bed)
{
    driver_bed_kill(bed);
    driver_bed_start(bed);
}

void driver_bed_restart(struct driver_bed *bed)
{
    struct error err = { 0 };
    bed->has_stopped = true;
    assert_true(driver_start(bed->driver, &err)); // an orderly stop is one of its thread
    driver_stop(bed->driver);
    bed->has_stopped = false;
    driver_bed_crash(bed);
}

void driver_bed_close(struct driver_bed *bed)
{
    driver_bed_kill(bed);
    store_free(bed->store);
    logstore_free(bed->logs);
    VEC_FREE(&bed->orders);
    VEC_FREE(&bed->cancels);
    arena_free(bed->arena);
}

void driver_bed_settle(struct driver_bed *bed)
{
    int turns = 0;
    while (driver_turn(bed->driver) || driver_next(bed->driver) <= bed->now) {
        if (++turns > TURNS_MAX)
            fail_msg("the driver does not come to rest");
        if (bed->refuses && driver_next(bed->driver) <= bed->now)
            break; // it offers its orders again and again
    }
}

void driver_bed_advance(struct driver_bed *bed, usec_t at)
{
    int turns = 0;
    driver_bed_settle(bed);
    while (bed->now < at) {
        usec_t next = driver_next(bed->driver);
        bed->now = next < at ? (next > bed->now ? next : bed->now + 1) : at;
        driver_bed_settle(bed);
        if (++turns > STEPS_MAX)
            fail_msg("time does not pass");
    }
}

/* ---- asking ---- */

static void done(struct driver_request *request)
{
    *(bool *)request->data = true;
}

void driver_bed_submit(struct driver_bed *bed, struct driver_request *request, bool *is_done)
{
    *is_done = false;
    request->arena = bed->arena;
    request->done = done;
    request->data = is_done;
    assert_true(driver_submit(bed->driver, request));
}

bool driver_bed_ask(struct driver_bed *bed, struct driver_request *request)
{
    bool is_done = false;
    driver_bed_submit(bed, request, &is_done);
    driver_bed_settle(bed);
    assert_true(is_done);
    return request->ok;
}

static bool change(struct driver_bed *bed, struct flow_change *flow)
{
    struct driver_request request = { .type = REQUEST_CHANGE };
    request.change.flows = flow;
    request.change.flows_count = 1;
    bool ok = driver_bed_ask(bed, &request);
    if (!ok)
        print_message("  refused: %s\n", request.error.text);
    return ok;
}

int64_t driver_bed_deploy(struct driver_bed *bed, const char *yaml)
{
    struct diag_list findings = diag_list_new(bed->arena, "flow");
    struct buf text = { 0 };
    buf_puts(&text, "namespace: company.team\n");
    bed_write_types(&text, yaml);
    struct flow *flow = flow_parse(bed_plugins(), buf_text(&text), text.length, NULL, &findings);
    if (flow == NULL) {
        struct buf shown = { 0 };
        for (size_t i = 0; i < findings.all.count; i++)
            diag_render(&shown, &findings.all.items[i], buf_text(&text), false);
        fail_msg("%s", buf_text(&shown));
    }
    struct flow_change item = { 0 };
    flow_change_fill(bed->arena, flow, "UTC", &item);
    flow_unref(flow);
    buf_free(&text);
    if (!change(bed, &item))
        fail_msg("the flow was refused");
    return item.result.revision;
}

bool driver_bed_delete_flow(struct driver_bed *bed, const char *id)
{
    struct flow_change item = { .is_delete = true, .namespace = "company.team", .id = id };
    return change(bed, &item);
}

const char *driver_bed_create(struct driver_bed *bed, const char *flow)
{
    struct driver_request request = { .type = REQUEST_CREATE };
    request.create = (struct create_request){ .namespace = "company.team", .flow_id = flow };
    if (!driver_bed_ask(bed, &request))
        fail_msg("%s", request.error.text);
    return arena_strdup(bed->arena, request.execution.id.text);
}

bool driver_bed_operate(struct driver_bed *bed, const char *id, struct operate_request operate)
{
    struct driver_request request = { .type = REQUEST_OPERATE };
    request.operate = operate;
    request.operate.execution_id = id;
    bool ok = driver_bed_ask(bed, &request);
    if (!ok)
        print_message("  refused: %s\n", request.error.text);
    return ok;
}

/* ---- looking ---- */

const struct execution *driver_bed_execution(struct driver_bed *bed, const char *id)
{
    struct execution_row row;
    struct error err = { 0 };
    if (!bed->reader->ops->execution_get(bed->reader, bed->arena, id, &row, &err))
        fail_msg("%s", err.text);
    struct execution *execution = execution_row_decode(&row, NULL, &err);
    if (execution == NULL)
        fail_msg("%s", err.text);
    // Kept for the rest of the test: texts are borrowed from it.
    static struct execution *kept[4096];
    static size_t kept_count;
    if (kept_count == COUNT_OF(kept)) {
        for (size_t i = 0; i < COUNT_OF(kept); i++)
            execution_free(kept[i]);
        kept_count = 0;
    }
    kept[kept_count++] = execution;
    return execution;
}

const char *driver_bed_state(struct driver_bed *bed, const char *id)
{
    struct execution_row row;
    return bed->reader->ops->execution_get(bed->reader, bed->arena, id, &row, NULL)
               ? states[row.state].name
               : NULL;
}

const char *driver_bed_history(struct driver_bed *bed, const char *id)
{
    struct buf text = { 0 };
    bed_write_history(&driver_bed_execution(bed, id)->state, &text);
    const char *copy = buf_dup(&text, bed->arena);
    buf_free(&text);
    return copy;
}

size_t driver_bed_executions(struct driver_bed *bed, const char *flow, struct execution_row **rows)
{
    struct error err = { 0 };
    const char **value = ARENA_ARRAY(bed->arena, 1, const char *);
    value[0] = flow;
    struct filter filter = {
        .field = FIELD_FLOW, .match = MATCH_EQUAL, .values = value, .values_count = 1
    };
    struct query query = {
        .filters = &filter, .filters_count = 1, .sort = FIELD_CREATED, .limit = 100000
    };
    size_t count = 0;
    if (!bed->reader->ops->execution_search(bed->reader, bed->arena, &query, true, rows, &count,
                                            NULL, &err))
        fail_msg("%s", err.text);
    return count;
}

const struct trigger_state *driver_bed_trigger(struct driver_bed *bed,
                                               const char *flow,
                                               const char *trigger)
{
    struct error err = { 0 };
    struct trigger_state *state = ARENA_NEW(bed->arena, struct trigger_state);
    if (!bed->reader->ops->trigger_get(bed->reader, bed->arena, "company.team", flow, trigger,
                                       state, &err))
        return NULL;
    return state;
}

void driver_bed_print_log(struct driver_bed *bed, const char *id)
{
    struct execution_row row;
    struct log_line *lines = NULL;
    size_t count = 0;
    struct query query = { .sort = FIELD_COUNT, .limit = 100 };
    struct error err = { 0 };
    if (!bed->reader->ops->execution_get(bed->reader, bed->arena, id, &row, &err) ||
        !logstore_search(bed->logs, bed->reader, bed->arena, row.key, &query, &lines, &count, NULL,
                         &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < count; i++)
        print_message("  %s %s %s\n", log_level_name(lines[i].level),
                      lines[i].source.task_id == NULL ? "" : lines[i].source.task_id,
                      lines[i].message);
}

/* ---- answering ---- */

struct order *driver_bed_order(struct driver_bed *bed, const char *task_id)
{
    for (size_t i = 0; i < bed->orders.count; i++)
        if (str_eq(bed->orders.items[i]->task_id, task_id))
            return bed->orders.items[i];
    return NULL;
}

void driver_bed_began(struct driver_bed *bed, const struct order *order)
{
    struct worker_answers answers = driver_worker_answers(bed->driver);
    answers.started(answers.data, order->execution_id, order->run_id, order->attempt, "w1");
    driver_bed_settle(bed);
}

static void answered(struct driver_bed *bed, struct order *order)
{
    for (size_t i = 0; i < bed->orders.count; i++)
        if (bed->orders.items[i] == order) {
            bed->orders.count--;
            memmove(&bed->orders.items[i], &bed->orders.items[i + 1],
                    (bed->orders.count - i) * sizeof(struct order *));
            break;
        }
    order_free(order);
    driver_bed_settle(bed);
}

void driver_bed_ended_with(struct driver_bed *bed,
                           struct order *order,
                           enum state state,
                           const struct value *outputs)
{
    struct worker_answers answers = driver_worker_answers(bed->driver);
    answers.ended(answers.data, order->execution_id, order->run_id, order->attempt, state, outputs,
                  state == STATE_FAILED ? "it failed" : NULL, NULL, NULL, 0, NULL);
    answered(bed, order);
}

void driver_bed_remote(struct driver_bed *bed,
                       struct order *order,
                       const char *remote_id,
                       usec_t wake_at)
{
    struct worker_answers answers = driver_worker_answers(bed->driver);
    answers.remote(answers.data, order->execution_id, order->run_id, order->attempt, remote_id,
                   NULL, wake_at, NULL);
    answered(bed, order);
}

void driver_bed_ended(struct driver_bed *bed, struct order *order, enum state state)
{
    driver_bed_ended_with(bed, order, state, NULL);
}
