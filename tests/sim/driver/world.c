/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/driver/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/str.h"
#include "core/diag.h"
#include "core/plugin.h"
#include "core/value.h"
#include "tests/sim/driver/flows.h"
#include "tests/support/engine_bed.h"

/* Turns in which the driver has to come to rest. */
#define TURNS_MAX 20000

/* After so much calm time, everything has ended. */
#define CALM_TIME  (48 * 3600 * USEC_SEC)
#define CALM_STEPS 50000

/* 2026-01-01T12:00:00Z */
#define SIM_START ((usec_t)1767268800 * USEC_SEC)

const char *const plant_names[PLANT_COUNT] = {
    [PLANT_NONE] = "nothing",
    [PLANT_STORE_LIES] = "a store that says it has stored and has not",
    [PLANT_STORE_LOSES_RUNS] = "a store that loses the change of a task run",
    [PLANT_STORE_FLIPS] = "a store that writes another state",
    [PLANT_STORE_SLEEPS] = "a store that forgets when to wake an execution",
    [PLANT_WORKER_SILENT] = "a worker that never answers",
    [PLANT_WORKER_LIES] = "a worker that says it has done what it has not",
    [PLANT_DRIVER_DOUBLES] = "an attempt that is ordered while another runs",
    [PLANT_DRIVER_REPEATS] = "an attempt that is ordered again under its number",
};

void sim_fail(struct sim *sim, const char *format, ...)
{
    if (sim->has_failed)
        return;
    sim->has_failed = true;
    va_list args;
    va_start(args, format);
    int length = snprintf(sim->wrong, sizeof(sim->wrong),
                          "seed %llu, step %u (%s): ", (unsigned long long)sim->seed, sim->steps,
                          sim->doing);
    if (length > 0 && (size_t)length < sizeof(sim->wrong))
        (void)vsnprintf(sim->wrong + length, sizeof(sim->wrong) - (size_t)length, format, args);
    va_end(args);
}

void sim_trace(const struct sim *sim, const char *format, ...)
{
    if (!sim->traces)
        return;
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "%4u %6lld s  ", sim->steps,
                  (long long)((sim->now - SIM_START) / USEC_SEC));
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

bool sim_chance(struct sim *sim, unsigned percent)
{
    return rng_below(&sim->rng, 100) < percent;
}

static size_t pick(struct sim *sim, size_t count)
{
    return (size_t)rng_below(&sim->rng, count);
}

static void copy_id(char out[ID_LENGTH + 1], const char *id)
{
    (void)snprintf(out, ID_LENGTH + 1, "%s", id == NULL ? "" : id);
}

/* ---- the worker ---- */

static struct job *job_of(struct sim *sim, const char *run_id, uint32_t attempt)
{
    for (size_t i = 0; i < sim->jobs.count; i++) {
        struct job *job = &sim->jobs.items[i];
        if (job->type != ORDER_EVALUATE && job->attempt == attempt && str_eq(job->run_id, run_id))
            return job;
    }
    return NULL;
}

static void job_drop(struct sim *sim, size_t at)
{
    order_free(sim->jobs.items[at].order);
    memmove(&sim->jobs.items[at], &sim->jobs.items[at + 1],
            (sim->jobs.count - at - 1) * sizeof(struct job));
    sim->jobs.count--;
}

static struct seen *seen_find(struct sim *sim, const char *id)
{
    for (size_t i = 0; i < sim->seen.count; i++) {
        if (strcmp(sim->seen.items[i].id, id) == 0)
            return &sim->seen.items[i];
    }
    return NULL;
}

/* A task run has one attempt at a time; the next is ordered when the one before has ended. */
static void check_single(struct sim *sim, const struct order *order)
{
    for (size_t i = 0; i < sim->jobs.count; i++) {
        const struct job *job = &sim->jobs.items[i];
        bool runs = job->type != ORDER_EVALUATE && job->order != NULL; // else only an answer
        if (!runs || !str_eq(job->run_id, order->run_id) || job->attempt == order->attempt)
            continue;
        sim_fail(sim, "attempt %u of %s (%s) was ordered while attempt %u is under way",
                 order->attempt, order->task_id, order->run_id, job->attempt);
    }
}

static void job_add(struct sim *sim, struct order *order, uint32_t attempt)
{
    struct job *job = VEC_PUSH(&sim->jobs);
    job->order = order;
    job->type = order->type;
    job->attempt = attempt;
    copy_id(job->execution_id, order->execution_id);
    copy_id(job->run_id, order->run_id);
    job->is_silent = sim->plant == PLANT_WORKER_SILENT && sim_chance(sim, 10);
}

static bool submit(void *data, struct order *order)
{
    struct sim *sim = data;
    if (!sim->is_calm && sim_chance(sim, 3))
        return false; // no room
    if (order->type != ORDER_EVALUATE) {
        if (job_of(sim, order->run_id, order->attempt) != NULL) {
            order_free(order);
            return true;
        }
        if (order->type == ORDER_RUN && sim->plant == PLANT_DRIVER_DOUBLES && sim_chance(sim, 10))
            order->attempt++; // as if the one before had been forgotten
        if (order->type == ORDER_RUN && order->phase == NULL && order->attempt > 1 &&
            sim->plant == PLANT_DRIVER_REPEATS && sim_chance(sim, 20))
            order->attempt--; // as if it had not been stored that it was given away
        check_single(sim, order);
    }
    sim_trace(sim, "order %d of %s %s x%u", (int)order->type, order->task_id, order->run_id,
              order->attempt);
    job_add(sim, order, order->attempt);
    return true;
}

static void cancel(void *data, const char *execution_id, const char *run_id, uint32_t attempt)
{
    struct sim *sim = data;
    struct job *job = job_of(sim, run_id, attempt);
    sim_trace(sim, "cancel %s x%u", run_id, attempt);
    if (job == NULL) { // answered all the same
        job = VEC_PUSH(&sim->jobs);
        job->type = ORDER_RUN;
        job->attempt = attempt;
        copy_id(job->execution_id, execution_id);
        copy_id(job->run_id, run_id);
    }
    job->is_cancelled = true;
}

static bool has(void *data, const char *execution_id, const char *run_id, uint32_t attempt)
{
    (void)execution_id; // run ids are unique
    return job_of(data, run_id, attempt) != NULL;
}

static void record(struct sim *sim, bool is_done, const struct job *job, enum state state)
{
    struct deed *deed = is_done ? VEC_PUSH(&sim->done) : VEC_PUSH(&sim->answered);
    copy_id(deed->execution_id, job->execution_id);
    copy_id(deed->run_id, job->run_id);
    deed->attempt = job->attempt;
    deed->state = state;
}

/* No attempt begins twice under one number, whatever crashed in between and whatever was heard. */
static void begin(struct sim *sim, struct job *job)
{
    job->is_started = true;
    for (size_t i = 0; i < sim->begun.count && job->order->phase == NULL; i++) {
        const struct deed *deed = &sim->begun.items[i];
        if (deed->attempt == job->attempt && strcmp(deed->run_id, job->run_id) == 0)
            sim_fail(sim, "attempt %u of %s (%s) began twice", job->attempt, job->order->task_id,
                     job->run_id);
    }
    struct deed *deed = VEC_PUSH(&sim->begun);
    copy_id(deed->execution_id, job->execution_id);
    copy_id(deed->run_id, job->run_id);
    deed->attempt = job->attempt;
}

static const struct value *outputs_of(struct sim *sim, const struct deed *deed)
{
    struct value_builder out = value_build(sim->scratch);
    value_put_text(&out, "doneBy", deed->run_id);
    value_put_int(&out, "attempt", deed->attempt);
    return value_build_map(&out);
}

static void answer(struct sim *sim, const struct deed *deed)
{
    struct worker_answers answers = driver_worker_answers(sim->driver);
    bool has_outputs = deed->state == STATE_SUCCESS || deed->state == STATE_WARNING;
    sim_trace(sim, "%s x%u ends %s", deed->run_id, deed->attempt, states[deed->state].name);
    answers.ended(answers.data, deed->execution_id, deed->run_id, deed->attempt, deed->state,
                  has_outputs ? outputs_of(sim, deed) : NULL,
                  deed->state == STATE_FAILED ? "it failed" : NULL, NULL, NULL, 0, NULL);
}

static enum state outcome(struct sim *sim, const struct job *job)
{
    if (job->order == NULL || (job->is_cancelled && sim_chance(sim, 85)))
        return STATE_KILLED;
    unsigned dice = (unsigned)rng_below(&sim->rng, 100);
    return dice < 65 ? STATE_SUCCESS : dice < 92 ? STATE_FAILED : STATE_WARNING;
}

static void end_job(struct sim *sim, size_t at)
{
    struct job job = sim->jobs.items[at];
    enum state state = outcome(sim, &job);
    bool is_lie = sim->plant == PLANT_WORKER_LIES && sim_chance(sim, 20);
    if (!is_lie)
        record(sim, true, &job, state);
    record(sim, false, &job, state);
    answer(sim, &sim->answered.items[sim->answered.count - 1]);
    job_drop(sim, at);
}

static void evaluate(struct sim *sim, size_t at)
{
    struct worker_answers answers = driver_worker_answers(sim->driver);
    const struct order *order = sim->jobs.items[at].order;
    bool fails = !sim->is_calm && sim_chance(sim, 8);
    struct error err = { 0 };
    (void)error_set(&err, ERR_UNAVAILABLE, "cannot");
    answers.evaluated(answers.data, order->execution_id, order->run_id, order->attempt,
                      order->function, order->props,
                      fails ? NULL : value_bool(sim->is_calm || sim_chance(sim, 60)), &err);
    job_drop(sim, at);
}

/* A remote job: its id becomes known, it is polled, it ends. */
static bool go_on_remotely(struct sim *sim, size_t at)
{
    struct worker_answers answers = driver_worker_answers(sim->driver);
    struct job *job = &sim->jobs.items[at];
    if (job->order == NULL || job->order->plugin->task_kind != TASK_REMOTE || job->is_cancelled ||
        job->type == ORDER_CANCEL || sim_chance(sim, 40))
        return false;
    char id[ID_LENGTH + 16];
    (void)snprintf(id, sizeof(id), "remote-%s", job->run_id);
    answers.remote(answers.data, job->execution_id, job->run_id, job->attempt, id, NULL,
                   sim->now + USEC_SEC, NULL);
    job_drop(sim, at); // the next poll is ordered
    return true;
}

static void step_job(struct sim *sim, size_t at)
{
    struct worker_answers answers = driver_worker_answers(sim->driver);
    struct job *job = &sim->jobs.items[at];
    if (job->is_silent)
        return;
    if (job->type == ORDER_EVALUATE) {
        evaluate(sim, at);
    } else if (job->order != NULL && job->type == ORDER_RUN && !job->is_started) {
        begin(sim, job);
        sim_trace(sim, "%s x%u starts", job->run_id, job->attempt);
        if (sim_chance(sim, 80)) // else the news is late, or never comes: the end says as much
            answers.started(answers.data, job->execution_id, job->run_id, job->attempt, "w1");
    } else if (!sim->is_calm && sim_chance(sim, 4)) {
        sim_trace(sim, "%s x%u is lost", job->run_id, job->attempt);
        job_drop(sim, at); // lost with its worker; the driver finds out
    } else if (!go_on_remotely(sim, at)) {
        if (job->type == ORDER_CANCEL)
            job->is_cancelled = true;
        end_job(sim, at);
    }
}

bool sim_work(struct sim *sim)
{
    if (sim->jobs.count == 0)
        return false;
    sim->doing = "worker";
    step_job(sim, pick(sim, sim->jobs.count));
    return true;
}

/* An answer comes once more, perhaps with another end. */
void sim_echo(struct sim *sim)
{
    if (sim->answered.count == 0)
        return;
    sim->doing = "late answer";
    struct deed deed = sim->answered.items[pick(sim, sim->answered.count)];
    answer(sim, &deed);
}

/* ---- the driver ---- */

static usec_t clock_of(void *data)
{
    return ((struct sim *)data)->now;
}

static void broken(void *data, const struct error *err)
{
    struct sim *sim = data;
    sim->was_broken = true;
    sim_fail(sim, "the store refused a commit: %s", err->text);
}

static void start(struct sim *sim)
{
    struct error err = { 0 };
    struct driver_config config = {
        .store = &sim->store->store,
        .logs = sim->logs,
        .world = &sim->world,
        .plugins = bed_plugins(),
        .worker = { .data = sim, .submit = submit, .cancel = cancel, .has = has },
        .zone = "UTC",
        .now = clock_of,
        .now_data = sim,
        .turn_time = 3600 * USEC_SEC, // the machine's clock decides nothing
        .seed = sim->seed * 1000 + ++sim->starts,
        .parked_after = pick(sim, 3),
        .processes_max = 1 + pick(sim, 3),
        .calls_max = 1 + pick(sim, 3),
        .broken = broken,
        .broken_data = sim,
    };
    sim->driver = driver_new(&config, &err);
    if (sim->driver == NULL)
        sim_fail(sim, "the driver does not start: %s", err.text);
}

void sim_crash(struct sim *sim)
{
    sim->doing = "crash";
    sim_trace(sim, "crash");
    sim->store->is_dead = true; // nothing more is stored by this process
    driver_free(sim->driver);
    bool survive = sim_chance(sim, 30); // the processes of tasks outlive the server
    for (size_t i = sim->jobs.count; i > 0; i--) {
        struct job *job = &sim->jobs.items[i - 1];
        if (!survive || job->type == ORDER_EVALUATE || job->order == NULL)
            job_drop(sim, i - 1);
    }
    sim_store_revive(sim->store);
    start(sim);
}

static struct seen *seen_of(struct sim *sim, const char *id)
{
    struct seen *seen = seen_find(sim, id);
    if (seen != NULL)
        return seen;
    seen = VEC_PUSH(&sim->seen);
    copy_id(seen->id, id);
    return seen;
}

static const struct deed *deed_of(const struct sim *sim, const char *run_id, uint32_t attempt)
{
    for (size_t i = 0; i < sim->done.count; i++) {
        const struct deed *deed = &sim->done.items[i];
        if (deed->attempt == attempt && strcmp(deed->run_id, run_id) == 0 &&
            (deed->state == STATE_SUCCESS || deed->state == STATE_WARNING))
            return deed;
    }
    return NULL;
}

/* What is recorded as done was done. */
static void check_work(struct sim *sim, const struct execution *execution)
{
    for (size_t i = 0; i < execution->runs.count; i++) {
        const struct task_run *run = execution->runs.items[i];
        const char *by = value_get_text(run->outputs, "doneBy", NULL);
        if (by == NULL)
            continue;
        uint32_t attempt = (uint32_t)value_get_int(run->outputs, "attempt", 0);
        if (deed_of(sim, by, attempt) == NULL)
            sim_fail(sim, "%s has outputs of work that was not done", run->task_id);
    }
}

/* For looking into a failure: histories of everything. */
static void keep_tree(struct sim *sim, const struct execution *execution)
{
    struct buf *out = &sim->tree;
    buf_printf(out, "execution %s: ", execution->id.text);
    bed_write_history(&execution->state, out);
    buf_putc(out, '\n');
    for (size_t i = 0; i < execution->runs.count; i++) {
        const struct task_run *run = execution->runs.items[i];
        buf_printf(out, "%4u below %-4u %s %s[%s] x%zu: ", run->seq,
                   run->parent == NULL ? 0 : run->parent->seq, run->id.text, run->task_id,
                   run->value == NULL ? "" : run->value, run->attempts.count);
        bed_write_history(&run->state, out);
        buf_putc(out, '\n');
    }
}

static void check_row(struct sim *sim, const struct execution_row *row)
{
    struct error err = { 0 };
    struct flow *flow = str_eq(row->flow_id, "child") ? sim->child : sim->flow;
    struct execution *execution = execution_row_decode(row, flow, &err);
    if (execution == NULL) {
        sim_fail(sim, "an execution cannot be read: %s", err.text);
        return;
    }
    struct seen *seen = seen_of(sim, row->id.text);
    copy_id(seen->cause, row->cause_id);
    const struct seen *cause = row->cause_id == NULL ? NULL : seen_find(sim, row->cause_id);
    if (cause != NULL && cause->was_changed) { // its parent may restart it
        seen->was_changed = seen->is_lenient = true;
        seen->may_reopen = cause->reopened + cause->may_reopen;
    }
    if (execution->parent_id != NULL)
        seen->was_changed = true; // a replay: its past is that of another
    const char *wrong = check_progress(seen, row, execution, sim->scratch);
    if (wrong == NULL && execution->fully_ended && !seen->was_changed && !seen->was_stopped)
        wrong = check_result(execution, sim->scratch);
    if (wrong != NULL) {
        sim_fail(sim, "%s: %s", row->flow_id, wrong);
        keep_tree(sim, execution);
    }
    check_work(sim, execution);
    execution_free(execution);
}

static void all_rows(struct sim *sim, struct execution_row **rows, size_t *count)
{
    struct error err = { 0 };
    struct query query = { .sort = FIELD_CREATED, .limit = 100000 };
    if (!sim->reader->ops->execution_search(sim->reader, sim->scratch, &query, true, rows, count,
                                            NULL, &err))
        sim_fail(sim, "executions cannot be read: %s", err.text);
}

static bool holds(const struct execution_row *rows, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].id.text, id) == 0)
            return true;
    }
    return false;
}

/* Looks at the answers of requests that have come. */
static void take_answers(struct sim *sim)
{
    for (size_t i = 0; i < sim->wishes.count; i++) {
        struct wish *wish = sim->wishes.items[i];
        if (!wish->is_done || wish->is_seen)
            continue;
        wish->is_seen = true;
        if (wish->request.type == REQUEST_CREATE && wish->request.ok)
            copy_id(VEC_PUSH(&sim->acknowledged)->id, wish->execution_id);
        struct seen *seen = wish->reopens ? seen_find(sim, wish->execution_id) : NULL;
        bool is_stored_later = !wish->request.ok && wish->request.error.code == ERR_UNAVAILABLE;
        if (seen != NULL && !is_stored_later)
            seen->wishes--;
    }
}

/* After every commit: everything that is stored. */
static void check_all(struct sim *sim)
{
    take_answers(sim);
    if (sim->has_failed || sim->checked == sim->store->calls)
        return;
    sim->checked = sim->store->calls;
    arena_reset(sim->scratch);
    struct execution_row *rows = NULL;
    size_t count = 0;
    all_rows(sim, &rows, &count);
    for (size_t i = 0; i < count && !sim->has_failed; i++)
        check_row(sim, &rows[i]);
    for (size_t i = 0; i < sim->seen.count; i++) {
        struct seen *seen = &sim->seen.items[i];
        seen->is_lenient = seen->is_lenient && seen->wishes > 0;
        if (!holds(rows, count, sim->seen.items[i].id))
            sim_fail(sim, "execution %s was stored and is gone", sim->seen.items[i].id);
    }
    for (size_t i = 0; i < sim->acknowledged.count; i++) {
        if (!holds(rows, count, sim->acknowledged.items[i].id))
            sim_fail(sim, "execution %s was acknowledged and is not stored",
                     sim->acknowledged.items[i].id);
    }
}

void sim_settle(struct sim *sim)
{
    int turns = 0;
    while (!sim->has_failed) {
        bool did = driver_turn(sim->driver);
        if (sim->store->is_dead)
            sim_crash(sim);
        check_all(sim);
        usec_t next = driver_next(sim->driver);
        if (!did && next > sim->now)
            return;
        if (!did && next <= sim->now && turns > 100)
            sim->now += USEC_MSEC; // the worker has no room: it is offered the orders again
        if (++turns > TURNS_MAX)
            sim_fail(sim, "the driver does not come to rest");
    }
}

void sim_pass(struct sim *sim, usec_t at_most)
{
    sim->doing = "timer";
    usec_t next = driver_next(sim->driver);
    usec_t end = sim->now + at_most;
    sim->now = next > end ? end : next > sim->now ? next : sim->now + 1;
    sim_trace(sim, "time passes");
}

/* ---- people ---- */

static void wish_done(struct driver_request *request)
{
    ((struct wish *)request->data)->is_done = true;
}

static struct wish *wish_new(struct sim *sim, enum request_type type)
{
    struct wish *wish = check_calloc(1, sizeof(*wish));
    wish->arena = arena_new();
    wish->request.type = type;
    wish->request.arena = wish->arena;
    wish->request.done = wish_done;
    wish->request.data = wish;
    wish->driver = sim->starts;
    *VEC_PUSH(&sim->wishes) = wish;
    return wish;
}

static void submit_wish(struct sim *sim, struct wish *wish)
{
    if (!driver_submit(sim->driver, &wish->request))
        wish->is_done = true; // refused at the door
}

void sim_create(struct sim *sim)
{
    sim->doing = "create";
    struct wish *wish = wish_new(sim, REQUEST_CREATE);
    struct id id = id_derive("simulation", &sim->ids, sizeof(sim->ids));
    sim->ids++;
    sim_trace(sim, "create %s", id.text);
    copy_id(wish->execution_id, id.text);
    struct id *kept = ARENA_NEW(wish->arena, struct id);
    *kept = id;
    wish->request.create.id = kept;
    wish->request.create.namespace = "company.team";
    wish->request.create.flow_id = "flow";
    submit_wish(sim, wish);
}

static void operate(struct sim *sim, struct seen *seen, struct operate_request operate)
{
    struct wish *wish = wish_new(sim, REQUEST_OPERATE);
    copy_id(wish->execution_id, seen->id);
    sim_trace(sim, "operation %d %d on %s", (int)operate.operation, (int)operate.event.type,
              seen->id);
    wish->reopens = operate.operation == OPERATE_RESTART ||
                    (operate.operation == OPERATE_EVENT && operate.event.type == EVENT_CHANGE_RUN);
    wish->request.operate = operate;
    wish->request.operate.execution_id = arena_strdup(wish->arena, seen->id);
    wish->request.operate.event.run_id = arena_strdup(wish->arena, operate.event.run_id);
    wish->request.operate.run_id = arena_strdup(wish->arena, operate.run_id);
    submit_wish(sim, wish);
}

/* From here on the execution may leave its end, once. */
static void reopen(struct seen *seen)
{
    seen->wishes++;
    seen->is_lenient = true;
    seen->was_changed = true;
    seen->reopened++;
}

/* Some task run of an execution, by what is stored; NULL none. */
static const char *any_run(struct sim *sim, const struct seen *seen)
{
    struct execution_row row;
    struct error err = { 0 };
    const char *id = NULL;
    if (!sim->reader->ops->execution_get(sim->reader, sim->scratch, seen->id, &row, &err))
        return NULL;
    struct execution *execution = execution_row_decode(&row, NULL, &err);
    if (execution != NULL && execution->runs.count > 0)
        id = arena_strdup(sim->scratch,
                          execution->runs.items[pick(sim, execution->runs.count)]->id.text);
    execution_free(execution);
    return id;
}

void sim_operate(struct sim *sim)
{
    if (sim->seen.count == 0)
        return;
    sim->doing = "operation";
    struct seen *seen = &sim->seen.items[pick(sim, sim->seen.count)];
    switch (pick(sim, 9)) {
    case 0:
        if (!sim_chance(sim, 40))
            return;
        seen->was_stopped = true;
        for (size_t i = 0; i < sim->seen.count; i++) // children are killed too
            sim->seen.items[i].was_stopped = true;
        operate(sim, seen,
                (struct operate_request){ .operation = OPERATE_KILL,
                                          .is_cascade = sim_chance(sim, 70) });
        return;
    case 1:
        operate(sim, seen, (struct operate_request){ .event = { .type = EVENT_PAUSE } });
        return;
    case 2:
    case 3:
        operate(sim, seen, (struct operate_request){ .event = { .type = EVENT_RESUME } });
        return;
    case 4:
    case 5:
        reopen(seen);
        operate(sim, seen, (struct operate_request){ .operation = OPERATE_RESTART });
        return;
    case 6: {
        static const enum state to[] = { STATE_SUCCESS, STATE_FAILED, STATE_WARNING };
        struct event event = { .type = EVENT_CHANGE_RUN, .run_id = any_run(sim, seen) };
        event.state = to[pick(sim, COUNT_OF(to))];
        if (event.run_id == NULL)
            return;
        reopen(seen);
        operate(sim, seen, (struct operate_request){ .event = event });
        return;
    }
    case 7: {
        if (sim->seen.count > 12)
            return;
        const char *run_id = sim_chance(sim, 50) ? NULL : any_run(sim, seen);
        operate(sim, seen,
                (struct operate_request){ .operation = OPERATE_REPLAY, .run_id = run_id });
        return;
    }
    default:
        operate(sim, seen, (struct operate_request){ .operation = OPERATE_FORCE_RUN });
        return;
    }
}

/* ---- the end ---- */

/* People resume what waits for them. Returns whether anything is open. */
static bool nudge(struct sim *sim)
{
    bool is_open = false;
    for (size_t i = 0; i < sim->seen.count; i++) {
        struct seen *seen = &sim->seen.items[i];
        is_open = is_open || !seen->fully_ended;
        if (seen->state == STATE_PAUSED)
            operate(sim, seen, (struct operate_request){ .event = { .type = EVENT_RESUME } });
    }
    return is_open;
}

static void name_the_stuck(struct sim *sim)
{
    struct execution_row *rows = NULL;
    size_t count = 0;
    all_rows(sim, &rows, &count);
    for (size_t i = 0; i < count; i++) {
        struct execution *execution = execution_row_decode(&rows[i], NULL, NULL);
        if (execution == NULL)
            continue;
        buf_printf(&sim->tree,
                   "key %lld %s%s%s, live %d, wakes in %lld s: ", (long long)rows[i].key,
                   rows[i].flow_id, execution->fully_ended ? "" : ", open",
                   execution->holds_slot ? ", holds a slot" : "", (int)rows[i].live,
                   (long long)(rows[i].wake_at - sim->now) / USEC_SEC);
        keep_tree(sim, execution);
        execution_free(execution);
    }
    for (size_t i = 0; i < sim->seen.count; i++) {
        const struct seen *seen = &sim->seen.items[i];
        if (!seen->fully_ended)
            sim_fail(sim, "execution %s is stuck in %s", seen->id, states[seen->state].name);
    }
}

static bool steps_any(struct sim *sim)
{
    for (size_t i = 0; i < sim->jobs.count; i++) {
        if (!sim->jobs.items[i].is_silent) {
            step_job(sim, i);
            return true;
        }
    }
    return false;
}

void sim_calm(struct sim *sim)
{
    sim->is_calm = true;
    if (!sim->keeps_faults)
        sim->store->faults = (struct store_faults){ 0 };
    usec_t end = sim->now + CALM_TIME;
    unsigned steps = 0;
    usec_t nudged = 0;
    while (!sim->has_failed) {
        sim_settle(sim);
        sim->steps++;
        sim->doing = "calm";
        if (sim->now > end || ++steps > CALM_STEPS) {
            name_the_stuck(sim);
            return;
        }
        if (steps_any(sim))
            continue;
        if (sim->now >= nudged + 60 * USEC_SEC) {
            nudged = sim->now;
            if (!nudge(sim))
                return;
            continue;
        }
        sim_pass(sim, 3600 * USEC_SEC);
    }
}

/* ---- life ---- */

static struct flow *deploy(struct sim *sim, const struct buf *source)
{
    struct diag_list findings = diag_list_new(sim->arena, "flow");
    struct buf text = { 0 };
    buf_puts(&text, "namespace: company.team\n");
    bed_write_types(&text, buf_text(source));
    struct flow *flow = flow_parse(bed_plugins(), buf_text(&text), text.length, NULL, &findings);
    if (flow == NULL) {
        struct buf shown = { 0 };
        for (size_t i = 0; i < findings.all.count; i++)
            diag_render(&shown, &findings.all.items[i], buf_text(&text), false);
        sim_fail(sim, "the flow is not valid:\n%s", buf_text(&shown));
        buf_free(&shown);
        buf_free(&text);
        return NULL;
    }
    struct wish *wish = wish_new(sim, REQUEST_CHANGE);
    struct flow_change *change = ARENA_NEW(wish->arena, struct flow_change);
    flow_change_fill(wish->arena, flow, "UTC", change);
    change->source = arena_strdup(wish->arena, buf_text(&text));
    wish->request.change.flows = change;
    wish->request.change.flows_count = 1;
    buf_free(&text);
    submit_wish(sim, wish);
    sim_settle(sim);
    if (!sim->has_failed && !wish->request.ok)
        sim_fail(sim, "the flow was refused: %s", wish->request.error.text);
    flow->revision = 1;
    return flow;
}

static const struct value *decrypt(void *data, struct arena *arena, const struct value *stored)
{
    (void)data;
    (void)arena;
    return stored;
}

void sim_open(struct sim *sim, uint64_t seed, enum plant plant, struct store_faults faults)
{
    struct error err = { 0 };
    struct rng mix = { .state = seed };
    *sim = (struct sim){
        .seed = seed,
        .rng = { .state = rng_next(&mix) }, // streams of neighbours must not overlap
        .plant = plant,
        .arena = arena_new(),
        .scratch = arena_new(),
        .store = sim_store_new(seed ^ 0x5bd1e995U),
        .now = SIM_START,
        .traces = str_eq(getenv("TRACE"), "1"),
        .doing = "start",
    };
    sim->world = (struct engine_world){
        .plugins = bed_plugins(),
        .envs = &value_empty_map,
        .globals = &value_empty_map,
        .kestra = &value_empty_map,
        .zone = "UTC",
        .work_root = "/work-root",
        .decrypt = decrypt,
    };
    sim->logs = logstore_new(&(struct logstore_options){ 0 }, &err);
    sim->reader = store_reader_open(&sim->store->store, &err);
    start(sim);
    struct buf child = { 0 };
    flows_write(&sim->rng, &sim->text);
    flows_write_child(&sim->rng, &child);
    sim->child = deploy(sim, &child);
    sim->flow = sim->has_failed ? NULL : deploy(sim, &sim->text);
    buf_free(&child);
    static const enum store_plant plants[PLANT_COUNT] = {
        [PLANT_STORE_LIES] = STORE_LIES,
        [PLANT_STORE_LOSES_RUNS] = STORE_LOSES_RUNS,
        [PLANT_STORE_FLIPS] = STORE_FLIPS,
        [PLANT_STORE_SLEEPS] = STORE_SLEEPS,
    };
    sim->store->plant = plants[plant];
    sim->store->faults = faults; // counted from here on
    sim->store->calls = sim->checked = 0;
}

void sim_close(struct sim *sim)
{
    sim->store->is_dead = true;
    driver_free(sim->driver);
    store_reader_free(sim->reader);
    while (sim->jobs.count > 0)
        job_drop(sim, 0);
    for (size_t i = 0; i < sim->wishes.count; i++) {
        arena_free(sim->wishes.items[i]->arena);
        free(sim->wishes.items[i]);
    }
    for (size_t i = 0; i < sim->seen.count; i++)
        VEC_FREE(&sim->seen.items[i].runs);
    VEC_FREE(&sim->jobs);
    VEC_FREE(&sim->begun);
    VEC_FREE(&sim->done);
    VEC_FREE(&sim->answered);
    VEC_FREE(&sim->wishes);
    VEC_FREE(&sim->seen);
    VEC_FREE(&sim->acknowledged);
    flow_unref(sim->flow);
    flow_unref(sim->child);
    sim_store_free(sim->store);
    logstore_free(sim->logs);
    buf_free(&sim->text);
    buf_free(&sim->tree);
    arena_free(sim->arena);
    arena_free(sim->scratch);
}
