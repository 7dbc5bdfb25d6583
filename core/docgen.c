/* SPDX-License-Identifier: Apache-2.0 */
#include "core/docgen.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/config.h"
#include "core/expr/expr.h"
#include "core/flow_internal.h"

/* Objects inside objects that a page shows. */
#define TABLE_DEPTH_MAX 8

/* ---- cells of a table ---- */

/* A text inside a cell: one line, bars escaped. */
static void put_cell(struct buf *out, const char *text)
{
    for (; text != NULL && *text != '\0'; text++) {
        if (*text == '|')
            buf_puts(out, "\\|");
        else
            buf_putc(out, *text == '\n' ? ' ' : *text);
    }
}

static void put_code(struct buf *out, const char *text)
{
    buf_putc(out, '`');
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            buf_puts(out, "\\n");
        else if (*text == '|')
            buf_puts(out, "\\|");
        else
            buf_putc(out, *text);
    }
    buf_putc(out, '`');
}

static const char *kind_word(enum prop_kind kind)
{
    switch (kind) {
    case PROP_STRING:
        return "text";
    case PROP_INT:
        return "integer";
    case PROP_DOUBLE:
        return "number";
    case PROP_BOOL:
        return "boolean";
    case PROP_DURATION:
        return "duration";
    case PROP_INSTANT:
        return "date-time";
    case PROP_ENUM:
        return "word";
    case PROP_BYTES:
        return "size";
    case PROP_ANY:
        return "any value";
    case PROP_LIST:
        return "list";
    case PROP_STRINGS:
        return "text, or list of texts";
    case PROP_MAP:
        return "map";
    case PROP_OBJECT:
        return "object";
    case PROP_OBJECTS:
        return "list of objects";
    case PROP_LABELS:
        return "labels";
    case PROP_PLUGIN:
        return "task runner";
    case PROP_TASK:
        return "task";
    case PROP_TASKS:
        return "list of tasks";
    case PROP_TASK_MAP:
        return "map of task lists";
    case PROP_DAG_TASKS:
        return "list of {task, dependsOn}";
    case PROP_TRIGGERS:
        return "list of triggers";
    case PROP_CONDITIONS:
        return "list of conditions";
    case PROP_CONDITION_MAP:
        return "map of conditions";
    case PROP_INPUTS:
        return "list of inputs";
    case PROP_OUTPUTS:
        return "list of outputs";
    }
    return "any value";
}

static void put_words(struct buf *out, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        buf_puts(out, i == 0 ? "" : ", ");
        put_code(out, words[i]);
    }
}

static void put_kind(struct buf *out, const struct prop *prop)
{
    if (prop->kind == PROP_ENUM) {
        put_words(out, prop->words);
    } else if (prop->kind == PROP_LIST || prop->kind == PROP_MAP) {
        buf_printf(out, "%s of ", kind_word(prop->kind));
        if (prop->item == PROP_ENUM)
            put_words(out, prop->words);
        else
            buf_printf(out, "%s%s", kind_word(prop->item),
                       prop->item == PROP_ANY || prop->item == PROP_STRINGS ? "" : "s");
    } else {
        buf_puts(out, kind_word(prop->kind));
    }
}

/* Bounds in the words of a reader; nothing when there are none. */
static void put_bounds(struct buf *out, const struct prop *prop)
{
    if (prop->min == 0 && prop->max == 0)
        return;
    if (prop->kind == PROP_DURATION) {
        struct buf low = { 0 };
        struct buf high = { 0 };
        duration_write(&low, prop->min, 0);
        duration_write(&high, prop->max, 0);
        buf_printf(out, " From `%s` to `%s`.", buf_text(&low), buf_text(&high));
        buf_free(&low);
        buf_free(&high);
    } else if (prop->kind == PROP_INT && prop->max >= INT32_MAX) {
        buf_printf(out, " At least %lld.", (long long)prop->min);
    } else if (prop->kind == PROP_INT) {
        buf_printf(out, " From %lld to %lld.", (long long)prop->min, (long long)prop->max);
    } else if (prop->kind == PROP_STRING && prop->max > 0) {
        buf_printf(out, " At most %lld characters.", (long long)prop->max);
    }
}

/* What a page says of each row: the rarer of the two, so that most rows say nothing. */
enum remark { REMARK_DYNAMIC, REMARK_LITERAL };

static bool is_dynamic(const struct prop *prop)
{
    return (prop->flags & (PROP_EXPR | PROP_RAW)) != 0;
}

/* Rows that hold a value of their own. */
static bool is_leaf(const struct prop *prop)
{
    return (prop->flags & PROP_INTERNAL) == 0 && prop->kind < PROP_TASK &&
           prop->kind != PROP_OBJECT && prop->kind != PROP_OBJECTS;
}

static void count_rows(const struct prop *table, size_t *dynamic, size_t *literal, int depth)
{
    for (const struct prop *prop = table; prop->name != NULL; prop++) {
        if (is_leaf(prop))
            *(is_dynamic(prop) ? dynamic : literal) += 1;
        else if (prop->object != NULL && depth < TABLE_DEPTH_MAX)
            count_rows(prop->object, dynamic, literal, depth + 1);
    }
}

static void put_row(struct buf *out,
                    const struct prop *prop,
                    const char *prefix,
                    enum remark remark)
{
    buf_printf(out, "| `%s%s`%s | ", prefix, prop->name,
               (prop->flags & PROP_REQUIRED) != 0 ? " *" : "");
    put_kind(out, prop);
    buf_puts(out, " | ");
    if (prop->fallback != NULL)
        put_code(out, prop->fallback);
    buf_puts(out, " | ");
    if ((prop->flags & PROP_DEPRECATED) != 0)
        buf_puts(out, "**Deprecated.** ");
    put_cell(out, prop->doc);
    put_bounds(out, prop);
    if ((prop->flags & PROP_RAW) != 0)
        buf_puts(out, " Evaluated again each time.");
    else if (is_leaf(prop) && remark == REMARK_DYNAMIC && is_dynamic(prop))
        buf_puts(out, " Takes expressions.");
    else if (is_leaf(prop) && remark == REMARK_LITERAL && !is_dynamic(prop))
        buf_puts(out, " Taken literally.");
    if ((prop->flags & PROP_SECRET) != 0)
        buf_puts(out, " Masked wherever it is shown.");
    if (prop->alias != NULL)
        buf_printf(out, " Older name: `%s`.", prop->alias);
    buf_puts(out, " |\n");
}

/* Rows of a table and, below each object, the rows inside it. */
static void put_rows(
    struct buf *out, const struct prop *table, const char *prefix, enum remark remark, int depth)
{
    for (const struct prop *prop = table; prop->name != NULL; prop++) {
        if ((prop->flags & PROP_INTERNAL) != 0)
            continue;
        put_row(out, prop, prefix, remark);
        bool has_inner = prop->kind == PROP_OBJECT || prop->kind == PROP_OBJECTS;
        if (!has_inner || prop->object == NULL || depth >= TABLE_DEPTH_MAX)
            continue;
        struct buf inner = { 0 };
        buf_printf(&inner, "%s%s%s.", prefix, prop->name, prop->kind == PROP_OBJECTS ? "[]" : "");
        put_rows(out, prop->object, inner.bytes, remark, depth + 1);
        buf_free(&inner);
    }
}

static void put_table(struct buf *out, const struct prop *table)
{
    size_t dynamic = 0;
    size_t literal = 0;
    count_rows(table, &dynamic, &literal, 0);
    enum remark remark = dynamic > literal ? REMARK_LITERAL : REMARK_DYNAMIC;
    if (remark == REMARK_LITERAL)
        buf_puts(out, literal == 0 ? "All take expressions.\n\n"
                                   : "All take expressions unless taken literally.\n\n");
    buf_puts(out, "| Property | Kind | Default | |\n|---|---|---|---|\n");
    put_rows(out, table, "", remark, 0);
    buf_putc(out, '\n');
}

/* ---- pages ---- */

/* An example without properties is "{}". */
static void put_indented(struct buf *out, const char *text, const char *indent)
{
    if (str_starts(text, "{}"))
        return;
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        if (length > 0)
            buf_puts(out, indent);
        buf_add(out, text, length);
        buf_putc(out, '\n');
        text += length + (text[length] == '\n' ? 1 : 0);
    }
}

static bool is_whole_flow(const char *yaml)
{
    return str_starts(yaml, "id:") && strstr(yaml, "\ntasks:") != NULL;
}

/* "io.kestra.plugin.core.kv.Set" gives "set". */
static void put_example_id(struct buf *out, const char *type)
{
    const char *dot = strrchr(type, '.');
    const char *name = dot == NULL ? type : dot + 1;
    for (const char *at = name; *at != '\0'; at++) {
        bool upper = *at >= 'A' && *at <= 'Z';
        bool starts_word = upper && at > name && !(at[-1] >= 'A' && at[-1] <= 'Z');
        if (starts_word)
            buf_putc(out, '_');
        buf_putc(out, upper ? (char)(*at - 'A' + 'a') : *at);
    }
}

/* The properties of an example as an item of a list. */
static void put_item(struct buf *out, const struct plugin *plugin, const char *yaml)
{
    if (plugin->role == PLUGIN_TASK || plugin->role == PLUGIN_TRIGGER) {
        buf_puts(out, "  - id: ");
        put_example_id(out, plugin->id);
        buf_printf(out, "\n    type: %s\n", plugin->id);
        put_indented(out, yaml, "    ");
    } else {
        buf_printf(out, "  - type: %s\n", plugin->id);
        put_indented(out, yaml, "    ");
    }
}

static void put_flow_around(struct buf *out, const struct plugin *plugin, const char *yaml)
{
    static const char log_task[] = "tasks:\n"
                                   "  - id: hello\n"
                                   "    type: io.kestra.plugin.core.log.Log\n"
                                   "    message: \"{{ trigger }}\"\n";
    buf_puts(out, "id: example\nnamespace: company.team\n");
    switch (plugin->role) {
    case PLUGIN_TASK:
        buf_puts(out, "tasks:\n");
        put_item(out, plugin, yaml);
        break;
    case PLUGIN_TRIGGER:
        buf_puts(out, log_task);
        buf_puts(out, "triggers:\n");
        put_item(out, plugin, yaml);
        break;
    case PLUGIN_CONDITION:
        buf_puts(out, log_task);
        buf_puts(out, "triggers:\n"
                      "  - id: after\n"
                      "    type: io.kestra.plugin.core.trigger.Flow\n"
                      "    conditions:\n");
        buf_printf(out, "      - type: %s\n", plugin->id);
        put_indented(out, yaml, "        ");
        break;
    case PLUGIN_RUNNER:
        buf_puts(out, "tasks:\n"
                      "  - id: commands\n"
                      "    type: io.kestra.plugin.scripts.shell.Commands\n"
                      "    commands:\n"
                      "      - echo hello\n");
        put_indented(out, yaml, "    ");
        break;
    }
}

char *docgen_example_flow(struct arena *arena, const struct plugin *plugin, size_t example)
{
    const char *yaml = plugin->examples[example].yaml;
    struct buf out = { 0 };
    if (is_whole_flow(yaml))
        buf_puts(&out, yaml);
    else
        put_flow_around(&out, plugin, yaml);
    char *text = buf_dup(&out, arena);
    buf_free(&out);
    return text;
}

static void put_examples(struct buf *out, const struct plugin *plugin)
{
    struct arena *arena = arena_new();
    for (size_t i = 0; plugin->examples != NULL && plugin->examples[i].yaml != NULL; i++) {
        buf_printf(out, "%s%s:\n\n```yaml\n%s```\n\n", i == 0 ? "## Examples\n\n" : "",
                   plugin->examples[i].title, docgen_example_flow(arena, plugin, i));
    }
    arena_free(arena);
}

static void put_outputs(struct buf *out, const struct plugin *plugin)
{
    if (plugin->outputs == NULL || plugin->outputs[0].name == NULL)
        return;
    buf_puts(out, "## Outputs\n\n| Output | Kind | |\n|---|---|---|\n");
    for (const struct plugin_output *output = plugin->outputs; output->name != NULL; output++) {
        buf_printf(out, "| `%s` | %s | ", output->name, output->type);
        put_cell(out, output->doc);
        buf_puts(out, " |\n");
    }
    buf_putc(out, '\n');
}

static void put_shared_note(struct buf *out, const struct plugin *plugin)
{
    switch (plugin->role) {
    case PLUGIN_TASK:
        buf_puts(out, "Besides these, it has the [properties of every task]"
                      "(flow.md#properties-of-every-task)");
        if (plugin->task_kind == TASK_FLOWABLE)
            buf_puts(out, ", and `errors` and `finally` "
                          "[for the tasks inside](flow.md#tasks-that-hold-tasks)");
        buf_puts(out, ".\n\n");
        break;
    case PLUGIN_TRIGGER:
        buf_puts(out, "Besides these, it has the [properties of every trigger]"
                      "(flow.md#properties-of-every-trigger).\n\n");
        break;
    case PLUGIN_CONDITION:
    case PLUGIN_RUNNER:
        break;
    }
}

void docgen_plugin(struct buf *out, const struct plugin *plugin)
{
    buf_printf(out, "# %s\n\n", plugin->id);
    if ((plugin->flags & PLUGIN_DEPRECATED) != 0)
        buf_puts(out, "**Deprecated.**\n\n");
    buf_printf(out, "%s\n\n", plugin->title);
    if (plugin->doc != NULL)
        buf_printf(out, "%s\n\n", plugin->doc);
    put_examples(out, plugin);
    buf_puts(out, "## Properties\n\n");
    if (plugin->props != NULL && plugin->props[0].name != NULL)
        put_table(out, plugin->props);
    put_shared_note(out, plugin);
    put_outputs(out, plugin);
    for (size_t i = 0; plugin->aliases != NULL && plugin->aliases[i] != NULL; i++)
        buf_printf(out, "%s`%s`", i == 0 ? "Older names: " : ", ", plugin->aliases[i]);
    if (plugin->aliases != NULL && plugin->aliases[0] != NULL)
        buf_puts(out, ".\n");
}

void docgen_table(struct buf *out, const char *title, const char *summary, const struct prop *table)
{
    buf_printf(out, "# %s\n\n%s\n\nProperties marked * are required.\n\n", title, summary);
    put_table(out, table);
}

static void put_input_types(struct buf *out)
{
    buf_puts(out, "## Inputs\n\nEvery input has:\n\n");
    put_table(out, input_common_props);
    for (int type = 0; input_type_words[type] != NULL; type++) {
        const struct prop *table = input_type_props((enum input_type)type);
        if (table[0].name == NULL)
            continue;
        buf_printf(out, "### Inputs of type %s\n\n", input_type_words[type]);
        put_table(out, table);
    }
}

void docgen_flow(struct buf *out)
{
    docgen_table(out, "The flow document", "A flow is one YAML map.", flow_props);
    put_input_types(out);
    buf_puts(out, "## Outputs\n\n");
    put_table(out, output_props);
    buf_puts(out, "## Properties of every task\n\n");
    put_table(out, task_common_props);
    buf_puts(out, "## Tasks that hold tasks\n\n");
    put_table(out, flowable_common_props);
    buf_puts(out, "## Properties of every trigger\n\n");
    put_table(out, trigger_common_props);
}

static const char *setting_word(enum setting_kind kind)
{
    switch (kind) {
    case SETTING_TEXT:
        return "text";
    case SETTING_INT:
        return "integer";
    case SETTING_BOOL:
        return "boolean";
    case SETTING_DURATION:
        return "duration";
    case SETTING_BYTES:
        return "size";
    case SETTING_WORD:
        return "word";
    case SETTING_LIST:
        return "list";
    case SETTING_MAP:
        return "map";
    }
    return "text";
}

void docgen_settings(struct buf *out, const struct setting *table)
{
    buf_puts(out, "# Settings of the server\n\n"
                  "A setting is taken from, later wins: its default, the settings file, the "
                  "environment (`WEIR_` and the name in capitals, with `_` for `.`), an option of "
                  "the command. `weir config` shows each with its value and where that came "
                  "from.\n\n"
                  "| Setting | Kind | Default | |\n|---|---|---|---|\n");
    for (const struct setting *setting = table; setting->name != NULL; setting++) {
        buf_printf(out, "| `%s` | ", setting->name);
        if (setting->kind == SETTING_WORD)
            put_words(out, setting->words);
        else
            buf_puts(out, setting_word(setting->kind));
        buf_puts(out, " | ");
        if (setting->fallback != NULL)
            put_code(out, setting->fallback);
        buf_puts(out, " | ");
        put_cell(out, setting->doc);
        if (setting->option != NULL)
            buf_printf(out, " Option: `--%s`.", setting->option);
        if (setting->is_secret)
            buf_puts(out, " Never shown.");
        buf_puts(out, " |\n");
    }
}

void docgen_expressions(struct buf *out, const struct expr_builtin *builtins, size_t count)
{
    static const char *const kinds[] = { "function", "filter", "test" };
    static const char *const titles[] = { "Functions", "Filters", "Tests" };
    buf_puts(out, "# Expressions\n\nWhat can be used inside `{{ … }}` and `{% … %}`.\n\n");
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        buf_printf(out, "## %s\n\n| | |\n|---|---|\n", titles[k]);
        for (size_t i = 0; i < count; i++) {
            if (strcmp(builtins[i].kind, kinds[k]) != 0)
                continue;
            buf_puts(out, "| ");
            put_code(out,
                     str_empty(builtins[i].signature) ? builtins[i].name : builtins[i].signature);
            buf_puts(out, " | ");
            put_cell(out, builtins[i].doc);
            buf_puts(out, " |\n");
        }
        buf_putc(out, '\n');
    }
}

void docgen_index(struct buf *out, const struct plugin_set *plugins)
{
    static const struct {
        enum plugin_role role;
        const char *title;
    } roles[] = {
        { PLUGIN_TASK, "Tasks" },
        { PLUGIN_TRIGGER, "Triggers" },
        { PLUGIN_CONDITION, "Conditions" },
        { PLUGIN_RUNNER, "Task runners" },
    };
    buf_puts(out, "# Reference\n\n- [The flow document](flow.md)\n"
                  "- [Expressions](expressions.md)\n"
                  "- [The repository file weir.yaml](repository.md)\n"
                  "- [Settings of the server](settings.md)\n"
                  "- [Commands](commands.md)\n\n");
    size_t count = 0;
    const struct plugin *const *all = plugin_all(plugins, &count);
    for (size_t r = 0; r < sizeof(roles) / sizeof(roles[0]); r++) {
        buf_printf(out, "## %s\n\n| Type | |\n|---|---|\n", roles[r].title);
        for (size_t i = 0; i < count; i++) {
            if (all[i]->role != roles[r].role)
                continue;
            buf_printf(out, "| [%s](%s.md) | ", all[i]->id, all[i]->id);
            put_cell(out, all[i]->title);
            buf_puts(out, " |\n");
        }
        buf_putc(out, '\n');
    }
}
