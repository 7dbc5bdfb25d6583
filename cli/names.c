/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/names.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/id.h"
#include "base/str.h"
#include "base/url.h"
#include "cli/client.h"
#include "core/value.h"

bool flow_name_parse(struct arena *arena,
                     const char *text,
                     struct flow_name *out,
                     struct error *err)
{
    const char *split = strchr(text, '/');
    if (split == NULL)
        split = strrchr(text, '.');
    if (split == NULL || split == text || split[1] == '\0')
        return error_set(
            err, ERR_INVALID,
            "'%s' names no flow; write NAMESPACE/FLOW, for example company.team/nightly", text);
    out->namespace = arena_strndup(arena, text, (size_t)(split - text));
    out->id = arena_strdup(arena, split + 1);
    return true;
}

const struct value *execution_by_prefix(struct client *client,
                                        struct arena *arena,
                                        const char *prefix,
                                        struct error *err)
{
    const char *escaped = url_encode_text(arena, prefix);
    if (strlen(prefix) >= ID_LENGTH)
        return client_get(client, arena, arena_printf(arena, "executions/%s", escaped), err);

    // the server answers a unique prefix as if it were the id
    return client_get(client, arena, arena_printf(arena, "executions/%s?prefix=true", escaped),
                      err);
}
