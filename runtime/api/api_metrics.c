/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics of task runs (api.md 2.4).
 */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/value.h"
#include "runtime/api/call.h"
#include "runtime/api/shapes.h"

/* Rows that one aggregate looks at. */
#define AGGREGATE_ROWS_MAX 1000000U

/* Points of one aggregate; the grouping keeps ordinary periods far below. */
#define POINTS_MAX 2000U

#define PERIOD_DEFAULT (30 * USEC_DAY)

static void get_of_execution(struct call *call)
{
    struct search search;
    struct store_reader *reader = NULL;
    if (!call_search(call, &search) || (reader = call_reader(call)) == NULL)
        return;
    struct error err = { 0 };
    struct execution_row row;
    if (!reader->ops->execution_get(reader, call->arena, call->path[0], &row, &err)) {
        if (err.code == ERR_NOT_FOUND || err.code == ERR_CONFLICT)
            reply_page(call, &value_empty_list, 0);
        else
            reply_failure(call, &err);
        return;
    }
    struct filter filters[2];
    size_t count = 0;
    const char *run_id = call_query(call, "taskRunId");
    const char *task_id = call_query(call, "taskId");
    if (!str_empty(run_id))
        filters[count++] = (struct filter){
            .field = FIELD_RUN, .match = MATCH_EQUAL, .values = &run_id, .values_count = 1
        };
    if (!str_empty(task_id))
        filters[count++] = (struct filter){
            .field = FIELD_TASK, .match = MATCH_EQUAL, .values = &task_id, .values_count = 1
        };
    search.query.filters = filters;
    search.query.filters_count = count;

    struct metric_row *rows = NULL;
    size_t found = 0;
    int64_t total = 0;
    if (!reader->ops->metrics(reader, call->arena, row.key, &search.query, &rows, &found, &total,
                              &err)) {
        reply_failure(call, &err);
        return;
    }
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < found; i++)
        value_add(&list, shape_metric(call->arena, &rows[i]));
    reply_page(call, value_build_list(&list), total);
}

/* ---- of a flow ---- */

struct flow_metrics {
    const char *task_id; /* NULL: all */
    const char *name;    /* NULL: all */
    usec_t from;
    usec_t until;
};

/* On failure replies and returns false. */
static bool find_of_flow(struct call *call,
                         const struct flow_metrics *about,
                         struct metric_row **rows,
                         size_t *count)
{
    struct store_reader *reader = call_reader(call);
    if (reader == NULL)
        return false;
    struct filter filters[] = {
        { FIELD_NAMESPACE, MATCH_EQUAL, NULL, &call->path[0], 1, 0 },
        { FIELD_FLOW, MATCH_EQUAL, NULL, &call->path[1], 1, 0 },
        { FIELD_START, MATCH_GREATER_EQUAL, NULL, NULL, 0, about->from },
        { FIELD_START, MATCH_LESS_EQUAL, NULL, NULL, 0, about->until },
        { 0 },
        { 0 },
    };
    size_t used = 4;
    if (about->task_id != NULL)
        filters[used++] = (struct filter){ FIELD_TASK, MATCH_EQUAL, NULL, &about->task_id, 1, 0 };
    if (about->name != NULL)
        filters[used++] = (struct filter){ FIELD_NAME, MATCH_EQUAL, NULL, &about->name, 1, 0 };
    struct query query = {
        .filters = filters,
        .filters_count = used,
        .sort = FIELD_START,
        .limit = AGGREGATE_ROWS_MAX,
    };
    struct error err = { 0 };
    if (reader->ops->metrics(reader, call->arena, 0, &query, rows, count, NULL, &err))
        return true;
    reply_failure(call, &err);
    return false;
}

/* Each text once, in order of appearance. */
static void reply_distinct(struct call *call,
                           const struct metric_row *rows,
                           size_t count,
                           bool of_tasks)
{
    struct map seen = { 0 };
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++) {
        const char *text = of_tasks ? rows[i].task_id : rows[i].name;
        if (text == NULL || map_has(&seen, text))
            continue;
        (void)map_put(&seen, text, &seen);
        value_add(&list, value_string(call->arena, text));
    }
    map_free(&seen);
    reply_value(call, 200, value_build_list(&list));
}

static void get_names(struct call *call)
{
    struct flow_metrics about = { .task_id = call->path[2], .until = USEC_NEVER };
    struct metric_row *rows = NULL;
    size_t count = 0;
    if (find_of_flow(call, &about, &rows, &count))
        reply_distinct(call, rows, count, false);
}

static void get_tasks(struct call *call)
{
    struct flow_metrics about = { .until = USEC_NEVER };
    struct metric_row *rows = NULL;
    size_t count = 0;
    if (find_of_flow(call, &about, &rows, &count))
        reply_distinct(call, rows, count, true);
}

/* ---- aggregates ---- */

static const struct group {
    const char *name;
    usec_t period_max; /* periods up to this long are grouped so */
    usec_t span;       /* 0: month */
} groups[] = {
    { "minute", USEC_HOUR, USEC_MIN },  { "hour", 2 * USEC_DAY, USEC_HOUR },
    { "day", 60 * USEC_DAY, USEC_DAY }, { "week", 365 * USEC_DAY, 7 * USEC_DAY },
    { "month", USEC_NEVER, 0 },
};

/* Start of the group an instant belongs to; weeks begin on Monday. */
static usec_t group_start(const struct group *group, usec_t at)
{
    struct civil civil = civil_of(at);
    if (group->span == 0) {
        civil.day = 1;
        civil.hour = civil.minute = civil.second = civil.micros = 0;
        return civil_at(&civil);
    }
    usec_t offset = group->span == 7 * USEC_DAY ? 4 * USEC_DAY : 0; // 1970-01-05 was a Monday
    usec_t rest = (at - offset) % group->span;
    return at - (rest < 0 ? rest + group->span : rest);
}

static usec_t group_next(const struct group *group, usec_t start)
{
    if (group->span != 0)
        return start + group->span;
    struct civil civil = civil_of(start);
    (void)civil_add_months(&civil, 1);
    return civil_at(&civil);
}

struct point {
    double sum;
    double min;
    double max;
    int64_t count;
};

static double point_value(const struct point *point, const char *aggregation)
{
    if (point->count == 0)
        return 0;
    if (str_eq_nocase(aggregation, "avg"))
        return point->sum / (double)point->count;
    if (str_eq_nocase(aggregation, "min"))
        return point->min;
    if (str_eq_nocase(aggregation, "max"))
        return point->max;
    return point->sum;
}

static void point_add(struct point *point, double value)
{
    point->min = point->count == 0 || value < point->min ? value : point->min;
    point->max = point->count == 0 || value > point->max ? value : point->max;
    point->sum += value;
    point->count++;
}

/* Date bound of the query string; on failure replies and returns false. */
static bool read_date(struct call *call, const char *name, usec_t *out)
{
    const char *text = call_query(call, name);
    if (str_empty(text) || filter_date_parse(text, out))
        return true;
    reply_error(call, 422, "Bad Request", "Failed to convert argument [%s] for value [%s]", name,
                text);
    return false;
}

static void get_aggregates(struct call *call)
{
    bool has_task = call->path[3] != NULL;
    struct flow_metrics about = {
        .task_id = has_task ? call->path[2] : NULL,
        .name = has_task ? call->path[3] : call->path[2],
        .until = clock_now(),
    };
    if (!read_date(call, "endDate", &about.until))
        return;
    about.from = about.until - PERIOD_DEFAULT;
    struct metric_row *rows = NULL;
    size_t count = 0;
    if (!read_date(call, "startDate", &about.from) || !find_of_flow(call, &about, &rows, &count))
        return;

    const struct group *group = groups;
    while (about.until - about.from > group->period_max)
        group++;
    const char *aggregation = call_query(call, "aggregation");
    aggregation = str_empty(aggregation) ? "sum" : aggregation;
    if (!str_eq_nocase(aggregation, "sum") && !str_eq_nocase(aggregation, "avg") &&
        !str_eq_nocase(aggregation, "min") && !str_eq_nocase(aggregation, "max")) {
        reply_error(call, 422, "Bad Request",
                    "Failed to convert argument [aggregation] for value [%s]", aggregation);
        return;
    }
    struct value_builder list = value_build(call->arena);
    size_t points = 0;
    size_t row = 0;
    for (usec_t at = group_start(group, about.from); at <= about.until && points < POINTS_MAX;
         at = group_next(group, at), points++) {
        struct point point = { 0 };
        for (; row < count && rows[row].at < group_next(group, at); row++)
            point_add(&point, rows[row].value);
        struct value_builder item = value_build(call->arena);
        value_put_text(&item, "name", about.name);
        value_put(&item, "value", value_double(call->arena, point_value(&point, aggregation)));
        value_put_text(&item, "date", time_format_instant(call->arena, at));
        value_add(&list, value_build_map(&item));
    }
    struct value_builder map = value_build(call->arena);
    value_put_text(&map, "groupBy", group->name);
    value_put(&map, "aggregations", value_build_list(&list));
    reply_value(call, 200, value_build_map(&map));
}

static const struct route_query run_query[] = {
    { "taskRunId", "string", "Of this task run.", false },
    { "taskId", "string", "Of this task.", false },
    { 0 },
};
static const struct route_query aggregate_query[] = {
    { "startDate", "string", "First instant; thirty days ago by default.", false },
    { "endDate", "string", "Last instant; now by default.", false },
    { "aggregation", "string", "sum, avg, min or max.", false },
    { 0 },
};

const struct route metric_routes[] = {
    { "GET", "metrics/{executionId}", get_of_execution, .flags = ROUTE_PAGED,
      .resource = RESOURCE_METRIC, .query = run_query, .shape = "PagedMetricEntry",
      .doc = "Metrics of an execution." },
    { "GET", "metrics/names/{namespace}/{flowId}", get_names,
      .doc = "Names of the metrics of a flow." },
    { "GET", "metrics/names/{namespace}/{flowId}/{taskId}", get_names,
      .doc = "Names of the metrics of a task." },
    { "GET", "metrics/tasks/{namespace}/{flowId}", get_tasks,
      .doc = "Tasks of a flow that have metrics." },
    { "GET", "metrics/aggregates/{namespace}/{flowId}/{metric}", get_aggregates,
      .query = aggregate_query, .shape = "MetricAggregations",
      .doc = "A metric of a flow over time." },
    { "GET", "metrics/aggregates/{namespace}/{flowId}/{taskId}/{metric}", get_aggregates,
      .query = aggregate_query, .shape = "MetricAggregations",
      .doc = "A metric of a task over time." },
    { 0 },
};
