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
#include "runtime/store/store.h"

/* ---- sorted tables ---- */

typedef int compare_fn(const void *a, const void *b);

/* First member of every row kept in a table. */
struct entry {
    struct arena *arena;
};

struct table {
    compare_fn *compare;
    void **rows; /* structs that begin with a struct entry */
    size_t count;
    size_t capacity;
};

/* Index of the first row that is not less than `like`. */
static size_t table_lower(const struct table *table, const void *like)
{
    size_t low = 0;
    size_t high = table->count;
    // New rows mostly go to the end.
    if (high > 0 && table->compare(table->rows[high - 1], like) < 0)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->compare(table->rows[middle], like) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void *table_find(const struct table *table, const void *like)
{
    size_t at = table_lower(table, like);
    bool found = at < table->count && table->compare(table->rows[at], like) == 0;
    return found ? table->rows[at] : NULL;
}

static void entry_free(void *row)
{
    arena_free(((struct entry *)row)->arena);
}

/* Takes the place of an equal row. */
static void table_put(struct table *table, void *row)
{
    size_t at = table_lower(table, row);
    if (at < table->count && table->compare(table->rows[at], row) == 0) {
        entry_free(table->rows[at]);
        table->rows[at] = row;
        return;
    }
    if (table->count == table->capacity) {
        table->capacity = table->capacity == 0 ? 16 : table->capacity * 2;
        table->rows = check_realloc(table->rows, table->capacity * sizeof(*table->rows));
    }
    memmove(table->rows + at + 1, table->rows + at, (table->count - at) * sizeof(*table->rows));
    table->rows[at] = row;
    table->count++;
}

static void table_remove_at(struct table *table, size_t at)
{
    entry_free(table->rows[at]);
    table->count--;
    memmove(table->rows + at, table->rows + at + 1, (table->count - at) * sizeof(*table->rows));
}

static void table_remove(struct table *table, const void *like)
{
    size_t at = table_lower(table, like);
    if (at < table->count && table->compare(table->rows[at], like) == 0)
        table_remove_at(table, at);
}

static void table_free(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        entry_free(table->rows[i]);
    free(table->rows);
}

/* ---- rows ---- */

struct stored_execution {
    struct entry entry;
    struct execution_row row; /* labels kept, header kept, runs elsewhere */
    struct table runs;
};

struct stored_run {
    struct entry entry;
    struct run_row row;
};

#define STORED(name, type)                                                                         \
    struct stored_##name {                                                                         \
        struct entry entry;                                                                        \
        struct type row;                                                                           \
    };

STORED(flow, flow_row)
STORED(trigger, trigger_state)
STORED(kv, kv_row)
STORED(file, file_row)
STORED(document, document_row)
STORED(outbox, outbox_row)
STORED(window, window_row)
STORED(cache, cache_row)
STORED(queued, queued_row)
STORED(log, log_row)
STORED(metric, metric_row)

/* A new row of a table with its arena. */
#define ROW_NEW(name) ((struct stored_##name *)row_new(sizeof(struct stored_##name)))

static void *row_new(size_t size)
{
    struct arena *arena = arena_new_sized(size + 256);
    struct entry *entry = arena_alloc(arena, size);
    entry->arena = arena;
    return entry;
}

static int compare_ints(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int first_difference(int a, int b)
{
    return a != 0 ? a : b;
}

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

struct memory_store {
    struct store base;
    pthread_mutex_t lock;
    struct store_numbers numbers;
    int64_t log_key;
    struct map executions_by_id;
    struct table executions;
    struct table flows; /* all revisions */
    struct table triggers;
    struct table kv;
    struct table files; /* all revisions */
    struct table documents;
    struct table outbox;
    struct table windows;
    struct table cache;
    struct table queued;
    struct table logs;
    VEC(struct stored_metric *) metrics;
};

/* ---- copies: of what is committed into rows, of rows into answers ---- */

static struct bytes copy_bytes(struct arena *arena, struct bytes bytes)
{
    return (struct bytes){
        .at = bytes.at != NULL ? arena_memdup(arena, bytes.at, bytes.length) : NULL,
        .length = bytes.length,
    };
}

static void copy_origin(struct arena *arena, struct origin *origin)
{
    origin->actor = arena_strdup(arena, origin->actor);
    origin->channel = arena_strdup(arena, origin->channel);
    origin->source = arena_strdup(arena, origin->source);
    origin->commit = arena_strdup(arena, origin->commit);
}

static void copy_execution(struct arena *arena, struct execution_row *row, bool with_labels)
{
    row->namespace = arena_strdup(arena, row->namespace);
    row->flow_id = arena_strdup(arena, row->flow_id);
    row->trigger_id = arena_strdup(arena, row->trigger_id);
    row->cause_id = arena_strdup(arena, row->cause_id);
    row->parent_id = arena_strdup(arena, row->parent_id);
    row->header = copy_bytes(arena, row->header);
    struct label *labels = NULL;
    if (with_labels && row->labels_count > 0) {
        labels = ARENA_ARRAY(arena, row->labels_count, struct label);
        for (size_t i = 0; i < row->labels_count; i++)
            labels[i] = (struct label){ .key = arena_strdup(arena, row->labels[i].key),
                                        .value = arena_strdup(arena, row->labels[i].value) };
    }
    row->labels = labels;
    row->labels_count = labels != NULL ? row->labels_count : 0;
    row->runs = NULL;
    row->runs_count = 0;
}

static void copy_flow(struct arena *arena, struct flow_row *row, bool with_source)
{
    row->namespace = arena_strdup(arena, row->namespace);
    row->id = arena_strdup(arena, row->id);
    row->source = with_source ? arena_strndup(arena, row->source, row->source_length) : NULL;
    row->source_length = with_source ? row->source_length : 0;
    row->digest = arena_strdup(arena, row->digest);
    row->labels = arena_strdup(arena, row->labels);
    row->description = arena_strdup(arena, row->description);
    copy_origin(arena, &row->origin);
}

static void copy_trigger(struct arena *arena, struct trigger_state *row)
{
    row->namespace = arena_strdup(arena, row->namespace);
    row->flow_id = arena_strdup(arena, row->flow_id);
    row->trigger_id = arena_strdup(arena, row->trigger_id);
    row->type = arena_strdup(arena, row->type);
    row->spec = arena_strdup(arena, row->spec);
    row->worker_id = arena_strdup(arena, row->worker_id);
    row->execution_id = arena_strdup(arena, row->execution_id);
    row->stop_after = arena_strdup(arena, row->stop_after);
    row->backfill.inputs = arena_strdup(arena, row->backfill.inputs);
    row->backfill.labels = arena_strdup(arena, row->backfill.labels);
    if (row->backfill.start == 0)
        row->backfill = (struct backfill){ 0 };
}

static void copy_kv(struct arena *arena, struct kv_row *row)
{
    row->namespace = arena_strdup(arena, row->namespace);
    row->key = arena_strdup(arena, row->key);
    row->type = arena_strdup(arena, row->type);
    row->value = arena_strdup(arena, row->value);
    row->description = arena_strdup(arena, row->description);
    copy_origin(arena, &row->origin);
}

static void copy_file(struct arena *arena, struct file_row *row)
{
    row->namespace = arena_strdup(arena, row->namespace);
    row->path = arena_strdup(arena, row->path);
    row->digest = arena_strdup(arena, row->digest);
    row->content = arena_strdup(arena, row->content);
    copy_origin(arena, &row->origin);
}

static void copy_document(struct arena *arena, struct document_row *row)
{
    row->collection = arena_strdup(arena, row->collection);
    row->key = arena_strdup(arena, row->key);
    row->body = copy_bytes(arena, row->body);
}

static void copy_outbox(struct arena *arena, struct outbox_row *row)
{
    row->topic = arena_strdup(arena, row->topic);
    row->order_key = arena_strdup(arena, row->order_key);
    row->body = copy_bytes(arena, row->body);
}

static void copy_window(struct arena *arena, struct window_row *row)
{
    row->namespace = arena_strdup(arena, row->namespace);
    row->flow_id = arena_strdup(arena, row->flow_id);
    row->window_id = arena_strdup(arena, row->window_id);
    row->body = copy_bytes(arena, row->body);
}

static void copy_cache(struct arena *arena, struct cache_row *row)
{
    row->namespace = arena_strdup(arena, row->namespace);
    row->flow_id = arena_strdup(arena, row->flow_id);
    row->key = arena_strdup(arena, row->key);
    row->body = copy_bytes(arena, row->body);
}

static void copy_queued(struct arena *arena, struct queued_row *row)
{
    row->namespace = arena_strdup(arena, row->namespace);
    row->flow_id = arena_strdup(arena, row->flow_id);
}

static void copy_log(struct arena *arena, struct log_row *row)
{
    row->namespace = arena_strdup(arena, row->namespace);
    row->flow_id = arena_strdup(arena, row->flow_id);
    row->trigger_id = arena_strdup(arena, row->trigger_id);
    row->body = copy_bytes(arena, row->body);
}

static void copy_metric(struct arena *arena, struct metric_row *row)
{
    row->namespace = arena_strdup(arena, row->namespace);
    row->flow_id = arena_strdup(arena, row->flow_id);
    row->task_id = arena_strdup(arena, row->task_id);
    row->run_id = arena_strdup(arena, row->run_id);
    row->type = arena_strdup(arena, row->type);
    row->name = arena_strdup(arena, row->name);
    row->tags = arena_strdup(arena, row->tags);
}

/* ---- commit ---- */

static struct stored_execution *execution_of(const struct memory_store *store, int64_t key)
{
    struct stored_execution like = { .row.key = key };
    return table_find(&store->executions, &like);
}

/* Would a row that must be new meet another? Looked at before anything is changed. */
static bool check_executions(const struct memory_store *store,
                             const struct commit *commit,
                             struct error *err)
{
    for (size_t i = 0; i < commit->executions.count; i++) {
        const struct commit_execution *change = &commit->executions.items[i];
        const struct execution_row *row = &change->row;
        bool exists = execution_of(store, row->key) != NULL;
        if (change->is_new && (exists || map_has(&store->executions_by_id, row->id.text)))
            return error_set(err, ERR_CONFLICT, "execution '%s' exists", row->id.text);
        if (!change->is_new && !change->is_removed && !exists)
            return error_set(err, ERR_CONFLICT, "execution '%s' is not stored", row->id.text);
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

/* Index of the first revision of a flow, and how many there are. */
static size_t flow_span(const struct memory_store *store,
                        const char *namespace,
                        const char *id,
                        size_t *count)
{
    struct stored_flow like = { .row = { .namespace = namespace, .id = id } };
    size_t first = table_lower(&store->flows, &like);
    size_t last = first;
    while (last < store->flows.count) {
        const struct stored_flow *flow = store->flows.rows[last];
        if (!str_eq(flow->row.namespace, namespace) || !str_eq(flow->row.id, id))
            break;
        last++;
    }
    *count = last - first;
    return first;
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
            !purge_covers(purge, row->namespace, row->flow_id) ||
            (purge->trigger_id != NULL && !str_eq(row->trigger_id, purge->trigger_id)) ||
            (purge->before != 0 && row->last_at >= purge->before) ||
            (purge->after != 0 && row->first_at < purge->after))
            continue;
        if (purge->levels == 0 || (row->levels & ~purge->levels) == 0) {
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
    APPLY(commit->kv, store->kv, kv)
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

/* ---- reading ---- */

struct memory_reader {
    struct store_reader base;
    struct memory_store *store;
    bool is_begun;
};

/* The store, locked; unlock with leave(). */
static struct memory_store *enter(struct store_reader *base)
{
    struct memory_reader *reader = (struct memory_reader *)base;
    if (!reader->is_begun)
        pthread_mutex_lock(&reader->store->lock);
    return reader->store;
}

static void leave(struct store_reader *base)
{
    struct memory_reader *reader = (struct memory_reader *)base;
    if (!reader->is_begun)
        pthread_mutex_unlock(&reader->store->lock);
}

static bool memory_begin(struct store_reader *base, struct error *err)
{
    struct memory_reader *reader = (struct memory_reader *)base;
    (void)err;
    pthread_mutex_lock(&reader->store->lock);
    reader->is_begun = true;
    return true;
}

static void memory_end(struct store_reader *base)
{
    struct memory_reader *reader = (struct memory_reader *)base;
    reader->is_begun = false;
    pthread_mutex_unlock(&reader->store->lock);
}

/* An answer under way: pointers to rows, still the store's, that are copied at the end. */
struct picks {
    VEC(const void *) rows;
};

static void pick(struct picks *picks, const void *row)
{
    *VEC_PUSH(&picks->rows) = row;
}

/* Leaves the page of a query; *total gets how many there were. */
static void page(struct picks *picks, const struct query *query, int64_t *total)
{
    size_t count = picks->rows.count;
    if (total != NULL)
        *total = (int64_t)count;
    size_t first = query->offset < count ? query->offset : count;
    size_t kept = count - first < query->limit ? count - first : query->limit;
    if (kept > 0)
        memmove(picks->rows.items, picks->rows.items + first, kept * sizeof(*picks->rows.items));
    picks->rows.count = kept;
}

static bool answer(bool found, struct error *err, const char *what, const char *name)
{
    return found || error_set(err, ERR_NOT_FOUND, "%s '%s' does not exist", what, name);
}

/* ---- executions ---- */

static void answer_execution(struct arena *arena,
                             const struct stored_execution *stored,
                             bool with_runs,
                             struct execution_row *out)
{
    *out = stored->row;
    copy_execution(arena, out, false);
    if (!with_runs || stored->runs.count == 0)
        return;
    out->runs = ARENA_ARRAY(arena, stored->runs.count, struct run_row);
    out->runs_count = stored->runs.count;
    for (size_t i = 0; i < stored->runs.count; i++) {
        out->runs[i] = ((struct stored_run *)stored->runs.rows[i])->row;
        out->runs[i].body = copy_bytes(arena, out->runs[i].body);
    }
}

static void answer_executions(struct arena *arena,
                              struct picks *picks,
                              bool with_runs,
                              struct execution_row **out,
                              size_t *count)
{
    *count = picks->rows.count;
    *out = ARENA_ARRAY(arena, picks->rows.count, struct execution_row);
    for (size_t i = 0; i < picks->rows.count; i++)
        answer_execution(arena, picks->rows.items[i], with_runs, &(*out)[i]);
    VEC_FREE(&picks->rows);
}

static bool memory_execution_get(struct store_reader *base,
                                 struct arena *arena,
                                 const char *id,
                                 struct execution_row *out,
                                 struct error *err)
{
    struct memory_store *store = enter(base);
    size_t found = 0;
    const struct stored_execution *match = map_find(&store->executions_by_id, id);
    if (match != NULL)
        found = 1;
    for (size_t i = 0; i < store->executions.count && match == NULL && strlen(id) >= 4; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (str_starts(stored->row.id.text, id))
            found++;
    }
    for (size_t i = 0; i < store->executions.count && match == NULL && found == 1; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (str_starts(stored->row.id.text, id))
            match = stored;
    }
    if (found == 1)
        answer_execution(arena, match, true, out);
    leave(base);
    if (found > 1)
        return error_set(err, ERR_CONFLICT, "several executions begin with '%s'", id);
    return answer(found == 1, err, "execution", id);
}

static bool memory_execution_by_key(struct store_reader *base,
                                    struct arena *arena,
                                    int64_t key,
                                    struct execution_row *out,
                                    struct error *err)
{
    const struct stored_execution *stored = execution_of(enter(base), key);
    bool found = stored != NULL;
    if (found)
        answer_execution(arena, stored, true, out);
    leave(base);
    return found ||
           error_set(err, ERR_NOT_FOUND, "execution number %lld does not exist", (long long)key);
}

/* Order of a search. */
struct order {
    enum field field;
    bool descending;
};

static usec_t duration_of(const struct execution_row *row)
{
    return row->ended_at > 0 ? row->ended_at - row->created_at : -1;
}

static int compare_by(enum field field,
                      const struct execution_row *x,
                      const struct execution_row *y)
{
    if (field == FIELD_ID || field == FIELD_EXECUTION)
        return strcmp(x->id.text, y->id.text);
    if (field == FIELD_NAMESPACE)
        return strcmp(x->namespace, y->namespace);
    if (field == FIELD_FLOW)
        return strcmp(x->flow_id, y->flow_id);
    if (field == FIELD_STATE)
        return (int)x->state - (int)y->state;
    if (field == FIELD_END)
        return compare_ints(x->ended_at, y->ended_at);
    if (field == FIELD_DURATION)
        return compare_ints(duration_of(x), duration_of(y));
    return compare_ints(x->created_at, y->created_at);
}

static int compare_found(const void *a, const void *b, void *data)
{
    const struct order *order = data;
    const struct execution_row *x = &(*(const struct stored_execution *const *)a)->row;
    const struct execution_row *y = &(*(const struct stored_execution *const *)b)->row;
    int result = first_difference(compare_by(order->field, x, y), compare_ints(x->key, y->key));
    return order->descending ? -result : result;
}

static bool memory_execution_search(struct store_reader *base,
                                    struct arena *arena,
                                    const struct query *query,
                                    bool with_runs,
                                    struct execution_row **out,
                                    size_t *count,
                                    int64_t *total,
                                    struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->executions.count; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (query_matches_execution(query, &stored->row))
            pick(&picks, stored);
    }
    bool is_default = query->sort == FIELD_COUNT;
    struct order order = { .field = is_default ? FIELD_START : query->sort,
                           .descending = is_default || query->descending };
    if (picks.rows.count > 1)
        qsort_r(picks.rows.items, picks.rows.count, sizeof(void *), compare_found, &order);
    page(&picks, query, total);
    answer_executions(arena, &picks, with_runs, out, count);
    leave(base);
    return true;
}

static bool memory_execution_children(struct store_reader *base,
                                      struct arena *arena,
                                      const char *cause_id,
                                      bool live_only,
                                      int64_t after,
                                      size_t limit,
                                      struct execution_row **out,
                                      size_t *count,
                                      struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->executions.count && picks.rows.count < limit; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (stored->row.key > after && str_eq(stored->row.cause_id, cause_id) &&
            (!live_only || stored->row.live != LIVE_ENDED))
            pick(&picks, stored);
    }
    answer_executions(arena, &picks, false, out, count);
    leave(base);
    return true;
}

static bool memory_execution_active(struct store_reader *base,
                                    struct arena *arena,
                                    int64_t after,
                                    size_t limit,
                                    struct execution_row **out,
                                    size_t *count,
                                    struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->executions.count && picks.rows.count < limit; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (stored->row.key > after && stored->row.live == LIVE_ACTIVE)
            pick(&picks, stored);
    }
    answer_executions(arena, &picks, true, out, count);
    leave(base);
    return true;
}

static int compare_wakes(const void *a, const void *b)
{
    const struct execution_row *x = &(*(const struct stored_execution *const *)a)->row;
    const struct execution_row *y = &(*(const struct stored_execution *const *)b)->row;
    return first_difference(compare_ints(x->wake_at, y->wake_at), compare_ints(x->key, y->key));
}

static bool memory_execution_waking(struct store_reader *base,
                                    struct arena *arena,
                                    usec_t after_at,
                                    int64_t after_key,
                                    usec_t until,
                                    size_t limit,
                                    struct execution_row **out,
                                    size_t *count,
                                    struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->executions.count; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        const struct execution_row *row = &stored->row;
        bool is_after =
            row->wake_at > after_at || (row->wake_at == after_at && row->key > after_key);
        if (row->live == LIVE_PARKED && row->wake_at > 0 && row->wake_at <= until && is_after)
            pick(&picks, stored);
    }
    if (picks.rows.count > 1)
        qsort(picks.rows.items, picks.rows.count, sizeof(void *), compare_wakes);
    if (picks.rows.count > limit)
        picks.rows.count = limit;
    answer_executions(arena, &picks, false, out, count);
    leave(base);
    return true;
}

static int compare_created(const void *a, const void *b)
{
    const struct execution_row *x = &(*(const struct stored_execution *const *)a)->row;
    const struct execution_row *y = &(*(const struct stored_execution *const *)b)->row;
    return first_difference(compare_ints(x->created_at, y->created_at),
                            compare_ints(x->key, y->key));
}

static bool memory_execution_expired(struct store_reader *base,
                                     struct arena *arena,
                                     usec_t before,
                                     size_t limit,
                                     struct execution_row **out,
                                     size_t *count,
                                     struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->executions.count; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (stored->row.live == LIVE_ENDED && stored->row.ended_at < before &&
            stored->row.created_at < before)
            pick(&picks, stored);
    }
    if (picks.rows.count > 1)
        qsort(picks.rows.items, picks.rows.count, sizeof(void *), compare_created);
    if (picks.rows.count > limit)
        picks.rows.count = limit;
    answer_executions(arena, &picks, false, out, count);
    leave(base);
    return true;
}

/* Adds one to the row of (flow, state, day), which is made when it is not there. */
static void count_one(struct arena *arena,
                      struct count_row **rows,
                      size_t *count,
                      size_t *capacity,
                      const struct execution_row *row,
                      enum state state,
                      usec_t day)
{
    for (size_t i = 0; i < *count; i++) {
        struct count_row *known = &(*rows)[i];
        if (known->day == day && known->state == state &&
            str_eq(known->namespace, row->namespace) && str_eq(known->flow_id, row->flow_id)) {
            known->count++;
            return;
        }
    }
    *rows = vec_grow_arena(arena, *rows, capacity, *count, sizeof(**rows));
    (*rows)[(*count)++] = (struct count_row){
        .namespace = arena_strdup(arena, row->namespace),
        .flow_id = arena_strdup(arena, row->flow_id),
        .state = state,
        .day = day,
        .count = 1,
    };
}

static int compare_counts(const void *a, const void *b)
{
    const struct count_row *x = a;
    const struct count_row *y = b;
    int names =
        first_difference(strcmp(x->namespace, y->namespace), strcmp(x->flow_id, y->flow_id));
    return first_difference(compare_ints(x->day, y->day),
                            first_difference(names, (int)x->state - (int)y->state));
}

static bool memory_slots(struct store_reader *base,
                         struct arena *arena,
                         struct count_row **out,
                         size_t *count,
                         struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct count_row *rows = NULL;
    size_t found = 0;
    size_t capacity = 0;
    for (size_t i = 0; i < store->executions.count; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (stored->row.holds_slot)
            count_one(arena, &rows, &found, &capacity, &stored->row, STATE_CREATED, 0);
    }
    leave(base);
    *out = rows;
    *count = found;
    return true;
}

static bool memory_counts(struct store_reader *base,
                          struct arena *arena,
                          usec_t from,
                          usec_t until,
                          struct count_row **out,
                          size_t *count,
                          struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct count_row *rows = NULL;
    size_t found = 0;
    size_t capacity = 0;
    for (size_t i = 0; i < store->executions.count; i++) {
        const struct execution_row *row =
            &((struct stored_execution *)store->executions.rows[i])->row;
        usec_t day = row->created_at - row->created_at % USEC_DAY;
        if (states[row->state].is_terminal && day >= from && day < until)
            count_one(arena, &rows, &found, &capacity, row, row->state, day);
    }
    leave(base);
    if (found > 1)
        qsort(rows, found, sizeof(*rows), compare_counts);
    *out = rows;
    *count = found;
    return true;
}

static int compare_queue(const void *a, const void *b)
{
    const struct queued_row *x = &(*(const struct stored_queued *const *)a)->row;
    const struct queued_row *y = &(*(const struct stored_queued *const *)b)->row;
    return first_difference(compare_ints(x->queued_at, y->queued_at),
                            compare_ints(x->execution, y->execution));
}

static bool memory_queued(struct store_reader *base,
                          struct arena *arena,
                          const char *namespace,
                          const char *flow_id,
                          size_t limit,
                          struct queued_row **out,
                          size_t *count,
                          struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->queued.count; i++) {
        const struct stored_queued *stored = store->queued.rows[i];
        if (namespace == NULL ||
            (str_eq(stored->row.namespace, namespace) && str_eq(stored->row.flow_id, flow_id)))
            pick(&picks, stored);
    }
    if (picks.rows.count > 1)
        qsort(picks.rows.items, picks.rows.count, sizeof(void *), compare_queue);
    *count = picks.rows.count < limit ? picks.rows.count : limit;
    *out = ARENA_ARRAY(arena, *count, struct queued_row);
    for (size_t i = 0; i < *count; i++) {
        (*out)[i] = ((const struct stored_queued *)picks.rows.items[i])->row;
        copy_queued(arena, &(*out)[i]);
    }
    VEC_FREE(&picks.rows);
    leave(base);
    return true;
}

/* ---- everything else ---- */

/* Copies of the picked rows, as an answer. */
#define ANSWER_ROWS(name, type, ...)                                                               \
    do {                                                                                           \
        *count = picks.rows.count;                                                                 \
        *out = ARENA_ARRAY(arena, picks.rows.count, struct type);                                  \
        for (size_t i = 0; i < picks.rows.count; i++) {                                            \
            (*out)[i] = ((const struct stored_##name *)picks.rows.items[i])->row;                  \
            copy_##name(arena, &(*out)[i] __VA_ARGS__);                                            \
        }                                                                                          \
        VEC_FREE(&picks.rows);                                                                     \
    } while (0)

static bool memory_flow_get(struct store_reader *base,
                            struct arena *arena,
                            const char *namespace,
                            const char *id,
                            int64_t revision,
                            bool allow_deleted,
                            struct flow_row *out,
                            struct error *err)
{
    struct memory_store *store = enter(base);
    size_t count = 0;
    size_t first = flow_span(store, namespace, id, &count);
    const struct flow_row *found = NULL;
    for (size_t i = first; i < first + count; i++) {
        const struct stored_flow *flow = store->flows.rows[i];
        if (revision == 0 || flow->row.revision == revision)
            found = &flow->row;
    }
    if (found != NULL && revision == 0 && found->deleted && !allow_deleted)
        found = NULL;
    if (found != NULL) {
        *out = *found;
        copy_flow(arena, out, true);
    }
    leave(base);
    return found != NULL || error_set(err, ERR_NOT_FOUND, "flow '%s/%s' does not exist%s",
                                      namespace, id, revision > 0 ? " in that revision" : "");
}

static int compare_flow_order(const void *a, const void *b, void *data)
{
    const struct query *query = data;
    const struct flow_row *x = &(*(const struct stored_flow *const *)a)->row;
    const struct flow_row *y = &(*(const struct stored_flow *const *)b)->row;
    int wanted = 0;
    if (query->sort == FIELD_ID || query->sort == FIELD_FLOW)
        wanted = strcmp(x->id, y->id);
    else if (query->sort == FIELD_UPDATED)
        wanted = compare_ints(x->updated_at, y->updated_at);
    else if (query->sort == FIELD_NAMESPACE)
        wanted = strcmp(x->namespace, y->namespace);
    if (wanted != 0)
        return query->descending ? -wanted : wanted;
    return first_difference(strcmp(x->namespace, y->namespace), strcmp(x->id, y->id));
}

static void sort_picks(struct picks *picks,
                       int (*compare)(const void *, const void *, void *),
                       const struct query *query)
{
    struct query copy = *query; // qsort_r() takes no const
    if (picks->rows.count > 1)
        qsort_r(picks->rows.items, picks->rows.count, sizeof(void *), compare, &copy);
}

static bool memory_flow_search(struct store_reader *base,
                               struct arena *arena,
                               const struct query *query,
                               bool with_source,
                               struct flow_row **out,
                               size_t *count,
                               int64_t *total,
                               struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->flows.count; i++) {
        const struct stored_flow *flow = store->flows.rows[i];
        const struct stored_flow *next =
            i + 1 < store->flows.count ? store->flows.rows[i + 1] : NULL;
        bool is_latest = next == NULL || !str_eq(next->row.namespace, flow->row.namespace) ||
                         !str_eq(next->row.id, flow->row.id);
        if (is_latest && !flow->row.deleted && query_matches_flow(query, &flow->row))
            pick(&picks, flow);
    }
    sort_picks(&picks, compare_flow_order, query);
    page(&picks, query, total);
#define AND_SOURCE , with_source
    ANSWER_ROWS(flow, flow_row, AND_SOURCE);
    leave(base);
    return true;
}

static bool memory_flow_revisions(struct store_reader *base,
                                  struct arena *arena,
                                  const char *namespace,
                                  const char *id,
                                  bool with_source,
                                  struct flow_row **out,
                                  size_t *count,
                                  struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    size_t found = 0;
    size_t first = flow_span(store, namespace, id, &found);
    struct picks picks = { 0 };
    for (size_t i = first; i < first + found; i++)
        pick(&picks, store->flows.rows[i]);
    ANSWER_ROWS(flow, flow_row, AND_SOURCE);
    leave(base);
    return true;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool memory_namespaces(struct store_reader *base,
                              struct arena *arena,
                              const char *text,
                              const char ***out,
                              size_t *count,
                              struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    VEC(const char *) names = { 0 };
    for (size_t i = 0; i < store->flows.count; i++) {
        const struct stored_flow *flow = store->flows.rows[i];
        struct flow_row latest;
        if (!flow->row.deleted) {
            size_t revisions = 0;
            size_t first = flow_span(store, flow->row.namespace, flow->row.id, &revisions);
            latest = ((struct stored_flow *)store->flows.rows[first + revisions - 1])->row;
            if (!latest.deleted)
                *VEC_PUSH_ARENA(arena, &names) = arena_strdup(arena, flow->row.namespace);
        }
    }
    for (size_t i = 0; i < store->kv.count; i++)
        *VEC_PUSH_ARENA(arena, &names) =
            arena_strdup(arena, ((struct stored_kv *)store->kv.rows[i])->row.namespace);
    for (size_t i = 0; i < store->files.count; i++)
        *VEC_PUSH_ARENA(arena, &names) =
            arena_strdup(arena, ((struct stored_file *)store->files.rows[i])->row.namespace);
    leave(base);
    if (names.count > 1)
        qsort(names.items, names.count, sizeof(*names.items), compare_texts);
    size_t kept = 0;
    for (size_t i = 0; i < names.count; i++)
        if ((kept == 0 || !str_eq(names.items[kept - 1], names.items[i])) &&
            (text == NULL || text_contains(names.items[i], text)))
            names.items[kept++] = names.items[i];
    *out = names.items;
    *count = kept;
    return true;
}

static bool memory_trigger_get(struct store_reader *base,
                               struct arena *arena,
                               const char *namespace,
                               const char *flow_id,
                               const char *trigger_id,
                               struct trigger_state *out,
                               struct error *err)
{
    struct memory_store *store = enter(base);
    bool found = false;
    for (size_t i = 0; i < store->triggers.count && !found; i++) {
        const struct trigger_state *row = &((struct stored_trigger *)store->triggers.rows[i])->row;
        found = str_eq(row->namespace, namespace) && str_eq(row->flow_id, flow_id) &&
                str_eq(row->trigger_id, trigger_id);
        if (found) {
            *out = *row;
            copy_trigger(arena, out);
        }
    }
    leave(base);
    return found || error_set(err, ERR_NOT_FOUND, "trigger '%s' of flow '%s/%s' does not exist",
                              trigger_id, namespace, flow_id);
}

static bool memory_trigger_by_key(struct store_reader *base,
                                  struct arena *arena,
                                  int64_t key,
                                  struct trigger_state *out,
                                  struct error *err)
{
    struct stored_trigger like = { .row.key = key };
    const struct stored_trigger *stored = table_find(&enter(base)->triggers, &like);
    bool found = stored != NULL;
    if (found) {
        *out = stored->row;
        copy_trigger(arena, out);
    }
    leave(base);
    return found ||
           error_set(err, ERR_NOT_FOUND, "trigger number %lld does not exist", (long long)key);
}

static int compare_optional(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        return (a != NULL) - (b != NULL);
    return strcmp(a, b);
}

static int compare_trigger_order(const void *a, const void *b, void *data)
{
    const struct query *query = data;
    const struct trigger_state *x = &(*(const struct stored_trigger *const *)a)->row;
    const struct trigger_state *y = &(*(const struct stored_trigger *const *)b)->row;
    int wanted = 0;
    if (query->sort == FIELD_NAMESPACE)
        wanted = strcmp(x->namespace, y->namespace);
    else if (query->sort == FIELD_FLOW)
        wanted = strcmp(x->flow_id, y->flow_id);
    else if (query->sort == FIELD_TRIGGER)
        wanted = strcmp(x->trigger_id, y->trigger_id);
    else if (query->sort == FIELD_EXECUTION)
        wanted = compare_optional(x->execution_id, y->execution_id);
    else if (query->sort == FIELD_NEXT)
        wanted = compare_ints(x->next_at, y->next_at);
    else if (query->sort == FIELD_UPDATED)
        wanted = compare_ints(x->updated_at, y->updated_at);
    if (wanted != 0)
        return query->descending ? -wanted : wanted;
    int names =
        first_difference(strcmp(x->namespace, y->namespace), strcmp(x->flow_id, y->flow_id));
    return first_difference(names, strcmp(x->trigger_id, y->trigger_id));
}

static bool memory_trigger_search(struct store_reader *base,
                                  struct arena *arena,
                                  const struct query *query,
                                  struct trigger_state **out,
                                  size_t *count,
                                  int64_t *total,
                                  struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->triggers.count; i++) {
        const struct stored_trigger *trigger = store->triggers.rows[i];
        if (query_matches_trigger(query, &trigger->row))
            pick(&picks, trigger);
    }
    sort_picks(&picks, compare_trigger_order, query);
    page(&picks, query, total);
    ANSWER_ROWS(trigger, trigger_state, );
    leave(base);
    return true;
}

static bool memory_trigger_all(struct store_reader *base,
                               struct arena *arena,
                               int64_t after,
                               size_t limit,
                               struct trigger_state **out,
                               size_t *count,
                               struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->triggers.count && picks.rows.count < limit; i++) {
        const struct stored_trigger *trigger = store->triggers.rows[i];
        if (trigger->row.key > after)
            pick(&picks, trigger);
    }
    ANSWER_ROWS(trigger, trigger_state, );
    leave(base);
    return true;
}

static bool memory_kv_get(struct store_reader *base,
                          struct arena *arena,
                          const char *namespace,
                          const char *key,
                          struct kv_row *out,
                          struct error *err)
{
    struct stored_kv like = { .row = { .namespace = namespace, .key = key } };
    const struct stored_kv *stored = table_find(&enter(base)->kv, &like);
    bool found = stored != NULL;
    if (found) {
        *out = stored->row;
        copy_kv(arena, out);
    }
    leave(base);
    return found || error_set(err, ERR_NOT_FOUND, "no value found for key '%s' in namespace '%s'",
                              key, namespace);
}

static int compare_kv_order(const void *a, const void *b, void *data)
{
    const struct query *query = data;
    const struct kv_row *x = &(*(const struct stored_kv *const *)a)->row;
    const struct kv_row *y = &(*(const struct stored_kv *const *)b)->row;
    int wanted = 0;
    if (query->sort == FIELD_KEY)
        wanted = strcmp(x->key, y->key);
    else if (query->sort == FIELD_NAMESPACE)
        wanted = strcmp(x->namespace, y->namespace);
    else if (query->sort == FIELD_UPDATED)
        wanted = compare_ints(x->updated_at, y->updated_at);
    else if (query->sort == FIELD_CREATED)
        wanted = compare_ints(x->created_at, y->created_at);
    else if (query->sort == FIELD_EXPIRES)
        wanted = compare_ints(x->expires_at, y->expires_at);
    if (wanted != 0)
        return query->descending ? -wanted : wanted;
    return first_difference(strcmp(x->namespace, y->namespace), strcmp(x->key, y->key));
}

static bool memory_kv_search(struct store_reader *base,
                             struct arena *arena,
                             const struct query *query,
                             struct kv_row **out,
                             size_t *count,
                             int64_t *total,
                             struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->kv.count; i++) {
        const struct stored_kv *kv = store->kv.rows[i];
        if (query_matches_kv(query, &kv->row))
            pick(&picks, kv);
    }
    sort_picks(&picks, compare_kv_order, query);
    page(&picks, query, total);
    ANSWER_ROWS(kv, kv_row, );
    leave(base);
    return true;
}

static bool memory_file_get(struct store_reader *base,
                            struct arena *arena,
                            const char *namespace,
                            const char *path,
                            int64_t revision,
                            struct file_row *out,
                            struct error *err)
{
    struct memory_store *store = enter(base);
    const struct file_row *found = NULL;
    for (size_t i = 0; i < store->files.count; i++) {
        const struct file_row *row = &((struct stored_file *)store->files.rows[i])->row;
        if (str_eq(row->namespace, namespace) && str_eq(row->path, path) &&
            (revision == 0 || row->revision == revision))
            found = row;
    }
    if (found != NULL && revision == 0 && found->deleted)
        found = NULL;
    if (found != NULL) {
        *out = *found;
        copy_file(arena, out);
    }
    leave(base);
    return found != NULL ||
           error_set(err, ERR_NOT_FOUND, "file '%s' does not exist in namespace '%s'", path,
                     namespace);
}

static bool is_latest_file(const struct memory_store *store, size_t at)
{
    if (at + 1 == store->files.count)
        return true;
    const struct file_row *row = &((struct stored_file *)store->files.rows[at])->row;
    const struct file_row *next = &((struct stored_file *)store->files.rows[at + 1])->row;
    return !str_eq(row->namespace, next->namespace) || !str_eq(row->path, next->path);
}

static bool memory_file_list(struct store_reader *base,
                             struct arena *arena,
                             const char *namespace,
                             const char *folder,
                             struct file_row **out,
                             size_t *count,
                             struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    size_t length = str_eq(folder, "/") ? 0 : strlen(folder);
    for (size_t i = 0; i < store->files.count; i++) {
        const struct stored_file *file = store->files.rows[i];
        if (str_eq(file->row.namespace, namespace) && !file->row.deleted &&
            is_latest_file(store, i) && strncmp(file->row.path, folder, length) == 0 &&
            file->row.path[length] == '/')
            pick(&picks, file);
    }
    ANSWER_ROWS(file, file_row, );
    leave(base);
    return true;
}

static bool memory_file_revisions(struct store_reader *base,
                                  struct arena *arena,
                                  const char *namespace,
                                  const char *path,
                                  struct file_row **out,
                                  size_t *count,
                                  struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->files.count; i++) {
        const struct stored_file *file = store->files.rows[i];
        if (str_eq(file->row.namespace, namespace) &&
            (path == NULL || str_eq(file->row.path, path)))
            pick(&picks, file);
    }
    ANSWER_ROWS(file, file_row, );
    leave(base);
    return true;
}

static bool memory_document_get(struct store_reader *base,
                                struct arena *arena,
                                const char *collection,
                                const char *key,
                                struct document_row *out,
                                struct error *err)
{
    struct stored_document like = { .row = { .collection = collection, .key = key } };
    const struct stored_document *stored = table_find(&enter(base)->documents, &like);
    bool found = stored != NULL;
    if (found) {
        *out = stored->row;
        copy_document(arena, out);
    }
    leave(base);
    return found || error_set(err, ERR_NOT_FOUND, "'%s' does not exist in '%s'", key, collection);
}

static bool memory_document_list(struct store_reader *base,
                                 struct arena *arena,
                                 const char *collection,
                                 const char *prefix,
                                 const char *after,
                                 size_t limit,
                                 struct document_row **out,
                                 size_t *count,
                                 struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->documents.count && picks.rows.count < limit; i++) {
        const struct stored_document *document = store->documents.rows[i];
        if (str_eq(document->row.collection, collection) &&
            (prefix == NULL || str_starts(document->row.key, prefix)) &&
            (after == NULL || strcmp(document->row.key, after) > 0))
            pick(&picks, document);
    }
    ANSWER_ROWS(document, document_row, );
    leave(base);
    return true;
}

static int compare_recent(const void *a, const void *b)
{
    const struct document_row *x = &(*(const struct stored_document *const *)a)->row;
    const struct document_row *y = &(*(const struct stored_document *const *)b)->row;
    return first_difference(compare_ints(y->at, x->at), strcmp(x->key, y->key));
}

static bool memory_document_recent(struct store_reader *base,
                                   struct arena *arena,
                                   const char *collection,
                                   usec_t before,
                                   size_t limit,
                                   struct document_row **out,
                                   size_t *count,
                                   struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->documents.count; i++) {
        const struct stored_document *document = store->documents.rows[i];
        if (str_eq(document->row.collection, collection) && document->row.at < before)
            pick(&picks, document);
    }
    if (picks.rows.count > 1)
        qsort(picks.rows.items, picks.rows.count, sizeof(void *), compare_recent);
    if (picks.rows.count > limit)
        picks.rows.count = limit;
    ANSWER_ROWS(document, document_row, );
    leave(base);
    return true;
}

static bool has_earlier(const struct memory_store *store, const struct outbox_row *row)
{
    for (size_t i = 0; i < store->outbox.count; i++) {
        const struct outbox_row *other = &((struct stored_outbox *)store->outbox.rows[i])->row;
        if (other->key >= row->key)
            return false;
        if (str_eq(other->topic, row->topic) && other->order_key != NULL &&
            str_eq(other->order_key, row->order_key))
            return true;
    }
    return false;
}

static bool memory_outbox_due(struct store_reader *base,
                              struct arena *arena,
                              const char *topic,
                              usec_t now,
                              size_t limit,
                              struct outbox_row **out,
                              size_t *count,
                              struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->outbox.count && picks.rows.count < limit; i++) {
        const struct stored_outbox *outbox = store->outbox.rows[i];
        if (str_eq(outbox->row.topic, topic) && outbox->row.due_at <= now &&
            (outbox->row.order_key == NULL || !has_earlier(store, &outbox->row)))
            pick(&picks, outbox);
    }
    ANSWER_ROWS(outbox, outbox_row, );
    leave(base);
    return true;
}

static bool memory_window_get(struct store_reader *base,
                              struct arena *arena,
                              const char *namespace,
                              const char *flow_id,
                              const char *window_id,
                              struct window_row *out,
                              struct error *err)
{
    struct stored_window like = {
        .row = { .namespace = namespace, .flow_id = flow_id, .window_id = window_id }
    };
    const struct stored_window *stored = table_find(&enter(base)->windows, &like);
    bool found = stored != NULL;
    if (found) {
        *out = stored->row;
        copy_window(arena, out);
    }
    leave(base);
    return answer(found, err, "window", window_id);
}

static bool memory_window_expired(struct store_reader *base,
                                  struct arena *arena,
                                  usec_t now,
                                  size_t limit,
                                  struct window_row **out,
                                  size_t *count,
                                  struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->windows.count && picks.rows.count < limit; i++) {
        const struct stored_window *window = store->windows.rows[i];
        if (window->row.end_at < now)
            pick(&picks, window);
    }
    ANSWER_ROWS(window, window_row, );
    leave(base);
    return true;
}

static bool memory_cache_get(struct store_reader *base,
                             struct arena *arena,
                             const char *namespace,
                             const char *flow_id,
                             const char *key,
                             struct cache_row *out,
                             struct error *err)
{
    struct stored_cache like = { .row = {
                                     .namespace = namespace, .flow_id = flow_id, .key = key } };
    const struct stored_cache *stored = table_find(&enter(base)->cache, &like);
    bool found = stored != NULL;
    if (found) {
        *out = stored->row;
        copy_cache(arena, out);
    }
    leave(base);
    return answer(found, err, "cache entry", key);
}

static bool memory_log_rows(struct store_reader *base,
                            struct arena *arena,
                            int64_t execution,
                            const struct query *query,
                            bool newest_first,
                            int64_t after_key,
                            size_t limit,
                            struct log_row **out,
                            size_t *count,
                            struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t n = 0; n < store->logs.count && picks.rows.count < limit; n++) {
        const struct stored_log *log =
            store->logs.rows[newest_first ? store->logs.count - 1 - n : n];
        bool is_after =
            newest_first ? after_key == 0 || log->row.key < after_key : log->row.key > after_key;
        if (is_after && (execution == 0 || log->row.execution == execution) &&
            query_may_match_block(query, &log->row))
            pick(&picks, log);
    }
    ANSWER_ROWS(log, log_row, );
    leave(base);
    return true;
}

static int compare_metric_order(const void *a, const void *b, void *data)
{
    const struct query *query = data;
    const struct metric_row *x = &(*(const struct stored_metric *const *)a)->row;
    const struct metric_row *y = &(*(const struct stored_metric *const *)b)->row;
    int wanted = 0;
    if (query->sort == FIELD_NAMESPACE)
        wanted = strcmp(x->namespace, y->namespace);
    else if (query->sort == FIELD_FLOW)
        wanted = strcmp(x->flow_id, y->flow_id);
    else if (query->sort == FIELD_TASK)
        wanted = compare_optional(x->task_id, y->task_id);
    else if (query->sort == FIELD_RUN)
        wanted = compare_optional(x->run_id, y->run_id);
    else if (query->sort == FIELD_NAME)
        wanted = strcmp(x->name, y->name);
    else if (query->sort == FIELD_EXECUTION)
        wanted = strcmp(x->execution_id.text, y->execution_id.text);
    else if (query->sort == FIELD_START)
        wanted = compare_ints(x->at, y->at);
    if (wanted != 0)
        return query->descending ? -wanted : wanted;
    // Rows are kept in order of arrival, each in an arena of its own: ties keep that order because
    // the position is found again.
    return 0;
}

static bool memory_metrics(struct store_reader *base,
                           struct arena *arena,
                           int64_t execution,
                           const struct query *query,
                           struct metric_row **out,
                           size_t *count,
                           int64_t *total,
                           struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->metrics.count; i++) {
        const struct stored_metric *metric = store->metrics.items[i];
        if ((execution == 0 || metric->row.execution == execution) &&
            query_matches_metric(query, &metric->row))
            pick(&picks, metric);
    }
    if (query->sort != FIELD_COUNT)
        sort_picks(&picks, compare_metric_order, query);
    page(&picks, query, total);
    ANSWER_ROWS(metric, metric_row, );
    leave(base);
    return true;
}

/* ---- opening ---- */

static void memory_reader_free(struct store_reader *base)
{
    free(base);
}

static const struct store_reader_ops memory_reader_ops = {
    .begin = memory_begin,
    .end = memory_end,
    .execution_get = memory_execution_get,
    .execution_by_key = memory_execution_by_key,
    .execution_search = memory_execution_search,
    .execution_children = memory_execution_children,
    .execution_active = memory_execution_active,
    .execution_waking = memory_execution_waking,
    .execution_expired = memory_execution_expired,
    .slots = memory_slots,
    .queued = memory_queued,
    .counts = memory_counts,
    .flow_get = memory_flow_get,
    .flow_search = memory_flow_search,
    .flow_revisions = memory_flow_revisions,
    .namespaces = memory_namespaces,
    .trigger_get = memory_trigger_get,
    .trigger_by_key = memory_trigger_by_key,
    .trigger_search = memory_trigger_search,
    .trigger_all = memory_trigger_all,
    .kv_get = memory_kv_get,
    .kv_search = memory_kv_search,
    .file_get = memory_file_get,
    .file_list = memory_file_list,
    .file_revisions = memory_file_revisions,
    .document_get = memory_document_get,
    .document_list = memory_document_list,
    .document_recent = memory_document_recent,
    .outbox_due = memory_outbox_due,
    .window_get = memory_window_get,
    .window_expired = memory_window_expired,
    .cache_get = memory_cache_get,
    .log_rows = memory_log_rows,
    .metrics = memory_metrics,
    .free = memory_reader_free,
};

static struct store_reader *memory_reader(struct store *base, struct error *err)
{
    (void)err;
    struct memory_reader *reader = check_calloc(1, sizeof(*reader));
    reader->base.ops = &memory_reader_ops;
    reader->store = (struct memory_store *)base;
    return &reader->base;
}

static void memory_free(struct store *base)
{
    struct memory_store *store = (struct memory_store *)base;
    for (size_t i = 0; i < store->executions.count; i++)
        table_free(&((struct stored_execution *)store->executions.rows[i])->runs);
    struct table *tables[] = { &store->executions, &store->flows,   &store->triggers,
                               &store->kv,         &store->files,   &store->documents,
                               &store->outbox,     &store->windows, &store->cache,
                               &store->queued,     &store->logs };
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
    pthread_mutex_init(&store->lock, NULL);
    store->executions.compare = compare_executions;
    store->flows.compare = compare_flows;
    store->triggers.compare = compare_triggers;
    store->kv.compare = compare_kv;
    store->files.compare = compare_files;
    store->documents.compare = compare_documents;
    store->outbox.compare = compare_outbox;
    store->windows.compare = compare_windows;
    store->cache.compare = compare_cache;
    store->queued.compare = compare_queued;
    store->logs.compare = compare_logs;
    return &store->base;
}
