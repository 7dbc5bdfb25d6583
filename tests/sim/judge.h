/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of flow-language.md for a whole execution that has ended, worked out slowly from its
 * task runs, their attempts and their dates: which task runs there must be, in which order, and in
 * which state each has to be. Shares nothing with runtime/engine but the structs it reads.
 *
 * What happens while an execution lives is model.c's.
 */
#ifndef TESTS_SIM_JUDGE_H
#define TESTS_SIM_JUDGE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/engine/execution.h"

struct arena;

/* Written out here: the table of the engine is under test too. */
bool judge_is_over(enum state state);
/* 6.3: may a task run, or an execution, go from one state to the other? */
bool judge_may_move(bool is_run, enum state from, enum state to);

struct judge {
    struct arena *arena; /* of texts */
    const struct execution *execution;
    /*
     * States of the executions that a task run called, in any order: children of a Subflow, a Loop,
     * or ForEachItem. NULL: not known, nothing is said about them.
     */
    size_t (*children)(void *data, const struct task_run *run, enum state *states, size_t max);
    void *data;
    /* A person changed it, or it is a replay: order and results of task runs prove nothing. */
    bool was_changed;
};

/* What is wrong with an execution that has fully ended, in one sentence; NULL: nothing. */
const char *judge_ended(struct judge *judge);

#endif
