/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of the documents that render_json.c makes, as tables: for schemas/plan.json and
 * schemas/drift.json, and for the test that nothing else is in them.
 *
 * To add a member: one row here, the line in render_json.c, `make generate`.
 */
#ifndef RECONCILER_DOCUMENTS_H
#define RECONCILER_DOCUMENTS_H

#include "core/prop.h"

extern const struct prop plan_document_props[];
extern const struct prop drift_document_props[];

#endif
