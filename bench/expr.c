/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many expressions are evaluated per second: `expr [--json]`.
 *
 * Each figure is measured in rounds; a round renders one template again and again for about a tenth
 * of a second, with a warm cache unless the name says otherwise, and resets its arena each time, as
 * the engine does after a step.
 */
#include "core/expr/expr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "core/value.h"

#define ROUNDS     7
#define ROUND_SPAN (USEC_SEC / 10)
#define BATCH      64

enum context_size {
    CONTEXT_SMALL,  /* a task and its outputs */
    CONTEXT_MEDIUM, /* a hundred tasks, a list of twenty rows */
    CONTEXT_LARGE,  /* ten thousand tasks, a list of a thousand rows */
};

static const struct workload {
    const char *name;
    enum context_size context;
    bool cached;
    const char *template;
} workloads[] = {
    { "plain", CONTEXT_SMALL, true, "no expression here" },
    { "lookup", CONTEXT_SMALL, true, "{{ outputs.a.value }}" },
    { "lookup-large", CONTEXT_LARGE, true, "{{ outputs.t5000.value }}" },
    { "lookup-uncached", CONTEXT_SMALL, false, "{{ outputs.a.value }}" },
    { "sentence", CONTEXT_SMALL, true,
      "loaded {{ outputs.a.rows + 1 }} rows of {{ inputs.table | upper }} for {{ flow.id }}" },
    { "condition", CONTEXT_SMALL, true, "{{ outputs.a.rows > 10 and inputs.table == 'orders' }}" },
    { "fallback", CONTEXT_SMALL, true, "{{ inputs.missing.deeper ?? 'none' }}" },
    { "date", CONTEXT_SMALL, true,
      "{{ trigger.date | date('yyyy-MM-dd', timeZone='Europe/Paris') }}" },
    { "date-add", CONTEXT_SMALL, true, "{{ trigger.date | dateAdd(-1, 'DAYS') }}" },
    { "replace", CONTEXT_SMALL, true, "{{ inputs.table | replace({'o': '0', 'r': 'R'}) }}" },
    { "regex", CONTEXT_SMALL, true, "{{ inputs.table | regexReplace('[aeiou]+', '-') }}" },
    { "json", CONTEXT_SMALL, true, "{{ outputs.a | toJson }}" },
    { "from-json", CONTEXT_SMALL, true, "{{ fromJson('{\"a\": [1, 2, {\"b\": 3}]}').a[2].b }}" },
    { "jq", CONTEXT_SMALL, true, "{{ outputs.a | jq('.rows') | first }}" },
    { "jq-map", CONTEXT_MEDIUM, true, "{{ rows | jq('map(.id) | add') | first }}" },
    { "loop-20", CONTEXT_MEDIUM, true,
      "{% for r in rows %}{{ r.id }}: {{ r.name }}{% if not loop.last %}, {% endif %}{% endfor "
      "%}" },
    { "loop-1000", CONTEXT_LARGE, true,
      "{% for r in rows %}{{ r.id }}: {{ r.name }}{% if not loop.last %}, {% endif %}{% endfor "
      "%}" },
    { "print-1000", CONTEXT_LARGE, true, "{{ rows }}" },
};

static const struct value *make_context(struct arena *arena, size_t tasks, size_t rows)
{
    struct value_builder outputs = value_build(arena);
    struct value_builder list = value_build(arena);
    struct value_builder root = value_build(arena);
    struct value_builder flow = value_build(arena);
    struct value_builder inputs = value_build(arena);
    struct value_builder trigger = value_build(arena);
    for (size_t i = 0; i <= tasks; i++) {
        struct value_builder output = value_build(arena);
        value_put_text(&output, "value", "a value of some length");
        value_put_int(&output, "rows", (int64_t)i + 100);
        value_put(&outputs, i == 0 ? "a" : arena_printf(arena, "t%zu", i),
                  value_build_map(&output));
    }
    for (size_t i = 0; i < rows; i++) {
        struct value_builder row = value_build(arena);
        value_put_int(&row, "id", (int64_t)i);
        value_put_text(&row, "name", arena_printf(arena, "name of row %zu", i));
        value_put(&row, "price", value_double(arena, (double)i * 1.25));
        value_add(&list, value_build_map(&row));
    }
    value_put_text(&flow, "id", "load_orders");
    value_put_text(&inputs, "table", "orders");
    value_put_text(&trigger, "date", "2026-03-07T09:05:03.123+01:00");
    value_put(&root, "flow", value_build_map(&flow));
    value_put(&root, "inputs", value_build_map(&inputs));
    value_put(&root, "trigger", value_build_map(&trigger));
    value_put(&root, "outputs", value_build_map(&outputs));
    value_put(&root, "rows", value_build_list(&list));
    return value_build_map(&root);
}

/* Evaluations per second of one round. */
static double measure(const struct workload *workload,
                      const struct value *context,
                      struct expr_cache *cache)
{
    AUTO(arena_freep) struct arena *arena = arena_new_sized(64 * 1024);
    struct expr_env env = {
        .context = context,
        .cache = workload->cached ? cache : NULL,
        .now = clock_now(),
        .seed = 1,
    };
    usec_t start = clock_monotonic();
    usec_t span = 0;
    double count = 0;
    while (span < ROUND_SPAN) {
        for (int i = 0; i < BATCH; i++) {
            struct error err = { 0 };
            if (expr_render_text(&env, arena, workload->template, NULL, &err) == NULL) {
                fprintf(stderr, "%s: %s\n", workload->name, err.text);
                exit(1);
            }
            arena_reset(arena);
        }
        count += BATCH;
        span = clock_monotonic() - start;
    }
    return count * 1e6 / (double)span;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const struct workload *workload, double *rates, bool json)
{
    double load = 0;
    qsort(rates, ROUNDS, sizeof(*rates), compare);
    if (getloadavg(&load, 1) != 1)
        load = -1;
    if (json)
        printf("{\"name\":\"expr-%s\",\"unit\":\"evaluations/s\",\"min\":%.0f,\"median\":%.0f,"
               "\"max\":%.0f,\"n\":%d,\"load\":%.2f}\n",
               workload->name, rates[0], rates[ROUNDS / 2], rates[ROUNDS - 1], ROUNDS, load);
    else
        printf("%-16s %12.0f /s %10.3f us\n", workload->name, rates[ROUNDS / 2],
               1e6 / rates[ROUNDS / 2]);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    struct expr_cache *cache = expr_cache_new();
    AUTO(arena_freep) struct arena *arena = arena_new();
    const struct value *contexts[] = {
        [CONTEXT_SMALL] = make_context(arena, 5, 3),
        [CONTEXT_MEDIUM] = make_context(arena, 100, 20),
        [CONTEXT_LARGE] = make_context(arena, 10000, 1000),
    };
    for (size_t i = 0; i < COUNT_OF(workloads); i++) {
        double rates[ROUNDS];
        for (size_t round = 0; round < ROUNDS; round++)
            rates[round] = measure(&workloads[i], contexts[workloads[i].context], cache);
        report(&workloads[i], rates, json);
    }
    expr_cache_free(cache);
    return 0;
}
