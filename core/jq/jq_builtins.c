/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions over values. To add one: a row in the table that closes this file, with a C function or
 * with its definition in jq, and a case in tests/unit/test_jq.c.
 */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "core/jq/jq_internal.h"

const struct jq_builtin *jq_builtin_find(const char *name, size_t count)
{
    const struct jq_builtin *const tables[] = { jq_control_builtins, jq_value_builtins,
                                                jq_text_builtins };
    const size_t counts[] = { jq_control_builtins_count, jq_value_builtins_count,
                              jq_text_builtins_count };
    for (size_t t = 0; t < COUNT_OF(tables); t++) {
        for (size_t i = 0; i < counts[t]; i++) {
            if (tables[t][i].count == count && strcmp(tables[t][i].name, name) == 0)
                return &tables[t][i];
        }
    }
    return NULL;
}

/* ---- arguments ---- */

struct each {
    struct jq_call *call;
    const struct value *args[JQ_ARGS_MAX];
    size_t next;
    jq_each_fn *each;
    void *data;
};

static bool next_argument(struct each *each);

static bool argument_emit(void *data, struct jq_item item)
{
    struct each *each = data;
    each->args[each->next++] = item.value;
    bool done = next_argument(each);
    each->next--;
    return done;
}

static bool next_argument(struct each *each)
{
    struct jq_call *call = each->call;
    if (each->next == call->node->count)
        return each->each(call, each->args, each->data);
    return jq_eval(call->jq, call->node->parts[each->next], call->scope, jq_plain(call->in.value),
                   (struct jq_out){ argument_emit, each });
}

bool jq_each(struct jq_call *call, jq_each_fn *each, void *data)
{
    struct each state = {
        .call = call, .args = { &value_null, &value_null, &value_null }, .each = each, .data = data
    };
    CHECK(call->node->count <= JQ_ARGS_MAX);
    return next_argument(&state);
}

static bool give(struct jq_call *call, const struct value *value)
{
    return jq_give(call->out, call->in, value);
}

/* "null has no length" */
static bool has_no(struct jq_call *call, const char *what)
{
    return jq_fail(call->jq, "%s has no %s", jq_type(call->in.value), what);
}

/* ---- kinds ---- */

static bool run_type(struct jq_call *call)
{
    return give(call, value_string(call->jq->arena, jq_type(call->in.value)));
}

static bool run_not(struct jq_call *call)
{
    return give(call, value_bool(!jq_is_true(call->in.value)));
}

static bool is_kind(const struct value *value, const char *kind)
{
    bool is_collection = value->kind == VALUE_LIST || value->kind == VALUE_MAP;
    if (strcmp(kind, "values") == 0)
        return value->kind != VALUE_NULL;
    if (strcmp(kind, "iterables") == 0)
        return is_collection;
    if (strcmp(kind, "scalars") == 0)
        return !is_collection;
    const char *type = jq_type(value);
    return strncmp(type, kind, strlen(type)) == 0 && strcmp(kind + strlen(type), "s") == 0;
}

/* nulls, booleans, numbers, strings, arrays, objects, values, iterables, scalars */
static bool run_select_kind(struct jq_call *call)
{
    return !is_kind(call->in.value, call->node->name) || call->out.emit(call->out.data, call->in);
}

static bool run_length(struct jq_call *call)
{
    const struct value *value = call->in.value;
    double number = 0;
    size_t count = value_count(value);
    if (value->kind == VALUE_BOOL)
        return has_no(call, "length");
    if (value_to_double(value, &number))
        return give(call, jq_number(call->jq, fabs(number)));
    for (size_t i = 0; value->kind == VALUE_STRING && i < value->string.length; i++)
        count += ((unsigned char)value->string.bytes[i] & 0xc0U) != 0x80U;
    return give(call, value_int(call->jq->arena, (int64_t)count));
}

static bool keys_of(struct jq_call *call, bool sorted)
{
    const struct value *value = call->in.value;
    if (value->kind == VALUE_MAP)
        return give(call, jq_keys(call->jq, value, sorted));
    if (value->kind != VALUE_LIST)
        return has_no(call, "keys");
    struct value_builder builder = value_build(call->jq->arena);
    for (size_t i = 0; i < value->list.count; i++)
        value_add(&builder, value_int(call->jq->arena, (int64_t)i));
    return give(call, value_build_list(&builder));
}

static bool run_keys(struct jq_call *call)
{
    return keys_of(call, true);
}

static bool run_keys_unsorted(struct jq_call *call)
{
    return keys_of(call, false);
}

static bool has_each(struct jq_call *call, const struct value *const *args, void *data)
{
    const struct value *value = call->in.value;
    double index = 0;
    (void)data;
    if (value->kind == VALUE_MAP && args[0]->kind == VALUE_STRING)
        return give(call, value_bool(value_get_n(value, args[0]->string.bytes,
                                                 args[0]->string.length) != NULL));
    if (value->kind == VALUE_LIST && value_to_double(args[0], &index))
        return give(call, value_bool(index >= 0 && index < (double)value->list.count));
    return jq_fail(call->jq, "Cannot check whether %s has a %s key", jq_type(value),
                   jq_type(args[0]));
}

static bool run_has(struct jq_call *call)
{
    return jq_each(call, has_each, NULL);
}

/* Recursive; the measured operands bound the depth. */
static bool contains(struct jq *jq, const struct value *a, const struct value *b, bool *answer)
{
    int order = 0;
    *answer = false;
    if (!jq_charge(jq, 1))
        return false;
    if (a->kind == VALUE_MAP && b->kind == VALUE_MAP) {
        *answer = true;
        for (size_t i = 0; i < b->map.count && *answer; i++) {
            const struct value_member *m = &b->map.members[i];
            const struct value *other = value_get_n(a, m->key, m->key_length);
            if (other == NULL)
                *answer = false;
            else if (!contains(jq, other, m->value, answer))
                return false;
        }
        return true;
    }
    if (a->kind == VALUE_LIST && b->kind == VALUE_LIST) {
        *answer = true;
        for (size_t i = 0; i < b->list.count && *answer; i++) {
            *answer = false;
            for (size_t j = 0; j < a->list.count && !*answer; j++) {
                if (!contains(jq, a->list.items[j], b->list.items[i], answer))
                    return false;
            }
        }
        return true;
    }
    if (a->kind == VALUE_STRING && b->kind == VALUE_STRING) {
        *answer =
            memmem(a->string.bytes, a->string.length, b->string.bytes, b->string.length) != NULL;
        return jq_charge(jq, a->string.length / 256);
    }
    if (strcmp(jq_type(a), jq_type(b)) != 0)
        return true; // inside of lists and maps this is no mistake
    if (!jq_compare(jq, a, b, &order))
        return false;
    *answer = order == 0;
    return true;
}

static bool contains_each(struct jq_call *call, const struct value *const *args, void *data)
{
    bool answer = false;
    (void)data;
    if (strcmp(jq_type(call->in.value), jq_type(args[0])) != 0)
        return jq_fail(call->jq, "%s and %s cannot have their containment checked",
                       jq_type(call->in.value), jq_type(args[0]));
    return jq_measure(call->jq, call->in.value) && jq_measure(call->jq, args[0]) &&
           contains(call->jq, call->in.value, args[0], &answer) && give(call, value_bool(answer));
}

static bool run_contains(struct jq_call *call)
{
    return jq_each(call, contains_each, NULL);
}

/* ---- lists ---- */

static bool run_map(struct jq_call *call)
{
    struct value_builder builder = value_build(call->jq->arena);
    const struct value *value = call->in.value;
    if (value->kind != VALUE_LIST && value->kind != VALUE_MAP)
        return jq_fail(call->jq, "Cannot iterate over %s", jq_type(value));
    for (size_t i = 0; i < value_count(value); i++) {
        const struct value *item =
            value->kind == VALUE_LIST ? value->list.items[i] : value->map.members[i].value;
        const struct value *results = jq_collect(call->jq, call->node->parts[0], call->scope, item);
        if (results == NULL)
            return false;
        for (size_t j = 0; j < results->list.count; j++)
            value_add(&builder, results->list.items[j]);
    }
    return give(call, value_build_list(&builder));
}

static bool select_emit(void *data, struct jq_item item)
{
    struct jq_call *call = data;
    return !jq_is_true(item.value) || call->out.emit(call->out.data, call->in);
}

static bool run_select(struct jq_call *call)
{
    return jq_eval(call->jq, call->node->parts[0], call->scope, jq_plain(call->in.value),
                   (struct jq_out){ select_emit, call });
}

static bool run_add(struct jq_call *call)
{
    const struct value *value = call->in.value;
    const struct value *sum = &value_null;
    struct value_builder lists = value_build(call->jq->arena);
    bool all_lists = value_count(value) > 0;
    if (value->kind != VALUE_LIST && value->kind != VALUE_MAP)
        return jq_fail(call->jq, "Cannot iterate over %s", jq_type(value));
    for (size_t i = 0; i < value_count(value) && sum != NULL; i++) {
        const struct value *item =
            value->kind == VALUE_LIST ? value->list.items[i] : value->map.members[i].value;
        all_lists = all_lists && item->kind == VALUE_LIST;
        if (!all_lists && lists.items_count > 0)
            sum = value_build_list(&lists); // was faster, but ends here
        lists.items_count = all_lists ? lists.items_count : 0;
        for (size_t j = 0; all_lists && j < item->list.count; j++)
            value_add(&lists, item->list.items[j]);
        if (!jq_charge(call->jq, 1 + (all_lists ? item->list.count / 8 : 0)))
            return false;
        if (!all_lists)
            sum = jq_calculate(call->jq, JQ_ADD, sum, item);
    }
    return give(call, all_lists ? value_build_list(&lists) : sum);
}

static bool flatten(
    struct jq *jq, const struct value *list, double depth, unsigned nest, struct value_builder *out)
{
    if (nest > JQ_NEST_MAX * 2)
        return jq_fail(jq, "the list is nested too deeply");
    if (!jq_charge(jq, list->list.count + 1))
        return false;
    for (size_t i = 0; i < list->list.count; i++) {
        const struct value *item = list->list.items[i];
        if (item->kind != VALUE_LIST || depth < 1)
            value_add(out, item);
        else if (!flatten(jq, item, depth - 1, nest + 1, out))
            return false;
    }
    return true;
}

static bool flatten_each(struct jq_call *call, const struct value *const *args, void *data)
{
    struct value_builder builder = value_build(call->jq->arena);
    const struct value *value = call->in.value;
    double depth = 1e9;
    (void)data;
    if (call->node->count == 1 && !value_to_double(args[0], &depth))
        return jq_fail(call->jq, "flatten depth must be a number");
    if (depth < 0)
        return jq_fail(call->jq, "flatten depth must not be negative");
    value = jq_members(call->jq, value);
    if (value->kind != VALUE_LIST)
        return jq_fail(call->jq, "Cannot iterate over %s", jq_type(value));
    return flatten(call->jq, value, depth, 0, &builder) && give(call, value_build_list(&builder));
}

static bool run_flatten(struct jq_call *call)
{
    return jq_each(call, flatten_each, NULL);
}

static bool run_reverse(struct jq_call *call)
{
    struct value_builder builder = value_build(call->jq->arena);
    const struct value *value = call->in.value;
    if (value->kind == VALUE_NULL || (value->kind == VALUE_MAP && value->map.count == 0))
        return give(call, &value_empty_list);
    if (value->kind != VALUE_LIST)
        return jq_fail(call->jq, "Cannot reverse %s", jq_type(value));
    for (size_t i = value->list.count; i-- > 0;)
        value_add(&builder, value->list.items[i]);
    return jq_charge(call->jq, value->list.count / 8) && give(call, value_build_list(&builder));
}

/* The keys to order the input by: its elements, or for each all results of the argument. */
static bool ordered(struct jq_call *call, const struct value **keys)
{
    const struct value *list = call->in.value;
    struct value_builder by = value_build(call->jq->arena);
    if (list->kind != VALUE_LIST)
        return jq_fail(call->jq, "%s cannot be sorted, as it is not an array", jq_type(list));
    *keys = list;
    if (call->node->count == 0)
        return true;
    for (size_t i = 0; i < list->list.count; i++) {
        const struct value *key =
            jq_collect(call->jq, call->node->parts[0], call->scope, list->list.items[i]);
        if (key == NULL)
            return false;
        value_add(&by, key);
    }
    *keys = value_build_list(&by);
    return true;
}

static bool run_sort(struct jq_call *call)
{
    const struct value *items = call->in.value;
    const struct value *keys = items;
    return ordered(call, &keys) && give(call, jq_sorted(call->jq, items, keys, NULL));
}

/* Runs of equal keys: lists of their elements, or the first of each. */
static bool grouped(struct jq_call *call, bool first_only)
{
    const struct value *items = call->in.value;
    const struct value *keys = items;
    struct value_builder groups = value_build(call->jq->arena);
    if (!ordered(call, &keys))
        return false;
    items = jq_sorted(call->jq, items, keys, &keys);
    if (items == NULL)
        return false;
    for (size_t i = 0; i < items->list.count;) {
        size_t end = i + 1;
        int order = 0;
        while (end < items->list.count) {
            if (!jq_compare(call->jq, keys->list.items[i], keys->list.items[end], &order))
                return false;
            if (order != 0)
                break;
            end++;
        }
        value_add(&groups, first_only
                               ? items->list.items[i]
                               : value_list(call->jq->arena, items->list.items + i, end - i));
        i = end;
    }
    return give(call, value_build_list(&groups));
}

static bool run_group(struct jq_call *call)
{
    return grouped(call, false);
}

static bool run_unique(struct jq_call *call)
{
    return grouped(call, true);
}

static bool extreme(struct jq_call *call, bool largest)
{
    const struct value *items = call->in.value;
    const struct value *keys = items;
    if (!ordered(call, &keys))
        return false;
    size_t best = 0;
    for (size_t i = 1; i < items->list.count; i++) {
        int order = 0;
        if (!jq_compare(call->jq, keys->list.items[i], keys->list.items[best], &order))
            return false;
        if (largest ? order >= 0 : order < 0)
            best = i;
    }
    return give(call, items->list.count == 0 ? &value_null : items->list.items[best]);
}

static bool run_min(struct jq_call *call)
{
    return extreme(call, false);
}

static bool run_max(struct jq_call *call)
{
    return extreme(call, true);
}

static bool run_to_entries(struct jq_call *call)
{
    struct arena *arena = call->jq->arena;
    struct value_builder entries = value_build(arena);
    const struct value *map = call->in.value;
    if (map->kind != VALUE_MAP && map->kind != VALUE_LIST)
        return has_no(call, "keys");
    for (size_t i = 0; map->kind == VALUE_LIST && i < map->list.count; i++) {
        struct value_builder entry = value_build(arena);
        value_put_int(&entry, "key", (int64_t)i);
        value_put(&entry, "value", map->list.items[i]);
        value_add(&entries, value_build_map(&entry));
    }
    for (size_t i = 0; map->kind == VALUE_MAP && i < map->map.count; i++) {
        const struct value_member *m = &map->map.members[i];
        struct value_builder entry = value_build(arena);
        value_put(&entry, "key", value_string_ref(arena, m->key, m->key_length));
        value_put(&entry, "value", m->value);
        value_add(&entries, value_build_map(&entry));
    }
    return jq_charge(call->jq, value_count(map)) && give(call, value_build_list(&entries));
}

/* ---- paths ---- */

static bool path_emit(void *data, struct jq_item item)
{
    struct jq_call *call = data;
    if (item.path == &jq_no_path && jq_step(call->jq, item, &value_null) == NULL)
        return false;
    return give(call, jq_path_list(call->jq, item.path));
}

static bool run_path(struct jq_call *call)
{
    struct jq_item in = { call->in.value, &jq_root_path };
    return jq_eval(call->jq, call->node->parts[0], call->scope, in,
                   (struct jq_out){ path_emit, call });
}

static bool getpath_each(struct jq_call *call, const struct value *const *args, void *data)
{
    struct jq_item item = call->in;
    (void)data;
    if (args[0]->kind != VALUE_LIST)
        return jq_fail(call->jq, "Path must be specified as an array");
    for (size_t i = 0; item.path != NULL && i < args[0]->list.count; i++) {
        item.path = jq_step(call->jq, item, args[0]->list.items[i]);
        if (item.path == NULL)
            return false;
    }
    item.value = jq_get_path(call->jq, call->in.value, args[0]);
    return item.value != NULL && call->out.emit(call->out.data, item);
}

static bool run_getpath(struct jq_call *call)
{
    return jq_each(call, getpath_each, NULL);
}

static bool setpath_each(struct jq_call *call, const struct value *const *args, void *data)
{
    (void)data;
    if (args[0]->kind != VALUE_LIST)
        return jq_fail(call->jq, "Path must be specified as an array");
    return give(call, jq_set_path(call->jq, call->in.value, args[0], args[1]));
}

static bool run_setpath(struct jq_call *call)
{
    return jq_each(call, setpath_each, NULL);
}

static bool delpaths_each(struct jq_call *call, const struct value *const *args, void *data)
{
    (void)data;
    if (args[0]->kind != VALUE_LIST)
        return jq_fail(call->jq, "Paths must be specified as an array");
    return give(call, jq_delete_paths(call->jq, call->in.value, args[0]));
}

static bool run_delpaths(struct jq_call *call)
{
    return jq_each(call, delpaths_each, NULL);
}

static bool run_del(struct jq_call *call)
{
    const struct value *paths =
        jq_collect_paths(call->jq, call->node->parts[0], call->scope, call->in.value);
    return paths != NULL && give(call, jq_delete_paths(call->jq, call->in.value, paths));
}

/* ---- numbers ---- */

static const struct {
    const char *name;
    double (*run)(double number);
} functions_of_one[] = {
    { "floor", floor }, { "ceil", ceil },   { "round", round }, { "trunc", trunc },
    { "sqrt", sqrt },   { "cbrt", cbrt },   { "fabs", fabs },   { "exp", exp },
    { "exp2", exp2 },   { "exp10", exp10 }, { "log", log },     { "log2", log2 },
    { "log10", log10 }, { "sin", sin },     { "cos", cos },     { "tan", tan },
    { "asin", asin },   { "acos", acos },   { "atan", atan },   { "sinh", sinh },
    { "cosh", cosh },   { "tanh", tanh },   { "rint", rint },   { "significand", significand },
};

static const struct {
    const char *name;
    double (*run)(double a, double b);
} functions_of_two[] = {
    { "pow", pow }, { "atan2", atan2 }, { "fmin", fmin }, { "fmax", fmax }, { "fmod", fmod },
};

static bool run_math(struct jq_call *call)
{
    double number = 0;
    if (!value_to_double(call->in.value, &number))
        return jq_fail(call->jq, "%s number required", jq_type(call->in.value));
    for (size_t i = 0; i < COUNT_OF(functions_of_one); i++) {
        if (strcmp(functions_of_one[i].name, call->node->name) == 0)
            return give(call, jq_number(call->jq, functions_of_one[i].run(number)));
    }
    return false;
}

static bool math_each(struct jq_call *call, const struct value *const *args, void *data)
{
    double a = 0;
    double b = 0;
    (void)data;
    if (!value_to_double(args[0], &a) || !value_to_double(args[1], &b))
        return jq_fail(call->jq, "number required");
    for (size_t i = 0; i < COUNT_OF(functions_of_two); i++) {
        if (strcmp(functions_of_two[i].name, call->node->name) == 0)
            return give(call, jq_number(call->jq, functions_of_two[i].run(a, b)));
    }
    return false;
}

static bool run_math_two(struct jq_call *call)
{
    return jq_each(call, math_each, NULL);
}

static bool run_infinite(struct jq_call *call)
{
    return give(call, value_double(call->jq->arena, INFINITY));
}

static bool run_nan(struct jq_call *call)
{
    return give(call, value_double(call->jq->arena, NAN));
}

/* isinfinite, isnan, isnormal */
static bool run_classify(struct jq_call *call)
{
    double number = 0;
    const char *name = call->node->name;
    if (!value_to_double(call->in.value, &number))
        return jq_fail(call->jq, "%s number required", jq_type(call->in.value));
    bool answer = strcmp(name, "isnan") == 0        ? isnan(number)
                  : strcmp(name, "isinfinite") == 0 ? isinf(number)
                                                    : isnormal(number);
    return give(call, value_bool(answer));
}

static bool run_now(struct jq_call *call)
{
    return give(call, value_double(call->jq->arena, (double)call->jq->budget->now / 1e6));
}

#define SOURCE(name, count, text)                                                                  \
    {                                                                                              \
        name, count, NULL, text                                                                    \
    }
#define MATH(name)                                                                                 \
    {                                                                                              \
        name, 0, run_math, NULL                                                                    \
    }

const struct jq_builtin jq_value_builtins[] = {
    { "add", 0, run_add, NULL },
    { "contains", 1, run_contains, NULL },
    { "del", 1, run_del, NULL },
    { "delpaths", 1, run_delpaths, NULL },
    { "flatten", 0, run_flatten, NULL },
    { "flatten", 1, run_flatten, NULL },
    { "getpath", 1, run_getpath, NULL },
    { "group_by", 1, run_group, NULL },
    { "has", 1, run_has, NULL },
    { "infinite", 0, run_infinite, NULL },
    { "isinfinite", 0, run_classify, NULL },
    { "isnan", 0, run_classify, NULL },
    { "isnormal", 0, run_classify, NULL },
    { "keys", 0, run_keys, NULL },
    { "keys_unsorted", 0, run_keys_unsorted, NULL },
    { "length", 0, run_length, NULL },
    { "map", 1, run_map, NULL },
    { "max", 0, run_max, NULL },
    { "max_by", 1, run_max, NULL },
    { "min", 0, run_min, NULL },
    { "min_by", 1, run_min, NULL },
    { "nan", 0, run_nan, NULL },
    { "not", 0, run_not, NULL },
    { "now", 0, run_now, NULL },
    { "path", 1, run_path, NULL },
    { "reverse", 0, run_reverse, NULL },
    { "select", 1, run_select, NULL },
    { "setpath", 2, run_setpath, NULL },
    { "sort", 0, run_sort, NULL },
    { "sort_by", 1, run_sort, NULL },
    { "to_entries", 0, run_to_entries, NULL },
    { "type", 0, run_type, NULL },
    { "unique", 0, run_unique, NULL },
    { "unique_by", 1, run_unique, NULL },
    { "arrays", 0, run_select_kind, NULL },
    { "booleans", 0, run_select_kind, NULL },
    { "iterables", 0, run_select_kind, NULL },
    { "nulls", 0, run_select_kind, NULL },
    { "numbers", 0, run_select_kind, NULL },
    { "objects", 0, run_select_kind, NULL },
    { "scalars", 0, run_select_kind, NULL },
    { "strings", 0, run_select_kind, NULL },
    { "values", 0, run_select_kind, NULL },
    MATH("acos"),
    MATH("asin"),
    MATH("atan"),
    MATH("cbrt"),
    MATH("ceil"),
    MATH("cos"),
    MATH("cosh"),
    MATH("exp"),
    MATH("exp10"),
    MATH("exp2"),
    MATH("fabs"),
    MATH("floor"),
    MATH("log"),
    MATH("log10"),
    MATH("log2"),
    MATH("rint"),
    MATH("round"),
    MATH("significand"),
    MATH("sin"),
    MATH("sinh"),
    MATH("sqrt"),
    MATH("tan"),
    MATH("tanh"),
    MATH("trunc"),
    { "atan2", 2, run_math_two, NULL },
    { "fmax", 2, run_math_two, NULL },
    { "fmin", 2, run_math_two, NULL },
    { "fmod", 2, run_math_two, NULL },
    { "pow", 2, run_math_two, NULL },
    SOURCE("INDEX", 1, "def INDEX(f): INDEX(.[]; f);"),
    SOURCE("INDEX",
           2,
           "def INDEX(stream; f): reduce stream as $row ({}; .[$row | f | tostring] |= $row);"),
    SOURCE("add", 1, "def add(f): reduce f as $x (null; . + $x);"),
    SOURCE("combinations",
           0,
           "def combinations: if length == 0 then [] else .[0][] as $x"
           " | (.[1:] | combinations) as $w | [$x] + $w end;"),
    SOURCE("combinations",
           1,
           "def combinations(n): . as $dot | [range(n)] | map($dot) | combinations;"),
    SOURCE("finites", 0, "def finites: select(isinfinite or isnan | not);"),
    SOURCE("first", 0, "def first: .[0];"),
    SOURCE("from_entries",
           0,
           "def from_entries: reduce .[] as $e ({}; . + {"
           "($e | if has(\"key\") then .key elif has(\"k\") then .k"
           " elif has(\"name\") then .name elif has(\"Name\") then .Name"
           " elif has(\"Key\") then .Key else .K end"
           " | if type == \"string\" then . else tojson end):"
           "($e | if has(\"value\") then .value elif has(\"v\") then .v"
           " elif has(\"Value\") then .Value else .V end)});"),
    SOURCE("fromstream",
           1,
           "def fromstream(f): {x: null, e: false} as $init | foreach f as $i ($init;"
           " if .e then $init else . end | if $i | length == 2 then"
           " setpath([\"e\"]; $i[0] | length == 0) | setpath([\"x\"] + $i[0]; $i[1])"
           " else setpath([\"e\"]; $i[0] | length == 1) end; if .e then .x else empty end);"),
    SOURCE("in", 1, "def in(xs): . as $x | xs | has($x);"),
    SOURCE("inside", 1, "def inside(xs): . as $x | xs | contains($x);"),
    SOURCE("last", 0, "def last: .[-1];"),
    SOURCE("leaf_paths", 0, "def leaf_paths: paths(scalars);"),
    SOURCE("map_values", 1, "def map_values(f): .[] |= f;"),
    SOURCE("normals", 0, "def normals: select(isnormal);"),
    SOURCE("nth",
           2,
           "def nth($n; f): if $n < 0 then error(\"nth doesn't support negative indices\")"
           " else last(limit($n + 1; f)) end;"),
    SOURCE("paths", 0, "def paths: path(..) | select(length > 0);"),
    SOURCE("paths",
           1,
           "def paths(f): . as $dot | paths"
           " | select(. as $p | $dot | getpath($p) | f);"),
    SOURCE("toarray", 0, "def toarray: if type == \"array\" then . else [.] end;"),
    SOURCE("tostream",
           0,
           "def tostream: path(def r: (.[]? | r), .; r) as $p | getpath($p)"
           " | reduce path(.[]?) as $q ([$p, .]; [$p + $q]);"),
    SOURCE("transpose",
           0,
           "def transpose: if . == [] then [] else . as $in | (map(length) | max) as $max"
           " | [range(0; $max) as $j | [range(0; $in | length) as $i | $in[$i][$j]]] end;"),
    SOURCE("truncate_stream",
           1,
           "def truncate_stream(stream): . as $n | null | stream | . as $input"
           " | if (.[0] | length) > $n then setpath([0]; .[0][$n:]) else empty end;"),
    SOURCE("walk",
           1,
           "def walk(f): def w: if type == \"object\" then"
           " . as $in | reduce keys_unsorted[] as $k ({}; . + {($k): ($in[$k] | w)})"
           " elif type == \"array\" then map(w) else . end | f; w;"),
    SOURCE("with_entries", 1, "def with_entries(f): to_entries | map(f) | from_entries;"),
};

const size_t jq_value_builtins_count = COUNT_OF(jq_value_builtins);
