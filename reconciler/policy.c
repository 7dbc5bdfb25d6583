/* SPDX-License-Identifier: Apache-2.0 */
/* What holds a plan back: mistakes, too many deletions, protected namespaces, windows, approvals.
 */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/tz.h"
#include "reconciler/planner.h"

static void hold(struct planner *planner, const char *code, const char *text)
{
    struct plan_hold *hold = VEC_PUSH_ARENA(planner->arena, &planner->plan->holds);
    *hold = (struct plan_hold){ .code = code, .text = text };
}

static bool is_lifted(const struct planner *planner, enum reconcile_override override)
{
    return (planner->options->overrides & (unsigned) override) != 0;
}

/* A mistake in one file holds the commit, or, when the repository says so, only that file. */
static void judge_findings(struct planner *planner)
{
    struct plan *plan = planner->plan;
    if (plan->findings.errors == 0)
        return;
    bool is_general = planner->config == NULL;
    const struct diag *diag;
    VEC_EACH(diag, &plan->findings.all) {
        const struct file_job *job =
            diag->file == NULL ? NULL : map_find(&planner->jobs_by_path, diag->file);
        // what a module gets wrong is held against the flows that use it
        if (diag->file != NULL &&
            layout_place(&planner->layout, planner->arena, diag->file).role == LAYOUT_MODULE)
            continue;
        // findings about a file that can be left out are those that its reading gave
        if (diag->level == DIAG_ERROR && (job == NULL || !job->is_invalid))
            is_general = true;
    }
    if (planner->config != NULL && planner->config->skips_invalid && !is_general) {
        plan->is_partial = true;
        return;
    }
    hold(planner, "findings",
         arena_printf(planner->arena, "%zu error%s must be corrected", plan->findings.errors,
                      plan->findings.errors == 1 ? "" : "s"));
}

static void judge_deletions(struct planner *planner)
{
    const struct repo_config *config = planner->config;
    struct arena *arena = planner->arena;
    int64_t deletes = (int64_t)plan_counts(planner->plan).deletes;
    int64_t total = (int64_t)planner->entries_total;
    if (deletes == 0 || is_lifted(planner, OVERRIDE_DELETIONS))
        return;
    if (config->deletions_per_commit >= 0 && deletes > config->deletions_per_commit)
        hold(planner, "deletions",
             arena_printf(arena, "deletion of %lld object%s exceeds the budget of %lld",
                          (long long)deletes, deletes == 1 ? "" : "s",
                          (long long)config->deletions_per_commit));
    else if (config->deletions_percent >= 0 && deletes * 100 > total * config->deletions_percent)
        hold(planner, "deletions",
             arena_printf(arena, "deletion of %lld of %lld objects exceeds the budget of %lld %%",
                          (long long)deletes, (long long)total,
                          (long long)config->deletions_percent));
    else if (deletes == total && total > 1)
        hold(planner, "deletions",
             arena_printf(arena, "all %lld objects would be deleted", (long long)total));
}

static bool is_below(const char *namespace, const char *protected)
{
    size_t length = strlen(protected);
    return strncmp(namespace, protected, length) == 0 &&
           (namespace[length] == '\0' || namespace[length] == '.');
}

static void judge_protected(struct planner *planner)
{
    const char *const *names = planner->config->protected;
    if (names == NULL || is_lifted(planner, OVERRIDE_PROTECTED))
        return;
    for (; *names != NULL; names++) {
        size_t count = 0;
        const struct plan_change *first = NULL;
        const struct plan_change *change;
        VEC_EACH(change, &planner->plan->changes) {
            bool is_effect = change->action == PLAN_UPDATE || change->action == PLAN_DELETE;
            if (!is_effect || !is_below(change->key.namespace, *names))
                continue;
            if (first == NULL)
                first = change;
            count++;
        }
        if (count == 1)
            hold(planner, "protected",
                 arena_printf(planner->arena, "namespace '%s' is protected: %s of %s '%s/%s'",
                              *names, plan_action_name(first->action),
                              object_kind_name(first->key.kind), first->key.namespace,
                              first->key.name));
        else if (count > 1)
            hold(planner, "protected",
                 arena_printf(planner->arena, "namespace '%s' is protected: %zu changes", *names,
                              count));
    }
}

static void judge_windows(struct planner *planner)
{
    const struct repo_config *config = planner->config;
    if (config->windows_count == 0 || is_lifted(planner, OVERRIDE_WINDOWS))
        return;
    usec_t opens = USEC_NEVER;
    const struct repo_window *next = NULL;
    for (size_t i = 0; i < config->windows_count; i++) {
        usec_t changes = USEC_NEVER;
        if (repo_window_is_open(&config->windows[i], planner->options->now, &changes))
            return;
        if (next == NULL || changes < opens) {
            opens = changes;
            next = &config->windows[i];
        }
    }
    CHECK(next != NULL); // there is one at least
    hold(planner, "window",
         arena_printf(planner->arena, "window '%s' (%s:%u) opens %s", next->name,
                      planner->config_path, next->line,
                      opens == USEC_NEVER ? "never" : time_format_instant(planner->arena, opens)));
}

/* Does an approval rule concern anything of this plan? */
static bool is_concerned(const struct planner *planner, const struct repo_approval *approval)
{
    const struct plan_change *change;
    VEC_EACH(change, &planner->plan->changes) {
        if (approval->paths == NULL || *approval->paths == NULL)
            return true;
        for (const char *const *glob = approval->paths; *glob != NULL; glob++)
            if (str_glob(*glob, change->path))
                return true;
    }
    return false;
}

static void judge_approvals(struct planner *planner)
{
    const struct repo_config *config = planner->config;
    if (is_lifted(planner, OVERRIDE_APPROVALS))
        return;
    for (size_t i = 0; i < config->approvals_count; i++) {
        const struct repo_approval *approval = &config->approvals[i];
        if (!is_concerned(planner, approval))
            continue;
        const char *who = approval->by == NULL ? NULL : approval->by[0];
        hold(planner, "approval",
             arena_printf(planner->arena, "%lld approval%s%s%s needed", (long long)approval->count,
                          approval->count == 1 ? "" : "s", who == NULL ? "" : " of ",
                          who == NULL ? "" : who));
    }
}

void planner_judge(struct planner *planner)
{
    if (planner->options->is_baseline) {
        planner->plan->is_partial = planner->plan->findings.errors > 0;
        return;
    }
    judge_findings(planner);
    if (planner->config == NULL || plan_is_empty(planner->plan))
        return;
    judge_deletions(planner);
    judge_protected(planner);
    judge_windows(planner);
    judge_approvals(planner);
}
