/* SPDX-License-Identifier: Apache-2.0 */
/* The list of commands, in the order of the help. */
#include "cli/command.h"

extern const struct command command_help_row;
extern const struct command command_version;
extern const struct command command_completion;
extern const struct command command_complete;

const struct command *const commands[] = {
    &command_help_row, &command_completion, &command_version, &command_complete, NULL,
};
