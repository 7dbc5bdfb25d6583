/* SPDX-License-Identifier: Apache-2.0 */
/* Concurrency limits (flow-language.md 1.8): slots in use, and who waits for one. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/driver/driver_internal.h"

static struct slot *slot_find(struct driver *driver, const char *namespace, const char *flow_id)
{
    char *name = arena_printf(driver->arena, "%s/%s", namespace, flow_id);
    return map_find(&driver->slots, name);
}

static struct slot *slot_of(struct driver *driver, const char *namespace, const char *flow_id)
{
    char *name = arena_printf(driver->arena, "%s/%s", namespace, flow_id);
    struct slot *slot = map_find(&driver->slots, name);
    if (slot == NULL) {
        slot = check_calloc(1, sizeof(*slot));
        map_put(&driver->slots, name, slot);
    }
    return slot;
}

static void queue_add(struct slot *slot, const struct queued_row *row)
{
    *VEC_PUSH(&slot->queue) =
        (struct queued_row){ .execution = row->execution, .queued_at = row->queued_at };
}

static void queue_remove(struct slot *slot, int64_t execution)
{
    for (size_t i = slot->queue_first; i < slot->queue.count; i++) {
        if (slot->queue.items[i].execution != execution)
            continue;
        // Mostly the first one leaves; those before it move up by one.
        memmove(&slot->queue.items[slot->queue_first + 1], &slot->queue.items[slot->queue_first],
                (i - slot->queue_first) * sizeof(*slot->queue.items));
        slot->queue_first++;
        break;
    }
    if (slot->queue_first > 64 && slot->queue_first * 2 > slot->queue.count) {
        slot->queue.count -= slot->queue_first;
        memmove(slot->queue.items, slot->queue.items + slot->queue_first,
                slot->queue.count * sizeof(*slot->queue.items));
        slot->queue_first = 0;
    }
}

bool slots_load(struct driver *driver, struct error *err)
{
    struct arena *arena = arena_new();
    struct count_row *slots = NULL;
    struct queued_row *queued = NULL;
    size_t count = 0;
    size_t queued_count = 0;
    bool ok = driver->reader->ops->slots(driver->reader, arena, &slots, &count, err) &&
              driver->reader->ops->queued(driver->reader, arena, NULL, NULL, SIZE_MAX / 2, &queued,
                                          &queued_count, err);
    for (size_t i = 0; i < count && ok; i++)
        slot_of(driver, slots[i].namespace, slots[i].flow_id)->used = slots[i].count;
    for (size_t i = 0; i < queued_count && ok; i++)
        queue_add(slot_of(driver, queued[i].namespace, queued[i].flow_id), &queued[i]);
    arena_free(arena);
    return ok;
}

void slots_free(struct driver *driver)
{
    size_t at = 0;
    struct map_slot *slot;
    while ((slot = map_next(&driver->slots, &at)) != NULL) {
        struct slot *freed = slot->value;
        VEC_FREE(&freed->queue);
        free(freed);
    }
    map_free(&driver->slots);
}

int64_t slots_used(struct driver *driver, const char *namespace, const char *flow_id)
{
    const struct slot *slot = slot_find(driver, namespace, flow_id);
    return slot == NULL ? 0 : slot->used;
}

/* The queue row of an execution, to be put or removed by this commit. */
static void commit_queued(struct driver *driver, const struct live *live, bool is_removed)
{
    *VEC_PUSH(&driver->commit.queued) = (struct commit_queued){
        .row = {
            .execution = live->key,
            .namespace = live->execution->namespace,
            .flow_id = live->execution->flow_id,
            .queued_at = driver->now,
        },
        .is_removed = is_removed,
    };
}

void slots_follow(struct driver *driver, struct live *live)
{
    const struct execution *execution = live->execution;
    bool is_queued = execution->state.current == STATE_QUEUED && !live->is_deleted;
    bool holds = execution->holds_slot && !live->is_deleted;
    if (is_queued == live->is_queued && holds == live->holds_slot)
        return;
    struct slot *slot = slot_of(driver, execution->namespace, execution->flow_id);
    if (is_queued != live->is_queued) {
        struct queued_row row = { .execution = live->key, .queued_at = driver->now };
        if (is_queued)
            queue_add(slot, &row);
        else
            queue_remove(slot, live->key);
        commit_queued(driver, live, !is_queued);
        live->is_queued = is_queued;
    }
    bool frees = live->holds_slot && !holds;
    if (holds != live->holds_slot)
        slot->used += holds ? 1 : -1;
    live->holds_slot = holds;
    if (frees)
        slots_release(driver, execution->namespace, execution->flow_id);
}

/* The limit in force: that of the latest revision; 0 none. */
static int64_t limit_of(struct driver *driver, const char *namespace, const char *flow_id)
{
    struct error ignored;
    const struct flow *flow = flows_get(driver, namespace, flow_id, 0, &ignored);
    return flow == NULL ? 0 : flow->concurrency_limit;
}

void slots_release(struct driver *driver, const char *namespace, const char *flow_id)
{
    struct slot *slot = slot_find(driver, namespace, flow_id);
    if (slot == NULL || slot->queue_first == slot->queue.count)
        return;
    int64_t limit = limit_of(driver, namespace, flow_id);
    // Each round takes one out of the queue: those that let others go find it shorter.
    while (slot->queue_first < slot->queue.count && (limit == 0 || slot->used < limit)) {
        int64_t key = slot->queue.items[slot->queue_first].execution;
        struct error err = { 0 };
        struct live *live = live_get_key(driver, key, &err);
        if (live != NULL && live->needs_recovery) // while it still counts as queued
            recover_step(driver, live);
        if (live == NULL || live->execution->state.current != STATE_QUEUED) {
            if (live == NULL && err.code != ERR_NOT_FOUND) {
                log_error("a queued execution cannot be loaded", LOG_INT("key", key),
                          LOG_ERR(&err));
                return;
            }
            queue_remove(slot, key); // deleted meanwhile
            continue;
        }
        // Out of the queue before its step, which may release others in turn.
        struct event event = { .type = EVENT_DEQUEUED, .iteration = -1 };
        queue_remove(slot, key);
        commit_queued(driver, live, true);
        live->is_queued = false;
        slot->used++;
        live->holds_slot = true;
        bool is_limited =
            live->execution->flow != NULL && live->execution->flow->concurrency_limit > 0;
        if (!is_limited) { // its revision knows no limit: it takes no slot
            slot->used--;
            live->holds_slot = false;
        }
        driver_push(driver, live, &event);
    }
}
