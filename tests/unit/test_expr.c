/* SPDX-License-Identifier: Apache-2.0 */
/* What callers of core/expr/expr.h rely on; the language itself is in the table of cases. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "core/expr/expr.h"
#include "core/json.h"
#include "core/value.h"
#include "tests/support/test.h"

static const struct value *json(struct arena *arena, const char *text)
{
    struct error err = { 0 };
    const struct value *value = json_parse(arena, text, strlen(text), &err);
    if (value == NULL)
        fail_msg("%s: %s", text, err.text);
    return value;
}

static struct expr_env env_of(struct arena *arena, const char *context)
{
    return (struct expr_env){ .context = json(arena, context), .now = USEC_DAY, .seed = 7 };
}

static const char *render(struct arena *arena, const char *context, const char *template)
{
    struct expr_env env = env_of(arena, context);
    struct error err = { 0 };
    const char *text = expr_render_text(&env, arena, template, NULL, &err);
    if (text == NULL)
        fail_msg("%s: %s", template, err.text);
    return text;
}

static void expr_texts_without_braces_are_not_dynamic(void **state)
{
    (void)state;
    assert_false(expr_is_dynamic(""));
    assert_false(expr_is_dynamic("plain { text } {"));
    assert_true(expr_is_dynamic("{{ a }}"));
    assert_true(expr_is_dynamic("x {% if a %}"));
    assert_true(expr_is_dynamic("x {# note #}"));
}

static void expr_says_where_a_template_is_wrong(void **state)
{
    static const struct {
        const char *template;
        uint32_t line;
        uint32_t column;
        const char *text; /* begins with */
    } wrong[] = {
        { "{{ 1 + }}", 1, 8, "unexpected '}}': an expression is missing" },
        { "text\n  {{ a b }}", 2, 8, "unexpected 'b'" },
        { "é {{ 'open }}", 1, 6, "this string is never closed" },
        { "{{ (1 }}", 1, 7, "'}' closes a bracket of another kind" },
        { "{{ 1) }}", 1, 5, "')' closes nothing" },
        { "{{ 99999999999999999999 }}", 1, 4, "this integer does not fit 64 bits" },
        { "{% fliter upper %}", 1, 4, "there is no tag 'fliter', did you mean 'filter'?" },
        { "{% if a %}x", 1, 12, "unexpected the end of the template: 'endif' is missing" },
        { "a{% endfor %}", 1, 5, "'endfor' without the tag that it belongs to" },
        { "{{ m.is }}", 1, 6, "unexpected 'is': an operator cannot be a name behind '.'" },
        { "{% set true = 1 %}", 1, 8, "unexpected 'true': this name is reserved" },
        { "{{ f(a=1, 2) }}", 1, 11, "unexpected a number: arguments by position" },
        { "\r\n\r\n{{ @ }}", 3, 4, "unexpected character '@'" },
        { "{# never", 1, 1, "this comment is never closed" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct error err = { 0 };
        assert_null(expr_compile(arena, wrong[i].template, strlen(wrong[i].template), &err));
        assert_int_equal(err.code, ERR_INVALID);
        if (err.line != wrong[i].line || err.column != wrong[i].column ||
            strncmp(err.text, wrong[i].text, strlen(wrong[i].text)) != 0)
            fail_msg("%s: %u:%u: %s", wrong[i].template, err.line, err.column, err.text);
    }
}

static void expr_failures_name_the_template_and_the_place(void **state)
{
    static const struct {
        const char *template;
        enum expr_failure failure;
        uint32_t line;
        uint32_t column;
        const char *text;
    } wrong[] = {
        { "{{ a.b.missing }}", EXPR_UNDEFINED, 1, 8,
          "Unable to find `missing` used in the expression `{{ a.b.missing }}` at line 1" },
        { "x\n{{ gone }}", EXPR_UNDEFINED, 2, 4,
          "Unable to find `gone` used in the expression `x\n{{ gone }}` at line 2" },
        { "{{ 1 / 0 }}", EXPR_EVALUATION, 1, 6, "division by zero ({{ 1 / 0 }}:1)" },
        { "{{ gone + 1 }}", EXPR_EVALUATION, 1, 4, "'gone' does not exist ({{ gone + 1 }}:1)" },
        { "{{ 1 | uper }}", EXPR_EVALUATION, 1, 8,
          "there is no filter 'uper', did you mean 'upper'? ({{ 1 | uper }}:1)" },
        { "{{ 'a' | abbreviate }}", EXPR_EVALUATION, 1, 10,
          "filter 'abbreviate': argument 'length' is missing ({{ 'a' | abbreviate }}:1)" },
        { "{{ 'x' | date(zone='UTC') }}", EXPR_EVALUATION, 1, 10,
          "filter 'date' has no argument 'zone', it takes (format = 'iso', timeZone, "
          "existingFormat, locale) ({{ 'x' | date(zone='UTC') }}:1)" },
        { "{{ secret('k') }}", EXPR_EVALUATION, 1, 4,
          "function 'secret': is not available here ({{ secret('k') }}:1)" },
        { "{{ render(t) }}", EXPR_EVALUATION, 1, 4,
          "Unable to find `inner` used in the expression `{{ inner }}` at line 1 "
          "({{ render(t) }}:1)" },
        { "{{ 1 + }}", EXPR_SYNTAX, 1, 8,
          "unexpected '}}': an expression is missing ({{ 1 + }}:1)" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct expr_env env = env_of(arena, "{\"a\":{\"b\":{}},\"t\":\"{{ inner }}\"}");
        struct error err = { 0 };
        assert_null(expr_render_text(&env, arena, wrong[i].template, NULL, &err));
        assert_int_equal(err.code, ERR_INVALID);
        if (env.failure != wrong[i].failure || err.line != wrong[i].line ||
            err.column != wrong[i].column || strcmp(err.text, wrong[i].text) != 0)
            fail_msg("%s: failure %d at %u:%u: %s", wrong[i].template, env.failure, err.line,
                     err.column, err.text);
    }
}

static void expr_tells_nothing_from_an_empty_text(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct expr_env env = env_of(arena, "{\"n\":null,\"e\":\"\"}");
    bool wrote = true;
    (void)state;
    assert_string_equal(expr_render_text(&env, arena, "{{ n }}", &wrote, NULL), "");
    assert_false(wrote);
    assert_string_equal(expr_render_text(&env, arena, "{{ e }}", &wrote, NULL), "");
    assert_true(wrote);
    assert_string_equal(expr_render_text(&env, arena, "", &wrote, NULL), "");
    assert_true(wrote);
}

static void expr_a_failed_rendering_leaves_the_buffer_as_it_was(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct expr_env env = env_of(arena, "{}");
    struct buf buf = { 0 };
    (void)state;
    buf_puts(&buf, "before");
    assert_false(expr_render_into(&env, &buf, "some text {{ gone }}", NULL));
    assert_string_equal(buf_text(&buf), "before");
    assert_true(expr_render_into(&env, &buf, " {{ 1 + 1 }}", NULL));
    assert_string_equal(buf_text(&buf), "before 2");
    buf_free(&buf);
}

static void expr_typed_rendering_keeps_the_type(void **state)
{
    static const struct {
        const char *context;
        const char *template;
        const char *json;
    } cases[] = {
        { "{\"a\":[1]}", "{{ a }}", "[1]" },
        { "{\"a\":1}", "{{ a }}", "1" },
        { "{\"a\":null}", "{{ a }}", "null" },
        { "{}", "{% if false %}x{% endif %}", "null" },
        { "{}", "{{ '5' }}", "\"5\"" },
        { "{}", "5", "\"5\"" },
        { "{}", "", "\"\"" },
        { "{\"a\":1,\"b\":2}", "{{ a }}{{ b }}", "\"12\"" },
        { "{\"a\":true,\"b\":1.5}", "{{ a }} {{ b }}", "\"true 1.5\"" },
        { "{}", "{{ 5 }}0", "\"50\"" },
        { "{}", "{% if true %}{{ 5 }}{% endif %}", "5" },
        { "{}", "{% for i in [1,2] %}{{ i }}{% endfor %}", "\"12\"" },
        { "{\"a\":[1]}", "x{{ a }}", "\"x[1]\"" },
        { "{\"a\":[1,2]}", "{ \"k\": {{ a }} }", "{\"k\":[1,2]}" },
        { "{\"a\":{\"x\":1}}", "[{{ a }}, 1]", "[{\"x\":1},1]" },
        { "{\"a\":[1]}", "{{ a }} ", "[1]" },
        { "{\"a\":{\"k\":1}}", "{{ a }}x", "{\"k\":1}" },
        { "{\"a\":[1],\"b\":[2]}", "{{ a }}{{ b }}", "[1]" },
        { "{}", "{{ {'a': [1, null]} }}", "{\"a\":[1,null]}" },
        { "{}", "{% raw %}{{ x }}{% endraw %}", "\"{{ x }}\"" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct expr_env env = env_of(arena, cases[i].context);
        struct error err = { 0 };
        struct buf buf = { 0 };
        const struct value *value = expr_render_typed(&env, arena, cases[i].template, &err);
        if (value == NULL)
            fail_msg("%s: %s", cases[i].template, err.text);
        value_write_json_full(&buf, value);
        if (strcmp(buf_text(&buf), cases[i].json) != 0)
            fail_msg("%s: %s", cases[i].template, buf_text(&buf));
        buf_free(&buf);
    }
}

static void expr_trees_are_rendered_key_by_key_and_leaf_by_leaf(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct expr_env env = env_of(arena, "{\"x\":\"v\",\"n\":null,\"l\":[1]}");
    struct error err = { 0 };
    struct buf buf = { 0 };
    (void)state;
    const struct value *tree =
        json(arena,
             "{\"{{ x }}\":\"{{ x }}{{ x }}\",\"v\":\"second of the same name\",\"n\":\"{{ n }}\","
             "\"e\":\"{{ '' }}\",\"l\":[\"{{ l }}\",5,true,\"plain\"],\"{{ n }}\":1}");
    const struct value *out = expr_render_tree(&env, arena, tree, &err);
    assert_non_null(out);
    value_write_json_full(&buf, out);
    assert_string_equal(buf_text(&buf), "{\"v\":\"vv\",\"n\":null,\"e\":\"\",\"l\":[\"[1]\",5,true,"
                                        "\"plain\"],\"\":1}");
    buf_free(&buf);
    const struct value *still = json(arena, "{\"a\":[1,{\"b\":\"no braces\"}]}");
    assert_ptr_equal(expr_render_tree(&env, arena, still, &err), still);
    assert_null(expr_render_tree(&env, arena, json(arena, "[\"{{ gone }}\"]"), &err));
    assert_int_equal(env.failure, EXPR_UNDEFINED);
}

static void expr_truth_of_texts(void **state)
{
    static const char *const falsehoods[] = { "", " ", "false", " false\n", "0", "-0", "\t0 " };
    static const char *const truths[] = { "true", "False", "no", "null", "0.0", "[]", "00", "x" };
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct expr_env env = env_of(arena, "{\"a\":3}");
    bool ok = false;
    (void)state;
    for (size_t i = 0; i < sizeof(falsehoods) / sizeof(falsehoods[0]); i++)
        assert_false(expr_truthy_text(falsehoods[i]));
    for (size_t i = 0; i < sizeof(truths) / sizeof(truths[0]); i++)
        assert_true(expr_truthy_text(truths[i]));
    assert_true(expr_render_truth(&env, "{{ a > 2 }}", &ok, NULL) && ok);
    assert_true(!expr_render_truth(&env, "{{ a > 5 }}", &ok, NULL) && ok);
    assert_true(!expr_render_truth(&env, "{{ gone }}", &ok, NULL) && !ok);
}

/* ---- hosts ---- */

struct world {
    const char *function;
    char arguments[256];
    size_t calls;
    bool unavailable;
    char masked[256];
};

static const struct value *answer(void *data,
                                  struct arena *arena,
                                  const char *function,
                                  const struct value *arguments,
                                  struct error *err)
{
    struct world *world = data;
    world->calls++;
    world->function = function;
    (void)strncpy(world->arguments, value_to_json(arena, arguments), 255);
    if (world->unavailable) {
        error_set(err, ERR_UNAVAILABLE, "asked");
        return NULL;
    }
    if (strcmp(function, "secret") == 0)
        return value_string(arena, "hush");
    if (strcmp(function, "kv") == 0)
        return value_int(arena, 42);
    error_set(err, ERR_NOT_FOUND, "there is no '%s'", value_get_text(arguments, "path", ""));
    return NULL;
}

static void note_secret(void *data, const char *text, size_t length)
{
    struct world *world = data;
    memcpy(world->masked, text, length + 1);
}

static void expr_functions_with_effects_ask_the_host(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct world world = { .calls = 0 };
    struct expr_host host = { .call = answer, .secret = note_secret, .data = &world };
    struct expr_env env = env_of(arena, "{}");
    struct error err = { 0 };
    env.host = &host;
    (void)state;
    assert_string_equal(
        expr_render_text(&env, arena, "{{ kv('a', errorOnMissing=false) + 1 }}", NULL, &err), "43");
    assert_string_equal(world.function, "kv");
    assert_string_equal(world.arguments, "{\"key\":\"a\",\"errorOnMissing\":false}");

    assert_string_equal(expr_render_text(&env, arena, "{{ secret('k') | upper }}", NULL, &err),
                        "HUSH");
    assert_string_equal(world.masked, "hush");

    assert_null(expr_render_text(&env, arena, "{{ read('f.txt') ?? 'x' }}", NULL, &err));
    assert_int_equal(env.failure, EXPR_EVALUATION);
    assert_non_null(strstr(err.text, "function 'read': there is no 'f.txt'"));
}

static void expr_a_missing_answer_stops_the_rendering(void **state)
{
    static const char *const templates[] = {
        "{{ kv('a') ?? 'x' }}",
        "{{ kv('a') | default('x') }}",
        "{% if kv('a') is defined %}y{% endif %}",
        "{{ render('{{ kv(\"a\") }}') }}",
    };
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct world world = { .unavailable = true };
    struct expr_host host = { .call = answer, .data = &world };
    struct expr_env env = env_of(arena, "{}");
    env.host = &host;
    (void)state;
    for (size_t i = 0; i < sizeof(templates) / sizeof(templates[0]); i++) {
        struct error err = { 0 };
        assert_null(expr_render_text(&env, arena, templates[i], NULL, &err));
        assert_int_equal(env.failure, EXPR_NEEDS);
        assert_int_equal(err.code, ERR_UNAVAILABLE);
    }
    world.unavailable = false;
    assert_string_equal(expr_render_text(&env, arena, templates[0], NULL, NULL), "42");
    world.calls = 0;
    assert_string_equal(expr_render_text(&env, arena, "{{ 'a' ?? kv('a') }}", NULL, NULL), "a");
    assert_int_equal(world.calls, 0);
}

/* ---- lazy maps ---- */

static size_t forced;

static const struct value *lazy_get(const void *data,
                                    struct arena *arena,
                                    const char *key,
                                    size_t length)
{
    (void)data;
    return length == 4 && memcmp(key, "load", 4) == 0
               ? value_with(arena, NULL, "rows", value_int(arena, 12))
               : NULL;
}

static const struct value *lazy_force(const void *data, struct arena *arena)
{
    forced++;
    return value_with(arena, NULL, "load", lazy_get(data, arena, "load", 4));
}

static void expr_members_of_lazy_maps_are_looked_up_without_making_the_map(void **state)
{
    static const struct value_lazy_ops ops = { lazy_get, lazy_force };
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct value_builder root = value_build(arena);
    (void)state;
    value_put(&root, "outputs", value_lazy(arena, &ops, NULL));
    struct expr_env env = { .context = value_build_map(&root) };
    forced = 0;
    assert_string_equal(expr_render_text(&env, arena, "{{ outputs.load.rows }}", NULL, NULL), "12");
    assert_string_equal(expr_render_text(&env, arena, "{{ outputs['load'].rows }}", NULL, NULL),
                        "12");
    assert_string_equal(expr_render_text(&env, arena, "{{ outputs.gone.x ?? 'd' }}", NULL, NULL),
                        "d");
    assert_string_equal(expr_render_text(&env, arena, "{{ outputs is map }}", NULL, NULL), "true");
    assert_int_equal(forced, 0);
    assert_string_equal(expr_render_text(&env, arena, "{{ outputs }}", NULL, NULL),
                        "{\"load\":{\"rows\":12}}");
    assert_string_equal(
        expr_render_text(&env, arena, "{% for o in outputs %}{{ o.key }}{% endfor %}", NULL, NULL),
        "load");
    assert_string_equal(
        expr_render_text(&env, arena, "{{ outputs | jq('.load.rows') | first }}", NULL, NULL),
        "12");
    assert_string_equal(
        expr_render_text(&env, arena, "{{ outputs == {'load': {'rows': 12}} }}", NULL, NULL),
        "true");
    assert_true(forced >= 3);
}

static void expr_the_root_may_be_lazy(void **state)
{
    static const struct value_lazy_ops ops = { lazy_get, lazy_force };
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct expr_env env = { .context = value_lazy(arena, &ops, NULL) };
    (void)state;
    assert_string_equal(expr_render_text(&env, arena, "{{ load.rows }}{{ x ?? '-' }}", NULL, NULL),
                        "12-");
    assert_string_equal(expr_render_text(&env, arena, "{{ fetchContext() }}", NULL, NULL),
                        "{\"load\":{\"rows\":12}}");
}

/* ---- chance and caches ---- */

static void expr_the_same_seed_gives_the_same_result(void **state)
{
    static const char template[] =
        "{{ uuid() }} {{ id() }} {{ nanoId() }} {{ randomInt(0, 1000000) }}";
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct expr_env env = env_of(arena, "{}");
    struct expr_env same = env;
    (void)state;
    const char *first = expr_render_text(&env, arena, template, NULL, NULL);
    assert_string_equal(expr_render_text(&same, arena, template, NULL, NULL), first);
    // and the next one another
    assert_string_not_equal(expr_render_text(&env, arena, template, NULL, NULL), first);
    const struct value *tree = json(arena, "[\"{{ uuid() }}\",\"{{ uuid() }}\"]");
    const struct value *out = expr_render_tree(&env, arena, tree, NULL);
    assert_string_not_equal(value_cstr(value_item(out, 0)), value_cstr(value_item(out, 1)));
}

static void expr_a_cache_forgets_before_it_grows_too_large(void **state)
{
    struct expr_cache *cache = expr_cache_new();
    (void)state;
    for (int i = 0; i < 5000; i++) {
        struct arena *arena = arena_new();
        struct expr_env env = env_of(arena, "{\"t\":\"{{ 1 }}\"}");
        env.cache = cache;
        const char *template =
            arena_printf(arena, "{{ %d + render(t) }} {{ 'a%d' | regexMatch('a%d') }}", i, i, i);
        const char *expect = arena_printf(arena, "%d1 true", i);
        assert_string_equal(expr_render_text(&env, arena, template, NULL, NULL), expect);
        arena_free(arena);
        // what it says it holds goes up and down with what it holds
        assert_in_range(expr_cache_held(cache), 1024, 8 * 1024 * 1024);
    }
    assert_int_equal(expr_cache_held(NULL), 0);
    expr_cache_free(cache);
    expr_cache_free(NULL);
}

static void expr_a_template_may_outlive_its_place_in_the_cache_while_it_runs(void **state)
{
    // Renders more inner templates than the cache holds, while the outer one is still at work.
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct expr_cache *cache = expr_cache_new();
    struct expr_env env = env_of(arena, "{}");
    struct error err = { 0 };
    env.cache = cache;
    (void)state;
    const char *text =
        expr_render_text(&env, arena,
                         "{% for i in range(1, 2500) %}{% set x = renderOnce('{{ ' ~ i ~ ' }}') %}"
                         "{% if x != (i | string) %}wrong {{ i }}{% endif %}{% endfor %}done",
                         NULL, &err);
    assert_non_null(text);
    assert_string_equal(text, "done");
    expr_cache_free(cache);
}

/* ---- scopes ---- */

static void expr_context_is_a_map_of_what_the_caller_sees(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    (void)state;
    assert_string_equal(render(arena, "{\"a\":1}", "{% set b = 2 %}{{ _context }}"),
                        "{\"b\":2,\"a\":1}");
    assert_string_equal(
        render(arena, "{\"a\":1}",
               "{% macro m(c) %}{{ c.a }}{{ c.b }}{% endmacro %}{% set b = 2 %}{{ m(_context) }}"),
        "12");
    assert_string_equal(render(arena, "{\"a\":1}", "{% set a = 5 %}{{ a }}{{ render('{{ a }}') }}"),
                        "55");
    assert_string_equal(render(arena, "{\"a\":1}", "{{ render('{% set a = 5 %}') }}{{ a }}"), "1");
}

/* ---- references and the list of builtins ---- */

static void note_reference(void *data, const char *path, uint32_t line, uint32_t column)
{
    buf_printf(data, "%s@%u:%u ", path, line, column);
}

static void expr_references_are_found_without_evaluation(void **state)
{
    static const struct {
        const char *template;
        const char *paths;
    } cases[] = {
        { "{{ outputs.load.rows }}", "outputs.load.rows@1:4 " },
        { "{{ outputs['my-task'].x[0] }}", "outputs.my-task.x.0@1:4 " },
        { "{{ outputs.my-task.x }}", "outputs.my@1:4 task.x@1:15 " },
        { "a\n{{ outputs[inputs.name].rows + 1 }}", "outputs@2:4 inputs.name@2:12 " },
        { "{% for o in orders %}{{ o.id }}{{ loop.index }}{{ x }}{% endfor %}{{ o }}",
          "orders@1:13 x@1:51 o@1:70 " },
        { "{% set a = b %}{{ a.c }}", "b@1:12 " },
        { "{% if c %}{% set a = 1 %}{{ a }}{% endif %}{{ a.x }}", "c@1:7 a.x@1:47 " },
        { "{% macro m(a) %}{{ a }}{{ hidden }}{% endmacro %}{{ m(vars.x) }}", "vars.x@1:55 " },
        { "{{ (a ?? b.c) | default(d) }}{{ kv('k', namespace=flow.namespace) }}",
          "a@1:5 b.c@1:10 d@1:25 flow.namespace@1:51 " },
        { "{{ \"x#{t.y}z\" ~ f.g(h.i) }}{{ [j, {k: l}] }}{{ m ? n : o }}{{ not p }}",
          "t.y@1:8 f@1:17 h.i@1:21 j@1:32 k@1:36 l@1:39 m@1:48 n@1:52 o@1:56 p@1:67 " },
        { "{% block b %}{{ q }}{% endblock %}{% filter upper %}{{ r }}{% endfilter %}",
          "r@1:56 q@1:17 " },
        { "{{ fetchContext().a }}{% raw %}{{ z }}{% endraw %}{# {{ c }} #}", "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct error err = { 0 };
        struct buf found = { 0 };
        const struct expr *expr =
            expr_compile(arena, cases[i].template, strlen(cases[i].template), &err);
        if (expr == NULL)
            fail_msg("%s: %s", cases[i].template, err.text);
        expr_references(expr, note_reference, &found);
        if (strcmp(buf_text(&found), cases[i].paths) != 0)
            fail_msg("%s: %s", cases[i].template, buf_text(&found));
        buf_free(&found);
    }
}

static void expr_every_builtin_is_documented_and_named_once(void **state)
{
    size_t count = 0;
    const struct expr_builtin *all = expr_builtins(&count);
    (void)state;
    assert_true(count > 100);
    for (size_t i = 0; i < count; i++) {
        assert_true(strlen(all[i].doc) > 4);
        assert_int_equal(strncmp(all[i].signature, all[i].name, strlen(all[i].name)), 0);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(all[i].name, all[j].name) == 0 && strcmp(all[i].kind, all[j].kind) == 0)
                fail_msg("two %ss '%s'", all[i].kind, all[i].name);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(expr_texts_without_braces_are_not_dynamic),
    cmocka_unit_test(expr_says_where_a_template_is_wrong),
    cmocka_unit_test(expr_failures_name_the_template_and_the_place),
    cmocka_unit_test(expr_tells_nothing_from_an_empty_text),
    cmocka_unit_test(expr_a_failed_rendering_leaves_the_buffer_as_it_was),
    cmocka_unit_test(expr_typed_rendering_keeps_the_type),
    cmocka_unit_test(expr_trees_are_rendered_key_by_key_and_leaf_by_leaf),
    cmocka_unit_test(expr_truth_of_texts),
    cmocka_unit_test(expr_functions_with_effects_ask_the_host),
    cmocka_unit_test(expr_a_missing_answer_stops_the_rendering),
    cmocka_unit_test(expr_members_of_lazy_maps_are_looked_up_without_making_the_map),
    cmocka_unit_test(expr_the_root_may_be_lazy),
    cmocka_unit_test(expr_the_same_seed_gives_the_same_result),
    cmocka_unit_test(expr_a_cache_forgets_before_it_grows_too_large),
    cmocka_unit_test(expr_a_template_may_outlive_its_place_in_the_cache_while_it_runs),
    cmocka_unit_test(expr_context_is_a_map_of_what_the_caller_sees),
    cmocka_unit_test(expr_references_are_found_without_evaluation),
    cmocka_unit_test(expr_every_builtin_is_documented_and_named_once),
};
TEST_GROUP(expr, tests)
