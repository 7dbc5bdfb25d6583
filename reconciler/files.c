/* SPDX-License-Identifier: Apache-2.0 */
/* Which files of a commit must be looked at, and which objects they gave before. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/git_walk.h"
#include "base/str.h"
#include "reconciler/planner.h"

/* Inventory entries read at once. */
#define ENTRIES_PAGE 10000U

/* Objects that one file gave; to find them again by path. */
struct file_entries {
    VEC(const struct inventory_entry *) all;
    bool is_seen;
};

struct finder {
    struct planner *planner;
    struct map by_path; /* full: path -> struct file_entries */
    bool same_layout;
};

static struct file_job *add_job(struct planner *planner,
                                const char *path,
                                const struct oid *before,
                                const struct oid *after,
                                struct layout_place place)
{
    struct file_job *job = VEC_PUSH(&planner->jobs);
    *job = (struct file_job){
        .path = arena_strdup(planner->arena, path),
        .before = *before,
        .after = *after,
        .place = place,
    };
    return job;
}

bool planner_entry(struct planner *planner,
                   const struct object_key *key,
                   const struct inventory_entry **out,
                   struct error *err)
{
    struct arena *arena = planner->arena;
    const char *text = object_key_text(arena, key);
    *out = map_find(&planner->entries_by_key, text);
    if (*out != NULL || planner->is_full)
        return true;
    struct note note;
    struct error absent = { 0 };
    const char *collection = notes_inventory(arena, planner->snapshot->source);
    if (!planner->target->ops->note(planner->target, arena, collection, text, &note, &absent)) {
        if (absent.code == ERR_NOT_FOUND)
            return true;
        *err = absent;
        return false;
    }
    struct inventory_entry *entry = ARENA_NEW(arena, struct inventory_entry);
    if (!inventory_read(arena, note.body, note.length, entry))
        return error_set(err, ERR_INTERNAL, "the note about '%s' is damaged", text);
    (void)map_put(&planner->entries_by_key, text, entry);
    *out = entry;
    return true;
}

/* ---- everything ---- */

static bool load_entries(struct finder *finder, struct error *err)
{
    struct planner *planner = finder->planner;
    struct arena *arena = planner->arena;
    const char *collection = notes_inventory(arena, planner->snapshot->source);
    const char *after = NULL;
    planner->entries_total = 0;
    for (;;) {
        struct note *notes = NULL;
        size_t count = 0;
        if (!planner->target->ops->notes(planner->target, arena, collection, NULL, after,
                                         ENTRIES_PAGE, &notes, &count, err))
            return false;
        for (size_t i = 0; i < count; i++) {
            struct inventory_entry *entry = ARENA_NEW(arena, struct inventory_entry);
            if (!inventory_read(arena, notes[i].body, notes[i].length, entry))
                return error_set(err, ERR_INTERNAL, "the note about '%s' is damaged", notes[i].key);
            planner->entries_total++;
            (void)map_put(&planner->entries_by_key, notes[i].key, entry);
            struct file_entries *file = map_find(&finder->by_path, entry->path);
            if (file == NULL) {
                file = ARENA_NEW(arena, struct file_entries);
                (void)map_put(&finder->by_path, entry->path, file);
            }
            *VEC_PUSH_ARENA(arena, &file->all) = entry;
        }
        if (count < ENTRIES_PAGE)
            break;
        after = notes[count - 1].key;
    }
    return true;
}

/* Was the object made with a module? Then its file alone does not tell what it is. */
static bool uses_module(const struct inventory_entry *entry)
{
    for (size_t i = 0; i < entry->refs_count; i++)
        if (str_starts(entry->refs[i], MODULE_NOTES))
            return true;
    return false;
}

static bool is_unchanged(const struct finder *finder,
                         const struct file_entries *file,
                         const struct oid *blob)
{
    if (!finder->same_layout || file->all.count == 0)
        return false;
    for (size_t i = 0; i < file->all.count; i++)
        if (!oid_equal(&file->all.items[i]->blob, blob) || uses_module(file->all.items[i]))
            return false;
    return true;
}

/* ---- walking ---- */

static void give_entries(struct file_job *job, const struct file_entries *file)
{
    job->entries = file->all.items;
    job->entries_count = file->all.count;
}

static bool on_change(void *context, const struct walk_change *change, struct error *err)
{
    (void)err; // cannot fail
    struct finder *finder = context;
    struct planner *planner = finder->planner;
    planner->plan->files++;
    struct layout_place place = layout_place(&planner->layout, planner->arena, change->path);
    struct file_entries *file = map_find(&finder->by_path, change->path);
    if (file != NULL)
        file->is_seen = true;
    if (place.role == LAYOUT_NONE && file == NULL)
        return true;
    if (file != NULL && is_unchanged(finder, file, &change->after))
        return true;
    struct file_job *job = add_job(planner, change->path, &change->before,
                                   place.role == LAYOUT_NONE ? &oid_none : &change->after, place);
    if (file != NULL)
        give_entries(job, file);
    return true;
}

static bool on_enter(void *context, const char *path)
{
    const struct finder *finder = context;
    return layout_enters(&finder->planner->layout, path);
}

/* Says what is wrong with an entry that is not followed; nothing for what nobody wants. */
static void on_problem(void *context, const struct walk_problem *problem)
{
    static const struct {
        const char *code;
        const char *text;
    } texts[] = {
        [WALK_SYMLINK] = { "symlink", "is a symbolic link, which is not followed" },
        [WALK_SUBMODULE] = { "submodule", "is a submodule, which is not followed" },
        [WALK_NAME] = { "unsafe-name", "has a name that is not safe to use" },
        [WALK_NOT_UTF8] = { "name-not-utf8", "has a name that is not UTF-8" },
        [WALK_COLLISION] = { "name-collision",
                             "differs from its neighbour in upper and lower case only" },
        [WALK_TOO_DEEP] = { "too-deep", "lies in too many folders" },
        [WALK_MODE] = { "not-a-file", "is neither a file nor a folder" },
    };
    struct finder *finder = context;
    struct planner *planner = finder->planner;
    const char *path = arena_strdup(planner->arena, problem->path);
    struct layout_place place = layout_place(&planner->layout, planner->arena, path);
    bool may_hold = layout_enters(&planner->layout, path);
    // a name that leads elsewhere is never a harmless one; a link to other things may be
    bool is_hostile = problem->kind == WALK_NAME || problem->kind == WALK_TOO_DEEP;
    if (place.role == LAYOUT_NONE && !may_hold && !is_hostile)
        return;
    *VEC_PUSH_ARENA(planner->arena, &planner->problems) = path;
    bool is_error = is_hostile || place.role != LAYOUT_NONE;
    struct diag_list *findings = &planner->plan->findings;
    findings->file = path;
    struct diag *diag =
        diag_add(findings, is_error ? DIAG_ERROR : DIAG_WARNING, DIAG_RULE,
                 texts[problem->kind].code, NULL, NULL, "'%s' %s", path, texts[problem->kind].text);
    diag->advice = problem->kind == WALK_SYMLINK || problem->kind == WALK_SUBMODULE
                       ? "put a copy of the file into the repository"
                       : NULL;
    findings->file = NULL;
}

/* Is the path one that is not followed, or inside one? */
static bool is_hidden(const struct planner *planner, const char *path)
{
    for (size_t i = 0; i < planner->problems.count; i++) {
        const char *problem = planner->problems.items[i];
        size_t length = strlen(problem);
        if (strncmp(path, problem, length) == 0 && (path[length] == '\0' || path[length] == '/'))
            return true;
    }
    return false;
}

/* ---- before and after ---- */

/* A file that did not change, and must be read again all the same. */
static void add_again(struct planner *planner, const char *path)
{
    struct oid blob = oid_none;
    bool is_folder = false;
    struct error absent = { 0 }; // it is gone, and a job for that
    if (map_has(&planner->jobs_by_path, path) ||
        !walk_find(planner->snapshot->repo, &planner->tree, path, &blob, &is_folder, &absent) ||
        is_folder)
        return;
    struct layout_place place = layout_place(&planner->layout, planner->arena, path);
    if (place.role != LAYOUT_NONE)
        (void)add_job(planner, path, &blob, &blob, place);
}

/*
 * Files that were skipped: they are looked at again, as what they lack may be there now. When
 * everything is read they are among the rest.
 */
static bool add_skipped(struct planner *planner, struct error *err)
{
    struct arena *arena = planner->arena;
    struct note *notes = NULL;
    size_t count = 0;
    const char *collection = notes_invalid(arena, planner->snapshot->source);
    if (!planner->target->ops->notes(planner->target, arena, collection, NULL, NULL, ENTRIES_PAGE,
                                     &notes, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *path = notes[i].key;
        *VEC_PUSH_ARENA(arena, &planner->skipped) = path;
        if (planner->is_full)
            continue;
        add_again(planner, path);
    }
    return true;
}

/* Flows that are made with a module that changed. */
static bool add_users_of(struct planner *planner, const char *module, struct error *err)
{
    struct arena *arena = planner->arena;
    const char *prefix = module_note_key(arena, module, NULL);
    const char *after = NULL;
    size_t count = ENTRIES_PAGE;
    while (count == ENTRIES_PAGE) {
        struct note *notes = NULL;
        if (!planner->target->ops->notes(planner->target, arena, NOTES_REFERENCES, prefix, after,
                                         ENTRIES_PAGE, &notes, &count, err))
            return false;
        for (size_t i = 0; i < count; i++)
            add_again(planner, arena_strndup(arena, notes[i].body, strcspn(notes[i].body, "\t")));
        after = count == 0 ? NULL : notes[count - 1].key;
    }
    return true;
}

static bool add_users(struct planner *planner, struct error *err)
{
    struct map seen = { 0 };
    bool ok = true;
    size_t found = planner->jobs.count;
    for (size_t i = 0; i < found && ok; i++) {
        // by value: adding jobs moves them
        struct layout_place place = planner->jobs.items[i].place;
        const char *path = planner->jobs.items[i].path;
        if (place.role != LAYOUT_MODULE)
            continue;
        const char *rest = path + strlen(place.rule->path);
        rest += *rest == '/' ? 1 : 0;
        size_t length = strcspn(rest, "/");
        const char *name = arena_strndup(planner->arena, rest, length);
        if (rest[length] == '\0' || map_has(&seen, name))
            continue;
        (void)map_put(&seen, name, planner);
        ok = add_users_of(planner, name, err);
    }
    map_free(&seen);
    return ok;
}

static int by_path(const void *a, const void *b)
{
    const struct file_job *one = a;
    const struct file_job *two = b;
    return strcmp(one->path, two->path);
}

static void index_jobs(struct planner *planner)
{
    bool is_sorted = true;
    for (size_t i = 1; i < planner->jobs.count && is_sorted; i++)
        is_sorted = by_path(&planner->jobs.items[i - 1], &planner->jobs.items[i]) < 0;
    if (!is_sorted)
        qsort(planner->jobs.items, planner->jobs.count, sizeof(*planner->jobs.items), by_path);
    map_free(&planner->jobs_by_path);
    for (size_t i = 0; i < planner->jobs.count; i++) {
        struct file_job *job = &planner->jobs.items[i];
        job->is_problem = is_hidden(planner, job->path);
        (void)map_put(&planner->jobs_by_path, job->path, job);
    }
}

/* Files that gave something and are not in the tree any more. */
static void add_gone(struct finder *finder)
{
    struct planner *planner = finder->planner;
    struct map_slot *slot;
    size_t at = 0;
    while ((slot = map_next(&finder->by_path, &at)) != NULL) {
        const struct file_entries *file = slot->value;
        if (!file->is_seen)
            give_entries(add_job(planner, slot->key, &file->all.items[0]->blob, &oid_none,
                                 layout_place(&planner->layout, planner->arena, slot->key)),
                         file);
    }
}

bool planner_find_files(struct planner *planner, struct error *err)
{
    struct finder finder = {
        .planner = planner,
        .same_layout = planner->has_head && str_eq(planner->head.layout, planner->layout_digest),
    };
    struct git_repo *repo = planner->snapshot->repo;
    bool has_tree = planner->has_head && git_repo_has(repo, &planner->head.tree);
    planner->is_full = planner->options->is_full || !finder.same_layout || !has_tree;
    planner->tree_before = planner->is_full ? oid_none : planner->head.tree;
    planner->entries_total = planner->has_head ? (size_t)planner->head.objects : 0;
    if (planner->is_full && !load_entries(&finder, err)) {
        map_free(&finder.by_path);
        return false;
    }

    struct walk walk = {
        .change = on_change,
        .problem = on_problem,
        .enter = on_enter,
        .context = &finder,
    };
    char hex[OID_TEXT];
    bool ok =
        walk_trees(repo, &planner->tree_before, &planner->tree, &walk, err) ||
        error_wrap(err, "commit %.*s", OID_SHORT, oid_format(&planner->snapshot->commit.id, hex));
    if (ok && planner->is_full)
        add_gone(&finder);
    map_free(&finder.by_path);
    if (!ok)
        return false;
    index_jobs(planner);
    size_t found = planner->jobs.count;
    if (!add_skipped(planner, err) || (!planner->is_full && !add_users(planner, err)))
        return false;
    if (planner->jobs.count > found)
        index_jobs(planner);
    return true;
}
