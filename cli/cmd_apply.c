/* SPDX-License-Identifier: Apache-2.0 */
/* Has a server apply the newest commit of a source: one that waits, or without waiting for a poll.
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/plan_output.h"
#include "core/value.h"

static const struct value *send(struct command_line *line,
                                struct client *client,
                                const struct value *plan,
                                struct error *err)
{
    struct value_builder map = value_build(line->arena);
    const char *digest = line_option(line, "plan");
    value_put(&map, "source", value_get(plan, "source"));
    value_put_text(&map, "digest", digest != NULL ? digest : value_get_text(plan, "digest", NULL));
    value_put_text(&map, "override", line_option(line, "override"));
    const char *body = value_to_json(line->arena, value_build_map(&map));
    return client_send(client, line->arena, "POST", "weir/apply", "application/json", body,
                       strlen(body), err);
}

/* Changing is shown first, and asked about; a given digest was looked at already. */
static bool may_go_on(struct command_line *line, const struct value *plan, int *status)
{
    if (value_get_bool(plan, "isHeld", false)) {
        *status = EXIT_ERROR;
        return false;
    }
    if (line_flag(line, "yes") || line_option(line, "plan") != NULL)
        return true;
    bool asked = false;
    if (output_confirm("apply this plan?", &asked))
        return true;
    *status = asked ? EXIT_OK : EXIT_ERROR;
    (void)fputs(asked ? "nothing was changed\n"
                      : "weir apply: nobody can be asked here; --yes applies without asking\n",
                stderr);
    return false;
}

static int run(struct command_line *line)
{
    struct client client = client_open(line);
    struct error err = { 0 };
    const struct value *plan =
        client_get(&client, line->arena, plan_query(line, "weir/plan"), &err);
    if (plan == NULL)
        return command_fail(line, &err);
    int status = EXIT_OK;
    if (!output_is_json())
        plan_print(line, plan, NULL);
    if (!may_go_on(line, plan, &status)) {
        if (output_is_json())
            output_json(plan);
        return status;
    }
    const struct value *applied = send(line, &client, plan, &err);
    if (applied == NULL)
        return command_fail(line, &err);
    if (output_is_json())
        output_json(applied);
    else
        (void)printf("%sapplied%s   %.7s “%s”\n", output_paint(1, PAINT_GREEN),
                     output_paint(1, PAINT_OFF),
                     value_get_text(value_get(applied, "head"), "commit", ""),
                     value_get_text(value_get(applied, "head"), "subject", ""));
    return EXIT_OK;
}

static const struct option options[] = {
    { "source", 0, OPTION_VALUE, "NAME",
      .doc = "The source whose newest commit is applied; needed when there are several." },
    { "plan", 0, OPTION_VALUE, "DIGEST",
      .doc = "Apply only the plan with this digest (8 digits or more), without asking." },
    { "override", 0, OPTION_VALUE, "WORDS",
      .doc = "Lift holds: deletions, protected, windows, approvals; commas between them." },
    { "yes", 'y', OPTION_FLAG, .doc = "Do not ask." },
    { "full", 0, OPTION_FLAG, .doc = "Show everything, cut nothing." },
    { 0 },
};

static const char *const examples[] = {
    "weir apply",
    "weir apply --source flows --override deletions",
    "weir apply --plan 4be190c2",
    NULL,
};

const struct cli_command command_apply = {
    .name = "apply",
    .arguments = "",
    .summary = "apply the newest commit of a source, also one that waits",
    .doc = "A server applies commits by itself; this is for one that is held, after somebody\n"
           "looked at its plan. The plan is made again when it is applied: when it is another\n"
           "one by then, nothing happens.",
    .options = options,
    .exits = "0 applied, or nothing to do; 1 held, refused or failed",
    .examples = examples,
    .run = run,
    .needs_server = true,
};
