/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cutting a file of rows into several: the task Split, and the batches of ForEachItem
 * (flow-language.md 4.8).
 */
#ifndef RUNTIME_TASKS_SPLIT_H
#define RUNTIME_TASKS_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/prop.h"

struct error;
struct task_ctx;
struct value;

/* Files that one task makes. */
#define SPLIT_FILES_MAX 100000U

/* How: the first that is given counts, in this order. */
struct split_options {
    const char *regex;
    int64_t bytes;      /* -1 none */
    int64_t partitions; /* 0 none */
    int64_t rows;       /* 0 none */
    const char *separator;
};

/* Rows of a property table whose struct has a `struct split_options` member. */
#define SPLIT_ROWS(s, m, default_rows)                                                             \
    { "regexPattern", STR(s, m.regex), .flags = PROP_EXPR,                                         \
      .doc = "Rows are grouped by the first capture group; rows that do not match are dropped." }, \
        { "bytes", BYTES(s, m.bytes), .flags = PROP_EXPR,                                          \
          .doc = "A file ends once it holds that much; rows are never cut." },                     \
        { "partitions", INT(s, m.partitions), .flags = PROP_EXPR,                                  \
          .doc = "Number of files that take the rows in turn." },                                  \
        { "rows", INT(s, m.rows), .flags = PROP_EXPR, .fallback = default_rows,                    \
          .doc = "Number of rows per file." },                                                     \
    {                                                                                              \
        "separator", STR(s, m.separator), .flags = PROP_EXPR, .fallback = "\n",                    \
                                          .doc = "What ends a row."                                \
    }

/*
 * Stores the parts below the task run.
 *
 * Returns  list of URIs in order, NULL on failure: ERR_INVALID without a way to cut
 */
const struct value *split_file(struct task_ctx *ctx,
                               const char *from,
                               const struct split_options *options,
                               struct error *err);

#endif
