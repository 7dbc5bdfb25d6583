/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/ident.h"
#include "core/prop_internal.h"

/* Names offered as suggestions at most; no table is longer. */
#define NAMES_MAX 128U

static char *path_of(const struct check_scope *scope, const struct doc_path *path)
{
    return doc_path_text(scope->findings->arena, path);
}

void check_shape_error(const struct check_scope *scope,
                       const struct value *value,
                       const struct doc_path *path,
                       const char *expected)
{
    struct arena *arena = scope->findings->arena;
    const char *where = path_of(scope, path);
    struct diag *diag =
        diag_add(scope->findings, DIAG_ERROR, DIAG_SYNTAX, "wrong-shape", value, where,
                 "'%s' must be %s, not %s", where, expected, value_kind_name(value));
    diag->api = arena_printf(arena, "YAML parsing error: Cannot read '%s': expected %s, found %s",
                             where, expected, value_kind_name(value));
}

static void constraint(const struct check_scope *scope,
                       const char *code,
                       const struct value *at,
                       const char *path,
                       const char *text)
{
    struct diag *diag = diag_add(scope->findings, DIAG_ERROR, DIAG_CONSTRAINT, code, at, path,
                                 "'%s' %s", path, text);
    diag->api = arena_strdup(scope->findings->arena, text);
}

/* ---- unknown and missing properties ---- */

static const char *owner_text(struct arena *arena, struct check_owner owner)
{
    if (owner.text != NULL)
        return owner.text;
    if (owner.plugin != NULL)
        return arena_printf(arena, "%s type '%s'", plugin_role_name(owner.plugin->role),
                            owner.plugin->id);
    return owner.kind == NULL ? arena_printf(arena, "'%s'", owner.name)
                              : arena_printf(arena, "%s '%s'", owner.kind, owner.name);
}

static void see_docs(struct arena *arena, struct diag *diag, struct check_owner owner)
{
    if (owner.plugin != NULL)
        diag->see = arena_printf(arena, "weir docs %s", owner.plugin->id);
}

static size_t collect_names(const struct prop *const *tables, const char *names[NAMES_MAX])
{
    size_t count = 0;
    for (size_t t = 0; tables[t] != NULL; t++) {
        for (const struct prop *prop = tables[t]; prop->name != NULL; prop++) {
            if ((prop->flags & PROP_INTERNAL) == 0 && count < NAMES_MAX)
                names[count++] = prop->name;
        }
    }
    return count;
}

static void unknown_property(const struct check_scope *scope,
                             const struct prop *const *tables,
                             const struct value *map,
                             const struct value_member *member,
                             const struct doc_path *path,
                             struct check_owner owner)
{
    struct arena *arena = scope->findings->arena;
    if (diag_is_full(scope->findings)) {
        (void)diag_add(scope->findings, DIAG_ERROR, DIAG_TYPE, "unknown-property", map, "", "%s",
                       "");
        return;
    }
    const char *names[NAMES_MAX];
    size_t count = collect_names(tables, names);
    const char *where = doc_path_key(arena, path, member->key);
    const char *whose = owner_text(arena, owner);
    struct diag *diag = diag_add(scope->findings, DIAG_ERROR, DIAG_TYPE, "unknown-property", map,
                                 where, "unknown property '%s' of %s", member->key, whose);
    diag_point(diag, member);

    struct buf known = { 0 };
    for (size_t i = 0; i < count; i++)
        buf_printf(&known, "%s\"%s\"", i == 0 ? "" : ", ", names[i]);
    diag->api =
        arena_printf(arena, "Unrecognized field \"%s\" of %s at '%s', known properties: [%s]",
                     member->key, whose, where, buf_text(&known));
    buf_free(&known);

    const char *nearest = str_nearest(member->key, names, count);
    if (nearest != NULL)
        diag->advice = arena_printf(arena, "did you mean '%s'?", nearest);
    see_docs(arena, diag, owner);
}

static void missing_property(const struct check_scope *scope,
                             const struct prop *prop,
                             const struct value *map,
                             const struct doc_path *path,
                             struct check_owner owner)
{
    struct arena *arena = scope->findings->arena;
    const char *where = doc_path_key(arena, path, prop->name);
    struct diag *diag = diag_add(scope->findings, DIAG_ERROR, DIAG_CONSTRAINT, "missing-property",
                                 map, where, "%s needs '%s'", owner_text(arena, owner), prop->name);
    diag->api = (prop->flags & PROP_NOT_EMPTY) != 0 ? "must not be empty" : "must not be null";
    see_docs(arena, diag, owner);
}

static void deprecated_property(const struct check_scope *scope,
                                const struct prop *prop,
                                const struct value *map,
                                const struct value_member *member,
                                const struct doc_path *path)
{
    struct arena *arena = scope->findings->arena;
    const char *where = doc_path_key(arena, path, member->key);
    struct diag *diag;
    if (strcmp(prop->name, member->key) == 0)
        diag = diag_add(scope->findings, DIAG_DEPRECATION, DIAG_TYPE, "deprecated-property", map,
                        where, "'%s' is deprecated", where);
    else
        diag = diag_add(scope->findings, DIAG_DEPRECATION, DIAG_TYPE, "deprecated-property", map,
                        where, "'%s' is now called '%s'", where, prop->name);
    diag_point(diag, member);
}

/* ---- literals ---- */

static void check_value(const struct check_scope *scope,
                        const struct prop *prop,
                        enum prop_kind kind,
                        const struct value *value,
                        const struct doc_path *path);

static void check_text(const struct check_scope *scope,
                       const struct prop *prop,
                       const struct value *value,
                       const struct doc_path *path)
{
    if (value->kind == VALUE_LIST || value->kind == VALUE_MAP) {
        // an expression property takes lists and maps as their JSON text
        if ((prop->flags & PROP_EXPR) == 0)
            check_shape_error(scope, value, path, prop_kind_text(PROP_STRING));
        return;
    }
    const char *text = prop_text(scope->scratch, value);
    size_t length = value_is_string(value) ? value->string.length : strlen(text);
    struct arena *arena = scope->findings->arena;
    if ((prop->flags & PROP_NOT_EMPTY) != 0 && length == 0)
        constraint(scope, "empty", value, path_of(scope, path), "must not be empty");
    if ((prop->min != 0 || prop->max != 0) &&
        ((int64_t)length < prop->min || (int64_t)length > prop->max))
        constraint(scope, "size", value, path_of(scope, path),
                   arena_printf(arena, "size must be between %lld and %lld", (long long)prop->min,
                                (long long)prop->max));
    if (prop->pattern != NULL && !ident_matches(prop->pattern, text, length))
        constraint(scope, "pattern", value, path_of(scope, path),
                   arena_printf(arena, "must match \"^%s\"", prop->pattern));
}

static void check_bounds(const struct check_scope *scope,
                         const struct prop *prop,
                         enum prop_kind kind,
                         int64_t number,
                         const struct value *value,
                         const struct doc_path *path)
{
    if ((prop->min == 0 && prop->max == 0) || (number >= prop->min && number <= prop->max))
        return;
    struct arena *arena = scope->findings->arena;
    bool low = number < prop->min;
    int64_t limit = low ? prop->min : prop->max;
    const char *shown = kind == PROP_DURATION ? duration_format(arena, limit)
                                              : arena_printf(arena, "%lld", (long long)limit);
    constraint(
        scope, "bounds", value, path_of(scope, path),
        arena_printf(arena, "must be %s than or equal to %s", low ? "greater" : "less", shown));
}

/* A literal that does not convert. Of an expression property it fails the task, when that runs. */
static void bad_literal(const struct check_scope *scope,
                        const struct prop *prop,
                        enum prop_kind kind,
                        const struct value *value,
                        const struct doc_path *path)
{
    struct arena *arena = scope->findings->arena;
    const char *where = path_of(scope, path);
    const char *shown = prop_text(arena, value);
    if (kind == PROP_DURATION) {
        struct diag *diag =
            diag_add(scope->findings, DIAG_ERROR, DIAG_CONSTRAINT, "invalid-duration", value, where,
                     "'%s' must be %s, not '%s'", where, prop_kind_text(kind), shown);
        diag->api = arena_printf(arena, "Invalid duration '%s'", shown);
        return;
    }
    const char *expected =
        kind == PROP_ENUM ? arena_printf(arena, "one of %s", prop_words_text(arena, prop->words))
                          : prop_kind_text(kind);
    bool later = (prop->flags & PROP_EXPR) != 0;
    struct diag *diag =
        diag_add(scope->findings, later ? DIAG_WARNING : DIAG_ERROR, DIAG_SYNTAX, "invalid-value",
                 value, where, "'%s' must be %s, not '%s'", where, expected, shown);
    if (kind == PROP_ENUM) {
        diag->api =
            arena_printf(arena,
                         "YAML parsing error: Invalid value \"%s\" of '%s', accepted values: "
                         "[%s]",
                         shown, where, prop_words_text(arena, prop->words));
        size_t count = 0;
        while (prop->words[count] != NULL)
            count++;
        const char *nearest = str_nearest(shown, prop->words, count);
        if (nearest != NULL)
            diag->advice = arena_printf(arena, "did you mean '%s'?", nearest);
    } else {
        diag->api =
            arena_printf(arena, "YAML parsing error: Invalid value \"%s\" of '%s', it must be %s",
                         shown, where, expected);
    }
}

static void check_scalar(const struct check_scope *scope,
                         const struct prop *prop,
                         enum prop_kind kind,
                         const struct value *value,
                         const struct doc_path *path)
{
    int64_t number = 0;
    double real = 0;
    bool boolean = false;
    bool ok = false;
    if (value->kind == VALUE_LIST || value->kind == VALUE_MAP) {
        check_shape_error(scope, value, path, prop_kind_text(kind));
        return;
    }
    if ((prop->flags & PROP_EXPR) != 0 && value_is_string(value) && value->string.length == 0)
        return; // renders to nothing: absent
    switch (kind) {
    case PROP_INT:
        ok = prop_to_int(value, &number);
        break;
    case PROP_BYTES:
        ok = prop_to_bytes(value, &number);
        break;
    case PROP_DURATION:
        ok = prop_to_duration(value, &number);
        break;
    case PROP_INSTANT:
        ok = prop_to_instant(value, &number);
        break;
    case PROP_DOUBLE:
        ok = prop_to_double(value, &real);
        break;
    case PROP_BOOL:
        ok = prop_to_bool(value, &boolean);
        break;
    case PROP_ENUM:
        ok = prop_to_word(value, prop->words) >= 0;
        break;
    case PROP_STRING:
    case PROP_ANY:
    case PROP_LIST:
    case PROP_MAP:
    case PROP_OBJECT:
    case PROP_OBJECTS:
    case PROP_STRINGS:
    case PROP_LABELS:
    case PROP_PLUGIN:
    case PROP_TASK:
    case PROP_TASKS:
    case PROP_TASK_MAP:
    case PROP_DAG_TASKS:
    case PROP_TRIGGERS:
    case PROP_CONDITIONS:
    case PROP_CONDITION_MAP:
    case PROP_INPUTS:
    case PROP_OUTPUTS:
        CHECK(!"a scalar kind");
    }
    if (!ok)
        bad_literal(scope, prop, kind, value, path);
    else if (kind == PROP_INT || kind == PROP_DURATION || kind == PROP_BYTES)
        check_bounds(scope, prop, kind, number, value, path);
}

/* ---- lists, maps, objects ---- */

static bool is_whole_expression(const struct prop *prop, const struct value *value)
{
    return (prop->flags & PROP_EXPR) != 0 && value_is_string(value);
}

static void check_items(const struct check_scope *scope,
                        const struct prop *prop,
                        const struct value *list,
                        const struct doc_path *path)
{
    for (size_t i = 0; i < list->list.count; i++) {
        const struct value *item = list->list.items[i];
        struct doc_path at = { .parent = path, .index = i };
        if (!value_is_null(item))
            check_value(scope, prop, prop->item, item, &at);
    }
}

static void check_members(const struct check_scope *scope,
                          const struct prop *prop,
                          const struct value *map,
                          const struct doc_path *path)
{
    for (size_t i = 0; i < map->map.count; i++) {
        const struct value_member *member = &map->map.members[i];
        struct doc_path at = { .parent = path, .key = member->key };
        if (!value_is_null(member->value))
            check_value(scope, prop, prop->item, member->value, &at);
    }
}

static void check_object(const struct check_scope *scope,
                         const struct prop *prop,
                         const struct value *map,
                         const struct doc_path *path)
{
    const struct prop *const tables[] = { prop->object, NULL };
    check_map(scope, tables, map, path, (struct check_owner){ .name = prop->name });
}

static void check_objects(const struct check_scope *scope,
                          const struct prop *prop,
                          const struct value *list,
                          const struct doc_path *path)
{
    for (size_t i = 0; i < list->list.count; i++) {
        const struct value *item = list->list.items[i];
        struct doc_path at = { .parent = path, .index = i };
        if (value_is_map(item))
            check_object(scope, prop, item, &at);
        else if (!is_whole_expression(prop, item))
            check_shape_error(scope, item, &at, "a map");
    }
}

static void check_not_empty(const struct check_scope *scope,
                            const struct prop *prop,
                            const struct value *value,
                            const struct doc_path *path)
{
    if ((prop->flags & PROP_NOT_EMPTY) != 0 && (value_is_list(value) || value_is_map(value)) &&
        value_count(value) == 0)
        constraint(scope, "empty", value, path_of(scope, path), "must not be empty");
}

static void check_list_of_maps(const struct check_scope *scope,
                               const struct value *value,
                               const struct doc_path *path,
                               enum prop_kind kind)
{
    if (!value_is_list(value)) {
        check_shape_error(scope, value, path, prop_kind_text(kind));
        return;
    }
    for (size_t i = 0; i < value->list.count; i++) {
        struct doc_path at = { .parent = path, .index = i };
        if (!value_is_map(value->list.items[i]))
            check_shape_error(scope, value->list.items[i], &at, "a map");
    }
}

static void check_conditions(const struct check_scope *scope,
                             const struct value *value,
                             const struct doc_path *path)
{
    check_list_of_maps(scope, value, path, PROP_CONDITIONS);
    for (size_t i = 0; value_is_list(value) && i < value->list.count; i++) {
        struct doc_path at = { .parent = path, .index = i };
        if (value_is_map(value->list.items[i]))
            (void)check_typed(scope, PLUGIN_CONDITION, value->list.items[i], &at);
    }
}

static void check_condition_map(const struct check_scope *scope,
                                const struct value *value,
                                const struct doc_path *path)
{
    if (!value_is_map(value)) {
        check_shape_error(scope, value, path, "a map of conditions");
        return;
    }
    for (size_t i = 0; i < value->map.count; i++) {
        const struct value_member *member = &value->map.members[i];
        struct doc_path at = { .parent = path, .key = member->key };
        if (value_is_map(member->value))
            (void)check_typed(scope, PLUGIN_CONDITION, member->value, &at);
        else
            check_shape_error(scope, member->value, &at, "a map");
    }
}

static void check_task_map(const struct check_scope *scope,
                           const struct value *value,
                           const struct doc_path *path)
{
    if (!value_is_map(value)) {
        check_shape_error(scope, value, path, "a map of task lists");
        return;
    }
    for (size_t i = 0; i < value->map.count; i++) {
        const struct value_member *member = &value->map.members[i];
        struct doc_path at = { .parent = path, .key = member->key };
        if (!value_is_null(member->value))
            check_list_of_maps(scope, member->value, &at, PROP_TASKS);
    }
}

static const struct prop dag_entry_props[] = {
    { "task", .kind = PROP_TASK, .flags = PROP_REQUIRED, .doc = "The task." },
    { "dependsOn", .kind = PROP_LIST, .item = PROP_STRING,
      .doc = "Ids of the tasks of this list that must have ended before." },
    { 0 },
};

static void check_dag_tasks(const struct check_scope *scope,
                            const struct value *value,
                            const struct doc_path *path)
{
    static const struct prop *const tables[] = { dag_entry_props, NULL };
    check_list_of_maps(scope, value, path, PROP_DAG_TASKS);
    for (size_t i = 0; value_is_list(value) && i < value->list.count; i++) {
        struct doc_path at = { .parent = path, .index = i };
        if (value_is_map(value->list.items[i]))
            check_map(scope, tables, value->list.items[i], &at,
                      (struct check_owner){ .text = "an entry of Dag tasks" });
    }
}

/* A value under a kind, which is the property's own or that of its items. */
static void check_value(const struct check_scope *scope,
                        const struct prop *prop,
                        enum prop_kind kind,
                        const struct value *value,
                        const struct doc_path *path)
{
    if ((prop->flags & (PROP_EXPR | PROP_RAW)) != 0 && value_is_string(value) &&
        prop_is_dynamic(value->string.bytes)) {
        check_expression(scope, value, path);
        return;
    }
    switch (kind) {
    case PROP_STRING:
        check_text(scope, prop, value, path);
        return;
    case PROP_INT:
    case PROP_DOUBLE:
    case PROP_BOOL:
    case PROP_DURATION:
    case PROP_INSTANT:
    case PROP_ENUM:
    case PROP_BYTES:
        check_scalar(scope, prop, kind, value, path);
        return;
    case PROP_ANY:
        if ((prop->flags & PROP_EXPR) != 0)
            check_expression_tree(scope, value, path);
        return;
    case PROP_LIST:
        if (value_is_list(value))
            check_items(scope, prop, value, path);
        else if (!is_whole_expression(prop, value))
            check_shape_error(scope, value, path, prop_kind_text(kind));
        return;
    case PROP_STRINGS:
        if (value_is_list(value))
            check_items(scope, prop, value, path);
        else if (value_is_map(value))
            check_shape_error(scope, value, path, prop_kind_text(kind));
        return;
    case PROP_MAP:
        if (value_is_map(value))
            check_members(scope, prop, value, path);
        else if (!is_whole_expression(prop, value))
            check_shape_error(scope, value, path, prop_kind_text(kind));
        return;
    case PROP_OBJECT:
        if (value_is_map(value))
            check_object(scope, prop, value, path);
        else if (!is_whole_expression(prop, value))
            check_shape_error(scope, value, path, prop_kind_text(kind));
        return;
    case PROP_OBJECTS:
        if (value_is_list(value))
            check_objects(scope, prop, value, path);
        else if (!is_whole_expression(prop, value))
            check_shape_error(scope, value, path, prop_kind_text(kind));
        return;
    case PROP_LABELS:
        if (!is_whole_expression(prop, value))
            check_labels(scope, value, path);
        return;
    case PROP_PLUGIN:
        if (value_is_map(value))
            (void)check_typed(scope, PLUGIN_RUNNER, value, path);
        else if (!is_whole_expression(prop, value))
            check_shape_error(scope, value, path, prop_kind_text(kind));
        return;
    case PROP_TASK:
        if (!value_is_map(value))
            check_shape_error(scope, value, path, prop_kind_text(kind));
        return;
    case PROP_TASKS:
    case PROP_TRIGGERS:
    case PROP_INPUTS:
    case PROP_OUTPUTS:
        check_list_of_maps(scope, value, path, kind);
        return;
    case PROP_TASK_MAP:
        check_task_map(scope, value, path);
        return;
    case PROP_DAG_TASKS:
        check_dag_tasks(scope, value, path);
        return;
    case PROP_CONDITIONS:
        check_conditions(scope, value, path);
        return;
    case PROP_CONDITION_MAP:
        check_condition_map(scope, value, path);
        return;
    }
}

/* ---- whole mappings ---- */

static const struct prop *find_in(const struct prop *const *tables, const char *name)
{
    for (size_t t = 0; tables[t] != NULL; t++) {
        const struct prop *prop = prop_find(tables[t], name);
        if (prop != NULL)
            return prop;
    }
    return NULL;
}

static void check_member(const struct check_scope *scope,
                         const struct prop *prop,
                         const struct value *map,
                         const struct value_member *member,
                         const struct doc_path *path,
                         struct check_owner owner)
{
    if ((prop->flags & PROP_INTERNAL) != 0)
        return;
    if ((prop->flags & PROP_DEPRECATED) != 0 || strcmp(prop->name, member->key) != 0)
        deprecated_property(scope, prop, map, member, path);
    if (value_is_null(member->value))
        return; // as if it were absent
    struct doc_path at = { .parent = path, .key = member->key };
    check_value(scope, prop, prop->kind, member->value, &at);
    if (prop->kind != PROP_STRING)
        check_not_empty(scope, prop, member->value, &at);
    // the key of a webhook stands in its URL anyway
    bool is_open = owner.plugin != NULL && owner.plugin->role == PLUGIN_TRIGGER;
    if ((prop->flags & PROP_SECRET) != 0 && !is_open && value_is_string(member->value) &&
        member->value->string.length > 0 && !prop_is_dynamic(member->value->string.bytes)) {
        const char *where = path_of(scope, &at);
        struct diag *diag =
            diag_add(scope->findings, DIAG_WARNING, DIAG_RULE, "literal-secret", member->value,
                     where, "'%s' is a secret, it should not be written in the flow", where);
        diag->advice = "use {{ secret('NAME') }}";
    }
}

void check_map(const struct check_scope *scope,
               const struct prop *const *tables,
               const struct value *map,
               const struct doc_path *path,
               struct check_owner owner)
{
    for (size_t i = 0; i < map->map.count; i++) {
        const struct value_member *member = &map->map.members[i];
        const struct prop *prop = find_in(tables, member->key);
        if (prop != NULL)
            check_member(scope, prop, map, member, path, owner);
        else if (!scope->lenient)
            unknown_property(scope, tables, map, member, path, owner);
    }
    for (size_t t = 0; tables[t] != NULL; t++) {
        for (const struct prop *prop = tables[t]; prop->name != NULL; prop++) {
            if ((prop->flags & PROP_REQUIRED) != 0 && prop_value(prop, map) == NULL)
                missing_property(scope, prop, map, path, owner);
        }
    }
}

static void unknown_type(const struct check_scope *scope,
                         enum plugin_role role,
                         const struct value *type,
                         const struct doc_path *path)
{
    struct arena *arena = scope->findings->arena;
    const char *where = path_of(scope, path);
    const char *name = type->string.bytes;
    struct diag *diag = diag_add(scope->findings, DIAG_ERROR, DIAG_TYPE, "unknown-type", type,
                                 where, "unknown %s type '%s'", plugin_role_name(role), name);
    diag->width = (uint32_t)type->string.length;
    diag->api = arena_printf(arena, "%s: Invalid type: %s", where, name);
    const char *nearest = plugin_nearest(scope->plugins, role, name);
    if (nearest != NULL)
        diag->advice = arena_printf(arena, "did you mean '%s'?", nearest);
}

const struct plugin *check_type(const struct check_scope *scope,
                                enum plugin_role role,
                                const struct value *map,
                                const struct doc_path *path)
{
    struct arena *arena = scope->findings->arena;
    const struct value *type = value_get(map, "type");
    if (!value_is_string(type)) {
        const char *where = path_of(scope, path);
        const char *shown = value_is_null(type) ? "null" : prop_text(arena, type);
        struct diag *diag =
            diag_add(scope->findings, DIAG_ERROR, DIAG_TYPE, "missing-type",
                     value_is_null(type) ? map : type, where, "'%s' needs a 'type'", where);
        diag->api = arena_printf(arena, "%s: Invalid type: %s", where, shown);
        return NULL;
    }
    if (scope->plugins == NULL)
        return NULL;
    const struct plugin *plugin = plugin_find(scope->plugins, type->string.bytes);
    if (plugin == NULL || plugin->role != role) {
        unknown_type(scope, role, type, path);
        return NULL;
    }
    const char *where = NULL;
    if ((plugin->flags & PLUGIN_DEPRECATED) != 0) {
        where = path_of(scope, path);
        (void)diag_add(scope->findings, DIAG_DEPRECATION, DIAG_TYPE, "deprecated-type", type, where,
                       "%s type '%s' is deprecated", plugin_role_name(role), plugin->id);
    }
    if (strcmp(plugin->id, type->string.bytes) != 0 && strchr(type->string.bytes, ':') == NULL) {
        where = where == NULL ? path_of(scope, path) : where;
        (void)diag_add(scope->findings, DIAG_INFO, DIAG_TYPE, "alias", type, where,
                       "%s is replaced by %s", type->string.bytes, plugin->id);
    }
    return plugin;
}

void check_properties(const struct check_scope *scope,
                      const struct plugin *plugin,
                      const struct value *map,
                      const struct doc_path *path)
{
    struct prop_tables tables = plugin_tables(plugin);
    struct check_scope inner = *scope;
    inner.lenient = scope->lenient || (plugin->flags & PLUGIN_OPEN) != 0;
    check_map(&inner, tables.items, map, path, (struct check_owner){ .plugin = plugin });
}

const struct plugin *check_typed(const struct check_scope *scope,
                                 enum plugin_role role,
                                 const struct value *map,
                                 const struct doc_path *path)
{
    const struct plugin *plugin = check_type(scope, role, map, path);
    if (plugin == NULL)
        return NULL;
    check_properties(scope, plugin, map, path);
    if (plugin->check != NULL)
        plugin->check(scope->flow, map, path_of(scope, path), scope->findings);
    return plugin;
}

void prop_check(const struct prop *const *tables,
                const struct plugin_set *plugins,
                const struct value *map,
                const char *path,
                const char *owner,
                struct diag_list *findings)
{
    struct arena *scratch = arena_new();
    struct check_scope scope = { .plugins = plugins, .findings = findings, .scratch = scratch };
    struct doc_path root = { .key = path };
    check_map(&scope, tables, map, &root, (struct check_owner){ .text = owner });
    arena_free(scratch);
}
