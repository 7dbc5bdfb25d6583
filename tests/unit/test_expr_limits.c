/* SPDX-License-Identifier: Apache-2.0 */
/* No template can hang or exhaust the process. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "core/expr/expr.h"
#include "core/json.h"
#include "core/value.h"
#include "tests/support/test.h"

static struct expr_env env_of(struct arena *arena, struct expr_cache *cache)
{
    static const char context[] =
        "{\"a\":\"{{ a }}{{ a }}\",\"b\":\"{{ render(c) }}\",\"c\":\"{{ render(b) }}\","
        "\"s\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\",\"l\":[1,2,3]}";
    return (struct expr_env){ .context = json_parse(arena, context, sizeof(context) - 1, NULL),
                              .cache = cache };
}

static void expr_limits_stop_every_runaway_template(void **state)
{
    static const char *const templates[] = {
        // time
        "{% for i in range(1, 999999) %}{% for j in range(1, 999999) %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
        "{{ s | regexMatch('^(a+)+$') }}",
        "{% for i in range(1, 900000) %}{{ s | regexMatch('^(a|aa)+$') }}{% endfor %}",
        "{{ l | jq('def f: f; f') }}",
        "{{ range(1, 999999) - range(1, 999999) }}",
        // texts
        "{% set x = 'x' %}{% for i in range(1, 100) %}{% set x = x ~ x %}{% endfor %}",
        "{% set x = 'x' %}{% for i in range(1, 100) %}{% set x = x + x %}{% endfor %}",
        "{% for i in range(1, 999999) %}a text of some length{% endfor %}",
        "{% for i in range(1, 100000) %}{{ range(1, 1000) }}{% endfor %}",
        "{{ 'a\nb' | indent(2000000000) }}",
        "{{ '%2000000000d' | format(1) }}",
        "{{ '%99999s' * 2 }}",
        "{{ range(1, 999999) | join(s ~ s ~ s) }}",
        "{% set x = s %}{% for i in range(1, 30) %}{% set x = x | replace({'a': x}) %}{% endfor %}",
        "{% set x = s %}{% for i in range(1, 30) %}{% set x = x | regexReplace('a', '$0$0') %}{% "
        "endfor %}",
        "{% set x = s %}{% for i in range(1, 99) %}{% set x = \"#{x}#{x}\" %}{% endfor %}",
        "{{ render(a) }}",
        "{{ render(b) }}",
        "{% filter replace({'a': s}) %}{% for i in range(1, 99999) %}aaaaaaaaaaaa{% endfor %}"
        "{% endfilter %}",
        // values that share their parts
        "{% set x = [1] %}{% for i in range(1, 100) %}{% set x = [x, x] %}{% endfor %}{{ x }}",
        "{% set x = [1] %}{% for i in range(1, 60) %}{% set x = [x, x] %}{% endfor %}{{ x == [x] }}"
        "{% set y = [1] %}{% for i in range(1, 60) %}{% set y = [y, y] %}{% endfor %}{{ x == y }}",
        "{% set x = [1] %}{% for i in range(1, 60) %}{% set x = [x, x] %}{% endfor %}{{ x | toJson "
        "}}",
        "{% set x = [1] %}{% for i in range(1, 60) %}{% set x = [x, x] %}{% endfor %}{{ x | yaml "
        "}}",
        "{% set x = [1] %}{% for i in range(1, 60) %}{% set x = [x, x] %}{% endfor %}{{ x | toIon "
        "}}",
        "{% set x = [1] %}{% for i in range(1, 60) %}{% set x = [x, x] %}{% endfor %}{{ x ~ '' }}",
        "{% set x = [1] %}{% for i in range(1, 60) %}{% set x = [x, x] %}{% endfor %}{{ x | "
        "jq('.') }}",
        "{% set x = [1] %}{% for i in range(1, 60) %}{% set x = [x, x] %}{% endfor %}{{ render(x) "
        "}}",
        "{% set x = [1] %}{% for i in range(1, 60) %}{% set x = [x, x] %}{% endfor %}"
        "{{ x | replace({'a': 'b'}) }}",
        "{% set x = ['a'] %}{% for i in range(1, 60) %}{% set x = [x, x] %}{% endfor %}"
        "{{ x | escapeChar('single') }}",
        "{% set x = ['a'] %}{% for i in range(1, 60) %}{% set x = [x, x] %}{% endfor %}"
        "{{ x | distinct }}",
        "{% set x = {} %}{% for i in range(1, 9999) %}{% set x = {'k': x} %}{% endfor %}{{ x }}",
        "{% set x = 1 %}{% for i in range(1, 9999) %}{% set x = [x] | chunk(1) %}{% endfor %}",
        "{% set x = 1 %}{% for i in range(1, 9999) %}{% set x = {'a': 1} | merge([x]) %}{% endfor "
        "%}"
        "{{ range(1, 999999) | join(s) }}",
        // memory
        "{% for i in range(1, 999999) %}{% set x = range(1, 100000) %}{% endfor %}",
        "{% set x = [] %}{% for i in range(1, 999999) %}{% set x = x + l %}{% endfor %}",
        "{{ range(1, 2000000) }}",
    };
    struct expr_cache *cache = expr_cache_new();
    (void)state;
    for (size_t i = 0; i < sizeof(templates) / sizeof(templates[0]); i++) {
        struct arena *arena = arena_new();
        struct expr_env env = env_of(arena, cache);
        struct error err = { 0 };
        const char *text = expr_render_text(&env, arena, templates[i], NULL, &err);
        if (text != NULL)
            fail_msg("ended well: %s", templates[i]);
        assert_int_equal(env.failure, EXPR_EVALUATION);
        assert_true(arena_bytes(arena) < 700U * 1024 * 1024);
        arena_free(arena);
    }
    expr_cache_free(cache);
}

static void expr_limits_typed_results_that_share_parts(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct expr_env env = env_of(arena, NULL);
    struct error err = { 0 };
    (void)state;
    assert_null(expr_render_typed(
        &env, arena,
        "{% set x = [1] %}{% for i in range(1, 60) %}{% set x = [x, x] %}{% endfor %}{{ x }}",
        &err));
    assert_int_equal(env.failure, EXPR_EVALUATION);
    assert_non_null(strstr(err.text, "larger than 64 MiB"));
}

/* `unit` repeated, then `rest`. */
static const char *repeated(struct buf *buf, const char *unit, size_t times, const char *rest)
{
    buf_clear(buf);
    for (size_t i = 0; i < times; i++)
        buf_puts(buf, unit);
    buf_puts(buf, rest);
    return buf_text(buf);
}

static void expr_limits_nesting_of_the_source(void **state)
{
    static const struct {
        const char *start;
        const char *unit;
        const char *rest;
    } cases[] = {
        { "{{ ", "(", "" },
        { "{{ ", "[", "" },
        { "{{ ", "{'a':", "" },
        { "{{ ", "not ", "1 }}" },
        { "{{ ", "-", "1 }}" },
        { "{{ ", "1 ? ", "" },
        { "{{ ", "1 + ", "1 }}" },
        { "{{ ", "'a' ~ ", "'b' }}" },
        { "{{ a", ".a", " }}" },
        { "{{ a", "[0]", " }}" },
        { "{{ a", " | upper", " }}" },
        { "{{ ", "f(", "" },
        { "{{ ", "\"#{", "" },
        { "", "{% if a %}", "" },
        { "", "{% for i in a %}", "" },
        { "", "{% filter upper %}", "" },
        { "", "{% block a %}", "" },
        { "", "{% macro a() %}", "" },
        { "{{ x is ", "defined is ", "defined }}" },
    };
    struct buf part = { 0 };
    struct buf whole = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct expr_env env = env_of(arena, NULL);
        struct error err = { 0 };
        buf_clear(&whole);
        buf_puts(&whole, cases[i].start);
        buf_puts(&whole, repeated(&part, cases[i].unit, 100000, cases[i].rest));
        if (expr_render_text(&env, arena, buf_text(&whole), NULL, &err) != NULL)
            fail_msg("accepted many %s", cases[i].unit);
        assert_int_equal(env.failure, EXPR_SYNTAX);
    }
    buf_free(&part);
    buf_free(&whole);
}

static void expr_limits_are_far_beyond_what_people_write(void **state)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct expr_env env = env_of(arena, NULL);
    struct buf part = { 0 };
    struct buf whole = { 0 };
    (void)state;
    // a thousand levels of a macro
    assert_string_equal(
        expr_render_text(&env, arena,
                         "{% macro m(n) %}{% if n > 1 %}{{ m(n - 1) }}{% else %}end{% endif %}"
                         "{% endmacro %}{{ m(1000) }}",
                         NULL, NULL),
        "end");
    // two thousand operators in a row, four hundred brackets
    buf_puts(&whole, "{{ ");
    buf_puts(&whole, repeated(&part, "1 + ", 2000, "1 }}"));
    assert_string_equal(expr_render_text(&env, arena, buf_text(&whole), NULL, NULL), "2001");
    buf_clear(&whole);
    buf_puts(&whole, "{{ ");
    buf_puts(&whole, repeated(&part, "(", 400, "1"));
    buf_puts(&whole, repeated(&part, ")", 400, " }}"));
    assert_string_equal(expr_render_text(&env, arena, buf_text(&whole), NULL, NULL), "1");
    // a list grown element by element
    assert_string_equal(expr_render_text(&env, arena,
                                         "{% set x = [] %}{% for i in range(1, 3000) %}"
                                         "{% set x = x + [i] %}{% endfor %}{{ x | length }}",
                                         NULL, NULL),
                        "3000");
    // a hundred thousand rows
    assert_string_equal(expr_render_text(&env, arena,
                                         "{% for i in range(1, 100000) %}{{ i % 10 }}{% endfor %}",
                                         NULL, NULL) +
                            99990,
                        "1234567890");
    buf_free(&part);
    buf_free(&whole);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(expr_limits_stop_every_runaway_template),
    cmocka_unit_test(expr_limits_typed_results_that_share_parts),
    cmocka_unit_test(expr_limits_nesting_of_the_source),
    cmocka_unit_test(expr_limits_are_far_beyond_what_people_write),
};
TEST_GROUP(expr_limits, tests)
