/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What plan, apply and drift share: asking a server, and printing documents of the reconciler.
 */
#ifndef CLI_PLAN_OUTPUT_H
#define CLI_PLAN_OUTPUT_H

#include "cli/command.h"

struct value;

/* path with source, ref and overrides of the command line as its query. */
const char *plan_query(const struct command_line *line, const char *path);

/* As text for people, or as JSON. command: how it is applied, NULL: not said. */
void plan_print(const struct command_line *line, const struct value *plan, const char *command);
void drift_print(const struct command_line *line, const struct value *drift);

#endif
