/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the reading files of the SQLite store: statements built from filters, and columns read
 * into an arena.
 */
#ifndef RUNTIME_STORE_SQLITE_BUILD_H
#define RUNTIME_STORE_SQLITE_BUILD_H

#include "base/sql.h"
#include "base/vec.h"
#include "runtime/store/store.h"

struct sqlite_reader {
    struct store_reader base;
    struct sql *sql;
    struct buf text; /* of the statement being built */
};

static inline struct sqlite_reader *reader_of(struct store_reader *base)
{
    return (struct sqlite_reader *)base;
}

/*
 * Verbs of several statements read one state: begins a read transaction unless the caller has one.
 * snapshot_end() takes what snapshot_begin() set.
 */
bool snapshot_begin(struct sqlite_reader *reader, bool *is_own, struct error *err);
void snapshot_end(struct sqlite_reader *reader, bool is_own);

struct parameter {
    const char *text; /* NULL: number */
    int64_t number;
};

/* A statement under way; one at a time per reader. */
struct builder {
    struct sqlite_reader *reader;
    struct arena *arena;
    struct buf *text;
    VEC(struct parameter) parameters; /* arena */
    bool needs_check;                 /* a filter is not said exactly by the SQL */
};

struct builder build(struct sqlite_reader *reader, struct arena *arena, const char *text);
void add(struct builder *builder, const char *text);
/* Adds a parameter with its value. */
void add_text(struct builder *builder, const char *text);
void add_int(struct builder *builder, int64_t number);
/*
 * " AND <column> …" for a filter on a text or time column; false when SQL cannot say it, then
 * nothing was added.
 */
bool add_text_filter(struct builder *builder, const char *column, const struct filter *filter);
bool add_time_filter(struct builder *builder, const char *column, const struct filter *filter);
/* First text that sorts after all beginning with `prefix`. */
const char *after_prefix(struct arena *arena, const char *prefix);

/* The statement with its parameters bound; NULL with err. */
struct sql_stmt *prepare(struct builder *builder, struct error *err);
/* Adds the first column of the first row to *sum. */
bool one_int(struct builder *builder, int64_t *sum, struct error *err);

const char *column_text(struct sql_stmt *stmt, int column, struct arena *arena);
struct bytes column_bytes(struct sql_stmt *stmt, int column, struct arena *arena);
/* Four columns from `from`. */
struct origin column_origin(struct sql_stmt *stmt, int from, struct arena *arena);
bool not_found(struct error *err, const char *what, const char *name);

/* How rows of one kind are read and checked. */
struct row_kind {
    size_t size;
    void (*read)(struct sql_stmt *stmt, struct arena *arena, void *row);
    bool (*matches)(const struct query *query, const void *row); /* NULL: no query */
};

struct row_list {
    void *items;
    size_t count;
};

/*
 * Rows of the statement: all of them, or the page of a query. Rows before and after the page are
 * read only when the SQL did not say all of the query.
 */
bool read_list(struct builder *builder,
               const struct row_kind *kind,
               const struct query *query,
               struct row_list *out,
               int64_t *total,
               struct error *err);
/* The only row of a statement; *found tells whether there is one. */
bool read_one(struct builder *builder,
              const struct row_kind *kind,
              void *out,
              bool *found,
              struct error *err);

/* Column of a resource that a field is filtered by. */
struct field_column {
    enum field field;
    bool is_time;
    const char *column;
};

/* " AND …" for each filter that SQL can say; needs_check for the others. */
void add_filters(struct builder *builder,
                 const struct query *query,
                 const struct field_column *columns,
                 size_t count);
/* " ORDER BY …": the wanted column first, then `rest`, which makes the order total. */
void add_order(struct builder *builder,
               const struct query *query,
               const struct field_column *columns,
               size_t count,
               const char *rest);

/* Verbs of struct store_reader_ops in sqlite_executions.c. */
bool sqlite_execution_get(struct store_reader *base,
                          struct arena *arena,
                          const char *id,
                          struct execution_row *out,
                          struct error *err);
bool sqlite_execution_by_key(struct store_reader *base,
                             struct arena *arena,
                             int64_t key,
                             struct execution_row *out,
                             struct error *err);
bool sqlite_execution_search(struct store_reader *base,
                             struct arena *arena,
                             const struct query *query,
                             bool with_runs,
                             struct execution_row **out,
                             size_t *count,
                             int64_t *total,
                             struct error *err);
bool sqlite_execution_children(struct store_reader *base,
                               struct arena *arena,
                               const char *cause_id,
                               bool live_only,
                               int64_t after,
                               size_t limit,
                               struct execution_row **out,
                               size_t *count,
                               struct error *err);
bool sqlite_execution_active(struct store_reader *base,
                             struct arena *arena,
                             int64_t after,
                             size_t limit,
                             struct execution_row **out,
                             size_t *count,
                             struct error *err);
bool sqlite_execution_waking(struct store_reader *base,
                             struct arena *arena,
                             usec_t after_at,
                             int64_t after_key,
                             usec_t until,
                             size_t limit,
                             struct execution_row **out,
                             size_t *count,
                             struct error *err);
bool sqlite_execution_expired(struct store_reader *base,
                              struct arena *arena,
                              usec_t before,
                              size_t limit,
                              struct execution_row **out,
                              size_t *count,
                              struct error *err);
bool sqlite_slots(struct store_reader *base,
                  struct arena *arena,
                  struct count_row **out,
                  size_t *count,
                  struct error *err);
bool sqlite_queued(struct store_reader *base,
                   struct arena *arena,
                   const char *namespace,
                   const char *flow_id,
                   size_t limit,
                   struct queued_row **out,
                   size_t *count,
                   struct error *err);
bool sqlite_counts(struct store_reader *base,
                   struct arena *arena,
                   usec_t from,
                   usec_t until,
                   struct count_row **out,
                   size_t *count,
                   struct error *err);

/* … in sqlite_flows.c, … */
bool sqlite_flow_get(struct store_reader *base,
                     struct arena *arena,
                     const char *namespace,
                     const char *id,
                     int64_t revision,
                     bool allow_deleted,
                     struct flow_row *out,
                     struct error *err);
bool sqlite_flow_search(struct store_reader *base,
                        struct arena *arena,
                        const struct query *query,
                        bool with_source,
                        struct flow_row **out,
                        size_t *count,
                        int64_t *total,
                        struct error *err);
bool sqlite_flow_revisions(struct store_reader *base,
                           struct arena *arena,
                           const char *namespace,
                           const char *id,
                           bool with_source,
                           struct flow_row **out,
                           size_t *count,
                           struct error *err);
bool sqlite_namespaces(struct store_reader *base,
                       struct arena *arena,
                       const char *text,
                       const char ***out,
                       size_t *count,
                       struct error *err);
bool sqlite_trigger_get(struct store_reader *base,
                        struct arena *arena,
                        const char *namespace,
                        const char *flow_id,
                        const char *trigger_id,
                        struct trigger_state *out,
                        struct error *err);
bool sqlite_trigger_by_key(struct store_reader *base,
                           struct arena *arena,
                           int64_t key,
                           struct trigger_state *out,
                           struct error *err);
bool sqlite_trigger_search(struct store_reader *base,
                           struct arena *arena,
                           const struct query *query,
                           struct trigger_state **out,
                           size_t *count,
                           int64_t *total,
                           struct error *err);
bool sqlite_trigger_all(struct store_reader *base,
                        struct arena *arena,
                        int64_t after,
                        size_t limit,
                        struct trigger_state **out,
                        size_t *count,
                        struct error *err);
/* … and in sqlite_logs.c. */
bool sqlite_log_rows(struct store_reader *base,
                     struct arena *arena,
                     int64_t execution,
                     const struct query *query,
                     bool newest_first,
                     int64_t after_key,
                     size_t limit,
                     struct log_row **out,
                     size_t *count,
                     struct error *err);
bool sqlite_metrics(struct store_reader *base,
                    struct arena *arena,
                    int64_t execution,
                    const struct query *query,
                    struct metric_row **out,
                    size_t *count,
                    int64_t *total,
                    struct error *err);

#endif
