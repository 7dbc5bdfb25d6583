/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schedules and polling triggers: registering, firing, locking (flow-language.md 5.1–5.7).
 *
 * States live in the store. A state that this turn has changed is in driver->states until the
 * commit, so that whoever looks again in the same turn sees it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/json.h"
#include "core/labels.h"
#include "core/tz.h"
#include "core/value.h"
#include "runtime/driver/triggers_internal.h"
#include "runtime/triggers/condition.h"

/* Triggers read at once at the start. */
#define TRIGGERS_PAGE 5000U

/* With more, the next date of all is looked for now and then, not after each that fired. */
#define FEW 1000U

#define SCHEDULE_TYPE "io.kestra.plugin.core.trigger.Schedule"
#define DATES_TYPE    "io.kestra.plugin.core.trigger.ScheduleOnDates"

/* ---- specs, shared ---- */

struct spec_entry *spec_use(struct driver *driver, const char *text, struct error *err)
{
    struct spec_entry *entry = map_find(&driver->specs, text);
    if (entry == NULL) {
        struct arena *arena = arena_new_sized(512);
        struct spec spec;
        if (!spec_parse(arena, text, &spec, err)) {
            arena_free(arena);
            return NULL;
        }
        entry = ARENA_NEW(arena, struct spec_entry);
        entry->arena = arena;
        entry->spec = spec;
        entry->text = arena_strdup(arena, text);
        map_put(&driver->specs, text, entry);
    }
    entry->users++;
    return entry;
}

void spec_leave(struct driver *driver, struct spec_entry *entry)
{
    if (entry == NULL || --entry->users > 0)
        return;
    map_remove(&driver->specs, entry->text);
    arena_free(entry->arena);
}

static const char *intern(struct driver *driver, const char *namespace)
{
    char *known = map_find(&driver->namespaces, namespace);
    if (known == NULL) {
        known = check_strdup(namespace);
        map_put(&driver->namespaces, namespace, known);
    }
    return known;
}

/* ---- entries, sorted by key: new keys go to the end ---- */

static size_t entry_at(const struct driver *driver, int64_t key)
{
    size_t low = 0;
    size_t high = driver->scheduled_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (driver->scheduled[middle]->key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct scheduled *scheduled_find(const struct driver *driver, int64_t key)
{
    size_t at = entry_at(driver, key);
    bool found = at < driver->scheduled_count && driver->scheduled[at]->key == key;
    return found ? driver->scheduled[at] : NULL;
}

static void entry_free(struct driver *driver, struct scheduled *entry)
{
    wheel_cancel(driver->wheel, &entry->timer);
    spec_leave(driver, entry->spec);
    free(entry->names);
    free(entry);
}

static usec_t entry_due(const struct scheduled *entry)
{
    return wheel_is_set(&entry->timer) ? entry->timer.due : USEC_NEVER;
}

void triggers_find_next(struct driver *driver)
{
    usec_t next = USEC_NEVER;
    for (size_t i = 0; i < driver->scheduled_count; i++) {
        usec_t due = entry_due(driver->scheduled[i]);
        if (due < next)
            next = due;
    }
    atomic_store_explicit(&driver->next_fire, next, memory_order_relaxed);
}

/* A trigger's due time was `was` and is `is`: keeps the earliest of all, which is searched anew
 * only where that is cheap; housekeeping does it for the rest. */
static void fire_moved(struct driver *driver, usec_t was, usec_t is)
{
    usec_t next = atomic_load_explicit(&driver->next_fire, memory_order_relaxed);
    if (is <= next)
        atomic_store_explicit(&driver->next_fire, is, memory_order_relaxed);
    else if (was <= next && driver->scheduled_count <= FEW)
        triggers_find_next(driver);
}

void scheduled_remove(struct driver *driver, int64_t key)
{
    size_t at = entry_at(driver, key);
    if (at == driver->scheduled_count || driver->scheduled[at]->key != key)
        return;
    usec_t was = entry_due(driver->scheduled[at]);
    entry_free(driver, driver->scheduled[at]);
    driver->scheduled_count--;
    memmove(driver->scheduled + at, driver->scheduled + at + 1,
            (driver->scheduled_count - at) * sizeof(*driver->scheduled));
    fire_moved(driver, was, USEC_NEVER);
}

static char *entry_names(const char *flow_id, const char *trigger_id)
{
    size_t first = strlen(flow_id) + 1;
    size_t second = strlen(trigger_id) + 1;
    char *names = check_malloc(first + second);
    memcpy(names, flow_id, first);
    memcpy(names + first, trigger_id, second);
    return names;
}

static struct scheduled *entry_add(struct driver *driver, const struct trigger_state *state)
{
    if (driver->scheduled_count == driver->scheduled_capacity) {
        driver->scheduled_capacity =
            driver->scheduled_capacity == 0 ? 64 : driver->scheduled_capacity * 2;
        driver->scheduled = check_realloc(driver->scheduled,
                                          driver->scheduled_capacity * sizeof(*driver->scheduled));
    }
    struct scheduled *entry = check_calloc(1, sizeof(*entry));
    entry->owner = TIMER_OF_TRIGGER;
    entry->key = state->key;
    entry->namespace = intern(driver, state->namespace);
    entry->names = entry_names(state->flow_id, state->trigger_id);
    size_t at = entry_at(driver, state->key);
    memmove(driver->scheduled + at + 1, driver->scheduled + at,
            (driver->scheduled_count - at) * sizeof(*driver->scheduled));
    driver->scheduled[at] = entry;
    driver->scheduled_count++;
    return entry;
}

/* Can it fire from what the entry holds? */
static bool is_plain(const struct trigger_state *state, const struct spec *spec)
{
    return (spec->kind == SPEC_CRON || spec->kind == SPEC_DATES) && !spec->has_conditions &&
           state->backfill.start == 0 && state->stop_after == NULL && spec->late == 0;
}

/*
 * Brings memory in line with a state: wheel, spec, what can fire without its row. Flow triggers go
 * to the observers; webhooks need nothing.
 */
static void arm(struct driver *driver, const struct trigger_state *state)
{
    if (state->kind == TRIGGER_FLOW) {
        observers_put(driver, state);
        return;
    }
    if (state->kind != TRIGGER_SCHEDULE && state->kind != TRIGGER_POLLING)
        return;
    struct scheduled *entry = scheduled_find(driver, state->key);
    if (entry == NULL)
        entry = entry_add(driver, state);
    if (entry->spec == NULL || !str_eq(entry->spec->text, state->spec)) {
        struct error err = { 0 };
        struct spec_entry *spec = state->spec == NULL ? NULL : spec_use(driver, state->spec, &err);
        spec_leave(driver, entry->spec);
        entry->spec = spec;
        if (spec == NULL && state->spec != NULL)
            log_error("a trigger cannot be scheduled", LOG_STR("flow", state->flow_id),
                      LOG_STR("trigger", state->trigger_id), LOG_ERR(&err));
    }
    if (entry->spec == NULL) {
        wheel_cancel(driver->wheel, &entry->timer);
        return;
    }
    entry->is_plain = is_plain(state, &entry->spec->spec);
    entry->allow_concurrent = state->allow_concurrent;
    entry->revision = (int32_t)state->revision;
    usec_t was = entry_due(entry);
    usec_t at = trigger_wake_at(state);
    if (at == USEC_NEVER)
        wheel_cancel(driver->wheel, &entry->timer);
    else
        wheel_set(driver->wheel, &entry->timer, at);
    atomic_store_explicit(&driver->count_triggers, driver->scheduled_count, memory_order_relaxed);
    fire_moved(driver, was, at);
}

/* ---- states ---- */

static void *key_bytes(const int64_t *key)
{
    return (void *)(uintptr_t)key;
}

struct trigger_state *trigger_state_load(struct driver *driver, int64_t key, struct error *err)
{
    struct trigger_state *state = map_find_bytes(&driver->states, key_bytes(&key), sizeof(key));
    if (state != NULL)
        return state;
    state = ARENA_NEW(driver->arena, struct trigger_state);
    return driver->reader->ops->trigger_by_key(driver->reader, driver->arena, key, state, err)
               ? state
               : NULL;
}

struct trigger_state *trigger_state_find(struct driver *driver,
                                         const char *namespace,
                                         const char *flow_id,
                                         const char *trigger_id,
                                         struct error *err)
{
    struct trigger_state *state = ARENA_NEW(driver->arena, struct trigger_state);
    if (!driver->reader->ops->trigger_get(driver->reader, driver->arena, namespace, flow_id,
                                          trigger_id, state, err))
        return NULL;
    struct trigger_state *newer =
        map_find_bytes(&driver->states, key_bytes(&state->key), sizeof(state->key));
    return newer != NULL ? newer : state;
}

struct trigger_state *trigger_state_newest(const struct driver *driver,
                                           struct trigger_state *stored)
{
    struct trigger_state *newer =
        map_find_bytes(&driver->states, key_bytes(&stored->key), sizeof(stored->key));
    return newer != NULL ? newer : stored;
}

void trigger_state_save(struct driver *driver, struct trigger_state *state, bool is_advance)
{
    map_put_bytes(&driver->states, key_bytes(&state->key), sizeof(state->key), state);
    *VEC_PUSH(&driver->commit.triggers) =
        (struct commit_trigger){ .row = *state, .is_advance = is_advance };
    arm(driver, state);
}

void trigger_state_drop(struct driver *driver, const struct trigger_state *state)
{
    *VEC_PUSH(&driver->commit.triggers) =
        (struct commit_trigger){ .row = *state, .is_removed = true };
    map_remove_bytes(&driver->states, key_bytes(&state->key), sizeof(state->key));
    scheduled_remove(driver, state->key);
    observers_remove(driver, state->key);
}

void triggers_committed(struct driver *driver)
{
    if (driver->states.count > 0)
        map_free(&driver->states);
}

/* ---- conditions on dates ---- */

/* In which dates are shown. */
static const struct tz *shown_in(const struct driver *driver, const struct spec *spec)
{
    const struct tz *tz = spec->names_zone ? spec->tz : tz_get(driver->config.zone, NULL);
    return tz == NULL ? tz_utc() : tz;
}

static char *format_date(struct arena *arena, const struct tz *tz, usec_t at)
{
    struct civil civil = civil_of(tz_local(tz, at));
    struct buf text = { 0 };
    time_write_date(&text, &civil);
    buf_putc(&text, 'T');
    time_write_time(&text, &civil, 0, true);
    time_write_offset(&text, tz_offset(tz, at));
    char *copy = buf_dup(&text, arena);
    buf_free(&text);
    return copy;
}

/* {flow, trigger, schedule, vars, labels, envs, globals, kestra}: before there is an execution. */
static const struct value *trigger_context(struct driver *driver,
                                           const struct flow *flow,
                                           const struct value *variables)
{
    struct arena *arena = driver->scratch;
    struct value_builder names = value_build(arena);
    value_put_text(&names, "id", flow->id);
    value_put_text(&names, "namespace", flow->namespace);
    value_put_int(&names, "revision", flow->revision);
    value_put_text(&names, "tenantId", "main");
    struct value_builder labels = value_build(arena);
    for (size_t i = 0; i < flow->labels_count; i++)
        value_put_text(&labels, flow->labels[i].key, flow->labels[i].value);
    const struct engine_world *world = driver->config.world;
    struct value_builder context = value_build(arena);
    value_put(&context, "flow", value_build_map(&names));
    value_put(&context, "trigger", variables);
    value_put(&context, "schedule", variables);
    value_put(&context, "vars", flow->variables);
    value_put(&context, "labels", value_build_map(&labels));
    if (world->envs != NULL)
        value_put(&context, "envs", world->envs);
    if (world->globals != NULL)
        value_put(&context, "globals", world->globals);
    if (world->kestra != NULL)
        value_put(&context, "kestra", world->kestra);
    return value_build_map(&context);
}

/*
 * Do the conditions and `when` of a trigger hold in a context? tz and span are NULL unless it is
 * asked for how long.
 */
static enum date_answer trigger_holds(struct driver *driver,
                                      const struct flow *flow,
                                      const struct trigger *trigger,
                                      const struct value *context,
                                      const struct tz *tz,
                                      struct condition_span *span,
                                      struct error *err)
{
    struct expr_env env = create_env(driver, context, flow->cache);
    struct condition_env conditions = {
        .plugins = driver->config.plugins,
        .expr = &env,
        .namespace = flow->namespace,
        .flow_id = flow->id,
        .scratch = driver->scratch,
        .tz = tz,
        .span = condition_span_all(),
    };
    bool holds = true;
    if (!conditions_hold(trigger->conditions, &conditions, &holds, err))
        return DATE_FAILS;
    if (span != NULL)
        *span = conditions.span;
    if (!holds || trigger->when == NULL)
        return holds ? DATE_YES : DATE_NO;
    if (span != NULL)
        span->varies = true;
    bool ok = true;
    holds = expr_render_truth(&env, trigger->when, &ok, err);
    if (!ok)
        return DATE_FAILS;
    return holds ? DATE_YES : DATE_NO;
}

static enum date_answer date_holds(void *data, usec_t date, struct date_span *same)
{
    struct date_context *context = data;
    struct driver *driver = context->driver;
    struct arena_mark mark = arena_mark(driver->scratch);
    struct value_builder variables = value_build(driver->scratch);
    const struct tz *tz = shown_in(driver, context->spec);
    value_put_text(&variables, "date", format_date(driver->scratch, tz, date));
    const struct value *seen = trigger_context(driver, context->flow, value_build_map(&variables));
    struct error err = { 0 };
    struct condition_span span = { .varies = true };
    enum date_answer answer =
        trigger_holds(driver, context->flow, context->trigger, seen, tz, &span, &err);
    if (answer == DATE_FAILS)
        context->failure = err;
    else if (!span.varies)
        *same = (struct date_span){ .since = span.since, .until = span.until };
    arena_rewind(driver->scratch, mark);
    return answer;
}

struct date_test trigger_date_test(struct driver *driver,
                                   struct date_context *context,
                                   const struct trigger_state *state,
                                   const struct spec *spec)
{
    *context = (struct date_context){ .driver = driver, .spec = spec };
    if (!spec->has_conditions)
        return (struct date_test){ 0 };
    context->flow = flows_get(driver, state->namespace, state->flow_id, 0, NULL);
    if (context->flow != NULL)
        context->trigger = flow_find_trigger(context->flow, state->trigger_id);
    if (context->trigger == NULL)
        return (struct date_test){ 0 };
    return (struct date_test){ .holds = date_holds, .data = context };
}

enum recover_missed trigger_fallback(const struct driver *driver)
{
    return driver->config.recover_missed;
}

/* ---- starting executions ---- */

bool trigger_labels(struct driver *driver,
                    const struct trigger *trigger,
                    struct expr_env *env,
                    const struct value *more,
                    const char *correlation,
                    struct creation *creation,
                    struct error *err)
{
    struct arena *arena = driver->arena;
    const struct value *own = &value_empty_map;
    if (trigger->labels != NULL) {
        own = expr_render_tree(env, arena, trigger->labels, err);
        if (own == NULL)
            return false;
    }
    size_t own_count = 0;
    size_t more_count = 0;
    const struct label *first = labels_of(arena, own, &own_count);
    const struct label *second = labels_of(arena, more, &more_count);
    struct label *labels = ARENA_ARRAY(arena, own_count + more_count + 2, struct label);
    size_t count = 0;
    for (size_t i = 0; i < own_count; i++)
        if (!str_starts(first[i].key, "system."))
            labels[count++] = first[i];
    for (size_t i = 0; i < more_count; i++)
        if (!str_starts(second[i].key, "system."))
            labels[count++] = second[i];
    labels[count++] = (struct label){ "system.from", "trigger" };
    if (correlation != NULL)
        labels[count++] = (struct label){ "system.correlationId", correlation };
    creation->labels = labels;
    creation->labels_count = count;
    return true;
}

/* Inputs of the trigger, rendered, under those of a backfill. */
static const struct value *trigger_inputs(struct driver *driver,
                                          const struct trigger *trigger,
                                          struct expr_env *env,
                                          const char *more,
                                          struct error *err)
{
    struct arena *arena = driver->arena;
    const struct value *inputs = &value_empty_map;
    if (trigger->inputs != NULL) {
        inputs = expr_render_tree(env, arena, trigger->inputs, err);
        if (inputs == NULL)
            return NULL;
    }
    if (more == NULL)
        return inputs;
    const struct value *over = json_parse(arena, more, strlen(more), err);
    return over == NULL ? NULL : value_merge(arena, inputs, over, false);
}

/*
 * Creates the execution; what cannot be rendered or resolved makes it FAILED, so that the mistake
 * is seen. backfill: that the fire belongs to; fire and backfill are NULL for polling triggers.
 * NULL: the flow does not allow it at all.
 */
static struct live *start(struct driver *driver,
                          const struct trigger_state *state,
                          const struct value *variables,
                          const char *failure,
                          const struct fire *fire,
                          const struct backfill *backfill)
{
    struct error err = { 0 };
    const struct flow *flow = flows_get(driver, state->namespace, state->flow_id, 0, &err);
    const struct trigger *trigger =
        flow == NULL ? NULL : flow_find_trigger(flow, state->trigger_id);
    if (trigger == NULL)
        return NULL;
    struct creation creation = {
        .namespace = flow->namespace,
        .flow_id = flow->id,
        .revision = flow->revision,
        .trigger_id = trigger->id,
        .trigger_type = state->type,
        .trigger_variables = variables,
        .is_failed = failure != NULL,
        .message = failure,
    };
    if (fire != NULL) {
        creation.fire_trigger = state->key;
        creation.fire_at = fire->date;
        creation.fire_backfill = fire->is_backfill ? fire->backfill_id : 0;
    }
    const char *more_inputs = fire != NULL && fire->is_backfill ? backfill->inputs : NULL;
    const char *more_labels = fire != NULL && fire->is_backfill ? backfill->labels : NULL;
    const struct value *context = trigger_context(driver, flow, variables);
    struct expr_env env = create_env(driver, context, flow->cache);
    const struct value *labels =
        more_labels == NULL ? NULL
                            : json_parse(driver->arena, more_labels, strlen(more_labels), NULL);
    bool ok = trigger_labels(driver, trigger, &env, labels, NULL, &creation, &err);
    if (ok && failure == NULL) {
        creation.given = trigger_inputs(driver, trigger, &env, more_inputs, &err);
        ok = creation.given != NULL;
    }
    struct live *live = ok ? create_execution(driver, &creation, &err) : NULL;
    if (live != NULL || err.code == ERR_CONFLICT || err.code == ERR_NOT_FOUND)
        return live;
    creation.is_failed = true;
    creation.message = arena_strdup(driver->arena, err.text);
    if (!ok)
        (void)trigger_labels(driver, &(struct trigger){ 0 }, &env, labels, NULL, &creation, &err);
    return create_execution(driver, &creation, &err);
}

/* {date, next, previous} of an occurrence. */
static const struct value *date_variables(struct driver *driver,
                                          const struct spec *spec,
                                          const struct date_test *test,
                                          usec_t date)
{
    struct arena *arena = driver->arena;
    usec_t next = USEC_NEVER;
    usec_t previous = -USEC_NEVER;
    schedule_neighbours(spec, test, date, &next, &previous);
    struct value_builder builder = value_build(arena);
    const struct tz *tz = shown_in(driver, spec);
    value_put_text(&builder, "date", format_date(arena, tz, date));
    if (next != USEC_NEVER)
        value_put_text(&builder, "next", format_date(arena, tz, next));
    if (previous != -USEC_NEVER)
        value_put_text(&builder, "previous", format_date(arena, tz, previous));
    return value_build_map(&builder);
}

static void lock(struct driver *driver, struct trigger_state *state, const struct live *live)
{
    if (!state->allow_concurrent && !live->execution->fully_ended)
        state->execution_id = arena_strdup(driver->arena, live->execution->id.text);
}

/* ---- firing ---- */

/* The state of a plain entry, without looking into the store. */
static struct trigger_state *plain_state(struct driver *driver, const struct scheduled *entry)
{
    struct trigger_state *state =
        map_find_bytes(&driver->states, key_bytes(&entry->key), sizeof(entry->key));
    if (state != NULL)
        return state;
    state = ARENA_NEW(driver->arena, struct trigger_state);
    *state = (struct trigger_state){
        .key = entry->key,
        .namespace = entry->namespace,
        .flow_id = entry->names,
        .trigger_id = entry->names + strlen(entry->names) + 1,
        .kind = TRIGGER_SCHEDULE,
        .type = entry->spec->spec.kind == SPEC_CRON ? SCHEDULE_TYPE : DATES_TYPE,
        .spec = entry->spec->text,
        .revision = entry->revision,
        .next_at = entry->timer.due,
        .allow_concurrent = entry->allow_concurrent,
    };
    return state;
}

/* Orders the evaluation of a polling trigger; goes out after the commit. */
static void order_poll(struct driver *driver, const struct trigger_state *state)
{
    const struct flow *flow = flows_get(driver, state->namespace, state->flow_id, 0, NULL);
    const struct trigger *trigger =
        flow == NULL ? NULL : flow_find_trigger(flow, state->trigger_id);
    if (trigger == NULL || trigger->type == NULL)
        return;
    struct arena *arena = arena_new_sized(1024);
    struct order *order = ARENA_NEW(arena, struct order);
    order->arena = arena;
    order->type = ORDER_TRIGGER;
    order->namespace = arena_strdup(arena, flow->namespace);
    order->flow_id = arena_strdup(arena, flow->id);
    order->flow_revision = flow->revision;
    order->iteration = -1;
    order->plugin = trigger->type;
    order->props = value_copy(arena, trigger->doc);
    order->context = value_copy(arena, trigger_context(driver, flow, &value_empty_map));
    order->trigger_id = arena_strdup(arena, trigger->id);
    order->trigger = state->key;
    order->evaluating_since = state->evaluating_at;
    order->log_level = LOG_TRACE;
    *VEC_PUSH(&driver->effects) = (struct effect){ .order = order };
}

static void fire(struct driver *driver, struct trigger_state *state, const struct spec *spec)
{
    struct date_context context;
    struct date_test test = trigger_date_test(driver, &context, state, spec);
    // its last date ends the backfill, and still carries its inputs and labels
    const struct backfill backfill = state->backfill;
    struct fire fired = trigger_fire(state, spec, &test, trigger_fallback(driver), driver->now);
    if (fired.kind == FIRE_POLL) {
        state->worker_id = driver->config.name;
        order_poll(driver, state);
        return;
    }
    if (fired.kind != FIRE_EXECUTION && fired.kind != FIRE_FAILED)
        return;
    const struct value *variables = date_variables(driver, spec, &test, fired.date);
    const char *failure =
        fired.kind == FIRE_FAILED ? arena_strdup(driver->arena, context.failure.text) : NULL;
    const struct live *live = start(driver, state, variables, failure, &fired, &backfill);
    if (live != NULL)
        lock(driver, state, live);
}

static void stop_entry(struct driver *driver, struct scheduled *entry, const struct error *err)
{
    log_error("the state of a trigger cannot be read", LOG_STR("flow", entry->names),
              LOG_INT("key", entry->key), LOG_ERR(err));
    if (err->code == ERR_NOT_FOUND)
        scheduled_remove(driver, entry->key);
    else
        wheel_set(driver->wheel, &entry->timer, driver->now + USEC_SEC);
}

void trigger_due(struct driver *driver, struct wheel_timer *timer)
{
    struct scheduled *entry = LIST_OWNER(timer, struct scheduled, timer);
    struct error err = { 0 };
    bool plain = entry->is_plain;
    struct trigger_state *state =
        plain ? plain_state(driver, entry) : trigger_state_load(driver, entry->key, &err);
    if (state == NULL) {
        stop_entry(driver, entry, &err);
        return;
    }
    if (trigger_wake_at(state) > driver->now) { // changed in this turn
        arm(driver, state);
        return;
    }
    // Saved first: an execution that ends within this very step releases the lock again.
    map_put_bytes(&driver->states, key_bytes(&state->key), sizeof(state->key), state);
    fire(driver, state, &entry->spec->spec);
    trigger_state_save(driver, state, plain);
    arena_reset(driver->scratch);
    if (driver->scheduled_count <= FEW && driver->now >= driver->next_fire)
        triggers_find_next(driver);
}

/* ---- the end of an execution ---- */

static bool stops_after(struct driver *driver, const struct trigger_state *state, enum state ended)
{
    if (state->stop_after == NULL)
        return false;
    const struct value *list =
        json_parse(driver->arena, state->stop_after, strlen(state->stop_after), NULL);
    for (size_t i = 0; i < value_count(list); i++) {
        enum state listed = STATE_COUNT;
        const char *name = value_cstr(value_item(list, i));
        if (name != NULL && state_parse(name, &listed) && listed == ended)
            return true;
    }
    return false;
}

static enum trigger_kind kind_of(const struct driver *driver, const char *type)
{
    const struct plugin *plugin = type == NULL ? NULL : plugin_find(driver->config.plugins, type);
    return plugin == NULL || plugin->role != PLUGIN_TRIGGER ? TRIGGER_NONE : plugin->trigger_kind;
}

void triggers_execution_ended(struct driver *driver, const struct live *live)
{
    const struct execution *execution = live->execution;
    enum trigger_kind kind = kind_of(driver, execution->trigger_type);
    if (kind != TRIGGER_SCHEDULE && kind != TRIGGER_POLLING)
        return;
    struct trigger_state *state =
        live->fire_trigger != 0
            ? trigger_state_load(driver, live->fire_trigger, NULL)
            : trigger_state_find(driver, execution->namespace, execution->flow_id,
                                 execution->trigger_id, NULL);
    if (state == NULL)
        return; // the trigger is gone
    bool holds = str_eq(state->execution_id, execution->id.text);
    // It may end within the step that creates it, before it has the lock; a replay never had it.
    bool is_first =
        state->execution_id == NULL &&
        (live->fire_trigger != 0 || (kind == TRIGGER_POLLING && execution->parent_id == NULL));
    bool stops = (holds || is_first || state->allow_concurrent) &&
                 stops_after(driver, state, execution->state.current);
    if (!holds && !stops)
        return;
    struct error err = { 0 };
    struct spec_entry *entry = state->spec == NULL ? NULL : spec_use(driver, state->spec, &err);
    if (entry == NULL)
        return;
    struct date_context context;
    struct date_test test = trigger_date_test(driver, &context, state, &entry->spec);
    trigger_release(state, &entry->spec, &test, trigger_fallback(driver), stops, driver->now);
    trigger_state_save(driver, state, false);
    spec_leave(driver, entry);
}

/* ---- answers of polling triggers ---- */

static void log_evaluation(struct driver *driver,
                           const struct trigger_state *state,
                           const char *text)
{
    struct log_line line = {
        .source = { .namespace = state->namespace,
                    .flow_id = state->flow_id,
                    .trigger_id = state->trigger_id },
        .at = driver->now,
        .level = LOG_WARN,
        .message = text,
        .length = strlen(text),
    };
    if (driver->config.logs != NULL)
        logstore_publish(driver->config.logs, &line);
    struct log_block block = { 0 };
    struct buf body = { 0 };
    log_block_add(&block, &line);
    struct log_row *row = VEC_PUSH(&driver->commit.logs);
    *row = (struct log_row){
        .namespace = state->namespace,
        .flow_id = state->flow_id,
        .trigger_id = state->trigger_id,
        .file_at = -1,
    };
    log_block_finish(&block, &body, row);
    row->body = (struct bytes){ arena_memdup(driver->arena, body.bytes, body.length), body.length };
    buf_free(&body);
    log_block_free(&block);
}

void triggers_answer(struct driver *driver, const struct message *message)
{
    struct trigger_state *state = trigger_state_load(driver, message->trigger, NULL);
    if (state == NULL || state->evaluating_at == 0 ||
        state->evaluating_at != message->evaluating_since)
        return; // late news
    struct scheduled *entry = scheduled_find(driver, state->key);
    if (entry == NULL || entry->spec == NULL)
        return;
    struct error err = { 0 };
    const struct flow *flow = flows_get(driver, state->namespace, state->flow_id, 0, &err);
    const struct trigger *trigger =
        flow == NULL ? NULL : flow_find_trigger(flow, state->trigger_id);
    trigger_polled(state, &entry->spec->spec, driver->now);
    const struct live *live = NULL;
    if (trigger != NULL && message->error != NULL) {
        log_evaluation(driver, state, arena_strdup(driver->arena, message->error->text));
        if (trigger->fail_on_trigger_error)
            live = start(driver, state, &value_empty_map,
                         arena_strdup(driver->arena, message->error->text), NULL, NULL);
    } else if (trigger != NULL && message->variables != NULL) {
        const struct value *variables = value_copy(driver->arena, message->variables);
        const struct value *context = trigger_context(driver, flow, variables);
        enum date_answer holds = trigger_holds(driver, flow, trigger, context, NULL, NULL, &err);
        if (holds == DATE_FAILS)
            log_evaluation(driver, state, arena_strdup(driver->arena, err.text));
        map_put_bytes(&driver->states, key_bytes(&state->key), sizeof(state->key), state);
        if (holds == DATE_YES)
            live = start(driver, state, variables, NULL, NULL, NULL);
    }
    if (live != NULL)
        lock(driver, state, live);
    trigger_state_save(driver, state, false);
    arena_reset(driver->scratch);
}

/* ---- starting, ending ---- */

/* A lock whose execution is gone or has ended is released (5.3). */
static bool lock_is_stale(struct driver *driver, const struct trigger_state *state)
{
    struct execution_row row;
    struct error err = { 0 };
    if (state->execution_id == NULL)
        return false;
    if (!driver->reader->ops->execution_get(driver->reader, driver->arena, state->execution_id,
                                            &row, &err))
        return err.code == ERR_NOT_FOUND;
    return row.live == LIVE_ENDED;
}

/* Missed dates follow the policy; evaluations that were under way are repeated. */
static void recover(struct driver *driver, const struct trigger_state *state)
{
    bool is_late = state->next_at != 0 && state->next_at < driver->now;
    bool is_stale = lock_is_stale(driver, state);
    if (state->spec == NULL || (!is_late && !is_stale && state->evaluating_at == 0)) {
        arm(driver, state);
        return;
    }
    struct spec_entry *entry = spec_use(driver, state->spec, NULL);
    if (entry == NULL) {
        arm(driver, state);
        return;
    }
    struct trigger_state *changed = ARENA_NEW(driver->arena, struct trigger_state);
    *changed = trigger_state_copy(driver->arena, state);
    if (is_stale)
        changed->execution_id = NULL;
    struct date_context context;
    struct date_test test = trigger_date_test(driver, &context, changed, &entry->spec);
    trigger_recover(changed, &entry->spec, &test, trigger_fallback(driver), driver->now);
    bool is_changed = is_stale || changed->next_at != state->next_at ||
                      changed->evaluating_at != state->evaluating_at;
    if (is_changed)
        trigger_state_save(driver, changed, false);
    else
        arm(driver, changed);
    spec_leave(driver, entry);
    arena_reset(driver->scratch);
}

bool triggers_load(struct driver *driver, struct error *err)
{
    int64_t after = 0;
    size_t count = TRIGGERS_PAGE;
    while (count == TRIGGERS_PAGE) {
        struct trigger_state *found = NULL;
        struct arena *arena = arena_new();
        bool ok = driver->reader->ops->trigger_all(driver->reader, arena, after, TRIGGERS_PAGE,
                                                   &found, &count, err);
        for (size_t i = 0; i < count && ok; i++) {
            after = found[i].key;
            recover(driver, &found[i]);
        }
        arena_free(arena);
        if (!ok)
            return false;
    }
    return true;
}

void triggers_free(struct driver *driver)
{
    for (size_t i = 0; i < driver->scheduled_count; i++)
        entry_free(driver, driver->scheduled[i]);
    free(driver->scheduled);
    observers_free(driver);
    map_free(&driver->states);
    VEC_FREE(&driver->refines);
    size_t at = 0;
    struct map_slot *slot;
    while ((slot = map_next(&driver->namespaces, &at)) != NULL)
        free(slot->value);
    map_free(&driver->namespaces);
    map_free(&driver->specs);
}
