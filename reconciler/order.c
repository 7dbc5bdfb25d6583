/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/order.h"

#include <string.h>

#include "base/arena.h"
#include "base/map.h"

/* One flow on the way down its references. */
struct step {
    size_t change;
    size_t ref; /* the next one to look at */
};

enum mark { UNSEEN, OPEN, DONE };

struct sorter {
    const struct plan *plan;
    struct map by_key; /* text of a key -> position + 1, of flows that are saved */
    unsigned char *marks;
    struct step *stack;
    const struct plan_change **out;
    size_t count;
    struct arena *scratch;
};

static bool is_saved(const struct plan_change *change)
{
    return change->action == PLAN_CREATE || change->action == PLAN_UPDATE;
}

/* Position of a saved flow that a reference leads to; SIZE_MAX when it leads elsewhere. */
static size_t find(struct sorter *sorter, const struct object_key *key)
{
    if (key->kind != OBJECT_FLOW)
        return SIZE_MAX;
    uintptr_t found = (uintptr_t)map_find(&sorter->by_key, object_key_text(sorter->scratch, key));
    return found == 0 ? SIZE_MAX : (size_t)found - 1;
}

/* Depth first, with a stack of our own: chains of subflows may be as long as the repository. */
static void visit(struct sorter *sorter, size_t start)
{
    size_t depth = 0;
    sorter->stack[depth++] = (struct step){ .change = start };
    sorter->marks[start] = OPEN;
    while (depth > 0) {
        struct step *step = &sorter->stack[depth - 1];
        const struct plan_change *change = &sorter->plan->changes.items[step->change];
        if (step->ref == change->desired->refs_count) {
            sorter->marks[step->change] = DONE;
            sorter->out[sorter->count++] = change;
            depth--;
            continue;
        }
        size_t next = find(sorter, &change->desired->refs[step->ref++].key);
        if (next != SIZE_MAX && sorter->marks[next] == UNSEEN) {
            sorter->marks[next] = OPEN;
            sorter->stack[depth++] = (struct step){ .change = next };
        }
    }
}

const struct plan_change **plan_order(struct arena *arena, const struct plan *plan, size_t *count)
{
    size_t total = plan->changes.count;
    struct arena *scratch = arena_new();
    struct sorter sorter = {
        .plan = plan,
        .marks = arena_calloc(scratch, total, 1),
        .stack = ARENA_ARRAY(scratch, total, struct step),
        .out = ARENA_ARRAY(arena, total, const struct plan_change *),
        .scratch = scratch,
    };
    // sorted by kind: flows are last, so that backwards they are deleted first
    for (size_t i = total; i > 0; i--)
        if (plan->changes.items[i - 1].action == PLAN_DELETE)
            sorter.out[sorter.count++] = &plan->changes.items[i - 1];

    for (size_t i = 0; i < total; i++) {
        const struct plan_change *change = &plan->changes.items[i];
        if (!is_saved(change))
            continue;
        if (change->key.kind != OBJECT_FLOW)
            sorter.out[sorter.count++] = change;
        else
            (void)map_put(&sorter.by_key, object_key_text(scratch, &change->key),
                          (void *)(uintptr_t)(i + 1));
    }
    for (size_t i = 0; i < total; i++) {
        const struct plan_change *change = &plan->changes.items[i];
        if (is_saved(change) && change->key.kind == OBJECT_FLOW && sorter.marks[i] == UNSEEN)
            visit(&sorter, i);
    }
    map_free(&sorter.by_key);
    arena_free(scratch);
    *count = sorter.count;
    return sorter.out;
}
