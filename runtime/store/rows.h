/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows as they cross the interface of the store, in both directions.
 *
 * In a commit, texts and bytes are borrowed until store_commit() returns; in an answer of a reader
 * they are owned by the arena that was given. NULL text means "none". Times are 0 when there is
 * none, unless said otherwise.
 */
#ifndef RUNTIME_STORE_ROWS_H
#define RUNTIME_STORE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/id.h"
#include "runtime/engine/execution.h"
#include "runtime/scheduler/trigger_state.h"

/* Bytes with a length, owned as the row. */
struct bytes {
    const void *at;
    size_t length;
};

/* ---- executions ---- */

enum liveness {
    LIVE_ENDED,  /* fully ended and waits for nothing */
    LIVE_ACTIVE, /* in the driver's memory; loaded at start */
    LIVE_PARKED, /* waits for an event or for wake_at; loaded when that comes */
};

struct run_row {
    uint32_t seq;
    struct bytes body; /* task_run_encode() */
};

/*
 * The columns are what can be searched without decoding the header; the header holds everything.
 * `key` is given by the driver, in order of creation, and never used again.
 */
struct execution_row {
    int64_t key;
    struct id id;
    const char *namespace;
    const char *flow_id;
    int64_t revision;
    enum state state;
    enum execution_kind kind;
    enum liveness live;
    bool holds_slot;   /* counted by the concurrency limit of its flow */
    usec_t created_at; /* first state */
    usec_t ended_at;   /* last state, when terminal */
    usec_t wake_at;    /* PARKED: earliest timer */
    const char *trigger_id;
    const char *cause_id;  /* trigger.variables.executionId: the execution that caused this one */
    const char *parent_id; /* replayed, restarted or retried from */
    int64_t fire_trigger;  /* key of the trigger that fired, 0 none: (trigger, fire_at,
                              fire_backfill) are unique */
    usec_t fire_at;
    int64_t fire_backfill;      /* id of the backfill, 0: regular */
    const struct label *labels; /* in commits: to be indexed; NULL in answers (see the header) */
    size_t labels_count;
    struct bytes header;  /* execution_encode() */
    struct run_row *runs; /* in answers of execution_get() and when asked for, by seq */
    size_t runs_count;
};

/* ---- logs and metrics ---- */

/* A block of log lines of one execution: inline, or a range of its file (logstore.h). */
struct log_row {
    int64_t key; /* by order of commit; set by the store */
    int64_t execution;
    struct id execution_id;
    const char *namespace;
    const char *flow_id;
    const char *trigger_id; /* lines of a trigger's evaluation: execution is 0 */
    usec_t first_at;
    usec_t last_at;
    uint32_t levels; /* BIT(enum log_level) of the lines inside */
    uint32_t lines;
    int64_t file_at;     /* offset in the execution's file, -1: bytes are here */
    int64_t file_length; /* stored bytes there */
    struct bytes body;
};

struct metric_row {
    int64_t execution;
    struct id execution_id;
    const char *namespace;
    const char *flow_id;
    const char *task_id;
    const char *run_id;
    const char *type; /* counter, timer, gauge */
    const char *name;
    double value;
    const char *tags; /* JSON map or NULL */
    usec_t at;
};

/* ---- flows ---- */

/* Who changed something, by which way, from where (law 11). */
struct origin {
    const char *actor;   /* user, or "weir" */
    const char *channel; /* "git", "api", "cli", "ui", "task" */
    const char *source;  /* repository, NULL when none */
    const char *commit;  /* of the repository, NULL when none */
};

struct flow_row {
    const char *namespace;
    const char *id;
    int64_t revision;
    const char *source; /* NULL in lists that do not ask for it */
    size_t source_length;
    const char *digest; /* SHA-256 hex of the source text */
    const char *labels; /* JSON map or NULL, for searches */
    const char *description;
    bool disabled;
    bool deleted;
    usec_t updated_at;
    struct origin origin;
};

/* ---- key-value entries, namespace files, documents ---- */

/* Old values of a key that are kept besides the latest one: a key may be written every second. */
#define KV_VERSIONS_MAX 100

struct kv_row {
    const char *namespace;
    const char *key;
    const char *type;  /* STRING NUMBER BOOLEAN DATETIME DATE DURATION JSON */
    const char *value; /* JSON text */
    const char *description;
    int64_t revision;
    usec_t created_at;
    usec_t updated_at;
    usec_t expires_at; /* USEC_NEVER none */
    struct origin origin;
};

/* A revision of a namespace file; the content lies in the internal storage. */
struct file_row {
    const char *namespace;
    const char *path; /* "/queries/orders.sql" */
    int64_t revision;
    bool is_folder;
    bool deleted;
    int64_t size;
    const char *digest;  /* SHA-256 hex of the content */
    const char *content; /* path in the storage, unique per content */
    usec_t created_at;
    usec_t updated_at;
    struct origin origin;
};

/*
 * What other parts keep: applied commits, inventories, plans, approvals … A collection has one
 * owner, who knows its keys and bodies.
 */
struct document_row {
    const char *collection; /* "applied", "inventory/<source>" … */
    const char *key;
    usec_t at; /* for lists by time */
    struct bytes body;
};

/* Work for others that must not be lost: commit statuses, notifications. */
struct outbox_row {
    int64_t key; /* given by the driver, in order */
    const char *topic;
    const char *order_key; /* rows with the same key are delivered in order; may be NULL */
    usec_t due_at;
    uint32_t attempts;
    struct bytes body;
};

/* ---- bookkeeping of the driver ---- */

/* Results of conditions that must all hold within a time window (flow-language.md 5.9). */
struct window_row {
    const char *namespace;
    const char *flow_id;
    const char *window_id; /* trigger id and id of the precondition */
    usec_t start_at;
    usec_t end_at;
    struct bytes body; /* window_encode(), runtime/scheduler/window.h */
};

/* Outputs kept by taskCache. */
struct cache_row {
    const char *namespace;
    const char *flow_id;
    const char *key;
    usec_t created_at;
    usec_t expires_at; /* USEC_NEVER none */
    struct bytes body;
};

/* An execution that waits for a slot; FIFO by date. */
struct queued_row {
    int64_t execution;
    const char *namespace;
    const char *flow_id;
    usec_t queued_at;
};

/* Number of executions that ended, for statistics and totals. */
struct count_row {
    const char *namespace;
    const char *flow_id;
    enum state state;
    usec_t day; /* start of the UTC day of created_at */
    int64_t count;
};

#endif
