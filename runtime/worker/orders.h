/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the driver orders of the worker side, and how answers come back.
 *
 * Orders are given after the commit that made them necessary and that says they are given. An order
 * for an attempt (execution, run, attempt) that the worker already has is ignored; after a crash of
 * the server no attempt is ordered again under its number, for its work may have begun. Answers are
 * posted through `struct worker_answers` from any thread; those of an attempt that was given up
 * change nothing.
 */
#ifndef RUNTIME_WORKER_ORDERS_H
#define RUNTIME_WORKER_ORDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "core/flow.h"
#include "runtime/engine/execution.h"

struct arena;
struct log_result;
struct metric_row;
struct plugin;
struct value;

enum order_type {
    ORDER_RUN,      /* begin an attempt; answers: started, then ended */
    ORDER_POLL,     /* remote job: poll (remote_id set); answers: remote or ended */
    ORDER_CANCEL,   /* remote job that is not being polled just now: cancel it (remote_id set);
                       answer: ended KILLED */
    ORDER_EVALUATE, /* a function with effects; answer: evaluated */
    ORDER_TRIGGER,  /* evaluate a polling trigger; answer: triggered */
};

/*
 * One order; it lies in its arena, which is given to the worker: order_free() when done. Nothing in
 * it points into an execution.
 */
struct order {
    enum order_type type;
    struct arena *arena;

    int64_t execution; /* store key, for logs */
    const char *execution_id;
    const char *namespace;
    const char *flow_id;
    int64_t flow_revision;
    const char *task_id;
    const struct plugin *plugin; /* of the task or trigger */
    const char *run_id;
    const char *value;
    int64_t iteration;
    uint32_t attempt;
    const struct value *props;   /* RUN: rendered properties; EVALUATE: arguments;
                                    TRIGGER: definition as written */
    bool is_raw;                 /* CANCEL: props are as written; `context` renders them */
    const struct value *context; /* snapshot, see task_ctx.context */
    const char *function;        /* EVALUATE */
    usec_t timeout;              /* 0 none */
    enum log_level log_level;    /* lines below are dropped */
    bool log_to_file;
    const char *working_dir_of; /* see struct command */
    const char *phase;
    const char *remote_id; /* POLL; RUN after a restart of a remote job that is known */
    const struct value *memo;
    const char *trigger_id;  /* TRIGGER */
    int64_t trigger;         /* TRIGGER: store key */
    usec_t evaluating_since; /* TRIGGER: identifies the evaluation */
};
void order_free(struct order *order);

/* The worker side, filled by cli/wire.c. Called on the driver's thread; must not block. */
struct worker_iface {
    void *data;
    /* Takes the order. False: no room; the order stays the driver's, who tries again later. */
    bool (*submit)(void *data, struct order *order);
    /* Interrupts an attempt; it answers KILLED. An unknown attempt is answered all the same. */
    void (*cancel)(void *data, const char *execution_id, const char *run_id, uint32_t attempt);
    /*
     * Does the worker still have this attempt? Asked when a lease was not renewed and after a
     * restart; false makes the driver call it lost.
     */
    bool (*has)(void *data, const char *execution_id, const char *run_id, uint32_t attempt);
    /* Has it ended whatever it was at, and does it begin nothing any more? NULL: never. */
    bool (*has_stopped)(void *data);
    /* Forgets an execution that ended: working directories, secrets to mask. May be NULL. */
    void (*forget)(void *data, const char *execution_id);
};

/*
 * Answers, implemented by the driver (driver_worker_answers()). Any thread. Everything is copied;
 * `logs` is given to the callee. A full inbox makes the call wait: answers are never dropped.
 */
struct worker_answers {
    void *data;
    void (*started)(void *data,
                    const char *execution_id,
                    const char *run_id,
                    uint32_t attempt,
                    const char *worker);
    void (*ended)(void *data,
                  const char *execution_id,
                  const char *run_id,
                  uint32_t attempt,
                  enum state state,            /* SUCCESS, WARNING, FAILED, KILLED */
                  const struct value *outputs, /* map or NULL */
                  const char *message,         /* why it failed, NULL none */
                  const char *log_file,        /* storage URI or NULL */
                  const struct metric_row *metrics,
                  size_t metrics_count,
                  struct log_result *logs); /* of log_sink_close(), or NULL */
    /* Remote job: its id is known, or it still runs. */
    void (*remote)(void *data,
                   const char *execution_id,
                   const char *run_id,
                   uint32_t attempt,
                   const char *remote_id,
                   const struct value *memo, /* NULL: unchanged */
                   usec_t wake_at,
                   struct log_result *logs);
    /* value NULL: failed with err */
    void (*evaluated)(void *data,
                      const char *execution_id,
                      const char *run_id, /* NULL: for the execution */
                      uint32_t attempt,
                      const char *function,
                      const struct value *arguments,
                      const struct value *value,
                      const struct error *err);
    /* Polling trigger: variables NULL and err NULL: nothing happened. */
    void (*triggered)(void *data,
                      int64_t trigger,
                      usec_t evaluating_since,
                      const struct value *variables,
                      const struct error *err,
                      struct log_result *logs);
};

#endif
