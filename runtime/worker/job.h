/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands behind a struct task_ctx: the part of an attempt that task.c works on. The worker
 * embeds it in its own; tests of tasks make one without a worker.
 */
#ifndef RUNTIME_WORKER_JOB_H
#define RUNTIME_WORKER_JOB_H

#include <stdatomic.h>

#include "base/vec.h"
#include "runtime/store/rows.h"
#include "runtime/worker/task.h"

enum stop_reason {
    STOP_NONE,
    STOP_KILL,     /* by a person or the engine: KILLED */
    STOP_TIMEOUT,  /* FAILED */
    STOP_SHUTDOWN, /* nothing is answered: the attempt is repeated after the start */
};

/* Metrics of one attempt; a task in an endless loop must not fill the memory. */
#define JOB_METRICS_MAX 10000U

struct job {
    struct task_ctx ctx; /* private_data points back */
    /* Writes one line, already masked. */
    void (*log)(struct job *job, enum log_level level, const char *text, size_t length);
    /* Makes ctx.working_dir out of something that is there; false: it is to be made. May be NULL.
     */
    bool (*reuse_folder)(struct job *job);
    atomic_int stop;       /* enum stop_reason, set once */
    atomic_bool cancelled; /* the same as a flag */
    const char *scratch;   /* folder for temporary files, made on first use */
    bool has_scratch;
    bool has_working_dir;
    bool owns_working_dir; /* it goes with the attempt: what it stores may be moved */
    bool is_quiet;         /* nothing is logged */
    unsigned temp_count;
    VEC(struct metric_row) metrics; /* in ctx.arena */
    VEC(const char *) stored;       /* storage paths to make durable; in ctx.arena */
};

/* Fills ctx.private_data and the rest; log and scratch are the caller's to set. */
void job_init(struct job *job);

/* Asks to stop; the first reason counts. Any thread. */
void job_stop(struct job *job, enum stop_reason reason);

/* Makes what the task stored durable. */
bool job_sync(struct job *job, struct error *err);

#endif
