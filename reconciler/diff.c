/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three-way comparison: what the commit wants, what was applied last, what is deployed.
 *
 *     wanted   applied   live          change
 *     as applied         anything      none here: what others did is drift, and reported as such
 *     new or changed     absent        create
 *     new or changed     as wanted     take over
 *     new or changed     different     update, saying whose change it overwrites
 *     absent   applied   absent        forget
 *     absent   applied   present       delete, saying whose change it overwrites
 *     absent   never     anything      none: it is not ours
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "core/cron.h"
#include "core/flow.h"
#include "core/json.h"
#include "core/plugin.h"
#include "core/tz.h"
#include "core/value.h"
#include "core/yaml.h"
#include "reconciler/field_diff.h"
#include "reconciler/planner.h"
#include "reconciler/text_diff.h"

/* Namespace files up to this size are compared by line. */
#define TEXT_BYTES_MAX ((size_t)1024 * 1024)

/* Changed flows whose next runs are worked out; a bigger plan is not read that closely. */
#define SCHEDULES_MAX 200U

/* ---- what was there ---- */

static bool live_load(struct planner *planner,
                      const struct object_key *key,
                      const struct live_object **out,
                      struct error *err)
{
    struct live_object *live = ARENA_NEW(planner->arena, struct live_object);
    bool with_text = key->kind != OBJECT_FILE;
    if (!planner->target->ops->live(planner->target, planner->arena, key, 0, with_text, live, err))
        return false;
    *out = live;
    return true;
}

/* Says who changed a live object since it was applied. */
static void note_overwrite(struct plan_change *change,
                           const struct live_object *live,
                           const char *digest)
{
    if (digest != NULL && str_eq(live->digest, digest))
        return;
    change->overwrites = live->actor != NULL ? live->actor : "somebody";
    change->overwrites_at = live->updated_at;
}

/* ---- flows ---- */

struct flow *planner_parse(struct planner *planner, const struct object_key *key, const char *text)
{
    struct arena *scratch = arena_new();
    struct diag_list ignored = diag_list_new(scratch, NULL);
    struct flow_options options = {
        .namespace = key->namespace,
        .defaults = planner->options->plugin_defaults,
        .lenient = true,
    };
    struct flow *flow =
        flow_parse(planner->options->plugins, text, strlen(text), &options, &ignored);
    arena_free(scratch);
    return flow;
}

static void compare_flow(struct planner *planner, struct plan_change *change)
{
    const struct live_object *live = change->live;
    const struct desired_object *desired = change->desired;
    struct arena *scratch = arena_new();
    struct field_list fields = { 0 };
    field_diff(
        planner->arena, flow_document(scratch, change->key.namespace, live->text, live->length),
        flow_document(scratch, change->key.namespace, desired->text, desired->length), "", &fields);
    arena_free(scratch);
    change->fields = fields.all.items;
    change->fields_count = fields.all.count;
    change->fields_more = fields.more;
    change->same_meaning = fields.all.count == 0;
    struct text_stat stat =
        text_diff_stat(live->text, live->length, desired->text, desired->length);
    change->added = stat.added;
    change->removed = stat.removed;
}

/* ---- schedules ---- */

/* The next fires of a trigger; false when it is no schedule with a cron expression. */
static bool next_runs(const struct planner *planner,
                      const struct flow *flow,
                      const struct trigger *trigger,
                      usec_t out[PLAN_RUNS_MAX],
                      const char **zone)
{
    if (trigger->type == NULL || trigger->type->trigger_kind != TRIGGER_SCHEDULE)
        return false;
    const char *expression = value_get_text(trigger->doc, "cron", NULL);
    if (expression == NULL)
        return false;
    *zone = value_get_text(trigger->doc, "timezone", planner->options->zone);
    struct cron cron;
    struct error ignored = { 0 }; // mistakes are findings of the flow
    const struct tz *tz = tz_get(*zone, &ignored);
    bool with_seconds = value_get_bool(trigger->doc, "withSeconds", false);
    if (tz == NULL || !cron_parse(&cron, expression, with_seconds, &ignored))
        return false;
    bool is_off = trigger->disabled || flow->disabled;
    usec_t at = planner->options->now;
    for (size_t i = 0; i < PLAN_RUNS_MAX; i++) {
        at = is_off || at == USEC_NEVER ? USEC_NEVER : cron_next(&cron, tz, at);
        out[i] = at;
    }
    return true;
}

static void compare_schedules(struct planner *planner, struct plan_change *change)
{
    AUTO(flow_unrefp) struct flow *before = NULL;
    AUTO(flow_unrefp) struct flow *after = NULL;
    if (change->live != NULL && change->live->text != NULL)
        before = planner_parse(planner, &change->key, change->live->text);
    if (change->desired != NULL)
        after = planner_parse(planner, &change->key, change->desired->text);
    VEC(struct plan_schedule) all = { 0 };
    for (size_t i = 0; after != NULL && i < after->triggers_count; i++) {
        struct plan_schedule schedule = { 0 };
        const struct trigger *trigger = &after->triggers[i];
        const struct trigger *old = before == NULL ? NULL : flow_find_trigger(before, trigger->id);
        schedule.has = next_runs(planner, after, trigger, schedule.after, &schedule.zone);
        const char *old_zone = NULL;
        schedule.had = old != NULL && next_runs(planner, before, old, schedule.before, &old_zone);
        bool is_same = schedule.had && schedule.has && str_eq(schedule.zone, old_zone) &&
                       memcmp(schedule.before, schedule.after, sizeof(schedule.after)) == 0;
        if (!schedule.has || is_same)
            continue;
        schedule.trigger = arena_strdup(planner->arena, trigger->id);
        schedule.zone = arena_strdup(planner->arena, schedule.zone == NULL ? "UTC" : schedule.zone);
        *VEC_PUSH_ARENA(planner->arena, &all) = schedule;
    }
    change->schedules = all.items;
    change->schedules_count = all.count;
}

/* ---- files and KV entries ---- */

static bool compare_file(struct planner *planner, struct plan_change *change, struct error *err)
{
    const struct inventory_entry *entry = change->entry;
    bool is_known = entry != NULL && str_eq(entry->digest, change->live->digest);
    bool is_small =
        change->desired->length <= TEXT_BYTES_MAX && change->live->length <= TEXT_BYTES_MAX;
    if (!is_known || !is_small || !git_repo_has(planner->snapshot->repo, &entry->blob))
        return true; // sizes are all that can be said
    AUTO(git_content_release) struct git_content before = { 0 };
    AUTO(git_content_release) struct git_content after = { 0 };
    struct git_repo *repo = planner->snapshot->repo;
    if (!git_repo_read(repo, &entry->blob, GIT_KIND_BLOB, TEXT_BYTES_MAX, &before, err) ||
        !git_repo_read(repo, &change->desired->blob, GIT_KIND_BLOB, TEXT_BYTES_MAX, &after, err))
        return error_wrap(err, "file '%s'", change->path);
    change->is_binary =
        text_is_binary(before.bytes, before.length) || text_is_binary(after.bytes, after.length);
    if (!change->is_binary) {
        struct text_stat stat =
            text_diff_stat(before.bytes, before.length, after.bytes, after.length);
        change->added = stat.added;
        change->removed = stat.removed;
    }
    return true;
}

static void compare_kv(struct planner *planner, struct plan_change *change)
{
    struct arena *scratch = arena_new();
    struct error ignored = { 0 }; // what is no JSON is shown as a text
    const struct live_object *live = change->live;
    const struct value *before =
        live->text == NULL ? NULL : json_parse(scratch, live->text, live->length, &ignored);
    const struct value *after =
        json_parse(scratch, change->desired->text, change->desired->length, &ignored);
    struct field_list fields = { 0 };
    field_diff(planner->arena, before, after, "", &fields);
    arena_free(scratch);
    change->fields = fields.all.items;
    change->fields_count = fields.all.count;
    change->fields_more = fields.more;
    change->same_meaning = fields.all.count == 0; // type, description or time to live
}

/* ---- changes ---- */

static struct plan_change *add_change(struct planner *planner,
                                      enum plan_action action,
                                      const struct object_key *key,
                                      const struct live_object *live)
{
    struct plan_change *change = VEC_PUSH_ARENA(planner->arena, &planner->plan->changes);
    *change = (struct plan_change){ .action = action, .key = *key };
    if (live != NULL && live->revision != 0) {
        change->live = live;
        change->revision_before = live->revision;
    }
    return change;
}

static bool compare_update(struct planner *planner, struct plan_change *change, struct error *err)
{
    switch (change->key.kind) {
    case OBJECT_FLOW:
        compare_flow(planner, change);
        return true;
    case OBJECT_FILE:
        return compare_file(planner, change, err);
    case OBJECT_KV:
        compare_kv(planner, change);
        return true;
    }
    return true;
}

static bool is_as_live(const struct desired_object *desired, const struct live_object *live)
{
    if (str_eq(desired->digest, live->digest))
        return true;
    return desired->key.kind == OBJECT_FLOW && live->text != NULL &&
           flow_source_equal(desired->text, live->text);
}

static bool compare_wanted(struct planner *planner,
                           const struct desired_object *desired,
                           struct error *err)
{
    const struct inventory_entry *entry = NULL;
    if (!planner_entry(planner, &desired->key, &entry, err))
        return false;
    if (entry != NULL && str_eq(entry->digest, desired->digest) && entry->ttl == desired->ttl) {
        if (!str_eq(entry->path, desired->path)) {
            struct plan_change *move = add_change(planner, PLAN_MOVE, &desired->key, NULL);
            move->path = desired->path;
            move->path_before = entry->path;
            move->desired = desired;
            move->entry = entry;
            move->revision_after = entry->revision;
        } else if (!oid_equal(&entry->blob, &desired->blob) || entry->line != desired->line) {
            *VEC_PUSH_ARENA(planner->arena, &planner->moved) = desired;
        }
        return true;
    }

    const struct live_object *live = NULL;
    if (!live_load(planner, &desired->key, &live, err))
        return false;
    bool has_other_ttl =
        entry != NULL && str_eq(entry->digest, desired->digest); // only that can differ
    enum plan_action action = live->revision == 0                           ? PLAN_CREATE
                              : is_as_live(desired, live) && !has_other_ttl ? PLAN_TAKE
                                                                            : PLAN_UPDATE;
    struct plan_change *change = add_change(planner, action, &desired->key, live);
    change->path = desired->path;
    change->path_before = entry != NULL && !str_eq(entry->path, desired->path) ? entry->path : NULL;
    change->desired = desired;
    change->entry = entry;
    change->revision_after = action == PLAN_TAKE ? live->revision : live->last_revision + 1;
    if (action == PLAN_CREATE && entry != NULL) {
        change->overwrites = "somebody"; // who deleted it, which is not recorded by object
    } else if (action == PLAN_UPDATE) {
        note_overwrite(change, live, entry == NULL ? NULL : entry->digest);
        return compare_update(planner, change, err);
    }
    return true;
}

bool planner_is_claimed(const struct planner *planner, const struct object_key *key)
{
    const struct file_job *job;
    VEC_EACH(job, &planner->jobs)
        if (job->claim.name != NULL && object_key_equal(&job->claim, key))
            return true;
    return false;
}

static bool compare_lost(struct planner *planner,
                         const struct file_job *job,
                         const struct inventory_entry *entry,
                         struct error *err)
{
    const char *text = object_key_text(planner->arena, &entry->key);
    if (map_has(&planner->desired, text) || job->is_invalid || job->is_problem ||
        planner_is_claimed(planner, &entry->key))
        return true;
    const struct live_object *live = NULL;
    if (!live_load(planner, &entry->key, &live, err))
        return false;
    enum plan_action action = live->revision == 0 ? PLAN_FORGET : PLAN_DELETE;
    struct plan_change *change = add_change(planner, action, &entry->key, live);
    change->path = entry->path;
    change->entry = entry;
    if (action == PLAN_DELETE)
        note_overwrite(change, live, entry->digest);
    if (action == PLAN_DELETE && entry->key.kind == OBJECT_FLOW) {
        struct target_running running = { 0 };
        if (!planner->target->ops->running(planner->target, &entry->key, &running, err))
            return false;
        change->running = running.count;
        change->running_mixed = running.is_mixed;
        change->running_revision = running.revision;
    }
    return true;
}

const struct plan_change *planner_change(const struct planner *planner,
                                         const struct object_key *key)
{
    struct buf text = { 0 };
    object_key_write(&text, key);
    const struct plan_change *change = map_find(&planner->changes_by_key, text.bytes);
    buf_free(&text);
    return change;
}

void planner_index_changes(struct planner *planner)
{
    map_free(&planner->changes_by_key);
    struct plan_change *change;
    VEC_EACH(change, &planner->plan->changes)
        (void)map_put(&planner->changes_by_key, object_key_text(planner->arena, &change->key),
                      change);
}

bool planner_compare(struct planner *planner, struct error *err)
{
    struct desired_object **wanted;
    VEC_EACH(wanted, &planner->wanted)
        if (!compare_wanted(planner, *wanted, err))
            return false;
    const struct file_job *job;
    VEC_EACH(job, &planner->jobs)
        for (size_t i = 0; i < job->entries_count; i++)
            if (!compare_lost(planner, job, job->entries[i], err))
                return false;

    planner_index_changes(planner);
    size_t scheduled = 0;
    struct plan_change *change;
    VEC_EACH(change, &planner->plan->changes) {
        bool is_saved = change->action == PLAN_CREATE || change->action == PLAN_UPDATE;
        if (change->key.kind == OBJECT_FLOW && is_saved && scheduled++ < SCHEDULES_MAX)
            compare_schedules(planner, change);
    }
    return true;
}
