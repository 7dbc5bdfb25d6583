/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/runners/docker_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/http.h"
#include "base/str.h"
#include "core/json.h"
#include "core/value.h"

/* Versions of the API that say the same about everything used here. */
#define API_OLD 41
#define API_NEW 44 /* the oldest that engines of 2025 and later take */

/* Answers in memory: lists of containers with their labels. */
#define ANSWER_BYTES_MAX ((size_t)16 * 1024 * 1024)
/* One line of the progress of a pull. */
#define PROGRESS_BYTES_MAX 65536U
#define READ_BYTES         65536U
#define FRAME_HEADER_BYTES 8U

/* ---- calls ---- */

static void prepare(const struct docker_engine *engine,
                    struct http_request *request,
                    const char *method,
                    const char *url)
{
    *request = (struct http_request){
        .method = method,
        .url = url,
        .unix_socket = engine->socket,
        .proxy = HTTP_PROXY_DIRECT,
        .no_redirects = true,
        .total_timeout = engine->timeout,
        .body_max = ANSWER_BYTES_MAX,
        .cancel = engine->cancel,
    };
}

static const char *url_of(const struct docker_engine *engine, const char *path)
{
    return arena_printf(engine->arena, "%s%s", engine->url, path);
}

/* The engine's own words for what is wrong. */
static bool status_error(
    struct docker_engine *engine, int status, const char *body, size_t length, struct error *err)
{
    enum error_code code = status == 404                    ? ERR_NOT_FOUND
                           : status == 409                  ? ERR_CONFLICT
                           : status == 401 || status == 403 ? ERR_DENIED
                           : status >= 500                  ? ERR_UNAVAILABLE
                                                            : ERR_INVALID;
    const struct value *answer = json_parse(engine->arena, body, length, NULL);
    const char *message = value_get_text(answer, "message", NULL);
    if (message == NULL)
        message = value_get_text(answer, "cause", NULL);
    if (message != NULL)
        return error_set(err, code, "%s", message);
    return error_set(err, code, "Docker answered %d", status);
}

static bool is_good(int status)
{
    return (status >= 200 && status < 300) || status == 304;
}

static bool send_request(struct docker_engine *engine,
                         const struct http_request *request,
                         struct http_response *response,
                         struct error *err)
{
    if (!http_call(engine->arena, request, response, NULL, err))
        return error_wrap(err, "Docker at %s", engine->shown);
    return is_good(response->status) ||
           status_error(engine, response->status, response->body, response->length, err);
}

static const struct value *call(struct docker_engine *engine,
                                const char *method,
                                const char *path,
                                const struct http_fields *query,
                                const struct value *body,
                                usec_t idle_timeout,
                                struct error *err)
{
    struct http_request request;
    struct http_response response;
    struct http_fields headers = { 0 };
    prepare(engine, &request, method, url_of(engine, path));
    request.query = query;
    request.idle_timeout = idle_timeout;
    if (body != NULL) {
        http_fields_add(engine->arena, &headers, "Content-Type", "application/json");
        request.headers = &headers;
        request.body = value_to_json(engine->arena, body);
        request.body_length = strlen(request.body);
    }
    if (!send_request(engine, &request, &response, err))
        return NULL;
    if (response.length == 0)
        return &value_null;
    const struct value *answer = json_parse(engine->arena, response.body, response.length, err);
    if (answer == NULL)
        error_wrap(err, "the answer of Docker");
    return answer;
}

const struct value *docker_call(struct docker_engine *engine,
                                const char *method,
                                const char *path,
                                const struct http_fields *query,
                                const struct value *body,
                                struct error *err)
{
    return call(engine, method, path, query, body, 0, err);
}

/* ---- finding the engine ---- */

static const char *variable(const char *const *env, const char *name)
{
    size_t length = strlen(name);
    for (; *env != NULL; env++)
        if (strncmp(*env, name, length) == 0 && (*env)[length] == '=')
            return (*env)[length + 1] == '\0' ? NULL : *env + length + 1;
    return NULL;
}

static const char *default_host(struct arena *arena, const char *const *env)
{
    const char *given = variable(env, "DOCKER_HOST");
    if (given != NULL)
        return given;
    const char *runtime = variable(env, "XDG_RUNTIME_DIR");
    const char *const sockets[] = {
        "/var/run/docker.sock",
        "/dind/docker.sock",
        runtime == NULL ? "" : arena_printf(arena, "%s/podman/podman.sock", runtime),
        "/run/podman/podman.sock",
    };
    for (size_t i = 0; i < COUNT_OF(sockets); i++) {
        struct stat info;
        if (stat(sockets[i], &info) == 0 && S_ISSOCK(info.st_mode))
            return arena_printf(arena, "unix://%s", sockets[i]);
    }
    return arena_printf(arena, "unix://%s", sockets[0]);
}

static bool take_host(struct docker_engine *engine, const char *host, struct error *err)
{
    engine->shown = host;
    if (str_starts(host, "unix:///")) {
        engine->socket = host + strlen("unix://");
        engine->url = "http://docker";
        return true;
    }
    if (str_starts(host, "tcp://")) {
        engine->url = arena_printf(engine->arena, "http://%s", host + strlen("tcp://"));
        return true;
    }
    if (str_starts(host, "http://") || str_starts(host, "https://")) {
        engine->url = host;
        engine->shown = url_origin(engine->arena, host);
        return true;
    }
    return error_set(err, ERR_INVALID, "'host' must begin with unix:/// or tcp://, not '%s'", host);
}

bool docker_connect(struct docker_engine *engine,
                    const char *host,
                    const char *const *env,
                    struct error *err)
{
    struct http_request request;
    struct http_response response;
    enum http_reach reach = HTTP_AMBIGUOUS;
    if (str_empty(host))
        host = default_host(engine->arena, env);
    if (!take_host(engine, host, err))
        return false;
    prepare(engine, &request, "GET", url_of(engine, "/_ping"));
    if (!http_call(engine->arena, &request, &response, &reach, err)) {
        if (reach != HTTP_NOT_SENT)
            return error_wrap(err, "Docker at %s", engine->shown);
        return error_set(err, ERR_UNAVAILABLE,
                         "Docker is not reachable at %s: mount the socket into the worker, set "
                         "'host', or use the Process runner",
                         engine->shown);
    }
    if (!is_good(response.status))
        return status_error(engine, response.status, response.body, response.length, err);
    const char *version = http_header_find(&response.headers, "Api-Version");
    int64_t minor = API_OLD;
    if (version != NULL && str_starts(version, "1."))
        (void)str_to_int(version + 2, 0, INT32_MAX, &minor);
    minor = minor >= API_NEW ? API_NEW : minor > API_OLD ? API_OLD : minor;
    engine->is_podman = http_header_find(&response.headers, "Libpod-API-Version") != NULL;
    engine->url = arena_printf(engine->arena, "%s/v1.%d", engine->url, (int)minor);
    return true;
}

/* ---- files ---- */

static ptrdiff_t read_file(void *context, void *bytes, size_t max, struct error *err)
{
    int fd = *(const int *)context;
    for (;;) {
        ssize_t got = read(fd, bytes, max);
        if (got >= 0)
            return got;
        if (errno != EINTR) {
            fs_error(err, errno, "read", "the archive for the container");
            return -1;
        }
    }
}

bool docker_put_files(struct docker_engine *engine, const char *id, int fd, struct error *err)
{
    struct http_request request;
    struct http_response response;
    struct http_fields headers = { 0 };
    struct http_fields query = { 0 };
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return fs_error(err, errno, "read", "the archive for the container");
    http_fields_add(engine->arena, &headers, "Content-Type", "application/x-tar");
    http_fields_add(engine->arena, &query, "path", "/");
    prepare(engine, &request, "PUT",
            url_of(engine, arena_printf(engine->arena, "/containers/%s/archive", id)));
    request.headers = &headers;
    request.query = &query;
    request.source = read_file;
    request.source_context = &fd;
    request.source_length = end;
    return send_request(engine, &request, &response, err);
}

/* Where bytes of an answer go: a file when the call went well, else memory. */
struct fetch {
    int fd;
    bool is_good;
    struct buf body;
};

static bool on_head(void *context, const struct http_response *response, struct error *err)
{
    struct fetch *fetch = context;
    (void)err;
    fetch->is_good = is_good(response->status);
    return true;
}

static bool on_file(void *context, const void *bytes, size_t length, struct error *err)
{
    struct fetch *fetch = context;
    if (fetch->is_good)
        return fs_write_fd(fetch->fd, bytes, length, "the archive of the container", err);
    if (fetch->body.length + length <= PROGRESS_BYTES_MAX)
        buf_add(&fetch->body, bytes, length);
    return true;
}

bool docker_get_files(
    struct docker_engine *engine, const char *id, const char *path, int fd, struct error *err)
{
    struct fetch fetch = { .fd = fd };
    struct http_request request;
    struct http_response response;
    struct http_fields query = { 0 };
    http_fields_add(engine->arena, &query, "path", path);
    prepare(engine, &request, "GET",
            url_of(engine, arena_printf(engine->arena, "/containers/%s/archive", id)));
    request.query = &query;
    request.head = on_head;
    request.sink = on_file;
    request.context = &fetch;
    bool ok = http_call(engine->arena, &request, &response, NULL, err);
    if (!ok)
        error_wrap(err, "Docker at %s", engine->shown);
    else if (!fetch.is_good)
        ok = status_error(engine, response.status, buf_text(&fetch.body), fetch.body.length, err);
    buf_free(&fetch.body);
    return ok;
}

/* ---- pulling ---- */

const char *docker_image_path(struct arena *arena, const char *image, const char *rest)
{
    struct buf path = { 0 };
    buf_puts(&path, "/images/");
    url_encode(&path, image, strlen(image), "/:@");
    buf_puts(&path, rest);
    const char *text = buf_dup(&path, arena);
    buf_free(&path);
    return text;
}

struct pull {
    struct fetch fetch; /* first: on_head() takes it */
    struct arena *arena;
    struct buf line;
    bool is_overlong;
    bool has_failed;
    struct error *err;
};

static void take_progress(struct pull *pull)
{
    if (!pull->is_overlong && !pull->has_failed) {
        arena_reset(pull->arena);
        const struct value *step =
            json_parse(pull->arena, buf_text(&pull->line), pull->line.length, NULL);
        const char *message = value_get_text(step, "error", NULL);
        if (message != NULL) {
            bool is_final =
                strstr(message, "denied") != NULL || strstr(message, "not found") != NULL ||
                strstr(message, "unauthorized") != NULL || strstr(message, "unknown") != NULL;
            error_set(pull->err, is_final ? ERR_DENIED : ERR_UNAVAILABLE, "%s", message);
            pull->has_failed = true;
        }
    }
    buf_clear(&pull->line);
    pull->is_overlong = false;
}

static bool on_progress(void *context, const void *bytes, size_t length, struct error *err)
{
    struct pull *pull = context;
    if (!pull->fetch.is_good)
        return on_file(&pull->fetch, bytes, length, err);
    const char *at = bytes;
    const char *end = at + length;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t part = (size_t)((stop == NULL ? end : stop) - at);
        pull->is_overlong = pull->is_overlong || pull->line.length + part > PROGRESS_BYTES_MAX;
        if (!pull->is_overlong)
            buf_add(&pull->line, at, part);
        if (stop != NULL)
            take_progress(pull);
        at += part + (stop != NULL);
    }
    return true;
}

/* The tag is what follows the last ':' after the last '/'; digests go with the name. */
static void add_image(struct arena *arena, struct http_fields *query, const char *image)
{
    const char *slash = strrchr(image, '/');
    const char *colon = strrchr(slash == NULL ? image : slash, ':');
    if (strchr(image, '@') != NULL) {
        http_fields_add(arena, query, "fromImage", image);
        return;
    }
    size_t length = colon == NULL ? strlen(image) : (size_t)(colon - image);
    http_fields_add(arena, query, "fromImage", arena_strndup(arena, image, length));
    http_fields_add(arena, query, "tag", colon == NULL ? "latest" : colon + 1);
}

bool docker_pull(struct docker_engine *engine,
                 const char *image,
                 const char *auth,
                 struct error *err)
{
    struct error failure = { 0 };
    struct pull pull = { .arena = arena_new(), .err = &failure };
    struct http_request request;
    struct http_response response;
    struct http_fields headers = { 0 };
    struct http_fields query = { 0 };
    add_image(engine->arena, &query, image);
    if (auth != NULL)
        http_fields_add(engine->arena, &headers, "X-Registry-Auth", auth);
    prepare(engine, &request, "POST", url_of(engine, "/images/create"));
    request.headers = &headers;
    request.query = &query;
    request.body = "";
    request.head = on_head;
    request.sink = on_progress;
    request.context = &pull;
    bool ok = http_call(engine->arena, &request, &response, NULL, err);
    if (ok && !pull.fetch.is_good) {
        ok = status_error(engine, response.status, buf_text(&pull.fetch.body),
                          pull.fetch.body.length, err);
    } else if (ok) {
        take_progress(&pull);
        ok = !pull.has_failed || error_set(err, failure.code, "%s", failure.text);
    }
    arena_free(pull.arena);
    buf_free(&pull.line);
    buf_free(&pull.fetch.body);
    return ok;
}

/* ---- logs ---- */

/* Frames: a header of the stream and the length, then that many bytes. */
struct frames {
    unsigned char header[FRAME_HEADER_BYTES];
    size_t header_length;
    size_t left; /* bytes of the frame that are to come */
    struct docker_logs *logs;
};

static void take_frames(struct frames *frames, const char *bytes, size_t length)
{
    while (length > 0) {
        if (frames->left > 0) {
            size_t part = length < frames->left ? length : frames->left;
            frames->logs->output(frames->logs->data, frames->header[0] == 2, bytes, part);
            frames->left -= part;
            bytes += part;
            length -= part;
            continue;
        }
        size_t part = FRAME_HEADER_BYTES - frames->header_length;
        part = part < length ? part : length;
        memcpy(frames->header + frames->header_length, bytes, part);
        frames->header_length += part;
        bytes += part;
        length -= part;
        if (frames->header_length == FRAME_HEADER_BYTES) {
            const unsigned char *at = frames->header + 4;
            frames->left =
                ((size_t)at[0] << 24) | ((size_t)at[1] << 16) | ((size_t)at[2] << 8) | at[3];
            frames->header_length = 0;
        }
    }
}

static void add_time(struct arena *arena, struct http_fields *query, const char *name, usec_t at)
{
    if (at > 0)
        http_fields_add(arena, query, name,
                        arena_printf(arena, "%lld.%06lld", (long long)(at / USEC_SEC),
                                     (long long)(at % USEC_SEC)));
}

static bool read_error(struct docker_engine *engine,
                       struct http_stream *stream,
                       int status,
                       struct error *err)
{
    struct buf body = { 0 };
    char *at = buf_reserve(&body, PROGRESS_BYTES_MAX);
    ptrdiff_t got = http_stream_read(stream, at, PROGRESS_BYTES_MAX, NULL);
    if (got > 0)
        buf_added(&body, (size_t)got);
    status_error(engine, status, buf_text(&body), body.length, err);
    buf_free(&body);
    return false;
}

bool docker_logs(struct docker_engine *engine,
                 const char *id,
                 struct docker_logs *logs,
                 struct error *err)
{
    struct http_request request;
    struct http_response response;
    struct http_fields query = { 0 };
    http_fields_add(engine->arena, &query, "stdout", "1");
    http_fields_add(engine->arena, &query, "stderr", "1");
    http_fields_add(engine->arena, &query, "follow", logs->follow ? "1" : "0");
    add_time(engine->arena, &query, "since", logs->since);
    add_time(engine->arena, &query, "until", logs->until);
    prepare(engine, &request, "GET",
            url_of(engine, arena_printf(engine->arena, "/containers/%s/logs", id)));
    request.query = &query;
    request.idle_timeout = USEC_NEVER; // a container may have nothing to say
    logs->last_at = 0;
    struct http_stream *stream = http_stream_open(engine->arena, &request, &response, err);
    if (stream == NULL)
        return false;
    bool ok = is_good(response.status) || read_error(engine, stream, response.status, err);
    struct frames frames = { .logs = logs };
    char *bytes = check_malloc(READ_BYTES);
    while (ok) {
        ptrdiff_t got = http_stream_read(stream, bytes, READ_BYTES, err);
        ok = got >= 0;
        if (got <= 0)
            break;
        logs->last_at = clock_now();
        take_frames(&frames, bytes, (size_t)got);
    }
    free(bytes);
    http_stream_close(stream);
    return ok;
}

bool docker_wait(struct docker_engine *engine, const char *id, int *code, struct error *err)
{
    const char *path = arena_printf(engine->arena, "/containers/%s/wait", id);
    const struct value *answer = call(engine, "POST", path, NULL, NULL, USEC_NEVER, err);
    if (answer == NULL)
        return false;
    const char *message = value_get_text(value_get(answer, "Error"), "Message", NULL);
    if (!str_empty(message))
        return error_set(err, ERR_INVALID, "%s", message);
    *code = (int)value_get_int(answer, "StatusCode", -1);
    return *code >= 0 || error_set(err, ERR_INVALID, "the answer of Docker holds no exit code");
}

/* ---- registries ---- */

static const char hub[] = "docker.io";

/* "https://index.docker.io/v1/" and "docker.io" are the same. */
static const char *host_of(struct arena *arena, const char *address)
{
    const char *start = strstr(address, "://");
    start = start == NULL ? address : start + 3;
    const char *host = arena_strndup(arena, start, strcspn(start, "/"));
    return str_eq(host, "index.docker.io") || str_eq(host, "registry-1.docker.io") ? hub : host;
}

static const char *registry_of(struct arena *arena, const char *image)
{
    const char *slash = strchr(image, '/');
    if (slash == NULL)
        return hub;
    const char *first = arena_strndup(arena, image, (size_t)(slash - image));
    if (strpbrk(first, ".:") == NULL && !str_eq(first, "localhost"))
        return hub;
    return host_of(arena, first);
}

static bool is_empty(const struct docker_login *login)
{
    return str_empty(login->username) && str_empty(login->password) &&
           str_empty(login->registry_token) && str_empty(login->identity_token) &&
           str_empty(login->auth);
}

/* What config.json says about a registry. */
static bool login_of_config(struct arena *arena,
                            const struct value *config,
                            const char *registry,
                            struct docker_login *login,
                            struct error *err)
{
    const char *text = value_cstr(config);
    if (text != NULL)
        config = json_parse(arena, text, strlen(text), err);
    if (config == NULL)
        return error_wrap(err, "'config'");
    const struct value *auths = value_get(config, "auths");
    for (uint32_t i = 0; value_is_map(auths) && i < auths->map.count; i++) {
        const struct value *entry = auths->map.members[i].value;
        if (!str_eq(host_of(arena, auths->map.members[i].key), registry))
            continue;
        login->username = value_get_text(entry, "username", NULL);
        login->password = value_get_text(entry, "password", NULL);
        login->registry_token = value_get_text(entry, "registrytoken", NULL);
        login->identity_token = value_get_text(entry, "identitytoken", NULL);
        login->auth = value_get_text(entry, "auth", NULL);
    }
    return true;
}

static bool split_auth(struct arena *arena, struct docker_login *login, struct error *err)
{
    if (str_empty(login->auth) || !str_empty(login->username))
        return true;
    struct buf pair = { 0 };
    const char *colon = NULL;
    if (base64_decode(&pair, login->auth, strlen(login->auth)))
        colon = strchr(buf_text(&pair), ':');
    if (colon != NULL) {
        login->username = arena_strndup(arena, buf_text(&pair), (size_t)(colon - buf_text(&pair)));
        login->password = arena_strdup(arena, colon + 1);
    }
    buf_free(&pair);
    return colon != NULL ||
           error_set(err, ERR_INVALID, "'auth' of a registry is not Base64 of user:password");
}

bool docker_auth(struct arena *arena,
                 const char *image,
                 const struct docker_login *given,
                 const struct value *config,
                 const char **out,
                 struct error *err)
{
    struct docker_login login = *given;
    const char *registry = registry_of(arena, image);
    *out = NULL;
    if (is_empty(&login) && config != NULL) {
        login.registry = NULL;
        if (!login_of_config(arena, config, registry, &login, err))
            return false;
    }
    if (is_empty(&login))
        return true;
    if (!split_auth(arena, &login, err))
        return false;
    if (str_empty(login.registry))
        login.registry = str_eq(registry, hub) ? "https://index.docker.io/v1/" : registry;
    struct value_builder map = value_build(arena);
    value_put_text(&map, "username", login.username);
    value_put_text(&map, "password", login.password);
    value_put_text(&map, "identitytoken", login.identity_token);
    value_put_text(&map, "registrytoken", login.registry_token);
    value_put_text(&map, "serveraddress", login.registry);
    struct buf text = { 0 };
    const char *json = value_to_json(arena, value_build_map(&map));
    base64_encode(&text, BASE64_URL, json, strlen(json));
    *out = buf_dup(&text, arena);
    buf_free(&text);
    return true;
}
