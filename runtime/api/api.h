/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP API: routes to handlers, handlers to driver requests and store readers.
 *
 * Nothing here touches the engine's memory: what changes state is a request to the driver, answered
 * after its commit; what reads, reads the store. Server threads never block: handlers run on a
 * pool, those marked ROUTE_DIRECT (webhooks, health) in the server thread.
 *
 * Rules: api.md 1 to 3 and 6. To add an endpoint: api_internal.h.
 */
#ifndef RUNTIME_API_API_H
#define RUNTIME_API_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct api;
struct arena;
struct driver;
struct engine_world;
struct error;
struct httpd_reply;
struct httpd_request;
struct logstore;
struct plugin_set;
struct redact;
struct services;
struct storage;
struct store;
struct value;

/* Who may come in besides everybody, when nothing of this is set. */
struct api_user {
    const char *name; /* has the form of an e-mail address */
    const char *password;
};

/* Zero-initialised fields take the default in brackets. Pointers are borrowed until api_free(). */
struct api_config {
    struct driver *driver;
    struct store *store;
    struct logstore *logs;
    struct storage *storage;
    const struct services *services;
    const struct plugin_set *plugins;
    const struct value *plugin_defaults; /* server-wide, may be NULL */
    const struct engine_world *world;

    const char *tenant;                /* [main] */
    const char *const *tenant_aliases; /* more ids of the same tenant, NULL-terminated, or NULL */
    const char *public_url;            /* of links in answers; NULL: relative */
    const char *system_namespace;      /* [system] */
    const char *zone;                  /* [UTC] of the server */
    const char *version;               /* of weir */
    const struct api_user *users;      /* basic authentication */
    size_t users_count;
    const char *const *tokens;       /* bearer tokens and JWT cookies, NULL-terminated, or NULL */
    const char *const *open_paths;   /* path prefixes without authentication, or NULL */
    const char *const *cors_origins; /* NULL: CORS is off; "*" allows all */
    const char *const *secret_keys;  /* names of secrets that exist, NULL-terminated, or NULL */
    struct redact *masks;            /* what shown executions must not hold; NULL: nothing */
    const char *environment_name;    /* shown by user interfaces, or NULL */
    const char *environment_color;

    size_t threads;       /* [16] of handlers that read or wait */
    size_t queue_max;     /* [1024] requests waiting for a thread; beyond: 503 */
    int64_t body_max;     /* [64 MiB] of bodies kept in memory */
    int64_t upload_max;   /* [10 GiB] of multipart bodies, spooled to disk */
    size_t followers_max; /* [1000] open streams */
    usec_t heartbeat;     /* [20 s] of streams */

    /* Watched repositories with their state, a list for weir/status; any thread. NULL: none. */
    const struct value *(*sources)(void *data, struct arena *arena);
    void *sources_data;

    /*
     * What is asked about watched repositories: "plan", "apply", "drift", "history", "sync", with
     * arguments as a map. May block; any thread. NULL: there are none, 404.
     */
    const struct value *(*reconcile)(void *data,
                                     struct arena *arena,
                                     const char *verb,
                                     const struct value *arguments,
                                     struct error *err);
    void *reconcile_data;

    /* Everything outside /api and the operational paths: the pages. NULL: 404. Must not block. */
    void (*pages)(void *data, struct httpd_request *request);
    void *pages_data;
};

struct api *api_new(const struct api_config *config, struct error *err);

/* For httpd_options; context is the struct api. */
void api_handle(void *api, struct httpd_request *request);
int64_t api_begin(void *api, struct httpd_request *request);
void api_refuse(void *api,
                struct httpd_request *request,
                const char *message,
                struct httpd_reply *reply);

/*
 * Ends streams and waiting requests; those that come later get 503. Before driver_stop(), so that
 * nobody waits for an execution that no longer runs.
 */
void api_quiesce(struct api *api);

/* After driver_stop() and before httpd_stop(). NULL is fine. */
void api_free(struct api *api);

/* Description of all routes, OpenAPI 3.0, as JSON text owned by the arena. */
struct arena;
const struct value *api_openapi(struct arena *arena, const char *version);

#endif
