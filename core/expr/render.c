/* SPDX-License-Identifier: Apache-2.0 */
/*
 * render() and renderOnce(): templates inside of values.
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/regex.h"
#include "core/expr/cache.h"
#include "core/expr/eval.h"

static struct expr_cache *run_cache(struct run *run)
{
    if (run->cache == NULL)
        run->cache = expr_cache_new(); // freed when the rendering ends
    return run->cache;
}

struct regex *eval_regex(struct evaluator *ev, const struct node *node, const struct value *pattern)
{
    struct error why = { 0 };
    if (!charge(ev, node, pattern->string.length / 4 + 1))
        return NULL;
    struct regex *regex =
        cache_regex(run_cache(ev->run), pattern->string.bytes, pattern->string.length, &why);
    if (regex == NULL)
        (void)fail(ev, node, "%s", why.text);
    return regex;
}

/*
 * Whatever went wrong inside is an evaluation failure outside, except that an answer is missing.
 */
static const struct value *inner_failure(struct evaluator *ev,
                                         const struct node *node,
                                         const struct value *text)
{
    struct run *run = ev->run;
    if (run->failure == EXPR_NEEDS)
        return NULL;
    run_describe(run, text->string.bytes, text->string.length);
    struct error why = *run->err;
    return fail(ev, node, "%s", why.text);
}

/* One round: a string, or NULL with the failure noted. *wrote as in expr_render_text(). */
static const struct value *render_once(struct evaluator *ev,
                                       const struct node *node,
                                       const struct value *text,
                                       bool *wrote)
{
    struct run *run = ev->run;
    struct error why = { 0 };
    *wrote = text->string.length > 0;
    if (memchr(text->string.bytes, '{', text->string.length) == NULL)
        return text;
    if (!charge(ev, node, text->string.length / 16 + 1))
        return NULL;
    struct cached *cached =
        cache_template(run_cache(run), text->string.bytes, text->string.length, &why);
    if (cached == NULL) {
        run->failure = EXPR_SYNTAX;
        run->failed_at = NULL;
        *run->err = why;
        return inner_failure(ev, node, text);
    }
    struct buf buf = { 0 };
    struct sink sink = { .form = SINK_PRINT, .buf = &buf };
    run->nest++;
    bool done = eval_template(run, cached_expr(cached), ev->globals, &sink);
    run->nest--;
    cached_release(cached);
    *wrote = sink.wrote;
    if (done)
        return text_of(ev, node, &buf);
    buf_free(&buf);
    return inner_failure(ev, node, text);
}

static const struct value *render_string(struct evaluator *ev,
                                         const struct node *node,
                                         const struct value *text,
                                         bool recursive)
{
    for (unsigned rounds = 0; rounds < EXPR_RENDER_ROUNDS; rounds++) {
        bool wrote = false;
        const struct value *next = render_once(ev, node, text, &wrote);
        if (next == NULL)
            return NULL;
        if (!wrote)
            return &value_null;
        bool same = next->string.length == text->string.length &&
                    memcmp(next->string.bytes, text->string.bytes, next->string.length) == 0;
        if (same || !recursive)
            return next;
        text = next;
    }
    return fail(ev, node, "the text still changes after %u rounds of rendering",
                EXPR_RENDER_ROUNDS);
}

static const struct value *render_map(struct evaluator *ev,
                                      const struct node *node,
                                      const struct value *map,
                                      bool recursive)
{
    struct value_builder builder = value_build(ev->arena);
    for (size_t i = 0; i < map->map.count; i++) {
        const struct value_member *m = &map->map.members[i];
        const struct value *key = value_string_ref(ev->arena, m->key, m->key_length);
        key = render_string(ev, node, key, recursive);
        const struct value *value =
            key == NULL ? NULL : render_value(ev, node, m->value, recursive);
        if (value == NULL)
            return NULL;
        if (key->kind == VALUE_NULL)
            key = &value_empty_string;
        if (!value_build_has(&builder, key->string.bytes, key->string.length))
            value_put_n(&builder, key->string.bytes, key->string.length, value);
    }
    return value_build_map(&builder);
}

static const struct value *render_list(struct evaluator *ev,
                                       const struct node *node,
                                       const struct value *list,
                                       bool recursive)
{
    struct value_builder builder = value_build(ev->arena);
    for (size_t i = 0; i < list->list.count; i++) {
        const struct value *item = render_value(ev, node, list->list.items[i], recursive);
        if (item == NULL)
            return NULL;
        value_add(&builder, item);
    }
    return value_build_list(&builder);
}

const struct value *render_value(struct evaluator *ev,
                                 const struct node *node,
                                 const struct value *value,
                                 bool recursive)
{
    if (ev->run->nest >= EXPR_RENDER_NEST)
        return fail(ev, node, "render() inside of rendered texts more than %u deep",
                    EXPR_RENDER_NEST);
    if (!charge(ev, node, 1))
        return NULL;
    value = value_force(ev->arena, value);
    if (value->kind == VALUE_STRING)
        return render_string(ev, node, value, recursive);
    if (value->kind == VALUE_MAP)
        return render_map(ev, node, value, recursive);
    return value->kind == VALUE_LIST ? render_list(ev, node, value, recursive) : value;
}
