/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a remote repository is, who we are there, and what its refusals mean.
 */
#ifndef BASE_GIT_AUTH_H
#define BASE_GIT_AUTH_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct error;

enum git_scheme { GIT_LOCAL, GIT_HTTP, GIT_SSH };

/* An address, taken apart. Owned by an arena. */
struct git_address {
    enum git_scheme scheme;
    const char *shown; /* for people: without credentials */
    const char *path;  /* GIT_LOCAL: of the repository; GIT_SSH: on the host */
    const char *url;   /* GIT_HTTP: without credentials and without a final slash */
    const char *user;  /* from the address; NULL when absent */
    const char *password;
    const char *host; /* GIT_SSH */
    unsigned port;    /* GIT_SSH; 0: not given */
};

/*
 * Reads `https://…`, `http://…`, `ssh://[user@]host[:port]/path`, `user@host:path`, `file:///path`
 * or a path.
 *
 * Errors   ERR_INVALID  not an address, a scheme that is not supported, or a host, user or path
 *                       that ssh would take for an option
 */
bool git_address_parse(struct arena *arena,
                       const char *text,
                       struct git_address *out,
                       struct error *err);

/* Credentials and what the other side must prove. Texts are borrowed; all may be NULL. */
struct git_access {
    const char *user;
    const char *password;    /* of basic authentication; also where a token goes */
    bool bearer;             /* send the password as a bearer token */
    const char *ca_pem;      /* certificates trusted instead of the system's */
    bool insecure;           /* TLS certificates are not verified */
    const char *ssh_key;     /* path of a private key; NULL: agent and the user's own keys */
    const char *ssh_hosts;   /* path of a known_hosts file; NULL: the user's and the system's */
    const char *ssh_command; /* program to run instead of "ssh" */
};

/* A copy whose texts are owned by the arena; NULL gives none. */
struct git_access git_access_copy(struct arena *arena, const struct git_access *access);

bool git_access_equal(const struct git_access *a, const struct git_access *b);

/*
 * The user name sent with a token when none is configured: forges that look at the name at all
 * accept this one.
 */
#define GIT_TOKEN_USER "x-access-token"

/*
 * Fills err for an HTTP status that is no success.
 *
 * had_credentials  whether we sent any
 * answer           first bytes of the body when it was text, "" otherwise
 */
bool git_refused_http(const struct git_address *address,
                      int status,
                      bool had_credentials,
                      const char *answer,
                      struct error *err);

/*
 * Fills err from what ssh, or the program it started on the other side, printed before it ended.
 *
 * status   exit status; ssh itself uses 255
 */
bool git_refused_ssh(const struct git_address *address,
                     int status,
                     const char *printed,
                     struct error *err);

/* Fills err from the text of an ERR packet or of the error channel. */
bool git_refused_remote(const struct git_address *address, const char *text, struct error *err);

/* Copies a line of foreign text, cut and without control characters, fit for an error. */
void git_answer_shown(const char *text, size_t length, char *out, size_t out_bytes);

#endif
