/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker: takes orders, runs tasks, answers.
 *
 *     call       on a pool thread
 *     process    prepared on a pool thread, spawned, supervised by the worker's loop, finished on a
 *                pool thread; `slots` of them at a time, the others wait in order of arrival
 *     remote     start, poll and cancel on a pool thread; nothing in between
 *
 * What a task printed and stored is durable before its end is answered. When the server stops,
 * children are killed and nothing is answered: the driver finds the attempt lost and repeats it.
 * When the server was killed, what it left running is killed at the next start, found by a mark in
 * its environment, so that a lost attempt does not run beside its repetition.
 */
#ifndef RUNTIME_WORKER_WORKER_H
#define RUNTIME_WORKER_WORKER_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/worker/orders.h"

struct arena;
struct buf;
struct error;
struct logstore;
struct plugin_set;
struct services;
struct worker;

/* Zero-initialised fields take the default in brackets. Pointers are borrowed. */
struct worker_options {
    const char *name; /* of this worker ["weir"] */
    const struct services *services;
    const struct plugin_set *plugins; /* for task runners */
    struct logstore *logs;            /* NULL: lines are dropped */
    size_t slots;                     /* processes at a time [2 per core] */
    size_t threads;                   /* calls at a time [32] */
    size_t pending_max;               /* orders taken and not done [4096] */
    usec_t grace;                     /* between SIGTERM and SIGKILL [5 s] */
    const char *default_runner;       /* task runner of tasks that name none [Process] */
    bool keep_folders;                /* working directories stay, to look at [false] */
};

/*
 * Starts the threads and cleans up what a killed server left behind. The folder of working
 * directories (services->work_root) must be ours alone.
 *
 * Errors  those of making that folder
 */
struct worker *worker_new(const struct worker_options *options, struct error *err);

/*
 * Where answers go; before the first order, once services can be asked. Removes folders of
 * executions that are over.
 */
void worker_connect(struct worker *worker, const struct worker_answers *answers);

/* For driver_config. */
struct worker_iface worker_interface(struct worker *worker);

/* Kills what runs and waits for its threads. Answers may come until it returns. */
void worker_stop(struct worker *worker);
/* Stops first. NULL is fine. */
void worker_free(struct worker *worker);

/* A text that must not appear in logs of an execution; for engine_world.mask. Any thread. */
void worker_mask(void *worker, const char *execution_id, const char *text, size_t length);

/* redact_apply() with what is to be masked in logs of an execution. Any thread. */
bool worker_redact(struct worker *worker,
                   const char *execution_id,
                   const char *text,
                   size_t length,
                   struct buf *out);

struct worker_counts {
    size_t pending; /* orders taken and not done */
    size_t waiting; /* of these, processes that wait for a slot */
    size_t processes;
};
struct worker_counts worker_counts(struct worker *worker);

/*
 * <work root>/<execution id>/<run id>: working directory of a task run, or of the WorkingDirectory
 * that it belongs to.
 */
char *worker_folder(struct arena *arena,
                    const char *work_root,
                    const char *execution_id,
                    const char *run_id);

#endif
