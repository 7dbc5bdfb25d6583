/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cost of engine steps alone: no store, no worker, no clock but to measure.
 *
 *     build/bench/engine [--json] [ROUNDS]
 *
 * hook       a flow of OutputValues and Log, from creation to its end: one step
 * foreach    ForEach over N items with one OutputValues each; ns per item, memory per item
 * parallel   ForEach over N items with a worker task each, all at once; ns per answer
 * dag        a Dag of 1,000 tasks, each depending on the three before it
 * retry-if   five If in a row
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "core/value.h"
#include "tests/support/engine_bed.h"

static bool json;

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static void report(const char *name, const char *unit, double *samples, size_t count)
{
    qsort(samples, count, sizeof(*samples), compare);
    double median = samples[count / 2];
    if (json)
        (void)printf("{\"name\":\"engine-%s\",\"unit\":\"%s\",\"min\":%.1f,\"median\":%.1f,"
                     "\"max\":%.1f,\"n\":%zu}\n",
                     name, unit, samples[0], median, samples[count - 1], count);
    else
        (void)printf("%-22s %12.0f %s (min %.0f, max %.0f)\n", name, median, unit, samples[0],
                     samples[count - 1]);
}

/* ---- one execution, without the bookkeeping of the bed ---- */

struct driven {
    struct arena *scratch;
    struct arena *commands;
    struct command_list list;
};

static struct driven driven_new(void)
{
    struct driven driven = { .scratch = arena_new(), .commands = arena_new() };
    driven.list.arena = driven.commands;
    return driven;
}

static void driven_free(struct driven *driven)
{
    arena_free(driven->scratch);
    arena_free(driven->commands);
}

static void step(struct driven *driven,
                 struct execution *execution,
                 const struct bed *bed,
                 struct event event)
{
    bool more = true;
    event.at = bed->now;
    while (more) {
        arena_reset(driven->scratch);
        arena_reset(driven->commands);
        memset(&driven->list.all, 0, sizeof(driven->list.all));
        engine_step(execution, &event, &bed->world, driven->scratch, &driven->list);
        execution_committed(execution);
        more = false;
        for (size_t i = 0; i < driven->list.all.count; i++)
            more = more || driven->list.all.items[i].type == COMMAND_CONTINUE;
        event = (struct event){ .type = EVENT_CONTINUE, .at = bed->now };
    }
}

static struct execution *fresh(const struct bed *bed, uint64_t number)
{
    struct id id = id_derive("bench", &number, sizeof(number));
    return execution_new(&id, bed->flow, bed->now);
}

static void bench_whole(const char *name, const char *yaml, size_t items, size_t rounds)
{
    struct bed *bed = bed_new(bed_flow(yaml), USEC_SEC);
    struct driven driven = driven_new();
    double *samples = calloc(rounds, sizeof(double));
    double *memory = calloc(rounds, sizeof(double));
    size_t repeat = items >= 10000 ? 1 : 20000 / items;
    for (size_t round = 0; round < rounds; round++) {
        usec_t start = clock_monotonic();
        for (size_t i = 0; i < repeat; i++) {
            struct execution *execution = fresh(bed, i);
            step(&driven, execution, bed, (struct event){ .type = EVENT_START });
            if (execution->state.current != STATE_SUCCESS) {
                (void)fprintf(stderr, "%s ended %s\n", name, states[execution->state.current].name);
                exit(EXIT_FAILURE);
            }
            memory[round] = (double)arena_bytes(execution->arena) / (double)items;
            execution_free(execution);
        }
        samples[round] =
            (double)(clock_monotonic() - start) * 1000.0 / (double)repeat / (double)items;
    }
    report(name, items == 1 ? "ns" : "ns/item", samples, rounds);
    if (items > 1) {
        char text[64];
        (void)snprintf(text, sizeof(text), "%s-memory", name);
        report(text, "bytes/item", memory, rounds);
    }
    free(samples);
    free(memory);
    driven_free(&driven);
    bed_free(bed);
}

/* Worker tasks, answered one by one. */
static void bench_answers(const char *name, const char *yaml, size_t items, size_t rounds)
{
    struct bed *bed = bed_new(bed_flow(yaml), USEC_SEC);
    struct driven driven = driven_new();
    double *samples = calloc(rounds, sizeof(double));
    double *memory = calloc(rounds, sizeof(double));
    for (size_t round = 0; round < rounds; round++) {
        struct execution *execution = fresh(bed, round);
        step(&driven, execution, bed, (struct event){ .type = EVENT_START });
        memory[round] = (double)arena_bytes(execution->arena) / (double)items;
        usec_t start = clock_monotonic();
        for (size_t i = 0; i < execution->runs.count; i++) {
            const struct task_run *run = execution->runs.items[i];
            if (run->state.current == STATE_SUBMITTED)
                step(&driven, execution, bed,
                     (struct event){ .type = EVENT_RUN_ENDED,
                                     .run_id = run->id.text,
                                     .attempt = 1,
                                     .state = STATE_SUCCESS });
        }
        samples[round] = (double)(clock_monotonic() - start) * 1000.0 / (double)items;
        if (execution->state.current != STATE_SUCCESS) {
            (void)fprintf(stderr, "%s ended %s\n", name, states[execution->state.current].name);
            exit(EXIT_FAILURE);
        }
        execution_free(execution);
    }
    report(name, "ns/answer", samples, rounds);
    char text[64];
    (void)snprintf(text, sizeof(text), "%s-waiting", name);
    report(text, "bytes/task", memory, rounds);
    free(samples);
    free(memory);
    driven_free(&driven);
    bed_free(bed);
}

static char *values_of(size_t count)
{
    struct buf out = { 0 };
    buf_puts(&out, "'[");
    for (size_t i = 0; i < count; i++)
        buf_printf(&out, "%s%zu", i == 0 ? "" : ",", i);
    buf_puts(&out, "]'");
    char *text = strdup(buf_text(&out));
    buf_free(&out);
    return text;
}

static char *for_each(size_t count, const char *limit, const char *child)
{
    struct buf out = { 0 };
    char *values = values_of(count);
    buf_printf(&out,
               "tasks:\n"
               "  - id: each\n"
               "    type: ForEach\n"
               "    values: %s\n"
               "    concurrencyLimit: %s\n"
               "    tasks:\n"
               "      - %s\n",
               values, limit, child);
    char *text = strdup(buf_text(&out));
    free(values);
    buf_free(&out);
    return text;
}

static char *dag(size_t count, const char *type)
{
    struct buf out = { 0 };
    buf_puts(&out, "tasks:\n  - id: dag\n    type: Dag\n    tasks:\n");
    for (size_t i = 0; i < count; i++) {
        buf_printf(&out, "      - task: {id: t%zu, type: %s}\n", i, type);
        if (i >= 3)
            buf_printf(&out, "        dependsOn: [t%zu, t%zu, t%zu]\n", i - 1, i - 2, i - 3);
    }
    char *text = strdup(buf_text(&out));
    buf_free(&out);
    return text;
}

int main(int argc, char **argv)
{
    size_t rounds = 5;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else
            rounds = (size_t)strtoul(argv[i], NULL, 10);
    }
    bench_whole("hook",
                "tasks:\n"
                "  - id: values\n"
                "    type: OutputValues\n"
                "    values: {name: \"{{ flow.id }}\", number: 5}\n"
                "  - id: log\n"
                "    type: Log\n"
                "    message: \"hello {{ outputs.values.values.name }}\"\n",
                1, rounds);
    bench_whole("five-if",
                "tasks:\n"
                "  - {id: i1, type: If, condition: \"true\", then: [{id: a1, type: Return}]}\n"
                "  - {id: i2, type: If, condition: \"true\", then: [{id: a2, type: Return}]}\n"
                "  - {id: i3, type: If, condition: \"true\", then: [{id: a3, type: Return}]}\n"
                "  - {id: i4, type: If, condition: \"true\", then: [{id: a4, type: Return}]}\n"
                "  - {id: i5, type: If, condition: \"true\", then: [{id: a5, type: Return}]}\n",
                1, rounds);
    static const size_t sizes[] = { 10, 100, 10000, 100000 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char name[64];
        char *flow = for_each(sizes[i], "1",
                              "{id: v, type: OutputValues, values: {n: \"{{ taskrun.value }}\"}}");
        (void)snprintf(name, sizeof(name), "foreach-%zu", sizes[i]);
        bench_whole(name, flow, sizes[i], rounds);
        free(flow);
        flow = for_each(sizes[i], "0",
                        "{id: v, type: OutputValues, values: {n: \"{{ taskrun.value }}\"}}");
        (void)snprintf(name, sizeof(name), "foreach-all-%zu", sizes[i]);
        bench_whole(name, flow, sizes[i], rounds);
        free(flow);
    }
    for (size_t i = 1; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char name[64];
        char *flow = for_each(sizes[i], "0", "{id: w, type: Work, say: \"{{ taskrun.value }}\"}");
        (void)snprintf(name, sizeof(name), "answers-%zu", sizes[i]);
        bench_answers(name, flow, sizes[i], rounds);
        free(flow);
    }
    char *flow = dag(1000, "Return");
    bench_whole("dag-1000", flow, 1000, rounds);
    free(flow);
    return EXIT_SUCCESS;
}
