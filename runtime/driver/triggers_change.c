/* SPDX-License-Identifier: Apache-2.0 */
/* Triggers as flows are saved, and operations on them (flow-language.md 5.2, 5.7). */
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/driver/triggers_internal.h"

/* ---- saving flows ---- */

/*
 * A date that has come and was not executed yet, because this turn, or a long time without service,
 * is still to be looked through; 0 none. The update that is saved now came after it.
 */
static usec_t date_due(const struct driver *driver, const struct trigger_state *state)
{
    bool is_due = state->kind == TRIGGER_SCHEDULE && state->backfill.start == 0 &&
                  trigger_wake_at(state) <= driver->now;
    return is_due ? state->next_at : 0;
}

static void save_one(struct driver *driver,
                     const struct flow_change *change,
                     const struct trigger_change *trigger,
                     struct trigger_state *state,
                     int64_t revision)
{
    bool is_new = state->key == 0;
    usec_t due = is_new ? 0 : date_due(driver, state);
    struct arena *arena = driver->arena;
    if (is_new)
        state->key = ++driver->numbers.trigger;
    state->namespace = arena_strdup(arena, change->namespace);
    state->flow_id = arena_strdup(arena, change->id);
    state->trigger_id = arena_strdup(arena, trigger->id);
    state->kind = trigger->kind;
    state->type = arena_strdup(arena, trigger->type);
    state->spec = arena_strdup(arena, trigger->spec);
    state->stop_after = arena_strdup(arena, trigger->stop_after);
    state->revision = revision;
    state->is_off = trigger->is_off || change->disabled;
    state->allow_concurrent = trigger->allow_concurrent;
    state->evaluating_at = 0;
    struct spec_entry *spec = trigger->spec == NULL ? NULL : spec_use(driver, trigger->spec, NULL);
    if (spec != NULL) {
        // Conditions are looked at once the flow is stored, see triggers_refine().
        trigger_register(state, &spec->spec, NULL, driver->now);
        if (due != 0 && state->kind == TRIGGER_SCHEDULE && trigger_is_active(state))
            state->next_at = due;
        else if (spec->spec.has_conditions && state->next_at != 0)
            *VEC_PUSH(&driver->refines) = state->key;
        spec_leave(driver, spec);
    } else {
        state->next_at = 0;
        state->updated_at = driver->now;
    }
    trigger_state_save(driver, state, false);
}

void triggers_save(struct driver *driver, const struct flow_change *change, int64_t revision)
{
    const char *namespaces[] = { change->namespace };
    const char *flows[] = { change->id };
    struct filter filters[] = {
        { .field = FIELD_NAMESPACE, .match = MATCH_EQUAL, .values = namespaces, .values_count = 1 },
        { .field = FIELD_FLOW, .match = MATCH_EQUAL, .values = flows, .values_count = 1 },
    };
    struct query query = {
        .filters = filters, .filters_count = 2, .sort = FIELD_COUNT, .limit = SIZE_MAX / 2
    };
    struct trigger_state *found = NULL;
    size_t count = 0;
    // A flow that was never stored has none: most of a first deployment.
    if (revision > 1) {
        struct error err = { 0 };
        if (!driver->reader->ops->trigger_search(driver->reader, driver->arena, &query, &found,
                                                 &count, NULL, &err)) {
            log_error("the triggers of a flow cannot be read", LOG_STR("flow", change->id),
                      LOG_ERR(&err));
            return;
        }
    }
    size_t wanted = change->is_delete ? 0 : change->triggers_count;
    for (size_t i = 0; i < count; i++) {
        bool stays = false;
        for (size_t k = 0; k < wanted; k++)
            stays |= str_eq(found[i].trigger_id, change->triggers[k].id);
        if (!stays)
            trigger_state_drop(driver, &found[i]);
    }
    for (size_t k = 0; k < wanted; k++) {
        struct trigger_state *state = NULL;
        for (size_t i = 0; i < count; i++)
            if (str_eq(found[i].trigger_id, change->triggers[k].id))
                state = trigger_state_newest(driver, &found[i]);
        if (state == NULL)
            state = ARENA_NEW(driver->arena, struct trigger_state);
        save_one(driver, change, &change->triggers[k], state, revision);
    }
}

void triggers_refine(struct driver *driver)
{
    for (size_t i = 0; i < driver->refines.count; i++) {
        struct trigger_state *state = trigger_state_load(driver, driver->refines.items[i], NULL);
        struct scheduled *entry = state == NULL ? NULL : scheduled_find(driver, state->key);
        if (entry == NULL || entry->spec == NULL || state->next_at == 0)
            continue;
        struct date_context context;
        struct date_test test = trigger_date_test(driver, &context, state, &entry->spec->spec);
        usec_t next = schedule_find(&entry->spec->spec, &test, state->date);
        next = next == USEC_NEVER ? 0 : next;
        if (next != state->next_at) {
            state->next_at = next;
            trigger_state_save(driver, state, false);
        }
        arena_reset(driver->scratch);
    }
    driver->refines.count = 0;
}

/* ---- operations ---- */

static bool unlock(struct trigger_state *state, struct error *err)
{
    if (state->execution_id == NULL && state->evaluating_at == 0)
        return error_set(err, ERR_CONFLICT, "trigger '%s' is not locked", state->trigger_id);
    state->execution_id = NULL;
    state->evaluating_at = 0;
    state->worker_id = NULL;
    return true;
}

static bool has_backfill(const struct trigger_state *state, struct error *err)
{
    return state->backfill.start != 0 || error_set(err, ERR_CONFLICT, "No backfill found");
}

static struct backfill copy_backfill(struct arena *arena, const struct backfill *backfill)
{
    struct backfill copy = *backfill;
    copy.inputs = arena_strdup(arena, backfill->inputs);
    copy.labels = arena_strdup(arena, backfill->labels);
    return copy;
}

static bool operate(struct driver *driver,
                    const struct trigger_request *wanted,
                    struct trigger_state *state,
                    const struct spec *spec,
                    const struct date_test *test,
                    struct error *err)
{
    switch (wanted->operation) {
    case TRIGGER_SET_DISABLED:
        trigger_set_disabled(state, spec, test, wanted->disabled, driver->now);
        return true;
    case TRIGGER_UNLOCK:
        return unlock(state, err);
    case TRIGGER_RESTART:
    case TRIGGER_REMOVE: // forgets everything but the definition
        state->execution_id = NULL;
        state->evaluating_at = 0;
        state->worker_id = NULL;
        if (wanted->operation == TRIGGER_REMOVE)
            state->disabled = false;
        trigger_register(state, spec, test, driver->now);
        return true;
    case TRIGGER_BACKFILL: {
        struct backfill backfill = copy_backfill(driver->arena, &wanted->backfill);
        return trigger_backfill(state, spec, test, &backfill, driver->now, err);
    }
    case TRIGGER_BACKFILL_PAUSE:
    case TRIGGER_BACKFILL_UNPAUSE:
        if (!has_backfill(state, err))
            return false;
        state->backfill.paused = wanted->operation == TRIGGER_BACKFILL_PAUSE;
        return true;
    case TRIGGER_BACKFILL_REMOVE:
        if (!has_backfill(state, err))
            return false;
        trigger_backfill_end(state, spec, test, trigger_fallback(driver), driver->now);
        return true;
    }
    return true;
}

struct trigger_state trigger_state_copy(struct arena *arena, const struct trigger_state *state)
{
    struct trigger_state copy = *state;
    copy.namespace = arena_strdup(arena, state->namespace);
    copy.flow_id = arena_strdup(arena, state->flow_id);
    copy.trigger_id = arena_strdup(arena, state->trigger_id);
    copy.type = arena_strdup(arena, state->type);
    copy.spec = arena_strdup(arena, state->spec);
    copy.worker_id = arena_strdup(arena, state->worker_id);
    copy.execution_id = arena_strdup(arena, state->execution_id);
    copy.stop_after = arena_strdup(arena, state->stop_after);
    copy.backfill = copy_backfill(arena, &state->backfill);
    return copy;
}

void triggers_request(struct driver *driver, struct driver_request *request)
{
    struct trigger_request *wanted = &request->trigger;
    struct error err = { 0 };
    struct trigger_state *state =
        trigger_state_find(driver, wanted->namespace, wanted->flow_id, wanted->trigger_id, &err);
    struct spec_entry *entry = NULL;
    if (state != NULL && state->spec != NULL)
        entry = spec_use(driver, state->spec, &err);
    else if (state != NULL)
        error_set(&err, ERR_CONFLICT, "trigger '%s' cannot be scheduled", wanted->trigger_id);
    bool ok = false;
    if (entry != NULL) {
        struct date_context context;
        struct date_test test = trigger_date_test(driver, &context, state, &entry->spec);
        struct trigger_state *changed = ARENA_NEW(driver->arena, struct trigger_state);
        *changed = *state;
        ok = operate(driver, wanted, changed, &entry->spec, &test, &err);
        if (ok) {
            changed->updated_at = driver->now;
            trigger_state_save(driver, changed, false);
            wanted->state = trigger_state_copy(request->arena, changed);
        }
        spec_leave(driver, entry);
        arena_reset(driver->scratch);
    }
    driver_answer(driver, request, ok ? NULL : &err);
}
