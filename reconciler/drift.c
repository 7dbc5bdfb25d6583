/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/drift.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/git.h"
#include "base/git_walk.h"
#include "base/str.h"
#include "core/diag.h"
#include "core/json.h"
#include "core/repo_config.h"
#include "core/value.h"
#include "core/yaml.h"
#include "reconciler/field_diff.h"
#include "reconciler/notes.h"
#include "reconciler/reconcile.h"
#include "reconciler/target.h"

/* Inventory entries read at once. */
#define ENTRIES_PAGE 10000U

struct finder {
    struct target *target;
    struct arena *arena; /* of the report */
    struct git_repo *repo;
    const char *const *owned; /* globs over fields, NULL-terminated; may be NULL */
    struct drift_report *report;
};

/* ---- what operators own ---- */

/* "triggers.*.disabled" over "triggers.hourly.disabled": dots part fields as slashes part folders.
 */
static bool path_matches(struct arena *scratch, const char *glob, const char *path)
{
    const char *texts[] = { glob, path };
    char *parts[2];
    for (size_t i = 0; i < 2; i++) {
        parts[i] = arena_strdup(scratch, texts[i]);
        for (char *at = parts[i]; *at != '\0'; at++)
            if (*at == '.')
                *at = '/';
    }
    return str_glob(parts[0], parts[1]);
}

static bool is_owned(const struct finder *finder, struct arena *scratch, const char *path)
{
    for (const char *const *glob = finder->owned; glob != NULL && *glob != NULL; glob++)
        if (path_matches(scratch, *glob, path))
            return true;
    return false;
}

/* Are all leaves of a mapping that came or went owned? */
static bool is_owned_below(const struct finder *finder,
                           struct arena *scratch,
                           const char *path,
                           const struct value *value)
{
    if (is_owned(finder, scratch, path))
        return true;
    if (!value_is_map(value) || value_count(value) == 0)
        return false;
    for (uint32_t i = 0; i < value->map.count; i++) {
        const struct value_member *member = &value->map.members[i];
        const char *inner = arena_printf(scratch, "%s.%s", path, member->key);
        if (!is_owned_below(finder, scratch, inner, member->value))
            return false;
    }
    return true;
}

static bool is_tolerated(const struct finder *finder,
                         struct arena *scratch,
                         const struct field_change *change)
{
    if (is_owned(finder, scratch, change->path))
        return true;
    const struct value *there = change->before == NULL  ? change->after
                                : change->after == NULL ? change->before
                                                        : NULL;
    return there != NULL && is_owned_below(finder, scratch, change->path, there);
}

/* ---- comparing ---- */

/* Keeps the fields that operators do not own. */
static void set_fields(const struct finder *finder,
                       struct drift_item *item,
                       const struct field_list *list)
{
    struct arena *scratch = arena_new();
    item->fields = ARENA_ARRAY(finder->arena, list->all.count, struct field_change);
    item->fields_more = list->more;
    const struct field_change *change;
    VEC_EACH(change, &list->all) {
        if (is_tolerated(finder, scratch, change))
            item->fields_tolerated++;
        else
            item->fields[item->fields_count++] = *change;
    }
    arena_free(scratch);
}

/* Returns false when there is nothing left to report. */
static bool compare_flow(const struct finder *finder,
                         const struct inventory_entry *entry,
                         const struct live_object *live,
                         struct drift_item *item,
                         struct error *err,
                         bool *ok)
{
    struct live_object applied;
    *ok = finder->target->ops->live(finder->target, finder->arena, &entry->key, entry->revision,
                                    true, &applied, err);
    if (!*ok || applied.revision == 0 || applied.text == NULL || live->text == NULL)
        return true; // that revision was purged: all that can be said is that it differs
    struct arena *scratch = arena_new();
    struct field_list list = { 0 };
    field_diff(finder->arena,
               flow_document(scratch, entry->key.namespace, applied.text, applied.length),
               flow_document(scratch, entry->key.namespace, live->text, live->length), "", &list);
    arena_free(scratch);
    set_fields(finder, item, &list);
    item->text_only = list.all.count == 0;
    return item->fields_count > 0 || item->fields_more > 0 || item->fields_tolerated == 0;
}

/* The value that a KV file gave, from the file as it was applied; NULL when it is gone. */
static const struct value *applied_value(const struct finder *finder,
                                         struct arena *scratch,
                                         const struct inventory_entry *entry)
{
    struct error ignored = { 0 }; // then only the live value is shown
    size_t length = 0;
    const char *text = finder->repo == NULL ? NULL
                                            : git_repo_blob(finder->repo, scratch, &entry->blob,
                                                            KV_FILE_BYTES_MAX, &length, &ignored);
    if (text == NULL)
        return NULL;
    const struct value *doc = yaml_parse(scratch, text, length, NULL, &ignored);
    const struct value *value = value_get(doc, entry->key.name);
    const struct value *inner = value_is_map(value) ? value_get(value, "value") : NULL;
    return inner != NULL ? inner : value;
}

static void compare_kv(const struct finder *finder,
                       const struct inventory_entry *entry,
                       const struct live_object *live,
                       struct drift_item *item)
{
    if (live->text == NULL)
        return;
    struct arena *scratch = arena_new();
    struct error ignored = { 0 }; // what is no JSON is shown as nothing
    struct field_list list = { 0 };
    field_diff(finder->arena, applied_value(finder, scratch, entry),
               json_parse(scratch, live->text, live->length, &ignored), "", &list);
    arena_free(scratch);
    set_fields(finder, item, &list);
}

static bool compare(struct finder *finder, const struct inventory_entry *entry, struct error *err)
{
    struct target *target = finder->target;
    struct arena *scratch = arena_new();
    struct live_object live;
    bool found = target->ops->live(target, scratch, &entry->key, 0, false, &live, err);
    finder->report->objects++;
    bool is_same = found && live.revision != 0 && str_eq(live.digest, entry->digest);
    bool has_expired = found && live.revision == 0 && entry->ttl != USEC_NEVER;
    arena_free(scratch);
    if (!found || is_same || has_expired)
        return found;
    // texts are read only where something differs
    bool with_text = entry->key.kind != OBJECT_FILE;
    if (!target->ops->live(target, finder->arena, &entry->key, 0, with_text, &live, err))
        return false;
    struct drift_item item = {
        .kind = live.revision == 0 ? DRIFT_DELETED : DRIFT_CHANGED,
        .key = entry->key,
        .path = entry->path,
        .revision_applied = entry->revision,
        .revision_live = live.revision,
        .actor = live.actor,
        .channel = live.channel,
        .at = live.updated_at,
    };
    bool ok = true;
    bool is_reported = true;
    if (item.kind == DRIFT_CHANGED && entry->key.kind == OBJECT_FLOW)
        is_reported = compare_flow(finder, entry, &live, &item, err, &ok);
    else if (item.kind == DRIFT_CHANGED && entry->key.kind == OBJECT_KV)
        compare_kv(finder, entry, &live, &item);
    if (!ok)
        return false;
    if (is_reported)
        *VEC_PUSH_ARENA(finder->arena, &finder->report->items) = item;
    else
        finder->report->tolerated++;
    return true;
}

/* ---- all ---- */

/* operatorOwns of the commit that was applied; its absence tolerates nothing. */
static const char *const *owned_fields(struct arena *arena,
                                       struct git_repo *repo,
                                       const struct oid *tree,
                                       const char *folder)
{
    struct error ignored = { 0 };
    struct oid blob;
    size_t length = 0;
    const char *path =
        *folder == '\0' ? REPO_CONFIG_NAME : arena_printf(arena, "%s/" REPO_CONFIG_NAME, folder);
    if (repo == NULL || !walk_find(repo, tree, path, &blob, NULL, &ignored))
        return NULL;
    const char *text = git_repo_blob(repo, arena, &blob, REPO_CONFIG_BYTES_MAX, &length, &ignored);
    if (text == NULL)
        return NULL;
    struct diag_list findings = diag_list_new(arena, path);
    const struct repo_config *config = repo_config_parse(arena, text, length, path, &findings);
    return config == NULL ? NULL : config->operator_owns;
}

bool drift_find(struct target *target,
                struct arena *arena,
                const char *source,
                struct git_repo *repo,
                const char *folder,
                struct drift_report *out,
                struct error *err)
{
    struct drift_report report = { .source = arena_strdup(arena, source) };
    struct head_note head;
    struct error absent = { 0 };
    if (!head_note_load(target, arena, source, &head, &absent)) {
        if (absent.code != ERR_NOT_FOUND) {
            *err = absent;
            return false;
        }
        *out = report; // nothing was applied, so nothing can differ from it
        return true;
    }
    report.commit = head.commit;
    struct finder finder = {
        .target = target,
        .arena = arena,
        .repo = repo,
        .owned = owned_fields(arena, repo, &head.tree, folder),
        .report = &report,
    };
    const char *collection = notes_inventory(arena, source);
    const char *after = NULL;
    for (;;) {
        struct note *notes = NULL;
        size_t count = 0;
        if (!target->ops->notes(target, arena, collection, NULL, after, ENTRIES_PAGE, &notes,
                                &count, err))
            return false;
        for (size_t i = 0; i < count; i++) {
            struct inventory_entry entry;
            if (!inventory_read(arena, notes[i].body, notes[i].length, &entry))
                return error_set(err, ERR_INTERNAL, "the note about '%s' is damaged", notes[i].key);
            if (!compare(&finder, &entry, err))
                return false;
        }
        if (count < ENTRIES_PAGE)
            break;
        after = notes[count - 1].key;
    }
    *out = report;
    return true;
}
