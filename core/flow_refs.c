/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a flow refers to by literal names: subflows, observed flows, files, keys, secrets.
 *
 * Names made by an expression are unknown here; `{{ flow.namespace }}` is the flow's own.
 */
#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "core/flow_internal.h"

struct collector {
    const struct flow *flow;
    struct arena *arena;
    VEC(struct flow_reference) all;
};

static void add(struct collector *collector,
                enum flow_ref_kind kind,
                const char *namespace,
                const char *name,
                const char *path,
                const struct value *at)
{
    struct flow_reference *ref = VEC_PUSH_ARENA(collector->arena, &collector->all);
    *ref = (struct flow_reference){
        .kind = kind,
        .namespace = str_eq(namespace, collector->flow->namespace)
                         ? NULL
                         : arena_strdup(collector->arena, namespace),
        .name = arena_strdup(collector->arena, name),
        .path = arena_strdup(collector->arena, path),
        .line = at == NULL ? 0 : at->line,
        .column = at == NULL ? 0 : at->column,
    };
}

/* Is the text an expression that gives the flow's own namespace? */
static bool is_own_namespace(const char *text)
{
    static const char wanted[] = "{{flow.namespace}}";
    const char *want = wanted;
    for (; *text != '\0'; text++) {
        if (isspace((unsigned char)*text))
            continue;
        if (*want == '\0' || *text != *want)
            return false;
        want++;
    }
    return *want == '\0';
}

/* false when the namespace is not known before the flow runs. *out NULL: the flow's own. */
static bool literal_namespace(const struct value *value, const char **out)
{
    const char *text = value_cstr(value);
    *out = NULL;
    if (value_is_null(value) || (text != NULL && is_own_namespace(text)))
        return true;
    if (text == NULL || prop_is_dynamic(text))
        return false;
    *out = text;
    return true;
}

static const char *literal(const struct value *value)
{
    const char *text = value_cstr(value);
    return text == NULL || prop_is_dynamic(text) ? NULL : text;
}

/* ---- functions in expressions ---- */

static const struct {
    const char *name;
    enum flow_ref_kind kind;
    const char *parameter; /* name of the first one */
} functions[] = {
    { "secret", REF_SECRET, "key" },
    { "kv", REF_KV, "key" },
    { "read", REF_FILE, "path" },
    { "fileURI", REF_FILE, "path" },
};

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static const char *skip_space(const char *at)
{
    while (isspace((unsigned char)*at))
        at++;
    return at;
}

/* A quoted text without escapes; NULL when there is none. *end: behind it. */
static char *take_quoted(struct arena *arena, const char *at, const char **end)
{
    char quote = *at;
    if (quote != '"' && quote != '\'')
        return NULL;
    size_t length = strcspn(at + 1, quote == '"' ? "\"\\" : "'\\");
    if (at[1 + length] != quote)
        return NULL;
    *end = at + length + 2;
    return arena_strndup(arena, at + 1, length);
}

/* `name = ` before an argument; returns where the argument starts. */
static const char *skip_name(const char *at, const char *name)
{
    size_t length = strlen(name);
    if (strncmp(at, name, length) != 0)
        return at;
    const char *equals = skip_space(at + length);
    return *equals == '=' ? skip_space(equals + 1) : at;
}

/* The call that starts at `open`, behind its parenthesis. */
static void take_call(struct collector *collector,
                      size_t function,
                      const char *open,
                      const char *path,
                      const struct value *value)
{
    const char *at = skip_name(skip_space(open), functions[function].parameter);
    const char *end = NULL;
    char *name = take_quoted(collector->arena, at, &end);
    if (name == NULL)
        return;
    end = skip_space(end);
    if (*end != ',' && *end != ')')
        return; // the literal is only a part of the argument
    const char *namespace = NULL;
    if (*end == ',') {
        const char *second = skip_space(end + 1);
        const char *argument = skip_name(second, "namespace");
        bool is_named_otherwise = argument == second && is_name_char(*second);
        if (!is_named_otherwise) {
            const char *behind = NULL;
            namespace = take_quoted(collector->arena, argument, &behind);
        }
    }
    add(collector, functions[function].kind, namespace, name, path, value);
}

static void scan_text(struct collector *collector, const struct value *value, const char *path)
{
    const char *text = value->string.bytes;
    bool inside = false;
    char quote = '\0';
    char before = '\0';
    for (const char *at = text; *at != '\0'; before = *at, at++) {
        if (!inside) {
            inside = at[0] == '{' && (at[1] == '{' || at[1] == '%');
            at += inside ? 1 : 0;
        } else if (quote != '\0') {
            if (*at == '\\' && at[1] != '\0')
                at++;
            else if (*at == quote)
                quote = '\0';
        } else if (*at == '"' || *at == '\'') {
            quote = *at;
        } else if ((at[0] == '}' || at[0] == '%') && at[1] == '}') {
            inside = false;
            at++;
        } else if (is_name_char(*at) && !is_name_char(before) && before != '.') {
            for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
                size_t length = strlen(functions[i].name);
                const char *open = at + length;
                if (strncmp(at, functions[i].name, length) == 0 && *skip_space(open) == '(')
                    take_call(collector, i, skip_space(open) + 1, path, value);
            }
        }
    }
}

static void scan_uri(struct collector *collector, const struct value *value, const char *path)
{
    const char *text = value->string.bytes;
    if (!str_starts(text, "nsfile://") || prop_is_dynamic(text))
        return;
    const char *rest = text + strlen("nsfile://");
    const char *slash = strchr(rest, '/');
    if (slash == NULL)
        return;
    const char *namespace =
        slash == rest ? NULL : arena_strndup(collector->arena, rest, (size_t)(slash - rest));
    add(collector, REF_FILE, namespace, slash + 1, path, value);
}

static const struct prop *find_prop(const struct plugin *plugin, const char *name)
{
    struct prop_tables tables = plugin_tables(plugin);
    for (size_t t = 0; tables.items[t] != NULL; t++) {
        const struct prop *prop = prop_find(tables.items[t], name);
        if (prop != NULL)
            return prop;
    }
    return NULL;
}

/* Texts below a value; of a typed mapping, properties that hold tasks are walked on their own. */
static void scan_tree(struct collector *collector,
                      const struct value *value,
                      const struct plugin *plugin,
                      const char *path)
{
    if (value_is_string(value)) {
        if (prop_is_dynamic(value->string.bytes))
            scan_text(collector, value, path);
        else
            scan_uri(collector, value, path);
    }
    for (size_t i = 0; value_is_list(value) && i < value->list.count; i++)
        scan_tree(collector, value->list.items[i], NULL, path);
    for (size_t i = 0; value_is_map(value) && i < value->map.count; i++) {
        const struct value_member *m = &value->map.members[i];
        const struct prop *prop = plugin == NULL ? NULL : find_prop(plugin, m->key);
        if (prop == NULL || prop->kind < PROP_TASK || prop->kind > PROP_DAG_TASKS)
            scan_tree(collector, m->value, NULL, path);
    }
}

/* ---- tasks and triggers ---- */

static void add_flow(struct collector *collector,
                     enum flow_ref_kind kind,
                     const struct value *map,
                     const char *path)
{
    const char *namespace = NULL;
    const char *id = literal(value_get(map, "flowId"));
    if (id != NULL && literal_namespace(value_get(map, "namespace"), &namespace))
        add(collector, kind, namespace, id, path, value_get(map, "flowId"));
}

static void add_task(struct collector *collector, const struct task *task)
{
    if (flow_task_calls(task))
        add_flow(collector, REF_SUBFLOW, task->doc, task->path);
    const char *key = literal(value_get(task->doc, "key"));
    const char *namespace = NULL;
    if (key != NULL && str_starts(task->type->id, "io.kestra.plugin.core.kv.") &&
        literal_namespace(value_get(task->doc, "namespace"), &namespace))
        add(collector, REF_KV, namespace, key, task->path, value_get(task->doc, "key"));
    scan_tree(collector, task->doc, task->type, task->path);
}

/* Conditions and preconditions name flows by namespace and flowId, at any depth. */
static void add_observed(struct collector *collector, const struct value *value, const char *path)
{
    if (value_is_map(value) && value_get(value, "flowId") != NULL)
        add_flow(collector, REF_FLOW_TRIGGER, value, path);
    for (size_t i = 0; value_is_map(value) && i < value->map.count; i++)
        add_observed(collector, value->map.members[i].value, path);
    for (size_t i = 0; value_is_list(value) && i < value->list.count; i++)
        add_observed(collector, value->list.items[i], path);
}

static void add_trigger(struct collector *collector, const struct trigger *trigger)
{
    if (trigger->type->trigger_kind == TRIGGER_FLOW) {
        add_observed(collector, trigger->conditions, trigger->path);
        add_observed(collector, value_get(trigger->doc, "preconditions"), trigger->path);
        add_observed(collector, value_get(trigger->doc, "dependsOn"), trigger->path);
    }
    scan_tree(collector, trigger->doc, trigger->type, trigger->path);
}

const struct flow_reference *flow_references(const struct flow *flow,
                                             struct arena *arena,
                                             size_t *count)
{
    struct collector collector = { .flow = flow, .arena = arena };
    for (size_t i = 0; i < flow->tasks_all_count; i++)
        add_task(&collector, flow->tasks_all[i]);
    for (size_t i = 0; i < flow->triggers_count; i++)
        add_trigger(&collector, &flow->triggers[i]);
    for (size_t i = 0; i < flow->inputs_count; i++)
        scan_tree(&collector, flow->inputs[i].defaults, NULL, "inputs");
    for (size_t i = 0; i < flow->outputs_count; i++)
        scan_tree(&collector, flow->outputs[i].value, NULL, "outputs");
    scan_tree(&collector, flow->variables, NULL, "variables");
    *count = collector.all.count;
    return collector.all.items;
}
