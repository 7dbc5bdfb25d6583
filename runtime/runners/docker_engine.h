/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Engine API of Docker and Podman: the calls that a task runner needs (connectors.md 17.2).
 *
 * An engine belongs to one thread. Statuses of failure are errors with the engine's own words:
 * 404 ERR_NOT_FOUND, 409 ERR_CONFLICT, 401 and 403 ERR_DENIED, 5xx ERR_UNAVAILABLE, others
 * ERR_INVALID; besides those of http_call().
 */
#ifndef RUNTIME_RUNNERS_DOCKER_ENGINE_H
#define RUNTIME_RUNNERS_DOCKER_ENGINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/url.h"

struct arena;
struct error;
struct value;

struct docker_engine {
    struct arena *arena;       /* of everything given back */
    const char *shown;         /* its address, for messages */
    const char *socket;        /* NULL: over TCP */
    const char *url;           /* with the version */
    bool is_podman;            /* it takes an empty entry point for none */
    const atomic_bool *cancel; /* NULL: calls cannot be stopped */
    usec_t timeout;            /* of a whole call, 0 none */
};

/*
 * Finds the engine and agrees on a version.
 *
 * host     "unix://…", "tcp://…"; NULL: DOCKER_HOST, else the first socket that is there
 * env      NULL-terminated "NAME=value"
 * Errors   ERR_INVALID      an address that cannot be spoken to
 *          ERR_UNAVAILABLE  not reachable, with what to do about it
 */
bool docker_connect(struct docker_engine *engine,
                    const char *host,
                    const char *const *env,
                    struct error *err);

/*
 * One call with a JSON body (NULL: none); query may be NULL.
 *
 * Returns  the answer, value_null when it is empty; NULL on failure
 */
const struct value *docker_call(struct docker_engine *engine,
                                const char *method,
                                const char *path,
                                const struct http_fields *query,
                                const struct value *body,
                                struct error *err);

/* Unpacks the tar archive in `fd` over the root of a container. */
bool docker_put_files(struct docker_engine *engine, const char *id, int fd, struct error *err);

/* Writes a folder of a container into `fd` as tar; names begin with the folder's last segment. */
bool docker_get_files(
    struct docker_engine *engine, const char *id, const char *path, int fd, struct error *err);

/* auth: see docker_auth(), NULL none. An error in the middle of the answer is one, too. */
bool docker_pull(struct docker_engine *engine,
                 const char *image,
                 const char *auth,
                 struct error *err);

/* What `docker_logs` found, piece by piece; lines may be split. */
typedef void docker_output_fn(void *data, bool is_stderr, const char *bytes, size_t length);

struct docker_logs {
    bool follow;  /* until the container ends */
    usec_t since; /* 0: from the start */
    usec_t until; /* 0: to the end */
    docker_output_fn *output;
    void *data;
    usec_t last_at; /* answer: when the last output came, 0 none */
};
bool docker_logs(struct docker_engine *engine,
                 const char *id,
                 struct docker_logs *logs,
                 struct error *err);

/* Waits for the end of a container however long it takes. */
bool docker_wait(struct docker_engine *engine, const char *id, int *code, struct error *err);

/* "/images/<name>/json" and such, with what needs it percent-encoded. */
const char *docker_image_path(struct arena *arena, const char *image, const char *rest);

/* Login of a registry; members may be NULL. */
struct docker_login {
    const char *registry; /* that of the image when NULL */
    const char *username;
    const char *password;
    const char *registry_token;
    const char *identity_token;
    const char *auth; /* Base64 of "user:password" */
};

/*
 * Value of the header X-Registry-Auth for an image.
 *
 * config   text or map of Docker's config.json; used when the login is empty; or NULL
 * *out     NULL when neither says anything about the registry of the image
 */
bool docker_auth(struct arena *arena,
                 const char *image,
                 const struct docker_login *login,
                 const struct value *config,
                 const char **out,
                 struct error *err);

#endif
