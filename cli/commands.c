/* SPDX-License-Identifier: Apache-2.0 */
/* The list of commands, in the order of the help. */
#include "cli/command.h"

extern const struct command command_help_row;
extern const struct command command_version;

const struct command *const commands[] = {
    &command_help_row,
    &command_version,
    NULL,
};
