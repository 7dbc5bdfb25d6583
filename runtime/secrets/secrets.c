/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/secrets/secrets.h"

#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"

void secrets_free(struct secrets *secrets)
{
    if (secrets != NULL)
        secrets->ops->free(secrets);
}

const char *secrets_get(struct secrets *const *secrets,
                        struct arena *arena,
                        const char *namespace,
                        const char *key,
                        struct error *err)
{
    char *at = arena_strdup(arena, namespace);
    for (;;) {
        for (struct secrets *const *provider = secrets; *provider != NULL; provider++) {
            struct error failure = { 0 };
            const char *value = (*provider)->ops->get(*provider, arena, at, key, &failure);
            if (value != NULL)
                return value;
            if (failure.code != ERR_NOT_FOUND) {
                if (err != NULL)
                    *err = failure;
                return NULL;
            }
        }
        char *dot = strrchr(at, '.');
        if (dot == NULL)
            break;
        *dot = '\0';
    }
    error_set(err, ERR_NOT_FOUND, "Cannot find secret for key '%s'.", key);
    return NULL;
}
