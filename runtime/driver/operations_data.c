/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on triggers, log lines, keys and files; see operations.c. */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/str.h"
#include "core/value.h"
#include "runtime/driver/driver_internal.h"
#include "runtime/driver/operations.h"

/* ---- triggers ---- */

const struct value *trigger_toggle(const struct asked *op)
{
    struct driver_request request = { .type = REQUEST_TRIGGER };
    request.trigger = (struct trigger_request){
        .namespace = value_get_text(op->arguments, "namespace", ""),
        .flow_id = value_get_text(op->arguments, "flowId", ""),
        .trigger_id = value_get_text(op->arguments, "triggerId", ""),
        .operation = TRIGGER_SET_DISABLED,
        .disabled = value_get_bool(op->arguments, "disabled", true),
    };
    return asked_send(op, &request) ? &value_empty_map : NULL;
}

/* ---- logs ---- */

/* Key of the execution that is named; 0 when none is; -1 with err when there is no such one. */
static int64_t execution_key(const struct asked *op)
{
    struct execution_row row;
    const char *id = asked_text(op, "executionId");
    if (id == NULL)
        return 0;
    return op->reader->ops->execution_get(op->reader, op->arena, id, &row, op->err) ? row.key : -1;
}

const struct value *log_fetch(const struct asked *op)
{
    struct search filters = { 0 };
    int64_t key = execution_key(op);
    if (key < 0)
        return NULL;
    search_add_text(op, &filters, FIELD_NAMESPACE, MATCH_EQUAL, asked_text(op, "namespace"));
    search_add_text(op, &filters, FIELD_FLOW, MATCH_EQUAL, asked_text(op, "flowId"));
    search_add_text(op, &filters, FIELD_LEVEL, MATCH_EQUAL, asked_text(op, "level"));
    search_add_list(op, &filters, FIELD_TASK, "taskIds");
    int64_t limit = value_get_int(op->arguments, "limit", 1000);
    int64_t offset = value_get_int(op->arguments, "offset", 0);
    struct query query = {
        .filters = filters.items,
        .filters_count = filters.count,
        .sort = FIELD_COUNT,
        .offset = offset > 0 ? (size_t)offset : 0,
        .limit = limit < 1 || limit > ANSWER_MAX ? ANSWER_MAX : (size_t)limit,
    };
    struct log_line *lines = NULL;
    size_t count = 0;
    if (!logstore_search(op->operations->logs, op->reader, op->arena, key, &query, &lines, &count,
                         NULL, op->err))
        return NULL;
    struct value_builder entries = value_build(op->arena);
    for (size_t i = 0; i < count; i++) {
        const struct log_source *source = &lines[i].source;
        struct value_builder entry = value_build(op->arena);
        value_put_text(&entry, "namespace", source->namespace);
        value_put_text(&entry, "flowId", source->flow_id);
        value_put_text(&entry, "executionId", source->execution_id);
        value_put_text(&entry, "taskId", source->task_id);
        value_put_text(&entry, "taskRunId", source->run_id);
        if (source->attempt > 0)
            value_put_int(&entry, "attemptNumber", source->attempt - 1);
        value_put_text(&entry, "triggerId", source->trigger_id);
        value_put(&entry, "timestamp", value_instant(op->arena, lines[i].at));
        value_put_text(&entry, "level", log_level_name(lines[i].level));
        value_put(&entry, "message", value_string_n(op->arena, lines[i].message, lines[i].length));
        value_add(&entries, value_build_map(&entry));
    }
    struct value_builder builder = value_build(op->arena);
    value_put(&builder, "entries", value_build_list(&entries));
    return value_build_map(&builder);
}

struct level_count {
    uint32_t levels;
    int64_t count;
};

static bool count_level(void *data, const struct log_line *line)
{
    struct level_count *counted = data;
    counted->count += (counted->levels & BIT(line->level)) != 0;
    return true;
}

const struct value *log_purge(const struct asked *op)
{
    int64_t key = execution_key(op);
    if (key < 0)
        return NULL;
    size_t names_count = 0;
    const char **names = asked_texts(op, value_get(op->arguments, "levels"), &names_count);
    uint32_t levels = 0;
    for (size_t i = 0; i < names_count; i++) {
        enum log_level level = LOG_INFO;
        if (!log_level_parse(names[i], &level)) {
            error_set(op->err, ERR_INVALID, "'%s' is not a log level", names[i]);
            return NULL;
        }
        levels |= BIT(level);
    }
    struct search filters = { 0 };
    search_add_text(op, &filters, FIELD_NAMESPACE, MATCH_PREFIX, asked_text(op, "namespace"));
    search_add_text(op, &filters, FIELD_FLOW, MATCH_EQUAL, asked_text(op, "flowId"));
    search_add_dates(op, &filters);
    struct query query = { .filters = filters.items,
                           .filters_count = filters.count,
                           .sort = FIELD_COUNT };
    struct level_count counted = { .levels = levels == 0 ? UINT32_MAX : levels };
    if (!logstore_walk(op->operations->logs, op->reader, key, &query, count_level, &counted,
                       op->err))
        return NULL;
    struct driver_request request = { .type = REQUEST_LOGS };
    request.logs = (struct logs_request){
        .execution_id = asked_text(op, "executionId"),
        .namespace = asked_text(op, "namespace"),
        .with_children = true,
        .flow_id = asked_text(op, "flowId"),
        .after = asked_date(op, "startDate"),
        .before = asked_date(op, "endDate"),
        .levels = levels,
    };
    if (!asked_send(op, &request))
        return NULL;
    struct value_builder builder = value_build(op->arena);
    value_put_int(&builder, "count", counted.count);
    return value_build_map(&builder);
}

/* ---- keys and files ---- */

/* Is a namespace one of those that a purge names? */
static bool covers_namespace(const struct asked *op, const char *namespace)
{
    const char *pattern = asked_text(op, "namespacePattern");
    if (pattern != NULL)
        return str_glob(pattern, namespace);
    const struct value *list = value_get(op->arguments, "namespaces");
    bool children = value_get_bool(op->arguments, "includeChildNamespaces", true);
    for (size_t i = 0; i < value_count(list); i++) {
        const char *named[] = { value_cstr(value_item(list, i)) };
        struct filter filter = { .match = children ? MATCH_PREFIX : MATCH_EQUAL,
                                 .values = named,
                                 .values_count = 1 };
        if (named[0] != NULL && filter_matches_text(&filter, namespace))
            return true;
    }
    return value_count(list) == 0;
}

static const struct value *answer_count(const struct asked *op, size_t count)
{
    struct value_builder builder = value_build(op->arena);
    value_put_int(&builder, "count", (int64_t)count);
    return value_build_map(&builder);
}

/* Keys, or old versions, that a purge reads at a time: their values come along. */
#define KV_PAGE 500U

static bool covers_key(const struct asked *op, const struct kv_row *row)
{
    const char *pattern = asked_text(op, "keyPattern");
    return (pattern == NULL || str_glob(pattern, row->key)) && covers_namespace(op, row->namespace);
}

static bool send_keys(const struct asked *op, struct kv_change *changes, size_t count)
{
    struct driver_request request = { .type = REQUEST_CHANGE };
    request.change.origin = (struct origin){ .actor = "weir", .channel = "task" };
    request.change.kv = changes;
    request.change.kv_count = count;
    return count == 0 || asked_send(op, &request);
}

/* One page of keys; *offset moves past those that stay. */
static bool purge_keys(
    const struct asked *op, size_t *offset, size_t *count, size_t *total, bool expired_only)
{
    struct query query = { .sort = FIELD_COUNT, .offset = *offset, .limit = KV_PAGE };
    struct kv_row *rows = NULL;
    if (!op->reader->ops->kv_search(op->reader, op->arena, &query, &rows, count, NULL, op->err))
        return false;
    struct kv_change *changes = ARENA_ARRAY(op->arena, *count + 1, struct kv_change);
    size_t gone = 0;
    usec_t now = clock_now();
    for (size_t i = 0; i < *count; i++)
        if ((!expired_only || rows[i].expires_at <= now) && covers_key(op, &rows[i]))
            changes[gone++] = (struct kv_change){ .is_delete = true, .row = rows[i] };
    if (!send_keys(op, changes, gone))
        return false;
    *offset += *count - gone;
    *total += gone;
    return true;
}

struct version_walk {
    struct kv_row last; /* that was looked at; `namespace` and `key` outlive the page */
    int64_t newer;      /* versions of its key that are newer, the latest value among them */
};

/* One page of old versions. */
static bool purge_versions(const struct asked *op,
                           struct version_walk *walk,
                           size_t *count,
                           size_t *total)
{
    usec_t before = asked_date(op, "before");
    int64_t keep = value_get_int(op->arguments, "keepAmount", 0);
    struct kv_row *rows = NULL;
    if (!op->reader->ops->kv_versions(op->reader, op->arena,
                                      walk->last.key == NULL ? NULL : &walk->last, KV_PAGE, &rows,
                                      count, op->err))
        return false;
    struct kv_change *changes = ARENA_ARRAY(op->arena, *count + 1, struct kv_change);
    size_t gone = 0;
    for (size_t i = 0; i < *count; i++) {
        bool is_same =
            str_eq(rows[i].key, walk->last.key) && str_eq(rows[i].namespace, walk->last.namespace);
        walk->newer = is_same ? walk->newer + 1 : 1;
        walk->last = rows[i];
        bool goes =
            (before != 0 && rows[i].updated_at < before) || (keep > 0 && walk->newer >= keep);
        if (goes && covers_key(op, &rows[i]))
            changes[gone++] = (struct kv_change){ .forgets = true, .row = rows[i] };
    }
    *total += gone;
    return send_keys(op, changes, gone);
}

const struct value *kv_purge(const struct asked *op)
{
    bool by_version = value_get(op->arguments, "before") != NULL ||
                      value_get(op->arguments, "keepAmount") != NULL;
    bool expired_only = value_get_bool(op->arguments, "expiredOnly", true);
    struct version_walk walk = { 0 };
    size_t offset = 0;
    size_t total = 0;
    size_t count = KV_PAGE;
    bool ok = true;
    while (ok && count == KV_PAGE) {
        struct asked page = *op;
        page.arena = arena_new();
        ok = by_version ? purge_versions(&page, &walk, &count, &total)
                        : purge_keys(&page, &offset, &count, &total, expired_only);
        walk.last.namespace = arena_strdup(op->arena, walk.last.namespace);
        walk.last.key = arena_strdup(op->arena, walk.last.key);
        arena_free(page.arena);
    }
    return ok ? answer_count(op, total) : NULL;
}

/* Old revisions of the files of a namespace that go: older than `before`, beyond `keep`. */
static size_t old_revisions(const struct asked *op,
                            struct file_row *rows,
                            size_t count,
                            struct file_change *changes)
{
    usec_t before = asked_date(op, "before");
    int64_t keep = value_get_int(op->arguments, "keepAmount", 0);
    const char *pattern = asked_text(op, "filePattern");
    size_t gone = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t newer = 0; // revisions of the same path that follow
        while (i + 1 + (size_t)newer < count &&
               str_eq(rows[i + 1 + (size_t)newer].path, rows[i].path))
            newer++;
        const char *path = rows[i].path[0] == '/' ? rows[i].path + 1 : rows[i].path;
        bool is_old = newer > 0 || rows[i].deleted;
        bool goes = (before != 0 && rows[i].updated_at < before) || (keep > 0 && newer >= keep);
        if (is_old && goes && (pattern == NULL || str_glob(pattern, path)))
            changes[gone++] = (struct file_change){ .forgets = true, .row = rows[i] };
    }
    return gone;
}

const struct value *file_purge(const struct asked *op)
{
    const char **namespaces = NULL;
    size_t namespaces_count = 0;
    if (!op->reader->ops->namespaces(op->reader, op->arena, NULL, &namespaces, &namespaces_count,
                                     op->err))
        return NULL;
    size_t total = 0;
    struct value_builder covered = value_build(op->arena);
    for (size_t i = 0; i < namespaces_count; i++) {
        struct file_row *rows = NULL;
        size_t count = 0;
        if (!covers_namespace(op, namespaces[i]))
            continue;
        value_add(&covered, value_string(op->arena, namespaces[i]));
        if (!op->reader->ops->file_revisions(op->reader, op->arena, namespaces[i], NULL, &rows,
                                             &count, op->err))
            return NULL;
        struct file_change *changes = ARENA_ARRAY(op->arena, count + 1, struct file_change);
        size_t gone = old_revisions(op, rows, count, changes);
        struct driver_request request = { .type = REQUEST_CHANGE };
        request.change.origin = (struct origin){ .actor = "weir", .channel = "task" };
        request.change.files = changes;
        request.change.files_count = gone;
        if (gone > 0 && !asked_send(op, &request))
            return NULL;
        total += gone;
    }
    struct value_builder builder = value_build(op->arena);
    value_put_int(&builder, "count", (int64_t)total);
    value_put(&builder, "namespaces", value_build_list(&covered));
    return value_build_map(&builder);
}

const struct value *file_contents(const struct asked *op)
{
    struct file_row *rows = NULL;
    size_t count = 0;
    const char *namespace = asked_text(op, "namespace");
    if (namespace == NULL)
        return asked_misses(op, "namespace");
    if (!op->reader->ops->file_revisions(op->reader, op->arena, namespace, NULL, &rows, &count,
                                         op->err))
        return NULL;
    struct value_builder contents = value_build(op->arena);
    for (size_t i = 0; i < count; i++)
        if (rows[i].content != NULL)
            value_add(&contents, value_string(op->arena, rows[i].content));
    struct value_builder builder = value_build(op->arena);
    value_put(&builder, "contents", value_build_list(&contents));
    return value_build_map(&builder);
}
