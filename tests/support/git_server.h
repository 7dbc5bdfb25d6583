/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Git server over HTTP for tests: Git's own http-backend behind our HTTP server, with the moods
 * of real servers.
 */
#ifndef TESTS_SUPPORT_GIT_SERVER_H
#define TESTS_SUPPORT_GIT_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct git_server;

struct git_server_options {
    const char *root;     /* folder of the repositories */
    bool is_old;          /* speaks protocol version 0 only */
    const char *password; /* of user "ana"; NULL: everybody may read */
    int status;           /* answers with this and nothing else; 0: works */
    const char *page;     /* answers with this HTML page; NULL: works */
    const char *moved_to; /* redirects the advertisement there; NULL: works */
    bool is_silent;       /* never answers */
};

/* Fails the test when it cannot start. */
struct git_server *git_server_start(const struct git_server_options *options);
void git_server_stop(struct git_server *server);

/* "http://127.0.0.1:4711/" + name; owned by the server until its next call. */
const char *git_server_url(struct git_server *server, const char *name);

/* Requests so far. */
size_t git_server_requests(struct git_server *server);

/* Is there a `git` program with http-backend? */
bool git_server_is_possible(void);

#endif
