/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/str.h"
#include "runtime/store/memory_internal.h"

/* Index of the first row that is not less than `like`. */
size_t table_lower(const struct table *table, const void *like)
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

void *table_find(const struct table *table, const void *like)
{
    size_t at = table_lower(table, like);
    bool found = at < table->count && table->compare(table->rows[at], like) == 0;
    return found ? table->rows[at] : NULL;
}

void entry_free(void *row)
{
    arena_free(((struct entry *)row)->arena);
}

/* Takes the place of an equal row. */
void table_put(struct table *table, void *row)
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

void table_remove_at(struct table *table, size_t at)
{
    entry_free(table->rows[at]);
    table->count--;
    memmove(table->rows + at, table->rows + at + 1, (table->count - at) * sizeof(*table->rows));
}

void table_remove(struct table *table, const void *like)
{
    size_t at = table_lower(table, like);
    if (at < table->count && table->compare(table->rows[at], like) == 0)
        table_remove_at(table, at);
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        entry_free(table->rows[i]);
    free(table->rows);
}

void *row_new(size_t size)
{
    struct arena *arena = arena_new_sized(size + 256);
    struct entry *entry = arena_alloc(arena, size);
    entry->arena = arena;
    return entry;
}

int compare_ints(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

int first_difference(int a, int b)
{
    return a != 0 ? a : b;
}

/* ---- copies: of what is committed into rows, of rows into answers ---- */

struct bytes copy_bytes(struct arena *arena, struct bytes bytes)
{
    return (struct bytes){
        .at = bytes.at != NULL ? arena_memdup(arena, bytes.at, bytes.length) : NULL,
        .length = bytes.length,
    };
}

void copy_origin(struct arena *arena, struct origin *origin)
{
    origin->actor = arena_strdup(arena, origin->actor);
    origin->channel = arena_strdup(arena, origin->channel);
    origin->source = arena_strdup(arena, origin->source);
    origin->commit = arena_strdup(arena, origin->commit);
}

void copy_execution(struct arena *arena, struct execution_row *row, bool with_labels)
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

void copy_flow(struct arena *arena, struct flow_row *row, bool with_source)
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

void copy_trigger(struct arena *arena, struct trigger_state *row)
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

void copy_kv(struct arena *arena, struct kv_row *row)
{
    row->namespace = arena_strdup(arena, row->namespace);
    row->key = arena_strdup(arena, row->key);
    row->type = arena_strdup(arena, row->type);
    row->value = arena_strdup(arena, row->value);
    row->description = arena_strdup(arena, row->description);
    copy_origin(arena, &row->origin);
}

void copy_file(struct arena *arena, struct file_row *row)
{
    row->namespace = arena_strdup(arena, row->namespace);
    row->path = arena_strdup(arena, row->path);
    row->digest = arena_strdup(arena, row->digest);
    row->content = arena_strdup(arena, row->content);
    copy_origin(arena, &row->origin);
}

void copy_document(struct arena *arena, struct document_row *row)
{
    row->collection = arena_strdup(arena, row->collection);
    row->key = arena_strdup(arena, row->key);
    row->body = copy_bytes(arena, row->body);
}

void copy_outbox(struct arena *arena, struct outbox_row *row)
{
    row->topic = arena_strdup(arena, row->topic);
    row->order_key = arena_strdup(arena, row->order_key);
    row->body = copy_bytes(arena, row->body);
}

void copy_window(struct arena *arena, struct window_row *row)
{
    row->namespace = arena_strdup(arena, row->namespace);
    row->flow_id = arena_strdup(arena, row->flow_id);
    row->window_id = arena_strdup(arena, row->window_id);
    row->body = copy_bytes(arena, row->body);
}

void copy_cache(struct arena *arena, struct cache_row *row)
{
    row->namespace = arena_strdup(arena, row->namespace);
    row->flow_id = arena_strdup(arena, row->flow_id);
    row->key = arena_strdup(arena, row->key);
    row->body = copy_bytes(arena, row->body);
}

void copy_queued(struct arena *arena, struct queued_row *row)
{
    row->namespace = arena_strdup(arena, row->namespace);
    row->flow_id = arena_strdup(arena, row->flow_id);
}

void copy_log(struct arena *arena, struct log_row *row)
{
    row->namespace = arena_strdup(arena, row->namespace);
    row->flow_id = arena_strdup(arena, row->flow_id);
    row->trigger_id = arena_strdup(arena, row->trigger_id);
    row->body = copy_bytes(arena, row->body);
}

void copy_metric(struct arena *arena, struct metric_row *row)
{
    row->namespace = arena_strdup(arena, row->namespace);
    row->flow_id = arena_strdup(arena, row->flow_id);
    row->task_id = arena_strdup(arena, row->task_id);
    row->run_id = arena_strdup(arena, row->run_id);
    row->type = arena_strdup(arena, row->type);
    row->name = arena_strdup(arena, row->name);
    row->tags = arena_strdup(arena, row->tags);
}

/* ---- looking up ---- */

struct stored_execution *execution_of(const struct memory_store *store, int64_t key)
{
    struct stored_execution like = { .row.key = key };
    return table_find(&store->executions, &like);
}

/* Index of the first revision of a flow, and how many there are. */
size_t flow_span(const struct memory_store *store,
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
