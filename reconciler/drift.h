/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drift: what is deployed differs from what was applied last, because somebody changed it beside
 * Git.
 */
#ifndef RECONCILER_DRIFT_H
#define RECONCILER_DRIFT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/vec.h"
#include "core/plan.h"
#include "core/snapshot.h"

struct arena;
struct error;
struct git_repo;
struct target;

enum drift_kind {
    DRIFT_CHANGED,
    DRIFT_DELETED,
};

struct drift_item {
    enum drift_kind kind;
    struct object_key key;
    const char *path;            /* file of the repository that defines it */
    int64_t revision_applied;    /* flows */
    int64_t revision_live;       /* 0: deleted */
    struct field_change *fields; /* applied -> live; without those that operators own */
    size_t fields_count;
    size_t fields_more;
    size_t fields_tolerated; /* changed, and owned by operators */
    bool text_only;          /* flow: the text differs, its meaning does not */
    const char *actor;       /* who changed it last; NULL unknown */
    const char *channel;
    usec_t at;
};

struct drift_report {
    const char *source;
    struct oid commit;            /* applied last; none: nothing yet */
    size_t objects;               /* compared */
    VEC(struct drift_item) items; /* sorted by key */
    size_t tolerated;             /* objects whose differences operators own */
};

/*
 * Compares every object of a source with what is deployed.
 *
 * repo    the copy of its repository, for weir.yaml (operatorOwns) and the bytes of files; NULL:
 *         every difference is reported, files by size
 * folder  of the repository that is deployed; "" for all of it
 * Errors  those of the target
 */
bool drift_find(struct target *target,
                struct arena *arena,
                const char *source,
                struct git_repo *repo,
                const char *folder,
                struct drift_report *out,
                struct error *err);

#endif
