/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/layout.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/str.h"

/* What lies below `folder` in `path`; NULL when it does not lie there. "" when they are equal. */
static const char *below(const char *folder, const char *path)
{
    CHECK(folder != NULL && path != NULL);
    size_t length = strlen(folder);
    if (length == 0)
        return path;
    if (strncmp(path, folder, length) != 0)
        return NULL;
    if (path[length] == '\0')
        return path + length;
    return path[length] == '/' ? path + length + 1 : NULL;
}

static bool is_yaml(const char *path)
{
    return str_ends(path, ".yml") || str_ends(path, ".yaml");
}

/* Does the rule want this file, which lies at `rest` below its path? */
static bool wants(const struct layout_rule *rule, const char *path, const char *rest)
{
    switch (rule->role) {
    case LAYOUT_FLOW:
        return is_yaml(path);
    case LAYOUT_KV:
        return is_yaml(path) && (*rest == '\0' || strchr(rest, '/') == NULL);
    case LAYOUT_FILE:
        return *rest != '\0';
    case LAYOUT_MODULE:
        return true;
    case LAYOUT_NONE:
        break;
    }
    return false;
}

/* "company" and "team/orders/load.yml" give "company.team.orders". */
static const char *folder_namespace(struct arena *arena, const char *base, const char *rest)
{
    const char *last = strrchr(rest, '/');
    size_t base_length = base == NULL ? 0 : strlen(base);
    size_t folders = last == NULL ? 0 : (size_t)(last - rest);
    if (folders == 0)
        return base;
    char *name = arena_bytes_alloc(arena, base_length + 1 + folders + 1);
    char *at = name;
    if (base_length > 0) {
        memcpy(at, base, base_length);
        at += base_length;
        *at++ = '.';
    }
    for (size_t i = 0; i < folders; i++)
        *at++ = rest[i] == '/' ? '.' : rest[i];
    *at = '\0';
    return name;
}

/* "company.team.yaml" gives "company.team". */
static const char *file_namespace(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    size_t length = strlen(name) - (str_ends(name, ".yaml") ? 5 : 4);
    return arena_strndup(arena, name, length);
}

struct layout_place layout_place(const struct layout *layout, struct arena *arena, const char *path)
{
    struct layout_place place = { .role = LAYOUT_NONE };
    const char *rest = NULL;
    for (size_t i = 0; i < layout->count; i++) {
        const struct layout_rule *rule = &layout->rules[i];
        const char *here = below(rule->path, path);
        bool is_longer = place.rule == NULL || strlen(rule->path) > strlen(place.rule->path);
        if (here == NULL || !is_longer)
            continue;
        place.rule = rule;
        rest = here;
    }
    if (place.rule == NULL || !wants(place.rule, path, rest))
        return (struct layout_place){ .role = LAYOUT_NONE };
    place.role = place.rule->role;
    if (place.role == LAYOUT_FLOW)
        place.namespace = folder_namespace(arena, place.rule->namespace, rest);
    else if (place.role == LAYOUT_KV && place.rule->namespace == NULL)
        place.namespace = file_namespace(arena, path);
    else
        place.namespace = place.rule->namespace;
    if (place.role == LAYOUT_FILE) {
        place.name = arena_strdup(arena, rest);
        if (place.namespace == NULL) {
            // the first folder below is the namespace
            size_t length = strcspn(rest, "/");
            if (rest[length] == '\0')
                return (struct layout_place){ .role = LAYOUT_NONE };
            place.namespace = arena_strndup(arena, rest, length);
            place.name = arena_strdup(arena, rest + length + 1);
        }
    }
    return place;
}

bool layout_enters(const struct layout *layout, const char *folder)
{
    for (size_t i = 0; i < layout->count; i++) {
        const char *path = layout->rules[i].path;
        if (below(path, folder) != NULL || below(folder, path) != NULL)
            return true;
    }
    return false;
}

void layout_write(struct buf *out, const struct layout *layout)
{
    static const char *const names[] = { "none", "flow", "file", "kv", "module" };
    for (size_t i = 0; i < layout->count; i++) {
        const struct layout_rule *rule = &layout->rules[i];
        buf_printf(out, "%s\t%s\t%s\t%d\n", names[rule->role], rule->path,
                   rule->namespace == NULL ? "" : rule->namespace, rule->sniffs);
    }
}

const char *layout_clean(struct arena *arena, const char *path)
{
    if (path[0] == '/')
        return NULL;
    struct buf out = { 0 };
    bool ok = true;
    for (const char *at = path; *at != '\0';) {
        size_t length = strcspn(at, "/");
        if (length == 2 && at[0] == '.' && at[1] == '.')
            ok = false;
        if (length > 0 && !(length == 1 && at[0] == '.')) {
            if (out.length > 0)
                buf_putc(&out, '/');
            buf_add(&out, at, length);
        }
        at += length;
        at += strspn(at, "/");
    }
    const char *clean = ok ? arena_strdup(arena, buf_text(&out)) : NULL;
    buf_free(&out);
    return clean;
}

/* The line is `key:`, or "key": as JSON has it, at the left edge or behind the first brace. */
static bool has_key(const char *line, size_t length, const char *key)
{
    size_t key_length = strlen(key);
    size_t i = 0;
    char quote = '\0';
    if (i < length && (line[i] == '"' || line[i] == '\''))
        quote = line[i++];
    if (length - i < key_length || memcmp(line + i, key, key_length) != 0)
        return false;
    i += key_length;
    if (quote != '\0' && (i >= length || line[i++] != quote))
        return false;
    while (i < length && (line[i] == ' ' || line[i] == '\t'))
        i++;
    return i < length && line[i] == ':';
}

/*
 * Looks at lines, not at YAML: a flow with a mistake in it is a flow all the same, and must be
 * reported, not ignored.
 */
bool layout_looks_like_flow(const char *text, size_t length)
{
    static const char *const others[] = { "tasks", "triggers", "namespace", "module" };
    bool has_id = false;
    bool has_other = false;
    const char *end = text + length;
    bool is_json = false;
    for (const char *at = text; at < end && !(has_id && has_other);) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        const char *key = at;
        if (!is_json && *key == '{')
            is_json = true;
        while (is_json && key < stop && strchr("{ \t,", *key) != NULL)
            key++;
        size_t left = (size_t)(stop - key);
        has_id = has_id || has_key(key, left, "id");
        for (size_t i = 0; i < COUNT_OF(others); i++)
            has_other = has_other || has_key(key, left, others[i]);
        at = stop + 1;
    }
    return has_id && has_other;
}
