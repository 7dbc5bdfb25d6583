/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One order at work; shared by the parts of the worker.
 *
 * A piece of work belongs to one thread at a time: the driver's until it is queued, a pool thread's
 * or the loop's after that. Only job.stop and job.cancelled are touched from elsewhere.
 *
 * Locks: worker->lock alone; nothing is called back while it is held.
 */
#ifndef RUNTIME_WORKER_WORK_H
#define RUNTIME_WORKER_WORK_H

#include <pthread.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/map.h"
#include "base/pool.h"
#include "base/proc.h"
#include "core/value.h"
#include "runtime/worker/evaluate.h"
#include "runtime/worker/job.h"
#include "runtime/worker/runner.h"
#include "runtime/worker/services.h"
#include "runtime/worker/worker.h"

struct log_sink;

/* Bytes of one line of output; protocol lines may be longer. */
#define LINE_BYTES_MAX     ((size_t)1024 * 1024)
#define PROTOCOL_BYTES_MAX ((size_t)16 * 1024 * 1024)

#define FREE_FOLDERS_MAX 16U

/* What the worker keeps of an execution until it is forgotten. */
struct space {
    struct redact *redact;
    unsigned refs;     /* works and others that use it */
    bool is_forgotten; /* goes with the last reference */
    bool has_folder;   /* <work root>/<execution id> was made */
    /*
     * Empty working directories of runs that have ended, for the next: renaming one costs a tenth
     * or a hundredth of removing and making it. Kept within the execution, so that what a run left
     * running in its folder can only meet runs of the same execution.
     */
    char *free_folders[FREE_FOLDERS_MAX];
    unsigned free_count;
};

struct worker {
    struct worker_options options;
    struct worker_answers answers;
    struct arena *arena; /* of copied options */
    const char *mark;    /* "WEIR_WORK_ROOT=…" in the environment of every child */
    struct loop *loop;
    pthread_t thread;
    struct pool *calls;
    struct pool *runs;   /* processes with other runners, as long as they run */
    struct pool *steps;  /* short: preparing and finishing processes, EVALUATE */
    struct pool *sweeps; /* removing folders */

    pthread_mutex_t lock;
    pthread_cond_t idle; /* nothing is pending */
    struct map works;    /* "<run>/<attempt>" -> struct work, of those that have an attempt */
    struct list all;     /* every work */
    struct map spaces;   /* execution id -> struct space */
    struct list waiting; /* processes without a slot */
    size_t waiting_count;
    size_t pending;
    size_t slots_used;
    bool is_stopping;
    bool has_stopped;
    uint64_t gone; /* folders that were moved away to be removed */
};

struct stream {
    struct buf partial;
    bool is_overlong; /* the rest of the line is dropped */
};

struct work {
    struct job job; /* first: struct job * is struct work * */
    struct worker *worker;
    struct order *order;
    struct space *space;
    char key[64];
    struct list link;   /* in worker->waiting */
    struct list member; /* of worker->all */
    bool has_slot;
    bool is_registered; /* in worker->works, unless another work took its place */
    bool is_answered;   /* with the lock: an order for the same attempt is a new one */
    bool is_in_loop;
    bool is_timed;
    struct loop_timer timer;
    usec_t started_at; /* monotonic */

    void *bound;
    struct log_sink *sink;
    int log_fd; /* logToFile, -1 none */
    const char *log_local;
    bool may_refuse; /* the next line may be refused by a full sink */
    bool is_refused;

    /* Process. */
    struct process_spec spec;
    struct proc *proc;
    bool is_paused;
    bool has_ended;
    struct proc_exit exit;
    struct stream streams[2];
    const struct value *runner_details;
    const char *exit_note;

    /* Result. */
    struct value_builder outputs;
    bool ok;
    bool is_warning;
    struct error error;
    const char *message; /* instead of error.text, may be longer */
    const char *log_file;
    enum state state;
    struct log_result *logs;
    /* Remote: still running. */
    bool is_remote;
    const char *remote_id;
    const struct value *memo;
    usec_t wake_at;
    /* Trigger. */
    const struct value *variables;
};

/* ---- work.c ---- */

struct work *work_new(struct worker *worker, struct order *order);
/* Renders properties that are as written; the failure is in work->error. */
bool work_render(struct work *work);
/* Binds the properties; the failure is in work->error. */
bool work_bind(struct work *work);
/* Says that the attempt has begun, arms the timeout. */
void work_start(struct work *work);
/* On a pool thread, once work->ok, error, outputs are set: closes logs, answers, lets go. */
void work_end(struct work *work);
/* After an answer that leaves the attempt open (remote job), or without any. */
void work_release(struct work *work);
void work_fail(struct work *work, const struct error *err);

/* ---- space.c ---- */

/* The space of an execution, made on first use, with one reference more. Called with the lock. */
struct space *space_ref(struct worker *worker, const char *execution_id);
/* One reference less; with the last one a forgotten execution goes. Called with the lock. */
void space_unref(struct worker *worker, const char *execution_id, struct space *space);
void space_free(struct space *space);
/* Leaves an empty working directory to the next run of the execution. */
bool space_keep_folder(struct work *work);
/* For struct job. */
bool space_reuse_folder(struct job *job);

/* ---- work.c ---- */

/* Has fn(work) called on the loop, or on a pool. */
void work_post(struct work *work, loop_fn *fn);
void work_submit(struct pool *pool, pool_fn *fn, struct work *work);

/* ---- one per kind; each runs on a pool thread ---- */

void work_call(void *work);
void work_process(void *work);
void work_process_kill(struct work *work); /* in the loop */
void work_remote(void *work);
void work_evaluate(void *work);
void work_trigger(void *work);
void work_folder(void *work); /* phases of WorkingDirectory */

/* Kills what a server that was killed left running; `mark` as in struct worker. */
void worker_kill_leftovers(const char *mark);

#endif
