/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows in which several executions are waited for (flow-language.md 5.9, 5.10): their rows, what
 * happens when one closes, and those that are opened before anything has happened because somebody
 * wants to know of a deadline that is missed.
 */
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "core/value.h"
#include "runtime/driver/driver_internal.h"

#define EXPIRE_EVERY USEC_MIN
#define EXPIRE_PAGE  500U

/* What windows of `dependsOn` are called behind their trigger's id. */
#define DEPENDS_ON "/" WINDOW_DEPENDS_ON

/* ---- rows ---- */

struct window_state *window_load(struct driver *driver, const struct window_name *name)
{
    struct arena *arena = driver->arena;
    const char *text = arena_printf(arena, "%s/%s/%s", name->namespace, name->flow_id, name->id);
    struct window_state *window = map_find(&driver->windows_open, text);
    if (window != NULL)
        return window;
    window = ARENA_NEW(arena, struct window_state);
    struct window_row row;
    struct error err;
    if (driver->reader->ops->window_get(driver->reader, arena, name->namespace, name->flow_id,
                                        name->id, &row, &err) &&
        window_decode(arena, row.body.at, row.body.length, &window->results, &err)) {
        window->exists = true;
        window->start = row.start_at;
        window->end = row.end_at;
    }
    map_put(&driver->windows_open, text, window);
    return window;
}

void window_save(struct driver *driver,
                 const struct window_name *name,
                 const struct window_state *window)
{
    struct buf body = { 0 };
    window_encode(&body, &window->results);
    struct arena *arena = driver->arena;
    *VEC_PUSH(&driver->commit.windows) = (struct commit_window){
        .row = {
            .namespace = arena_strdup(arena, name->namespace),
            .flow_id = arena_strdup(arena, name->flow_id),
            .window_id = arena_strdup(arena, name->id),
            .start_at = window->start,
            .end_at = window->end,
            .body = { arena_memdup(arena, body.bytes, body.length), body.length },
        },
        .is_removed = !window->exists,
    };
    buf_free(&body);
}

/* ---- a window closes ---- */

/* The trigger of a window of dependsOn, when it may fire at all. */
static const struct trigger *trigger_of(struct driver *driver,
                                        const struct window_name *name,
                                        const struct flow **flow)
{
    const char *slash = strrchr(name->id, '/');
    if (slash == NULL || strcmp(slash, DEPENDS_ON) != 0)
        return NULL;
    const char *id = arena_strndup(driver->arena, name->id, (size_t)(slash - name->id));
    struct error err;
    struct trigger_state state;
    *flow = flows_get(driver, name->namespace, name->flow_id, 0, &err);
    const struct trigger *trigger =
        *flow == NULL || (*flow)->disabled ? NULL : flow_find_trigger(*flow, id);
    bool is_off = trigger == NULL || trigger->disabled ||
                  !driver->reader->ops->trigger_get(driver->reader, driver->arena, name->namespace,
                                                    name->flow_id, id, &state, &err) ||
                  state.disabled;
    return is_off ? NULL : trigger;
}

void window_closed(struct driver *driver,
                   const struct window_name *name,
                   const struct window_results *results)
{
    if (results->has_fired)
        return;
    const struct flow *flow = NULL;
    const struct trigger *trigger = trigger_of(driver, name, &flow);
    const struct value *miss = trigger == NULL ? NULL : value_get(trigger->doc, "onMiss");
    if (!value_is_map(miss))
        return;
    struct creation creation = {
        .namespace = flow->namespace,
        .flow_id = flow->id,
        .revision = flow->revision,
        .trigger_id = trigger->id,
        .trigger_type = trigger->type->id,
        .is_failed = true,
        .message = "The deadline has passed, and not everything that was waited for has happened",
    };
    struct error err = { 0 };
    struct expr_env env = create_env(driver, &value_empty_map, flow->cache);
    const struct value *labels = value_get(miss, "labels");
    // Labels of the trigger may be about an execution that never came.
    if (!trigger_labels(driver, trigger, &env, labels, NULL, &creation, &err))
        (void)trigger_labels(driver, &(struct trigger){ 0 }, &env, labels, NULL, &creation, &err);
    (void)create_execution(driver, &creation, &err);
}

static void close_row(struct driver *driver, const struct window_row *row)
{
    const struct window_name name = { row->namespace, row->flow_id, row->window_id };
    const char *text =
        arena_printf(driver->arena, "%s/%s/%s", row->namespace, row->flow_id, row->window_id);
    if (map_has(&driver->windows_open, text))
        return; // opened again in this turn
    struct window_results results;
    struct error err;
    if (window_decode(driver->arena, row->body.at, row->body.length, &results, &err))
        window_closed(driver, &name, &results);
    *VEC_PUSH(&driver->commit.windows) = (struct commit_window){ .row = *row, .is_removed = true };
}

/* ---- windows nothing has happened in yet ---- */

/*
 * Opens the window of now for a trigger that wants to know of misses; what was gathered stays, also
 * when another definition moves the bounds. Afterwards look_at says when there is more to do.
 */
static void open_one(struct driver *driver, struct observer *observer)
{
    struct window_name name = {
        .namespace = observer->namespace,
        .flow_id = observer->flow_id,
        .id = arena_printf(driver->arena, "%s%s", observer->trigger_id, DEPENDS_ON),
    };
    const struct flow *flow = NULL;
    const struct trigger *trigger = trigger_of(driver, &name, &flow);
    struct window_rule rule;
    struct error err = { 0 };
    observer->look_at = USEC_NEVER;
    if (trigger == NULL || !value_is_map(value_get(trigger->doc, "onMiss")) ||
        !window_rule_parse(value_get(trigger->doc, "window"), driver->config.zone, &rule, &err) ||
        rule.kind == WINDOW_SLIDES) // begins with a match
        return;
    usec_t start = 0;
    usec_t end = 0;
    if (!window_at(&rule, driver->now, &start, &end)) {
        observer->look_at = window_next(&rule, driver->now);
        return;
    }
    observer->look_at = end + 1; // which lies ahead: the window holds now
    struct window_state *window = window_load(driver, &name);
    if (window->exists && window->start == start && window->end == end)
        return;
    if (!window->exists)
        window->results = (struct window_results){ 0 };
    window->exists = true;
    window->start = start;
    window->end = end;
    window_save(driver, &name, window);
}

/* When the next window has to be opened. */
static usec_t open_due(struct driver *driver)
{
    usec_t next = USEC_NEVER;
    size_t at = 0;
    struct map_slot *slot;
    while ((slot = map_next(&driver->observers, &at)) != NULL) {
        struct observer *observer = slot->value;
        if (!observer->spec->spec.misses || observer->is_off)
            continue;
        if (observer->look_at <= driver->now)
            open_one(driver, observer);
        if (observer->look_at < next)
            next = observer->look_at;
    }
    return next;
}

void windows_look(struct driver *driver)
{
    struct window_row *rows = NULL;
    size_t count = 0;
    struct error err = { 0 };
    if (!driver->reader->ops->window_expired(driver->reader, driver->arena, driver->now,
                                             EXPIRE_PAGE, &rows, &count, &err))
        log_error("windows that are over cannot be read", LOG_ERR(&err));
    for (size_t i = 0; i < count; i++)
        close_row(driver, &rows[i]);
    usec_t next = driver->now + (count == EXPIRE_PAGE ? 1 : EXPIRE_EVERY);
    // Before others are opened over them, all that are over have been closed.
    usec_t due = count == EXPIRE_PAGE ? next : open_due(driver);
    wheel_set(driver->wheel, &driver->windows, due < next ? due : next);
}
