/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "core/diag.h"
#include "core/flow.h"
#include "core/module.h"
#include "tests/support/test.h"
#include "tests/support/test_plugins.h"

static const struct module *parse(struct arena *arena, const char *text)
{
    struct diag_list findings = diag_list_new(arena, NULL);
    const struct module *module =
        module_parse(arena, "m", "modules/m/module.yaml", text, strlen(text), &findings);
    if (module == NULL)
        fail_msg("%s", findings.all.items[0].message);
    return module;
}

/* The flow that a file stands for; NULL with the findings as lines in *problems. */
static const char *expand(struct arena *arena,
                          const char *module_text,
                          const char *flow_text,
                          const char **problems)
{
    struct diag_list findings = diag_list_new(arena, "flows/f.yml");
    struct module_map map = { 0 };
    size_t length = 0;
    const struct module *module = parse(arena, module_text);
    const char *text = module_expand(arena, module, "flows/f.yml", flow_text, strlen(flow_text),
                                     "company", &length, &map, &findings);
    struct buf out = { 0 };
    const struct diag *diag;
    VEC_EACH(diag, &findings.all)
        buf_printf(&out, "%s:%u:%u %s\n", diag->file, diag->line, diag->column, diag->message);
    *problems = buf_dup(&out, arena);
    buf_free(&out);
    if (text != NULL)
        assert_int_equal(strlen(text), length);
    return text;
}

static void assert_expands(const char *module, const char *flow, const char *expected)
{
    struct arena *arena = arena_new();
    const char *problems = NULL;
    const char *text = expand(arena, module, flow, &problems);
    if (text == NULL)
        fail_msg("%s", problems);
    assert_string_equal(text, expected);
    arena_free(arena);
}

static void assert_refused(const char *module, const char *flow, const char *expected)
{
    struct arena *arena = arena_new();
    const char *problems = NULL;
    assert_null(expand(arena, module, flow, &problems));
    assert_string_equal(problems, expected);
    arena_free(arena);
}

static void module_fills_in_a_template_and_leaves_the_rest_alone(void **state)
{
    (void)state;
    assert_expands("description: d\n"
                   "inputs:\n"
                   "  - {id: connection, type: STRING}\n"
                   "  - {id: models, type: ARRAY, itemType: STRING, defaults: [all]}\n"
                   "  - {id: retries, type: INT, defaults: 3}\n"
                   "template: |\n"
                   "  # a comment stays\n"
                   "  tasks:\n"
                   "    - id: sync\n"
                   "      type: t\n"
                   "      connectionId: ${{ inputs.connection }}   # as does this\n"
                   "      message: \"{{ outputs.x }} of ${{ flow.namespace }}.${{ flow.id }}\"\n"
                   "      models: ${{ inputs.models }}\n"
                   "      retry: {maxAttempts: ${{ inputs.retries }}, type: constant}\n",
                   "id: orders\n"
                   "module: m\n"
                   "with:\n"
                   "  connection: 4f1c-9\n"
                   "labels:\n"
                   "  team: sales\n"
                   "\n"
                   "triggers: []\n",
                   "id: orders\n"
                   "namespace: company\n"
                   "labels:\n"
                   "  team: sales\n"
                   "\n"
                   "triggers: []\n"
                   "# a comment stays\n"
                   "tasks:\n"
                   "  - id: sync\n"
                   "    type: t\n"
                   "    connectionId: 4f1c-9   # as does this\n"
                   "    message: \"{{ outputs.x }} of company.orders\"\n"
                   "    models: [\"all\"]\n"
                   "    retry: {maxAttempts: 3, type: constant}\n");
}

static void module_writes_values_so_that_they_stay_what_they_are(void **state)
{
    (void)state;
    static const struct {
        const char *value; /* in `with` */
        const char *line;  /* of the template */
        const char *expected;
    } rows[] = {
        { "plain", "a: ${{ inputs.v }}", "a: plain" },
        { "'12'", "a: ${{ inputs.v }}", "a: \"12\"" },
        { "'true'", "a: ${{ inputs.v }}", "a: \"true\"" },
        { "'a: b'", "a: ${{ inputs.v }}", "a: \"a: b\"" },
        { "\"x\\ny\"", "a: ${{ inputs.v }}", "a: \"x\\ny\"" },
        { "'say \"hi\"'", "a: \"it: ${{ inputs.v }}!\"", "a: \"it: say \\\"hi\\\"!\"" },
        { "\"don't\"", "a: 'it: ${{ inputs.v }}!'", "a: 'it: don''t!'" },
        { "\"x\\ny\"", "a: |\n    run ${{ inputs.v }}\n    end", "a: |\n  run x\n  y\n  end" },
        { "plain", "a: pre-${{ inputs.v }}-post", "a: pre-plain-post" },
        { "plain", "a: don't ${{ inputs.v }}", "a: don't plain" },
        { "plain", "- ${{ inputs.v }}", "- plain" },
        { "'a b'", "a: [${{ inputs.v }}, ${{ inputs.v }}]", "a: [\"a b\", \"a b\"]" },
        { "plain", "a: 'it''s ${{ inputs.v }}'", "a: 'it''s plain'" },
        { "plain", "a: ${{ inputs.v | upper }}", "a: PLAIN" },
        { "plain", "a: \"{{ inputs.v }}\"", "a: \"{{ inputs.v }}\"" },
    };
    struct arena *arena = arena_new();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *module = arena_printf(
            arena, "inputs: [{id: v, type: STRING}]\ntemplate: |\n  %s\n", rows[i].line);
        const char *flow = arena_printf(arena, "id: f\nmodule: m\nwith: {v: %s}\n", rows[i].value);
        const char *expected =
            arena_printf(arena, "id: f\nnamespace: company\n%s\n", rows[i].expected);
        const char *problems = NULL;
        const char *text = expand(arena, module, flow, &problems);
        if (text == NULL)
            fail_msg("row %zu: %s", i, problems);
        if (!str_eq(text, expected))
            fail_msg("row %zu: %s", i, text);
    }
    arena_free(arena);
}

static void module_says_what_is_wrong_with_the_values(void **state)
{
    (void)state;
    static const char module[] = "inputs:\n  - {id: connection, type: STRING}\n"
                                 "  - {id: count, type: INT, defaults: 1}\n"
                                 "template: |\n  a: ${{ inputs.connection }}\n";
    assert_refused(module, "id: f\nmodule: m\nwith:\n  conection: x\n  connection: y\n",
                   "flows/f.yml:4:3 module 'm' has no input 'conection'\n");
    assert_refused(module, "module: m\n", "flows/f.yml:1:1 a flow needs an id\n");
    assert_refused(module, "  id: f\n  module: m\n  with: {connection: x}\n  labels: {}\n",
                   "flows/f.yml:1:3 a flow that uses a module is written with a key per line, "
                   "from the first column\n");
    struct arena *arena = arena_new();
    const char *problems = NULL;
    assert_null(expand(arena, module, "id: f\nmodule: m\n", &problems));
    assert_non_null(strstr(problems, "flows/f.yml:1:1"));
    assert_non_null(strstr(problems, "connection"));
    assert_null(expand(arena, module, "id: f\nmodule: m\nwith:\n  connection: x\n  count: many\n",
                       &problems));
    assert_non_null(strstr(problems, "flows/f.yml:5:3"));
    arena_free(arena);
}

static void module_says_where_a_template_cannot_be_filled_in(void **state)
{
    (void)state;
    static const char flow[] = "id: f\nmodule: m\nwith: {v: \"x\\ny\"}\n";
    assert_refused(
        "inputs: [{id: v, type: STRING}]\ntemplate: |\n  a: 1\n  b: pre ${{ inputs.v }}\n", flow,
        "modules/m/module.yaml:4:10 the value does not fit here; put the text around it "
        "into double quotes\n");
    assert_refused("inputs: [{id: v, type: STRING}]\ntemplate: |\n  a: ${{ inputs.v\n", flow,
                   "modules/m/module.yaml:3:6 '${{' without '}}'\n");
    struct arena *arena = arena_new();
    const char *problems = NULL;
    assert_null(expand(arena,
                       "inputs: [{id: v, type: STRING}]\ntemplate: |\n  a: ${{ inputs.w.x }}\n",
                       flow, &problems));
    assert_non_null(strstr(problems, "modules/m/module.yaml:3:6"));
    arena_free(arena);
}

static void module_yaml_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *part;
    } rows[] = {
        { "inputs: []\n", "template" },
        { "template: a\n", "must be a block" },
        { "template: >\n  a\n", "must be a block" },
        { "template: |\n  a: 1\ninput: []\n", "input" },
        { "template: |\n  a: 1\ninputs: {}\n", "inputs are a list" },
        { "template: |\n  a: 1\ninputs: [{id: x, type: WORD}]\n", "no known type" },
        { "template: |\n  a: 1\ninputs: [{type: STRING}]\n", "no id" },
        { "- a\n", "mapping" },
        { "a: [\n", "" },
    };
    struct arena *arena = arena_new();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct diag_list findings = diag_list_new(arena, NULL);
        assert_null(
            module_parse(arena, "m", "module.yaml", rows[i].text, strlen(rows[i].text), &findings));
        assert_true(findings.errors > 0);
        assert_string_equal(findings.all.items[0].file, "module.yaml");
        if (strstr(findings.all.items[0].message, rows[i].part) == NULL)
            fail_msg("row %zu: %s", i, findings.all.items[0].message);
    }
    arena_free(arena);
}

static void module_findings_point_at_the_lines_as_written(void **state)
{
    (void)state;
    static const char module_text[] = "inputs: [{id: v, type: STRING}]\n"
                                      "template: |\n"
                                      "\n"
                                      "    tasks:\n"
                                      "      - id: t\n"
                                      "        type: io.kestra.plugin.core.log.Log\n"
                                      "        mesage: ${{ inputs.v }}\n";
    static const char flow_text[] =
        "id: f\nmodule: m\nlabels: [{key: a}]\nwith: {v: x}\nlabel: 1\n";
    struct arena *arena = arena_new();
    struct diag_list findings = diag_list_new(arena, "flows/f.yml");
    struct module_map map = { 0 };
    size_t length = 0;
    const struct module *module = parse(arena, module_text);
    const char *text = module_expand(arena, module, "flows/f.yml", flow_text, strlen(flow_text),
                                     "company", &length, &map, &findings);
    assert_non_null(text);
    assert_string_equal(text,
                        "id: f\nnamespace: company\nlabels: [{key: a}]\nlabel: 1\n\ntasks:\n"
                        "  - id: t\n    type: io.kestra.plugin.core.log.Log\n    mesage: x\n");
    struct flow_options options = { .file = "flows/f.yml" };
    assert_null(flow_parse(test_plugins(), text, length, &options, &findings));
    module_place(module, &map, "flows/f.yml", &findings);
    bool in_flow = false;
    bool in_module = false;
    const struct diag *diag;
    VEC_EACH(diag, &findings.all) {
        in_flow = in_flow || (str_eq(diag->file, "flows/f.yml") && diag->line == 5);
        in_module = in_module || (str_eq(diag->file, "modules/m/module.yaml") && diag->line == 7 &&
                                  diag->column == 9);
    }
    assert_true(in_flow);
    assert_true(in_module);
    arena_free(arena);
}

static void module_of_finds_the_name_of_a_module(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *name;
    } rows[] = {
        { "id: a\nmodule: m\n", "m" },
        { "module: 'x-y'\nid: a\n", "x-y" },
        { "id: a\ntasks:\n  module: m\n", NULL },
        { "id: a\nscript: |\nmodule: [\n", NULL },
        { "", NULL },
    };
    struct arena *arena = arena_new();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *name = module_of(arena, rows[i].text, strlen(rows[i].text));
        if (!str_eq(name, rows[i].name))
            fail_msg("row %zu: %s", i, name == NULL ? "none" : name);
    }
    arena_free(arena);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(module_fills_in_a_template_and_leaves_the_rest_alone),
    cmocka_unit_test(module_writes_values_so_that_they_stay_what_they_are),
    cmocka_unit_test(module_says_what_is_wrong_with_the_values),
    cmocka_unit_test(module_says_where_a_template_cannot_be_filled_in),
    cmocka_unit_test(module_yaml_is_checked),
    cmocka_unit_test(module_findings_point_at_the_lines_as_written),
    cmocka_unit_test(module_of_finds_the_name_of_a_module),
};
TEST_GROUP(module, tests)
