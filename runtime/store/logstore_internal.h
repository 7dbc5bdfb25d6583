/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the two files of the log store.
 */
#ifndef RUNTIME_STORE_LOGSTORE_INTERNAL_H
#define RUNTIME_STORE_LOGSTORE_INTERNAL_H

#include "runtime/store/logstore.h"

/* The file of an execution; -1 with err (ERR_NOT_FOUND: none). */
int logstore_open(struct logstore *logstore, const char *id, int flags, struct error *err);

#endif
