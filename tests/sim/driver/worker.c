/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that remembers what it did: answers that come, come twice or never, and lost jobs. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "core/plugin.h"
#include "core/value.h"
#include "tests/sim/driver/world.h"

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

/* ---- orders ---- */

/* A task run has one attempt at a time; the next is ordered when the one before has ended. */
static void check_single(struct sim *sim, const struct order *order)
{
    for (size_t i = 0; i < sim->jobs.count; i++) {
        const struct job *job = &sim->jobs.items[i];
        bool runs = job->type != ORDER_EVALUATE && job->order != NULL; // else only an answer
        if (order->phase != NULL)
            continue; // opened again after a crash, while the first answer is still welcome
        if (!runs || !str_eq(job->run_id, order->run_id) || job->attempt == order->attempt)
            continue;
        sim_fail(sim, "attempt %u of %s (%s) was ordered while attempt %u is under way",
                 order->attempt, order->task_id, order->run_id, job->attempt);
    }
}

static struct deed *record(deed_vec *deeds, const struct job *job, enum state state)
{
    struct deed *deed = VEC_PUSH(deeds);
    sim_copy_id(deed->execution_id, job->execution_id);
    sim_copy_id(deed->run_id, job->run_id);
    deed->attempt = job->attempt;
    deed->state = state;
    return deed;
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
    (void)record(&sim->begun, job, STATE_RUNNING);
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
    struct job *job = VEC_PUSH(&sim->jobs);
    job->order = order;
    job->type = order->type;
    job->attempt = order->attempt;
    sim_copy_id(job->execution_id, order->execution_id);
    sim_copy_id(job->run_id, order->run_id);
    job->is_silent = sim->plant == PLANT_WORKER_SILENT && sim_chance(sim, 10);
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
        sim_copy_id(job->execution_id, execution_id);
        sim_copy_id(job->run_id, run_id);
    }
    job->is_cancelled = true;
}

static bool has(void *data, const char *execution_id, const char *run_id, uint32_t attempt)
{
    (void)execution_id; // run ids are unique
    return job_of(data, run_id, attempt) != NULL;
}

struct worker_iface sim_worker(struct sim *sim)
{
    return (struct worker_iface){ .data = sim, .submit = submit, .cancel = cancel, .has = has };
}

void sim_lose_jobs(struct sim *sim, bool all)
{
    for (size_t i = sim->jobs.count; i > 0; i--) {
        const struct job *job = &sim->jobs.items[i - 1];
        if (all || job->type == ORDER_EVALUATE || job->order == NULL)
            job_drop(sim, i - 1);
    }
}

/* ---- answers ---- */

bool sim_was_done(const struct sim *sim, const char *run_id, uint32_t attempt)
{
    for (size_t i = 0; i < sim->done.count; i++) {
        const struct deed *deed = &sim->done.items[i];
        if (deed->attempt == attempt && strcmp(deed->run_id, run_id) == 0 &&
            (deed->state == STATE_SUCCESS || deed->state == STATE_WARNING))
            return true;
    }
    return false;
}

static const struct value *outputs_of(struct sim *sim, const struct deed *deed)
{
    struct value_builder out = value_build(sim->scratch);
    value_put_text(&out, "doneBy", deed->run_id);
    value_put_int(&out, "attempt", deed->attempt);
    value_put_text(&out, "splits", "kestra:///splits");
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
        (void)record(&sim->done, &job, state);
    answer(sim, record(&sim->answered, &job, state));
    job_drop(sim, at);
}

static const struct value *value_for(struct sim *sim, const char *function)
{
    if (strcmp(function, "read") == 0) // the batches of a ForEachItem
        return value_string(sim->scratch,
                            sim_chance(sim, 20) ? "" : "kestra:///b0\nkestra:///b1\n");
    if (strcmp(function, "cache") == 0)
        return sim_chance(sim, 70) ? &value_null
                                   : value_with(sim->scratch, NULL, "outputs",
                                                value_with(sim->scratch, NULL, "n", &value_true));
    if (strcmp(function, "kv") == 0)
        return value_bool(sim->is_calm || sim_chance(sim, 60));
    return value_string(sim->scratch, "answer");
}

static void evaluate(struct sim *sim, size_t at)
{
    struct worker_answers answers = driver_worker_answers(sim->driver);
    const struct order *order = sim->jobs.items[at].order;
    bool fails = !sim->is_calm && sim_chance(sim, 8);
    struct error err = { 0 };
    (void)error_set(&err, ERR_UNAVAILABLE, "cannot");
    answers.evaluated(answers.data, order->execution_id, order->run_id, order->attempt,
                      order->function, order->props, fails ? NULL : value_for(sim, order->function),
                      &err);
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
    step_job(sim, sim_pick(sim, sim->jobs.count));
    return true;
}

bool sim_work_first(struct sim *sim)
{
    for (size_t i = 0; i < sim->jobs.count; i++) {
        if (!sim->jobs.items[i].is_silent) {
            step_job(sim, i);
            return true;
        }
    }
    return false;
}

void sim_echo(struct sim *sim)
{
    if (sim->answered.count == 0)
        return;
    sim->doing = "late answer";
    struct deed deed = sim->answered.items[sim_pick(sim, sim->answered.count)];
    answer(sim, &deed);
}
