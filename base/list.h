/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive doubly-linked ring: the head and the links inside the members are the same struct.
 *
 *     struct list waiting = LIST_EMPTY(waiting);
 *     list_push(&waiting, &job->link);
 *     while ((at = list_pop(&waiting)) != NULL)
 *         run(LIST_OWNER(at, struct job, link));
 *
 * A link belongs to at most one list; list_remove() leaves it ready for the next. Not thread safe.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *previous;
};

#define LIST_EMPTY(head)                                                                           \
    {                                                                                              \
        &(head), &(head)                                                                           \
    }

/* The struct that holds a link. */
#define LIST_OWNER(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* Walks links; the current one may be removed when `next_` is used: see LIST_EACH_SAFE. */
#define LIST_EACH(at, head) for ((at) = (head)->next; (at) != (head); (at) = (at)->next)
#define LIST_EACH_SAFE(at, after, head)                                                            \
    for ((at) = (head)->next, (after) = (at)->next; (at) != (head);                                \
         (at) = (after), (after) = (at)->next)

/* Makes a head empty, or a link unlinked. */
static inline void list_init(struct list *list)
{
    list->next = list->previous = list;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

/* Whether a link (that was initialised) is in a list. */
static inline bool list_is_linked(const struct list *link)
{
    return link->next != link;
}

static inline void list_insert_after(struct list *at, struct list *link)
{
    link->next = at->next;
    link->previous = at;
    at->next->previous = link;
    at->next = link;
}

/* At the end. */
static inline void list_push(struct list *head, struct list *link)
{
    list_insert_after(head->previous, link);
}

/* At the start. */
static inline void list_push_front(struct list *head, struct list *link)
{
    list_insert_after(head, link);
}

/* An unlinked, initialised link is fine. */
static inline void list_remove(struct list *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link->next = link->previous = link;
}

/* First link, removed; NULL when the list is empty. */
static inline struct list *list_pop(struct list *head)
{
    struct list *link = head->next;
    if (link == head)
        return NULL;
    list_remove(link); // NOLINT(clang-analyzer-unix.Malloc): does not see that the ring was closed
    return link;
}

/* Moves all links of `from` to the end of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->previous = to->previous;
    to->previous->next = from->next;
    from->previous->next = to;
    to->previous = from->previous;
    list_init(from);
}

#endif
