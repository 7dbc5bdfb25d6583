/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks of a flow at any depth (flow-language.md 2 and 3). */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/str.h"
#include "core/flow_internal.h"
#include "core/words.h"

/* ---- retry ---- */

static usec_t duration_at(const struct value *map, const char *key)
{
    const struct value *value = value_get(map, key);
    usec_t span = 0;
    return !value_is_null(value) && prop_to_duration(value, &span) ? span : 0;
}

static void retry_needs(struct flow_parser *parser,
                        const struct value *map,
                        const struct doc_path *path,
                        const char *key)
{
    if (!value_is_null(value_get(map, key)))
        return;
    struct diag_list *findings = parser->scope.findings;
    struct diag *diag =
        diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "missing-property", map,
                 doc_path_key(findings->arena, path, key), "a retry of type '%s' needs '%s'",
                 value_get_text(map, "type", ""), key);
    diag->api = "must not be null";
}

static void retry_less(struct flow_parser *parser,
                       const struct value *map,
                       const struct doc_path *path,
                       const char *small,
                       const char *large)
{
    usec_t a = duration_at(map, small);
    usec_t b = duration_at(map, large);
    if (a == 0 || b == 0 || a < b)
        return;
    struct diag_list *findings = parser->scope.findings;
    struct diag *diag =
        diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "retry-intervals", value_get(map, small),
                 doc_path_text(findings->arena, path), "'%s' must be less than '%s'", small, large);
    diag->api = diag->message;
}

/* Properties that only other types of retry have. */
static void refuse_foreign(struct flow_parser *parser,
                           const struct value *map,
                           const struct doc_path *path,
                           enum retry_type type)
{
    static const struct {
        const char *name;
        unsigned types; /* a bit for each that has it */
    } special[] = {
        { "interval", BIT(RETRY_CONSTANT) | BIT(RETRY_EXPONENTIAL) },
        { "minInterval", BIT(RETRY_RANDOM) },
        { "maxInterval", BIT(RETRY_EXPONENTIAL) | BIT(RETRY_RANDOM) },
        { "delayFactor", BIT(RETRY_EXPONENTIAL) },
    };
    struct diag_list *findings = parser->scope.findings;
    for (size_t i = 0; i < COUNT_OF(special) && !parser->scope.lenient; i++) {
        const struct value *value = value_get(map, special[i].name);
        if (value_is_null(value) || (special[i].types & BIT(type)) != 0)
            continue;
        const char *where = doc_path_key(findings->arena, path, special[i].name);
        const char *word = words_retry_type[type - RETRY_CONSTANT];
        struct diag *diag =
            diag_add(findings, DIAG_ERROR, DIAG_TYPE, "unknown-property", value, where,
                     "a retry of type '%s' has no '%s'", word, special[i].name);
        diag->api = arena_printf(findings->arena, "Unrecognized field \"%s\" of retry '%s' at '%s'",
                                 special[i].name, word, where);
    }
}

static void check_retry(struct flow_parser *parser,
                        const struct value *map,
                        const struct doc_path *path,
                        enum retry_type type)
{
    refuse_foreign(parser, map, path, type);
    switch (type) {
    case RETRY_CONSTANT:
        retry_needs(parser, map, path, "interval");
        retry_less(parser, map, path, "interval", "maxDuration");
        break;
    case RETRY_EXPONENTIAL:
        retry_needs(parser, map, path, "interval");
        retry_needs(parser, map, path, "maxInterval");
        retry_less(parser, map, path, "interval", "maxInterval");
        retry_less(parser, map, path, "interval", "maxDuration");
        retry_less(parser, map, path, "maxInterval", "maxDuration");
        break;
    case RETRY_RANDOM:
        retry_needs(parser, map, path, "minInterval");
        retry_needs(parser, map, path, "maxInterval");
        retry_less(parser, map, path, "minInterval", "maxInterval");
        retry_less(parser, map, path, "maxInterval", "maxDuration");
        break;
    case RETRY_NONE:
        break;
    }
}

struct retry flow_parse_retry(struct flow_parser *parser,
                              const struct value *value,
                              const struct doc_path *path)
{
    struct retry retry = { .type = RETRY_NONE };
    if (!value_is_map(value))
        return retry;
    const struct value *type = value_get(value, "type");
    int found = value_is_null(type) ? -1 : prop_to_word(type, words_retry_type);
    if (found < 0)
        return retry; // the table has said so
    const struct value *behavior = value_get(value, "behavior");
    const struct value *attempts = value_get(value, "maxAttempts");
    if (value_is_null(attempts))
        attempts = value_get(value, "maxAttempt");
    retry.type = (enum retry_type)(RETRY_CONSTANT + found);
    retry.interval = duration_at(value, "interval");
    retry.min_interval = duration_at(value, "minInterval");
    retry.max_interval = duration_at(value, "maxInterval");
    retry.max_duration = duration_at(value, "maxDuration");
    retry.delay_factor = 2;
    const struct value *factor = value_get(value, "delayFactor");
    if (!value_is_null(factor))
        (void)prop_to_double(factor, &retry.delay_factor);
    if (!value_is_null(attempts))
        (void)prop_to_int(attempts, &retry.max_attempts);
    retry.warning_on_retry = value_get_bool(value, "warningOnRetry", false);
    if (!value_is_null(behavior) && prop_to_word(behavior, words_retry_behavior) > 0)
        retry.behavior = RETRY_NEW_EXECUTION;
    check_retry(parser, value, path, retry.type);
    return retry;
}

/* ---- lists ---- */

static const struct {
    const char *property;
    enum task_slot slot;
} slots[] = {
    { "tasks", SLOT_TASKS },
    { "then", SLOT_TASKS },
    { "errors", SLOT_ERRORS },
    { "finally", SLOT_FINALLY },
    { "else", SLOT_ELSE },
    { "cases", SLOT_CASE },
    { "defaults", SLOT_DEFAULT },
    { "onPause", SLOT_ON_PAUSE },
    { "afterExecution", SLOT_AFTER_EXECUTION },
    { "onWait", SLOT_ON_WAIT },
    { "onApprove", SLOT_ON_APPROVE },
    { "onDeny", SLOT_ON_DENY },
};

enum task_slot flow_task_slot(const char *property)
{
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        if (strcmp(slots[i].property, property) == 0)
            return slots[i].slot;
    }
    return SLOT_TASKS;
}

static bool is_runnable(const struct plugin *plugin)
{
    return plugin->task_kind != TASK_FLOWABLE && plugin->task_kind != TASK_EXECUTABLE;
}

static const struct prop *find_prop(const struct prop_tables *tables, const char *name)
{
    for (size_t t = 0; tables->items[t] != NULL; t++) {
        const struct prop *prop = prop_find(tables->items[t], name);
        if (prop != NULL)
            return prop;
    }
    return NULL;
}

/* How many task lists a property adds. */
static size_t lists_in(const struct prop *prop, const struct value *value)
{
    if (prop == NULL || value_is_null(value))
        return 0;
    switch (prop->kind) {
    case PROP_TASK:
        return value_is_map(value) ? 1 : 0;
    case PROP_TASKS:
    case PROP_DAG_TASKS:
        return value_is_list(value) ? 1 : 0;
    case PROP_TASK_MAP:
        return value_is_map(value) ? value->map.count : 0;
    case PROP_STRING:
    case PROP_INT:
    case PROP_DOUBLE:
    case PROP_BOOL:
    case PROP_DURATION:
    case PROP_INSTANT:
    case PROP_ENUM:
    case PROP_BYTES:
    case PROP_ANY:
    case PROP_LIST:
    case PROP_MAP:
    case PROP_OBJECT:
    case PROP_OBJECTS:
    case PROP_STRINGS:
    case PROP_LABELS:
    case PROP_PLUGIN:
    case PROP_TRIGGERS:
    case PROP_CONDITIONS:
    case PROP_CONDITION_MAP:
    case PROP_INPUTS:
    case PROP_OUTPUTS:
        break;
    }
    return 0;
}

/* How the tasks of a list are written. */
enum list_form {
    LIST_TASKS,
    LIST_DAG,    /* {task, dependsOn} */
    LIST_SINGLE, /* one task, not in a list */
};

static void parse_list(struct flow_parser *parser,
                       struct task *parent,
                       struct task_list *list,
                       const struct value *items,
                       enum list_form form,
                       const struct doc_path *path);

/* Lists of one property, into `out`; returns how many. */
static size_t parse_property(struct flow_parser *parser,
                             struct task *parent,
                             const struct prop *prop,
                             const struct value *value,
                             struct task_list *out,
                             const struct doc_path *path)
{
    enum task_slot slot = flow_task_slot(prop->name);
    if (prop->kind == PROP_TASK_MAP) {
        for (size_t i = 0; i < value->map.count; i++) {
            const struct value_member *member = &value->map.members[i];
            struct doc_path at = { .parent = path, .key = member->key };
            out[i] = (struct task_list){ .slot = slot, .name = member->key };
            parse_list(parser, parent, &out[i], member->value, LIST_TASKS, &at);
        }
        return value->map.count;
    }
    *out = (struct task_list){ .slot = slot };
    if (prop->kind == PROP_TASK) {
        const struct value *one = value_list(parser->arena, &value, 1);
        parse_list(parser, parent, out, one, LIST_SINGLE, path);
    } else {
        parse_list(parser, parent, out, value, prop->kind == PROP_DAG_TASKS ? LIST_DAG : LIST_TASKS,
                   path);
    }
    return 1;
}

/* Children of a task, in the order in which they are written. */
static void parse_children(struct flow_parser *parser,
                           struct task *task,
                           const struct doc_path *path)
{
    struct prop_tables tables = plugin_tables(task->type);
    size_t count = 0;
    for (size_t i = 0; i < task->doc->map.count; i++) {
        const struct value_member *member = &task->doc->map.members[i];
        count += lists_in(find_prop(&tables, member->key), member->value);
    }
    if (count == 0)
        return;
    task->lists = ARENA_ARRAY(parser->arena, count, struct task_list);
    task->lists_count = count;
    size_t at = 0;
    for (size_t i = 0; i < task->doc->map.count; i++) {
        const struct value_member *member = &task->doc->map.members[i];
        const struct prop *prop = find_prop(&tables, member->key);
        struct doc_path inner = { .parent = path, .key = member->key };
        if (lists_in(prop, member->value) > 0)
            at += parse_property(parser, task, prop, member->value, &task->lists[at], &inner);
    }
}

/* Inputs asked for by the task (Pause.onResume, Approval.inputs); outputs of a Loop. */
static void parse_task_inputs(struct flow_parser *parser,
                              struct task *task,
                              const struct doc_path *path)
{
    if (task->type->props == NULL)
        return;
    for (const struct prop *prop = task->type->props; prop->name != NULL; prop++) {
        const struct value *list = value_get(task->doc, prop->name);
        struct doc_path at = { .parent = path, .key = prop->name };
        size_t count = 0;
        if (prop->kind == PROP_OUTPUTS && value_is_list(list))
            (void)flow_parse_outputs(parser, list, &at, &count);
        if (prop->kind != PROP_INPUTS || !value_is_list(list))
            continue;
        const struct flow_input *inputs = flow_parse_inputs(parser, list, &at, &count);
        flow_check_inputs(parser, inputs, count, &at);
        task->inputs = list;
    }
}

/* ---- one task ---- */

static void warn_ignored(struct flow_parser *parser,
                         const struct task *task,
                         const char *key,
                         const struct doc_path *path)
{
    if (value_is_null(value_get(task->doc, key)))
        return;
    struct diag_list *findings = parser->scope.findings;
    struct diag *diag =
        diag_add(findings, DIAG_WARNING, DIAG_RULE, "ignored-property", task->doc,
                 doc_path_key(findings->arena, path, key),
                 "'%s' has no effect on task '%s': it is not run by a worker", key, task->id);
    diag_point(diag, value_member(task->doc, key));
}

/* Pause and Approval give `timeout` a meaning of their own. */
static bool waits_itself(const struct plugin *plugin)
{
    return strcmp(plugin->id, "io.kestra.plugin.core.flow.Pause") == 0 ||
           strcmp(plugin->id, "io.kestra.plugin.core.flow.Approval") == 0;
}

static void check_effect(struct flow_parser *parser,
                         const struct task *task,
                         const struct doc_path *path)
{
    if (is_runnable(task->type))
        return;
    if (!waits_itself(task->type))
        warn_ignored(parser, task, "timeout", path);
    warn_ignored(parser, task, "taskCache", path);
    warn_ignored(parser, task, "workerGroup", path);
}

static void read_common(struct flow_parser *parser, struct task *task, const struct doc_path *path)
{
    const struct value *doc = task->doc;
    const struct value *when = value_get(doc, "when");
    const struct value *level = value_get(doc, "logLevel");
    const struct value *cache = value_get(doc, "taskCache");
    struct doc_path retry_path = { .parent = path, .key = "retry" };
    task->retry = flow_parse_retry(parser, value_get(doc, "retry"), &retry_path);
    task->run_if = prop_text(parser->arena, value_is_null(when) ? value_get(doc, "runIf") : when);
    task->timeout = prop_text(parser->arena, value_get(doc, "timeout"));
    task->disabled = value_get_bool(doc, "disabled", false);
    task->allow_failure = value_get_bool(doc, "allowFailure", false);
    task->allow_warning = value_get_bool(doc, "allowWarning", false);
    task->log_to_file = value_get_bool(doc, "logToFile", false);
    int found = value_is_null(level) ? 0 : prop_to_word(level, words_log_level);
    task->log_level = found < 0 ? LOG_TRACE : (enum log_level)found;
    task->cache_enabled = value_get_bool(cache, "enabled", false);
    task->cache_ttl = duration_at(cache, "ttl");
}

static void too_many(struct flow_parser *parser,
                     const struct value *map,
                     const struct doc_path *path,
                     const char *message)
{
    if (parser->too_many)
        return;
    parser->too_many = true;
    struct diag *diag =
        diag_add(parser->scope.findings, DIAG_ERROR, DIAG_SYNTAX, "too-many-tasks", map,
                 doc_path_text(parser->scope.findings->arena, path), "%s", message);
    diag->api = diag->message;
}

static struct task *parse_task(struct flow_parser *parser,
                               struct task *parent,
                               struct task_list *list,
                               const struct value *map,
                               const struct doc_path *path)
{
    if (parser->tasks.count >= FLOW_TASKS_MAX) {
        too_many(
            parser, map, path,
            arena_printf(parser->scope.scratch, "a flow holds at most %u tasks", FLOW_TASKS_MAX));
        return NULL;
    }
    struct task *task = ARENA_NEW(parser->arena, struct task);
    const char *id = prop_text(parser->arena, value_get(map, "id"));
    const char *type = prop_text(parser->arena, value_get(map, "type"));
    task->id = id == NULL ? "" : id;
    task->type_name = type == NULL ? "" : type;
    task->index = (uint32_t)parser->tasks.count;
    task->parent = parent;
    task->list = list;
    task->list_at = UINT32_MAX;
    task->doc = map;
    task->path = doc_path_text(parser->arena, path);
    task->line = map->line;
    *VEC_PUSH_ARENA(parser->arena, &parser->tasks) = task;

    read_common(parser, task, path);
    task->type = check_type(&parser->scope, PLUGIN_TASK, map, path);
    if (task->type == NULL)
        return task;
    check_properties(&parser->scope, task->type, map, path);
    check_effect(parser, task, path);
    parse_task_inputs(parser, task, path);
    if (parser->depth >= FLOW_DEPTH_MAX) {
        too_many(parser, map, path,
                 arena_printf(parser->scope.scratch, "tasks are nested more than %u deep",
                              FLOW_DEPTH_MAX));
        return task;
    }
    parser->depth++;
    parse_children(parser, task, path);
    parser->depth--;
    return task;
}

static void parse_list(struct flow_parser *parser,
                       struct task *parent,
                       struct task_list *list,
                       const struct value *items,
                       enum list_form form,
                       const struct doc_path *path)
{
    size_t given = value_is_list(items) ? items->list.count : 0;
    list->items = ARENA_ARRAY(parser->arena, given, struct task *);
    list->all = ARENA_ARRAY(parser->arena, given, struct task *);
    for (size_t i = 0; i < given; i++) {
        const struct value *map = items->list.items[i];
        struct doc_path at = { .parent = path, .index = i };
        struct doc_path inner = { .parent = &at, .key = "task" };
        const struct doc_path *where = form == LIST_SINGLE ? path : &at;
        const struct value *entry = NULL;
        if (form == LIST_DAG) {
            entry = map;
            map = value_get(entry, "task");
            where = &inner;
        }
        // shapes were checked with the table of the owner
        struct task *task = value_is_map(map) ? parse_task(parser, parent, list, map, where) : NULL;
        if (task == NULL)
            continue;
        const struct value *depends = value_get(entry, "dependsOn");
        task->depends_on = value_is_list(depends) ? depends : NULL;
        list->all[list->all_count++] = task;
        if (!task->disabled) {
            task->list_at = (uint32_t)list->count;
            list->items[list->count++] = task;
        }
    }
}

/* ---- the document ---- */

static size_t listeners_in(const struct value *value)
{
    return value_is_list(value) ? value->list.count : 0;
}

static size_t parse_listeners(struct flow_parser *parser,
                              const struct value *value,
                              struct task_list *out,
                              const struct doc_path *path)
{
    for (size_t i = 0; i < value->list.count; i++) {
        const struct value *listener = value->list.items[i];
        const struct value *conditions = value_get(listener, "conditions");
        struct doc_path at = { .parent = path, .index = i };
        struct doc_path tasks = { .parent = &at, .key = "tasks" };
        out[i] = (struct task_list){
            .slot = SLOT_LISTENER,
            .conditions = value_is_list(conditions) ? conditions : NULL,
        };
        parse_list(parser, NULL, &out[i], value_get(listener, "tasks"), LIST_TASKS, &tasks);
    }
    return value->list.count;
}

void flow_parse_tasks(struct flow_parser *parser)
{
    const struct value *doc = parser->doc;
    size_t count = 0;
    for (size_t i = 0; i < doc->map.count; i++) {
        const struct value_member *member = &doc->map.members[i];
        count += lists_in(prop_find(flow_props, member->key), member->value);
        if (strcmp(member->key, "listeners") == 0)
            count += listeners_in(member->value);
    }
    struct flow *flow = parser->flow;
    flow->lists = ARENA_ARRAY(parser->arena, count, struct task_list);
    flow->lists_count = count;
    size_t at = 0;
    for (size_t i = 0; i < doc->map.count; i++) {
        const struct value_member *member = &doc->map.members[i];
        const struct prop *prop = prop_find(flow_props, member->key);
        struct doc_path path = { .key = member->key };
        if (lists_in(prop, member->value) > 0)
            at += parse_property(parser, NULL, prop, member->value, &flow->lists[at], &path);
        else if (strcmp(member->key, "listeners") == 0 && listeners_in(member->value) > 0)
            at += parse_listeners(parser, member->value, &flow->lists[at], &path);
    }
    flow->tasks_all = parser->tasks.items;
    flow->tasks_all_count = parser->tasks.count;
    for (size_t i = 0; i < parser->tasks.count; i++) {
        struct task *task = parser->tasks.items[i];
        if (task->id[0] != '\0' && !map_has(&flow->tasks_by_id, task->id))
            (void)map_put(&flow->tasks_by_id, task->id, task);
    }
}
