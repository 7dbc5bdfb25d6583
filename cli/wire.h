/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins everything: the only file that knows every folder. Starts and stops a runtime, with or
 * without an HTTP server in front.
 */
#ifndef CLI_WIRE_H
#define CLI_WIRE_H

#include <stdbool.h>
#include <stddef.h>

struct api_config;
struct arena;
struct config;
struct driver;
struct error;
struct logstore;
struct plugin_set;
struct runtime;
struct store;
struct value;

struct runtime_options {
    const struct config *config;
    const char *data; /* data folder, made when absent */
    bool is_volatile; /* memory store, logs in memory; the folder holds only working files */
    bool is_open;     /* serve HTTP */
};

/* Parts that commands and the reconciler use. */
struct runtime {
    struct store *store;
    struct logstore *logs;
    struct driver *driver;
    const struct plugin_set *plugins;
    const struct value *plugin_defaults; /* list */
    struct storage *storage;
    const char *zone;
    unsigned port; /* that HTTP is served on; 0 none */
};

/*
 * Starts store, worker, driver and (is_open) the HTTP server, in this order.
 *
 * Errors  those of each part, naming the setting to change
 */
struct runtime *runtime_start(const struct runtime_options *options, struct error *err);

/* Refuses new work, ends waiting requests, commits, stops in reverse order. NULL is fine. */
void runtime_stop(struct runtime *runtime);

/* The list of watched repositories for weir/status; NULL takes it back. Called from any thread. */
typedef const struct value *runtime_sources_fn(void *data, struct arena *arena);
void runtime_set_sources(struct runtime *runtime, runtime_sources_fn *fn, void *data);

/* Answers weir/plan, weir/apply …, see api_config.reconcile; NULL takes it back. */
typedef const struct value *runtime_reconcile_fn(void *data,
                                                 struct arena *arena,
                                                 const char *verb,
                                                 const struct value *arguments,
                                                 struct error *err);
void runtime_set_reconcile(struct runtime *runtime, runtime_reconcile_fn *fn, void *data);

#endif
