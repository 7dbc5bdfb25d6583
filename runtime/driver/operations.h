/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operations share: the op, its arguments, filters made of them. See operations.c.
 */
#ifndef RUNTIME_DRIVER_OPERATIONS_H
#define RUNTIME_DRIVER_OPERATIONS_H

#include "base/error.h"
#include "core/value.h"
#include "runtime/driver/driver.h"
#include "runtime/store/query.h"
#include "runtime/store/store.h"

/* Rows of one answer; callers ask in pages. */
#define ANSWER_MAX 10000

struct asked {
    struct driver_operations *operations;
    struct store_reader *reader;
    struct arena *arena; /* of the answer */
    const struct value *arguments;
    struct error *err;
};

/* Answer: a map; NULL with op->err. */
typedef const struct value *operation_fn(const struct asked *op);

/* ---- arguments ---- */

/* Argument `name`, or NULL. */
const char *asked_text(const struct asked *op, const char *name);
/* A date: instant, zoned date-time or their text; 0 when absent or malformed. */
usec_t asked_date(const struct asked *op, const char *name);
/* Texts of a list; what is no text is left out. */
const char **asked_texts(const struct asked *op, const struct value *list, size_t *count);
/* Returns  NULL; op->err says that `name` is needed */
const struct value *asked_misses(const struct asked *op, const char *name);
/* Sends a request to the driver and waits. Returns  false with op->err */
bool asked_send(const struct asked *op, struct driver_request *request);

/* ---- filters ---- */

struct search {
    struct filter items[8];
    size_t count;
};

/* NULL adds nothing. */
void search_add_text(const struct asked *op,
                     struct search *filters,
                     enum field field,
                     enum match match,
                     const char *text);
/* One of the texts of argument `name`, when it has any. */
void search_add_list(const struct asked *op,
                     struct search *filters,
                     enum field field,
                     const char *name);
/* Arguments startDate and endDate. */
void search_add_dates(const struct asked *op, struct search *filters);

/* ---- the operations ---- */

operation_fn execution_get;
operation_fn execution_exists;
operation_fn execution_children;
operation_fn execution_count;
operation_fn execution_find;
operation_fn execution_resume;
operation_fn execution_purge;
operation_fn trigger_toggle;
operation_fn log_fetch;
operation_fn log_purge;
operation_fn file_contents;
operation_fn kv_purge;
operation_fn file_purge;
operation_fn subflow_run;

#endif
