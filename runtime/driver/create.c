/* SPDX-License-Identifier: Apache-2.0 */
/* Making executions: from requests, triggers, tasks, and from other executions. */
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/redact.h"
#include "base/str.h"
#include "core/expr/expr.h"
#include "core/inputs.h"
#include "core/labels.h"
#include "core/value.h"
#include "runtime/driver/driver_internal.h"
#include "runtime/worker/evaluate.h"

enum admission create_admission(struct driver *driver, const struct execution *execution)
{
    const struct flow *flow = execution->flow;
    if (flow == NULL || flow->concurrency_limit <= 0)
        return ADMIT_RUN;
    if (execution->kind == KIND_LOOP)
        return ADMIT_RUN; // in the slot of the execution around it, which waits for it
    if (execution->holds_slot)
        return ADMIT_RUN; // restarted before its end was complete: it would wait for itself
    if (slots_used(driver, execution->namespace, execution->flow_id) < flow->concurrency_limit)
        return ADMIT_RUN;
    switch (flow->concurrency_behavior) {
    case CONCURRENCY_QUEUE:
        return ADMIT_QUEUE;
    case CONCURRENCY_CANCEL:
        return ADMIT_CANCEL;
    case CONCURRENCY_FAIL:
        return ADMIT_FAIL;
    }
    return ADMIT_RUN;
}

/* ---- functions with effects, while an execution is made ---- */

/*
 * Answered at once, on the driver's thread: what the store, the environment or a small file knows.
 * What waits for a network, or for the driver itself, is refused.
 */
static const struct value *host_call(void *data,
                                     struct arena *arena,
                                     const char *function,
                                     const struct value *arguments,
                                     struct error *err)
{
    static const char *const slow[] = { "http", "subflow" };
    struct driver *driver = data;
    for (size_t i = 0; i < COUNT_OF(slow); i++) {
        if (strcmp(function, slow[i]) != 0)
            continue;
        error_set(err, ERR_INVALID, "%s() cannot be called while an execution is made", function);
        return NULL;
    }
    struct evaluate evaluate = {
        .services = driver->config.services,
        .context = driver->host_context,
    };
    if (evaluate.services == NULL) {
        error_set(err, ERR_INVALID, "%s() cannot be called here", function);
        return NULL;
    }
    return evaluate_call(&evaluate, arena, function, arguments, err);
}

static void host_secret(void *data, const char *text, size_t length)
{
    const struct driver *driver = data;
    (void)driver;
    (void)redact_add_bytes(redact_process(), text, length);
}

struct expr_env create_env(struct driver *driver,
                           const struct value *context,
                           struct expr_cache *cache)
{
    driver->host_context = context;
    driver->host = (struct expr_host){ .call = host_call, .secret = host_secret, .data = driver };
    return (struct expr_env){
        .context = context,
        .host = &driver->host,
        .cache = cache,
        .now = driver->now,
        .zone = driver->config.zone,
        .seed = rng_next(&driver->rng),
    };
}

static const struct value *encrypt(void *data,
                                   struct arena *arena,
                                   const struct value *clear,
                                   struct error *err)
{
    const struct engine_world *world = data;
    const struct value *stored = world->encrypt(world->data, arena, clear);
    if (stored == NULL)
        error_set(err, ERR_INTERNAL, "cannot encrypt an input");
    return stored;
}

/* Inputs of a new execution, resolved against its flow; NULL with err. */
static const struct value *resolve_inputs(struct driver *driver,
                                          struct execution *execution,
                                          const struct creation *creation,
                                          struct error *err)
{
    struct flow *flow = execution->flow;
    if (flow->inputs_count == 0 && value_count(creation->given) == 0)
        return &value_empty_map;
    const struct engine_world *world = driver->config.world;
    const struct value *context = engine_context(execution, NULL, world, driver->arena);
    struct expr_env env = create_env(driver, context, flow->cache);
    struct inputs_request request = {
        .inputs = flow->inputs,
        .count = flow->inputs_count,
        .supplied = creation->given,
        .env = &env,
        .owner = arena_printf(driver->arena, "%s.%s", flow->namespace, flow->id),
        .encrypt = world->encrypt == NULL ? NULL : encrypt,
        .encrypt_data = (void *)(uintptr_t)world,
        .allow_missing = creation->lenient,
    };
    return inputs_resolve_map(&request, driver->arena, err);
}

/* ---- labels ---- */

static void set_labels(struct execution *execution, const struct creation *creation)
{
    const struct flow *flow = execution->flow;
    for (size_t i = 0; !creation->without_flow_labels && i < flow->labels_count; i++) {
        const struct label *label = &flow->labels[i];
        if (!label_is_reserved(label->key))
            execution_set_label(execution, label->key, label->value);
    }
    for (size_t i = 0; i < creation->labels_count; i++)
        execution_set_label(execution, creation->labels[i].key, creation->labels[i].value);
    if (execution_label(execution, "system.correlationId") == NULL)
        execution_set_label(execution, "system.correlationId", execution->id.text);
}

/* ---- making ---- */

static void fill(struct execution *execution, const struct creation *creation)
{
    struct arena *arena = execution->arena;
    execution->trigger_id = arena_strdup(arena, creation->trigger_id);
    execution->trigger_type = arena_strdup(arena, creation->trigger_type);
    if (creation->trigger_variables != NULL)
        execution->trigger_variables = value_copy(arena, creation->trigger_variables);
    execution->schedule_at = creation->schedule_at;
    execution->kind = creation->kind;
    if (creation->breakpoints != NULL)
        execution->breakpoints = value_copy(arena, creation->breakpoints);
    if (creation->loop != NULL)
        execution->loop = value_copy(arena, creation->loop);
    execution->trace_parent = arena_strdup(arena, creation->trace_parent);
    set_labels(execution, creation);
}

static struct live *adopt(struct driver *driver, struct execution *execution)
{
    struct live *live = live_new(driver, execution, ++driver->numbers.execution);
    driver_touch(driver, live);
    return live;
}

static void start(struct driver *driver, struct live *live, const struct creation *creation)
{
    struct event event = { .type = EVENT_START, .iteration = -1 };
    if (creation->is_failed) {
        event.admission = ADMIT_FAIL;
        event.message = creation->message;
        driver_step(driver, live, &event);
    } else if (creation->steps_later) {
        driver_push_later(driver, live, &event);
    } else {
        event.admission = create_admission(driver, live->execution);
        driver_step(driver, live, &event);
    }
}

struct live *create_execution(struct driver *driver,
                              const struct creation *creation,
                              struct error *err)
{
    struct flow *flow =
        flows_get(driver, creation->namespace, creation->flow_id, creation->revision, err);
    if (flow == NULL)
        return NULL;
    if (flow->disabled && !creation->is_failed) {
        error_set(err, ERR_CONFLICT, "Cannot execute a flow which is disabled");
        return NULL;
    }
    struct id id = creation->id != NULL ? *creation->id : driver_new_id(driver);
    struct execution *execution = execution_new(&id, flow, driver->now);
    fill(execution, creation);
    if (creation->inputs != NULL) {
        execution->inputs = value_copy(execution->arena, creation->inputs);
    } else if (!creation->is_failed) {
        const struct value *inputs = resolve_inputs(driver, execution, creation, err);
        if (inputs == NULL) {
            execution_free(execution);
            return NULL;
        }
        execution->inputs = value_copy(execution->arena, inputs);
    }
    struct live *live = adopt(driver, execution);
    if (creation->asker != NULL)
        driver_show(creation->asker, live);
    live->fire_trigger = creation->fire_trigger;
    live->fire_at = creation->fire_at;
    live->fire_backfill = creation->fire_backfill;
    start(driver, live, creation);
    return live;
}

struct live *create_from(struct driver *driver, struct execution *execution)
{
    struct live *live = adopt(driver, execution);
    // A replay from a task run is RESTARTED, everything else CREATED: both begin like this.
    struct event event = { .type = EVENT_START, .iteration = -1 };
    driver_push_later(driver, live, &event);
    return live;
}
