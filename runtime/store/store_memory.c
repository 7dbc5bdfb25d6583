/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory store: sorted arrays of rows, each row with an arena of its own. Plain on purpose: it is
 * what the SQLite store is compared with, and what simulations crash and restart.
 *
 * One lock: a commit holds it, and so does each read, or all reads between begin and end.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/map.h"
#include "base/str.h"
#include "runtime/store/logstore.h"
#include "runtime/store/memory_internal.h"

/* ---- order of rows ---- */

#define ROWS(name) const struct stored_##name *x = a, *y = b

static int compare_executions(const void *a, const void *b)
{
    ROWS(execution);
    return compare_ints(x->row.key, y->row.key);
}

static int compare_runs(const void *a, const void *b)
{
    ROWS(run);
    return compare_ints(x->row.seq, y->row.seq);
}

static int compare_flows(const void *a, const void *b)
{
    ROWS(flow);
    int names =
        first_difference(strcmp(x->row.namespace, y->row.namespace), strcmp(x->row.id, y->row.id));
    return first_difference(names, compare_ints(x->row.revision, y->row.revision));
}

static int compare_triggers(const void *a, const void *b)
{
    ROWS(trigger);
    return compare_ints(x->row.key, y->row.key);
}

static int compare_kv(const void *a, const void *b)
{
    ROWS(kv);
    return first_difference(strcmp(x->row.namespace, y->row.namespace),
                            strcmp(x->row.key, y->row.key));
}

static int compare_kv_versions(const void *a, const void *b)
{
    ROWS(kv);
    return first_difference(compare_kv(a, b), compare_ints(y->row.revision, x->row.revision));
}

static int compare_files(const void *a, const void *b)
{
    ROWS(file);
    int names = first_difference(strcmp(x->row.namespace, y->row.namespace),
                                 strcmp(x->row.path, y->row.path));
    return first_difference(names, compare_ints(x->row.revision, y->row.revision));
}

static int compare_documents(const void *a, const void *b)
{
    ROWS(document);
    return first_difference(strcmp(x->row.collection, y->row.collection),
                            strcmp(x->row.key, y->row.key));
}

static int compare_outbox(const void *a, const void *b)
{
    ROWS(outbox);
    return compare_ints(x->row.key, y->row.key);
}

static int compare_windows(const void *a, const void *b)
{
    ROWS(window);
    int names = first_difference(strcmp(x->row.namespace, y->row.namespace),
                                 strcmp(x->row.flow_id, y->row.flow_id));
    return first_difference(names, strcmp(x->row.window_id, y->row.window_id));
}

static int compare_cache(const void *a, const void *b)
{
    ROWS(cache);
    int names = first_difference(strcmp(x->row.namespace, y->row.namespace),
                                 strcmp(x->row.flow_id, y->row.flow_id));
    return first_difference(names, strcmp(x->row.key, y->row.key));
}

static int compare_queued(const void *a, const void *b)
{
    ROWS(queued);
    return compare_ints(x->row.execution, y->row.execution);
}

static int compare_logs(const void *a, const void *b)
{
    ROWS(log);
    return compare_ints(x->row.key, y->row.key);
}

/* ---- commit ---- */

static bool has_same_columns(const struct execution_row *a, const struct execution_row *b)
{
    return a->state == b->state && a->live == b->live && a->holds_slot == b->holds_slot &&
           a->created_at == b->created_at && a->wake_at == b->wake_at;
}

/* Would a row that must be new meet another? Looked at before anything is changed. */
static bool check_executions(const struct memory_store *store,
                             const struct commit *commit,
                             struct error *err)
{
    for (size_t i = 0; i < commit->executions.count; i++) {
        const struct commit_execution *change = &commit->executions.items[i];
        const struct execution_row *row = &change->row;
        const struct stored_execution *before = execution_of(store, row->key);
        bool exists = before != NULL;
        if (change->is_new && (exists || map_has(&store->executions_by_id, row->id.text)))
            return error_set(err, ERR_CONFLICT, "execution '%s' exists", row->id.text);
        if (!change->is_new && !change->is_removed && !exists)
            return error_set(err, ERR_CONFLICT, "execution '%s' is not stored", row->id.text);
        if (change->stays && exists && !has_same_columns(&before->row, row))
            return error_set(err, ERR_CONFLICT, "execution '%s' is not where it is said to stay",
                             row->id.text);
        if (!change->is_new || row->fire_trigger == 0)
            continue;
        for (size_t k = 0; k < store->executions.count + i; k++) {
            const struct execution_row *other =
                k < store->executions.count
                    ? &((struct stored_execution *)store->executions.rows[k])->row
                    : &commit->executions.items[k - store->executions.count].row;
            if (other->fire_trigger == row->fire_trigger && other->fire_at == row->fire_at &&
                other->fire_backfill == row->fire_backfill)
                return error_set(err, ERR_CONFLICT, "execution '%s': trigger fired already",
                                 row->id.text);
        }
    }
    return true;
}

static void remove_logs(struct memory_store *store, int64_t execution)
{
    for (size_t i = store->logs.count; i-- > 0;)
        if (((struct stored_log *)store->logs.rows[i])->row.execution == execution)
            table_remove_at(&store->logs, i);
}

static void remove_metrics(struct memory_store *store, int64_t execution)
{
    size_t kept = 0;
    for (size_t i = 0; i < store->metrics.count; i++) {
        struct stored_metric *metric = store->metrics.items[i];
        if (metric->row.execution == execution)
            entry_free(metric);
        else
            store->metrics.items[kept++] = metric;
    }
    store->metrics.count = kept;
}

static void remove_execution(struct memory_store *store, const struct commit_execution *change)
{
    struct stored_execution *stored = execution_of(store, change->row.key);
    struct stored_queued queued = { .row.execution = change->row.key };
    table_remove(&store->queued, &queued);
    if (change->removes_logs)
        remove_logs(store, change->row.key);
    if (change->removes_metrics)
        remove_metrics(store, change->row.key);
    if (stored == NULL)
        return;
    map_remove(&store->executions_by_id, stored->row.id.text);
    table_free(&stored->runs);
    table_remove(&store->executions, stored);
}

static void put_execution(struct memory_store *store,
                          const struct commit *commit,
                          const struct commit_execution *change)
{
    struct stored_execution *before = execution_of(store, change->row.key);
    struct stored_execution *stored = ROW_NEW(execution);
    stored->runs.compare = compare_runs;
    stored->row = change->row;
    stored->row.header = (struct bytes){ .at = commit->bytes.bytes + change->header_at,
                                         .length = change->header_length };
    if (before != NULL) {
        // What a change does not carry stays: runs, and how the execution came about.
        stored->runs = before->runs;
        stored->row.fire_trigger = before->row.fire_trigger;
        stored->row.fire_at = before->row.fire_at;
        stored->row.fire_backfill = before->row.fire_backfill;
        stored->row.trigger_id = before->row.trigger_id;
        stored->row.cause_id = before->row.cause_id;
    }
    copy_execution(stored->entry.arena, &stored->row, true);
    table_put(&store->executions, stored);
    map_put(&store->executions_by_id, stored->row.id.text, stored);
    if (store->numbers.execution < stored->row.key)
        store->numbers.execution = stored->row.key;
}

static void put_executions(struct memory_store *store, const struct commit *commit)
{
    for (size_t i = 0; i < commit->executions.count; i++) {
        const struct commit_execution *change = &commit->executions.items[i];
        if (change->is_removed)
            remove_execution(store, change);
        else
            put_execution(store, commit, change);
    }
    for (size_t i = 0; i < commit->runs.count; i++) {
        const struct commit_run *change = &commit->runs.items[i];
        const struct commit_execution *owner = &commit->executions.items[change->execution];
        struct stored_execution *execution = execution_of(store, owner->row.key);
        if (execution == NULL)
            continue; // removed with its runs
        struct stored_run like = { .row.seq = change->seq };
        if (change->is_removed) {
            table_remove(&execution->runs, &like);
            continue;
        }
        struct stored_run *run = ROW_NEW(run);
        run->row.seq = change->seq;
        run->row.body =
            copy_bytes(run->entry.arena, (struct bytes){ .at = commit->bytes.bytes + change->at,
                                                         .length = change->length });
        table_put(&execution->runs, run);
    }
}

static const struct flow_row *flow_body(const struct memory_store *store, const char *digest)
{
    for (size_t i = 0; i < store->flows.count; i++) {
        const struct stored_flow *flow = store->flows.rows[i];
        if (str_eq(flow->row.digest, digest))
            return &flow->row;
    }
    return NULL;
}

static void put_flow(struct memory_store *store, const struct flow_row *row)
{
    struct stored_flow *flow = ROW_NEW(flow);
    flow->row = *row;
    if (row->source == NULL) {
        const struct flow_row *body = flow_body(store, row->digest);
        CHECK(body != NULL); // only a known body may be left out
        flow->row.source = body->source;
        flow->row.source_length = body->source_length;
    }
    copy_flow(flow->entry.arena, &flow->row, true);
    table_put(&store->flows, flow);
}

static bool purge_covers(const struct commit_log_purge *purge,
                         const char *namespace,
                         const char *flow_id)
{
    if (purge->namespace == NULL)
        return true;
    const char *values[] = { purge->namespace };
    struct filter filter = { .match = purge->with_children ? MATCH_PREFIX : MATCH_EQUAL,
                             .values = values,
                             .values_count = 1 };
    return filter_matches_text(&filter, namespace) &&
           (purge->flow_id == NULL || str_eq(flow_id, purge->flow_id));
}

static void purge_lines(struct memory_store *store, const struct commit_log_purge *purge)
{
    for (size_t i = store->logs.count; i-- > 0;) {
        struct stored_log *log = store->logs.rows[i];
        const struct log_row *row = &log->row;
        if ((purge->execution != 0 && row->execution != purge->execution) ||
            (purge->execution == 0 && purge->execution_id != NULL &&
             !str_eq(row->execution_id.text, purge->execution_id)) ||
            !purge_covers(purge, row->namespace, row->flow_id) ||
            (purge->trigger_id != NULL && !str_eq(row->trigger_id, purge->trigger_id)) ||
            (purge->before != 0 && row->last_at >= purge->before) ||
            (purge->after != 0 && row->first_at < purge->after))
            continue;
        if (log_purge_is_whole(purge, row->levels)) {
            table_remove_at(&store->logs, i);
            continue;
        }
        struct stored_log *thin = ROW_NEW(log);
        struct buf body = { 0 };
        bool is_empty = false;
        thin->row = *row;
        if (row->file_at < 0 && log_block_thin(&thin->row, purge, &body, &is_empty) && !is_empty) {
            thin->row.body = (struct bytes){ .at = body.bytes, .length = body.length };
            copy_log(thin->entry.arena, &thin->row);
            table_put(&store->logs, thin);
        } else {
            entry_free(thin);
            if (is_empty)
                table_remove_at(&store->logs, i);
        }
        buf_free(&body);
    }
}

static void purge_metrics(struct memory_store *store, const struct commit_log_purge *purge)
{
    size_t kept = 0;
    for (size_t i = 0; i < store->metrics.count; i++) {
        struct stored_metric *metric = store->metrics.items[i];
        const struct metric_row *row = &metric->row;
        bool stays = (purge->execution != 0 && row->execution != purge->execution) ||
                     !purge_covers(purge, row->namespace, row->flow_id) ||
                     (purge->before != 0 && row->at >= purge->before) ||
                     (purge->after != 0 && row->at < purge->after);
        if (stays)
            store->metrics.items[kept++] = metric;
        else
            entry_free(metric);
    }
    store->metrics.count = kept;
}

/* Puts or removes all rows of one kind. */
#define APPLY(changes, table, name)                                                                \
    for (size_t i = 0; i < (changes).count; i++) {                                                 \
        struct stored_##name *stored = ROW_NEW(name);                                              \
        stored->row = (changes).items[i].row;                                                      \
        if ((changes).items[i].is_removed) {                                                       \
            table_remove(&(table), stored);                                                        \
            entry_free(stored);                                                                    \
        } else {                                                                                   \
            copy_##name(stored->entry.arena, &stored->row);                                        \
            table_put(&(table), stored);                                                           \
        }                                                                                          \
    }

static void put_trigger(struct memory_store *store, const struct commit_trigger *change)
{
    struct stored_trigger *stored = ROW_NEW(trigger);
    stored->row = change->row;
    const struct stored_trigger *before = table_find(&store->triggers, stored);
    if (change->is_removed) {
        table_remove(&store->triggers, stored);
        entry_free(stored);
        return;
    }
    if (change->is_advance && before != NULL) {
        stored->row = before->row;
        stored->row.date = change->row.date;
        stored->row.next_at = change->row.next_at;
        stored->row.execution_id = change->row.execution_id;
        stored->row.updated_at = change->row.updated_at;
    }
    copy_trigger(stored->entry.arena, &stored->row);
    table_put(&store->triggers, stored);
}

static void put_kv(struct memory_store *store, const struct commit_kv *change)
{
    struct stored_kv *stored = ROW_NEW(kv);
    stored->row = change->row;
    if (change->is_version) {
        table_remove(&store->kv_versions, stored);
        entry_free(stored);
        return;
    }
    copy_kv(stored->entry.arena, &stored->row);
    const struct stored_kv *before = table_find(&store->kv, stored);
    if (before != NULL && !change->is_removed && before->row.revision < stored->row.revision) {
        struct stored_kv *version = ROW_NEW(kv);
        version->row = before->row;
        copy_kv(version->entry.arena, &version->row);
        table_put(&store->kv_versions, version);
    }
    // Those that are too many follow, since the newest come first.
    struct stored_kv like = { .row = stored->row };
    like.row.revision = change->is_removed ? INT64_MAX : stored->row.revision - KV_VERSIONS_MAX - 1;
    size_t at = table_lower(&store->kv_versions, &like);
    while (at < store->kv_versions.count && compare_kv(store->kv_versions.rows[at], stored) == 0)
        table_remove_at(&store->kv_versions, at);
    if (change->is_removed) {
        table_remove(&store->kv, stored);
        entry_free(stored);
    } else {
        table_put(&store->kv, stored);
    }
}

static void put_rest(struct memory_store *store, const struct commit *commit)
{
    for (size_t i = 0; i < commit->logs.count; i++) {
        struct stored_log *log = ROW_NEW(log);
        log->row = commit->logs.items[i];
        log->row.key = ++store->log_key;
        if (log->row.body.length == 0)
            log->row.body = (struct bytes){ 0 };
        copy_log(log->entry.arena, &log->row);
        table_put(&store->logs, log);
    }
    for (size_t i = 0; i < commit->metrics.count; i++) {
        struct stored_metric *metric = ROW_NEW(metric);
        metric->row = commit->metrics.items[i];
        metric->number = ++store->metric_number;
        copy_metric(metric->entry.arena, &metric->row);
        *VEC_PUSH(&store->metrics) = metric;
    }
    for (size_t i = 0; i < commit->flow_purges.count; i++) {
        const struct commit_flow_purge *purge = &commit->flow_purges.items[i];
        struct stored_flow like = {
            .row = { .namespace = purge->namespace, .id = purge->id, .revision = purge->revision }
        };
        table_remove(&store->flows, &like);
    }
    for (size_t i = 0; i < commit->triggers.count; i++)
        if (commit->triggers.items[i].row.key > store->numbers.trigger)
            store->numbers.trigger = commit->triggers.items[i].row.key;
    for (size_t i = 0; i < commit->outbox.count; i++)
        if (commit->outbox.items[i].row.key > store->numbers.outbox)
            store->numbers.outbox = commit->outbox.items[i].row.key;
    for (size_t i = 0; i < commit->triggers.count; i++)
        put_trigger(store, &commit->triggers.items[i]);
    for (size_t i = 0; i < commit->kv.count; i++)
        put_kv(store, &commit->kv.items[i]);
    APPLY(commit->files, store->files, file)
    APPLY(commit->documents, store->documents, document)
    APPLY(commit->outbox, store->outbox, outbox)
    APPLY(commit->windows, store->windows, window)
    APPLY(commit->cache, store->cache, cache)
    APPLY(commit->queued, store->queued, queued)
    for (size_t i = 0; i < commit->log_purges.count; i++) {
        const struct commit_log_purge *purge = &commit->log_purges.items[i];
        if (!purge->keeps_lines)
            purge_lines(store, purge);
        if (purge->metrics_too)
            purge_metrics(store, purge);
    }
}

static bool memory_commit(struct store *base, const struct commit *commit, struct error *err)
{
    struct memory_store *store = (struct memory_store *)base;
    pthread_mutex_lock(&store->lock);
    bool is_stored = commit->number == store->numbers.commit;
    bool ok = is_stored;
    if (!is_stored && commit->number != store->numbers.commit + 1)
        error_set(err, ERR_CONFLICT, "the store is at commit %lld, not %lld",
                  (long long)store->numbers.commit, (long long)commit->number - 1);
    else if (!is_stored)
        ok = check_executions(store, commit, err);
    if (ok && !is_stored) {
        for (size_t i = 0; i < commit->flows.count; i++)
            put_flow(store, &commit->flows.items[i]);
        put_executions(store, commit);
        put_rest(store, commit);
        store->numbers.commit = commit->number;
    }
    pthread_mutex_unlock(&store->lock);
    return ok;
}

static bool memory_numbers(struct store *base, struct store_numbers *out, struct error *err)
{
    struct memory_store *store = (struct memory_store *)base;
    (void)err; // nothing can fail
    pthread_mutex_lock(&store->lock);
    *out = store->numbers;
    pthread_mutex_unlock(&store->lock);
    return true;
}

static bool memory_maintain(struct store *base, usec_t now)
{
    (void)base;
    (void)now;
    return false; // nothing to keep in order
}

static bool memory_check(struct store *base, struct error *err)
{
    (void)base;
    (void)err;
    return true;
}

static struct store_reader *memory_reader(struct store *base, struct error *err)
{
    (void)err; // nothing can fail
    return memory_reader_new((struct memory_store *)base);
}

static void memory_free(struct store *base)
{
    struct memory_store *store = (struct memory_store *)base;
    for (size_t i = 0; i < store->executions.count; i++)
        table_free(&((struct stored_execution *)store->executions.rows[i])->runs);
    struct table *tables[] = { &store->executions, &store->flows,   &store->triggers,
                               &store->kv,         &store->files,   &store->documents,
                               &store->outbox,     &store->windows, &store->cache,
                               &store->queued,     &store->logs,    &store->kv_versions };
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        table_free(tables[i]);
    for (size_t i = 0; i < store->metrics.count; i++)
        entry_free(store->metrics.items[i]);
    VEC_FREE(&store->metrics);
    map_free(&store->executions_by_id);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

static const struct store_ops memory_ops = {
    .name = "memory",
    .commit = memory_commit,
    .numbers = memory_numbers,
    .reader = memory_reader,
    .maintain = memory_maintain,
    .check = memory_check,
    .free = memory_free,
};

struct store *store_memory_new(void)
{
    struct memory_store *store = check_calloc(1, sizeof(*store));
    store->base.ops = &memory_ops;
    // the thread whose reads are in one transaction may read with another reader meanwhile
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&store->lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
    store->executions.compare = compare_executions;
    store->flows.compare = compare_flows;
    store->triggers.compare = compare_triggers;
    store->kv.compare = compare_kv;
    store->kv_versions.compare = compare_kv_versions;
    store->files.compare = compare_files;
    store->documents.compare = compare_documents;
    store->outbox.compare = compare_outbox;
    store->windows.compare = compare_windows;
    store->cache.compare = compare_cache;
    store->queued.compare = compare_queued;
    store->logs.compare = compare_logs;
    return &store->base;
}
