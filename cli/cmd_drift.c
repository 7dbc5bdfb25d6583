/* SPDX-License-Identifier: Apache-2.0 */
/* Shows what was changed beside Git since the last apply. */
#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/plan_output.h"
#include "core/value.h"

static int run(struct command_line *line)
{
    struct client client = client_open(line);
    struct error err = { 0 };
    const struct value *drift =
        client_get(&client, line->arena, plan_query(line, "weir/drift"), &err);
    if (drift == NULL)
        return command_fail(line, &err);
    const struct value *sources = value_get(drift, "sources");
    if (output_is_json())
        output_json(drift);
    else if (value_count(sources) == 0)
        (void)puts("no repository is watched; name one: weir up FOLDER-OR-URL");
    for (size_t i = 0; !output_is_json() && i < value_count(sources); i++) {
        if (i > 0)
            (void)putchar('\n');
        drift_print(line, value_item(sources, i));
    }
    return value_get_int(drift, "drifted", 0) > 0 ? EXIT_CHANGES : EXIT_OK;
}

static const struct option options[] = {
    { "source", 0, OPTION_VALUE, "NAME", .doc = "Only this source." },
    { "full", 0, OPTION_FLAG, .doc = "Show everything, cut nothing." },
    { 0 },
};

const struct cli_command command_drift = {
    .name = "drift",
    .arguments = "",
    .summary = "show what was changed beside Git since the last apply",
    .doc = "Compares every object that came from a repository with what is deployed, field by\n"
           "field. What weir.yaml leaves to operators (drift.operatorOwns) is not reported.",
    .options = options,
    .exits = "0 no drift, 2 there is drift",
    .run = run,
    .needs_server = true,
};
