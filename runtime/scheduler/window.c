/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/scheduler/window.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/pack.h"
#include "base/timefmt.h"
#include "base/vec.h"
#include "core/tz.h"
#include "core/value.h"
#include "core/value_codec.h"

#define WINDOW_MIN USEC_SEC

/* ---- rules ---- */

static bool read_span(const struct value *value, usec_t *out, struct error *err)
{
    if (value == NULL)
        return true;
    if (value->kind == VALUE_DURATION) {
        *out = value->time->at;
        return true;
    }
    double seconds = 0;
    if (value_to_double(value, &seconds)) {
        *out = (usec_t)(seconds * (double)USEC_SEC);
        return true;
    }
    const char *text = value_cstr(value);
    return text != NULL
               ? duration_parse(text, out, NULL, err)
               : error_set(err, ERR_INVALID, "%s is not a duration", value_kind_name(value));
}

/* A time of day as a span since midnight; an offset in the text is taken as the rule's zone. */
static bool read_time(const struct value *value,
                      usec_t *out,
                      struct window_rule *rule,
                      struct error *err)
{
    if (value != NULL && value->kind == VALUE_LOCAL_TIME) {
        *out = value->time->at;
        return true;
    }
    const char *text = value_cstr(value);
    struct time_text time;
    if (text == NULL || !time_text_parse(text, strlen(text), &time, NULL) || !time.has_time)
        return error_set(err, ERR_INVALID, "'%s' is not a time of day", text == NULL ? "" : text);
    *out = ((usec_t)time.civil.hour * 60 + time.civil.minute) * USEC_MIN +
           (usec_t)time.civil.second * USEC_SEC + time.civil.micros;
    if (time.has_offset && time.offset != 0) {
        char name[16];
        struct buf offset = { 0 };
        time_write_offset(&offset, time.offset);
        bool fits = offset.length < sizeof(name);
        if (fits)
            memcpy(name, buf_text(&offset), offset.length + 1);
        buf_free(&offset);
        const struct tz *tz = fits ? tz_get(name, err) : NULL;
        if (tz == NULL)
            return false;
        rule->tz = tz;
    }
    return true;
}

static bool read_fixed(const struct value *doc,
                       const char *length,
                       const char *advance,
                       struct window_rule *rule,
                       struct error *err)
{
    if (!read_span(value_get(doc, length), &rule->length, err) ||
        !read_span(value_get(doc, advance), &rule->advance, err))
        return false;
    return rule->length >= WINDOW_MIN ||
           error_set(err, ERR_INVALID, "a window must be at least one second long");
}

/* The older form, told by `type`. */
static bool read_typed(const struct value *doc, struct window_rule *rule, struct error *err)
{
    const char *type = value_get_text(doc, "type", "DURATION_WINDOW");
    if (strcmp(type, "DAILY_TIME_DEADLINE") == 0) {
        rule->kind = WINDOW_DAILY;
        return read_time(value_get(doc, "deadline"), &rule->to, rule, err);
    }
    if (strcmp(type, "DAILY_TIME_WINDOW") == 0) {
        rule->kind = WINDOW_DAILY;
        return read_time(value_get(doc, "startTime"), &rule->from, rule, err) &&
               read_time(value_get(doc, "endTime"), &rule->to, rule, err);
    }
    if (strcmp(type, "SLIDING_WINDOW") == 0)
        rule->kind = WINDOW_SLIDES;
    return read_fixed(doc, "window", "windowAdvance", rule, err);
}

bool window_rule_parse(const struct value *doc,
                       const char *zone,
                       struct window_rule *out,
                       struct error *err)
{
    struct window_rule rule = { .kind = WINDOW_FIXED, .length = USEC_DAY };
    rule.tz = tz_get(value_get_text(doc, "timezone", zone), err);
    if (rule.tz == NULL)
        return false;
    bool ok = true;
    if (value_get(doc, "deadline") != NULL && value_get(doc, "type") == NULL) {
        rule.kind = WINDOW_DAILY;
        ok = read_time(value_get(doc, "deadline"), &rule.to, &rule, err);
    } else if (value_get(doc, "from") != NULL) {
        rule.kind = WINDOW_DAILY;
        ok = read_time(value_get(doc, "from"), &rule.from, &rule, err) &&
             read_time(value_get(doc, "to"), &rule.to, &rule, err);
    } else if (value_get(doc, "lookback") != NULL) {
        rule.kind = WINDOW_SLIDES;
        ok = read_fixed(doc, "lookback", "offset", &rule, err);
    } else if (value_get(doc, "every") != NULL || value_get(doc, "offset") != NULL) {
        ok = read_fixed(doc, "every", "offset", &rule, err);
    } else if (doc != NULL) {
        ok = read_typed(doc, &rule, err);
    }
    if (ok)
        *out = rule;
    return ok;
}

/* ---- bounds ---- */

static usec_t floor_to(usec_t at, usec_t unit)
{
    usec_t rest = at % unit;
    return at - (rest < 0 ? rest + unit : rest);
}

/* Start of a fixed window in local time: midnight, the hour, or a multiple inside the hour. */
static usec_t fixed_start(const struct window_rule *rule, usec_t local)
{
    if (rule->length >= USEC_DAY)
        return floor_to(local, USEC_DAY);
    usec_t hour = floor_to(local, USEC_HOUR);
    if (rule->length >= USEC_HOUR)
        return hour;
    return hour + (local - hour) / rule->length * rule->length;
}

/* A local start that clocks skipped resolves to what is still to come, though it is past. */
static void resolve_start(const struct window_rule *rule, usec_t from, usec_t now, usec_t *start)
{
    (void)tz_resolve(rule->tz, from, start);
    if (*start > now)
        *start = now;
}

static bool fixed_at(const struct window_rule *rule, usec_t now, usec_t *start, usec_t *end)
{
    // Shifting the clock the other way and looking up the plain window gives the shifted one.
    usec_t local = tz_local(rule->tz, now) - rule->advance;
    usec_t from = fixed_start(rule, local) + rule->advance;
    if (rule->length < USEC_DAY) { // hours that come twice have windows of their own
        *start = now - (local + rule->advance - from);
        *end = *start + rule->length - 1;
        return true;
    }
    // Its end too is one of local time: on a day of 25 hours it would else be over before now.
    resolve_start(rule, from, now, start);
    (void)tz_resolve(rule->tz, from + rule->length, end);
    if (*end <= now) // a boundary that comes twice: the second time
        *end = now + (from + rule->length - (local + rule->advance));
    (*end)--;
    return true;
}

static bool daily_at(const struct window_rule *rule, usec_t now, usec_t *start, usec_t *end)
{
    usec_t local = tz_local(rule->tz, now);
    usec_t midnight = floor_to(local, USEC_DAY);
    usec_t from = midnight + rule->from;
    usec_t to = midnight + rule->to;
    if (rule->to <= rule->from) { // through midnight
        if (local < to)
            from -= USEC_DAY;
        else
            to += USEC_DAY;
    }
    if (local < from || local >= to)
        return false;
    resolve_start(rule, from, now, start);
    (void)tz_resolve(rule->tz, to, end);
    (*end)--;
    return *end >= now; // times of day that come twice count the first time
}

bool window_at(const struct window_rule *rule, usec_t now, usec_t *start, usec_t *end)
{
    switch (rule->kind) {
    case WINDOW_FIXED:
        return fixed_at(rule, now, start, end);
    case WINDOW_DAILY:
        return daily_at(rule, now, start, end);
    case WINDOW_SLIDES:
        *start = now;
        *end = now + rule->length - 1;
        return true;
    }
    return false;
}

usec_t window_next(const struct window_rule *rule, usec_t now)
{
    usec_t start = now;
    usec_t end = now;
    switch (rule->kind) {
    case WINDOW_FIXED:
        (void)fixed_at(rule, now, &start, &end);
        return end + 1;
    case WINDOW_DAILY: {
        usec_t from = floor_to(tz_local(rule->tz, now), USEC_DAY) + rule->from;
        (void)tz_resolve(rule->tz, from, &start);
        if (start <= now)
            (void)tz_resolve(rule->tz, from + USEC_DAY, &start);
        return start;
    }
    case WINDOW_SLIDES:
        break;
    }
    return USEC_NEVER;
}

/* ---- results ---- */

bool window_is_met(const struct window_results *results, const char *name)
{
    for (size_t i = 0; i < results->count; i++)
        if (strcmp(results->met[i], name) == 0)
            return true;
    return false;
}

void window_meet(struct window_results *results, struct arena *arena, const char *name)
{
    if (window_is_met(results, name))
        return;
    const char **met = ARENA_ARRAY(arena, results->count + 1, const char *);
    if (results->count > 0)
        memcpy(met, results->met, results->count * sizeof(*met));
    met[results->count++] = arena_strdup(arena, name);
    results->met = met;
}

void window_add_outputs(struct window_results *results,
                        struct arena *arena,
                        const char *flow_id,
                        const struct value *outputs)
{
    if (value_count(outputs) == 0)
        return;
    const struct value *merged = results->outputs;
    results->outputs = merged == NULL ? outputs : value_merge(arena, merged, outputs, false);
    results->by_flow = value_with(arena, results->by_flow, flow_id, outputs);
}

/* 2 tells whether it has fired */
#define FORM 2

void window_encode(struct buf *out, const struct window_results *results)
{
    pack_uint(out, FORM);
    pack_uint(out, results->count);
    for (size_t i = 0; i < results->count; i++)
        pack_text(out, results->met[i]);
    value_encode(out, results->outputs);
    value_encode(out, results->by_flow);
    pack_uint(out, results->has_fired);
}

bool window_decode(struct arena *arena,
                   const void *bytes,
                   size_t length,
                   struct window_results *out,
                   struct error *err)
{
    struct unpack in = unpack_start(bytes, length);
    uint64_t form = unpack_max(&in, FORM);
    struct window_results results = { .count = unpack_count(&in) };
    if (!in.bad)
        results.met = ARENA_ARRAY(arena, results.count, const char *);
    for (size_t i = 0; i < results.count && !in.bad; i++)
        results.met[i] = unpack_text(&in, arena);
    results.outputs = in.bad ? NULL : value_unpack(&in, arena);
    results.by_flow = in.bad ? NULL : value_unpack(&in, arena);
    results.has_fired = !in.bad && form >= 2 && unpack_max(&in, 1) == 1;
    if (in.bad)
        return error_set(err, ERR_INTERNAL, "the results of a window are damaged");
    if (value_is_null(results.outputs))
        results.outputs = NULL;
    if (value_is_null(results.by_flow))
        results.by_flow = NULL;
    *out = results;
    return true;
}
