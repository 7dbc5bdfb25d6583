/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/generate.h"

#include <stddef.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/rng.h"

#define DEPTH_MAX 3
#define TASKS_MAX 32

struct maker {
    struct rng *rng;
    const struct grammar *grammar;
    struct buf *out;
    int tasks;
    bool is_after; /* afterExecution: no pauses, nobody could end them */
};

/* A kind of task: how often, and its properties. */
struct construct {
    unsigned weight;
    void (*write)(struct maker *maker, int depth, int level);
};

static bool chance(struct maker *maker, unsigned percent)
{
    return rng_below(maker->rng, 100) < percent;
}

static unsigned below(struct maker *maker, unsigned bound)
{
    return (unsigned)rng_below(maker->rng, bound);
}

static void indent(struct maker *maker, int depth)
{
    for (int i = 0; i < depth; i++)
        buf_puts(maker->out, "  ");
}

static void line(struct maker *maker, int depth, const char *text)
{
    indent(maker, depth);
    buf_puts(maker->out, text);
    buf_putc(maker->out, '\n');
}

/* One of an array of texts. */
#define PICK(maker, texts) (texts)[below((maker), (unsigned)COUNT_OF(texts))]

static void write_one(
    struct maker *maker, const struct construct *table, size_t count, int depth, int level)
{
    unsigned total = 0;
    for (size_t i = 0; i < count; i++)
        total += table[i].weight;
    unsigned dice = below(maker, total);
    size_t at = 0;
    while (dice >= table[at].weight)
        dice -= table[at++].weight;
    table[at].write(maker, depth, level);
}

/* ---- properties of all tasks ---- */

static void retry(struct maker *maker, int depth)
{
    static const char *const retries[] = {
        "retry: {type: constant, interval: PT1S, maxAttempts: 2}",
        "retry: {type: constant, interval: PT2S, maxAttempts: 3, warningOnRetry: true}",
        "retry: {type: constant, interval: PT3S, maxDuration: PT10S}",
        "retry: {type: exponential, interval: PT1S, maxInterval: PT5S, maxAttempts: 4}",
        "retry: {type: exponential, interval: PT1S, maxInterval: PT20S, delayFactor: 3, "
        "maxAttempts: 4}",
        "retry: {type: random, minInterval: PT1S, maxInterval: PT3S, maxAttempts: 3}",
    };
    if (chance(maker, 10))
        line(maker, depth,
             "retry: {type: constant, interval: PT1S, maxAttempts: 3, behavior: "
             "CREATE_NEW_EXECUTION}");
    else if (maker->grammar->has_slow && chance(maker, 15))
        line(maker, depth, "retry: {type: constant, interval: PT1M, maxAttempts: 2}");
    else
        line(maker, depth, PICK(maker, retries));
}

static void common(struct maker *maker, int depth, bool is_flowable)
{
    static const char *const conditions[] = {
        "runIf: \"true\"",
        "runIf: \"{{ 1 == 2 }}\"",
        "runIf: \"{{ flow.id == 'flow' }}\"",
        "runIf: \"{{ nope.x }}\"",
        "runIf: \"{{ kv('go') }}\"",
    };
    if (chance(maker, 10))
        line(maker, depth, "allowFailure: true");
    if (chance(maker, 6))
        line(maker, depth, "allowWarning: true");
    if (chance(maker, 4))
        line(maker, depth, "disabled: true");
    if (chance(maker, 10))
        line(maker, depth, PICK(maker, conditions));
    if (chance(maker, is_flowable ? 8 : 18))
        retry(maker, depth);
}

static void task(struct maker *maker, int depth, int level, bool runnable_only);

static void list(struct maker *maker, int depth, int level, const char *name, unsigned max)
{
    unsigned count = 1 + below(maker, max);
    indent(maker, depth);
    buf_printf(maker->out, "%s:\n", name);
    for (unsigned i = 0; i < count; i++)
        task(maker, depth + 1, level, false);
}

/* errors and finally of a flowable. */
static void branches(struct maker *maker, int depth, int level)
{
    if (chance(maker, 25))
        list(maker, depth, level + 1, "errors", 2);
    if (chance(maker, 20))
        list(maker, depth, level + 1, "finally", 2);
}

/* ---- tasks without children ---- */

static void work(struct maker *maker, int depth, int level)
{
    (void)level;
    line(maker, depth, "type: Work");
    line(maker, depth, "say: \"{{ task.id }}\"");
    if (chance(maker, 8))
        line(maker, depth, "timeout: PT1S");
}

static void process(struct maker *maker, int depth, int level)
{
    (void)level;
    line(maker, depth, "type: io.weir.test.Process");
    if (chance(maker, 50))
        line(maker, depth, "timeout: PT5S");
}

static void remote(struct maker *maker, int depth, int level)
{
    (void)level;
    line(maker, depth, "type: Remote");
    line(maker, depth, "say: \"{{ taskrun.value ?? 'none' }}\"");
}

static void cached(struct maker *maker, int depth, int level)
{
    (void)level;
    line(maker, depth, "type: Work");
    line(maker, depth,
         chance(maker, 50) ? "taskCache: {enabled: true}"
                           : "taskCache: {enabled: true, ttl: PT10S}");
}

static void fail(struct maker *maker, int depth, int level)
{
    (void)level;
    line(maker, depth, "type: Fail");
    if (chance(maker, 30))
        line(maker, depth, "condition: \"{{ kv('go') }}\"");
}

static void log_lines(struct maker *maker, int depth, int level)
{
    (void)level;
    line(maker, depth, "type: Log");
    line(maker, depth, "message: [one, \"{{ task.id }}\"]");
}

static void output_values(struct maker *maker, int depth, int level)
{
    (void)level;
    line(maker, depth, "type: OutputValues");
    line(maker, depth, "values: {a: 1, b: \"{{ flow.id }}\"}");
}

static void sleep_task(struct maker *maker, int depth, int level)
{
    (void)level;
    line(maker, depth, "type: Sleep");
    line(maker, depth, "duration: PT2S");
    if (chance(maker, 30))
        line(maker, depth, "timeout: PT1S");
}

static void return_value(struct maker *maker, int depth, int level)
{
    (void)level;
    line(maker, depth, "type: Return");
    line(maker, depth,
         chance(maker, 50) ? "format: \"{{ secret('s') }}\"" : "format: \"{{ kv('go') }}\"");
}

static void labels(struct maker *maker, int depth, int level)
{
    (void)level;
    line(maker, depth, "type: Labels");
    line(maker, depth, "labels: {seen: \"{{ task.id }}\"}");
}

static void variables(struct maker *maker, int depth, int level)
{
    (void)level;
    if (chance(maker, 30)) {
        line(maker, depth, "type: UnsetVariables");
        line(maker, depth, "variables: [v]");
        line(maker, depth, chance(maker, 50) ? "ignoreMissing: true" : "ignoreMissing: false");
        return;
    }
    line(maker, depth, "type: SetVariables");
    line(maker, depth, "variables: {v: \"{{ task.id }}\"}");
    line(maker, depth, chance(maker, 30) ? "overwrite: false" : "overwrite: true");
}

static void templated(struct maker *maker, int depth, int level)
{
    (void)level;
    line(maker, depth, "type: TemplatedTask");
    line(maker, depth,
         chance(maker, 50) ? "spec: \"{type: io.weir.test.Work, say: x}\""
                           : "spec: \"{type: io.kestra.plugin.core.debug.Return, format: x}\"");
}

static const struct construct runnables[] = {
    { 6, work },         { 2, process },   { 2, remote },     { 2, cached },
    { 2, fail },         { 1, log_lines }, { 1, sleep_task }, { 1, output_values },
    { 1, return_value }, { 1, labels },    { 1, variables },  { 1, templated },
};

static void runnable(struct maker *maker, int depth, int level)
{
    write_one(maker, runnables, COUNT_OF(runnables), depth, level);
    common(maker, depth, false);
}

/* ---- tasks that end the execution, or start another ---- */

static void end_of_all(struct maker *maker, int depth, int level)
{
    static const char *const exits[] = { "state: SUCCESS", "state: WARNING", "state: KILLED",
                                         "state: FAILED", "state: CANCELLED" };
    (void)level;
    if (chance(maker, 70)) {
        line(maker, depth, "type: Exit");
        line(maker, depth, PICK(maker, exits));
    } else {
        line(maker, depth, "type: Kill");
        if (chance(maker, 50))
            line(maker, depth, "propagateKill: true");
    }
}

static void call(struct maker *maker, int depth)
{
    indent(maker, depth);
    buf_printf(maker->out, "namespace: %s\n", maker->grammar->namespace);
    line(maker, depth, "flowId: child");
    if (chance(maker, 20))
        line(maker, depth, "wait: false");
    if (chance(maker, 25))
        line(maker, depth, "transmitFailed: false");
    if (chance(maker, 20))
        line(maker, depth, "restartBehavior: NEW_EXECUTION");
}

static void subflow(struct maker *maker, int depth, int level)
{
    (void)level;
    line(maker, depth, "type: Subflow");
    call(maker, depth);
    common(maker, depth, false);
}

/* ---- flowables ---- */

static void sequential(struct maker *maker, int depth, int level)
{
    line(maker, depth, "type: Sequential");
    list(maker, depth, level + 1, "tasks", 3);
    branches(maker, depth, level);
}

static void parallel(struct maker *maker, int depth, int level)
{
    line(maker, depth, "type: Parallel");
    if (chance(maker, 40))
        line(maker, depth, chance(maker, 50) ? "concurrent: 1" : "concurrent: 2");
    list(maker, depth, level + 1, "tasks", 3);
    branches(maker, depth, level);
}

static void dag(struct maker *maker, int depth, int level)
{
    unsigned count = 1 + below(maker, 4);
    int ids[4];
    line(maker, depth, "type: Dag");
    if (chance(maker, 30))
        line(maker, depth, "concurrent: 2");
    line(maker, depth, "tasks:");
    for (unsigned i = 0; i < count; i++) {
        ids[i] = maker->tasks;
        line(maker, depth + 1, "- task:");
        indent(maker, depth + 3);
        buf_printf(maker->out, "id: t%d\n", maker->tasks++);
        runnable(maker, depth + 3, level);
        if (i > 0 && chance(maker, 60)) {
            indent(maker, depth + 2);
            buf_printf(maker->out, "dependsOn: [t%d", ids[below(maker, i)]);
            if (i > 1 && chance(maker, 40))
                buf_printf(maker->out, ", t%d", ids[i - 1]);
            buf_puts(maker->out, "]\n");
        }
    }
    branches(maker, depth, level);
}

static void values(struct maker *maker, int depth, const char *property)
{
    static const char *const lists[] = {
        "[\"x\", \"y\"]",
        "'[1, 2, 3, 1]'",
        "[\"only\"]",
        "'[\"a\", {\"b\": 1}, [2]]'",
        "\"{{ range(1, 4) }}\"",
        "[]",
    };
    indent(maker, depth);
    buf_printf(maker->out, "%s: %s\n", property, PICK(maker, lists));
}

static void for_each(struct maker *maker, int depth, int level)
{
    line(maker, depth, "type: ForEach");
    values(maker, depth, "values");
    indent(maker, depth);
    buf_printf(maker->out, "concurrencyLimit: %u\n", below(maker, 3));
    list(maker, depth, level + 1, "tasks", 2);
    branches(maker, depth, level);
}

static void each_sequential(struct maker *maker, int depth, int level)
{
    line(maker, depth, "type: EachSequential");
    values(maker, depth, "value");
    list(maker, depth, level + 1, "tasks", 2);
    branches(maker, depth, level);
}

static void each_parallel(struct maker *maker, int depth, int level)
{
    line(maker, depth, "type: EachParallel");
    values(maker, depth, "value");
    if (chance(maker, 40))
        line(maker, depth, "concurrent: 2");
    list(maker, depth, level + 1, "tasks", 2);
    branches(maker, depth, level);
}

static void if_task(struct maker *maker, int depth, int level)
{
    static const char *const conditions[] = { "condition: \"true\"", "condition: \"false\"",
                                              "condition: \"{{ kv('go') }}\"",
                                              "condition: \"{{ nope.x }}\"" };
    line(maker, depth, "type: If");
    line(maker, depth, PICK(maker, conditions));
    list(maker, depth, level + 1, "then", 2);
    if (chance(maker, 50))
        list(maker, depth, level + 1, "else", 2);
    branches(maker, depth, level);
}

static void switch_task(struct maker *maker, int depth, int level)
{
    line(maker, depth, "type: Switch");
    line(maker, depth, chance(maker, 80) ? "value: \"a\"" : "value: \"{{ kv('go') }}\"");
    line(maker, depth, "cases:");
    list(maker, depth + 1, level + 1, chance(maker, 70) ? "a" : "b", 2);
    if (chance(maker, 50))
        list(maker, depth, level + 1, "defaults", 2);
    branches(maker, depth, level);
}

static void allow_failure(struct maker *maker, int depth, int level)
{
    line(maker, depth, "type: AllowFailure");
    list(maker, depth, level + 1, "tasks", 2);
    branches(maker, depth, level);
}

static void pause_task(struct maker *maker, int depth, int level)
{
    static const char *const behaviors[] = { "behavior: RESUME", "behavior: WARN", "behavior: FAIL",
                                             "behavior: CANCEL" };
    line(maker, depth, "type: Pause");
    if (maker->is_after || chance(maker, 50)) {
        bool is_slow = maker->grammar->has_slow && chance(maker, 30);
        line(maker, depth, is_slow ? "pauseDuration: PT10M" : "pauseDuration: PT3S");
        if (chance(maker, 60))
            line(maker, depth, PICK(maker, behaviors));
    } else if (chance(maker, 40)) {
        line(maker, depth, "timeout: PT4S");
    }
    if (chance(maker, 20)) {
        line(maker, depth, "onPause:");
        indent(maker, depth + 1);
        buf_printf(maker->out, "id: t%d\n", maker->tasks++);
        line(maker, depth + 1, "type: Work");
    }
    if (chance(maker, 30))
        list(maker, depth, level + 1, "tasks", 2);
    branches(maker, depth, level);
}

static void loop_until(struct maker *maker, int depth, int level)
{
    static const char *const conditions[] = {
        "condition: \"false\"",
        "condition: \"true\"",
        "condition: \"{{ kv('go') }}\"",
        "condition: \"{{ taskrun.iteration is defined }}\"",
    };
    line(maker, depth, "type: LoopUntil");
    line(maker, depth, PICK(maker, conditions));
    indent(maker, depth);
    buf_printf(maker->out, "checkFrequency: {interval: PT1S, maxIterations: %u}\n",
               1 + below(maker, 3));
    if (chance(maker, 40))
        line(maker, depth, "failOnMaxReached: true");
    list(maker, depth, level + 1, "tasks", 2);
    branches(maker, depth, level);
}

static void directory(struct maker *maker, int depth, int level)
{
    unsigned count = 1 + below(maker, 3);
    line(maker, depth, "type: WorkingDirectory");
    if (chance(maker, 40))
        line(maker, depth, "inputFiles: {\"a.txt\": \"{{ flow.id }}\"}");
    if (chance(maker, 40))
        line(maker, depth, "outputFiles: [\"*.txt\"]");
    line(maker, depth, "tasks:");
    for (unsigned i = 0; i < count; i++)
        task(maker, depth + 1, DEPTH_MAX, true);
    branches(maker, depth, level);
}

static void approval(struct maker *maker, int depth, int level)
{
    static const char *const behaviors[] = {
        "CONTINUE", "WARN", "FAIL", "SUCCEED", "CANCEL", "KILL"
    };
    line(maker, depth, "type: Approval");
    if (maker->is_after || chance(maker, 50))
        line(maker, depth, "timeout: PT5S");
    if (chance(maker, 20))
        line(maker, depth, "autoApprove: true");
    indent(maker, depth);
    buf_printf(maker->out, "approveBehavior: %s\n", PICK(maker, behaviors));
    indent(maker, depth);
    buf_printf(maker->out, "denyBehavior: %s\n", PICK(maker, behaviors));
    indent(maker, depth);
    buf_printf(maker->out, "expireBehavior: %s\n", PICK(maker, behaviors));
    if (chance(maker, 30))
        list(maker, depth, level + 1, "onWait", 2);
    if (chance(maker, 40))
        list(maker, depth, level + 1, "onApprove", 2);
    if (chance(maker, 40))
        list(maker, depth, level + 1, "onDeny", 2);
    branches(maker, depth, level);
}

static void loop(struct maker *maker, int depth, int level)
{
    line(maker, depth, "type: Loop");
    line(maker, depth, chance(maker, 70) ? "values: [1, 2, 3]" : "values: {a: 1, b: 2}");
    indent(maker, depth);
    buf_printf(maker->out, "concurrencyLimit: %u\n", below(maker, 3));
    if (chance(maker, 25))
        line(maker, depth, "transmitFailed: false");
    if (chance(maker, 15))
        line(maker, depth, "breakWhen: \"{{ item.index == 1 }}\"");
    list(maker, depth, level + 1, "tasks", 2);
    if (chance(maker, 25))
        list(maker, depth, level + 1, "errors", 1);
    if (chance(maker, 40))
        list(maker, depth, level + 1, "finally", 1);
}

static void for_each_item(struct maker *maker, int depth, int level)
{
    line(maker, depth, "type: ForEachItem");
    line(maker, depth, "items: \"kestra:///rows\"");
    line(maker, depth, "inputs: {n: \"{{ taskrun.iteration }}\"}");
    call(maker, depth);
    branches(maker, depth, level);
}

static const struct construct flowables[] = {
    { 4, sequential },      { 4, parallel },      { 2, dag },           { 4, for_each },
    { 2, each_sequential }, { 2, each_parallel }, { 2, if_task },       { 2, switch_task },
    { 2, allow_failure },   { 2, pause_task },    { 2, loop_until },    { 2, directory },
    { 2, approval },        { 2, loop },          { 1, for_each_item },
};

/* A list item at `depth`. */
static void task(struct maker *maker, int depth, int level, bool runnable_only)
{
    indent(maker, depth);
    buf_printf(maker->out, "- id: t%d\n", maker->tasks++);
    bool may_nest = !runnable_only && level < DEPTH_MAX && maker->tasks < TASKS_MAX;
    if (may_nest && chance(maker, level == 0 ? 55 : 40)) {
        write_one(maker, flowables, COUNT_OF(flowables), depth + 1, level);
        common(maker, depth + 1, true);
    } else if (!runnable_only && chance(maker, 8)) {
        subflow(maker, depth + 1, level);
    } else if (!runnable_only && chance(maker, 2)) {
        end_of_all(maker, depth + 1, level);
    } else {
        runnable(maker, depth + 1, level);
    }
}

/* ---- the flow ---- */

static void limits(struct maker *maker)
{
    static const char *const concurrency[] = {
        "concurrency: {limit: 1}",
        "concurrency: {limit: 2}",
        "concurrency: {limit: 1, behavior: CANCEL}",
        "concurrency: {limit: 1, behavior: FAIL}",
    };
    static const char *const slas[] = {
        "sla: [{id: s, type: MAX_DURATION, duration: PT6S, behavior: FAIL}]",
        "sla: [{id: s, type: MAX_DURATION, duration: PT6S, behavior: CANCEL}]",
        "sla: [{id: s, type: MAX_DURATION, duration: PT6S, behavior: NONE, labels: {late: yes}}]",
        "sla: [{id: s, type: EXECUTION_ASSERTION, assert: \"{{ labels.seen is not defined }}\", "
        "behavior: FAIL}]",
        "sla: [{id: s, type: EXECUTION_ASSERTION, assert: \"{{ labels.seen is not defined }}\", "
        "behavior: NONE, labels: {noticed: yes}}]",
    };
    if (chance(maker, 12))
        line(maker, 0, PICK(maker, concurrency));
    if (chance(maker, 8))
        line(maker, 0, PICK(maker, slas));
}

static void triggers(struct maker *maker)
{
    if (!maker->grammar->has_triggers || !chance(maker, 15))
        return;
    line(maker, 0, "triggers:");
    if (chance(maker, 60)) {
        line(maker, 1, "- id: clock");
        line(maker, 2, "type: io.kestra.plugin.core.trigger.Schedule");
        line(maker, 2, chance(maker, 50) ? "cron: \"*/5 * * * *\"" : "cron: \"* * * * *\"");
        if (chance(maker, 30))
            line(maker, 2, "stopAfter: [FAILED]");
    }
    if (chance(maker, 60)) {
        line(maker, 1, "- id: news");
        line(maker, 2, "type: io.kestra.plugin.core.trigger.Flow");
        line(maker, 2, "preconditions:");
        line(maker, 3, "id: all");
        indent(maker, 3);
        buf_printf(maker->out, "flows: [{namespace: %s, flowId: child, states: [%s]}]\n",
                   maker->grammar->namespace, chance(maker, 50) ? "SUCCESS" : "FAILED, WARNING");
    }
    line(maker, 1, "- id: hook");
    line(maker, 2, "type: io.kestra.plugin.core.trigger.Webhook");
    line(maker, 2, "key: abcdefghijklmnopqrstuvwxyz");
}

void generate_flow(struct rng *rng, const struct grammar *grammar, struct buf *out)
{
    struct maker maker = { .rng = rng, .grammar = grammar, .out = out };
    if (chance(&maker, 12))
        retry(&maker, 0);
    limits(&maker);
    if (chance(&maker, 10))
        line(&maker, 0, "outputs: [{id: o, type: STRING, value: \"{{ kv('go') }}\"}]");
    if (chance(&maker, 20))
        line(&maker, 0, "variables: {v: given}");
    list(&maker, 0, 0, "tasks", 4);
    if (chance(&maker, 35))
        list(&maker, 0, 1, "errors", 2);
    if (chance(&maker, 30))
        list(&maker, 0, 1, "finally", 2);
    maker.is_after = true;
    if (chance(&maker, 30))
        list(&maker, 0, 1, "afterExecution", 2);
    if (chance(&maker, 10)) {
        line(&maker, 0, "listeners:");
        line(&maker, 0, "  - conditions: [{type: ExecutionStatus, in: [FAILED, KILLED]}]");
        list(&maker, 2, 1, "tasks", 1);
    }
    triggers(&maker);
}

void generate_child(struct rng *rng, const struct grammar *grammar, struct buf *out)
{
    struct maker maker = { .rng = rng, .grammar = grammar, .out = out };
    if (chance(&maker, 20))
        line(&maker, 0, "concurrency: {limit: 1}");
    if (chance(&maker, 10))
        line(&maker, 0, "retry: {type: constant, interval: PT1S, maxAttempts: 2}");
    else if (chance(&maker, 10))
        line(&maker, 0,
             "retry: {type: constant, interval: PT1S, maxAttempts: 2, behavior: "
             "CREATE_NEW_EXECUTION}");
    line(&maker, 0, "tasks:");
    line(&maker, 1, "- id: work");
    line(&maker, 2, "type: Work");
    if (chance(&maker, 30)) {
        line(&maker, 1, "- id: more");
        runnable(&maker, 2, DEPTH_MAX);
    }
    maker.is_after = true;
    if (chance(&maker, 20)) {
        line(&maker, 0, "afterExecution:");
        line(&maker, 1, "- id: after");
        line(&maker, 2, "type: Work");
    }
}
