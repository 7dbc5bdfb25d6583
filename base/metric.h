/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters, gauges and histograms in the Prometheus text format.
 *
 * A metric is a static row; updating it is one atomic addition.
 *
 * To add one: a row in the table of the module that counts, which registers its table once:
 *
 *     enum { STEPS, COMMIT_TIME };
 *     static struct metric metrics[] = {
 *         [STEPS] = { METRIC_COUNTER, "weir_engine_steps_total", "Engine steps taken." },
 *         [COMMIT_TIME] = { METRIC_HISTOGRAM, "weir_commit_seconds", "Time of a group commit." },
 *     };
 *     metric_register(metrics, COUNT_OF(metrics));
 *     metric_add(&metrics[STEPS], 1);
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct buf;

enum metric_kind {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM, /* of spans, shown in seconds; buckets from 100 µs to 100 s */
};

/* Values of a label beyond this many are counted as "other". */
#define METRIC_LABEL_VALUES_MAX 200

#define METRIC_BUCKETS 19

struct metric_data; /* buckets of a histogram, children of a labelled metric */

struct metric {
    enum metric_kind kind;
    const char *name;
    const char *help;
    const char *label;       /* NULL: no label; else metric_with() gives the counter to use */
    int64_t (*read)(void *); /* of a gauge computed when asked for; NULL: the value below */
    void *context;           /* of read */
    _Atomic int64_t value;
    _Atomic(struct metric_data *) data;
};

/* The table must live as long as the program. Rows of one name in several tables are our mistake.
 */
void metric_register(struct metric *table, size_t count);

void metric_add(struct metric *metric, int64_t amount);
void metric_set(struct metric *metric, int64_t value);
void metric_observe(struct metric *metric, usec_t span);

/* The child for one value of the label; stable, so it may be kept. Values are copied. */
struct metric *metric_with(struct metric *metric, const char *value);

int64_t metric_value(const struct metric *metric);

/* All registered metrics, sorted by name, in text format 0.0.4. */
void metric_print(struct buf *out);

#endif
