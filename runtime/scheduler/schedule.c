/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/scheduler/schedule.h"

#include "base/error.h"

/* ---- occurrences ---- */

/* Index of the first listed date that is greater than `at`. */
static size_t dates_above(const struct spec *spec, usec_t at)
{
    size_t low = 0;
    size_t high = spec->dates_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (spec->dates[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

usec_t schedule_after(const struct spec *spec, usec_t after)
{
    if (spec->kind == SPEC_CRON)
        return cron_next(&spec->cron, spec->tz, after);
    if (spec->kind != SPEC_DATES)
        return USEC_NEVER;
    size_t at = dates_above(spec, after);
    return at < spec->dates_count ? spec->dates[at] : USEC_NEVER;
}

usec_t schedule_before(const struct spec *spec, usec_t before)
{
    if (spec->kind == SPEC_CRON)
        return cron_previous(&spec->cron, spec->tz, before);
    if (spec->kind != SPEC_DATES)
        return -USEC_NEVER;
    size_t at = dates_above(spec, before - 1);
    return at > 0 ? spec->dates[at - 1] : -USEC_NEVER;
}

static enum date_answer test_date(const struct spec *spec,
                                  const struct date_test *test,
                                  usec_t date,
                                  struct date_span *same)
{
    *same = (struct date_span){ .since = date, .until = date + 1 };
    if (!spec->has_conditions || test == NULL || test->holds == NULL)
        return DATE_YES;
    return test->holds(test->data, date, same);
}

static usec_t reach_from(usec_t at, usec_t span)
{
    return at > USEC_NEVER - span ? USEC_NEVER : at + span;
}

/* Only what may never come is given up: a date on which conditions hold. */
static usec_t reach_of(const struct spec *spec, usec_t after)
{
    return spec->has_conditions ? reach_from(after, SCHEDULE_REACH) : USEC_NEVER;
}

usec_t schedule_find(const struct spec *spec, const struct date_test *test, usec_t after)
{
    usec_t end = reach_of(spec, after);
    usec_t date = USEC_NEVER;
    struct date_span same = { .until = after + 1 };
    for (unsigned looked = 0; looked < SCHEDULE_SLICE; looked++) {
        if (same.until > end)
            return USEC_NEVER;
        date = schedule_after(spec, same.until - 1);
        if (date == USEC_NEVER || date > end)
            return USEC_NEVER;
        if (test_date(spec, test, date, &same) != DATE_NO)
            return date;
    }
    return date; // looked at again when it comes
}

/* As schedule_find(), but a slice without a match is no match. */
static usec_t find_exact(const struct spec *spec, const struct date_test *test, usec_t after)
{
    usec_t end = reach_of(spec, after);
    struct date_span same = { .until = after + 1 };
    for (unsigned looked = 0; looked < SCHEDULE_SLICE && same.until <= end; looked++) {
        usec_t date = schedule_after(spec, same.until - 1);
        if (date == USEC_NEVER || date > end)
            break;
        if (test_date(spec, test, date, &same) == DATE_YES)
            return date;
    }
    return USEC_NEVER;
}

static usec_t find_exact_before(const struct spec *spec,
                                const struct date_test *test,
                                usec_t before)
{
    usec_t end = spec->has_conditions ? before - SCHEDULE_REACH : -USEC_NEVER;
    struct date_span same = { .since = before };
    for (unsigned looked = 0; looked < SCHEDULE_SLICE && same.since > end; looked++) {
        usec_t date = schedule_before(spec, same.since);
        if (date == -USEC_NEVER || date < end)
            break;
        if (test_date(spec, test, date, &same) == DATE_YES)
            return date;
    }
    return -USEC_NEVER;
}

void schedule_neighbours(const struct spec *spec,
                         const struct date_test *test,
                         usec_t date,
                         usec_t *next,
                         usec_t *previous)
{
    *next = find_exact(spec, test, date);
    *previous = find_exact_before(spec, test, date);
}

/* ---- states ---- */

static bool is_schedule(const struct spec *spec)
{
    return spec->kind == SPEC_CRON || spec->kind == SPEC_DATES;
}

static enum recover_missed recover_of(const struct spec *spec, enum recover_missed fallback)
{
    if (spec->recover != RECOVER_DEFAULT)
        return spec->recover;
    return fallback != RECOVER_DEFAULT ? fallback : RECOVER_ALL;
}

/* USEC_NEVER is "none" between us, 0 in the stored state. */
static usec_t stored(usec_t at)
{
    return at == USEC_NEVER ? 0 : at;
}

bool trigger_is_locked(const struct trigger_state *state)
{
    return state->execution_id != NULL && !state->allow_concurrent;
}

bool trigger_is_active(const struct trigger_state *state)
{
    return !state->disabled && !state->is_off &&
           (state->kind == TRIGGER_SCHEDULE || state->kind == TRIGGER_POLLING);
}

usec_t trigger_wake_at(const struct trigger_state *state)
{
    if (!trigger_is_active(state) || trigger_is_locked(state) || state->evaluating_at != 0)
        return USEC_NEVER;
    if (state->backfill.start != 0)
        return state->backfill.paused ? USEC_NEVER : state->backfill.current;
    return state->next_at == 0 ? USEC_NEVER : state->next_at;
}

/*
 * From when on dates are new: after now, and after the last date that was executed, which may lie
 * ahead when the clock was set back. Years ahead the clock was wrong before.
 */
static usec_t new_after(const struct trigger_state *state, usec_t now)
{
    return state->date > now && state->date - now < USEC_DAY ? state->date : now;
}

void trigger_register(struct trigger_state *state,
                      const struct spec *spec,
                      const struct date_test *test,
                      usec_t now)
{
    usec_t after = new_after(state, now);
    state->date = after;
    state->updated_at = now;
    state->backfill = (struct backfill){ 0 };
    if (spec->kind == SPEC_POLLING)
        state->next_at = now + 1; // at once, but behind the commit that stores the flow
    else
        state->next_at = is_schedule(spec) ? stored(schedule_find(spec, test, after)) : 0;
    if (state->disabled || state->is_off)
        state->next_at = 0;
}

/* The next date after a time without service, or 0; `date` is the last one that was executed. */
static usec_t missed_next(const struct trigger_state *state,
                          const struct spec *spec,
                          const struct date_test *test,
                          enum recover_missed policy,
                          usec_t now)
{
    if (policy == RECOVER_LAST) {
        usec_t last = find_exact_before(spec, test, now + 1);
        if (last != -USEC_NEVER && last > state->date)
            return last;
    }
    return stored(schedule_find(spec, test, new_after(state, now)));
}

void trigger_recover(struct trigger_state *state,
                     const struct spec *spec,
                     const struct date_test *test,
                     enum recover_missed fallback,
                     usec_t now)
{
    // A worker that was evaluating is gone with the server.
    state->evaluating_at = 0;
    state->worker_id = NULL;
    if (!is_schedule(spec) || state->backfill.start != 0)
        return;
    enum recover_missed policy = recover_of(spec, fallback);
    if (state->next_at != 0 && state->next_at < now && policy != RECOVER_ALL)
        state->next_at = missed_next(state, spec, test, policy, now);
}

void trigger_backfill_end(struct trigger_state *state,
                          const struct spec *spec,
                          const struct date_test *test,
                          enum recover_missed fallback,
                          usec_t now)
{
    usec_t interrupted = state->backfill.previous_next;
    state->backfill = (struct backfill){ 0 };
    enum recover_missed policy = recover_of(spec, fallback);
    if (interrupted == 0 || (interrupted < now && policy != RECOVER_ALL))
        state->next_at = missed_next(state, spec, test, policy, now);
    else
        state->next_at = interrupted;
    state->updated_at = now;
}

/* First occurrence at or after `from` that a backfill executes; USEC_NEVER behind its end. */
static usec_t backfill_find(const struct spec *spec,
                            const struct date_test *test,
                            usec_t from,
                            usec_t end)
{
    usec_t date = schedule_find(spec, test, from - 1);
    return date > end ? USEC_NEVER : date;
}

static struct fire fire_backfill(struct trigger_state *state,
                                 const struct spec *spec,
                                 const struct date_test *test,
                                 enum recover_missed fallback,
                                 usec_t now)
{
    struct backfill *backfill = &state->backfill;
    struct fire fire = { .date = backfill->current,
                         .is_backfill = true,
                         .backfill_id = backfill->id };
    struct date_span same;
    enum date_answer answer = test_date(spec, test, fire.date, &same);
    if (answer == DATE_YES)
        fire.kind = FIRE_EXECUTION;
    else if (answer == DATE_FAILS)
        fire.kind = FIRE_FAILED;
    state->updated_at = now;
    usec_t next = backfill_find(spec, test, fire.date + 1, backfill->end);
    if (next == USEC_NEVER)
        trigger_backfill_end(state, spec, test, fallback, now);
    else
        backfill->current = next;
    return fire;
}

/* Skips occurrences that are later than allowed; the date to look at, or USEC_NEVER. */
static usec_t skip_late(const struct spec *spec,
                        const struct date_test *test,
                        usec_t date,
                        usec_t now)
{
    if (spec->late == 0 || date >= now - spec->late)
        return date;
    // The first occurrence that is recent enough, without walking through the ones before.
    return schedule_find(spec, test, now - spec->late - 1);
}

struct fire trigger_fire(struct trigger_state *state,
                         const struct spec *spec,
                         const struct date_test *test,
                         enum recover_missed fallback,
                         usec_t now)
{
    if (spec->kind == SPEC_POLLING) {
        state->evaluating_at = now;
        state->date = now;
        state->next_at = reach_from(now, spec->interval);
        state->updated_at = now;
        return (struct fire){ .kind = FIRE_POLL, .date = now };
    }
    if (state->backfill.start != 0)
        return fire_backfill(state, spec, test, fallback, now);

    struct fire fire = { .date = skip_late(spec, test, state->next_at, now) };
    state->updated_at = now;
    if (fire.date > now) { // everything that was due is too late
        state->next_at = stored(fire.date);
        return fire;
    }
    struct date_span same;
    enum date_answer answer = test_date(spec, test, fire.date, &same);
    if (answer == DATE_YES)
        fire.kind = FIRE_EXECUTION;
    else if (answer == DATE_FAILS)
        fire.kind = FIRE_FAILED;
    state->date = fire.date;
    state->next_at = stored(schedule_find(spec, test, fire.date));
    return fire;
}

void trigger_release(struct trigger_state *state,
                     const struct spec *spec,
                     const struct date_test *test,
                     enum recover_missed fallback,
                     bool stops,
                     usec_t now)
{
    state->execution_id = NULL;
    state->updated_at = now;
    if (stops) {
        state->disabled = true;
        state->next_at = 0;
        return;
    }
    if (!is_schedule(spec) || state->backfill.start != 0 || !trigger_is_active(state))
        return;
    enum recover_missed policy = recover_of(spec, fallback);
    if (policy != RECOVER_ALL && state->next_at != 0 && state->next_at < now)
        state->next_at = missed_next(state, spec, test, policy, now);
}

void trigger_polled(struct trigger_state *state, const struct spec *spec, usec_t now)
{
    state->evaluating_at = 0;
    state->worker_id = NULL;
    state->updated_at = now;
    usec_t next = reach_from(state->date, spec->interval);
    state->next_at = next > now ? next : now;
}

void trigger_set_disabled(struct trigger_state *state,
                          const struct spec *spec,
                          const struct date_test *test,
                          bool disabled,
                          usec_t now)
{
    if (state->disabled == disabled)
        return;
    state->disabled = disabled;
    state->updated_at = now;
    if (disabled || state->is_off) {
        state->next_at = 0;
        return;
    }
    // No catching up on the time it was disabled.
    if (spec->kind == SPEC_POLLING)
        state->next_at = now;
    else if (is_schedule(spec))
        state->next_at = stored(schedule_find(spec, test, new_after(state, now)));
}

bool trigger_backfill(struct trigger_state *state,
                      const struct spec *spec,
                      const struct date_test *test,
                      const struct backfill *wanted,
                      usec_t now,
                      struct error *err)
{
    if (!is_schedule(spec))
        return error_set(err, ERR_INVALID, "only schedules can be backfilled");
    if (state->backfill.start != 0)
        return error_set(err, ERR_CONFLICT, "a backfill of trigger '%s' is under way",
                         state->trigger_id);
    usec_t end = wanted->end == 0 ? now : wanted->end;
    if (wanted->start == 0)
        return error_set(err, ERR_INVALID, "a backfill needs a start date");
    if (wanted->start >= end)
        return error_set(err, ERR_INVALID, "the start of a backfill must be before its end");
    usec_t first = backfill_find(spec, test, wanted->start, end);
    if (first == USEC_NEVER)
        return error_set(err, ERR_INVALID, "no date of the schedule lies in the backfill");
    state->backfill = *wanted;
    state->backfill.id = now;
    state->backfill.end = end;
    state->backfill.current = first;
    state->backfill.previous_next = state->next_at;
    state->updated_at = now;
    return true;
}
