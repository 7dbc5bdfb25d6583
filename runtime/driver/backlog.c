/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders that wait before they are given to a worker: until there is room among those that were
 * given, or until an earlier attempt of the same task run, which nobody waits for any more, has
 * ended.
 *
 * What is given is stored as given, in the commit before it is sent (orders.h), and counts as an
 * attempt when the server dies. So no more is given than keeps the worker busy, and of a hundred
 * thousand submitted task runs all but a few start after a crash as if nothing had happened.
 */
#include <string.h>

#include "base/check.h"
#include "core/plugin.h"
#include "runtime/driver/driver_internal.h"

static enum lane lane_of(const struct order *order)
{
    return order->plugin->task_kind == TASK_PROCESS ? LANE_PROCESS : LANE_CALL;
}

/* The run of an order that is still to be given; NULL: it was killed, removed, ordered again. */
static struct task_run *wanted(struct driver *driver, const struct order *order, struct live **out)
{
    struct live *live = live_find(driver, order->execution_id);
    if (live == NULL || live->is_deleted)
        return NULL;
    *out = live;
    struct task_run *run = execution_find_run(live->execution, order->run_id);
    if (run == NULL || engine_attempt(run) != order->attempt)
        return NULL;
    bool is_task = run->state.current == STATE_SUBMITTED;
    return is_task == (order->phase == NULL) && !(is_task && run->is_handed) ? run : NULL;
}

static void give(struct driver *driver,
                 struct live *live,
                 struct task_run *run,
                 struct order *order,
                 bool is_counted)
{
    if (run->state.current == STATE_SUBMITTED) {
        run->is_handed = true;
        task_run_touch(live->execution, run);
    }
    orders_hold(driver, live, run, order->attempt);
    if (is_counted) {
        live->on_worker[run->seq] |= ATTEMPT_LANE(lane_of(order));
        driver->lanes[lane_of(order)].given++;
    }
    driver_touch(driver, live);
    *VEC_PUSH(&driver->effects) = (struct effect){ .order = order };
}

/* To the end of its lane, or to the worker at once. */
static void line_up(struct driver *driver,
                    struct live *live,
                    struct task_run *run,
                    struct order *order)
{
    struct lane_state *lane = &driver->lanes[lane_of(order)];
    if (order->phase != NULL) { // short, and never many
        give(driver, live, run, order, false);
    } else if (lane->waiting.count == 0 && lane->given < lane->max) {
        give(driver, live, run, order, true);
    } else {
        orders_hold(driver, live, run, order->attempt);
        live->on_worker[run->seq] |= ATTEMPT_WAITS;
        *VEC_PUSH(&lane->waiting) = order;
    }
}

void backlog_add(struct driver *driver,
                 struct live *live,
                 struct task_run *run,
                 struct order *order,
                 uint32_t earlier)
{
    const struct worker_iface *worker = &driver->config.worker;
    uint32_t held = orders_held(live, run->seq);
    // An execution that had ended is forgotten; the worker knows what it is at.
    if (held == 0 && earlier != 0 && worker->has != NULL &&
        worker->has(worker->data, order->execution_id, order->run_id, earlier)) {
        orders_hold(driver, live, run, earlier);
        held = earlier;
    }
    if (held == 0 || held == order->attempt)
        line_up(driver, live, run, order);
    else
        *VEC_PUSH(&driver->behind) = order;
}

static void drop(struct driver *driver, struct order *order)
{
    struct live *live = live_find(driver, order->execution_id);
    const struct task_run *run =
        live == NULL ? NULL : execution_find_run(live->execution, order->run_id);
    if (run != NULL && (live->on_worker_count > run->seq) &&
        live->on_worker[run->seq] == (order->attempt | ATTEMPT_WAITS)) {
        orders_release(driver, live, run->seq, order->attempt);
        driver_touch(driver, live);
    }
    order_free(order);
}

static void look_behind(struct driver *driver)
{
    size_t kept = 0;
    for (size_t i = 0; i < driver->behind.count; i++) {
        struct order *order = driver->behind.items[i];
        struct live *live = NULL;
        struct task_run *run = wanted(driver, order, &live);
        uint32_t held = run == NULL ? 0 : orders_held(live, run->seq);
        if (run == NULL)
            drop(driver, order);
        else if (held == 0 || held == order->attempt)
            line_up(driver, live, run, order);
        else
            driver->behind.items[kept++] = order;
    }
    driver->behind.count = kept;
}

static void advance(struct driver *driver, struct lane_state *lane)
{
    while (lane->first < lane->waiting.count && lane->given < lane->max) {
        struct order *order = lane->waiting.items[lane->first++];
        struct live *live = NULL;
        struct task_run *run = wanted(driver, order, &live);
        if (run == NULL)
            drop(driver, order);
        else
            give(driver, live, run, order, true);
    }
    // Half of it is gone: each is moved once on average.
    if (lane->first > 0 && lane->first >= lane->waiting.count / 2) {
        lane->waiting.count -= lane->first;
        memmove(lane->waiting.items, lane->waiting.items + lane->first,
                lane->waiting.count * sizeof(*lane->waiting.items));
        lane->first = 0;
    }
}

void backlog_turn(struct driver *driver)
{
    if (driver->behind.count > 0)
        look_behind(driver);
    for (size_t i = 0; i < LANE_COUNT; i++)
        if (driver->lanes[i].waiting.count > 0)
            advance(driver, &driver->lanes[i]);
}

void backlog_free(struct driver *driver)
{
    for (size_t i = 0; i < driver->behind.count; i++)
        order_free(driver->behind.items[i]);
    VEC_FREE(&driver->behind);
    for (size_t i = 0; i < LANE_COUNT; i++) {
        struct lane_state *lane = &driver->lanes[i];
        for (size_t k = lane->first; k < lane->waiting.count; k++)
            order_free(lane->waiting.items[k]);
        VEC_FREE(&lane->waiting);
    }
}
