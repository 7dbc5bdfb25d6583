/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Schemas and reference pages made from the tables. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "core/config.h"
#include "core/docgen.h"
#include "core/json.h"
#include "core/plugin.h"
#include "core/repo_config.h"
#include "core/schema.h"
#include "core/value.h"
#include "tests/support/test.h"
#include "tests/support/test_plugins.h"

#define LOG "io.kestra.plugin.core.log.Log"

static const struct value *member(const struct value *map, const char *key)
{
    const struct value *value = value_get(map, key);
    if (value == NULL)
        fail_msg("no member '%s'", key);
    return value;
}

static bool list_has(const struct value *list, const char *text)
{
    for (size_t i = 0; i < value_count(list); i++) {
        if (strcmp(value_cstr(value_item(list, i)), text) == 0)
            return true;
    }
    return false;
}

static void schema_of_flows_knows_every_type_by_all_its_names(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    const struct value *schema = schema_flow(arena, test_plugins());
    const struct value *definitions = member(schema, "definitions");
    const struct value *task = member(definitions, "task");
    const struct value *types = member(member(member(task, "properties"), "type"), "enum");
    assert_true(list_has(types, LOG));
    assert_true(list_has(types, "io.kestra.core.tasks.log.Log"));
    assert_false(list_has(types, "io.kestra.plugin.core.trigger.Webhook"));

    const struct value *log = member(definitions, LOG);
    assert_true(list_has(member(log, "required"), "message"));
    assert_true(list_has(member(log, "required"), "id"));
    assert_false(value_get_bool(log, "additionalProperties", true));
    const struct value *level = member(member(log, "properties"), "level");
    assert_string_equal(value_get_text(level, "default", ""), "INFO");
    assert_int_equal(value_count(member(level, "anyOf")), 2);

    const struct value *sequence = member(definitions, "io.kestra.plugin.core.flow.Sequential");
    const struct value *tasks = member(member(sequence, "properties"), "tasks");
    assert_string_equal(value_get_text(member(tasks, "items"), "$ref", ""), "#/definitions/task");
    assert_non_null(value_get(member(sequence, "properties"), "errors"));

    const struct value *pause = member(definitions, "io.kestra.plugin.core.flow.Pause");
    const struct value *delay = member(member(pause, "properties"), "delay");
    assert_true(value_get_bool(delay, "deprecated", false));
    assert_non_null(member(member(definitions, "input.SELECT"), "properties"));
    const struct value *id = member(member(schema, "properties"), "id");
    assert_string_equal(value_get_text(id, "pattern", ""), "^[a-zA-Z0-9][a-zA-Z0-9._-]*$");
    assert_true(list_has(member(schema, "required"), "tasks"));
}

static void schema_references_all_resolve_in(const struct value *value,
                                             const struct value *definitions)
{
    const char *prefix = "#/definitions/";
    for (size_t i = 0; value_is_map(value) && i < value->map.count; i++) {
        const struct value_member *m = &value->map.members[i];
        if (strcmp(m->key, "$ref") == 0 && value_is_string(m->value))
            (void)member(definitions, value_cstr(m->value) + strlen(prefix));
        schema_references_all_resolve_in(m->value, definitions);
    }
    for (size_t i = 0; value_is_list(value) && i < value->list.count; i++)
        schema_references_all_resolve_in(value->list.items[i], definitions);
}

static void schema_references_all_resolve(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    const struct value *schema = schema_flow(arena, test_plugins());
    schema_references_all_resolve_in(schema, member(schema, "definitions"));
}

static void schema_nests_settings_by_their_dots(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    static const struct setting rows[] = {
        { .name = "a", .kind = SETTING_BOOL, .doc = "A." },
        { .name = "b.c", .kind = SETTING_INT, .min = 1, .max = 5, .doc = "C." },
        { .name = "b.d.e", .kind = SETTING_TEXT, .doc = "E." },
        { .name = NULL },
    };
    const struct value *schema = schema_settings(arena, rows);
    const struct value *b = member(member(schema, "properties"), "b");
    assert_int_equal(value_get_int(member(member(b, "properties"), "c"), "maximum", 0), 5);
    assert_non_null(member(member(member(member(b, "properties"), "d"), "properties"), "e"));
}

static void schema_text_reads_back_as_the_same_value(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    const struct value *schema =
        schema_table(arena, "weir/repository.json", "x", repo_config_props);
    struct buf out = { 0 };
    schema_write(&out, schema);
    assert_true(value_equal(schema, json_parse(arena, out.bytes, out.length, NULL)));
    assert_true(strncmp(out.bytes, "{\n  \"$schema\": ", 15) == 0);
    buf_free(&out);
}

static void docgen_page_names_properties_defaults_and_examples(void **state)
{
    (void)state;
    static const struct plugin_example examples[] = {
        { "Greet", "message: hello\n" },
        { "Everything", "id: whole\nnamespace: a\ntasks: []\n" },
        { 0 },
    };
    static const struct plugin_output outputs[] = { { "value", "string", "What was said." },
                                                    { 0 } };
    struct plugin plugin = *plugin_find(test_plugins(), LOG);
    plugin.title = "Write a line.";
    plugin.examples = examples;
    plugin.outputs = outputs;
    struct buf out = { 0 };
    docgen_plugin(&out, &plugin);
    assert_non_null(strstr(out.bytes, "# " LOG "\n"));
    assert_non_null(strstr(out.bytes, "| `message` * | text, or list of texts |"));
    assert_non_null(strstr(out.bytes, "| `INFO` |"));
    assert_non_null(strstr(out.bytes, "| `value` | string | What was said. |"));
    assert_non_null(strstr(out.bytes, "  - id: log\n    type: " LOG "\n    message: hello\n"));
    assert_non_null(strstr(out.bytes, "```yaml\nid: whole\n"));
    assert_non_null(strstr(out.bytes, "Older names: `io.kestra.core.tasks.log.Log`."));
    buf_free(&out);
}

static void docgen_shows_what_is_inside_objects(void **state)
{
    (void)state;
    struct buf out = { 0 };
    docgen_table(&out, "weir.yaml", "Text.", repo_config_props);
    assert_non_null(strstr(out.bytes, "| `policy.deletions.perCommit` | integer | `-1` |"));
    assert_non_null(strstr(out.bytes, "| `policy.windows[].allow` * | text |"));
    buf_free(&out);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(schema_of_flows_knows_every_type_by_all_its_names),
    cmocka_unit_test(schema_references_all_resolve),
    cmocka_unit_test(schema_nests_settings_by_their_dots),
    cmocka_unit_test(schema_text_reads_back_as_the_same_value),
    cmocka_unit_test(docgen_page_names_properties_defaults_and_examples),
    cmocka_unit_test(docgen_shows_what_is_inside_objects),
};
TEST_GROUP(schema, tests)
