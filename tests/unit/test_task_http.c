/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/httpd.h"
#include "base/str.h"
#include "core/plugin.h"
#include "runtime/worker/web.h"
#include "tests/support/fake_task.h"
#include "tests/support/test.h"

extern const struct plugin task_http_download;
extern const struct plugin task_http_request;
extern const struct plugin task_http_sse;

/* ---- the server ---- */

static void reply(struct httpd_request *request,
                  int status,
                  const char *type,
                  const char *body,
                  const struct http_field *headers,
                  size_t count)
{
    struct httpd_reply answer = { .status = status,
                                  .type = type,
                                  .headers = headers,
                                  .headers_count = count,
                                  .body = HTTPD_BODY_COPY,
                                  .bytes = body,
                                  .length = strlen(body) };
    httpd_reply(request, &answer);
}

/* What came in: "METHOD target\nName: value…\n\nbody". */
static void reply_echo(struct httpd_request *request)
{
    struct buf text = { 0 };
    buf_printf(&text, "%s %s\n", request->method, request->target);
    static const char *const shown[] = { "Authorization", "Content-Type", "X-Test", "Accept" };
    for (size_t i = 0; i < COUNT_OF(shown); i++) {
        const char *value = http_header_find(&request->headers, shown[i]);
        if (value != NULL && !str_starts(value, "multipart"))
            buf_printf(&text, "%s: %s\n", shown[i], value);
    }
    buf_putc(&text, '\n');
    buf_add(&text, request->body, request->body_length);
    for (size_t i = 0; i < request->parts_count; i++)
        buf_printf(&text, "[%s|%s|%.*s]", request->parts[i].name,
                   request->parts[i].file_name == NULL ? "" : request->parts[i].file_name,
                   (int)request->parts[i].length, request->parts[i].bytes);
    reply(request, 200, "text/plain; charset=utf-8", buf_text(&text), NULL, 0);
    buf_free(&text);
}

static void handle(void *context, struct httpd_request *request)
{
    (void)context;
    const char *path = request->path;
    if (str_starts(path, "/echo")) {
        reply_echo(request);
    } else if (str_eq(path, "/hello")) {
        struct http_field headers[] = { { "X-Many", "1" }, { "X-Many", "2" } };
        reply(request, 200, "application/json", "{ \"hello\": \"world\" }", headers, 2);
    } else if (str_eq(path, "/teapot")) {
        reply(request, 417, "text/plain", "no tea today", NULL, 0);
    } else if (str_eq(path, "/empty")) {
        reply(request, 204, NULL, "", NULL, 0);
    } else if (str_eq(path, "/latin1")) {
        reply(request, 200, "text/plain; charset=ISO-8859-1", "caf\xe9", NULL, 0);
    } else if (str_eq(path, "/binary")) {
        reply(request, 200, "application/octet-stream", "a\xff\xfe z", NULL, 0);
    } else if (str_eq(path, "/named")) {
        struct http_field header = { "Content-Disposition",
                                     "attachment; filename=\"/secure-path/file name.jpg\"" };
        reply(request, 200, "image/jpeg", "picture", &header, 1);
    } else if (str_eq(path, "/redirect")) {
        struct http_field header = { "Location", "/hello" };
        reply(request, 302, NULL, "", &header, 1);
    } else if (str_eq(path, "/sse")) {
        reply(request, 200, "text/event-stream",
              ": comment\n\ndata: {\"t\": \"Hel\"}\nid: 1\n\nevent: named\r\ndata: {\"t\": "
              "\"lo\"}\r\n\r\ndata: plain\ndata: text\n\ndata: cut off",
              NULL, 0);
    } else {
        reply(request, 404, "text/plain", "nothing here", NULL, 0);
    }
}

struct fixture {
    struct fake_task *fake;
    struct httpd *server;
    char url[64];
};

static int set_up(void **state)
{
    struct fixture *fixture = check_calloc(1, sizeof(*fixture));
    struct httpd_options options = { .host = "127.0.0.1", .handler = handle };
    struct error err = { 0 };
    fixture->server = httpd_start(&options, &err);
    CHECK(fixture->server != NULL);
    (void)snprintf(fixture->url, sizeof(fixture->url), "http://127.0.0.1:%u",
                   httpd_port(fixture->server));
    fixture->fake = fake_task_new();
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    fake_task_free(fixture->fake);
    httpd_stop(fixture->server);
    free(fixture);
    return 0;
}

/* YAML with "uri: <server><path>" and more lines. */
static const char *call(struct fixture *fixture, const char *path, const char *more)
{
    return arena_printf(fixture->fake->arena, "uri: %s%s\n%s", fixture->url, path, more);
}

static void request_gives_code_headers_and_body(void **state)
{
    struct fixture *fixture = *state;
    struct fake_task *fake = fixture->fake;
    ASSERT_RUNS(fake, &task_http_request, call(fixture, "/hello", ""));
    assert_string_equal(fake_output(fake, "body"), "{ \"hello\": \"world\" }");
    assert_string_equal(fake_output(fake, "code"), "200");
    assert_string_equal(value_to_json(fake->arena, value_path(fake->outputs, "headers.X-Many")),
                        "[\"1\",\"2\"]");
    assert_null(value_get(fake->outputs, "encryptedBody"));
    ASSERT_RUNS(fake, &task_http_request, call(fixture, "/hello", "encryptBody: true"));
    assert_true(value_is_null(value_get(fake->outputs, "body")));
    assert_string_equal(fake_output(fake, "encryptedBody"), "{\"sealed\":20}");
}

static void request_sends_what_it_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct fake_task *fake = fixture->fake;
    ASSERT_RUNS(fake, &task_http_request,
                call(fixture, "/echo?a=0",
                     "method: POST\nparams: {b: 1, c: [x, \"y z\"]}\nheaders: {X-Test: v}\n"
                     "body: '{\"k\": \"{{ flow.id }}\"}'\n"
                     "options: {auth: {type: BASIC, username: u, password: pass}}"));
    assert_string_equal(fake_output(fake, "body"), "POST /echo?a=0&b=1&c=x&c=y%20z\n"
                                                   "Authorization: Basic dTpwYXNz\n"
                                                   "Content-Type: application/json\n"
                                                   "X-Test: v\n"
                                                   "Accept: */*\n"
                                                   "\n"
                                                   "{\"k\": \"my_flow\"}");
    ASSERT_RUNS(fake, &task_http_request,
                call(fixture, "/echo",
                     "method: PUT\nbody: <x/>\ncontentType: text/xml\n"
                     "options: {auth: {type: BEARER, token: tok}}"));
    assert_string_equal(fake_output(fake, "body"),
                        "PUT /echo\nAuthorization: Bearer tok\nContent-Type: text/xml\n"
                        "Accept: */*\n\n<x/>");
    ASSERT_RUNS(fake, &task_http_request,
                call(fixture, "/echo", "method: POST\nformData: {a: 1, b: \"x y\"}"));
    assert_non_null(
        strstr(fake_output(fake, "body"), "Content-Type: application/x-www-form-urlencoded"));
    ASSERT_RUNS(fake, &task_http_request, call(fixture, "/echo?name=é ü%20x", ""));
    assert_true(str_starts(fake_output(fake, "body"), "GET /echo?name=%C3%A9%20%C3%BC%20x\n"));
}

static void request_sends_files_as_parts(void **state)
{
    struct fixture *fixture = *state;
    struct fake_task *fake = fixture->fake;
    const char *uri = fake_store(fake, "data.csv", "1,2");
    ASSERT_RUNS(fake, &task_http_request,
                call(fixture, "/echo",
                     arena_printf(fake->arena,
                                  "method: POST\ncontentType: multipart/form-data\n"
                                  "formData:\n  hello: world\n  file: \"%s\"\n"
                                  "  other: {name: other.txt, content: \"%s\"}",
                                  uri, uri)));
    assert_non_null(strstr(fake_output(fake, "body"),
                           "[hello||world][file|data.csv|1,2][other|other.txt|1,2]"));
}

static void request_decodes_text_by_its_charset(void **state)
{
    struct fixture *fixture = *state;
    struct fake_task *fake = fixture->fake;
    ASSERT_RUNS(fake, &task_http_request, call(fixture, "/latin1", ""));
    assert_string_equal(fake_output(fake, "body"), "café");
    ASSERT_RUNS(fake, &task_http_request, call(fixture, "/binary", ""));
    assert_string_equal(fake_output(fake, "body"), "a\xef\xbf\xbd\xef\xbf\xbd z");
}

static void request_fails_on_statuses_unless_they_are_allowed(void **state)
{
    struct fixture *fixture = *state;
    struct fake_task *fake = fixture->fake;
    ASSERT_FAILS(fake, &task_http_request, call(fixture, "/teapot", ""),
                 "/teapot returned 417 Expectation Failed: no tea today");
    assert_int_equal(strncmp(fake->error.text, "GET http://127.0.0.1:", 21), 0);
    ASSERT_RUNS(fake, &task_http_request, call(fixture, "/teapot", "options: {allowFailed: true}"));
    assert_string_equal(fake_output(fake, "code"), "417");
    ASSERT_RUNS(fake, &task_http_request, call(fixture, "/teapot", "allowFailed: true"));
    ASSERT_RUNS(fake, &task_http_request,
                call(fixture, "/teapot", "options: {allowedResponseCodes: [404, 417]}"));
    ASSERT_FAILS(fake, &task_http_request,
                 call(fixture, "/teapot", "options: {allowedResponseCodes: [404]}"), "417");
    ASSERT_FAILS(fake, &task_http_request, "uri: http://127.0.0.1:1/x?token=hidden", "127.0.0.1");
    assert_null(strstr(fake->error.text, "hidden"));
}

static void request_follows_redirects_unless_told_not_to(void **state)
{
    struct fixture *fixture = *state;
    struct fake_task *fake = fixture->fake;
    ASSERT_RUNS(fake, &task_http_request, call(fixture, "/redirect", ""));
    assert_string_equal(fake_output(fake, "code"), "200");
    assert_non_null(strstr(fake_output(fake, "uri"), "/hello"));
    ASSERT_RUNS(fake, &task_http_request,
                call(fixture, "/redirect", "options: {followRedirects: false}"));
    assert_string_equal(fake_output(fake, "code"), "302");
}

static void request_logs_what_is_asked_without_credentials(void **state)
{
    struct fixture *fixture = *state;
    struct fake_task *fake = fixture->fake;
    ASSERT_RUNS(fake, &task_http_request,
                call(fixture, "/hello",
                     "headers: {Authorization: Bearer hidden, X-Test: shown}\n"
                     "options: {logs: [REQUEST_HEADERS, RESPONSE_HEADERS, RESPONSE_BODY]}"));
    assert_non_null(strstr(fake->log.bytes, "DEBUG > Authorization: ***\n"));
    assert_non_null(strstr(fake->log.bytes, "DEBUG > X-Test: shown\n"));
    assert_non_null(strstr(fake->log.bytes, "DEBUG < X-Many: 1\n"));
    assert_non_null(strstr(fake->log.bytes, "DEBUG { \"hello\": \"world\" }\n"));
    assert_null(strstr(fake->log.bytes, "hidden"));
}

static void download_stores_the_body_under_its_name(void **state)
{
    struct fixture *fixture = *state;
    struct fake_task *fake = fixture->fake;
    ASSERT_RUNS(fake, &task_http_download, call(fixture, "/named", ""));
    assert_true(str_ends(fake_output(fake, "uri"), "/file%20name.jpg"));
    assert_null(strstr(fake_output(fake, "uri"), "secure-path"));
    assert_string_equal(fake_read(fake, fake_output(fake, "uri")), "picture");
    assert_string_equal(fake_output(fake, "length"), "7");
    ASSERT_RUNS(fake, &task_http_download, call(fixture, "/hello", ""));
    assert_true(str_ends(fake_output(fake, "uri"), "/hello"));
    ASSERT_RUNS(fake, &task_http_download, call(fixture, "/hello", "saveAs: mine.json"));
    assert_true(str_ends(fake_output(fake, "uri"), "/mine.json"));
    ASSERT_FAILS(fake, &task_http_download, call(fixture, "/hello", "saveAs: ../../x"),
                 "not a name");
}

static void download_of_nothing_fails_unless_allowed(void **state)
{
    struct fixture *fixture = *state;
    struct fake_task *fake = fixture->fake;
    ASSERT_FAILS(fake, &task_http_download, call(fixture, "/empty", ""), "No response from server");
    ASSERT_RUNS(fake, &task_http_download, call(fixture, "/empty", "failOnEmptyResponse: false"));
    assert_string_equal(fake_output(fake, "length"), "0");
    ASSERT_FAILS(fake, &task_http_download, call(fixture, "/teapot", ""),
                 "417 Expectation Failed: no tea");
    ASSERT_RUNS(fake, &task_http_download, call(fixture, "/teapot", "allowFailed: true"));
    assert_string_equal(fake_output(fake, "code"), "417");
}

static void events_are_collected(void **state)
{
    struct fixture *fixture = *state;
    struct fake_task *fake = fixture->fake;
    ASSERT_RUNS(fake, &task_http_sse, call(fixture, "/sse", ""));
    assert_string_equal(fake_output(fake, "events"),
                        "[{\"data\":{\"t\":\"Hel\"},\"id\":\"1\"},"
                        "{\"data\":{\"t\":\"lo\"},\"id\":\"1\",\"name\":\"named\"},"
                        "{\"data\":\"plain\\ntext\",\"id\":\"1\"}]");
    assert_string_equal(fake_output(fake, "size"), "3");
    assert_null(value_get(fake->outputs, "result"));
    assert_non_null(strstr(fake_read(fake, fake_output(fake, "uri")), "\"plain\\ntext\""));
}

static void a_cancelled_call_ends(void **state)
{
    struct fixture *fixture = *state;
    struct fake_task *fake = fixture->fake;
    job_stop(&fake->job, STOP_KILL);
    ASSERT_FAILS(fake, &task_http_request, call(fixture, "/hello", ""), "");
    assert_int_equal(fake->error.code, ERR_CANCELLED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    TEST(request_gives_code_headers_and_body),
    TEST(request_sends_what_it_is_told),
    TEST(request_sends_files_as_parts),
    TEST(request_decodes_text_by_its_charset),
    TEST(request_fails_on_statuses_unless_they_are_allowed),
    TEST(request_follows_redirects_unless_told_not_to),
    TEST(request_logs_what_is_asked_without_credentials),
    TEST(download_stores_the_body_under_its_name),
    TEST(download_of_nothing_fails_unless_allowed),
    TEST(events_are_collected),
    TEST(a_cancelled_call_ends),
};
TEST_GROUP(task_http, tests)
