/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one flow file in this process: memory store, no network, a working folder that is removed.
 */
#ifndef CLI_RUN_LOCAL_H
#define CLI_RUN_LOCAL_H

struct command_line;

/* line->arguments[0] is the file; the exit status of `weir run`. */
int run_local(struct command_line *line);

#endif
