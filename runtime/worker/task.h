/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a task type outside the engine sees: its bound properties, a context, its outputs.
 *
 * Kinds: call (worker pool, short and bounded), process (a child process under the loop), remote
 * job (start, poll, cancel). architecture.md 5.
 */
#ifndef RUNTIME_WORKER_TASK_H
#define RUNTIME_WORKER_TASK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "core/flow.h"

struct arena;
struct error;
struct expr_env;
struct redact;
struct services;
struct value;
struct value_builder;

/* Of one attempt. Fields are read only for the task. */
struct task_ctx {
    struct arena *arena; /* lives as long as the attempt */
    const struct services *services;
    const char *execution_id;
    const char *namespace;
    const char *flow_id;
    int64_t flow_revision;
    const char *task_id;
    const char *task_type;
    const char *run_id;
    const char *value;           /* iteration value or NULL */
    uint32_t attempt;            /* from 1 */
    const struct value *props;   /* rendered properties that `bound` was made of */
    const struct value *context; /* snapshot of flow, execution, task, taskrun, inputs, vars,
                                    labels, trigger, envs, globals (not outputs), for properties
                                    rendered per line (PROP_RAW) */
    const char *working_dir;     /* absolute; made on first use by task_working_dir() */
    usec_t deadline;             /* monotonic, USEC_NEVER none */
    struct redact *redact;       /* secrets of this attempt */
    void *data;                  /* the task's own, between its calls */
    void *private_data;          /* of the worker */
};

/* A line of the execution's log; masked. */
void task_log(struct task_ctx *ctx, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void task_log_text(struct task_ctx *ctx, enum log_level level, const char *text, size_t length);

/* type: "counter", "timer" (seconds), "gauge"; tags may be NULL. */
void task_metric(struct task_ctx *ctx,
                 const char *type,
                 const char *name,
                 double number,
                 const struct value *tags);

/* Has somebody asked to stop (kill, timeout, shutdown)? Long calls look at it. */
bool task_is_cancelled(const struct task_ctx *ctx);
/* The same as a flag, for struct http_request. */
const atomic_bool *task_cancel_flag(const struct task_ctx *ctx);
/* Fills err with ERR_CANCELLED or ERR_TIMEOUT and returns false when somebody asked to stop. */
bool task_check(const struct task_ctx *ctx, struct error *err);
/* Sleeps, or returns false with err as task_check(). For short waits between tries only. */
bool task_wait(const struct task_ctx *ctx, usec_t span, struct error *err);

/* A text that must not appear in logs from now on. */
void task_mask(struct task_ctx *ctx, const char *secret);

/* The working directory, created when it was not. NULL with err on failure. */
const char *task_working_dir(struct task_ctx *ctx, struct error *err);

/* Path of a file to be made, in a folder of the attempt that goes with it. NULL on failure. */
char *task_temp_path(struct task_ctx *ctx, const char *suffix, struct error *err);

/*
 * Stores a local file below this task run; gives its storage URI. A file that goes with the
 * attempt anyway (of task_temp_path(), or in a working directory of its own) is moved, others are
 * copied.
 *
 * name     last part of the URI, may hold '/'
 * Errors   ERR_INVALID  a name that leaves the folder; those of the storage
 */
const char *task_store_file(struct task_ctx *ctx,
                            const char *local_path,
                            const char *name,
                            struct error *err);
const char *task_store_bytes(
    struct task_ctx *ctx, const void *bytes, size_t length, const char *name, struct error *err);

/* Is it a kestra://, nsfile:// or file:// URI? */
bool task_is_file_uri(const char *text);

/*
 * Opens what a kestra://, nsfile:// or file:// URI names, for reading from the start; -1 on
 * failure: ERR_NOT_FOUND, ERR_DENIED (local files are not allowed), ERR_INVALID (no such URI).
 */
int task_open_file(struct task_ctx *ctx, const char *uri, struct error *err);

/* As task_open_file(), all of it, bounded; NUL-terminated. */
const char *task_read_file(
    struct task_ctx *ctx, const char *uri, size_t max_bytes, size_t *length, struct error *err);

/* Deletes what a kestra:// or nsfile:// URI names; *existed tells whether it was there. */
bool task_delete_file(struct task_ctx *ctx, const char *uri, bool *existed, struct error *err);

/* Copies what a URI names into a local file, replacing it. */
bool task_fetch_to(struct task_ctx *ctx, const char *uri, const char *local, struct error *err);

/* A local path with the content of a storage, namespace-file or allowed file URI. */
const char *task_fetch_file(struct task_ctx *ctx, const char *uri, struct error *err);

/* ---- call ---- */

struct call_ops {
    /* Runs on a pool thread. false: FAILED with err's text; `out` is kept when it holds anything.
     */
    bool (*run)(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err);
};

/* ---- process ---- */

/* A command for a runner. Paths absolute; all text owned by ctx->arena. */
struct process_spec {
    const char *const *argv; /* NULL-terminated */
    const char *const *env;  /* "NAME=value", NULL-terminated; complete environment */
    const char *cwd;
    const char *container_image; /* for runners that use one */
    const struct value *runner;  /* taskRunner map as rendered, NULL: server default */
    bool ends_quickly;           /* finish() does no input or output */
    /* For runners that are elsewhere. */
    const char *const *own_env; /* what the task adds to the environment of weir */
    bool wants_files;           /* files of the working directory matter after the end */
};

struct process_ops {
    /* On a pool thread: writes input files, builds the command. */
    bool (*prepare)(struct task_ctx *ctx,
                    const void *bound,
                    struct process_spec *spec,
                    struct error *err);
    /* One line of output, on the loop thread; false: not consumed, log it. May be NULL. */
    bool (*line)(
        struct task_ctx *ctx, const void *bound, bool is_stderr, const char *line, size_t length);
    /* On a pool thread after the end, also of failed commands: collects output files and outputs.
     */
    bool (*finish)(struct task_ctx *ctx,
                   const void *bound,
                   int exit_code,
                   struct value_builder *out,
                   struct error *err);
};

/* ---- remote job ---- */

enum remote_status { REMOTE_RUNNING, REMOTE_SUCCESS, REMOTE_WARNING, REMOTE_FAILED, REMOTE_KILLED };

struct remote_poll {
    enum remote_status status;
    usec_t next_after;        /* RUNNING: poll again after this span */
    const struct value *memo; /* kept for the next poll and across restarts; NULL: unchanged */
    const char *message;      /* why it failed */
};

/*
 * Each call is short, on a pool thread. The id is stored before the first poll; a restart of the
 * server between start and store starts the job again only when `find` says there is none.
 */
struct remote_ops {
    /* Starts the job; *remote_id owned by ctx->arena. memo may be given. */
    bool (*start)(struct task_ctx *ctx,
                  const void *bound,
                  const char **remote_id,
                  const struct value **memo,
                  struct error *err);
    bool (*poll)(struct task_ctx *ctx,
                 const void *bound,
                 const char *remote_id,
                 const struct value *memo,
                 struct remote_poll *out,
                 struct value_builder *outputs,
                 struct error *err);
    /* Best effort; the engine does not wait for it beyond its own deadline. */
    bool (*cancel)(struct task_ctx *ctx,
                   const void *bound,
                   const char *remote_id,
                   struct error *err);
    /*
     * Job of an attempt that was interrupted before its id was stored: *remote_id NULL when there
     * is none. NULL: cannot be asked, the job is started again.
     */
    bool (*find)(struct task_ctx *ctx,
                 const void *bound,
                 const char **remote_id,
                 struct error *err);
};

#endif
