/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP as flows write it: the properties that Request, Download, SseRequest, the polling trigger
 * and the function http() share, and the call they make (flow-language.md 4.3, connectors.md 0.3).
 */
#ifndef RUNTIME_WORKER_WEB_H
#define RUNTIME_WORKER_WEB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/http.h"
#include "core/prop.h"

struct arena;
struct error;
struct task_ctx;
struct value;

/* Longest body that becomes an output. */
#define WEB_BODY_MAX ((size_t)19 * 1024 * 1024)

struct web_auth {
    int type; /* BASIC, BEARER, DIGEST; -1 none */
    const char *username;
    const char *password;
    const char *token;
};

/* `options` as bound. Deprecated flat spellings fill their own members; web_call() merges. */
struct web_options {
    struct {
        usec_t connect_timeout;
        usec_t read_idle_timeout;
    } timeout;
    struct {
        int type; /* DIRECT, HTTP, SOCKS; -1 none */
        const char *address;
        int64_t port;
        const char *username;
        const char *password;
    } proxy;
    struct web_auth auth;
    struct {
        bool insecure;
    } ssl;
    bool follow_redirects;
    bool allow_failed;
    const struct value *allowed_codes;
    const char *default_charset;
    const struct value *logs;
    usec_t connect_timeout;
    usec_t read_timeout;
    int proxy_type;
    const char *proxy_address;
    int64_t proxy_port;
    const char *proxy_username;
    const char *proxy_password;
    const char *basic_user;
    const char *basic_password;
    const char *log_level;
};
extern const struct prop web_options_props[];

struct web_request {
    const char *uri;
    const char *method;
    const struct value *params;
    const char *body;
    const struct value *form_data;
    const char *content_type;
    const struct value *headers;
    struct web_options options;
    bool allow_failed;    /* deprecated place */
    struct web_auth auth; /* deprecated place */
    struct {
        bool insecure;
    } ssl_options; /* deprecated place */
};

extern const struct prop web_auth_props[];
extern const struct prop web_ssl_props[];

/* Rows of a property table whose struct has a `struct web_request` member. */
#define WEB_REQUEST_ROWS(s, m)                                                                     \
    { "uri", STR(s, m.uri), .flags = PROP_REQUIRED | PROP_EXPR, .doc = "Address to call." },       \
        { "method", STR(s, m.method), .flags = PROP_EXPR, .fallback = "GET",                       \
          .doc = "HTTP method, for example POST." },                                               \
        { "params", MAP(s, m.params), .item = PROP_ANY, .flags = PROP_EXPR,                        \
          .doc = "Query parameters to add; the values of a list repeat the name." },               \
        { "body", STR(s, m.body), .flags = PROP_EXPR, .doc = "Request body." },                    \
        { "formData", MAP(s, m.form_data), .item = PROP_ANY, .flags = PROP_EXPR,                   \
          .doc = "Form fields; a file URI or `{name, content}` sends a file. Sent URL-encoded, "   \
                 "or as parts when `contentType` is `multipart/form-data`." },                     \
        { "contentType", STR(s, m.content_type), .flags = PROP_EXPR,                               \
          .doc = "Content type of the body; `application/json` when absent." },                    \
        { "headers", MAP(s, m.headers), .item = PROP_ANY, .flags = PROP_EXPR,                      \
          .doc = "Request headers." },                                                             \
        { "options", OBJECT(s, m.options, web_options_props), .flags = PROP_EXPR,                  \
          .doc = "Time-outs, proxy, authentication and what counts as a failure." },               \
        { "allowFailed", BOOL(s, m.allow_failed), .flags = PROP_EXPR | PROP_DEPRECATED,            \
          .doc = "Use `options.allowFailed`." },                                                   \
        { "auth", OBJECT(s, m.auth, web_auth_props), .flags = PROP_EXPR | PROP_DEPRECATED,         \
          .doc = "Use `options.auth`." },                                                          \
    {                                                                                              \
        "sslOptions", OBJECT(s, m.ssl_options, web_ssl_props),                                     \
            .flags = PROP_EXPR | PROP_DEPRECATED, .doc = "Use `options.ssl`."                      \
    }

/* Where the body of the response goes; zero-initialised is memory. */
struct web_sink {
    int fd; /* with to_fd */
    bool to_fd;
    http_sink_fn *fn;
    void *context;
    size_t body_max; /* in memory; 0: WEB_BODY_MAX */
};

/*
 * Makes the call. A status that counts as a failure is an error whose text is
 * "POST https://host/path returned 403 Forbidden: body".
 *
 * ctx      for logs, files to send, cancellation; NULL where there is no task (API side): then no
 *          files are sent
 * Errors   those of http_call(); ERR_INVALID for statuses and for what cannot be sent
 */
bool web_call(struct task_ctx *ctx,
              struct arena *arena,
              const struct web_request *request,
              const struct web_sink *sink,
              struct http_response *response,
              struct error *err);

/* "403 Forbidden" */
const char *web_status_text(int status);

/* Response headers as map name -> list of values. */
const struct value *web_headers(struct arena *arena, const struct http_fields *headers);

/*
 * Body as UTF-8 text by the charset of the response, else `charset` (NULL: UTF-8). Bytes that are
 * not in the charset become U+FFFD.
 */
const struct value *web_text(struct arena *arena,
                             const struct http_response *response,
                             const char *charset);

/* File name that the response suggests, else that of the URL, else NULL; never with a '/'. */
const char *web_file_name(struct arena *arena,
                          const struct http_response *response,
                          const char *url);

#endif
