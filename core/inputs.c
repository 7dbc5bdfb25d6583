/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolution of inputs (flow-language.md 1.5.4), flow outputs (1.6) and checks (1.11).
 */
#include "core/inputs.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "core/expr/expr.h"
#include "core/value.h"

/* Names in warnings about what was given but not declared. */
#define WARNINGS_MAX 100U

enum progress { WAITING, UNDER_WAY, DONE };

struct resolver {
    const struct inputs_request *request;
    struct arena *arena;
    struct input_result *results; /* one for each input, FORM too */
    enum progress *progress;
    const struct value *context; /* of the caller, without `inputs` */
    const struct value *shown;   /* map of what is resolved; NULL: to be made again */
};

/* ---- nested maps of dotted ids ---- */

/* One result and what is left of its id below the current map. */
struct leaf {
    const char *rest;
    const struct value *value;
};

static const struct value *nest(struct arena *arena, const struct leaf *leaves, size_t count)
{
    struct value_builder map = value_build(arena);
    struct map groups = { 0 }; // first segment -> 1 + index of its first leaf
    struct leaf *below = ARENA_ARRAY(arena, count, struct leaf);

    for (size_t i = 0; i < count; i++) {
        const char *dot = strchr(leaves[i].rest, '.');
        if (dot == NULL) {
            value_put(&map, leaves[i].rest, leaves[i].value);
            continue;
        }
        size_t length = (size_t)(dot - leaves[i].rest);
        if (map_find_bytes(&groups, leaves[i].rest, length) != NULL)
            continue; // went in with the first of its group
        (void)map_put_bytes(&groups, leaves[i].rest, length, below);

        size_t members = 0;
        for (size_t j = i; j < count; j++) {
            if (strncmp(leaves[j].rest, leaves[i].rest, length + 1) == 0)
                below[members++] = (struct leaf){ leaves[j].rest + length + 1, leaves[j].value };
        }
        value_put_n(&map, leaves[i].rest, length, nest(arena, below, members));
    }
    map_free(&groups);
    return value_build_map(&map);
}

static const struct value *nested_results(struct arena *arena,
                                          const struct input_result *results,
                                          size_t count,
                                          bool is_shown)
{
    struct leaf *leaves = ARENA_ARRAY(arena, count, struct leaf);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const struct value *value = is_shown ? results[i].shown : results[i].value;
        if (value != NULL)
            leaves[used++] = (struct leaf){ results[i].input->id, value };
    }
    return nest(arena, leaves, used);
}

/* ---- the context that expressions see ---- */

/* Another context with `inputs` put over it; works for lazy contexts without forcing them. */
struct overlay {
    const struct value *context;
    const struct value *inputs;
};

static const struct value *overlay_get(const void *data,
                                       struct arena *arena,
                                       const char *key,
                                       size_t length)
{
    const struct overlay *overlay = data;
    if (length == strlen("inputs") && memcmp(key, "inputs", length) == 0)
        return overlay->inputs;
    return value_get_in(arena, overlay->context, key, length);
}

static const struct value *overlay_force(const void *data, struct arena *arena)
{
    const struct overlay *overlay = data;
    return value_with(arena, value_force(arena, overlay->context), "inputs", overlay->inputs);
}

static const struct value_lazy_ops overlay_ops = { .get = overlay_get, .force = overlay_force };

static void show_inputs(struct resolver *r)
{
    if (r->shown != NULL)
        return;
    r->shown = nested_results(r->arena, r->results, r->request->count, true);
    struct overlay *overlay = ARENA_NEW(r->arena, struct overlay);
    overlay->context = r->context != NULL ? r->context : &value_empty_map;
    overlay->inputs = r->shown;
    r->request->env->context = value_lazy(r->arena, &overlay_ops, overlay);
}

/* ---- rendering ---- */

static bool is_waiting(const struct error *err)
{
    return err->code == ERR_UNAVAILABLE;
}

/*
 * A default or an output: texts are rendered, keeping the type where the type of the input is not a
 * text; nothing written is null.
 */
static const struct value *render(struct expr_env *env,
                                  struct arena *arena,
                                  enum input_type type,
                                  const struct value *value,
                                  struct error *err)
{
    const char *text = value->kind == VALUE_STRING ? value_cstr(value) : NULL;
    if (text == NULL)
        return expr_render_tree(env, arena, value, err);
    if (!expr_is_dynamic(text))
        return value;
    if (type == INPUT_JSON || type == INPUT_YAML || type == INPUT_ARRAY ||
        type == INPUT_MULTISELECT)
        return expr_render_typed(env, arena, text, err);

    bool wrote = false;
    const char *rendered = expr_render_text(env, arena, text, &wrote, err);
    if (rendered == NULL)
        return NULL;
    return wrote ? value_string(arena, rendered) : &value_null;
}

/* A condition that must be the boolean true, or the text. False with err set on failure. */
static bool render_is_true(
    struct expr_env *env, struct arena *arena, const char *text, bool *is_true, struct error *err)
{
    const struct value *result = expr_render_typed(env, arena, text, err);
    if (result == NULL)
        return false;
    const char *word = value_cstr(result);
    *is_true = (result->kind == VALUE_BOOL && result->boolean) ||
               (word != NULL && strcmp(str_trim(arena, word), "true") == 0);
    return true;
}

/* ---- one input ---- */

static bool is_absent(const struct flow_input *input, const struct value *value)
{
    if (value_is_null(value))
        return true;
    return value->kind == VALUE_STRING && value->string.length == 0 &&
           !input_type_keeps_empty(input->type);
}

static const struct value *find_supplied(const struct value *supplied, const char *id)
{
    const struct value *found = value_get(supplied, id);
    return found != NULL ? found : value_path(supplied, id);
}

/* Position of a dependency: its full id, or a sibling inside the same form. */
static size_t find_input(const struct resolver *r, const struct flow_input *from, const char *id)
{
    const char *dot = strrchr(from->id, '.');
    const char *sibling =
        dot == NULL ? NULL : arena_printf(r->arena, "%.*s.%s", (int)(dot - from->id), from->id, id);
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < r->request->count; i++) {
        if (str_eq(r->request->inputs[i].id, id))
            return i;
        if (sibling != NULL && str_eq(r->request->inputs[i].id, sibling))
            found = i;
    }
    return found;
}

static void fail(struct resolver *r, struct input_result *result, const char *cause, bool is_render)
{
    result->error =
        arena_printf(r->arena, "Invalid value for input `%s`. Cause: %s", result->input->id, cause);
    result->is_render_error = is_render;
}

/* Choices of SELECT, MULTISELECT, ENUM. */
static bool find_choices(struct resolver *r, struct input_result *result, struct error *err)
{
    const struct flow_input *input = result->input;
    result->values = input->values;
    if (input->expression == NULL)
        return true;

    show_inputs(r);
    const struct value *rendered =
        expr_render_typed(r->request->env, r->arena, input->expression, err);
    if (rendered == NULL)
        return false;
    struct error ignored = { 0 };
    struct flow_input list = { .id = input->id, .type = INPUT_ARRAY, .item_type = INPUT_NONE };
    result->values = value_is_null(rendered) ? NULL
                                             : input_convert(&list, NULL, rendered, r->request,
                                                             r->arena, NULL, &ignored);
    if (result->values == NULL)
        return error_set(err, ERR_INVALID, "expression of the values gives %s, not a list",
                         value_kind_name(rendered));
    return true;
}

/* Enabled as far as dependencies and condition say; false with err set on failure. */
static bool resolve_one(struct resolver *r, size_t at, struct error *err);

static bool decide_enabled(struct resolver *r, struct input_result *result, struct error *err)
{
    const struct flow_input *input = result->input;
    result->is_enabled = true;
    for (size_t i = 0; i < value_count(input->depends_on); i++) {
        const char *id = value_cstr(value_item(input->depends_on, i));
        size_t at = id == NULL ? SIZE_MAX : find_input(r, input, id);
        if (at == SIZE_MAX)
            continue; // validation has refused it
        if (r->progress[at] == UNDER_WAY)
            return error_set(err, ERR_INVALID, "inputs depend on one another in a circle");
        if (!resolve_one(r, at, err))
            return false;
        if (!r->results[at].is_enabled || value_is_null(r->results[at].value))
            result->is_enabled = false;
    }
    if (!result->is_enabled || input->condition == NULL)
        return true;

    show_inputs(r);
    return render_is_true(r->request->env, r->arena, input->condition, &result->is_enabled, err);
}

/* The supplied value, else the default, else the first choice; NULL in *out when there is none. */
static bool find_value(struct resolver *r,
                       struct input_result *result,
                       const struct value **out,
                       struct error *err)
{
    const struct flow_input *input = result->input;
    const struct value *value = find_supplied(r->request->supplied, input->id);
    if (!is_absent(input, value)) {
        *out = value;
        return true;
    }
    *out = NULL;
    if (!value_is_null(input->defaults)) {
        if (value_cstr(input->defaults) == NULL || expr_is_dynamic(value_cstr(input->defaults)))
            show_inputs(r);
        value = render(r->request->env, r->arena, input->type, input->defaults, err);
        if (value == NULL)
            return error_wrap(err, "default");
        result->is_default = true;
    } else if (value_count(result->values) > 0 &&
               value_get_bool(input->doc, "autoSelectFirst", false)) {
        value = value_item(result->values, 0);
        if (input->type == INPUT_MULTISELECT)
            value = value_list(r->arena, &value, 1);
        result->is_default = true;
    }
    if (!is_absent(input, value))
        *out = value;
    return true;
}

/* False only when an expression waits for its host. Mistakes go into the result. */
static bool resolve_steps(struct resolver *r, struct input_result *result, struct error *err)
{
    const struct flow_input *input = result->input;
    const struct value *value = NULL;
    if (!decide_enabled(r, result, err) || !result->is_enabled)
        return err->code == ERR_NONE;
    if (!find_choices(r, result, err) || !find_value(r, result, &value, err))
        return false;

    if (value == NULL) {
        if (!input->required)
            result->value = result->shown = &value_null;
        else if (!r->request->allow_missing)
            result->error = arena_printf(r->arena, "Missing required input:%s", input->id);
        return true;
    }
    struct error cause = { 0 };
    result->value =
        input_convert(input, result->values, value, r->request, r->arena, &result->shown, &cause);
    if (result->value == NULL)
        fail(r, result, cause.text, false);
    return true;
}

static bool resolve_one(struct resolver *r, size_t at, struct error *err)
{
    struct input_result *result = &r->results[at];
    if (r->progress[at] == DONE || result->input->type == INPUT_FORM)
        return true;
    r->progress[at] = UNDER_WAY;

    struct error cause = { 0 };
    if (!resolve_steps(r, result, &cause)) {
        if (is_waiting(&cause)) {
            *err = cause;
            return false;
        }
        fail(r, result, cause.text, true);
    }
    r->progress[at] = DONE;
    r->shown = NULL; // expressions that follow see this one too
    return true;
}

/* ---- all inputs ---- */

static bool is_declared(const struct inputs_request *request, const char *key)
{
    size_t length = strlen(key);
    for (size_t i = 0; i < request->count; i++) {
        const char *id = request->inputs[i].id;
        if (strncmp(id, key, length) == 0 && (id[length] == '\0' || id[length] == '.'))
            return true;
    }
    return false;
}

static void warn_undeclared(const struct resolver *r, struct inputs_result *out)
{
    const struct value *supplied = r->request->supplied;
    if (!value_is_map(supplied) || supplied->kind != VALUE_MAP)
        return;
    out->warnings = ARENA_ARRAY(r->arena, WARNINGS_MAX, const char *);
    for (uint32_t i = 0; i < supplied->map.count && out->warnings_count < WARNINGS_MAX; i++) {
        const char *key = supplied->map.members[i].key;
        if (!is_declared(r->request, key))
            out->warnings[out->warnings_count++] =
                arena_printf(r->arena,
                             "Input %s was provided for workflow %s but isn't declared in the "
                             "workflow inputs",
                             key, r->request->owner == NULL ? "" : r->request->owner);
    }
}

bool inputs_resolve(const struct inputs_request *request,
                    struct arena *arena,
                    struct inputs_result *out,
                    struct error *err)
{
    if (request->count > INPUTS_MAX)
        return error_set(err, ERR_LIMIT, "more than %u inputs", INPUTS_MAX);

    struct resolver r = {
        .request = request,
        .arena = arena,
        .results = ARENA_ARRAY(arena, request->count, struct input_result),
        .progress = ARENA_ARRAY(arena, request->count, enum progress),
        .context = request->env->context,
    };
    for (size_t i = 0; i < request->count; i++)
        r.results[i].input = &request->inputs[i];

    bool ok = true;
    for (size_t i = 0; i < request->count && ok; i++)
        ok = resolve_one(&r, i, err);
    request->env->context = r.context;
    if (!ok)
        return false;

    struct inputs_result result = { .items = r.results };
    for (size_t i = 0; i < request->count; i++) {
        if (r.results[i].input->type == INPUT_FORM)
            continue;
        if (r.results[i].error != NULL)
            result.errors++;
        result.items[result.count++] = r.results[i];
    }
    result.stored = nested_results(arena, result.items, result.count, false);
    result.shown = nested_results(arena, result.items, result.count, true);
    warn_undeclared(&r, &result);
    *out = result;
    return true;
}

const char *inputs_errors(const struct inputs_result *result, struct arena *arena)
{
    if (result->errors == 0)
        return NULL;
    struct buf buf = { 0 };
    for (size_t i = 0; i < result->count; i++) {
        if (result->items[i].error != NULL)
            buf_printf(&buf, "%s%s", buf.length > 0 ? "\n" : "", result->items[i].error);
    }
    const char *text = buf_dup(&buf, arena);
    buf_free(&buf);
    return text;
}

void inputs_log_warnings(const struct inputs_result *result)
{
    for (size_t i = 0; i < result->warnings_count; i++)
        log_warn("a value without an input is ignored", LOG_STR("value", result->warnings[i]));
}

const struct value *inputs_resolve_map(const struct inputs_request *request,
                                       struct arena *arena,
                                       struct error *err)
{
    struct inputs_result result = { 0 };
    if (!inputs_resolve(request, arena, &result, err))
        return NULL;
    inputs_log_warnings(&result);
    if (result.errors > 0) {
        error_set(err, ERR_INVALID, "%s", inputs_errors(&result, arena));
        return NULL;
    }
    return result.stored;
}

/* ---- outputs ---- */

const struct value *outputs_resolve(const struct inputs_request *request,
                                    struct arena *arena,
                                    struct error *err)
{
    struct value_builder outputs = value_build(arena);
    for (size_t i = 0; i < request->count; i++) {
        const struct flow_input *output = &request->inputs[i];
        const struct value *value = &value_null;
        if (!value_is_null(output->value)) {
            value = render(request->env, arena, output->type, output->value, err);
            if (value == NULL) {
                error_wrap(err, "output `%s`", output->id);
                return NULL;
            }
        }
        if (is_absent(output, value)) {
            if (output->required) {
                error_set(err, ERR_INVALID, "output `%s`: the value is missing", output->id);
                return NULL;
            }
            value_put(&outputs, output->id, &value_null);
            continue;
        }
        const struct value *stored =
            input_convert(output, output->values, value, request, arena, NULL, err);
        if (stored == NULL) {
            error_wrap(err, "output `%s`", output->id);
            return NULL;
        }
        value_put(&outputs, output->id, stored);
    }
    return value_build_map(&outputs);
}

/* ---- inputs of a document ---- */

typedef VEC(struct flow_input) input_vec;

static const struct value *not_null(const struct value *value)
{
    return value_is_null(value) ? NULL : value;
}

static void read_inputs(struct arena *arena,
                        const struct value *list,
                        const char *form,
                        input_vec *out)
{
    for (size_t i = 0; i < value_count(list) && out->count < INPUTS_MAX; i++) {
        const struct value *map = value_item(list, i);
        const char *id = value_get_text(map, "id", value_get_text(map, "name", NULL));
        enum input_type type;
        if (id == NULL || !input_type_parse(value_get_text(map, "type", ""), &type))
            continue;
        if (form != NULL)
            id = arena_printf(arena, "%s.%s", form, id);
        if (type == INPUT_FORM) {
            if (form == NULL)
                read_inputs(arena, value_get(map, "inputs"), id, out);
            continue;
        }

        const struct value *depends = value_get(map, "dependsOn");
        struct flow_input *input = VEC_PUSH_ARENA(arena, out);
        *input = (struct flow_input){
            .id = id,
            .type = type,
            .item_type = INPUT_STRING,
            .required = value_get_bool(map, "required", true),
            .defaults = not_null(value_get(map, "defaults")),
            .values = not_null(value_get(map, "values")),
            .expression = value_get_text(map, "expression", NULL),
            .validator = value_get_text(map, "validator", NULL),
            .depends_on = not_null(value_get(depends, "inputs")),
            .condition = value_get_text(depends, "condition", NULL),
            .doc = map,
        };
        (void)input_type_parse(value_get_text(map, "itemType", ""), &input->item_type);
        if (input->values == NULL && type == INPUT_MULTISELECT)
            input->values = not_null(value_get(map, "options"));
    }
}

struct flow_input *inputs_of(struct arena *arena, const struct value *list, size_t *count)
{
    input_vec found = { 0 };
    read_inputs(arena, list, NULL, &found);
    *count = found.count;
    return found.items;
}

/* ---- checks ---- */

static void add_failed(struct checks_result *result, struct check_result failed)
{
    if (failed.behavior == CHECK_BLOCK)
        result->is_blocked = true;
    else if (failed.behavior == CHECK_FAIL)
        result->is_failed = true;
    result->failed[result->count++] = failed;
}

bool checks_evaluate(const struct flow *flow,
                     struct expr_env *env,
                     struct arena *arena,
                     struct checks_result *out,
                     struct error *err)
{
    struct checks_result result = {
        .failed = ARENA_ARRAY(arena, flow->checks_count, struct check_result),
    };
    for (size_t i = 0; i < flow->checks_count; i++) {
        const struct flow_check *check = &flow->checks[i];
        struct error cause = { 0 };
        bool is_true = false;
        if (!render_is_true(env, arena, check->condition, &is_true, &cause)) {
            if (is_waiting(&cause)) {
                *err = cause;
                return false;
            }
            add_failed(&result,
                       (struct check_result){
                           .check = check,
                           .message = arena_printf(
                               arena, "Failed to evaluate check condition. Cause: %s", cause.text),
                           .style = "ERROR",
                           .behavior = CHECK_BLOCK,
                       });
        } else if (!is_true) {
            add_failed(&result, (struct check_result){
                                    .check = check,
                                    .message = check->message,
                                    .style = check->style != NULL ? check->style : "INFO",
                                    .behavior = check->behavior,
                                });
        }
    }
    if (result.is_blocked)
        result.is_failed = false;
    *out = result;
    return true;
}

const char *checks_refusal(const struct checks_result *result, struct arena *arena)
{
    struct buf buf = { 0 };
    buf_puts(&buf, "Flow execution blocked: one or more condition checks evaluated to false");
    for (size_t i = 0; i < result->count; i++) {
        if (result->failed[i].behavior == CHECK_BLOCK)
            buf_printf(&buf, "\n%s", result->failed[i].message);
    }
    const char *text = buf_dup(&buf, arena);
    buf_free(&buf);
    return text;
}
