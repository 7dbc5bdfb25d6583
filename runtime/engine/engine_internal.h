/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the engine share: the step under way, and what is remembered between steps.
 *
 * A step is: apply the event (operations.c, finish.c), then drive (engine.c): dispatch task runs
 * that are ready (dispatch.c), look at scopes below which something changed (resolve.c), settle the
 * execution as a whole (settle.c), until nothing is left or the step has done enough.
 */
#ifndef RUNTIME_ENGINE_ENGINE_INTERNAL_H
#define RUNTIME_ENGINE_ENGINE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "core/expr/expr.h"
#include "core/value.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/execution.h"
#include "runtime/engine/flowable.h"
#include "runtime/engine/inline.h"
#include "runtime/engine/scope.h"

/* A question to the world and its answer (effects.c). */
struct answer {
    const char *key;
    const struct value *value; /* NULL while it is not answered, or when it failed */
    const char *message;       /* why it failed */
    bool is_answered;
    struct answer *next;
};

struct answers {
    struct answer *first;
    uint32_t count;
    usec_t asked_at; /* of the first question: expressions keep time and seed of that step */
    uint64_t seed;
};

/* Questions of one dispatch; a template that asks more is a mistake. */
#define ANSWERS_MAX 5000U

/*
 * Task runs of one task, in order of creation, and where their values lead to them (outputs.c). The
 * trees are made when an expression first asks, and follow the runs from then on.
 */
struct output_node;
struct output_tree {
    struct output_node *root; /* of the first `indexed` runs; NULL: none yet */
    size_t indexed;
};
struct task_runs {
    const char *task_id;
    VEC(struct task_run *) runs;
    struct output_tree by_path;  /* values of ancestors, outermost first, then the own one */
    struct output_tree by_value; /* the own value alone */
    struct task_runs *next;      /* in the list of those outside the flow's table */
};

/* Listener and after-execution tasks, once the execution has ended. */
struct after_list {
    bool is_known;
    VEC(const struct task *) tasks;
};

struct engine_memory {
    struct scope top;
    uint32_t in_state[STATE_COUNT]; /* task runs */
    struct {
        struct task_run **items;
        size_t count;
        size_t capacity;
        size_t taken;
    } ready; /* task runs to dispatch, first come first served */
    struct {
        struct scope **items;
        size_t count;
        size_t capacity;
        size_t taken;
    } changed; /* scopes to look at */
    struct scope *free_scopes;
    struct task_runs *by_task; /* by task->index */
    size_t by_task_count;
    struct task_runs *others;
    struct after_list after;
    const struct value *inputs; /* as expressions see them, NULL: not made yet */
    const struct value *labels; /* nested, NULL: not made yet, or changed */
    struct answers answers;     /* of the execution itself */
    bool waits_for_answers;
};

/* One step. */
struct engine {
    struct execution *execution;
    const struct event *event;
    const struct engine_world *world;
    struct arena *scratch;
    struct command_list *commands;
    struct engine_memory *memory;
    usec_t now;
    uint32_t budget; /* transitions left */
    bool continues;  /* COMMAND_CONTINUE was given */
    struct expr_host host;
    struct task_run *asking; /* whose expression is rendered; NULL: the execution's */
};

/* ---- memory.c ---- */

/* The memory of an execution, made from its task runs when there is none. */
struct engine_memory *memory_of(struct execution *execution);
/* After task runs were removed or changed from outside of the rules: made again when needed. */
void memory_forget(struct execution *execution);
struct task_runs *memory_runs_of(const struct execution *execution, const char *task_id);
void memory_add_run(struct execution *execution, struct task_run *run);
/* The scope of a flowable that has started; makes it. false: its plan failed. */
bool memory_open_scope(struct engine *engine, struct task_run *run, struct error *err);
void memory_close_scope(struct engine *engine, struct task_run *run);
/* A task that is not in the flow's text, owned by the execution. NULL when there is none. */
const struct task *memory_generated(const struct execution *execution, const char *task_id);
void memory_add_generated(struct execution *execution, const struct task *task);

/* ---- commands.c ---- */

struct command *command_add(struct engine *engine, enum command_type type, struct task_run *run);
void command_log(struct engine *engine,
                 struct task_run *run,
                 enum log_level level,
                 const char *format,
                 ...) __attribute__((format(printf, 4, 5)));
/* Arms the timer of a run; the one before is void. */
void command_timer(struct engine *engine, struct task_run *run, enum timer_kind kind, usec_t at);
/* Emits the armed timer again. */
void command_timer_again(struct engine *engine, struct task_run *run, enum timer_kind kind);
void engine_disarm(struct engine *engine, struct task_run *run);

/* ---- moves (engine.c) ---- */

void engine_move(struct engine *engine, struct task_run *run, enum state state);
void engine_move_execution(struct engine *engine, enum state state);
/* To be dispatched; to be looked at. */
void engine_queue(struct engine *engine, struct task_run *run);
void engine_changed(struct engine *engine, struct scope *scope);
/* The scope a run belongs to; NULL when it is closed. */
struct scope *engine_scope_of(struct engine *engine, const struct task_run *run);
/* A new run in a scope, queued. */
struct task_run *engine_add_run(struct engine *engine,
                                struct scope *scope,
                                const struct task *task,
                                const char *value,
                                int64_t iteration);
/*
 * Marks a run and everything below it as removed; interrupts what a worker does for them. Ended by
 * engine_sweep().
 */
void engine_remove_run(struct engine *engine, struct task_run *run);
void engine_sweep(struct engine *engine);
/* The memory and what is open, when the execution has none. */
void engine_begin(struct engine *engine);
/* Outputs and memo of a run; copied into the execution. */
void engine_set_outputs(struct engine *engine, struct task_run *run, const struct value *outputs);
void engine_put_output(struct engine *engine,
                       struct task_run *run,
                       const char *key,
                       const struct value *value);
void engine_put_memo(struct engine *engine,
                     struct task_run *run,
                     const char *key,
                     const struct value *value);

/* ---- effects.c ---- */

/* Environment for expressions of a run (NULL: of the execution); valid until the next call. */
struct expr_env engine_env(struct engine *engine, struct task_run *run);
/* With extra variables, a map that wins over the rest. */
struct expr_env engine_env_with(struct engine *engine,
                                struct task_run *run,
                                const struct value *extra);
void effects_answer(struct engine *engine, const struct event *event);
struct answers *effects_of(struct engine *engine, struct task_run *run);
/* The answers of a dispatch are used up. */
void effects_forget(struct engine *engine, struct task_run *run);
/* Asks; NULL with ERR_UNAVAILABLE until it is answered. */
const struct value *effects_ask(struct engine *engine,
                                struct task_run *run,
                                const char *function,
                                const struct value *arguments,
                                struct error *err);

/* ---- context.c, outputs.c ---- */

const struct value *context_make(struct execution *execution,
                                 struct task_run *run,
                                 const struct engine_world *world,
                                 const struct value *extra,
                                 struct arena *arena);
/* Nested by values (flow-language.md 6.12). */
const struct value *outputs_lazy(const struct execution *execution,
                                 const struct engine_world *world,
                                 struct arena *arena);
const struct value *tasks_lazy(const struct execution *execution, struct arena *arena);
/* Outputs of a run with encrypted values decrypted. */
const struct value *outputs_clear(const struct execution *execution,
                                  const struct engine_world *world,
                                  struct task_run *run);
bool value_has_encrypted(const struct value *value);
const struct value *value_decrypt(const struct engine_world *world,
                                  struct arena *arena,
                                  const struct value *value);

/* ---- dispatch.c ---- */

void dispatch_run(struct engine *engine, struct task_run *run);
/* A remote job is due to be polled. */
void dispatch_poll(struct engine *engine, struct task_run *run);
/* 0 none. */
bool task_timeout(struct engine *engine, struct task_run *run, usec_t *out, struct error *err);
/* Number of the attempt that runs, or that is about to begin. */
uint32_t run_attempt(const struct task_run *run);
/* What a run executes: its task, or what its TemplatedTask became. */
const struct task *run_task(const struct task_run *run);
const struct flowable_ops *run_flowable(const struct task_run *run);
/* Does a run of the task below `parent` have the value of its parent? In a directory it does. */
bool run_shares_value(const struct task_run *parent, const struct task *task);
bool run_is_on_worker(const struct task_run *run);
/* Renders and binds the table of a flowable. `bound` is zeroed by the caller. */
bool engine_bind(struct engine *engine, struct task_run *run, void *bound, struct error *err);
/* Emits COMMAND_RUN for the attempt under way or about to begin. */
bool dispatch_to_worker(struct engine *engine,
                        struct task_run *run,
                        const char *phase,
                        uint32_t attempt,
                        struct error *err);

/* ---- finish.c ---- */

/* The attempt under way ends in `state`: flags, retries, and what follows from it. */
void finish_attempt(struct engine *engine, struct task_run *run, enum state state);
/* The run fails without an attempt: never retried. */
void finish_unattempted(struct engine *engine, struct task_run *run, const char *message);
/* A flowable, or a run that needs no mapping of flags, ends. Children that are open are forced. */
void finish_flowable(struct engine *engine, struct task_run *run, enum state state);
/* Everything open at and below a run takes a state. */
void finish_forced(struct engine *engine, struct task_run *run, enum state state);
void finish_retry_due(struct engine *engine, struct task_run *run);

/* ---- resolve.c ---- */

void resolve_scope(struct engine *engine, struct scope *scope);
/* Creates what is next of a list that is followed one after the other. */
bool resolve_sequence(struct engine *engine,
                      struct scope *scope,
                      enum scope_list list,
                      const struct task_list *tasks);

/* ---- settle.c ---- */

bool settle_execution(struct engine *engine);
/* The execution ends; runs that are open take the state with it. */
void settle_end(struct engine *engine, enum state state);
/* The flow has come to its normal end: outputs, then the end. */
void settle_finished(struct engine *engine, enum state state);
/* As settle_end(); nothing runs afterwards: the execution has never begun. */
void settle_end_unbegun(struct engine *engine, enum state state);
/* Exit: the run, what is above it, and the execution take the state. */
void settle_exit(struct engine *engine, struct task_run *run, enum state state);
/* A task run is no longer PAUSED; resumed by somebody or by its timer. */
void settle_resumed(struct engine *engine);
/* The same, of a loop that goes on by itself. */
void settle_unpaused(struct engine *engine);
uint32_t settle_open_runs(const struct engine *engine);
/* Assertions; true when one ended the execution. */
bool settle_slas(struct engine *engine);
void settle_sla_due(struct engine *engine, const struct event *event);

/* ---- flow_working_directory.c, flow_loop_until.c ---- */

/* Is one of its phases on a worker, and which attempt is it? */
bool directory_is_on_worker(const struct task_run *run);
uint32_t directory_attempt(const struct task_run *run);
/* A loop that starts its second round or a later one. */
bool loop_until_is_later_round(const struct task_run *run);

/* ---- flow_approval.c ---- */

/* Is this decision possible: known, with a comment where one is required? */
bool approval_allows(const struct task_run *run, const struct event *event, struct error *err);

/* ---- flow_loop.c ---- */

/* The one task at the top level of an iteration. */
const struct task *loop_root_task(struct execution *execution);
/* Outputs that the Loop declares, of the iteration that has ended. Errors as outputs_resolve(). */
const struct value *loop_iteration_outputs(struct engine *engine,
                                           struct expr_env *env,
                                           struct error *err);

/* ---- events.c ---- */

void event_apply(struct engine *engine, const struct event *event);

/* ---- operations.c, recover.c ---- */

void operation_admit(struct engine *engine, enum admission admission, const char *message);
void operation_start(struct engine *engine, const struct event *event);
void operation_kill(struct engine *engine, bool is_cascade);
void operation_resume(struct engine *engine, const struct event *event);
void operation_force_run(struct engine *engine, const struct event *event);
void operation_unqueue(struct engine *engine, enum state state);
void operation_set_labels(struct engine *engine, const struct event *event);
void operation_resume_breakpoint(struct engine *engine, const struct event *event);
void operation_recover(struct engine *engine);

/* ---- restart.c ---- */

bool restart_finds_runs(const struct execution *execution);
void restart_execution(struct engine *engine);
void restart_from_change(struct engine *engine, struct task_run *run, enum state state);

#endif
