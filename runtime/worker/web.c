/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker/web.h"

#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/redact.h"
#include "base/str.h"
#include "base/vec.h"
#include "core/value.h"
#include "runtime/worker/task.h"

#define ERROR_BODY_BYTES 2000U
#define LOG_BODY_BYTES   ((size_t)16 * 1024)
#define FIELDS_MAX       1000U
#define TEXT_CHUNK       4096U

enum { AUTH_BASIC, AUTH_BEARER, AUTH_DIGEST };
enum { PROXY_DIRECT, PROXY_HTTP, PROXY_SOCKS };

static const char *const auth_words[] = { "BASIC", "BEARER", "DIGEST", NULL };
static const char *const proxy_words[] = { "DIRECT", "HTTP", "SOCKS", NULL };
static const char *const log_words[] = { "REQUEST_HEADERS", "REQUEST_BODY", "RESPONSE_HEADERS",
                                         "RESPONSE_BODY" };
enum { LOG_REQUEST_HEADERS, LOG_REQUEST_BODY, LOG_RESPONSE_HEADERS, LOG_RESPONSE_BODY };

/* ---- properties ---- */

const struct prop web_auth_props[] = {
    { "type", ENUM(struct web_auth, type), .words = auth_words, .doc = "Kind of credentials." },
    { "username", STR(struct web_auth, username), .flags = PROP_EXPR, .doc = "User." },
    { "password", STR(struct web_auth, password), .flags = PROP_EXPR | PROP_SECRET,
      .doc = "Password." },
    { "token", STR(struct web_auth, token), .flags = PROP_EXPR | PROP_SECRET,
      .doc = "Bearer token." },
    { 0 },
};

struct ssl {
    bool insecure;
};
const struct prop web_ssl_props[] = {
    { "insecureTrustAllCertificates", BOOL(struct ssl, insecure), .flags = PROP_EXPR,
      .doc = "Accept any certificate. Only for tests." },
    { 0 },
};

struct timeouts {
    usec_t connect_timeout;
    usec_t read_idle_timeout;
};
static const struct prop timeout_props[] = {
    { "connectTimeout", DURATION(struct timeouts, connect_timeout), .flags = PROP_EXPR,
      .doc = "Time to connect; 10 s when absent." },
    { "readIdleTimeout", DURATION(struct timeouts, read_idle_timeout), .flags = PROP_EXPR,
      .fallback = "PT5M", .doc = "Time without a byte after which the call is given up." },
    { 0 },
};

struct proxy {
    int type;
    const char *address;
    int64_t port;
    const char *username;
    const char *password;
};
static const struct prop proxy_props[] = {
    { "type", ENUM(struct proxy, type), .words = proxy_words, .flags = PROP_EXPR,
      .doc = "Kind of proxy." },
    { "address", STR(struct proxy, address), .flags = PROP_EXPR, .doc = "Host of the proxy." },
    { "port", INT(struct proxy, port), .flags = PROP_EXPR, .doc = "Port of the proxy." },
    { "username", STR(struct proxy, username), .flags = PROP_EXPR, .doc = "User." },
    { "password", STR(struct proxy, password), .flags = PROP_EXPR | PROP_SECRET,
      .doc = "Password." },
    { 0 },
};

/* The nested tables name structs of their own; they must lie in memory as the members do. */
_Static_assert(sizeof(struct proxy) == sizeof(((struct web_options *)0)->proxy), "proxy");
_Static_assert(sizeof(struct timeouts) == sizeof(((struct web_options *)0)->timeout), "timeout");
_Static_assert(sizeof(struct ssl) == sizeof(((struct web_options *)0)->ssl), "ssl");

#define O struct web_options
const struct prop web_options_props[] = {
    { "timeout", OBJECT(O, timeout, timeout_props), .flags = PROP_EXPR, .doc = "Time-outs." },
    { "proxy", OBJECT(O, proxy, proxy_props), .flags = PROP_EXPR, .doc = "Proxy to go through." },
    { "auth", OBJECT(O, auth, web_auth_props), .flags = PROP_EXPR, .doc = "Credentials." },
    { "ssl", OBJECT(O, ssl, web_ssl_props), .flags = PROP_EXPR, .doc = "Certificates." },
    { "followRedirects", BOOL(O, follow_redirects), .flags = PROP_EXPR, .fallback = "true",
      .doc = "Follow up to ten redirects; credentials are not sent to another host." },
    { "allowFailed", BOOL(O, allow_failed), .flags = PROP_EXPR,
      .doc = "Statuses from 400 on are no failures." },
    { "allowedResponseCodes", LIST(O, allowed_codes), .item = PROP_INT, .flags = PROP_EXPR,
      .doc = "Statuses from 400 on that are no failures." },
    { "defaultCharset", STR(O, default_charset), .flags = PROP_EXPR, .fallback = "UTF-8",
      .doc = "Charset of responses that name none." },
    { "logs", LIST(O, logs), .item = PROP_STRING, .flags = PROP_EXPR,
      .doc = "What to log at level DEBUG: `REQUEST_HEADERS`, `REQUEST_BODY`, `RESPONSE_HEADERS`, "
             "`RESPONSE_BODY`." },
    { "connectTimeout", DURATION(O, connect_timeout), .flags = PROP_EXPR | PROP_DEPRECATED,
      .doc = "Use `timeout.connectTimeout`." },
    { "readTimeout", DURATION(O, read_timeout), .flags = PROP_EXPR | PROP_DEPRECATED,
      .doc = "Use `timeout.readIdleTimeout`." },
    { "proxyType", ENUM(O, proxy_type), .words = proxy_words, .flags = PROP_EXPR | PROP_DEPRECATED,
      .doc = "Use `proxy.type`." },
    { "proxyAddress", STR(O, proxy_address), .flags = PROP_EXPR | PROP_DEPRECATED,
      .doc = "Use `proxy.address`." },
    { "proxyPort", INT(O, proxy_port), .flags = PROP_EXPR | PROP_DEPRECATED,
      .doc = "Use `proxy.port`." },
    { "proxyUsername", STR(O, proxy_username), .flags = PROP_EXPR | PROP_DEPRECATED,
      .doc = "Use `proxy.username`." },
    { "proxyPassword", STR(O, proxy_password), .flags = PROP_EXPR | PROP_SECRET | PROP_DEPRECATED,
      .doc = "Use `proxy.password`." },
    { "basicAuthUser", STR(O, basic_user), .flags = PROP_EXPR | PROP_DEPRECATED,
      .doc = "Use `auth`." },
    { "basicAuthPassword", STR(O, basic_password),
      .flags = PROP_EXPR | PROP_SECRET | PROP_DEPRECATED, .doc = "Use `auth`." },
    { "logLevel", STR(O, log_level), .flags = PROP_EXPR | PROP_DEPRECATED,
      .doc = "Use `logs`: TRACE is all four, DEBUG both headers, INFO the response headers." },
    { "readIdleTimeout", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { "connectionPoolIdleTimeout", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { "maxContentLength", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { 0 },
};
#undef O

/* ---- statuses, headers, texts ---- */

const char *web_status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } known[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 301, "Moved Permanently" },
        { 302, "Found" },
        { 303, "See Other" },
        { 304, "Not Modified" },
        { 307, "Temporary Redirect" },
        { 308, "Permanent Redirect" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 406, "Not Acceptable" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 411, "Length Required" },
        { 412, "Precondition Failed" },
        { 413, "Content Too Large" },
        { 415, "Unsupported Media Type" },
        { 417, "Expectation Failed" },
        { 418, "I'm a teapot" },
        { 422, "Unprocessable Content" },
        { 425, "Too Early" },
        { 429, "Too Many Requests" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
    };
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (known[i].status == status)
            return known[i].text;
    return "";
}

const struct value *web_headers(struct arena *arena, const struct http_fields *headers)
{
    struct value_builder map = value_build(arena);
    for (size_t i = 0; i < headers->count; i++) {
        const char *name = headers->items[i].name;
        if (value_build_has(&map, name, strlen(name)))
            continue;
        struct value_builder list = value_build(arena);
        for (size_t k = i; k < headers->count; k++)
            if (str_eq_nocase(headers->items[k].name, name))
                value_add(&list, value_string(arena, headers->items[k].value));
        value_put(&map, name, value_build_list(&list));
    }
    return value_build_map(&map);
}

/* Parameter of a header value such as `text/html; charset="utf-8"`; NULL when absent. */
static const char *header_parameter(struct arena *arena, const char *value, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = value == NULL ? NULL : strchr(value, ';'); at != NULL;
         at = strchr(at, ';')) {
        at++;
        at += strspn(at, " \t");
        if (strncasecmp(at, name, length) != 0 || at[length] != '=')
            continue;
        at += length + 1;
        if (*at != '"')
            return arena_strndup(arena, at, strcspn(at, "; \t"));
        char *out = arena_strdup(arena, at + 1);
        size_t used = 0;
        for (const char *from = at + 1; *from != '\0' && *from != '"'; from++) {
            if (*from == '\\' && from[1] != '\0')
                from++;
            out[used++] = *from;
        }
        out[used] = '\0';
        return out;
    }
    return NULL;
}

static void put_valid_utf8(struct buf *out, const char *bytes, size_t length)
{
    const char *end = bytes + length;
    while (bytes < end)
        buf_put_utf8(out, utf8_next(&bytes, end));
}

static void put_converted(struct buf *out, iconv_t converter, char *bytes, size_t length)
{
    while (length > 0) {
        char chunk[TEXT_CHUNK];
        char *to = chunk;
        size_t room = sizeof(chunk);
        size_t left = length;
        size_t result = iconv(converter, &bytes, &length, &to, &room);
        buf_add(out, chunk, (size_t)(to - chunk));
        if (result != (size_t)-1 || errno == E2BIG)
            continue;
        if (length == left && to == chunk) { // bytes that are not in the charset
            buf_put_utf8(out, 0xfffd);
            bytes++;
            length--;
        }
    }
}

const struct value *web_text(struct arena *arena,
                             const struct http_response *response,
                             const char *charset)
{
    const char *type = http_header_find(&response->headers, "Content-Type");
    const char *named = header_parameter(arena, type, "charset");
    if (named == NULL)
        named = str_empty(charset) ? "UTF-8" : charset;
    bool is_utf8 = str_eq_nocase(named, "utf-8") || str_eq_nocase(named, "utf8");
    if (is_utf8 && utf8_valid(response->body, response->length))
        return value_string_ref(arena, response->body, response->length);

    struct buf text = { 0 };
    iconv_t converter = is_utf8 ? (iconv_t)-1 : iconv_open("UTF-8", named);
    if (converter == (iconv_t)-1) {
        put_valid_utf8(&text, response->body, response->length);
    } else {
        char *bytes = arena_memdup(arena, response->body, response->length);
        put_converted(&text, converter, bytes, response->length);
        (void)iconv_close(converter);
    }
    const struct value *value = value_string_n(arena, buf_text(&text), text.length);
    buf_free(&text);
    return value;
}

const char *web_file_name(struct arena *arena,
                          const struct http_response *response,
                          const char *url)
{
    const char *disposition = http_header_find(&response->headers, "Content-Disposition");
    const char *name = header_parameter(arena, disposition, "filename");
    const char *extended = header_parameter(arena, disposition, "filename*");
    if (extended != NULL) { // RFC 5987: charset'language'percent-encoded
        const char *quote = strchr(extended, '\'');
        quote = quote == NULL ? NULL : strchr(quote + 1, '\'');
        if (quote != NULL)
            name = url_decode(arena, quote + 1, strlen(quote + 1), false, NULL);
    }
    if (str_empty(name)) {
        struct url parts;
        if (!url_parse(arena, url, &parts))
            return NULL;
        name = url_decode(arena, parts.path, strlen(parts.path), false, NULL);
    }
    for (const char *at = name; *at != '\0'; at++)
        if (*at == '/' || *at == '\\')
            name = at + 1;
    if (*name == '\0' || str_eq(name, ".") || str_eq(name, "..") || strlen(name) > 255)
        return NULL;
    return name;
}

/* ---- the call ---- */

static const char *pick(const char *first, const char *second)
{
    return str_empty(first) ? second : first;
}

static bool has_log(const struct web_options *options, int what)
{
    for (size_t i = 0; i < value_count(options->logs); i++)
        if (str_eq_nocase(value_cstr(value_item(options->logs, i)), log_words[what]))
            return true;
    const char *level = options->log_level;
    if (level == NULL)
        return false;
    return str_eq_nocase(level, "TRACE") ||
           (str_eq_nocase(level, "DEBUG") &&
            (what == LOG_REQUEST_HEADERS || what == LOG_RESPONSE_HEADERS)) ||
           (str_eq_nocase(level, "INFO") && what == LOG_RESPONSE_HEADERS);
}

static bool is_private_header(const char *name)
{
    static const char *const names[] = { "Authorization", "Proxy-Authorization", "Cookie",
                                         "Set-Cookie",    "PRIVATE-TOKEN",       "X-Gitlab-Token",
                                         "X-Api-Key" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq_nocase(name, names[i]))
            return true;
    return false;
}

static void log_fields(struct task_ctx *ctx, const char *what, const struct http_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++)
        if (fields->items[i].value != NULL)
            task_log(ctx, LOG_DEBUG, "%s %s: %s", what, fields->items[i].name,
                     is_private_header(fields->items[i].name) ? "***" : fields->items[i].value);
}

/* Member's value, or each of its list, as fields of one name. */
static bool add_fields(struct arena *arena,
                       struct http_fields *fields,
                       const char *name,
                       const struct value *value,
                       struct error *err)
{
    size_t count = value_is_list(value) ? value_count(value) : 1;
    for (size_t i = 0; i < count; i++) {
        const struct value *item = value_is_list(value) ? value_item(value, i) : value;
        if (value_is_null(item))
            continue;
        if (fields->count == FIELDS_MAX)
            return error_set(err, ERR_LIMIT, "more than %u fields", FIELDS_MAX);
        struct buf text = { 0 };
        value_write_print(&text, item);
        http_fields_add(arena, fields, name, buf_text(&text));
        buf_free(&text);
    }
    return true;
}

static bool add_map(struct arena *arena,
                    struct http_fields *fields,
                    const struct value *map,
                    struct error *err)
{
    for (uint32_t i = 0; value_is_map(map) && i < map->map.count; i++)
        if (!add_fields(arena, fields, map->map.members[i].key, map->map.members[i].value, err))
            return false;
    return true;
}

/* Parts of a form whose files are open in `fds`. */
struct form {
    struct http_part *parts;
    size_t count;
    VEC(int) fds;
};

static void form_close(struct form *form)
{
    for (size_t i = 0; i < form->fds.count; i++)
        (void)close(form->fds.items[i]);
    VEC_FREE(&form->fds);
}

static bool add_file_part(struct task_ctx *ctx,
                          struct form *form,
                          struct http_part *part,
                          const char *uri,
                          const char *file_name,
                          struct error *err)
{
    if (ctx == NULL)
        return error_set(err, ERR_INVALID, "files can be sent by tasks only");
    int fd = task_open_file(ctx, uri, err);
    if (fd < 0)
        return error_wrap(err, "form field '%s'", part->name);
    *VEC_PUSH(&form->fds) = fd;
    const char *slash = strrchr(uri, '/');
    part->fd = fd;
    part->file_name = file_name != NULL ? file_name : slash == NULL ? uri : slash + 1;
    return true;
}

static bool make_parts(struct task_ctx *ctx,
                       struct arena *arena,
                       const struct value *data,
                       struct form *form,
                       struct error *err)
{
    form->parts = ARENA_ARRAY(arena, value_count(data), struct http_part);
    for (uint32_t i = 0; i < data->map.count; i++) {
        const struct value_member *member = &data->map.members[i];
        struct http_part *part = &form->parts[form->count++];
        part->name = member->key;
        part->fd = -1;
        const char *text = value_cstr(member->value);
        const char *content = value_get_text(member->value, "content", NULL);
        if (task_is_file_uri(text) || (value_is_map(member->value) && task_is_file_uri(content))) {
            const char *name = value_get_text(member->value, "name", NULL);
            if (!add_file_part(ctx, form, part, content == NULL ? text : content, name, err))
                return false;
        } else {
            struct buf printed = { 0 };
            value_write_print(&printed, member->value);
            part->length = printed.length;
            part->bytes = buf_dup(&printed, arena);
            buf_free(&printed);
        }
    }
    return true;
}

static bool status_is_failure(const struct web_request *request, int status)
{
    if (status < 400 || request->allow_failed || request->options.allow_failed)
        return false;
    const struct value *allowed = request->options.allowed_codes;
    for (size_t i = 0; i < value_count(allowed); i++) {
        const struct value *code = value_item(allowed, i);
        int64_t number = code->kind == VALUE_INT ? code->integer : 0;
        if (number == 0 && value_is_string(code))
            (void)str_to_int(value_cstr(code), 100, 999, &number);
        if (number == status)
            return false;
    }
    return true;
}

static void set_proxy(const struct web_options *options, struct http_request *call)
{
    int type = options->proxy.type >= 0 ? options->proxy.type : options->proxy_type;
    const char *address = pick(options->proxy.address, options->proxy_address);
    if (address == NULL) {
        if (type == PROXY_DIRECT)
            call->proxy = HTTP_PROXY_DIRECT;
        return;
    }
    call->proxy = type == PROXY_SOCKS    ? HTTP_PROXY_SOCKS5
                  : type == PROXY_DIRECT ? HTTP_PROXY_DIRECT
                                         : HTTP_PROXY_HTTP;
    call->proxy_host = address;
    call->proxy_port =
        (unsigned)(options->proxy.port > 0 ? options->proxy.port : options->proxy_port);
    call->proxy_user = pick(options->proxy.username, options->proxy_username);
    call->proxy_password = pick(options->proxy.password, options->proxy_password);
}

static void set_auth(const struct web_request *request, struct http_request *call)
{
    const struct web_options *options = &request->options;
    const struct web_auth *auth = options->auth.type >= 0 ? &options->auth : &request->auth;
    const char *user = pick(auth->username, options->basic_user);
    const char *password = pick(auth->password, options->basic_password);
    if (auth->type == AUTH_BEARER) {
        call->auth = HTTP_AUTH_BEARER;
        call->password = auth->token == NULL ? "" : auth->token;
    } else if (auth->type == AUTH_DIGEST || auth->type == AUTH_BASIC || user != NULL) {
        call->auth = auth->type == AUTH_DIGEST ? HTTP_AUTH_DIGEST : HTTP_AUTH_BASIC;
        call->user = user == NULL ? "" : user;
        call->password = password == NULL ? "" : password;
    }
}

static usec_t first_span(usec_t first, usec_t second)
{
    return first > 0 ? first : second > 0 ? second : 0;
}

/* Start of an error body that went to a file. */
static const char *read_start(struct arena *arena,
                              const struct http_response *response,
                              const struct web_sink *sink)
{
    size_t length = response->length < ERROR_BODY_BYTES ? response->length : ERROR_BODY_BYTES;
    if (sink->to_fd) {
        char *bytes = arena_bytes_alloc(arena, length + 1);
        ssize_t got = pread(sink->fd, bytes, length, 0);
        bytes[got > 0 ? got : 0] = '\0';
        return bytes;
    }
    return arena_strndup(arena, response->body, length);
}

static bool fail_status(struct arena *arena,
                        const struct http_request *call,
                        const struct http_response *response,
                        const struct web_sink *sink,
                        struct error *err)
{
    struct buf body = { 0 };
    const char *start = read_start(arena, response, sink);
    put_valid_utf8(&body, start, strlen(start));
    const char *reason = web_status_text(response->status);
    if (response->length > strlen(start))
        buf_puts(&body, REDACT_CUT);
    error_set(err, ERR_INVALID, "%s %s returned %d%s%s%s%s", call->method,
              url_shown(arena, call->url), response->status, *reason == '\0' ? "" : " ", reason,
              body.length == 0 ? "" : ": ", buf_text(&body));
    buf_free(&body);
    return false;
}

/* What a URL may not hold as it is, spaces and letters beyond ASCII, escaped after the host. */
static const char *escape_url(struct arena *arena, const char *url)
{
    static const char hex[] = "0123456789ABCDEF";
    const char *start = strstr(url, "://");
    start = start == NULL ? url : start + 3;
    start += strcspn(start, "/?#");
    struct buf out = { 0 };
    buf_add(&out, url, (size_t)(start - url));
    for (const char *at = start; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        if (c > ' ' && c < 0x7f) {
            buf_putc(&out, *at);
            continue;
        }
        buf_putc(&out, '%');
        buf_putc(&out, hex[c >> 4]);
        buf_putc(&out, hex[c & 15]);
    }
    const char *escaped = buf_dup(&out, arena);
    buf_free(&out);
    return escaped;
}

/* The end of a long body is left out, and says so: it may be inside a secret. */
static void log_body(struct task_ctx *ctx, const char *body, size_t length)
{
    struct buf text = { 0 };
    buf_add(&text, body, length < LOG_BODY_BYTES ? length : LOG_BODY_BYTES);
    if (length > LOG_BODY_BYTES)
        buf_puts(&text, REDACT_CUT);
    task_log_text(ctx, LOG_DEBUG, buf_text(&text), text.length);
    buf_free(&text);
}

bool web_call(struct task_ctx *ctx,
              struct arena *arena,
              const struct web_request *request,
              const struct web_sink *sink,
              struct http_response *response,
              struct error *err)
{
    static const struct web_sink to_memory = { 0 };
    if (sink == NULL)
        sink = &to_memory;
    const struct web_options *options = &request->options;
    struct http_fields query = { 0 };
    struct http_fields headers = { 0 };
    struct http_fields fields = { 0 };
    struct form form = { 0 };
    struct buf encoded = { 0 };
    if (!add_map(arena, &query, request->params, err) ||
        !add_map(arena, &headers, request->headers, err))
        return false;

    struct http_request call = {
        .method = str_empty(request->method) ? "GET" : request->method,
        .url = escape_url(arena, str_trim(arena, request->uri)),
        .query = query.count > 0 ? &query : NULL,
        .headers = &headers,
        .insecure = options->ssl.insecure || request->ssl_options.insecure,
        .no_redirects = !options->follow_redirects,
        .connect_timeout = first_span(options->timeout.connect_timeout, options->connect_timeout),
        .idle_timeout = first_span(options->read_timeout, options->timeout.read_idle_timeout),
        .body_max = sink->body_max > 0 ? sink->body_max : WEB_BODY_MAX,
        .sink = sink->fn,
        .context = sink->context,
        .to_fd = sink->to_fd,
        .sink_fd = sink->fd,
        .cancel = ctx == NULL ? NULL : task_cancel_flag(ctx),
    };
    set_proxy(options, &call);
    set_auth(request, &call);
    if (call.insecure && ctx != NULL)
        task_log(ctx, LOG_WARN, "Certificates are not verified for this call");

    bool ok = true;
    const char *type = request->content_type;
    bool is_multipart = type != NULL && str_starts(type, "multipart/form-data");
    if (value_is_map(request->form_data) && is_multipart) {
        ok = make_parts(ctx, arena, request->form_data, &form, err);
        call.parts = form.parts;
        call.parts_count = form.count;
        type = NULL; // the boundary is the client's to choose
    } else if (value_is_map(request->form_data)) {
        ok = add_map(arena, &fields, request->form_data, err);
        url_format_query(&encoded, &fields);
        call.body = buf_text(&encoded);
        call.body_length = encoded.length;
        if (type == NULL)
            type = "application/x-www-form-urlencoded";
    } else if (request->body != NULL) {
        call.body = request->body;
        call.body_length = strlen(request->body);
        if (type == NULL)
            type = "application/json";
    } else {
        type = NULL;
    }
    if (type != NULL && http_header_find(&headers, "Content-Type") == NULL)
        http_fields_add(arena, &headers, "Content-Type", type);

    if (ok && ctx != NULL && has_log(options, LOG_REQUEST_HEADERS))
        log_fields(ctx, ">", &headers);
    if (ok && ctx != NULL && has_log(options, LOG_REQUEST_BODY) && call.body != NULL)
        log_body(ctx, call.body, call.body_length);
    ok = ok && http_call(arena, &call, response, NULL, err);
    if (ok && ctx != NULL && has_log(options, LOG_RESPONSE_HEADERS))
        log_fields(ctx, "<", &response->headers);
    if (ok && ctx != NULL && has_log(options, LOG_RESPONSE_BODY) && sink->fn == NULL)
        log_body(ctx, response->body, response->length);
    if (ok && status_is_failure(request, response->status))
        ok = fail_status(arena, &call, response, sink, err);
    form_close(&form);
    buf_free(&encoded);
    return ok;
}
