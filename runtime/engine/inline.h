/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inline tasks: evaluated inside the step, without effects (Log, Return, OutputValues, Fail,
 * Assert, Labels, SetVariables, Exit …).
 */
#ifndef RUNTIME_ENGINE_INLINE_H
#define RUNTIME_ENGINE_INLINE_H

#include "core/flow.h"
#include "runtime/engine/execution.h"

struct command_list;
struct error;
struct event;
struct expr_env;
struct value_builder;

struct inline_ctx {
    struct execution *execution; /* tasks that change the execution use engine helpers */
    struct task_run *run;
    struct expr_env *env; /* context of the run, for properties marked PROP_RAW */
    struct arena *arena;  /* result and log texts: lives as long as the commands */
    struct command_list *commands;
    usec_t at;
    enum state forced; /* Exit: state to take; STATE_COUNT none */
};

void inline_log(struct inline_ctx *ctx, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void inline_metric(struct inline_ctx *ctx,
                   const char *type,
                   const char *name,
                   double number,
                   const struct value *tags);

struct inline_ops {
    /*
     * bound    the plugin's struct, rendered and bound
     * out      outputs of the task run
     * Returns  false with err set: the attempt FAILED with that message. ERR_UNAVAILABLE from a
     *          rendering through ctx->env must be passed on unchanged.
     */
    bool (*run)(struct inline_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err);
};

#endif
