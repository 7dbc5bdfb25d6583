/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An execution in memory: its header, its task runs, their attempts; and the state table.
 *
 * Changed only by engine code, through *_move(). Everything lives in execution->arena. What changed
 * since the last commit is marked (`is_dirty`, `removed`), so that the driver stores deltas.
 *
 * To add a state: one row in execution.c; -Wswitch-enum then visits every switch.
 */
#ifndef RUNTIME_ENGINE_EXECUTION_H
#define RUNTIME_ENGINE_EXECUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/vec.h"
#include "core/flow.h"

struct answers;
struct arena;
struct buf;
struct engine_memory;
struct error;
struct generated_task;
struct iterations;
struct scope;
struct value;
struct value_builder;

enum state {
    STATE_CREATED,
    STATE_SUBMITTED,
    STATE_RUNNING,
    STATE_PAUSED,
    STATE_RESTARTED,
    STATE_QUEUED,
    STATE_RETRYING,
    STATE_BREAKPOINT,
    STATE_KILLING,
    STATE_SUCCESS,
    STATE_WARNING,
    STATE_FAILED,
    STATE_KILLED,
    STATE_CANCELLED,
    STATE_SKIPPED,
    STATE_RETRIED,
    STATE_RESUBMITTED,
    STATE_COUNT,
};

struct state_row {
    const char *name;
    bool is_terminal;
    bool is_created;   /* CREATED, RESTARTED */
    bool is_failed;    /* FAILED only */
    uint32_t next;     /* legal successors of an execution, BIT(state) */
    uint32_t run_next; /* legal successors of a task run */
};
extern const struct state_row states[STATE_COUNT];

/* "CREATED" …; false when unknown. CANCELED counts as CANCELLED. */
bool state_parse(const char *name, enum state *out);

struct state_change {
    enum state state;
    usec_t at;
};

/* Current state and how it came about; dates never decrease. */
struct state_log {
    enum state current;
    VEC(struct state_change) history;
};

struct attempt {
    enum state state;
    usec_t started_at;
    usec_t ended_at; /* 0 while running */
    const char *worker;
    const char *log_file; /* storage URI or NULL */
};

struct task_run {
    struct id id;
    uint32_t seq; /* creation order from 1, unique for ever inside the execution; store key */
    const char *task_id;
    const struct task *task; /* NULL when the loaded flow has no such task */
    struct task_run *parent; /* NULL at top level */
    const char *value;       /* iteration value or NULL */
    int64_t iteration;       /* -1 none */
    const char *items;       /* batch URI of ForEachItem, or NULL */
    struct state_log state;
    VEC(struct attempt) attempts;
    const struct value *outputs; /* map, never NULL */
    bool is_dynamic;
    bool force_execution;
    bool is_released; /* passed its breakpoint: does not stop there again */

    /* Engine bookkeeping that must survive a restart. */
    const char *remote_id;         /* of a remote job, once known */
    const struct value *memo;      /* private data of the flowable or remote job, may be NULL */
    struct iterations *iterations; /* child executions by state (iterations.h), or NULL */
    const char *cache_key;         /* under which its outputs are remembered (taskCache), or NULL */
    uint32_t orders;               /* given to workers: number of the last attempt ordered */
    bool is_handed;                /* SUBMITTED: that order was given away, its work may have begun;
                                      stored before it is given (set by the driver) */
    bool is_abandoned;        /* its end was forced while a worker was at it, which goes on (3.3) */
    usec_t wake_at;           /* pending timer: retry, pause end, loop interval, poll; 0 none */
    uint32_t wake_generation; /* timers of an older generation change nothing */

    /* In memory only; see scope.h and memory.h. */
    uint32_t parent_seq; /* 0 none */
    bool is_dirty;
    bool is_removed;    /* no longer part of the execution; its row goes at the next commit */
    bool is_queued;     /* waits in the dispatch queue */
    bool is_waiting;    /* its dispatch waits for the answer to COMMAND_EVALUATE */
    bool has_encrypted; /* outputs hold encrypted values: `clear` is made when asked for */
    struct task_run *first_child;
    struct task_run *last_child;
    struct task_run *next_sibling;
    struct scope *scope;        /* of a flowable: its lists, NULL until it has run */
    const struct value *clear;  /* outputs with encrypted values decrypted, NULL: not made */
    struct answers *answers;    /* effects asked for by expressions of the pending dispatch */
    const struct task *dynamic; /* what a TemplatedTask became, NULL none */
    const struct value *props;  /* of a remote job: as it was started with, NULL: render again */
};

/* Task runs by id: open addressing over the text, so that a waiting run costs a pointer or two. */
struct run_table {
    struct task_run **slots;
    size_t count;
    size_t capacity; /* a power of two, or 0 */
};

enum execution_kind { KIND_NORMAL, KIND_TEST, KIND_PLAYGROUND, KIND_LOOP };

struct execution {
    struct arena *arena;
    struct id id;
    const char *namespace;
    const char *flow_id;
    int64_t flow_revision;
    struct flow *flow; /* one reference; NULL when the revision could not be loaded */

    struct state_log state;
    const struct value *inputs;    /* map as stored: secrets encrypted, durations as seconds */
    const struct value *outputs;   /* map or NULL */
    const struct value *variables; /* map, never NULL */
    VEC(struct label) labels;
    const char *parent_id;   /* restarted, replayed or retried from; NULL none */
    const char *original_id; /* first of the chain; own id when fresh */
    const char *trigger_id;  /* NULL none */
    const char *trigger_type;
    const struct value *trigger_variables; /* map or NULL */
    int64_t attempt_number;                /* metadata.attemptNumber, from 1 */
    usec_t original_created_at;
    usec_t schedule_at; /* scheduleDate, 0 none */
    enum execution_kind kind;
    const struct value *breakpoints; /* list of {id, value}, NULL none */
    const char *trace_parent;
    const struct value *loop; /* KIND_LOOP: {taskId, item, outputs, tasks, trigger}, else NULL */
    bool fully_ended;         /* terminal, and after-execution work done; announced */
    bool holds_slot;          /* counted by the concurrency limit */
    bool paused_by_user;      /* PAUSED without a paused task run: nothing is started */
    bool sla_violated;        /* a violation was logged */
    usec_t retry_at;          /* RETRIED: when the successor is due; 0 none, or made already */

    VEC(struct task_run *) runs; /* creation order; removed ones are taken out */
    uint32_t next_seq;
    uint64_t version; /* of the stored header; +1 per commit */

    /* In memory only. */
    struct run_table runs_by_id;
    struct engine_memory *memory;     /* the engine's, NULL until it works on this execution */
    struct generated_task *generated; /* tasks that are not in the flow\'s text */
    VEC(struct task_run *) dirty;     /* runs that changed since the last commit, each once */
    VEC(uint32_t) removed;            /* seq of rows to delete at the next commit */
    bool is_dirty;                    /* the header changed */
    bool is_new;
};

/* New, empty, state CREATED at `at`; owns its arena. Fill the rest, then step EVENT_START. */
struct execution *execution_new(const struct id *id, struct flow *flow, usec_t at);
void execution_free(struct execution *execution);

/*
 * Is there anything to come: not fully ended, or a successor is due? What is not live needs neither
 * memory nor timers.
 */
bool execution_is_live(const struct execution *execution);
/*
 * Earliest timer that the rows hold (execution and task runs), USEC_NEVER none; for those who park
 * executions and wake them later.
 */
usec_t execution_wake_at(const struct execution *execution);
/* Forgets the marks of changes, after they were stored: dirty, removed, is_dirty, is_new. */
void execution_committed(struct execution *execution);

/* The task of an id: of the flow, or generated by one of its tasks. NULL when there is none. */
const struct task *execution_task(struct execution *execution, const char *task_id);

struct task_run *execution_find_run(const struct execution *execution, const char *run_id);
struct task_run *execution_run_by_seq(const struct execution *execution, uint32_t seq);
/* Its position in execution->runs. */
size_t execution_run_index(const struct execution *execution, const struct task_run *run);
const char *execution_label(const struct execution *execution, const char *key);
/* Adds or overrides; keeps the position of an existing key. Copies. */
void execution_set_label(struct execution *execution, const char *key, const char *value);

/*
 * Appends a task run, state CREATED. Its id derives from the execution and its number; task_id and
 * value are copied, task is resolved by the caller.
 */
struct task_run *execution_add_run(struct execution *execution,
                                   const struct task *task,
                                   struct task_run *parent,
                                   const char *value,
                                   int64_t iteration,
                                   usec_t at);
/* Takes the runs marked `is_removed` out of all lists; their rows go at the next commit. */
void execution_sweep(struct execution *execution);
/* What is to be stored again. */
void execution_touch(struct execution *execution);
void task_run_touch(struct execution *execution, struct task_run *run);

bool state_is_terminal(enum state state);
/* Appends to the history without looking at the table; for decoding, replays and new logs. */
void state_log_append(struct arena *arena, struct state_log *log, enum state state, usec_t at);
/* Was it ever in this state? Date of the last time, 0 never. */
usec_t state_last_at(const struct state_log *log, enum state state);
usec_t state_started_at(const struct state_log *log);
/* Date of the last change when terminal or PAUSED, else 0. */
usec_t state_ended_at(const struct state_log *log);

/*
 * Every change of state; CHECKs the pair against the table, appends history (not twice in a row),
 * marks dirty. `at` earlier than the last change is raised to it.
 */
void execution_move(struct execution *execution, enum state state, usec_t at);
void task_run_move(struct execution *execution, struct task_run *run, enum state state, usec_t at);

/* A new attempt, RUNNING. Valid until the next one is added. */
struct attempt *task_run_add_attempt(struct execution *execution, struct task_run *run, usec_t at);
/* NULL before the first. */
struct attempt *task_run_last_attempt(const struct task_run *run);

/* ---- storage form: compact, versioned, no JSON; see execution_codec.c ---- */

/* Header without task runs. */
void execution_encode(struct buf *out, const struct execution *execution);
void task_run_encode(struct buf *out, const struct task_run *run);
/*
 * Back again; task pointers are set from `flow` (may be NULL: pure reading, as the API does).
 * Errors: ERR_INTERNAL when bytes are damaged or from a newer version.
 */
struct execution *execution_decode(const void *bytes,
                                   size_t length,
                                   struct flow *flow,
                                   struct error *err);
bool task_run_decode(struct execution *execution,
                     const void *bytes,
                     size_t length,
                     struct error *err);
/* After all runs are decoded: links parents and children. */
void execution_link(struct execution *execution);

/* ---- JSON form (flow-language.md 6.4, 6.5; api.md 3.2) ---- */

const struct value *execution_to_value(const struct execution *execution, struct arena *arena);
/* Its members, into a map that gets others too. */
void execution_put(struct value_builder *map, const struct execution *execution);
const struct value *task_run_to_value(const struct execution *execution,
                                      const struct task_run *run,
                                      struct arena *arena);

#endif
