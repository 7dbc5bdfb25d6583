/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/field_diff.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "core/value.h"
#include "core/yaml.h"
#include "reconciler/text_diff.h"

/* Deeper values are compared as a whole; the parser refuses flows that are deeper. */
#define DEPTH_MAX 400U

struct differ {
    struct arena *arena;
    struct field_list *out;
    unsigned depth;
};

/* A copy for the plan; big ones are replaced by what can be said about them. */
static const struct value *kept(struct arena *arena, const struct value *value)
{
    if (value == NULL)
        return NULL;
    if (value->kind == VALUE_STRING && value->string.length <= PLAN_FIELD_BYTES_MAX)
        return value_copy(arena, value);
    struct buf text = { 0 };
    value_write_json_full(&text, value);
    const struct value *copy = NULL;
    if (text.length <= PLAN_FIELD_BYTES_MAX) {
        copy = value_copy(arena, value);
    } else {
        size_t cut = PLAN_FIELD_BYTES_MAX;
        while (cut > 0 && ((unsigned char)text.bytes[cut] & 0xc0) == 0x80)
            cut--;
        copy = value_string(arena, arena_printf(arena, "%.*s…", (int)cut, text.bytes));
    }
    buf_free(&text);
    return copy;
}

static void add(struct differ *differ,
                const char *path,
                const struct value *before,
                const struct value *after)
{
    if (differ->out->all.count >= PLAN_FIELDS_MAX) {
        differ->out->more++;
        return;
    }
    struct field_change *change = VEC_PUSH_ARENA(differ->arena, &differ->out->all);
    *change = (struct field_change){
        .path = path,
        .before = kept(differ->arena, before),
        .after = kept(differ->arena, after),
    };
    const char *a = value_cstr(before);
    const char *b = value_cstr(after);
    if (before != NULL && after != NULL && a != NULL && b != NULL &&
        (strchr(a, '\n') != NULL || strchr(b, '\n') != NULL)) {
        struct text_stat stat = text_diff_stat(a, before->string.length, b, after->string.length);
        change->added = stat.added;
        change->removed = stat.removed;
    }
}

/* "tasks" + "extract" = "tasks.extract"; names that hold other characters are quoted. */
static const char *join(struct arena *arena, const char *path, const char *name)
{
    bool is_plain = *name != '\0' && strpbrk(name, ". []\"'\t\n") == NULL;
    if (!is_plain)
        return arena_printf(arena, "%s[\"%s\"]", path, name);
    return *path == '\0' ? arena_strdup(arena, name) : arena_printf(arena, "%s.%s", path, name);
}

/* What identifies an item of a list; NULL when nothing does. */
static const char *identity(const struct value *item)
{
    const char *id = value_get_text(item, "id", NULL);
    if (id == NULL)
        id = value_get_text(value_get(item, "task"), "id", NULL); // of a Dag
    return id;
}

/* Do all items have ids, each its own? */
static bool has_identities(const struct value *list)
{
    for (size_t i = 0; i < value_count(list); i++) {
        const char *id = identity(value_item(list, i));
        if (id == NULL)
            return false;
        for (size_t j = 0; j < i && i < 64; j++) // duplicates are findings, and rare
            if (str_eq(id, identity(value_item(list, j))))
                return false;
    }
    return value_count(list) > 0;
}

static const struct value *find_item(const struct value *list, const char *id, size_t hint)
{
    const struct value *same = value_item(list, hint);
    if (same != NULL && str_eq(identity(same), id))
        return same; // in place, as nearly always
    for (size_t i = 0; i < value_count(list); i++)
        if (str_eq(identity(value_item(list, i)), id))
            return value_item(list, i);
    return NULL;
}

/* Ids of the items that the other list has too, in order. */
static const struct value *common_order(struct arena *arena,
                                        const struct value *list,
                                        const struct value *other)
{
    struct value_builder builder = value_build(arena);
    for (size_t i = 0; i < value_count(list); i++) {
        const char *id = identity(value_item(list, i));
        if (find_item(other, id, i) != NULL)
            value_add(&builder, value_string(arena, id));
    }
    return value_build_list(&builder);
}

static void compare(struct differ *differ,
                    const struct value *before,
                    const struct value *after,
                    const char *path);

static void compare_by_id(struct differ *differ,
                          const struct value *before,
                          const struct value *after,
                          const char *path)
{
    struct arena *arena = differ->arena;
    for (size_t i = 0; i < value_count(before); i++) {
        const struct value *item = value_item(before, i);
        const char *id = identity(item);
        compare(differ, item, find_item(after, id, i), join(arena, path, id));
    }
    for (size_t i = 0; i < value_count(after); i++) {
        const struct value *item = value_item(after, i);
        const char *id = identity(item);
        if (find_item(before, id, i) == NULL)
            add(differ, join(arena, path, id), NULL, item);
    }
    const struct value *order_before = common_order(arena, before, after);
    const struct value *order_after = common_order(arena, after, before);
    if (!value_equal(order_before, order_after))
        add(differ, path, order_before, order_after);
}

static void compare_maps(struct differ *differ,
                         const struct value *before,
                         const struct value *after,
                         const char *path)
{
    for (uint32_t i = 0; i < before->map.count; i++) {
        const struct value_member *member = &before->map.members[i];
        compare(differ, member->value, value_get_n(after, member->key, member->key_length),
                join(differ->arena, path, member->key));
    }
    for (uint32_t i = 0; i < after->map.count; i++) {
        const struct value_member *member = &after->map.members[i];
        if (value_get_n(before, member->key, member->key_length) == NULL)
            add(differ, join(differ->arena, path, member->key), NULL, member->value);
    }
}

static void compare(struct differ *differ,
                    const struct value *before,
                    const struct value *after,
                    const char *path)
{
    if (before == after || (before != NULL && after != NULL && before->kind == after->kind &&
                            value_equal(before, after)))
        return;
    if (before == NULL || after == NULL || differ->depth >= DEPTH_MAX) {
        add(differ, path, before, after);
        return;
    }
    differ->depth++;
    if (value_is_map(before) && value_is_map(after))
        compare_maps(differ, before, after, path);
    else if (value_is_list(before) && value_is_list(after) &&
             (has_identities(before) || value_count(before) == 0) &&
             (has_identities(after) || value_count(after) == 0))
        compare_by_id(differ, before, after, path);
    else
        add(differ, path, before, after);
    differ->depth--;
}

void field_diff(struct arena *arena,
                const struct value *before,
                const struct value *after,
                const char *path,
                struct field_list *out)
{
    struct differ differ = { .arena = arena, .out = out };
    compare(&differ, before, after, path);
}

const struct value *flow_document(struct arena *arena,
                                  const char *namespace,
                                  const char *text,
                                  size_t length)
{
    struct error ignored = { 0 };
    const struct value *doc = yaml_parse_first(arena, text, length, NULL, &ignored);
    if (doc == NULL)
        return value_string_n(arena, text, length);
    if (!value_is_map(doc) || value_get(doc, "namespace") != NULL)
        return doc;
    return value_with(arena, doc, "namespace", value_string(arena, namespace));
}
