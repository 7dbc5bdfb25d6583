/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/reconcile.h"

#include <malloc.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "reconciler/planner.h"

/*
 * A first sync of many flows takes memory that nothing after it needs: beyond so many changes it is
 * given back to the system at once.
 */
#define TRIM_CHANGES 2000U

static void planner_release(struct planner *planner)
{
    VEC_FREE(&planner->jobs);
    map_free(&planner->jobs_by_path);
    map_free(&planner->entries_by_key);
    map_free(&planner->desired);
    map_free(&planner->changes_by_key);
    module_cache_free(planner->modules);
}

void plan_free(struct plan *plan)
{
    if (plan == NULL)
        return;
    struct arena **arena;
    if (plan->planner != NULL)
        planner_release(plan->planner);
    VEC_EACH(arena, &plan->arenas)
        arena_free(*arena);
    bool is_big = plan->changes.count > TRIM_CHANGES;
    arena_free(plan->arena); // the plan itself is inside
    if (is_big)
        (void)malloc_trim(0);
}

void plan_freep(struct plan **plan)
{
    plan_free(*plan);
}

static struct plan *plan_new(const struct snapshot *snapshot)
{
    struct arena *arena = arena_new();
    struct plan *plan = ARENA_NEW(arena, struct plan);
    *plan = (struct plan){
        .arena = arena,
        .source = arena_strdup(arena, snapshot->source),
        .shown = arena_strdup(arena, snapshot->shown),
        .branch = arena_strdup(arena, snapshot->branch),
        .head = snapshot->commit,
        .is_rewritten = snapshot->is_rewritten,
        .findings = diag_list_new(arena, NULL),
    };
    plan->head.author = arena_strdup(arena, snapshot->commit.author);
    plan->head.email = arena_strdup(arena, snapshot->commit.email);
    plan->head.subject = arena_strdup(arena, snapshot->commit.subject);
    plan->head.message = arena_strdup(arena, snapshot->commit.message);
    return plan;
}

/* What was applied last; its commit may be gone from a repository whose history was rewritten. */
static bool read_head(struct planner *planner, struct error *err)
{
    struct error absent = { 0 };
    planner->has_head = head_note_load(planner->target, planner->arena, planner->snapshot->source,
                                       &planner->head, &absent);
    if (!planner->has_head) {
        if (absent.code == ERR_NOT_FOUND)
            return true;
        *err = absent;
        return false;
    }
    struct git_commit_info *base = ARENA_NEW(planner->arena, struct git_commit_info);
    struct error gone = { 0 };
    if (!git_repo_commit(planner->snapshot->repo, planner->arena, &planner->head.commit, base,
                         &gone))
        *base = (struct git_commit_info){
            .id = planner->head.commit, .author = "", .email = "", .subject = "", .message = ""
        };
    planner->plan->base = base;
    return true;
}

/* An object belongs to one source only. */
static bool check_owners(struct planner *planner, struct error *err)
{
    const char *const *sources = planner->options->sources;
    const struct plan_change *change;
    VEC_EACH(change, &planner->plan->changes) {
        bool takes_over = change->entry == NULL && change->live != NULL;
        if (sources == NULL || !takes_over)
            continue;
        const char *key = object_key_text(planner->arena, &change->key);
        for (size_t i = 0; sources[i] != NULL; i++) {
            struct note note;
            struct error absent = { 0 };
            if (str_eq(sources[i], planner->snapshot->source))
                continue;
            const char *collection = notes_inventory(planner->arena, sources[i]);
            if (!planner->target->ops->note(planner->target, planner->arena, collection, key, &note,
                                            &absent)) {
                if (absent.code == ERR_NOT_FOUND)
                    continue;
                *err = absent;
                return false;
            }
            struct diag_list *findings = &planner->plan->findings;
            findings->file = change->path;
            (void)diag_add(findings, DIAG_ERROR, DIAG_RULE, "owned-elsewhere", NULL, NULL,
                           "%s '%s/%s' is deployed from source '%s'",
                           object_kind_name(change->key.kind), change->key.namespace,
                           change->key.name, sources[i]);
            findings->file = NULL;
        }
    }
    return true;
}

static void count_unchanged(struct planner *planner)
{
    size_t touched = 0;
    const struct plan_change *change;
    VEC_EACH(change, &planner->plan->changes)
        touched += change->entry != NULL;
    size_t total = planner->entries_total;
    planner->plan->unchanged = total > touched ? total - touched : 0;
}

static bool make_plan(struct planner *planner, struct error *err)
{
    if (!read_head(planner, err) || !planner_read_settings(planner, err))
        return false;
    if (planner->config != NULL) {
        if (!planner_find_files(planner, err) || !planner_read_files(planner, err) ||
            !planner_compare(planner, err) || !planner_check_references(planner, err) ||
            !planner_find_impact(planner, err) || !check_owners(planner, err))
            return false;
        count_unchanged(planner);
    }
    planner_judge(planner);
    plan_seal(planner->plan);
    return true;
}

struct plan *reconcile_plan(const struct snapshot *snapshot,
                            struct target *target,
                            const struct reconcile_options *options,
                            struct error *err)
{
    struct plan *plan = plan_new(snapshot);
    struct planner *planner = ARENA_NEW(plan->arena, struct planner);
    *planner = (struct planner){
        .snapshot = snapshot,
        .target = target,
        .options = options,
        .plan = plan,
        .arena = plan->arena,
        .tree = snapshot->commit.tree,
        .modules = module_cache_new(),
    };
    plan->planner = planner;
    bool is_reading = target->ops->begin == NULL || target->ops->begin(target, err);
    bool ok = is_reading && make_plan(planner, err);
    if (is_reading && target->ops->end != NULL)
        target->ops->end(target);
    if (!ok) {
        plan_free(plan);
        return NULL;
    }
    return plan;
}
