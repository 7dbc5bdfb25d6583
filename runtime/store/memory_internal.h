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

/* ---- reading ---- */

struct memory_reader {
    struct store_reader base;
    struct memory_store *store;
    bool is_begun;
};

/* The store, locked; unlock with memory_leave(). */
struct memory_store *memory_enter(struct store_reader *base);
void memory_leave(struct store_reader *base);

/* An answer under way: pointers to rows, still the store's, that are copied at the end. */
struct picks {
    VEC(const void *) rows;
};

void picks_add(struct picks *picks, const void *row);
/* Leaves the page of a query; *total gets how many there were. */
void picks_page(struct picks *picks, const struct query *query, int64_t *total);
/* found, or ERR_NOT_FOUND. */
bool memory_answer(bool found, struct error *err, const char *what, const char *name);

/* Verbs of struct store_reader_ops in memory_executions.c. */
bool memory_execution_get(struct store_reader *base,
                          struct arena *arena,
                          const char *id,
                          struct execution_row *out,
                          struct error *err);
bool memory_execution_by_key(struct store_reader *base,
                             struct arena *arena,
                             int64_t key,
                             struct execution_row *out,
                             struct error *err);
bool memory_execution_search(struct store_reader *base,
                             struct arena *arena,
                             const struct query *query,
                             bool with_runs,
                             struct execution_row **out,
                             size_t *count,
                             int64_t *total,
                             struct error *err);
bool memory_execution_children(struct store_reader *base,
                               struct arena *arena,
                               const char *cause_id,
                               bool live_only,
                               int64_t after,
                               size_t limit,
                               struct execution_row **out,
                               size_t *count,
                               struct error *err);
bool memory_execution_active(struct store_reader *base,
                             struct arena *arena,
                             int64_t after,
                             size_t limit,
                             struct execution_row **out,
                             size_t *count,
                             struct error *err);
bool memory_execution_waking(struct store_reader *base,
                             struct arena *arena,
                             usec_t after_at,
                             int64_t after_key,
                             usec_t until,
                             size_t limit,
                             struct execution_row **out,
                             size_t *count,
                             struct error *err);
bool memory_execution_expired(struct store_reader *base,
                              struct arena *arena,
                              usec_t before,
                              size_t limit,
                              struct execution_row **out,
                              size_t *count,
                              struct error *err);
bool memory_slots(struct store_reader *base,
                  struct arena *arena,
                  struct count_row **out,
                  size_t *count,
                  struct error *err);
bool memory_counts(struct store_reader *base,
                   struct arena *arena,
                   usec_t from,
                   usec_t until,
                   struct count_row **out,
                   size_t *count,
                   struct error *err);
bool memory_queued(struct store_reader *base,
                   struct arena *arena,
                   const char *namespace,
                   const char *flow_id,
                   size_t limit,
                   struct queued_row **out,
                   size_t *count,
                   struct error *err);

struct store_reader *memory_reader_new(struct memory_store *store);

#endif
