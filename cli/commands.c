/* SPDX-License-Identifier: Apache-2.0 */
/* The list of commands, in the order of the help. */
#include "cli/command.h"

extern const struct cli_command command_up;
extern const struct cli_command command_run;
extern const struct cli_command command_status;
extern const struct cli_command command_validate;
extern const struct cli_command command_plan;
extern const struct cli_command command_apply;
extern const struct cli_command command_drift;
extern const struct cli_command command_flows;
extern const struct cli_command command_executions;
extern const struct cli_command command_logs;
extern const struct cli_command command_kill;
extern const struct cli_command command_restart;
extern const struct cli_command command_config;
extern const struct cli_command command_expr;
extern const struct cli_command command_docs;
extern const struct cli_command command_schema;
extern const struct cli_command command_completion;
extern const struct cli_command command_help_row;
extern const struct cli_command command_version;
extern const struct cli_command command_complete;

const struct cli_command *const commands[] = {
    &command_up,      &command_run,        &command_validate,
    &command_plan,    &command_apply,      &command_drift,
    &command_status,  &command_flows,      &command_executions,
    &command_logs,    &command_kill,       &command_restart,
    &command_config,  &command_expr,       &command_docs,
    &command_schema,  &command_completion, &command_help_row,
    &command_version, &command_complete,   NULL,
};
