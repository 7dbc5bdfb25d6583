/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the values behind `secret('NAME')` come from.
 *
 * Thread safe. To add a provider: an ops table with `get` and `free`, a constructor here, a
 * setting in core/config.c, a row in docs/security.md.
 */
#ifndef RUNTIME_SECRETS_SECRETS_H
#define RUNTIME_SECRETS_SECRETS_H

#include "base/vec.h"

struct arena;
struct error;
struct secrets;

/* Zero-initialised is empty; owned by the arena. */
struct secret_names {
    VEC(const char *) all;
};

struct secrets_ops {
    const char *name; /* "environment" */
    /*
     * Value of a secret, owned by the arena. Providers without namespaces ignore `namespace`.
     *
     * Errors   ERR_NOT_FOUND    no such secret; the text is the sentence that flows see
     *          ERR_INVALID      stored in a form that cannot be read
     *          ERR_UNAVAILABLE  the provider cannot be reached: try later
     */
    const char *(*get)(struct secrets *secrets,
                       struct arena *arena,
                       const char *namespace,
                       const char *key,
                       struct error *err);
    /* Adds the names that exist; NULL: the provider does not tell. */
    void (*names)(struct secrets *secrets, struct arena *arena, struct secret_names *out);
    void (*free)(struct secrets *secrets);
};

struct secrets {
    const struct secrets_ops *ops;
};

/* Longest value of a secret. */
#define SECRET_BYTES_MAX ((size_t)1024 * 1024)

/*
 * Environment variables SECRET_<NAME> in upper case, base64, line breaks inside tolerated. Read
 * once, now.
 *
 * env      NULL-terminated "NAME=value" texts; NULL: the environment of the process
 */
struct secrets *secrets_environment_new(const char *const *env);

/*
 * Value from the first provider that has it, searching `namespace`, then its ancestors in each.
 * secrets  NULL-terminated array
 */
const char *secrets_get(struct secrets *const *secrets,
                        struct arena *arena,
                        const char *namespace,
                        const char *key,
                        struct error *err);

/* Names known to the providers, sorted, each once, NULL-terminated. No values. */
const char *const *secrets_names(struct secrets *const *secrets, struct arena *arena);

void secrets_free(struct secrets *secrets);

#endif
