/* SPDX-License-Identifier: Apache-2.0 */
/* A plan becomes one batch: objects, and everything we note about them. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/json.h"
#include "core/value.h"
#include "reconciler/order.h"
#include "reconciler/planner.h"

struct apply {
    struct planner *planner;
    struct arena *arena;
    VEC(struct note_change) notes;
    const char *inventory;
    usec_t now;
    int64_t number; /* of the applied commit */
};

static void put_note(struct apply *apply, const char *collection, const char *key, struct buf *body)
{
    struct note_change *note = VEC_PUSH_ARENA(apply->arena, &apply->notes);
    *note = (struct note_change){
        .collection = collection,
        .key = key,
        .body = buf_dup(body, apply->arena),
        .length = body->length,
        .at = apply->now,
    };
    buf_free(body);
}

static void put_value(struct apply *apply,
                      const char *collection,
                      const char *key,
                      const struct value *value)
{
    struct buf body = { 0 };
    value_write_json_full(&body, value);
    put_note(apply, collection, key, &body);
}

static void remove_note(struct apply *apply, const char *collection, const char *key)
{
    struct note_change *note = VEC_PUSH_ARENA(apply->arena, &apply->notes);
    *note = (struct note_change){ .collection = collection, .key = key, .at = apply->now };
}

/* ---- inventory and references ---- */

static bool has_text(const char *const *texts, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(texts[i], text))
            return true;
    return false;
}

/*
 * The notes about what a flow refers to; references to one object share a note. Returns their keys.
 */
static const char **put_references(struct apply *apply,
                                   const struct desired_object *desired,
                                   size_t *count)
{
    const char **keys = ARENA_ARRAY(apply->arena, desired->refs_count + 1, const char *);
    *count = 0;
    if (desired->module != NULL) {
        const struct object_ref use = { .at = "module", .line = 1, .column = 1 };
        struct buf body = { 0 };
        reference_note_write(&body, desired->path, &use);
        keys[*count] = module_note_key(apply->arena, desired->module, &desired->key);
        put_note(apply, NOTES_REFERENCES, keys[(*count)++], &body);
    }
    for (size_t i = 0; i < desired->refs_count; i++) {
        const struct object_ref *ref = &desired->refs[i];
        const char *key = reference_note_key(apply->arena, &ref->key, &desired->key);
        if (has_text(keys, *count, key))
            continue;
        struct buf body = { 0 };
        for (size_t j = i; j < desired->refs_count; j++)
            if (object_key_equal(&desired->refs[j].key, &ref->key))
                reference_note_write(&body, desired->path, &desired->refs[j]);
        put_note(apply, NOTES_REFERENCES, key, &body);
        keys[(*count)++] = key;
    }
    return keys;
}

static void note_object(struct apply *apply,
                        const struct desired_object *desired,
                        const struct inventory_entry *before,
                        int64_t revision)
{
    struct inventory_entry entry = {
        .key = desired->key,
        .path = desired->path,
        .line = desired->line,
        .blob = desired->blob,
        .digest = desired->digest,
        .revision = revision,
        .ttl = desired->ttl,
    };
    const char **refs = put_references(apply, desired, &entry.refs_count);
    entry.refs = refs;
    struct buf body = { 0 };
    inventory_write(&body, &entry);
    put_note(apply, apply->inventory, object_key_text(apply->arena, &entry.key), &body);
    for (size_t i = 0; before != NULL && i < before->refs_count; i++)
        if (!has_text(refs, entry.refs_count, before->refs[i]))
            remove_note(apply, NOTES_REFERENCES, before->refs[i]);
}

static void forget_object(struct apply *apply, const struct inventory_entry *entry)
{
    remove_note(apply, apply->inventory, object_key_text(apply->arena, &entry->key));
    for (size_t i = 0; i < entry->refs_count; i++)
        remove_note(apply, NOTES_REFERENCES, entry->refs[i]);
}

static void note_objects(struct apply *apply)
{
    struct planner *planner = apply->planner;
    const struct plan_change *change;
    VEC_EACH(change, &planner->plan->changes) {
        if (change->desired != NULL)
            note_object(apply, change->desired, change->entry, change->revision_after);
        else
            forget_object(apply, change->entry);
    }
    const struct desired_object **moved;
    VEC_EACH(moved, &planner->moved) {
        const struct inventory_entry *entry =
            map_find(&planner->entries_by_key, object_key_text(apply->arena, &(*moved)->key));
        note_object(apply, *moved, entry, entry->revision);
    }
}

/* ---- skipped files ---- */

/* Returns whether anything is to be noted. */
static bool note_skipped(struct apply *apply)
{
    struct planner *planner = apply->planner;
    const char *collection = notes_invalid(apply->arena, planner->snapshot->source);
    size_t before = apply->notes.count;
    const char **path;
    VEC_EACH(path, &planner->skipped) {
        const struct file_job *job = map_find(&planner->jobs_by_path, *path);
        if (job == NULL || !job->is_invalid)
            remove_note(apply, collection, *path);
    }
    const struct file_job *job;
    VEC_EACH(job, &planner->jobs) {
        if (!job->is_invalid)
            continue;
        struct value_builder builder = value_build(apply->arena);
        char hex[OID_TEXT];
        value_put_text(&builder, "blob", oid_format(&job->after, hex));
        struct value_builder findings = value_build(apply->arena);
        const struct diag *diag;
        VEC_EACH(diag, &planner->plan->findings.all)
            if (diag->level == DIAG_ERROR && str_eq(diag->file, job->path))
                value_add(&findings, diag_to_value(apply->arena, diag));
        value_put(&builder, "findings", value_build_list(&findings));
        put_value(apply, collection, job->path, value_build_map(&builder));
    }
    return apply->notes.count != before;
}

/* ---- the batch ---- */

static const struct object_change *object_changes(struct apply *apply, size_t *count)
{
    const struct plan_change **order = plan_order(apply->arena, apply->planner->plan, count);
    struct object_change *out = ARENA_ARRAY(apply->arena, *count, struct object_change);
    for (size_t i = 0; i < *count; i++)
        out[i] = (struct object_change){
            .key = order[i]->key,
            .desired = order[i]->desired,
            .live_revision = order[i]->revision_before,
        };
    return out;
}

static void note_head(struct apply *apply)
{
    struct planner *planner = apply->planner;
    struct plan *plan = planner->plan;
    int64_t objects = (int64_t)planner->entries_total;
    const struct plan_change *change;
    VEC_EACH(change, &plan->changes) {
        objects += change->desired != NULL && change->entry == NULL;
        objects -= change->desired == NULL;
    }
    struct head_note head = {
        .commit = plan->head.id,
        .tree = planner->tree,
        .branch = plan->branch,
        .layout = planner->layout_digest,
        .plan = plan->digest,
        .at = apply->now,
        .number = apply->number,
        .objects = objects,
    };
    put_value(apply, NOTES_SOURCES, plan->source, head_note_to_value(apply->arena, &head));
    apply->notes.items[apply->notes.count - 1].expected =
        planner->has_head ? planner->head.digest : "";
}

/* Adds to the history, and lets go of what is too old. */
static void note_history(struct apply *apply, const char *actor)
{
    struct arena *arena = apply->arena;
    const struct plan *plan = apply->planner->plan;
    const char *collection = notes_applied(arena, plan->source);
    put_value(apply, collection, applied_note_key(arena, apply->number),
              applied_note_value(arena, plan, actor, apply->now));
    if (apply->number > APPLIED_NOTES_MAX)
        remove_note(apply, collection, applied_note_key(arena, apply->number - APPLIED_NOTES_MAX));
}

static bool is_expected(const struct plan *plan, const char *expected)
{
    size_t length = strlen(expected);
    return length >= 8 && strncmp(plan->digest, expected, length) == 0;
}

static const char *hold_texts(struct arena *arena, const struct plan *plan)
{
    struct buf text = { 0 };
    const struct plan_hold *hold;
    VEC_EACH(hold, &plan->holds)
        buf_printf(&text, "%s%s", text.length == 0 ? "" : "; ", hold->text);
    const char *copy = buf_dup(&text, arena);
    buf_free(&text);
    return copy;
}

bool reconcile_apply(const struct snapshot *snapshot,
                     struct target *target,
                     const struct reconcile_options *options,
                     const struct apply_options *options_apply,
                     struct plan *plan,
                     struct error *err)
{
    struct planner *planner = plan->planner;
    const char *expected = options_apply == NULL ? NULL : options_apply->expected_digest;
    if (expected != NULL && !is_expected(plan, expected))
        return error_set(err, ERR_CONFLICT, "the plan is %.8s now, not %.8s that was reviewed",
                         plan->digest, expected);
    if (plan_is_held(plan))
        return error_set(err, ERR_DENIED, "the plan is held: %s", hold_texts(plan->arena, plan));

    struct apply apply = {
        .planner = planner,
        .arena = arena_new(),
        .inventory = notes_inventory(plan->arena, snapshot->source),
        .now = options->now,
        .number = planner->has_head ? planner->head.number + 1 : 1,
    };
    const char *actor = options_apply != NULL && options_apply->actor != NULL ? options_apply->actor
                                                                              : plan->head.author;
    bool has_skipped = note_skipped(&apply);
    bool is_same = planner->has_head && oid_equal(&planner->head.commit, &plan->head.id) &&
                   str_eq(planner->head.layout, planner->layout_digest);
    bool ok = true;
    if (!is_same || !plan_is_empty(plan) || planner->moved.count > 0 || has_skipped) {
        struct target_batch batch = { .source = snapshot->source, .repo = snapshot->repo };
        char hex[OID_TEXT];
        batch.commit = oid_format(&plan->head.id, hex);
        batch.actor = actor;
        batch.objects = object_changes(&apply, &batch.objects_count);
        note_objects(&apply);
        note_head(&apply);
        note_history(&apply, actor);
        remove_note(&apply, NOTES_HELD, snapshot->source);
        batch.notes = apply.notes.items;
        batch.notes_count = apply.notes.count;
        int64_t *revisions = ARENA_ARRAY(apply.arena, batch.objects_count, int64_t);
        ok = target->ops->apply(target, &batch, revisions, err);
    }
    arena_free(apply.arena);
    return ok;
}

/* ---- holding ---- */

/* Is it noted already that this commit waits for these reasons? Gives since when. */
static bool is_noted(const struct value *before, const struct value *now, usec_t *since)
{
    if (!str_eq(value_get_text(before, "commit", NULL), value_get_text(now, "commit", "")))
        return false;
    struct error ignored = { 0 }; // a damaged time counts from now
    usec_t at = 0;
    const char *text = value_get_text(before, "since", "");
    if (time_parse_instant(text, &at, NULL, &ignored))
        *since = at;
    return value_equal(value_get(before, "reasons"), value_get(now, "reasons")) &&
           value_equal(value_get(before, "findings"), value_get(now, "findings"));
}

bool reconcile_hold(const struct snapshot *snapshot,
                    struct target *target,
                    const struct reconcile_options *options,
                    const struct plan *plan,
                    struct error *err)
{
    struct arena *arena = arena_new();
    struct apply apply = { .arena = arena, .now = options->now };
    usec_t since = options->now;
    struct note note;
    struct error absent = { 0 };
    const struct value *now = held_note_value(arena, plan, since);
    bool is_same = false;
    bool ok = true;
    if (target->ops->note(target, arena, NOTES_HELD, snapshot->source, &note, &absent)) {
        const struct value *before = json_parse(arena, note.body, note.length, &absent);
        is_same = before != NULL && is_noted(before, now, &since);
    } else if (absent.code != ERR_NOT_FOUND) {
        *err = absent;
        ok = false;
    }
    if (ok && !is_same) {
        char hex[OID_TEXT];
        put_value(&apply, NOTES_HELD, snapshot->source, held_note_value(arena, plan, since));
        struct target_batch batch = {
            .source = snapshot->source,
            .commit = oid_format(&plan->head.id, hex),
            .actor = "weir",
            .repo = snapshot->repo,
            .notes = apply.notes.items,
            .notes_count = apply.notes.count,
        };
        ok = target->ops->apply(target, &batch, NULL, err);
    }
    arena_free(arena);
    return ok;
}
