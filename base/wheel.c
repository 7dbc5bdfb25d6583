/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nine levels of 64 slots; a slot of level 0 is a tick of 1,024 µs, one of level n is 64^n ticks.
 * A timer stands on the level of the highest group of six bits in which its tick differs from the
 * current one, so all timers of a level are earlier than all of the next, and a slot is looked at
 * when the current tick enters it: its timers then move to lower levels.
 *
 * Timers that are due, and only they, are in `ready`, sorted by time.
 */
#include "base/wheel.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"

#define TICK_BITS  10
#define LEVEL_BITS 6
#define LEVELS     9 // 9 * 6 + 10 bits: every 64-bit time
#define SLOTS      64

struct wheel {
    usec_t origin; /* tick 0 begins here */
    usec_t now;
    uint64_t tick; /* of now */
    size_t count;
    struct list ready;
    uint64_t filled[LEVELS]; /* one bit per slot that is not empty */
    struct list slots[LEVELS][SLOTS];
};

static struct wheel_timer *owner(struct list *link)
{
    return LIST_OWNER(link, struct wheel_timer, link);
}

struct wheel *wheel_new(usec_t now)
{
    struct wheel *wheel = check_calloc(1, sizeof(*wheel));
    wheel->origin = now;
    wheel->now = now;
    list_init(&wheel->ready);
    for (size_t level = 0; level < LEVELS; level++) {
        for (size_t slot = 0; slot < SLOTS; slot++)
            list_init(&wheel->slots[level][slot]);
    }
    return wheel;
}

void wheel_free(struct wheel *wheel)
{
    free(wheel);
}

static uint64_t tick_of(const struct wheel *wheel, usec_t at)
{
    return ((uint64_t)at - (uint64_t)wheel->origin) >> TICK_BITS;
}

static usec_t time_of(const struct wheel *wheel, uint64_t tick)
{
    return (usec_t)((uint64_t)wheel->origin + (tick << TICK_BITS));
}

static void place(struct wheel *wheel, struct wheel_timer *timer)
{
    if (timer->due <= wheel->now) {
        // From the end: what is set while timers fire is mostly the latest of them.
        struct list *at = wheel->ready.previous;
        while (at != &wheel->ready && owner(at)->due > timer->due)
            at = at->previous;
        list_insert_after(at, &timer->link);
        return;
    }
    uint64_t tick = tick_of(wheel, timer->due);
    uint64_t differs = tick ^ wheel->tick;
    unsigned level = differs == 0 ? 0 : (unsigned)(63 - __builtin_clzll(differs)) / LEVEL_BITS;
    unsigned slot = (unsigned)(tick >> (level * LEVEL_BITS)) % SLOTS;
    wheel->filled[level] |= (uint64_t)1 << slot;
    list_push(&wheel->slots[level][slot], &timer->link);
}

bool wheel_is_set(const struct wheel_timer *timer)
{
    return timer->link.next != NULL;
}

void wheel_cancel(struct wheel *wheel, struct wheel_timer *timer)
{
    if (!wheel_is_set(timer))
        return;
    struct list *head = timer->link.next;
    bool was_alone = head == timer->link.previous;
    list_remove(&timer->link);
    timer->link = (struct list){ NULL, NULL };
    wheel->count--;
    if (was_alone && head != &wheel->ready) {
        size_t index = (size_t)(head - &wheel->slots[0][0]);
        wheel->filled[index / SLOTS] &= ~((uint64_t)1 << index % SLOTS);
    }
}

void wheel_set(struct wheel *wheel, struct wheel_timer *timer, usec_t due)
{
    wheel_cancel(wheel, timer);
    if (due == USEC_NEVER)
        return;
    timer->due = due;
    wheel->count++;
    place(wheel, timer);
}

size_t wheel_count(const struct wheel *wheel)
{
    return wheel->count;
}

/* Slots of a level that the current tick has not entered; on level 0 the one it is in counts too.
 */
static uint64_t slots_ahead(const struct wheel *wheel, unsigned level)
{
    unsigned slot = (unsigned)(wheel->tick >> (level * LEVEL_BITS)) % SLOTS;
    uint64_t ahead = UINT64_MAX << slot;
    return wheel->filled[level] & (level == 0 ? ahead : ahead & ~((uint64_t)1 << slot));
}

/* First tick of a slot on the way of the current tick. */
static uint64_t slot_start(const struct wheel *wheel, unsigned level, unsigned slot)
{
    unsigned shift = level * LEVEL_BITS;
    uint64_t above = shift + LEVEL_BITS >= 64 ? 0 : wheel->tick >> (shift + LEVEL_BITS);
    return (above * SLOTS + slot) << shift;
}

usec_t wheel_next(const struct wheel *wheel)
{
    if (!list_is_empty(&wheel->ready))
        return owner(wheel->ready.next)->due;
    for (unsigned level = 0; level < LEVELS; level++) {
        uint64_t ahead = slots_ahead(wheel, level);
        if (ahead == 0)
            continue;
        unsigned slot = (unsigned)__builtin_ctzll(ahead);
        uint64_t start = slot_start(wheel, level, slot);
        if (start > wheel->tick)
            return time_of(wheel, start);
        usec_t earliest = USEC_NEVER;
        const struct list *head = &wheel->slots[level][slot];
        struct list *at;
        LIST_EACH(at, head) {
            if (owner(at)->due < earliest)
                earliest = owner(at)->due;
        }
        return earliest;
    }
    return USEC_NEVER;
}

/* Merges two sorted chains (by `next`, ended by NULL); equals keep their order, `a` first. */
static struct list *merge(struct list *a, struct list *b)
{
    struct list start;
    struct list *end = &start;
    while (a != NULL && b != NULL) {
        struct list **from = owner(b)->due < owner(a)->due ? &b : &a;
        end->next = *from;
        end = *from;
        *from = end->next;
    }
    end->next = a != NULL ? a : b;
    return start.next;
}

/* Sorts a list by due, keeping the order of equals. */
static void sort(struct list *head)
{
    bool is_sorted = true;
    struct list *at;
    LIST_EACH(at, head) {
        if (at->next != head && owner(at->next)->due < owner(at)->due)
            is_sorted = false;
    }
    if (is_sorted)
        return;

    // runs[i] holds a sorted chain of 2^i timers, or nothing; as adding one to a binary number.
    struct list *runs[48] = { NULL };
    head->previous->next = NULL;
    for (struct list *next, *chain = head->next; chain != NULL; chain = next) {
        next = chain->next;
        chain->next = NULL;
        struct list *run = chain;
        size_t i = 0;
        for (; runs[i] != NULL; i++) {
            run = merge(runs[i], run);
            runs[i] = NULL;
        }
        runs[i] = run;
    }
    struct list *sorted = NULL;
    for (size_t i = 0; i < COUNT_OF(runs); i++)
        sorted = merge(runs[i], sorted);

    list_init(head);
    for (struct list *next; sorted != NULL; sorted = next) {
        next = sorted->next;
        list_push(head, sorted);
    }
}

/* Moves what is due from the slot of the current tick to `ready`, which is empty. */
static void collect(struct wheel *wheel)
{
    unsigned slot = (unsigned)wheel->tick % SLOTS;
    struct list *head = &wheel->slots[0][slot];
    uint64_t inside = (uint64_t)wheel->now - (uint64_t)time_of(wheel, wheel->tick);
    bool is_whole = inside + 1 == (uint64_t)1 << TICK_BITS;
    if (is_whole) {
        list_splice(&wheel->ready, head);
    } else {
        struct list *at;
        struct list *after;
        LIST_EACH_SAFE(at, after, head) {
            if (owner(at)->due > wheel->now)
                continue;
            list_remove(at);
            list_push(&wheel->ready, at);
        }
    }
    if (list_is_empty(head))
        wheel->filled[0] &= ~((uint64_t)1 << slot);
    sort(&wheel->ready);
}

/* Enters the next slot that holds timers and begins at or before `target`; false: there is none. */
static bool advance(struct wheel *wheel, uint64_t target)
{
    for (unsigned level = 0; level < LEVELS; level++) {
        uint64_t ahead = slots_ahead(wheel, level);
        if (level == 0) // the current slot has been collected
            ahead &= ~((uint64_t)1 << wheel->tick % SLOTS);
        if (ahead == 0)
            continue;
        unsigned slot = (unsigned)__builtin_ctzll(ahead);
        uint64_t start = slot_start(wheel, level, slot);
        if (start > target)
            return false;
        wheel->tick = start;
        wheel->now = time_of(wheel, start);
        if (level == 0)
            return true;
        struct list moved = LIST_EMPTY(moved);
        list_splice(&moved, &wheel->slots[level][slot]);
        wheel->filled[level] &= ~((uint64_t)1 << slot);
        for (struct list *link = list_pop(&moved); link != NULL; link = list_pop(&moved))
            place(wheel, owner(link));
        return true;
    }
    return false;
}

struct wheel_timer *wheel_turn(struct wheel *wheel, usec_t now)
{
    uint64_t target = now > wheel->now ? tick_of(wheel, now) : wheel->tick;
    while (list_is_empty(&wheel->ready)) {
        // `now` first stands at the end of the current tick, or inside the last one.
        usec_t end = wheel->tick == target ? now : time_of(wheel, wheel->tick + 1) - 1;
        if (end > wheel->now)
            wheel->now = end;
        if ((wheel->filled[0] >> wheel->tick % SLOTS & 1U) != 0)
            collect(wheel);
        if (!list_is_empty(&wheel->ready))
            break;
        if (!advance(wheel, target)) {
            if (wheel->tick < target)
                wheel->tick = target;
            if (now > wheel->now)
                wheel->now = now;
            break;
        }
    }
    struct list *link = wheel->ready.next;
    if (link == &wheel->ready)
        return NULL;
    struct wheel_timer *timer = owner(link);
    wheel_cancel(wheel, timer);
    return timer;
}
