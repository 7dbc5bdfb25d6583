/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "core/diag.h"
#include "core/expr/expr.h"
#include "core/plugin.h"
#include "core/prop.h"
#include "core/value.h"
#include "core/yaml.h"
#include "tests/support/test.h"

struct inner {
    int64_t count;
    usec_t wait;
};

struct props {
    const char *text;
    int64_t number;
    double factor;
    bool flag;
    usec_t delay;
    usec_t at;
    int level;
    int64_t size;
    const struct value *any;
    const struct value *list;
    const struct value *map;
    const struct value *strings;
    struct inner inner;
};

static const char *const level_words[] = { "LOW", "HIGH", NULL };

static const struct prop inner_props[] = {
    { "count", INT(struct inner, count), .fallback = "3" },
    { "wait", DURATION(struct inner, wait) },
    { 0 },
};

static const struct prop props[] = {
    { "text", STR(struct props, text), .flags = PROP_REQUIRED | PROP_EXPR },
    { "number", INT(struct props, number), .fallback = "7", .min = 1, .max = 100 },
    { "factor", DOUBLE(struct props, factor), .fallback = "0.5" },
    { "flag", BOOL(struct props, flag), .fallback = "true" },
    { "delay", DURATION(struct props, delay), .flags = PROP_EXPR, .alias = "pause" },
    { "at", INSTANT(struct props, at) },
    { "level", ENUM(struct props, level), .words = level_words, .fallback = "HIGH" },
    { "dynamicLevel", .kind = PROP_ENUM, .offset = offsetof(struct props, level),
      .flags = PROP_EXPR, .words = level_words, .fallback = "HIGH" },
    { "size", BYTES(struct props, size), .fallback = "1KB" },
    { "any", ANY(struct props, any) },
    { "list", LIST(struct props, list), .item = PROP_INT, .flags = PROP_NOT_EMPTY },
    { "map", MAP(struct props, map), .item = PROP_STRING, .fallback = "{}" },
    { "strings", STRINGS(struct props, strings), .item = PROP_STRING },
    { "inner", OBJECT(struct props, inner, inner_props) },
    { "old", .kind = PROP_BOOL, .flags = PROP_DEPRECATED },
    { "secret", .kind = PROP_STRING, .flags = PROP_SECRET | PROP_EXPR },
    { "ignored", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { 0 },
};

static const struct prop *const tables[] = { props, NULL };

static const struct value *parse(struct arena *arena, const char *text)
{
    struct error err = { 0 };
    const struct value *value = yaml_parse(arena, text, strlen(text), NULL, &err);
    if (value == NULL)
        fail_msg("%s: %s", text, err.text);
    return value;
}

static struct diag_list check(struct arena *arena, const char *text)
{
    struct diag_list list = diag_list_new(arena, "f");
    prop_check(tables, NULL, parse(arena, text), "tasks[0]", "task type 'a.B'", &list);
    return list;
}

static void expect_finding(const char *text,
                           enum diag_level level,
                           const char *code,
                           const char *path,
                           const char *api,
                           uint32_t line,
                           uint32_t column)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = check(arena, text);
    if (list.all.count != 1)
        fail_msg("%s\ngives %zu findings, first: %s", text, list.all.count,
                 list.all.count == 0 ? "" : list.all.items[0].message);
    const struct diag *diag = &list.all.items[0];
    const char *shown = diag->api == NULL ? diag->message : diag->api;
    if (diag->level != level || strcmp(diag->code, code) != 0 || strcmp(diag->path, path) != 0 ||
        strstr(shown, api) == NULL || diag->line != line || diag->column != column)
        fail_msg("%s\ngives %s %s at '%s' %u:%u: %s", text, diag_level_name(diag->level),
                 diag->code, diag->path, diag->line, diag->column, shown);
}

static void prop_check_accepts_what_the_table_says(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{text: a}",
        "{text: 5, number: '12', factor: 1, flag: 'true', delay: 60, at: 2026-01-01T00:00:00Z}",
        "{text: a, delay: PT1M, level: LOW, size: 10MB, any: [1, {}], list: [1, 2]}",
        "{text: '{{ x }}', delay: '{{ y }}', dynamicLevel: '{{ z }}'}",
        "{text: [1, 2]}",
        "{text: a, strings: one}",
        "{text: a, strings: [one, 2]}",
        "{text: a, inner: {count: 1, wait: P1D}, map: {a: b}, ignored: {x: y}}",
        "{text: a, number: null, list: ~, secret: \"{{ secret('A') }}\"}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct diag_list list = check(arena, texts[i]);
        if (list.all.count != 0)
            fail_msg("%s: %s", texts[i], list.all.items[0].message);
    }
}

static void prop_check_reports_every_kind_of_mistake(void **state)
{
    (void)state;
    expect_finding("text: a\ntxt: b", DIAG_ERROR, "unknown-property", "tasks[0].txt",
                   "Unrecognized field \"txt\"", 2, 1);
    expect_finding("number: 5", DIAG_ERROR, "missing-property", "tasks[0].text", "must not be null",
                   1, 1);
    expect_finding("text: a\nnumber: 101", DIAG_ERROR, "bounds", "tasks[0].number",
                   "must be less than or equal to 100", 2, 9);
    expect_finding("text: a\nnumber: x", DIAG_ERROR, "invalid-value", "tasks[0].number", "\"x\"", 2,
                   9);
    expect_finding("text: a\nnumber: 1.5", DIAG_ERROR, "invalid-value", "tasks[0].number",
                   "an integer", 2, 9);
    expect_finding("text: a\nlevel: MID", DIAG_ERROR, "invalid-value", "tasks[0].level",
                   "Invalid value \"MID\"", 2, 8);
    expect_finding("text: a\ndynamicLevel: MID", DIAG_WARNING, "invalid-value",
                   "tasks[0].dynamicLevel", "[LOW, HIGH]", 2, 15);
    expect_finding("text: a\ndelay: 5 minutes", DIAG_ERROR, "invalid-duration", "tasks[0].delay",
                   "Invalid duration '5 minutes'", 2, 8);
    expect_finding("text: a\npause: PT1S", DIAG_DEPRECATION, "deprecated-property",
                   "tasks[0].pause", "now called 'delay'", 2, 1);
    expect_finding("text: a\nold: true", DIAG_DEPRECATION, "deprecated-property", "tasks[0].old",
                   "deprecated", 2, 1);
    expect_finding("text: a\nlist: []", DIAG_ERROR, "empty", "tasks[0].list", "must not be empty",
                   2, 7);
    expect_finding("text: a\nlist: [1, b]", DIAG_ERROR, "invalid-value", "tasks[0].list[1]",
                   "\"b\"", 2, 11);
    expect_finding("text: a\nlist: 5", DIAG_ERROR, "wrong-shape", "tasks[0].list",
                   "expected a list, found an integer", 2, 7);
    expect_finding("text: a\nmap: []", DIAG_ERROR, "wrong-shape", "tasks[0].map", "expected a map",
                   2, 6);
    expect_finding("text: a\ninner: {cont: 1}", DIAG_ERROR, "unknown-property",
                   "tasks[0].inner.cont", "Unrecognized field \"cont\"", 2, 9);
    expect_finding("text: a\nsecret: abc", DIAG_WARNING, "literal-secret", "tasks[0].secret",
                   "should not be written", 2, 9);
}

static void prop_check_suggests_the_nearest_name(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = check(arena, "{text: a, nmber: 5}");
    assert_string_equal(list.all.items[0].advice, "did you mean 'number'?");
    assert_int_equal(list.all.items[0].width, 5);
}

static void prop_bind_fills_the_struct(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct props bound = { 0 };
    struct error err = { 0 };
    const struct value *map =
        parse(arena, "{text: 1.10, number: '12', factor: '2.5', flag: 'False', pause: PT1.5S, "
                     "at: '1970-01-01T00:00:01Z', level: LOW, size: 2 MB, any: {a: 1}, "
                     "list: '[1, 2]', strings: one, inner: {wait: 90}}");
    if (!prop_bind(props, map, &bound, arena, &err))
        fail_msg("%s", err.text);
    assert_string_equal(bound.text, "1.10");
    assert_int_equal(bound.number, 12);
    assert_true(bound.factor == 2.5);
    assert_false(bound.flag);
    assert_int_equal(bound.delay, 1500 * USEC_MSEC);
    assert_int_equal(bound.at, USEC_SEC);
    assert_int_equal(bound.size, 2 * 1024 * 1024);
    assert_int_equal(value_get_int(bound.any, "a", 0), 1);
    assert_int_equal(value_count(bound.list), 2);
    assert_string_equal(value_cstr(value_item(bound.strings, 0)), "one");
    assert_int_equal(bound.inner.count, 3);
    assert_int_equal(bound.inner.wait, 90 * USEC_SEC);
}

static void prop_bind_makes_texts_of_what_stands_in_a_list_of_texts(void **state)
{
    (void)state;
    static const struct {
        const char *map;
        const char *texts;
    } rows[] = {
        { "{text: a, strings: [one, 2, 1.50, true, {a: 1}, null]}",
          "[\"one\",\"2\",\"1.50\",\"true\",\"{\\\"a\\\":1}\",null]" },
        { "{text: a, strings: 2}", "[\"2\"]" },
        { "{text: a, strings: '[1, \"b\"]'}", "[\"1\",\"b\"]" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct props bound = { 0 };
        struct error err = { 0 };
        if (!prop_bind(props, parse(arena, rows[i].map), &bound, arena, &err))
            fail_msg("%s: %s", rows[i].map, err.text);
        assert_string_equal(value_to_json(arena, bound.strings), rows[i].texts);
    }
}

static void prop_bind_gives_defaults_and_marks_of_absence(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct props bound = { 0 };
    struct error err = { 0 };
    assert_true(prop_bind(props, parse(arena, "{text: a, number: ''}"), &bound, arena, &err));
    assert_int_equal(bound.number, 7);
    assert_true(bound.factor == 0.5);
    assert_true(bound.flag);
    assert_int_equal(bound.delay, -1);
    assert_int_equal(bound.at, USEC_NEVER);
    assert_int_equal(bound.level, 1);
    assert_int_equal(bound.size, 1024);
    assert_null(bound.list);
    assert_int_equal(value_count(bound.map), 0);
    assert_int_equal(bound.inner.count, 3);
    assert_int_equal(bound.inner.wait, -1);
}

static void prop_bind_names_the_property_that_does_not_fit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
    } rows[] = {
        { "{}", "property 'text' is required" },
        { "{text: a, number: x}", "property 'number' must be an integer, not 'x'" },
        { "{text: a, number: 0}", "property 'number' is out of bounds: '0'" },
        { "{text: a, level: MID}", "property 'level' must be one of LOW, HIGH, not 'MID'" },
        { "{text: a, delay: P1Y}", "property 'delay' must be a duration" },
        { "{text: a, list: []}", "property 'list' must not be empty" },
        { "{text: a, inner: {count: x}}", "in 'inner': property 'count' must be an integer" },
        { "{text: a, size: -1}", "property 'size' must be a size" },
        { "{text: a, size: 99999999999GB}", "property 'size' must be a size" },
        { "{text: a, map: [1]}", "property 'map' must be a map" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct props bound = { 0 };
        struct error err = { 0 };
        assert_false(prop_bind(props, parse(arena, rows[i].text), &bound, arena, &err));
        if (strstr(err.text, rows[i].message) == NULL)
            fail_msg("%s: %s", rows[i].text, err.text);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

/* ---- rendering ---- */

static const struct prop rendered_inner[] = {
    { "a", .kind = PROP_STRING, .flags = PROP_EXPR },
    { "b", .kind = PROP_STRING },
    { 0 },
};

static const struct prop rendered[] = {
    { "text", .kind = PROP_STRING, .flags = PROP_EXPR, .alias = "old" },
    { "typed", .kind = PROP_ANY, .flags = PROP_EXPR | PROP_TYPED },
    { "any", .kind = PROP_ANY, .flags = PROP_EXPR },
    { "literal", .kind = PROP_STRING },
    { "raw", .kind = PROP_STRING, .flags = PROP_EXPR | PROP_RAW },
    { "number", .kind = PROP_INT, .flags = PROP_EXPR, .fallback = "5" },
    { "list", .kind = PROP_LIST, .item = PROP_STRING, .flags = PROP_EXPR },
    { "strings", .kind = PROP_STRINGS, .item = PROP_STRING, .flags = PROP_EXPR },
    { "map", .kind = PROP_MAP, .item = PROP_ANY, .flags = PROP_EXPR },
    { "object", .kind = PROP_OBJECT, .object = rendered_inner, .flags = PROP_EXPR },
    { "objects", .kind = PROP_OBJECTS, .object = rendered_inner, .flags = PROP_EXPR },
    { "labels", .kind = PROP_LABELS, .flags = PROP_EXPR },
    { "defaulted", .kind = PROP_STRING, .flags = PROP_EXPR, .fallback = "{{ x }}-d" },
    { 0 },
};

static void prop_render_follows_the_kind_of_each_property(void **state)
{
    (void)state;
    static const char context[] = "{x: 7, s: '{{ x }}', empty: '', l: [1, two], m: {k: v}}";
    static const struct {
        const char *map;
        const char *expect; /* JSON of what is rendered, the default left out */
    } rows[] = {
        { "{text: 'a {{ x }}'}", "{'text':'a 7','number':5}" },
        { "{old: '{{ x }}'}", "{'text':'7','number':5}" },
        { "{text: 1.10}", "{'text':'1.10','number':5}" },
        { "{text: [1, '{{ x }}']}", "{'text':'[1,\\'7\\']','number':5}" },
        { "{text: '{{ s }}'}", "{'text':'{{ x }}','number':5}" },
        { "{typed: '{{ l }}'}", "{'typed':[1,'two'],'number':5}" },
        { "{any: {a: ['{{ x }}', 3]}}", "{'any':{'a':['7',3]},'number':5}" },
        { "{literal: '{{ x }}', raw: '{{ x }}'}",
          "{'literal':'{{ x }}','raw':'{{ x }}','number':5}" },
        { "{number: '{{ x }}'}", "{'number':'7'}" },
        { "{number: '{{ empty }}'}", "{'number':5}" },
        { "{list: ['{{ x }}', '{{ l }}', 3]}", "{'number':5,'list':['7','[1,\\'two\\']',3]}" },
        { "{list: ' {{ l }} '}", "{'number':5,'list':[1,'two']}" },
        { "{list: '[\"{{ x }}\", 2]'}", "{'number':5,'list':['7',2]}" },
        { "{strings: '{{ x }}'}", "{'number':5,'strings':'7'}" },
        { "{strings: '{{ l }}'}", "{'number':5,'strings':[1,'two']}" },
        { "{map: {'{{ x }}': '{{ x }}', n: 1}}", "{'number':5,'map':{'7':'7','n':1}}" },
        { "{map: '{{ m }}'}", "{'number':5,'map':{'k':'v'}}" },
        { "{object: {a: '{{ x }}', b: '{{ x }}', c: 1}}",
          "{'number':5,'object':{'a':'7','b':'{{ x }}','c':1}}" },
        { "{object: '{{ {\"a\": s} }}'}", "{'number':5,'object':{'a':'{{ x }}'}}" },
        { "{objects: [{a: '{{ x }}'}]}", "{'number':5,'objects':[{'a':'7'}]}" },
        { "{labels: {k: '{{ x }}'}}", "{'number':5,'labels':{'k':'7'}}" },
        { "{labels: [{key: k, value: '{{ x }}'}]}",
          "{'number':5,'labels':[{'key':'k','value':'7'}]}" },
        { "{labels: '{{ m }}'}", "{'number':5,'labels':{'k':'v'}}" },
        { "{beyond: '{{ x }}'}", "{'number':5,'beyond':'{{ x }}'}" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct expr_env env = { .context = parse(arena, context) };
        struct error err = { 0 };
        const struct value *out =
            prop_render(rendered, parse(arena, rows[i].map), &env, arena, &err);
        if (out == NULL)
            fail_msg("%s: %s", rows[i].map, err.text);
        assert_string_equal(value_get_text(out, "defaulted", ""), "7-d");
        char *expect = arena_strdup(arena, rows[i].expect);
        for (char *at = expect; *at != '\0'; at++)
            *at = *at == '\'' ? '"' : *at;
        struct value_builder rest = value_build(arena);
        for (size_t k = 0; k < out->map.count; k++) {
            if (strcmp(out->map.members[k].key, "defaulted") != 0)
                value_put(&rest, out->map.members[k].key, out->map.members[k].value);
        }
        const char *json = value_to_json(arena, value_build_map(&rest));
        if (strcmp(json, expect) != 0)
            fail_msg("%s\ngives %s\nnot   %s", rows[i].map, json, expect);
    }
}

static void prop_render_failures_name_the_property(void **state)
{
    (void)state;
    static const struct {
        const char *map;
        const char *message;
    } rows[] = {
        { "{text: '{{ nope.deep }}'}", "property 'text': " },
        { "{list: '{{ x }}'}", "property 'list': '7' is not a JSON list" },
        { "{map: '[1]'}", "property 'map': '[1]' is not a JSON map" },
        { "{object: {a: '{{ 1 / 0 }}'}}", "property 'object': property 'a': " },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct expr_env env = { .context = parse(arena, "{x: 7}") };
        struct error err = { 0 };
        assert_null(prop_render(rendered, parse(arena, rows[i].map), &env, arena, &err));
        if (strstr(err.text, rows[i].message) == NULL)
            fail_msg("%s: %s", rows[i].map, err.text);
    }
}

static const char *const log_aliases[] = { "io.old.Log", NULL };
static const struct plugin log_type = {
    .id = "io.new.Log", .role = PLUGIN_TASK, .task_kind = TASK_INLINE, .aliases = log_aliases
};
static const struct plugin hook_type = { .id = "io.new.Hook", .role = PLUGIN_TRIGGER };
static const struct plugin *const plugins[] = { &log_type, &hook_type, NULL };

static void plugin_is_found_by_name_and_by_alias_in_any_case(void **state)
{
    (void)state;
    struct plugin_set *set = plugin_set_new(plugins);
    assert_ptr_equal(plugin_find(set, "io.new.Log"), &log_type);
    assert_ptr_equal(plugin_find(set, "io.new.Log:1.0"), &log_type);
    assert_ptr_equal(plugin_find(set, "IO.OLD.log"), &log_type);
    assert_null(plugin_find(set, "io.new.log"));
    assert_null(plugin_find(set, ""));
    size_t count = 0;
    assert_ptr_equal(plugin_all(set, &count)[1], &hook_type);
    assert_int_equal(count, 2);
    plugin_set_free(set);
}

static void plugin_nearest_looks_within_the_role(void **state)
{
    (void)state;
    struct plugin_set *set = plugin_set_new(plugins);
    assert_string_equal(plugin_nearest(set, PLUGIN_TASK, "io.new.Lag"), "io.new.Log");
    assert_string_equal(plugin_nearest(set, PLUGIN_TASK, "com.other.thing.LOG"), "io.new.Log");
    assert_null(plugin_nearest(set, PLUGIN_TASK, "io.new.Hooker"));
    assert_null(plugin_nearest(set, PLUGIN_TRIGGER, "io.unlike.Anything"));
    plugin_set_free(set);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(prop_check_accepts_what_the_table_says),
    cmocka_unit_test(prop_check_reports_every_kind_of_mistake),
    cmocka_unit_test(prop_check_suggests_the_nearest_name),
    cmocka_unit_test(prop_bind_fills_the_struct),
    cmocka_unit_test(prop_bind_gives_defaults_and_marks_of_absence),
    cmocka_unit_test(prop_bind_makes_texts_of_what_stands_in_a_list_of_texts),
    cmocka_unit_test(prop_bind_names_the_property_that_does_not_fit),
    cmocka_unit_test(prop_render_follows_the_kind_of_each_property),
    cmocka_unit_test(prop_render_failures_name_the_property),
    cmocka_unit_test(plugin_is_found_by_name_and_by_alias_in_any_case),
    cmocka_unit_test(plugin_nearest_looks_within_the_role),
};
TEST_GROUP(prop, tests)
