/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trigger types with code of their own: those that are polled on a worker.
 *
 * The driver owns the state of triggers; what it needs of their definition is in
 * runtime/scheduler/spec.h, which knows every kind. To add a polling type: a file in
 * runtime/triggers with a descriptor and this struct, one line in runtime/plugins.c, one test.
 */
#ifndef RUNTIME_TRIGGERS_TRIGGER_H
#define RUNTIME_TRIGGERS_TRIGGER_H

#include <stdbool.h>

struct error;
struct task_ctx;
struct value;

struct trigger_ops {
    /*
     * On a pool thread: variables of the execution to create, or *out = NULL when there is none.
     *
     * bound   the plugin's struct, rendered and bound
     */
    bool (*poll)(struct task_ctx *ctx,
                 const void *bound,
                 const struct value **out,
                 struct error *err);
};

#endif
