/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the handlers of executions share.
 */
#ifndef RUNTIME_API_EXECUTIONS_H
#define RUNTIME_API_EXECUTIONS_H

#include "runtime/api/call.h"

/* url: member of the answer to a start, NULL none. */
void reply_execution(struct call *call,
                     int status,
                     const struct execution_row *row,
                     const char *url);

/* "a,b.value" to a list of {id, value}; NULL when empty. */
const struct value *parse_breakpoints(struct arena *arena, const char *text);

/*
 * Labels of a list of {key, value} as a map; on failure replies 422 and returns NULL: empty parts,
 * system labels.
 */
const struct value *read_labels(struct call *call, const struct value *list);

/* Removes the files of an execution below its path; what cannot be removed now stays. */
void execution_files_remove(struct call *call, const char *path);

/* Namespaces that hold flows, sorted; on failure replies and returns false. */
bool flow_namespaces(struct call *call, const char *text, const char ***names, size_t *count);

#endif
