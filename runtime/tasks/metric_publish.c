/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/engine/inline.h"

struct props {
    const struct value *metrics;
};

struct metric {
    int type;
    const char *name;
    const char *value;
    const struct value *tags;
};

enum { METRIC_COUNTER, METRIC_TIMER, METRIC_GAUGE };
static const char *const types[] = { "counter", "timer", "gauge", NULL };

static const struct prop metric_props[] = {
    { "type", ENUM(struct metric, type), .flags = PROP_REQUIRED | PROP_EXPR, .words = types,
      .doc = "counter, timer or gauge." },
    { "name", STR(struct metric, name), .flags = PROP_REQUIRED | PROP_EXPR, .doc = "Its name." },
    { "value", STR(struct metric, value), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "A number; of a timer, a duration." },
    { "tags", MAP(struct metric, tags), .item = PROP_STRING, .flags = PROP_EXPR,
      .doc = "What tells it from others of the same name." },
    { "description", .kind = PROP_STRING, .flags = PROP_EXPR, .doc = "For people." },
    { 0 },
};

static bool number_of(const struct metric *metric, double *number, struct error *err)
{
    usec_t span = 0;
    if (str_to_double(metric->value, number))
        return true;
    if (metric->type == METRIC_TIMER && duration_parse(metric->value, &span, NULL, NULL)) {
        *number = (double)span / (double)USEC_SEC;
        return true;
    }
    return error_set(err, ERR_INVALID, "metric '%s': '%.100s' is no number", metric->name,
                     metric->value);
}

static bool run(struct inline_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    (void)out;
    for (size_t i = 0; i < value_count(p->metrics); i++) {
        struct metric metric = { 0 };
        double number = 0;
        if (!prop_bind(metric_props, value_item(p->metrics, i), &metric, ctx->arena, err) ||
            !number_of(&metric, &number, err))
            return false;
        inline_metric(ctx, types[metric.type], metric.name, number, metric.tags);
    }
    return true;
}

static const struct prop props[] = {
    { "metrics", OBJECTS(struct props, metrics), .object = metric_props,
      .flags = PROP_REQUIRED | PROP_EXPR, .doc = "What to record." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Count rows", "metrics:\n"
                    "  - type: counter\n"
                    "    name: rows\n"
                    "    value: \"{{ inputs.rows }}\"\n" },
    { 0 },
};

const struct plugin task_metric_publish = {
    .id = "io.kestra.plugin.core.metric.Publish",
    .role = PLUGIN_TASK,
    .task_kind = TASK_INLINE,
    .title = "Record metrics of the task run.",
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .inline_ops = &(const struct inline_ops){ .run = run },
};
