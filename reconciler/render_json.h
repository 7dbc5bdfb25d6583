/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans and drift as documents: one stable shape for `--output json`, the API, pages, comments, and
 * for the text of the terminal. Described by schemas/plan.json and schemas/drift.json.
 */
#ifndef RECONCILER_RENDER_JSON_H
#define RECONCILER_RENDER_JSON_H

#include <stddef.h>

struct arena;
struct drift_report;
struct plan;
struct value;

/* Grows when a member is added, never when one is changed or taken away. */
#define PLAN_DOCUMENT_VERSION  1
#define DRIFT_DOCUMENT_VERSION 1

struct diag;

/*
 * A finding with the lines around it, from the text of its file: `excerpt`, a list of {line, text}.
 * text  NULL: without lines
 */
const struct value *finding_to_value(struct arena *arena,
                                     const struct diag *diag,
                                     const char *text,
                                     size_t length);

/* Everything is owned by the arena; nothing of the plan is kept. */
const struct value *plan_to_value(struct arena *arena, const struct plan *plan);

const struct value *drift_to_value(struct arena *arena, const struct drift_report *report);

#endif
