/* SPDX-License-Identifier: Apache-2.0 */
/* The polling trigger over HTTP against a server of our own. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/httpd.h"
#include "core/expr/expr.h"
#include "core/plugin.h"
#include "core/value.h"
#include "core/yaml.h"
#include "runtime/plugins.h"
#include "runtime/triggers/trigger.h"
#include "runtime/worker/job.h"
#include "runtime/worker/services.h"
#include "tests/support/test.h"

struct fixture {
    struct arena *arena;
    struct httpd *httpd;
    struct services services;
    struct job job;
    struct error err;
};

/* /200/text answers with that status and body. */
static void answer(void *context, struct httpd_request *request)
{
    (void)context;
    int status = (int)strtol(request->path + 1, NULL, 10);
    const char *body = strchr(request->path + 1, '/');
    body = body == NULL ? "" : body + 1;
    httpd_reply_bytes(request, status, "text/plain", body, strlen(body));
}

static void no_log(struct job *job, enum log_level level, const char *text, size_t length)
{
    (void)job;
    (void)level;
    (void)text;
    (void)length;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct httpd_options options = { .host = "127.0.0.1", .handler = answer };
    f->arena = arena_new();
    f->httpd = httpd_start(&options, &f->err);
    f->job.ctx.arena = f->arena;
    f->job.ctx.services = &f->services;
    f->job.ctx.deadline = USEC_NEVER;
    job_init(&f->job);
    f->job.log = no_log;
    *state = f;
    return f->httpd == NULL;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    httpd_stop(f->httpd);
    arena_free(f->arena);
    free(f);
    return 0;
}

/* One evaluation with these properties; the path is below the server. */
static bool evaluate(struct fixture *f,
                     const char *path,
                     const char *more,
                     const struct value **out)
{
    const struct plugin *type = plugin_find(plugins(), "io.kestra.plugin.fs.http.Trigger");
    const char *text =
        arena_printf(f->arena, "uri: http://127.0.0.1:%u%s\n%s", httpd_port(f->httpd), path, more);
    const struct value *map = yaml_parse(f->arena, text, strlen(text), NULL, &f->err);
    struct expr_env env = { .context = &value_empty_map };
    const struct value *rendered = prop_render(type->props, map, &env, f->arena, &f->err);
    void *bound = arena_alloc(f->arena, type->props_size);
    assert_non_null(rendered);
    assert_true(prop_bind(type->props, rendered, bound, f->arena, &f->err));
    *out = NULL;
    return type->trigger_ops->poll(&f->job.ctx, bound, out, &f->err);
}

static void http_trigger_fires_when_the_response_is_no_failure(void **state)
{
    struct fixture *f = *state;
    const struct value *out = NULL;
    assert_true(evaluate(f, "/200/hello", "", &out));
    assert_int_equal(value_get_int(out, "code", 0), 200);
    assert_string_equal(value_get_text(out, "body", ""), "hello");
    assert_non_null(value_get(out, "headers"));
    assert_true(evaluate(f, "/404/missing", "", &out));
    assert_null(out);
}

static void http_trigger_asks_its_condition(void **state)
{
    struct fixture *f = *state;
    const struct value *out = NULL;
    const char *condition = "responseCondition: \"{{ response.body == 'go' and "
                            "response.statusCode == 503 and response.headers is not empty }}\"\n";
    assert_true(evaluate(f, "/503/go", condition, &out));
    assert_int_equal(value_get_int(out, "code", 0), 503);
    assert_true(evaluate(f, "/503/stay", condition, &out));
    assert_null(out);
}

static void http_trigger_reports_what_it_cannot_evaluate(void **state)
{
    struct fixture *f = *state;
    const struct value *out = NULL;
    assert_false(evaluate(f, "/200/x", "responseCondition: \"{{ nope.deep }}\"\n", &out));
    assert_non_null(strstr(f->err.text, "responseCondition: "));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(
        http_trigger_fires_when_the_response_is_no_failure, set_up, tear_down),
    cmocka_unit_test_setup_teardown(http_trigger_asks_its_condition, set_up, tear_down),
    cmocka_unit_test_setup_teardown(
        http_trigger_reports_what_it_cannot_evaluate, set_up, tear_down),
};
TEST_GROUP(trigger_http, tests)
