/* SPDX-License-Identifier: Apache-2.0 */
#include "base/git_walk.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/git.h"
#include "base/str.h"

enum entry_kind { ENTRY_FILE, ENTRY_FOLDER, ENTRY_SYMLINK, ENTRY_SUBMODULE, ENTRY_OTHER };

struct entry {
    const char *name; /* NUL-terminated inside the tree object */
    uint32_t name_length;
    enum entry_kind kind;
    struct oid id;
};

/* A folder, read: entries point into the content. */
struct folder {
    struct git_content content;
    struct entry *entries;
    size_t count;
};

struct state {
    struct git_repo *repo;
    struct walk *walk;
    struct buf path;
    uint32_t entries_max;
};

static void folder_release(struct folder *folder)
{
    free(folder->entries);
    git_content_release(&folder->content);
}

static enum entry_kind kind_of(uint32_t mode)
{
    switch (mode & 0170000) {
    case 0040000:
        return ENTRY_FOLDER;
    case 0100000:
        return ENTRY_FILE;
    case 0120000:
        return ENTRY_SYMLINK;
    case 0160000:
        return ENTRY_SUBMODULE;
    default:
        return ENTRY_OTHER;
    }
}

/* Git's order: names as bytes, a folder as if it ended with a slash. */
static int order(const struct entry *a, const struct entry *b)
{
    uint32_t shorter = a->name_length < b->name_length ? a->name_length : b->name_length;
    int by_bytes = memcmp(a->name, b->name, shorter);
    if (by_bytes != 0)
        return by_bytes;
    unsigned char end_a = (unsigned char)a->name[shorter];
    unsigned char end_b = (unsigned char)b->name[shorter];
    if (end_a == '\0' && a->kind == ENTRY_FOLDER)
        end_a = '/';
    if (end_b == '\0' && b->kind == ENTRY_FOLDER)
        end_b = '/';
    return (int)end_a - (int)end_b;
}

/* One entry at *at: octal mode, space, name, NUL, id. */
static bool parse_entry(const char **at, const char *end, struct entry *out)
{
    const char *p = *at;
    uint32_t mode = 0;
    size_t digits = 0;
    for (; p < end && *p >= '0' && *p <= '7' && digits < 7; p++, digits++)
        mode = mode * 8 + (uint32_t)(*p - '0');
    if (digits == 0 || p >= end || *p != ' ')
        return false;
    p++;
    const char *nul = memchr(p, '\0', (size_t)(end - p));
    if (nul == NULL || end - nul <= OID_BYTES || nul - p > UINT32_MAX / 2)
        return false;
    *out = (struct entry){ .name = p, .name_length = (uint32_t)(nul - p), .kind = kind_of(mode) };
    memcpy(out->id.bytes, nul + 1, OID_BYTES);
    *at = nul + 1 + OID_BYTES;
    return true;
}

/* The shortest entry: one digit, space, one letter, NUL, id. */
#define ENTRY_BYTES_MIN (4 + OID_BYTES)

static bool folder_load(struct git_repo *repo,
                        const struct oid *id,
                        struct folder *out,
                        struct error *err)
{
    if (oid_is_none(id))
        return true;
    if (!git_repo_read(repo, id, GIT_KIND_TREE, WALK_TREE_BYTES_MAX, &out->content, err))
        return false;
    const char *at = out->content.bytes;
    const char *end = at + out->content.length;
    size_t capacity = 0;
    while (at < end) {
        if (out->count == capacity) {
            size_t left = (size_t)(end - at) / ENTRY_BYTES_MIN + 1;
            capacity = capacity == 0 ? (left < 32 ? left : 32) : capacity * 2;
            out->entries = check_realloc(out->entries, capacity * sizeof(*out->entries));
        }
        struct entry *entry = &out->entries[out->count];
        char hex[OID_TEXT];
        if (!parse_entry(&at, end, entry) || (out->count > 0 && order(entry - 1, entry) >= 0))
            return error_set(err, ERR_INVALID, "tree %s is malformed", oid_format(id, hex));
        out->count++;
    }
    return true;
}

/* ---- names ---- */

static bool is_git_folder(const char *name)
{
    // what case-insensitive and NTFS file systems take for .git is refused as well
    return strncasecmp(name, ".git", 4) == 0 ? strspn(name + 4, ". ") == strlen(name + 4)
                                             : strcasecmp(name, "git~1") == 0;
}

static bool name_is_safe(const struct entry *entry)
{
    if (entry->name_length == 0 || entry->name_length > 255)
        return false;
    if (str_eq(entry->name, ".") || str_eq(entry->name, "..") || is_git_folder(entry->name))
        return false;
    for (const char *at = entry->name; *at != '\0'; at++)
        if (*at == '/' || *at == '\\' || (unsigned char)*at < 0x20 || *at == 0x7f)
            return false;
    return true;
}

/* Appends a name that may hold anything, fit to be shown. */
static void add_shown(struct buf *path, const struct entry *entry)
{
    const char *end = entry->name + entry->name_length;
    for (const char *at = entry->name; at < end;) {
        uint32_t c = utf8_next(&at, end);
        buf_put_utf8(path, c < 0x20 || (c >= 0x7f && c < 0xa0) ? 0xfffdU : c);
    }
}

/*
 * Names that differ from an earlier one in the case of ASCII letters only. One table per folder,
 * made only when it gained entries: a folder that merely changed costs nothing here.
 */
struct cases {
    uint32_t *slots; /* position + 1 of the first entry with a name, by its folded hash */
    size_t mask;
};

static char folded(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static uint64_t folded_hash(const struct entry *entry)
{
    uint64_t hash = 0xcbf29ce484222325U; // FNV-1a, with a last mix
    for (uint32_t i = 0; i < entry->name_length; i++)
        hash = (hash ^ (unsigned char)folded(entry->name[i])) * 0x100000001b3U;
    return hash ^ hash >> 29;
}

static bool folded_equal(const struct entry *a, const struct entry *b)
{
    if (a->name_length != b->name_length)
        return false;
    for (uint32_t i = 0; i < a->name_length; i++)
        if (folded(a->name[i]) != folded(b->name[i]))
            return false;
    return true;
}

/* Where an entry with this name is, or belongs. */
static uint32_t *cases_slot(const struct cases *cases,
                            const struct folder *folder,
                            const struct entry *entry)
{
    size_t at = folded_hash(entry) & cases->mask;
    while (cases->slots[at] != 0 && !folded_equal(&folder->entries[cases->slots[at] - 1], entry))
        at = (at + 1) & cases->mask;
    return &cases->slots[at];
}

static void cases_fill(struct cases *cases, const struct folder *folder)
{
    size_t size = 16;
    while (size < folder->count * 2)
        size *= 2;
    cases->slots = check_calloc(size, sizeof(*cases->slots));
    cases->mask = size - 1;
    for (size_t i = 0; i < folder->count; i++) {
        uint32_t *slot = cases_slot(cases, folder, &folder->entries[i]);
        if (*slot == 0)
            *slot = (uint32_t)(i + 1);
    }
}

static bool cases_collide(struct cases *cases,
                          const struct folder *folder,
                          const struct entry *entry)
{
    if (cases->slots == NULL)
        cases_fill(cases, folder);
    const struct entry *first = &folder->entries[*cases_slot(cases, folder, entry) - 1];
    // a file and a folder of the very same name are told apart by their paths
    return first != entry && strcmp(first->name, entry->name) != 0;
}

/* ---- walking ---- */

static void report(struct state *state, enum walk_problem_kind kind, const struct entry *entry)
{
    if (state->walk->problem == NULL)
        return;
    size_t length = state->path.length;
    add_shown(&state->path, entry);
    struct walk_problem problem = { .kind = kind, .path = buf_text(&state->path) };
    state->walk->problem(state->walk->context, &problem);
    state->path.length = length;
    state->path.bytes[length] = '\0';
}

/*
 * May the entry of the new tree be followed? Reports it when not. is_new: the old tree has none of
 * that name.
 */
static bool may_follow(struct state *state,
                       const struct folder *folder,
                       const struct entry *entry,
                       struct cases *cases,
                       bool is_new,
                       unsigned depth)
{
    enum walk_problem_kind kind;
    if (!name_is_safe(entry))
        kind = WALK_NAME;
    else if (!utf8_valid(entry->name, entry->name_length))
        kind = WALK_NOT_UTF8;
    else if (entry->kind == ENTRY_SYMLINK)
        kind = WALK_SYMLINK;
    else if (entry->kind == ENTRY_SUBMODULE)
        kind = WALK_SUBMODULE;
    else if (entry->kind == ENTRY_OTHER)
        kind = WALK_MODE;
    else if (state->path.length + entry->name_length >= WALK_PATH_MAX ||
             (entry->kind == ENTRY_FOLDER && depth + 1 >= WALK_DEPTH_MAX))
        kind = WALK_TOO_DEEP;
    else if (is_new && cases_collide(cases, folder, entry))
        kind = WALK_COLLISION;
    else
        return true;
    report(state, kind, entry);
    return false;
}

static bool walk_folder(struct state *state,
                        const struct oid *before,
                        const struct oid *after,
                        unsigned depth,
                        struct error *err);

/* Enters a folder of one or both trees, by the name of `entry`. */
static bool enter(struct state *state,
                  const struct entry *entry,
                  const struct oid *before,
                  const struct oid *after,
                  unsigned depth,
                  struct error *err)
{
    size_t length = state->path.length;
    buf_add(&state->path, entry->name, entry->name_length);
    bool ok = true;
    if (state->walk->enter == NULL ||
        state->walk->enter(state->walk->context, buf_text(&state->path))) {
        buf_putc(&state->path, '/');
        ok = walk_folder(state, before, after, depth + 1, err);
    }
    state->path.length = length;
    state->path.bytes[length] = '\0';
    return ok;
}

static bool emit(struct state *state,
                 const struct entry *entry,
                 const struct oid *before,
                 const struct oid *after,
                 struct error *err)
{
    size_t length = state->path.length;
    buf_add(&state->path, entry->name, entry->name_length);
    struct walk_change change = {
        .path = buf_text(&state->path),
        .before = *before,
        .after = *after,
    };
    bool ok = state->walk->change(state->walk->context, &change, err);
    state->path.length = length;
    state->path.bytes[length] = '\0';
    return ok;
}

/*
 * One name: `old` or `new` or both. Entries of the old tree were judged when they were new: those
 * that were not followed then never became anything, so that their end is no news.
 */
static bool step(struct state *state,
                 const struct entry *old,
                 const struct entry *new,
                 const struct folder *folder,
                 struct cases *cases,
                 unsigned depth,
                 struct error *err)
{
    if (old != NULL && new != NULL && old->kind == new->kind &&oid_equal(&old->id, &new->id))
        return true;
    bool old_is_plain = old != NULL && (old->kind == ENTRY_FILE || old->kind == ENTRY_FOLDER) &&
                        name_is_safe(old) && utf8_valid(old->name, old->name_length) &&
                        state->path.length + old->name_length < WALK_PATH_MAX &&
                        depth + 1 < WALK_DEPTH_MAX;
    const struct oid *before = old_is_plain ? &old->id : &oid_none;

    if (new == NULL) {
        if (!old_is_plain)
            return true;
        return old->kind == ENTRY_FOLDER ? enter(state, old, before, &oid_none, depth, err)
                                         : emit(state, old, before, &oid_none, err);
    }
    if (!may_follow(state, folder, new, cases, old == NULL, depth))
        return true;
    return new->kind == ENTRY_FOLDER ? enter(state, new, before, &new->id, depth, err)
                                     : emit(state, new, before, &new->id, err);
}

static bool walk_folder(struct state *state,
                        const struct oid *before,
                        const struct oid *after,
                        unsigned depth,
                        struct error *err)
{
    if (oid_equal(before, after))
        return true;
    AUTO(folder_release) struct folder old = { 0 };
    AUTO(folder_release) struct folder new = { 0 };
    if (!folder_load(state->repo, before, &old, err) || !folder_load(state->repo, after, &new, err))
        return error_wrap(err, "folder '%s'", buf_text(&state->path));
    state->walk->trees += (size_t)!oid_is_none(before) + (size_t)!oid_is_none(after);
    state->walk->entries += oid_is_none(after) ? old.count : new.count;
    if (state->walk->entries > state->entries_max)
        return error_set(err, ERR_LIMIT, "the tree has more than %u entries", state->entries_max);

    struct cases cases = { 0 };
    bool ok = true;
    for (size_t i = 0, j = 0; ok && (i < old.count || j < new.count);) {
        int by = i == old.count ? 1 : j == new.count ? -1 : order(&old.entries[i], &new.entries[j]);
        const struct entry *a = by <= 0 ? &old.entries[i++] : NULL;
        const struct entry *b = by >= 0 ? &new.entries[j++] : NULL;
        ok = step(state, a, b, &new, &cases, depth, err);
    }
    free(cases.slots);
    return ok;
}

bool walk_trees(struct git_repo *repo,
                const struct oid *before,
                const struct oid *after,
                struct walk *walk,
                struct error *err)
{
    struct state state = {
        .repo = repo,
        .walk = walk,
        .entries_max = walk->entries_max == 0 ? WALK_ENTRIES_MAX : walk->entries_max,
    };
    buf_puts(&state.path, "");
    walk->entries = 0;
    walk->trees = 0;
    bool ok = walk_folder(&state, before, after, 0, err);
    buf_free(&state.path);
    return ok;
}

bool walk_find(struct git_repo *repo,
               const struct oid *tree,
               const char *path,
               struct oid *out,
               bool *is_folder,
               struct error *err)
{
    struct oid at = *tree;
    bool in_folder = true;
    const char *rest = path;
    while (*rest != '\0') {
        size_t length = strcspn(rest, "/");
        AUTO(folder_release) struct folder folder = { 0 };
        if (!folder_load(repo, &at, &folder, err))
            return error_wrap(err, "find '%s'", path);
        const struct entry *found = NULL;
        for (size_t i = 0; i < folder.count && found == NULL; i++) {
            const struct entry *entry = &folder.entries[i];
            if (entry->name_length == length && memcmp(entry->name, rest, length) == 0)
                found = entry;
        }
        bool is_last = rest[length] == '\0';
        if (found == NULL || (found->kind != ENTRY_FOLDER && found->kind != ENTRY_FILE) ||
            (!is_last && found->kind != ENTRY_FOLDER))
            return error_set(err, ERR_NOT_FOUND, "there is no '%s'", path);
        at = found->id;
        in_folder = found->kind == ENTRY_FOLDER;
        rest += length + (is_last ? 0 : 1);
    }
    *out = at;
    if (is_folder != NULL)
        *is_folder = in_folder;
    return true;
}
