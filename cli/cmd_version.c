/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/version.h"
#include "core/value.h"

static int run(struct command_line *line)
{
    if (output_is_json()) {
        struct value_builder answer = value_build(line->arena);
        value_put_text(&answer, "version", WEIR_VERSION);
        output_json(value_build_map(&answer));
    } else {
        (void)printf("weir %s\n", WEIR_VERSION);
    }
    return EXIT_OK;
}

const struct cli_command command_version = {
    .name = "version",
    .arguments = "",
    .summary = "print the version",
    .run = run,
};
