/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local copy of one remote repository: asking for its tips, fetching what is new.
 *
 * Only tracked branches are fetched. The copy can be made again at any time: what is damaged is
 * thrown away. One thread at a time.
 */
#ifndef AGENT_MIRROR_H
#define AGENT_MIRROR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/git_peer.h"

struct arena;
struct mirror;

/* Branches of one repository that are tracked. */
#define MIRROR_BRANCHES_MAX 64U

struct mirror_options {
    const char *address;
    const struct git_access *access; /* NULL none */
    const char *folder;              /* of the copy; made when absent */
};

/* Errors: ERR_INVALID, the address is none. */
struct mirror *mirror_new(const struct mirror_options *options, struct error *err);
void mirror_free(struct mirror *mirror);

/* The address without credentials. */
const char *mirror_shown(const struct mirror *mirror);
usec_t mirror_retry_after(const struct mirror *mirror);

/* A tracked branch. */
struct mirror_tip {
    const char *branch; /* in: "main", or NULL for the one that HEAD names; out: its name */
    struct oid id;      /* out: what it points to */
    struct error error; /* out: why there is none; code ERR_NONE otherwise */
};

/*
 * Asks the remote for the tips of branches, all in one request, and fetches what the copy lacks.
 *
 * arena    owns names of branches that are filled in
 * Errors   those of git_peer_list() and git_peer_fetch(); a missing branch or an empty repository
 *          is an error of its tip only
 */
bool mirror_update(struct mirror *mirror,
                   struct arena *arena,
                   const struct git_call *call,
                   struct mirror_tip *tips,
                   size_t count,
                   struct error *err);

/* Where the copy is. */
const char *mirror_folder(const struct mirror *mirror);

/* The copy, once mirror_update() has succeeded; until then, or after mirror_drop(), NULL. */
struct git_repo *mirror_repo(struct mirror *mirror);

/* Is everything that a commit needs there? Reads all its trees; for after something was not. */
bool mirror_is_whole(struct mirror *mirror, const struct oid *commit);

/* Throws the copy away. */
bool mirror_drop(struct mirror *mirror, struct error *err);

#endif
