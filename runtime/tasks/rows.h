/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of rows: reading lines, writing them, with bounded memory whatever the size of the file.
 */
#ifndef RUNTIME_TASKS_ROWS_H
#define RUNTIME_TASKS_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct error;
struct task_ctx;
struct value;

/* Longest row. */
#define ROW_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct rows_reader {
    int fd; /* borrowed */
    const char *separator;
    size_t separator_length;
    struct buf buffer;
    size_t at; /* start of the next row in the buffer */
    bool is_ended;
};

/* separator: NULL or "" is "\n"; borrowed. */
void rows_reader_init(struct rows_reader *reader, int fd, const char *separator);
void rows_reader_free(struct rows_reader *reader);

/*
 * Next row without its separator, valid until the next call. *row NULL at the end. A last row
 * without separator counts, an empty one after the last separator does not.
 */
bool rows_next(struct rows_reader *reader, const char **row, size_t *length, struct error *err);

/* Is a row only white space? Between values of a file of items it means nothing. */
bool rows_is_blank(const char *row, size_t length);

struct rows_writer {
    struct task_ctx *ctx;
    char *local; /* of task_temp_path() */
    int fd;      /* -1 once ended */
    struct buf buffer;
    int64_t bytes;
};

/* extension: of the local file, with its dot. */
bool rows_writer_open(struct rows_writer *writer,
                      struct task_ctx *ctx,
                      const char *extension,
                      struct error *err);
bool rows_write(struct rows_writer *writer, const void *bytes, size_t length, struct error *err);
/* Stores the file; gives its URI. */
const char *rows_writer_store(struct rows_writer *writer, const char *name, struct error *err);
void rows_writer_free(struct rows_writer *writer);

/* Extension of a URI with its dot, or `fallback`. */
const char *rows_extension(struct task_ctx *ctx, const char *uri, const char *fallback);

#endif
