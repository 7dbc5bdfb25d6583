/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in front of another one, whose commits fail as told.
 */
#ifndef TESTS_SUPPORT_FAULT_STORE_H
#define TESTS_SUPPORT_FAULT_STORE_H

#include "runtime/store/store.h"

enum fault {
    FAULT_NONE,
    FAULT_BUSY,       /* nothing is stored; ERR_UNAVAILABLE */
    FAULT_FULL,       /* nothing is stored; ERR_LIMIT */
    FAULT_LOST_REPLY, /* everything is stored; ERR_UNAVAILABLE all the same */
    FAULT_BROKEN,     /* nothing is stored; ERR_CONFLICT */
    FAULT_COUNT,
};

struct fault_store {
    struct store base;
    struct store *inner; /* not owned */
    int64_t commits;     /* calls so far, failed ones too */
    int64_t at;          /* the call that fails, from 1; 0 none */
    int64_t times;       /* how many calls from there on; 0 counts as 1 */
    enum fault fault;
};

void fault_store_init(struct fault_store *store, struct store *inner);
const char *fault_name(enum fault fault);

#endif
