/* SPDX-License-Identifier: Apache-2.0 */
/* kill and restart: one call each on an execution named by id or prefix. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/follow.h"
#include "cli/names.h"
#include "cli/output.h"
#include "core/value.h"

/* Applies `method path-with-%s` to each named execution; stops at the first failure. */
static int operate(struct command_line *line,
                   const char *method,
                   const char *suffix,
                   const char *done)
{
    struct client client = client_open(line);
    for (size_t i = 0; i < line->arguments_count; i++) {
        struct error err = { 0 };
        const struct value *execution =
            execution_by_prefix(&client, line->arena, line->arguments[i], &err);
        if (execution == NULL)
            return command_fail(line, &err);
        const char *id = value_get_text(execution, "id", "");
        const struct value *answer = client_send(
            &client, line->arena, method, arena_printf(line->arena, "executions/%s/%s", id, suffix),
            NULL, NULL, 0, &err);
        if (answer == NULL)
            return command_fail(line, &err);
        if (output_is_json())
            output_json(value_is_map(answer) ? answer : execution);
        else
            (void)printf("%s %s (%s/%s)\n", done, id, value_get_text(execution, "namespace", ""),
                         value_get_text(execution, "flowId", ""));
    }
    return EXIT_OK;
}

static int run_kill(struct command_line *line)
{
    bool alone = line_flag(line, "no-cascade");
    return operate(line, "DELETE",
                   alone ? "kill?isOnKillCascade=false" : "kill?isOnKillCascade=true", "killing");
}

static int run_restart(struct command_line *line)
{
    const char *revision = line_option(line, "revision");
    const char *suffix =
        revision == NULL ? "restart" : arena_printf(line->arena, "restart?revision=%s", revision);
    return operate(line, "POST", suffix, "restarted");
}

static const struct option kill_options[] = {
    { "no-cascade", .kind = OPTION_FLAG, .doc = "Leave the subflows it started alone." },
    { 0 },
};

const struct cli_command command_kill = {
    .name = "kill",
    .arguments = "EXECUTION...",
    .summary = "stop executions and the subflows they started",
    .options = kill_options,
    .complete = COMPLETE_EXECUTION,
    .arguments_min = 1,
    .arguments_max = SIZE_MAX,
    .run = run_kill,
    .needs_server = true,
};

static const struct option restart_options[] = {
    { "revision", .kind = OPTION_VALUE, .metavar = "N",
      .doc = "Run with another revision of the flow; makes a new execution." },
    { 0 },
};

const struct cli_command command_restart = {
    .name = "restart",
    .arguments = "EXECUTION...",
    .summary = "run failed executions again from the task that failed",
    .options = restart_options,
    .complete = COMPLETE_EXECUTION,
    .arguments_min = 1,
    .arguments_max = SIZE_MAX,
    .run = run_restart,
    .needs_server = true,
};
