/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searches over stored things: filters that must all hold, an order, a page.
 *
 * One shape for all resources and both back ends; query_matches_*() is the meaning, an index is
 * only a shortcut.
 */
#ifndef RUNTIME_STORE_QUERY_H
#define RUNTIME_STORE_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

enum field {
    FIELD_TEXT, /* full text over the main strings, case-insensitive; "*" is everything */
    FIELD_NAMESPACE,
    FIELD_FLOW,
    FIELD_LABEL,     /* key: the label */
    FIELD_STATE,     /* values: names */
    FIELD_KIND,      /* NORMAL TEST PLAYGROUND LOOP */
    FIELD_START,     /* at */
    FIELD_END,       /* at */
    FIELD_CAUSE,     /* execution that caused it (triggerExecutionId); value NULL with
                        MATCH_EQUAL: none (childFilter MAIN), MATCH_NOT_EQUAL: some (CHILD) */
    FIELD_EXECUTION, /* executions: own id; logs, triggers: executionId */
    FIELD_TRIGGER,
    FIELD_TASK,
    FIELD_RUN,
    FIELD_ATTEMPT,
    FIELD_LEVEL, /* value: name; MATCH_EQUAL and MATCH_GREATER_EQUAL: at least */
    FIELD_WORKER,
    FIELD_TRIGGER_STATE, /* ENABLED, DISABLED */
    FIELD_UPDATED,       /* at */
    FIELD_CREATED,       /* at */
    FIELD_EXPIRES,       /* at */
    FIELD_KEY,           /* of KV entries */
    FIELD_NAME,          /* of metrics */
    FIELD_NEXT,          /* next date of triggers; only to sort by */
    FIELD_DURATION,      /* of executions; only to sort by */
    FIELD_ID,            /* only to sort by */
    FIELD_COUNT,
};

enum match {
    MATCH_EQUAL,
    MATCH_NOT_EQUAL,
    MATCH_GREATER,
    MATCH_LESS,
    MATCH_GREATER_EQUAL,
    MATCH_LESS_EQUAL,
    MATCH_IN,
    MATCH_NOT_IN,
    MATCH_STARTS,
    MATCH_ENDS,
    MATCH_CONTAINS,
    MATCH_REGEX,
    MATCH_PREFIX, /* namespaces: itself and everything below */
};

struct filter {
    enum field field;
    enum match match;
    const char *key;           /* FIELD_LABEL */
    const char *const *values; /* one, or several for MATCH_IN and MATCH_NOT_IN */
    size_t values_count;
    usec_t at; /* time fields */
};

/* More filters than this are refused by whoever builds a query. */
#define QUERY_FILTERS_MAX 64U

/*
 * Task runs of a page as stored: a page of a hundred executions of ten thousand task runs each
 * fits, and an answer in JSON, several times as large, still fits into memory.
 */
#define QUERY_BYTES_MAX ((size_t)256 * 1024 * 1024)

struct query {
    const struct filter *filters;
    size_t filters_count;
    enum field sort; /* primary order; ties by key. Default order of the resource: FIELD_COUNT */
    bool descending;
    size_t offset;
    size_t limit;     /* 0: none wanted, only the total */
    size_t bytes_max; /* of the task runs of a page of executions; 0: QUERY_BYTES_MAX */
};

struct error;
struct execution_row;
struct flow_row;
struct kv_row;
struct log_line;
struct log_row;
struct metric_row;
struct trigger_state;
struct value;

/*
 * Adds the task runs of a row to those of its page. False: they are too many.
 *
 * Errors   ERR_LIMIT
 */
bool query_takes_runs(const struct query *query,
                      const struct execution_row *row,
                      size_t *bytes,
                      struct error *err);

/*
 * Does a text satisfy a filter on a text field? text may be NULL (absent): only the negative
 * matches hold then. An invalid regular expression matches nothing.
 */
bool filter_matches_text(const struct filter *filter, const char *text);
bool filter_matches_time(const struct filter *filter, usec_t at);

/* `text` occurs in `in`, ignoring the case of ASCII letters. */
bool text_contains(const char *in, const char *text);

/*
 * A whole row against all filters. Labels of executions are decoded only when a filter needs them.
 */
bool query_matches_execution(const struct query *query, const struct execution_row *row);
bool query_matches_flow(const struct query *query, const struct flow_row *row);
bool query_matches_trigger(const struct query *query, const struct trigger_state *row);
bool query_matches_kv(const struct query *query, const struct kv_row *row);
bool query_matches_metric(const struct query *query, const struct metric_row *row);
bool query_matches_line(const struct query *query, const struct log_line *line);
/* Could a line of the block match? */
bool query_may_match_block(const struct query *query, const struct log_row *row);

#endif
