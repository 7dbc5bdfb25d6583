/* SPDX-License-Identifier: Apache-2.0 */
/* Orders to workers: made within a step, sent after the commit. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "core/plugin.h"
#include "core/value.h"
#include "core/value_codec.h"
#include "runtime/driver/driver_internal.h"

/* What a task may render by itself, line by line: everything but outputs (task.h). */
static const char *const line_keys[] = { "flow",   "execution", "task", "taskrun", "inputs", "vars",
                                         "labels", "trigger",   "envs", "globals", NULL };
/* What a function with effects asks about where it is called (evaluate.h). */
static const char *const call_keys[] = { "flow", "execution", "task", "taskrun", "trigger", NULL };
/* What properties may refer to. */
static const char *const all_keys[] = { "flow",   "execution", "task",    "taskrun", "inputs",
                                        "vars",   "labels",    "trigger", "envs",    "globals",
                                        "parent", "parents",   "item",    "kestra",  "outputs",
                                        "tasks",  NULL };

static bool has_raw(const struct prop *props)
{
    for (; props != NULL && props->name != NULL; props++)
        if ((props->flags & PROP_RAW) != 0 || (props->object != NULL && has_raw(props->object)))
            return true;
    return false;
}

static const struct value *snapshot(struct driver *driver,
                                    struct live *live,
                                    struct task_run *run,
                                    const char *const *keys,
                                    struct arena *arena)
{
    const struct value *context =
        engine_context(live->execution, run, driver->config.world, driver->arena);
    struct value_builder builder = value_build(arena);
    for (; *keys != NULL; keys++) {
        const struct value *member = value_get_in(driver->arena, context, *keys, strlen(*keys));
        if (member != NULL)
            value_put(&builder, *keys, value_copy(arena, member));
    }
    return value_build_map(&builder);
}

const struct value *orders_context(struct driver *driver, struct live *live, struct arena *arena)
{
    return snapshot(driver, live, NULL, all_keys, arena);
}

static struct order *order_new(struct live *live, enum order_type type)
{
    struct arena *arena = arena_new_sized(1024);
    struct order *order = ARENA_NEW(arena, struct order);
    const struct execution *execution = live->execution;
    order->type = type;
    order->arena = arena;
    order->execution = live->key;
    order->execution_id = arena_strdup(arena, execution->id.text);
    order->namespace = arena_strdup(arena, execution->namespace);
    order->flow_id = arena_strdup(arena, execution->flow_id);
    order->flow_revision = execution->flow_revision;
    order->iteration = -1;
    return order;
}

static void fill_run(struct order *order, const struct task_run *run)
{
    struct arena *arena = order->arena;
    order->task_id = arena_strdup(arena, run->task_id);
    order->run_id = arena_strdup(arena, run->id.text);
    order->value = arena_strdup(arena, run->value);
    order->iteration = run->iteration;
    order->remote_id = arena_strdup(arena, run->remote_id);
    order->memo = run->memo == NULL ? NULL : value_copy(arena, run->memo);
    if (run->task != NULL) {
        order->log_level = run->task->log_level;
        order->log_to_file = run->task->log_to_file;
    }
}

uint32_t orders_held(const struct live *live, uint32_t seq)
{
    return seq < live->on_worker_count ? live->on_worker[seq] & ATTEMPT_NUMBER : 0;
}

/* Nothing is held for the run any more. */
static void clear(struct driver *driver, struct live *live, uint32_t seq)
{
    uint32_t held = live->on_worker[seq];
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        if ((held & ATTEMPT_LANE(lane)) != 0)
            driver->lanes[lane].given--;
    live->orders -= held != 0 ? 1 : 0;
    live->on_worker[seq] = 0;
}

void orders_hold(struct driver *driver,
                 struct live *live,
                 const struct task_run *run,
                 uint32_t attempt)
{
    if (run->seq >= live->on_worker_count) {
        size_t count = live->on_worker_count == 0 ? 16 : live->on_worker_count;
        while (count <= run->seq)
            count *= 2;
        live->on_worker = check_realloc(live->on_worker, count * sizeof(*live->on_worker));
        memset(live->on_worker + live->on_worker_count, 0,
               (count - live->on_worker_count) * sizeof(*live->on_worker));
        live->on_worker_count = count;
    }
    clear(driver, live, run->seq);
    live->on_worker[run->seq] = attempt & ATTEMPT_NUMBER;
    live->orders++;
}

void orders_release(struct driver *driver, struct live *live, uint32_t seq, uint32_t attempt)
{
    if (orders_held(live, seq) == attempt && attempt != 0)
        clear(driver, live, seq);
}

void orders_answered(struct driver *driver, struct live *live, const struct event *event)
{
    if (event->type == EVENT_EVALUATED) {
        if (live->questions > 0) {
            live->orders--;
            live->questions--;
        }
    } else if (event->type == EVENT_RUN_ENDED || event->type == EVENT_RUN_REMOTE) {
        const struct task_run *run = execution_find_run(live->execution, event->run_id);
        if (run != NULL)
            orders_release(driver, live, run->seq, event->attempt);
    }
}

void orders_run(struct driver *driver, struct live *live, const struct command *command)
{
    struct task_run *run = command->run;
    bool is_poll = run->remote_id != NULL;
    bool is_task = !is_poll && command->phase == NULL;
    if (is_task && (run->state.current != STATE_SUBMITTED || run->orders != command->attempt))
        return; // ended by a later part of the same step
    struct order *order = order_new(live, is_poll ? ORDER_POLL : ORDER_RUN);
    struct arena *arena = order->arena;
    fill_run(order, run);
    order->plugin = command->plugin;
    order->attempt = command->attempt;
    order->props = command->props == NULL ? NULL : value_copy(arena, command->props);
    order->timeout = command->timeout;
    order->working_dir_of = arena_strdup(arena, command->working_dir_of);
    order->phase = arena_strdup(arena, command->phase);
    if (command->plugin != NULL && has_raw(command->plugin->props))
        order->context = snapshot(driver, live, run, line_keys, arena);
    if (is_poll) {
        orders_hold(driver, live, run, command->attempt);
        *VEC_PUSH(&driver->effects) = (struct effect){ .order = order };
    } else {
        backlog_add(driver, live, run, order, command->earlier);
    }
}

/*
 * A remote job that nobody polls just now must be told by an order, with its properties: those it
 * was started with, or after a restart of the server as they are written.
 */
static void cancel_remote(struct driver *driver,
                          struct live *live,
                          struct task_run *run,
                          const struct task *task,
                          const char *remote_id,
                          uint32_t attempt)
{
    struct order *order = order_new(live, ORDER_CANCEL);
    fill_run(order, run);
    order->plugin = task->type;
    order->attempt = attempt;
    if (remote_id != NULL)
        order->remote_id = arena_strdup(order->arena, remote_id);
    order->is_raw = run->props == NULL;
    order->props = value_copy(order->arena, order->is_raw ? task->doc : run->props);
    order->context = snapshot(driver, live, run, all_keys, order->arena);
    orders_hold(driver, live, run, attempt);
    *VEC_PUSH(&driver->effects) = (struct effect){ .order = order };
}

static void cancel(struct driver *driver,
                   const struct live *live,
                   const struct task_run *run,
                   uint32_t attempt)
{
    *VEC_PUSH(&driver->effects) = (struct effect){
        .execution_id = check_strdup(live->execution->id.text),
        .run_id = check_strdup(run->id.text),
        .attempt = attempt,
    };
}

void orders_cancel(struct driver *driver, struct live *live, const struct command *command)
{
    struct task_run *run = command->run;
    const struct task *task = run->dynamic != NULL ? run->dynamic : run->task;
    bool is_remote = run->remote_id != NULL || command->remote_id != NULL;
    if (is_remote && task != NULL && task->type != NULL && task->type->task_kind == TASK_REMOTE) {
        cancel_remote(driver, live, run, task, command->remote_id, command->attempt);
        return;
    }
    bool waits = orders_held(live, run->seq) == command->attempt &&
                 (live->on_worker[run->seq] & ATTEMPT_WAITS) != 0;
    if (!waits) // else no worker has heard of it
        cancel(driver, live, run, command->attempt);
    // What is no longer part of the execution answers to nobody.
    if (waits || run->is_removed)
        orders_release(driver, live, run->seq, command->attempt);
}

void orders_forget(struct driver *driver, struct live *live)
{
    for (uint32_t seq = 0; seq < live->on_worker_count; seq++)
        clear(driver, live, seq);
}

void orders_cancel_all(struct driver *driver, struct live *live)
{
    for (uint32_t seq = 1; seq < live->on_worker_count && live->orders > 0; seq++) {
        const struct task_run *run = execution_run_by_seq(live->execution, seq);
        uint32_t attempt = orders_held(live, seq);
        if (attempt == 0)
            continue;
        if (run != NULL && (live->on_worker[seq] & ATTEMPT_WAITS) == 0)
            cancel(driver, live, run, attempt);
        clear(driver, live, seq);
    }
}

/* ---- questions ---- */

/* Remembered outputs of a task: {outputs}, or null. */
static const struct value *from_cache(struct driver *driver,
                                      struct live *live,
                                      const struct value *arguments)
{
    struct cache_row row;
    const struct execution *execution = live->execution;
    const char *key = value_get_text(arguments, "key", "");
    const struct value *outputs = NULL;
    if (driver->reader->ops->cache_get(driver->reader, driver->arena, execution->namespace,
                                       execution->flow_id, key, &row, NULL) &&
        row.expires_at > driver->now)
        outputs = value_decode(driver->arena, row.body.at, row.body.length, NULL);
    if (outputs == NULL)
        return &value_null;
    struct value_builder builder = value_build(driver->arena);
    value_put(&builder, "outputs", outputs);
    return value_build_map(&builder);
}

void orders_evaluate(struct driver *driver, struct live *live, const struct command *command)
{
    if (strcmp(command->key, "cache") == 0) { // answered from the store, without a worker
        struct event event = {
            .type = EVENT_EVALUATED,
            .run_id = command->run == NULL ? NULL : command->run->id.text,
            .attempt = command->attempt,
            .key = engine_answer_key(driver->arena, command->key, command->props),
            .values = from_cache(driver, live, command->props),
            .iteration = -1,
        };
        driver_push(driver, live, &event);
        return;
    }
    struct order *order = order_new(live, ORDER_EVALUATE);
    if (command->run != NULL)
        fill_run(order, command->run);
    order->attempt = command->attempt;
    order->function = arena_strdup(order->arena, command->key);
    order->props =
        command->props == NULL ? &value_empty_map : value_copy(order->arena, command->props);
    order->context = snapshot(driver, live, command->run, call_keys, order->arena);
    live->orders++;
    live->questions++;
    *VEC_PUSH(&driver->effects) = (struct effect){ .order = order };
}

/* ---- sending ---- */

static bool submit(struct driver *driver, struct order *order)
{
    const struct worker_iface *worker = &driver->config.worker;
    return worker->submit != NULL && worker->submit(worker->data, order);
}

static void send(struct driver *driver, struct effect *effect)
{
    const struct worker_iface *worker = &driver->config.worker;
    if (effect->order != NULL && driver->is_last) {
        order_free(effect->order); // made again at the next start
        return;
    }
    if (effect->order != NULL) {
        // First come, first served: behind one that was refused, others wait too.
        if (driver->refused.count > 0 || !submit(driver, effect->order))
            *VEC_PUSH(&driver->refused) = effect->order;
        return;
    }
    if (effect->removes_logs)
        (void)logstore_remove(driver->config.logs, effect->execution_id, NULL); // else an orphan
    else if (effect->is_forget && worker->forget != NULL)
        worker->forget(worker->data, effect->execution_id);
    else if (!effect->is_forget && worker->cancel != NULL)
        worker->cancel(worker->data, effect->execution_id, effect->run_id, effect->attempt);
    free(effect->execution_id);
    free(effect->run_id);
}

void orders_send(struct driver *driver)
{
    for (size_t i = 0; i < driver->effects.count; i++)
        send(driver, &driver->effects.items[i]);
    driver->effects.count = 0;
}

static void take_back(struct driver *driver, struct live *live)
{
    for (uint32_t seq = 1; seq < live->on_worker_count; seq++) {
        struct task_run *run =
            orders_held(live, seq) == 0 ? NULL : execution_run_by_seq(live->execution, seq);
        if (run == NULL || run->state.current != STATE_SUBMITTED || !run->is_handed)
            continue;
        run->is_handed = false;
        task_run_touch(live->execution, run);
        driver_touch(driver, live);
    }
}

void orders_take_back(struct driver *driver)
{
    const struct worker_iface *worker = &driver->config.worker;
    if (worker->has_stopped == NULL || !worker->has_stopped(worker->data))
        return;
    size_t at = 0;
    const struct map_slot *slot;
    while ((slot = map_next(&driver->lives, &at)) != NULL)
        take_back(driver, slot->value);
}

void orders_retry(struct driver *driver)
{
    size_t sent = 0;
    while (sent < driver->refused.count && submit(driver, driver->refused.items[sent]))
        sent++;
    if (sent == 0)
        return;
    driver->refused.count -= sent;
    memmove(driver->refused.items, driver->refused.items + sent,
            driver->refused.count * sizeof(*driver->refused.items));
}

void orders_drop(struct driver *driver)
{
    for (size_t i = 0; i < driver->effects.count; i++) {
        order_free(driver->effects.items[i].order);
        free(driver->effects.items[i].execution_id);
        free(driver->effects.items[i].run_id);
    }
    for (size_t i = 0; i < driver->refused.count; i++)
        order_free(driver->refused.items[i]);
    VEC_FREE(&driver->effects);
    VEC_FREE(&driver->refused);
    backlog_free(driver);
}

/* ---- leases ---- */

static bool is_refused(const struct driver *driver, const char *run_id, uint32_t attempt)
{
    for (size_t i = 0; i < driver->refused.count; i++) {
        const struct order *order = driver->refused.items[i];
        if (order->attempt == attempt && order->run_id != NULL &&
            strcmp(order->run_id, run_id) == 0)
            return true;
    }
    return false;
}

/*
 * An attempt is lost when the worker does not know it twice in a row: between the two, an answer
 * that was on its way has been read.
 */
static void check_lease(struct driver *driver, struct live *live)
{
    const struct worker_iface *worker = &driver->config.worker;
    for (uint32_t seq = 1; seq < live->on_worker_count && live->orders > 0; seq++) {
        uint32_t attempt = orders_held(live, seq);
        if (attempt == 0 || (live->on_worker[seq] & ATTEMPT_WAITS) != 0)
            continue;
        const struct task_run *run = execution_run_by_seq(live->execution, seq);
        if (run == NULL ||
            worker->has(worker->data, live->execution->id.text, run->id.text, attempt) ||
            is_refused(driver, run->id.text, attempt)) {
            live->on_worker[seq] &= ~ATTEMPT_SUSPECT;
        } else if ((live->on_worker[seq] & ATTEMPT_SUSPECT) == 0) {
            live->on_worker[seq] |= ATTEMPT_SUSPECT;
        } else {
            struct event event = {
                .type = EVENT_RUN_LOST, .run_id = run->id.text, .attempt = attempt, .iteration = -1
            };
            clear(driver, live, seq);
            driver_push(driver, live, &event);
        }
    }
}

void orders_check_leases(struct driver *driver)
{
    wheel_set(driver->wheel, &driver->lease, driver->now + driver->config.lease);
    if (driver->config.worker.has == NULL)
        return;
    size_t at = 0;
    const struct map_slot *slot;
    while ((slot = map_next(&driver->lives, &at)) != NULL)
        check_lease(driver, slot->value);
}
