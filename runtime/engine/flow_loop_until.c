/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "runtime/engine/engine_internal.h"
#include "runtime/engine/flowables.h"

struct frequency {
    int64_t max_iterations;
    usec_t max_duration;
    usec_t interval;
};

struct props {
    const char *condition;
    bool fails;
    struct frequency frequency;
};

bool loop_until_is_later_round(const struct task_run *run)
{
    return value_get_int(run->memo, "round", 0) > 0;
}

/* memo: since (when the first round began), round (from 0, absent in the first), over. */
static bool start(struct engine *engine, struct task_run *run, struct error *err)
{
    (void)err;
    if (value_get(run->memo, "since") == NULL) {
        engine_put_memo(engine, run, "since", value_int(engine->scratch, engine->now));
        engine_put_output(engine, run, "iterationCount", value_int(engine->scratch, 1));
    }
    return true;
}

static void fail_now(struct engine *engine, struct task_run *run, const char *message)
{
    command_log(engine, run, LOG_ERROR, "%s", message);
    engine_put_memo(engine, run, "over", &value_true);
    finish_flowable(engine, run, STATE_FAILED);
}

static void wait_for_next_round(struct engine *engine, struct task_run *run, usec_t interval)
{
    engine_move(engine, run, STATE_PAUSED);
    command_timer(engine, run, TIMER_LOOP, engine->now + (interval < 0 ? 0 : interval));
}

static bool is_maximum(const struct task_run *run,
                       const struct props *bound,
                       int64_t next_round,
                       usec_t now)
{
    usec_t since = value_get_int(run->memo, "since", now);
    const struct frequency *frequency = &bound->frequency;
    if (frequency->max_iterations > 0 && next_round > frequency->max_iterations)
        return true;
    return frequency->max_duration > 0 && now > since + frequency->max_duration;
}

/* After each round, before anything else is decided: is it over? */
static bool gate(struct engine *engine, struct task_run *run, struct scope *scope)
{
    bool is_round_over = scope->entries > 0 && scope_list_ended(scope, LIST_MAIN);
    const struct scope_count *main = &scope->lists[LIST_MAIN];
    if (value_get_bool(run->memo, "over", false) || !is_round_over || main->failed > 0 ||
        main->killed > 0)
        return false;
    struct props bound = { 0 };
    struct error err = { 0 };
    bool holds = false;
    bool ok = engine_bind(engine, run, &bound, &err);
    if (ok) {
        struct expr_env env = engine_env(engine, run);
        holds = expr_render_truth(&env, bound.condition, &ok, &err);
    }
    if (!ok) {
        if (err.code != ERR_UNAVAILABLE)
            fail_now(engine, run, err.text);
        return true;
    }
    effects_forget(engine, run);
    int64_t next_round = value_get_int(run->outputs, "iterationCount", 1) + 1;
    bool is_last = holds || is_maximum(run, &bound, next_round, engine->now);
    if (!holds)
        engine_put_output(engine, run, "iterationCount", value_int(engine->scratch, next_round));
    if (!is_last) {
        wait_for_next_round(engine, run, bound.frequency.interval);
        return true;
    }
    engine_put_memo(engine, run, "over", &value_true);
    if (holds || !bound.fails)
        return false;
    command_log(engine, run, LOG_ERROR, "The loop has reached its maximum");
    flowable_must_fail(engine, run);
    return true;
}

/* The next round begins as the first did: without children and attempts. */
static void timer(struct engine *engine, struct task_run *run, const struct event *event)
{
    (void)event;
    int64_t round = value_get_int(run->outputs, "iterationCount", 1) - 1;
    for (struct task_run *child = run->first_child; child != NULL; child = child->next_sibling)
        engine_remove_run(engine, child);
    memory_close_scope(engine, run);
    engine_sweep(engine);
    engine_put_memo(engine, run, "round", value_int(engine->scratch, round));
    if (run->value == NULL)
        run->iteration = round;
    run->attempts.count = 0;
    const struct state_log *log = &run->state;
    enum state again = STATE_CREATED;
    for (size_t i = 0; i < log->history.count; i++) {
        if (states[log->history.items[i].state].is_created)
            again = log->history.items[i].state;
    }
    engine_move(engine, run, again);
    settle_unpaused(engine);
    engine_queue(engine, run);
}

static const struct flowable_ops ops = {
    .start = start,
    .plan = plan_tasks,
    .gate = gate,
    .timer = timer,
    .is_anew = true,
};

static const struct prop frequency_props[] = {
    { "maxIterations", INT(struct frequency, max_iterations), .flags = PROP_EXPR, .min = 1,
      .max = INT64_MAX, .doc = "Rounds at most; no limit by default." },
    { "maxDuration", DURATION(struct frequency, max_duration), .flags = PROP_EXPR,
      .doc = "Looked at between rounds; no limit by default." },
    { "interval", DURATION(struct frequency, interval), .flags = PROP_EXPR, .fallback = "PT1M",
      .doc = "Wait between two rounds." },
    { 0 },
};

static const struct prop props[] = {
    { "condition", STR(struct props, condition), .flags = PROP_REQUIRED | PROP_EXPR | PROP_RAW,
      .doc = "Ends the loop when it holds after a round." },
    { "tasks", .kind = PROP_TASKS, .flags = PROP_REQUIRED, .doc = "One round." },
    { "failOnMaxReached", BOOL(struct props, fails), .flags = PROP_EXPR, .fallback = "false",
      .doc = "Whether the task fails when a maximum is reached." },
    { "checkFrequency", OBJECT(struct props, frequency, frequency_props),
      .doc = "How often, how long, and how fast." },
    { 0 },
};

static const struct plugin_output outputs[] = {
    { "iterationCount", "integer", "Number of the round, from 1." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Ask every ten seconds until the job is done.",
      "condition: \"{{ outputs.ask.body | jq('.status') | first == 'done' }}\"\n"
      "checkFrequency:\n"
      "  interval: PT10S\n"
      "  maxDuration: PT1H\n"
      "tasks:\n"
      "  - id: ask\n"
      "    type: io.kestra.plugin.core.http.Request\n"
      "    uri: https://example.com/jobs/1\n" },
    { 0 },
};

static const char *const aliases[] = { FLOW_TYPE("WaitFor"), NULL };

const struct plugin task_flow_loop_until = {
    .id = FLOW_TYPE("LoopUntil"),
    .role = PLUGIN_TASK,
    .task_kind = TASK_FLOWABLE,
    .title = "Repeat tasks until a condition holds.",
    .doc = "Between rounds nothing runs and nothing is held. Task runs of the last round stay.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .flowable_ops = &ops,
};
