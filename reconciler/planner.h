/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The making of a plan, step by step; for the files of this folder.
 *
 *     settings.c  weir.yaml: layout and policy
 *     files.c     which files differ from what was applied last
 *     desired.c   what those files define
 *     modules.c   modules that flow files use
 *     diff.c      desired, applied last and live: the changes
 *     impact.c    what the changes may break
 *     policy.c    what holds the plan back
 */
#ifndef RECONCILER_PLANNER_H
#define RECONCILER_PLANNER_H

#include <pthread.h>

#include "base/error.h"
#include "base/map.h"
#include "base/vec.h"
#include "core/diag.h"
#include "core/module.h"
#include "core/plan.h"
#include "core/repo_config.h"
#include "core/snapshot.h"
#include "reconciler/layout.h"
#include "reconciler/notes.h"
#include "reconciler/reconcile.h"
#include "reconciler/target.h"

struct flow;
struct module_cache;

/* A file that differs from what was applied last, or must be looked at again. */
struct file_job {
    const char *path;
    struct oid before; /* none: new */
    struct oid after;  /* none: removed */
    struct layout_place place;
    bool is_problem;                        /* is not followed: a link, a name … */
    const struct inventory_entry **entries; /* what it gave when it was applied last */
    size_t entries_count;

    /* Results of reading it. */
    bool is_ignored; /* does not look like a flow */
    bool is_invalid; /* has errors: what was applied from it stays */
    struct desired_object *objects;
    size_t objects_count;
    struct object_key claim; /* is_invalid: the flow it means to define; name NULL: unknown */
    struct diag_list findings;
    const struct object_key *keys_before; /* of the text it had, when not everything is read */
    size_t keys_before_count;
    const struct error *error; /* it cannot be read; else NULL */
};

struct planner {
    const struct snapshot *snapshot;
    struct target *target;
    const struct reconcile_options *options;
    struct plan *plan;
    struct arena *arena; /* of the plan */

    struct oid tree; /* of the commit */
    struct layout layout;
    const struct repo_config *config; /* NULL: weir.yaml has mistakes */
    const char *config_path;
    const char *layout_digest;

    bool has_head;
    struct head_note head; /* what was applied last */
    struct oid tree_before;
    bool is_full;

    VEC(struct file_job) jobs;  /* sorted by path */
    struct map jobs_by_path;    /* path -> struct file_job */
    VEC(const char *) problems; /* paths that are not followed */

    VEC(const char *) skipped; /* files skipped at the last apply */

    struct map entries_by_key; /* full: all; else those looked up so far */
    size_t entries_total;      /* objects of the source, as applied last */

    struct module_cache *modules;

    struct map desired; /* text of a key -> struct desired_object, of the jobs */
    VEC(struct desired_object *) wanted;

    VEC(const struct desired_object *) moved; /* as before, in a file that changed: noted again */
    struct map changes_by_key; /* text of a key -> struct plan_change, once they are complete */
};

/* ---- settings.c ---- */

/*
 * Reads weir.yaml of the commit and checks that what it names exists. Mistakes are findings; with
 * planner->config NULL they leave nothing to go on with.
 */
bool planner_read_settings(struct planner *planner, struct error *err);

/* ---- files.c ---- */

/* Finds the files to look at, and the entries they had. */
bool planner_find_files(struct planner *planner, struct error *err);

/* The entry of an object, looked up when it is not known yet; NULL when there is none. */
bool planner_entry(struct planner *planner,
                   const struct object_key *key,
                   const struct inventory_entry **out,
                   struct error *err);

/* ---- desired.c ---- */

/* Reads all jobs, on several threads, and collects what they define and their findings. */
bool planner_read_files(struct planner *planner, struct error *err);

/* Copies findings to the plan. */
void planner_take_findings(struct planner *planner, const struct diag_list *findings);

/* ---- modules.c ---- */

/* A module that some flow file names. */
struct planned_module {
    const char *path;            /* NULL: there is none */
    const struct module *module; /* NULL: it has mistakes */
    struct diag_list findings;
};

struct module_cache *module_cache_new(void);
void module_cache_free(struct module_cache *cache);

/* The module of a name; any thread. NULL with err when the repository cannot be read. */
const struct planned_module *planner_module(struct planner *planner,
                                            const char *name,
                                            struct error *err);

/* Mistakes of modules that were asked for, each once. */
void planner_take_module_findings(struct planner *planner);

/*
 * Key of the note that a flow was made with a module; flow NULL: what such keys start with. They
 * are among those of NOTES_REFERENCES.
 */
#define MODULE_NOTES "module/"
const char *module_note_key(struct arena *arena, const char *name, const struct object_key *flow);

/* ---- diff.c ---- */

/* Fills plan->changes. */
bool planner_compare(struct planner *planner, struct error *err);

/* After plan->changes was changed. */
void planner_index_changes(struct planner *planner);

/* The change of an object; NULL when the plan has none. */
const struct plan_change *planner_change(const struct planner *planner,
                                         const struct object_key *key);

/* Does a broken file mean to define the object? */
bool planner_is_claimed(const struct planner *planner, const struct object_key *key);

/* A flow of a text that was parsed before; never held back by findings. NULL when it is broken. */
struct flow *planner_parse(struct planner *planner, const struct object_key *key, const char *text);

/* ---- impact.c ---- */

bool planner_check_references(struct planner *planner, struct error *err);
bool planner_find_impact(struct planner *planner, struct error *err);

/* ---- policy.c ---- */

void planner_judge(struct planner *planner);

#endif
