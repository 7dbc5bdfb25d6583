/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of the memory store: sorted arrays of rows, each row with an arena of its
 * own.
 */
#ifndef RUNTIME_STORE_MEMORY_INTERNAL_H
#define RUNTIME_STORE_MEMORY_INTERNAL_H

#include <pthread.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "runtime/store/store.h"

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

struct stored_metric {
    struct entry entry;
    struct metric_row row;
    int64_t number; /* by order of commit */
};

/* A new row of a table with its arena. */
#define ROW_NEW(name) ((struct stored_##name *)row_new(sizeof(struct stored_##name)))

struct memory_store {
    struct store base;
    pthread_mutex_t lock;
    struct store_numbers numbers;
    int64_t log_key;
    int64_t metric_number;
    struct map executions_by_id;
    struct table executions;
    struct table flows; /* all revisions */
    struct table triggers;
    struct table kv;
    struct table kv_versions; /* old ones; of stored_kv too, newest first */
    struct table files;       /* all revisions */
    struct table documents;
    struct table outbox;
    struct table windows;
    struct table cache;
    struct table queued;
    struct table logs;
    VEC(struct stored_metric *) metrics;
};

size_t table_lower(const struct table *table, const void *like);
void *table_find(const struct table *table, const void *like);
void entry_free(void *row);
void table_put(struct table *table, void *row);
void table_remove_at(struct table *table, size_t at);
void table_remove(struct table *table, const void *like);
void table_free(struct table *table);
void *row_new(size_t size);
int compare_ints(int64_t a, int64_t b);
int first_difference(int a, int b);
struct bytes copy_bytes(struct arena *arena, struct bytes bytes);
void copy_origin(struct arena *arena, struct origin *origin);
void copy_execution(struct arena *arena, struct execution_row *row, bool with_labels);
void copy_flow(struct arena *arena, struct flow_row *row, bool with_source);
void copy_trigger(struct arena *arena, struct trigger_state *row);
void copy_kv(struct arena *arena, struct kv_row *row);
void copy_file(struct arena *arena, struct file_row *row);
void copy_document(struct arena *arena, struct document_row *row);
void copy_outbox(struct arena *arena, struct outbox_row *row);
void copy_window(struct arena *arena, struct window_row *row);
void copy_cache(struct arena *arena, struct cache_row *row);
void copy_queued(struct arena *arena, struct queued_row *row);
void copy_log(struct arena *arena, struct log_row *row);
void copy_metric(struct arena *arena, struct metric_row *row);
struct stored_execution *execution_of(const struct memory_store *store, int64_t key);
size_t flow_span(const struct memory_store *store,
                 const char *namespace,
                 const char *id,
                 size_t *count);

struct store_reader *memory_reader_new(struct memory_store *store);

#endif
