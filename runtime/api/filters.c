/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/api/filters.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/regex.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "base/vec.h"
#include "core/value.h"
#include "runtime/engine/execution.h"

#define PAGE_SIZE_DEFAULT 10U
/* Rows of one answer; no client asks for more than 10,000. */
#define PAGE_SIZE_MAX 100000U
#define PAGE_MAX      10000000U

#define EXECUTION_DAYS_DEFAULT 8

/* ---- operators ---- */

static const char *const operator_names[] = {
    [MATCH_EQUAL] = "EQUALS",
    [MATCH_NOT_EQUAL] = "NOT_EQUALS",
    [MATCH_GREATER] = "GREATER_THAN",
    [MATCH_LESS] = "LESS_THAN",
    [MATCH_GREATER_EQUAL] = "GREATER_THAN_OR_EQUAL_TO",
    [MATCH_LESS_EQUAL] = "LESS_THAN_OR_EQUAL_TO",
    [MATCH_IN] = "IN",
    [MATCH_NOT_IN] = "NOT_IN",
    [MATCH_STARTS] = "STARTS_WITH",
    [MATCH_ENDS] = "ENDS_WITH",
    [MATCH_CONTAINS] = "CONTAINS",
    [MATCH_REGEX] = "REGEX",
    [MATCH_PREFIX] = "PREFIX",
};

#define EQUALITY (BIT(MATCH_EQUAL) | BIT(MATCH_NOT_EQUAL))
#define ORDER                                                                                      \
    (EQUALITY | BIT(MATCH_GREATER) | BIT(MATCH_LESS) | BIT(MATCH_GREATER_EQUAL) |                  \
     BIT(MATCH_LESS_EQUAL))
#define SETS   (EQUALITY | BIT(MATCH_IN) | BIT(MATCH_NOT_IN))
#define TEXTS  (SETS | BIT(MATCH_STARTS) | BIT(MATCH_ENDS) | BIT(MATCH_CONTAINS))
#define NAMES  (TEXTS | BIT(MATCH_REGEX) | BIT(MATCH_PREFIX))
#define LABELS (SETS | BIT(MATCH_CONTAINS))

/* ---- fields ---- */

enum field_form {
    FORM_TEXT,
    FORM_TIME,
    FORM_LABEL,
    FORM_STATE,
    FORM_LEVEL,
    FORM_SCOPE,
    FORM_RANGE,
    FORM_CHILD,
    FORM_EXISTING,
    FORM_IGNORED, /* known, decides nothing here */
};

struct field_row {
    const char *name;
    const char *shown; /* in messages */
    enum field field;
    enum field_form form;
    unsigned operators;
    unsigned resources;
};

#define ON(name) BIT(RESOURCE_##name)
#define ON_ALL                                                                                     \
    (ON(FLOW) | ON(EXECUTION) | ON(LOG) | ON(TRIGGER) | ON(KV) | ON(SECRET) | ON(NAMESPACE) |      \
     ON(NAMESPACE_FILE))

static const struct field_row field_rows[] = {
    { "q", "QUERY", FIELD_TEXT, FORM_TEXT, EQUALITY, ON_ALL },
    { "scope", "SCOPE", FIELD_NAMESPACE, FORM_SCOPE, EQUALITY,
      ON(FLOW) | ON(EXECUTION) | ON(LOG) | ON(TRIGGER) },
    { "namespace", "NAMESPACE", FIELD_NAMESPACE, FORM_TEXT, NAMES, ON_ALL & ~ON(NAMESPACE) },
    { "flowId", "FLOW_ID", FIELD_FLOW, FORM_TEXT, NAMES,
      ON(FLOW) | ON(EXECUTION) | ON(LOG) | ON(TRIGGER) },
    { "labels", "LABELS", FIELD_LABEL, FORM_LABEL, LABELS, ON(FLOW) | ON(EXECUTION) },
    { "state", "STATE", FIELD_STATE, FORM_STATE, SETS, ON(EXECUTION) },
    { "kind", "KIND", FIELD_KIND, FORM_TEXT, SETS, ON(EXECUTION) },
    { "startDate", "START_DATE", FIELD_START, FORM_TIME, ORDER,
      ON(EXECUTION) | ON(LOG) | ON(TRIGGER) },
    { "endDate", "END_DATE", FIELD_START, FORM_TIME, ORDER, ON(EXECUTION) | ON(LOG) | ON(TRIGGER) },
    { "timeRange", "TIME_RANGE", FIELD_START, FORM_RANGE, BIT(MATCH_EQUAL),
      ON(EXECUTION) | ON(LOG) },
    { "childFilter", "CHILD_FILTER", FIELD_CAUSE, FORM_CHILD, EQUALITY, ON(EXECUTION) },
    { "triggerExecutionId", "TRIGGER_EXECUTION_ID", FIELD_CAUSE, FORM_TEXT, TEXTS, ON(EXECUTION) },
    { "level", "LEVEL", FIELD_LEVEL, FORM_LEVEL, EQUALITY | BIT(MATCH_GREATER_EQUAL), ON(LOG) },
    { "executionId", "EXECUTION_ID", FIELD_EXECUTION, FORM_TEXT, TEXTS, ON(LOG) },
    { "triggerId", "TRIGGER_ID", FIELD_TRIGGER, FORM_TEXT, TEXTS, ON(LOG) | ON(TRIGGER) },
    { "taskId", "TASK_ID", FIELD_TASK, FORM_TEXT, TEXTS, ON(LOG) },
    { "taskRunId", "TASK_RUN_ID", FIELD_RUN, FORM_TEXT, TEXTS, ON(LOG) },
    { "attemptNumber", "ATTEMPT_NUMBER", FIELD_ATTEMPT, FORM_TEXT, EQUALITY, ON(LOG) },
    { "workerId", "WORKER_ID", FIELD_WORKER, FORM_TEXT, TEXTS, ON(TRIGGER) },
    { "triggerState", "TRIGGER_STATE", FIELD_TRIGGER_STATE, FORM_TEXT, EQUALITY, ON(TRIGGER) },
    { "updated", "UPDATED", FIELD_UPDATED, FORM_TIME, ORDER, ON(KV) | ON(NAMESPACE_FILE) },
    { "expirationDate", "EXPIRATION_DATE", FIELD_EXPIRES, FORM_TIME, ORDER, ON(KV) },
    { "created", "CREATED", FIELD_CREATED, FORM_TIME, ORDER, 0 },
    { "existingOnly", "EXISTING_ONLY", FIELD_COUNT, FORM_EXISTING, EQUALITY, ON(NAMESPACE) },
    { "path", "PATH", FIELD_COUNT, FORM_IGNORED, EQUALITY | BIT(MATCH_IN), ON(NAMESPACE_FILE) },
    { "parentPath", "PARENT_PATH", FIELD_COUNT, FORM_IGNORED, EQUALITY | BIT(MATCH_STARTS),
      ON(NAMESPACE_FILE) },
    { "version", "VERSION", FIELD_COUNT, FORM_IGNORED, EQUALITY, ON(NAMESPACE_FILE) },
};

static const char *const resource_names[] = {
    [RESOURCE_NONE] = "",
    [RESOURCE_FLOW] = "FLOW",
    [RESOURCE_EXECUTION] = "EXECUTION",
    [RESOURCE_LOG] = "LOG",
    [RESOURCE_TRIGGER] = "TRIGGER",
    [RESOURCE_KV] = "KV",
    [RESOURCE_SECRET] = "SECRET",
    [RESOURCE_NAMESPACE] = "NAMESPACE",
    [RESOURCE_NAMESPACE_FILE] = "NAMESPACE_FILE",
    [RESOURCE_METRIC] = "METRIC",
};

/* Fields to sort by; those of executions and metrics are closed lists. */
static const struct sort_row {
    const char *name;
    enum field field;
    unsigned resources;
} sort_rows[] = {
    { "id", FIELD_ID, ON(FLOW) | ON(EXECUTION) | ON(NAMESPACE) },
    { "namespace", FIELD_NAMESPACE, ON_ALL | ON(METRIC) },
    { "flowId", FIELD_FLOW, ON(EXECUTION) | ON(METRIC) | ON(TRIGGER) | ON(LOG) },
    { "state.current", FIELD_STATE, ON(EXECUTION) },
    { "state.startDate", FIELD_START, ON(EXECUTION) },
    { "state.endDate", FIELD_END, ON(EXECUTION) },
    { "state.duration", FIELD_DURATION, ON(EXECUTION) },
    { "taskId", FIELD_TASK, ON(METRIC) },
    { "executionId", FIELD_EXECUTION, ON(METRIC) | ON(TRIGGER) },
    { "taskrunId", FIELD_RUN, ON(METRIC) },
    { "name", FIELD_NAME, ON(METRIC) },
    { "timestamp", FIELD_START, ON(METRIC) | ON(LOG) },
    { "value", FIELD_COUNT, ON(METRIC) },
    { "triggerId", FIELD_TRIGGER, ON(TRIGGER) },
    { "nextExecutionDate", FIELD_NEXT, ON(TRIGGER) },
    { "key", FIELD_KEY, ON(KV) | ON(SECRET) },
    { "updateDate", FIELD_UPDATED, ON(KV) },
};

/* ---- building ---- */

struct builder {
    struct arena *arena;
    enum resource resource;
    const struct filter_context *context;
    struct refusal *refusal;
    struct search *search;
    VEC(struct filter) filters;
    enum field date; /* which date bounds apply to: FIELD_START, or FIELD_END by `dateFilter` */
    bool has_range;
    bool has_date;
    usec_t after; /* latest lower and earliest upper bound of legacy dates */
    usec_t before;
};

static bool refuse(struct builder *b, int status, const char *reason, const char *detail)
{
    *b->refusal = (struct refusal){ status, reason, detail };
    return false;
}

static bool cannot_convert(struct builder *b, const char *name, const char *value)
{
    return refuse(
        b, 422, "Bad Request",
        arena_printf(b->arena, "Failed to convert argument [%s] for value [%s]", name, value));
}

static bool add(struct builder *b, struct filter filter)
{
    if (b->filters.count >= QUERY_FILTERS_MAX)
        return refuse(b, 400, "Invalid query filters", "too many filters");
    *VEC_PUSH_ARENA(b->arena, &b->filters) = filter;
    return true;
}

static bool add_texts(struct builder *b,
                      enum field field,
                      enum match match,
                      const char *key,
                      const char *const *values,
                      size_t count)
{
    return add(
        b,
        (struct filter){
            .field = field, .match = match, .key = key, .values = values, .values_count = count });
}

static bool add_text(
    struct builder *b, enum field field, enum match match, const char *key, const char *value)
{
    const char **values = ARENA_NEW(b->arena, const char *);
    values[0] = value;
    return add_texts(b, field, match, key, values, 1);
}

/* "[a, b]" or "a,b" to its items, trimmed; empty ones are left out. */
static const char **split_list(struct arena *arena, const char *text, size_t *count)
{
    size_t length = strlen(text);
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    size_t commas = 0;
    for (size_t i = 0; i < length; i++)
        commas += text[i] == ',' ? 1U : 0U;
    const char **items = ARENA_ARRAY(arena, commas + 1, const char *);
    size_t found = 0;
    size_t start = 0;
    for (size_t i = 0; i <= length; i++) {
        if (i < length && text[i] != ',')
            continue;
        const char *item = str_trim(arena, arena_strndup(arena, text + start, i - start));
        if (item[0] != '\0')
            items[found++] = item;
        start = i + 1;
    }
    *count = found;
    return items;
}

static const char *upper(struct arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);
    for (char *at = copy; *at != '\0'; at++) {
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
    }
    return copy;
}

bool filter_date_parse(const char *text, usec_t *out)
{
    struct time_text parts;
    if (!time_text_parse(text, strlen(text), &parts, NULL) || !parts.has_date)
        return false;
    *out = civil_at(&parts.civil) - (parts.has_offset ? parts.offset * USEC_SEC : 0);
    return true;
}

static bool add_time(
    struct builder *b, const char *name, enum field field, enum match match, const char *value)
{
    usec_t at = 0;
    if (!filter_date_parse(value, &at))
        return cannot_convert(b, name, value);
    b->has_date = true;
    if ((match == MATCH_GREATER || match == MATCH_GREATER_EQUAL) && at > b->after)
        b->after = at;
    if ((match == MATCH_LESS || match == MATCH_LESS_EQUAL) && at < b->before)
        b->before = at;
    return add(b, (struct filter){ .field = field, .match = match, .at = at });
}

static bool add_range(struct builder *b, const char *value)
{
    usec_t span = 0;
    if (!duration_parse(value, &span, NULL, NULL) || span < 0)
        return cannot_convert(b, "timeRange", value);
    b->has_range = true;
    usec_t at = b->context->now - span;
    return add(b, (struct filter){ .field = FIELD_START, .match = MATCH_GREATER_EQUAL, .at = at });
}

static bool add_states(struct builder *b, enum match match, const char **values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum state state;
        values[i] = upper(b->arena, values[i]);
        if (!state_parse(values[i], &state))
            return cannot_convert(b, "state", values[i]);
        values[i] = states[state].name;
    }
    return add_texts(b, FIELD_STATE, match, NULL, values, count);
}

static bool is_level(const char *value)
{
    static const char *const levels[] = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR" };
    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        if (str_eq(levels[i], value))
            return true;
    }
    return false;
}

/* USER: everything outside the system namespace; SYSTEM: only it. */
static bool add_scope(struct builder *b, enum match match, const char *value)
{
    size_t count = 0;
    const char **scopes = split_list(b->arena, value, &count);
    bool wants_user = false;
    bool wants_system = false;
    for (size_t i = 0; i < count; i++) {
        const char *scope = upper(b->arena, scopes[i]);
        if (str_eq(scope, "USER"))
            wants_user = true;
        else if (str_eq(scope, "SYSTEM"))
            wants_system = true;
        else
            return cannot_convert(b, "scope", scopes[i]);
    }
    if (match == MATCH_NOT_EQUAL) {
        wants_user = !wants_user;
        wants_system = !wants_system;
    }
    if (wants_user == wants_system)
        return true;
    return add_text(b, FIELD_NAMESPACE, wants_system ? MATCH_EQUAL : MATCH_NOT_EQUAL, NULL,
                    b->context->system_namespace);
}

/* CHILD: caused by another execution; MAIN: not. */
static bool add_child(struct builder *b, enum match match, const char *value)
{
    const char *word = upper(b->arena, value);
    bool is_child = str_eq(word, "CHILD");
    if (!is_child && !str_eq(word, "MAIN"))
        return cannot_convert(b, "childFilter", value);
    bool wants_cause = is_child == (match == MATCH_EQUAL);
    return add_text(b, FIELD_CAUSE, wants_cause ? MATCH_NOT_EQUAL : MATCH_EQUAL, NULL, NULL);
}

static bool add_text_filter(struct builder *b,
                            const struct field_row *row,
                            enum match match,
                            const char *value)
{
    size_t count = 1;
    const char **values = NULL;
    if (match == MATCH_IN || match == MATCH_NOT_IN) {
        values = split_list(b->arena, value, &count);
    } else {
        values = ARENA_NEW(b->arena, const char *);
        values[0] = value;
    }
    if (row->form == FORM_STATE)
        return add_states(b, match, values, count);
    if (row->field == FIELD_TEXT) {
        b->search->text = match == MATCH_EQUAL ? value : NULL;
        if (str_eq(value, "*") || value[0] == '\0')
            return true;
    }
    if (match == MATCH_REGEX) {
        struct error err = { 0 };
        AUTO(regex_freep) struct regex *regex = regex_new(value, strlen(value), &err);
        if (regex == NULL)
            return refuse(b, 422, "Illegal argument",
                          arena_printf(b->arena, "filter on %s: %s", row->name, err.text));
    }
    if (row->field == FIELD_KIND || row->field == FIELD_TRIGGER_STATE) {
        for (size_t i = 0; i < count; i++) {
            const char *word = upper(b->arena, values[i]);
            bool is_known =
                row->field == FIELD_KIND
                    ? str_eq(word, "NORMAL") || str_eq(word, "TEST") || str_eq(word, "PLAYGROUND")
                    : str_eq(word, "ENABLED") || str_eq(word, "DISABLED");
            if (!is_known)
                return cannot_convert(b, row->name, values[i]);
            values[i] = word;
        }
    }
    return add_texts(b, row->field, match, NULL, values, count);
}

static bool add_filter(struct builder *b,
                       const struct field_row *row,
                       enum match match,
                       const char *key,
                       const char *value)
{
    switch (row->form) {
    case FORM_TEXT:
    case FORM_STATE:
        return add_text_filter(b, row, match, value);
    case FORM_TIME:
        return add_time(b, row->name, row->field == FIELD_START ? b->date : row->field, match,
                        value);
    case FORM_LABEL:
        if (key == NULL || key[0] == '\0')
            return refuse(b, 400, "Invalid query filters", "LABELS needs a key");
        if (match == MATCH_IN || match == MATCH_NOT_IN) {
            size_t count = 0;
            const char **values = split_list(b->arena, value, &count);
            return add_texts(b, FIELD_LABEL, match, key, values, count);
        }
        return add_text(b, FIELD_LABEL, match, key, value);
    case FORM_LEVEL: {
        const char *level = upper(b->arena, value);
        if (!is_level(level))
            return cannot_convert(b, "level", value);
        return add_text(b, FIELD_LEVEL, match == MATCH_GREATER_EQUAL ? MATCH_EQUAL : match, NULL,
                        level);
    }
    case FORM_SCOPE:
        return add_scope(b, match, value);
    case FORM_RANGE:
        return add_range(b, value);
    case FORM_CHILD:
        return add_child(b, match, value);
    case FORM_EXISTING:
        b->search->existing_only = str_eq_nocase(value, "true") == (match == MATCH_EQUAL);
        return true;
    case FORM_IGNORED:
        return true;
    }
    return true;
}

/* ---- filters[field][OP][key] ---- */

struct filter_name {
    char *field;
    char *operation;
    char *key; /* NULL none */
};

/* False when the name does not fit the grammar: such parameters are ignored. */
static bool split_name(struct arena *arena, const char *name, struct filter_name *out)
{
    static const char prefix[] = "filters[";
    if (!str_starts(name, prefix))
        return false;
    const char *field = name + strlen(prefix);
    const char *field_end = strchr(field, ']');
    size_t length = strlen(name);
    if (field_end == NULL || field_end[1] != '[' || name[length - 1] != ']')
        return false;
    const char *operation = field_end + 2;
    const char *operation_end = strchr(operation, ']');
    if (operation_end == NULL)
        return false;
    out->field = arena_strndup(arena, field, (size_t)(field_end - field));
    out->operation = arena_strndup(arena, operation, (size_t)(operation_end - operation));
    out->key = NULL;
    if (operation_end[1] == '\0')
        return true;
    if (operation_end[1] != '[')
        return false;
    const char *key = operation_end + 2;
    out->key = arena_strndup(arena, key, (size_t)(name + length - 1 - key));
    return true;
}

static const char *allowed_fields(struct builder *b)
{
    struct buf buf = { 0 };
    for (size_t i = 0; i < COUNT_OF(field_rows); i++) {
        if ((field_rows[i].resources & BIT(b->resource)) != 0)
            buf_printf(&buf, "%s%s", buf.length > 0 ? ", " : "", field_rows[i].shown);
    }
    const char *text = buf_dup(&buf, b->arena);
    buf_free(&buf);
    return text;
}

static const char *operators_text(struct arena *arena, unsigned operators)
{
    struct buf buf = { 0 };
    for (size_t i = 0; i < COUNT_OF(operator_names); i++) {
        if ((operators & BIT(i)) != 0)
            buf_printf(&buf, "%s%s", buf.length > 0 ? ", " : "", operator_names[i]);
    }
    const char *text = buf_dup(&buf, arena);
    buf_free(&buf);
    return text;
}

static bool named_filter(
    struct builder *b, const char *field, const char *operation, const char *key, const char *value)
{
    const struct field_row *row = NULL;
    for (size_t i = 0; i < COUNT_OF(field_rows) && row == NULL; i++) {
        if (str_eq(field_rows[i].name, field) || str_eq(field_rows[i].shown, field))
            row = &field_rows[i];
    }
    if (row == NULL || (row->resources & BIT(b->resource)) == 0)
        return refuse(b, 400, "Invalid query filters",
                      arena_printf(b->arena,
                                   "field %s is not supported for resource %s; allowed: %s",
                                   row == NULL ? field : row->shown, resource_names[b->resource],
                                   allowed_fields(b)));
    for (size_t i = 0; i < COUNT_OF(operator_names); i++) {
        if (str_eq(operator_names[i], operation) && (row->operators & BIT(i)) != 0)
            return add_filter(b, row, (enum match)i, key, value);
    }
    return refuse(b, 400, "Invalid query filters",
                  arena_printf(b->arena, "operator %s is not supported for field %s; allowed: %s",
                               operation, row->shown, operators_text(b->arena, row->operators)));
}

/* ---- legacy parameters ---- */

static const struct legacy_row {
    const char *name;
    const char *field;
    enum match match;
    bool is_list; /* repeated or separated by commas */
} legacy_rows[] = {
    { "q", "q", MATCH_EQUAL, false },
    { "scope", "scope", MATCH_EQUAL, true },
    { "namespace", "namespace", MATCH_PREFIX, false },
    { "flowId", "flowId", MATCH_EQUAL, false },
    { "startDate", "startDate", MATCH_GREATER, false },
    { "endDate", "endDate", MATCH_LESS, false },
    { "timeRange", "timeRange", MATCH_EQUAL, false },
    { "state", "state", MATCH_IN, true },
    { "triggerExecutionId", "triggerExecutionId", MATCH_EQUAL, false },
    { "childFilter", "childFilter", MATCH_EQUAL, false },
    { "workerId", "workerId", MATCH_EQUAL, false },
    { "triggerId", "triggerId", MATCH_EQUAL, false },
    { "minLevel", "level", MATCH_EQUAL, false },
};

static const struct field_row *field_of(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(field_rows); i++) {
        if (str_eq(field_rows[i].name, name))
            return &field_rows[i];
    }
    return NULL;
}

static bool legacy_filters(struct builder *b, const struct http_fields *fields)
{
    for (size_t i = 0; i < COUNT_OF(legacy_rows); i++) {
        const struct legacy_row *legacy = &legacy_rows[i];
        const struct field_row *row = field_of(legacy->field);
        CHECK(row != NULL);
        if ((row->resources & BIT(b->resource)) == 0)
            continue;

        struct buf list = { 0 };
        bool ok = true;
        for (size_t j = 0; j < fields->count && ok; j++) {
            const char *value = fields->items[j].value;
            if (!str_eq(fields->items[j].name, legacy->name) || str_empty(value))
                continue;
            if (legacy->is_list)
                buf_printf(&list, "%s%s", list.length > 0 ? "," : "", value);
            else
                ok = add_filter(b, row, legacy->match, NULL, value);
        }
        if (ok && list.length > 0)
            ok = add_filter(b, row, legacy->match, NULL, buf_dup(&list, b->arena));
        buf_free(&list);
        if (!ok)
            return false;
    }
    if (b->resource != RESOURCE_FLOW && b->resource != RESOURCE_EXECUTION)
        return true;

    struct label *labels = NULL;
    size_t count = 0;
    if (!labels_parse(b->arena, fields, &labels, &count, b->refusal))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!add_text(b, FIELD_LABEL, MATCH_EQUAL, labels[i].key, labels[i].value))
            return false;
    }
    return true;
}

bool labels_parse(struct arena *arena,
                  const struct http_fields *fields,
                  struct label **out,
                  size_t *count,
                  struct refusal *refusal)
{
    VEC(struct label) labels = { 0 };
    for (size_t i = 0; i < fields->count; i++) {
        if (!str_eq(fields->items[i].name, "labels"))
            continue;
        const char *text = fields->items[i].value;
        const char *colon = strchr(text, ':');
        const char *problem = NULL;
        if (colon == NULL)
            problem = "is not key:value";
        else if (colon == text)
            problem = "has no key";
        else if (colon[1] == '\0')
            problem = "has no value";
        else if (strcspn(text, " \t\r\n") < (size_t)(colon - text))
            problem = "has white space in its key";
        const char *key = colon == NULL ? text : arena_strndup(arena, text, (size_t)(colon - text));
        for (size_t j = 0; j < labels.count && problem == NULL; j++) {
            if (str_eq(labels.items[j].key, key) && !str_eq(labels.items[j].value, colon + 1))
                problem = "gives a key twice";
        }
        if (problem != NULL || colon == NULL) {
            *refusal =
                (struct refusal){ 422, "Illegal argument",
                                  arena_printf(arena, "Invalid label '%s': it %s", text, problem) };
            return false;
        }
        struct label *label = VEC_PUSH_ARENA(arena, &labels);
        label->key = key;
        label->value = arena_strdup(arena, colon + 1);
    }
    *out = labels.items;
    *count = labels.count;
    return true;
}

/* ---- page and sort ---- */

static bool parse_number(
    struct builder *b, const char *name, const char *text, size_t max, size_t *out)
{
    int64_t number = 0;
    if (!str_to_int(text, INT64_MIN, INT64_MAX, &number))
        return cannot_convert(b, name, text);
    if (number < 1)
        return refuse(b, 422, "Invalid entity",
                      arena_printf(b->arena, "%s: must be greater than or equal to 1", name));
    *out = (uint64_t)number > max ? max : (size_t)number;
    b->search->is_paged = true;
    return true;
}

static bool parse_sort(struct builder *b, const char *text)
{
    const char *colon = strchr(text, ':');
    if (colon == NULL || strchr(colon + 1, ':') != NULL)
        return refuse(b, 422, "Unprocessable Entity", "Invalid sort parameter");
    const char *name = arena_strndup(b->arena, text, (size_t)(colon - text));
    for (size_t i = 0; i < COUNT_OF(sort_rows); i++) {
        if (!str_eq(sort_rows[i].name, name) || (sort_rows[i].resources & BIT(b->resource)) == 0)
            continue;
        b->search->query.sort = sort_rows[i].field;
        b->search->query.descending = !str_eq_nocase(colon + 1, "asc");
        return true;
    }
    if (b->resource == RESOURCE_EXECUTION || b->resource == RESOURCE_METRIC)
        return refuse(b, 422, "Unprocessable Entity",
                      arena_printf(b->arena, "Invalid sort field '%s'", name));
    return true; // others fall back to their default order
}

static bool parse_page(struct builder *b, const struct http_fields *fields)
{
    struct page *page = &b->search->page;
    bool has_sort = false;
    for (size_t i = 0; i < fields->count; i++) {
        const char *name = fields->items[i].name;
        const char *value = fields->items[i].value;
        if (str_eq(name, "page") && !parse_number(b, name, value, PAGE_MAX, &page->page))
            return false;
        if (str_eq(name, "size") && !parse_number(b, name, value, PAGE_SIZE_MAX, &page->size))
            return false;
        if (str_eq(name, "sort") && !has_sort) {
            if (!parse_sort(b, value))
                return false;
            has_sort = true; // the first one is the primary key; ties go by creation
        }
    }
    return true;
}

/* ---- whole ---- */

static bool finish(struct builder *b)
{
    if (b->has_range && b->has_date)
        return refuse(b, 422, "Illegal argument",
                      "timeRange and startDate or endDate are mutually exclusive");
    if (b->after > b->before)
        return refuse(b, 422, "Illegal argument", "Start date must be before End Date");
    if (b->context->default_range && !b->has_range && !b->has_date &&
        !add(b, (struct filter){ .field = FIELD_START,
                                 .match = MATCH_GREATER_EQUAL,
                                 .at = b->context->now - EXECUTION_DAYS_DEFAULT * USEC_DAY }))
        return false;
    b->search->query.filters = b->filters.items;
    b->search->query.filters_count = b->filters.count;
    b->search->query.limit = b->search->page.size;
    b->search->query.offset = (b->search->page.page - 1) * b->search->page.size;
    return true;
}

static struct builder begin(struct arena *arena,
                            enum resource resource,
                            const struct filter_context *context,
                            struct search *out,
                            struct refusal *refusal)
{
    *out = (struct search){
        .page = { .page = 1, .size = PAGE_SIZE_DEFAULT },
        .query = { .sort = FIELD_COUNT },
    };
    return (struct builder){
        .arena = arena,
        .resource = resource,
        .context = context,
        .refusal = refusal,
        .search = out,
        .after = INT64_MIN,
        .before = USEC_NEVER,
        .date = FIELD_START,
    };
}

bool search_parse(struct arena *arena,
                  enum resource resource,
                  const struct http_fields *fields,
                  const struct filter_context *context,
                  struct search *out,
                  struct refusal *refusal)
{
    struct builder b = begin(arena, resource, context, out, refusal);
    if (!parse_page(&b, fields))
        return false;
    const char *date = http_fields_find(fields, "dateFilter");
    if (resource == RESOURCE_EXECUTION && !str_empty(date)) {
        const char *word = upper(arena, date);
        if (str_eq(word, "END_DATE"))
            b.date = FIELD_END;
        else if (!str_eq(word, "START_DATE") && !str_eq(word, "START_OR_END_DATE"))
            return cannot_convert(&b, "dateFilter", date);
    }

    bool has_filters = false;
    for (size_t i = 0; i < fields->count; i++) {
        struct filter_name name;
        if (!split_name(arena, fields->items[i].name, &name))
            continue;
        has_filters = true;
        if (!named_filter(&b, name.field, name.operation, name.key, fields->items[i].value))
            return false;
    }
    if (!has_filters && resource != RESOURCE_NONE && resource != RESOURCE_METRIC &&
        !legacy_filters(&b, fields))
        return false;
    return finish(&b);
}

bool search_parse_list(struct arena *arena,
                       enum resource resource,
                       const struct value *list,
                       const struct filter_context *context,
                       struct search *out,
                       struct refusal *refusal)
{
    struct builder b = begin(arena, resource, context, out, refusal);
    for (size_t i = 0; i < value_count(list); i++) {
        const struct value *item = value_item(list, i);
        const char *field = value_get_text(item, "field", "");
        const char *operation = value_get_text(item, "operation", "EQUALS");
        const struct value *value = value_get(item, "value");
        if (value_is_map(value)) {
            for (uint32_t j = 0; value->kind == VALUE_MAP && j < value->map.count; j++) {
                const char *text = value_cstr(value->map.members[j].value);
                if (!named_filter(&b, field, operation, value->map.members[j].key,
                                  text == NULL ? "" : text))
                    return false;
            }
            continue;
        }
        const char *text = value_cstr(value);
        if (text == NULL)
            text = value_to_json(arena, value == NULL ? &value_empty_string : value);
        if (!named_filter(&b, field, operation, NULL, text))
            return false;
    }
    return finish(&b);
}

struct filter_field *filter_fields(struct arena *arena, enum resource resource, size_t *count)
{
    struct filter_field *found = ARENA_ARRAY(arena, COUNT_OF(field_rows), struct filter_field);
    size_t used = 0;
    for (size_t i = 0; i < COUNT_OF(field_rows); i++) {
        if ((field_rows[i].resources & BIT(resource)) != 0)
            found[used++] = (struct filter_field){ field_rows[i].name,
                                                   operators_text(arena, field_rows[i].operators) };
    }
    *count = used;
    return found;
}
