/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plugin defaults (flow-language.md 1.12): entries of the flow and of the server, merged into every
 * mapping of the document that has a `type`.
 */
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "core/flow_internal.h"
#include "core/yaml.h"

struct entry {
    const char *type;
    const struct plugin *plugin; /* NULL: a prefix, or unknown */
    const struct value *values;
    size_t size;     /* values inside, at any depth */
    const char *ref; /* NULL none */
    bool forced;
    bool is_server; /* wider scope */
};

typedef VEC(struct entry) entry_vec;

/* Entries of the flow and of the server. */
#define ENTRIES_MAX 1000U

/* Property names that are looked up to warn about those that no type has. */
#define LOOKUPS_MAX 5000U

/*
 * Defaults can bring in mappings that the same defaults apply to; both bounds end that. The first
 * counts values that merging copies.
 */
#define MERGED_MAX      2000000U
#define MERGE_DEPTH_MAX YAML_DEPTH_MAX

struct merger {
    struct flow_parser *parser;
    entry_vec entries; /* those of the flow, then those of the server, each in order */
    size_t merged;
    size_t lookups;
    bool gave_up; /* said once */
};

/* Names that a candidate goes by. */
static bool has_prefix(const struct entry *entry, const char *type, const struct plugin *plugin)
{
    if (str_starts(type, entry->type))
        return true;
    if (plugin == NULL)
        return false;
    if (entry->plugin == plugin || str_starts(plugin->id, entry->type))
        return true;
    for (size_t i = 0; plugin->aliases != NULL && plugin->aliases[i] != NULL; i++) {
        if (str_starts(plugin->aliases[i], entry->type))
            return true;
    }
    return false;
}

static bool plugin_has(const struct plugin *plugin, const char *property)
{
    struct prop_tables tables = plugin_tables(plugin);
    for (size_t t = 0; tables.items[t] != NULL; t++) {
        if (prop_find(tables.items[t], property) != NULL)
            return true;
    }
    return (plugin->flags & PLUGIN_OPEN) != 0;
}

static bool has_all(const struct plugin *plugin, const struct value *values)
{
    for (size_t i = 0; i < values->map.count; i++) {
        if (!plugin_has(plugin, values->map.members[i].key))
            return false;
    }
    return true;
}

/* Each type gets only the properties that it has; check_entry() has told about others. */
static const struct value *values_for(struct arena *arena,
                                      const struct entry *entry,
                                      const struct plugin *plugin)
{
    if (plugin == NULL || has_all(plugin, entry->values))
        return entry->values;
    struct value_builder some = value_build(arena);
    for (size_t i = 0; i < entry->values->map.count; i++) {
        const struct value_member *m = &entry->values->map.members[i];
        if (plugin_has(plugin, m->key))
            value_put_at(&some, m->key, m->key_length, m->line, m->column, m->value);
    }
    return value_build_map(&some);
}

static const struct value *at_place_of(struct arena *arena,
                                       const struct value *merged,
                                       const struct value *original)
{
    return merged == original ? merged : value_at(arena, merged, original->line, original->column);
}

static bool count_merge(struct merger *merger, const struct entry *entry, const struct value *map)
{
    merger->merged += entry->size + value_count(map);
    return merger->merged <= MERGED_MAX;
}

/* Entries that give way to what is written: the first one that has a property wins. */
static const struct value *merge_below(struct merger *merger,
                                       const struct value *map,
                                       const char *type,
                                       const struct plugin *plugin,
                                       const char *ref)
{
    struct arena *arena = merger->parser->arena;
    for (size_t i = 0; i < merger->entries.count; i++) {
        const struct entry *entry = &merger->entries.items[i];
        bool applies = ref != NULL ? str_eq(entry->ref, ref)
                                   : !entry->forced && has_prefix(entry, type, plugin);
        if (applies && count_merge(merger, entry, map))
            map = value_merge(arena, values_for(arena, entry, plugin), map, true);
    }
    return map;
}

/* Entries that win over what is written; wider scope last, and within one scope the first last. */
static const struct value *merge_above(struct merger *merger,
                                       const struct value *map,
                                       const char *type,
                                       const struct plugin *plugin)
{
    struct arena *arena = merger->parser->arena;
    for (int scope = 0; scope < 2; scope++) {
        for (size_t i = merger->entries.count; i-- > 0;) {
            const struct entry *entry = &merger->entries.items[i];
            if (entry->forced && entry->is_server == (scope == 1) &&
                has_prefix(entry, type, plugin) && count_merge(merger, entry, map))
                map = value_merge(arena, map, values_for(arena, entry, plugin), true);
        }
    }
    return map;
}

static bool ref_exists(const struct merger *merger, const char *ref)
{
    for (size_t i = 0; i < merger->entries.count; i++) {
        const struct entry *entry = &merger->entries.items[i];
        if (str_eq(entry->ref, ref))
            return true;
    }
    return false;
}

static const struct value *merge_candidate(struct merger *merger,
                                           const struct value *map,
                                           const struct doc_path *path)
{
    const char *type = value_get_text(map, "type", NULL);
    if (type == NULL)
        return map;
    struct flow_parser *parser = merger->parser;
    const struct plugin *plugin =
        parser->scope.plugins == NULL ? NULL : plugin_find(parser->scope.plugins, type);
    const char *ref = value_get_text(map, "pluginDefaultsRef", NULL);
    if (ref != NULL && !ref_exists(merger, ref)) {
        struct diag_list *findings = parser->scope.findings;
        struct diag *diag = diag_add(findings, DIAG_ERROR, DIAG_RULE, "unknown-defaults",
                                     value_get(map, "pluginDefaultsRef"),
                                     doc_path_key(findings->arena, path, "pluginDefaultsRef"),
                                     "no plugin defaults have the ref '%s'", ref);
        diag->api = arena_printf(findings->arena,
                                 "No plugin-defaults exists for pluginDefaultsRef: '%s'", ref);
    }
    const struct value *merged = merge_below(merger, map, type, plugin, ref);
    merged = merge_above(merger, merged, type, plugin);
    return at_place_of(parser->arena, merged, map);
}

static const struct value *merge_tree(struct merger *merger,
                                      const struct value *value,
                                      const struct doc_path *path,
                                      uint32_t depth);

static const struct value *merge_members(struct merger *merger,
                                         const struct value *map,
                                         const struct doc_path *path,
                                         uint32_t depth)
{
    struct arena *arena = merger->parser->arena;
    struct value_builder out = value_build(arena);
    bool changed = false;
    for (size_t i = 0; i < map->map.count; i++) {
        const struct value_member *m = &map->map.members[i];
        struct doc_path at = { .parent = path, .key = m->key };
        const struct value *merged = merge_tree(merger, m->value, &at, depth + 1);
        changed = changed || merged != m->value;
        value_put_at(&out, m->key, m->key_length, m->line, m->column, merged);
    }
    return changed ? value_at(arena, value_build_map(&out), map->line, map->column) : map;
}

static const struct value *merge_items(struct merger *merger,
                                       const struct value *list,
                                       const struct doc_path *path,
                                       uint32_t depth)
{
    struct arena *arena = merger->parser->arena;
    struct value_builder out = value_build(arena);
    bool changed = false;
    for (size_t i = 0; i < list->list.count; i++) {
        struct doc_path at = { .parent = path, .index = i };
        const struct value *merged = merge_tree(merger, list->list.items[i], &at, depth + 1);
        changed = changed || merged != list->list.items[i];
        value_add(&out, merged);
    }
    return changed ? value_at(arena, value_build_list(&out), list->line, list->column) : list;
}

static void give_up(struct merger *merger, const struct value *at)
{
    if (merger->gave_up)
        return;
    merger->gave_up = true;
    struct diag *diag = diag_add(
        merger->parser->scope.findings, DIAG_ERROR, DIAG_RULE, "plugin-default", at,
        "pluginDefaults", "plugin defaults apply to too much, or to what they add, without end");
    diag->api =
        "Invalid Plugin Default: defaults apply to too much, or to what they add, without end";
}

/* Outer objects first, so that what a default adds gets defaults of its own. */
static const struct value *merge_tree(struct merger *merger,
                                      const struct value *value,
                                      const struct doc_path *path,
                                      uint32_t depth)
{
    if (depth > MERGE_DEPTH_MAX || merger->merged > MERGED_MAX) {
        give_up(merger, value);
        return value;
    }
    if (value_is_map(value))
        return merge_members(merger, merge_candidate(merger, value, path), path, depth);
    return value_is_list(value) ? merge_items(merger, value, path, depth) : value;
}

/* ---- entries ---- */

static void entry_finding(struct flow_parser *parser,
                          enum diag_level level,
                          const struct value *at,
                          const struct value_member *key,
                          const struct doc_path *path,
                          const char *message)
{
    struct diag_list *findings = parser->scope.findings;
    struct diag *diag =
        diag_add(findings, level, DIAG_RULE, "plugin-default", at,
                 doc_path_text(findings->arena, path), "plugin default: %s", message);
    diag->api = arena_printf(findings->arena, "Invalid Plugin Default: %s", message);
    diag_point(diag, key);
}

/* Does any type that begins so have the property? *any: is there such a type at all? */
static bool prefix_has(const struct plugin_set *set,
                       const char *prefix,
                       const char *property,
                       bool *any)
{
    size_t count = 0;
    const struct plugin *const *all = plugin_all(set, &count);
    *any = false;
    for (size_t i = 0; i < count; i++) {
        if (!str_starts(all[i]->id, prefix))
            continue;
        *any = true;
        if (plugin_has(all[i], property))
            return true;
    }
    return false;
}

static void check_entry(struct merger *merger,
                        const struct entry *entry,
                        const struct doc_path *path)
{
    struct flow_parser *parser = merger->parser;
    struct arena *arena = parser->scope.findings->arena;
    struct doc_path values_path = { .parent = path, .key = "values" };
    for (size_t i = 0; i < entry->values->map.count && merger->lookups < LOOKUPS_MAX; i++) {
        merger->lookups++;
        const struct value_member *m = &entry->values->map.members[i];
        struct doc_path at = { .parent = &values_path, .key = m->key };
        if (value_is_null(m->value))
            entry_finding(parser, DIAG_ERROR, entry->values, m, &at,
                          arena_printf(arena, "property '%s' has no value", m->key));
        bool any = true;
        if (entry->plugin != NULL && !plugin_has(entry->plugin, m->key) && !parser->scope.lenient)
            entry_finding(
                parser, DIAG_ERROR, entry->values, m, &at,
                arena_printf(arena, "No property '%s' exists in plugin '%s'", m->key, entry->type));
        else if (entry->plugin == NULL && parser->scope.plugins != NULL &&
                 !prefix_has(parser->scope.plugins, entry->type, m->key, &any) && any)
            entry_finding(parser, DIAG_WARNING, entry->values, m, &at,
                          arena_printf(arena, "No property '%s' exists in the plugins '%s…'",
                                       m->key, entry->type));
        if (!any) {
            entry_finding(parser, DIAG_WARNING, entry->values, NULL, path,
                          arena_printf(arena, "no type begins with '%s'", entry->type));
            return;
        }
    }
}

static size_t size_of(const struct value *value)
{
    size_t size = 1;
    for (size_t i = 0; value_is_map(value) && i < value->map.count; i++)
        size += size_of(value->map.members[i].value);
    for (size_t i = 0; value_is_list(value) && i < value->list.count; i++)
        size += size_of(value->list.items[i]);
    return size;
}

static void add_entries(struct merger *merger, const struct value *list, bool is_server)
{
    struct flow_parser *parser = merger->parser;
    struct doc_path path = { .key = "pluginDefaults" };
    for (size_t i = 0; value_is_list(list) && i < list->list.count; i++) {
        const struct value *map = list->list.items[i];
        const char *type = value_get_text(map, "type", NULL);
        const struct value *values = value_get(map, "values");
        if (str_empty(type) || !value_is_map(values))
            continue; // the table has said so
        if (merger->entries.count >= ENTRIES_MAX) {
            flow_too_many(parser, list, &path, "plugin defaults", ENTRIES_MAX);
            return;
        }
        struct entry *entry = VEC_PUSH_ARENA(parser->scope.scratch, &merger->entries);
        *entry = (struct entry){
            .type = type,
            .plugin =
                parser->scope.plugins == NULL ? NULL : plugin_find(parser->scope.plugins, type),
            .values = values,
            .size = size_of(values),
            .ref = value_get_text(map, "ref", NULL),
            .forced = value_get_bool(map, "forced", false),
            .is_server = is_server,
        };
        struct doc_path at = { .parent = &path, .index = i };
        if (!is_server)
            check_entry(merger, entry, &at);
    }
}

static bool uses_refs(const struct flow_parser *parser)
{
    return parser->scope.source != NULL && memmem(parser->scope.source, parser->scope.source_length,
                                                  "pluginDefaultsRef", 17) != NULL;
}

const struct value *flow_apply_defaults(struct flow_parser *parser, const struct value *doc)
{
    struct merger merger = { .parser = parser };
    const struct value *own = value_get(doc, "pluginDefaults");
    add_entries(&merger, value_is_null(own) ? value_get(doc, "taskDefaults") : own, false);
    add_entries(&merger, parser->options->defaults, true);
    if (merger.entries.count == 0 && !uses_refs(parser))
        return doc;

    struct value_builder out = value_build(parser->arena);
    for (size_t i = 0; i < doc->map.count; i++) {
        const struct value_member *m = &doc->map.members[i];
        struct doc_path at = { .key = m->key };
        bool is_free = str_eq(m->key, "pluginDefaults") || str_eq(m->key, "taskDefaults") ||
                       str_eq(m->key, "variables") || str_eq(m->key, "inputs") ||
                       str_eq(m->key, "outputs");
        value_put_at(&out, m->key, m->key_length, m->line, m->column,
                     is_free ? m->value : merge_tree(&merger, m->value, &at, 0));
    }
    return value_at(parser->arena, value_build_map(&out), doc->line, doc->column);
}
