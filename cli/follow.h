/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An execution as it happens, for people: one line per task run that changed, log lines from WARN
 * on between them, and an end that says what to do next. experience.md 3.
 *
 * Fed with executions and log entries in their JSON form, so that a server and a local run look the
 * same. Writes to standard output; nothing with --output json.
 */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/map.h"

struct arena;
struct value;

struct follow {
    struct map seen; /* task run id + state + attempts -> printed */
    bool has_title;
    bool all_logs; /* also below WARN */
};

void follow_free(struct follow *follow);

/* Prints what is new since the last call. */
void follow_update(struct follow *follow, struct arena *scratch, const struct value *execution);

/* One log entry of the API's form. */
void follow_log(struct follow *follow, struct arena *scratch, const struct value *entry);

/*
 * The end: outputs, or the failed task with its last log lines, and the command that tries again.
 *
 * logs     list of log entries of the execution, may be NULL
 * again    command that repeats it, "weir restart 2Qx9f"; NULL none
 * Returns  the exit status: 0 only for SUCCESS and WARNING
 */
int follow_end(struct follow *follow,
               struct arena *scratch,
               const struct value *execution,
               const struct value *logs,
               const char *again);

/* "2026-11-24T01:02:03.123Z" -> microseconds; 0 when it is none. */
long long follow_instant(const struct value *text);

#endif
