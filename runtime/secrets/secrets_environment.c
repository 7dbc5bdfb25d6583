/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/map.h"
#include "base/str.h"
#include "runtime/secrets/secrets.h"

#define PREFIX "SECRET_"

struct environment {
    struct secrets secrets;
    struct arena *arena;
    struct map values; /* upper-case name -> base64 text */
};

static char *upper(struct arena *arena, const char *text, size_t length)
{
    char *out = arena_strndup(arena, text, length);
    for (char *at = out; *at != '\0'; at++)
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
    return out;
}

static const char *environment_get(struct secrets *secrets,
                                   struct arena *arena,
                                   const char *namespace,
                                   const char *key,
                                   struct error *err)
{
    (void)namespace; // one set for all
    const struct environment *self = (struct environment *)secrets;
    const char *encoded = map_find(&self->values, upper(arena, key, strlen(key)));
    if (encoded == NULL) {
        error_set(err, ERR_NOT_FOUND, "Cannot find secret for key '%s'.", key);
        return NULL;
    }
    struct buf clear = { 0 };
    const char *value = NULL;
    if (strlen(encoded) / 4 * 3 > SECRET_BYTES_MAX)
        error_set(err, ERR_LIMIT, "secret '%s' is longer than %zu bytes", key, SECRET_BYTES_MAX);
    else if (!base64_decode(&clear, encoded, strlen(encoded)))
        error_set(err, ERR_INVALID, "secret '%s' is not base64 in the environment", key);
    else
        value = buf_dup(&clear, arena);
    buf_free(&clear);
    return value;
}

static void environment_names(struct secrets *secrets,
                              struct arena *arena,
                              struct secret_names *out)
{
    const struct environment *self = (struct environment *)secrets;
    size_t at = 0;
    const struct map_slot *slot;
    while ((slot = map_next(&self->values, &at)) != NULL)
        *VEC_PUSH_ARENA(arena, &out->all) = arena_strdup(arena, slot->key);
}

static void environment_free(struct secrets *secrets)
{
    struct environment *self = (struct environment *)secrets;
    map_free(&self->values);
    arena_free(self->arena);
    free(self);
}

static const struct secrets_ops environment_ops = {
    .name = "environment",
    .get = environment_get,
    .names = environment_names,
    .free = environment_free,
};

struct secrets *secrets_environment_new(const char *const *env)
{
    struct environment *self = check_calloc(1, sizeof(*self));
    self->secrets.ops = &environment_ops;
    self->arena = arena_new();
    for (const char *const *at = env == NULL ? (const char *const *)environ : env;
         at != NULL && *at != NULL; at++) {
        const char *equals = strchr(*at, '=');
        if (!str_starts(*at, PREFIX) || equals == NULL)
            continue;
        const char *name = *at + strlen(PREFIX);
        (void)map_put(&self->values, upper(self->arena, name, (size_t)(equals - name)),
                      arena_strdup(self->arena, equals + 1));
    }
    return &self->secrets;
}
