/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of the log store.
 */
#ifndef RUNTIME_STORE_LOGSTORE_INTERNAL_H
#define RUNTIME_STORE_LOGSTORE_INTERNAL_H

#include "runtime/store/logstore.h"

/* The file of an execution; -1 with err (ERR_NOT_FOUND: none). */
int logstore_open(struct logstore *logstore, const char *id, int flags, struct error *err);

/* Index rows read at once. */
#define LOG_ROWS_PAGE 2000U

/* ---- log_read.c ---- */

/* Reads blocks, with the file that was read last kept open; .fd = -1 to begin with. */
struct log_files {
    struct logstore *logstore;
    char file_id[ID_LENGTH + 1];
    int fd;
};

/*
 * Lines of a block, from its row or its file. False for one that a crash cut off, or whose file is
 * gone: its attempt was run again, or somebody removed it.
 */
bool log_files_read(struct log_files *files,
                    struct arena *arena,
                    const struct log_row *row,
                    struct log_line **lines,
                    size_t *count);
void log_files_close(struct log_files *files);

/* Do filters look at single lines, rather than at whole blocks? */
bool log_looks_at_lines(const struct query *query);
/* A line with texts of its own. */
struct log_line log_line_keep(struct arena *arena, const struct log_line *line);

/* ---- log_search.c ---- */

/* logstore_search() over all executions. */
bool log_search_all(struct logstore *logstore,
                    struct store_reader *reader,
                    struct arena *arena,
                    const struct query *query,
                    struct log_line **lines,
                    size_t *count,
                    int64_t *total,
                    struct error *err);

#endif
