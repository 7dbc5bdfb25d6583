/* SPDX-License-Identifier: Apache-2.0 */
/* weir expr: evaluates one expression, and points at the column of a mistake. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/rng.h"
#include "base/str.h"
#include "cli/command.h"
#include "cli/output.h"
#include "core/diag.h"
#include "core/expr/expr.h"
#include "core/json.h"
#include "core/value.h"
#include "core/yaml.h"

#define CONTEXT_BYTES_MAX  ((size_t)64 * 1024 * 1024)
#define TEMPLATE_BYTES_MAX ((size_t)8 * 1024 * 1024)

/* The root variables of a file: JSON, or YAML where it does not begin like JSON. */
static const struct value *load_context(struct command_line *line, const char *path)
{
    struct error err = { 0 };
    size_t length = 0;
    const struct value *context = NULL;
    const char *text =
        str_eq(path, "-")
            ? fs_read_fd(line->arena, 0, "standard input", CONTEXT_BYTES_MAX, &length, &err)
            : fs_read(line->arena, path, CONTEXT_BYTES_MAX, &length, &err);
    if (text == NULL) {
        (void)command_fail(line, &err);
        return NULL;
    }
    if (text[strspn(text, " \t\r\n")] == '{')
        context = json_parse(line->arena, text, length, &err);
    else
        context = yaml_parse(line->arena, text, length, NULL, &err);
    if (context != NULL && value_is_null(context))
        context = &value_empty_map;
    if (context != NULL && !value_is_map(context))
        (void)error_set_at(&err, ERR_INVALID, 1, 1,
                           "the context must be a map of variables, not %s",
                           value_kind_name(context));
    if (err.code == ERR_NONE)
        return context;
    struct diag_list list = diag_list_new(line->arena, path);
    struct diag *diag =
        diag_add(&list, DIAG_ERROR, DIAG_SYNTAX, "context", NULL, "", "%s", err.text);
    diag->line = err.line;
    diag->column = err.column;
    struct buf out = { 0 };
    diag_render(&out, diag, text, *output_paint(2, PAINT_RED) != '\0');
    (void)fputs(buf_text(&out), stderr);
    buf_free(&out);
    return NULL;
}

/* The name between the first two back-ticks of a message about something undefined. */
static const char *undefined_name(struct arena *arena, const char *message)
{
    const char *start = strchr(message, '`');
    const char *end = start == NULL ? NULL : strchr(start + 1, '`');
    return end == NULL ? "" : arena_strndup(arena, start + 1, (size_t)(end - start - 1));
}

/* What to do about a name that does not exist. */
static const char *undefined_advice(struct arena *arena,
                                    const char *name,
                                    const struct value *context)
{
    size_t count = value_count(context);
    const char **names = ARENA_ARRAY(arena, count + 1, const char *);
    for (size_t i = 0; i < count; i++)
        names[i] = context->map.members[i].key;
    const char *near = str_nearest(name, names, count);
    if (near != NULL)
        return arena_printf(arena, "did you mean '%s'?", near);
    if (count == 0)
        return "there are no variables: give them with --context FILE";
    return arena_printf(arena, "give it in the context, or a value for its absence: %s ?? 'other'",
                        name);
}

/* What happened, without the template that a message quotes for logs. */
static const char *plain_message(struct arena *arena, const struct error *err, const char *template)
{
    size_t length = strlen(template);
    const char *quote =
        arena_printf(arena, " (%.*s:%u)", length > EXPR_QUOTE_MAX ? EXPR_QUOTE_MAX : (int)length,
                     template, err->line);
    if (!str_ends(err->text, quote))
        return err->text;
    return arena_strndup(arena, err->text, strlen(err->text) - strlen(quote));
}

/* Shows the mistake under the expression; `prefix` columns were put before it. */
static int report(struct command_line *line,
                  const struct expr_env *env,
                  const struct error *err,
                  const char *template,
                  const char *shown,
                  uint32_t prefix)
{
    struct diag_list list = diag_list_new(line->arena, NULL);
    struct diag *diag = diag_add(&list, DIAG_ERROR, DIAG_SYNTAX, "expression", NULL, "", "%s",
                                 plain_message(line->arena, err, template));
    diag->line = err->line;
    diag->column = err->line == 1 && err->column > prefix ? err->column - prefix : err->column;
    diag->see = "weir docs expressions";
    if (prefix > 0 && str_starts(diag->message, "unexpected '}}'"))
        diag->message = arena_printf(line->arena, "unexpected end%s",
                                     diag->message + strlen("unexpected '}}'"));
    if (env->failure == EXPR_UNDEFINED) {
        const char *name = undefined_name(line->arena, err->text);
        diag->message = arena_printf(line->arena, "'%s' is not defined", name);
        diag->advice = undefined_advice(line->arena, name, env->context);
    }
    if (output_is_json()) {
        output_json(diag_to_value(line->arena, diag));
        return EXIT_ERROR;
    }
    struct buf out = { 0 };
    diag_render(&out, diag, shown, *output_paint(2, PAINT_RED) != '\0');
    (void)fflush(stdout);
    (void)fputs(buf_text(&out), stderr);
    buf_free(&out);
    return EXIT_ERROR;
}

static int run(struct command_line *line)
{
    const char *path = line_option(line, "context");
    const char *shown = line->arguments[0];
    struct error err = { 0 };
    const struct value *context = &value_empty_map;
    if (str_eq(shown, "-")) {
        shown = fs_read_fd(line->arena, 0, "standard input", TEMPLATE_BYTES_MAX, NULL, &err);
        if (shown == NULL)
            return command_fail(line, &err);
    }
    if (path != NULL && (context = load_context(line, path)) == NULL)
        return EXIT_ERROR;

    // What stands alone is an expression; with braces it is a template.
    bool is_template = expr_is_dynamic(shown);
    const char *template = is_template ? shown : arena_printf(line->arena, "{{ %s }}", shown);
    struct expr_env env = {
        .context = context,
        .now = clock_now(),
        .zone = line_option(line, "zone"),
        .seed = rng_seed(),
    };
    if (output_is_json()) {
        const struct value *value = expr_render_typed(&env, line->arena, template, &err);
        if (value == NULL)
            return report(line, &env, &err, template, shown, is_template ? 0 : 3);
        output_json(value);
        return EXIT_OK;
    }
    const char *text = expr_render_text(&env, line->arena, template, NULL, &err);
    if (text == NULL)
        return report(line, &env, &err, template, shown, is_template ? 0 : 3);
    size_t length = strlen(text);
    (void)fwrite(text, 1, length, stdout);
    if (length == 0 || text[length - 1] != '\n')
        (void)putchar('\n');
    return EXIT_OK;
}

static const struct option options[] = {
    { "context", 'c', OPTION_VALUE, "FILE", NULL, COMPLETE_FILE,
      "The variables: a JSON or YAML file, '-' for standard input." },
    { "zone", 0, OPTION_VALUE, "ZONE", NULL, COMPLETE_NONE,
      "Time zone of dates without one; UTC by default." },
    { 0 },
};

static const char *const examples[] = {
    "weir expr \"1 + 2\"",
    "weir expr \"outputs.load.rows * 2\" --context context.yaml",
    "weir expr \"{% for o in orders %}{{ o.id }} {% endfor %}\" -c orders.json",
    "weir expr \"now() | dateAdd(-1, 'DAYS', 'yyyy-MM-dd')\" --zone Europe/Paris",
    NULL,
};

const struct cli_command command_expr = {
    .name = "expr",
    .arguments = "EXPRESSION",
    .summary = "evaluate an expression, and point at the column of a mistake",
    .doc =
        "Braces may be left out: 'a + 1' is '{{ a + 1 }}'. '-' reads the template from standard\n"
        "input. Prints the text that a flow would get, with --output json the value and its type.\n"
        "Functions that ask the outside (secret, kv, read, http …) are not available here.",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .examples = examples,
    .run = run,
};
