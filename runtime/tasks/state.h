/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States of flows: maps that survive an execution, kept in the key-value store under a name made of
 * the flow, the state and the iteration value (flow-language.md 4.7). Deprecated in favour of KV.
 */
#ifndef RUNTIME_TASKS_STATE_H
#define RUNTIME_TASKS_STATE_H

#include <stdbool.h>

#include "core/prop.h"

struct error;
struct task_ctx;
struct value;

struct state_ref {
    const char *name;
    bool is_namespace; /* shared over the namespace instead of per flow */
    bool by_value;     /* one for each iteration value */
};

#define STATE_ROWS(s, m)                                                                           \
    { "name", STR(s, m.name), .flags = PROP_EXPR, .fallback = "default",                           \
      .doc = "Name of the state." },                                                               \
        { "namespace", BOOL(s, m.is_namespace), .flags = PROP_EXPR, .fallback = "false",           \
          .doc = "Share the state over the namespace instead of keeping it per flow." },           \
    {                                                                                              \
        "taskrunValue", BOOL(s, m.by_value), .flags = PROP_EXPR, .fallback = "true",               \
                                             .doc = "Keep one state for each iteration value."     \
    }

/* Key of the entry that holds the state. */
char *state_key(struct task_ctx *ctx, const struct state_ref *ref);

/* *data is NULL when there is no such state. */
bool state_get(struct task_ctx *ctx, const char *key, const struct value **data, struct error *err);

#endif
