/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/driver/flows.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/rng.h"

#define DEPTH_MAX 3
#define TASKS_MAX 24

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

static void line(struct maker *maker, int depth, const char *text)
{
    for (int i = 0; i < depth; i++)
        buf_puts(maker->out, "  ");
    buf_puts(maker->out, text);
    buf_putc(maker->out, '\n');
}

#define PICK(maker, texts) (texts)[below((maker), (unsigned)COUNT_OF(texts))]

static void task(struct maker *maker, int depth, int level, bool is_plain);

static void list(struct maker *maker, int depth, int level, const char *name, unsigned max)
{
    unsigned count = 1 + below(maker, max);
    line(maker, depth, name);
    for (unsigned i = 0; i < count; i++)
        task(maker, depth + 1, level, false);
}

static void branches(struct maker *maker, int depth, int level)
{
    if (chance(maker, 25))
        list(maker, depth, level + 1, "errors:", 2);
    if (chance(maker, 20))
        list(maker, depth, level + 1, "finally:", 2);
}

static void common(struct maker *maker, int depth, bool is_flowable)
{
    static const char *const retries[] = {
        "retry: {type: constant, interval: PT1S, maxAttempts: 2}",
        "retry: {type: constant, interval: PT2S, maxAttempts: 3, warningOnRetry: true}",
        "retry: {type: constant, interval: PT3S, maxDuration: PT10S}",
        "retry: {type: exponential, interval: PT1S, maxInterval: PT5S, maxAttempts: 4}",
        "retry: {type: random, minInterval: PT1S, maxInterval: PT3S, maxAttempts: 3}",
        "retry: {type: constant, interval: PT1M, maxAttempts: 2}",
        "retry: {type: constant, interval: PT1S, maxAttempts: 3, behavior: CREATE_NEW_EXECUTION}",
    };
    static const char *const conditions[] = {
        "runIf: \"true\"",
        "runIf: \"{{ 1 == 2 }}\"",
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
    if (chance(maker, is_flowable ? 8 : 20))
        line(maker, depth, PICK(maker, retries));
}

static void runnable(struct maker *maker, int depth)
{
    switch (below(maker, 12)) {
    case 0:
        line(maker, depth, "type: Fail");
        break;
    case 1:
        line(maker, depth, "type: OutputValues");
        line(maker, depth, "values: {a: 1, b: \"{{ flow.id }}\"}");
        break;
    case 2:
        line(maker, depth, "type: Return");
        line(maker, depth, "format: \"{{ kv('go') }}\"");
        break;
    case 3:
        line(maker, depth, "type: Sleep");
        line(maker, depth, "duration: PT2S");
        break;
    case 4:
    case 5:
        line(maker, depth, "type: Remote");
        line(maker, depth, "say: \"{{ taskrun.value ?? 'none' }}\"");
        break;
    case 6:
        line(maker, depth, "type: io.weir.test.Process");
        if (chance(maker, 50))
            line(maker, depth, "timeout: PT5S");
        break;
    default:
        line(maker, depth, "type: Work");
        line(maker, depth, "say: \"{{ task.id }}\"");
        if (chance(maker, 15))
            line(maker, depth, "timeout: PT1S");
        break;
    }
    common(maker, depth, false);
}

static void dag(struct maker *maker, int depth)
{
    unsigned count = 1 + below(maker, 4);
    int ids[4];
    line(maker, depth, "type: Dag");
    if (chance(maker, 30))
        line(maker, depth, "concurrent: 2");
    line(maker, depth, "tasks:");
    for (unsigned i = 0; i < count; i++) {
        ids[i] = maker->tasks++;
        line(maker, depth + 1, "- task:");
        for (int k = 0; k < depth + 3; k++)
            buf_puts(maker->out, "  ");
        buf_printf(maker->out, "id: t%d\n", ids[i]);
        runnable(maker, depth + 3);
        if (i > 0 && chance(maker, 60)) {
            for (int k = 0; k < depth + 2; k++)
                buf_puts(maker->out, "  ");
            buf_printf(maker->out, "dependsOn: [t%d]\n", ids[below(maker, i)]);
        }
    }
}

static void pause_task(struct maker *maker, int depth, int level)
{
    static const char *const behaviors[] = { "behavior: RESUME", "behavior: WARN", "behavior: FAIL",
                                             "behavior: CANCEL" };
    line(maker, depth, "type: Pause");
    if (maker->is_after || chance(maker, 50)) {
        line(maker, depth, chance(maker, 70) ? "pauseDuration: PT3S" : "pauseDuration: PT10M");
        line(maker, depth, PICK(maker, behaviors));
    } else if (chance(maker, 40)) {
        line(maker, depth, "timeout: PT4S");
    }
    if (chance(maker, 30))
        list(maker, depth, level + 1, "tasks:", 2);
    branches(maker, depth, level);
}

static void flowable(struct maker *maker, int depth, int level)
{
    static const char *const limits[] = { "concurrencyLimit: 0", "concurrencyLimit: 1",
                                          "concurrencyLimit: 2" };
    static const char *const values[] = { "values: [\"x\", \"y\"]", "values: '[1, 2, 3]'",
                                          "values: [\"only\"]", "values: []" };
    static const char *const conditions[] = { "condition: \"true\"", "condition: \"false\"",
                                              "condition: \"{{ kv('go') }}\"",
                                              "condition: \"{{ nope.x }}\"" };
    switch (below(maker, 14)) {
    case 0:
    case 1:
        line(maker, depth, "type: Sequential");
        list(maker, depth, level + 1, "tasks:", 3);
        break;
    case 2:
    case 3:
        line(maker, depth, "type: Parallel");
        if (chance(maker, 40))
            line(maker, depth, chance(maker, 50) ? "concurrent: 1" : "concurrent: 2");
        list(maker, depth, level + 1, "tasks:", 3);
        break;
    case 4:
        dag(maker, depth);
        break;
    case 5:
    case 6:
    case 7:
        line(maker, depth, "type: ForEach");
        line(maker, depth, PICK(maker, values));
        line(maker, depth, PICK(maker, limits));
        list(maker, depth, level + 1, "tasks:", 2);
        break;
    case 8:
        line(maker, depth, "type: If");
        line(maker, depth, PICK(maker, conditions));
        list(maker, depth, level + 1, "then:", 2);
        if (chance(maker, 50))
            list(maker, depth, level + 1, "else:", 2);
        break;
    case 9:
        line(maker, depth, "type: Switch");
        line(maker, depth, "value: \"a\"");
        line(maker, depth, "cases:");
        list(maker, depth + 1, level + 1, chance(maker, 70) ? "a:" : "b:", 2);
        if (chance(maker, 50))
            list(maker, depth, level + 1, "defaults:", 2);
        break;
    case 10:
        line(maker, depth, "type: AllowFailure");
        list(maker, depth, level + 1, "tasks:", 2);
        break;
    case 11:
        pause_task(maker, depth, level);
        common(maker, depth, true);
        return;
    case 12:
        line(maker, depth, "type: LoopUntil");
        line(maker, depth, PICK(maker, conditions));
        line(maker, depth, "checkFrequency: {interval: PT1S, maxIterations: 3}");
        list(maker, depth, level + 1, "tasks:", 2);
        break;
    default:
        line(maker, depth, "type: WorkingDirectory");
        line(maker, depth, "tasks:");
        for (unsigned i = 0, count = 1 + below(maker, 3); i < count; i++)
            task(maker, depth + 1, DEPTH_MAX, true);
        break;
    }
    branches(maker, depth, level);
    common(maker, depth, true);
}

static void subflow(struct maker *maker, int depth)
{
    line(maker, depth, "type: Subflow");
    line(maker, depth, "namespace: company.team");
    line(maker, depth, "flowId: child");
    if (chance(maker, 25))
        line(maker, depth, "wait: false");
    if (chance(maker, 25))
        line(maker, depth, "transmitFailed: false");
    common(maker, depth, false);
}

static void task(struct maker *maker, int depth, int level, bool is_plain)
{
    for (int i = 0; i < depth; i++)
        buf_puts(maker->out, "  ");
    buf_printf(maker->out, "- id: t%d\n", maker->tasks++);
    bool may_nest = !is_plain && level < DEPTH_MAX && maker->tasks < TASKS_MAX;
    if (may_nest && chance(maker, level == 0 ? 55 : 40))
        flowable(maker, depth + 1, level);
    else if (!is_plain && chance(maker, 10))
        subflow(maker, depth + 1);
    else
        runnable(maker, depth + 1);
}

void flows_write(struct rng *rng, struct buf *out)
{
    struct maker maker = { .rng = rng, .out = out };
    line(&maker, 0, "id: flow");
    if (chance(&maker, 10))
        line(&maker, 0, "retry: {type: constant, interval: PT2S, maxAttempts: 2}");
    else if (chance(&maker, 5))
        line(&maker, 0,
             "retry: {type: constant, interval: PT2S, maxAttempts: 2, behavior: "
             "CREATE_NEW_EXECUTION}");
    if (chance(&maker, 15))
        line(&maker, 0,
             chance(&maker, 70) ? "concurrency: {limit: 1, behavior: QUEUE}"
                                : "concurrency: {limit: 1, behavior: CANCEL}");
    list(&maker, 0, 0, "tasks:", 4);
    if (chance(&maker, 35))
        list(&maker, 0, 1, "errors:", 2);
    if (chance(&maker, 30))
        list(&maker, 0, 1, "finally:", 2);
    maker.is_after = true;
    if (chance(&maker, 30))
        list(&maker, 0, 1, "afterExecution:", 2);
}

void flows_write_child(struct rng *rng, struct buf *out)
{
    struct maker maker = { .rng = rng, .out = out };
    line(&maker, 0, "id: child");
    if (chance(&maker, 20))
        line(&maker, 0, "concurrency: {limit: 1, behavior: QUEUE}");
    line(&maker, 0, "tasks:");
    line(&maker, 1, "- id: work");
    line(&maker, 2, "type: Work");
    if (chance(&maker, 30)) {
        line(&maker, 1, "- id: more");
        runnable(&maker, 2);
    }
}
