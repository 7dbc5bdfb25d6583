/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/driver/store.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"

/* A planted bug strikes once in so many commits. */
#define PLANT_EVERY 12

static struct sim_store *of(struct store *store)
{
    return (struct sim_store *)store;
}

static bool chance(struct sim_store *store, unsigned percent)
{
    return rng_below(&store->rng, 100) < percent;
}

static bool unavailable(struct error *err, const char *why)
{
    return error_set(err, ERR_UNAVAILABLE, "%s", why);
}

static bool store_all(struct sim_store *store, const struct commit *commit, struct error *err)
{
    struct commit changed = *commit; // vectors are only shortened or replaced by copies
    bool strikes = store->plant != STORE_SOUND && rng_below(&store->rng, PLANT_EVERY) == 0;
    if (strikes && store->plant == STORE_LIES)
        return true;
    if (strikes && store->plant == STORE_LOSES_RUNS && changed.runs.count > 0)
        changed.runs.count--;
    struct commit_execution *executions = NULL;
    bool changes_row = store->plant == STORE_FLIPS || store->plant == STORE_SLEEPS;
    if (strikes && changes_row && changed.executions.count > 0) {
        executions = check_calloc(changed.executions.count, sizeof(*executions));
        for (size_t i = 0; i < changed.executions.count; i++)
            executions[i] = changed.executions.items[i];
        changed.executions.items = executions;
        struct commit_execution *last = &executions[changed.executions.count - 1];
        if (store->plant == STORE_SLEEPS)
            last->row.wake_at = 0;
        else
            last->row.state = last->row.state == STATE_SUCCESS ? STATE_FAILED : STATE_SUCCESS;
    }
    bool ok = store_commit(store->inner, &changed, err);
    free(executions);
    store->stored += ok ? 1 : 0;
    return ok;
}

static bool commit(struct store *base, const struct commit *commit, struct error *err)
{
    struct sim_store *store = of(base);
    const struct store_faults *faults = &store->faults;
    if (store->is_dead)
        return unavailable(err, "the server is dead");
    store->calls++;
    if (chance(store, faults->dies_before) || store->calls == faults->dies_at) {
        store->is_dead = true;
        return unavailable(err, "the server died before the commit");
    }
    if (chance(store, faults->fails) || store->calls == faults->fails_at)
        return unavailable(err, "the disk is busy");
    if (!store_all(store, commit, err))
        return false;
    if (chance(store, faults->dies_after) || store->calls == faults->dies_past) {
        store->is_dead = true;
        return unavailable(err, "the server died after the commit");
    }
    if (chance(store, faults->loses_reply) || store->calls == faults->loses_at)
        return unavailable(err, "the reply is lost");
    return true;
}

static bool numbers(struct store *base, struct store_numbers *out, struct error *err)
{
    struct store *inner = of(base)->inner;
    return inner->ops->numbers(inner, out, err);
}

static struct store_reader *reader(struct store *base, struct error *err)
{
    return store_reader_open(of(base)->inner, err);
}

static bool maintain(struct store *base, usec_t now)
{
    struct store *inner = of(base)->inner;
    return inner->ops->maintain != NULL && inner->ops->maintain(inner, now);
}

static bool check(struct store *base, struct error *err)
{
    struct store *inner = of(base)->inner;
    return inner->ops->check(inner, err);
}

static void release(struct store *base)
{
    struct sim_store *store = of(base);
    store_free(store->inner);
    free(store);
}

static const struct store_ops ops = {
    .name = "memory with faults",
    .commit = commit,
    .numbers = numbers,
    .reader = reader,
    .maintain = maintain,
    .check = check,
    .free = release,
};

static struct store *open_inner(const char *path)
{
    struct error err = { 0 };
    if (path == NULL)
        return store_memory_new();
    struct store *store = store_sqlite_open(
        &(struct store_sqlite_options){ .path = path, .is_volatile = true }, &err);
    if (store == NULL)
        (void)fprintf(stderr, "%s\n", err.text);
    CHECK(store != NULL);
    return store;
}

struct sim_store *sim_store_new(uint64_t seed, const char *path)
{
    struct sim_store *store = check_calloc(1, sizeof(*store));
    store->store.ops = &ops;
    store->path = path;
    store->inner = open_inner(path);
    store->rng.state = seed;
    return store;
}

void sim_store_free(struct sim_store *store)
{
    if (store != NULL)
        release(&store->store);
}

void sim_store_revive(struct sim_store *store)
{
    store->is_dead = false;
    if (store->path == NULL)
        return;
    store_free(store->inner);
    store->inner = open_inner(store->path);
}
