/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runner Docker against an engine of our own: what it is asked, and what happens when it
 * answers oddly. Tests with a real engine are in tests/conformance/test_docker.c.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/httpd.h"
#include "base/redact.h"
#include "base/str.h"
#include "base/tar.h"
#include "core/json.h"
#include "core/plugin.h"
#include "core/value.h"
#include "tests/support/fake_task.h"
#include "tests/support/test.h"

extern const struct plugin task_script_shell_commands;

#define QUEUE_MAX (1U << 20)

struct engine {
    struct fake_task *fake;
    struct httpd *server;
    pthread_mutex_t lock; /* everything below */
    struct arena *arena;
    struct buf calls; /* "METHOD path\n" … without the version, and without queries */
    const struct value *created;
    const char *auth;
    const char *pulled;
    const char *log_queries; /* of all calls for logs */
    const char *stop_query;
    char *upload; /* folder that the archive was unpacked in */
    const char *upload_bytes;
    size_t upload_length;
    /* What it does. */
    bool has_image;
    bool has_no_containers; /* answers 500 to the list */
    int pull_status;
    const char *pull_answer;
    const char *image_user;
    const char *containers; /* JSON */
    size_t lost;            /* bytes at the end that a call that follows does not get */
    const char *old_logs;   /* text on stdout, for calls with `until` */
    int exit_code;
    bool is_out_of_memory;
    size_t piece; /* bytes at a time; 0: all at once */
    const char *stdout_text;
    const char *stderr_text;
    const char *folder;  /* what the container's directory holds in the end */
    const char *archive; /* bytes instead */
    size_t archive_length;
    enum stop_reason stop_at_logs; /* what happens to the task while it runs */
    int version;                   /* of the API, 1.x */
    struct httpd_stream *held;
};

/* ---- answers ---- */

static void reply_status(struct httpd_request *request, int status, const char *json)
{
    struct httpd_reply reply = { .status = status,
                                 .type = json == NULL ? NULL : "application/json",
                                 .body = HTTPD_BODY_COPY,
                                 .bytes = json == NULL ? "" : json,
                                 .length = json == NULL ? 0 : strlen(json) };
    httpd_reply(request, &reply);
}

static void put_frame(struct buf *out, int stream, const char *bytes, size_t length)
{
    const char header[8] = {
        (char)stream,        0,           0, 0, (char)(length >> 24), (char)(length >> 16),
        (char)(length >> 8), (char)length
    };
    buf_add(out, header, sizeof(header));
    buf_add(out, bytes, length);
}

/* Both streams in frames of three bytes, in turn. */
static void put_frames(struct buf *out, const char *one, const char *two)
{
    while (*one != '\0' || *two != '\0') {
        size_t part = strnlen(one, 3);
        if (part > 0)
            put_frame(out, 1, one, part);
        one += part;
        part = strnlen(two, 3);
        if (part > 0)
            put_frame(out, 2, two, part);
        two += part;
    }
}

static void answer_logs(struct engine *engine, struct httpd_request *request)
{
    struct buf bytes = { 0 };
    const char *until = http_fields_find(&request->query, "until");
    const char *since = http_fields_find(&request->query, "since");
    engine->log_queries =
        arena_printf(engine->arena, "%ssince=%s until=%s follow=%s\n", engine->log_queries,
                     since == NULL ? "" : since, until == NULL ? "" : until,
                     http_fields_find(&request->query, "follow"));
    bool is_whole = until == NULL && since == NULL;
    if (until != NULL || is_whole)
        put_frames(&bytes, engine->old_logs, "");
    if (until == NULL)
        put_frames(&bytes, engine->stdout_text, engine->stderr_text);
    if (str_eq(http_fields_find(&request->query, "follow"), "1"))
        bytes.length -= engine->lost;
    struct httpd_reply head = { .status = 200, .type = "application/vnd.docker.raw-stream" };
    struct httpd_stream *stream = httpd_stream_open(request, &head, QUEUE_MAX);
    size_t piece = engine->piece > 0 ? engine->piece : bytes.length;
    for (size_t at = 0; at < bytes.length; at += piece) {
        size_t part = bytes.length - at < piece ? bytes.length - at : piece;
        CHECK(httpd_stream_write(stream, bytes.bytes + at, part) != HTTPD_FULL);
    }
    buf_free(&bytes);
    if (engine->stop_at_logs == STOP_NONE) {
        httpd_stream_close(stream);
        return;
    }
    engine->held = stream; // the container runs until it is killed
    job_stop(&engine->fake->job, engine->stop_at_logs);
}

static void end_container(struct engine *engine)
{
    httpd_stream_close(engine->held);
    engine->held = NULL;
}

static void take_upload(struct engine *engine, struct httpd_request *request)
{
    struct error err = { 0 };
    engine->upload = fs_temp_folder(engine->arena, engine->fake->folder, "upload", &err);
    CHECK(engine->upload != NULL);
    engine->upload_bytes = arena_memdup(engine->arena, request->body, request->body_length);
    engine->upload_length = request->body_length;
    AUTO_FD int fd = fs_temp(NULL, &err);
    CHECK(fd >= 0 && fs_write_fd(fd, request->body, request->body_length, "upload", &err));
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    if (!tar_read_folder(fd, engine->upload, 0, &err))
        fail_msg("%s", err.text);
    reply_status(request, 200, NULL);
}

static void send_files(struct engine *engine, struct httpd_request *request)
{
    struct error err = { 0 };
    struct httpd_reply reply = { .status = 200, .type = "application/x-tar" };
    if (engine->archive != NULL) {
        reply.bytes = engine->archive;
        reply.length = engine->archive_length;
        httpd_reply(request, &reply);
        return;
    }
    if (engine->folder == NULL) {
        reply_status(request, 404, "{\"message\": \"Could not find the file in container\"}");
        return;
    }
    reply.body = HTTPD_BODY_FILE;
    reply.fd = fs_temp(NULL, &err);
    CHECK(reply.fd >= 0 && tar_write_folder(reply.fd, engine->folder, "run1", 0, &err));
    reply.length = (size_t)lseek(reply.fd, 0, SEEK_END);
    httpd_reply(request, &reply);
}

static void answer_image(struct engine *engine, struct httpd_request *request)
{
    if (!engine->has_image) {
        reply_status(request, 404, "{\"message\": \"No such image: busybox:1\"}");
        return;
    }
    reply_status(request, 200,
                 arena_printf(engine->arena, "{\"Config\": {\"User\": \"%s\"}}",
                              engine->image_user == NULL ? "" : engine->image_user));
}

static void answer_pull(struct engine *engine, struct httpd_request *request)
{
    const char *auth = http_header_find(&request->headers, "X-Registry-Auth");
    const char *tag = http_fields_find(&request->query, "tag");
    engine->auth = auth == NULL ? NULL : arena_strdup(engine->arena, auth);
    engine->pulled =
        arena_printf(engine->arena, "%s %s", http_fields_find(&request->query, "fromImage"),
                     tag == NULL ? "-" : tag);
    engine->has_image = engine->pull_status == 200 && strstr(engine->pull_answer, "error") == NULL;
    reply_status(request, engine->pull_status, engine->pull_answer);
}

static void answer_container(struct engine *engine,
                             struct httpd_request *request,
                             const char *action)
{
    if (str_eq(action, "archive") && str_eq(request->method, "PUT")) {
        take_upload(engine, request);
    } else if (str_eq(action, "archive")) {
        send_files(engine, request);
    } else if (str_eq(action, "logs")) {
        answer_logs(engine, request);
    } else if (str_eq(action, "wait")) {
        reply_status(request, 200,
                     arena_printf(engine->arena, "{\"StatusCode\": %d, \"Error\": null}",
                                  engine->exit_code));
    } else if (str_eq(action, "json")) {
        reply_status(
            request, 200,
            arena_printf(engine->arena,
                         "{\"State\": {\"Running\": false, \"ExitCode\": %d, \"OOMKilled\": %s},"
                         " \"Config\": {\"WorkingDir\": \"/old/place\"}}",
                         engine->exit_code, engine->is_out_of_memory ? "true" : "false"));
    } else {
        if (str_eq(action, "stop"))
            engine->stop_query =
                arena_strdup(engine->arena, http_fields_find(&request->query, "t"));
        if (!str_eq(action, "start"))
            end_container(engine);
        reply_status(request, 204, NULL);
    }
}

static void answer(struct engine *engine, struct httpd_request *request)
{
    const char *path = request->path;
    if (str_starts(path, "/v1."))
        path = strchr(path + 1, '/');
    buf_printf(&engine->calls, "%s %s\n", request->method, path);
    if (str_eq(path, "/_ping")) {
        struct http_field header = { "Api-Version",
                                     arena_printf(engine->arena, "1.%d", engine->version) };
        httpd_reply(request,
                    &(struct httpd_reply){ .status = 200, .headers = &header, .headers_count = 1 });
    } else if (str_eq(path, "/containers/json")) {
        reply_status(request, engine->has_no_containers ? 500 : 200, engine->containers);
    } else if (str_eq(path, "/containers/create")) {
        engine->created = json_parse(engine->arena, request->body, request->body_length, NULL);
        reply_status(request, 201, "{\"Id\": \"abc\", \"Warnings\": []}");
    } else if (str_eq(path, "/images/create")) {
        answer_pull(engine, request);
    } else if (str_starts(path, "/images/")) {
        answer_image(engine, request);
    } else if (str_eq(request->method, "DELETE")) {
        reply_status(request, 204, NULL);
    } else {
        answer_container(engine, request, strrchr(path, '/') + 1);
    }
}

static void handle(void *context, struct httpd_request *request)
{
    struct engine *engine = context;
    (void)pthread_mutex_lock(&engine->lock);
    answer(engine, request);
    (void)pthread_mutex_unlock(&engine->lock);
}

/* ---- fixture ---- */

static int set_up(void **state)
{
    struct engine *engine = check_calloc(1, sizeof(*engine));
    struct httpd_options options = { .host = "127.0.0.1", .handler = handle, .context = engine };
    struct error err = { 0 };
    CHECK(pthread_mutex_init(&engine->lock, NULL) == 0);
    engine->arena = arena_new();
    engine->fake = fake_task_new();
    engine->has_image = true;
    engine->containers = "[]";
    engine->stdout_text = engine->stderr_text = engine->old_logs = engine->log_queries = "";
    engine->pull_status = 200;
    engine->pull_answer =
        "{\"status\": \"Pulling from library/busybox\"}\r\n{\"status\": \"Done\"}";
    engine->version = 41;
    engine->server = httpd_start(&options, &err);
    CHECK(engine->server != NULL);
    *state = engine;
    return 0;
}

static int tear_down(void **state)
{
    struct engine *engine = *state;
    httpd_stream_close(engine->held);
    httpd_stop(engine->server);
    fake_task_free(engine->fake);
    arena_free(engine->arena);
    buf_free(&engine->calls);
    (void)pthread_mutex_destroy(&engine->lock);
    free(engine);
    return 0;
}

/* Runs commands in the image busybox:1 with more properties of the runner, as a YAML flow map. */
static bool run(struct engine *engine, const char *options, const char *task)
{
    const char *yaml =
        arena_printf(engine->fake->arena,
                     "taskRunner: {type: io.kestra.plugin.scripts.runner.docker.Docker, "
                     "host: 'tcp://127.0.0.1:%u'%s%s}\n%s%s",
                     httpd_port(engine->server), *options == '\0' ? "" : ", ", options,
                     strstr(task, "commands:") == NULL ? "commands: [echo x]\n" : "",
                     strstr(task, "containerImage:") == NULL
                         ? arena_printf(engine->fake->arena, "containerImage: busybox:1\n%s", task)
                         : task);
    return fake_task_run_elsewhere(engine->fake, &task_script_shell_commands, yaml);
}

#define ASSERT_OK(engine, options, task)                                                           \
    do {                                                                                           \
        if (!run((engine), (options), (task)))                                                     \
            fail_msg("%s", (engine)->fake->error.text);                                            \
    } while (0)

#define ASSERT_NOT(engine, options, task, message)                                                 \
    do {                                                                                           \
        assert_false(run((engine), (options), (task)));                                            \
        assert_string_equal((engine)->fake->error.text, (message));                                \
    } while (0)

static bool was_called(const struct engine *engine, const char *call)
{
    return strstr(buf_text(&engine->calls), call) != NULL;
}

static bool was_logged(const struct engine *engine, const char *text)
{
    return strstr(buf_text(&engine->fake->log), text) != NULL;
}

static const char *created(struct engine *engine, const char *path)
{
    const struct value *value = value_path(engine->created, path);
    return value == NULL ? "none" : value_to_json(engine->arena, value);
}

/* ---- tests ---- */

static void commands_run_in_a_container(void **state)
{
    struct engine *engine = *state;
    struct error err = { 0 };
    engine->stdout_text = "first line\n::{\"outputs\": {\"a\": 1}}::\nlast without end";
    engine->stderr_text = "a warning\n";
    engine->piece = 5;
    engine->folder = fs_temp_folder(engine->arena, engine->fake->folder, "result", &err);
    CHECK(fs_write_atomic(arena_printf(engine->arena, "%s/out.txt", engine->folder), "made", 4,
                          0644, &err));
    ASSERT_OK(engine, "",
              "env: {NAME: value}\ninputFiles: {'sub/in.txt': content}\noutputFiles: ['*.txt']\n");
    assert_string_equal(buf_text(&engine->calls), "GET /_ping\n"
                                                  "GET /containers/json\n"
                                                  "GET /images/busybox:1/json\n"
                                                  "POST /containers/create\n"
                                                  "PUT /containers/abc/archive\n"
                                                  "POST /containers/abc/start\n"
                                                  "GET /containers/abc/logs\n"
                                                  "POST /containers/abc/wait\n"
                                                  "GET /containers/abc/json\n"
                                                  "GET /containers/abc/logs\n"
                                                  "GET /containers/abc/archive\n"
                                                  "DELETE /containers/abc\n");
    assert_true(was_logged(engine, "INFO first line\n"));
    assert_true(was_logged(engine, "ERROR a warning\n"));
    assert_true(was_logged(engine, "INFO last without end\n"));
    assert_string_equal(fake_output(engine->fake, "vars"), "{\"a\":1}");
    assert_string_equal(fake_output(engine->fake, "taskRunner.containerId"), "abc");
    const struct value *files = value_get(engine->fake->outputs, "outputFiles");
    assert_string_equal(fake_read(engine->fake, value_get_text(files, "out.txt", NULL)), "made");

    const char *folder = engine->fake->job.ctx.working_dir;
    assert_string_equal(value_get_text(engine->created, "WorkingDir", ""), folder);
    assert_string_equal(created(engine, "Cmd"), "[\"/bin/sh\",\"-c\",\"set -e\\necho x\"]");
    assert_string_equal(created(engine, "Entrypoint"), "[\"\"]");
    assert_string_equal(created(engine, "Env"),
                        arena_printf(engine->arena, "[\"WORKING_DIR=%s\",\"NAME=value\"]", folder));
    assert_string_equal(created(engine, "Labels"),
                        "{\"kestra.io/namespace\":\"company.team\",\"kestra.io/flow-id\":"
                        "\"my_flow\",\"kestra.io/task-id\":\"my_task\",\"kestra.io/execution-id\":"
                        "\"exec1\",\"kestra.io/taskrun-id\":\"run1\","
                        "\"kestra.io/taskrun-attempt\":\"1\"}");
    const char *input = arena_printf(engine->arena, "%s%s/sub/in.txt", engine->upload, folder);
    const char *text = fs_read(engine->arena, input, 100, NULL, &err);
    if (text == NULL)
        fail_msg("%s", err.text);
    assert_string_equal(text, "content");
}

static void lines_that_were_not_followed_are_read_in_the_end(void **state)
{
    struct engine *engine = *state;
    engine->stdout_text = "first\nsecond\nlast";
    engine->stderr_text = "error\n";
    engine->lost = 3 * (8 + 3); // three frames: nine bytes
    ASSERT_OK(engine, "", "");
    const char *log = buf_text(&engine->fake->log);
    assert_string_equal(strchr(log, '\n') + 1, "INFO first\nERROR error\nINFO second\nINFO last\n");
}

static void options_become_those_of_the_container(void **state)
{
    struct engine *engine = *state;
    ASSERT_OK(
        engine,
        "user: '1000', networkMode: none, extraHosts: ['db:10.0.0.1'], shmSize: 64MB, "
        "portBindings: ['8080:80', '127.0.0.1:53:53/udp'], entryPoint: [/bin/init], "
        "cpu: {cpus: 1.5}, memory: {memory: 512MB, memorySwap: '-1', memoryReservation: 1GB}, "
        "deviceRequests: [{driver: nvidia, count: -1, capabilities: [gpu]}], userNs: keep-id",
        "inputFiles: {a: b}\n");
    assert_string_equal(created(engine, "User"), "\"1000\"");
    assert_string_equal(created(engine, "Entrypoint"), "[\"/bin/init\"]");
    assert_string_equal(created(engine, "ExposedPorts"), "{\"80/tcp\":{},\"53/udp\":{}}");
    assert_string_equal(
        created(engine, "HostConfig"),
        "{\"Binds\":[],\"Privileged\":false,\"AutoRemove\":false,\"NetworkMode\":\"none\","
        "\"UsernsMode\":\"keep-id\",\"NanoCpus\":1500000000,\"ShmSize\":67108864,"
        "\"ExtraHosts\":[\"db:10.0.0.1\"],\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"\","
        "\"HostPort\":\"8080\"}],\"53/udp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"53\"}]},"
        "\"DeviceRequests\":[{\"Driver\":\"nvidia\",\"Count\":-1,\"Capabilities\":[[\"gpu\"]]}],"
        "\"Memory\":536870912,\"MemoryReservation\":1073741824,\"MemorySwap\":-1}");
    // Not root: it may write beside its inputs.
    size_t folders = 0;
    size_t files = 0;
    for (size_t at = 0; at + 512 <= engine->upload_length; at += 512) {
        const char *header = engine->upload_bytes + at;
        if (memcmp(header + 257, "ustar", 5) != 0 || header[156] == 'x')
            continue;
        unsigned long mode = strtoul(header + 100, NULL, 8);
        assert_int_equal(mode & 0666, 0666);
        if (header[156] == '5')
            assert_int_equal(mode & 0777, 0777);
        folders += header[156] == '5';
        files += header[156] == '0';
    }
    assert_int_equal(folders, 1);
    assert_int_equal(files, 1);
}

static void folders_of_the_machine_need_the_setting(void **state)
{
    struct engine *engine = *state;
    const char *options = "volumes: ['/etc:/host:ro'], privileged: true";
    ASSERT_OK(engine, options, "");
    assert_string_equal(created(engine, "HostConfig.Binds"), "[]");
    assert_string_equal(created(engine, "HostConfig.Privileged"), "false");
    assert_true(was_logged(engine, "WARN 'volumes' is ignored: the setting 'docker.volumes'"));
    assert_true(was_logged(engine, "WARN 'privileged' is ignored: the setting"));
    engine->fake->services.allow_docker_volumes = true;
    engine->fake->services.allow_docker_privileged = true;
    ASSERT_OK(engine, options, "");
    assert_string_equal(created(engine, "HostConfig.Binds"), "[\"/etc:/host:ro\"]");
    assert_string_equal(created(engine, "HostConfig.Privileged"), "true");
}

static void a_mounted_folder_is_not_copied(void **state)
{
    struct engine *engine = *state;
    ASSERT_OK(engine, "fileHandlingStrategy: MOUNT", "inputFiles: {a: b}\noutputFiles: [a]\n");
    const char *folder = engine->fake->job.ctx.working_dir;
    assert_string_equal(created(engine, "HostConfig.Binds"),
                        arena_printf(engine->arena, "[\"%s:%s\"]", folder, folder));
    assert_false(was_called(engine, "archive"));
    assert_non_null(fake_output(engine->fake, "outputFiles.a"));
}

static void nothing_is_copied_when_there_is_nothing(void **state)
{
    struct engine *engine = *state;
    ASSERT_OK(engine, "", "");
    assert_false(was_called(engine, "archive"));
}

static void an_image_that_is_not_there_is_pulled(void **state)
{
    struct engine *engine = *state;
    engine->has_image = false;
    ASSERT_OK(engine, "", "containerImage: registry.example:5000/team/tool\n");
    assert_string_equal(engine->pulled, "registry.example:5000/team/tool latest");
    assert_null(engine->auth);
    engine->has_image = false;
    ASSERT_OK(engine, "", "containerImage: 'tool@sha256:00ff'\n");
    assert_string_equal(engine->pulled, "tool@sha256:00ff -");
    engine->pulled = NULL;
    ASSERT_OK(engine, "", "");
    assert_null(engine->pulled);
    ASSERT_OK(engine, "pullPolicy: ALWAYS", "");
    assert_string_equal(engine->pulled, "busybox 1");
}

static void assert_auth(struct engine *engine,
                        const char *options,
                        const char *image,
                        const char *json)
{
    struct buf text = { 0 };
    ASSERT_OK(engine, options, arena_printf(engine->arena, "containerImage: %s\n", image));
    if (json == NULL) {
        assert_null(engine->auth);
        return;
    }
    assert_non_null(engine->auth);
    assert_int_equal(strlen(engine->auth) % 4, 0);
    assert_true(base64_decode(&text, engine->auth, strlen(engine->auth)));
    assert_string_equal(buf_text(&text), json);
    buf_free(&text);
}

static void the_registry_is_told_who_pulls(void **state)
{
    struct engine *engine = *state;
    assert_auth(engine, "pullPolicy: ALWAYS, credentials: {username: me, password: secret}", "tool",
                "{\"username\":\"me\",\"password\":\"secret\",\"serveraddress\":"
                "\"https://index.docker.io/v1/\"}");
    assert_auth(engine,
                "pullPolicy: ALWAYS, credentials: {registry: other.example, auth: bWU6c2VjcmV0}",
                "quay.example/tool",
                "{\"username\":\"me\",\"password\":\"secret\",\"serveraddress\":"
                "\"other.example\"}");
    const char *config = "pullPolicy: ALWAYS, config: {auths: {'https://index.docker.io/v1/': "
                         "{auth: 'aHViOnB3'}, 'quay.example': {identitytoken: tok}}}";
    assert_auth(engine, config, "library/tool",
                "{\"username\":\"hub\",\"password\":\"pw\",\"serveraddress\":"
                "\"https://index.docker.io/v1/\"}");
    assert_auth(engine, config, "quay.example/tool",
                "{\"identitytoken\":\"tok\",\"serveraddress\":\"quay.example\"}");
    assert_auth(engine, config, "ghcr.example/tool", NULL);
    assert_auth(engine,
                "pullPolicy: ALWAYS, config: '{\"auths\": {\"quay.example\": {\"auth\": "
                "\"aHViOnB3\"}}}'",
                "quay.example/tool",
                "{\"username\":\"hub\",\"password\":\"pw\",\"serveraddress\":\"quay.example\"}");
    ASSERT_NOT(engine, "pullPolicy: ALWAYS, credentials: {auth: '***'}", "",
               "'auth' of a registry is not Base64 of user:password");
}

static void logins_do_not_show_in_logs(void **state)
{
    struct engine *engine = *state;
    static const char *const options[] = {
        "pullPolicy: ALWAYS, credentials: {username: me, password: shown-nowhere}",
        "pullPolicy: ALWAYS, credentials: {auth: 'bWU6c2hvd24tbm93aGVyZQ=='}",
        "pullPolicy: ALWAYS, config: {auths: {x.example: {auth: 'bWU6c2hvd24tbm93aGVyZQ=='}}}",
        "pullPolicy: ALWAYS, config: '{\"auths\": {\"x.example\": {\"password\": "
        "\"shown-nowhere\"}}}'",
    };
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        struct task_ctx *ctx = &engine->fake->job.ctx;
        AUTO(redact_freep) struct redact *redact = redact_new(NULL);
        struct redact *kept = ctx->redact;
        ctx->redact = redact;
        ASSERT_OK(engine, options[i], "containerImage: tool\n");
        assert_string_equal(redact_text(redact, engine->arena, "it is shown-nowhere"),
                            "it is ******");
        ctx->redact = kept;
    }
}

static void a_pull_that_fails_says_why(void **state)
{
    struct engine *engine = *state;
    ASSERT_NOT(engine, "pullPolicy: NEVER", "containerImage: ''\n",
               "This task runner needs 'containerImage'");
    engine->has_image = false;
    ASSERT_NOT(engine, "pullPolicy: NEVER", "",
               "Image 'busybox:1' is not there, and 'pullPolicy' is NEVER");
    engine->pull_answer = "{\"status\": \"Pulling\"}\r\n{\"error\": \"pull access denied\"}\r\n";
    ASSERT_NOT(engine, "", "", "Cannot pull image 'busybox:1': pull access denied");
    engine->pull_status = 404;
    engine->pull_answer = "{\"message\": \"manifest unknown\"}";
    ASSERT_NOT(engine, "", "", "Cannot pull image 'busybox:1': manifest unknown");
    assert_false(was_called(engine, "POST /containers"));
}

static void (*write_log)(struct job *job, enum log_level level, const char *text, size_t length);

/* Stops the task as soon as it says that it waits. */
static void stop_when_waiting(struct job *job,
                              enum log_level level,
                              const char *text,
                              size_t length)
{
    write_log(job, level, text, length);
    if (memmem(text, length, "again in", 8) != NULL)
        job_stop(job, STOP_KILL);
}

static void a_pull_that_may_pass_is_tried_again(void **state)
{
    struct engine *engine = *state;
    engine->has_image = false;
    engine->pull_status = 500;
    engine->pull_answer = "{\"message\": \"no space left\"}";
    write_log = engine->fake->job.log;
    engine->fake->job.log = stop_when_waiting;
    assert_false(run(engine, "", ""));
    assert_int_equal(engine->fake->error.code, ERR_CANCELLED);
    assert_true(was_logged(
        engine, "WARN Cannot pull image 'busybox:1': no space left; again in 5 seconds\n"));
}

static void an_exit_code_fails_the_task_after_its_files_are_here(void **state)
{
    struct engine *engine = *state;
    struct error err = { 0 };
    engine->exit_code = 1;
    engine->folder = fs_temp_folder(engine->arena, engine->fake->folder, "result", &err);
    CHECK(fs_write_atomic(arena_printf(engine->arena, "%s/out", engine->folder), "made", 4, 0644,
                          &err));
    ASSERT_NOT(engine, "", "outputFiles: [out]\n", "Command failed with exit code 1");
    assert_string_equal(fake_read(engine->fake, fake_output(engine->fake, "outputFiles.out")),
                        "made");
    assert_true(was_called(engine, "DELETE /containers/abc"));
    assert_null(fake_output(engine->fake, "note"));
    engine->exit_code = 137;
    engine->is_out_of_memory = true;
    assert_false(run(engine, "", ""));
    assert_string_equal(fake_output(engine->fake, "note"), "out of memory");
}

static void a_folder_that_the_commands_removed_is_no_failure(void **state)
{
    struct engine *engine = *state;
    ASSERT_OK(engine, "", "inputFiles: {a: b}\n");
    assert_true(was_called(engine, "GET /containers/abc/archive"));
}

static void an_archive_does_not_leave_the_folder(void **state)
{
    struct engine *engine = *state;
    char header[1536] = "run1/../../../escaped";
    memcpy(header + 100, "0000644", 8);
    memcpy(header + 108, "0000000", 8);
    memcpy(header + 116, "0000000", 8);
    memcpy(header + 124, "00000000000", 12);
    memcpy(header + 136, "00000000000", 12);
    memset(header + 148, ' ', 8);
    header[156] = '0';
    memcpy(header + 257, "ustar\00000", 8);
    unsigned sum = 0;
    for (size_t i = 0; i < 512; i++)
        sum += (unsigned char)header[i];
    (void)snprintf(header + 148, 8, "%06o", sum);
    engine->archive = header;
    engine->archive_length = sizeof(header);
    assert_false(run(engine, "", "inputFiles: {a: b}\n"));
    assert_int_equal(engine->fake->error.code, ERR_INVALID);
    assert_true(str_starts(engine->fake->error.text, "Cannot copy files out of the container: "));
    assert_true(was_called(engine, "DELETE /containers/abc"));
}

static void a_killed_task_kills_its_container(void **state)
{
    struct engine *engine = *state;
    engine->stop_at_logs = STOP_KILL;
    assert_false(run(engine, "", ""));
    assert_int_equal(engine->fake->error.code, ERR_CANCELLED);
    assert_true(was_called(engine, "POST /containers/abc/kill\nDELETE /containers/abc\n"));
}

static void a_task_with_grace_is_asked_to_end(void **state)
{
    struct engine *engine = *state;
    engine->stop_at_logs = STOP_TIMEOUT;
    assert_false(run(engine, "killGracePeriod: PT2.5S", ""));
    assert_true(was_called(engine, "POST /containers/abc/stop\nDELETE /containers/abc\n"));
    assert_string_equal(engine->stop_query, "3");
    assert_false(was_called(engine, "/kill"));
}

static void a_container_outlives_the_server(void **state)
{
    struct engine *engine = *state;
    engine->stop_at_logs = STOP_SHUTDOWN;
    assert_false(run(engine, "", ""));
    assert_false(was_called(engine, "/kill"));
    assert_false(was_called(engine, "DELETE"));
}

static void a_container_that_cannot_be_resumed_ends_with_the_server(void **state)
{
    struct engine *engine = *state;
    engine->stop_at_logs = STOP_SHUTDOWN;
    assert_false(run(engine, "resume: false", ""));
    assert_true(was_called(engine, "POST /containers/abc/kill\nDELETE /containers/abc\n"));
}

static const char *found(struct engine *engine, const char *id, const char *state, int attempt)
{
    return arena_printf(engine->arena,
                        "{\"Id\": \"%s\", \"State\": \"%s\", \"Created\": 1, \"Labels\": "
                        "{\"kestra.io/taskrun-attempt\": \"%d\"}}",
                        id, state, attempt);
}

static void a_repeated_attempt_goes_on_with_the_container_of_the_lost_one(void **state)
{
    struct engine *engine = *state;
    struct error err = { 0 };
    engine->containers = arena_printf(engine->arena, "[%s,%s]", found(engine, "old", "running", 1),
                                      found(engine, "new", "created", 2));
    engine->fake->job.ctx.attempt = 2;
    engine->stdout_text = "later\n";
    engine->folder = fs_temp_folder(engine->arena, engine->fake->folder, "result", &err);
    ASSERT_OK(engine, "", "inputFiles: {a: b}\n");
    assert_string_equal(buf_text(&engine->calls), "GET /_ping\n"
                                                  "GET /containers/json\n"
                                                  "DELETE /containers/new\n"
                                                  "GET /containers/old/json\n"
                                                  "GET /containers/old/logs\n"
                                                  "POST /containers/old/wait\n"
                                                  "GET /containers/old/json\n"
                                                  "GET /containers/old/logs\n"
                                                  "GET /containers/old/archive\n"
                                                  "DELETE /containers/old\n");
    assert_true(was_logged(engine, "INFO later\n"));
    assert_string_equal(engine->log_queries, "since= until= follow=1\n"
                                             "since= until= follow=0\n");
}

static const struct value *stored_logs(void *data,
                                       struct arena *arena,
                                       const char *operation,
                                       const struct value *arguments,
                                       struct error *err)
{
    (void)data;
    (void)err;
    assert_string_equal(operation, "log.fetch");
    assert_string_equal(value_get_text(arguments, "executionId", ""), "exec1");
    static const struct {
        const char *run;
        int64_t attempt;
        usec_t at;
    } lines[] = {
        { "run1", 0, 1000 * USEC_SEC + 250000 },
        { "other", 0, 2000 * USEC_SEC },
        { "run1", 1, 3000 * USEC_SEC },
    };
    struct value_builder list = value_build(arena);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct value_builder line = value_build(arena);
        value_put_text(&line, "taskRunId", lines[i].run);
        value_put_int(&line, "attemptNumber", lines[i].attempt);
        value_put(&line, "timestamp", value_instant(arena, lines[i].at));
        value_add(&list, value_build_map(&line));
    }
    return value_with(arena, NULL, "entries", value_build_list(&list));
}

static void lines_that_were_stored_are_not_logged_again(void **state)
{
    struct engine *engine = *state;
    engine->containers = arena_printf(engine->arena, "[%s]", found(engine, "old", "exited", 1));
    engine->fake->job.ctx.attempt = 2;
    engine->fake->services.operate = stored_logs;
    engine->old_logs = "earlier\n::{\"outputs\": {\"a\": 1}, \"metrics\": [{\"name\": \"m\", "
                       "\"type\": \"counter\", \"value\": 3}]}::\n";
    engine->stdout_text = "later\n";
    ASSERT_OK(engine, "", "");
    assert_string_equal(engine->log_queries, "since= until=1000.250000 follow=0\n"
                                             "since=1000.250000 until= follow=1\n"
                                             "since= until= follow=0\n");
    assert_false(was_logged(engine, "earlier"));
    assert_true(was_logged(engine, "INFO later\n"));
    assert_string_equal(fake_output(engine->fake, "vars"), "{\"a\":1}");
    assert_int_equal(engine->fake->job.metrics.count, 1);
}

static void a_container_that_was_kept_is_not_mistaken_for_a_lost_one(void **state)
{
    struct engine *engine = *state;
    engine->containers = arena_printf(engine->arena, "[%s]", found(engine, "old", "exited", 1));
    engine->fake->job.ctx.attempt = 2;
    ASSERT_OK(engine, "delete: false", "");
    assert_true(was_called(engine, "POST /containers/create\n"));
    assert_false(was_called(engine, "DELETE"));
}

static void without_resuming_the_lost_container_ends_first(void **state)
{
    struct engine *engine = *state;
    engine->containers = arena_printf(engine->arena, "[%s]", found(engine, "old", "running", 1));
    engine->fake->job.ctx.attempt = 2;
    ASSERT_OK(engine, "resume: false, delete: false", "");
    assert_true(was_called(engine, "GET /containers/json\nDELETE /containers/old\n"));
    assert_true(was_called(engine, "POST /containers/create\n"));
}

static void a_container_may_be_left_to_itself(void **state)
{
    struct engine *engine = *state;
    ASSERT_OK(engine, "wait: false", "");
    assert_true(str_ends(buf_text(&engine->calls), "POST /containers/abc/start\n"));
    assert_string_equal(fake_output(engine->fake, "taskRunner.containerId"), "abc");
    assert_string_equal(fake_output(engine->fake, "exitCode"), "0");
}

static void an_engine_that_is_not_there_is_named(void **state)
{
    struct engine *engine = *state;
    assert_false(fake_task_run_elsewhere(
        engine->fake, &task_script_shell_commands,
        "taskRunner: {type: io.kestra.plugin.scripts.runner.docker.Docker, host: "
        "'unix:///nowhere/docker.sock'}\ncommands: [x]"));
    assert_string_equal(engine->fake->error.text,
                        "Docker is not reachable at unix:///nowhere/docker.sock: mount the socket "
                        "into the worker, set 'host', or use the Process runner");
    assert_false(fake_task_run_elsewhere(
        engine->fake, &task_script_shell_commands,
        "taskRunner: {type: io.kestra.plugin.scripts.runner.docker.Docker, host: "
        "'npipe:////./pipe/docker'}\ncommands: [x]"));
    assert_string_equal(engine->fake->error.text,
                        "'host' must begin with unix:/// or tcp://, not 'npipe:////./pipe/docker'");
}

static void an_engine_that_fails_is_quoted(void **state)
{
    struct engine *engine = *state;
    engine->has_no_containers = true;
    engine->containers = "{\"message\": \"the engine is on fire\"}";
    ASSERT_NOT(engine, "", "", "Cannot list containers: the engine is on fire");
}

static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    TEST(commands_run_in_a_container),
    TEST(lines_that_were_not_followed_are_read_in_the_end),
    TEST(options_become_those_of_the_container),
    TEST(folders_of_the_machine_need_the_setting),
    TEST(a_mounted_folder_is_not_copied),
    TEST(nothing_is_copied_when_there_is_nothing),
    TEST(an_image_that_is_not_there_is_pulled),
    TEST(the_registry_is_told_who_pulls),
    TEST(logins_do_not_show_in_logs),
    TEST(a_pull_that_fails_says_why),
    TEST(a_pull_that_may_pass_is_tried_again),
    TEST(an_exit_code_fails_the_task_after_its_files_are_here),
    TEST(a_folder_that_the_commands_removed_is_no_failure),
    TEST(an_archive_does_not_leave_the_folder),
    TEST(a_killed_task_kills_its_container),
    TEST(a_task_with_grace_is_asked_to_end),
    TEST(a_container_outlives_the_server),
    TEST(a_container_that_cannot_be_resumed_ends_with_the_server),
    TEST(a_repeated_attempt_goes_on_with_the_container_of_the_lost_one),
    TEST(lines_that_were_stored_are_not_logged_again),
    TEST(a_container_that_was_kept_is_not_mistaken_for_a_lost_one),
    TEST(without_resuming_the_lost_container_ends_first),
    TEST(a_container_may_be_left_to_itself),
    TEST(an_engine_that_is_not_there_is_named),
    TEST(an_engine_that_fails_is_quoted),
};

TEST_GROUP(docker, tests)
