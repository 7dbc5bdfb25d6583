/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that is built in: tasks, triggers, conditions, task runners.
 *
 * To add a type: its file, one line in runtime/plugins.c, one test, `make generate`.
 */
#ifndef RUNTIME_PLUGINS_H
#define RUNTIME_PLUGINS_H

struct plugin;
struct plugin_set;

/* NULL-terminated, in the order of the reference pages. */
extern const struct plugin *const plugins_builtin[];

/* The set of them, made on first use; lives as long as the process. Any thread. */
const struct plugin_set *plugins(void);

#endif
