/* SPDX-License-Identifier: Apache-2.0 */
/* Rules over a whole flow (flow-language.md 7.2), with the words that API clients match on. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/str.h"
#include "core/flow_internal.h"
#include "core/ident.h"

static struct diag *rule(struct flow_parser *parser,
                         enum diag_level level,
                         const char *code,
                         const struct value *at,
                         const char *path,
                         const char *message)
{
    struct diag *diag =
        diag_add(parser->scope.findings, level, DIAG_RULE, code, at, path, "%s", message);
    diag->api = diag->message;
    return diag;
}

/* ---- ids ---- */

/* Names that one finding lists; the rest is "…". */
#define NAMES_SHOWN_MAX 100U

static void put_name(struct buf *names, size_t *shown, const char *name)
{
    if (*shown < NAMES_SHOWN_MAX)
        buf_printf(names, "%s%s", *shown == 0 ? "" : ", ", name);
    else if (*shown == NAMES_SHOWN_MAX)
        buf_puts(names, ", …");
    (*shown)++;
}

/* Things with ids, in the order in which an answer names them. */
struct named {
    const char *id;
    const struct value *doc;
    const char *path;
};

/* How often an id occurs, and where for the second time. */
struct occurrence {
    size_t count;
    const struct named *second;
};

/* One finding that names every repeated id once, in the order of their first occurrence. */
static void check_repeats(struct flow_parser *parser,
                          const struct named *all,
                          size_t count,
                          const char *code,
                          const char *what)
{
    struct arena *arena = parser->scope.scratch;
    struct map ids = { 0 };
    const struct named *first = NULL;
    for (size_t i = 0; i < count; i++) {
        struct occurrence *seen = map_find(&ids, all[i].id);
        if (seen == NULL) {
            seen = ARENA_NEW(arena, struct occurrence);
            (void)map_put(&ids, all[i].id, seen);
        }
        if (++seen->count == 2) {
            seen->second = &all[i];
            first = first == NULL ? &all[i] : first;
        }
    }
    if (first != NULL) {
        struct buf names = { 0 };
        size_t shown = 0;
        for (size_t i = 0; i < count; i++) {
            struct occurrence *seen = map_find(&ids, all[i].id);
            if (seen->count > 1)
                put_name(&names, &shown, all[i].id);
            seen->count = 0; // named
        }
        const struct value *id = value_get(first->doc, "id");
        (void)rule(
            parser, DIAG_ERROR, code, id == NULL ? first->doc : id, first->path,
            arena_printf(parser->scope.findings->arena, "Duplicate %s [%s]", what, names.bytes));
        buf_free(&names);
    }
    map_free(&ids);
}

static void put_named(
    struct named *all, size_t *count, const char *id, const struct value *doc, const char *path)
{
    if (id[0] != '\0')
        all[(*count)++] = (struct named){ .id = id, .doc = doc, .path = path };
}

/* Main tasks first, whatever stands first in the document. */
static void check_task_ids(struct flow_parser *parser)
{
    static const enum task_slot order[] = { SLOT_TASKS, SLOT_ERRORS, SLOT_LISTENER, SLOT_FINALLY,
                                            SLOT_AFTER_EXECUTION };
    const struct flow *flow = parser->flow;
    if (flow->tasks_by_id.count == flow->tasks_all_count)
        return; // every task has an id of its own
    struct named *all = ARENA_ARRAY(parser->scope.scratch, flow->tasks_all_count, struct named);
    size_t count = 0;
    for (size_t k = 0; k < COUNT_OF(order); k++) {
        for (size_t i = 0; i < flow->tasks_all_count; i++) {
            const struct task *task = flow->tasks_all[i];
            const struct task *top = task;
            while (top->parent != NULL)
                top = top->parent;
            if (top->list->slot == order[k])
                put_named(all, &count, task->id, task->doc, task->path);
        }
    }
    check_repeats(parser, all, count, "duplicate-id", "task id with name");
}

static void check_trigger_ids(struct flow_parser *parser)
{
    const struct flow *flow = parser->flow;
    struct arena *scratch = parser->scope.scratch;
    struct named *triggers = ARENA_ARRAY(scratch, flow->triggers_count, struct named);
    struct named *preconditions = ARENA_ARRAY(scratch, flow->triggers_count, struct named);
    size_t triggers_count = 0;
    size_t preconditions_count = 0;
    for (size_t i = 0; i < flow->triggers_count; i++) {
        const struct trigger *trigger = &flow->triggers[i];
        const struct value *map = value_get(trigger->doc, "preconditions");
        put_named(triggers, &triggers_count, trigger->id, trigger->doc, trigger->path);
        if (value_is_map(map))
            put_named(preconditions, &preconditions_count, value_get_text(map, "id", ""), map,
                      trigger->path);
    }
    check_repeats(parser, triggers, triggers_count, "duplicate-id", "trigger id with name");
    check_repeats(parser, preconditions, preconditions_count, "duplicate-id",
                  "preconditions with id");
}

static void check_ids(struct flow_parser *parser)
{
    const struct flow *flow = parser->flow;
    if (ident_is_reserved(flow->id))
        (void)rule(parser, DIAG_ERROR, "reserved-id", value_get(parser->doc, "id"), "id",
                   arena_printf(parser->scope.findings->arena,
                                "Flow id is a reserved keyword: %s. List of reserved keywords: %s",
                                flow->id, ident_reserved_words));
    check_task_ids(parser);
    if (flow->triggers_count > 1)
        check_trigger_ids(parser);
    if (flow->outputs_count > 1) {
        struct named *outputs =
            ARENA_ARRAY(parser->scope.scratch, flow->outputs_count, struct named);
        size_t count = 0;
        for (size_t i = 0; i < flow->outputs_count; i++)
            put_named(outputs, &count, flow->outputs[i].id, flow->outputs[i].doc, "outputs");
        check_repeats(parser, outputs, count, "duplicate-id", "output with name");
    }
}

/* ---- calls of other flows ---- */

bool flow_task_calls(const struct task *task)
{
    return task->type != NULL &&
           (task->type->task_kind == TASK_EXECUTABLE ||
            strcmp(task->type->id, "io.kestra.plugin.core.flow.ForEachItem") == 0);
}

static void check_recursion(struct flow_parser *parser)
{
    const struct flow *flow = parser->flow;
    for (size_t i = 0; i < flow->tasks_all_count; i++) {
        const struct task *task = flow->tasks_all[i];
        if (!flow_task_calls(task) ||
            !str_eq(value_get_text(task->doc, "flowId", NULL), flow->id) ||
            !str_eq(value_get_text(task->doc, "namespace", NULL), flow->namespace))
            continue;
        (void)rule(parser, DIAG_ERROR, "recursive-call", value_get(task->doc, "flowId"), task->path,
                   arena_printf(parser->scope.findings->arena, "Recursive call to flow [%s.%s]",
                                flow->namespace, flow->id));
    }
}

/* ---- inputs of schedules ---- */

static bool has_input_value(const struct trigger *trigger, const struct flow_input *input)
{
    return !value_is_null(value_get(trigger->inputs, input->id)) ||
           !value_is_null(value_path(trigger->inputs, input->id));
}

static void check_schedule_inputs(struct flow_parser *parser)
{
    const struct flow *flow = parser->flow;
    for (size_t i = 0; i < flow->triggers_count; i++) {
        const struct trigger *trigger = &flow->triggers[i];
        if (trigger->type == NULL || trigger->type->trigger_kind != TRIGGER_SCHEDULE)
            continue;
        struct buf missing = { 0 };
        size_t shown = 0;
        for (size_t k = 0; k < flow->inputs_count; k++) {
            const struct flow_input *input = &flow->inputs[k];
            if (input->required && input->defaults == NULL && input->depends_on == NULL &&
                !value_get_bool(input->doc, "autoSelectFirst", false) &&
                !has_input_value(trigger, input))
                put_name(&missing, &shown, input->id);
        }
        if (missing.length > 0)
            (void)rule(parser, DIAG_WARNING, "schedule-inputs", trigger->doc, trigger->path,
                       arena_printf(parser->scope.findings->arena,
                                    "Missing inputs for Schedule Trigger '%s': %s", trigger->id,
                                    missing.bytes));
        buf_free(&missing);
    }
}

/* ---- references with a dash ---- */

/*
 * `inputs.my-name` is `inputs.my` minus `name`: of ids that exist, it is a mistake. Looks into
 * every text with expressions.
 */
struct dashes {
    struct flow_parser *parser;
    struct map ids;    /* dashed ids that exist */
    const char *root;  /* "inputs." or "outputs." */
    const char *owner; /* id of the task or output under the walk */
    const char *owner_path;
    struct buf owners; /* offenders */
    size_t owners_count;
    const char *last_owner;
    const struct value *first;
    const char *path;
};

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Does an expression of the text read root + an existing dashed id? */
static bool text_has_dash(const struct dashes *dashes, const char *text)
{
    size_t root_length = strlen(dashes->root);
    bool inside = false;
    char quote = '\0';
    char before = '\0';
    for (const char *at = text; *at != '\0'; before = *at, at++) {
        if (!inside) {
            inside = at[0] == '{' && (at[1] == '{' || at[1] == '%');
            at += inside ? 1 : 0;
            continue;
        }
        if (quote != '\0') {
            if (*at == '\\' && at[1] != '\0')
                at++;
            else if (*at == quote)
                quote = '\0';
            continue;
        }
        if (*at == '"' || *at == '\'') {
            quote = *at;
        } else if ((at[0] == '}' || at[0] == '%') && at[1] == '}') {
            inside = false;
            at++;
        } else if (!is_name_char(before) && before != '.' &&
                   strncmp(at, dashes->root, root_length) == 0) {
            const char *id = at + root_length;
            size_t length = 0;
            while (is_name_char(id[length]) || (id[length] == '-' && is_name_char(id[length + 1])))
                length++;
            if (map_find_bytes(&dashes->ids, id, length) != NULL)
                return true;
            at += root_length - 1;
        }
    }
    return false;
}

static void dash_found(struct dashes *dashes, const struct value *at)
{
    if (dashes->owner == dashes->last_owner)
        return;
    dashes->last_owner = dashes->owner;
    put_name(&dashes->owners, &dashes->owners_count, dashes->owner);
    if (dashes->first == NULL) {
        dashes->first = at;
        dashes->path = dashes->owner_path;
    }
}

/* Lists of tasks are left out: each task is walked by itself. */
static void dash_walk(struct dashes *dashes, const struct value *value, const struct plugin *type)
{
    if (value_is_string(value)) {
        if (strstr(value->string.bytes, dashes->root) != NULL &&
            text_has_dash(dashes, value->string.bytes))
            dash_found(dashes, value);
    } else if (value_is_list(value)) {
        for (size_t i = 0; i < value->list.count; i++)
            dash_walk(dashes, value->list.items[i], NULL);
    } else if (value_is_map(value)) {
        struct prop_tables tables = { { NULL } };
        if (type != NULL)
            tables = plugin_tables(type);
        for (size_t i = 0; i < value->map.count; i++) {
            const struct value_member *member = &value->map.members[i];
            bool is_tasks = false;
            for (size_t t = 0; tables.items[t] != NULL && !is_tasks; t++) {
                const struct prop *prop = prop_find(tables.items[t], member->key);
                is_tasks = prop != NULL && prop->kind >= PROP_TASK && prop->kind <= PROP_DAG_TASKS;
            }
            if (!is_tasks)
                dash_walk(dashes, member->value, NULL);
        }
    }
}

/* Everything but tasks and outputs: named by the section. */
static void dash_sections(struct dashes *dashes, const struct flow_parser *parser)
{
    static const char *const sections[] = { "inputs", "variables", "triggers", "checks", "sla" };
    for (size_t i = 0; i < COUNT_OF(sections) && dashes->ids.count > 0; i++) {
        dashes->owner = dashes->owner_path = sections[i];
        dash_walk(dashes, value_get(parser->doc, sections[i]), NULL);
    }
}

static void dash_check(struct flow_parser *parser,
                       struct dashes *dashes,
                       bool everywhere,
                       const char *message)
{
    const struct flow *flow = parser->flow;
    for (size_t i = 0; i < flow->tasks_all_count && dashes->ids.count > 0; i++) {
        dashes->owner = flow->tasks_all[i]->id;
        dashes->owner_path = flow->tasks_all[i]->path;
        dash_walk(dashes, flow->tasks_all[i]->doc, flow->tasks_all[i]->type);
    }
    for (size_t i = 0; i < flow->outputs_count && dashes->ids.count > 0; i++) {
        dashes->owner = flow->outputs[i].id;
        dashes->owner_path = "outputs";
        dash_walk(dashes, flow->outputs[i].value, NULL);
    }
    if (everywhere)
        dash_sections(dashes, parser);
    if (dashes->first != NULL)
        (void)rule(parser, DIAG_ERROR, "dash-reference", dashes->first, dashes->path,
                   arena_printf(parser->scope.findings->arena, "%s in keys [%s]", message,
                                dashes->owners.bytes));
    map_free(&dashes->ids);
    buf_free(&dashes->owners);
}

static void check_dashes(struct flow_parser *parser)
{
    struct flow *flow = parser->flow;
    struct dashes inputs = { .parser = parser, .root = "inputs." };
    for (size_t i = 0; i < flow->inputs_count; i++) {
        if (strchr(flow->inputs[i].id, '-') != NULL)
            (void)map_put(&inputs.ids, flow->inputs[i].id, flow);
    }
    dash_check(parser, &inputs, true,
               "Invalid input reference: use inputs[key-name] instead of inputs.key-name");

    struct dashes outputs = { .parser = parser, .root = "outputs." };
    for (size_t i = 0; i < flow->tasks_all_count; i++) {
        if (strchr(flow->tasks_all[i]->id, '-') != NULL)
            (void)map_put(&outputs.ids, flow->tasks_all[i]->id, flow);
    }
    dash_check(parser, &outputs, false, // elsewhere they may be those of another flow
               "Invalid output reference: use outputs[key-name] instead of outputs.key-name");
}

void flow_check_rules(struct flow_parser *parser)
{
    check_ids(parser);
    check_recursion(parser);
    check_schedule_inputs(parser);
    check_dashes(parser);
}
