/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between two trees, found by skipping equal subtrees: the cost follows the change.
 *
 * A tree comes from strangers. Names that could lead anywhere else, links, submodules and names
 * that are no text are reported and not followed; sizes and depths are bounded.
 */
#ifndef BASE_GIT_WALK_H
#define BASE_GIT_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/oid.h"

struct error;
struct git_repo;

/* Entries looked at in one walk; a repository of flows has a hundred thousand at most. */
#define WALK_ENTRIES_MAX 1000000U
/* Folders inside folders. */
#define WALK_DEPTH_MAX 64U
/* Bytes of a path. */
#define WALK_PATH_MAX 4096U
/* Bytes of one folder's tree object: a million short names. */
#define WALK_TREE_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* A file that was added (before is none), changed, or removed (after is none). */
struct walk_change {
    const char *path; /* UTF-8, borrowed for the call */
    struct oid before;
    struct oid after;
};

enum walk_problem_kind {
    WALK_SYMLINK,
    WALK_SUBMODULE,
    WALK_NAME,      /* ".", "..", ".git", empty, a slash or a control character inside */
    WALK_NOT_UTF8,  /* path with replacement characters */
    WALK_COLLISION, /* differs from its neighbour in letter case only */
    WALK_TOO_DEEP,
    WALK_MODE, /* neither file, folder, link nor submodule */
};

/* An entry of the new tree that is not followed. */
struct walk_problem {
    enum walk_problem_kind kind;
    const char *path; /* borrowed for the call; fit to be shown */
};

struct walk {
    /* false ends the walk with the error it filled. */
    bool (*change)(void *context, const struct walk_change *change, struct error *err);
    void (*problem)(void *context, const struct walk_problem *problem); /* may be NULL */
    /* Is a folder of interest? NULL: all are. Asked for every folder that differs. */
    bool (*enter)(void *context, const char *path);
    void *context;
    uint32_t entries_max; /* 0: WALK_ENTRIES_MAX */
    uint64_t entries;     /* out: looked at */
    uint64_t trees;       /* out: tree objects read */
};

/*
 * Compares two trees; a tree that is none counts as empty, so that a comparison with it lists all
 * files. Changes come in the order of paths inside each folder.
 *
 * Errors   ERR_NOT_FOUND, ERR_UNAVAILABLE  a tree is missing or damaged
 *          ERR_LIMIT                       too many entries
 *          ERR_INVALID                     a tree is malformed
 */
bool walk_trees(struct git_repo *repo,
                const struct oid *before,
                const struct oid *after,
                struct walk *walk,
                struct error *err);

/*
 * One entry of a tree by its path ("weir.yaml", "flows/a.yml", "" for the tree itself).
 *
 * is_folder  out, may be NULL
 * Returns    false with ERR_NOT_FOUND when there is no such file or folder
 */
bool walk_find(struct git_repo *repo,
               const struct oid *tree,
               const char *path,
               struct oid *out,
               bool *is_folder,
               struct error *err);

#endif
