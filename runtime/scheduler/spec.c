/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/scheduler/spec.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "base/vec.h"
#include "core/expr/expr.h"
#include "core/json.h"
#include "core/plugin.h"
#include "core/tz.h"
#include "core/value.h"
#include "core/words.h"

/* Dates of one ScheduleOnDates; more would be a table, not a trigger. */
#define DATES_MAX 10000U

#define POLL_INTERVAL (60 * USEC_SEC)
/* Shorter intervals would be a busy loop over the network. */
#define POLL_INTERVAL_MIN USEC_SEC

/* ---- writing ---- */

static void write_flags(const struct trigger *trigger, struct buf *out)
{
    const struct value *doc = trigger->doc;
    if (value_get_bool(doc, "withSeconds", false))
        buf_putc(out, 's');
    if (!str_empty(value_get_text(doc, "timezone", NULL)))
        buf_putc(out, 'z');
    if (trigger->when != NULL || value_count(trigger->conditions) > 0)
        buf_putc(out, 'c');
    if (trigger->inputs != NULL || trigger->labels != NULL)
        buf_putc(out, 'i');
    const char *recover = value_get_text(doc, "recoverMissedSchedules", "");
    if (recover[0] == 'A' || recover[0] == 'L' || recover[0] == 'N')
        buf_putc(out, recover[0]);
}

/* "|<flags>|<late>|<zone>|" */
static bool write_schedule_head(const struct trigger *trigger,
                                const char *zone,
                                struct buf *out,
                                struct error *err)
{
    const char *own = value_get_text(trigger->doc, "timezone", NULL);
    const char *used = str_empty(own) ? zone : own;
    if (tz_get(used, err) == NULL)
        return false;
    usec_t late = 0;
    const char *delay = value_get_text(trigger->doc, "lateMaximumDelay", NULL);
    if (delay != NULL && !duration_parse(delay, &late, NULL, err))
        return false;
    buf_putc(out, '|');
    write_flags(trigger, out);
    buf_putc(out, '|');
    buf_put_int(out, late);
    buf_printf(out, "|%s|", used == NULL ? "" : used);
    return true;
}

static bool write_cron(const struct trigger *trigger,
                       const char *zone,
                       struct buf *out,
                       struct error *err)
{
    const char *text = value_get_text(trigger->doc, "cron", NULL);
    struct cron cron;
    if (text == NULL)
        return error_set(err, ERR_INVALID, "trigger '%s' has no cron expression", trigger->id);
    if (!cron_parse(&cron, text, value_get_bool(trigger->doc, "withSeconds", false), err))
        return false;
    buf_putc(out, 'c');
    if (!write_schedule_head(trigger, zone, out, err))
        return false;
    buf_puts(out, text);
    return true;
}

static int compare_dates(const void *a, const void *b)
{
    usec_t x = *(const usec_t *)a;
    usec_t y = *(const usec_t *)b;
    return x < y ? -1 : x > y;
}

static bool date_of(const struct value *value,
                    struct expr_env *env,
                    struct arena *arena,
                    usec_t *out,
                    struct error *err)
{
    if (value->kind == VALUE_INSTANT || value->kind == VALUE_ZONED) {
        *out = value->time->at;
        return true;
    }
    const char *text = value_cstr(value);
    if (text != NULL && env != NULL && expr_is_dynamic(text))
        text = expr_render_text(env, arena, text, NULL, err);
    else if (text == NULL)
        error_set(err, ERR_INVALID, "%s is not a date", value_kind_name(value));
    return text != NULL && time_parse_instant(text, out, NULL, err);
}

/* The list as it is, or what an expression gives: a list as JSON, or one date. */
static const struct value *list_of_dates(const struct trigger *trigger,
                                         struct expr_env *env,
                                         struct arena *arena,
                                         struct error *err)
{
    const struct value *dates = value_get(trigger->doc, "dates");
    bool is_one = value_is_list(dates) && value_count(dates) == 1; // a text is kept as a list
    const char *text = value_cstr(is_one ? value_item(dates, 0) : dates);
    if (text == NULL || env == NULL || !expr_is_dynamic(text))
        return dates == NULL ? &value_empty_list : dates;
    text = expr_render_text(env, arena, text, NULL, err);
    if (text == NULL)
        return NULL;
    const char *start = text + strspn(text, " \t\r\n");
    return *start == '[' ? json_parse(arena, text, strlen(text), err) : value_string(arena, text);
}

static bool write_dates(const struct trigger *trigger,
                        const char *zone,
                        struct expr_env *env,
                        struct buf *out,
                        struct error *err)
{
    struct arena *arena = arena_new();
    const struct value *dates = list_of_dates(trigger, env, arena, err);
    size_t count = dates != NULL && value_is_list(dates) ? value_count(dates) : dates != NULL;
    if (count > DATES_MAX)
        error_set(err, ERR_LIMIT, "more than %u dates", DATES_MAX);
    if (dates == NULL || count > DATES_MAX) {
        arena_free(arena);
        return false;
    }
    usec_t *instants = ARENA_ARRAY(arena, count + 1, usec_t);
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++)
        ok = date_of(value_is_list(dates) ? value_item(dates, i) : dates, env, arena, &instants[i],
                     err);
    if (ok && count > 1)
        qsort(instants, count, sizeof(*instants), compare_dates);
    if (ok) {
        buf_putc(out, 'd');
        ok = write_schedule_head(trigger, zone, out, err);
    }
    for (size_t i = 0; i < count && ok; i++) {
        if (i > 0)
            buf_putc(out, ',');
        buf_put_int(out, instants[i]);
    }
    arena_free(arena);
    return ok;
}

static bool write_polling(const struct trigger *trigger, struct buf *out, struct error *err)
{
    usec_t interval = POLL_INTERVAL;
    const struct value *given = value_get(trigger->doc, "interval");
    const char *text = value_cstr(given);
    if (given != NULL && given->kind == VALUE_DURATION)
        interval = given->time->at;
    else if (text != NULL && !duration_parse(text, &interval, NULL, err))
        return false;
    buf_puts(out, "p|");
    buf_put_int(out, interval < POLL_INTERVAL_MIN ? POLL_INTERVAL_MIN : interval);
    return true;
}

/* States by name as a mask; all when `names` is no list. */
static uint32_t states_mask(const struct value *names, uint32_t otherwise)
{
    if (!value_is_list(names) || value_count(names) == 0)
        return otherwise;
    uint32_t mask = 0;
    for (size_t i = 0; i < value_count(names); i++) {
        const char *name = value_cstr(value_item(names, i));
        if (name != NULL && strcmp(name, "CANCELED") == 0)
            name = "CANCELLED";
        int at = name == NULL ? -1 : words_find(words_state, name);
        if (at >= 0)
            mask |= BIT(at);
    }
    return mask;
}

static uint32_t mask_of(const char *const *names, size_t count)
{
    uint32_t mask = 0;
    for (size_t i = 0; i < count; i++)
        mask |= BIT(words_find(words_state, names[i]));
    return mask;
}

/* All terminal states and PAUSED. */
static uint32_t default_states(void)
{
    static const char *const names[] = { "SUCCESS", "WARNING", "FAILED",      "KILLED", "CANCELLED",
                                         "SKIPPED", "RETRIED", "RESUBMITTED", "PAUSED" };
    return mask_of(names, COUNT_OF(names));
}

static bool is_literal(const char *text)
{
    return text != NULL && !expr_is_dynamic(text) && strpbrk(text, ",|") == NULL;
}

/*
 * The flows that entries {namespace, flowId} name, each or none; *known false when an entry names
 * none in so many words.
 */
static void write_upstream(const struct value *entries, struct buf *out, bool *known)
{
    for (size_t i = 0; i < value_count(entries); i++) {
        const struct value *entry = value_item(entries, i);
        const char *namespace = value_get_text(entry, "namespace", NULL);
        const struct value *flow = value_get(entry, "flowId");
        if (!is_literal(namespace) || (flow != NULL && !is_literal(value_cstr(flow)))) {
            *known = false;
            return;
        }
        buf_printf(out, "%s%s/%s", out->length > 0 ? "," : "", namespace,
                   flow == NULL ? "" : value_cstr(flow));
    }
}

/*
 * A condition that all executions must meet and that names a flow restricts like an entry. Only the
 * first such condition is used: the others are evaluated anyway.
 */
static bool write_condition(const struct value *conditions, struct buf *out)
{
    for (size_t i = 0; i < value_count(conditions); i++) {
        const struct value *condition = value_item(conditions, i);
        const char *type = value_get_text(condition, "type", "");
        const char *name = strrchr(type, '.');
        name = name == NULL ? type : name + 1;
        if (strcmp(name, "ExecutionFlow") != 0 && strcmp(name, "ExecutionFlowCondition") != 0)
            continue;
        const char *namespace = value_get_text(condition, "namespace", NULL);
        const char *flow = value_get_text(condition, "flowId", NULL);
        if (!is_literal(namespace) || !is_literal(flow))
            continue;
        buf_printf(out, "%s/%s", namespace, flow);
        return true;
    }
    return false;
}

static void write_flow(const struct trigger *trigger, struct buf *out)
{
    const struct value *doc = trigger->doc;
    const struct value *preconditions = value_get(doc, "preconditions");
    const struct value *depends = value_get(doc, "dependsOn");
    struct buf flows = { 0 };
    if (!write_condition(trigger->conditions, &flows)) {
        bool known = preconditions != NULL || depends != NULL;
        if (preconditions != NULL && value_count(value_get(preconditions, "where")) > 0)
            known = false;
        if (known)
            write_upstream(value_get(preconditions, "flows"), &flows, &known);
        if (known)
            write_upstream(depends, &flows, &known);
        if (!known)
            buf_clear(&flows);
    }
    buf_printf(out, "f|%u|%s", states_mask(value_get(doc, "states"), default_states()),
               buf_text(&flows));
    if (depends != NULL && value_is_map(value_get(doc, "onMiss")))
        buf_puts(out, "|m");
    buf_free(&flows);
}

bool spec_write(const struct trigger *trigger,
                const char *zone,
                struct expr_env *env,
                struct buf *out,
                struct error *err)
{
    if (trigger->type == NULL)
        return error_set(err, ERR_INVALID, "trigger '%s' is of an unknown type", trigger->id);
    switch (trigger->type->trigger_kind) {
    case TRIGGER_SCHEDULE:
        return value_get(trigger->doc, "cron") != NULL ? write_cron(trigger, zone, out, err)
                                                       : write_dates(trigger, zone, env, out, err);
    case TRIGGER_POLLING:
        return write_polling(trigger, out, err);
    case TRIGGER_FLOW:
        write_flow(trigger, out);
        return true;
    case TRIGGER_WEBHOOK:
        buf_putc(out, 'w');
        return true;
    case TRIGGER_NONE:
        break;
    }
    return error_set(err, ERR_INVALID, "trigger '%s' is never evaluated", trigger->id);
}

/* ---- reading ---- */

static bool malformed(const char *text, struct error *err)
{
    return error_set(err, ERR_INTERNAL, "malformed schedule '%s'", text);
}

/* The part up to the next '|', as text; NULL at the end. */
static char *next_part(struct arena *arena, const char **at)
{
    if (*at == NULL)
        return NULL;
    const char *bar = strchr(*at, '|');
    char *part =
        bar == NULL ? arena_strdup(arena, *at) : arena_strndup(arena, *at, (size_t)(bar - *at));
    *at = bar == NULL ? NULL : bar + 1;
    return part;
}

static void read_flags(const char *flags, struct spec *spec, bool *with_seconds)
{
    for (; *flags != '\0'; flags++) {
        *with_seconds |= *flags == 's';
        spec->names_zone |= *flags == 'z';
        spec->has_conditions |= *flags == 'c';
        spec->needs_flow |= *flags == 'i';
        if (*flags == 'A')
            spec->recover = RECOVER_ALL;
        else if (*flags == 'L')
            spec->recover = RECOVER_LAST;
        else if (*flags == 'N')
            spec->recover = RECOVER_NONE;
    }
}

static bool read_dates(struct arena *arena, const char *text, struct spec *spec)
{
    VEC(usec_t) dates = { 0 };
    while (*text != '\0') {
        char *end = NULL;
        *VEC_PUSH_ARENA(arena, &dates) = strtoll(text, &end, 10);
        if (end == text || (*end != ',' && *end != '\0'))
            return false;
        text = *end == ',' ? end + 1 : end;
    }
    spec->dates = dates.items;
    spec->dates_count = dates.count;
    return true;
}

static bool read_schedule(
    struct arena *arena, const char *text, const char *at, struct spec *spec, struct error *err)
{
    const char *flags = next_part(arena, &at);
    const char *late = next_part(arena, &at);
    const char *zone = next_part(arena, &at);
    bool with_seconds = false;
    if (flags == NULL || late == NULL || zone == NULL || at == NULL ||
        !str_to_int(late, 0, INT64_MAX, &spec->late))
        return malformed(text, err);
    read_flags(flags, spec, &with_seconds);
    spec->tz = tz_get(zone, err);
    if (spec->tz == NULL)
        return false;
    if (spec->kind == SPEC_CRON)
        return cron_parse(&spec->cron, at, with_seconds, err);
    return read_dates(arena, at, spec) || malformed(text, err);
}

static bool read_flow(struct arena *arena, const char *at, struct spec *spec)
{
    const char *mask = next_part(arena, &at);
    const char *names = next_part(arena, &at);
    int64_t states = 0;
    if (mask == NULL || names == NULL || !str_to_int(mask, 0, UINT32_MAX, &states))
        return false;
    spec->states = (uint32_t)states;
    spec->misses = at != NULL && strchr(at, 'm') != NULL;
    VEC(const char *) flows = { 0 };
    while (*names != '\0') {
        size_t length = strcspn(names, ",");
        *VEC_PUSH_ARENA(arena, &flows) = arena_strndup(arena, names, length);
        names += length + (names[length] == ',');
    }
    spec->flows = flows.items;
    spec->flows_count = flows.count;
    return true;
}

bool spec_parse(struct arena *arena, const char *text, struct spec *out, struct error *err)
{
    struct spec spec = { 0 };
    const char *at = text[0] != '\0' && text[1] == '|' ? text + 2 : NULL;
    bool ok = false;
    if (text[0] == 'w') {
        spec.kind = SPEC_WEBHOOK;
        ok = true;
    } else if (at == NULL) {
        return malformed(text, err);
    } else if (text[0] == 'c' || text[0] == 'd') {
        spec.kind = text[0] == 'c' ? SPEC_CRON : SPEC_DATES;
        if (!read_schedule(arena, text, at, &spec, err))
            return false;
        ok = true;
    } else if (text[0] == 'p') {
        spec.kind = SPEC_POLLING;
        ok = str_to_int(at, 1, INT64_MAX, &spec.interval);
    } else if (text[0] == 'f') {
        spec.kind = SPEC_FLOW;
        ok = read_flow(arena, at, &spec);
    }
    if (!ok)
        return malformed(text, err);
    *out = spec;
    return true;
}

bool spec_may_react(const struct spec *spec,
                    const char *namespace,
                    const char *flow_id,
                    uint32_t state)
{
    if ((spec->states & BIT(state)) == 0)
        return false;
    size_t length = strlen(namespace);
    for (size_t i = 0; i < spec->flows_count; i++) {
        const char *name = spec->flows[i];
        if (strncmp(name, namespace, length) == 0 && name[length] == '/' &&
            (name[length + 1] == '\0' || strcmp(name + length + 1, flow_id) == 0))
            return true;
    }
    return spec->flows_count == 0;
}
