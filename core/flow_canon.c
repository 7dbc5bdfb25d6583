/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flow as JSON (API 3.1), and a digest that is equal for sources that mean the same.
 *
 * Both walk the document as written next to the tasks that were made from it. Members that are
 * null, or that repeat a default that every task or trigger has, are left out. The digest form also
 * uses canonical names of types and properties, and sorts members.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/str.h"
#include "core/flow_internal.h"
#include "core/labels.h"

struct canon {
    struct arena *arena;
    bool for_digest;
};

static const struct value *without_nulls(const struct canon *canon, const struct value *value)
{
    if (value_is_map(value)) {
        struct value_builder out = value_build(canon->arena);
        for (size_t i = 0; i < value->map.count; i++) {
            const struct value_member *m = &value->map.members[i];
            if (!value_is_null(m->value))
                value_put_n(&out, m->key, m->key_length, without_nulls(canon, m->value));
        }
        return value_build_map(&out);
    }
    if (value_is_list(value)) {
        struct value_builder out = value_build(canon->arena);
        for (size_t i = 0; i < value->list.count; i++)
            value_add(&out, without_nulls(canon, value->list.items[i]));
        return value_build_list(&out);
    }
    return value;
}

static const struct value *labels_list(const struct canon *canon, const struct value *labels)
{
    size_t count = 0;
    const struct label *all = labels_of(canon->arena, labels, &count);
    struct value_builder out = value_build(canon->arena);
    if (canon->for_digest) { // their order means nothing
        for (size_t i = 0; i < count; i++)
            value_put_text(&out, all[i].key, all[i].value);
        return value_build_map(&out);
    }
    for (size_t i = 0; i < count; i++) {
        struct value_builder label = value_build(canon->arena);
        value_put_text(&label, "key", all[i].key);
        value_put_text(&label, "value", all[i].value);
        value_add(&out, value_build_map(&label));
    }
    return value_build_list(&out);
}

static bool is_default(const struct canon *canon,
                       const struct prop *prop,
                       const struct value *value)
{
    const struct value *fallback = prop_fallback(prop, canon->arena);
    return fallback != NULL && !value_is_list(value) && !value_is_map(value) &&
           str_eq(prop_text(canon->arena, value), prop_text(canon->arena, fallback));
}

static void put_member(const struct canon *canon,
                       struct value_builder *out,
                       const struct prop *prop,
                       const struct value_member *m,
                       const struct value *value)
{
    if (canon->for_digest && prop != NULL)
        value_put(out, prop->name, value);
    else
        value_put_n(out, m->key, m->key_length, value);
}

static const struct value *canon_task(const struct canon *canon,
                                      const struct value *map,
                                      const struct task *task);

static const struct value *canon_list(const struct canon *canon,
                                      const struct value *items,
                                      const struct task_list *list,
                                      bool is_dag)
{
    if (!value_is_list(items) || list == NULL || items->list.count != list->all_count)
        return without_nulls(canon, items);
    struct value_builder out = value_build(canon->arena);
    for (size_t i = 0; i < items->list.count; i++) {
        const struct value *item = items->list.items[i];
        if (is_dag) {
            const struct value *task = canon_task(canon, value_get(item, "task"), list->all[i]);
            value_add(&out, value_with(canon->arena, without_nulls(canon, item), "task", task));
        } else {
            value_add(&out, canon_task(canon, item, list->all[i]));
        }
    }
    return value_build_list(&out);
}

static const struct task_list *find_list(const struct task_list *lists,
                                         size_t count,
                                         const char *property,
                                         const char *name)
{
    enum task_slot slot = flow_task_slot(property);
    for (size_t i = 0; i < count; i++) {
        if (lists[i].slot == slot && str_eq(lists[i].name, name))
            return &lists[i];
    }
    return NULL;
}

/* A property that holds tasks. */
static const struct value *canon_tasks(const struct canon *canon,
                                       const struct prop *prop,
                                       const struct value *value,
                                       const struct task_list *lists,
                                       size_t count)
{
    const struct task_list *list = find_list(lists, count, prop->name, NULL);
    if (prop->kind == PROP_TASK)
        return list != NULL && list->all_count == 1 ? canon_task(canon, value, list->all[0])
                                                    : without_nulls(canon, value);
    if (prop->kind != PROP_TASK_MAP || !value_is_map(value))
        return canon_list(canon, value, list, prop->kind == PROP_DAG_TASKS);
    struct value_builder out = value_build(canon->arena);
    for (size_t i = 0; i < value->map.count; i++) {
        const struct value_member *m = &value->map.members[i];
        value_put_n(
            &out, m->key, m->key_length,
            canon_list(canon, m->value, find_list(lists, count, prop->name, m->key), false));
    }
    return value_build_map(&out);
}

static bool is_task_kind(const struct prop *prop)
{
    return prop != NULL && prop->kind >= PROP_TASK && prop->kind <= PROP_DAG_TASKS;
}

/* A task or trigger as written, without defaults that all of its role have. */
static const struct value *canon_typed(const struct canon *canon,
                                       const struct value *map,
                                       const struct plugin *plugin,
                                       const struct task_list *lists,
                                       size_t lists_count)
{
    struct prop_tables tables = plugin_tables(plugin);
    struct value_builder out = value_build(canon->arena);
    for (size_t i = 0; i < map->map.count; i++) {
        const struct value_member *m = &map->map.members[i];
        const struct prop *prop = NULL;
        size_t table = 0;
        for (; prop == NULL && tables.items[table] != NULL; table++)
            prop = prop_find(tables.items[table], m->key);
        bool is_common = prop != NULL && table == 1;
        if (value_is_null(m->value) || (is_common && is_default(canon, prop, m->value)))
            continue;
        if (canon->for_digest && strcmp(m->key, "type") == 0)
            value_put_text(&out, "type", plugin->id);
        else if (is_task_kind(prop))
            put_member(canon, &out, prop, m,
                       canon_tasks(canon, prop, m->value, lists, lists_count));
        else
            put_member(canon, &out, prop, m, without_nulls(canon, m->value));
    }
    return value_build_map(&out);
}

static const struct value *canon_task(const struct canon *canon,
                                      const struct value *map,
                                      const struct task *task)
{
    if (!value_is_map(map) || task->type == NULL)
        return without_nulls(canon, map);
    return canon_typed(canon, map, task->type, task->lists, task->lists_count);
}

static const struct value *canon_triggers(const struct canon *canon,
                                          const struct flow *flow,
                                          const struct value *list)
{
    if (!value_is_list(list) || list->list.count != flow->triggers_count)
        return without_nulls(canon, list);
    struct value_builder out = value_build(canon->arena);
    for (size_t i = 0; i < list->list.count; i++)
        value_add(&out, canon_typed(canon, list->list.items[i], flow->triggers[i].type, NULL, 0));
    return value_build_list(&out);
}

static const struct value *canon_listeners(const struct canon *canon,
                                           const struct flow *flow,
                                           const struct value *list)
{
    struct value_builder out = value_build(canon->arena);
    size_t at = 0;
    for (size_t i = 0; value_is_list(list) && i < list->list.count; i++) {
        const struct value *item = without_nulls(canon, list->list.items[i]);
        while (at < flow->lists_count && flow->lists[at].slot != SLOT_LISTENER)
            at++;
        const struct task_list *tasks = at < flow->lists_count ? &flow->lists[at++] : NULL;
        value_add(&out, value_with(canon->arena, item, "tasks",
                                   canon_list(canon, value_get(list->list.items[i], "tasks"), tasks,
                                              false)));
    }
    return value_build_list(&out);
}

/* Inputs always have an id, whatever it was called. */
static const struct value *canon_inputs(const struct canon *canon, const struct value *list)
{
    struct value_builder out = value_build(canon->arena);
    for (size_t i = 0; value_is_list(list) && i < list->list.count; i++) {
        const struct value *input = without_nulls(canon, list->list.items[i]);
        const struct value *name = value_get(input, "name");
        if (name != NULL && value_get(input, "id") == NULL)
            input = value_with(canon->arena, input, "id", name);
        value_add(&out, input);
    }
    return value_build_list(&out);
}

static const struct value *canon_member(const struct canon *canon,
                                        const struct flow *flow,
                                        const struct prop *prop,
                                        const struct value *value)
{
    if (prop->kind == PROP_LABELS)
        return labels_list(canon, value);
    if (prop->kind == PROP_INPUTS)
        return canon_inputs(canon, value);
    if (prop->kind == PROP_TRIGGERS)
        return canon_triggers(canon, flow, value);
    if (strcmp(prop->name, "listeners") == 0)
        return canon_listeners(canon, flow, value);
    if (is_task_kind(prop))
        return canon_tasks(canon, prop, value, flow->lists, flow->lists_count);
    return without_nulls(canon, value);
}

/* Everything but what identifies and numbers the flow, in the order of the table. */
static void put_members(const struct canon *canon,
                        const struct flow *flow,
                        struct value_builder *out)
{
    static const char *const separate[] = { "id",      "namespace", "revision", "disabled",
                                            "deleted", "tenantId",  "updated" };
    for (const struct prop *prop = flow_props; prop->name != NULL; prop++) {
        bool is_separate = false;
        for (size_t i = 0; i < sizeof(separate) / sizeof(separate[0]); i++)
            is_separate = is_separate || strcmp(prop->name, separate[i]) == 0;
        const struct value *value = prop_value(prop, flow->doc);
        if (!is_separate && value != NULL)
            value_put(out, prop->name, canon_member(canon, flow, prop, value));
    }
}

const struct value *flow_to_value(const struct flow *flow, struct arena *arena)
{
    struct canon canon = { .arena = arena };
    struct value_builder out = value_build(arena);
    value_put_text(&out, "id", flow->id);
    value_put_text(&out, "namespace", flow->namespace);
    if (flow->revision > 0)
        value_put_int(&out, "revision", flow->revision);
    value_put_bool(&out, "disabled", flow->disabled);
    value_put_bool(&out, "deleted", flow->deleted);
    put_members(&canon, flow, &out);
    return value_build_map(&out);
}

/* ---- digest ---- */

static int compare_members(const void *left, const void *right)
{
    const struct value_member *const *a = left;
    const struct value_member *const *b = right;
    return strcmp((*a)->key, (*b)->key);
}

static void write_sorted(struct arena *arena, struct buf *out, const struct value *value)
{
    if (value_is_map(value)) {
        size_t count = value->map.count;
        const struct value_member **sorted = ARENA_ARRAY(arena, count, const struct value_member *);
        for (size_t i = 0; i < count; i++)
            sorted[i] = &value->map.members[i];
        qsort(sorted, count, sizeof(sorted[0]), compare_members);
        buf_putc(out, '{');
        for (size_t i = 0; i < count; i++) {
            value_write_json_string(out, sorted[i]->key, sorted[i]->key_length);
            buf_putc(out, ':');
            write_sorted(arena, out, sorted[i]->value);
            buf_putc(out, ',');
        }
        buf_putc(out, '}');
    } else if (value_is_list(value)) {
        buf_putc(out, '[');
        for (size_t i = 0; i < value->list.count; i++) {
            write_sorted(arena, out, value->list.items[i]);
            buf_putc(out, ',');
        }
        buf_putc(out, ']');
    } else if (value_is_string(value)) {
        value_write_json_string(out, value->string.bytes, value->string.length);
    } else {
        // 1.10 and 1.1 are different texts where a text is wanted
        const char *text = prop_text(arena, value);
        buf_puts(out, text == NULL ? "null" : text);
    }
}

const char *flow_digest(const struct flow *flow, struct arena *arena)
{
    struct canon canon = { .arena = arena, .for_digest = true };
    struct value_builder members = value_build(arena);
    value_put_text(&members, "id", flow->id);
    value_put_text(&members, "namespace", flow->namespace);
    value_put_bool(&members, "disabled", flow->disabled);
    put_members(&canon, flow, &members);
    struct buf out = { 0 };
    write_sorted(arena, &out, value_build_map(&members));
    const char *digest = digest_sha256_hex(arena, out.bytes, out.length);
    buf_free(&out);
    return digest;
}
