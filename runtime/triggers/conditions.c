/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/diag.h"
#include "core/expr/expr.h"
#include "core/holiday.h"
#include "core/labels.h"
#include "core/plugin.h"
#include "core/tz.h"
#include "core/value.h"
#include "runtime/triggers/condition.h"
#include "runtime/triggers/time_window.h"

#define P "io.kestra.plugin.core.condition."
#define O "io.kestra.core.models.conditions.types."

/* Behind plugin.ops of a condition. */
struct condition_ops {
    /* `map` is the condition as written, for what is never bound (inner conditions). */
    bool (*holds)(const void *bound,
                  const struct value *map,
                  struct condition_env *env,
                  bool *out,
                  struct error *err);
};

/* ---- spans ---- */

struct condition_span condition_span_all(void)
{
    return (struct condition_span){ .since = -USEC_NEVER, .until = USEC_NEVER };
}

static void narrow(struct condition_env *env, usec_t since, usec_t until)
{
    if (since > env->span.since)
        env->span.since = since;
    if (until < env->span.until)
        env->span.until = until;
}

/* A boundary: the answer may be another one from `at` on. */
static void narrow_at(struct condition_env *env, usec_t date, usec_t at)
{
    if (at <= date)
        narrow(env, at, USEC_NEVER);
    else
        narrow(env, -USEC_NEVER, at);
}

/* Is a member, which is not the date, the same whatever the date? */
static bool is_fixed(const struct value *map, const char *key)
{
    const char *text = value_get_text(map, key, NULL);
    return text == NULL || !expr_is_dynamic(text);
}

/* Does what a condition looks at follow trigger.date? */
static bool follows_date(struct condition_env *env, const struct value *map)
{
    const char *text = value_get_text(map, "date", NULL);
    if (env->tz == NULL || !is_fixed(map, "after") || !is_fixed(map, "before") ||
        !is_fixed(map, "dayOfWeek") || !is_fixed(map, "dayInMonth") || !is_fixed(map, "country") ||
        !is_fixed(map, "subDivision")) {
        env->span.varies = true;
        return false;
    }
    if (value_get(map, "date") == NULL)
        return true;
    if (is_fixed(map, "date"))
        return false;
    char squeezed[32];
    size_t length = 0;
    for (; *text != '\0' && length < sizeof(squeezed) - 1; text++)
        if (*text != ' ')
            squeezed[length++] = *text;
    squeezed[length] = '\0';
    bool is_usual = strcmp(squeezed, "{{trigger.date}}") == 0;
    env->span.varies |= !is_usual;
    return is_usual;
}

/* The local day of a date. */
static void narrow_day(struct condition_env *env, usec_t date)
{
    usec_t local = tz_local(env->tz, date);
    usec_t midnight = local - (local % USEC_DAY + USEC_DAY) % USEC_DAY;
    usec_t since = date;
    usec_t until = date + 1;
    (void)tz_resolve(env->tz, midnight, &since);
    (void)tz_resolve(env->tz, midnight + USEC_DAY, &until);
    narrow(env, since, until);
}

/* ---- evaluation ---- */

static bool holds_one(const struct value *condition,
                      struct condition_env *env,
                      bool *out,
                      struct error *err)
{
    const char *type = value_get_text(condition, "type", "");
    const struct plugin *plugin = plugin_find(env->plugins, type);
    if (plugin == NULL || plugin->role != PLUGIN_CONDITION)
        return error_set(err, ERR_INVALID, "unknown condition type '%s'", type);
    const struct condition_ops *ops = plugin->ops;
    const struct value *rendered = condition;
    void *bound = NULL;
    if (plugin->props != NULL) {
        rendered = prop_render(plugin->props, condition, env->expr, env->scratch, err);
        if (rendered == NULL)
            return false;
        bound = arena_alloc(env->scratch, plugin->props_size);
        if (!prop_bind(plugin->props, rendered, bound, env->scratch, err))
            return false;
    }
    return ops->holds(bound, condition, env, out, err);
}

bool condition_holds(const struct value *condition,
                     struct condition_env *env,
                     bool *out,
                     struct error *err)
{
    if (holds_one(condition, env, out, err))
        return true;
    return error_wrap(err, "condition %s", value_get_text(condition, "type", "?"));
}

bool conditions_hold(const struct value *list,
                     struct condition_env *env,
                     bool *out,
                     struct error *err)
{
    bool all = true;
    for (size_t i = 0; i < value_count(list) && all; i++) {
        if (!condition_holds(value_item(list, i), env, &all, err))
            return false;
    }
    *out = all;
    return true;
}

/* ---- dates ---- */

/* A date as written in a trigger: its instant, and its local time where it was written. */
struct moment {
    usec_t at;
    usec_t local; /* as if UTC */
    int32_t offset;
    struct civil civil;
};

static bool read_moment(const char *text, struct moment *out, struct error *err)
{
    struct time_text read;
    if (text == NULL)
        return error_set(err, ERR_INVALID, "there is no date to look at");
    if (!time_text_parse(text, strlen(text), &read, err))
        return error_wrap(err, "date '%s'", text);
    if (!read.has_date)
        return error_set(err, ERR_INVALID, "'%s' is no date", text);
    out->civil = read.civil;
    out->local = civil_at(&read.civil);
    out->offset = read.offset;
    out->at = out->local - read.offset * USEC_SEC;
    out->civil = civil_of(out->local);
    return true;
}

struct date_between {
    const char *date;
    const char *after;
    const char *before;
};

#define DATE_ROW(s)                                                                                \
    {                                                                                              \
        "date", STR(s, date), .flags = PROP_EXPR, .fallback = "{{ trigger.date }}",                \
                              .doc = "Date to look at; that of the trigger by default."            \
    }

static const struct prop date_between_props[] = {
    DATE_ROW(struct date_between),
    { "after", STR(struct date_between, after), .flags = PROP_EXPR,
      .doc = "The date must be later than this date-time." },
    { "before", STR(struct date_between, before), .flags = PROP_EXPR,
      .doc = "The date must be earlier than this date-time." },
    { 0 },
};

static bool date_between_holds(const void *bound,
                               const struct value *map,
                               struct condition_env *env,
                               bool *out,
                               struct error *err)
{
    const struct date_between *p = bound;
    struct moment date;
    struct moment limit;
    if (!read_moment(p->date, &date, err))
        return false;
    bool follows = follows_date(env, map);
    bool holds = true;
    if (!str_empty(p->after)) {
        if (!read_moment(p->after, &limit, err))
            return error_wrap(err, "after");
        holds = date.at > limit.at;
        if (follows)
            narrow_at(env, date.at, limit.at + 1);
    }
    if (!str_empty(p->before)) {
        if (!read_moment(p->before, &limit, err))
            return error_wrap(err, "before");
        holds = holds && date.at < limit.at;
        if (follows)
            narrow_at(env, date.at, limit.at);
    }
    *out = holds;
    return true;
}

static void check_a_bound(const struct flow *flow,
                          const struct value *map,
                          const char *path,
                          struct diag_list *findings)
{
    (void)flow;
    if (value_get(map, "after") == NULL && value_get(map, "before") == NULL)
        (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "missing-bound", map, path,
                       "one of 'after' and 'before' must be given");
}

static const char *const weekday_words[] = {
    "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY", NULL,
};
static const char *const nth_words[] = { "FIRST", "SECOND", "THIRD", "FOURTH", "LAST", NULL };

struct day_week {
    const char *date;
    int weekday; /* 0 Monday */
    int nth;
};

#define WEEKDAY_ROW                                                                                \
    {                                                                                              \
        "dayOfWeek", ENUM(struct day_week, weekday),                                               \
            .flags = PROP_REQUIRED | PROP_EXPR, .words = weekday_words, .doc = "Day of the week."  \
    }

static const struct prop day_week_props[] = {
    DATE_ROW(struct day_week),
    WEEKDAY_ROW,
    { 0 },
};

static const struct prop day_week_in_month_props[] = {
    DATE_ROW(struct day_week),
    WEEKDAY_ROW,
    { "dayInMonth", ENUM(struct day_week, nth), .flags = PROP_REQUIRED | PROP_EXPR,
      .words = nth_words, .doc = "Which one of the month." },
    { 0 },
};

static bool day_week_holds(const void *bound,
                           const struct value *map,
                           struct condition_env *env,
                           bool *out,
                           struct error *err)
{
    const struct day_week *p = bound;
    struct moment date;
    if (!read_moment(p->date, &date, err))
        return false;
    if (follows_date(env, map))
        narrow_day(env, date.at);
    *out = date.civil.weekday == p->weekday + 1;
    return true;
}

static bool day_week_in_month_holds(const void *bound,
                                    const struct value *map,
                                    struct condition_env *env,
                                    bool *out,
                                    struct error *err)
{
    const struct day_week *p = bound;
    struct moment date;
    if (!read_moment(p->date, &date, err))
        return false;
    if (follows_date(env, map))
        narrow_day(env, date.at);
    bool is_last = date.civil.day + 7 > civil_month_days(date.civil.year, date.civil.month);
    bool is_nth = p->nth == 4 ? is_last : (date.civil.day - 1) / 7 == p->nth;
    *out = date.civil.weekday == p->weekday + 1 && is_nth;
    return true;
}

struct only_date {
    const char *date;
};

static const struct prop weekend_props[] = {
    DATE_ROW(struct only_date),
    { 0 },
};

static bool weekend_holds(const void *bound,
                          const struct value *map,
                          struct condition_env *env,
                          bool *out,
                          struct error *err)
{
    const struct only_date *p = bound;
    struct moment date;
    if (!read_moment(p->date, &date, err))
        return false;
    if (follows_date(env, map))
        narrow_day(env, date.at);
    *out = date.civil.weekday >= 6;
    return true;
}

static const struct prop time_between_props[] = {
    DATE_ROW(struct date_between),
    { "after", STR(struct date_between, after), .flags = PROP_EXPR,
      .doc = "The time of day must be later than this time with offset, such as 18:00+01:00." },
    { "before", STR(struct date_between, before), .flags = PROP_EXPR,
      .doc = "The time of day must be earlier. When `after` is later, the span crosses midnight." },
    { 0 },
};

/* Time of day in UTC; may lie outside of one day, as the offset moves it. */
static bool read_time(const char *text, usec_t *out, struct error *err)
{
    struct time_text read;
    if (!time_text_parse(text, strlen(text), &read, err) || read.has_date || !read.has_time)
        return error_set(err, ERR_INVALID, "'%s' is no time of day with an offset", text);
    *out = (read.civil.hour * 3600 + read.civil.minute * 60 + read.civil.second - read.offset) *
               USEC_SEC +
           read.civil.micros;
    return true;
}

static bool time_between_holds(const void *bound,
                               const struct value *map,
                               struct condition_env *env,
                               bool *out,
                               struct error *err)
{
    const struct date_between *p = bound;
    struct moment date;
    usec_t after = 0;
    usec_t before = 0;
    if (!read_moment(p->date, &date, err))
        return false;
    bool has_after = !str_empty(p->after);
    bool has_before = !str_empty(p->before);
    if (has_after && !read_time(p->after, &after, err))
        return error_wrap(err, "after");
    if (has_before && !read_time(p->before, &before, err))
        return error_wrap(err, "before");
    usec_t midnight = civil_days(date.civil.year, date.civil.month, date.civil.day) * USEC_DAY;
    usec_t at = date.local - midnight - date.offset * USEC_SEC;
    if (follows_date(env, map)) {
        usec_t start = date.at - at; // of that day in UTC, from where the times are counted
        narrow_day(env, date.at);
        if (has_after)
            narrow_at(env, date.at, start + after + 1);
        if (has_before)
            narrow_at(env, date.at, start + before);
    }
    bool is_late = !has_after || at > after;
    bool is_early = !has_before || at < before;
    *out = has_after && has_before && after > before ? is_late || is_early : is_late && is_early;
    return true;
}

struct public_holiday {
    const char *date;
    const char *country;
    const char *subdivision;
};

static const struct prop public_holiday_props[] = {
    DATE_ROW(struct public_holiday),
    { "country", STR(struct public_holiday, country), .flags = PROP_EXPR,
      .doc = "ISO 3166 code of the country, such as FR; that of the server's locale by default, "
             "else US." },
    { "subDivision", STR(struct public_holiday, subdivision), .flags = PROP_EXPR,
      .doc = "ISO 3166-2 code of the subdivision, such as BY of DE-BY." },
    { 0 },
};

/* The country of the server's locale: "FR" of "fr_FR.UTF-8". */
static const char *own_country(struct arena *arena)
{
    static const char *const names[] = { "LC_ALL", "LC_TIME", "LANG" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const char *locale = getenv(names[i]);
        if (str_empty(locale))
            continue;
        const char *line = strchr(locale, '_');
        return line != NULL && strcspn(line + 1, ".@") == 2 ? arena_strndup(arena, line + 1, 2)
                                                            : "US";
    }
    return "US";
}

static bool public_holiday_holds(const void *bound,
                                 const struct value *map,
                                 struct condition_env *env,
                                 bool *out,
                                 struct error *err)
{
    const struct public_holiday *p = bound;
    struct moment date;
    if (!read_moment(p->date, &date, err))
        return false;
    if (follows_date(env, map))
        narrow_day(env, date.at);
    const char *country = str_empty(p->country) ? own_country(env->scratch) : p->country;
    return holiday_is(&date.civil, country, p->subdivision, out, err);
}

/* ---- expressions ---- */

struct expression {
    const char *expression;
};

static const struct prop expression_props[] = {
    { "expression", STR(struct expression, expression), .flags = PROP_REQUIRED | PROP_RAW,
      .doc = "Expression; holds unless it renders to nothing or to `false`." },
    { 0 },
};

static bool expression_holds(const void *bound,
                             const struct value *map,
                             struct condition_env *env,
                             bool *out,
                             struct error *err)
{
    const struct expression *p = bound;
    (void)map;
    env->span.varies = true;
    const char *text = expr_render_text(env->expr, env->scratch, p->expression, NULL, err);
    if (text == NULL)
        return false;
    text = str_trim(env->scratch, text);
    *out = text[0] != '\0' && strcmp(text, "false") != 0;
    return true;
}

static const struct prop outputs_props[] = {
    { "expression", STR(struct expression, expression), .flags = PROP_REQUIRED | PROP_RAW,
      .doc = "Expression over `trigger.outputs`; false when the execution has no outputs." },
    { 0 },
};

static bool outputs_hold(const void *bound,
                         const struct value *map,
                         struct condition_env *env,
                         bool *out,
                         struct error *err)
{
    const struct expression *p = bound;
    (void)map;
    env->span.varies = true;
    if (env->subject == NULL || value_count(env->subject->outputs) == 0) {
        *out = false;
        return true;
    }
    bool ok = true;
    bool holds = expr_render_truth(env->expr, p->expression, &ok, err);
    if (ok)
        *out = holds;
    return ok;
}

/* ---- the observed execution ---- */

static bool needs_subject(const struct condition_env *env, struct error *err)
{
    return env->subject != NULL ||
           error_set(err, ERR_INVALID, "no execution is observed here; it fits Flow triggers");
}

struct flow_ref {
    const char *namespace;
    const char *flow_id;
    int comparison;
    bool is_prefix;
};

static const struct prop execution_flow_props[] = {
    { "namespace", STR(struct flow_ref, namespace), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Namespace of the flow." },
    { "flowId", STR(struct flow_ref, flow_id), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Id of the flow." },
    { 0 },
};

static bool execution_flow_holds(const void *bound,
                                 const struct value *map,
                                 struct condition_env *env,
                                 bool *out,
                                 struct error *err)
{
    const struct flow_ref *p = bound;
    (void)map;
    if (!needs_subject(env, err))
        return false;
    *out =
        str_eq(p->namespace, env->subject->namespace) && str_eq(p->flow_id, env->subject->flow_id);
    return true;
}

static bool flow_holds(const void *bound,
                       const struct value *map,
                       struct condition_env *env,
                       bool *out,
                       struct error *err)
{
    const struct flow_ref *p = bound;
    (void)map;
    (void)err;
    *out = str_eq(p->namespace, env->namespace) && str_eq(p->flow_id, env->flow_id);
    return true;
}

static const char *const comparison_words[] = { "EQUALS", "PREFIX", "SUFFIX", NULL };

static const struct prop execution_namespace_props[] = {
    { "namespace", STR(struct flow_ref, namespace), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Namespace to compare with." },
    { "comparison", ENUM(struct flow_ref, comparison), .words = comparison_words,
      .flags = PROP_EXPR, .doc = "How the namespaces are compared; EQUALS by default." },
    { "prefix", BOOL(struct flow_ref, is_prefix), .fallback = "false", .flags = PROP_EXPR,
      .doc = "Older spelling of `comparison: PREFIX`." },
    { 0 },
};

static bool execution_namespace_holds(const void *bound,
                                      const struct value *map,
                                      struct condition_env *env,
                                      bool *out,
                                      struct error *err)
{
    const struct flow_ref *p = bound;
    (void)map;
    if (!needs_subject(env, err))
        return false;
    const char *namespace = env->subject->namespace;
    if (p->comparison == 2)
        *out = str_ends(namespace, p->namespace);
    else if (p->comparison == 1 || (p->comparison < 0 && p->is_prefix))
        *out = str_starts(namespace, p->namespace);
    else
        *out = str_eq(namespace, p->namespace);
    return true;
}

static const struct prop flow_namespace_props[] = {
    { "namespace", STR(struct flow_ref, namespace), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Namespace of this flow." },
    { "prefix", BOOL(struct flow_ref, is_prefix), .fallback = "false", .flags = PROP_EXPR,
      .doc = "Whether the namespace may continue." },
    { 0 },
};

static bool flow_namespace_holds(const void *bound,
                                 const struct value *map,
                                 struct condition_env *env,
                                 bool *out,
                                 struct error *err)
{
    const struct flow_ref *p = bound;
    (void)map;
    (void)err;
    *out = p->is_prefix ? str_starts(env->namespace, p->namespace)
                        : str_eq(env->namespace, p->namespace);
    return true;
}

struct states {
    const struct value *in;
    const struct value *not_in;
};

static const struct prop states_props[] = {
    { "in", STRINGS(struct states, in), .flags = PROP_EXPR, .doc = "States that it must be in." },
    { "notIn", STRINGS(struct states, not_in), .flags = PROP_EXPR,
      .doc = "States that it must not be in." },
    { 0 },
};

static bool listed(const struct value *list, const char *state)
{
    for (size_t i = 0; i < value_count(list); i++) {
        if (str_eq(value_cstr(value_item(list, i)), state))
            return true;
    }
    return false;
}

static bool state_fits(const struct states *p, const char *state)
{
    return (p->in == NULL || listed(p->in, state)) && !listed(p->not_in, state);
}

static bool execution_status_holds(const void *bound,
                                   const struct value *map,
                                   struct condition_env *env,
                                   bool *out,
                                   struct error *err)
{
    (void)map;
    if (!needs_subject(env, err))
        return false;
    *out = state_fits(bound, env->subject->state);
    return true;
}

static bool has_retry_attempt_holds(const void *bound,
                                    const struct value *map,
                                    struct condition_env *env,
                                    bool *out,
                                    struct error *err)
{
    (void)map;
    if (!needs_subject(env, err))
        return false;
    bool found = false;
    for (size_t i = 0; i < env->subject->retry_states_count && !found; i++)
        found = state_fits(bound, env->subject->retry_states[i]);
    *out = found;
    return true;
}

struct with_labels {
    const struct value *labels;
};

static const struct prop execution_labels_props[] = {
    { "labels", LABELS(struct with_labels, labels), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Labels that the execution must have, with these values." },
    { 0 },
};

static bool has_label(const struct condition_subject *subject, const struct label *wanted)
{
    for (size_t i = 0; i < subject->labels_count; i++) {
        if (strcmp(subject->labels[i].key, wanted->key) == 0)
            return strcmp(subject->labels[i].value, wanted->value) == 0;
    }
    return false;
}

static bool execution_labels_hold(const void *bound,
                                  const struct value *map,
                                  struct condition_env *env,
                                  bool *out,
                                  struct error *err)
{
    const struct with_labels *p = bound;
    (void)map;
    if (!needs_subject(env, err))
        return false;
    size_t count = 0;
    struct label *labels = labels_of(env->scratch, p->labels, &count);
    bool all = true;
    for (size_t i = 0; i < count && all; i++)
        all = has_label(env->subject, &labels[i]);
    *out = all;
    return true;
}

/* ---- of conditions ---- */

static const struct prop inner_props[] = {
    { "conditions", .kind = PROP_CONDITIONS, .flags = PROP_REQUIRED | PROP_NOT_EMPTY,
      .doc = "Inner conditions." },
    { 0 },
};

/* Does any inner condition hold? */
static bool any_holds(const struct value *map,
                      struct condition_env *env,
                      bool *out,
                      struct error *err)
{
    const struct value *list = value_get(map, "conditions");
    bool any = false;
    for (size_t i = 0; i < value_count(list) && !any; i++) {
        if (!condition_holds(value_item(list, i), env, &any, err))
            return false;
    }
    *out = any;
    return true;
}

static bool or_holds(const void *bound,
                     const struct value *map,
                     struct condition_env *env,
                     bool *out,
                     struct error *err)
{
    (void)bound;
    return any_holds(map, env, out, err);
}

static bool not_holds(const void *bound,
                      const struct value *map,
                      struct condition_env *env,
                      bool *out,
                      struct error *err)
{
    (void)bound;
    bool any = false;
    if (!any_holds(map, env, &any, err))
        return false;
    *out = !any;
    return true;
}

static bool multiple_holds(const void *bound,
                           const struct value *map,
                           struct condition_env *env,
                           bool *out,
                           struct error *err)
{
    (void)bound;
    (void)map;
    (void)env;
    (void)err;
    *out = true;
    return true;
}

static const struct prop multiple_props[] = {
    { "id", .kind = PROP_STRING, .flags = PROP_REQUIRED,
      .doc = "Name of the window in this flow." },
    { "timeWindow", .kind = PROP_OBJECT, .object = time_window_props,
      .doc = "Within which time all must have held; one day by default." },
    { "resetOnSuccess", .kind = PROP_BOOL, .fallback = "true",
      .doc = "Whether all must hold again after it fired." },
    { "window", .kind = PROP_DURATION, .flags = PROP_DEPRECATED,
      .doc = "Older spelling of `timeWindow.window`." },
    { "windowAdvance", .kind = PROP_DURATION, .flags = PROP_DEPRECATED,
      .doc = "Older spelling of `timeWindow.windowAdvance`." },
    { "conditions", .kind = PROP_CONDITION_MAP, .flags = PROP_REQUIRED | PROP_NOT_EMPTY,
      .doc = "Named conditions, each about one execution." },
    { 0 },
};

static void check_window(const struct flow *flow,
                         const struct value *map,
                         const char *path,
                         struct diag_list *findings)
{
    (void)flow;
    time_window_check(value_get(map, "timeWindow"), path, findings);
}

/* ---- descriptors ---- */

#define OPS(fn)  (&(const struct condition_ops){ .holds = (fn) })
#define NAMES(n) ((const char *const[]){ O n "Condition", P n "Condition", NULL })

#define CONDITION(variable, name, props_, type, fn, title_, ...)                                   \
    const struct plugin variable = { .id = P name,                                                 \
                                     .role = PLUGIN_CONDITION,                                     \
                                     .title = (title_),                                            \
                                     .props = (props_),                                            \
                                     .props_size = sizeof(type),                                   \
                                     .ops = OPS(fn),                                               \
                                     __VA_ARGS__ }

CONDITION(condition_date_time_between,
          "DateTimeBetween",
          date_between_props,
          struct date_between,
          date_between_holds,
          "The date lies between two others.",
          .aliases = NAMES("DateTimeBetween"),
          .check = check_a_bound);
CONDITION(condition_day_week,
          "DayWeek",
          day_week_props,
          struct day_week,
          day_week_holds,
          "The date is a certain day of the week.",
          .aliases = NAMES("DayWeek"));
CONDITION(condition_day_week_in_month,
          "DayWeekInMonth",
          day_week_in_month_props,
          struct day_week,
          day_week_in_month_holds,
          "The date is, for example, the first Monday of its month.",
          .aliases = NAMES("DayWeekInMonth"));
CONDITION(condition_weekend,
          "Weekend",
          weekend_props,
          struct only_date,
          weekend_holds,
          "The date is a Saturday or Sunday.",
          .aliases = NAMES("Weekend"));
CONDITION(condition_time_between,
          "TimeBetween",
          time_between_props,
          struct date_between,
          time_between_holds,
          "The time of day lies between two others.",
          .aliases = NAMES("TimeBetween"),
          .check = check_a_bound);
CONDITION(condition_public_holiday,
          "PublicHoliday",
          public_holiday_props,
          struct public_holiday,
          public_holiday_holds,
          "The date is a public holiday.",
          .aliases = NAMES("PublicHoliday"));
CONDITION(condition_expression,
          "Expression",
          expression_props,
          struct expression,
          expression_holds,
          "An expression is neither empty nor false.",
          .aliases = ((const char *const[]){ O "VariableCondition", P "ExpressionCondition",
                                             NULL }));
CONDITION(condition_execution_flow,
          "ExecutionFlow",
          execution_flow_props,
          struct flow_ref,
          execution_flow_holds,
          "The execution is one of a certain flow.",
          .aliases = NAMES("ExecutionFlow"));
CONDITION(condition_execution_namespace,
          "ExecutionNamespace",
          execution_namespace_props,
          struct flow_ref,
          execution_namespace_holds,
          "The execution's namespace matches.",
          .aliases = NAMES("ExecutionNamespace"));
CONDITION(condition_execution_status,
          "ExecutionStatus",
          states_props,
          struct states,
          execution_status_holds,
          "The execution is in one of certain states.",
          .aliases = NAMES("ExecutionStatus"));
CONDITION(condition_execution_labels,
          "ExecutionLabels",
          execution_labels_props,
          struct with_labels,
          execution_labels_hold,
          "The execution has certain labels.",
          .aliases = NAMES("ExecutionLabels"));
CONDITION(condition_execution_outputs,
          "ExecutionOutputs",
          outputs_props,
          struct expression,
          outputs_hold,
          "An expression over the execution's outputs holds.",
          .aliases = NAMES("ExecutionOutputs"));
CONDITION(condition_has_retry_attempt,
          "HasRetryAttempt",
          states_props,
          struct states,
          has_retry_attempt_holds,
          "A task was tried again and ended in one of certain states.",
          .aliases = NAMES("HasRetryAttempt"));
CONDITION(condition_flow,
          "FlowCondition",
          execution_flow_props,
          struct flow_ref,
          flow_holds,
          "This flow is a certain one.",
          .aliases = ((const char *const[]){ O "FlowCondition", NULL }));
CONDITION(condition_flow_namespace,
          "FlowNamespaceCondition",
          flow_namespace_props,
          struct flow_ref,
          flow_namespace_holds,
          "This flow's namespace matches.",
          .aliases = ((const char *const[]){ O "FlowNamespaceCondition", NULL }));
CONDITION(condition_not,
          "Not",
          inner_props,
          char,
          not_holds,
          "None of the inner conditions holds.",
          .aliases = NAMES("Not"));
CONDITION(condition_or,
          "Or",
          inner_props,
          char,
          or_holds,
          "At least one inner condition holds.",
          .aliases = NAMES("Or"));
CONDITION(condition_multiple,
          "MultipleCondition",
          multiple_props,
          char,
          multiple_holds,
          "Several executions must each have met a condition within a time.",
          .aliases = ((const char *const[]){ O "MultipleCondition", NULL }),
          .check = check_window);
