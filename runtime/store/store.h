/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What survives: one writer that commits groups of changes, any number of readers.
 *
 * The driver is the only caller of store_commit(); everyone else asks the driver (driver.h) for
 * changes and opens a reader for reading. A reader belongs to one thread at a time, sees whole
 * commits only, and never blocks the writer.
 *
 * Back ends: SQLite (store_sqlite.c), memory (store_memory.c). tests/conformance runs one suite
 * over both.
 */
#ifndef RUNTIME_STORE_STORE_H
#define RUNTIME_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/vec.h"
#include "runtime/store/query.h"
#include "runtime/store/rows.h"

struct arena;
struct error;
struct store;
struct store_reader;

/* ---- writing ---- */

/* A run of the execution at executions.items[execution]. */
struct commit_run {
    uint32_t execution;
    uint32_t seq;
    bool is_removed;
    size_t at; /* encoded bytes: commit.bytes[at .. at + length) */
    size_t length;
};

struct commit_execution {
    struct execution_row row; /* header, runs: unused, see below */
    bool is_new;
    bool is_removed; /* with its runs and labels; logs and metrics have their own flags */
    bool removes_logs;
    bool removes_metrics;
    bool labels_changed; /* index them again; implied by is_new */
    /*
     * State, liveness, slot, creation and wake-up are as stored: no index has to change. Most
     * commits of an execution of many steps are like that.
     */
    bool stays;
    enum state counted; /* terminal state counted before in count_row, or STATE_COUNT */
    size_t header_at;   /* encoded header in commit.bytes */
    size_t header_length;
};

/*
 * A value with a higher revision than the latest one makes that an old version of its key. At most
 * KV_VERSIONS_MAX old versions are kept, the newest; a removed key keeps none.
 */
struct commit_kv {
    struct kv_row row; /* delete: namespace and key */
    bool is_removed;
    bool is_version; /* removed is the old version row.revision only */
};

struct commit_file {
    struct file_row row; /* a new revision (deleted: the file is gone), or one to forget */
    bool is_removed;     /* forget this revision (purge) */
};

struct commit_document {
    struct document_row row;
    bool is_removed;
};

struct commit_trigger {
    struct trigger_state row;
    bool is_removed;
    bool is_advance; /* only date, next_at, execution_id and updated_at have changed */
};

struct commit_window {
    struct window_row row;
    bool is_removed;
};

struct commit_cache {
    struct cache_row row;
    bool is_removed;
};

struct commit_queued {
    struct queued_row row;
    bool is_removed;
};

struct commit_outbox {
    struct outbox_row row;
    bool is_removed;
};

/* Lines or metrics to delete (purge); 0 and NULL restrict nothing. */
struct commit_log_purge {
    int64_t execution;
    const char *execution_id; /* of an execution that is gone; NULL all */
    const char *namespace;
    bool with_children; /* also of the namespaces below */
    const char *flow_id;
    const char *trigger_id;
    usec_t before; /* blocks whose last line is older, 0 all */
    usec_t after;  /* blocks whose first line is not older, 0 all */
    /*
     * Only some lines: of these levels (0 all), this task, task run, attempt (0 all). Inline blocks
     * are rewritten; one in a file goes when all its levels do and nothing else is asked for.
     */
    uint32_t levels;
    const char *task_id;
    const char *run_id;
    uint32_t attempt;
    bool metrics_too;
    bool keeps_lines; /* metrics only */
};

/* A flow revision to forget (DELETE …/revisions). */
struct commit_flow_purge {
    const char *namespace;
    const char *id;
    int64_t revision;
};

/*
 * Everything one driver turn changes: all of it is stored, or nothing. Zero-initialised is empty;
 * reused from turn to turn so that a turn allocates nothing once the vectors have grown.
 */
struct commit {
    int64_t number; /* +1 per commit; a commit stored already is accepted again without effect */
    struct buf bytes;
    VEC(struct commit_execution) executions;
    VEC(struct commit_run) runs; /* grouped by execution, in the order of `executions` */
    VEC(struct log_row) logs;
    VEC(struct metric_row) metrics;
    VEC(struct flow_row) flows; /* new revisions */
    VEC(struct commit_flow_purge) flow_purges;
    VEC(struct commit_trigger) triggers;
    VEC(struct commit_kv) kv;
    VEC(struct commit_file) files;
    VEC(struct commit_document) documents;
    VEC(struct commit_outbox) outbox;
    VEC(struct commit_window) windows;
    VEC(struct commit_cache) cache;
    VEC(struct commit_queued) queued;
    VEC(struct commit_log_purge) log_purges;
};

void commit_clear(struct commit *commit); /* keeps memory */
void commit_free(struct commit *commit);
bool commit_is_empty(const struct commit *commit);

/*
 * Adds what changed in an execution since the last commit: header if dirty or new, dirty and
 * removed runs. Clears the marks. live, wake_at, key and fire columns come from the caller.
 *
 * counted  terminal state under which it is counted in the store, STATE_COUNT none
 * Returns  its row, valid until the next one is added; NULL when nothing changed
 */
struct commit_execution *commit_add_execution(struct commit *commit,
                                              struct execution *execution,
                                              int64_t key,
                                              enum liveness live,
                                              usec_t wake_at,
                                              enum state counted);

/* Highest numbers in use, for the driver to continue from. */
struct store_numbers {
    int64_t commit;
    int64_t execution;
    int64_t trigger;
    int64_t outbox;
};

struct store_ops {
    const char *name; /* "sqlite", "memory" */

    /*
     * Stores a commit, durably, all or nothing. Calls come from one thread.
     *
     * Errors  ERR_CONFLICT     a row that must be new exists (fired twice, key reused), or the
     *                          fence moved: another weir took this database over
     *         ERR_UNAVAILABLE  perhaps stored: call again with the same commit
     *         ERR_LIMIT        disk full: nothing stored; call again when there is room
     *         ERR_INTERNAL     damaged or unreadable; nothing stored
     */
    bool (*commit)(struct store *store, const struct commit *commit, struct error *err);

    /* Numbers as of the last commit. */
    bool (*numbers)(struct store *store, struct store_numbers *out, struct error *err);

    /* Opens a reader; any thread. store_reader_free() before store_free(). */
    struct store_reader *(*reader)(struct store *store, struct error *err);

    /*
     * Housekeeping in small steps, from any one thread but never at the same time: checkpoints,
     * expired entries. Returns whether more is to do.
     */
    bool (*maintain)(struct store *store, usec_t now);

    /* Consistency of everything stored; ERR_INTERNAL with the first finding. */
    bool (*check)(struct store *store, struct error *err);

    void (*free)(struct store *store);
};

struct store {
    const struct store_ops *ops;
};

struct store_sqlite_options {
    const char *path; /* database file; "<path>.lock" beside it is held while open */
    bool is_volatile; /* no fsync: tests and benchmarks of the rest only */
};

/*
 * Opens or creates. Applies missing migrations.
 *
 * Errors  ERR_CONFLICT  another weir uses this database (the text names its process)
 *         ERR_INVALID   not a database of weir, or written by a newer weir (the text says which)
 *         and those of sql_open()
 */
struct store *store_sqlite_open(const struct store_sqlite_options *options, struct error *err);

/* Everything in memory, lost with the process. For simulation, tests and `weir run FILE`. */
struct store *store_memory_new(void);

void store_free(struct store *store); /* NULL is fine */

bool store_commit(struct store *store, const struct commit *commit, struct error *err);

/* ---- reading ---- */

/*
 * Answers are owned by the arena. `get` verbs answer false with ERR_NOT_FOUND when there is no such
 * thing; lists may be empty. Any verb may fail with ERR_UNAVAILABLE or ERR_INTERNAL.
 */
struct store_reader_ops {
    /* Several reads of one state: begin … end. Reads outside see the newest commit each. */
    bool (*begin)(struct store_reader *, struct error *);
    void (*end)(struct store_reader *);

    /*
     * By id or unique prefix of one (at least 4 characters). Runs are filled.
     * ERR_CONFLICT: the prefix is not unique.
     */
    bool (*execution_get)(struct store_reader *,
                          struct arena *,
                          const char *id,
                          struct execution_row *out,
                          struct error *);
    bool (*execution_by_key)(struct store_reader *,
                             struct arena *,
                             int64_t key,
                             struct execution_row *out,
                             struct error *);
    /*
     * Page of executions. with_runs fills the runs as well; ERR_LIMIT when they are more than
     * query->bytes_max.
     * total  may be NULL; number of all that match
     */
    bool (*execution_search)(struct store_reader *,
                             struct arena *,
                             const struct query *query,
                             bool with_runs,
                             struct execution_row **out,
                             size_t *count,
                             int64_t *total,
                             struct error *);
    /* Executions caused by one (subflows, flow triggers), by key after `after`. */
    bool (*execution_children)(struct store_reader *,
                               struct arena *,
                               const char *cause_id,
                               bool live_only,
                               int64_t after,
                               size_t limit,
                               struct execution_row **out,
                               size_t *count,
                               struct error *);
    /* LIVE_ACTIVE ones by key after `after`, with runs: what a start loads. */
    bool (*execution_active)(struct store_reader *,
                             struct arena *,
                             int64_t after,
                             size_t limit,
                             struct execution_row **out,
                             size_t *count,
                             struct error *);
    /* Parked ones with wake_at <= until, by (wake_at, key) after the given pair; no runs. */
    bool (*execution_waking)(struct store_reader *,
                             struct arena *,
                             usec_t after_at,
                             int64_t after_key,
                             usec_t until,
                             size_t limit,
                             struct execution_row **out,
                             size_t *count,
                             struct error *);
    /* Ended executions of which all is older than `before`, for retention; keys only filled. */
    bool (*execution_expired)(struct store_reader *,
                              struct arena *,
                              usec_t before,
                              size_t limit,
                              struct execution_row **out,
                              size_t *count,
                              struct error *);
    /* Slots in use per flow (holds_slot), and queued executions in FIFO order. */
    bool (*slots)(struct store_reader *,
                  struct arena *,
                  struct count_row **out,
                  size_t *count,
                  struct error *);
    bool (*queued)(struct store_reader *,
                   struct arena *,
                   const char *namespace, /* NULL: all flows */
                   const char *flow_id,
                   size_t limit,
                   struct queued_row **out,
                   size_t *count,
                   struct error *);
    /* Ended executions per (flow, state, day) with day in [from, until). */
    bool (*counts)(struct store_reader *,
                   struct arena *,
                   usec_t from,
                   usec_t until,
                   struct count_row **out,
                   size_t *count,
                   struct error *);

    /*
     * revision 0: latest, ERR_NOT_FOUND when deleted unless allow_deleted.
     */
    bool (*flow_get)(struct store_reader *,
                     struct arena *,
                     const char *namespace,
                     const char *id,
                     int64_t revision,
                     bool allow_deleted,
                     struct flow_row *out,
                     struct error *);
    /* Latest revisions, not deleted. FIELD_TEXT also looks into sources. */
    bool (*flow_search)(struct store_reader *,
                        struct arena *,
                        const struct query *query,
                        bool with_source,
                        struct flow_row **out,
                        size_t *count,
                        int64_t *total,
                        struct error *);
    /* All revisions of a flow, ascending, deleted ones too. */
    bool (*flow_revisions)(struct store_reader *,
                           struct arena *,
                           const char *namespace,
                           const char *id,
                           bool with_source,
                           struct flow_row **out,
                           size_t *count,
                           struct error *);
    /* Names of namespaces that hold a flow, file or KV entry, sorted. */
    bool (*namespaces)(struct store_reader *,
                       struct arena *,
                       const char *text, /* part of the name, NULL all */
                       const char ***out,
                       size_t *count,
                       struct error *);

    bool (*trigger_get)(struct store_reader *,
                        struct arena *,
                        const char *namespace,
                        const char *flow_id,
                        const char *trigger_id,
                        struct trigger_state *out,
                        struct error *);
    bool (*trigger_search)(struct store_reader *,
                           struct arena *,
                           const struct query *query,
                           struct trigger_state **out,
                           size_t *count,
                           int64_t *total,
                           struct error *);
    /* All, by key after `after`; what a start loads. */
    bool (*trigger_all)(struct store_reader *,
                        struct arena *,
                        int64_t after,
                        size_t limit,
                        struct trigger_state **out,
                        size_t *count,
                        struct error *);
    bool (*trigger_by_key)(struct store_reader *,
                           struct arena *,
                           int64_t key,
                           struct trigger_state *out,
                           struct error *);

    /* Expired entries are found too: the caller looks at expires_at. */
    bool (*kv_get)(struct store_reader *,
                   struct arena *,
                   const char *namespace,
                   const char *key,
                   struct kv_row *out,
                   struct error *);
    bool (*kv_search)(struct store_reader *,
                      struct arena *,
                      const struct query *query,
                      struct kv_row **out,
                      size_t *count,
                      int64_t *total,
                      struct error *);
    /*
     * Old versions of keys, without the latest: by namespace and key, newest first. At most
     * `limit` of those that follow `after` (namespace, key, revision; NULL: from the start).
     */
    bool (*kv_versions)(struct store_reader *,
                        struct arena *,
                        const struct kv_row *after,
                        size_t limit,
                        struct kv_row **out,
                        size_t *count,
                        struct error *);

    /* revision 0: latest, ERR_NOT_FOUND when deleted. */
    bool (*file_get)(struct store_reader *,
                     struct arena *,
                     const char *namespace,
                     const char *path,
                     int64_t revision,
                     struct file_row *out,
                     struct error *);
    /* Latest revisions below a folder ("/": all), sorted by path; deleted ones left out. */
    bool (*file_list)(struct store_reader *,
                      struct arena *,
                      const char *namespace,
                      const char *folder,
                      struct file_row **out,
                      size_t *count,
                      struct error *);
    /* All revisions of a path, ascending; NULL path: of every file in the namespace. */
    bool (*file_revisions)(struct store_reader *,
                           struct arena *,
                           const char *namespace,
                           const char *path,
                           struct file_row **out,
                           size_t *count,
                           struct error *);

    bool (*document_get)(struct store_reader *,
                         struct arena *,
                         const char *collection,
                         const char *key,
                         struct document_row *out,
                         struct error *);
    /* By key after `after` (NULL: from the first), with the prefix (may be NULL). */
    bool (*document_list)(struct store_reader *,
                          struct arena *,
                          const char *collection,
                          const char *prefix,
                          const char *after,
                          size_t limit,
                          struct document_row **out,
                          size_t *count,
                          struct error *);
    /* Newest first, older than `before` (USEC_NEVER: from the newest). */
    bool (*document_recent)(struct store_reader *,
                            struct arena *,
                            const char *collection,
                            usec_t before,
                            size_t limit,
                            struct document_row **out,
                            size_t *count,
                            struct error *);

    /* Due rows of a topic, oldest first; of one order_key only the first. */
    bool (*outbox_due)(struct store_reader *,
                       struct arena *,
                       const char *topic,
                       usec_t now,
                       size_t limit,
                       struct outbox_row **out,
                       size_t *count,
                       struct error *);

    bool (*window_get)(struct store_reader *,
                       struct arena *,
                       const char *namespace,
                       const char *flow_id,
                       const char *window_id,
                       struct window_row *out,
                       struct error *);
    /* Windows that ended before `now`. */
    bool (*window_expired)(struct store_reader *,
                           struct arena *,
                           usec_t now,
                           size_t limit,
                           struct window_row **out,
                           size_t *count,
                           struct error *);
    bool (*cache_get)(struct store_reader *,
                      struct arena *,
                      const char *namespace,
                      const char *flow_id,
                      const char *key,
                      struct cache_row *out,
                      struct error *);

    /*
     * Index rows of log blocks, by key. logstore.h reads the lines; few others need this.
     * execution 0: of all executions and triggers that the query's filters leave.
     * newest_first turns the order around.
     */
    bool (*log_rows)(struct store_reader *,
                     struct arena *,
                     int64_t execution,
                     const struct query *query,
                     bool newest_first,
                     int64_t after_key,
                     size_t limit,
                     struct log_row **out,
                     size_t *count,
                     struct error *);
    /* Metrics of an execution (0: of the flow), FIELD_TASK, FIELD_RUN, FIELD_START … apply. */
    bool (*metrics)(struct store_reader *,
                    struct arena *,
                    int64_t execution,
                    const struct query *query,
                    struct metric_row **out,
                    size_t *count,
                    int64_t *total,
                    struct error *);

    void (*free)(struct store_reader *);
};

struct store_reader {
    const struct store_reader_ops *ops;
};

struct store_reader *store_reader_open(struct store *store, struct error *err);
void store_reader_free(struct store_reader *reader); /* NULL is fine */
void store_reader_freep(struct store_reader **reader);

/*
 * An execution of a row with its runs, linked; `flow` may be NULL (pure reading). The result is the
 * caller's: execution_free().
 */
struct execution *execution_row_decode(const struct execution_row *row,
                                       struct flow *flow,
                                       struct error *err);

#endif
