/* SPDX-License-Identifier: Apache-2.0 */
/* The turn: inbox, steps, commit, answers. */
#include "runtime/driver/driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/queue.h"
#include "core/value.h"
#include "runtime/driver/driver_internal.h"

#define INBOX_MAX   65536U
#define TURN_EVENTS 2048U
#define TURN_TIME   (10 * USEC_MSEC)
#define LEASE       (30 * USEC_SEC)
#define HORIZON     (60 * USEC_SEC)
/* Enough for the worker never to wait for a commit. */
#define PROCESSES_MAX 64
#define CALLS_MAX     256

/* Messages taken from the inbox at once. */
#define TAKE_MAX 256U

/* A commit that fails is tried again after 1, 2, 4 … ms, at most every second. */
#define COMMIT_RETRY_MIN USEC_MSEC
#define COMMIT_RETRY_MAX USEC_SEC

enum { TURNS, STEPS, COMMITS, COMMIT_TIME, COMMIT_FAILURES };
static struct metric metrics[] = {
    [TURNS] = { METRIC_COUNTER, "weir_driver_turns_total", "Turns of the driver." },
    [STEPS] = { METRIC_COUNTER, "weir_engine_steps_total", "Steps of the engine." },
    [COMMITS] = { METRIC_COUNTER, "weir_store_commits_total", "Commits of the store." },
    [COMMIT_TIME] = { METRIC_HISTOGRAM, "weir_store_commit_seconds", "Time of a commit." },
    [COMMIT_FAILURES] = { METRIC_COUNTER, "weir_store_commit_failures_total",
                          "Commits that failed and were tried again." },
};

static pthread_once_t metrics_once = PTHREAD_ONCE_INIT;

static void register_metrics(void)
{
    metric_register(metrics, COUNT_OF(metrics));
}

/* ---- reading ---- */

bool driver_read(struct driver *driver, struct error *err)
{
    if (!driver->reads)
        driver->reads = driver->reader->ops->begin(driver->reader, err);
    return driver->reads;
}

static void read_no_more(struct driver *driver)
{
    if (driver->reads)
        driver->reader->ops->end(driver->reader);
    driver->reads = false;
}

/* ---- events ---- */

static struct pending *pending_new(struct live *live, const struct event *event)
{
    struct pending *pending = check_calloc(1, sizeof(*pending));
    pending->live = live;
    pending->event = *event;
    live->pending++;
    return pending;
}

struct pending *driver_push(struct driver *driver, struct live *live, const struct event *event)
{
    struct pending *pending = pending_new(live, event);
    list_push(&driver->pending, &pending->link);
    return pending;
}

void driver_push_later(struct driver *driver, struct live *live, const struct event *event)
{
    struct pending *pending = pending_new(live, event);
    pending->admits = true;
    list_push(&driver->later, &pending->link);
}

void driver_touch(struct driver *driver, struct live *live)
{
    if (!list_is_linked(&live->touched))
        list_push(&driver->touched, &live->touched);
}

void driver_step(struct driver *driver, struct live *live, struct event *event)
{
    if (live->needs_recovery)
        recover_step(driver, live);
    event->at = driver->now;
    event->seed = rng_next(&driver->rng);
    driver_touch(driver, live);
    size_t before = driver->commands.all.count;
    CHECK(before == 0); // commands are carried out before the next step
    engine_step(live->execution, event, driver->config.world, driver->scratch, &driver->commands);
    metric_add(&metrics[STEPS], 1);
    commands_apply(driver, live);
    arena_reset(driver->scratch);
}

static void step_pending(struct driver *driver, struct pending *pending)
{
    struct live *live = pending->live;
    live->pending--;
    if (live->is_deleted) {
        driver_touch(driver, live); // freed at the end of the turn
    } else {
        if (pending->admits)
            pending->event.admission = create_admission(driver, live->execution);
        driver_step(driver, live, &pending->event);
    }
    arena_free(pending->arena);
    free(pending);
}

const struct driver_config *driver_config_of(const struct driver *driver)
{
    return &driver->config;
}

struct id driver_new_id(struct driver *driver)
{
    return id_new(driver->now, &driver->rng);
}

/* ---- messages ---- */

/* Lines and metrics of an attempt go into this commit, whether or not its news still matters. */
static void take_logs(struct driver *driver, const struct live *live, struct message *message)
{
    if (message->logs != NULL) {
        for (size_t i = 0; i < message->logs->count; i++) {
            struct log_row *row = VEC_PUSH(&driver->commit.logs);
            *row = message->logs->rows[i];
            if (live != NULL) {
                row->execution = live->key;
                row->execution_id = live->execution->id;
            }
        }
        *VEC_PUSH(&driver->logs) = message->logs;
        message->logs = NULL;
    }
    for (size_t i = 0; i < message->metrics_count && live != NULL; i++) {
        struct metric_row *row = VEC_PUSH(&driver->commit.metrics);
        *row = message->metrics[i];
        row->execution = live->key;
        row->execution_id = live->execution->id;
        row->namespace = arena_strdup(driver->arena, live->execution->namespace);
        row->flow_id = arena_strdup(driver->arena, live->execution->flow_id);
        row->task_id = arena_strdup(driver->arena, row->task_id);
        row->run_id = arena_strdup(driver->arena, row->run_id);
        row->type = arena_strdup(driver->arena, row->type);
        row->name = arena_strdup(driver->arena, row->name);
        row->tags = arena_strdup(driver->arena, row->tags);
    }
}

static void handle_event(struct driver *driver, struct message *message)
{
    struct live *live = live_get(driver, message->execution_id, NULL);
    if (live == NULL)
        return; // deleted meanwhile
    take_logs(driver, live, message);
    if (message->is_answer)
        orders_answered(driver, live, &message->event);
    driver_step(driver, live, &message->event);
}

static void handle_message(struct driver *driver, struct message *message)
{
    switch (message->type) {
    case MESSAGE_REQUEST:
        requests_handle(driver, message->request);
        break;
    case MESSAGE_EVENT:
        handle_event(driver, message);
        break;
    case MESSAGE_TRIGGERED:
        take_logs(driver, NULL, message);
        triggers_answer(driver, message);
        break;
    case MESSAGE_LOG: {
        struct log_row *row = VEC_PUSH(&driver->commit.logs);
        *row = message->row;
        row->namespace = arena_strdup(driver->arena, row->namespace);
        row->flow_id = arena_strdup(driver->arena, row->flow_id);
        row->trigger_id = arena_strdup(driver->arena, row->trigger_id);
        break;
    }
    }
    message_free(message);
}

/*
 * That an attempt has started is news nobody was promised: a commit of its own would make the next
 * step of a short task wait for the disk. It is stored with what comes next, or soon.
 */
static bool may_linger(const struct message *message)
{
    return message->type == MESSAGE_EVENT && message->event.type == EVENT_RUN_STARTED;
}

static void handle_item(struct driver *driver, void *item)
{
    if (inbox_has_request(item)) {
        driver->presses = true;
        requests_handle(driver, inbox_request(item));
    } else {
        driver->presses |= !may_linger(item);
        handle_message(driver, item);
    }
}

/* ---- commit ---- */

/* Lines of this turn of one execution, as a row whose bytes stand in `bytes`. */
static void collect_log(struct driver *driver, struct live *live)
{
    if (live->log.count == 0)
        return;
    const struct execution *execution = live->execution;
    struct buf body = { 0 };
    struct log_row *row = VEC_PUSH(&driver->commit.logs);
    *row = (struct log_row){
        .execution = live->key,
        .execution_id = execution->id,
        .namespace = execution->namespace,
        .flow_id = execution->flow_id,
        .file_at = -1,
    };
    log_block_finish(&live->log, &body, row);
    row->body = (struct bytes){ arena_memdup(driver->arena, body.bytes, body.length), body.length };
    buf_free(&body);
}

/* In what the store finds it by. */
static bool is_as_stored(const struct live *live, const struct execution_row *row)
{
    return live->stored == row->live && live->stored_state == row->state &&
           live->stored_slot == row->holds_slot && live->stored_wake_at == row->wake_at &&
           live->stored_created_at == row->created_at;
}

static void collect_execution(struct driver *driver, struct live *live)
{
    struct execution *execution = live->execution;
    collect_log(driver, live);
    enum liveness liveness = live_liveness(live);
    bool changed = execution->is_new || execution->is_dirty || execution->dirty.count > 0 ||
                   execution->removed.count > 0 || liveness != live->stored || live->labels_changed;
    if (!changed && !live->is_deleted)
        return;
    struct commit_execution *added = commit_add_execution(
        &driver->commit, execution, live->key, liveness, live_wake_at(live), live->counted);
    added->labels_changed = live->labels_changed;
    added->row.fire_trigger = live->fire_trigger;
    added->row.fire_at = live->fire_at;
    added->row.fire_backfill = live->fire_backfill;
    added->stays = !added->is_new && is_as_stored(live, &added->row);
    live_note_stored(live, &added->row);
    live->labels_changed = false;
    live->counted =
        states[execution->state.current].is_terminal ? execution->state.current : STATE_COUNT;
    watches_note(driver, live);
}

static void collect(struct driver *driver)
{
    struct list *at;
    LIST_EACH(at, &driver->touched) {
        struct live *live = LIST_OWNER(at, struct live, touched);
        if (!live->is_deleted)
            collect_execution(driver, live);
    }
}

/* After a commit: memory follows what is live, effects go out, people get their answers. */
static void act(struct driver *driver)
{
    const struct commit *commit = &driver->commit;
    if (commit->flows.count > 0 || commit->flow_purges.count > 0 || commit->triggers.count > 0)
        atomic_fetch_add(&driver->catalog, 1);
    requests_send_answers(driver);
    orders_send(driver);
    watches_notify(driver);
    struct list *at;
    while ((at = list_pop(&driver->touched)) != NULL)
        live_settle(driver, LIST_OWNER(at, struct live, touched));
    for (size_t i = 0; i < driver->logs.count; i++)
        log_result_free(driver->logs.items[i]);
    driver->logs.count = 0;
    commit_clear(&driver->commit);
    map_free(&driver->removed);
    changes_committed(driver);
    triggers_committed(driver);
    observers_committed(driver);
    flows_trim(driver);
    arena_reset(driver->arena);
    // The vector's memory was the arena's.
    driver->commands.all.items = NULL;
    driver->commands.all.count = driver->commands.all.capacity = 0;
}

/*
 * The store refuses a commit for good: memory and store differ, and only a restart makes them equal
 * again.
 */
static void broken(struct driver *driver, const struct error *err)
{
    log_error("the store refused a commit; restart weir", LOG_ERR(err));
    atomic_store(&driver->state, DRIVER_BROKEN);
    if (driver->config.broken != NULL)
        driver->config.broken(driver->config.broken_data, err);
    else
        abort();
}

/*
 * Who waits for a commit that does not come is told so; it is stored when the store can be written
 * again. Waiting longer would only fill the server with connections.
 */
static void refuse_answered(struct driver *driver)
{
    struct driver_request *request = driver->answered;
    driver->answered = NULL;
    driver->answered_end = &driver->answered;
    while (request != NULL) {
        struct driver_request *next = request->next;
        // rows of a change borrow texts of its request until they are stored
        if (request->type != REQUEST_CREATE && request->type != REQUEST_OPERATE) {
            request->next = NULL;
            *driver->answered_end = request;
            driver->answered_end = &request->next;
            request = next;
            continue;
        }
        request->ok = false;
        (void)error_set(
            &request->error, ERR_UNAVAILABLE,
            "the store cannot be written at the moment; this is stored as soon as it can");
        request->done(request);
        request = next;
    }
}

static bool try_commit(struct driver *driver)
{
    struct error err = { 0 };
    usec_t started = clock_monotonic();
    if (store_commit(driver->config.store, &driver->commit, &err)) {
        metric_add(&metrics[COMMITS], 1);
        metric_observe(&metrics[COMMIT_TIME], clock_monotonic() - started);
        if (driver->commit_waits)
            log_info("the store can be written again");
        driver->commit_waits = false;
        driver->commit_tries = 0;
        atomic_store(&driver->failing_since, 0);
        return true;
    }
    metric_add(&metrics[COMMIT_FAILURES], 1);
    if (err.code == ERR_CONFLICT || err.code == ERR_INVALID) {
        broken(driver, &err);
        return false;
    }
    if (!driver->commit_waits) {
        log_error("the store cannot be written; trying again", LOG_ERR(&err));
        atomic_store(&driver->failing_since, driver->now);
    }
    driver->commit_waits = true;
    if (driver->now - atomic_load(&driver->failing_since) > STORE_PATIENCE)
        refuse_answered(driver);
    usec_t wait = COMMIT_RETRY_MIN << (driver->commit_tries < 10 ? driver->commit_tries : 10);
    driver->commit_tries++;
    driver->commit_retry_at = driver->now + (wait < COMMIT_RETRY_MAX ? wait : COMMIT_RETRY_MAX);
    return false;
}

static void finish_turn(struct driver *driver)
{
    driver->lingers_until = 0;
    read_no_more(driver);
    collect(driver);
    if (!commit_is_empty(&driver->commit)) {
        driver->commit.number = ++driver->numbers.commit;
        if (!try_commit(driver))
            return;
    }
    act(driver);
}

/* ---- the turn ---- */

static bool is_broken(struct driver *driver)
{
    return atomic_load(&driver->state) == DRIVER_BROKEN;
}

static void timers_due(struct driver *driver)
{
    struct wheel_timer *timer;
    size_t count = 0;
    while (count++ < driver->config.turn_events &&
           (timer = wheel_turn(driver->wheel, driver->now)) != NULL) {
        if (timer == &driver->horizon)
            recover_waking(driver);
        else if (timer == &driver->lease)
            orders_check_leases(driver);
        else if (timer == &driver->retention)
            recover_retention(driver);
        else if (timer == &driver->windows)
            windows_look(driver);
        else if (LIST_OWNER(timer, struct owned_timer, timer)->owner == TIMER_OF_TRIGGER)
            trigger_due(driver, timer);
        else
            live_timer_due(driver, timer);
    }
}

static void step_all(struct driver *driver)
{
    struct list *link;
    while ((link = list_pop(&driver->pending)) != NULL)
        step_pending(driver, LIST_OWNER(link, struct pending, link));
}

/* What a turn has to look at, whether or not messages came. */
static bool has_left(const struct driver *driver)
{
    return !list_is_empty(&driver->later) || !list_is_empty(&driver->pending) ||
           driver->held.count > 0 || driver->releases.count > 0 || driver->refines.count > 0;
}

static bool has_work(const struct driver *driver)
{
    return has_left(driver) || (driver->lingers_until == 0 && !list_is_empty(&driver->touched));
}

/* May everything of this turn wait for the next? Then it waits, until a set time. */
static bool lingers(struct driver *driver)
{
    if (driver->config.linger == 0 || driver->presses || has_left(driver) ||
        driver->effects.count > 0 || driver->answered != NULL)
        return false;
    if (driver->lingers_until == 0)
        driver->lingers_until = driver->now + driver->config.linger;
    return driver->now < driver->lingers_until;
}

/* Keeps what cannot be handled now for the next turn, in order. */
static void hold_items(struct driver *driver, void **items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        *VEC_PUSH(&driver->held) = items[i];
}

/* false: the store cannot be written, and what is left waits. */
static bool handle_items(struct driver *driver, void **items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (inbox_has_request(items[i]) && changes_collide(driver, inbox_request(items[i])))
            finish_turn(driver);
        if (driver->commit_waits || is_broken(driver)) {
            hold_items(driver, items + i, count - i);
            return false;
        }
        handle_item(driver, items[i]);
        step_all(driver);
    }
    return true;
}

/* What the last turn left: steps that may wait, queues to look at, messages that were held. */
static bool take_left(struct driver *driver)
{
    list_splice(&driver->pending, &driver->later);
    for (size_t i = 0; i < driver->releases.count; i++) {
        struct flow_name *name = &driver->releases.items[i];
        slots_release(driver, name->namespace, name->id);
        free(name->namespace);
        free(name->id);
    }
    driver->releases.count = 0;
    triggers_refine(driver);
    step_all(driver);
    if (driver->held.count == 0)
        return true;
    size_t count = driver->held.count;
    void **items = driver->held.items;
    driver->held.items = NULL;
    driver->held.count = driver->held.capacity = 0;
    bool ok = handle_items(driver, items, count);
    free(items);
    return ok;
}

/* Takes what is there, up to a turn's measure. `first` were taken already. */
static bool take_turn(struct driver *driver, void **items, size_t count)
{
    driver->now = driver->config.now(driver->config.now_data);
    usec_t started = clock_monotonic();
    bool is_late = driver->lingers_until != 0 && driver->lingers_until <= driver->now;
    bool did = count > 0 || is_late || has_work(driver);
    driver->presses = is_late || has_work(driver);
    bool ok = take_left(driver);
    if (!ok)
        hold_items(driver, items, count);
    size_t taken = 0;
    while (ok && count > 0) {
        ok = handle_items(driver, items, count);
        taken += count;
        if (taken >= driver->config.turn_events ||
            clock_monotonic() - started > driver->config.turn_time)
            break;
        count = queue_pop(driver->inbox, items, TAKE_MAX);
    }
    bool is_time = ok && wheel_next(driver->wheel) <= driver->now;
    if (is_time && driver->changed_flows.count > 0) {
        finish_turn(driver); // schedules start the revision that is stored
        ok = is_time = !driver->commit_waits && !is_broken(driver);
    }
    if (is_time) {
        timers_due(driver);
        step_all(driver);
        driver->presses = did = true;
    }
    if (ok)
        orders_retry(driver);
    if (ok && did)
        backlog_turn(driver);
    if (ok && did && !lingers(driver))
        finish_turn(driver);
    read_no_more(driver);
    return did;
}

/* While the store cannot be written, requests are told so, and answers of workers are kept. */
static void hold_inbox(struct driver *driver)
{
    void *items[TAKE_MAX];
    size_t count = 0;
    if (driver->held.count < driver->config.inbox_max)
        count = queue_pop(driver->inbox, items, TAKE_MAX);
    for (size_t i = 0; i < count; i++) {
        if (inbox_has_request(items[i]))
            request_refuse(inbox_request(items[i]), ERR_UNAVAILABLE,
                           "the database cannot be written now");
        else
            *VEC_PUSH(&driver->held) = items[i];
    }
}

static bool retry_turn(struct driver *driver)
{
    driver->now = driver->config.now(driver->config.now_data);
    hold_inbox(driver);
    if (driver->now < driver->commit_retry_at)
        return false;
    if (!try_commit(driver))
        return false;
    act(driver);
    return true;
}

static bool turn(struct driver *driver, void **items, size_t count)
{
    CHECK(!driver->commit_waits);
    metric_add(&metrics[TURNS], 1);
    bool did = take_turn(driver, items, count);
    atomic_store_explicit(&driver->count_active, driver->lives.count, memory_order_relaxed);
    atomic_store_explicit(&driver->count_timers, wheel_count(driver->wheel), memory_order_relaxed);
    return did;
}

bool driver_turn(struct driver *driver)
{
    void *items[TAKE_MAX];
    if (is_broken(driver))
        return false;
    if (driver->commit_waits)
        return retry_turn(driver);
    return turn(driver, items, queue_pop(driver->inbox, items, TAKE_MAX));
}

usec_t driver_next(struct driver *driver)
{
    if (driver->commit_waits)
        return driver->commit_retry_at;
    if (has_work(driver) || driver->refused.count > 0)
        return driver->now;
    usec_t next = wheel_next(driver->wheel);
    bool is_sooner = driver->lingers_until != 0 && driver->lingers_until < next;
    return is_sooner ? driver->lingers_until : next;
}

/* Waits for messages or the next timer, then takes a turn. */
static void wait_turn(struct driver *driver)
{
    void *items[TAKE_MAX];
    if (driver->commit_waits) {
        usec_t wait = driver->commit_retry_at - driver->config.now(driver->config.now_data);
        if (wait > 0)
            (void)usleep((useconds_t)(wait < COMMIT_RETRY_MAX / 20 ? wait : COMMIT_RETRY_MAX / 20));
        (void)retry_turn(driver);
        return;
    }
    usec_t next = driver_next(driver);
    usec_t now = driver->config.now(driver->config.now_data);
    size_t count = 0;
    if (next <= now) {
        count = queue_pop(driver->inbox, items, TAKE_MAX);
    } else {
        usec_t deadline = next == USEC_NEVER ? USEC_NEVER : clock_monotonic() + (next - now) + 1;
        count = queue_wait(driver->inbox, items, TAKE_MAX, deadline);
    }
    (void)turn(driver, items, count);
}

/* After the inbox was closed: what is in it is stored, and what goes on without us is not begun. */
static void last_turn(struct driver *driver)
{
    void *items[TAKE_MAX];
    size_t count;
    driver->is_last = true;
    driver->now = driver->config.now(driver->config.now_data);
    if (!take_left(driver))
        return; // the store cannot be written: a start finds what it finds after a crash
    while ((count = queue_pop(driver->inbox, items, TAKE_MAX)) > 0) {
        for (size_t i = 0; i < count; i++) {
            if (inbox_has_request(items[i]))
                request_refuse(inbox_request(items[i]), ERR_CANCELLED, "weir is stopping");
            else
                handle_message(driver, items[i]);
            step_all(driver);
        }
    }
    orders_take_back(driver);
    finish_turn(driver);
}

static void *run(void *data)
{
    struct driver *driver = data;
    while (atomic_load(&driver->state) == DRIVER_RUNS)
        wait_turn(driver);
    queue_close(driver->inbox); // also of one that is broken: nobody reads it any more
    if (!is_broken(driver) && !driver->commit_waits)
        last_turn(driver);
    return NULL;
}

bool driver_start(struct driver *driver, struct error *err)
{
    int result = pthread_create(&driver->thread, NULL, run, driver);
    if (result != 0)
        return error_set(err, ERR_INTERNAL, "cannot start the driver's thread: %s",
                         strerror(result));
    driver->has_thread = true;
    (void)pthread_setname_np(driver->thread, "driver");
    return true;
}

void driver_stop(struct driver *driver)
{
    int runs = DRIVER_RUNS;
    (void)atomic_compare_exchange_strong(&driver->state, &runs, DRIVER_STOPS);
    queue_close(driver->inbox);
    if (driver->has_thread)
        (void)pthread_join(driver->thread, NULL);
    driver->has_thread = false;
}

/* ---- making and ending ---- */

static usec_t wall_clock(void *data)
{
    (void)data;
    return clock_now();
}

static void set_defaults(struct driver_config *config)
{
    if (config->inbox_max == 0)
        config->inbox_max = INBOX_MAX;
    if (config->turn_events == 0)
        config->turn_events = TURN_EVENTS;
    if (config->turn_time == 0)
        config->turn_time = TURN_TIME;
    if (config->lease == 0)
        config->lease = LEASE;
    if (config->now == NULL)
        config->now = wall_clock;
    if (config->seed == 0)
        config->seed = rng_seed();
    if (config->name == NULL)
        config->name = "weir";
    if (config->processes_max == 0)
        config->processes_max = PROCESSES_MAX;
    if (config->calls_max == 0)
        config->calls_max = CALLS_MAX;
    if (config->parked_after == 0)
        config->parked_after = 1000;
}

struct driver *driver_new(const struct driver_config *config, struct error *err)
{
    (void)pthread_once(&metrics_once, register_metrics);
    struct driver *driver = check_calloc(1, sizeof(*driver));
    driver->config = *config;
    set_defaults(&driver->config);
    driver->rng.state = driver->config.seed;
    driver->now = driver->config.now(driver->config.now_data);
    driver->inbox = queue_new(driver->config.inbox_max);
    driver->arena = arena_new_sized((size_t)64 * 1024);
    driver->scratch = arena_new_sized((size_t)64 * 1024);
    driver->commands.arena = driver->arena;
    driver->wheel = wheel_new(driver->now);
    driver->answered_end = &driver->answered;
    driver->lanes[LANE_PROCESS].max = driver->config.processes_max;
    driver->lanes[LANE_CALL].max = driver->config.calls_max;
    list_init(&driver->touched);
    list_init(&driver->wakers);
    list_init(&driver->parked);
    list_init(&driver->pending);
    list_init(&driver->later);
    list_init(&driver->watches);
    list_init(&driver->flow_order);
    pthread_mutex_init(&driver->watch_lock, NULL);
    atomic_store(&driver->next_fire, USEC_NEVER);
    driver->reader = store_reader_open(config->store, err);
    bool ok = driver->reader != NULL &&
              config->store->ops->numbers(config->store, &driver->numbers, err) &&
              slots_load(driver, err) && triggers_load(driver, err) && recover_active(driver, err);
    read_no_more(driver);
    if (!ok) {
        driver_free(driver);
        return NULL;
    }
    wheel_set(driver->wheel, &driver->horizon, driver->now);
    wheel_set(driver->wheel, &driver->lease, driver->now + driver->config.lease);
    if (!wheel_is_set(&driver->windows))
        wheel_set(driver->wheel, &driver->windows, driver->now + HORIZON);
    if (driver->config.retention > 0)
        wheel_set(driver->wheel, &driver->retention, driver->now + USEC_MIN);
    return driver;
}

static void drop_item(void *item)
{
    if (inbox_has_request(item))
        request_refuse(inbox_request(item), ERR_CANCELLED, "weir is stopping");
    else
        message_free(item);
}

static void drop_pending(struct list *list)
{
    struct list *link;
    while ((link = list_pop(list)) != NULL) {
        struct pending *pending = LIST_OWNER(link, struct pending, link);
        arena_free(pending->arena);
        free(pending);
    }
}

static void drop_waits(struct driver *driver)
{
    size_t at = 0;
    struct map_slot *slot;
    while ((slot = map_next(&driver->waits, &at)) != NULL) {
        struct driver_request *request = slot->value;
        while (request != NULL) {
            struct driver_request *next = request->next;
            request_refuse(request, ERR_CANCELLED, "weir is stopping");
            request = next;
        }
    }
    map_free(&driver->waits);
    map_free(&driver->removed);
}

static void drop_requests(struct driver *driver)
{
    void *items[TAKE_MAX];
    size_t count;
    queue_close(driver->inbox);
    while ((count = queue_pop(driver->inbox, items, TAKE_MAX)) > 0)
        for (size_t i = 0; i < count; i++)
            drop_item(items[i]);
    for (size_t i = 0; i < driver->held.count; i++)
        drop_item(driver->held.items[i]);
    VEC_FREE(&driver->held);
    struct driver_request *request = driver->answered;
    while (request != NULL) {
        struct driver_request *next = request->next;
        request_refuse(request, ERR_UNAVAILABLE, "the database could not be written");
        request = next;
    }
    drop_waits(driver);
}

void driver_free(struct driver *driver)
{
    if (driver == NULL)
        return;
    driver_stop(driver);
    drop_requests(driver);
    drop_pending(&driver->pending);
    drop_pending(&driver->later);
    orders_drop(driver);
    // These take their timers out of the wheel, from lists that timers of executions are in too.
    triggers_free(driver);
    size_t at = 0;
    struct map_slot *slot;
    while ((slot = map_next(&driver->lives, &at)) != NULL)
        live_destroy(slot->value);
    map_free(&driver->lives);
    live_free_wakers(driver);
    slots_free(driver);
    flows_free(driver);
    for (size_t i = 0; i < driver->logs.count; i++)
        log_result_free(driver->logs.items[i]);
    VEC_FREE(&driver->logs);
    for (size_t i = 0; i < driver->releases.count; i++) {
        free(driver->releases.items[i].namespace);
        free(driver->releases.items[i].id);
    }
    for (size_t i = 0; i < driver->changed_flows.count; i++) {
        free(driver->changed_flows.items[i].namespace);
        free(driver->changed_flows.items[i].id);
    }
    VEC_FREE(&driver->releases);
    VEC_FREE(&driver->changed_flows);
    map_free(&driver->changed);
    VEC_FREE(&driver->notices);
    at = 0;
    while ((slot = map_next(&driver->watched, &at)) != NULL)
        free(slot->value);
    map_free(&driver->watched);
    commit_free(&driver->commit);
    store_reader_free(driver->reader);
    wheel_free(driver->wheel);
    queue_free(driver->inbox);
    arena_free(driver->arena);
    arena_free(driver->scratch);
    pthread_mutex_destroy(&driver->watch_lock);
    free(driver);
}

uint64_t driver_catalog(struct driver *driver)
{
    return atomic_load(&driver->catalog);
}

struct driver_counts driver_counts(struct driver *driver)
{
    return (struct driver_counts){
        .active = atomic_load_explicit(&driver->count_active, memory_order_relaxed),
        .inbox = queue_count(driver->inbox),
        .timers = atomic_load_explicit(&driver->count_timers, memory_order_relaxed),
        .triggers = atomic_load_explicit(&driver->count_triggers, memory_order_relaxed),
        .next_fire = atomic_load_explicit(&driver->next_fire, memory_order_relaxed),
        .store_failing_since = atomic_load_explicit(&driver->failing_since, memory_order_relaxed),
    };
}
