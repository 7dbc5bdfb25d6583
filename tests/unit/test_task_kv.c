/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/plugin.h"
#include "runtime/plugins.h"
#include "tests/support/fake_task.h"
#include "tests/support/test.h"

extern const struct plugin task_kv_set;
extern const struct plugin task_kv_get;
extern const struct plugin task_kv_delete;
extern const struct plugin task_kv_get_keys;
extern const struct plugin task_kv_put;
extern const struct plugin task_kv_purge;
extern const struct plugin task_state_get;
extern const struct plugin task_state_set;
extern const struct plugin task_state_delete;

static int set_up(void **state)
{
    *state = fake_task_new();
    return 0;
}

static int tear_down(void **state)
{
    fake_task_free(*state);
    return 0;
}

static void kv_set_keeps_the_type_of_an_expression(void **state)
{
    struct fake_task *fake = *state;
    ASSERT_RUNS(fake, &task_kv_set, "key: a\nvalue: \"{{ flow.revision + 1 }}\"");
    assert_string_equal(fake_kv_get(fake, "company.team", "a"), "2");
    ASSERT_RUNS(fake, &task_kv_set, "key: a\nvalue: plain");
    assert_string_equal(fake_kv_get(fake, "company.team", "a"), "\"plain\"");
    ASSERT_RUNS(fake, &task_kv_set, "key: a\nvalue: \"{{ flow }}\"");
    assert_string_equal(fake_kv_get(fake, "company.team", "a"),
                        "{\"id\":\"my_flow\",\"namespace\":\"company.team\",\"revision\":1}");
    assert_string_equal(fake->kv.items[0].entry.type, "JSON");
    assert_null(fake_output(fake, "value"));
}

static void kv_set_converts_to_the_kind_that_is_asked_for(void **state)
{
    struct fake_task *fake = *state;
    static const struct {
        const char *yaml;
        const char *json;
        const char *type;
    } cases[] = {
        { "kvType: NUMBER\nvalue: \"12\"", "12", "NUMBER" },
        { "kvType: NUMBER\nvalue: \"1.5\"", "1.5", "NUMBER" },
        { "kvType: BOOLEAN\nvalue: \"true\"", "true", "BOOLEAN" },
        { "kvType: STRING\nvalue: 12", "\"12\"", "STRING" },
        { "kvType: DURATION\nvalue: PT5M", "\"PT5M\"", "DURATION" },
        { "kvType: DATETIME\nvalue: \"2024-05-01T10:00:00Z\"", "\"2024-05-01T10:00:00Z\"",
          "DATETIME" },
        { "kvType: DATE\nvalue: \"2024-05-01\"", "\"2024-05-01\"", "DATE" },
        { "kvType: JSON\nvalue: '{\"a\": [1]}'", "{\"a\":[1]}", "JSON" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char yaml[200];
        (void)snprintf(yaml, sizeof(yaml), "key: k\n%s", cases[i].yaml);
        ASSERT_RUNS(fake, &task_kv_set, yaml);
        assert_string_equal(fake_kv_get(fake, "company.team", "k"), cases[i].json);
        assert_string_equal(fake->kv.items[0].entry.type, cases[i].type);
    }
    ASSERT_FAILS(fake, &task_kv_set, "key: k\nkvType: NUMBER\nvalue: abc", "not a NUMBER");
    ASSERT_FAILS(fake, &task_kv_set, "key: k\nkvType: DURATION\nvalue: soon", "not a DURATION");
    ASSERT_FAILS(fake, &task_kv_set, "key: k\nkvType: JSON\nvalue: '{'", "");
}

static void kv_set_does_not_overwrite_when_told_so(void **state)
{
    struct fake_task *fake = *state;
    ASSERT_RUNS(fake, &task_kv_set, "key: a\nvalue: 1\noverwrite: false\nttl: PT1H");
    assert_true(fake->kv.items[0].entry.expires_at > clock_now() + 59 * USEC_MIN);
    assert_true(fake->kv.items[0].entry.expires_at < clock_now() + 61 * USEC_MIN);
    ASSERT_FAILS(fake, &task_kv_set, "key: a\nvalue: 2\noverwrite: false", "Key already exists");
    assert_string_equal(fake_kv_get(fake, "company.team", "a"), "1");
    ASSERT_FAILS(fake, &task_kv_set, "key: \"-a\"\nvalue: 2", "is not a key");
}

static void kv_get_looks_in_ancestors_of_the_own_namespace_only(void **state)
{
    struct fake_task *fake = *state;
    fake_kv(fake, "company", "up", "\"above\"");
    fake_kv(fake, "other", "up", "\"elsewhere\"");
    ASSERT_RUNS(fake, &task_kv_get, "key: up");
    assert_string_equal(fake_output(fake, "value"), "above");
    ASSERT_RUNS(fake, &task_kv_get, "key: up\nnamespace: other");
    assert_string_equal(fake_output(fake, "value"), "elsewhere");
    ASSERT_RUNS(fake, &task_kv_get, "key: up\nnamespace: other.below");
    assert_string_equal(fake_output(fake, "value"), "null");
}

static void kv_get_of_a_missing_key_is_null_or_fails(void **state)
{
    struct fake_task *fake = *state;
    ASSERT_RUNS(fake, &task_kv_get, "key: none");
    assert_string_equal(fake_output(fake, "value"), "null");
    ASSERT_FAILS(fake, &task_kv_get, "key: none\nerrorOnMissing: true",
                 "No value found for key 'none' in namespace 'company.team'");
}

static void kv_delete_tells_whether_there_was_a_key(void **state)
{
    struct fake_task *fake = *state;
    fake_kv(fake, "company.team", "a", "1");
    ASSERT_RUNS(fake, &task_kv_delete, "key: a");
    assert_string_equal(fake_output(fake, "deleted"), "true");
    ASSERT_RUNS(fake, &task_kv_delete, "key: a");
    assert_string_equal(fake_output(fake, "deleted"), "false");
    ASSERT_FAILS(fake, &task_kv_delete, "key: a\nerrorOnMissing: true", "No value found");
}

static void kv_get_keys_lists_by_prefix(void **state)
{
    struct fake_task *fake = *state;
    fake_kv(fake, "company.team", "a-1", "1");
    fake_kv(fake, "company.team", "b", "1");
    fake_kv(fake, "company", "a-2", "1");
    ASSERT_RUNS(fake, &task_kv_get_keys, "");
    assert_string_equal(fake_output(fake, "keys"), "[\"a-1\",\"b\"]");
    ASSERT_RUNS(fake, &task_kv_get_keys, "prefix: a");
    assert_string_equal(fake_output(fake, "keys"), "[\"a-1\"]");
    ASSERT_RUNS(fake, &task_kv_get_keys, "prefix: none");
    assert_string_equal(fake_output(fake, "keys"), "[]");
}

static void kv_put_merges_maps_and_appends_lists(void **state)
{
    struct fake_task *fake = *state;
    fake_kv(fake, "company.team", "m", "{\"a\":{\"x\":1,\"l\":[1]},\"b\":2}");
    ASSERT_RUNS(fake, &task_kv_put, "key: m\nvalue:\n  a:\n    y: 2\n    l: [2]\n  b: 3");
    assert_string_equal(fake_kv_get(fake, "company.team", "m"),
                        "{\"a\":{\"x\":1,\"l\":[1,2],\"y\":2},\"b\":3}");
    ASSERT_RUNS(fake, &task_kv_put, "key: new\nvalue: {a: 1}");
    assert_string_equal(fake_kv_get(fake, "company.team", "new"), "{\"a\":1}");
    ASSERT_FAILS(fake, &task_kv_put, "key: gone\nvalue: {a: 1}\nerrorOnMissing: true",
                 "No value found");
    ASSERT_FAILS(fake, &task_kv_put, "key: m\nvalue: text", "must be a map");
    fake_kv(fake, "company.team", "n", "1");
    ASSERT_FAILS(fake, &task_kv_put, "key: n\nvalue: {a: 1}", "is not a map");
}

static void kv_purge_hands_its_scope_over(void **state)
{
    struct fake_task *fake = *state;
    static char answer[] = "{\"count\": 3}";
    (void)map_put(&fake->operation_answers, "kv.purge", answer);
    ASSERT_RUNS(fake, &task_kv_purge, "namespaces: [a.b]\nkeyPattern: \"x*\"");
    assert_string_equal(fake_output(fake, "size"), "3");
    ASSERT_RUNS(fake, &task_kv_purge,
                "namespacePattern: \"a.*\"\nbehavior:\n  type: version\n  keepAmount: 2");
    ASSERT_RUNS(fake, &task_kv_purge, "behavior:\n  type: version"); // no version, and no key
    ASSERT_RUNS(fake, &task_kv_purge, "expiredOnly: false");
    assert_string_equal(
        buf_text(&fake->operations),
        "kv.purge {\"namespaces\":[\"a.b\"],\"includeChildNamespaces\":true,\"keyPattern\":\"x*\","
        "\"expiredOnly\":true}\n"
        "kv.purge {\"namespacePattern\":\"a.*\",\"includeChildNamespaces\":true,\"keepAmount\":2}\n"
        "kv.purge {\"includeChildNamespaces\":true,\"keepAmount\":0}\n"
        "kv.purge {\"includeChildNamespaces\":true,\"expiredOnly\":false}\n");
    ASSERT_FAILS(fake, &task_kv_purge, "namespaces: [a]\nnamespacePattern: b", "not both");
}

static void state_is_kept_per_flow_and_iteration_value(void **state)
{
    struct fake_task *fake = *state;
    ASSERT_RUNS(fake, &task_state_set, "name: s\ndata: {a: 1, m: {x: 1}}");
    assert_string_equal(fake_output(fake, "count"), "2");
    ASSERT_RUNS(fake, &task_state_set, "name: s\ndata: {m: {y: \"{{ flow.revision }}\"}}");
    ASSERT_RUNS(fake, &task_state_get, "name: s");
    assert_string_equal(fake_output(fake, "data"), "{\"a\":1,\"m\":{\"x\":1,\"y\":\"1\"}}");

    fake->job.ctx.value = "b";
    ASSERT_RUNS(fake, &task_state_get, "name: s");
    assert_string_equal(fake_output(fake, "count"), "0");
    assert_string_equal(fake_output(fake, "data"), "{}");
    ASSERT_RUNS(fake, &task_state_get, "name: s\ntaskrunValue: false");
    assert_string_equal(fake_output(fake, "count"), "2");
    fake->job.ctx.value = NULL;

    fake->job.ctx.flow_id = "other";
    ASSERT_RUNS(fake, &task_state_get, "name: s");
    assert_string_equal(fake_output(fake, "count"), "0");
    ASSERT_RUNS(fake, &task_state_set, "namespace: true\ndata: {shared: yes}");
    fake->job.ctx.flow_id = "third";
    ASSERT_RUNS(fake, &task_state_get, "namespace: true");
    assert_string_equal(fake_output(fake, "count"), "1");
}

static void state_delete_of_a_missing_state_fails_when_asked(void **state)
{
    struct fake_task *fake = *state;
    ASSERT_RUNS(fake, &task_state_set, "name: there\ndata: {a: b}");
    ASSERT_RUNS(fake, &task_state_delete, "name: there\nerrorOnMissing: true");
    assert_string_equal(fake_output(fake, "deleted"), "true");
    ASSERT_RUNS(fake, &task_state_delete, "name: there");
    assert_string_equal(fake_output(fake, "deleted"), "false");
    ASSERT_FAILS(fake, &task_state_delete, "name: there\nerrorOnMissing: true",
                 "Unable to find state");
    ASSERT_FAILS(fake, &task_state_get, "name: there\nerrorOnMissing: true",
                 "Unable to find state");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    TEST(kv_set_keeps_the_type_of_an_expression),
    TEST(kv_set_converts_to_the_kind_that_is_asked_for),
    TEST(kv_set_does_not_overwrite_when_told_so),
    TEST(kv_get_looks_in_ancestors_of_the_own_namespace_only),
    TEST(kv_get_of_a_missing_key_is_null_or_fails),
    TEST(kv_delete_tells_whether_there_was_a_key),
    TEST(kv_get_keys_lists_by_prefix),
    TEST(kv_put_merges_maps_and_appends_lists),
    TEST(kv_purge_hands_its_scope_over),
    TEST(state_is_kept_per_flow_and_iteration_value),
    TEST(state_delete_of_a_missing_state_fails_when_asked),
};
TEST_GROUP(task_kv, tests)
