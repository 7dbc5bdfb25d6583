/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The repositories that `weir up` watches: from settings to the agent, from its deliveries to the
 * reconciler, and their state for `weir status`.
 */
#ifndef CLI_SOURCES_H
#define CLI_SOURCES_H

#include <stdbool.h>

struct agent;
struct config;
struct error;
struct runtime;
struct sources;
struct value;

/*
 * Starts watching what the setting `sources` lists, and `address` (may be NULL) besides.
 *
 * Errors  ERR_INVALID  a source has a mistake; the text names it
 */
struct sources *sources_start(struct runtime *runtime,
                              const struct config *config,
                              const char *data,
                              const char *address,
                              struct error *err);

/* Waits for deliveries under way. Before runtime_stop(). NULL is fine. */
void sources_stop(struct sources *sources);

/* What reconcile_calls.c works with; borrowed until sources_stop(). */
struct agent *sources_agent(struct sources *sources);
struct runtime *sources_runtime(struct sources *sources);
const char *const *sources_names(struct sources *sources); /* NULL-terminated */

/* Name of a source from its address: "data/flows.git" of https://git.example.com/data/flows.git. */
struct arena;
char *source_name(struct arena *arena, const char *address);

#endif
