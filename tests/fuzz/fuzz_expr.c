/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text is compiled and rendered: as text, typed, twice, with a cache. Nothing may crash, both
 * renderings must agree, failures must say so.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "core/expr/expr.h"
#include "core/json.h"
#include "core/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static const char context_text[] =
    "{\"a\":1,\"b\":2.5,\"s\":\"a text, 'quoted'\",\"n\":null,\"t\":true,\"l\":[3,1,2],\"e\":[],"
    "\"m\":{\"k\":\"v\",\"x\":{\"y\":[{\"z\":1}]}},\"d\":\"2024-03-07T09:05:03.123456789Z\","
    "\"big\":98765432109876543210,\"r\":\"{{ a }}-{{ s | upper }}\","
    "\"outputs\":{\"load\":{\"rows\":12}},\"taskrun\":{\"value\":\"v\"},\"parents\":[]}";

static void ignore_reference(void *data, const char *path, uint32_t line, uint32_t column)
{
    (void)line;
    (void)column;
    *(size_t *)data += strlen(path);
}

/* Renders, and checks what every answer must fulfil. */
static const char *render(struct expr_env *env, struct arena *arena, const char *text)
{
    struct error err = { 0 };
    bool wrote = false;
    const char *result = expr_render_text(env, arena, text, &wrote, &err);
    if (result == NULL) {
        CHECK(env->failure != EXPR_OK);
        CHECK(env->failure != EXPR_NEEDS);
        CHECK(err.code == ERR_INVALID);
        CHECK(err.line > 0);
        CHECK(err.text[0] != '\0');
        return NULL;
    }
    CHECK(env->failure == EXPR_OK);
    CHECK(wrote || result[0] == '\0');
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct arena *arena = arena_new();
    struct expr_cache *cache = expr_cache_new();
    const char *text = arena_strndup(arena, (const char *)bytes, length);
    struct expr_env env = {
        .context = json_parse(arena, context_text, sizeof(context_text) - 1, NULL),
        .cache = cache,
        .now = 1709802303123456,
        .zone = "Europe/Paris",
        .seed = 1,
    };
    struct expr_env again = env;
    const char *first = render(&env, arena, text);
    const char *second = render(&again, arena, text);
    CHECK((first == NULL) == (second == NULL));
    // What asks the system for chance or ports may differ.
    bool stable = strstr(text, "encrypt") == NULL && strstr(text, "randomPort") == NULL;
    if (first != NULL && stable)
        CHECK(strcmp(first, second) == 0);

    struct buf json = { 0 };
    again.cache = NULL;
    const struct value *typed = expr_render_typed(&again, arena, text, NULL);
    if (typed != NULL)
        CHECK(value_write_limited(&json, typed, FORM_JSON_FULL, SIZE_MAX / 4));
    buf_free(&json);

    size_t paths = 0;
    const struct expr *expr = expr_compile(arena, text, strlen(text), NULL);
    if (expr != NULL)
        expr_references(expr, ignore_reference, &paths);
    expr_cache_free(cache);
    arena_free(arena);
    return 0;
}
