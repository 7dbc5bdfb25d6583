/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/engine/execution.h"

#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/map.h"
#include "base/str.h"
#include "core/value.h"

/* Most task runs pass through four states and one attempt: no more is set aside for each. */
#define HISTORY_FIRST  4U
#define ATTEMPTS_FIRST 1U

#define ENDS                                                                                       \
    (BIT(STATE_SUCCESS) | BIT(STATE_WARNING) | BIT(STATE_FAILED) | BIT(STATE_KILLED) |             \
     BIT(STATE_CANCELLED))

/* What a task run that has not ended takes over from an ancestor that has. */
#define FORCED (ENDS | BIT(STATE_SKIPPED) | BIT(STATE_RETRIED))

/*
 * flow-language.md 6.3. An SLA or an Exit that meets an execution RETRYING or at a breakpoint
 * passes through KILLING.
 */
const struct state_row states[STATE_COUNT] = {
    [STATE_CREATED] = { .name = "CREATED",
                        .is_created = true,
                        .next = BIT(STATE_RUNNING) | BIT(STATE_QUEUED) | BIT(STATE_CANCELLED) |
                                BIT(STATE_FAILED) | BIT(STATE_KILLING),
                        .run_next = BIT(STATE_SUBMITTED) | BIT(STATE_RUNNING) |
                                    BIT(STATE_BREAKPOINT) | FORCED },
    [STATE_SUBMITTED] = { .name = "SUBMITTED", .run_next = BIT(STATE_RUNNING) | FORCED },
    [STATE_RUNNING] = { .name = "RUNNING",
                        .next = BIT(STATE_PAUSED) | BIT(STATE_RETRYING) | BIT(STATE_RETRIED) |
                                BIT(STATE_BREAKPOINT) | BIT(STATE_KILLING) | ENDS,
                        .run_next = BIT(STATE_PAUSED) | BIT(STATE_KILLING) | BIT(STATE_SUBMITTED) |
                                    FORCED },
    [STATE_PAUSED] = { .name = "PAUSED",
                       .next = BIT(STATE_RESTARTED) | BIT(STATE_RUNNING) | BIT(STATE_KILLING) |
                               BIT(STATE_CANCELLED) | BIT(STATE_FAILED),
                       .run_next = BIT(STATE_RUNNING) | BIT(STATE_CREATED) | BIT(STATE_RESTARTED) |
                                   FORCED },
    [STATE_RESTARTED] = { .name = "RESTARTED",
                          .is_created = true,
                          .next = BIT(STATE_RUNNING) | BIT(STATE_QUEUED) | BIT(STATE_CANCELLED) |
                                  BIT(STATE_FAILED) | BIT(STATE_KILLING),
                          .run_next = BIT(STATE_SUBMITTED) | BIT(STATE_RUNNING) |
                                      BIT(STATE_BREAKPOINT) | FORCED },
    [STATE_QUEUED] = { .name = "QUEUED",
                       .next = BIT(STATE_RUNNING) | BIT(STATE_CANCELLED) | BIT(STATE_FAILED) |
                               BIT(STATE_KILLING) },
    [STATE_RETRYING] = { .name = "RETRYING",
                         .next = BIT(STATE_RUNNING) | BIT(STATE_KILLING),
                         .run_next = BIT(STATE_CREATED) | FORCED },
    [STATE_BREAKPOINT] = { .name = "BREAKPOINT",
                           .next = BIT(STATE_RUNNING) | BIT(STATE_KILLING),
                           .run_next = BIT(STATE_CREATED) | FORCED },
    [STATE_KILLING] = { .name = "KILLING",
                        .next = BIT(STATE_KILLED) | BIT(STATE_CANCELLED) | BIT(STATE_FAILED) |
                                BIT(STATE_SUCCESS) | BIT(STATE_WARNING),
                        .run_next = FORCED },
    [STATE_SUCCESS] = { .name = "SUCCESS",
                        .is_terminal = true,
                        .next = BIT(STATE_RESTARTED) | ENDS,
                        .run_next = BIT(STATE_RESTARTED) | BIT(STATE_RUNNING) | FORCED },
    [STATE_WARNING] = { .name = "WARNING",
                        .is_terminal = true,
                        .next = BIT(STATE_RESTARTED) | ENDS,
                        .run_next = BIT(STATE_RESTARTED) | BIT(STATE_RUNNING) | FORCED },
    [STATE_FAILED] = { .name = "FAILED",
                       .is_terminal = true,
                       .is_failed = true,
                       .next = BIT(STATE_RESTARTED) | ENDS,
                       .run_next = BIT(STATE_RETRYING) | BIT(STATE_RESTARTED) | BIT(STATE_RUNNING) |
                                   FORCED },
    [STATE_KILLED] = { .name = "KILLED",
                       .is_terminal = true,
                       .run_next = BIT(STATE_RESTARTED) | BIT(STATE_RUNNING) | FORCED },
    [STATE_CANCELLED] = { .name = "CANCELLED",
                          .is_terminal = true,
                          .next = BIT(STATE_RESTARTED) | ENDS,
                          .run_next = BIT(STATE_RESTARTED) | BIT(STATE_RUNNING) | FORCED },
    [STATE_SKIPPED] = { .name = "SKIPPED",
                        .is_terminal = true,
                        .next = BIT(STATE_RESTARTED) | ENDS,
                        .run_next = BIT(STATE_RESTARTED) | BIT(STATE_RUNNING) | FORCED },
    [STATE_RETRIED] = { .name = "RETRIED",
                        .is_terminal = true,
                        .next = BIT(STATE_RESTARTED) | ENDS,
                        .run_next = BIT(STATE_RESTARTED) | BIT(STATE_RUNNING) | FORCED },
    [STATE_RESUBMITTED] = { .name = "RESUBMITTED", .is_terminal = true },
};

bool state_parse(const char *name, enum state *out)
{
    if (str_eq(name, "CANCELED"))
        name = "CANCELLED";
    for (int i = 0; i < STATE_COUNT; i++) {
        if (str_eq(name, states[i].name)) {
            *out = (enum state)i;
            return true;
        }
    }
    return false;
}

bool state_is_terminal(enum state state)
{
    return states[state].is_terminal;
}

void state_log_append(struct arena *arena, struct state_log *log, enum state state, usec_t at)
{
    if (log->history.capacity == 0) {
        log->history.items = arena_calloc(arena, HISTORY_FIRST, sizeof(*log->history.items));
        log->history.capacity = HISTORY_FIRST;
    }
    if (log->history.count > 0) {
        usec_t last = log->history.items[log->history.count - 1].at;
        at = at < last ? last : at;
    }
    *VEC_PUSH_ARENA(arena, &log->history) = (struct state_change){ .state = state, .at = at };
    log->current = state;
}

usec_t state_last_at(const struct state_log *log, enum state state)
{
    for (size_t i = log->history.count; i-- > 0;) {
        if (log->history.items[i].state == state)
            return log->history.items[i].at;
    }
    return 0;
}

usec_t state_started_at(const struct state_log *log)
{
    return log->history.count == 0 ? 0 : log->history.items[0].at;
}

usec_t state_ended_at(const struct state_log *log)
{
    bool ended = states[log->current].is_terminal || log->current == STATE_PAUSED;
    return ended && log->history.count > 0 ? log->history.items[log->history.count - 1].at : 0;
}

/* ---- the table of ids ---- */

static size_t table_slot(const struct run_table *table, const char *id)
{
    size_t mask = table->capacity - 1;
    size_t at = (size_t)map_hash(id, strlen(id)) & mask;
    while (table->slots[at] != NULL && strcmp(table->slots[at]->id.text, id) != 0)
        at = (at + 1) & mask;
    return at;
}

static void table_put(struct arena *arena, struct run_table *table, struct task_run *run)
{
    if ((table->count + 1) * 4 > table->capacity * 3) {
        struct run_table grown = { .capacity = table->capacity == 0 ? 8 : table->capacity * 2 };
        grown.slots = ARENA_ARRAY(arena, grown.capacity, struct task_run *);
        for (size_t i = 0; i < table->capacity; i++) {
            if (table->slots[i] != NULL) {
                grown.slots[table_slot(&grown, table->slots[i]->id.text)] = table->slots[i];
                grown.count++;
            }
        }
        *table = grown;
    }
    size_t at = table_slot(table, run->id.text);
    if (table->slots[at] == NULL)
        table->count++;
    table->slots[at] = run;
}

/* Rebuilt after removals, which are rare and come many at a time. */
static void table_rebuild(struct execution *execution)
{
    struct run_table *table = &execution->runs_by_id;
    if (table->capacity > 0)
        memset(table->slots, 0, table->capacity * sizeof(*table->slots));
    table->count = 0;
    for (size_t i = 0; i < execution->runs.count; i++)
        table_put(execution->arena, table, execution->runs.items[i]);
}

/* ---- executions ---- */

struct execution *execution_new(const struct id *id, struct flow *flow, usec_t at)
{
    struct arena *arena = arena_new();
    struct execution *execution = ARENA_NEW(arena, struct execution);
    execution->arena = arena;
    execution->id = *id;
    execution->original_id = execution->id.text;
    execution->attempt_number = 1;
    execution->original_created_at = at;
    execution->inputs = &value_empty_map;
    execution->variables = &value_empty_map;
    execution->next_seq = 1;
    execution->is_new = true;
    execution->is_dirty = true;
    if (flow != NULL) {
        execution->flow = flow_ref(flow);
        execution->namespace = arena_strdup(arena, flow->namespace);
        execution->flow_id = arena_strdup(arena, flow->id);
        execution->flow_revision = flow->revision;
        if (flow->variables != NULL)
            execution->variables = flow->variables; // lives as long as the reference
    }
    state_log_append(arena, &execution->state, STATE_CREATED, at);
    return execution;
}

void execution_free(struct execution *execution)
{
    if (execution == NULL)
        return;
    flow_unref(execution->flow);
    arena_free(execution->arena);
}

bool execution_is_live(const struct execution *execution)
{
    return !execution->fully_ended || execution->retry_at != 0;
}

static usec_t earlier(usec_t a, usec_t b)
{
    return b != 0 && b < a ? b : a;
}

usec_t execution_wake_at(const struct execution *execution)
{
    usec_t at = earlier(USEC_NEVER, execution->retry_at);
    if (execution->fully_ended)
        return at;
    if (execution->state.current == STATE_CREATED)
        at = earlier(at, execution->schedule_at);
    if (execution->flow != NULL && !states[execution->state.current].is_terminal) {
        usec_t start = state_started_at(&execution->state);
        for (size_t i = 0; i < execution->flow->slas_count; i++) {
            const struct sla *sla = &execution->flow->slas[i];
            if (sla->type == SLA_MAX_DURATION)
                at = earlier(at, start + sla->duration);
        }
    }
    for (size_t i = 0; i < execution->runs.count; i++)
        at = earlier(at, execution->runs.items[i]->wake_at);
    return at;
}

void execution_committed(struct execution *execution)
{
    for (size_t i = 0; i < execution->dirty.count; i++)
        execution->dirty.items[i]->is_dirty = false;
    execution->dirty.count = 0;
    execution->removed.count = 0;
    execution->is_dirty = false;
    execution->is_new = false;
}

struct task_run *execution_find_run(const struct execution *execution, const char *run_id)
{
    const struct run_table *table = &execution->runs_by_id;
    if (run_id == NULL || table->capacity == 0)
        return NULL;
    return table->slots[table_slot(table, run_id)];
}

/* Position of the first run with this number or a greater one. */
static size_t position_of(const struct execution *execution, uint32_t seq)
{
    size_t low = 0;
    size_t high = execution->runs.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (execution->runs.items[middle]->seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct task_run *execution_run_by_seq(const struct execution *execution, uint32_t seq)
{
    size_t at = position_of(execution, seq);
    bool found = at < execution->runs.count && execution->runs.items[at]->seq == seq;
    return found ? execution->runs.items[at] : NULL;
}

size_t execution_run_index(const struct execution *execution, const struct task_run *run)
{
    size_t at = position_of(execution, run->seq);
    CHECK(at < execution->runs.count);
    return at;
}

const char *execution_label(const struct execution *execution, const char *key)
{
    for (size_t i = 0; i < execution->labels.count; i++) {
        if (strcmp(execution->labels.items[i].key, key) == 0)
            return execution->labels.items[i].value;
    }
    return NULL;
}

void execution_set_label(struct execution *execution, const char *key, const char *value)
{
    execution_touch(execution);
    const char *copy = arena_strdup(execution->arena, value);
    for (size_t i = 0; i < execution->labels.count; i++) {
        if (strcmp(execution->labels.items[i].key, key) == 0) {
            execution->labels.items[i].value = copy;
            return;
        }
    }
    struct label *label = VEC_PUSH_ARENA(execution->arena, &execution->labels);
    label->key = arena_strdup(execution->arena, key);
    label->value = copy;
}

void execution_touch(struct execution *execution)
{
    execution->is_dirty = true;
}

void task_run_touch(struct execution *execution, struct task_run *run)
{
    if (run->is_dirty)
        return;
    run->is_dirty = true;
    *VEC_PUSH_ARENA(execution->arena, &execution->dirty) = run;
}

static void add_child(struct task_run *parent, struct task_run *run)
{
    run->next_sibling = NULL;
    if (parent->last_child == NULL)
        parent->first_child = run;
    else
        parent->last_child->next_sibling = run;
    parent->last_child = run;
}

struct task_run *execution_add_run(struct execution *execution,
                                   const struct task *task,
                                   struct task_run *parent,
                                   const char *value,
                                   int64_t iteration,
                                   usec_t at)
{
    struct arena *arena = execution->arena;
    struct task_run *run = ARENA_NEW(arena, struct task_run);
    run->seq = execution->next_seq++;
    run->id = id_derive(execution->id.text, &run->seq, sizeof(run->seq));
    run->task = task;
    run->task_id = task->id; // lives as long as the flow, of which the execution has a reference
    run->parent = parent;
    run->value = arena_strdup(arena, value);
    run->iteration = iteration;
    run->outputs = &value_empty_map;
    state_log_append(arena, &run->state, STATE_CREATED, at);
    if (parent != NULL)
        add_child(parent, run);
    *VEC_PUSH_ARENA(arena, &execution->runs) = run;
    table_put(arena, &execution->runs_by_id, run);
    task_run_touch(execution, run);
    return run;
}

/* Keeps the children that stay, in their order. */
static void sweep_children(struct task_run *parent)
{
    struct task_run *child = parent->first_child;
    parent->first_child = NULL;
    parent->last_child = NULL;
    while (child != NULL) {
        struct task_run *next = child->next_sibling;
        if (!child->is_removed)
            add_child(parent, child);
        child = next;
    }
}

void execution_sweep(struct execution *execution)
{
    size_t kept = 0;
    for (size_t i = 0; i < execution->runs.count; i++) {
        struct task_run *run = execution->runs.items[i];
        if (!run->is_removed) {
            execution->runs.items[kept++] = run;
            if (run->first_child != NULL)
                sweep_children(run);
            continue;
        }
        *VEC_PUSH_ARENA(execution->arena, &execution->removed) = run->seq;
    }
    if (kept == execution->runs.count)
        return;
    execution->runs.count = kept;
    size_t dirty = 0;
    for (size_t i = 0; i < execution->dirty.count; i++) {
        if (!execution->dirty.items[i]->is_removed)
            execution->dirty.items[dirty++] = execution->dirty.items[i];
    }
    execution->dirty.count = dirty;
    table_rebuild(execution);
    execution_touch(execution); // next_seq is stored: numbers of removed runs never come back
}

/* ---- moves ---- */

void execution_move(struct execution *execution, enum state state, usec_t at)
{
    enum state from = execution->state.current;
    if (from == state)
        return;
    CHECK((states[from].next & BIT(state)) != 0);
    state_log_append(execution->arena, &execution->state, state, at);
    execution_touch(execution);
}

void task_run_move(struct execution *execution, struct task_run *run, enum state state, usec_t at)
{
    enum state from = run->state.current;
    if (from == state)
        return;
    CHECK((states[from].run_next & BIT(state)) != 0);
    state_log_append(execution->arena, &run->state, state, at);
    task_run_touch(execution, run);
}

struct attempt *task_run_add_attempt(struct execution *execution, struct task_run *run, usec_t at)
{
    if (run->attempts.capacity == 0) {
        run->attempts.items =
            arena_calloc(execution->arena, ATTEMPTS_FIRST, sizeof(*run->attempts.items));
        run->attempts.capacity = ATTEMPTS_FIRST;
    }
    struct attempt *attempt = VEC_PUSH_ARENA(execution->arena, &run->attempts);
    attempt->state = STATE_RUNNING;
    attempt->started_at = at;
    task_run_touch(execution, run);
    return attempt;
}

struct attempt *task_run_last_attempt(const struct task_run *run)
{
    return run->attempts.count == 0 ? NULL : &run->attempts.items[run->attempts.count - 1];
}

void execution_link(struct execution *execution)
{
    for (size_t i = 1; i < execution->runs.count; i++) {
        struct task_run *run = execution->runs.items[i];
        size_t at = i;
        while (at > 0 && execution->runs.items[at - 1]->seq > run->seq) {
            execution->runs.items[at] = execution->runs.items[at - 1];
            at--;
        }
        execution->runs.items[at] = run;
    }
    for (size_t i = 0; i < execution->runs.count; i++) {
        struct task_run *run = execution->runs.items[i];
        run->first_child = NULL;
        run->last_child = NULL;
        if (run->seq >= execution->next_seq)
            execution->next_seq = run->seq + 1;
    }
    for (size_t i = 0; i < execution->runs.count; i++) {
        struct task_run *run = execution->runs.items[i];
        run->parent =
            run->parent_seq == 0 ? NULL : execution_run_by_seq(execution, run->parent_seq);
        if (run->parent != NULL)
            add_child(run->parent, run);
    }
    table_rebuild(execution);
}
