/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of a repository are for: which path holds flows, namespace files, KV entries.
 *
 * Made from weir.yaml, or, without one, a single rule for the chosen folder. Pure.
 */
#ifndef RECONCILER_LAYOUT_H
#define RECONCILER_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/snapshot.h"

struct arena;
struct buf;

enum layout_role {
    LAYOUT_NONE,
    LAYOUT_FLOW,
    LAYOUT_FILE,
    LAYOUT_KV,
    LAYOUT_MODULE,
};

struct layout_rule {
    enum layout_role role;
    const char *path;      /* of a folder or file, without slashes at its ends; "" is everything */
    const char *namespace; /* NULL: folders below are the namespace */
    bool sniffs;           /* flows: files that do not look like a flow are left alone */
    unsigned line;         /* of weir.yaml, 0 none */
};

struct layout {
    struct layout_rule *rules;
    size_t count;
};

/* What a file is for. Texts are owned by the arena. */
struct layout_place {
    enum layout_role role;
    const struct layout_rule *rule;
    const char
        *namespace;   /* FILE, KV: of the objects; FLOW: unless the flow names one. NULL none */
    const char *name; /* FILE: path in the namespace */
};

/* The rule with the longest path that holds the file decides. */
struct layout_place layout_place(const struct layout *layout,
                                 struct arena *arena,
                                 const char *path);

/* Can anything below a folder be of interest? */
bool layout_enters(const struct layout *layout, const char *folder);

/* A fixed text of all rules, for the digest that tells whether they changed. */
void layout_write(struct buf *out, const struct layout *layout);

/*
 * A path as rules hold it: no slash at its ends, no "." segments. NULL when it is absolute or has a
 * ".." segment.
 */
const char *layout_clean(struct arena *arena, const char *path);

/* Does the text look like a flow: a mapping with `id` beside tasks, triggers, namespace, module? */
bool layout_looks_like_flow(const char *text, size_t length);

#endif
