/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs and outputs of a flow (flow-language.md 1.5, 1.6). */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/regex.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/flow_internal.h"
#include "core/ident.h"
#include "core/words.h"

typedef VEC(struct flow_input) input_vec;

/* Where one input stands while it is checked. */
struct input_at {
    struct flow_parser *parser;
    const struct value *map;
    const struct doc_path *path;
    struct flow_input *input;
};

static struct diag *finding(const struct input_at *at,
                            enum diag_level level,
                            const char *code,
                            const char *key,
                            const char *message)
{
    struct diag_list *findings = at->parser->scope.findings;
    const struct value *value = key == NULL ? NULL : value_get(at->map, key);
    const char *path = key == NULL ? doc_path_text(findings->arena, at->path)
                                   : doc_path_key(findings->arena, at->path, key);
    struct diag *diag = diag_add(findings, level, DIAG_CONSTRAINT, code,
                                 value == NULL ? at->map : value, path, "%s", message);
    diag->api = diag->message;
    return diag;
}

static bool has(const struct value *map, const char *key)
{
    return !value_is_null(value_get(map, key));
}

static bool is_literal(const struct value *value)
{
    return value_is_string(value) ? !prop_is_dynamic(value->string.bytes) : !value_is_null(value);
}

static void check_validator(const struct input_at *at)
{
    const char *pattern = at->input->validator;
    if (pattern == NULL)
        return;
    struct error err = { 0 };
    AUTO(regex_freep) struct regex *regex = regex_new(pattern, strlen(pattern), &err);
    if (regex == NULL)
        (void)finding(at, DIAG_ERROR, "invalid-regex", "validator",
                      arena_printf(at->parser->scope.findings->arena, "invalid regex [%s]: %s",
                                   pattern, err.text));
}

static void check_item_type(const struct input_at *at)
{
    static const enum input_type refused[] = { INPUT_ARRAY, INPUT_SECRET, INPUT_MULTISELECT,
                                               INPUT_ENUM,  INPUT_SELECT, INPUT_FORM };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        if (has(at->map, "itemType") && at->input->item_type == refused[i])
            (void)finding(at, DIAG_ERROR, "item-type", "itemType",
                          arena_printf(at->parser->scope.findings->arena, "`itemType` cannot be %s",
                                       input_type_words[refused[i]]));
    }
}

static char *values_text(const struct value *list, struct arena *arena)
{
    struct buf out = { 0 };
    value_write_display(&out, list);
    char *text = buf_dup(&out, arena);
    buf_free(&out);
    return text;
}

/* Values shown in a finding. */
#define VALUES_SHOWN_MAX 50U

static const struct value *first_of(const struct value *list, size_t max, struct arena *arena)
{
    return list->list.count <= max ? list : value_list(arena, list->list.items, max);
}

static void check_default_among_values(const struct input_at *at,
                                       const struct map *values,
                                       const struct value *chosen)
{
    struct arena *arena = at->parser->scope.findings->arena;
    if (!is_literal(chosen) || value_is_list(chosen) || value_is_map(chosen) ||
        map_has(values, prop_text(at->parser->scope.scratch, chosen)))
        return;
    const struct value *shown = first_of(at->input->values, VALUES_SHOWN_MAX, arena);
    (void)finding(at, DIAG_ERROR, "default-value", "defaults",
                  arena_printf(arena, "it must match the values `%s`", values_text(shown, arena)));
}

static void check_defaults_among_values(const struct input_at *at)
{
    const struct value *chosen = at->input->defaults;
    struct map values = { 0 };
    for (size_t i = 0; i < at->input->values->list.count; i++) {
        const char *text = prop_text(at->parser->scope.scratch, at->input->values->list.items[i]);
        if (text != NULL)
            (void)map_put(&values, text, at->parser);
    }
    if (value_is_list(chosen)) {
        for (size_t i = 0; i < chosen->list.count; i++)
            check_default_among_values(at, &values, chosen->list.items[i]);
    } else if (at->input->type != INPUT_MULTISELECT || !value_is_string(chosen) ||
               chosen->string.bytes[0] != '[') {
        check_default_among_values(at, &values, chosen);
    }
    map_free(&values);
}

static void check_choice(const struct input_at *at)
{
    bool has_values = has(at->map, "values") || has(at->map, "options");
    bool has_expression = at->input->expression != NULL;
    if (at->input->type != INPUT_ENUM && has_values == has_expression)
        (void)finding(at, DIAG_ERROR, "choice", NULL,
                      has_values ? "you can't define both `values` and `expression`"
                                 : "you must define either `values` or `expression`");
    const struct value *values = at->input->values;
    for (size_t i = 0; i < value_count(values); i++) {
        const struct value *item = value_item(values, i);
        if (value_is_null(item) || (value_is_string(item) && item->string.length == 0))
            (void)finding(at, DIAG_ERROR, "choice", has(at->map, "values") ? "values" : "options",
                          "the values must be non-empty texts");
    }
    if (values != NULL && at->input->defaults != NULL &&
        !value_get_bool(at->map, "allowCustomValue", false))
        check_defaults_among_values(at);
}

static void check_file(const struct input_at *at)
{
    const struct value *extensions = value_get(at->map, "allowedFileExtensions");
    for (size_t i = 0; i < value_count(extensions); i++) {
        const char *text = value_cstr(value_item(extensions, i));
        if (text != NULL && text[0] != '.')
            (void)finding(at, DIAG_ERROR, "file-extension", "allowedFileExtensions",
                          arena_printf(at->parser->scope.findings->arena,
                                       "extension '%s' must start with a point", text));
    }
    const struct value *chosen = at->input->defaults;
    if (value_is_string(chosen) && is_literal(chosen) &&
        !str_starts(chosen->string.bytes, "file://") &&
        !str_starts(chosen->string.bytes, "nsfile://"))
        (void)finding(at, DIAG_ERROR, "file-default", "defaults",
                      "the default of a FILE input must be a file:// or nsfile:// URI");
}

static bool is_time_text(const struct value *value, bool date)
{
    struct time_text text;
    return value_is_string(value) &&
           time_text_parse(value->string.bytes, value->string.length, &text, NULL) &&
           text.has_date == date && text.has_time != date && !text.has_offset;
}

/* A literal default that can never be read; an empty text is no default at all. */
static void check_default_kind(const struct input_at *at)
{
    const struct value *value = at->input->defaults;
    bool is_empty = value_is_string(value) && value->string.length == 0;
    if (!is_literal(value) || is_empty || at->parser->scope.lenient)
        return;
    int64_t integer;
    double number;
    bool ok = true;
    switch (at->input->type) {
    case INPUT_INT:
        ok = prop_to_int(value, &integer);
        break;
    case INPUT_FLOAT:
        ok = prop_to_double(value, &number);
        break;
    case INPUT_DATETIME:
        ok = prop_to_instant(value, &integer);
        break;
    case INPUT_DATE:
        ok = is_time_text(value, true);
        break;
    case INPUT_TIME:
        ok = is_time_text(value, false);
        break;
    case INPUT_DURATION:
        ok = prop_to_duration(value, &integer);
        break;
    case INPUT_STRING:
    case INPUT_EMAIL:
    case INPUT_BOOL:
    case INPUT_BOOLEAN:
    case INPUT_FILE:
    case INPUT_JSON:
    case INPUT_YAML:
    case INPUT_URI:
    case INPUT_SECRET:
    case INPUT_ENUM:
    case INPUT_SELECT:
    case INPUT_MULTISELECT:
    case INPUT_ARRAY:
    case INPUT_FORM:
    case INPUT_NONE:
        break;
    }
    struct arena *arena = at->parser->scope.findings->arena;
    if (!ok)
        (void)finding(at, DIAG_ERROR, "default-value", "defaults",
                      arena_printf(arena, "default '%s' is not a value of type %s",
                                   prop_text(arena, value), input_type_words[at->input->type]));
}

static void check_bound_texts(const struct input_at *at)
{
    static const char *const keys[] = { "after", "before" };
    bool date = at->input->type == INPUT_DATE;
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        const struct value *value = value_get(at->map, keys[i]);
        if (!value_is_null(value) && !is_time_text(value, date))
            (void)finding(at, DIAG_ERROR, "invalid-value", keys[i],
                          arena_printf(at->parser->scope.findings->arena, "'%s' must be a %s",
                                       keys[i],
                                       date ? "date such as 2026-05-01" : "time such as 08:30"));
    }
}

static void check_defaults(const struct input_at *at)
{
    bool has_default = has(at->map, "defaults");
    if (has_default && !at->input->required && !at->parser->scope.lenient)
        (void)finding(at, DIAG_ERROR, "default-not-required", "defaults",
                      "Inputs with a default value must be required, since the default is always "
                      "applied");
    if (has_default && has(at->map, "prefill"))
        (void)finding(at, DIAG_ERROR, "default-and-prefill", "prefill",
                      "Inputs cannot have both a default value and a prefill");
    if (at->input->type == INPUT_FORM && (has_default || has(at->map, "prefill")))
        (void)finding(at, DIAG_ERROR, "form-default", has_default ? "defaults" : "prefill",
                      "a FORM has no value of its own: give defaults to its inputs");
    check_default_kind(at);
}

/* Types that newer flows write otherwise. */
static void note_old_type(const struct input_at *at)
{
    const char *instead = at->input->type == INPUT_ENUM      ? "SELECT"
                          : at->input->type == INPUT_BOOLEAN ? "BOOL"
                                                             : NULL;
    if (instead != NULL)
        (void)finding(at, DIAG_DEPRECATION, "deprecated-type", "type",
                      arena_printf(at->parser->scope.findings->arena,
                                   "input type %s is deprecated, use %s",
                                   input_type_words[at->input->type], instead));
}

static void check_input(const struct input_at *at)
{
    note_old_type(at);
    check_defaults(at);
    switch (at->input->type) {
    case INPUT_STRING:
    case INPUT_SECRET:
        check_validator(at);
        break;
    case INPUT_ENUM:
    case INPUT_SELECT:
        check_choice(at);
        break;
    case INPUT_MULTISELECT:
        check_choice(at);
        check_item_type(at);
        break;
    case INPUT_ARRAY:
        check_item_type(at);
        break;
    case INPUT_FILE:
        check_file(at);
        break;
    case INPUT_DATE:
    case INPUT_TIME:
        check_bound_texts(at);
        break;
    case INPUT_EMAIL:
    case INPUT_INT:
    case INPUT_FLOAT:
    case INPUT_BOOL:
    case INPUT_BOOLEAN:
    case INPUT_DATETIME:
    case INPUT_DURATION:
    case INPUT_JSON:
    case INPUT_YAML:
    case INPUT_URI:
    case INPUT_FORM:
    case INPUT_NONE:
        break;
    }
}

/* ---- reading ---- */

/* -1 after a finding. */
static int input_type_of(struct flow_parser *parser,
                         const struct value *map,
                         const struct doc_path *path)
{
    struct diag_list *findings = parser->scope.findings;
    const struct value *type = value_get(map, "type");
    int found = value_is_string(type) ? words_find(input_type_words, type->string.bytes) : -1;
    if (found >= 0)
        return found;
    const char *where = doc_path_text(findings->arena, path);
    const char *shown = value_is_null(type) ? "null" : prop_text(findings->arena, type);
    const char *words = prop_words_text(findings->arena, input_type_words);
    struct diag *diag;
    if (value_is_null(type))
        diag = diag_add(findings, DIAG_ERROR, DIAG_TYPE, "missing-type", map, where,
                        "'%s' needs a 'type': one of %s", where, words);
    else
        diag = diag_add(findings, DIAG_ERROR, DIAG_TYPE, "unknown-type", type, where,
                        "unknown input type '%s'", shown);
    diag->api = arena_printf(findings->arena, "%s: Invalid type: %s, known types: [%s]", where,
                             shown, words);
    const char *nearest =
        value_is_null(type) ? NULL : str_nearest(shown, input_type_words, INPUT_NONE);
    if (nearest != NULL)
        diag->advice = arena_printf(findings->arena, "did you mean '%s'?", nearest);
    return -1;
}

static const char *text_of(struct arena *arena, const struct value *map, const char *key)
{
    return prop_text(arena, value_get(map, key));
}

static void read_input(struct arena *arena, struct flow_input *input, const struct value *map)
{
    const struct value *item = value_get(map, "itemType");
    int item_type = value_is_string(item) ? words_find(input_type_words, item->string.bytes) : -1;
    const struct value *choices = value_get(map, "values");
    const struct value *depends = value_get(map, "dependsOn");
    const struct value *defaults = value_get(map, "defaults");
    if (value_is_null(choices) && input->type == INPUT_MULTISELECT)
        choices = value_get(map, "options");
    input->item_type = item_type < 0 ? INPUT_STRING : (enum input_type)item_type;
    input->required = value_get_bool(map, "required", true);
    input->defaults = value_is_null(defaults) ? NULL : defaults;
    input->values = value_is_list(choices) ? choices : NULL;
    input->expression = text_of(arena, map, "expression");
    input->validator = text_of(arena, map, "validator");
    input->depends_on =
        value_is_list(value_get(depends, "inputs")) ? value_get(depends, "inputs") : NULL;
    input->condition = text_of(arena, depends, "condition");
    input->doc = map;
}

/* As the table says, and the type's own rows. false: nothing more can be said about it. */
static bool check_shape(struct flow_parser *parser,
                        const struct value *map,
                        const struct doc_path *path,
                        int *type)
{
    *type = input_type_of(parser, map, path);
    if (*type < 0)
        return false;
    const struct prop *const tables[] = { input_common_props,
                                          input_type_props((enum input_type) * type), NULL };
    check_map(&parser->scope, tables, map, path,
              (struct check_owner){ .kind = "input type", .name = input_type_words[*type] });
    return true;
}

static void add_inputs(struct flow_parser *parser,
                       const struct value *list,
                       const struct doc_path *path,
                       const char *form,
                       input_vec *out);

static void add_input(struct flow_parser *parser,
                      const struct value *map,
                      const struct doc_path *path,
                      const char *form,
                      input_vec *out)
{
    int type;
    if (!check_shape(parser, map, path, &type))
        return;
    const char *id = text_of(parser->arena, map, "id");
    if (id == NULL)
        id = text_of(parser->arena, map, "name");
    if (id == NULL)
        return; // the table has said so
    if (form != NULL)
        id = arena_printf(parser->arena, "%s.%s", form, id);

    struct flow_input input = { .id = id, .type = (enum input_type)type };
    read_input(parser->arena, &input, map);
    struct input_at at = { .parser = parser, .map = map, .path = path, .input = &input };
    check_input(&at);
    if (input.type != INPUT_FORM) {
        *VEC_PUSH_ARENA(parser->arena, out) = input;
    } else if (form != NULL) {
        (void)finding(&at, DIAG_ERROR, "nested-form", "type", "a FORM cannot stand inside a FORM");
    } else {
        struct doc_path inner = { .parent = path, .key = "inputs" };
        add_inputs(parser, value_get(map, "inputs"), &inner, id, out);
    }
}

static void add_inputs(struct flow_parser *parser,
                       const struct value *list,
                       const struct doc_path *path,
                       const char *form,
                       input_vec *out)
{
    for (size_t i = 0; value_is_list(list) && i < list->list.count; i++) {
        struct doc_path at = { .parent = path, .index = i };
        if (out->count >= FLOW_INPUTS_MAX) {
            flow_too_many(parser, list, path, "inputs or outputs", FLOW_INPUTS_MAX);
            return;
        }
        if (value_is_map(list->list.items[i]))
            add_input(parser, list->list.items[i], &at, form, out);
    }
}

struct flow_input *flow_parse_inputs(struct flow_parser *parser,
                                     const struct value *list,
                                     const struct doc_path *path,
                                     size_t *count)
{
    input_vec inputs = { 0 };
    add_inputs(parser, list, path, NULL, &inputs);
    *count = inputs.count;
    return inputs.items;
}

struct flow_input *flow_parse_outputs(struct flow_parser *parser,
                                      const struct value *list,
                                      const struct doc_path *path,
                                      size_t *count)
{
    static const struct prop *const tables[] = { output_props, NULL };
    input_vec outputs = { 0 };
    for (size_t i = 0; value_is_list(list) && i < list->list.count; i++) {
        const struct value *map = list->list.items[i];
        struct doc_path at = { .parent = path, .index = i };
        if (outputs.count >= FLOW_INPUTS_MAX) {
            flow_too_many(parser, list, path, "inputs or outputs", FLOW_INPUTS_MAX);
            break;
        }
        if (!value_is_map(map))
            continue;
        check_map(&parser->scope, tables, map, &at, (struct check_owner){ .text = "an output" });
        const struct value *type = value_get(map, "type");
        int found = value_is_string(type) ? words_find(input_type_words, type->string.bytes) : -1;
        struct flow_input output = {
            .id = text_of(parser->arena, map, "id"),
            .type = found < 0 ? INPUT_NONE : (enum input_type)found,
        };
        if (output.id == NULL)
            continue;
        read_input(parser->arena, &output, map);
        output.value = value_get(map, "value");
        struct input_at here = { .parser = parser, .map = map, .path = &at, .input = &output };
        if (output.type == INPUT_FORM)
            (void)finding(&here, DIAG_ERROR, "output-type", "type", "an output cannot be a FORM");
        *VEC_PUSH_ARENA(parser->arena, &outputs) = output;
    }
    *count = outputs.count;
    return outputs.items;
}

/* ---- rules between inputs ---- */

struct input_rules {
    struct flow_parser *parser;
    const struct flow_input *inputs;
    size_t count;
    const char *path;
    struct map by_id;     /* id -> struct flow_input */
    unsigned char *marks; /* of the walk: 0 new, 1 on the way, 2 done */
};

static struct diag *rule(const struct input_rules *rules,
                         const char *code,
                         const struct value *at,
                         const char *message)
{
    struct diag *diag = diag_add(rules->parser->scope.findings, DIAG_ERROR, DIAG_RULE, code, at,
                                 rules->path, "%s", message);
    diag->api = diag->message;
    return diag;
}

/* Shorter paths of a dotted id must not be inputs themselves. */
static void check_prefixes(const struct input_rules *rules, const struct flow_input *input)
{
    if (strlen(input->id) > (size_t)2 * IDENT_INPUT_MAX)
        return; // refused for its length
    for (const char *dot = strchr(input->id, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
        size_t length = (size_t)(dot - input->id);
        if (map_find_bytes(&rules->by_id, input->id, length) != NULL)
            (void)rule(rules, "input-path", input->doc,
                       arena_printf(rules->parser->scope.findings->arena,
                                    "Input path '%.*s' conflicts with '%s'", (int)length, input->id,
                                    input->id));
    }
}

static bool is_in_form(const struct flow_input *input)
{
    return !str_eq(input->id, value_get_text(input->doc, "id", "")) &&
           !str_eq(input->id, value_get_text(input->doc, "name", ""));
}

static void check_unique(struct input_rules *rules)
{
    struct buf plain = { 0 };
    struct buf paths = { 0 };
    const struct value *at = NULL;
    for (size_t i = 0; i < rules->count; i++) {
        const struct flow_input *input = &rules->inputs[i];
        const struct flow_input *other = map_find(&rules->by_id, input->id);
        if (other != NULL) {
            struct buf *names = is_in_form(input) || is_in_form(other) ? &paths : &plain;
            buf_printf(names, "%s%s", names->length == 0 ? "" : ", ", input->id);
            at = at == NULL ? input->doc : at;
        } else {
            (void)map_put(&rules->by_id, input->id, (void *)(uintptr_t)input);
        }
    }
    struct arena *arena = rules->parser->scope.findings->arena;
    if (plain.length > 0)
        (void)rule(rules, "duplicate-input", at,
                   arena_printf(arena, "Duplicate input with name [%s]", plain.bytes));
    if (paths.length > 0)
        (void)rule(rules, "duplicate-input", at,
                   arena_printf(arena, "Duplicate input path [%s]", paths.bytes));
    buf_free(&plain);
    buf_free(&paths);
}

/* Inputs depend on one another at most this deep; a longer chain is refused as a cycle would be. */
#define DEPENDENCY_DEPTH_MAX 500

static void check_cycle(struct input_rules *rules, const struct flow_input *input, int depth)
{
    size_t index = (size_t)(input - rules->inputs);
    if (rules->marks[index] == 2)
        return;
    if (rules->marks[index] == 1 || depth > DEPENDENCY_DEPTH_MAX) {
        (void)rule(rules, "input-cycle", input->doc,
                   arena_printf(rules->parser->scope.findings->arena,
                                "Cycle dependency detected for input with id '%s': %s", input->id,
                                values_text(input->depends_on == NULL ? &value_empty_list
                                                                      : input->depends_on,
                                            rules->parser->scope.findings->arena)));
        rules->marks[index] = 2;
        return;
    }
    rules->marks[index] = 1;
    for (size_t i = 0; i < value_count(input->depends_on); i++) {
        const char *id = prop_text(rules->parser->scope.scratch, value_item(input->depends_on, i));
        const struct flow_input *other = id == NULL ? NULL : map_find(&rules->by_id, id);
        if (other != NULL)
            check_cycle(rules, other, depth + 1);
    }
    rules->marks[index] = 2;
}

static void check_dependencies(const struct input_rules *rules, const struct flow_input *input)
{
    struct arena *arena = rules->parser->scope.findings->arena;
    for (size_t i = 0; i < value_count(input->depends_on); i++) {
        const char *id = prop_text(arena, value_item(input->depends_on, i));
        if (id != NULL && !map_has(&rules->by_id, id))
            (void)rule(rules, "input-dependency", value_item(input->depends_on, i),
                       arena_printf(arena,
                                    "Input with id '%s' depends on a non-existent input '%s'.",
                                    input->id, id));
    }
}

void flow_check_inputs(struct flow_parser *parser,
                       const struct flow_input *inputs,
                       size_t count,
                       const struct doc_path *path)
{
    if (count == 0)
        return;
    struct input_rules rules = {
        .parser = parser,
        .inputs = inputs,
        .count = count,
        .path = doc_path_text(parser->scope.findings->arena, path),
        .marks = check_calloc(count, 1),
    };
    check_unique(&rules);
    for (size_t i = 0; i < count; i++) {
        check_prefixes(&rules, &inputs[i]);
        check_dependencies(&rules, &inputs[i]);
    }
    for (size_t i = 0; i < count; i++)
        check_cycle(&rules, &inputs[i], 0);
    map_free(&rules.by_id);
    free(rules.marks);
}
