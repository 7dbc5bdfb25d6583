/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine: events in, state and commands out.
 *
 *     engine_step(execution, event, world, scratch, commands)
 *
 * Deterministic, no effects, no failure path: bad input arrives as an event, a mistake in a flow
 * becomes a failed task run. Time and random seed are in the event. Rules: flow-language.md 2,
 * 3, 6.
 *
 * Expressions are evaluated in place. A function with effects (secret, kv, read, http …) stops the
 * rendering: COMMAND_EVALUATE goes out, EVENT_EVALUATED brings the answer, the step is repeated.
 * Answers live in memory only; after a restart they are asked for again. Function "cache" asks for
 * remembered outputs {key}: a map {outputs}, or null.
 *
 * Attempts have numbers from 1. COMMAND_RUN says which one it begins; answers carry it back. The
 * two phases of a WorkingDirectory count as two attempts here, though the task run shows one.
 */
#ifndef RUNTIME_ENGINE_ENGINE_H
#define RUNTIME_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"
#include "runtime/engine/execution.h"

struct arena;
struct plugin;
struct plugin_set;

/*
 * Transitions per step before the engine asks to be continued, so that no execution, however wide,
 * holds the driver for long.
 */
#define ENGINE_TRANSITIONS_MAX 2000U

enum admission { ADMIT_RUN, ADMIT_QUEUE, ADMIT_CANCEL, ADMIT_FAIL };

enum timer_kind {
    TIMER_RETRY,           /* task run */
    TIMER_PAUSE,           /* pauseDuration or timeout of a Pause, expiry of an Approval */
    TIMER_LOOP,            /* LoopUntil interval */
    TIMER_POLL,            /* next poll of a remote job */
    TIMER_SLEEP,           /* core.flow.Sleep: a durable wait, no worker */
    TIMER_SLA,             /* execution: MAX_DURATION */
    TIMER_SCHEDULE,        /* execution: scheduleDate */
    TIMER_RETRY_EXECUTION, /* execution: CREATE_NEW_EXECUTION date */
};

enum event_type {
    EVENT_START,         /* begin a new execution (admission) */
    EVENT_CONTINUE,      /* asked for by COMMAND_CONTINUE */
    EVENT_DEQUEUED,      /* a slot is free: QUEUED -> RUNNING */
    EVENT_RUN_STARTED,   /* worker began: SUBMITTED -> RUNNING */
    EVENT_RUN_ENDED,     /* state, outputs, message */
    EVENT_RUN_REMOTE,    /* remote job id known, or poll says still running: memo, wake_at */
    EVENT_RUN_LOST,      /* lease expired: attempt RESUBMITTED, dispatch again */
    EVENT_TIMER,         /* TIMER_SCHEDULE carries an admission */
    EVENT_EVALUATED,     /* answer to COMMAND_EVALUATE; run_id NULL: for the execution */
    EVENT_CHILD_CREATED, /* subflow execution exists */
    EVENT_CHILD_REFUSED, /* subflow could not be created: message */
    EVENT_CHILD_CHANGED, /* state of a child changed (ForEachItem counts) */
    EVENT_CHILD_ENDED,   /* child fully terminated: state, outputs */
    EVENT_KILL,          /* cascade */
    EVENT_PAUSE,
    EVENT_RESUME, /* values = resolved onResume inputs; user */
    EVENT_DECIDE, /* Approval: decision, comment, values, user */
    /*
     * Both leave the execution RESTARTED (or CANCELLED) and ask for EVENT_CONTINUE instead of going
     * on, so that what the caller is answered with shows that state. The admission of RESTART is
     * acted upon by that EVENT_CONTINUE, which carries it again.
     */
    EVENT_RESTART,      /* same execution (admission); with a revision: engine_restart_as() */
    EVENT_CHANGE_RUN,   /* run -> state, execution restarts from there */
    EVENT_CHANGE_STATE, /* execution -> terminal state */
    EVENT_UNQUEUE,      /* QUEUED -> state */
    EVENT_FORCE_RUN,
    EVENT_SET_LABELS,        /* labels map; is_replace */
    EVENT_BREAKPOINT_RESUME, /* values = list of new breakpoints */
    EVENT_RECOVER,           /* after a restart of the server: emit again what is pending */
};

struct event {
    enum event_type type;
    usec_t at;
    uint64_t seed;
    const char *run_id;          /* run events */
    uint32_t attempt;            /* 1-based number of the attempt an answer belongs to */
    enum state state;            /* RUN_ENDED, CHILD_ENDED, CHANGE_*, UNQUEUE */
    const struct value *outputs; /* RUN_ENDED, CHILD_ENDED; borrowed for the step */
    const struct value *values;  /* RESUME, SET_LABELS, memo of RUN_REMOTE, answer of EVALUATED */
    const struct value *context; /* CHILD_ENDED: what expressions see in the child, when the task
                                    takes values out of it; NULL none */
    const char *message;         /* why it failed, for the log */
    const char *worker;          /* RUN_STARTED */
    const char *log_file;        /* RUN_ENDED with logToFile */
    const char *remote_id;       /* RUN_REMOTE */
    usec_t wake_at;              /* RUN_REMOTE: next poll */
    const char *child_id;        /* CHILD_* */
    int64_t iteration;           /* CHILD_*: batch of ForEachItem, -1 none */
    const char *key;             /* EVALUATED: engine_answer_key(); DECIDE: decision */
    const char *comment;         /* DECIDE */
    const char *user;
    enum timer_kind timer;
    uint32_t generation;      /* TIMER */
    enum admission admission; /* START, RESTART */
    bool is_error;            /* EVALUATED: message instead of value */
    bool is_cascade;          /* KILL */
    bool is_replace;          /* SET_LABELS */
};

enum command_type {
    COMMAND_RUN,      /* worker: begin attempt `attempt` of `run` with rendered `props` */
    COMMAND_CANCEL,   /* worker: interrupt the attempt; it answers EVENT_RUN_ENDED KILLED */
    COMMAND_TIMER,    /* EVENT_TIMER at `at` (durable: the run or execution row holds it) */
    COMMAND_EVALUATE, /* call effect `key` with `props` as arguments for `run` (or execution) */
    /*
     * Create a child execution with id `child_id`; it may exist already (then the rest is not
     * looked at). Answers: CHILD_CREATED, and when it has existed before CHILD_CHANGED or
     * CHILD_ENDED, as it is now; CHILD_REFUSED.
     */
    COMMAND_CHILD,
    /*
     * Restart child `child_id`. Answers: CHILD_CREATED when it was FAILED and goes on; CHILD_ENDED
     * with SUCCESS when it was in another state; CHILD_REFUSED when there is none.
     */
    COMMAND_CHILD_RESTART,
    COMMAND_KILL_CHILDREN, /* all whose trigger.variables.executionId is this one */
    COMMAND_LOG,
    COMMAND_METRIC,
    COMMAND_STATE,         /* the execution changed state: Flow triggers, followers */
    COMMAND_ENDED,         /* fully terminated: slot, trigger lock, parent, next queued */
    COMMAND_NEW_EXECUTION, /* CREATE_NEW_EXECUTION retry: make the successor, engine_retry_as() */
    COMMAND_CONTINUE,      /* step again with EVENT_CONTINUE after this commit */
    COMMAND_CACHE,         /* remember outputs `props` under `key` until `at` (taskCache) */
};

struct command {
    enum command_type type;
    struct task_run *run; /* NULL: about the execution */
    uint32_t attempt;
    uint32_t earlier; /* RUN: the attempt ordered before; must have ended first. 0 none */
    uint32_t generation;
    enum timer_kind timer;
    usec_t at;
    const char *remote_id;     /* CANCEL: of the job, when the run has forgotten it; else NULL */
    const struct value *props; /* RUN: rendered properties; CHILD: inputs; EVALUATE: arguments … */
    const char *key;           /* EVALUATE: function; METRIC: name; CACHE */
    const char *message;       /* LOG */
    enum log_level level;      /* LOG */
    enum state state;          /* STATE: new one; from: previous */
    enum state from;
    bool releases_slot; /* ENDED: the execution held a slot, which is free now */
    /* CHILD: trigger id and type are those of the task (run->task_id, run->task->type->id) */
    const char *namespace;
    const char *flow_id;
    int64_t revision;           /* 0: latest */
    const struct value *labels; /* map key -> text, of the task */
    const struct value *trigger_variables;
    bool inherit_labels;
    usec_t schedule_at;
    const char *child_id;     /* derived from what it is for: asking twice creates once */
    int64_t iteration;        /* batch of ForEachItem, item of Loop; -1 none */
    const struct value *loop; /* iteration of a Loop: kind LOOP, same flow and revision, inputs
                                 unchanged, execution.loop; else NULL */
    /* METRIC */
    const char *metric_type; /* counter, timer, gauge */
    double number;
    const struct value *tags;
    /* RUN: extra context for the worker */
    const struct plugin *plugin; /* what to run: the task's type, or what a TemplatedTask became */
    const char *working_dir_of;  /* run id of the WorkingDirectory that owns the folder, or NULL */
    const char *phase;           /* WorkingDirectory itself: "open", "close"; else NULL */
    usec_t timeout;              /* 0 none */
};

struct command_list {
    struct arena *arena; /* owns texts and values of the commands; lives until they are done */
    VEC(struct command) all;
};

/* What is the same for all executions; read only during a step. */
struct engine_world {
    const struct plugin_set *plugins;
    const struct value *envs;    /* map, lower-case names */
    const struct value *globals; /* map */
    const struct value *kestra;  /* {environment, url} */
    const char *zone;            /* server time zone */
    /* Clear text of a stored secret {type, value}; NULL when no key is configured. Pure. */
    const struct value *(*decrypt)(void *data, struct arena *arena, const struct value *stored);
    const struct value *(*encrypt)(void *data, struct arena *arena, const struct value *clear);
    /* Text that must be masked from now on in logs of this execution; may be NULL. */
    void (*mask)(void *data, const char *execution_id, const char *text, size_t length);
    void *data;
    const char *work_root; /* folder of working directories; paths are derived, not created, here */
};

/* One step. Late news about a terminal execution or an old attempt change nothing. */
void engine_step(struct execution *execution,
                 const struct event *event,
                 const struct engine_world *world,
                 struct arena *scratch,
                 struct command_list *commands);

/* Identifies a question: the function and the canonical JSON of its arguments. */
char *engine_answer_key(struct arena *arena, const char *function, const struct value *arguments);

/*
 * The context that expressions of a task run see (flow-language.md 6.13, expressions.md 9); run
 * NULL: flow level. `outputs`, `tasks` and `parents` are lazy. Borrows from the execution, and
 * keeps what it had to make in it.
 */
const struct value *engine_context(struct execution *execution,
                                   struct task_run *run,
                                   const struct engine_world *world,
                                   struct arena *arena);

/*
 * Variables of a webhook as expressions see them: without payload the body is null, and names of
 * headers are found in any letter case. What is stored and shown has neither.
 */
const struct value *engine_webhook_variables(struct arena *arena, const struct value *variables);

/*
 * A new execution that repeats another (6.10.2) or restarts it with another revision (6.10.1).
 * source stays unchanged except for its label, which the caller sets with EVENT_SET_LABELS.
 *
 * run_id   NULL: from the beginning
 * inputs   NULL: those of the source
 * Errors   ERR_NOT_FOUND  no such task run
 *          ERR_CONFLICT   nothing to restart, or not in a state that allows it
 */
struct execution *engine_replay(const struct execution *source,
                                struct flow *flow,
                                const struct id *id,
                                const char *run_id,
                                const struct value *inputs,
                                usec_t at,
                                struct error *err);
struct execution *engine_restart_as(const struct execution *source,
                                    struct flow *flow,
                                    const struct id *id,
                                    usec_t at,
                                    struct error *err);
/* The successor of a CREATE_NEW_EXECUTION retry (2.3). */
struct execution *engine_retry_as(const struct execution *source, const struct id *id, usec_t at);

/*
 * May this operation be done now? The API asks before it sends the event.
 * Errors  ERR_CONFLICT (409) or ERR_INVALID (422), texts of api.md 2.2.3.
 */
bool engine_allows(const struct execution *execution,
                   enum event_type operation,
                   const struct event *event,
                   struct error *err);

/* Number of the attempt that a worker has, or is about to get; 0 when none has it. */
uint32_t engine_attempt(const struct task_run *run);

#endif
