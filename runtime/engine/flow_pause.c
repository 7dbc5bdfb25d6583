/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/timefmt.h"
#include "runtime/engine/engine_internal.h"
#include "runtime/engine/flowables.h"

enum behavior { BEHAVIOR_RESUME, BEHAVIOR_WARN, BEHAVIOR_FAIL, BEHAVIOR_CANCEL };

struct props {
    usec_t duration;
    int behavior;
};

/*
 * memo: wait (usec), timesOut (the wait is the timeout), behavior, warns (ends WARNING after its
 * tasks).
 */
static bool start(struct engine *engine, struct task_run *run, struct error *err)
{
    struct props bound = { 0 };
    usec_t timeout = 0;
    if (!engine_bind(engine, run, &bound, err) || !task_timeout(engine, run, &timeout, err))
        return false;
    usec_t wait = bound.duration >= 0 ? bound.duration : timeout;
    run->memo = NULL;
    engine_put_memo(engine, run, "behavior", value_int(engine->scratch, bound.behavior));
    if (bound.duration >= 0 || timeout > 0)
        engine_put_memo(engine, run, "wait", value_int(engine->scratch, wait));
    if (bound.duration < 0)
        engine_put_memo(engine, run, "timesOut", &value_true);
    return true;
}

static void set_attempt(struct engine *engine, struct task_run *run, enum state state)
{
    struct attempt *attempt = task_run_last_attempt(run);
    if (attempt != NULL && attempt->ended_at == 0)
        attempt->state = state;
    task_run_touch(engine->execution, run);
}

static void began(struct engine *engine, struct task_run *run)
{
    engine_move(engine, run, STATE_PAUSED);
    set_attempt(engine, run, STATE_PAUSED);
    int64_t wait = value_get_int(run->memo, "wait", -1);
    if (wait >= 0)
        command_timer(engine, run, TIMER_PAUSE, engine->now + wait);
    const struct task_list *aside = task_list(run->task, SLOT_ON_PAUSE);
    if (aside == NULL || aside->count == 0)
        return;
    struct task_run *beside =
        engine_add_run(engine, &engine->memory->top, aside->items[0], run->value, run->iteration);
    beside->force_execution = run->force_execution;
}

void flowable_must_fail(struct engine *engine, struct task_run *run)
{
    struct scope *scope = run->scope;
    bool is_allowed =
        run->task->allow_failure && (scope == NULL || scope->lists[LIST_MAIN].failed == 0);
    if (scope == NULL || is_allowed || (scope->errors == NULL && scope->finally == NULL)) {
        finish_flowable(engine, run, STATE_FAILED);
        return;
    }
    engine_put_memo(engine, run, "mustFail", &value_true);
    scope->forced_fail = true;
    engine_move(engine, run, STATE_RUNNING);
    engine_changed(engine, scope);
}

/* The pause is over and its tasks, if any, run. */
static void go_on(struct engine *engine, struct task_run *run, bool warns)
{
    if (run->scope == NULL || run->scope->entries == 0) {
        finish_flowable(engine, run, warns ? STATE_WARNING : STATE_SUCCESS);
        return;
    }
    if (warns)
        engine_put_memo(engine, run, "warns", &value_true);
    set_attempt(engine, run, STATE_RUNNING);
    engine_move(engine, run, STATE_RUNNING);
    engine_changed(engine, run->scope);
}

static void put_resumed(struct engine *engine,
                        struct task_run *run,
                        const char *user,
                        enum state to)
{
    struct value_builder resumed = value_build(engine->scratch);
    value_put_text(&resumed, "by", user);
    value_put_text(&resumed, "on", time_format_instant(engine->scratch, engine->now));
    value_put_text(&resumed, "to", states[to].name);
    engine_put_output(engine, run, "resumed", value_build_map(&resumed));
}

static void timer(struct engine *engine, struct task_run *run, const struct event *event)
{
    (void)event;
    bool has_tasks = run->scope != NULL && run->scope->entries > 0;
    if (value_get_bool(run->memo, "timesOut", false)) {
        usec_t wait = value_get_int(run->memo, "wait", 0);
        command_log(engine, run, LOG_ERROR, "Timeout after %s",
                    duration_format(engine->scratch, wait));
        put_resumed(engine, run, NULL, STATE_FAILED);
        flowable_must_fail(engine, run);
        settle_resumed(engine);
        return;
    }
    switch ((enum behavior)value_get_int(run->memo, "behavior", BEHAVIOR_RESUME)) {
    case BEHAVIOR_RESUME:
        put_resumed(engine, run, NULL, has_tasks ? STATE_RUNNING : STATE_SUCCESS);
        go_on(engine, run, false);
        break;
    case BEHAVIOR_WARN:
        put_resumed(engine, run, NULL, has_tasks ? STATE_RUNNING : STATE_WARNING);
        go_on(engine, run, true);
        break;
    case BEHAVIOR_FAIL:
        put_resumed(engine, run, NULL, STATE_FAILED);
        flowable_must_fail(engine, run);
        break;
    case BEHAVIOR_CANCEL:
        put_resumed(engine, run, NULL, STATE_CANCELLED);
        settle_exit(engine, run, STATE_CANCELLED);
        return;
    }
    settle_resumed(engine);
}

static void resume(struct engine *engine, struct task_run *run, const struct event *event)
{
    bool has_tasks = run->scope != NULL && run->scope->entries > 0;
    if (run->task->inputs != NULL)
        engine_put_output(engine, run, "onResume",
                          value_is_map(event->values) ? event->values : &value_empty_map);
    put_resumed(engine, run, event->user, has_tasks ? STATE_RUNNING : STATE_SUCCESS);
    go_on(engine, run, false);
    settle_resumed(engine);
}

static enum flowable_end done(struct engine *engine, struct task_run *run, enum state *state)
{
    (void)engine;
    if (*state == STATE_SUCCESS && value_get_bool(run->memo, "warns", false))
        *state = STATE_WARNING;
    return FLOWABLE_ENDS;
}

static const struct flowable_ops ops = {
    .start = start,
    .plan = plan_tasks,
    .began = began,
    .done = done,
    .timer = timer,
    .resume = resume,
};

static const char *const behaviors[] = { "RESUME", "WARN", "FAIL", "CANCEL", NULL };

static const struct prop props[] = {
    { "pauseDuration", DURATION(struct props, duration), .flags = PROP_EXPR, .alias = "delay",
      .doc = "Ends the pause by itself after this time." },
    { "behavior", ENUM(struct props, behavior), .flags = PROP_EXPR, .fallback = "RESUME",
      .words = behaviors, .doc = "What happens when `pauseDuration` has passed." },
    { "onResume", .kind = PROP_INPUTS, .doc = "Values asked for at the resume." },
    { "onPause", .kind = PROP_TASK,
      .doc =
          "A task that runs when the pause begins, to tell people. Its result changes nothing." },
    { "tasks", .kind = PROP_TASKS, .flags = PROP_DEPRECATED,
      .doc = "Tasks that run after the pause." },
    { 0 },
};

static const struct plugin_output outputs[] = {
    { "onResume", "map", "The values given at the resume." },
    { "resumed", "map", "`by` whom, `on` which date, `to` which state." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Wait for a person, who says why.", "onResume:\n"
                                          "  - id: reason\n"
                                          "    type: STRING\n" },
    { "Wait an hour.", "pauseDuration: PT1H\n" },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.flows.Pause", NULL };

const struct plugin task_flow_pause = {
    .id = FLOW_TYPE("Pause"),
    .role = PLUGIN_TASK,
    .task_kind = TASK_FLOWABLE,
    .title = "Stop until somebody resumes the execution, or for a time.",
    .doc = "`timeout` fails the task when nobody resumes it in time. A pause costs nothing while "
           "it lasts.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .flowable_ops = &ops,
};
