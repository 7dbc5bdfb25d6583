/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversations with the engine as text: `build/scenarios FILE…`.
 *
 * A file holds scenarios, each after a line `=== name`. Blocks are a word with a colon and indented
 * lines:
 *
 *     flow:            the flow without id and namespace; types by their last part, `Work` is a
 * task of a fake worker runs:            all task runs, in order: dots for depth, id, [value],
 * state, xN attempts commands:        what the last line asked for (all but timers, logs, metrics)
 *
 * Lines act or expect. TASK is an id, with [value] for one of a loop, @N for the N-th of several.
 *
 *     at TIME                       the clock, before `start`; 2024-01-01T00:00:00Z by default
 *     input JSON | kind LOOP JSON | trigger TYPE JSON | breakpoints JSON | schedule TIME | no-flow
 *     start [QUEUE|CANCEL|FAIL]     admission; ends RESTARTED waits for `continue`
 *     continue [QUEUE|CANCEL|FAIL]
 *     dequeue
 *     began TASK                    the worker has begun
 *     done TASK STATE [JSON]        the worker has ended the attempt, with these outputs
 *     stale TASK N STATE            an answer for attempt N
 *     lost TASK
 *     remote TASK ID DURATION       a remote job runs; poll it later
 *     answer TASK|- FUNCTION JSON JSON|error TEXT    arguments, and the answer to an effect
 *     child TASK [#N] created|changed STATE|ended STATE [JSON]|refused TEXT
 *     child TASK [#N] shown STATE JSON       ended, and this is what expressions see in it
 *     wait DURATION                 moves the clock, timers go off
 *     kill [cascade] | pause | resume [JSON] | decide WORD [COMMENT] | restart | force-run
 *     change TASK STATE | status STATE | unqueue STATE | labels JSON | release [JSON]
 *     replay [TASK] | retry-as | restart-as       goes on with the new execution
 *     restore                       through rows and back, as a restart of the server
 *     refuses VERB … : TEXT         engine_allows() says no, with this in its text
 *
 *     state STATE | history STATES | ended | not-ended
 *     output TASK JSON | outputs JSON | attempts TASK STATES | task-history TASK STATES
 *     log [LEVEL] TEXT | no-log TEXT | label KEY VALUE | variables JSON | attempt-number N
 *     timer DURATION                the earliest timer is that far away; `none`
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/json.h"
#include "core/value.h"
#include "tests/support/engine_bed.h"

struct scenario {
    const char *file;
    unsigned line;
    const char *name;
    struct arena *arena;
    struct bed *bed;
    usec_t start_at;
    bool failed;
};

static unsigned passed_count;
static unsigned failed_count;

static void complain(struct scenario *scenario, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void complain(struct scenario *scenario, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "%s:%u: %s: ", scenario->file, scenario->line, scenario->name);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    scenario->failed = true;
}

/* ---- words ---- */

/* Takes the next word; NULL at the end. */
static char *word(struct scenario *scenario, const char **rest)
{
    while (**rest == ' ')
        (*rest)++;
    size_t length = strcspn(*rest, " ");
    const char *open = memchr(*rest, '[', length);
    const char *close = open == NULL ? NULL : strstr(open, "] ");
    if (open != NULL && open != *rest && memchr(open, ']', length - (size_t)(open - *rest)) == NULL)
        length = close == NULL ? strlen(*rest) : (size_t)(close - *rest) + 1; // a value with spaces
    if (length == 0)
        return NULL;
    char *taken = arena_strndup(scenario->arena, *rest, length);
    *rest += length;
    while (**rest == ' ')
        (*rest)++;
    return taken;
}

static const struct value *json_of(struct scenario *scenario, const char *text)
{
    struct error err = { 0 };
    if (text == NULL || *text == '\0')
        return NULL;
    const struct value *value = json_parse(scenario->arena, text, strlen(text), &err);
    if (value == NULL)
        complain(scenario, "not JSON: %s (%s)", text, err.text);
    return value;
}

/* Takes one JSON value from the front, by counting brackets and quotes. */
static const struct value *take_json(struct scenario *scenario, const char **rest)
{
    size_t depth = 0;
    bool quoted = false;
    size_t i = 0;
    for (; (*rest)[i] != '\0'; i++) {
        char c = (*rest)[i];
        if (c == '"' && (i == 0 || (*rest)[i - 1] != '\\'))
            quoted = !quoted;
        if (!quoted && (c == '{' || c == '['))
            depth++;
        if (!quoted && (c == '}' || c == ']'))
            depth--;
        if (!quoted && depth == 0 && c == ' ')
            break;
    }
    const char *text = arena_strndup(scenario->arena, *rest, i);
    *rest += i;
    while (**rest == ' ')
        (*rest)++;
    return json_of(scenario, text);
}

static enum state state_of(struct scenario *scenario, const char *name)
{
    enum state state = STATE_SUCCESS;
    if (name == NULL || !state_parse(name, &state))
        complain(scenario, "no state: %s", name == NULL ? "" : name);
    return state;
}

static usec_t span_of(struct scenario *scenario, const char *text)
{
    usec_t span = 0;
    if (text == NULL || !duration_parse(text, &span, NULL, NULL))
        complain(scenario, "no duration: %s", text == NULL ? "" : text);
    return span;
}

static enum admission admission_of(const char *name)
{
    if (str_eq(name, "QUEUE"))
        return ADMIT_QUEUE;
    if (str_eq(name, "CANCEL"))
        return ADMIT_CANCEL;
    return str_eq(name, "FAIL") ? ADMIT_FAIL : ADMIT_RUN;
}

/* id[value]@n */
static struct task_run *find_run(struct scenario *scenario, const char *name)
{
    char *id = arena_strdup(scenario->arena, name == NULL ? "" : name);
    size_t nth = 0;
    char *at = strrchr(id, '@');
    if (at != NULL) {
        nth = (size_t)strtoul(at + 1, NULL, 10);
        *at = '\0';
    }
    const char *value = NULL;
    char *open = strchr(id, '[');
    if (open != NULL && id[strlen(id) - 1] == ']') {
        id[strlen(id) - 1] = '\0';
        *open = '\0';
        value = open + 1;
    }
    return bed_run(scenario->bed, id, value, nth);
}

static struct task_run *need_run(struct scenario *scenario, const char *name)
{
    struct task_run *run = find_run(scenario, name);
    if (run == NULL)
        complain(scenario, "no task run %s", name == NULL ? "" : name);
    return run;
}

/* ---- acting ---- */

typedef void line_fn(struct scenario *scenario, const char *rest);

/* RESTORE=1: the server is restarted after every event. Nothing else may change. */
static bool restores;

static void restart_server(struct scenario *scenario)
{
    if (restores)
        bed_restore(scenario->bed);
}

static void step(struct scenario *scenario, struct event event)
{
    bed_step(scenario->bed, event);
    restart_server(scenario);
}

static void do_at(struct scenario *scenario, const char *rest)
{
    usec_t at = 0;
    if (!time_parse_instant(rest, &at, NULL, NULL))
        complain(scenario, "no instant: %s", rest);
    scenario->start_at = at;
}

static void do_input(struct scenario *scenario, const char *rest)
{
    struct execution *execution = scenario->bed->execution;
    execution->inputs = value_copy(execution->arena, json_of(scenario, rest));
}

static void do_kind(struct scenario *scenario, const char *rest)
{
    struct execution *execution = scenario->bed->execution;
    (void)word(scenario, &rest);
    execution->kind = KIND_LOOP;
    execution->loop = value_copy(execution->arena, json_of(scenario, rest));
}

static void do_trigger(struct scenario *scenario, const char *rest)
{
    struct execution *execution = scenario->bed->execution;
    execution->trigger_id = "trigger";
    execution->trigger_type = arena_strdup(execution->arena, word(scenario, &rest));
    execution->trigger_variables = value_copy(execution->arena, json_of(scenario, rest));
}

static void do_breakpoints(struct scenario *scenario, const char *rest)
{
    struct execution *execution = scenario->bed->execution;
    execution->breakpoints = value_copy(execution->arena, json_of(scenario, rest));
}

static void do_schedule(struct scenario *scenario, const char *rest)
{
    if (!time_parse_instant(rest, &scenario->bed->execution->schedule_at, NULL, NULL))
        complain(scenario, "no instant: %s", rest);
}

static void do_no_flow(struct scenario *scenario, const char *rest)
{
    (void)rest;
    flow_unref(scenario->bed->execution->flow);
    scenario->bed->execution->flow = NULL;
}

static void do_start(struct scenario *scenario, const char *rest)
{
    scenario->bed->admission = admission_of(word(scenario, &rest));
    step(scenario, (struct event){ .type = EVENT_START, .admission = scenario->bed->admission });
    scenario->bed->admission = ADMIT_RUN;
}

static void do_continue(struct scenario *scenario, const char *rest)
{
    enum admission admission = admission_of(word(scenario, &rest));
    step(scenario, (struct event){ .type = EVENT_CONTINUE, .admission = admission });
}

static void do_dequeue(struct scenario *scenario, const char *rest)
{
    (void)rest;
    step(scenario, (struct event){ .type = EVENT_DEQUEUED });
}

static void do_began(struct scenario *scenario, const char *rest)
{
    const struct task_run *run = need_run(scenario, word(scenario, &rest));
    if (run != NULL)
        step(scenario, (struct event){ .type = EVENT_RUN_STARTED,
                                       .run_id = run->id.text,
                                       .attempt = bed_attempt(scenario->bed, run),
                                       .worker = "worker" });
}

static void do_done(struct scenario *scenario, const char *rest)
{
    const struct task_run *run = need_run(scenario, word(scenario, &rest));
    enum state state = state_of(scenario, word(scenario, &rest));
    const char *message = state == STATE_FAILED ? "it failed" : NULL;
    if (run == NULL)
        return;
    bed_end_run(scenario->bed, run, state, json_of(scenario, rest), message);
    restart_server(scenario);
}

static void do_stale(struct scenario *scenario, const char *rest)
{
    const struct task_run *run = need_run(scenario, word(scenario, &rest));
    const char *attempt = word(scenario, &rest);
    enum state state = state_of(scenario, word(scenario, &rest));
    if (run != NULL && attempt != NULL)
        step(scenario, (struct event){ .type = EVENT_RUN_ENDED,
                                       .run_id = run->id.text,
                                       .attempt = (uint32_t)strtoul(attempt, NULL, 10),
                                       .state = state });
}

static void do_lost(struct scenario *scenario, const char *rest)
{
    const struct task_run *run = need_run(scenario, word(scenario, &rest));
    if (run != NULL)
        step(scenario, (struct event){ .type = EVENT_RUN_LOST,
                                       .run_id = run->id.text,
                                       .attempt = bed_attempt(scenario->bed, run) });
}

static void do_remote(struct scenario *scenario, const char *rest)
{
    const struct task_run *run = need_run(scenario, word(scenario, &rest));
    const char *id = word(scenario, &rest);
    usec_t after = span_of(scenario, word(scenario, &rest));
    if (run != NULL)
        step(scenario, (struct event){ .type = EVENT_RUN_REMOTE,
                                       .run_id = run->id.text,
                                       .attempt = bed_attempt(scenario->bed, run),
                                       .remote_id = id,
                                       .wake_at = scenario->bed->now + after });
}

static void do_answer(struct scenario *scenario, const char *rest)
{
    const char *name = word(scenario, &rest);
    const struct task_run *run = str_eq(name, "-") ? NULL : need_run(scenario, name);
    const char *function = word(scenario, &rest);
    const struct value *arguments = take_json(scenario, &rest);
    bool is_error = str_starts(rest, "error ");
    step(scenario, (struct event){
                       .type = EVENT_EVALUATED,
                       .run_id = run == NULL ? NULL : run->id.text,
                       .key = engine_answer_key(scenario->arena, function, arguments),
                       .is_error = is_error,
                       .message = is_error ? rest + strlen("error ") : NULL,
                       .values = is_error ? NULL : json_of(scenario, rest),
                   });
}

static void do_child(struct scenario *scenario, const char *rest)
{
    const struct task_run *run = need_run(scenario, word(scenario, &rest));
    struct event event = { .iteration = -1 };
    if (run == NULL)
        return;
    event.run_id = run->id.text;
    if (*rest == '#')
        event.iteration = strtoll(word(scenario, &rest) + 1, NULL, 10);
    event.child_id = bed_child_id(scenario->bed, run, event.iteration);
    const char *what = word(scenario, &rest);
    if (str_eq(what, "refused")) {
        event.type = EVENT_CHILD_REFUSED;
        event.message = rest;
    } else if (str_eq(what, "created")) {
        event.type = EVENT_CHILD_CREATED;
    } else {
        event.type = str_eq(what, "changed") ? EVENT_CHILD_CHANGED : EVENT_CHILD_ENDED;
        event.state = state_of(scenario, word(scenario, &rest));
        if (str_eq(what, "shown"))
            event.context = json_of(scenario, rest);
        else
            event.outputs = json_of(scenario, rest);
    }
    step(scenario, event);
}

static void do_wait(struct scenario *scenario, const char *rest)
{
    bed_advance(scenario->bed, scenario->bed->now + span_of(scenario, word(scenario, &rest)));
}

static void do_kill(struct scenario *scenario, const char *rest)
{
    step(scenario, (struct event){ .type = EVENT_KILL, .is_cascade = str_eq(rest, "cascade") });
}

static void do_pause(struct scenario *scenario, const char *rest)
{
    (void)rest;
    step(scenario, (struct event){ .type = EVENT_PAUSE });
}

static void do_resume(struct scenario *scenario, const char *rest)
{
    step(scenario,
         (struct event){ .type = EVENT_RESUME, .values = json_of(scenario, rest), .user = "ann" });
}

static void do_decide(struct scenario *scenario, const char *rest)
{
    const char *decision = word(scenario, &rest);
    step(scenario, (struct event){ .type = EVENT_DECIDE,
                                   .key = decision,
                                   .comment = *rest == '\0' ? NULL : rest,
                                   .user = "ann" });
}

static void do_restart(struct scenario *scenario, const char *rest)
{
    (void)rest;
    scenario->bed->ended = 0;
    step(scenario, (struct event){ .type = EVENT_RESTART });
}

static void do_force_run(struct scenario *scenario, const char *rest)
{
    (void)rest;
    step(scenario, (struct event){ .type = EVENT_FORCE_RUN });
}

static void do_change(struct scenario *scenario, const char *rest)
{
    scenario->bed->ended = 0;
    const struct task_run *run = need_run(scenario, word(scenario, &rest));
    enum state state = state_of(scenario, word(scenario, &rest));
    if (run != NULL)
        step(scenario,
             (struct event){ .type = EVENT_CHANGE_RUN, .run_id = run->id.text, .state = state });
}

static void do_status(struct scenario *scenario, const char *rest)
{
    step(scenario, (struct event){ .type = EVENT_CHANGE_STATE, .state = state_of(scenario, rest) });
}

static void do_unqueue(struct scenario *scenario, const char *rest)
{
    step(scenario, (struct event){ .type = EVENT_UNQUEUE, .state = state_of(scenario, rest) });
}

static void do_labels(struct scenario *scenario, const char *rest)
{
    step(scenario, (struct event){ .type = EVENT_SET_LABELS,
                                   .values = json_of(scenario, rest),
                                   .is_replace = true });
}

static void do_release(struct scenario *scenario, const char *rest)
{
    step(scenario,
         (struct event){ .type = EVENT_BREAKPOINT_RESUME, .values = json_of(scenario, rest) });
}

static void go_on_with(struct scenario *scenario, struct execution *execution, struct error *err)
{
    if (execution == NULL) {
        complain(scenario, "refused: %s", err->text);
        return;
    }
    execution_free(scenario->bed->execution);
    scenario->bed->execution = execution;
    scenario->bed->timers.count = 0;
    scenario->bed->ended = 0;
}

static struct id next_id(const struct scenario *scenario)
{
    return id_derive(scenario->bed->execution->id.text, "next", 4);
}

static void do_replay(struct scenario *scenario, const char *rest)
{
    struct bed *bed = scenario->bed;
    struct error err = { 0 };
    struct id id = next_id(scenario);
    const char *name = word(scenario, &rest);
    const struct task_run *run = name == NULL ? NULL : need_run(scenario, name);
    struct execution *next = engine_replay(bed->execution, bed->flow, &id,
                                           run == NULL ? NULL : run->id.text, NULL, bed->now, &err);
    go_on_with(scenario, next, &err);
}

static void do_retry_as(struct scenario *scenario, const char *rest)
{
    (void)rest;
    struct error err = { 0 };
    struct id id = next_id(scenario);
    go_on_with(scenario, engine_retry_as(scenario->bed->execution, &id, scenario->bed->now), &err);
}

static void do_restart_as(struct scenario *scenario, const char *rest)
{
    (void)rest;
    struct bed *bed = scenario->bed;
    struct error err = { 0 };
    struct id id = next_id(scenario);
    go_on_with(scenario, engine_restart_as(bed->execution, bed->flow, &id, bed->now, &err), &err);
}

static void do_restore(struct scenario *scenario, const char *rest)
{
    (void)rest;
    bed_restore(scenario->bed);
}

/* ---- expecting ---- */

static void expect_text(struct scenario *scenario,
                        const char *what,
                        const char *expected,
                        const char *found)
{
    if (strcmp(expected, found) != 0)
        complain(scenario, "%s\n--- expected\n%s\n--- found\n%s", what, expected, found);
}

static void expect_json(struct scenario *scenario,
                        const char *what,
                        const char *expected,
                        const struct value *found)
{
    const struct value *wanted = json_of(scenario, expected);
    if (wanted == NULL)
        return;
    expect_text(scenario, what, value_to_json(scenario->arena, wanted),
                found == NULL ? "" : value_to_json(scenario->arena, found));
}

static void do_state(struct scenario *scenario, const char *rest)
{
    expect_text(scenario, "state", rest, states[scenario->bed->execution->state.current].name);
}

static void do_history(struct scenario *scenario, const char *rest)
{
    struct buf out = { 0 };
    bed_write_history(&scenario->bed->execution->state, &out);
    expect_text(scenario, "history", rest, buf_text(&out));
    buf_free(&out);
}

static void do_ended(struct scenario *scenario, const char *rest)
{
    (void)rest;
    if (!scenario->bed->execution->fully_ended || scenario->bed->ended != 1)
        complain(scenario, "not ended once, but %zu times", scenario->bed->ended);
}

static void do_not_ended(struct scenario *scenario, const char *rest)
{
    (void)rest;
    if (scenario->bed->execution->fully_ended)
        complain(scenario, "ended already");
}

static void do_output(struct scenario *scenario, const char *rest)
{
    const struct task_run *run = need_run(scenario, word(scenario, &rest));
    if (run != NULL)
        expect_json(scenario, "output", rest, run->outputs);
}

static void do_outputs(struct scenario *scenario, const char *rest)
{
    expect_json(scenario, "outputs", rest, scenario->bed->execution->outputs);
}

static void do_attempts(struct scenario *scenario, const char *rest)
{
    const struct task_run *run = need_run(scenario, word(scenario, &rest));
    struct buf out = { 0 };
    for (size_t i = 0; run != NULL && i < run->attempts.count; i++)
        buf_printf(&out, "%s%s", i == 0 ? "" : ", ", states[run->attempts.items[i].state].name);
    expect_text(scenario, "attempts", rest, buf_text(&out));
    buf_free(&out);
}

static void do_task_history(struct scenario *scenario, const char *rest)
{
    const struct task_run *run = need_run(scenario, word(scenario, &rest));
    struct buf out = { 0 };
    if (run != NULL)
        bed_write_history(&run->state, &out);
    expect_text(scenario, "task history", rest, buf_text(&out));
    buf_free(&out);
}

static bool has_log(const struct scenario *scenario, const char *level, const char *text)
{
    static const char *const levels[] = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR" };
    for (size_t i = 0; i < scenario->bed->logs.count; i++) {
        const struct bed_log *log = &scenario->bed->logs.items[i];
        if (strstr(log->text, text) != NULL && (level == NULL || str_eq(levels[log->level], level)))
            return true;
    }
    return false;
}

static void do_log(struct scenario *scenario, const char *rest)
{
    const char *text = rest;
    const char *level = word(scenario, &rest);
    bool is_level = str_eq(level, "TRACE") || str_eq(level, "DEBUG") || str_eq(level, "INFO") ||
                    str_eq(level, "WARN") || str_eq(level, "ERROR");
    if (has_log(scenario, is_level ? level : NULL, is_level ? rest : text))
        return;
    struct buf out = { 0 };
    for (size_t i = 0; i < scenario->bed->logs.count; i++)
        buf_printf(&out, "%s\n", scenario->bed->logs.items[i].text);
    complain(scenario, "no such line; there are\n%s", buf_text(&out));
    buf_free(&out);
}

static void do_no_log(struct scenario *scenario, const char *rest)
{
    if (has_log(scenario, NULL, rest))
        complain(scenario, "such a line was logged");
}

static void do_label(struct scenario *scenario, const char *rest)
{
    const char *key = word(scenario, &rest);
    const char *found = execution_label(scenario->bed->execution, key == NULL ? "" : key);
    expect_text(scenario, "label", rest, found == NULL ? "" : found);
}

static void do_variables(struct scenario *scenario, const char *rest)
{
    expect_json(scenario, "variables", rest, scenario->bed->execution->variables);
}

static void do_attempt_number(struct scenario *scenario, const char *rest)
{
    if (strtoll(rest, NULL, 10) != scenario->bed->execution->attempt_number)
        complain(scenario, "attempt number is %lld",
                 (long long)scenario->bed->execution->attempt_number);
}

static void do_timer(struct scenario *scenario, const char *rest)
{
    usec_t next = bed_next_timer(scenario->bed);
    bool none = next == USEC_NEVER;
    const char *found = none ? "none" : duration_format(scenario->arena, next - scenario->bed->now);
    expect_text(scenario, "timer", rest, found);
}

static void do_refuses(struct scenario *scenario, const char *rest)
{
    static const struct {
        const char *name;
        enum event_type type;
    } operations[] = {
        { "kill", EVENT_KILL },
        { "pause", EVENT_PAUSE },
        { "resume", EVENT_RESUME },
        { "decide", EVENT_DECIDE },
        { "restart", EVENT_RESTART },
        { "change", EVENT_CHANGE_RUN },
        { "status", EVENT_CHANGE_STATE },
        { "unqueue", EVENT_UNQUEUE },
        { "force-run", EVENT_FORCE_RUN },
        { "labels", EVENT_SET_LABELS },
        { "release", EVENT_BREAKPOINT_RESUME },
    };
    const char *verb = word(scenario, &rest);
    const char *colon = strstr(rest, ": ");
    struct event event = { .iteration = -1 };
    const char *first = *rest == ':' ? NULL : word(scenario, &rest);
    const char *second = first == NULL || *rest == ':' ? NULL : word(scenario, &rest);
    struct error err = { 0 };
    if (str_eq(verb, "change") && find_run(scenario, first) != NULL)
        event.run_id = find_run(scenario, first)->id.text;
    if (str_eq(verb, "decide"))
        event.key = first;
    const char *state = str_eq(verb, "change") ? second : first;
    if (state != NULL && !str_eq(verb, "decide"))
        event.state = state_of(scenario, state);
    for (size_t i = 0; i < COUNT_OF(operations); i++) {
        if (!str_eq(operations[i].name, verb))
            continue;
        if (engine_allows(scenario->bed->execution, operations[i].type, &event, &err))
            complain(scenario, "allowed");
        else if (colon != NULL && strstr(err.text, colon + 2) == NULL)
            complain(scenario, "refused with: %s", err.text);
        return;
    }
    complain(scenario, "no such operation: %s", verb);
}

static const struct {
    const char *verb;
    line_fn *run;
} verbs[] = {
    { "at", do_at },
    { "input", do_input },
    { "kind", do_kind },
    { "trigger", do_trigger },
    { "breakpoints", do_breakpoints },
    { "schedule", do_schedule },
    { "no-flow", do_no_flow },
    { "start", do_start },
    { "continue", do_continue },
    { "dequeue", do_dequeue },
    { "began", do_began },
    { "done", do_done },
    { "stale", do_stale },
    { "lost", do_lost },
    { "remote", do_remote },
    { "answer", do_answer },
    { "child", do_child },
    { "wait", do_wait },
    { "kill", do_kill },
    { "pause", do_pause },
    { "resume", do_resume },
    { "decide", do_decide },
    { "restart", do_restart },
    { "force-run", do_force_run },
    { "change", do_change },
    { "status", do_status },
    { "unqueue", do_unqueue },
    { "labels", do_labels },
    { "release", do_release },
    { "replay", do_replay },
    { "retry-as", do_retry_as },
    { "restart-as", do_restart_as },
    { "restore", do_restore },
    { "refuses", do_refuses },
    { "state", do_state },
    { "history", do_history },
    { "ended", do_ended },
    { "not-ended", do_not_ended },
    { "output", do_output },
    { "outputs", do_outputs },
    { "attempts", do_attempts },
    { "task-history", do_task_history },
    { "log", do_log },
    { "no-log", do_no_log },
    { "label", do_label },
    { "variables", do_variables },
    { "attempt-number", do_attempt_number },
    { "timer", do_timer },
};

static void run_line(struct scenario *scenario, const char *line)
{
    const char *rest = line;
    const char *verb = word(scenario, &rest);
    if (scenario->bed == NULL && !str_eq(verb, "at")) {
        complain(scenario, "no flow yet");
        return;
    }
    for (size_t i = 0; i < COUNT_OF(verbs); i++) {
        if (str_eq(verbs[i].verb, verb)) {
            verbs[i].run(scenario, rest);
            return;
        }
    }
    complain(scenario, "no such line: %s", line);
}

/* ---- files ---- */

static void run_block(struct scenario *scenario, const char *name, const char *text)
{
    struct buf out = { 0 };
    if (str_eq(name, "flow")) {
        bed_free(scenario->bed);
        scenario->bed = bed_new(bed_flow(text), scenario->start_at);
    } else if (scenario->bed == NULL) {
        complain(scenario, "no flow yet");
    } else if (str_eq(name, "runs")) {
        bed_write_runs(scenario->bed, &out);
        expect_text(scenario, "task runs", text, buf_text(&out));
    } else if (str_eq(name, "commands") && !restores) {
        bed_write_commands(scenario->bed, &out);
        struct buf kept = { 0 };
        for (const char *at = buf_text(&out); *at != '\0';) {
            size_t length = strcspn(at, "\n") + 1;
            if (!str_starts(at, "metric "))
                buf_add(&kept, at, length);
            at += length;
        }
        expect_text(scenario, "commands", text, buf_text(&kept));
        buf_free(&kept);
    } else if (!str_eq(name, "commands")) {
        complain(scenario, "no such block: %s", name);
    }
    buf_free(&out);
}

static bool is_comment(const char *line)
{
    return *line == '\0' || *line == '#';
}

static void end_scenario(struct scenario *scenario)
{
    if (scenario->name == NULL)
        return;
    if (scenario->failed)
        failed_count++;
    else
        passed_count++;
    bed_free(scenario->bed);
    scenario->bed = NULL;
}

static void run_file(const char *path, const char *only)
{
    struct error err = { 0 };
    struct scenario scenario = { .file = path, .arena = arena_new() };
    size_t length = 0;
    const char *text = fs_read(scenario.arena, path, 16U << 20U, &length, &err);
    if (text == NULL) {
        (void)fprintf(stderr, "%s\n", err.text);
        failed_count++;
        arena_free(scenario.arena);
        return;
    }
    struct buf block = { 0 };
    char *block_name = NULL;
    unsigned number = 0;
    bool skips = false;
    while (true) {
        bool at_end = *text == '\0';
        size_t line_length = strcspn(text, "\n");
        const char *line = arena_strndup(scenario.arena, text, line_length);
        text += line_length + (text[line_length] == '\n' ? 1 : 0);
        number++;
        if (block_name != NULL && str_starts(line, "  ")) {
            buf_printf(&block, "%s\n", line + 2);
            continue;
        }
        if (block_name != NULL && !skips && !scenario.failed)
            run_block(&scenario, block_name, buf_text(&block));
        block_name = NULL;
        buf_clear(&block);
        scenario.line = number;
        if (at_end)
            break;
        if (str_starts(line, "=== ")) {
            if (!skips)
                end_scenario(&scenario);
            scenario.name = line + 4;
            scenario.failed = false;
            scenario.start_at = 1704067200 * USEC_SEC;
            skips = only != NULL && strstr(scenario.name, only) == NULL;
            if (skips)
                scenario.name = NULL;
        } else if (skips || scenario.failed || is_comment(line)) {
            continue;
        } else if (line[strlen(line) - 1] == ':' && strchr(line, ' ') == NULL) {
            block_name = arena_strndup(scenario.arena, line, strlen(line) - 1);
        } else {
            run_line(&scenario, line);
        }
    }
    if (!skips)
        end_scenario(&scenario);
    buf_free(&block);
    arena_free(scenario.arena);
}

int main(int argc, char **argv)
{
    const char *only = getenv("SCENARIO");
    restores = str_eq(getenv("RESTORE"), "1");
    for (int i = 1; i < argc; i++)
        run_file(argv[i], only != NULL && *only != '\0' ? only : NULL);
    (void)printf("%u scenarios passed, %u failed\n", passed_count, failed_count);
    return failed_count == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
