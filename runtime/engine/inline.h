/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inline tasks: evaluated inside the step, without effects (Log, Return, OutputValues, Fail,
 * Assert, Labels, SetVariables, Exit …).
 */
#ifndef RUNTIME_ENGINE_INLINE_H
#define RUNTIME_ENGINE_INLINE_H

#include "core/flow.h"
#include "runtime/engine/execution.h"

struct engine;
struct error;
struct expr_env;
struct value;
struct value_builder;

struct inline_ctx {
    struct execution *execution; /* read it; changed through the functions below */
    struct task_run *run;
    const struct task *task; /* what runs: the run's task, or what a TemplatedTask became */
    struct expr_env *env;    /* context of the run, for properties marked PROP_RAW */
    struct arena *arena;     /* result and log texts: lives as long as the commands */
    struct engine *engine;
    usec_t at;

    /* What the task wants besides its outputs. */
    usec_t wait;      /* stay RUNNING for this long (Sleep); 0 ends at once */
    enum state exits; /* Exit: the execution ends in this state; STATE_COUNT none */
    bool kills;       /* Kill: the execution is killed */
    bool is_cascade;  /* Kill: its subflows too */
};

void inline_log(struct inline_ctx *ctx, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void inline_metric(struct inline_ctx *ctx,
                   const char *type,
                   const char *name,
                   double number,
                   const struct value *tags);

/* Only when the task will succeed. Values are copied. */
void inline_set_label(struct inline_ctx *ctx, const char *key, const char *value);
void inline_set_variables(struct inline_ctx *ctx, const struct value *variables);

struct inline_ops {
    /*
     * bound    the plugin's struct, rendered and bound
     * out      outputs of the task run
     * Returns  false with err set: the attempt FAILED with that message. ERR_UNAVAILABLE from a
     *          rendering through ctx->env must be passed on unchanged, before anything was changed.
     */
    bool (*run)(struct inline_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err);

    /*
     * Instead of run: the task becomes another one (TemplatedTask). Gives its mapping, with `type`
     * and without `id`; errors as above.
     */
    const struct value *(*become)(struct inline_ctx *ctx, const void *bound, struct error *err);

    bool updates_execution; /* never SUBMITTED: belongs to the executor, not to a worker */
};

#endif
