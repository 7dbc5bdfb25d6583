/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/notes.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "base/vec.h"
#include "core/json.h"
#include "core/plan.h"
#include "core/value.h"
#include "reconciler/target.h"

/* Changes listed in the history of one commit; more are counted. */
#define APPLIED_CHANGES_MAX 500U

/* Findings kept with a commit that waits; more are counted. */
#define HELD_FINDINGS_MAX 100U

/* Flows that refer to one object, read at once. */
#define REFERRERS_MAX 10000U

const char *notes_inventory(struct arena *arena, const char *source)
{
    return arena_printf(arena, "inventory/%s", source);
}

const char *notes_invalid(struct arena *arena, const char *source)
{
    return arena_printf(arena, "invalid/%s", source);
}

const char *notes_applied(struct arena *arena, const char *source)
{
    return arena_printf(arena, "applied/%s", source);
}

const char *applied_note_key(struct arena *arena, int64_t number)
{
    return arena_printf(arena, "%012lld", (long long)number);
}

static void put_oid(struct value_builder *builder, const char *key, const struct oid *id)
{
    char hex[OID_TEXT];
    if (!oid_is_none(id))
        value_put_text(builder, key, oid_format(id, hex));
}

static void put_time(struct value_builder *builder, const char *key, usec_t at)
{
    if (at != 0)
        value_put_text(builder, key, time_format_instant(builder->arena, at));
}

/* ---- what was applied last ---- */

const struct value *head_note_to_value(struct arena *arena, const struct head_note *head)
{
    struct value_builder builder = value_build(arena);
    put_oid(&builder, "commit", &head->commit);
    put_oid(&builder, "tree", &head->tree);
    value_put_text(&builder, "branch", head->branch);
    value_put_text(&builder, "layout", head->layout);
    value_put_text(&builder, "plan", head->plan);
    value_put_int(&builder, "at", head->at);
    value_put_int(&builder, "number", head->number);
    value_put_int(&builder, "objects", head->objects);
    return value_build_map(&builder);
}

static bool get_oid(const struct value *map, const char *key, struct oid *out)
{
    const char *text = value_get_text(map, key, "");
    return oid_parse(text, strlen(text), out);
}

bool head_note_load(struct target *target,
                    struct arena *arena,
                    const char *source,
                    struct head_note *out,
                    struct error *err)
{
    struct note note;
    if (!target->ops->note(target, arena, NOTES_SOURCES, source, &note, err))
        return false;
    const struct value *doc = json_parse(arena, note.body, note.length, err);
    if (doc == NULL)
        return error_wrap(err, "note about source '%s'", source);
    struct head_note head = {
        .branch = value_get_text(doc, "branch", ""),
        .layout = value_get_text(doc, "layout", ""),
        .plan = value_get_text(doc, "plan", ""),
        .at = value_get_int(doc, "at", 0),
        .number = value_get_int(doc, "number", 0),
        .objects = value_get_int(doc, "objects", 0),
        .digest = digest_sha256_hex(arena, note.body, note.length),
    };
    if (!get_oid(doc, "commit", &head.commit) || !get_oid(doc, "tree", &head.tree))
        return error_set(err, ERR_INTERNAL, "note about source '%s' is damaged", source);
    *out = head;
    return true;
}

/* ---- history ---- */

static void put_commit(struct value_builder *builder, const struct plan *plan)
{
    const struct git_commit_info *head = &plan->head;
    value_put_text(builder, "source", plan->source);
    value_put_text(builder, "repository", plan->shown);
    value_put_text(builder, "branch", plan->branch);
    put_oid(builder, "commit", &head->id);
    put_oid(builder, "previous", plan->base == NULL ? &oid_none : &plan->base->id);
    value_put_text(builder, "author", head->author);
    value_put_text(builder, "email", head->email);
    put_time(builder, "committedAt", head->at);
    value_put_text(builder, "subject", head->subject);
    value_put_bool(builder, "isRewritten", plan->is_rewritten);
    value_put_text(builder, "plan", plan->digest);
}

static const struct value *change_value(struct arena *arena, const struct plan_change *change)
{
    struct value_builder builder = value_build(arena);
    value_put_text(&builder, "action", plan_action_name(change->action));
    value_put_text(&builder, "kind", object_kind_name(change->key.kind));
    value_put_text(&builder, "namespace", change->key.namespace);
    value_put_text(&builder, "name", change->key.name);
    value_put_text(&builder, "path", change->path);
    if (change->revision_after != 0)
        value_put_int(&builder, "revision", change->revision_after);
    return value_build_map(&builder);
}

const struct value *applied_note_value(struct arena *arena,
                                       const struct plan *plan,
                                       const char *actor,
                                       usec_t at)
{
    struct value_builder builder = value_build(arena);
    put_commit(&builder, plan);
    value_put_text(&builder, "actor", actor);
    put_time(&builder, "appliedAt", at);
    struct plan_counts counts = plan_counts(plan);
    value_put_int(&builder, "created", (int64_t)counts.creates);
    value_put_int(&builder, "updated", (int64_t)counts.updates);
    value_put_int(&builder, "deleted", (int64_t)counts.deletes);
    struct value_builder changes = value_build(arena);
    for (size_t i = 0; i < plan->changes.count && i < APPLIED_CHANGES_MAX; i++)
        value_add(&changes, change_value(arena, &plan->changes.items[i]));
    value_put(&builder, "changes", value_build_list(&changes));
    if (plan->changes.count > APPLIED_CHANGES_MAX)
        value_put_int(&builder, "changesMore",
                      (int64_t)(plan->changes.count - APPLIED_CHANGES_MAX));
    return value_build_map(&builder);
}

const struct value *held_note_value(struct arena *arena, const struct plan *plan, usec_t since)
{
    struct value_builder builder = value_build(arena);
    put_commit(&builder, plan);
    put_time(&builder, "since", since);
    struct value_builder reasons = value_build(arena);
    const struct plan_hold *hold;
    VEC_EACH(hold, &plan->holds) {
        struct value_builder reason = value_build(arena);
        value_put_text(&reason, "code", hold->code);
        value_put_text(&reason, "text", hold->text);
        value_add(&reasons, value_build_map(&reason));
    }
    value_put(&builder, "reasons", value_build_list(&reasons));
    struct value_builder findings = value_build(arena);
    size_t listed = 0;
    const struct diag *diag;
    VEC_EACH(diag, &plan->findings.all)
        if (diag->level == DIAG_ERROR && listed++ < HELD_FINDINGS_MAX)
            value_add(&findings, diag_to_value(arena, diag));
    value_put(&builder, "findings", value_build_list(&findings));
    value_put_int(&builder, "errors", (int64_t)plan->findings.errors);
    return value_build_map(&builder);
}

bool applied_notes_load(struct target *target,
                        struct arena *arena,
                        const char *source,
                        size_t limit,
                        const struct value ***out,
                        size_t *count,
                        struct error *err)
{
    struct note *notes = NULL;
    size_t found = 0;
    const char *collection = notes_applied(arena, source);
    if (!target->ops->notes_recent(target, arena, collection, USEC_NEVER, limit, &notes, &found,
                                   err))
        return false;
    const struct value **docs = ARENA_ARRAY(arena, found, const struct value *);
    for (size_t i = 0; i < found; i++) {
        docs[i] = json_parse(arena, notes[i].body, notes[i].length, err);
        if (docs[i] == NULL)
            return error_wrap(err, "history of source '%s'", source);
    }
    *out = docs;
    *count = found;
    return true;
}

/* ---- references ---- */

const char *reference_note_key(struct arena *arena,
                               const struct object_key *object,
                               const struct object_key *flow)
{
    struct buf key = { 0 };
    object_key_write(&key, object);
    buf_printf(&key, "\t%s/%s", flow->namespace, flow->name);
    const char *text = buf_dup(&key, arena);
    buf_free(&key);
    return text;
}

void reference_note_write(struct buf *out, const char *path, const struct object_ref *ref)
{
    buf_printf(out, "%s\t%s\t", path, ref->at);
    buf_put_int(out, ref->line);
    buf_putc(out, '\t');
    buf_put_int(out, ref->column);
    buf_puts(out, ref->is_trigger ? "\ttrigger\n" : "\tcall\n");
}

/* One line of a note; false when it is none. */
static bool referrer_read(struct arena *arena,
                          const char *line,
                          size_t length,
                          struct referrer *out)
{
    enum { PATH, AT, LINE, COLUMN, KIND, FIELDS };
    const char *fields[FIELDS];
    const char *end = line + length;
    for (size_t i = 0; i < FIELDS; i++) {
        const char *stop = memchr(line, '\t', (size_t)(end - line));
        if ((stop == NULL) != (i == FIELDS - 1))
            return false;
        if (stop == NULL)
            stop = end;
        fields[i] = arena_strndup(arena, line, (size_t)(stop - line));
        line = stop + 1;
    }
    int64_t row = 0;
    int64_t column = 0;
    if (!str_to_int(fields[LINE], 0, UINT32_MAX, &row) ||
        !str_to_int(fields[COLUMN], 0, UINT32_MAX, &column))
        return false;
    out->path = fields[PATH];
    out->at = fields[AT];
    out->line = (uint32_t)row;
    out->column = (uint32_t)column;
    out->is_trigger = str_eq(fields[KIND], "trigger");
    return true;
}

bool referrers_load(struct target *target,
                    struct arena *arena,
                    const struct object_key *object,
                    struct referrer **out,
                    size_t *count,
                    struct error *err)
{
    struct note *notes = NULL;
    size_t found = 0;
    const char *prefix = arena_printf(arena, "%s\t", object_key_text(arena, object));
    if (!target->ops->notes(target, arena, NOTES_REFERENCES, prefix, NULL, REFERRERS_MAX, &notes,
                            &found, err))
        return false;
    VEC(struct referrer) all = { 0 };
    for (size_t i = 0; i < found; i++) {
        const char *name = notes[i].key + strlen(prefix);
        const char *slash = strchr(name, '/');
        if (slash == NULL)
            continue; // not one of ours
        struct object_key flow = {
            .kind = OBJECT_FLOW,
            .namespace = arena_strndup(arena, name, (size_t)(slash - name)),
            .name = arena_strdup(arena, slash + 1),
        };
        const char *end = notes[i].body + notes[i].length;
        for (const char *at = notes[i].body; at < end;) {
            const char *stop = memchr(at, '\n', (size_t)(end - at));
            if (stop == NULL)
                stop = end;
            struct referrer referrer = { .flow = flow };
            if (referrer_read(arena, at, (size_t)(stop - at), &referrer))
                *VEC_PUSH_ARENA(arena, &all) = referrer;
            at = stop + 1;
        }
    }
    *out = all.items;
    *count = all.count;
    return true;
}
