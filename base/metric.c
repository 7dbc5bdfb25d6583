/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metric.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/map.h"
#include "base/vec.h"

#define OTHER "other"

/* Upper bounds in microseconds: 1, 2.5 and 5 per decade. */
static const usec_t bounds[METRIC_BUCKETS] = {
    100,          250,           500,           1000,          2500,           5000,     10000,
    25000,        50000,         100000,        250000,        500000,         USEC_SEC, 2500000,
    5 * USEC_SEC, 10 * USEC_SEC, 25 * USEC_SEC, 50 * USEC_SEC, 100 * USEC_SEC,
};

struct metric_data {
    _Atomic int64_t buckets[METRIC_BUCKETS + 1]; /* the last one: beyond all bounds */
    _Atomic int64_t sum;                         /* microseconds */
    struct map children;                         /* label value -> struct metric; metrics.lock */
};

/* metrics.lock: the registry and the children of labelled metrics. Taken last. */
static struct {
    pthread_mutex_t lock;
    VEC(struct metric *) rows;
} metrics = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int compare_names(const void *a, const void *b)
{
    const struct metric *const *left = a;
    const struct metric *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

void metric_register(struct metric *table, size_t count)
{
    (void)pthread_mutex_lock(&metrics.lock);
    for (size_t i = 0; i < count; i++) {
        bool is_known = false;
        for (size_t k = 0; k < metrics.rows.count; k++) {
            CHECK(metrics.rows.items[k] == &table[i] ||
                  strcmp(metrics.rows.items[k]->name, table[i].name) != 0);
            is_known = is_known || metrics.rows.items[k] == &table[i];
        }
        if (!is_known)
            *VEC_PUSH(&metrics.rows) = &table[i];
    }
    if (metrics.rows.count > 1)
        qsort(metrics.rows.items, metrics.rows.count, sizeof(metrics.rows.items[0]), compare_names);
    (void)pthread_mutex_unlock(&metrics.lock);
}

/* Made at first use; metrics live as long as the program. */
static struct metric_data *data_of(struct metric *metric)
{
    struct metric_data *data = atomic_load(&metric->data);
    if (data != NULL)
        return data;
    struct metric_data *made = check_calloc(1, sizeof(*made));
    if (atomic_compare_exchange_strong(&metric->data, &data, made))
        return made;
    free(made);
    return data;
}

void metric_add(struct metric *metric, int64_t amount)
{
    (void)atomic_fetch_add_explicit(&metric->value, amount, memory_order_relaxed);
}

void metric_set(struct metric *metric, int64_t value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

void metric_observe(struct metric *metric, usec_t span)
{
    CHECK(metric->kind == METRIC_HISTOGRAM);
    struct metric_data *data = data_of(metric);
    size_t bucket = 0;
    while (bucket < METRIC_BUCKETS && span > bounds[bucket])
        bucket++;
    (void)atomic_fetch_add_explicit(&data->buckets[bucket], 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&data->sum, span, memory_order_relaxed);
}

struct metric *metric_with(struct metric *metric, const char *value)
{
    CHECK(metric->label != NULL);
    struct metric_data *data = data_of(metric);
    (void)pthread_mutex_lock(&metrics.lock);
    struct metric *child = map_find(&data->children, value);
    if (child == NULL && data->children.count >= METRIC_LABEL_VALUES_MAX) {
        value = OTHER;
        child = map_find(&data->children, value);
    }
    if (child == NULL) {
        child = check_calloc(1, sizeof(*child));
        child->kind = metric->kind;
        child->name = metric->name;
        child->help = metric->help;
        (void)map_put(&data->children, value, child);
    }
    (void)pthread_mutex_unlock(&metrics.lock);
    return child;
}

int64_t metric_value(const struct metric *metric)
{
    if (metric->read != NULL)
        return metric->read(metric->context);
    return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

static void put_label_value(struct buf *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            buf_puts(out, "\\n");
        else if (*value == '"' || *value == '\\')
            buf_printf(out, "\\%c", *value);
        else
            buf_putc(out, *value);
    }
}

/* "{state="SUCCESS",le="0.1"}"; nothing when both are absent. */
static void put_labels(struct buf *out, const char *label, const char *value, const char *le)
{
    if (label == NULL && le == NULL)
        return;
    buf_putc(out, '{');
    if (label != NULL) {
        buf_printf(out, "%s=\"", label);
        put_label_value(out, value);
        buf_putc(out, '"');
    }
    if (le != NULL)
        buf_printf(out, "%sle=\"%s\"", label == NULL ? "" : ",", le);
    buf_putc(out, '}');
}

static void put_series(struct buf *out,
                       const struct metric *metric,
                       const char *label,
                       const char *value)
{
    if (metric->kind != METRIC_HISTOGRAM) {
        buf_puts(out, metric->name);
        put_labels(out, label, value, NULL);
        buf_printf(out, " %lld\n", (long long)metric_value(metric));
        return;
    }
    struct metric_data *data = atomic_load(&metric->data);
    int64_t total = 0;
    for (size_t i = 0; i <= METRIC_BUCKETS; i++) {
        char le[32] = "+Inf";
        if (i < METRIC_BUCKETS)
            (void)snprintf(le, sizeof(le), "%g", (double)bounds[i] / (double)USEC_SEC);
        if (data != NULL)
            total += atomic_load_explicit(&data->buckets[i], memory_order_relaxed);
        buf_printf(out, "%s_bucket", metric->name);
        put_labels(out, label, value, le);
        buf_printf(out, " %lld\n", (long long)total);
    }
    int64_t sum = data == NULL ? 0 : atomic_load_explicit(&data->sum, memory_order_relaxed);
    buf_printf(out, "%s_sum", metric->name);
    put_labels(out, label, value, NULL);
    buf_printf(out, " %.6f\n%s_count", (double)sum / (double)USEC_SEC, metric->name);
    put_labels(out, label, value, NULL);
    buf_printf(out, " %lld\n", (long long)total);
}

static int compare_slots(const void *a, const void *b)
{
    const struct map_slot *const *left = a;
    const struct map_slot *const *right = b;
    return strcmp((*left)->key, (*right)->key);
}

static void put_children(struct buf *out, const struct metric *metric)
{
    const struct metric_data *data = atomic_load(&metric->data);
    if (data == NULL)
        return;
    VEC(const struct map_slot *) slots = { 0 };
    size_t at = 0;
    for (struct map_slot *slot; (slot = map_next(&data->children, &at)) != NULL;)
        *VEC_PUSH(&slots) = slot;
    if (slots.count > 1)
        qsort(slots.items, slots.count, sizeof(slots.items[0]), compare_slots);
    for (size_t i = 0; i < slots.count; i++)
        put_series(out, slots.items[i]->value, metric->label, slots.items[i]->key);
    VEC_FREE(&slots);
}

void metric_print(struct buf *out)
{
    static const char *const kinds[] = {
        [METRIC_COUNTER] = "counter",
        [METRIC_GAUGE] = "gauge",
        [METRIC_HISTOGRAM] = "histogram",
    };
    // A copy: `read` of a gauge may take locks of its own, so none is held around it.
    (void)pthread_mutex_lock(&metrics.lock);
    VEC(const struct metric *) rows = { 0 };
    for (size_t i = 0; i < metrics.rows.count; i++)
        *VEC_PUSH(&rows) = metrics.rows.items[i];
    (void)pthread_mutex_unlock(&metrics.lock);

    for (size_t i = 0; i < rows.count; i++) {
        const struct metric *metric = rows.items[i];
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
                   kinds[metric->kind]);
        if (metric->label == NULL) {
            put_series(out, metric, NULL, NULL);
            continue;
        }
        (void)pthread_mutex_lock(&metrics.lock);
        put_children(out, metric);
        (void)pthread_mutex_unlock(&metrics.lock);
    }
    VEC_FREE(&rows);
}
