/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reconciler's target in a server: reads from the store, changes through the driver.
 */
#ifndef CLI_TARGET_STORE_H
#define CLI_TARGET_STORE_H

#include <stdbool.h>

struct error;
struct oid;
struct runtime;
struct target;

/* For one thread; target_free() gives it back. */
struct target *target_store_new(struct runtime *runtime, struct error *err);

/* Commit applied last from a source; false when there is none. */
bool target_store_applied(struct runtime *runtime, const char *source, struct oid *out);

#endif
