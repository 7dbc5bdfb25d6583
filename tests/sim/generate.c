/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/generate.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/rng.h"

#define DEPTH_MAX 3
#define TASKS_MAX 40

struct maker {
    struct rng *rng;
    struct buf *out;
    int tasks;
    bool is_after; /* afterExecution: no pauses, nobody could end them */
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

static const char *pick(struct maker *maker, const char *const *texts)
{
    unsigned count = 0;
    while (texts[count] != NULL)
        count++;
    return texts[below(maker, count)];
}

static void retry(struct maker *maker, int depth, bool may_renew)
{
    static const char *const retries[] = {
        "retry: {type: constant, interval: PT1S, maxAttempts: 2}",
        "retry: {type: constant, interval: PT2S, maxAttempts: 3, warningOnRetry: true}",
        "retry: {type: constant, interval: PT3S, maxDuration: PT10S}",
        "retry: {type: exponential, interval: PT1S, maxInterval: PT5S, maxAttempts: 4}",
        "retry: {type: random, minInterval: PT1S, maxInterval: PT3S, maxAttempts: 3}",
        NULL,
    };
    if (may_renew && chance(maker, 10))
        line(maker, depth,
             "retry: {type: constant, interval: PT1S, maxAttempts: 3, behavior: "
             "CREATE_NEW_EXECUTION}");
    else
        line(maker, depth, pick(maker, retries));
}

static void common(struct maker *maker, int depth, bool is_flowable)
{
    static const char *const conditions[] = {
        "runIf: \"true\"",
        "runIf: \"{{ 1 == 2 }}\"",
        "runIf: \"{{ flow.id == 'flow' }}\"",
        "runIf: \"{{ nope.x }}\"",
        "runIf: \"{{ kv('go') }}\"",
        NULL,
    };
    if (chance(maker, 10))
        line(maker, depth, "allowFailure: true");
    if (chance(maker, 6))
        line(maker, depth, "allowWarning: true");
    if (chance(maker, 4))
        line(maker, depth, "disabled: true");
    if (chance(maker, 10))
        line(maker, depth, pick(maker, conditions));
    if (chance(maker, is_flowable ? 8 : 18))
        retry(maker, depth, true);
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

static void values(struct maker *maker, int depth, const char *property)
{
    static const char *const lists[] = {
        "[\"x\", \"y\"]",
        "'[1, 2, 3, 1]'",
        "[\"only\"]",
        "'[\"a\", {\"b\": 1}, [2]]'",
        "\"{{ range(1, 4) }}\"",
        "[]",
        NULL,
    };
    indent(maker, depth);
    buf_printf(maker->out, "%s: %s\n", property, pick(maker, lists));
}

/* ---- tasks without children ---- */

static void runnable(struct maker *maker, int depth)
{
    switch (below(maker, 15)) {
    case 0:
        line(maker, depth, "type: Fail");
        break;
    case 1:
        line(maker, depth, "type: Log");
        line(maker, depth, "message: [one, \"{{ task.id }}\"]");
        break;
    case 2:
        line(maker, depth, "type: OutputValues");
        line(maker, depth, "values: {a: 1, b: \"{{ flow.id }}\"}");
        break;
    case 3:
        line(maker, depth, "type: Remote");
        line(maker, depth, "say: \"{{ taskrun.value ?? 'none' }}\"");
        break;
    case 4:
        line(maker, depth, "type: Sleep");
        line(maker, depth, "duration: PT2S");
        if (chance(maker, 30))
            line(maker, depth, "timeout: PT1S");
        break;
    case 5:
        line(maker, depth, "type: Return");
        line(maker, depth, "format: \"{{ secret('s') }}\"");
        break;
    case 6:
        line(maker, depth, "type: Labels");
        line(maker, depth, "labels: {seen: \"{{ task.id }}\"}");
        break;
    case 7:
        line(maker, depth, "type: Work");
        line(maker, depth, "taskCache: {enabled: true}");
        break;
    case 8:
        line(maker, depth, "type: TemplatedTask");
        line(maker, depth,
             chance(maker, 50) ? "spec: \"{type: io.weir.test.Work, say: x}\""
                               : "spec: \"{type: io.kestra.plugin.core.debug.Return, format: x}\"");
        break;
    default:
        line(maker, depth, "type: Work");
        line(maker, depth, "say: \"{{ task.id }}\"");
        break;
    }
    common(maker, depth, false);
}

static void rare(struct maker *maker, int depth)
{
    static const char *const exits[] = { "state: SUCCESS", "state: WARNING",   "state: KILLED",
                                         "state: FAILED",  "state: CANCELLED", NULL };
    if (chance(maker, 70)) {
        line(maker, depth, "type: Exit");
        line(maker, depth, pick(maker, exits));
    } else {
        line(maker, depth, "type: Kill");
    }
}

static void subflow(struct maker *maker, int depth)
{
    line(maker, depth, "type: Subflow");
    line(maker, depth, "namespace: tests");
    line(maker, depth, "flowId: child");
    if (chance(maker, 25))
        line(maker, depth, "wait: false");
    if (chance(maker, 25))
        line(maker, depth, "transmitFailed: false");
    common(maker, depth, false);
}

/* ---- flowables ---- */

static void dag(struct maker *maker, int depth, int level)
{
    unsigned count = 1 + below(maker, 4);
    int first = maker->tasks;
    int ids[8];
    line(maker, depth, "type: Dag");
    if (chance(maker, 30))
        line(maker, depth, "concurrent: 2");
    line(maker, depth, "tasks:");
    (void)first;
    for (unsigned i = 0; i < count; i++) {
        // The id is that of the next task made: it is known before its children are.
        ids[i] = maker->tasks;
        line(maker, depth + 1, "- task:");
        indent(maker, depth + 2);
        buf_printf(maker->out, "  id: t%d\n", maker->tasks++);
        runnable(maker, depth + 3);
        if (i > 0 && chance(maker, 60)) {
            indent(maker, depth + 1);
            buf_printf(maker->out, "  dependsOn: [t%d", ids[below(maker, i)]);
            if (i > 1 && chance(maker, 40))
                buf_printf(maker->out, ", t%d", ids[i - 1]);
            buf_puts(maker->out, "]\n");
        }
    }
    (void)level;
}

static void pause_task(struct maker *maker, int depth, int level)
{
    static const char *const behaviors[] = { "behavior: RESUME", "behavior: WARN", "behavior: FAIL",
                                             "behavior: CANCEL", NULL };
    line(maker, depth, "type: Pause");
    if (maker->is_after || chance(maker, 50)) {
        line(maker, depth, "pauseDuration: PT3S");
        if (chance(maker, 60))
            line(maker, depth, pick(maker, behaviors));
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
        NULL,
    };
    line(maker, depth, "type: LoopUntil");
    line(maker, depth, pick(maker, conditions));
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
    static const char *const behaviors[] = { "CONTINUE", "WARN", "FAIL", "SUCCEED",
                                             "CANCEL",   "KILL", NULL };
    line(maker, depth, "type: Approval");
    if (maker->is_after || chance(maker, 50))
        line(maker, depth, "timeout: PT5S");
    if (chance(maker, 20))
        line(maker, depth, "autoApprove: true");
    indent(maker, depth);
    buf_printf(maker->out, "approveBehavior: %s\n", pick(maker, behaviors));
    indent(maker, depth);
    buf_printf(maker->out, "denyBehavior: %s\n", pick(maker, behaviors));
    indent(maker, depth);
    buf_printf(maker->out, "expireBehavior: %s\n", pick(maker, behaviors));
    if (chance(maker, 30))
        list(maker, depth, level + 1, "onWait", 2);
    if (chance(maker, 40))
        list(maker, depth, level + 1, "onApprove", 2);
    if (chance(maker, 40))
        list(maker, depth, level + 1, "onDeny", 2);
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

static void if_task(struct maker *maker, int depth, int level)
{
    static const char *const conditions[] = { "condition: \"true\"", "condition: \"false\"",
                                              "condition: \"{{ kv('go') }}\"",
                                              "condition: \"{{ nope.x }}\"", NULL };
    line(maker, depth, "type: If");
    line(maker, depth, pick(maker, conditions));
    list(maker, depth, level + 1, "then", 2);
    if (chance(maker, 50))
        list(maker, depth, level + 1, "else", 2);
    branches(maker, depth, level);
}

static void each(struct maker *maker, int depth, int level, const char *type)
{
    bool is_for_each = type[0] == 'F';
    indent(maker, depth);
    buf_printf(maker->out, "type: %s\n", type);
    values(maker, depth, is_for_each ? "values" : "value");
    if (is_for_each) {
        indent(maker, depth);
        buf_printf(maker->out, "concurrencyLimit: %u\n", below(maker, 3));
    } else if (type[4] == 'P' && chance(maker, 40)) {
        line(maker, depth, "concurrent: 2");
    }
    list(maker, depth, level + 1, "tasks", 2);
    branches(maker, depth, level);
}

static void flowable(struct maker *maker, int depth, int level)
{
    switch (below(maker, 17)) {
    case 0:
    case 1:
        line(maker, depth, "type: Sequential");
        list(maker, depth, level + 1, "tasks", 3);
        branches(maker, depth, level);
        break;
    case 2:
    case 3:
        line(maker, depth, "type: Parallel");
        if (chance(maker, 40))
            line(maker, depth, chance(maker, 50) ? "concurrent: 1" : "concurrent: 2");
        list(maker, depth, level + 1, "tasks", 3);
        branches(maker, depth, level);
        break;
    case 4:
        dag(maker, depth, level);
        branches(maker, depth, level);
        break;
    case 5:
    case 6:
        each(maker, depth, level, "ForEach");
        break;
    case 7:
        each(maker, depth, level, "EachSequential");
        break;
    case 8:
        each(maker, depth, level, "EachParallel");
        break;
    case 9:
        if_task(maker, depth, level);
        break;
    case 10:
        switch_task(maker, depth, level);
        break;
    case 11:
        line(maker, depth, "type: AllowFailure");
        list(maker, depth, level + 1, "tasks", 2);
        branches(maker, depth, level);
        break;
    case 12:
        pause_task(maker, depth, level);
        break;
    case 13:
        loop_until(maker, depth, level);
        break;
    case 14:
        directory(maker, depth, level);
        break;
    case 15:
        approval(maker, depth, level);
        break;
    default:
        if (chance(maker, 50)) {
            line(maker, depth, "type: ForEachItem");
            line(maker, depth, "items: \"kestra:///rows\"");
            line(maker, depth, "namespace: tests");
            line(maker, depth, "flowId: child");
            line(maker, depth, "inputs: {n: \"{{ taskrun.iteration }}\"}");
        } else {
            line(maker, depth, "type: Loop");
            line(maker, depth, "values: [1, 2, 3]");
            indent(maker, depth);
            buf_printf(maker->out, "concurrencyLimit: %u\n", below(maker, 3));
            list(maker, depth, level + 1, "tasks", 1);
            if (chance(maker, 40))
                list(maker, depth, level + 1, "finally", 1);
        }
        break;
    }
    common(maker, depth, true);
}

/* A list item at `depth`. */
static void task(struct maker *maker, int depth, int level, bool runnable_only)
{
    indent(maker, depth);
    buf_printf(maker->out, "- id: t%d\n", maker->tasks++);
    bool may_nest = !runnable_only && level < DEPTH_MAX && maker->tasks < TASKS_MAX;
    if (may_nest && chance(maker, level == 0 ? 55 : 40))
        flowable(maker, depth + 1, level);
    else if (!runnable_only && chance(maker, 8))
        subflow(maker, depth + 1);
    else if (!runnable_only && chance(maker, 2))
        rare(maker, depth + 1);
    else
        runnable(maker, depth + 1);
}

void generate_flow(struct rng *rng, struct buf *out)
{
    struct maker maker = { .rng = rng, .out = out };
    if (chance(&maker, 12))
        retry(&maker, 0, true);
    if (chance(&maker, 8))
        line(&maker, 0, "concurrency: {limit: 1}");
    if (chance(&maker, 6))
        line(&maker, 0,
             chance(&maker, 50)
                 ? "sla: [{id: s, type: MAX_DURATION, duration: PT6S, behavior: FAIL}]"
                 : "sla: [{id: s, type: MAX_DURATION, duration: PT6S, behavior: CANCEL}]");
    if (chance(&maker, 10))
        line(&maker, 0, "outputs: [{id: o, type: STRING, value: \"{{ kv('go') }}\"}]");
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
}
