/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions with effects of the expression language: secret, kv, read, http … (expressions.md 6.2).
 *
 * Blocking; runs on a worker for COMMAND_EVALUATE, inside tasks that render per line, and on the
 * API side for rendering that is not part of an execution.
 */
#ifndef RUNTIME_WORKER_EVALUATE_H
#define RUNTIME_WORKER_EVALUATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "core/expr/expr.h"
#include "core/value.h"

struct arena;
struct error;
struct redact;
struct services;
struct task_ctx;
struct value;

/* Longest text that read() gives. */
#define EVALUATE_READ_MAX ((size_t)16 * 1024 * 1024)

/* Where a call is made from. Borrowed for the calls. */
struct evaluate {
    const struct services *services;
    const struct value *context; /* flow, execution, trigger … of the caller */
    struct redact *redact;       /* values of secret() are added; may be NULL */
    const atomic_bool *cancel;   /* may be NULL */
    bool is_task;                /* inside a task run: errorLogs() works, subflow() does not */
    bool is_preview; /* of a page: secret() gives stars, subflow() and http() are refused */
    unsigned depth;  /* of subflow() calls that led here */
};

/*
 * Calls a function.
 *
 * arguments  map by parameter name; absent ones are not in it
 * Errors     ERR_INVALID  wrong arguments, a path that is not allowed, no such function
 *            others as the service that was asked says
 */
const struct value *evaluate_call(const struct evaluate *evaluate,
                                  struct arena *arena,
                                  const char *function,
                                  const struct value *arguments,
                                  struct error *err);

/* A host for rendering in place; borrows `evaluate`. */
struct expr_host evaluate_host(struct evaluate *evaluate);

/* What a task needs to render per line; stays in place while it is used. */
struct evaluate_line {
    struct evaluate evaluate;
    struct expr_host host;
    struct expr_env env;
    struct value context; /* lazy: the row over the task's context */
    const struct value *row;
};

/* cache: of the caller, may be NULL. */
void evaluate_line_init(struct evaluate_line *line, struct task_ctx *ctx, struct expr_cache *cache);

/* Makes the fields of a row (a map; other values as `value`) variables. Borrowed. */
void evaluate_line_set(struct evaluate_line *line, const struct value *row);

#endif
