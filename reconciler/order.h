/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In which order the changes of a plan are applied. Pure.
 *
 * Deletions come first, callers before what they call; then KV entries, files, and flows, what is
 * called before its callers. The order depends on what is changed alone, not on the order inside
 * the commit; flows that call one another in a circle keep the order of their names.
 */
#ifndef RECONCILER_ORDER_H
#define RECONCILER_ORDER_H

#include <stddef.h>

#include "core/plan.h"

struct arena;

/*
 * Changes that touch the runtime (create, update, delete), in order. *count receives their number.
 */
const struct plan_change **plan_order(struct arena *arena, const struct plan *plan, size_t *count);

#endif
