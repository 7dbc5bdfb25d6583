/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs tables of expression cases (expressions.md 13): `expressions FILE…`. cases.json beside this
 * file holds our own, ordered as the document is.
 *
 * Prints each case that fails with id, template, what was expected and what came, and as last line
 * `N passed, N failed`. Every case is rendered twice, the second time from the cache: both must
 * agree.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "core/expr/expr.h"
#include "core/json.h"
#include "core/value.h"

#define CASES_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* The world of the table: no secrets, no entries, no files, no network. */
static const struct value *empty_world(void *data,
                                       struct arena *arena,
                                       const char *function,
                                       const struct value *arguments,
                                       struct error *err)
{
    (void)data;
    (void)arena;
    if (strcmp(function, "secret") == 0)
        error_set(err, ERR_NOT_FOUND, "Cannot find secret for key '%s'.",
                  value_get_text(arguments, "key", ""));
    else if (strcmp(function, "kv") == 0 && !value_get_bool(arguments, "errorOnMissing", true))
        return &value_null;
    else if (strcmp(function, "fileExists") == 0)
        return &value_false;
    else
        error_set(err, ERR_NOT_FOUND, "there is nothing to find in this test");
    return NULL;
}

static const char *const failure_names[] = {
    [EXPR_OK] = "none",
    [EXPR_SYNTAX] = "syntax",
    [EXPR_UNDEFINED] = "undefined",
    [EXPR_EVALUATION] = "evaluation",
    [EXPR_NEEDS] = "needs",
};

/* Prints a text as JSON, so that line ends and quotes can be told apart. */
static void print_quoted(const char *label, const char *text)
{
    struct buf buf = { 0 };
    value_write_json_string(&buf, text, strlen(text));
    printf("    %s %s\n", label, buf_text(&buf));
    buf_free(&buf);
}

struct outcome {
    const char *text; /* NULL when it failed */
    enum expr_failure failure;
    struct error err;
};

static void render(struct expr_env *env,
                   struct arena *arena,
                   const char *template,
                   struct outcome *out)
{
    out->err = (struct error){ 0 };
    out->text = expr_render_text(env, arena, template, NULL, &out->err);
    out->failure = env->failure;
}

static bool same_outcome(const struct outcome *a, const struct outcome *b)
{
    if (a->failure != b->failure || (a->text == NULL) != (b->text == NULL))
        return false;
    return strcmp(a->text == NULL ? a->err.text : a->text,
                  b->text == NULL ? b->err.text : b->text) == 0;
}

static bool run_case(struct expr_cache *cache, const struct value *test)
{
    static const struct expr_host host = { .call = empty_world };
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct expr_env env = {
        .context = value_get(test, "context"),
        .host = &host,
        .cache = cache,
        .now = clock_now(),
        .seed = 1,
    };
    const char *id = value_get_text(test, "id", "?");
    const char *template = value_get_text(test, "template", "");
    const char *expect = value_get_text(test, "expect", NULL);
    const char *error = value_get_text(test, "error", NULL);
    struct outcome first;
    struct outcome second;
    render(&env, arena, template, &first);
    render(&env, arena, template, &second);
    bool stable = same_outcome(&first, &second);
    bool passed = stable;
    if (expect != NULL)
        passed = passed && first.text != NULL && strcmp(first.text, expect) == 0;
    else
        passed = passed && first.text == NULL && error != NULL &&
                 strcmp(failure_names[first.failure], error) == 0;
    if (passed)
        return true;
    printf("%s\n", id);
    print_quoted("template", template);
    if (expect != NULL)
        print_quoted("expected", expect);
    else
        printf("    expected %s error\n", error);
    if (first.text != NULL) {
        print_quoted(error == NULL ? "got     " : "wrong success", first.text);
    } else {
        printf("    %s %s error: %s\n", error == NULL ? "got     " : "kind is ",
               failure_names[first.failure], first.err.text);
    }
    if (!stable)
        printf("    the second rendering differs\n");
    return false;
}

static char *read_file(const char *path, size_t *length)
{
    AUTO_FILE FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    struct buf buf = { 0 };
    size_t got = 1;
    while (got > 0 && buf.length < CASES_BYTES_MAX) {
        got = fread(buf_reserve(&buf, 65536), 1, 65536, file);
        buf_added(&buf, got);
    }
    *length = buf.length;
    return buf.bytes;
}

/* Runs the cases of one file; false when it holds none. */
static bool run_file(struct expr_cache *cache, const char *path, size_t *passed, size_t *all)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct error err = { 0 };
    size_t length = 0;
    AUTO_FREE char *text = read_file(path, &length);
    const struct value *cases = text == NULL ? NULL : json_parse(arena, text, length, &err);
    if (!value_is_list(cases)) {
        fprintf(stderr, "%s: %s\n", path, text == NULL ? "cannot be read" : err.text);
        return false;
    }
    for (size_t i = 0; i < value_count(cases); i++)
        *passed += run_case(cache, value_item(cases, i)) ? 1 : 0;
    *all += value_count(cases);
    return true;
}

int main(int argc, char **argv)
{
    size_t passed = 0;
    size_t all = 0;
    bool readable = argc > 1;
    if (argc < 2)
        fprintf(stderr, "usage: expressions FILE…\n");
    struct expr_cache *cache = expr_cache_new();
    for (int i = 1; i < argc && readable; i++)
        readable = run_file(cache, argv[i], &passed, &all);
    expr_cache_free(cache);
    if (!readable)
        return 2;
    printf("%zu passed, %zu failed\n", passed, all - passed);
    return passed == all ? 0 : 1;
}
