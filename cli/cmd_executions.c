/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
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
    { .title = "EXECUTION" }, { .title = "FLOW" },          { .title = "STATE" },
    { .title = "STARTED" },   { "TOOK", .is_right = true }, { "BY", .may_cut = true },
};

static void add_row(struct table *table,
                    struct arena *arena,
                    const struct value *execution,
                    usec_t now)
{
    const struct value *state = value_get(execution, "state");
    const char *name = value_get_text(state, "current", "?");
    usec_t start = follow_instant(value_get(state, "startDate"));
    usec_t end = follow_instant(value_get(state, "endDate"));
    table_cell(table, PAINT_OFF, "%s", value_get_text(execution, "id", ""));
    table_cell(table, PAINT_OFF, "%s/%s", value_get_text(execution, "namespace", ""),
               value_get_text(execution, "flowId", ""));
    table_cell(table, output_state_paint(name), "%s %s", output_state_symbol(name), name);
    table_cell(table, PAINT_OFF, "%s", text_ago(arena, start, now));
    table_cell(table, PAINT_OFF, "%s", text_span(arena, (end == 0 ? now : end) - start));
    table_cell(table, PAINT_OFF, "%s",
               value_get_text(value_get(execution, "trigger"), "id", "hand"));
}

static int show_one(struct command_line *line, struct client *client, const char *prefix)
{
    struct error err = { 0 };
    const struct value *execution = execution_by_prefix(client, line->arena, prefix, &err);
    if (execution == NULL)
        return command_fail(line, &err);
    if (output_is_json()) {
        output_json(execution);
        return EXIT_OK;
    }
    const char *id = value_get_text(execution, "id", prefix);
    const struct value *logs =
        client_get(client, line->arena, arena_printf(line->arena, "logs/%s", id), &err);
    struct follow follow = { 0 };
    (void)follow_end(&follow, line->arena, execution, logs,
                     arena_printf(line->arena, "weir restart %s", id));
    follow_free(&follow);
    return EXIT_OK;
}

static const char *query_of(struct command_line *line)
{
    struct buf out = { 0 };
    const char *flow = line_option(line, "flow");
    const char *namespace = line_option(line, "namespace");
    const char *limit = line_option(line, "limit");
    struct flow_name name;
    buf_printf(&out, "sort=state.startDate:desc&size=%s", limit == NULL ? "25" : limit);
    if (flow != NULL && flow_name_parse(line->arena, flow, &name, NULL))
        buf_printf(&out, "&namespace=%s&flowId=%s", url_encode_text(line->arena, name.namespace),
                   url_encode_text(line->arena, name.id));
    else if (flow != NULL)
        buf_printf(&out, "&flowId=%s", url_encode_text(line->arena, flow));
    if (namespace != NULL)
        buf_printf(&out, "&namespace=%s", url_encode_text(line->arena, namespace));
    const char **states = line_options(line, "state");
    for (size_t i = 0; states[i] != NULL; i++)
        buf_printf(&out, "&state=%s", url_encode_text(line->arena, states[i]));
    char *query = buf_dup(&out, line->arena);
    buf_free(&out);
    return query;
}

static int run(struct command_line *line)
{
    struct client client = client_open(line);
    if (line->arguments_count == 1)
        return show_one(line, &client, line->arguments[0]);
    struct error err = { 0 };
    const struct value *found =
        client_get(&client, line->arena,
                   arena_printf(line->arena, "executions/search?taskRuns=%s&%s",
                                output_is_json() ? "true" : "false", query_of(line)),
                   &err);
    if (found == NULL)
        return command_fail(line, &err);
    if (output_is_json()) {
        output_json(found);
        return EXIT_OK;
    }
    const struct value *results = value_get(found, "results");
    if (value_count(results) == 0) {
        (void)fputs("no executions; start one:\n  weir run NAMESPACE/FLOW\n", stderr);
        return EXIT_OK;
    }
    struct table *table = table_new(line->arena, columns, sizeof(columns) / sizeof(columns[0]));
    usec_t now = clock_now();
    for (size_t i = 0; i < value_count(results); i++)
        add_row(table, line->arena, value_item(results, i), now);
    table_print(table);
    int64_t total = value_get_int(found, "total", 0);
    if (total > (int64_t)value_count(results))
        (void)fprintf(stderr, "%s of %s; --limit shows more\n",
                      text_count(line->arena, (int64_t)value_count(results)),
                      text_count(line->arena, total));
    return EXIT_OK;
}

static const char *const state_words[] = {
    "CREATED", "RUNNING", "PAUSED", "RESTARTED", "QUEUED",    "RETRYING", "BREAKPOINT", "KILLING",
    "SUCCESS", "WARNING", "FAILED", "KILLED",    "CANCELLED", "RETRIED",  "SKIPPED",    NULL,
};

static const struct option options[] = {
    { "flow", 'f', OPTION_VALUE, "FLOW", NULL, COMPLETE_FLOW, "Only of this flow." },
    { "namespace", 'n', OPTION_VALUE, "NAMESPACE", .doc = "Only of this namespace and below." },
    { "state", 0, OPTION_REPEAT, "STATE", state_words, COMPLETE_WORDS,
      "Only in this state; repeat for several." },
    { "limit", 'l', OPTION_VALUE, "COUNT", .doc = "How many, newest first; default 25." },
    { 0 },
};

const struct cli_command command_executions = {
    .name = "executions",
    .arguments = "[EXECUTION]",
    .summary = "list executions, newest first, or show one",
    .options = options,
    .complete = COMPLETE_EXECUTION,
    .arguments_max = 1,
    .run = run,
    .needs_server = true,
};
