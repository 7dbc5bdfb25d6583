/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request being answered, and what handlers do with it. Internal to runtime/api.
 *
 * A handler gets a call and ends it exactly once: by one of the reply functions, by passing it on
 * (call_drive, call_hold), or by opening a stream. After that it must not use the call, which may
 * be answered by another thread meanwhile; what is in its arena stays valid until the handler
 * returns, so that it can give back what it holds. Handlers without ROUTE_DIRECT run on a pool
 * thread and may block briefly.
 *
 * To add an endpoint: a handler in the file of its resource, one row in that file's table, a test
 * in tests/e2e/test_api_*.py.
 */
#ifndef RUNTIME_API_CALL_H
#define RUNTIME_API_CALL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/httpd.h"
#include "base/rng.h"
#include "runtime/api/api.h"
#include "runtime/api/filters.h"
#include "runtime/api/route.h"
#include "runtime/driver/driver.h"
#include "runtime/store/store.h"

struct arena;
struct buf;
struct expr_env;
struct flow;
struct flow_cache;
struct hook_cache;
struct flow_row;
struct pool;
struct value;
struct value_builder;

/*
 * Locks: rng_lock, those inside readers, flow cache and streams. None is held while another is
 * taken, nor around a call of the driver or of the HTTP server, except where streams.c says so.
 */
struct api {
    struct api_config config;
    struct router *router;
    struct pool *pool;    /* handlers */
    struct pool *answers; /* continuations of what the driver answered, and streams */
    struct flow_cache *flows;
    struct hook_cache *hooks;
    struct readers *readers;
    struct streams *streams;
    struct auth *auth;
    pthread_mutex_t rng_lock;
    struct rng rng;         /* of ids */
    struct id installation; /* of this database, kept in it */
    usec_t started_at;
    _Atomic bool is_quiet; /* no new streams and waits */
};

struct call {
    struct api *api;
    struct httpd_request *http;
    struct arena *arena; /* of the request */
    const struct route *route;
    const char *path[ROUTE_PARAMETERS_MAX]; /* parameters, in the order of the path */
    bool is_tenantless;
    const char *user;             /* who is authenticated, NULL: nobody had to */
    struct store_reader *reader;  /* after call_reader(); given back by the reply */
    struct driver_request driver; /* for call_drive() */
    void (*next)(struct call *call);
    void *data; /* the handler's own */
    usec_t started;
};

/* ---- what is asked for ---- */

/* First value of a query parameter, NULL when absent. */
const char *call_query(const struct call *call, const char *name);
/* As above; absent or empty gives the fallback; "true" in any case is true. */
bool call_query_bool(const struct call *call, const char *name, bool fallback);

/* Required query parameter; on failure replies 400 and returns NULL. */
const char *call_required(struct call *call, const char *name);

/* Integer parameter; on failure replies 422 and returns false. Absent: the fallback. */
bool call_query_int(
    struct call *call, const char *name, int64_t min, int64_t fallback, int64_t *out);

/* The body as JSON; on failure replies 422 and returns NULL. An empty body is an error. */
const struct value *call_json(struct call *call);
/* As above, and it must be a list. */
const struct value *call_json_list(struct call *call);

/* Search of the route's resource; on failure replies and returns false. */
bool call_search(struct call *call, struct search *out);

/* Who asks, for the origin of changes. */
struct origin call_origin(const struct call *call);

/* Path and query as asked for, in the form with the tenant. */
const char *call_self(const struct call *call);

/* Value of Access-Control-Allow-Origin for this request, NULL: none. */
const char *call_cors_origin(const struct call *call);

/* ---- the store ---- */

/* A parsed flow, from the cache; the caller gives the reference back with flow_unref(). */
struct flow *call_flow(struct call *call, const struct flow_row *row, struct error *err);

/* The reader of this call; on failure replies 503 and returns NULL. */
struct store_reader *call_reader(struct call *call);

/*
 * Execution by id or unique prefix, with runs: use out->id from here on. On failure replies 404 (or
 * 503) and returns false.
 */
bool call_execution(struct call *call, const char *id, struct execution_row *out);

/* ---- the driver ---- */

/*
 * Gives call->driver (filled but for arena and done) to the driver; `next` runs on a pool thread
 * when it is answered, also when it failed: see call_driver_failed().
 */
void call_drive(struct call *call, void (*next)(struct call *call));

/* Runs a handler or a continuation, with the call's arena valid until it returns. */
void call_run(struct call *call, void (*run)(struct call *call));

/* Replies with the driver's error when it failed; true then. */
bool call_driver_failed(struct call *call);

/* Gives call->driver to the driver and waits; on failure replies and returns false. */
bool call_driver_wait(struct call *call);

/*
 * Gives all requests to the driver, so that they share commits, and waits for all. Their answers
 * are in the requests.
 */
void call_driver_all(struct call *call, struct driver_request *requests, size_t count);

/* A new id for an execution. */
struct id call_new_id(struct call *call);

/* ---- replies ---- */

/* JSON; null members are written: builders leave out what is absent. */
void reply_value(struct call *call, int status, const struct value *value);
void reply_empty(struct call *call, int status);
/* 401 with the challenge of api.md 1.3. */
void reply_unauthorized(struct call *call);
void reply_bytes(struct call *call, int status, const char *type, const void *bytes, size_t length);
/* Takes over the memory of the buffer. headers: ended by a zero row, may be NULL. */
void reply_buf(struct call *call,
               int status,
               const char *type,
               struct buf *body,
               const struct http_field *headers);
/* fd is given; closed after the answer. */
void reply_file(
    struct call *call, const char *type, int fd, uint64_t length, const struct http_field *headers);

/* {"results": …, "total": …} */
void reply_page(struct call *call, const struct value *results, int64_t total);
/* {"count": …, "totalItems": …} */
void reply_count(struct call *call, size_t count);

/* The JSON error of api.md 1.7; format may be NULL: the reason alone. */
void reply_error(struct call *call, int status, const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* With embedded errors: a list of {message, path}. detail may be NULL. */
void reply_errors(struct call *call,
                  int status,
                  const char *reason,
                  const char *detail,
                  const struct value *errors);
/* As above: 422 "Invalid entity". */
void reply_invalid(struct call *call, const char *detail, const struct value *errors);
/* Status and reason by the code of an error. */
void reply_failure(struct call *call, const struct error *err);
void reply_refusal(struct call *call, const struct refusal *refusal);

/* One embedded error. */
const struct value *error_item(struct arena *arena, const char *message, const char *path);

/* Members of a bulk operation that stand in its way (api.md 1.10). */
struct bulk_problem {
    const char *message;
    const char *value;
    const char *path; /* "execution" */
};
void reply_bulk_problems(struct call *call,
                         const char *operation,
                         const struct bulk_problem *problems,
                         size_t count);

/* Registers the metrics of the API, once. */
void reply_metrics_register(void);

/* Tables of the resources, each ended by a zero row; listed in routes.c. */
extern const struct route misc_routes[];
extern const struct route status_routes[];
extern const struct route git_routes[];
extern const struct route flow_routes[];
extern const struct route flow_bulk_routes[];
extern const struct route flow_report_routes[];
extern const struct route execution_routes[];
extern const struct route execution_operation_routes[];
extern const struct route execution_bulk_routes[];
extern const struct route execution_file_routes[];
extern const struct route eval_routes[];
extern const struct route webhook_routes[];
extern const struct route log_routes[];
extern const struct route metric_routes[];
extern const struct route trigger_routes[];
extern const struct route namespace_routes[];
extern const struct route namespace_file_routes[];
extern const struct route kv_routes[];
extern const struct route plugin_routes[];
extern const struct route elsewhere_routes[];

#endif
