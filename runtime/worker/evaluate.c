/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker/evaluate.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/redact.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/json.h"
#include "core/value.h"
#include "core/yaml.h"
#include "runtime/storage/storage.h"
#include "runtime/worker/kv.h"
#include "runtime/worker/places.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"
#include "runtime/worker/web.h"

#define SUBFLOW_TIMEOUT     USEC_MIN
#define SUBFLOW_TIMEOUT_MAX (5 * USEC_MIN)
#define SUBFLOW_DEPTH_MAX   3U
#define ERROR_LOGS_MAX      1000
#define STARS               "******"

/* One call under way. */
struct call {
    const struct evaluate *evaluate;
    struct arena *arena;
    const char *function;
    const struct value *arguments;
    struct error *err;
};

typedef const struct value *call_fn(const struct call *call);

/* ---- arguments ---- */

static const struct value *argument(const struct call *call, const char *name)
{
    const struct value *value = value_get(call->arguments, name);
    return value_is_null(value) ? NULL : value;
}

/* Text of an argument; NULL when it is absent, or with err filled when it is no text. */
static bool text_argument(const struct call *call, const char *name, const char **out)
{
    const struct value *value = argument(call, name);
    *out = value_cstr(value);
    if (value == NULL || *out != NULL)
        return true;
    return error_set(call->err, ERR_INVALID, "the '%s' function expects a string as '%s', not %s",
                     call->function, name, value_kind_name(value));
}

static bool needed_argument(const struct call *call, const char *name, const char **out)
{
    return text_argument(call, name, out) &&
           (*out != NULL ||
            error_set(call->err, ERR_INVALID, "the '%s' function expects an argument '%s'",
                      call->function, name));
}

static bool bool_argument(const struct call *call, const char *name, bool fallback)
{
    return value_get_bool(call->arguments, name, fallback);
}

static const struct value *context_member(const struct call *call, const char *dotted)
{
    const struct value *at = call->evaluate->context;
    while (at != NULL && *dotted != '\0') {
        size_t length = strcspn(dotted, ".");
        at = value_get_in(call->arena, at, dotted, length);
        dotted += length + (dotted[length] == '.');
    }
    return at;
}

static const char *context_text(const struct call *call, const char *dotted)
{
    return value_cstr(context_member(call, dotted));
}

static bool own_namespace(const struct call *call, const char **out)
{
    *out = context_text(call, "flow.namespace");
    return *out != NULL || error_set(call->err, ERR_INVALID,
                                     "the '%s' function needs a flow around it", call->function);
}

/* The argument `namespace`, else that of the flow. */
static bool chosen_namespace(const struct call *call, const char **out)
{
    if (!text_argument(call, "namespace", out))
        return false;
    return !str_empty(*out) || own_namespace(call, out);
}

/* ---- secrets and keys ---- */

static const struct value *call_secret(const struct call *call)
{
    const struct services *services = call->evaluate->services;
    const char *key = NULL;
    const char *subkey = NULL;
    const char *namespace = NULL;
    if (!needed_argument(call, "key", &key) || !text_argument(call, "subkey", &subkey))
        return NULL;
    if (call->evaluate->is_preview)
        return value_string(call->arena, STARS);
    if (!chosen_namespace(call, &namespace))
        return NULL;
    bool full = bool_argument(call, "full", false);
    if (full && subkey != NULL) {
        error_set(call->err, ERR_INVALID, "'subkey' and 'full' cannot be given together");
        return NULL;
    }
    const char *secret = services->secret(services->data, call->arena, namespace, key, call->err);
    if (secret == NULL)
        return NULL;
    if (call->evaluate->redact != NULL)
        (void)redact_add(call->evaluate->redact, secret); // a full set masks what it can
    if (full) {
        struct value_builder map = value_build(call->arena);
        value_put_text(&map, "value", secret);
        return value_build_map(&map);
    }
    if (subkey == NULL)
        return value_string(call->arena, secret);

    const struct value *parsed = json_parse(call->arena, secret, strlen(secret), NULL);
    if (!value_is_map(parsed)) {
        error_set(call->err, ERR_INVALID, "secret '%s' is not a JSON object", key);
        return NULL;
    }
    const struct value *member = value_get(parsed, subkey);
    if (value_is_null(member)) {
        error_set(call->err, ERR_INVALID, "Cannot find secret sub-key '%s' in '%s'.", subkey, key);
        return NULL;
    }
    struct buf text = { 0 };
    value_write_print(&text, member);
    const struct value *value = value_string_n(call->arena, buf_text(&text), text.length);
    if (call->evaluate->redact != NULL)
        (void)redact_add(call->evaluate->redact, buf_text(&text));
    buf_free(&text);
    return value;
}

static const struct value *call_kv(const struct call *call)
{
    const char *key = NULL;
    const char *given = NULL;
    const char *own = NULL;
    struct kv_entry entry;
    struct error failure = { 0 };
    if (!needed_argument(call, "key", &key) || !text_argument(call, "namespace", &given) ||
        (str_empty(given) && !own_namespace(call, &own)))
        return NULL;
    // A namespace that is named is searched alone, even the flow's own.
    const char *flow_namespace = str_empty(given) ? own : "";
    if (kv_find(call->evaluate->services, call->arena, flow_namespace, given, key, &entry,
                &failure))
        return entry.value;
    if (failure.code == ERR_NOT_FOUND) {
        if (!bool_argument(call, "errorOnMissing", true))
            return &value_null;
        error_set(&failure, ERR_NOT_FOUND, "The key '%s' does not exist in the namespace '%s'.",
                  key, str_empty(given) ? own : given);
    }
    if (call->err != NULL)
        *call->err = failure;
    return NULL;
}

/* ---- files ---- */

/* Is the path inside <namespace>/<flow>/executions/<id>/? */
static bool is_execution_file(const char *path)
{
    const char *at = strstr(path, "/executions/");
    if (at == NULL || at == path || memchr(path, '/', (size_t)(at - path)) == NULL)
        return false;
    at += strlen("/executions/");
    const char *slash = strchr(at, '/');
    return slash != NULL && slash > at && slash[1] != '\0';
}

/*
 * What a storage URI may name: files of executions (namespaces are open to one another), and the
 * namespace files of the flow's own namespace.
 */
static bool check_place(const struct call *call, const struct place *place, const char *uri)
{
    const char *own = NULL;
    switch (place->kind) {
    case PLACE_STORAGE:
        if (is_execution_file(place->path))
            return true;
        break;
    case PLACE_NAMESPACE:
        if (!place->is_storage_uri)
            return true;
        if (!own_namespace(call, &own))
            return false;
        if (str_eq(place->namespace, own))
            return true;
        break;
    case PLACE_LOCAL:
        return true;
    }
    return error_set(call->err, ERR_INVALID, "'%s' may not be read from here", uri);
}

/* The argument `path` as a place; relative and rooted paths are namespace files. */
static bool path_argument(const struct call *call, struct place *place, const char **path)
{
    const char *namespace = NULL;
    const char *given = NULL;
    if (!needed_argument(call, "path", path) || !text_argument(call, "namespace", &given))
        return false;
    if (**path == '\0')
        return error_set(call->err, ERR_INVALID, "the path is empty");
    if (strstr(*path, "../") != NULL)
        return error_set(call->err, ERR_INVALID, "'%s' holds '../'", *path);
    if (task_is_file_uri(*path)) {
        if (str_starts(*path, "nsfile://") && !str_starts(*path, "nsfile:///") && !str_empty(given))
            return error_set(call->err, ERR_INVALID, "'%s' names a namespace itself", *path);
        if (!chosen_namespace(call, &namespace) ||
            !place_find(call->arena, namespace, *path, place, call->err))
            return false;
        return check_place(call, place, *path);
    }
    const char *colon = strstr(*path, "://");
    if (colon != NULL && strcspn(*path, "/") > (size_t)(colon - *path))
        return error_set(call->err, ERR_INVALID, "'%s' has a scheme that cannot be read", *path);
    if (!chosen_namespace(call, &namespace))
        return false;
    const char *relative = *path;
    while (*relative == '/')
        relative++;
    *place = (struct place){ .kind = PLACE_NAMESPACE, .namespace = namespace, .path = relative };
    return true;
}

static bool version_argument(const struct call *call, int64_t *out)
{
    const struct value *value = argument(call, "version");
    *out = 0;
    if (value == NULL)
        return true;
    if (value->kind == VALUE_INT)
        *out = value->integer;
    else if (value_cstr(value) == NULL || !str_to_int(value_cstr(value), 1, INT64_MAX, out))
        return error_set(call->err, ERR_INVALID, "'version' must be a number");
    return true;
}

static const struct value *call_read(const struct call *call)
{
    struct place place;
    const char *path = NULL;
    size_t length = 0;
    if (!path_argument(call, &place, &path) || !version_argument(call, &place.revision))
        return NULL;
    AUTO_FD int fd = place_open(call->evaluate->services, call->arena, &place, call->err);
    const char *bytes =
        fd < 0 ? NULL : fs_read_fd(call->arena, fd, path, EVALUATE_READ_MAX, &length, call->err);
    return bytes == NULL ? NULL : value_string_ref(call->arena, bytes, length);
}

static const struct value *call_file_exists(const struct call *call)
{
    struct place place;
    const char *path = NULL;
    struct error failure = { 0 };
    if (!path_argument(call, &place, &path))
        return NULL;
    AUTO_FD int fd = place_open(call->evaluate->services, call->arena, &place, &failure);
    if (fd >= 0)
        return &value_true;
    if (failure.code == ERR_NOT_FOUND)
        return &value_false;
    if (call->err != NULL)
        *call->err = failure;
    return NULL;
}

static bool file_size(const struct call *call, int64_t *out)
{
    struct place place;
    const char *path = NULL;
    struct stat info;
    if (!path_argument(call, &place, &path))
        return false;
    AUTO_FD int fd = place_open(call->evaluate->services, call->arena, &place, call->err);
    if (fd < 0)
        return false;
    if (fstat(fd, &info) != 0)
        return fs_error(call->err, errno, "read", path);
    *out = info.st_size;
    return true;
}

static const struct value *call_file_size(const struct call *call)
{
    int64_t size = 0;
    return file_size(call, &size) ? value_int(call->arena, size) : NULL;
}

static const struct value *call_is_file_empty(const struct call *call)
{
    int64_t size = 0;
    return file_size(call, &size) ? value_bool(size == 0) : NULL;
}

static const struct value *call_file_uri(const struct call *call)
{
    struct place place;
    const char *path = NULL;
    if (!path_argument(call, &place, &path))
        return NULL;
    if (str_starts(path, "kestra:") || str_starts(path, "file:"))
        return value_string(call->arena, path);
    return value_string(
        call->arena, storage_path_uri(call->arena, storage_namespace_path(
                                                       call->arena, place.namespace, place.path)));
}

/* ---- the rest ---- */

static const struct value *call_error_logs(const struct call *call)
{
    const struct services *services = call->evaluate->services;
    const char *execution = context_text(call, "execution.id");
    if (!call->evaluate->is_task || execution == NULL) {
        error_set(call->err, ERR_INVALID, "the 'errorLogs' function works in tasks only");
        return NULL;
    }
    struct value_builder arguments = value_build(call->arena);
    value_put_text(&arguments, "executionId", execution);
    value_put_text(&arguments, "level", "ERROR");
    value_put_int(&arguments, "offset", 0);
    value_put_int(&arguments, "limit", ERROR_LOGS_MAX);
    const struct value *answer = services->operate(services->data, call->arena, "log.fetch",
                                                   value_build_map(&arguments), call->err);
    if (answer == NULL)
        return NULL;
    const struct value *entries = value_get(answer, "entries");
    return entries == NULL ? &value_empty_list : entries;
}

static const struct value *body_text(const struct call *call, const char *type)
{
    const struct value *body = argument(call, "body");
    if (body == NULL)
        return NULL;
    struct buf text = { 0 };
    if (strstr(type, "yaml") != NULL)
        yaml_write(&text, body, YAML_EXACT);
    else if (strstr(type, "json") != NULL)
        value_write_json_full(&text, body);
    else
        value_write_print(&text, body);
    const struct value *value = value_string_n(call->arena, buf_text(&text), text.length);
    buf_free(&text);
    return value;
}

/* Headers without Content-Type, which is an argument of its own, and with Accept. */
static const struct value *http_headers(const struct call *call, const char *accept)
{
    const struct value *given = argument(call, "headers");
    struct value_builder map = value_build(call->arena);
    value_put_text(&map, "Accept", accept);
    for (uint32_t i = 0; value_is_map(given) && i < given->map.count; i++)
        if (!str_eq_nocase(given->map.members[i].key, "Content-Type"))
            value_put(&map, given->map.members[i].key, given->map.members[i].value);
    return value_build_map(&map);
}

static const struct value *call_http(const struct call *call)
{
    const char *uri = NULL;
    const char *method = NULL;
    const char *type = NULL;
    const char *accept = NULL;
    if (!needed_argument(call, "uri", &uri) || !text_argument(call, "method", &method) ||
        !text_argument(call, "contentType", &type) || !text_argument(call, "accept", &accept))
        return NULL;
    if (call->evaluate->is_preview) {
        error_set(call->err, ERR_INVALID, "the 'http' function is not called in a preview");
        return NULL;
    }
    struct web_request request = {
        .uri = uri,
        .method = method,
        .params = argument(call, "query"),
        .content_type = type == NULL ? "application/json" : type,
        .headers = http_headers(call, accept == NULL ? "application/json" : accept),
        .auth = { .type = -1 },
    };
    request.body = value_cstr(body_text(call, request.content_type));
    const struct value *options = argument(call, "options");
    if (!prop_bind(web_options_props, options == NULL ? &value_empty_map : options,
                   &request.options, call->arena, call->err))
        return NULL;
    struct http_response response;
    if (!web_call(NULL, call->arena, &request, NULL, &response, call->err))
        return NULL;
    if ((response.status < 200 || response.status >= 300) && !request.options.allow_failed &&
        response.status < 400) {
        error_set(call->err, ERR_INVALID, "%s %s returned %d", method == NULL ? "GET" : method,
                  url_shown(call->arena, uri), response.status);
        return NULL;
    }
    const struct value *text = web_text(call->arena, &response, request.options.default_charset);
    const char *answered = http_header_find(&response.headers, "Content-Type");
    const char *bytes = text->string.bytes;
    size_t length = text->string.length;
    return answered != NULL && strstr(answered, "application/yaml") != NULL
               ? yaml_parse_first(call->arena, bytes, length, NULL, call->err)
               : json_parse(call->arena, bytes, length, call->err);
}

static bool subflow_timeout(const struct call *call, usec_t *out)
{
    const struct value *value = argument(call, "timeout");
    double seconds = 0;
    *out = SUBFLOW_TIMEOUT;
    if (value == NULL)
        return true;
    if (value->kind == VALUE_DURATION)
        *out = value->time->at;
    else if (value_to_double(value, &seconds))
        *out = (usec_t)(seconds * (double)USEC_SEC);
    else if (value_cstr(value) == NULL || !duration_parse(value_cstr(value), out, NULL, call->err))
        return false;
    return *out <= SUBFLOW_TIMEOUT_MAX ||
           error_set(call->err, ERR_INVALID, "'timeout' is at most PT5M");
}

static const struct value *call_subflow(const struct call *call)
{
    const struct services *services = call->evaluate->services;
    const char *namespace = NULL;
    const char *id = NULL;
    usec_t timeout = 0;
    if (!needed_argument(call, "namespace", &namespace) || !needed_argument(call, "id", &id) ||
        !subflow_timeout(call, &timeout))
        return NULL;
    if (call->evaluate->is_task || call->evaluate->is_preview ||
        context_member(call, "taskrun") != NULL || context_member(call, "trigger") != NULL) {
        error_set(call->err, ERR_INVALID,
                  "the 'subflow' function works while inputs are resolved only");
        return NULL;
    }
    if (call->evaluate->depth >= SUBFLOW_DEPTH_MAX) {
        error_set(call->err, ERR_INVALID, "'subflow' calls are nested deeper than %u",
                  SUBFLOW_DEPTH_MAX);
        return NULL;
    }
    struct value_builder arguments = value_build(call->arena);
    value_put_text(&arguments, "namespace", namespace);
    value_put_text(&arguments, "flowId", id);
    static const char *const passed[] = { "inputs", "revision", "labels" };
    for (size_t i = 0; i < COUNT_OF(passed); i++)
        if (argument(call, passed[i]) != NULL)
            value_put(&arguments, passed[i], argument(call, passed[i]));
    value_put(&arguments, "timeout", value_double(call->arena, (double)timeout / (double)USEC_SEC));
    value_put_int(&arguments, "depth", (int64_t)call->evaluate->depth + 1);
    const struct value *answer = services->operate(services->data, call->arena, "subflow.run",
                                                   value_build_map(&arguments), call->err);
    if (answer == NULL)
        return NULL;
    const char *state = value_get_text(answer, "state", "");
    if (!str_eq(state, "SUCCESS") && !str_eq(state, "WARNING")) {
        error_set(call->err, ERR_INVALID, "flow '%s.%s' ended %s", namespace, id, state);
        return NULL;
    }
    return answer;
}

static const struct value *call_env(const struct call *call)
{
    const char *name = NULL;
    if (!needed_argument(call, "name", &name))
        return NULL;
    const struct value *envs = context_member(call, "envs");
    const struct value *value =
        envs == NULL ? NULL : value_get_in(call->arena, envs, name, strlen(name));
    bool is_empty = value_is_null(value) || str_eq(value_cstr(value), "");
    if (!is_empty)
        return value;
    const struct value *fallback = argument(call, "default");
    return fallback != NULL ? fallback : value != NULL ? value : &value_null;
}

/* A port that is free now; it may be taken before it is used. */
static const struct value *call_random_port(const struct call *call)
{
    AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof(address);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        (void)fs_error(call->err, errno, "open", "a port");
        return NULL;
    }
    return value_int(call->arena, ntohs(address.sin_port));
}

/* No function of the language: the engine has the log of a task stored as a file (logToFile). */
static const struct value *call_log_file(const struct call *call)
{
    const struct services *services = call->evaluate->services;
    const char *name = NULL;
    if (!needed_argument(call, "name", &name))
        return NULL;
    if (services->storage == NULL || !fs_path_is_beneath(name)) {
        error_set(call->err, ERR_INVALID, "'%s' cannot be stored", name);
        return NULL;
    }
    const char *path =
        storage_run_path(call->arena, context_text(call, "flow.namespace"),
                         context_text(call, "flow.id"), context_text(call, "execution.id"),
                         context_text(call, "task.id"), context_text(call, "taskrun.id"), name);
    struct buf text = { 0 };
    const struct value *lines = argument(call, "lines");
    for (size_t i = 0; i < value_count(lines); i++) {
        const struct value *line = value_item(lines, i);
        const char *level = value_cstr(value_item(line, 0));
        const char *message = value_cstr(value_item(line, 1));
        if (level == NULL || message == NULL)
            continue;
        time_write_instant(&text, clock_now(), 0);
        buf_printf(&text, " %s ", level);
        if (call->evaluate->redact == NULL ||
            !redact_apply(call->evaluate->redact, message, strlen(message), &text))
            buf_puts(&text, message);
        buf_putc(&text, '\n');
    }
    struct storage *storage = services->storage;
    bool ok = storage_path_check(path, call->err) &&
              storage->ops->put_bytes(storage, path, buf_text(&text), text.length, 0, call->err);
    buf_free(&text);
    return ok ? value_string(call->arena, storage_path_uri(call->arena, path)) : NULL;
}

static const struct {
    const char *name;
    call_fn *fn;
} functions[] = {
    { "secret", call_secret },
    { "kv", call_kv },
    { "read", call_read },
    { "fileExists", call_file_exists },
    { "fileSize", call_file_size },
    { "isFileEmpty", call_is_file_empty },
    { "fileURI", call_file_uri },
    { "errorLogs", call_error_logs },
    { "http", call_http },
    { "subflow", call_subflow },
    { "env", call_env },
    { "randomPort", call_random_port },
    { "logFile", call_log_file },
};

const struct value *evaluate_call(const struct evaluate *evaluate,
                                  struct arena *arena,
                                  const char *function,
                                  const struct value *arguments,
                                  struct error *err)
{
    struct call call = { .evaluate = evaluate,
                         .arena = arena,
                         .function = function,
                         .arguments = arguments,
                         .err = err };
    for (size_t i = 0; i < COUNT_OF(functions); i++)
        if (str_eq(functions[i].name, function))
            return functions[i].fn(&call);
    error_set(err, ERR_INVALID, "the '%s' function is not available here", function);
    return NULL;
}

/* ---- hosts ---- */

static const struct value *host_call(void *data,
                                     struct arena *arena,
                                     const char *function,
                                     const struct value *arguments,
                                     struct error *err)
{
    // "Not yet" has a meaning of its own for a host: what cannot be reached now is a failure here.
    struct error failure = { 0 };
    const struct value *value = evaluate_call(data, arena, function, arguments, &failure);
    if (value == NULL) {
        if (failure.code == ERR_UNAVAILABLE)
            failure.code = ERR_INTERNAL;
        if (err != NULL)
            *err = failure;
    }
    return value;
}

struct expr_host evaluate_host(struct evaluate *evaluate)
{
    return (struct expr_host){ .call = host_call, .data = evaluate };
}

/* ---- rows as variables ---- */

static const struct value *line_get(const void *data,
                                    struct arena *arena,
                                    const char *key,
                                    size_t length)
{
    const struct evaluate_line *line = data;
    const struct value *row = line->row;
    if (value_is_map(row)) {
        const struct value *field = value_get_n(row, key, length);
        if (field != NULL)
            return field;
    } else if (length == strlen("value") && memcmp(key, "value", length) == 0) {
        return row;
    }
    return line->evaluate.context == NULL
               ? NULL
               : value_get_in(arena, line->evaluate.context, key, length);
}

static const struct value *line_force(const void *data, struct arena *arena)
{
    const struct evaluate_line *line = data;
    const struct value *context = line->evaluate.context == NULL
                                      ? &value_empty_map
                                      : value_force(arena, line->evaluate.context);
    if (!value_is_map(line->row))
        return value_with(arena, context, "value", line->row);
    struct value_builder map = value_build(arena);
    for (uint32_t i = 0; i < context->map.count; i++)
        value_put_n(&map, context->map.members[i].key, context->map.members[i].key_length,
                    context->map.members[i].value);
    for (uint32_t i = 0; i < line->row->map.count; i++)
        value_put_n(&map, line->row->map.members[i].key, line->row->map.members[i].key_length,
                    line->row->map.members[i].value);
    return value_build_map(&map);
}

static const struct value_lazy_ops line_ops = { .get = line_get, .force = line_force };

void evaluate_line_init(struct evaluate_line *line, struct task_ctx *ctx, struct expr_cache *cache)
{
    *line = (struct evaluate_line){ .row = &value_empty_map };
    line->evaluate = (struct evaluate){ .services = ctx->services,
                                        .context = ctx->context,
                                        .redact = ctx->redact,
                                        .cancel = task_cancel_flag(ctx),
                                        .is_task = true };
    line->host = evaluate_host(&line->evaluate);
    line->context =
        (struct value){ .kind = VALUE_LAZY, .lazy = { .ops = &line_ops, .data = line } };
    line->env = (struct expr_env){ .context = &line->context,
                                   .host = &line->host,
                                   .cache = cache,
                                   .now = clock_now(),
                                   .seed = rng_seed() };
}

void evaluate_line_set(struct evaluate_line *line, const struct value *row)
{
    line->row = row;
    line->env.seed++;
}
