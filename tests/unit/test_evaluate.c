/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/httpd.h"
#include "base/redact.h"
#include "base/str.h"
#include "core/expr/expr.h"
#include "core/json.h"
#include "runtime/storage/storage.h"
#include "runtime/worker/evaluate.h"
#include "tests/support/fake_task.h"
#include "tests/support/test.h"

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

static struct evaluate evaluate_of(struct fake_task *fake)
{
    return (struct evaluate){ .services = &fake->services,
                              .context = fake->context,
                              .redact = fake->job.ctx.redact,
                              .is_task = true };
}

/* Renders; the failure's text when it fails. */
static const char *render_with(struct fake_task *fake, struct evaluate *evaluate, const char *text)
{
    struct expr_host host = evaluate_host(evaluate);
    struct expr_env env = { .context = evaluate->context, .host = &host, .now = clock_now() };
    fake->error = (struct error){ 0 };
    const char *rendered = expr_render_text(&env, fake->arena, text, NULL, &fake->error);
    return rendered != NULL ? rendered : fake->error.text;
}

static const char *render(struct fake_task *fake, const char *text)
{
    struct evaluate evaluate = evaluate_of(fake);
    return render_with(fake, &evaluate, text);
}

#define ASSERT_RENDERS(fake, text, expected) assert_string_equal(render((fake), (text)), (expected))
#define ASSERT_REFUSES(fake, text, part)                                                           \
    do {                                                                                           \
        const char *message = render((fake), (text));                                              \
        if ((fake)->error.code == ERR_NONE)                                                        \
            fail_msg("'%s' gave '%s'", (text), message);                                           \
        if (strstr(message, (part)) == NULL)                                                       \
            fail_msg("'%s' does not hold '%s'", message, (part));                                  \
    } while (0)

static void secret_gives_the_value_and_has_it_masked(void **state)
{
    struct fake_task *fake = *state;
    static char plain[] = "very-secret";
    static char json[] = "{\"user\": \"u-1234\", \"n\": {\"x\": 1}}";
    (void)map_put(&fake->secrets, "PLAIN", plain);
    (void)map_put(&fake->secrets, "JSON", json);
    ASSERT_RENDERS(fake, "{{ secret('PLAIN') }}", "very-secret");
    struct buf out = { 0 };
    assert_true(redact_apply(fake->job.ctx.redact, "x very-secret", 13, &out));
    assert_string_equal(buf_text(&out), "x ******");
    buf_free(&out);
    ASSERT_RENDERS(fake, "{{ secret('JSON', subkey='user') }}", "u-1234");
    ASSERT_RENDERS(fake, "{{ secret('JSON', subkey='n') }}", "{\"x\":1}");
    ASSERT_RENDERS(fake, "{{ secret('PLAIN', full=true).value }}", "very-secret");
    ASSERT_REFUSES(fake, "{{ secret('NONE') }}", "Cannot find secret for key 'NONE'.");
    ASSERT_REFUSES(fake, "{{ secret('JSON', subkey='none') }}", "none");
    ASSERT_REFUSES(fake, "{{ secret('PLAIN', subkey='x') }}", "is not a JSON object");
    ASSERT_REFUSES(fake, "{{ secret('JSON', subkey='user', full=true) }}", "together");
    ASSERT_REFUSES(fake, "{{ secret() }}", "");
    ASSERT_REFUSES(fake, "{{ secret(1) }}", "");
}

static void secret_is_stars_in_a_preview(void **state)
{
    struct fake_task *fake = *state;
    static char plain[] = "very-secret";
    (void)map_put(&fake->secrets, "PLAIN", plain);
    struct evaluate evaluate = evaluate_of(fake);
    evaluate.is_preview = true;
    assert_string_equal(render_with(fake, &evaluate, "{{ secret('PLAIN') }}"), "******");
    assert_string_equal(render_with(fake, &evaluate, "{{ secret('NONE') }}"), "******");
}

static void kv_searches_ancestors_unless_a_namespace_is_given(void **state)
{
    struct fake_task *fake = *state;
    fake_kv(fake, "company", "up", "{\"a\": [1, 2]}");
    fake_kv(fake, "other", "k", "\"there\"");
    ASSERT_RENDERS(fake, "{{ kv('up').a[1] + 1 }}", "3");
    ASSERT_RENDERS(fake, "{{ kv('k', 'other') }}", "there");
    ASSERT_REFUSES(fake, "{{ kv('up', 'company.team') }}",
                   "does not exist in the namespace 'company.team'");
    ASSERT_REFUSES(fake, "{{ kv('none') }}", "The key 'none' does not exist");
    ASSERT_RENDERS(fake, "{{ kv('none', errorOnMissing=false) }}", "");
    ASSERT_RENDERS(fake, "{{ kv('none', errorOnMissing=false) ?? 'x' }}", "x");
}

static void read_takes_namespace_files_and_files_of_executions(void **state)
{
    struct fake_task *fake = *state;
    fake_file(fake, "company.team", "dir/a.txt", "text of a");
    fake_file(fake, "other", "b.txt", "text of b");
    const char *uri = fake_store(fake, "out.txt", "output");
    ASSERT_RENDERS(fake, "{{ read('dir/a.txt') }}", "text of a");
    ASSERT_RENDERS(fake, "{{ read('/dir/a.txt') }}", "text of a");
    ASSERT_RENDERS(fake, "{{ read('nsfile:///dir/a.txt') }}", "text of a");
    ASSERT_RENDERS(fake, "{{ read('nsfile://other/b.txt') }}", "text of b");
    ASSERT_RENDERS(fake, "{{ read('b.txt', 'other') }}", "text of b");
    ASSERT_RENDERS(fake, "{{ read('dir/a.txt', version=1) }}", "text of a");
    ASSERT_RENDERS(fake, "{{ read('kestra:///company/team/_files/dir/a.txt') }}", "text of a");
    ASSERT_RENDERS(fake, arena_printf(fake->arena, "{{ read('%s') }}", uri), "output");
    ASSERT_REFUSES(fake, "{{ read('dir/a.txt', version=2) }}", "no file");
    ASSERT_REFUSES(fake, "{{ read('none.txt') }}", "none.txt");
}

static void read_refuses_what_is_not_for_this_flow(void **state)
{
    struct fake_task *fake = *state;
    fake_file(fake, "other", "b.txt", "text of b");
    struct storage *storage = fake->services.storage;
    assert_true(storage->ops->put_bytes(storage, "company/team/my-flow/_cache/x", "cached", 6, 0,
                                        &fake->error));
    ASSERT_REFUSES(fake, "{{ read('../x') }}", "../");
    ASSERT_REFUSES(fake, "{{ read('a/../../x') }}", "../");
    ASSERT_REFUSES(fake, "{{ read('kestra:///company/../x') }}", "../");
    ASSERT_REFUSES(fake, "{{ read('kestra:///company/%2e%2e/x') }}", "not a URI");
    ASSERT_REFUSES(fake, "{{ read('https://example.com/x') }}", "scheme");
    ASSERT_REFUSES(fake, "{{ read('nsfile://other/b.txt', 'company.team') }}", "itself");
    ASSERT_REFUSES(fake, "{{ read('kestra:///other/_files/b.txt') }}", "may not be read from here");
    ASSERT_REFUSES(fake, "{{ read('kestra:///company/team/my-flow/_cache/x') }}",
                   "may not be read");
    ASSERT_REFUSES(fake, "{{ read('file:///etc/passwd') }}", "not below an allowed folder");
    ASSERT_REFUSES(fake, "{{ read('') }}", "");
    ASSERT_REFUSES(fake, "{{ read() }}", "");
}

static void file_functions_tell_about_files(void **state)
{
    struct fake_task *fake = *state;
    fake_file(fake, "company.team", "a.txt", "12345");
    fake_file(fake, "company.team", "empty", "");
    ASSERT_RENDERS(fake, "{{ fileExists('a.txt') }} {{ fileExists('none') }}", "true false");
    ASSERT_RENDERS(fake, "{{ fileSize('a.txt') }}", "5");
    ASSERT_RENDERS(fake, "{{ isFileEmpty('a.txt') }} {{ isFileEmpty('empty') }}", "false true");
    ASSERT_REFUSES(fake, "{{ fileSize('none') }}", "none");
    ASSERT_REFUSES(fake, "{{ isFileEmpty('none') }}", "none");
    ASSERT_RENDERS(fake, "{{ fileURI('test') }}", "kestra:///company/team/_files/test");
    ASSERT_RENDERS(fake, "{{ fileURI('/a b', 'x.y') }}", "kestra:///x/y/_files/a%20b");
    ASSERT_RENDERS(fake, "{{ fileURI('nsfile://n/a') }}", "kestra:///n/_files/a");
    ASSERT_RENDERS(fake, "{{ fileURI('file:///tmp/x') }}", "file:///tmp/x");
}

static void error_logs_are_those_of_the_execution(void **state)
{
    struct fake_task *fake = *state;
    static char answer[] = "{\"entries\": [{\"message\": \"boom\", \"level\": \"ERROR\"}]}";
    (void)map_put(&fake->operation_answers, "log.fetch", answer);
    ASSERT_RENDERS(fake, "{{ errorLogs()[0].message }}", "boom");
    assert_non_null(strstr(fake->operations.bytes,
                           "{\"executionId\":\"exec1\",\"level\":\"ERROR\",\"offset\":0"));
    struct evaluate evaluate = evaluate_of(fake);
    evaluate.is_task = false;
    (void)render_with(fake, &evaluate, "{{ errorLogs() }}");
    assert_int_not_equal(fake->error.code, ERR_NONE);
}

static void subflow_runs_only_while_inputs_are_resolved(void **state)
{
    struct fake_task *fake = *state;
    static char answer[] = "{\"id\": \"e2\", \"state\": \"SUCCESS\", \"outputs\": {\"a\": 1}}";
    (void)map_put(&fake->operation_answers, "subflow.run", answer);
    const char *text = "{{ subflow('ns', 'child', inputs={'x': 1}).outputs.a }}";
    ASSERT_REFUSES(fake, text, "while inputs are resolved");

    static const char flow_only[] = "{\"flow\": {\"id\": \"f\", \"namespace\": \"ns\"}}";
    struct evaluate evaluate = evaluate_of(fake);
    evaluate.is_task = false;
    evaluate.context = json_parse(fake->arena, flow_only, sizeof(flow_only) - 1, &fake->error);
    assert_string_equal(render_with(fake, &evaluate, text), "1");
    assert_string_equal(
        fake->operations.bytes,
        "subflow.run {\"namespace\":\"ns\",\"flowId\":\"child\",\"inputs\":{\"x\":1},"
        "\"timeout\":60.0,\"depth\":1}\n");
    (void)render_with(fake, &evaluate, "{{ subflow('ns', 'child', timeout='PT6M') }}");
    assert_non_null(strstr(fake->error.text, "PT5M"));
    evaluate.depth = 3;
    (void)render_with(fake, &evaluate, text);
    assert_non_null(strstr(fake->error.text, "nested"));
    evaluate.depth = 0;
    static char failed[] = "{\"id\": \"e2\", \"state\": \"FAILED\"}";
    (void)map_put(&fake->operation_answers, "subflow.run", failed);
    (void)render_with(fake, &evaluate, text);
    assert_non_null(strstr(fake->error.text, "ended FAILED"));
}

static void handle(void *context, struct httpd_request *request)
{
    (void)context;
    const char *type = http_header_find(&request->headers, "Content-Type");
    if (str_starts(request->path, "/yaml")) {
        httpd_reply_bytes(request, 200, "application/yaml", "a: [1, 2]\n", 10);
    } else if (str_starts(request->path, "/text")) {
        httpd_reply_bytes(request, 200, "text/plain", "not json", 8);
    } else if (str_starts(request->path, "/fail")) {
        httpd_reply_bytes(request, 500, "application/json", "{\"e\":1}", 7);
    } else {
        struct buf out = { 0 };
        buf_printf(&out, "{\"method\":\"%s\",\"target\":\"%s\",\"type\":", request->method,
                   request->target);
        value_write_json_string(&out, type == NULL ? "" : type, type == NULL ? 0 : strlen(type));
        buf_puts(&out, ",\"body\":");
        value_write_json_string(&out, request->body, request->body_length);
        buf_putc(&out, '}');
        httpd_reply_bytes(request, 200, "application/json", out.bytes, out.length);
        buf_free(&out);
    }
}

static void http_gives_the_parsed_answer(void **state)
{
    struct fake_task *fake = *state;
    struct httpd_options options = { .host = "127.0.0.1", .handler = handle };
    struct httpd *server = httpd_start(&options, &fake->error);
    CHECK(server != NULL);
    char text[512];
#define URL(rest)                                                                                  \
    (snprintf(text, sizeof(text), "{{ http('http://127.0.0.1:%u" rest, httpd_port(server)), text)
    ASSERT_RENDERS(fake, URL("/x', query={'a': 1}).target }}"), "/x?a=1");
    ASSERT_RENDERS(fake, URL("/x', 'POST', body={'k': 1}).body }}"), "{\"k\":1}");
    ASSERT_RENDERS(fake, URL("/x', 'POST', body={'k': 1}).type }}"), "application/json");
    ASSERT_RENDERS(fake, URL("/x', 'POST', body={'k': 1}, contentType='application/yaml').body }}"),
                   "k: 1\n");
    ASSERT_RENDERS(fake,
                   URL("/x', 'POST', body='t', contentType='text/plain', headers={'Content-Type': "
                       "'no'}).type }}"),
                   "text/plain");
    ASSERT_RENDERS(fake, URL("/yaml').a[1] }}"), "2");
    ASSERT_REFUSES(fake, URL("/text') }}"), "");
    ASSERT_REFUSES(fake, URL("/fail') }}"), "returned 500");
    ASSERT_RENDERS(fake, URL("/fail', options={'allowFailed': true}).e }}"), "1");
    httpd_stop(server);
    ASSERT_REFUSES(fake, "{{ http('http://127.0.0.1:1/') }}", "127.0.0.1");
}

static void what_cannot_be_reached_is_a_failure_not_a_wait(void **state)
{
    struct fake_task *fake = *state;
    (void)render(fake, "{{ http('http://127.0.0.1:1/') }}");
    assert_int_equal(fake->error.code, ERR_INVALID);
}

static void unknown_functions_are_refused(void **state)
{
    struct fake_task *fake = *state;
    struct evaluate evaluate = evaluate_of(fake);
    assert_null(evaluate_call(&evaluate, fake->arena, "appLink", &value_empty_map, &fake->error));
    assert_int_equal(fake->error.code, ERR_INVALID);
}

static void the_log_of_a_task_is_stored_without_secrets(void **state)
{
    struct fake_task *fake = *state;
    struct evaluate evaluate = evaluate_of(fake);
    assert_true(redact_add(fake->job.ctx.redact, "hidden-word"));
    static const char text[] =
        "{\"name\": \"a.log\", \"lines\": [[\"INFO\", \"says hidden-word\"], [\"ERROR\", \"x\"]]}";
    const struct value *arguments = json_parse(fake->arena, text, strlen(text), NULL);
    const struct value *uri =
        evaluate_call(&evaluate, fake->arena, "logFile", arguments, &fake->error);
    assert_non_null(uri);
    const char *read = render(fake, arena_printf(fake->arena, "{{ read('%s') }}", value_cstr(uri)));
    assert_non_null(strstr(read, " INFO says ******\n"));
    assert_non_null(strstr(read, " ERROR x\n"));
    // it is the engine's, no function of the language
    ASSERT_REFUSES(fake, "{{ logFile(name='b.log', lines=[]) }}", "logFile");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    TEST(secret_gives_the_value_and_has_it_masked),
    TEST(secret_is_stars_in_a_preview),
    TEST(kv_searches_ancestors_unless_a_namespace_is_given),
    TEST(read_takes_namespace_files_and_files_of_executions),
    TEST(read_refuses_what_is_not_for_this_flow),
    TEST(file_functions_tell_about_files),
    TEST(error_logs_are_those_of_the_execution),
    TEST(subflow_runs_only_while_inputs_are_resolved),
    TEST(http_gives_the_parsed_answer),
    TEST(what_cannot_be_reached_is_a_failure_not_a_wait),
    TEST(unknown_functions_are_refused),
    TEST(the_log_of_a_task_is_stored_without_secrets),
};
TEST_GROUP(evaluate, tests)
