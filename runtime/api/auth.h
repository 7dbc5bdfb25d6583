/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may use the API (api.md 1.3): basic authentication as header or cookie, tokens as bearer
 * header or JWT cookie. Any one valid credential is enough; without any configured, all may.
 *
 * Credentials come from the configuration, or are set once through the API; the latter are kept as
 * a salted, iterated digest. Thread safe.
 */
#ifndef RUNTIME_API_AUTH_H
#define RUNTIME_API_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/url.h"
#include "runtime/api/api.h"

struct arena;
struct auth;
struct error;
struct value;

/* users, tokens: borrowed. stored: what auth_hash() gave before, or NULL. */
struct auth *auth_new(const struct api_user *users,
                      size_t users_count,
                      const char *const *tokens,
                      const struct value *stored);
void auth_free(struct auth *auth);

/* Nothing is configured: everybody may come in. */
bool auth_is_open(struct auth *auth);
/* Is there a user with a password, configured or set? */
bool auth_has_user(struct auth *auth);

/*
 * headers  of the request
 * user     receives who it is, owned by the arena; NULL when open
 */
bool auth_check(struct auth *auth,
                struct arena *arena,
                const struct http_fields *headers,
                const char **user);

/* What is wrong with a user name and a password; empty list when nothing. */
const struct value *auth_problems(struct arena *arena, const char *name, const char *password);

/* Form to be stored: {username, salt, rounds, hash}. */
const struct value *auth_hash(struct arena *arena, const char *name, const char *password);

/* From now on these credentials, a result of auth_hash(), are asked for. */
void auth_set(struct auth *auth, const struct value *stored);

#endif
