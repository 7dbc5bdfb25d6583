/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deterministic simulation of the engine: random flows, fake workers, people, and crashes.
 *
 *     build/sim [SEED [RUNS]]      SEED 0: from the clock;  TRACE=1: every event
 *
 * Each run makes a flow from the grammar and lives through it: answers that come, come twice or too
 * late, workers that vanish, kills, pauses, resumes, restarts, replays, changed states, and a
 * server that dies before a commit, after it, or in the middle of acting on it. The store holds
 * what was committed, row by row as it was marked dirty. After every event the execution is
 * compared with the model (model.c), and the store with the execution. In the end the world calms
 * down and the execution must end, once.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/str.h"
#include "core/plugin.h"
#include "core/value.h"
#include "tests/sim/generate.h"
#include "tests/sim/judge.h"
#include "tests/sim/model.h"
#include "tests/support/engine_bed.h"

/* Events of one run: hectic ones, then at most so many until it must have ended. */
#define HECTIC_MAX 120
#define CALM_MAX   4000

/* ---- the world ---- */

/* An order that a worker has, by (run, attempt). */
struct job {
    char run_id[ID_LENGTH + 1];
    uint32_t attempt;
    bool is_remote;
    bool is_cancelled;
    bool is_started;
    bool is_done;       /* the worker has ended it */
    bool is_lost;       /* with its worker */
    unsigned executed;  /* how often it was really done */
    enum state outcome; /* when done */
    unsigned polls;
};

struct question {
    char run_id[ID_LENGTH + 1]; /* "" for the execution */
    const char *key;
    const char *function;
};

struct child {
    char id[ID_LENGTH + 1];
    char run_id[ID_LENGTH + 1];
    int64_t iteration;
    uint32_t attempt; /* of the task run that asked for it */
    enum state state;
    bool is_told_created;
    bool is_told_ended;
    bool is_refused;
};

struct timer {
    enum timer_kind kind;
    usec_t at;
    char run_id[ID_LENGTH + 1];
    uint32_t generation;
};

/* An answer that may come once more, later. */
struct echo {
    char run_id[ID_LENGTH + 1];
    uint32_t attempt;
    enum state state;
};

struct row {
    uint32_t seq;
    struct buf bytes;
};

struct sim {
    uint64_t seed;
    struct rng rng;
    struct arena *arena; /* of the run */
    struct arena *scratch;
    struct arena *commands_arena;
    struct command_list commands;
    struct bed *bed; /* for its world */
    struct flow *flow;
    struct execution *execution;
    struct model model;
    usec_t now;
    uint64_t ids;

    /* What was committed. */
    struct buf header;
    VEC(struct row) rows;

    /* Survives a crash of the server. */
    VEC(struct job) jobs;
    VEC(struct child) children;
    VEC(struct echo) echoes;

    /* Lost in a crash. */
    VEC(struct question) questions;
    VEC(struct timer) timers;
    bool continues;
    bool is_dequeued_later;

    unsigned ends; /* COMMAND_ENDED since the execution was last opened */
    unsigned steps;
    unsigned crashes;
    bool is_calm;
    bool has_failed;
    const char *doing;
};

static bool traces;

static void trace(const struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void trace(const struct sim *sim, const char *format, ...)
{
    if (!traces)
        return;
    va_list args;
    va_start(args, format);
    (void)printf("%4u %-9s ", sim->steps, states[sim->execution->state.current].name);
    (void)vprintf(format, args);
    (void)putchar('\n');
    va_end(args);
}

static bool chance(struct sim *sim, unsigned percent)
{
    return rng_below(&sim->rng, 100) < percent;
}

static size_t pick(struct sim *sim, size_t count)
{
    return (size_t)rng_below(&sim->rng, count);
}

static void fail_run(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void fail_run(struct sim *sim, const char *format, ...)
{
    if (sim->has_failed)
        return;
    sim->has_failed = true;
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "seed %llu, step %u (%s): ", (unsigned long long)sim->seed, sim->steps,
                  sim->doing);
    (void)vfprintf(stderr, format, args);
    (void)fprintf(stderr, "\nrepeat with: make sim SEED=%llu RUNS=1 TRACE=1\n",
                  (unsigned long long)sim->seed);
    va_end(args);
    struct buf out = { 0 };
    sim->bed->execution = sim->execution;
    bed_write_runs(sim->bed, &out);
    (void)fprintf(stderr, "execution %s\n%s", states[sim->execution->state.current].name,
                  buf_text(&out));
    buf_free(&out);
}

/* ---- the store ---- */

static struct row *row_of(struct sim *sim, uint32_t seq)
{
    for (size_t i = 0; i < sim->rows.count; i++) {
        if (sim->rows.items[i].seq == seq)
            return &sim->rows.items[i];
    }
    return NULL;
}

static void store_run(struct sim *sim, const struct task_run *run)
{
    struct row *row = row_of(sim, run->seq);
    if (row == NULL) {
        row = VEC_PUSH(&sim->rows);
        row->seq = run->seq;
    }
    buf_clear(&row->bytes);
    task_run_encode(&row->bytes, run);
}

static void drop_row(struct sim *sim, uint32_t seq)
{
    for (size_t i = 0; i < sim->rows.count; i++) {
        if (sim->rows.items[i].seq != seq)
            continue;
        buf_free(&sim->rows.items[i].bytes);
        memmove(&sim->rows.items[i], &sim->rows.items[i + 1],
                (sim->rows.count - i - 1) * sizeof(struct row));
        sim->rows.count--;
        return;
    }
}

static void commit(struct sim *sim)
{
    struct execution *execution = sim->execution;
    if (execution->is_dirty || execution->is_new) {
        buf_clear(&sim->header);
        execution_encode(&sim->header, execution);
    }
    for (size_t i = 0; i < execution->dirty.count; i++)
        store_run(sim, execution->dirty.items[i]);
    for (size_t i = 0; i < execution->removed.count; i++)
        drop_row(sim, execution->removed.items[i]);
    execution_committed(execution);
}

/* What was marked dirty is everything that changed. */
static void compare_store(struct sim *sim)
{
    struct buf now = { 0 };
    execution_encode(&now, sim->execution);
    if (now.length != sim->header.length || memcmp(now.bytes, sim->header.bytes, now.length) != 0) {
        // next_seq alone may be behind: it is made up for by the rows
        struct execution *stored =
            execution_decode(sim->header.bytes, sim->header.length, NULL, NULL);
        uint32_t next = sim->execution->next_seq;
        sim->execution->next_seq = stored == NULL ? 0 : stored->next_seq;
        buf_clear(&now);
        execution_encode(&now, sim->execution);
        sim->execution->next_seq = next;
        if (now.length != sim->header.length ||
            memcmp(now.bytes, sim->header.bytes, now.length) != 0)
            fail_run(sim, "the stored header is not that of the execution");
        execution_free(stored);
    }
    if (sim->rows.count != sim->execution->runs.count)
        fail_run(sim, "%zu task runs are stored, there are %zu", sim->rows.count,
                 sim->execution->runs.count);
    for (size_t i = 0; i < sim->execution->runs.count && !sim->has_failed; i++) {
        const struct task_run *run = sim->execution->runs.items[i];
        const struct row *row = row_of(sim, run->seq);
        buf_clear(&now);
        task_run_encode(&now, run);
        if (row == NULL || row->bytes.length != now.length ||
            memcmp(row->bytes.bytes, now.bytes, now.length) != 0)
            fail_run(sim, "the stored row of %s is not that of the task run", run->task_id);
    }
    buf_free(&now);
}

static void load(struct sim *sim)
{
    struct error err = { 0 };
    execution_free(sim->execution);
    sim->execution = execution_decode(sim->header.bytes, sim->header.length, sim->flow, &err);
    CHECK(sim->execution != NULL);
    for (size_t i = 0; i < sim->rows.count; i++)
        CHECK(task_run_decode(sim->execution, sim->rows.items[i].bytes.bytes,
                              sim->rows.items[i].bytes.length, &err));
    execution_link(sim->execution);
}

/* ---- acting on commands ---- */

static void copy_id(char out[ID_LENGTH + 1], const char *id)
{
    (void)snprintf(out, ID_LENGTH + 1, "%s", id == NULL ? "" : id);
}

static struct job *job_of(struct sim *sim, const char *run_id, uint32_t attempt)
{
    for (size_t i = 0; i < sim->jobs.count; i++) {
        if (strcmp(sim->jobs.items[i].run_id, run_id) == 0 && sim->jobs.items[i].attempt == attempt)
            return &sim->jobs.items[i];
    }
    return NULL;
}

static struct child *child_of(struct sim *sim, const char *id)
{
    for (size_t i = 0; i < sim->children.count; i++) {
        if (strcmp(sim->children.items[i].id, id) == 0)
            return &sim->children.items[i];
    }
    return NULL;
}

static void act_run(struct sim *sim, const struct command *command)
{
    struct job *job = job_of(sim, command->run->id.text, command->attempt);
    if (job != NULL && job->is_lost) { // another worker takes it
        job->is_lost = false;
        job->is_done = false;
        job->executed = 0;
        return;
    }
    if (job != NULL) { // a worker ignores what it has, but polls when asked
        if (job->is_remote && command->run->remote_id != NULL && job->executed == 0)
            job->is_done = false;
        return;
    }
    job = VEC_PUSH(&sim->jobs);
    copy_id(job->run_id, command->run->id.text);
    job->attempt = command->attempt;
    job->is_remote = command->plugin->task_kind == TASK_REMOTE;
}

static void act_child(struct sim *sim, const struct command *command)
{
    struct child *child = child_of(sim, command->child_id);
    if (child == NULL) {
        child = VEC_PUSH(&sim->children);
        copy_id(child->id, command->child_id);
        copy_id(child->run_id, command->run->id.text);
        child->iteration = command->iteration;
        child->attempt = command->attempt;
        child->state = STATE_CREATED;
    }
    child->is_told_created = false;
    child->is_told_ended = false;
}

static void act(struct sim *sim, const struct command *command)
{
    switch (command->type) {
    case COMMAND_RUN:
        act_run(sim, command);
        break;
    case COMMAND_CANCEL: {
        struct job *job = job_of(sim, command->run->id.text, command->attempt);
        if (job == NULL) { // answered all the same
            job = VEC_PUSH(&sim->jobs);
            copy_id(job->run_id, command->run->id.text);
            job->attempt = command->attempt;
        }
        job->is_cancelled = true;
        if (job->executed == 0 && !job->is_lost)
            job->is_done = false; // also a remote job between two polls
        break;
    }
    case COMMAND_TIMER: {
        struct timer *timer = VEC_PUSH(&sim->timers);
        timer->kind = command->timer;
        timer->at = command->at;
        timer->generation = command->generation;
        copy_id(timer->run_id, command->run == NULL ? NULL : command->run->id.text);
        break;
    }
    case COMMAND_EVALUATE: {
        struct question *question = VEC_PUSH(&sim->questions);
        copy_id(question->run_id, command->run == NULL ? NULL : command->run->id.text);
        question->key = engine_answer_key(sim->arena, command->key, command->props);
        question->function = arena_strdup(sim->arena, command->key);
        break;
    }
    case COMMAND_CHILD:
        act_child(sim, command);
        break;
    case COMMAND_CHILD_RESTART: {
        struct child *child = child_of(sim, command->child_id);
        if (child == NULL)
            act_child(sim, command);
        else if (child->state == STATE_FAILED)
            child->state = STATE_CREATED;
        else
            child->state = STATE_SUCCESS;
        child = child_of(sim, command->child_id);
        CHECK(child != NULL);
        child->is_told_created = false;
        child->is_told_ended = false;
        break;
    }
    case COMMAND_KILL_CHILDREN:
        for (size_t i = 0; i < sim->children.count; i++) {
            if (!states[sim->children.items[i].state].is_terminal)
                sim->children.items[i].state = STATE_KILLED;
        }
        break;
    case COMMAND_ENDED:
        sim->ends++;
        if (sim->ends > 1)
            fail_run(sim, "the end was announced twice");
        break;
    case COMMAND_CONTINUE:
        sim->continues = true;
        break;
    case COMMAND_LOG:
        if (command->message != NULL && strstr(command->message, "Nothing is left to run") != NULL)
            fail_run(sim, "the engine gave up");
        if (traces && command->level >= LOG_WARN)
            (void)printf("               log %s\n", command->message);
        break;
    case COMMAND_NEW_EXECUTION:
    case COMMAND_METRIC:
    case COMMAND_STATE:
    case COMMAND_CACHE:
        break;
    }
}

/* ---- stepping ---- */

/* Nothing is under way: no step to be continued, no question of the execution itself. */
static bool is_settled(const struct sim *sim)
{
    for (size_t i = 0; i < sim->questions.count; i++) {
        if (sim->questions.items[i].run_id[0] == '\0')
            return false;
    }
    for (size_t i = 0; i < sim->commands.all.count; i++) {
        const struct command *command = &sim->commands.all.items[i];
        if (command->type == COMMAND_EVALUATE && command->run == NULL)
            return false;
    }
    return !sim->continues;
}

static void check(struct sim *sim, bool is_operation)
{
    if (sim->has_failed)
        return;
    arena_reset(sim->model.arena);
    const char *wrong = model_check(&sim->model, sim->execution, is_operation, is_settled(sim));
    if (wrong != NULL)
        fail_run(sim, "%s", wrong);
    model_remember(&sim->model, sim->execution);
}

/* The work that is recorded as done was done: once, by the attempt that is credited with it. */
static void check_work(struct sim *sim)
{
    for (size_t i = 0; i < sim->execution->runs.count && !sim->has_failed; i++) {
        const struct task_run *run = sim->execution->runs.items[i];
        const char *by = value_get_text(run->outputs, "doneBy", NULL);
        bool is_done = run->state.current == STATE_SUCCESS || run->state.current == STATE_WARNING;
        bool may_fail = run->task == NULL || run->task->allow_failure || run->task->cache_enabled;
        bool is_forced = sim->execution->state.current == run->state.current ||
                         (run->parent != NULL && run->parent->state.current == run->state.current);
        if (sim->model.was_changed || run->orders == 0 || !is_done)
            continue;
        const struct job *job = job_of(sim, run->id.text, run->orders);
        if (job == NULL || job->executed == 0) {
            if (!is_forced)
                fail_run(sim, "%s is done, and nobody did it", run->task_id);
            continue;
        }
        if (job->executed > 1)
            fail_run(sim, "attempt %u of %s was done %u times", run->orders, run->task_id,
                     job->executed);
        else if (job->outcome == STATE_FAILED && !may_fail && !is_forced)
            fail_run(sim, "%s is done, and its attempt failed", run->task_id);
        else if (by != NULL && strcmp(by, run->id.text) != 0)
            fail_run(sim, "%s has outputs of another task run", run->task_id);
        else if (by != NULL && !may_fail && !is_forced &&
                 value_get_int(run->outputs, "attempt", 0) != (int64_t)run->orders)
            fail_run(sim, "%s has outputs of another attempt", run->task_id);
    }
}

static void forget_memory(struct sim *sim)
{
    sim->questions.count = 0;
    sim->timers.count = 0;
    sim->continues = false;
}

static void deliver(struct sim *sim, struct event event, bool is_operation);

static void recover(struct sim *sim)
{
    sim->crashes++;
    sim->doing = "crash";
    trace(sim, "crash");
    forget_memory(sim);
    load(sim);
    if (chance(sim, 50)) { // the workers died with the server
        for (size_t i = 0; i < sim->jobs.count; i++)
            sim->jobs.items[i].is_lost = sim->jobs.items[i].is_lost || !sim->jobs.items[i].is_done;
    }
    model_remember(&sim->model, sim->execution);
    if (sim->execution->state.current == STATE_CREATED ||
        sim->execution->state.current == STATE_RESTARTED) {
        deliver(sim, (struct event){ .type = EVENT_RECOVER }, false);
        deliver(sim, (struct event){ .type = EVENT_START }, false);
        return;
    }
    deliver(sim, (struct event){ .type = EVENT_RECOVER }, false);
}

/* One event: step, commit, act; the server may die before, between and after. */
static void deliver(struct sim *sim, struct event event, bool is_operation)
{
    if (sim->has_failed)
        return;
    bool may_crash = !sim->is_calm && event.type != EVENT_RECOVER;
    event.at = sim->now;
    event.seed = rng_next(&sim->rng);
    sim->steps++;
    sim->continues = false;
    arena_reset(sim->scratch);
    arena_reset(sim->commands_arena);
    memset(&sim->commands.all, 0, sizeof(sim->commands.all));
    engine_step(sim->execution, &event, &sim->bed->world, sim->scratch, &sim->commands);
    if (may_crash && chance(sim, 2)) { // nothing of it was stored
        recover(sim);
        return;
    }
    if (is_operation && sim->execution->is_dirty)
        sim->ends = 0; // it lives again
    commit(sim);
    compare_store(sim);
    for (size_t i = 0; i < sim->commands.all.count; i++)
        sim->continues = sim->continues || sim->commands.all.items[i].type == COMMAND_CONTINUE;
    check(sim, is_operation);
    check_work(sim);
    for (size_t i = 0; i < sim->commands.all.count; i++) {
        if (may_crash && chance(sim, 1)) { // stored, and partly acted upon
            for (size_t k = i; k < sim->commands.all.count; k++)
                sim->ends += sim->commands.all.items[k].type == COMMAND_ENDED ? 1 : 0;
            recover(sim);
            return;
        }
        act(sim, &sim->commands.all.items[i]);
    }
}

/* ---- what happens ---- */

static void go_on(struct sim *sim)
{
    sim->doing = "continue";
    deliver(sim, (struct event){ .type = EVENT_CONTINUE }, false);
}

static const struct value *outputs_for(struct sim *sim, const struct job *job)
{
    struct value_builder map = value_build(sim->arena);
    value_put_text(&map, "doneBy", job->run_id);
    value_put_int(&map, "attempt", job->attempt);
    value_put_text(&map, "splits", "kestra:///splits");
    return value_build_map(&map);
}

static enum state outcome(struct sim *sim, const struct job *job)
{
    if (job->is_cancelled)
        return chance(sim, 80) ? STATE_KILLED : STATE_SUCCESS;
    if (sim->is_calm)
        return STATE_SUCCESS;
    if (chance(sim, 25))
        return STATE_FAILED;
    return chance(sim, 8) ? STATE_WARNING : STATE_SUCCESS;
}

static void tell_ended(struct sim *sim, const struct job *job)
{
    char run_id[ID_LENGTH + 1];
    copy_id(run_id, job->run_id);
    trace(sim, "ended %s#%u %s", run_id, job->attempt, states[job->outcome].name);
    deliver(sim,
            (struct event){
                .type = EVENT_RUN_ENDED,
                .run_id = run_id,
                .attempt = job->attempt,
                .state = job->outcome,
                .outputs = outputs_for(sim, job),
                .message = job->outcome == STATE_FAILED ? "it failed" : NULL,
                .worker = "worker",
            },
            false);
}

/* A job of a worker moves on: begins, is polled, ends, vanishes. */
static void work(struct sim *sim, size_t at)
{
    struct job *job = &sim->jobs.items[at];
    char run_id[ID_LENGTH + 1];
    uint32_t attempt = job->attempt;
    copy_id(run_id, job->run_id);
    sim->doing = "worker";
    if (job->is_lost) {
        job->is_done = true; // nobody will hear of it again
        trace(sim, "lost %s#%u", run_id, attempt);
        unsigned before = sim->crashes;
        deliver(sim, (struct event){ .type = EVENT_RUN_LOST, .run_id = run_id, .attempt = attempt },
                false);
        job = job_of(sim, run_id, attempt);
        if (before != sim->crashes && job != NULL && job->is_lost)
            job->is_done = false; // found out again
        return;
    }
    if (!job->is_started && chance(sim, 60)) {
        job->is_started = true;
        trace(sim, "began %s#%u", run_id, attempt);
        deliver(sim,
                (struct event){ .type = EVENT_RUN_STARTED,
                                .run_id = run_id,
                                .attempt = attempt,
                                .worker = "worker" },
                false);
        return;
    }
    if (!sim->is_calm && chance(sim, 5)) {
        job->is_lost = true;
        return;
    }
    if (job->executed == 0 && job->is_remote && !job->is_cancelled && job->polls < 3 &&
        chance(sim, 60)) {
        job->polls++;
        job->is_done = true; // until it is polled again
        trace(sim, "remote %s#%u", run_id, attempt);
        unsigned before = sim->crashes;
        deliver(sim,
                (struct event){ .type = EVENT_RUN_REMOTE,
                                .run_id = run_id,
                                .attempt = attempt,
                                .remote_id = "job",
                                .wake_at = sim->now + USEC_SEC },
                false);
        job = job_of(sim, run_id, attempt);
        if (before != sim->crashes && job != NULL && job->executed == 0)
            job->is_done = false; // told again
        return;
    }
    job->is_started = true;
    job->is_done = true;
    if (job->executed == 0) {
        job->executed++;
        job->outcome = outcome(sim, job);
    }
    struct job told = *job;
    if (chance(sim, 10)) {
        struct echo *echo = VEC_PUSH(&sim->echoes);
        copy_id(echo->run_id, run_id);
        echo->attempt = attempt;
        echo->state = chance(sim, 50) ? told.outcome : STATE_FAILED;
    }
    unsigned crashes = sim->crashes;
    tell_ended(sim, &told);
    // An answer counts once it was stored: a worker tells the same again until then.
    struct job *again = job_of(sim, run_id, attempt);
    if (crashes != sim->crashes && again != NULL && !again->is_lost)
        again->is_done = false;
}

static void echo_answer(struct sim *sim)
{
    size_t at = pick(sim, sim->echoes.count);
    struct echo echo = sim->echoes.items[at];
    sim->echoes.items[at] = sim->echoes.items[--sim->echoes.count];
    const struct job *job = job_of(sim, echo.run_id, echo.attempt);
    sim->doing = "duplicate";
    trace(sim, "duplicate %s#%u %s", echo.run_id, echo.attempt, states[echo.state].name);
    deliver(sim,
            (struct event){ .type = EVENT_RUN_ENDED,
                            .run_id = echo.run_id,
                            .attempt = echo.attempt,
                            .state = echo.state,
                            .outputs = job == NULL ? NULL : outputs_for(sim, job) },
            false);
}

static const struct value *answer_to(struct sim *sim, const struct question *question)
{
    if (strcmp(question->function, "read") == 0)
        return value_string(sim->arena, chance(sim, 20) ? "" : "kestra:///b0\nkestra:///b1\n");
    if (strcmp(question->function, "cache") == 0)
        return chance(sim, 70) ? &value_null
                               : value_with(sim->arena, NULL, "outputs",
                                            value_with(sim->arena, NULL, "n", &value_true));
    if (strcmp(question->function, "kv") == 0)
        return value_bool(sim->is_calm || chance(sim, 60));
    return value_string(sim->arena, "answer");
}

static void answer_question(struct sim *sim)
{
    size_t at = pick(sim, sim->questions.count);
    struct question question = sim->questions.items[at];
    sim->questions.items[at] = sim->questions.items[--sim->questions.count];
    bool fails = !sim->is_calm && chance(sim, 8);
    sim->doing = "answer";
    trace(sim, "answer %s to %s", question.key, question.run_id);
    deliver(sim,
            (struct event){
                .type = EVENT_EVALUATED,
                .run_id = question.run_id[0] == '\0' ? NULL : question.run_id,
                .key = question.key,
                .is_error = fails,
                .message = fails ? "cannot" : NULL,
                .values = fails ? NULL : answer_to(sim, &question),
            },
            false);
}

static void ring(struct sim *sim)
{
    size_t first = 0;
    for (size_t i = 1; i < sim->timers.count; i++) {
        if (sim->timers.items[i].at < sim->timers.items[first].at)
            first = i;
    }
    struct timer timer = sim->timers.items[first];
    sim->timers.items[first] = sim->timers.items[--sim->timers.count];
    sim->now = timer.at > sim->now ? timer.at : sim->now;
    sim->doing = "timer";
    trace(sim, "timer %d of %s", (int)timer.kind, timer.run_id);
    bool again = !sim->is_calm && chance(sim, 5);
    for (int i = 0; i < (again ? 2 : 1); i++)
        deliver(sim,
                (struct event){ .type = EVENT_TIMER,
                                .timer = timer.kind,
                                .generation = timer.generation,
                                .run_id = timer.run_id[0] == '\0' ? NULL : timer.run_id },
                false);
}

/* A child is created, changes, ends; the parent hears of it. */
static void raise_child(struct sim *sim, size_t at)
{
    struct child *child = &sim->children.items[at];
    struct child told = *child;
    sim->doing = "child";
    struct event event = { .run_id = told.run_id,
                           .child_id = told.id,
                           .iteration = told.iteration,
                           .type = EVENT_CHILD_CREATED };
    if (!child->is_told_created) {
        bool refused = !sim->is_calm && child->state == STATE_CREATED && chance(sim, 6);
        child->is_told_created = true;
        if (refused) {
            child->is_told_ended = child->is_refused = true;
            child->state = STATE_FAILED;
            event.type = EVENT_CHILD_REFUSED;
            event.message = "no such flow";
        }
        trace(sim, "child %s of %s %s", told.id, told.run_id, refused ? "refused" : "created");
        deliver(sim, event, false);
        return;
    }
    if (!states[child->state].is_terminal) {
        static const enum state next[] = { STATE_RUNNING, STATE_PAUSED,  STATE_SUCCESS,
                                           STATE_FAILED,  STATE_WARNING, STATE_CANCELLED };
        child->state = sim->is_calm ? STATE_SUCCESS : next[pick(sim, COUNT_OF(next))];
    }
    bool ends = states[child->state].is_terminal;
    child->is_told_ended = ends;
    event.type = ends ? EVENT_CHILD_ENDED : EVENT_CHILD_CHANGED;
    event.state = child->state;
    trace(sim, "child %s of %s %s", told.id, told.run_id, states[event.state].name);
    unsigned crashes = sim->crashes;
    deliver(sim, event, false);
    // The driver tells a parent about an end until that was stored.
    child = child_of(sim, told.id);
    if (child != NULL && ends && crashes != sim->crashes)
        child->is_told_ended = false;
}

/* ---- people ---- */

static struct task_run *any_run(struct sim *sim)
{
    size_t count = sim->execution->runs.count;
    return count == 0 ? NULL : sim->execution->runs.items[pick(sim, count)];
}

static void decide(struct sim *sim)
{
    deliver(sim,
            (struct event){ .type = EVENT_DECIDE,
                            .key = chance(sim, 50) ? "APPROVED" : "DENIED",
                            .user = "ann" },
            false);
}

static void clear_rows(struct sim *sim)
{
    for (size_t i = 0; i < sim->rows.count; i++)
        buf_free(&sim->rows.items[i].bytes);
    sim->rows.count = 0;
}

static void replay(struct sim *sim)
{
    struct error err = { 0 };
    struct id id = id_derive("replay", &sim->ids, sizeof(sim->ids));
    const struct task_run *run = chance(sim, 30) ? NULL : any_run(sim);
    sim->ids++;
    struct execution *next = engine_replay(sim->execution, sim->flow, &id,
                                           run == NULL ? NULL : run->id.text, NULL, sim->now, &err);
    CHECK(next != NULL);
    trace(sim, "replay from %s", run == NULL ? "the beginning" : run->task_id);
    execution_free(sim->execution);
    sim->execution = next;
    forget_memory(sim);
    sim->jobs.count = 0;
    sim->children.count = 0;
    sim->echoes.count = 0;
    clear_rows(sim);
    sim->ends = 0;
    sim->model.past = NULL;
    sim->model.was_changed = true; // kept task runs are no proof of order
    commit(sim);
    deliver(sim, (struct event){ .type = EVENT_START }, true);
}

static void operate(struct sim *sim)
{
    struct execution *execution = sim->execution;
    enum state state = execution->state.current;
    struct task_run *run = any_run(sim);
    sim->doing = "operation";
    switch (pick(sim, 12)) {
    case 0:
        if (!chance(sim, 30))
            return;
        trace(sim, "kill");
        deliver(sim, (struct event){ .type = EVENT_KILL, .is_cascade = chance(sim, 70) }, false);
        return;
    case 1:
        trace(sim, "pause");
        deliver(sim, (struct event){ .type = EVENT_PAUSE }, false);
        return;
    case 2:
    case 3:
        trace(sim, "resume");
        deliver(sim, (struct event){ .type = EVENT_RESUME, .user = "ann" }, false);
        return;
    case 4:
    case 5: {
        struct event event = { .type = EVENT_RESTART };
        if (!engine_allows(execution, EVENT_RESTART, &event, NULL))
            return;
        trace(sim, "restart");
        sim->model.was_changed = true;
        deliver(sim, event, true);
        return;
    }
    case 6: {
        static const enum state to[] = { STATE_SUCCESS, STATE_FAILED, STATE_WARNING,
                                         STATE_CANCELLED };
        struct event event = { .type = EVENT_CHANGE_RUN, .state = to[pick(sim, COUNT_OF(to))] };
        if (run == NULL)
            return;
        char run_id[ID_LENGTH + 1];
        copy_id(run_id, run->id.text);
        event.run_id = run_id;
        if (!engine_allows(execution, EVENT_CHANGE_RUN, &event, NULL))
            return;
        trace(sim, "change %s to %s", run->task_id, states[event.state].name);
        sim->model.was_changed = true;
        deliver(sim, event, true);
        return;
    }
    case 7:
        trace(sim, "decide");
        decide(sim);
        return;
    case 8:
        if (states[state].is_terminal)
            return;
        trace(sim, "force run");
        deliver(sim, (struct event){ .type = EVENT_FORCE_RUN }, false);
        return;
    case 9:
        if (states[state].is_terminal && chance(sim, 30))
            replay(sim);
        return;
    case 10:
        if (state == STATE_QUEUED) {
            trace(sim, "dequeue");
            deliver(sim, (struct event){ .type = EVENT_DEQUEUED }, false);
        }
        return;
    default:
        if (chance(sim, 20))
            recover(sim);
        return;
    }
}

/* ---- one run ---- */

static bool has_open_job(const struct sim *sim, size_t *at, struct sim *random)
{
    size_t open = 0;
    for (size_t i = 0; i < sim->jobs.count; i++)
        open += sim->jobs.items[i].is_done ? 0 : 1;
    if (open == 0)
        return false;
    size_t chosen = pick(random, open);
    for (size_t i = 0; i < sim->jobs.count; i++) {
        if (!sim->jobs.items[i].is_done && chosen-- == 0) {
            *at = i;
            return true;
        }
    }
    return false;
}

static bool has_open_child(const struct sim *sim, size_t *at, struct sim *random)
{
    size_t open = 0;
    for (size_t i = 0; i < sim->children.count; i++)
        open += sim->children.items[i].is_told_ended ? 0 : 1;
    if (open == 0)
        return false;
    size_t chosen = pick(random, open);
    for (size_t i = 0; i < sim->children.count; i++) {
        if (!sim->children.items[i].is_told_ended && chosen-- == 0) {
            *at = i;
            return true;
        }
    }
    return false;
}

/* Something that is due happens; false: nothing is. */
static bool proceed(struct sim *sim)
{
    size_t at = 0;
    if (sim->continues && chance(sim, 90)) {
        go_on(sim);
        return true;
    }
    if (has_open_job(sim, &at, sim) && chance(sim, 60)) {
        work(sim, at);
        return true;
    }
    if (sim->questions.count > 0 && chance(sim, 70)) {
        answer_question(sim);
        return true;
    }
    if (has_open_child(sim, &at, sim) && chance(sim, 60)) {
        raise_child(sim, at);
        return true;
    }
    if (sim->timers.count > 0 && chance(sim, 60)) {
        ring(sim);
        return true;
    }
    if (sim->echoes.count > 0 && !sim->is_calm && chance(sim, 30)) {
        echo_answer(sim);
        return true;
    }
    return sim->continues || has_open_job(sim, &at, sim) || sim->questions.count > 0 ||
           has_open_child(sim, &at, sim) || sim->timers.count > 0;
}

/* People do what is left to them: resume, decide, let the queued one go. */
static bool nudge(struct sim *sim)
{
    enum state state = sim->execution->state.current;
    sim->doing = "nudge";
    if (state == STATE_QUEUED) {
        deliver(sim, (struct event){ .type = EVENT_DEQUEUED }, false);
        return true;
    }
    if (state == STATE_CREATED || state == STATE_RESTARTED) {
        deliver(sim, (struct event){ .type = EVENT_CONTINUE }, false);
        return true;
    }
    if (state != STATE_PAUSED)
        return false;
    trace(sim, "nudge");
    for (size_t i = 0; i < sim->execution->runs.count; i++) {
        const struct task_run *run = sim->execution->runs.items[i];
        if (run->state.current == STATE_PAUSED && run->task != NULL &&
            str_ends(run->task->type->id, ".Approval")) {
            decide(sim);
            return true;
        }
    }
    deliver(sim, (struct event){ .type = EVENT_RESUME, .user = "ann" }, false);
    return true;
}

/* Of the last attempt: those before were given up. */
static size_t children_of(void *data, const struct task_run *run, enum state *found, size_t max)
{
    const struct sim *sim = data;
    size_t count = 0;
    bool refused = false;
    for (size_t i = 0; i < sim->children.count && count < max; i++) {
        const struct child *child = &sim->children.items[i];
        if (strcmp(child->run_id, run->id.text) == 0 && child->attempt == run->attempts.count)
            found[count++] = child->state;
        refused = refused || (child->is_refused && strcmp(child->run_id, run->id.text) == 0);
    }
    // an iteration that cannot be made has failed, a Subflow has failed itself
    return refused && !str_ends(run->task->type->id, ".Loop") ? 0 : count;
}

/* The whole of it, once it is over. */
static void judge_end(struct sim *sim)
{
    arena_reset(sim->model.arena);
    struct judge judge = {
        .arena = sim->model.arena,
        .execution = sim->execution,
        .children = children_of,
        .data = sim,
        .was_changed = sim->model.was_changed,
    };
    const char *wrong = judge_ended(&judge);
    if (wrong != NULL)
        fail_run(sim, "%s", wrong);
}

static void live(struct sim *sim)
{
    enum admission admission =
        sim->flow->concurrency_limit > 0 && chance(sim, 50) ? ADMIT_QUEUE : ADMIT_RUN;
    sim->doing = "start";
    commit(sim); // its creation
    deliver(sim, (struct event){ .type = EVENT_START, .admission = admission }, false);
    size_t hectic = pick(sim, HECTIC_MAX);
    for (size_t i = 0; i < hectic && !sim->has_failed; i++) {
        if (chance(sim, 12))
            operate(sim);
        else
            (void)proceed(sim);
    }
    sim->is_calm = true;
    for (size_t i = 0; i < CALM_MAX && !sim->has_failed; i++) {
        if (proceed(sim))
            continue;
        if (sim->execution->fully_ended || !nudge(sim))
            break;
    }
    if (!sim->has_failed && !sim->execution->fully_ended)
        fail_run(sim, "stuck");
    else if (!sim->has_failed && sim->ends != 1)
        fail_run(sim, "the end was announced %u times", sim->ends);
    else if (!sim->has_failed)
        judge_end(sim);
}

static bool simulate(uint64_t seed)
{
    struct rng mix = { .state = seed };
    struct sim sim = {
        .seed = seed,
        .rng = { .state = rng_next(&mix) }, // streams of neighbours must not overlap
        .arena = arena_new(),
        .scratch = arena_new(),
        .commands_arena = arena_new(),
        .now = 1700000000 * USEC_SEC,
        .doing = "",
    };
    sim.commands.arena = sim.commands_arena;
    sim.model.arena = arena_new();
    sim.model.memory = arena_new();
    struct buf text = { 0 };
    generate_flow(&sim.rng, &(struct grammar){ .namespace = "tests" }, &text);
    if (traces)
        (void)printf("%s", buf_text(&text));
    sim.flow = bed_flow(buf_text(&text));
    sim.bed = bed_new(sim.flow, sim.now);
    sim.execution = sim.bed->execution;
    live(&sim);
    bool failed = sim.has_failed;
    if (failed && !traces)
        (void)fprintf(stderr, "%s\n", buf_text(&text));
    buf_free(&text);
    clear_rows(&sim);
    sim.bed->execution = NULL;
    execution_free(sim.execution);
    bed_free(sim.bed);
    VEC_FREE(&sim.rows);
    VEC_FREE(&sim.jobs);
    VEC_FREE(&sim.children);
    VEC_FREE(&sim.echoes);
    VEC_FREE(&sim.questions);
    VEC_FREE(&sim.timers);
    buf_free(&sim.header);
    arena_free(sim.model.arena);
    arena_free(sim.model.memory);
    arena_free(sim.arena);
    arena_free(sim.scratch);
    arena_free(sim.commands_arena);
    return !failed;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    unsigned long runs = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
    traces = str_eq(getenv("TRACE"), "1");
    if (seed == 0)
        seed = rng_seed() % 1000000000;
    unsigned long failed = 0;
    for (unsigned long i = 0; i < runs && failed < 1; i++) {
        if (traces)
            (void)printf("seed %llu\n", (unsigned long long)(seed + i));
        failed += simulate(seed + i) ? 0 : 1;
    }
    if (failed == 0)
        (void)printf("%lu runs from seed %llu, nothing wrong\n%lu passed, 0 failed\n", runs,
                     (unsigned long long)seed, runs);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
