/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "core/diag.h"
#include "core/value.h"
#include "core/yaml.h"
#include "tests/support/test.h"

static const char flow_text[] = "id: a\n"
                                "tasks:\n"
                                "  - id: x\n"
                                "    comands: [a]\n";

static const char *render(struct arena *arena, const struct diag *diag, const char *source)
{
    struct buf out = { 0 };
    diag_render(&out, diag, source, false);
    const char *text = buf_dup(&out, arena);
    buf_free(&out);
    return text;
}

static const struct value *first_task(struct arena *arena)
{
    const struct value *doc = yaml_parse(arena, flow_text, strlen(flow_text), NULL, NULL);
    return value_item(value_get(doc, "tasks"), 0);
}

static void diag_shows_the_line_and_underlines_the_key(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, "flows/a.yml");
    const struct value *task = first_task(arena);
    struct diag *diag = diag_add(&list, DIAG_ERROR, DIAG_TYPE, "unknown-property", task, "tasks[0]",
                                 "unknown property '%s'", "comands");
    diag_point(diag, value_member(task, "comands"));
    diag->advice = "did you mean 'commands'?";
    diag->see = "weir docs shell.Commands";
    assert_string_equal(render(arena, diag, flow_text), "error: unknown property 'comands'\n"
                                                        " --> flows/a.yml:4:5\n"
                                                        "  |\n"
                                                        "3 |   - id: x\n"
                                                        "4 |     comands: [a]\n"
                                                        "  |     ^^^^^^^ did you mean 'commands'?\n"
                                                        "  |\n"
                                                        "  = see: weir docs shell.Commands\n");
}

static void diag_without_source_gives_advice_on_a_line_of_its_own(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, "f.yml");
    struct diag *diag =
        diag_add(&list, DIAG_WARNING, DIAG_RULE, "no-subflow", NULL, NULL, "subflow 'a' missing");
    diag->line = 122;
    diag->column = 13;
    diag->advice = "did you mean 'b'?";
    assert_string_equal(render(arena, diag, NULL), "warning: subflow 'a' missing\n"
                                                   "   --> f.yml:122:13\n"
                                                   "    = did you mean 'b'?\n");
}

static void diag_cuts_long_lines_around_the_place(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, NULL);
    char source[3000];
    memset(source, 'a', sizeof(source));
    source[2000] = 'X';
    source[sizeof(source) - 1] = '\0';
    struct diag *diag = diag_add(&list, DIAG_ERROR, DIAG_SYNTAX, "x", NULL, NULL, "bad");
    diag->line = 1;
    diag->column = 2001;
    const char *text = render(arena, diag, source);
    assert_in_range(strlen(text), 0, 400);
    const char *marked = strstr(text, "1 | ");
    const char *caret = strchr(text, '^');
    assert_non_null(marked);
    assert_non_null(caret);
    // "…" is three bytes and one column
    ptrdiff_t x_column = strchr(marked, 'X') - marked - 2;
    const char *caret_line = strrchr(text, '|');
    assert_int_equal(x_column, caret - caret_line + 2);
}

static void diag_render_never_passes_control_characters_on(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, NULL);
    struct diag *diag = diag_add(&list, DIAG_ERROR, DIAG_SYNTAX, "x", NULL, NULL, "bad");
    diag->line = 1;
    diag->column = 3;
    assert_null(strchr(render(arena, diag, "a\x1b[31m\xff"), '\x1b'));
}

static void diag_sort_keeps_the_order_at_one_place(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, "b");
    static const uint32_t lines[] = { 3, 1, 3, 1, 2 };
    for (size_t i = 0; i < 5; i++) {
        struct diag *diag =
            diag_add(&list, DIAG_ERROR, DIAG_RULE, "x", NULL, NULL, "%c", (char)('a' + (int)i));
        diag->line = lines[i];
    }
    diag_sort(&list);
    char order[6] = "";
    for (size_t i = 0; i < 5; i++)
        order[i] = list.all.items[i].message[0];
    assert_string_equal(order, "bdeac");
}

static void diag_constraints_use_the_words_of_the_api(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, "f");
    assert_null(diag_constraints(&list, true));
    (void)diag_add(&list, DIAG_WARNING, DIAG_RULE, "w", NULL, NULL, "only a warning");
    assert_null(diag_constraints(&list, true));
    struct diag *diag = diag_add(&list, DIAG_ERROR, DIAG_RULE, "duplicate-id", NULL, "", "twice");
    diag->api = "Duplicate task id with name [a]";
    (void)diag_add(&list, DIAG_ERROR, DIAG_RULE, "x", NULL, "", "other");
    (void)diag_add(&list, DIAG_ERROR, DIAG_CONSTRAINT, "x", NULL, "tasks[0].id",
                   "must not be null");
    (void)diag_add(&list, DIAG_ERROR, DIAG_TYPE, "x", NULL, "tasks[1]", "Invalid type: a.b");
    assert_string_equal(diag_constraints(&list, true),
                        "Validation error: tasks[0].id: must not be null\n"
                        "Invalid type: a.b\n"
                        "Invalid Flow: Duplicate task id with name [a], other");
    diag = diag_add(&list, DIAG_ERROR, DIAG_SYNTAX, "x", NULL, "", "bad enum");
    diag->line = 7;
    assert_true(strncmp(diag_constraints(&list, false),
                        "Illegal flow source: bad enum (at line 7)\n"
                        "tasks[0].id: must not be null\n",
                        60) == 0);
}

static void diag_list_counts_what_it_does_not_keep(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, "f");
    for (size_t i = 0; i < DIAG_LIST_MAX + 5; i++)
        diag_add(&list, DIAG_ERROR, DIAG_RULE, "x", NULL, NULL, "n")->advice = "writable";
    assert_int_equal(list.all.count, DIAG_LIST_MAX);
    assert_int_equal(list.errors, DIAG_LIST_MAX + 5);
    assert_int_equal(list.dropped, 5);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(diag_shows_the_line_and_underlines_the_key),
    cmocka_unit_test(diag_without_source_gives_advice_on_a_line_of_its_own),
    cmocka_unit_test(diag_cuts_long_lines_around_the_place),
    cmocka_unit_test(diag_render_never_passes_control_characters_on),
    cmocka_unit_test(diag_sort_keeps_the_order_at_one_place),
    cmocka_unit_test(diag_constraints_use_the_words_of_the_api),
    cmocka_unit_test(diag_list_counts_what_it_does_not_keep),
};
TEST_GROUP(diag, tests)
