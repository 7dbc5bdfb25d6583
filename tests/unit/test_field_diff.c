/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "core/value.h"
#include "core/yaml.h"
#include "reconciler/field_diff.h"
#include "tests/support/test.h"

static const struct value *parse(struct arena *arena, const char *yaml)
{
    struct error err = { 0 };
    const struct value *doc = yaml_parse(arena, yaml, strlen(yaml), NULL, &err);
    if (doc == NULL)
        fail_msg("%s", err.text);
    return doc;
}

/* Differences as lines "path: before -> after". */
static void assert_diff(const char *before, const char *after, const char *expected)
{
    struct arena *arena = arena_new();
    struct field_list list = { 0 };
    field_diff(arena, parse(arena, before), parse(arena, after), "", &list);
    struct buf out = { 0 };
    const struct field_change *change;
    VEC_EACH(change, &list.all)
        buf_printf(&out, "%s: %s -> %s\n", change->path,
                   change->before == NULL ? "-" : value_to_json(arena, change->before),
                   change->after == NULL ? "-" : value_to_json(arena, change->after));
    assert_string_equal(buf_text(&out), expected);
    buf_free(&out);
    arena_free(arena);
}

static void field_diff_names_the_fields_of_a_task_by_its_id(void **state)
{
    (void)state;
    assert_diff("id: a\ntasks:\n- {id: x, type: t, timeout: PT5M}\n- {id: y, type: t}\n",
                "id: a\ntasks:\n- {id: x, type: t, timeout: PT15M}\n- {id: y, type: t, n: 1}\n",
                "tasks.x.timeout: \"PT5M\" -> \"PT15M\"\ntasks.y.n: - -> 1\n");
}

static void field_diff_tells_moved_items_from_changed_ones(void **state)
{
    (void)state;
    assert_diff("tasks:\n- {id: x}\n- {id: y}\n- {id: z}\n",
                "tasks:\n- {id: z}\n- {id: w}\n- {id: x}\n",
                "tasks.y: {\"id\":\"y\"} -> -\ntasks.w: - -> {\"id\":\"w\"}\n"
                "tasks: [\"x\",\"z\"] -> [\"z\",\"x\"]\n");
}

static void field_diff_descends_into_nested_tasks_and_dags(void **state)
{
    (void)state;
    assert_diff("tasks:\n- id: p\n  tasks:\n  - task: {id: q, a: 1}\n    dependsOn: [r]\n",
                "tasks:\n- id: p\n  tasks:\n  - task: {id: q, a: 2}\n    dependsOn: [s]\n",
                "tasks.p.tasks.q.task.a: 1 -> 2\n"
                "tasks.p.tasks.q.dependsOn: [\"r\"] -> [\"s\"]\n");
}

static void field_diff_shows_kinds_and_absent_things_apart(void **state)
{
    (void)state;
    assert_diff("a: 1\nb: null\nc: {d: x}\n\"e.f\": 1\n", "a: '1'\nc: [x]\n\"e.f\": 2\n",
                "a: 1 -> \"1\"\nb: null -> -\nc: {\"d\":\"x\"} -> [\"x\"]\n[\"e.f\"]: 1 -> 2\n");
    assert_diff("a: 1\nb: 2\n", "b: 2\na: 1 # order and comments mean nothing\n", "");
}

static void field_diff_counts_lines_of_scripts(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct field_list list = { 0 };
    field_diff(arena, parse(arena, "s: |\n  a\n  b\n  c\n"),
               parse(arena, "s: |\n  a\n  x\n  y\n  c\n"), "", &list);
    assert_int_equal(list.all.count, 1);
    assert_int_equal(list.all.items[0].added, 2);
    assert_int_equal(list.all.items[0].removed, 1);
    arena_free(arena);
}

static void field_diff_is_bounded(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct buf before = { 0 };
    struct buf after = { 0 };
    for (int i = 0; i < 500; i++) {
        buf_printf(&before, "k%d: 1\n", i);
        buf_printf(&after, "k%d: 2\n", i);
    }
    buf_puts(&before, "long: x\n");
    buf_puts(&after, "long: ");
    for (int i = 0; i < 10000; i++)
        buf_puts(&after, "é");
    buf_puts(&after, "\n");
    struct field_list list = { 0 };
    field_diff(arena, parse(arena, before.bytes), parse(arena, after.bytes), "", &list);
    assert_int_equal(list.all.count, PLAN_FIELDS_MAX);
    assert_int_equal(list.more, 501 - PLAN_FIELDS_MAX);
    list = (struct field_list){ 0 };
    field_diff(arena, parse(arena, "long: x"), parse(arena, after.bytes), "", &list);
    assert_true(value_cstr(list.all.items[0].after) != NULL);
    assert_true(strlen(value_cstr(list.all.items[0].after)) <= PLAN_FIELD_BYTES_MAX + 4);
    buf_free(&before);
    buf_free(&after);
    arena_free(arena);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(field_diff_names_the_fields_of_a_task_by_its_id),
    cmocka_unit_test(field_diff_tells_moved_items_from_changed_ones),
    cmocka_unit_test(field_diff_descends_into_nested_tasks_and_dags),
    cmocka_unit_test(field_diff_shows_kinds_and_absent_things_apart),
    cmocka_unit_test(field_diff_counts_lines_of_scripts),
    cmocka_unit_test(field_diff_is_bounded),
};
TEST_GROUP(field_diff, tests)
