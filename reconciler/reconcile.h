/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a commit to a plan, and from a plan to what is deployed.
 *
 * The cost follows the change: the trees of the commit applied last and of the new one are compared
 * by skipping what is equal, only files that differ are read, and only objects they define are
 * looked up. Everything is read when there is no such commit, when its tree is gone, or when the
 * layout of the repository changed; files known by their id are not parsed even then.
 *
 * What cannot be read is never taken for deleted.
 */
#ifndef RECONCILER_RECONCILE_H
#define RECONCILER_RECONCILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "core/plan.h"
#include "core/snapshot.h"

struct arena;
struct error;
struct plugin_set;
struct target;
struct value;

/* Bytes of a namespace file; bigger data belongs into storage, not into Git. */
#define NAMESPACE_FILE_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* Entries of one KV file, and bytes of it. */
#define KV_FILE_ENTRIES_MAX 10000U
#define KV_FILE_BYTES_MAX   ((size_t)4 * 1024 * 1024)

/* Name of the repository file in the chosen folder. */
#define REPO_CONFIG_NAME "weir.yaml"

/* Holds that can be lifted by whoever applies. */
enum reconcile_override {
    OVERRIDE_DELETIONS = 1 << 0,
    OVERRIDE_PROTECTED = 1 << 1,
    OVERRIDE_WINDOWS = 1 << 2,
    OVERRIDE_APPROVALS = 1 << 3,
};

struct reconcile_options {
    const struct plugin_set *plugins;
    const struct value *plugin_defaults; /* of the server, NULL none */
    unsigned threads;                    /* for reading files; 0: as many as processors */
    usec_t now;
    const char *zone;           /* of the server, for schedules without one; NULL: UTC */
    const char *namespace;      /* of flows that name none, without weir.yaml; NULL none */
    const char *const *sources; /* names of all sources, NULL-terminated, may be NULL: an object
                                   belongs to one of them */
    unsigned overrides;         /* OVERRIDE_…: holds that somebody looked at and lifted */
    bool is_baseline;           /* nothing holds; what has mistakes is left out. For the state
                                   that another plan is compared with */
    bool is_full;               /* compare everything, not only what differs between the trees */
};

/*
 * What applying the snapshot's commit would change.
 *
 * Returns  a plan, also when it has findings or is held; plan_free() releases it.
 *          NULL when there is nothing to judge:
 * Errors   ERR_NOT_FOUND, ERR_UNAVAILABLE  the repository cannot be read
 *          ERR_INVALID                     the tree is empty or malformed, or weir.yaml has
 * mistakes that leave no layout ERR_LIMIT                       too many files those of the target
 */
struct plan *reconcile_plan(const struct snapshot *snapshot,
                            struct target *target,
                            const struct reconcile_options *options,
                            struct error *err);

struct apply_options {
    const char *actor;           /* NULL: the author of the commit */
    const char *expected_digest; /* of the plan that was reviewed, or a prefix of at least 8
                                    digits; NULL: any */
};

/*
 * Applies a plan as one transaction and notes the commit as applied, also when nothing changes.
 *
 * Errors   ERR_CONFLICT  the plan is another one than expected, or what is deployed changed since
 *          ERR_DENIED    the plan is held
 *          those of the target
 */
bool reconcile_apply(const struct snapshot *snapshot,
                     struct target *target,
                     const struct reconcile_options *options,
                     const struct apply_options *apply,
                     struct plan *plan,
                     struct error *err);

/* Notes that the commit waits, for status and `weir why`; the same reasons again change nothing. */
bool reconcile_hold(const struct snapshot *snapshot,
                    struct target *target,
                    const struct reconcile_options *options,
                    const struct plan *plan,
                    struct error *err);

void plan_free(struct plan *plan); /* NULL is fine */
void plan_freep(struct plan **plan);

#endif
