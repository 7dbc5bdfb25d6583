/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "reconciler/layout.h"
#include "tests/support/test.h"

static struct layout_rule rules[] = {
    { .role = LAYOUT_FLOW, .path = "flows", .namespace = "company" },
    { .role = LAYOUT_FLOW, .path = "plain" },
    { .role = LAYOUT_FILE, .path = "files/company.team", .namespace = "company.team" },
    { .role = LAYOUT_FILE, .path = "spaces" },
    { .role = LAYOUT_KV, .path = "kv/company.team.yaml", .namespace = "company.team" },
    { .role = LAYOUT_KV, .path = "kvs" },
    { .role = LAYOUT_MODULE, .path = "flows/modules" },
};
static const struct layout layout = { .rules = rules, .count = COUNT_OF(rules) };

static void layout_says_what_a_path_is_for(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum layout_role role;
        const char *namespace;
        const char *name;
    } rows[] = {
        { "flows/a.yml", LAYOUT_FLOW, "company", NULL },
        { "flows/team/x/a.yaml", LAYOUT_FLOW, "company.team.x", NULL },
        { "flows/README.md", LAYOUT_NONE, NULL, NULL },
        { "flows2/a.yml", LAYOUT_NONE, NULL, NULL },
        { "plain/a.yml", LAYOUT_FLOW, NULL, NULL },
        { "plain/company/team/a.yml", LAYOUT_FLOW, "company.team", NULL },
        { "files/company.team/q/o.sql", LAYOUT_FILE, "company.team", "q/o.sql" },
        { "files/other/o.sql", LAYOUT_NONE, NULL, NULL },
        { "spaces/company.x/o.sql", LAYOUT_FILE, "company.x", "o.sql" },
        { "spaces/o.sql", LAYOUT_NONE, NULL, NULL },
        { "kv/company.team.yaml", LAYOUT_KV, "company.team", NULL },
        { "kvs/company.x.yml", LAYOUT_KV, "company.x", NULL },
        { "kvs/deep/company.x.yml", LAYOUT_NONE, NULL, NULL },
        { "flows/modules/m/module.yaml", LAYOUT_MODULE, NULL, NULL },
        { "weir.yaml", LAYOUT_NONE, NULL, NULL },
    };
    struct arena *arena = arena_new();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct layout_place place = layout_place(&layout, arena, rows[i].path);
        if (place.role != rows[i].role)
            fail_msg("%s is %d", rows[i].path, place.role);
        if (rows[i].namespace == NULL)
            assert_null(place.namespace);
        else
            assert_string_equal(place.namespace, rows[i].namespace);
        if (rows[i].name != NULL)
            assert_string_equal(place.name, rows[i].name);
    }
    arena_free(arena);
}

static void layout_enters_only_folders_that_can_hold_something(void **state)
{
    (void)state;
    assert_true(layout_enters(&layout, "flows"));
    assert_true(layout_enters(&layout, "flows/team/deep"));
    assert_true(layout_enters(&layout, "files"));
    assert_true(layout_enters(&layout, "kv"));
    assert_false(layout_enters(&layout, "files/other"));
    assert_false(layout_enters(&layout, "data"));
    assert_false(layout_enters(&layout, "flow"));
}

static void layout_cleans_paths_and_refuses_those_that_leave(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    assert_string_equal(layout_clean(arena, "./flows//team/"), "flows/team");
    assert_string_equal(layout_clean(arena, "."), "");
    assert_string_equal(layout_clean(arena, ""), "");
    assert_null(layout_clean(arena, "/etc"));
    assert_null(layout_clean(arena, "flows/../../x"));
    arena_free(arena);
}

static void layout_recognises_flows_even_with_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_flow;
    } rows[] = {
        { "id: a\nnamespace: b\ntasks:\n", true },
        { "# c\nnamespace: b\nid: a\nbroken: [\n", true },
        { "id: a\nmodule: m\nwith: {}\n", true },
        { "\"id\": a\n'tasks': []\n", true },
        { "{\"id\": \"a\",\n \"tasks\": []}", true },
        { "id : a\ntriggers : []\n", true },
        { "name: ci\non: push\njobs:\n  id: x\n  tasks: y\n", false },
        { "version: 2\nmodels:\n  - id: x\n", false },
        { "idx: a\ntasks: []\n", false },
        { "id: only\n", false },
        { "", false },
        { "{", false },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (layout_looks_like_flow(rows[i].text, strlen(rows[i].text)) != rows[i].is_flow)
            fail_msg("row %zu: %s", i, rows[i].text);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(layout_says_what_a_path_is_for),
    cmocka_unit_test(layout_enters_only_folders_that_can_hold_something),
    cmocka_unit_test(layout_cleans_paths_and_refuses_those_that_leave),
    cmocka_unit_test(layout_recognises_flows_even_with_mistakes),
};
TEST_GROUP(layout, tests)
