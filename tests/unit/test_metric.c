/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/metric.h"
#include "tests/support/test.h"

static int64_t seven(void *context)
{
    (void)context;
    return 7;
}

enum { COUNTER, COMPUTED, SPAN, LABELLED, METRICS };

static struct metric table[METRICS] = {
    [COUNTER] = { METRIC_COUNTER, "test_things_total", "Things." },
    [COMPUTED] = { METRIC_GAUGE, "test_computed", "Asked for.", .read = seven },
    [SPAN] = { METRIC_HISTOGRAM, "test_span_seconds", "Spans." },
    [LABELLED] = { METRIC_COUNTER, "test_ended_total", "Ended.", .label = "state" },
};

static void *add_many(void *context)
{
    (void)context;
    for (int i = 0; i < 10000; i++) {
        metric_add(&table[COUNTER], 1);
        metric_add(metric_with(&table[LABELLED], i % 2 == 0 ? "SUCCESS" : "FAILED"), 1);
        metric_observe(&table[SPAN], i);
    }
    return NULL;
}

static void assert_holds(const struct buf *text, const char *line)
{
    if (strstr(buf_text(text), line) == NULL)
        fail_msg("no '%s' in\n%s", line, buf_text(text));
}

static void metric_counts_from_many_threads_and_prints(void **state)
{
    (void)state;
    metric_register(table, METRICS);
    metric_register(table, METRICS); // a module that starts again
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    struct buf text = { 0 };
    metric_print(&text);
    assert_holds(&text, "# HELP test_things_total Things.\n# TYPE test_things_total counter\n"
                        "test_things_total 40000\n");
    assert_holds(&text, "test_computed 7\n");
    assert_holds(&text, "test_ended_total{state=\"FAILED\"} 20000\n"
                        "test_ended_total{state=\"SUCCESS\"} 20000\n");
    assert_holds(&text, "test_span_seconds_bucket{le=\"0.0001\"} 404\n");
    assert_holds(&text, "test_span_seconds_bucket{le=\"0.005\"} 20004\n");
    assert_holds(&text, "test_span_seconds_bucket{le=\"+Inf\"} 40000\n");
    assert_holds(&text, "test_span_seconds_sum 199.980000\ntest_span_seconds_count 40000\n");
    assert_true(strstr(text.bytes, "test_computed") < strstr(text.bytes, "test_things_total"));
    buf_free(&text);
}

static void metric_bounds_the_values_of_a_label(void **state)
{
    (void)state;
    static struct metric family = { METRIC_COUNTER, "test_bounded_total", "B.", .label = "name" };
    char name[32];
    for (int i = 0; i < METRIC_LABEL_VALUES_MAX + 50; i++) {
        (void)snprintf(name, sizeof(name), "n%d", i);
        metric_add(metric_with(&family, name), 1);
    }
    assert_int_equal(metric_value(metric_with(&family, "other")), 50);
    assert_int_equal(metric_value(metric_with(&family, "n3")), 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(metric_counts_from_many_threads_and_prints),
    cmocka_unit_test(metric_bounds_the_values_of_a_label),
};
TEST_GROUP(metric, tests)
