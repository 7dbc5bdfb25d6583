/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/settings.h"
#include "core/config.h"
#include "core/value.h"

static const struct table_column columns[] = {
    { .title = "SETTING" },
    { .title = "VALUE", .may_cut = true },
    { .title = "FROM" },
    { .title = "MEANING", .may_cut = true },
};

static const char *shown_value(struct arena *arena, const struct value *row)
{
    struct buf out = { 0 };
    const struct value *value = value_get(row, "value");
    if (value_is_null(value))
        buf_puts(&out, "not set");
    else
        value_write_print(&out, value);
    char *text = buf_dup(&out, arena);
    buf_free(&out);
    return text;
}

static int run(struct command_line *line)
{
    const struct config *config = settings_load(line);
    if (config == NULL)
        return EXIT_ERROR;
    const struct value *rows = config_to_value(config, line->arena);
    if (output_is_json()) {
        output_json(rows);
        return EXIT_OK;
    }
    struct table *table = table_new(line->arena, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < value_count(rows); i++) {
        const struct value *row = value_item(rows, i);
        const char *origin = value_get_text(row, "origin", "");
        table_cell(table, PAINT_OFF, "%s", value_get_text(row, "name", ""));
        table_cell(table, PAINT_BOLD, "%s", shown_value(line->arena, row));
        table_cell(table, str_eq(origin, "default") ? PAINT_GREY : PAINT_OFF, "%s", origin);
        table_cell(table, PAINT_GREY, "%s", value_get_text(row, "doc", ""));
    }
    table_print(table);
    return EXIT_OK;
}

const struct cli_command command_config = {
    .name = "config",
    .arguments = "",
    .summary = "print every setting with its value, where it came from, and its meaning",
    .doc =
        "Settings come from, later wins: the default, the file (--config, or weir.conf.yaml in\n"
        "the current folder), the environment (WEIR_…), options of 'weir up'. Secrets are shown\n"
        "as 'set' or 'not set'.",
    .options = settings_options,
    .run = run,
};
