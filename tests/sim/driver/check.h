/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold of every execution after every commit, and of an execution that has ended: worked
 * out from what the store says, without the engine.
 */
#ifndef TESTS_SIM_DRIVER_CHECK_H
#define TESTS_SIM_DRIVER_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"
#include "runtime/engine/execution.h"
#include "runtime/store/rows.h"

struct arena;

/* A task run as it was seen last. */
struct seen_run {
    uint32_t seq;
    enum state state;
    size_t attempts;
    size_t changes; /* of its state */
};

/* An execution as it was seen last. */
struct seen {
    char id[ID_LENGTH + 1];
    char cause[ID_LENGTH + 1]; /* of a child: its parent */
    enum state state;
    size_t changes;
    usec_t changed_at;
    bool fully_ended;
    unsigned ends;       /* times it went from not fully ended to fully ended */
    unsigned reopened;   /* times a person reopened it: restart, changed states */
    unsigned may_reopen; /* times its parent may have restarted it */
    unsigned wishes;     /* requests of people that may reopen it, not answered */
    bool may_vanish;     /* somebody asked for its deletion */
    bool is_gone;        /* and was told that it is done */
    bool has_vanished;   /* it is not stored any more */
    bool is_lenient;     /* a request of a person that may reopen it is under way */
    bool was_changed;    /* by a person: order and results of task runs prove nothing any more */
    bool was_stopped;    /* killed, or cancelled by a pause */
    VEC(struct seen_run) runs;
};

/* NULL when nothing is wrong, else a sentence in the arena. Remembers what it saw. */
const char *check_progress(struct seen *seen,
                           const struct execution_row *row,
                           const struct execution *execution,
                           struct arena *arena);

#endif
