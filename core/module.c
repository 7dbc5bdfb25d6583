/* SPDX-License-Identifier: Apache-2.0 */
#include "core/module.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "core/diag.h"
#include "core/expr/expr.h"
#include "core/flow.h"
#include "core/inputs.h"
#include "core/prop.h"
#include "core/value.h"
#include "core/yaml.h"

static const struct prop module_props[] = {
    { "description", .kind = PROP_STRING, .doc = "What the module does." },
    { "inputs", .kind = PROP_ANY, .doc = "Inputs, as those of a flow." },
    { "template", .kind = PROP_STRING, .flags = PROP_REQUIRED | PROP_RAW,
      .doc = "A flow without id and namespace, as a block (|)." },
    { 0 },
};

/* ---- module.yaml ---- */

/* Start of a line of a text; NULL when it has fewer. */
static const char *line_start(const char *text, size_t length, uint32_t line)
{
    const char *end = text + length;
    for (uint32_t i = 1; i < line; i++) {
        text = memchr(text, '\n', (size_t)(end - text));
        if (text == NULL)
            return NULL;
        text++;
    }
    return text;
}

/* The template must be a literal block, so that its lines are lines of the file. */
static bool find_template(struct module *module,
                          const struct value *doc,
                          const char *text,
                          size_t length,
                          struct diag_list *findings)
{
    const struct value *template = value_get(doc, "template");
    const char *line = line_start(text, length, template->line);
    const char *bar = line == NULL ? NULL : line + template->column - 1;
    if (bar == NULL || bar >= text + length || *bar != '|') {
        (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "module-template", template,
                       "template", "the template must be a block: 'template: |'");
        return false;
    }
    const char *first = line_start(text, length, template->line + 1);
    const char *end = text + length;
    uint32_t number = template->line + 1;
    // empty lines in front may be indented less
    while (first != NULL && first < end && (*first == '\n' || *first == '\r')) {
        first = line_start(first, (size_t)(end - first), 2);
        number++;
    }
    uint32_t indent = 0;
    while (first != NULL && first + indent < end && first[indent] == ' ')
        indent++;
    module->template = template->string.bytes;
    module->template_length = template->string.length;
    module->template_line = template->line + 1;
    module->template_indent = indent;
    return true;
}

static void read_inputs(struct arena *arena,
                        struct module *module,
                        const struct value *list,
                        struct diag_list *findings)
{
    if (value_is_null(list))
        return;
    if (!value_is_list(list)) {
        (void)diag_add(findings, DIAG_ERROR, DIAG_SYNTAX, "module-inputs", list, "inputs",
                       "inputs are a list, not %s", value_kind_name(list));
        return;
    }
    module->inputs = inputs_of(arena, list, &module->inputs_count);
    for (size_t i = 0; i < value_count(list); i++) {
        const struct value *input = value_item(list, i);
        enum input_type type;
        const char *id = value_get_text(input, "id", NULL);
        const char *type_name = value_get_text(input, "type", "");
        if (id == NULL || !input_type_parse(type_name, &type))
            (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "module-inputs", input,
                           arena_printf(arena, "inputs[%zu]", i),
                           id == NULL ? "an input has no id" : "input '%s' has no known type", id);
    }
}

const struct module *module_parse(struct arena *arena,
                                  const char *name,
                                  const char *file,
                                  const char *text,
                                  size_t length,
                                  struct diag_list *findings)
{
    static const struct prop *const tables[] = { module_props, NULL };
    size_t errors = findings->errors;
    const char *file_before = findings->file;
    findings->file = arena_strdup(findings->arena, file);
    struct error err = { 0 };
    struct module *module = ARENA_NEW(arena, struct module);
    module->name = arena_strdup(arena, name);
    module->file = findings->file;
    const struct value *doc = yaml_parse(arena, text, length, NULL, &err);
    if (doc == NULL || !value_is_map(doc)) {
        struct value at = { .line = err.line, .column = (uint16_t)err.column };
        (void)diag_add(findings, DIAG_ERROR, DIAG_SYNTAX, "yaml", doc == NULL ? &at : doc, NULL,
                       "%s",
                       doc == NULL ? err.text : "a module is a mapping with inputs and a template");
    } else {
        prop_check(tables, NULL, doc, "", "a module", findings);
        module->description = value_get_text(doc, "description", NULL);
        read_inputs(arena, module, value_get(doc, "inputs"), findings);
        if (value_is_string(value_get(doc, "template")))
            (void)find_template(module, doc, text, length, findings);
    }
    findings->file = file_before;
    return findings->errors > errors ? NULL : module;
}

const char *module_of(struct arena *arena, const char *text, size_t length)
{
    // at the left edge of a line; what else it may be, the parser tells
    static const char key[] = "module:";
    const char *end = text + length;
    bool is_there = false;
    for (const char *at = text; at < end && !is_there;) {
        is_there = (size_t)(end - at) > sizeof(key) && memcmp(at, key, sizeof(key) - 1) == 0;
        at = memchr(at, '\n', (size_t)(end - at));
        at = at == NULL ? end : at + 1;
    }
    if (!is_there)
        return NULL;
    struct error ignored = { 0 }; // a text that is no YAML is the flow parser's to report
    const struct value *doc = yaml_parse_first(arena, text, length, NULL, &ignored);
    return value_get_text(doc, "module", NULL);
}

/* ---- expanding ---- */

/* What a place of YAML is inside of, as far as writing a value there needs it. */
enum inside {
    IN_NOTHING, /* or a plain scalar */
    IN_SINGLE,
    IN_DOUBLE,
    IN_BLOCK,
    IN_COMMENT,
};

struct writer {
    struct arena *arena;
    const struct module *module;
    struct expr_env *env;
    struct diag_list *findings;
    struct module_map *map;
    struct buf out;
    const char *flow_file;

    /* Where the scanning of the template is. */
    enum inside inside;
    uint32_t line;         /* of the template, from 0 */
    const char *start;     /* of the line */
    uint32_t block_indent; /* IN_BLOCK: its lines are indented more than this */
    bool opens_block;      /* the line ends with a block indicator */
    uint32_t key_indent;   /* column of the key of the line */
    size_t spans;
    bool failed;
};

static void note_line(struct writer *writer, const char *file, uint32_t line, uint32_t indent)
{
    struct module_line *row = VEC_PUSH_ARENA(writer->arena, &writer->map->lines);
    *row = (struct module_line){ .file = file, .line = line, .indent = indent };
}

static void note_template_line(struct writer *writer)
{
    note_line(writer, writer->module->file, writer->module->template_line + writer->line,
              writer->module->template_indent);
}

static struct diag *complain(struct writer *writer,
                             const char *at,
                             const char *code,
                             const char *text)
{
    struct value where = {
        .line = writer->module->template_line + writer->line,
        .column = (uint16_t)(writer->module->template_indent + (size_t)(at - writer->start) + 1),
    };
    const char *before = writer->findings->file;
    writer->findings->file = writer->module->file;
    struct diag *diag =
        diag_add(writer->findings, DIAG_ERROR, DIAG_CONSTRAINT, code, &where, NULL, "%s", text);
    diag->advice = arena_printf(writer->findings->arena, "used by %s", writer->flow_file);
    writer->findings->file = before;
    writer->failed = true;
    return diag;
}

/* ---- where a value goes ---- */

/* Columns before the key of a line: spaces, and dashes of lists. */
static uint32_t key_indent(const char *start, const char *end)
{
    const char *at = start;
    while (at < end && *at == ' ')
        at++;
    while (at + 1 < end && at[0] == '-' && at[1] == ' ') {
        at += 2;
        while (at < end && *at == ' ')
            at++;
    }
    return (uint32_t)(at - start);
}

static uint32_t spaces_of(const char *start, const char *end)
{
    const char *at = start;
    while (at < end && *at == ' ')
        at++;
    return (uint32_t)(at - start);
}

/* Does a line end with | or > and its modifiers, as a value? */
static bool ends_with_block(const char *start, const char *end)
{
    while (end > start && (end[-1] == ' ' || end[-1] == '\r'))
        end--;
    while (end > start && (end[-1] == '+' || end[-1] == '-' || (end[-1] >= '1' && end[-1] <= '9')))
        end--;
    return end - start >= 2 && (end[-1] == '|' || end[-1] == '>') && end[-2] == ' ';
}

static void begin_line(struct writer *writer, const char *start, const char *end)
{
    const char *stop = memchr(start, '\n', (size_t)(end - start));
    if (stop == NULL)
        stop = end;
    writer->start = start;
    bool is_empty = spaces_of(start, stop) == (uint32_t)(stop - start);
    if (writer->inside == IN_COMMENT)
        writer->inside = IN_NOTHING;
    if (writer->inside == IN_BLOCK && !is_empty && spaces_of(start, stop) <= writer->block_indent)
        writer->inside = IN_NOTHING;
    if (writer->inside == IN_NOTHING && writer->opens_block && !is_empty) {
        if (spaces_of(start, stop) > writer->key_indent) {
            writer->inside = IN_BLOCK;
            writer->block_indent = writer->key_indent;
        }
        writer->opens_block = false;
    }
    if (writer->inside == IN_NOTHING && !is_empty) {
        writer->key_indent = key_indent(start, stop);
        writer->opens_block = ends_with_block(start, stop);
    }
}

/* One character of the template that is copied. */
static void step(struct writer *writer, const char *at)
{
    char before = at > writer->start ? at[-1] : ' ';
    bool is_start = strchr(" [{,", before) != NULL;
    switch (writer->inside) {
    case IN_NOTHING:
        if (*at == '#' && before == ' ')
            writer->inside = IN_COMMENT;
        else if (*at == '\'' && is_start)
            writer->inside = IN_SINGLE;
        else if (*at == '"' && is_start)
            writer->inside = IN_DOUBLE;
        break;
    case IN_SINGLE:
        // a doubled quote leaves and enters again
        if (*at == '\'')
            writer->inside =
                at[1] == '\'' || (before == '\'' && at - 1 > writer->start && at[-2] != ' ')
                    ? IN_SINGLE
                    : IN_NOTHING;
        break;
    case IN_DOUBLE:
        if (*at == '"' && before != '\\')
            writer->inside = IN_NOTHING;
        break;
    case IN_BLOCK:
    case IN_COMMENT:
        break;
    }
}

/* Is the span the whole of a plain scalar? */
static bool is_alone(const struct writer *writer,
                     const char *from,
                     const char *until,
                     const char *end)
{
    const char *before = from;
    while (before > writer->start && before[-1] == ' ')
        before--;
    const char *after = until;
    while (after < end && (*after == ' ' || *after == '\r'))
        after++;
    bool opens = before == writer->start || strchr(":-[,{", before[-1]) != NULL;
    bool closes = after == end || *after == '\n' || strchr(",]}", *after) != NULL ||
                  (*after == '#' && after > until);
    return opens && closes;
}

/* Can a text stand as a plain scalar anywhere and still be this text? */
static bool is_plain(struct arena *arena, const char *text, size_t length)
{
    if (length == 0 || length > 200)
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool is_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '_' || c == '.' || c == '/' ||
                       ((c == '-' || c == '@' || c == '+') && i > 0);
        if (!is_word)
            return false;
    }
    return value_is_string(yaml_scalar(arena, text, length, true));
}

static void put_whole(struct writer *writer, const struct value *value)
{
    if (value_is_string(value) &&
        is_plain(writer->arena, value->string.bytes, value->string.length))
        buf_add(&writer->out, value->string.bytes, value->string.length);
    else
        value_write_json_full(&writer->out, value); // JSON is YAML, on one line
}

/* Into a text: as it is printed, fit for the place. */
static bool put_inside(struct writer *writer, const struct value *value)
{
    struct buf text = { 0 };
    value_write_print(&text, value);
    bool ok = true;
    size_t start = writer->out.length;
    if (writer->inside == IN_DOUBLE) {
        value_write_json(&writer->out,
                         value_string_ref(writer->arena, buf_text(&text), text.length));
        // without the quotes around
        memmove(writer->out.bytes + start, writer->out.bytes + start + 1,
                writer->out.length - start - 2);
        writer->out.length -= 2;
        writer->out.bytes[writer->out.length] = '\0';
    } else {
        uint32_t indent = writer->inside == IN_BLOCK ? (uint32_t)strspn(writer->start, " ") : 0;
        for (size_t i = 0; i < text.length && ok; i++) {
            char c = text.bytes[i];
            bool breaks = c == '\n' || (writer->inside == IN_NOTHING && i + 1 < text.length &&
                                        ((c == ':' && text.bytes[i + 1] == ' ') ||
                                         (c == ' ' && text.bytes[i + 1] == '#')));
            if (breaks && writer->inside == IN_BLOCK) {
                buf_putc(&writer->out, '\n');
                note_template_line(writer);
                for (uint32_t k = 0; k < indent; k++)
                    buf_putc(&writer->out, ' ');
            } else if (breaks && writer->inside != IN_COMMENT) {
                ok = c != '\n' && writer->inside == IN_SINGLE;
            } else if (c == '\'' && writer->inside == IN_SINGLE) {
                buf_puts(&writer->out, "''");
            } else {
                buf_putc(&writer->out, c == '\n' ? ' ' : c);
            }
        }
    }
    buf_free(&text);
    return ok;
}

/* End of the expression that starts behind "${{"; NULL when it has none. */
static const char *span_end(const char *at, const char *end)
{
    char quote = '\0';
    for (; at + 1 < end; at++) {
        if (quote != '\0')
            quote = *at == quote ? '\0' : quote;
        else if (*at == '\'' || *at == '"')
            quote = *at;
        else if (at[0] == '}' && at[1] == '}')
            return at;
    }
    return NULL;
}

/* Replaces the span at `at`; returns where the template goes on. */
static const char *put_span(struct writer *writer, const char *at, const char *end)
{
    const char *body = at + 3;
    const char *stop = span_end(body, end);
    if (stop == NULL) {
        (void)complain(writer, at, "module-span", "'${{' without '}}'");
        return end;
    }
    if (++writer->spans > MODULE_SPANS_MAX) {
        (void)complain(writer, at, "module-span", "the template has too many expressions");
        return end;
    }
    const char *text = arena_printf(writer->arena, "{{%.*s}}", (int)(stop - body), body);
    struct error err = { 0 };
    const struct value *value = expr_render_typed(writer->env, writer->arena, text, &err);
    if (value == NULL) {
        struct diag *diag = complain(writer, at, "module-expression", err.text);
        diag->width = (uint32_t)(stop + 2 - at);
        return stop + 2;
    }
    bool is_whole = writer->inside == IN_NOTHING && is_alone(writer, at, stop + 2, end);
    if (is_whole)
        put_whole(writer, value);
    else if (!put_inside(writer, value))
        (void)complain(writer, at, "module-value",
                       "the value does not fit here; put the text around it into double quotes");
    return stop + 2;
}

static void expand_template(struct writer *writer)
{
    const char *at = writer->module->template;
    const char *end = at + writer->module->template_length;
    begin_line(writer, at, end);
    note_template_line(writer);
    while (at < end && !writer->failed && writer->out.length <= FLOW_BYTES_MAX) {
        if (end - at > 3 && memcmp(at, "${{", 3) == 0) {
            at = put_span(writer, at, end);
            continue;
        }
        buf_putc(&writer->out, *at);
        if (*at == '\n') {
            at++;
            writer->line++;
            begin_line(writer, at, end);
            if (at < end)
                note_template_line(writer);
            continue;
        }
        step(writer, at);
        at++;
    }
    if (writer->out.length > FLOW_BYTES_MAX)
        (void)complain(writer, writer->start, "module-size", "the expanded flow is too big");
}

/* ---- the flow file ---- */

static const char *const own_keys[] = { "id", "namespace", "module", "with" };

static bool is_own_key(const char *key)
{
    for (size_t i = 0; i < COUNT_OF(own_keys); i++)
        if (str_eq(key, own_keys[i]))
            return true;
    return false;
}

/* What the file says beside the module, line by line: labels, triggers … */
static bool copy_members(struct writer *writer,
                         const struct value *doc,
                         const char *text,
                         size_t length)
{
    const char *end = text + length;
    for (uint32_t i = 0; i < doc->map.count; i++) {
        const struct value_member *member = &doc->map.members[i];
        if (member->column != 1) {
            struct value at = { .line = member->line, .column = (uint16_t)member->column };
            (void)diag_add(writer->findings, DIAG_ERROR, DIAG_SYNTAX, "module-flow", &at,
                           member->key,
                           "a flow that uses a module is written with a key per line, from the "
                           "first column");
            return false;
        }
        if (is_own_key(member->key))
            continue;
        const char *from = line_start(text, length, member->line);
        bool is_last = i + 1 == doc->map.count;
        const char *until = is_last ? end : line_start(text, length, doc->map.members[i + 1].line);
        uint32_t line = member->line;
        for (const char *at = from; at != NULL && at < until; line++) {
            const char *stop = memchr(at, '\n', (size_t)(until - at));
            size_t span = stop == NULL ? (size_t)(until - at) : (size_t)(stop + 1 - at);
            buf_add(&writer->out, at, span);
            if (stop == NULL)
                buf_putc(&writer->out, '\n');
            note_line(writer, writer->flow_file, line, 0);
            at += span;
        }
    }
    return true;
}

static uint32_t line_of(const struct value *doc, const char *key)
{
    const struct value_member *member = value_member(doc, key);
    return member == NULL ? 1 : member->line;
}

/* Inputs with the values of `with`; NULL when some do not fit. */
static const struct value *resolve(struct writer *writer, const struct value *doc)
{
    const struct value *with = value_get(doc, "with");
    size_t errors = writer->findings->errors;
    for (uint32_t i = 0; value_is_map(with) && i < with->map.count; i++) {
        const struct value_member *member = &with->map.members[i];
        bool is_known = false;
        const char **names = ARENA_ARRAY(writer->arena, writer->module->inputs_count, const char *);
        for (size_t k = 0; k < writer->module->inputs_count; k++) {
            names[k] = writer->module->inputs[k].id;
            is_known = is_known || str_eq(names[k], member->key);
        }
        if (is_known)
            continue;
        struct diag *diag =
            diag_add(writer->findings, DIAG_ERROR, DIAG_TYPE, "module-input", member->value, "with",
                     "module '%s' has no input '%s'", writer->module->name, member->key);
        diag_point(diag, member);
        const char *nearest = str_nearest(member->key, names, writer->module->inputs_count);
        if (nearest != NULL)
            diag->advice = arena_printf(writer->findings->arena, "did you mean '%s'?", nearest);
    }
    struct inputs_request request = {
        .inputs = writer->module->inputs,
        .count = writer->module->inputs_count,
        .supplied = with,
        .env = writer->env,
        .owner = writer->module->name,
    };
    struct inputs_result result;
    struct error err = { 0 };
    struct value at = { .line = line_of(doc, "with"), .column = 1 };
    if (!inputs_resolve(&request, writer->arena, &result, &err)) {
        (void)diag_add(writer->findings, DIAG_ERROR, DIAG_CONSTRAINT, "module-input", &at, "with",
                       "%s", err.text);
        return NULL;
    }
    for (size_t i = 0; i < result.count; i++) {
        if (result.items[i].error == NULL)
            continue;
        const struct value_member *member =
            value_is_map(with) ? value_member(with, result.items[i].input->id) : NULL;
        struct diag *diag = diag_add(writer->findings, DIAG_ERROR, DIAG_CONSTRAINT, "module-input",
                                     &at, "with", "%s", result.items[i].error);
        diag_point(diag, member);
    }
    return writer->findings->errors > errors ? NULL : result.shown;
}

static const struct value *context_of(struct writer *writer,
                                      const char *id,
                                      const char *namespace,
                                      const struct value *inputs)
{
    struct value_builder flow = value_build(writer->arena);
    value_put_text(&flow, "id", id);
    value_put_text(&flow, "namespace", namespace);
    struct value_builder module = value_build(writer->arena);
    value_put_text(&module, "name", writer->module->name);
    struct value_builder context = value_build(writer->arena);
    value_put(&context, "flow", value_build_map(&flow));
    value_put(&context, "module", value_build_map(&module));
    if (inputs != NULL)
        value_put(&context, "inputs", inputs);
    return value_build_map(&context);
}

static void put_header(struct writer *writer,
                       const struct value *doc,
                       const char *id,
                       const char *namespace)
{
    buf_printf(&writer->out, "id: %s\n", id);
    note_line(writer, writer->flow_file, line_of(doc, "id"), 0);
    if (namespace != NULL) {
        buf_printf(&writer->out, "namespace: %s\n", namespace);
        note_line(writer, writer->flow_file, line_of(doc, "namespace"), 0);
    }
}

const char *module_expand(struct arena *arena,
                          const struct module *module,
                          const char *file,
                          const char *text,
                          size_t text_length,
                          const char *namespace,
                          size_t *length,
                          struct module_map *map,
                          struct diag_list *findings)
{
    struct error err = { 0 };
    const struct value *doc = yaml_parse(arena, text, text_length, NULL, &err);
    if (doc == NULL || !value_is_map(doc)) {
        struct value at = { .line = err.line, .column = (uint16_t)err.column };
        (void)diag_add(findings, DIAG_ERROR, DIAG_SYNTAX, "yaml", &at, NULL, "%s",
                       doc == NULL ? err.text : "a flow is a mapping");
        return NULL;
    }
    const char *id = value_get_text(doc, "id", NULL);
    namespace = value_get_text(doc, "namespace", namespace);
    if (id == NULL) {
        (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "required", doc, "id",
                       "a flow needs an id");
        return NULL;
    }
    struct expr_env env = { 0 };
    struct writer writer = {
        .arena = arena,
        .module = module,
        .env = &env,
        .findings = findings,
        .map = map,
        .flow_file = file,
    };
    env.context = context_of(&writer, id, namespace, NULL);
    const struct value *inputs = resolve(&writer, doc);
    const char *result = NULL;
    if (inputs != NULL) {
        env.context = context_of(&writer, id, namespace, inputs);
        put_header(&writer, doc, id, namespace);
        if (copy_members(&writer, doc, text, text_length))
            expand_template(&writer);
        else
            writer.failed = true;
        if (!writer.failed) {
            result = buf_dup(&writer.out, arena);
            *length = writer.out.length;
        }
    }
    buf_free(&writer.out);
    return result;
}

void module_place(const struct module *module,
                  const struct module_map *map,
                  const char *file,
                  struct diag_list *findings)
{
    struct diag *diag;
    VEC_EACH(diag, &findings->all) {
        bool is_ours = diag->file != NULL && str_eq(diag->file, file);
        if (!is_ours || diag->line == 0 || diag->line > map->lines.count)
            continue;
        const struct module_line *from = &map->lines.items[diag->line - 1];
        diag->file = from->file;
        diag->line = from->line;
        diag->column += from->indent;
        if (str_eq(from->file, module->file) && diag->advice == NULL)
            diag->advice =
                arena_printf(findings->arena, "in module '%s', used by %s", module->name, file);
    }
}
