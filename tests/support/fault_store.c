/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fault_store.h"

#include "base/error.h"

static struct fault_store *of(struct store *base)
{
    return (struct fault_store *)base;
}

const char *fault_name(enum fault fault)
{
    static const char *const names[] = {
        [FAULT_NONE] = "none",     [FAULT_BUSY] = "busy",
        [FAULT_FULL] = "full",     [FAULT_LOST_REPLY] = "lost reply",
        [FAULT_BROKEN] = "broken", [FAULT_COUNT] = "",
    };
    return names[fault];
}

static bool fail(enum fault fault, struct error *err)
{
    switch (fault) {
    case FAULT_FULL:
        return error_set(err, ERR_LIMIT, "the disk is full");
    case FAULT_BROKEN:
        return error_set(err, ERR_CONFLICT, "another weir has written to it");
    case FAULT_BUSY:
    case FAULT_LOST_REPLY:
    case FAULT_NONE:
    case FAULT_COUNT:
        break;
    }
    return error_set(err, ERR_UNAVAILABLE, "the disk does not answer");
}

static bool commit(struct store *base, const struct commit *commit, struct error *err)
{
    struct fault_store *store = of(base);
    int64_t times = store->times > 0 ? store->times : 1;
    store->commits++;
    bool fails = store->at > 0 && store->commits >= store->at &&
                 store->commits < store->at + times && store->fault != FAULT_NONE;
    if (!fails)
        return store_commit(store->inner, commit, err);
    if (store->fault == FAULT_LOST_REPLY && !store_commit(store->inner, commit, err))
        return false;
    return fail(store->fault, err);
}

static bool numbers(struct store *base, struct store_numbers *out, struct error *err)
{
    return of(base)->inner->ops->numbers(of(base)->inner, out, err);
}

static struct store_reader *reader(struct store *base, struct error *err)
{
    return store_reader_open(of(base)->inner, err);
}

static bool maintain(struct store *base, usec_t now)
{
    return of(base)->inner->ops->maintain(of(base)->inner, now);
}

static bool check(struct store *base, struct error *err)
{
    return of(base)->inner->ops->check(of(base)->inner, err);
}

static void forget(struct store *base)
{
    (void)base; // the caller's, like the store behind it
}

static const struct store_ops ops = {
    .name = "fault",
    .commit = commit,
    .numbers = numbers,
    .reader = reader,
    .maintain = maintain,
    .check = check,
    .free = forget,
};

void fault_store_init(struct fault_store *store, struct store *inner)
{
    *store = (struct fault_store){ .base.ops = &ops, .inner = inner };
}
