/* SPDX-License-Identifier: Apache-2.0 */
/* Rules over a whole flow (flow-language.md 7.2), with the words that API clients match on. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
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

/* Names that occurred before, each once, in the order of their second occurrence. */
struct repeats {
    struct map seen;
    struct map told;
    struct buf names;
    const struct value *first; /* mapping of the first repeated one */
    const char *path;
};

static void repeats_note(struct repeats *repeats,
                         const char *name,
                         const struct value *doc,
                         const char *path)
{
    if (name[0] == '\0')
        return;
    if (map_put(&repeats->seen, name, (void *)(uintptr_t)doc) == NULL)
        return;
    if (map_put(&repeats->told, name, (void *)(uintptr_t)doc) != NULL)
        return;
    buf_printf(&repeats->names, "%s%s", repeats->names.length == 0 ? "" : ", ", name);
    if (repeats->first == NULL) {
        repeats->first = doc;
        repeats->path = path;
    }
}

static void repeats_end(struct flow_parser *parser,
                        struct repeats *repeats,
                        const char *code,
                        const char *what)
{
    if (repeats->first != NULL) {
        const struct value *id = value_get(repeats->first, "id");
        (void)rule(parser, DIAG_ERROR, code, id == NULL ? repeats->first : id, repeats->path,
                   arena_printf(parser->scope.findings->arena, "Duplicate %s [%s]", what,
                                repeats->names.bytes));
    }
    map_free(&repeats->seen);
    map_free(&repeats->told);
    buf_free(&repeats->names);
}

static void check_ids(struct flow_parser *parser)
{
    const struct flow *flow = parser->flow;
    if (ident_is_reserved(flow->id))
        (void)rule(parser, DIAG_ERROR, "reserved-id", value_get(parser->doc, "id"), "id",
                   arena_printf(parser->scope.findings->arena,
                                "Flow id is a reserved keyword: %s. List of reserved keywords: %s",
                                flow->id, ident_reserved_words));
    struct repeats tasks = { 0 };
    for (size_t i = 0; i < flow->tasks_all_count; i++)
        repeats_note(&tasks, flow->tasks_all[i]->id, flow->tasks_all[i]->doc,
                     flow->tasks_all[i]->path);
    repeats_end(parser, &tasks, "duplicate-id", "task id with name");

    struct repeats triggers = { 0 };
    struct repeats preconditions = { 0 };
    for (size_t i = 0; i < flow->triggers_count; i++) {
        const struct trigger *trigger = &flow->triggers[i];
        const struct value *preconditions_doc = value_get(trigger->doc, "preconditions");
        repeats_note(&triggers, trigger->id, trigger->doc, trigger->path);
        if (value_is_map(preconditions_doc))
            repeats_note(&preconditions, value_get_text(preconditions_doc, "id", ""),
                         preconditions_doc, trigger->path);
    }
    repeats_end(parser, &triggers, "duplicate-id", "trigger id with name");
    repeats_end(parser, &preconditions, "duplicate-id", "preconditions with id");

    struct repeats outputs = { 0 };
    for (size_t i = 0; i < flow->outputs_count; i++)
        repeats_note(&outputs, flow->outputs[i].id, flow->outputs[i].doc, "outputs");
    repeats_end(parser, &outputs, "duplicate-id", "output with name");
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
        for (size_t k = 0; k < flow->inputs_count; k++) {
            const struct flow_input *input = &flow->inputs[k];
            if (input->required && input->defaults == NULL && input->depends_on == NULL &&
                !value_get_bool(input->doc, "autoSelectFirst", false) &&
                !has_input_value(trigger, input))
                buf_printf(&missing, "%s%s", missing.length == 0 ? "" : ", ", input->id);
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
    buf_printf(&dashes->owners, "%s%s", dashes->owners.length == 0 ? "" : ", ", dashes->owner);
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

static void dash_check(struct flow_parser *parser, struct dashes *dashes, const char *message)
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
    if (dashes->first != NULL)
        (void)rule(parser, DIAG_ERROR, "dash-reference", dashes->first, dashes->path,
                   arena_printf(parser->scope.findings->arena, "%s in tasks [%s]", message,
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
    dash_check(parser, &inputs,
               "Invalid input reference: use inputs[key-name] instead of inputs.key-name");

    struct dashes outputs = { .parser = parser, .root = "outputs." };
    for (size_t i = 0; i < flow->tasks_all_count; i++) {
        if (strchr(flow->tasks_all[i]->id, '-') != NULL)
            (void)map_put(&outputs.ids, flow->tasks_all[i]->id, flow);
    }
    dash_check(parser, &outputs,
               "Invalid output reference: use outputs[key-name] instead of outputs.key-name");
}

void flow_check_rules(struct flow_parser *parser)
{
    check_ids(parser);
    check_recursion(parser);
    check_schedule_inputs(parser);
    check_dashes(parser);
}
