/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of execution logs: collected, kept in compressed blocks, followed, searched.
 *
 * Where lines go:
 *   - What the engine says, and what a task prints as long as it is little (LOG_INLINE_MAX),
 * becomes a block inside the commit that ends the task: no file, no extra fsync.
 *   - More than that goes to an append-only file per execution, in blocks of about LOG_BLOCK_BYTES;
 *     one index row per block is committed by the driver. The file is synced before the end of the
 *     task is committed. A block that a crash cut off fails its checksum and is skipped: its
 * attempt is run again anyway.
 *
 * Lines reach followers before they reach the disk. Every line is masked before it comes here.
 *
 * Threads: a sink belongs to one thread at a time; everything else may be called from any thread.
 */
#ifndef RUNTIME_STORE_LOGSTORE_H
#define RUNTIME_STORE_LOGSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/vec.h"
#include "core/flow.h"
#include "runtime/store/query.h"
#include "runtime/store/rows.h"

struct arena;
struct error;
struct logstore;
struct store_reader;

#define LOG_INLINE_MAX  ((size_t)16 * 1024)
#define LOG_BLOCK_BYTES ((size_t)256 * 1024)
#define LOG_MESSAGE_MAX ((size_t)1024 * 1024) /* longer lines are cut and say so */
#define LOG_CUT_NOTE    " … (cut)"

/* Whose lines: the same for all lines of a sink. Texts are copied by log_sink_open(). */
struct log_source {
    int64_t execution; /* store key, 0: a trigger's evaluation */
    const char *execution_id;
    const char *namespace;
    const char *flow_id;
    const char *task_id;
    const char *run_id;
    const char *trigger_id;
    uint32_t attempt; /* from 1; 0 none */
};

struct log_line {
    struct log_source source;
    usec_t at;
    enum log_level level;
    const char *message; /* NUL-terminated as well */
    size_t length;
};

/* ---- blocks: pure ---- */

/* Collects lines of one execution; zero-initialised is empty. */
struct log_block {
    struct buf lines;
    usec_t first_at;
    usec_t last_at;
    uint32_t levels;
    uint32_t count;
    uint64_t source; /* hash of the last line's source */
};

void log_block_add(struct log_block *block, const struct log_line *line);
/*
 * Appends the stored form (compressed when it pays) to `out` and empties the block. Fills times,
 * levels and lines of `row`.
 */
void log_block_finish(struct log_block *block, struct buf *out, struct log_row *row);
void log_block_free(struct log_block *block);

/*
 * Lines of a stored block; `row` gives what all of them share. ERR_INTERNAL: damaged or cut off.
 */
bool log_block_decode(struct arena *arena,
                      const struct log_row *row,
                      const void *bytes,
                      size_t length,
                      struct log_line **lines,
                      size_t *count,
                      struct error *err);

struct commit_log_purge;

/* Do all lines of a block with these levels go, as far as one can tell without reading it? */
bool log_purge_is_whole(const struct commit_log_purge *purge, uint32_t levels);

/*
 * The inline block of `row` without the lines that the purge names (levels, task, times): stored
 * form appended to `out`, row updated. *is_empty when no line is left. False: damaged.
 */
bool log_block_thin(struct log_row *row,
                    const struct commit_log_purge *purge,
                    struct buf *out,
                    bool *is_empty);

/* ---- the store of files, and followers ---- */

struct logstore_options {
    const char *folder; /* files of blocks; NULL: in memory only (tests, simulation) */
    /*
     * Index row of a block that was written to a file while its task still runs. Borrowed for the
     * call, from a thread of the logstore; the driver commits it with its next group.
     */
    void (*written)(void *data, const struct log_row *row);
    void *data;
    size_t threads; /* that compress and write; 0: 2 */
};

struct logstore *logstore_new(const struct logstore_options *options, struct error *err);
/* Sinks must be closed. NULL is fine. */
void logstore_free(struct logstore *logstore);

/* ---- writing (workers) ---- */

struct log_sink;

/* What a closed sink leaves for the driver to commit with the end of its task. */
struct log_result {
    struct arena *arena;  /* owns the rows, NULL none */
    struct log_row *rows; /* inline blocks */
    size_t count;
    struct error *error; /* NULL, or why lines were lost (disk full) */
};
void log_result_free(struct log_result *result);

struct log_sink *log_sink_open(struct logstore *logstore, const struct log_source *source);
/*
 * One line without its newline. False when more is waiting to be written than may wait: the line
 * was not taken; try again after log_sink_wait(), or when `room` was called.
 */
bool log_sink_write(
    struct log_sink *sink, usec_t at, enum log_level level, const char *text, size_t length);
void log_sink_wait(struct log_sink *sink);
/* Called from a thread of the logstore whenever a full sink has room again. */
void log_sink_on_room(struct log_sink *sink, void (*room)(void *data), void *data);
/*
 * Ends the sink. `done` gets the result (to be freed with log_result_free()) once everything is
 * durable or inline: before the call returns when nothing went to a file, otherwise from a thread
 * of the logstore.
 */
void log_sink_close(struct log_sink *sink,
                    void (*done)(void *data, struct log_result *result),
                    void *data);

/* ---- following ---- */

struct log_follower;
typedef void log_follow_fn(void *data, const struct log_line *line);

/*
 * Calls fn for each line as it appears, before it is stored; execution_id NULL: of everything.
 * fn is called from the writing thread and must not block. Lines may appear in stored pages as well
 * as here: take the page after subscribing and compare (at, message).
 */
struct log_follower *logstore_follow(struct logstore *logstore,
                                     const char *execution_id,
                                     log_follow_fn *fn,
                                     void *data);
/* No call happens after it returned. NULL is fine. */
void logstore_unfollow(struct logstore *logstore, struct log_follower *follower);
/* Shows a line to followers; for the driver, which stores its lines itself. */
void logstore_publish(struct logstore *logstore, const struct log_line *line);

/* ---- reading ---- */

/*
 * Page of lines by time.
 *
 * execution   store key; 0: everything that the filters leave
 * query       FIELD_LEVEL, FIELD_TASK, FIELD_RUN, FIELD_ATTEMPT, FIELD_START (of the line),
 *             FIELD_TEXT, FIELD_NAMESPACE, FIELD_FLOW, FIELD_TRIGGER, FIELD_EXECUTION; offset,
 *             limit, descending
 * total       may be NULL (cheaper: stops after the page)
 */
bool logstore_search(struct logstore *logstore,
                     struct store_reader *reader,
                     struct arena *arena,
                     int64_t execution,
                     const struct query *query,
                     struct log_line **lines,
                     size_t *count,
                     int64_t *total,
                     struct error *err);

/* Visits all matching lines in order of time with bounded memory; false from visit stops. */
typedef bool log_visit_fn(void *data, const struct log_line *line);
bool logstore_walk(struct logstore *logstore,
                   struct store_reader *reader,
                   int64_t execution,
                   const struct query *query,
                   log_visit_fn *visit,
                   void *data,
                   struct error *err);

/* Removes the file of an execution whose rows are gone; absent is fine. */
bool logstore_remove(struct logstore *logstore, const char *execution_id, struct error *err);

#endif
