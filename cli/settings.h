/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's settings on a command line: --config, and the options that the table of settings
 * names (--data, --listen …).
 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include "cli/command.h"

struct config;

#define SETTINGS_FILE "weir.conf.yaml"

/* --config FILE, --data, --listen …: made from the table when the program starts. */
extern struct option settings_options[];

/* Fills settings_options; called once by main(). */
void settings_options_init(void);

/*
 * Reads file, environment and options. Prints what is wrong and gives NULL.
 */
const struct config *settings_load(const struct command_line *line);

#endif
