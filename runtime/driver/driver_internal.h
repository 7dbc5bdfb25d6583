/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the driver share. Everything here belongs to the driver's thread, except the
 * inbox and the watches.
 *
 * A turn:
 *   1. take   messages of the inbox, timers that are due, triggers that are due
 *   2. step   each event goes to engine_step(); its commands are carried out at once as far as they
 *             change state (children, slots, flow triggers …), and collected as far as they have
 *             effects (orders, cancellations)
 *   3. commit what changed, once
 *   4. act    answers to requests, orders to workers, notices
 *
 * What must be in the same commit as its cause is done within step 2 without a bound: telling a
 * parent that its child ended, flow triggers, releasing a lock or a slot, killing children. What a
 * restart finds again by itself may wait for a later turn: EVENT_CONTINUE, the first step of a new
 * execution.
 */
#ifndef RUNTIME_DRIVER_DRIVER_INTERNAL_H
#define RUNTIME_DRIVER_DRIVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/vec.h"
#include "base/wheel.h"
#include "core/expr/expr.h"
#include "runtime/driver/driver.h"
#include "runtime/scheduler/window.h"
#include "runtime/store/logstore.h"
#include "runtime/store/store.h"

struct driver;
struct live;

/* ---- executions in memory (live.c) ---- */

/*
 * Everything in driver->wheel begins like this, except the timers inside struct driver, which are
 * told by their address.
 */
enum timer_owner { TIMER_OF_LIVE, TIMER_OF_WAKER, TIMER_OF_TRIGGER };
struct owned_timer {
    struct wheel_timer timer;
    uint8_t owner; /* enum timer_owner */
};

/* A timer of an execution, from COMMAND_TIMER. */
struct live_timer {
    struct wheel_timer timer;
    uint8_t owner;    /* enum timer_owner */
    struct list link; /* in live->timers */
    struct live *live;
    enum timer_kind kind;
    uint32_t run; /* seq, 0: of the execution */
    uint32_t generation;
};

/* An event that waits for its step. `event` borrows from the arena. */
struct pending {
    struct list link;
    struct live *live;
    struct arena *arena; /* freed after the step; NULL: the turn's */
    struct event event;
    bool admits; /* fill event.admission right before the step */
};

struct live {
    struct execution *execution;
    int64_t key;
    struct list touched; /* in driver->touched while it changed in this turn */
    struct list cached;  /* in driver->parked while it is parked but kept */
    struct list timers;  /* struct live_timer */
    uint32_t orders;     /* attempts and questions that are not answered */
    uint32_t questions;  /* of these, questions */
    uint32_t pending;    /* events that wait */
    enum state counted;  /* state under which the store counts it, or STATE_COUNT */
    /* Of its row, once it has one. */
    enum liveness stored;
    usec_t stored_wake_at; /* 0 none */
    usec_t stored_created_at;
    enum state stored_state;
    bool stored_slot;
    bool holds_slot; /* as counted in driver->slots */
    bool is_queued;  /* as in driver->slots */
    bool is_loaded;  /* came from the store: children it asks for may exist */
    bool needs_recovery;
    bool has_ended; /* COMMAND_ENDED was given in this turn */
    bool labels_changed;
    bool is_deleted;
    struct log_block log; /* lines of this turn */
    /* Of a new one that a trigger fired. */
    int64_t fire_trigger;
    usec_t fire_at;
    int64_t fire_backfill;
    /* By seq of a run: the attempt that a worker has or is to get, 0 none; and ATTEMPT_*. */
    uint32_t *on_worker;
    size_t on_worker_count;
};

/*
 * In live->on_worker, beside the number of the attempt: the worker did not know it when it was
 * asked last; it waits in the backlog; it is counted by a lane.
 */
#define ATTEMPT_SUSPECT    (UINT32_C(1) << 31)
#define ATTEMPT_WAITS      (UINT32_C(1) << 30)
#define ATTEMPT_LANE(lane) (UINT32_C(1) << (28 + (unsigned)(lane)))
#define ATTEMPT_NUMBER     ((UINT32_C(1) << 28) - 1)

/* ---- orders that wait (backlog.c) ---- */

/* What shares slots of the worker. */
enum lane { LANE_PROCESS, LANE_CALL, LANE_COUNT };

struct lane_state {
    VEC(struct order *) waiting; /* first come, first served, from `first` on */
    size_t first;
    size_t given; /* and not answered */
    size_t max;
};

/* ---- concurrency (slots.c) ---- */

struct slot {
    int64_t used;
    VEC(struct queued_row) queue; /* FIFO; texts NULL */
    size_t queue_first;
};

/* ---- triggers (triggers.c) ---- */

/* A spec in use, shared by all triggers with the same text. */
struct spec_entry {
    struct arena *arena;
    struct spec spec;
    const char *text;
    size_t users;
};

/*
 * A schedule or polling trigger. Small, because there may be a million: the rest of its state is in
 * the store and loaded when it is needed.
 */
struct scheduled {
    struct wheel_timer timer;
    uint8_t owner;         /* see struct owned_timer */
    bool is_plain;         /* nothing but names, dates, spec: fires without loading its row */
    bool allow_concurrent; /* of a plain one */
    int32_t revision;      /* of a plain one */
    int64_t key;
    struct spec_entry *spec;
    const char *namespace; /* interned */
    char *names;           /* "flow\0trigger\0" */
};

/* A Flow trigger of the latest revision of a flow. */
struct observer {
    int64_t key;
    struct spec_entry *spec;
    char *namespace;
    char *flow_id;
    char *trigger_id;
    bool is_off;    /* by definition or by its stored flag */
    usec_t look_at; /* spec.misses: when a window of it begins or has ended */
};
typedef VEC(struct observer *) observer_vec;

/* ---- windows of Flow triggers (windows.c) ---- */

/* As this turn has left it. */
struct window_state {
    usec_t start;
    usec_t end;
    bool exists;
    struct window_results results;
};

struct window_name {
    const char *namespace;
    const char *flow_id;
    const char *id; /* trigger id and id of the precondition */
};

/* The precondition id of what `dependsOn` gathers. */
#define WINDOW_DEPENDS_ON "dependsOn"

/* ---- flows (flows.c) ---- */

struct flow_entry {
    struct list link;  /* in driver->flow_order, least recently used first */
    char *name;        /* "namespace/id/revision" */
    char *short_name;  /* "namespace/id" */
    struct flow *flow; /* NULL: it cannot be parsed */
    char *mistake;     /* why */
    size_t bytes;      /* as counted in driver->flows_bytes */
};

/* A flow by name, on the heap. */
struct flow_name {
    char *namespace;
    char *id;
};

/* Messages of the inbox. */
enum message_type { MESSAGE_REQUEST, MESSAGE_EVENT, MESSAGE_TRIGGERED, MESSAGE_LOG };

struct message {
    enum message_type type;
    struct arena *arena; /* owns the message */
    struct driver_request *request;
    const char *execution_id;
    struct event event;
    struct log_result *logs;
    struct metric_row *metrics;
    size_t metrics_count;
    bool is_answer; /* of an order: one less is open */
    /* TRIGGERED */
    int64_t trigger;
    usec_t evaluating_since;
    const struct value *variables;
    const struct error *error;
    struct log_row row; /* LOG */
};

/* An effect that waits for the commit. */
struct effect {
    struct order *order; /* NULL: a cancellation, or a working set to forget */
    char *execution_id;
    char *run_id;
    uint32_t attempt;
    bool is_forget;
    bool removes_logs; /* of a deleted execution */
};

struct driver_watch {
    struct list link;
    char *execution_id;
    driver_watch_fn *fn;
    void *data;
};

enum driver_state { DRIVER_RUNS, DRIVER_STOPS, DRIVER_BROKEN };

struct driver {
    struct driver_config config;
    struct store_reader *reader;
    bool reads; /* a read transaction is open, see driver_read() */
    struct queue *inbox;
    struct rng rng;
    usec_t now; /* of this turn */
    _Atomic int state;
    pthread_t thread;
    bool has_thread;

    struct arena *arena;   /* of the turn: commands, what is committed */
    struct arena *scratch; /* of a step */
    struct command_list commands;
    struct commit commit;
    bool commit_waits; /* a commit failed and is tried again before anything else */
    usec_t commit_retry_at;
    unsigned commit_tries;
    _Atomic uint64_t catalog; /* number of commits that changed flows or triggers */
    bool is_last;             /* turn of an orderly stop: nothing goes out any more */
    bool presses;             /* this turn has something that is to be stored at once */
    usec_t lingers_until;     /* when what may wait is stored; 0: nothing waits */
    struct store_numbers numbers;

    struct map lives; /* id -> struct live */
    struct list touched;
    struct list wakers; /* of executions that are not in memory */
    struct list parked; /* least recently used first */
    size_t parked_count;
    struct list pending; /* struct pending, for this turn */
    struct list later;   /* … for the next turn */
    struct wheel *wheel;
    struct map slots;             /* "namespace/id" -> struct slot */
    struct map specs;             /* text -> struct spec_entry */
    struct map namespaces;        /* interned */
    struct scheduled **scheduled; /* by key */
    size_t scheduled_count;
    size_t scheduled_capacity;
    struct map states;    /* key -> struct trigger_state as this turn has left it */
    struct map observers; /* key -> struct observer */
    bool observers_indexed;
    struct map observers_by_flow; /* "namespace/id" -> observer_vec: literal targets */
    observer_vec observers_any;   /* all others */
    struct map windows_open;      /* name -> struct window_state as this turn has left it */
    struct map flows;             /* name -> struct flow_entry */
    struct list flow_order;
    size_t flows_bytes; /* that the entries of `flows` hold */
    struct map latest;  /* "namespace/id" -> struct flow_entry */

    struct expr_host host; /* of create_env() */
    const struct value *host_context;

    struct map
        changed; /* keys of flows, KV entries … that this turn changes; values are not used */
    bool changed_many; /* too many to list: any other change collides */
    VEC(struct flow_name) changed_flows;
    VEC(struct flow_name) releases; /* flows whose queues are looked at in the next turn */
    VEC(int64_t) refines;           /* triggers with conditions whose next date is to be found */

    struct driver_request *answered; /* wait for the commit */
    struct driver_request **answered_end;
    struct map waits;   /* execution id -> list of WAIT and CREATE requests */
    struct map removed; /* ids of executions removed in this turn, still in the store */
    VEC(struct effect) effects;
    struct lane_state lanes[LANE_COUNT];
    VEC(struct order *) behind;    /* wait for the end of an earlier attempt */
    VEC(struct order *) refused;   /* by a worker without room */
    VEC(struct log_result *) logs; /* to be freed after the commit */
    VEC(struct execution_notice) notices;
    VEC(void *) held; /* messages that came while the store could not be written */

    struct wheel_timer horizon; /* loads what wakes next from the store */
    usec_t horizon_at;
    int64_t horizon_key;
    struct wheel_timer lease;
    struct wheel_timer retention;
    struct wheel_timer windows;

    pthread_mutex_t watch_lock; /* taken alone */
    struct list watches;        /* of all executions */
    struct map watched;         /* execution id -> struct list of watches */
    _Atomic size_t watch_count;

    _Atomic size_t count_active;
    _Atomic size_t count_timers;
    _Atomic size_t count_triggers;
    _Atomic int64_t next_fire;
    _Atomic int64_t failing_since;
};

/* ---- driver.c ---- */

/*
 * Lets all reads of this turn see the store in one transaction, as nobody but this thread changes
 * it meanwhile: beginning one takes as long as looking up a flow. Ends with the turn, before its
 * commit.
 */
bool driver_read(struct driver *driver, struct error *err);

/* Never changes after driver_new(). */
const struct driver_config *driver_config_of(const struct driver *driver);

/* An event for this turn; front: before all others that wait. */
struct pending *driver_push(struct driver *driver, struct live *live, const struct event *event);
/* For the turn after this commit. */
void driver_push_later(struct driver *driver, struct live *live, const struct event *event);
/* Steps now, carries out the commands. */
void driver_step(struct driver *driver, struct live *live, struct event *event);
void driver_touch(struct driver *driver, struct live *live);
struct id driver_new_id(struct driver *driver);

/* ---- calls.c ---- */

/* How long requests wait for a store that cannot be written before they are refused. */
#define STORE_PATIENCE (5 * USEC_SEC)

/* Is an item of the inbox a request? Else it is a message. */
bool inbox_has_request(const void *item);
struct driver_request *inbox_request(void *item);
/* Answers without a commit: nothing was done. */
void request_refuse(struct driver_request *request, enum error_code code, const char *text);
/* Answers after the commit. err NULL: fine. */
void driver_answer(struct driver *driver, struct driver_request *request, const struct error *err);
/* Fills the answer of a request from an execution in memory, once. */
void driver_show(struct driver_request *request, const struct live *live);
/* After the commit. */
void requests_send_answers(struct driver *driver);

/* ---- answers.c ---- */

void message_free(struct message *message);

/* ---- watches.c ---- */

/* The execution changed with this commit. */
void watches_note(struct driver *driver, const struct live *live);
/* After the commit: tells of what was noted. */
void watches_notify(struct driver *driver);

/* ---- live.c ---- */

struct live *live_new(struct driver *driver, struct execution *execution, int64_t key);
/* In memory already, or NULL. */
struct live *live_find(struct driver *driver, const char *id);
/*
 * From memory or from the store; recovered. NULL with err: ERR_NOT_FOUND, or the store's.
 */
struct live *live_get(struct driver *driver, const char *id, struct error *err);
struct live *live_get_key(struct driver *driver, int64_t key, struct error *err);
/* Makes an execution of a stored row live. */
struct live *live_adopt(struct driver *driver, const struct execution_row *row, struct error *err);
void live_free(struct driver *driver, struct live *live);
/* Remembers what its row says. */
void live_note_stored(struct live *live, const struct execution_row *row);
/* Without a driver, whose maps and timers are gone with it. */
void live_destroy(struct live *live);
/* Wakes an execution that is not in memory. */
void live_wake_later(struct driver *driver, int64_t key, usec_t at);
void live_free_wakers(struct driver *driver);
/* What it is for the store at the end of a turn. */
enum liveness live_liveness(const struct live *live);
usec_t live_wake_at(const struct live *live);
void live_set_timer(struct driver *driver, struct live *live, const struct command *command);
void live_cancel_timers(struct driver *driver, struct live *live);
/* After the commit: keeps, parks or drops it. */
void live_settle(struct driver *driver, struct live *live);
/* A timer of driver->wheel went off. */
void live_timer_due(struct driver *driver, struct wheel_timer *timer);

/* ---- commands.c ---- */

void commands_apply(struct driver *driver, struct live *live);
/* What waits for an execution that is deleted before its end waits no more. */
void commands_deleted(struct driver *driver, struct live *live);
void live_log(struct driver *driver,
              struct live *live,
              const struct task_run *run,
              enum log_level level,
              const char *message);

/* ---- create.c ---- */

struct creation {
    const char *namespace;
    const char *flow_id;
    int64_t revision;    /* 0 latest */
    const struct id *id; /* NULL: new */
    const struct value *inputs;
    const struct value *given;
    bool lenient;
    bool without_flow_labels;
    const struct label *labels;
    size_t labels_count;
    const char *trigger_id;
    const char *trigger_type;
    const struct value *trigger_variables;
    usec_t schedule_at;
    enum execution_kind kind;
    const struct value *breakpoints;
    const struct value *loop;
    const char *trace_parent;
    bool is_failed;
    const char *message;
    bool steps_later; /* its first step may wait for another turn */
    /* Asked for it and is shown the execution as it was before its first step; NULL none. */
    struct driver_request *asker;
    int64_t fire_trigger; /* see struct execution_row */
    usec_t fire_at;
    int64_t fire_backfill;
};

/*
 * Makes an execution and steps it (or has it stepped). What is wrong with its inputs is an error.
 *
 * Errors  ERR_NOT_FOUND  no such flow or revision
 *         ERR_CONFLICT   the flow is disabled or cannot be parsed
 *         ERR_INVALID    inputs
 */
struct live *create_execution(struct driver *driver,
                              const struct creation *creation,
                              struct error *err);
/* Adopts one made by engine_replay() and its like. */
struct live *create_from(struct driver *driver, struct execution *execution);
enum admission create_admission(struct driver *driver, const struct execution *execution);
/*
 * Environment for expressions outside of an engine step; functions of it are answered at once or
 * fail. Valid until the next call.
 */
struct expr_env create_env(struct driver *driver,
                           const struct value *context,
                           struct expr_cache *cache);

/* ---- flows.c ---- */

/*
 * A parsed flow; borrowed until the end of the turn. revision 0: the latest one.
 *
 * Errors  ERR_NOT_FOUND; ERR_CONFLICT "Cannot execute an invalid flow: …"
 */
struct flow *flows_get(struct driver *driver,
                       const char *namespace,
                       const char *id,
                       int64_t revision,
                       struct error *err);
/* As flows_get() without the cache, for other threads; one reference. */
struct flow *flow_load(const struct driver_config *config,
                       struct store_reader *reader,
                       const char *namespace,
                       const char *id,
                       int64_t revision,
                       struct error *err);
/* A revision was saved: what was latest is not any more. */
void flows_changed(struct driver *driver, const char *namespace, const char *id);
/* Forgets the least recently used beyond what may be kept; at the end of a turn. */
void flows_trim(struct driver *driver);
void flows_free(struct driver *driver);

/* ---- slots.c ---- */

bool slots_load(struct driver *driver, struct error *err);
void slots_free(struct driver *driver);
int64_t slots_used(struct driver *driver, const char *namespace, const char *flow_id);
/* Follows what a step did to an execution: slot taken or given back, queue entered or left. */
void slots_follow(struct driver *driver, struct live *live);
/* Lets queued executions of a flow go as its limit allows. */
void slots_release(struct driver *driver, const char *namespace, const char *flow_id);

/* ---- triggers.c, flow_triggers.c ---- */

bool triggers_load(struct driver *driver, struct error *err);
void triggers_free(struct driver *driver);
/* The earliest date of all, for those who ask what is next. */
void triggers_find_next(struct driver *driver);
void trigger_due(struct driver *driver, struct wheel_timer *timer);
/* The triggers of a flow as they are saved or deleted. */
void triggers_save(struct driver *driver, const struct flow_change *change, int64_t revision);
/* Finds next dates of triggers with conditions, whose flow had to be stored first. */
void triggers_refine(struct driver *driver);
void triggers_request(struct driver *driver, struct driver_request *request);
void triggers_answer(struct driver *driver, const struct message *message);
/* An execution fully ended: lock, stopAfter. */
void triggers_execution_ended(struct driver *driver, const struct live *live);
/* Values of this turn are stored. */
void triggers_committed(struct driver *driver);
struct spec_entry *spec_use(struct driver *driver, const char *text, struct error *err);
void spec_leave(struct driver *driver, struct spec_entry *entry);

/*
 * Labels of an execution that a trigger starts: of the trigger (rendered), then `more`, then
 * system.from. Errors: ERR_INVALID, an expression fails.
 */
bool trigger_labels(struct driver *driver,
                    const struct trigger *trigger,
                    struct expr_env *env,
                    const struct value *more,
                    const char *correlation,
                    struct creation *creation,
                    struct error *err);

void observers_put(struct driver *driver, const struct trigger_state *state);
void observers_remove(struct driver *driver, int64_t key);
void observers_free(struct driver *driver);
/* An execution changed its state. */
void observers_notice(struct driver *driver, struct live *live, enum state state);
void observers_committed(struct driver *driver);

/* ---- windows.c ---- */

/* That of this turn or of the store; one that does not exist is empty. Lives as long as the turn.
 */
struct window_state *window_load(struct driver *driver, const struct window_name *name);
/* Into this commit; one that no longer exists is removed. */
void window_save(struct driver *driver,
                 const struct window_name *name,
                 const struct window_state *window);
/* Its time is over: a trigger with onMiss that did not fire makes a FAILED execution. */
void window_closed(struct driver *driver,
                   const struct window_name *name,
                   const struct window_results *results);
/* Closes windows that are over; opens those whose miss somebody wants to know of. */
void windows_look(struct driver *driver);

/* ---- requests.c, changes.c ---- */

void requests_handle(struct driver *driver, struct driver_request *request);
/* Deletes an execution with this commit. */
void requests_remove(struct driver *driver,
                     const struct execution_row *row,
                     bool keep_logs,
                     bool keep_metrics);
void changes_handle(struct driver *driver, struct driver_request *request);
/*
 * Does the request look at something that this turn has changed already? Then the commit has to
 * come first: what is compared is what is stored.
 */
bool changes_collide(struct driver *driver, const struct driver_request *request);
/* After the commit: what was latest is not any more; limits may have been raised. */
void changes_committed(struct driver *driver);

/* ---- orders.c ---- */

/* What expressions of an execution see at its top level, in a copy that owes nothing to it. */
const struct value *orders_context(struct driver *driver, struct live *live, struct arena *arena);
void orders_run(struct driver *driver, struct live *live, const struct command *command);
void orders_cancel(struct driver *driver, struct live *live, const struct command *command);
void orders_evaluate(struct driver *driver, struct live *live, const struct command *command);
/* The attempt is on a worker from now on; its lease is looked at. */
void orders_hold(struct driver *driver,
                 struct live *live,
                 const struct task_run *run,
                 uint32_t attempt);
/* It is not any more; another attempt stays. */
void orders_release(struct driver *driver, struct live *live, uint32_t seq, uint32_t attempt);
/* The attempt of a run that is held; 0 none. */
uint32_t orders_held(const struct live *live, uint32_t seq);
/* Of an execution that is deleted. */
void orders_cancel_all(struct driver *driver, struct live *live);
/* Of one that leaves memory; work that was given up may go on. */
void orders_forget(struct driver *driver, struct live *live);
void orders_send(struct driver *driver);
/* An answer came: the attempt is no longer on a worker (unless it only started). */
void orders_answered(struct driver *driver, struct live *live, const struct event *event);
void orders_check_leases(struct driver *driver);
/* What the worker, which has stopped, was given and has not begun was never given. */
void orders_take_back(struct driver *driver);
/* Offers what a worker had no room for again. */
void orders_retry(struct driver *driver);
void orders_drop(struct driver *driver);

/* ---- backlog.c ---- */

/* A new order, after attempt `earlier` of the same run (0 none); given to the driver. */
void backlog_add(struct driver *driver,
                 struct live *live,
                 struct task_run *run,
                 struct order *order,
                 uint32_t earlier);
/* Before a commit: gives what may go now. */
void backlog_turn(struct driver *driver);
void backlog_free(struct driver *driver);

/* ---- recover.c ---- */

bool recover_active(struct driver *driver, struct error *err);
/* Loads what wakes within the next minutes. */
void recover_waking(struct driver *driver);
/* Steps an execution that was loaded: pending work again, attempts without worker lost. */
void recover_step(struct driver *driver, struct live *live);
void recover_retention(struct driver *driver);

#endif
