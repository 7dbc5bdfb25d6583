/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Differences between two documents by meaning: fields, not lines.
 *
 * Pure. Lists whose items have ids (tasks, triggers, inputs …) are compared by id, so that a task
 * that moved is not a changed one.
 */
#ifndef RECONCILER_FIELD_DIFF_H
#define RECONCILER_FIELD_DIFF_H

#include <stddef.h>

#include "base/vec.h"
#include "core/plan.h"

struct arena;
struct value;

struct field_list {
    VEC(struct field_change) all; /* at most PLAN_FIELDS_MAX */
    size_t more;                  /* beyond */
};

/*
 * Compares two values; NULL is absent. Paths look like "tasks.extract.timeout"; the order of a list
 * that only moved is a change of the list's own path with the ids in both orders.
 *
 * path  of the values themselves, "" for a document
 */
void field_diff(struct arena *arena,
                const struct value *before,
                const struct value *after,
                const char *path,
                struct field_list *out);

/*
 * A flow's text as a document, with the namespace that its place gave it when it names none. A text
 * that is no YAML is a string, so that it differs as a whole.
 */
const struct value *flow_document(struct arena *arena,
                                  const char *namespace,
                                  const char *text,
                                  size_t length);

#endif
