/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flowable tasks: what they follow, and when they have ended (flow-language.md 3).
 *
 * Choosing the list to follow, creating its task runs in order, and resolving the state are the
 * same for all (scope.c); a flowable says which tasks it follows and in which manner, and steps in
 * where it differs. Operations run inside a step: they change the execution through
 * engine_internal.h.
 *
 * To add one: a file flow_x.c closed by its descriptor, one line in runtime/plugins.c, scenarios.
 */
#ifndef RUNTIME_ENGINE_FLOWABLE_H
#define RUNTIME_ENGINE_FLOWABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/flow.h"
#include "runtime/engine/execution.h"

struct engine;
struct error;
struct event;
struct scope;
struct value;

enum progression {
    PROGRESS_SEQUENCE, /* one after the other (3.4); with items: all of one, then of the next */
    PROGRESS_PARALLEL, /* all at once, up to `limit` (3.5); with items: every pair of both */
    PROGRESS_ITEMS,    /* items at once, up to `limit`; inside one item one after the other */
    PROGRESS_DAG,      /* as parallel, each when what it depends on has ended */
};

/* What a task run follows. */
struct plan {
    const struct task_list *main; /* NULL: nothing */
    const struct value *values;   /* list of texts: main once for each; NULL: once */
    enum progression progression;
    uint32_t limit; /* 0 none */
    bool without_errors;
    bool without_finally;
};

enum flowable_end {
    FLOWABLE_ENDS,  /* with *state */
    FLOWABLE_GOES,  /* not yet: it has arranged what comes next */
    FLOWABLE_WAITS, /* for answers to its expressions: ask again when they are there */
};

struct flowable_ops {
    /*
     * The run is about to start, state CREATED or RESTARTED: renders what it needs, keeps it in
     * outputs and memo. NULL: nothing to prepare.
     *
     * Errors  ERR_UNAVAILABLE  an expression waits for an answer: called again
     *         others           the run is FAILED
     */
    bool (*start)(struct engine *engine, struct task_run *run, struct error *err);

    /*
     * From task, outputs and memo alone; also after a restart of the server. NULL: no children.
     * Errors  the run is FAILED
     */
    bool (*plan)(struct engine *engine,
                 const struct task_run *run,
                 struct plan *plan,
                 struct error *err);

    /* It is RUNNING now. May be NULL, as all below. */
    void (*began)(struct engine *engine, struct task_run *run);

    /* Asked first whenever something below changed; true: nothing more is to be done now. */
    bool (*gate)(struct engine *engine, struct task_run *run, struct scope *scope);

    /* All that is to be followed has ended, and this is the outcome: last word. */
    enum flowable_end (*done)(struct engine *engine, struct task_run *run, enum state *state);

    /* Its timer went off. */
    void (*timer)(struct engine *engine, struct task_run *run, const struct event *event);

    /* EVENT_RUN_* and EVENT_CHILD_* about this run. */
    void (*answer)(struct engine *engine, struct task_run *run, const struct event *event);

    /* EVENT_RESUME, EVENT_DECIDE: the run is PAUSED, its timer is void. */
    void (*resume)(struct engine *engine, struct task_run *run, const struct event *event);
    void (*decide)(struct engine *engine, struct task_run *run, const struct event *event);

    /* After a restart of the server: asks again for what it waits for. */
    void (*recover)(struct engine *engine, struct task_run *run);

    /* Its children are generated: the task of that id, or NULL. Owned by the execution. */
    const struct task *(*generated)(struct execution *execution,
                                    const struct task *task,
                                    const char *id);

    bool has_directory; /* children run in the directory of this run */
    bool is_anew;       /* a restart begins it again instead of going on in it (6.10.1) */
};

#endif
