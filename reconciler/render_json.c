/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/render_json.h"

#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/git_walk.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/flow.h"
#include "core/value.h"
#include "reconciler/drift.h"
#include "reconciler/planner.h"

/* Findings that carry the lines around them; people read the first ones. */
#define EXCERPTS_MAX 20U

/* Longest line of an excerpt. */
#define EXCERPT_BYTES_MAX 400U

static void put_oid(struct value_builder *map, const char *key, const struct oid *id)
{
    char hex[OID_TEXT];
    if (!oid_is_none(id))
        value_put_text(map, key, oid_format(id, hex));
}

static void put_time(struct value_builder *map, const char *key, usec_t at)
{
    if (at != 0)
        value_put_text(map, key, time_format_instant(map->arena, at));
}

static void put_count(struct value_builder *map, const char *key, size_t count)
{
    value_put_int(map, key, (int64_t)count);
}

/* Only when there is something to say. */
static void put_some(struct value_builder *map, const char *key, size_t count)
{
    if (count > 0)
        put_count(map, key, count);
}

static void put_flag(struct value_builder *map, const char *key, bool is_set)
{
    if (is_set)
        value_put_bool(map, key, true);
}

static void put_key(struct value_builder *map, const struct object_key *key)
{
    value_put_text(map, "kind", object_kind_name(key->kind));
    value_put_text(map, "namespace", key->namespace);
    value_put_text(map, "name", key->name);
}

static const struct value *commit_value(struct arena *arena, const struct git_commit_info *commit)
{
    struct value_builder map = value_build(arena);
    put_oid(&map, "commit", &commit->id);
    value_put_text(&map, "subject", commit->subject);
    value_put_text(&map, "author", commit->author);
    value_put_text(&map, "email", commit->email);
    put_time(&map, "committedAt", commit->at);
    return value_build_map(&map);
}

static const struct value *fields_value(struct arena *arena,
                                        const struct field_change *fields,
                                        size_t count)
{
    struct value_builder list = value_build(arena);
    for (size_t i = 0; i < count; i++) {
        struct value_builder map = value_build(arena);
        value_put_text(&map, "path", fields[i].path);
        if (fields[i].before != NULL)
            value_put(&map, "before", value_copy(arena, fields[i].before));
        if (fields[i].after != NULL)
            value_put(&map, "after", value_copy(arena, fields[i].after));
        put_some(&map, "linesAdded", fields[i].added);
        put_some(&map, "linesRemoved", fields[i].removed);
        value_add(&list, value_build_map(&map));
    }
    return value_build_list(&list);
}

static const struct value *runs_value(struct arena *arena, const usec_t *runs)
{
    struct value_builder list = value_build(arena);
    for (size_t i = 0; i < PLAN_RUNS_MAX && runs[i] != USEC_NEVER && runs[i] != 0; i++)
        value_add(&list, value_string(arena, time_format_instant(arena, runs[i])));
    return value_build_list(&list);
}

static const struct value *schedules_value(struct arena *arena, const struct plan_change *change)
{
    struct value_builder list = value_build(arena);
    for (size_t i = 0; i < change->schedules_count; i++) {
        const struct plan_schedule *schedule = &change->schedules[i];
        struct value_builder map = value_build(arena);
        value_put_text(&map, "trigger", schedule->trigger);
        value_put_text(&map, "zone", schedule->zone);
        if (schedule->had)
            value_put(&map, "before", runs_value(arena, schedule->before));
        if (schedule->has)
            value_put(&map, "after", runs_value(arena, schedule->after));
        value_add(&list, value_build_map(&map));
    }
    return value_build_list(&list);
}

static void put_sizes(struct value_builder *map, const struct plan_change *change)
{
    if (change->key.kind != OBJECT_FILE)
        return;
    if (change->live != NULL)
        put_count(map, "bytesBefore", change->live->length);
    if (change->desired != NULL)
        put_count(map, "bytesAfter", change->desired->length);
}

static const struct value *change_value(struct arena *arena, const struct plan_change *change)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "action", plan_action_name(change->action));
    put_key(&map, &change->key);
    value_put_text(&map, "path", change->path);
    value_put_text(&map, "pathBefore", change->path_before);
    if (change->key.kind == OBJECT_FLOW) {
        put_some(&map, "revisionBefore", (size_t)change->revision_before);
        put_some(&map, "revisionAfter", (size_t)change->revision_after);
    }
    put_flag(&map, "sameMeaning", change->action == PLAN_UPDATE && change->same_meaning);
    put_flag(&map, "isBinary", change->is_binary);
    put_some(&map, "linesAdded", change->added);
    put_some(&map, "linesRemoved", change->removed);
    put_sizes(&map, change);
    if (change->fields_count > 0)
        value_put(&map, "fields", fields_value(arena, change->fields, change->fields_count));
    put_some(&map, "fieldsMore", change->fields_more);
    if (change->schedules_count > 0)
        value_put(&map, "schedules", schedules_value(arena, change));
    if (change->running > 0) {
        struct value_builder running = value_build(arena);
        put_count(&running, "count", change->running);
        value_put_int(&running, "revision", change->running_revision);
        put_flag(&running, "isMixed", change->running_mixed);
        value_put(&map, "running", value_build_map(&running));
    }
    if (change->overwrites != NULL) {
        struct value_builder overwrites = value_build(arena);
        value_put_text(&overwrites, "actor", change->overwrites);
        put_time(&overwrites, "at", change->overwrites_at);
        value_put(&map, "overwrites", value_build_map(&overwrites));
    }
    return value_build_map(&map);
}

static const struct value *impact_value(struct arena *arena, const struct plan_impact *impact)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "level", impact->level == IMPACT_WARNING ? "warning" : "note");
    value_put_text(&map, "code", impact->code);
    put_key(&map, &impact->key);
    value_put_text(&map, "text", impact->text);
    struct value_builder places = value_build(arena);
    for (size_t i = 0; i < impact->places_count; i++) {
        const struct plan_place *place = &impact->places[i];
        struct value_builder at = value_build(arena);
        put_key(&at, &place->key);
        value_put_text(&at, "file", place->file);
        put_some(&at, "line", place->line);
        value_add(&places, value_build_map(&at));
    }
    if (impact->places_count > 0)
        value_put(&map, "places", value_build_list(&places));
    put_some(&map, "placesMore", impact->places_more);
    return value_build_map(&map);
}

/* ---- findings ---- */

/* The line of a text, without its end; NULL when there is none. */
static const char *line_at(const char *text, size_t length, uint32_t number, size_t *line_length)
{
    const char *end = text + length;
    for (uint32_t i = 1; i < number; i++) {
        text = memchr(text, '\n', (size_t)(end - text));
        if (text == NULL)
            return NULL;
        text++;
    }
    if (text >= end)
        return NULL;
    const char *stop = memchr(text, '\n', (size_t)(end - text));
    *line_length = stop == NULL ? (size_t)(end - text) : (size_t)(stop - text);
    return text;
}

const struct value *finding_to_value(struct arena *arena,
                                     const struct diag *diag,
                                     const char *text,
                                     size_t length)
{
    const struct value *finding = diag_to_value(arena, diag);
    if (text == NULL || diag->line == 0)
        return finding;
    struct value_builder list = value_build(arena);
    uint32_t first = diag->line > 1 ? diag->line - 1 : 1;
    for (uint32_t number = first; number <= diag->line + 1; number++) {
        size_t line_length = 0;
        const char *line = line_at(text, length, number, &line_length);
        if (line == NULL || line_length > EXCERPT_BYTES_MAX || !utf8_valid(line, line_length))
            continue;
        struct value_builder map = value_build(arena);
        value_put_int(&map, "line", number);
        value_put(&map, "text", value_string_n(arena, line, line_length));
        value_add(&list, value_build_map(&map));
    }
    return value_with(arena, finding, "excerpt", value_build_list(&list));
}

/* With lines from the file of the commit, when it can be read. */
static const struct value *plan_finding(struct arena *arena,
                                        const struct planner *planner,
                                        const struct diag *diag)
{
    const struct file_job *job =
        diag->file == NULL ? NULL : map_find(&planner->jobs_by_path, diag->file);
    struct oid blob = job == NULL ? oid_none : job->after;
    struct error ignored = { 0 }; // the finding stands without its lines
    if (diag->file != NULL && str_eq(diag->file, planner->config_path) &&
        !walk_find(planner->snapshot->repo, &planner->tree, diag->file, &blob, NULL, &ignored))
        blob = oid_none;
    AUTO(git_content_release) struct git_content content = { 0 };
    if (oid_is_none(&blob) || !git_repo_read(planner->snapshot->repo, &blob, GIT_KIND_BLOB,
                                             FLOW_BYTES_MAX, &content, &ignored))
        return diag_to_value(arena, diag);
    return finding_to_value(arena, diag, content.bytes, content.length);
}

static const struct value *findings_value(struct arena *arena, const struct plan *plan)
{
    struct value_builder list = value_build(arena);
    size_t excerpts = 0;
    const struct diag *diag;
    VEC_EACH(diag, &plan->findings.all) {
        bool with_lines = diag->level == DIAG_ERROR || diag->level == DIAG_WARNING;
        if (plan->planner != NULL && with_lines && excerpts++ < EXCERPTS_MAX)
            value_add(&list, plan_finding(arena, plan->planner, diag));
        else
            value_add(&list, diag_to_value(arena, diag));
    }
    return value_build_list(&list);
}

const struct value *plan_to_value(struct arena *arena, const struct plan *plan)
{
    struct value_builder map = value_build(arena);
    value_put_int(&map, "version", PLAN_DOCUMENT_VERSION);
    value_put_text(&map, "source", plan->source);
    value_put_text(&map, "repository", plan->shown);
    value_put_text(&map, "branch", plan->branch);
    if (plan->base != NULL)
        value_put(&map, "base", commit_value(arena, plan->base));
    value_put(&map, "head", commit_value(arena, &plan->head));
    value_put_bool(&map, "isRewritten", plan->is_rewritten);
    value_put_bool(&map, "isPartial", plan->is_partial);
    value_put_bool(&map, "isHeld", plan_is_held(plan));
    value_put_text(&map, "digest", plan->digest);

    struct plan_counts counts = plan_counts(plan);
    struct value_builder summary = value_build(arena);
    put_count(&summary, "create", counts.creates);
    put_count(&summary, "change", counts.updates);
    put_count(&summary, "delete", counts.deletes);
    put_count(&summary, "other", counts.others);
    put_count(&summary, "unchanged", plan->unchanged);
    put_count(&summary, "errors", plan->findings.errors);
    put_count(&summary, "warnings", plan->findings.warnings);
    value_put(&map, "summary", value_build_map(&summary));

    struct value_builder changes = value_build(arena);
    const struct plan_change *change;
    VEC_EACH(change, &plan->changes)
        value_add(&changes, change_value(arena, change));
    value_put(&map, "changes", value_build_list(&changes));

    struct value_builder impacts = value_build(arena);
    const struct plan_impact *impact;
    VEC_EACH(impact, &plan->impacts)
        value_add(&impacts, impact_value(arena, impact));
    value_put(&map, "impact", value_build_list(&impacts));

    value_put(&map, "findings", findings_value(arena, plan));
    struct value_builder holds = value_build(arena);
    const struct plan_hold *hold;
    VEC_EACH(hold, &plan->holds) {
        struct value_builder reason = value_build(arena);
        value_put_text(&reason, "code", hold->code);
        value_put_text(&reason, "text", hold->text);
        value_add(&holds, value_build_map(&reason));
    }
    value_put(&map, "holds", value_build_list(&holds));
    return value_build_map(&map);
}

/* ---- drift ---- */

static const struct value *drift_item_value(struct arena *arena, const struct drift_item *item)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "drift", item->kind == DRIFT_DELETED ? "deleted" : "changed");
    put_key(&map, &item->key);
    value_put_text(&map, "path", item->path);
    if (item->key.kind == OBJECT_FLOW) {
        put_some(&map, "revisionApplied", (size_t)item->revision_applied);
        put_some(&map, "revisionLive", (size_t)item->revision_live);
    }
    put_flag(&map, "sameMeaning", item->text_only);
    if (item->fields_count > 0)
        value_put(&map, "fields", fields_value(arena, item->fields, item->fields_count));
    put_some(&map, "fieldsMore", item->fields_more);
    put_some(&map, "fieldsTolerated", item->fields_tolerated);
    value_put_text(&map, "actor", item->actor);
    value_put_text(&map, "channel", item->channel);
    put_time(&map, "at", item->at);
    return value_build_map(&map);
}

const struct value *drift_to_value(struct arena *arena, const struct drift_report *report)
{
    struct value_builder map = value_build(arena);
    value_put_int(&map, "version", DRIFT_DOCUMENT_VERSION);
    value_put_text(&map, "source", report->source);
    put_oid(&map, "commit", &report->commit);
    put_count(&map, "objects", report->objects);
    put_count(&map, "drifted", report->items.count);
    put_count(&map, "tolerated", report->tolerated);
    struct value_builder items = value_build(arena);
    const struct drift_item *item;
    VEC_EACH(item, &report->items)
        value_add(&items, drift_item_value(arena, item));
    value_put(&map, "items", value_build_list(&items));
    return value_build_map(&map);
}
