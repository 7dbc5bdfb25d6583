/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"
#include "core/expr/expr.h"
#include "core/inputs.h"
#include "core/json.h"
#include "core/value.h"
#include "tests/support/test.h"

/* ---- helpers ---- */

static const struct value *json(struct arena *arena, const char *text)
{
    struct error err = { 0 };
    const struct value *value = json_parse(arena, text, strlen(text), &err);
    if (value == NULL)
        fail_msg("%s: %s", text, err.text);
    return value;
}

static char cipher_prefix[] = "~";

/* A cipher that a test can read. */
static const struct value *test_encrypt(void *data,
                                        struct arena *arena,
                                        const struct value *clear,
                                        struct error *err)
{
    (void)err;
    struct value_builder map = value_build(arena);
    value_put_text(&map, "type", "io.kestra.datatype:aes_encrypted");
    value_put_text(&map, "value",
                   arena_printf(arena, "%s%s", (const char *)data, value_cstr(clear)));
    return value_build_map(&map);
}

static struct inputs_request request_of(struct arena *arena,
                                        struct expr_env *env,
                                        const struct flow_input *inputs,
                                        size_t count,
                                        const char *supplied)
{
    return (struct inputs_request){
        .inputs = inputs,
        .count = count,
        .supplied = supplied == NULL ? NULL : json(arena, supplied),
        .env = env,
        .owner = "company.team.load",
        .encrypt = test_encrypt,
        .encrypt_data = cipher_prefix,
    };
}

static struct inputs_result resolve(struct arena *arena,
                                    const struct flow_input *inputs,
                                    size_t count,
                                    const char *supplied)
{
    struct expr_env env = { .context = json(arena, "{\"vars\": {\"n\": 7}}") };
    struct inputs_request request = request_of(arena, &env, inputs, count, supplied);
    struct inputs_result result;
    struct error err = { 0 };
    if (!inputs_resolve(&request, arena, &result, &err))
        fail_msg("%s: %s", supplied, err.text);
    return result;
}

static void assert_json(const struct value *value, const char *expected)
{
    struct buf buf = { 0 };
    value_write_json_full(&buf, value);
    if (strcmp(buf_text(&buf), expected) != 0)
        fail_msg("%s instead of %s", buf_text(&buf), expected);
    buf_free(&buf);
}

/* ---- every type ---- */

struct type_case {
    enum input_type type;
    const char *doc;    /* extra properties, JSON */
    const char *given;  /* JSON */
    const char *stored; /* JSON; NULL: refused */
    const char *error;  /* fragment */
};

static const struct type_case type_cases[] = {
    { INPUT_STRING, "{}", "\"a\"", "\"a\"", NULL },
    { INPUT_STRING, "{}", "\"\"", "\"\"", NULL },
    { INPUT_STRING, "{}", "42", "\"42\"", NULL },
    { INPUT_STRING, "{\"validator\": \"A\\\\d+\"}", "\"A1\"", "\"A1\"", NULL },
    { INPUT_STRING, "{\"validator\": \"A\\\\d+\"}", "\"xA1\"", NULL,
      "it must match the pattern `A\\d+`" },
    { INPUT_EMAIL, "{}", "\"a.b@example.com\"", "\"a.b@example.com\"", NULL },
    { INPUT_EMAIL, "{}", "\"\"", "\"\"", NULL },
    { INPUT_EMAIL, "{}", "\"nobody\"", NULL, "The input must be a valid email" },
    { INPUT_INT, "{}", "\"42\"", "42", NULL },
    { INPUT_INT, "{}", "\"-7\"", "-7", NULL },
    { INPUT_INT, "{}", "42.0", "42", NULL },
    { INPUT_INT, "{}", "42.5", NULL, "`42.5` is not an integer" },
    { INPUT_INT, "{}", "\"x\"", NULL, "`x` is not an integer" },
    { INPUT_INT, "{\"min\": 10, \"max\": 20}", "\"10\"", "10", NULL },
    { INPUT_INT, "{\"min\": 10, \"max\": 20}", "\"20\"", "20", NULL },
    { INPUT_INT, "{\"min\": 10, \"max\": 20}", "\"9\"", NULL, "it must be more than `10`" },
    { INPUT_INT, "{\"min\": 10, \"max\": 20}", "\"21\"", NULL, "it must be less than `20`" },
    { INPUT_FLOAT, "{}", "\"42.42\"", "42.42", NULL },
    { INPUT_FLOAT, "{\"min\": 0.1, \"max\": 0.5}", "0.5", "0.5", NULL },
    { INPUT_FLOAT, "{\"min\": 0.1, \"max\": 0.5}", "\"0.05\"", NULL, "it must be more than `0.1`" },
    { INPUT_FLOAT, "{\"min\": 0.1, \"max\": 0.5}", "\"0.6\"", NULL, "it must be less than `0.5`" },
    { INPUT_FLOAT, "{}", "\"many\"", NULL, "`many` is not a number" },
    { INPUT_BOOL, "{}", "\"TRUE\"", "true", NULL },
    { INPUT_BOOL, "{}", "true", "true", NULL },
    { INPUT_BOOL, "{}", "\"yes\"", "false", NULL },
    { INPUT_BOOLEAN, "{}", "\"true\"", "true", NULL },
    { INPUT_DATETIME, "{}", "\"2019-10-06T18:27:49+02:00\"", "\"2019-10-06T16:27:49Z\"", NULL },
    { INPUT_DATETIME, "{}", "\"2019-10-06T18:27:49\"", NULL, "is not a date and time" },
    { INPUT_DATETIME, "{\"after\": \"2023-01-01T00:00:00Z\"}", "\"2022-01-01T00:00:00Z\"", NULL,
      "it must be after `2023-01-01T00:00:00Z`" },
    { INPUT_DATETIME, "{\"before\": \"2023-12-31T23:59:59Z\"}", "\"2024-01-01T00:00:00Z\"", NULL,
      "it must be before `2023-12-31T23:59:59Z`" },
    { INPUT_DATE, "{}", "\"2019-10-06\"", "\"2019-10-06\"", NULL },
    { INPUT_DATE, "{}", "\"2019-10-06T00:00:00Z\"", NULL, "is not a date" },
    { INPUT_DATE, "{\"after\": \"2023-01-01\"}", "\"2022-01-01\"", NULL,
      "it must be after `2023-01-01`" },
    { INPUT_DATE, "{\"before\": \"2023-12-31\"}", "\"2024-01-01\"", NULL,
      "it must be before `2023-12-31`" },
    { INPUT_TIME, "{}", "\"18:27:49\"", "\"18:27:49\"", NULL },
    { INPUT_TIME, "{}", "\"18:27\"", "\"18:27:00\"", NULL },
    { INPUT_TIME, "{\"after\": \"01:00:00\"}", "\"00:59:59\"", NULL,
      "it must be after `01:00:00`" },
    { INPUT_TIME, "{\"before\": \"11:59:59\"}", "\"12:00:00\"", NULL,
      "it must be before `11:59:59`" },
    { INPUT_DURATION, "{}", "\"PT5M6S\"", "306.0", NULL },
    { INPUT_DURATION, "{}", "0.25", "0.25", NULL },
    { INPUT_DURATION, "{}", "\"P1W\"", NULL, "is not an ISO 8601 duration" },
    { INPUT_DURATION, "{\"min\": \"PT10S\"}", "\"PT5S\"", NULL, "it must be more than `PT10S`" },
    { INPUT_DURATION, "{\"max\": \"PT20S\"}", "\"PT21S\"", NULL, "it must be less than `PT20S`" },
    { INPUT_FILE, "{}", "\"kestra:///a/b.csv\"", "\"kestra:///a/b.csv\"", NULL },
    { INPUT_FILE, "{}", "\"nsfile:///b.csv\"", "\"nsfile:///b.csv\"", NULL },
    { INPUT_FILE, "{}", "\"/etc/passwd\"", NULL, "is not a file" },
    { INPUT_FILE, "{\"allowedFileExtensions\": [\".csv\", \".txt\"]}", "\"kestra:///a/B.CSV\"",
      "\"kestra:///a/B.CSV\"", NULL },
    { INPUT_FILE, "{\"allowedFileExtensions\": [\".csv\", \".txt\"]}", "\"kestra:///a/b.exe\"",
      NULL, "[.csv, .txt]" },
    { INPUT_JSON, "{}", "\"{\\\"a\\\": [1, null]}\"", "{\"a\":[1,null]}", NULL },
    { INPUT_JSON, "{}", "{\"a\": \"b\"}", "{\"a\":\"b\"}", NULL },
    { INPUT_JSON, "{}", "\"{\"", NULL, "not JSON" },
    { INPUT_YAML, "{}", "\"a: [1, x]\"", "{\"a\":[1,\"x\"]}", NULL },
    { INPUT_YAML, "{}", "\"a: [\"", NULL, "not YAML" },
    { INPUT_URI, "{}", "\"https://www.example.com/a?b\"", "\"https://www.example.com/a?b\"", NULL },
    { INPUT_URI, "{}", "\"s3:bucket\"", "\"s3:bucket\"", NULL },
    { INPUT_URI, "{}", "\"www.example.com\"", NULL, "Invalid URI format." },
    { INPUT_URI, "{}", "\"https://a b\"", NULL, "Invalid URI format." },
    { INPUT_SECRET, "{}", "\"pass\"",
      "{\"type\":\"io.kestra.datatype:aes_encrypted\",\"value\":\"~pass\"}", NULL },
    { INPUT_SECRET, "{\"validator\": \"A.*\"}", "\"pass\"", NULL,
      "it must match the pattern `A.*`" },
    { INPUT_ENUM, "{\"values\": [\"a\", \"b\"]}", "\"b\"", "\"b\"", NULL },
    { INPUT_ENUM, "{\"values\": [\"a\", \"b\"]}", "\"c\"", NULL,
      "it must match the values `[a, b]`" },
    { INPUT_SELECT, "{\"values\": [\"a\", \"b\"]}", "\"a\"", "\"a\"", NULL },
    { INPUT_SELECT, "{\"values\": [\"a\", \"b\"]}", "\"c\"", NULL,
      "it must match the values `[a, b]`" },
    { INPUT_SELECT, "{\"values\": [\"a\"], \"allowCustomValue\": true}", "\"c\"", "\"c\"", NULL },
    { INPUT_MULTISELECT, "{\"values\": [\"a\", \"b\"]}", "\"[\\\"a\\\"]\"", "[\"a\"]", NULL },
    { INPUT_MULTISELECT, "{\"values\": [\"a\", \"b\"]}", "[\"b\", \"a\"]", "[\"b\",\"a\"]", NULL },
    { INPUT_MULTISELECT, "{\"values\": [\"a\", \"b\"]}", "[\"x\"]", NULL,
      "value `x` doesn't match the values `[a, b]`" },
    { INPUT_MULTISELECT, "{\"values\": [\"1\"], \"itemType\": \"INT\"}", "[\"1\"]", "[1]", NULL },
    { INPUT_ARRAY, "{\"itemType\": \"INT\"}", "\"[1, 2, 3]\"", "[1,2,3]", NULL },
    { INPUT_ARRAY, "{\"itemType\": \"STRING\"}", "[1, true]", "[\"1\",\"true\"]", NULL },
    { INPUT_ARRAY, "{\"itemType\": \"INT\"}", "[1, \"x\"]", NULL,
      "Unable to parse array element as `INT` on `x`" },
    { INPUT_ARRAY, "{\"itemType\": \"INT\"}", "\"1, 2\"", NULL, "is not a JSON list" },
};

static void inputs_of_every_type_are_converted_and_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(type_cases) / sizeof(type_cases[0]); i++) {
        const struct type_case *row = &type_cases[i];
        AUTO(arena_freep) struct arena *arena = arena_new();
        const struct value *doc = json(arena, row->doc);
        struct flow_input input = {
            .id = "x",
            .type = row->type,
            .item_type = INPUT_NONE,
            .required = true,
            .values = value_get(doc, "values"),
            .validator = value_get_text(doc, "validator", NULL),
            .doc = doc,
        };
        const char *item = value_get_text(doc, "itemType", NULL);
        if (item != NULL)
            assert_true(input_type_parse(item, &input.item_type));

        const char *supplied = arena_printf(arena, "{\"x\": %s}", row->given);
        struct inputs_result result = resolve(arena, &input, 1, supplied);
        const char *error = result.items[0].error;
        if (row->stored == NULL) {
            if (error == NULL || strstr(error, row->error) == NULL ||
                strstr(error, "Invalid value for input `x`. Cause: ") != error)
                fail_msg("row %zu (%s of %s): %s", i, row->given, input_type_name(row->type),
                         error);
            continue;
        }
        if (error != NULL)
            fail_msg("row %zu (%s of %s): %s", i, row->given, input_type_name(row->type), error);
        assert_json(result.items[0].value, row->stored);
    }
}

static void inputs_types_have_names_that_read_back(void **state)
{
    (void)state;
    for (int i = 0; i < INPUT_NONE; i++) {
        enum input_type type = INPUT_NONE;
        assert_true(input_type_parse(input_type_name((enum input_type)i), &type));
        assert_int_equal(type, i);
    }
    enum input_type type;
    assert_false(input_type_parse("string", &type));
    assert_false(input_type_parse("", &type));
    assert_false(input_type_is_item(INPUT_SECRET));
    assert_false(input_type_is_item(INPUT_ARRAY));
    assert_true(input_type_is_item(INPUT_FILE));
}

/* ---- the algorithm ---- */

static void inputs_missing_required_ones_are_all_reported(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct flow_input inputs[] = {
        { .id = "a", .type = INPUT_STRING, .required = true },
        { .id = "b", .type = INPUT_INT, .required = true },
        { .id = "c", .type = INPUT_INT, .required = false },
    };
    struct inputs_result result = resolve(arena, inputs, 3, "{\"b\": \"\"}");
    assert_int_equal(result.errors, 2);
    assert_string_equal(inputs_errors(&result, arena),
                        "Missing required input:a\nMissing required input:b");
    assert_json(result.stored, "{\"c\":null}");
}

static void inputs_dotted_ids_become_nested_maps(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct flow_input inputs[] = {
        { .id = "db.host", .type = INPUT_STRING, .required = true },
        { .id = "plain", .type = INPUT_STRING, .required = true },
        { .id = "db.pool.size", .type = INPUT_INT, .required = true },
        { .id = "db", .type = INPUT_FORM },
        { .id = "other.x", .type = INPUT_STRING, .required = false },
    };
    struct inputs_result result =
        resolve(arena, inputs, 5,
                "{\"db.host\": \"h\", \"plain\": \"p\", \"db\": {\"pool\": {\"size\": \"3\"}}}");
    assert_int_equal(result.errors, 0);
    assert_int_equal(result.warnings_count, 0);
    assert_json(result.stored, "{\"db\":{\"host\":\"h\",\"pool\":{\"size\":3}},\"plain\":\"p\","
                               "\"other\":{\"x\":null}}");
}

static void inputs_not_declared_are_warned_about(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct flow_input input = { .id = "a", .type = INPUT_STRING, .required = true };
    struct inputs_result result = resolve(arena, &input, 1, "{\"a\": \"1\", \"b\": \"2\"}");
    assert_int_equal(result.warnings_count, 1);
    assert_string_equal(result.warnings[0],
                        "Input b was provided for workflow company.team.load but isn't declared in "
                        "the workflow inputs");
}

static void inputs_secrets_are_stored_encrypted_and_seen_in_clear(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct flow_input inputs[] = {
        { .id = "s", .type = INPUT_SECRET, .required = true },
        { .id = "t",
          .type = INPUT_STRING,
          .required = true,
          .defaults = json(arena, "\"<{{ inputs.s }}>\"") },
    };
    struct inputs_result result = resolve(arena, inputs, 2, "{\"s\": \"pass\"}");
    assert_json(value_path(result.stored, "s.value"), "\"~pass\"");
    assert_json(result.shown, "{\"s\":\"pass\",\"t\":\"<pass>\"}");
}

static void inputs_secrets_without_a_key_are_refused(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct flow_input input = { .id = "s", .type = INPUT_SECRET, .required = true };
    struct expr_env env = { 0 };
    struct inputs_request request = request_of(arena, &env, &input, 1, "{\"s\": \"pass\"}");
    request.encrypt = NULL;
    struct error err = { 0 };
    assert_null(inputs_resolve_map(&request, arena, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.text, "Unable to use a `SECRET` input/output as encryption is not "
                                     "configured"));
    assert_null(strstr(err.text, "pass"));
}

static void inputs_defaults_are_rendered_once_and_typed(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct flow_input inputs[] = {
        { .id = "a",
          .type = INPUT_INT,
          .required = true,
          .defaults = json(arena, "\"{{ vars.n }}\"") },
        { .id = "b",
          .type = INPUT_JSON,
          .required = true,
          .defaults = json(arena, "{\"k\": [\"{{ vars.n }}\"]}") },
        { .id = "c",
          .type = INPUT_ARRAY,
          .item_type = INPUT_INT,
          .required = true,
          .defaults = json(arena, "\"{{ [1, vars.n] }}\"") },
        { .id = "d", .type = INPUT_STRING, .required = true, .defaults = json(arena, "0") },
        { .id = "e", .type = INPUT_STRING, .required = true, .defaults = json(arena, "\"\"") },
    };
    struct inputs_result result = resolve(arena, inputs, 5, NULL);
    assert_null(inputs_errors(&result, arena));
    assert_json(result.stored,
                "{\"a\":7,\"b\":{\"k\":[\"7\"]},\"c\":[1,7],\"d\":\"0\",\"e\":\"\"}");
    assert_true(result.items[0].is_default);
}

static void inputs_depending_on_others_follow_them(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct flow_input inputs[] = {
        { .id = "late",
          .type = INPUT_STRING,
          .required = true,
          .depends_on = json(arena, "[\"first\"]"),
          .condition = "{{ inputs.first == 'v1' }}" },
        { .id = "first", .type = INPUT_STRING, .required = false },
        { .id = "last",
          .type = INPUT_STRING,
          .required = true,
          .depends_on = json(arena, "[\"late\"]") },
    };
    struct inputs_result result = resolve(arena, inputs, 3, "{\"first\": \"v1\", \"late\": \"x\"}");
    assert_string_equal(inputs_errors(&result, arena), "Missing required input:last");

    result = resolve(arena, inputs, 3, "{\"first\": \"other\", \"late\": \"x\"}");
    assert_int_equal(result.errors, 0);
    assert_false(result.items[0].is_enabled);
    assert_false(result.items[2].is_enabled);
    assert_json(result.stored, "{\"first\":\"other\"}");

    result = resolve(arena, inputs, 3, NULL);
    assert_json(result.stored, "{\"first\":null}");
}

static void inputs_depending_in_a_circle_are_an_error(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct flow_input inputs[] = {
        { .id = "a", .type = INPUT_STRING, .depends_on = json(arena, "[\"b\"]") },
        { .id = "b", .type = INPUT_STRING, .depends_on = json(arena, "[\"a\"]") },
    };
    struct inputs_result result = resolve(arena, inputs, 2, "{\"a\": \"1\", \"b\": \"2\"}");
    assert_non_null(strstr(inputs_errors(&result, arena), "circle"));
}

static void inputs_choices_may_come_from_an_expression(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct flow_input inputs[] = {
        { .id = "a", .type = INPUT_SELECT, .required = true, .expression = "{{ ['x', 'y'] }}" },
        { .id = "b",
          .type = INPUT_SELECT,
          .required = true,
          .expression = "{{ ['x', 'y'] }}",
          .doc = json(arena, "{\"autoSelectFirst\": true}") },
        { .id = "c", .type = INPUT_SELECT, .required = true, .expression = "{{ vars.n }}" },
    };
    struct inputs_result result = resolve(arena, inputs, 3, "{\"a\": \"z\"}");
    assert_non_null(strstr(result.items[0].error, "it must match the values `[x, y]`"));
    assert_json(result.items[1].value, "\"x\"");
    assert_true(result.items[2].is_render_error);
}

static const struct value *answer_later(void *data,
                                        struct arena *arena,
                                        const char *function,
                                        const struct value *arguments,
                                        struct error *err)
{
    (void)data;
    (void)arena;
    (void)arguments;
    error_set(err, ERR_UNAVAILABLE, "%s", function);
    return NULL;
}

static void inputs_wait_when_an_expression_has_no_answer_yet(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct flow_input input = { .id = "a",
                                .type = INPUT_STRING,
                                .required = true,
                                .defaults = json(arena, "\"{{ secret('X') }}\"") };
    struct expr_host host = { .call = answer_later };
    const struct value *context = json(arena, "{}");
    struct expr_env env = { .context = context, .host = &host };
    struct inputs_request request = request_of(arena, &env, &input, 1, NULL);
    struct inputs_result result;
    struct error err = { 0 };
    assert_false(inputs_resolve(&request, arena, &result, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_ptr_equal(env.context, context);
}

static void inputs_webhooks_may_miss_required_ones(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct flow_input input = { .id = "a", .type = INPUT_STRING, .required = true };
    struct expr_env env = { 0 };
    struct inputs_request request = request_of(arena, &env, &input, 1, NULL);
    request.allow_missing = true;
    struct error err = { 0 };
    assert_json(inputs_resolve_map(&request, arena, &err), "{}");
}

/* ---- outputs, checks ---- */

static const struct value *outputs(struct arena *arena,
                                   const struct flow_input *list,
                                   size_t count,
                                   struct error *err)
{
    struct expr_env env = { .context = json(arena, "{\"vars\": {\"n\": 7, \"no\": null}}") };
    struct inputs_request request = request_of(arena, &env, list, count, NULL);
    return outputs_resolve(&request, arena, err);
}

static void outputs_are_rendered_and_converted(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct error err = { 0 };
    struct flow_input list[] = {
        { .id = "a",
          .type = INPUT_INT,
          .required = true,
          .value = json(arena, "\"{{ vars.n }}\"") },
        { .id = "b",
          .type = INPUT_NONE,
          .required = true,
          .value = json(arena, "{\"x\": \"{{ vars.n }}\"}") },
        { .id = "c",
          .type = INPUT_STRING,
          .required = false,
          .value = json(arena, "\"{{ vars.no }}\"") },
        { .id = "d",
          .type = INPUT_ARRAY,
          .item_type = INPUT_NONE,
          .required = true,
          .value = json(arena, "\"{{ [vars.n] }}\"") },
    };
    assert_json(outputs(arena, list, 4, &err),
                "{\"a\":7,\"b\":{\"x\":\"7\"},\"c\":null,\"d\":[7]}");
}

static void outputs_that_do_not_convert_name_themselves(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct error err = { 0 };
    struct flow_input bad = {
        .id = "a", .type = INPUT_INT, .required = true, .value = json(arena, "\"many\"")
    };
    assert_null(outputs(arena, &bad, 1, &err));
    assert_string_equal(err.text, "output `a`: `many` is not an integer");
    struct flow_input missing = {
        .id = "a", .type = INPUT_INT, .required = true, .value = json(arena, "\"{{ vars.no }}\"")
    };
    assert_null(outputs(arena, &missing, 1, &err));
    assert_string_equal(err.text, "output `a`: the value is missing");
}

static void checks_take_the_most_severe_behaviour(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct flow_check list[] = {
        { .condition = "{{ true }}", .message = "fine", .behavior = CHECK_BLOCK },
        { .condition = "{{ 1 }}", .message = "one is not true", .behavior = CHECK_FAIL },
        { .condition = "{{ inputs.a == 1 }}",
          .message = "a must be 1",
          .style = "WARNING",
          .behavior = CHECK_CREATE },
    };
    struct flow flow = { .checks = list, .checks_count = 3 };
    struct expr_env env = { .context = json(arena, "{\"inputs\": {\"a\": 2}}") };
    struct checks_result result;
    struct error err = { 0 };
    assert_true(checks_evaluate(&flow, &env, arena, &result, &err));
    assert_int_equal(result.count, 2);
    assert_true(result.is_failed);
    assert_false(result.is_blocked);
    assert_string_equal(result.failed[1].style, "WARNING");

    list[1].condition = "{{ nothing.at.all }}";
    assert_true(checks_evaluate(&flow, &env, arena, &result, &err));
    assert_true(result.is_blocked);
    assert_non_null(strstr(result.failed[0].message, "Failed to evaluate check condition. Cause:"));
    assert_non_null(strstr(checks_refusal(&result, arena),
                           "Flow execution blocked: one or more condition checks evaluated to "
                           "false"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(inputs_of_every_type_are_converted_and_checked),
    cmocka_unit_test(inputs_types_have_names_that_read_back),
    cmocka_unit_test(inputs_missing_required_ones_are_all_reported),
    cmocka_unit_test(inputs_dotted_ids_become_nested_maps),
    cmocka_unit_test(inputs_not_declared_are_warned_about),
    cmocka_unit_test(inputs_secrets_are_stored_encrypted_and_seen_in_clear),
    cmocka_unit_test(inputs_secrets_without_a_key_are_refused),
    cmocka_unit_test(inputs_defaults_are_rendered_once_and_typed),
    cmocka_unit_test(inputs_depending_on_others_follow_them),
    cmocka_unit_test(inputs_depending_in_a_circle_are_an_error),
    cmocka_unit_test(inputs_choices_may_come_from_an_expression),
    cmocka_unit_test(inputs_wait_when_an_expression_has_no_answer_yet),
    cmocka_unit_test(inputs_webhooks_may_miss_required_ones),
    cmocka_unit_test(outputs_are_rendered_and_converted),
    cmocka_unit_test(outputs_that_do_not_convert_name_themselves),
    cmocka_unit_test(checks_take_the_most_severe_behaviour),
};
TEST_GROUP(inputs, tests)
