/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the API that need no server: routes, filters, values, sources, CSV, credentials. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/str.h"
#include "core/json.h"
#include "core/value.h"
#include "runtime/api/auth.h"
#include "runtime/api/csv.h"
#include "runtime/api/filters.h"
#include "runtime/api/flows.h"
#include "runtime/api/kv_value.h"
#include "runtime/api/route.h"
#include "tests/support/test.h"

/* ---- routes ---- */

/* Segments as the server splits them. */
static size_t split(struct arena *arena, const char *path, const char **segments, bool *slash)
{
    size_t count = 0;
    size_t length = strlen(path);
    *slash = length > 1 && path[length - 1] == '/';
    for (const char *at = path + 1; *at != '\0';) {
        size_t size = strcspn(at, "/");
        segments[count++] = arena_strndup(arena, at, size);
        at += size;
        at += *at == '/' ? 1 : 0;
    }
    return count;
}

static enum route_result find(struct arena *arena,
                              const char *method,
                              const char *path,
                              struct route_match *match)
{
    static const char *const aliases[] = { "unit_test", NULL };
    struct router *router = router_new(route_tables, "main", aliases);
    const char *segments[32];
    bool slash = false;
    size_t count = split(arena, path, segments, &slash);
    enum route_result result = router_find(router, method, segments, count, slash, match);
    router_free(router);
    return result;
}

static void routes_reach_the_path_that_is_most_literal(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *path;
        const char *route;
        const char *first; /* parameter */
    } rows[] = {
        { "GET", "/api/v1/main/flows/search", "flows/search", NULL },
        { "GET", "/api/v1/main/flows/company.team", "flows/{namespace}", "company.team" },
        { "GET", "/api/v1/flows/company.team/load", "flows/{namespace}/{id}", "company.team" },
        { "GET", "/api/v1/unit_test/flows/a/b", "flows/{namespace}/{id}", "a" },
        { "GET", "/api/v1/executions/flows/a/b", "executions/flows/{namespace}/{flowId}", "a" },
        { "GET", "/api/v1/main/executions/search", "executions/search", NULL },
        { "GET", "/api/v1/main/executions/4fT0zYvXq1uJm2bNc8RkLs", "executions/{executionId}",
          "4fT0zYvXq1uJm2bNc8RkLs" },
        { "POST", "/api/v1/main/executions/company.team/load", "executions/{namespace}/{id}",
          "company.team" },
        { "POST", "/api/v1/main/executions/restart/by-ids", "executions/restart/by-ids", NULL },
        { "POST", "/api/v1/main/executions/4fT0zYvXq1uJm2bNc8RkLs/actions/restart",
          "executions/{executionId}/actions/restart", "4fT0zYvXq1uJm2bNc8RkLs" },
        { "POST", "/api/v1/main/executions/4fT0zYvXq1uJm2bNc8RkLs/state",
          "executions/{executionId}/state", "4fT0zYvXq1uJm2bNc8RkLs" },
        { "POST", "/api/v1/main/executions/company.team/state", "executions/{namespace}/{id}",
          "company.team" },
        { "POST", "/api/v1/main/executions/company/restart", "executions/{namespace}/{id}",
          "company" },
        { "POST", "/api/v1/executions/webhook/a/b/key", "executions/webhook/{namespace}/{id}/{key}",
          "a" },
        { "HEAD", "/api/v1/main/flows/a/b", "flows/{namespace}/{id}", "a" },
        { "GET", "/api/v1/main/flows/a/b/", "flows/{namespace}/{id}", "a" },
        { "DELETE", "/api/v1/main/logs/a/b", "logs/{namespace}/{flowId}", "a" },
        { "GET", "/api/v1/main/logs/x/download", "logs/{executionId}/download", "x" },
        { "GET", "/api/v1/plugins/schemas/flow", "/api/v1/plugins/schemas/{type}", "flow" },
        { "GET", "/api/v1/configs", "/api/v1/configs", NULL },
        { "GET", "/ping", "/ping", NULL },
        { "DELETE", "/api/v1/users/7/roles", "/api/v1/users/**", NULL },
        { "PUT", "/api/v1/main/namespaces/a/secrets/K", "namespaces/{namespace}/secrets/{key}",
          "a" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct route_match match;
        if (find(arena, rows[i].method, rows[i].path, &match) != ROUTE_FOUND)
            fail_msg("%s %s is not found", rows[i].method, rows[i].path);
        if (strcmp(match.route->path, rows[i].route) != 0)
            fail_msg("%s %s reaches %s", rows[i].method, rows[i].path, match.route->path);
        if (!str_eq(match.parameters[0], rows[i].first))
            fail_msg("%s: first parameter is %s", rows[i].path, match.parameters[0]);
    }
}

static void routes_tell_why_there_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *path;
        enum route_result result;
    } rows[] = {
        { "GET", "/api/v1/main/nothing", ROUTE_UNKNOWN },
        { "GET", "/api/v1", ROUTE_UNKNOWN },
        { "GET", "/api/v2/main/flows", ROUTE_UNKNOWN },
        { "PUT", "/api/v1/main/flows/search/x/y/z", ROUTE_UNKNOWN },
        { "PATCH", "/api/v1/main/executions/x/restart", ROUTE_WRONG_METHOD },
        { "POST", "/ping", ROUTE_WRONG_METHOD },
        { "GET", "/api/v1/other/flows/search", ROUTE_WRONG_TENANT },
        { "GET", "/ui/main/executions", ROUTE_ELSEWHERE },
        { "GET", "/", ROUTE_ELSEWHERE },
        { "GET", "/api/v1/main/executions/webhook/a/b/key/", ROUTE_UNKNOWN },
        { "GET", "/api/v1/main/executions/webhook/a/b/key/more", ROUTE_UNKNOWN },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct route_match match;
        enum route_result result = find(arena, rows[i].method, rows[i].path, &match);
        if (result != rows[i].result)
            fail_msg("%s %s: %d", rows[i].method, rows[i].path, (int)result);
    }
}

static void routes_are_all_documented_and_distinct(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct map seen = { 0 };
    for (const struct route *const *table = route_tables; *table != NULL; table++) {
        for (const struct route *route = *table; route->method != NULL; route++) {
            if (str_empty(route->doc) || route->doc[strlen(route->doc) - 1] != '.')
                fail_msg("%s %s has no sentence", route->method, route->path);
            const char *key = arena_printf(arena, "%s %s", route->method, route->path);
            if (map_put(&seen, key, &seen) != NULL)
                fail_msg("%s is there twice", key);
        }
    }
    map_free(&seen);
    const struct value *description = api_openapi(arena, "1");
    assert_true(value_count(value_get(description, "paths")) > 150);
}

/* ---- filters ---- */

struct query_text {
    const char *query;
    enum resource resource;
};

static bool parse(struct arena *arena,
                  struct query_text text,
                  struct search *search,
                  struct refusal *refusal)
{
    struct http_fields fields = { 0 };
    assert_true(url_parse_query(arena, text.query, strlen(text.query), 100, &fields));
    struct filter_context context = {
        .now = test_time("2026-07-01T12:00:00Z"),
        .system_namespace = "system",
    };
    return search_parse(arena, text.resource, &fields, &context, search, refusal);
}

/* Filters as text: field, match, key, values. */
static const char *filters_text(struct arena *arena, const struct query *query)
{
    struct buf out = { 0 };
    for (size_t i = 0; i < query->filters_count; i++) {
        const struct filter *filter = &query->filters[i];
        buf_printf(&out, "%s%d:%d", i > 0 ? " " : "", (int)filter->field, (int)filter->match);
        if (filter->key != NULL)
            buf_printf(&out, ":%s", filter->key);
        for (size_t j = 0; j < filter->values_count; j++)
            buf_printf(&out, "%s%s", j == 0 ? "=" : "|",
                       filter->values[j] == NULL ? "-" : filter->values[j]);
        if (filter->values_count == 0)
            buf_printf(&out, "@%lld", (long long)(filter->at / USEC_SEC));
    }
    const char *text = buf_dup(&out, arena);
    buf_free(&out);
    return text;
}

static void filters_of_both_generations_mean_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        enum resource resource;
        const char *same_as;
    } rows[] = {
        { "namespace=a.b", RESOURCE_FLOW, "filters%5Bnamespace%5D%5BPREFIX%5D=a.b" },
        { "flowId=x&state=FAILED&state=killed", RESOURCE_EXECUTION,
          "filters[flowId][EQUALS]=x&filters[state][IN]=[FAILED, KILLED]" },
        { "labels=env:prod:eu&labels=a:b,c", RESOURCE_EXECUTION,
          "filters[labels][EQUALS][env]=prod:eu&filters[labels][EQUALS][a]=b,c" },
        { "startDate=2026-06-01T10:00%2B02:00", RESOURCE_EXECUTION,
          "filters[startDate][GREATER_THAN]=2026-06-01T08:00:00Z" },
        { "timeRange=PT1H", RESOURCE_EXECUTION, "filters[timeRange][EQUALS]=PT1H" },
        { "childFilter=CHILD", RESOURCE_EXECUTION, "filters[childFilter][NOT_EQUALS]=MAIN" },
        { "minLevel=warn", RESOURCE_LOG, "filters[level][GREATER_THAN_OR_EQUAL_TO]=WARN" },
        { "scope=USER", RESOURCE_FLOW, "filters[scope][NOT_EQUALS]=SYSTEM" },
        { "scope=USER,SYSTEM", RESOURCE_FLOW, "" },
        { "q=*", RESOURCE_FLOW, "" },
        { "filters[bad=1&filtersx=2&unknown=3", RESOURCE_FLOW, "" },
        { "triggerId=t", RESOURCE_TRIGGER, "filters[triggerId][EQUALS]=t" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct search a;
        struct search b;
        struct refusal refusal = { 0 };
        if (!parse(arena, (struct query_text){ rows[i].query, rows[i].resource }, &a, &refusal))
            fail_msg("%s: %s", rows[i].query, refusal.detail);
        if (!parse(arena, (struct query_text){ rows[i].same_as, rows[i].resource }, &b, &refusal))
            fail_msg("%s: %s", rows[i].same_as, refusal.detail);
        const char *first = filters_text(arena, &a.query);
        if (strcmp(first, filters_text(arena, &b.query)) != 0)
            fail_msg("%s gives %s, %s gives %s", rows[i].query, first, rows[i].same_as,
                     filters_text(arena, &b.query));
    }
}

static void filters_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        enum resource resource;
        int status;
        const char *fragment;
    } rows[] = {
        { "filters[triggerId][EQUALS]=x", RESOURCE_FLOW, 400, "TRIGGER_ID" },
        { "filters[namespace][GREATER_THAN]=x", RESOURCE_FLOW, 400, "NAMESPACE" },
        { "filters[nothing][EQUALS]=x", RESOURCE_FLOW, 400, "nothing" },
        { "state=ASLEEP", RESOURCE_EXECUTION, 422, "state" },
        { "minLevel=LOUD", RESOURCE_LOG, 422, "level" },
        { "startDate=yesterday", RESOURCE_EXECUTION, 422, "startDate" },
        { "timeRange=P1M", RESOURCE_EXECUTION, 422, "timeRange" },
        { "timeRange=PT1H&endDate=2026-06-01T10:00", RESOURCE_EXECUTION, 422, "exclusive" },
        { "startDate=2026-06-02T10:00&endDate=2026-06-01T10:00", RESOURCE_EXECUTION, 422,
          "before" },
        { "page=0", RESOURCE_FLOW, 422, "page" },
        { "size=-1", RESOURCE_FLOW, 422, "size" },
        { "size=x", RESOURCE_FLOW, 422, "size" },
        { "sort=id", RESOURCE_FLOW, 422, "Invalid sort parameter" },
        { "sort=colour:asc", RESOURCE_EXECUTION, 422, "Invalid sort field" },
        { "labels=nocolon", RESOURCE_EXECUTION, 422, "nocolon" },
        { "labels=:v", RESOURCE_EXECUTION, 422, "no key" },
        { "labels=k:", RESOURCE_EXECUTION, 422, "no value" },
        { "labels=a b:c", RESOURCE_EXECUTION, 422, "white space" },
        { "labels=a:1&labels=a:2", RESOURCE_EXECUTION, 422, "twice" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct search search;
        struct refusal refusal = { 0 };
        if (parse(arena, (struct query_text){ rows[i].query, rows[i].resource }, &search, &refusal))
            fail_msg("%s is accepted", rows[i].query);
        if (refusal.status != rows[i].status || strstr(refusal.detail, rows[i].fragment) == NULL)
            fail_msg("%s: %d %s", rows[i].query, refusal.status, refusal.detail);
    }
}

static void filters_given_make_legacy_parameters_void(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct search search;
    struct refusal refusal = { 0 };
    assert_true(parse(arena,
                      (struct query_text){ "filters[flowId][EQUALS]=x&namespace=a&state=NONSENSE",
                                           RESOURCE_EXECUTION },
                      &search, &refusal));
    assert_int_equal(search.query.filters_count, 1);
}

static void pages_become_offset_and_limit(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct search search;
    struct refusal refusal = { 0 };
    assert_true(parse(arena,
                      (struct query_text){ "page=3&size=20&sort=state.startDate:DESC&sort=id:asc",
                                           RESOURCE_EXECUTION },
                      &search, &refusal));
    assert_int_equal(search.query.offset, 40);
    assert_int_equal(search.query.limit, 20);
    assert_int_equal(search.query.sort, FIELD_START);
    assert_true(search.query.descending);
    assert_true(parse(arena, (struct query_text){ "", RESOURCE_FLOW }, &search, &refusal));
    assert_int_equal(search.query.limit, 10);
}

/* ---- values ---- */

static void kv_bodies_have_the_type_they_look_like(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *type;
        const char *json;
    } rows[] = {
        { "{\"a\": 1}", "JSON", "{\"a\": 1}" },
        { "[1, 2]", "JSON", "[1, 2]" },
        { "12", "NUMBER", "12" },
        { "1.0", "NUMBER", "1.0" },
        { " -3 \n", "NUMBER", "-3" },
        { "true", "BOOLEAN", "true" },
        { "2021-09-01", "DATE", "\"2021-09-01\"" },
        { "2021-09-01T01:02:03Z", "DATETIME", "\"2021-09-01T01:02:03Z\"" },
        { "2021-09-01T01:02:03+02:00", "DATETIME", "\"2021-08-31T23:02:03Z\"" },
        { "\"PT5S\"", "DURATION", "\"PT5S\"" },
        { "P3DT3H2M1S", "DURATION", "\"PT75H2M1S\"" },
        { "\"abc\"", "STRING", "\"abc\"" },
        { "\"123\"", "STRING", "\"123\"" },
        { "hello", "STRING", "\"hello\"" },
        { "1.2.3", "STRING", "\"1.2.3\"" },
        { "hello world", "STRING", "\"hello world\"" },
        { "", "STRING", "\"\"" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct kv_value value = kv_value_of(arena, rows[i].body, strlen(rows[i].body));
        if (strcmp(value.type, rows[i].type) != 0 || strcmp(value.json, rows[i].json) != 0)
            fail_msg("'%s' is %s %s", rows[i].body, value.type, value.json);
    }
}

static void sources_keep_everything_but_the_key_that_is_set(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    static const struct {
        const char *source;
        const char *disabled;
    } rows[] = {
        { "id: a\ntasks: []\n", "id: a\ntasks: []\ndisabled: true\n" },
        { "id: a", "id: a\ndisabled: true\n" },
        { "id: a\ndisabled: false # later\ntasks: []", "id: a\ndisabled: true # later\ntasks: []" },
        { "disabled: false\r\nid: a\r\n", "disabled: true\r\nid: a\r\n" },
        { "id: a\ntasks:\n- id: b\n  disabled: false\n",
          "id: a\ntasks:\n- id: b\n  disabled: false\ndisabled: true\n" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(
            source_set_disabled(arena, rows[i].source, strlen(rows[i].source), true),
            rows[i].disabled);
    const char *source = "# first\nid: a\nnamespace: old.one\n";
    assert_string_equal(source_set_namespace(arena, source, strlen(source), "new"),
                        "# first\nid: a\nnamespace: new\n");
}

static void csv_quotes_what_must_be_quoted(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    const char *rows =
        "[{\"a\": \"x,y\", \"b\": 1, \"c\": {\"k\": \"v\"}}, {\"b\": \"say \\\"hi\\\"\"}]";
    struct buf out = { 0 };
    csv_write(&out, json_parse(arena, rows, strlen(rows), NULL));
    assert_string_equal(buf_text(&out), "a,b,c\r\n\"x,y\",1,\"{\"\"k\"\":\"\"v\"\"}\"\r\n"
                                        ",\"say \"\"hi\"\"\",\r\n");
    buf_free(&out);
    csv_write(&out, &value_empty_list);
    assert_int_equal(out.length, 0);
}

/* ---- credentials ---- */

static bool enters(struct auth *auth, const char *name, const char *value)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct http_fields headers = { 0 };
    const char *user = NULL;
    if (name != NULL)
        http_fields_add(arena, &headers, name, value);
    return auth_check(auth, arena, &headers, &user);
}

static void auth_is_open_until_something_is_configured(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct auth *auth = auth_new(NULL, 0, NULL, NULL);
    assert_true(enters(auth, NULL, NULL));
    assert_true(enters(auth, "Authorization", "Basic Og=="));
    assert_true(enters(auth, "Authorization", "Bearer "));

    auth_set(auth, auth_hash(arena, "ana@example.com", "Secret123"));
    assert_false(enters(auth, NULL, NULL));
    assert_false(enters(auth, "Authorization", "Basic Og=="));
    struct buf pair = { 0 };
    base64_encode(&pair, BASE64_STD, "ana@example.com:Secret123", 25);
    const char *header = arena_printf(arena, "Basic %s", buf_text(&pair));
    assert_true(enters(auth, "Authorization", header));
    assert_true(enters(auth, "authorization", header)); // known by now
    assert_true(enters(auth, "Cookie", arena_printf(arena, "a=b; BASIC_AUTH=%s", buf_text(&pair))));
    buf_clear(&pair);
    base64_encode(&pair, BASE64_STD, "ana@example.com:secret123", 25);
    assert_false(enters(auth, "Authorization", arena_printf(arena, "Basic %s", buf_text(&pair))));
    buf_free(&pair);
    auth_free(auth);
}

static void auth_takes_any_valid_credential(void **state)
{
    (void)state;
    static const char *const tokens[] = { "tok-1", "tok-2", NULL };
    static const struct api_user users[] = { { "u@example.com", "Password1" } };
    struct auth *auth = auth_new(users, 1, tokens, NULL);
    assert_true(enters(auth, "Authorization", "Bearer tok-2"));
    assert_true(enters(auth, "authorization", "bearer tok-1"));
    assert_false(enters(auth, "Authorization", "Bearer tok-3"));
    assert_false(enters(auth, "Authorization", "Bearer "));
    assert_true(enters(auth, "Cookie", "x=1; JWT=tok-1; y=2"));
    assert_false(enters(auth, "Cookie", "JWT="));
    assert_false(enters(auth, NULL, NULL));
    auth_free(auth);
}

static void auth_names_what_is_wrong_with_a_password(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    assert_int_equal(value_count(auth_problems(arena, "a@b.c", "Password1")), 0);
    assert_int_equal(value_count(auth_problems(arena, "nobody", "Password1")), 1);
    assert_int_equal(value_count(auth_problems(arena, "a@b.c", "password1")), 1);
    assert_int_equal(value_count(auth_problems(arena, "a@b.c", "Pass1")), 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(routes_reach_the_path_that_is_most_literal),
    cmocka_unit_test(routes_tell_why_there_is_none),
    cmocka_unit_test(routes_are_all_documented_and_distinct),
    cmocka_unit_test(filters_of_both_generations_mean_the_same),
    cmocka_unit_test(filters_that_do_not_fit_are_refused),
    cmocka_unit_test(filters_given_make_legacy_parameters_void),
    cmocka_unit_test(pages_become_offset_and_limit),
    cmocka_unit_test(kv_bodies_have_the_type_they_look_like),
    cmocka_unit_test(sources_keep_everything_but_the_key_that_is_set),
    cmocka_unit_test(csv_quotes_what_must_be_quoted),
    cmocka_unit_test(auth_is_open_until_something_is_configured),
    cmocka_unit_test(auth_takes_any_valid_credential),
    cmocka_unit_test(auth_names_what_is_wrong_with_a_password),
};
TEST_GROUP(api, tests)
