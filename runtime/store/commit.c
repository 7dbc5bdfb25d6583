/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/error.h"
#include "core/value.h"
#include "runtime/store/store.h"

void commit_clear(struct commit *commit)
{
    buf_clear(&commit->bytes);
    commit->executions.count = 0;
    commit->runs.count = 0;
    commit->logs.count = 0;
    commit->metrics.count = 0;
    commit->flows.count = 0;
    commit->flow_purges.count = 0;
    commit->triggers.count = 0;
    commit->kv.count = 0;
    commit->files.count = 0;
    commit->documents.count = 0;
    commit->outbox.count = 0;
    commit->windows.count = 0;
    commit->cache.count = 0;
    commit->queued.count = 0;
    commit->log_purges.count = 0;
}

void commit_free(struct commit *commit)
{
    buf_free(&commit->bytes);
    VEC_FREE(&commit->executions);
    VEC_FREE(&commit->runs);
    VEC_FREE(&commit->logs);
    VEC_FREE(&commit->metrics);
    VEC_FREE(&commit->flows);
    VEC_FREE(&commit->flow_purges);
    VEC_FREE(&commit->triggers);
    VEC_FREE(&commit->kv);
    VEC_FREE(&commit->files);
    VEC_FREE(&commit->documents);
    VEC_FREE(&commit->outbox);
    VEC_FREE(&commit->windows);
    VEC_FREE(&commit->cache);
    VEC_FREE(&commit->queued);
    VEC_FREE(&commit->log_purges);
}

bool commit_is_empty(const struct commit *commit)
{
    return commit->executions.count == 0 && commit->logs.count == 0 && commit->metrics.count == 0 &&
           commit->flows.count == 0 && commit->flow_purges.count == 0 &&
           commit->triggers.count == 0 && commit->kv.count == 0 && commit->files.count == 0 &&
           commit->documents.count == 0 && commit->outbox.count == 0 &&
           commit->windows.count == 0 && commit->cache.count == 0 && commit->queued.count == 0 &&
           commit->log_purges.count == 0;
}

/* The searchable columns, from the execution. */
static void fill_columns(struct execution_row *row, const struct execution *execution)
{
    row->id = execution->id;
    row->namespace = execution->namespace;
    row->flow_id = execution->flow_id;
    row->revision = execution->flow_revision;
    row->state = execution->state.current;
    row->kind = execution->kind;
    row->holds_slot = execution->holds_slot;
    row->created_at = state_started_at(&execution->state);
    row->ended_at = states[row->state].is_terminal ? state_ended_at(&execution->state) : 0;
    row->trigger_id = execution->trigger_id;
    row->cause_id = value_get_text(execution->trigger_variables, "executionId", NULL);
    row->parent_id = execution->parent_id;
    row->labels = execution->labels.items;
    row->labels_count = execution->labels.count;
}

static void add_runs(struct commit *commit, uint32_t index, const struct execution *execution)
{
    for (size_t i = 0; i < execution->removed.count; i++)
        *VEC_PUSH(&commit->runs) = (struct commit_run){
            .execution = index,
            .seq = execution->removed.items[i],
            .is_removed = true,
        };
    for (size_t i = 0; i < execution->dirty.count; i++) {
        const struct task_run *run = execution->dirty.items[i];
        size_t at = commit->bytes.length;
        task_run_encode(&commit->bytes, run);
        *VEC_PUSH(&commit->runs) = (struct commit_run){
            .execution = index,
            .seq = run->seq,
            .at = at,
            .length = commit->bytes.length - at,
        };
    }
}

struct commit_execution *commit_add_execution(struct commit *commit,
                                              struct execution *execution,
                                              int64_t key,
                                              enum liveness live,
                                              usec_t wake_at,
                                              enum state counted)
{
    CHECK(commit->executions.count < UINT32_MAX);
    uint32_t index = (uint32_t)commit->executions.count;
    struct commit_execution *added = VEC_PUSH(&commit->executions);
    added->is_new = execution->is_new;
    added->counted = counted;
    fill_columns(&added->row, execution);
    added->row.key = key;
    added->row.live = live;
    added->row.wake_at = live == LIVE_PARKED ? wake_at : 0;

    execution->version++;
    added->header_at = commit->bytes.length;
    execution_encode(&commit->bytes, execution);
    added->header_length = commit->bytes.length - added->header_at;
    add_runs(commit, index, execution);
    execution_committed(execution);
    return &commit->executions.items[index];
}

struct execution *execution_row_decode(const struct execution_row *row,
                                       struct flow *flow,
                                       struct error *err)
{
    struct execution *execution = execution_decode(row->header.at, row->header.length, flow, err);
    if (execution == NULL) {
        error_wrap(err, "execution '%s'", row->id.text);
        return NULL;
    }
    for (size_t i = 0; i < row->runs_count; i++) {
        const struct bytes *body = &row->runs[i].body;
        if (!task_run_decode(execution, body->at, body->length, err)) {
            error_wrap(err, "execution '%s', run %u", row->id.text, row->runs[i].seq);
            execution_free(execution);
            return NULL;
        }
    }
    execution_link(execution);
    return execution;
}

bool store_commit(struct store *store, const struct commit *commit, struct error *err)
{
    return store->ops->commit(store, commit, err);
}

void store_free(struct store *store)
{
    if (store != NULL)
        store->ops->free(store);
}

struct store_reader *store_reader_open(struct store *store, struct error *err)
{
    return store->ops->reader(store, err);
}

void store_reader_free(struct store_reader *reader)
{
    if (reader != NULL)
        reader->ops->free(reader);
}

void store_reader_freep(struct store_reader **reader)
{
    store_reader_free(*reader);
}
