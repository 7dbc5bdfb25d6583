/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An execution on a bench: steps the engine with a clock of its own, keeps what it asks for, and
 * can put the execution through its rows as a restart of the server does.
 *
 * Tasks for a fake worker have the type `io.weir.test.Work` (call), `io.weir.test.Process` or
 * `io.weir.test.Remote`.
 */
#ifndef TESTS_SUPPORT_ENGINE_BED_H
#define TESTS_SUPPORT_ENGINE_BED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/vec.h"
#include "runtime/engine/engine.h"

struct arena;
struct plugin_set;

struct bed_timer {
    enum timer_kind kind;
    usec_t at;
    char run_id[ID_LENGTH + 1]; /* "" for the execution */
    uint32_t generation;
};

/* The child that was asked for last, per run and iteration. */
struct bed_child {
    char run_id[ID_LENGTH + 1];
    int64_t iteration;
    char id[ID_LENGTH + 1];
};

struct bed_log {
    enum log_level level;
    const char *task_id; /* NULL: of the execution */
    const char *text;
};

struct bed {
    struct arena *arena; /* of everything remembered between steps */
    struct flow *flow;
    struct execution *execution;
    struct engine_world world;
    usec_t now;
    uint64_t seed;
    enum admission admission; /* of START, CONTINUE and TIMER_SCHEDULE */
    bool holds_continue;      /* COMMAND_CONTINUE is left to the caller */
    bool wants_continue;

    struct command_list commands; /* of the last event, CONTINUE included */
    struct arena *commands_arena;
    VEC(struct bed_timer) timers;
    VEC(struct bed_log) logs;
    VEC(struct bed_child) children;
    size_t steps;
    size_t ended; /* COMMAND_ENDED so far */
    size_t logs_seen;
};

/* All built-in plugins and the types for tests. */
const struct plugin_set *bed_plugins(void);

/* Appends a text in which `type: Return` becomes the whole name. */
void bed_write_types(struct buf *out, const char *text);

/* Parses; types may be written by their last part ("Return"). Fails the program with findings. */
struct flow *bed_flow(const char *tasks_yaml);

struct bed *bed_new(struct flow *flow, usec_t now);
void bed_free(struct bed *bed);

/* Steps with an event; at and seed are filled in. Goes on while the engine asks to be continued. */
void bed_step(struct bed *bed, struct event event);
/* Moves the clock to `at` and gives every timer that is due, in order. */
void bed_advance(struct bed *bed, usec_t at);
/* Earliest timer, USEC_NEVER none. */
usec_t bed_next_timer(const struct bed *bed);
/* Through rows and back, then EVENT_RECOVER; timers are those that are asked for again. */
void bed_restore(struct bed *bed);

/* The n-th (from 0) run of a task in order of creation; value NULL: any. */
struct task_run *bed_run(const struct bed *bed, const char *task_id, const char *value, size_t nth);
/* Id of the child of a run, NULL when none was asked for. */
const char *bed_child_id(const struct bed *bed, const struct task_run *run, int64_t iteration);
/* The answer of a worker about the attempt under way. */
void bed_end_run(struct bed *bed,
                 const struct task_run *run,
                 enum state state,
                 const struct value *outputs,
                 const char *message);
/* Number of the attempt that the last order for a run began; from the commands seen so far. */
uint32_t bed_attempt(const struct bed *bed, const struct task_run *run);

/* One line per run: dots, id, [value], state, xN when it has several attempts. */
void bed_write_runs(const struct bed *bed, struct buf *out);
/* "CREATED, RUNNING, …" */
void bed_write_history(const struct state_log *log, struct buf *out);
/* One line per command of the last event, except timers and state changes of no interest. */
void bed_write_commands(const struct bed *bed, struct buf *out);

#endif
