/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entry points: begin a rendering, run a template, finish with a result or a message.
 */
#include "core/expr/expr.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/map.h"
#include "core/expr/cache.h"
#include "core/expr/eval.h"
#include "core/expr/lexer.h"
#include "core/expr/parser.h"
#include "core/json.h"
#include "core/value.h"

/* One rendering from the outside. */
struct rendering {
    struct run run;
    struct error own; /* when the caller wants no error */
    struct cached *cached;
    const struct expr *expr;
    uint64_t rng_start;
};

bool expr_is_dynamic(const char *text)
{
    for (; (text = strchr(text, '{')) != NULL; text++) {
        if (text[1] == '{' || text[1] == '%' || text[1] == '#')
            return true;
    }
    return false;
}

const struct expr *expr_compile(struct arena *arena,
                                const char *text,
                                size_t length,
                                struct error *err)
{
    return parse_template(arena, text, length, err);
}

/* ---- beginning and end ---- */

static int quoted_length(size_t length)
{
    return length > EXPR_QUOTE_MAX ? EXPR_QUOTE_MAX : (int)length;
}

void run_describe(struct run *run, const char *text, size_t length)
{
    struct error *err = run->err;
    uint32_t line = run->failed_at == NULL ? err->line : run->failed_at->line;
    uint32_t column = run->failed_at == NULL ? err->column : run->failed_at->column;
    if (run->failure == EXPR_NEEDS)
        return;
    if (run->failure == EXPR_UNDEFINED) {
        (void)error_set_at(err, ERR_INVALID, line, column,
                           "Unable to find `%.*s` used in the expression `%.*s` at line %u",
                           quoted_length(run->undefined.length), run->undefined.text,
                           quoted_length(length), text, line);
        return;
    }
    struct error why = *err;
    (void)error_set_at(err, why.code, line, column, "%.*s (%.*s:%u)", EXPR_QUOTE_MAX / 2, why.text,
                       quoted_length(length), text, line);
}

/* Compiles and prepares; false with the message set when the text is no template. */
static bool begin(struct rendering *r,
                  struct expr_env *env,
                  struct arena *arena,
                  const char *text,
                  size_t length,
                  struct error *err)
{
    r->cached = NULL;
    r->run = (struct run){
        .env = env,
        .arena = arena,
        .err = err == NULL ? &r->own : err,
        // Two templates of one seed draw different numbers.
        .rng = { env->seed ^ map_hash(text, length) },
        .steps_left = EXPR_STEPS_MAX,
        .memory_max = arena_bytes(arena) + EXPR_MEMORY_MAX,
        .stack = __builtin_frame_address(0),
        .cache = env->cache,
    };
    r->rng_start = r->run.rng.state;
    env->failure = EXPR_OK;
    if (env->cache != NULL) {
        r->cached = cache_template(env->cache, text, length, r->run.err);
        r->expr = r->cached == NULL ? NULL : cached_expr(r->cached);
    } else {
        r->expr = parse_template(arena, text, length, r->run.err);
    }
    if (r->expr != NULL)
        return true;
    r->run.failure = EXPR_SYNTAX;
    env->failure = EXPR_SYNTAX;
    run_describe(&r->run, text, length);
    return false;
}

static void finish(struct rendering *r)
{
    struct run *run = &r->run;
    run->env->failure = run->failure;
    // One that asks again once an answer is there draws the same numbers again.
    if (run->failure != EXPR_NEEDS && run->rng.state != r->rng_start)
        run->env->seed = run->rng.state;
    if (run->failure != EXPR_OK)
        run_describe(run, r->expr->text, r->expr->length);
    cached_release(r->cached);
    if (run->cache != run->env->cache)
        expr_cache_free(run->cache);
}

/*
 * Replaces each `raw` construct by its content, in place; what was protected from all renderings
 * becomes text at the end of the outermost one.
 */
static size_t strip_raw(char *text, size_t length)
{
    if (length < 6 || memmem(text, length, "endraw", 6) == NULL)
        return length;
    const char *end = text + length;
    char *to = text;
    for (const char *at = text; at < end;) {
        const char *content = NULL;
        size_t content_length = 0;
        size_t raw = *at == '{' ? raw_construct(at, end, &content, &content_length) : 0;
        if (raw == 0) {
            *to++ = *at++;
            continue;
        }
        memmove(to, content, content_length);
        to += content_length;
        at += raw;
    }
    *to = '\0';
    return (size_t)(to - text);
}

/* ---- text ---- */

/* Runs the template of a text; appends to the buffer. */
static bool render(struct expr_env *env,
                   struct arena *arena,
                   const char *text,
                   struct buf *out,
                   bool *wrote,
                   struct error *err)
{
    struct rendering r;
    if (!begin(&r, env, arena, text, strlen(text), err))
        return false;
    size_t before = out->length;
    struct sink sink = { .form = SINK_PRINT, .buf = out };
    bool done = eval_template(&r.run, r.expr, NULL, &sink);
    finish(&r);
    if (done && out->length > before)
        out->length = before + strip_raw(out->bytes + before, out->length - before);
    *wrote = sink.wrote;
    return done;
}

const char *expr_render_text(
    struct expr_env *env, struct arena *arena, const char *text, bool *wrote, struct error *err)
{
    bool any = true;
    const char *result = text;
    env->failure = EXPR_OK;
    if (expr_is_dynamic(text)) {
        struct buf buf = { 0 };
        bool done = render(env, arena, text, &buf, &any, err);
        result = done ? buf_dup(&buf, arena) : NULL;
        buf_free(&buf);
    } else {
        result = arena_strdup(arena, text);
    }
    if (wrote != NULL)
        *wrote = any;
    return result;
}

bool expr_render_into(struct expr_env *env, struct buf *out, const char *text, struct error *err)
{
    bool wrote = false;
    env->failure = EXPR_OK;
    if (!expr_is_dynamic(text)) {
        buf_puts(out, text);
        return true;
    }
    struct arena *scratch = arena_new();
    size_t before = out->length;
    bool done = render(env, scratch, text, out, &wrote, err);
    if (!done && out->bytes != NULL) {
        out->length = before;
        out->bytes[before] = '\0';
    }
    arena_free(scratch);
    return done;
}

/* ---- trees ---- */

static const struct value *render_leaf(struct expr_env *env,
                                       struct arena *arena,
                                       const struct value *leaf,
                                       struct error *err)
{
    bool wrote = true;
    if (!expr_is_dynamic(leaf->string.bytes))
        return leaf;
    const char *text = expr_render_text(env, arena, leaf->string.bytes, &wrote, err);
    if (text == NULL)
        return NULL;
    const struct value *value = wrote ? value_string_ref(arena, text, strlen(text)) : &value_null;
    return value_at(arena, value, leaf->line, leaf->column);
}

static const struct value *render_list(struct expr_env *env,
                                       struct arena *arena,
                                       const struct value *list,
                                       struct error *err)
{
    const struct value **items = ARENA_ARRAY(arena, list->list.count, const struct value *);
    bool changed = false;
    for (size_t i = 0; i < list->list.count; i++) {
        items[i] = expr_render_tree(env, arena, list->list.items[i], err);
        if (items[i] == NULL)
            return NULL;
        changed = changed || items[i] != list->list.items[i];
    }
    if (!changed)
        return list;
    return value_at(arena, value_list(arena, items, list->list.count), list->line, list->column);
}

static const struct value *render_map(struct expr_env *env,
                                      struct arena *arena,
                                      const struct value *map,
                                      struct error *err)
{
    struct value_builder builder = value_build(arena);
    bool changed = false;
    for (size_t i = 0; i < map->map.count; i++) {
        const struct value_member *m = &map->map.members[i];
        const char *key = m->key;
        size_t length = m->key_length;
        if (expr_is_dynamic(key)) {
            key = expr_render_text(env, arena, key, NULL, err);
            if (key == NULL)
                return NULL;
            length = strlen(key);
        }
        const struct value *value = expr_render_tree(env, arena, m->value, err);
        if (value == NULL)
            return NULL;
        changed = changed || key != m->key || value != m->value;
        if (!value_build_has(&builder, key, length))
            value_put_at(&builder, key, length, m->line, m->column, value);
    }
    if (!changed)
        return map;
    return value_at(arena, value_build_map(&builder), map->line, map->column);
}

const struct value *expr_render_tree(struct expr_env *env,
                                     struct arena *arena,
                                     const struct value *tree,
                                     struct error *err)
{
    env->failure = EXPR_OK;
    tree = value_force(arena, tree);
    if (tree->kind == VALUE_STRING)
        return render_leaf(env, arena, tree, err);
    if (tree->kind == VALUE_LIST)
        return render_list(env, arena, tree, err);
    return tree->kind == VALUE_MAP ? render_map(env, arena, tree, err) : tree;
}

/* ---- typed ---- */

static bool is_scalar(const struct value *value)
{
    return value->kind == VALUE_STRING || value->kind == VALUE_BOOL || value_is_number(value);
}

static const struct value *stripped(struct arena *arena, const char *bytes, size_t length)
{
    char *copy = arena_strndup(arena, bytes, length);
    return value_string_ref(arena, copy, strip_raw(copy, length));
}

/* The value of several pieces: a text, or the JSON value that this text begins with. */
static const struct value *join_pieces(struct evaluator *ev, const struct sink *sink)
{
    struct buf buf = { 0 };
    bool scalars = true;
    bool fits = true;
    for (size_t i = 0; i < sink->count; i++)
        scalars = scalars && is_scalar(sink->pieces[i]);
    for (size_t i = 0; i < sink->count && fits; i++)
        fits = value_write_limited(&buf, sink->pieces[i], scalars ? FORM_DISPLAY : FORM_PRINT,
                                   EXPR_OUTPUT_MAX);
    const struct value *value = NULL;
    if (fits) {
        value = stripped(ev->arena, buf_text(&buf), buf.length);
        const struct value *json = NULL;
        if (!scalars)
            json =
                json_parse_first(ev->arena, value->string.bytes, value->string.length, NULL, NULL);
        value = json == NULL ? value : json;
    } else {
        (void)text_fits(ev, NULL, EXPR_OUTPUT_MAX, 1);
    }
    buf_free(&buf);
    return value;
}

static const struct value *typed_result(struct evaluator *ev, const struct sink *sink)
{
    if (sink->count == 0)
        return &value_null;
    if (sink->count > 1)
        return join_pieces(ev, sink);
    const struct value *value = sink->pieces[0];
    if (value->kind == VALUE_STRING)
        return stripped(ev->arena, value->string.bytes, value->string.length);
    return ev->run->built && !tree_fits(ev, NULL, value, EXPR_RESULT_MAX) ? NULL : value;
}

const struct value *expr_render_typed(struct expr_env *env,
                                      struct arena *arena,
                                      const char *text,
                                      struct error *err)
{
    struct rendering r;
    env->failure = EXPR_OK;
    if (!expr_is_dynamic(text))
        return value_string(arena, text);
    if (!begin(&r, env, arena, text, strlen(text), err))
        return NULL;
    struct sink sink = { .form = SINK_PIECES };
    struct evaluator ev = { .run = &r.run, .arena = arena, .expr = r.expr };
    const struct value *value = NULL;
    if (eval_template(&r.run, r.expr, NULL, &sink))
        value = typed_result(&ev, &sink);
    finish(&r);
    return value;
}

/* ---- truth ---- */

bool expr_truthy_text(const char *text)
{
    static const char *const falsehoods[] = { "", "false", "0", "-0" };
    const char *end = text + strlen(text);
    while (text < end && (unsigned char)*text <= ' ')
        text++;
    while (end > text && (unsigned char)end[-1] <= ' ')
        end--;
    size_t length = (size_t)(end - text);
    for (size_t i = 0; i < sizeof(falsehoods) / sizeof(falsehoods[0]); i++) {
        if (strlen(falsehoods[i]) == length && memcmp(falsehoods[i], text, length) == 0)
            return false;
    }
    return true;
}

bool expr_render_truth(struct expr_env *env, const char *text, bool *ok, struct error *err)
{
    struct buf buf = { 0 };
    *ok = expr_render_into(env, &buf, text, err);
    bool is_true = *ok && expr_truthy_text(buf_text(&buf));
    buf_free(&buf);
    return is_true;
}
