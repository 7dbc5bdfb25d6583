/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "base/url.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/follow.h"
#include "cli/names.h"
#include "cli/output.h"
#include "core/value.h"

static const struct table_column columns[] = {
    { "FLOW", .may_cut = false },       { "REV", .is_right = true },
    { "TRIGGERS", .may_cut = true },    { .title = "CHANGED" },
    { "DESCRIPTION", .may_cut = true },
};

static const char *triggers_of(struct arena *arena, const struct value *flow)
{
    const struct value *triggers = value_get(flow, "triggers");
    const char *text = "";
    for (size_t i = 0; i < value_count(triggers); i++) {
        const struct value *trigger = value_item(triggers, i);
        const char *type = value_get_text(trigger, "type", "");
        const char *last = strrchr(type, '.');
        const char *detail = value_get_text(trigger, "cron", NULL);
        text = arena_printf(arena, "%s%s%s%s%s", text, i == 0 ? "" : ", ",
                            last == NULL ? type : last + 1, detail == NULL ? "" : " ",
                            detail == NULL ? "" : detail);
    }
    return text;
}

static void add_row(struct table *table, struct arena *arena, const struct value *flow, usec_t now)
{
    bool is_disabled = value_get_bool(flow, "disabled", false);
    enum paint paint = is_disabled ? PAINT_GREY : PAINT_OFF;
    usec_t updated = follow_instant(value_get(flow, "updated"));
    const char *description = value_get_text(flow, "description", "");
    table_cell(table, paint, "%s/%s%s", value_get_text(flow, "namespace", ""),
               value_get_text(flow, "id", ""), is_disabled ? " (disabled)" : "");
    table_cell(table, paint, "%lld", (long long)value_get_int(flow, "revision", 0));
    table_cell(table, paint, "%s", triggers_of(arena, flow));
    table_cell(table, paint, "%s", updated == 0 ? "" : text_ago(arena, updated, now));
    table_cell(table, paint, "%.*s", (int)strcspn(description, "\n"), description);
}

static int show_source(struct command_line *line, struct client *client, const char *name)
{
    struct error err = { 0 };
    struct flow_name flow;
    if (!flow_name_parse(line->arena, name, &flow, &err))
        return command_fail(line, &err);
    const char *path = arena_printf(line->arena, "flows/%s/%s?source=true",
                                    url_encode_text(line->arena, flow.namespace),
                                    url_encode_text(line->arena, flow.id));
    const struct value *found = client_get(client, line->arena, path, &err);
    if (found == NULL)
        return command_fail(line, &err);
    if (output_is_json())
        output_json(found);
    else
        (void)fputs(value_get_text(found, "source", ""), stdout);
    return EXIT_OK;
}

static int run(struct command_line *line)
{
    struct client client = client_open(line);
    if (line->arguments_count == 1)
        return show_source(line, &client, line->arguments[0]);

    struct error err = { 0 };
    const char *namespace = line_option(line, "namespace");
    const char *path =
        arena_printf(line->arena, "flows/search?size=1000&sort=id:asc%s%s",
                     namespace == NULL ? "" : "&namespace=",
                     namespace == NULL ? "" : url_encode_text(line->arena, namespace));
    const struct value *found = client_get(&client, line->arena, path, &err);
    if (found == NULL)
        return command_fail(line, &err);
    if (output_is_json()) {
        output_json(found);
        return EXIT_OK;
    }
    const struct value *results = value_get(found, "results");
    if (value_count(results) == 0) {
        (void)fputs("no flows yet; push one to the repository weir watches, or try one file:\n"
                    "  weir run my_flow.yml\n",
                    stderr);
        return EXIT_OK;
    }
    struct table *table = table_new(line->arena, columns, sizeof(columns) / sizeof(columns[0]));
    usec_t now = clock_now();
    for (size_t i = 0; i < value_count(results); i++)
        add_row(table, line->arena, value_item(results, i), now);
    table_print(table);
    return EXIT_OK;
}

static const struct option options[] = {
    { "namespace", 'n', OPTION_VALUE, "NAMESPACE",
      .doc = "Only flows of this namespace and those below it." },
    { 0 },
};

const struct cli_command command_flows = {
    .name = "flows",
    .arguments = "[NAMESPACE/FLOW]",
    .summary = "list the deployed flows, or print the source of one",
    .options = options,
    .complete = COMPLETE_FLOW,
    .arguments_max = 1,
    .run = run,
    .needs_server = true,
};
