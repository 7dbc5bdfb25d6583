/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scopes: the flow's top level, or a flowable task run, with its lists of tasks.
 *
 * Numbers of task runs by state are kept per list, so that choosing the list to follow and
 * resolving a state (flow-language.md 3.2, 3.3) cost the same whatever the number of task runs. In
 * memory only; made again from the task runs after a restart.
 */
#ifndef RUNTIME_ENGINE_SCOPE_H
#define RUNTIME_ENGINE_SCOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/engine/flowable.h"

struct arena;

enum scope_list {
    LIST_MAIN,
    LIST_ERRORS,
    LIST_FINALLY,
    LIST_AFTER, /* top level: listeners and afterExecution */
    LIST_ASIDE, /* onPause at the top level, onWait of an Approval: changes no state */
    LIST_COUNT,
};

/* What is followed; FOLLOW_NOTHING is the empty list. */
enum followed { FOLLOW_NOTHING, FOLLOW_MAIN, FOLLOW_ERRORS, FOLLOW_FINALLY };

struct scope_count {
    uint32_t runs;
    uint32_t ended;   /* terminal */
    uint32_t created; /* CREATED, RESTARTED */
    uint32_t busy;    /* SUBMITTED, RUNNING, KILLING */
    uint32_t failed;
    uint32_t killed;
    uint32_t warning;
    uint32_t paused;
    uint32_t retrying;
    uint32_t retrying_for; /* RETRYING because an ancestor flowable says so: errors run meanwhile */
    uint32_t next;         /* all entries before this one have a run */
};

/* Numbers to be taken smallest first. They mostly come in order already. */
struct scope_ready {
    uint32_t *items;
    size_t count;
    size_t capacity;
    size_t taken; /* from the front */
    bool is_mixed;
};

/* Of PROGRESS_ITEMS: how far each item is. */
struct scope_items {
    uint32_t *started;        /* number of tasks of the item that have a run */
    uint32_t next;            /* first item without any */
    struct scope_ready ready; /* items whose last run has ended, and that have tasks left */
};

/* Of PROGRESS_DAG. */
struct scope_dag {
    uint32_t *waits;      /* per entry: dependencies that have not ended */
    uint32_t *dependents; /* entries that depend on entry i: [starts[i], starts[i + 1]) */
    uint32_t *starts;
    struct scope_ready ready; /* entries that wait for nothing and have no run */
};

struct scope {
    struct task_run *owner; /* NULL: top level */
    struct plan plan;
    const struct task_list *errors; /* NULL: absent, or without enabled tasks */
    const struct task_list *finally;
    uint32_t entries; /* of main */
    struct scope_count lists[LIST_COUNT];
    unsigned char *made; /* a bit per entry of main that has a run; NULL: none from `next` on */
    struct scope_items *items;
    struct scope_dag *dag;
    bool forced_fail; /* it must fail, whatever its children do */
    bool is_queued;   /* waits to be looked at */
    bool is_closed;
    struct scope *next_free;
};

/* Items times tasks of one scope; what a ForEach may ask for. */
#define SCOPE_ENTRIES_MAX 10000000U

/* Which list of its scope a run belongs to. */
enum scope_list scope_list_of(const struct task_run *run);
/* Position of a run in main; SIZE_MAX when it has none (another revision, another value). */
size_t scope_entry_of(const struct scope *scope, const struct task_run *run);

/* Counts a run in or out; before and after each move. */
void scope_count_run(struct scope *scope, const struct task_run *run, bool in);

/* After plan, errors and finally are known and all existing runs were counted. */
void scope_open(struct scope *scope, struct arena *arena, struct task_run *first_run);

/* A run of main has ended for good. */
void scope_run_ended(struct scope *scope, struct arena *arena, const struct task_run *run);

/* The next entry of main to create, SIZE_MAX when there is none now. Marks it as made. */
size_t scope_next_entry(struct scope *scope);

uint32_t scope_list_size(const struct scope *scope, enum scope_list list);
bool scope_list_ended(const struct scope *scope, enum scope_list list);
uint32_t scope_open_runs(const struct scope *scope);

/* flow-language.md 3.2 */
enum followed scope_follow(const struct scope *scope);
/* 3.3: has it ended, and how? */
bool scope_resolve(const struct scope *scope, enum followed followed, enum state *state);
/* "Final state" of 3.3, of main alone. */
enum state scope_final_state(const struct scope *scope);

#endif
