/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/follow.h"
#include "cli/names.h"
#include "cli/output.h"
#include "core/json.h"
#include "core/value.h"

static void print_entry(struct arena *arena, const struct value *entry)
{
    if (value_get(entry, "message") == NULL)
        return;
    if (output_is_json()) {
        output_json(entry);
        return;
    }
    const char *level = value_get_text(entry, "level", "INFO");
    enum paint paint = strcmp(level, "ERROR") == 0  ? PAINT_RED
                       : strcmp(level, "WARN") == 0 ? PAINT_YELLOW
                                                    : PAINT_GREY;
    (void)printf("%s%s%s %s%-5s%s %s%s%s\n", output_paint(1, PAINT_GREY),
                 text_local(arena, follow_instant(value_get(entry, "timestamp"))),
                 output_paint(1, PAINT_OFF), output_paint(1, paint), level,
                 output_paint(1, PAINT_OFF), value_get_text(entry, "taskId", ""),
                 value_get(entry, "taskId") == NULL ? "" : "  ",
                 value_get_text(entry, "message", ""));
}

static bool on_event(void *data, const char *id, const char *text)
{
    (void)id;
    (void)data;
    AUTO_ARENA struct arena *scratch = arena_new();
    const struct value *entry = json_parse(scratch, text, strlen(text), NULL);
    if (entry != NULL)
        print_entry(scratch, entry);
    (void)fflush(stdout);
    return true;
}

static const char *selectors(struct command_line *line)
{
    const char *level = line_option(line, "level");
    const char *task = line_option(line, "task");
    return arena_printf(line->arena, "?minLevel=%s%s%s", level == NULL ? "TRACE" : level,
                        task == NULL ? "" : "&taskId=", task == NULL ? "" : task);
}

static int run(struct command_line *line)
{
    struct client client = client_open(line);
    struct error err = { 0 };
    const struct value *execution =
        execution_by_prefix(&client, line->arena, line->arguments[0], &err);
    if (execution == NULL)
        return command_fail(line, &err);
    const char *id = value_get_text(execution, "id", "");
    if (line_flag(line, "follow")) {
        const char *path = arena_printf(line->arena, "logs/%s/follow%s", id, selectors(line));
        return client_follow(&client, line->arena, path, on_event, NULL, &err)
                   ? EXIT_OK
                   : command_fail(line, &err);
    }
    const struct value *logs = client_get(
        &client, line->arena, arena_printf(line->arena, "logs/%s%s", id, selectors(line)), &err);
    if (logs == NULL)
        return command_fail(line, &err);
    if (value_count(logs) == 0 && !output_is_json())
        (void)fputs("no log lines\n", stderr);
    for (size_t i = 0; i < value_count(logs); i++)
        print_entry(line->arena, value_item(logs, i));
    return EXIT_OK;
}

static const char *const levels[] = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR", NULL };

static const struct option options[] = {
    { "follow", 'f', OPTION_FLAG, .doc = "Stay and print lines as they come." },
    { "level", 0, OPTION_VALUE, "LEVEL", levels, COMPLETE_WORDS, "Only this level and above." },
    { "task", 't', OPTION_VALUE, "TASK", .doc = "Only lines of this task." },
    { 0 },
};

const struct cli_command command_logs = {
    .name = "logs",
    .arguments = "EXECUTION",
    .summary = "print the log of an execution; with --output json one object a line",
    .options = options,
    .complete = COMPLETE_EXECUTION,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
    .needs_server = true,
};
