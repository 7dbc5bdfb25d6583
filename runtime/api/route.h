/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes: which method and path reaches which handler (api.md 1.1).
 *
 * A path is literal segments and {parameters}. Paths without a leading '/' are relative to
 * /api/v1/{tenant}; with one they are absolute and never carry a tenant. Literals win over
 * parameters, from left to right. A path that ends in a segment ** takes whatever follows, with
 * any method when its method is "*", and is asked last. Pure.
 */
#ifndef RUNTIME_API_ROUTE_H
#define RUNTIME_API_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/httpd.h"
#include "runtime/api/filters.h"

struct arena;
struct call;

#define ROUTE_PARAMETERS_MAX 6

enum route_flag {
    ROUTE_DIRECT = 1 << 0,     /* runs in the server thread: must not block nor read much */
    ROUTE_OPEN = 1 << 1,       /* needs no credentials */
    ROUTE_UPLOAD = 1 << 2,     /* the body may be as long as an upload */
    ROUTE_DEPRECATED = 1 << 3, /* kept for older clients */
    ROUTE_PAGED = 1 << 4,      /* page, size, sort */
    ROUTE_NO_SLASH = 1 << 5,   /* a trailing '/' makes it another path (webhooks) */
};

/* A query parameter, for the description of the API. */
struct route_query {
    const char *name;
    const char *type; /* "string", "boolean", "integer", "array" */
    const char *doc;
    bool is_required;
};

struct route {
    const char *method;
    const char *path;
    void (*run)(struct call *call);
    unsigned flags;
    enum resource resource;          /* whose filters it takes, RESOURCE_NONE */
    const struct route_query *query; /* ended by a zero row, may be NULL */
    const char *body;                /* media type of the body, NULL none */
    const char *shape;               /* name of the answer's shape (api.md 3), NULL none */
    const char *doc;                 /* one sentence */
    const void *data;                /* the handler's own: what tells routes of one handler apart */
};

/* All routes; ended by a zero row. One table per resource, listed in routes.c. */
extern const struct route *const route_tables[];

struct router;

/* tables: NULL-terminated; outlive the router. */
struct router *router_new(const struct route *const *tables,
                          const char *tenant,
                          const char *const *tenant_aliases);
void router_free(struct router *router);

enum route_result {
    ROUTE_FOUND,
    ROUTE_UNKNOWN,      /* 404 */
    ROUTE_WRONG_METHOD, /* 405 */
    ROUTE_WRONG_TENANT, /* 400 */
    ROUTE_ELSEWHERE,    /* neither /api nor operational: the pages */
};

struct route_match {
    const struct route *route;
    const char *parameters[ROUTE_PARAMETERS_MAX]; /* in the order of the path */
    const char *tenant;                           /* WRONG_TENANT: what was asked for */
    bool is_tenantless;                           /* the tenant was left out */
};

/*
 * segments  as httpd_request splits them
 * slash     whether the path ends in '/', which only webhooks mind
 */
enum route_result router_find(const struct router *router,
                              const char *method,
                              const char *const *segments,
                              size_t count,
                              bool slash,
                              struct route_match *out);

#endif
