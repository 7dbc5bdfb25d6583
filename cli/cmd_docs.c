/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "cli/command.h"
#include "cli/output.h"
#include "core/config.h"
#include "core/docgen.h"
#include "core/expr/expr.h"
#include "core/plugin.h"
#include "core/repo_config.h"
#include "core/value.h"
#include "runtime/plugins.h"

static const char *const words[] = { "flow", "repository", "config", "expressions", NULL };

/* A type by its name, an older name, or the last words of its name: "kv.Set", "Set". */
static const struct plugin *find_type(const char *name)
{
    const struct plugin *found = plugin_find(plugins(), name);
    size_t count = 0;
    const struct plugin *const *all = plugin_all(plugins(), &count);
    size_t length = strlen(name);
    for (size_t i = 0; found == NULL && i < count; i++) {
        size_t id_length = strlen(all[i]->id);
        if (id_length > length && all[i]->id[id_length - length - 1] == '.' &&
            str_eq_nocase(all[i]->id + id_length - length, name))
            found = all[i];
    }
    return found;
}

static const char *nearest_type(const char *name)
{
    static const enum plugin_role roles[] = { PLUGIN_TASK, PLUGIN_TRIGGER, PLUGIN_CONDITION,
                                              PLUGIN_RUNNER };
    const char *nearest = NULL;
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]) && nearest == NULL; i++)
        nearest = plugin_nearest(plugins(), roles[i], name);
    return nearest;
}

static int list_types(struct command_line *line)
{
    static const struct table_column columns[] = {
        { .title = "TYPE" },
        { .title = "KIND" },
        { .title = "MEANING", .may_cut = true },
    };
    size_t count = 0;
    const struct plugin *const *all = plugin_all(plugins(), &count);
    if (output_is_json()) {
        struct value_builder list = value_build(line->arena);
        for (size_t i = 0; i < count; i++) {
            struct value_builder row = value_build(line->arena);
            value_put_text(&row, "type", all[i]->id);
            value_put_text(&row, "kind", plugin_role_name(all[i]->role));
            value_put_text(&row, "title", all[i]->title);
            value_add(&list, value_build_map(&row));
        }
        output_json(value_build_list(&list));
        return EXIT_OK;
    }
    struct table *table = table_new(line->arena, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < count; i++) {
        table_cell(table, PAINT_OFF, "%s", all[i]->id);
        table_cell(table, PAINT_GREY, "%s", plugin_role_name(all[i]->role));
        table_cell(table, PAINT_OFF, "%s", all[i]->title);
    }
    table_print(table);
    return EXIT_OK;
}

/* false: there is no such page. */
static bool write_page(struct buf *out, const char *name)
{
    size_t count = 0;
    const struct expr_builtin *builtins = expr_builtins(&count);
    const struct plugin *plugin = NULL;
    if (strcmp(name, "flow") == 0)
        docgen_flow(out);
    else if (strcmp(name, "repository") == 0)
        docgen_table(out, "The repository file weir.yaml", "What a repository deploys.",
                     repo_config_props);
    else if (strcmp(name, "config") == 0)
        docgen_settings(out, settings);
    else if (strcmp(name, "expressions") == 0)
        docgen_expressions(out, builtins, count);
    else if ((plugin = find_type(name)) != NULL)
        docgen_plugin(out, plugin);
    else
        return false;
    return true;
}

static int run(struct command_line *line)
{
    if (line->arguments_count == 0)
        return list_types(line);
    const char *name = line->arguments[0];
    struct buf out = { 0 };
    bool found = write_page(&out, name);
    if (found && output_is_json()) {
        struct value_builder answer = value_build(line->arena);
        value_put_text(&answer, "markdown", out.bytes);
        output_json(value_build_map(&answer));
    } else if (found) {
        (void)fwrite(out.bytes, 1, out.length, stdout);
    }
    buf_free(&out);
    if (found)
        return EXIT_OK;
    struct error err = { 0 };
    const char *nearest = nearest_type(name);
    (void)error_set(&err, ERR_NOT_FOUND, "no type or page '%s'%s%s%s", name,
                    nearest == NULL ? "" : ", did you mean '", nearest == NULL ? "" : nearest,
                    nearest == NULL ? "" : "'?");
    return command_fail(line, &err);
}

static const char *const examples[] = { "weir docs http.Request", "weir docs flow", NULL };

const struct cli_command command_docs = {
    .name = "docs",
    .arguments = "[TYPE|flow|repository|config|expressions]",
    .summary = "print the reference page of a type, or list all types",
    .doc = "A type may be given by the last words of its name, such as 'kv.Set'. Pages are\n"
           "Markdown.",
    .complete = COMPLETE_WORDS,
    .words = words,
    .arguments_max = 1,
    .examples = examples,
    .run = run,
};
