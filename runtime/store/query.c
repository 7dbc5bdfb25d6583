/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/store/query.h"

#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/regex.h"
#include "base/str.h"
#include "core/json.h"
#include "core/value.h"
#include "runtime/store/logstore.h"
#include "runtime/store/store.h"

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool text_contains(const char *in, const char *text)
{
    size_t length = strlen(text);
    if (length == 0)
        return true;
    unsigned char first = lower(text[0]);
    for (; *in != '\0'; in++) {
        if (lower(*in) != first)
            continue;
        size_t i = 1;
        while (i < length && in[i] != '\0' && lower(in[i]) == lower(text[i]))
            i++;
        if (i == length)
            return true;
    }
    return false;
}

static const char *first_value(const struct filter *filter)
{
    return filter->values_count > 0 ? filter->values[0] : NULL;
}

static bool in_values(const struct filter *filter, const char *text)
{
    for (size_t i = 0; i < filter->values_count; i++)
        if (str_eq(filter->values[i], text))
            return true;
    return false;
}

static bool matches_regex(const char *pattern, const char *text)
{
    AUTO(regex_freep) struct regex *regex = regex_new(pattern, strlen(pattern), NULL);
    return regex != NULL && regex_match(regex, text, strlen(text)) == REGEX_MATCH;
}

/* `text` is the namespace itself or one below it. */
static bool is_below(const char *text, const char *namespace)
{
    size_t length = strlen(namespace);
    return strncmp(text, namespace, length) == 0 && (text[length] == '\0' || text[length] == '.');
}

bool filter_matches_text(const struct filter *filter, const char *text)
{
    const char *value = first_value(filter);
    if (text == NULL || value == NULL) {
        bool equal = text == value;
        bool is_negative = filter->match == MATCH_NOT_EQUAL || filter->match == MATCH_NOT_IN;
        return is_negative ? !equal : filter->match == MATCH_EQUAL && equal;
    }
    switch (filter->match) {
    case MATCH_EQUAL:
        return strcmp(text, value) == 0;
    case MATCH_NOT_EQUAL:
        return strcmp(text, value) != 0;
    case MATCH_GREATER:
        return strcmp(text, value) > 0;
    case MATCH_LESS:
        return strcmp(text, value) < 0;
    case MATCH_GREATER_EQUAL:
        return strcmp(text, value) >= 0;
    case MATCH_LESS_EQUAL:
        return strcmp(text, value) <= 0;
    case MATCH_IN:
        return in_values(filter, text);
    case MATCH_NOT_IN:
        return !in_values(filter, text);
    case MATCH_STARTS:
        return str_starts(text, value);
    case MATCH_ENDS:
        return str_ends(text, value);
    case MATCH_CONTAINS:
        return text_contains(text, value);
    case MATCH_REGEX:
        return matches_regex(value, text);
    case MATCH_PREFIX:
        return is_below(text, value);
    }
    return false;
}

bool filter_matches_time(const struct filter *filter, usec_t at)
{
    switch (filter->match) {
    case MATCH_EQUAL:
    case MATCH_IN:
        return at == filter->at;
    case MATCH_NOT_EQUAL:
    case MATCH_NOT_IN:
        return at != filter->at;
    case MATCH_GREATER:
        return at > filter->at;
    case MATCH_LESS:
        return at < filter->at;
    case MATCH_GREATER_EQUAL:
        return at >= filter->at;
    case MATCH_LESS_EQUAL:
        return at <= filter->at;
    case MATCH_STARTS:
    case MATCH_ENDS:
    case MATCH_CONTAINS:
    case MATCH_REGEX:
    case MATCH_PREFIX:
        return false;
    }
    return false;
}

/* Does one of the texts hold what a full-text filter looks for? */
static bool has_text(const struct filter *filter, const char *const *texts, size_t count)
{
    const char *wanted = first_value(filter);
    bool found = wanted == NULL || strcmp(wanted, "*") == 0;
    for (size_t i = 0; i < count && !found; i++)
        found = texts[i] != NULL && text_contains(texts[i], wanted);
    return found;
}

static bool matches_text(const struct filter *filter, const char *const *texts, size_t count)
{
    return has_text(filter, texts, count) == (filter->match != MATCH_NOT_EQUAL);
}

/*
 * Which member of a row a filter on a field looks at. Fields that are not in a resource's table,
 * and not handled beside it, restrict nothing: whoever builds a query refuses them.
 */
struct column {
    enum field field;
    bool is_time;
    size_t offset;
};

#define TEXT(field, type, member)                                                                  \
    {                                                                                              \
        (field), false, offsetof(type, member)                                                     \
    }
#define TIME(field, type, member)                                                                  \
    {                                                                                              \
        (field), true, offsetof(type, member)                                                      \
    }

static bool matches_column(const struct filter *filter,
                           const void *row,
                           const struct column *columns,
                           size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (columns[i].field != filter->field)
            continue;
        const void *member = (const char *)row + columns[i].offset;
        return columns[i].is_time ? filter_matches_time(filter, *(const usec_t *)member)
                                  : filter_matches_text(filter, *(const char *const *)member);
    }
    return true;
}

/* ---- executions ---- */

/* Labels of a row: given, or decoded from the header when first asked for. */
struct label_source {
    const struct execution_row *row;
    struct execution *decoded;
    const struct label *items;
    size_t count;
    bool is_known;
};

static void labels_need(struct label_source *source)
{
    if (source->is_known)
        return;
    source->is_known = true;
    const struct execution_row *row = source->row;
    if (row->labels != NULL || row->header.length == 0) {
        source->items = row->labels;
        source->count = row->labels_count;
        return;
    }
    source->decoded = execution_decode(row->header.at, row->header.length, NULL, NULL);
    if (source->decoded != NULL) {
        source->items = source->decoded->labels.items;
        source->count = source->decoded->labels.count;
    }
}

static bool matches_label(const struct filter *filter, struct label_source *source)
{
    labels_need(source);
    const char *value = NULL;
    for (size_t i = 0; i < source->count; i++)
        if (str_eq(source->items[i].key, filter->key))
            value = source->items[i].value;
    return filter_matches_text(filter, value);
}

static bool matches_execution_text(const struct filter *filter, struct label_source *source)
{
    const struct execution_row *row = source->row;
    const char *main[] = { row->id.text, row->namespace, row->flow_id };
    bool found = has_text(filter, main, COUNT_OF(main));
    if (!found) {
        labels_need(source);
        for (size_t i = 0; i < source->count && !found; i++)
            found = has_text(filter, &source->items[i].value, 1);
    }
    return found == (filter->match != MATCH_NOT_EQUAL);
}

static const char *kind_name(enum execution_kind kind)
{
    static const char *const names[] = {
        [KIND_NORMAL] = "NORMAL",
        [KIND_TEST] = "TEST",
        [KIND_PLAYGROUND] = "PLAYGROUND",
        [KIND_LOOP] = "LOOP",
    };
    return names[kind];
}

static const struct column execution_columns[] = {
    TEXT(FIELD_NAMESPACE, struct execution_row, namespace),
    TEXT(FIELD_FLOW, struct execution_row, flow_id),
    TEXT(FIELD_CAUSE, struct execution_row, cause_id),
    TEXT(FIELD_TRIGGER, struct execution_row, trigger_id),
    TIME(FIELD_START, struct execution_row, created_at),
    TIME(FIELD_CREATED, struct execution_row, created_at),
};

static bool matches_execution(const struct filter *filter, struct label_source *source)
{
    const struct execution_row *row = source->row;
    if (filter->field == FIELD_TEXT)
        return matches_execution_text(filter, source);
    if (filter->field == FIELD_LABEL)
        return matches_label(filter, source);
    if (filter->field == FIELD_STATE)
        return filter_matches_text(filter, states[row->state].name);
    if (filter->field == FIELD_KIND)
        return filter_matches_text(filter, kind_name(row->kind));
    if (filter->field == FIELD_EXECUTION || filter->field == FIELD_ID)
        return filter_matches_text(filter, row->id.text);
    if (filter->field == FIELD_END) // what has not ended has no end date to compare
        return row->ended_at != 0 && filter_matches_time(filter, row->ended_at);
    return matches_column(filter, row, execution_columns, COUNT_OF(execution_columns));
}

bool query_matches_execution(const struct query *query, const struct execution_row *row)
{
    struct label_source source = { .row = row };
    bool matches = true;
    for (size_t i = 0; i < query->filters_count && matches; i++)
        matches = matches_execution(&query->filters[i], &source);
    execution_free(source.decoded);
    return matches;
}

/* ---- flows ---- */

static const struct column flow_columns[] = {
    TEXT(FIELD_NAMESPACE, struct flow_row, namespace),
    TEXT(FIELD_FLOW, struct flow_row, id),
    TEXT(FIELD_ID, struct flow_row, id),
    TIME(FIELD_UPDATED, struct flow_row, updated_at),
};

static bool matches_flow_label(const struct filter *filter, const struct flow_row *row)
{
    if (row->labels == NULL)
        return filter_matches_text(filter, NULL);
    AUTO(arena_freep) struct arena *arena = arena_new_sized(512);
    const struct value *map = json_parse(arena, row->labels, strlen(row->labels), NULL);
    return filter_matches_text(filter, value_get_text(map, filter->key, NULL));
}

bool query_matches_flow(const struct query *query, const struct flow_row *row)
{
    const char *texts[] = { row->namespace, row->id, row->source };
    bool matches = true;
    for (size_t i = 0; i < query->filters_count && matches; i++) {
        const struct filter *filter = &query->filters[i];
        if (filter->field == FIELD_TEXT)
            matches = matches_text(filter, texts, COUNT_OF(texts));
        else if (filter->field == FIELD_LABEL)
            matches = matches_flow_label(filter, row);
        else
            matches = matches_column(filter, row, flow_columns, COUNT_OF(flow_columns));
    }
    return matches;
}

/* ---- triggers ---- */

static const struct column trigger_columns[] = {
    TEXT(FIELD_NAMESPACE, struct trigger_state, namespace),
    TEXT(FIELD_FLOW, struct trigger_state, flow_id),
    TEXT(FIELD_TRIGGER, struct trigger_state, trigger_id),
    TEXT(FIELD_WORKER, struct trigger_state, worker_id),
    TEXT(FIELD_EXECUTION, struct trigger_state, execution_id),
    TIME(FIELD_START, struct trigger_state, next_at),
    TIME(FIELD_END, struct trigger_state, next_at),
    TIME(FIELD_UPDATED, struct trigger_state, updated_at),
};

bool query_matches_trigger(const struct query *query, const struct trigger_state *row)
{
    const char *texts[] = { row->namespace, row->flow_id, row->trigger_id };
    bool matches = true;
    for (size_t i = 0; i < query->filters_count && matches; i++) {
        const struct filter *filter = &query->filters[i];
        if (filter->field == FIELD_TEXT)
            matches = matches_text(filter, texts, COUNT_OF(texts));
        else if (filter->field == FIELD_TRIGGER_STATE)
            matches =
                filter_matches_text(filter, row->disabled || row->is_off ? "DISABLED" : "ENABLED");
        else
            matches = matches_column(filter, row, trigger_columns, COUNT_OF(trigger_columns));
    }
    return matches;
}

/* ---- KV ---- */

static const struct column kv_columns[] = {
    TEXT(FIELD_NAMESPACE, struct kv_row, namespace), TEXT(FIELD_KEY, struct kv_row, key),
    TIME(FIELD_UPDATED, struct kv_row, updated_at),  TIME(FIELD_CREATED, struct kv_row, created_at),
    TIME(FIELD_EXPIRES, struct kv_row, expires_at),
};

bool query_matches_kv(const struct query *query, const struct kv_row *row)
{
    bool matches = true;
    for (size_t i = 0; i < query->filters_count && matches; i++) {
        const struct filter *filter = &query->filters[i];
        if (filter->field == FIELD_TEXT)
            matches = matches_text(filter, &row->key, 1);
        else
            matches = matches_column(filter, row, kv_columns, COUNT_OF(kv_columns));
    }
    return matches;
}

/* ---- metrics ---- */

static const struct column metric_columns[] = {
    TEXT(FIELD_NAMESPACE, struct metric_row, namespace),
    TEXT(FIELD_FLOW, struct metric_row, flow_id),
    TEXT(FIELD_TASK, struct metric_row, task_id),
    TEXT(FIELD_RUN, struct metric_row, run_id),
    TEXT(FIELD_NAME, struct metric_row, name),
    TIME(FIELD_START, struct metric_row, at),
    TIME(FIELD_END, struct metric_row, at),
};

bool query_matches_metric(const struct query *query, const struct metric_row *row)
{
    for (size_t i = 0; i < query->filters_count; i++)
        if (!matches_column(&query->filters[i], row, metric_columns, COUNT_OF(metric_columns)))
            return false;
    return true;
}

/* ---- log lines ---- */

static const struct column line_columns[] = {
    TEXT(FIELD_NAMESPACE, struct log_line, source.namespace),
    TEXT(FIELD_FLOW, struct log_line, source.flow_id),
    TEXT(FIELD_EXECUTION, struct log_line, source.execution_id),
    TEXT(FIELD_TRIGGER, struct log_line, source.trigger_id),
    TEXT(FIELD_TASK, struct log_line, source.task_id),
    TEXT(FIELD_RUN, struct log_line, source.run_id),
    TIME(FIELD_START, struct log_line, at),
    TIME(FIELD_END, struct log_line, at),
};

static bool matches_attempt(const struct filter *filter, uint32_t attempt)
{
    int64_t wanted = 0;
    const char *text = first_value(filter);
    return text != NULL && str_to_int(text, 0, UINT32_MAX, &wanted) && wanted == (int64_t)attempt;
}

/* Levels that a filter leaves, as a mask. */
static uint32_t wanted_levels(const struct filter *filter)
{
    enum log_level level = LOG_TRACE;
    const char *name = first_value(filter);
    if (name == NULL || !log_level_parse(name, &level))
        return UINT32_MAX;
    return filter->match == MATCH_NOT_EQUAL ? ~BIT(level) : ~(BIT(level) - 1);
}

bool query_matches_line(const struct query *query, const struct log_line *line)
{
    bool matches = true;
    for (size_t i = 0; i < query->filters_count && matches; i++) {
        const struct filter *filter = &query->filters[i];
        if (filter->field == FIELD_TEXT)
            matches = matches_text(filter, &line->message, 1);
        else if (filter->field == FIELD_LEVEL)
            matches = (wanted_levels(filter) & BIT(line->level)) != 0;
        else if (filter->field == FIELD_ATTEMPT)
            matches = matches_attempt(filter, line->source.attempt);
        else
            matches = matches_column(filter, line, line_columns, COUNT_OF(line_columns));
    }
    return matches;
}

/* ---- blocks of log lines ---- */

static const struct column block_columns[] = {
    TEXT(FIELD_NAMESPACE, struct log_row, namespace),
    TEXT(FIELD_FLOW, struct log_row, flow_id),
    TEXT(FIELD_TRIGGER, struct log_row, trigger_id),
};

/* Could a line with first_at <= at <= last_at satisfy the filter? */
static bool may_match_time(const struct filter *filter, const struct log_row *row)
{
    if (filter->match == MATCH_GREATER || filter->match == MATCH_GREATER_EQUAL)
        return filter_matches_time(filter, row->last_at);
    if (filter->match == MATCH_LESS || filter->match == MATCH_LESS_EQUAL)
        return filter_matches_time(filter, row->first_at);
    return filter->match != MATCH_EQUAL ||
           (row->first_at <= filter->at && row->last_at >= filter->at);
}

bool query_may_match_block(const struct query *query, const struct log_row *row)
{
    bool may = true;
    for (size_t i = 0; i < query->filters_count && may; i++) {
        const struct filter *filter = &query->filters[i];
        if (filter->field == FIELD_LEVEL)
            may = (wanted_levels(filter) & row->levels) != 0;
        else if (filter->field == FIELD_START || filter->field == FIELD_END)
            may = may_match_time(filter, row);
        else if (filter->field == FIELD_EXECUTION)
            may = filter_matches_text(filter, row->execution != 0 ? row->execution_id.text : NULL);
        else
            may = matches_column(filter, row, block_columns, COUNT_OF(block_columns));
    }
    return may;
}

/* ---- pages ---- */

bool query_takes_runs(const struct query *query,
                      const struct execution_row *row,
                      size_t *bytes,
                      struct error *err)
{
    size_t most = query->bytes_max == 0 ? QUERY_BYTES_MAX : query->bytes_max;
    for (size_t i = 0; i < row->runs_count; i++)
        *bytes += row->runs[i].body.length;
    return *bytes <= most || error_set(err, ERR_LIMIT,
                                       "the task runs of these executions are more than %zu MiB; "
                                       "ask for a smaller page",
                                       most >> 20);
}
