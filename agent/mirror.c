/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/mirror.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/git_walk.h"
#include "base/str.h"

/* Commits of one branch offered as common ground. */
#define SAMPLE_MAX 32U

#define HEADS "refs/heads/"

struct mirror {
    struct git_peer *peer;
    struct git_repo *repo;
    char *folder;
};

struct mirror *mirror_new(const struct mirror_options *options, struct error *err)
{
    struct git_peer *peer = git_peer_new(options->address, options->access, err);
    if (peer == NULL)
        return NULL;
    struct mirror *mirror = check_calloc(1, sizeof(*mirror));
    *mirror = (struct mirror){ .peer = peer, .folder = check_strdup(options->folder) };
    return mirror;
}

void mirror_free(struct mirror *mirror)
{
    if (mirror == NULL)
        return;
    git_repo_free(mirror->repo);
    git_peer_free(mirror->peer);
    free(mirror->folder);
    free(mirror);
}

const char *mirror_shown(const struct mirror *mirror)
{
    return git_peer_shown(mirror->peer);
}

usec_t mirror_retry_after(const struct mirror *mirror)
{
    return git_peer_retry_after(mirror->peer);
}

const char *mirror_folder(const struct mirror *mirror)
{
    return mirror->folder;
}

struct git_repo *mirror_repo(struct mirror *mirror)
{
    return mirror->repo;
}

/*
 * Branches to take when HEAD names one without commits, as a bare repository has it until somebody
 * sets it.
 */
static const char *const usual_branches[] = { HEADS "main", HEADS "master" };

/* The branch to follow when none is configured; NULL when there is none. */
static const char *default_branch(const struct git_refs *refs, struct oid *id)
{
    *id = refs->head_id;
    if (!oid_is_none(id))
        return refs->head != NULL && str_starts(refs->head, HEADS) ? refs->head + strlen(HEADS)
                                                                   : "HEAD"; // detached
    for (size_t i = 0; i < COUNT_OF(usual_branches); i++) {
        const struct git_ref *ref = git_refs_find(refs, usual_branches[i]);
        if (ref != NULL) {
            *id = ref->id;
            return usual_branches[i] + strlen(HEADS);
        }
    }
    return NULL;
}

/* Finds a branch in the answer, or says why it is not there. */
static void find_tip(const struct mirror *mirror,
                     struct arena *arena,
                     const struct git_refs *refs,
                     struct mirror_tip *tip)
{
    const char *shown = git_peer_shown(mirror->peer);
    tip->error = (struct error){ 0 };
    if (tip->branch == NULL) {
        const char *branch = default_branch(refs, &tip->id);
        tip->branch = arena_strdup(arena, branch);
        if (branch == NULL)
            (void)error_set(&tip->error, ERR_NOT_FOUND, "remote '%s' has no commits yet", shown);
        return;
    }
    const char *name = arena_printf(arena, HEADS "%s", tip->branch);
    const struct git_ref *ref = git_refs_find(refs, name);
    if (ref != NULL)
        tip->id = ref->id;
    else if (str_eq(name, refs->head) && oid_is_none(&refs->head_id))
        (void)error_set(&tip->error, ERR_NOT_FOUND, "remote '%s' has no commits on '%s' yet", shown,
                        tip->branch);
    else
        (void)error_set(&tip->error, ERR_NOT_FOUND, "remote '%s' has no branch '%s'", shown,
                        tip->branch);
}

static bool list(struct mirror *mirror,
                 struct arena *arena,
                 const struct git_call *call,
                 const struct mirror_tip *tips,
                 size_t count,
                 struct git_refs *out,
                 struct error *err)
{
    size_t max = count + COUNT_OF(usual_branches) + 1;
    const char **prefixes = ARENA_ARRAY(arena, max, const char *);
    size_t n = 0;
    bool wants_default = false;
    for (size_t i = 0; i < count; i++) {
        if (tips[i].branch != NULL)
            prefixes[n++] = arena_printf(arena, HEADS "%s", tips[i].branch);
        wants_default = wants_default || tips[i].branch == NULL;
    }
    for (size_t i = 0; wants_default && i < COUNT_OF(usual_branches); i++)
        prefixes[n++] = usual_branches[i];
    return git_peer_list(mirror->peer, arena, call, prefixes, out, err);
}

/* Our reference for a branch: tells what the copy has, and keeps it from being collected. */
static const char *own_ref(struct arena *arena, const struct mirror_tip *tip)
{
    return arena_printf(arena, HEADS "%s", tip->branch);
}

static size_t collect_haves(struct mirror *mirror,
                            struct arena *arena,
                            const struct mirror_tip *tips,
                            size_t count,
                            struct oid *out)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        struct oid id;
        if (tips[i].branch == NULL || !git_repo_ref(mirror->repo, own_ref(arena, &tips[i]), &id))
            continue;
        size_t room = GIT_HAVES_MAX - found;
        found +=
            git_repo_sample(mirror->repo, &id, out + found, room < SAMPLE_MAX ? room : SAMPLE_MAX);
    }
    return found;
}

static bool fetch(struct mirror *mirror,
                  struct arena *arena,
                  const struct git_call *call,
                  const struct mirror_tip *tips,
                  size_t count,
                  struct error *err)
{
    struct oid wants[MIRROR_BRANCHES_MAX];
    size_t wanted = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_known = false;
        for (size_t j = 0; j < wanted && !is_known; j++)
            is_known = oid_equal(&wants[j], &tips[i].id);
        if (tips[i].error.code == ERR_NONE && !is_known && !git_repo_has(mirror->repo, &tips[i].id))
            wants[wanted++] = tips[i].id;
    }
    if (wanted > 0) {
        struct oid haves[GIT_HAVES_MAX];
        size_t offered = collect_haves(mirror, arena, tips, count, haves);
        if (!git_peer_fetch(mirror->peer, mirror->repo, call, wants, wanted, haves, offered, NULL,
                            err))
            return false;
    }
    for (size_t i = 0; i < count; i++)
        if (tips[i].error.code == ERR_NONE &&
            !git_repo_set_ref(mirror->repo, own_ref(arena, &tips[i]), &tips[i].id, err))
            return false;
    return true;
}

bool mirror_update(struct mirror *mirror,
                   struct arena *arena,
                   const struct git_call *call,
                   struct mirror_tip *tips,
                   size_t count,
                   struct error *err)
{
    CHECK(count <= MIRROR_BRANCHES_MAX);
    struct git_refs refs;
    bool ok = list(mirror, arena, call, tips, count, &refs, err);
    if (ok) {
        for (size_t i = 0; i < count; i++)
            find_tip(mirror, arena, &refs, &tips[i]);
        if (mirror->repo == NULL)
            mirror->repo = git_peer_open_mirror(mirror->peer, mirror->folder, err);
        ok = mirror->repo != NULL && fetch(mirror, arena, call, tips, count, err);
    }
    git_peer_close(mirror->peer);
    return ok;
}

static bool check_blob(void *context, const struct walk_change *change, struct error *err)
{
    struct git_repo *repo = context;
    return git_repo_has(repo, &change->after) ||
           error_set(err, ERR_NOT_FOUND, "'%s' is missing", change->path);
}

bool mirror_is_whole(struct mirror *mirror, const struct oid *commit)
{
    if (mirror->repo == NULL)
        return false;
    struct arena *scratch = arena_new();
    struct git_commit_info info;
    struct error ignored = { 0 }; // the answer is all that is wanted
    struct walk walk = { .change = check_blob, .context = mirror->repo };
    bool ok = git_repo_commit(mirror->repo, scratch, commit, &info, &ignored) &&
              walk_trees(mirror->repo, &oid_none, &info.tree, &walk, &ignored);
    arena_free(scratch);
    return ok;
}

bool mirror_drop(struct mirror *mirror, struct error *err)
{
    git_repo_free(mirror->repo);
    mirror->repo = NULL;
    return fs_remove_tree(mirror->folder, err);
}
