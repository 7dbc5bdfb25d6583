/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository, a target in memory, and the way between them, for tests of the reconciler.
 */
#ifndef TESTS_SUPPORT_WORLD_H
#define TESTS_SUPPORT_WORLD_H

#include "core/snapshot.h"
#include "reconciler/reconcile.h"
#include "reconciler/target.h"
#include "tests/support/git_repo.h"

#define LOG_TASK "io.kestra.plugin.core.log.Log"

struct world {
    struct fixture_repo *fixture;
    struct git_repo *repo;
    struct target *target;
    struct snapshot snapshot;
    struct reconcile_options options;
    struct arena *arena;
};

/* "now" is 2026-06-01T12:00:00Z, the zone Europe/Paris, the source "main". */
struct world world_new(void);
void world_free(struct world *world);

/* A flow of namespace company.team that logs, with more YAML behind. */
void world_put_flow(struct world *world, const char *path, const char *id, const char *more);

/* A flow that calls another one of the namespace. */
void world_put_caller(struct world *world, const char *path, const char *id, const char *callee);

/* Commits what was put; the snapshot is of that commit. */
void world_commit(struct world *world);

/* The plan of the snapshot; plan_free() it. Fails the test when there is none. */
struct plan *world_plan(struct world *world);

/* Plans and applies; a minute passes. */
void world_apply(struct world *world);

/* "flow/company.team/a"; revision 0 when it is not deployed. */
struct live_object world_live(struct world *world, const char *key_text);

#endif
