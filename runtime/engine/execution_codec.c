/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of executions: a header and one row per task run, each a version byte and its fields.
 *
 * To add a field: append it at the end under a new version, read it only from that version on.
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/pack.h"
#include "core/value.h"
#include "core/value_codec.h"
#include "runtime/engine/execution.h"
#include "runtime/engine/iterations.h"

#define HEADER_VERSION 1
#define RUN_VERSION    1

/* Of one state history or one list of attempts: far beyond what retries and restarts produce. */
#define LENGTH_MAX 1000000U

enum header_flag {
    HEADER_FULLY_ENDED = 1 << 0,
    HEADER_HOLDS_SLOT = 1 << 1,
    HEADER_PAUSED_BY_USER = 1 << 2,
    HEADER_SLA_VIOLATED = 1 << 3,
};

enum run_flag {
    RUN_DYNAMIC = 1 << 0,
    RUN_FORCED = 1 << 1,
    RUN_RELEASED = 1 << 2,
    RUN_HANDED = 1 << 3,
    RUN_ABANDONED = 1 << 4,
};

static uint64_t flag(bool on, int bit)
{
    return on ? (uint64_t)bit : 0;
}

/* An absent value is one byte, and stays apart from null. */
static void pack_value(struct buf *out, const struct value *value)
{
    pack_uint(out, value == NULL ? 0 : 1);
    if (value != NULL)
        value_encode(out, value);
}

static const struct value *unpack_value(struct unpack *in, struct arena *arena)
{
    return unpack_max(in, 1) == 0 ? NULL : value_unpack(in, arena);
}

/* Dates are stored as the distance to the one before. */
static void pack_history(struct buf *out, const struct state_log *log)
{
    pack_uint(out, log->history.count);
    usec_t before = 0;
    for (size_t i = 0; i < log->history.count; i++) {
        pack_uint(out, (uint64_t)log->history.items[i].state);
        pack_int(out, log->history.items[i].at - before);
        before = log->history.items[i].at;
    }
}

static enum state unpack_state(struct unpack *in)
{
    return (enum state)unpack_max(in, STATE_COUNT - 1);
}

/* Differences of damaged rows must not overflow. */
static usec_t unpack_date(struct unpack *in, usec_t before)
{
    usec_t at = 0;
    if (__builtin_add_overflow(before, unpack_int(in), &at))
        unpack_fail(in);
    return at;
}

static void unpack_history(struct unpack *in, struct arena *arena, struct state_log *log)
{
    size_t count = unpack_count(in);
    if (count == 0 || count > LENGTH_MAX)
        unpack_fail(in);
    usec_t before = 0;
    for (size_t i = 0; i < count && !in->bad; i++) {
        enum state state = unpack_state(in);
        before = unpack_date(in, before);
        if (!in->bad)
            state_log_append(arena, log, state, before);
    }
}

static bool unpack_id(struct unpack *in, struct id *id)
{
    size_t length = 0;
    const char *text = unpack_bytes(in, &length);
    if (text == NULL || length == 0 || length > ID_LENGTH || memchr(text, '\0', length) != NULL)
        return unpack_fail(in);
    memcpy(id->text, text, length);
    id->text[length] = '\0';
    return true;
}

/* Executions are never SUBMITTED, task runs never QUEUED. */
static void check_state(struct unpack *in, enum state state, uint32_t next)
{
    if (!states[state].is_terminal && next == 0)
        unpack_fail(in);
}

/* ---- header ---- */

void execution_encode(struct buf *out, const struct execution *execution)
{
    buf_putc(out, HEADER_VERSION);
    pack_bytes(out, execution->id.text, strlen(execution->id.text));
    pack_text(out, execution->namespace);
    pack_text(out, execution->flow_id);
    pack_int(out, execution->flow_revision);
    pack_uint(out, flag(execution->fully_ended, HEADER_FULLY_ENDED) |
                       flag(execution->holds_slot, HEADER_HOLDS_SLOT) |
                       flag(execution->paused_by_user, HEADER_PAUSED_BY_USER) |
                       flag(execution->sla_violated, HEADER_SLA_VIOLATED));
    pack_history(out, &execution->state);
    pack_value(out, execution->inputs);
    pack_value(out, execution->outputs);
    pack_value(out, execution->variables);
    pack_uint(out, execution->labels.count);
    for (size_t i = 0; i < execution->labels.count; i++) {
        pack_text(out, execution->labels.items[i].key);
        pack_text(out, execution->labels.items[i].value);
    }
    pack_text(out, execution->parent_id);
    bool is_first = strcmp(execution->original_id, execution->id.text) == 0;
    pack_text(out, is_first ? NULL : execution->original_id);
    pack_text(out, execution->trigger_id);
    pack_text(out, execution->trigger_type);
    pack_value(out, execution->trigger_variables);
    pack_int(out, execution->attempt_number);
    pack_int(out, execution->original_created_at);
    pack_int(out, execution->schedule_at);
    pack_uint(out, (uint64_t)execution->kind);
    pack_value(out, execution->breakpoints);
    pack_text(out, execution->trace_parent);
    pack_value(out, execution->loop);
    pack_int(out, execution->retry_at);
    pack_uint(out, execution->next_seq);
    pack_uint(out, execution->version);
}

static void unpack_labels(struct unpack *in, struct execution *execution)
{
    size_t count = unpack_count(in);
    for (size_t i = 0; i < count && !in->bad; i++) {
        const char *key = unpack_text(in, execution->arena);
        const char *value = unpack_text(in, execution->arena);
        if (key == NULL || value == NULL) {
            unpack_fail(in);
            return;
        }
        struct label *label = VEC_PUSH_ARENA(execution->arena, &execution->labels);
        label->key = key;
        label->value = value;
    }
}

static void unpack_header(struct unpack *in, struct execution *execution)
{
    struct arena *arena = execution->arena;
    (void)unpack_id(in, &execution->id);
    execution->namespace = unpack_text(in, arena);
    execution->flow_id = unpack_text(in, arena);
    execution->flow_revision = unpack_int(in);
    uint64_t flags = unpack_uint(in);
    execution->fully_ended = (flags & HEADER_FULLY_ENDED) != 0;
    execution->holds_slot = (flags & HEADER_HOLDS_SLOT) != 0;
    execution->paused_by_user = (flags & HEADER_PAUSED_BY_USER) != 0;
    execution->sla_violated = (flags & HEADER_SLA_VIOLATED) != 0;
    unpack_history(in, arena, &execution->state);
    check_state(in, execution->state.current, states[execution->state.current].next);
    execution->inputs = unpack_value(in, arena);
    execution->outputs = unpack_value(in, arena);
    execution->variables = unpack_value(in, arena);
    unpack_labels(in, execution);
    execution->parent_id = unpack_text(in, arena);
    execution->original_id = unpack_text(in, arena);
    execution->trigger_id = unpack_text(in, arena);
    execution->trigger_type = unpack_text(in, arena);
    execution->trigger_variables = unpack_value(in, arena);
    execution->attempt_number = unpack_int(in);
    execution->original_created_at = unpack_int(in);
    execution->schedule_at = unpack_int(in);
    execution->kind = (enum execution_kind)unpack_max(in, KIND_LOOP);
    execution->breakpoints = unpack_value(in, arena);
    execution->trace_parent = unpack_text(in, arena);
    execution->loop = unpack_value(in, arena);
    execution->retry_at = unpack_int(in);
    execution->next_seq = (uint32_t)unpack_max(in, UINT32_MAX);
    execution->version = unpack_uint(in);
    if (execution->namespace == NULL || execution->flow_id == NULL || execution->next_seq == 0)
        unpack_fail(in);
    if (execution->original_id == NULL)
        execution->original_id = execution->id.text;
    if (!value_is_map(execution->inputs))
        execution->inputs = &value_empty_map;
    if (!value_is_map(execution->variables))
        execution->variables = &value_empty_map;
}

/* A row starts with its version. */
static bool start(struct unpack *in,
                  const void *bytes,
                  size_t length,
                  unsigned version,
                  const char *what,
                  struct error *err)
{
    *in = unpack_start(bytes, length);
    uint64_t found = unpack_uint(in);
    if (in->bad || found == 0)
        return error_set(err, ERR_INTERNAL, "%s is damaged", what);
    if (found > version)
        return error_set(err, ERR_INTERNAL, "%s was written by a newer version", what);
    return true;
}

struct execution *execution_decode(const void *bytes,
                                   size_t length,
                                   struct flow *flow,
                                   struct error *err)
{
    struct unpack in;
    if (!start(&in, bytes, length, HEADER_VERSION, "a stored execution", err))
        return NULL;
    struct arena *arena = arena_new();
    struct execution *execution = ARENA_NEW(arena, struct execution);
    execution->arena = arena;
    unpack_header(&in, execution);
    if (in.bad || unpack_left(&in) != 0) {
        error_set(err, ERR_INTERNAL, "a stored execution is damaged");
        arena_free(arena);
        return NULL;
    }
    if (flow != NULL)
        execution->flow = flow_ref(flow);
    return execution;
}

/* ---- task runs ---- */

static void pack_attempts(struct buf *out, const struct task_run *run)
{
    usec_t before = state_started_at(&run->state);
    pack_uint(out, run->attempts.count);
    for (size_t i = 0; i < run->attempts.count; i++) {
        const struct attempt *attempt = &run->attempts.items[i];
        pack_uint(out, (uint64_t)attempt->state);
        pack_int(out, attempt->started_at - before);
        pack_uint(out, attempt->ended_at == 0 ? 0 : 1);
        if (attempt->ended_at != 0)
            pack_int(out, attempt->ended_at - attempt->started_at);
        pack_text(out, attempt->worker);
        pack_text(out, attempt->log_file);
        before = attempt->started_at;
    }
}

void task_run_encode(struct buf *out, const struct task_run *run)
{
    buf_putc(out, RUN_VERSION);
    pack_uint(out, run->seq);
    pack_bytes(out, run->id.text, strlen(run->id.text));
    pack_text(out, run->task_id);
    pack_uint(out, run->parent == NULL ? 0 : run->parent->seq);
    pack_text(out, run->value);
    pack_int(out, run->iteration);
    pack_text(out, run->items);
    pack_history(out, &run->state);
    pack_attempts(out, run);
    pack_value(out, run->outputs);
    pack_uint(out, flag(run->is_dynamic, RUN_DYNAMIC) | flag(run->force_execution, RUN_FORCED) |
                       flag(run->is_released, RUN_RELEASED) | flag(run->is_handed, RUN_HANDED) |
                       flag(run->is_abandoned, RUN_ABANDONED));
    pack_text(out, run->remote_id);
    pack_value(out, run->memo);
    pack_text(out, run->cache_key);
    iterations_pack(out, run->iterations);
    pack_uint(out, run->orders);
    pack_int(out, run->wake_at);
    pack_uint(out, run->wake_generation);
}

static void unpack_attempts(struct unpack *in, struct execution *execution, struct task_run *run)
{
    size_t count = unpack_count(in);
    if (count > LENGTH_MAX)
        unpack_fail(in);
    usec_t before = state_started_at(&run->state);
    for (size_t i = 0; i < count && !in->bad; i++) {
        struct attempt attempt = { .state = unpack_state(in) };
        attempt.started_at = unpack_date(in, before);
        if (unpack_max(in, 1) != 0)
            attempt.ended_at = unpack_date(in, attempt.started_at);
        attempt.worker = unpack_text(in, execution->arena);
        attempt.log_file = unpack_text(in, execution->arena);
        before = attempt.started_at;
        if (!in->bad)
            *task_run_add_attempt(execution, run, before) = attempt;
    }
}

static void unpack_run(struct unpack *in, struct execution *execution, struct task_run *run)
{
    struct arena *arena = execution->arena;
    run->seq = (uint32_t)unpack_max(in, UINT32_MAX - 1);
    (void)unpack_id(in, &run->id);
    run->task_id = unpack_text(in, arena);
    run->parent_seq = (uint32_t)unpack_max(in, UINT32_MAX);
    run->value = unpack_text(in, arena);
    run->iteration = unpack_int(in);
    run->items = unpack_text(in, arena);
    unpack_history(in, arena, &run->state);
    check_state(in, run->state.current, states[run->state.current].run_next);
    run->is_dirty = true; // so that reading attempts marks nothing
    unpack_attempts(in, execution, run);
    run->is_dirty = false;
    run->outputs = unpack_value(in, arena);
    uint64_t flags = unpack_uint(in);
    run->is_dynamic = (flags & RUN_DYNAMIC) != 0;
    run->force_execution = (flags & RUN_FORCED) != 0;
    run->is_released = (flags & RUN_RELEASED) != 0;
    run->is_handed = (flags & RUN_HANDED) != 0;
    run->is_abandoned = (flags & RUN_ABANDONED) != 0;
    run->remote_id = unpack_text(in, arena);
    run->memo = unpack_value(in, arena);
    run->cache_key = unpack_text(in, arena);
    run->iterations = iterations_unpack(in, arena);
    run->orders = (uint32_t)unpack_max(in, UINT32_MAX);
    run->wake_at = unpack_int(in);
    run->wake_generation = (uint32_t)unpack_max(in, UINT32_MAX);
    if (run->seq == 0 || run->task_id == NULL || run->parent_seq >= run->seq)
        unpack_fail(in);
    if (!value_is_map(run->outputs))
        run->outputs = &value_empty_map;
}

bool task_run_decode(struct execution *execution,
                     const void *bytes,
                     size_t length,
                     struct error *err)
{
    struct unpack in;
    if (!start(&in, bytes, length, RUN_VERSION, "a stored task run", err))
        return false;
    struct task_run *run = ARENA_NEW(execution->arena, struct task_run);
    unpack_run(&in, execution, run);
    if (in.bad || unpack_left(&in) != 0)
        return error_set(err, ERR_INTERNAL, "a stored task run is damaged");
    if (execution->flow != NULL)
        run->task = execution_task(execution, run->task_id);
    *VEC_PUSH_ARENA(execution->arena, &execution->runs) = run;
    return true;
}
