/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan: what applying a commit would change, what that may break, and what still holds it back.
 *
 * One struct serves terminal, JSON, pull request and page. Its digest covers what the plan was made
 * from and what it would do, so that what was reviewed is what is applied.
 */
#ifndef CORE_PLAN_H
#define CORE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/vec.h"
#include "core/diag.h"
#include "core/snapshot.h"

struct arena;
struct buf;
struct planner;
struct value;

enum plan_action {
    PLAN_CREATE,
    PLAN_UPDATE,
    PLAN_DELETE,
    PLAN_TAKE,   /* is deployed as wanted already: from now on it belongs to the repository */
    PLAN_MOVE,   /* another file of the repository defines it now, as before */
    PLAN_FORGET, /* was deleted by somebody already */
};
#define PLAN_ACTIONS 6

/* "create", "update" … */
const char *plan_action_name(enum plan_action action);

/* Longest before or after text of a field that a plan holds; longer ones are cut. */
#define PLAN_FIELD_BYTES_MAX 4096U

/* Field changes of one object that are listed; more are counted. */
#define PLAN_FIELDS_MAX 200U

/* A difference inside a flow, or of a KV value. */
struct field_change {
    const char *path;           /* "tasks.extract.timeout" */
    const struct value *before; /* NULL: absent */
    const struct value *after;  /* NULL: absent */
    uint32_t added;             /* lines, when both are texts of several lines */
    uint32_t removed;
};

/* Next fire times shown for a schedule. */
#define PLAN_RUNS_MAX 3

/* When a schedule fires, before and after. Not part of the digest: it depends on the time. */
struct plan_schedule {
    const char *trigger;
    const char *zone;
    usec_t before[PLAN_RUNS_MAX]; /* ended by USEC_NEVER when fewer */
    usec_t after[PLAN_RUNS_MAX];
    bool had; /* was there a schedule before? */
    bool has;
};

struct plan_change {
    enum plan_action action;
    struct object_key key;
    const char *path;                     /* file of the repository; where it was, for a deletion */
    const char *path_before;              /* PLAN_MOVE, and updates that move */
    const struct desired_object *desired; /* NULL: deletion */
    const struct live_object *live;       /* NULL: is not deployed */
    int64_t revision_before;              /* 0: none */
    int64_t revision_after;               /* flows: that the apply will make; 0: unchanged */
    struct field_change *fields;
    size_t fields_count;
    size_t fields_more; /* not listed */
    bool same_meaning;  /* flow: the text differs, its meaning does not */
    bool is_binary;     /* file */
    uint32_t added;     /* lines of text */
    uint32_t removed;
    struct plan_schedule *schedules;
    size_t schedules_count;
    size_t running; /* executions under way. Not part of the digest */
    bool running_mixed;
    int64_t running_revision;
    const char *overwrites; /* who changed it beside Git since the last apply; NULL nobody */
    usec_t overwrites_at;
    const struct inventory_entry *entry; /* what was applied last; NULL nothing */
};

enum impact_level { IMPACT_WARNING, IMPACT_NOTE };

/* Where something is that a change may break. */
struct plan_place {
    struct object_key key;
    const char *file; /* of the repository; NULL when the object is not from one */
    uint32_t line;
};

struct plan_impact {
    enum impact_level level;
    const char *code;      /* "deletes-called", "input-required" … */
    struct object_key key; /* of the change that causes it */
    const char *text;      /* one sentence */
    struct plan_place *places;
    size_t places_count;
    size_t places_more; /* not listed */
};

/* Why a plan may not be applied as it is. */
struct plan_hold {
    const char *code; /* "findings", "deletions", "protected", "owned", "window", "approval" */
    const char *text;
};

struct plan {
    struct arena *arena;        /* owns the plan itself */
    VEC(struct arena *) arenas; /* own the rest of what it points to */
    const char *source;         /* name of the source */
    const char *shown;          /* address of the repository */
    const char *branch;
    const struct git_commit_info *base; /* applied last; NULL: nothing yet */
    struct git_commit_info head;
    bool is_rewritten;               /* base is not an ancestor of head */
    bool is_partial;                 /* onInvalid: skip, and something was skipped */
    VEC(struct plan_change) changes; /* in the order of object_key_order() */
    VEC(struct plan_impact) impacts; /* warnings first */
    VEC(struct plan_hold) holds;
    struct diag_list findings;
    size_t files;            /* of the repository that were looked at */
    size_t read;             /* those that were read, and belong to what is deployed */
    size_t unchanged;        /* objects of the source that stay as they are; SIZE_MAX not counted */
    char digest[65];         /* SHA-256 hex; plan_seal() */
    struct planner *planner; /* how it was made, for its apply; the reconciler's */
};

/* Counts by what happens to the runtime: TAKE, MOVE and FORGET change nothing there. */
struct plan_counts {
    size_t creates;
    size_t updates;
    size_t deletes;
    size_t others;
};
struct plan_counts plan_counts(const struct plan *plan);

/* Nothing to do, except to note the commit. */
bool plan_is_empty(const struct plan *plan);

/* May it be applied? */
bool plan_is_held(const struct plan *plan);

/* Sorts changes and impacts, then fills the digest. */
void plan_seal(struct plan *plan);

/*
 * The canonical bytes: one line per fact, in a fixed order. Contains what the plan was made from
 * (commit, tree, revisions and digests of live objects) and what it does (keys, actions, digests);
 * nothing that depends on the time of day, and not what holds the plan back: a window that opens
 * must not make it another plan.
 */
void plan_write_canonical(struct buf *out, const struct plan *plan);

#endif
