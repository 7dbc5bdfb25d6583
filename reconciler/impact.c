/* SPDX-License-Identifier: Apache-2.0 */
/* What the changes of a plan may break, in flows that change and in those that do not. */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "core/flow.h"
#include "core/value.h"
#include "reconciler/planner.h"

/* Names offered as "did you mean". */
#define CANDIDATES_MAX 2000U

/* Callers whose text is read to see what they pass. */
#define CALLERS_READ_MAX 200U

/* Places listed with one impact. */
#define PLACES_MAX 50U

/* ---- references of changed flows ---- */

enum presence { ABSENT = 1, PRESENT, DISABLED };

struct presences {
    struct map known; /* text of a key -> enum presence */
};

/* Will there be such an object once the plan is applied? */
static bool presence_of(struct planner *planner,
                        struct presences *presences,
                        const struct object_key *key,
                        enum presence *out,
                        struct error *err)
{
    const char *text = object_key_text(planner->arena, key);
    uintptr_t known = (uintptr_t)map_find(&presences->known, text);
    if (known != 0) {
        *out = (enum presence)known;
        return true;
    }
    const struct desired_object *desired = map_find(&planner->desired, text);
    const struct plan_change *change = map_find(&planner->changes_by_key, text);
    if (desired != NULL) {
        *out = desired->disabled ? DISABLED : PRESENT;
    } else if (change != NULL && change->desired == NULL) {
        *out = ABSENT; // this plan deletes it
    } else {
        struct live_object live;
        if (!planner->target->ops->live(planner->target, planner->arena, key, 0, false, &live, err))
            return false;
        *out = live.revision == 0 ? ABSENT : live.disabled ? DISABLED : PRESENT;
    }
    (void)map_put(&presences->known, text, (void *)(uintptr_t)*out);
    return true;
}

/* "company.team/load_customers" nearest to a flow that does not exist; NULL when none is near. */
static const char *nearest_flow(struct planner *planner, const struct object_key *key)
{
    VEC(const char *) names = { 0 };
    struct map_slot *slot;
    size_t at = 0;
    while ((slot = map_next(&planner->desired, &at)) != NULL && names.count < CANDIDATES_MAX) {
        const struct desired_object *desired = slot->value;
        if (desired->key.kind == OBJECT_FLOW)
            *VEC_PUSH_ARENA(planner->arena, &names) =
                arena_printf(planner->arena, "%s/%s", desired->key.namespace, desired->key.name);
    }
    struct note *notes = NULL;
    size_t count = 0;
    struct error ignored = { 0 }; // without candidates there is no advice
    const char *collection = notes_inventory(planner->arena, planner->snapshot->source);
    const char *prefix = arena_printf(planner->arena, "flow/%s/", key->namespace);
    if (planner->target->ops->notes(planner->target, planner->arena, collection, prefix, NULL,
                                    CANDIDATES_MAX, &notes, &count, &ignored))
        for (size_t i = 0; i < count; i++) {
            const struct plan_change *change = map_find(&planner->changes_by_key, notes[i].key);
            if (change == NULL || change->desired != NULL)
                *VEC_PUSH_ARENA(planner->arena, &names) = notes[i].key + strlen("flow/");
        }
    const char *wanted = arena_printf(planner->arena, "%s/%s", key->namespace, key->name);
    return str_nearest(wanted, names.items, names.count);
}

/* Do mistakes leave out only their own file? */
static bool leaves_out_invalid(const struct planner *planner)
{
    return planner->config->skips_invalid || planner->options->is_baseline;
}

static void report_reference(struct planner *planner,
                             const struct desired_object *flow,
                             const struct object_ref *ref,
                             enum presence presence)
{
    struct diag_list *findings = &planner->plan->findings;
    struct value at = { .line = ref->line, .column = (uint16_t)ref->column };
    bool is_error = presence == ABSENT && !ref->is_trigger;
    bool is_broken = presence == ABSENT && planner_is_claimed(planner, &ref->key);
    if (is_broken && !leaves_out_invalid(planner))
        return; // the mistakes in its own file are what holds the commit
    findings->file = flow->path;
    struct diag *diag = diag_add(findings, is_error ? DIAG_ERROR : DIAG_WARNING, DIAG_RULE,
                                 presence == DISABLED ? "disabled-subflow" : "unknown-subflow", &at,
                                 ref->at, "%s '%s/%s' %s", ref->is_trigger ? "the flow" : "subflow",
                                 ref->key.namespace, ref->key.name,
                                 presence == DISABLED ? "is disabled"
                                 : is_broken          ? "is left out because of its mistakes"
                                                      : "does not exist");
    findings->file = NULL;
    diag->width = (uint32_t)strlen(ref->key.name);
    const char *nearest =
        presence == ABSENT && !is_broken ? nearest_flow(planner, &ref->key) : NULL;
    if (nearest != NULL)
        diag->advice = arena_printf(planner->arena, "did you mean '%s'?", nearest);
    struct file_job *job = map_find(&planner->jobs_by_path, flow->path);
    if (is_error && job != NULL)
        job->is_invalid = true;
}

static const struct file_job *job_of(const struct planner *planner,
                                     const struct desired_object *object)
{
    return object == NULL ? NULL : map_find(&planner->jobs_by_path, object->path);
}

/* One look at all references. *found: errors that were new. */
static bool check_once(struct planner *planner, size_t *found, struct error *err)
{
    struct presences presences = { 0 };
    bool ok = true;
    size_t errors = planner->plan->findings.errors;
    struct desired_object **wanted;
    VEC_EACH(wanted, &planner->wanted) {
        const struct desired_object *flow = *wanted;
        const struct file_job *job = job_of(planner, flow);
        bool is_known = job != NULL && job->is_invalid;
        for (size_t i = 0; ok && !is_known && i < flow->refs_count; i++) {
            const struct object_ref *ref = &flow->refs[i];
            enum presence presence = PRESENT;
            if (ref->key.kind != OBJECT_FLOW)
                continue; // files and entries may come from elsewhere, at any time
            ok = presence_of(planner, &presences, &ref->key, &presence, err);
            if (ok && (presence == ABSENT || (presence == DISABLED && !ref->is_trigger)))
                report_reference(planner, flow, ref, presence);
        }
    }
    map_free(&presences.known);
    *found = planner->plan->findings.errors - errors;
    return ok;
}

/*
 * When mistakes hold only their own file, what such a file would have changed is taken out, which
 * may leave others without what they refer to.
 */
bool planner_check_references(struct planner *planner, struct error *err)
{
    size_t found = 1;
    while (found > 0) {
        if (!check_once(planner, &found, err))
            return false;
        if (!leaves_out_invalid(planner))
            break;
        struct plan *plan = planner->plan;
        size_t kept = 0;
        for (size_t i = 0; i < plan->changes.count; i++) {
            const struct plan_change *change = &plan->changes.items[i];
            const struct file_job *job = job_of(planner, change->desired);
            if (job == NULL || !job->is_invalid)
                plan->changes.items[kept++] = *change;
            else
                (void)map_remove(&planner->desired, object_key_text(planner->arena, &change->key));
        }
        plan->changes.count = kept;
        planner_index_changes(planner);
    }
    return true;
}

/* ---- impact ---- */

static struct plan_impact *add_impact(struct planner *planner,
                                      enum impact_level level,
                                      const char *code,
                                      const struct object_key *key)
{
    struct plan_impact *impact = VEC_PUSH_ARENA(planner->arena, &planner->plan->impacts);
    *impact = (struct plan_impact){ .level = level, .code = code, .key = *key };
    return impact;
}

struct places {
    VEC(struct plan_place) all;
    size_t more;
};

static void add_place(struct planner *planner, struct places *places, const struct referrer *from)
{
    if (places->all.count >= PLACES_MAX) {
        places->more++;
        return;
    }
    struct plan_place *place = VEC_PUSH_ARENA(planner->arena, &places->all);
    *place = (struct plan_place){ .key = from->flow, .file = from->path, .line = from->line };
}

static void set_places(struct plan_impact *impact, const struct places *places)
{
    impact->places = places->all.items;
    impact->places_count = places->all.count;
    impact->places_more = places->more;
}

static const char *verb_of(enum object_kind kind, bool is_trigger)
{
    switch (kind) {
    case OBJECT_FLOW:
        return is_trigger ? "waits for" : "calls";
    case OBJECT_FILE:
        return "reads";
    case OBJECT_KV:
        return "uses";
    }
    return "uses";
}

/* What refers to something that is deleted, and stays as it is. */
static void warn_deleted(struct planner *planner,
                         const struct plan_change *change,
                         const struct referrer *referrers,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct referrer *from = &referrers[i];
        if (planner_change(planner, &from->flow) != NULL)
            continue; // its new text is checked by itself
        struct places places = { 0 };
        add_place(planner, &places, from);
        struct plan_impact *impact =
            add_impact(planner, IMPACT_WARNING, "deletes-used", &change->key);
        impact->text = arena_printf(planner->arena, "%s/%s %s %s/%s, which this plan deletes",
                                    from->flow.namespace, from->flow.name,
                                    verb_of(change->key.kind, from->is_trigger),
                                    change->key.namespace, change->key.name);
        set_places(impact, &places);
    }
}

/* Does the flow become disabled, while others call it? */
static void warn_disabled(struct planner *planner,
                          const struct plan_change *change,
                          const struct referrer *referrers,
                          size_t count)
{
    if (change->live == NULL || change->live->disabled || !change->desired->disabled)
        return;
    struct places places = { 0 };
    for (size_t i = 0; i < count; i++)
        if (!referrers[i].is_trigger && planner_change(planner, &referrers[i].flow) == NULL)
            add_place(planner, &places, &referrers[i]);
    if (places.all.count == 0)
        return;
    struct plan_impact *impact =
        add_impact(planner, IMPACT_WARNING, "disables-called", &change->key);
    impact->text = arena_printf(planner->arena, "%s/%s becomes disabled; calls of it fail",
                                change->key.namespace, change->key.name);
    set_places(impact, &places);
}

static const struct flow_input *find_input(const struct flow *flow, const char *id)
{
    for (size_t i = 0; flow != NULL && i < flow->inputs_count; i++)
        if (str_eq(flow->inputs[i].id, id))
            return &flow->inputs[i];
    return NULL;
}

static bool is_needed(const struct flow_input *input)
{
    return input != NULL && input->required && input->defaults == NULL;
}

/* Does the task of a caller leave an input out? An expression may pass anything. */
static bool leaves_out(const struct flow *caller, const char *at, const char *input)
{
    for (size_t i = 0; i < caller->tasks_all_count; i++) {
        const struct task *task = caller->tasks_all[i];
        if (!str_eq(task->path, at))
            continue;
        const struct value *inputs = value_get(task->doc, "inputs");
        if (value_is_null(inputs))
            return true;
        return value_is_map(inputs) && value_get(inputs, input) == NULL;
    }
    return false;
}

/* The text that a caller will have; NULL when it cannot be known. */
static struct flow *caller_flow(struct planner *planner, const struct object_key *key)
{
    const struct plan_change *change = planner_change(planner, key);
    if (change != NULL && change->desired != NULL)
        return planner_parse(planner, key, change->desired->text);
    struct live_object live;
    struct error ignored = { 0 }; // then nothing is said about it
    if (change != NULL ||
        !planner->target->ops->live(planner->target, planner->arena, key, 0, true, &live, &ignored))
        return NULL;
    return live.revision == 0 || live.text == NULL ? NULL : planner_parse(planner, key, live.text);
}

static void warn_input(struct planner *planner,
                       const struct plan_change *change,
                       const char *input,
                       const struct referrer *referrers,
                       size_t count)
{
    struct places places = { 0 };
    for (size_t i = 0; i < count && i < CALLERS_READ_MAX; i++) {
        if (referrers[i].is_trigger)
            continue;
        AUTO(flow_unrefp) struct flow *caller = caller_flow(planner, &referrers[i].flow);
        if (caller != NULL && leaves_out(caller, referrers[i].at, input))
            add_place(planner, &places, &referrers[i]);
    }
    size_t callers = places.all.count + places.more;
    struct plan_impact *impact = add_impact(planner, callers > 0 ? IMPACT_WARNING : IMPACT_NOTE,
                                            "input-required", &change->key);
    const char *tail = "";
    if (callers > 0)
        tail = arena_printf(planner->arena, "; %zu caller%s not pass it", callers,
                            callers == 1 ? " does" : "s do");
    impact->text = arena_printf(planner->arena, "input '%s' of %s/%s becomes required%s", input,
                                change->key.namespace, change->key.name, tail);
    set_places(impact, &places);
}

/* Inputs that must be given from now on. */
static void warn_inputs(struct planner *planner,
                        const struct plan_change *change,
                        const struct referrer *referrers,
                        size_t count)
{
    if (change->live == NULL || change->live->text == NULL)
        return;
    AUTO(flow_unrefp)
    struct flow *before = planner_parse(planner, &change->key, change->live->text);
    AUTO(flow_unrefp)
    struct flow *after = planner_parse(planner, &change->key, change->desired->text);
    for (size_t i = 0; before != NULL && after != NULL && i < after->inputs_count; i++) {
        const struct flow_input *input = &after->inputs[i];
        if (is_needed(input) && !is_needed(find_input(before, input->id)))
            warn_input(planner, change, input->id, referrers, count);
    }
}

/* Is the flow there after the plan as well? */
static bool stays(const struct planner *planner, const struct object_key *key)
{
    const struct plan_change *change = planner_change(planner, key);
    return change == NULL || change->desired != NULL;
}

static void note_followers(struct planner *planner,
                           const struct plan_change *change,
                           const struct referrer *referrers,
                           size_t count)
{
    struct places places = { 0 };
    for (size_t i = 0; i < count; i++)
        if (referrers[i].is_trigger && stays(planner, &referrers[i].flow))
            add_place(planner, &places, &referrers[i]);
    if (places.all.count == 0)
        return;
    size_t followers = places.all.count + places.more;
    struct plan_impact *impact = add_impact(planner, IMPACT_NOTE, "followed", &change->key);
    impact->text = arena_printf(planner->arena, "%zu flow trigger%s %s/%s", followers,
                                followers == 1 ? " follows" : "s follow", change->key.namespace,
                                change->key.name);
    set_places(impact, &places);
}

/* Somebody else's change that is lost. */
static void warn_overwrite(struct planner *planner, const struct plan_change *change)
{
    if (change->overwrites == NULL || change->live == NULL)
        return;
    struct plan_impact *impact = add_impact(planner, IMPACT_WARNING, "overwrites", &change->key);
    impact->text =
        arena_printf(planner->arena,
                     change->entry == NULL
                         ? "%s %s/%s was made by %s beside Git; from now on the repository owns it"
                         : "%s %s/%s was changed by %s beside Git; that change is lost",
                     object_kind_name(change->key.kind), change->key.namespace, change->key.name,
                     change->overwrites);
}

bool planner_find_impact(struct planner *planner, struct error *err)
{
    size_t count = planner->plan->changes.count;
    for (size_t i = 0; i < count; i++) {
        const struct plan_change *change = &planner->plan->changes.items[i];
        warn_overwrite(planner, change);
        bool is_deleted = change->action == PLAN_DELETE || change->action == PLAN_FORGET;
        bool is_updated = change->action == PLAN_UPDATE && change->key.kind == OBJECT_FLOW;
        if (!is_deleted && !is_updated)
            continue;
        struct referrer *referrers = NULL;
        size_t referrers_count = 0;
        if (!referrers_load(planner->target, planner->arena, &change->key, &referrers,
                            &referrers_count, err))
            return false;
        if (is_deleted) {
            warn_deleted(planner, change, referrers, referrers_count);
        } else {
            warn_disabled(planner, change, referrers, referrers_count);
            warn_inputs(planner, change, referrers, referrers_count);
            note_followers(planner, change, referrers, referrers_count);
        }
    }
    return true;
}
