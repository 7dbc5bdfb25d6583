/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/secrets/secrets.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

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

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *const *secrets_names(struct secrets *const *secrets, struct arena *arena)
{
    struct secret_names names = { 0 };
    for (struct secrets *const *provider = secrets; *provider != NULL; provider++) {
        if ((*provider)->ops->names != NULL)
            (*provider)->ops->names(*provider, arena, &names);
    }
    if (names.all.count > 1)
        qsort(names.all.items, names.all.count, sizeof(*names.all.items), compare_names);
    const char **out = ARENA_ARRAY(arena, names.all.count + 1, const char *);
    size_t count = 0;
    for (size_t i = 0; i < names.all.count; i++) {
        if (count == 0 || !str_eq(out[count - 1], names.all.items[i]))
            out[count++] = names.all.items[i];
    }
    return out;
}
