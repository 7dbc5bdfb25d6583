/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository for one command: a folder or an address, its commits by any name, and the files of
 * a folder as if they were committed. Nothing of the folder itself is changed.
 */
#ifndef CLI_CHECKOUT_H
#define CLI_CHECKOUT_H

#include <stdbool.h>

#include "base/git.h"
#include "base/git_auth.h"

struct arena;
struct error;

struct checkout {
    struct git_repo *repo;   /* everything can be read here */
    struct git_repo *origin; /* the repository of the folder, NULL when there is none */
    const char *shown;       /* for people: the address, or the folder */
    const char *folder;      /* of the work tree; NULL for an address and a bare repository */
    const char *branch;      /* that HEAD names; NULL unknown */
    char *scratch;           /* folder that checkout_close() removes */
};

/*
 * Opens a folder (a repository, or just files) or fetches the branches and tags of an address.
 *
 * Errors   those of git_peer_list() and git_peer_fetch(); ERR_NOT_FOUND
 */
bool checkout_open(struct checkout *checkout,
                   struct arena *arena,
                   const char *address,
                   const struct git_access *access,
                   struct error *err);
void checkout_close(struct checkout *checkout);

/* A commit by branch, tag, prefix of its id … */
bool checkout_resolve(struct checkout *checkout,
                      struct arena *arena,
                      const char *name,
                      struct git_commit_info *out,
                      struct error *err);

/*
 * The files of the work tree as a commit on top of HEAD. What .gitignore leaves out is left out.
 *
 * files    out, may be NULL: how many there are
 */
bool checkout_files(struct checkout *checkout,
                    struct arena *arena,
                    struct git_commit_info *out,
                    size_t *files,
                    struct error *err);

#endif
