/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels as they are written: a map, or a list of {key, value} (flow-language.md 1.4).
 */
#ifndef CORE_LABELS_H
#define CORE_LABELS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/flow.h"

struct arena;
struct value;

/*
 * Key and value texts in order; of a key given twice the last value counts at the place of the
 * first. What is no label is left out. *count receives their number.
 */
struct label *labels_of(struct arena *arena, const struct value *labels, size_t *count);

/* Keys that only weir sets: `system.` and whatever follows, except `system.readOnly`. */
bool label_is_reserved(const char *key);

#endif
