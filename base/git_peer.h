/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A remote repository: which references it has, and taking their objects over.
 *
 * Speaks Git's protocol itself (version 2, and the older one where a server knows no other) over
 * HTTP and ssh, because a poll must cost one request that names the wanted branches, however many
 * references there are, and every wait must have a limit. A repository on this machine is read in
 * place. One thread at a time.
 *
 * Every error names the remote and its answer; none shows credentials.
 */
#ifndef BASE_GIT_PEER_H
#define BASE_GIT_PEER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/git.h"
#include "base/git_auth.h"
#include "base/oid.h"

struct arena;
struct error;
struct git_peer;

/* References of one answer; a repository with more must be asked for fewer prefixes. */
#define GIT_REFS_MAX 500000U

/* Bytes of one list of references. */
#define GIT_REFS_BYTES_MAX ((size_t)128 * 1024 * 1024)

/* Prefixes of one question. */
#define GIT_PREFIXES_MAX 64U

/* Objects asked for, and offered as common ground, in one fetch. */
#define GIT_WANTS_MAX 256U
#define GIT_HAVES_MAX 256U

#define GIT_CONNECT_TIMEOUT (10 * USEC_SEC)
#define GIT_IDLE_TIMEOUT    (60 * USEC_SEC)
#define GIT_FETCH_BYTES_MAX (UINT64_C(8) << 30)

/* Limits of one call, and who hears of its progress. Zero-initialised is fine. */
struct git_call {
    usec_t connect_timeout;    /* 0: GIT_CONNECT_TIMEOUT */
    usec_t idle_timeout;       /* 0: GIT_IDLE_TIMEOUT */
    uint64_t bytes_max;        /* of a pack; 0: GIT_FETCH_BYTES_MAX */
    const atomic_bool *cancel; /* looked at about every 0.1 s; NULL: none */
    /* Called often while a pack comes in; may be NULL. */
    void (*progress)(void *context, const struct git_pack_progress *progress);
    void *context;
};

struct git_ref {
    const char *name; /* "refs/heads/main" */
    struct oid id;
    struct oid peeled; /* what an annotated tag stands for; else none */
};

/* Owned by an arena. */
struct git_refs {
    struct git_ref *items; /* in the order of the answer: sorted by name */
    size_t count;
    const char *head;   /* full name that HEAD points to, also when unborn; NULL unknown */
    struct oid head_id; /* none when unborn or unknown */
};

/*
 * access   copied; NULL: none
 * Errors   ERR_INVALID  see git_address_parse()
 */
struct git_peer *git_peer_new(const char *address,
                              const struct git_access *access,
                              struct error *err);
void git_peer_free(struct git_peer *peer);
void git_peer_freep(struct git_peer **peer);

/* The address without credentials. */
const char *git_peer_shown(const struct git_peer *peer);

/* What the last failed call was told to wait (Retry-After); 0: nothing. */
usec_t git_peer_retry_after(const struct git_peer *peer);

/*
 * Lists references whose names start with one of `prefixes` (NULL-terminated; NULL: all), and HEAD.
 * One request, two the first time.
 *
 * Errors   ERR_NOT_FOUND    no such repository
 *          ERR_DENIED       credentials missing or refused; host key or certificate not trusted
 *          ERR_UNAVAILABLE  not reachable, not Git, an answer of 5xx …
 *          ERR_TIMEOUT, ERR_LIMIT, ERR_CANCELLED
 */
bool git_peer_list(struct git_peer *peer,
                   struct arena *arena,
                   const struct git_call *call,
                   const char *const *prefixes,
                   struct git_refs *out,
                   struct error *err);

/* NULL when absent. */
const struct git_ref *git_refs_find(const struct git_refs *refs, const char *name);

/*
 * Opens the mirror of this remote at `path`, making it when there is none. For a repository on this
 * machine its objects are used in place.
 */
struct git_repo *git_peer_open_mirror(struct git_peer *peer, const char *path, struct error *err);

/*
 * Takes over the objects of `wants` (from the last list) with all they need, in one request.
 * References are not touched.
 *
 * haves    commits that the mirror has with all they need: tips and some of their ancestors
 * Errors   as git_peer_list(); ERR_CONFLICT when the remote no longer offers a wanted object
 */
bool git_peer_fetch(struct git_peer *peer,
                    struct git_repo *mirror,
                    const struct git_call *call,
                    const struct oid *wants,
                    size_t wants_count,
                    const struct oid *haves,
                    size_t haves_count,
                    struct git_pack_progress *done,
                    struct error *err);

/* Lets a connection go that waits for a fetch; what was learned about the remote stays. */
void git_peer_close(struct git_peer *peer);

#endif
