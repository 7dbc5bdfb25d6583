/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/driver/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/map.h"
#include "base/str.h"
#include "core/diag.h"
#include "core/value.h"
#include "tests/sim/generate.h"
#include "tests/sim/judge.h"
#include "tests/support/engine_bed.h"

#define NAMESPACE "company.team"

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

/* Runs by schedule, by webhook, and after each success of `flow`. */
static const char watcher[] = "tasks:\n"
                              "  - {id: w, type: Work}\n"
                              "triggers:\n"
                              "  - id: clock\n"
                              "    type: io.kestra.plugin.core.trigger.Schedule\n"
                              "    cron: \"*/5 * * * *\"\n"
                              "  - id: hook\n"
                              "    type: io.kestra.plugin.core.trigger.Webhook\n"
                              "    key: abcdefghijklmnopqrstuvwxyz\n"
                              "  - id: news\n"
                              "    type: io.kestra.plugin.core.trigger.Flow\n"
                              "    states: [SUCCESS, WARNING]\n"
                              "    preconditions:\n"
                              "      id: all\n"
                              "      flows: [{namespace: " NAMESPACE ", flowId: flow}]\n";

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

size_t sim_pick(struct sim *sim, size_t count)
{
    return (size_t)rng_below(&sim->rng, count);
}

void sim_copy_id(char out[ID_LENGTH + 1], const char *id)
{
    (void)snprintf(out, ID_LENGTH + 1, "%s", id == NULL ? "" : id);
}

/* ---- what is stored ---- */

struct seen *sim_seen(struct sim *sim, const char *id)
{
    for (size_t i = 0; i < sim->seen.count; i++) {
        if (strcmp(sim->seen.items[i].id, id) == 0)
            return &sim->seen.items[i];
    }
    return NULL;
}

static struct seen *seen_of(struct sim *sim, const char *id)
{
    struct seen *seen = sim_seen(sim, id);
    if (seen != NULL)
        return seen;
    seen = VEC_PUSH(&sim->seen);
    sim_copy_id(seen->id, id);
    return seen;
}

void sim_rows(struct sim *sim, struct execution_row **rows, size_t *count)
{
    struct error err = { 0 };
    struct query query = { .sort = FIELD_CREATED, .limit = 100000 };
    if (!sim->reader->ops->execution_search(sim->reader, sim->scratch, &query, true, rows, count,
                                            NULL, &err))
        sim_fail(sim, "executions cannot be read: %s", err.text);
}

struct flow *sim_flow(struct sim *sim, const char *id, int64_t number)
{
    for (size_t i = 0; i < sim->revisions.count; i++) {
        const struct revision *revision = &sim->revisions.items[i];
        if (revision->number == number && str_eq(revision->id, id))
            return revision->flow;
    }
    struct flow_row row;
    struct error err = { 0 };
    if (!sim->reader->ops->flow_get(sim->reader, sim->scratch, NAMESPACE, id, number, true, &row,
                                    &err))
        return NULL;
    struct diag_list findings = diag_list_new(sim->scratch, "flow");
    struct flow *flow = flow_parse(bed_plugins(), row.source, row.source_length, NULL, &findings);
    CHECK(flow != NULL);
    flow->revision = number;
    struct revision *revision = VEC_PUSH(&sim->revisions);
    (void)snprintf(revision->id, sizeof(revision->id), "%s", id);
    revision->number = number;
    revision->flow = flow;
    return flow;
}

/* For looking into a failure: histories of everything. */
static void keep_tree(struct sim *sim, const struct execution *execution)
{
    struct buf *out = &sim->tree;
    buf_printf(out, "execution %s of %s: ", execution->id.text, execution->flow_id);
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
        .worker = sim_worker(sim),
        .zone = "UTC",
        .now = clock_of,
        .now_data = sim,
        .turn_time = 3600 * USEC_SEC, // the machine's clock decides nothing
        .seed = sim->seed * 1000 + ++sim->starts,
        .parked_after = sim_pick(sim, 3),
        .processes_max = 1 + sim_pick(sim, 3),
        .calls_max = 1 + sim_pick(sim, 3),
        .broken = broken,
        .broken_data = sim,
    };
    sim->reader = store_reader_open(&sim->store->store, &err);
    CHECK(sim->reader != NULL);
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
    store_reader_free(sim->reader);
    sim_lose_jobs(sim, !sim_chance(sim, 30)); // else the processes of tasks outlive the server
    sim_store_revive(sim->store);
    start(sim);
}

/* ---- what must hold after every commit ---- */

/* What is recorded as done was done. */
static void check_work(struct sim *sim, const struct execution *execution)
{
    for (size_t i = 0; i < execution->runs.count; i++) {
        const struct task_run *run = execution->runs.items[i];
        const char *by = value_get_text(run->outputs, "doneBy", NULL);
        uint32_t attempt = (uint32_t)value_get_int(run->outputs, "attempt", 0);
        if (by != NULL && !sim_was_done(sim, by, attempt))
            sim_fail(sim, "%s has outputs of work that was not done", run->task_id);
    }
}

struct called {
    struct sim *sim;
    const struct execution_row *rows;
    size_t count;
};

/* Replayed by a person: nobody waits for it, though it says who called. */
static bool is_repetition(const struct called *called, const struct execution *child)
{
    if (child->parent_id == NULL)
        return false;
    for (size_t i = 0; i < called->count; i++) {
        if (str_eq(called->rows[i].id.text, child->parent_id))
            return called->rows[i].state != STATE_RETRIED;
    }
    return true;
}

/* Executions that the last attempt of a task run called; those replaced by a retry count not. */
static size_t children_of(void *data, const struct task_run *run, enum state *found, size_t max)
{
    const struct called *called = data;
    size_t count = 0;
    usec_t since = run->attempts.items[run->attempts.count - 1].started_at;
    for (size_t i = 0; i < called->count && count < max; i++) {
        const struct execution_row *row = &called->rows[i];
        struct error err = { 0 };
        if (row->cause_id == NULL || row->created_at < since)
            continue;
        struct execution *child = execution_row_decode(row, NULL, &err);
        bool is_mine =
            child != NULL &&
            str_eq(value_get_text(child->trigger_variables, "taskRunId", NULL), run->id.text);
        is_mine = is_mine && !is_repetition(called, child);
        if (is_mine && row->state != STATE_RETRIED)
            found[count++] = row->state;
        const struct seen *seen = sim_seen(called->sim, row->id.text);
        bool is_doubtful = is_mine && (seen == NULL || seen->was_changed);
        execution_free(child);
        if (is_doubtful)
            return 0; // it ended otherwise when its parent was told
    }
    return count;
}

static bool any_may_vanish(const struct sim *sim)
{
    for (size_t i = 0; i < sim->seen.count; i++) {
        if (sim->seen.items[i].may_vanish)
            return true;
    }
    return false;
}

/* TRACE=1: what is stored of an execution, in a line. */
static void trace_states(const struct sim *sim, const struct execution *execution)
{
    struct buf line = { 0 };
    for (size_t i = 0; sim->traces && i < execution->runs.count; i++)
        buf_printf(&line, " %s:%s", execution->runs.items[i]->task_id,
                   states[execution->runs.items[i]->state.current].name);
    if (sim->traces && !execution->fully_ended)
        sim_trace(sim, "    %s %s%s%s", execution->id.text, states[execution->state.current].name,
                  execution->holds_slot ? " (slot)" : "", buf_text(&line));
    buf_free(&line);
}

static void check_row(struct sim *sim, const struct called *all, const struct execution_row *row)
{
    struct error err = { 0 };
    struct flow *flow = sim_flow(sim, row->flow_id, row->revision);
    struct execution *execution = execution_row_decode(row, flow, &err);
    if (execution == NULL) {
        sim_fail(sim, "an execution cannot be read: %s", err.text);
        return;
    }
    struct seen *seen = seen_of(sim, row->id.text);
    bool had_ended = seen->fully_ended;
    sim_copy_id(seen->cause, row->cause_id);
    const struct seen *cause = row->cause_id == NULL ? NULL : sim_seen(sim, row->cause_id);
    if (cause != NULL && cause->was_changed) { // its parent may restart it
        seen->was_changed = seen->is_lenient = true;
        seen->may_reopen = cause->reopened + cause->may_reopen;
    }
    // a replay from a task run has the past of another; a retry as a new execution has none
    if (execution->parent_id != NULL && state_last_at(&execution->state, STATE_RESTARTED) != 0)
        seen->was_changed = true;
    trace_states(sim, execution);
    const char *wrong = check_progress(seen, row, execution, sim->scratch);
    if (wrong == NULL && execution->fully_ended && !had_ended) {
        struct judge judge = {
            .arena = sim->scratch,
            .execution = execution,
            .children = any_may_vanish(sim) ? NULL : children_of,
            .data = (void *)(uintptr_t)all,
            .was_changed = seen->was_changed,
        };
        wrong = judge_ended(&judge);
    }
    if (wrong != NULL) {
        sim_fail(sim, "%s: %s", row->flow_id, wrong);
        keep_tree(sim, execution);
    }
    check_work(sim, execution);
    execution_free(execution);
}

/* By the limit, when it was to begin again. */
static bool was_refused(const struct execution *execution)
{
    size_t count = execution->state.history.count;
    enum state before = count < 2 ? STATE_COUNT : execution->state.history.items[count - 2].state;
    return judge_is_over(execution->state.current) &&
           (before == STATE_RESTARTED || before == STATE_QUEUED || before == STATE_CREATED);
}

/* 1.8: of a flow with a limit, so many are admitted and not over at most. */
static void check_limit(struct sim *sim, const struct execution_row *rows, size_t count)
{
    int64_t admitted = 0;
    for (size_t i = 0; i < count; i++) {
        const struct execution_row *row = &rows[i];
        bool waits = row->state == STATE_CREATED || row->state == STATE_QUEUED;
        struct execution *execution = execution_row_decode(row, NULL, NULL);
        if (execution == NULL)
            continue;
        bool counts = str_eq(row->flow_id, "flow") && execution->kind != KIND_LOOP &&
                      row->live != LIVE_ENDED && !waits && !execution->fully_ended &&
                      row->state != STATE_RESTARTED && !was_refused(execution);
        const struct seen *seen = sim_seen(sim, row->id.text);
        // a task run that is changed to CANCELLED after the end has what follows run once more
        if (seen != NULL && seen->was_changed && judge_is_over(row->state))
            counts = false;
        admitted += counts ? 1 : 0;
        execution_free(execution);
    }
    if (sim->limit > 0 && !sim->limit_is_loose && admitted > sim->limit)
        sim_fail(sim, "%lld executions are under way, %lld at most", (long long)admitted,
                 (long long)sim->limit);
}

/* A trigger fires once for a date, and once for an execution that it watches. */
static void check_fires(struct sim *sim, const struct execution_row *rows, size_t count)
{
    struct map fires = { 0 };
    for (size_t i = 0; i < count; i++) {
        struct execution *execution = execution_row_decode(&rows[i], NULL, NULL);
        if (execution == NULL)
            continue;
        const char *trigger = execution->trigger_id;
        bool is_clock = str_eq(trigger, "clock");
        const char *what =
            value_get_text(execution->trigger_variables, is_clock ? "date" : "executionId", NULL);
        bool is_first = execution->parent_id == NULL; // a replay has the trigger of its source
        const struct seen *watched = is_clock || what == NULL ? NULL : sim_seen(sim, what);
        if (watched != NULL && watched->was_changed)
            what = NULL; // it may have ended more than once
        if (what != NULL && is_first && (is_clock || str_eq(trigger, "news"))) {
            char *key = arena_printf(sim->scratch, "%s %s", trigger, what);
            bool is_backfill = value_get(execution->trigger_variables, "backfill") != NULL;
            if (!is_backfill && map_put(&fires, key, key) != NULL)
                sim_fail(sim, "trigger '%s' fired twice for %s", trigger, what);
        }
        execution_free(execution);
    }
    map_free(&fires);
}

static bool holds(const struct execution_row *rows, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].id.text, id) == 0)
            return true;
    }
    return false;
}

static void check_presence(struct sim *sim, const struct execution_row *rows, size_t count)
{
    for (size_t i = 0; i < sim->seen.count; i++) {
        struct seen *seen = &sim->seen.items[i];
        bool is_there = holds(rows, count, seen->id);
        seen->is_lenient = seen->is_lenient && seen->wishes > 0;
        if (is_there && (seen->is_gone || seen->has_vanished))
            sim_fail(sim, "execution %s was deleted and is stored", seen->id);
        if (!is_there && !seen->may_vanish)
            sim_fail(sim, "execution %s was stored and is gone", seen->id);
        seen->has_vanished = !is_there;
    }
    for (size_t i = 0; i < sim->acknowledged.count; i++) {
        const char *id = sim->acknowledged.items[i].id;
        const struct seen *seen = sim_seen(sim, id);
        if (!holds(rows, count, id) && (seen == NULL || !seen->may_vanish))
            sim_fail(sim, "execution %s was acknowledged and is not stored", id);
    }
}

static void check_all(struct sim *sim)
{
    sim_take_answers(sim);
    if (sim->has_failed || sim->checked == sim->store->calls)
        return;
    sim->checked = sim->store->calls;
    arena_reset(sim->scratch);
    struct called all = { .sim = sim };
    struct execution_row *rows = NULL;
    sim_rows(sim, &rows, &all.count);
    all.rows = rows;
    for (size_t i = 0; i < all.count && !sim->has_failed; i++)
        check_row(sim, &all, &rows[i]);
    check_presence(sim, rows, all.count);
    check_limit(sim, rows, all.count);
    check_fires(sim, rows, all.count);
}

void sim_settle(struct sim *sim)
{
    int turns = 0;
    while (!sim->has_failed) {
        bool did = driver_turn(sim->driver);
        if (sim->store->is_dead)
            sim_crash(sim);
        check_all(sim);
        if (sim->has_failed)
            return;
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

/* ---- the end ---- */

static void name_the_stuck(struct sim *sim)
{
    struct execution_row *rows = NULL;
    size_t count = 0;
    sim_rows(sim, &rows, &count);
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
        if (!seen->fully_ended && !seen->has_vanished)
            sim_fail(sim, "execution %s is stuck in %s", seen->id, states[seen->state].name);
    }
}

static void calm_down(struct sim *sim)
{
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
        if (sim_work_first(sim))
            continue;
        if (sim->now >= nudged + 60 * USEC_SEC) {
            nudged = sim->now;
            if (!sim_nudge(sim))
                return;
            continue;
        }
        sim_pass(sim, 3600 * USEC_SEC);
    }
}

/* Nothing is under way, so that one more finds room: no slot was leaked. */
static void probe(struct sim *sim)
{
    struct wish *wish = sim_save(sim, "flow",
                                 "concurrency: {limit: 1, behavior: CANCEL}\n"
                                 "tasks:\n"
                                 "  - {id: t, type: Log, message: x}\n");
    sim_settle(sim);
    if (sim->has_failed || !wish->request.ok)
        return;
    size_t before = sim->acknowledged.count;
    while (!sim->has_failed && sim->acknowledged.count == before) {
        sim_create_plain(sim);
        sim_settle(sim);
    }
    const struct seen *seen =
        sim->has_failed ? NULL : sim_seen(sim, sim->acknowledged.items[before].id);
    if (seen != NULL && seen->state != STATE_SUCCESS)
        sim_fail(sim, "nothing is under way, and execution %s is %s: a slot was leaked", seen->id,
                 states[seen->state].name);
    if (!sim->has_failed)
        calm_down(sim); // what watches it
}

void sim_calm(struct sim *sim)
{
    sim->is_calm = true;
    if (!sim->keeps_faults)
        sim->store->faults = (struct store_faults){ 0 };
    sim_settle(sim);
    if (sim->has_failed)
        return;
    sim_stop_clock(sim);
    calm_down(sim);
    if (!sim->has_failed && !sim->keeps_faults)
        probe(sim);
}

/* ---- life ---- */

static void deploy(struct sim *sim, const char *id, const char *source)
{
    if (sim->has_failed)
        return;
    struct wish *wish = sim_save(sim, id, source);
    sim_settle(sim);
    if (!sim->has_failed && !wish->request.ok)
        sim_fail(sim, "the flow was refused: %s", wish->request.error.text);
}

static const struct value *decrypt(void *data, struct arena *arena, const struct value *stored)
{
    (void)data;
    (void)arena;
    return stored;
}

static void open_store(struct sim *sim, bool in_database)
{
    const char *path = NULL;
    if (in_database) {
        const char *above = getenv("TMPDIR");
        (void)snprintf(sim->folder, sizeof(sim->folder), "%s/weir-sim-XXXXXX",
                       above == NULL ? "/tmp" : above);
        CHECK(mkdtemp(sim->folder) != NULL);
        (void)snprintf(sim->path, sizeof(sim->path), "%s/weir.db", sim->folder);
        path = sim->path;
    }
    sim->store = sim_store_new(sim->seed ^ 0x5bd1e995U, path);
}

static void remove_store(const struct sim *sim)
{
    static const char *const endings[] = { "", "-wal", "-shm", ".lock" };
    for (size_t i = 0; sim->folder[0] != '\0' && i < COUNT_OF(endings); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s%s", sim->path, endings[i]);
        (void)unlink(path);
    }
    if (sim->folder[0] != '\0')
        (void)rmdir(sim->folder);
}

void sim_open(struct sim *sim, uint64_t seed, const struct life *life)
{
    struct error err = { 0 };
    struct rng mix = { .state = seed };
    *sim = (struct sim){
        .seed = seed,
        .rng = { .state = rng_next(&mix) }, // streams of neighbours must not overlap
        .plant = life->plant,
        .arena = arena_new(),
        .scratch = arena_new(),
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
    open_store(sim, life->in_database);
    sim->logs = logstore_new(&(struct logstore_options){ 0 }, &err);
    start(sim);
    const struct grammar grammar = { .namespace = NAMESPACE, .has_slow = true };
    struct buf source = { 0 };
    generate_child(&sim->rng, &grammar, &source);
    deploy(sim, "child", buf_text(&source));
    buf_clear(&source);
    generate_flow(&sim->rng, &grammar, &source);
    deploy(sim, "flow", buf_text(&source));
    deploy(sim, "watcher", watcher);
    buf_free(&source);
    static const enum store_plant plants[PLANT_COUNT] = {
        [PLANT_STORE_LIES] = STORE_LIES,
        [PLANT_STORE_LOSES_RUNS] = STORE_LOSES_RUNS,
        [PLANT_STORE_FLIPS] = STORE_FLIPS,
        [PLANT_STORE_SLEEPS] = STORE_SLEEPS,
    };
    sim->store->plant = plants[life->plant];
    sim->store->faults = life->faults; // counted from here on
    sim->store->calls = sim->checked = 0;
}

uint64_t sim_digest(struct sim *sim)
{
    struct execution_row *rows = NULL;
    size_t count = 0;
    arena_reset(sim->scratch);
    sim_rows(sim, &rows, &count);
    buf_clear(&sim->tree);
    for (size_t i = 0; i < count; i++) {
        struct execution *execution = execution_row_decode(&rows[i], NULL, NULL);
        if (execution != NULL)
            keep_tree(sim, execution);
        execution_free(execution);
    }
    uint64_t digest = map_hash(buf_text(&sim->tree), sim->tree.length);
    return digest;
}

void sim_close(struct sim *sim)
{
    sim->store->is_dead = true;
    driver_free(sim->driver);
    store_reader_free(sim->reader);
    sim_lose_jobs(sim, true);
    for (size_t i = 0; i < sim->wishes.count; i++) {
        arena_free(sim->wishes.items[i]->arena);
        free(sim->wishes.items[i]);
    }
    for (size_t i = 0; i < sim->seen.count; i++)
        VEC_FREE(&sim->seen.items[i].runs);
    for (size_t i = 0; i < sim->revisions.count; i++)
        flow_unref(sim->revisions.items[i].flow);
    VEC_FREE(&sim->jobs);
    VEC_FREE(&sim->done);
    VEC_FREE(&sim->answered);
    VEC_FREE(&sim->begun);
    VEC_FREE(&sim->wishes);
    VEC_FREE(&sim->seen);
    VEC_FREE(&sim->revisions);
    VEC_FREE(&sim->acknowledged);
    sim_store_free(sim->store);
    remove_store(sim);
    logstore_free(sim->logs);
    buf_free(&sim->text);
    buf_free(&sim->tree);
    arena_free(sim->arena);
    arena_free(sim->scratch);
}
