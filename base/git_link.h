/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How bytes of Git's protocol travel: HTTP requests, or the pipes of ssh.
 *
 * For base/git_peer.c. One conversation: advertise() once, its answer is read; then request() any
 * number of times, each followed by reading its answer. Errors name the remote.
 */
#ifndef BASE_GIT_LINK_H
#define BASE_GIT_LINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

struct arena;
struct error;
struct git_access;
struct git_address;
struct git_link;

/* Waits that all links obey. */
struct git_waits {
    usec_t connect;            /* until the other side answers at all */
    usec_t idle;               /* while nothing moves */
    const atomic_bool *cancel; /* NULL: none */
};

struct git_link_ops {
    bool is_stateless; /* each request stands alone and repeats what it needs */

    /* Asks what the other side can do and has. Errors: see git_auth.h, ERR_TIMEOUT, ERR_CANCELLED
     */
    bool (*advertise)(struct git_link *link, const struct git_waits *waits, struct error *err);

    /* Sends a request; for HTTP also waits for the head of its answer. */
    bool (*request)(struct git_link *link,
                    const struct git_waits *waits,
                    const void *body,
                    size_t length,
                    struct error *err);

    /* Up to `max` bytes of the answer; 0 at its end, -1 on failure. */
    ptrdiff_t (*read)(struct git_link *link, void *bytes, size_t max, struct error *err);

    /*
     * What is known about an answer that ended too early; fills err. For ssh: waits for its end and
     * tells what it printed.
     */
    bool (*ended)(struct git_link *link, struct error *err);

    /* Gives the connection up; advertise() starts anew. */
    void (*close)(struct git_link *link);
    void (*free)(struct git_link *link);
};

struct git_link {
    const struct git_link_ops *ops;
    usec_t retry_after; /* span the other side asked us to wait; 0 none */
};

/* address and access are borrowed until the link is freed. */
struct git_link *git_link_http(const struct git_address *address, const struct git_access *access);
struct git_link *git_link_ssh(const struct git_address *address, const struct git_access *access);

#endif
