/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver: the one thread that owns executions and writes the store.
 *
 *     inbox → steps of the engine → one commit → answers, orders to workers, notices
 *
 * Everything that changes state is a request, answered after its commit. What a reader of the store
 * sees is never older than an answer, and there is nothing newer than the store to be asked for:
 * read executions with a store_reader.
 *
 * A turn takes what is ready, bounded in events and in time, steps it as far as pure work goes, and
 * commits once. When nothing else is ready it commits at once, so a lone request waits for nothing.
 *
 * Threads: driver_turn() and everything it calls back belong to the driver's thread; all other
 * functions may be called from any thread.
 */
#ifndef RUNTIME_DRIVER_DRIVER_H
#define RUNTIME_DRIVER_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "runtime/engine/engine.h"
#include "runtime/scheduler/spec.h"
#include "runtime/store/rows.h"
#include "runtime/worker/orders.h"

struct arena;
struct buf;
struct driver;
struct logstore;
struct plugin_set;
struct services;
struct store;
struct value;

/* Zero-initialised fields take the default in brackets. Pointers are borrowed until driver_free().
 */
struct driver_config {
    struct store *store;
    struct logstore *logs;
    const struct engine_world *world;
    const struct plugin_set *plugins;
    const struct value *plugin_defaults; /* server-wide, for flow_parse(); may be NULL */
    const struct services *services; /* kv(), secret() … while creating executions; may be NULL
                                      */
    struct worker_iface worker;
    const char *zone; /* [UTC] */
    const char *name; /* of this server, for leases and origins ["weir"] */
    enum recover_missed recover_missed;
    usec_t retention;    /* [0: keep] ended executions older than this are purged */
    size_t inbox_max;    /* [65536] requests and answers waiting; full: ERR_LIMIT (503) */
    size_t turn_events;  /* [2048] events per turn */
    usec_t turn_time;    /* [10 ms] after which a turn commits */
    usec_t linger;       /* [0] how long the news that attempts have started may wait for company */
    size_t parked_after; /* [0] live executions kept though parked, as a cache */
    size_t processes_max;      /* [64] attempts given to the worker at once: processes */
    size_t calls_max;          /* [256] … and all others; more wait in the driver */
    usec_t lease;              /* [30 s] how often running attempts are checked with the worker */
    usec_t (*now)(void *data); /* [clock_now] */
    void *now_data;
    uint64_t seed; /* [random] of ids */
    /* Masks secrets in a line of an execution's log, as redact_apply(). NULL: nothing to mask. */
    bool (*redact)(
        void *data, const char *execution_id, const char *text, size_t length, struct buf *out);
    void *redact_data;
    /*
     * The store refused a commit for good (another weir took it over): nothing happens any more
     * until a restart. [abort the process]
     */
    void (*broken)(void *data, const struct error *err);
    void *broken_data;
};

/* Reads what a start needs (numbers, triggers, active executions). */
struct driver *driver_new(const struct driver_config *config, struct error *err);
/* Stopped first. Requests still waiting are answered ERR_CANCELLED. NULL is fine. */
void driver_free(struct driver *driver);

/* Runs turns on a thread of its own until driver_stop(). */
bool driver_start(struct driver *driver, struct error *err);
/*
 * Refuses new requests, stores what workers have answered, joins the thread. When the worker was
 * stopped first, what it was given and has not begun is stored as not given, so that it begins at
 * the next start as if nothing had happened.
 */
void driver_stop(struct driver *driver);

/*
 * One round without waiting, for simulation and tests instead of driver_start().
 *
 * Returns  whether anything was done
 */
bool driver_turn(struct driver *driver);
/* When the next timer is due; USEC_NEVER none. After driver_turn() returned false. */
usec_t driver_next(struct driver *driver);

/* Answers of workers go here. */
struct worker_answers driver_worker_answers(struct driver *driver);
/* For logstore_options.written. */
void driver_log_written(void *driver, const struct log_row *row);

/* ---- requests ---- */

enum request_type {
    REQUEST_CREATE,  /* a new execution */
    REQUEST_OPERATE, /* an operation on an execution */
    REQUEST_CHANGE,  /* flows, files, KV, documents, outbox: one transaction (law 5) */
    REQUEST_TRIGGER, /* an operation on a trigger */
    REQUEST_DELETE,  /* executions with their logs, metrics */
    REQUEST_LOGS,    /* purge of log lines */
    REQUEST_WAIT,    /* until an execution has fully ended */
};

/*
 * Who creates an execution. The API resolves inputs (core/inputs.h) and checks before it asks;
 * values are copied.
 */
struct create_request {
    const struct id *id; /* NULL: the driver makes one. The API makes it, so that uploaded files can
                            be stored below it first */
    const char *namespace;
    const char *flow_id;
    int64_t revision;           /* 0: latest */
    const struct value *inputs; /* resolved map, or NULL: the driver resolves `given` */
    const struct value *given;  /* values to resolve against the flow's inputs, NULL none */
    bool lenient_inputs; /* a missing required input is no error; a webhook without `inputs` */
    const struct label *labels; /* over the flow's; system.* as given */
    size_t labels_count;
    const char *trigger_id; /* NULL: none */
    const char *trigger_type;
    const struct value *trigger_variables;
    usec_t schedule_at; /* 0: now */
    enum execution_kind kind;
    const struct value *breakpoints; /* list of {id, value}, NULL none */
    bool is_failed;                  /* ends FAILED at once (failed check, trigger error) */
    const char *message;             /* why, for its log */
    const char *user;
    const char *trace_parent;
    bool wait; /* answer when fully ended, else when created */
};

enum operation {
    OPERATE_EVENT, /* `event`, checked by engine_allows() */
    OPERATE_RESTART,
    OPERATE_REPLAY,
    OPERATE_KILL,
    OPERATE_FORCE_RUN,
    OPERATE_UNQUEUE,
};

struct operate_request {
    const char *execution_id;
    enum operation operation;
    struct event event;         /* EVENT: PAUSE RESUME DECIDE CHANGE_RUN CHANGE_STATE SET_LABELS
                                   BREAKPOINT_RESUME; `at` and `seed` are set by the driver */
    int64_t revision;           /* RESTART, REPLAY: 0 that of the execution, -1 latest */
    const char *run_id;         /* REPLAY: from here; NULL from the beginning */
    const struct value *inputs; /* REPLAY: resolved; NULL those of the source */
    const struct value *breakpoints; /* REPLAY */
    enum state state;                /* UNQUEUE: RUNNING, CANCELLED or FAILED */
    bool is_cascade;                 /* KILL */
};

/*
 * Answer to CREATE, OPERATE and WAIT.
 *
 * `row` of WAIT and of a CREATE that waits is the execution as committed. Without waiting it is the
 * execution as the request itself left it (CREATED without task runs, RESTARTED …), however far the
 * steps in the same commit went: API clients rely on it (api.md 2.2.2, 2.2.3). `state` is that of
 * the row.
 */
struct execution_answer {
    int64_t key;
    struct id id;
    enum state state;
    int64_t revision;
    const struct execution_row *row; /* with runs, when wants_row; owned by request.arena */
};

enum change_mode { CHANGE_ANY, CHANGE_NEW, CHANGE_EXISTING };

/* Kept per item, so that a batch tells which one was refused. */
struct change_result {
    bool changed; /* false: was equal already */
    bool is_created;
    int64_t revision;
};

/* A trigger of a flow to be saved; filled by flow_change_fill(). */
struct trigger_change {
    const char *id;
    enum trigger_kind kind;
    const char *type;
    const char *spec;
    const char *stop_after;
    bool is_off;
    bool allow_concurrent;
};

struct flow_change {
    bool is_delete;
    enum change_mode mode;
    const char *namespace;
    const char *id;
    const char *source;
    size_t source_length;
    const char *digest;
    const char *labels;
    const char *description;
    bool disabled;
    int64_t concurrency_limit; /* 0 none */
    const struct trigger_change *triggers;
    size_t triggers_count;
    int64_t expected_revision; /* 0: any; else ERR_CONFLICT when the latest is another */
    struct change_result result;
};

struct kv_change {
    bool is_delete;
    bool forgets;          /* the old version row.revision is forgotten, nothing else */
    enum change_mode mode; /* NEW: ERR_CONFLICT when the key exists (and has not expired) */
    struct kv_row row;     /* revision and dates are set by the driver */
    struct change_result result;
};

struct file_change {
    bool is_delete;
    bool forgets;        /* this old revision (row.revision) is forgotten, nothing else */
    struct file_row row; /* revision and dates are set by the driver */
    struct change_result result;
};

struct document_change {
    bool is_delete;
    struct document_row row;
    const char *expected_digest; /* SHA-256 hex of the body there now; "" absent; NULL any */
};

/*
 * All or nothing, in this order: deletions, then the rest. The first refused item is named by the
 * error and by `failed`.
 */
struct change_request {
    struct origin origin;
    struct flow_change *flows;
    size_t flows_count;
    struct kv_change *kv;
    size_t kv_count;
    struct file_change *files;
    size_t files_count;
    struct document_change *documents;
    size_t documents_count;
    struct outbox_row *outbox; /* to add; keys are set */
    size_t outbox_count;
    const int64_t *outbox_done; /* delivered: to delete */
    size_t outbox_done_count;
    const struct outbox_row *outbox_later; /* try again: due_at, attempts */
    size_t outbox_later_count;
    bool purges_revisions; /* flows: forget `result.revision` of each instead of changing it */
    size_t failed;         /* answer: index in its array of the refused item */
};

enum trigger_operation {
    TRIGGER_SET_DISABLED,
    TRIGGER_UNLOCK,
    TRIGGER_RESTART,
    TRIGGER_REMOVE,
    TRIGGER_BACKFILL,
    TRIGGER_BACKFILL_PAUSE,
    TRIGGER_BACKFILL_UNPAUSE,
    TRIGGER_BACKFILL_REMOVE,
};

struct trigger_request {
    const char *namespace;
    const char *flow_id;
    const char *trigger_id;
    enum trigger_operation operation;
    bool disabled;
    struct backfill backfill;
    struct trigger_state state; /* answer; owned by request.arena */
};

struct delete_request {
    const char *const *ids; /* of executions */
    size_t count;
    bool keep_logs;
    bool keep_metrics;
    bool non_terminated_too;
    size_t deleted; /* answer */
};

struct logs_request {
    const char *execution_id; /* NULL: by the rest */
    const char *namespace;
    const char *flow_id;
    const char *trigger_id;
    usec_t before;
    usec_t after;
    uint32_t levels;     /* BIT(level), 0 all */
    const char *task_id; /* only of this task, NULL all */
    const char *run_id;  /* only of this task run, NULL all */
    uint32_t attempt;    /* only of this attempt, counted from 1; 0 all */
    bool with_children;  /* of the namespace */
    bool metrics_too;
    bool keeps_lines; /* metrics only */
};

/*
 * One request. The caller fills it, gives it to driver_submit() with `arena` (which owns all it
 * points to) and does not touch it until `done`.
 */
struct driver_request {
    enum request_type type;
    struct arena *arena; /* the caller's; used by the driver for answers until `done` */
    /*
     * After the commit, on the driver's thread; must be short (wake a connection). The request is
     * the caller's again from here on.
     */
    void (*done)(struct driver_request *request);
    void *data;
    bool wants_row; /* CREATE, OPERATE, WAIT: fill execution.row */
    union {
        struct create_request create;
        struct operate_request operate;
        struct change_request change;
        struct trigger_request trigger;
        struct delete_request delete;
        struct logs_request logs;
        const char *wait_for; /* WAIT: execution id */
    };

    /* Answer. */
    bool ok;
    struct error error;
    struct execution_answer execution;

    struct driver_request *next; /* the driver's */
    int64_t state_number;        /* the driver's */
};

/*
 * Errors of requests: ERR_INVALID, ERR_NOT_FOUND, ERR_CONFLICT, ERR_LIMIT as each says;
 * ERR_UNAVAILABLE when the store cannot be written; ERR_CANCELLED at shutdown.
 *
 * Returns  false when the inbox is full or the store cannot be written for a while (request->error
 *          says which); the request stays the caller's
 */
bool driver_submit(struct driver *driver, struct driver_request *request);

/*
 * Submits and waits for the answer; request->done must be NULL. Not from the driver's thread.
 *
 * Returns  request->ok, with err filled from it
 */
bool driver_call(struct driver *driver, struct driver_request *request, struct error *err);

/* ---- noticing ---- */

struct execution_notice {
    int64_t key;
    const char *execution_id;
    const char *namespace;
    const char *flow_id;
    enum state state;
    bool fully_ended;
    bool is_deleted;
};

struct driver_watch;
/* On the driver's thread after the commit; must not block. */
typedef void driver_watch_fn(void *data, const struct execution_notice *notice);

/* execution_id NULL: all executions. One call per commit that changed the execution. */
struct driver_watch *driver_watch(struct driver *driver,
                                  const char *execution_id,
                                  driver_watch_fn *fn,
                                  void *data);
/* No call happens after it returned. NULL is fine. */
void driver_unwatch(struct driver *driver, struct driver_watch *watch);

/* ---- helpers for callers ---- */

/*
 * Fills a change from a parsed flow: names, labels, triggers with their specs, but not its text and
 * the digest of it. zone: the server's. What the change points to is owned by the arena; the flow
 * may be released afterwards.
 */
void flow_change_outline(struct arena *arena,
                         const struct flow *flow,
                         const char *zone,
                         struct flow_change *out);

/* The same, with a copy of the flow's text and its digest. */
void flow_change_fill(struct arena *arena,
                      const struct flow *flow,
                      const char *zone,
                      struct flow_change *out);

/* The table behind services.operate, see operations.c. data: struct driver_operations. */
struct driver_operations {
    struct driver *driver;
    struct store *store;
    struct logstore *logs;
    struct storage *storage;
};
const struct value *driver_operate(void *data,
                                   struct arena *arena,
                                   const char *operation,
                                   const struct value *arguments,
                                   struct error *err);

/* Numbers for status and metrics; a snapshot after the last turn. */
struct driver_counts {
    size_t active; /* executions in memory */
    size_t inbox;
    size_t timers;
    size_t triggers;
    usec_t next_fire;           /* earliest schedule, USEC_NEVER none; now and then behind */
    usec_t store_failing_since; /* 0: commits succeed */
};
/*
 * Changes whenever a change of a flow or of a trigger was stored, before the change is answered:
 * what was read from the store after asking for it holds while it stays the same. Any thread.
 */
uint64_t driver_catalog(struct driver *driver);

struct driver_counts driver_counts(struct driver *driver);

#endif
