/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditions of triggers and listeners (flow-language.md 5.8): may this start something?
 *
 * Pure. To add one: its row in conditions.c (properties, function, descriptor), one line in
 * runtime/plugins.c, one test.
 */
#ifndef RUNTIME_TRIGGERS_CONDITION_H
#define RUNTIME_TRIGGERS_CONDITION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "core/flow.h"

struct error;
struct expr_env;
struct plugin_set;
struct tz;
struct value;

/* The execution that a Flow trigger observes, or that a listener belongs to. */
struct condition_subject {
    const char *namespace;
    const char *flow_id;
    const char *state; /* "SUCCESS" … */
    const struct label *labels;
    size_t labels_count;
    const struct value *outputs;     /* flow outputs, map or NULL */
    const char *const *retry_states; /* states of attempts beyond the first, of all task runs */
    size_t retry_states_count;
};

/*
 * What an answer is good for: it would be the same for every `trigger.date` from `since` up to
 * before `until`. Who searches a date on which conditions hold need not ask for those.
 */
struct condition_span {
    usec_t since;
    usec_t until;
    bool varies; /* by what is not known: only for the very date that was asked */
};

struct condition_env {
    const struct plugin_set *plugins;
    struct expr_env *expr;                   /* context of the trigger, with `trigger` */
    const struct condition_subject *subject; /* NULL: none is observed (schedules) */
    const char *namespace;                   /* of the flow that has the trigger or listener */
    const char *flow_id;
    struct arena *scratch;
    const struct tz *tz;        /* of trigger.date; NULL: nobody asks for the span */
    struct condition_span span; /* of all answers since the caller set it to { -∞, ∞ } */
};

/* {-∞, ∞} */
struct condition_span condition_span_all(void);

/*
 * Does one condition hold? A MultipleCondition holds here: its window is kept by who observes.
 *
 * Errors  ERR_INVALID      it cannot be evaluated; the caller takes that for false and warns,
 *                          a schedule creates a FAILED execution
 *         ERR_UNAVAILABLE  an effect is not answered yet, see struct expr_host
 */
bool condition_holds(const struct value *condition,
                     struct condition_env *env,
                     bool *out,
                     struct error *err);

/* All of a list (NULL or empty: yes). Stops at the first that does not hold. */
bool conditions_hold(const struct value *list,
                     struct condition_env *env,
                     bool *out,
                     struct error *err);

extern const struct plugin condition_date_time_between;
extern const struct plugin condition_day_week;
extern const struct plugin condition_day_week_in_month;
extern const struct plugin condition_weekend;
extern const struct plugin condition_time_between;
extern const struct plugin condition_public_holiday;
extern const struct plugin condition_expression;
extern const struct plugin condition_execution_flow;
extern const struct plugin condition_execution_namespace;
extern const struct plugin condition_execution_status;
extern const struct plugin condition_execution_labels;
extern const struct plugin condition_execution_outputs;
extern const struct plugin condition_has_retry_attempt;
extern const struct plugin condition_flow;
extern const struct plugin condition_flow_namespace;
extern const struct plugin condition_not;
extern const struct plugin condition_or;
extern const struct plugin condition_multiple;

#endif
