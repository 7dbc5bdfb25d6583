/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of flow-language.md 3 and 6 once more, slow and obvious: everything is worked out from
 * the task runs each time, with loops over all of them. Shares no code with runtime/engine but the
 * structs it reads.
 */
#ifndef TESTS_SIM_MODEL_H
#define TESTS_SIM_MODEL_H

#include <stdbool.h>

#include "runtime/engine/execution.h"

struct arena;

struct model {
    struct arena *arena;  /* of texts; the caller's to reset */
    struct arena *memory; /* of the past */
    /* Somebody changed states by hand: order and causes of task runs prove nothing any more. */
    bool was_changed;
    /* What was there before the last step, by seq; NULL in the beginning. */
    struct model_past *past;
};

struct model_past {
    enum state execution;
    bool fully_ended;
    size_t count;
    struct {
        uint32_t seq;
        enum state state;
        size_t attempts;
    } * runs;
};

/* Remembers the present for the next model_check(). */
void model_remember(struct model *model, const struct execution *execution);

/*
 * What is wrong, in one sentence; NULL when nothing is.
 *
 * is_operation  the last event may reopen what had ended (restart, changed states)
 * is_settled    nothing is under way inside the engine: what could be created has been
 */
const char *model_check(struct model *model,
                        const struct execution *execution,
                        bool is_operation,
                        bool is_settled);

#endif
