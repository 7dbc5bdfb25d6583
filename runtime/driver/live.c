/* SPDX-License-Identifier: Apache-2.0 */
/* Executions in memory: finding, loading, timers, parking. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/driver/driver_internal.h"

/* Timers due within this time are kept in memory; later ones are loaded when it comes near. */
#define HORIZON (60 * USEC_SEC)

/* An execution in the store that wakes soon. */
struct waker {
    struct wheel_timer timer;
    uint8_t owner;    /* enum timer_owner */
    struct list link; /* in driver->wakers */
    int64_t key;
};

/* ---- finding and loading ---- */

struct live *live_find(struct driver *driver, const char *id)
{
    return map_find(&driver->lives, id);
}

struct live *live_new(struct driver *driver, struct execution *execution, int64_t key)
{
    struct live *live = check_calloc(1, sizeof(*live));
    live->execution = execution;
    live->key = key;
    live->counted = STATE_COUNT;
    list_init(&live->touched);
    list_init(&live->cached);
    list_init(&live->timers);
    CHECK(map_put(&driver->lives, execution->id.text, live) == NULL);
    return live;
}

void live_note_stored(struct live *live, const struct execution_row *row)
{
    live->stored = row->live;
    live->stored_wake_at = row->wake_at;
    live->stored_created_at = row->created_at;
    live->stored_state = row->state;
    live->stored_slot = row->holds_slot;
}

struct live *live_adopt(struct driver *driver, const struct execution_row *row, struct error *err)
{
    if (map_has(&driver->removed, row->id.text)) {
        error_set(err, ERR_NOT_FOUND, "execution '%s' does not exist", row->id.text);
        return NULL;
    }
    struct error ignored;
    struct flow *flow = flows_get(driver, row->namespace, row->flow_id, row->revision, &ignored);
    struct execution *execution = execution_row_decode(row, flow, err);
    if (execution == NULL)
        return NULL;
    struct live *live = live_new(driver, execution, row->key);
    live_note_stored(live, row);
    live->counted = states[row->state].is_terminal ? row->state : STATE_COUNT;
    live->holds_slot = execution->holds_slot;
    live->is_queued = row->state == STATE_QUEUED;
    live->is_loaded = true;
    live->needs_recovery = row->live != LIVE_ENDED;
    driver_touch(driver, live); // so that it is settled at the end of the turn
    return live;
}

struct live *live_get(struct driver *driver, const char *id, struct error *err)
{
    struct live *live = live_find(driver, id);
    if (live != NULL && !live->is_deleted)
        return live;
    if (live != NULL) {
        error_set(err, ERR_NOT_FOUND, "execution '%s' does not exist", id);
        return NULL;
    }
    struct execution_row row;
    struct arena *arena = arena_new();
    if (driver->reader->ops->execution_get(driver->reader, arena, id, &row, err)) {
        live = live_find(driver, row.id.text); // a prefix was given
        if (live == NULL)
            live = live_adopt(driver, &row, err);
    }
    arena_free(arena);
    return live;
}

/* Among those that changed in this turn: they may not be stored yet. */
static struct live *find_touched(struct driver *driver, int64_t key)
{
    struct list *at;
    LIST_EACH(at, &driver->touched) {
        struct live *live = LIST_OWNER(at, struct live, touched);
        if (live->key == key)
            return live;
    }
    return NULL;
}

struct live *live_get_key(struct driver *driver, int64_t key, struct error *err)
{
    struct execution_row row;
    struct live *live = find_touched(driver, key);
    if (live != NULL)
        return live;
    struct arena *arena = arena_new();
    if (driver->reader->ops->execution_by_key(driver->reader, arena, key, &row, err)) {
        live = live_find(driver, row.id.text);
        if (live == NULL)
            live = live_adopt(driver, &row, err);
    }
    arena_free(arena);
    return live;
}

/* ---- timers ---- */

static struct live_timer *find_timer(const struct live *live, uint32_t run, enum timer_kind kind)
{
    struct list *at;
    LIST_EACH(at, &live->timers) {
        struct live_timer *timer = LIST_OWNER(at, struct live_timer, link);
        if (timer->run == run && timer->kind == kind)
            return timer;
    }
    return NULL;
}

static void timer_free(struct driver *driver, struct live_timer *timer)
{
    wheel_cancel(driver->wheel, &timer->timer);
    list_remove(&timer->link);
    free(timer);
}

void live_set_timer(struct driver *driver, struct live *live, const struct command *command)
{
    uint32_t run = command->run == NULL ? 0 : command->run->seq;
    // SLAs of an execution have a timer each; all others replace the one before.
    struct live_timer *timer =
        command->timer == TIMER_SLA ? NULL : find_timer(live, run, command->timer);
    if (timer == NULL) {
        timer = check_calloc(1, sizeof(*timer));
        timer->owner = TIMER_OF_LIVE;
        timer->live = live;
        timer->kind = command->timer;
        timer->run = run;
        list_push(&live->timers, &timer->link);
    }
    timer->generation = command->generation;
    wheel_set(driver->wheel, &timer->timer, command->at);
}

void live_cancel_timers(struct driver *driver, struct live *live)
{
    while (!list_is_empty(&live->timers))
        timer_free(driver, LIST_OWNER(live->timers.next, struct live_timer, link));
}

static void run_timer_due(struct driver *driver, struct live_timer *timer)
{
    struct live *live = timer->live;
    const struct task_run *run =
        timer->run == 0 ? NULL : execution_run_by_seq(live->execution, timer->run);
    struct event event = {
        .type = EVENT_TIMER,
        .timer = timer->kind,
        .generation = timer->generation,
        .run_id = run == NULL ? NULL : run->id.text,
        .iteration = -1,
    };
    bool is_stale = timer->run != 0 && run == NULL;
    bool admits = timer->kind == TIMER_SCHEDULE;
    timer_free(driver, timer);
    if (!is_stale)
        driver_push(driver, live, &event)->admits = admits;
}

static void waker_free(struct waker *waker)
{
    list_remove(&waker->link);
    free(waker);
}

static void waker_due(struct driver *driver, struct waker *waker)
{
    int64_t key = waker->key;
    waker_free(waker);
    struct execution_row row;
    struct error err = { 0 };
    struct arena *arena = arena_new();
    bool ok = driver->reader->ops->execution_by_key(driver->reader, arena, key, &row, &err);
    // What is in memory has timers of its own; what is not parked any more waits for nothing.
    if (ok && row.live == LIVE_PARKED && live_find(driver, row.id.text) == NULL) {
        struct live *live = live_adopt(driver, &row, &err);
        ok = live != NULL;
        if (ok)
            recover_step(driver, live); // sets its timers again; those that are due follow
    }
    arena_free(arena);
    if (!ok && err.code != ERR_NOT_FOUND) // deleted meanwhile is fine
        log_error("an execution cannot be woken", LOG_INT("key", key), LOG_ERR(&err));
}

void live_free_wakers(struct driver *driver)
{
    while (!list_is_empty(&driver->wakers))
        waker_free(LIST_OWNER(driver->wakers.next, struct waker, link));
}

void live_timer_due(struct driver *driver, struct wheel_timer *timer)
{
    struct owned_timer *owned = LIST_OWNER(timer, struct owned_timer, timer);
    if (owned->owner == TIMER_OF_LIVE)
        run_timer_due(driver, (struct live_timer *)owned);
    else
        waker_due(driver, (struct waker *)owned);
}

void live_wake_later(struct driver *driver, int64_t key, usec_t at)
{
    struct waker *waker = check_calloc(1, sizeof(*waker));
    waker->owner = TIMER_OF_WAKER;
    waker->key = key;
    list_push(&driver->wakers, &waker->link);
    wheel_set(driver->wheel, &waker->timer, at);
}

/* ---- parking ---- */

usec_t live_wake_at(const struct live *live)
{
    usec_t at = USEC_NEVER;
    struct list *link;
    LIST_EACH(link, &live->timers) {
        const struct live_timer *timer = LIST_OWNER(link, struct live_timer, link);
        if (timer->timer.due < at)
            at = timer->timer.due;
    }
    return at == USEC_NEVER ? 0 : at;
}

enum liveness live_liveness(const struct live *live)
{
    if (!execution_is_live(live->execution))
        return LIVE_ENDED;
    return live->orders > 0 || live->pending > 0 ? LIVE_ACTIVE : LIVE_PARKED;
}

void live_destroy(struct live *live)
{
    while (!list_is_empty(&live->timers)) {
        struct live_timer *timer = LIST_OWNER(live->timers.next, struct live_timer, link);
        list_remove(&timer->link);
        free(timer);
    }
    free(live->on_worker);
    log_block_free(&live->log);
    execution_free(live->execution);
    free(live);
}

void live_free(struct driver *driver, struct live *live)
{
    live_cancel_timers(driver, live);
    orders_forget(driver, live);
    list_remove(&live->touched);
    if (list_is_linked(&live->cached)) {
        list_remove(&live->cached);
        driver->parked_count--;
    }
    map_remove(&driver->lives, live->execution->id.text);
    live_destroy(live);
}

/*
 * Drops a parked execution. Timers that are near are remembered, others are found in its row in
 * time, unless the row names one that has passed without a change to be stored.
 */
static void drop_parked(struct driver *driver, struct live *live)
{
    // what was only looked at has no timers yet
    usec_t wake_at = live->needs_recovery ? live->stored_wake_at : live_wake_at(live);
    int64_t key = live->key;
    bool is_found = wake_at == live->stored_wake_at && wake_at > driver->horizon_at;
    live_free(driver, live);
    if (wake_at != 0 && !is_found)
        live_wake_later(driver, key, wake_at);
}

void live_settle(struct driver *driver, struct live *live)
{
    if (live->is_deleted || live->stored == LIVE_ENDED) {
        if (live->pending == 0)
            live_free(driver, live);
        return;
    }
    if (list_is_linked(&live->cached)) {
        list_remove(&live->cached);
        driver->parked_count--;
    }
    if (live->stored != LIVE_PARKED)
        return;
    if (live->needs_recovery && live->pending == 0) {
        drop_parked(driver, live);
        return;
    }
    list_push(&driver->parked, &live->cached);
    driver->parked_count++;
    if (driver->parked_count > driver->config.parked_after) {
        struct live *oldest = LIST_OWNER(driver->parked.next, struct live, cached);
        // one with an event ahead, or that changed in this turn, is settled once more
        if (oldest->pending == 0 && !list_is_linked(&oldest->touched))
            drop_parked(driver, oldest);
    }
}

/* ---- what wakes soon ---- */

/* Wakers loaded at once. */
#define WAKING_PAGE 5000U

void recover_waking(struct driver *driver)
{
    usec_t until = driver->now + HORIZON;
    triggers_find_next(driver);
    struct arena *arena = arena_new();
    struct execution_row *rows = NULL;
    size_t count = 0;
    struct error err = { 0 };
    if (!driver->reader->ops->execution_waking(driver->reader, arena, driver->horizon_at,
                                               driver->horizon_key, until, WAKING_PAGE, &rows,
                                               &count, &err)) {
        log_error("cannot read what wakes next", LOG_ERR(&err));
        wheel_set(driver->wheel, &driver->horizon, driver->now + USEC_SEC);
        arena_free(arena);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (live_find(driver, rows[i].id.text) == NULL)
            live_wake_later(driver, rows[i].key, rows[i].wake_at);
    if (count == WAKING_PAGE) {
        driver->horizon_at = rows[count - 1].wake_at;
        driver->horizon_key = rows[count - 1].key;
        wheel_set(driver->wheel, &driver->horizon, driver->now);
    } else {
        driver->horizon_at = until;
        driver->horizon_key = INT64_MAX;
        wheel_set(driver->wheel, &driver->horizon, driver->now + HORIZON / 2);
    }
    arena_free(arena);
}
