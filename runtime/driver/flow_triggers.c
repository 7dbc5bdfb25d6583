/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flow triggers (flow-language.md 5.9, 5.10): who listens to whom, conditions, windows of
 * preconditions.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/regex.h"
#include "base/str.h"
#include "core/labels.h"
#include "core/value.h"
#include "runtime/driver/driver_internal.h"
#include "runtime/scheduler/window.h"
#include "runtime/triggers/condition.h"

/* ---- who listens ---- */

static void index_clear(struct driver *driver)
{
    size_t at = 0;
    struct map_slot *slot;
    while ((slot = map_next(&driver->observers_by_flow, &at)) != NULL) {
        observer_vec *list = slot->value;
        VEC_FREE(list);
        free(list);
    }
    map_free(&driver->observers_by_flow);
    VEC_FREE(&driver->observers_any);
    driver->observers_indexed = false;
}

static void observer_free(struct driver *driver, struct observer *observer)
{
    spec_leave(driver, observer->spec);
    free(observer->namespace);
    free(observer->flow_id);
    free(observer->trigger_id);
    free(observer);
}

void observers_remove(struct driver *driver, int64_t key)
{
    struct observer *observer = map_remove_bytes(&driver->observers, &key, sizeof(key));
    if (observer == NULL)
        return;
    index_clear(driver);
    observer_free(driver, observer);
}

void observers_put(struct driver *driver, const struct trigger_state *state)
{
    observers_remove(driver, state->key);
    struct spec_entry *spec = state->spec == NULL ? NULL : spec_use(driver, state->spec, NULL);
    if (spec == NULL)
        return;
    struct observer *observer = check_calloc(1, sizeof(*observer));
    observer->key = state->key;
    observer->spec = spec;
    observer->namespace = check_strdup(state->namespace);
    observer->flow_id = check_strdup(state->flow_id);
    observer->trigger_id = check_strdup(state->trigger_id);
    observer->is_off = state->is_off || state->disabled;
    int64_t key = state->key;
    map_put_bytes(&driver->observers, &key, sizeof(key), observer);
    index_clear(driver);
    if (spec->spec.misses && !observer->is_off)
        wheel_set(driver->wheel, &driver->windows, driver->now + 1); // behind the flow's commit
}

void observers_free(struct driver *driver)
{
    size_t at = 0;
    struct map_slot *slot;
    while ((slot = map_next(&driver->observers, &at)) != NULL)
        observer_free(driver, slot->value);
    map_free(&driver->observers);
    index_clear(driver);
    map_free(&driver->windows_open);
}

static void index_add(struct driver *driver, struct observer *observer)
{
    const struct spec *spec = &observer->spec->spec;
    bool is_literal = spec->flows_count > 0;
    for (size_t i = 0; i < spec->flows_count; i++)
        is_literal = is_literal && !str_ends(spec->flows[i], "/");
    if (!is_literal) {
        *VEC_PUSH(&driver->observers_any) = observer;
        return;
    }
    for (size_t i = 0; i < spec->flows_count; i++) {
        observer_vec *list = map_find(&driver->observers_by_flow, spec->flows[i]);
        if (list == NULL) {
            list = check_calloc(1, sizeof(*list));
            map_put(&driver->observers_by_flow, spec->flows[i], list);
        }
        if (list->count == 0 || list->items[list->count - 1] != observer)
            *VEC_PUSH(list) = observer;
    }
}

static int compare_keys(const void *a, const void *b)
{
    int64_t x = (*(struct observer *const *)a)->key;
    int64_t y = (*(struct observer *const *)b)->key;
    return x < y ? -1 : x > y;
}

/* In order of keys, so that the same history gives the same executions. */
static void index_make(struct driver *driver)
{
    if (driver->observers_indexed)
        return;
    observer_vec all = { 0 };
    size_t at = 0;
    struct map_slot *slot;
    while ((slot = map_next(&driver->observers, &at)) != NULL)
        *VEC_PUSH(&all) = slot->value;
    if (all.count > 1)
        qsort(all.items, all.count, sizeof(*all.items), compare_keys);
    for (size_t i = 0; i < all.count; i++)
        index_add(driver, all.items[i]);
    VEC_FREE(&all);
    driver->observers_indexed = true;
}

/* ---- one observation ---- */

/* An execution that changed its state, seen by one trigger. Everything is the turn's arena. */
struct observation {
    struct driver *driver;
    const struct observer *observer;
    struct arena *arena;
    const struct execution *execution;
    const char *state;
    const struct flow *flow; /* that listens */
    const struct trigger *trigger;
    struct condition_subject subject;
    const struct value *seen; /* context of the observed execution */
    const struct value *context;
    const struct value *outputs; /* trigger.outputs */
};

static const struct value *labels_map(struct arena *arena, const struct execution *execution)
{
    struct value_builder builder = value_build(arena);
    for (size_t i = 0; i < execution->labels.count; i++)
        value_put_text(&builder, execution->labels.items[i].key, execution->labels.items[i].value);
    return value_build_map(&builder);
}

static void fill_subject(struct observation *observation)
{
    const struct execution *execution = observation->execution;
    size_t attempts = 0;
    for (size_t i = 0; i < execution->runs.count; i++)
        attempts += execution->runs.items[i]->attempts.count;
    const char **names = ARENA_ARRAY(observation->arena, attempts + 1, const char *);
    size_t count = 0;
    for (size_t i = 0; i < execution->runs.count; i++) {
        const struct task_run *run = execution->runs.items[i];
        for (size_t k = 1; k < run->attempts.count; k++)
            names[count++] = states[run->attempts.items[k].state].name;
    }
    observation->subject = (struct condition_subject){
        .namespace = execution->namespace,
        .flow_id = execution->flow_id,
        .state = observation->state,
        .labels = execution->labels.items,
        .labels_count = execution->labels.count,
        .outputs = execution->outputs,
        .retry_states = names,
        .retry_states_count = count,
    };
}

static const struct value *date(struct arena *arena, usec_t at)
{
    return at == 0 ? NULL : value_instant(arena, at);
}

/* First failed and last task, for the newer variables. */
static void put_tasks(struct value_builder *builder, const struct execution *execution)
{
    const char *failed = NULL;
    for (size_t i = 0; i < execution->runs.count && failed == NULL; i++)
        if (execution->runs.items[i]->state.current == STATE_FAILED)
            failed = execution->runs.items[i]->task_id;
    value_put_text(builder, "firstFailedTaskId", failed);
    if (execution->runs.count > 0)
        value_put_text(builder, "lastTaskId",
                       execution->runs.items[execution->runs.count - 1]->task_id);
}

/* {executionId, …, outputs}: variables of the execution that is to be created. */
static const struct value *trigger_variables(const struct observation *observation)
{
    const struct execution *execution = observation->execution;
    struct arena *arena = observation->arena;
    struct value_builder builder = value_build(arena);
    value_put_text(&builder, "executionId", execution->id.text);
    const struct value *labels = value_get_in(arena, observation->seen, "labels", 6);
    if (labels != NULL)
        value_put(&builder, "executionLabels", value_copy(arena, labels));
    value_put_text(&builder, "namespace", execution->namespace);
    value_put_text(&builder, "flowId", execution->flow_id);
    value_put_int(&builder, "flowRevision", execution->flow_revision);
    value_put_text(&builder, "state", observation->state);
    const struct value *start = date(arena, state_started_at(&execution->state));
    const struct value *end = date(arena, state_ended_at(&execution->state));
    if (start != NULL)
        value_put(&builder, "startDate", start);
    if (end != NULL)
        value_put(&builder, "endDate", end);
    put_tasks(&builder, execution);
    if (observation->outputs != NULL)
        value_put(&builder, "outputs", observation->outputs);
    return value_build_map(&builder);
}

/* Both forms: by the flow's id, and flat. */
static const struct value *both_outputs(struct arena *arena,
                                        const struct value *by_flow,
                                        const struct value *flat)
{
    if (flat == NULL)
        return by_flow;
    return by_flow == NULL ? flat : value_merge(arena, by_flow, flat, false);
}

/* Context of the observed execution, with the listening flow as `flow` and with `trigger`. */
static void make_context(struct observation *observation)
{
    static const char *const kept[] = { "outputs", "inputs",  "vars",   "labels", "execution",
                                        "tasks",   "globals", "kestra", "envs" };
    struct arena *arena = observation->arena;
    struct value_builder builder = value_build(arena);
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        const struct value *member =
            value_get_in(arena, observation->seen, kept[i], strlen(kept[i]));
        if (member != NULL)
            value_put(&builder, kept[i], member);
    }
    struct value_builder flow = value_build(arena);
    value_put_text(&flow, "id", observation->flow->id);
    value_put_text(&flow, "namespace", observation->flow->namespace);
    value_put_int(&flow, "revision", observation->flow->revision);
    value_put_text(&flow, "tenantId", "main");
    value_put(&builder, "flow", value_build_map(&flow));
    value_put(&builder, "trigger", trigger_variables(observation));
    observation->context = value_build_map(&builder);
}

/* ---- conditions of preconditions ---- */

static bool has_labels(const struct observation *observation, const struct value *labels)
{
    size_t count = 0;
    const struct label *wanted = labels_of(observation->arena, labels, &count);
    for (size_t i = 0; i < count; i++)
        if (!str_eq(execution_label(observation->execution, wanted[i].key), wanted[i].value))
            return false;
    return true;
}

static bool has_state(const struct observation *observation, const struct value *names)
{
    if (!value_is_list(names) || value_count(names) == 0)
        return true;
    for (size_t i = 0; i < value_count(names); i++) {
        const char *name = value_cstr(value_item(names, i));
        enum state state = STATE_COUNT;
        if (name != NULL && state_parse(name, &state) &&
            str_eq(states[state].name, observation->state))
            return true;
    }
    return false;
}

/* {namespace, flowId, states, labels}: what is absent does not restrict. */
static bool upstream_holds(const struct observation *observation, const struct value *entry)
{
    const char *namespace = value_get_text(entry, "namespace", NULL);
    const char *flow = value_get_text(entry, "flowId", NULL);
    return (namespace == NULL || str_eq(namespace, observation->execution->namespace)) &&
           (flow == NULL || str_eq(flow, observation->execution->flow_id)) &&
           has_state(observation, value_get(entry, "states")) &&
           has_labels(observation, value_get(entry, "labels"));
}

static struct expr_env env_of(const struct observation *observation, const struct value *context)
{
    return create_env(observation->driver, context, observation->flow->cache);
}

static bool is_listed(const struct value *list, const char *text)
{
    for (size_t i = 0; i < value_count(list); i++)
        if (str_eq(value_cstr(value_item(list, i)), text))
            return true;
    return false;
}

/* The left side of a filter; NULL when it is null. */
static const char *filter_subject(const struct observation *observation, const struct value *filter)
{
    const char *field = value_get_text(filter, "field", "");
    if (strcmp(field, "FLOW_ID") == 0)
        return observation->execution->flow_id;
    if (strcmp(field, "NAMESPACE") == 0)
        return observation->execution->namespace;
    if (strcmp(field, "STATE") == 0)
        return observation->state;
    const char *text = value_get_text(filter, "value", NULL);
    if (text == NULL)
        return NULL;
    struct expr_env env = env_of(observation, observation->context);
    bool wrote = false;
    const char *rendered = expr_render_text(&env, observation->arena, text, &wrote, NULL);
    return wrote ? rendered : NULL;
}

static bool matches_regex(const char *pattern, const char *text)
{
    struct regex *regex = regex_new(pattern, strlen(pattern), NULL);
    bool matches = regex != NULL && regex_match(regex, text, strlen(text)) == REGEX_MATCH;
    regex_free(regex);
    return matches;
}

static bool filter_holds(const struct observation *observation, const struct value *filter)
{
    const char *type = value_get_text(filter, "type", "");
    const char *left = filter_subject(observation, filter);
    const char *right = value_get_text(filter, "value", NULL);
    const struct value *values = value_get(filter, "values");
    if (strcmp(type, "IS_NULL") == 0)
        return left == NULL;
    if (strcmp(type, "IS_NOT_NULL") == 0)
        return left != NULL;
    if (strcmp(type, "IS_TRUE") == 0)
        return left != NULL && strcmp(left, "true") == 0;
    if (strcmp(type, "IS_FALSE") == 0)
        return left != NULL && strcmp(left, "false") == 0;
    if (strcmp(type, "IN") == 0)
        return is_listed(values, left);
    if (strcmp(type, "NOT_IN") == 0)
        return !is_listed(values, left);
    if (left == NULL || right == NULL)
        return false;
    if (strcmp(type, "EQUAL_TO") == 0)
        return strcmp(left, right) == 0;
    if (strcmp(type, "NOT_EQUAL_TO") == 0)
        return strcmp(left, right) != 0;
    if (strcmp(type, "STARTS_WITH") == 0)
        return str_starts(left, right);
    if (strcmp(type, "ENDS_WITH") == 0)
        return str_ends(left, right);
    if (strcmp(type, "CONTAINS") == 0)
        return strstr(left, right) != NULL;
    return strcmp(type, "REGEX") == 0 && matches_regex(right, left);
}

static bool where_holds(const struct observation *observation, const struct value *where)
{
    const struct value *filters = value_get(where, "filters");
    bool any = strcmp(value_get_text(where, "operand", "AND"), "OR") == 0;
    for (size_t i = 0; i < value_count(filters); i++)
        if (filter_holds(observation, value_item(filters, i)) == any)
            return any;
    return !any;
}

/* An entry of dependsOn, with its own variables for `when`. */
static bool depends_holds(const struct observation *observation, const struct value *entry)
{
    if (!upstream_holds(observation, entry))
        return false;
    const char *when = value_get_text(entry, "when", NULL);
    if (when == NULL)
        return true;
    struct value_builder builder = value_build(observation->arena);
    value_put_text(&builder, "namespace", observation->execution->namespace);
    value_put_text(&builder, "flowId", observation->execution->flow_id);
    value_put_text(&builder, "state", observation->state);
    value_put(&builder, "labels", labels_map(observation->arena, observation->execution));
    value_put(&builder, "outputs",
              observation->execution->outputs != NULL ? observation->execution->outputs
                                                      : &value_empty_map);
    value_put_bool(&builder, "hasRetryAttempt", observation->subject.retry_states_count > 0);
    struct expr_env env = env_of(observation, value_build_map(&builder));
    bool ok = true;
    struct error err;
    return expr_render_truth(&env, when, &ok, &err) && ok;
}

static bool condition_is_met(const struct observation *observation, const struct value *condition)
{
    struct expr_env env = env_of(observation, observation->context);
    struct condition_env conditions = {
        .plugins = observation->driver->config.plugins,
        .expr = &env,
        .subject = &observation->subject,
        .namespace = observation->flow->namespace,
        .flow_id = observation->flow->id,
        .scratch = observation->arena,
    };
    bool holds = false;
    struct error err;
    return condition_holds(condition, &conditions, &holds, &err) && holds;
}

/* ---- windows ---- */

/* Conditions that must each be met once within a window. */
struct gathering {
    const char *id;
    struct window_rule rule;
    bool resets;
    size_t needed; /* how many of them */
    size_t count;
    const char **names;
    bool *holds; /* now */
};

static struct gathering *gathering_new(const struct observation *observation,
                                       const char *id,
                                       size_t count)
{
    struct arena *arena = observation->arena;
    struct gathering *gathering = ARENA_NEW(arena, struct gathering);
    gathering->id = arena_printf(arena, "%s/%s", observation->trigger->id, id);
    gathering->names = ARENA_ARRAY(arena, count + 1, const char *);
    gathering->holds = ARENA_ARRAY(arena, count + 1, bool);
    gathering->resets = true;
    return gathering;
}

static void gather(struct gathering *gathering, const char *name, bool holds)
{
    gathering->names[gathering->count] = name;
    gathering->holds[gathering->count++] = holds;
}

/* Records what holds now; true when enough has been met. */
static bool gathered(struct observation *observation, const struct gathering *gathering)
{
    struct driver *driver = observation->driver;
    struct arena *arena = observation->arena;
    bool any = false;
    for (size_t i = 0; i < gathering->count; i++)
        any |= gathering->holds[i];
    if (!any)
        return false;
    const struct window_name name = { observation->flow->namespace, observation->flow->id,
                                      gathering->id };
    struct window_state *window = window_load(driver, &name);
    if (window->exists && window->end < driver->now) {
        window_closed(driver, &name, &window->results);
        *window = (struct window_state){ 0 };
        window_save(driver, &name, window);
    }
    if (!window->exists) {
        usec_t start = 0;
        usec_t end = 0;
        if (!window_at(&gathering->rule, driver->now, &start, &end))
            return false; // outside of the daily span: nothing is recorded
        *window = (struct window_state){ .start = start, .end = end, .exists = true };
    }
    for (size_t i = 0; i < gathering->count; i++)
        if (gathering->holds[i])
            window_meet(&window->results, arena, gathering->names[i]);
    if (observation->execution->outputs != NULL)
        window_add_outputs(&window->results, arena, observation->execution->flow_id,
                           value_copy(arena, observation->execution->outputs));
    size_t met = 0;
    for (size_t i = 0; i < gathering->count; i++)
        met += window_is_met(&window->results, gathering->names[i]);
    bool is_enough = met >= gathering->needed;
    if (is_enough)
        observation->outputs =
            both_outputs(arena, window->results.by_flow, window->results.outputs);
    // A reset forgets the window, unless its end is of interest.
    if (is_enough && gathering->resets) {
        window->results = (struct window_results){ 0 };
        window->exists = observation->observer->spec->spec.misses;
    }
    window->results.has_fired |= is_enough;
    window_save(driver, &name, window);
    return is_enough;
}

static bool rule_of(const struct observation *observation,
                    const struct value *doc,
                    struct gathering *gathering)
{
    struct error err = { 0 };
    if (window_rule_parse(doc, observation->driver->config.zone, &gathering->rule, &err))
        return true;
    log_warn("a time window cannot be read", LOG_STR("flow", observation->flow->id),
             LOG_STR("trigger", observation->trigger->id), LOG_ERR(&err));
    return false;
}

static bool preconditions_met(struct observation *observation, const struct value *doc)
{
    const struct value *flows = value_get(doc, "flows");
    const struct value *where = value_get(doc, "where");
    size_t count = value_count(flows) + value_count(where);
    if (count > WINDOW_CONDITIONS_MAX)
        return false;
    struct gathering *gathering =
        gathering_new(observation, value_get_text(doc, "id", "preconditions"), count);
    for (size_t i = 0; i < value_count(flows); i++)
        gather(gathering, arena_printf(observation->arena, "%zu", i),
               upstream_holds(observation, value_item(flows, i)));
    for (size_t i = 0; i < value_count(where); i++) {
        const struct value *entry = value_item(where, i);
        gather(gathering, value_get_text(entry, "id", ""), where_holds(observation, entry));
    }
    gathering->needed = count;
    gathering->resets = value_get_bool(doc, "resetOnSuccess", true);
    return rule_of(observation, value_get(doc, "timeWindow"), gathering) &&
           gathered(observation, gathering);
}

static bool multiple_met(struct observation *observation, const struct value *doc)
{
    const struct value *conditions = value_get(doc, "conditions");
    size_t count = value_count(conditions);
    if (!value_is_map(conditions) || count > WINDOW_CONDITIONS_MAX)
        return false;
    struct gathering *gathering =
        gathering_new(observation, value_get_text(doc, "id", "multiple"), count);
    for (size_t i = 0; i < count; i++) {
        const struct value_member *member = &conditions->map.members[i];
        gather(gathering, member->key, condition_is_met(observation, member->value));
    }
    gathering->needed = count;
    gathering->resets = value_get_bool(doc, "resetOnSuccess", true);
    const struct value *window = value_get(doc, "timeWindow");
    if (window == NULL && value_get(doc, "window") != NULL)
        window = doc; // the older spelling stands beside the conditions
    return rule_of(observation, window, gathering) && gathered(observation, gathering);
}

static bool depends_met(struct observation *observation, const struct value *doc)
{
    const struct value *entries = value_get(doc, "dependsOn");
    const struct value *window = value_get(doc, "window");
    size_t count = value_count(entries);
    if (count > WINDOW_CONDITIONS_MAX)
        return false;
    struct gathering *gathering = gathering_new(observation, WINDOW_DEPENDS_ON, count);
    for (size_t i = 0; i < count; i++) {
        const struct value *entry = value_item(entries, i);
        const char *text = value_to_json(observation->arena, entry);
        gather(gathering,
               arena_printf(observation->arena, "%016llx",
                            (unsigned long long)map_hash(text, strlen(text))),
               depends_holds(observation, entry));
    }
    const char *mode = value_get_text(doc, "mode", "ALL");
    gathering->needed = count;
    if (strcmp(mode, "ANY") == 0)
        gathering->needed = 1;
    else if (strcmp(mode, "AT_LEAST") == 0)
        gathering->needed = (size_t)value_get_int(doc, "minSatisfied", (int64_t)count);
    gathering->resets = window == NULL || value_get_bool(window, "fireOnce", false);
    return rule_of(observation, window, gathering) && gathered(observation, gathering);
}

/* ---- does it fire ---- */

static bool is_multiple(const struct value *condition)
{
    const char *type = value_get_text(condition, "type", "");
    const char *name = strrchr(type, '.');
    name = name == NULL ? type : name + 1;
    return strcmp(name, "MultipleCondition") == 0;
}

static bool plain_conditions_hold(struct observation *observation)
{
    struct expr_env env = env_of(observation, observation->context);
    struct condition_env conditions = {
        .plugins = observation->driver->config.plugins,
        .expr = &env,
        .subject = &observation->subject,
        .namespace = observation->flow->namespace,
        .flow_id = observation->flow->id,
        .scratch = observation->arena,
    };
    bool holds = false;
    bool ok = true;
    struct error err = { 0 };
    if (!conditions_hold(observation->trigger->conditions, &conditions, &holds, &err)) {
        log_warn("conditions of a flow trigger cannot be evaluated",
                 LOG_STR("flow", observation->flow->id),
                 LOG_STR("trigger", observation->trigger->id), LOG_ERR(&err));
        return false;
    }
    if (!holds || observation->trigger->when == NULL)
        return holds;
    return expr_render_truth(&env, observation->trigger->when, &ok, &err) && ok;
}

static bool fires(struct observation *observation)
{
    const struct trigger *trigger = observation->trigger;
    if (!plain_conditions_hold(observation))
        return false;
    bool all = true;
    // Every window takes notice, also when another one is not complete.
    for (size_t i = 0; i < value_count(trigger->conditions); i++) {
        const struct value *condition = value_item(trigger->conditions, i);
        if (is_multiple(condition))
            all = multiple_met(observation, condition) && all;
    }
    const struct value *preconditions = value_get(trigger->doc, "preconditions");
    if (value_is_map(preconditions))
        all = preconditions_met(observation, preconditions) && all;
    if (value_is_list(value_get(trigger->doc, "dependsOn")))
        all = depends_met(observation, trigger->doc) && all;
    return all;
}

static void start(struct observation *observation)
{
    struct driver *driver = observation->driver;
    const struct trigger *trigger = observation->trigger;
    make_context(observation); // with the outputs of all that was waited for
    struct expr_env env = env_of(observation, observation->context);
    struct creation creation = {
        .namespace = observation->flow->namespace,
        .flow_id = observation->flow->id,
        .revision = observation->flow->revision,
        .trigger_id = trigger->id,
        .trigger_type = trigger->type->id,
        .trigger_variables = value_get(observation->context, "trigger"),
        .lenient = true,
        .steps_later = true,
    };
    struct error err = { 0 };
    const char *correlation = execution_label(observation->execution, "system.correlationId");
    bool ok = trigger_labels(driver, trigger, &env, NULL, correlation, &creation, &err);
    if (ok && trigger->inputs != NULL) {
        creation.given = expr_render_tree(&env, observation->arena, trigger->inputs, &err);
        ok = creation.given != NULL;
    }
    const struct live *live = ok ? create_execution(driver, &creation, &err) : NULL;
    if (live != NULL || err.code == ERR_CONFLICT || err.code == ERR_NOT_FOUND)
        return;
    // A mistake in the trigger is seen as a FAILED execution.
    creation.is_failed = true;
    creation.given = NULL;
    creation.message = arena_strdup(observation->arena, err.text);
    (void)create_execution(driver, &creation, &err);
}

static void observe(struct driver *driver,
                    const struct observer *observer,
                    struct live *live,
                    enum state state)
{
    struct execution *execution = live->execution;
    if (observer->is_off || (str_eq(observer->namespace, execution->namespace) &&
                             str_eq(observer->flow_id, execution->flow_id)))
        return;
    if (!spec_may_react(&observer->spec->spec, execution->namespace, execution->flow_id,
                        (uint32_t)state))
        return;
    struct error err;
    const struct flow *flow = flows_get(driver, observer->namespace, observer->flow_id, 0, &err);
    const struct trigger *trigger =
        flow == NULL || flow->disabled ? NULL : flow_find_trigger(flow, observer->trigger_id);
    if (trigger == NULL || trigger->disabled || trigger->type == NULL)
        return;
    struct arena *arena = driver->arena;
    struct observation observation = {
        .driver = driver,
        .observer = observer,
        .arena = arena,
        .execution = execution,
        .state = states[state].name,
        .flow = flow,
        .trigger = trigger,
        .seen = engine_context(execution, NULL, driver->config.world, arena),
    };
    if (execution->outputs != NULL) {
        const struct value *outputs = value_copy(arena, execution->outputs);
        observation.outputs =
            both_outputs(arena, value_with(arena, NULL, execution->flow_id, outputs), outputs);
    }
    fill_subject(&observation);
    make_context(&observation);
    if (fires(&observation))
        start(&observation);
}

void observers_notice(struct driver *driver, struct live *live, enum state state)
{
    const struct execution *execution = live->execution;
    if (driver->observers.count == 0 || state == STATE_CREATED || execution->kind != KIND_NORMAL)
        return;
    index_make(driver);
    const char *name =
        arena_printf(driver->arena, "%s/%s", execution->namespace, execution->flow_id);
    const observer_vec *list = map_find(&driver->observers_by_flow, name);
    for (size_t i = 0; list != NULL && i < list->count; i++)
        observe(driver, list->items[i], live, state);
    for (size_t i = 0; i < driver->observers_any.count; i++)
        observe(driver, driver->observers_any.items[i], live, state);
}

void observers_committed(struct driver *driver)
{
    if (driver->windows_open.count > 0)
        map_free(&driver->windows_open);
}
